"""Transactions' rows: many items at once, reasons in their places, tokens, prices."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from dynalab.differential.lockstep import Pair
from dynalab_impl.effects import layout
from dynalab_model.errors import DynamoError
from tests.conformance.conftest import creation, schema

NUMBER = count()
MINUTE_NS = 60 * 1_000_000_000
SERVICE = "com.amazonaws.dynamodb.v20120810#"
CANCELLED = "Transaction cancelled, please refer cancellation reasons for specific reasons "
NONE = {"Code": "None"}
FAILED = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}


def fresh(what: str = "item") -> str:
    return f"transactions {what} {next(NUMBER)}"


def put(pk: str, /, *, when: str | None = None, **more: Any) -> dict[str, Any]:
    condition = {} if when is None else {"ConditionExpression": when}
    return {"Put": {"TableName": "Hash", "Item": {"pk": {"S": pk}, **more}, **condition}}


def delete(pk: str, **members: Any) -> dict[str, Any]:
    return {"Delete": {"TableName": "Hash", "Key": {"pk": {"S": pk}}, **members}}


def update(pk: str, change: str, /, **members: Any) -> dict[str, Any]:
    return {"Update": {"TableName": "Hash", "Key": {"pk": {"S": pk}}, "UpdateExpression": change, **members}}


def check(pk: str, condition: str, **members: Any) -> dict[str, Any]:
    return {
        "ConditionCheck": {"TableName": "Hash", "Key": {"pk": {"S": pk}}, "ConditionExpression": condition, **members}
    }


def get(pk: str, **members: Any) -> dict[str, Any]:
    return {"Get": {"TableName": "Hash", "Key": {"pk": {"S": pk}}, **members}}


def write(service: Any, *actions: dict[str, Any], **members: Any) -> Any:
    return service("TransactWriteItems", TransactItems=list(actions), **members)


def refused(service: Any, *actions: dict[str, Any], **members: Any) -> Any:
    return service.refused("TransactWriteItems", TransactItems=list(actions), **members)


def reasons(service: Any, *actions: dict[str, Any]) -> Any:
    error = refused(service, *actions)
    assert error.code == "TransactionCanceledException", str(error)
    return error.extra["CancellationReasons"]


def add(pk: str) -> dict[str, Any]:
    return update(pk, "ADD n :one", ExpressionAttributeValues={":one": {"N": "1"}})


# --- operations -------------------------------------------------------------------------------------------------------


@pytest.mark.row("operation:TransactWriteItems")
def test_many_writes_happen_as_one_and_answer_nothing(service: Any) -> None:
    one, two, three, four = (fresh() for _ in range(4))
    service.put("Hash", pk={"S": one}, n={"N": "1"})
    service.put("Hash", pk={"S": two}, n={"N": "1"})
    answer = write(
        service,
        delete(one),
        add(two),
        put(three, when="attribute_not_exists(pk)"),
        check(four, "attribute_not_exists(pk)"),
    )
    assert answer == {}
    assert [service.get("Hash", pk={"S": name}) for name in (one, two, three, four)] == [
        None,
        {"pk": {"S": two}, "n": {"N": "2"}},
        {"pk": {"S": three}},
        None,
    ]


@pytest.mark.row("operation:TransactGetItems")
def test_many_reads_answer_in_order_with_empty_places(service: Any) -> None:
    one, two = fresh(), fresh()
    service.put("Hash", pk={"S": one}, n={"N": "1"})
    service.put("Hash", pk={"S": two})
    actions = [get(two), get(fresh()), get(one, ProjectionExpression="n")]
    assert service("TransactGetItems", TransactItems=actions) == {
        "Responses": [{"Item": {"pk": {"S": two}}}, {}, {"Item": {"n": {"N": "1"}}}]
    }
    nothing = service("TransactGetItems", TransactItems=[get(two, ProjectionExpression="n")])
    assert nothing == {"Responses": [{}]}, "a projection that finds nothing leaves the member out"


@pytest.mark.row("operation:ExecuteTransaction")
def test_many_statements_happen_as_one(service: Any) -> None:
    one, two = fresh(), fresh()
    service.put("Hash", pk={"S": two}, n={"N": "1"})
    writes = [
        {"Statement": f"INSERT INTO \"Hash\" VALUE {{'pk': '{one}'}}"},
        {"Statement": 'UPDATE "Hash" SET n = n + 1 WHERE pk = ?', "Parameters": [{"S": two}]},
    ]
    assert service("ExecuteTransaction", TransactStatements=writes) == {"Responses": [{}, {}]}
    reads = [{"Statement": f"SELECT n FROM \"Hash\" WHERE pk = '{name}'"} for name in (two, fresh())]
    assert service("ExecuteTransaction", TransactStatements=reads) == {"Responses": [{"Item": {"n": {"N": "2"}}}, {}]}


# --- reasons ----------------------------------------------------------------------------------------------------------


@pytest.mark.row("error:TransactionCanceled", "error:cancelled-ConditionalCheckFailed")
def test_one_false_condition_cancels_all_and_each_place_has_its_reason(service: Any) -> None:
    one, two = fresh(), fresh()
    service.put("Hash", pk={"S": two}, n={"N": "1"})
    error = refused(
        service,
        put(one),
        delete(two, ConditionExpression="n = pk", ReturnValuesOnConditionCheckFailure="ALL_OLD"),
        check(fresh(), "attribute_exists(pk)"),
    )
    assert (error.status, error.body()) == (
        400,
        {
            "__type": SERVICE + "TransactionCanceledException",
            "Message": CANCELLED + "[None, ConditionalCheckFailed, ConditionalCheckFailed]",
            "CancellationReasons": [NONE, {**FAILED, "Item": {"pk": {"S": two}, "n": {"N": "1"}}}, FAILED],
        },
    )
    assert service.get("Hash", pk={"S": one}) is None


@pytest.mark.row("error:cancelled-mixed", "error:cancelled-ValidationError")
def test_every_failing_action_has_a_reason_of_its_own(service: Any) -> None:
    text, full = fresh(), fresh()
    service.put("Hash", pk={"S": text}, n={"S": "no number"})
    one = {"ExpressionAttributeValues": {":one": {"N": "1"}}}
    assert reasons(
        service,
        put(fresh()),
        update(text, "SET n = n + :one", **one),
        put(text + "x", when="attribute_exists(pk)"),
        update(fresh(), "SET n = m + :one", **one),
        update(fresh(), "SET a.b = :one", **one),
        update(full, "SET t = :t", ExpressionAttributeValues={":t": {"S": "x" * 409_600}}),
        delete(fresh()),
    ) == [
        NONE,
        {"Code": "ValidationError", "Message": "An operand in the update expression has an incorrect data type"},
        FAILED,
        {
            "Code": "ValidationError",
            "Message": "The provided expression refers to an attribute that does not exist in the item",
        },
        {
            "Code": "ValidationError",
            "Message": "The document path provided in the update expression is invalid for update",
        },
        {"Code": "ValidationError", "Message": "Item size to update has exceeded the maximum allowed size"},
        NONE,
    ]


@pytest.mark.row("error:cancelled-ValidationError")
def test_a_key_of_a_wrong_type_is_a_reason_and_an_empty_one_is_not(service: Any) -> None:
    misfit = {"Code": "ValidationError", "Message": "The provided key element does not match the schema"}
    wrong = {"Delete": {"TableName": "Hash", "Key": {"pk": {"N": "1"}}}}
    assert reasons(service, put(fresh()), wrong) == [NONE, misfit]
    error = service.refused("TransactGetItems", TransactItems=[{"Get": {"TableName": "Hash", "Key": {}}}])
    assert (error.code, error.message) == ("TransactionCanceledException", CANCELLED + "[ValidationError]")
    assert error.extra["CancellationReasons"] == [misfit]
    error = refused(service, put(fresh()), delete(""))
    assert (error.code, error.message) == (
        "ValidationException",
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty "
        "string value. Key: pk",
    )


@pytest.mark.row("error:cancelled-DuplicateItem")
def test_an_insert_over_an_existing_key_is_a_reason(service: Any) -> None:
    one, two = fresh(), fresh()
    service.put("Hash", pk={"S": two})
    statements = [{"Statement": f"INSERT INTO \"Hash\" VALUE {{'pk': '{name}'}}"} for name in (one, two)]
    error = service.refused("ExecuteTransaction", TransactStatements=statements)
    assert error.body() == {
        "__type": SERVICE + "TransactionCanceledException",
        "Message": CANCELLED + "[None, DuplicateItem]",
        "CancellationReasons": [
            NONE,
            {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"},
        ],
    }


@pytest.mark.row("error:cancelled-ItemCollectionSizeLimitExceeded")
def test_a_full_item_collection_is_a_reason() -> None:
    pair = Pair(topology=layout(routers=2, collection_bytes_max=2_000))  # a limit that a test can reach
    pair.state = replace(pair.state, collection_bytes_max=2_000)
    by_at = {
        "IndexName": "by_at",
        "KeySchema": schema(("pk", "at")),
        "Projection": {"ProjectionType": "ALL"},
    }
    table = creation("Small", {"pk": "S", "sk": "S"})
    table["AttributeDefinitions"].append({"AttributeName": "at", "AttributeType": "S"})
    assert isinstance(pair.call("CreateTable", {**table, "LocalSecondaryIndexes": [by_at]}), dict)
    pair.wait_active("Small")
    items = [{"pk": {"S": pk}, "sk": {"S": "a"}, "fill": {"S": "x" * size}} for pk, size in (("p", 100), ("q", 3_000))]
    writes = [{"Put": {"TableName": "Small", "Item": item}} for item in items]
    answer = pair.call("TransactWriteItems", {"TransactItems": writes})
    assert isinstance(answer, DynamoError)
    assert answer.extra["CancellationReasons"] == [
        NONE,
        {"Code": "ItemCollectionSizeLimitExceeded", "Message": "Collection size exceeded."},
    ]


# --- what a request may say -------------------------------------------------------------------------------------------


@pytest.mark.row("text:transact-count")
@pytest.mark.parametrize("operation", ["TransactWriteItems", "TransactGetItems"])
def test_a_transaction_has_one_to_a_hundred_actions(service: Any, operation: str) -> None:
    action = put if operation == "TransactWriteItems" else get
    error = service.refused(operation, TransactItems=[])
    assert (error.code, error.message) == (
        "ValidationException",
        "1 validation error detected: Value '[]' at 'transactItems' failed to satisfy constraint: Member must have "
        "length greater than or equal to 1",
    )
    many = [action(fresh()) for _ in range(101)]
    error = service.refused(operation, TransactItems=many)
    assert error.code == "ValidationException"
    assert error.message.endswith(
        "at 'transactItems' failed to satisfy constraint: Member must have length less than or equal to 100"
    )
    assert service(operation, TransactItems=many[:100]).get("Responses", [{}] * 100) == [{}] * 100


@pytest.mark.row("text:transact-same-item")
@pytest.mark.parametrize("operation", ["TransactWriteItems", "TransactGetItems"])
def test_no_item_is_named_twice(service: Any, operation: str) -> None:
    one = fresh()
    actions = [put(one), delete(one)] if operation == "TransactWriteItems" else [get(one), get(one)]
    error = service.refused(operation, TransactItems=actions)
    assert (error.code, error.message) == (
        "ValidationException",
        "Transaction request cannot include multiple operations on one item",
    )


@pytest.mark.row("limit:transaction-bytes")
def test_a_transaction_holds_4_mb(service: Any) -> None:
    name, pad = fresh(), {"S": "x" * 390_000}
    ten = [put(f"{name} {number}", pad=pad) for number in range(10)]
    assert write(service, *ten) == {}
    assert refused(service, *ten, put(f"{name} 10", pad=pad)).code == "ValidationException"
    service.put("Hash", pk={"S": f"{name} 10"}, pad=pad)
    gets = [get(f"{name} {number}") for number in range(11)]
    assert len(service("TransactGetItems", TransactItems=gets[:10])["Responses"]) == 10
    assert service.refused("TransactGetItems", TransactItems=gets).code == "ValidationException"
    write(service, *(delete(f"{name} {number}") for number in range(11)))


@pytest.mark.row("error:ResourceNotFound-data")
def test_a_missing_table_is_told_in_the_words_of_the_data_plane(service: Any) -> None:
    missing = {"Put": {"TableName": "Nowhere", "Item": {"pk": {"S": "a"}}}}
    one = fresh()
    assert refused(service, put(one), missing).body() == {
        "__type": SERVICE + "ResourceNotFoundException",
        "message": "Requested resource not found",
    }
    assert service.get("Hash", pk={"S": one}) is None


@pytest.mark.row("partiql:transaction-mixed")
def test_statements_read_or_write(service: Any) -> None:
    one = fresh()
    statements = [
        {"Statement": f"SELECT * FROM \"Hash\" WHERE pk = '{one}'"},
        {"Statement": f"DELETE FROM \"Hash\" WHERE pk = '{one}'"},
    ]
    error = service.refused("ExecuteTransaction", TransactStatements=statements)
    assert (error.code, error.message) == (
        "ValidationException",
        "ExecuteTransaction API does not support both read and write operations in the same request.",
    )


@pytest.mark.row("partiql:exists")
def test_exists_checks_a_condition_beside_writes(service: Any) -> None:
    one, two = fresh(), fresh()
    service.put("Hash", pk={"S": one}, n={"N": "1"})
    exists = f"EXISTS(SELECT * FROM \"Hash\" WHERE pk = '{one}' AND n = ?)"
    insert = {"Statement": f"INSERT INTO \"Hash\" VALUE {{'pk': '{two}'}}"}
    for n, happens in (("2", False), ("1", True)):
        statements = [{"Statement": exists, "Parameters": [{"N": n}]}, insert]
        if happens:
            assert service("ExecuteTransaction", TransactStatements=statements) == {"Responses": [{}, {}]}
        else:
            error = service.refused("ExecuteTransaction", TransactStatements=statements)
            assert error.extra["CancellationReasons"] == [FAILED, NONE]
    assert service.get("Hash", pk={"S": two}) == {"pk": {"S": two}}
    key_alone = {"Statement": f"EXISTS(SELECT * FROM \"Hash\" WHERE pk = '{one}')"}
    error = service.refused("ExecuteTransaction", TransactStatements=[key_alone, insert])
    assert [reason["Code"] for reason in error.extra["CancellationReasons"]] == ["ValidationError", "None"]


# --- tokens -----------------------------------------------------------------------------------------------------------


@pytest.mark.row("behaviour:same-token")
def test_the_same_token_repeats_the_answer_for_ten_minutes() -> None:
    pair = Pair(topology=layout(nodes_per_zone=1, routers=2, partitions=1))  # time passes faster with few machines
    pair.call("CreateTable", creation("Hash", {"pk": "S"}))
    pair.wait_active("Hash")

    def counted() -> Any:
        """What is there once the same request was made again."""
        assert pair.call("TransactWriteItems", {"TransactItems": [add("one")], "ClientRequestToken": "token"}) == {}
        read = pair.call("GetItem", {"TableName": "Hash", "Key": {"pk": {"S": "one"}}, "ConsistentRead": True})
        assert isinstance(read, dict)
        return read["Item"]

    assert counted() == {"pk": {"S": "one"}, "n": {"N": "1"}}
    assert counted() == {"pk": {"S": "one"}, "n": {"N": "1"}}
    pair.wait(9 * MINUTE_NS)
    assert counted() == {"pk": {"S": "one"}, "n": {"N": "1"}}
    pair.wait(2 * MINUTE_NS)
    assert counted() == {"pk": {"S": "one"}, "n": {"N": "2"}}


@pytest.mark.row("error:IdempotentParameterMismatch")
def test_the_same_token_with_another_request_is_a_mismatch(service: Any) -> None:
    one, token = fresh(), f"token-{next(NUMBER)}"
    write(service, add(one), ClientRequestToken=token)
    mismatch = {
        "__type": SERVICE + "IdempotentParameterMismatchException",
        "Message": "The request uses the same client token as a previous, but non-identical request.",
    }
    error = refused(service, add(one), put(fresh()), ClientRequestToken=token)
    assert (error.status, error.body()) == (400, mismatch)
    statement = {"Statement": f"DELETE FROM \"Hash\" WHERE pk = '{one}'"}
    error = service.refused("ExecuteTransaction", TransactStatements=[statement], ClientRequestToken=token)
    assert error.body() == mismatch


# --- prices -----------------------------------------------------------------------------------------------------------


@pytest.mark.row("capacity:transactions")
def test_a_transaction_costs_the_table_twice_and_its_indexes_once(service: Any) -> None:
    three = [put(fresh(), pad={"S": "x" * 450}) for _ in range(3)]
    answer = write(service, *three, ReturnConsumedCapacity="TOTAL")
    assert answer["ConsumedCapacity"] == [{"TableName": "Hash", "CapacityUnits": 6.0, "WriteCapacityUnits": 6.0}]
    one = {
        "pk": {"S": fresh()},
        "sk": {"S": "a"},
        "g": {"S": "transactions"},
        "h": {"N": "1"},
        "pad": {"S": "x" * 1500},
    }
    indexed = {"Put": {"TableName": "Range", "Item": one}}
    answer = write(service, indexed, check(fresh(), "attribute_not_exists(pk)"), ReturnConsumedCapacity="INDEXES")
    assert answer["ConsumedCapacity"] == [
        {
            "TableName": "Range",
            "CapacityUnits": 7.0,
            "WriteCapacityUnits": 7.0,
            "Table": {"CapacityUnits": 4.0, "WriteCapacityUnits": 4.0},
            "GlobalSecondaryIndexes": {
                "by_g": {"CapacityUnits": 2.0, "WriteCapacityUnits": 2.0},
                "bare": {"CapacityUnits": 1.0, "WriteCapacityUnits": 1.0},
            },
        },
        {
            "TableName": "Hash",
            "CapacityUnits": 2.0,
            "WriteCapacityUnits": 2.0,
            "Table": {"CapacityUnits": 2.0, "WriteCapacityUnits": 2.0},
        },
    ]


@pytest.mark.row("capacity:transactions")
def test_a_transactional_read_costs_two_units_for_4_kb_and_so_does_a_replay(service: Any) -> None:
    one, token = fresh(), f"token-{next(NUMBER)}"
    action = put(one, pad={"S": "x" * 5_000})
    write(service, action, ReturnConsumedCapacity="TOTAL", ClientRequestToken=token)
    again = write(service, action, ReturnConsumedCapacity="TOTAL", ClientRequestToken=token)
    assert again["ConsumedCapacity"] == [{"TableName": "Hash", "CapacityUnits": 4.0, "ReadCapacityUnits": 4.0}]
    answer = service("TransactGetItems", TransactItems=[get(one), get(fresh())], ReturnConsumedCapacity="TOTAL")
    assert answer["ConsumedCapacity"] == [{"TableName": "Hash", "CapacityUnits": 6.0, "ReadCapacityUnits": 6.0}]

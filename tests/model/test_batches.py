"""BatchGetItem and BatchWriteItem: what is refused, in which words, and what an answer holds (api.md §3, §5, §8)."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_model.batches import batch_get_response, batch_write_response
from dynalab_model.database import State, apply
from dynalab_model.errors import DynamoError
from dynalab_model.operations import BatchGetItem, BatchWriteItem
from dynalab_model.requests import parse

ONE = "1 validation error detected: "
UNITS = "ConsumedCapacity"


def key(text: str) -> dict[str, Any]:
    return {"pk": {"S": text}}


def refusal(operation: str, items: object, **members: object) -> DynamoError:
    with pytest.raises(DynamoError) as caught:
        parse(operation, {"RequestItems": items, **members})
    return caught.value


def keys(count: int, start: int = 0) -> dict[str, Any]:
    return {"Keys": [key(str(number)) for number in range(start, start + count)]}


def deletes(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"DeleteRequest": {"Key": key(str(number))}} for number in range(start, start + count)]


@pytest.mark.parametrize(
    ("operation", "items", "words"),
    [
        (
            "BatchGetItem",
            None,
            ONE + "Value null at 'requestItems' failed to satisfy constraint: Member must not be null",
        ),
        ("BatchGetItem", {}, "The requestItems parameter is required for BatchGetItem"),
        ("BatchWriteItem", {}, "The requestItems parameter is required for BatchWriteItem"),
        (
            "BatchGetItem",
            {"T": keys(101)},
            ONE
            + "Value at 'RequestItems.T.member.Keys' failed to satisfy constraint: Member must have length less than "
            "or equal to 100",
        ),
        ("BatchGetItem", {"T": keys(60), "U": keys(41)}, "Too many items requested for the BatchGetItem call"),
        (
            "BatchGetItem",
            {"T": {"Keys": []}},
            ONE + "Value '[]' at 'requestItems.T.member.keys' failed to satisfy constraint: Member must have length "
            "greater than or equal to 1",
        ),
        (
            "BatchGetItem",
            {"T": {}},
            ONE + "Value null at 'requestItems.T.member.keys' failed to satisfy constraint: Member must not be null",
        ),
        ("BatchGetItem", {"T": {"Keys": [key("a"), key("a")]}}, "Provided list of item keys contains duplicates"),
        (
            "BatchGetItem",
            {"T": {**keys(1), "AttributesToGet": ["a"], "ProjectionExpression": "a"}},
            "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: "
            "{AttributesToGet} Expression parameters: {ProjectionExpression}",
        ),
        (
            "BatchGetItem",
            {"T": {**keys(1), "ExpressionAttributeNames": {"#a": "a"}}},
            "ExpressionAttributeNames can only be specified when using expressions",
        ),
        (
            "BatchGetItem",
            {"T": {**keys(1), "ProjectionExpression": "a", "ExpressionAttributeNames": {"#b": "b"}}},
            "Value provided in ExpressionAttributeNames unused in expressions: keys: {#b}",
        ),
        (
            "BatchWriteItem",
            {"T": deletes(26)},
            ONE
            + "Value '{T=[...]}' at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: "
            "[Member must have length less than or equal to 25, Member must have length greater than or equal to 1]",
        ),
        (
            "BatchWriteItem",
            {"T": []},
            ONE
            + "Value '{T=[...]}' at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: "
            "[Member must have length less than or equal to 25, Member must have length greater than or equal to 1]",
        ),
        ("BatchWriteItem", {"T": deletes(20), "U": deletes(6)}, "Too many items requested for the BatchWriteItem call"),
        (
            "BatchWriteItem",
            {"T": [{"PutRequest": {"Item": key("a")}, "DeleteRequest": {"Key": key("b")}}]},
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported "
            "datatypes",
        ),
        (
            "BatchWriteItem",
            {"T": [{}]},
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
        ),
        (
            "BatchWriteItem",
            {"T": [{"PutRequest": {}}]},
            ONE + "Value null at 'requestItems.T.member.1.member.putRequest.item' failed to satisfy constraint: Member "
            "must not be null",
        ),
        (
            "BatchWriteItem",
            {"T": [{"PutRequest": {"Item": {**key("a"), "text": {"S": "x" * 409_600}}}}]},
            "Item size has exceeded the maximum allowed size",
        ),
    ],
)
def test_a_batch_that_cannot_be_is_refused_as_a_whole_in_the_services_words(
    operation: str, items: object, words: str
) -> None:
    refused = refusal(operation, items)
    assert (refused.code, refused.message) == ("ValidationException", words)


@pytest.mark.claim("S126")
def test_a_hundred_keys_and_twentyfive_writes_are_taken() -> None:
    gets = parse("BatchGetItem", {"RequestItems": {"T": keys(99), "U": keys(1)}})
    assert isinstance(gets, BatchGetItem) and len(gets.gets) == 100
    writes = parse("BatchWriteItem", {"RequestItems": {"T": deletes(24), "U": deletes(1)}})
    assert isinstance(writes, BatchWriteItem) and len(writes.writes) == 25


def test_a_wrong_json_type_is_told_before_everything_else() -> None:
    for operation, items in (
        ("BatchGetItem", {"T": []}),
        ("BatchWriteItem", {"T": {}}),
        ("BatchGetItem", {"T": {"Keys": ["a"]}}),
        ("BatchWriteItem", {"T": [{"PutRequest": "a"}]}),
        ("BatchGetItem", {"T": {"Keys": [{"pk": {"S": 7}}]}}),
    ):
        assert refusal(operation, items, ReturnConsumedCapacity="MANY").code == "SerializationException"


def test_both_enums_of_a_batch_are_told_in_one_envelope() -> None:
    told = refusal("BatchWriteItem", {"T": []}, ReturnConsumedCapacity="x", ReturnItemCollectionMetrics="y").message
    assert told.startswith("2 validation errors detected: Value 'x' at 'returnConsumedCapacity'")
    assert told.endswith("Member must satisfy enum value set: [SIZE, NONE]")


def test_each_table_of_a_batch_has_its_own_consistency_and_projection() -> None:
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/Uuu"
    items = {
        "Ttt": {
            **keys(1),
            "ConsistentRead": True,
            "ProjectionExpression": "#a",
            "ExpressionAttributeNames": {"#a": "a"},
        },
        arn: {**keys(1), "AttributesToGet": ["b"]},
    }
    op = parse("BatchGetItem", {"RequestItems": items})
    assert isinstance(op, BatchGetItem)
    assert [(get.table, get.consistent, get.projection) for get in op.gets] == [
        ("Ttt", True, "#a"),
        ("Uuu", False, None),
    ]
    # What is not processed comes back as it was asked, so that a client can send it again as it is.
    answer = batch_get_response(op, [None, None])
    assert answer == {"Responses": {"Ttt": [], "Uuu": []}, "UnprocessedKeys": {"Ttt": items["Ttt"], "Uuu": items[arn]}}


# --- answers --------------------------------------------------------------------------------------------------------


def table(name: str, **more: object) -> dict[str, Any]:
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        **more,
    }


class Machine:
    """The reference state machine, call by call."""

    def __init__(self) -> None:
        self.state = State()

    def __call__(self, operation: str, **body: object) -> Any:
        self.state, answer = apply(self.state, parse(operation, body), 1)
        if isinstance(answer, DynamoError):
            raise answer
        return answer


@pytest.fixture
def call() -> Machine:
    machine = Machine()
    machine("CreateTable", **table("Ttt"))
    machine("CreateTable", **table("Uuu"))
    return machine


def test_puts_and_deletes_of_two_tables_are_all_done(call: Machine) -> None:
    call("PutItem", TableName="Uuu", Item=key("old"))
    puts = [{"PutRequest": {"Item": {**key(name), "n": {"N": "1.0"}}}} for name in "ab"]
    answer = call("BatchWriteItem", RequestItems={"Ttt": puts, "Uuu": [{"DeleteRequest": {"Key": key("old")}}]})
    assert answer == {"UnprocessedItems": {}}
    found = call(
        "BatchGetItem", RequestItems={"Ttt": {"Keys": [key("a"), key("b"), key("c")]}, "Uuu": {"Keys": [key("old")]}}
    )
    assert found == {
        "Responses": {"Ttt": [{**key("a"), "n": {"N": "1"}}, {**key("b"), "n": {"N": "1"}}], "Uuu": []},
        "UnprocessedKeys": {},
    }


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"DeleteRequest": {"Key": key("a")}}, "Provided list of item keys contains duplicates"),
        ({"PutRequest": {"Item": {"x": {"S": "b"}}}}, "The provided key element does not match the schema"),
        ({"PutRequest": {"Item": {"pk": {"N": "1"}}}}, "The provided key element does not match the schema"),
        ({"DeleteRequest": {"Key": {"pk": {"N": "1"}}}}, "The provided key element does not match the schema"),
    ],
)
def test_one_bad_write_leaves_the_whole_batch_undone(call: Machine, bad: object, words: str) -> None:
    with pytest.raises(DynamoError) as caught:
        call("BatchWriteItem", RequestItems={"Ttt": [{"PutRequest": {"Item": key("a")}}, bad]})
    assert caught.value.message == words
    assert call("Scan", TableName="Ttt")["Count"] == 0


def test_a_missing_table_refuses_the_whole_batch(call: Machine) -> None:
    with pytest.raises(DynamoError) as caught:
        call("BatchWriteItem", RequestItems={"Ttt": deletes(1), "Nowhere": deletes(1)})
    assert (caught.value.code, caught.value.message) == ("ResourceNotFoundException", "Requested resource not found")
    with pytest.raises(DynamoError) as caught:
        call("BatchGetItem", RequestItems={"Nowhere": keys(1)})
    assert caught.value.code == "ResourceNotFoundException"


@pytest.mark.claim("S31")
def test_a_batch_read_rounds_each_item_by_itself_and_charges_absent_ones(call: Machine) -> None:
    call("PutItem", TableName="Ttt", Item={**key("a"), "x": {"S": "x" * 4096}})  # 4,100 bytes: two units
    call("PutItem", TableName="Ttt", Item={**key("b"), "x": {"S": "x" * 10}})
    asked = {"Keys": [key("a"), key("b"), key("c")]}
    answer = call("BatchGetItem", RequestItems={"Ttt": asked, "Uuu": keys(1)}, ReturnConsumedCapacity="TOTAL")
    assert answer[UNITS] == [{"TableName": "Ttt", "CapacityUnits": 2.0}, {"TableName": "Uuu", "CapacityUnits": 0.5}]
    strong = call(
        "BatchGetItem", RequestItems={"Ttt": {**asked, "ConsistentRead": True}}, ReturnConsumedCapacity="INDEXES"
    )
    assert strong[UNITS] == [{"TableName": "Ttt", "CapacityUnits": 4.0, "Table": {"CapacityUnits": 4.0}}]


def test_a_batch_write_costs_the_sum_of_its_writes_index_by_index() -> None:
    call = Machine()
    index = {
        "IndexName": "by_c",
        "KeySchema": [{"AttributeName": "c", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    definitions = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "c")]
    call("CreateTable", **table("Ttt", AttributeDefinitions=definitions, GlobalSecondaryIndexes=[index]))
    puts = [{"PutRequest": {"Item": {**key(name), "c": {"S": "red"}, "x": {"S": "x" * 1024}}}} for name in "ab"]
    answer = call("BatchWriteItem", RequestItems={"Ttt": [*puts, *deletes(1)]}, ReturnConsumedCapacity="INDEXES")
    assert answer[UNITS] == [
        {
            "TableName": "Ttt",
            "CapacityUnits": 9.0,
            "Table": {"CapacityUnits": 5.0},
            "GlobalSecondaryIndexes": {"by_c": {"CapacityUnits": 4.0}},
        }
    ]


@pytest.mark.claim("S126")
def test_of_a_hundred_items_of_300_kb_fiftytwo_come_back() -> None:
    """The developer guide's example of the 16 MB limit of a response."""
    op = parse("BatchGetItem", {"RequestItems": {"T": keys(100)}, "ReturnConsumedCapacity": "TOTAL"})
    assert isinstance(op, BatchGetItem)
    items = [{**get.key, "x": {"S": "x" * (300 * 1024 - 5)}} for get in op.gets]
    bodies = [{"Item": item, UNITS: {"TableName": "T", "CapacityUnits": 37.5}} for item in items]
    answer: Any = batch_get_response(op, bodies)
    assert len(answer["Responses"]["T"]) == 52
    assert answer["UnprocessedKeys"]["T"]["Keys"] == [get.key for get in op.gets[52:]]
    assert answer[UNITS] == [{"TableName": "T", "CapacityUnits": 52 * 37.5}], "what is unprocessed is not charged"


def test_writes_that_did_not_happen_come_back_as_they_were_asked() -> None:
    put = {"PutRequest": {"Item": key("p")}}
    op = parse("BatchWriteItem", {"RequestItems": {"T": [put, *deletes(2)]}})
    assert isinstance(op, BatchWriteItem)
    assert batch_write_response(op, [None, {}, None]) == {
        "UnprocessedItems": {"T": [put, {"DeleteRequest": {"Key": key("1")}}]}
    }

"""TransactWriteItems and TransactGetItems on the reference machine: what is refused and how, what happens together,
what a token stands for, and what it costs (api.md §3, §5, §6, §7, §8; architecture.md §15)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from dynalab_model.database import State
from dynalab_model.errors import (
    DynamoError,
    collection_too_large,
    provisioned_throughput_exceeded,
    throttling,
    transaction_conflict,
    validation,
)
from dynalab_model.requests import parse
from dynalab_model.transactions import TOKEN_NS, reason_of

sys.path.insert(0, str(Path(__file__).parent))  # pytest imports test files by path, and their neighbours not at all
from transact_machine import (
    ABSENT,
    CANCELLED,
    FAILED,
    NONE,
    ONE,
    PRESENT,
    Machine,
    check,
    delete,
    get,
    item,
    put,
    update,
)

# --- what a request may say -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "actions", "words"),
    [
        (
            "TransactWriteItems",
            None,
            ONE + "Value null at 'transactItems' failed to satisfy constraint: Member must not be null",
        ),
        (
            "TransactWriteItems",
            [],
            ONE + "Value '[]' at 'transactItems' failed to satisfy constraint: Member must have length greater than or "
            "equal to 1",
        ),
        (
            "TransactGetItems",
            [],
            ONE + "Value '[]' at 'transactItems' failed to satisfy constraint: Member must have length greater than or "
            "equal to 1",
        ),
        (
            "TransactWriteItems",
            [{**put("a"), **delete("b")}],
            "TransactItems can only contain one of Check, Put, Update or Delete",
        ),
        (
            "TransactWriteItems",
            [{}],
            "Invalid Request: TransactWriteRequest should contain Delete or Put or Update request",
        ),
        (
            "TransactWriteItems",
            [{"Update": {"TableName": "Players", "Key": item("a")}}],
            ONE + "Value null at 'transactItems.1.member.update.updateExpression' failed to satisfy constraint: Member "
            "must not be null",
        ),
        (
            "TransactWriteItems",
            [put("a"), {"ConditionCheck": {"TableName": "Players", "Key": item("b")}}],
            ONE + "Value null at 'transactItems.2.member.conditionCheck.conditionExpression' failed to satisfy "
            "constraint: Member must not be null",
        ),
        (
            "TransactWriteItems",
            [put("a", table="no name")],
            ONE + "Value 'no name' at 'transactItems.1.member.put.tableName' failed to satisfy constraint: Member must "
            "satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
        ),
        (
            "TransactGetItems",
            [{}],
            ONE + "Value null at 'transactItems.1.member.get' failed to satisfy constraint: Member must not be null",
        ),
        (
            "TransactWriteItems",
            [put("a", when="pk =")],
            'Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "="',
        ),
        (
            "TransactWriteItems",
            [{"Put": {"TableName": "Players", "Item": {"pk": {"S": "a"}, "t": {"S": "x" * 409600}}}}],
            "Item size has exceeded the maximum allowed size",
        ),
        (
            "TransactWriteItems",
            [
                {"Put": {"TableName": "Players", "Item": {"pk": {"S": str(n)}, "t": {"S": "x" * 400_000}}}}
                for n in range(11)
            ],
            "The aggregate size of the items in the transaction cannot exceed 4 MB",
        ),
    ],
)
def test_what_is_no_transaction_is_refused_with_the_services_words(operation: str, actions: Any, words: str) -> None:
    with pytest.raises(DynamoError) as caught:
        parse(operation, {"TransactItems": actions})
    assert (caught.value.code, caught.value.message) == ("ValidationException", words)


@pytest.mark.claim("S68")
@pytest.mark.parametrize(("operation", "action"), [("TransactWriteItems", put), ("TransactGetItems", get)])
def test_a_hundred_items_make_a_transaction_and_a_hundred_and_one_are_refused(operation: str, action: Any) -> None:
    machine = Machine()
    hundred = [action(f"p{number}") for number in range(100)]
    assert len(machine(operation, TransactItems=hundred).get("Responses", [{}] * 100)) == 100
    error = machine.refused(operation, TransactItems=[*hundred, action("one more")])
    assert error.code == "ValidationException"
    assert error.message.endswith(
        "at 'transactItems' failed to satisfy constraint: Member must have length less than or equal to 100"
    )
    assert len(machine.state.tables["Players"].items) == (100 if action is put else 0)


@pytest.mark.parametrize(
    ("token", "rule"), [("", "greater than or equal to 1"), ("t" * 37, "less than or equal to 36")]
)
def test_a_token_has_1_to_36_characters(token: str, rule: str) -> None:
    error = Machine().refused("TransactWriteItems", TransactItems=[put("a")], ClientRequestToken=token)
    assert error.message == (
        f"{ONE}Value '{token}' at 'clientRequestToken' failed to satisfy constraint: Member must have length {rule}"
    )


def test_members_from_before_expressions_are_unknown_here_and_ignored() -> None:
    machine = Machine()
    action = {"Put": {**put("a", when=ABSENT)["Put"], "Expected": {"pk": {"Exists": True}}}}
    assert machine.write(action) == {}
    assert machine.get("Players", pk="a") == item("a")


# --- keys -----------------------------------------------------------------------------------------------------------


@pytest.mark.claim("S72")
@pytest.mark.parametrize("second", [put("a", n=1), delete("a"), check("a", PRESENT), update("a", "SET n = :n", n=1)])
def test_two_actions_on_one_item_are_refused_for_want_of_a_sort_key(second: dict[str, Any]) -> None:
    machine = Machine()
    error = machine.refused("TransactWriteItems", TransactItems=[put("a"), put("b"), second])
    assert (error.code, error.message) == (
        "ValidationException",
        "Transaction request cannot include multiple operations on one item",
    )
    assert not machine.state.tables["Players"].items
    things = [{"Put": {"TableName": "Things", "Item": {**item("a"), "sk": {"S": sk}}}} for sk in ("coins", "health")]
    assert machine.write(*things) == {}


def test_one_item_is_not_read_twice_either() -> None:
    error = Machine().refused("TransactGetItems", TransactItems=[get("a"), get("a", ProjectionExpression="n")])
    assert error.message == "Transaction request cannot include multiple operations on one item"


def test_items_of_two_tables_may_have_the_same_key() -> None:
    machine = Machine()
    machine.create("Others", {"pk": "S"})
    assert machine.write(put("a"), put("a", table="Others")) == {}


def test_a_missing_table_is_not_found_and_its_name_is_not_told() -> None:
    machine = Machine()
    error = machine.refused("TransactWriteItems", TransactItems=[put("a"), put("b", table="Nowhere")])
    assert (error.code, error.message) == ("ResourceNotFoundException", "Requested resource not found")
    assert machine.get("Players", pk="a") is None


def test_a_key_of_the_wrong_type_is_a_reason_of_its_action() -> None:
    machine = Machine()
    reasons = machine.cancelled(
        put("a"),
        {"Delete": {"TableName": "Players", "Key": {"pk": {"N": "1"}}}},
        {"Put": {"TableName": "Players", "Item": {"n": {"N": "1"}}}},
        update("b", "SET pk = :one", one=1),
    )
    assert reasons == [
        NONE,
        {"Code": "ValidationError", "Message": "The provided key element does not match the schema"},
        {
            "Code": "ValidationError",
            "Message": "One or more parameter values were invalid: Missing the key pk in the item",
        },
        {
            "Code": "ValidationError",
            "Message": "One or more parameter values were invalid: Cannot update attribute pk. This attribute is part "
            "of the key",
        },
    ]
    error = machine.refused("TransactGetItems", TransactItems=[get("a"), {"Get": {"TableName": "Players", "Key": {}}}])
    assert error.code == "TransactionCanceledException"
    assert error.extra["CancellationReasons"] == [NONE, reasons[1]]


@pytest.mark.parametrize("operation", ["TransactWriteItems", "TransactGetItems"])
def test_an_empty_key_is_an_error_of_the_whole_request(operation: str) -> None:
    action = delete if operation == "TransactWriteItems" else get
    error = Machine().refused(operation, TransactItems=[action("a"), action("")])
    assert (error.code, error.message) == (
        "ValidationException",
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty "
        "string value. Key: pk",
    )


# --- what happens ---------------------------------------------------------------------------------------------------


def test_all_four_kinds_of_actions_happen_together() -> None:
    machine = Machine()
    machine.write(put("old"), put("kept", n=1), put("changed", n=1))
    actions = [delete("old", PRESENT), check("kept", "n = pk OR size(pk) > n"), put("new", when=ABSENT)]
    assert machine.write(*actions, update("changed", "ADD n :one", one=1)) == {}
    found = [machine.get("Players", pk=name) for name in ("old", "kept", "changed", "new")]
    assert found == [None, item("kept", n=1), item("changed", n=2), item("new")]


def test_one_false_condition_and_nothing_happens() -> None:
    machine = Machine()
    machine.write(put("a", n=1))
    assert machine.cancelled(put("b"), update("a", "SET n = :n", n=2), delete("c", PRESENT)) == [NONE, NONE, FAILED]
    assert (machine.get("Players", pk="a"), machine.get("Players", pk="b")) == (item("a", n=1), None)


def test_every_failing_action_has_its_own_reason_and_the_others_have_none() -> None:
    machine = Machine()
    machine.write(put("a", n=1), {"Put": {"TableName": "Players", "Item": {**item("text"), "n": {"S": "no number"}}}})
    long = {
        "Update": {**update("long", "SET t = :t")["Update"], "ExpressionAttributeValues": {":t": {"S": "x" * 409600}}}
    }
    reasons = machine.cancelled(
        put("b"),
        put("a", when=ABSENT),
        update("text", "SET n = n + :one", one=1),
        update("none", "SET n = m + :one", one=1),
        update("path", "SET a.b = :one", one=1),
        long,
        check("kept", "attribute_type(pk, :s)", ExpressionAttributeValues={":s": {"S": "S"}}),
        delete("gone"),
    )
    assert reasons == [
        NONE,
        FAILED,
        {
            "Code": "ValidationError",
            "Message": "An operand in the update expression has an incorrect data type",
        },
        {
            "Code": "ValidationError",
            "Message": "The provided expression refers to an attribute that does not exist in the item",
        },
        {
            "Code": "ValidationError",
            "Message": "The document path provided in the update expression is invalid for update",
        },
        {"Code": "ValidationError", "Message": "Item size to update has exceeded the maximum allowed size"},
        FAILED,
        NONE,
    ]


def test_the_item_that_failed_a_condition_comes_with_its_reason_where_it_was_asked_for() -> None:
    machine = Machine()
    machine.write(put("a", n=1), put("b", n=1))
    old = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    with_item = {"Put": {**put("a", when=ABSENT)["Put"], **old}}
    reasons = machine.cancelled(with_item, delete("b", ABSENT), check("c", PRESENT, **old))
    assert reasons == [{**FAILED, "Item": item("a", n=1)}, FAILED, FAILED]


def test_a_full_item_collection_is_a_reason() -> None:
    machine = Machine(State(collection_bytes_max=1000))
    thing = {"pk": {"S": "a"}, "sk": {"S": "b"}, "t": {"S": "x" * 1000}}
    assert machine.cancelled(put("a"), {"Put": {"TableName": "Things", "Item": thing}}) == [
        NONE,
        {"Code": "ItemCollectionSizeLimitExceeded", "Message": "Collection size exceeded."},
    ]


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (collection_too_large(), "ItemCollectionSizeLimitExceeded", "Collection size exceeded."),
        (transaction_conflict(), "TransactionConflict", "Transaction is ongoing for the item"),
        (provisioned_throughput_exceeded(), "ProvisionedThroughputExceeded", "The level of configured provisioned "),
        (throttling(), "ThrottlingError", "Throughput exceeds the current capacity of your table or index."),
        (validation("words"), "ValidationError", "words"),
    ],
)
def test_each_error_has_its_code_among_the_reasons(error: DynamoError, code: str, words: str) -> None:
    reason = reason_of(error)
    assert reason["Code"] == code
    assert str(reason["Message"]).startswith(words)


def test_the_body_of_a_cancellation_is_the_services_own() -> None:
    machine = Machine()
    error = machine.refused("TransactWriteItems", TransactItems=[put("a"), check("b", PRESENT)])
    assert (error.status, error.body()) == (
        400,
        {
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": CANCELLED + "[None, ConditionalCheckFailed]",
            "CancellationReasons": [NONE, FAILED],
        },
    )


@pytest.mark.claim("S70", "S71")
@pytest.mark.parametrize(("coins", "operator", "bought"), [(400, ">", False), (400, ">=", True), (399, ">=", False)])
def test_health_is_bought_with_coins_or_neither_changes(coins: int, operator: str, bought: bool) -> None:
    """The well-known example, and its bug: with `>` whoever has exactly 400 coins cannot buy."""
    machine = Machine()
    machine.write(put("health", n=10), put("coins", n=coins))
    actions = [
        update("health", "SET n = :full", full=100),
        update("coins", "SET n = n - :price", f"n {operator} :price", price=400),
    ]
    if bought:
        assert machine.write(*actions) == {}
    else:
        assert machine.cancelled(*actions) == [NONE, FAILED]
    found = [machine.get("Players", pk=pk)["n"]["N"] for pk in ("health", "coins")]
    assert found == (["100", str(coins - 400)] if bought else ["10", str(coins)])


@pytest.mark.claim("S100", "S101")
def test_money_moves_between_two_accounts_and_never_below_zero() -> None:
    machine = Machine()
    machine.write(put("a", n=50), put("b", n=0))
    moved = 0
    for _ in range(4):
        take = update("a", "SET n = n - :m", "n >= :m", m=20)
        try:
            machine.write(take, update("b", "SET n = n + :m", m=20))
            moved += 1
        except DynamoError as error:
            assert error.extra["CancellationReasons"] == [FAILED, NONE]
    read = machine("TransactGetItems", TransactItems=[get("a"), get("b")])["Responses"]
    assert (moved, [one["Item"]["n"]["N"] for one in read]) == (2, ["10", "40"])


# --- reads ----------------------------------------------------------------------------------------------------------


def test_reads_answer_in_order_with_an_empty_place_for_what_is_not_there() -> None:
    machine = Machine()
    machine.write(put("a", n=1, m=2), put("b"))
    names = {"ProjectionExpression": "#n", "ExpressionAttributeNames": {"#n": "n"}}
    actions = [get("none"), get("a", **names), get("b", **names)]
    answer = machine("TransactGetItems", TransactItems=actions)
    assert answer == {"Responses": [{}, {"Item": {"n": {"N": "1"}}}, {}]}


def test_more_than_4_mb_are_not_read_at_once() -> None:
    machine = Machine()
    for number in range(11):
        row = {"pk": {"S": f"p{number}"}, "t": {"S": "x" * 400_000}}
        machine("PutItem", TableName="Players", Item=row)
    ten = [get(f"p{number}") for number in range(10)]
    assert len(machine("TransactGetItems", TransactItems=ten)["Responses"]) == 10
    error = machine.refused("TransactGetItems", TransactItems=[*ten, get("p10")])
    assert error.message == "The aggregate size of the items in the transaction cannot exceed 4 MB"


# --- tokens ---------------------------------------------------------------------------------------------------------


def test_the_same_token_repeats_the_outcome_without_doing_it_again() -> None:
    machine = Machine()
    for _ in range(3):
        assert machine.write(update("a", "ADD n :one", one=1), ClientRequestToken="t") == {}
    assert machine.get("Players", pk="a") == item("a", n=1)
    machine.write(update("a", "ADD n :one", one=1), ClientRequestToken="another")
    machine.write(update("a", "ADD n :one", one=1))
    assert machine.get("Players", pk="a") == item("a", n=3)


def test_a_cancellation_is_repeated_too_though_it_could_happen_by_now() -> None:
    machine = Machine()
    action = update("a", "ADD n :one", PRESENT, one=1)
    assert machine.cancelled(action, ClientRequestToken="t") == [FAILED]
    machine.write(put("a"))
    assert machine.cancelled(action, ClientRequestToken="t") == [FAILED]
    assert machine.write(action, ClientRequestToken="u") == {}


def test_the_same_token_with_another_request_is_a_mismatch() -> None:
    machine = Machine()
    machine.write(put("a"), ClientRequestToken="t")
    for other in ({"TransactItems": [put("b")]}, {"TransactItems": [put("a")], "ReturnConsumedCapacity": "TOTAL"}):
        error = machine.refused("TransactWriteItems", ClientRequestToken="t", **other)
        assert error.body() == {
            "__type": "com.amazonaws.dynamodb.v20120810#IdempotentParameterMismatchException",
            "Message": "The request uses the same client token as a previous, but non-identical request.",
        }
    assert machine.get("Players", pk="b") is None


def test_what_is_compared_is_what_was_asked_and_not_how_it_was_spelled() -> None:
    machine = Machine()
    machine.write(put("a", n=1), ClientRequestToken="t")
    same = {"Put": {"Item": {"n": {"N": "1"}, "pk": {"S": "a"}}, "TableName": "Players"}}
    assert machine.write(same, ClientRequestToken="t", ReturnConsumedCapacity=None) == {}


def test_a_token_is_forgotten_ten_minutes_after_its_transaction() -> None:
    machine = Machine()
    machine.write(update("a", "ADD n :one", one=1), ClientRequestToken="t")
    machine.now_ns = TOKEN_NS - 1
    machine.write(update("a", "ADD n :one", one=1), ClientRequestToken="t")
    assert machine.get("Players", pk="a") == item("a", n=1)
    machine.now_ns = TOKEN_NS
    machine.write(update("a", "ADD n :one", one=1), ClientRequestToken="t")
    assert machine.get("Players", pk="a") == item("a", n=2)


def test_a_request_that_was_refused_for_what_it_is_leaves_its_token_unused() -> None:
    machine = Machine()
    for wrong in ([put("a"), delete("a")], [put("a", table="Nowhere")]):
        machine.refused("TransactWriteItems", TransactItems=wrong, ClientRequestToken="t")
    machine.cancelled({"Delete": {"TableName": "Players", "Key": {}}}, ClientRequestToken="t")
    assert machine.write(put("a"), ClientRequestToken="t") == {}

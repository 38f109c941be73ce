"""TransactWriteItems and TransactGetItems on the reference machine: what is refused and how, what happens together,
what a token stands for, and what it costs (api.md §3, §5, §6, §7, §8; architecture.md §15)."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_model.database import State, apply
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

ONE = "1 validation error detected: "
CANCELLED = "Transaction cancelled, please refer cancellation reasons for specific reasons "
NONE, FAILED = {"Code": "None"}, {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}


class Machine:
    """The reference machine with two tables: players by name, and things by owner and kind, with two indexes."""

    def __init__(self, state: State | None = None) -> None:
        self.state = state or State()
        self.now_ns = 0
        self.create("Players", {"pk": "S"})
        self.create("Things", {"pk": "S", "sk": "S"}, Global={"g": "S"}, Local={"pk": "S", "n": "N"})

    def create(self, name: str, keys: dict[str, str], **indexes: dict[str, str]) -> None:
        types = {**keys, **{part: kind for index in indexes.values() for part, kind in index.items()}}
        described: dict[str, list[Any]] = {}
        for index, parts in indexes.items():
            scope = "Local" if index == "Local" else "Global"
            one = {"IndexName": index, "KeySchema": schema(parts), "Projection": {"ProjectionType": "ALL"}}
            described.setdefault(f"{scope}SecondaryIndexes", []).append(one)
        self(
            "CreateTable",
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=schema(keys),
            AttributeDefinitions=[{"AttributeName": part, "AttributeType": kind} for part, kind in types.items()],
            **described,
        )

    def __call__(self, operation: str, **body: object) -> Any:
        self.state, answer = apply(self.state, parse(operation, body), self.now_ns)
        if isinstance(answer, DynamoError):
            raise answer
        return answer

    def refused(self, operation: str, **body: object) -> DynamoError:
        with pytest.raises(DynamoError) as caught:
            self(operation, **body)
        return caught.value

    def write(self, *actions: dict[str, Any], **body: object) -> Any:
        return self("TransactWriteItems", TransactItems=list(actions), **body)

    def cancelled(self, *actions: dict[str, Any], **body: object) -> list[dict[str, Any]]:
        """The reasons for which it did not happen."""
        error = self.refused("TransactWriteItems", TransactItems=list(actions), **body)
        assert error.code == "TransactionCanceledException", str(error)
        reasons: Any = error.extra["CancellationReasons"]
        assert error.message == CANCELLED + f"[{', '.join(reason['Code'] for reason in reasons)}]"
        return list(reasons)

    def get(self, table: str, **key: str) -> Any:
        return self("GetItem", TableName=table, Key={name: {"S": text} for name, text in key.items()}).get("Item")


def schema(parts: dict[str, str]) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": role} for name, role in zip(parts, ("HASH", "RANGE"), strict=False)]


def item(pk: str, **more: Any) -> dict[str, Any]:
    return {"pk": {"S": pk}, **{name: {"N": str(value)} for name, value in more.items()}}


def put(pk: str, /, *, when: str | None = None, table: str = "Players", **more: Any) -> dict[str, Any]:
    return {"Put": {"TableName": table, "Item": item(pk, **more), **condition(when)}}


def update(pk: str, change: str, when: str | None = None, **values: int) -> dict[str, Any]:
    given = {f":{name}": {"N": str(value)} for name, value in values.items()}
    body = {"TableName": "Players", "Key": item(pk), "UpdateExpression": change, **condition(when)}
    return {"Update": {**body, **({"ExpressionAttributeValues": given} if given else {})}}


def delete(pk: str, when: str | None = None) -> dict[str, Any]:
    return {"Delete": {"TableName": "Players", "Key": item(pk), **condition(when)}}


def check(pk: str, when: str, **more: Any) -> dict[str, Any]:
    return {"ConditionCheck": {"TableName": "Players", "Key": item(pk), "ConditionExpression": when, **more}}


def condition(text: str | None) -> dict[str, str]:
    return {} if text is None else {"ConditionExpression": text}


def get(pk: str, **more: Any) -> dict[str, Any]:
    return {"Get": {"TableName": "Players", "Key": item(pk), **more}}


ABSENT, PRESENT = "attribute_not_exists(pk)", "attribute_exists(pk)"

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


# --- capacity -------------------------------------------------------------------------------------------------------


def units(answer: Any) -> list[tuple[str, float]]:
    return [(one["TableName"], one["CapacityUnits"]) for one in answer["ConsumedCapacity"]]


@pytest.mark.claim("S69")
def test_three_items_of_500_bytes_cost_six_write_units() -> None:
    machine = Machine()
    actions = [
        {"Put": {"TableName": "Players", "Item": {"pk": {"S": str(number)}, "text": {"S": "x" * 493}}}}
        for number in range(3)
    ]
    answer = machine.write(*actions, ReturnConsumedCapacity="TOTAL")
    assert answer == {"ConsumedCapacity": [{"TableName": "Players", "CapacityUnits": 6.0, "WriteCapacityUnits": 6.0}]}
    alone = machine("PutItem", **{**actions[0]["Put"], "ReturnConsumedCapacity": "TOTAL"})
    assert alone["ConsumedCapacity"]["CapacityUnits"] == 1.0


def test_every_action_costs_twice_its_own_price_and_a_check_twice_the_item() -> None:
    machine = Machine()
    text = {"S": "x" * 3000}
    machine.write(*({"Put": {"TableName": "Players", "Item": {**item(pk), "t": text}}} for pk in ("a", "b", "c")))
    actions = [delete("a"), update("b", "SET n = :n", n=1), check("c", PRESENT), check("none", ABSENT), delete("none2")]
    answer = machine.write(*actions, ReturnConsumedCapacity="TOTAL")
    assert units(answer) == [("Players", 2 * (3 + 3 + 3 + 1 + 1))]


@pytest.mark.claim("S122")
def test_indexes_are_paid_once_and_the_table_twice() -> None:
    machine = Machine()
    thing = {**item("a", n=1), "sk": {"S": "b"}, "g": {"S": "c"}, "t": {"S": "x" * 4000}}
    answer = machine.write({"Put": {"TableName": "Things", "Item": thing}}, ReturnConsumedCapacity="INDEXES")
    assert answer["ConsumedCapacity"] == [
        {
            "TableName": "Things",
            "CapacityUnits": 16.0,
            "WriteCapacityUnits": 16.0,
            "Table": {"CapacityUnits": 8.0, "WriteCapacityUnits": 8.0},
            "LocalSecondaryIndexes": {"Local": {"CapacityUnits": 4.0, "WriteCapacityUnits": 4.0}},
            "GlobalSecondaryIndexes": {"Global": {"CapacityUnits": 4.0, "WriteCapacityUnits": 4.0}},
        }
    ]


@pytest.mark.claim("S122")
def test_4_kb_with_five_indexes_cost_24_units_alone_and_28_in_a_transaction() -> None:
    machine = Machine()
    machine.create("Six", {"pk": "S"}, **{f"Global{number}": {f"g{number}": "S"} for number in range(5)})
    row = {**item("a"), **{f"g{number}": {"S": "x"} for number in range(5)}, "t": {"S": "x" * 4000}}
    alone = machine("PutItem", TableName="Six", Item=row, ReturnConsumedCapacity="TOTAL")
    assert alone["ConsumedCapacity"]["CapacityUnits"] == 24.0
    machine("DeleteItem", TableName="Six", Key=item("a"))
    together = machine.write({"Put": {"TableName": "Six", "Item": row}}, ReturnConsumedCapacity="TOTAL")
    assert units(together) == [("Six", 28.0)]


def test_a_read_costs_two_units_for_every_4_kb_and_for_what_is_not_there() -> None:
    machine = Machine()
    machine("PutItem", TableName="Players", Item={**item("a"), "t": {"S": "x" * 5000}})
    answer = machine("TransactGetItems", TransactItems=[get("a"), get("none")], ReturnConsumedCapacity="INDEXES")
    assert answer["ConsumedCapacity"] == [
        {
            "TableName": "Players",
            "CapacityUnits": 6.0,
            "ReadCapacityUnits": 6.0,
            "Table": {"CapacityUnits": 6.0, "ReadCapacityUnits": 6.0},
        }
    ]


def test_capacity_is_told_table_by_table() -> None:
    machine = Machine()
    machine.create("Others", {"pk": "S"})
    answer = machine.write(put("a"), put("b", table="Others"), put("c"), ReturnConsumedCapacity="TOTAL")
    assert units(answer) == [("Players", 4.0), ("Others", 2.0)]


def test_a_replay_is_reported_as_reading_each_item_twice() -> None:
    machine = Machine()
    machine.write(put("gone"))
    actions = [{"Put": {"TableName": "Players", "Item": {**item("a"), "t": {"S": "x" * 5000}}}}, delete("gone")]
    options = {"ClientRequestToken": "t", "ReturnConsumedCapacity": "TOTAL"}
    assert units(machine.write(*actions, **options)) == [("Players", 12.0)]
    assert machine.write(*actions, **options) == {
        "ConsumedCapacity": [{"TableName": "Players", "CapacityUnits": 6.0, "ReadCapacityUnits": 6.0}]
    }


def test_metrics_are_told_of_tables_with_local_indexes_each_collection_once() -> None:
    machine = Machine()
    things = [{"Put": {"TableName": "Things", "Item": {**item("a"), "sk": {"S": sk}}}} for sk in "xy"]
    assert machine.write(put("a"), *things, ReturnItemCollectionMetrics="SIZE") == {
        "ItemCollectionMetrics": {
            "Things": [{"ItemCollectionKey": {"pk": {"S": "a"}}, "SizeEstimateRangeGB": [0.0, 1.0]}]
        }
    }

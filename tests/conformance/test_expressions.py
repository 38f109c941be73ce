"""Where expressions may stand, their size and spelling, and projections, row by row."""

from __future__ import annotations

from typing import Any

import pytest

ONE, TWO, FIVE = {"N": "1"}, {"N": "2"}, {"N": "5"}


def eav(values: dict[str, Any]) -> dict[str, Any]:
    return {"ExpressionAttributeValues": {f":{name}": value for name, value in values.items()}} if values else {}


# --- where they may stand (§1) ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows(service: Any) -> Any:
    """The service with one item collection: sk a–d, n 0–3."""
    for number, letter in enumerate("abcd"):
        service.put("Range", pk={"S": "rows"}, sk={"S": letter}, n={"N": str(number)})
    return service


def query(service: Any, condition: str, /, table: str = "Range", **members: Any) -> Any:
    """A strong Query; single-letter members are values, `p` is the partition key's."""
    values = {name: members.pop(name) for name in list(members) if len(name) == 1}
    values.setdefault("p", {"S": "rows"})
    return service(
        "Query", TableName=table, KeyConditionExpression=condition, ConsistentRead=True, **eav(values), **members
    )


def letters(answer: Any) -> str:
    return "".join(item["sk"]["S"] for item in answer["Items"])


@pytest.mark.row("place:key-condition")
def test_a_key_condition_decides_what_is_read(rows: Any) -> None:
    answer = query(rows, "pk = :p AND sk > :s", s={"S": "b"})
    assert (letters(answer), answer["Count"], answer["ScannedCount"]) == ("cd", 2, 2)


@pytest.mark.row("place:filter")
def test_a_filter_takes_away_after_reading_and_costs_the_same(rows: Any) -> None:
    plain = query(rows, "pk = :p", ReturnConsumedCapacity="TOTAL")
    answer = query(rows, "pk = :p", FilterExpression="n >= :n", n=TWO, ReturnConsumedCapacity="TOTAL")
    assert (letters(answer), answer["Count"], answer["ScannedCount"]) == ("cd", 2, 4)
    assert answer["ConsumedCapacity"] == plain["ConsumedCapacity"] == {"TableName": "Range", "CapacityUnits": 1.0}
    scanned = rows("Scan", TableName="Range", FilterExpression="n = :n", ConsistentRead=True, **eav({"n": {"N": "3"}}))
    assert letters(scanned) == "d" and scanned["ScannedCount"] >= 4


@pytest.mark.row("place:condition")
def test_a_condition_is_asked_of_the_item_before_the_write(service: Any) -> None:
    key = {"pk": {"S": "place"}}
    service("PutItem", TableName="Hash", Item=key | {"v": ONE})
    false = {"TableName": "Hash", "ConditionExpression": "v = :v", **eav({"v": TWO})}
    for operation, member in (("PutItem", "Item"), ("UpdateItem", "Key"), ("DeleteItem", "Key")):
        assert service.refused(operation, **false, **{member: key}).code == "ConditionalCheckFailedException"
    assert service.get("Hash", **key) == key | {"v": ONE}
    true = {"TableName": "Hash", "ConditionExpression": "v = :v"}
    service("PutItem", **true, Item=key | {"v": TWO}, **eav({"v": ONE}))
    service("UpdateItem", **true, Key=key, UpdateExpression="SET v = :w", **eav({"v": TWO, "w": FIVE}))
    service("DeleteItem", **true, Key=key, **eav({"v": FIVE}))
    assert service.get("Hash", **key) is None


@pytest.mark.row("place:update")
def test_an_update_changes_one_item(service: Any) -> None:
    key = {"pk": {"S": "place of an update"}}
    service("PutItem", TableName="Hash", Item=key | {"a": ONE, "b": ONE})
    service("UpdateItem", TableName="Hash", Key=key, UpdateExpression="SET a = :v", **eav({"v": TWO}))
    assert service.get("Hash", **key) == key | {"a": TWO, "b": ONE}


@pytest.mark.row("place:projection", "place:placeholders")
def test_a_projection_says_what_is_returned_by_every_read(rows: Any) -> None:
    key = {"pk": {"S": "rows"}, "sk": {"S": "b"}}
    projection: dict[str, Any] = {"ProjectionExpression": "#n", "ExpressionAttributeNames": {"#n": "n"}}
    assert rows("GetItem", TableName="Range", Key=key, ConsistentRead=True, **projection) == {"Item": {"n": ONE}}
    batch = {"Range": {"Keys": [key], "ConsistentRead": True, **projection}}
    assert rows("BatchGetItem", RequestItems=batch)["Responses"] == {"Range": [{"n": ONE}]}
    assert query(rows, "pk = :p AND sk = :s", s={"S": "b"}, **projection)["Items"] == [{"n": ONE}]
    scanned = rows(
        "Scan", TableName="Range", FilterExpression="#n = :v", ConsistentRead=True, **projection, **eav({"v": ONE})
    )
    assert {"n": ONE} in scanned["Items"]


@pytest.mark.row("size:all")
@pytest.mark.parametrize(
    ("operation", "member", "text"),
    [
        ("UpdateItem", "UpdateExpression", "SET a = :v"),
        ("DeleteItem", "ConditionExpression", "gone = :v"),
        ("Scan", "FilterExpression", "a = :v"),
        ("Query", "KeyConditionExpression", "pk = :v"),
        ("Scan", "ProjectionExpression", "a"),
    ],
)
def test_an_expression_of_4096_bytes_passes_and_one_more_does_not(
    service: Any, operation: str, member: str, text: str
) -> None:
    body: dict[str, Any] = {"TableName": "Hash"}
    if operation in ("UpdateItem", "DeleteItem"):
        body["Key"] = {"pk": {"S": "size of an expression"}}
    if ":v" in text:
        body |= eav({"v": {"S": "none"}})
    fits = body | {member: text.ljust(4096)}
    if member == "ConditionExpression":
        assert service.refused(operation, **fits).code == "ConditionalCheckFailedException"
    else:
        service(operation, **fits)
    error = service.refused(operation, **body, **{member: text.ljust(4097)})
    assert (error.code, error.message) == (
        "ValidationException",
        f"Invalid {member}: Expression size has exceeded the maximum allowed size;",
    )


@pytest.mark.row("lexical:syntax-window")
@pytest.mark.parametrize(
    ("operation", "member", "text", "told"),
    [
        (
            "Scan",
            "ProjectionExpression",
            "!!! INVALID !!!",
            'Invalid ProjectionExpression: Syntax error; token: "!", near: "!!"',
        ),
        (
            "UpdateItem",
            "UpdateExpression",
            "INVALID SYNTAX",
            'Invalid UpdateExpression: Syntax error; token: "INVALID", near: "INVALID SYNTAX"',
        ),
    ],
)
def test_a_syntax_error_shows_the_token_between_its_neighbours(
    service: Any, operation: str, member: str, text: str, told: str
) -> None:
    key = {} if operation == "Scan" else {"Key": {"pk": {"S": "syntax"}}}
    assert service.refused(operation, TableName="Hash", **key, **{member: text}).message == told


@pytest.mark.row("lexical:name-start")
@pytest.mark.parametrize("name", ["1a", "_a", "a-b", "a b"])
def test_a_name_that_does_not_start_with_a_letter_needs_a_placeholder(service: Any, name: str) -> None:
    error = service.refused("Scan", TableName="Hash", ProjectionExpression=name)
    assert error.message.startswith("Invalid ProjectionExpression: Syntax error; token: ")
    named = {"ProjectionExpression": "#n", "ExpressionAttributeNames": {"#n": name}}
    assert service("Scan", TableName="Hash", **named)["Count"] >= 0


# --- projections (§5) -------------------------------------------------------------------------------------------------

DOCUMENT: dict[str, Any] = {
    "m": {"M": {"a": ONE, "b": {"M": {"c": TWO, "d": FIVE}}}},
    "l": {"L": [ONE, {"M": {"x": ONE, "y": TWO}}, FIVE, {"S": "last"}]},
}


@pytest.mark.parametrize(
    ("projection", "found"),
    [
        pytest.param("m, gone", {"m": DOCUMENT["m"]}, marks=pytest.mark.row("projection:missing")),
        pytest.param("m.b.c", {"m": {"M": {"b": {"M": {"c": TWO}}}}}, marks=pytest.mark.row("projection:nested")),
        pytest.param(
            "m.a, m.b.d", {"m": {"M": {"a": ONE, "b": {"M": {"d": FIVE}}}}}, marks=pytest.mark.row("projection:nested")
        ),
        pytest.param("l[3], l[0]", {"l": {"L": [ONE, {"S": "last"}]}}, marks=pytest.mark.row("projection:indices")),
        pytest.param(
            "l[1].y, l[1].x", {"l": {"L": [{"M": {"x": ONE, "y": TWO}}]}}, marks=pytest.mark.row("projection:indices")
        ),
        pytest.param("l[9]", {}, marks=pytest.mark.row("projection:missing")),
    ],
)
def test_a_projection_returns_the_enclosing_parts(service: Any, projection: str, found: dict[str, Any]) -> None:
    key = {"pk": {"S": "projection"}}
    service("PutItem", TableName="Hash", Item=key | DOCUMENT)
    answer = service("GetItem", TableName="Hash", Key=key, ConsistentRead=True, ProjectionExpression=projection)
    assert answer == {"Item": found}


@pytest.mark.row("projection:keys-and-cost")
def test_keys_are_not_added_and_the_cost_is_the_items(service: Any) -> None:
    key = {"pk": {"S": "wide"}}
    service("PutItem", TableName="Hash", Item=key | {"a": ONE, "fill": {"S": "x" * 9_000}})
    read = {"TableName": "Hash", "Key": key, "ConsistentRead": True, "ReturnConsumedCapacity": "TOTAL"}
    answer = service("GetItem", **read, ProjectionExpression="a")
    assert answer == {"Item": {"a": ONE}, "ConsumedCapacity": {"TableName": "Hash", "CapacityUnits": 3.0}}
    assert service("GetItem", **read, AttributesToGet=["a"])["Item"] == {"a": ONE}


@pytest.mark.row("projection:overlap")
def test_paths_that_overlap_are_refused(service: Any) -> None:
    error = service.refused("Scan", TableName="Hash", ProjectionExpression="a, a.b")
    assert error.message == (
        "Invalid ProjectionExpression: Two document paths overlap with each other; must remove or rewrite one of these "
        "paths; path one: [a], path two: [a, b]"
    )

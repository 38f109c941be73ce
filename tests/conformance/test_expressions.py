"""Where expressions may stand; key conditions, projections and updates, row by row."""

# ruff: noqa: E501 (a text is easier to compare with a captured one when it is not cut)

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

NUMBER = count()
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
    assert updated(service, {"a": ONE, "b": ONE}, "SET a = :v", v=TWO) == {"a": TWO, "b": ONE}


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


# --- key conditions (§4) ----------------------------------------------------------------------------------------------


@pytest.mark.row("key:forms")
@pytest.mark.parametrize(
    ("condition", "values", "found"),
    [
        ("pk = :p", {}, "abcd"),
        ("pk = :p AND sk = :s", {"s": {"S": "b"}}, "b"),
        ("pk = :p AND sk < :s", {"s": {"S": "b"}}, "a"),
        ("pk = :p AND sk <= :s", {"s": {"S": "b"}}, "ab"),
        ("pk = :p AND sk > :s", {"s": {"S": "b"}}, "cd"),
        ("pk = :p AND sk >= :s", {"s": {"S": "b"}}, "bcd"),
        ("pk = :p AND sk BETWEEN :s AND :t", {"s": {"S": "b"}, "t": {"S": "c"}}, "bc"),
        ("pk = :p AND begins_with(sk, :s)", {"s": {"S": "c"}}, "c"),
        ("sk > :s AND pk = :p", {"s": {"S": "b"}}, "cd"),
    ],
)
def test_a_key_condition_has_one_of_these_forms(rows: Any, condition: str, values: dict[str, Any], found: str) -> None:
    assert letters(query(rows, condition, **values)) == found


@pytest.mark.row("key:mirrored")
def test_the_value_may_stand_on_the_left(rows: Any) -> None:
    assert letters(query(rows, ":p = pk AND :s <= sk", s={"S": "c"})) == "cd"


@pytest.mark.row("key:parentheses")
def test_each_condition_may_stand_in_parentheses(rows: Any) -> None:
    assert letters(query(rows, "(pk = :p) AND (sk > :s)", s={"S": "c"})) == "d"


@pytest.mark.row("key:begins-with-number")
def test_begins_with_is_not_for_numbers(service: Any) -> None:
    error = service.refused(
        "Query",
        TableName="Numbers",
        KeyConditionExpression="pk = :p AND begins_with(sk, :s)",
        **eav({"p": {"S": "a"}, "s": ONE}),
    )
    assert (
        error.message
        == "Invalid KeyConditionExpression: Incorrect operand type for operator or function; operator or function: begins_with, operand type: N"
    )


def key_mistake(row: str, condition: str, text: str, **values: Any) -> Any:
    return pytest.param(condition, values, text, id=f"{row} {condition}", marks=pytest.mark.row(row))


P, A, B = {"S": "rows"}, {"S": "a"}, {"S": "b"}
INVALID = "Invalid KeyConditionExpression: "


@pytest.mark.parametrize(
    ("condition", "values", "text"),
    [
        key_mistake(
            "key:operator",
            "pk = :p OR sk = :a",
            INVALID + "Invalid operator used in KeyConditionExpression: OR",
            p=P,
            a=A,
        ),
        key_mistake(
            "key:operator", "NOT pk = :p", INVALID + "Invalid operator used in KeyConditionExpression: NOT", p=P
        ),
        key_mistake(
            "key:operator",
            "pk = :p AND sk IN (:a)",
            INVALID + "Invalid operator used in KeyConditionExpression: IN",
            p=P,
            a=A,
        ),
        key_mistake(
            "key:operator",
            "pk = :p AND sk <> :a",
            INVALID + "Invalid operator used in KeyConditionExpression: <>",
            p=P,
            a=A,
        ),
        key_mistake(
            "key:function",
            "pk = :p AND contains(sk, :a)",
            INVALID + "Invalid operator used in KeyConditionExpression: contains",
            p=P,
            a=A,
        ),
        key_mistake(
            "key:function",
            "pk = :p AND attribute_exists(sk)",
            INVALID + "Invalid operator used in KeyConditionExpression: attribute_exists",
            p=P,
        ),
        key_mistake(
            "key:size",
            "pk = :p AND size(sk) = :a",
            INVALID + "KeyConditionExpressions cannot contain nested operations",
            p=P,
            a=ONE,
        ),
        key_mistake(
            "key:nested",
            "pk = :p AND sk.x = :a",
            INVALID + "KeyConditionExpressions cannot have conditions on nested attributes",
            p=P,
            a=A,
        ),
        key_mistake(
            "key:twice",
            "pk = :p AND sk > :a AND sk < :b",
            INVALID + "KeyConditionExpressions must only contain one condition per key",
            p=P,
            a=A,
            b=B,
        ),
        key_mistake(
            "key:two-attributes",
            "pk = sk",
            INVALID + "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition",
        ),
        key_mistake(
            "key:no-attribute",
            ":p = :a",
            INVALID + "Invalid condition in KeyConditionExpression: No key attribute specified",
            p=P,
            a=A,
        ),
        key_mistake(
            "key:value-first",
            "pk = :p AND :a BETWEEN sk AND :b",
            INVALID
            + "Invalid condition in KeyConditionExpression: BETWEEN operator must have the key attribute as its first operand",
            p=P,
            a=A,
            b=B,
        ),
        key_mistake(
            "key:value-first",
            "pk = :p AND begins_with(:a, sk)",
            INVALID
            + "Invalid condition in KeyConditionExpression: begins_with operator must have the key attribute as its first operand",
            p=P,
            a=A,
        ),
        key_mistake("key:missed", "third = :p", "Query condition missed key schema element: pk", p=P),
        key_mistake("key:missed", "pk = :p AND third = :a", "Query condition missed key schema element: sk", p=P, a=A),
        key_mistake("key:hash-not-equal", "pk > :p AND sk = :a", "Query key condition not supported", p=P, a=A),
        key_mistake(
            "key:three", "pk = :p AND sk = :a AND third = :b", "Conditions can be of length 1 or 2 only", p=P, a=A, b=B
        ),
        key_mistake(
            "key:type",
            "pk = :p AND sk = :a",
            "One or more parameter values were invalid: Condition parameter type does not match schema type",
            p=P,
            a=ONE,
        ),
    ],
)
def test_a_key_condition_that_is_none_is_refused(rows: Any, condition: str, values: dict[str, Any], text: str) -> None:
    error = rows.refused("Query", TableName="Range", KeyConditionExpression=condition, **eav(values))
    assert (error.code, error.message) == ("ValidationException", text)


@pytest.mark.row("key:filter-on-key")
def test_a_querys_filter_is_not_on_the_key(rows: Any) -> None:
    error = rows.refused(
        "Query", TableName="Range", KeyConditionExpression="pk = :p", FilterExpression="sk = :p", **eav({"p": P})
    )
    assert error.message == "Filter Expression can only contain non-primary key attributes: Primary key attribute: sk"


@pytest.mark.row("key:nothing")
def test_a_query_without_a_key_condition_is_refused(service: Any) -> None:
    error = service.refused("Query", TableName="Range")
    assert (
        error.message
        == "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."
    )


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


# --- updates (§6) -----------------------------------------------------------------------------------------------------


def updated(service: Any, before: dict[str, Any] | None, update: str, /, returns: str = "", **values: Any) -> Any:
    """The item after the update without its key, or with `returns` the answer's Attributes."""
    key = {"pk": {"S": f"update {next(NUMBER)}"}}
    if before is not None:
        service("PutItem", TableName="Hash", Item=key | before)
    body: dict[str, Any] = {"TableName": "Hash", "Key": key, "UpdateExpression": update, **eav(values)}
    answer = service("UpdateItem", **body, **({"ReturnValues": returns} if returns else {}))
    if returns:
        return answer.get("Attributes")
    item = service.get("Hash", **key)
    assert item["pk"] == key["pk"]
    return {name: value for name, value in item.items() if name != "pk"}


def change(row: str, before: dict[str, Any] | None, update: str, after: dict[str, Any], **values: Any) -> Any:
    return pytest.param(before, update, values, after, id=f"{row} {update}", marks=pytest.mark.row(row))


L12 = {"L": [ONE, TWO]}


@pytest.mark.parametrize(
    ("before", "update", "values", "after"),
    [
        change("update:pre-image", {"a": ONE, "b": TWO}, "SET a = b, b = a", {"a": TWO, "b": ONE}),
        change(
            "update:sections",
            {"a": ONE, "b": ONE, "n": ONE, "s": {"SS": ["p", "q"]}},
            "DELETE s :s ADD n :n REMOVE b SET a = :v",
            {"a": FIVE, "n": TWO, "s": {"SS": ["q"]}},
            s={"SS": ["p"]},
            n=ONE,
            v=FIVE,
        ),
        change("update:set", {"a": ONE}, "SET a = :v, b = :v", {"a": TWO, "b": TWO}, v=TWO),
        change("update:set", {"m": {"M": {"x": ONE}}}, "SET m.y = :v", {"m": {"M": {"x": ONE, "y": TWO}}}, v=TWO),
        change(
            "update:set-beyond",
            {"l": L12},
            "SET l[9] = :b, l[7] = :a",
            {"l": {"L": [ONE, TWO, {"S": "7"}, {"S": "9"}]}},
            a={"S": "7"},
            b={"S": "9"},
        ),
        change("update:set-beyond", {"l": L12}, "SET l[0] = :a", {"l": {"L": [FIVE, TWO]}}, a=FIVE),
        change("update:remove", {"a": ONE}, "REMOVE gone", {"a": ONE}),
        change("update:remove", {"l": {"L": [ONE, TWO, FIVE]}}, "REMOVE l[0], l[1]", {"l": {"L": [FIVE]}}),
        change("update:add-number", {}, "ADD n :v", {"n": FIVE}, v=FIVE),
        change("update:add-number", None, "ADD n :v", {"n": FIVE}, v=FIVE),
        change("update:add-number", {"n": {"N": "-7"}}, "ADD n :v", {"n": {"N": "-2"}}, v=FIVE),
        change("update:add-set", {"s": {"NS": ["1"]}}, "ADD s :s", {"s": {"NS": ["1", "2"]}}, s={"NS": ["2", "1.0"]}),
        change("update:add-set", {}, "ADD s :s", {"s": {"SS": ["a"]}}, s={"SS": ["a"]}),
        change("update:add-set", {"m": {"M": {"n": ONE}}}, "ADD m.n :v", {"m": {"M": {"n": TWO}}}, v=ONE),
        change(
            "update:delete-set", {"s": {"SS": ["p", "q"]}}, "DELETE s :s", {"s": {"SS": ["p"]}}, s={"SS": ["q", "z"]}
        ),
        change("update:delete-set", {"s": {"SS": ["p"]}}, "DELETE s :s", {}, s={"SS": ["p"]}),
        change("update:delete-set", {"a": ONE}, "DELETE s :s", {"a": ONE}, s={"SS": ["p"]}),
        change(
            "update:arithmetic", {"n": FIVE}, "SET n = n - :v, m = :v + n", {"n": {"N": "4"}, "m": {"N": "6"}}, v=ONE
        ),
        change("update:arithmetic", {"n": {"N": "1" * 37}}, "SET n = n + :v", {"n": {"N": "1" * 36 + "2"}}, v=ONE),
        change(
            "update:if-not-exists",
            {"a": ONE},
            "SET a = if_not_exists(a, :v), b = if_not_exists(b, :v)",
            {"a": ONE, "b": TWO},
            v=TWO,
        ),
        change("update:if-not-exists", {"a": ONE}, "SET b = if_not_exists(a, gone)", {"a": ONE, "b": ONE}),
        change(
            "update:list-append",
            {"l": L12},
            "SET l = list_append(l, :l)",
            {"l": {"L": [ONE, TWO, FIVE]}},
            l={"L": [FIVE]},
        ),
        change(
            "update:list-append",
            {},
            "SET l = list_append(if_not_exists(l, :e), :l)",
            {"l": {"L": [FIVE]}},
            e={"L": []},
            l={"L": [FIVE]},
        ),
        # §11
        change("idiom:counter", {}, "SET n = if_not_exists(n, :z) + :o", {"n": ONE}, z={"N": "0"}, o=ONE),
        change(
            "idiom:append",
            {"l": {"L": [ONE]}},
            "SET l = list_append(if_not_exists(l, :e), :v)",
            {"l": L12},
            e={"L": []},
            v={"L": [TWO]},
        ),
        change("idiom:membership", {"tags": {"SS": ["a"]}}, "ADD tags :t", {"tags": {"SS": ["a"]}}, t={"SS": ["a"]}),
    ],
)
def test_an_update_leaves_this_item(
    service: Any, before: dict[str, Any] | None, update: str, values: dict[str, Any], after: dict[str, Any]
) -> None:
    found = updated(service, before, update, **values)
    assert {name: _sorted(value) for name, value in found.items()} == after


def _sorted(value: dict[str, Any]) -> dict[str, Any]:
    """Sets have no order."""
    return {kind: sorted(content) if kind in ("SS", "NS", "BS") else content for kind, content in value.items()}


def refusal(row: str, update: str, text: str, before: dict[str, Any] | None = None, **values: Any) -> Any:
    return pytest.param(before or {}, update, values, text, id=f"{row} {update}", marks=pytest.mark.row(row))


BAD = "Invalid UpdateExpression: "
WRONG_TYPE = "An operand in the update expression has an incorrect data type"
NO_ATTRIBUTE = "The provided expression refers to an attribute that does not exist in the item"
BAD_PATH = "The document path provided in the update expression is invalid for update"


@pytest.mark.parametrize(
    ("before", "update", "values", "text"),
    [
        refusal("update:set-no-parent", "SET m.x = :v", BAD_PATH, v=ONE),
        refusal("update:set-no-parent", "SET a.x = :v", BAD_PATH, {"a": ONE}, v=ONE),
        refusal("update:add-type", "ADD a :v", WRONG_TYPE, {"a": {"S": "x"}}, v=ONE),
        refusal("update:delete-type", "DELETE a :v", WRONG_TYPE, {"a": ONE}, v={"SS": ["a"]}),
        refusal("update:arithmetic-missing", "SET n = gone + :v", NO_ATTRIBUTE, v=ONE),
        refusal("update:arithmetic-type", "SET n = a + :v", WRONG_TYPE, {"a": {"S": "x"}}, v=ONE),
        refusal(
            "update:arithmetic-overflow",
            "SET n = n + :v",
            "Number overflow. Attempting to store a number with magnitude larger than supported range",
            {"n": {"N": "99" + "0" * 124}},
            v={"N": "1E125"},
        ),
        refusal("update:list-append-missing", "SET l = list_append(l, :l)", NO_ATTRIBUTE, l={"L": []}),
        refusal(
            "update:key",
            "SET pk = :v",
            "One or more parameter values were invalid: Cannot update attribute pk. This attribute is part of the key",
            v={"S": "x"},
        ),
        refusal(
            "update:size",
            "SET v = :v",
            "Item size to update has exceeded the maximum allowed size",
            v={"S": "x" * 409_590},
        ),
        refusal(
            "update:reserved",
            "SET count = :v",
            BAD + "Attribute name is a reserved keyword; reserved keyword: count",
            v=ONE,
        ),
        refusal("update:unknown-function", "SET a = foo(b)", BAD + "Invalid function name; function: foo"),
        refusal(
            "update:section-twice",
            "SET a = :v SET b = :v",
            BAD + 'The "SET" section can only be used once in an update expression;',
            v=ONE,
        ),
        refusal(
            "update:name-undefined",
            "SET #x = :v",
            BAD + "An expression attribute name used in the document path is not defined; attribute name: #x",
            v=ONE,
        ),
        refusal(
            "update:value-undefined",
            "SET a = :w",
            BAD + "An expression attribute value used in expression is not defined; attribute value: :w",
        ),
        refusal(
            "update:overlap",
            "SET a = :v, a.b = :v",
            BAD
            + "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a, b]",
            v=ONE,
        ),
        refusal(
            "update:overlap",
            "SET a[0].b = :v REMOVE a[0]",
            BAD
            + "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a, [0], b], path two: [a, [0]]",
            v=ONE,
        ),
        refusal(
            "update:conflict",
            "SET a.b = :v, a[1] = :v",
            BAD
            + "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: [a, b], path two: [a, [1]]",
            v=ONE,
        ),
        refusal(
            "update:operand-type-add",
            "ADD a :v",
            BAD + "Incorrect operand type for operator or function; operator: ADD, operand type: STRING",
            v={"S": "x"},
        ),
        refusal(
            "update:operand-type-add",
            "ADD a :v",
            BAD + "Incorrect operand type for operator or function; operator: ADD, operand type: LIST",
            v={"L": []},
        ),
        refusal(
            "update:operand-type-delete",
            "DELETE a :v",
            BAD + "Incorrect operand type for operator or function; operator: DELETE, operand type: NUMBER",
            v=ONE,
        ),
        refusal(
            "update:operand-type-function",
            "SET a = list_append(a, :v)",
            BAD + "Incorrect operand type for operator or function; operator or function: list_append, operand type: S",
            v={"S": "x"},
        ),
        refusal(
            "update:operand-count",
            "SET a = if_not_exists(a)",
            BAD
            + "Incorrect number of operands for operator or function; operator or function: if_not_exists, number of operands: 1",
        ),
        refusal(
            "update:needs-path",
            "SET a = if_not_exists(:v, :v)",
            BAD + "Operator or function requires a document path; operator or function: if_not_exists",
            v=ONE,
        ),
        # order: reserved → unknown function → section → name → value → overlap → conflict → operand → function
        refusal(
            "update:report-order",
            "SET count = foo(a)",
            BAD + "Attribute name is a reserved keyword; reserved keyword: count",
        ),
        refusal("update:report-order", "SET a = foo(a) SET b = a", BAD + "Invalid function name; function: foo"),
        refusal(
            "update:report-order",
            "SET #x = :w SET b = a",
            BAD + 'The "SET" section can only be used once in an update expression;',
        ),
        refusal(
            "update:report-order",
            "SET #x = :w",
            BAD + "An expression attribute name used in the document path is not defined; attribute name: #x",
        ),
        refusal(
            "update:report-order",
            "SET a = :w, a.b = :w",
            BAD + "An expression attribute value used in expression is not defined; attribute value: :w",
        ),
        refusal(
            "update:report-order",
            "SET a.b = :v, a[1] = :v, a.b.c = :v",
            BAD
            + "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a, b], path two: [a, b, c]",
            v=ONE,
        ),
    ],
)
def test_an_update_that_cannot_be_is_refused_and_changes_nothing(
    service: Any, before: dict[str, Any], update: str, values: dict[str, Any], text: str
) -> None:
    key = {"pk": {"S": f"refused update {next(NUMBER)}"}}
    service("PutItem", TableName="Hash", Item=key | before)
    error = service.refused("UpdateItem", TableName="Hash", Key=key, UpdateExpression=update, **eav(values))
    assert (error.code, error.message) == ("ValidationException", text)
    assert service.get("Hash", **key) == key | before


@pytest.mark.row("update:index-key")
@pytest.mark.parametrize(
    ("update", "value", "text"),
    [
        ("SET g = :v", ONE, "The update expression attempted to update the secondary index key to unsupported type"),
        (
            "SET g = :v",
            {"S": "x" * 2049},
            "The update expression attempted to update the secondary index key beyond allowed size limits",
        ),
    ],
)
def test_an_index_key_is_not_updated_to_what_no_index_takes(service: Any, update: str, value: Any, text: str) -> None:
    key = {"pk": {"S": "index key"}, "sk": {"S": "a"}}
    error = service.refused("UpdateItem", TableName="Range", Key=key, UpdateExpression=update, **eav({"v": value}))
    assert (error.code, error.message) == ("ValidationException", text)


@pytest.mark.row("update:none")
def test_an_update_without_an_expression_makes_sure_that_the_item_is_there(service: Any) -> None:
    key = {"pk": {"S": "only a key"}}
    assert service("UpdateItem", TableName="Hash", Key=key) == {}
    assert service.get("Hash", **key) == key
    service.put("Hash", **key, a=ONE)
    service("UpdateItem", TableName="Hash", Key=key)
    assert service.get("Hash", **key) == key | {"a": ONE}


@pytest.mark.row("update:repeated")
def test_a_repeated_set_changes_nothing_and_a_repeated_add_counts_twice(service: Any) -> None:
    key = {"pk": {"S": "repeated"}}
    for _ in range(2):
        update = {"UpdateExpression": "SET a = :v ADD n :v", **eav({"v": ONE})}
        service("UpdateItem", TableName="Hash", Key=key, **update)
    assert service.get("Hash", **key) == key | {"a": ONE, "n": TWO}


@pytest.mark.row("update:paths-printed")
def test_a_path_is_printed_with_its_indices_in_brackets(service: Any) -> None:
    key = {"pk": {"S": "paths"}}
    error = service.refused("UpdateItem", TableName="Hash", Key=key, UpdateExpression="REMOVE a[0].b, a[0].b.c")
    assert error.message == BAD + (
        "Two document paths overlap with each other; must remove or rewrite one of these paths; "
        "path one: [a, [0], b], path two: [a, [0], b, c]"
    )


@pytest.mark.row("update:return-values")
def test_updated_images_hold_only_what_was_touched(service: Any) -> None:
    before = {"p": {"M": {"c": ONE, "d": TWO}}, "x": ONE, "l": {"L": [ONE, TWO, FIVE]}}
    assert updated(service, before, "SET p.c = :v", "UPDATED_NEW", v=FIVE) == {"p": {"M": {"c": FIVE}}}
    assert updated(service, before, "SET p.c = :v", "UPDATED_OLD", v=FIVE) == {"p": {"M": {"c": ONE}}}
    assert updated(service, before, "SET l[2] = :v, l[0] = :v", "UPDATED_OLD", v=FIVE) == {"l": {"L": [ONE, FIVE]}}
    assert updated(service, before, "REMOVE x", "UPDATED_NEW") is None
    assert updated(service, before, "REMOVE x", "UPDATED_OLD") == {"x": ONE}
    assert updated(service, None, "SET a = :v", "UPDATED_OLD", v=ONE) is None


# --- idioms (§11) -----------------------------------------------------------------------------------------------------


@pytest.mark.row("idiom:optimistic-lock", "idiom:guarded-decrement", "idiom:idempotent-consumer")
@pytest.mark.parametrize(
    ("update", "condition", "values"),
    [
        ("SET v = :new, x = :x", "v = :old", {"new": TWO, "old": ONE, "x": FIVE}),
        ("SET bal = bal - :a", "bal >= :a", {"a": {"N": "3"}}),
        ("SET last_seq = :seq", "attribute_not_exists(last_seq) OR last_seq < :seq", {"seq": FIVE}),
    ],
)
def test_a_guarded_update_goes_through_once(service: Any, update: str, condition: str, values: dict[str, Any]) -> None:
    key = {"pk": {"S": f"idiom {next(NUMBER)}"}}
    service("PutItem", TableName="Hash", Item=key | {"v": ONE, "bal": FIVE})
    body = {
        "TableName": "Hash",
        "Key": key,
        "UpdateExpression": update,
        "ConditionExpression": condition,
        **eav(values),
    }
    service("UpdateItem", **body)
    assert service.refused("UpdateItem", **body).code == "ConditionalCheckFailedException"


@pytest.mark.row("idiom:ttl-filter")
def test_expired_items_are_filtered_by_the_reader(service: Any) -> None:
    for sort, expires in (("x", None), ("y", "100"), ("z", "300")):
        more = {} if expires is None else {"expires": {"N": expires}}
        service.put("Range", pk={"S": "ttl"}, sk={"S": sort}, **more)
    answer = query(
        service,
        "pk = :p",
        FilterExpression="attribute_not_exists(expires) OR expires > :n",
        p={"S": "ttl"},
        n={"N": "200"},
    )
    assert letters(answer) == "xz"

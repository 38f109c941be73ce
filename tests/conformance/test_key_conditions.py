"""Key conditions, row by row."""

# ruff: noqa: E501 (a text is easier to compare with a captured one when it is not cut)

from __future__ import annotations

from typing import Any

import pytest

ONE, TWO, FIVE = {"N": "1"}, {"N": "2"}, {"N": "5"}


def eav(values: dict[str, Any]) -> dict[str, Any]:
    return {"ExpressionAttributeValues": {f":{name}": value for name, value in values.items()}} if values else {}


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


LONG: dict[str, Any] = {
    "TableName": "Long",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "a", "b", "x", "y")],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "long",
            "KeySchema": [
                {"AttributeName": "a", "KeyType": "HASH"},
                {"AttributeName": "b", "KeyType": "HASH"},
                {"AttributeName": "x", "KeyType": "RANGE"},
                {"AttributeName": "y", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
}


@pytest.mark.row("key:multi-attribute")
def test_all_attributes_of_the_partition_key_and_those_of_the_sort_key_from_left_to_right(service: Any) -> None:
    service("CreateTable", **LONG)
    service.pair.wait_active("Long")
    for place in ("1 2", "1 1", "2 1"):
        x, y = place.split()
        service.put("Long", pk={"S": place}, a={"S": "p"}, b={"S": "q"}, x={"S": x}, y={"S": y})
    service.put("Long", pk={"S": "without y"}, a={"S": "p"}, b={"S": "q"}, x={"S": "1"})
    values = {":p": {"S": "p"}, ":q": {"S": "q"}, ":1": {"S": "1"}}

    def ask(condition: str) -> dict[str, Any]:
        used = {name: value for name, value in values.items() if name in condition}
        return {
            "TableName": "Long",
            "IndexName": "long",
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": used,
        }

    def places(condition: str) -> list[str]:
        return [item["pk"]["S"] for item in service("Query", **ask(condition))["Items"]]

    assert places("a = :p AND b = :q") == ["1 1", "1 2", "2 1"]
    assert places("a = :p AND b = :q AND x = :1") == ["1 1", "1 2"]
    assert places("a = :p AND b = :q AND x = :1 AND y > :1") == ["1 2"]
    assert places("a = :p AND b = :q AND x > :1") == ["2 1"]
    for gap in (
        "a = :p",
        "a = :p AND b > :q",
        "a = :p AND b = :q AND y = :1",
        "a = :p AND b = :q AND x > :1 AND y = :1",
    ):
        assert service.refused("Query", **ask(gap)).code == "ValidationException", gap
    last = service("Query", **ask("a = :p AND b = :q"), Limit=1)["LastEvaluatedKey"]
    assert last == {"pk": {"S": "1 1"}, "a": {"S": "p"}, "b": {"S": "q"}, "x": {"S": "1"}, "y": {"S": "1"}}

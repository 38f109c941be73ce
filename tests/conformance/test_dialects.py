"""The same refusals in other words: over HTTP, where a dialect is chosen. Class and status are those of every dialect."""

# ruff: noqa: E501 (a text is easier to compare with a captured one when it is not cut)

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from dynalab.bench.load import Connection, Target
from dynalab.endpoint.server import Service, Settings
from dynalab_model.dialects import CLASSIC, DIALECTS, respelt
from dynalab_model.errors import validation

TABLE: dict[str, Any] = {
    "TableName": "Things",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
}
PUT: dict[str, Any] = {"TableName": "Things", "Item": {"pk": {"S": "a"}}}
INVALID = "One or more parameter values were invalid: "
ONE = "1 validation error detected: "


def put(value: dict[str, Any]) -> dict[str, Any]:
    return {**PUT, "Item": {**PUT["Item"], "v": value}}


def condition(text: str, **values: Any) -> dict[str, Any]:
    given = {"ExpressionAttributeValues": {f":{name}": value for name, value in values.items()}} if values else {}
    return {**PUT, "ConditionExpression": text, **given}


def spoken(dialect: str) -> Callable[[str, dict[str, Any]], Any]:
    """An endpoint of that dialect, asked once: the body of the answer, with its status."""

    async def ask(operation: str, body: dict[str, Any]) -> Any:
        service = Service(Settings(port=0, dialect=dialect))
        target = Target.of(await service.start())
        connection: Connection | None = None
        try:
            connection = await target.connect()
            await connection.request(target.encode("CreateTable", TABLE))
            status, data = await connection.request(target.encode(operation, body))
            return status, data.decode()
        finally:
            if connection is not None and connection.transport is not None:
                connection.transport.close()
            await service.stop()

    return lambda operation, body: asyncio.run(ask(operation, body))


DRIFTED = [
    # operation, request, the classic words, the words of 2026
    (
        "PutItem",
        {**PUT, "ReturnValues": "X"},
        f"{ONE}Value 'X' at 'returnValues' failed to satisfy constraint: Member must satisfy enum value set: [ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]",
        f"{ONE}Value at 'ReturnValues' failed to satisfy constraint: Member must satisfy enum value set: [ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]",
    ),
    (
        "PutItem",
        put({"SS": []}),
        f"{INVALID}An string set  may not be empty",
        f"{ONE}{INVALID}An string set  may not be empty",
    ),
    (
        "PutItem",
        put({"SS": ["a", "a"]}),
        f"{INVALID}Input collection [a, a] contains duplicates.",
        f"{ONE}{INVALID}Input collection [a, a] contains duplicates.",
    ),
    (
        "PutItem",
        put({"NULL": False}),
        f"{INVALID}Null attribute value types must have the value of true",
        f"{ONE}{INVALID}Null attribute value types must have the value of true",
    ),
    (
        "PutItem",
        condition("((a = :v))", v={"S": "x"}),
        "Invalid ConditionExpression: The expression has redundant parentheses;",
        f"{ONE}Invalid ConditionExpression: The expression has redundant parentheses;",
    ),
    (
        "PutItem",
        condition("a = a"),
        "Invalid ConditionExpression: The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [a]",
        f"{ONE}Invalid ConditionExpression: The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [a]",
    ),
    (
        "UpdateItem",
        {"TableName": "Things", "Key": {"pk": {"S": "a"}}, "UpdateExpression": "INVALID SYNTAX"},
        'Invalid UpdateExpression: Syntax error; token: "INVALID", near: "INVALID SYNTAX"',
        f'{ONE}Invalid UpdateExpression: Syntax error; token: "INVALID", near: "INVALID SYNTAX"',
    ),
    (
        "PutItem",
        condition("a" * 4097),
        "Invalid ConditionExpression: Expression size has exceeded the maximum allowed size;",
        f"{ONE}Invalid ConditionExpression: Expression size has exceeded the maximum allowed size;",
    ),
    (
        "PutItem",
        {**PUT, "ExpressionAttributeNames": {"#a": "a"}},
        "ExpressionAttributeNames can only be specified when using expressions",
        f"{ONE}ExpressionAttributeNames can only be specified when using expressions",
    ),
    (
        "PutItem",
        {**PUT, "ReturnValues": "ALL_NEW"},
        "ReturnValues can only be ALL_OLD or NONE",
        f"{ONE}ReturnValues can only be ALL_OLD or NONE",
    ),
    # What is in no family, and what other operations say, stays.
    (
        "PutItem",
        {"TableName": "Things", "Item": {"v": {"S": "a"}}},
        f"{INVALID}Missing the key pk in the item",
        f"{INVALID}Missing the key pk in the item",
    ),
    (
        "GetItem",
        {"TableName": "Things", "Key": {"pk": {"S": "a"}}, "ReturnConsumedCapacity": "X"},
        f"{ONE}Value 'X' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]",
        f"{ONE}Value 'X' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]",
    ),
]


@pytest.mark.row("text:drift")
@pytest.mark.parametrize(("operation", "body", "classic", "drifted"), DRIFTED)
def test_the_words_of_2026_for_puts_and_updates(
    service: Any, operation: str, body: dict[str, Any], classic: str, drifted: str
) -> None:
    error = service.refused(operation, **{**body, "TableName": "Hash"})
    assert (error.code, error.message) == ("ValidationException", classic)
    assert respelt(CLASSIC, operation, error.body()) == error.body()
    assert respelt("2026", operation, error.body()) == {**error.body(), "message": drifted}


@pytest.mark.row("text:drift")
def test_several_constraints_are_all_told_without_their_values() -> None:
    words = (
        "2 validation errors detected: Value 'X' at 'returnValues' failed to satisfy constraint: Member must a; "
        "Value null at 'key' failed to satisfy constraint: Member must not be null"
    )
    assert respelt("2026", "UpdateItem", validation(words).body())["message"] == (
        "2 validation errors detected: Value at 'ReturnValues' failed to satisfy constraint: Member must a; "
        "Value at 'Key' failed to satisfy constraint: Member must not be null"
    )


@pytest.mark.row("text:drift")
def test_an_endpoint_speaks_the_dialect_that_it_was_asked_for() -> None:
    wrong = {**PUT, "ReturnValues": "ALL_NEW"}
    kind = "com.amazon.coral.validate#ValidationException"
    assert spoken(CLASSIC)("PutItem", wrong) == (
        400,
        f'{{"__type":"{kind}","message":"ReturnValues can only be ALL_OLD or NONE"}}',
    )
    assert spoken("2026")("PutItem", wrong) == (
        400,
        f'{{"__type":"{kind}","message":"{ONE}ReturnValues can only be ALL_OLD or NONE"}}',
    )


@pytest.mark.row("text:older-name")
@pytest.mark.parametrize("name", ["", "ab", "x" * 256])
def test_an_older_wording_of_names_of_wrong_length(name: str) -> None:
    kind = "com.amazon.coral.validate#ValidationException"
    words = "TableName must be at least 3 characters long and at most 255 characters long"
    assert spoken("older")("PutItem", {**PUT, "TableName": name}) == (400, f'{{"__type":"{kind}","message":"{words}"}}')


@pytest.mark.row("text:older-name")
def test_older_words_are_for_names_of_wrong_length_alone() -> None:
    status, text = spoken("older")("GetItem", {"TableName": "abc", "Key": {"pk": {"S": "a"}}})
    assert (status, "Requested resource not found" in text) == (400, True)
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/Things"
    assert spoken("older")("PutItem", {**PUT, "TableName": arn}) == (200, "{}")


def test_every_dialect_says_what_it_is() -> None:
    assert list(DIALECTS) == [CLASSIC, "2026", "older"]
    assert all(dialect.says for dialect in DIALECTS.values())

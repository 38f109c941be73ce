"""A reference machine for tests of transactions, and short ways to say their actions."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_model.database import State, apply
from dynalab_model.errors import DynamoError
from dynalab_model.requests import parse

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

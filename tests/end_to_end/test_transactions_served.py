"""Transactions at the endpoint, as any HTTP client asks: rules that are turned on, and the ledger out of sight."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from dynalab.bench.load import Target
from dynalab.endpoint.server import Service, Settings
from dynalab_impl.transaction_rules import ONE_ROUND_WRITE

TABLE = {
    "TableName": "things",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


def put(key: str) -> dict[str, Any]:
    return {"Put": {"TableName": "things", "Item": {"pk": {"S": key}}}}


async def served(settings: Settings, requests: list[tuple[str, dict[str, Any]]]) -> tuple[list[Any], dict[str, int]]:
    """The answers of an endpoint with these settings, and what its nodes have told."""
    service = Service(settings)
    target = Target.of(await service.start())
    try:
        assert (await target.call("CreateTable", TABLE))[0] == 200
        while (await target.call("PutItem", {"TableName": "things", "Item": {"pk": {"S": "warm"}}}))[0] != 200:
            await asyncio.sleep(0.05)
        return [await target.call(name, body) for name, body in requests], dict(service.cluster.told)
    finally:
        await service.stop()


def test_a_rule_that_is_turned_on_makes_a_transaction_of_one_partition_one_entry() -> None:
    asked = [
        ("TransactWriteItems", {"TransactItems": [put("a"), put("b")]}),
        ("TransactWriteItems", {"TransactItems": [put("c"), put("d")], "ClientRequestToken": "t"}),
        ("Scan", {"TableName": "things", "ConsistentRead": True}),
    ]
    for rules in ((), (ONE_ROUND_WRITE,)):
        settings = Settings(port=0, partitions=1, transaction_rules=rules)
        answers, told = asyncio.run(served(settings, asked))
        assert [status for status, _ in answers] == [200, 200, 200]
        assert answers[2][1]["Count"] == 5
        assert (told.get("transaction-in-one-entry", 0), told["transaction-begun"]) == ((1, 1) if rules else (0, 2))


def test_no_client_sees_or_names_the_ledger() -> None:
    asked = [
        ("TransactWriteItems", {"TransactItems": [put("a"), put("b")]}),
        ("ListTables", {}),
        ("DescribeTable", {"TableName": "#ledger"}),
        ("Scan", {"TableName": "#ledger"}),
        ("DeleteTable", {"TableName": "#ledger"}),
        ("ExecuteStatement", {"Statement": 'SELECT * FROM "#ledger"'}),
        ("TransactWriteItems", {"TransactItems": [{"Delete": {"TableName": "#ledger", "Key": {"k": {"S": "id/0"}}}}]}),
        ("CreateTable", {**TABLE, "TableName": "#ledger"}),
        ("Scan", {"TableName": "arn:aws:dynamodb:us-east-1:000000000000:table/#ledger"}),
        ("DescribeTable", {"TableName": "arn:aws:dynamodb:us-east-1:000000000000:table/#ledger"}),
        (
            "GetItem",
            {"TableName": "arn:aws:dynamodb:us-east-1:000000000000:table/#ledger", "Key": {"k": {"S": "id/0"}}},
        ),
        ("TagResource", {"ResourceArn": "arn:aws:dynamodb:us-east-1:000000000000:table/#ledger", "Tags": []}),
    ]
    answers, _ = asyncio.run(served(Settings(port=0), asked))
    assert answers[0][0] == 200 and answers[1][1] == {"TableNames": ["things"]}
    for (name, _), (status, body) in zip(asked[2:], answers[2:], strict=True):
        assert status == 400, (name, body)
        assert "#ValidationException" in body["__type"] or "ResourceNotFound" in body["__type"], json.dumps(body)

"""An unmodified boto3 makes and drops indexes of a table that is in use, meets one that lags, and sees items expire."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from dynalab.cli.fault import fault as fault_command
from tests.end_to_end.serving import Served, serve

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ITEMS = 200
PATIENCE_S = 20


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve("--lab") as running:
        yield running


@pytest.fixture(scope="module")
def client(served: Served) -> DynamoDBClient:
    return served.client(attempts=4)


def make(client: DynamoDBClient, table: str) -> None:
    client.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    client.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1})


def add_index(client: DynamoDBClient, table: str, name: str, key: str) -> None:
    client.update_table(
        TableName=table,
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": name,
                    "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            }
        ],
    )


def index_status(client: DynamoDBClient, table: str, name: str) -> str:
    for told in client.describe_table(TableName=table)["Table"].get("GlobalSecondaryIndexes", []):
        if told["IndexName"] == name:
            return told["IndexStatus"]
    return ""


def wait(condition: Any) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def keys(client: DynamoDBClient, table: str, index: str, name: str, value: str) -> list[str]:
    pages = client.get_paginator("query").paginate(
        TableName=table,
        IndexName=index,
        KeyConditionExpression="#n = :v",
        ExpressionAttributeNames={"#n": name},
        ExpressionAttributeValues={":v": {"S": value}},
    )
    return sorted(item["pk"]["S"] for page in pages for item in page["Items"])


@pytest.mark.claim("S27")
def test_an_index_is_made_dropped_and_made_again_while_others_write(served: Served, client: DynamoDBClient) -> None:
    make(client, "orders")
    wanted: dict[str, str] = {}

    def put(number: int, colour: str) -> None:
        client.put_item(TableName="orders", Item={"pk": {"S": f"k{number}"}, "colour": {"S": colour}})
        wanted[f"k{number}"] = colour

    for number in range(ITEMS):
        put(number, "red")
    stop = threading.Event()
    mistakes: list[Exception] = []

    def write(worker: int) -> None:
        number = worker
        try:
            while not stop.is_set():
                put(number % ITEMS, ("blue", "green")[number // ITEMS % 2])
                number += 4
        except Exception as error:
            mistakes.append(error)

    writers = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(2):
            add_index(client, "orders", "by-colour", "colour")
            with pytest.raises(ClientError) as caught:
                keys(client, "orders", "by-colour", "colour", "red")
            assert "Cannot read from backfilling global secondary index" in str(caught.value)
            wait(lambda: index_status(client, "orders", "by-colour") == "ACTIVE")
            keys(client, "orders", "by-colour", "colour", "blue")
            update: Any = [{"Delete": {"IndexName": "by-colour"}}]
            client.update_table(TableName="orders", GlobalSecondaryIndexUpdates=update)
            wait(lambda: index_status(client, "orders", "by-colour") == "")
            client.get_waiter("table_exists").wait(TableName="orders", WaiterConfig={"Delay": 1})
            with pytest.raises(ClientError) as caught:
                keys(client, "orders", "by-colour", "colour", "red")
            assert "The table does not have the specified index" in str(caught.value)
        add_index(client, "orders", "by-colour", "colour")
        wait(lambda: index_status(client, "orders", "by-colour") == "ACTIVE")
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert not mistakes
    for colour in ("red", "blue", "green"):
        names = sorted(key for key, held in wanted.items() if held == colour)
        wait(partial(_shows, client, colour, names))


def _shows(client: DynamoDBClient, colour: str, names: list[str]) -> bool:
    return keys(client, "orders", "by-colour", "colour", colour) == names


@pytest.mark.claim("S27")
def test_a_query_of_an_index_lags_when_told_to(served: Served, client: DynamoDBClient) -> None:
    make(client, "lagging")
    add_index(client, "lagging", "by-colour", "colour")
    wait(lambda: index_status(client, "lagging", "by-colour") == "ACTIVE")
    served.fault("index-lag", table="lagging", lag_ms=1_500)
    began = time.monotonic()
    client.put_item(TableName="lagging", Item={"pk": {"S": "a"}, "colour": {"S": "red"}})
    assert client.get_item(TableName="lagging", Key={"pk": {"S": "a"}}, ConsistentRead=True)["Item"]
    assert keys(client, "lagging", "by-colour", "colour", "red") == []
    with urllib.request.urlopen(f"{served.url}/_dynalab/faults") as answer:
        told = json.load(answer)["indexes"]
    assert [(one["index"], one["queued"]) for one in told if one["table"] == "lagging"] == [("by-colour", 1)]
    listed = CliRunner().invoke(fault_command, ["--url", served.url])
    assert "lagging/by-colour: 1 changes on their way" in listed.output, listed.output
    wait(lambda: keys(client, "lagging", "by-colour", "colour", "red") == ["a"])
    assert time.monotonic() - began > 1
    served.fault("heal")


@pytest.mark.claim("S79")
def test_an_expired_item_goes_by_itself(client: DynamoDBClient) -> None:
    make(client, "sessions")
    by_expires: Any = {"Enabled": True, "AttributeName": "expires"}
    client.update_time_to_live(TableName="sessions", TimeToLiveSpecification=by_expires)

    def put(key: str, expires: int) -> None:
        client.put_item(TableName="sessions", Item={"pk": {"S": key}, "expires": {"N": str(expires)}})

    now = int(time.time())
    put("old", now - 5)
    put("stays", now + 3_600)
    put("milliseconds", now * 1_000)

    def left() -> list[str]:
        items = client.scan(TableName="sessions", ConsistentRead=True)["Items"]
        return sorted(item["pk"]["S"] for item in items)

    wait(lambda: left() == ["milliseconds", "stays"])

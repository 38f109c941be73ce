"""An unmodified boto3 against `dynalab serve`: the script that the project promises to run."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from tests.end_to_end.serving import Served, serve

ITEMS = 1_000


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve() as running:
        yield running


@pytest.mark.claim("S27", "S30")
def test_create_write_query_scan_index_delete(served: Served) -> None:
    client = served.client()
    client.create_table(
        TableName="orders",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "customer", "AttributeType": "S"},
            {"AttributeName": "number", "AttributeType": "N"},
            {"AttributeName": "state", "AttributeType": "S"},
        ],
        KeySchema=[
            {"AttributeName": "customer", "KeyType": "HASH"},
            {"AttributeName": "number", "KeyType": "RANGE"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-state",
                "KeySchema": [
                    {"AttributeName": "state", "KeyType": "HASH"},
                    {"AttributeName": "number", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    client.get_waiter("table_exists").wait(TableName="orders", WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    assert client.list_tables()["TableNames"] == ["orders"]
    assert client.describe_table(TableName="orders")["Table"]["TableStatus"] == "ACTIVE"

    for number in range(ITEMS):
        item = {"customer": {"S": f"c{number % 10}"}, "number": {"N": str(number)}, "text": {"S": "x" * 200}}
        if number % 4 == 0:
            item["state"] = {"S": "open"}
        client.put_item(TableName="orders", Item=item, ConditionExpression="attribute_not_exists(customer)")
    with pytest.raises(client.exceptions.ConditionalCheckFailedException):
        client.put_item(
            TableName="orders",
            Item={"customer": {"S": "c0"}, "number": {"N": "0"}},
            ConditionExpression="attribute_not_exists(customer)",
        )

    found = client.query(
        TableName="orders",
        KeyConditionExpression="customer = :c AND #n BETWEEN :low AND :high",
        ExpressionAttributeNames={"#n": "number"},
        ExpressionAttributeValues={":c": {"S": "c3"}, ":low": {"N": "100"}, ":high": {"N": "199"}},
        ConsistentRead=True,
        ScanIndexForward=False,
    )
    assert [int(item["number"]["N"]) for item in found["Items"]] == list(range(193, 100, -10))

    pages = list(
        client.get_paginator("scan").paginate(
            TableName="orders", ConsistentRead=True, PaginationConfig={"PageSize": 150}
        )
    )
    assert len(pages) > ITEMS // 150
    numbers = [int(item["number"]["N"]) for page in pages for item in page["Items"]]
    assert sorted(numbers) == list(range(ITEMS)), "every item once, over all pages"

    open_orders: list[int] = []
    give_up = time.monotonic() + 10
    while len(open_orders) < ITEMS // 4 and time.monotonic() < give_up:
        index_pages = client.get_paginator("query").paginate(
            TableName="orders",
            IndexName="by-state",
            KeyConditionExpression="#s = :open",
            ExpressionAttributeNames={"#s": "state"},
            ExpressionAttributeValues={":open": {"S": "open"}},
        )
        open_orders = [int(item["number"]["N"]) for page in index_pages for item in page["Items"]]
    assert open_orders == list(range(0, ITEMS, 4)), "the index holds the items that have its key, in its order"

    updated = client.update_item(
        TableName="orders",
        Key={"customer": {"S": "c1"}, "number": {"N": "1"}},
        UpdateExpression="SET visits = if_not_exists(visits, :zero) + :one",
        ExpressionAttributeValues={":zero": {"N": "0"}, ":one": {"N": "1"}},
        ReturnValues="UPDATED_NEW",
    )
    assert updated["Attributes"] == {"visits": {"N": "1"}}
    deleted = client.delete_item(
        TableName="orders", Key={"customer": {"S": "c1"}, "number": {"N": "1"}}, ReturnValues="ALL_OLD"
    )
    assert deleted["Attributes"]["visits"] == {"N": "1"}
    gone = client.get_item(TableName="orders", Key={"customer": {"S": "c1"}, "number": {"N": "1"}}, ConsistentRead=True)
    assert "Item" not in gone

    client.delete_table(TableName="orders")
    client.get_waiter("table_not_exists").wait(TableName="orders", WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_item(TableName="orders", Key={"customer": {"S": "c1"}, "number": {"N": "2"}})


def test_errors_come_with_the_types_and_texts_of_the_service(served: Served) -> None:
    client = served.client()
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="Requested resource not found"):
        client.get_item(TableName="nothing", Key={"pk": {"S": "a"}})
    with pytest.raises(ClientError, match=r"ValidationException.*enum value set: .INDEXES, TOTAL, NONE.") as caught:
        client.get_item(
            TableName="nothing",
            Key={"pk": {"S": "a"}},
            ReturnConsumedCapacity="SOME",  # type: ignore[arg-type]
        )
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_sigterm_ends_the_service_with_exit_code_zero() -> None:
    with serve() as running:
        assert running.client().list_tables()["TableNames"] == []
        assert running.stop() == 0


def test_signatures_are_verified_when_credentials_are_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNALAB_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("DYNALAB_SECRET_ACCESS_KEY", "another")
    with serve() as running, pytest.raises(ClientError, match="InvalidSignatureException"):
        running.client().list_tables()
    monkeypatch.setenv("DYNALAB_SECRET_ACCESS_KEY", "any")
    with serve() as running:
        assert running.client().list_tables()["TableNames"] == []

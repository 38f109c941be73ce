"""An unmodified boto3 makes an index whose keys have several attributes, and reads it page by page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from boto3.dynamodb.conditions import Key
from botocore.exceptions import ClientError

from tests.end_to_end.serving import serve

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

SECONDS_MAX = 10.0


@pytest.fixture(scope="module")
def matches() -> Iterator[Table]:
    """The guide's example of such keys: matches of a tournament, by cup and region, round and bracket."""
    with serve() as running:
        resource = boto3.resource(
            "dynamodb",
            endpoint_url=running.url,
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
        )
        table = resource.create_table(
            TableName="Matches",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": "id", "AttributeType": "S"},
                {"AttributeName": "cup", "AttributeType": "S"},
                {"AttributeName": "area", "AttributeType": "S"},
                {"AttributeName": "lap", "AttributeType": "N"},
                {"AttributeName": "bracket", "AttributeType": "S"},
            ],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "byLap",
                    "KeySchema": [
                        {"AttributeName": "cup", "KeyType": "HASH"},
                        {"AttributeName": "area", "KeyType": "HASH"},
                        {"AttributeName": "lap", "KeyType": "RANGE"},
                        {"AttributeName": "bracket", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
        table.wait_until_exists()
        for number, (area, lap, bracket) in enumerate(PLAYED):
            table.put_item(Item={"id": f"m{number}", "cup": "C", "area": area, "lap": lap, "bracket": bracket})
        table.put_item(Item={"id": "sparse", "cup": "C", "area": "eu", "lap": 1})
        yield table


PLAYED = [("eu", 10, "a"), ("eu", 2, "b"), ("eu", 2, "a"), ("us", 2, "a"), ("eu", -1, "z")]
EUROPE: Any = Key("cup").eq("C") & Key("area").eq("eu")


def read(table: Table, condition: Any, count: int, **how: Any) -> list[str]:
    """The ids that a Query finds; the index follows its table, so it is asked until it has as many."""
    give_up = time.monotonic() + SECONDS_MAX
    while True:
        met = [
            str(item["id"]) for item in table.query(IndexName="byLap", KeyConditionExpression=condition, **how)["Items"]
        ]
        if len(met) >= count or time.monotonic() > give_up:
            return met
        time.sleep(0.01)


def test_the_index_is_read_from_left_to_right(matches: Table) -> None:
    assert read(matches, EUROPE, 4) == ["m4", "m2", "m1", "m0"]
    assert read(matches, EUROPE, 4, ScanIndexForward=False) == ["m0", "m1", "m2", "m4"]
    assert read(matches, EUROPE & Key("lap").eq(2), 2) == ["m2", "m1"]
    assert read(matches, EUROPE & Key("lap").eq(2) & Key("bracket").gt("a"), 1) == ["m1"]
    assert read(matches, EUROPE & Key("lap").between(0, 9), 2) == ["m2", "m1"]


def test_pages_hold_every_item_once(matches: Table) -> None:
    assert len(read(matches, EUROPE, 4)) == 4
    paginator = matches.meta.client.get_paginator("query")
    pages = paginator.paginate(
        TableName="Matches", IndexName="byLap", KeyConditionExpression=EUROPE, PaginationConfig={"PageSize": 1}
    )
    assert [str(item["id"]) for page in pages for item in page["Items"]] == ["m4", "m2", "m1", "m0"]
    page = matches.query(IndexName="byLap", KeyConditionExpression=EUROPE, Limit=2)
    assert page["LastEvaluatedKey"] == {"id": "m2", "cup": "C", "area": "eu", "lap": Decimal(2), "bracket": "a"}


def test_a_partition_key_without_one_of_its_attributes_is_refused(matches: Table) -> None:
    with pytest.raises(ClientError, match="Query condition missed key schema element: area") as caught:
        matches.query(IndexName="byLap", KeyConditionExpression=Key("cup").eq("C"))
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_the_description_tells_the_keys_as_they_were_given(matches: Table) -> None:
    (index,) = matches.meta.client.describe_table(TableName="Matches")["Table"]["GlobalSecondaryIndexes"]
    assert [(key["AttributeName"], key["KeyType"]) for key in index["KeySchema"]] == [
        ("cup", "HASH"),
        ("area", "HASH"),
        ("lap", "RANGE"),
        ("bracket", "RANGE"),
    ]


def test_such_an_index_is_made_while_its_table_is_in_use(matches: Table) -> None:
    matches.update(
        AttributeDefinitions=[
            {"AttributeName": "bracket", "AttributeType": "S"},
            {"AttributeName": "area", "AttributeType": "S"},
            {"AttributeName": "lap", "AttributeType": "N"},
        ],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": "byBracket",
                    "KeySchema": [
                        {"AttributeName": "bracket", "KeyType": "HASH"},
                        {"AttributeName": "area", "KeyType": "RANGE"},
                        {"AttributeName": "lap", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            }
        ],
    )
    give_up = time.monotonic() + SECONDS_MAX
    states: dict[str, str] = {}
    while states.get("byBracket") != "ACTIVE" and time.monotonic() < give_up:
        described = matches.meta.client.describe_table(TableName="Matches")["Table"]
        states = {index["IndexName"]: index["IndexStatus"] for index in described["GlobalSecondaryIndexes"]}
        time.sleep(0.02)
    assert states == {"byLap": "ACTIVE", "byBracket": "ACTIVE"}
    found = matches.query(IndexName="byBracket", KeyConditionExpression=Key("bracket").eq("a") & Key("area").eq("eu"))
    assert [(item["id"], item["lap"]) for item in found["Items"]] == [("m2", 2), ("m0", 10)]

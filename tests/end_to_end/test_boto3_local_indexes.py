"""An unmodified boto3 makes a table with local indexes, reads them strongly, and is told what they cost."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError

from tests.end_to_end.serving import Served, serve

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve() as running:
        yield running


@pytest.fixture(scope="module")
def forum(served: Served) -> Table:
    """The guide's own example: threads of a forum, by their last post."""
    resource = boto3.resource(
        "dynamodb",
        endpoint_url=served.url,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )
    table = resource.create_table(
        TableName="Thread",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "ForumName", "AttributeType": "S"},
            {"AttributeName": "Subject", "AttributeType": "S"},
            {"AttributeName": "LastPost", "AttributeType": "S"},
            {"AttributeName": "Views", "AttributeType": "N"},
        ],
        KeySchema=[
            {"AttributeName": "ForumName", "KeyType": "HASH"},
            {"AttributeName": "Subject", "KeyType": "RANGE"},
        ],
        LocalSecondaryIndexes=[
            {
                "IndexName": "LastPostIndex",
                "KeySchema": [
                    {"AttributeName": "ForumName", "KeyType": "HASH"},
                    {"AttributeName": "LastPost", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            },
            {
                "IndexName": "ViewsIndex",
                "KeySchema": [
                    {"AttributeName": "ForumName", "KeyType": "HASH"},
                    {"AttributeName": "Views", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["Message"]},
            },
        ],
    )
    table.wait_until_exists()
    return table


def test_a_table_is_told_with_its_local_indexes(forum: Table) -> None:
    forum.reload()
    told = {index["IndexName"]: index for index in forum.local_secondary_indexes or ()}
    assert set(told) == {"LastPostIndex", "ViewsIndex"}
    assert told["ViewsIndex"]["Projection"] == {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["Message"]}
    assert told["LastPostIndex"]["IndexArn"].endswith(":table/Thread/index/LastPostIndex")
    assert not forum.global_secondary_indexes


def test_every_write_is_seen_at_once_in_the_order_of_the_index(forum: Table) -> None:
    for number in (3, 1, 2):
        item: dict[str, Any] = {"ForumName": "S3", "Subject": f"thread {number}", "LastPost": f"2024-0{number}"}
        forum.put_item(Item={**item, "Message": "long" * 10})
        found = forum.query(
            IndexName="LastPostIndex",
            ConsistentRead=True,
            KeyConditionExpression=Key("ForumName").eq("S3") & Key("LastPost").eq(f"2024-0{number}"),
        )["Items"]
        assert found == [item], "an entry of keys alone"
    later = forum.query(
        IndexName="LastPostIndex",
        ScanIndexForward=False,
        ConsistentRead=True,
        KeyConditionExpression=Key("ForumName").eq("S3") & Key("LastPost").gte("2024-02"),
    )["Items"]
    assert [item["Subject"] for item in later] == ["thread 3", "thread 2"]


def test_a_paginator_reads_an_index_through_equal_keys(forum: Table) -> None:
    with forum.batch_writer() as batch:
        for number in range(60):
            batch.put_item(Item={"ForumName": "EC2", "Subject": f"{number:02}", "Views": number % 3})
    asked: dict[str, Any] = {"KeyConditionExpression": Key("ForumName").eq("EC2")}  # an object, as of a resource
    pages = forum.meta.client.get_paginator("query").paginate(
        TableName="Thread", IndexName="ViewsIndex", ConsistentRead=True, PaginationConfig={"PageSize": 7}, **asked
    )
    read: list[Any] = [(item["Views"], item["Subject"]) for page in pages for item in page["Items"]]
    assert read == sorted((Decimal(number % 3), f"{number:02}") for number in range(60))


def test_what_is_not_projected_is_fetched_at_its_price(forum: Table) -> None:
    for number in range(4):
        forum.put_item(
            Item={
                "ForumName": "RDS",
                "Subject": f"{number}",
                "LastPost": f"{number}",
                "Message": "m" * 1000,
                "by": "me",
            }
        )
    asked: dict[str, Any] = {
        "IndexName": "LastPostIndex",
        "KeyConditionExpression": Key("ForumName").eq("RDS"),
        "ConsistentRead": True,
        "ReturnConsumedCapacity": "INDEXES",
    }
    entries = forum.query(**asked)
    assert "by" not in entries["Items"][0]
    assert entries["ConsumedCapacity"]["CapacityUnits"] == 1.0
    whole = forum.query(**asked, Select="ALL_ATTRIBUTES", FilterExpression=Attr("by").eq("me"))
    assert whole["Count"] == 4
    assert whole["ConsumedCapacity"]["CapacityUnits"] == 5.0
    assert whole["ConsumedCapacity"]["LocalSecondaryIndexes"] == {"LastPostIndex": {"CapacityUnits": 1.0}}


def test_a_write_tells_of_its_item_collection_and_pays_for_its_entries(forum: Table) -> None:
    answer = forum.put_item(
        Item={"ForumName": "SQS", "Subject": "a", "LastPost": "1", "Views": 1},
        ReturnItemCollectionMetrics="SIZE",
        ReturnConsumedCapacity="INDEXES",
    )
    assert answer["ItemCollectionMetrics"] == {
        "ItemCollectionKey": {"ForumName": "SQS"},
        "SizeEstimateRangeGB": [0.0, 1.0],
    }
    assert answer["ConsumedCapacity"]["CapacityUnits"] == 3.0
    assert sorted(answer["ConsumedCapacity"]["LocalSecondaryIndexes"]) == ["LastPostIndex", "ViewsIndex"]


def test_a_value_of_another_type_never_gets_into_an_index(forum: Table) -> None:
    with pytest.raises(ClientError, match="Type mismatch for Index Key Views Expected: N Actual: S") as caught:
        forum.put_item(Item={"ForumName": "SQS", "Subject": "b", "Views": "many"})
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert "Item" not in forum.get_item(Key={"ForumName": "SQS", "Subject": "b"}, ConsistentRead=True)

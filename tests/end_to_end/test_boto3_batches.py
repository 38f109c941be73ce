"""An unmodified boto3 writes and reads in batches, by its client and by its resource's `batch_writer`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.end_to_end.serving import Served, serve

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient, DynamoDBServiceResource

ITEMS = 10_000


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve() as running:
        yield running


@pytest.fixture(scope="module")
def client(served: Served) -> DynamoDBClient:
    client = served.client()
    for name in ("orders", "parts"):
        client.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
        client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    return client


@pytest.fixture(scope="module")
def resource(served: Served, client: DynamoDBClient) -> DynamoDBServiceResource:
    return boto3.resource(
        "dynamodb",
        endpoint_url=served.url,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )


def test_ten_thousand_items_through_the_batch_writer_are_all_there(resource: DynamoDBServiceResource) -> None:
    table = resource.Table("orders")
    with table.batch_writer(overwrite_by_pkeys=["pk"]) as batch:
        for number in range(ITEMS):
            batch.put_item(Item={"pk": f"order {number}", "n": number, "tags": {"a", "b"}})
        for number in range(0, ITEMS, 100):
            batch.delete_item(Key={"pk": f"order {number}"})
    found: set[str] = set()
    page = table.scan(ConsistentRead=True, ProjectionExpression="pk")
    found.update(str(item["pk"]) for item in page["Items"])
    while "LastEvaluatedKey" in page:
        page = table.scan(ConsistentRead=True, ProjectionExpression="pk", ExclusiveStartKey=page["LastEvaluatedKey"])
        found.update(str(item["pk"]) for item in page["Items"])
    assert found == {f"order {number}" for number in range(ITEMS) if number % 100}


def test_a_batch_read_over_two_tables_by_the_resource(resource: DynamoDBServiceResource) -> None:
    resource.batch_write_item(
        RequestItems={"parts": [{"PutRequest": {"Item": {"pk": f"p{n}", "n": n}}} for n in range(3)]}
    )
    resource.Table("orders").put_item(Item={"pk": "mine", "n": 7, "text": "x"})
    answer = resource.batch_get_item(
        RequestItems={
            "parts": {"Keys": [{"pk": f"p{n}"} for n in range(4)], "ConsistentRead": True},
            "orders": {"Keys": [{"pk": "mine"}], "ConsistentRead": True, "ProjectionExpression": "n"},
        },
        ReturnConsumedCapacity="TOTAL",
    )
    assert sorted(str(item["n"]) for item in answer["Responses"]["parts"]) == ["0", "1", "2"]
    assert answer["Responses"]["orders"] == [{"n": 7}]
    assert answer["UnprocessedKeys"] == {}
    capacity = {one["TableName"]: one["CapacityUnits"] for one in answer["ConsumedCapacity"]}
    assert capacity == {"parts": 4.0, "orders": 1.0}


def test_a_batch_with_twice_the_same_key_is_refused(client: DynamoDBClient) -> None:
    with pytest.raises(ClientError) as caught:
        client.batch_get_item(RequestItems={"orders": {"Keys": [{"pk": {"S": "a"}}, {"pk": {"S": "a"}}]}})
    assert caught.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": "Provided list of item keys contains duplicates",
    }


@pytest.mark.claim("S126")
def test_a_batch_read_beyond_16_mb_is_finished_by_asking_again(client: DynamoDBClient) -> None:
    for number in range(0, 44, 4):
        client.batch_write_item(
            RequestItems={
                "parts": [
                    {"PutRequest": {"Item": {"pk": {"S": f"big {n}"}, "x": {"S": "x" * 400_000}}}}
                    for n in range(number, number + 4)
                ]
            }
        )
    first = client.batch_get_item(
        RequestItems={"parts": {"Keys": [{"pk": {"S": f"big {n}"}} for n in range(44)], "ConsistentRead": True}}
    )
    assert 0 < len(first["Responses"]["parts"]) < 44
    second = client.batch_get_item(RequestItems=first["UnprocessedKeys"])
    both = [item["pk"]["S"] for answer in (first, second) for item in answer["Responses"]["parts"]]
    assert sorted(both) == sorted(f"big {n}" for n in range(44))
    assert second["UnprocessedKeys"] == {}

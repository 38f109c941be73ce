"""boto3's resource, the layer that most programs use: Python values for wire types, conditions as expressions."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from boto3.dynamodb.conditions import Attr, Key
from boto3.dynamodb.types import Binary
from botocore.exceptions import ClientError

from tests.end_to_end.serving import serve

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource, Table


@pytest.fixture(scope="module")
def resource() -> Iterator[DynamoDBServiceResource]:
    with serve() as served:
        yield boto3.resource(
            "dynamodb",
            endpoint_url=served.url,
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
        )


@pytest.fixture(scope="module")
def orders(resource: DynamoDBServiceResource) -> Table:
    table = resource.create_table(
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
    table.meta.client.get_waiter("table_exists").wait(TableName="orders", WaiterConfig={"Delay": 1})
    table.wait_until_exists()
    return table


def refused(code: str, call: Any, **parameters: object) -> None:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    assert caught.value.response["Error"]["Code"] == code


def test_a_table_loads_its_description(resource: DynamoDBServiceResource, orders: Table) -> None:
    orders.reload()
    assert orders.table_status == "ACTIVE"
    assert [part["AttributeName"] for part in orders.key_schema] == ["customer", "number"]
    assert orders.global_secondary_indexes is not None and len(orders.global_secondary_indexes) == 1
    assert orders.creation_date_time.tzinfo is not None
    assert [table.name for table in resource.tables.all()] == ["orders"]


@pytest.mark.parametrize(
    "value",
    [
        Decimal("1.2300"),
        Decimal("-1E-130"),
        Decimal("12345678901234567890123456789012345678"),
        "",
        "ünï",
        Binary(b"\x00\xff"),
        True,
        None,
        {"a", "b"},
        {Decimal(1), Decimal("2.5")},
        {Binary(b"a"), Binary(b"b")},
        [],
        {},
        [{"deep": [None, {"deeper": {"x"}}]}],
    ],
)
def test_every_kind_of_value_comes_back_as_it_went(orders: Table, value: object) -> None:
    orders.put_item(Item={"customer": "values", "number": 1, "value": value})  # type: ignore[dict-item]
    found = orders.get_item(Key={"customer": "values", "number": 1}, ConsistentRead=True)["Item"]
    assert found == {"customer": "values", "number": 1, "value": value}


def test_conditions_and_updates(orders: Table) -> None:
    key = {"customer": "ann", "number": 1}
    item = {**key, "state": "open", "price": Decimal(30), "tags": {"a", "b"}, "basket": ["tea", {"milk": True}]}
    orders.put_item(Item=item, ConditionExpression=Attr("customer").not_exists())
    refused("ConditionalCheckFailedException", orders.put_item, Item=item, ConditionExpression=Attr("price").gt(30))
    condition = Attr("price").between(10, 40) & Attr("tags").contains("a") & ~Attr("basket[0]").begins_with("cof")
    changed = orders.update_item(
        Key=key,
        UpdateExpression="SET #s = :paid, basket[1].milk = :no ADD price :five DELETE tags :b",
        ConditionExpression=condition & (Attr("state").is_in(["open", "late"]) | Attr("late").attribute_type("BOOL")),
        ExpressionAttributeNames={"#s": "state"},
        ExpressionAttributeValues={":paid": "paid", ":no": False, ":five": 5, ":b": {"b"}},
        ReturnValues="UPDATED_NEW",
    )["Attributes"]
    assert changed == {"state": "paid", "basket": [{"milk": False}], "price": 35, "tags": {"a"}}
    refused("ConditionalCheckFailedException", orders.delete_item, Key=key, ConditionExpression=Attr("price").eq(30))
    gone = orders.delete_item(Key=key, ConditionExpression=Attr("price").eq(35), ReturnValues="ALL_OLD")
    assert gone["Attributes"]["basket"] == ["tea", {"milk": False}]
    with pytest.raises(TypeError, match="Float types are not supported"):
        orders.put_item(Item={**key, "price": 0.1})  # boto3's own refusal: the request never leaves


def test_queries_scans_and_an_index(orders: Table) -> None:
    with orders.batch_writer() as batch:
        for number in range(40):
            batch.put_item({"customer": "bob", "number": number, "state": "open" if number % 4 else "paid"})
    bob = Key("customer").eq("bob")
    found = orders.query(KeyConditionExpression=bob & Key("number").between(5, 8), ConsistentRead=True)
    assert [item["number"] for item in found["Items"]] == [5, 6, 7, 8]
    newest = orders.query(KeyConditionExpression=bob, ScanIndexForward=False, Limit=2)
    assert [item["number"] for item in newest["Items"]] == [39, 38]
    assert newest["LastEvaluatedKey"] == {"customer": "bob", "number": 38}
    pages = orders.meta.client.get_paginator("query").paginate(
        TableName="orders",
        KeyConditionExpression=bob,
        FilterExpression=Attr("state").eq("paid"),
        ConsistentRead=True,
        PaginationConfig={"PageSize": 7},
    )
    assert [item["number"] for page in pages for item in page["Items"]] == list(range(0, 40, 4))
    state = Attr("state").eq("paid") & Attr("customer").eq("bob")
    assert orders.scan(FilterExpression=state, Select="COUNT", ConsistentRead=True)["Count"] == 10
    paid: list[object] = []
    while len(paid) < 10:  # an index follows its table
        answer = orders.query(IndexName="by-state", KeyConditionExpression=Key("state").eq("paid"))
        paid = [item["number"] for item in answer["Items"]]
    assert paid == list(range(0, 40, 4))
    refused(
        "ValidationException",
        orders.query,
        IndexName="by-state",
        KeyConditionExpression=Key("state").eq("paid"),
        ConsistentRead=True,
    )

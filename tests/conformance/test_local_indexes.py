"""Local secondary indexes: what makes no table, what their reads cost, and how large a collection may be."""

# ruff: noqa: E501 (a text is easier to compare with a captured one when it is not cut)

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dynalab.differential.lockstep import Pair
from dynalab_impl.effects import layout
from dynalab_model.collections import COLLECTION_BYTES_MAX
from dynalab_model.errors import DynamoError


def index(name: str, *keys: str, projection: str = "KEYS_ONLY") -> dict[str, Any]:
    described = [
        {"AttributeName": key, "KeyType": role} for key, role in zip(keys, ("HASH", "RANGE"), strict=False)
    ]  # fmt: skip
    return {"IndexName": name, "KeySchema": described, "Projection": {"ProjectionType": projection}}


def creation(name: str, *local: dict[str, Any], keys: tuple[str, ...] = ("pk", "sk")) -> dict[str, Any]:
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": index("", *keys)["KeySchema"],
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk", "at")],
        "LocalSecondaryIndexes": list(local),
    }


@pytest.fixture(scope="module")
def local(service: Any) -> Any:
    """The service, with the table Local: an index of keys, and one of whole items."""
    service(
        "CreateTable",
        **creation("Local", index("bare", "pk", "at"), index("whole", "pk", "at", projection="ALL")),
    )
    service.pair.wait_active("Local")
    return service


def rows(service: Any, pk: str, count: int, fill: int = 1) -> None:
    for number in range(count):
        at = {"S": str(number)}
        service.put("Local", pk={"S": pk}, sk=at, at=at, fill={"S": "x" * fill})


def query(service: Any, pk: str, name: str = "bare", **members: Any) -> Any:
    return service(
        "Query",
        TableName="Local",
        IndexName=name,
        KeyConditionExpression="pk = :p",
        ExpressionAttributeValues={":p": {"S": pk}},
        ReturnConsumedCapacity="INDEXES",
        **members,
    )


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(
            creation("Refused", index("by_at", "pk", "at"), keys=("pk",)),
            "One or more parameter values were invalid: Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex",
            marks=pytest.mark.row("text:create-local-no-range"),
        ),
        pytest.param(
            creation("Refused", index("by_at", "pk")),
            "One or more parameter values were invalid: Index KeySchema does not have a range key for index: by_at",
            marks=pytest.mark.row("text:create-local-index-no-range"),
        ),
        pytest.param(
            creation("Refused", index("by_at", "at", "sk")),
            "One or more parameter values were invalid: Index KeySchema does not have the same leading hash key as table KeySchema for index: by_at. index hash key: at, table hash key: pk",
            marks=pytest.mark.row("text:create-local-other-hash"),
        ),
        pytest.param(
            creation("Refused"),
            "One or more parameter values were invalid: List of LocalSecondaryIndexes is empty",
            marks=pytest.mark.row("text:create-local-empty"),
        ),
        pytest.param(
            creation("Refused", *(index(f"by_{n}", "pk", "at") for n in "abcdef")),
            "One or more parameter values were invalid: Number of LocalSecondaryIndexes exceeds per-table limit of 5",
            marks=pytest.mark.row("text:create-local-5"),
        ),
    ],
)
def test_a_local_index_that_cannot_be_is_refused_in_these_words(service: Any, body: dict[str, Any], text: str) -> None:
    error = service.refused("CreateTable", **body)
    assert (error.code, error.message) == ("ValidationException", text)


@pytest.mark.row("capacity:local-index-fetch")
def test_each_fetched_item_is_rounded_up_by_itself(local: Any) -> None:
    rows(local, "four", 4, fill=1000)
    fetched = query(local, "four", Select="ALL_ATTRIBUTES", ConsistentRead=True)
    assert fetched["ConsumedCapacity"] == {
        "TableName": "Local",
        "CapacityUnits": 5.0,
        "Table": {"CapacityUnits": 4.0},
        "LocalSecondaryIndexes": {"bare": {"CapacityUnits": 1.0}},
    }
    assert [len(item["fill"]["S"]) for item in fetched["Items"]] == [1000] * 4
    rows(local, "three", 3)
    consumed = query(local, "three", Select="ALL_ATTRIBUTES")["ConsumedCapacity"]
    assert (consumed["CapacityUnits"], consumed["Table"]["CapacityUnits"]) == (2.0, 1.5)
    assert query(local, "three", "whole", Select="ALL_ATTRIBUTES")["ConsumedCapacity"]["CapacityUnits"] == 0.5
    assert query(local, "three")["ConsumedCapacity"]["CapacityUnits"] == 0.5
    assert "fill" not in query(local, "three")["Items"][0]


@pytest.mark.row("behaviour:metrics-with-local-index")
def test_a_table_with_local_indexes_has_collection_metrics_of_two_numbers(local: Any) -> None:
    key = {"pk": {"S": "metrics"}, "sk": {"S": "a"}}
    told = {"ItemCollectionKey": {"pk": {"S": "metrics"}}, "SizeEstimateRangeGB": [0.0, 1.0]}
    asked = {"TableName": "Local", "ReturnItemCollectionMetrics": "SIZE"}
    assert local("PutItem", Item=key, **asked) == {"ItemCollectionMetrics": told}
    assert local("UpdateItem", Key=key, **asked) == {"ItemCollectionMetrics": told}
    assert local("DeleteItem", Key=key, **asked) == {"ItemCollectionMetrics": told}
    assert local("DeleteItem", Key=key, TableName="Local") == {}
    answer = local(
        "BatchWriteItem",
        RequestItems={"Local": [{"PutRequest": {"Item": key}}]},
        ReturnItemCollectionMetrics="SIZE",
    )
    assert answer == {"UnprocessedItems": {}, "ItemCollectionMetrics": {"Local": [told]}}


@pytest.mark.row("error:ItemCollectionSizeLimitExceeded", "limit:collection-bytes")
def test_a_collection_has_10_gb_at_most_and_is_refused_more() -> None:
    assert COLLECTION_BYTES_MAX == layout().collection_bytes_max == 10_737_418_240
    pair = Pair(topology=layout(routers=2, collection_bytes_max=2_000))  # a limit that a test can reach
    pair.state = replace(pair.state, collection_bytes_max=2_000)
    assert isinstance(pair.call("CreateTable", creation("Small", index("by_at", "pk", "at", projection="ALL"))), dict)
    pair.wait_active("Small")

    def put(pk: str, sk: str, fill: int) -> object:
        item = {"pk": {"S": pk}, "sk": {"S": sk}, "at": {"S": "-"}, "fill": {"S": "x" * fill}}
        answer = pair.call("PutItem", {"TableName": "Small", "Item": item})
        if isinstance(answer, DynamoError):
            return answer.status, answer.body()
        return answer

    full = (
        400,
        {
            "__type": "com.amazonaws.dynamodb.v20120810#ItemCollectionSizeLimitExceededException",
            "message": "Collection size exceeded.",
        },
    )
    assert put("p", "a", 487) == {}  # with names and keys 500 bytes, and its entry 500
    assert put("p", "b", 487) == {}
    assert put("p", "c", 0) == full
    assert put("p", "b", 488) == full
    assert put("p", "b", 400) == {}
    assert put("q", "b", 487) == {}
    pair.compare_all()

"""Whatever a client sends, `parse` gives an operation or one of DynamoDB's errors, and changes nothing."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dynalab_model.create_table import parse_create_table
from dynalab_model.errors import DynamoError
from dynalab_model.requests import OPERATIONS, parse

MEMBERS = [
    "TableName",
    "Key",
    "Item",
    "ConsistentRead",
    "ReturnConsumedCapacity",
    "ReturnValues",
    "ReturnItemCollectionMetrics",
    "Limit",
    "Select",
    "ReturnValuesOnConditionCheckFailure",
    "ConditionExpression",
    "UpdateExpression",
    "ProjectionExpression",
    "FilterExpression",
    "KeyConditionExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "IndexName",
    "ScanIndexForward",
    "Segment",
    "TotalSegments",
    "ExclusiveStartKey",
    "ExclusiveStartTableName",
    "Expected",
    "KeyConditions",
    "AttributesToGet",
    "KeySchema",
    "AttributeDefinitions",
    "GlobalSecondaryIndexes",
    "BillingMode",
    "ProvisionedThroughput",
    "StreamSpecification",
    "Tags",
    "RequestItems",
    "Statement",
]
WORDS = [
    "T",
    "Orders",
    "S",
    "N",
    "SS",
    "L",
    "M",
    "NULL",
    "pk",
    "#a",
    ":v",
    "a=:v",
    "pk=:v",
    "SET",
    "ADD",
    "ALL_OLD",
    "NONE",
    "TOTAL",
    "HASH",
    "RANGE",
    "AttributeName",
    "KeyType",
    "IndexName",
    "AttributeType",
    "Projection",
    "ProjectionType",
    "KeySchema",
    "NonKeyAttributes",
    "ReadCapacityUnits",
    "1",
    "1E400",
    "PAY_PER_REQUEST",
    "COUNT",
]

TEXTS = st.sampled_from(WORDS) | st.text(max_size=6)
# Noise that has the right shape more often than not.
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "AttributeName": TEXTS | st.none(),
        "KeyType": st.sampled_from(["HASH", "RANGE", "X", None, 1]),
        "AttributeType": st.sampled_from(["S", "N", "X", None, 1]),
        "ProjectionType": st.sampled_from(["ALL", "INCLUDE", "X", None, 1]),
        "NonKeyAttributes": st.lists(TEXTS | st.none(), max_size=2),
        "ReadCapacityUnits": st.integers(-1, 10**13) | st.none() | TEXTS,
        "WriteCapacityUnits": st.integers(-1, 10**13) | st.none() | TEXTS,
    },
)
VALUES = st.recursive(
    PARTS
    | st.lists(PARTS, max_size=3)
    | st.none()
    | st.booleans()
    | st.integers(-2, 10**13)
    | st.floats(allow_nan=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
VALID: dict[str, Any] = {
    "TableName": "Orders",
    "Key": {"pk": {"S": "a"}},
    "Item": {"pk": {"S": "a"}},
    "KeyConditionExpression": "pk = :v",
    "ExpressionAttributeValues": {":v": {"S": "a"}},
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


@given(
    st.sampled_from(sorted(OPERATIONS)),
    st.sets(st.sampled_from(sorted(VALID)), min_size=3),
    st.dictionaries(st.sampled_from(MEMBERS), VALUES, max_size=4),
)
def test_every_json_object_is_an_operation_or_an_error_with_a_name_and_a_text(
    operation: str, valid: set[str], noise: dict[str, Any]
) -> None:
    body = {name: VALID[name] for name in sorted(valid)} | noise
    before = copy.deepcopy(body)
    try:
        parsed = parse(operation, body)
    except DynamoError as error:
        assert error.code in ("ValidationException", "SerializationException")
        assert error.status == 400 and error.message
        json.dumps(error.body())
    else:
        assert operation in (type(parsed).__name__, getattr(parsed, "name", ""))  # reads of settings share a type
    assert body == before


@given(st.dictionaries(st.sampled_from(MEMBERS), VALUES, max_size=4), st.lists(VALUES, max_size=3))
def test_a_create_table_with_broken_parts_inside_is_refused_and_never_crashes(
    noise: dict[str, Any], parts: list[Any]
) -> None:
    index = {"IndexName": "by_pk", "KeySchema": VALID["KeySchema"], "Projection": {"ProjectionType": "ALL"}} | noise
    body = {**VALID, "GlobalSecondaryIndexes": [index, *parts]}
    try:
        parsed = parse_create_table(body)
    except DynamoError as error:
        assert error.message
    else:
        assert parsed.schema.indexes[0].key.names

"""What is said of batches, queries and scans that cannot be."""

# ruff: noqa: E501 (a text is easier to compare with a captured one when it is not cut)

from __future__ import annotations

from typing import Any

import pytest

from dynalab_model.errors import DynamoError

PK: dict[str, Any] = {"pk": {"S": "texts"}}
PAIR: dict[str, Any] = {"pk": {"S": "texts"}, "sk": {"S": "a"}}
QUERY: dict[str, Any] = {
    "TableName": "Range",
    "KeyConditionExpression": "pk = :p",
    "ExpressionAttributeValues": {":p": {"S": "texts"}},
}
ON_G: dict[str, Any] = {
    "TableName": "Range",
    "IndexName": "bare",
    "KeyConditionExpression": "g = :p",
    "ExpressionAttributeValues": {":p": {"S": "texts"}},
}


def condition(operator: str, *values: dict[str, Any]) -> dict[str, Any]:
    return {"ComparisonOperator": operator, "AttributeValueList": list(values)}


def case(row: str, operation: str, body: dict[str, Any], text: str) -> Any:
    return pytest.param(operation, body, text, id=row, marks=pytest.mark.row(row))


MANY = [{"pk": {"S": str(number)}} for number in range(101)]
PUTS = [{"PutRequest": {"Item": key}} for key in MANY]
BATCHES = [
    case(
        "text:batch-get-many",
        "BatchGetItem",
        {"RequestItems": {"Hash": {"Keys": MANY}}},
        "1 validation error detected: Value at 'RequestItems.Hash.member.Keys' failed to satisfy constraint: Member must have length less than or equal to 100",
    ),
    case(
        "text:batch-get-total",
        "BatchGetItem",
        {"RequestItems": {"Hash": {"Keys": MANY[:60]}, "Hash2": {"Keys": MANY[:60]}}},
        "Too many items requested for the BatchGetItem call",
    ),
    case(
        "text:batch-empty",
        "BatchGetItem",
        {"RequestItems": {}},
        "The requestItems parameter is required for BatchGetItem",
    ),
    case(
        "text:batch-empty",
        "BatchWriteItem",
        {"RequestItems": {}},
        "The requestItems parameter is required for BatchWriteItem",
    ),
    case(
        "text:batch-twice",
        "BatchGetItem",
        {"RequestItems": {"Hash": {"Keys": [PK, PK]}}},
        "Provided list of item keys contains duplicates",
    ),
    case(
        "text:batch-twice",
        "BatchWriteItem",
        {"RequestItems": {"Hash": [{"PutRequest": {"Item": PK}}, {"DeleteRequest": {"Key": PK}}]}},
        "Provided list of item keys contains duplicates",
    ),
    case(
        "text:batch-write-many",
        "BatchWriteItem",
        {"RequestItems": {"Hash": PUTS[:26]}},
        "1 validation error detected: Value '{Hash=[...]}' at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to 25, Member must have length greater than or equal to 1]",
    ),
    case(
        "text:batch-write-total",
        "BatchWriteItem",
        {"RequestItems": {"Hash": PUTS[:20], "Hash2": PUTS[:20]}},
        "Too many items requested for the BatchWriteItem call",
    ),
    case(
        "text:batch-write-both",
        "BatchWriteItem",
        {"RequestItems": {"Hash": [{"PutRequest": {"Item": PK}, "DeleteRequest": {"Key": PK}}]}},
        "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
    ),
]

QUERIES = [
    case(
        "text:query-nothing",
        "Query",
        {"TableName": "Range"},
        "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
    ),
    case(
        "text:query-missed",
        "Query",
        QUERY | {"KeyConditionExpression": "sk = :p"},
        "Query condition missed key schema element: pk",
    ),
    case(
        "text:query-unsupported",
        "Query",
        QUERY | {"KeyConditionExpression": "pk > :p"},
        "Query key condition not supported",
    ),
    case(
        "text:query-length",
        "Query",
        {"TableName": "Range", "KeyConditions": {name: condition("EQ", {"S": "a"}) for name in ("pk", "sk", "c")}},
        "Conditions can be of length 1 or 2 only",
    ),
    case(
        "text:query-not-indexable",
        "Query",
        {"TableName": "Range", "KeyConditions": {"pk": condition("EQ", {"S": "a"}), "sk": condition("NE", {"S": "a"})}},
        "Attempted conditional constraint is not an indexable operation",
    ),
    case(
        "text:query-type",
        "Query",
        QUERY | {"ExpressionAttributeValues": {":p": {"N": "1"}}},
        "One or more parameter values were invalid: Condition parameter type does not match schema type",
    ),
    case(
        "text:consistent-index",
        "Query",
        ON_G | {"ConsistentRead": True},
        "Consistent reads are not supported on global secondary indexes",
    ),
    case(
        "text:no-such-index",
        "Query",
        QUERY | {"IndexName": "by_x"},
        "The table does not have the specified index: by_x",
    ),
    case(
        "text:filter-on-key",
        "Query",
        QUERY | {"FilterExpression": "sk = :p"},
        "Filter Expression can only contain non-primary key attributes: Primary key attribute: sk",
    ),
    case(
        "text:query-filter-on-key",
        "Query",
        {
            "TableName": "Range",
            "KeyConditions": {"pk": condition("EQ", {"S": "a"})},
            "QueryFilter": {"sk": condition("EQ", {"S": "a"})},
        },
        "QueryFilter can only contain non-primary key attributes: Primary key attribute: sk",
    ),
    case("text:start-key-invalid", "Query", QUERY | {"ExclusiveStartKey": PK}, "The provided starting key is invalid"),
    case(
        "text:start-key-schema",
        "Scan",
        {"TableName": "Range", "ExclusiveStartKey": PK},
        "The provided starting key is invalid: The provided key element does not match the schema",
    ),
    case(
        "text:start-key-outside",
        "Query",
        QUERY | {"ExclusiveStartKey": {"pk": {"S": "other"}, "sk": {"S": "a"}}},
        "The provided starting key is outside query boundaries based on provided conditions",
    ),
    case(
        "text:start-key-range",
        "Query",
        QUERY | {"KeyConditionExpression": "pk = :p AND sk > :p", "ExclusiveStartKey": PAIR},
        "The provided starting key does not match the range key predicate",
    ),
    case(
        "text:start-key-one-row",
        "Query",
        {
            "TableName": "Hash",
            "KeyConditionExpression": "pk = :p",
            "ExpressionAttributeValues": {":p": {"S": "texts"}},
            "ExclusiveStartKey": PK,
        },
        "The query can return at most one row and cannot be restarted",
    ),
    case(
        "text:select-specific",
        "Query",
        QUERY | {"Select": "SPECIFIC_ATTRIBUTES"},
        "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
    ),
    case(
        "text:select-with-attributes",
        "Scan",
        {"TableName": "Hash", "Select": "ALL_ATTRIBUTES", "AttributesToGet": ["a"]},
        "Cannot specify the AttributesToGet when choosing to get ALL_ATTRIBUTES",
    ),
    case(
        "text:select-with-attributes",
        "Scan",
        {"TableName": "Hash", "Select": "COUNT", "AttributesToGet": ["a"]},
        "Cannot specify the AttributesToGet when choosing to get COUNT",
    ),
    case(
        "text:select-projected",
        "Query",
        QUERY | {"Select": "ALL_PROJECTED_ATTRIBUTES"},
        "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
    ),
    case(
        "text:select-all-of-index",
        "Query",
        ON_G | {"Select": "ALL_ATTRIBUTES"},
        "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary index bare because its projection type is not ALL",
    ),
    case(
        "text:index-not-projected",
        "Query",
        ON_G | {"ProjectionExpression": "x"},
        "One or more parameter values were invalid: Global secondary index bare does not project [x]",
    ),
    case(
        "text:segment-alone",
        "Scan",
        {"TableName": "Hash", "Segment": 0},
        "The TotalSegments parameter is required but was not present in the request when Segment parameter is present",
    ),
    case(
        "text:segments-alone",
        "Scan",
        {"TableName": "Hash", "TotalSegments": 2},
        "The Segment parameter is required but was not present in the request when parameter TotalSegments is present",
    ),
    case(
        "text:segment-beyond",
        "Scan",
        {"TableName": "Hash", "Segment": 5, "TotalSegments": 5},
        "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: 5 is not less than TotalSegments: 5",
    ),
]


@pytest.mark.parametrize(("operation", "body", "text"), [*BATCHES, *QUERIES])
def test_the_request_is_refused_with_just_this_text(
    service: Any, operation: str, body: dict[str, Any], text: str
) -> None:
    error = service.refused(operation, **body)
    assert (error.code, error.status, error.message) == ("ValidationException", 400, text)
    assert error.body()["__type"] == "com.amazon.coral.validate#ValidationException"


@pytest.mark.row("text:start-key-segment")
def test_a_start_key_of_another_segment_is_refused(service: Any) -> None:
    """Which of four segments a key is in is ours to choose; that three of them refuse it is not."""
    texts = []
    for segment in range(4):
        body = {"TableName": "Hash", "TotalSegments": 4, "Segment": segment, "ExclusiveStartKey": {"pk": {"S": "one"}}}
        try:
            service("Scan", **body)
        except DynamoError as error:
            texts.append(str(error))
    assert len(texts) == 3
    for text in texts:
        assert text.startswith(
            "ValidationException: The provided starting key is invalid: Invalid ExclusiveStartKey. "
            "Please use ExclusiveStartKey with correct Segment. TotalSegments: 4 Segment: "
        )

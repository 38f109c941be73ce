"""Every operation of the service, asked over HTTP for nothing at all and for what is not there: never a 500, and the
error is one that the service's own model names for the operation.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import pytest

from dynalab.bench.load import AUTHORIZATION
from dynalab_model.requests import OPERATIONS
from dynalab_model.shapes import REQUESTS, Shape
from dynalab_model.stream_requests import STREAM_OPERATIONS
from tests.end_to_end.serving import serve

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/Nowhere"
KEY: dict[str, Any] = {"pk": {"S": "a"}}
STREAM = ARN + "/stream/2015-05-20T20:51:10.252"
KINESIS = "arn:aws:kinesis:us-east-1:000000000000:stream/changes"
STATEMENT = {"Statement": "SELECT * FROM Nowhere WHERE pk='a'"}

# Of a request with all that is required, by member: what names the thing that is not there, and what has to be right
# before that is looked for.
MEMBERS: dict[str, Any] = {
    "TableName": "Nowhere",
    "GlobalTableName": "Nowhere",
    "TargetTableName": "Restored",
    "SourceTableName": "Nowhere",
    "ResourceArn": ARN,
    "TableArn": ARN,
    "BackupArn": ARN + "/backup/01489173575360-b308cd7d",
    "ExportArn": ARN + "/export/01489173575360-b308cd7d",
    "ImportArn": ARN + "/import/01489173575360-b308cd7d",
    "BulkOperationArn": ARN + "/bulk/01489173575360-b308cd7d",
    "StreamArn": STREAM,
    "ShardId": "shardId-00000001432156270251-aaaa",
    "ShardIteratorType": "TRIM_HORIZON",
    "Key": KEY,
    "Item": KEY,
    "SearchVector": [{"N": "1"}],
    "S3BucketOwner": "123456789012",
    "Tags": [{"Key": "a", "Value": "b"}],
    "TagKeys": ["a"],
}
# What is more than that.
BODIES: dict[str, dict[str, Any]] = {
    "Query": {
        "TableName": "Nowhere",
        "KeyConditionExpression": "pk = :p",
        "ExpressionAttributeValues": {":p": {"S": "a"}},
    },
    "BatchGetItem": {"RequestItems": {"Nowhere": {"Keys": [KEY]}}},
    "BatchWriteItem": {"RequestItems": {"Nowhere": [{"PutRequest": {"Item": KEY}}]}},
    "TransactGetItems": {"TransactItems": [{"Get": {"TableName": "Nowhere", "Key": KEY}}]},
    "TransactWriteItems": {"TransactItems": [{"Put": {"TableName": "Nowhere", "Item": KEY}}]},
    "ExecuteStatement": STATEMENT,
    "BatchExecuteStatement": {"Statements": [STATEMENT]},
    "ExecuteTransaction": {"TransactStatements": [STATEMENT]},
    "UpdateTable": {"TableName": "Nowhere", "DeletionProtectionEnabled": True},
    "RestoreTableToPointInTime": {"TargetTableName": "Restored", "SourceTableName": "Nowhere"},
    "EnableKinesisStreamingDestination": {"TableName": "Nowhere", "StreamArn": KINESIS},
    "DisableKinesisStreamingDestination": {"TableName": "Nowhere", "StreamArn": KINESIS},
    "UpdateKinesisStreamingDestination": {
        "TableName": "Nowhere",
        "StreamArn": KINESIS,
        "UpdateKinesisStreamingConfiguration": {"ApproximateCreationDateTimePrecision": "MICROSECOND"},
    },
    "GetRecords": {"ShardIterator": "no iterator"},
}

# What a request for what is not there comes to, where it is no ResourceNotFoundException; "" is an answer, since there
# is nothing that it could miss (a batch of statements tells its members one by one).
CODES: dict[str, str] = {
    "": "ListTables ListStreams DescribeLimits DescribeEndpoints ListBackups ListExports ListImports ListGlobalTables "
    "ListContributorInsights ListBulkOperations BatchExecuteStatement",
    "AccessDeniedException": "TagResource UntagResource ListTagsOfResource",
    "TableNotFoundException": "CreateBackup DescribeContinuousBackups UpdateContinuousBackups CreateGlobalTable "
    "RestoreTableToPointInTime ExportTableToPointInTime",
    "BackupNotFoundException": "DescribeBackup DeleteBackup RestoreTableFromBackup",
    "GlobalTableNotFoundException": "DescribeGlobalTable DescribeGlobalTableSettings UpdateGlobalTable "
    "UpdateGlobalTableSettings",
    "ExportNotFoundException": "DescribeExport",
    "ImportNotFoundException": "DescribeImport",
    # What makes a table misses none, and needs more than its model requires; an iterator is read before it is used.
    "ValidationException": "CreateTable ImportTable GetRecords",
}
ABSENT = {name: code for code, names in CODES.items() for name in names.split()}
NOTHING_REQUIRED = frozenset(name for name, code in ABSENT.items() if not code) - {"BatchExecuteStatement"}


@pytest.fixture(scope="module")
def connection() -> Iterator[http.client.HTTPConnection]:
    with serve() as served:
        parts = urlsplit(served.url)
        opened = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=20)
        yield opened
        opened.close()


def ask(connection: http.client.HTTPConnection, operation: str, body: object) -> tuple[int, str, dict[str, Any]]:
    """Status, code without its namespace, and body."""
    service = "DynamoDBStreams" if operation in STREAM_OPERATIONS else "DynamoDB"
    headers = {
        "X-Amz-Target": f"{service}_20120810.{operation}",
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Date": "20260101T000000Z",
        "Authorization": AUTHORIZATION,
    }
    connection.request("POST", "/", json.dumps(body), headers)
    response = connection.getresponse()
    content: dict[str, Any] = json.loads(response.read())
    return response.status, content.get("__type", "").rpartition("#")[2], content


def declared(operation: str) -> set[str]:
    """The errors that the service's model names for an operation."""
    kind = "dynamodbstreams" if operation in STREAM_OPERATIONS else "dynamodb"
    model = botocore.session.get_session().get_service_model(kind).operation_model(operation)
    return {shape.name for shape in model.error_shapes}


def least(shape: Shape) -> Any:
    """A value with nothing but what is required."""
    if shape.kind == "structure":
        return {
            member.name: MEMBERS.get(member.name, least(member.shape)) for member in shape.members if member.required
        }
    if shape.kind == "list":
        assert shape.element is not None
        return [] if shape.fits is None or shape.fits([]) else [least(shape.element)]
    if shape.kind == "enum":
        _, rule = shape.rules[0]
        return rule.partition("[")[2].partition(",")[0].rstrip("]")
    return {str: "bucket", int: 1, float: 1.0, bool: False, dict: {}}[shape.json_type]


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_an_operation_that_is_asked_for_nothing_misses_what_it_needs(
    connection: http.client.HTTPConnection, operation: str
) -> None:
    status, code, _ = ask(connection, operation, {})
    expected = (200, "") if operation in NOTHING_REQUIRED else (400, "ValidationException")
    assert (status, code) == expected


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_an_operation_on_what_is_not_there_says_so_with_an_error_of_its_own(
    connection: http.client.HTTPConnection, operation: str
) -> None:
    body = BODIES.get(operation) or least(REQUESTS[operation].shape)
    status, code, content = ask(connection, operation, body)
    expected = ABSENT.get(operation, "ResourceNotFoundException")
    assert (status, code) == (400 if expected else 200, expected), content
    assert not code or code in declared(operation) | {"ValidationException", "AccessDeniedException"}


def test_nothing_was_made_by_all_this(connection: http.client.HTTPConnection) -> None:
    assert ask(connection, "ListTables", {})[2] == {"TableNames": []}

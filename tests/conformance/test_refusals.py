"""Operations that are not here: each is checked as the service would, then looks for its table, and only then is
refused. Nothing changes, and what lists or describes the same things goes on answering that there are none.
"""

from __future__ import annotations

from typing import Any

import pytest

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/"
MISSING = "Nowhere"
KEYS: dict[str, Any] = {
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "a", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "a", "AttributeType": "S"}],
}
OTHER = [{"AttributeName": "b", "AttributeType": "S"}]
FROM = {"S3BucketSource": {"S3Bucket": "bucket"}, "InputFormat": "CSV"}
FILES = {
    "InputS3Configuration": {"S3Bucket": "bucket", "InputFormat": "DYNAMODB_JSON", "S3BucketOwner": "123456789012"},
    "OutputS3Configuration": {"S3Bucket": "bucket", "OutputType": ["ERROR"], "S3BucketOwner": "123456789012"},
}
ONE = "1 validation error detected: "


def policy(table: str) -> dict[str, Any]:
    return {"ResourceArn": ARN + table, "Policy": '{"Version":"2012-10-17","Statement":[]}'}


def imported(table: str) -> dict[str, Any]:
    return {**FROM, "TableCreationParameters": {"TableName": table, **KEYS}}


def bulk(table: str) -> dict[str, Any]:
    return {"TableName": table, **FILES}


def backup(table: str) -> dict[str, Any]:
    return {"TableName": table, "BackupName": "nightly"}


def scaling(table: str) -> dict[str, Any]:
    return {"TableName": table, "ReplicaUpdates": [{"RegionName": "eu-west-1"}]}


def globally(table: str) -> dict[str, Any]:
    return {"GlobalTableName": table, "ReplicationGroup": [{"RegionName": "eu-west-1"}]}


def recovery(table: str) -> dict[str, Any]:
    return {"TableName": table, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}


# operation, a request for a table, the code for one that is not there, what is said to be missing, and who would show
# that it had been made
REFUSED: list[tuple[str, Any, str, str, tuple[str, dict[str, Any]]]] = [
    (
        "PutResourcePolicy",
        policy,
        "ResourceNotFoundException",
        "PutResourcePolicy",
        ("GetResourcePolicy", {"ResourceArn": ARN + "Hash"}),
    ),
    ("CreateBackup", backup, "TableNotFoundException", "CreateBackup", ("ListBackups", {})),
    ("StartBulkPutItems", bulk, "ResourceNotFoundException", "StartBulkPutItems", ("ListBulkOperations", {})),
    (
        "UpdateTableReplicaAutoScaling",
        scaling,
        "ResourceNotFoundException",
        "UpdateTableReplicaAutoScaling",
        ("DescribeTableReplicaAutoScaling", {"TableName": "Hash"}),
    ),
    ("CreateGlobalTable", globally, "TableNotFoundException", "CreateGlobalTable", ("ListGlobalTables", {})),
    (
        "UpdateContinuousBackups",
        recovery,
        "TableNotFoundException",
        "PointInTimeRecoveryEnabled",
        ("DescribeContinuousBackups", {"TableName": "Hash"}),
    ),
]


def told(service: Any, operation: str, body: dict[str, Any]) -> Any:
    """What both sides answer, an error as its body."""
    answer = service.pair.call(operation, body)
    return answer if isinstance(answer, dict) else answer.body()


@pytest.mark.parametrize(
    ("operation", "request_for", "absent", "said", "twin"),
    [pytest.param(*row, id=row[0], marks=pytest.mark.row(f"operation:{row[0]}")) for row in REFUSED],
)
def test_an_operation_that_is_not_here_looks_for_its_table_and_is_then_refused_in_words(
    service: Any, operation: str, request_for: Any, absent: str, said: str, twin: tuple[str, dict[str, Any]]
) -> None:
    before, described = told(service, *twin), service("DescribeTable", TableName="Hash")
    state = service.pair.state
    assert service.refused(operation, **request_for(MISSING)).code == absent
    refusal = service.refused(operation, **request_for("Hash"))
    assert (refusal.code, refusal.status) == ("ValidationException", 400)
    assert refusal.message == f"{said} is not available in this version of dynalab"
    assert service.pair.state is state, "the reference machine has changed"
    assert told(service, *twin) == before
    assert service("DescribeTable", TableName="Hash") == described


@pytest.mark.row("operation:ImportTable")
def test_an_import_is_checked_like_the_creation_that_it_is_and_then_refused_in_words(service: Any) -> None:
    names, state = service("ListTables"), service.pair.state
    taken = service.refused("ImportTable", **imported("Hash"))
    assert (taken.code, taken.message) == ("ResourceInUseException", "Table already exists: Hash")
    refusal = service.refused("ImportTable", **imported(MISSING))
    assert refusal.code == "ValidationException"
    assert refusal.message == "ImportTable is not available in this version of dynalab"
    assert service.pair.state is state
    assert service("ListTables") == names
    assert service("ListImports") == {"ImportSummaryList": []}


def without(body: dict[str, Any], member: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != member}


def null(path: str) -> str:
    return f"{ONE}Value null at '{path}' failed to satisfy constraint: Member must not be null"


UNNAMED = "The parameter 'TableName' is required but was not present in the request"
# Each names a table that is not there: what is wrong with the request is told before.
BAD: list[tuple[str, dict[str, Any], str]] = [
    ("PutResourcePolicy", without(policy(MISSING), "Policy"), null("policy")),
    (
        "PutResourcePolicy",
        {**policy(MISSING), "ResourceArn": "Nowhere"},
        "Invalid TableArn: Invalid ResourceArn provided as input Nowhere",
    ),
    (
        "PutResourcePolicy",
        {**policy(MISSING), "ExpectedRevisionId": ""},
        f"{ONE}Value '' at 'expectedRevisionId' failed to satisfy constraint: Member must have length greater than or "
        "equal to 1",
    ),
    ("CreateBackup", without(backup(MISSING), "TableName"), UNNAMED),
    ("CreateBackup", without(backup(MISSING), "BackupName"), null("backupName")),
    (
        "CreateBackup",
        {**backup(MISSING), "BackupName": "a b c"},
        f"{ONE}Value 'a b c' at 'backupName' failed to satisfy constraint: Member must satisfy regular expression "
        "pattern: [a-zA-Z0-9_.-]+",
    ),
    ("ImportTable", without(imported(MISSING), "S3BucketSource"), null("s3BucketSource")),
    (
        "ImportTable",
        {**imported(MISSING), "InputFormat": "XML"},
        f"{ONE}Value 'XML' at 'inputFormat' failed to satisfy constraint: Member must satisfy enum value set: "
        "[DYNAMODB_JSON, ION, CSV]",
    ),
    (
        "ImportTable",
        {**FROM, "TableCreationParameters": {"TableName": MISSING, **KEYS, "AttributeDefinitions": OTHER}},
        "One or more parameter values were invalid: Some index key attributes are not defined in "
        "AttributeDefinitions. Keys: [a], AttributeDefinitions: [b]",
    ),
    ("StartBulkPutItems", without(bulk(MISSING), "InputS3Configuration"), null("inputS3Configuration")),
    (
        "StartBulkPutItems",
        {**bulk(MISSING), "MaxWriteRequestUnits": 1023},
        f"{ONE}Value '1023' at 'maxWriteRequestUnits' failed to satisfy constraint: Member must have value greater "
        "than or equal to 1024",
    ),
    ("UpdateTableReplicaAutoScaling", without(scaling(MISSING), "TableName"), UNNAMED),
    (
        "UpdateTableReplicaAutoScaling",
        {**scaling(MISSING), "ReplicaUpdates": [{}]},
        null("replicaUpdates.1.member.regionName"),
    ),
    ("CreateGlobalTable", without(globally(MISSING), "ReplicationGroup"), null("replicationGroup")),
    (
        "CreateGlobalTable",
        globally("ab"),
        f"{ONE}Value 'ab' at 'globalTableName' failed to satisfy constraint: Member must have length greater than or "
        "equal to 3",
    ),
    (
        "UpdateContinuousBackups",
        {"TableName": MISSING, "PointInTimeRecoverySpecification": {}},
        null("pointInTimeRecoverySpecification.pointInTimeRecoveryEnabled"),
    ),
]


@pytest.mark.parametrize(
    ("operation", "body", "words"),
    [pytest.param(*row, id=f"{row[0]}-{n}", marks=pytest.mark.row(f"operation:{row[0]}")) for n, row in enumerate(BAD)],
)
def test_what_is_wrong_with_a_request_is_told_before_it_is_refused(
    service: Any, operation: str, body: dict[str, Any], words: str
) -> None:
    error = service.refused(operation, **body)
    assert (error.code, error.message) == ("ValidationException", words)


@pytest.mark.parametrize(
    ("operation", "body", "words"),
    [
        ("CreateBackup", {"TableName": 3}, "NUMBER_VALUE cannot be converted to String"),
        (
            "ImportTable",
            {**imported(MISSING), "ClientToken": []},
            "Unrecognized collection type class java.lang.String",
        ),
        ("CreateGlobalTable", {**globally("Hash"), "ReplicationGroup": "eu-west-1"}, "Unexpected field type"),
    ],
)
def test_a_wrong_type_is_told_before_everything_else(
    service: Any, operation: str, body: dict[str, Any], words: str
) -> None:
    error = service.refused(operation, **body)
    assert (error.code, error.message) == ("SerializationException", words)

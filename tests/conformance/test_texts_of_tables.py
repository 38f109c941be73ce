"""What is said of requests about tables that cannot be."""

# ruff: noqa: E501 (a text is easier to compare with a captured one when it is not cut)

from __future__ import annotations

from typing import Any

import pytest


def case(row: str, operation: str, body: dict[str, Any], text: str) -> Any:
    return pytest.param(operation, body, text, id=row, marks=pytest.mark.row(row))


def table(**members: object) -> dict[str, Any]:
    """A CreateTable request that would pass, with members replaced."""
    body: dict[str, Any] = {
        "TableName": "Refused",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "a", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "a", "AttributeType": "S"}],
    }
    return {name: value for name, value in (body | members).items() if value is not None}


def keys(*names: str, kinds: tuple[str, str] = ("HASH", "RANGE")) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, kinds, strict=False)]


def strings(*names: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "AttributeType": "S"} for name in names]


def index(name: str, *names: str, **members: object) -> dict[str, Any]:
    return {"IndexName": name, "KeySchema": keys(*names), "Projection": {"ProjectionType": "ALL"}, **members}


UNITS = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
TABLES = [
    case(
        "text:create-definitions",
        "CreateTable",
        table(AttributeDefinitions=strings("a", "b")),
        "One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions",
    ),
    case(
        "text:create-index-undefined",
        "CreateTable",
        table(GlobalSecondaryIndexes=[index("by_b", "b")]),
        "One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions. Keys: [b], AttributeDefinitions: [a]",
    ),
    case(
        "text:create-undefined",
        "CreateTable",
        table(KeySchema=keys("a", "b")),
        "Invalid KeySchema: Some index key attribute have no definition",
    ),
    case(
        "text:create-same-name",
        "CreateTable",
        table(KeySchema=keys("a", "a")),
        "Both the Hash Key and the Range Key element in the KeySchema have the same name",
    ),
    case(
        "text:create-first-hash",
        "CreateTable",
        table(KeySchema=keys("a", kinds=("RANGE", "RANGE"))),
        "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
    ),
    case(
        "text:create-second-range",
        "CreateTable",
        table(KeySchema=keys("a", "b", kinds=("HASH", "HASH")), AttributeDefinitions=strings("a", "b")),
        "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
    ),
    case(
        "text:create-index-twice",
        "CreateTable",
        table(GlobalSecondaryIndexes=[index("by_a", "a"), index("by_a", "a")]),
        "One or more parameter values were invalid: Duplicate index name: by_a",
    ),
    case(
        "text:create-indexes-20",
        "CreateTable",
        table(GlobalSecondaryIndexes=[index(f"by_{number}", "a") for number in range(21)]),
        "One or more parameter values were invalid: GlobalSecondaryIndex count exceeds the per-table limit of 20",
    ),
    case(
        "text:create-no-projection",
        "CreateTable",
        table(GlobalSecondaryIndexes=[index("by_a", "a", Projection={})]),
        "One or more parameter values were invalid: Unknown ProjectionType: null",
    ),
    case(
        "text:create-all-and-names",
        "CreateTable",
        table(
            GlobalSecondaryIndexes=[index("by_a", "a", Projection={"ProjectionType": "ALL", "NonKeyAttributes": ["x"]})]
        ),
        "One or more parameter values were invalid: ProjectionType is ALL, but NonKeyAttributes is specified",
    ),
    case(
        "text:create-no-units",
        "CreateTable",
        table(BillingMode=None),
        "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
    ),
    case(
        "text:create-units-on-demand",
        "CreateTable",
        table(ProvisionedThroughput=UNITS),
        "One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
    ),
    case(
        "text:create-index-units-on-demand",
        "CreateTable",
        table(GlobalSecondaryIndexes=[index("by_a", "a", ProvisionedThroughput=UNITS)]),
        "One or more parameter values were invalid: ProvisionedThroughput should not be specified for index: by_a when BillingMode is PAY_PER_REQUEST",
    ),
    case(
        "text:create-units-bounds",
        "CreateTable",
        table(
            BillingMode=None, ProvisionedThroughput={"ReadCapacityUnits": 1_000_000_000_001, "WriteCapacityUnits": 1}
        ),
        "Given value 1000000000001 for ReadCapacityUnits is out of bounds",
    ),
    case(
        "text:update-table-nothing",
        "UpdateTable",
        {"TableName": "Hash"},
        "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required",
    ),
    case(
        "text:update-table-index-twice",
        "UpdateTable",
        {
            "TableName": "Range",
            "GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": "by_g", "ProvisionedThroughput": UNITS}}] * 2,
        },
        "One or more parameter values were invalid: Only one global secondary index update per index is allowed simultaneously. Index: by_g",
    ),
    case(
        "text:update-table-no-units",
        "UpdateTable",
        {"TableName": "Hash", "BillingMode": "PROVISIONED"},
        "One or more parameter values were invalid: ProvisionedThroughput must be specified when BillingMode is PROVISIONED",
    ),
    case(
        "text:update-table-index-nothing",
        "UpdateTable",
        {"TableName": "Range", "GlobalSecondaryIndexUpdates": [{}]},
        "One or more parameter values were invalid: One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, GlobalSecondaryIndexUpdate.Delete must not be null",
    ),
    case(
        "text:tags-none",
        "TagResource",
        {"ResourceArn": "arn:aws:dynamodb:us-east-1:000000000000:table/Hash", "Tags": []},
        "Atleast one Tag needs to be provided as Input.",
    ),
    case(
        "text:tag-keys-none",
        "UntagResource",
        {"ResourceArn": "arn:aws:dynamodb:us-east-1:000000000000:table/Hash", "TagKeys": []},
        "Atleast one Tag Key needs to be provided as Input.",
    ),
    case(
        "text:tags-bad-arn",
        "ListTagsOfResource",
        {"ResourceArn": "arn:nowhere"},
        "Invalid TableArn: Invalid ResourceArn provided as input arn:nowhere",
    ),
]


@pytest.mark.parametrize(("operation", "body", "text"), [*TABLES])
def test_the_request_is_refused_with_just_this_text(
    service: Any, operation: str, body: dict[str, Any], text: str
) -> None:
    error = service.refused(operation, **body)
    assert (error.code, error.status, error.message) == ("ValidationException", 400, text)
    assert error.body()["__type"] == "com.amazon.coral.validate#ValidationException"


@pytest.mark.row("text:tags-unknown-arn")
def test_tags_of_a_table_that_is_not_there_are_a_matter_of_access(service: Any) -> None:
    error = service.refused("ListTagsOfResource", ResourceArn="arn:aws:dynamodb:us-east-1:000000000000:table/Nowhere")
    assert error.code == "AccessDeniedException"


@pytest.mark.row("text:delete-protected")
def test_a_protected_table_is_not_deleted(service: Any) -> None:
    service("CreateTable", **table(TableName="Protected", DeletionProtectionEnabled=True))
    service.pair.wait_active("Protected")
    error = service.refused("DeleteTable", TableName="Protected")
    assert (error.code, error.message) == (
        "ValidationException",
        "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
    )


@pytest.mark.row("text:update-table-same-units")
def test_throughput_that_does_not_change_is_refused_with_all_figures(service: Any) -> None:
    service(
        "CreateTable",
        **table(
            TableName="Units", BillingMode=None, ProvisionedThroughput={"ReadCapacityUnits": 4, "WriteCapacityUnits": 5}
        ),
    )
    service.pair.wait_active("Units")
    error = service.refused(
        "UpdateTable", TableName="Units", ProvisionedThroughput={"ReadCapacityUnits": 4, "WriteCapacityUnits": 5}
    )
    assert error.message == (
        "The provisioned throughput for the table will not change. The requested value equals the current value. "
        "Current ReadCapacityUnits provisioned for the table: 4. Requested ReadCapacityUnits: 4. "
        "Current WriteCapacityUnits provisioned for the table: 5. Requested WriteCapacityUnits: 5. "
        "Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
    )


@pytest.mark.row("text:ttl-same", "text:ttl-other-name")
def test_time_to_live_says_what_it_is_already(service: Any) -> None:
    def update(enabled: bool, name: str) -> Any:
        return service.refused(
            "UpdateTimeToLive", TableName="Ttl", TimeToLiveSpecification={"Enabled": enabled, "AttributeName": name}
        )

    service("CreateTable", **table(TableName="Ttl"))
    service.pair.wait_active("Ttl")
    assert update(False, "e").message == "TimeToLive is already disabled"
    service("UpdateTimeToLive", TableName="Ttl", TimeToLiveSpecification={"Enabled": True, "AttributeName": "e"})
    assert update(True, "e").message == "TimeToLive is already enabled"
    assert update(False, "x").message == "TimeToLive is active on a different AttributeName: current AttributeName is e"

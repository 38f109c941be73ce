"""Unmodified boto3 against settings: what Terraform and the waiters of SDKs ask before they go on, and legacy calls."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.end_to_end.serving import Served, serve

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.service_resource import Table


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve() as running:
        yield running


@pytest.fixture(scope="module")
def client(served: Served) -> DynamoDBClient:
    client = served.client()
    client.create_table(
        TableName="orders",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
        ],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        Tags=[{"Key": "made-by", "Value": "test"}],
    )
    wait(client)
    return client


@pytest.fixture(scope="module")
def table(served: Served, client: DynamoDBClient) -> Table:
    return boto3.resource(
        "dynamodb",
        endpoint_url=served.url,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
    ).Table("orders")


def wait(client: DynamoDBClient) -> None:
    """Until the table is ACTIVE: what an infrastructure tool does after each change."""
    for _ in range(200):
        if client.describe_table(TableName="orders")["Table"]["TableStatus"] == "ACTIVE":
            return
        time.sleep(0.02)
    raise AssertionError("the table never became active")


def test_what_an_infrastructure_tool_asks_of_a_new_table_is_answered(client: DynamoDBClient) -> None:
    arn = client.describe_table(TableName="orders")["Table"]["TableArn"]
    backups = client.describe_continuous_backups(TableName="orders")["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "DISABLED"
    ttl = client.describe_time_to_live(TableName="orders")["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "DISABLED"}
    assert client.list_tags_of_resource(ResourceArn=arn)["Tags"] == [{"Key": "made-by", "Value": "test"}]
    assert client.describe_contributor_insights(TableName="orders")["ContributorInsightsStatus"] == "DISABLED"
    assert client.describe_kinesis_streaming_destination(TableName="orders")["KinesisDataStreamDestinations"] == []
    assert client.list_backups()["BackupSummaries"] == []
    assert client.describe_limits()["AccountMaxReadCapacityUnits"] == 80_000


def test_settings_are_changed_and_read_back(client: DynamoDBClient) -> None:
    arn = client.describe_table(TableName="orders")["Table"]["TableArn"]
    client.tag_resource(ResourceArn=arn, Tags=[{"Key": "team", "Value": "red"}])
    client.untag_resource(ResourceArn=arn, TagKeys=["made-by"])
    assert client.list_tags_of_resource(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "red"}]
    client.update_time_to_live(
        TableName="orders", TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"}
    )
    for _ in range(200):
        told = client.describe_time_to_live(TableName="orders")["TimeToLiveDescription"]
        if told["TimeToLiveStatus"] != "ENABLING":
            break
        time.sleep(0.02)
    assert told == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}
    client.update_table(
        TableName="orders",
        BillingMode="PROVISIONED",
        ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 6},
    )
    wait(client)
    client.update_table(TableName="orders", DeletionProtectionEnabled=True)
    wait(client)
    described = client.describe_table(TableName="orders")["Table"]
    assert described["ProvisionedThroughput"]["WriteCapacityUnits"] == 6
    assert described["BillingModeSummary"]["BillingMode"] == "PROVISIONED"
    with pytest.raises(ClientError, match="protected against deletion"):
        client.delete_table(TableName="orders")


def test_an_operation_that_is_not_here_says_so_and_one_that_does_not_exist_is_unknown(client: DynamoDBClient) -> None:
    with pytest.raises(ClientError) as caught:
        client.create_backup(TableName="orders", BackupName="nightly")
    assert caught.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": "CreateBackup is not available in this version of dynalab",
    }
    with pytest.raises(client.exceptions.TableNotFoundException):
        client.describe_continuous_backups(TableName="nothing")


def test_a_client_that_asks_for_endpoints_is_sent_back_to_where_it_asked(
    served: Served, client: DynamoDBClient
) -> None:
    endpoints = client.describe_endpoints()["Endpoints"]
    assert [endpoint["Address"] for endpoint in endpoints] == [served.url.removeprefix("http://")]


def test_a_program_from_before_expressions_runs_through_the_resource(table: Table) -> None:
    for number in range(5):
        table.put_item(Item={"pk": "a", "sk": number, "n": number}, Expected={"pk": {"Exists": False}})
    with pytest.raises(ClientError, match="conditional request failed"):
        table.put_item(Item={"pk": "a", "sk": 0}, Expected={"pk": {"Exists": False}})
    table.update_item(
        Key={"pk": "a", "sk": 1},
        AttributeUpdates={"n": {"Action": "ADD", "Value": 10}, "tags": {"Action": "PUT", "Value": {"x", "y"}}},
    )
    found = table.query(
        KeyConditions={
            "pk": {"ComparisonOperator": "EQ", "AttributeValueList": ["a"]},
            "sk": {"ComparisonOperator": "BETWEEN", "AttributeValueList": [1, 3]},
        },
        QueryFilter={"n": {"ComparisonOperator": "GT", "AttributeValueList": [2]}},
        AttributesToGet=["sk", "n"],
        ConsistentRead=True,
    )
    assert found["Items"] == [{"sk": 1, "n": 11}, {"sk": 3, "n": 3}]
    scanned = table.scan(
        ScanFilter={
            "tags": {"ComparisonOperator": "CONTAINS", "AttributeValueList": ["y"]},
            "n": {"ComparisonOperator": "EQ", "AttributeValueList": [4]},
        },
        ConditionalOperator="OR",
        ConsistentRead=True,
    )
    assert sorted(str(item["sk"]) for item in scanned["Items"]) == ["1", "4"]
    table.delete_item(Key={"pk": "a", "sk": 4}, Expected={"n": {"ComparisonOperator": "IN", "AttributeValueList": [4]}})
    assert "Item" not in table.get_item(Key={"pk": "a", "sk": 4}, AttributesToGet=["n"], ConsistentRead=True)

"""The service's operations, one row each: what a request may hold, what it must hold, and what comes back."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_model.shapes import REQUESTS

# `!` marks what is required.
PARAMETERS: dict[str, str] = {
    "GetItem": "!TableName !Key AttributesToGet ConsistentRead ReturnConsumedCapacity ProjectionExpression "
    "ExpressionAttributeNames",
    "PutItem": "!TableName !Item Expected ReturnValues ReturnConsumedCapacity ReturnItemCollectionMetrics "
    "ConditionalOperator ConditionExpression ExpressionAttributeNames ExpressionAttributeValues "
    "ReturnValuesOnConditionCheckFailure",
    "UpdateItem": "!TableName !Key AttributeUpdates UpdateExpression Expected ReturnValues ReturnConsumedCapacity "
    "ReturnItemCollectionMetrics ConditionalOperator ConditionExpression ExpressionAttributeNames "
    "ExpressionAttributeValues ReturnValuesOnConditionCheckFailure",
    "DeleteItem": "!TableName !Key Expected ReturnValues ReturnConsumedCapacity ReturnItemCollectionMetrics "
    "ConditionalOperator ConditionExpression ExpressionAttributeNames ExpressionAttributeValues "
    "ReturnValuesOnConditionCheckFailure",
    "Query": "!TableName IndexName Select AttributesToGet Limit ConsistentRead KeyConditions QueryFilter "
    "ConditionalOperator ScanIndexForward ExclusiveStartKey ReturnConsumedCapacity ProjectionExpression "
    "FilterExpression KeyConditionExpression ExpressionAttributeNames ExpressionAttributeValues",
    "Scan": "!TableName IndexName AttributesToGet Limit Select ScanFilter ConditionalOperator ExclusiveStartKey "
    "ReturnConsumedCapacity TotalSegments Segment ProjectionExpression FilterExpression ExpressionAttributeNames "
    "ExpressionAttributeValues ConsistentRead",
    "BatchGetItem": "!RequestItems ReturnConsumedCapacity",
    "BatchWriteItem": "!RequestItems ReturnConsumedCapacity ReturnItemCollectionMetrics",
    "TransactGetItems": "!TransactItems ReturnConsumedCapacity",
    "TransactWriteItems": "!TransactItems ReturnConsumedCapacity ReturnItemCollectionMetrics ClientRequestToken",
    "ExecuteStatement": "!Statement Parameters ConsistentRead NextToken ReturnConsumedCapacity Limit "
    "ReturnValuesOnConditionCheckFailure",
    "BatchExecuteStatement": "!Statements ReturnConsumedCapacity",
    "ExecuteTransaction": "!TransactStatements ClientRequestToken ReturnConsumedCapacity",
    "SearchVectors": "!TableName !IndexName !SearchVector !TopK SearchConditionExpression ProjectionExpression "
    "ExpressionAttributeNames ExpressionAttributeValues ReturnConsumedCapacity",
    "CreateTable": "!TableName AttributeDefinitions KeySchema LocalSecondaryIndexes GlobalSecondaryIndexes BillingMode "
    "ProvisionedThroughput StreamSpecification SSESpecification Tags TableClass DeletionProtectionEnabled "
    "WarmThroughput ResourcePolicy OnDemandThroughput GlobalTableSourceArn GlobalTableSettingsReplicationMode "
    "VectorIndexes",
    "UpdateTable": "!TableName AttributeDefinitions BillingMode ProvisionedThroughput GlobalSecondaryIndexUpdates "
    "StreamSpecification SSESpecification ReplicaUpdates TableClass DeletionProtectionEnabled MultiRegionConsistency "
    "GlobalTableWitnessUpdates OnDemandThroughput WarmThroughput GlobalTableSettingsReplicationMode "
    "DisassociationProtectionEnabled VectorIndexUpdates",
    "DeleteTable": "!TableName",
    "DescribeTable": "!TableName",
    "ListTables": "ExclusiveStartTableName Limit",
    "UpdateTimeToLive": "!TableName !TimeToLiveSpecification",
    "DescribeTimeToLive": "!TableName",
    "TagResource": "!ResourceArn !Tags",
    "UntagResource": "!ResourceArn !TagKeys",
    "ListTagsOfResource": "!ResourceArn NextToken",
    "PutResourcePolicy": "!ResourceArn !Policy ExpectedRevisionId ConfirmRemoveSelfResourceAccess",
    "GetResourcePolicy": "!ResourceArn",
    "DeleteResourcePolicy": "!ResourceArn ExpectedRevisionId",
    "DescribeLimits": "",
    "DescribeEndpoints": "",
    "CreateBackup": "!TableName !BackupName",
    "DeleteBackup": "!BackupArn",
    "DescribeBackup": "!BackupArn",
    "ListBackups": "TableName Limit TimeRangeLowerBound TimeRangeUpperBound ExclusiveStartBackupArn BackupType",
    "UpdateContinuousBackups": "!TableName !PointInTimeRecoverySpecification",
    "DescribeContinuousBackups": "!TableName",
    "RestoreTableFromBackup": "!TargetTableName !BackupArn BillingModeOverride GlobalSecondaryIndexOverride "
    "LocalSecondaryIndexOverride ProvisionedThroughputOverride OnDemandThroughputOverride SSESpecificationOverride "
    "VectorIndexOverride",
    "RestoreTableToPointInTime": "SourceTableArn SourceTableName !TargetTableName UseLatestRestorableTime "
    "RestoreDateTime BillingModeOverride GlobalSecondaryIndexOverride LocalSecondaryIndexOverride "
    "ProvisionedThroughputOverride OnDemandThroughputOverride SSESpecificationOverride VectorIndexOverride",
    "ExportTableToPointInTime": "!TableArn ExportTime ClientToken !S3Bucket S3BucketOwner S3Prefix S3SseAlgorithm "
    "S3SseKmsKeyId ExportFormat ExportType IncrementalExportSpecification FilterSpecification",
    "DescribeExport": "!ExportArn",
    "ListExports": "TableArn MaxResults NextToken",
    "ImportTable": "ClientToken !S3BucketSource !InputFormat InputFormatOptions InputCompressionType "
    "!TableCreationParameters",
    "DescribeImport": "!ImportArn",
    "ListImports": "TableArn PageSize NextToken",
    "StartBulkPutItems": "ClientToken !InputS3Configuration !OutputS3Configuration !TableName MaxWriteRequestUnits "
    "PerformanceTier",
    "DescribeBulkOperation": "!BulkOperationArn",
    "ListBulkOperations": "MaxResults NextToken",
    "CancelBulkOperation": "!BulkOperationArn",
    "UpdateContributorInsights": "!TableName IndexName !ContributorInsightsAction ContributorInsightsMode",
    "DescribeContributorInsights": "!TableName IndexName",
    "ListContributorInsights": "TableName NextToken MaxResults",
    "EnableKinesisStreamingDestination": "!TableName !StreamArn EnableKinesisStreamingConfiguration",
    "DisableKinesisStreamingDestination": "!TableName !StreamArn EnableKinesisStreamingConfiguration",
    "UpdateKinesisStreamingDestination": "!TableName !StreamArn UpdateKinesisStreamingConfiguration",
    "DescribeKinesisStreamingDestination": "!TableName",
    "UpdateTableReplicaAutoScaling": "!TableName GlobalSecondaryIndexUpdates "
    "ProvisionedWriteCapacityAutoScalingUpdate ReplicaUpdates",
    "DescribeTableReplicaAutoScaling": "!TableName",
    "CreateGlobalTable": "!GlobalTableName !ReplicationGroup",
    "UpdateGlobalTable": "!GlobalTableName !ReplicaUpdates",
    "DescribeGlobalTable": "!GlobalTableName",
    "ListGlobalTables": "ExclusiveStartGlobalTableName Limit RegionName",
    "UpdateGlobalTableSettings": "!GlobalTableName GlobalTableBillingMode "
    "GlobalTableProvisionedWriteCapacityUnits GlobalTableProvisionedWriteCapacityAutoScalingSettingsUpdate "
    "GlobalTableGlobalSecondaryIndexSettingsUpdate ReplicaSettingsUpdate",
    "DescribeGlobalTableSettings": "!GlobalTableName",
    "ListStreams": "TableName Limit ExclusiveStartStreamArn",
    "DescribeStream": "!StreamArn Limit ExclusiveStartShardId ShardFilter",
    "GetShardIterator": "!StreamArn !ShardId !ShardIteratorType SequenceNumber Timestamp",
    "GetRecords": "!ShardIterator Limit",
}


@pytest.mark.parametrize(
    "operation", [pytest.param(name, marks=pytest.mark.row(f"parameters:{name}")) for name in PARAMETERS]
)
def test_an_operation_takes_these_parameters_and_no_others(operation: str) -> None:
    expected = {name.removeprefix("!"): name.startswith("!") for name in PARAMETERS[operation].split()}
    assert {member.name: member.required for member in REQUESTS[operation].shape.members} == expected


# --- what comes back --------------------------------------------------------------------------------------------------

KEY: dict[str, Any] = {"pk": {"S": "operations"}}
ITEM: dict[str, Any] = KEY | {"n": {"N": "1"}}
ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/Hash"


@pytest.fixture
def stored(service: Any) -> Any:
    """The service, with one known item."""
    service("PutItem", TableName="Hash", Item=ITEM)
    return service


@pytest.mark.row("operation:GetItem")
def test_get_item_answers_the_item_and_nothing_for_none(stored: Any) -> None:
    assert stored("GetItem", TableName="Hash", Key=KEY) == {"Item": ITEM}
    assert stored("GetItem", TableName="Hash", Key={"pk": {"S": "never written"}}) == {}


@pytest.mark.row("operation:PutItem")
def test_put_item_replaces_the_whole_item(stored: Any) -> None:
    new = KEY | {"m": {"S": "x"}}
    assert stored("PutItem", TableName="Hash", Item=new, ReturnValues="ALL_OLD") == {"Attributes": ITEM}
    assert stored("GetItem", TableName="Hash", Key=KEY, ConsistentRead=True) == {"Item": new}
    fresh = {"pk": {"S": "put once"}}
    assert stored("PutItem", TableName="Hash", Item=fresh, ReturnValues="ALL_OLD") == {}


@pytest.mark.row("operation:UpdateItem")
def test_update_item_changes_or_creates(stored: Any) -> None:
    change = {"UpdateExpression": "ADD n :one", "ExpressionAttributeValues": {":one": {"N": "1"}}}
    answer = stored("UpdateItem", TableName="Hash", Key=KEY, ReturnValues="ALL_NEW", **change)
    assert answer == {"Attributes": KEY | {"n": {"N": "2"}}}
    created = {"pk": {"S": "created by an update"}}
    answer = stored("UpdateItem", TableName="Hash", Key=created, ReturnValues="ALL_NEW")
    assert answer == {"Attributes": created}


@pytest.mark.row("operation:DeleteItem")
def test_delete_item_removes_and_does_so_again_in_peace(stored: Any) -> None:
    assert stored("DeleteItem", TableName="Hash", Key=KEY, ReturnValues="ALL_OLD") == {"Attributes": ITEM}
    assert stored("DeleteItem", TableName="Hash", Key=KEY, ReturnValues="ALL_OLD") == {}
    assert stored("GetItem", TableName="Hash", Key=KEY, ConsistentRead=True) == {}


@pytest.mark.row("operation:Query")
def test_query_answers_one_partition_key_in_the_order_of_the_sort_key(service: Any) -> None:
    for number in (10, 9, -1):
        service.put("Numbers", pk={"S": "query"}, sk={"N": str(number)})
    request = {
        "TableName": "Numbers",
        "KeyConditionExpression": "pk = :p",
        "ExpressionAttributeValues": {":p": {"S": "query"}},
        "ConsistentRead": True,
    }
    rows = [{"pk": {"S": "query"}, "sk": {"N": number}} for number in ("-1", "9", "10")]
    assert service("Query", **request) == {"Items": rows, "Count": 3, "ScannedCount": 3}
    assert service("Query", **request, ScanIndexForward=False)["Items"] == rows[::-1]
    assert service("Query", **request, Limit=1) == {
        "Items": rows[:1],
        "Count": 1,
        "ScannedCount": 1,
        "LastEvaluatedKey": {"pk": {"S": "query"}, "sk": {"N": "-1"}},
    }
    assert service("Query", **request, Select="COUNT") == {"Count": 3, "ScannedCount": 3}


@pytest.mark.row("operation:Scan")
def test_scan_reads_everything_once_over_its_segments(service: Any) -> None:
    keys = [{"pk": {"B": text}} for text in ("AA==", "gA==", "/w==", "fw==")]
    for key in keys:
        service("PutItem", TableName="Binary", Item=key)
    whole = service("Scan", TableName="Binary", ConsistentRead=True)
    assert (whole["Count"], whole["ScannedCount"]) == (4, 4)
    segments = [service("Scan", TableName="Binary", Segment=n, TotalSegments=3, ConsistentRead=True) for n in range(3)]
    found = [item for segment in segments for item in segment["Items"]]
    assert sorted(map(str, found)) == sorted(map(str, keys)) == sorted(map(str, whole["Items"]))


@pytest.mark.row("operation:BatchGetItem")
def test_batch_get_item_answers_by_table_and_leaves_out_what_is_not_there(stored: Any) -> None:
    keys = [KEY, {"pk": {"S": "never written"}}]
    assert stored("BatchGetItem", RequestItems={"Hash": {"Keys": keys, "ConsistentRead": True}}) == {
        "Responses": {"Hash": [ITEM]},
        "UnprocessedKeys": {},
    }


@pytest.mark.row("operation:BatchWriteItem")
def test_batch_write_item_puts_and_deletes(stored: Any) -> None:
    writes = [{"PutRequest": {"Item": {"pk": {"S": "batch"}}}}, {"DeleteRequest": {"Key": KEY}}]
    assert stored("BatchWriteItem", RequestItems={"Hash": writes}) == {"UnprocessedItems": {}}
    assert stored.get("Hash", **KEY) is None
    assert stored.get("Hash", pk={"S": "batch"}) == {"pk": {"S": "batch"}}


# --- tables -----------------------------------------------------------------------------------------------------------


def table(name: str, **members: object) -> dict[str, Any]:
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "a", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "a", "AttributeType": "S"}],
        **members,
    }


@pytest.mark.row("operation:CreateTable", "operation:DescribeTable", "operation:DeleteTable")
def test_a_table_is_created_described_and_deleted(service: Any) -> None:
    created = service("CreateTable", **table("Made", BillingMode="PROVISIONED", ProvisionedThroughput=UNITS))
    assert created["TableDescription"]["TableArn"] == "arn:aws:dynamodb:us-east-1:000000000000:table/Made"
    service.pair.wait_active("Made")
    described = service("DescribeTable", TableName="Made")["Table"]
    assert described["TableStatus"] == "ACTIVE"
    assert described["KeySchema"] == [{"AttributeName": "a", "KeyType": "HASH"}]
    assert described["ProvisionedThroughput"] == {**UNITS, "NumberOfDecreasesToday": 0}
    assert len(described["TableId"]) == 36 and isinstance(described["CreationDateTime"], float)
    assert service("DeleteTable", TableName="Made")["TableDescription"]["TableStatus"] == "DELETING"
    service.pair.wait_active("Made")  # or gone: the model lets go of a table at once, the service takes its time
    assert service.refused("DescribeTable", TableName="Made").code == "ResourceNotFoundException"


UNITS = {"ReadCapacityUnits": 2, "WriteCapacityUnits": 3}


@pytest.mark.row("operation:UpdateTable")
def test_update_table_changes_a_setting(service: Any) -> None:
    service("CreateTable", **table("Changed"))
    service.pair.wait_active("Changed")
    answer = service("UpdateTable", TableName="Changed", BillingMode="PROVISIONED", ProvisionedThroughput=UNITS)
    assert answer["TableDescription"]["ProvisionedThroughput"] == {**UNITS, "NumberOfDecreasesToday": 0}


@pytest.mark.row("operation:ListTables")
def test_list_tables_goes_by_name_and_says_where_it_stopped(service: Any) -> None:
    names = service("ListTables")["TableNames"]
    assert names == sorted(names) and {"Binary", "Hash", "Numbers", "Range"} <= set(names)
    first = service("ListTables", Limit=1)
    assert first == {"TableNames": ["Binary"], "LastEvaluatedTableName": "Binary"}
    assert service("ListTables", ExclusiveStartTableName="Numbers", Limit=1)["TableNames"][0] > "Numbers"


@pytest.mark.row("operation:UpdateTimeToLive", "operation:DescribeTimeToLive")
def test_time_to_live_is_set_and_described(service: Any) -> None:
    described = service("DescribeTimeToLive", TableName="Hash")
    assert described == {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}
    specification = {"Enabled": True, "AttributeName": "expires"}
    answer = service("UpdateTimeToLive", TableName="Numbers", TimeToLiveSpecification=specification)
    assert answer == {"TimeToLiveSpecification": specification}
    assert service("DescribeTimeToLive", TableName="Numbers") == {
        "TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}
    }


@pytest.mark.row("operation:TagResource", "operation:UntagResource", "operation:ListTagsOfResource")
def test_tags_come_and_go(service: Any) -> None:
    tags = [{"Key": "team", "Value": "red"}, {"Key": "stage", "Value": ""}]
    assert service("TagResource", ResourceArn=ARN, Tags=tags) == {}
    assert service("ListTagsOfResource", ResourceArn=ARN) == {"Tags": tags}
    assert service("UntagResource", ResourceArn=ARN, TagKeys=["team"]) == {}
    assert service("ListTagsOfResource", ResourceArn=ARN) == {"Tags": tags[1:]}
    service("UntagResource", ResourceArn=ARN, TagKeys=["stage"])


@pytest.mark.row("behaviour:tags-reserved")
def test_tags_of_the_service_itself_are_not_to_be_given(service: Any) -> None:
    reserved = [{"Key": "aws:team", "Value": "red"}]
    assert service.refused("TagResource", ResourceArn=ARN, Tags=reserved).code == "ValidationException"
    assert service.refused("CreateTable", **table("Tagged", Tags=reserved)).code == "ValidationException"
    tags = [{"Key": "AWS:team", "Value": "red"}]
    service("TagResource", ResourceArn=ARN, Tags=tags)
    assert service("ListTagsOfResource", ResourceArn=ARN) == {"Tags": tags}
    service("UntagResource", ResourceArn=ARN, TagKeys=["AWS:team"])


@pytest.mark.row("operation:DescribeLimits")
def test_describe_limits_answers_the_default_quotas(service: Any) -> None:
    assert service("DescribeLimits") == {
        "AccountMaxReadCapacityUnits": 80_000,
        "AccountMaxWriteCapacityUnits": 80_000,
        "TableMaxReadCapacityUnits": 40_000,
        "TableMaxWriteCapacityUnits": 40_000,
    }


@pytest.mark.row("operation:DescribeEndpoints")
def test_describe_endpoints_answers_an_address_to_keep(service: Any) -> None:
    (endpoint,) = service("DescribeEndpoints")["Endpoints"]
    assert set(endpoint) == {"Address", "CachePeriodInMinutes"}
    assert endpoint["CachePeriodInMinutes"] > 0


OFF: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("ListBackups", {}, {"BackupSummaries": []}),
    ("ListExports", {}, {"ExportSummaries": []}),
    ("ListImports", {}, {"ImportSummaryList": []}),
    ("ListBulkOperations", {}, {"BulkOperationsSummaryList": []}),
    ("ListContributorInsights", {}, {"ContributorInsightsSummaries": []}),
    ("ListGlobalTables", {}, {"GlobalTables": []}),
    (
        "DescribeContinuousBackups",
        {"TableName": "Hash"},
        {
            "ContinuousBackupsDescription": {
                "ContinuousBackupsStatus": "ENABLED",
                "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"},
            }
        },
    ),
    (
        "DescribeContributorInsights",
        {"TableName": "Hash"},
        {"TableName": "Hash", "ContributorInsightsStatus": "DISABLED"},
    ),
    (
        "DescribeKinesisStreamingDestination",
        {"TableName": "Hash"},
        {"TableName": "Hash", "KinesisDataStreamDestinations": []},
    ),
    (
        "DescribeTableReplicaAutoScaling",
        {"TableName": "Hash"},
        {"TableAutoScalingDescription": {"TableName": "Hash", "TableStatus": "ACTIVE", "Replicas": []}},
    ),
    (
        "UpdateContinuousBackups",
        {"TableName": "Hash", "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": False}},
        {
            "ContinuousBackupsDescription": {
                "ContinuousBackupsStatus": "ENABLED",
                "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"},
            }
        },
    ),
    ("DeleteResourcePolicy", {"ResourceArn": ARN}, {}),
]


@pytest.mark.parametrize(
    ("operation", "body", "answer"),
    [pytest.param(*row, id=row[0], marks=pytest.mark.row(f"operation:{row[0]}")) for row in OFF],
)
def test_a_feature_that_is_off_says_so_as_the_service_does(
    service: Any, operation: str, body: dict[str, Any], answer: dict[str, Any]
) -> None:
    assert service(operation, **body) == answer


BACKUP = ARN + "/backup/01489173575360-b308cd7d"
REVISION = {"ResourceArn": ARN, "ExpectedRevisionId": "1683717554210"}
RESTORED = {"SourceTableName": "Hash", "TargetTableName": "Restored"}
RECOVERY = "PointInTimeRecoveryUnavailableException"
ABSENT: list[tuple[str, dict[str, Any], str]] = [
    ("DeleteBackup", {"BackupArn": BACKUP}, "BackupNotFoundException"),
    ("RestoreTableFromBackup", {"BackupArn": BACKUP, "TargetTableName": "Restored"}, "BackupNotFoundException"),
    ("RestoreTableToPointInTime", RESTORED, RECOVERY),
    ("RestoreTableToPointInTime", {"SourceTableArn": ARN, "TargetTableName": "Restored"}, RECOVERY),
    ("RestoreTableToPointInTime", RESTORED | {"SourceTableName": "Nowhere"}, "TableNotFoundException"),
    ("RestoreTableToPointInTime", {"TargetTableName": "Restored"}, "ValidationException"),
    ("ExportTableToPointInTime", {"TableArn": ARN, "S3Bucket": "bucket"}, RECOVERY),
    ("ExportTableToPointInTime", {"TableArn": ARN + "s", "S3Bucket": "bucket"}, "TableNotFoundException"),
    ("CancelBulkOperation", {"BulkOperationArn": ARN + "/bulk/01489173575360"}, "ResourceNotFoundException"),
    ("UpdateGlobalTable", {"GlobalTableName": "Hash", "ReplicaUpdates": []}, "GlobalTableNotFoundException"),
    ("UpdateGlobalTableSettings", {"GlobalTableName": "Hash"}, "GlobalTableNotFoundException"),
    ("DeleteResourcePolicy", REVISION, "PolicyNotFoundException"),
    ("DescribeBackup", {"BackupArn": ARN + "/backup/01489173575360-b308cd7d"}, "BackupNotFoundException"),
    ("DescribeExport", {"ExportArn": ARN + "/export/01489173575360-b308cd7d"}, "ExportNotFoundException"),
    ("DescribeImport", {"ImportArn": ARN + "/import/01489173575360-b308cd7d"}, "ImportNotFoundException"),
    ("DescribeBulkOperation", {"BulkOperationArn": ARN + "/bulk/01489173575360"}, "ResourceNotFoundException"),
    ("DescribeGlobalTable", {"GlobalTableName": "Hash"}, "GlobalTableNotFoundException"),
    ("DescribeGlobalTableSettings", {"GlobalTableName": "Hash"}, "GlobalTableNotFoundException"),
    ("GetResourcePolicy", {"ResourceArn": ARN}, "PolicyNotFoundException"),
]


@pytest.mark.parametrize(
    ("operation", "body", "code"),
    [pytest.param(*row, id=f"{row[0]} {row[2]}", marks=pytest.mark.row(f"operation:{row[0]}")) for row in ABSENT],
)
def test_what_was_never_made_is_not_found_by_its_own_code(
    service: Any, operation: str, body: dict[str, Any], code: str
) -> None:
    assert service.refused(operation, **body).code == code

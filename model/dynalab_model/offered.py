"""Every operation of the service, and how much of it is here. Pages of the documentation are written from this table.

A name that is not in the table is no operation of the service, and is answered with UnknownOperationException. Adding
an operation means a row here and a parser in `requests.OPERATIONS`; a test holds the two to each other and to the
service's own list.
"""

from __future__ import annotations

from dataclasses import dataclass

STATUSES: dict[str, str] = {
    "offered": "does what the service does",
    "off": "answers what the service answers where the feature is switched off",
    "refused": "checks the request and finds its table, then refuses it with a ValidationException that says so",
}


@dataclass(frozen=True, slots=True)
class Offer:
    """One row: `status` is a key of STATUSES, `note` says what is missing, if anything; of what is refused, the
    feature that it belongs to.
    """

    status: str
    note: str = ""


def _rows(status: str, names: str) -> dict[str, Offer]:
    return {name: Offer(status) for name in names.split()}


OFFERED: dict[str, Offer] = {
    **_rows("offered", "GetItem PutItem UpdateItem DeleteItem Query Scan BatchGetItem BatchWriteItem"),
    **_rows("offered", "TransactGetItems TransactWriteItems"),
    **_rows("offered", "ExecuteStatement BatchExecuteStatement ExecuteTransaction"),
    **_rows("offered", "DescribeTable DeleteTable ListTables DescribeLimits DescribeEndpoints"),
    **_rows("offered", "ListStreams DescribeStream GetShardIterator GetRecords"),
    **_rows("offered", "TagResource UntagResource ListTagsOfResource"),
    "DescribeTable": Offer("offered", "ItemCount and TableSizeBytes are renewed every few seconds"),
    "CreateTable": Offer("offered", "without encryption by key and resource policies"),
    "UpdateTable": Offer(
        "offered",
        "billing mode, throughput, ceilings, warm throughput, global indexes, stream, deletion protection, table class",
    ),
    **_rows("offered", "UpdateTimeToLive DescribeTimeToLive"),
    **_rows("offered", "DisableKinesisStreamingDestination UpdateKinesisStreamingDestination"),
    **_rows("offered", "DescribeKinesisStreamingDestination DescribeContributorInsights ListContributorInsights"),
    "EnableKinesisStreamingDestination": Offer(
        "offered",
        "changes come to a data stream inside `dynalab serve --lab`, whose ARN may be any: no Kinesis is asked",
    ),
    "UpdateContributorInsights": Offer("offered", "the lab tells what is counted (`dynalab fault insights`)"),
    **_rows("off", "DescribeContinuousBackups DescribeTableReplicaAutoScaling GetResourcePolicy"),
    **_rows("off", "ListBackups ListExports ListImports ListGlobalTables ListBulkOperations"),
    **_rows("off", "DescribeBackup DescribeExport DescribeImport DescribeBulkOperation"),
    **_rows("off", "DescribeGlobalTable DescribeGlobalTableSettings"),
    "DeleteResourcePolicy": Offer("off", "there is never one to delete"),
    "UpdateContinuousBackups": Offer("off", "recovery to a point in time cannot be switched on"),
    **_rows("off", "DeleteBackup RestoreTableFromBackup RestoreTableToPointInTime ExportTableToPointInTime"),
    **_rows("off", "CancelBulkOperation UpdateGlobalTable UpdateGlobalTableSettings"),
    "SearchVectors": Offer("off", "no table has a vector index, so none is found"),
    "PutResourcePolicy": Offer("refused", "resource policies"),
    "CreateBackup": Offer("refused", "backups"),
    "ImportTable": Offer("refused", "exports and imports"),
    "StartBulkPutItems": Offer("refused", "exports and imports"),
    "UpdateTableReplicaAutoScaling": Offer("refused", "auto scaling"),
    "CreateGlobalTable": Offer("refused", "Regions"),
}

"""Every operation of the service, and how much of it is here. Pages of the documentation are written from this table.

A name that is not in the table is no operation of the service, and is answered with UnknownOperationException. Adding
an operation means a row here and a parser in `requests.OPERATIONS`; a test holds the two to each other and to the
service's own list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from dynalab_model.errors import validation

STATUSES: dict[str, str] = {
    "offered": "does what the service does",
    "off": "answers what the service answers where the feature is switched off",
    "refused": "answers with a ValidationException that says so",
}


@dataclass(frozen=True, slots=True)
class Offer:
    """One row: `status` is a key of STATUSES, `note` says what is missing, if anything."""

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
    **_rows("offered", "EnableKinesisStreamingDestination DisableKinesisStreamingDestination"),
    **_rows("offered", "UpdateKinesisStreamingDestination DescribeKinesisStreamingDestination"),
    **_rows("offered", "UpdateContributorInsights DescribeContributorInsights ListContributorInsights"),
    **_rows("off", "DescribeContinuousBackups DescribeTableReplicaAutoScaling GetResourcePolicy"),
    **_rows("off", "ListBackups ListExports ListImports ListGlobalTables ListBulkOperations"),
    **_rows("off", "DescribeBackup DescribeExport DescribeImport DescribeBulkOperation"),
    **_rows("off", "DescribeGlobalTable DescribeGlobalTableSettings"),
    "DeleteResourcePolicy": Offer("off", "there is never one to delete"),
    "UpdateContinuousBackups": Offer("off", "recovery to a point in time cannot be switched on"),
    **_rows("off", "DeleteBackup RestoreTableFromBackup RestoreTableToPointInTime ExportTableToPointInTime"),
    **_rows("off", "CancelBulkOperation UpdateGlobalTable UpdateGlobalTableSettings"),
    **_rows("refused", "SearchVectors PutResourcePolicy CreateBackup ImportTable StartBulkPutItems"),
    **_rows("refused", "UpdateContributorInsights CreateGlobalTable UpdateTableReplicaAutoScaling"),
    **_rows("refused", "EnableKinesisStreamingDestination DisableKinesisStreamingDestination"),
    **_rows("refused", "UpdateKinesisStreamingDestination"),
}


def refusal(name: str) -> Callable[[dict[str, object]], NoReturn]:
    """What stands in place of a parser for an operation that is not here.

    >>> refusal("CreateBackup")({})
    Traceback (most recent call last):
    ...
    dynalab_model.errors.DynamoError: ValidationException: CreateBackup is not available in this version of dynalab
    """

    def refuse(body: dict[str, object]) -> NoReturn:
        raise validation(f"{name} is not available in this version of dynalab")

    return refuse

"""The service that the rows are asked of, and the marker that names a row.

Expectations in this room are typed from what is known of the real service, never computed by our own code. Each
request goes to the reference machine and to the replicated service (on the simulator, without faults), and both must
give the same answer to the letter before it is compared with what is expected. Tests share tables and never items:
each uses partition keys of its own. No operation may answer an error that the service's documents do not name for it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from dynalab.differential.lockstep import Pair
from dynalab_model.errors import DynamoError


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "row(*ids): the row of rows.toml that this test asks, as section:name")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave the rows of all collected tests where `dynalab.site.conformance` asked for them."""
    target = os.environ.get("DYNALAB_ROWS_TO")
    if target is None:
        return
    rows: dict[str, list[str]] = {}
    for item in session.items:
        for mark in item.iter_markers("row"):
            for row in mark.args:
                rows.setdefault(row, []).append(item.nodeid)
    Path(target).write_text(json.dumps(rows), encoding="utf-8")


TABLES: dict[str, dict[str, Any]] = {
    # name → key attributes, their types, indexes
    "Hash": {"keys": {"pk": "S"}},
    "Numbers": {"keys": {"pk": "S", "sk": "N"}},
    "Binary": {"keys": {"pk": "B"}},
    "Range": {
        "keys": {"pk": "S", "sk": "S"},
        "indexes": {
            "by_g": ({"g": "S", "h": "N"}, {"ProjectionType": "ALL"}),
            "bare": ({"g": "S"}, {"ProjectionType": "KEYS_ONLY"}),
        },
    },
}


# What each operation may answer besides validation and authorization, by short names (`FULL`).
_READ = "PTE RNF RLE THR"
_WRITE = "CCF PTE RNF ICS TC RLE RWC THR"
_TRANSACTION = "RNF TransactionCanceledException TransactionInProgressException IdempotentParameterMismatchException "
_TRANSACTION += "PTE RLE THR"
_TAGS = "LIM RNF RIU"
_BACKUPS = "BackupNotFoundException TableNotFoundException"
DECLARED: dict[str, str] = {
    **dict.fromkeys(("GetItem", "Query", "Scan", "BatchGetItem"), _READ),
    **dict.fromkeys(("PutItem", "UpdateItem", "DeleteItem"), _WRITE),
    "BatchWriteItem": "PTE RNF ICS RLE RWC THR",
    "ExecuteStatement": "CCF PTE RNF ICS TC RLE THR DuplicateItemException",
    "BatchExecuteStatement": "RLE THR",
    "TransactGetItems": "RNF TransactionCanceledException PTE RLE THR",
    **dict.fromkeys(("TransactWriteItems", "ExecuteTransaction"), _TRANSACTION),
    "CreateTable": "RIU LIM",
    **dict.fromkeys(("UpdateTable", "DeleteTable", "UpdateTimeToLive"), "RIU RNF LIM"),
    **dict.fromkeys(("DescribeTable", "DescribeTimeToLive"), "RNF"),
    **dict.fromkeys(("TagResource", "UntagResource", "ListTagsOfResource"), _TAGS),
    "GetResourcePolicy": "RNF PolicyNotFoundException",
    **dict.fromkeys(("DescribeBackup", "DescribeContinuousBackups"), _BACKUPS),
    "DeleteBackup": "BackupNotFoundException BackupInUseException LIM",
    "UpdateContinuousBackups": "TableNotFoundException ContinuousBackupsUnavailableException",
    "RestoreTableFromBackup": "TableAlreadyExistsException TableInUseException BackupNotFoundException "
    "BackupInUseException LIM",
    "RestoreTableToPointInTime": "TableAlreadyExistsException TableNotFoundException TableInUseException LIM "
    "InvalidRestoreTimeException PointInTimeRecoveryUnavailableException",
    "ExportTableToPointInTime": "TableNotFoundException PointInTimeRecoveryUnavailableException LIM "
    "InvalidExportTimeException ExportConflictException",
    "DeleteResourcePolicy": "RNF PolicyNotFoundException RIU LIM",
    "CancelBulkOperation": "RNF RIU LIM",
    "PutResourcePolicy": "RNF PolicyNotFoundException RIU LIM",
    "CreateBackup": "TableNotFoundException TableInUseException ContinuousBackupsUnavailableException "
    "BackupInUseException LIM",
    "ImportTable": "RIU LIM ImportConflictException",
    "StartBulkPutItems": "LIM RIU IdempotentParameterMismatchException RNF",
    "UpdateTableReplicaAutoScaling": "RNF RIU LIM",
    "CreateGlobalTable": "LIM GlobalTableAlreadyExistsException TableNotFoundException",
    "SearchVectors": "RNF RLE THR",
    "EnableKinesisStreamingDestination": "LIM RIU RNF",
    "DisableKinesisStreamingDestination": "LIM RIU RNF",
    "UpdateKinesisStreamingDestination": "LIM RIU RNF",
    "DescribeKinesisStreamingDestination": "RNF",
    "UpdateContributorInsights": "RNF",
    "DescribeContributorInsights": "RNF",
    "ListContributorInsights": "RNF",
    "DescribeExport": "ExportNotFoundException LIM",
    "DescribeImport": "ImportNotFoundException",
    "DescribeBulkOperation": "RNF",
    **dict.fromkeys(("DescribeGlobalTable", "DescribeGlobalTableSettings"), "GlobalTableNotFoundException"),
    **dict.fromkeys(("UpdateGlobalTable", "UpdateGlobalTableSettings"), "GlobalTableNotFoundException"),
}
FULL = {
    "CCF": "ConditionalCheckFailedException",
    "PTE": "ProvisionedThroughputExceededException",
    "RNF": "ResourceNotFoundException",
    "RIU": "ResourceInUseException",
    "ICS": "ItemCollectionSizeLimitExceededException",
    "TC": "TransactionConflictException",
    "RLE": "RequestLimitExceeded",
    "THR": "ThrottlingException",
    "RWC": "ReplicatedWriteConflictException",
    "LIM": "LimitExceededException",
}
ALWAYS = {"ValidationException", "SerializationException", "AccessDeniedException", "InternalServerError"}


def may_answer(operation: str, code: str) -> bool:
    """Whether the service's documents let this operation answer this error."""
    return code in ALWAYS or code in {FULL.get(name, name) for name in DECLARED.get(operation, "").split()}


def schema(names: Any) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": role} for name, role in zip(names, ("HASH", "RANGE"), strict=False)]


def creation(name: str, keys: dict[str, str], indexes: dict[str, Any] | None = None) -> dict[str, Any]:
    """The CreateTable request of one of TABLES."""
    types = dict(keys)
    for index_keys, _ in (indexes or {}).values():
        types |= index_keys
    described = [
        {"IndexName": index, "KeySchema": schema(index_keys), "Projection": projection}
        for index, (index_keys, projection) in (indexes or {}).items()
    ]
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": schema(keys),
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": kind} for key, kind in types.items()],
        **({"GlobalSecondaryIndexes": described} if described else {}),
    }


class Service:
    """Both sides at once; an answer that is an error is raised."""

    def __init__(self) -> None:
        self.pair = Pair()
        for name, described in TABLES.items():
            self("CreateTable", **creation(name, **described))
            self.pair.wait_active(name)

    def __call__(self, operation: str, /, **body: Any) -> Any:
        answer = self.pair.call(operation, body)
        if isinstance(answer, DynamoError):
            assert may_answer(operation, answer.code), f"{operation} never answers {answer.code}"
            raise answer
        return answer

    def refused(self, operation: str, /, **body: Any) -> DynamoError:
        """The error that this request is answered with."""
        with pytest.raises(DynamoError) as caught:
            self(operation, **body)
        return caught.value

    def put(self, table: str, **item: Any) -> None:
        self("PutItem", TableName=table, Item=item)

    def get(self, table: str, **key: Any) -> Any:
        """The item of this key, None without one."""
        return self("GetItem", TableName=table, Key=key, ConsistentRead=True).get("Item")


@pytest.fixture(scope="package")
def service() -> Service:
    return Service()

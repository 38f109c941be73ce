"""What the service answers where a feature is switched off, or where nothing was ever made with it: backups, exports,
imports, bulk operations, policies, global tables of the first kind.

Rules: nobody can switch one of these on here, so each answer is the service's own for a table or an account that never
did; Terraform and the waiters of SDKs go on. What would switch one on is refused by `refusals`. Codes are the
service's; texts are ours where nobody has captured them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from dynalab_model.errors import DynamoError, validation
from dynalab_model.operations import ReadSettings
from dynalab_model.tables import arn

Body: TypeAlias = "dict[str, object]"
# Of the operation, the table's state ("" without a table) and its settings.
Reader: TypeAlias = Callable[[ReadSettings, str, Mapping[str, object]], Body]

# These (and what is made of tables: global ones) miss a table by another code than all others.
OF_BACKUPS: Final = frozenset(
    {
        "DescribeContinuousBackups",
        "UpdateContinuousBackups",
        "CreateBackup",
        "CreateGlobalTable",
        "RestoreTableToPointInTime",
        "ExportTableToPointInTime",
    }
)


def _continuous_backups(op: ReadSettings, status: str, settings: Mapping[str, object]) -> Body:
    return {
        "ContinuousBackupsDescription": {
            "ContinuousBackupsStatus": "ENABLED",
            "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"},
        }
    }


def _stays_off(op: ReadSettings, status: str, settings: Mapping[str, object]) -> Body:
    """Recovery may be told to be off, as it is; the argument is what would switch it on."""
    if op.argument:
        raise validation(f"{op.argument} is not available in this version of dynalab")
    return _continuous_backups(op, status, settings)


def _replica_auto_scaling(op: ReadSettings, status: str, settings: Mapping[str, object]) -> Body:
    return {"TableAutoScalingDescription": {"TableName": op.table, "TableStatus": status, "Replicas": []}}


def _no_policy_left(op: ReadSettings, status: str, settings: Mapping[str, object]) -> Body:
    """No policy is as good as one taken away, unless a certain revision (the argument) was to go."""
    return _no_policy(op, status, settings) if op.argument else {}


def _empty(member: str) -> Reader:
    return lambda op, status, settings: {member: []}


def _none_such(code: str, text: str) -> Reader:
    def refuse(op: ReadSettings, status: str, settings: Mapping[str, object]) -> Body:
        raise DynamoError(code, text.format(op.argument or arn(op.table)))

    return refuse


def _no_recovery(op: ReadSettings, status: str, settings: Mapping[str, object]) -> Body:
    text = f"Point in time recovery is not enabled for table '{op.table}'"
    raise DynamoError("PointInTimeRecoveryUnavailableException", text)


def _no_policy(op: ReadSettings, status: str, settings: Mapping[str, object]) -> Body:
    raise DynamoError("PolicyNotFoundException", f"Resource-based policy not found for {arn(op.table)}")


_NO_BACKUP = _none_such("BackupNotFoundException", "Backup not found: {}")
_NO_GLOBAL_TABLE = _none_such("GlobalTableNotFoundException", "Global table not found: {}")
_NO_BULK_OPERATION = _none_such("ResourceNotFoundException", "Requested resource not found: {}")

SWITCHED_OFF: Final[Mapping[str, Reader]] = {
    "DescribeContinuousBackups": _continuous_backups,
    "UpdateContinuousBackups": _stays_off,
    "DescribeTableReplicaAutoScaling": _replica_auto_scaling,
    "ListBackups": _empty("BackupSummaries"),
    "ListExports": _empty("ExportSummaries"),
    "ListImports": _empty("ImportSummaryList"),
    "ListGlobalTables": _empty("GlobalTables"),
    "ListBulkOperations": _empty("BulkOperationsSummaryList"),
    "DescribeBackup": _NO_BACKUP,
    "DeleteBackup": _NO_BACKUP,
    "RestoreTableFromBackup": _NO_BACKUP,
    "RestoreTableToPointInTime": _no_recovery,
    "ExportTableToPointInTime": _no_recovery,
    "DescribeExport": _none_such("ExportNotFoundException", "Export not found: {}"),
    "DescribeImport": _none_such("ImportNotFoundException", "Import not found: {}"),
    "DescribeGlobalTable": _NO_GLOBAL_TABLE,
    "UpdateGlobalTable": _NO_GLOBAL_TABLE,
    "DescribeGlobalTableSettings": _NO_GLOBAL_TABLE,
    "UpdateGlobalTableSettings": _NO_GLOBAL_TABLE,
    "DescribeBulkOperation": _NO_BULK_OPERATION,
    "CancelBulkOperation": _NO_BULK_OPERATION,
    "GetResourcePolicy": _no_policy,
    "DeleteResourcePolicy": _no_policy_left,
}

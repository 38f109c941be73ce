"""From JSON to the operations of `settings`: UpdateTable, tags, time to live, and everything that only reads settings
(api.md §2, §8 "UpdateTable", "Tags", "TTL").

Rules: nothing here knows which tables exist. A table is named by name or ARN, a resource by its ARN alone. What this
version does not have is refused in words, never taken and forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias, cast

from dynalab_model.create_table import check_throughput_bounds, plain_throughput
from dynalab_model.errors import INVALID, validation
from dynalab_model.fields import named_table, resource_table
from dynalab_model.online_indexes import parse_index_updates
from dynalab_model.operations import ReadSettings, TagResource, UntagResource, UpdateTable, UpdateTimeToLive
from dynalab_model.shapes import REQUESTS
from dynalab_model.stream_requests import stream_specification
from dynalab_model.tags import parse_tags
from dynalab_model.throughput import TABLE, parse_ceilings, parse_warm

Parser: TypeAlias = "Callable[[dict[str, object]], ReadSettings]"

_KEPT = ("BillingMode", "ProvisionedThroughput", "TableClass", "DeletionProtectionEnabled")
_NOT_OFFERED = (
    "ReplicaUpdates",
    "MultiRegionConsistency",
    "GlobalTableWitnessUpdates",
    "GlobalTableSettingsReplicationMode",
    "DisassociationProtectionEnabled",
    "VectorIndexUpdates",
)


def parse_update_table(body: dict[str, object]) -> UpdateTable:
    """An UpdateTable operation from its JSON body, or DynamoDB's error for it.

    >>> parse_update_table({"TableName": "Orders", "DeletionProtectionEnabled": True}).changes
    {'DeletionProtectionEnabled': True}
    """
    table = REQUESTS["UpdateTable"].check_named(body, named_table)
    changes = {name: body[name] for name in _KEPT if body.get(name) is not None}
    if "ProvisionedThroughput" in changes:
        changes["ProvisionedThroughput"] = plain_throughput(changes["ProvisionedThroughput"])
    for member, given in (("Ceilings", parse_ceilings(body, liftable=True)), ("Warm", parse_warm(body))):
        if given is not None:
            changes[member] = {TABLE: given}
    stream = stream_specification(body)
    if stream is not None:
        changes["StreamSpecification"] = stream
    encryption = cast("dict[str, object]", body.get("SSESpecification") or {})
    for member in _NOT_OFFERED:
        if body.get(member) is not None:
            raise validation(f"{member} is not available in this version of dynalab")
    if encryption.get("Enabled"):
        raise validation("SSESpecification is not available in this version of dynalab")
    for member, of_indexes in parse_index_updates(body).items():
        known = changes.get(member)
        changes[member] = {**known, **cast("dict[str, object]", of_indexes)} if type(known) is dict else of_indexes
    if not changes and not encryption:
        raise validation(
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or "
            "SSESpecification or ReplicaUpdates is required"
        )
    _check_billing(changes)
    return UpdateTable(table, changes)


def _check_billing(changes: Mapping[str, object]) -> None:
    mode, throughput = changes.get("BillingMode"), changes.get("ProvisionedThroughput")
    if mode == "PROVISIONED" and throughput is None:
        raise validation(f"{INVALID}ProvisionedThroughput must be specified when BillingMode is PROVISIONED")
    if mode == "PAY_PER_REQUEST" and throughput is not None:
        raise validation(
            f"{INVALID}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is "
            "PAY_PER_REQUEST"
        )
    check_throughput_bounds(cast("dict[str, object] | None", throughput), "")


# --- tags and time to live ------------------------------------------------------------------------------------------


def parse_tag_resource(body: dict[str, object]) -> TagResource:
    """A TagResource operation from its JSON body.

    >>> parse_tag_resource({"ResourceArn": "arn:aws:dynamodb:us-east-1:000000000000:table/Orders",
    ...                     "Tags": [{"Key": "team", "Value": "red"}]})
    TagResource(table='Orders', tags={'team': 'red'})
    """
    REQUESTS["TagResource"].check(body)
    tags = parse_tags(cast("list[object]", body["Tags"]))
    if not tags:
        raise validation("Atleast one Tag needs to be provided as Input.")
    return TagResource(resource_table(body), tags)


def parse_untag_resource(body: dict[str, object]) -> UntagResource:
    """An UntagResource operation from its JSON body.

    >>> arn = "arn:aws:dynamodb:us-east-1:000000000000:table/Orders"
    >>> parse_untag_resource({"ResourceArn": arn, "TagKeys": ["team"]})
    UntagResource(table='Orders', keys=('team',))
    """
    REQUESTS["UntagResource"].check(body)
    keys = cast("list[str]", body["TagKeys"])
    if not keys:
        raise validation("Atleast one Tag Key needs to be provided as Input.")
    return UntagResource(resource_table(body), tuple(keys))


def parse_update_time_to_live(body: dict[str, object]) -> UpdateTimeToLive:
    """An UpdateTimeToLive operation from its JSON body.

    >>> parse_update_time_to_live({"TableName": "Orders",
    ...                            "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "expires"}})
    UpdateTimeToLive(table='Orders', attribute='expires', enabled=True)
    """
    table = REQUESTS["UpdateTimeToLive"].check_named(body, named_table)
    given = cast("dict[str, object]", body["TimeToLiveSpecification"])
    return UpdateTimeToLive(table, cast(str, given["AttributeName"]), bool(given["Enabled"]))


# --- operations that only read --------------------------------------------------------------------------------------


def _of_table(name: str, argument: str = "") -> Parser:
    def parse(body: dict[str, object]) -> ReadSettings:
        table = REQUESTS[name].check_named(body, named_table)
        return ReadSettings(name, table, cast("str | None", body.get(argument)) or "")

    return parse


def _of_resource(name: str) -> Parser:
    def parse(body: dict[str, object]) -> ReadSettings:
        REQUESTS[name].check(body)
        return ReadSettings(name, resource_table(body))

    return parse


def _of_resource_policy(body: dict[str, object]) -> ReadSettings:
    """A revision that must be the one that goes is the argument."""
    REQUESTS["DeleteResourcePolicy"].check(body)
    revision = cast("str | None", body.get("ExpectedRevisionId"))
    return ReadSettings("DeleteResourcePolicy", resource_table(body), revision or "")


def _no_continuous_backups(body: dict[str, object]) -> ReadSettings:
    """Recovery to a point in time is off, and may be told to be so; what would switch it on is the argument."""
    name, member = "UpdateContinuousBackups", "PointInTimeRecoveryEnabled"
    table = REQUESTS[name].check_named(body, named_table)
    wanted = cast("dict[str, object]", body["PointInTimeRecoverySpecification"])[member]
    return ReadSettings(name, table, member if wanted else "")


def _restored(body: dict[str, object]) -> ReadSettings:
    """The table that RestoreTableToPointInTime begins with."""
    name = "RestoreTableToPointInTime"
    REQUESTS[name].check(body)
    if body.get("SourceTableArn") is not None:
        return ReadSettings(name, resource_table(body, "SourceTableArn"))
    source = cast("str | None", body.get("SourceTableName"))
    if source is None:  # these words are ours
        raise validation(f"{INVALID}Either SourceTableName or SourceTableArn must be specified")
    return ReadSettings(name, source)


def _exported(body: dict[str, object]) -> ReadSettings:
    REQUESTS["ExportTableToPointInTime"].check(body)
    return ReadSettings("ExportTableToPointInTime", resource_table(body, "TableArn"))


def _of_thing(name: str, member: str) -> Parser:
    def parse(body: dict[str, object]) -> ReadSettings:
        REQUESTS[name].check(body)
        return ReadSettings(name, "", cast(str, body[member]))

    return parse


def _of_service(name: str) -> Parser:
    def parse(body: dict[str, object]) -> ReadSettings:
        REQUESTS[name].check(body)
        return ReadSettings(name)

    return parse


READ_PARSERS: dict[str, Parser] = {
    **{
        name: _of_service(name)
        for name in (
            "DescribeLimits",
            "DescribeEndpoints",
            "ListBackups",
            "ListExports",
            "ListImports",
            "ListGlobalTables",
            "ListBulkOperations",
        )
    },
    **{
        name: _of_table(name)
        for name in (
            "DescribeTimeToLive",
            "DescribeContinuousBackups",
            "DescribeKinesisStreamingDestination",
            "DescribeTableReplicaAutoScaling",
        )
    },
    "DescribeContributorInsights": _of_table("DescribeContributorInsights", "IndexName"),
    "ListTagsOfResource": _of_resource("ListTagsOfResource"),
    "GetResourcePolicy": _of_resource("GetResourcePolicy"),
    "DeleteResourcePolicy": _of_resource_policy,
    "UpdateContinuousBackups": _no_continuous_backups,
    "RestoreTableToPointInTime": _restored,
    "ExportTableToPointInTime": _exported,
    "DescribeBackup": _of_thing("DescribeBackup", "BackupArn"),
    "DeleteBackup": _of_thing("DeleteBackup", "BackupArn"),
    "RestoreTableFromBackup": _of_thing("RestoreTableFromBackup", "BackupArn"),
    "DescribeExport": _of_thing("DescribeExport", "ExportArn"),
    "DescribeImport": _of_thing("DescribeImport", "ImportArn"),
    "DescribeGlobalTable": _of_thing("DescribeGlobalTable", "GlobalTableName"),
    "DescribeGlobalTableSettings": _of_thing("DescribeGlobalTableSettings", "GlobalTableName"),
    "UpdateGlobalTable": _of_thing("UpdateGlobalTable", "GlobalTableName"),
    "UpdateGlobalTableSettings": _of_thing("UpdateGlobalTableSettings", "GlobalTableName"),
    "DescribeBulkOperation": _of_thing("DescribeBulkOperation", "BulkOperationArn"),
    "CancelBulkOperation": _of_thing("CancelBulkOperation", "BulkOperationArn"),
}

"""From JSON to the operations of `settings`: UpdateTable, tags, time to live, and everything that only reads settings
(api.md §2, §8 "UpdateTable", "Tags", "TTL").

Rules: nothing here knows which tables exist. A table is named by name or ARN, a resource by its ARN alone. What this
version does not have is refused in words, never taken and forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias, cast

from dynalab_model.create_table import (
    BILLING_MODES,
    TABLE_CLASSES,
    check_throughput_bounds,
    plain_throughput,
    throughput_failures,
)
from dynalab_model.errors import INVALID, DynamoError, validation
from dynalab_model.fields import (
    check_types,
    enum_failures,
    failure,
    length_failures,
    named_table,
    refuse,
    resource_table,
    wrong_type,
)
from dynalab_model.operations import ReadSettings, TagResource, UntagResource, UpdateTable, UpdateTimeToLive
from dynalab_model.tags import parse_tags

Parser: TypeAlias = "Callable[[dict[str, object]], ReadSettings]"

TTL_NAME_LENGTH_MAX = 255

_UPDATE_KINDS: dict[str, type] = {
    "TableName": str,
    "AttributeDefinitions": list,
    "BillingMode": str,
    "ProvisionedThroughput": dict,
    "GlobalSecondaryIndexUpdates": list,
    "StreamSpecification": dict,
    "SSESpecification": dict,
    "ReplicaUpdates": list,
    "TableClass": str,
    "DeletionProtectionEnabled": bool,
    "MultiRegionConsistency": str,
    "GlobalTableWitnessUpdates": list,
    "OnDemandThroughput": dict,
    "WarmThroughput": dict,
    "GlobalTableSettingsReplicationMode": str,
    "DisassociationProtectionEnabled": bool,
    "VectorIndexUpdates": list,
}
_KEPT = ("BillingMode", "ProvisionedThroughput", "TableClass", "DeletionProtectionEnabled", "OnDemandThroughput")
_NOT_OFFERED = (
    "StreamSpecification",
    "ReplicaUpdates",
    "MultiRegionConsistency",
    "GlobalTableWitnessUpdates",
    "WarmThroughput",
    "GlobalTableSettingsReplicationMode",
    "DisassociationProtectionEnabled",
    "VectorIndexUpdates",
)
_ON_DEMAND_KINDS: dict[str, type] = {"MaxReadRequestUnits": int, "MaxWriteRequestUnits": int}
_INDEX_UPDATE_KINDS: dict[str, type] = {"Update": dict, "Create": dict, "Delete": dict}
_INDEX_KINDS: dict[str, type] = {"IndexName": str, "ProvisionedThroughput": dict, "OnDemandThroughput": dict}


def parse_update_table(body: dict[str, object]) -> UpdateTable:
    """An UpdateTable operation from its JSON body, or DynamoDB's error for it.

    >>> parse_update_table({"TableName": "Orders", "DeletionProtectionEnabled": True}).changes
    {'DeletionProtectionEnabled': True}
    """
    check_types(body, _UPDATE_KINDS)
    table = named_table(body)
    enums = (("BillingMode", "billingMode", BILLING_MODES), ("TableClass", "tableClass", TABLE_CLASSES))
    refuse(enum_failures(body, enums))
    refuse(throughput_failures(body, "provisionedThroughput"))
    changes = {name: body[name] for name in _KEPT if body.get(name) is not None}
    if "ProvisionedThroughput" in changes:
        changes["ProvisionedThroughput"] = plain_throughput(changes["ProvisionedThroughput"])
    if "OnDemandThroughput" in changes:
        changes["OnDemandThroughput"] = _ceilings(cast("dict[str, object]", changes["OnDemandThroughput"]))
    encryption = cast("dict[str, object]", body.get("SSESpecification") or {})
    for member in _NOT_OFFERED:
        if body.get(member) is not None:
            raise validation(f"{member} is not available in this version of dynalab")
    if encryption.get("Enabled"):
        raise validation("SSESpecification is not available in this version of dynalab")
    by_index = _index_throughput(body)
    if by_index:
        changes["IndexThroughput"] = by_index
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


def _ceilings(given: dict[str, object]) -> dict[str, object]:
    """The members of OnDemandThroughput; -1 takes a ceiling away."""
    check_types(given, _ON_DEMAND_KINDS)
    ceilings = {name: given[name] for name in _ON_DEMAND_KINDS if given.get(name) is not None}
    for name, units in ceilings.items():
        if cast(int, units) < 1 and units != -1:
            raise validation(f"Given value {units} for {name} is out of bounds")
    return ceilings


def _index_throughput(body: Mapping[str, object]) -> dict[str, object]:
    """The new throughput of each index. Making and dropping indexes is not offered yet."""
    by_index: dict[str, object] = {}
    for number, part in enumerate(cast("list[object]", body.get("GlobalSecondaryIndexUpdates") or []), 1):
        if type(part) is not dict:
            raise DynamoError("SerializationException", wrong_type(dict, part))
        check_types(part, _INDEX_UPDATE_KINDS)
        update = cast("dict[str, object] | None", part.get("Update"))
        for action in ("Create", "Delete"):
            if part.get(action) is not None:
                raise validation(f"GlobalSecondaryIndexUpdates.{action} is not available in this version of dynalab")
        if update is None:
            raise validation(
                f"{INVALID}One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, "
                "GlobalSecondaryIndexUpdate.Delete must not be null"
            )
        check_types(update, _INDEX_KINDS)
        path = f"globalSecondaryIndexUpdates.{number}.member.update"
        name = cast("str | None", update.get("IndexName"))
        failures = [failure(None, f"{path}.indexName", "not be null")] if name is None else []
        if update.get("ProvisionedThroughput") is None:
            failures.append(failure(None, f"{path}.provisionedThroughput", "not be null"))
        refuse(failures + throughput_failures(update, f"{path}.provisionedThroughput"))
        assert name is not None
        check_throughput_bounds(cast("dict[str, object]", update["ProvisionedThroughput"]), f" for index {name}")
        if name in by_index:
            raise validation(
                f"{INVALID}Only one global secondary index update per index is allowed simultaneously. Index: {name}"
            )
        by_index[name] = plain_throughput(update["ProvisionedThroughput"])
    return by_index


# --- tags and time to live ------------------------------------------------------------------------------------------


def parse_tag_resource(body: dict[str, object]) -> TagResource:
    """A TagResource operation from its JSON body.

    >>> parse_tag_resource({"ResourceArn": "arn:aws:dynamodb:us-east-1:000000000000:table/Orders",
    ...                     "Tags": [{"Key": "team", "Value": "red"}]})
    TagResource(table='Orders', tags={'team': 'red'})
    """
    check_types(body, {"ResourceArn": str, "Tags": list})
    refuse(_absent(body, "ResourceArn", "Tags"))
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
    check_types(body, {"ResourceArn": str, "TagKeys": list})
    refuse(_absent(body, "ResourceArn", "TagKeys"))
    keys = cast("list[object]", body["TagKeys"])
    for key in keys:
        if type(key) is not str:
            raise DynamoError("SerializationException", wrong_type(str, key))
    if not keys:
        raise validation("Atleast one Tag Key needs to be provided as Input.")
    return UntagResource(resource_table(body), tuple(cast("list[str]", keys)))


def parse_update_time_to_live(body: dict[str, object]) -> UpdateTimeToLive:
    """An UpdateTimeToLive operation from its JSON body.

    >>> parse_update_time_to_live({"TableName": "Orders",
    ...                            "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "expires"}})
    UpdateTimeToLive(table='Orders', attribute='expires', enabled=True)
    """
    check_types(body, {"TableName": str, "TimeToLiveSpecification": dict})
    table = named_table(body)
    refuse(_absent(body, "TimeToLiveSpecification"))
    given = cast("dict[str, object]", body["TimeToLiveSpecification"])
    check_types(given, {"Enabled": bool, "AttributeName": str})
    refuse(_absent(given, "Enabled", "AttributeName", within="timeToLiveSpecification."))
    name = cast(str, given["AttributeName"])
    refuse(length_failures(name, "timeToLiveSpecification.attributeName", 1, TTL_NAME_LENGTH_MAX))
    return UpdateTimeToLive(table, name, bool(given["Enabled"]))


def _absent(body: Mapping[str, object], *members: str, within: str = "") -> list[str]:
    return [
        failure(None, f"{within}{member[0].lower()}{member[1:]}", "not be null")
        for member in members
        if body.get(member) is None
    ]


# --- operations that only read --------------------------------------------------------------------------------------


def _of_table(name: str, argument: str = "") -> Parser:
    def parse(body: dict[str, object]) -> ReadSettings:
        check_types(body, {"TableName": str, **({argument: str} if argument else {})})
        return ReadSettings(name, named_table(body), cast("str | None", body.get(argument)) or "")

    return parse


def _of_resource(name: str) -> Parser:
    def parse(body: dict[str, object]) -> ReadSettings:
        check_types(body, {"ResourceArn": str})
        refuse(_absent(body, "ResourceArn"))
        return ReadSettings(name, resource_table(body))

    return parse


def _of_thing(name: str, member: str) -> Parser:
    def parse(body: dict[str, object]) -> ReadSettings:
        check_types(body, {member: str})
        refuse(_absent(body, member))
        return ReadSettings(name, "", cast(str, body[member]))

    return parse


def _of_service(name: str) -> Parser:
    return lambda body: ReadSettings(name)


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
            "ListContributorInsights",
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
    "DescribeBackup": _of_thing("DescribeBackup", "BackupArn"),
    "DescribeExport": _of_thing("DescribeExport", "ExportArn"),
    "DescribeImport": _of_thing("DescribeImport", "ImportArn"),
    "DescribeGlobalTable": _of_thing("DescribeGlobalTable", "GlobalTableName"),
    "DescribeGlobalTableSettings": _of_thing("DescribeGlobalTableSettings", "GlobalTableName"),
    "DescribeBulkOperation": _of_thing("DescribeBulkOperation", "BulkOperationArn"),
}

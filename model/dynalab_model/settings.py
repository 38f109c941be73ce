"""Settings of a table, and what asking about settings answers: UpdateTable, tags, time to live, and the many Describe…
and List… operations of features that are off.

Rules: pure functions of a table's settings; `settings_requests` has checked what needs no table. Settings are plain
data in wire form, beginning with CreateTable's, and a change gives new ones. Times are milliseconds of Unix time, and
come in as arguments. A feature that is not there yet answers what the service answers where it is switched off, so
that Terraform and the waiters of SDKs go on.

Not kept: that a change of time to live may come once an hour, and that it takes up to an hour to hold. (A service that
has to tell others of it says ENABLING or DISABLING until then: `TimeToLiveChanging` has the attribute.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from dynalab_model import insights, kinesis, stream_settings
from dynalab_model import throughput as throughput_rules
from dynalab_model.errors import (
    INVALID,
    DynamoError,
    access_denied,
    limit_exceeded,
    resource_not_found,
    table_in_use,
    validation,
)
from dynalab_model.online_indexes import change_indexes, check_settled
from dynalab_model.operations import (
    ChangeDestination,
    ReadSettings,
    SettingsChange,
    TagResource,
    UntagResource,
    UpdateContributorInsights,
    UpdateTable,
    UpdateTimeToLive,
)
from dynalab_model.refusals import REFUSED
from dynalab_model.schema import TableSchema
from dynalab_model.switched_off import OF_BACKUPS, SWITCHED_OFF, Reader
from dynalab_model.tables import ACTIVE, CREATING, DEFAULT_ACCOUNT, DEFAULT_REGION, DELETING, UPDATING, arn
from dynalab_model.tags import check_tags
from dynalab_model.vector_search import SEARCH_VECTORS, no_vector_index

Body: TypeAlias = "dict[str, object]"
Settings: TypeAlias = "Mapping[str, object]"

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
DECREASES_FREE = 4  # of a UTC day; each further one waits an hour (operations.md §1)

_STATES = {CREATING: "created", UPDATING: "updated", DELETING: "deleted"}
# What these say of a table that is not there is their own.
_TELL_THEMSELVES = frozenset({SEARCH_VECTORS, "ImportTable"})
_CALLER = f"arn:aws:iam::{DEFAULT_ACCOUNT}:root"


@dataclass(slots=True)
class Changed:
    """New settings, the schema (UpdateTable may change its indexes), and the answer as far as it stands in them
    (UpdateTable answers with the table's description).
    """

    settings: dict[str, object]
    schema: TableSchema
    body: Body = field(default_factory=dict)


def change_settings(op: SettingsChange, schema: TableSchema | None, status: str, old: Settings, now_ms: int) -> Changed:
    """What the change leaves; raises DynamoError. `schema` is None and `status` "" when there is no such table.

    >>> from dynalab_model.schema import KeyAttribute, KeySchema
    >>> schema = TableSchema("T", KeySchema(KeyAttribute("pk", "S")))
    >>> ttl = change_settings(UpdateTimeToLive("T", "expires", True), schema, ACTIVE, {}, 0)
    >>> ttl.body
    {'TimeToLiveSpecification': {'Enabled': True, 'AttributeName': 'expires'}}
    >>> change_settings(UpdateTimeToLive("T", "expires", True), schema, ACTIVE, ttl.settings, 0)
    Traceback (most recent call last):
    ...
    dynalab_model.errors.DynamoError: ValidationException: TimeToLive is already enabled
    """
    if schema is None:
        raise _no_table(type(op).__name__, op.table)
    if isinstance(op, UpdateContributorInsights):  # in every state: the service's documents name no other error for it
        changed, told = insights.change(op, schema, old, now_ms)
        return Changed(changed, schema, told)
    tags = isinstance(op, TagResource | UntagResource)
    if status != ACTIVE and not (tags and status == UPDATING):
        raise table_in_use(op.table, _STATES[status])
    settings = dict(old)
    if isinstance(op, UpdateTable):
        return Changed(settings, _update(settings, schema, op.changes, now_ms))
    if isinstance(op, ChangeDestination):
        changed, told = kinesis.change(op, old, now_ms)
        return Changed(changed, schema, told)
    if isinstance(op, UpdateTimeToLive):
        _update_ttl(settings, op)
        body: Body = {"TimeToLiveSpecification": {"Enabled": op.enabled, "AttributeName": op.attribute}}
        return Changed(settings, schema, body)
    known = tags_of(settings)
    if isinstance(op, TagResource):
        known |= op.tags
        check_tags(known)
    else:
        known = {key: value for key, value in known.items() if key not in op.keys}
    settings["Tags"] = [{"Key": key, "Value": value} for key, value in known.items()]
    return Changed(settings, schema)


def tags_of(settings: Settings) -> dict[str, str]:
    """A table's tags, in the order in which they came.

    >>> tags_of({"Tags": [{"Key": "team", "Value": "red"}]})
    {'team': 'red'}
    """
    tags = cast("list[dict[str, str]]", settings.get("Tags") or [])
    return {tag["Key"]: tag["Value"] for tag in tags}


def _no_table(operation: str, table: str) -> DynamoError:
    """Who asks about a resource by its ARN is told that he may not; who names a table, that there is none."""
    if operation in ("TagResource", "UntagResource", "ListTagsOfResource"):
        return access_denied(_CALLER, operation, arn(table))
    if operation in OF_BACKUPS:
        return DynamoError("TableNotFoundException", f"Table not found: {table}")
    return resource_not_found(table)


def _update_ttl(settings: Body, op: UpdateTimeToLive) -> None:
    current = settings.get("TimeToLive")
    if current is not None and current != op.attribute:
        raise validation(f"TimeToLive is active on a different AttributeName: current AttributeName is {current}")
    if op.enabled is (current is not None):
        raise validation(f"TimeToLive is already {'enabled' if op.enabled else 'disabled'}")
    if op.enabled:
        settings["TimeToLive"] = op.attribute
    else:
        del settings["TimeToLive"]


# --- UpdateTable ----------------------------------------------------------------------------------------------------


def _update(settings: Body, schema: TableSchema, changes: Settings, now_ms: int) -> TableSchema:
    was_on_demand = settings.get("BillingMode") == "PAY_PER_REQUEST"
    on_demand = changes.get("BillingMode", settings.get("BillingMode")) == "PAY_PER_REQUEST"
    throughput = cast("dict[str, int] | None", changes.get("ProvisionedThroughput"))
    by_index = cast("dict[str, dict[str, int]]", changes.get("IndexThroughput") or {})
    _check_update(settings, schema, changes, on_demand)
    was_warm = {name: throughput_rules.warm(settings, name) for name in ("", *(index.name for index in schema.indexes))}
    schema = change_indexes(settings, schema, changes, on_demand)
    insights.forget_indexes(settings, schema)
    stream = cast("Mapping[str, object] | None", changes.get("StreamSpecification"))
    if stream is not None:
        stream_settings.specify(schema.name, settings, stream, now_ms)
    if on_demand and not was_on_demand:
        settings["PayPerRequestMs"] = now_ms
        settings.pop("ProvisionedThroughput", None)
        settings.pop("IndexThroughput", None)
    if not on_demand:
        if was_on_demand:
            settings.setdefault("PayPerRequestMs", None)  # since it was made
            throughput_rules.lift_ceilings(settings)
        _check_decreases(settings, throughput, by_index, now_ms)
    if throughput is not None:
        settings["ProvisionedThroughput"] = throughput
    if by_index:
        settings["IndexThroughput"] = {**cast("dict[str, object]", settings.get("IndexThroughput") or {}), **by_index}
    if "BillingMode" in changes:
        settings["BillingMode"] = changes["BillingMode"]
    if "TableClass" in changes:
        settings["TableClass"] = changes["TableClass"]
        settings["TableClassMs"] = now_ms
    if "DeletionProtectionEnabled" in changes:
        settings["DeletionProtectionEnabled"] = changes["DeletionProtectionEnabled"]
    for name, ceilings in cast("dict[str, dict[str, int]]", changes.get("Ceilings") or {}).items():
        throughput_rules.set_ceilings(settings, name, ceilings)
    names = ("", *(index.name for index in schema.indexes))
    throughput_rules.keep_warm(settings, {name: units for name, units in was_warm.items() if name in names})
    for name, units in cast("dict[str, dict[str, int]]", changes.get("Warm") or {}).items():
        throughput_rules.set_warm(settings, name, units)
    return schema


def _check_update(settings: Settings, schema: TableSchema, changes: Settings, on_demand: bool) -> None:
    throughput = cast("dict[str, int] | None", changes.get("ProvisionedThroughput"))
    by_index = cast("dict[str, object]", changes.get("IndexThroughput") or {})
    ceilings = cast("dict[str, object]", changes.get("Ceilings") or {})
    warm = cast("dict[str, object]", changes.get("Warm") or {})
    for name in dict.fromkeys((*by_index, *ceilings, *warm)):
        if name == throughput_rules.TABLE:
            continue
        check_settled(settings, schema, name)
        if all(index.name != name for index in schema.indexes):  # a local index has no throughput of its own
            raise resource_not_found()
    if on_demand:
        if throughput is not None:
            raise validation(
                f"{INVALID}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is "
                "PAY_PER_REQUEST"
            )
        for name in by_index:
            raise validation(
                f"{INVALID}ProvisionedThroughput should not be specified for index: {name} when BillingMode is "
                "PAY_PER_REQUEST"
            )
        return
    for name in ceilings:
        throughput_rules.check_ceilings(on_demand, name)
    if settings.get("BillingMode") == "PAY_PER_REQUEST":
        for index in schema.indexes:
            if index.name not in by_index:
                raise validation(f"{INVALID}ProvisionedThroughput must be specified for index: {index.name}")
    current = cast("dict[str, int] | None", settings.get("ProvisionedThroughput"))
    others = [name for name in changes if name not in ("ProvisionedThroughput", "BillingMode")]
    if throughput is not None and throughput == current and not others:
        raise validation(_unchanged(throughput))


def _unchanged(units: Mapping[str, int]) -> str:
    read, write = units["ReadCapacityUnits"], units["WriteCapacityUnits"]
    return (
        "The provisioned throughput for the table will not change. The requested value equals the current value. "
        f"Current ReadCapacityUnits provisioned for the table: {read}. Requested ReadCapacityUnits: {read}. "
        f"Current WriteCapacityUnits provisioned for the table: {write}. Requested WriteCapacityUnits: {write}. "
        "Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
    )


def _check_decreases(
    settings: Body, throughput: Mapping[str, int] | None, by_index: Mapping[str, Mapping[str, int]], now_ms: int
) -> None:
    """Count decreases, of the table and of its indexes together, and refuse one too many."""
    pairs = [(cast("Mapping[str, int] | None", settings.get("ProvisionedThroughput")), throughput)]
    known = cast("Mapping[str, Mapping[str, int]]", settings.get("IndexThroughput") or {})
    pairs += [(known.get(name), units) for name, units in by_index.items()]
    changed = [(old, new) for old, new in pairs if old is not None and new is not None]
    if any(new[name] > old[name] for old, new in changed for name in old):
        settings["IncreaseMs"] = now_ms
    if not any(new[name] < old[name] for old, new in changed for name in old):
        return
    last_ms = cast("int | None", settings.get("DecreaseMs"))
    today = 0
    if last_ms is not None and last_ms // DAY_MS == now_ms // DAY_MS:
        today = cast(int, settings["Decreases"])
        if today >= DECREASES_FREE and now_ms - last_ms < HOUR_MS:
            raise limit_exceeded(
                "Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day. After "
                "the first 4 decreases, each subsequent decrease in the same UTC day can be performed at most once "
                f"every 3600 seconds. Number of decreases today: {today}."
            )
    settings["DecreaseMs"], settings["Decreases"] = now_ms, today + 1


# --- reading --------------------------------------------------------------------------------------------------------


def read_settings(op: ReadSettings, status: str, settings: Settings | None, schema: TableSchema | None = None) -> Body:
    """The answer of an operation that only reads; raises DynamoError. `settings` and `schema` are None when there is no
    such table.

    >>> read_settings(ReadSettings("DescribeTimeToLive", "T"), ACTIVE, {"TimeToLive": "expires"})
    {'TimeToLiveDescription': {'TimeToLiveStatus': 'ENABLED', 'AttributeName': 'expires'}}
    >>> read_settings(ReadSettings("ListBackups"), "", None)
    {'BackupSummaries': []}
    """
    if op.table and settings is None and op.name not in _TELL_THEMSELVES:
        raise _no_table(op.name, op.table)
    if op.name == "DescribeContributorInsights":
        assert schema is not None, "it is asked of tables"
        return insights.describe(op, schema, settings or {})
    return READS[op.name](op, status, settings or {})


def _limits(op: ReadSettings, status: str, settings: Settings) -> Body:
    return {
        "AccountMaxReadCapacityUnits": 80_000,
        "AccountMaxWriteCapacityUnits": 80_000,
        "TableMaxReadCapacityUnits": 40_000,
        "TableMaxWriteCapacityUnits": 40_000,
    }


def _endpoints(op: ReadSettings, status: str, settings: Settings) -> Body:
    # Whoever serves puts its own address into the operation: a client must not be sent to the real service.
    address = op.argument or f"dynamodb.{DEFAULT_REGION}.amazonaws.com"
    return {"Endpoints": [{"Address": address, "CachePeriodInMinutes": 1440}]}


def _time_to_live(op: ReadSettings, status: str, settings: Settings) -> Body:
    attribute = settings.get("TimeToLive")
    changing = settings.get("TimeToLiveChanging")  # the attribute of a change that not every partition knows yet
    if attribute is None and changing is None:
        return {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}
    status = "DISABLING" if attribute is None else "ENABLED" if changing is None else "ENABLING"
    return {"TimeToLiveDescription": {"TimeToLiveStatus": status, "AttributeName": attribute or changing}}


def _tags(op: ReadSettings, status: str, settings: Settings) -> Body:
    return {"Tags": [{"Key": key, "Value": value} for key, value in tags_of(settings).items()]}


READS: dict[str, Reader] = {
    "DescribeLimits": _limits,
    "DescribeEndpoints": _endpoints,
    "DescribeTimeToLive": _time_to_live,
    "ListTagsOfResource": _tags,
    "DescribeKinesisStreamingDestination": kinesis.describe,
    SEARCH_VECTORS: no_vector_index,
    **SWITCHED_OFF,
    **REFUSED,
}

"""Tables as a whole: the states a table goes through, and how its description looks to a client.

Rules: pure functions of the schema and of what the catalog knows; no clock, no partition. CreateTable's own checks
are in `create_table`.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import TypeAlias, cast

from dynalab_model import throughput
from dynalab_model.errors import resource_not_found, table_in_use, validation
from dynalab_model.schema import IndexSchema, KeySchema, TableSchema

JsonBody: TypeAlias = "dict[str, object]"

CREATING = "CREATING"
ACTIVE = "ACTIVE"
UPDATING = "UPDATING"
DELETING = "DELETING"

# What may follow what. A table that finished DELETING is no longer in the catalog: that is the empty string.
LIFE_CYCLE: dict[str, tuple[str, ...]] = {
    "": (CREATING,),
    CREATING: (ACTIVE,),
    ACTIVE: (UPDATING, DELETING),
    UPDATING: (ACTIVE,),
    DELETING: ("",),
}

DEFAULT_REGION = "us-east-1"
DEFAULT_ACCOUNT = "000000000000"


def step(status: str, following: str) -> str:
    """The next state, asserted against LIFE_CYCLE.

    >>> step(CREATING, ACTIVE)
    'ACTIVE'
    """
    assert following in LIFE_CYCLE[status], f"a table cannot go from {status or 'absent'} to {following or 'absent'}"
    return following


def check_serves(status: str) -> None:
    """Refuse reads and writes while a table is being created: it is not found yet (api.md §7). A table being deleted
    still serves.

    >>> check_serves(ACTIVE)
    """
    if status in ("", CREATING):
        raise resource_not_found()


def check_deletable(name: str, status: str, protected: bool) -> bool:
    """Whether DeleteTable begins now; False when it has begun before, which is no error (api.md §6).

    >>> check_deletable("T", ACTIVE, protected=False), check_deletable("T", DELETING, protected=False)
    (True, False)
    """
    if status == "":
        raise resource_not_found(name)
    if status == DELETING:
        return False
    if protected:
        raise validation(
            "Resource cannot be deleted as it is currently protected against deletion. "
            "Disable deletion protection first."
        )
    if status in (CREATING, UPDATING):
        raise table_in_use(name, "created" if status == CREATING else "updated")
    return True


def arn(name: str, region: str = DEFAULT_REGION, account: str = DEFAULT_ACCOUNT) -> str:
    """A table's ARN.

    >>> arn("Orders")
    'arn:aws:dynamodb:us-east-1:000000000000:table/Orders'
    """
    return f"arn:aws:dynamodb:{region}:{account}:table/{name}"


def make_table_id(name: str, created_seconds: float) -> str:
    """A UUID for a table, the same for the same name and time: a run repeats to the letter.

    >>> make_table_id("Orders", 0.0)
    '373e9d3d-62a0-5aab-a764-0161f2c45640'
    """
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"dynalab:table/{name}@{created_seconds!r}"))


def describe(
    schema: TableSchema,
    settings: Mapping[str, object],
    status: str,
    created_seconds: float,
    item_count: int = 0,
    size_bytes: int = 0,
    table_id: str = "",
    region: str = DEFAULT_REGION,
    account: str = DEFAULT_ACCOUNT,
    index_counts: Mapping[str, tuple[int, int]] | None = None,
) -> JsonBody:
    """The TableDescription that CreateTable, DescribeTable and DeleteTable answer with.

    `settings` is CreateTable's; `created_seconds` is Unix time; `index_counts` gives (items, bytes) for each index.

    >>> from dynalab_model.schema import KeyAttribute
    >>> schema = TableSchema("T", KeySchema(KeyAttribute("pk", "S")))
    >>> describe(schema, {"BillingMode": "PAY_PER_REQUEST"}, ACTIVE, 0.0)["BillingModeSummary"]["BillingMode"]
    'PAY_PER_REQUEST'
    """
    table_arn = arn(schema.name, region, account)
    bought = cast("Mapping[str, int] | None", settings.get("ProvisionedThroughput"))
    body: JsonBody = {
        "AttributeDefinitions": _definitions(schema, settings),
        "TableName": schema.name,
        "KeySchema": key_elements(schema.key),
        "TableStatus": status,
        "CreationDateTime": created_seconds,
        "ProvisionedThroughput": _throughput(bought) | _throughput_times(settings),
        "TableSizeBytes": size_bytes,
        "ItemCount": item_count,
        "TableArn": table_arn,
        "TableId": table_id or make_table_id(schema.name, created_seconds),
        "DeletionProtectionEnabled": bool(settings.get("DeletionProtectionEnabled", False)),
    }
    since = _seconds(settings, "PayPerRequestMs")
    if settings.get("BillingMode") == "PAY_PER_REQUEST" or "PayPerRequestMs" in settings:
        body["BillingModeSummary"] = {
            "BillingMode": settings["BillingMode"],
            "LastUpdateToPayPerRequestDateTime": created_seconds if since is None else since,
        }
    if settings.get("TableClass") is not None:
        changed = _seconds(settings, "TableClassMs")
        body["TableClassSummary"] = {"TableClass": settings["TableClass"]}
        if changed is not None:
            body["TableClassSummary"] = {"TableClass": settings["TableClass"], "LastUpdateDateTime": changed}
    body |= throughput.described(settings, throughput.TABLE, status)
    body |= stream_members(settings, table_arn)
    if schema.local_indexes:
        body["LocalSecondaryIndexes"] = [
            _describe_kept(index, table_arn, (index_counts or {}).get(index.name)) for index in schema.local_indexes
        ]
    indexes = [
        _describe_index(i, status, settings, table_arn, (index_counts or {}).get(i.name)) for i in schema.indexes
    ]
    indexes += [_describe_going(part, table_arn) for part in _going(settings)]
    if indexes:
        body["GlobalSecondaryIndexes"] = indexes
    return body


def stream_members(settings: Mapping[str, object], table_arn: str) -> JsonBody:
    """What a description tells of the table's stream; the label of the latest one stays when it is disabled.

    >>> stream_members({"LatestStreamLabel": "2015-05-20T20:51:10.252"}, arn("T01"))["LatestStreamArn"]
    'arn:aws:dynamodb:us-east-1:000000000000:table/T01/stream/2015-05-20T20:51:10.252'
    """
    body: JsonBody = {}
    if settings.get("StreamSpecification") is not None:
        body["StreamSpecification"] = settings["StreamSpecification"]
    if settings.get("LatestStreamLabel") is not None:
        body["LatestStreamLabel"] = settings["LatestStreamLabel"]
        body["LatestStreamArn"] = f"{table_arn}/stream/{settings['LatestStreamLabel']}"
    return body


def _describe_index(
    index: IndexSchema,
    table_status: str,
    settings: Mapping[str, object],
    table_arn: str,
    counts: tuple[int, int] | None,
) -> JsonBody:
    by_index = cast("Mapping[str, Mapping[str, int]]", settings.get("IndexThroughput") or {})
    body = {
        **_describe_kept(index, table_arn, counts),
        # An index made with its table comes and goes with it; UPDATING is the table's own affair.
        "IndexStatus": ACTIVE if table_status == UPDATING else table_status,
        "ProvisionedThroughput": _throughput(by_index.get(index.name)),
    }
    if index.building and table_status != DELETING:
        body["IndexStatus"] = CREATING
        body["Backfilling"] = cast("Mapping[str, bool]", settings["Backfilling"])[index.name]
    return body | throughput.described(settings, index.name, str(body["IndexStatus"]))


def _going(settings: Mapping[str, object]) -> list[JsonBody]:
    return cast("list[JsonBody]", settings.get("DeletingIndexes") or [])


def _describe_going(part: JsonBody, table_arn: str) -> JsonBody:
    """An index that is being deleted: it keeps its units, and its keys their definitions, until it is gone."""
    shape = {name: part[name] for name in ("IndexName", "KeySchema", "Projection")}
    bought = cast("Mapping[str, int] | None", part.get("ProvisionedThroughput"))
    return {**_kept(shape, table_arn, None), "IndexStatus": DELETING, "ProvisionedThroughput": _throughput(bought)}


def _describe_kept(index: IndexSchema, table_arn: str, counts: tuple[int, int] | None) -> JsonBody:
    """What is told of any index. Of a local one there is no more: its states and its throughput are the table's."""
    return _kept(index_shape(index), table_arn, counts)


def _kept(shape: JsonBody, table_arn: str, counts: tuple[int, int] | None) -> JsonBody:
    item_count, size_bytes = counts or (0, 0)
    return {
        **shape,
        "IndexSizeBytes": size_bytes,
        "ItemCount": item_count,
        "IndexArn": f"{table_arn}/index/{shape['IndexName']}",
    }


def index_shape(index: IndexSchema) -> JsonBody:
    """Name, keys and projection of an index in wire form.

    >>> from dynalab_model.schema import KeyAttribute
    >>> index_shape(IndexSchema("by_c", KeySchema(KeyAttribute("c", "S")), "ALL"))["Projection"]
    {'ProjectionType': 'ALL'}
    """
    projection: JsonBody = {"ProjectionType": index.projection}
    if index.non_key_attributes:
        projection["NonKeyAttributes"] = list(index.non_key_attributes)
    return {"IndexName": index.name, "KeySchema": key_elements(index.key), "Projection": projection}


def _seconds(settings: Mapping[str, object], name: str) -> float | None:
    """A time of the settings as the wire has it; None when that has never happened."""
    time_ms = cast("int | None", settings.get(name))
    return None if time_ms is None else time_ms / 1000


def _throughput_times(settings: Mapping[str, object]) -> JsonBody:
    """When throughput last went up and down. The count is of the day of the last decrease, whichever that was."""
    body: JsonBody = {}
    for name, member in (("IncreaseMs", "LastIncreaseDateTime"), ("DecreaseMs", "LastDecreaseDateTime")):
        seconds = _seconds(settings, name)
        if seconds is not None:
            body[member] = seconds
    if "Decreases" in settings:
        body["NumberOfDecreasesToday"] = settings["Decreases"]
    return body


def _throughput(bought: Mapping[str, int] | None) -> JsonBody:
    given = bought or {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0}
    return {
        "NumberOfDecreasesToday": 0,
        "ReadCapacityUnits": given["ReadCapacityUnits"],
        "WriteCapacityUnits": given["WriteCapacityUnits"],
    }


def key_elements(key: KeySchema) -> list[JsonBody]:
    """A KeySchema as it is described."""
    return [
        {"AttributeName": attribute.name, "KeyType": role}
        for role, attributes in (("HASH", key.hashes), ("RANGE", key.ranges))
        for attribute in attributes
    ]


def _definitions(schema: TableSchema, settings: Mapping[str, object]) -> list[JsonBody]:
    types: dict[str, str] = {}
    for key in (schema.key, *(index.key for index in schema.all_indexes)):
        types |= {attribute.name: attribute.type for attribute in key.attributes}
    for part in _going(settings):
        types |= {n: k for n, k in cast("dict[str, str]", part.get("Definitions") or {}).items() if n not in types}
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()]


def list_tables(names: Sequence[str], start: str | None, limit: int) -> JsonBody:
    """A page of ListTables: names in byte order, after `start`, with LastEvaluatedTableName when there are more.

    >>> list_tables(["b", "C", "a"], None, 2)
    {'TableNames': ['C', 'a'], 'LastEvaluatedTableName': 'a'}
    """
    rest = sorted(name for name in names if start is None or name > start)
    body: JsonBody = {"TableNames": rest[:limit]}
    if len(rest) > limit:
        body["LastEvaluatedTableName"] = rest[limit - 1]
    return body

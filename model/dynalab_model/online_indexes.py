"""Global indexes that come and go while their table is in use: UpdateTable's GlobalSecondaryIndexUpdates (api.md §6 and
§8, architecture.md §12).

Rules: pure functions. A new index goes through two phases before it is ACTIVE, and both show in a description:

1. *CREATING, Backfilling false.* Its partitions are being made; the table is UPDATING. From the end of this phase on
   each write is carried to the index.
2. *CREATING, Backfilling true.* What was there before is carried to it, too; the table is ACTIVE. An item that cannot
   be in the index (an attribute of another type, empty, or too long for a key) is left out.

Reads of the index are refused until it is ACTIVE, and only from then on are writes refused that do not fit it. An index
that goes is DELETING and serves nobody. One index of a table comes or goes at a time; the one that is being filled may
be told to go. Settings keep what a description tells of all this: `Backfilling` and `DeletingIndexes` (with the
definitions of its keys, which the table may have no longer).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias, cast

from dynalab_model.create_table import (
    added_index,
    check_index_fields,
    check_throughput_bounds,
    plain_throughput,
    specify_throughput,
)
from dynalab_model.errors import INVALID, DynamoError, index_in_use, limit_exceeded, resource_not_found, validation
from dynalab_model.fields import failure, refuse
from dynalab_model.schema import IndexSchema, TableSchema
from dynalab_model.tables import index_shape
from dynalab_model.throughput import check_ceilings, forget, parse_ceilings, parse_warm

Body: TypeAlias = "dict[str, object]"

_MEMBER = "globalSecondaryIndexUpdates"


def parse_index_updates(body: Mapping[str, object]) -> Body:
    """What GlobalSecondaryIndexUpdates asks for, as changes of an UpdateTable: `IndexThroughput`, `Ceilings` and `Warm`
    by index, and one of `CreateIndex` (with the request's `Definitions`) and `DeleteIndex`.

    >>> parse_index_updates({"GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "by_c"}}]})
    {'DeleteIndex': 'by_c'}
    """
    changes: Body = {}
    new_units: dict[str, Body] = {"IndexThroughput": {}, "Ceilings": {}, "Warm": {}}
    named: list[str] = []
    for number, part in enumerate(
        cast("list[dict[str, Body | None]]", body.get("GlobalSecondaryIndexUpdates") or []), 1
    ):
        given = [action for action in ("Update", "Create", "Delete") if part.get(action) is not None]
        if not given:
            raise validation(
                f"{INVALID}One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, "
                "GlobalSecondaryIndexUpdate.Delete must not be null"
            )
        if len(given) > 1:  # these words are ours
            raise validation(f"{INVALID}Only one of GlobalSecondaryIndexUpdate.{' and '.join(given)} may be given")
        asked = cast(Body, part[given[0]])
        name = cast(str, asked["IndexName"])
        if given == ["Update"]:
            for member, units in _new_throughput(asked, number).items():
                new_units[member][name] = units
        elif given == ["Create"]:
            check_index_fields(asked, f"{_MEMBER}.{number}.member.create.keySchema")
            parse_ceilings(asked, liftable=False)
            _check_one_at_a_time(changes)
            changes["CreateIndex"] = asked
        else:
            _check_one_at_a_time(changes)
            changes["DeleteIndex"] = name
        if name in named:
            raise validation(
                f"{INVALID}Only one global secondary index update per index is allowed simultaneously. Index: {name}"
            )
        named.append(name)
    changes |= {member: by_index for member, by_index in new_units.items() if by_index}
    if "CreateIndex" in changes:
        definitions = cast("list[dict[str, str]]", body.get("AttributeDefinitions") or [])
        changes["Definitions"] = {one["AttributeName"]: one["AttributeType"] for one in definitions}
    return changes


def _new_throughput(asked: Body, number: int) -> Body:
    """What an index is to have from now on, of units, ceilings and warm throughput."""
    bought = cast("Body | None", asked.get("ProvisionedThroughput"))
    ceilings, warm = parse_ceilings(asked, liftable=True), parse_warm(asked)
    if bought is None and ceilings is None and warm is None:
        refuse([failure(None, f"{_MEMBER}.{number}.member.update.provisionedThroughput", "not be null")])
    check_throughput_bounds(bought, f" for index {asked['IndexName']}")
    given: Body = {
        "IndexThroughput": None if bought is None else plain_throughput(bought),
        "Ceilings": ceilings,
        "Warm": warm,
    }
    return {member: units for member, units in given.items() if units is not None}


def _check_one_at_a_time(changes: Body) -> None:
    if "CreateIndex" in changes or "DeleteIndex" in changes:
        raise _one_at_a_time()


def _one_at_a_time() -> DynamoError:
    return limit_exceeded(
        "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table"
    )


def change_indexes(settings: Body, schema: TableSchema, changes: Mapping[str, object], on_demand: bool) -> TableSchema:
    """The schema with an index more, or one fewer, and `settings` changed accordingly; raises DynamoError.

    >>> from dynalab_model.schema import KeyAttribute, KeySchema
    >>> schema = TableSchema("T", KeySchema(KeyAttribute("pk", "S")))
    >>> settings = {}
    >>> by_c = {"IndexName": "by_c", "KeySchema": [{"AttributeName": "c", "KeyType": "HASH"}],
    ...         "Projection": {"ProjectionType": "ALL"}}
    >>> grown = change_indexes(settings, schema, {"CreateIndex": by_c, "Definitions": {"c": "S"}}, True)
    >>> grown.indexes[0].building, settings
    (True, {'Backfilling': {'by_c': False}})
    >>> begin_backfill(settings), ready(settings, grown).indexes[0].building, settings
    (None, False, {})
    """
    if "CreateIndex" in changes:
        _check_quiet(settings)
        return _create(settings, schema, changes, on_demand)
    if "DeleteIndex" in changes:
        return _delete(settings, schema, cast(str, changes["DeleteIndex"]))
    return schema


def _check_quiet(settings: Body) -> None:
    if settings.get("Backfilling") or settings.get("DeletingIndexes"):
        raise _one_at_a_time()


def _create(settings: Body, schema: TableSchema, changes: Mapping[str, object], on_demand: bool) -> TableSchema:
    asked = cast(Body, changes["CreateIndex"])
    name = cast(str, asked["IndexName"])
    if schema.index(name) is not None:  # nobody has captured what the service says
        raise validation(f"{INVALID}Duplicate index name: {name}")
    units = cast("Body | None", asked.get("ProvisionedThroughput"))
    if on_demand and units is not None:
        raise validation(
            f"{INVALID}ProvisionedThroughput should not be specified for index: {name} when BillingMode is "
            "PAY_PER_REQUEST"
        )
    if not on_demand and units is None:
        raise validation(f"{INVALID}ProvisionedThroughput must be specified for index: {name}")
    check_throughput_bounds(units, f" for index {name}")
    index = replace(added_index(asked, cast("dict[str, str]", changes["Definitions"]), schema), building=True)
    if units is not None:
        known = cast(Body, settings.get("IndexThroughput") or {})
        settings["IndexThroughput"] = {**known, name: plain_throughput(units)}
    if parse_ceilings(asked, liftable=False) is not None:
        check_ceilings(on_demand, name)
    specify_throughput(settings, name, asked)
    settings["Backfilling"] = {name: False}
    return replace(schema, indexes=(*schema.indexes, index))


def _delete(settings: Body, schema: TableSchema, name: str) -> TableSchema:
    gone = next((index for index in schema.indexes if index.name == name), None)
    if gone is None:
        raise resource_not_found()
    if not gone.building:
        _check_quiet(settings)
    settings.pop("Backfilling", None)
    units = dict(cast("dict[str, Body]", settings.get("IndexThroughput") or {}))
    going: Body = {**index_shape(gone), "Definitions": {a.name: a.type for a in gone.key.attributes}}
    if name in units:
        going["ProvisionedThroughput"] = units.pop(name)
    settings.pop("IndexThroughput", None)
    if units:
        settings["IndexThroughput"] = units
    forget(settings, name)
    settings["DeletingIndexes"] = [going]
    return replace(schema, indexes=tuple(index for index in schema.indexes if index is not gone))


def check_settled(settings: Mapping[str, object], schema: TableSchema, name: str) -> None:
    """Refuse to change an index that is coming or going."""
    if any(index.name == name and index.building for index in schema.indexes):
        raise index_in_use(name, "created")
    if name in deleting(settings):
        raise index_in_use(name, "deleted")


# --- steps that follow by themselves --------------------------------------------------------------------------------


def building(schema: TableSchema) -> IndexSchema | None:
    """The index that is being made, if there is one."""
    return next((index for index in schema.indexes if index.building), None)


def begin_backfill(settings: Body) -> None:
    """The new index has its partitions, and every write is carried to it: the second phase."""
    settings["Backfilling"] = dict.fromkeys(cast(Body, settings["Backfilling"]), True)


def is_backfilling(settings: Mapping[str, object]) -> bool:
    """Whether an index is in its second phase."""
    return any(cast("dict[str, bool]", settings.get("Backfilling") or {}).values())


def deleting(settings: Mapping[str, object]) -> list[str]:
    """The indexes that are going."""
    return [cast(str, index["IndexName"]) for index in cast("list[Body]", settings.get("DeletingIndexes") or [])]


def ready(settings: Body, schema: TableSchema) -> TableSchema:
    """What was there is in the new index: it is ACTIVE."""
    settings.pop("Backfilling", None)
    return replace(schema, indexes=tuple(replace(index, building=False) for index in schema.indexes))


def gone(settings: Body) -> None:
    """The partitions of the deleted index are dropped: its name is free."""
    settings.pop("DeletingIndexes", None)

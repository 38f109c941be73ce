"""The steps by which a global index comes to a table that is in use, and goes again, as the catalog takes them (S27;
architecture.md §12; what a client sees of them is `dynalab_model.online_indexes`).

A new index:
1. UpdateTable: the catalog places the index's partitions and has them hosted. The table is UPDATING.
2. They are hosted by majorities: the table's own partitions are told of the index (`reforming`), and owe it each write
   from then on. When all have answered, "updated": the table is ACTIVE, the index *backfilling*.
3. Each partition gives it what was there before (`backfilling`), and says when all of that has arrived.
4. All have said so: "indexed". The index is ACTIVE; partitions are told that it is no longer new.

An index that goes:
1. UpdateTable: the index is DELETING, the table UPDATING. Partitions are told, and owe it nothing any more.
2. All have answered: its partitions are dropped, as those of a deleted table are: by majorities, and for the time of a
   lease.
3. "unindexed": its name is free; nodes that were down drop what they hold when they come back.

A change of the attribute by which items expire takes one step: when all partitions know it, it is no longer ENABLING or
DISABLING ("expiring"). The same holds for a Kinesis destination ("fed"), and for insights, of which routers must know
("watched").

Each step is a change in the catalog's log, so a new leader goes on where the old one was. Steps are proposed while
nothing else is under way there: they need no memory of their own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dynalab_impl import messages as m
from dynalab_impl.effects import NOTHING, Effects
from dynalab_impl.replication.replica import Replica
from dynalab_model import insights, kinesis, online_indexes
from dynalab_model.events import Event
from dynalab_model.schema import TableSchema
from dynalab_model.tables import UPDATING

if TYPE_CHECKING:
    from dynalab_impl.catalog import Catalog
    from dynalab_impl.catalog_keeper import CatalogKeeper
    from dynalab_impl.table_entry import Table


def added(before: TableSchema, after: TableSchema) -> list[str]:
    """The indexes that a change brings: their partitions are to be placed."""
    return [index.name for index in after.indexes if before.index(index.name) is None]


def keep(keeper: CatalogKeeper, table: Table, replica: Replica, effects: Effects) -> bool:
    """Take the next step of a table that is ACTIVE or UPDATING; whether its partitions may be told how it looks, and
    whether an UpdateTable may end. At the catalog's leader.
    """
    gone = online_indexes.deleting(table.settings)
    if online_indexes.building(table.schema) is not None and not online_indexes.is_backfilling(table.settings):
        return all(keeper.is_hosted(spec) for spec in table.groups)
    if online_indexes.is_backfilling(table.settings):
        if _is_built(keeper, table, effects):
            propose("indexed", table, replica, effects)
    elif gone and table.status == UPDATING and is_told(keeper, table):
        groups = _groups_of(table, gone)
        if keeper.drop(groups, effects) and keeper.is_silent(groups, groups[0].group, replica, effects):
            propose("unindexed", table, replica, effects)
    if "TimeToLiveChanging" in table.settings and is_told(keeper, table):
        propose("expiring", table, replica, effects)
    if kinesis.is_changing(table.settings) and is_told(keeper, table):
        propose("fed", table, replica, effects)
    return True


def is_told(keeper: CatalogKeeper, table: Table) -> bool:
    """Whether all of a table's own partitions have its form."""
    own = [spec.group for spec in table.groups if not spec.index]
    return all(keeper.altered.get(group, 0) >= table.form.version for group in own)


def _is_built(keeper: CatalogKeeper, table: Table, effects: Effects) -> bool:
    """Whether the new index has got everything, by the word of each partition; the others are asked."""
    new = online_indexes.building(table.schema)
    done = new is not None
    for spec in table.groups:
        if new is None or spec.index or (table.form.version, new.name) in keeper.built.get(spec.group, ()):
            continue
        done = False
        for member in spec.members:
            effects.send(member.address, m.Alter(spec.group, table.form), NOTHING)
    return done


def on_altered(keeper: CatalogKeeper, message: m.Altered) -> None:
    """A partition has the form, and some new indexes have all that it had before. Only the catalog's leader asked."""
    keeper.altered[message.group] = max(keeper.altered.get(message.group, 0), message.version)
    keeper.built[message.group] = tuple((message.version, name) for name in message.built)


def propose(action: str, table: Table, replica: Replica, effects: Effects) -> None:
    """Have the catalog log a step of this table, unless something else is under way there."""
    if replica.commit_index == len(replica.log):
        change = m.CatalogChange(action, table.schema.name, table_id=table.table_id, slot=table.form.version)
        replica.propose(change, m.NO_REQUEST, 0, effects)
        effects.tell(Event(action, detail=table.schema.name))


def _groups_of(table: Table, indexes: list[str]) -> tuple[m.GroupSpec, ...]:
    return tuple(spec for spec in table.groups if spec.index in indexes)


def apply(catalog: Catalog, table: Table, change: m.CatalogChange) -> None:
    """One of the steps "updated", "indexed", "unindexed", "expiring", "fed", "watched" in the catalog's log. One that
    was asked for before the table changed again counts for nothing.
    """
    settings = table.settings = dict(table.settings)
    if change.action == "updated":
        if online_indexes.building(table.schema) is not None:
            online_indexes.begin_backfill(settings)
    elif change.action == "watched":
        table.settings = insights.settled(settings)
    elif change.slot != table.form.version:
        return
    elif change.action == "expiring":
        settings.pop("TimeToLiveChanging", None)
    elif change.action == "fed":
        table.settings = kinesis.settled(settings)
    elif change.action == "indexed" and online_indexes.is_backfilling(settings):
        schema = online_indexes.ready(settings, table.schema)
        table.form = replace(table.form, schema=schema, version=table.form.version + 1)
    elif change.action == "unindexed" and (gone := online_indexes.deleting(settings)):
        left = _groups_of(table, gone)
        parents = [image.parent for image in catalog.divided.values() if image.parent.table == table.schema.name]
        parents = [parent for parent in parents if parent.index in gone]
        for parent in parents:
            del catalog.divided[parent.group]
        catalog.leftovers[left[0].group] = (*left, *parents)
        table.groups = tuple(spec for spec in table.groups if spec.index not in gone)
        online_indexes.gone(settings)

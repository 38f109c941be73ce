"""The catalog: which tables there are, where their partitions lie, and which disks the nodes have. One replication
group of its own.

`Catalog` is the state machine that the group's replicas apply; what its leader does besides is `catalog_keeper`.
Placement puts the members of a group into different zones and spreads groups over the nodes in turn.

Applying is total. A command that cannot be carried out is the same to every replica, one after the other, and again to
each that reads its log back: what raised there would leave nobody to apply anything. So it changes nothing at all, and
is answered with the service's own error; the leader has tried each change before it logs it (`refusal`), and logs the
refusal instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import replace
from typing import TypeAlias, cast

from dynalab_impl import index_steps
from dynalab_impl.admission import SYSTEM
from dynalab_impl.catalog_changes import ACTIONS, UNFIT, as_told
from dynalab_impl.effects import JSON, Address, Nanoseconds, Topology
from dynalab_impl.messages import (
    CatalogChange,
    Entry,
    Failed,
    Form,
    GroupSpec,
    Member,
    RequestId,
    StreamForm,
    TableMap,
)
from dynalab_impl.reforming import ending, reformed, stream_form
from dynalab_impl.snapshot import (
    DividedImage,
    Image,
    LeftoverImage,
    NodeImage,
    OutcomeImage,
    SnapshotHeader,
    TableImage,
)
from dynalab_impl.table_entry import (
    DESCRIBE_STREAM,
    FEEDS,
    GONE,
    NO_COUNTS,
    Counts,
    Table,
    ended,
    feeds_listed,
    stream_described,
    streams_listed,
)
from dynalab_model import insights
from dynalab_model.errors import DynamoError, limit_exceeded, resource_not_found, table_exists
from dynalab_model.operations import (
    CreateTable,
    DeleteTable,
    DescribeTable,
    ListContributorInsights,
    ListStreams,
    ListTables,
    ReadSettings,
    SettingsChange,
    TableOperation,
    UpdateTable,
    UpdateTimeToLive,
)
from dynalab_model.schema import TableSchema
from dynalab_model.settings import change_settings, read_settings
from dynalab_model.stream_settings import begun, streams_of
from dynalab_model.streams import label_ms
from dynalab_model.tables import ACTIVE, CREATING, DELETING, UPDATING, check_deletable, list_tables, step

CATALOG = "catalog"
KEY_SPACE_BITS = 64  # the hash that leads every key has eight bytes
CHANGES_AT_A_TIME_MAX = 500  # tables that are being created, updated and deleted (developer guide, quotas)


_Parts: TypeAlias = (
    "tuple[dict[str, Table], dict[Address, int], dict[str, tuple[GroupSpec, ...]], dict[str, DividedImage], int]"
)


class Catalog:
    """The applied state. Like a partition it remembers the outcome of requests until they expire."""

    __slots__ = (
        "applied",
        "dedup",
        "divided",
        "leftovers",
        "log_time_ns",
        "nodes",
        "placed",
        "tables",
        "topology",
        "unfit",
    )

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.applied = 0
        self.log_time_ns: Nanoseconds = 0
        self.dedup: dict[RequestId, OutcomeImage] = {}
        self.tables: dict[str, Table] = {}
        self.nodes: dict[Address, int] = {}
        # Groups that a node was down to drop: by table id, and divided partitions by their name.
        self.leftovers: dict[str, tuple[GroupSpec, ...]] = {}
        self.divided: dict[str, DividedImage] = {}  # partitions that were split, until every member has the children
        self.placed = 0  # groups placed so far: where the next one begins
        self.unfit = 0  # the last slot applied here whose command could not be carried out

    def fresh(self) -> Catalog:
        """An empty catalog of the same machines."""
        return Catalog(self.topology)

    @property
    def counter(self) -> int:
        return self.placed

    @property
    def size(self) -> int:
        return len(self.tables)

    def view(self) -> list[object]:
        """Every part as an image: a catalog is small."""
        tables = [
            TableImage(t.form, t.settings, t.table_id, t.status, t.created_ns, t.groups) for t in self.tables.values()
        ]
        nodes = [NodeImage(Member(address, incarnation)) for address, incarnation in self.nodes.items()]
        leftovers = [LeftoverImage(table_id, groups) for table_id, groups in self.leftovers.items()]
        return [*tables, *nodes, *leftovers, *self.divided.values(), *self.dedup.values()]

    def image(self, part: object) -> Image:
        assert isinstance(part, TableImage | NodeImage | LeftoverImage | DividedImage | OutcomeImage)
        return part

    def load(self, header: SnapshotHeader, images: Iterable[Image]) -> None:
        assert not self.applied, "a snapshot is loaded into a fresh state"
        self.applied, self.log_time_ns, self.placed = header.slot, header.log_time_ns, header.counter
        for image in images:
            if isinstance(image, TableImage):
                made = Table(image.form, image.settings, image.table_id, image.status, image.created_ns, image.groups)
                self.tables[made.name] = made
            elif isinstance(image, NodeImage):
                self.nodes[image.member.address] = image.member.incarnation
            elif isinstance(image, LeftoverImage):
                self.leftovers[image.table_id] = image.groups
            elif isinstance(image, DividedImage):
                self.divided[image.parent.group] = image
            elif isinstance(image, OutcomeImage):
                self.dedup[image.request] = image

    def apply(self, entry: Entry) -> None:
        assert entry.slot == self.applied + 1
        self.applied = entry.slot
        self.log_time_ns = entry.time_ns
        for request in [r for r, o in self.dedup.items() if o.expiry_ns < entry.time_ns]:
            del self.dedup[request]
        if entry.request[1] and entry.request in self.dedup:
            return
        command = entry.command
        outcome = OutcomeImage(entry.request, entry.expiry_ns, 200, "", {})
        if type(command) is CatalogChange:
            before = self._parts(command)
            try:
                outcome.body = self._change(command, entry)
            except (DynamoError, *UNFIT) as error:
                self._put_back(before)
                self.unfit = self.unfit if isinstance(error, DynamoError) else entry.slot
                told = as_told(error)
                outcome = OutcomeImage(
                    entry.request, entry.expiry_ns, told.status, told.code, cast("dict[str, JSON]", told.body())
                )
        elif type(command) is Failed:
            outcome = OutcomeImage(entry.request, entry.expiry_ns, command.status, command.error, command.body)
        if entry.request[1]:
            self.dedup[entry.request] = outcome

    def refusal(self, operation: TableOperation, entry: Entry) -> Exception | None:
        """Why what a client asks, as the next entry, would come to nothing; None if it would be carried out. The leader
        wants to know before it logs it; the entry has the slot and the time that it will have.
        """
        command = entry.command
        assert type(command) is CatalogChange, "all that clients ask of the catalog are changes"
        assert entry.slot == self.applied + 1, "nothing stands before it in the log that is not applied"
        before = self._parts(command)
        try:
            self._check(operation)
            self._change(command, entry)
        except (DynamoError, *UNFIT) as error:
            return error
        finally:
            self._put_back(before)
        return None

    def _parts(self, change: CatalogChange) -> _Parts:
        """What a change may touch, as it is now. Values are replaced, only tables are changed themselves."""
        touched = [self.tables.get(change.table), self._holder(change.group) if change.group else None]
        tables = {
            name: copy(table) if any(table is one for one in touched) else table for name, table in self.tables.items()
        }
        return tables, dict(self.nodes), dict(self.leftovers), dict(self.divided), self.placed

    def _put_back(self, parts: _Parts) -> None:
        self.tables, self.nodes, self.leftovers, self.divided, self.placed = parts

    def _check(self, operation: TableOperation) -> None:
        """Refuse what cannot be done now, of what is not judged when it is applied; raises DynamoError."""
        if isinstance(operation, CreateTable | UpdateTable | DeleteTable):
            busy = sum(table.status not in (ACTIVE, GONE) for table in self.tables.values())
            if busy >= CHANGES_AT_A_TIME_MAX:
                raise limit_exceeded()
        if isinstance(operation, CreateTable):
            if operation.schema.name in self.tables:
                raise table_exists(operation.schema.name)
        elif isinstance(operation, DeleteTable):
            table = self.tables.get(operation.table)
            protected = table is not None and bool(table.settings.get("DeletionProtectionEnabled"))
            check_deletable(operation.table, table.status if table else "", protected)

    def _change(self, change: CatalogChange, entry: Entry) -> dict[str, JSON]:
        assert change.action in ACTIONS
        table = self.tables.get(change.table)
        if change.action == "register" and change.member is not None:
            # A late copy of what an earlier disk said must not win: groups would be placed on a disk that is gone.
            known = self.nodes.get(change.member.address, 0)
            self.nodes[change.member.address] = max(known, change.member.incarnation)
        elif change.action == "create" and isinstance(change.operation, CreateTable):
            assert table is None, "the leader checked, and logs one change at a time"
            schema = change.operation.schema
            settings = begun(change.operation.settings, self._label_ms(schema.name, entry.time_ns // 1_000_000))
            ttl = cast(str, settings.get("TimeToLive") or "")  # of a table of the service's own
            form = Form(1 if ttl else 0, schema, stream_form(settings, None, self.topology.timing), ttl)
            groups = self._place(schema, entry.slot, form.stream)
            made = Table(form, settings, change.table_id, CREATING, entry.time_ns, groups)
            self.tables[schema.name] = made
            return {"TableDescription": made.description()}
        elif change.action == "change":
            return self._change_settings(change, entry)
        elif change.action == "clean":
            self.leftovers.pop(change.table_id, None)
        elif change.action == "split":
            self._split(change)
        elif change.action == "divided":
            found = self.divided.pop(change.group, None)
            if found is not None:
                self.leftovers[change.group] = (found.parent,)
        elif change.action == "members":
            holder = self._holder(change.group)
            if holder is not None:
                holder.groups = with_members(holder.groups, change)
            self.leftovers = {place: with_members(groups, change) for place, groups in self.leftovers.items()}
        elif table is None or (change.table_id and table.table_id != change.table_id):
            return {}  # a step of a table that has gone in the meantime
        elif change.action == "activate" and table.status == CREATING:
            table.status = step(CREATING, ACTIVE)
        elif change.action == "updated" and table.status == UPDATING:
            table.status = step(UPDATING, ACTIVE)
            index_steps.apply(self, table, change)
        elif change.action in ("indexed", "unindexed", "expiring", "fed", "watched"):
            index_steps.apply(self, table, change)
        elif change.action == "delete":
            if table.status != DELETING:
                table.status = step(table.status, DELETING)
                if streams_of(table.settings, entry.time_ns // 1_000_000):
                    table.form = ending(table.form)
            return {"TableDescription": table.description()}
        elif change.action == "forget":
            assert table.status == DELETING, "a table is deleted before it is forgotten"
            self._forget(table, entry.time_ns)
        elif change.action == "bury":
            assert table.status == GONE, "a table is forgotten before its streams are buried"
            del self.tables[change.table]
            self.leftovers[table.table_id] = table.groups
        return {}

    def _label_ms(self, name: str, now_ms: int) -> int:
        """Now, or later: behind the labels of what is left of earlier tables of that name. Log time may stand still."""
        gone = [table for table in self.tables.values() if table.status == GONE and table.schema.name == name]
        labels = [label for table in gone for label, _, _ in streams_of(table.settings, now_ms)]
        return max([now_ms, *[label_ms(label) + 1 for label in labels]])

    def _forget(self, table: Table, time_ns: Nanoseconds) -> None:
        """The table's name is free. What is left of it is dropped, but not the partitions whose streams may be read."""
        name = table.schema.name
        stays = table.form.gone
        del self.tables[name]
        # Those of an earlier table of that name, whose streams stay, still wait for members that lag.
        parents = [
            image.parent
            for image in self.divided.values()
            if any(spec.group.startswith(f"{image.parent.group}.") for spec in table.groups)
            and (image.parent.index or not stays)
        ]
        for parent in parents:
            del self.divided[parent.group]
        if stays:
            left = ended(table, time_ns // 1_000_000)
            self.tables[left.name] = left
            groups = tuple(spec for spec in table.groups if spec.index)
            if groups or parents:
                self.leftovers[f"{table.table_id}/indexes"] = (*groups, *parents)
        else:
            self.leftovers[table.table_id] = (*table.groups, *parents)

    def _holder(self, group: str) -> Table | None:
        """The table that has this group, also one that has gone."""
        return next((t for t in self.tables.values() if any(spec.group == group for spec in t.groups)), None)

    def _split(self, change: CatalogChange) -> None:
        """The children stand where their parent stood, in a table or among what is left of one."""
        table = self._holder(change.group)
        if table is not None:
            known = next(spec for spec in table.groups if spec.group == change.group)
            # Those who hold it now, also if its leader's word of them was overtaken by this one: each must come to the
            # Split before the parent is dropped.
            parent = replace(known, members=change.specs[0].members)
            table.groups = replaced(table.groups, change.group, change.specs)
            self.divided[change.group] = DividedImage(parent, change.specs[0].group, change.specs[1].group)
        for table_id, groups in self.leftovers.items():
            if any(spec.group == change.group for spec in groups) and change.specs[0] not in groups:
                self.leftovers[table_id] = (*groups, *change.specs)

    def knows_split(self, group: str) -> bool:
        """Whether this partition is known to have been split, or will be when an earlier split is told."""
        if group in self.divided:
            return True
        names = [*self.divided, *[spec.group for groups in self._all_groups() for spec in groups]]
        return any(name.startswith(f"{group}.") or group.startswith(f"{name}.") for name in names)

    def spec_of(self, group: str) -> GroupSpec | None:
        """A group of a table, or one that was split and still waits for a member; None for one that is no more."""
        if group in self.divided:
            return self.divided[group].parent
        return next((s for table in self.tables.values() for s in table.groups if s.group == group), None)

    def holds_group(self, group: str) -> bool:
        """Whether a table, or what is left of one, has a group of this name."""
        return bool(self.specs_named(group))

    def specs_named(self, group: str) -> list[GroupSpec]:
        """The group of this name in a table, or in what is left of one; none or one."""
        return [spec for groups in self._all_groups() for spec in groups if spec.group == group]

    def group_names(self) -> set[str]:
        """The groups of all tables."""
        return {spec.group for table in self.tables.values() for spec in table.groups}

    def all_names(self) -> dict[str, None]:
        """The groups of tables and of what is left of some, and partitions that were divided, with their children."""
        names = [spec.group for groups in self._all_groups() for spec in groups]
        for group, image in self.divided.items():
            names += [group, image.left, image.right]
        return dict.fromkeys(names)

    def _all_groups(self) -> list[tuple[GroupSpec, ...]]:
        return [*[table.groups for table in self.tables.values()], *self.leftovers.values()]

    def _change_settings(self, change: CatalogChange, entry: Entry) -> dict[str, JSON]:
        assert isinstance(change.operation, SettingsChange)
        table = self.tables.get(change.table)
        schema, status, old = (None, "", {}) if table is None else (table.schema, table.status, table.settings)
        changed = change_settings(change.operation, schema, status, old, entry.time_ns // 1_000_000)
        assert table is not None, "a change of no table was refused"
        table.settings = changed.settings
        for name in index_steps.added(table.schema, changed.schema):
            table.groups += self._place_range(changed.schema, name, self.topology.partitions_per_index, entry.slot)
        table.form = reformed(table.form, changed.schema, changed.settings, self.topology.timing)
        if isinstance(change.operation, UpdateTable):
            table.status = step(table.status, UPDATING)
            return {"TableDescription": table.description()}
        if isinstance(change.operation, UpdateTimeToLive):
            table.settings["TimeToLiveChanging"] = change.operation.attribute
        return cast("dict[str, JSON]", changed.body)

    def _place(self, schema: TableSchema, slot: int, stream: StreamForm | None = None) -> tuple[GroupSpec, ...]:
        """Ranges and members of a new table's groups, the table's own first. Group names are never used twice: they
        hold the slot.
        """
        groups = self._place_range(schema, "", self.topology.partitions_per_table, slot, stream)
        for index in schema.indexes:
            groups += self._place_range(schema, index.name, self.topology.partitions_per_index, slot)
        return groups

    def _place_range(
        self, schema: TableSchema, index: str, count: int, slot: int, stream: StreamForm | None = None
    ) -> tuple[GroupSpec, ...]:
        """The groups of the table itself, or of one of its global indexes."""
        groups: list[GroupSpec] = []
        edges = [(i << KEY_SPACE_BITS) // count for i in range(count)]
        for i in range(count):
            low = b"" if i == 0 else edges[i].to_bytes(8, "big")
            high = b"" if i == count - 1 else edges[i + 1].to_bytes(8, "big")
            name = f"{schema.name}{'.' + index if index else ''}/{slot}.{i}"
            groups.append(GroupSpec(name, schema.name, index, low, high, self._members(), schema, stream=stream))
        return tuple(groups)

    def _members(self) -> tuple[Member, ...]:
        """Three nodes, each in another zone, beginning at the next node in turn."""
        storage = self.topology.storage
        chosen: list[Address] = []
        for k in range(len(storage)):
            address = storage[(self.placed + k) % len(storage)]
            if all((address.region, address.zone) != (c.region, c.zone) for c in chosen):
                chosen.append(address)
        self.placed += 1
        return tuple(Member(address, self.nodes.get(address, 1)) for address in chosen[:3])

    def read(self, operation: TableOperation, counts: Counts = NO_COUNTS, wall_ns: Nanoseconds = 0) -> dict[str, JSON]:
        """DescribeTable, ListTables and what else only reads; raises DynamoError."""
        now_ms = max(wall_ns, self.log_time_ns) // 1_000_000
        if isinstance(operation, ListStreams):
            return streams_listed(self.tables, operation, now_ms)
        if isinstance(operation, ReadSettings):
            found = self.tables.get(operation.table)
            if operation.name == DESCRIBE_STREAM:
                return stream_described(self.tables, operation.table, operation.argument, now_ms)
            if operation.name == FEEDS:
                return feeds_listed(self.tables)
            if found is None:
                return cast("dict[str, JSON]", read_settings(operation, "", None))
            return cast("dict[str, JSON]", read_settings(operation, found.status, found.settings, found.schema))
        if isinstance(operation, ListContributorInsights):
            tables = [(name, table.settings) for name, table in self.tables.items() if not name.startswith(SYSTEM)]
            return cast("dict[str, JSON]", insights.listed(tables, operation))
        if isinstance(operation, DescribeTable):
            table = self.tables.get(operation.table)
            if table is None:
                raise resource_not_found(operation.table)
            return {"Table": table.description(counts)}
        assert isinstance(operation, ListTables)
        names = [name for name in self.tables if not name.startswith(SYSTEM)]
        return cast("dict[str, JSON]", list_tables(names, operation.start, operation.limit))

    def map(self, table: str) -> TableMap | None:
        found = self.tables.get(table)
        return None if found is None else TableMap(found.schema, found.status, found.groups, found.form.version)


def replaced(groups: tuple[GroupSpec, ...], group: str, children: tuple[GroupSpec, ...]) -> tuple[GroupSpec, ...]:
    """The groups with this one's children in its place."""
    out: list[GroupSpec] = []
    for spec in groups:
        out.extend(children if spec.group == group else (spec,))
    return tuple(out)


def with_members(groups: tuple[GroupSpec, ...], change: CatalogChange) -> tuple[GroupSpec, ...]:
    """The groups with what one of their leaders told of its members, unless something newer is known."""
    return tuple(
        replace(spec, members=change.members, members_slot=change.slot)
        if spec.group == change.group and spec.members_slot < change.slot
        else spec
        for spec in groups
    )


def catalog_spec(topology: Topology) -> GroupSpec:
    """The one group that no catalog places: its members are known from the start."""
    members = tuple(Member(address, 1) for address in topology.catalog_members())
    return GroupSpec(CATALOG, "", "", b"", b"", members, None)

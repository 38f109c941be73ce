"""What the catalog's leader does besides answering: it tells storage nodes to host and to drop replicas, and partitions
how their table looks, again and again until they answer; and it has the catalog log what is complete.

What it remembers of their answers is lost with the leadership, and then asked for again. Of what the catalog knows no
more it remembers nothing (`forget`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dynalab_impl import index_steps, watching
from dynalab_impl.catalog import CATALOG, Catalog
from dynalab_impl.effects import NOTHING, Address, Effects, Nanoseconds
from dynalab_impl.messages import NO_REQUEST, CatalogChange, Drop, GroupSpec, Host, WasSplit
from dynalab_impl.reforming import spread
from dynalab_impl.replication.replica import Replica
from dynalab_impl.snapshot import DividedImage
from dynalab_impl.table_entry import GONE, Table
from dynalab_model import insights
from dynalab_model.events import Event
from dynalab_model.online_indexes import deleting
from dynalab_model.stream_settings import streams_of
from dynalab_model.tables import CREATING, DELETING, UPDATING

LATE_NS = 10_000_000_000  # a member that is about has come to a Split by then
EVENTS = {"activate": "table-active", "forget": "table-gone"}


@dataclass(slots=True)
class CatalogKeeper:
    """What the catalog's leader remembers about nodes that have answered; lost with the leadership, and then asked
    again.
    """

    hosted: dict[str, list[Address]] = field(default_factory=dict)
    dropped: dict[str, list[Address]] = field(default_factory=dict)
    asked: dict[tuple[str, str, str], bool] = field(default_factory=dict)  # steps logged: action, table id, group
    altered: dict[str, int] = field(default_factory=dict)  # the form's version that a partition has confirmed
    built: dict[str, tuple[tuple[int, str], ...]] = field(default_factory=dict)  # (form's version, index), by partition
    dropped_ns: dict[str, Nanoseconds] = field(default_factory=dict)  # by table id: when a majority first was
    divided_ns: dict[str, Nanoseconds] = field(default_factory=dict)  # by parent: since when its children are awaited
    watchers: dict[str, watching.Told] = field(default_factory=dict)  # by table: which routers count its busy keys
    kept_at: int = 0  # the catalog's slot when all this was last held against it
    unfit_told: int = 0  # the last slot told of whose command could not be carried out

    def tick(self, replica: Replica, effects: Effects) -> None:
        """Tell nodes what they have not confirmed yet, and record what is complete."""
        catalog, lead = replica.state, replica.leading
        assert isinstance(catalog, Catalog) and lead is not None
        if catalog.unfit > self.unfit_told:
            self.unfit_told = catalog.unfit
            effects.tell(Event("change-unfit", CATALOG, 0, catalog.unfit))
        if catalog.applied > self.kept_at:
            self.kept_at = catalog.applied
            self.forget(catalog)
        for name in list(catalog.tables):
            table = catalog.tables[name]
            if table.status == GONE:
                # A clock that is far ahead must not bury what may be read for another day.
                if not streams_of(table.settings, lead.wall_ns(effects.wall_ns) // 1_000_000):
                    self._record("bury", name, table.table_id, replica, effects)
                continue
            told = table.status in (DELETING, CREATING) or (
                index_steps.keep(self, table, replica, effects) and spread(table, self.altered, effects)
            )
            idle = replica.commit_index == len(replica.log)
            if table.status == UPDATING and told and idle and not deleting(table.settings):
                # Nothing is under way, so this step has not been asked for yet: it needs no memory of its own.
                replica.propose(CatalogChange("updated", name, table_id=table.table_id), NO_REQUEST, 0, effects)
            if table.status != DELETING and insights.SETTING in table.settings:
                watching.keep(self, table, replica, effects)
            if table.status != DELETING:
                self._host(name, table, replica, effects)
            elif self._is_over(table, replica, effects):
                self._record("forget", name, table.table_id, replica, effects)
        for group, image in catalog.divided.items():
            since_ns = self.divided_ns.setdefault(group, effects.now_ns)
            is_late = effects.now_ns - since_ns >= LATE_NS
            if self._children_are_everywhere(image, catalog, is_late, effects):
                self._record("divided", "", "", replica, effects, group)
        for table_id, groups in catalog.leftovers.items():
            if self.drop(groups, effects, leftover_of=catalog):
                self._record("clean", "", table_id, replica, effects)

    def forget(self, catalog: Catalog) -> None:
        """Forget groups and tables that are no more. A step that was asked for is remembered for as long as what it is
        about is there, or it would be asked for again.
        """
        groups = catalog.all_names()
        named = [table.table_id for table in catalog.tables.values()]
        places = dict.fromkeys([*named, *catalog.leftovers, *groups])
        self.hosted = {group: nodes for group, nodes in self.hosted.items() if group in groups}
        self.dropped = {group: nodes for group, nodes in self.dropped.items() if group in groups}
        self.altered = {group: version for group, version in self.altered.items() if group in groups}
        self.built = {group: built for group, built in self.built.items() if group in groups}
        self.dropped_ns = {place: since_ns for place, since_ns in self.dropped_ns.items() if place in places}
        self.watchers = {name: told for name, told in self.watchers.items() if name in catalog.tables}
        self.divided_ns = {group: since_ns for group, since_ns in self.divided_ns.items() if group in catalog.divided}
        self.asked = {asked: True for asked in self.asked if asked[1] in places or asked[2] in groups}

    def _is_over(self, table: Table, replica: Replica, effects: Effects) -> bool:
        """Whether nobody serves the items of this table any more. Partitions whose streams stay are told; the others
        are dropped.
        """
        told = not table.form.gone or spread(table, self.altered, effects)
        groups = tuple(spec for spec in table.groups if spec.index or not table.form.gone)
        return self.drop(groups, effects) and self.is_silent(groups, table.table_id, replica, effects) and told

    def on_hosted(self, sender: Address, group: str) -> None:
        nodes = self.hosted.setdefault(group, [])
        if sender not in nodes:
            nodes.append(sender)

    def activate(self, group: str, replica: Replica, effects: Effects) -> None:
        """A node has just hosted this group: is its table complete?"""
        catalog = replica.state
        assert isinstance(catalog, Catalog)
        for name, table in list(catalog.tables.items()):
            if table.status == CREATING and any(spec.group == group for spec in table.groups):
                self._activate(name, table, replica, effects)

    def on_dropped(self, sender: Address, group: str) -> None:
        nodes = self.dropped.setdefault(group, [])
        if sender not in nodes:
            nodes.append(sender)

    def _host(self, name: str, table: Table, replica: Replica, effects: Effects) -> None:
        gone = deleting(table.settings)
        for spec in table.groups:
            if spec.members_slot or spec.index in gone:
                continue  # a group whose members have changed was hosted long ago
            hosted = self.hosted.get(spec.group, [])
            for member in spec.members:
                if member.address not in hosted:
                    effects.send(member.address, Host(spec), NOTHING)
        self._activate(name, table, replica, effects)

    def _activate(self, name: str, table: Table, replica: Replica, effects: Effects) -> None:
        if table.status == CREATING and all(self.is_hosted(spec) for spec in table.groups):
            self._record("activate", name, table.table_id, replica, effects)

    def is_hosted(self, spec: GroupSpec) -> bool:
        """Whether a majority of the group has said that it hosts it, or must have."""
        return bool(spec.members_slot) or 2 * len(self.hosted.get(spec.group, [])) > len(spec.members)

    def _children_are_everywhere(self, image: DividedImage, catalog: Catalog, is_late: bool, effects: Effects) -> bool:
        """Whether every member of a divided partition hosts both children, or has lost its place in them, or has
        dropped them with their table or index. The others are asked, and told of the parent when they are late.
        """
        done = True
        for child in (image.left, image.right):
            spec = catalog.spec_of(child)
            answered = [*self.hosted.get(child, []), *self.dropped.get(child, [])]
            for member in () if spec is None else spec.members:
                belongs = any(member.address == before.address for before in image.parent.members)
                if spec is not None and belongs and member.address not in answered:
                    if is_late and member.address not in self.hosted.get(image.parent.group, []):
                        # Perhaps it was never told of the parent: it gets the children by the parent's Split alone.
                        effects.send(member.address, Host(image.parent), NOTHING)
                    effects.send(member.address, Host(spec), NOTHING)
                    done = False
        return done

    def on_was_split(self, message: WasSplit, replica: Replica, effects: Effects) -> bool:
        """A partition was split; False if it belongs to nothing that the catalog knows."""
        catalog = replica.state
        assert isinstance(catalog, Catalog)
        if catalog.knows_split(message.group):
            return True
        if not catalog.holds_group(message.group):
            return False
        self._record("split", "", "", replica, effects, message.group, (message.left, message.right))
        return True

    def drop(self, groups: tuple[GroupSpec, ...], effects: Effects, leftover_of: Catalog | None = None) -> bool:
        """Ask for what is not dropped yet; True when a majority of every group is. Of what is left of a table, or of a
        divided partition, everybody is to drop it. A member that was cut off meanwhile may know of a split that nobody
        else does: it is asked to tell before it drops the parent, or its children would be nobody's.
        """
        done = True
        for spec in groups:
            dropped = self.dropped.get(spec.group, [])
            left = sum(member.address not in dropped for member in spec.members)
            done = done and (2 * left < len(spec.members) if leftover_of is None else left == 0)
            divided = leftover_of is not None and leftover_of.knows_split(spec.group)
            for member in spec.members:
                if member.address not in dropped:
                    effects.send(member.address, Drop(spec.group, divided, spec.members_slot), NOTHING)
        return done

    def is_silent(self, groups: tuple[GroupSpec, ...], name: str, replica: Replica, effects: Effects) -> bool:
        """Whether no leader of these groups can serve any more, a majority of each of which is dropped. One that has
        not been told may read under its last lease, and a router that knows the old table or index may ask it: the
        name must not be free before. The wait goes under `name`.
        """
        if all(m.address in self.dropped.get(spec.group, []) for spec in groups for m in spec.members):
            return True
        since_ns = self.dropped_ns.setdefault(name, effects.now_ns)
        return effects.now_ns - since_ns >= replica.timing.stretched_lease_ns()

    def _record(
        self,
        action: str,
        name: str,
        table_id: str,
        replica: Replica,
        effects: Effects,
        group: str = "",
        specs: tuple[GroupSpec, ...] = (),
    ) -> None:
        asked = (action, table_id, group)
        if asked in self.asked:
            return
        self.asked[asked] = True
        change = CatalogChange(action, name, table_id=table_id, group=group, specs=specs)
        replica.propose(change, NO_REQUEST, 0, effects)
        if action in EVENTS:
            effects.tell(Event(EVENTS[action], CATALOG, 0, replica.commit_index, name))

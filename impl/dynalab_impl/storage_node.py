"""A storage node: hosts many replicas of many partitions of many tables, and on three of the nodes a replica of the
catalog.

It unpacks messages for its replicas, batches heartbeats (one message for each pair of nodes and tick, whatever the
number of groups), and answers reads and writes where a replica may serve. A node whose disk is new hosts nothing, and
says so to every leader that calls.
"""

from __future__ import annotations

from typing import Any

from dynalab_impl import (
    admission_duties,
    archive,
    autoadmin,
    bygone,
    catalog_duties,
    counting,
    data_duties,
    endings,
    heartbeats,
    index_duties,
    membership_duties,
    reforming,
    scrub,
    splitting,
    stalled,
    stream_duties,
    sweeping,
    transact_duties,
    transact_whole,
    watching,
)
from dynalab_impl import messages as m
from dynalab_impl.admission import Admission
from dynalab_impl.catalog import CATALOG, Catalog, catalog_spec
from dynalab_impl.catalog_keeper import CatalogKeeper
from dynalab_impl.effects import (
    NOTHING,
    Address,
    Effects,
    Message,
    ObjectDone,
    Position,
    RequestToken,
    TimerName,
    Topology,
)
from dynalab_impl.heat import Heat
from dynalab_impl.metadata import Allowances, AskAllowances, AskMakings, Counted, Find, Makings, Spare
from dynalab_impl.partition import Partition
from dynalab_impl.plain import copy_plain, fingerprint
from dynalab_impl.propagator import Propagator
from dynalab_impl.records import (
    DroppedGroup,
    Formatted,
    HostedGroup,
    LeftGroup,
)
from dynalab_impl.recovery import replay
from dynalab_impl.replication import healing, leadership, membership
from dynalab_impl.replication.replica import Replica
from dynalab_impl.routes import Directory
from dynalab_impl.snapshot import Incoming, SnapshotTaken, TakeSnapshot
from dynalab_impl.snapshot_writer import SnapshotWriter
from dynalab_impl.stream_messages import FindShard, ListShards, ReadShard
from dynalab_impl.transact_messages import CancelItem, CommitItem, PrepareItem, ReadItem, WriteWhole
from dynalab_model.events import Event
from dynalab_model.operations import Operation
from dynalab_model.values import Item

TICK: TimerName = ("tick",)
TICK_SPREAD_BITS = 27  # up to 0.13 s


class StorageNode:
    """One node's state: its replicas, and what its leaders need besides."""

    __slots__ = (
        "address",
        "admission",
        "archiver",
        "autoadmin",
        "counting",
        "directory",
        "dropped",
        "endings",
        "handed_over",
        "heats",
        "incarnation",
        "keeper",
        "leaders",
        "led",
        "left",
        "makings",
        "maps",
        "propagators",
        "readers",
        "registered",
        "replicas",
        "scrubber",
        "snapshots",
        "stalled_told",
        "sweeper",
        "ticks",
        "topology",
        "untold",
    )

    def __init__(self, address: Address, topology: Topology, incarnation: int) -> None:
        self.address = address
        self.topology = topology
        self.incarnation = incarnation
        self.replicas: dict[str, Replica] = {}
        self.led: dict[str, Replica] = {}  # the replicas that lead, or did until just now
        self.dropped: dict[str, bool] = {}
        self.makings = bygone.NOTHING_KNOWN
        self.left: dict[str, LeftGroup] = {}  # groups that went on without the replica that this disk had
        self.endings: dict[str, endings.Ending] = {}  # partitions that were dropped just now
        self.handed_over: list[str] = []  # groups that this node led when it was told that it will be stopped
        self.untold: list[str] = []  # those of them whose next leader the routers have not been told
        self.keeper: CatalogKeeper | None = None
        self.propagators: dict[str, Propagator] = {}
        self.maps: dict[str, m.TableMap] = {}  # tables that a propagator of this node feeds
        self.leaders: dict[str, Address] = {}  # last known leaders of index groups
        self.registered = False
        self.ticks = 0
        self.stalled_told = 0  # transactions that a router was told of: another one each time
        self.autoadmin: autoadmin.Autoadmin | None = None  # at the catalog's leader
        self.readers: dict[
            str, dict[int, int]
        ] = {}  # of shards of streams, where they are counted: when each last read
        self.heats: dict[str, Heat] = {}  # of the partitions that this node leads
        self.snapshots = SnapshotWriter(topology.log_records_max, topology.log_as_state)
        self.scrubber = scrub.Scrubber() if topology.scrub else None
        self.archiver = archive.Archiver() if topology.archive else None
        self.admission = None if topology.limits is None else Admission(topology.limits)
        self.counting = counting.Counting()
        self.sweeper = sweeping.Sweeper()
        self.directory = Directory()  # for the questions of routers, while this node leads the catalog

    # --- life -------------------------------------------------------------------------------------------------------

    def on_start(self, effects: Effects) -> None:
        if self.admission is not None:
            self.admission.start(effects.now_ns, effects.wall_ns)
        fresh = True
        reading: dict[tuple[str, int], Incoming] = {}  # snapshots that have begun and not ended yet
        for record in effects.read_log():
            fresh = False
            replay(self, record, reading, effects)
        if fresh:
            self.snapshots.header = effects.append(Formatted(self.incarnation))
            if self.incarnation == 1 and self.address in self.topology.catalog_members():
                self._host(catalog_spec(self.topology), effects)
        else:
            for replica in list(self.replicas.values()):
                replica.recovered(effects)
                self.settle(replica, effects)
            effects.tell(Event("log-recovered", "", 0, len(self.replicas)))
        # Nodes that were started together must not tick together: candidates would meet in every election.
        effects.set_timer(TICK, self.topology.timing.heartbeat_ns // 2 + effects.random_bits(TICK_SPREAD_BITS))

    def on_durable(self, position: Position, effects: Effects) -> None:
        if self.snapshots.ended:
            self.snapshots.on_durable(position, self.replicas, effects)
        for group in list(self.led):
            replica = self.led[group]
            lead = replica.leading
            if lead is None:
                del self.led[group]
            elif lead.unsynced and lead.unsynced[0][0] <= position:
                replica.on_durable(position, effects)
                self.after(replica, effects)

    def on_timer(self, name: TimerName, effects: Effects) -> None:
        if name[0] == leadership.SEND:
            gathering = self.replicas.get(str(name[1]))
            if gathering is not None:
                leadership.send_gathered(gathering, effects)
            return
        assert name == TICK
        effects.set_timer(TICK, self.topology.timing.heartbeat_ns)
        for replica in list(self.replicas.values()):
            replica.tick(effects)
            self.propagate(replica, effects, retry=True)
        self.mend(effects)
        self.beat(effects, list(self.replicas.values()))
        catalog_duties.keep_catalog(self, effects)
        admission_duties.tick(self, effects)
        sweeping.tick(self, effects)
        splitting.watch(self, effects)
        stalled.tick(self, effects)
        autoadmin.report(self, effects)
        autoadmin.tick(self, effects)
        counting.tick(self, effects)
        scrub.tick(self, effects)
        archive.tick(self, effects)
        endings.forget(self, effects)
        bygone.tick(self, effects)
        cycle = self.snapshots.header
        self.snapshots.tick(self.replicas, self.incarnation, self.dropped, self.left, effects)
        if self.snapshots.header > cycle:
            bygone.write(self, effects)
        if not self.registered:
            self.tell_catalog(m.Register(m.Member(self.address, self.incarnation)), effects)

    def tell_catalog(self, message: Message, effects: Effects) -> None:
        """To every member of the catalog: who leads it takes the message, the others have no use for it."""
        for member in self.topology.catalog_members():
            effects.send(member, message, NOTHING)

    def on_request(self, token: RequestToken, operation: Operation, effects: Effects) -> None:
        raise AssertionError("clients talk to routers")

    def on_message(self, sender: Address, message: Message, effects: Effects) -> None:
        getattr(self, HANDLERS[type(message)])(sender, message, effects)

    # --- consensus: hand each message to its replica ----------------------------------------------------------------

    def _on_group_message(self, sender: Address, message: Any, effects: Effects) -> None:
        replica = self.replicas.get(message.group)
        if replica is None:  # the sender's heartbeats will be told that this disk is new
            if type(message) is m.Probe and bygone.was_dropped(self, message.group):
                effects.send(sender, m.Drop(message.group, divided=True), NOTHING)  # its table is gone
            return
        was_leading = replica.leading is not None
        getattr(replica, GROUP_HANDLERS[type(message)])(sender, message, effects)
        lead = replica.leading
        if lead is not None and not was_leading:
            self.begin_leading(replica, effects)
        if self.untold:
            membership_duties.tell_successor(self, replica, effects)
        self.after(replica, effects)

    def begin_leading(self, replica: Replica, effects: Effects) -> None:
        """A new leader needs its first renewal at once: without a lease it cannot serve."""
        self.led[replica.spec.group] = replica
        self.beat(effects, [replica])
        if replica.spec.group == CATALOG:
            self.keeper = CatalogKeeper()
            self.autoadmin = autoadmin.Autoadmin(effects.now_ns)
        else:
            self.propagators[replica.spec.group] = Propagator(replica.spec.group)

    def after(self, replica: Replica, effects: Effects) -> None:
        """What follows from newly committed entries."""
        state = replica.state
        if type(state) is not Partition:
            healing.step(replica, effects)
            if replica.leading is not None and not replica.leading.pending_requests:
                catalog_duties.keep_catalog(self, effects)
            return
        if state.split is not None:
            self.settle(replica, effects)
        if replica.leading is not None:
            healing.step(replica, effects)
            if (state.owed or state.backfills) and replica.leading is not None and not replica.spec.index:
                self.propagate(replica, effects, retry=False)

    # --- hosting ----------------------------------------------------------------------------------------------------

    def make_replica(self, spec: m.GroupSpec, learner: bool) -> Replica:
        timing = self.topology.timing
        state = Catalog(self.topology) if spec.group == CATALOG else Partition(spec, timing.dedup_ns)
        replica = Replica(spec, self.address, self.incarnation, timing, state)
        if learner:
            replica.role, replica.counted = "learner", False
        return replica

    def _host(self, spec: m.GroupSpec, effects: Effects) -> None:
        replica = self.replicas[spec.group] = self.make_replica(spec, learner=False)
        self.snapshots.begun[spec.group] = effects.append(HostedGroup(spec, False))
        effects.tell(Event("hosted", spec.group))
        replica.begin_following(effects)
        if spec.members[0].address == self.address:
            replica.stand(effects)  # somebody must be first; the others wait for their election time

    def _on_host(self, sender: Address, message: m.Host, effects: Effects) -> None:
        spec = message.spec
        mine = m.Member(self.address, self.incarnation)
        if spec.group not in self.replicas:
            if bygone.was_dropped(self, spec.group) or mine not in spec.members:
                return  # a disk newer than the catalog knows: the group's leader will adopt it
            if spec.group in self.left or spec.members_slot:
                return  # an old word: the group has begun long ago, and a replica that begins now must not vote
            if spec.origin:
                return  # a child comes with its parent's Split, or from its leader: an empty one must not vote
            self._host(spec, effects)
        effects.send(sender, m.Hosted(spec.group, self.incarnation))

    def _on_drop(self, sender: Address, message: m.Drop, effects: Effects) -> None:
        replica = self.replicas.get(message.group)
        split = None if replica is None else splitting.moved(replica)
        if split is not None and not message.divided:
            effects.send(sender, m.WasSplit(message.group, split.left, split.right), NOTHING)
            return  # the catalog must know of the children first, or nobody would drop them
        if replica is not None and not message.divided:
            slot, members = membership.newest(replica)
            if slot > message.members_slot:
                # The catalog counts who has dropped the group. Counted among members of long ago, those who hold it now
                # could go on without them, under a name that is free.
                effects.send(sender, m.Membership(message.group, members, slot), NOTHING)
                return
        left = self.left.get(message.group)
        if left is not None and left.slot > message.members_slot and not message.divided:
            return  # the same of one that was let go: its group goes on, and who leads it tells the catalog so
        if not archive.is_complete(self, message.group):
            return  # the catalog asks again
        if replica is not None or not bygone.was_dropped(self, message.group):
            self.dropped[message.group] = True
            if replica is not None:
                endings.remember(self, replica, effects)
            self.replicas.pop(message.group, None)
            self.left.pop(message.group, None)
            self.led.pop(message.group, None)
            self.propagators.pop(message.group, None)
            if self.admission is not None:
                self.admission.forget(message.group)
            self.heats.pop(message.group, None)
            self.snapshots.forget(message.group)
            index_duties.forget_maps(self)
            effects.append(DroppedGroup(message.group))
        effects.send(sender, m.Dropped(message.group))

    # --- the catalog: in a room of its own --------------------------------------------------------------------------

    on_hosted = catalog_duties.on_hosted
    on_dropped = catalog_duties.on_dropped
    on_register = catalog_duties.on_register
    on_registered = catalog_duties.on_registered
    on_find = catalog_duties.on_find
    on_ask_allowances = admission_duties.on_ask_allowances
    on_allowances = admission_duties.on_allowances
    on_spare = admission_duties.on_spare
    on_ask_makings = bygone.on_ask
    on_makings = bygone.on_makings
    on_counted = counting.on_counted
    on_lookup = catalog_duties.on_lookup
    on_lookup_reply = catalog_duties.on_lookup_reply
    on_table_request = catalog_duties.on_table_request

    # --- in rooms of their own: heartbeats, reads and writes, propagation to indexes ---------------------------------

    beat = heartbeats.beat
    on_heartbeat = heartbeats.on_heartbeat
    on_heartbeat_reply = heartbeats.on_heartbeat_reply
    serving = data_duties.serving
    answered_before = data_duties.answered_before
    expired = data_duties.expired
    on_write = data_duties.on_write
    on_get = data_duties.on_get
    on_range = data_duties.on_range
    on_prepare_item = transact_duties.on_prepare_item
    on_commit_item = transact_duties.on_commit_item
    on_cancel_item = transact_duties.on_cancel_item
    on_read_item = transact_duties.on_read_item
    on_write_whole = transact_whole.on_write_whole
    on_object = archive.on_object
    on_digest = scrub.on_digest
    differing = scrub.differing
    on_diverged = scrub.on_diverged
    on_ask_state = scrub.on_ask_state
    on_state_piece = scrub.on_state_piece
    on_index_request = index_duties.on_index_request
    on_index_reply = index_duties.on_index_reply
    on_redirect = index_duties.on_redirect
    propagate = index_duties.propagate
    on_alive = autoadmin.on_alive
    on_replaced = autoadmin.on_replaced
    settle = splitting.settle
    on_list_shards = stream_duties.on_list_shards
    on_find_shard = stream_duties.on_find_shard
    on_read_shard = stream_duties.on_read_shard
    on_split_now = splitting.on_split_now
    on_alter = reforming.on_alter
    on_altered = reforming.on_altered
    on_watching = watching.on_watching
    on_moved = splitting.on_moved
    on_adopt = membership_duties.on_adopt
    on_adopted = membership_duties.on_adopted
    on_retire = membership_duties.on_retire
    on_replace = membership_duties.on_replace
    on_membership = membership_duties.on_membership
    on_membership_known = membership_duties.on_membership_known
    on_stop = membership_duties.on_stop
    may_stop = membership_duties.may_stop
    mend = membership_duties.mend
    on_was_split = catalog_duties.on_was_split
    on_split_wanted = catalog_duties.on_split_wanted

    # --- looking in from outside ------------------------------------------------------------------------------------

    def table_items(self, table: str) -> dict[str, dict[bytes, Item]]:
        """Applied items of every group of this table and its indexes that this node hosts: group → key bytes → item."""
        out: dict[str, dict[bytes, Item]] = {}
        for group, replica in self.replicas.items():
            if replica.spec.table != table or replica.log_only:
                continue
            if isinstance(replica.state, Partition) and replica.state.split is None:
                out[group] = {key: stored.item for key, stored in replica.state.items.items()}
        return out

    def copy(self) -> StorageNode:
        """An independent copy, for the explorer to branch."""
        return copy_plain(self)

    def fingerprint(self, now_ns: int) -> str:
        """A digest of the whole state, with deadlines relative to now."""
        return fingerprint(self, now_ns)


# Message → name of the method that handles it: looked up by name, so that a planted bug can be laid over a method.
GROUP_HANDLERS: dict[type, str] = {
    m.Prepare: "on_prepare",
    m.Promise: "on_promise",
    m.Refuse: "on_refuse",
    m.HandOver: "on_hand_over",
    m.Probe: "on_probe",
    m.ProbeReply: "on_probe_reply",
    m.Accept: "on_accept",
    m.Accepted: "on_accepted",
    m.Commit: "on_commit",
    TakeSnapshot: "on_snapshot",
    SnapshotTaken: "on_snapshot_taken",
}

HANDLERS: dict[type, str] = {
    **dict.fromkeys(GROUP_HANDLERS, "_on_group_message"),
    m.Heartbeat: "on_heartbeat",
    m.HeartbeatReply: "on_heartbeat_reply",
    m.Adopt: "on_adopt",
    m.Adopted: "on_adopted",
    m.Retire: "on_retire",
    m.Replace: "on_replace",
    m.Membership: "on_membership",
    m.MembershipKnown: "on_membership_known",
    m.Host: "_on_host",
    m.Hosted: "on_hosted",
    m.Drop: "_on_drop",
    m.Dropped: "on_dropped",
    m.Register: "on_register",
    m.Registered: "on_registered",
    Find: "on_find",
    AskAllowances: "on_ask_allowances",
    Allowances: "on_allowances",
    Spare: "on_spare",
    AskMakings: "on_ask_makings",
    Makings: "on_makings",
    Counted: "on_counted",
    m.Lookup: "on_lookup",
    m.LookupReply: "on_lookup_reply",
    m.TableRequest: "on_table_request",
    m.WriteRequest: "on_write",
    m.IndexRequest: "on_index_request",
    m.IndexReply: "on_index_reply",
    m.GetRequest: "on_get",
    m.RangeRequest: "on_range",
    PrepareItem: "on_prepare_item",
    CommitItem: "on_commit_item",
    CancelItem: "on_cancel_item",
    ReadItem: "on_read_item",
    WriteWhole: "on_write_whole",
    m.Redirect: "on_redirect",
    ObjectDone: "on_object",
    scrub.Digest: "on_digest",
    scrub.Diverged: "on_diverged",
    scrub.AskState: "on_ask_state",
    scrub.StatePiece: "on_state_piece",
    m.Moved: "on_moved",
    m.Alive: "on_alive",
    m.Replaced: "on_replaced",
    m.SplitNow: "on_split_now",
    ListShards: "on_list_shards",
    FindShard: "on_find_shard",
    ReadShard: "on_read_shard",
    m.Alter: "on_alter",
    m.Altered: "on_altered",
    watching.Watching: "on_watching",
    m.SplitWanted: "on_split_wanted",
    m.WasSplit: "on_was_split",
}

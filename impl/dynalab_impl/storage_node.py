"""A storage node: hosts many replicas of many partitions of many tables, and on three of the nodes a replica of the
catalog.

It unpacks messages for its replicas, batches heartbeats (one message for each pair of nodes and tick, whatever the
number of groups), and answers reads and writes where a replica may serve. A node whose disk is new hosts nothing, and
says so to every leader that calls.
"""

from __future__ import annotations

from typing import Any

from dynalab_impl import catalog_duties
from dynalab_impl import messages as m
from dynalab_impl.catalog import CATALOG, Catalog, CatalogKeeper, catalog_spec
from dynalab_impl.effects import (
    NOTHING,
    Address,
    Effects,
    Message,
    Position,
    RequestToken,
    TimerName,
    Topology,
)
from dynalab_impl.jsons import as_json
from dynalab_impl.partition import Partition
from dynalab_impl.plain import copy_plain, fingerprint
from dynalab_impl.propagator import Propagator
from dynalab_impl.records import (
    DroppedGroup,
    Formatted,
    HostedGroup,
)
from dynalab_impl.recovery import replay
from dynalab_impl.replication.leading import UNCOMMITTED_MAX, Waiter
from dynalab_impl.replication.replica import Replica
from dynalab_impl.snapshot import Incoming, SnapshotTaken, TakeSnapshot
from dynalab_impl.snapshot_writer import SnapshotWriter
from dynalab_model.errors import DynamoError
from dynalab_model.events import Event
from dynalab_model.items import apply_write
from dynalab_model.operations import Operation
from dynalab_model.pages import write_response
from dynalab_model.values import Item

TICK: TimerName = ("tick",)
TICK_SPREAD_BITS = 27  # up to 0.13 s


class StorageNode:
    """One node's state: its replicas, and what its leaders need besides."""

    __slots__ = (
        "address",
        "catalog_hint",
        "dropped",
        "incarnation",
        "keeper",
        "leaders",
        "led",
        "maps",
        "propagators",
        "registered",
        "replicas",
        "snapshots",
        "topology",
    )

    def __init__(self, address: Address, topology: Topology, incarnation: int) -> None:
        self.address = address
        self.topology = topology
        self.incarnation = incarnation
        self.replicas: dict[str, Replica] = {}
        self.led: dict[str, Replica] = {}  # the replicas that lead, or did until just now
        self.dropped: dict[str, bool] = {}
        self.keeper: CatalogKeeper | None = None
        self.propagators: dict[str, Propagator] = {}
        self.maps: dict[str, m.TableMap] = {}  # tables that a propagator of this node feeds
        self.leaders: dict[str, Address] = {}  # last known leaders of index groups
        self.registered = False
        self.snapshots = SnapshotWriter(topology.log_records_max)
        self.catalog_hint = 0

    # --- life -------------------------------------------------------------------------------------------------------

    def on_start(self, effects: Effects) -> None:
        fresh = True
        reading: dict[tuple[str, int], Incoming] = {}  # snapshots that have begun and not ended yet
        for record in effects.read_log():
            fresh = False
            replay(self, record, reading)
        if fresh:
            self.snapshots.header = effects.append(Formatted(self.incarnation))
            if self.incarnation == 1 and self.address in self.topology.catalog_members():
                self._host(catalog_spec(self.topology), learner=False, effects=effects)
        else:
            for replica in self.replicas.values():
                replica.recovered(effects)
            effects.tell(Event("log-recovered", "", 0, len(self.replicas)))
        # Nodes that were started together must not tick together: candidates would meet in every election.
        effects.set_timer(TICK, self.topology.timing.heartbeat_ns // 2 + effects.random_bits(TICK_SPREAD_BITS))

    def on_durable(self, position: Position, effects: Effects) -> None:
        self.snapshots.on_durable(position, self.replicas, effects)
        for group in list(self.led):
            replica = self.led[group]
            lead = replica.leading
            if lead is None:
                del self.led[group]
            elif lead.unsynced and lead.unsynced[0][0] <= position:
                replica.on_durable(position, effects)
                self._after(replica, effects)

    def on_timer(self, name: TimerName, effects: Effects) -> None:
        assert name == TICK
        effects.set_timer(TICK, self.topology.timing.heartbeat_ns)
        for replica in list(self.replicas.values()):
            replica.tick(effects)
            self._propagate(replica, effects, retry=True)
        self._beat(effects, list(self.replicas.values()))
        catalog_duties.keep_catalog(self, effects)
        self.snapshots.tick(self.replicas, self.incarnation, self.dropped, effects)
        if not self.registered:
            members = self.topology.catalog_members()
            self.catalog_hint += 1
            to = members[self.catalog_hint % len(members)]
            effects.send(to, m.Register(m.Member(self.address, self.incarnation)), NOTHING)

    def on_request(self, token: RequestToken, operation: Operation, effects: Effects) -> None:
        raise AssertionError("clients talk to routers")

    def on_message(self, sender: Address, message: Message, effects: Effects) -> None:
        getattr(self, HANDLERS[type(message)])(sender, message, effects)

    # --- consensus: hand each message to its replica ----------------------------------------------------------------

    def _on_group_message(self, sender: Address, message: Any, effects: Effects) -> None:
        replica = self.replicas.get(message.group)
        if replica is None:
            return  # the sender's heartbeats will be told that this disk is new
        was_leading = replica.leading is not None
        getattr(replica, GROUP_HANDLERS[type(message)])(sender, message, effects)
        lead = replica.leading
        if lead is not None and not was_leading:
            self._begin_leading(replica, effects)
        self._after(replica, effects)

    def _begin_leading(self, replica: Replica, effects: Effects) -> None:
        """A new leader needs its first renewal at once: without a lease it cannot serve."""
        self.led[replica.spec.group] = replica
        self._beat(effects, [replica])
        if replica.spec.group == CATALOG:
            self.keeper = CatalogKeeper()
        else:
            self.propagators[replica.spec.group] = Propagator(replica.spec.group)

    def _after(self, replica: Replica, effects: Effects) -> None:
        """What follows from newly committed entries, at a leader."""
        if replica.leading is not None and not replica.spec.index:
            state = replica.state
            if isinstance(state, Partition):
                if state.owed:
                    self._propagate(replica, effects, retry=False)
            elif replica.leading.pending_requests == {}:
                catalog_duties.keep_catalog(self, effects)

    def _beat(self, effects: Effects, replicas: list[Replica]) -> None:
        beats: dict[Address, list[m.Beat]] = {}
        for replica in replicas:
            lead = replica.leading
            if lead is None:
                continue
            beat = m.Beat(replica.spec.group, lead.ballot, replica.commit_index)
            for address in lead.peers:
                beats.setdefault(address, []).append(beat)
        for address, for_peer in beats.items():
            effects.send(address, m.Heartbeat(effects.now_ns, tuple(for_peer)), NOTHING)

    def _on_heartbeat(self, sender: Address, message: m.Heartbeat, effects: Effects) -> None:
        acknowledged: list[m.Acknowledgement] = []
        refused: list[m.Beat] = []
        strangers: list[str] = []
        for beat in message.beats:
            replica = self.replicas.get(beat.group)
            if replica is None:
                if beat.group not in self.dropped:
                    strangers.append(beat.group)
            elif replica.on_beat(sender, beat, effects):
                acknowledged.append(m.Acknowledgement(beat.group, beat.ballot, replica.matched))
            else:
                refused.append(m.Beat(beat.group, replica.promised, replica.commit_index))
        # Waits for the disk: `matched` and the promises told here must be on it.
        effects.send(
            sender,
            m.HeartbeatReply(message.sent_ns, self.incarnation, tuple(acknowledged), tuple(refused), tuple(strangers)),
        )

    def _on_heartbeat_reply(self, sender: Address, message: m.HeartbeatReply, effects: Effects) -> None:
        for ack in message.acknowledged:
            replica = self.replicas.get(ack.group)
            if replica is not None and replica.leading is not None and replica.leading.ballot == ack.ballot:
                replica.on_acknowledged(sender, message.incarnation, message.sent_ns, ack.match, effects)
                self._after(replica, effects)
        for beat in message.refused:
            replica = self.replicas.get(beat.group)
            if replica is not None and replica.leading is not None:
                replica.on_refuse(sender, m.Refuse(beat.group, beat.ballot), effects)
        for group in message.strangers:
            replica = self.replicas.get(group)
            if replica is None or replica.leading is None:
                continue
            if any(x.address == sender and x.incarnation == message.incarnation for x in replica.members):
                continue  # it has not been told to host the group yet: the catalog sees to that
            effects.send(sender, m.Adopt(replica.spec), NOTHING)

    # --- hosting ----------------------------------------------------------------------------------------------------

    def make_replica(self, spec: m.GroupSpec, learner: bool) -> Replica:
        timing = self.topology.timing
        state = Catalog(self.topology) if spec.group == CATALOG else Partition(spec, timing.dedup_ns)
        replica = Replica(spec, self.address, self.incarnation, timing, state)
        if learner:
            replica.role = "learner"
        return replica

    def _host(self, spec: m.GroupSpec, learner: bool, effects: Effects) -> None:
        replica = self.replicas[spec.group] = self.make_replica(spec, learner)
        self.snapshots.begun[spec.group] = effects.append(HostedGroup(spec, learner))
        effects.tell(Event("learner-joined" if learner else "hosted", spec.group))
        replica.begin_following(effects)
        if not learner and spec.members[0].address == self.address:
            replica.stand(effects)  # somebody must be first; the others wait for their election time

    def _on_host(self, sender: Address, message: m.Host, effects: Effects) -> None:
        spec = message.spec
        mine = m.Member(self.address, self.incarnation)
        if spec.group not in self.replicas:
            if spec.group in self.dropped or mine not in spec.members:
                return  # a disk newer than the catalog knows: the group's leader will adopt it
            self._host(spec, learner=False, effects=effects)
        effects.send(sender, m.Hosted(spec.group, self.incarnation))

    def _on_adopt(self, sender: Address, message: m.Adopt, effects: Effects) -> None:
        spec = message.spec
        if spec.group not in self.replicas and spec.group not in self.dropped:
            self._host(spec, learner=True, effects=effects)

    def _on_drop(self, sender: Address, message: m.Drop, effects: Effects) -> None:
        if message.group not in self.dropped:
            self.dropped[message.group] = True
            self.replicas.pop(message.group, None)
            self.led.pop(message.group, None)
            self.propagators.pop(message.group, None)
            effects.append(DroppedGroup(message.group))
        effects.send(sender, m.Dropped(message.group))

    # --- the catalog: in a room of its own --------------------------------------------------------------------------

    on_hosted = catalog_duties.on_hosted
    on_dropped = catalog_duties.on_dropped
    on_register = catalog_duties.on_register
    on_registered = catalog_duties.on_registered
    on_lookup = catalog_duties.on_lookup
    on_lookup_reply = catalog_duties.on_lookup_reply
    on_table_request = catalog_duties.on_table_request

    # --- writes and reads -------------------------------------------------------------------------------------------

    def serving(self, sender: Address, group: str, number: int, effects: Effects) -> Replica | None:
        """The replica if it may serve as leader; else the sender is told where to go."""
        replica = self.replicas.get(group)
        if replica is not None and replica.may_serve(effects.now_ns):
            return replica
        if replica is not None:
            replica.check_lease(effects)
            leader = replica.leader if replica.leader != self.address else None
            effects.send(sender, m.Redirect(number, group, leader), NOTHING)
        else:
            effects.send(sender, m.Redirect(number, group, None, hosted=False), NOTHING)
        effects.tell(Event("redirected", group))
        return None

    def answered_before(
        self, replica: Replica, sender: Address, number: int, request: m.RequestId, effects: Effects
    ) -> bool:
        """A copy of a logged request gets the first one's answer, at once or when that is committed."""
        outcome = replica.state.dedup.get(request)
        if outcome is not None:
            effects.send(sender, m.Answer(number, outcome.status, outcome.body, outcome.error), NOTHING)
        else:
            assert replica.leading is not None
            slot = replica.leading.pending_requests.get(request)
            if slot is None:
                return False
            replica.wait(slot, Waiter(sender, number))
        effects.tell(Event("dedup-answered", replica.spec.group))
        return True

    def expired(self, replica: Replica, expiry_ns: int, effects: Effects) -> bool:
        """Past its expiry a request must not be logged: the answer to an earlier copy may be forgotten."""
        if expiry_ns >= max(effects.wall_ns, replica.last_time_ns()):
            return False
        effects.tell(Event("expired-refused", replica.spec.group))
        return True

    def _on_write(self, sender: Address, message: m.WriteRequest, effects: Effects) -> None:
        replica = self.serving(sender, message.group, message.number, effects)
        if replica is None or self.answered_before(replica, sender, message.number, message.request, effects):
            return
        if self.expired(replica, message.expiry_ns, effects):
            return
        if len(replica.log) - replica.commit_index >= UNCOMMITTED_MAX:
            effects.send(sender, m.Redirect(message.number, message.group, None), NOTHING)
            return
        partition, lead, schema = replica.state, replica.leading, replica.spec.schema
        assert isinstance(partition, Partition) and lead is not None and schema is not None
        key, operation = message.key, message.operation
        pending = lead.pending_items.get(key)
        # Writes are pipelined, so the condition looks at what is appended, not only at what is applied.
        current = partition.get(key) if pending is None else pending[1]
        command: m.Write | m.Failed
        try:
            effect = apply_write(schema, operation, current)
            body = as_json(write_response(schema, operation, current, effect))
            command = m.Write(key, effect.item, body)
        except DynamoError as refusal:
            command = m.Failed(refusal.status, refusal.code, as_json(refusal.body()))
            effects.tell(Event("condition-failed", message.group))
            if pending is not None:
                effects.tell(Event("waited-for-pending", message.group))
        slot = replica.propose(command, message.request, message.expiry_ns, effects)
        if type(command) is m.Write:
            lead.pending_items[key] = (slot, command.item)
        replica.wait(slot, Waiter(sender, message.number))

    def _on_index_request(self, sender: Address, message: m.IndexRequest, effects: Effects) -> None:
        replica = self.serving(sender, message.group, message.number, effects)
        if replica is None or self.expired(replica, message.expiry_ns, effects):
            return
        partition = replica.state
        assert isinstance(partition, Partition)
        if not partition.is_newer(message.write) and not partition.renews(message.write):
            effects.tell(Event("index-ignored", message.group))
            effects.send(sender, m.IndexReply(message.source, message.number), NOTHING)
            return
        slot = replica.propose(message.write, message.request, message.expiry_ns, effects)
        replica.wait(slot, Waiter(sender, message.number, message.source))
        effects.tell(Event("index-applied", message.group, 0, slot))

    def _on_get(self, sender: Address, message: m.GetRequest, effects: Effects) -> None:
        replica = self._reading(sender, message.group, message.number, message.consistent, effects)
        if replica is not None:
            partition = replica.state
            assert isinstance(partition, Partition)
            effects.send(sender, m.GetReply(message.number, partition.get(message.key)), NOTHING)

    def _on_range(self, sender: Address, message: m.RangeRequest, effects: Effects) -> None:
        replica = self._reading(sender, message.group, message.number, message.consistent, effects)
        if replica is not None:
            partition = replica.state
            assert isinstance(partition, Partition)
            keys, items, more = partition.rows(
                message.low, message.high, message.start_after, message.forward, message.rows_max, message.bytes_max
            )
            reply = m.RangeReply(message.number, message.group, tuple(keys), tuple(items), more)
            effects.send(sender, reply, NOTHING)

    def _reading(self, sender: Address, group: str, number: int, consistent: bool, effects: Effects) -> Replica | None:
        """A strong read asks the leader under its lease; an eventual one any replica that is no learner."""
        if consistent:
            replica = self.serving(sender, group, number, effects)
            if replica is not None:
                effects.tell(Event("read-strong", group))
            return replica
        replica = self.replicas.get(group)
        if replica is None or replica.role == "learner":
            effects.send(sender, m.Redirect(number, group, None, replica is not None), NOTHING)
            return None
        effects.tell(Event("read-eventual", group))
        return replica

    # --- propagation ------------------------------------------------------------------------------------------------

    def _map_of(self, replica: Replica) -> m.TableMap | None:
        """The map of this replica's table. One of an earlier table of that name does not count: its index is gone."""
        table = self.maps.get(replica.spec.table)
        known = table is not None and any(spec.group == replica.spec.group for spec in table.groups)
        return table if known else None

    def _propagate(self, replica: Replica, effects: Effects, retry: bool) -> None:
        if replica.spec.index or not isinstance(replica.state, Partition) or not replica.state.owed:
            return
        if not replica.may_serve(effects.now_ns):
            return
        propagator = self.propagators.get(replica.spec.group)
        table = self._map_of(replica)
        if propagator is None:
            return
        if table is None:
            if retry or not propagator.asked:
                propagator.asked = True
                members = self.topology.catalog_members()
                self.catalog_hint += 1
                effects.send(members[self.catalog_hint % len(members)], m.Lookup(replica.spec.table), NOTHING)
            return
        if retry:
            propagator.retry(replica, table, self.leaders, effects)
        propagator.pump(replica, table, self.leaders, effects)

    def _on_index_reply(self, sender: Address, message: m.IndexReply, effects: Effects) -> None:
        replica, propagator = self.replicas.get(message.source), self.propagators.get(message.source)
        if replica is not None and propagator is not None and replica.leading is not None:
            propagator.on_reply(message.number, replica, effects)
            self._propagate(replica, effects, retry=False)

    def _on_redirect(self, sender: Address, message: m.Redirect, effects: Effects) -> None:
        """An index group's leader is elsewhere, or the catalog's: find out which flight it was by its number."""
        if message.number == 0:
            if message.leader is not None and message.group not in self.maps:
                effects.send(message.leader, m.Lookup(message.group), NOTHING)
            return
        for group, propagator in self.propagators.items():
            replica = self.replicas.get(group)
            table = None if replica is None else self._map_of(replica)
            if replica is not None and table is not None and replica.may_serve(effects.now_ns):
                propagator.redirect(message, replica, table, self.leaders, effects)

    # --- looking in from outside ------------------------------------------------------------------------------------

    def table_items(self, table: str) -> dict[str, dict[bytes, Item]]:
        """Applied items of every group of this table and its indexes that this node hosts: group → key bytes → item."""
        out: dict[str, dict[bytes, Item]] = {}
        for group, replica in self.replicas.items():
            if replica.spec.table == table and isinstance(replica.state, Partition):
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
    m.Heartbeat: "_on_heartbeat",
    m.HeartbeatReply: "_on_heartbeat_reply",
    m.Adopt: "_on_adopt",
    m.Host: "_on_host",
    m.Hosted: "on_hosted",
    m.Drop: "_on_drop",
    m.Dropped: "on_dropped",
    m.Register: "on_register",
    m.Registered: "on_registered",
    m.Lookup: "on_lookup",
    m.LookupReply: "on_lookup_reply",
    m.TableRequest: "on_table_request",
    m.WriteRequest: "_on_write",
    m.IndexRequest: "_on_index_request",
    m.IndexReply: "_on_index_reply",
    m.GetRequest: "_on_get",
    m.RangeRequest: "_on_range",
    m.Redirect: "_on_redirect",
}

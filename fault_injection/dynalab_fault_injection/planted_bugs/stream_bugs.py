"""Planted bugs of streams, and of sweeps of what has expired."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

from dynalab_fault_injection.planted_bugs.bug import PlantedBug
from dynalab_fault_injection.planted_bugs.patch import Patch
from dynalab_impl import messages as m
from dynalab_impl import stream_shards, sweeping
from dynalab_impl.effects import Effects, Nanoseconds
from dynalab_impl.entries import GroupSpec, StreamForm
from dynalab_impl.messages import Entry, Sweep
from dynalab_impl.partition import Partition
from dynalab_impl.replication import leadership
from dynalab_impl.replication.replica import Replica
from dynalab_impl.storage_node import StorageNode
from dynalab_impl.stream_shards import Shards
from dynalab_model import streams
from dynalab_model.expiry import is_expired
from dynalab_model.streams import MODIFY
from dynalab_model.values import Item

FORGOTTEN = 3  # records that a new leader does not have
EARLY_NS = 4_000_000_000

_divide = stream_shards.divide
_event_name = streams.event_name


def _led_anew(replica: Replica, effects: Effects) -> Shards:
    """The shards of a partition whose leader this replica has just become; none otherwise."""
    lead = replica.leading
    served = lead is not None and lead.served
    leadership.check_lease(replica, effects)
    state = replica.state
    begins = lead is not None and lead.served and not served
    return state.shards if begins and isinstance(state, Partition) else []


def _without_the_last(replica: Replica, effects: Effects) -> None:
    for shard in _led_anew(replica, effects):
        del shard.changes[-FORGOTTEN:]


def _the_last_again(replica: Replica, effects: Effects) -> None:
    for shard in _led_anew(replica, effects):
        if shard.changes and not shard.ended:
            last = shard.changes[-1]
            shard.changes.append(replace(last, number=last.number + 1))


def _orphans(
    shards: Shards, halves: tuple[GroupSpec, GroupSpec], slot: int, time_ns: Nanoseconds, stream: StreamForm | None
) -> tuple[Shards, Shards]:
    low, high = _divide(shards, halves, slot, time_ns, stream)
    for half in (low, high):
        if half and not half[-1].ended:
            half[-1].parent = ""
    return low, high


def _every_write(before: Item | None, after: Item | None) -> str:
    return _event_name(before, after) or (MODIFY if after is not None else "")


def _whatever_is_there(self: Partition, entry: Entry, command: Sweep) -> None:
    if command.key in self.items and command.key not in self.held:
        self._change(entry, command.key, None, identity=streams.SERVICE)


def _nobody(self: Partition, entry: Entry, command: Sweep) -> None:
    stored = self.items.get(command.key)
    if stored is not None and stored.version == command.version and command.key not in self.held:
        self._change(entry, command.key, None)


def _sweep_what_is_applied(
    node: StorageNode, replica: Replica, state: Partition, attribute: str, effects: Effects
) -> None:
    # As `sweeping._sweep`, which leaves alone what somebody is writing.
    lead, group = replica.leading, replica.spec.group
    if lead is None or state.split is not None or lead.splitting or not replica.may_serve(effects.now_ns):
        return
    behind = node.sweeper.behind.pop(group, b"")
    keys = state.items.irange(behind or None, None, inclusive=(not behind, True))
    seen = list(islice(keys, node.topology.sweep_rows))
    for key in seen:
        stored = state.items[key]
        if is_expired(stored.item, attribute, lead.wall_ns(effects.wall_ns)) and key not in state.held:
            slot = replica.propose(m.Sweep(key, stored.version), m.NO_REQUEST, 0, effects)
            lead.pending_items[key] = (slot, None)
    if len(seen) == node.topology.sweep_rows:
        node.sweeper.behind[group] = seen[-1]


def _soon(item: Item, attribute: str, now_ns: int) -> bool:
    return is_expired(item, attribute, now_ns + EARLY_NS)


STREAM_BUGS: tuple[PlantedBug, ...] = (
    PlantedBug(
        name="stream-gap-at-failover",
        rule="records are part of what is applied: whoever leads next has every one",
        sentence="a new leader does not have the last records that its predecessor told",
        checker="streams",
        workload="stream",
        faults=("deployment", "node-crash"),
        patches=(Patch(Replica, "check_lease", "25f9527d", _without_the_last),),
    ),
    PlantedBug(
        name="stream-duplicate-at-failover",
        rule="a change has one record, under one number, whoever leads",
        sentence="a new leader tells the last change again, under a number of its own",
        checker="streams",
        workload="stream",
        faults=("deployment", "node-crash"),
        patches=(Patch(Replica, "check_lease", "25f9527d", _the_last_again),),
    ),
    PlantedBug(
        name="child-shard-without-its-parent",
        rule="a shard that follows another one names it, so that readers drain that one first",
        sentence="the shards that a split opens name no parent",
        checker="streams",
        workload="stream",
        faults=("split", "slow-node"),
        patches=(Patch(stream_shards, "divide", "a943215c", _orphans),),
    ),
    PlantedBug(
        name="record-of-nothing",
        rule="a write that leaves an item as it was has no record",
        sentence="every write has a record",
        checker="streams",
        workload="stream",
        faults=("delay", "slow-node"),
        patches=(Patch(streams, "event_name", "3d0e6a3b", _every_write),),
    ),
    PlantedBug(
        name="sweep-removes-a-renewed-item",
        rule="a sweep removes the version that it saw, and no other",
        sentence="a sweep removes whatever stands under the key of an item that had expired",
        checker="expiry",
        workload="ttl",
        faults=("slow-disk", "delay"),
        patches=(
            Patch(sweeping, "_sweep", "cefd682b", _sweep_what_is_applied),
            Patch(Partition, "_sweep", "10905744", _whatever_is_there),
        ),
    ),
    PlantedBug(
        name="sweep-before-its-time",
        rule="an item is swept when the second that it names has passed",
        sentence="items are swept four seconds before their time",
        checker="expiry",
        workload="ttl",
        faults=("delay", "slow-node"),
        patches=(Patch(sweeping, "is_expired", "63fe74ac", _soon),),
    ),
    PlantedBug(
        name="sweep-without-identity",
        rule="the record of a sweep says that the service made it",
        sentence="sweeps look to readers of the stream like deletes of a client",
        checker="streams",
        workload="ttl",
        faults=("delay", "slow-node"),
        patches=(Patch(Partition, "_sweep", "10905744", _nobody),),
    ),
)

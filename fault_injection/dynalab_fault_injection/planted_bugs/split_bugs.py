"""Planted bugs of splits: what children must inherit, and where a parent must fall silent."""

from __future__ import annotations

from collections import deque

from dynalab_fault_injection.planted_bugs.bug import PlantedBug
from dynalab_fault_injection.planted_bugs.patch import Patch
from dynalab_impl import data_duties
from dynalab_impl import messages as m
from dynalab_impl.effects import NOTHING, Address, Effects
from dynalab_impl.messages import GroupSpec
from dynalab_impl.partition import Partition
from dynalab_impl.storage_node import StorageNode

TAIL = 12  # entries at the end of the parent's log whose effect a child that forgets them lacks


_half_before = Partition._half
_divide_before = Partition._divide


def _half_without_tail(self: Partition, spec: GroupSpec) -> Partition:
    half = _half_before(self, spec)
    for key in [key for key, stored in half.items.items() if stored.version > self.applied - TAIL]:
        del half.items[key]
    half._load_local()
    return half


def _half_without_answers(self: Partition, spec: GroupSpec) -> Partition:
    half = _half_before(self, spec)
    half.dedup, half.dedup_order = {}, deque()
    return half


def _divide_and_keep(self: Partition, command: m.Split) -> None:
    kept = dict(self.items)
    _divide_before(self, command)
    self.items.update(kept)


def _read_at_the_parent(node: StorageNode, sender: Address, message: m.GetRequest, effects: Effects) -> None:
    replica = node.replicas.get(message.group)
    state = None if replica is None else replica.state
    if isinstance(state, Partition) and state.split is not None and replica is not None and replica.is_leader:
        effects.send(sender, m.GetReply(message.number, state.get(message.key)), NOTHING)
        return
    data_duties.on_get(node, sender, message, effects)


SPLIT_BUGS = (
    PlantedBug(
        name="split-loses-the-tail",
        rule="the children hold everything that their parent had applied when it was split",
        sentence="the children are made from a state that lacks the last entries of the parent's log",
        checker="linearizability",
        workload="register",
        faults=("split", "slow-node"),
        patches=(Patch(Partition, "_half", "22f1af03", _half_without_tail),),
    ),
    PlantedBug(
        name="parent-serves-past-its-split",
        rule="past its Split a parent serves no strong read",
        sentence="the parent's leader goes on answering reads from what it held when it was split",
        checker="linearizability",
        workload="register",
        faults=("split", "delay"),
        patches=(
            Patch(Partition, "_divide", "e4a7c836", _divide_and_keep),
            Patch(StorageNode, "on_get", "7ae45bbb", _read_at_the_parent),
        ),
    ),
    PlantedBug(
        name="split-forgets-answers",
        rule="children inherit the answers to requests, so that a retry is recognised by whichever it comes to",
        sentence="the children begin with an empty table of answered requests",
        checker="linearizability",
        workload="register",
        faults=("split", "loss", "one-way-cut"),
        patches=(Patch(Partition, "_half", "22f1af03", _half_without_answers),),
    ),
)

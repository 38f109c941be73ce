"""A partition without a leader, for comparison: any two of three replicas answer reads and writes (S129, S143).

This is no slip of the pen but another design, that of the Dynamo paper: whichever replica a router asks takes another
one in, the two go by the newer of their copies, and a write is acknowledged by the second replica that has stored it.
So every read meets every acknowledged write (two and two are more than three). That is not enough. Nobody puts
concurrent requests in an order: two conditional writes may both find what they asked for, and a read may miss what an
earlier read has seen of a write under way. What replicas hold at the end is decided by stamps: the last writer wins.

Nothing here is written to a log: the comparison is about order, not about durability, and its runs crash no node.
"""

from __future__ import annotations

from dataclasses import dataclass

from dynalab_fault_injection.planted_bugs.bug import PlantedBug
from dynalab_fault_injection.planted_bugs.patch import Patch
from dynalab_impl import attempts
from dynalab_impl import messages as m
from dynalab_impl.effects import NOTHING, Address, Effects, Message
from dynalab_impl.jsons import as_json
from dynalab_impl.partition import Partition, StoredItem
from dynalab_impl.pending import Pending
from dynalab_impl.router import Router
from dynalab_impl.snapshot import OutcomeImage
from dynalab_impl.storage_node import StorageNode
from dynalab_model.errors import DynamoError
from dynalab_model.items import apply_write
from dynalab_model.pages import write_response
from dynalab_model.values import Item

_on_message_before = StorageNode.on_message


@dataclass(frozen=True, slots=True)
class Copy:
    """One replica's copy of an item; its stamp is 0 if it has never heard of it."""

    stamp: int
    item: Item | None


@dataclass(slots=True)
class Consult(Message):
    """From the replica that a router asked to another one: a request, and the first one's copy."""

    router: Address
    request: m.GetRequest | m.WriteRequest
    copy: Copy


@dataclass(slots=True)
class Carry(Message):
    """From the replica that carried a write out to the others: whoever stores it too acknowledges it."""

    router: Address
    request: m.WriteRequest
    copy: Copy
    outcome: OutcomeImage


def copy_of(state: Partition, key: bytes) -> Copy:
    stored: StoredItem | None = state.items.get(key)
    if stored is not None:
        return Copy(stored.version, stored.item)
    return Copy(state.tombstones.get(key, (0, 0))[0], None)


def store(state: Partition, key: bytes, copy: Copy) -> None:
    """The last writer wins."""
    if copy.stamp <= copy_of(state, key).stamp:
        return
    if copy.item is None:
        state.items.pop(key, None)
        state.tombstones[key] = (copy.stamp, copy.stamp)
    else:
        state.items[key] = StoredItem(copy.item, copy.stamp, copy.stamp)
        state.tombstones.pop(key, None)


def _any_member(router: Router, pending: Pending, spec: m.GroupSpec, consistent: bool, effects: Effects) -> Address:
    members = [member for member in spec.members if not member.log]
    return members[(effects.random_bits(16) + pending.target) % len(members)].address


def ask_a_second(node: StorageNode, sender: Address, message: m.GetRequest | m.WriteRequest, effects: Effects) -> None:
    """Any replica may be asked, and takes another one in."""
    replica = node.replicas.get(message.group)
    if replica is None or replica.role == "learner" or not replica.has_state:
        effects.send(sender, m.Redirect(message.number, message.group, None, replica is not None), NOTHING)
        return
    assert isinstance(replica.state, Partition)
    others = [member.address for member in replica.members if member.address != node.address]
    second = others[effects.random_bits(16) % len(others)]
    effects.send(second, Consult(sender, message, copy_of(replica.state, message.key)), NOTHING)


def _on_message(self: StorageNode, sender: Address, message: Message, effects: Effects) -> None:
    if isinstance(message, m.WriteRequest) or (isinstance(message, m.GetRequest) and message.consistent):
        ask_a_second(self, sender, message, effects)
    elif type(message) is Consult:
        on_consult(self, message, effects)
    elif type(message) is Carry:
        on_carry(self, message, effects)
    else:
        _on_message_before(self, sender, message, effects)


def on_consult(node: StorageNode, message: Consult, effects: Effects) -> None:
    """The second replica goes by the newer of two copies, and carries a write out on its own."""
    request = message.request
    replica = node.replicas.get(request.group)
    if replica is None or not isinstance(replica.state, Partition) or not replica.has_state:
        return  # the router asks again
    state = replica.state
    newest = max(message.copy, copy_of(state, request.key), key=lambda copy: copy.stamp)
    if isinstance(request, m.GetRequest):
        effects.send(message.router, m.GetReply(request.number, newest.item), NOTHING)
        return
    outcome = state.dedup.get(request.request)
    if outcome is None:
        assert replica.spec.schema is not None
        try:
            effect = apply_write(replica.spec.schema, request.operation, newest.item)
        except DynamoError as refusal:
            body = as_json(refusal.body())
            effects.send(message.router, m.Answer(request.number, refusal.status, body, refusal.code), NOTHING)
            return
        body = as_json(write_response(replica.spec.schema, request.operation, newest.item, effect))
        outcome = OutcomeImage(request.request, request.expiry_ns, 200, "", body)
        newest = Copy(max(request.expiry_ns, newest.stamp + 1), effect.item)
        _keep(state, request, newest, outcome)
    for member in replica.members:
        if member.address != node.address:
            effects.send(member.address, Carry(message.router, request, newest, outcome), NOTHING)


def on_carry(node: StorageNode, message: Carry, effects: Effects) -> None:
    """Two replicas have it now."""
    replica = node.replicas.get(message.request.group)
    if replica is None or not isinstance(replica.state, Partition):
        return
    _keep(replica.state, message.request, message.copy, message.outcome)
    effects.send(message.router, m.Answer(message.request.number, 200, message.outcome.body, ""), NOTHING)


def _keep(state: Partition, request: m.WriteRequest, copy: Copy, outcome: OutcomeImage) -> None:
    store(state, request.key, copy)
    if request.request not in state.dedup:
        state.dedup[request.request] = outcome
        state.dedup_order.append(outcome)


LEADERLESS = PlantedBug(
    name="leaderless",
    rule="one leader orders all writes and strong reads of a partition",
    sentence="there is no leader: any two replicas answer a read or a write, and the last writer wins",
    checker="linearizability",
    workload="register",
    faults=("slow-node", "delay"),
    patches=(
        Patch(attempts, "replica", "362459e5", _any_member),
        Patch(StorageNode, "on_message", "a741ba46", _on_message),
    ),
)

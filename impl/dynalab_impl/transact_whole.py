"""A transaction in one entry of one log, where a rule allows it (`transaction_rules`: one-round-write).

All of its items lie in one partition, so its leader can judge all actions at the same moment, and log what they come
to. There is no marker, no ledger entry and nothing to recover: it is in the log or it is not. A refusal is logged as
well, like that of a single write: a late copy of the request must not succeed after its client was told that it had
not.

This function is a method of `StorageNode`, kept in a room of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynalab_impl import messages as m
from dynalab_impl.effects import JSON, Address, Effects
from dynalab_impl.jsons import as_json
from dynalab_impl.markers import holder, read_stamp
from dynalab_impl.partition import Partition
from dynalab_impl.replication.leading import Leading, Waiter
from dynalab_impl.replication.replica import Replica
from dynalab_impl.transact_apply import stamp_of
from dynalab_impl.transact_duties import asked_leader, charge, judge, latest_stamp_ns, others_of
from dynalab_impl.transact_messages import WriteWhole
from dynalab_model.errors import DynamoError, transaction_conflict
from dynalab_model.events import Event
from dynalab_model.operations import ConditionCheck
from dynalab_model.transactions import reason_of

if TYPE_CHECKING:
    from dynalab_impl.storage_node import StorageNode


def on_write_whole(node: StorageNode, sender: Address, message: WriteWhole, effects: Effects) -> None:
    """Judge all actions and log what they come to."""
    replica = asked_leader(node, sender, message, effects)
    if replica is None:
        return
    partition, lead = replica.state, replica.leading
    assert isinstance(partition, Partition) and lead is not None
    ahead_ns = latest_stamp_ns(node, lead, effects)
    apart = not all(replica.spec.holds(key) for key in message.keys)
    after_ns = max(max(stamp_of(partition, key), read_stamp(partition, lead, key)) for key in message.keys)
    if apart or not after_ns < message.stamp_ns <= ahead_ns:
        # Another partition has some of the keys by now, or the clocks differ: the coordinator goes the long way.
        _refuse(replica, sender, message, {"Vote": "apart"}, effects)
        return
    if node.admission is not None:
        throttled = node.admission.refusal(replica.spec, "Write", True, others_of(node, replica), effects.now_ns)
        if throttled is not None:
            effects.tell(Event("throttled", message.group, detail="Write"))
            reasons_ = [as_json(reason_of(throttled)) for _ in message.keys]
            _refuse(replica, sender, message, {"Vote": "no", "Reasons": reasons_}, effects)
            return
    changes: list[m.ItemChange] = []
    bodies: list[JSON] = []
    reasons: list[JSON] = []
    for key, action in zip(message.keys, message.actions, strict=True):
        try:
            check_untouched(partition, lead, key)
            effect, body = judge(node, replica, partition, lead, key, action, effects)
            changes.append(m.ItemChange(key, effect.item, isinstance(action, ConditionCheck)))
            bodies.append(body)
            reasons.append(as_json(reason_of(None)))
        except DynamoError as error:
            changes.append(m.ItemChange(key, partition.get(key), True))
            reasons.append(as_json(reason_of(error)))
    for change in changes:
        for _ in ("prepare", "commit"):  # the price is the same as that of the long way
            charge(node, replica, partition, change.key, change.item, effects)
    if len(bodies) < len(changes):
        _refuse(replica, sender, message, {"Vote": "no", "Reasons": reasons}, effects)
        return
    command = m.TransactWhole(tuple(changes), message.stamp_ns, {"Vote": "yes", "Bodies": bodies})
    slot = replica.propose(command, message.request, message.expiry_ns, effects)
    for change in changes:
        lead.overwritten.pop(change.key, None)
        # Also what was only checked: until its timestamp is the item's, nothing may be compared with that.
        lead.pending_items[change.key] = (slot, change.item)
    replica.wait(slot, Waiter(sender, message.number))
    effects.tell(Event("transaction-in-one-entry", message.group, lead.ballot[0], slot))


def check_untouched(partition: Partition, lead: Leading, key: bytes) -> None:
    """Refuse what another transaction holds, or a write is under way to; raises TransactionConflictException."""
    if key in lead.pending_items or holder(partition, lead, key) is not None or key in lead.pending_held:
        raise transaction_conflict()


def _refuse(replica: Replica, sender: Address, message: WriteWhole, body: dict[str, JSON], effects: Effects) -> None:
    slot = replica.propose(m.Failed(200, "", body), message.request, message.expiry_ns, effects)
    replica.wait(slot, Waiter(sender, message.number))

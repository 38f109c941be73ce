"""What a storage node does for transactions: it votes, holds items, and carries out what the ledger decided (ATC'23).

Rules:
- *A vote of yes is in the log.* The marker is committed before the vote leaves, so it outlives the leader; the item
  stays as it was judged, since nobody else may write it while it is held. A vote of no is not logged: it is a read of
  committed state, and a late copy of the question can only leave a marker, which recovery clears.
- *Yes if and only if* the action's own rules hold (condition, sizes, item collection), no other transaction holds the
  item, no write to it is under way, and the timestamp is later than the item's, but not far beyond this machine's
  clock. Of what is not there, the timestamp of the partition's latest delete counts.
- *Commit and cancel* do what the marker says, if it is still that transaction's. Whoever asks again gets the same
  answer.
- *Single writes* to an item that is held are refused; single reads are not.

These functions are methods of `StorageNode`, kept in a room of their own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dynalab_impl import messages as m
from dynalab_impl.data_duties import reading
from dynalab_impl.effects import JSON, NOTHING, Address, Effects, Nanoseconds
from dynalab_impl.index_duties import back_pressure
from dynalab_impl.jsons import as_json
from dynalab_impl.markers import (
    check_rivals,
    holder,
    is_as_of,
    is_hidden,
    note_overwrite,
    note_read,
    promised_bytes,
    read_stamp,
    taken_stamp,
)
from dynalab_impl.partition import Partition
from dynalab_impl.replication.leading import UNCOMMITTED_MAX, Leading, Waiter
from dynalab_impl.replication.replica import Replica
from dynalab_impl.splitting import is_splitting, note_heat
from dynalab_impl.transact_apply import joined, marker_of, stamp_of, without
from dynalab_impl.transact_messages import CancelItem, CommitItem, ItemRead, PrepareItem, ReadItem, WriteWhole
from dynalab_model.capacity import item_write_units, read_half_units
from dynalab_model.collections import check_collection, growth_bytes
from dynalab_model.errors import DynamoError, resource_not_found, transaction_conflict
from dynalab_model.events import Event
from dynalab_model.items import WriteEffect, index_units, local_changes
from dynalab_model.operations import ConditionCheck, DeleteItem, PutItem, TransactAction
from dynalab_model.transactions import action_body, is_key_of, judge_action, reason_of
from dynalab_model.values import Item, item_size

if TYPE_CHECKING:
    from dynalab_impl.storage_node import StorageNode


# --- votes ------------------------------------------------------------------------------------------------------------


def on_prepare_item(node: StorageNode, sender: Address, message: PrepareItem, effects: Effects) -> None:
    """Vote on one action of a transaction."""
    replica = asked_leader(node, sender, message, effects)
    if replica is None:
        return
    partition, lead = replica.state, replica.leading
    assert isinstance(partition, Partition) and lead is not None
    pending = lead.pending_held.get(message.key)
    held = marker_of(holder(partition, lead, message.key), message.txn)
    applied = marker_of(partition.held.get(message.key), message.txn)
    if pending is not None and held is not None and applied is None:
        newest = replica.log.entry(pending[0]).command
        if type(newest) is m.TransactPrepare and newest.held.txn == message.txn:
            replica.wait(pending[0], Waiter(sender, message.number))  # somebody else has asked for the same just now
        else:  # another one that holds this key as well has come behind it: its answer is not this one's
            effects.send(sender, m.Redirect(message.number, message.group, None), NOTHING)
        return
    if node.admission is not None:
        error = node.admission.refusal(replica.spec, "Write", True, others_of(node, replica), effects.now_ns)
        if error is not None:
            effects.tell(Event("throttled", message.group, detail="Write"))
            _vote_no(sender, message, error, {}, effects)
            return
    try:
        vote = _judge(node, replica, partition, lead, message, effects)
    except DynamoError as error:
        charge(node, replica, partition, message.key, partition.get(message.key), effects)
        _vote_no(sender, message, error, {}, effects)
        return
    if vote is None:
        # The timestamp alone is wrong: between these two another one would do.
        until_ns = latest_stamp_ns(node, lead, effects)
        taken_ns = taken_stamp(partition, lead, message.key, message.stamp_ns)
        after_ns = max(stamp_of(partition, message.key), read_stamp(partition, lead, message.key), taken_ns)
        stamps: dict[str, JSON] = {"After": after_ns, "Until": until_ns}
        _vote_no(sender, message, transaction_conflict(), stamps, effects)
        return
    charge(node, replica, partition, message.key, vote.held.item, effects)
    if held is not None:
        effects.send(sender, m.Answer(message.number, 200, vote.body), NOTHING)  # asked again: it holds the key
        effects.tell(Event("item-prepared-before", message.group))
        return
    slot = replica.propose(vote, message.request, message.expiry_ns, effects)
    markers = joined(holder(partition, lead, message.key), vote.held)
    lead.pending_held[message.key] = (slot, markers)
    replica.wait(slot, Waiter(sender, message.number))
    effects.tell(Event("item-prepared", message.group, lead.ballot[0], slot, message.ledger))
    if vote.held.hidden:
        effects.tell(Event("item-hidden", message.group, detail=message.ledger))
    if markers.beside:
        effects.tell(Event("item-prepared-beside", message.group, detail=message.ledger))


def _judge(
    node: StorageNode, replica: Replica, partition: Partition, lead: Leading, message: PrepareItem, effects: Effects
) -> m.TransactPrepare | None:
    """The marker for this action; None if its timestamp is too old, or too far ahead. Raises the action's own error, or
    a conflict.
    """
    key, action, rules = message.key, message.action, node.topology.transaction_rules
    held = m.Held(
        message.txn,
        message.ledger,
        message.attempt,
        message.stamp_ns,
        effects.wall_ns,
        None,
        isinstance(action, ConditionCheck),
        isinstance(action, PutItem | DeleteItem) and action.condition is None,
    )
    mine = marker_of(partition.held.get(key), message.txn)
    if mine is None and key in lead.pending_items:
        raise transaction_conflict()
    if mine is not None and marker_of(holder(partition, lead, key), message.txn) is None:
        raise transaction_conflict()  # it has been told what became of it just now: a marker behind that would stay
    check_rivals(holder(partition, lead, key), held, rules)
    effect, body = judge(node, replica, partition, lead, key, action, effects)
    held = replace(held, item=effect.item)
    if mine is None:
        if message.stamp_ns > latest_stamp_ns(node, lead, effects):
            return None
        if message.stamp_ns <= read_stamp(partition, lead, key) or taken_stamp(partition, lead, key, message.stamp_ns):
            return None
        if message.stamp_ns <= stamp_of(partition, key):
            if not is_hidden(partition, lead, key, held, rules):
                return None
            held = replace(held, hidden=True)
    return m.TransactPrepare(key, held, {"Vote": "yes", "Body": body})


def latest_stamp_ns(node: StorageNode, lead: Leading, effects: Effects) -> Nanoseconds:
    """How late a transaction's timestamp may be: else one clock that is far ahead would put all later ones off."""
    return _clock_ns(lead, effects) + node.topology.timing.stamp_ahead_ns


def _clock_ns(lead: Leading, effects: Effects) -> Nanoseconds:
    """This leader's wall clock, held back where it is far ahead of most members', or put forward where it is behind."""
    return lead.wall_ns(effects.wall_ns) + lead.middle_ns(effects.wall_ns) - effects.wall_ns


def judge(
    node: StorageNode,
    replica: Replica,
    partition: Partition,
    lead: Leading,
    key: bytes,
    action: TransactAction,
    effects: Effects,
) -> tuple[WriteEffect, JSON]:
    """What an action does to what is committed, and what its coordinator is told of it. Raises the action's own
    error.
    """
    if not is_key_of(partition.schema, action, key):
        raise resource_not_found()  # the table that this was meant for is gone; this one has its name
    current = partition.get(key)
    effect = judge_action(partition.schema, action, current)
    if len(partition.owed) >= node.topology.index_backlog_max:
        full = back_pressure(node, replica, current, effect.item, effects)
        if full is not None:
            raise full
    collection_bytes = 0
    if partition.local is not None and not isinstance(action, ConditionCheck):
        collection_bytes = partition.local.held_bytes(key, lead.pending_items, partition.get)
        growth = growth_bytes(partition.schema, current, effect.item)
        promised = promised_bytes(partition, lead, key)
        check_collection(collection_bytes + promised, growth, node.topology.collection_bytes_max)
    return effect, as_json(action_body(partition.schema, action, current, effect, collection_bytes))


def _vote_no(
    sender: Address, message: PrepareItem, error: DynamoError, more: dict[str, JSON], effects: Effects
) -> None:
    effects.tell(Event("item-refused", message.group, detail=error.code))
    body: dict[str, JSON] = {"Vote": "no", "Reason": as_json(reason_of(error)), **more}
    effects.send(sender, m.Answer(message.number, 200, body), NOTHING)


# --- what was decided -------------------------------------------------------------------------------------------------


def on_commit_item(node: StorageNode, sender: Address, message: CommitItem, effects: Effects) -> None:
    """The transaction happens: its action on this item is logged, and answered when that is committed."""
    replica = asked_leader(node, sender, message, effects)
    if replica is None:
        return
    partition, lead = replica.state, replica.leading
    assert isinstance(partition, Partition) and lead is not None
    held = _let_go(sender, message, replica, partition, lead, effects)
    if held is None:
        return
    rules, before = node.topology.transaction_rules, lead.pending_items.get(message.key)
    # The second half of the price: the first was paid for the vote.
    charge(node, replica, partition, message.key, held.item, effects)
    slot = replica.propose(m.TransactCommit(message.key, message.txn), message.request, message.expiry_ns, effects)
    lead.pending_held[message.key] = (slot, without(holder(partition, lead, message.key), message.txn))
    if held.check:
        lead.overwritten.pop(message.key, None)  # somebody has seen what the last put left
        if rules:  # until its timestamp is the item's, nothing is compared with that
            lead.pending_items[message.key] = (slot, partition.get(message.key))
    elif not held.hidden:
        lead.pending_items[message.key] = (slot, held.item)
        if held.blind and held.item is not None:
            note_overwrite(partition, lead, message.key, slot, None if before is None else before[0], rules)
    replica.wait(slot, Waiter(sender, message.number))
    effects.tell(Event("item-committed", message.group, lead.ballot[0], slot, held.ledger))


def on_cancel_item(node: StorageNode, sender: Address, message: CancelItem, effects: Effects) -> None:
    """The transaction never happens: the marker goes."""
    replica = asked_leader(node, sender, message, effects)
    if replica is None:
        return
    partition, lead = replica.state, replica.leading
    assert isinstance(partition, Partition) and lead is not None
    held = _let_go(sender, message, replica, partition, lead, effects)
    if held is None:
        return
    slot = replica.propose(m.TransactCancel(message.key, message.txn), message.request, message.expiry_ns, effects)
    lead.pending_held[message.key] = (slot, without(holder(partition, lead, message.key), message.txn))
    replica.wait(slot, Waiter(sender, message.number))
    effects.tell(Event("item-cancelled", message.group, lead.ballot[0], slot, held.ledger))


def _let_go(
    sender: Address,
    message: CommitItem | CancelItem,
    replica: Replica,
    partition: Partition,
    lead: Leading,
    effects: Effects,
) -> m.Held | None:
    """The marker, if this transaction holds the key. Otherwise it did and was told before, or never will: that is
    confirmed, when it is committed.
    """
    held = marker_of(holder(partition, lead, message.key), message.txn)
    if held is not None:
        return held
    if marker_of(partition.held.get(message.key), message.txn) is not None:
        replica.wait(lead.pending_held[message.key][0], Waiter(sender, message.number))
    else:
        effects.send(sender, m.Answer(message.number, 200, {}), NOTHING)
        effects.tell(Event("item-told-before", message.group))
    return None


def asked_leader(
    node: StorageNode, sender: Address, message: PrepareItem | CommitItem | CancelItem | WriteWhole, effects: Effects
) -> Replica | None:
    """The replica that answers: one that leads, to a question that is not a copy of one that was logged."""
    replica = node.serving(sender, message.group, message.number, effects)
    if replica is None or node.answered_before(replica, sender, message.number, message.request, effects):
        return None
    if node.expired(replica, message.expiry_ns, effects):
        return None
    if len(replica.log) - replica.commit_index >= UNCOMMITTED_MAX or is_splitting(replica):
        effects.send(sender, m.Redirect(message.number, message.group, None), NOTHING)
        return None
    return replica


def others_of(node: StorageNode, replica: Replica) -> list[Address]:
    return [member.address for member in replica.members if member.address != node.address]


def charge(
    node: StorageNode, replica: Replica, partition: Partition, key: bytes, after: Item | None, effects: Effects
) -> None:
    """A vote costs as much as the write, and so does the commit."""
    admission, group = node.admission, replica.spec.group
    if admission is None:
        return
    admission.know(replica.spec, effects.now_ns)
    before = partition.get(key)
    units = item_write_units(before, after) + sum(index_units(local_changes(partition.schema, before, after)).values())
    # What was decided is carried out, however empty the buckets are; a leader of today may have none yet.
    admission.limit(replica.spec, "Write", True, [], effects.now_ns)
    admission.pay_write(group, units)
    note_heat(node, group, key, units * admission.parts.write, admission.parts.rate, effects)


# --- reads ------------------------------------------------------------------------------------------------------------


def on_read_item(node: StorageNode, sender: Address, message: ReadItem, effects: Effects) -> None:
    """One item for a read transaction: what is committed, from the leader under its lease."""
    replica = reading(node, sender, message.group, message.number, True, effects)
    if replica is None:
        return
    partition = replica.state
    assert isinstance(partition, Partition)
    stored = partition.items.get(message.key)
    version = partition.deleted_slot if stored is None else stored.version
    item = stored.item if stored is not None else None
    if node.admission is not None:
        half_units = read_half_units(item_size(item) if item else 0, True)
        node.admission.pay_read(message.group, half_units)
        parts = half_units * node.admission.parts.half_read
        note_heat(node, message.group, message.key, parts, node.admission.parts.rate, effects)
    held = message.key in partition.held
    if message.stamp_ns:
        held = not _read_as_of(node, replica, partition, message, effects)
    stamp_ns = stamp_of(partition, message.key)
    reply = ItemRead(message.group, message.number, version, held, item if message.values else None, stamp_ns)
    effects.send(sender, reply, NOTHING)


def _read_as_of(node: StorageNode, replica: Replica, partition: Partition, message: ReadItem, effects: Effects) -> bool:
    """Whether this item may be read in one round. How far such reads go is in the log before the first of them: the
    next leader does not know them one by one, and must refuse whatever would come before any.
    """
    lead = replica.leading
    assert lead is not None
    ahead_ns = node.topology.timing.stamp_ahead_ns
    soon = message.stamp_ns > partition.read_until_ns - ahead_ns // 4  # before it is needed, so that reads go on
    if soon and lead.ceiling_slot <= replica.commit_index and not is_splitting(replica):
        # Neither a clock that is far ahead nor a reader may put off what comes: log time goes behind this.
        wall_ns = _clock_ns(lead, effects)
        until_ns = max(wall_ns + ahead_ns // 2, min(message.stamp_ns, wall_ns + ahead_ns))
        if until_ns > partition.read_until_ns + (0 if until_ns >= message.stamp_ns else ahead_ns // 8):
            if lead.read_floor_ns < 0:
                lead.read_floor_ns = partition.read_until_ns  # what earlier leaders may have served
            lead.ceiling_slot = replica.propose(m.ReadCeiling(until_ns), m.NO_REQUEST, 0, effects)
    if message.stamp_ns > partition.read_until_ns:
        return False
    if not is_as_of(partition, lead, message.key, message.stamp_ns):
        return False
    if lead.read_floor_ns >= 0:
        note_read(lead, message.key, message.stamp_ns)
    return True  # as of a timestamp that an earlier leader has logged: it is below the floor already

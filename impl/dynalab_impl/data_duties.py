"""How a storage node answers reads and writes: where a replica may serve, and where to go if it may not.

Where the topology sets limits, `admission` is asked before anything is logged or read, and told the cost after it.
These functions are methods of `StorageNode`, kept in a room of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dynalab_impl import admission_duties, endings, index_duties
from dynalab_impl import messages as m
from dynalab_impl.effects import NOTHING, Address, Effects
from dynalab_impl.jsons import as_json
from dynalab_impl.ledger import LEDGER, dated
from dynalab_impl.markers import check_free, is_blind, note_overwrite, promised_bytes
from dynalab_impl.partition import Partition
from dynalab_impl.replication.leadership import next_time_ns
from dynalab_impl.replication.leading import UNCOMMITTED_MAX, Waiter
from dynalab_impl.replication.replica import Replica
from dynalab_impl.splitting import moved, note_heat
from dynalab_model.capacity import READ_UNIT_BYTES, fetched_units, item_write_units, read_half_units
from dynalab_model.collections import check_collection, growth_bytes
from dynalab_model.errors import DynamoError
from dynalab_model.events import Event
from dynalab_model.items import apply_write, check_index_keys, index_units, local_changes
from dynalab_model.pages import write_response
from dynalab_model.values import item_size

if TYPE_CHECKING:
    from dynalab_impl.storage_node import StorageNode


def serving(
    node: StorageNode, sender: Address, group: str, number: int, effects: Effects, *, deleted_too: bool = False
) -> Replica | None:
    """The replica if it may serve as leader; else the sender is told where to go. Of a table that was deleted only
    streams are served (`deleted_too`).
    """
    replica = node.replicas.get(group)
    if replica is not None and was_moved(replica, sender, number, effects):
        return None
    if replica is not None and not deleted_too and is_gone(replica):
        replica = None
    if replica is not None and replica.may_serve(effects.now_ns):
        return replica
    if replica is not None:
        replica.check_lease(effects)
        leader = replica.leader if replica.leader != node.address else None
        effects.send(sender, m.Redirect(number, group, leader), NOTHING)
    else:
        effects.send(sender, m.Redirect(number, group, None, hosted=False), NOTHING)
    effects.tell(Event("redirected", group))
    return None


def is_gone(replica: Replica) -> bool:
    """Whether the table of this partition was deleted; for its leader already when it has logged that: what it would
    log behind it would be acknowledged, and come to nothing.
    """
    state, lead = replica.state, replica.leading
    if lead is not None and lead.ending:
        return True
    return type(state) is Partition and state.form is not None and state.form.gone


def was_moved(replica: Replica, sender: Address, number: int, effects: Effects) -> bool:
    """Past its Split a partition serves nothing: the sender is told of the children."""
    split = moved(replica)
    if split is None:
        return False
    effects.send(sender, m.Moved(number, replica.spec.group, split.left, split.right), NOTHING)
    effects.tell(Event("moved", replica.spec.group))
    return True


def answered_before(
    node: StorageNode, replica: Replica, sender: Address, number: int, request: m.RequestId, effects: Effects
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


def expired(node: StorageNode, replica: Replica, expiry_ns: int, effects: Effects) -> bool:
    """Past its expiry a request must not be logged: the answer to an earlier copy may be forgotten."""
    assert replica.leading is not None, "only a leader logs"
    if expiry_ns >= max(replica.leading.wall_ns(effects.wall_ns), replica.last_time_ns()):
        return False
    effects.tell(Event("expired-refused", replica.spec.group))
    return True


def on_write(node: StorageNode, sender: Address, message: m.WriteRequest, effects: Effects) -> None:
    admission = node.admission
    if admission is not None and admission_duties.is_late(node, sender, admission, message, effects):
        return
    hosted = node.replicas.get(message.group)
    gone = hosted is None or is_gone(hosted)
    if gone and endings.told(node, sender, message, effects):
        return
    replica = node.serving(sender, message.group, message.number, effects, deleted_too=not gone)
    if replica is None:
        if admission is not None:
            admission_duties.turn_away(admission, message)
        return
    if node.answered_before(replica, sender, message.number, message.request, effects):
        return
    if node.expired(replica, message.expiry_ns, effects):
        return
    partition, lead = replica.state, replica.leading
    assert isinstance(partition, Partition) and lead is not None
    if replica.log.last - replica.commit_index >= UNCOMMITTED_MAX or lead.splitting:
        if admission is not None:
            admission_duties.turn_away(admission, message)
        effects.send(sender, m.Redirect(message.number, message.group, None), NOTHING)
        return
    if admission is not None and admission_duties.write_refused(node, sender, replica, message, effects):
        return
    schema = partition.schema
    key, operation = message.key, message.operation
    if replica.spec.table == LEDGER:
        operation = dated(operation, next_time_ns(replica, effects))
    pending = lead.pending_items.get(key)
    # Writes are pipelined, so the condition looks at what is appended, not only at what is applied.
    current = partition.get(key) if pending is None else pending[1]
    command: m.Write | m.Failed
    units = 0
    try:
        if lead.pending_held or partition.held:
            check_free(partition, lead, key, node.topology.transaction_rules)
            if key in partition.held:
                effects.tell(Event("write-before-prepared", message.group))
        check_index_keys(schema, operation)  # the router may not know of all indexes yet
        effect = apply_write(schema, operation, current)
        if len(partition.owed) >= node.topology.index_backlog_max:
            full = index_duties.back_pressure(node, replica, current, effect.item, effects)
            if full is not None and admission is not None:
                admission_duties.turn_away(admission, message)
                effects.send(sender, m.Answer(message.number, full.status, as_json(full.body()), full.code), NOTHING)
                return
            if full is not None:
                raise full  # nobody remembers what was turned away: the log must
        held_bytes = 0
        if partition.local is not None:
            growth = growth_bytes(schema, current, effect.item)
            held_bytes = partition.local.held_bytes(key, lead.pending_items, partition.get)
            promised = promised_bytes(partition, lead, key)
            check_collection(held_bytes + promised, growth, node.topology.collection_bytes_max)
            units = sum(index_units(local_changes(schema, current, effect.item)).values())
        body: Any = write_response(schema, operation, current, effect, held_bytes)
        command = m.Write(key, effect.item, body)
    except DynamoError as refusal:
        command = m.Failed(refusal.status, refusal.code, as_json(refusal.body()))
        conflicts = refusal.code == "TransactionConflictException"
        effects.tell(Event("write-conflicted" if conflicts else "condition-failed", message.group))
        if pending is not None:
            effects.tell(Event("waited-for-pending", message.group))
    if admission is not None:
        after = command.item if type(command) is m.Write else getattr(operation, "item", None)
        units += item_write_units(current, after)  # local indexes use their table's capacity
        admission.pay_write(message.group, units)
        note_heat(node, message.group, key, units * admission.parts.write, admission.parts.rate, effects)
    slot = replica.propose(command, message.request, message.expiry_ns, effects)
    if type(command) is m.Write:
        lead.pending_items[key] = (slot, command.item)
        if node.topology.transaction_rules and is_blind(operation):
            before = None if pending is None else pending[0]
            note_overwrite(partition, lead, key, slot, before, node.topology.transaction_rules)
    replica.wait(slot, Waiter(sender, message.number))


def on_get(node: StorageNode, sender: Address, message: m.GetRequest, effects: Effects) -> None:
    replica = reading(node, sender, message.group, message.number, message.consistent, effects)
    if replica is not None:
        partition = replica.state
        assert isinstance(partition, Partition)
        item = partition.get(message.key)
        if node.admission is not None:
            _charge(node, replica, message.key, item_size(item) if item else 0, message.consistent, effects)
        effects.send(sender, m.GetReply(message.number, item), NOTHING)


def on_range(node: StorageNode, sender: Address, message: m.RangeRequest, effects: Effects) -> None:
    replica = reading(node, sender, message.group, message.number, message.consistent, effects)
    if replica is not None:
        partition = replica.state
        assert isinstance(partition, Partition)
        keys, items, more = partition.rows(
            message.low,
            message.high,
            message.start_after,
            message.forward,
            message.rows_max,
            message.bytes_max,
            message.index,
            message.fetch,
        )
        if node.admission is not None:
            evaluated_bytes = sum(item_size(item) for item in items)
            if message.fetch and partition.local is not None:
                # Each fetched item is rounded up by itself, and the entries are read as well.
                evaluated_bytes = sum(fetched_units(item_size(item)) for item in items) * READ_UNIT_BYTES
                evaluated_bytes += sum(item_size(partition.local.entry(message.index, item)) for item in items)
            first = keys[0] if keys else message.low
            _charge(node, replica, first, evaluated_bytes, message.consistent, effects)
        reply = m.RangeReply(message.number, message.group, tuple(keys), tuple(items), more)
        effects.send(sender, reply, NOTHING)


def _charge(
    node: StorageNode, replica: Replica, key: bytes, size_bytes: int, consistent: bool, effects: Effects
) -> None:
    """The cost of a read is known: its partition pays, and its leader notes where the partition is warm."""
    admission, group = node.admission, replica.spec.group
    assert admission is not None
    half_units = read_half_units(size_bytes, consistent)
    admission.pay_read(group, half_units)
    if replica.is_leader:
        note_heat(node, group, key, half_units * admission.parts.half_read, admission.parts.rate, effects)


def reading(
    node: StorageNode, sender: Address, group: str, number: int, consistent: bool, effects: Effects
) -> Replica | None:
    """A strong read asks the leader under its lease; an eventual one any replica that is no learner."""
    if consistent:
        replica = node.serving(sender, group, number, effects)
        if replica is None or admission_duties.refused(node, sender, replica, number, effects):
            return None
        effects.tell(Event("read-strong", group))
        return replica
    replica = node.replicas.get(group)
    if replica is not None and is_gone(replica):
        replica = None
    if replica is None or replica.role == "learner" or not replica.has_state:
        effects.send(sender, m.Redirect(number, group, None, replica is not None), NOTHING)
        return None
    if was_moved(replica, sender, number, effects):
        return None
    if admission_duties.refused(node, sender, replica, number, effects, leads=replica.is_leader):
        return None
    effects.tell(Event("read-eventual", group))
    return replica

"""What a storage node does for global indexes: its propagators' messages, and the index partitions that it leads.

These functions are methods of `StorageNode`, kept in a room of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynalab_impl import admission_duties, splitting
from dynalab_impl import messages as m
from dynalab_impl.admission import PARTITION, WRITE, throttled
from dynalab_impl.effects import NOTHING, Address, Effects, Nanoseconds
from dynalab_impl.partition import Partition
from dynalab_impl.replication.leading import Waiter
from dynalab_impl.replication.replica import Replica
from dynalab_impl.routes import STRAYS_MAX
from dynalab_model.capacity import write_units
from dynalab_model.errors import DynamoError
from dynalab_model.events import Event
from dynalab_model.items import index_changes
from dynalab_model.values import Item, item_size

if TYPE_CHECKING:
    from dynalab_impl.storage_node import StorageNode


def on_index_request(node: StorageNode, sender: Address, message: m.IndexRequest, effects: Effects) -> None:
    replica = node.serving(sender, message.group, message.number, effects)
    if replica is None or splitting.is_splitting(replica) or node.expired(replica, message.expiry_ns, effects):
        return
    partition = replica.state
    assert isinstance(partition, Partition)
    if not partition.is_newer(message.write) and not partition.renews(message.write):
        effects.tell(Event("index-ignored", message.group))
        effects.send(sender, m.IndexReply(message.source, message.number), NOTHING)
        return
    admission = node.admission
    if admission is not None and not message.free:
        limit = admission_duties.index_limit(node, replica, effects)
        if limit:
            effects.send(sender, m.IndexReply(message.source, message.number, limit), NOTHING)
            return
        admission.pay_write(message.group, _units(partition, message.write))
    slot = replica.propose(message.write, message.request, message.expiry_ns, effects)
    replica.wait(slot, Waiter(sender, message.number, message.source))
    effects.tell(Event("index-applied", message.group, 0, slot))


def back_pressure(
    node: StorageNode, replica: Replica, before: Item | None, after: Item | None, effects: Effects
) -> DynamoError | None:
    """Why a write that takes an item from `before` to `after` is refused while much is owed to the indexes; None if it
    owes them nothing more, or has room (S63, S94: the backlog is bounded, and a slow index slows its table).
    """
    partition, propagator = replica.state, node.propagators.get(replica.spec.group)
    assert isinstance(partition, Partition)
    if propagator is None or propagator.backlog(partition) < node.topology.index_backlog_max:
        return None  # most of it has arrived, and the log does not say so yet
    changes = index_changes(partition.schema, before, after)
    if not changes:
        return None
    slow = next((change.index for change in changes if propagator.limit(change.index)), changes[0].index)
    limit, admission, table = propagator.limit(slow) or PARTITION, node.admission, replica.spec.table
    effects.tell(Event("index-back-pressure", replica.spec.group, detail=slow))
    return throttled(table, slow, WRITE, limit, admission is not None and admission.is_provisioned(table, slow))


def queues(node: StorageNode, wall_ns: Nanoseconds) -> dict[tuple[str, str], tuple[int, Nanoseconds]]:
    """How far the indexes of the partitions that this node leads are behind: (table, index) → changes that have not
    been acknowledged, and how long ago the oldest of them was logged (S93, S94).
    """
    found: dict[tuple[str, str], tuple[int, Nanoseconds]] = {}
    for group, propagator in node.propagators.items():
        replica = node.replicas.get(group)
        if replica is None or not replica.is_leader or not isinstance(replica.state, Partition):
            continue
        for index in replica.state.schema.indexes if replica.state.form is not None else ():
            found.setdefault((replica.spec.table, index.name), (0, 0))
        for change in propagator.outstanding(replica.state):
            count, lag_ns = found.get((replica.spec.table, change.index), (0, 0))
            found[replica.spec.table, change.index] = count + 1, max(lag_ns, wall_ns - change.time_ns)
    return found


def _units(partition: Partition, write: m.IndexWrite) -> int:
    """What a change of an entry costs (api.md §5): the larger of what was there and what comes."""
    old = partition.get(write.key)
    return write_units(item_size(old) if old else 0, item_size(write.item) if write.item else 0)


def _map_of(node: StorageNode, replica: Replica) -> m.TableMap | None:
    """The map of this replica's table. One of an earlier table of that name does not count: its index is gone."""
    table, state = node.maps.get(replica.spec.table), replica.state
    known = table is not None and any(spec.group == replica.spec.group for spec in table.groups)
    if not known or table is None or not isinstance(state, Partition) or state.form is None:
        return None
    return table if table.version >= state.form.version else None  # an older one does not know its new indexes


def forget_maps(node: StorageNode) -> None:
    """A replica has gone: forget where the indexes of tables lie that this node has nothing of any more."""
    tables = dict.fromkeys(replica.spec.table for replica in node.replicas.values())
    node.maps = {table: known for table, known in node.maps.items() if table in tables}
    groups = dict.fromkeys(spec.group for table in node.maps.values() for spec in table.groups)
    if len(node.leaders) > len(groups) + STRAYS_MAX:  # a map that is just being asked for has leaders as well
        node.leaders = {group: leader for group, leader in node.leaders.items() if group in groups}


def propagate(node: StorageNode, replica: Replica, effects: Effects, retry: bool) -> None:
    state = replica.state
    if replica.spec.index or not isinstance(state, Partition) or not (state.owed or state.backfills):
        return
    if not replica.may_serve(effects.now_ns) or replica.leading is None or replica.leading.splitting:
        return
    propagator = node.propagators.get(replica.spec.group)
    table = _map_of(node, replica)
    if propagator is None:
        return
    if table is None:
        if retry or not propagator.asked:
            propagator.asked = True
            node.tell_catalog(m.Lookup(replica.spec.table), effects)
        return
    if retry:
        propagator.retry(replica, table, node.leaders, effects)
    propagator.pump(replica, table, node.leaders, effects)
    if state.backfills:
        propagator.fill(replica, effects)


def on_index_reply(node: StorageNode, sender: Address, message: m.IndexReply, effects: Effects) -> None:
    replica, propagator = node.replicas.get(message.source), node.propagators.get(message.source)
    if replica is not None and propagator is not None and replica.leading is not None:
        propagator.on_reply(message.number, message.limit, replica, effects)
        propagate(node, replica, effects, retry=False)


def on_redirect(node: StorageNode, sender: Address, message: m.Redirect, effects: Effects) -> None:
    """An index group's leader is elsewhere: find out which flight it was by its number. Answers of catalog members that
    do not lead have none.
    """
    for group, propagator in node.propagators.items():
        replica = node.replicas.get(group)
        table = None if replica is None else _map_of(node, replica)
        if replica is None or table is None:
            continue
        if not message.hosted and propagator.asked_of(message, table):
            del node.maps[replica.spec.table]  # it is older than a split: the next retry asks the catalog
        elif replica.may_serve(effects.now_ns):
            propagator.redirect(message, replica, table, node.leaders, effects)

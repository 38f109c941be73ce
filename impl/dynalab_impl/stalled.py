"""Transactions whose coordinator is gone: who notices, and who takes them over (ATC'23: recovery managers).

Two kinds of leaders notice. The leader of an item that has been held for too long names the transaction that holds it.
The leader of a part of the ledger goes round its entries, a few at a time, and names those that were begun long ago and
are not finished. Either tells one router after the other, so it does not matter which of them are alive.

A router that is told reads the ledger entry and goes on from there like any coordinator. It need not know whether the
first one is really gone: both go by the same entry.

`take_over` works on a `Router`, the others on a `StorageNode`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynalab_impl import coordinator
from dynalab_impl.effects import NOTHING, Effects
from dynalab_impl.ledger import LEDGER, is_stalled, look
from dynalab_impl.partition import Partition
from dynalab_impl.pending import Pending
from dynalab_impl.replication.replica import Replica
from dynalab_impl.transact_apply import holders
from dynalab_impl.transact_messages import Stalled
from dynalab_impl.transaction import Transaction
from dynalab_model.events import Event

if TYPE_CHECKING:
    from dynalab_impl.router import Router
    from dynalab_impl.storage_node import StorageNode

TOLD_MAX = 16  # transactions that a partition's leader names in one tick
ROWS_MAX = 64  # entries that a leader of the ledger looks at in one tick
RECOVERIES_MAX = 64  # that a router has in its hands; it is told of the others again


def take_over(router: Router, message: Stalled, effects: Effects) -> None:
    """Finish a transaction that nobody may be working on, unless this router is."""
    mine = [work for work in router.batches.values() if isinstance(work, Transaction)]
    if any(work.ledger == message.ledger for work in mine) or sum(work.recovery for work in mine) >= RECOVERIES_MAX:
        return
    number, until_ns = router.next_request(), effects.now_ns + router.topology.timing.request_ns
    asked = Pending(number, 0, look(message.ledger), until_ns, 0, effects.now_ns, LEDGER)
    work = Transaction(asked, None, message.ledger, message.txn, 0, 0, (), until_ns, False)
    work.recovery = True
    if message.table:
        work.marker = (message.table, message.key)
    router.batches[number] = work
    effects.tell(Event("transaction-taken-over", detail=message.ledger))
    coordinator.look(router, work, effects)


def tick(node: StorageNode, effects: Effects) -> None:
    """Once a tick: name what has been held, or unfinished, for too long."""
    for replica in node.led.values():
        state = replica.state
        if isinstance(state, Partition) and replica.may_serve(effects.now_ns):
            if state.held:
                _name_held(node, replica, state, effects)
            if replica.spec.table == LEDGER:
                _name_unfinished(node, replica, state, effects)


def _name_held(node: StorageNode, replica: Replica, state: Partition, effects: Effects) -> None:
    told = 0
    for key, newest in state.held.items():
        for held in holders(newest):
            # Since later than now: by a leader's clock that was ahead, and nobody knows when.
            for_long = abs(effects.wall_ns - held.since_ns) > node.topology.timing.stalled_ns
            if for_long and told < TOLD_MAX:
                told += 1
                _tell(node, replica, Stalled(held.ledger, held.txn, replica.spec.table, key), effects)


def _name_unfinished(node: StorageNode, replica: Replica, state: Partition, effects: Effects) -> None:
    lead = replica.leading
    assert lead is not None
    rows = 0
    last = b""
    for key in state.items.irange(lead.ledger_seen or None, None, inclusive=(False, True)):
        if rows == ROWS_MAX:
            break
        rows, last = rows + 1, key
        item = state.items[key].item
        txn = is_stalled(item, effects.wall_ns, 2 * node.topology.timing.stalled_ns)
        if txn:
            _tell(node, replica, Stalled(item["k"]["S"], txn, "", b""), effects)
    else:
        last = b""  # round again
    lead.ledger_seen = last


def _tell(node: StorageNode, replica: Replica, message: Stalled, effects: Effects) -> None:
    routers = node.topology.routers
    node.stalled_told += 1
    effects.tell(Event("transaction-stalled", replica.spec.group, detail=message.ledger))
    effects.send(routers[node.stalled_told % len(routers)], message, NOTHING)

"""What entries of transactions do to a partition's state, when a replica applies them.

Rules: functions of (state, entry), like all that is applied. A marker is set, and goes with a commit or a cancel of its
transaction; whatever comes for a transaction that does not hold the key does nothing. Usually one transaction holds a
key; where the rules allow more (`transaction_rules`: many-prepared), the newest marker has the others `beside` it, and
all of them are blind: what is there does not matter to them, only their order does, and that is the timestamps'.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dynalab_impl.effects import Nanoseconds
from dynalab_impl.entries import (
    Entry,
    Held,
    ItemChange,
    ReadCeiling,
    TransactCancel,
    TransactCommit,
    TransactPrepare,
    TransactWhole,
)

if TYPE_CHECKING:
    from dynalab_impl.partition import Partition


def holders(held: Held | None) -> tuple[Held, ...]:
    """All markers on a key, of which the newest is given.

    >>> one, other = (Held(txn, f"id/{txn}", 1, 5, 0, None) for txn in "ab")
    >>> [held.txn for held in holders(joined(one, other))], holders(None)
    (['b', 'a'], ())
    """
    return () if held is None else (replace(held, beside=()), *held.beside) if held.beside else (held,)


def joined(held: Held | None, fresh: Held) -> Held:
    """The markers of a key with one more. An earlier attempt of the same ledger entry gives way to it."""
    others = tuple(one for one in holders(held) if one.ledger != fresh.ledger)
    return replace(fresh, beside=others) if others else fresh


def marker_of(held: Held | None, txn: str) -> Held | None:
    """The marker of this transaction among them, if it has one."""
    return next((one for one in holders(held) if one.txn == txn), None)


def without(held: Held | None, txn: str) -> Held | None:
    """The markers of a key without this transaction's."""
    rest = tuple(one for one in holders(held) if one.txn != txn)
    if not rest:
        return None
    return replace(rest[0], beside=rest[1:])


def stamp_of(partition: Partition, key: bytes) -> Nanoseconds:
    """The timestamp of the last write to this key, as far as it is known: a transaction must be younger."""
    stored = partition.items.get(key)
    return partition.deleted_ns if stored is None else stored.stamp_ns


def _prepare(partition: Partition, entry: Entry, command: TransactPrepare) -> None:
    if partition.form is not None and partition.form.gone:
        return  # nobody is told of what becomes of it: its table is deleted
    partition.held[command.key] = joined(partition.held.get(command.key), command.held)


def _commit(partition: Partition, entry: Entry, command: TransactCommit) -> None:
    """A transaction's action on one key happens."""
    key = command.key
    held = marker_of(partition.held.get(key), command.txn)
    if held is None:
        return
    _set(partition, key, without(partition.held[key], held.txn))
    if not held.hidden:
        _do(partition, entry, ItemChange(key, held.item, held.check), held.stamp_ns)
        _hide(partition, key, held.stamp_ns)


def _cancel(partition: Partition, entry: Entry, command: TransactCancel) -> None:
    if command.key in partition.held:
        _set(partition, command.key, without(partition.held[command.key], command.txn))


def _whole(partition: Partition, entry: Entry, command: TransactWhole) -> None:
    """A transaction that has all its items here, in one step (`transaction_rules`: one-round-write)."""
    for change in command.changes:
        _do(partition, entry, change, command.stamp_ns)


def _set(partition: Partition, key: bytes, held: Held | None) -> None:
    if held is None:
        del partition.held[key]
    else:
        partition.held[key] = held


def _do(partition: Partition, entry: Entry, change: ItemChange, stamp_ns: Nanoseconds) -> None:
    """A condition that was checked counts as a write of the same: no transaction that is older may change the item any
    more.
    """
    stored = partition.items.get(change.key)
    if not change.check:
        partition._change(entry, change.key, change.item, stamp_ns)
    elif stored is not None:
        partition.items[change.key] = replace(stored, stamp_ns=max(stored.stamp_ns, stamp_ns))
    if change.item is None:
        # Nothing is there that could remember the timestamp, also if nothing was there before.
        partition.deleted_ns = max(partition.deleted_ns, stamp_ns)


def _hide(partition: Partition, key: bytes, stamp_ns: Nanoseconds) -> None:
    """What older transactions have prepared for this key is hidden by what has just been put there."""
    held = partition.held.get(key)
    if held is not None:
        older = [replace(one, hidden=one.hidden or one.stamp_ns < stamp_ns) for one in holders(held)]
        partition.held[key] = replace(older[0], beside=tuple(older[1:]))


def _ceiling(partition: Partition, entry: Entry, command: ReadCeiling) -> None:
    partition.read_until_ns = max(partition.read_until_ns, command.until_ns)


# Kind of entry → what it does. (`Any`: each takes its own kind.)
APPLY: dict[type, Callable[[Partition, Entry, Any], None]] = {
    TransactPrepare: _prepare,
    TransactCommit: _commit,
    TransactCancel: _cancel,
    TransactWhole: _whole,
    ReadCeiling: _ceiling,
}

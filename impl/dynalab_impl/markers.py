"""Who holds an item, as its leader sees it: the markers that are applied, and those that are appended only.

Leaders ask here whether something may pass them; what the markers do when they are applied stands in `transact_apply`.
"""

from __future__ import annotations

from collections.abc import Collection

from dynalab_impl.effects import Nanoseconds
from dynalab_impl.entries import Held
from dynalab_impl.partition import Partition
from dynalab_impl.replication.leading import Leading
from dynalab_impl.transact_apply import holders, stamp_of
from dynalab_impl.transaction_rules import MANY_PREPARED, OLD_WRITE_IGNORED, WRITE_BEFORE_PREPARED
from dynalab_model.collections import growth_bytes
from dynalab_model.errors import transaction_conflict
from dynalab_model.keys import collection_of
from dynalab_model.operations import PutItem, WriteOperation


def holder(partition: Partition, lead: Leading, key: bytes) -> Held | None:
    """Who holds this key once everything appended is applied."""
    pending = lead.pending_held.get(key)
    return partition.held.get(key) if pending is None else pending[1]


def check_free(partition: Partition, lead: Leading, key: bytes, rules: Collection[str]) -> None:
    """Refuse a single write where a transaction is under way; raises TransactionConflictException.

    One that is hidden changes nothing any more. One that is blind overwrites whatever is there, so with the rule for
    it a single write may be ordered just before it.
    """
    if key not in lead.pending_held and key not in partition.held:
        return
    read_ns = read_stamp(partition, lead, key)
    passable = key not in lead.pending_held and all(
        held.hidden or (held.blind and WRITE_BEFORE_PREPARED in rules and read_ns < held.stamp_ns - 1)
        for held in holders(partition.held[key])
    )
    if not passable:
        raise transaction_conflict()


MANY_MAX = 100  # transactions that hold one key together


def check_rivals(held: Held | None, fresh: Held, rules: Collection[str]) -> None:
    """Refuse to prepare where another transaction is prepared; raises TransactionConflictException.

    An earlier attempt of the same ledger entry is no other: whoever sends a later one has read there that the earlier
    never commits. With the rule for it several blind ones hold a key together.
    """
    others = holders(held)
    for other in others:
        same = other.txn == fresh.txn or (other.ledger == fresh.ledger and other.attempt < fresh.attempt)
        if not same and not (fresh.blind and other.blind and MANY_PREPARED in rules and len(others) < MANY_MAX):
            raise transaction_conflict()


def taken_stamp(partition: Partition, lead: Leading, key: bytes, stamp_ns: Nanoseconds) -> Nanoseconds:
    """The latest timestamp of those that hold this key, if one of them has this very timestamp; else 0. Where several
    are prepared together their timestamps are their order, so no two may have the same.
    """
    taken = [held.stamp_ns for held in holders(holder(partition, lead, key))]
    return max(taken) if stamp_ns in taken else 0


def is_blind(operation: WriteOperation) -> bool:
    """Whether a single write replaces the whole item and looks at nothing: what it would have overwritten, it hides."""
    bare = operation.condition is None and operation.legacy is None and operation.return_values == "NONE"
    return isinstance(operation, PutItem) and bare


def promised_bytes(partition: Partition, lead: Leading, key: bytes) -> int:
    """By how much the collection of this item grows at most if every transaction commits that holds another item of it.
    Of a table with local indexes: 0 where nothing is held.
    """
    if not partition.held and not lead.pending_held:
        return 0
    collection = collection_of(key)
    promised = 0
    for other in dict.fromkeys([*partition.held, *lead.pending_held]):
        if other != key and other.startswith(collection):
            before, held = partition.get(other), holders(holder(partition, lead, other))
            promised += max([0, *(growth_bytes(partition.schema, before, one.item) for one in held if not one.hidden)])
    return promised


OVERWRITES_MAX = 10_000


def note_overwrite(
    partition: Partition, lead: Leading, key: bytes, slot: int, before: int | None, rules: Collection[str]
) -> None:
    """The entry in this slot replaces the whole item; the entry in the slot `before` has written that, if it is not
    applied yet. Remembered of the last writes alone, where the rule is on; with the timestamp of the last write that
    looked at the item or left what could be looked at: whatever is older would have been seen.
    """
    if OLD_WRITE_IGNORED not in rules:
        return
    known, stored = lead.overwritten.pop(key, None), partition.items.get(key)
    version = before if before is not None or stored is None else stored.version
    if known is not None and known[0] == version:
        seen_ns = known[1]
    elif before is None:
        seen_ns = stamp_of(partition, key)
    else:
        return  # the timestamp of what is replaced is not known before that is applied
    lead.overwritten[key] = (slot, seen_ns)
    if len(lead.overwritten) > OVERWRITES_MAX:
        del lead.overwritten[next(iter(lead.overwritten))]


def is_hidden(partition: Partition, lead: Leading, key: bytes, fresh: Held, rules: Collection[str]) -> bool:
    """Whether a transaction that is older than the item may happen all the same, since the item's last write replaced
    all of it, and no transaction that is younger has looked at the item before that write or behind it.
    """
    stored = partition.items.get(key)
    if OLD_WRITE_IGNORED not in rules or not fresh.blind or stored is None:
        return False
    slot, seen_ns = lead.overwritten.get(key, (0, 0))
    return slot == stored.version and fresh.stamp_ns > seen_ns


# --- reads in one round -----------------------------------------------------------------------------------------------

READS_MAX = 10_000  # keys whose read timestamps a leader remembers; of the others it knows the latest


def read_stamp(partition: Partition, lead: Leading, key: bytes) -> Nanoseconds:
    """The latest timestamp as of which this key may have been read in one round: no write may come before it."""
    floor_ns = lead.read_floor_ns if lead.read_floor_ns >= 0 else partition.read_until_ns
    return max(floor_ns, lead.read_ns.get(key, 0))


def note_read(lead: Leading, key: bytes, stamp_ns: Nanoseconds) -> None:
    """This key was read as of that timestamp."""
    lead.read_ns[key] = max(stamp_ns, lead.read_ns.pop(key, 0))
    lead.read_top_ns = max(lead.read_top_ns, stamp_ns + 1)
    if len(lead.read_ns) > READS_MAX:
        lead.read_floor_ns = max(lead.read_floor_ns, lead.read_ns.pop(next(iter(lead.read_ns))))


def is_as_of(partition: Partition, lead: Leading, key: bytes, stamp_ns: Nanoseconds) -> bool:
    """Whether what is committed is what this key holds as of a timestamp: nothing younger was written, and nothing
    older is under way.
    """
    if key in lead.pending_items or stamp_of(partition, key) >= stamp_ns:
        return False
    return all(held.hidden or held.stamp_ns > stamp_ns for held in holders(holder(partition, lead, key)))

"""How a new global index gets what was in its table before it (architecture.md §12), in each of the table's partitions.

Rules:
- *The form first.* From the slot of the Reform that names the index on, every write owes it its change. Only what lies
  in the partition at that slot is left to fill in.
- *The log knows how far.* A `Backfill` entry owes the entries of the next items, in the order of their keys; how far
  they have come is part of the state, and goes through snapshots and splits with it. A leader asks for the next piece
  when little waits for that index: writes and what was there before share its lane. Two leaders that ask for the same
  piece ask for it once: it begins at a key.
- *Versions decide.* An entry is owed with the version of the item that it is made of, the slot that wrote it. A write
  behind it has a greater one, so it wins in whatever order they come; a piece never brings back what was deleted.
- *What does not fit* (another type, empty, too long for a key) is left out.

An index that goes is owed nothing any more. These functions work on a `Partition`, kept in a room of their own.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from dynalab_impl.messages import Backfill, Entry, Form
from dynalab_impl.snapshot import BackfillImage
from dynalab_model.items import index_changes

if TYPE_CHECKING:
    from dynalab_impl.partition import Partition

ROWS_MAX = 64  # of one piece
WAITING_MAX = 32  # a leader asks for the next piece when so little waits to be sent to the index


def follow(partition: Partition, form: Form) -> None:
    """The table looks like this from here on: begin to fill new indexes, forget what is owed to those that went."""
    before = partition.form
    assert before is not None, "indexes' partitions are not told"
    partition.form = form
    kept = {index.name: index for index in form.schema.indexes}
    partition.backfills = {
        name: partition.backfills.get(name, BackfillImage(name)) for name, index in kept.items() if index.building
    }
    if any(index.name not in kept for index in before.schema.indexes):
        owed = [change for change in partition.owed if change.index in kept]
        partition.owed.clear()
        for change in owed:  # with numbers of their own: they have no gaps, and what was sent before counts for nothing
            partition.owe(change)


def owe_rows(partition: Partition, entry: Entry, command: Backfill) -> None:
    """Owe the next piece to an index, unless that has happened, or there is no such index any more."""
    known = partition.backfills.get(command.index)
    if known is None or known.done or known.after != command.after or partition.form is None:
        return
    schema = partition.form.schema
    only = replace(schema, indexes=tuple(index for index in schema.indexes if index.name == command.index))
    last, rows = command.after, 0
    keys = partition.items.irange(command.after or None, None, inclusive=(not command.after, True))
    for key in islice(keys, command.rows_max):
        stored = partition.items[key]
        for change in index_changes(only, None, stored.item):
            assert change.put_key is not None, "nothing was there before"
            partition.owe_change(entry, command.index, change.put_key, change.entry, key, stored.version)
        last, rows = key, rows + 1
    partition.backfills[command.index] = BackfillImage(command.index, last, entry.slot, rows < command.rows_max)


def next_piece(partition: Partition) -> Backfill | None:
    """What is to be asked for next, if anything is left to fill in."""
    for known in partition.backfills.values():
        if not known.done:
            return Backfill(known.index, known.after, ROWS_MAX)
    return None


def built(partition: Partition) -> tuple[str, ...]:
    """The new indexes that have got everything: nothing is left to fill in, and none of it is owed any more."""
    first = partition.owed[0].slot if partition.owed else partition.applied + 1
    return tuple(name for name, known in partition.backfills.items() if known.done and known.slot < first)

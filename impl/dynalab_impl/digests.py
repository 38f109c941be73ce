"""Digests of a partition's state, made from what is stored: equal states give equal digests, on every node and in every
version of Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from dynalab_impl.codec import json_writer
from dynalab_impl.stream_shards import digested

if TYPE_CHECKING:
    from dynalab_impl.partition import Partition


_to_json = json_writer(sort_keys=True)


@dataclass(slots=True)
class StateDigest:
    """What the rows behind some key came to at a slot. `last` is the last key covered; b"" if the end was reached, and
    what is remembered besides was digested with it.
    """

    slot: int = 0
    text: str = ""
    last: bytes = b""


def digest(state: Partition, slot: int, after: bytes, rows_max: int) -> StateDigest:
    """Digest up to `rows_max` rows behind the key `after`."""
    work = blake2b(digest_size=16)
    last = b""
    for rows, key in enumerate(state.items.irange(after or None, None, inclusive=(not after, True))):
        if rows == rows_max:
            break
        stored = state.items[key]
        work.update(_bytes([key.hex(), stored.version, stored.time_ns, stored.stamp_ns, stored.item]))
        last = key
    else:
        last = b""
        answers = sorted((*request, answer.expiry_ns, answer.status) for request, answer in state.dedup.items())
        stones = sorted((key.hex(), *known) for key, known in state.tombstones.items())
        owed = [(change.sequence, change.slot, change.index, change.key.hex()) for change in state.owed]
        filled = [(one.index, one.after.hex(), one.slot, one.done) for one in state.backfills.values()]
        held = sorted(
            (key.hex(), one.txn, one.attempt, one.stamp_ns, len(one.beside)) for key, one in state.held.items()
        )
        form = 0 if state.form is None else state.form.version
        shards = digested([*state.shards, *state.feed] if state.feed else state.shards, slot)
        figures = [state.owed_count, form, state.deleted_ns, state.deleted_slot, state.read_until_ns]
        work.update(_bytes([answers, stones, owed, filled, held, figures, shards]))
    return StateDigest(slot, work.hexdigest(), last)


def _bytes(value: Any) -> bytes:
    return _to_json(value).encode() + b"\n"

"""A stream against the history of its writers: every change that they know of has its record, once, and no other has.

Rules of this room (consistency.md §6, 1 and 2):
1. *nobody*: what a record says was written, or removed, somebody wrote or removed, and was not refused.
2. *missing*: an acknowledged write has its record; so has an acknowledged delete that found something. Only at
   rest: all writes have ended, and the stream was read to its end.
3. *twice*: no write has two records. One of unknown outcome has one or none.
4. *old*: the record's old image is what the write was told that it replaced, or what its condition asked for.
5. *order*: of two writes of a key, one of which had returned before the other was called, the records stand so.
6. What a service removed by itself (`identity`) is no client's: `expiry` judges it.

Written values are unique within a key; the caller says how an image shows them. Records come in the order of their
shards' lineage (`streams.check_order`). Steps: O(n log n).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from dynalab_checkers.history import MISSING, History, Json, Missing, Operation, Scalar
from dynalab_checkers.streams import CHECKER, INSERT, REMOVE, Record, broken, name_of
from dynalab_checkers.verdict import INVALID, UNKNOWN, VALID, Verdict
from dynalab_checkers.words import Token, seconds, show, token


@dataclass(frozen=True, slots=True)
class _Change:
    """What one operation did to one key, if it happened."""

    operation: Operation
    key: str
    new: Token  # None: it removes
    old: Token | Missing  # what it is known to have replaced


def check_records(
    records: Iterable[Record],
    history: History,
    *,
    value_of: Callable[[Json], Scalar] = lambda image: image if not isinstance(image, list | dict) else None,
    at_rest: bool = True,
) -> Verdict:
    """Judge records, which must tell new images, and old ones for what they remove, by what clients asked and heard.

    `value_of` gives the value in an image. The verdict's `details` count the changes that had to have a record.

    >>> write = Operation(0, "write", "k", 0, 9, "ok", 7, old=None, call_index=0)
    >>> check_records([Record("s", 1, "k", "INSERT", new=7)], History([write])).verdict
    'valid'
    >>> check_records([], History([write])).why
    'missing: the write of 7 to k at 0.000 s was acknowledged, and has no record'
    """
    writes: dict[tuple[str, Token], _Change] = {}
    removals: dict[str, list[_Change]] = {}
    for operation in history:
        for change in _changes(operation):
            if change.new is None:
                removals.setdefault(change.key, []).append(change)
            elif writes.setdefault((change.key, change.new), change) is not change:
                why = f"{show(change.new)} was written to {change.key} twice, so its records cannot be told apart"
                return Verdict(UNKNOWN, CHECKER, why, change.key)
    last: dict[str, tuple[_Change, Record]] = {}  # by key: of what has a record already, what was called last
    seen: dict[tuple[str, str, Token], Record] = {}
    for record in records:
        if record.identity:
            continue
        old = MISSING if isinstance(record.old, Missing) else token(value_of(record.old))
        if record.event == REMOVE:
            assert not isinstance(old, Missing), "a removal that does not tell what it removed cannot be judged"
            kind, value, what = "removed", old, f"removes {show(old)}"
            candidates = [change for change in removals.get(record.key, ()) if change.old in (old, MISSING)]
        else:
            assert not isinstance(record.new, Missing), "a record without a new image cannot be judged"
            new = token(value_of(record.new))
            kind, value, what = "written", new, f"says {show(new)}"
            candidates = [writes[record.key, new]] if (record.key, new) in writes else []
        twin = seen.setdefault((record.key, kind, value), record)
        if twin is not record:
            return broken("twice", record, f"{name_of(record)} {what}, and so does the {name_of(twin)}", twin)
        happened = [change for change in candidates if change.operation.outcome != "fail"]
        if not happened:
            told = "which was refused" if candidates else "which nobody did"
            return broken("nobody", record, f"{name_of(record)} {what}, {told}")
        sure = [change for change in happened if change.operation.outcome == "ok" and change.old == old]
        if len(happened) > 1 and not sure:
            continue  # several may have removed it, and nobody knows which did
        change = (sure or happened)[0]
        known = None if record.event == INSERT else old
        if not isinstance(change.old, Missing) and known not in (MISSING, change.old):
            why = f"{name_of(record)} {what} over {show(known)}, and the {_named(change)} replaced {show(change.old)}"
            return broken("old", record, why)
        before = last.get(record.key)
        ret, call = change.operation.ret, change.operation.call
        if before is not None and ret is not None and ret < before[0].operation.call:
            why = (
                f"{name_of(record)} stands after the {name_of(before[1])}, but the {_named(change)} had returned before"
            )
            return broken("order", record, f"{why} the {_named(before[0])} was called", before[1])
        if before is None or call > before[0].operation.call:
            last[record.key] = change, record
    changes = [*writes.values(), *(change for of_key in removals.values() for change in of_key)]
    # A removal that does not tell what it found may have found nothing, and one that found nothing changed nothing.
    due = [
        change
        for change in changes
        if change.operation.outcome == "ok" and (change.new is not None or change.old not in (None, MISSING))
    ]
    for change in sorted(due, key=lambda one: one.operation.call) if at_rest else ():
        place = ("removed", change.old) if change.new is None else ("written", change.new)
        if (change.key, *place) not in seen:
            why = f"missing: the {_named(change)} was acknowledged, and has no record"
            details: dict[str, object] = {"rule": "missing", "records": []}
            return Verdict(INVALID, CHECKER, why, change.key, [change.operation], [change.operation], details)
    return Verdict(VALID, CHECKER, details={"changes": len(due), "records": len(seen)})


def _changes(operation: Operation) -> list[_Change]:
    """What an operation may have changed, key by key."""
    value: Any = operation.value
    told = operation.old
    if operation.f == "write":
        return [_Change(operation, operation.key, token(value), told if isinstance(told, Missing) else token(told))]
    if operation.f == "cas":
        return [_Change(operation, operation.key, token(value[1]), token(value[0]))]
    if operation.f == "delete":
        return [_Change(operation, operation.key, None, told if isinstance(told, Missing) else token(told))]
    changes: list[_Change] = []
    for micro in value if operation.f == "txn" else ():
        if micro[0] == "w":
            changes.append(
                _Change(operation, micro[1], token(micro[2]), token(micro[3]) if len(micro) > 3 else MISSING)
            )
        elif micro[0] == "cas":
            changes.append(_Change(operation, micro[1], token(micro[3]), token(micro[2])))
        elif micro[0] == "d":
            changes.append(_Change(operation, micro[1], None, token(micro[2]) if len(micro) > 2 else MISSING))
    return changes


def _named(change: _Change) -> str:
    """A change in a sentence."""
    when = seconds(change.operation.call)
    if change.new is None:
        return f"removal from {change.key} at {when}"
    return f"write of {show(change.new)} to {change.key} at {when}"

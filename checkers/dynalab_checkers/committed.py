"""Committed values: a read, however stale, shows something that was really written.

Rules of this room:
1. A value is *committed* for a reader if it is the key's initial one, or if some write of it was acknowledged or is
   of unknown outcome and was invoked before the reader returned. Nothing else may be seen, by no flavour of read.
2. What a write replaced (`old`) and what a failed condition found (`found`) are seen values as well.
3. Staleness is no fault here: any committed version will do, in any order. `sessions`, `staleness` and
   `linearizability` look at order.
4. Values may repeat. A value that several writes gave is wrong only if none of them could have given it.

Source: consistency.md rows 1, 2, 4, 6 and 7 (only committed values, everywhere; an index entry is the projection of a
committed state) and §5 (a dirty read is allowed nowhere).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from dynalab_checkers.history import REGISTER_FUNCTIONS, History, Missing, Operation, Scalar
from dynalab_checkers.verdict import Verdict

CHECKER = "committed"
FLAVOURS: tuple[str | None, ...] = ("strong", "eventual", "index", None)


class _Seen(NamedTuple):
    """One value that a client was shown, and how."""

    operation: Operation
    value: Scalar
    verb: str


def check_committed(
    history: History,
    *,
    flavours: Collection[str | None] = FLAVOURS,
    initial: Mapping[str, Scalar] | None = None,
) -> Verdict:
    """Judge every value that was read, replaced or found. O(n log n).

    `flavours` selects reads by their consistency (None: those that do not say); `initial` gives the values that keys
    had before the history began, absent where it is silent. Unknown if the history has operations other than read,
    write, cas and delete, because those may have written.

    >>> history = History.from_events([
    ...     {"index": 0, "time": 10, "process": 0, "type": "invoke", "f": "cas", "key": "k", "value": [1, 7]},
    ...     {"index": 1, "time": 20, "process": 0, "type": "fail", "f": "cas", "key": "k", "value": [1, 7]},
    ...     {"index": 2, "time": 30, "process": 1, "type": "invoke", "f": "read", "key": "k"},
    ...     {"index": 3, "time": 40, "process": 1, "type": "ok", "f": "read", "key": "k", "value": 7}])
    >>> check_committed(history).why
    'process 1 read 7 from k, which only a failed cas wrote'
    """
    unknown = strangers(history)
    if unknown is not None:
        return Verdict("unknown", CHECKER, unknown)
    seen_count = 0
    faults: list[Verdict] = []
    for key, operations in history.by_key().items():
        possible, failed = _writers(operations)
        start = (initial or {}).get(key)
        for seen in _seen(operations, flavours):
            seen_count += 1
            if _same(seen.value, start):
                continue
            value = identity(seen.value)
            writers = possible.get(value, [])
            if not _anyone_may_show(writers, seen.operation):
                late = next((writer for writer in writers if writer is not seen.operation), None)
                faults.append(_fault(key, seen, late, failed.get(value, [])))
    if not faults:
        return Verdict("valid", CHECKER, details={"observations": seen_count})
    first = min(faults, key=lambda fault: fault.highlight[0].call_index)
    first.details = {"observations": seen_count, "violations": len(faults)}
    return first


def identity(value: Scalar) -> tuple[bool, Scalar]:
    """A key for dictionaries under which values are equal as JSON is: 1 is 1.0, and it is not true.

    >>> identity(True) == identity(1), identity(1) == identity(1.0)
    (False, True)
    """
    return (isinstance(value, bool), value)


def written(operation: Operation) -> Scalar:
    """What a write, cas or delete leaves behind if it takes effect; None is absent."""
    if operation.f == "cas":
        assert isinstance(operation.value, list), "a cas has [from, to]"
        target = operation.value[1]
        assert not isinstance(target, list | dict), "a register holds scalars"
        return target
    if operation.f == "delete":
        return None
    assert not isinstance(operation.value, list | dict), "a register holds scalars"
    return operation.value


def strangers(history: History) -> str | None:
    """A sentence that names operations which are not a register's and may have written; None without any."""
    names = sorted({operation.f for operation in history if operation.f not in REGISTER_FUNCTIONS})
    return f"this checker does not know what {', '.join(names)} may have written" if names else None


def show(value: object) -> str:
    """A value as sentences say it.

    >>> show(7), show("a"), show(None), show(True)
    ('7', "'a'", 'absent', 'true')
    """
    if value is None:
        return "absent"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


def _writers(
    operations: list[Operation],
) -> tuple[dict[tuple[bool, Scalar], list[Operation]], dict[tuple[bool, Scalar], list[Operation]]]:
    """Who may have written a value, by the time of invocation, and who certainly failed to."""
    possible: dict[tuple[bool, Scalar], list[Operation]] = {}
    failed: dict[tuple[bool, Scalar], list[Operation]] = {}
    for operation in operations:
        if operation.f != "read":
            side = failed if operation.outcome == "fail" else possible
            side.setdefault(identity(written(operation)), []).append(operation)
    for writers in possible.values():
        writers.sort(key=lambda writer: writer.call)
    return possible, failed


def _seen(operations: list[Operation], flavours: Collection[str | None]) -> Iterator[_Seen]:
    for operation in operations:
        if operation.f == "read":
            if operation.outcome == "ok" and operation.consistency in flavours:
                yield _Seen(operation, operation.result, "read")
            continue
        # A condition is evaluated on the current item, never on a stale copy, whatever flavours were asked for.
        if not isinstance(operation.old, Missing):
            yield _Seen(operation, operation.old, "replaced")
        if not isinstance(operation.found, Missing):
            yield _Seen(operation, operation.found, "found")


def _anyone_may_show(writers: list[Operation], reader: Operation) -> bool:
    """Whether any but the reader itself may. The first in time settles it, unless it is of the same instant."""
    assert reader.ret is not None, "what never returned showed nothing"
    for writer in writers:
        if writer.call > reader.ret:
            break
        if writer is not reader and _may_show(writer, reader):
            return True
    return False


def _may_show(writer: Operation, reader: Operation) -> bool:
    """Whether the writer was invoked before the reader returned. Touching is concurrent, except within a process."""
    assert reader.ret is not None, "what never returned showed nothing"
    if writer.call == reader.ret and writer.process == reader.process:
        return reader.ret_index is None or writer.call_index < reader.ret_index
    return writer.call <= reader.ret


def _fault(key: str, seen: _Seen, late: Operation | None, failed: list[Operation]) -> Verdict:
    preposition = "from" if seen.verb == "read" else "in"
    shown = f"process {seen.operation.process} {seen.verb} {show(seen.value)} {preposition} {key}"
    if late is not None:
        assert seen.operation.ret is not None
        why = f"{shown}, which was written only by a {late.f} invoked {late.call - seen.operation.ret} ns after that"
        if late.call == seen.operation.ret:
            why = f"{shown}, which was written only by the same process afterwards"
    elif failed:
        why = f"{shown}, which only a failed {failed[0].f} wrote"
    else:
        why = f"{shown}, which nobody wrote"
    others = failed[:1] if late is None else [late]
    return Verdict(
        "invalid",
        CHECKER,
        why=why,
        key=key,
        operations=sorted([*others, seen.operation], key=lambda operation: operation.call_index),
        highlight=[seen.operation],
    )


def _same(one: Scalar, other: Scalar) -> bool:
    return identity(one) == identity(other)

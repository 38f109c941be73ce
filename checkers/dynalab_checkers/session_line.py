"""Sessions on a line: where a key's versions have one order only, a session is a walk that never goes back.

Rules of this room:
1. A *line* is a total order of the versions that every order of the writes which fits the history has: one chain of
   replaced values, or chains that real time puts one behind the other. Where there is none, `line_up` gives None and
   the general way (`key_order`) is gone instead; so it is after any oddity (a value written twice or by nobody, a
   truth value, a delete of unknown outcome, processes of one session that overlap).
2. On a line the verdict is exact, also for *absent*: whoever saw it is placed at the first absence at or after what
   the session knew, and nothing later could have been better.
3. Flat loops over flat lists: a million operations on one key take about a second, and a step costs the same whatever
   came before it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import accumulate
from typing import Any, TypeAlias

from dynalab_checkers.committed import written
from dynalab_checkers.history import MISSING, Operation, Scalar
from dynalab_checkers.key_order import BEFORE_ALL_NS, FOREVER_NS, asked, returned_before

Name: TypeAlias = "int | tuple[str | int]"


class Walk(Enum):
    """How a walk along a line ended, unless it went back."""

    KEPT = "kept"
    DOUBT = "doubt"


@dataclass(frozen=True, slots=True)
class StepBack:
    """`later` saw or wrote rank `to`, although its session had known rank `known` since `earlier`."""

    earlier: Operation
    later: Operation
    known: int
    to: int


@dataclass(slots=True)
class Line:
    """The versions of one key in their order. Lists are indexed by rank; rank 0 is the initial version.

    `older_call_ns[r]` is the latest invocation among the writers of the ranks below r: whoever saw rank r returned
    after it, or the writes contradict real time. `absences` are the ranks of all absent versions, and
    `absent_from_ns[n]` is the earliest invocation among the makers of the absences from the n-th on.
    """

    rank_of: dict[Scalar, int]
    writers: list[Operation | None]
    blocks: list[int]
    older_call_ns: list[int]
    rank_of_delete: dict[int, int] = field(default_factory=dict)  # by the identity of the operation
    absences: list[int] = field(default_factory=list)
    absent_from_ns: list[int] = field(default_factory=list)

    def absence(self, floor: int, seen_by_ns: int) -> int | None:
        """The first absence of rank `floor` or later that somebody had begun to make by then."""
        place = bisect_left(self.absences, floor)
        while place < len(self.absences) and self.absent_from_ns[place] <= seen_by_ns:
            writer = self.writers[self.absences[place]]
            if writer is None or writer.call <= seen_by_ns:
                return self.absences[place]
            place += 1
        return None

    def newest_absence(self, below: int) -> int:
        """The last absence before a rank."""
        return self.absences[max(0, bisect_left(self.absences, below) - 1)]


def line_up(operations: Sequence[Operation], *, initial: Scalar = None, real_time: bool = True) -> Line | None:
    """The versions of one key in the only order that they can have; None if the history leaves it open. O(n log n).

    >>> line = line_up([Operation(0, "write", "k", 0, 10, "ok", 1, old=None),
    ...                 Operation(1, "cas", "k", 5, 20, "ok", [1, 2])])
    >>> line and (line.rank_of[None], line.rank_of[1], line.rank_of[2])
    (0, 1, 2)
    """
    writers: list[Operation | None] = [None]
    olds: list[Any] = [MISSING]
    number_of: dict[Any, int] = {}
    deletes: list[int] = []
    unsure: list[Operation] = []
    for operation in operations:
        f = operation.f
        if f == "read" or operation.outcome == "fail":
            continue
        if operation.outcome != "ok":
            unsure.append(operation)
            continue
        value: Any = operation.value
        old: Any = operation.old
        if f == "cas":
            old, value = value
        if value is None or f == "delete":
            deletes.append(len(writers))
        elif number_of.setdefault(value, len(writers)) != len(writers) or value is True or value is False:
            return None
        writers.append(operation)
        olds.append(old)
    if unsure and not _took_effect(operations, unsure, writers, olds, number_of):
        return None
    if (initial is not None or not deletes) and number_of.setdefault(initial, 0) != 0:
        return None
    after = [0] * len(writers)
    starts = [0]
    for number in range(1, len(writers)):
        old = olds[number]
        if old is MISSING or (old is None and deletes):
            starts.append(number)  # it replaced something, but the history does not say what
            continue
        older = number_of.get(old)
        if older is None or after[older] or old is True or old is False:
            return None
        after[older] = number
    ordered = _in_order(operations, starts, after, writers, number_of, real_time) if len(starts) > 1 else [0]
    return None if ordered is None else _line(ordered, after, writers, number_of, deletes, initial)


def walk(
    line: Line,
    operations: Sequence[Operation],
    *,
    flavours: Collection[str | None],
    floors: Collection[str],
    judged: Collection[str],
    real_time: bool = True,
) -> Walk | StepBack:
    """Follow all sessions along the line, until one goes back. `floors`: what a session knows, of "read" and "write";
    `judged`: which of them may then not be older.

    >>> history = [Operation(0, "write", "k", 0, 10, "ok", 1, old=None), Operation(0, "read", "k", 20, 30, "ok")]
    >>> line = line_up(history)
    >>> found = walk(line, history, flavours=(None,), floors=("write",), judged=("read",)) if line else None
    >>> (found.known, found.to) if isinstance(found, StepBack) else found
    (1, 0)
    """
    known: dict[Name, int] = {}
    since: dict[Name, Operation] = {}  # the operation that told it
    last: dict[Name, Operation] = {}
    rank_of, older_call_ns = line.rank_of, line.older_call_ns
    reads_raise, writes_raise = "read" in floors, "write" in floors
    reads_judged, writes_judged = "read" in judged, "write" in judged
    deleted, strong = bool(line.rank_of_delete), "strong" in flavours
    for operation in operations:
        ret = operation.ret
        value: Any
        if operation.f == "read":
            if operation.outcome != "ok":
                continue
            value, reads, counts = operation.result, True, operation.consistency in flavours
        elif operation.outcome == "fail":
            if operation.found is MISSING:
                continue
            value, reads, counts = operation.found, True, strong
        else:
            value, reads, counts = operation.value, False, True
            if operation.f == "cas":
                value = value[1]
        if value is True or value is False:
            continue  # not written by anybody: `line_up` would have refused
        name: Name = operation.process
        if operation.session is not None:
            name = (operation.session,)
            before = last.get(name)
            if before is not None and not returned_before(before, operation):
                return Walk.DOUBT
            if ret is not None:
                last[name] = operation
        floor = known.get(name, 0)
        if value is None and deleted:
            place = line.absence(floor, ret) if reads and ret is not None else line.rank_of_delete.get(id(operation))
            rank = line.newest_absence(floor) if place is None else place
        else:
            place = rank_of.get(value)
            if place is None:
                continue  # nobody wrote it, or never with effect
            rank = place
        # Touching is enough for doubt: within a process it would be a contradiction.
        if real_time and ret is not None and ret <= older_call_ns[rank] and not (reads and value is None and deleted):
            return Walk.DOUBT
        if not counts:
            continue
        if rank < floor:
            if not (reads_judged if reads else writes_judged):
                continue
            return StepBack(since[name], operation, floor, rank)
        if rank > floor and ret is not None and (reads_raise if reads else writes_raise):
            known[name] = rank
            since[name] = operation
    return Walk.KEPT


def _took_effect(
    operations: Sequence[Operation],
    unsure: list[Operation],
    writers: list[Operation | None],
    olds: list[Any],
    number_of: dict[Any, int],
) -> bool:
    """Add the writes of unknown outcome that somebody saw. False if that cannot be told without search."""
    if any(written(operation) is None for operation in unsure):
        return False
    seen = {operation.result for operation in operations if operation.f == "read" and operation.outcome == "ok"}
    seen.update(old for old in olds if old is not MISSING)
    seen.update(operation.found for operation in operations if operation.found is not MISSING)
    waiting = [operation for operation in unsure if written(operation) in seen]
    pending = {written(operation): operation for operation in unsure if written(operation) not in seen}
    while waiting:
        operation = waiting.pop()
        value = written(operation)
        if number_of.setdefault(value, len(writers)) != len(writers) or value is True or value is False:
            return False
        writers.append(operation)
        olds.append(asked(operation) if operation.f == "cas" else MISSING)
        if operation.f == "cas" and asked(operation) in pending:  # it met what it asked for
            waiting.append(pending.pop(asked(operation)))
    return True


def _in_order(
    operations: Sequence[Operation],
    starts: list[int],
    after: list[int],
    writers: list[Operation | None],
    number_of: dict[Any, int],
    real_time: bool,
) -> list[int] | None:
    """The starts of the chains, if real time puts each chain before all later ones and none before an earlier one."""
    settled = [FOREVER_NS if writer is None or writer.ret is None else writer.ret for writer in writers]
    if real_time:
        for operation in operations:
            if operation.ret is None:
                continue
            for value in (operation.result, operation.old, operation.found):
                if value is not None and value is not MISSING:
                    number = number_of.get(value, 0)
                    writer = writers[number]
                    if writer is not None and writer.call <= operation.ret < settled[number]:
                        settled[number] = operation.ret
    chains: list[tuple[int, int, int]] = []  # when it had begun to take effect, when it was last added to, its start
    for start in starts:
        first, newest, number = (BEFORE_ALL_NS if start == 0 else FOREVER_NS), BEFORE_ALL_NS, start
        while real_time:
            writer = writers[number]
            if writer is not None:
                first, newest = min(first, settled[number]), max(newest, writer.call)
            number = after[number]
            if not number:
                break
        # Without real time only the initial version is known to come before the others.
        chains.append((first, newest if real_time or start == 0 else BEFORE_ALL_NS + 1, start))
    chains.sort(key=lambda chain: (max(chain[0], chain[1]), chain[2]))
    latest_settled = latest_called = BEFORE_ALL_NS - 1
    for first, newest, _ in chains:
        if latest_settled >= newest or first < latest_called:
            return None
        latest_settled, latest_called = max(latest_settled, first), max(latest_called, newest)
    return [start for _, _, start in chains]


def _line(
    ordered: list[int],
    after: list[int],
    writers: list[Operation | None],
    number_of: dict[Any, int],
    deletes: list[int],
    initial: Scalar,
) -> Line | None:
    ranks = [0] * len(writers)
    in_order: list[Operation | None] = []
    blocks: list[int] = []
    for block, start in enumerate(ordered):
        number = start
        while True:
            ranks[number] = len(in_order)
            in_order.append(writers[number])
            blocks.append(block)
            number = after[number]
            if not number:
                break
    if len(in_order) != len(writers):
        return None  # the others replaced each other in a circle
    calls = [BEFORE_ALL_NS if writer is None else writer.call for writer in in_order]
    line = Line({}, in_order, blocks, [BEFORE_ALL_NS, *accumulate(calls, max)])
    for value in number_of:
        number_of[value] = ranks[number_of[value]]
    line.rank_of = number_of
    if deletes:
        line.rank_of_delete = {id(writers[number]): ranks[number] for number in deletes}
        line.absences = sorted([*([0] if initial is None else []), *(ranks[number] for number in deletes)])
        begun = [calls[rank] for rank in line.absences]
        line.absent_from_ns = list(accumulate(reversed(begun), min))[::-1]
    return line

"""Sessions on a line: in one order of a key's versions a session is a walk that never goes back.

Rules of this room:
1. A *line* is a total order of the versions. Where it is the only one that fits the history (one chain of replaced
   values, or chains that real time puts one behind the other), its verdict is exact, also for *absent*: whoever saw it
   is placed at the first absence at or after what the session knew, and nothing later could have been better.
2. Where several orders fit, one in which all sessions keep going forward is found in most histories that have one
   (`a_line_holds`): then nobody can be accused. Otherwise the general way (`key_order`) is gone; so it is after any
   oddity (a value written twice or by nobody, a truth value, processes of one session that overlap).
3. Flat loops over flat lists: a million operations on one key take one to three seconds, and a step costs the same
   whatever came before it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import accumulate
from typing import Any, Final, TypeAlias

from dynalab_checkers.history import MISSING, Operation, Scalar
from dynalab_checkers.key_order import BEFORE_ALL_NS, returned_before
from dynalab_checkers.session_chains import Chain, Chains, Edge, chain_up

Name: TypeAlias = "int | tuple[str | int]"


# The rank of an absence that any delete may have made.
ANY_ABSENCE: Final = -1
# How often the chains are ordered anew, before the general way is gone.
ROUNDS_MAX: Final = 5


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
    absent_once: bool = True  # absent is a value like any other, and no delete may have made it again
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

    def newest_absence(self, below: int) -> int | None:
        """The last absence before a rank; None if there is none."""
        place = bisect_left(self.absences, below)
        return self.absences[place - 1] if place else None


def line_up(operations: Sequence[Operation], *, initial: Scalar = None, real_time: bool = True) -> Line | None:
    """The versions of one key in the only order that they can have; None if the history leaves it open. O(n log n).

    >>> line = line_up([Operation(0, "write", "k", 0, 10, "ok", 1, old=None),
    ...                 Operation(1, "cas", "k", 5, 20, "ok", [1, 2])])
    >>> line and (line.rank_of[None], line.rank_of[1], line.rank_of[2])
    (0, 1, 2)
    """
    chains = chain_up(operations, initial=initial, real_time=real_time)
    return lined(chains, chains.chains) if chains is not None and chains.only_order() else None


def lined(chains: Chains, order: Sequence[Chain]) -> Line:
    """All versions in this order of their chains."""
    writers, after = chains.writers, chains.after
    ranks = [0] * len(writers)
    in_order: list[Operation | None] = []
    blocks: list[int] = []
    for chain in order:
        number = chain.start
        while True:
            ranks[number] = len(in_order)
            in_order.append(writers[number])
            blocks.append(chain.place)
            number = after[number]
            if not number:
                break
    calls = [BEFORE_ALL_NS if writer is None else writer.call for writer in in_order]
    rank_of = {value: ranks[number] for value, number in chains.number_of.items()}
    line = Line(rank_of, in_order, blocks, [BEFORE_ALL_NS, *accumulate(calls, max)])
    if not chains.absence_is_a_value():
        line.absent_once = False
        line.rank_of_delete = {id(writers[number]): ranks[number] for number in chains.deletes}
        line.absences = sorted([*([0] if chains.initial is None else []), *(ranks[n] for n in chains.deletes)])
        begun = [calls[rank] for rank in line.absences]
        line.absent_from_ns = list(accumulate(reversed(begun), min))[::-1]
    return line


def a_line_holds(
    chains: Chains,
    operations: Sequence[Operation],
    walks: Sequence[tuple[Collection[str], Collection[str]]],
    *,
    flavours: Collection[str | None],
    real_time: bool = True,
) -> bool:
    """Whether an order of the chains was found in which no session goes back: then none can be accused. `walks`: what
    to remember and what to judge, as `walk` takes them. False says nothing.

    Begins with an order that real time allows. Where a session goes back in it, notes which chain each of them saw
    after which, and orders the chains by that; where an absence fits nowhere then, once more.
    """
    if not chains.fits:
        return False
    edges = dict.fromkeys(chains.ties)
    order = chains.some_order(list(edges))
    for _ in range(ROUNDS_MAX):
        if order is None:
            return False
        line = lined(chains, order)
        ends = (walk(line, operations, flavours, floors, judged, real_time=real_time) for floors, judged in walks)
        if all(end is Walk.KEPT for end in ends):
            return True
        before = len(edges)
        if not _notice(line, chains, operations, flavours, edges) or len(edges) == before:
            return False  # the next round would find nothing else
        order = chains.some_order(list(edges))
    return False


def walk(
    line: Line,
    operations: Sequence[Operation],
    flavours: Collection[str | None],
    floors: Collection[str],
    judged: Collection[str],
    *,
    real_time: bool = True,
) -> Walk | StepBack:
    """Follow all sessions along the line, until one goes back. `floors`: what a session knows, of "read" and "write";
    `judged`: which of them may then not be older.

    >>> history = [Operation(0, "write", "k", 0, 10, "ok", 1, old=None), Operation(0, "read", "k", 20, 30, "ok")]
    >>> line = line_up(history)
    >>> found = walk(line, history, [None], ["write"], ["read"]) if line else None
    >>> (found.known, found.to) if isinstance(found, StepBack) else found
    (1, 0)
    """
    known: dict[Name, int] = {}
    since: dict[Name, Operation] = {}  # the operation that told it
    older_call_ns = line.older_call_ns
    reads_raise, writes_raise = "read" in floors, "write" in floors
    reads_judged, writes_judged = "read" in judged, "write" in judged
    for step in _steps(line, operations, flavours):
        if step is None:
            return Walk.DOUBT
        name, operation, rank, reads, counts = step
        ret = operation.ret
        floor = known.get(name, 0)
        if rank == ANY_ABSENCE:
            assert ret is not None, "what never returned saw nothing"
            place = line.absence(floor, ret)
            if place is None:
                place = line.newest_absence(floor)
            if place is None:
                return Walk.DOUBT
            rank = place
        # Touching is enough for doubt: within a process it would be a contradiction.
        elif real_time and ret is not None and ret <= older_call_ns[rank]:
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


def _notice(
    line: Line,
    chains: Chains,
    operations: Sequence[Operation],
    flavours: Collection[str | None],
    edges: dict[Edge, None],
) -> bool:
    """Add which chain was seen after which, where real time leaves it open. False if sessions overlap themselves.

    Of an absence that was seen only this is noted: that some delete must stand where this line has none for it.
    """
    blocks, concurrent = line.blocks, chains.concurrent
    known: dict[Name, int] = {}
    gaps: dict[Name, int] = {}  # the absence that a session has seen since
    for step in _steps(line, operations, flavours):
        if step is None:
            return False
        name, operation, rank, _, counts = step
        if not counts:
            continue
        floor = known.get(name, 0)
        if rank == ANY_ABSENCE:
            assert operation.ret is not None, "what never returned saw nothing"
            place = line.absence(gaps.get(name, floor), operation.ret)
            if place is not None:
                gaps[name] = place
                continue
            place = line.newest_absence(floor)
            if place is None:
                continue
            rank = place
        elif operation.ret is not None:
            known[name] = rank
        gap = gaps.pop(name, 0)
        for earlier in (floor, gap) if gap > rank else (floor,):
            one, other = blocks[earlier], blocks[rank]
            if one != other and concurrent(one, other):
                edges[one, other] = None
    return True


def _steps(
    line: Line, operations: Sequence[Operation], flavours: Collection[str | None]
) -> Iterator[tuple[Name, Operation, int, bool, bool] | None]:
    """Whatever shows or makes a version: session, operation, rank, whether it reads, whether it is asked for. None if a
    session overlaps itself, so that it does not walk.
    """
    last: dict[Name, Operation] = {}
    rank_of, rank_of_delete, absent_often = line.rank_of, line.rank_of_delete, not line.absent_once
    strong = "strong" in flavours
    for operation in operations:
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
            continue  # not written by anybody: there would be no line
        name: Name = operation.process
        if operation.session is not None:
            name = (operation.session,)
            before = last.get(name)
            if before is not None and not returned_before(before, operation):
                yield None
                return
            if operation.ret is not None:
                last[name] = operation
        if value is None and absent_often:
            rank = ANY_ABSENCE if reads else rank_of_delete.get(id(operation))
        else:
            rank = rank_of.get(value)
        if rank is not None:  # else nobody wrote it, or never with effect
            yield name, operation, rank, reads, counts

"""The order of one key's versions, as far as a history shows it: chains of replaced values, and real time.

Rules of this room:
1. Nothing is guessed. `before` is True only if every order of the writes that fits the history has it so.
2. Chains are exact: a write that says what it replaced stands right behind it. Maximal chains are *blocks*; no other
   version of the key lies inside one.
3. Real time stands between blocks: what had taken effect before another write was invoked is older (consistency.md
   rows 1 and 3). Whoever saw a value, by any flavour of read, shows that its write had taken effect by then.
4. Written values are unique. *Absent* is not: the initial state or any delete may have made it.
5. A write of unknown outcome counts once its value was seen, by a read or as what somebody replaced, and not before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TypeAlias

from dynalab_checkers.committed import identity, show, written
from dynalab_checkers.history import Missing, Operation, Scalar

# How many deletes may have made one absence before the checker stops asking which.
CANDIDATES_MAX = 64

BEFORE_ALL_NS = -(1 << 62)
FOREVER_NS = 1 << 62

Edges: TypeAlias = "dict[tuple[int, int], tuple[Operation, Operation] | None]"


@dataclass(slots=True)
class Version:
    """One state of a key. `writer` is None for the initial one; it had certainly taken effect at `settled_ns`."""

    value: Scalar
    writer: Operation | None
    settled_ns: int
    block: int = -1
    stage: int = 0


@dataclass(slots=True)
class Block:
    """A maximal chain of versions, each replacing the one before it. No other version of the key lies between them.

    It precedes another block if `settled_ns` (the earliest of its versions) is before the other's `called_ns` (the
    latest).
    """

    versions: list[int] = field(default_factory=list)
    settled_ns: int = FOREVER_NS
    called_ns: int = BEFORE_ALL_NS


class KeyOrder:
    """What is known of the order of one key's versions; `problem` says why nothing is, if the writes disagree.

    With `real_time=False` only chains count: for tables that several regions write, where wall clocks decide the
    order.

    >>> order = KeyOrder([Operation(0, "write", "k", 0, 10, "ok", 1, old=None),
    ...                   Operation(1, "write", "k", 5, 20, "ok", 2, old=1)])
    >>> [version.value for version in order.versions], order.before(1, 2), order.before(2, 1)
    ([None, 1, 2], True, False)
    """

    def __init__(self, operations: Sequence[Operation], *, initial: Scalar = None, real_time: bool = True) -> None:
        self.real_time = real_time
        self.problem = ""
        self.forked: list[Operation] = []  # if no order at all can hold the writes: those that show it
        self.versions: list[Version] = [Version(initial, None, BEFORE_ALL_NS)]
        self.blocks: list[Block] = []
        self.of_write: dict[int, int] = {}  # position of a write in `operations` → its version
        self.ties: Edges = {}
        self._by_value: dict[tuple[bool, Scalar], int] = {}
        self._deletes: list[int] = []  # by the time of invocation; those of unknown outcome are in _pending_deletes
        self._pending_deletes: list[int] = []
        self._settled_until: list[int] = []  # for each of _deletes: when the last block up to it had settled
        self._take_writes(operations)
        if not self.problem:
            self._settle(operations)
            self._chain(operations)
        if not self.problem:
            self._time(operations)

    def before(self, one: int, other: int) -> bool:
        """Whether version `one` is certainly older than `other`. False may mean that nobody knows."""
        first, second = self.versions[one], self.versions[other]
        if first.block == second.block:
            return first.stage < second.stage
        return self._precedes(first.block, second.block)

    def called_ns(self, version: int) -> int:
        """When the last write of the version's block was invoked: what settled before is older."""
        return self.blocks[self.versions[version].block].called_ns

    def settled_ns(self, version: int) -> int:
        """When a version had certainly taken effect."""
        return self.versions[version].settled_ns

    def candidates(self, value: Scalar, seen_by: Operation, floor: int | None = None) -> tuple[int, ...] | None:
        """The versions that an operation may have seen; None if they are not known, or too many.

        With a `floor`, those *absent* ones that are certainly older than it may be left out: () says that all are.
        """
        known = self._by_value.get(identity(value))
        if known is not None:
            return (known,)
        if value is not None:
            return None
        assert seen_by.ret is not None, "what never returned saw nothing"
        pending = bisect_right(self._pending_deletes, seen_by.ret, key=self._called)
        if pending > CANDIDATES_MAX:
            return None
        chosen = self._pending_deletes[:pending]
        last = bisect_right(self._deletes, seen_by.ret, key=self._called)
        if self.versions[0].value is not None and not last and not chosen:
            return None  # nobody can have made it absent
        last_of_block = -1
        if floor is not None:
            block = self.blocks[self.versions[floor].block]
            last_of_block = block.versions[-1]  # the one delete that the early end below could miss
            if self.versions[last_of_block].value is None and self._called(last_of_block) <= seen_by.ret:
                chosen.append(last_of_block)
        while last and len(chosen) <= CANDIDATES_MAX:
            last -= 1
            if floor is not None and self._settled_until[last] < block.called_ns:
                break  # this delete and all that were invoked before it
            if self._deletes[last] != last_of_block:
                chosen.append(self._deletes[last])
        if floor is None and self.versions[0].value is None:
            chosen.append(0)
        return tuple(chosen) if len(chosen) <= CANDIDATES_MAX else None

    def newest_absence(self, seen_by: Operation) -> int:
        """The delete that was invoked last before an operation returned; 0, the initial version, if there was none."""
        assert seen_by.ret is not None, "what never returned saw nothing"
        last = bisect_right(self._deletes, seen_by.ret, key=self._called)
        return self._deletes[last - 1] if last else 0

    def arrange(self, edges: Edges) -> tuple[list[int], list[int]]:
        """Blocks in an order that fits real time and `edges`, and those that no order can hold (they hold a cycle)."""
        settled = [block.settled_ns for block in self.blocks]
        called = [block.called_ns for block in self.blocks]
        return arrange(settled, called, edges, called)

    def cycle(self, stuck: list[int], edges: Edges) -> list[int]:
        """Blocks that each must precede the next, and the last the first; real time is preferred to the edges."""
        left = set(stuck)
        into: dict[int, list[int]] = {}
        for one, other in edges:
            if one in left:
                into.setdefault(other, []).append(one)
        by_settled = sorted(stuck, key=lambda block: (self.blocks[block].settled_ns, block))[:2]
        walk: list[int] = [stuck[0]]
        place = {stuck[0]: 0}
        while True:
            here = walk[-1]
            held = [block for block in by_settled if block != here and self._precedes(block, here)]
            # Nothing that is stuck is without something left that must precede it.
            block = (held or into[here])[0]
            if block in place:
                return walk[place[block] :][::-1]
            place[block] = len(walk)
            walk.append(block)

    def proof(self, one: int, other: int) -> tuple[str, list[Operation]]:
        """Why version `one` is older than `other`, in words, and the operations that show it."""
        first, second = self.versions[one], self.versions[other]
        if first.writer is None:
            return f"{show(first.value)} is what the key began with", []
        assert second.writer is not None, "nothing is older than the initial version"
        both = [first.writer, second.writer]
        if first.block == second.block:
            steps = second.stage - first.stage
            if steps == 1:
                return f"the {deed(second.writer)} replaced {show(first.value)}", both
            return f"the {deed(second.writer)} came {steps} versions later, each replacing the last", both
        return f"the {deed(first.writer)} was over when the {deed(second.writer)} began", both

    def _precedes(self, one: int, other: int) -> bool:
        return self.blocks[one].settled_ns < self.blocks[other].called_ns

    def _called(self, version: int) -> int:
        writer = self.versions[version].writer
        return BEFORE_ALL_NS if writer is None else writer.call

    def _take_writes(self, operations: Sequence[Operation]) -> None:
        """One version for each write that took effect or may have: unsure deletes, values that were seen."""
        seen = dict.fromkeys(identity(value) for operation in operations for value in shown(operation))
        unsure = {
            identity(written(operation)): operation
            for operation in operations
            if operation.f == "cas" and operation.outcome == "info"
        }
        waiting = [unsure[value] for value in seen if value in unsure]
        while waiting:  # a conditional write that took effect has met what it asked for
            needed = identity(asked(waiting.pop()))
            if needed not in seen:
                seen[needed] = None
                if needed in unsure:
                    waiting.append(unsure[needed])
        for position, operation in enumerate(operations):
            if operation.f == "read" or operation.outcome == "fail":
                continue
            value = written(operation)
            if value is not None and operation.outcome != "ok" and identity(value) not in seen:
                continue
            version = self.of_write[position] = len(self.versions)
            self.versions.append(Version(value, operation, FOREVER_NS if operation.ret is None else operation.ret))
            if value is None:
                (self._deletes if operation.outcome == "ok" else self._pending_deletes).append(version)
            elif self._by_value.setdefault(identity(value), version) != version:
                self.problem = f"the value {show(value)} was written twice"
        start = self.versions[0].value
        # Absent is unique as long as nothing deletes, and then it is like any other value.
        if (start is not None or not (self._deletes or self._pending_deletes)) and (
            self._by_value.setdefault(identity(start), 0) != 0
        ):
            self.problem = f"the value {show(start)} was there at first and was written again"

    def _settle(self, operations: Sequence[Operation]) -> None:
        """Whoever saw a value shows that its write had taken effect by then."""
        for operation in operations:
            for value in shown(operation):
                version = self.versions[self._by_value.get(identity(value), 0)]
                if operation.ret is not None and version.writer is not None and operation.ret >= version.writer.call:
                    version.settled_ns = min(version.settled_ns, operation.ret)

    def _chain(self, operations: Sequence[Operation]) -> None:
        """Blocks, from what each write replaced."""
        after: dict[int, int] = {}
        for position, version in self.of_write.items():
            operation = operations[position]
            if operation.outcome != "ok" and written(operation) is None:
                continue  # it may never take effect: nothing may be made to stand beside it
            replaced = operation.old if operation.f != "cas" else asked(operation)
            if isinstance(replaced, Missing):
                continue
            older = self._by_value.get(identity(replaced))
            if older is None and replaced is None and (self._deletes or self._pending_deletes):
                continue  # which absence it replaced is not known
            if older is None:
                self.problem = f"{show(replaced)} was replaced, but nobody wrote it"
            elif after.setdefault(older, version) != version:
                self.problem = f"{show(replaced)} was replaced twice"
                other = self.versions[after[older]].writer
                assert other is not None, "the initial version replaced nothing"
                self.forked = [other, operation]
        replacing = set(after.values())
        for start in range(len(self.versions)):
            if start not in replacing:
                block = Block()
                version_in_chain: int | None = start
                while version_in_chain is not None:
                    member = self.versions[version_in_chain]
                    member.block, member.stage = len(self.blocks), len(block.versions)
                    block.versions.append(version_in_chain)
                    version_in_chain = after.get(version_in_chain)
                self.blocks.append(block)
        circle = [version.writer for version in self.versions if version.block < 0 and version.writer is not None]
        if circle:
            self.problem = "the writes replaced each other in a circle"
            self.forked = circle

    def _time(self, operations: Sequence[Operation]) -> None:
        """When each block had begun to take effect and was last added to; then, whether any order fits all that."""
        for block in self.blocks:
            for number in block.versions:
                version, called_ns = self.versions[number], self._called(number)
                if version.settled_ns < block.called_ns and self.real_time:
                    self.problem = f"{show(version.value)} had taken effect before what it replaced was written"
                    return
                if self.real_time or version.writer is None:
                    block.settled_ns = min(block.settled_ns, version.settled_ns)
                block.called_ns = max(block.called_ns, called_ns if self.real_time else BEFORE_ALL_NS + 1)
        self._deletes.sort(key=self._called)
        self._pending_deletes.sort(key=self._called)
        until = BEFORE_ALL_NS
        for number in self._deletes:
            until = max(until, self.blocks[self.versions[number].block].settled_ns)
            self._settled_until.append(until)
        if not self.real_time:
            return
        latest: dict[int, int] = {}
        for number in self.of_write.values():
            writer = self.versions[number].writer
            assert writer is not None, "only writes make versions"
            older = latest.get(writer.process)
            latest[writer.process] = number
            if older is not None and self.versions[older].settled_ns == writer.call:
                first, second = self.versions[older], self.versions[number]
                if first.block != second.block:
                    self.ties[first.block, second.block] = None
                elif first.stage > second.stage:
                    self.problem = f"a process replaced {show(second.value)} before it wrote it"
                    return
        if self.arrange(self.ties)[1]:
            self.problem = "the writes contradict each other in real time"


def arrange(
    settled_ns: Sequence[int], called_ns: Sequence[int], edges: Iterable[tuple[int, int]], rank: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Numbers in an order that fits `edges`, and real time: one precedes another if it settled before that was called.
    Those of small `rank` come early. Then the numbers that no order can hold. O(n log n).

    Takes away, again and again, a number that nothing left must precede. Real time is asked of the two that settled
    first, instead of being written down as n² edges.

    >>> arrange([5, 9, 9], [3, 4, 4], [(2, 1)], range(3)), arrange([5, 9, 9], [3, 6, 4], [(1, 0)], range(3))
    (([0, 2, 1], []), ([2], [0, 1]))
    """
    count = len(settled_ns)
    waits = [0] * count
    after: dict[int, list[int]] = {}
    for one, other in edges:
        waits[other] += 1
        after.setdefault(one, []).append(other)
    by_settled = sorted(range(count), key=settled_ns.__getitem__)
    by_called = sorted(range(count), key=called_ns.__getitem__)
    gone = [False] * count
    free = [False] * count  # nothing that is left precedes it in real time
    ready: list[tuple[int, int]] = []
    arranged: list[int] = []
    first = second = called = 0
    while len(arranged) < count:
        while gone[by_settled[first]]:
            first += 1
        second = max(second, first + 1)
        while second < count and gone[by_settled[second]]:
            second += 1
        earliest = by_settled[first]
        while called < count and called_ns[by_called[called]] <= settled_ns[earliest]:
            one = by_called[called]
            called += 1
            if not free[one]:
                free[one] = True
                if not waits[one]:
                    heappush(ready, (rank[one], one))
        # What settled first does not precede itself: only the second can hold it back.
        holder_ns = settled_ns[by_settled[second]] if second < count else FOREVER_NS
        if not free[earliest] and called_ns[earliest] <= holder_ns:
            free[earliest] = True
            if not waits[earliest]:
                heappush(ready, (rank[earliest], earliest))
        if not ready:
            return arranged, [one for one in range(count) if not gone[one]]
        taken = heappop(ready)[1]
        gone[taken] = True
        arranged.append(taken)
        for other in after.get(taken, ()):
            waits[other] -= 1
            if not waits[other] and free[other]:
                heappush(ready, (rank[other], other))
    return arranged, []


def deed(operation: Operation) -> str:
    """A write in words.

    >>> deed(Operation(0, "cas", "k", 0, 1, "ok", [3, 4])), deed(Operation(0, "delete", "k", 0, 1, "ok"))
    ('cas from 3 to 4', 'delete')
    """
    if operation.f == "cas":
        return f"cas from {show(asked(operation))} to {show(written(operation))}"
    return "delete" if operation.f == "delete" else f"{operation.f} of {show(written(operation))}"


def asked(operation: Operation) -> Scalar:
    """What a cas demands to find."""
    assert isinstance(operation.value, list), "a cas has [from, to]"
    source = operation.value[0]
    assert not isinstance(source, list | dict), "a register holds scalars"
    return source


def returned_before(one: Operation, other: Operation) -> bool:
    """Whether one operation was over when the other was invoked; within a process touching is enough."""
    if one.ret is None:
        return False
    return one.ret < other.call or (one.ret == other.call and one.process == other.process)


def shown(operation: Operation) -> Iterable[Scalar]:
    """Every value that an operation shows to have taken effect by the time it returned."""
    if operation.f == "read":
        if operation.outcome == "ok":
            yield operation.result
        return
    if operation.f == "cas" and operation.outcome == "ok":
        yield asked(operation)
    if not isinstance(operation.old, Missing):
        yield operation.old
    if not isinstance(operation.found, Missing):
        yield operation.found

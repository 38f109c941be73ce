"""Chains of versions: what of the order of one key's versions sessions need, in flat lists, for millions of operations.

Rules of this room:
1. The same facts as in `key_order`, read off with fewer steps and without words: what a write replaced stands right
   before it (a *chain*), and a chain that had begun to take effect before another was last added to is older.
2. Whatever is odd (a value written twice or by nobody, replaced twice, a truth value) makes no chains: `chain_up` gives
   None, and `key_order`, which can say what is wrong, is asked instead.
3. A delete of unknown outcome stands somewhere after its call, which is one of the things that may have been. So orders
   of chains (`some_order`) show what is possible; only without such a delete may the one order that is left
   (`only_order`) show what is not.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, TypeAlias

from dynalab_checkers.committed import written
from dynalab_checkers.history import MISSING, Operation, Scalar
from dynalab_checkers.key_order import BEFORE_ALL_NS, FOREVER_NS, arrange, asked

# Positions of two chains: the first must precede the second.
Edge: TypeAlias = tuple[int, int]


@dataclass(slots=True)
class Chain:
    """A maximal chain: when it had begun to take effect, when it was last added to, its first version, and its place
    in `Chains.chains`.
    """

    settled_ns: int
    called_ns: int
    start: int
    place: int = 0


@dataclass(slots=True)
class Chains:
    """Versions by number (0 is the initial one), and the chains they form, in an order that real time allows.

    `after[n]` is the version that replaced n, 0 if none is known to. `certain`: no delete is of unknown outcome.
    `fits`: real time allows any order at all. `ties`: two writes of a process that touch at one instant.
    """

    initial: Scalar
    writers: list[Operation | None]
    after: list[int]
    number_of: dict[Any, int]
    deletes: list[int]
    chains: list[Chain]
    certain: bool
    fits: bool
    ties: list[Edge]

    def absence_is_a_value(self) -> bool:
        """Whether absent is the state of one version alone, since nothing can have deleted."""
        return not self.deletes

    def only_order(self) -> bool:
        """Whether the order of `chains` is the only one that fits. What touches at one instant may stand either way."""
        latest_settled = BEFORE_ALL_NS - 1
        for chain in self.chains:
            if latest_settled >= chain.called_ns:
                return False
            latest_settled = max(latest_settled, chain.settled_ns)
        return self.certain and self.fits

    def some_order(self, edges: Sequence[Edge]) -> list[Chain] | None:
        """The chains in an order that fits real time and these edges; None if there is none."""
        if not edges:
            return self.chains
        settled = [chain.settled_ns for chain in self.chains]
        called = [chain.called_ns for chain in self.chains]
        order, stuck = arrange(settled, called, edges, range(len(settled)))
        return None if stuck else [self.chains[place] for place in order]

    def concurrent(self, one: int, other: int) -> bool:
        """Whether real time leaves it open that the first of two chains is the older one."""
        return self.chains[one].settled_ns >= self.chains[other].called_ns


def chain_up(operations: Sequence[Operation], *, initial: Scalar = None, real_time: bool = True) -> Chains | None:
    """The chains of one key; None if anything about its versions is odd. O(n log n).

    >>> chains = chain_up([Operation(0, "write", "k", 0, 10, "ok", 1, old=None),
    ...                    Operation(1, "cas", "k", 5, 20, "ok", [1, 2])])
    >>> chains and (chains.number_of[1], chains.after, len(chains.chains))
    (1, [1, 2, 0], 1)
    """
    writers: list[Operation | None] = [None]
    olds: list[Any] = [MISSING]
    number_of: dict[Any, int] = {}
    deletes: list[int] = []
    unsure: list[Operation] = []
    unsure_deletes: list[Operation] = []
    for operation in operations:
        f = operation.f
        if f == "read" or operation.outcome == "fail":
            continue
        value: Any = operation.value
        old: Any = operation.old
        if f == "cas":
            old, value = value
        absent = value is None or f == "delete"
        if operation.outcome != "ok":
            (unsure_deletes if absent else unsure).append(operation)
            continue
        if absent:
            deletes.append(len(writers))
        elif number_of.setdefault(value, len(writers)) != len(writers) or value is True or value is False:
            return None
        writers.append(operation)
        olds.append(old)
    if unsure and not _took_effect(operations, unsure, writers, olds, number_of):
        return None
    # Absent is unique as long as nothing can have deleted, and then it is like any other value.
    unique = not deletes and not unsure_deletes
    if (initial is not None or unique) and number_of.setdefault(initial, 0) != 0:
        return None
    after = [0] * len(writers)
    starts = [0]
    for number in range(1, len(writers)):
        old = olds[number]
        if old is MISSING or (old is None and not unique):
            starts.append(number)  # it replaced something, but the history does not say what
            continue
        older = number_of.get(old)
        if older is None or after[older] or old is True or old is False:
            return None
        after[older] = number
    settled = _settled(operations, writers, number_of) if real_time and (len(starts) > 1 or unsure_deletes) else []
    chains = _chains(starts, after, writers, settled)
    if chains is None:
        return None
    if unsure_deletes:
        deletes.extend(range(len(writers), len(writers) + len(unsure_deletes)))
        chains = _with_unsure_deletes(chains, unsure_deletes, len(writers), real_time)
        writers.extend(unsure_deletes)
        after.extend([0] * len(unsure_deletes))
    for place, chain in enumerate(chains):
        chain.place = place
    ties = _ties(operations, chains, after, writers) if settled else []
    if ties is None:
        return None
    latest_called = BEFORE_ALL_NS - 1
    fits = True
    for chain in chains:
        fits = fits and chain.settled_ns >= latest_called
        latest_called = max(latest_called, chain.called_ns)
    return Chains(initial, writers, after, number_of, deletes, chains, not unsure_deletes, fits, ties)


def _took_effect(
    operations: Sequence[Operation],
    unsure: list[Operation],
    writers: list[Operation | None],
    olds: list[Any],
    number_of: dict[Any, int],
) -> bool:
    """Add the writes of unknown outcome that somebody saw. False if anything about them is odd."""
    seen = {operation.result for operation in operations if operation.f == "read" and operation.outcome == "ok"}
    seen.update(old for old in olds if old is not MISSING)
    seen.update(operation.found for operation in operations if operation.found is not MISSING)
    waiting = [operation for operation in unsure if written(operation) in seen]
    pending: dict[Scalar, list[Operation]] = {}
    for operation in unsure:
        if written(operation) not in seen:
            pending.setdefault(written(operation), []).append(operation)
    while waiting:
        operation = waiting.pop()
        value = written(operation)
        if number_of.setdefault(value, len(writers)) != len(writers) or value is True or value is False:
            return False
        writers.append(operation)
        olds.append(asked(operation) if operation.f == "cas" else MISSING)
        if operation.f == "cas" and asked(operation) in pending:  # it met what it asked for
            waiting.extend(pending.pop(asked(operation)))
    return True


def _settled(operations: Sequence[Operation], writers: list[Operation | None], number_of: dict[Any, int]) -> list[int]:
    """For each version, when it had certainly taken effect: its write had returned, or somebody had seen it."""
    settled = [FOREVER_NS if writer is None or writer.ret is None else writer.ret for writer in writers]
    for operation in operations:
        if operation.ret is None:
            continue
        for value in (operation.result, operation.old, operation.found):
            if value is not None and value is not MISSING:
                number = number_of.get(value, 0)
                writer = writers[number]
                if writer is not None and writer.call <= operation.ret < settled[number]:
                    settled[number] = operation.ret
    return settled


def _chains(
    starts: list[int], after: list[int], writers: list[Operation | None], settled: list[int]
) -> list[Chain] | None:
    """Chains by the middle between their two times: an order that real time allows, if it allows any. None if some
    versions are in no chain: they replaced each other in a circle.

    If one chain must precede another (settled before the other was called) and the other need not precede it (settled
    no earlier than it was called), then the sum of its times is the smaller one.
    """
    chains: list[Chain] = []
    versions = 0
    for start in starts:
        number, first, newest = start, FOREVER_NS, BEFORE_ALL_NS
        while True:
            versions += 1
            writer = writers[number]
            if writer is not None and settled:
                if settled[number] < first:
                    first = settled[number]
                if writer.call > newest:
                    newest = writer.call
            number = after[number]
            if not number:
                break
        # The initial version is before all others; without real time nothing else is known of any two chains.
        if start == 0:
            first = BEFORE_ALL_NS
        elif not settled:
            newest = BEFORE_ALL_NS + 1
        chains.append(Chain(first, newest, start))
    chains.sort(key=lambda chain: chain.settled_ns + chain.called_ns)
    return chains if versions == len(writers) else None


def _with_unsure_deletes(
    chains: list[Chain], unsure_deletes: list[Operation], number: int, real_time: bool
) -> list[Chain]:
    """Each delete of unknown outcome behind the last chain that had settled before its call; the first is `number`."""
    settled_from = list(accumulate((chain.settled_ns for chain in reversed(chains)), min))[::-1]
    behind: list[list[Chain]] = [[] for _ in range(len(chains) + 1)]
    for offset, operation in enumerate(unsure_deletes):
        called_ns = operation.call if real_time else BEFORE_ALL_NS + 1
        place = bisect_left(settled_from, called_ns)
        behind[place].append(Chain(FOREVER_NS, called_ns, number + offset))
    merged = list(behind[0])
    for chain, followers in zip(chains, behind[1:], strict=True):
        merged.append(chain)
        merged.extend(followers)
    return merged


def _ties(
    operations: Sequence[Operation], chains: list[Chain], after: list[int], writers: list[Operation | None]
) -> list[Edge] | None:
    """Chains whose order is known because two writes of one process touch; None if a chain contradicts that."""
    last: dict[int, Operation] = {}
    touching: list[tuple[Operation, Operation]] = []
    for operation in operations:
        if operation.f != "read" and operation.outcome != "fail":
            before = last.get(operation.process)
            if before is not None and before.ret == operation.call:
                touching.append((before, operation))
            last[operation.process] = operation
    if not touching:
        return []
    place_of: dict[int, tuple[int, int]] = {}
    for place, chain in enumerate(chains):
        number, stage = chain.start, 0
        while True:
            writer = writers[number]
            if writer is not None:
                place_of[id(writer)] = (place, stage)
            number, stage = after[number], stage + 1
            if not number:
                break
    ties: list[Edge] = []
    for one, other in touching:
        first, second = place_of.get(id(one)), place_of.get(id(other))
        if first is None or second is None:
            continue  # of unknown outcome, and nobody has seen it
        if first[0] != second[0]:
            ties.append((first[0], second[0]))
        elif first[1] > second[1]:
            return None
    return ties

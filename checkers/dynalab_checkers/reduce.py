"""From a key that is not linearizable to the few operations that show it.

A part of a history may only be judged if a valid history has none but valid parts. Leaving out a write leaves reads of
its value hanging, so a part is *weakened* first: a read stays only if every write that may have given it its value
stays, and an operation whose old value lost its writer forgets that it knew the old value. What is left out of a legal
order then leaves a legal order, so a part found invalid convicts the whole.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from dynalab_checkers.history import MISSING, Json, Operation
from dynalab_checkers.register_facts import Problem
from dynalab_checkers.shrink import minimise
from dynalab_checkers.words import Token, token

# Operations judged while a counterexample is made smaller; it stays a counterexample when this runs out.
WORK_MAX = 200_000
# Longer parts are not tried as a whole: judging them again would cost more than the smaller picture is worth.
PART_MAX = 20_000

JudgePart = Callable[[list[Operation]], tuple[str, Problem | None]]


@dataclass(slots=True)
class Reduced:
    """A violation made small: operations in the order of their calls, those to mark, and the sentence."""

    operations: list[Operation]
    highlight: list[Operation]
    why: str


def reduce_register(
    operations: Sequence[Operation], initial: Token, problem: Problem, truncate_ns: int | None, judge: JudgePart
) -> Reduced:
    """The smallest part found of a register's history that is invalid by itself."""
    index = Parts(operations, initial)
    before = [n for n, o in enumerate(operations) if truncate_ns is None or o.call <= truncate_ns]
    # From small to large: what the judge named, with the writers of what it read; then the links between; then all.
    named = index.closed(problem.operations)
    candidates = [named, index.closed([*named, *problem.links]), before]
    for candidate in candidates:
        if len(candidate) > PART_MAX:
            continue
        if judge(index.weakened(candidate, truncate_ns)[0])[0] == "invalid":
            break
    else:
        return _as_named(operations, problem)
    small = minimise(candidate, lambda part: judge(index.weakened(part, truncate_ns)[0])[0] == "invalid", WORK_MAX)
    part, kept = index.weakened(small, truncate_ns)
    verdict, reason = judge(part)
    assert verdict == "invalid", "a part found invalid stays invalid"
    if reason is None or set(problem.operations) <= set(kept):
        reason = problem  # its sentence knew the whole history
    marked = [operations[kept[n]] for n in reason.highlight] if reason is not problem else []
    return Reduced([operations[n] for n in kept], marked or [operations[n] for n in problem.highlight], reason.why)


def reduce_by_reads(
    operations: Sequence[Operation],
    problem: Problem,
    truncate_ns: int | None,
    judge: JudgePart,
    only_looks: Callable[[Operation], bool],
) -> Reduced:
    """For models of which only this is known: a history may be cut at a return, and reads may be left out."""
    before = [_cut(o, truncate_ns) for o in operations if truncate_ns is None or o.call <= truncate_ns]
    original = [o for o in operations if truncate_ns is None or o.call <= truncate_ns]
    reads = [n for n, o in enumerate(before) if only_looks(o)]
    others = set(range(len(before))).difference(reads)

    def still_invalid(part: list[int]) -> bool:
        chosen = others.union(part)
        return judge([o for n, o in enumerate(before) if n in chosen])[0] == "invalid"

    if len(before) > PART_MAX or not still_invalid(reads):
        return _as_named(operations, problem)
    small = minimise(reads, still_invalid, WORK_MAX // 20) if reads else []
    shown = others.union(small)
    marked = [operations[n] for n in problem.highlight]
    return Reduced([o for n, o in enumerate(original) if n in shown], marked, problem.why)


def _as_named(operations: Sequence[Operation], problem: Problem) -> Reduced:
    shown = sorted(set(problem.operations))
    return Reduced([operations[n] for n in shown], [operations[n] for n in problem.highlight], problem.why)


def _cut(operation: Operation, truncate_ns: int | None) -> Operation:
    """The operation as it was known at `truncate_ns`: not yet returned, if it returned later."""
    if truncate_ns is None or operation.ret is None or operation.ret <= truncate_ns:
        return operation
    return replace(operation, ret=None, ret_index=None, outcome="info", result=None, old=MISSING, found=MISSING)


def _written(operation: Operation) -> Token:
    if operation.f == "cas":
        assert isinstance(operation.value, list), "the format has checked it"
        return token(operation.value[1])
    return None if operation.f == "delete" else token(operation.value)


class Parts:
    """Parts of one key's history, weakened so that a valid history has only valid parts. Knows who may have written
    what.
    """

    def __init__(self, operations: Sequence[Operation], initial: Token) -> None:
        self.operations = operations
        self.initial = initial
        self.by_value: dict[Token, list[int]] = {}
        self.all: list[int] = []
        for n, operation in enumerate(operations):
            if operation.f in ("write", "cas", "delete") and operation.outcome != "fail":
                self.by_value.setdefault(_written(operation), []).append(n)
                self.all.append(n)
        self.calls = {value: [operations[n].call for n in writers] for value, writers in self.by_value.items()}
        self.all_calls = [operations[n].call for n in self.all]

    def supporters(self, value: Token, until: int | None) -> list[int]:
        """Every write that may have given `value` to something that returned at `until`."""
        writers = self.by_value.get(value, [])
        # A value read before anybody wrote it: the first write shows that it came too late.
        return writers if until is None else writers[: max(1, bisect_right(self.calls.get(value, []), until))]

    def closed(self, indices: Sequence[int]) -> list[int]:
        """These operations and the writers of what they saw."""
        chosen = set(indices)
        for n in indices:
            operation = self.operations[n]
            seen = _seen(operation)
            if seen is not MISSING:
                writers = self.supporters(token(seen), operation.ret)
                if len(writers) <= 64:
                    chosen.update(writers)
        return sorted(chosen)

    def weakened(self, part: Sequence[int], truncate_ns: int | None) -> tuple[list[Operation], list[int]]:
        """The part as it may be judged, and which operations of the whole it consists of."""
        chosen = set(part)
        result: list[Operation] = []
        kept: list[int] = []
        for n in sorted(chosen):
            operation = self._weaken(_cut(self.operations[n], truncate_ns), chosen)
            if operation is not None:
                result.append(operation)
                kept.append(n)
        return result, kept

    def _weaken(self, operation: Operation, chosen: set[int]) -> Operation | None:
        f, outcome = operation.f, operation.outcome
        if f == "read" or outcome == "fail":
            seen = _seen(operation)
            if outcome == "info" or (outcome == "fail" and seen is MISSING and f != "cas"):
                return None
            if seen is MISSING:
                # "It was not u": leaving out any write before it could make it u.
                reach = len(self.all) if operation.ret is None else bisect_right(self.all_calls, operation.ret)
                return operation if all(n in chosen for n in self.all[:reach]) else None
            return operation if self._supported(token(seen), operation.ret, chosen) else None
        seen = _seen(operation)
        if seen is MISSING or self._supported(token(seen), operation.ret, chosen):
            return operation
        if _written(operation) is None:
            return replace(operation, f="delete", value=None, old=MISSING)
        return replace(operation, f="write", value=_value(operation), old=MISSING)

    def _supported(self, value: Token, until: int | None, chosen: set[int]) -> bool:
        return all(n in chosen for n in self.supporters(value, until))


def _seen(operation: Operation) -> object:
    """What an operation learnt of the state it met, MISSING if nothing."""
    if operation.f == "read":
        return operation.result if operation.outcome == "ok" else MISSING
    if operation.outcome == "fail":
        return operation.found
    if operation.f == "cas":
        assert isinstance(operation.value, list), "the format has checked it"
        return operation.value[0]
    return operation.old


def _value(operation: Operation) -> Json:
    return operation.value[1] if operation.f == "cas" and isinstance(operation.value, list) else operation.value

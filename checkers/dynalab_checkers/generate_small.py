"""Small random histories of one register, many of them wrong, for holding checkers against each other.

The generator runs a real register and gives each operation a moment within its interval; when it corrupts, some moments
lie outside, and some answers are changed. Times are drawn from a small range, so that many are equal.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from dynalab_checkers.history import MISSING, History, Operation, Scalar


@dataclass(frozen=True, slots=True)
class Taste:
    """What kind of history to make; probabilities in percent."""

    operations: int = 7
    processes: int = 3
    span: int = 12  # times are drawn from 0..span: small, so that many are equal
    old_known: int = 60
    found_known: int = 60
    deletes: int = 25
    indeterminate: int = 20
    weak_reads: int = 10
    repeated_values: bool = False
    gap: int = 3
    corrupt: int = 80
    initial: int | None = None


def small_history(seed: int, taste: Taste) -> list[Operation]:
    """A history of one key, in the order of its calls."""
    draw = random.Random(seed)

    def chance(percent: int) -> bool:
        return draw.randrange(100) < percent

    free = [0] * taste.processes
    names = list(range(taste.processes))
    planned: list[Operation] = []
    fresh = 1
    for _ in range(draw.randrange(taste.operations // 2, taste.operations + 1)):
        slot = draw.randrange(taste.processes)
        call = free[slot] + draw.randrange(taste.gap)
        ret = call + draw.randrange(taste.span // 2)
        free[slot] = ret
        f = draw.choice(["read", "read", "write", "write", "cas", "cas"])
        if f in ("write", "cas") and chance(taste.deletes):
            f = "delete" if f == "write" else "cas-delete"
        planned.append(Operation(names[slot], f, "k", call, ret, "ok"))
        if f != "read" and chance(taste.indeterminate):
            planned[-1].outcome = "info"
            names[slot] = max(names) + 1
    # Each takes effect at a moment of its own; an operation of unknown outcome at any later one, or never.
    corrupt = chance(taste.corrupt)
    moments: list[tuple[int, int, int]] = []
    for n, operation in enumerate(planned):
        assert operation.ret is not None
        moment = draw.randint(operation.call, operation.ret)
        if operation.outcome == "info":
            moment = operation.call + draw.randrange(taste.span)
            if chance(40):
                continue
        if corrupt and chance(30):
            moment += draw.randint(-taste.span, taste.span)  # too early or too late
        # Of one process that touches itself the first comes first: n grows within a process.
        moments.append((moment, n if taste.gap == 1 else draw.randrange(100) if _alone(planned, n) else n, n))
    moments.sort()
    state: Scalar = taste.initial
    written: list[Scalar] = [None, taste.initial]
    for _, _, n in moments:
        operation = planned[n]
        f, outcome = operation.f, operation.outcome
        if taste.repeated_values:
            value: Scalar = draw.randrange(3)
        else:
            value, fresh = fresh, fresh + 1
        if f == "read":
            operation.result = state
            if chance(taste.weak_reads):
                operation.consistency = "eventual"
                operation.result = draw.choice(written)
            continue
        target = None if f in ("delete", "cas-delete") else value
        if f in ("cas", "cas-delete"):
            operation.f = "cas"
            expected = state if chance(60) else draw.choice([*written, 77])
            operation.value = [expected, target]
            if expected != state:
                if outcome == "ok":
                    operation.outcome = "fail"
                    if chance(taste.found_known):
                        operation.found = state
                continue
        elif f == "write":
            operation.value = target
        if outcome == "ok" and chance(taste.old_known):
            operation.old = state
        state = target
        written.append(target)
    for operation in planned:  # those of unknown outcome that never took effect
        if operation.f == "cas-delete":
            operation.f, operation.value = "cas", [draw.choice(written), None]
        elif operation.f == "cas" and operation.value is None:
            fresh += 1
            operation.value = [draw.choice(written), draw.randrange(3) if taste.repeated_values else fresh]
        elif operation.f == "write" and operation.value is None:
            fresh += 1
            operation.value = draw.randrange(3) if taste.repeated_values else fresh
    if corrupt:
        for _ in range(draw.randrange(3)):
            _corrupt(draw, planned, written)
    return _indexed(planned)


def _alone(planned: list[Operation], n: int) -> bool:
    return not any(o.process == planned[n].process and o is not planned[n] for o in planned)


def _corrupt(draw: random.Random, planned: list[Operation], written: list[Scalar]) -> None:
    operation = draw.choice(planned)
    if operation.f == "read":
        operation.result = draw.choice(written)
    elif operation.outcome == "ok" and operation.old is not MISSING and operation.f != "cas":
        operation.old = draw.choice(written)
    elif operation.outcome == "fail" and operation.found is not MISSING:
        operation.found = draw.choice(written)
    elif operation.outcome == "ok" and operation.f == "write" and draw.randrange(2):
        operation.outcome, operation.old = "fail", MISSING


def _indexed(planned: list[Operation]) -> list[Operation]:
    """Indices by time; within one instant whatever keeps each process in its order."""
    rows: list[tuple[int, int, Operation, bool]] = []
    for n, operation in enumerate(planned):
        rows.append((operation.call, 2 * n, operation, True))
        assert operation.ret is not None
        if operation.outcome == "info":
            operation.ret = None
            continue
        rows.append((operation.ret, 2 * n + 1, operation, False))
    rows.sort(key=lambda row: row[:2])
    for index, (_, _, operation, is_call) in enumerate(rows):
        if is_call:
            operation.call_index = index
        else:
            operation.ret_index = index
    return History(planned).operations


TASTES: Final = {
    "everything": Taste(corrupt=100),
    "every old value known": Taste(old_known=100, found_known=100, weak_reads=0, corrupt=100),
    "blind": Taste(old_known=0, corrupt=100),
    "no deletes": Taste(deletes=0, old_known=40, corrupt=100),
    "wide": Taste(operations=8, processes=4, indeterminate=35, deletes=40, found_known=100, corrupt=100),
    "deletes that nobody saw": Taste(
        operations=8, processes=4, deletes=60, indeterminate=55, found_known=100, corrupt=100
    ),
    "two busy processes": Taste(operations=9, processes=2, span=6, deletes=50, indeterminate=10, corrupt=100),
    "every process touches itself": Taste(gap=1, span=8, corrupt=100),
    "failed conditions that told nothing": Taste(
        operations=8, processes=4, old_known=20, found_known=0, deletes=15, indeterminate=10, weak_reads=0, corrupt=100
    ),
    "an initial value": Taste(initial=900, operations=9, corrupt=100),
    "repeated values": Taste(repeated_values=True, corrupt=100),
}

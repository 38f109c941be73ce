"""Histories made by seed: a real register per key, driven by concurrent clients. For benchmarks, tests and lessons.

Each operation takes effect at one drawn moment between its call and its return, so a history is valid by construction,
until a violation is planted in it. Integers only: the same seed gives the same history everywhere.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from heapq import heapify, heapreplace
from typing import Final

from dynalab_checkers.history import MISSING, History, Operation, Scalar

# Room for the numbers of operations beside a time in one integer: tuples would take four times the memory.
_NUMBER_BITS: Final = 40
_NUMBER_MASK: Final = (1 << _NUMBER_BITS) - 1
_MIDDLE: Final = 1 << (_NUMBER_BITS - 1)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to make a history. Shares in percent (of the writes, for deletes), indeterminate ones in per mille.

    `old_values`: acknowledged writes tell what they replaced, failed conditions what they found. An indeterminate
    operation takes effect half of the time, up to `latency_max_ns` after the client has given up. `near_misses`:
    half of the conditions ask for one of the last three values, and not for any value at all.
    """

    operations: int = 1000
    keys: int = 1
    processes: int = 20
    reads: int = 50
    conditional: int = 20
    deletes: int = 0
    indeterminate_per_mille: int = 0
    old_values: bool = True
    latency_max_ns: int = 10_000_000
    pause_max_ns: int = 1_000_000
    near_misses: bool = False


def register_history(seed: int, recipe: Recipe = Recipe()) -> History:
    """A valid history of registers that begin absent; written values are unique.

    >>> from dynalab_checkers.linearizability import check_register
    >>> history = register_history(7, Recipe(operations=200, keys=2, indeterminate_per_mille=30, deletes=20))
    >>> len(history), check_register(history).verdict
    (200, 'valid')
    """
    draw = random.Random(seed).randrange
    clients = [(draw(recipe.pause_max_ns), process) for process in range(recipe.processes)]
    heapify(clients)
    next_process = recipe.processes
    names = [f"k{n}" for n in range(recipe.keys)]
    operations: list[Operation] = []
    # A moment and an operation in one integer, ordered by both; operation ~n never takes effect.
    moments: list[int] = []
    for n in range(recipe.operations):
        call, process = clients[0]
        ret = call + 1 + draw(recipe.latency_max_ns)
        operation = Operation(process, "read", names[draw(recipe.keys)], call, ret, "ok")
        shape = draw(100)
        if shape >= recipe.reads:
            operation.f = "cas" if shape < recipe.reads + recipe.conditional else "write"
            if recipe.deletes and draw(100) < recipe.deletes:
                operation.f = "delete" if operation.f == "write" else "cas-delete"
        if draw(1000) < recipe.indeterminate_per_mille and operation.f != "read":
            operation.outcome = "info"
            operation.info_time = ret
            operation.ret = None
            process = next_process
            next_process += 1
            moment = call + 1 + draw(2 * recipe.latency_max_ns)
            moments.append((moment << _NUMBER_BITS) + (n if draw(2) else ~n) + _MIDDLE)
        else:
            moments.append((call + draw(ret - call + 1) << _NUMBER_BITS) + n + _MIDDLE)
        heapreplace(clients, (ret + 1 + draw(recipe.pause_max_ns), process))
        operations.append(operation)
    moments.sort()
    _run(operations, moments, recipe, draw)
    return History(_number(operations))


def plant_stale_read(history: History, seed: int) -> History:
    """The same history, but one strong read returns a value that an acknowledged write had replaced before the read
    began.

    Raises ValueError if no read of the history can be made stale.
    """
    draw = random.Random(seed)
    latest: dict[str, list[Operation]] = {}
    candidates: list[tuple[int, Scalar]] = []
    for n, operation in enumerate(history.operations):
        writes = latest.setdefault(operation.key, [])
        if operation.f == "write" and operation.outcome == "ok":
            writes.append(operation)
        elif operation.f == "read" and operation.outcome == "ok":
            older = _replaced_before(writes, operation.call)
            if older is not None:
                candidates.append((n, older))
    if not candidates:
        raise ValueError("no read here can be made stale")
    place, value = candidates[draw.randrange(len(candidates))]
    operations = list(history.operations)
    operations[place] = replace(operations[place], result=value)
    return History(operations)


def _replaced_before(writes: list[Operation], call: int) -> Scalar:
    """A value written and returned before another write began that returned before `call`; None if there is none."""
    for later in reversed(writes[-40:]):
        if later.ret is not None and later.ret < call:
            for earlier in reversed(writes[-40:]):
                if earlier.ret is not None and earlier.ret < later.call and not isinstance(earlier.value, (list, dict)):
                    return earlier.value
    return None


def _run(operations: list[Operation], moments: list[int], recipe: Recipe, draw: Callable[[int], int]) -> None:
    """Run the register of each key over the moments; ~n marks an operation that never takes effect."""
    states: dict[str, Scalar] = {}
    recent: dict[str, list[Scalar]] = {}
    old_values = recipe.old_values
    fresh = 0
    for moment in moments:
        n = (moment & _NUMBER_MASK) - _MIDDLE
        operation = operations[n if n >= 0 else ~n]
        key = operation.key
        state = states.get(key)
        f = operation.f
        if f == "read":
            operation.result = state
            continue
        target: Scalar = None
        if f in ("write", "cas"):
            fresh += 1
            target = fresh
        if f in ("cas", "cas-delete"):
            # Half of the conditions ask for what is there, the others for what was there some writes ago or never will
            # be.
            expected: Scalar = state if draw(2) else draw(fresh + 2) + 1
            if recipe.near_misses and expected != state:
                values = recent.get(key, [])
                expected = values[draw(len(values))] if values else expected
            if expected == target:
                expected = state
            operation.f = "cas"
            operation.value = [expected, target]
            if expected != state or n < 0:
                if operation.outcome == "ok":
                    operation.outcome = "fail"
                    operation.found = state if old_values else MISSING
                continue
        elif f == "write":
            operation.value = target
        if n >= 0:
            if old_values and operation.outcome == "ok":
                operation.old = state
            states[key] = target
            if recipe.near_misses:
                recent[key] = [*recent.get(key, [])[-2:], state]


def _number(operations: list[Operation]) -> list[Operation]:
    events = [((operation.call << 1 | 1) << _NUMBER_BITS) + n for n, operation in enumerate(operations)]
    for n, operation in enumerate(operations):
        end = operation.info_time if operation.ret is None else operation.ret
        if end is not None:
            events.append((end << 1 << _NUMBER_BITS) + n)
    events.sort()
    for index, event in enumerate(events):
        n = event & _NUMBER_MASK
        if event >> _NUMBER_BITS & 1:
            operations[n].call_index = index
        else:
            operations[n].ret_index = index
    return operations

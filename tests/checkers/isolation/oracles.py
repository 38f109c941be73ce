"""Isolation by brute force: try every order. Slow, and so short that it can be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, permutations
from typing import Any, TypeAlias

from dynalab_checkers.history import History, Operation

State: TypeAlias = dict[str, Any]


def serializable(history: History, *, realtime: bool = False) -> bool:
    """Whether some order of the transactions explains all they returned; with real time and processes, if asked."""
    for chosen in happened(history):
        for order in permutations(chosen):
            if realtime and any(
                before(later, earlier) for place, earlier in enumerate(order) for later in order[place + 1 :]
            ):
                continue
            state: State = {}
            if all(execute(operation, state) for operation in order):
                return True
    return False


def snapshot_isolated(history: History, *, realtime: bool = False) -> bool:
    """Whether starts and commits can be placed so that everybody reads the snapshot of its start, and nobody commits
    over what was committed since. Who leaves a key as it was (absent, since values are unique) has not changed it.
    """
    return any(_place(chosen, [{}], {}, frozenset(), realtime) for chosen in happened(history))


def _place(
    waiting: Sequence[Operation],
    states: list[State],
    running: Mapping[int, tuple[Operation, int, State]],
    committed: frozenset[int],
    realtime: bool,
) -> bool:
    """Search: start one of the waiting, or commit one of the running. `states`: after every commit so far."""
    if not waiting and not running:
        return True
    for number, (operation, since, view) in running.items():
        written = {key for key, _ in changes(operation) if view.get(key) != states[since].get(key)}
        if any(state.get(key) != states[since].get(key) for state in states[since:] for key in written):
            return False  # somebody else has committed a change of the same key since: this can never end
        after = {**states[-1], **{key: view[key] for key in written}}
        rest = {other: entry for other, entry in running.items() if other != number}
        if _place(waiting, [*states, after], rest, committed | {number}, realtime):
            return True
    for operation in waiting:
        others = [other for other in waiting if other is not operation] + [entry[0] for entry in running.values()]
        if realtime and any(before(other, operation) for other in others):
            continue
        view = dict(states[-1])
        if execute(operation, view):
            entry = (operation, len(states) - 1, view)
            left = [other for other in waiting if other is not operation]
            if _place(left, states, {**running, operation.call_index: entry}, committed, realtime):
                return True
    return False


def happened(history: History) -> Iterator[list[Operation]]:
    """Every choice of the transactions of unknown outcome, beside those that returned ok."""
    sure = [operation for operation in history if operation.outcome == "ok"]
    unsure = [operation for operation in history if operation.outcome == "info"]
    for count in range(len(unsure) + 1):
        for some in combinations(unsure, count):
            yield [*sure, *some]


def before(one: Operation, other: Operation) -> bool:
    """Real time, and the order within a process."""
    if one.ret is None or one.ret_index is None:
        return False
    return one.ret < other.call or (one.process == other.process and one.ret_index < other.call_index)


def changes(operation: Operation) -> list[tuple[str, Any]]:
    """The keys that a transaction changes."""
    value: Any = operation.value
    return [(micro[1], micro) for micro in value if micro[0] != "r"]


def execute(operation: Operation, state: State) -> bool:
    """Run a transaction on a state, which is changed; whether it returned what it did (if that is known)."""
    known = operation.outcome == "ok"
    value: Any = operation.value
    for micro in value:
        kind, key = micro[0], micro[1]
        current = state.get(key)
        if kind == "r":
            if known and (current or None) != (micro[2] or None):
                return False
        elif kind == "append":
            if known and len(micro) > 3 and (current or []) != micro[3]:
                return False
            state[key] = [*(current or []), micro[2]]
        elif kind == "w":
            if known and len(micro) > 3 and current != micro[3]:
                return False
            state[key] = micro[2]
        elif kind == "cas":
            if current != micro[2]:
                return False
            state[key] = micro[3]
        elif kind == "d":
            if known and len(micro) > 2 and current != micro[2]:
                return False
            state[key] = None
        else:
            raise AssertionError(f"the oracle knows no {kind}")
    return True

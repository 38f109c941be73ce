"""Random small histories of transactions together with single operations, and an oracle that tries every order.

Run as a program for the counts: python -m tests.checkers.isolation.mixed [COUNT]
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dynalab_checkers.history import History, Operation
from dynalab_checkers.isolation import check_transactions
from tests.checkers.isolation.differential import small_history
from tests.checkers.isolation.oracles import State, before, execute, happened

# What may become of a transaction of one write, and of one that only reads.
SINGLE_WRITES = {"append": "append", "w": "write"}
READS = ("txn", "get", "query", "eventual")


def mixed_history(seed: int, kind: str, *, deletes: bool = False) -> History:
    """A small history of transactions some of which are taken apart: one that only read becomes a query or a single
    read, one that wrote a single key becomes a single write, and a cancelled one tells what it found.
    """
    history = small_history(seed, kind, old_values=seed % 3 == 0, deletes=deletes)
    draw = random.Random(seed + 1_000_000).randrange
    versions: dict[str, list[Any]] = {"x": [None], "y": [None]}
    for operation in history:
        for micro in _micros(operation):
            if micro[0] == "r" and micro[2] not in versions[micro[1]]:
                versions[micro[1]].append(micro[2])
    for operation in history:
        micros = _micros(operation)
        if operation.outcome == "ok" and all(micro[0] == "r" for micro in micros):
            _take_apart(operation, READS[draw(4)], kind)
        elif operation.outcome == "fail" and draw(2):
            key = "xy"[draw(2)]
            operation.ret_extra = {"reasons": {key: versions[key][draw(len(versions[key]))]}}
        elif len(micros) == 1 and len(micros[0]) == 3 and micros[0][0] in SINGLE_WRITES and draw(2):
            operation.f = SINGLE_WRITES[micros[0][0]]
            operation.key, operation.value = micros[0][1], micros[0][2]
    return history


def _micros(operation: Operation) -> list[Any]:
    value: Any = operation.value
    return list(value)


def _take_apart(operation: Operation, sort: str, kind: str) -> None:
    items: dict[str, Any] = {}
    for micro in _micros(operation):
        items.setdefault(micro[1], micro[2])
    if sort == "txn":
        return
    if len(items) == 1 and sort == "get":
        operation.key, value = next(iter(items.items()))
        operation.f, operation.value = "get", None
        if kind == "rw-register":
            operation.f, operation.result = "read", value
        else:
            operation.ret_extra = {"value": value}
        return
    operation.f, operation.value = "query", None
    operation.consistency = "eventual" if sort == "eventual" else "strong"
    operation.ret_extra = {"items": dict(items)}


@dataclass(slots=True, eq=False)
class Step:
    """A piece of an operation, as the promise sees it."""

    operation: Operation
    run: Operation  # as a transaction that the oracle can execute
    ordered: bool  # in time with all others that are
    of_item: bool  # in time with all others of its keys that are


def _steps(operation: Operation) -> Iterator[Step]:
    def piece(micros: list[Any], outcome: str, ordered: bool, of_item: bool) -> Step:
        return Step(operation, Operation(0, "txn", "", 0, None, outcome, micros), ordered, of_item)

    strong = operation.consistency in (None, "strong")
    reasons: Any = operation.ret_extra.get("reasons", {})
    items: Any = operation.ret_extra.get("items", reasons)
    if operation.f == "txn" and operation.outcome != "fail":
        yield piece(_micros(operation), operation.outcome, True, True)
    elif operation.f == "get":
        yield piece([["r", operation.key, operation.ret_extra["value"]]], "ok", False, True)
    elif operation.f == "read":
        yield piece([["r", operation.key, operation.result]], "ok", False, True)
    elif operation.f in ("append", "write") and operation.outcome != "fail":
        name = "append" if operation.f == "append" else "w"
        yield piece([[name, operation.key, operation.value]], operation.outcome, True, True)
    for key, value in items.items():
        yield piece([["r", key, value]], "ok", False, strong)


def explained(history: History, *, realtime: bool = True) -> bool:
    """Whether one order explains all that was returned, in which transactions and single writes follow real time, and a
    strong single read does so beside everything that touches its item.
    """
    pieces = [step for operation in history for step in _steps(operation)]
    sure = [step for step in pieces if step.run.outcome == "ok"]
    unsure = {step.operation.call_index: step for step in pieces if step.run.outcome == "info"}
    for chosen in happened(History(step.operation for step in unsure.values())):
        if _search([*sure, *(unsure[operation.call_index] for operation in chosen)], {}, realtime):
            return True
    return False


def _search(waiting: list[Step], state: State, realtime: bool) -> bool:
    for step in waiting:
        others = [other for other in waiting if other is not step]
        if realtime and any(_must_precede(other, step) for other in others):
            continue
        after = dict(state)
        if execute(step.run, after) and _search(others, after, realtime):
            return True
    return not waiting


def _must_precede(one: Step, other: Step) -> bool:
    together = one.ordered and other.ordered
    if not together and one.of_item and other.of_item:
        together = bool({m[1] for m in _micros(one.run)} & {m[1] for m in _micros(other.run)})
    return together and before(one.operation, other.operation)


SORTS = (("list-append", False), ("rw-register", False), ("rw-register", True))  # the kind, whether there are deletes


def differences(seeds: range, kind: str, deletes: bool, level: str) -> tuple[list[int], Counter[str]]:
    """The seeds of histories that the checker judges otherwise than the oracle, and the verdicts by the oracle's word.

    Unknown differs, too, unless nothing in the history depended on anything.
    """
    wrong: list[int] = []
    counts: Counter[str] = Counter()
    for seed in seeds:
        history = mixed_history(seed, kind, deletes=deletes)
        right = explained(history, realtime=level == "strict-serializable")
        verdict = check_transactions(history, kind=kind, model=level, mixed=True)
        empty = verdict.verdict == "unknown" and verdict.details["dependencies"] == 0
        counts["empty" if empty else "right" if right else "wrong"] += 1
        if (not right and verdict.verdict != "invalid") or (right and verdict.verdict != "valid" and not empty):
            wrong.append(seed)
    return wrong, counts


if __name__ == "__main__":
    asked = range(int(sys.argv[1]) if len(sys.argv) > 1 else 6000)
    for kind, deletes in SORTS:
        for level in ("strict-serializable", "serializable"):
            wrong, counts = differences(asked, kind, deletes, level)
            print(
                f"{kind}{', deletes' if deletes else ''}, {level}: {dict(sorted(counts.items()))}, differing: {wrong}"
            )

"""Random small histories against the oracles.

Run as a program for the tables: python -m tests.checkers.isolation.differential [COUNT [SORT]], with SORT from 0 to 5
for one of them. docs/assets/isolation-misses.md holds what it printed for 20,000.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dynalab_checkers.history import History, Operation
from dynalab_checkers.isolation import check_transactions
from tests.checkers.isolation.anomalies import NAMES, name_anomaly
from tests.checkers.isolation.oracles import serializable, snapshot_isolated

ORACLES: dict[str, Callable[[History], bool]] = {
    "serializable": serializable,
    "strict-serializable": lambda history: serializable(history, realtime=True),
    "snapshot-isolation": snapshot_isolated,
    "strong-snapshot-isolation": lambda history: snapshot_isolated(history, realtime=True),
}


@dataclass(slots=True)
class Tally:
    """Histories by what oracle and checker said. `missed`: the seeds of wrong ones that were not called invalid."""

    histories: int = 0
    accepted: int = 0
    wrongly_rejected: list[int] = field(default_factory=list)
    missed: list[int] = field(default_factory=list)
    by_anomaly: Counter[str] = field(default_factory=Counter)

    @property
    def rejected(self) -> int:
        return self.histories - self.accepted


def small_history(seed: int, kind: str, *, old_values: bool = False, deletes: bool = False) -> History:
    """Two to four transactions over two keys. Some are run one after another and then spoilt; in the others every
    transaction reads each key at a version of its own, as a store without isolation would let it.
    """
    draw = random.Random(seed).randrange
    operations: list[Operation] = []
    time = 0
    fresh = 0
    for process in range(2 + draw(3)):
        micros: list[Any] = []
        for _ in range(1 + draw(3)):
            key = "xy"[draw(2)]
            if draw(2):
                micros.append(["r", key, None])
            elif deletes and not draw(5):
                micros.append(["d", key])
            else:
                fresh += 1
                micros.append(["append" if kind == "list-append" else "w", key, fresh])
        outcome = ("fail", "info", "info")[draw(3)] if not draw(6) else "ok"
        call = time + draw(4)
        time = call + (0 if draw(3) else 1 + draw(3))
        operations.append(Operation(process, "txn", "", call, call + 1 + draw(8), outcome, micros))
    seen = _run(operations, draw, old_values)
    if draw(4):
        _loosen(operations, seen, draw, old_values)
    else:
        for _ in range(draw(4)):
            _spoil(operations, seen, draw)
    return _numbered(operations, draw)


def _run(operations: list[Operation], draw: Callable[[int], int], old_values: bool) -> dict[str, list[Any]]:
    """Fill in what each transaction reads, in the order of the list. Returns all versions of each key."""
    state: dict[str, Any] = {}
    seen: dict[str, list[Any]] = {"x": [None], "y": [None]}
    for operation in operations:
        before = dict(state)
        value: Any = operation.value
        for micro in value:
            key = micro[1]
            if micro[0] == "r":
                micro[2] = state.get(key)
                continue
            old = state.get(key)
            state[key] = [*(old or []), micro[2]] if micro[0] == "append" else micro[2] if micro[0] == "w" else None
            seen[key].append(state[key])
            if old_values and operation.outcome == "ok":
                micro.append((old or []) if micro[0] == "append" else old)
        if operation.outcome == "fail" or (operation.outcome == "info" and draw(2)):
            state = before
    return seen


def _loosen(
    operations: list[Operation], seen: dict[str, list[Any]], draw: Callable[[int], int], old_values: bool
) -> None:
    """Let each transaction read each key at some version, consistently within itself; writes stay in their order."""
    for operation in operations:
        value: Any = operation.value
        view: dict[str, Any] = {}
        for micro in value:
            key, versions = micro[1], seen[micro[1]]
            if key not in view:
                own = [place for place, version in enumerate(versions) if _is_of(version, value, key)]
                last = min(own, default=len(versions))
                # Mostly the newest that it may see: a store that loses everything shows only the coarsest anomalies.
                view[key] = versions[last - 1 if micro[0] != "r" or draw(2) else draw(last)]
            old = view[key]
            if micro[0] == "r":
                micro[2] = old
                continue
            view[key] = [*(old or []), micro[2]] if micro[0] == "append" else micro[2] if micro[0] == "w" else None
            if old_values and operation.outcome == "ok":
                micro[-1] = (old or []) if micro[0] == "append" else old


def _is_of(version: Any, micros: list[Any], key: str) -> bool:
    """Whether this version was made by one of these micro-operations, or after it."""
    made = {micro[2] for micro in micros if micro[0] in ("append", "w") and micro[1] == key}
    return bool(made & set(version)) if isinstance(version, list) else version in made


def _spoil(operations: list[Operation], seen: dict[str, list[Any]], draw: Callable[[int], int]) -> None:
    """Let one transaction have seen another version."""
    value: Any = operations[draw(len(operations))].value
    micro = value[draw(len(value))]
    if micro[0] == "r":
        micro[2] = seen[micro[1]][draw(len(seen[micro[1]]))]
    elif len(micro) > {"append": 3, "w": 3, "d": 2}[micro[0]]:
        micro[-1] = seen[micro[1]][draw(len(seen[micro[1]]))]
        if micro[0] == "append":
            micro[-1] = micro[-1] or []


def _numbered(operations: list[Operation], draw: Callable[[int], int]) -> History:
    events: list[tuple[int, int, int]] = []
    last: dict[int, Operation] = {}
    for number, operation in enumerate(operations):
        # Some processes run two transactions, one after the other.
        for process, earlier in last.items():
            if earlier.ret is not None and earlier.ret <= operation.call and not draw(2):
                operation.process = process
                break
        last[operation.process] = operation
        events.append((operation.call, 1, number))
        if operation.outcome == "info":
            operation.ret = None
        else:
            assert operation.ret is not None
            events.append((operation.ret, 0, number))
    for index, (_, is_call, number) in enumerate(sorted(events)):
        if is_call:
            operations[number].call_index = index
        else:
            operations[number].ret_index = index
    return History(operations)


def compare(
    seeds: range, kind: str, model: str, *, old_values: bool = False, deletes: bool = False, key_order: str = "model"
) -> Tally:
    """Checker against oracle. By anomaly: how often the checker's first word was which; `missed` beside them."""
    tally = Tally()
    for seed in seeds:
        history = small_history(seed, kind, old_values=old_values, deletes=deletes)
        right = ORACLES[model](history)
        verdict = check_transactions(history, kind=kind, model=model, key_order=key_order)
        tally.histories += 1
        tally.accepted += right
        if right and verdict.verdict == "invalid":
            tally.wrongly_rejected.append(seed)
        elif not right and verdict.verdict != "invalid":
            tally.missed.append(seed)
            tally.by_anomaly[f"missed ({verdict.verdict})"] += 1
        elif not right:
            tally.by_anomaly[verdict.why.split(":")[0].split(" (")[0]] += 1
    return tally


# Histories of the table: what they are called, the kind, whether old values are returned, whether there are deletes.
SORTS = (
    ("list-append", "list-append", False, False),
    ("list-append, old values returned", "list-append", True, False),
    ("registers, old values returned", "rw-register", True, False),
    ("registers, old values returned, deletes", "rw-register", True, True),
    ("registers, blind writes", "rw-register", False, False),
    ("registers, blind writes and deletes", "rw-register", False, True),
)


@dataclass(slots=True)
class Count:
    """What came of the histories of one sort under one model."""

    accepted: int = 0
    accepted_unknown: int = 0
    wrongly_rejected: int = 0
    rejected: Counter[str] = field(default_factory=Counter)  # by the anomaly that brute force names
    missed: Counter[str] = field(default_factory=Counter)


def count_by_anomaly(seeds: range, kind: str, old_values: bool, deletes: bool) -> dict[str, Count]:
    """Checker against oracle under every model, what the oracle rejects told apart by its anomaly."""
    counts = {model: Count() for model in ORACLES}
    for seed in seeds:
        history = small_history(seed, kind, old_values=old_values, deletes=deletes)
        name = ""
        for model, oracle in ORACLES.items():
            count = counts[model]
            verdict = check_transactions(history, kind=kind, model=model)
            if oracle(history):
                count.accepted += 1
                count.wrongly_rejected += verdict.verdict == "invalid"
                # A history without any dependency shows nothing: unknown is the right word for it.
                count.accepted_unknown += verdict.verdict == "unknown" and verdict.details["dependencies"] != 0
                continue
            name = name or name_anomaly(history)
            count.rejected[name] += 1
            count.missed[name] += verdict.verdict != "invalid"
    return counts


def table(count: int, sorts: Sequence[tuple[str, str, bool, bool]] = SORTS) -> str:
    """All models against the oracles, as Markdown: missed of rejected, by anomaly; one table for each sort."""
    lines: list[str] = []
    for title, kind, old_values, deletes in sorts:
        counts = count_by_anomaly(range(count), kind, old_values, deletes)
        lines += ["", f"**{title[0].upper()}{title[1:]}**: {count:,} histories", ""]
        lines += [
            "| missed of rejected, by anomaly | " + " | ".join(ORACLES) + " |",
            "| --- |" + " ---: |" * len(ORACLES),
        ]
        found = [name for name in NAMES if any(one.rejected[name] for one in counts.values())]
        for name in found:
            cells = [
                f"{one.missed[name]} of {one.rejected[name]:,}" if one.rejected[name] else "" for one in counts.values()
            ]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        for head, cells in (
            ("all", [f"{one.missed.total()} of {one.rejected.total():,}" for one in counts.values()]),
            ("right, called invalid", [f"{one.wrongly_rejected} of {one.accepted:,}" for one in counts.values()]),
            ("right, called unknown", [f"{one.accepted_unknown} of {one.accepted:,}" for one in counts.values()]),
        ):
            lines.append(f"| *{head}* | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    asked = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    print(table(asked, SORTS if len(sys.argv) < 3 else [SORTS[int(sys.argv[2])]]), end="")

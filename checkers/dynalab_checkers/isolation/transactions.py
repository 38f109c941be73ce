"""Transactions of a history, as the checkers of isolation read them: numbered, with outcome and micro-operations.

Rules of this room:
- A transaction is known by its number, its place in the order of invocation. Graphs hold numbers only.
- `ok` happened, `fail` did not, and `info` happened if somebody saw what it wrote; otherwise it is left out, which
  never makes a correct history wrong.
- What an `info` transaction says it read is not used.
- A single operation (a GetItem beside transactions) is a transaction of one micro-operation. A condition that failed
  and told what it found is a read.
- Process and realtime edges join only transactions that take part in them: by default all but single reads and
  eventual ones (consistency.md §4: a GetItem is never blocked by a pending transaction, so it promises no order).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from dynalab_checkers.history import History, Missing, Operation
from dynalab_checkers.words import seconds

# A micro-operation as the format writes it: ["append", "x", 1], ["r", "x", [1]], ["w", "y", 2, 1]. Its elements were
# checked by `history`; a type for every shape would cost a conversion of every element.
Micro: TypeAlias = list[Any]

OK: Final = 0
INFO: Final = 1
FAIL: Final = 2
_STATUS: Final = {"ok": OK, "info": INFO, "fail": FAIL}

# How many sightings of one anomaly are kept with their sentences; the others are only counted.
KEPT_MAX: Final = 8


@dataclass(slots=True)
class Transactions:
    """The transactions of a history. Lists are indexed by the number of the transaction."""

    operations: list[Operation] = field(default_factory=list)
    micros: list[list[Micro]] = field(default_factory=list)
    status: bytearray = field(default_factory=bytearray)
    ordered: bytearray = field(default_factory=bytearray)
    strange: str = ""

    def __len__(self) -> int:
        return len(self.operations)

    def who(self, number: int) -> str:
        """A transaction in a sentence."""
        operation = self.operations[number]
        return f"the transaction of process {operation.process} at {seconds(operation.call)}"


@dataclass(frozen=True, slots=True)
class Case:
    """One sighting of an anomaly that shows without a graph: a sentence, and the transactions that it speaks of."""

    name: str
    key: str
    transactions: tuple[int, ...]
    sentence: str


@dataclass(slots=True)
class Sightings:
    """Anomalies found without a graph: all are counted, the first few of each name are kept."""

    cases: dict[str, list[Case]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, key: str, transactions: tuple[int, ...], sentence: str) -> None:
        """Count a sighting, and keep it if it is one of the first."""
        seen = self.counts.get(name, 0)
        self.counts[name] = seen + 1
        if seen < KEPT_MAX:
            self.cases.setdefault(name, []).append(Case(name, key, transactions, sentence))


def takes_part(operation: Operation) -> bool:
    """Whether an operation has process and realtime edges, if nobody says otherwise.

    >>> takes_part(Operation(0, "txn", "", 0, 9, "ok", [])), takes_part(Operation(0, "read", "k", 0, 9, "ok"))
    (True, False)
    """
    return operation.f != "read" and operation.consistency not in ("eventual", "index")


def read_transactions(history: History, ordered: Callable[[Operation], bool] = takes_part) -> Transactions:
    """Number the transactions of a history. `strange` names the first operation that nothing is known about.

    >>> history = History([Operation(0, "write", "k", 0, 9, "ok", 7, old=None), Operation(1, "scan", "", 1, 5, "ok")])
    >>> found = read_transactions(history)
    >>> found.micros, found.strange
    ([[['w', 'k', 7, None]]], "the operation 'scan' is no transaction")
    """
    found = Transactions()
    operations, micros, status, part = found.operations, found.micros, found.status, found.ordered
    # Called once a transaction: the default is asked for only where it could say no.
    plain = ordered is takes_part
    for operation in history.operations:
        outcome = _STATUS[operation.outcome]
        if operation.f == "txn":
            value: Any = operation.value
            part.append(operation.consistency is None if plain else ordered(operation))
            if plain and operation.consistency is not None:
                part[-1] = takes_part(operation)
        else:
            value = _single(operation)
            if value is None:
                found.strange = found.strange or f"the operation {operation.f!r} is no transaction"
                continue
            if outcome == FAIL and not isinstance(operation.found, Missing):
                outcome = OK
            part.append(ordered(operation))
        operations.append(operation)
        micros.append(value)
        status.append(outcome)
    return found


def _single(operation: Operation) -> list[Micro] | None:
    """A single operation as the micro-operations of a transaction; None if it is not known."""
    key = operation.key
    value: Any = operation.value
    if operation.f == "read":
        return [["r", key, operation.result]] if operation.outcome == "ok" else []
    if operation.outcome == "fail" and not isinstance(operation.found, Missing):
        return [["r", key, operation.found]]
    old = [] if isinstance(operation.old, Missing) else [operation.old]
    if operation.f == "write":
        return [["w", key, value, *old]]
    if operation.f == "append":
        return [["append", key, value, *old]]
    if operation.f == "cas" and type(value) is list:
        return [["cas", key, value[0], value[1], *old]]
    if operation.f == "delete":
        return [["d", key, *old]]
    return None

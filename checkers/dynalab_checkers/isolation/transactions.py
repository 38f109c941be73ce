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
- In a mixed history (`read_mixed`) whatever shows several items without being a transaction, a query, a batch, the
  items in a cancellation's reasons, is as many single reads. A strong single read is ordered in time with all that
  touches its item, and with nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

# Reads of many items, each of which is a single read; their completion carries `items`.
WHOLE_READS: Final = ("query", "scan", "page", "batch-get")

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
    # Who is ordered in time with what touches the same key; empty where nobody is but those in `ordered`.
    of_item: bytearray = field(default_factory=bytearray)

    def __len__(self) -> int:
        return len(self.operations)

    def add(self, operation: Operation, micros: list[Micro], status: int, ordered: bool, of_item: bool) -> None:
        """One more of a mixed history."""
        self.operations.append(operation)
        self.micros.append(micros)
        self.status.append(status)
        self.ordered.append(ordered)
        self.of_item.append(of_item)

    def item_groups(self, numbers: Sequence[int] | None = None) -> list[list[int]]:
        """By key, the places among these transactions (of all, by default) that are ordered in time with each other.

        Keys without a single read are left out: what takes part there is ordered with everything anyway.

        >>> history = History([Operation(0, "read", "x", 0, 1, "ok"), Operation(1, "write", "x", 0, 1, "ok", 5),
        ...                    Operation(2, "write", "y", 0, 1, "ok", 6)])
        >>> read_mixed(history).item_groups()
        [[0, 1]]
        """
        if not self.of_item:
            return []
        groups: dict[str, list[int]] = {}
        single: dict[str, None] = {}
        for place, number in enumerate(range(len(self)) if numbers is None else numbers):
            if self.of_item[number]:
                for key in dict.fromkeys(micro[1] for micro in self.micros[number]):
                    groups.setdefault(key, []).append(place)
                    if not self.ordered[number]:
                        single[key] = None
        return [groups[key] for key in single]

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


def read_mixed(history: History) -> Transactions:
    """Number the transactions and the single operations of a history that holds both.

    Beside what `read_transactions` knows: `get` (a read of one key whose `value` may be a list), operations that
    completed with `items` (an object, or pairs of key and value: queries, scans, batches, pages), and the `reasons` of
    a transaction that was cancelled, an object with the items that it told. All these are single reads, and so is
    each read of a transaction that is marked as eventual.

    >>> query = Operation(0, "query", "", 0, 9, "ok", ret_extra={"items": {"x": 1, "y": 2}}, consistency="index")
    >>> cancelled = Operation(1, "txn", "", 0, 9, "fail", [["w", "x", 3]], ret_extra={"reasons": {"x": 1}})
    >>> found = read_mixed(History([query, cancelled]))
    >>> found.micros, list(found.ordered), list(found.of_item)
    ([[['r', 'x', 1]], [['r', 'y', 2]], [['w', 'x', 3]], [['r', 'x', 1]]], [0, 0, 1, 0], [0, 0, 1, 1])
    """
    found = Transactions()
    for operation in history.operations:
        strong = operation.consistency not in ("eventual", "index")
        status = _STATUS[operation.outcome]
        shown: Any = operation.annotation("reasons" if operation.f == "txn" else "items")
        if operation.f == "txn" and strong:
            micros: Any = operation.value
            found.add(operation, micros, status, True, True)
            shown = shown if status == FAIL else None
        elif operation.f == "txn":
            micros = operation.value
            if any(micro[0] != "r" for micro in micros):
                found.strange = found.strange or f"a transaction that writes is marked as {operation.consistency}"
            shown = [micro[1:] for micro in micros] if status == OK else []
        elif operation.f == "get":
            shown = [(operation.key, operation.annotation("value"))] if status == OK else []
        elif shown is None and status != OK and operation.f in WHOLE_READS:
            continue
        elif shown is None:
            single = _single(operation)
            if single is None:
                found.strange = found.strange or f"the operation {operation.f!r} is no transaction"
                continue
            told = status == FAIL and not isinstance(operation.found, Missing)
            found.add(operation, single, OK if told else status, operation.f != "read", strong)
        for key, value in shown.items() if isinstance(shown, dict) else shown or ():
            found.add(operation, [["r", key, value]], OK, False, strong)
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

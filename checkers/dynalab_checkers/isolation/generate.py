"""Histories of transactions made by seed: a serializable store driven by concurrent clients, and anomalies on order.

Rules of this room:
- Each transaction takes effect at one drawn moment between its call and its return, so a history is strictly
  serializable by construction, until an anomaly is planted in it.
- Keys live for a while and are then replaced by fresh ones, so that lists keep their length however long the history.
- A planted anomaly has keys and processes of its own: it adds transactions and changes none.
- Integers only: the same seed gives the same history everywhere.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heapify, heapreplace
from typing import Any, Final

from dynalab_checkers.history import History, Operation


@dataclass(frozen=True, slots=True)
class TransactionRecipe:
    """How to make a history. `kind`: list-append or rw-register; `reads` in percent of the micro-operations.

    A key is replaced by a fresh one after `writes_per_key` writes; lists are then half that long on average, when they
    are read. `indeterminate_per_mille`: transactions of unknown outcome; half of them take effect, at any later time.
    """

    kind: str = "list-append"
    transactions: int = 1000
    micros_max: int = 4
    active_keys: int = 10
    writes_per_key: int = 40
    processes: int = 20
    reads: int = 50
    indeterminate_per_mille: int = 0
    old_values: bool = True  # registers only
    latency_max_ns: int = 10_000_000
    pause_max_ns: int = 1_000_000


def transactions_history(seed: int, recipe: TransactionRecipe = TransactionRecipe()) -> History:
    """A strictly serializable history.

    >>> from dynalab_checkers.isolation import check_transactions
    >>> history = transactions_history(7, TransactionRecipe(transactions=300, indeterminate_per_mille=20))
    >>> len(history), check_transactions(history).verdict
    (300, 'valid')
    """
    draw = random.Random(seed).randrange
    clients = [(draw(recipe.pause_max_ns), process) for process in range(recipe.processes)]
    heapify(clients)
    next_process = recipe.processes
    operations: list[Operation] = []
    moments: list[tuple[int, int]] = []
    for number in range(recipe.transactions):
        call, process = clients[0]
        ret = call + 1 + draw(recipe.latency_max_ns)
        operation = Operation(process, "txn", "", call, ret, "ok")
        if draw(1000) < recipe.indeterminate_per_mille:
            operation.outcome, operation.ret, operation.info_time = "info", None, ret
            process = next_process
            next_process += 1
            moments.append((call + 1 + draw(2 * recipe.latency_max_ns), number if draw(2) else ~number))
        else:
            moments.append((call + draw(ret - call + 1), number))
        heapreplace(clients, (ret + 1 + draw(recipe.pause_max_ns), process))
        operations.append(operation)
    moments.sort()
    _run(operations, moments, recipe, draw)
    return History(_number(operations))


def _run(
    operations: list[Operation],
    moments: Sequence[tuple[int, int]],
    recipe: TransactionRecipe,
    draw: Callable[[int], int],
) -> None:
    """Execute the transactions at their moments; ~n marks one that never takes effect."""
    keys = list(range(recipe.active_keys))
    writes = [0] * recipe.active_keys
    next_key = recipe.active_keys
    fresh = 0
    lists: dict[int, list[int]] = {}
    registers: dict[int, int] = {}
    appending = recipe.kind == "list-append"
    for _, signed in moments:
        happens = signed >= 0
        operation = operations[signed if happens else ~signed]
        known = operation.outcome == "ok"
        micros: list[Any] = []
        for _ in range(1 + draw(recipe.micros_max)):
            slot = draw(recipe.active_keys)
            key = keys[slot]
            name = f"k{key}"
            if draw(100) < recipe.reads:
                if not known:
                    micros.append(["r", name])
                elif appending:
                    micros.append(["r", name, list(lists.get(key, ()))])
                else:
                    micros.append(["r", name, registers.get(key)])
                continue
            fresh += 1
            writes[slot] += 1
            if appending:
                micros.append(["append", name, fresh])
                if happens:
                    lists.setdefault(key, []).append(fresh)
            else:
                micro: list[Any] = ["w", name, fresh]
                if recipe.old_values and known:
                    micro.append(registers.get(key))
                micros.append(micro)
                if happens:
                    registers[key] = fresh
            if writes[slot] >= recipe.writes_per_key:
                keys[slot], writes[slot] = next_key, 0
                next_key += 1
                lists.pop(key, None)  # nobody asks for it again, except this transaction's own history
                registers.pop(key, None)
        operation.value = micros


def _number(operations: list[Operation]) -> list[Operation]:
    events: list[tuple[int, int, int]] = []
    for number, operation in enumerate(operations):
        events.append((operation.call, 1, number))
        end = operation.info_time if operation.ret is None else operation.ret
        if end is not None:
            events.append((end, 0, number))
    events.sort()
    for index, (_, is_call, number) in enumerate(events):
        if is_call:
            operations[number].call_index = index
        else:
            operations[number].ret_index = index
    return operations


# The smallest history of each anomaly: transactions as (from, to, process, micro-operations); "!" marks a failed one.
# Where the times overlap nothing but the values accuses; those with a suffix need the order that they show.
_A: Final = "append"
PLANTS: Final[dict[str, tuple[tuple[int, int, str, tuple[tuple[Any, ...], ...]], ...]]] = {
    "G0": (
        (0, 9, "a", ((_A, "x", 1), (_A, "y", 1))),
        (1, 8, "b", ((_A, "x", 2), (_A, "y", 2))),
        (2, 7, "c", (("r", "x", 1, 2), ("r", "y", 2, 1))),
    ),
    "G1a": ((0, 9, "!a", ((_A, "x", 1),)), (1, 8, "b", (("r", "x", 1),))),
    "G1b": ((0, 9, "a", ((_A, "x", 1), (_A, "x", 2))), (1, 8, "b", (("r", "x", 1),)), (2, 7, "c", (("r", "x", 1, 2),))),
    "G1c": ((0, 9, "a", ((_A, "x", 1), ("r", "y", 1))), (1, 8, "b", ((_A, "y", 1), ("r", "x", 1)))),
    "G-single-item": ((0, 9, "a", ((_A, "x", 1), (_A, "y", 1))), (1, 8, "b", (("r", "x", 1), ("r", "y")))),
    "G-nonadjacent-item": (
        (0, 9, "a", ((_A, "x", 1),)),
        (1, 8, "b", ((_A, "y", 1),)),
        (2, 7, "c", (("r", "x", 1), ("r", "y"))),
        (3, 6, "d", (("r", "x"), ("r", "y", 1))),
    ),
    "G2-item": ((0, 9, "a", (("r", "x"), (_A, "y", 1))), (1, 8, "b", (("r", "y"), (_A, "x", 1)))),
    "G-single-item-realtime": (
        (0, 1, "a", ((_A, "x", 1),)),
        (2, 3, "b", ((_A, "x", 2),)),
        (4, 5, "c", (("r", "x", 1),)),
        (6, 7, "d", (("r", "x", 1, 2),)),
    ),
    "G-single-item-process": (
        (0, 1, "a", ((_A, "x", 1),)),
        (2, 3, "b", ((_A, "x", 2),)),
        (3, 4, "b", (("r", "x", 1),)),
        (3, 7, "d", (("r", "x", 1, 2),)),
    ),
    "internal": ((0, 9, "a", ((_A, "x", 1), ("r", "x"))),),
    "future-read": ((0, 9, "a", (("r", "x", 1), (_A, "x", 1))),),
    "dirty-update": (
        (0, 9, "!a", ((_A, "x", 1),)),
        (1, 8, "b", ((_A, "x", 2),)),
        (2, 7, "c", (("r", "x", 1, 2),)),
    ),
    "lost-update": (
        (0, 9, "a", (("r", "x"), (_A, "x", 1))),
        (1, 8, "b", (("r", "x"), (_A, "x", 2))),
        (2, 7, "c", (("r", "x", 1, 2),)),
    ),
    "duplicate-elements": ((0, 9, "a", ((_A, "x", 1),)), (1, 8, "b", (("r", "x", 1, 1),))),
    "incompatible-order": (
        (0, 9, "a", ((_A, "x", 1),)),
        (1, 8, "b", ((_A, "x", 2),)),
        (2, 7, "c", (("r", "x", 1, 2),)),
        (3, 6, "d", (("r", "x", 2, 1),)),
    ),
    "garbage-read": ((0, 9, "a", (("r", "x", 1),)),),
}


def plant(history: History, seed: int, anomaly: str) -> History:
    """The same list-append history with the transactions of one anomaly added somewhere in it.

    Raises KeyError for a name that is not in PLANTS.

    >>> from dynalab_checkers.isolation import check_transactions
    >>> history = plant(transactions_history(7, TransactionRecipe(transactions=100)), 1, "G1c")
    >>> check_transactions(history).details["anomalies"]
    {'G1c': 1}
    """
    draw = random.Random(seed).randrange
    known = history.operations
    start = known[draw(len(known))].call if known else 0
    fresh_process = 1 + max((operation.process for operation in known), default=-1)
    added: list[Operation] = []
    processes: dict[str, int] = {}
    for call, ret, who, micros in PLANTS[anomaly]:
        name = who.lstrip("!")
        process = processes.setdefault(name, fresh_process + len(processes))
        value: list[Any] = [
            ["r", f"planted-{key}", list(rest)] if kind == "r" else [kind, f"planted-{key}", *rest]
            for kind, key, *rest in micros
        ]
        outcome = "fail" if who.startswith("!") else "ok"
        added.append(Operation(process, "txn", "", start + call, start + ret, outcome, value))
    return History(_number(sorted([*known, *added], key=lambda operation: operation.call)))

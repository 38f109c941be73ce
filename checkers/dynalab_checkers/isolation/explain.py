"""Cycles in words: the transactions, why each comes before the next, and the contradiction (Elle's manner)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dynalab_checkers.history import Operation
from dynalab_checkers.isolation.cycles import Cycle, Edge
from dynalab_checkers.isolation.graph import ORDER, REALTIME
from dynalab_checkers.isolation.register import micro_values
from dynalab_checkers.isolation.transactions import Transactions
from dynalab_checkers.words import seconds

# A cycle longer than this is cut in the middle of its explanation; nobody reads a hundred reasons.
EXPLAINED_MAX = 24


class Analysis(Protocol):
    """What an explanation needs of a graph's maker."""

    @property
    def transactions(self) -> Transactions: ...

    def because(self, source: int, target: int, kind: int, one: str, other: str) -> str:
        """Why an edge is there, in words; `one` and `other` are the names of its ends."""
        ...


def reason(analysis: Analysis, edge: Edge, one: str, other: str) -> str:
    """Why one transaction comes before the other."""
    if edge.kind != ORDER:
        return analysis.because(edge.source, edge.target, edge.kind, one, other)
    operations = analysis.transactions.operations
    first, second = operations[edge.source], operations[edge.target]
    if edge.stage == REALTIME and first.ret is not None:
        return (
            f"{one} returned at {seconds(first.ret)}, {seconds(second.call - first.ret)} before {other} "
            f"was called at {seconds(second.call)}"
        )
    return f"process {first.process} executed {one} before {other}"


def describe_transaction(operation: Operation, micros: Sequence[Sequence[object]]) -> str:
    """A transaction on one line.

    >>> describe_transaction(Operation(3, "txn", "", 0, 2_000_000, "ok"), [["append", "x", 1], ["r", "y", [2]]])
    'process 3, 0.000 s to 0.002 s: append 1 to x, read y = [2]'
    """
    end = "an unknown end" if operation.ret is None else seconds(operation.ret)
    said = ", ".join(" ".join(micro_values(list(micro))) for micro in micros)
    return f"process {operation.process}, {seconds(operation.call)} to {end}: {said}"


def explain(analysis: Analysis, cycle: Cycle, number: int = 0) -> str:
    """The whole contradiction, in lines."""
    names = {name: f"T{place}" for place, name in enumerate(cycle.transactions(), 1)}
    transactions = analysis.transactions
    story = cycle.story()
    lines = [f"{cycle.name} #{number}" + (f" ({story})" if story else ""), "Let:"]
    shown = list(cycle.edges)
    left_out = max(0, len(shown) - EXPLAINED_MAX)
    if left_out:
        shown = shown[: EXPLAINED_MAX - 1] + shown[-1:]
    for edge in shown:
        transaction = edge.source
        text = describe_transaction(transactions.operations[transaction], transactions.micros[transaction])
        lines.append(f"  {names[transaction]} = {text}")
    lines += ["", "Then:"]
    for place, edge in enumerate(shown):
        one, other = names[edge.source], names[edge.target]
        why = reason(analysis, edge, one, other)
        if place == len(shown) - 1:
            if left_out:
                lines.append(f"  - ({left_out} more like these)")
            lines.append(f"  - However, {one} < {other}, because {why}: a contradiction!")
        else:
            lines.append(f"  - {one} < {other}, because {why}.")
    return "\n".join(lines)


def sentence(analysis: Analysis, cycle: Cycle) -> str:
    """The contradiction in one sentence, for the verdict."""
    edges = cycle.edges
    names = {name: f"T{place}" for place, name in enumerate(cycle.transactions(), 1)}
    story = cycle.story()
    # Three reasons still fit into a sentence; of more, the first and the last.
    shown = edges if len(edges) <= 3 else (edges[0], edges[-1])
    *first, last = [reason(analysis, edge, names[edge.source], names[edge.target]) for edge in shown]
    more = "" if len(edges) <= 3 else f" (and so on, over {len(edges)} transactions)"
    return f"{cycle.name}{f' ({story})' if story else ''}: {', and '.join(first)}{more}; yet {last}"

"""Judging histories of transactions: which isolation they show, which they rule out, and the cycles that say so."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from dynalab_checkers.collector import collector_paused
from dynalab_checkers.history import History, Operation, Scalar
from dynalab_checkers.isolation.append import Appends, analyse_appends
from dynalab_checkers.isolation.certificate import serial_order
from dynalab_checkers.isolation.conflicts import overlapping_writers
from dynalab_checkers.isolation.cycles import SUFFIXES, Budget, Cycle, name_cycles
from dynalab_checkers.isolation.explain import explain, sentence
from dynalab_checkers.isolation.graph import (
    PROCESS,
    REALTIME,
    Part,
    Timeline,
    add_item_edges,
    add_process_edges,
    components,
    knots,
)
from dynalab_checkers.isolation.levels import (
    IMPLIED,
    LATTICE,
    SEVERITY,
    forbidden,
    ruled_out,
    stage_of,
    strongest,
    weakest,
)
from dynalab_checkers.isolation.pictures import as_dot, as_svg
from dynalab_checkers.isolation.register import Registers, read_registers
from dynalab_checkers.isolation.register_order import KeyOrder, add_register_edges
from dynalab_checkers.isolation.transactions import KEPT_MAX, Transactions, read_mixed, read_transactions, takes_part
from dynalab_checkers.isolation.unordered import Unordered, judge_unordered
from dynalab_checkers.isolation.weak import WEAK_MODELS, check_weak
from dynalab_checkers.verdict import INVALID, UNKNOWN, VALID, Verdict
from dynalab_checkers.words import show

CHECKER: Final = "transactions"
KINDS: Final = ("list-append", "rw-register")
KEY_ORDERS: Final = ("model", "none", "process", "realtime")
EMPTY: Final = "empty-transaction-graph"
BUDGET_STEPS: Final = 20_000_000
# Over all components together; a component that comes after that is only named, not searched for its shortest cycles.
ALL_BUDGETS: Final = 4


# Cycles of more transactions have no graphviz source: nobody could read what it draws.
DRAWN_MAX: Final = 200


@dataclass(slots=True)
class _Result:
    """What was found, gathered for the verdict."""

    counts: dict[str, int] = field(default_factory=dict)
    cycles: list[Cycle] = field(default_factory=list)
    steps: int = 0
    open: set[str] = field(default_factory=set)
    acyclic: bool = True
    certified: bool | None = None  # None: nobody asked, since no edge can be missing
    unordered: Unordered | None = None  # versions that have no order at all

    def count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1


def check_transactions(
    history: History,
    *,
    kind: str = "list-append",
    model: str = "strict-serializable",
    anomalies: Collection[str] | None = None,
    key_order: str = "model",
    initial: Mapping[str, Scalar] | None = None,
    ordered: Callable[[Operation], bool] = takes_part,
    mixed: bool = False,
    prove: bool = True,
    budget: int = BUDGET_STEPS,
) -> Verdict:
    """Judge a history of transactions.

    `kind`: list-append ("append", "r" of lists) or rw-register ("w", "r", "cas", "d"; old values make it sharp).
    `model`: a name of `levels.LATTICE`. `anomalies`: what to look for, instead of all that the model forbids.
    `key_order`: a promise about every single key, beyond the model: its versions follow the order within each process,
    or real time. `initial`: values that registers had before the history began. `ordered`: which operations take part
    in process and realtime order; by default all but single reads. `mixed`: transactions together with single
    operations, as `read_mixed` numbers them: transactions and single writes take part in the orders of time, a single
    strong read only in that of its item, an eventual one in none. `budget`: steps per component of the graph.
    `prove`: where the order of a register's versions was not seen in full (blind writes that told nobody what they
    replaced, several deletes), a graph without a cycle is no proof; valid is then said only if a serial order was
    found that explains everything, and unknown otherwise. With False, the graph is enough, as it is for Elle.

    The verdict's details: `anomalies` (name to count), `not` (the weakest models ruled out), `also_not` (all others
    ruled out), `possible` (the strongest that were looked at and not ruled out), `cycles`, `explanations`, `dot`
    (graphviz, one per cycle), `svg` (the first cycle of each name), `cases` (anomalies that need no cycle), `steps`,
    `edges`, `unclear`, `certified`. Predicate reads (Query, Scan) have no edges: they are no part of such histories.

    >>> events = []
    >>> for process, value in enumerate(([["append", "x", 1], ["r", "y", []]], [["append", "y", 1], ["r", "x", []]])):
    ...     events.append({"index": process, "time": process, "process": process, "type": "invoke", "f": "txn",
    ...                    "value": [micro if micro[0] == "append" else ["r", micro[1], None] for micro in value]})
    ...     events.append({"index": process + 2, "time": process + 5, "process": process, "type": "ok", "f": "txn",
    ...                    "value": value})
    >>> verdict = check_transactions(History.from_events(sorted(events, key=lambda event: event["index"])))
    >>> verdict.verdict, verdict.details["anomalies"], verdict.details["possible"]
    ('invalid', {'G2-item': 1}, ['strong-snapshot-isolation'])
    """
    assert kind in KINDS, f"no such kind of history: {kind!r}"
    assert model in LATTICE, f"no such model: {model!r}"
    assert key_order in KEY_ORDERS, f"no such order of keys: {key_order!r}"
    asked = forbidden(model) if anomalies is None else frozenset(anomalies)
    stage = stage_of(model) if anomalies is None else max(map(_stage_of_anomaly, asked), default=0)
    with collector_paused():
        transactions = read_mixed(history) if mixed else read_transactions(history, ordered)
        if transactions.strange:
            return Verdict(UNKNOWN, CHECKER, transactions.strange)
        analysis: Appends | Registers
        if kind == "list-append":
            analysis = analyse_appends(transactions)
            part = _takes_part(transactions, analysis.committed)
        else:
            analysis = read_registers(transactions, initial)
            part = _takes_part(transactions, analysis.committed)
            alone = bytearray(map(min, transactions.of_item, analysis.committed)) if mixed else part
            add_register_edges(analysis, alone, _key_order(key_order, stage, model, anomalies is not None))
        result = _Result(dict(analysis.sightings.counts))
        if model in WEAK_MODELS and anomalies is None:
            weak = check_weak(analysis, part, model)
            if weak:
                result.counts[f"{model}-cycle"] = 1
                analysis.sightings.add(f"{model}-cycle", "", weak.transactions, weak.sentence)
        timeline = _find_cycles(analysis, part, stage, budget, asked, result)
        if prove and isinstance(analysis, Registers) and anomalies is None and asked.isdisjoint(result.counts):
            # Some edges may be missing: then only an order that explains everything proves the history right.
            partial = ("snapshot-isolation" in IMPLIED[model] or "G2-item" in asked) and analysis.partial()
            if partial or analysis.ambiguous:
                result.certified = result.acyclic and serial_order(analysis, timeline) is not None
                if not result.certified and not analysis.unclear:
                    _choose_orders(analysis, result, asked, model, stage, budget, key_order == "model")
        if not analysis.dependencies:
            result.counts[EMPTY] = 1
        return _verdict(analysis, result, asked, model, stage)


def _choose_orders(
    analysis: Registers,
    result: _Result,
    asked: frozenset[str],
    model: str,
    stage: int,
    budget: int,
    whole: bool,
) -> None:
    """Where the order of versions was not seen: prove that one fits, or that none does."""
    serial = "G2-item" in asked
    if not serial and "snapshot-isolation" not in IMPLIED[model]:
        return
    answer = judge_unordered(
        analysis, analysis.transactions.ordered, stage, snapshot=not serial, budget=budget, whole=whole
    )
    result.steps += answer.steps
    if answer.right is False:
        result.count(answer.name)
        result.unordered = answer
        analysis.sightings.add(answer.name, "", answer.transactions, answer.sentence)
    elif answer.right:
        result.certified = True


def _stage_of_anomaly(name: str) -> int:
    return 2 if name.endswith("-realtime") else 1 if name.endswith("-process") else 0


def _takes_part(transactions: Transactions, committed: bytearray) -> bytearray:
    """Who takes part in process and realtime order: those that may, if they happened."""
    return bytearray(map(min, transactions.ordered, committed))


def _key_order(chosen: str, stage: int, model: str, by_anomaly: bool) -> KeyOrder:
    # Looking for anomalies by name promises nothing about lost updates.
    contiguous = not by_anomaly and "snapshot-isolation" in IMPLIED[model]
    if chosen == "model":
        return KeyOrder(stage >= PROCESS and contiguous, stage >= REALTIME and contiguous, contiguous)
    return KeyOrder(chosen != "none", chosen == "realtime", contiguous, promised=True)


def _find_cycles(
    analysis: Appends | Registers,
    part: bytearray,
    stage: int,
    budget: int,
    asked: frozenset[str],
    result: _Result,
) -> Timeline | None:
    graph = analysis.graph
    operations = analysis.transactions.operations
    timeline = None
    if stage >= PROCESS:
        add_process_edges(graph, operations, part)
        transactions = analysis.transactions
        alone = bytearray(map(min, transactions.of_item, analysis.committed))
        add_item_edges(graph, operations, alone, transactions.item_groups(), stage)
    if stage >= REALTIME:
        timeline = Timeline.of(operations, part, range(len(operations)))
    left = ALL_BUDGETS * budget
    for knot in knots(graph, operations, part, timeline):
        allowance = Budget(min(budget, max(left, 2 * knot.edges() + 2 * len(knot.names))) if budget else 0)
        result.acyclic = False
        cycles, unsure = name_cycles(knot, stage, allowance)
        if not cycles:
            result.count("cycle-exists" + SUFFIXES[_lowest_stage(knot, stage)])
        for cycle in cycles:
            known = result.counts.get(cycle.name, 0)
            result.counts[cycle.name] = known + 1
            if known < KEPT_MAX:
                result.cycles.append(cycle)
        result.open |= unsure
        if "G-single-item" in asked and asked.isdisjoint(cycle.name for cycle in cycles):
            _unseen_conflict(analysis, knot, stage, allowance, result)
        left -= allowance.spent
        result.steps += allowance.spent
    return timeline


def _unseen_conflict(analysis: Appends | Registers, knot: Part, stage: int, budget: Budget, result: _Result) -> None:
    """Two transactions that must overlap and change one key, where nobody saw which came first."""
    places = {name: node for node, name in enumerate(knot.names) if name >= 0}
    groups = {
        key: [places[writer] for writer in dict.fromkeys(writers) if writer in places]
        for key, writers in analysis.writers_of_keys()
    }
    groups = {key: group for key, group in groups.items() if len(group) > 1}
    for at in range(stage + 1):
        pair = overlapping_writers(knot, list(groups.values()), at, budget)
        if pair is not None:
            name = "G-single-item" + SUFFIXES[at]
            key = next(key for key, group in groups.items() if {places[pair[0]], places[pair[1]]} <= set(group))
            one, other = (analysis.transactions.who(number) for number in pair)
            analysis.sightings.add(
                name,
                key,
                pair,
                f"{one} and {other} each missed what the other wrote, and both changed {show(key)}: "
                f"whichever committed first, the other one overwrote it unseen",
            )
            result.count(name)
            return
    if budget.left <= 0:
        result.open.add("G-single-item")


def _lowest_stage(knot: Part, last: int) -> int:
    """The first stage at which the component holds a cycle."""
    for stage in range(last):
        rows = [[edge >> 5 for edge in row if (edge & 31) >> 3 <= stage] for row in knot.successors]
        if components(rows):
            return stage
    return last


def _rank(name: str) -> tuple[int, str]:
    return (SEVERITY.index(name) if name in SEVERITY else len(SEVERITY), name)


def _verdict(analysis: Appends | Registers, result: _Result, asked: frozenset[str], model: str, stage: int) -> Verdict:
    counts = {name: result.counts[name] for name in sorted(result.counts, key=_rank)}
    bad = [name for name in counts if name in asked]
    out = ruled_out(counts)
    least = weakest(out)
    looked_at = [name for name in LATTICE if stage_of(name) <= stage and (name not in WEAK_MODELS or name == model)]
    unclear = list(dict.fromkeys(analysis.unclear))
    explanations = [explain(analysis, cycle, number) for number, cycle in enumerate(result.cycles)]
    # One picture of each name: the first cycle of that name.
    first = {cycle.name: cycle for cycle in reversed(result.cycles)}
    pictures = [as_svg(analysis, first[name]) for name in dict.fromkeys(cycle.name for cycle in result.cycles)]
    if result.unordered is not None:
        explanations.append(result.unordered.explanation)
        pictures += [result.unordered.picture] if result.unordered.picture else []
    details: dict[str, object] = {
        "anomalies": counts,
        "not": least,
        "also_not": sorted(out - set(least)),
        "possible": strongest(set(looked_at) - out),
        "cycles": result.cycles,
        "explanations": explanations,
        "dot": [as_dot(analysis, cycle) for cycle in result.cycles if len(cycle.edges) <= DRAWN_MAX],
        "svg": pictures,
        "cases": [case for cases in analysis.sightings.cases.values() for case in cases],
        "steps": result.steps,
        "transactions": len(analysis.transactions),
        "dependencies": analysis.dependencies,
        "edges": sum(map(len, analysis.graph.successors)),
        "unclear": unclear,
        "certified": result.certified,
    }
    if analysis.transactions.of_item:
        details["numbered"] = analysis.transactions.operations
    shown: tuple[int, ...] = ()
    circle = False  # then all that is shown is to blame alike
    if bad:
        cycle = next((cycle for cycle in sorted(result.cycles, key=_size) if cycle.name == bad[0]), None)
        if cycle is not None:
            why, shown, circle = sentence(analysis, cycle), cycle.transactions(), True
        elif bad[0] in analysis.sightings.cases:
            case = analysis.sightings.cases[bad[0]][0]
            why, shown = f"{case.name}: {case.sentence}", case.transactions
            circle = result.unordered is not None and case.name == result.unordered.name
        else:
            why = f"{bad[0]}: some transactions must each come before the other, but the budget ended before a cycle"
        verdict = INVALID
    elif unclear:
        verdict, why = UNKNOWN, unclear[0]
    elif result.open & asked:
        verdict, why = (
            UNKNOWN,
            f"a cycle exists, and the budget ended before {_first(result.open & asked)} was excluded",
        )
    elif result.certified is False:
        verdict = UNKNOWN
        why = (
            "no anomaly was seen, but neither was the order of all versions, and no order of versions was found that "
            "explains them; reads before writes, or old values, would tell"
        )
    elif EMPTY in counts and not result.certified:
        verdict, why = UNKNOWN, "no transaction depends on another one, so nothing was shown"
    else:
        verdict, why = VALID, ""
    # A query stands for many reads.
    blamed = (analysis.transactions.operations[number] for number in shown)
    operations = list({operation.call_index: operation for operation in blamed}.values())
    return Verdict(verdict, CHECKER, why, None, operations, operations if circle else operations[:1], details)


def _first(names: Iterable[str]) -> str:
    return min(names, key=_rank)


def _size(cycle: Cycle) -> int:
    return len(cycle.edges)

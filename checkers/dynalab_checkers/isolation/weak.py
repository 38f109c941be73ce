"""Weak isolation levels by minimal saturated commit orders (AWDIT, PLDI 2025).

Rules of this room:
- A level is an axiom of this form: where t3 reads x from t1, and t2 also writes x and is *visible* to t3, t2 commits
  before t1. A history keeps the level if the commit order so forced, with who reads from whom and the order within
  sessions, has no cycle.
- Visible means: read from earlier in t3 (monotonic atomic view), read from at all or earlier in the session (read
  atomic), reachable through reads and sessions (causal).
- Only a minimal part of the forced order is built, from which the rest follows: intersections are walked on their
  smaller side (n^1.5 in the worst case); causal visibility is a vector clock over k sessions (n k).
- Lists: a read reads from the transaction that appended its last element, and the order of versions that was seen is
  part of the commit order. What is wrong without a cycle (`internal`, aborted reads) is not judged here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from dynalab_checkers.isolation.append import Appends
from dynalab_checkers.isolation.cycles import Budget, Cycle, name_cycles
from dynalab_checkers.isolation.graph import ITEM, ORDER, PROCESS, RW, WR, WW, Graph, knots
from dynalab_checkers.isolation.register import INITIAL, Registers
from dynalab_checkers.isolation.transactions import OK
from dynalab_checkers.words import show

WEAK_MODELS: Final = ("monotonic-atomic-view", "read-atomic", "causal")
NOBODY: Final = -1  # who wrote the initial version

# t2 must commit before t1, because t3 saw t2 and read the key from t1.
Forced: TypeAlias = tuple[int, int, int, str]


@dataclass(frozen=True, slots=True)
class Circle:
    """A contradiction in the commit order that a level forces."""

    transactions: tuple[int, ...]
    sentence: str


@dataclass(slots=True)
class _Reads:
    """Who reads what from whom. `reads[t]`: (key, writer), in program order; `writes[t]`: its keys."""

    reads: list[list[tuple[str, int]]]
    writes: list[frozenset[str]]
    # The previous transaction of the same session; the session (-1: none), and the place in it.
    before: list[int] = field(default_factory=list)
    session: list[int] = field(default_factory=list)
    place: list[int] = field(default_factory=list)
    sessions: int = 0


def check_weak(found: Appends | Registers, part: Sequence[int], model: str) -> Circle | None:
    """A contradiction in the commit order that the level forces, or None. `part`: who belongs to a session."""
    seen = _reads_of_appends(found) if isinstance(found, Appends) else _reads_of_registers(found)
    _sessions(found, part, seen)
    graph = Graph(len(seen.reads))
    for number, reads in enumerate(seen.reads):
        for _, writer in reads:
            if writer != NOBODY:
                graph.add(writer, number, WR)
    stage = ITEM
    if model != "monotonic-atomic-view":
        stage = PROCESS
        for number, before in enumerate(seen.before):
            if before != NOBODY:
                graph.add(before, number, ORDER, PROCESS)
    circle = _first_circle(found, graph, stage, {}, model)
    if circle is not None:
        return circle  # the clocks of causal visibility need an order to begin with
    for number, row in enumerate(found.graph.successors[: graph.transactions]):
        for edge in row:
            if edge & 31 == WW and edge >> 5 < graph.transactions:
                graph.add(number, edge >> 5, WW)
    reasons: dict[tuple[int, int], tuple[int, str]] = {}
    for earlier, later, witness, key in _AXIOMS[model](seen):
        if later == NOBODY:
            who = found.transactions.who
            return Circle(
                (witness, earlier),
                f"{who(witness)} read the initial version of {show(key)}, although it had seen something of "
                f"{who(earlier)}, which wrote {show(key)}, too, or of something that came after it",
            )
        if (earlier, later) not in reasons:
            reasons[earlier, later] = (witness, key)
            graph.add(earlier, later, RW)
    return _first_circle(found, graph, stage, reasons, model)


def _reads_of_appends(found: Appends) -> _Reads:
    transactions = found.transactions
    reads: list[list[tuple[str, int]]] = []
    writes: list[frozenset[str]] = []
    for number, micros in enumerate(transactions.micros):
        mine: list[tuple[str, int]] = []
        own: set[str] = set()
        for micro in micros:
            key = micro[1]
            if micro[0] == "append":
                own.add(key)
            elif transactions.status[number] == OK and key in found.order and key not in own:
                value = micro[2] if len(micro) > 2 else None
                writer = found.writers.get(key, {}).get(value[-1]) if value else NOBODY
                if writer is not None and writer != number:
                    mine.append((key, writer))
        reads.append(mine)
        writes.append(frozenset(own) if found.committed[number] else frozenset())
    return _Reads(reads, writes)


def _reads_of_registers(found: Registers) -> _Reads:
    reads: list[list[tuple[str, int]]] = []
    writes: list[frozenset[str]] = []
    for number, touched in enumerate(found.touched):
        mine = [(key, found.keys[key].writer[access.read]) for key, access in touched.items() if access.read >= INITIAL]
        reads.append([(key, writer) for key, writer in mine if writer != number])
        own = frozenset(key for key, access in touched.items() if access.write >= 0)
        writes.append(own if found.committed[number] else frozenset())
    return _Reads(reads, writes)


def _sessions(found: Appends | Registers, part: Sequence[int], seen: _Reads) -> None:
    names: dict[object, int] = {}
    last: dict[int, int] = {}
    for number, operation in enumerate(found.transactions.operations):
        if part[number]:
            who: object = operation.process if operation.session is None else ("session", operation.session)
        elif seen.writes[number]:
            who = ("alone", number)
        else:
            # What writes nothing and belongs to no session is visible to nobody.
            seen.session.append(NOBODY)
            seen.before.append(NOBODY)
            seen.place.append(0)
            continue
        session = names.setdefault(who, len(names))
        before = last.get(session, NOBODY)
        seen.session.append(session)
        seen.before.append(before)
        seen.place.append(0 if before == NOBODY else seen.place[before] + 1)
        last[session] = number
    seen.sessions = len(names)


def _shared_keys(written: frozenset[str], places: dict[str, list[int]]) -> Iterator[str]:
    """Keys that one wrote and the other read, walked on the smaller side; the order does not depend on hashes."""
    if len(written) < len(places):
        return iter(sorted(key for key in written if key in places))
    return (key for key in places if key in written)


def _places(reads: Sequence[tuple[str, int]]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for place, (key, _) in enumerate(reads):
        places.setdefault(key, []).append(place)
    return places


def _force_view(seen: _Reads) -> Iterator[Forced]:
    """t3 read something from t2, and later x from t1. The next such read is enough: the rest follows from it."""
    for witness, reads in enumerate(seen.reads):
        if len(reads) < 2:
            continue
        places = _places(reads)
        first: dict[int, int] = {}
        for place, (_, writer) in enumerate(reads):
            if writer != NOBODY:
                first.setdefault(writer, place)
        for writer, since in first.items():
            for key in _shared_keys(seen.writes[writer], places):
                at = places[key]
                for place in at[bisect_left(at, since) :]:
                    if reads[place][1] != writer:
                        yield writer, reads[place][1], witness, key
                        break


def _force_atomic(seen: _Reads) -> Iterator[Forced]:
    """t3 read something from t2, or t2 came earlier in its session."""
    last_writer: dict[tuple[int, str], int] = {}
    for witness, reads in enumerate(seen.reads):
        session = seen.session[witness]
        if reads:
            places = _places(reads)
            for writer in dict.fromkeys(writer for _, writer in reads if writer != NOBODY):
                for key in _shared_keys(seen.writes[writer], places):
                    for place in places[key]:
                        if reads[place][1] != writer:
                            yield writer, reads[place][1], witness, key
            for key, writer in reads:
                earlier = last_writer.get((session, key), NOBODY)
                if earlier not in (NOBODY, writer):
                    yield earlier, writer, witness, key
        for key in sorted(seen.writes[witness]):
            last_writer[session, key] = witness


def _force_causal(seen: _Reads) -> Iterator[Forced]:
    """t2 reaches t3 through reads and sessions. Of each session only its last such writer of x counts."""
    by_key: dict[str, dict[int, tuple[list[int], list[int]]]] = {}
    for number, keys in enumerate(seen.writes):
        for key in sorted(keys):
            of_session = by_key.setdefault(key, {}).setdefault(seen.session[number], ([], []))
            of_session[0].append(seen.place[number])
            of_session[1].append(number)
    clocks: list[list[int]] = [[]] * len(seen.reads)
    for witness in _causal_order(seen):
        clock = [0] * seen.sessions  # how many transactions of each session it has seen
        for earlier in {seen.before[witness], *(writer for _, writer in seen.reads[witness])} - {NOBODY}:
            clock = list(map(max, clock, clocks[earlier]))
            clock[seen.session[earlier]] = max(clock[seen.session[earlier]], seen.place[earlier] + 1)
        clocks[witness] = clock
        for key, writer in dict.fromkeys(seen.reads[witness]):
            for session, (places, numbers) in by_key.get(key, {}).items():
                at = bisect_left(places, clock[session])
                if at and numbers[at - 1] != writer:
                    yield numbers[at - 1], writer, witness, key


def _causal_order(seen: _Reads) -> list[int]:
    """Transactions so that what one read, and what came before it in its session, stands before it. There is no cycle
    here: that was looked at first.
    """
    following: list[list[int]] = [[] for _ in seen.reads]
    waiting = [0] * len(seen.reads)
    for number, reads in enumerate(seen.reads):
        for earlier in (seen.before[number], *(writer for _, writer in reads)):
            if earlier != NOBODY:
                following[earlier].append(number)
                waiting[number] += 1
    order = [number for number, count in enumerate(waiting) if not count]
    for number in order:  # grows while it is read
        for later in following[number]:
            waiting[later] -= 1
            if not waiting[later]:
                order.append(later)
    assert len(order) == len(seen.reads)
    return order


_AXIOMS: Final[dict[str, Callable[[_Reads], Iterator[Forced]]]] = {
    "monotonic-atomic-view": _force_view,
    "read-atomic": _force_atomic,
    "causal": _force_causal,
}


def _first_circle(
    found: Appends | Registers,
    graph: Graph,
    stage: int,
    reasons: dict[tuple[int, int], tuple[int, str]],
    model: str,
) -> Circle | None:
    parts = knots(graph, found.transactions.operations, (), None)
    if not parts:
        return None
    cycles, _ = name_cycles(parts[0], stage, Budget(max(1_000_000, 2 * parts[0].edges() + 2 * len(parts[0].names))))
    shortest = min(cycles, key=lambda cycle: len(cycle.edges))
    return Circle(shortest.transactions(), f"under {model} " + _story(found, shortest, reasons))


def _story(found: Appends | Registers, cycle: Cycle, reasons: dict[tuple[int, int], tuple[int, str]]) -> str:
    who = found.transactions.who
    parts: list[str] = []
    for edge in cycle.edges[:3]:
        text = f"{who(edge.source)} commits before {who(edge.target)}"
        witness, key = reasons.get((edge.source, edge.target), (NOBODY, ""))
        if edge.kind == RW and witness != NOBODY:
            text += f" ({who(witness)} had seen the first and read {show(key)} from the second)"
        elif edge.kind == WR:
            text += " (which read from it)"
        parts.append(text)
    more = len(cycle.edges) - len(parts)
    return ", and ".join(parts) + (f", and {more} more in a circle" if more else ": a circle")

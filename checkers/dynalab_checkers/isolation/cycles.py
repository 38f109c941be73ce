"""Cycles of a strongly connected component: the shortest of each kind that a budget of counted steps lets us find.

Rules of this room:
- A kind of cycle is a small automaton over the kinds of edges, and the search is a breadth-first walk through the
  component and the automaton together. The table below is all that tells the kinds apart.
- First linear passes say where cycles of a kind can be at all; the search begins only there. With them alone every
  component gets a name, unless the budget does not even suffice for reading it: then it is `cycle-exists`.
- A walk that meets a node twice is cut into simple cycles, one of which keeps the property that was searched for: where
  the walk crosses itself, at most one of the two halves gets two neighbouring rw edges.
- A cycle is named by its own edges (Elle's rules), whichever search found it. An edge that needs the order of processes
  or real time gives the name its suffix; such cycles are searched only where none as bad was found without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from dynalab_checkers.isolation.graph import (
    CODE_MASK,
    ITEM,
    KIND_MASK,
    LINK,
    PROCESS,
    RW,
    WR,
    WW,
    Part,
    components,
)

NO: Final = -1
# Lengths up to which cycles are searched for first, from everywhere.
BOUNDS: Final = (4, 7, 13)
KINDS: Final = ("G0", "G1c", "G-single-item", "G-nonadjacent-item", "G2-item")
SUFFIXES: Final = ("", "-process", "-realtime")


@dataclass(frozen=True, slots=True)
class Automaton:
    """How a kind of cycle is recognised: it begins with an edge of kind `first`, in state 0, and ends in `goal`.

    `moves[state][kind]` is the next state for ww, wr, rw and order edges.
    """

    kind: str
    first: int
    moves: tuple[tuple[int, int, int, int], ...]
    goal: int


AUTOMATA: Final = (
    Automaton("G0", WW, ((0, NO, NO, 0),), 0),
    Automaton("G1c", WR, ((0, 0, NO, 0),), 0),
    Automaton("G-single-item", RW, ((0, 0, NO, 0),), 0),
    # 0: the last edge was rw; 1: it was not; 2 and 3: the same, and a second rw was passed.
    Automaton("G-nonadjacent-item", RW, ((1, 1, NO, 1), (1, 1, 2, 1), (3, 3, NO, 3), (3, 3, 2, 3)), 3),
    # 0: the second edge must be rw; 1: anything.
    Automaton("G2-item", RW, ((NO, NO, 1, NO), (1, 1, 1, 1)), 1),
)

# Automata whose loops, found by Tarjan's algorithm, say where a kind can be: states without a beginning.
_LOOPS: Final[dict[str, tuple[tuple[int, int, int, int], ...]]] = {
    "G0": ((0, NO, NO, 0),),
    "G1c": ((0, 0, NO, 0),),
    "G-single-item": ((0, 0, 1, 0), (0, 0, NO, 0)),
    "G-nonadjacent-item": ((0, 0, 1, 0), (0, 0, NO, 0)),
    "G2-item": ((0, 0, 0, 0),),
}


_ANY: Final = Automaton("G2-item", RW, ((0, 0, 0, 0),), 0)  # begun with an edge of any kind


@dataclass(frozen=True, slots=True)
class Edge:
    """From one transaction to another: ww, wr, rw or an order of time, and the stage that it needs."""

    source: int
    target: int
    kind: int
    stage: int


@dataclass(frozen=True, slots=True)
class Cycle:
    """A named cycle; the edges follow each other and the last leads back to the first transaction."""

    name: str
    edges: tuple[Edge, ...]

    def transactions(self) -> tuple[int, ...]:
        """The transactions, in the order of the cycle."""
        return tuple(edge.source for edge in self.edges)

    def story(self) -> str:
        """What textbooks call it, where they have a word for it."""
        kinds = [edge.kind for edge in self.edges]
        if self.name == "G2-item" and kinds == [RW, RW]:
            return "write skew"
        if self.name == "G-nonadjacent-item" and kinds.count(RW) == 2:
            return "long fork"
        if self.name == "G-single-item" and sorted(kinds) == [WR, RW]:
            return "read skew"
        return ""


@dataclass(slots=True)
class Budget:
    """Steps (edges looked at) that may still be made."""

    left: int
    spent: int = 0

    def take(self, steps: int) -> bool:
        """Count steps; False, and nothing is counted, once there are none left."""
        if self.left <= 0:
            return False
        self.spent += steps
        self.left -= steps
        return self.left > 0


@dataclass(slots=True)
class _Found:
    cycles: dict[str, Cycle] = field(default_factory=dict)
    # What the linear passes said, since two kinds share one.
    homes: dict[tuple[object, int], list[int] | None] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)

    def offer(self, cycle: Cycle) -> None:
        known = self.cycles.get(cycle.name)
        if known is None or len(cycle.edges) < len(known.edges):
            self.cycles[cycle.name] = cycle


def name_of(edges: Sequence[Edge]) -> str:
    """The name of a cycle, by Elle's rules.

    >>> name_of([Edge(1, 2, WR, ITEM), Edge(2, 1, RW, ITEM)]), name_of([Edge(1, 2, RW, ITEM), Edge(2, 1, 3, 2)])
    ('G-single-item', 'G-single-item-realtime')
    """
    kinds = [edge.kind for edge in edges]
    several = kinds.count(RW)
    if several == 0:
        name = "G1c" if WR in kinds else "G0"
    elif several == 1:
        name = "G-single-item"
    elif any(kinds[place - 1] == RW == kind for place, kind in enumerate(kinds)):
        name = "G2-item"
    else:
        name = "G-nonadjacent-item"
    return name + SUFFIXES[max(edge.stage for edge in edges)]


def name_cycles(part: Part, last_stage: int, budget: Budget) -> tuple[list[Cycle], set[str]]:
    """Cycles of one strongly connected component, worst first, at most one of each name; and names left open.

    No cycle if the budget ended before the component was even read; otherwise at least one is found. A name is open if
    the budget ended before it was sure that there is no such cycle.
    """
    found = _Found()
    worst = len(KINDS)
    size = part.edges() + len(part.names)
    if budget.left < size:
        return [], {kind + suffix for kind in KINDS for suffix in SUFFIXES[: last_stage + 1]}
    for stage in range(ITEM, last_stage + 1):
        # Where a cycle was found at an earlier stage, only worse ones are worth a suffix.
        for automaton in AUTOMATA[:worst]:
            if budget.left > 0:
                _search(part, automaton, stage, budget, found)
            else:
                found.open.add(automaton.kind + SUFFIXES[stage])
        worst = min((KINDS.index(_bare(name)) for name in found.cycles), default=len(KINDS))
    if not found.cycles:
        _any_cycle(part, last_stage, found)
    cycles = sorted(found.cycles.values(), key=lambda cycle: (_stage(cycle.name), KINDS.index(_bare(cycle.name))))
    return cycles, found.open - set(found.cycles)


def _bare(name: str) -> str:
    return name.removesuffix("-process").removesuffix("-realtime")


def _stage(name: str) -> int:
    return 2 if name.endswith("-realtime") else 1 if name.endswith("-process") else 0


def _search(part: Part, automaton: Automaton, stage: int, budget: Budget, found: _Found) -> None:
    """The shortest cycle of this kind, from every edge that can begin one, while the share of the budget lasts."""
    rows = part.successors
    loops = _LOOPS[automaton.kind]
    if (loops, stage) not in found.homes:
        budget.take((part.edges() + len(rows)) * len(loops))
        found.homes[loops, stage] = _homes(part, loops, stage)
    home = found.homes[loops, stage]
    if home is None:
        return
    beginnings = [
        (source, edge)
        for source, row in enumerate(rows)
        if home[source] and part.names[source] >= 0
        for edge in row
        if edge & KIND_MASK == automaton.first and (edge & CODE_MASK) >> 3 <= stage and home[source] == home[edge >> 5]
    ]
    goal_name = automaton.kind + SUFFIXES[stage]
    longest = len(part.names) * len(automaton.moves) + 2  # longer than any walk
    # A part of what is left for each search: the later ones always have something.
    limit = budget.left // 3
    spent = 0
    # Short cycles first: a walk of a few edges is cheap from everywhere, and the first one without a bound may not be.
    for bound in [*(bound for bound in BOUNDS if bound < longest), longest]:
        best = bound
        for source, edge in beginnings:
            # The first walk without a bound is always finished: it alone can name the component.
            enough = limit - spent if spent or bound < longest else longest * len(rows)
            walk, steps = _walk(part, automaton, stage, source, edge, best, enough)
            spent += steps
            budget.take(steps)
            if walk is not None:
                for cycle in _simple_cycles(_collapse(part, source, edge, walk)):
                    found.offer(cycle)
                    if cycle.name == goal_name:
                        best = min(best, len(cycle.edges))
            if best <= 2:
                return
            if spent > limit:
                found.open.add(goal_name)
                return
        if best < bound:
            return


def _any_cycle(part: Part, last_stage: int, found: _Found) -> None:
    """Some cycle, at the first stage that has one, by one walk: for a budget that ended before a search did."""
    for stage in range(ITEM, last_stage + 1):
        home = _homes(part, _ANY.moves, stage)
        if home is None:
            continue
        for source, row in enumerate(part.successors):
            for edge in row:
                if part.names[source] >= 0 and home[source] and home[source] == home[edge >> 5]:
                    if (edge & CODE_MASK) >> 3 > stage:
                        continue
                    enough = 2 * (part.edges() + len(part.names))
                    walk, _ = _walk(part, _ANY, stage, source, edge, enough, enough)
                    assert walk is not None, "what is strongly connected leads back"
                    for cycle in _simple_cycles(_collapse(part, source, edge, walk)):
                        found.offer(cycle)
                    return


def _homes(part: Part, moves: tuple[tuple[int, int, int, int], ...], stage: int) -> list[int] | None:
    """For every node the component that it has in the loops of an automaton, counted from 1; 0 if it has none."""
    states = len(moves)
    product: list[list[int]] = []
    for row in part.successors:
        for state in range(states):
            targets = []
            for edge in row:
                if (edge & CODE_MASK) >> 3 > stage:
                    continue
                kind = edge & KIND_MASK
                after = state if kind == LINK else moves[state][kind]
                if after != NO:
                    targets.append((edge >> 5) * states + after)
            product.append(targets)
    found = components(product)
    if not found:
        return None
    # A node can lie in one component in one state and in another in the other: then the two are taken as one, which
    # only makes the search look at a little more.
    home = [0] * len(part.names)
    alias = list(range(len(found) + 1))
    for number, members in enumerate(found, 1):
        for member in members:
            node = member // states
            if home[node]:
                alias[_root(alias, number)] = _root(alias, home[node])
            home[node] = number
    return [_root(alias, number) for number in home]


def _root(alias: list[int], number: int) -> int:
    while alias[number] != number:
        alias[number] = alias[alias[number]]
        number = alias[number]
    return number


def _walk(
    part: Part, automaton: Automaton, stage: int, source: int, first: int, best: int, limit: int
) -> tuple[list[int] | None, int]:
    """Shortest way from the end of the first edge back to its source, as edges; and the steps it took.

    Edges through virtual nodes count once. Ways that cannot beat `best` are not followed.
    """
    states = len(automaton.moves)
    moves = automaton.moves
    rows = part.successors
    goal = source * states + automaton.goal
    start = (first >> 5) * states
    came: dict[int, tuple[int, int]] = {start: (-1, first)}
    level = [start]
    steps = 0
    length = 1
    while level and length + 1 < best:
        following: list[int] = []
        # Virtual nodes are expanded within their level, so the list grows while it is read.
        for at in level:
            node, state = divmod(at, states)
            for edge in rows[node]:
                steps += 1
                kind = edge & KIND_MASK
                if (edge & CODE_MASK) >> 3 > stage:
                    continue
                if kind == LINK:
                    after = (edge >> 5) * states + state
                    # A walk of one edge that is back already would be an edge from a transaction to itself.
                    if after not in came and (after != goal or length > 1):
                        came[after] = (at, edge)
                        if after == goal:
                            return _unwind(came, after), steps
                        level.append(after)
                    continue
                next_state = moves[state][kind]
                if next_state == NO:
                    continue
                after = (edge >> 5) * states + next_state
                if after not in came:
                    came[after] = (at, edge)
                    if after == goal:
                        return _unwind(came, after), steps
                    following.append(after)
            if steps > limit:
                return None, steps
        level = following
        length += 1
    return None, steps


def _unwind(came: dict[int, tuple[int, int]], at: int) -> list[int]:
    edges: list[int] = []
    while True:
        before, edge = came[at]
        if before < 0:
            edges.reverse()
            return edges
        edges.append(edge)
        at = before


def _collapse(part: Part, source: int, first: int, walk: Sequence[int]) -> list[Edge]:
    """Edges between transactions, the virtual nodes between them left out."""
    edges: list[Edge] = []
    begin, kind, stage = part.names[source], first & KIND_MASK, (first & CODE_MASK) >> 3
    at = first >> 5
    for edge in walk:
        if part.names[at] >= 0:
            edges.append(Edge(begin, part.names[at], kind, stage))
            begin, kind, stage = part.names[at], edge & KIND_MASK, (edge & CODE_MASK) >> 3
        else:
            stage = max(stage, (edge & CODE_MASK) >> 3)
        at = edge >> 5
    edges.append(Edge(begin, part.names[at], kind, stage))
    return edges


def _simple_cycles(edges: Sequence[Edge]) -> list[Cycle]:
    """A closed walk cut where it meets a transaction again."""
    cycles: list[Cycle] = []
    path: list[Edge] = []
    place = {edges[0].source: 0}
    for edge in edges:
        path.append(edge)
        at = place.get(edge.target)
        if at is None:
            place[edge.target] = len(path)
            continue
        loop = path[at:]
        del path[at:]
        for inner in loop[:-1]:
            del place[inner.target]
        if len(loop) > 1:
            cycles.append(_turned(loop))
    return cycles


def _turned(loop: Sequence[Edge]) -> Cycle:
    """The same cycle, begun where its earliest transaction is: so one cycle has one form."""
    first = min(range(len(loop)), key=lambda place: loop[place].source)
    return Cycle(name_of(loop), (*loop[first:], *loop[:first]))


assert PROCESS == 1  # SUFFIXES is indexed by the stage

"""Dependency graphs: flat lists of integers, and what is asked of them in linear time, without recursion.

Rules of this room:
- Nodes 0..n-1 are transactions, those after them are virtual: a virtual node stands for "all that came before" and
  keeps the number of edges linear where every one of many precedes every one of many others.
- An edge is one integer: target << 5 | stage << 3 | kind. The kind says why (ww, wr, rw, an order of time, or the
  continuation of an edge through a virtual node), the stage what must be promised for it to hold: nothing, an order
  within each process, an order in real time.
- An edge from transaction to transaction is thus a kinded edge followed by any number of LINK edges; its stage is the
  largest on the way.
- Realtime edges are never all pairs. `residue` does not even build them: a transaction waits until a prefix of all
  returns, sorted by time, is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from dynalab_checkers.history import Operation

WW: Final = 0
WR: Final = 1
RW: Final = 2
ORDER: Final = 3
LINK: Final = 4
ITEM: Final = 0
PROCESS: Final = 1
REALTIME: Final = 2
CODE_BITS: Final = 5
CODE_MASK: Final = 31
KIND_MASK: Final = 7
KIND_NAMES: Final = ("ww", "wr", "rw", "order", "link")
STAGE_NAMES: Final = ("", "process", "realtime")


def code(kind: int, stage: int = ITEM) -> int:
    """The low bits of an edge."""
    return stage << 3 | kind


class Graph:
    """Edges by their source.

    >>> graph = Graph(2)
    >>> graph.add(0, 1, WR); graph.add(1, 0, RW)
    >>> sorted(residue(graph, None))
    [0, 1]
    """

    __slots__ = ("successors", "transactions")

    def __init__(self, transactions: int) -> None:
        self.transactions = transactions
        self.successors: list[list[int]] = [[] for _ in range(transactions)]

    def add(self, source: int, target: int, kind: int, stage: int = ITEM) -> None:
        """One edge. A transaction does not depend on itself: such an edge is no edge."""
        if source != target:
            self.successors[source].append(target << CODE_BITS | stage << 3 | kind)

    def virtual(self) -> int:
        """A new virtual node."""
        self.successors.append([])
        return len(self.successors) - 1

    def dependencies(self) -> int:
        """How many edges begin at a transaction and lead somewhere."""
        count = self.transactions
        nowhere = {node for node in range(count, len(self.successors)) if not self.successors[node]}
        rows = self.successors[:count]
        if not nowhere:
            return sum(map(len, rows))
        return sum(edge >> CODE_BITS not in nowhere for row in rows for edge in row)


class Fan:
    """Edges from any of many sources to all of many targets, linear in both, and never from a node to itself.

    Two chains of virtual nodes, one forwards and one backwards, lead to the targets. A source that is itself a target
    takes the forward chain behind it and the backward chain before it.

    >>> graph = Graph(4)
    >>> fan = Fan(graph, [1, 2, 3])
    >>> fan.reach(0, WW); fan.reach(2, RW)
    >>> len(graph.successors[0]), len(graph.successors[2])
    (1, 2)
    """

    __slots__ = ("backward", "forward", "graph", "places")

    def __init__(self, graph: Graph, targets: Sequence[int]) -> None:
        self.graph = graph
        self.places = {target: place for place, target in enumerate(targets)}
        assert len(self.places) == len(targets), "a target is named once"
        if len(targets) == 1:
            self.forward = self.backward = list(targets)
            return
        self.forward = [graph.virtual() for _ in targets]
        self.backward = [graph.virtual() for _ in targets]
        for place, target in enumerate(targets):
            graph.add(self.forward[place], target, LINK)
            graph.add(self.backward[place], target, LINK)
            if place:
                graph.add(self.forward[place - 1], self.forward[place], LINK)
                graph.add(self.backward[place], self.backward[place - 1], LINK)

    def reach(self, source: int, kind: int, stage: int = ITEM) -> None:
        """An edge from the source to every target but itself."""
        place = self.places.get(source)
        if place is None:
            self.graph.add(source, self.forward[0], kind, stage)
            return
        if place:
            self.graph.add(source, self.backward[place - 1], kind, stage)
        if place + 1 < len(self.forward):
            self.graph.add(source, self.forward[place + 1], kind, stage)


@dataclass(slots=True)
class Timeline:
    """The transactions that take part in realtime order: by the time of their call, and of their return."""

    by_call: list[int]
    by_return: list[int]
    needed: list[int]  # beside by_call: how many of by_return must be done before it can begin

    @classmethod
    def of(cls, operations: Sequence[Operation], takes_part: Sequence[int], numbers: Sequence[int]) -> Timeline:
        """From the operations whose numbers are given."""
        part = [number for number in numbers if takes_part[number]]
        by_call = sorted(part, key=lambda number: operations[number].call)
        returns = [(ret, number) for number in part if (ret := operations[number].ret) is not None]
        returns.sort()
        needed: list[int] = []
        done, last = 0, len(returns)
        for number in by_call:
            call = operations[number].call
            while done < last and returns[done][0] < call:
                done += 1
            needed.append(done)
        return cls(by_call, [number for _, number in returns], needed)

    def add_barriers(self, graph: Graph) -> None:
        """Realtime edges, explicitly: returns lead into a barrier, barriers into each other and into later calls."""
        barrier = -1
        done = 0
        for number, needed in zip(self.by_call, self.needed, strict=True):
            if needed > done:
                fresh = graph.virtual()
                for earlier in self.by_return[done:needed]:
                    graph.add(earlier, fresh, ORDER, REALTIME)
                if barrier >= 0:
                    graph.add(barrier, fresh, LINK, REALTIME)
                barrier, done = fresh, needed
            if barrier >= 0:
                graph.add(barrier, number, LINK, REALTIME)


def add_process_edges(graph: Graph, operations: Sequence[Operation], takes_part: Sequence[int]) -> None:
    """An edge from each transaction to the next of its process (or of its session, where one is named)."""
    last: dict[str | int | tuple[str, str | int], int] = {}
    successors = graph.successors
    low = code(ORDER, PROCESS)
    for number, operation in enumerate(operations):
        if not takes_part[number]:
            continue
        who = operation.process if operation.session is None else ("session", operation.session)
        before = last.get(who)
        if before is not None and (operation.session is None or _before(operations[before], operation)):
            successors[before].append(number << CODE_BITS | low)
        last[who] = number


def add_item_edges(
    graph: Graph,
    operations: Sequence[Operation],
    takes_part: Sequence[int],
    groups: Iterable[Sequence[int]],
    stage: int,
) -> None:
    """Orders of time among those that touch one key, explicitly, for each of these groups of them."""
    for numbers in groups:
        if stage >= PROCESS:
            last: dict[int, int] = {}
            for number in numbers:
                if takes_part[number]:
                    before = last.get(operations[number].process)
                    if before is not None:
                        graph.add(before, number, ORDER, PROCESS)
                    last[operations[number].process] = number
        if stage >= REALTIME:
            Timeline.of(operations, takes_part, numbers).add_barriers(graph)


def _before(one: Operation, other: Operation) -> bool:
    """Within a session processes may overlap; within one process the index decides, and they never do."""
    return one.process == other.process or (one.ret is not None and one.ret < other.call)


def residue(graph: Graph, timeline: Timeline | None) -> list[int]:
    """All nodes but those that come before every cycle or beside it: none, if there is no cycle. Linear.

    Nodes that nothing precedes are taken away until none is left. With a timeline, realtime edges count too.
    """
    successors = graph.successors
    waiting = [0] * len(successors)
    for row in successors:
        for edge in row:
            waiting[edge >> 5] += 1
    by_call: list[int] = []
    by_return: list[int] = []
    needed: list[int] = []
    if timeline is not None:
        by_call, by_return, needed = timeline.by_call, timeline.by_return, timeline.needed
        for number in by_call:
            waiting[number] += 1
    calls, returns = len(by_call), len(by_return)
    released = prefix = 0
    done = bytearray(len(successors))
    ready = [node for node, count in enumerate(waiting) if not count]
    while True:
        while ready:
            node = ready.pop()
            done[node] = 1
            for edge in successors[node]:
                node = edge >> 5
                left = waiting[node] - 1
                waiting[node] = left
                if not left:
                    ready.append(node)
        while prefix < returns and done[by_return[prefix]]:
            prefix += 1
        while released < calls and needed[released] <= prefix:
            node = by_call[released]
            released += 1
            left = waiting[node] - 1
            waiting[node] = left
            if not left:
                ready.append(node)
        if not ready:
            return [node for node, over in enumerate(done) if not over]


def components(successors: Sequence[Sequence[int]]) -> list[list[int]]:
    """Strongly connected components of more than one node, by Tarjan's algorithm without recursion. Edges are targets.

    >>> sorted(sorted(part) for part in components([[1], [2], [0], [4], []]))
    [[0, 1, 2]]
    """
    count = len(successors)
    index = [0] * count  # 0: not yet seen; afterwards the order of the first visit, counted from 1
    low = [0] * count
    on_stack = bytearray(count)
    place = [0] * count
    stack: list[int] = []
    found: list[list[int]] = []
    counter = 0
    for root in range(count):
        if index[root]:
            continue
        counter += 1
        index[root] = low[root] = counter
        stack.append(root)
        on_stack[root] = 1
        path = [root]
        while path:
            node = path[-1]
            row = successors[node]
            at = place[node]
            if at < len(row):
                place[node] = at + 1
                target = row[at]
                if not index[target]:
                    counter += 1
                    index[target] = low[target] = counter
                    stack.append(target)
                    on_stack[target] = 1
                    path.append(target)
                elif on_stack[target] and index[target] < low[node]:
                    low[node] = index[target]
                continue
            path.pop()
            if path and low[node] < low[path[-1]]:
                low[path[-1]] = low[node]
            if low[node] == index[node]:
                member = stack.pop()
                on_stack[member] = 0
                if member != node:
                    part = [member]
                    while member != node:
                        member = stack.pop()
                        on_stack[member] = 0
                        part.append(member)
                    found.append(part)
    return found


@dataclass(slots=True)
class Part:
    """A piece of a graph under its own numbers. `names[node]`: the transaction, or -1 for a virtual node."""

    names: list[int]
    successors: list[list[int]]

    def edges(self) -> int:
        """How many edges there are."""
        return sum(map(len, self.successors))


def restrict(graph: Graph, nodes: Sequence[int], names: Sequence[int] | None = None) -> Part:
    """The part of the graph between these nodes. `names` tells which transaction a node is (by default itself)."""
    new = {node: place for place, node in enumerate(nodes)}
    rows = [
        [new[edge >> 5] << 5 | edge & CODE_MASK for edge in graph.successors[node] if edge >> 5 in new]
        for node in nodes
    ]
    if names is None:
        return Part([node if node < graph.transactions else -1 for node in nodes], rows)
    return Part([names[node] for node in nodes], rows)


def knots(
    graph: Graph, operations: Sequence[Operation], takes_part: Sequence[int], timeline: Timeline | None
) -> list[Part]:
    """The strongly connected components that hold a cycle, realtime edges among them made explicit; smallest first."""
    left = residue(graph, timeline)
    if not left:
        return []
    part = restrict(graph, left)
    inner = Graph(len(left))
    inner.successors = part.successors
    names = part.names
    if timeline is not None:
        # Whatever was taken away precedes nothing that is left through it, so realtime edges are needed only here.
        place = {number: node for node, number in enumerate(names) if number >= 0}
        local = Timeline.of(operations, takes_part, [number for number in names if number >= 0])
        local.by_call = [place[number] for number in local.by_call]
        local.by_return = [place[number] for number in local.by_return]
        local.add_barriers(inner)
        names = names + [-1] * (len(inner.successors) - len(names))
    found = components([[edge >> 5 for edge in row] for row in inner.successors])
    found.sort(key=lambda nodes: (len(nodes), min(nodes)))
    parts = [restrict(inner, sorted(nodes), names) for nodes in found]
    return [part for part in parts if sum(name >= 0 for name in part.names) > 1]

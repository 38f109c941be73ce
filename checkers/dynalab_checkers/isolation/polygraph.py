"""Orders that nobody saw: whether any choice of them makes a history right (a polygraph, after Papadimitriou 1979).

Rules of this room:
- A polygraph is a graph with choices. A version comes before or after every other one of its key; who read absence read
  one of several versions. Each choice adds edges; the history is right iff some choice of all leaves no cycle.
- Versions that follow each other directly are a chain, and chains are ordered whole. The chain of the initial version
  comes first.
- Reachability is kept closed, as one integer of bits per node, so that a choice that would close a cycle is seen before
  it is made, and the other one is then forced. Only where nothing is forced does the search branch, depth first, on
  states that are copied. Every bit that changes is a step; after `budget` steps the answer is None.
- Under serializability a node is a transaction. Under snapshot isolation there are two, its start and its commit
  (Cerone and Gotsman): a ww, wr or order edge leads from a commit to a start, an rw edge from a start to a commit.
- Integers only, no recursion, and the same steps everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from dynalab_checkers.isolation.cycles import Edge
from dynalab_checkers.isolation.graph import ITEM, RW, WR, WW

NONE: Final = -1


@dataclass(frozen=True, slots=True)
class Question:
    """A transaction read absence, and wrote `own` (or NONE) after it: which of these versions did it read?"""

    reader: int
    own: int
    candidates: tuple[int, ...]


@dataclass(slots=True)
class Polygraph:
    """Transactions 0..count-1, versions of all keys numbered through, and what is open about them.

    `known`: edges that hold in any case. `writer`, `key`, `previous`, `readers`: by version; a writer of NONE is the
    initial version. `doubtful`: versions that may have changed nothing (deletes that did not tell what they found):
    under snapshot isolation they have no place in the order unless somebody read them. `optional`: transactions that
    happened if somebody saw them.
    """

    count: int
    known: list[Edge] = field(default_factory=list)
    writer: list[int] = field(default_factory=list)
    key: list[int] = field(default_factory=list)
    previous: list[int] = field(default_factory=list)
    readers: list[list[int]] = field(default_factory=list)
    doubtful: set[int] = field(default_factory=set)
    questions: list[Question] = field(default_factory=list)
    optional: set[int] = field(default_factory=set)


# An edge as the trace keeps it, and the ones before it.
_Trace: TypeAlias = "tuple[_Trace, Edge] | None"


@dataclass(slots=True)
class _State:
    """Choices made so far. Masks are over nodes; `readers` are over transactions, whose starts are the first nodes."""

    after: list[int]
    before: list[int]
    following: list[int]
    previous: list[int]
    readers: list[int]
    active: int
    open: list[tuple[int, tuple[int, ...]]]  # question, candidates that are left
    trace: _Trace = None

    def copy(self) -> _State:
        return _State(
            self.after[:],
            self.before[:],
            self.following[:],
            self.previous[:],
            self.readers[:],
            self.active,
            self.open[:],
            self.trace,
        )


class Search:
    """A search for choices that leave no cycle.

    After `run`, `spent` tells the steps. With `tell`, `circles` holds the cycles that excluded one choice after
    another (and `clashes` two versions that cannot both have replaced one); if the answer is False, they are the proof.

    >>> from dynalab_checkers.isolation.graph import WR
    >>> puzzle = Polygraph(3, [Edge(0, 2, WR, 0), Edge(1, 2, WR, 0)], [0, 1, 0, 1], [0, 0, 1, 1], [NONE] * 4,
    ...                    [[2], [], [], [2]])
    >>> Search(puzzle, snapshot=False).run(1000)      # 2 read x from 0 and y from 1, which also wrote both
    False
    """

    def __init__(self, puzzle: Polygraph, *, snapshot: bool, tell: bool = False) -> None:
        self.puzzle = puzzle
        self.snapshot = snapshot
        self.commit = puzzle.count if snapshot else 0  # added to a transaction, the node of its commit
        self.nodes = puzzle.count * (2 if snapshot else 1)
        self.tell = tell
        self.circles: dict[tuple[Edge, ...], None] = {}
        self.clashes: dict[tuple[int, int], None] = {}  # versions that replaced the same one
        self.changes = 0
        self.order: list[int] = []
        self.before: list[int] = []  # by node: mask of the nodes that come before it in any such order
        self.active = 0
        self.undecided: tuple[int, int, int, int] | None = None
        self.spent = 0
        self.of_key: dict[int, list[int]] = {}
        for version, key in enumerate(puzzle.key):
            self.of_key.setdefault(key, []).append(version)
        self.of_writer: dict[int, list[int]] = {}
        for version, writer in enumerate(puzzle.writer):
            self.of_writer.setdefault(writer, []).append(version)

    def run(self, budget: int) -> bool | None:
        """Whether some choice leaves no cycle; None if the budget ended before that was known.

        If so, `order` holds the nodes in an order that fits: transactions, or starts and (plus `count`) commits.
        """
        first = self._begin()
        stack = [] if first is None else [first]
        while stack:
            if self.spent > budget:
                return None
            state = stack.pop()
            if not self._settle(state):
                continue
            choices = self._choices(state)
            if choices is None:
                counts = [before.bit_count() for before in state.before]
                active = [node for node in range(self.nodes) if state.active >> node % self.puzzle.count & 1]
                self.order = sorted(active, key=lambda node: (counts[node], node))
                self.before, self.active = state.before, state.active
                return True
            stack += reversed(choices)
        return False

    def _begin(self) -> _State | None:
        """Everything that is known, closed; None if that holds a cycle already."""
        puzzle, nodes = self.puzzle, self.nodes
        active = (1 << puzzle.count) - 1
        for number in puzzle.optional:
            active &= ~(1 << number)
        state = _State([0] * nodes, [0] * nodes, [], [], [], active, [])
        if self.snapshot:
            for number in range(puzzle.count):
                self._close(state, number, number + self.commit)
        for edge in puzzle.known:
            if not self._link(state, edge):
                return None
        state.following = [NONE] * len(puzzle.writer)
        state.previous = list(puzzle.previous)
        state.readers = [sum(1 << reader for reader in sorted(set(readers))) for readers in puzzle.readers]
        for version, previous in enumerate(puzzle.previous):
            if previous != NONE:
                if state.following[previous] != NONE:
                    self.clashes[state.following[previous], version] = None
                    return None
                state.following[previous] = version
        for version, previous in enumerate(puzzle.previous):
            if previous != NONE and not self._precede(state, previous, version):
                return None
        for number, question in enumerate(puzzle.questions):
            state.open.append((number, question.candidates))
        return state

    def _ends(self, edge: Edge) -> tuple[int, int]:
        """The nodes that an edge joins."""
        if edge.kind == RW:
            return edge.source, edge.target + self.commit
        return edge.source + self.commit, edge.target

    def _link(self, state: _State, edge: Edge) -> bool:
        """Add an edge; False if it closes a cycle."""
        source, target = self._ends(edge)
        if source == target or state.after[target] >> source & 1:
            if self.tell:
                self._told(state, edge)
            return False
        if not state.after[source] >> target & 1:
            if self.tell:
                state.trace = (state.trace, edge)
            self._close(state, source, target)
        return True

    def _close(self, state: _State, source: int, target: int) -> None:
        after, before = state.after, state.before
        earlier = before[source] | 1 << source
        later = after[target] | 1 << target
        self.spent += earlier.bit_count() + later.bit_count()
        self.changes += 1
        for node in _bits(earlier):
            after[node] |= later
        for node in _bits(later):
            before[node] |= earlier

    def _edges(self, state: _State, one: int, other: int) -> list[Edge]:
        """What follows if version `one` comes before version `other`."""
        writer = self.puzzle.writer
        target = writer[other]
        edges: list[Edge] = []
        if writer[one] != NONE:
            edges.append(Edge(writer[one], target, WW, ITEM))
        for reader in _bits(state.readers[one] & ~(1 << target)):
            edges.append(Edge(reader, target, RW, ITEM))
        return edges

    def _precede(self, state: _State, one: int, other: int) -> bool:
        """Put one version before another; False if that closes a cycle."""
        return all(self._link(state, edge) for edge in self._edges(state, one, other))

    def _done(self, state: _State, one: int, other: int) -> bool:
        """Whether all that follows if version `one` comes before version `other` is there already. The hot question."""
        writer = self.puzzle.writer[one]
        target = self.puzzle.writer[other]
        self.spent += 1
        if target == NONE:
            return False
        earlier = state.before[target + self.commit]
        if state.readers[one] & ~(1 << target) & ~earlier:
            return False
        if writer == NONE:
            return True
        return bool(state.before[target] >> (writer + self.commit) & 1)

    def _possible(self, state: _State, one: int, other: int) -> bool:
        """Whether version `one` may come before version `other`."""
        writer = self.puzzle.writer
        target = writer[other]
        self.spent += 1
        if target == NONE:
            return False
        late = state.after[target + self.commit] | 1 << target + self.commit
        if state.readers[one] & ~(1 << target) & late:
            possible = False
        elif writer[one] == NONE:
            return True
        else:
            possible = not state.after[target] >> (writer[one] + self.commit) & 1 and writer[one] != target
        if not possible and self.tell:
            for edge in self._edges(state, one, other):
                source, end = self._ends(edge)
                if source == end or state.after[end] >> source & 1:
                    self._told(state, edge)
                    break
        return possible

    def _chains(self, state: _State, key: int) -> list[tuple[int, int]]:
        """First and last version of every chain of a key; that of the initial version stands first."""
        chains: list[tuple[int, int]] = []
        for head in self.of_key[key]:
            writer = self.puzzle.writer[head]
            if state.previous[head] != NONE or (writer != NONE and not state.active >> writer & 1):
                continue
            seen = state.readers[head] or state.following[head] != NONE
            if self.snapshot and head in self.puzzle.doubtful and not seen:
                continue
            last = head
            while state.following[last] != NONE:
                last = state.following[last]
            chains.append((head, last))
        return chains

    def _settle(self, state: _State) -> bool:
        """Make every choice that is forced; False if some question has no answer left."""
        known = -1
        while known != self.changes:
            known = self.changes
            self.undecided = None
            if not self._answer_forced(state):
                return False
            for key in self.of_key:
                chains = self._chains(state, key)
                for place, (head, last) in enumerate(chains):
                    for other_head, other_last in chains[:place]:
                        if self._done(state, other_last, head) or self._done(state, last, other_head):
                            continue
                        forwards = self._possible(state, other_last, head)
                        backwards = self._possible(state, last, other_head)
                        if not forwards and not backwards:
                            return False
                        if forwards and backwards:
                            self.undecided = self.undecided or (other_last, head, last, other_head)
                            continue
                        if not backwards and not self._precede(state, other_last, head):
                            return False
                        if not forwards and not self._precede(state, last, other_head):
                            return False
        return True

    def _answer_forced(self, state: _State) -> bool:
        left: list[tuple[int, tuple[int, ...]]] = []
        for number, candidates in state.open:
            fitting = tuple(version for version in candidates if self._fits(state, number, version))
            if not fitting:
                return False
            if len(fitting) > 1:
                left.append((number, fitting))
            elif not self._answer(state, number, fitting[0]):
                return False
        state.open = left
        return True

    def _fits(self, state: _State, number: int, version: int) -> bool:
        """Whether a version can be what was read, as far as that is seen at once."""
        question = self.puzzle.questions[number]
        writer = self.puzzle.writer[version]
        later = state.following[version]
        self.spent += 1
        if writer != NONE and state.after[question.reader] >> (writer + self.commit) & 1:
            if self.tell:
                self._told(state, Edge(writer, question.reader, WR, ITEM))
            return False
        if later == NONE or later == question.own:
            return True
        if question.own != NONE:
            self.clashes[later, question.own] = None
            return False
        overwriter = self.puzzle.writer[later]
        if state.after[overwriter + self.commit] >> question.reader & 1 or overwriter == question.reader:
            if self.tell:
                self._told(state, Edge(question.reader, overwriter, RW, ITEM))
            return False
        return True

    def _answer(self, state: _State, number: int, version: int) -> bool:
        """Let the reader have read this version; False if that closes a cycle."""
        question = self.puzzle.questions[number]
        reader, own, writer = question.reader, question.own, self.puzzle.writer[version]
        self.changes += 1
        if writer != NONE:
            state.active |= 1 << writer
            if not self._link(state, Edge(writer, reader, WR, ITEM)):
                return False
        if own == NONE:
            state.readers[version] |= 1 << reader
            later = state.following[version]
            return later == NONE or self._link(state, Edge(reader, self.puzzle.writer[later], RW, ITEM))
        assert state.previous[own] == NONE, "a version is asked for its predecessor once"
        if state.following[version] != NONE:
            self.clashes[state.following[version], own] = None
            return False
        state.following[version], state.previous[own] = own, version
        return self._precede(state, version, own)

    def _choices(self, state: _State) -> list[_State] | None:
        """The ways to go on where nothing is forced, one state each. None if everything is decided.

        The state was settled just before.
        """
        branches: list[_State] = []
        if state.open:
            number, candidates = min(state.open, key=lambda one: (len(one[1]), one[0]))
            for version in reversed(candidates):  # the latest first: mostly it is what was read
                branch = self._branch(state)
                branch.open = [one for one in state.open if one[0] != number]
                if self._answer(branch, number, version):
                    branches.append(branch)
            return branches
        if self.undecided is None:
            return None
        last, other_head, other_last, head = self.undecided
        for one, other in ((last, other_head), (other_last, head)):
            branch = self._branch(state)
            if self._precede(branch, one, other):
                branches.append(branch)
        return branches

    def _branch(self, state: _State) -> _State:
        self.spent += self.nodes
        return state.copy()

    def _told(self, state: _State, edge: Edge) -> None:
        """Keep the cycle that an edge would close: the shortest way back, and the edge."""
        source, target = self._ends(edge)
        onward: dict[int, list[tuple[int, Edge | None]]] = {}
        if self.snapshot:
            onward = {number: [(number + self.commit, None)] for number in range(self.puzzle.count)}
        trace = state.trace
        while trace is not None:
            trace, known = trace
            begin, end = self._ends(known)
            onward.setdefault(begin, []).append((end, known))
        came: dict[int, tuple[int, Edge | None]] = {target: (NONE, None)}
        queue = [target]
        for node in queue:
            for end, known_or_none in onward.get(node, ()):
                if end not in came:
                    came[end] = (node, known_or_none)
                    queue.append(end)
        way = [edge]
        node = source
        while node != target:
            node, step = came[node]
            if step is not None:
                way.append(step)
        way.reverse()
        first = min(range(len(way)), key=lambda place: (way[place].source, way[place].target, way[place].kind))
        self.circles[tuple(way[first:] + way[:first])] = None


def _bits(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set, the smallest first."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low

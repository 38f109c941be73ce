"""Some transactions of a register history as a polygraph: what was seen of them, and what is open.

Rules of this room:
- An excerpt holds the constraints among its own transactions, and no others: so it has no more of them than the whole.
- A read of absence is a question only if all that it can mean lies in the excerpt. Where the transactions before it
  have been run, what they left is the beginning; what can only lie behind them is not asked.
- Real time is given by its transitive reduction, that of each key on its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dynalab_checkers.isolation.cycles import Edge
from dynalab_checkers.isolation.graph import (
    CODE_MASK,
    ITEM,
    ORDER,
    PROCESS,
    REALTIME,
    WR,
    Graph,
    Timeline,
    add_item_edges,
    add_process_edges,
)
from dynalab_checkers.isolation.polygraph import NONE, Polygraph, Question
from dynalab_checkers.isolation.register import INITIAL, Access, Registers, Versions, absences
from dynalab_checkers.isolation.register_order import NEVER


@dataclass(slots=True)
class Excerpt:
    """Some of the transactions, and what is known of them alone.

    `past`: those that have been run already, so that `now` holds the versions that the others find (of keys that are
    not named, the initial one). Then `blocked` are those that cannot run yet, and `stuck` says that one never can.
    """

    found: Registers
    ordered: Sequence[int]
    optional: dict[int, list[tuple[str, int]]]  # and what they would have written: key, version
    members: list[int]
    past: bytearray | None = None
    now: dict[str, int] = field(default_factory=dict)
    blocked: set[int] = field(default_factory=set)
    stuck: bool = False

    def polygraph(self, stage: int) -> Polygraph:
        """Their constraints, with orders of time up to a stage."""
        found = self.found
        local = {number: place for place, number in enumerate(self.members)}
        puzzle = Polygraph(len(self.members))
        puzzle.optional = {local[number] for number in self.members if number in self.optional}
        self._order_edges(puzzle, stage)
        accesses: dict[str, list[Access]] = {}
        for number in self.members:
            for key, access in found.touched[number].items():
                accesses.setdefault(key, []).append(access)
        for key, of_key in accesses.items():
            self._key(puzzle, found.keys[key], of_key, local)
        return puzzle

    def _order_edges(self, puzzle: Polygraph, stage: int) -> None:
        operations = [self.found.transactions.operations[number] for number in self.members]
        part = [self.ordered[number] for number in self.members]
        of_item = self.found.transactions.of_item
        groups = self.found.transactions.item_groups(self.members)
        alone = [of_item[number] for number in self.members] if groups else []
        lines = (
            [(part, list(range(len(operations)))), *((alone, group) for group in groups)] if stage >= REALTIME else []
        )
        for takes_part, numbers in lines:
            line = Timeline.of(operations, takes_part, numbers)
            for number, needed in zip(line.by_call, line.needed, strict=True):
                # Only those that no other one stands between: the rest follows.
                latest = max((operations[one].call for one in line.by_return[:needed]), default=0)
                for one in reversed(line.by_return[:needed]):
                    ret = operations[one].ret
                    if ret is None or ret < latest:
                        break
                    puzzle.known.append(Edge(one, number, ORDER, REALTIME))
        if stage >= PROCESS:
            graph = Graph(len(operations))
            add_process_edges(graph, operations, part)
            add_item_edges(graph, operations, alone, groups, PROCESS)
            for one, row in enumerate(graph.successors):
                puzzle.known += [Edge(one, edge >> 5, ORDER, (edge & CODE_MASK) >> 3) for edge in row]

    def _key(self, puzzle: Polygraph, versions: Versions, accesses: Sequence[Access], local: dict[int, int]) -> None:
        names: dict[int, int] = {}  # the numbers of this key's versions in the polygraph
        number = puzzle.key[-1] + 1 if puzzle.key else 0
        here = self._in_likely_order(versions, accesses, local)
        for writer, version in [(NONE, self.now.get(versions.key, INITIAL)), *here]:
            names[version] = len(puzzle.writer)
            puzzle.writer.append(writer)
            puzzle.key.append(number)
            puzzle.previous.append(NONE)
            puzzle.readers.append([])
        puzzle.doubtful |= {names[version] for version in versions.doubtful() if version in names}
        for access in accesses:
            reader = local[access.transaction]
            own = names.get(access.write, NONE)
            before = access.replaced if access.replaced >= 0 else access.read
            if before >= 0 and before != access.write:
                if before not in names:
                    self._not_here(versions.writer[before], reader)
                    continue
                if puzzle.writer[names[before]] != NONE:
                    puzzle.known.append(Edge(puzzle.writer[names[before]], reader, WR, ITEM))
                if own == NONE:
                    puzzle.readers[names[before]].append(reader)
                else:
                    puzzle.previous[own] = names[before]
            elif access.absent:
                candidates = absences(versions, access.transaction)
                here_too = tuple(names[version] for version in candidates if version in names)
                if here_too and (self.past is not None or len(here_too) == len(candidates)):
                    puzzle.questions.append(Question(reader, own, here_too))
                else:
                    self.blocked.add(reader)

    def _in_likely_order(
        self, versions: Versions, accesses: Sequence[Access], local: dict[int, int]
    ) -> list[tuple[int, int]]:
        """The versions that were written here: (place of the writer, version), the earlier ones first.

        By their zones: the smaller of the first return and the last call of what saw a version. For one key alone that
        is the right order whenever there is one (checking.md, "The near-linear method" §4); here it is a guess.
        """
        operations = self.found.transactions.operations
        happened = self.found.committed
        zones: dict[int, tuple[int, int]] = {}
        for access in accesses:
            operation = operations[access.transaction]
            for version in (access.read, access.write):
                ends, begins = zones.get(version, (NEVER, operation.call))
                zones[version] = (
                    ends if operation.ret is None else min(ends, operation.ret),
                    max(begins, operation.call),
                )
        here = [
            (min(zones.get(version, (NEVER, operations[writer].call))), local[writer], version)
            for version, writer in enumerate(versions.writer)
            if version > INITIAL and writer in local and (happened[writer] or writer in self.optional)
        ]
        return [(writer, version) for _, writer, version in sorted(here)]

    def _not_here(self, writer: int, reader: int) -> None:
        """What this one read was overwritten, or is not yet there; without a past, it is only not looked at."""
        if self.past is not None:
            self.stuck = self.stuck or writer < 0 or bool(self.past[writer])
            self.blocked.add(reader)

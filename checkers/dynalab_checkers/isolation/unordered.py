"""Register histories whose versions nobody saw in order: proved right by an order that works, or wrong by having none.

Rules of this room:
- Asked only where the graph of what was seen forbids nothing. What was not seen (blind writes, absence after several
  deletes) becomes a polygraph, and its search answers: some choice is right, or every one closes a cycle.
- An order that was found is run before it is believed: every read must return what it returned.
- A part of the transactions keeps only its own constraints, so if it has no order, neither has the whole. Therefore a
  long history is looked at through windows, in which wrong is wrong and right proves nothing; and of what has no order
  the smallest such part is shown.
- Such an anomaly is named by the mildest of the cycles that exclude one choice after the other: a model that forbids
  that one forbids them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dynalab_checkers.isolation.cycles import KINDS, SUFFIXES, Edge, name_of
from dynalab_checkers.isolation.explain import describe_transaction
from dynalab_checkers.isolation.graph import (
    CODE_MASK,
    KIND_NAMES,
    LINK,
    ORDER,
    PROCESS,
    REALTIME,
    STAGE_NAMES,
    WR,
    Graph,
    Timeline,
    add_process_edges,
)
from dynalab_checkers.isolation.polygraph import NONE, Polygraph, Question, Search
from dynalab_checkers.isolation.register import INITIAL, Access, Registers, Versions, absences
from dynalab_checkers.isolation.transactions import OK
from dynalab_checkers.words import show, token

# A history of more transactions is looked at through windows of so many, each half over the one before.
WHOLE_MAX: Final = 256
WINDOW: Final = 128
# Circles that an explanation names.
TOLD_MAX: Final = 6


@dataclass(slots=True)
class Unordered:
    """The answer: `right` True (an order was found and run), False (there is none), or None."""

    right: bool | None = None
    steps: int = 0
    name: str = ""
    transactions: tuple[int, ...] = ()
    sentence: str = ""
    explanation: str = ""
    order: list[int] = field(default_factory=list)


def judge_unordered(
    found: Registers, ordered: Sequence[int], stage: int, *, snapshot: bool, budget: int, whole: bool = True
) -> Unordered:
    """Look for an order of the versions. `ordered`: who takes part in orders of time if it happened.

    `snapshot`: snapshot isolation is asked, and not serializability. `whole`: whether everything that was promised is
    known here, so that an order that is found proves the history right. `budget`: steps, over all windows together.
    """
    optional = _optional(found)
    numbers = [number for number, happened in enumerate(found.committed) if happened or number in optional]
    answer = Unordered()
    several = len(numbers) > WHOLE_MAX
    starts = range(0, len(numbers), WINDOW // 2) if several else range(1)
    for start in starts:
        members = numbers[start : start + WINDOW] if several else numbers
        case = _Case(found, ordered, optional, members, snapshot)
        search = Search(case.polygraph(stage), snapshot=snapshot)
        fits = search.run(budget - answer.steps)
        answer.steps += search.spent
        if fits is False:
            return _refuted(case, stage, answer, budget)
        if fits is None:
            return answer
        if not several and whole:
            order = [members[node % len(members)] * 2 + (node >= len(members)) for node in search.order]
            if replays(found, order if snapshot else [point + end for point in order for end in (0, 1)]):
                answer.right, answer.order = True, [point // 2 for point in order if not point % 2]
    return answer


def _optional(found: Registers) -> set[int]:
    """Transactions of unknown outcome whose deletes may be what some read of absence saw."""
    unsure: set[int] = set()
    for versions in found.keys.values():
        if any(access.absent for access in versions.accesses):
            unsure |= {versions.writer[version] for version in versions.tombstones}
    return {number for number in unsure if not found.committed[number]}


@dataclass(slots=True)
class _Case:
    """Some of the transactions, and what is known of them alone."""

    found: Registers
    ordered: Sequence[int]
    optional: set[int]
    members: list[int]
    snapshot: bool

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
        if stage >= REALTIME:
            line = Timeline.of(operations, part, range(len(operations)))
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
            for one, row in enumerate(graph.successors):
                puzzle.known += [Edge(one, edge >> 5, ORDER, (edge & CODE_MASK) >> 3) for edge in row]

    def _key(self, puzzle: Polygraph, versions: Versions, accesses: Sequence[Access], local: dict[int, int]) -> None:
        names: dict[int, int] = {}  # the numbers of this key's versions in the polygraph
        number = puzzle.key[-1] + 1 if puzzle.key else 0
        here = sorted({(local[writer], version) for writer, version in self._writes(versions, local)})
        for writer, version in [(NONE, INITIAL), *here]:
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
            if before >= 0 and before != access.write and before in names:
                if before != INITIAL:
                    puzzle.known.append(Edge(puzzle.writer[names[before]], reader, WR, 0))
                if own == NONE:
                    puzzle.readers[names[before]].append(reader)
                else:
                    puzzle.previous[own] = names[before]
            elif access.absent:
                candidates = absences(versions, access.transaction)
                if all(version in names for version in candidates):
                    puzzle.questions.append(Question(reader, own, tuple(names[version] for version in candidates)))

    def _writes(self, versions: Versions, local: dict[int, int]) -> list[tuple[int, int]]:
        happened = self.found.committed
        return [
            (writer, version)
            for version, writer in enumerate(versions.writer)
            if version > INITIAL and writer in local and (happened[writer] or writer in self.optional)
        ]


def _refuted(case: _Case, stage: int, answer: Unordered, budget: int) -> Unordered:
    """Of transactions that have no order: the smallest part, the mildest name, the sentence."""
    found = case.found
    answer.right = False

    def wrong(members: list[int], at: int) -> bool:
        part = _Case(found, case.ordered, case.optional, members, case.snapshot)
        search = Search(part.polygraph(at), snapshot=case.snapshot)
        fits = search.run(budget // 4)
        answer.steps += search.spent
        return fits is False

    stage = next(at for at in range(stage + 1) if at == stage or wrong(case.members, at))
    members = case.members
    size = max(1, len(members) // 2)
    while True:
        place = 0
        while place < len(members):
            less = members[:place] + members[place + size :]
            if less and wrong(less, stage):
                members = less
            else:
                place += size
        if size == 1:
            break
        size //= 2
    part = _Case(found, case.ordered, case.optional, members, case.snapshot)
    search = Search(part.polygraph(stage), snapshot=case.snapshot, tell=True)
    search.run(budget)
    answer.transactions = tuple(members)
    circles = list(search.circles)
    names = [name_of([edge for edge in circle if edge.kind != LINK] or circle) for circle in circles]
    kind = max((KINDS.index(_bare(name)) for name in names), default=0)
    if search.clashes or _rests_on_no_lost_update(part):
        kind = max(kind, KINDS.index("G-single-item"))
    answer.name = KINDS[kind] + SUFFIXES[stage]
    _tell(part, circles, answer)
    return answer


def _bare(name: str) -> str:
    return name.removesuffix("-process").removesuffix("-realtime")


def _rests_on_no_lost_update(case: _Case) -> bool:
    """Whether somebody read a version and wrote the next, without being told what that replaced."""
    touched = case.found.touched
    return any(
        access.write >= 0 and access.replaced < 0 and (access.read >= 0 or access.absent)
        for number in case.members
        for access in touched[number].values()
    )


def _tell(case: _Case, circles: Sequence[tuple[Edge, ...]], answer: Unordered) -> None:
    found, members = case.found, case.members
    transactions = found.transactions
    keys = sorted({key for number in members for key, access in found.touched[number].items() if access.write >= 0})
    ways = [_circle(circle) for circle in circles[:TOLD_MAX]]
    more = len(circles) - len(ways)
    about = " and ".join(show(key) for key in keys[:3]) + (f" and {len(keys) - 3} other keys" if len(keys) > 3 else "")
    begin = f"nobody saw in which order the versions of {about} came, and no order of them fits these transactions"
    answer.sentence = begin + (f" ({ways[0]}" + (f"; else {ways[1]}" if len(ways) > 1 else "") + ")" if ways else "")
    lines = [f"{answer.name} (no order of the versions fits)", "Let:"]
    for place, number in enumerate(members, 1):
        told = describe_transaction(transactions.operations[number], transactions.micros[number])
        lines.append(f"  T{place} = {told}")
    lines += ["", "Then, whichever order its versions had, there is a circle:"]
    lines += [f"  - {way}" for way in ways]
    if more > 0:
        lines.append(f"  - ({more} more like these)")
    answer.explanation = "\n".join(lines)


def _circle(circle: Sequence[Edge]) -> str:
    """A circle on one line, by the names that the explanation gives.

    >>> _circle([Edge(0, 1, 2, 0), Edge(1, 0, 3, 2)])
    'T1 -rw-> T2 -realtime-> T1'
    """
    text = ""
    for edge in circle:
        label = STAGE_NAMES[edge.stage] if edge.kind == ORDER else "ww" if edge.kind == LINK else KIND_NAMES[edge.kind]
        text += f"T{edge.source + 1} -{label}-> "
    return f"{text}T{circle[0].source + 1}"


def replays(found: Registers, points: Sequence[int]) -> bool:
    """Run the transactions: 2 * number is a start, 2 * number + 1 a commit. Whether all return what they returned.

    Each sees the values at its start and its own writes. At its commit no key that it changes may have another value
    than it saw; a delete of what was absent is no change.
    """
    state: dict[str, Any] = {key: versions.value[INITIAL] for key, versions in found.keys.items()}
    changed: dict[str, int] = {}
    started: dict[int, tuple[int, dict[str, Any]]] = {}
    ended = bytearray(len(found.committed))
    for time, point in enumerate(points):
        number, commit = point >> 1, point & 1
        if not commit:
            written = _execute(found, number, state)
            if written is None:
                return False
            started[number] = (time, written)
            continue
        since, written = started.pop(number)
        for key, value in written.items():
            if changed.get(key, -1) > since:
                return False
            if state[key] != value:
                changed[key] = time
                state[key] = value
        ended[number] = 1
    return not started and all(map(int.__le__, found.committed, ended))


def _execute(found: Registers, number: int, state: dict[str, Any]) -> dict[str, Any] | None:
    """What a transaction writes if it begins in this state; None if it does not return what it returned."""
    known = found.transactions.status[number] == OK
    view: dict[str, Any] = {}
    for micro in found.transactions.micros[number]:
        kind, key = micro[0], micro[1]
        if key not in state:
            continue
        current = view.get(key, state[key])
        place = {"r": 2, "w": 3, "cas": 4, "d": 2}[kind]
        if known and kind == "r" and current != token(micro[2] if len(micro) > 2 else None):
            return None
        if known and kind != "r" and len(micro) > place and current != token(micro[place]):
            return None
        if kind == "cas" and current != token(micro[2]):
            return None
        if kind != "r":
            view[key] = None if kind == "d" else token(micro[place - 1])
    return view

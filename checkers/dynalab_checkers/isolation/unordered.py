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

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dynalab_checkers.isolation.cycles import KINDS, SUFFIXES, Edge, name_of
from dynalab_checkers.isolation.excerpt import Excerpt
from dynalab_checkers.isolation.explain import describe_transaction
from dynalab_checkers.isolation.graph import KIND_NAMES, ORDER, RW, STAGE_NAMES, WR
from dynalab_checkers.isolation.pictures import SHOWN_MAX, draw
from dynalab_checkers.isolation.polygraph import Search
from dynalab_checkers.isolation.register import INITIAL, NO_VERSION, Registers
from dynalab_checkers.isolation.rolling import Roll
from dynalab_checkers.isolation.transactions import OK
from dynalab_checkers.words import show, token

# A history of more transactions is looked at through windows, each half over the one before.
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
    picture: str = ""


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
    if len(numbers) <= WHOLE_MAX:
        excerpt = Excerpt(found, ordered, optional, numbers)
        puzzle = excerpt.polygraph(stage)
        # A delete that may have changed nothing: for a proof of right it did, for a proof of wrong it need not have.
        for doubtful in [set(), puzzle.doubtful] if snapshot and puzzle.doubtful else [puzzle.doubtful]:
            puzzle.doubtful = doubtful
            search = Search(puzzle, snapshot=snapshot)
            fits = search.run(budget - answer.steps)
            answer.steps += search.spent
            if fits and whole:
                points = [numbers[node % len(numbers)] * 2 + (node >= len(numbers)) for node in search.order]
                if replays(found, points if snapshot else both_ends(point // 2 for point in points)):
                    answer.right = True
                    return answer
        return _refuted(excerpt, stage, snapshot, answer, budget) if fits is False else answer
    roll = Roll(Excerpt(found, ordered, optional, numbers), stage)
    rolled = roll.run(2 * budget)
    answer.steps = roll.steps
    if whole and rolled and replays(found, both_ends(roll.order)):
        answer.right = True
        return answer
    # Where the roll got stuck there is mostly a reason.
    half = WINDOW // 2
    budget += answer.steps
    starts = [max(0, roll.place - half), *range(0, len(numbers), half)]
    for start in starts:
        excerpt = Excerpt(found, ordered, optional, numbers[start : start + WINDOW])
        search = Search(excerpt.polygraph(stage), snapshot=snapshot)
        fits = search.run(min(budget // 8, budget - answer.steps))
        answer.steps += search.spent
        if fits is False:
            return _refuted(excerpt, stage, snapshot, answer, budget)
        if answer.steps > budget:
            break
    return answer


def _optional(found: Registers) -> dict[int, list[tuple[str, int]]]:
    """Transactions of unknown outcome whose deletes may be what some read of absence saw, with all their versions."""
    unsure = {
        versions.writer[version]
        for versions in found.keys.values()
        if any(access.absent for access in versions.accesses)
        for version in versions.tombstones
    }
    optional: dict[int, list[tuple[str, int]]] = {
        number: [] for number in sorted(unsure) if not found.committed[number]
    }
    if optional:
        for key, versions in found.keys.items():
            for version, writer in enumerate(versions.writer):
                if writer in optional:
                    optional[writer].append((key, version))
    return optional


def _refuted(excerpt: Excerpt, stage: int, snapshot: bool, answer: Unordered, budget: int) -> Unordered:
    """Of transactions that have no order: the smallest part, the mildest name, the sentence."""
    found = excerpt.found
    answer.right = False

    def wrong(members: list[int], at: int) -> bool:
        part = Excerpt(found, excerpt.ordered, excerpt.optional, members)
        search = Search(part.polygraph(at), snapshot=snapshot)
        fits = search.run(budget // 4)
        answer.steps += search.spent
        return fits is False

    stage = next(at for at in range(stage + 1) if at == stage or wrong(excerpt.members, at))
    members = excerpt.members
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
    part = Excerpt(found, excerpt.ordered, excerpt.optional, members)
    search = Search(part.polygraph(stage), snapshot=snapshot, tell=True)
    search.run(budget)
    answer.transactions = tuple(members)
    circles = list(search.circles)
    names = [name_of(circle) for circle in circles]
    kind = max((KINDS.index(_bare(name)) for name in names), default=0)
    if search.clashes or _rests_on_no_lost_update(part):
        kind = max(kind, KINDS.index("G-single-item"))
    answer.name = KINDS[kind] + SUFFIXES[stage]
    _tell(part, circles, answer)
    return answer


def _bare(name: str) -> str:
    return name.removesuffix("-process").removesuffix("-realtime")


def _rests_on_no_lost_update(excerpt: Excerpt) -> bool:
    """Whether somebody read a version and wrote the next, without being told what that replaced."""
    touched = excerpt.found.touched
    return any(
        access.write >= 0 and access.replaced < 0 and (access.read >= 0 or access.absent)
        for number in excerpt.members
        for access in touched[number].values()
    )


def _tell(excerpt: Excerpt, circles: Sequence[tuple[Edge, ...]], answer: Unordered) -> None:
    found, members = excerpt.found, excerpt.members
    transactions = found.transactions
    keys = sorted({key for number in members for key, access in found.touched[number].items() if access.write >= 0})
    ways = [_circle(excerpt, circle) for circle in circles[:TOLD_MAX]]
    more = len(circles) - len(ways)
    about = " and ".join(show(key) for key in keys[:3]) + (f" and {len(keys) - 3} other keys" if len(keys) > 3 else "")
    answer.sentence = (
        f"nobody saw in which order the versions of {about} came, and no order of them fits what these "
        f"{len(members)} transactions returned"
    )
    lines = [f"{answer.name} (no order of the versions fits)", "Let:"]
    for place, number in enumerate(members, 1):
        told = describe_transaction(transactions.operations[number], transactions.micros[number])
        lines.append(f"  T{place} = {told}")
    lines += ["", "Then every order of the versions closes one of these circles:"]
    lines += [f"  - {way}" for way in ways]
    if more > 0:
        lines.append(f"  - ({more} more like these)")
    answer.explanation = "\n".join(lines)
    arrows: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for edge in dict.fromkeys(edge for circle in circles[:TOLD_MAX] for edge in circle):
        label = _label(excerpt, edge)
        known = arrows.setdefault((members[edge.source], members[edge.target]), [])
        known.append((label, f"T{edge.source + 1} -{label}-> T{edge.target + 1}"))
    if 2 <= len(members) <= SHOWN_MAX:
        names = {number: f"T{place}" for place, number in enumerate(members, 1)}
        answer.picture = draw(found, f"{answer.name}: no order of the versions fits", names, arrows)


def _circle(excerpt: Excerpt, circle: Sequence[Edge]) -> str:
    """A circle on one line, by the names that the explanation gives: T1 -rw x-> T2 -realtime-> T1."""
    text = "".join(f"T{edge.source + 1} -{_label(excerpt, edge)}-> " for edge in circle)
    return f"{text}T{circle[0].source + 1}"


def _label(excerpt: Excerpt, edge: Edge) -> str:
    """Why an edge is there, or would be: its kind, and the keys."""
    if edge.kind == ORDER:
        return STAGE_NAMES[edge.stage]
    return " ".join([KIND_NAMES[edge.kind], *_shared_keys(excerpt, edge)])


def _shared_keys(excerpt: Excerpt, edge: Edge) -> list[str]:
    """The keys that can be the reason of an edge."""
    theirs = excerpt.found.touched[excerpt.members[edge.source]]
    mine = excerpt.found.touched[excerpt.members[edge.target]]
    keys: list[str] = []
    for key, access in mine.items():
        own = theirs.get(key)
        if own is None:
            continue
        if edge.kind == WR:
            fits = access.absent or access.read == own.write >= 0
        else:
            read = own.absent or own.read not in (NO_VERSION, access.write)
            fits = access.write >= 0 and (read if edge.kind == RW else own.write >= 0)
        if fits:
            keys.append(key)
    return keys


def both_ends(order: Iterable[int]) -> list[int]:
    """Start and commit of each transaction, one transaction after the other."""
    return [2 * number + end for number in order for end in (0, 1)]


def replays(found: Registers, points: Sequence[int]) -> bool:
    """Run the transactions: 2 * number is a start, 2 * number + 1 a commit. Whether all return what they returned.

    Each sees the values at its start and its own writes. At its commit no key that it changes may have been changed
    since; who leaves a key as it was has not changed it.
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
            started[number] = (time, {key: value for key, value in written.items() if value != state[key]})
            continue
        since, written = started.pop(number)
        for key, value in written.items():
            if changed.get(key, -1) > since:
                return False
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

"""A serial order for a long register history whose versions nobody saw in order, window by window.

Rules of this room:
- A window of transactions is put into an order that fits (a polygraph), the earlier half of it is run, and what that
  leaves is the beginning for the next window. Choices are not taken back one by one: where the roll gets stuck, it goes
  back a few windows and looks further ahead. If that does not help, nothing is known.
- The order is no proof before the whole of it was run.
- Steps grow with the number of windows, each of which is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from dynalab_checkers.isolation.excerpt import Excerpt
from dynalab_checkers.isolation.polygraph import Search

# How many transactions are looked at at once: first, where that got stuck, and at most. Half of them are run.
WINDOW: Final = 64
WINDOW_MAX: Final = 512
# How many windows the roll goes back, and how many transactions that may never have happened wait.
BACK: Final = 4
WAITING_MAX: Final = 16


@dataclass(frozen=True, slots=True)
class _Mark:
    """A state that the roll can go back to."""

    place: int
    ran: int
    changes: int
    waiting: tuple[int, ...]


class Roll:
    """Puts all members of an excerpt into one order. `place`: the furthest that it came, among the members."""

    def __init__(self, excerpt: Excerpt, stage: int) -> None:
        self.excerpt = excerpt
        self.stage = stage
        self.order: list[int] = []
        self.steps = 0
        self.place = 0
        self._past = bytearray(len(excerpt.found.committed))
        self._now: dict[str, int] = {}
        self._changes: list[tuple[str, int | None]] = []  # what `_now` held before each change

    def run(self, budget: int) -> bool:
        """Whether it came to the end."""
        members = self.excerpt.members
        marks: list[_Mark] = []
        at = _Mark(0, 0, 0, ())
        size = WINDOW
        while at.waiting or at.place < len(members):
            after = self._window(at, size, budget)
            if after is not None:
                # A wide window is not left before the place where a narrow one got stuck lies behind it.
                size = max(WINDOW, size // 2) if at.place > self.place else size
                self.place = max(self.place, at.place)
                marks = [*marks[1 - BACK :], at]
                at = after
                continue
            size *= 2
            if size > WINDOW_MAX or self.steps >= budget:
                return False
            self.place = max(self.place, at.place)
            at = marks[0] if marks else at
            marks = []
            self._back(at)
        return True

    def _window(self, at: _Mark, size: int, budget: int) -> _Mark | None:
        """Run half a window; None if it got stuck."""
        excerpt = self.excerpt
        numbers, optional = excerpt.members, excerpt.optional
        fresh = numbers[at.place : at.place + max(size // 2, size - len(at.waiting))]
        window = replace(
            excerpt, members=[*at.waiting, *fresh], past=self._past, now=self._now, blocked=set(), stuck=False
        )
        members = window.members
        search = Search(window.polygraph(self.stage), snapshot=False)
        fits = None if window.stuck else search.run(min(budget - self.steps, budget // 8))
        self.steps += search.spent
        if not fits:
            return None
        last = at.place + len(fresh) == len(numbers)
        going = _earliest(search, window.blocked, len(members) if last else size // 2)
        if not going and not (last and all(number in optional for number in members)):
            return None
        for number in (members[local] for local in going):
            self._past[number] = 1
            self.order.append(number)
            touched = excerpt.found.touched[number]
            writes = optional.get(number, [(key, access.write) for key, access in touched.items() if access.write >= 0])
            for key, version in writes:
                self._changes.append((key, self._now.get(key)))
                self._now[key] = version
        left = [number for number in members if not self._past[number]]
        maybe = [number for number in left if number in optional]
        dropped = set(maybe if last and not going else maybe[: max(0, len(maybe) - WAITING_MAX)])
        waiting = tuple(number for number in left if number not in dropped)
        return _Mark(at.place + len(fresh), len(self.order), len(self._changes), waiting)

    def _back(self, mark: _Mark) -> None:
        while len(self._changes) > mark.changes:
            key, value = self._changes.pop()
            if value is None:
                del self._now[key]
            else:
                self._now[key] = value
        for number in self.order[mark.ran :]:
            self._past[number] = 0
        del self.order[mark.ran :]


def _earliest(search: Search, blocked: set[int], most: int) -> list[int]:
    """The earliest that can go, one after the other."""
    waiting = search.active
    going: list[int] = []
    nodes = [node for node in range(search.nodes) if waiting >> node & 1]
    while nodes and len(going) < most:
        node = next((n for n in nodes if n not in blocked and not search.before[n] & waiting), None)
        if node is None:
            break
        nodes.remove(node)
        waiting &= ~(1 << node)
        going.append(node)
    return going

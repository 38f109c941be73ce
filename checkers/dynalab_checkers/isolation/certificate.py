"""A serial order that explains a register history, where the order of its versions was not seen in full.

Rules of this room:
- A graph without a cycle proves nothing as long as edges may be missing: blind writes leave versions unordered, and a
  read of absence may mean any delete. So the transactions are run, one after another, in an order that the graph and
  real time allow; if every one reads what it returned, that order is the proof, and it was checked on the way.
- The run is greedy. What reads goes before what writes, a version is not replaced while somebody must still read it,
  and of the writes that remain the one whose version was seen (or returned) first goes first. If it gets stuck, nothing
  is known: then the verdict is unknown, never valid.
- Steps: every edge once, and a transaction is tried again only after a key that it waited for has changed.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any, Final

from dynalab_checkers.isolation.graph import Timeline
from dynalab_checkers.isolation.register import Registers
from dynalab_checkers.isolation.transactions import OK
from dynalab_checkers.words import token

_NEVER: Final = 1 << 200


def serial_order(found: Registers, timeline: Timeline | None) -> list[int] | None:
    """An order of the committed transactions that explains what they read, or None if the run got stuck.

    The graph must hold no cycle.
    """
    run = _Run(found, timeline)
    return run.order if run.go() else None


class _Run:
    """The state of a run: the value of every key, who still waits for what."""

    __slots__ = (
        "blocked",
        "demand",
        "done",
        "found",
        "heap",
        "order",
        "prefix",
        "released",
        "state",
        "timeline",
        "urgency",
        "waiting",
        "waits_on_key",
    )

    def __init__(self, found: Registers, timeline: Timeline | None) -> None:
        self.found = found
        self.timeline = timeline
        count = len(found.graph.successors)
        self.waiting = [0] * count
        for row in found.graph.successors:
            for edge in row:
                self.waiting[edge >> 5] += 1
        self.done = bytearray(count)
        self.released = self.prefix = 0
        if timeline is not None:
            for number in timeline.by_call:
                self.waiting[number] += 1
        self.state = {key: versions.value[0] for key, versions in found.keys.items()}
        self.urgency = _urgency(found)
        # How many have not yet read a version that they are known to read, by its writer's key and value.
        self.demand: dict[tuple[str, object], int] = {}
        for number, touched in enumerate(found.touched):
            if found.transactions.status[number] == OK:
                for key, access in touched.items():
                    if access.read >= 0 and (value := found.keys[key].value[access.read]) is not None:
                        self.demand[key, value] = self.demand.get((key, value), 0) + 1
        self.waits_on_key: dict[str, list[int]] = {}
        self.heap: list[tuple[int, int, int]] = []
        self.order: list[int] = []

    def go(self) -> bool:
        """Run everything. Whether nothing was left over."""
        # All of them before the first is made ready: that one makes others ready, which must not be so twice.
        for node in [node for node, count in enumerate(self.waiting) if not count]:
            self._ready(node)
        while True:
            self._release()
            if not self.heap:
                break
            _, _, number = heappop(self.heap)
            stuck_on = self._execute(number)
            if stuck_on is not None:
                self.waits_on_key.setdefault(stuck_on, []).append(number)
            else:
                self.order.append(number)
                self._finish(number)
        return len(self.order) == sum(self.found.committed)

    def _ready(self, node: int) -> None:
        stack = [node]
        while stack:
            node = stack.pop()
            if node >= self.found.graph.transactions or not self.found.committed[node]:
                stack += self._complete(node)  # a virtual node, or one that never happened
            else:
                heappush(self.heap, (*self.urgency[node], node))

    def _complete(self, node: int) -> list[int]:
        self.done[node] = 1
        free: list[int] = []
        for edge in self.found.graph.successors[node]:
            target = edge >> 5
            self.waiting[target] -= 1
            if not self.waiting[target]:
                free.append(target)
        return free

    def _finish(self, number: int) -> None:
        for node in self._complete(number):
            self._ready(node)

    def _release(self) -> None:
        timeline = self.timeline
        if timeline is None:
            return
        by_return, by_call, needed = timeline.by_return, timeline.by_call, timeline.needed
        while self.prefix < len(by_return) and self.done[by_return[self.prefix]]:
            self.prefix += 1
        while self.released < len(by_call) and needed[self.released] <= self.prefix:
            number = by_call[self.released]
            self.released += 1
            self.waiting[number] -= 1
            if not self.waiting[number]:
                self._ready(number)

    def _execute(self, number: int) -> str | None:
        """Run one transaction if it can be run now; else the key that must change first."""
        known = self.found.transactions.status[number] == OK
        touched = self.found.touched[number]
        view: dict[str, Any] = {}
        for micro in self.found.transactions.micros[number]:
            kind, key = micro[0], micro[1]
            if key not in self.state:
                continue
            current = view.get(key, self.state[key])
            least = {"r": 2, "w": 3, "cas": 4, "d": 2}[kind]
            if known:
                if kind == "r" and current != token(micro[2] if len(micro) > 2 else None):
                    return str(key)
                if kind != "r" and len(micro) > least and current != token(micro[least]):
                    return str(key)
            if kind == "cas" and current != token(micro[2]):
                return str(key)  # whatever became of it: it was seen, so its condition held
            if kind != "r":
                if key not in view:
                    owed = self.demand.get((key, self.state[key]), 0)
                    access = touched[key]
                    own = access.read >= 0 and self.found.keys[key].value[access.read] == self.state[key]
                    if owed > (1 if own else 0):
                        return str(key)
                view[key] = None if kind == "d" else token(micro[least - 1])
        if known:
            for key, access in touched.items():
                if access.read >= 0 and (value := self.found.keys[key].value[access.read]) is not None:
                    self.demand[key, value] -= 1
                    if not self.demand[key, value]:
                        self._wake(key)
        for key, value in view.items():
            self.state[key] = value
            self._wake(key)
        return None

    def _wake(self, key: str) -> None:
        for number in self.waits_on_key.pop(key, ()):
            heappush(self.heap, (*self.urgency[number], number))


def _urgency(found: Registers) -> list[tuple[int, int]]:
    """Readers first. Writers by the zones of their versions: the smaller of the first return and the last call.

    For one key that order is right whenever there is a right one (checking.md, "The near-linear method" §4); for
    transactions over several keys it is a good guess.
    """
    operations = found.transactions.operations
    first = [_NEVER if operation.ret is None else operation.ret for operation in operations]
    last = [operation.call for operation in operations]
    ends, begins = list(first), list(last)
    writes = bytearray(len(first))
    for versions in found.keys.values():
        for access in versions.accesses:
            if access.write >= 0:
                writes[access.transaction] = 1
            if access.read > 0:
                writer = versions.writer[access.read]
                ends[writer] = min(ends[writer], first[access.transaction])
                begins[writer] = max(begins[writer], last[access.transaction])
    return list(zip(writes, map(min, ends, begins), strict=True))

"""An order of blocks in which failed conditions that told nothing find their places, where one fixed order leaves none.

`register_never` judges one order. Here the order itself is searched for, block by block. A refusal ("it was not u") is
an operation like any other: it takes the first place between its call and its return at which the key holds something
else, and what was called after its return must not come before it. So whether a block may come next depends on which
refusals still wait. Everything branches; what has been tried is remembered by the blocks placed and the refusals that
wait. Exact up to a budget of counted steps, as long as nothing of unknown outcome was left out of the facts.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from dynalab_checkers.register_facts import ABSENT, INFINITY, INITIAL, NONE, Facts
from dynalab_checkers.register_search import Blocks, Ordered, linked


@dataclass(slots=True)
class _Elements:
    """The operations of a block in order: their calls, the smallest return from each on, what the key then holds."""

    calls: list[int]
    returns_from: list[int]
    states: list[int]


@dataclass(slots=True)
class _Refusals:
    """Failed conditions by call. `waiting` numbers those that could have had their place by now, but for the value."""

    indices: list[int]
    calls: list[int]
    rets: list[int]
    slots: list[int]

    def settle(self, limit: int, state: int, waiting: list[int], following: int) -> tuple[list[int], int]:
        """Who still waits at a place where the key holds `state` and nothing that is left returned before `limit`."""
        calls, rets, slots = self.calls, self.rets, self.slots
        count = len(calls)
        if following < count and calls[following] <= limit:
            waiting = waiting.copy()
            while following < count and calls[following] <= limit:
                waiting.append(following)
                following += 1
        still: list[int] = []
        soonest = INFINITY  # the smallest return of those that wait: who was called later must wait for them
        for number in waiting:
            if slots[number] == state or calls[number] > soonest:
                still.append(number)
                if rets[number] < soonest:
                    soonest = rets[number]
        return still, following


@dataclass(slots=True)
class _Node:
    """A place in the order: what is held there, who waits, and which moves are left to try."""

    depth: int
    absent: bool
    state: int
    waiting: list[int]
    following: int
    choices: list[tuple[int, bool]] = field(default_factory=list)


class _Search:
    """The blocks that are not placed yet hang in two linked lists, by return and by call."""

    def __init__(
        self, facts: Facts, calls: list[int], rets: list[int], blocks: Blocks, delete_calls: list[int]
    ) -> None:
        self.facts, self.calls, self.rets, self.blocks, self.delete_calls = facts, calls, rets, blocks, delete_calls
        self.count = len(blocks)
        self.ret_next, self.ret_previous = linked(blocks.first_ret)
        self.call_next, self.call_previous = linked(blocks.last_call)
        self.first_ret = [*blocks.first_ret, INFINITY]
        self.last_call = [*blocks.last_call, INFINITY]
        order = sorted(facts.never, key=lambda entry: calls[entry[0]])
        self.refusals = _Refusals(
            [index for index, _ in order],
            [calls[index] for index, _ in order],
            [rets[index] for index, _ in order],
            [slot for _, slot in order],
        )
        self.reads: dict[int, list[int]] = {}
        for index, value in facts.readers:
            self.reads.setdefault(facts.slot_of[value], []).append(index)
        self.cache: dict[int, _Elements] = {}
        self.steps = 0
        self.used = 0  # optional deletes in place

    def elements(self, block: int) -> _Elements:
        found = self.cache.get(block)
        if found is None:
            found = self.cache[block] = self._elements(block)
        return found

    def _elements(self, block: int) -> _Elements:
        facts, calls, rets = self.facts, self.calls, self.rets
        entries: list[tuple[int, int, int]] = []
        slot = self.blocks.head[block]
        if slot < NONE:
            entries.append((calls[~slot], rets[~slot], ABSENT))
        while slot >= 0:
            state = ABSENT if facts.deletes[slot] else slot
            if facts.writer[slot] >= 0:
                entries.append((facts.write_call[slot], facts.write_ret[slot], state))
            if not facts.deletes[slot]:
                for index in sorted(self.reads.get(slot, ()), key=calls.__getitem__):
                    entries.append((calls[index], rets[index], state))
            slot = facts.after[slot]
        smallest = INFINITY
        returns_from: list[int] = []
        for _, ret, _ in reversed(entries):
            smallest = min(smallest, ret)
            returns_from.append(smallest)
        returns_from.reverse()
        return _Elements([call for call, _, _ in entries], returns_from, [state for _, _, state in entries])

    def limit_without(self, block: int) -> int:
        """The smallest return of all that is left but this block."""
        urgent = self.ret_next[self.count]
        return self.first_ret[self.ret_next[urgent] if urgent == block else urgent]

    def candidates(self, node: _Node) -> list[tuple[int, bool]]:
        """The moves that time and absence allow: what returned first is tried first (from the end)."""
        blocks, count = self.blocks, self.count
        urgent = self.ret_next[count]
        limit, beyond = self.first_ret[urgent], self.first_ret[self.ret_next[urgent]] if urgent != count else INFINITY
        choices: list[tuple[int, bool]] = []
        if not node.absent and self.used < len(self.delete_calls) and self.delete_calls[self.used] <= limit:
            choices.append((~self.used, True))
        found: list[int] = [urgent] if urgent != count and limit < self.last_call[urgent] <= beyond else []
        block = self.call_next[count]
        while block != count and self.last_call[block] <= limit:
            found.append(block)
            block = self.call_next[block]
        found.sort(key=self.first_ret.__getitem__, reverse=True)
        self.steps += len(found)
        for block in found:
            if blocks.from_absent[block] and not node.absent:
                continue
            ender = blocks.ender_call[block]
            if ender <= (beyond if block == urgent else limit):
                choices.append((block, True))
            choices.append((block, blocks.to_absent[block]))
        return choices

    def move(self, node: _Node, block: int, end: bool) -> _Node | None:
        """The node behind a move; None if a refusal loses its last place by it."""
        refusals = self.refusals
        waiting, following, state = node.waiting, node.following, node.state
        if block < 0:
            limit = self.first_ret[self.ret_next[self.count]]
            if any(refusals.rets[n] < self.delete_calls[~block] for n in waiting):
                return None
            waiting, following = refusals.settle(limit, ABSENT, waiting, following)
            return _Node(node.depth + 1, True, ABSENT, waiting, following)
        elements = self.elements(block)
        others = self.limit_without(block)
        quiet = following == len(refusals.calls) or refusals.calls[following] > others
        if not waiting and quiet:
            state = elements.states[-1] if elements.states else state
        else:
            for call, ret, after in zip(elements.calls, elements.returns_from, elements.states, strict=True):
                self.steps += 1
                waiting, following = refusals.settle(min(others, ret), state, waiting, following)
                for n in waiting:
                    if refusals.rets[n] < call:
                        return None
                state = after
            waiting, following = refusals.settle(others, state, waiting, following)
        if end and not self.blocks.to_absent[block]:
            if any(refusals.rets[n] < self.blocks.ender_call[block] for n in waiting):
                return None
            state = ABSENT
            waiting, following = refusals.settle(others, state, waiting, following)
        return _Node(node.depth + 1, end, state, waiting, following)

    def unhook(self, block: int) -> None:
        after, before = self.ret_next[block], self.ret_previous[block]
        self.ret_next[before], self.ret_previous[after] = after, before
        after, before = self.call_next[block], self.call_previous[block]
        self.call_next[before], self.call_previous[after] = after, before

    def hook(self, block: int) -> None:
        self.ret_next[self.ret_previous[block]] = self.ret_previous[self.ret_next[block]] = block
        self.call_next[self.call_previous[block]] = self.call_previous[self.call_next[block]] = block


def order_with_refusals(
    facts: Facts,
    calls: list[int],
    rets: list[int],
    blocks: Blocks,
    begins_absent: bool,
    delete_calls: list[int],
    budget: int,
) -> tuple[Ordered, int]:
    """An order of all blocks in which every refusal has a place, and otherwise the operation that found none where the
    search got farthest (NONE if it was no refusal that was stuck).
    """
    search = _Search(facts, calls, rets, blocks, delete_calls)
    count = search.count
    draw = random.Random(count).getrandbits
    number = [draw(128) for _ in range(count)]
    key = 0
    made: list[tuple[int, bool]] = []
    seen: set[tuple[int, int, bool, tuple[int, ...]]] = set()
    initial = ABSENT if begins_absent or facts.writer[ABSENT] == INITIAL else 1
    waiting, following = search.refusals.settle(search.first_ret[search.ret_next[count]], initial, [], 0)
    node = _Node(0, begins_absent, initial, waiting, following)
    stack: list[_Node] = []
    best, stuck = -1, NONE
    while True:
        finished = search.ret_next[count] == count and not node.waiting
        if finished:
            return Ordered(made, count, NONE, search.steps), NONE
        if len(made) > best:
            best = len(made)
            stuck = search.refusals.indices[node.waiting[0]] if node.waiting else NONE
        mark = (key, search.used, node.absent, tuple(node.waiting))
        if mark not in seen:
            seen.add(mark)
            node.choices = search.candidates(node)
            stack.append(node)
        following_node: _Node | None = None
        while stack:
            top = stack[-1]
            while len(made) > top.depth:
                block, _ = made.pop()
                if block < 0:
                    search.used -= 1
                else:
                    search.hook(block)
                    key ^= number[block]
            if not top.choices:
                stack.pop()
                continue
            block, end = top.choices.pop()
            search.steps += 1
            following_node = search.move(top, block, end)
            if following_node is not None:
                break
        if following_node is None:
            return Ordered(None, best, NONE, search.steps), stuck
        if search.steps > budget:
            return Ordered(None, best, NONE, search.steps, exhausted=True), stuck
        made.append((block, end))
        if block < 0:
            search.used += 1
        else:
            search.unhook(block)
            key ^= number[block]
        node = following_node

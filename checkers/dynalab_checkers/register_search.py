"""Ordering blocks when the key comes and goes: step 6 of the near-linear method.

A block is a run of values whose order is known; here it is an interval and two letters. It can start only from absence,
or from anything (its first write was blind); it leaves the key absent, or holding a value. Block B must come before A
iff B's smallest return is smaller than A's largest call. Absence is not unique, so where each block goes is a search,
with two moves that never branch, because no later order can need them back: a block from absent to absent while the key
is absent, and a block from anything to a value while the key holds a value. Exact up to a budget of counted steps.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from dynalab_checkers.register_facts import INFINITY


@dataclass(slots=True)
class Blocks:
    """Blocks as parallel lists. `head` is the first slot, or ~index for a lone read of absence."""

    head: list[int] = field(default_factory=list)
    tail: list[int] = field(default_factory=list)
    first_ret: list[int] = field(default_factory=list)  # smallest return: f(B)
    last_call: list[int] = field(default_factory=list)  # largest call: s(B)
    from_absent: list[bool] = field(default_factory=list)
    to_absent: list[bool] = field(default_factory=list)
    # Call of an indeterminate conditional delete that may end this block; INFINITY if there is none.
    ender_call: list[int] = field(default_factory=list)

    def add(self, head: int, tail: int, first_ret: int, last_call: int, from_absent: bool, to_absent: bool) -> int:
        self.head.append(head)
        self.tail.append(tail)
        self.first_ret.append(first_ret)
        self.last_call.append(last_call)
        self.from_absent.append(from_absent)
        self.to_absent.append(to_absent)
        self.ender_call.append(INFINITY)
        return len(self.head) - 1

    def __len__(self) -> int:
        return len(self.head)


@dataclass(slots=True)
class Ordered:
    """What the search found. `order`: the moves of an order that works, or None. A move is (block, its end is absent),
    or (~n, True) for the n-th optional delete. `stuck`: the block that had to come next where the search got
    farthest.
    """

    order: list[tuple[int, bool]] | None
    placed: int
    stuck: int
    steps: int
    exhausted: bool = False


def order_blocks(blocks: Blocks, absent: bool, delete_calls: list[int], budget: int) -> Ordered:
    """Find an order of all blocks, beginning absent or not. `delete_calls`: calls of optional blind deletes, ascending.

    The blocks not yet placed hang in two linked lists, by return and by call, from which a block is unhooked in
    constant time and hooked in again, in reverse order, when a move is taken back.
    """
    first_ret, last_call = blocks.first_ret, blocks.last_call
    from_absent, to_absent, ender_call = blocks.from_absent, blocks.to_absent, blocks.ender_call
    count = len(blocks)
    ret_next, ret_previous = linked(first_ret)
    call_next, call_previous = linked(last_call)
    first_ret = [*first_ret, INFINITY]  # the end of the lists, so that "nothing is left" needs no special case
    last_call = [*last_call, INFINITY]
    # A set of placed blocks is known by the exclusive or of their 128-bit numbers: no two sets met here are taken for
    # one another but by a chance of 2**-80 in a search of ten million steps.
    draw = random.Random(count).getrandbits
    number = [draw(128) for _ in range(count)]
    key = placed = used = 0
    needs_absence = sum(from_absent)
    made: list[tuple[int, bool, bool]] = []  # (move, its end is absent, the key was absent before)
    stack: list[tuple[int, list[tuple[int, bool]]]] = []
    seen: set[tuple[int, int, bool]] = set()
    steps = 0
    best = stuck = -1

    while True:
        choices: list[tuple[int, bool]] = []
        move: tuple[int, bool] | None = None
        urgent = ret_next[count]
        if urgent == count:
            return Ordered([(block, end) for block, end, _ in made], count, -1, steps)
        # A block may come next if nothing that is left, itself excepted, returned before its last call.
        limit = first_ret[urgent]
        beyond = first_ret[ret_next[urgent]]
        block = call_next[count]
        late = limit < last_call[urgent] <= beyond
        while late or last_call[block] <= limit:
            if late:
                candidate, bound, late = urgent, beyond, False
            else:
                candidate, bound = block, limit if block != urgent else beyond
                block = call_next[block]
            if candidate == count:
                break
            steps += 1
            starts_absent = from_absent[candidate]
            if starts_absent and not absent:
                continue
            ends_absent = to_absent[candidate]
            if not needs_absence:
                move = (candidate, ends_absent)
                break
            ender = ender_call[candidate]
            if ender != INFINITY:
                # The key may be deleted again right behind this block: two ways to place it.
                choices.append((candidate, False))
                if ender <= bound:
                    choices.append((candidate, True))
            elif starts_absent == ends_absent == absent:
                move = (candidate, ends_absent)
                break
            else:
                choices.append((candidate, ends_absent))
        if move is None:
            if not absent and needs_absence and used < len(delete_calls) and delete_calls[used] <= limit:
                choices.append((~used, True))
            if placed > best:
                best, stuck = placed, urgent
            state = (key, used, absent)
            if state not in seen:
                seen.add(state)
                # Tried from the end: what returned first comes first, deletes that nobody needs to believe in come
                # last.
                choices.sort(key=lambda choice: first_ret[choice[0]] if choice[0] >= 0 else INFINITY, reverse=True)
                stack.append((len(made), choices))
            while stack and not stack[-1][1]:
                stack.pop()
            if not stack:
                return Ordered(None, best, stuck, steps)
            depth, choices = stack[-1]
            while len(made) > depth:
                block, _, absent = made.pop()
                steps += 1
                if block < 0:
                    used -= 1
                    continue
                ret_next[ret_previous[block]] = ret_previous[ret_next[block]] = block
                call_next[call_previous[block]] = call_previous[call_next[block]] = block
                key ^= number[block]
                needs_absence += from_absent[block]
                placed -= 1
            move = choices.pop()
        if steps > budget:
            return Ordered(None, max(best, placed), stuck if stuck >= 0 else urgent, steps, exhausted=True)
        block, end = move
        made.append((block, end, absent))
        absent = end
        if block < 0:
            used += 1
            continue
        ret_next[ret_previous[block]], ret_previous[ret_next[block]] = ret_next[block], ret_previous[block]
        call_next[call_previous[block]], call_previous[call_next[block]] = call_next[block], call_previous[block]
        key ^= number[block]
        needs_absence -= from_absent[block]
        placed += 1


def linked(values: list[int]) -> tuple[list[int], list[int]]:
    """Circular links through the positions of `values` in ascending order; position len(values) is both ends."""
    count = len(values)
    following = [0] * (count + 1)
    previous = [0] * (count + 1)
    last = count
    for position in sorted(range(count), key=values.__getitem__):
        following[last] = position
        previous[position] = last
        last = position
    following[last] = count
    previous[count] = last
    return following, previous

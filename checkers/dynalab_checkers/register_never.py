"""Failed conditions that told nothing but "it was not u": step 7 of the near-linear method.

For one fixed order of everything else the answer is exact: each such operation needs a place between its call and its
return where the key is not u. Places are taken as early as possible, in the order of the calls; taking the earliest
place is a least fixpoint, so if it fails no choice of places works for this order. Another order of the blocks may
still work: `register_refusals` looks for one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import accumulate

from dynalab_checkers.history import Operation
from dynalab_checkers.register_facts import ABSENT, INFINITY, INITIAL, NONE, Facts
from dynalab_checkers.register_search import Blocks


def place_refusals(
    facts: Facts,
    operations: Sequence[Operation],
    calls: list[int],
    rets: list[int],
    blocks: Blocks,
    moves: list[tuple[int, bool]],
    deletes: list[int],
) -> bool:
    """Whether all failed conditions fit the order given by `moves`; ~n there stands for an optional delete, whose call
    is the n-th of `deletes`.
    """
    call_at, ret_at, state_after = _sequence(facts, calls, rets, blocks, moves, deletes)
    count = len(call_at)
    # latest[p]: the largest call before place p. earliest[p]: the smallest return from place p on. Place p lies before
    # the p-th operation.
    latest = [-INFINITY, *accumulate(call_at, max)]
    earliest = [*reversed(list(accumulate(reversed(ret_at), min))), INFINITY]
    initial_state = ABSENT if facts.writer[ABSENT] == INITIAL else 1
    state = [initial_state, *state_after]
    run_end = [count + 1] * (count + 1)  # the first place with another state
    for place in range(count - 1, -1, -1):
        run_end[place] = run_end[place + 1] if state[place] == state[place + 1] else place + 1
    floor = 0  # no place below: somebody who returned before us took it
    waiting: list[tuple[int, int]] = []
    for index, slot in sorted(facts.never, key=lambda entry: calls[entry[0]]):
        while waiting and waiting[0][0] < calls[index]:
            floor = max(floor, heappop(waiting)[1])
        place = max(floor, bisect_left(earliest, calls[index]))
        last = bisect_right(latest, rets[index]) - 1
        if place <= count and state[place] == slot:
            place = run_end[place]
        if place > last:
            return False
        heappush(waiting, (rets[index], place))
    return True


def _sequence(
    facts: Facts,
    calls: list[int],
    rets: list[int],
    blocks: Blocks,
    moves: list[tuple[int, bool]],
    deletes: list[int],
) -> tuple[list[int], list[int], list[int]]:
    """The operations in the order found: call, return, and the slot that the key holds after each."""
    reads: dict[int, list[int]] = {}
    for index, value in facts.readers:
        reads.setdefault(facts.slot_of[value], []).append(index)
    call_at: list[int] = []
    ret_at: list[int] = []
    state_after: list[int] = []

    def put(call: int, ret: int, state: int) -> None:
        call_at.append(call)
        ret_at.append(ret)
        state_after.append(state)

    for block, ends_absent in moves:
        if block < 0:
            put(deletes[~block], INFINITY, ABSENT)
            continue
        slot = blocks.head[block]
        if slot < 0:
            put(calls[~slot], rets[~slot], ABSENT)
            continue
        while slot != NONE:
            state = ABSENT if facts.deletes[slot] else slot
            if facts.writer[slot] >= 0:
                put(facts.write_call[slot], facts.write_ret[slot], state)
            if not facts.deletes[slot]:
                for index in sorted(reads.get(slot, ()), key=calls.__getitem__):
                    put(calls[index], rets[index], state)
            slot = facts.after[slot]
        if ends_absent and not blocks.to_absent[block]:
            put(blocks.ender_call[block], INFINITY, ABSENT)
    return call_at, ret_at, state_after

"""The near-linear judge of one register with unique values: blocks, zones, order. Exact, or it says that it cannot
tell.

A *block* is a maximal run of values whose order is known, since each write says what it replaced. In any legal order a
block is contiguous: its first write, the reads of that value, the next write, and so on. A block's *zone* lies between
its smallest return f and its largest call s. Block B must come before A iff f(B) < s(A). An order exists iff no two
blocks must each come before the other: forward zones (f < s) are disjoint, and no backward zone lies strictly inside a
forward one. No longer cycle needs a look: of any two disjoint edges of it, one gives a chord or a pair.

If the key can become absent, blocks differ in where they may start and what they leave, and `register_search` orders
them. Failed conditions that only say "it was not u" are placed into the order found (`register_never`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from dynalab_checkers.history import Operation, Scalar
from dynalab_checkers.register_explain import Explainer
from dynalab_checkers.register_facts import ABSENT, INFINITY, NONE, Facts, NotApplicable, Problem, gather
from dynalab_checkers.register_never import place_refusals
from dynalab_checkers.register_refusals import order_with_refusals
from dynalab_checkers.register_search import Blocks, order_blocks


@dataclass(slots=True)
class Judgement:
    """`verdict` is valid, invalid or unknown; `problem` is set if invalid, `why` if unknown. `method` says what
    decided.
    """

    verdict: str
    method: str
    steps: int
    problem: Problem | None = None
    why: str = ""


def judge(
    operations: Sequence[Operation], calls: list[int], rets: list[int], initial: Scalar, budget: int
) -> Judgement:
    """Judge the operations of one key by the given times, where touching at one instant counts as concurrent."""
    facts = gather(operations, calls, rets, initial)
    steps = len(operations)
    if isinstance(facts, NotApplicable):
        return Judgement("unknown", "facts", steps, why=facts.why)
    if isinstance(facts, Problem):
        return Judgement("invalid", "facts", steps, facts)
    explainer = Explainer(facts, operations, calls, rets)
    blocks = _blocks(facts, calls, rets, explainer)
    if isinstance(blocks, Problem):
        return Judgement("invalid", "blocks", steps, blocks)
    steps += len(blocks)
    clash = _clash(blocks)
    if clash is not None:
        return Judgement("invalid", "zones", steps, explainer.clash(blocks, *clash))
    moves: list[tuple[int, bool]] | None = None
    deletes: list[int] = []
    method = "zones"
    if facts.absence_is_written:
        if facts.optional_deletes or facts.optional_enders or _starts_blind(blocks, initial):
            deletes = sorted(facts.optional_deletes)
            begin_absent = initial is None
            found = order_blocks(blocks, begin_absent, deletes, budget + 50 * len(blocks))
            steps += found.steps
            method = "search"
            if found.exhausted:
                why = f"no order found in {found.steps} steps, {found.placed} of {len(blocks)} runs of values placed"
                return Judgement("unknown", method, steps, why=why)
            if found.order is None:
                return Judgement("invalid", method, steps, explainer.stuck(blocks, found.stuck))
            moves = found.order
        else:
            method = "open"
            clash = _open_clash(blocks)
            if clash is not None:
                return Judgement("invalid", method, steps, explainer.still_there(blocks, *clash))
    if facts.never:
        if moves is None:
            order = sorted(range(len(blocks)), key=lambda block: _middle(blocks, block))
            moves = [(block, blocks.to_absent[block]) for block in order]
        steps += len(operations)
        if not place_refusals(facts, operations, calls, rets, blocks, moves, deletes):
            absent = initial is None
            found, lost = order_with_refusals(facts, calls, rets, blocks, absent, deletes, budget + 50 * len(blocks))
            steps += found.steps
            method = "refusals"
            # A write of unknown outcome that nobody saw may be what a failed condition met; it is not among the blocks.
            if found.order is None and (found.exhausted or not all(facts.effective)):
                why = f"a failed condition does not fit any order that was found in {found.steps} steps"
                return Judgement("unknown", method, steps, why=why)
            if found.order is None:
                return Judgement("invalid", method, steps, explainer.refused(lost))
    return Judgement("valid", method, steps)


def _blocks(facts: Facts, calls: list[int], rets: list[int], explainer: Explainer) -> Blocks | Problem:
    """Walk every chain from its head. Within it no operation may have returned before one of an earlier stage was
    called.
    """
    blocks = Blocks()
    absence_is_written = facts.absence_is_written
    writer, before, after = facts.writer, facts.before, facts.after
    write_call, write_ret = facts.write_call, facts.write_ret
    read_call, read_ret = facts.read_call, facts.read_ret
    first = 1 if absence_is_written or writer[ABSENT] == NONE else 0
    walked = 0
    expected = 0
    for head in range(first, len(writer)):
        if not facts.effective[head]:
            continue
        expected += 1
        from_absent = False
        if before[head] != NONE:
            if before[head] != ABSENT or not absence_is_written:
                continue
            from_absent = True
        slot = tail = head
        latest = -INFINITY  # the largest call so far
        earliest = INFINITY
        while slot != NONE:
            ret = write_ret[slot]
            if ret < latest:
                return explainer.stage(head, slot)
            if ret < earliest:
                earliest = ret
            if write_call[slot] > latest:
                latest = write_call[slot]
            ret = read_ret[slot]
            if ret < latest:
                return explainer.stage(head, slot)
            if ret < earliest:
                earliest = ret
            if read_call[slot] > latest:
                latest = read_call[slot]
            tail = slot
            walked += 1
            slot = after[slot]
        block = blocks.add(head, tail, earliest, latest, from_absent, facts.deletes[tail])
        if tail in facts.optional_enders:
            blocks.ender_call[block] = facts.optional_enders[tail]
    if walked != expected:
        return explainer.cycle()
    if absence_is_written:
        for index in facts.absent_reads:
            blocks.add(~index, NONE, rets[index], calls[index], True, True)
    return blocks


def _starts_blind(blocks: Blocks, initial: Scalar) -> bool:
    """Whether a block other than the initial value's (the first) may start from anything."""
    return not all(blocks.from_absent[0 if initial is None else 1 :])


def _middle(blocks: Blocks, block: int) -> int:
    # Must-precede implies a smaller sum: f(B) < s(A), and not f(A) < s(B), give f(B) + s(B) < f(A) + s(A). A block that
    # leaves a value where all others start from absence comes last.
    if not blocks.to_absent[block] and blocks.from_absent[block]:
        return INFINITY * 2
    return blocks.first_ret[block] + blocks.last_call[block]


def _clash(blocks: Blocks) -> tuple[int, int] | None:
    """Two blocks that must each come before the other, or None."""
    first_ret, last_call = blocks.first_ret, blocks.last_call
    count = len(blocks)
    forward = [block for block in range(count) if first_ret[block] < last_call[block]]
    forward.sort(key=first_ret.__getitem__)
    for one, other in pairwise(forward):
        if first_ret[other] < last_call[one]:
            return one, other
    if not forward:
        return None
    starts = [first_ret[block] for block in forward]
    for block in range(count):
        call = last_call[block]
        if call <= first_ret[block]:
            place = bisect_left(starts, call) - 1  # the last forward zone that starts before it
            if place >= 0 and first_ret[block] < last_call[forward[place]]:
                return forward[place], block
    return None


def _open_clash(blocks: Blocks) -> tuple[int, int] | None:
    """Every block starts from absence, so one that leaves a value must be the last: (it, one that must come later)."""
    open_blocks = [block for block in range(len(blocks)) if not blocks.to_absent[block]]
    if not open_blocks:
        return None
    last = open_blocks[0]
    if len(open_blocks) > 1:
        return last, open_blocks[1]
    for block in range(len(blocks)):
        if block != last and blocks.first_ret[last] < blocks.last_call[block]:
            return last, block
    return None

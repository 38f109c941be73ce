"""Sentences and witnesses for what the near-linear judge finds. They run once, on failure, and may be linear in the
history.

A witness is a handful of operations that should show the violation by themselves; whether they do is tried afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dynalab_checkers.history import Operation
from dynalab_checkers.register_facts import ABSENT, INFINITY, NONE, Facts, Problem
from dynalab_checkers.register_search import Blocks
from dynalab_checkers.words import Token, describe, effect, seconds, show


@dataclass(slots=True)
class Explainer:
    """What the judge knows when it fails; one method a kind of failure."""

    facts: Facts
    operations: Sequence[Operation]
    calls: list[int]
    rets: list[int]
    slots: dict[int, int] = field(default_factory=dict)

    def stage(self, head: int, slot: int) -> Problem:
        """Something at `slot` returned before something that its chain puts earlier was called."""
        facts, calls = self.facts, self.calls
        latest, late_index, late_slot = -INFINITY, NONE, NONE
        writers: list[int] = []
        reads_of: dict[Token, list[int]] = {}
        for read, value in facts.readers:
            reads_of.setdefault(value, []).append(read)
        stage = head
        while True:
            index = facts.writer[stage]
            if index >= 0:
                writers.append(index)
            if stage == slot and index >= 0 and facts.write_ret[stage] < latest:
                early = index
                break
            if index >= 0 and calls[index] > latest:
                latest, late_index, late_slot = calls[index], index, stage
            reads = [] if facts.deletes[stage] else reads_of.get(facts.tokens[stage], [])
            if stage == slot:
                early = min(reads, key=self.rets.__getitem__)
                break
            for read in reads:
                if calls[read] > latest:
                    latest, late_index, late_slot = calls[read], read, stage
            stage = facts.after[stage]
        late, soon = self.operations[late_index], self.operations[early]
        if late_index == facts.writer[late_slot]:
            if late_slot == slot:
                why = f"{effect(soon)} before that was written: {describe(late)} was called after the read had returned"
            else:
                why = (
                    f"{effect(soon)} and returned before {describe(late)} was called, and yet it came after that write"
                )
        elif early == facts.writer[slot]:
            why = f"{effect(late)}, which was replaced at {returned(soon)} by {kind(soon)} that had been acknowledged"
        else:
            value = show(facts.tokens[slot])
            why = f"{effect(late)}, although the later value {value} had been seen by {returned(soon)}"
        shown = [index for index in (facts.writer[late_slot], late_index, facts.writer[slot], early) if index >= 0]
        return Problem(why, list(dict.fromkeys(shown)), [late_index], writers)

    def cycle(self) -> Problem:
        """Every write of some values is known to have replaced another of them."""
        facts = self.facts
        reached = set()
        for head in range(len(facts.writer)):
            if facts.before[head] in (NONE, ABSENT):
                slot = head
                while slot != NONE and slot not in reached:
                    reached.add(slot)
                    slot = facts.after[slot]
        first = next(s for s in range(1, len(facts.writer)) if facts.effective[s] and s not in reached)
        members = [facts.writer[first]]
        slot = facts.after[first]
        while slot != first:
            members.append(facts.writer[slot])
            slot = facts.after[slot]
        named = ", then ".join(describe(self.operations[index]) for index in [*members[:3], members[0]])
        return Problem(f"each of these replaced the one before, in a circle: {named}", members, members[:1])

    def clash(self, blocks: Blocks, one: int, other: int) -> Problem:
        """Both blocks must come first. The one with the very last call is the one that came back from the dead."""
        operations, facts = self.operations, self.facts
        if blocks.last_call[one] < blocks.last_call[other]:
            one, other = other, one
        ours, theirs = self._members(blocks, one), self._members(blocks, other)
        late = max(ours, key=self.calls.__getitem__)
        soon = min(ours, key=self._returned)
        replacer = min(theirs, key=self._returned)
        called = max(theirs, key=self.calls.__getitem__)
        after = operations[replacer]
        if blocks.first_ret[one] == -INFINITY:
            soon = replacer
            why = f"{effect(operations[late])}, although by {returned(after)} another value was there: {effect(after)}"
        else:
            why = (
                f"{effect(operations[late])}, although {happened(after)}; that value is the newer one, because "
                f"{describe(operations[called])} began after {happened(operations[soon])}"
            )
        if replacer == called and replacer in facts.writer:
            by = f"by {kind(after)} that had been acknowledged"
            why = f"{effect(operations[late])}, which was replaced at {returned(after)} {by}"
        shown = list(dict.fromkeys([soon, called, replacer, late]))
        return Problem(why, shown, [late], self._writers(blocks, one) + self._writers(blocks, other))

    def still_there(self, blocks: Blocks, last: int, other: int) -> Problem:
        """`last` leaves a value and `other` must come later, or leaves one too; but both start from absence."""
        operations = self.operations
        ours, theirs = self._members(blocks, last), self._members(blocks, other)
        links = self._writers(blocks, last) + self._writers(blocks, other)
        late = max(theirs, key=self.calls.__getitem__)
        if not ours:
            why = f"{effect(operations[late])}: the key must have been absent, but nobody removed its first value"
            return Problem(why, [late], [late], links)
        soon = min(ours, key=self._returned)
        if blocks.to_absent[other]:
            why = (
                f"{effect(operations[late])}, for which the key must have been absent, but nobody removed what was "
                f"there by {returned(operations[soon])}: {effect(operations[soon])}"
            )
        else:
            why = (
                "two runs of values both began from absence, and nobody removed either: "
                f"{effect(operations[soon])}; {effect(operations[late])}"
            )
        return Problem(why, [soon, late], [late], links)

    def stuck(self, blocks: Blocks, block: int) -> Problem:
        """The search found no order; this block had to come next where it got farthest."""
        members = self._members(blocks, block)
        first = self.operations[min(members, key=self._returned)]
        why = f"no order of the writes and deletes explains it: {effect(first)}"
        if first.ret is not None:
            why += f" by {returned(first)}"
        return Problem(why, members, [min(members, key=self._returned)])

    def refused(self, index: int) -> Problem:
        """No order of the writes leaves a place for every failed condition; this one had none where the search got
        farthest.
        """
        if index == NONE:
            index = self.facts.never[0][0]
        operation = self.operations[index]
        why = (
            f"no order of the operations explains it: {describe(operation)}, although the key held just that value "
            f"until {returned(operation)}"
        )
        slots = [slot for never, slot in self.facts.never if never == index]
        writers = [self.facts.writer[slot] for slot in slots if self.facts.writer[slot] >= 0]
        return Problem(why, [*writers, index], [index])

    def _returned(self, index: int) -> int:
        """The latest moment at which it took effect; a read of any kind may have shown that earlier than its return."""
        if not self.slots:
            self.slots.update((writer, slot) for slot, writer in enumerate(self.facts.writer) if writer >= 0)
        slot = self.slots.get(index)
        return self.rets[index] if slot is None else self.facts.write_ret[slot]

    def _chain(self, blocks: Blocks, block: int) -> list[int]:
        slots: list[int] = []
        slot = blocks.head[block]
        while slot >= 0:
            slots.append(slot)
            slot = self.facts.after[slot]
        return slots

    def _members(self, blocks: Blocks, block: int) -> list[int]:
        """The operations of a block, reads among them."""
        if blocks.head[block] < 0:
            return [~blocks.head[block]]
        facts = self.facts
        slots = self._chain(blocks, block)
        values = {facts.tokens[slot] for slot in slots if not facts.deletes[slot]}
        return self._writers(blocks, block) + [index for index, value in facts.readers if value in values]

    def _writers(self, blocks: Blocks, block: int) -> list[int]:
        return [self.facts.writer[slot] for slot in self._chain(blocks, block) if self.facts.writer[slot] >= 0]


def happened(operation: Operation) -> str:
    """What it showed, and by when: "the read at 1.2 s returned 7 by 1.3 s"."""
    if operation.ret is None:
        return f"{describe(operation)} had taken effect"
    shown = effect(operation) if _is_read(operation) else f"{describe(operation)} was acknowledged"
    return f"{shown} by {returned(operation)}"


def _is_read(operation: Operation) -> bool:
    return operation.f == "read" or operation.outcome == "fail"


def returned(operation: Operation) -> str:
    """When it returned, in a sentence."""
    return "the end" if operation.ret is None else seconds(operation.ret)


def kind(operation: Operation) -> str:
    """The operation without its time: "a write of 8"."""
    return describe(operation).rsplit(" at ", 1)[0].replace("the ", "a ", 1)

"""What a history says about one register: who wrote each value, what each write replaced, when each value was read.

This is the first half of the near-linear method; `register_fast` is the second. It applies to histories whose written
values are unique (each value written at most once; absent is not a value). Facts are plain lists indexed by *slot*:
one slot a written value, or a deletion. The loops are flat on purpose: a million operations must pass in a second or
two of plain Python.

Rules kept here:
- An operation that failed had no effect. A failed condition that returned what it found is a read of that.
- An indeterminate write took effect iff its value was observed, directly or through a later write that is known to have
  replaced it. Any other changes nothing that anybody saw, and is left out.
- A write that changes nothing (cas from u to u, deleting what is absent) is a read.
- An eventual read is not judged, but what it saw had been written by the time it returned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from dynalab_checkers.history import MISSING, Operation, Scalar
from dynalab_checkers.words import Token, describe, show, token

# Above and below every time, also of times that were scaled to break ties.
INFINITY: Final = 1 << 120
NONE: Final = -1  # no slot, no operation
INITIAL: Final = -2  # the "operation" that wrote the initial value
ABSENT: Final = 0  # the slot of absence


@dataclass(slots=True)
class Problem:
    """Why a history is illegal: a sentence, the operations that show it (indices), those to mark, and `links`, the
    writes between them, which may be needed to show it.
    """

    why: str
    operations: list[int]
    highlight: list[int]
    links: list[int] = field(default_factory=list)


@dataclass(slots=True)
class NotApplicable:
    """The method cannot judge this history; the general search can."""

    why: str


@dataclass(slots=True)
class Facts:
    """Slots of one key. Slot 0 is absence; its writer is INITIAL if the key begins absent."""

    tokens: list[Token]
    writer: list[int]  # operation index, NONE or INITIAL
    write_call: list[int]
    write_ret: list[int]
    before: list[int]  # the slot this write replaced, NONE if unknown
    after: list[int]  # the slot that replaced this value, NONE if unknown
    read_ret: list[int]  # smallest return of a read of it, INFINITY if never read
    read_call: list[int]  # largest call of a read of it, -INFINITY if never read
    deletes: list[bool]
    effective: list[bool]
    slot_of: dict[Token, int]
    readers: list[tuple[int, Token]] = field(
        default_factory=list
    )  # every judged read (operation, value), for explanations
    absent_reads: list[int] = field(default_factory=list)
    # Deletes that may or may not have happened, by the call from which on they may: blind ones, and for a slot the
    # conditional one that may have ended it.
    optional_deletes: list[int] = field(default_factory=list)
    optional_enders: dict[int, int] = field(default_factory=dict)
    never: list[tuple[int, int]] = field(
        default_factory=list
    )  # failed conditions that found nothing out but "not this slot"
    absence_is_written: bool = False


def condition_was_refused(operation: Operation) -> bool:
    """A failed cas says that its condition did not hold, unless its `error` names another reason (throttling, say)."""
    error = operation.annotation("error") if operation.ret_extra else None
    return not isinstance(error, str) or error.lower().startswith("condition")


def gather(
    operations: Sequence[Operation], calls: list[int], rets: list[int], initial: Scalar
) -> Facts | Problem | NotApplicable:
    """Facts of one key. `calls` and `rets` are the times to use (INFINITY: never returned)."""
    tokens: list[Token] = [None]
    writer = [NONE]
    write_call = [-INFINITY]
    write_ret = [-INFINITY]
    deletes = [False]
    slot_of: dict[Token, int] = {None: ABSENT}
    known: list[object] = [MISSING]  # what each slot's writer says that it replaced
    readers: list[tuple[int, Token]] = []
    optional_enders: list[tuple[int, Token]] = []
    optional_deletes: list[int] = []
    refused: list[tuple[int, Token]] = []
    weak_reads: list[tuple[int, Token]] = []
    absence_is_written = False

    if initial is None:
        writer[0] = INITIAL
    else:
        slot_of[token(initial)] = 1
        tokens.append(token(initial))
        writer.append(INITIAL)
        write_call.append(-INFINITY)
        write_ret.append(-INFINITY)
        deletes.append(False)
        known.append(MISSING)

    value: object
    old: object
    for index, operation in enumerate(operations):
        f = operation.f
        outcome = operation.outcome
        if f == "read":
            if outcome == "ok":
                value = operation.result
                if value is True or value is False:
                    value = token(value)
                consistency = operation.consistency
                if consistency is None or consistency == "strong":
                    readers.append((index, value))
                else:
                    weak_reads.append((index, value))
            continue
        if outcome == "fail":
            if operation.found is not MISSING:
                found = token(operation.found)
                if f == "cas" and found == _expected(operation):
                    why = f"the condition asked for {show(found)}, and failed although it found just that"
                    return Problem(why, [index], [index])
                readers.append((index, found))
            elif f == "cas" and condition_was_refused(operation):
                refused.append((index, _expected(operation)))
            continue
        old = operation.old
        if f == "write":
            value = operation.value
        elif f == "delete":
            value = None
        else:
            pair = operation.value
            assert type(pair) is list, "the format has checked it"
            value = pair[1]
            # Equal and of one type needs no closer look; 1 and true are equal in Python, and 1 and 1.0 in JSON.
            if (
                old is not MISSING
                and (old != pair[0] or type(old) is not type(pair[0]))
                and token(old) != token(pair[0])
            ):
                why = (
                    f"the condition asked for {show(token(pair[0]))}, and held although it replaced {show(token(old))}"
                )
                return Problem(why, [index], [index])
            old = pair[0]
        if value is True or value is False:
            value = token(value)
        if old is True or old is False:
            old = token(old)
        if old == value:
            # It changes nothing, so it reads; if nobody knows whether it happened, it says nothing at all.
            if outcome == "ok":
                readers.append((index, value))  # type: ignore[arg-type]
            continue
        if value is None:
            absence_is_written = True
            if outcome == "info":
                if old is MISSING:
                    optional_deletes.append(calls[index])
                else:
                    optional_enders.append((index, old))  # type: ignore[arg-type]
                continue
            deletes.append(True)
        else:
            if value in slot_of:
                return NotApplicable(f"the value {show(value)} is written more than once")
            slot_of[value] = len(tokens)  # type: ignore[index]
            deletes.append(False)
        tokens.append(value)  # type: ignore[arg-type]
        writer.append(index)
        write_call.append(calls[index])
        write_ret.append(rets[index])
        known.append(old)

    size = len(tokens)
    read_ret = [INFINITY] * size
    read_call = [-INFINITY] * size
    absent_reads: list[int] = []
    for index, value in readers:
        slot = slot_of.get(value)
        if slot is None:
            return _never_written(index, operations, value)
        if slot == ABSENT:
            if writer[ABSENT] == NONE and not absence_is_written:
                return _never_written(index, operations, value)
            absent_reads.append(index)
        if rets[index] < read_ret[slot]:
            read_ret[slot] = rets[index]
        if calls[index] > read_call[slot]:
            read_call[slot] = calls[index]

    seen_weakly = [False] * size
    for index, value in weak_reads:
        slot = slot_of.get(value)
        # A read that returned before the write began saw something impossible: the checker of committed values says so.
        if slot and writer[slot] >= 0 and rets[index] >= write_call[slot]:
            seen_weakly[slot] = True
            if rets[index] < write_ret[slot]:
                write_ret[slot] = rets[index]

    facts = Facts(
        tokens,
        writer,
        write_call,
        write_ret,
        [NONE] * size,
        [NONE] * size,
        read_ret,
        read_call,
        deletes,
        [True] * size,
        slot_of,
        readers,
        absent_reads,
        optional_deletes,
        {},
        [(index, slot_of[value]) for index, value in refused if value in slot_of],
        absence_is_written,
    )
    problem = _link(facts, operations, known, seen_weakly)
    if problem is not None:
        return problem
    _link_optional(facts, calls, known, optional_enders)
    return facts


def _link(
    facts: Facts, operations: Sequence[Operation], known: list[object], seen_weakly: list[bool]
) -> Problem | None:
    """Connect each write with the one it replaced, and decide which indeterminate writes took effect."""
    before, after, writer, effective = facts.before, facts.after, facts.writer, facts.effective
    read_ret = facts.read_ret
    slot_of: dict[object, int] = facts.slot_of  # type: ignore[assignment]
    undecided: list[int] = []
    queue: list[int] = []
    for slot in range(1, len(known)):
        index = writer[slot]
        if index < 0:
            continue
        if operations[index].outcome == "info":
            effective[slot] = False
            if read_ret[slot] != INFINITY or seen_weakly[slot]:
                queue.append(slot)
            else:
                undecided.append(slot)
        elif known[slot] is not MISSING:
            previous = slot_of.get(known[slot])
            if previous and after[previous] == NONE:  # the usual case of `_connect`
                before[slot] = previous
                after[previous] = slot
                continue
            problem = _connect(facts, operations, slot, known[slot])
            if problem is not None:
                return problem
    queue.extend(slot for slot in undecided if after[slot] != NONE)
    while queue:
        slot = queue.pop()
        if effective[slot]:
            continue
        effective[slot] = True
        if known[slot] is not MISSING:
            problem = _connect(facts, operations, slot, known[slot])
            if problem is not None:
                return problem
            if not effective[before[slot]]:
                queue.append(before[slot])
    # Absence, when somebody can write it, is not one value: every chain may start from it.
    if facts.absence_is_written:
        after[ABSENT] = NONE
    return None


def _connect(facts: Facts, operations: Sequence[Operation], slot: int, old: object) -> Problem | None:
    index = facts.writer[slot]
    previous = facts.slot_of.get(token(old))
    if previous is None or (previous == ABSENT and facts.writer[ABSENT] == NONE and not facts.absence_is_written):
        return _never_written(index, operations, old)
    facts.before[slot] = previous
    rival = facts.after[previous]
    if rival != NONE and not (previous == ABSENT and facts.absence_is_written):
        other = facts.writer[rival]
        base = [facts.writer[previous]] if facts.writer[previous] >= 0 else []
        why = (
            f"{describe(operations[index])} and {describe(operations[other])} both replaced {show(old)}, "
            "which was written only once"
        )
        return Problem(why, [*base, other, index], [other, index])
    facts.after[previous] = slot
    return None


def _link_optional(facts: Facts, calls: list[int], known: list[object], enders: list[tuple[int, Token]]) -> None:
    """Indeterminate conditional deletes: each may have ended the chain of the value it asked for.

    That value may itself be of an indeterminate write that nobody saw, and so on back. Then the whole run may have
    happened unseen: from a blind write on it amounts to a blind delete, called when the last of it was called; from
    absence it changes nothing; from a value that was there it ends that value's chain. Of runs with the same beginning
    at most one happened, and the one that could happen first stands for all.
    """
    blind: dict[int, int] = {}
    for index, old in enders:
        call = calls[index]
        slot = facts.slot_of.get(old, ABSENT)
        walked: set[int] = set()
        while slot != ABSENT and not facts.effective[slot] and slot not in walked:
            walked.add(slot)
            call = max(call, facts.write_call[slot])
            if known[slot] is MISSING:
                blind[slot] = min(call, blind.get(slot, call))
                break
            slot = facts.slot_of.get(token(known[slot]), ABSENT)
        else:
            if slot != ABSENT and slot not in walked and facts.after[slot] == NONE:
                facts.optional_enders[slot] = min(call, facts.optional_enders.get(slot, call))
    facts.optional_deletes.extend(blind.values())


def _never_written(index: int, operations: Sequence[Operation], value: object) -> Problem:
    operation = operations[index]
    verb = "returned" if operation.f == "read" else "found" if operation.outcome == "fail" else "replaced"
    if value is None:
        return Problem(f"{describe(operation)} {verb} nothing, although the key was never absent", [index], [index])
    return Problem(f"{describe(operation)} {verb} {show(value)}, which nobody wrote", [index], [index])


def _expected(operation: Operation) -> Token:
    assert isinstance(operation.value, list), "the format has checked it"
    return token(operation.value[0])

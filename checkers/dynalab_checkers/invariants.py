"""Invariants: judges that need no order of all operations, only sums, sets and intervals.

Rules of this room:
- `ok` happened before it returned, `fail` never, and `info` may have happened, then or at any later time: each bound
  counts it on the side that makes the bound wider.
- A read is judged by what must and what may have happened between its call and its return; operations that touch at
  one instant are concurrent.
- Nothing here knows a database. What an invariant cannot decide from the history is handed in (accounts, initial
  values, the final state).

Sources: consistency.md §5, §7, §10 (bank, counter, set, last writer wins); seeds S101. O(n log n) each.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Mapping
from itertools import accumulate
from typing import Any, Final

from dynalab_checkers.history import History, Operation, Scalar
from dynalab_checkers.verdict import INVALID, UNKNOWN, VALID, Verdict
from dynalab_checkers.words import Token, seconds, show, token

# Reads that promise nothing about how new they are.
WEAK_READS: Final = ("eventual", "index")
# How many elements or ids a sentence names, and a verdict keeps.
NAMED_MAX: Final = 8


def check_bank(
    history: History, accounts: Collection[str], total: int, *, overdraft: bool = False, flavours: Collection[str] = ()
) -> Verdict:
    """Every transaction that reads all accounts sees their total; and no balance below zero, unless `overdraft`.

    Reads of fewer accounts promise no total. `flavours`: consistencies whose reads are judged, too, although they
    promise nothing ("eventual", "index"); others and unmarked ones always are.

    >>> def read(*balances):
    ...     return Operation(0, "txn", "", 0, 9, "ok", [["r", name, n] for name, n in zip("ab", balances)])
    >>> check_bank(History([read(60, 40)]), "ab", 100).verdict
    'valid'
    >>> check_bank(History([read(50, 40)]), "ab", 100).why
    'the transaction at 0.000 s read a total of 90 over 2 accounts, where it must be 100'
    """
    names = frozenset(accounts)
    bad: list[Operation] = []
    why = ""
    judged = 0
    for operation in history:
        value: Any = operation.value
        if operation.f != "txn" or operation.outcome != "ok":
            continue
        if operation.consistency in WEAK_READS and operation.consistency not in flavours:
            continue
        balances = {micro[1]: micro[2] for micro in value if micro[0] == "r" and len(micro) > 2 and micro[1] in names}
        if len(balances) != len(names) or any(micro[0] != "r" for micro in value):
            continue
        judged += 1
        strange = [name for name in sorted(balances) if type(balances[name]) is not int]
        below = [name for name in sorted(balances) if not strange and balances[name] < 0 and not overdraft]
        found = 0 if strange else sum(balances.values())
        if not strange and not below and found == total:
            continue
        bad.append(operation)
        if not why:
            why = f"the transaction at {seconds(operation.call)} read "
            if strange:
                why += f"{show(balances[strange[0]])} in account {strange[0]}, which is no balance"
            elif found != total:
                why += f"a total of {found} over {len(names)} accounts, where it must be {total}"
            else:
                why += f"{balances[below[0]]} in account {below[0]}, below zero"
    details: dict[str, object] = {"reads": judged, "wrong": len(bad)}
    if bad:
        return Verdict(INVALID, "bank", why, None, bad[:NAMED_MAX], bad[:1], details)
    if not judged:
        return Verdict(UNKNOWN, "bank", "no transaction read all accounts", details=details)
    return Verdict(VALID, "bank", details=details)


def check_counter(history: History, key: str, initial: int = 0) -> Verdict:
    """A counter changed by "add" (value: the difference) and read by "read".

    A read must lie between the sum of what certainly happened before it (with all decrements that may have) and the
    sum of all that may have happened by its return. Eventual reads are left out.

    >>> history = History([Operation(0, "add", "n", 0, 5, "ok", 2, call_index=0),
    ...                    Operation(1, "read", "n", 7, 9, "ok", result=1, call_index=1)])
    >>> check_counter(history, "n").why
    'the read at 7 ns returned 1, where it must lie between 2 and 2'
    """
    returned: list[tuple[int, int]] = []  # when it certainly had happened, and by how much it changed
    called: list[tuple[int, int]] = []  # when it may first have happened
    reads: list[Operation] = []
    for operation in history:
        if operation.key != key:
            continue
        if operation.f == "read":
            if operation.outcome == "ok" and operation.consistency not in WEAK_READS:
                reads.append(operation)
        elif operation.f != "add":
            return Verdict(UNKNOWN, "counter", f"{operation.f} is no operation of a counter", key)
        elif type(operation.value) is not int:
            return Verdict(UNKNOWN, "counter", f"an add at {seconds(operation.call)} adds no integer", key)
        elif operation.outcome != "fail":
            called.append((operation.call, operation.value))
            if operation.ret is not None:
                returned.append((operation.ret, operation.value))
    before, after = _Sums(returned), _Sums(called)
    bad: list[Operation] = []
    why = ""
    for operation in reads:
        assert operation.ret is not None
        up, down = before.until(operation.call, inclusive=False)
        up_may, down_may = after.until(operation.ret, inclusive=True)
        least, most = initial + up + down_may, initial + up_may + down
        value = initial if operation.result is None and initial == 0 else operation.result
        if type(value) is int and least <= value <= most:
            continue
        bad.append(operation)
        if not why:
            where = f"where it must lie between {least} and {most}"
            why = f"the read at {seconds(operation.call)} returned {show(token(operation.result))}, {where}"
    details: dict[str, object] = {"reads": len(reads), "wrong": len(bad)}
    if bad:
        return Verdict(INVALID, "counter", why, key, bad[:NAMED_MAX], bad[:1], details)
    if not reads:
        return Verdict(UNKNOWN, "counter", "nobody read the counter", key, details=details)
    return Verdict(VALID, "counter", key=key, details=details)


class _Sums:
    """Sums of increments, and of decrements, up to any time."""

    __slots__ = ("down", "times", "up")

    def __init__(self, changes: list[tuple[int, int]]) -> None:
        changes.sort()
        self.times = [time for time, _ in changes]
        self.up = [0, *accumulate(max(0, change) for _, change in changes)]
        self.down = [0, *accumulate(min(0, change) for _, change in changes)]

    def until(self, time: int, *, inclusive: bool) -> tuple[int, int]:
        place = bisect_right(self.times, time) if inclusive else bisect_left(self.times, time)
        return self.up[place], self.down[place]


def check_set(history: History, key: str = "", reads: Collection[str] = ("scan", "query")) -> Verdict:
    """A set that elements are added to ("add", value: the element) and that is read as a whole.

    A read is an operation of one of the names in `reads` whose completion carries `value`, a list. It must hold every
    element whose add had returned before it was called, nothing that nobody had added by its return, and nothing
    twice. Missing from that read but not from the last one: stale; from the last one: lost. Eventual reads may miss
    what they like, but invent nothing.

    >>> history = History([Operation(0, "add", "s", 0, 5, "ok", 1, call_index=0),
    ...                    Operation(1, "scan", "s", 7, 9, "ok", call_index=1, ret_extra={"value": [1, 2]})])
    >>> check_set(history, "s").why
    'the scan at 7 ns held 2, which nobody had added'
    """
    added: dict[Token, Operation] = {}
    seen: list[tuple[Operation, list[Token]]] = []
    for operation in history:
        if operation.key != key:
            continue
        if operation.f == "add":
            if isinstance(operation.value, (list, dict)):
                return Verdict(UNKNOWN, "set", f"the add at {seconds(operation.call)} adds no scalar", key)
            element = token(operation.value)
            if element in added:
                return Verdict(UNKNOWN, "set", f"{show(element)} was added twice, so nobody can say by whom", key)
            added[element] = operation
        elif operation.f in reads and operation.outcome == "ok":
            value = operation.ret_extra.get("value")
            if not isinstance(value, list) or any(isinstance(element, (list, dict)) for element in value):
                return Verdict(UNKNOWN, "set", f"the {operation.f} at {seconds(operation.call)} returned no list", key)
            seen.append((operation, [token(element) for element in value]))
    if not seen:
        return Verdict(UNKNOWN, "set", "nobody read the set", key)
    return _judge_set(key, added, seen)


def _judge_set(key: str, added: dict[Token, Operation], seen: list[tuple[Operation, list[Token]]]) -> Verdict:
    acknowledged = sorted(
        (
            (operation.ret, place, element)
            for place, (element, operation) in enumerate(added.items())
            if operation.outcome == "ok" and operation.ret is not None
        ),
        key=lambda entry: entry[:2],
    )
    last = max((read for read in seen if read[0].consistency not in WEAK_READS), key=_call, default=None)
    final = frozenset(last[1]) if last is not None else frozenset()
    problems: list[tuple[str, Operation, Token, str]] = []
    # What nobody has missed yet: an element is missed once, or every read would be held against everything lost.
    waiting = list(acknowledged)
    for operation, elements in sorted(seen, key=_call):
        held = frozenset(elements)
        what = f"the {operation.f} at {seconds(operation.call)}"
        if len(held) < len(elements):
            twice = next(element for element, count in Counter(elements).items() if count > 1)
            problems.append(("duplicated", operation, twice, f"{what} held {show(twice)} twice"))
        for element in dict.fromkeys(elements):
            origin = added.get(element)
            if (
                origin is None
                or origin.outcome == "fail"
                or (operation.ret is not None and origin.call > operation.ret)
            ):
                why = "which nobody had added" if origin is None or origin.outcome == "ok" else "whose add had failed"
                problems.append(("unexpected", operation, element, f"{what} held {show(element)}, {why}"))
        if operation.consistency in WEAK_READS:
            continue
        due = bisect_left(waiting, operation.call, key=lambda entry: entry[0])
        missed = [entry for entry in waiting[:due] if entry[2] not in held]
        if missed:
            waiting[:due] = [entry for entry in waiting[:due] if entry[2] in held]
        for ret, _, element in missed:
            name = "stale" if element in final else "lost"
            text = f"{what} did not hold {show(element)}, whose add had returned at {seconds(ret)}"
            problems.append((name, operation, element, text))
    names = ("lost", "unexpected", "duplicated", "stale")
    elements_of: dict[str, list[Token]] = {
        name: list(dict.fromkeys(element for kind, _, element, _ in problems if kind == name)) for name in names
    }
    details: dict[str, object] = {
        "reads": len(seen),
        "acknowledged": len(acknowledged),
        "recovered": sum(operation.outcome == "info" and element in final for element, operation in added.items()),
        **{name: len(found) for name, found in elements_of.items()},
        "first": {name: found[:NAMED_MAX] for name, found in elements_of.items()},
    }
    if not problems:
        return Verdict(VALID, "set", key=key, details=details)
    _, read, element, why = min(problems, key=lambda problem: (names.index(problem[0]), problem[1].call))
    origin = added.get(element)
    shown = [read] if origin is None else [origin, read]
    return Verdict(INVALID, "set", why, key, shown, [read], details)


def _call(read: tuple[Operation, list[Token]]) -> int:
    return read[0].call


def check_unique_ids(history: History, f: str = "generate") -> Verdict:
    """Every id that was given out is given out once. An operation's completion carries the id as `value`.

    >>> ids = [Operation(n, "generate", "", n, n + 1, "ok", ret_extra={"value": 7}) for n in range(2)]
    >>> check_unique_ids(History(ids)).why
    '7 was given out to process 0 at 0.000 s and to process 1 at 1 ns'
    """
    owner: dict[Token, Operation] = {}
    twice: list[tuple[Operation, Operation]] = []
    for operation in history:
        if operation.f != f or operation.outcome != "ok":
            continue
        value = operation.ret_extra.get("value")
        if isinstance(value, (list, dict)) or value is None:
            why = f"the {f} at {seconds(operation.call)} returned no id"
            return Verdict(UNKNOWN, "unique-ids", why, operations=[operation])
        first = owner.setdefault(token(value), operation)
        if first is not operation:
            twice.append((first, operation))
    details: dict[str, object] = {"ids": len(owner), "repeated": len(twice)}
    if twice:
        one, other = twice[0]
        why = (
            f"{show(token(_scalar(other)))} was given out to process {one.process} at {seconds(one.call)} and to "
            f"process {other.process} at {seconds(other.call)}"
        )
        return Verdict(INVALID, "unique-ids", why, None, [one, other], [other], details)
    if not owner:
        return Verdict(UNKNOWN, "unique-ids", "nobody was given an id", details=details)
    return Verdict(VALID, "unique-ids", details=details)


def _scalar(operation: Operation) -> Scalar:
    value = operation.ret_extra.get("value")
    assert not isinstance(value, (list, dict))
    return value


def check_last_writer_wins(
    history: History,
    final: Mapping[str, Scalar],
    *,
    stamp: str = "stamp",
    region: str = "region",
    skew_max_ns: int | None = None,
) -> Verdict:
    """The final value of every key is what the latest of its writes and deletes wrote (absent, for a delete).

    Writes that carry a `stamp` (an integer that the system gave them, unknown to clients) are compared by (stamp,
    region). Without stamps a write may not win if another one of the same region was called after it had returned; nor
    if one of any region was called more than `skew_max_ns` after that, where a bound of the clocks is known. A write of
    unknown outcome may win and never must. Written values are unique within a key.

    >>> writes = [Operation(0, "write", "k", 0, 5, "ok", 1, ret_extra={"stamp": 20, "region": "east"}, call_index=0),
    ...           Operation(1, "write", "k", 7, 9, "ok", 2, ret_extra={"stamp": 10, "region": "west"}, call_index=1)]
    >>> check_last_writer_wins(History(writes), {"k": 1}).verdict
    'valid'
    >>> check_last_writer_wins(History(writes), {"k": 2}).why
    'k ended as 2, written at 7 ns, although the write of 1 at 0.000 s came after it (by their stamps, 10 and 20)'
    """
    groups = history.by_key()
    bad: list[tuple[str, str, list[Operation]]] = []
    unclear = ""
    for key in sorted({*groups, *final}):
        writes = [o for o in groups.get(key, []) if o.f in ("write", "delete") and o.outcome != "fail"]
        strange = next((o for o in groups.get(key, []) if o.f not in ("write", "delete", "read")), None)
        if strange is not None:
            unclear = unclear or f"{strange.f} is no operation of a last-writer-wins table"
            continue
        value = token(final.get(key))
        makers = [operation for operation in writes if _written(operation) == value]
        if not makers:
            sure = [operation for operation in writes if operation.outcome == "ok"]
            if value is not None or sure:
                text = f"{key} ended as {show(value)}, which nobody wrote"
                bad.append(
                    (key, text if value is not None else f"{key} ended absent, and nobody deleted it", sure[-1:])
                )
            continue
        # Of several deletes any one may have been the last.
        losses = [_beaten(operation, writes, stamp, region, skew_max_ns) for operation in makers]
        if all(loss is not None for loss in losses):
            winner, how = next(loss for loss in losses if loss is not None)
            text = (
                f"{key} ended as {show(value)}, written at {seconds(makers[0].call)}, although the {winner.f} of "
                f"{show(_written(winner))} at {seconds(winner.call)} came after it ({how})"
            )
            bad.append((key, text, [makers[0], winner]))
    details: dict[str, object] = {"keys": len({*groups, *final}), "wrong": [key for key, _, _ in bad]}
    if bad:
        key, why, shown = bad[0]
        return Verdict(INVALID, "last-writer-wins", why, key, shown, shown[:1], details)
    if unclear:
        return Verdict(UNKNOWN, "last-writer-wins", unclear, details=details)
    return Verdict(VALID, "last-writer-wins", details=details)


def _written(operation: Operation) -> Token:
    if operation.f == "delete" or isinstance(operation.value, (list, dict)):
        return None
    return token(operation.value)


def _beaten(
    maker: Operation, writes: list[Operation], stamp: str, region: str, skew_max_ns: int | None
) -> tuple[Operation, str] | None:
    """An acknowledged write that must have won over this one, and why."""
    mine, here = maker.annotation(stamp), maker.annotation(region)
    for other in reversed(writes):  # late ones beat the most
        if other is maker or other.outcome != "ok":
            continue
        theirs, there = other.annotation(stamp), other.annotation(region)
        if type(mine) is int and type(theirs) is int:
            if (theirs, str(there)) > (mine, str(here)):
                return other, f"by their stamps, {mine} and {theirs}"
            continue
        if maker.ret is None:
            continue
        if here == there and other.call > maker.ret:
            return other, "in the same region, and in real time"
        if skew_max_ns is not None and other.call > maker.ret + skew_max_ns:
            return other, f"by more than the {seconds(skew_max_ns)} that the clocks may differ"
    return None

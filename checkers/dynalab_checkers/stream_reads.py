"""Reading a stream: what iterators of its shards handed out, call by call.

Rules of this room (consistency.md §6; the numbers are its own):
1. *stable*: a place of a shard, a sequence number, holds the same record for whoever reads it (1).
2. *start*: TRIM_HORIZON begins with the oldest record that is kept, AT_SEQUENCE_NUMBER with the named one, AFTER_ with
   the one behind it, LATEST with one that was made after the iterator was asked for (6).
3. *gap*: from there an iterator hands out what the shard holds, in order, without leaving anything out (6).
4. *closed*: an iterator that is told that nothing follows has handed out all of its shard (5); a shard that has
   children is closed, and only then is it.
5. *trim*: what is younger than the retention is there; what is older by more than the time a sweep may take is not (6).

What a shard holds is what anybody was ever shown of it: a record that nobody was shown is missed by `stream_history`
and by folding. Records without a time are never trimmed. Steps: linear, but for sorting.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dynalab_checkers.streams import CHECKER, Record, broken, name_of
from dynalab_checkers.verdict import INVALID, VALID, Verdict
from dynalab_checkers.words import seconds

TRIM_HORIZON: Final = "TRIM_HORIZON"
LATEST: Final = "LATEST"
AT: Final = "AT_SEQUENCE_NUMBER"
AFTER: Final = "AFTER_SEQUENCE_NUMBER"
TRIMMED: Final = "TrimmedDataAccessException"
DAY_NS: Final = 24 * 3600 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class ShardRead:
    """One call for records. `reader` names the chain of calls that go on from one iterator, in the order of this list.

    `start` is the sequence number of AT and AFTER. `asked_ns`: when the chain's iterator was asked for; `call_ns` and
    `ret_ns`: this call. `closed`: no iterator came back, nothing follows. `error`: what was raised instead.
    """

    reader: str
    shard: str
    kind: str
    asked_ns: int
    call_ns: int
    ret_ns: int
    records: tuple[Record, ...] = ()
    start: int = 0
    closed: bool = False
    error: str = ""


@dataclass(slots=True)
class _Shard:
    """What anybody was shown of a shard, by sequence number."""

    records: list[Record]
    sequences: list[int]
    shown_ns: list[int]  # beside them: when the first call that showed the record had returned


def check_reads(
    reads: Sequence[ShardRead],
    *,
    parents: Mapping[str, str] | None = None,
    retention_ns: int = DAY_NS,
    trim_ns: int = DAY_NS,
    at_rest: bool = False,
) -> Verdict:
    """Judge calls in the order in which they were made. `parents`: each child shard's parent.

    `retention_ns`: what is younger must be there; `trim_ns`: how much later it must be gone. `at_rest`: nothing was
    written any more when these calls were made, so whoever read a shard with children to its end was told so.

    >>> one, two, three = (Record("s", number, "k", "MODIFY") for number in (1, 2, 3))
    >>> whole = ShardRead("a", "s", TRIM_HORIZON, 0, 1, 2, (one, two, three))
    >>> check_reads([whole, ShardRead("b", "s", AFTER, 3, 4, 5, (three,), start=1)]).why
    'start: reader b asked for what comes after 1 in shard s and began with the MODIFY of k at 3, not at 2'
    """
    shards: dict[str, _Shard] = {}
    known: dict[tuple[str, int], tuple[Record, int]] = {}
    for read in reads:
        for record in read.records:
            place = record.shard, record.sequence
            first, shown_ns = known.setdefault(place, (record, read.ret_ns))
            if first != record:
                return broken("stable", record, f"{name_of(record)} was the {name_of(first)} for another reader", first)
            known[place] = first, min(shown_ns, read.ret_ns)
    for shard, sequence in sorted(known):
        record, shown_ns = known[shard, sequence]
        held = shards.setdefault(shard, _Shard([], [], []))
        held.records.append(record)
        held.sequences.append(sequence)
        held.shown_ns.append(shown_ns)
    chains: dict[tuple[str, str], list[ShardRead]] = {}
    for read in reads:
        chains.setdefault((read.reader, read.shard), []).append(read)
    divided = set((parents or {}).values())
    for calls in chains.values():
        held = shards.get(calls[0].shard, _Shard([], [], []))
        verdict = _check_chain(calls, held, retention_ns, trim_ns)
        if verdict is None:
            verdict = _check_end(calls, held, calls[0].shard in divided, at_rest)
        if verdict is not None:
            return verdict
    details: dict[str, object] = {"calls": len(reads), "records": len(known), "readers": len(chains)}
    return Verdict(VALID, CHECKER, details=details)


def _check_chain(calls: Sequence[ShardRead], held: _Shard, retention_ns: int, trim_ns: int) -> Verdict | None:
    """Start, gaps and trimming of one chain; None if nothing is wrong."""
    first = calls[0]
    sequences = held.sequences
    place: int | None = None  # among what the shard holds: what comes next
    if first.kind in (AT, AFTER):
        side = bisect_left if first.kind == AT else bisect_right
        place = side(sequences, first.start)
    elif first.kind == TRIM_HORIZON:
        place = 0
    for read in calls:
        if read.error:
            verdict = _check_error(read, held, retention_ns, place)
            if verdict is not None:
                return verdict
            continue
        for record in read.records:
            here = bisect_left(sequences, record.sequence)
            if record.shard != read.shard:
                return broken(
                    "start", record, f"reader {read.reader} of shard {read.shard} was shown {name_of(record)}"
                )
            if place is None:
                if held.shown_ns[here] < read.asked_ns:
                    told = f"{name_of(record)}, which had been shown at {seconds(held.shown_ns[here])}"
                    why = f"reader {read.reader} asked for the latest at {seconds(read.asked_ns)} and was shown {told}"
                    return broken("start", record, why)
                place = here
            skipped = [one for one in held.records[place:here] if not _may_be_gone(one, read, retention_ns)]
            if here < place or skipped:
                return _skipped(read, record, skipped, begun=read is not first or record is not read.records[0])
            if record.time_ns is not None and record.time_ns + retention_ns + trim_ns < read.call_ns:
                late = f"{seconds(read.call_ns - record.time_ns)} after it was made"
                return broken("trim", record, f"{name_of(record)} was still there {late}")
            place = here + 1
    return None


def _may_be_gone(record: Record, read: ShardRead, retention_ns: int) -> bool:
    return record.time_ns is not None and record.time_ns + retention_ns <= read.ret_ns


def _skipped(read: ShardRead, record: Record, skipped: Sequence[Record], *, begun: bool) -> Verdict:
    if not skipped:
        return broken("gap", record, f"reader {read.reader} of shard {read.shard} went back to the {name_of(record)}")
    if begun:
        why = f"reader {read.reader} came to the {name_of(record)} without the {name_of(skipped[0])}"
        return broken("gap", record, why, *skipped[:1])
    asked = {
        TRIM_HORIZON: "from the beginning",
        AT: f"for {read.start} and what follows",
        AFTER: f"for what comes after {read.start}",
    }.get(read.kind, "for the latest")
    why = (
        f"reader {read.reader} asked {asked} in shard {read.shard} and began with the {record.event} of {record.key} "
        f"at {record.sequence}, not at {skipped[0].sequence}"
    )
    return broken("start", record, why, skipped[0])


def _check_error(read: ShardRead, held: _Shard, retention_ns: int, place: int | None) -> Verdict | None:
    """Only what is older than the retention may be said to be trimmed."""
    if read.error != TRIMMED or place is None or place >= len(held.records):
        return None
    record = held.records[place]
    if _may_be_gone(record, read, retention_ns):
        return None
    if record.time_ns is None:
        return broken("trim", record, f"{name_of(record)} was said to be trimmed, and nothing is")
    age = seconds(read.ret_ns - record.time_ns)
    return broken("trim", record, f"{name_of(record)} was said to be trimmed {age} after it was made")


def _check_end(calls: Sequence[ShardRead], held: _Shard, divided: bool, at_rest: bool) -> Verdict | None:
    """Whoever is told that nothing follows has seen all; and is told so if the shard has children."""
    last = calls[-1]
    told = next((read for read in calls if read.closed), None)
    if told is not None:
        shown = [record.sequence for read in calls for record in read.records]
        start = max(shown, default=last.start if last.kind in (AT, AFTER) else -1)
        left = held.records[bisect_right(held.sequences, start) :]
        if last.kind == LATEST and not shown:
            left = []  # it may have begun behind everything
        if left:
            why = f"reader {last.reader} was told that shard {last.shard} has ended"
            return broken("closed", left[0], f"{why}, and it goes on with the {name_of(left[0])}")
        after = next((read for read in calls[calls.index(told) + 1 :] if read.records), None)
        if after is not None:
            why = f"reader {last.reader} was shown {name_of(after.records[0])} after the end of its shard"
            return broken("closed", after.records[0], why)
    elif at_rest and divided and not last.error:
        why = f"closed: shard {last.shard} has children, and reader {last.reader} is not told that it has ended"
        return Verdict(INVALID, CHECKER, why, details={"rule": "closed", "records": []})
    return None

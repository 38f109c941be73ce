"""Readers of shards: right ones pass, and each rule has calls that break it alone."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from dynalab_checkers.stream_reads import (
    AFTER,
    AT,
    DAY_NS,
    LATEST,
    TRIM_HORIZON,
    TRIMMED,
    ShardRead,
    check_reads,
)
from dynalab_checkers.streams import Record
from dynalab_checkers.verdict import Verdict

HELD = tuple(Record("s", number, "k", "MODIFY", time_ns=number) for number in (10, 20, 30, 40))


def read(kind: str, *records: Record, call: int = 100, start: int = 0, **more: object) -> ShardRead:
    call_read = ShardRead("r", "s", kind, call, call, call + 5, records, start)
    return replace(call_read, **more)  # type: ignore[arg-type]


WHOLE = read(TRIM_HORIZON, *HELD, reader="whole", call=50)


def rule(*reads: ShardRead, **question: object) -> str:
    """The rule that is broken, empty if none is."""
    found: Verdict = check_reads(reads, **question)  # type: ignore[arg-type]
    assert (found.verdict == "valid") == (not found.why)
    return found.why.partition(":")[0]


@pytest.mark.parametrize(
    ("kind", "start", "first"),
    [(TRIM_HORIZON, 0, 0), (AT, 20, 1), (AT, 15, 1), (AFTER, 20, 2), (AFTER, 15, 1), (AFTER, 40, 4)],
)
def test_an_iterator_begins_where_it_was_asked_to(kind: str, start: int, first: int) -> None:
    for begin in range(5):
        asked = read(kind, *HELD[begin:], start=start)
        # One that shows nothing may have come to it later.
        expected = "" if begin in (first, 4) else "start" if begin > first else "gap"
        assert rule(WHOLE, asked) == expected, begin


def test_latest_shows_only_what_was_not_yet_shown_when_it_was_asked_for() -> None:
    assert rule(WHOLE, read(LATEST, HELD[3])) == "start"
    early = read(LATEST, HELD[3], asked_ns=40)
    assert rule(WHOLE, early) == ""
    assert rule(WHOLE, read(LATEST, HELD[1], HELD[3], asked_ns=40)) == "gap"


def test_an_iterator_leaves_nothing_out_and_does_not_go_back() -> None:
    assert rule(WHOLE, read(TRIM_HORIZON, *HELD[:2]), read(TRIM_HORIZON, *HELD[2:])) == ""
    assert rule(WHOLE, read(TRIM_HORIZON, *HELD[:2]), read(TRIM_HORIZON, HELD[3])) == "gap"
    assert rule(WHOLE, read(TRIM_HORIZON, *HELD[:2]), read(TRIM_HORIZON, *HELD[1:])) == "gap"


def test_a_place_of_a_shard_holds_one_record() -> None:
    other = replace(HELD[1], key="j")
    assert rule(WHOLE, read(TRIM_HORIZON, HELD[0], other, *HELD[2:])) == "stable"


def test_a_reader_is_shown_records_of_its_shard() -> None:
    assert rule(read(TRIM_HORIZON, replace(HELD[0], shard="t"))) == "start"


def test_a_shard_has_ended_when_all_of_it_was_shown() -> None:
    assert rule(WHOLE, read(TRIM_HORIZON, *HELD, closed=True)) == ""
    assert rule(WHOLE, read(TRIM_HORIZON, *HELD[:3], closed=True)) == "closed"
    assert rule(WHOLE, read(AFTER, start=40, closed=True)) == ""
    assert rule(WHOLE, read(LATEST, closed=True)) == ""
    ended = (read(TRIM_HORIZON, *HELD[:3], closed=True), read(TRIM_HORIZON, HELD[3]))
    assert rule(*ended) == "closed"


def test_at_rest_a_shard_with_children_has_ended() -> None:
    parents = {"left": "s", "right": "s"}
    assert rule(WHOLE, parents=parents) == ""
    assert rule(WHOLE, parents=parents, at_rest=True) == "closed"
    assert rule(replace(WHOLE, closed=True), parents=parents, at_rest=True) == ""
    assert rule(WHOLE, parents={}, at_rest=True) == ""


def test_nothing_younger_than_the_retention_is_trimmed_and_nothing_much_older_is_kept() -> None:
    late = DAY_NS + 22  # the first two are old enough by then
    assert rule(WHOLE, read(TRIM_HORIZON, *HELD[2:], call=late)) == ""
    assert rule(WHOLE, read(TRIM_HORIZON, HELD[3], call=late)) == "start"
    assert rule(WHOLE, read(AT, start=20, call=late, error=TRIMMED)) == ""
    assert rule(WHOLE, read(AT, start=40, call=late, error=TRIMMED)) == "trim"
    kept = read(TRIM_HORIZON, *HELD, call=2 * DAY_NS + 25)
    assert rule(WHOLE, kept) == "trim"
    assert rule(WHOLE, kept, trim_ns=2 * DAY_NS) == ""
    timeless = [replace(record, time_ns=None) for record in HELD]
    assert rule(read(TRIM_HORIZON, *timeless), read(AT, start=10, call=late, error=TRIMMED, reader="t")) == "trim"


def test_random_readers_of_a_growing_shard_are_right_and_what_they_left_out_is_seen() -> None:
    kinds = {"left out": 0, "right": 0}
    for seed in range(60):
        draw = Random(seed).randrange
        shard = [Record("s", 10 * number, f"k{draw(3)}", "MODIFY") for number in range(1, 13)]
        reads: list[ShardRead] = []
        grown = 0
        places: dict[str, int] = {}
        for time in range(1, 60):
            grown = min(len(shard), grown + draw(2))
            reader = f"r{draw(3)}"
            kind, start = (TRIM_HORIZON, 0) if reader != "r2" else (AFTER, 30)
            place = places.get(reader, 0 if reader != "r2" else 3)
            upto = min(grown, place + draw(3))
            reads.append(ShardRead(reader, "s", kind, 10, 10 * time, 10 * time + 5, tuple(shard[place:upto]), start))
            places[reader] = max(place, upto)
        assert rule(*reads) == ""
        kinds["right"] += 1
        victim = next(number for number, one in enumerate(reads) if len(one.records) == 2)
        spoilt = [*reads]
        spoilt[victim] = replace(reads[victim], records=reads[victim].records[1:])
        broken = rule(*spoilt)
        # Whoever was the only one to be shown a record has hidden it: then another judge must miss it.
        kinds["left out"] += broken in ("gap", "start")
    assert kinds["left out"] > 50

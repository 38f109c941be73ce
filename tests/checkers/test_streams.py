"""Change streams: every rule kept and broken on literal records, and a toy table whose stream is mutated at random."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from dynalab_checkers.history import MISSING, Json, Missing
from dynalab_checkers.streams import (
    INSERT,
    MODIFY,
    REMOVE,
    Record,
    check_chain,
    check_changes,
    check_fold,
    check_once,
    check_order,
    check_stream,
    check_view,
    fold,
)

# The table of the streams guide (S165): list and task, and what became of three tasks.
TASKS = [
    Record("shard-0", 100, "1/start", INSERT, new={"ListId": 1, "TaskId": "start"}),
    Record("shard-0", 101, "1/progress", INSERT, new={"ListId": 1, "TaskId": "progress", "done": 10}),
    Record(
        "shard-0",
        105,
        "1/progress",
        MODIFY,
        old={"ListId": 1, "TaskId": "progress", "done": 10},
        new={"ListId": 1, "TaskId": "progress", "done": 60},
    ),
    Record("shard-0", 106, "1/start", REMOVE, old={"ListId": 1, "TaskId": "start"}),
    Record("shard-0", 109, "1/start", INSERT, new={"ListId": 1, "TaskId": "start", "again": True}),
]
TABLE: dict[str, Json] = {
    "1/start": {"ListId": 1, "TaskId": "start", "again": True},
    "1/progress": {"ListId": 1, "TaskId": "progress", "done": 60},
}


def test_replaying_a_stream_gives_the_table() -> None:
    assert fold(TASKS) == TABLE
    verdict = check_stream(TASKS, final=TABLE)
    assert verdict.verdict == "valid"
    assert verdict.details == {"rules": ["view", "once", "order", "chain", "fold"], "count": 5}


def test_a_record_left_out_at_the_end_is_found_by_folding_alone() -> None:
    cut = TASKS[:-1]
    assert check_chain(cut).verdict == "valid"
    verdict = check_fold(cut, TABLE)
    assert verdict.why == (
        'fold: the stream leaves 1/start absent, but the table holds {"ListId": 1, "TaskId": "start", "again": true}'
    )
    assert verdict.details == {"rule": "fold", "records": [TASKS[3]]}


def test_an_item_that_the_table_lost_is_found_by_folding() -> None:
    verdict = check_fold(TASKS[:1], {})
    assert verdict.why == (
        'fold: the stream leaves 1/start {"ListId": 1, "TaskId": "start"}, but the table does not hold it'
    )


def test_a_stream_that_began_later_is_replayed_over_the_state_of_its_beginning() -> None:
    assert check_fold(TASKS[2:], TABLE, initial=fold(TASKS[:2])).verdict == "valid"
    assert check_chain(TASKS[2:], initial=fold(TASKS[:2])).verdict == "valid"
    assert check_chain(TASKS[2:]).why == (
        "chain: MODIFY of 1/progress at 105 in shard shard-0, but 1/progress was not there at the beginning"
    )


def test_a_record_left_out_in_the_middle_breaks_the_chain() -> None:
    assert check_chain([TASKS[0], TASKS[4]]).why == (
        "chain: INSERT of 1/start at 109 in shard shard-0, but 1/start was there after the record before it"
    )
    later = replace(TASKS[2], sequence=107, old=TASKS[2].new, new={"done": 99})
    verdict = check_chain([TASKS[1], later])
    assert verdict.verdict == "invalid"
    assert verdict.key == "1/progress"
    assert verdict.details == {"rule": "chain", "records": [TASKS[1], later]}
    assert check_chain([*TASKS[1:3], later]).verdict == "valid"


def test_a_write_that_changed_nothing_has_no_record() -> None:
    again = Record("shard-0", 110, "1/start", MODIFY, old=TASKS[4].new, new=TASKS[4].new)
    assert check_chain([*TASKS, again]).why == (
        "chain: MODIFY of 1/start at 110 in shard shard-0 changed nothing, and so has no record"
    )
    # Without images nobody can tell.
    bare = [replace(record, old=MISSING, new=MISSING) for record in [*TASKS, again]]
    assert check_stream(bare, view="KEYS_ONLY").verdict == "valid"


def test_images_are_compared_as_json_compares() -> None:
    begun = Record("s", 1, "k", INSERT, new={"a": [1, {"b": True}]})
    for old, verdict in (({"a": [1.0, {"b": True}]}, "valid"), ({"a": [1, {"b": 1}]}, "invalid"), ({}, "invalid")):
        images: Json = old  # type: ignore[assignment]
        assert check_chain([begun, Record("s", 2, "k", MODIFY, old=images, new=0)]).verdict == verdict, old


def test_a_record_handed_out_twice_is_found() -> None:
    assert check_once(TASKS).verdict == "valid"
    assert check_once([*TASKS, TASKS[2]]).why == (
        "once: MODIFY of 1/progress at 105 in shard shard-0 was handed out twice"
    )
    other = replace(TASKS[0], key="9/other")
    assert check_once([*TASKS, other]).why == (
        "once: INSERT of 9/other at 100 in shard shard-0 "
        "has the number of the INSERT of 1/start at 100 in shard shard-0"
    )


def test_numbers_grow_within_a_shard_and_are_compared_as_integers() -> None:
    nine, ten = Record("s", 9, "a", INSERT), Record("s", 10, "b", INSERT)
    assert check_order([nine, ten]).verdict == "valid"
    assert check_order([ten, nine]).why == (
        "order: INSERT of a at 9 in shard s was handed out after the INSERT of b at 10 in shard s"
    )


LINEAGE = {"left": "root", "right": "root", "leaf": "left"}


def test_an_items_records_follow_the_lineage_of_shards_over_two_splits() -> None:
    records = [
        Record("root", 1, "k", INSERT),
        Record("root", 2, "j", INSERT),
        Record("left", 3, "k", MODIFY),
        Record("right", 3, "j", MODIFY),
        Record("leaf", 8, "k", REMOVE),
    ]
    assert check_order(records, LINEAGE).verdict == "valid"
    late = [*records[1:], records[0]]
    assert check_order(late, LINEAGE).verdict == "invalid"
    swapped = [records[0], records[4], records[2]]
    assert check_order(swapped, LINEAGE).why == (
        "order: MODIFY of k at 3 in shard left was handed out after the REMOVE of k at 8 in shard leaf, a descendant"
    )


def test_an_item_in_two_shards_of_which_neither_descends_from_the_other_is_found() -> None:
    forked = [Record("left", 3, "k", INSERT), Record("right", 4, "k", MODIFY)]
    assert check_order(forked, LINEAGE).why == (
        "order: MODIFY of k at 4 in shard right follows the INSERT of k at 3 in shard left, "
        "and neither shard descends from the other"
    )
    stuck = [Record("root", 5, "k", INSERT), Record("left", 5, "k", MODIFY)]
    assert check_order(stuck, LINEAGE).why == (
        "order: MODIFY of k at 5 in shard left "
        "has no larger number than the INSERT of k at 5 in shard root, its ancestor"
    )


def test_two_items_in_two_shards_owe_each_other_no_order() -> None:
    assert check_order([Record("left", 9, "k", INSERT), Record("root", 2, "j", INSERT)], LINEAGE).verdict == "valid"


def test_a_lineage_that_is_a_circle_is_refused() -> None:
    with pytest.raises(ValueError, match="descends from itself"):
        check_order([], {"a": "b", "b": "a"})


def test_each_view_type_tells_its_images_and_no_others() -> None:
    def seen(record: Record, view: str) -> Record:
        old = record.old if view in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES") else MISSING
        new = record.new if view in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES") else MISSING
        return replace(record, old=old, new=new)

    views = ("KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES")
    for told in views:
        for asked in views:
            fits = check_view([seen(record, told) for record in TASKS], asked).verdict == "valid"
            assert fits == (told == asked), (told, asked)


def test_an_event_has_no_image_of_what_was_not_there() -> None:
    born = replace(TASKS[0], old={"x": 1})
    assert check_view([born], "NEW_AND_OLD_IMAGES").why.endswith("has an old image, where there can be none")
    dead = replace(TASKS[3], new={"x": 1})
    assert check_view([dead], "NEW_AND_OLD_IMAGES").why.endswith("has a new image, where there can be none")
    # The guide of the seed documents says UPDATE; the service says MODIFY.
    assert check_view([replace(TASKS[2], event="UPDATE")], "NEW_AND_OLD_IMAGES").verdict == "invalid"


def test_records_are_the_effective_changes_each_once() -> None:
    one: list[Json | Missing] = [MISSING, {"n": 1}, {"n": 1}, MISSING, MISSING, {"n": 2}]
    records = [
        Record("s", 1, "k", INSERT, new={"n": 1}),
        Record("s", 2, "k", REMOVE, old={"n": 1}),
        Record("s", 5, "k", INSERT, new={"n": 2}),
    ]
    assert check_changes(records, {"k": one}).verdict == "valid"
    assert check_changes(records, {"k": one, "j": [MISSING]}).verdict == "valid"
    assert check_changes(records[:2], {"k": one}).why == (
        'changes: the stream ends k with absent, but it changed to {"n": 2} after that'
    )
    assert check_changes(records, {"k": one[:4]}).why == "changes: INSERT of k at 5 in shard s is of no change of k"
    assert check_changes(records, {}).why == "changes: INSERT of k at 1 in shard s is of no change of k"
    coalesced = [records[0], Record("s", 5, "k", MODIFY, old={"n": 1}, new={"n": 2})]
    assert check_changes(coalesced, {"k": one}).why == (
        'changes: MODIFY of k at 5 in shard s stands where k changed from {"n": 1} to absent'
    )


def toy(random: Random) -> tuple[list[Record], dict[str, Json], dict[str, str]]:
    """A table of four items, its stream over one split in the middle, and the lineage."""
    table: dict[str, Json] = {}
    records: list[Record] = []
    parents = {"left": "root", "right": "root"}
    for sequence in range(1, 41):
        key = random.choice("abcd")
        shard = "root" if sequence < 20 else "left" if key in "ab" else "right"
        old: Json | Missing = table.get(key, MISSING)
        if random.randrange(4) == 0:
            if key in table:
                records.append(Record(shard, sequence, key, REMOVE, old=table.pop(key)))
            continue
        new: Json = {"n": random.randrange(3)}
        if new != old:
            event = INSERT if isinstance(old, Missing) else MODIFY
            records.append(Record(shard, sequence, key, event, old=old, new=new))
        table[key] = new
    return records, table, parents


def test_any_record_lost_doubled_or_overtaken_by_its_successor_is_found() -> None:
    random, checked = Random(164), 0
    for _ in range(40):
        records, table, parents = toy(random)
        assert check_stream(records, parents=parents, final=table).verdict == "valid"
        for place, record in enumerate(records):
            rest = [*records[:place], *records[place + 1 :]]
            lost = check_stream(rest, parents=parents, final=table).verdict
            doubled = check_stream([*records, record], parents=parents, final=table).verdict
            assert (lost, doubled) == ("invalid", "invalid"), record
            after = next((n for n, other in enumerate(rest) if n >= place and other.key == record.key), None)
            if after is not None:
                late = [*rest[: after + 1], record, *rest[after + 1 :]]
                assert check_stream(late, parents=parents, final=table).verdict == "invalid", record
                checked += 1
    assert checked > 500

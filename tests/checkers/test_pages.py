"""Pages of reads: what must not be seen on them is found, and what may be seen is not called wrong."""

from __future__ import annotations

import pytest

from dynalab_checkers.history import History, Json
from dynalab_checkers.pages import check_page_items, check_pages, page_reads, reads_of

BUDGET = 100_000
KEYS = ["a/0", "a/1", "b/0"]
Event = dict[str, Json]


class Story:
    """A history that is written down in the order in which things happen, one nanosecond after the other."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, process: int, kind: str, f: str, **fields: Json) -> None:
        at = len(self.events)
        event: Event = {"index": at, "time": at, "process": process, "type": kind, "f": f}
        self.events.append(event | fields)

    def write(self, key: str, value: int) -> None:
        self.tell(1, "invoke", "write", key=key, value=value)
        self.tell(1, "ok", "write", key=key, value=value)

    def begin(
        self, scan: int, *, process: int = 2, segment: int = 0, segments: int = 1, prefix: str = "", **more: Json
    ) -> None:
        fields: Event = {"scan": scan, "segment": segment, "segments": segments, "prefix": prefix}
        self.tell(process, "invoke", "page", **{"consistency": "strong", **fields, **more})

    def end(self, items: dict[str, int], *, process: int = 2, more: bool = False) -> None:
        pairs: list[Json] = [[key, value] for key, value in items.items()]
        self.tell(process, "ok", "page", items=pairs, more=more)

    def page(self, scan: int, items: dict[str, int], *, more: bool = False, **fields: Json) -> None:
        self.begin(scan, **fields)  # type: ignore[arg-type]
        self.end(items, more=more)

    def judged(self) -> tuple[str, str]:
        verdict = check_page_items(History.from_events(self.events), KEYS, budget=BUDGET)
        return verdict.verdict, verdict.why


def filled() -> Story:
    story = Story()
    for value, key in enumerate(KEYS, 1):
        story.write(key, value)
    return story


def test_a_read_in_two_pages_that_shows_everything_once_is_valid() -> None:
    story = filled()
    story.page(1, {"a/0": 1, "a/1": 2}, more=True)
    story.page(1, {"b/0": 3})
    assert story.judged() == ("valid", "")


def test_a_key_on_two_pages_of_one_read_is_found() -> None:
    story = filled()
    story.page(1, {"a/0": 1, "a/1": 2}, more=True)
    story.page(1, {"a/1": 2, "b/0": 3})
    assert story.judged() == ("invalid", "read 1 showed a/1 twice")


def test_a_key_twice_on_one_page_is_found() -> None:
    story = filled()
    story.begin(1)
    story.tell(2, "ok", "page", items=[["a/0", 1], ["a/0", 1], ["a/1", 2], ["b/0", 3]], more=False)
    assert story.judged() == ("invalid", "read 1 showed a/0 twice")


@pytest.mark.claim("S73")
def test_a_key_in_two_segments_is_found_and_the_same_key_in_two_reads_is_not() -> None:
    story = filled()
    story.page(1, {"a/0": 1, "a/1": 2}, segments=2)
    story.page(2, {"a/0": 1, "a/1": 2, "b/0": 3})
    story.page(1, {"a/0": 1, "b/0": 3}, segments=2, segment=1)
    assert story.judged() == ("invalid", "read 1 showed a/0 in segment 0 and again in segment 1")


def test_a_key_that_was_there_all_the_time_and_is_left_out_is_found() -> None:
    story = filled()
    story.page(1, {"a/0": 1}, more=True)
    story.page(1, {"b/0": 3})
    verdict, why = story.judged()
    assert verdict == "invalid"
    assert "a/1" in why and "returned nothing" in why


def test_a_key_that_was_written_while_the_read_ran_may_be_left_out_or_shown() -> None:
    for shown in ({"b/0": 3}, {"a/0": 4, "b/0": 3}):
        story = Story()
        story.write("b/0", 3)
        story.write("a/1", 2)
        story.page(1, {"a/1": 2}, more=True)
        story.write("a/0", 4)
        story.page(1, shown)
        assert story.judged() == ("valid", ""), shown


def test_a_query_is_only_about_the_keys_of_its_collection() -> None:
    story = filled()
    story.page(1, {"a/0": 1, "a/1": 2}, prefix="a/")
    assert story.judged() == ("valid", "")
    story.page(2, {"a/0": 1}, prefix="a/")
    assert story.judged()[0] == "invalid"


def test_a_read_that_broke_off_may_leave_out_what_it_did_not_come_to() -> None:
    story = filled()
    story.page(1, {"a/0": 1}, more=True)
    story.begin(2, segments=2)
    story.end({"a/0": 1, "a/1": 2, "b/0": 3})
    story.begin(3)
    story.tell(2, "info", "page", error="timeout")
    assert story.judged() == ("valid", "")
    assert [read.whole for read in reads_of(History.from_events(story.events))] == [False, False, False]


def test_an_old_value_on_a_strong_page_is_found_and_on_an_eventual_page_it_may_stand() -> None:
    story = filled()
    story.write("a/0", 9)
    story.page(1, {"a/0": 1, "a/1": 2, "b/0": 3}, consistency="eventual")
    assert story.judged() == ("valid", "")
    story.page(2, {"a/0": 1, "a/1": 2, "b/0": 3})
    verdict, why = story.judged()
    assert verdict == "invalid" and "a/0" in why


def test_items_of_one_page_may_be_from_different_moments_within_it() -> None:
    story = filled()
    story.begin(1)
    story.write("a/0", 10)
    story.write("a/1", 11)
    story.end({"a/0": 1, "a/1": 11, "b/0": 3})  # the later write is seen, the earlier one is not
    assert story.judged() == ("valid", "")


def test_going_back_in_time_between_two_reads_is_found() -> None:
    story = filled()
    story.tell(1, "invoke", "write", key="a/0", value=5)  # runs until the end
    story.page(1, {"a/0": 5, "a/1": 2, "b/0": 3})
    story.page(2, {"a/0": 1, "a/1": 2, "b/0": 3})
    assert story.judged()[0] == "invalid"


@pytest.mark.parametrize("consistency", ["strong", "eventual", "index"])
def test_a_value_that_nobody_wrote_is_found_on_any_page(consistency: str) -> None:
    story = filled()
    story.page(1, {"a/0": 1, "a/1": 77, "b/0": 3}, consistency=consistency)
    verdict, why = story.judged()
    assert verdict == "invalid" and "77" in why and "a/1" in why


def test_an_index_key_may_move_while_it_is_read_so_an_entry_may_be_seen_twice() -> None:
    story = filled()
    story.page(1, {"a/0": 1}, more=True, consistency="index")
    story.page(1, {"a/0": 1}, consistency="index")
    assert check_pages(History.from_events(story.events)).verdict == "valid"


def test_every_item_becomes_a_read_of_its_own_process() -> None:
    story = filled()
    story.page(1, {"a/0": 1, "a/1": 2})
    reads = page_reads(History.from_events(story.events), KEYS)
    assert [(read.key, read.result) for read in reads] == [("a/0", 1), ("a/1", 2), ("b/0", None)]
    assert len({read.process for read in reads}) == 3 and min(read.process for read in reads) > 2


def test_what_is_no_page_must_be_a_registers() -> None:
    story = filled()
    story.tell(3, "invoke", "push", key="a/0", value=1)
    story.tell(3, "ok", "push", key="a/0", value=1)
    assert story.judged()[0] == "unknown"

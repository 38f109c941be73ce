"""Which answers each read mode allows, by literal histories (consistency.md §2)."""

from __future__ import annotations

from fractions import Fraction

import pytest

from dynalab_model.consistency import (
    EVENTUAL,
    INDEX,
    STRONG,
    Version,
    allowed_entries,
    allowed_reads,
    condition_may_fail,
    condition_may_pass,
    converged_entries,
    fresh_share,
    strong_page_errors,
)

# a is acknowledged at 10, b at 30, c never was.
WRITES = [Version("a", 0, 10), Version("b", 20, 30), Version("c", 40, None)]


@pytest.mark.claim("S24")
@pytest.mark.parametrize(
    ("called", "returned", "values"),
    [
        (0, 0, [None, "a"]),  # the first write is running
        (0, 19, [None, "a"]),
        (11, 12, ["a"]),  # nothing but the acknowledged write
        (10, 12, [None, "a"]),  # touching at one instant is concurrent: the acknowledgement does not precede the call
        (11, 20, ["a", "b"]),
        (31, 39, ["b"]),
        (31, 40, ["b", "c"]),
        (1000, 2000, ["b", "c"]),  # an unacknowledged write stays possible for ever
    ],
)
def test_a_strong_read_sees_every_acknowledged_write_and_nothing_from_the_future(
    called: int, returned: int, values: list[str | None]
) -> None:
    assert allowed_reads(WRITES, STRONG, called, returned) == values


@pytest.mark.claim("S25")
def test_an_eventual_read_may_see_any_committed_state_but_nothing_from_the_future() -> None:
    assert allowed_reads(WRITES, EVENTUAL, 31, 39) == [None, "a", "b"]
    assert allowed_reads(WRITES, EVENTUAL, 5, 6) == [None, "a"]
    assert allowed_reads(WRITES, EVENTUAL, 1000, 1001) == [None, "a", "b", "c"]


def test_an_acknowledged_version_carries_the_unacknowledged_ones_before_it() -> None:
    writes = [Version("lost answer", 0, None), Version("b", 5, 10)]
    assert allowed_reads(writes, STRONG, 11, 12) == ["b"]


def test_a_version_behind_one_that_has_not_begun_cannot_have_taken_effect() -> None:
    writes = [Version("late", 50, 60), Version("b", 5, 70)]
    assert allowed_reads(writes, STRONG, 10, 20) == [None]


def test_a_delete_is_a_version_whose_value_is_absent() -> None:
    gone: Version[str] = Version(None, 2, 3)
    writes = [Version("a", 0, 1), gone]
    assert allowed_reads(writes, STRONG, 4, 5) == [None]
    assert allowed_reads(writes, EVENTUAL, 4, 5) == [None, "a"]


def test_an_unknown_mode_and_a_read_that_returns_before_its_call_are_refused() -> None:
    with pytest.raises(ValueError, match="mode is one of"):
        allowed_reads(WRITES, "weak", 0, 1)
    with pytest.raises(ValueError, match="returns after its call"):
        allowed_reads(WRITES, STRONG, 2, 1)


@pytest.mark.claim("S25")
def test_two_of_three_replicas_are_fresh_when_the_third_lags_for_ever() -> None:
    assert fresh_share([9, 9, 0], 9) == Fraction(2, 3)
    assert fresh_share([9, 9, 9], 9) == 1
    # The acknowledgement needs two replicas, so whichever one lags, the share is the same.
    assert {fresh_share(order, 9) for order in ([0, 9, 9], [9, 0, 9], [9, 9, 0])} == {Fraction(2, 3)}


def test_a_condition_is_judged_on_the_latest_state_and_never_on_a_stale_copy() -> None:
    def is_free(owner: str | None) -> bool:
        return owner is None

    held = [Version("ann", 0, 10)]
    assert not condition_may_pass(held, is_free, 20, 30)
    assert condition_may_fail(held, is_free, 20, 30)
    # While the first write runs, both outcomes are possible.
    assert condition_may_pass(held, is_free, 5, 8)
    assert condition_may_fail(held, is_free, 5, 8)


@pytest.mark.claim("S27")
def test_an_index_entry_is_the_projection_of_some_committed_state_and_may_lag() -> None:
    def by_color(value: str) -> tuple[str, str] | None:
        color, _, name = value.partition(":")
        return (color, name) if color else None

    writes = [Version("red:x", 0, 1), Version(":x", 2, 3), Version("blue:x", 4, 5), Version("green:x", 90, 91)]
    # The old entry, the new one, or (not listed) none; never the one that is not written yet.
    assert allowed_entries(writes, by_color, 10, 20) == [("red", "x"), ("blue", "x")]
    assert allowed_reads(writes, INDEX, 10, 20) == [None, "red:x", ":x", "blue:x"]


@pytest.mark.claim("S27", "S30")
def test_at_rest_an_index_holds_one_entry_for_each_item_that_has_the_key_and_nothing_else() -> None:
    def by_color(value: str) -> str | None:
        return value if value.startswith("#") else None

    assert converged_entries(["#red", "plain", None, "#blue"], by_color) == ["#red", "#blue"]


def test_a_strong_page_must_show_what_was_acknowledged_before_it_and_each_item_alone() -> None:
    histories = {"x": [Version(1, 0, 1), Version(2, 10, 30)], "y": [Version(1, 0, 1), Version(2, 10, 12)]}
    # Not a snapshot: x of before and y of after, on one page, is right.
    assert strong_page_errors(histories, {"x": 1, "y": 2}, 15, 20) == []
    assert strong_page_errors(histories, {"x": 1, "y": 1}, 15, 20) == ["y is 1, but must be one of [2]"]
    assert strong_page_errors(histories, {"x": 2}, 15, 20) == ["y is missing, but must be one of [2]"]
    assert strong_page_errors(histories, {"x": 1, "y": 2, "z": 5}, 15, 20) == ["z was never written"]

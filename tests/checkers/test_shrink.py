"""Delta debugging: the result still fails, and nothing can be left out of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dynalab_checkers.shrink import minimise


@given(st.integers(1, 200), st.sets(st.integers(0, 199), min_size=1, max_size=6))
def test_the_smallest_part_is_found_when_a_fixed_set_is_needed(size: int, wanted: set[int]) -> None:
    needed = {number % size for number in wanted}
    assert minimise(range(size), lambda part: needed <= set(part)) == sorted(needed)


def test_nothing_can_be_left_out_of_the_result_even_if_several_parts_fail() -> None:
    def fails(part: list[int]) -> bool:
        return sum(part) >= 100

    small = minimise(range(60), fails)
    assert fails(small)
    assert all(not fails([n for n in small if n != left_out]) for left_out in small)


def test_an_exhausted_budget_still_leaves_a_failing_part() -> None:
    calls = 0

    def fails(part: list[int]) -> bool:
        nonlocal calls
        calls += 1
        return {0, 500, 999} <= set(part)

    small = minimise(range(1000), fails, work_max=1500)
    assert fails(small)
    assert len(small) > 3
    assert calls <= 4

"""How far an index falls behind, and how it slows its table down: the course's figures against figures worked out by
hand.
"""

from __future__ import annotations

import pytest

from dynalab_fault_injection.experiments.indexes import (
    TENTH,
    TENTH_BACKLOG,
    Followed,
    Second,
    arrival_lags,
    back_pressure,
    lag,
    lag_table,
    pressure_table,
)


@pytest.mark.claim("S94")
def test_an_index_of_half_the_capacity_is_half_the_time_behind_and_needs_as_long_again() -> None:
    """20 of 40 changes a second are taken, the oldest first: after ten seconds it is at those of the fifth."""
    run = lag(units=20, rate=40, busy_s=10)
    assert 4_000 <= run.seconds[9].lag_ms <= 5_000
    assert 180 <= run.seconds[9].queued <= 200 and run.caught_up_s is not None and 9 <= run.caught_up_s <= 11
    assert all(second.done == 40 for second in run.seconds[:10]), "the table itself is not slower"


@pytest.mark.claim("S94")
@pytest.mark.claim("S103")
def test_an_index_with_enough_is_not_behind_and_one_with_less_is_further_behind() -> None:
    behind = [lag(units=units, rate=40, busy_s=6).seconds[5].lag_ms for units in (80, 30, 10)]
    assert behind[0] < 100 < behind[1] < behind[2]


@pytest.mark.claim("S63")
def test_a_constant_key_holds_the_whole_table_to_what_one_partition_of_the_index_may() -> None:
    run = back_pressure(constant=True, busy_s=12)
    assert run.seconds[0].refused == 0, "the backlog takes what is too much, for a while"
    late = run.seconds[8:12]
    served = sum(second.done for second in late) // len(late)
    assert TENTH.partition_write - 8 <= served <= TENTH.partition_write + 8
    assert run.errors.keys() == {"ProvisionedThroughputExceededException"}
    assert max(second.queued for second in run.seconds) <= 2 * (TENTH_BACKLOG + 10), "two partitions, each with a bound"
    spread = back_pressure(constant=False, busy_s=4)
    assert sum(second.refused for second in spread.seconds) == 0


@pytest.mark.claim("S27")
def test_an_index_with_enough_is_milliseconds_behind() -> None:
    took_ns = arrival_lags(100, seconds=1)
    assert len(took_ns) == 100 and 0 < took_ns[50] < 5_000_000 and took_ns[98] < 100_000_000


def test_the_tables_say_what_was_measured() -> None:
    seconds = [Second(40, 40, 0, 5, 20)] * 5 + [Second()]
    assert lag_table({10: Followed(seconds, {}, 7)})[2:] == ["| 10 | 20 ms | 5 | 7 s |"]
    assert pressure_table({"x": Followed(seconds)}, (1,))[2:] == ["| x | 1 | 40 | 40 | 0 | 5 |"]

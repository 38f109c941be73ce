"""What throttled clients get, second by second: the figures of the course against figures worked out by hand."""

from __future__ import annotations

from statistics import median

import pytest

from dynalab_fault_injection.experiments.admission import Served, burst, burst_table, hot_key, table


@pytest.mark.claim("S36")
def test_a_burst_lasts_as_long_as_what_was_saved_and_comes_back_after_a_pause() -> None:
    run = burst(write_units=4, factor=5, busy_s=80, pause_s=50)
    # 4 a second for 300 seconds are 1,200 saved; 20 - 4 = 16 a second of them are used: 75 seconds.
    assert run.done[:75] == [20] * 75
    # What is left of 1,200 and of the second that every bucket begins with: 1,204 + 75 * 4 - 75 * 20 = 4, and 4 more.
    assert run.done[75] == 8 and run.done[76:80] == [4] * 4
    # 50 seconds of pause: 200 are saved again, which is 12 seconds of 16, and half of the next.
    assert run.seconds[80] == 130
    assert run.done[80:92] == [20] * 12 and 11 <= run.done[92] <= 13 and run.done[93:] == [4] * 67
    assert [a + b for a, b in zip(run.done, run.refused, strict=True)] == run.sent


@pytest.mark.claim("S37", "S110")
def test_one_key_gets_what_one_partition_may_while_its_table_has_plenty() -> None:
    spread, hot = hot_key(hot=False, rate=1_500, seconds=1), hot_key(hot=True, rate=1_500, seconds=3)
    assert spread.refused == [0] and spread.done == [1_500]
    # A full bucket of 1,000 and 1,000 a second: 500 are left after the first second, none after the second one.
    assert hot.done[0] == 1_500 and hot.done[1] >= 1_499
    assert 999 <= hot.done[2] <= 1_001 and hot.refused[2] == 1_500 - hot.done[2]
    # Those who are served do not wait longer for the others being refused.
    served_ns = median(hot.done_ns)
    assert served_ns * 10 < median(spread.done_ns) * 13
    assert max(hot.refused_ns) < served_ns


def test_the_tables_say_what_was_measured() -> None:
    run = Served([0, 1, 2, 9], [5, 5, 5, 5], [5, 5, 2, 2], [0, 0, 3, 3], [1_000_000, 3_000_000, 2_000_000], [])
    assert burst_table(run)[2:] == ["| 0 to 1 | 5 | 5 |", "| 2 | 5 | 2 |", "| 9 | 5 | 2 |"]
    assert table({"x": run})[2:] == ["| x | 5 | 3 | 2 | 2.0 ms | – |"]

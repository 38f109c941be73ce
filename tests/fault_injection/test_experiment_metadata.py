"""What cold routers cost the metadata service: the figures of the course, on a smaller scale."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from dynalab_fault_injection.experiments.metadata import Load, joining, main, restart_table, restarting, table

WARM, COLD = 2, 6


def small(refresh: bool) -> Load:
    return joining(
        refresh=refresh, warm=WARM, cold=COLD, partitions=24, rate=200, windows_before=5, windows_after=25, seed=3
    )


@pytest.mark.claim("S138")
def test_cold_routers_that_ask_on_a_miss_bring_an_idle_metadata_service_a_cliff() -> None:
    load = small(refresh=False)
    assert load.answered == sum(load.requests)
    assert load.questions[:5] == [0] * 5  # caches are warm: nobody asks
    # Three quarters of the requests come to cold routers, which also have to learn the table itself.
    assert max(load.questions) == load.questions[5] and load.share(5) >= 75
    assert sum(load.questions[5:15]) >= sum(load.requests[5:15]) // 4
    assert sum(load.questions[-5:]) * 8 <= sum(load.requests[-5:])


@pytest.mark.claim("S138", "S139")
def test_with_a_refresh_on_every_hit_the_load_is_the_rate_of_the_requests_whoever_joins() -> None:
    load = small(refresh=True)
    assert load.answered == sum(load.requests)
    assert load.questions[:5] == load.requests[:5] and load.questions[-20:] == load.requests[-20:]
    # A new router asks for the table once, and perhaps once more because it asked the wrong member.
    assert sum(load.questions) <= sum(load.requests) + 2 * COLD


@pytest.mark.claim("S137")
def test_a_hit_rate_of_995_instead_of_9975_doubles_the_load_on_the_metadata_service() -> None:
    rare, often = restarting(requests=2_500, lives=2), restarting(requests=1_250, lives=4)
    assert rare.answered == often.answered == sum(rare.requests) == sum(often.requests) == 5_000
    misses, twice = sum(rare.questions), sum(often.questions)
    assert 0.0018 < misses / 5_000 < 0.0032  # a hit rate of about 99.75 %
    assert 0.0036 < twice / 5_000 < 0.0064
    assert 1.7 < twice / misses < 2.3


def test_the_tables_say_what_was_measured() -> None:
    load = Load(100, 1, [40, 40, 40], [0, 30, 2])
    assert table({"x": load})[-1] == "| x | 0 | 300 | 75 % | 32 |"
    assert restart_table([Load(1, 0, [1000, 1000], [3, 2])])[-1] == "| 1,000 | 99.75 % | 2.5 |"


def test_the_command_of_the_chapter_prints_them() -> None:
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 0 and "99.50 %" in result.output and "ask on every hit, too" in result.output

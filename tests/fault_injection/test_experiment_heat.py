"""What splits do for a hot partition and for a hot item: the figures of the chapter on splits."""

from __future__ import annotations

import pytest

from dynalab_fault_injection.experiments.heat import PARTITION_WRITES, RATE, Heated, heated, measured, table


@pytest.fixture(scope="module")
def runs() -> dict[str, Heated]:
    return measured()


@pytest.mark.claim("S43", "S136")
def test_throttling_ends_with_the_split_where_several_keys_share_the_load(runs: dict[str, Heated]) -> None:
    run = runs["four keys"]
    at = run.partitions.index(2)
    assert run.served.refused[at - 2] == RATE - PARTITION_WRITES
    assert run.served.refused[at + 2 :] == [0] * (len(run.partitions) - at - 2)
    assert run.partitions[-1] == 2, "once it is cool nothing divides it further"


@pytest.mark.claim("S44")
def test_one_hot_item_ends_alone_and_its_ceiling_stays(runs: dict[str, Heated]) -> None:
    run = runs["one key"]
    assert run.partitions[-1] == 3 and run.partitions[-6:] == [3] * 6, "cold items below, the hot one, cold items above"
    assert run.served.done[-6:] == [PARTITION_WRITES] * 6


def test_the_table_shows_spans_of_seconds(runs: dict[str, Heated]) -> None:
    lines = table(runs)
    assert lines[2].startswith("| 0 to 2 | ") and lines[2].count("|") == lines[0].count("|") == lines[1].count("|")
    assert len(lines) == 2 + 24 // 3


def test_a_run_is_a_function_of_its_seed() -> None:
    again = [heated(("a", "b"), seconds=4, seed=3) for _ in range(2)]
    assert again[0].served.done_ns == again[1].served.done_ns and again[0].partitions == again[1].partitions

"""What a write costs and buys when it waits for one, two or three disks: the table of the first chapter."""

from __future__ import annotations

import pytest

from dynalab_fault_injection.experiments.quorum import SLOW_NS, Waited, measured, table, waited
from dynalab_impl.replication.leading import Leading


@pytest.fixture(scope="module")
def runs() -> list[Waited]:
    return measured(writes=60)


@pytest.mark.claim("S99")
def test_each_disk_more_that_is_waited_for_makes_a_write_slower_and_safer(runs: list[Waited]) -> None:
    one, two, three = runs
    assert [min(run.disks) for run in runs] == [1, 2, 3]
    assert one.took_ms(50) < two.took_ms(50) < three.took_ms(50)
    assert max(two.took_ns) < SLOW_NS < min(three.took_ns), "two of three need not wait for the slow one, three must"


@pytest.mark.claim("S99", "S25")
def test_an_eventual_read_misses_a_write_on_one_disk_more_often_than_one_on_two(runs: list[Waited]) -> None:
    one, two, _ = runs
    assert one.stale > two.stale > 0
    assert two.stale <= len(two.took_ns) / 2, "one of three replicas is behind"


def test_the_rule_of_the_service_is_back_afterwards(runs: list[Waited]) -> None:
    assert Leading.committable.__qualname__ == "Leading.committable"
    assert waited(2, writes=5).took_ns == waited(2, writes=5).took_ns, "a run is a function of its seed"
    lines = table(runs)
    assert len(lines) == 5 and all(line.count("|") == 6 for line in lines)

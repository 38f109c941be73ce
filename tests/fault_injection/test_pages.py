"""Reads in pages under faults: splits, crashes and cuts between two pages, and nobody may notice."""

from __future__ import annotations

import pytest

from dynalab_checkers.history import History
from dynalab_checkers.pages import reads_of
from dynalab_fault_injection.run import run_one


@pytest.mark.claim("S73")
@pytest.mark.parametrize(
    ("seed", "faults"),
    [
        (0, ("split", "node-crash")),
        (1, ("split", "partition", "delay")),
        (2, ("node-crash", "zone-loss")),
        (3, ("split", "slow-node", "reorder")),
    ],
)
def test_reads_in_pages_neither_skip_nor_repeat_while_partitions_split_and_nodes_die(
    seed: int, faults: tuple[str, ...]
) -> None:
    result = run_one(seed, "pages", faults)
    assert (result.verdict, result.why) == ("valid", "")
    assert "pages" in {verdict.checker for verdict in result.verdicts}
    reads = reads_of(History.from_events(result.history))
    assert sum(read.whole and len(read.pages) > 2 for read in reads) > 20
    assert sum(read.pages[0].annotation("segments") == 2 for read in reads) > 10
    assert {read.strong for read in reads} == {True, False}


def test_the_same_seed_gives_the_same_run_of_pages() -> None:
    one, other = (run_one(5, "pages", ("split", "node-crash")).trace_hash for _ in range(2))
    assert one == other


def test_splits_happen_in_the_middle_of_reads() -> None:
    halves = sum(
        result.sometimes.get("halves-made", 0) + result.sometimes.get("split-applied", 0)
        for result in (run_one(seed, "pages", ("split",)) for seed in range(2))
    )
    assert halves > 0

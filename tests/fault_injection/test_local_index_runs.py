"""Runs under faults whose pages come from local indexes: the judges of pages hold them to what strong and eventual
reads of a table promise.
"""

from __future__ import annotations

import pytest

from dynalab_fault_injection.campaign import NUMBERED, swarm
from dynalab_fault_injection.faults import CATALOGUE
from dynalab_fault_injection.run import Run, Setting, run_one
from dynalab_fault_injection.workloads import WORKLOADS, LocalIndex
from dynalab_impl.local_indexes import LocalIndexes
from dynalab_model.values import Item

FAULTS = (("node-crash-wipe", "split"), ("zone-loss", "split"))


@pytest.mark.claim("S90")
@pytest.mark.parametrize(("seed", "faults"), list(enumerate(FAULTS, 1)))
def test_pages_of_local_indexes_are_exact_while_nodes_die_and_partitions_divide(
    seed: int, faults: tuple[str, ...]
) -> None:
    # One partition with all collections: it can be divided between them.
    run = Run(seed, LocalIndex(), faults, Setting(through_codec=True, partitions=1)).go()
    assert run.verdict == "valid", run.why
    pages = [event for event in run.history if event["f"] == "page"]
    assert sum(event["type"] == "ok" for event in pages) > 60
    assert {event["consistency"] for event in pages if event["type"] == "invoke"} == {"strong", "eventual"}
    assert {"pages", "linearizability", "convergence"} <= {judgement.checker for judgement in run.verdicts}
    assert {band.name for band in run.bands if band.bit} == set(faults)


def test_a_local_index_that_follows_its_table_one_write_later_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting: dict[int, tuple[bytes, Item]] = {}
    change = LocalIndexes.change

    def later(self: LocalIndexes, key: bytes, before: Item | None, after: Item | None) -> None:
        if id(self) in waiting:
            change(self, waiting[id(self)][0], None, waiting.pop(id(self))[1])
        if before is None and after is not None:
            waiting[id(self)] = key, after
        else:
            change(self, key, before, after)

    monkeypatch.setattr(LocalIndexes, "change", later)
    run = Run(1, LocalIndex(), (), Setting()).go()
    assert run.verdict == "invalid"
    assert run.why.startswith("pages: "), run.why
    monkeypatch.undo()
    assert Run(1, LocalIndex(), (), Setting()).go().verdict == "valid"


@pytest.mark.parametrize("seed", [0, 1])
def test_the_workload_stands_in_the_catalogue_and_survives_what_a_campaign_draws_for_it(seed: int) -> None:
    result = run_one(seed, "local-index", swarm(seed, "local-index"))
    assert result.verdict == "valid", result.verdicts
    assert {"pages", "linearizability", "sessions", "convergence"} <= {verdict.checker for verdict in result.verdicts}


def test_a_new_workload_changes_no_run_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {(name, seed): swarm(seed, name) for name in WORKLOADS for seed in range(5)}
    monkeypatch.setitem(WORKLOADS, "newest", LocalIndex)
    assert {(name, seed): swarm(seed, name) for name, seed in before} == before
    assert tuple(WORKLOADS)[: len(NUMBERED)] == NUMBERED
    assert len({before["local-index", seed] for seed in range(5)}) > 1
    assert set(before["local-index", 0]) <= set(CATALOGUE)

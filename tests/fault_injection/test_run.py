"""One run of the real service: it is judged, it says how strong it was, it comes back after healing, and it repeats
to the bit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dynalab_checkers.history import History, parse_jsonl
from dynalab_fault_injection.campaign import swarm
from dynalab_fault_injection.faults import CATALOGUE
from dynalab_fault_injection.planted_bugs import Patch, fingerprint, laid_over
from dynalab_fault_injection.run import RunResult, Setting, run_one
from dynalab_fault_injection.workloads import WORKLOADS
from dynalab_fault_injection.workloads.index import index_reads
from dynalab_impl.effects import Effects, RequestToken
from dynalab_impl.router import Router
from dynalab_impl.storage_node import StorageNode
from dynalab_model.operations import Operation

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def register() -> RunResult:
    return run_one(2, "register", ("node-crash", "zone-loss"))


@pytest.fixture(scope="module")
def index() -> RunResult:
    return run_one(3, "index", ("node-crash-wipe", "index-lag"))


@pytest.mark.claim("S23", "S24")
def test_a_default_run_has_the_strength_that_the_campaign_asks_for(register: RunResult) -> None:
    setting = Setting()
    topology = setting.topology()
    assert (setting.clients, len(topology.storage), len(topology.routers), setting.partitions) == (5, 9, 2, 4)
    assert register.verdict == "valid" and register.why == ""
    assert register.operations >= 300
    assert register.virtual_ns >= 30 * 10**9
    assert sum(band.bit for band in register.bands) >= 2
    assert {j.checker for j in register.verdicts} == {
        "linearizability",
        "sessions",
        "committed",
        "liveness",
        "convergence",
    }
    sessions = {event.get("session") for event in register.history} - {None}
    assert sessions == {"c1", "c2", "c3", "c4", "c5", "operator"}


@pytest.mark.claim("S27", "S30")
def test_an_index_run_is_judged_by_what_queries_showed_and_by_the_index_at_the_end(index: RunResult) -> None:
    assert index.verdict == "valid", index.why
    assert "index-convergence" in {j.checker for j in index.verdicts}
    reads = index_reads(History.from_events(index.history))
    assert len(reads) > 100 and {read.consistency for read in reads} == {"index"}
    assert index.staleness["reads"] and index.sometimes["wiped-learners"] >= 1


def test_a_history_is_in_the_format_of_the_checkers_and_no_process_goes_on_after_info(register: RunResult) -> None:
    history = parse_jsonl([json.dumps(event) for event in register.history])
    assert len(history) == sum(event["type"] == "invoke" for event in register.history)
    unknown = [event["process"] for event in register.history if event["type"] == "info"]
    assert len(unknown) == len({*unknown}), "a process ends with its first operation of unknown outcome"


def test_the_same_run_has_the_same_hash_also_through_the_codec(register: RunResult) -> None:
    again = run_one(2, "register", ("node-crash", "zone-loss"))
    assert again.trace_hash == register.trace_hash and again.history == register.history
    coded = run_one(2, "register", ("node-crash", "zone-loss"), Setting(through_codec=True))
    assert coded.trace_hash == register.trace_hash
    assert run_one(3, "register", ("node-crash", "zone-loss")).trace_hash != register.trace_hash


def test_the_hash_of_a_run_does_not_depend_on_the_hash_seed_of_the_process(
    register: RunResult, index: RunResult
) -> None:
    program = (
        "from dynalab_fault_injection.run import run_one\n"
        "print(run_one(2, 'register', ('node-crash', 'zone-loss')).trace_hash,"
        " run_one(3, 'index', ('node-crash-wipe', 'index-lag')).trace_hash)"
    )
    for hash_seed in ("0", "1", "31337"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == [register.trace_hash, index.trace_hash]


def test_a_run_without_faults_sees_none_and_loses_nothing() -> None:
    quiet = run_one(1, "register", ())
    assert quiet.verdict == "valid", quiet.why
    assert quiet.bands == [] and "crashes" not in quiet.sometimes
    assert "operations-of-unknown-outcome" not in quiet.sometimes


def test_a_run_that_was_too_weak_is_unknown_and_says_why() -> None:
    few = run_one(1, "register", ("node-crash",), Setting(seconds=5, operations_min=5_000))
    assert (few.verdict, few.why.split(":")[0]) == ("unknown", "strength")
    # Index lag finds no index to lag in a table of registers.
    toothless = run_one(1, "register", ("index-lag",))
    assert toothless.verdict == "unknown" and "0 fault windows bit" in toothless.why


def test_names_that_are_in_no_table_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match="no such fault: node-cash; known are node-crash"):
        run_one(1, "register", ("node-cash",))
    with pytest.raises(ValueError, match="no such workload: registers; known are register"):
        run_one(1, "registers")


def _never_answers(self: Router, token: RequestToken, operation: Operation, effects: Effects) -> None:
    if type(operation).__name__ not in ("CreateTable", "DescribeTable"):
        return
    _on_request(self, token, operation, effects)


def _breaks(node: StorageNode, sender: object, message: object, effects: Effects) -> None:
    raise AssertionError("planted in a test")


_on_request = Router.on_request


def test_a_cluster_that_does_not_come_back_is_invalid_by_liveness() -> None:
    patch = Patch(Router, "on_request", fingerprint(Router.on_request), _never_answers)
    with laid_over((patch,)):
        dead = run_one(1, "register", ())
    assert dead.verdict == "invalid"
    assert "liveness" in {j.checker for j in dead.verdicts if j.verdict == "invalid"}


def test_an_assertion_of_the_implementation_fails_the_run_and_is_named() -> None:
    patch = Patch(StorageNode, "on_get", fingerprint(StorageNode.on_get), _breaks)
    with laid_over((patch,)):
        broken = run_one(1, "register", ())
    assert broken.verdict == "invalid"
    assert broken.why.startswith("crash: AssertionError: planted in a test (test_run.py, line ")


@pytest.mark.claim("S25")
def test_staleness_of_eventual_reads_is_measured_and_strong_reads_have_none(register: RunResult) -> None:
    reads, stale = register.staleness["reads"], register.staleness["stale"]
    assert isinstance(reads, int) and isinstance(stale, int)
    assert reads > 50 and stale < reads // 3


def test_every_fault_of_the_catalogue_is_drawn_by_some_seed_and_most_are_left_out_by_each() -> None:
    planned = [name for seed in range(100) for workload in WORKLOADS for name in swarm(seed, workload)]
    assert {*planned} == {kind.name for kind in CATALOGUE.values() if not kind.beyond}
    assert len(planned) < 100 * len(WORKLOADS) * len(CATALOGUE) // 3


def test_a_clock_beyond_the_drift_bound_is_found_out_by_the_checker() -> None:
    """A lease is worth what the clocks are worth. Not every run shows it; none passes it off as something else."""
    for seed in range(12):
        result = run_one(seed, "register", ("clock-drift-beyond",))
        guilty = {judgement.checker for judgement in result.verdicts if judgement.verdict == "invalid"}
        assert guilty <= {"linearizability", "sessions"}, (seed, result.why)
        if "linearizability" in guilty:
            return
    raise AssertionError("twelve runs with broken clocks, and nobody noticed")


def test_on_hot_keys_readers_go_on_while_a_writer_waits() -> None:
    result = run_one(1, "hot-key", ("partition",))
    assert result.verdict == "valid" and result.operations > 1_500
    writes = [e for e in result.history if e["type"] == "invoke" and e["f"] in ("write", "cas")]
    strong = [e for e in result.history if e["type"] == "invoke" and e.get("consistency") == "strong"]
    assert {e["session"] for e in writes} == {"c1", "c2"}
    assert len(strong) > len(writes) > 200

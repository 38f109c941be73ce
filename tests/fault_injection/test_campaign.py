"""Campaigns: jobs, order, resuming, summing up, and the store behind them."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from dynalab_checkers.staleness import Staleness
from dynalab_fault_injection import campaign as campaigns
from dynalab_fault_injection.campaign import (
    Job,
    Setting,
    campaign,
    jobs,
    replay,
    restore,
    run_job,
    run_key,
    summarise,
    to_store,
)
from dynalab_fault_injection.results import Results, StoredBug, WrongStore
from dynalab_fault_injection.run import FaultBand, RunResult, run_one
from dynalab_fault_injection.sometimes import COUNTED, NEVER, ONLY_UNDER, RUNS_MIN, WORDS, promised
from dynalab_fault_injection.workloads import WORKLOADS
from dynalab_model.events import KINDS

SHORT = Setting(seconds=6, operations_min=20, windows=1, bites_min=0)


def test_every_seed_meets_every_workload_and_named_faults_come_all_together() -> None:
    default = jobs(range(10, 14))
    assert [(job.seed, job.workload) for job in default] == [
        (seed, workload) for seed in range(10, 14) for workload in ("register", "index")
    ]
    named = jobs(range(2), ["index"], ["node-crash", "index-lag", "node-crash"])
    assert {job.faults for job in named} == {("node-crash", "index-lag")}
    assert {job.faults for job in jobs(range(2), faults=[])} == {()}


def test_a_fault_that_can_do_nothing_to_a_workload_is_left_out_there() -> None:
    mixed = jobs(range(1), ["register", "index"], ["node-crash", "index-lag"])
    assert [(job.workload, job.faults) for job in mixed] == [
        ("register", ("node-crash",)),
        ("index", ("node-crash", "index-lag")),
    ]
    assert [job.workload for job in jobs(range(1), ["register", "index"], ["index-lag"])] == ["index"]
    with pytest.raises(ValueError, match="index-lag can do nothing to the workload register"):
        jobs(range(1), ["register"], ["index-lag"])
    with pytest.raises(ValueError, match="no such fault"):
        jobs(range(1), ["register"], ["gremlins"])
    with pytest.raises(ValueError, match="no such workload"):
        jobs(range(1), ["gremlins"])


def test_two_processes_give_the_same_results_in_the_same_order_as_one() -> None:
    alone = list(campaign(range(2), setting=SHORT, processes=1))
    together = list(campaign(range(2), setting=SHORT, processes=2))
    assert [r.as_json() for r in alone] == [r.as_json() for r in together]
    assert [(r.seed, r.workload) for r in alone] == [(0, "register"), (0, "index"), (1, "register"), (1, "index")]


def test_a_campaign_that_was_stopped_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[int, str]] = []

    def counting(job: Job) -> RunResult:
        done.append((job.seed, job.workload))
        return run_job(job)

    monkeypatch.setattr(campaigns, "run_job", counting)
    path = tmp_path / "results" / "campaign.sqlite"
    with Results.open(path) as store:
        stopped = campaign(range(3), ["register"], setting=SHORT, processes=1, store=store)
        first = [next(stopped), next(stopped)]
    assert done == [(0, "register"), (1, "register")]
    with Results.open(path) as store:
        results = list(campaign(range(3), ["register"], setting=SHORT, processes=1, store=store))
        assert done == [(0, "register"), (1, "register"), (2, "register")]
        assert [r.as_json() for r in results[:2]] == [r.as_json() for r in first]
        assert summarise(results).runs == len(store.runs()) == 3
        again = list(campaign(range(3), ["register"], setting=SHORT, processes=1, store=store, resume=False))
        assert len(done) == 6 and [r.trace_hash for r in again] == [r.trace_hash for r in results]


def test_a_run_of_other_sources_or_parameters_is_not_taken_for_this_one() -> None:
    job = jobs(range(1), ["register"], setting=SHORT)[0]
    result = run_job(job)
    with Results.open(":memory:") as store:
        store.add_run(to_store(job, result))
        assert store.find(run_key(job)) is not None
        assert store.find(run_key(replace(job, seed=9))) is None
        assert store.find(run_key(replace(job, setting=Setting()))) is None
        assert store.find(replace(run_key(job), version="another")) is None


def result_of(faults: tuple[str, ...], evidence: dict[str, int], verdict: str = "valid") -> RunResult:
    bands = [FaultBand(name, 0, 1, dict(evidence)) for name in faults]
    why = "" if verdict == "valid" else "linearizability: it is not"
    return RunResult(1, "register", faults, verdict, "00", 10, {"elections": 2}, [], why, bands=bands)


def test_a_fault_that_never_fired_makes_the_campaign_unknown() -> None:
    bit = result_of(("loss",), {"messages-lost": 3})
    missed = result_of(("delay",), {})
    assert (summarise([bit]).verdict, summarise([bit]).exit_code) == ("valid", 0)
    summary = summarise([bit, missed])
    assert (summary.verdict, summary.exit_code, summary.silent) == ("unknown", 2, ["delay"])
    assert summary.sometimes == {"elections": 4} and summary.operations == 20
    # Once is enough: the other window may miss.
    assert summarise([missed, result_of(("delay",), {"messages-delayed": 1})]).verdict == "valid"


def test_a_long_campaign_that_never_saw_what_ought_to_happen_sometimes_is_unknown() -> None:
    everything = dict.fromkeys(promised(["register"]), 1)
    whole = result_of(("loss",), {"messages-lost": 3})
    whole.sometimes = everything
    assert summarise([whole] * RUNS_MIN, drawn=True).verdict == "valid"
    less = result_of(("loss",), {"messages-lost": 3})
    less.sometimes = {name: count for name, count in everything.items() if name != "table-gone"}
    summary = summarise([less] * RUNS_MIN, drawn=True)
    assert (summary.verdict, summary.exit_code, summary.unseen) == ("unknown", 2, ["table-gone"])
    assert summary.as_json()["unseen"] == ["table-gone"]
    # A short campaign lists it; one whose faults somebody chose has promised nothing.
    short = summarise([less] * (RUNS_MIN - 1), drawn=True)
    assert (short.verdict, short.unseen) == ("valid", ["table-gone"])
    assert (summarise([less] * RUNS_MIN).verdict, summarise([less] * RUNS_MIN).unseen) == ("valid", [])


def test_every_step_that_nodes_tell_of_is_promised_under_some_workload_or_said_to_be_out_of_reach() -> None:
    assert {*promised(WORKLOADS)} - {*COUNTED} == {WORDS.get(kind, kind) for kind in KINDS if kind not in NEVER}
    assert {*NEVER} <= {*KINDS}
    for name, workloads in ONLY_UNDER.items():
        assert {*workloads} <= {*WORKLOADS} and any(step.startswith(name) for step in (*KINDS, *COUNTED))
    assert "index-sent" not in promised(["register"]) and "elections" in promised(["register"])


def test_one_invalid_run_outweighs_everything_and_no_run_at_all_is_no_pass() -> None:
    bit, missed = result_of(("loss",), {"messages-lost": 3}), result_of(("delay",), {})
    bad = result_of(("loss",), {"messages-lost": 1}, "invalid")
    assert (summarise([bit, missed, bad]).verdict, summarise([bad]).exit_code) == ("invalid", 1)
    assert (summarise([]).verdict, summarise([]).exit_code) == ("unknown", 2)


def test_a_replay_gives_the_stored_hash_and_notices_another() -> None:
    job = jobs(range(1), ["index"], setting=SHORT)[0]
    result = run_job(job)
    same = replay(0, "index", setting=SHORT, expected=result.trace_hash)
    assert same.same and same.result.history
    assert replay(0, "index", job.faults, setting=SHORT).same
    assert not replay(0, "index", setting=SHORT, expected="0" * 32).same


def test_what_is_stored_comes_back_as_it_was(tmp_path: Path) -> None:
    job = jobs(range(1), ["register"], ["loss"], SHORT)[0]
    result = result_of(("loss",), {"messages-lost": 3}, "invalid")
    result.history = [{"index": 0, "time": 1, "process": 0, "type": "invoke", "f": "read", "key": "k"}]
    result.seed, result.staleness = 0, Staleness(reads=4, stale=1, lags_ns={10: 1}).to_json()
    with Results.open(tmp_path / "r.sqlite") as store:
        store.add_run(to_store(job, result))
        (row,) = store.runs()
        back = restore(row)
        assert back.as_json() == result.as_json()
        assert (back.history, back.bands, back.staleness) == (result.history, result.bands, result.staleness)
        assert store.sometimes() == {"elections": 2}
        measured = store.staleness()["register"]
        assert (measured.reads, measured.stale) == (4, 1)
        # The same key again replaces the row, counters and all.
        store.add_run(to_store(job, result_of(("loss",), {"messages-lost": 3})))
        assert len(store.runs()) == 1 and store.sometimes() == {"elections": 2}


def test_only_the_version_written_last_is_shown() -> None:
    job = jobs(range(1), ["register"], setting=SHORT)[0]
    old = to_store(job, result_of(("loss",), {"messages-lost": 3}))
    old.key = replace(old.key, version="old")
    with Results.open(":memory:") as store:
        store.add_run(old)
        assert store.version() == "old" and len(store.runs()) == 1
        store.add_run(to_store(job, result_of(("loss",), {"messages-lost": 1})))
        assert [run.bands[0]["evidence"] for run in store.runs()] == [{"messages-lost": 1}]
        assert len(store.runs("old")) == 1


def test_a_planted_bug_is_stored_with_its_picture_and_the_last_hunt_stays() -> None:
    bug = StoredBug("b", "v", "a rule", True, "linearizability", 3, 2, "dynalab replay 2", "it read 7", "<svg/>")
    with Results.open(":memory:") as store:
        store.add_planted_bug(replace(bug, caught=False))
        store.add_planted_bug(bug)
        assert store.planted_bugs() == [bug]


def test_a_file_that_is_no_store_is_refused_in_words(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("this is no database, it is a page of prose that is long enough to be read as a header\n" * 20)
    with pytest.raises(WrongStore, match="is no result store"):
        Results.open(text)
    old = tmp_path / "old.sqlite"
    Results.open(old).close()
    with sqlite3.connect(old) as connection:
        connection.execute("UPDATE meta SET value = '0' WHERE name = 'layout'")
    connection.close()
    with pytest.raises(WrongStore, match="has layout 0"):
        Results.open(old)


def test_a_run_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    job = jobs(range(1), ["register"], setting=SHORT)[0]
    broken = to_store(job, result_of(("loss",), {"messages-lost": 3}))
    broken.sometimes = {"elections": 1, "redirects": object()}  # type: ignore[dict-item]
    with Results.open(tmp_path / "r.sqlite") as store:
        with pytest.raises(sqlite3.Error):
            store.add_run(broken)
        assert store.runs() == [] and store.find(run_key(job)) is None


def test_a_split_partition_that_is_read_back_from_a_snapshot_does_not_make_its_children_anew() -> None:
    """Seed 695 of a campaign: after a second power loss the log began behind the children's beginning, and a record
    that the first restart had written made them again, empty.
    """
    (job,) = jobs([695], ["hot-key"])
    result = run_one(job.seed, job.workload, job.faults, job.setting)
    assert (result.verdict, result.why) == ("valid", "")


def test_a_disk_may_be_lost_again_when_others_have_the_seat_of_the_last_one_or_its_index_is_gone() -> None:
    """Seed 2146 of a campaign: an index was dropped while a machine was empty, and for the rest of the run no disk was
    lost any more.
    """
    (job,) = jobs([2146], ["index-churn"])
    result = run_one(job.seed, job.workload, job.faults, job.setting)
    assert (result.verdict, result.why) == ("valid", "")
    assert sum(band.evidence.get("disks-lost", 0) for band in result.bands) > 1

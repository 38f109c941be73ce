"""Staleness: counted by hand on small histories, and on a toy of three replicas whose figures arithmetic foretells."""

from __future__ import annotations

import json
from random import Random

import pytest

from dynalab_checkers.history import MISSING, History, Json, Missing, Operation, Scalar
from dynalab_checkers.sessions import check_sessions
from dynalab_checkers.staleness import SINCE_ACK_NS, Staleness, check_staleness, measure, merge


def write(process: int, call: int, ret: int | None, value: Scalar, old: Scalar | Missing = MISSING) -> Operation:
    outcome = "info" if ret is None else "ok"
    return Operation(process, "write", "k", call, ret, outcome, value, old=old, call_index=2 * call + 1)


def read(process: int, call: int, ret: int, result: Scalar, flavour: str | None = "eventual") -> Operation:
    return Operation(process, "read", "k", call, ret, "ok", None, result, consistency=flavour, call_index=2 * call + 1)


THREE = (write(0, 0, 10, 1, None), write(0, 20, 30, 2, 1), write(0, 40, 50, 3, 2))


def test_fresh_reads_are_counted_and_not_called_stale() -> None:
    found = measure(History([*THREE, read(1, 60, 70, 3), read(1, 80, 90, 3)]))
    assert (found.reads, found.stale, found.stale_ppm) == (2, 0, 0)
    assert found.lag_ns(500) is None
    assert found.versions_behind(500) is None


def test_a_stale_read_tells_how_long_and_by_how_many_versions() -> None:
    found = measure(History([*THREE, read(1, 60, 70, 2), read(1, 60, 75, 1), read(1, 61, 76, None)]))
    assert (found.reads, found.stale) == (3, 3)
    assert found.versions == {1: 1, 2: 1, 3: 1}
    # 2 was replaced by 3, acknowledged at 50; 1 by 2 at 30; nothing by 1 at 10, and 51 ns are kept as 48.
    assert found.lags_ns == {10: 1, 30: 1, 48: 1}


def test_a_read_that_began_before_the_acknowledgement_may_be_older() -> None:
    assert measure(History([*THREE, read(1, 49, 70, 2)])).stale == 0
    assert measure(History([*THREE, read(1, 50, 70, 2)])).stale == 0
    assert measure(History([*THREE, read(1, 51, 70, 2)])).stale == 1


def test_a_reader_that_reads_at_the_very_instant_of_its_own_acknowledgement_follows_it() -> None:
    assert measure(History([*THREE, read(0, 50, 70, 2)])).stale == 1
    assert measure(History([*THREE, read(0, 50, 70, 3)])).stale == 0


def test_a_newer_value_than_acknowledged_is_fresh() -> None:
    found = measure(History([*THREE[:2], write(5, 32, None, 3, MISSING), read(1, 60, 70, 3)]))
    assert (found.reads, found.stale) == (1, 0)


def test_reads_before_any_acknowledgement_are_not_measured() -> None:
    found = measure(History([read(1, 5, 15, None), *THREE]))
    assert (found.reads, found.unmeasured) == (0, 1)


def test_reads_of_a_contradicting_key_or_of_unwritten_values_are_undecided() -> None:
    assert measure(History([*THREE, read(1, 60, 70, 99)])).undecided == 1
    assert measure(History([*THREE, write(3, 60, 70, 4, 1), read(1, 80, 90, 4)])).undecided == 1


def test_flavours_are_measured_apart() -> None:
    history = History([*THREE, read(1, 60, 70, 2, "index"), read(1, 80, 90, 3, "strong"), read(1, 91, 95, 3)])
    assert measure(history).reads == 1
    assert measure(history, flavours=("index",)).stale == 1
    assert measure(history, flavours=("strong",)).stale == 0


def test_an_absence_that_a_delete_may_have_made_is_not_called_stale() -> None:
    delete = Operation(0, "delete", "k", 60, 70, "ok", old=3, call_index=121)
    assert measure(History([*THREE, delete, read(1, 80, 90, None)])).stale == 0
    assert measure(History([*THREE, delete, read(1, 80, 90, 3)])).versions == {1: 1}
    again = write(0, 80, 85, 4, None)
    found = measure(History([*THREE, delete, again, read(1, 90, 95, None)]))
    assert (found.stale, found.versions, found.lags_ns) == (1, {1: 1}, {5: 1})


def test_staleness_is_kept_by_the_time_since_the_acknowledgement() -> None:
    ms = 1_000_000
    found = measure(
        History(
            [
                write(0, 0, ms, 1, None),
                read(1, ms + 500, 2 * ms, None),
                read(1, 4 * ms, 5 * ms, None),
                read(2, 4 * ms + 1, 5 * ms, 1),
                read(1, 90 * ms, 91 * ms, 1),
            ]
        )
    )
    assert found.since_ack_ns == {0: [1, 1], 2 * ms: [2, 1], 50 * ms: [1, 0]}
    assert found.share_ppm(0) == 1_000_000
    assert found.share_ppm(3 * ms) == 500_000
    assert found.share_ppm(60 * ms) == 0
    assert found.share_ppm(10_000 * ms) is None
    assert list(SINCE_ACK_NS) == sorted(set(SINCE_ACK_NS))


def test_json_gives_the_same_counts_back_and_refuses_other_shapes() -> None:
    found = measure(History([*THREE, read(1, 60, 70, 2), read(1, 80, 90, 3)]))
    told = found.to_json()
    assert Staleness.from_json(json.loads(json.dumps(told))) == found
    assert told["stale_ppm"] == 500_000
    assert told["lag_p50_ns"] == 10
    wrong: dict[str, Json] = {"reads": -1, "stale": None, "lags_ns": [[1]], "versions": [[1, "x"]], "since_ack_ns": 3}
    for name, broken in wrong.items():
        with pytest.raises(ValueError, match="must be"):
            Staleness.from_json({**told, name: broken})


def test_merging_adds_up_in_any_order() -> None:
    parts = [
        measure(History([*THREE, read(1, 60, 70, 2)])),
        measure(History([*THREE, read(1, 60, 70, 3), read(1, 80, 90, 1)])),
        measure(History([*THREE, read(1, 60, 70, 77)])),
    ]
    whole = merge(parts)
    assert (whole.reads, whole.stale, whole.undecided) == (3, 2, 1)
    assert whole == merge(reversed(parts))
    assert merge([]) == Staleness()


@pytest.mark.claim("S92")
def test_a_third_replica_that_lags_for_ever_makes_every_third_read_stale() -> None:
    """The harness of the experiment against arithmetic: one replica in three stands still, reads choose uniformly."""
    random, history, clock, old = Random(25), [], 0, None
    for value in range(1, 3_001):
        history.append(write(0, clock, clock + 10, value, old))
        shown = None if random.randrange(3) == 0 else value
        history.append(read(0, clock + 10, clock + 20, shown))
        clock, old = clock + 20, value
    found = measure(History(history))
    assert found.reads == 3_000
    assert 310_000 < found.stale_ppm < 357_000
    # It stands where it began, so reads fall ever further behind, and the lag grows with the run.
    assert found.versions_behind(1_000) == max(found.versions)
    assert max(found.versions) > 2_900


@pytest.mark.claim("S92")
def test_a_lag_shorter_than_the_pause_before_the_read_is_never_seen() -> None:
    def run(pause: int) -> Staleness:
        random, history, clock, old = Random(92), [], 0, None
        for value in range(1, 1_001):
            history.append(write(0, clock, clock + 10, value, old))
            lagging = random.randrange(3) == 0 and pause < 500
            history.append(read(0, clock + 10 + pause, clock + 20 + pause, old if lagging else value))
            clock, old = clock + 20 + pause, value
        return measure(History(history))

    assert run(0).stale > 300
    assert run(499).lag_ns(990) == 480  # a bucket: 499 rounded down to four significant bits
    assert run(501).stale == 0


def test_a_bound_of_versions_is_kept_up_to_it_and_broken_beyond() -> None:
    behind = [*THREE, read(1, 60, 70, 1)]
    assert check_staleness(History(behind), versions_max=2).verdict == "valid"
    verdict = check_staleness(History(behind), versions_max=1)
    assert verdict.verdict == "invalid"
    assert verdict.why == (
        "process 1 read 1 from k, more than 1 version behind: "
        "the write of 2 and the write of 3 had been acknowledged before it began"
    )
    assert verdict.operations == behind
    assert verdict.highlight == [behind[-1]]
    assert verdict.details == {"bound": "versions_max"}


def test_only_what_had_been_acknowledged_counts_against_a_bound_of_versions() -> None:
    assert check_staleness(History([*THREE, read(1, 50, 70, 2)]), versions_max=0).verdict == "valid"
    assert check_staleness(History([*THREE, read(1, 51, 70, 2)]), versions_max=0).verdict == "invalid"


def test_a_bound_of_time_counts_from_the_acknowledgement_of_what_is_newer() -> None:
    history = History([*THREE, read(1, 60, 70, 2)])
    assert check_staleness(history, lag_max_ns=10).verdict == "valid"
    verdict = check_staleness(history, lag_max_ns=9)
    assert verdict.why == (
        "process 1 read 2 from k, although the write of 3 had been acknowledged 10 ns before it began: "
        "the bound is 9 ns"
    )
    # 1 was replaced by 2, acknowledged at 30: that counts, and not that 3 came later.
    assert check_staleness(History([*THREE, read(1, 60, 70, 1)]), lag_max_ns=29).verdict == "invalid"
    assert check_staleness(History([*THREE, read(1, 60, 70, 1)]), lag_max_ns=30).verdict == "valid"


def test_writes_whose_order_is_open_accuse_no_read() -> None:
    open_order = [write(0, 0, 30, 1), write(1, 5, 25, 2)]
    for shown in (1, 2):
        assert check_staleness(History([*open_order, read(2, 40, 50, shown)]), versions_max=0).verdict == "valid"
    assert check_staleness(History([*open_order, read(2, 40, 50, None)]), versions_max=1).verdict == "invalid"
    assert check_staleness(History([*open_order, read(2, 40, 50, None)]), versions_max=2).verdict == "valid"


def test_an_absence_that_a_pending_delete_may_have_made_is_within_every_bound() -> None:
    delete = Operation(9, "delete", "k", 45, None, "info", call_index=91)
    absent = read(1, 60, 70, None)
    assert check_staleness(History([*THREE, absent]), versions_max=2).verdict == "invalid"
    assert check_staleness(History([*THREE, absent]), versions_max=3).verdict == "valid"
    assert check_staleness(History([*THREE, delete, absent]), versions_max=0, lag_max_ns=0).verdict == "valid"


def test_other_flavours_are_not_bound_and_unjudged_keys_are_unknown() -> None:
    assert check_staleness(History([*THREE, read(1, 60, 70, 1, "strong")]), versions_max=0).verdict == "valid"
    forked = History([*THREE, write(3, 60, 70, 4, 1), read(1, 80, 90, 4)])
    verdict = check_staleness(forked, versions_max=0)
    assert verdict.why == "no version order of k: 1 was replaced twice"
    assert verdict.verdict == "unknown"
    assert check_staleness(History([Operation(0, "txn", "", 0, 9, "ok", [])]), versions_max=0).verdict == "unknown"


def test_a_bound_that_held_in_every_run_so_far_is_broken_by_one_slow_replica() -> None:
    """Nobody promises a maximum lag: what the usual run keeps, a run with one replica that stood still breaks."""

    def run(lag: int) -> History:
        history, clock = [], 0
        for value in range(1, 200):
            history.append(write(0, clock, clock + 10, value, value - 1 or None))
            shown = max(0, (clock + 30 - (lag if value > 150 else 5) - 10) // 40 + 1)
            history.append(read(1, clock + 30, clock + 35, min(shown, value) or None))
            clock += 40
        return History(history)

    assert check_staleness(run(5), versions_max=0, lag_max_ns=0).verdict == "valid"
    assert check_staleness(run(400), lag_max_ns=300).verdict == "invalid"
    assert check_staleness(run(400), versions_max=9).verdict == "invalid"
    assert check_staleness(run(400), versions_max=11, lag_max_ns=400).verdict == "valid"


def test_the_verdict_and_the_measure_agree_on_what_is_stale() -> None:
    random = Random(103)
    stale = 0
    for _ in range(300):
        history, clock, old = [], 0, None
        for value in range(1, 8):
            history.append(write(0, clock, clock + 10, value, old))
            shown = random.choice([old, value, random.randrange(1, value + 1)])
            history.append(read(1, clock + random.randrange(5, 25), clock + 26, shown))
            clock, old = clock + 30, value
        found = measure(History(history))
        worst = found.versions_behind(1_000) or 0
        stale += found.stale > 0
        assert (check_staleness(History(history), versions_max=0).verdict == "invalid") == (found.stale > 0)
        assert check_staleness(History(history), versions_max=worst).verdict == "valid"
        assert not worst or check_staleness(History(history), versions_max=worst - 1).verdict == "invalid"
        # A bound of zero is what makes every session keep its promises.
        if not found.stale:
            assert check_sessions(History(history), flavours=("eventual",)).verdict == "valid"
    assert stale > 100

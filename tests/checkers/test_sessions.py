"""Session guarantees on literal histories: each guarantee kept, broken and named."""

from __future__ import annotations

import pytest

from dynalab_checkers.history import History, Operation
from dynalab_checkers.sessions import (
    CONSISTENT_PREFIX,
    MONOTONIC_READS,
    MONOTONIC_WRITES,
    READ_YOUR_WRITES,
    WRITES_FOLLOW_READS,
    check_sessions,
)
from tests.checkers.operations import judged, op


def test_a_session_that_reads_what_it_wrote_is_valid() -> None:
    assert judged(op("write", 0, 0, 10, 1, old=None), op("read", 0, 20, 30, 1)).verdict == "valid"


def test_a_session_that_reads_a_newer_value_than_its_own_is_valid() -> None:
    history = [op("write", 0, 0, 10, 1), op("write", 1, 20, 30, 2, old=1), op("read", 0, 40, 50, 2)]
    assert judged(*history).verdict == "valid"


def test_a_session_that_reads_older_than_its_own_write_is_named() -> None:
    first, second = op("write", 1, 0, 10, 1, old=None), op("write", 0, 20, 30, 2, old=1)
    stale = op("read", 0, 40, 50, 1)
    verdict = judged(first, second, stale)
    assert verdict.verdict == "invalid"
    assert verdict.details == {"guarantee": READ_YOUR_WRITES}
    assert (
        verdict.why == "read-your-writes: process 0 read 1 from k after its write of 2, but the write of 2 replaced 1"
    )
    assert verdict.operations == [first, second, stale]
    assert verdict.highlight == [stale]


def test_another_sessions_write_promises_nothing_to_a_reader_of_it() -> None:
    history = [op("write", 0, 0, 10, 1), op("write", 0, 20, 30, 2, old=1), op("read", 7, 40, 50, 1)]
    assert judged(*history).verdict == "valid"


def test_reads_that_go_back_are_not_monotonic() -> None:
    history = [
        op("write", 0, 0, 10, 1),
        op("write", 0, 20, 30, 2, old=1),
        op("write", 0, 32, 35, 3, old=2),
        op("read", 7, 40, 50, 3),
        op("read", 7, 60, 70, 1),
    ]
    verdict = judged(*history)
    assert verdict.details == {"guarantee": MONOTONIC_READS}
    assert verdict.why == (
        "monotonic-reads: process 7 read 1 from k after it had read 3, "
        "but the write of 3 came 2 versions later, each replacing the last"
    )
    assert judged(*history[:-1]).verdict == "valid"


def test_one_guarantee_can_be_asked_for_alone() -> None:
    back = [
        op("write", 0, 0, 10, 1),
        op("write", 0, 20, 30, 2, old=1),
        op("read", 7, 40, 50, 2),
        op("read", 7, 60, 70, 1),
    ]
    assert judged(*back, guarantees=(READ_YOUR_WRITES,)).verdict == "valid"
    assert judged(*back, guarantees=(MONOTONIC_READS,)).verdict == "invalid"


@pytest.mark.claim("S24")
def test_strong_reads_are_judged_and_eventual_and_index_reads_only_on_demand() -> None:
    for flavour, default in (("strong", "invalid"), (None, "invalid"), ("eventual", "valid"), ("index", "valid")):
        history = [op("write", 0, 0, 10, 1, old=None), op("read", 0, 20, 30, None, consistency=flavour)]
        assert judged(*history).verdict == default
        assert judged(*history, flavours=(flavour,)).verdict == "invalid"


def test_real_time_orders_blind_writes_unless_it_is_not_promised() -> None:
    history = [op("write", 1, 0, 10, 1), op("write", 0, 20, 30, 2), op("read", 0, 40, 50, 1)]
    verdict = judged(*history)
    assert verdict.verdict == "invalid"
    assert verdict.why.endswith("but the write of 1 was over when the write of 2 began")
    assert judged(*history, real_time=False).verdict == "valid"


def test_concurrent_blind_writes_accuse_nobody() -> None:
    assert judged(op("write", 0, 0, 30, 1), op("write", 1, 5, 25, 2), op("read", 0, 40, 50, 2)).verdict == "valid"


def test_two_sessions_that_saw_concurrent_writes_in_opposite_orders_cannot_both_be_monotonic() -> None:
    history = [
        op("write", 0, 0, 100, 1),
        op("write", 1, 5, 100, 2),
        op("read", 2, 10, 20, 1),
        op("read", 3, 10, 20, 2),
        op("read", 2, 30, 40, 2),
        op("read", 3, 30, 40, 1),
    ]
    verdict = judged(*history)
    assert verdict.verdict == "invalid"
    assert "process 2 read 2 from k after it had read 1" in verdict.why
    assert "process 3 read 1 from k after it had read 2" in verdict.why
    assert len(verdict.highlight) == 2
    assert judged(*history[:-1]).verdict == "valid"


def test_a_write_of_unknown_outcome_promises_nothing_to_its_writer() -> None:
    lost = [op("write", 0, 0, 10, 1, session="s"), op("write", 0, 20, None, 2, outcome="info", session="s")]
    assert judged(*lost, op("read", 1, 40, 50, 1, session="s")).verdict == "valid"


def test_a_session_links_processes() -> None:
    written_by_0 = [op("write", 0, 0, 10, 1, session="s"), op("write", 0, 20, 30, 2, old=1, session="s")]
    verdict = judged(*written_by_0, op("read", 1, 40, 50, 1, session="s"))
    assert verdict.why.startswith("read-your-writes: session s read 1 from k after its write of 2")
    assert judged(*written_by_0, op("read", 1, 40, 50, 1)).verdict == "valid"


def test_an_overlapping_operation_of_the_same_session_is_no_floor() -> None:
    history = [
        op("write", 0, 0, 10, 1),
        op("write", 0, 20, 60, 2, old=1, session="s"),
        op("read", 1, 40, 50, 1, session="s"),
    ]
    assert judged(*history).verdict == "valid"


def test_processes_of_a_session_that_touch_at_one_instant_are_concurrent() -> None:
    history = [op("write", 0, 0, 10, 1), op("write", 0, 20, 40, 2, old=1, session="s")]
    assert judged(*history, op("read", 1, 40, 50, 1, session="s")).verdict == "valid"
    assert judged(*history, op("read", 1, 41, 50, 1, session="s")).verdict == "invalid"
    assert judged(*history, op("read", 0, 40, 50, 1, session="s")).verdict == "invalid"


def test_what_a_failed_condition_found_is_a_strong_read() -> None:
    history = [
        op("write", 0, 0, 10, 1),
        op("write", 0, 20, 30, 2, old=1),
        op("cas", 0, 40, 50, (7, 8), outcome="fail", found=1),
    ]
    assert judged(*history).verdict == "invalid"
    assert judged(*history, flavours=("eventual",)).verdict == "valid"


def test_absence_after_a_write_needs_a_delete_that_had_begun() -> None:
    history = [op("write", 0, 0, 10, 1, old=None), op("read", 0, 20, 30, None)]
    assert judged(*history).why == (
        "read-your-writes: process 0 read absent from k after its write of 1, but absent is what the key began with"
    )
    assert judged(*history, op("delete", 1, 25, 40, old=1)).verdict == "valid"
    assert judged(*history, op("delete", 1, 31, 40, old=1)).verdict == "invalid"
    assert judged(*history, op("delete", 1, 5, None, outcome="info")).verdict == "valid"
    assert judged(*history, op("delete", 1, 5, 8, outcome="fail")).verdict == "invalid"


def test_a_deleted_value_that_comes_back_is_found() -> None:
    history = [
        op("write", 0, 0, 10, 1, old=None),
        op("delete", 0, 20, 30, old=1),
        op("read", 7, 40, 50, None),
        op("read", 7, 60, 70, 1),
    ]
    assert judged(*history[:-1], op("read", 0, 60, 70, None)).verdict == "valid"
    assert judged(*history, op("read", 0, 80, 90, 1), guarantees=(READ_YOUR_WRITES,)).verdict == "invalid"
    # Process 7 may have read the initial absence first, as far as its own session tells, unless it had seen 1 before.
    assert judged(*history).verdict == "valid"
    assert judged(op("read", 7, 11, 12, 1), *history).verdict == "invalid"


def test_an_initial_value_counts_as_the_oldest() -> None:
    history = History([op("write", 0, 0, 10, 1), op("read", 0, 20, 30, 9)])
    assert check_sessions(history, initial={"k": 9}).verdict == "invalid"
    assert check_sessions(history).verdict == "valid"  # a value that nobody wrote: `committed` judges that


@pytest.mark.parametrize(
    ("history", "reason"),
    [
        ([op("write", 0, 0, 10, 1), op("write", 1, 20, 30, 1)], "written twice"),
        (
            [op("write", 0, 0, 10, 1), op("write", 1, 20, 30, 2, old=1), op("write", 1, 40, 50, 3, old=1)],
            "replaced twice",
        ),
        ([op("write", 0, 0, 10, 1, old=2), op("write", 1, 0, 10, 2, old=1)], "in a circle"),
        ([op("write", 0, 0, 10, 1, old=7)], "nobody wrote it"),
        ([op("write", 0, 0, 10, 1, old=2), op("write", 1, 20, 30, 2)], "before what it replaced was written"),
        (
            [op("write", 0, 0, 10, 1), op("write", 1, 20, 30, 2), op("write", 2, 40, 50, 3, old=1)],
            "contradict each other in real time",
        ),
    ],
)
def test_contradicting_writes_give_no_order_and_so_no_verdict(history: list[Operation], reason: str) -> None:
    verdict = judged(*history, op("read", 9, 90, 95, 1))
    assert verdict.verdict == "unknown"
    assert reason in verdict.why


def test_operations_that_may_write_anything_make_it_unknown() -> None:
    assert judged(Operation(0, "txn", "", 0, 10, "ok", [["w", "k", 5]])).verdict == "unknown"


def test_a_long_chain_of_deletes_stays_decidable() -> None:
    """Far more deletes than the checker would list as candidates: the old ones are known to be too old."""
    history: list[Operation] = []
    for number in range(300):
        history.append(op("write", 0, 40 * number, 40 * number + 10, number + 1, old=None))
        history.append(op("delete", 0, 40 * number + 20, 40 * number + 30, old=number + 1))
    last = [op("write", 0, 20_000, 20_010, 1_000, old=None), op("read", 0, 20_020, 20_030, None)]
    assert judged(*history, op("read", 0, 19_000, 19_010, None)).verdict == "valid"
    assert judged(*history, *last).verdict == "invalid"


def test_a_session_whose_writes_swap_is_named() -> None:
    """Two regions: the chain of replaced values says that the later write of process 0 came first."""
    history = [op("write", 0, 0, 10, 1, old=2), op("write", 0, 20, 30, 2, old=None)]
    verdict = judged(*history, real_time=False)
    assert verdict.details == {"guarantee": MONOTONIC_WRITES}
    assert verdict.why == (
        "monotonic-writes: process 0 made the write of 2 to k after its write of 1, but the write of 1 replaced 2"
    )
    # Real time is contradicted as well, and then what was replaced still convicts the session.
    assert judged(*history).details == {"guarantee": MONOTONIC_WRITES}
    others = [op("write", 0, 0, 10, 1, old=2), op("write", 1, 20, 30, 2, old=None)]
    assert judged(*others, real_time=False).verdict == "valid"
    assert judged(*others).verdict == "unknown"


def test_a_write_that_is_put_before_what_its_session_had_read_is_named() -> None:
    history = [op("write", 1, 0, 10, 1, old=2), op("read", 0, 20, 30, 1), op("write", 0, 40, 50, 2, old=None)]
    verdict = judged(*history, real_time=False)
    assert verdict.why == (
        "writes-follow-reads: process 0 made the write of 2 to k after it had read 1, but the write of 1 replaced 2"
    )
    assert verdict.details == {"guarantee": WRITES_FOLLOW_READS}
    kept = [op("write", 1, 0, 10, 1, old=None), history[1], op("write", 0, 40, 50, 2, old=1)]
    assert judged(*kept, real_time=False).verdict == "valid"
    assert judged(*history, real_time=False, guarantees=(MONOTONIC_WRITES,)).verdict == "valid"


def test_an_eventual_read_binds_a_later_write_only_if_it_is_judged() -> None:
    history = [
        op("write", 1, 0, 10, 1, old=2),
        op("read", 0, 20, 30, 1, consistency="eventual"),
        op("write", 0, 40, 50, 2, old=None),
    ]
    assert judged(*history, real_time=False).verdict == "valid"
    assert judged(*history, real_time=False, flavours=("eventual",)).verdict == "invalid"


def test_two_regions_that_see_concurrent_blind_writes_in_opposite_orders_are_found_without_real_time() -> None:
    history = [
        op("write", 0, 0, 10, 1),
        op("read", 0, 20, 30, 2),
        op("write", 1, 0, 10, 2),
        op("read", 1, 20, 30, 1),
    ]
    verdict = judged(*history, real_time=False)
    assert verdict.details == {"guarantee": READ_YOUR_WRITES}
    assert "process 0 read 2 from k after its write of 1" in verdict.why
    assert "process 1 read 1 from k after its write of 2" in verdict.why
    assert judged(*history[:3], real_time=False).verdict == "valid"


def test_a_consistent_prefix_shows_nothing_that_was_never_written() -> None:
    asked = {"guarantees": (CONSISTENT_PREFIX,), "flavours": ("eventual",)}
    stale = [op("write", 0, 0, 10, 1, old=None), op("write", 0, 20, 30, 2, old=1)]
    stale += [op("read", 0, 40, 50, 2, consistency="eventual"), op("read", 0, 60, 70, None, consistency="eventual")]
    assert judged(*stale, **asked).verdict == "valid"
    verdict = judged(*stale, op("read", 0, 80, 90, 7, consistency="eventual"), **asked)
    assert verdict.why == "consistent-prefix: process 0 read 7 from k, which nobody wrote"
    assert verdict.details["guarantee"] == CONSISTENT_PREFIX


def test_writes_that_no_prefix_can_hold_break_the_consistent_prefix() -> None:
    forked = [op("write", 0, 0, 10, 1, old=None), op("write", 1, 0, 10, 2, old=None)]
    verdict = judged(*forked, guarantees=(CONSISTENT_PREFIX,))
    assert verdict.why == "consistent-prefix: k has no order of writes: absent was replaced twice"
    assert judged(*forked).verdict == "unknown"
    twice = [op("write", 0, 0, 10, 1), op("write", 1, 20, 30, 1)]
    assert judged(*twice, guarantees=(CONSISTENT_PREFIX,)).verdict == "unknown"

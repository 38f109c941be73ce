"""Committed values: literal histories, and the same question answered by looking at every pair of operations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab_checkers.committed import check_committed, written
from dynalab_checkers.history import MISSING, History, Missing, Operation, Scalar
from dynalab_checkers.verdict import Verdict


def write(process: int, value: Scalar, call: int, ret: int | None, outcome: str = "ok", **more: object) -> Operation:
    operation = Operation(process, "write", "k", call, ret, outcome, value, call_index=call, ret_index=ret)
    for name, given_value in more.items():
        setattr(operation, name, given_value)
    return operation


def read(process: int, result: Scalar, call: int, ret: int, consistency: str | None = "eventual") -> Operation:
    return Operation(
        process, "read", "k", call, ret, "ok", None, result, consistency=consistency, call_index=call, ret_index=ret
    )


def judged(*operations: Operation) -> Verdict:
    return check_committed(History(operations))


def test_an_old_value_is_committed_however_old() -> None:
    verdict = judged(write(0, 1, 0, 10), write(0, 2, 20, 30), write(0, 3, 40, 50), read(1, 1, 60, 70))
    assert verdict.verdict == "valid"
    assert verdict.details == {"observations": 1}


def test_a_key_that_nobody_has_written_is_absent() -> None:
    assert judged(read(0, None, 0, 10)).verdict == "valid"


def test_a_given_initial_value_may_be_read_and_absence_then_may_not() -> None:
    assert check_committed(History([read(0, 9, 0, 10)]), initial={"k": 9}).verdict == "valid"
    assert check_committed(History([read(0, None, 0, 10)]), initial={"k": 9}).why == (
        "process 0 read absent from k, which nobody wrote"
    )


def test_the_value_of_a_write_of_unknown_outcome_may_be_read() -> None:
    assert judged(write(0, 1, 0, None, "info"), read(1, 1, 500, 510)).verdict == "valid"


def test_the_value_of_a_write_that_is_still_running_may_be_read() -> None:
    assert judged(write(0, 1, 0, 100), read(1, 1, 20, 30)).verdict == "valid"


def test_a_value_that_nobody_wrote_is_invalid() -> None:
    verdict = judged(write(0, 1, 0, 10), read(1, 2, 20, 30))
    assert verdict.verdict == "invalid"
    assert verdict.why == "process 1 read 2 from k, which nobody wrote"


def test_the_value_of_a_failed_write_is_never_read() -> None:
    bad = read(1, 1, 20, 30)
    failed = write(0, 1, 0, 10, "fail")
    verdict = judged(failed, bad)
    assert verdict.why == "process 1 read 1 from k, which only a failed write wrote"
    assert verdict.operations == [failed, bad]
    assert verdict.highlight == [bad]


def test_a_failed_write_does_not_taint_the_same_value_of_another() -> None:
    assert judged(write(0, 1, 0, 10, "fail"), write(2, 1, 11, 19), read(1, 1, 20, 30)).verdict == "valid"


def test_a_value_from_the_future_is_invalid() -> None:
    verdict = judged(read(1, 1, 0, 10), write(0, 1, 15, 20))
    assert verdict.why == "process 1 read 1 from k, which was written only by a write invoked 5 ns after that"


def test_touching_at_one_instant_is_concurrent_but_not_within_a_process() -> None:
    assert judged(read(1, 1, 0, 10), write(0, 1, 10, 20)).verdict == "valid"
    own = write(1, 1, 10, 20)
    own.call_index = 11
    verdict = judged(read(1, 1, 0, 10), own)
    assert verdict.why == "process 1 read 1 from k, which was written only by the same process afterwards"


@pytest.mark.parametrize("consistency", ["strong", "eventual", "index", None])
def test_every_flavour_of_read_shows_only_committed_values(consistency: str | None) -> None:
    assert judged(write(0, 1, 0, 10), read(1, 1, 20, 30, consistency)).verdict == "valid"
    assert judged(write(0, 1, 0, 10), read(1, 2, 20, 30, consistency)).verdict == "invalid"


def test_flavours_can_be_selected() -> None:
    history = History([read(1, 2, 20, 30, "index")])
    assert check_committed(history, flavours=("eventual",)).verdict == "valid"
    assert check_committed(history, flavours=("index",)).verdict == "invalid"


def test_what_a_write_replaced_must_have_been_written_by_somebody_else() -> None:
    verdict = judged(write(0, 1, 0, 10, old=1))
    assert verdict.why == "process 0 replaced 1 in k, which nobody wrote"
    assert judged(write(0, 1, 0, 10, old=None), write(0, 2, 20, 30, old=1)).verdict == "valid"


def test_what_a_failed_condition_found_must_have_been_written() -> None:
    cas = Operation(0, "cas", "k", 0, 10, "fail", [1, 2], found=3)
    assert judged(cas).why == "process 0 found 3 in k, which nobody wrote"
    cas.found = None
    assert judged(cas).verdict == "valid"


def test_a_delete_commits_absence() -> None:
    history = [write(0, 1, 0, 10), Operation(0, "delete", "k", 20, 30, "ok", call_index=20), read(1, None, 40, 50)]
    assert check_committed(History(history), initial={"k": 0}).verdict == "valid"


def test_operations_that_may_write_anything_make_it_unknown() -> None:
    verdict = judged(Operation(0, "txn", "", 0, 10, "ok", [["w", "k", 5]]), read(1, 5, 20, 30))
    assert verdict.verdict == "unknown"
    assert "txn" in verdict.why


def test_values_are_equal_as_json_is() -> None:
    assert judged(write(0, 1, 0, 10), read(1, 1.0, 20, 30)).verdict == "valid"
    assert judged(write(0, 1, 0, 10), read(1, True, 20, 30)).verdict == "invalid"


operations = st.builds(
    lambda f, process, call, length, outcome, value, seen: Operation(
        process,
        f,
        "k",
        call,
        None if outcome == "info" else call + length,
        outcome,
        value if f == "write" else None,
        seen if f == "read" else None,
        old=seen if f != "read" and outcome == "ok" else MISSING,
        consistency="eventual",
        call_index=2 * call + 1,
        ret_index=2 * (call + length),
    ),
    st.sampled_from(["read", "write", "write", "delete"]),
    st.integers(0, 3),
    st.integers(0, 12),
    st.integers(1, 6),
    st.sampled_from(["ok", "ok", "fail", "info"]),
    st.sampled_from([1, 2, 3]),
    st.sampled_from([None, 1, 2, 3]),
)


@given(st.lists(operations, max_size=6))
def test_the_verdict_equals_that_of_the_definition_tried_on_every_pair(history: list[Operation]) -> None:
    def allowed(reader: Operation, value: Scalar) -> bool:
        if value is None:
            return True
        for writer in history:
            if writer is reader or writer.f == "read" or writer.outcome == "fail" or written(writer) != value:
                continue
            assert reader.ret is not None
            if writer.call < reader.ret:
                return True
            if writer.call == reader.ret and writer.process != reader.process:
                return True
        return False

    right = True
    for operation in history:
        if operation.f == "read" and operation.outcome == "ok":
            right = right and allowed(operation, operation.result)
        if not isinstance(operation.old, Missing):
            right = right and allowed(operation, operation.old)
    assert check_committed(History(history)).verdict == ("valid" if right else "invalid")

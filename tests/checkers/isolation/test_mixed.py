"""Transactions together with single operations in one history: what is promised, and held against brute force."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_checkers.check import check_history
from dynalab_checkers.history import History, Json, Operation
from dynalab_checkers.isolation import check_transactions
from dynalab_checkers.judges import Question
from tests.checkers.isolation import mixed
from tests.checkers.isolation.mixed import SORTS, differences, explained, mixed_history
from tests.checkers.isolation.oracles import before

SEEDS = range(1200)


def _history(*operations: Operation) -> History:
    """Operations with the indices that their times give them."""
    ends = [(operation.call, 1, number) for number, operation in enumerate(operations)]
    ends += [(operation.ret, 0, number) for number, operation in enumerate(operations) if operation.ret is not None]
    for index, (_, is_call, number) in enumerate(sorted(ends)):
        if is_call:
            operations[number].call_index = index
        else:
            operations[number].ret_index = index
    return History(operations)


def _txn(process: int, call: int, ret: int, *micros: list[Any], outcome: str = "ok", **fields: Any) -> Operation:
    return Operation(process, "txn", "", call, ret, outcome, list(micros), **fields)


def _read(process: int, call: int, ret: int, key: str, value: int | None, flavour: str = "strong") -> Operation:
    return Operation(process, "read", key, call, ret, "ok", result=value, consistency=flavour)


def _write(process: int, call: int, ret: int, key: str, value: int) -> Operation:
    return Operation(process, "write", key, call, ret, "ok", value)


def _verdict(*operations: Operation, level: str = "strict-serializable") -> str:
    return check_history(_history(*operations), "mixed-register", question=Question(level=level)).verdict


BOTH = (["w", "x", 1], ["w", "y", 2])


def test_two_single_reads_may_see_half_of_a_transaction_before_it_is_acknowledged() -> None:
    assert _verdict(_txn(0, 0, 100, *BOTH), _read(1, 10, 20, "x", 1), _read(1, 30, 40, "y", None)) == "valid"
    assert _verdict(_txn(0, 0, 100, *BOTH), _read(1, 10, 20, "y", 2), _read(1, 30, 40, "x", None)) == "valid"


def test_after_the_acknowledgement_a_single_read_sees_the_new_item() -> None:
    assert _verdict(_txn(0, 0, 25, *BOTH), _read(1, 10, 20, "x", 1), _read(1, 30, 40, "y", None)) == "invalid"
    eventual = _read(1, 30, 40, "y", None, "eventual")
    assert _verdict(_txn(0, 0, 25, *BOTH), _read(1, 10, 20, "x", 1), eventual) == "valid"


def test_a_transaction_that_reads_sees_all_of_another_one_or_nothing() -> None:
    half = _txn(1, 10, 20, ["r", "x", 1], ["r", "y", None])
    assert _verdict(_txn(0, 0, 100, *BOTH), half) == "invalid"
    for x, y in ((1, 2), (None, None)):
        assert _verdict(_txn(0, 0, 100, *BOTH), _txn(1, 10, 20, ["r", "x", x], ["r", "y", y])) == "valid"


def test_a_query_and_a_batch_may_see_half_of_a_transaction() -> None:
    for f, flavour in (("query", "strong"), ("batch-get", "strong"), ("scan", "eventual")):
        shown = Operation(1, f, "", 10, 20, "ok", consistency=flavour, ret_extra={"items": {"x": 1, "y": None}})
        assert _verdict(_txn(0, 0, 100, *BOTH), shown) == "valid"
    late = Operation(1, "query", "", 110, 120, "ok", consistency="strong", ret_extra={"items": [["x", 1], ["y", None]]})
    assert _verdict(_txn(0, 0, 100, *BOTH), late) == "invalid"


def test_each_item_alone_is_linearizable_also_for_single_reads() -> None:
    back = (_read(1, 10, 20, "x", 1), _read(2, 30, 40, "x", None))
    assert _verdict(_txn(0, 0, 100, *BOTH), *back) == "invalid"
    assert _verdict(_txn(0, 0, 100, *BOTH), *back, level="serializable") == "valid"
    found = check_transactions(_history(_txn(0, 0, 100, *BOTH), *back), kind="rw-register", mixed=True)
    assert found.why.startswith("G-single-item-realtime") and len(found.operations) == 3


def test_single_writes_and_transactions_are_strictly_serializable_together() -> None:
    stale = (_write(0, 0, 10, "x", 1), _txn(1, 20, 30, ["r", "x", None], ["r", "y", None]))
    assert _verdict(*stale) == "invalid"
    assert _verdict(*stale, level="serializable") == "valid"
    # The same through two items: x was written before y was, and somebody saw only y.
    inverted = (_write(0, 0, 10, "x", 1), _write(1, 20, 30, "y", 2), _txn(2, 5, 40, ["r", "x", None], ["r", "y", 2]))
    assert _verdict(*inverted) == "invalid"
    assert _verdict(*inverted, level="serializable") == "valid"


def test_a_single_conditional_write_that_failed_takes_part_in_time() -> None:
    failed = Operation(1, "cas", "x", 20, 30, "fail", [7, 8], found=None)
    assert _verdict(_txn(0, 0, 10, *BOTH), failed) == "invalid"


def test_items_in_the_reasons_of_a_cancellation_are_single_reads() -> None:
    def cancelled(call: int, ret: int) -> Operation:
        asked = (["cas", "x", 8, 9], ["cas", "y", 8, 9])
        return _txn(1, call, ret, *asked, outcome="fail", ret_extra={"reasons": {"x": 1, "y": None}})

    assert _verdict(_txn(0, 0, 100, *BOTH), cancelled(10, 20)) == "valid"
    assert _verdict(_txn(0, 0, 100, *BOTH), cancelled(110, 120)) == "invalid"


def test_what_a_cancelled_transaction_wrote_is_never_seen() -> None:
    cancelled = _txn(0, 0, 10, ["w", "x", 1], ["w", "y", 2], outcome="fail")
    assert _verdict(cancelled, _read(1, 20, 30, "x", 1)) == "invalid"


def test_a_single_read_of_a_list_is_a_get() -> None:
    def get(call: int, ret: int, key: str, value: list[Json]) -> Operation:
        return Operation(1, "get", key, call, ret, "ok", consistency="strong", ret_extra={"value": value})

    both = _txn(0, 0, 100, ["append", "x", 1], ["append", "y", 2])
    fracture = _history(both, get(10, 20, "x", [1]), get(30, 40, "y", []))
    assert check_history(fracture, "mixed-append").verdict == "valid"
    late = _history(both, get(10, 20, "x", [1]), get(130, 140, "y", []))
    assert check_history(late, "mixed-append").verdict == "invalid"


def test_a_transaction_that_writes_is_never_eventual_and_unknown_operations_are_named() -> None:
    odd = _txn(0, 0, 10, ["w", "x", 1], consistency="eventual")
    assert check_history(_history(odd), "mixed-register").verdict == "unknown"
    strange = check_history(_history(Operation(0, "enqueue", "q", 0, 1, "ok", 5)), "mixed-register")
    assert strange.why == "the operation 'enqueue' is no transaction"


@pytest.mark.parametrize(("kind", "deletes"), SORTS)
@pytest.mark.parametrize("level", ["strict-serializable", "serializable"])
def test_no_verdict_differs_from_trying_every_order(kind: str, deletes: bool, level: str) -> None:
    wrong, counts = differences(SEEDS, kind, deletes, level)
    assert wrong == []
    assert min(counts["right"], counts["wrong"]) > 150


def test_the_oracle_needs_the_order_of_items_and_would_refuse_too_much_with_all_of_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    histories = [mixed_history(seed, "rw-register") for seed in range(800)]
    promised = [explained(history) for history in histories]
    ordered = mixed._must_precede
    monkeypatch.setattr(mixed, "_must_precede", lambda a, b: a.ordered and b.ordered and ordered(a, b))
    assert sum(map(explained, histories)) > sum(promised) + 20
    monkeypatch.setattr(mixed, "_must_precede", lambda a, b: before(a.operation, b.operation))
    assert sum(map(explained, histories)) < sum(promised) - 5

"""Bank, counter, set, unique ids, last writer wins: right histories pass, each kind of fault is named."""

from __future__ import annotations

import random
from itertools import product

import pytest

from dynalab_checkers.history import History, Json, Operation, Scalar
from dynalab_checkers.invariants import (
    check_bank,
    check_counter,
    check_last_writer_wins,
    check_set,
    check_unique_ids,
)


def history(*operations: Operation) -> History:
    for place, operation in enumerate(operations):
        operation.call_index = place
    return History(operations)


def balances(call: int, *found: Json, consistency: str | None = None) -> Operation:
    value: list[Json] = [["r", name, balance] for name, balance in zip("abc", found, strict=False)]
    return Operation(0, "txn", "", call, call + 5, "ok", value, consistency=consistency)


def add(value: int, call: int, ret: int | None, outcome: str = "ok", key: str = "k") -> Operation:
    return Operation(0, "add", key, call, ret, outcome, value)


def read(value: Scalar, call: int, ret: int, consistency: str | None = None) -> Operation:
    return Operation(1, "read", "k", call, ret, "ok", result=value, consistency=consistency)


def scan(call: int, ret: int, *value: Json, consistency: str | None = None) -> Operation:
    return Operation(2, "scan", "k", call, ret, "ok", ret_extra={"value": list(value)}, consistency=consistency)


@pytest.mark.claim("S101")
def test_a_transfer_keeps_the_total() -> None:
    right = [balances(0, 50, 30, 20), balances(9, 40, 40, 20), balances(20, 40, 10, 50)]
    verdict = check_bank(history(*right), "abc", 100)
    assert (verdict.verdict, verdict.details) == ("valid", {"reads": 3, "wrong": 0})
    verdict = check_bank(history(*right, balances(30, 40, 10, 49)), "abc", 100)
    assert verdict.verdict == "invalid"
    assert verdict.why == "the transaction at 30 ns read a total of 99 over 3 accounts, where it must be 100"
    assert [operation.call for operation in verdict.highlight] == [30]


def test_a_balance_below_zero_is_refused_unless_overdrafts_are_allowed() -> None:
    overdrawn = history(balances(0, 120, -20, 0))
    assert check_bank(overdrawn, "abc", 100).why == "the transaction at 0.000 s read -20 in account b, below zero"
    assert check_bank(overdrawn, "abc", 100, overdraft=True).verdict == "valid"


def test_a_balance_that_is_no_number_is_named() -> None:
    assert "nothing in account b, which is no balance" in check_bank(history(balances(0, 1, None, 2)), "abc", 3).why


def test_reads_that_promise_no_total_are_not_judged_and_a_bank_that_nobody_read_is_unknown() -> None:
    torn = history(balances(0, 1, 2, 3, consistency="eventual"), balances(9, 1, 2))
    verdict = check_bank(torn, "abc", 100)
    assert (verdict.verdict, verdict.why) == ("unknown", "no transaction read all accounts")
    assert check_bank(torn, "abc", 100, flavours=["eventual"]).verdict == "invalid"


def possible_counts(operations: list[Operation], target: Operation) -> set[int]:
    """By brute force: every choice of what happened before the read's moment, allowed one by one."""
    must = [o for o in operations if o.f == "add" and o.outcome == "ok" and o.ret is not None and o.ret < target.call]
    may = [o for o in operations if o.f == "add" and o.outcome != "fail" and o not in must]
    assert target.ret is not None
    may = [o for o in may if o.call <= target.ret]
    base = sum(int(str(o.value)) for o in must)
    return {
        base + sum(int(str(o.value)) for o, taken in zip(may, choice, strict=True) if taken)
        for choice in product((0, 1), repeat=len(may))
    }


def test_a_counter_lies_between_what_must_and_what_may_have_happened() -> None:
    valid = invalid = 0
    for seed in range(400):
        draw = random.Random(seed).randrange
        operations: list[Operation] = []
        for _ in range(5):
            call = draw(20)
            outcome = ("ok", "ok", "info", "fail")[draw(4)]
            # Powers of two would tell too much: small steps up and down, as workloads make them.
            operations.append(add((1, 1, -1)[draw(3)], call, None if outcome == "info" else call + draw(8), outcome))
        target = read(draw(5) - 2, 5 + draw(12), 20)
        verdict = check_counter(history(*operations, target), "k")
        counts = possible_counts(operations, target)
        # Steps of one leave no gap between the bounds, so bounds and brute force must agree.
        assert (verdict.verdict == "valid") == (min(counts) <= int(str(target.result)) <= max(counts)), seed
        valid += verdict.verdict == "valid"
        invalid += verdict.verdict == "invalid"
    assert min(valid, invalid) > 60


def test_an_add_of_unknown_outcome_may_count_at_any_later_time_and_a_failed_one_never() -> None:
    operations = [add(5, 0, None, "info"), add(7, 0, 3, "fail"), add(1, 0, 3)]
    assert check_counter(history(*operations, read(1, 9, 10)), "k").verdict == "valid"
    assert check_counter(history(*operations, read(6, 9, 10)), "k").verdict == "valid"
    assert check_counter(history(*operations, read(8, 9, 10)), "k").verdict == "invalid"
    assert check_counter(history(*operations, read(0, 9, 10)), "k").verdict == "invalid"


def test_a_counter_that_nobody_read_or_that_is_written_is_unknown() -> None:
    assert check_counter(history(add(1, 0, 2)), "k").verdict == "unknown"
    assert check_counter(history(Operation(0, "write", "k", 0, 1, "ok", 3)), "k").why.startswith("write is no")
    assert check_counter(history(add(1, 0, 2), read(0, 5, 6, "eventual")), "k").verdict == "unknown"


def test_a_set_keeps_what_was_acknowledged_and_recovers_what_was_not() -> None:
    added = [add(1, 0, 2), add(2, 0, None, "info"), add(3, 0, None, "info"), add(4, 0, 3, "fail"), add(5, 8, 12)]
    verdict = check_set(history(*added, scan(9, 11, 1, 2)), "k")
    assert (verdict.verdict, verdict.details["recovered"], verdict.details["acknowledged"]) == ("valid", 1, 2)


@pytest.mark.parametrize(
    ("reads", "name", "why"),
    [
        ([(20, 21, 2)], "lost", "the scan at 20 ns did not hold 1, whose add had returned at 2 ns"),
        ([(20, 21, 2), (30, 31, 1, 2)], "stale", "the scan at 20 ns did not hold 1, whose add had returned at 2 ns"),
        ([(20, 21, 1, 2, 9)], "unexpected", "the scan at 20 ns held 9, which nobody had added"),
        ([(20, 21, 1, 2, 4)], "unexpected", "the scan at 20 ns held 4, whose add had failed"),
        ([(20, 21, 1, 2, 2)], "duplicated", "the scan at 20 ns held 2 twice"),
    ],
)
def test_what_a_set_lost_or_invented_is_named(reads: list[tuple[int, ...]], name: str, why: str) -> None:
    added = [add(1, 0, 2), add(2, 1, 3), add(4, 0, 3, "fail")]
    verdict = check_set(history(*added, *(scan(call, ret, *held) for call, ret, *held in reads)), "k")
    assert (verdict.verdict, verdict.why, verdict.details[name]) == ("invalid", why, 1)


def test_an_eventual_read_of_a_set_may_miss_and_never_invent() -> None:
    assert check_set(history(add(1, 0, 2), scan(5, 6, consistency="eventual")), "k").verdict == "valid"
    assert check_set(history(add(1, 0, 2), scan(5, 6, 3, consistency="eventual")), "k").verdict == "invalid"


def test_an_element_read_before_its_add_was_called_was_added_by_nobody() -> None:
    assert check_set(history(scan(0, 2, 1), add(1, 5, 6)), "k").why.endswith("held 1, which nobody had added")


def test_true_and_one_are_different_elements() -> None:
    assert check_set(history(add(1, 0, 2), scan(5, 6, 1, True)), "k").verdict == "invalid"


def test_an_id_is_given_out_once() -> None:
    ids = [Operation(n, "generate", "", n, n + 1, "ok", ret_extra={"value": n % 4}) for n in range(5)]
    assert check_unique_ids(history(*ids[:4])).verdict == "valid"
    verdict = check_unique_ids(history(*ids))
    assert (verdict.verdict, verdict.details) == ("invalid", {"ids": 4, "repeated": 1})
    assert check_unique_ids(history()).verdict == "unknown"


def written(value: Scalar, call: int, ret: int | None, region: str, stamp: int | None = None) -> Operation:
    f = "delete" if value is None else "write"
    outcome = "info" if ret is None else "ok"
    extra: dict[str, Json] = {"region": region} | ({} if stamp is None else {"stamp": stamp})
    return Operation(0, f, "k", call, ret, outcome, value, extra=extra)


def test_the_write_with_the_latest_stamp_wins_whatever_the_clients_clocks_said() -> None:
    writes = [written(1, 0, 5, "east", 30), written(2, 10, 15, "west", 20), written(3, 20, 25, "west", 25)]
    assert check_last_writer_wins(history(*writes), {"k": 1}).verdict == "valid"
    for loser in (2, 3):
        verdict = check_last_writer_wins(history(*writes), {"k": loser})
        assert verdict.verdict == "invalid"
        assert "came after it (by their stamps" in verdict.why


def test_equal_stamps_are_decided_by_the_region() -> None:
    writes = [written(1, 0, 5, "east", 30), written(2, 0, 5, "west", 30)]
    assert check_last_writer_wins(history(*writes), {"k": 2}).verdict == "valid"
    assert check_last_writer_wins(history(*writes), {"k": 1}).verdict == "invalid"


def test_without_stamps_a_region_keeps_its_own_order_and_regions_may_disagree() -> None:
    writes = [written(1, 0, 5, "east"), written(2, 10, 15, "east"), written(3, 20, 25, "west")]
    assert check_last_writer_wins(history(*writes), {"k": 2}).verdict == "valid"
    assert check_last_writer_wins(history(*writes), {"k": 3}).verdict == "valid"
    assert "in the same region" in check_last_writer_wins(history(*writes), {"k": 1}).why
    assert check_last_writer_wins(history(*writes), {"k": 2}, skew_max_ns=5).verdict == "valid"
    assert "the clocks may differ" in check_last_writer_wins(history(*writes), {"k": 2}, skew_max_ns=4).why


def test_a_delete_wins_like_a_write_and_a_write_of_unknown_outcome_may_win() -> None:
    writes = [written(1, 0, 5, "east"), written(None, 10, 15, "east"), written(3, 11, None, "east")]
    for final in ({"k": None}, {}, {"k": 3}):
        assert check_last_writer_wins(history(*writes), final).verdict == "valid"
    assert check_last_writer_wins(history(*writes), {"k": 1}).verdict == "invalid"


def test_a_final_value_that_nobody_wrote_is_invalid() -> None:
    assert check_last_writer_wins(history(written(1, 0, 5, "east")), {"k": 9}).why == "k ended as 9, which nobody wrote"
    verdict = check_last_writer_wins(history(written(1, 0, 5, "east")), {})
    assert verdict.why == "k ended absent, and nobody deleted it"
    assert check_last_writer_wins(history(written(1, 0, None, "east")), {}).verdict == "valid"

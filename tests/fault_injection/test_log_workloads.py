"""Workloads of what hangs on the log: transactions, indexes that come and go, streams, expiry. They are right, the same
twice, and their judges have something to judge.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from dynalab_checkers.history import History
from dynalab_fault_injection.experiments.half_seen import against_time, half_seen
from dynalab_fault_injection.judges import judge
from dynalab_fault_injection.run import RunResult, Setting, run_one
from dynalab_fault_injection.stream_judges import final_records

WORKLOADS = ("transact", "bank", "blind", "index-churn", "stream", "ttl")
SHORT = Setting(seconds=8, operations_min=50, bites_min=0)


def _kinds(result: RunResult) -> Counter[str]:
    return Counter(str(event["f"]) for event in result.history if event["type"] == "ok")


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_run_is_valid_and_the_same_to_the_bit_when_it_is_repeated(workload: str) -> None:
    one, other = (run_one(3, workload, ("node-crash", "split"), SHORT) for _ in range(2))
    assert (one.verdict, one.why) == ("valid", "")
    assert one.trace_hash == other.trace_hash


def test_transactions_are_tried_again_under_their_tokens_and_taken_over_when_their_coordinator_dies() -> None:
    seen: Counter[str] = Counter()
    for seed in range(3):
        result = run_one(seed, "transact", ("crash-between-steps", "partition"), replace(SHORT, seconds=12))
        assert result.verdict == "valid", result.why
        seen.update(result.sometimes)
    assert seen["token-answered"] and seen["transaction-taken-over"] and seen["transaction-stalled"]
    assert sum(count for name, count in seen.items() if "died-after-" in name) > 4


def test_the_history_of_transactions_has_all_that_its_judge_tells_apart() -> None:
    result = run_one(0, "transact", (), SHORT)
    assert {"txn", "read", "cas", "batch-get"} <= {*_kinds(result)}
    told = [event for event in result.history if event.get("reasons")]
    assert told and all(event["type"] == "fail" for event in told)
    assert any("token" in event for event in result.history)
    assert any(event.get("error") == "IdempotentParameterMismatchException" for event in result.history)


def test_a_transfer_that_happened_twice_or_was_lost_is_noticed() -> None:
    result = run_one(0, "bank", (), SHORT)
    events: list[dict[str, Any]] = [dict(event) for event in result.history]
    last = next(event for event in reversed(events) if event["type"] == "ok" and len(event.get("value") or ()) == 12)

    def verdicts(change: Any) -> dict[str, str]:
        changed = [{**event, "value": change(event["value"])} if event is last else event for event in events]
        return {one.checker: one.verdict for one in judge(History.from_events(changed), "bank", 100_000)[0]}

    def doubled(micros: list[Any]) -> list[Any]:
        return [[r, key, [*told, told[-1]] if isinstance(told, list) and told else told] for r, key, told in micros]

    def poorer(micros: list[Any]) -> list[Any]:
        return [[r, key, told - (key == "a0") if isinstance(told, int) else told] for r, key, told in micros]

    assert verdicts(lambda micros: micros) == dict.fromkeys(("bank", "effects-once", "isolation", "on-call"), "valid")
    assert verdicts(doubled)["effects-once"] == "invalid"
    assert verdicts(poorer) == {"bank": "invalid", "effects-once": "valid", "isolation": "valid", "on-call": "valid"}


def test_an_index_is_made_and_dropped_and_asked_while_its_table_is_written() -> None:
    result = run_one(0, "index-churn", (), replace(SHORT, seconds=16))
    assert result.verdict == "valid", result.why
    assert min(result.sometimes[name] for name in ("indexed", "unindexed", "backfill-logged")) > 0
    asked = {event["index_name"] for event in result.history if event["f"] == "query" and event["type"] == "invoke"}
    assert asked == {"by-colour", "by-tag", "by-rank"}
    assert [one.verdict for one in result.verdicts if one.checker == "index-entries"] == ["valid"]


def test_a_stream_is_read_through_splits_and_roll_overs_and_once_more_at_the_end() -> None:
    result = run_one(1, "stream", ("split",), replace(SHORT, seconds=14))
    assert result.verdict == "valid", result.why
    history = History.from_events(result.history)
    records = final_records(history)
    parents = {event[1] for one in result.history for event in one.get("shards") or () if event[1]}  # type: ignore[union-attr, index]
    assert len(records) > 100 and len({record.shard for record in records}) > 8 and len(parents) > 3
    kinds = {event["kind"] for event in result.history if event["f"] == "iterator" and event["type"] == "invoke"}
    assert kinds == {"TRIM_HORIZON", "LATEST", "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"}


def test_a_record_that_is_left_out_of_a_stream_is_noticed() -> None:
    result = run_one(1, "stream", (), SHORT)
    events: list[dict[str, Any]] = [dict(event) for event in result.history]
    place = next(n for n, event in enumerate(events) if event.get("records") and event["process"] > 5)
    events[place] = {**events[place], "records": events[place]["records"][1:]}
    found = {one.checker: one for one in judge(History.from_events(events), "stream", 100_000)[0]}
    assert found["streams"].verdict == "invalid" and found["linearizability"].verdict == "valid"


def test_items_are_swept_in_their_time_and_clients_delete_others() -> None:
    result = run_one(0, "ttl", ("deployment",), replace(SHORT, seconds=14))
    assert result.verdict == "valid", result.why
    records = final_records(History.from_events(result.history))
    removed = Counter(record.identity for record in records if record.event == "REMOVE")
    assert result.sometimes["swept"] > 5 and removed["dynamodb.amazonaws.com"] > 5 and removed[""] > 2


def test_two_single_reads_that_saw_half_of_a_transaction_are_found_by_search() -> None:
    found = half_seen(range(5))
    assert found is not None
    assert sorted(operation.f for operation in found.operations) == ["read", "read", "txn"]


def test_with_rules_and_skewed_clocks_an_acknowledged_write_that_nobody_sees_is_found_by_search() -> None:
    found = against_time(range(5))
    assert found is not None
    assert 2 <= len(found.operations) <= 6 and "realtime" in found.explanation

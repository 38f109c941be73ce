"""Triggers: batches, filters, retries, halves, dead letters, lanes, age; and checkpoints that outlive a runner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from dynalab.consumers import BadPattern, Checkpoints, StreamReader, Trigger, TriggerRunner, matches
from tests.dynalab.consumers.machine import BEGIN, Machine, Refused


class Calls:
    """A function that writes down what it was called with, and fails where it is told to."""

    def __init__(self, poison: Callable[[str], bool] = lambda value: False) -> None:
        self.batches: list[list[str]] = []
        self.done: list[str] = []
        self.poison = poison

    def __call__(self, event: Mapping[str, Any]) -> None:
        values = [record["dynamodb"]["Keys"]["id"]["S"] for record in event["Records"]]
        self.batches.append(values)
        for value in values:
            if self.poison(value):
                raise RuntimeError(f"cannot process {value}")
        self.done += values


@pytest.fixture
def machine() -> Machine:
    machine = Machine()
    machine.arn = machine.table("things", "id", view="NEW_AND_OLD_IMAGES")  # type: ignore[attr-defined]
    return machine


def runner(machine: Any, function: Any, checkpoints: Checkpoints | None = None, **settings: Any) -> TriggerRunner:
    reader = StreamReader(machine, machine.arn, checkpoints or Checkpoints())
    return TriggerRunner(reader, Trigger(function, **settings), machine.clock)


def put(machine: Machine, *values: str, **more: Any) -> None:
    for value in values:
        machine.put_item(TableName="things", Item={"id": {"S": value}, **more})


@pytest.mark.claim("S171")
def test_every_record_is_handed_over_once_and_in_order_when_nothing_fails(machine: Machine) -> None:
    calls = Calls()
    run = runner(machine, calls, batch_size=3)
    put(machine, *"abcdefgh")
    assert run.run_until_idle() == 8
    assert calls.batches == [["a", "b", "c"], ["d", "e", "f"], ["g", "h"]]
    put(machine, "i")
    assert run.run_until_idle() == 1 and calls.done[-1] == "i"
    assert run.run_until_idle() == 0


def test_a_batch_waits_for_its_window_unless_it_is_full(machine: Machine) -> None:
    calls = Calls()
    run = runner(machine, calls, batch_size=3, window_s=10)
    put(machine, "a", "b")
    assert run.poll() == 0
    machine.seconds += 9
    assert run.poll() == 0
    put(machine, "c")
    assert run.poll() == 3
    put(machine, "d")
    run.poll()
    machine.seconds += 10
    assert run.poll() == 1 and calls.batches == [["a", "b", "c"], ["d"]]


@pytest.mark.claim("S78")
def test_only_what_a_filter_lets_through_reaches_the_function(machine: Machine) -> None:
    calls = Calls()
    pattern = {"eventName": ["INSERT"], "dynamodb": {"NewImage": {"type": {"S": ["user"]}}}}
    run = runner(machine, calls, filters=[pattern])
    put(machine, "order", type={"S": "order"})
    put(machine, "user", type={"S": "user"})
    put(machine, "user", type={"S": "user"}, name={"S": "changed"})
    run.run_until_idle()
    assert calls.done == ["user"]
    assert (run.counts.read, run.counts.filtered) == (3, 2)


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ({"dynamodb": {"NewImage": {"n": {"N": [{"numeric": [">=", 5, "<", 7]}]}}}}, True),
        ({"dynamodb": {"NewImage": {"n": {"N": [{"numeric": [">", 5]}]}}}}, False),
        ({"dynamodb": {"NewImage": {"s": {"S": [{"prefix": "ab"}, "other"]}}}}, True),
        ({"dynamodb": {"NewImage": {"s": {"S": [{"suffix": "ab"}]}}}}, False),
        ({"dynamodb": {"NewImage": {"s": {"S": [{"anything-but": ["abc"]}]}}}}, False),
        ({"dynamodb": {"NewImage": {"s": {"S": [{"anything-but": ["x"]}]}}}}, True),
        ({"dynamodb": {"NewImage": {"missing": {"S": [{"exists": False}]}}}}, True),
        ({"dynamodb": {"NewImage": {"s": {"S": [{"exists": False}]}}}}, False),
        ({"dynamodb": {"NewImage": {"flag": {"BOOL": [True]}}}}, True),
        ({"dynamodb": {"NewImage": {"flag": {"BOOL": [1]}}}}, False),
        ({"userIdentity": {"type": ["Service"]}}, False),
        ({"eventName": ["REMOVE", "INSERT"]}, True),
    ],
)
def test_patterns_fit_as_their_guide_says(pattern: Mapping[str, object], fits: bool) -> None:
    image = {"n": {"N": "5"}, "s": {"S": "abc"}, "flag": {"BOOL": True}}
    assert matches(pattern, {"eventName": "INSERT", "dynamodb": {"NewImage": image}}) is fits


@pytest.mark.parametrize(
    "pattern",
    [{"a": "x"}, {"a": []}, {"a": {}}, {"a": [{"like": "x"}]}, {"a": [{"prefix": "x", "suffix": "y"}]}],
)
def test_a_pattern_that_says_nothing_is_refused(pattern: Mapping[str, object]) -> None:
    with pytest.raises(BadPattern):
        matches(pattern, {"a": "x"})


def test_a_batch_that_fails_comes_again_and_what_stands_behind_it_waits(machine: Machine) -> None:
    broken = ["b"]
    calls = Calls(lambda value: value in broken)
    run = runner(machine, calls, batch_size=2)
    put(machine, *"abcd")
    for _ in range(3):
        run.poll()
    assert calls.batches == 3 * [["a", "b"]] and calls.done == []
    broken.clear()
    run.run_until_idle()
    assert calls.done == list("abcd")


@pytest.mark.claim("S184")
def test_a_poison_record_is_found_by_halving_and_its_place_is_told_to_the_dead_letters(machine: Machine) -> None:
    letters: list[Mapping[str, Any]] = []
    calls = Calls(lambda value: value == "e")
    run = runner(machine, calls, batch_size=8, bisect=True, retries_max=2, dead_letter=letters.append)
    put(machine, *"abcdefgh")
    run.run_until_idle()
    assert calls.done == list("abcdfgh")
    (letter,) = letters
    info = letter["DDBStreamBatchInfo"]
    assert letter["requestContext"] == {"condition": "RetryAttemptsExhausted", "approximateInvokeCount": 3}
    assert info["batchSize"] == 1 and info["startSequenceNumber"] == info["endSequenceNumber"]
    shard = {"StreamArn": info["streamArn"], "ShardId": info["shardId"]}
    at = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": info["startSequenceNumber"]}
    place = machine.get_shard_iterator(**shard, **at)["ShardIterator"]
    answer: Any = machine.get_records(ShardIterator=place, Limit=1)
    assert answer["Records"][0]["dynamodb"]["Keys"] == {"id": {"S": "e"}}
    assert run.counts.dead == 1


@pytest.mark.claim("S184")
def test_a_poison_record_without_any_of_this_blocks_its_shard_and_the_age_says_so(machine: Machine) -> None:
    run = runner(machine, Calls(lambda value: value == "a"), batch_size=4)
    put(machine, *"abcd")
    for _ in range(20):
        machine.seconds += 60
        assert run.poll() == 0
    assert run.iterator_age_s == 20 * 60
    assert run.counts.failed == 20


def test_records_that_are_too_old_are_given_up(machine: Machine) -> None:
    letters: list[Mapping[str, Any]] = []
    calls = Calls(lambda value: value == "a")
    run = runner(machine, calls, batch_size=1, age_max_s=100, dead_letter=letters.append)
    put(machine, "a")
    run.poll()
    machine.seconds += 99
    put(machine, "b")
    run.poll()
    assert calls.done == []
    machine.seconds += 2
    run.run_until_idle()
    assert calls.done == ["b"] and letters[0]["requestContext"]["condition"] == "RecordAgeExceeded"


def test_lanes_keep_an_items_order_and_one_that_is_stuck_stops_no_other(machine: Machine) -> None:
    seen: dict[str, list[str]] = {}
    values = [f"k{number}" for number in range(12)]

    def function(event: Mapping[str, Any]) -> None:
        for record in event["Records"]:
            key = record["dynamodb"]["Keys"]["id"]["S"]
            if key == "k0":
                raise RuntimeError("stuck")
            seen.setdefault(key, []).append(record["dynamodb"]["NewImage"]["v"]["N"])

    run = runner(machine, function, batch_size=2, parallel=4)
    for turn in range(3):
        for value in values:
            put(machine, value, v={"N": str(turn)})
    for _ in range(60):
        run.poll()
    whole = [key for key in values if seen.get(key) == ["0", "1", "2"]]
    assert len(whole) > 6 and "k0" not in seen
    first = run.reader.checkpoints.after(next(iter(run.reader.parents)))
    assert first is None, "the checkpoint waits for the first record that is not done"


def test_a_function_may_say_from_which_record_on_it_failed(machine: Machine) -> None:
    batches: list[list[str]] = []

    def function(event: Mapping[str, Any]) -> object:
        values = [record["dynamodb"]["Keys"]["id"]["S"] for record in event["Records"]]
        batches.append(values)
        if len(batches) == 1:
            failed = event["Records"][2]["dynamodb"]["SequenceNumber"]
            return {"batchItemFailures": [{"itemIdentifier": failed}]}
        return None

    run = runner(machine, function, batch_size=4)
    put(machine, *"abcd")
    run.run_until_idle()
    assert batches == [list("abcd"), list("cd")]


def test_a_new_runner_goes_on_behind_the_checkpoint_and_meets_a_record_twice_at_most(machine: Machine) -> None:
    calls, checkpoints = Calls(), Checkpoints()
    run = runner(machine, calls, checkpoints, batch_size=2)
    put(machine, *"abcde")
    run.poll()
    run.poll()
    again = runner(machine, calls, Checkpoints(dict(checkpoints.places)), batch_size=2)
    again.run_until_idle()
    assert calls.done == list("abcde")


def test_a_reader_that_begins_at_the_latest_hears_of_later_changes_alone(machine: Machine) -> None:
    put(machine, "before")
    reader = StreamReader(machine, machine.arn, start="LATEST")  # type: ignore[attr-defined]
    calls = Calls()
    run = TriggerRunner(reader, Trigger(calls), machine.clock)
    run.poll()
    put(machine, "after")
    run.run_until_idle()
    assert calls.done == ["after"]


def test_an_iterator_that_has_expired_is_taken_anew_where_reading_had_come_to(machine: Machine) -> None:
    calls = Calls()
    run = runner(machine, calls)
    put(machine, "a")
    run.run_until_idle()
    machine.seconds += 16 * 60
    put(machine, "b")
    run.run_until_idle()
    assert calls.done == ["a", "b"] and run.reader.lost == 0


@pytest.mark.claim("S169")
def test_a_consumer_that_was_away_for_more_than_a_day_knows_that_it_lost_something(machine: Machine) -> None:
    calls = Calls()
    run = runner(machine, calls)
    put(machine, "a", "b")
    run.run_until_idle()
    put(machine, "lost", "too")
    machine.seconds += 25 * 3600
    put(machine, "c")
    run.run_until_idle()
    assert calls.done == ["a", "b", "c"] and run.reader.lost > 0


def test_errors_that_do_not_pass_are_not_swallowed(machine: Machine) -> None:
    run = runner(machine, Calls())
    run.poll()
    machine.call("UpdateTable", TableName="things", StreamSpecification={"StreamEnabled": False})
    machine.seconds += 25 * 3600
    with pytest.raises(Refused, match="ResourceNotFoundException"):
        run.poll()
    assert machine.seconds > BEGIN

"""What stands behind a stream in a system: counts, archives, mails, a search index, files, Kinesis."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dynalab.consumers import (
    FileSink,
    KinesisDestination,
    SearchSink,
    StreamReader,
    Trigger,
    TriggerRunner,
    folded,
    in_order,
)
from dynalab.consumers.recipes import Archiver, CountTasksNaively, TaskCounter, WelcomeMail
from dynalab.consumers.sinks import key_text
from tests.dynalab.consumers.machine import Machine

TASKS = "todoListTask"


def run(machine: Machine, arn: str, function: Any, **settings: Any) -> TriggerRunner:
    return TriggerRunner(StreamReader(machine, arn), Trigger(function, **settings), machine.clock)


def task(machine: Machine, list_id: str, task_id: str, **more: Any) -> None:
    machine.put_item(TableName=TASKS, Item={"ListId": {"S": list_id}, "TaskId": {"S": task_id}, **more})


def drop(machine: Machine, list_id: str, task_id: str) -> None:
    machine.delete_item(TableName=TASKS, Key={"ListId": {"S": list_id}, "TaskId": {"S": task_id}})


def real_counts(machine: Machine) -> dict[str, int]:
    counts: dict[str, int] = {}
    for item in machine.items(TASKS):
        counts[item["ListId"]["S"]] = counts.get(item["ListId"]["S"], 0) + 1
    return counts


def kept_counts(machine: Machine) -> dict[str, int]:
    return {
        item["ListId"]["S"]: int(item["tasks"]["N"])
        for item in machine.items("todoTaskCount")
        if item["tasks"]["N"] != "0"
    }


def some_tasks(machine: Machine) -> None:
    for list_id, count in (("1", 4), ("2", 3), ("3", 1)):
        for number in range(count):
            task(machine, list_id, f"{number}_start")
    drop(machine, "1", "0_start")
    drop(machine, "3", "0_start")
    task(machine, "2", "0_start", done={"BOOL": True})
    task(machine, "1", "0_start")


class Twice:
    """Calls a function, and then fails every other time: its batch comes again, although all of it was done."""

    def __init__(self, function: Any) -> None:
        self.function, self.calls = function, 0

    def __call__(self, event: Mapping[str, object]) -> None:
        self.function(event)
        self.calls += 1
        if self.calls % 2:
            raise RuntimeError("the answer was lost")


@pytest.mark.claim("S177", "S74")
def test_the_guides_count_is_right_while_nothing_is_deleted_and_nothing_fails() -> None:
    machine = Machine()
    arn = machine.table(TASKS, "ListId", "TaskId", view="NEW_IMAGE")
    machine.table("todoTaskCount", "ListId")
    for list_id in ("1", "1", "2"):
        task(machine, list_id, f"task {len(machine.items(TASKS))}")
    run(machine, arn, CountTasksNaively(machine)).run_until_idle()
    assert kept_counts(machine) == real_counts(machine) == {"1": 2, "2": 1}


@pytest.mark.claim("S177", "S178")
def test_the_guides_count_is_wrong_after_a_delete_and_after_a_retry() -> None:
    machine = Machine()
    arn = machine.table(TASKS, "ListId", "TaskId", view="NEW_IMAGE")
    machine.table("todoTaskCount", "ListId")
    task(machine, "1", "a")
    drop(machine, "1", "a")
    task(machine, "2", "a")
    run(machine, arn, Twice(CountTasksNaively(machine)), batch_size=1).run_until_idle()
    assert real_counts(machine) == {"2": 1}
    assert kept_counts(machine) == {"1": 2, "2": 2}


@pytest.mark.claim("S74", "S142", "S177", "S178")
@pytest.mark.parametrize("view", ["KEYS_ONLY", "NEW_IMAGE", "NEW_AND_OLD_IMAGES"])
def test_a_count_that_remembers_what_it_counted_equals_the_tables_own(view: str) -> None:
    machine = Machine()
    arn = machine.table(TASKS, "ListId", "TaskId", view=view)
    machine.table("todoTaskCount", "ListId")
    counter = TaskCounter(machine)
    runner = run(machine, arn, Twice(counter), batch_size=3, parallel=2)
    some_tasks(machine)
    runner.run_until_idle()
    assert kept_counts(machine) == real_counts(machine) == {"1": 4, "2": 3}
    assert counter.seen_before > 0, "batches did come again"


@pytest.mark.claim("S81", "S180", "S181")
def test_what_expired_is_archived_and_what_was_deleted_by_hand_is_not() -> None:
    """The guide says "enable TTL on the archive table" in one place: it is the table that tasks expire from."""
    machine = Machine()
    arn = machine.table(TASKS, "ListId", "TaskId", view="NEW_AND_OLD_IMAGES", ttl="expires")
    machine.table("todoListTaskArchived", "ListId", "TaskId")
    soon = {"N": str(int(machine.seconds) + 60)}
    for number in range(4):
        task(machine, "1", f"expires {number}", expires=soon, title={"S": f"title {number}"})
    task(machine, "1", "by hand", expires=soon)
    task(machine, "1", "stays")
    drop(machine, "1", "by hand")
    expired = [item for item in machine.items(TASKS) if "expires" in item]
    machine.seconds += 3600
    machine.sweep()
    run(machine, arn, Twice(Archiver(machine)), batch_size=2).run_until_idle()
    assert machine.items("todoListTaskArchived") == expired and len(expired) == 4
    assert [item["TaskId"]["S"] for item in machine.items(TASKS)] == ["stays"]


@pytest.mark.claim("S77")
def test_a_new_account_gets_one_mail_and_a_changed_one_none() -> None:
    machine = Machine()
    arn = machine.table("accounts", "id", view="NEW_IMAGE")
    letters: list[str] = []
    mail = WelcomeMail(lambda account: letters.append(str(account["mail"])))
    runner = run(machine, arn, Twice(mail), batch_size=2)
    for name in ("ann", "bob", "cy"):
        machine.put_item(TableName="accounts", Item={"id": {"S": name}, "mail": {"S": f"{name}@example.com"}})
    machine.put_item(TableName="accounts", Item={"id": {"S": "bob"}, "mail": {"S": "robert@example.com"}})
    runner.run_until_idle()
    assert letters == [str({"S": f"{name}@example.com"}) for name in ("ann", "bob", "cy")]


def churn(machine: Machine, seed: int, steps: int = 120) -> None:
    chance = random.Random(seed)
    for _ in range(steps):
        list_id, task_id = str(chance.randrange(3)), f"{chance.randrange(6)}_task"
        if chance.random() < 0.3:
            drop(machine, list_id, task_id)
        else:
            words = " ".join(chance.choice(["buy", "sell", "milk", "bread", "soon"]) for _ in range(3))
            task(machine, list_id, task_id, title={"S": words})
        machine.seconds += chance.choice([0.0, 0.0, 1.0, 700.0])


@pytest.mark.claim("S75", "S179")
@pytest.mark.parametrize("seed", range(5))
def test_a_search_index_comes_to_what_the_table_holds_however_often_records_come(seed: int) -> None:
    machine = Machine()
    arn = machine.table(TASKS, "ListId", "TaskId", view="NEW_IMAGE")
    sink = SearchSink()
    calls: list[Mapping[str, Any]] = []

    def index(event: Mapping[str, Any]) -> None:
        calls.append(event)
        sink.take(event)

    runner = run(machine, arn, index, batch_size=7)
    churn(machine, seed)
    runner.run_until_idle()
    chance = random.Random(seed)
    for event in chance.sample(calls, len(calls)):
        sink.take(event)  # late copies, in any order
    assert sorted(map(key_text, sink.documents.values())) == sorted(map(key_text, machine.items(TASKS)))
    with_milk = [item for item in machine.items(TASKS) if "milk" in item["title"]["S"].split()]
    assert sorted(map(key_text, sink.search("Milk"))) == sorted(map(key_text, with_milk))


@pytest.mark.claim("S76")
@pytest.mark.parametrize("seed", range(3))
def test_files_hold_every_change_once_or_more_and_fold_to_the_table(seed: int, tmp_path: Path) -> None:
    machine = Machine()
    arn = machine.table(TASKS, "ListId", "TaskId", view="NEW_IMAGE")
    sink = FileSink(tmp_path)
    runner = run(machine, arn, Twice(sink.take), batch_size=5)
    churn(machine, seed)
    runner.run_until_idle()
    rows = sink.rows()
    numbers = [row["dynamodb"]["SequenceNumber"] for row in rows]  # type: ignore[index]
    assert len(set(numbers)) == runner.counts.read < len(numbers)
    assert sorted(map(key_text, folded(rows).values())) == sorted(map(key_text, machine.items(TASKS)))
    assert not list(tmp_path.glob("**/*.part"))


@pytest.mark.claim("S149")
@pytest.mark.parametrize("seed", range(5))
def test_a_destination_doubles_and_reorders_and_its_consumer_sorts_that_out(seed: int) -> None:
    machine = Machine()
    arn = machine.table(TASKS, "ListId", "TaskId", view="NEW_AND_OLD_IMAGES")
    destination = KinesisDestination(TASKS, seed, duplicates_percent=30, precision="MICROSECOND")
    told: list[Mapping[str, Any]] = []

    def carry(event: Mapping[str, Any]) -> None:
        told.extend(event["Records"])
        destination.put(event["Records"])

    runner = run(machine, arn, carry)
    churn(machine, seed)
    runner.run_until_idle()
    got: list[Any] = destination.read()
    ids = [record["eventID"] for record in got]
    first = [event_id for place, event_id in enumerate(ids) if event_id not in ids[:place]]
    assert len(set(ids)) == len(told) < len(ids), "every change comes, and some twice"
    assert first != [record["eventID"] for record in told], "and not in order"
    assert all("SequenceNumber" not in record["dynamodb"] for record in got)
    assert [record["eventID"] for record in in_order(got)] == [record["eventID"] for record in told]
    again = KinesisDestination(TASKS, seed, duplicates_percent=30, precision="MICROSECOND")
    again.put(told)
    assert again.read() == got, "the same seed does the same"

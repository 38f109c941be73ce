"""An unmodified boto3 reads streams: view types byte for byte, iterators, retention by a moved clock, and a consumer
that misses and doubles nothing while a partition is split and a leader is killed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from dynalab.consumers import Checkpoints, StreamReader, Trigger, TriggerRunner
from dynalab.consumers.recipes import Archiver, TaskCounter
from dynalab_checkers.streams import Record, check_stream
from tests.end_to_end.serving import Served, serve

KEYS: Any = {
    "KeySchema": [{"AttributeName": "ListId", "KeyType": "HASH"}, {"AttributeName": "TaskId", "KeyType": "RANGE"}],
    "AttributeDefinitions": [
        {"AttributeName": "ListId", "AttributeType": "N"},
        {"AttributeName": "TaskId", "AttributeType": "S"},
    ],
    "BillingMode": "PAY_PER_REQUEST",
}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve("--lab", "--partitions", "2") as running:
        yield running


def streams(served: Served) -> Any:
    return boto3.client(
        "dynamodbstreams",
        endpoint_url=served.url,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )


def make(served: Served, name: str, view: str | None = "NEW_AND_OLD_IMAGES") -> str:
    client = served.client(attempts=5)
    more: Any = {} if view is None else {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": view}}
    client.create_table(TableName=name, **KEYS, **more)
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    return str(client.describe_table(TableName=name)["Table"].get("LatestStreamArn", ""))


def set_stream(served: Served, name: str, specification: Any) -> str:
    client = served.client(attempts=5)
    client.update_table(TableName=name, StreamSpecification=specification)
    for _ in range(100):
        table = client.describe_table(TableName=name)["Table"]
        if table["TableStatus"] == "ACTIVE":
            return str(table["LatestStreamArn"])
        time.sleep(0.1)
    raise AssertionError("the table stays UPDATING")


def task(list_id: int, task_id: str, **more: Any) -> Any:
    return {"ListId": {"N": str(list_id)}, "TaskId": {"S": task_id}, **more}


def read_all(client: Any, arn: str, kind: str = "TRIM_HORIZON") -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    for shard in client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        place = client.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType=kind)
        told += client.get_records(ShardIterator=place["ShardIterator"])["Records"]
    return told


@pytest.mark.claim("S146", "S166")
@pytest.mark.parametrize("view", ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"])
def test_boto3_reads_what_the_view_type_shows(served: Served, view: str) -> None:
    name = f"tasks-{view}"
    arn = make(served, name, view)
    client = served.client()
    keys = task(2, "1_progress")
    before, after = {**keys, "n": {"N": "1"}}, {**keys, "n": {"N": "2"}}
    client.put_item(TableName=name, Item=before)
    client.put_item(TableName=name, Item=after)
    client.delete_item(TableName=name, Key=keys)
    told = read_all(streams(served), arn)
    assert [record["eventName"] for record in told] == ["INSERT", "MODIFY", "REMOVE"]
    shows_old, shows_new = "OLD" in view, "NEW" in view
    for record, old, new in zip(told, (None, before, after), (before, after, None), strict=True):
        change = record["dynamodb"]
        assert change.get("OldImage") == (old if shows_old else None)
        assert change.get("NewImage") == (new if shows_new else None)
        assert change["Keys"] == keys and change["StreamViewType"] == view
        shown = (old if shows_old else None, new if shows_new else None)
        assert change["SizeBytes"] == 24 + sum(27 for image in shown if image is not None)
        assert abs(change["ApproximateCreationDateTime"].timestamp() - time.time()) < 60
        assert (record["eventVersion"], record["eventSource"], record["awsRegion"]) == (
            "1.1",
            "aws:dynamodb",
            "us-east-1",
        )
    numbers = [int(record["dynamodb"]["SequenceNumber"]) for record in told]
    assert numbers == sorted(set(numbers))


@pytest.mark.claim("S167", "S168")
def test_enabling_again_makes_another_arn_and_the_old_one_is_still_read(served: Served) -> None:
    make(served, "again", None)
    client, reader = served.client(), streams(served)
    new_image = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    first = set_stream(served, "again", new_image)
    client.put_item(TableName="again", Item=task(1, "first"))
    with pytest.raises(ClientError, match="Table already has an enabled stream: TableName: again"):
        client.update_table(TableName="again", StreamSpecification={**new_image, "StreamViewType": "KEYS_ONLY"})  # type: ignore[typeddict-item]
    assert set_stream(served, "again", {"StreamEnabled": False}) == first
    second = set_stream(served, "again", new_image)
    assert second != first
    client.put_item(TableName="again", Item=task(1, "second"))
    listed = reader.list_streams(TableName="again")["Streams"]
    assert [stream["StreamArn"] for stream in listed] == [first, second]
    assert reader.describe_stream(StreamArn=first)["StreamDescription"]["StreamStatus"] == "DISABLED"
    for arn, shown in ((first, "first"), (second, "second")):
        assert [record["dynamodb"]["Keys"]["TaskId"]["S"] for record in read_all(reader, arn)] == [shown]
    with pytest.raises(ClientError) as caught:
        reader.describe_stream(StreamArn=second.replace("again", "never"))
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"


@pytest.mark.claim("S147", "S169")
def test_a_day_later_the_iterator_is_expired_and_the_records_are_trimmed() -> None:
    with serve("--lab", "--partitions", "1") as served:
        arn = make(served, "days")
        client, reader = served.client(attempts=5), streams(served)
        client.put_item(TableName="days", Item=task(1, "old"))
        (shard,) = reader.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        where: Any = {"StreamArn": arn, "ShardId": shard["ShardId"]}
        place = reader.get_shard_iterator(**where, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        number = reader.get_records(ShardIterator=place)["Records"][0]["dynamodb"]["SequenceNumber"]
        served.fault("clock", offset_s=16 * 60)
        time.sleep(1)
        with pytest.raises(reader.exceptions.ExpiredIteratorException):
            reader.get_records(ShardIterator=place)
        served.fault("clock", offset_s=24 * 3600)
        time.sleep(1)
        client.put_item(TableName="days", Item=task(1, "new"))
        at: Any = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": number}
        with pytest.raises(reader.exceptions.TrimmedDataAccessException):
            reader.get_shard_iterator(**where, **at)
        assert [record["dynamodb"]["Keys"]["TaskId"]["S"] for record in read_all(reader, arn)] == ["new"]


@pytest.mark.claim("S168")
def test_a_stream_is_read_after_its_table_was_deleted_and_its_name_taken_again(served: Served) -> None:
    old = make(served, "short-lived")
    client, reader = served.client(attempts=5), streams(served)
    client.put_item(TableName="short-lived", Item=task(1, "old"))
    client.delete_table(TableName="short-lived")
    client.get_waiter("table_not_exists").wait(TableName="short-lived", WaiterConfig={"Delay": 1})
    assert reader.describe_stream(StreamArn=old)["StreamDescription"]["StreamStatus"] == "DISABLED"
    assert [record["dynamodb"]["Keys"]["TaskId"]["S"] for record in read_all(reader, old)] == ["old"]
    new = make(served, "short-lived")
    client.put_item(TableName="short-lived", Item=task(1, "new"))
    for arn, shown in ((old, "old"), (new, "new")):
        assert [record["dynamodb"]["Keys"]["TaskId"]["S"] for record in read_all(reader, arn)] == [shown]
    assert client.scan(TableName="short-lived", ConsistentRead=True)["Items"] == [task(1, "new")]


class Consumer:
    """Reads a stream until it is told to stop, and keeps what it was told."""

    def __init__(self, client: Any, arn: str) -> None:
        self.records: list[Record] = []
        self.shard = ""
        self.reader = StreamReader(client, arn, Checkpoints())
        self.runner = TriggerRunner(self.reader, Trigger(self.take))
        self.parents: dict[str, str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def take(self, event: Any) -> None:
        for record in event["Records"]:
            change = record["dynamodb"]
            images = {mine: change[name] for mine, name in (("old", "OldImage"), ("new", "NewImage")) if name in change}
            key = f"{change['Keys']['ListId']['N']} {change['Keys']['TaskId']['S']}"
            # The event does not name its shard: the item's own order is what is judged.
            self.records.append(Record("", int(change["SequenceNumber"]), key, record["eventName"], **images))

    def _run(self) -> None:
        while not self._stop.is_set():
            self.runner.poll()
            self.parents.update(self.reader.parents)
            time.sleep(0.02)

    def finish(self) -> list[Record]:
        self._stop.set()
        self._thread.join()
        self.runner.run_until_idle()
        self.parents.update(self.reader.parents)
        return self.records


@pytest.mark.claim("S148", "S164", "S170", "S171")
def test_a_consumer_misses_and_doubles_nothing_over_a_split_and_a_killed_leader(served: Served) -> None:
    arn = make(served, "orders")
    client = served.client(attempts=10)
    consumer = Consumer(streams(served), arn)

    def write(turn: int) -> None:
        for number in range(40):
            client.put_item(TableName="orders", Item=task(number % 8, f"t{number}", v={"N": str(turn)}))

    write(0)
    divided = served.fault("split", table="orders")["partition"]
    write(1)
    served.fault("kill-leader", table="orders", restart_ms=1500)
    write(2)
    served.fault("split", table="orders")
    client.delete_item(TableName="orders", Key=task(1, "t1"))
    write(3)
    time.sleep(2)
    records = consumer.finish()
    assert divided.startswith("orders/")
    final = {
        f"{item['ListId']['N']} {item['TaskId']['S']}": item
        for item in client.scan(TableName="orders", ConsistentRead=True)["Items"]
    }
    assert len(consumer.parents) == 2 + 4 and len(records) == 4 * 40 + 1
    by_item: dict[str, list[Record]] = {}
    for record in records:
        by_item.setdefault(record.key, []).append(record)
    for key, told in by_item.items():  # one shard a key: numbers of different partitions are not compared
        verdict = check_stream(told, final={key: final[key]})  # type: ignore[dict-item]
        assert verdict.verdict == "valid", verdict.why
    assert set(by_item) == set(final)


@pytest.mark.claim("S74", "S177", "S178", "S180")
def test_a_trigger_keeps_the_count_of_every_list_and_the_archive(served: Served) -> None:
    arn = make(served, "todoListTask")
    client: Any = served.client(attempts=5)
    for name, keys in (("todoTaskCount", 1), ("todoListTaskArchived", 2)):
        client.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=KEYS["KeySchema"][:keys],
            AttributeDefinitions=KEYS["AttributeDefinitions"][:keys],
        )
    client.get_waiter("table_exists").wait(TableName="todoListTaskArchived", WaiterConfig={"Delay": 1})
    client.update_time_to_live(
        TableName="todoListTask", TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"}
    )
    expired = str(int(time.time()) - 60)
    for list_id, task_id in ((1, "1_start"), (1, "1_progress"), (2, "2_start"), (2, "1_progress"), (2, "3_start")):
        client.put_item(TableName="todoListTask", Item=task(list_id, task_id))
    client.delete_item(TableName="todoListTask", Key=task(2, "3_start"))
    client.put_item(TableName="todoListTask", Item=task(1, "old", expires={"N": expired}))

    calls = 0
    counter, archive = TaskCounter(client), Archiver(client)

    def function(event: Any) -> None:
        nonlocal calls
        counter(event)
        archive(event)
        calls += 1
        if calls % 2:
            raise RuntimeError("the answer was lost: the batch comes again")

    runner = TriggerRunner(StreamReader(streams(served), arn), Trigger(function, batch_size=2))
    deadline = time.time() + 30
    while time.time() < deadline:
        runner.poll()
        if "Item" in client.get_item(TableName="todoListTaskArchived", Key=task(1, "old")):
            break
        time.sleep(0.1)
    runner.run_until_idle()
    counts = {
        item["ListId"]["N"]: item["tasks"]["N"]
        for item in client.scan(TableName="todoTaskCount", ConsistentRead=True)["Items"]
    }
    assert counts == {"1": "2", "2": "2"}
    archived = client.scan(TableName="todoListTaskArchived", ConsistentRead=True)["Items"]
    assert archived == [task(1, "old", expires={"N": expired})], "what was deleted by hand is not there"
    assert counter.seen_before > 0

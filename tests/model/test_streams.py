"""Streams as the reference machine tells them: records byte for byte, iterators, retention, enabling and disabling."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_model import streams
from dynalab_model.database import State, apply
from dynalab_model.errors import DynamoError
from dynalab_model.requests import parse

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
BEGIN = 1_432_155_070 * SECOND


class Table:
    """A reference machine with one table, and a clock that the tests move."""

    def __init__(self, view: str | None = "NEW_AND_OLD_IMAGES", **attributes: Any) -> None:
        self.state, self.now_ns = State(), BEGIN
        body: dict[str, Any] = {
            "TableName": "todoListTask",
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [
                {"AttributeName": "ListId", "KeyType": "HASH"},
                {"AttributeName": "TaskId", "KeyType": "RANGE"},
            ],
            "AttributeDefinitions": [
                {"AttributeName": "ListId", "AttributeType": "N"},
                {"AttributeName": "TaskId", "AttributeType": "S"},
            ],
        }
        if view is not None:
            body["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": view}
        self.description = self.call("CreateTable", **body)["TableDescription"]

    def call(self, name: str, **body: Any) -> dict[str, Any]:
        self.state, answer = apply(self.state, parse(name, body), self.now_ns)
        if isinstance(answer, DynamoError):
            raise answer
        return answer

    def put(self, list_id: int, task: str, **attributes: Any) -> None:
        item = {"ListId": {"N": str(list_id)}, "TaskId": {"S": task}, **attributes}
        self.call("PutItem", TableName="todoListTask", Item=item)

    def delete(self, list_id: int, task: str) -> None:
        self.call("DeleteItem", TableName="todoListTask", Key={"ListId": {"N": str(list_id)}, "TaskId": {"S": task}})

    @property
    def arn(self) -> str:
        return str(self.call("DescribeTable", TableName="todoListTask")["Table"]["LatestStreamArn"])

    def shard(self, arn: str = "") -> dict[str, Any]:
        described = self.call("DescribeStream", StreamArn=arn or self.arn)["StreamDescription"]
        (shard,) = described["Shards"]
        return dict(shard)

    def iterator(self, kind: str = "TRIM_HORIZON", arn: str = "", **more: Any) -> str:
        shard = self.shard(arn)["ShardId"]
        answer = self.call("GetShardIterator", StreamArn=arn or self.arn, ShardId=shard, ShardIteratorType=kind, **more)
        return str(answer["ShardIterator"])

    def records(self, iterator: str = "", **more: Any) -> list[dict[str, Any]]:
        return list(self.call("GetRecords", ShardIterator=iterator or self.iterator(), **more)["Records"])


def refused(table: Table, name: str, **body: Any) -> str:
    with pytest.raises(DynamoError) as caught:
        table.call(name, **body)
    return str(caught.value)


TASK = {"ListId": {"N": "2"}, "TaskId": {"S": "1_progress"}}


@pytest.mark.claim("S165", "S166", "S146")
@pytest.mark.parametrize(
    ("view", "images"),
    [
        ("KEYS_ONLY", {}),
        ("NEW_IMAGE", {"NewImage": {**TASK, "title": {"S": "b"}}}),
        ("OLD_IMAGE", {"OldImage": {**TASK, "title": {"S": "a"}}}),
        (
            "NEW_AND_OLD_IMAGES",
            {"NewImage": {**TASK, "title": {"S": "b"}}, "OldImage": {**TASK, "title": {"S": "a"}}},
        ),
    ],
)
def test_a_record_shows_its_keys_and_just_the_images_of_its_view_type(view: str, images: dict[str, Any]) -> None:
    table = Table(view)
    table.put(2, "1_progress", title={"S": "a"})
    table.put(2, "1_progress", title={"S": "b"})
    first, second = table.records()
    assert (first["eventName"], second["eventName"]) == ("INSERT", "MODIFY")
    size_bytes = 24 + 30 * len(images)  # names, texts and a number to the byte: the keys, and each image
    assert second == {
        "eventID": second["eventID"],
        "eventName": "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "ApproximateCreationDateTime": BEGIN // SECOND,
            "Keys": TASK,
            **images,
            "SequenceNumber": "100000000000000002000",
            "SizeBytes": size_bytes,
            "StreamViewType": view,
        },
    }
    assert len(second["eventID"]) == 32 and first["eventID"] != second["eventID"]


@pytest.mark.claim("S165")
def test_the_rows_of_the_guide_give_a_record_each_and_an_insert_gives_one_more() -> None:
    table = Table("KEYS_ONLY")
    for list_id, task in ((1, "1_start"), (1, "1_progress"), (2, "2_start")):
        table.put(list_id, task)
    assert len(table.records()) == 3
    latest = table.iterator("LATEST")
    table.put(2, "1_progress")
    (record,) = table.records(latest)
    assert record["dynamodb"]["Keys"] == TASK and record["eventName"] == "INSERT"


@pytest.mark.claim("S164")
def test_changes_are_told_in_their_order_and_a_write_that_changes_nothing_is_not() -> None:
    table = Table()
    table.delete(1, "never")
    for title in ("a", "a", "b"):
        table.put(1, "x", title={"S": title})
    table.call(
        "UpdateItem",
        TableName="todoListTask",
        Key={"ListId": {"N": "1"}, "TaskId": {"S": "x"}},
        UpdateExpression="SET title = :b",
        ExpressionAttributeValues={":b": {"S": "b"}},
    )
    table.delete(1, "x")
    table.delete(1, "x")
    table.put(1, "x")
    told = table.records()
    assert [record["eventName"] for record in told] == ["INSERT", "MODIFY", "REMOVE", "INSERT"]
    numbers = [int(record["dynamodb"]["SequenceNumber"]) for record in told]
    assert numbers == sorted(set(numbers))


def test_sets_are_the_same_in_whatever_order_they_are_given() -> None:
    table = Table()
    table.put(1, "x", tags={"SS": ["a", "b"]}, sizes={"NS": ["1", "2.50"]})
    table.put(1, "x", tags={"SS": ["b", "a"]}, sizes={"NS": ["2.5", "1.0"]})
    assert len(table.records()) == 1


@pytest.mark.claim("S167")
def test_a_stream_is_enabled_once_and_its_view_type_stays() -> None:
    table = Table(None)
    assert "LatestStreamArn" not in table.description
    new = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    body = table.call("UpdateTable", TableName="todoListTask", StreamSpecification=new)["TableDescription"]
    assert body["StreamSpecification"] == new and body["LatestStreamLabel"] == streams.label_of(BEGIN // 1_000_000)
    for view in ("NEW_IMAGE", "KEYS_ONLY"):
        again = {"StreamEnabled": True, "StreamViewType": view}
        text = refused(table, "UpdateTable", TableName="todoListTask", StreamSpecification=again)
        assert text == "ValidationException: Table already has an enabled stream: TableName: todoListTask"
    table.call("UpdateTable", TableName="todoListTask", StreamSpecification={"StreamEnabled": False})
    text = refused(table, "UpdateTable", TableName="todoListTask", StreamSpecification={"StreamEnabled": False})
    assert text == "ValidationException: Table has no stream to disable: TableName: todoListTask"
    no_view = {"StreamEnabled": True}
    text = refused(table, "UpdateTable", TableName="todoListTask", StreamSpecification=no_view)
    assert text.endswith("StreamViewType must be specified when StreamEnabled is true")


@pytest.mark.claim("S168")
def test_enabling_again_makes_another_stream_and_the_old_one_is_read_for_a_day() -> None:
    table = Table("NEW_IMAGE")
    table.put(1, "x")
    old = table.arn
    table.call("UpdateTable", TableName="todoListTask", StreamSpecification={"StreamEnabled": False})
    table.put(1, "unseen")
    assert table.arn == old, "the latest stream is told of when it is disabled, too"
    described = table.call("DescribeStream", StreamArn=old)["StreamDescription"]
    assert (
        described["StreamStatus"] == "DISABLED"
        and "EndingSequenceNumber" in described["Shards"][0]["SequenceNumberRange"]
    )
    table.call(
        "UpdateTable",
        TableName="todoListTask",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "OLD_IMAGE"},
    )
    new = table.arn
    assert new != old
    table.put(1, "y")
    listed = table.call("ListStreams", TableName="todoListTask")["Streams"]
    assert [one["StreamArn"] for one in listed] == [old, new]
    answer = table.call("GetRecords", ShardIterator=table.iterator(arn=old))
    assert [one["dynamodb"]["Keys"]["TaskId"] for one in answer["Records"]] == [{"S": "x"}]
    assert "NextShardIterator" not in answer
    assert [one["dynamodb"]["Keys"]["TaskId"] for one in table.records()] == [{"S": "y"}]
    table.now_ns += 24 * HOUR
    assert refused(table, "DescribeStream", StreamArn=old) == (
        f"ResourceNotFoundException: Requested resource not found: Stream: {old} not found"
    )


def test_a_stream_outlives_its_table_for_a_day() -> None:
    table = Table()
    table.put(1, "x")
    arn = table.arn
    iterator = table.iterator()
    table.call("DeleteTable", TableName="todoListTask")
    table.now_ns += SECOND
    assert len(table.records(iterator)) == 1
    assert table.call("DescribeStream", StreamArn=arn)["StreamDescription"]["StreamStatus"] == "DISABLED"
    table.now_ns += 24 * HOUR
    assert table.call("ListStreams")["Streams"] == []


@pytest.mark.claim("S147", "S169")
def test_a_record_is_trimmed_after_a_day_and_the_trim_horizon_moves() -> None:
    table = Table()
    table.put(1, "x")
    table.now_ns += HOUR
    table.put(1, "y")
    first, second = (record["dynamodb"]["SequenceNumber"] for record in table.records())
    table.now_ns += 23 * HOUR - 1
    early = table.iterator("AT_SEQUENCE_NUMBER", SequenceNumber=first)
    assert len(table.records(early)) == 2
    table.now_ns += 1
    trimmed = "TrimmedDataAccessException: The data you are trying to access has been trimmed."
    assert refused(table, "GetRecords", ShardIterator=early) == trimmed
    assert [one["dynamodb"]["SequenceNumber"] for one in table.records()] == [second]
    shard = {"StreamArn": table.arn, "ShardId": table.shard()["ShardId"]}
    at = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": first}
    assert refused(table, "GetShardIterator", **shard, **at) == trimmed
    after = table.iterator("AFTER_SEQUENCE_NUMBER", SequenceNumber=first)
    assert len(table.records(after)) == 1


def test_iterators_begin_where_they_say() -> None:
    table = Table("KEYS_ONLY")
    for task in "abcd":
        table.put(1, task)
        table.now_ns += SECOND
    numbers = [record["dynamodb"]["SequenceNumber"] for record in table.records()]

    def told(kind: str, **more: Any) -> str:
        return "".join(r["dynamodb"]["Keys"]["TaskId"]["S"] for r in table.records(table.iterator(kind, **more)))

    assert told("TRIM_HORIZON") == "abcd" and told("LATEST") == ""
    assert told("AT_SEQUENCE_NUMBER", SequenceNumber=numbers[2]) == "cd"
    assert told("AFTER_SEQUENCE_NUMBER", SequenceNumber=numbers[2]) == "d"
    assert told("AT_TIMESTAMP", Timestamp=BEGIN // SECOND + 1) == "bcd"
    assert told("AT_TIMESTAMP", Timestamp=1.0) == "abcd"
    shard = {"StreamArn": table.arn, "ShardId": table.shard()["ShardId"]}
    for wrong in (
        {"ShardIteratorType": "AT_SEQUENCE_NUMBER"},
        {"ShardIteratorType": "LATEST", "SequenceNumber": numbers[0]},
        {"ShardIteratorType": "AT_TIMESTAMP"},
        {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": BEGIN // SECOND + 100},
        {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": "100000000000000000001"},
        {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": "1" * 15 + "x" + "1" * 15},
    ):
        assert refused(table, "GetShardIterator", **shard, **wrong).startswith("ValidationException: ")


def test_reading_goes_on_with_the_next_iterator_and_an_empty_answer_has_one_too() -> None:
    table = Table("KEYS_ONLY")
    for task in "abcde":
        table.put(1, task)
    answer = table.call("GetRecords", ShardIterator=table.iterator(), Limit=3)
    assert len(answer["Records"]) == 3
    answer = table.call("GetRecords", ShardIterator=answer["NextShardIterator"], Limit=3)
    assert len(answer["Records"]) == 2
    answer = table.call("GetRecords", ShardIterator=answer["NextShardIterator"])
    assert answer["Records"] == [] and answer["NextShardIterator"]


def test_an_answer_is_at_most_a_megabyte() -> None:
    table = Table("NEW_IMAGE")
    for task in "abcd":
        table.put(1, task, text={"S": "x" * 390_000})
    answer = table.call("GetRecords", ShardIterator=table.iterator())
    assert [len(answer["Records"]), len(table.records(answer["NextShardIterator"]))] == [2, 2]


def test_an_iterator_lives_for_a_quarter_of_an_hour() -> None:
    table = Table()
    iterator = table.iterator()
    table.now_ns += 15 * 60 * SECOND - 1
    assert table.records(iterator) == []
    table.now_ns += 1
    assert refused(table, "GetRecords", ShardIterator=iterator) == (
        "ExpiredIteratorException: The provided iterator exceeds the maximum age allowed."
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-4],
        lambda text: text.replace("|1|", "|2|"),
        lambda text: text.rpartition("|")[0] + "|" + "../../etc/passwd",
        lambda text: text.rpartition("|")[0] + "|gASVKAAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAhlY2hvIGhpIZSFlFKULg==",
        lambda text: text.rpartition("|")[0] + "|WzFd",
        lambda text: "x",
    ],
)
def test_an_iterator_that_was_never_given_is_refused(change: Any) -> None:
    table = Table()
    wrong = change(table.iterator())
    assert refused(table, "GetRecords", ShardIterator=wrong) == "ValidationException: Invalid ShardIterator"


def test_an_iterator_keeps_to_its_length_however_long_the_names_and_keys_are() -> None:
    for home in (b"", bytes(900), bytes(3000)):
        iterator = streams.Iterator(
            "t" * 255, streams.label_of(0), streams.shard_id("g", 10**19), 10**19, 10**19, home, (1 << 32) - 1
        )
        text = streams.iterator_text(iterator)
        assert len(text) <= 2048
        back = streams.iterator_of(text)
        assert back.after == 10**19 and back.home == (home if len(home) <= 900 else None)


@pytest.mark.claim("S148")
def test_names_and_numbers_have_the_lengths_of_the_service() -> None:
    assert 28 <= len(streams.shard_id("g", 0)) == len(streams.shard_id("h", 10**19)) <= 65
    assert 21 <= len(streams.number_text(0)) <= len(streams.number_text(10**19)) <= 40
    assert 37 <= len(streams.stream_arn("abc", streams.label_of(0))) <= 1024

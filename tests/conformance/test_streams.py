"""Streams: what the four operations answer, how long, and what is said of iterators that are too old.

Shards, labels and numbers are named by whoever keeps them, so model and service are asked apart, and each must answer
what is expected. Both have a clock that the tests move.
"""

from __future__ import annotations

import json
import re
from typing import Any, Protocol

import pytest

from dynalab.differential.lockstep import Pair
from dynalab.pytest_plugin import Endpoint
from dynalab_impl.effects import Response, layout
from dynalab_model.database import State, apply
from dynalab_model.errors import DynamoError
from dynalab_model.requests import parse
from tests.conformance.test_protocol import Wire

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
BOTH = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
TABLE: dict[str, Any] = {
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "StreamSpecification": BOTH,
}


class Side(Protocol):
    """A database that is asked over its interface, and its clock."""

    def ask(self, operation: str, /, **body: Any) -> dict[str, Any]:
        """Raises DynamoError."""

    def later(self, duration_ns: int) -> None:
        """All clocks go on by so much."""


class Model:
    def __init__(self) -> None:
        self.state, self.now_ns = State(), 1_432_155_070 * SECOND_NS

    def ask(self, operation: str, /, **body: Any) -> dict[str, Any]:
        self.state, answer = apply(self.state, parse(operation, body), self.now_ns)
        if isinstance(answer, DynamoError):
            raise answer
        return answer

    def later(self, duration_ns: int) -> None:
        self.now_ns += duration_ns


class Replicated:
    def __init__(self) -> None:
        self.pair = Pair(topology=layout(routers=1, partitions=1))

    def ask(self, operation: str, /, **body: Any) -> dict[str, Any]:
        response: Response = self.pair._ask(parse(operation, body))
        if response.status != 200:
            told = dict(response.body)
            message = str(told.get("message", told.get("Message", "")))
            raise DynamoError(str(response.error), message, response.status)
        if operation in ("CreateTable", "UpdateTable"):
            self.pair.wait_active(str(body["TableName"]))
        return dict(response.body)

    def later(self, duration_ns: int) -> None:
        for host in self.pair._simulation.hosts:
            host.wall_shift_ns += duration_ns
        self.pair._run(SECOND_NS)


@pytest.fixture(params=[Model, Replicated], scope="module")
def side(request: pytest.FixtureRequest) -> Side:
    made: Side = request.param()
    return made


def create(side: Side, name: str) -> str:
    """A table with a stream, and the stream's ARN."""
    side.ask("CreateTable", TableName=name, **TABLE)
    return str(side.ask("DescribeTable", TableName=name)["Table"]["LatestStreamArn"])


def put(side: Side, table: str, pk: str, **more: Any) -> None:
    side.ask("PutItem", TableName=table, Item={"pk": {"S": pk}, **more})


def shard_of(side: Side, arn: str) -> dict[str, Any]:
    (shard,) = side.ask("DescribeStream", StreamArn=arn)["StreamDescription"]["Shards"]
    return dict(shard)


def iterator(side: Side, arn: str, kind: str = "TRIM_HORIZON", **more: Any) -> str:
    shard = shard_of(side, arn)["ShardId"]
    answer = side.ask("GetShardIterator", StreamArn=arn, ShardId=shard, ShardIteratorType=kind, **more)
    assert list(answer) == ["ShardIterator"] and 1 <= len(answer["ShardIterator"]) <= 2048
    return str(answer["ShardIterator"])


def shown(records: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(record["eventName"], record["dynamodb"]["Keys"]["pk"]["S"]) for record in records]


def refusal(side: Side, operation: str, **body: Any) -> tuple[str, str]:
    with pytest.raises(DynamoError) as caught:
        side.ask(operation, **body)
    return caught.value.code, caught.value.message


@pytest.mark.row("operation:ListStreams")
def test_streams_are_listed_by_table_and_page_by_page(side: Side) -> None:
    assert side.ask("ListStreams", TableName="Nothing") == {"Streams": []}
    arns = {name: create(side, name) for name in ("ListA", "ListB")}
    told = side.ask("ListStreams", TableName="ListA")["Streams"]
    label = arns["ListA"].rpartition("/")[2]
    assert told == [{"StreamArn": arns["ListA"], "TableName": "ListA", "StreamLabel": label}]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}", label)
    first = side.ask("ListStreams", Limit=1)
    rest = side.ask("ListStreams", ExclusiveStartStreamArn=first["LastEvaluatedStreamArn"])
    listed = [stream["StreamArn"] for page in (first, rest) for stream in page["Streams"]]
    assert len(first["Streams"]) == 1 and set(arns.values()) <= set(listed) and len(set(listed)) == len(listed)


@pytest.mark.row("operation:DescribeStream")
def test_a_stream_is_described_with_its_shards(side: Side) -> None:
    arn = create(side, "Described")
    told = side.ask("DescribeStream", StreamArn=arn)["StreamDescription"]
    (shard,) = told.pop("Shards")
    assert 28 <= len(shard["ShardId"]) <= 65
    assert re.fullmatch(r"\d{21,40}", shard["SequenceNumberRange"]["StartingSequenceNumber"])
    assert "EndingSequenceNumber" not in shard["SequenceNumberRange"], "it is open"
    assert "ParentShardId" not in shard
    assert isinstance(told.pop("CreationRequestDateTime"), float | int)
    assert told == {
        "StreamArn": arn,
        "StreamLabel": arn.rpartition("/")[2],
        "StreamStatus": "ENABLED",
        "StreamViewType": "NEW_AND_OLD_IMAGES",
        "TableName": "Described",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    }


@pytest.mark.row("operation:GetShardIterator")
def test_an_iterator_begins_where_it_was_asked_for(side: Side) -> None:
    arn = create(side, "Places")
    for name in "abc":
        put(side, "Places", name)

    def told(kind: str, **more: Any) -> str:
        records = side.ask("GetRecords", ShardIterator=iterator(side, arn, kind, **more))["Records"]
        return "".join(record["dynamodb"]["Keys"]["pk"]["S"] for record in records)

    records = side.ask("GetRecords", ShardIterator=iterator(side, arn))["Records"]
    second = records[1]["dynamodb"]["SequenceNumber"]
    assert told("TRIM_HORIZON") == "abc" and told("LATEST") == ""
    assert told("AT_SEQUENCE_NUMBER", SequenceNumber=second) == "bc"
    assert told("AFTER_SEQUENCE_NUMBER", SequenceNumber=second) == "c"
    shard = {"StreamArn": arn, "ShardId": shard_of(side, arn)["ShardId"]}
    for wrong in (
        {"ShardIteratorType": "AT_SEQUENCE_NUMBER"},
        {"ShardIteratorType": "LATEST", "SequenceNumber": second},
    ):
        assert refusal(side, "GetShardIterator", **shard, **wrong)[0] == "ValidationException"


@pytest.mark.row("limit:streams")
def test_an_answer_has_a_thousand_records_at_most(side: Side) -> None:
    place = iterator(side, create(side, "Thousand"))
    assert side.ask("GetRecords", ShardIterator=place, Limit=1_000)["Records"] == []
    for limit, bound in ((0, "greater than or equal to 1"), (1_001, "less than or equal to 1000")):
        code, message = refusal(side, "GetRecords", ShardIterator=place, Limit=limit)
        assert code == "ValidationException"
        assert message.endswith(f"at 'limit' failed to satisfy constraint: Member must have value {bound}")


@pytest.mark.row("operation:GetRecords")
def test_records_tell_every_change_and_where_to_go_on(side: Side) -> None:
    arn = create(side, "Changes")
    put(side, "Changes", "a", n={"N": "1"})
    put(side, "Changes", "a", n={"N": "2"})
    put(side, "Changes", "a", n={"N": "2.0"})  # changes nothing
    side.ask("DeleteItem", TableName="Changes", Key={"pk": {"S": "a"}})
    side.ask("DeleteItem", TableName="Changes", Key={"pk": {"S": "a"}})  # nor does this
    first = side.ask("GetRecords", ShardIterator=iterator(side, arn), Limit=2)
    assert shown(first["Records"]) == [("INSERT", "a"), ("MODIFY", "a")]
    change = first["Records"][1]["dynamodb"]
    assert re.fullmatch(r"\d{21,40}", change.pop("SequenceNumber"))
    assert isinstance(change.pop("ApproximateCreationDateTime"), int)
    one, two = ({"pk": {"S": "a"}, "n": {"N": n}} for n in "12")
    assert change == {
        "Keys": {"pk": {"S": "a"}},
        "OldImage": one,
        "NewImage": two,
        "SizeBytes": 3 + 2 * 6,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    outside = {name: first["Records"][1][name] for name in ("eventVersion", "eventSource", "awsRegion")}
    assert outside == {"eventVersion": "1.1", "eventSource": "aws:dynamodb", "awsRegion": "us-east-1"}
    rest = side.ask("GetRecords", ShardIterator=first["NextShardIterator"])
    assert shown(rest["Records"]) == [("REMOVE", "a")]
    empty = side.ask("GetRecords", ShardIterator=rest["NextShardIterator"])
    assert empty["Records"] == [] and empty["NextShardIterator"], "the shard is open"


@pytest.mark.row("error:ResourceNotFound-stream")
def test_a_stream_that_is_not_there_is_named_by_its_arn(side: Side) -> None:
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/Nothing/stream/2015-05-20T20:51:10.252"
    expected = ("ResourceNotFoundException", f"Requested resource not found: Stream: {arn} not found")
    assert refusal(side, "DescribeStream", StreamArn=arn) == expected
    shard = {"ShardId": "shardId-00000000000000000001-0123456789abcdef", "ShardIteratorType": "LATEST"}
    assert refusal(side, "GetShardIterator", StreamArn=arn, **shard) == expected


@pytest.mark.row("error:ExpiredIterator")
def test_an_iterator_of_a_quarter_of_an_hour_ago_is_too_old(side: Side) -> None:
    arn = create(side, "Aged")
    place = iterator(side, arn)
    side.later(14 * MINUTE_NS)
    assert side.ask("GetRecords", ShardIterator=place)["Records"] == []
    side.later(2 * MINUTE_NS)
    assert refusal(side, "GetRecords", ShardIterator=place) == (
        "ExpiredIteratorException",
        "The provided iterator exceeds the maximum age allowed.",
    )


@pytest.mark.row("error:TrimmedDataAccess")
def test_what_is_older_than_a_day_is_gone(side: Side) -> None:
    arn = create(side, "Trimmed")
    put(side, "Trimmed", "old")
    shard = {"StreamArn": arn, "ShardId": shard_of(side, arn)["ShardId"]}
    (record,) = side.ask("GetRecords", ShardIterator=iterator(side, arn))["Records"]
    number = record["dynamodb"]["SequenceNumber"]
    first = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": number}
    side.later(23 * HOUR_NS)
    put(side, "Trimmed", "new")
    side.later(59 * MINUTE_NS)
    place = side.ask("GetShardIterator", **shard, **first)["ShardIterator"]
    assert shown(side.ask("GetRecords", ShardIterator=place)["Records"])[0] == ("INSERT", "old")
    side.later(2 * MINUTE_NS)
    gone = ("TrimmedDataAccessException", "The data you are trying to access has been trimmed.")
    assert refusal(side, "GetRecords", ShardIterator=place) == gone
    assert refusal(side, "GetShardIterator", **shard, **first) == gone
    left: list[tuple[str, str]] = []
    for described in side.ask("DescribeStream", StreamArn=arn)["StreamDescription"]["Shards"]:
        named = {"StreamArn": arn, "ShardId": described["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        place = side.ask("GetShardIterator", **named)["ShardIterator"]
        left += shown(side.ask("GetRecords", ShardIterator=place)["Records"])
    assert left == [("INSERT", "new")], "what is left of its shards"


@pytest.mark.row("wire:streams-target")
def test_streams_have_a_target_of_their_own(dynalab_endpoint: Endpoint) -> None:
    wire = Wire(dynalab_endpoint)
    listed = wire("ListStreams", X_Amz_Target="DynamoDBStreams_20120810.ListStreams")
    assert (listed.status, json.loads(listed.body)) == (200, {"Streams": []})
    crossed = wire("ListTables", X_Amz_Target="DynamoDBStreams_20120810.ListTables")
    assert crossed.status == 400 and crossed.error["__type"].endswith("#UnknownOperationException")
    crossed = wire("ListStreams", X_Amz_Target="DynamoDB_20120810.ListStreams")
    assert crossed.status == 400 and crossed.error["__type"].endswith("#UnknownOperationException")

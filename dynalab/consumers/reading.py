"""Reading a stream: which shards there are, which may be read now, and how far each has been processed.

A shard waits for its parent. One that is read to its end is done when all that it held was processed, and only then do
its children begin: so an item's records come in their order, also where its partition was split between two of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeAlias, cast

Record: TypeAlias = "Mapping[str, object]"

RECORDS_MAX = 1_000
TRIES_MAX = 3  # of one read: with another iterator each time
DONE = "done"
PASSING = ("LimitExceededException", "InternalServerError", "ThrottlingException")


class StreamClient(Protocol):
    """What is needed of boto3's `client("dynamodbstreams")`."""

    def describe_stream(self, **arguments: object) -> Mapping[str, object]: ...

    def get_shard_iterator(self, **arguments: object) -> Mapping[str, object]: ...

    def get_records(self, **arguments: object) -> Mapping[str, object]: ...


def error_code(error: Exception) -> str:
    """The service's name for an error that a client raised; "" for any other exception."""
    response = cast("Mapping[str, Mapping[str, str]]", getattr(error, "response", None) or {})
    return response.get("Error", {}).get("Code", "")


def change_of(record: Record) -> Mapping[str, object]:
    """The member `dynamodb` of a record: keys, images, number and time."""
    return cast("Mapping[str, object]", record["dynamodb"])


def number_of(record: Record) -> str:
    """A record's sequence number. Numbers are compared as integers; this service writes all with as many digits."""
    return str(change_of(record)["SequenceNumber"])


def made_at(record: Record) -> float:
    """When the change was made, in seconds of Unix time, as far as the stream tells."""
    time = change_of(record)["ApproximateCreationDateTime"]
    return time.timestamp() if isinstance(time, datetime) else float(cast(float, time))


@dataclass(slots=True)
class Checkpoints:
    """How far a consumer is: by shard the last number that was processed, or `DONE`. Plain data, to be kept wherever
    the consumer likes.

    >>> checkpoints = Checkpoints({"shardId-1": "100000000000000000001"})
    >>> checkpoints.is_done("shardId-1"), checkpoints.after("shardId-1"), checkpoints.after("shardId-2")
    (False, '100000000000000000001', None)
    """

    places: dict[str, str] = field(default_factory=dict)

    def after(self, shard: str) -> str | None:
        """The number behind which to go on; None to begin."""
        place = self.places.get(shard)
        return None if place == DONE else place

    def is_done(self, shard: str) -> bool:
        """Whether nothing of this shard is left to do."""
        return self.places.get(shard) == DONE


@dataclass(slots=True)
class StreamReader:
    """Reads the shards of one stream, parents first. `start` is where shards begin that are there when the reader is
    new: TRIM_HORIZON or LATEST; those that come later are read from their beginning.

    `lost` counts how often records had been trimmed before they were read.
    """

    client: StreamClient
    stream_arn: str
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    start: str = "TRIM_HORIZON"
    limit: int = RECORDS_MAX
    parents: dict[str, str] = field(default_factory=dict)
    iterators: dict[str, str | None] = field(default_factory=dict)
    reached: dict[str, str] = field(default_factory=dict)  # the last number that was read
    lost: int = 0

    def discover(self) -> None:
        """Learn of the stream's shards."""
        first = not self.parents and not self.checkpoints.places
        listed: dict[str, str] = {}
        start: str | None = None
        while True:
            page: dict[str, object] = {} if start is None else {"ExclusiveStartShardId": start}
            answer = self.client.describe_stream(StreamArn=self.stream_arn, **page)
            told = cast("Mapping[str, object]", answer["StreamDescription"])
            for shard in cast("Sequence[Mapping[str, str]]", told["Shards"]):
                listed[shard["ShardId"]] = shard.get("ParentShardId", "")
            start = cast("str | None", told.get("LastEvaluatedShardId"))
            if start is None:
                break
        self.parents = listed
        if first and self.start == "LATEST":
            for name in self.ready():
                self._begin(name, "LATEST")

    def ready(self) -> list[str]:
        """The shards that may be read now: not done, and their parent is done or has been trimmed."""
        return [
            shard
            for shard, parent in self.parents.items()
            if not self.checkpoints.is_done(shard) and (parent not in self.parents or self.checkpoints.is_done(parent))
        ]

    def is_read(self, shard: str) -> bool:
        """Whether the shard is closed and all of it was read."""
        return shard in self.iterators and self.iterators[shard] is None

    def read(self, shard: str) -> Sequence[Record]:
        """The next records of a shard, none if there are none now. Errors that pass are passed over."""
        if self.is_read(shard):
            return []
        answer: Mapping[str, object] | None = None
        for _ in range(TRIES_MAX):
            if shard not in self.iterators:
                self._begin(shard, "TRIM_HORIZON")
            try:
                answer = self.client.get_records(ShardIterator=self.iterators[shard], Limit=self.limit)
                break
            except Exception as error:
                if not self._begins_anew(shard, error):
                    return []
        if answer is None:
            return []
        self.iterators[shard] = cast("str | None", answer.get("NextShardIterator"))
        records = cast("Sequence[Record]", answer["Records"])
        if records:
            self.reached[shard] = number_of(records[-1])
        return records

    def processed(self, shard: str, number: str) -> None:
        """All of the shard up to this number was processed."""
        self.checkpoints.places[shard] = number

    def finished(self, shard: str) -> None:
        """All of a shard that is closed was processed: its children may begin."""
        assert self.is_read(shard), "a shard is done when it was read to its end"
        self.checkpoints.places[shard] = DONE

    def _begin(self, shard: str, kind: str) -> None:
        after = self.reached.get(shard) or self.checkpoints.after(shard)
        where: dict[str, object] = {"ShardIteratorType": kind}
        if after is not None:
            where = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": after}
        try:
            answer = self.client.get_shard_iterator(StreamArn=self.stream_arn, ShardId=shard, **where)
        except Exception as error:
            if error_code(error) != "TrimmedDataAccessException":
                raise
            self.lost += 1
            answer = self.client.get_shard_iterator(
                StreamArn=self.stream_arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
            )
        self.iterators[shard] = str(answer["ShardIterator"])

    def _begins_anew(self, shard: str, error: Exception) -> bool:
        """Whether reading goes on at once: with an iterator in the place of one that expired, or behind what was
        trimmed. Too many readers, or a service that is away for a moment: the next time.
        """
        code = error_code(error)
        if code not in ("ExpiredIteratorException", "TrimmedDataAccessException"):
            if code not in PASSING:
                raise error
            return False
        if code == "TrimmedDataAccessException":
            self.lost += 1
            self.reached.pop(shard, None)
            self.checkpoints.places.pop(shard, None)
        del self.iterators[shard]
        return True

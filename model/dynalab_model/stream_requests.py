"""From JSON to the operations of streams, and what CreateTable and UpdateTable say of them (api.md §2 "Streams op",
§6.1).

Rules: nothing here knows which tables or streams exist. A stream is named by its ARN alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from dynalab_model.errors import INVALID, validation
from dynalab_model.fields import failure, refuse
from dynalab_model.operations import DescribeStream, GetRecords, GetShardIterator, ListStreams
from dynalab_model.shapes import REQUESTS
from dynalab_model.streams import FEED, RECORDS_MAX, SHARDS_MAX, iterator_of, number_of, stream_of

STREAM_OPERATIONS = ("ListStreams", "DescribeStream", "GetShardIterator", "GetRecords")

_NUMBERED = ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER")


def stream_specification(body: Mapping[str, object]) -> dict[str, object] | None:
    """What CreateTable or UpdateTable asks for; None if it says nothing of streams. The texts are ours.

    >>> stream_specification({"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}})
    {'StreamEnabled': True, 'StreamViewType': 'KEYS_ONLY'}
    """
    given = cast("dict[str, object] | None", body.get("StreamSpecification"))
    if given is None:
        return None
    if not given["StreamEnabled"]:
        return {"StreamEnabled": False}
    if given.get("StreamViewType") is None:
        raise validation(f"{INVALID}StreamViewType must be specified when StreamEnabled is true")
    return {"StreamEnabled": True, "StreamViewType": given["StreamViewType"]}


def parse_list_streams(body: dict[str, object]) -> ListStreams:
    """A ListStreams operation from its JSON body.

    >>> parse_list_streams({"TableName": "Orders", "Limit": 5})
    ListStreams(table='Orders', start=None, limit=5)
    """
    REQUESTS["ListStreams"].check(body)
    limit = _limit(body, SHARDS_MAX)
    start = cast("str | None", body.get("ExclusiveStartStreamArn"))
    return ListStreams(cast("str | None", body.get("TableName")) or "", start, limit)


def parse_describe_stream(body: dict[str, object]) -> DescribeStream:
    """A DescribeStream operation from its JSON body.

    >>> arn = "arn:aws:dynamodb:us-east-1:000000000000:table/Orders/stream/2015-05-20T20:51:10.252"
    >>> parse_describe_stream({"StreamArn": arn}).label
    '2015-05-20T20:51:10.252'
    """
    REQUESTS["DescribeStream"].check(body)
    table, label = _named(cast(str, body["StreamArn"]))
    chosen = cast("dict[str, str]", body.get("ShardFilter") or {})
    start = cast("str | None", body.get("ExclusiveStartShardId"))
    if chosen.get("ShardId") is not None and chosen.get("Type") is None:
        raise validation(f"{INVALID}ShardFilter must have a Type")  # ours
    if chosen.get("Type") is not None and chosen.get("ShardId") is None:
        raise validation(f"{INVALID}ShardFilter of type CHILD_SHARDS must have a ShardId")  # ours
    return DescribeStream(table, label, start, _limit(body, SHARDS_MAX), chosen.get("ShardId"))


def parse_get_shard_iterator(body: dict[str, object]) -> GetShardIterator:
    """A GetShardIterator operation from its JSON body. The texts are ours.

    >>> arn = "arn:aws:dynamodb:us-east-1:000000000000:table/Orders/stream/2015-05-20T20:51:10.252"
    >>> parse_get_shard_iterator({"StreamArn": arn, "ShardId": "shardId-00000000000000000000-000c3dfa",
    ...                           "ShardIteratorType": "LATEST"}).kind
    'LATEST'
    """
    REQUESTS["GetShardIterator"].check(body)
    table, label = _named(cast(str, body["StreamArn"]))
    kind = cast(str, body["ShardIteratorType"])
    number, time = cast("str | None", body.get("SequenceNumber")), cast("float | None", body.get("Timestamp"))
    if (number is not None) != (kind in _NUMBERED):
        raise validation(f"{INVALID}SequenceNumber must {'not ' * (number is not None)}be specified for {kind}")
    if (time is not None) != (kind == "AT_TIMESTAMP"):
        raise validation(f"{INVALID}Timestamp must {'not ' * (time is not None)}be specified for {kind}")
    return GetShardIterator(
        table,
        label,
        cast(str, body["ShardId"]),
        kind,
        0 if number is None else number_of(number),
        0 if time is None else int(time * 1_000_000) * 1_000,
    )


def parse_get_records(body: dict[str, object]) -> GetRecords:
    """A GetRecords operation from its JSON body: at most a thousand records."""
    REQUESTS["GetRecords"].check(body)
    text = cast(str, body["ShardIterator"])
    place = iterator_of(text)
    if place.label.startswith(FEED):
        raise validation("Invalid ShardIterator")  # nobody was given one
    return GetRecords(place.table, text, _limit(body, RECORDS_MAX))


def _named(text: str) -> tuple[str, str]:
    """Table and label of the stream that a client names: what goes to a Kinesis stream is none of them."""
    table, label = stream_of(text)
    if label.startswith(FEED):
        raise validation(f"Invalid StreamArn: {text}")
    return table, label


def _limit(body: Mapping[str, object], most: int) -> int:
    limit = cast("int | None", body.get("Limit"))
    if limit is not None and limit > most:
        refuse([failure(limit, "limit", f"have value less than or equal to {most}")])
    return most if limit is None else limit

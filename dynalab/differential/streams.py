"""What the streams of a table tell, read as any consumer does: every shard from its beginning, parents first.

Sequence numbers, shards and times are the service's own affair. What is promised, and compared, are the changes of each
item in their order.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TypeAlias, cast

from dynalab.differential.tables import Body

Ask: TypeAlias = Callable[[str, Body], Body]
READS_MAX = 1_000  # of one shard: more is a stream without end
PROMISED = ("Keys", "NewImage", "OldImage", "SizeBytes", "StreamViewType")


def changes(ask: Ask, table: str) -> dict[str, list[Body]]:
    """What happened to each item, in order, by the number of the stream and the item's key as text."""
    told: dict[str, list[Body]] = {}
    streams = cast("list[dict[str, str]]", ask("ListStreams", {"TableName": table})["Streams"])
    for number, stream in enumerate(sorted(streams, key=lambda one: one["StreamLabel"])):
        for shard in _shards(ask, stream["StreamArn"]):
            for record in _records(ask, stream["StreamArn"], shard):
                change = cast("Body", record["dynamodb"])
                key = f"{number} {json.dumps(change['Keys'], sort_keys=True)}"
                told.setdefault(key, []).append(
                    {
                        "eventName": record["eventName"],
                        "userIdentity": record.get("userIdentity"),
                        **{name: change.get(name) for name in PROMISED},
                    }
                )
    return told


def carried(bodies: Iterable[Body]) -> dict[str, int]:
    """What came to a Kinesis destination, and how often: no order is promised there.

    >>> body = {"eventName": "REMOVE", "dynamodb": {"Keys": {"pk": {"S": "a"}}}}
    >>> list(carried([body, body]).values())
    [2]
    """
    told: dict[str, int] = {}
    for body in bodies:
        change = cast("Body", body["dynamodb"])
        what: Body = {"eventName": body["eventName"], "userIdentity": body.get("userIdentity")}
        text = json.dumps(what | {name: change.get(name) for name in PROMISED}, sort_keys=True)
        told[text] = told.get(text, 0) + 1
    return told


def _shards(ask: Ask, arn: str) -> list[str]:
    """All shards, parents before their children."""
    parents: dict[str, str | None] = {}
    body: Body = {"StreamArn": arn}
    while True:
        described = cast("Body", ask("DescribeStream", body)["StreamDescription"])
        for shard in cast("list[dict[str, str]]", described["Shards"]):
            parents[shard["ShardId"]] = shard.get("ParentShardId")
        if "LastEvaluatedShardId" not in described:
            break
        body = {"StreamArn": arn, "ExclusiveStartShardId": described["LastEvaluatedShardId"]}
    ordered: list[str] = []
    while len(ordered) < len(parents):
        ready = [s for s, p in parents.items() if s not in ordered and (p not in parents or p in ordered)]
        assert ready, "a shard is its own ancestor"
        ordered += ready
    return ordered


def _records(ask: Ask, arn: str, shard: str) -> list[Body]:
    """What the shard holds now."""
    begin: Body = {"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
    iterator: object = ask("GetShardIterator", begin)["ShardIterator"]
    found: list[Body] = []
    for _ in range(READS_MAX):
        answer = ask("GetRecords", {"ShardIterator": iterator})
        records = cast("list[Body]", answer["Records"])
        found += records
        iterator = answer.get("NextShardIterator")
        if iterator is None or not records:
            return found
    raise AssertionError("a shard without end")

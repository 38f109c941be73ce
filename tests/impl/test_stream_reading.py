"""Reading streams: iterators, readers that are counted, transactions and sweeps in records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dynalab_fault_injection.simulator.simulation import WALL_EPOCH_NS
from dynalab_impl import messages as m
from dynalab_impl.effects import Limits

from .conftest import SECOND, Lab
from .test_streams import Reader, arn_of, contents, enable, iterator, shards_of

MakeLab = Callable[..., Lab]


def test_iterators_begin_where_they_say(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1)
    lab.create()
    enable(lab)
    arn = arn_of(lab)
    (shard,) = shards_of(lab, arn)
    for number in range(4):
        lab.put("a", number)
        lab.run(SECOND)

    def told(kind: str, **more: Any) -> list[str]:
        place = iterator(lab, arn, shard["ShardId"], kind, **more)
        body: Any = lab.call("GetRecords", ShardIterator=place).body
        numbers.extend(record["dynamodb"]["SequenceNumber"] for record in body["Records"])
        times.extend(record["dynamodb"]["ApproximateCreationDateTime"] for record in body["Records"])
        return [record["dynamodb"]["NewImage"]["v"]["S"] for record in body["Records"]]

    numbers: list[str] = []
    times: list[int] = []
    assert told("TRIM_HORIZON") == ["0", "1", "2", "3"]
    assert told("AT_SEQUENCE_NUMBER", SequenceNumber=numbers[1]) == ["1", "2", "3"]
    assert told("AFTER_SEQUENCE_NUMBER", SequenceNumber=numbers[1]) == ["2", "3"]
    assert told("AT_TIMESTAMP", Timestamp=times[2]) == ["2", "3"]
    place = iterator(lab, arn, shard["ShardId"], "LATEST")
    lab.put("a", "later")
    body: Any = lab.call("GetRecords", ShardIterator=place).body
    assert [record["dynamodb"]["NewImage"]["v"]["S"] for record in body["Records"]] == ["later"]


def test_an_iterator_finds_its_shard_however_long_the_partitions_first_key_is(make_lab: MakeLab) -> None:
    """A partition that was split within a long key begins with it, and an iterator has no room for it."""
    lab = make_lab(partitions=1)
    lab.create()
    enable(lab)
    names = [letter * 1500 for letter in "abcdefgh"]
    for name in names:
        lab.put(name, 1)
    index, group = lab.leader(names[0])
    lab.simulation.order(index, m.SplitNow(group))
    lab.run(3 * SECOND)
    for name in names:
        lab.put(name, 2)
    reader = Reader(lab, arn_of(lab))
    reader.drain()
    reader.judge(contents(lab))
    assert len(reader.told) == 16
    assert all(len(place) <= 2048 for place in reader.places.values() if place is not None)


def test_a_third_reader_of_a_shard_is_refused_where_anything_is_limited(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1, limits=Limits())
    lab.create()
    enable(lab)
    arn = arn_of(lab)
    (shard,) = shards_of(lab, arn)
    places = [iterator(lab, arn, shard["ShardId"]) for _ in range(3)]
    answers = [lab.call("GetRecords", ShardIterator=place) for place in places]
    assert [answer.error for answer in answers] == [None, None, "LimitExceededException"]
    lab.run(2 * SECOND)
    assert lab.call("GetRecords", ShardIterator=places[2]).status == 200


def test_a_transaction_has_a_record_for_each_item_that_it_changes(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1)
    lab.create()
    enable(lab)
    lab.put("a", 1)
    lab.put("same", 1)
    lab.put("gone", 1)
    reader = Reader(lab, arn_of(lab))
    reader.drain(2)
    before = len(reader.told)

    def named(key: str) -> dict[str, Any]:
        return {"TableName": "things", "Key": {"pk": {"S": key}}}

    check = {**named("a"), "ConditionExpression": "attribute_exists(pk)"}
    same = {"pk": {"S": "same"}, "v": {"S": "1"}}
    actions: list[dict[str, Any]] = [
        {"ConditionCheck": check},
        {"Put": {"TableName": "things", "Item": {"pk": {"S": "new"}}}},
        {"Put": {"TableName": "things", "Item": same}},
        {"Delete": named("gone")},
        {
            "Update": {
                **named("counted"),
                "UpdateExpression": "ADD n :n",
                "ExpressionAttributeValues": {":n": {"N": "1"}},
            }
        },
    ]
    assert lab.call("TransactWriteItems", TransactItems=actions).status == 200
    lab.run(2 * SECOND)
    reader.drain(2)
    told = {record.key: record.event for record in reader.records()[before:]}
    assert told == {"new": "INSERT", "gone": "REMOVE", "counted": "INSERT"}
    reader.judge(contents(lab))
    failing = {**named("a"), "ConditionExpression": "attribute_not_exists(pk)"}
    refused = lab.call("TransactWriteItems", TransactItems=[{"ConditionCheck": failing}, *actions[1:]])
    assert refused.error == "TransactionCanceledException"
    lab.run(2 * SECOND)
    reader.drain(2)
    assert len(reader.told) == before + 3


@pytest.mark.claim("S81")
def test_what_the_sweep_removes_says_so_and_what_a_client_deletes_does_not(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1)
    lab.create()
    enable(lab)
    lab.call(
        "UpdateTimeToLive", TableName="things", TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"}
    )
    now_s = (WALL_EPOCH_NS + lab.simulation.now) // SECOND
    for key in ("expires", "by hand"):
        lab.put(key, 1, attributes={"expires": {"N": str(now_s - 60)}})
    lab.call("DeleteItem", TableName="things", Key={"pk": {"S": "by hand"}})
    reader = Reader(lab, arn_of(lab))
    for _ in range(60):
        lab.run(SECOND)
        if "expires" not in contents(lab):
            break
    reader.drain(2)
    removed = {
        r["dynamodb"]["Keys"]["pk"]["S"]: r.get("userIdentity") for _, r in reader.told if r["eventName"] == "REMOVE"
    }
    assert removed == {"by hand": None, "expires": {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}}

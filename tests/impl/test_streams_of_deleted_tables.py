"""A table is deleted, and its name is free; what its stream has told is read for another day."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from dynalab_impl import messages as m

from .conftest import SECOND, Lab
from .test_adversary_streams import some_write
from .test_streams import Reader, arn_of, contents, enable, iterator, shards_of, states

MakeLab = Callable[..., Lab]
DAY_NS = 24 * 3600 * SECOND


def delete(lab: Lab, table: str = "things") -> None:
    answer: Any = lab.call("DeleteTable", TableName=table)
    assert answer.status == 200 or answer.error == "ResourceNotFoundException", answer
    for _ in range(200):
        if lab.call("DescribeTable", TableName=table).error == "ResourceNotFoundException":
            return
        lab.run(SECOND // 10)
    raise AssertionError("the table stays DELETING")


def hosted(lab: Lab) -> list[str]:
    nodes: list[Any] = [lab.simulation.hosts[host].node for host in range(lab.simulation.storage_count)]
    return sorted({group for node in nodes for group in node.replicas if group != "catalog"})


@pytest.mark.claim("S168")
@pytest.mark.parametrize("index", [False, True])
def test_a_stream_outlives_its_table_and_the_name_is_free(make_lab: MakeLab, index: bool) -> None:
    lab = make_lab(partitions=2)
    lab.create(index=index)
    enable(lab)
    for number in range(8):
        lab.put(f"k{number}", number, attributes={"colour": {"S": "red"}})
    arn = arn_of(lab)
    early = iterator(lab, arn, shards_of(lab, arn)[0]["ShardId"])
    final = contents(lab)
    delete(lab)
    listed: Any = lab.call("ListStreams", TableName="things").body
    assert [stream["StreamArn"] for stream in listed["Streams"]] == [arn]
    described: Any = lab.call("DescribeStream", StreamArn=arn).body["StreamDescription"]
    assert described["StreamStatus"] == "DISABLED" and described["TableName"] == "things"
    assert all("EndingSequenceNumber" in shard["SequenceNumberRange"] for shard in described["Shards"])
    reader = Reader(lab, arn)
    reader.drain(3)
    reader.judge(final)
    assert lab.call("GetRecords", ShardIterator=early).status == 200, "an iterator from before goes on"
    refused = lab.call("GetItem", TableName="things", Key={"pk": {"S": "k1"}}, ConsistentRead=True)
    assert refused.error == "ResourceNotFoundException"
    assert lab.call("ListTables").body == {"TableNames": []}


@pytest.mark.claim("S168")
def test_another_table_of_the_name_has_items_and_a_stream_of_its_own(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=2)
    lab.create()
    enable(lab)
    lab.put("a", "of the first")
    old = arn_of(lab)
    early = {shard["ShardId"]: iterator(lab, old, shard["ShardId"]) for shard in shards_of(lab, old)}
    delete(lab)
    lab.create()
    assert contents(lab) == {}
    enable(lab, "NEW_IMAGE")
    lab.put("a", "of the second")
    new = arn_of(lab)
    assert new != old
    for arn, value in ((old, "of the first"), (new, "of the second")):
        reader = Reader(lab, arn)
        reader.drain(3)
        assert [record["dynamodb"]["NewImage"]["v"]["S"] for _, record in reader.told] == [value]
    told: list[Any] = []
    for place in early.values():
        answer: Any = lab.call("GetRecords", ShardIterator=place)
        told += answer.body["Records"]
        assert "NextShardIterator" not in answer.body
    assert len(told) == 1
    assert lab.get("a") == "of the second" and lab.get("a", consistent=False) == "of the second"
    delete(lab)
    listed: Any = lab.call("ListStreams", TableName="things").body
    assert [stream["StreamArn"] for stream in listed["Streams"]] == sorted([old, new])


@pytest.mark.claim("S147", "S168")
def test_after_a_day_nothing_is_left_of_it_on_any_node(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=2, nodes_per_zone=1)
    lab.create()
    enable(lab)
    lab.put("a", 1)
    arn = arn_of(lab)
    delete(lab)
    assert len(hosted(lab)) == 2 and all(not state.items and state.shards for state in states(lab))
    for host in lab.simulation.hosts:
        host.wall_shift_ns += DAY_NS
    lab.run(10 * SECOND)
    assert hosted(lab) == []
    unknown: Any = lab.call("DescribeStream", StreamArn=arn)
    assert unknown.error == "ResourceNotFoundException" and unknown.body["message"].endswith(f"{arn} not found")
    assert lab.call("ListStreams").body == {"Streams": []}


def test_a_table_without_a_stream_goes_whole_and_at_once(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=2)
    lab.create()
    lab.put("a", 1)
    delete(lab)
    lab.run(5 * SECOND)
    assert hosted(lab) == [] and "reformed" not in lab.kinds()


def test_leaders_and_nodes_may_die_and_the_stream_stays(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1, nodes_per_zone=1, log_records_max=100)
    lab.create()
    enable(lab)
    for number in range(20):
        lab.put(f"k{number % 6}", number)
    index, group = lab.leader("k0")
    lab.simulation.order(index, m.SplitNow(group))
    lab.run(3 * SECOND)
    for number in range(20):
        lab.put(f"k{number % 6}", -number)
    arn, final = arn_of(lab), contents(lab)
    token = lab.send("DeleteTable", TableName="things")
    lab.run(SECOND // 50)
    lab.simulation.crash(index)
    lab.run(4 * SECOND)
    lab.simulation.restart(index)
    lab.run(4 * SECOND)
    assert token in lab.answers
    for host in range(lab.simulation.storage_count):
        lab.simulation.crash(host)
        lab.simulation.restart(host)
        lab.run(4 * SECOND)
    assert lab.call("DescribeTable", TableName="things").error == "ResourceNotFoundException"
    reader = Reader(lab, arn)
    reader.drain(20)
    reader.judge(final)
    assert len(reader.told) == 40
    lab.create()
    assert contents(lab) == {}
    lab.put("k0", "new")
    assert lab.get("k0") == "new"


@pytest.mark.parametrize("seed", range(12))
def test_tables_that_come_and_go_under_splits_crashes_and_lost_disks_leave_their_streams(seed: int) -> None:
    """Three tables of one name, one after the other: each stream stays whole, and a day later nothing is left."""
    chance = random.Random(seed)
    lab = Lab(
        seed=seed,
        partitions=chance.choice([1, 2]),
        nodes_per_zone=chance.choice([1, 2]),
        log_records_max=chance.choice([60, 20_000]),
        archive=chance.randrange(3) == 0,
    )
    kept: dict[str, dict[str, dict[str, Any]]] = {}
    for _ in range(3):
        lab.create(index=chance.randrange(2) == 0)
        enable(lab)
        for number in range(15):
            some_write(lab, chance, number)
        if chance.randrange(2):
            index, group = lab.leader("k1")
            lab.simulation.order(index, m.SplitNow(group))
            lab.run(chance.randrange(2) * SECOND)
            for number in range(8):
                some_write(lab, chance, 50 + number)
        kept[arn_of(lab)] = contents(lab)
        lab.call("DeleteTable", TableName="things")
        if chance.randrange(3):
            victim = chance.randrange(lab.simulation.storage_count)
            lab.simulation.crash(victim)
            lab.run(chance.randrange(1, 4) * SECOND)
            if chance.randrange(3) == 0:
                lab.simulation.wipe(victim)
            lab.simulation.restart(victim)
        delete(lab)
    lab.run(8 * SECOND)
    for arn, final in kept.items():
        reader = Reader(lab, arn)
        reader.drain(25)
        reader.judge(final)
        assert all(place is None for place in reader.places.values()), "every shard is closed"
    for host in lab.simulation.hosts:
        host.wall_shift_ns += DAY_NS
    lab.run(20 * SECOND)
    assert hosted(lab) == []

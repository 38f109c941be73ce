"""Streams of the replicated service: every change once and in order, whatever dies and divides meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from dynalab_checkers.streams import Record, check_stream
from dynalab_impl import messages as m
from dynalab_impl.effects import Timing
from dynalab_impl.partition import Partition
from dynalab_impl.snapshot import SnapshotHeader
from dynalab_impl.stream_shards import Shard, digested
from dynalab_model.streams import Change, number_of

from .conftest import SECOND, Lab

MakeLab = Callable[..., Lab]
BOTH = "NEW_AND_OLD_IMAGES"


def enable(lab: Lab, view: str | None = BOTH, table: str = "things") -> None:
    """Enable the table's stream, or with None disable it, and wait until all partitions know."""
    specification = {"StreamEnabled": False} if view is None else {"StreamEnabled": True, "StreamViewType": view}
    assert lab.call("UpdateTable", TableName=table, StreamSpecification=specification).status == 200
    for _ in range(100):
        body: Any = lab.call("DescribeTable", TableName=table).body
        if body["Table"]["TableStatus"] == "ACTIVE":
            return
        lab.run(SECOND // 10)
    raise AssertionError("the table stays UPDATING")


def arn_of(lab: Lab, table: str = "things") -> str:
    body: Any = lab.call("DescribeTable", TableName=table).body
    return str(body["Table"]["LatestStreamArn"])


def shards_of(lab: Lab, arn: str) -> list[dict[str, Any]]:
    answer: Any = lab.call("DescribeStream", StreamArn=arn)
    assert answer.status == 200, answer
    return list(answer.body["StreamDescription"]["Shards"])


def iterator(lab: Lab, arn: str, shard: str, kind: str = "TRIM_HORIZON", **more: Any) -> str:
    answer: Any = lab.call("GetShardIterator", StreamArn=arn, ShardId=shard, ShardIteratorType=kind, **more)
    assert answer.status == 200, answer
    return str(answer.body["ShardIterator"])


@dataclass
class Reader:
    """A consumer that keeps to the rule: a shard is begun when its parent has been read to its end."""

    lab: Lab
    arn: str
    parents: dict[str, str] = field(default_factory=dict)
    places: dict[str, str | None] = field(default_factory=dict)
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def step(self, limit: int = 1000) -> None:
        """Look for new shards, and read every open place once. Answers that fail are tried again the next time."""
        described: Any = self.lab.call("DescribeStream", StreamArn=self.arn)
        if described.status != 200:
            return
        for shard in described.body["StreamDescription"]["Shards"]:
            name, parent = shard["ShardId"], shard.get("ParentShardId", "")
            self.parents.setdefault(name, parent)
            if name not in self.places and (parent not in self.parents or self.places.get(parent, "") is None):
                answer: Any = self.lab.call(
                    "GetShardIterator", StreamArn=self.arn, ShardId=name, ShardIteratorType="TRIM_HORIZON"
                )
                if answer.status == 200:
                    self.places[name] = answer.body["ShardIterator"]
        for name, place in list(self.places.items()):
            if place is not None:
                answer = self.lab.call("GetRecords", ShardIterator=place, Limit=limit)
                if answer.status == 200:
                    self.told += [(name, record) for record in answer.body["Records"]]
                    self.places[name] = answer.body.get("NextShardIterator")

    def drain(self, steps: int = 12) -> None:
        for _ in range(steps):
            self.step()

    def records(self) -> list[Record]:
        """As the checker reads them."""
        out: list[Record] = []
        for shard, record in self.told:
            told = record["dynamodb"]
            images = {
                mine: told[theirs] for mine, theirs in (("old", "OldImage"), ("new", "NewImage")) if theirs in told
            }
            key = told["Keys"]["pk"]["S"]
            out.append(Record(shard, number_of(told["SequenceNumber"]), key, record["eventName"], **images))
        return out

    def judge(self, final: dict[str, dict[str, Any]], view: str = BOTH) -> None:
        parents = {child: parent for child, parent in self.parents.items() if parent}
        verdict = check_stream(self.records(), view=view, parents=parents, final=final)
        assert verdict.verdict == "valid", verdict.why


def contents(lab: Lab, table: str = "things") -> dict[str, dict[str, Any]]:
    answer: Any = lab.call("Scan", TableName=table, ConsistentRead=True)
    assert answer.status == 200
    return {item["pk"]["S"]: item for item in answer.body["Items"]}


def states(lab: Lab, table: str = "things") -> list[Partition]:
    """Of every replica of the table's own partitions that are whole."""
    nodes: list[Any] = [lab.simulation.hosts[host].node for host in range(lab.simulation.storage_count)]
    replicas = [r for node in nodes if node is not None for r in node.replicas.values() if r.spec.table == table]
    found = [r.state for r in replicas if isinstance(r.state, Partition) and not r.log_only]
    return [state for state in found if state.split is None and state.form is not None]


def shards_by_group(lab: Lab) -> dict[str, list[list[Shard]]]:
    by_group: dict[str, list[list[Shard]]] = {}
    for state in states(lab):
        by_group.setdefault(state.spec.group, []).append(state.shards)
    return by_group


def test_a_stream_is_in_every_replica_the_same_and_tells_each_change_once(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=2)
    lab.create()
    enable(lab)
    reader = Reader(lab, arn_of(lab))
    for number in range(10):
        lab.put(f"k{number % 4}", number)
    lab.put("k1", 9)
    lab.call("DeleteItem", TableName="things", Key={"pk": {"S": "k2"}})
    lab.call("DeleteItem", TableName="things", Key={"pk": {"S": "k2"}})
    reader.drain()
    reader.judge(contents(lab))
    names = [record.event for record in reader.records()]
    assert (names.count("INSERT"), names.count("MODIFY"), names.count("REMOVE")) == (4, 6, 1)
    lab.run(2 * SECOND)
    for copies in shards_by_group(lab).values():
        assert len(copies) == 3 and copies[0] == copies[1] == copies[2] and len(copies[0]) == 1


@pytest.mark.claim("S167")
def test_a_table_that_is_made_with_a_stream_has_it_from_its_first_write_on(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1)
    answer: Any = lab.call(
        "CreateTable",
        TableName="things",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    )
    assert answer.body["TableDescription"]["StreamSpecification"]["StreamViewType"] == "KEYS_ONLY"
    lab.run(3 * SECOND)
    lab.put("a", 1)
    reader = Reader(lab, arn_of(lab))
    reader.drain(2)
    (record,) = reader.records()
    assert (record.event, record.key) == ("INSERT", "a")
    reader.judge({}, "KEYS_ONLY")


@pytest.mark.claim("S148", "S170")
def test_a_split_closes_the_shard_and_its_two_children_go_on_where_it_ended(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1)
    lab.create()
    enable(lab)
    arn = arn_of(lab)
    for number in range(12):
        lab.put(f"k{number}", number)
    index, group = lab.leader("k0")
    lab.simulation.order(index, m.SplitNow(group))
    lab.run(3 * SECOND)
    for number in range(12):
        lab.put(f"k{number}", number + 1)
    parent, *children = shards_of(lab, arn)
    assert "EndingSequenceNumber" in parent["SequenceNumberRange"]
    assert [child["ParentShardId"] for child in children] == 2 * [parent["ShardId"]]
    ended = int(parent["SequenceNumberRange"]["EndingSequenceNumber"])
    for child in children:
        numbers = child["SequenceNumberRange"]
        assert int(numbers["StartingSequenceNumber"]) > ended and "EndingSequenceNumber" not in numbers
    answer: Any = lab.call(
        "DescribeStream", StreamArn=arn, ShardFilter={"Type": "CHILD_SHARDS", "ShardId": parent["ShardId"]}
    )
    assert answer.body["StreamDescription"]["Shards"] == children
    answer = lab.call("GetRecords", ShardIterator=iterator(lab, arn, parent["ShardId"]))
    assert len(answer.body["Records"]) == 12 and "NextShardIterator" not in answer.body
    reader = Reader(lab, arn)
    reader.drain()
    reader.judge(contents(lab))
    assert len(reader.told) == 24


@pytest.mark.claim("S148", "S164")
def test_a_reader_misses_and_doubles_nothing_over_splits_and_killed_leaders(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1, seed=7)
    lab.create()
    enable(lab)
    reader = Reader(lab, arn_of(lab))
    for turn in range(4):
        for number in range(12):
            lab.put(f"k{number}", 100 * turn + number)
        reader.step(limit=5)
        index, group = lab.leader("k3")
        if turn % 2:
            lab.simulation.crash(index)
            lab.put("k3", "while nobody knew who leads")
            reader.step(limit=5)
            lab.run(2 * SECOND)
            lab.simulation.restart(index)
        else:
            lab.simulation.order(index, m.SplitNow(group))
        reader.step(limit=5)
    lab.run(5 * SECOND)
    reader.drain(30)
    reader.judge(contents(lab))
    assert len(reader.parents) == 5 and len([one for one in reader.parents.values() if one]) == 4
    for copies in shards_by_group(lab).values():
        assert all(copy == copies[0] for copy in copies)


def test_what_is_not_committed_is_in_no_record(make_lab: MakeLab) -> None:
    """A leader that is cut off takes a write and cannot commit it: a reader that asks it hears nothing of it."""
    lab = make_lab(partitions=1)
    lab.create()
    enable(lab)
    lab.put("a", 1)
    arn = arn_of(lab)
    (shard,) = shards_of(lab, arn)
    place = iterator(lab, arn, shard["ShardId"])
    index, group = lab.leader("a")
    others = [other for other in lab.members(group) if other != index]
    lab.rule("cut", [index], others, both_ways=True)
    lab.send("PutItem", TableName="things", Item={"pk": {"S": "a"}, "v": {"S": "never seen by two"}})
    lab.run(SECOND // 5)
    node: Any = lab.simulation.hosts[index].node
    assert len(node.replicas[group].log) > node.replicas[group].commit_index
    held = node.replicas[group].state.shards[-1].changes
    assert [change.new["v"]["S"] for change in held] == ["1"]
    answer: Any = lab.call("GetRecords", ShardIterator=place)
    assert [record["dynamodb"]["NewImage"]["v"]["S"] for record in answer.body["Records"]] in (
        ["1"],
        ["1", "never seen by two"],
    )


@pytest.mark.claim("S168")
def test_a_stream_that_was_disabled_is_read_beside_the_one_that_follows_it(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=2, timing=Timing(stream_keep_s=60))
    lab.create()
    enable(lab, "NEW_IMAGE")
    old = arn_of(lab)
    lab.put("a", 1)
    enable(lab, None)
    lab.put("a", "unseen")
    assert arn_of(lab) == old
    described: Any = lab.call("DescribeStream", StreamArn=old).body["StreamDescription"]
    assert described["StreamStatus"] == "DISABLED"
    assert all("EndingSequenceNumber" in shard["SequenceNumberRange"] for shard in described["Shards"])
    enable(lab, "OLD_IMAGE")
    lab.put("a", 2)
    new = arn_of(lab)
    listed: Any = lab.call("ListStreams", TableName="things").body
    assert [stream["StreamArn"] for stream in listed["Streams"]] == [old, new]
    for arn, shown in ((old, ["INSERT"]), (new, ["MODIFY"])):
        reader = Reader(lab, arn)
        reader.drain(3)
        assert [record.event for record in reader.records()] == shown
    assert {len(state.shards) for state in states(lab)} == {2}
    lab.run(61 * SECOND)
    for key in "abcdefgh":
        lab.put(key, 3)
    lab.run(2 * SECOND)
    assert {len(state.shards) for state in states(lab)} == {1}, "what is too old is let go of"
    unknown: Any = lab.call("DescribeStream", StreamArn=old.replace("things", "thongs"))
    assert unknown.error == "ResourceNotFoundException" and "Stream: arn" in unknown.body["message"]


@pytest.mark.claim("S147", "S169")
def test_records_are_trimmed_by_the_clock_and_the_horizon_moves(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1, timing=Timing(stream_keep_s=30))
    lab.create()
    enable(lab)
    arn = arn_of(lab)
    (shard,) = shards_of(lab, arn)
    lab.put("a", 1)
    place = iterator(lab, arn, shard["ShardId"])
    lab.run(20 * SECOND)
    lab.put("a", 2)
    first: Any = lab.call("GetRecords", ShardIterator=place)
    numbers = [record["dynamodb"]["SequenceNumber"] for record in first.body["Records"]]
    assert len(numbers) == 2
    lab.run(12 * SECOND)
    trimmed: Any = lab.call("GetRecords", ShardIterator=place)
    assert trimmed.error == "TrimmedDataAccessException"
    at: dict[str, Any] = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": numbers[0]}
    trimmed = lab.call("GetShardIterator", StreamArn=arn, ShardId=shard["ShardId"], **at)
    assert trimmed.error == "TrimmedDataAccessException"
    answer: Any = lab.call("GetRecords", ShardIterator=iterator(lab, arn, shard["ShardId"]))
    assert [record["dynamodb"]["SequenceNumber"] for record in answer.body["Records"]] == numbers[1:]
    for number in range(140):
        lab.put("b", number)
    lab.run(31 * SECOND)
    lab.put("b", "last")
    (state, *_) = states(lab)
    held = state.shards[-1]
    assert len(held.changes) < 140 and held.trimmed > 0


@pytest.mark.claim("S148")
def test_a_shard_that_has_been_open_for_long_is_followed_by_another(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1, timing=Timing(stream_roll_s=20))
    lab.create()
    enable(lab)
    reader = Reader(lab, arn_of(lab))
    for turn in range(3):
        lab.put("a", turn)
        lab.run(21 * SECOND)
    lab.put("a", "last")
    reader.drain()
    reader.judge(contents(lab))
    assert len(reader.parents) == 4 and len(reader.told) == 4
    lineage = [shard.get("ParentShardId") for shard in shards_of(lab, reader.arn)]
    assert lineage[1:] == [shard["ShardId"] for shard in shards_of(lab, reader.arn)][:-1]


def test_shards_outlive_the_log_before_a_snapshot(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1)
    lab.create()
    enable(lab)
    for number in range(12):
        lab.put(f"k{number}", number)
    index, group = lab.leader("k0")
    lab.simulation.order(index, m.SplitNow(group))
    lab.run(3 * SECOND)
    lab.put("k1", "more")
    for state in states(lab):
        header = SnapshotHeader(state.spec, state.applied, state.log_time_ns, state.spec.members, (1, "n1"), 0)
        copy = state.fresh()
        copy.load(header, [state.image(part) for part in state.view()])
        assert copy.shards == state.shards and state.shards


def test_a_replica_that_takes_a_snapshot_has_the_stream_too(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1, log_records_max=100)
    lab.create()
    enable(lab)
    lab.put("a", 0)
    index, group = lab.leader("a")
    other = next(host for host in lab.members(group) if host != index)
    lab.simulation.crash(other)
    for number in range(260):
        lab.put(f"k{number % 5}", number)
    lab.simulation.restart(other)
    lab.run(15 * SECOND)
    assert "snapshot-installed" in lab.kinds()
    copies = shards_by_group(lab)[group]
    assert len(copies) == 3 and copies[0] == copies[1] == copies[2]
    assert len(copies[0][-1].changes) == 261


def test_a_table_without_a_stream_has_no_shards_and_keeps_no_records(lab: Lab) -> None:
    lab.put("a", 1)
    lab.put("a", 2)
    assert all(state.shards == [] for state in states(lab))
    assert lab.call("ListStreams").body == {"Streams": []}


def test_a_digest_covers_every_change_in_time_and_few_at_once() -> None:
    stream = m.StreamForm("label", "KEYS_ONLY")
    changes = [Change(number, "INSERT", 5, {"pk": {"S": str(number)}}, None, None) for number in range(1300)]
    shards = [
        Shard("one", "", stream, 0, 1, ended=700, closed_ns=2, changes=changes[:701]),
        Shard("two", "one", stream, 701, 2, changes=changes[701:]),
    ]
    covered: dict[int, bool] = {}
    for slot in range(100, 103):
        numbers = [
            part[0]
            for part in digested(shards, slot)
            if isinstance(part, list) and len(part) == 7 and part[1] == "INSERT"
        ]
        assert len(numbers) <= 512
        covered.update(dict.fromkeys(numbers, True))
    assert sorted(covered) == list(range(1300))

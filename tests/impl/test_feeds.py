"""What goes to a Kinesis destination: every change of the table, from each partition's log, whatever dies meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dynalab.consumers import in_order
from dynalab.consumers.kinesis import DataStream, Disorder
from dynalab.lab.kinesis import Deliveries
from dynalab_impl import codec, feeds
from dynalab_impl import messages as m
from dynalab_impl.effects import Response
from dynalab_impl.partition import Partition
from dynalab_impl.snapshot import SnapshotHeader
from dynalab_impl.stream_shards import digested
from dynalab_impl.table_entry import FEEDS
from dynalab_model.operations import Operation, ReadSettings
from dynalab_model.schema import KeyAttribute, KeySchema, TableSchema
from dynalab_model.values import Item

from .conftest import SECOND, Lab
from .test_streams import contents, enable, states

MakeLab = Callable[..., Lab]
ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/changes"


def ask(lab: Lab, operation: Operation) -> Response:
    """A request that no client could make: what the lab asks a router."""
    token = lab.simulation.request(0, 0, operation)
    for _ in range(8_000):
        if token in lab.answers:
            return lab.answers[token]
        lab.run(SECOND // 1_000)
    raise AssertionError("no answer")


class Carrier:
    """The lab's own deliveries, stepped by hand in virtual time."""

    def __init__(self, lab: Lab) -> None:
        async def call(operation: Operation) -> Response:
            return ask(lab, operation)

        self.deliveries = Deliveries(call)

    def step(self) -> bool:
        return asyncio.run(self.deliveries.step())

    def bodies(self) -> list[Any]:
        stream = self.deliveries.streams.get(ARN)
        return [] if stream is None else [record["Data"] for record in stream.read(0, 10_000)]


def carried(carrier: Carrier) -> list[Any]:
    """What the records say, once each and in order."""
    return [body["dynamodb"] for body in in_order(carrier.bodies())]


def change(lab: Lab, action: str, precision: str = "", table: str = "things") -> None:
    """One step of the table's destination, to its end."""
    name = f"{action.capitalize()}KinesisStreamingDestination"
    more: dict[str, Any] = {}
    if precision:
        kind = "Update" if action == "UPDATE" else "Enable"
        more[f"{kind}KinesisStreamingConfiguration"] = {"ApproximateCreationDateTimePrecision": precision}
    answer = lab.call(name, TableName=table, StreamArn=ARN, **more)
    assert answer.status == 200, answer
    for _ in range(100):
        body: Any = lab.call("DescribeKinesisStreamingDestination", TableName=table).body
        if body["KinesisDataStreamDestinations"][-1]["DestinationStatus"] in ("ACTIVE", "DISABLED"):
            return
        lab.run(SECOND // 10)
    raise AssertionError("the step does not end")


def folded(bodies: list[Any]) -> dict[str, Any]:
    """The table that the records tell of, as a consumer finds it."""
    table: dict[str, Any] = {}
    for body in in_order(bodies):
        told: Any = body["dynamodb"]
        table.pop(told["Keys"]["pk"]["S"], None)
        if body["eventName"] != "REMOVE":
            table[told["Keys"]["pk"]["S"]] = told["NewImage"]
    return table


@pytest.mark.claim("S149")
@pytest.mark.parametrize("seed", [3, 7, 11])
def test_a_consumer_gets_the_table_back_over_splits_killed_leaders_and_a_lost_disk(
    make_lab: MakeLab, seed: int
) -> None:
    lab = make_lab(partitions=1, seed=seed)
    lab.create()
    change(lab, "ENABLE", "MICROSECOND")
    carrier = Carrier(lab)
    for turn in range(4):
        for number in range(12):
            lab.put(f"k{number}", 100 * turn + number)
            if number == 5:
                carrier.step()  # the rest is still there when what follows happens
        lab.call("DeleteItem", TableName="things", Key={"pk": {"S": f"k{turn}"}})
        lab.run(3 * SECOND)
        index, group = lab.leader("k3")
        if turn % 2:
            lab.simulation.crash(index)
            lab.put("k3", "while nobody knew who leads")
            carrier.step()
            lab.run(2 * SECOND)
            if turn == 3:
                lab.simulation.wipe(index)
            lab.simulation.restart(index)
        else:
            lab.simulation.order(index, m.SplitNow(group))
    lab.run(15 * SECOND)
    for _ in range(4):
        assert carrier.step(), "the destination is there: more may come"
    ids = [body["eventID"] for body in carrier.bodies()]
    assert len(set(ids)) == 4 * 13 + 2 < len(ids), "every change, and some of them twice"
    assert folded(carrier.bodies()) == contents(lab)
    by_group: dict[str, list[Partition]] = {}
    for state in states(lab):
        by_group.setdefault(state.spec.group, []).append(state)
    assert len(by_group) == 3
    for copies in by_group.values():
        assert len(copies) == 3 and all(copy.feed == copies[0].feed for copy in copies)


def test_changes_go_there_from_the_end_of_enabling_to_the_beginning_of_disabling(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=2)
    lab.create()
    carrier = Carrier(lab)
    assert not carrier.step(), "no table has a destination: nothing to do"
    lab.put("a", "before")
    change(lab, "ENABLE")
    lab.put("a", "during")
    change(lab, "DISABLE")
    lab.put("a", "after")
    lab.run(2 * SECOND)
    assert carrier.step(), "what the feed has told is carried, though it has ended"
    assert not carrier.step() and not carrier.step()
    (first,) = {body["eventID"]: body for body in carrier.bodies()}.values()
    told = first["dynamodb"]
    assert (told["OldImage"]["v"], told["NewImage"]["v"]) == ({"S": "before"}, {"S": "during"})
    assert told["SizeBytes"] == 3 + 10 + 10 and "SequenceNumber" not in told
    change(lab, "ENABLE")
    lab.put("a", "again")
    change(lab, "DISABLE")
    change(lab, "ENABLE")
    while_away = Carrier(lab)  # whoever comes late gets what was kept each time
    for one in (carrier, while_away):
        one.step()
        one.step()
        values = [told["NewImage"]["v"]["S"] for told in carried(one)]
        assert values == ["during", "again"]
    body: Any = lab.call("DescribeKinesisStreamingDestination", TableName="things").body
    assert len(body["KinesisDataStreamDestinations"]) == 1, "one that is enabled again is no second one"


def test_a_table_may_have_a_stream_and_a_destination_and_each_tells_the_same_changes(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1)
    lab.create()
    enable(lab, "KEYS_ONLY")
    change(lab, "ENABLE")
    for number in range(5):
        lab.put("a", number)
    lab.put("a", 4)  # changes nothing
    carrier = Carrier(lab)
    carrier.step()
    carrier.step()
    assert len({body["eventID"] for body in carrier.bodies()}) == 5
    listed: Any = lab.call("ListStreams", TableName="things").body
    assert len(listed["Streams"]) == 1
    for state in states(lab):
        assert len(state.shards[-1].changes) == len(state.feed[-1].changes) == 5
        assert state.shards[-1].changes[0].new is None and state.feed[-1].changes[0].new is not None
        assert state.shards[-1].id != state.feed[-1].id


def test_another_precision_holds_for_what_is_written_behind_it_alone(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1)
    lab.create()
    change(lab, "ENABLE")
    lab.put("a", 1)
    change(lab, "UPDATE", "MICROSECOND")
    lab.put("a", 2)
    carriers = [Carrier(lab), Carrier(lab)]
    for carrier in carriers:
        carrier.step()
        carrier.step()
        told = carried(carrier)
        assert [one["ApproximateCreationDateTimePrecision"] for one in told] == ["MILLISECOND", "MICROSECOND"]
        assert len(str(told[1]["ApproximateCreationDateTime"])) == 3 + len(str(told[0]["ApproximateCreationDateTime"]))
        assert folded(carrier.bodies()) == contents(lab)
    (state, *_) = states(lab)
    first, second = state.feed
    assert (first.ended > 0, second.ended, second.parent) == (True, 0, first.id)


def test_no_client_reads_a_feed_by_its_name(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1)
    lab.create()
    change(lab, "ENABLE")
    lab.put("a", 1)
    listed: Any = ask(lab, ReadSettings(FEEDS)).body["Feeds"]
    ((_, label, _, _),) = listed
    arn = f"arn:aws:dynamodb:us-east-1:000000000000:table/things/stream/{label}"
    (shard,) = states(lab)[0].feed
    asked: list[tuple[str, dict[str, Any]]] = [
        ("DescribeStream", {"StreamArn": arn}),
        ("GetShardIterator", {"StreamArn": arn, "ShardId": shard.id, "ShardIteratorType": "TRIM_HORIZON"}),
    ]
    for name, body in asked:
        with pytest.raises(Exception, match="Invalid StreamArn"):
            lab.call(name, **body)
    carrier = Carrier(lab)
    carrier.step()
    (place,) = next(iter(carrier.deliveries.readers.values())).places.values()
    with pytest.raises(Exception, match="Invalid ShardIterator"):
        lab.call("GetRecords", ShardIterator=place)


# --- one partition --------------------------------------------------------------------------------------------------


def fed(roll_s: int = 14_400) -> Partition:
    schema = TableSchema("things", KeySchema(KeyAttribute("pk", "S")))
    partition = Partition(m.GroupSpec("things/3.0", "things", "", b"", b"", (), schema), SECOND)
    feed = m.StreamForm("feed-1970-01-01T00:00:00.000", "NEW_AND_OLD_IMAGES", roll_s, precision="MICROSECOND")
    partition.apply(m.Entry((1, "n"), 1, SECOND, ("", 0), 0, m.Reform(m.Form(1, schema, feed=feed))))
    return partition


def test_times_go_on_within_a_shard_where_the_time_of_the_log_stands_still() -> None:
    partition = fed()
    for slot in range(2, 12):
        item: Item = {"pk": {"S": "a"}, "n": {"N": str(slot)}}
        partition.apply(m.Entry((1, "n"), slot, 5 * SECOND, ("r", slot), 0, m.Write(b"a", item, {})))
    (shard,) = partition.feed
    bodies = [feeds.record_body(one, shard, "things") for one in shard.changes]
    stream = DataStream(ARN, Disorder(seed=2, duplicates_percent=50))
    stream.put(bodies, 0.0)
    told: list[Any] = [record["Data"] for record in stream.read()]
    assert len(told) > 10 and told[:10] != bodies
    assert in_order(told) == bodies


@pytest.mark.parametrize("how", ["split", "precision", "roll"])
def test_times_go_on_from_a_shard_to_its_children_where_the_time_of_the_log_stands_still(how: str) -> None:
    """A clock that is behind leads: the log's time stands still, and the last times of a shard are ahead of it."""
    schema = TableSchema("things", KeySchema(KeyAttribute("pk", "S")))
    partition = fed(roll_s=6)
    now_ns = 5 * SECOND

    def write(state: Partition, number: int) -> None:
        item: Item = {"pk": {"S": "a"}, "n": {"N": str(number)}}
        state.apply(m.Entry((1, "n"), state.applied + 1, now_ns, ("r", number), 0, m.Write(b"a", item, {})))

    for number in range(5):
        write(partition, number)
    states = [partition]
    command: m.Command | None = None
    if how == "split":
        left = m.GroupSpec("things/3.0.0", "things", "", b"", b"b", (), schema, partition.applied + 1)
        command = m.Split(left, replace(left, group="things/3.0.1", low=b"b", high=b""))
    elif how == "precision":
        assert partition.form is not None and partition.form.feed is not None
        form = partition.form
        command = m.Reform(replace(form, version=2, feed=replace(partition.form.feed, precision="MILLISECOND")))
    else:
        now_ns += 7 * SECOND
        partition.feed[0].changes[-1] = replace(partition.feed[0].changes[-1], time_ns=now_ns + SECOND)
    if command is not None:
        partition.apply(m.Entry((1, "n"), partition.applied + 1, now_ns, ("", 0), 0, command))
    if partition.halves is not None:
        states = list(partition.halves)
    for number in range(5, 10):
        for state in states:
            write(state, number)
    for state in states:
        closed = states[0].feed[0]
        last = closed.changes[-1].time_ns
        assert closed.ended and state.feed[-1].parent == closed.id
        for change in state.feed[-1].changes:
            assert change.time_ns >= last + 1_000
            last = change.time_ns
        images = [state.image(part) for part in state.view()]
        loaded = state.fresh()
        loaded.load(SnapshotHeader(state.spec, state.applied, state.log_time_ns, (), m.NO_BALLOT, 0), images)
        assert loaded.feed == state.feed


def test_a_feed_is_in_snapshots_and_in_digests() -> None:
    partition = fed()
    item: Item = {"pk": {"S": "a"}}
    partition.apply(m.Entry((1, "n"), 2, 2 * SECOND, ("r", 2), 0, m.Write(b"a", item, {})))
    images = [partition.image(part) for part in partition.view()]
    loaded = partition.fresh()
    header = SnapshotHeader(
        partition.spec, partition.applied, partition.log_time_ns, (), m.NO_BALLOT, partition.counter
    )
    loaded.load(header, images)
    assert loaded.feed == partition.feed and loaded.shards == [] and loaded.form == partition.form
    assert digested(loaded.feed, 2) == digested(partition.feed, 2)


def test_what_came_later_is_left_out_where_it_says_nothing_and_what_is_older_is_read() -> None:
    schema = TableSchema("things", KeySchema(KeyAttribute("pk", "S")))
    plain = m.Alter("g", m.Form(3, schema, m.StreamForm("label", "KEYS_ONLY"), "ttl"))
    data = codec.encode(plain)
    assert data.endswith(b'["StreamForm","label","KEYS_ONLY",14400,86400,0],"ttl",false]]')
    assert codec.decode(data) == plain
    feed = m.StreamForm("feed-x", "NEW_AND_OLD_IMAGES", precision="MILLISECOND")
    full = m.Alter("g", m.Form(3, schema, feed=feed))
    assert codec.decode(codec.encode(full)) == full
    with pytest.raises(codec.CodecError, match="Form has 6 fields, not 4"):
        codec.decode(b'[1,"Alter","g",["Form",3,null,null,""]]')

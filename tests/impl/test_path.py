"""The table of hops that the course draws is what really happens."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_impl import messages, metadata, stream_messages, stream_shards, transact_messages
from dynalab_impl.effects import Address, Effects, Message
from dynalab_impl.path import PATHS, SHARD_LIFE, Hop
from dynalab_impl.service import make_node
from dynalab_model.events import KINDS
from dynalab_model.schema import KeyAttribute, KeySchema, TableSchema

ROOMS = (messages, metadata, stream_messages, transact_messages)
INSIDE = {"request", "response", "append", "apply"}


@pytest.mark.parametrize("path", PATHS.values(), ids=list(PATHS))
def test_every_hop_names_a_message_and_begins_where_one_has_arrived(path: tuple[Hop, ...]) -> None:
    reached = {path[0].source}
    for hop in path:
        assert hop.source in reached, hop
        kinds = [getattr(room, hop.message, None) for room in ROOMS]
        kind = next((one for one in kinds if one is not None), None)
        assert hop.message in INSIDE or (kind is not None and issubclass(kind, Message)), hop
        reached.add(hop.target)
    assert path[-1].why and path[0].source in ("client", "leader", "item's leader")


class Tap:
    """A node that writes down what it is sent."""

    def __init__(self, node: Any, names: list[str]) -> None:
        self.node = node
        self.names = names

    def on_message(self, sender: Address, message: Message, effects: Effects) -> None:
        self.names.append(type(message).__name__)
        self.node.on_message(sender, message, effects)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.node, name)


@pytest.mark.claim("S21", "S23")
def test_a_traced_write_takes_the_hops_of_the_table(make_lab: Any) -> None:
    names: list[str] = []
    lab = make_lab(seed=6, make=lambda *place: Tap(make_node(*place), names))
    lab.create(index=True)
    lab.put("warm", 1, attributes={"colour": {"S": "red"}})
    lab.run(2_000_000_000)
    names.clear()
    lab.put("warm", 2, attributes={"colour": {"S": "red"}})
    lab.run(50_000_000)
    wanted = [hop.message for hop in PATHS["write"] if hop.message not in INSIDE]
    # Answer and Commit leave together, and so do the first steps of the index: only their beginning is in order.
    first = [n for n in dict.fromkeys(names) if n in wanted]
    assert first[:3] == wanted[:3] and sorted(first) == sorted(wanted), names


@pytest.mark.claim("S21", "S87")
def test_a_traced_read_of_a_cold_router_and_one_of_a_moved_partition_take_the_hops_of_the_table(make_lab: Any) -> None:
    names: list[str] = []
    lab = make_lab(seed=6, make=lambda *place: Tap(make_node(*place), names), nodes_per_zone=1, routers=2, partitions=1)
    lab.create()
    lab.put("a", 1)
    router = lab.simulation.hosts[-1].node.node
    # The table's own question comes before it: a router that has served anything of the table knows its keys.
    router.routes.schemas.update(lab.simulation.hosts[-2].node.node.routes.schemas)
    router.catalog_leader = lab.simulation.hosts[-2].node.node.catalog_leader
    names.clear()
    lab.call("GetItem", router=1, TableName="things", Key={"pk": {"S": "a"}})
    taken = [name for name in names if name in ("Find", "Found", "GetRequest", "GetReply", "Moved")]
    assert taken == [hop.message for hop in PATHS["cold read"] if hop.message not in INSIDE]
    lab.put("b", 2)
    leader, group = lab.leader("a")
    lab.simulation.network.transmit(leader, leader, messages.SplitNow(group), lab.simulation.now)
    lab.run(50_000_000)
    names.clear()
    assert lab.get("a") == "1"
    taken = [name for name in names if name in ("Find", "Found", "GetRequest", "GetReply", "Moved")]
    assert taken == [hop.message for hop in PATHS["moved read"] if hop.message not in INSIDE]


@pytest.mark.claim("S34")
def test_a_traced_split_takes_the_hops_of_the_table(make_lab: Any) -> None:
    names: list[str] = []
    wanted = [hop.message for hop in PATHS["split"] if hop.message not in INSIDE]
    tap = lambda *place: Tap(make_node(*place), names)  # noqa: E731
    lab = make_lab(seed=6, make=tap, partitions=1, nodes_per_zone=1, log_records_max=100, split_bytes=6_000)
    lab.create()
    for number in range(144):
        assert lab.put(f"k{number % 12}", "x" * 700).status == 200
    lab.run(12_000_000_000)
    at = names.index("SplitNow")
    assert "SplitWanted" in names[:at]
    first = [name for name in dict.fromkeys(names[at:]) if name in wanted and name != "SplitWanted"]
    assert first == wanted[1:]


def test_every_event_that_is_told_stands_in_the_vocabulary(make_lab: Any) -> None:
    lab = make_lab(seed=7, log_records_max=60)
    lab.create(index=True)
    for i in range(60):
        lab.put("a", i, attributes={"colour": {"S": "red"}})
    lab.simulation.crash(lab.leader("a")[0])
    lab.put("a", "after")
    assert {"committed", "snapshot-written", "index-sent", "leader-elected"} <= set(lab.kinds()) <= set(KINDS)


def told(path: str) -> list[str]:
    return [hop.message for hop in PATHS[path] if hop.message not in INSIDE]


def in_turn(names: list[str], path: str) -> list[str]:
    """The messages of this path, those that several nodes send or get at the same time once."""
    wanted = [name for name in names if name in told(path)]
    return [name for place, name in enumerate(wanted) if place == 0 or name != wanted[place - 1]]


def buy(*keys: str, **more: Any) -> dict[str, Any]:
    puts = [{"Put": {"TableName": "things", "Item": {"pk": {"S": key}, "v": {"S": "new"}}}} for key in keys]
    return {"TransactItems": puts, **more}


@pytest.mark.claim("S70", "S101")
def test_a_traced_transaction_and_a_read_of_several_items_take_the_hops_of_the_table(make_lab: Any) -> None:
    names: list[str] = []
    lab = make_lab(seed=6, make=lambda *place: Tap(make_node(*place), names), nodes_per_zone=1, routers=1)
    lab.create()
    assert lab.call("TransactWriteItems", **buy("a", "b")).status == 200  # the ledger comes with the first one
    lab.run(1_000_000_000)
    names.clear()
    assert lab.call("TransactWriteItems", **buy("a", "b")).status == 200
    lab.run(100_000_000)
    # The last answer is to the ledger's last entry, which nobody waits for.
    assert in_turn(names, "transaction") == [*told("transaction"), "Answer"], names
    names.clear()
    get = {"Get": {"TableName": "things", "Key": {"pk": {"S": "a"}}}}  # of several, answers and questions overlap
    assert lab.call("TransactGetItems", TransactItems=[get]).status == 200
    assert in_turn(names, "transaction read") == told("transaction read")


@pytest.mark.claim("S101")
def test_a_traced_recovery_takes_the_hops_of_the_table(make_lab: Any) -> None:
    """The coordinator dies when the markers are there and nothing is decided."""
    names: list[str] = []
    lab = make_lab(seed=6, make=lambda *place: Tap(make_node(*place), names), nodes_per_zone=1, routers=2)
    lab.create()
    for router in (0, 1):
        assert lab.call("TransactWriteItems", router=router, **buy("a", "b")).status == 200
    lab.run(1_000_000_000)
    lab.told.clear()
    lab.send("TransactWriteItems", **buy("a", "b"))
    while lab.kinds().count("item-prepared") < 2:
        lab.run(10_000)
    lab.simulation.crash(lab.simulation.storage_count)
    names.clear()
    lab.run(20_000_000_000)
    taken = in_turn(names, "recovery")
    begin = taken.index("Stalled")
    assert taken[begin : begin + len(told("recovery"))] == told("recovery"), taken
    assert lab.kinds().count("item-committed") == 2
    lab.simulation.restart(lab.simulation.storage_count)
    assert lab.get("a") == lab.get("b") == "new"


@pytest.mark.claim("S148")
def test_a_traced_read_of_a_stream_takes_the_hops_of_the_table(make_lab: Any) -> None:
    names: list[str] = []
    lab = make_lab(seed=6, make=lambda *place: Tap(make_node(*place), names), nodes_per_zone=1, routers=1, partitions=1)
    lab.create()
    view = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    assert lab.call("UpdateTable", TableName="things", StreamSpecification=view).status == 200
    lab.run(2_000_000_000)
    lab.put("a", 1)
    arn = lab.call("DescribeTable", TableName="things").body["Table"]["LatestStreamArn"]
    (shard,) = lab.call("DescribeStream", StreamArn=arn).body["StreamDescription"]["Shards"]
    names.clear()
    where = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    place = lab.call("GetShardIterator", **where).body["ShardIterator"]
    assert len(lab.call("GetRecords", ShardIterator=place).body["Records"]) == 1
    assert in_turn(names, "stream read") == told("stream read")


def test_a_shard_lives_as_the_table_says() -> None:
    """Each row, done to a partition that has no stream: the states before and after are those of the table."""
    key = KeySchema(KeyAttribute("pk", "S"))
    stream = messages.StreamForm("label", "KEYS_ONLY", roll_s=10, keep_s=100)
    second = stream_shards.SECOND

    def group(name: str) -> messages.GroupSpec:
        return messages.GroupSpec(name, "t", "", b"", b"", (), None)

    def opened() -> list[stream_shards.Shard]:
        shards: list[stream_shards.Shard] = []
        stream_shards.reform(shards, "g", stream, 1, second)
        return shards

    def state(shards: list[stream_shards.Shard], name: str) -> str:
        found = [shard for shard in shards if shard.id == name]
        return "trimmed" if not found else "closed shard" if found[0].ended else "open shard"

    def change(shards: list[stream_shards.Shard]) -> None:
        stream_shards.note(shards, TableSchema("t", key), 2, second, None, {"pk": {"S": "a"}}, "")
        assert len(shards[0].changes) == 1

    def split(shards: list[stream_shards.Shard]) -> None:
        halves = stream_shards.divide(shards, (group("l"), group("r")), 2, second, stream)
        assert [half[-1].parent for half in halves] == 2 * [shards[0].id] and len(halves[0]) == 2

    def roll(shards: list[stream_shards.Shard]) -> None:
        stream_shards.pass_time(shards, "g", 3, 11 * second)
        assert [shard.parent for shard in shards] == ["", shards[0].id]

    def disable(shards: list[stream_shards.Shard]) -> None:
        stream_shards.reform(shards, "g", None, 2, second)
        assert len(shards) == 1

    def wait(shards: list[stream_shards.Shard]) -> None:
        stream_shards.pass_time(shards, "g", 3, 101 * second)

    events = {"change": change, "split": split, "roll-over": roll, "disabled": disable}
    for hop in SHARD_LIFE:
        shards = opened()
        name = shards[0].id
        if hop.message == "enabled":
            assert (hop.source, hop.target) == ("no stream", state(shards, name))
        elif hop.message == "a day":
            disable(shards)
            assert hop.source == state(shards, name)
            wait(shards)
            assert hop.target == state(shards, name)
        else:
            assert hop.source == state(shards, name)
            events[hop.message](shards)
            assert hop.target == state(shards, name)


@pytest.mark.claim("S27")
def test_a_new_index_takes_the_hops_of_the_table(make_lab: Any) -> None:
    names: list[str] = []
    lab = make_lab(seed=6, make=lambda *place: Tap(make_node(*place), names), partitions=1)
    lab.create()
    lab.put("warm", 1, attributes={"colour": {"S": "red"}})
    lab.run(2_000_000_000)
    names.clear()
    keys = [{"AttributeName": "colour", "KeyType": "HASH"}]
    made = {"IndexName": "by-colour", "KeySchema": keys, "Projection": {"ProjectionType": "ALL"}}
    types = [{"AttributeName": "colour", "AttributeType": "S"}]
    lab.call(
        "UpdateTable",
        TableName="things",
        GlobalSecondaryIndexUpdates=[{"Create": made}],
        AttributeDefinitions=types,
    )
    lab.run(3_000_000_000)
    wanted = list(dict.fromkeys(hop.message for hop in PATHS["new index"] if hop.message not in INSIDE))
    assert [name for name in dict.fromkeys(names) if name in wanted] == wanted
    assert max(place for place, name in enumerate(names) if name == "Altered") > names.index("IndexReply")

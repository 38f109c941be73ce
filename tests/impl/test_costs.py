"""What a request costs, and what it does not depend on: the size of the table, the number of partitions, the load."""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt
from typing import Any

import pytest

from dynalab_impl.effects import Timing
from dynalab_impl.messages import NO_REQUEST, Entry, GroupSpec, Write
from dynalab_impl.partition import Partition
from dynalab_model.schema import KeyAttribute, KeySchema, TableSchema

from .conftest import SECOND, Lab

MakeLab = Callable[..., Lab]
SCHEMA = TableSchema("t", KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "N")))


class Key(bytes):
    """A key that counts how often it is compared with another one."""

    compared = 0

    def __lt__(self, other: bytes) -> bool:
        Key.compared += 1
        return bytes.__lt__(self, other)

    def __gt__(self, other: bytes) -> bool:
        Key.compared += 1
        return bytes.__gt__(self, other)


def filled(count: int) -> Partition:
    """A partition of so many items, ten to an item collection."""
    state = Partition(GroupSpec("g", "t", "", b"", b"", (), SCHEMA), 20 * SECOND)
    for number in range(count):
        key = Key(f"{number // 10:08d}/{number % 10}".encode())
        state.apply(Entry((1, "n"), number + 1, 0, NO_REQUEST, 0, Write(key, {"v": {"N": str(number)}}, {})))
    return state


@pytest.mark.claim("S88")
def test_a_range_read_costs_what_it_returns_whatever_the_size_of_the_table() -> None:
    compared: list[int] = []
    for count in (1_000, 64_000):
        state = filled(count)
        collection = f"{count // 20:08d}/"
        Key.compared = 0
        low, high = Key(f"{collection}3".encode()), Key(f"{collection}7".encode())
        keys, items, more = state.rows(low, high, b"", True, 100, 1 << 20)
        assert keys == [f"{collection}{place}".encode() for place in range(3, 7)] and len(items) == 4 and not more
        compared.append(Key.compared)
    # Finding both ends is a search by halving: 64 times as many items are six more halvings for each.
    assert 4 <= compared[0] <= 60, compared
    assert compared[1] - compared[0] <= 2 * 6 + 4, compared


def groups_that_read(lab: Lab, name: str, **body: Any) -> int:
    """How many partitions a read asked."""
    heard = len(lab.told)
    answer = lab.call(name, TableName="things", ConsistentRead=True, **body)
    assert answer.status == 200 and answer.body["Count"] == 1, answer
    return len({event.group for _, _, event in lab.told[heard:] if event.kind == "read-strong"})


@pytest.mark.claim("S89")
def test_a_query_by_key_asks_one_partition_and_a_search_by_anything_else_asks_all(make_lab: MakeLab) -> None:
    for partitions in (2, 8):
        lab = make_lab(partitions=partitions)
        lab.create(sort_key=True)
        for number in range(24):
            assert lab.put(f"k{number}", number, attributes={"sk": {"N": "1"}}).status == 200
        values = {":k": {"S": "k7"}}
        by_key = groups_that_read(lab, "Query", KeyConditionExpression="pk = :k", ExpressionAttributeValues=values)
        by_value = {":v": {"S": "7"}}
        scattered = groups_that_read(lab, "Scan", FilterExpression="v = :v", ExpressionAttributeValues=by_value)
        assert (by_key, scattered) == (1, partitions)


@pytest.mark.claim("S25", "S91")
def test_two_of_three_eventual_reads_are_fresh_while_the_third_replica_lags_for_ever(make_lab: MakeLab) -> None:
    lab = make_lab(nodes_per_zone=1, routers=1, partitions=1)
    lab.create()
    assert lab.put("a", "old").status == 200
    lab.run(SECOND)
    leader, group = lab.leader("a")
    third = next(index for index in lab.members(group) if index != leader)
    others = [index for index in lab.members(group) if index != third]
    lab.rule("cut", [third], others, both_ways=True)
    assert lab.put("a", "new").status == 200, "one follower is enough"
    lab.run(SECOND // 10)
    draws = 1_500
    key = {"pk": {"S": "a"}}
    tokens = [lab.send("GetItem", TableName="things", Key=key, ConsistentRead=False) for _ in range(draws)]
    lab.run(SECOND)
    found: list[Any] = [lab.answers[token].body["Item"] for token in tokens]
    fresh = sum(item["v"]["S"] == "new" for item in found)
    assert fresh + sum(item["v"]["S"] == "old" for item in found) == draws
    # Each read draws one of three replicas: within three standard deviations of two in three.
    deviation = isqrt(draws * 2 // 9) + 1
    assert abs(fresh - 2 * draws // 3) <= 3 * deviation, fresh
    assert lab.get("a") == "new"


def p99_ns(lab: Lab, rate: int) -> int:
    """Writes of different keys at this rate for a second of virtual time; how long all but one in a hundred took."""
    began: dict[int, int] = {}
    took: dict[int, int] = {}
    before = lab.on_response

    def on_response(token: int, response: Any) -> None:
        before(token, response)
        assert response.status == 200
        took[token] = lab.simulation.now - began[token]

    lab.on_response = on_response  # type: ignore[method-assign]
    for number in range(rate):
        token = lab.send("PutItem", TableName="things", Item={"pk": {"S": f"key{number}"}}, router=number % 2)
        began[token] = lab.simulation.now
        lab.run(SECOND // rate)
    lab.run(SECOND)
    lab.on_response = before  # type: ignore[method-assign]
    assert len(took) == rate
    return sorted(took.values())[rate * 99 // 100]


@pytest.mark.claim("S141")
def test_the_slowest_writes_take_no_longer_under_eight_times_the_load(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=16)
    lab.create()
    p99_ns(lab, 100)  # the routers learn where the partitions lie
    quiet, busy = p99_ns(lab, 100), p99_ns(lab, 800)
    assert busy * 10 <= quiet * 13, (quiet, busy)


@pytest.mark.claim("S141")
def test_the_slowest_writes_take_no_longer_on_more_partitions_under_as_much_more_load(make_lab: MakeLab) -> None:
    tails: list[int] = []
    for partitions in (2, 12):
        lab = make_lab(partitions=partitions)
        lab.create()
        p99_ns(lab, 100)
        tails.append(p99_ns(lab, 60 * partitions))
    assert tails[1] * 10 <= tails[0] * 13, tails


def test_with_one_accept_in_flight_writes_that_come_meanwhile_go_in_one_batch(make_lab: MakeLab) -> None:
    batches: dict[int, list[int]] = {}
    for in_flight in (1, 4):
        lab = make_lab(partitions=1, timing=Timing(accepts_in_flight=in_flight))
        lab.create()
        heard = len(lab.told)
        tokens = [lab.send("PutItem", TableName="things", Item={"pk": {"S": f"k{n}"}}) for n in range(40)]
        lab.run(2 * SECOND)
        assert all(lab.answers[token].status == 200 for token in tokens)
        accepted = [event for _, _, event in lab.told[heard:] if event.kind == "accepted"]
        batches[in_flight] = [1 for event in accepted if event.group == lab.leader("k0")[1]]
    # Two followers: the first write alone, and the others while it is on its way.
    assert sum(batches[1]) <= 2 * 3, batches
    assert sum(batches[1]) < sum(batches[4]) <= 2 * 10, batches

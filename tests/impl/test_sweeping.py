"""Items that expire are removed in the background, once, never a renewed one, and nobody pays (operations.md §4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dynalab_fault_injection.simulator.simulation import WALL_EPOCH_NS
from dynalab_impl import messages as m
from dynalab_impl.effects import Limits, Timing

SECOND = 1_000_000_000


def expire_by(lab: Any, name: str = "expires", enabled: bool = True) -> None:
    specification = {"Enabled": enabled, "AttributeName": name}
    answer = lab.call("UpdateTimeToLive", TableName="things", TimeToLiveSpecification=specification)
    assert answer.status == 200, answer
    lab.run(SECOND)


def now_s(lab: Any) -> int:
    """By the wall clock that the machines of a simulation agree about."""
    return int((WALL_EPOCH_NS + lab.simulation.now) // SECOND)


def put(lab: Any, key: str, expires: Any, **more: Any) -> Any:
    return lab.put(key, 1, attributes={"expires": {"N": str(expires)}, **more})


def swept(lab: Any) -> int:
    return int(lab.kinds().count("swept"))


@pytest.mark.claim("S79")
def test_an_expired_item_is_removed_and_another_is_not(lab: Any) -> None:
    expire_by(lab)
    put(lab, "old", now_s(lab) - 10)
    put(lab, "soon", now_s(lab) + 20)
    put(lab, "never", "0")
    lab.put("without", 1)
    lab.run(3 * SECOND)
    assert [lab.get(key) for key in ("old", "soon", "never", "without")] == [None, "1", "1", "1"]
    assert swept(lab) == 1
    lab.run(25 * SECOND)
    assert [lab.get(key) for key in ("soon", "never")] == [None, "1"]
    assert swept(lab) == 2


@pytest.mark.claim("S182")
def test_an_expired_item_is_read_and_written_until_the_sweep_comes(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(timing=Timing(sweep_ns=3_600 * SECOND))
    lab.create()
    expire_by(lab)
    put(lab, "old", now_s(lab) - 10)
    assert lab.get("old") == "1"
    update = {
        "Key": {"pk": {"S": "old"}},
        "UpdateExpression": "SET v = :v",
        "ExpressionAttributeValues": {":v": {"S": "2"}},
    }
    assert lab.call("UpdateItem", TableName="things", **update).status == 200
    lab.run(60 * SECOND)
    assert lab.get("old") == "2" and swept(lab) == 0


@pytest.mark.claim("S183")
def test_the_moment_of_expiry_itself_is_not_over_yet(lab: Any) -> None:
    expire_by(lab)
    at = now_s(lab) + 6
    for off in (-1, 0, 1):
        put(lab, f"k{off}", at + off)
    while WALL_EPOCH_NS + lab.simulation.now < at * SECOND - SECOND // 10:
        assert lab.get("k0") == "1" and lab.get("k1") == "1"
        lab.run(SECOND // 5)
    lab.run(5 * SECOND)
    assert [lab.get(f"k{off}") for off in (-1, 0, 1)] == [None, None, None]


def test_a_renewal_that_is_logged_before_the_sweep_wins(lab: Any) -> None:
    """The sweep names the version that it saw; a late copy of it finds another one."""
    expire_by(lab)
    put(lab, "a", now_s(lab) + 3_600)
    index, group = lab.leader("a")
    replica = lab.simulation.hosts[index].node.replicas[group]
    [(key, stored)] = [(k, s) for k, s in replica.state.items.items()]
    put(lab, "a", now_s(lab) + 7_200)
    entry = m.Entry(
        (1, "x"), replica.state.applied + 1, replica.state.log_time_ns, m.NO_REQUEST, 0, m.Sweep(key, stored.version)
    )
    replica.state.apply(entry)
    assert replica.state.get(key)["expires"]["N"] == str(now_s(lab) + 7_200)
    newer = replica.state.items[key].version
    entry = m.Entry((1, "x"), entry.slot + 1, entry.time_ns, m.NO_REQUEST, 0, m.Sweep(key, newer))
    replica.state.apply(entry)
    assert replica.state.get(key) is None and replica.state.deleted_slot == entry.slot


def test_a_write_behind_a_sweep_sees_the_item_gone(lab: Any) -> None:
    """Conditions look at what is appended: the sweep is logged, and not committed yet, when the write comes."""
    expire_by(lab)
    put(lab, "a", now_s(lab) - 10)
    before = swept(lab)
    while swept(lab) == before:
        lab.run(100_000)
    again = {"pk": {"S": "a"}, "v": {"S": "2"}}
    answer = lab.call("PutItem", TableName="things", Item=again, ConditionExpression="attribute_not_exists(pk)")
    assert answer.status == 200, answer
    lab.run(3 * SECOND)
    assert lab.get("a") == "2"


def test_nothing_is_swept_when_expiry_is_switched_off_or_looks_at_another_attribute(lab: Any) -> None:
    put(lab, "a", now_s(lab) - 10, until={"N": str(now_s(lab) + 3_600)})
    lab.run(5 * SECOND)
    expire_by(lab, "until")
    lab.run(5 * SECOND)
    assert lab.get("a") == "1" and swept(lab) == 0
    expire_by(lab, "until", enabled=False)
    expire_by(lab, "expires")
    lab.run(3 * SECOND)
    assert lab.get("a") is None and swept(lab) == 1


def test_a_change_of_expiry_shows_until_every_partition_knows_it(lab: Any) -> None:
    def status() -> tuple[str, str]:
        told = lab.call("DescribeTimeToLive", TableName="things").body["TimeToLiveDescription"]
        return told["TimeToLiveStatus"], told.get("AttributeName", "")

    def seen(enabled: bool) -> list[tuple[str, str]]:
        specification = {"Enabled": enabled, "AttributeName": "expires"}
        lab.call("UpdateTimeToLive", TableName="things", TimeToLiveSpecification=specification)
        out: list[tuple[str, str]] = []
        for _ in range(100):
            out += [told for told in [status()] if told not in out]
            lab.run(SECOND // 50)
        return out

    assert status() == ("DISABLED", "")
    assert seen(True) == [("ENABLING", "expires"), ("ENABLED", "expires")]
    assert seen(False) == [("DISABLING", "expires"), ("DISABLED", "")]


@pytest.mark.claim("S80")
def test_a_sweep_costs_the_table_nothing(make_lab: Callable[..., Any]) -> None:
    """The table has bought one write a second; after the sweep of many items it still has all that it had saved up."""
    lab = make_lab(partitions=1, limits=Limits(burst_s=60))
    units = {"ReadCapacityUnits": 100, "WriteCapacityUnits": 1}
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}]
    types = [{"AttributeName": "pk", "AttributeType": "S"}]
    lab.call("CreateTable", TableName="things", KeySchema=keys, AttributeDefinitions=types, ProvisionedThroughput=units)
    lab.run(8 * SECOND)
    for number in range(20):
        assert put(lab, f"k{number}", now_s(lab) - 10).status == 200
    index, group = lab.leader("k0")
    meter = lab.simulation.hosts[index].node.admission.meters[group]
    assert meter.writes is not None
    before = meter.writes.burst.level
    expire_by(lab)
    lab.run(4 * SECOND)
    assert swept(lab) == 20
    assert lab.simulation.hosts[index].node.admission.meters[group].writes.burst.level >= before


@pytest.mark.claim("S30")
def test_a_sweep_reaches_the_indexes(make_lab: Callable[..., Any]) -> None:
    lab = make_lab()
    lab.create(index=True)
    expire_by(lab)
    put(lab, "old", now_s(lab) + 2, colour={"S": "red"})
    put(lab, "young", now_s(lab) + 3_600, colour={"S": "red"})
    lab.run(8 * SECOND)
    values = {":c": {"S": "red"}}
    answer = lab.call(
        "Query",
        TableName="things",
        IndexName="by-colour",
        KeyConditionExpression="colour = :c",
        ExpressionAttributeValues=values,
    )
    assert [item["pk"]["S"] for item in answer.body["Items"]] == ["young"]


def test_items_are_removed_once_though_leaders_change_and_partitions_divide(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(seed=3, sweep_rows=4)
    lab.create()
    expire_by(lab)
    at = now_s(lab) + 8
    for number in range(40):
        put(lab, f"k{number}", at + number % 3)
        lab.put(f"stays{number}", 1) if number % 4 == 0 else None
    index, group = lab.leader("k0")
    lab.simulation.order(index, m.SplitNow(group))
    lab.run(2 * SECOND)
    other, _ = lab.leader("k1")
    lab.simulation.crash(other)
    lab.run(14 * SECOND)
    lab.simulation.restart(other)
    lab.run(16 * SECOND)
    left = lab.call("Scan", TableName="things", ConsistentRead=True)
    assert sorted(item["pk"]["S"] for item in left.body["Items"]) == sorted(f"stays{n}" for n in range(0, 40, 4))


def test_all_rows_are_looked_at_a_few_at_a_time(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(partitions=1, sweep_rows=3)
    lab.create()
    expire_by(lab)
    at = now_s(lab)
    for number in range(12):
        put(lab, f"k{number}", at - 10 if number % 2 else at + 3_600)
    lab.run(10 * SECOND)
    assert [lab.get(f"k{number}") is None for number in range(12)] == [bool(number % 2) for number in range(12)]

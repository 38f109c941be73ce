"""The autoadmin: replicas of dead nodes are built elsewhere, hot nodes lose some, and nobody needs it for a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynalab_impl.effects import Limits

from .conftest import SECOND, Lab

MakeLab = Callable[..., Lab]
KEYS = [f"k{number}" for number in range(12)]


def table_apart(make_lab: MakeLab, **shape: Any) -> Lab:
    """A table of one partition on machines that do not hold the catalog."""
    lab = make_lab(partitions=1, **shape)
    for name in ("first", "second", "third", "things"):
        lab.create(name)
    for number, key in enumerate(KEYS):
        assert lab.put(key, number).status == 200
    assert not set(lab.members("catalog")) & set(lab.members(lab.leader(KEYS[0])[1]))
    return lab


def full_members(lab: Lab) -> list[int]:
    """The machines in whose replicas the partition's leader sees full members."""
    leader, group = lab.leader(KEYS[0])
    node: Any = lab.simulation.hosts[leader].node
    addresses = lab.simulation.addresses
    return sorted(addresses.index(member.address) for member in node.replicas[group].members if not member.log)


def test_a_dead_nodes_replica_is_built_on_another_node_of_its_zone(make_lab: MakeLab) -> None:
    lab = table_apart(make_lab, dead_after_s=4)
    before = full_members(lab)
    dead = next(index for index in before if index != lab.leader(KEYS[0])[0])
    lab.simulation.crash(dead)
    lab.run(15 * SECOND)
    after = full_members(lab)
    fresh = (set(after) - set(before)).pop()
    assert dead not in after and len(after) == 3
    zone = [lab.simulation.addresses[index].zone for index in (dead, fresh)]
    assert zone[0] == zone[1]
    assert "replica-replaced" in lab.kinds()
    lab.simulation.crash(next(index for index in after if index not in (fresh, lab.leader(KEYS[0])[0])))
    assert [lab.get(key) for key in KEYS] == [str(number) for number in range(len(KEYS))]
    assert lab.put(KEYS[0], "with the new one").status == 200


def test_a_node_that_comes_back_too_late_is_told_to_let_go(make_lab: MakeLab) -> None:
    lab = table_apart(make_lab, dead_after_s=4)
    group = lab.leader(KEYS[0])[1]
    dead = next(index for index in full_members(lab) if index != lab.leader(KEYS[0])[0])
    lab.simulation.crash(dead)
    lab.run(15 * SECOND)
    lab.simulation.restart(dead)
    lab.run(10 * SECOND)
    assert dead not in lab.members(group)
    assert len(lab.members(group)) == 3


def test_a_short_absence_moves_nothing(make_lab: MakeLab) -> None:
    lab = table_apart(make_lab, dead_after_s=10)
    before = full_members(lab)
    away = next(index for index in before if index != lab.leader(KEYS[0])[0])
    lab.simulation.crash(away)
    lab.run(5 * SECOND)
    lab.simulation.restart(away)
    lab.run(10 * SECOND)
    assert full_members(lab) == before
    assert "replacement-planned" not in lab.kinds()


def test_a_zone_that_is_lost_as_a_whole_is_not_copied_into_the_others(make_lab: MakeLab) -> None:
    lab = table_apart(make_lab, dead_after_s=4)
    zone = lab.simulation.addresses[full_members(lab)[0]].zone
    for index in range(lab.simulation.storage_count):
        if lab.simulation.addresses[index].zone == zone:
            lab.simulation.crash(index)
    lab.run(15 * SECOND)
    assert "replacement-planned" not in lab.kinds()
    assert [lab.get(key) for key in KEYS] == [str(number) for number in range(len(KEYS))]


def test_reads_and_writes_go_on_without_the_autoadmin(make_lab: MakeLab) -> None:
    """Static stability: with it dead for a minute, and a node dead besides, every key is served."""
    lab = table_apart(make_lab, dead_after_s=4)
    for index in lab.members("catalog"):
        lab.simulation.crash(index)
    dead = next(index for index in full_members(lab) if index != lab.leader(KEYS[0])[0])
    lab.simulation.crash(dead)
    for minute in range(6):
        lab.run(10 * SECOND)
        for key in KEYS:
            assert lab.put(key, minute).status == 200
            assert lab.get(key) == str(minute)


def test_a_replica_moves_off_a_hot_node(make_lab: MakeLab) -> None:
    limits = Limits(partition_read=300, partition_write=100, burst_s=0, node_partitions=1)
    lab = table_apart(make_lab, limits=limits, split_after_s=3600)
    before = full_members(lab)
    tokens: list[int] = []
    for number in range(1400):
        tokens.append(lab.send("PutItem", TableName="things", Item={"pk": {"S": KEYS[number % len(KEYS)]}}))
        lab.run(SECOND // 70)
    lab.run(10 * SECOND)
    assert "replica-moved" in lab.kinds()
    after = full_members(lab)
    assert len(after) == 3 and after != before
    assert sorted(lab.simulation.addresses[i].zone for i in after) == ["z1", "z2", "z3"]
    statuses = [lab.answers[token].status for token in tokens]
    assert statuses.count(200) > len(tokens) * 9 // 10

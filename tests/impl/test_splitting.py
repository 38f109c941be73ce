"""Splits: what a partition's children inherit, and what nobody notices of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dynalab_impl import messages as m
from dynalab_impl.replication.replica import Replica

from .conftest import SECOND, Lab

MakeLab = Callable[..., Lab]
KEYS = [f"k{number}" for number in range(24)]


def split(lab: Lab, group: str, at: bytes = b"", settle_ns: int = SECOND) -> None:
    """Tell the group's leader to divide it, and give the others time to hear of it."""
    for index in range(lab.simulation.storage_count):
        node: Any = lab.simulation.hosts[index].node
        replica = None if node is None else node.replicas.get(group)
        if replica is not None and replica.is_leader:
            lab.simulation.order(index, m.SplitNow(group, at))
            lab.run(settle_ns)
            return
    raise AssertionError(f"nobody leads {group}")


def replicas(lab: Lab, group: str) -> list[Replica]:
    found: list[Replica] = []
    for index in lab.members(group):
        node: Any = lab.simulation.hosts[index].node
        found.append(node.replicas[group])
    return found


def one_partition(make_lab: MakeLab, **shape: Any) -> tuple[Lab, str]:
    """A table with a single partition that holds KEYS, and the group's name."""
    lab = make_lab(partitions=1, **shape)
    lab.create()
    for number, key in enumerate(KEYS):
        assert lab.put(key, number).status == 200
    return lab, lab.leader(KEYS[0])[1]


@pytest.mark.claim("S34")
def test_a_split_keeps_every_item_and_serves_on(make_lab: MakeLab) -> None:
    lab, parent = one_partition(make_lab)
    split(lab, parent)
    assert {lab.leader(key)[1] for key in KEYS} == {f"{parent}.0", f"{parent}.1"}
    assert [lab.get(key) for key in KEYS] == [str(number) for number in range(len(KEYS))]
    for key in KEYS:
        assert lab.put(key, "again").status == 200
        assert lab.get(key) == "again"


def test_all_members_divide_equally(make_lab: MakeLab) -> None:
    lab, parent = one_partition(make_lab)
    split(lab, parent)
    lab.run(3 * SECOND)
    held: list[int] = []
    for child in (f"{parent}.0", f"{parent}.1"):
        copies = [list(replica.state.items) for replica in replicas(lab, child)]  # type: ignore[attr-defined]
        assert len(copies) == 3 and copies[0] == copies[1] == copies[2]
        held.append(len(copies[0]))
    assert sum(held) == len(KEYS) and min(held) >= len(KEYS) // 3


def test_the_parent_is_dropped_when_every_member_has_the_children(make_lab: MakeLab) -> None:
    lab, parent = one_partition(make_lab)
    split(lab, parent)
    lab.run(6 * SECOND)
    assert lab.members(parent) == []
    assert len(lab.members(f"{parent}.0")) == 3


def test_children_go_on_under_the_parents_leader_without_an_election(make_lab: MakeLab) -> None:
    lab, parent = one_partition(make_lab)
    leader = lab.leader(KEYS[0])[0]
    elections = lab.kinds().count("election-started")
    split(lab, parent, settle_ns=SECOND // 10)
    assert lab.put(KEYS[0], "at once").status == 200
    assert {lab.leader(key)[0] for key in KEYS} == {leader}
    assert lab.kinds().count("election-started") == elections


def test_versions_go_on_in_the_children(make_lab: MakeLab) -> None:
    lab, parent = one_partition(make_lab)
    split(lab, parent)
    lab.put(KEYS[0], "newer")
    index, group = lab.leader(KEYS[0])
    node: Any = lab.simulation.hosts[index].node
    replica = node.replicas[group]
    versions = {key: stored.version for key, stored in replica.state.items.items()}
    newest = max(versions.values())
    assert newest > replica.spec.origin
    assert sorted(versions.values())[:-1] == sorted(v for v in versions.values() if v <= replica.spec.origin)

"""What children of a split inherit is what the table says that the course draws, and the table leaves nothing out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dynalab_fault_injection.planted_bugs import BUGS
from dynalab_impl import messages as m
from dynalab_impl.inheritance import INHERITED
from dynalab_impl.partition import Partition
from dynalab_impl.replication.leading import Leading
from dynalab_impl.replication.replica import Replica

from .conftest import SECOND, Lab

MakeLab = Callable[..., Lab]
OWNERS: dict[str, tuple[str, ...]] = {
    "Partition": Partition.__slots__,
    "Replica": Replica.__slots__,
    "Leading": tuple(Leading.__dataclass_fields__),
}
# Of a Partition: what a child has of its own, from its own GroupSpec and settings, and what ends with the parent.
OWN = {"spec", "keep_ns", "split", "halves", "taken", "digest"}


def test_every_part_exists_and_every_bug_is_one() -> None:
    for row in INHERITED:
        owner, attribute = row.place.split(".")
        assert attribute in OWNERS[owner], row
        assert not row.bug or row.bug in BUGS
        assert row.what and row.how and row.without


def test_no_part_of_a_partition_is_forgotten_in_the_table() -> None:
    """Whoever adds a part must say what the children get of it."""
    told = {row.place.split(".")[1] for row in INHERITED if row.place.startswith("Partition.")}
    forgotten = set(Partition.__slots__) - told - OWN
    assert not forgotten, "say in dynalab_impl.inheritance what children get of these"
    assert told | OWN == set(Partition.__slots__) and not told & OWN


@pytest.mark.claim("S34")
def test_children_take_over_promise_members_lease_and_answers(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1)
    lab.create(index=True)
    for number in range(12):
        assert lab.put(f"k{number}", number, attributes={"colour": {"S": "red"}}).status == 200
    index, group = lab.leader("k0")
    node: Any = lab.simulation.hosts[index].node
    parent = node.replicas[group]
    lead, state = parent.leading, parent.state
    items, answers = dict(state.items), list(state.dedup)
    before = (lead.ballot, lead.serve_after_ns, parent.promised, parent.members, parent.no_vote_until_ns)
    lease_from_ns, log_time_ns = lead.lease_from_ns, state.log_time_ns
    lab.simulation.order(index, m.SplitNow(group))
    lab.run(SECOND // 50)
    halves: list[Any] = [node.replicas[f"{group}.{number}"] for number in (0, 1)]
    held = [dict(half.state.items) for half in halves]
    assert held[0] | held[1] == items and not set(held[0]) & set(held[1]) and all(held)
    for half in halves:
        own = half.leading
        after = (own.ballot, own.serve_after_ns, half.promised, half.members, half.no_vote_until_ns)
        assert after == before
        assert own.lease_from_ns >= lease_from_ns and own.served and not own.lease_lost
        assert set(answers) <= set(half.state.dedup) and len(half.state.dedup_order) >= len(answers) > 0
        assert half.log.base == half.spec.origin == parent.state.applied <= half.state.applied
        assert half.state.log_time_ns >= log_time_ns


def test_what_is_owed_to_an_index_goes_with_the_item_that_changed(make_lab: MakeLab) -> None:
    """The index cannot be reached while the partition divides; afterwards it hears of every change."""
    lab = make_lab(partitions=1)
    lab.create(index=True)
    index, group = lab.leader("k0")
    node: Any = lab.simulation.hosts[index].node
    everybody = list(range(lab.simulation.storage_count))
    rule = lab.rule("cut", everybody, everybody, names=("IndexRequest",), both_ways=True)
    for number in range(12):
        assert lab.put(f"k{number}", number, attributes={"colour": {"S": "red"}}).status == 200
    owed = [change.source for change in node.replicas[group].state.owed]
    assert len(owed) == 12
    lab.simulation.order(index, m.SplitNow(group))
    lab.run(SECOND // 2)
    for number in (0, 1):
        half = node.replicas[f"{group}.{number}"]
        mine = [change.source for change in half.state.owed]
        assert mine == [source for source in owed if half.spec.holds(source)] and mine
        assert half.state.owed_count == len(mine)
    lab.simulation.network.remove_rule(rule)
    lab.run(3 * SECOND)
    values = {":c": {"S": "red"}}
    answer = lab.call(
        "Query",
        TableName="things",
        IndexName="by-colour",
        KeyConditionExpression="colour = :c",
        ExpressionAttributeValues=values,
    )
    assert answer.body["Count"] == 12


def test_tombstones_of_an_index_go_by_key() -> None:
    spec = m.GroupSpec("g", "t", "i", b"", b"", (), None)
    state = Partition(spec, 20 * SECOND)
    state.tombstones = {b"a": (3, 1), b"m": (4, 1), b"z": (5, 1)}
    left, right = m.GroupSpec("g.0", "t", "i", b"", b"m", (), None), m.GroupSpec("g.1", "t", "i", b"m", b"", (), None)
    assert [list(state._half(one).tombstones) for one in (left, right)] == [[b"a"], [b"m", b"z"]]

"""Splits: what a partition's children inherit, and what nobody notices of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dynalab_impl import messages as m
from dynalab_impl import splitting
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


def crash(lab: Lab, index: int) -> None:
    lab.simulation.crash(index)


def test_a_member_that_was_down_comes_to_the_split_through_the_parents_log(make_lab: MakeLab) -> None:
    lab, parent = one_partition(make_lab)
    leader = lab.leader(KEYS[0])[0]
    away = next(index for index in lab.members(parent) if index != leader)
    crash(lab, away)
    split(lab, parent)
    lab.put(KEYS[1], "while it was away")
    lab.simulation.restart(away)
    lab.run(8 * SECOND)
    assert away in lab.members(f"{parent}.0") and away in lab.members(f"{parent}.1")
    assert lab.members(parent) == []
    for child in (f"{parent}.0", f"{parent}.1"):
        copies = [replica.commit_index for replica in replicas(lab, child)]
        assert len(set(copies)) == 1 and all(replica.has_state for replica in replicas(lab, child))


def test_a_member_that_gets_the_parents_snapshot_takes_the_childrens_too(make_lab: MakeLab) -> None:
    """The leaders have let go of the log up to the Split while a member was away: it gets a snapshot of a partition
    that was divided, hosts the children without state, and may not stand for them before their snapshots are in."""
    lab, parent = one_partition(make_lab, log_records_max=150)
    leader = lab.leader(KEYS[0])[0]
    away = next(index for index in lab.members(parent) if index != leader)
    crash(lab, away)
    for _ in range(8):
        for key in KEYS:
            lab.put(key, "before")
    split(lab, parent)
    for _ in range(8):
        for key in KEYS:
            lab.put(key, "after")
    lab.simulation.restart(away)
    lab.run(12 * SECOND)
    assert lab.kinds().count("snapshot-installed") >= 2
    for child in (f"{parent}.0", f"{parent}.1"):
        states = [replica.state.items for replica in replicas(lab, child)]  # type: ignore[attr-defined]
        assert len(states) == 3 and all(list(s) == list(states[0]) for s in states)
    assert lab.members(parent) == []


def test_a_leader_that_dies_with_its_split_unsent_loses_nothing(make_lab: MakeLab) -> None:
    lab, parent = one_partition(make_lab)
    leader = lab.leader(KEYS[0])[0]
    others = [index for index in lab.members(parent) if index != leader]
    rule = lab.rule("cut", [leader], others)
    split(lab, parent, settle_ns=SECOND // 100)
    crash(lab, leader)
    lab.simulation.network.remove_rule(rule)
    lab.run(5 * SECOND)
    assert [lab.get(key) for key in KEYS] == [str(number) for number in range(len(KEYS))]
    lab.simulation.restart(leader)
    lab.run(5 * SECOND)
    assert lab.put(KEYS[3], "x").status == 200
    assert lab.members(f"{parent}.0") == [], "the entry was never chosen"


@pytest.mark.claim("S34")
def test_a_split_survives_the_leader_that_logged_it(make_lab: MakeLab) -> None:
    lab, parent = one_partition(make_lab)
    leader = lab.leader(KEYS[0])[0]
    split(lab, parent, settle_ns=SECOND // 50)
    crash(lab, leader)
    lab.run(5 * SECOND)
    assert {lab.leader(key)[1] for key in KEYS} == {f"{parent}.0", f"{parent}.1"}
    assert [lab.get(key) for key in KEYS] == [str(number) for number in range(len(KEYS))]


def test_all_nodes_restart_and_find_both_halves(make_lab: MakeLab) -> None:
    lab, parent = one_partition(make_lab)
    split(lab, parent, settle_ns=SECOND // 2)
    everybody = range(lab.simulation.storage_count)
    for index in everybody:
        crash(lab, index)
    for index in everybody:
        lab.simulation.restart(index)
    lab.run(6 * SECOND)
    assert [lab.get(key) for key in KEYS] == [str(number) for number in range(len(KEYS))]
    for key in KEYS:
        lab.put(key, "later")
    for index in everybody:
        crash(lab, index)
    for index in everybody:
        lab.simulation.restart(index)
    lab.run(6 * SECOND)
    assert [lab.get(key) for key in KEYS] == ["later"] * len(KEYS)


def test_halves_split_again_and_their_log_is_let_go(make_lab: MakeLab) -> None:
    lab, parent = one_partition(make_lab, log_records_max=200)
    split(lab, parent)
    split(lab, f"{parent}.0")
    split(lab, f"{parent}.1")
    for _ in range(12):
        for key in KEYS:
            assert lab.put(key, "again").status == 200
    lab.run(5 * SECOND)
    leader = lab.leader(KEYS[0])[0]
    lab.simulation.crash(leader)
    lab.simulation.restart(leader)
    lab.run(5 * SECOND)
    assert sum(host.dropped for host in lab.simulation.hosts) > 0
    assert len({lab.leader(key)[1] for key in KEYS}) == 4
    assert [lab.get(key) for key in KEYS] == ["again"] * len(KEYS)


def test_a_retry_of_a_write_from_before_the_split_is_recognised_by_the_child(make_lab: MakeLab) -> None:
    """The answer is lost, the partition splits, the router asks again: the write must not happen twice."""
    lab, parent = one_partition(make_lab)
    leader = lab.leader(KEYS[0])[0]
    router = lab.simulation.storage_count
    rule = lab.rule("cut", [leader], [router])
    token = lab.send(
        "UpdateItem",
        TableName="things",
        Key={"pk": {"S": KEYS[5]}},
        UpdateExpression="ADD n :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
        ReturnValues="ALL_NEW",
    )
    lab.run(SECOND // 5)
    split(lab, parent, settle_ns=SECOND // 5)
    lab.simulation.network.remove_rule(rule)
    lab.run(3 * SECOND)
    answer = lab.answers[token]
    assert answer.status == 200 and answer.body["Attributes"]["n"] == {"N": "1"}  # type: ignore[call-overload, index]
    assert "dedup-answered" in lab.kinds()


def test_a_query_goes_on_in_the_children(make_lab: MakeLab) -> None:
    """S34: pages that are read around a split neither skip nor repeat, also inside one item collection."""
    lab = make_lab(partitions=1)
    lab.create(sort_key=True)
    for number in range(40):
        attributes = {"sk": {"N": str(number)}}
        assert lab.put("k", number, attributes=attributes).status == 200
    parent = lab.leader("k")[1]
    seen: list[int] = []
    start: Any = None
    for page in range(20):
        body: dict[str, Any] = {} if start is None else {"ExclusiveStartKey": start}
        answer: Any = lab.call(
            "Query",
            TableName="things",
            KeyConditionExpression="pk = :k",
            ExpressionAttributeValues={":k": {"S": "k"}},
            ConsistentRead=True,
            Limit=3,
            **body,
        )
        seen += [int(item["sk"]["N"]) for item in answer.body["Items"]]
        start = answer.body.get("LastEvaluatedKey")
        if start is None:
            break
        if page == 3:
            split(lab, parent)
        if page == 6:
            split(lab, f"{parent}.1")
    assert seen == list(range(40))


def test_a_table_that_is_deleted_around_its_split_leaves_nothing_behind(make_lab: MakeLab) -> None:
    for wait_ns in (0, SECOND // 200, SECOND // 20, SECOND):
        lab, parent = one_partition(make_lab)
        split(lab, parent, settle_ns=wait_ns)
        assert lab.call("DeleteTable", TableName="things").status == 200
        lab.run(12 * SECOND)
        left = [
            group
            for index in range(lab.simulation.storage_count)
            for group in lab.simulation.hosts[index].node.replicas  # type: ignore[union-attr]
        ]
        assert set(left) == {"catalog"}, (wait_ns, left)


def test_splits_need_no_catalog_to_serve(make_lab: MakeLab) -> None:
    """Whoever holds a piece of the divided partition says where its data went (static stability)."""
    lab = make_lab(partitions=1)
    for name in ("first", "second", "third", "things"):  # the fourth table has machines of its own
        lab.create(name)
    for number, key in enumerate(KEYS):
        lab.put(key, number)
    leader, parent = lab.leader(KEYS[0])
    assert not set(lab.members("catalog")) & set(lab.members(parent))
    for index in lab.members("catalog"):
        crash(lab, index)
    split(lab, parent)
    assert [lab.get(key) for key in KEYS] == [str(number) for number in range(len(KEYS))]
    assert {lab.leader(key) for key in KEYS} == {(leader, f"{parent}.0"), (leader, f"{parent}.1")}


@pytest.mark.claim("S34")
@pytest.mark.claim("S86")
def test_a_partition_above_the_size_threshold_is_divided(make_lab: MakeLab) -> None:
    """The threshold is 10 GB in name; here it is so low that three times it are soon written."""
    lab = make_lab(partitions=1, log_records_max=100, split_bytes=6_000)
    lab.create()
    for round_ in range(6):
        for key in KEYS:
            assert lab.put(key, f"{round_}" * 500).status == 200
    lab.run(15 * SECOND)
    sizes = {group: sum(len(str(item)) for item in items.values()) for group, items in held(lab).items()}
    assert len(sizes) >= 2 and max(sizes.values()) < 12_000, sizes
    assert [lab.get(key) for key in KEYS] == ["5" * 500] * len(KEYS)


def held(lab: Lab) -> dict[str, dict[bytes, Any]]:
    """The items of every group of the table, as one of its replicas has them."""
    out: dict[str, dict[bytes, Any]] = {}
    for index in range(lab.simulation.storage_count):
        node: Any = lab.simulation.hosts[index].node
        out.update(node.table_items("things"))
    return out


def test_children_made_late_know_only_the_barriers_before_the_split(make_lab: MakeLab) -> None:
    """A member comes to the Split and to the barrier of a later leader of the parent in one step. What the children's
    first leader has written since is older than that barrier, and was chosen all the same.
    """
    lab = make_lab(partitions=1)
    lab.create()
    for number in range(6):
        lab.put(f"k{number}", number)
    leader, group = lab.leader("k0")
    index = next(index for index in lab.members(group) if index != leader)
    host = lab.simulation.hosts[index]
    node: Any = host.node
    parent = node.replicas[group]
    before, slot = parent.barrier, parent.commit_index + 1
    left, right = splitting.halves_of(parent, parent.state.middle())
    ballot = (before[0] + 3, "later")
    last = (parent.state.log_time_ns, ("", 0), 0)
    entries = (m.Entry(before, slot, *last, m.Split(left, right)), m.Entry(ballot, slot + 1, *last, m.Barrier(ballot)))
    parent.log.store(slot, entries)
    parent.advance(slot + 1, host)
    children = splitting.make_children(node, parent, host)
    assert parent.barrier == ballot and [child.barrier for child in children] == [before, before]

"""Members that come and go around everything else: deletions, splits, seats, restarts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from dynalab_impl import messages as m
from dynalab_impl.records import DroppedGroups, Formatted, SnapshotBegin, SnapshotEnd, SnapshotPiece
from dynalab_impl.replication.catchup import header_of
from dynalab_impl.snapshot import NO_TIME, TakeSnapshot

sys.path.insert(0, str(Path(__file__).parent))  # pytest imports test files by path, and their neighbours not at all
from explore_desk import GROUP, HOSTS, SPARES, SPEC

from .conftest import SECOND, Lab
from .test_adversary_catalog import catalog_leader
from .test_configurations import spare_node


def with_a_stand_in() -> tuple[Lab, int, str, int]:
    """A group with a log replica: its leader, its name, and the member that is down."""
    lab = Lab(nodes_per_zone=2, partitions=1)
    lab.create()
    assert lab.put("a", "1").status == 200
    leader, group = lab.leader("a")
    away = next(i for i in lab.members(group) if i != leader)
    lab.simulation.crash(away)
    lab.run(2 * SECOND)
    return lab, leader, group, away


def leaders_that_serve(lab: Lab, group: str) -> list[int]:
    found: list[int] = []
    for index in range(lab.simulation.storage_count):
        host: Any = lab.simulation.hosts[index]
        replica = None if host.node is None else host.node.replicas.get(group)
        if replica is not None and replica.may_serve(host.local_ns(lab.simulation.now)):
            found.append(index)
    return found


@pytest.mark.claim("S22")
@pytest.mark.parametrize("seed", range(3))
def test_a_group_whose_members_changed_unheard_is_not_taken_for_dropped(seed: int) -> None:
    """The catalog asks the members that it knows to drop a deleted table's group. One has: so its leader, which the
    catalog does not reach, gives the seat to a log replica that the catalog never hears of, and would go on with it
    when a second one of the old members has dropped the group: two of the three that the catalog knows, and none of
    the two that make a quorum now.
    """
    lab = Lab(seed=seed, nodes_per_zone=3, routers=2, partitions=1)
    lab.create("first")
    lab.create()
    assert lab.put("a", "old", router=1).status == 200
    simulation = lab.simulation
    leader, group = lab.leader("a")
    keeper = catalog_leader(lab)
    if keeper == leader:
        lab.rule("cut", [keeper], [i for i in range(9) if i != keeper], both_ways=True)
        lab.run(4 * SECOND)
        simulation.network._rules.clear()
        lab.run(4 * SECOND)
        leader, group = lab.leader("a")
        keeper = catalog_leader(lab)
    assert keeper != leader
    others = [i for i in lab.members(group) if i != leader]
    later = others[0] if others[0] != keeper else others[1]
    lab.rule("cut", [keeper], [leader], both_ways=True)
    near = [i for i in range(9) if simulation.addresses[i].zone == simulation.addresses[leader].zone]
    lab.rule("cut", [leader], near, names=("Adopt",))  # the log replica is to stand in another zone than the leader
    for_a_while = lab.rule("cut", [keeper], [later], names=("Drop",))
    asked = simulation.now
    token = lab.send("DeleteTable", TableName="things")
    lab.run(3 * SECOND)
    simulation.network.remove_rule(for_a_while)
    while simulation.now < asked + 12 * SECOND:
        lab.run(SECOND // 20)
        described = lab.call("DescribeTable", TableName="things")
        if token in lab.answers and described.status == 400:
            assert leaders_that_serve(lab, group) == [], "a leader of the deleted table serves, and its name is free"
            break
    else:
        pytest.fail("the table never went away")
    simulation.network._rules.clear()
    lab.run(8 * SECOND)
    assert lab.members(group) == [], "nobody keeps a replica"


PARENT = m.GroupSpec(GROUP, "t", "", b"", b"", (*SPEC.members[:2], m.Member(SPARES[0], 1)), SPEC.schema)


def halves(members: tuple[m.Member, ...], origin: int) -> m.Split:
    ends = ((f"{GROUP}.0", b"", b"m"), (f"{GROUP}.1", b"m", b""))
    left, right = (m.GroupSpec(name, "t", "", low, high, members, SPEC.schema, origin) for name, low, high in ends)
    return m.Split(left, right)


@pytest.mark.claim("S23")
@pytest.mark.parametrize("truncated", [False, True])
def test_a_child_that_was_let_go_does_not_come_back_with_its_parent(truncated: bool) -> None:
    """It has forgotten what it accepted there. A lagging member that knows no newer configuration would take its vote
    for a quorum's, and lead beside the real one."""
    desk, node = spare_node()
    node.on_message(HOSTS[0], m.Host(PARENT), desk)
    split = halves(PARENT.members, 2)
    entries = (
        m.Entry((1, "x"), 1, 1, m.NO_REQUEST, 0, m.Barrier((1, "x"))),
        m.Entry((1, "x"), 2, 2, m.NO_REQUEST, 0, split),
    )
    node.on_message(HOSTS[0], m.Accept(GROUP, (1, "x"), 1, entries, 2), desk)
    child = split.left.group
    assert node.replicas[child].counted
    node.on_message(HOSTS[0], m.Prepare(child, (7, "y"), 2), desk)
    node.on_message(HOSTS[0], m.Retire(child, 5, 4), desk)
    assert child not in node.replicas and node.left[child].promised == (7, "y")
    desk.sync()
    if truncated:  # what the log comes down to when snapshots of all groups are written, and the rest is let go
        parent, other = node.replicas[GROUP], node.replicas[split.right.group]
        desk.disk = [Formatted(1), DroppedGroups((), (node.left[child],))]
        for replica in (parent, other):
            header, state = header_of(replica), replica.state
            desk.disk.append(SnapshotBegin(header, False, replica.promised))
            images = tuple(state.image(part) for part in state.view())
            desk.disk += [SnapshotPiece(header.spec.group, header.slot, images)]
            desk.disk += [SnapshotEnd(header.spec.group, header.slot)]
        desk.appended = desk.durable = len(desk.disk)
    desk.boot()
    assert desk.node is not None and sorted(desk.node.replicas) == [GROUP, split.right.group]
    assert desk.node.left[child].promised == (7, "y")


def test_a_snapshot_of_a_log_replica_is_not_finished_for_a_full_one_that_comes_after_it() -> None:
    """Else the full replica is read back as one that has applied everything and holds nothing."""
    desk, node = spare_node()
    node.on_message(HOSTS[0], m.Adopt(SPEC, SPEC.members, 2, HOSTS[2]), desk)
    entries = tuple(m.Entry((1, "x"), slot, slot, m.NO_REQUEST, 0, m.Propagated(slot)) for slot in range(1, 201))
    node.on_message(HOSTS[0], m.Accept(GROUP, (1, "x"), 1, entries, 200), desk)
    node.replicas[GROUP].full_match = 200
    desk.sync()
    writer = node.snapshots
    writer.waiting.append(GROUP)
    writer._write(node.replicas, desk)  # its snapshot has begun when the replica is let go
    node.on_message(HOSTS[0], m.Retire(GROUP, 201, 2), desk)
    node.on_message(HOSTS[0], m.Adopt(SPEC, SPEC.members, 201), desk)
    writer.tick(node.replicas, 1, node.dropped, node.left, desk)
    desk.sync()
    desk.boot()
    assert desk.node is not None
    replica = desk.node.replicas[GROUP]
    assert not replica.log_only and replica.commit_index == 0


def test_the_parent_stays_until_members_that_the_catalog_has_not_heard_of_have_the_children() -> None:
    """A member joins the parent, then the parent is split, and the word of the split comes to the catalog first. If the
    parent is dropped before that member has come to the Split, it never gets its children."""
    lab = Lab(nodes_per_zone=2, partitions=1)
    lab.create("first")
    lab.create()
    assert lab.put("a", "1").status == 200 and lab.put("b", "2").status == 200
    simulation, addresses = lab.simulation, lab.simulation.addresses
    leader, group = lab.leader("a")
    assert leader != catalog_leader(lab)
    gone = next(i for i in lab.members(group) if i != leader)
    fresh = next(i for i in range(6) if addresses[i].zone == addresses[gone].zone and i != gone)
    everybody = list(range(len(simulation.hosts)))
    unheard = lab.rule("cut", everybody, everybody, names=("Membership",))
    for number in range(3):
        simulation.order(leader, m.Replace(group, number, addresses[gone], addresses[fresh]))
        lab.run(SECOND)
    assert fresh in lab.members(group) and gone not in lab.members(group)
    others = [i for i in everybody if i != fresh]
    away = lab.rule("cut", [fresh], others, both_ways=True)
    lab.rule("cut", everybody, everybody, names=("Adopt",))  # no stand-in: it is that member or nobody
    simulation.order(leader, m.SplitNow(group))
    lab.run(6 * SECOND)
    simulation.network.remove_rule(unheard)
    simulation.network.remove_rule(away)
    lab.run(8 * SECOND)
    assert fresh in lab.members(f"{group}.0") and fresh in lab.members(f"{group}.1")
    assert lab.members(group) == []


@pytest.mark.claim("S104")
def test_a_log_replica_that_has_not_heard_that_it_may_go_is_not_taken_for_a_full_one() -> None:
    """It acknowledges like anybody who has caught up, and has no items: the member that it replaces had them."""
    lab, leader, group, away = with_a_stand_in()
    simulation, addresses = lab.simulation, lab.simulation.addresses
    everybody = list(range(len(simulation.hosts)))
    stand_in = next(i for i in lab.members(group) if simulation.hosts[i].node.replicas[group].log_only)
    lost = lab.rule("cut", everybody, everybody, names=("Retire",))
    simulation.restart(away)
    lab.run(3 * SECOND)
    leader, group = lab.leader("a")
    replica = simulation.hosts[leader].node.replicas[group]
    assert not replica.is_member(addresses[stand_in]) and stand_in in lab.members(group)
    lab.run(SECOND // 2)
    simulation.order(leader, m.Replace(group, 1, addresses[away], addresses[stand_in]))
    lab.run(2 * SECOND)
    members = simulation.hosts[lab.leader("a")[0]].node.replicas[group].members
    fakes = [x for x in members if x.address == addresses[stand_in] and not x.log]
    assert not fakes, "a member that is taken for a full replica holds no items"
    simulation.network.remove_rule(lost)
    lab.run(6 * SECOND)
    assert stand_in in lab.members(group) and away not in lab.members(group)
    assert not simulation.hosts[stand_in].node.replicas[group].log_only


@pytest.mark.claim("S104")
def test_a_log_replica_that_has_just_lost_its_seat_is_not_taken_for_the_full_one_that_is_to_be_built_there() -> None:
    """Its leader keeps it for a moment, and it acknowledges everything: it has caught up, with a log and no items."""
    lab, leader, group, away = with_a_stand_in()
    simulation, addresses = lab.simulation, lab.simulation.addresses
    stand_in = next(i for i in lab.members(group) if simulation.hosts[i].node.replicas[group].log_only)
    simulation.restart(away)
    replica = simulation.hosts[leader].node.replicas[group]
    while replica.is_member(addresses[stand_in]):
        lab.run(SECOND // 1000)
    assert addresses[stand_in] in replica.leading.peers, "it is kept for a moment"
    simulation.order(leader, m.Replace(group, 1, addresses[away], addresses[stand_in]))
    for _ in range(80):
        lab.run(SECOND // 10)
        held = simulation.hosts[stand_in].node.replicas.get(group)
        fakes = [x for x in replica.members if x.address == addresses[stand_in] and not x.log]
        assert not fakes or (held is not None and not held.log_only), "what is taken for a full replica has no items"
    assert replica.is_member(addresses[stand_in]) and not replica.is_member(addresses[away])


def test_a_dead_member_is_replaced_although_its_stand_in_was_chosen_for_that() -> None:
    """The catalog had not heard of the log replica when the autoadmin chose a node: the one that holds it."""
    lab = Lab(partitions=3, dead_after_s=6)
    for table in ("one", "two", "three", "four", "things"):
        lab.create(table)
    simulation, addresses = lab.simulation, lab.simulation.addresses
    keeper = catalog_leader(lab)
    everybody = list(range(len(simulation.hosts)))
    dead = 4  # no member of the catalog
    assert dead not in (0, 1, 2, keeper)
    groups = [group for group in simulation.hosts[dead].node.replicas if group != "catalog"]
    unheard = lab.rule("cut", everybody, everybody, names=("Membership",))
    simulation.crash(dead)
    lab.run(8 * SECOND)
    plans = simulation.hosts[keeper].node.autoadmin.plans
    held = [
        group
        for group, plan in plans.items()
        if (found := simulation.hosts[addresses.index(plan.fresh)].node.replicas.get(group)) and found.log_only
    ]
    assert held, "a stand-in was chosen"
    simulation.network.remove_rule(unheard)
    lab.run(12 * SECOND)
    for group in groups:
        members = [x for i in lab.members(group) for x in simulation.hosts[i].node.replicas[group].members]
        assert addresses[dead] not in [x.address for x in members], group
        assert not any(x.log for x in members), group


@pytest.mark.claim("S104")
def test_a_log_replica_that_is_let_go_is_not_asked_in_as_a_full_one() -> None:
    """It has dropped the group already, and says so to a leader that still keeps its place: a new seat is none."""
    lab, leader, group, away = with_a_stand_in()
    simulation, addresses = lab.simulation, lab.simulation.addresses
    stand_in = next(i for i in lab.members(group) if simulation.hosts[i].node.replicas[group].log_only)
    simulation.restart(away)
    lead = simulation.hosts[leader].node.replicas[group].leading
    for _ in range(3_000):
        if addresses[stand_in] in lead.leaving:
            break
        lab.run(SECOND // 1_000)
    assert addresses[stand_in] in lead.leaving
    del simulation.hosts[stand_in].node.replicas[group]
    asked = simulation.told.get("learner-joined", 0)
    lab.run(2 * SECOND)
    assert simulation.told.get("learner-joined", 0) == asked and stand_in not in lab.members(group)


@pytest.mark.claim("S104")
@pytest.mark.parametrize("log_only", [False, True])
def test_what_is_sent_to_a_log_replica_and_comes_late_empties_no_full_one(log_only: bool) -> None:
    desk, node = spare_node()
    node.on_message(HOSTS[0], m.Adopt(SPEC, SPEC.members, 4, HOSTS[2] if log_only else None), desk)
    replica = node.replicas[GROUP]
    header = header_of(replica)
    header.slot, header.log_time_ns = 7, NO_TIME
    replica.on_snapshot(HOSTS[0], TakeSnapshot(GROUP, (9, "x"), header, 0, (), True), desk)
    assert replica.commit_index == (7 if log_only else 0)

"""Every state that a small group can reach (`explore_states`)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dynalab_impl.replication import quorum
from dynalab_impl.replication.leading import Leading
from dynalab_impl.replication.replica import Replica

sys.path.insert(0, str(Path(__file__).parent))  # pytest imports test files by path, and their neighbours not at all
from explore_group import Scope, Violation, World, settle
from explore_states import branch, explore, led

BARE = Scope(
    writes=1,
    crashes=0,
    copies=0,
    losses=0,
    reads=0,
    waits=0,
    beats=0,
    retries=0,
    stands=1,
    leases=False,
    quiet=True,
    disks_at_once=True,
)
A_CRASH = Scope(
    writes=1, crashes=1, copies=1, losses=0, reads=0, waits=0, beats=0, retries=0, stands=0, leases=False, quiet=True
)
RIVALS = Scope(
    writes=0,
    crashes=0,
    copies=0,
    losses=0,
    reads=0,
    waits=0,
    beats=0,
    retries=0,
    stands=2,
    leases=False,
    quiet=True,
    disks_at_once=True,
)


STAND_IN = Scope(
    writes=1,
    crashes=1,
    copies=0,
    losses=0,
    reads=0,
    waits=0,
    pauses=1,
    beats=1,
    retries=0,
    stands=1,
    spares=1,
    leases=False,
    quiet=True,
    disks_at_once=True,
)


def stand_in_sought() -> World:
    """The third member has died, and its leader has just logged that a log replica joins in its seat."""
    world = led(STAND_IN)
    world.apply(("crash", 2, 0))
    world.apply(("pause",))
    assert ("write", 0) in world.actions()
    world.apply(("write", 0))
    settle(world)  # the second member answers: the third alone is silent
    world.apply(("beat", 0))
    for _ in range(20):
        replica = world.desks[0].replica
        assert replica is not None and replica.leading is not None
        if replica.leading.changing:
            world.used.clear()
            world.used["crash"] = world.used["pause"] = world.used["write"] = world.used["beat"] = 1
            return world
        world.apply(("deliver", 0))
    raise AssertionError("no log replica was asked to join")


@pytest.mark.claim("S104")
def test_no_state_close_to_a_log_replica_that_joins_beside_a_rival_is_wrong() -> None:
    seen = explore(stand_in_sought(), 3_000)
    assert seen.sometimes["committed AddMember"] > 10, "it joins in some of them"


@pytest.mark.claim("S23")
def test_no_state_with_one_write_and_one_rival_of_its_leader_is_wrong() -> None:
    seen = explore(led(BARE), 20_000)
    assert seen.complete and seen.states > 5_000
    assert seen.sometimes["answered"] > 100, "the write is answered in some of them"
    assert seen.sometimes["committed Barrier"] > 100, "and the rival takes over in some"


@pytest.mark.claim("S22")
def test_no_state_with_one_write_one_power_loss_and_one_doubled_message_is_wrong() -> None:
    seen = explore(led(A_CRASH), 20_000)
    assert seen.complete and seen.sometimes["answered"] > 50


def test_no_state_close_to_two_candidates_of_a_new_group_is_wrong() -> None:
    start = World(RIVALS)
    start.form()
    seen = explore(start, 2_500)
    assert seen.sometimes["committed Barrier"] > 10


def test_a_branch_leaves_the_original_alone() -> None:
    world = led(BARE)
    actions = world.actions()
    before = [desk.node.fingerprint(0) for desk in world.desks if desk.node is not None]
    for action in actions:
        branch(world, action).apply(action)
    assert [desk.node.fingerprint(0) for desk in world.desks if desk.node is not None] == before


def test_the_shortest_way_to_a_lost_write_is_found_when_one_disk_is_taken_for_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Leading, "committable", lambda self, members: self.durable_slot)
    with pytest.raises(Violation, match=r"at one replica .* at another") as found:
        explore(led(BARE), 20_000)
    # Written on one disk; a rival stands, and the third member promises to it.
    way = str(found.value).rsplit("after ", 1)[1]
    assert [kind for kind in ("write", "stand", "deliver") for _ in range(way.count(kind))] == [
        "write",
        "stand",
        "deliver",
        "deliver",
    ]


def test_the_shortest_way_to_a_lost_write_is_found_when_a_leader_keeps_its_own_suffix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Replica, "_adopt", lambda self, logs: quorum.merge_accepted([logs[0]], self.barrier))
    with pytest.raises(Violation, match=r"'write', 0.*'stand', "):
        explore(led(BARE), 20_000)

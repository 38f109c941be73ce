"""Candidates and the configurations that they find; disks that left a group, and words that come late."""

from __future__ import annotations

import sys
from pathlib import Path

from dynalab_impl import messages as m
from dynalab_impl.effects import Topology
from dynalab_impl.partition import Partition
from dynalab_impl.records import Formatted
from dynalab_impl.replication import healing
from dynalab_impl.replication.replica import Replica
from dynalab_impl.storage_node import StorageNode

sys.path.insert(0, str(Path(__file__).parent))  # pytest imports test files by path, and their neighbours not at all
from explore_desk import GROUP, HOSTS, SPARES, SPEC, Desk

SECOND = 1_000_000_000


def candidate() -> tuple[Desk, Replica]:
    desk = Desk(0, 0, Topology(HOSTS, ()))
    desk.set_clock(100 * SECOND)
    timing = desk.topology.timing
    replica = Replica(SPEC, HOSTS[0], 1, timing, Partition(SPEC, timing.dedup_ns))
    replica.stand(desk)
    return desk, replica


def log_of(*commands: m.Command) -> tuple[m.Entry, ...]:
    return tuple(m.Entry((0, "x"), slot, 0, m.NO_REQUEST, 0, c) for slot, c in enumerate(commands, start=1))


def test_a_candidate_that_finds_a_newer_configuration_must_win_that_too() -> None:
    """Else the old majority elects one leader and the new one another."""
    desk, one = candidate()
    stand_in = m.Member(SPARES[1], 1, HOSTS[2])
    found = log_of(m.AddMember(stand_in), m.RemoveMember(HOSTS[2]))
    desk.sent = []
    one.on_promise(HOSTS[2], m.Promise(GROUP, one.promised, 1, 0, found, m.NO_BALLOT), desk)
    assert one.role == "candidate", "a quorum of what it knew is none of what it has found"
    desk.sync()
    assert (4, m.Prepare) in [(to, type(message)) for to, _, message in desk.sent], "it asks the one it did not know"
    one.on_promise(SPARES[1], m.Promise(GROUP, one.promised, 1, 0, (), m.NO_BALLOT), desk)
    assert one.is_leader


def test_a_promise_of_a_long_suffix_comes_in_parts_and_counts_when_all_are_there() -> None:
    """A message has a bounded size, whatever a replica has accepted."""
    desk, one = candidate()
    voter_desk = Desk(1, 0, Topology(HOSTS, ()))
    voter_desk.set_clock(100 * SECOND)
    voter = Replica(SPEC, HOSTS[1], 1, desk.topology.timing, Partition(SPEC, desk.topology.timing.dedup_ns))
    accepted = log_of(*[m.Failed(200, "", {}) for _ in range(700)])
    voter.recover_entries((0, "x"), 1, accepted)
    voter.on_prepare(HOSTS[0], m.Prepare(GROUP, one.promised, 0, 0), voter_desk)
    voter_desk.sync()
    parts = [message for _, _, message in voter_desk.sent if isinstance(message, m.Promise)]
    assert [len(part.entries) for part in parts] == [256, 256, 188]
    for part in (parts[2], parts[0], parts[0]):
        one.on_promise(HOSTS[1], part, desk)
        assert one.role == "candidate" and HOSTS[1] not in one.promises
    one.on_promise(HOSTS[1], parts[1], desk)
    assert one.is_leader and one.log.after(0, 700) == [
        m.Entry(one.promised, e.slot, e.time_ns, e.request, e.expiry_ns, e.command) for e in accepted
    ]
    assert one.partial == {}


def test_parts_of_a_promise_to_another_ballot_are_forgotten() -> None:
    desk, one = candidate()
    half = m.Promise(GROUP, one.promised, 1, 0, log_of(m.Failed(200, "", {})), m.NO_BALLOT, part=0, parts=2)
    one.on_promise(HOSTS[1], half, desk)
    assert one.partial
    one.stand(desk)
    assert one.partial == {}
    other = m.Promise(GROUP, one.promised, 1, 0, log_of(m.Failed(200, "", {})), m.NO_BALLOT, part=1, parts=2)
    one.on_promise(HOSTS[1], other, desk)
    assert one.role == "candidate", "the first part was of another ballot"


def test_a_candidate_that_finds_itself_removed_gives_up() -> None:
    desk, one = candidate()
    found = log_of(m.AddMember(m.Member(SPARES[0], 1, HOSTS[0])), m.RemoveMember(HOSTS[0]))
    one.on_promise(HOSTS[1], m.Promise(GROUP, one.promised, 1, 0, found, m.NO_BALLOT), desk)
    assert one.role == "follower" and not one.is_leader


def test_a_promise_from_a_log_that_begins_too_late_counts_only_with_one_that_has_what_is_missing() -> None:
    commands: tuple[m.Command, ...] = (m.Propagated(1), m.Propagated(2))
    for held, wins in ((0, False), (2, True)):
        desk, one = candidate()
        one.log.store(1, log_of(*commands)) if held else None
        bare = m.Promise(GROUP, one.promised, 1, 2, (), m.NO_BALLOT, base=2, base_ballot=(0, "x"))
        one.on_promise(HOSTS[1], bare, desk)
        assert one.is_leader is wins


def spare_node(members_slot: int = 0) -> tuple[Desk, StorageNode]:
    desk = Desk(3, 0, Topology((*HOSTS, *SPARES), ()))
    desk.set_clock(100 * SECOND)
    desk.disk = [Formatted(1)]
    desk.appended = desk.durable = 1
    desk.boot()
    assert desk.node is not None
    return desk, desk.node


def test_a_disk_that_left_a_group_remembers_its_promise_and_no_late_word_brings_it_back() -> None:
    desk, node = spare_node()
    node.on_message(HOSTS[0], m.Adopt(SPEC, SPEC.members, 4, HOSTS[2]), desk)
    node.replicas[GROUP].promised = (9, "x")
    node.on_message(HOSTS[0], m.Retire(GROUP, 8, 7), desk)
    assert GROUP not in node.replicas
    desk.sync()
    desk.boot()  # also from its log
    node = desk.node  # type: ignore[assignment]
    node.on_message(HOSTS[1], m.Adopt(SPEC, SPEC.members, 6, HOSTS[2]), desk)
    assert GROUP not in node.replicas, "that leader does not know yet that this disk was removed"
    node.on_message(HOSTS[1], m.Host(SPEC), desk)
    assert GROUP not in node.replicas
    node.on_message(HOSTS[1], m.Adopt(SPEC, SPEC.members, 7, HOSTS[2]), desk)
    replica = node.replicas[GROUP]
    assert (replica.promised, replica.joined, replica.role) == ((9, "x"), 7, "learner")


def test_a_replica_that_joined_again_vouches_only_for_what_came_after() -> None:
    desk, node = spare_node()
    node.on_message(HOSTS[0], m.Adopt(SPEC, SPEC.members, 7, HOSTS[2]), desk)
    desk.sync()
    for commit_index, promises in ((6, False), (7, True)):
        desk.sent = []
        node.on_message(HOSTS[0], m.Prepare(GROUP, (commit_index, "x"), commit_index), desk)
        desk.sync()
        assert any(isinstance(message, m.Promise) for _, _, message in desk.sent) is promises


def test_a_late_word_of_an_earlier_removal_does_not_remove_a_member() -> None:
    desk, node = spare_node()
    node.on_message(HOSTS[0], m.Adopt(SPEC, SPEC.members, 2, HOSTS[2]), desk)
    replica = node.replicas[GROUP]
    entries = log_of(m.Propagated(1), m.Propagated(2), m.AddMember(m.Member(SPARES[0], 1, HOSTS[2])))
    replica.on_accept(HOSTS[0], m.Accept(GROUP, (1, "x"), 1, entries, 0), desk)
    node.on_message(HOSTS[0], m.Retire(GROUP, 2, 2), desk)
    assert GROUP in node.replicas
    node.on_message(HOSTS[0], m.Retire(GROUP, 3, 2), desk)
    assert GROUP not in node.replicas, "its entry was never chosen: the group has come past it without"


def test_who_joins_by_a_change_that_is_not_committed_is_not_turned_away_by_a_follower() -> None:
    """Its leader may be gone for good, and a candidate that finds the change must win with this vote, too."""
    desk, one = candidate()
    one.give_way(one.promised, desk)
    assert healing.turn_away(one, SPARES[0], desk)
    one.log.store(1, log_of(m.AddMember(m.Member(SPARES[0], 1, HOSTS[2]))))
    assert not healing.turn_away(one, SPARES[0], desk)
    assert healing.turn_away(one, SPARES[1], desk)

"""A group under a scheduler that may do anything (`explore_group`): random walks, and proof that they would notice."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dynalab_impl import messages as m
from dynalab_impl import snapshot, snapshot_writer
from dynalab_impl.effects import LAST, Address, Message, Topology
from dynalab_impl.partition import Partition
from dynalab_impl.records import AcceptedEntries
from dynalab_impl.replication import leading, log, quorum
from dynalab_impl.replication.replica import Replica
from dynalab_impl.snapshot import SnapshotHeader, SnapshotTaken, TakeSnapshot

sys.path.insert(0, str(Path(__file__).parent))  # pytest imports test files by path, and their neighbours not at all
from explore_desk import GROUP, HOSTS, KEY, SECOND, SPEC, Desk
from explore_group import Scope, Violation, wander

STEPS = 400
SKEWED = (3 * SECOND, 0, -3 * SECOND)


def scope(seed: int, *, snapshots: bool, leases: bool = True) -> Scope:
    """Every third walk is without crashes; every third with disks lost; every second with wall clocks that disagree."""
    return Scope(
        writes=8,
        crashes=(0, 2, 4)[seed % 3],
        wipes=(0, 0, 2)[seed % 3],
        copies=10,
        losses=10,
        reads=6,
        waits=8,
        stands=10,
        retries=8,
        beats=30,
        wall_ns_off=SKEWED if seed % 2 else (0, 0, 0),
        log_records_max=8 if snapshots else 20_000,
        leases=leases,
    )


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Snapshots of a few pieces, and logs that keep next to nothing behind them."""
    monkeypatch.setattr(snapshot_writer, "LOG_TAIL_ENTRIES", 1)
    monkeypatch.setattr(snapshot_writer, "PIECE_IMAGES", 2)
    monkeypatch.setattr(snapshot.Outgoing.piece, "__defaults__", (2,))


@pytest.mark.claim("S22", "S23")
@pytest.mark.parametrize("leases", [True, False])
@pytest.mark.parametrize("snapshots", [True, False])
@pytest.mark.parametrize("entries_per_share", [1, 256])
def test_no_order_of_events_breaks_a_group_and_it_comes_back_when_everything_heals(
    small_pieces: None,
    monkeypatch: pytest.MonkeyPatch,
    entries_per_share: int,
    snapshots: bool,
    leases: bool,
) -> None:
    monkeypatch.setattr(log, "SHARE_ENTRIES_MAX", entries_per_share)
    sometimes: Counter[str] = Counter()
    for seed in range(42):
        sometimes += wander(seed, scope(seed, snapshots=snapshots, leases=leases), STEPS).sometimes
    assert sometimes["healed"] == 42
    assert sometimes["committed Write"] > 60 and sometimes["answered"] > 60
    assert sometimes["committed Readmit"] > 3, "no lost disk came back"
    assert not leases or sometimes["read"] > 20


def _own_disk_only(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(leading.Leading, "committable", lambda self, members: self.durable_slot)


def _lease_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Replica, "lease_holds", lambda self, lead, now_ns: lead.lease_from_ns >= 0)


def _no_wait(patch: pytest.MonkeyPatch) -> None:
    begin = leading.begin
    patch.setattr(leading, "begin", lambda b, slot, after, me, members: begin(b, slot, 0, me, members))


def _own_suffix(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Replica, "_adopt", lambda self, logs: quorum.merge_accepted([logs[0]], self.barrier))


def _committed_barrier_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Replica, "_adopt", lambda self, logs: quorum.merge_accepted(logs, m.NO_BALLOT))


def _undurable(patch: pytest.MonkeyPatch) -> None:
    """A follower says that it has accepted before its disk does."""
    send = Desk.send

    def hasty(self: Desk, to: Address, message: Message, after: int = LAST) -> None:
        send(self, to, message, 0 if isinstance(message, m.Accepted) else after)

    patch.setattr(Desk, "send", hasty)


@pytest.mark.parametrize(
    "without",
    [_own_disk_only, _lease_for_ever, _no_wait, _own_suffix, _committed_barrier_forgotten, _undurable],
    ids=lambda without: without.__name__.strip("_"),
)
def test_the_walks_notice_a_rule_that_is_taken_away(
    without: object, small_pieces: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(without)
    without(monkeypatch)
    with pytest.raises(Violation):
        for seed in range(400):
            wander(seed, scope(seed, snapshots=seed % 4 > 0, leases=seed % 2 == 0), STEPS)


# --- one thing at a time --------------------------------------------------------------------------------------------


def one_replica() -> tuple[Desk, Replica]:
    """The first member, on a machine of its own."""
    desk = Desk(0, 0, Topology(HOSTS, ()))
    desk.set_clock(100 * SECOND)
    timing = desk.topology.timing
    return desk, Replica(SPEC, HOSTS[0], 1, timing, Partition(SPEC, timing.dedup_ns))


def told(desk: Desk) -> list[Message]:
    desk.sync()
    sent, desk.sent = [message for _, _, message in desk.sent], []
    return sent


def barrier(number: int, slot: int) -> m.Entry:
    ballot = (number, "x")
    return m.Entry(ballot, slot, 0, m.NO_REQUEST, 0, m.Barrier(ballot))


def test_a_candidate_that_cannot_lead_before_it_has_a_snapshot_is_outbid() -> None:
    desk, ahead = one_replica()
    ahead.on_accept(HOSTS[1], m.Accept(GROUP, (1, "x"), 1, (barrier(1, 1), barrier(1, 2)), 2), desk)
    ahead.log.trim(2)
    told(desk)
    ahead.on_prepare(HOSTS[2], m.Prepare(GROUP, (9, "z"), 0), desk)
    assert told(desk) == [], "it promised to a candidate whose missing entries it has let go"
    desk.set_clock(desk.now_ns + ahead.election_after_ns - desk.topology.timing.election_min_ns)
    ahead.tick(desk)
    ahead.on_probe_reply(HOSTS[2], m.ProbeReply(GROUP, False), desk)
    ahead.tick(desk)
    stood = [message for message in told(desk) if isinstance(message, m.Prepare)]
    assert stood and all(message.ballot > (9, "z") for message in stood), "it would be refused for ever"


def test_a_snapshot_that_its_leader_gave_up_does_not_keep_the_log_from_being_cut() -> None:
    desk, behind = one_replica()
    header = SnapshotHeader(SPEC, 7, 0, SPEC.members, (2, "x"), 0)
    behind.on_snapshot(HOSTS[1], TakeSnapshot(GROUP, (2, "x"), header, 0, (), False), desk)
    assert behind.incoming is not None
    behind.on_accept(HOSTS[2], m.Accept(GROUP, (3, "y"), 1, (barrier(3, 1),), 1), desk)
    assert behind.incoming is None, "no snapshot of this group would ever be written again"


def test_a_snapshot_is_forgotten_when_the_entries_come_first() -> None:
    desk, behind = one_replica()
    header = SnapshotHeader(SPEC, 2, 0, SPEC.members, (2, "x"), 0)
    behind.on_snapshot(HOSTS[1], TakeSnapshot(GROUP, (2, "x"), header, 0, (), False), desk)
    behind.on_accept(HOSTS[1], m.Accept(GROUP, (2, "x"), 1, (barrier(2, 1), barrier(2, 2)), 2), desk)
    assert behind.commit_index == 2 and behind.incoming is None


def test_a_receiver_that_lost_its_pieces_says_so_and_its_leader_begins_again() -> None:
    desk, behind = one_replica()
    header = SnapshotHeader(SPEC, 7, 0, SPEC.members, (2, "x"), 0)
    behind.on_snapshot(HOSTS[1], TakeSnapshot(GROUP, (2, "x"), header, 1, (), False), desk)
    answers = [message for message in told(desk) if isinstance(message, SnapshotTaken)]
    assert len(answers) == 1 and answers[0].number < 0, "the leader would send the second piece for ever"


def test_large_entries_go_in_small_shares_so_that_no_record_outgrows_the_log() -> None:
    """Records have a largest size: a replica that wrote a longer one would crash, and again after each restart."""
    item: Any = {"pk": {"S": "k"}, "v": {"B": "x" * 300_000}}
    large = m.Write(KEY, item, {"Attributes": item})
    entries = [m.Entry((1, "x"), slot, 0, m.NO_REQUEST, 0, large) for slot in range(1, 301)]
    cut = list(log.shares(entries))
    assert [entry for share in cut for entry in share] == entries
    assert max(len(share) for share in cut) <= 4
    small = [barrier(1, slot) for slot in range(1, 301)]
    assert [len(share) for share in log.shares(small)] == [256, 44]


def test_a_new_leader_writes_what_it_adopts_in_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "SHARE_ENTRIES_MAX", 2)
    desk, candidate = one_replica()
    candidate.stand(desk)
    accepted = tuple(barrier(0, slot) for slot in range(1, 6))
    candidate.on_promise(HOSTS[1], m.Promise(GROUP, candidate.promised, 1, 0, accepted, m.NO_BALLOT), desk)
    records = [record for record in desk.disk if isinstance(record, AcceptedEntries)]
    assert [(r.first_slot, len(r.entries)) for r in records] == [(1, 2), (3, 2), (5, 2)]
    assert candidate.leading is not None and candidate.leading.durable_slot == 0
    candidate.on_durable(desk.appended - 1, desk)
    assert candidate.leading.durable_slot == 4, "its own vote counts as far as its disk has come"


def test_a_disk_never_draws_a_ballot_of_the_disk_before_it() -> None:
    """A late Prepare of the lost disk must not be taken for the new one's: it asks for other entries."""
    drawn: list[m.Ballot] = []
    for incarnation in (1, 2):
        desk, member = one_replica()
        member.incarnation = incarnation
        member.members = (m.Member(HOSTS[0], incarnation), *SPEC.members[1:])
        member.stand(desk)
        drawn += [message.ballot for message in told(desk) if isinstance(message, m.Prepare)][:1]
    assert len(drawn) == 2 and drawn[0] != drawn[1]


def test_nothing_is_proposed_behind_a_barrier_that_is_not_committed() -> None:
    desk, candidate = one_replica()
    candidate.stand(desk)
    promise = m.Promise(GROUP, candidate.promised, 1, 0, (), m.NO_BALLOT)
    candidate.on_promise(HOSTS[1], promise, desk)
    assert candidate.is_leader
    with pytest.raises(AssertionError, match="uncommitted barrier"):
        candidate.propose(m.Propagated(1), m.NO_REQUEST, 0, desk)

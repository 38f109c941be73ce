"""The pure rules of a group: quorums, the choice of entries in phase 1, the arithmetic of the lease."""

from __future__ import annotations

from itertools import combinations, product
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab_impl.effects import Address, Timing
from dynalab_impl.messages import NO_BALLOT, NO_REQUEST, Barrier, Command, Entry, Member, Write
from dynalab_impl.replication import leadership
from dynalab_impl.replication.leading import Peer, begin
from dynalab_impl.replication.quorum import merge_accepted, quorum_value, zones_needed
from dynalab_impl.replication.replica import Replica

ZONES = ("z1", "z2", "z3")


def entry(slot: int, ballot: int, command: Command | None = None, request: int = 0) -> Entry:
    write = command or Write(b"k", {"v": {"N": str(ballot)}}, {})
    return Entry((ballot, "n"), slot, 0, ("r", request) if request else NO_REQUEST, 0, write)


@pytest.mark.claim("S23")
@pytest.mark.parametrize("zones", list(product(ZONES, repeat=3)) + list(product(ZONES, repeat=5)))
def test_any_two_quorums_share_a_member(zones: tuple[str, ...]) -> None:
    members = range(len(zones))
    needed = min(2, len(set(zones)))
    quorums = [
        set(chosen)
        for size in members
        for chosen in combinations(members, size + 1)
        if quorum_value([(1, zones[i]) for i in chosen], len(zones), needed) is not None
    ]
    assert all(one & other for one, other in combinations(quorums, 2))
    assert set(members) in quorums


@pytest.mark.claim("S23", "S133")
@pytest.mark.parametrize("lost", ZONES)
def test_an_acknowledged_write_is_on_a_disk_that_survives_the_loss_of_any_zone(lost: str) -> None:
    members = tuple(Member(Address("r1", zone, f"n{i}"), 1) for i, zone in enumerate(("z1", "z1", "z2", "z2", "z3")))
    for size in range(1, 6):
        for holders in combinations(members, size):
            values = [(7, m.address.zone) for m in holders]
            if quorum_value(values, len(members), zones_needed(members)) == 7:
                assert any(m.address.zone != lost for m in holders)


def test_a_majority_within_one_zone_is_no_quorum() -> None:
    assert quorum_value([(5, "z1"), (5, "z1")], members=3, zones=2) is None
    assert quorum_value([(5, "z1"), (5, "z2")], members=3, zones=2) == 5


def test_a_new_leader_takes_the_highest_ballot_of_every_slot() -> None:
    own = [entry(4, 1), entry(5, 1)]
    other = [entry(4, 3), entry(5, 1), entry(6, 1)]
    assert [e.ballot[0] for e in merge_accepted([own, other], NO_BALLOT)] == [3, 1, 1]


def test_what_lies_behind_a_committed_barrier_is_not_brought_back_by_a_replica_that_has_not_seen_it() -> None:
    # The candidate committed leader 6's barrier at slot 123; a promiser still has what leader 5 had put behind it.
    stale = [entry(124, 5, request=341), entry(125, 5, request=247)]
    assert merge_accepted([[], stale], (6, "n")) == []


def test_a_barrier_that_is_proposed_again_does_not_void_what_its_leader_wrote_behind_it() -> None:
    # Leader 7 was proposing leader 6's log again and got as far as the barrier; slot 12 of ballot 6 may be chosen.
    half_done = [entry(11, 7, Barrier((6, "n")))]
    written = [entry(11, 6, Barrier((6, "n"))), entry(12, 6)]
    assert [(e.slot, e.ballot[0]) for e in merge_accepted([half_done, written], NO_BALLOT)] == [(11, 7), (12, 6)]


def test_what_lies_behind_a_newer_barrier_is_not_brought_back() -> None:
    # Leader 3 took over with a log that ended at slot 10: its barrier stands at 11. The entry of ballot 1 at slot 12
    # was
    # never chosen, and its request may have been done again since.
    behind = [entry(11, 1), entry(12, 1, request=9)]
    newer = [entry(11, 3, Barrier((3, "n")))]
    assert [(e.slot, e.ballot[0]) for e in merge_accepted([behind, newer], NO_BALLOT)] == [(11, 3)]


def test_an_older_entry_behind_a_slot_without_a_barrier_may_have_been_chosen_and_is_kept() -> None:
    # Leader 3 had proposed slot 10 again when it died; its barrier was never seen, so 11 and 12 may be chosen.
    half_done = [entry(10, 3), entry(11, 1), entry(12, 1)]
    assert [e.slot for e in merge_accepted([half_done, [entry(10, 1)]], NO_BALLOT)] == [10, 11, 12]


@pytest.mark.claim("lease")
@pytest.mark.parametrize("drift_ppm", [0, 1, 200, 10_000, 100_000])
def test_the_old_lease_has_ended_when_the_new_leader_serves_at_any_drift_within_the_bound(drift_ppm: int) -> None:
    timing = Timing(drift_ppm=drift_ppm)
    million = 1_000_000
    # In true time: the old leader's clock as slow, the new one's as fast as the bound allows. Counted from the
    # promise of the
    # follower that they share, before which the old leader must have sent the last renewal that this follower answered.
    old_ends = timing.lease_ns * million / (million - drift_ppm)
    new_serves = timing.stretched_lease_ns() * million / (million + drift_ppm)
    assert new_serves > old_ends
    too_short = (timing.lease_ns - 1) * million / (million + drift_ppm)
    assert too_short < old_ends, "waiting one plain lease would not do"


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(-1, 5), st.sampled_from(["z1", "z2", "z3"])), max_size=3),
    st.integers(0, 5),
    st.integers(1, 2),
)
def test_the_short_way_for_three_members_in_three_zones_counts_as_the_rule_does(
    voters: list[tuple[int, int, str]], durable_slot: int, zones: int
) -> None:
    own = Address("r", "z1", "n0")
    addresses = [Address("r", zone, f"n{number}") for number, (_, _, zone) in enumerate(voters, 1)]
    members = tuple(Member(address, 1) for address in (own, *addresses))
    lead = begin((1, "n0"), 0, 0, own, members)
    lead.zones, lead.durable_slot = zones, durable_slot
    for address, (match, renewed_ns, _) in zip(addresses, voters, strict=True):
        lead.peers[address].match, lead.peers[address].renewed_ns = match, renewed_ns
    counted = [(match, zone) for match, _, zone in voters]
    slot = quorum_value([*counted, (durable_slot, "z1")], len(members), zones)
    assert lead.committable(members) == (slot or 0)
    lead.renew(members, now_ns=6)
    renewed = [(renewed_ns, zone) for _, renewed_ns, zone in voters]
    start_ns = quorum_value([*renewed, (6, "z1")], len(members), zones)
    assert lead.lease_from_ns == (-1 if start_ns is None else start_ns)


def test_who_votes_is_found_out_again_when_members_peers_or_disks_are_others() -> None:
    one, two, three = (Address("r", zone, zone) for zone in ZONES)
    members = (Member(one, 1), Member(two, 1), Member(three, 1))
    lead = begin((1, "z1"), 1, 0, one, members)

    def voters(counted: tuple[Member, ...]) -> list[Address]:
        assert lead.voters(counted) is lead.voters(counted), "and only then"
        return [peer.address for peer in lead.voters(counted)]

    assert voters(members) == [two, three]
    lead.drop_peer(three)
    assert voters(members) == [two]
    lead.add_peer(Peer(three, "r/z3", incarnation=2))
    assert voters(members) == [two], "a disk that the group has not admitted"
    assert voters((*members[:2], Member(three, 2))) == [two, three]
    assert voters(members) == [two]
    # A heartbeat's answer tells that another disk is new.
    leadership._hear(cast(Replica, SimpleNamespace(leading=lead)), lead.peers[two], 3, 0)
    assert voters(members) == []

"""Who holds a group: log replicas for silent members, their return, replacement, hand-over; what the catalog hears."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dynalab_fault_injection.planted_bugs import BUGS
from dynalab_impl import messages as m
from dynalab_impl import snapshot, snapshot_writer
from dynalab_impl.catalog import CATALOG
from dynalab_impl.effects import Topology
from dynalab_impl.partition import Partition
from dynalab_impl.replication import healing
from dynalab_impl.replication.replica import Replica

sys.path.insert(0, str(Path(__file__).parent))  # pytest imports test files by path, and their neighbours not at all
from explore_desk import GROUP, HOSTS, SPEC, Desk
from explore_group import Scope, Violation, wander

SECOND = 1_000_000_000


def replica_of(lab: Any, index: int, group: str) -> Any:
    return lab.simulation.hosts[index].node.replicas[group]


def seats(lab: Any, group: str) -> list[tuple[str, str]]:
    """The members as their leader has them: (node, whose seat a log replica keeps)."""
    for index in range(lab.simulation.storage_count):
        node = lab.simulation.hosts[index].node
        replica = None if node is None else node.replicas.get(group)
        if replica is not None and replica.is_leader:
            return [(x.address.node, "" if x.stands_for is None else x.stands_for.node) for x in replica.members]
    raise AssertionError("nobody leads")


def name(lab: Any, index: int) -> str:
    return str(lab.simulation.addresses[index].node)


def followers(lab: Any, key: str) -> tuple[int, int, int, str]:
    leader, group = lab.leader(key)
    one, other = (i for i in lab.members(group) if i != leader)
    return leader, one, other, group


# --- log replicas ---------------------------------------------------------------------------------------------------


@pytest.mark.claim("S104", "S140")
@pytest.mark.parametrize("seed", range(4))
def test_a_log_replica_votes_within_a_second_of_a_members_death(make_lab: Callable[..., Any], seed: int) -> None:
    lab = make_lab(seed=seed)
    lab.create()
    lab.put("a", 1)
    _, silent, _, group = followers(lab, "a")
    died_ns = lab.simulation.now
    lab.simulation.crash(silent)
    lab.run(2 * SECOND)
    joined = [at for at, _, e in lab.told if e.kind == "log-replica-joined" and e.group == group]
    assert joined and joined[0] - died_ns < SECOND
    stands = [node for node, seat in seats(lab, group) if seat == name(lab, silent)]
    assert len(seats(lab, group)) == 3 and len(stands) == 1, "three members again, one of them in the silent one's seat"


@pytest.mark.claim("S104", "S140", "S23")
def test_with_a_log_replica_a_write_survives_the_loss_of_a_second_node(lab: Any) -> None:
    leader, silent, other, _ = followers(lab, "a")
    lab.simulation.crash(silent)
    lab.run(2 * SECOND)
    lab.simulation.crash(other)  # the leader and the log replica are a quorum
    assert lab.put("a", "on two disks").status == 200
    lab.simulation.crash(leader)
    lab.simulation.restart(other)
    assert lab.get("a") == "on two disks", "the other full replica has it from the log replica"
    assert lab.leader("a")[0] == other


@pytest.mark.claim("S104")
def test_a_log_replica_holds_no_items_serves_no_reads_and_never_stands(lab: Any) -> None:
    lab.put("a", 1)
    leader, silent, other, group = followers(lab, "a")
    lab.simulation.crash(silent)
    lab.run(2 * SECOND)
    stand_in = next(i for i in lab.members(group) if i not in (leader, other))
    replica = replica_of(lab, stand_in, group)
    assert replica.log_only and not replica.may_lead() and len(replica.log) > replica.log.base
    lab.put("a", 2)
    lab.run(SECOND)
    assert group not in lab.simulation.hosts[stand_in].node.table_items("things")
    node, sent = lab.simulation.hosts[stand_in].node, []

    class Ear:
        now_ns = lab.simulation.hosts[stand_in].local_ns(lab.simulation.now)
        wall_ns = now_ns
        appended = 0

        def send(self, to: object, message: object, after: int = 0) -> None:
            sent.append(message)

        def tell(self, event: object) -> None:
            """Nobody listens."""

    for consistent in (True, False):
        node.on_get(lab.simulation.addresses[-1], m.GetRequest(group, 7, b"", consistent), Ear())
    assert [type(message) for message in sent] == [m.Redirect, m.Redirect]
    lab.simulation.crash(leader)
    lab.simulation.crash(other)
    since = len(lab.told)
    lab.run(10 * SECOND)
    assert not [e for _, who, e in lab.told[since:] if e.kind == "election-started" and e.group == group]


@pytest.mark.claim("S104", "S140")
def test_whoever_comes_back_takes_its_seat_again_and_the_log_replica_goes(lab: Any) -> None:
    leader, silent, _, group = followers(lab, "a")
    before = sorted(seats(lab, group))
    lab.simulation.crash(silent)
    lab.run(2 * SECOND)
    stand_in = next(node for node, seat in seats(lab, group) if seat)
    for i in range(30):
        lab.put("a", i)
    lab.simulation.restart(silent)
    lab.run(3 * SECOND)
    assert sorted(seats(lab, group)) == before
    assert stand_in not in [name(lab, i) for i in lab.members(group)], "its node has let it go"
    third = next(i for i in lab.members(group) if i not in (leader, silent))
    lab.simulation.crash(third)
    lab.simulation.crash(leader)
    lab.simulation.restart(third)
    assert lab.get("a") == "29", "the one that came back has caught up"


@pytest.mark.claim("S133", "S140")
def test_when_a_zone_is_lost_the_log_replica_stands_in_another(lab: Any) -> None:
    leader, _, _, group = followers(lab, "a")
    zone = next(a.zone for i, a in enumerate(lab.simulation.addresses) if i in lab.members(group) and i != leader)
    for index, address in enumerate(lab.simulation.addresses):
        if address.zone == zone and index < lab.simulation.storage_count:
            lab.simulation.crash(index)
    lab.run(3 * SECOND)
    keeper = next(node for node, seat in seats(lab, group) if seat)
    assert next(a.zone for a in lab.simulation.addresses if a.node == keeper) != zone
    assert lab.put("a", "after the zone").status == 200


def test_a_log_replica_that_dies_gives_way_to_another(lab: Any) -> None:
    leader, silent, other, group = followers(lab, "a")
    lab.simulation.crash(silent)
    lab.run(2 * SECOND)
    first = next(i for i in lab.members(group) if i not in (leader, other))
    lab.simulation.crash(first)
    lab.run(3 * SECOND)
    keepers = [node for node, seat in seats(lab, group) if seat == name(lab, silent)]
    assert len(keepers) == 1 and keepers[0] != name(lab, first)


def test_a_log_replica_comes_back_from_its_own_log_after_truncation(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(log_records_max=60)
    lab.create()
    leader, silent, other, group = followers(lab, "a")
    lab.simulation.crash(silent)
    lab.run(2 * SECOND)
    for i in range(300):
        assert lab.put("a", i).status == 200
    lab.run(4 * SECOND)
    stand_in = next(i for i in lab.members(group) if i not in (leader, other))
    before = replica_of(lab, stand_in, group)
    assert 0 < before.log.base < before.commit_index, "it keeps the recent entries, and only those"
    kept, base, members = before.log.after(before.log.base), before.log.base, before.members
    lab.simulation.crash(stand_in)
    lab.simulation.restart(stand_in)
    again = replica_of(lab, stand_in, group)
    assert again.log_only and again.log.base <= base and again.log.after(base) == kept and again.members == members
    lab.simulation.crash(other)
    assert lab.put("a", "the two of them").status == 200


def test_the_catalogs_own_group_gets_a_log_replica_as_well(lab: Any) -> None:
    members = [i for i, a in enumerate(lab.simulation.addresses) if a in lab.topology.catalog_members()]
    leader = next(i for i in members if replica_of(lab, i, CATALOG).is_leader)
    silent = next(i for i in members if i != leader)
    lab.simulation.crash(silent)
    lab.run(2 * SECOND)
    assert [seat for _, seat in seats(lab, CATALOG) if seat] == [name(lab, silent)]
    last = next(i for i in members if i not in (leader, silent))
    lab.simulation.crash(last)
    lab.create("others")
    lab.simulation.restart(silent)
    lab.simulation.restart(last)
    lab.run(4 * SECOND)
    assert not [seat for _, seat in seats(lab, CATALOG) if seat]


# --- the catalog is told --------------------------------------------------------------------------------------------


def test_the_catalog_hears_of_every_change_and_believes_no_older_one(lab: Any) -> None:
    _, silent, _, group = followers(lab, "a")

    def known() -> tuple[list[str], int]:
        for index in range(lab.simulation.storage_count):
            node = lab.simulation.hosts[index].node
            if node is not None and CATALOG in node.replicas and node.replicas[CATALOG].is_leader:
                specs = node.replicas[CATALOG].state.tables["things"].groups
                spec = next(spec for spec in specs if spec.group == group)
                return [x.address.node for x in spec.members], spec.members_slot
        raise AssertionError("nobody leads the catalog")

    lab.simulation.crash(silent)
    lab.run(3 * SECOND)
    while_silent, slot = known()
    assert while_silent == [node for node, _ in seats(lab, group)] and slot > 0
    lab.simulation.restart(silent)
    lab.run(4 * SECOND)
    afterwards, later = known()
    assert afterwards == [node for node, _ in seats(lab, group)] and later > slot
    from dynalab_impl.catalog import with_members

    spec = m.GroupSpec(group, "things", "", b"", b"", (), None, members_slot=later)
    late = m.CatalogChange("members", "things", group=group, members=SPEC.members, slot=slot)
    assert with_members((spec,), late) == (spec,)


def test_a_table_is_deleted_with_its_log_replicas(lab: Any) -> None:
    _, silent, _, group = followers(lab, "a")
    lab.simulation.crash(silent)
    lab.run(3 * SECOND)
    assert lab.call("DeleteTable", TableName="things").status == 200
    lab.run(5 * SECOND)
    lab.simulation.restart(silent)
    lab.run(8 * SECOND)
    assert lab.members(group) == [], "also whoever came back too late to hear of it from the catalog"


# --- replacement ----------------------------------------------------------------------------------------------------


def ask(lab: Any, group: str, gone: int, fresh: int, number: int = 1) -> None:
    """What an autoadmin says to the leader."""
    leader = lab.leader("a")[0]
    addresses = lab.simulation.addresses
    message = m.Replace(group, number, addresses[gone], addresses[fresh])
    lab.simulation.network.transmit(gone, leader, message, lab.simulation.now)


@pytest.mark.parametrize("dead", [True, False])
def test_a_full_replica_is_built_elsewhere_and_the_old_one_goes(make_lab: Callable[..., Any], dead: bool) -> None:
    lab = make_lab(log_records_max=60)
    lab.create()
    for i in range(200):
        lab.put("a", i)
    leader, gone, other, group = followers(lab, "a")
    if dead:
        lab.simulation.crash(gone)
        lab.run(2 * SECOND)
    zone = lab.simulation.addresses[gone].zone
    spare = [i for i in range(lab.simulation.storage_count) if i not in lab.members(group) and i != gone]
    fresh = next(i for i in spare if lab.simulation.addresses[i].zone == zone)
    ask(lab, group, gone, fresh)
    lab.run(4 * SECOND)
    assert sorted(seats(lab, group)) == sorted((name(lab, i), "") for i in (leader, other, fresh))
    lab.simulation.crash(other)
    assert lab.put("a", "with the new one").status == 200
    if dead:
        lab.simulation.restart(gone)
        lab.simulation.restart(other)
        lab.run(6 * SECOND)
    assert gone not in lab.members(group), "nobody wants it any more"
    assert lab.get("a") == "with the new one"


def test_a_replacement_that_lost_its_leader_goes_on_when_it_is_asked_for_again(lab: Any) -> None:
    leader, gone, other, group = followers(lab, "a")
    fresh = next(i for i in range(lab.simulation.storage_count) if i not in lab.members(group))
    ask(lab, group, gone, fresh)
    lab.run(SECOND // 10)
    lab.simulation.crash(leader)
    lab.run(6 * SECOND)
    lab.simulation.restart(leader)
    lab.run(3 * SECOND)
    for number in range(2, 6):
        ask(lab, group, gone, fresh, number)
        lab.run(2 * SECOND)
    assert sorted(seats(lab, group)) == sorted((name(lab, i), "") for i in (leader, other, fresh))


# --- hand-over -----------------------------------------------------------------------------------------------------


@pytest.mark.claim("S22")
def test_after_a_hand_over_nobody_waits_for_a_lease(lab: Any) -> None:
    leader, group = lab.leader("a")
    lab.put("a", "before")
    asked_ns = lab.simulation.now
    lab.simulation.ask_to_stop(leader)
    lab.run(SECOND // 10)
    assert lab.simulation.hosts[leader].node.may_stop()
    lab.simulation.stop(leader)
    serving = [at for at, _, e in lab.told if e.kind == "leader-serving" and e.group == group and at > asked_ns]
    assert serving and serving[0] - asked_ns < SECOND // 20
    assert lab.get("a") == "before" and lab.put("a", "after").status == 200


def test_routers_ask_the_next_leader_and_not_the_node_that_was_stopped(lab: Any) -> None:
    for router in (0, 1):
        lab.call("GetItem", router, TableName="things", Key={"pk": {"S": "a"}}, ConsistentRead=True)
    leader, _ = lab.leader("a")
    lab.simulation.ask_to_stop(leader)
    lab.run(SECOND // 10)
    lab.simulation.stop(leader)
    for router in (0, 1):
        began_ns = lab.simulation.now
        assert lab.put("a", "after", router=router).status == 200
        assert lab.simulation.now - began_ns < SECOND // 10, "nobody waited for an answer of the stopped node"


def test_a_write_that_meets_a_hand_over_is_asked_of_the_next_leader_at_once(lab: Any) -> None:
    lab.put("a", "before")
    leader, _ = lab.leader("a")
    node = lab.simulation.hosts[leader]
    node.sync_slowness = 1_000  # so that the write is under way
    token = lab.send("PutItem", TableName="things", Item={"pk": {"S": "a"}, "v": {"S": "meanwhile"}})
    began_ns = lab.simulation.now
    lab.run(1_200_000)
    assert token not in lab.answers
    lab.simulation.ask_to_stop(leader)
    while token not in lab.answers:
        lab.run(1_000_000)
    assert lab.answers[token].status == 200
    assert lab.simulation.now - began_ns < lab.topology.timing.attempt_ns
    assert lab.get("a") == "meanwhile"


@pytest.mark.claim("S22")
def test_a_hand_over_stands_also_when_the_old_leader_is_gone_before_it_can_promise(lab: Any) -> None:
    leader, group = lab.leader("a")
    asked_ns = lab.simulation.now
    lab.simulation.ask_to_stop(leader)
    lab.simulation.stop(leader)
    lab.run(SECOND // 10)
    serving = [at for at, _, e in lab.told if e.kind == "leader-serving" and e.group == group and at > asked_ns]
    assert serving and serving[0] - asked_ns < SECOND // 20


def test_a_late_copy_of_a_hand_over_does_not_spare_the_wait_for_a_newer_leader() -> None:
    """The ballot that was given up is older than what somebody of the quorum had promised since."""
    desk = Desk(0, 0, Topology(HOSTS, ()))
    desk.set_clock(100 * SECOND)
    timing = desk.topology.timing
    heir = Replica(SPEC, HOSTS[0], 1, timing, Partition(SPEC, timing.dedup_ns))
    heir.recover_promise((3, "old"))
    heir.on_hand_over(HOSTS[1], m.HandOver(GROUP, (3, "old")), desk)
    assert heir.role == "candidate"
    for previous, waits in (((3, "old"), False), ((4, "newer"), True)):
        promise = m.Promise(GROUP, heir.promised, 1, 0, (), previous)
        wait_ns = heir.lease_wait_ns({**heir.promises, HOSTS[1]: promise})
        assert (wait_ns > 0) is waits
    assert heir.lease_wait_ns({HOSTS[1]: m.Promise(GROUP, heir.promised, 1, 0, (), m.NO_BALLOT)}) == 0


# --- any order ------------------------------------------------------------------------------------------------------


def healing_scope(seed: int) -> Scope:
    """Spare nodes, and silences that are shorter than a lease; every third walk with a disk lost."""
    return Scope(
        writes=8,
        crashes=(0, 2, 4)[seed % 3],
        wipes=(0, 0, 2)[seed % 3],
        copies=10,
        losses=10,
        reads=6,
        waits=8,
        pauses=20,
        stands=10,
        retries=8,
        beats=60,
        spares=1 + seed % 2,
        log_records_max=8 if seed % 2 else 20_000,
        leases=seed % 4 < 2,
    )


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot_writer, "LOG_TAIL_ENTRIES", 1)
    monkeypatch.setattr(snapshot_writer, "PIECE_IMAGES", 2)
    monkeypatch.setattr(snapshot.Outgoing.piece, "__defaults__", (2,))


@pytest.mark.claim("S23", "S24", "S104")
def test_no_order_of_events_breaks_a_group_whose_members_change(small_pieces: None) -> None:
    sometimes: Counter[str] = Counter()
    for seed in range(64):
        sometimes += wander(seed, healing_scope(seed), 500).sometimes
    assert sometimes["healed"] == 64
    assert sometimes["committed AddMember"] > 20 and sometimes["committed RemoveMember"] > 20
    assert sometimes["log replica"] > 1_000 and sometimes["answered"] > 100


def test_the_walks_notice_a_swap_in_one_step(small_pieces: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted bug, on a walk that was found to show it: two values in one slot, not merely a group that stands."""
    for patch in BUGS["two-changes-at-once"].patches:
        monkeypatch.setattr(patch.owner, patch.method, patch.replacement)
    with pytest.raises(Violation, match="at one replica"):
        for seed in range(560, 1000):
            try:
                wander(seed, healing_scope(seed), 500)
            except Violation as violation:
                if "does not come back" not in str(violation):
                    raise


def test_the_constants_keep_the_promise_of_a_second() -> None:
    timing = Topology(HOSTS, ()).timing
    from dynalab_impl.replication.leading import SILENT_HEARTBEATS

    assert (SILENT_HEARTBEATS + 1) * timing.heartbeat_ns < SECOND
    assert healing.LOG_REPLICAS_MAX < healing.MEMBERS_MIN - 1, "most members can lead"

"""Each fault of the catalogue does what its name says, counts its evidence, and is gone after it stopped."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from dynalab_fault_injection.archive_judge import archive_agrees
from dynalab_fault_injection.cluster import Cluster
from dynalab_fault_injection.crash_faults import HARMS, NodeCrash
from dynalab_fault_injection.faults import CATALOGUE, SECOND, Fault, heal, plan
from dynalab_fault_injection.implementation import implementation_format
from dynalab_fault_injection.link_faults import ACKNOWLEDGEMENTS, INDEX_TRAFFIC, LOG_TRAFFIC, LinkFault
from dynalab_fault_injection.operator import Operator
from dynalab_fault_injection.simulator import LinkRule, Simulation, stream
from dynalab_fault_injection.store_faults import SlowDisk, SyncFailure
from dynalab_fault_injection.table_fault import TABLE
from dynalab_fault_injection.throttle_fault import USUAL
from dynalab_fault_injection.workloads import Index, Recorder
from dynalab_fault_injection.workloads.items import get, put, value_of
from dynalab_impl import messages
from dynalab_impl.effects import Address, Message, Topology, layout
from dynalab_impl.service import make_node
from dynalab_impl.storage_node import HANDLERS
from dynalab_model.events import Event
from dynalab_model.operations import DeleteTable, TransactWriteItems
from tests.fault_injection.toys import HERE, Pulse, Scripted, scripted

N1 = Address("r1", "z1", "n1")
MISSING_OR_BUSY = ("ResourceNotFoundException", "ResourceInUseException")


@dataclass(slots=True)
class Formed:
    """A cluster of nine with an active table, and its operator."""

    simulation: Simulation
    cluster: Cluster
    operator: Operator
    recorder: Recorder
    workload: Index = field(default_factory=Index)


def form(seed: int, topology: Topology | None = None) -> Formed:
    simulation = Simulation(seed, topology or layout(), make_node, implementation_format())
    recorder = Recorder(simulation)
    formed = Formed(simulation, Cluster(simulation, stream(seed, "faults")), Operator(simulation, recorder), recorder)
    simulation.start()
    assert formed.operator.create_table(formed.workload.schema(), 20 * SECOND)
    return formed


def window(formed: Formed, fault: Fault, seconds: int, *, transactions: bool = False) -> None:
    """Run the fault for a while under a write every 50 ms, each a transaction if that is asked for."""
    simulation = formed.simulation
    fault.start(formed.cluster)
    end_ns = simulation.now + seconds * SECOND
    number = 0
    while simulation.now < end_ns:
        number += 1
        write = put("colours", f"k{number % 8}", number, {"colour": {"S": f"c{number % 3}"}})
        write.return_values = "NONE" if transactions else write.return_values
        simulation.request(0, number % 2, TransactWriteItems((write,)) if transactions else write)
        simulation.run_until(simulation.now + SECOND // 20)
    fault.stop(formed.cluster)


@pytest.mark.parametrize("name", list(CATALOGUE))
def test_every_fault_of_the_catalogue_bites_and_leaves_a_cluster_that_comes_back(name: str) -> None:
    for seed in range(4):  # a fault may miss once: a slow zone without traffic, a crash that found nothing
        formed = form(seed, layout(archive=True, scrub=True, limits=USUAL))
        window(formed, CATALOGUE["clock-offset"].make(), 1)  # some items
        fault = CATALOGUE[name].make()
        window(formed, fault, 3, transactions=name == "crash-between-steps")
        if any(fault.evidence.values()):
            break
    assert any(fault.evidence.values()), f"{name} never hit anything"
    assert all(count >= 0 for count in fault.evidence.values())
    formed.cluster.restart_all()
    assert formed.operator.probe(formed.workload, 8, formed.simulation.now + 20 * SECOND) == ""


def test_a_crash_strikes_while_a_sync_runs_and_loses_the_unsynced_tail() -> None:
    lost = torn = 0
    for seed in range(12):
        formed = form(seed)
        window(formed, NodeCrash(), 2)
        lost += formed.simulation.counters.get("lost-unsynced-tails", 0)
        torn += formed.simulation.counters.get("torn-tails-cut", 0)
    assert lost >= 6
    assert torn >= 2


@pytest.mark.claim("rot")
@pytest.mark.parametrize("harm", ["rot", "stray"])
def test_a_hurt_record_is_always_found_and_costs_the_machine_its_disk(harm: str) -> None:
    words: set[str] = set()
    for seed in range(10):
        formed = form(seed)
        simulation = formed.simulation
        fault = NodeCrash(harm)
        window(formed, fault, 2)
        given_up = {name: n for name, n in simulation.counters.items() if name.startswith("disks-given-up")}
        assert sum(given_up.values()) == fault.evidence.get(HARMS[harm], 0), "found when it was there, and only then"
        assert simulation.counters.get("wiped-disks", 0) == sum(given_up.values())
        words |= set(given_up)
        deadline_ns = simulation.now + 30 * SECOND
        while not formed.cluster.may_wipe() and simulation.now < deadline_ns:
            simulation.run_until(simulation.now + SECOND)
        assert formed.cluster.may_wipe(), "its replicas never voted again"
    assert words >= ({"disks-given-up-unreadable"} if harm == "rot" else {"disks-given-up-misplaced"})


@pytest.mark.claim("failed-sync")
def test_a_node_whose_sync_failed_crashes_and_nothing_that_waited_for_it_leaves() -> None:
    lost = 0
    for seed in range(6):
        formed = form(seed)
        simulation = formed.simulation
        fault = SyncFailure()
        fault.start(formed.cluster)
        victim = next(host for host in simulation.hosts if host.sync_fails)
        durable = victim.durable
        end_ns = simulation.now + 2 * SECOND
        while victim.node is not None and simulation.now < end_ns:
            simulation.request(0, 0, put("colours", f"k{seed}", seed, {"colour": {"S": "red"}}))
            simulation.run_until(simulation.now + SECOND // 100)
        assert victim.node is None and victim.failed_syncs == 1
        assert victim.disk.synced == durable, "what the sync did not confirm counts as not synced"
        lost += simulation.counters["outputs-lost-in-crash"]
        fault.stop(formed.cluster)
        assert fault.evidence == {"syncs-that-failed": 1} and victim.node is not None and not victim.sync_fails
        simulation.run_until(simulation.now + 2 * SECOND)
        assert victim.durable > 0
    assert lost > 0


def test_on_a_slow_disk_syncs_take_long_and_serve_more_writes_at_once() -> None:
    formed = form(1)
    fault = SlowDisk()
    before = [host.appended for host in formed.simulation.hosts]
    window(formed, fault, 3)
    (host,) = (host for host in formed.simulation.hosts if host.slow_syncs)
    assert fault.evidence == {"slow-syncs": host.slow_syncs} and host.sync_slowness == 1
    assert host.appended - before[host.index] > host.slow_syncs, "one sync served several appends"


def test_no_second_disk_is_lost_before_the_first_ones_replicas_vote_again() -> None:
    formed = form(3)
    cluster, simulation = formed.cluster, formed.simulation
    first = NodeCrash("wipe")
    first.start(cluster)
    simulation.run_until(simulation.now + SECOND)
    assert first.evidence["disks-lost"] == 1
    second = NodeCrash("wipe")
    second.start(cluster)
    simulation.run_until(simulation.now + SECOND)
    assert second.evidence == {} and simulation.counters["wiped-disks"] == 1
    assert not cluster.may_wipe()
    second.stop(cluster)
    first.stop(cluster)
    deadline_ns = simulation.now + 30 * SECOND
    while not cluster.may_wipe() and simulation.now < deadline_ns:
        simulation.run_until(simulation.now + SECOND)
    assert cluster.may_wipe(), "the wiped node never came back as a voter"
    assert simulation.told["learner-readmitted"] >= 1
    third = NodeCrash("wipe")
    third.start(cluster)
    simulation.run_until(simulation.now + SECOND)
    assert third.evidence["disks-lost"] == 1


def test_a_disk_that_may_not_go_yet_goes_later_in_the_same_window() -> None:
    formed = form(3)
    cluster, simulation = formed.cluster, formed.simulation
    first, second = NodeCrash("wipe"), NodeCrash("wipe")
    first.start(cluster)
    simulation.run_until(simulation.now + SECOND)
    second.start(cluster)
    assert second.evidence == {}
    first.stop(cluster)
    deadline_ns = simulation.now + 30 * SECOND
    while not second.evidence and simulation.now < deadline_ns:
        simulation.run_until(simulation.now + SECOND)
    assert second.evidence["disks-lost"] == 1 and simulation.counters["wiped-disks"] == 2
    second.stop(cluster)


def test_a_wipe_that_would_leave_the_atlas_is_refused_outright() -> None:
    formed = form(1)
    victims = formed.cluster.storage_up()[:2]
    for victim in victims:
        formed.simulation.crash(victim)
    formed.cluster.wipe(victims[0], ("some group",))
    with pytest.raises(AssertionError, match="atlas"):
        formed.cluster.wipe(victims[1], ())


def test_a_zone_loss_hurts_one_zone_and_nothing_else() -> None:
    kinds = {"power": 0, "network": 0}
    for seed in range(8):
        formed = form(seed)
        fault = CATALOGUE["zone-loss"].make()
        fault.start(formed.cluster)
        down = {formed.cluster.address(i).zone for i, host in enumerate(formed.simulation.hosts) if host.node is None}
        if down:
            kinds["power"] += 1
            assert len(down) == 1
            (zone,) = down
            inside = formed.cluster.in_zone(("r1", zone))
            assert all(not formed.simulation.is_up(index) for index in inside)
        else:
            kinds["network"] += 1
        fault.stop(formed.cluster)
        assert all(host.node is not None for host in formed.simulation.hosts)
    assert kinds["power"] and kinds["network"], "zones are lost by power and by network"


def pulses(rule: LinkRule | None, count: int = 200) -> tuple[list[int], list[int], Simulation]:
    """Send pulses from n1 to n2, one a millisecond, under a rule: numbers and times of arrival."""
    numbers: list[int] = []
    times: list[int] = []

    def on_message(sender: Address, message: object, effects: object) -> None:
        assert isinstance(message, Pulse)
        numbers.append(message.number)
        times.append(simulation.now)

    simulation = scripted(1, {"n2": Scripted(HERE, message=on_message)})
    simulation.run_until(10_000_000)
    if rule is not None:
        rule.links = simulation.network.links([0], [1])
        simulation.network.add_rule(rule)
    for number in range(count):
        simulation.network.transmit(0, 1, Pulse(number), simulation.now + number * 1_000_000)
    simulation.run_until(20 * SECOND)
    return numbers, times, simulation


def test_without_a_rule_every_message_arrives_once() -> None:
    numbers, _, _ = pulses(None)
    assert sorted(numbers) == list(range(200))


def test_a_cut_drops_everything_in_its_direction_alone() -> None:
    numbers, _, simulation = pulses(LinkRule("cut", bytearray(16)))
    assert numbers == []
    mask = simulation.network.links([0], [1])
    assert mask[0 * 4 + 1] == 1 and mask[1 * 4 + 0] == 0
    both = simulation.network.links([0], [1], both_ways=True)
    assert both[0 * 4 + 1] == both[1 * 4 + 0] == 1
    assert sum(simulation.network.links([0, 1], [0, 1])) == 2, "a node is never cut off from itself"


def test_loss_drops_about_its_share() -> None:
    rule = LinkRule("loss", bytearray(16), chance=1 << 18)
    numbers, _, _ = pulses(rule)
    assert 120 <= len(numbers) <= 175
    assert rule.hits == 200 - len(numbers)


def test_a_duplicate_arrives_twice_the_second_time_late() -> None:
    rule = LinkRule("duplicate", bytearray(16), chance=1 << 18, spread_bits=26)
    numbers, _, _ = pulses(rule)
    assert sorted({*numbers}) == list(range(200))
    assert len(numbers) == 200 + rule.hits and rule.hits > 20


def test_a_delay_holds_every_message_back_by_at_least_its_length() -> None:
    _, plain, _ = pulses(None, 1)
    _, late, _ = pulses(LinkRule("delay", bytearray(16), delay_ns=50_000_000), 1)
    assert late[0] - plain[0] == 50_000_000


def test_reordering_is_counted_when_a_message_was_really_overtaken() -> None:
    rule = LinkRule("reorder", bytearray(16), chance=1 << 18, spread_bits=24)
    numbers, _, _ = pulses(rule)
    assert sorted(numbers) == list(range(200)) and numbers != sorted(numbers)
    assert 0 < rule.overtaken <= rule.hits
    calm = LinkRule("reorder", bytearray(16), chance=0, spread_bits=24)
    pulses(calm)
    assert (calm.overtaken, calm.hits, calm.seen) == (0, 0, 200)


def test_index_lag_holds_back_index_traffic_and_nothing_else() -> None:
    for name in INDEX_TRAFFIC:
        assert issubclass(getattr(messages, name), Message), "it names messages that the implementation has"
    rule = LinkRule("delay", bytearray(16), delay_ns=SECOND, names=INDEX_TRAFFIC)
    _, times, _ = pulses(rule, 5)
    assert max(times) < SECOND // 10 and rule.hits == 0


def test_while_the_log_lags_followers_are_heard_and_no_log_replica_takes_a_seat() -> None:
    lagged = 0
    for seed in range(3):
        formed = form(seed)
        fault = CATALOGUE["log-lag"].make()
        before = formed.simulation.told.get("log-replica-hosted", 0)
        window(formed, fault, 4)
        assert {*fault.evidence} <= {"log-messages-delayed"}
        lagged += fault.evidence.get("log-messages-delayed", 0)
        assert formed.simulation.told.get("log-replica-hosted", 0) == before
        assert "lease-ran-out" not in formed.simulation.told, "heartbeats pass"
    assert lagged > 100


def test_a_leader_whose_acknowledgements_are_late_lets_its_lease_run_out_though_it_is_answered() -> None:
    formed = form(1)
    fault = CATALOGUE["late-acknowledgements"].make()
    window(formed, fault, 4)
    assert {*fault.evidence} == {"acknowledging-messages-delayed"}
    assert formed.simulation.told["lease-ran-out"] >= 1
    for name in (*LOG_TRAFFIC, *ACKNOWLEDGEMENTS):
        assert any(name == kind.__name__ for kind in HANDLERS), "it names messages that storage nodes have"


@pytest.mark.claim("S22")
def test_a_stranded_leader_holds_its_lease_when_the_next_one_is_elected_and_not_any_more_when_that_one_serves() -> None:
    overlapping = 0
    for seed in range(4):
        formed = form(seed)
        window(formed, CATALOGUE["clock-offset"].make(), 1)  # some items
        fault = CATALOGUE["stranded-leader"].make()
        told: list[tuple[int, str, str]] = []

        def listen(now: int, who: Address, event: Event, told: list[tuple[int, str, str]] = told) -> None:
            told.append((now, event.kind, event.group))

        formed.simulation.listeners.append(listen)
        window(formed, fault, 4)
        assert fault.evidence["messages-cut"] > 10
        for now, kind, group in told:
            if kind != "leader-serving":
                continue
            ended = [at for at, what, where in told if (what, where) == ("lease-ran-out", group)]
            elected = [at for at, what, where in told if (what, where) == ("leader-elected", group)]
            assert ended and min(ended) < now
            overlapping += elected[0] < ended[0] < elected[0] + SECOND
    assert overlapping, "the lease that has to be waited for"


def test_what_rots_in_the_archive_is_noticed_by_who_reads_it_and_nobody_archives_behind_it() -> None:
    told: dict[str, int] = {}
    for seed in range(3):
        formed = form(seed, layout(archive=True))
        window(formed, CATALOGUE["clock-offset"].make(), 4)  # something to archive
        fault = CATALOGUE["archive-rot"].make()
        window(formed, fault, 12)
        store = formed.simulation.objects
        assert fault.evidence == {"archived-objects-rotten": len(store.rotten)}
        for kind in ("archive-damaged", "archive-stopped"):
            told[kind] = told.get(kind, 0) + formed.simulation.told.get(kind, 0)
        judged = archive_agrees(formed.cluster, "colours")
        assert judged.verdict == "valid", judged.why
        store.rotten.clear()  # had nobody hurt it, what lies there would be a bug
        assert archive_agrees(formed.cluster, "colours").verdict == "invalid"
    assert told["archive-damaged"] and told["archive-stopped"]


def test_another_table_comes_and_goes_and_leaves_nothing_behind() -> None:
    formed = form(2)
    fault = CATALOGUE["table-churn"].make()
    window(formed, fault, 6)
    assert fault.evidence["tables-that-came-and-went"] >= 2
    assert formed.simulation.told["table-gone"] >= 2
    gone = formed.operator.ask(DeleteTable(TABLE))
    assert gone is not None and (
        gone.status == 200 or gone.error in ("ResourceNotFoundException", "ResourceInUseException")
    )
    formed.simulation.run_until(formed.simulation.now + 5 * SECOND)
    if gone.error != "ResourceInUseException":
        for index in formed.cluster.storage_up():
            node = formed.cluster.storage(index)
            assert node is not None and not [g for g, held in node.replicas.items() if held.spec.table == TABLE]


def test_a_blackout_comes_in_the_middle_of_a_snapshot_and_nothing_acknowledged_is_lost() -> None:
    struck = 0
    for seed in range(2):
        formed = form(seed, layout(log_records_max=60))
        window(formed, CATALOGUE["clock-offset"].make(), 2)  # some items, and logs long enough
        kept = formed.operator.ask(put("colours", "kept", 7, {"colour": {"S": "c0"}}))
        assert kept is not None and kept.status == 200
        fault = CATALOGUE["blackout"].make()
        window(formed, fault, 2)
        assert fault.evidence["nodes-died"] == 9
        struck += fault.evidence.get("power-lost-while-a-snapshot-was-written", 0)
        assert all(host.trap is None for host in formed.simulation.hosts)
        assert formed.operator.probe(formed.workload, 4, formed.simulation.now + 20 * SECOND) == ""
        read = formed.operator.ask(get("colours", "kept", consistent=True))
        assert read is not None and value_of(read.body.get("Item")) == 7
    assert struck


def test_a_leader_dies_before_a_machine_with_an_empty_disk_votes_again_and_both_come_back_whole() -> None:
    struck = 0
    for seed in range(4):
        formed = form(seed)
        simulation = formed.simulation
        window(formed, CATALOGUE["clock-offset"].make(), 1)  # some items
        fault = CATALOGUE["loss-on-return"].make()
        window(formed, fault, 3)
        assert fault.evidence["disks-lost"] == 1 == simulation.counters["wiped-disks"]
        struck += fault.evidence.get("leaders-lost-on-a-return", 0)
        deadline_ns = simulation.now + 30 * SECOND
        while not formed.cluster.may_wipe() and simulation.now < deadline_ns:
            simulation.run_until(simulation.now + SECOND)
        assert formed.cluster.may_wipe(), "the wiped machine never voted again"
    assert struck >= 2


def test_a_fault_that_was_stopped_twice_or_never_started_changes_nothing() -> None:
    formed = form(2)
    for kind in CATALOGUE.values():
        fault = kind.make()
        fault.stop(formed.cluster)
        assert not any(fault.evidence.values())
    link = CATALOGUE["loss"].make()
    assert isinstance(link, LinkFault)
    link.start(formed.cluster)
    link.stop(formed.cluster)
    link.stop(formed.cluster)
    assert all(host.node is not None and host.ppm == 0 and host.slowness == 1 for host in formed.simulation.hosts)


def test_clock_faults_keep_to_their_bounds_and_are_taken_back() -> None:
    formed = form(5)
    hosts = formed.simulation.hosts
    before = [host.wall_shift_ns for host in hosts]
    offset, drift = CATALOGUE["clock-offset"].make(), CATALOGUE["clock-drift"].make()
    offset.start(formed.cluster)
    drift.start(formed.cluster)
    shifts = [host.wall_shift_ns - old for host, old in zip(hosts, before, strict=True)]
    assert any(shifts) and all(abs(shift) <= 18 * SECOND for shift in shifts)
    bound = formed.simulation.topology.timing.drift_ppm
    assert {abs(host.ppm) for host in hosts} <= {0, bound} and any(host.ppm for host in hosts)
    offset.stop(formed.cluster)
    drift.stop(formed.cluster)
    assert [host.wall_shift_ns for host in hosts] == before
    assert not any(host.ppm for host in hosts)


def test_a_plan_puts_each_window_into_its_share_of_the_time_and_healing_ends_them_all() -> None:
    formed = form(7)
    simulation = formed.simulation
    start_ns, end_ns = simulation.now, simulation.now + 20 * SECOND
    windows = plan(formed.cluster, ("node-crash", "clock-drift", "loss"), start_ns, end_ns)
    assert [w.name for w in windows] == ["node-crash"] * 2 + ["clock-drift"] * 2 + ["loss"] * 2
    for first, second in zip(windows[::2], windows[1::2], strict=True):
        assert start_ns <= first.start_ns < first.end_ns <= second.start_ns < second.end_ns <= end_ns
    simulation.run_until(windows[0].start_ns + SECOND)
    heal(formed.cluster, windows)
    assert all(host.node is not None and host.ppm == 0 for host in simulation.hosts)
    simulation.run_until(end_ns)
    heal(formed.cluster, windows)
    assert all(window.bit for window in windows)

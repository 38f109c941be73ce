"""What the simulator owes to every node: the rules of `dynalab_impl.effects`, shown with toy nodes."""

from __future__ import annotations

from itertools import pairwise

import pytest

from dynalab_fault_injection.simulator import Parameters
from dynalab_impl.effects import LAST, NOTHING, Address, Effects, Message, RequestToken, Response, TimerName
from dynalab_model.events import Event
from dynalab_model.operations import Operation, PutItem
from tests.fault_injection.toys import HERE, READ, Added, Pulse, Scripted, ledgers, scripted

SECOND = 1_000_000_000
SLOW_DISK = Parameters(sync_ns=50_000_000)


class Answers:
    """A client that only listens."""

    def __init__(self) -> None:
        self.responses: list[Response] = []

    def on_wake(self, tag: int) -> None:
        raise AssertionError("nobody wakes this client")

    def on_response(self, token: RequestToken, response: Response) -> None:
        self.responses.append(response)


def pulse_collector() -> tuple[Scripted, list[int]]:
    numbers: list[int] = []

    def note(sender: Address, message: Message, effects: Effects) -> None:
        assert isinstance(message, Pulse)
        numbers.append(message.number)

    return Scripted(HERE, message=note), numbers


def test_a_message_that_depends_on_a_record_leaves_only_when_the_record_is_on_disk() -> None:
    receiver, numbers = pulse_collector()
    target = Address("r1", "z2", "n2")

    def start(effects: Effects) -> None:
        effects.append(Added(1))
        effects.send(target, Pulse(1))
        effects.send(target, Pulse(2), NOTHING)

    simulation = scripted(1, {"n1": Scripted(HERE, start=start), "n2": receiver}, parameters=SLOW_DISK)
    simulation.run_until(40_000_000)
    assert numbers == [2], "what depends on nothing does not wait for the disk"
    simulation.run_until(100_000_000)
    assert numbers == [2, 1]


def test_a_machine_that_dies_during_a_sync_sends_nothing_of_what_waited() -> None:
    receiver, numbers = pulse_collector()

    def start(effects: Effects) -> None:
        effects.append(Added(1))
        effects.send(Address("r1", "z2", "n2"), Pulse(1))

    simulation = scripted(1, {"n1": Scripted(HERE, start=start), "n2": receiver}, parameters=SLOW_DISK)
    simulation.run_until(20_000_000)
    simulation.crash(0)
    simulation.run_until(SECOND)
    assert numbers == []
    assert simulation.counters["outputs-lost-in-crash"] == 1


def test_a_duplicate_that_arrives_while_a_sync_runs_is_not_acknowledged_early() -> None:
    receiver, numbers = pulse_collector()
    logged: list[int] = []

    def on_message(sender: Address, message: Message, effects: Effects) -> None:
        assert isinstance(message, Pulse)
        if message.number not in logged:
            logged.append(message.number)
            effects.append(Added(message.number))
        # The second copy appends nothing; its acknowledgement still waits for the first one's record.
        effects.send(Address("r1", "z2", "n2"), message, LAST)

    simulation = scripted(1, {"n1": Scripted(HERE, message=on_message), "n2": receiver}, parameters=SLOW_DISK)
    simulation.run_until(10_000_000)
    simulation.network.transmit(1, 0, Pulse(7), simulation.now)
    simulation.network.transmit(1, 0, Pulse(7), simulation.now + 5_000_000)
    simulation.run_until(55_000_000)
    assert numbers == [] and logged == [7]
    simulation.run_until(SECOND)
    assert numbers == [7, 7]


def test_one_sync_serves_all_appends_that_were_made_while_the_last_one_ran() -> None:
    reports: list[int] = []

    def on_message(sender: Address, message: Message, effects: Effects) -> None:
        effects.append(Added(1))

    node = Scripted(HERE, message=on_message, durable=lambda position, effects: reports.append(position))
    simulation = scripted(1, {"n1": node}, parameters=SLOW_DISK)
    simulation.run_until(10_000_000)
    for number in range(20):
        simulation.network.transmit(1, 0, Pulse(number), simulation.now + number * 1_000_000)
    simulation.run_until(SECOND)
    assert reports == [1, 20], "the first append is synced alone, the nineteen others together"


def test_what_was_synced_survives_every_crash_and_positions_go_on_from_there() -> None:
    for seed in range(30):
        simulation, seen, _ = ledgers(seed, requests=100)
        simulation.run_until(100_000_000)
        synced = [host.disk.synced for host in simulation.hosts]
        before = {host.address.node: host.durable for host in simulation.hosts[:9]}
        seen.recovered.clear()
        for index in range(9):
            simulation.crash(index)
            simulation.restart(index)
        assert [len(amounts) >= before[node] for node, _, amounts in seen.recovered] == [True] * 9
        assert all(host.disk.synced >= old for host, old in zip(simulation.hosts, synced, strict=True))
        restarted = simulation.hosts[0]
        appended = restarted.appended
        simulation.run_until(SECOND)
        assert restarted.appended > appended


def test_of_what_was_not_synced_a_prefix_survives_and_a_torn_record_is_cut() -> None:
    outcomes: dict[str, int] = {}
    for seed in range(60):

        def start(effects: Effects) -> None:
            if not list(effects.read_log()):
                for amount in range(4):
                    effects.append(Added(amount))

        simulation = scripted(seed, {"n1": Scripted(HERE, start=start)}, parameters=SLOW_DISK)
        simulation.run_until(20_000_000)
        simulation.crash(0)
        records = simulation.hosts[0].disk.open()
        assert records == [Added(amount) for amount in range(4)][: len(records)]
        outcomes[f"kept {len(records)}"] = outcomes.get(f"kept {len(records)}", 0) + 1
        outcomes["torn"] = outcomes.get("torn", 0) + simulation.hosts[0].disk.torn_tails
    assert sum(1 for name in outcomes if name.startswith("kept")) >= 4, "every length of prefix comes up"
    assert outcomes["torn"] > 30


def test_truncation_drops_a_prefix_of_any_length_and_never_more_than_was_allowed() -> None:
    left: set[int] = set()
    for seed in range(40):

        def start(effects: Effects) -> None:
            amounts = [record.amount for record in effects.read_log() if isinstance(record, Added)]
            if amounts:
                left.add(len(amounts))
                assert amounts == list(range(10))[-len(amounts) :] and len(amounts) >= 6, "a suffix, with 4 … 9 in it"
                return
            positions = [effects.append(Added(amount)) for amount in range(10)]
            assert positions == list(range(1, 11))

        def durable(position: int, effects: Effects) -> None:
            effects.truncate(5)
            effects.truncate(3)  # less than before: nothing more to drop

        simulation = scripted(seed, {"n1": Scripted(HERE, start=start, durable=durable)})
        simulation.run_until(100_000_000)
        assert simulation.hosts[0].disk.first_position == simulation.hosts[0].dropped + 1 <= 5
        simulation.crash(0)
        simulation.restart(0)
    assert left == {6, 7, 8, 9, 10}


def test_positions_go_on_after_a_truncation_and_what_is_not_on_disk_cannot_be_dropped() -> None:
    after: list[int] = []

    def durable(position: int, effects: Effects) -> None:
        if position == 10:
            effects.truncate(11)
            after.append(effects.append(Added(10)))

    def start(effects: Effects) -> None:
        if not list(effects.read_log()):
            for amount in range(10):
                effects.append(Added(amount))

    simulation = scripted(1, {"n1": Scripted(HERE, start=start, durable=durable)})
    simulation.run_until(100_000_000)
    assert after == [11] and simulation.hosts[0].durable == 11
    simulation.crash(0)
    assert simulation.hosts[0].disk.open()[-1] == Added(10)
    hasty = Scripted(HERE, start=lambda effects: effects.truncate(effects.append(Added(1)) + 1))
    with pytest.raises(AssertionError, match="not on disk yet"):
        scripted(1, {"n1": hasty}).run_until(100_000_000)


def test_a_wiped_disk_comes_back_empty_under_a_higher_incarnation() -> None:
    simulation, seen, _ = ledgers(3)
    simulation.run_until(200_000_000)
    seen.recovered.clear()
    simulation.crash(4)
    simulation.wipe(4)
    simulation.restart(4)
    simulation.crash(5)
    simulation.restart(5)
    (name, incarnation, amounts), (_, other, kept) = seen.recovered
    assert (name, incarnation, amounts) == ("n5", 2, [])
    assert other == 1 and kept


def test_a_timer_that_was_set_again_or_cancelled_fires_once_or_never() -> None:
    fired: list[tuple[TimerName, int]] = []
    begun: list[int] = []

    def start(effects: Effects) -> None:
        begun.append(effects.now_ns)
        effects.set_timer(("again", 1), 10_000_000)
        effects.set_timer(("again", 1), 30_000_000)
        effects.set_timer(("never",), 10_000_000)
        effects.cancel_timer(("never",))
        effects.cancel_timer(("was never set",))

    node = Scripted(HERE, start=start, timer=lambda name, effects: fired.append((name, effects.now_ns)))
    simulation = scripted(1, {"n1": node})
    simulation.run_until(SECOND)
    assert [name for name, _ in fired] == [("again", 1)]
    assert fired[0][1] == begun[0] + 30_000_000


def test_a_timer_is_forgotten_when_its_machine_restarts() -> None:
    fired: list[TimerName] = []
    starts: list[int] = []

    def start(effects: Effects) -> None:
        starts.append(1)
        if len(starts) == 1:
            effects.set_timer(("first life",), 30_000_000)

    node = Scripted(HERE, start=start, timer=lambda name, effects: fired.append(name))
    simulation = scripted(1, {"n1": node})
    simulation.run_until(20_000_000)
    simulation.crash(0)
    simulation.restart(0)
    simulation.run_until(SECOND)
    assert len(starts) == 2 and fired == []


@pytest.mark.parametrize("ppm", [-200, 0, 200])
def test_a_timer_is_never_early_by_the_clock_of_its_own_machine(ppm: int) -> None:
    waits: list[int] = []
    set_at: list[int] = []

    def start(effects: Effects) -> None:
        set_at.append(effects.now_ns)
        effects.set_timer(("lease",), 1_500_000_000)

    node = Scripted(HERE, start=start, timer=lambda name, effects: waits.append(effects.now_ns - set_at[-1]))
    simulation = scripted(1, {"n1": node})
    simulation.run_until(500_000_000)
    simulation.hosts[0].set_clock(simulation.now, ppm=ppm)  # the rate changes while the timer runs
    simulation.run_until(3 * SECOND)
    assert len(waits) == 1
    assert 0 <= waits[0] - 1_500_000_000 <= 400_000


def test_clocks_of_two_machines_cannot_be_compared_but_each_runs_at_its_rate() -> None:
    simulation, _, _ = ledgers(1)
    fast, slow = simulation.hosts[0], simulation.hosts[1]
    fast.set_clock(0, ppm=200)
    slow.set_clock(0, ppm=-200)
    gained = fast.local_ns(SECOND) - fast.local_ns(0)
    lost = slow.local_ns(SECOND) - slow.local_ns(0)
    assert (gained, lost) == (SECOND + 200_000, SECOND - 200_000)
    assert abs(fast.local_ns(0) - slow.local_ns(0)) > SECOND


def test_a_wall_clock_that_steps_leaves_the_monotonic_one_alone() -> None:
    readings: list[tuple[int, int]] = []

    def timer(name: TimerName, effects: Effects) -> None:
        readings.append((effects.now_ns, effects.wall_ns))
        effects.set_timer(name, 100_000_000)

    node = Scripted(HERE, start=lambda effects: effects.set_timer(("tick",), 1), timer=timer)
    simulation = scripted(1, {"n1": node})
    simulation.run_until(250_000_000)
    simulation.hosts[0].wall_shift_ns += 3600 * SECOND
    simulation.run_until(450_000_000)
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(readings)]
    assert [step[0] for step in steps] == [100_000_000] * 4
    assert [step[1] for step in steps] == [100_000_000, 100_000_000, 3600 * SECOND + 100_000_000, 100_000_000]


def test_a_restarted_machine_has_a_new_monotonic_clock_and_the_same_wall_clock() -> None:
    readings: list[tuple[int, int]] = []
    node = Scripted(HERE, start=lambda effects: readings.append((effects.now_ns, effects.wall_ns)))
    simulation = scripted(1, {"n1": node})
    simulation.run_until(SECOND)
    simulation.crash(0)
    simulation.run_until(2 * SECOND)
    simulation.restart(0)
    (first, first_wall), (second, second_wall) = readings
    assert 0 <= 2 * SECOND - (second_wall - first_wall) < 1_000_000
    assert abs(second - first) > 10 * SECOND


def test_a_request_to_a_router_that_is_down_is_never_answered() -> None:
    router = Scripted(HERE, request=lambda token, operation, effects: effects.reply(token, Response(200, {})))
    simulation = scripted(1, {"router1": router})
    listener = Answers()
    simulation.clients.append(listener)
    simulation.run_until(10_000_000)
    simulation.crash(3)
    simulation.request(0, 0, READ)
    simulation.run_until(SECOND)
    assert listener.responses == []
    simulation.restart(3)
    simulation.run_until(2 * SECOND)
    simulation.request(0, 0, READ)
    simulation.run_until(3 * SECOND)
    assert [response.status for response in listener.responses] == [200]


def test_a_reply_waits_for_its_record_and_a_second_reply_is_a_fault_of_the_node() -> None:
    def request(token: RequestToken, operation: Operation, effects: Effects) -> None:
        effects.append(Added(1))
        effects.reply(token, Response(200, {}))
        if isinstance(operation, PutItem):
            effects.reply(token, Response(200, {}))

    simulation = scripted(1, {"router1": Scripted(HERE, request=request)}, parameters=SLOW_DISK)
    listener = Answers()
    simulation.clients.append(listener)
    simulation.run_until(10_000_000)
    simulation.request(0, 0, READ)
    simulation.run_until(55_000_000)
    assert listener.responses == []
    simulation.run_until(SECOND)
    assert len(listener.responses) == 1
    simulation.request(0, 0, PutItem("t", {}))
    with pytest.raises(KeyError):
        simulation.run_until(2 * SECOND)


def test_work_queues_behind_a_slow_machine_and_comes_in_the_order_of_its_arrival() -> None:
    receiver, numbers = pulse_collector()
    simulation = scripted(1, {"n1": receiver})
    simulation.run_until(10_000_000)
    simulation.hosts[0].slowness = 2000  # thirty milliseconds a message and more
    for number in range(10):
        simulation.network.transmit(1, 0, Pulse(number), simulation.now + number * 1_000_000)
    simulation.run_until(100_000_000)
    assert len(numbers) in (3, 4)
    simulation.run_until(SECOND)
    assert numbers == list(range(10))


def test_a_node_may_send_to_itself_and_told_events_are_counted() -> None:
    numbers: list[int] = []

    def start(effects: Effects) -> None:
        effects.send(Address("r1", "z1", "n1"), Pulse(5), NOTHING)

    def on_message(sender: Address, message: Message, effects: Effects) -> None:
        assert isinstance(message, Pulse)
        numbers.append(message.number)
        effects.tell(Event("accepted", "g", 1, 2))

    simulation = scripted(1, {"n1": Scripted(HERE, start=start, message=on_message)})
    simulation.run_until(SECOND)
    assert numbers == [5]
    assert simulation.told == {"accepted": 1}

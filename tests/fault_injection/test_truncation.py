"""The simulator's disks under truncation: they may drop any prefix that was allowed, and nothing else changes."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab_fault_injection.simulator import Simulation
from dynalab_fault_injection.simulator.disk import Disk
from dynalab_fault_injection.simulator.randomness import stream
from dynalab_impl.effects import Address, Effects, Message, Node, RequestToken, TimerName, Topology, layout
from dynalab_model.operations import Operation
from tests.fault_injection.toys import TOY_FORMAT, Added, Pulse

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 5)),
        st.tuples(st.just("sync"), st.integers(0, 5)),
        st.tuples(st.just("truncate"), st.integers(0, 12)),
        st.tuples(st.just("crash"), st.just(0)),
    ),
    max_size=40,
)


@given(seed=st.integers(0, 1 << 20), steps=STEPS, eager=st.booleans())
def test_a_disk_keeps_all_that_was_not_let_go_through_any_history(
    seed: int, steps: list[tuple[str, int]], eager: bool
) -> None:
    random = stream(seed, "disk")
    disk = Disk(TOY_FORMAT, eager=eager)
    amounts: list[int] = []  # all that was appended in this life, and what the disk was opened with
    allowed = number = 0  # so many of them may be gone
    for step, size in steps:
        if step == "append":
            for _ in range(size):
                number += 1
                amounts.append(number)
                assert disk.append(Added(number)) == len(amounts), "positions go on counting"
        elif step == "sync":
            disk.sync(min(disk.last_position, disk.synced + size))
        elif step == "truncate":
            before = min(size, disk.synced + 1)
            first = disk.first_position
            assert disk.truncate(before, random) == disk.first_position - first
            allowed = max(allowed, before - 1)
            assert 1 <= disk.first_position <= allowed + 1
        else:
            synced, dropped = disk.synced, disk.first_position - 1
            disk.crash(random)
            found = [record.amount for record in disk.open() if isinstance(record, Added)]
            assert found == amounts[dropped : dropped + len(found)], "what is left is a stretch of what was written"
            assert dropped <= allowed and dropped + len(found) >= synced, "more was lost than let go or never synced"
            assert disk.synced == disk.last_position == len(found)
            amounts, allowed = found, 0
        assert disk.last_position == len(amounts) and disk.first_position <= allowed + 1


def remainders(allowed: int, seeds: int) -> list[int]:
    """What is left of the records that may go, for many draws."""
    left = []
    for seed in range(seeds):
        disk = Disk(TOY_FORMAT)
        for amount in range(allowed + 3):
            disk.append(Added(amount))
        disk.sync(allowed)
        left.append(allowed - disk.truncate(allowed + 1, stream(seed, "disk")))
    return left


def test_a_node_meets_everything_between_the_whole_log_and_not_one_record_to_spare() -> None:
    left = remainders(200, 400)
    assert 60 <= left.count(0) <= 140, "the log begins exactly where the node said"
    assert 60 <= left.count(200) <= 140, "nothing was dropped"
    assert len(set(left)) > 90, "and anything between"


@pytest.mark.parametrize("before", [0, 1])
def test_a_permission_that_allows_nothing_draws_nothing(before: int) -> None:
    # So a run whose nodes never truncate is the run that it was before there was truncation.
    disk, random = Disk(TOY_FORMAT), stream(1, "disk")
    disk.append(Added(1))
    disk.sync(1)
    assert disk.truncate(before, random) == 0
    assert random.getrandbits(64) == stream(1, "disk").getrandbits(64)


def test_a_wiped_disk_knows_nothing_of_what_was_dropped_before() -> None:
    disk, random = Disk(TOY_FORMAT), stream(4, "disk")
    for amount in range(10):
        disk.append(Added(amount))
    disk.sync(10)
    while disk.first_position < 11:
        disk.truncate(11, random)
    disk.crash(random)
    disk.wipe()
    assert disk.open() == []
    assert (disk.append(Added(11)), disk.first_position) == (1, 1)


@dataclass(slots=True)
class Rolling:
    """Logs a running number, and lets go of all but the newest records. A router does nothing."""

    address: Address
    found: list[list[int]]  # what each life read back, shared by all lives of the node
    last: int = 0

    def on_start(self, effects: Effects) -> None:
        amounts = [record.amount for record in effects.read_log() if isinstance(record, Added)]
        self.found.append(amounts)
        self.last = max(amounts, default=0)
        effects.set_timer(("more",), 1_000_000)

    def on_timer(self, name: TimerName, effects: Effects) -> None:
        self.last += 1
        effects.append(Added(self.last))
        effects.set_timer(name, 1_000_000 + effects.random_bits(18))

    def on_stop(self, effects: Effects) -> None:
        """It leads nothing."""

    def may_stop(self) -> bool:
        return True

    def on_durable(self, position: int, effects: Effects) -> None:
        if position % 8 == 0:
            effects.truncate(position - 1)

    def on_message(self, sender: Address, message: Message, effects: Effects) -> None:
        assert isinstance(message, Pulse)

    def on_request(self, token: RequestToken, operation: Operation, effects: Effects) -> None:
        raise AssertionError("nobody asks")


def rolling(seed: int, *, through_codec: bool) -> tuple[str, list[list[int]], int]:
    """Three nodes, killed ten times each: the trace hash, what every life found, and how many records were dropped."""
    found: list[list[int]] = []

    def make(address: Address, topology: Topology, incarnation: int) -> Node:
        return Rolling(address, found)

    simulation = Simulation(seed, layout(nodes_per_zone=1, routers=1), make, TOY_FORMAT, through_codec=through_codec)
    simulation.start()
    for crash in range(30):
        simulation.run_until(simulation.now + 23_000_000 + crash * 1_000_003)
        simulation.crash(crash % 3)
        simulation.restart(crash % 3)
    simulation.run_until(simulation.now + 10_000_000)
    return simulation.trace_hash(), found, sum(host.dropped for host in simulation.hosts)


@pytest.mark.parametrize("seed", range(4))
def test_one_seed_is_one_run_also_when_logs_are_truncated(seed: int) -> None:
    digest, found, dropped = rolling(seed, through_codec=False)
    assert rolling(seed, through_codec=True) == (digest, found, dropped)
    assert rolling(seed + 100, through_codec=False)[0] != digest
    assert dropped > 200
    lives = [amounts for amounts in found if amounts]
    assert len(lives) >= 30
    for amounts in lives:
        assert amounts == list(range(amounts[0], amounts[-1] + 1)), "a log has no holes"
    assert sum(amounts[0] > 1 for amounts in lives) > 20, "most lives began in the middle"

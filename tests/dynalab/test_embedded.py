"""The embedded driver keeps the contract of `dynalab_impl.effects`, with toy nodes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import ClassVar

import pytest

from dynalab.drivers.embedded import EmbeddedCluster
from dynalab.drivers.power_loss import PowerLossFileSystem
from dynalab.drivers.store import FileStore, MemoryStore, Store
from dynalab_impl.effects import NOTHING, Address, Effects, Message, Response, TimerName, Topology
from dynalab_impl.records import Promised
from dynalab_model.operations import Operation
from tests.dynalab.toys import (
    FIRST,
    REQUEST,
    ROUTER,
    SECOND,
    TOPOLOGY,
    Add,
    Added,
    Counter,
    Lasting,
    counter,
    run,
    settle,
)


def memory() -> Store:
    return MemoryStore(TOPOLOGY)


def files() -> Store:
    return FileStore(PowerLossFileSystem(), "data", TOPOLOGY, segment_bytes_max=500)


stores = pytest.mark.parametrize("make_store", [memory, files])


@stores
def test_requests_are_answered_and_survive_a_kill(make_store: Callable[[], Store]) -> None:
    async def work() -> None:
        cluster = EmbeddedCluster(make_store(), Counter, seed=1)
        cluster.start()
        answers = await asyncio.gather(*(cluster.call(REQUEST) for _ in range(40)))
        assert sorted(answer.body["total"] for answer in answers) == list(range(1, 41))  # type: ignore[type-var]
        cluster.crash(FIRST)
        cluster.restart(FIRST)
        await settle(cluster)
        assert counter(cluster, FIRST).total == 40
        assert (await cluster.call(REQUEST)).body == {"total": 41}
        await cluster.stop()

    run(work)


@stores
def test_a_wiped_node_comes_back_empty_under_the_next_incarnation(make_store: Callable[[], Store]) -> None:
    async def work() -> None:
        cluster = EmbeddedCluster(make_store(), Counter, seed=1)
        cluster.start()
        await cluster.call(REQUEST)
        cluster.wipe(FIRST)
        await settle(cluster)
        cluster.restart(FIRST)
        await settle(cluster)
        assert counter(cluster, FIRST).incarnation == 2
        assert counter(cluster, SECOND).incarnation == 1
        assert (await cluster.call(REQUEST)).body == {"total": 1}
        await cluster.stop()

    run(work)


def test_nothing_that_waits_for_the_disk_leaves_before_the_sync_and_one_sync_serves_many() -> None:
    async def work() -> None:
        store = Lasting(memory())
        cluster = EmbeddedCluster(store, Counter, seed=1)
        cluster.start()
        first = asyncio.ensure_future(cluster.call(REQUEST))
        await settle(cluster)
        rest = [asyncio.ensure_future(cluster.call(REQUEST)) for _ in range(9)]
        await settle(cluster)
        assert counter(cluster, FIRST).total == 10
        assert not first.done() and not any(one.done() for one in rest)
        assert store.syncs == 1
        store.gate.set()
        answers = await asyncio.gather(first, *rest)
        assert [answer.body["total"] for answer in answers] == list(range(1, 11))
        # The first sync covered one record; the nine that came meanwhile shared the second.
        assert counter(cluster, FIRST).synced == [1, 10]
        await cluster.stop()

    run(work)


def test_a_crash_before_the_sync_loses_the_record_and_the_client_learns_that_it_is_unknown() -> None:
    async def work() -> None:
        store = Lasting(memory())
        cluster = EmbeddedCluster(store, Counter, seed=1)
        cluster.start()
        waiting = asyncio.ensure_future(cluster.call(REQUEST))
        await settle(cluster)
        cluster.crash(FIRST)
        cluster.crash(ROUTER)
        response = await waiting
        assert (response.status, response.error) == (500, "InternalServerError")
        store.gate.set()
        await cluster.stop()

    run(work)


def test_a_sync_that_fails_crashes_the_node_for_good_and_nothing_that_waited_leaves() -> None:
    async def work() -> None:
        store = Lasting(memory())
        store.broken = True
        store.gate.set()
        cluster = EmbeddedCluster(store, Counter, seed=1)
        cluster.start()
        waiting = asyncio.ensure_future(cluster.call(REQUEST))
        while cluster.hosts[FIRST].node is not None:
            await asyncio.sleep(0.001)
        await settle(cluster)
        assert not waiting.done()
        assert "a sync failed" in cluster.failures[0]
        assert cluster.hosts[SECOND].node is not None
        await cluster.stop()
        assert (await waiting).status == 500

    run(work)


def test_a_node_killed_before_its_sync_begins_loses_what_it_appended_and_starts_again() -> None:
    async def work() -> None:
        store = Lasting(memory())
        store.gate.set()
        cluster = EmbeddedCluster(store, Counter, seed=1)
        cluster.start()
        await settle(cluster)
        host, syncs = cluster.hosts[FIRST], store.syncs
        epoch = host.epoch
        host.syncing = True  # as the driver leaves it between asking for a sync and beginning it
        cluster.crash(FIRST)
        assert host.disk is not None
        cluster._begin_sync(host, epoch)
        assert not host.syncing and host.disk is None and store.syncs == syncs
        cluster.restart(FIRST)
        assert host.node is not None and host.disk is not None
        await cluster.stop()

    run(work)


class Failing(Counter):
    def on_message(self, sender: Address, message: Message, effects: Effects) -> None:
        if isinstance(message, Add) and self.total == 1 and self.synced:
            raise AssertionError("a bug of ours")
        super().on_message(sender, message, effects)


def test_a_handler_that_raises_is_logged_and_its_node_restarts_from_its_log(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        cluster = EmbeddedCluster(memory(), Failing, seed=1)
        cluster.start()
        await cluster.call(REQUEST)
        lost = asyncio.ensure_future(cluster.call(REQUEST))
        while cluster.hosts[FIRST].epoch < 3:  # started, died, started
            await asyncio.sleep(0.01)
        assert counter(cluster, FIRST).total == 1
        assert (await cluster.call(REQUEST)).body == {"total": 2}
        lost.cancel()
        await cluster.stop()

    with caplog.at_level(logging.ERROR):
        run(work)
    assert "a bug of ours" in caplog.text


class Timed(Counter):
    """Fires three timers, replaces one and cancels one; tells in which order they came."""

    def __init__(self, address: Address, topology: Topology, incarnation: int) -> None:
        super().__init__(address, topology, incarnation)
        self.fired: list[TimerName] = []

    def on_start(self, effects: Effects) -> None:
        effects.set_timer(("late",), 30_000_000)
        effects.set_timer(("early",), 10_000_000)
        effects.set_timer(("replaced",), 1_000_000)
        effects.set_timer(("replaced",), 20_000_000)
        effects.set_timer(("cancelled",), 1_000_000)
        effects.cancel_timer(("cancelled",))

    def on_timer(self, name: TimerName, effects: Effects) -> None:
        self.fired.append(name)


def test_timers_fire_in_order_once_and_not_when_replaced_or_cancelled() -> None:
    async def work() -> None:
        cluster = EmbeddedCluster(memory(), Timed, seed=1)
        cluster.start()
        node = cluster.hosts[FIRST].node
        assert isinstance(node, Timed)
        while len(node.fired) < 3:
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.005)
        assert node.fired == [("early",), ("replaced",), ("late",)]
        await cluster.stop()

    run(work)


class Ordered(Counter):
    """Sends three messages of which the first two wait for the disk, and a heartbeat that does not."""

    seen: ClassVar[list[int]] = []

    def on_request(self, token: int, operation: Operation, effects: Effects) -> None:
        effects.append(Promised("g", (1, "n1")))
        effects.send(SECOND, Added(0, 1))
        effects.append(Promised("g", (2, "n1")))
        effects.send(SECOND, Added(0, 2))
        effects.send(SECOND, Added(0, 3), NOTHING)
        effects.reply(token, Response(200, {}))

    def on_message(self, sender: Address, message: Message, effects: Effects) -> None:
        assert isinstance(message, Added)
        Ordered.seen.append(message.total)


def test_what_depends_on_nothing_overtakes_and_what_waited_keeps_its_order() -> None:
    async def work() -> None:
        Ordered.seen = []
        cluster = EmbeddedCluster(memory(), Ordered, seed=1)
        cluster.start()
        assert (await cluster.call(REQUEST)).status == 200
        await settle(cluster)
        assert Ordered.seen == [3, 1, 2]
        await cluster.stop()

    run(work)


class Pinging(Counter):
    """Two nodes that never stop talking to each other."""

    def on_start(self, effects: Effects) -> None:
        if self.address == FIRST:
            effects.send(SECOND, Added(0, 0), NOTHING)

    def on_message(self, sender: Address, message: Message, effects: Effects) -> None:
        self.total += 1
        effects.send(sender, message, NOTHING)


def test_nodes_that_never_fall_silent_do_not_keep_the_loop_from_its_sockets() -> None:
    async def work() -> None:
        cluster = EmbeddedCluster(memory(), Pinging, seed=1)
        cluster.start()
        turns = 0
        while counter(cluster, FIRST).total < 2_000:
            await asyncio.sleep(0)
            turns += 1
        assert turns >= 4
        await cluster.stop()

    run(work)


def test_clocks_can_be_moved_and_the_monotonic_one_never_goes_back() -> None:
    async def work() -> None:
        cluster = EmbeddedCluster(memory(), Counter, seed=1)
        cluster.start()
        host, other = cluster.hosts[FIRST], cluster.hosts[SECOND]
        host.shift_wall(3_600 * 10**9)
        host.set_drift(200)
        host.sample()
        other.sample()
        assert 3_599 * 10**9 < host.wall_ns - other.wall_ns < 3_601 * 10**9
        before = host.now_ns
        host.set_drift(-200)
        host.sample()
        assert host.now_ns >= before
        host.shift_wall(-3_600 * 10**9)
        host.sample()
        other.sample()
        assert abs(host.wall_ns - other.wall_ns) < 10**9
        await cluster.stop()

    run(work)


def test_a_request_without_any_router_is_refused_at_once() -> None:
    async def work() -> None:
        cluster = EmbeddedCluster(memory(), Counter, seed=1)
        cluster.start()
        cluster.crash(ROUTER)
        response = await cluster.call(REQUEST)
        assert (response.status, response.error) == (503, "ServiceUnavailable")
        await cluster.stop()

    run(work)

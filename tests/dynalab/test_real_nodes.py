"""The real nodes under the embedded driver: power cuts and kills while clients write."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from dynalab.drivers.embedded import EmbeddedCluster
from dynalab.drivers.power_loss import PowerLossFileSystem
from dynalab.drivers.store import FileStore, MemoryStore, Store
from dynalab.endpoint.server import TIMING
from dynalab_impl.effects import Timing, layout
from dynalab_impl.service import make_node
from dynalab_model.operations import CreateTable, DescribeTable, GetItem, ListTables, Operation, PutItem
from dynalab_model.schema import KeyAttribute, KeySchema, TableSchema
from tests.dynalab.test_power_loss import sync_sites
from tests.dynalab.toys import run

TOPOLOGY = layout(nodes_per_zone=1, routers=1, partitions=2, timing=TIMING)
SCHEMA = TableSchema("kept", KeySchema(KeyAttribute("pk", "S"), None))


async def until_ok(cluster: EmbeddedCluster, operation: Operation) -> dict[str, object]:
    while True:
        response = await cluster.call(operation)
        if response.status == 200:
            return dict(response.body)
        await asyncio.sleep(0.02)


async def start(store: Store, *, create: bool) -> EmbeddedCluster:
    cluster = EmbeddedCluster(store, make_node)
    cluster.start()
    await until_ok(cluster, ListTables())
    if create:
        await until_ok(cluster, CreateTable(SCHEMA))
        while "ACTIVE" not in str(await until_ok(cluster, DescribeTable("kept"))):
            await asyncio.sleep(0.01)
    return cluster


async def write_and_cut(fs: PowerLossFileSystem, cuts: int) -> list[tuple[PowerLossFileSystem, list[int]]]:
    """Eight writers; at each cut the disk as a power failure would leave it, and what had been acknowledged by then."""
    cluster = await start(FileStore(fs, "data", TOPOLOGY, segment_bytes_max=20_000), create=True)
    acknowledged: list[int] = []
    found: list[tuple[PowerLossFileSystem, list[int]]] = []

    async def writer(first: int) -> None:
        number = first
        while len(found) < cuts:
            response = await cluster.call(PutItem("kept", {"pk": {"S": str(number)}}))
            assert response.status == 200
            acknowledged.append(number)
            number += 8
            if len(acknowledged) % 60 == 0:
                known = list(acknowledged)  # first what is known, then the cut: never the other way round
                found.append((fs.lose_power(renames_kept=len(found) % 2 == 0), known))

    await asyncio.gather(*(writer(first) for first in range(8)))
    await cluster.stop()
    return found


async def lost_after(disk: PowerLossFileSystem, known: list[int]) -> list[int]:
    store = FileStore(disk, "data", TOPOLOGY)
    cluster = await start(store, create=False)
    assert store.lost == []
    answers = [
        await until_ok(cluster, GetItem("kept", {"pk": {"S": str(number)}}, consistent=True)) for number in known
    ]
    await cluster.stop()
    return [number for number, body in zip(known, answers, strict=True) if "Item" not in body]


@pytest.mark.claim("S23")
def test_a_power_cut_of_the_whole_cluster_loses_nothing_that_was_acknowledged() -> None:
    async def work() -> None:
        for disk, known in await write_and_cut(PowerLossFileSystem(), 4):
            assert len(known) >= 60
            assert await lost_after(disk, known) == []

    run(work)


def test_without_the_sync_of_the_log_a_power_cut_loses_acknowledged_writes() -> None:
    # The test above can fail: with the log's one sync left out, acknowledged writes are gone.
    log_syncs = tuple(site for site in sync_sites() if site.startswith("log_files.py"))

    async def work() -> None:
        ((disk, known),) = await write_and_cut(PowerLossFileSystem(deaf_to=log_syncs), 1)
        assert known
        store = FileStore(disk, "data", TOPOLOGY)
        survivors = [store.open(address)[1] for address in TOPOLOGY.storage]
        assert survivors == [[], [], []]

    run(work)


@pytest.mark.claim("S22", "S23")
def test_killing_one_node_after_another_under_load_loses_nothing() -> None:
    async def work() -> None:
        cluster = await start(MemoryStore(TOPOLOGY), create=True)
        acknowledged: list[int] = []
        stopped = False

        async def writer(first: int) -> None:
            number = first
            while not stopped:
                response = await cluster.call(PutItem("kept", {"pk": {"S": str(number)}}))
                if response.status == 200:
                    acknowledged.append(number)
                number += 4

        writers = [asyncio.ensure_future(writer(first)) for first in range(4)]
        for address in TOPOLOGY.storage:
            before = len(acknowledged)
            cluster.crash(address)
            while len(acknowledged) < before + 50:  # the other two serve on
                await asyncio.sleep(0.01)
            cluster.restart(address)
            while len(acknowledged) < before + 100:
                await asyncio.sleep(0.01)
        stopped = True
        await asyncio.gather(*writers)
        for number in acknowledged[:: max(1, len(acknowledged) // 200)]:
            body = await until_ok(cluster, GetItem("kept", {"pk": {"S": str(number)}}, consistent=True))
            assert "Item" in body, f"{number} was acknowledged and is lost"
        assert cluster.failures == []
        await cluster.stop()

    run(work)


@pytest.mark.parametrize(("zones", "nodes_per_zone"), [(3, 3), (5, 2)])
def test_larger_clusters_serve_too(zones: int, nodes_per_zone: int) -> None:
    async def work() -> None:
        topology = layout(zones, nodes_per_zone, routers=2, partitions=6, timing=TIMING)
        cluster = await start(MemoryStore(topology), create=True)
        for number in range(40):
            await until_ok(cluster, PutItem("kept", {"pk": {"S": str(number)}}))
        for number in range(40):
            body = await until_ok(cluster, GetItem("kept", {"pk": {"S": str(number)}}, consistent=True))
            assert body["Item"] == {"pk": {"S": str(number)}}
        assert cluster.failures == []
        await cluster.stop()

    run(work)


async def accepts_of(count: int, timing: Timing) -> int:
    """How many Accepts the followers took for so many writes that were sent together."""
    cluster = await start(MemoryStore(replace(TOPOLOGY, timing=timing)), create=True)
    before = cluster.told["accepted"]
    puts = [cluster.call(PutItem("kept", {"pk": {"S": str(number)}})) for number in range(count)]
    assert {response.status for response in await asyncio.gather(*puts)} == {200}
    accepts = cluster.told["accepted"] - before
    for number in range(count):
        assert "Item" in await until_ok(cluster, GetItem("kept", {"pk": {"S": str(number)}}, consistent=True))
    await cluster.stop()
    return accepts


def test_a_leader_that_gathers_sends_writes_that_came_together_in_one_accept() -> None:
    gathered, singly = (run(partial(accepts_of, 40, replace(TIMING, gathers=gathers))) for gathers in (True, False))
    # Two partitions with two followers each; a tick of the nodes may fall between the requests.
    assert gathered <= 8 and singly >= 2 * gathered, (gathered, singly)

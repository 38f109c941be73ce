"""The real nodes on disks that truncate: snapshots and what follows them are enough, whenever the power fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from dynalab.drivers.embedded import EmbeddedCluster
from dynalab.drivers.log_files import FIRST_SEGMENT
from dynalab.drivers.power_loss import PowerLossFileSystem
from dynalab.drivers.store import FileStore, MemoryStore, Store, records_of
from dynalab.drivers.synced_mark import disk_name
from dynalab.endpoint.server import TIMING
from dynalab_impl.effects import layout
from dynalab_impl.records import HostedGroup, SnapshotEnd
from dynalab_impl.storage import wal
from dynalab_model.operations import GetItem, PutItem
from dynalab_model.values import Item
from tests.dynalab.test_real_nodes import start, until_ok
from tests.dynalab.toys import run

# Ticks come quickly, so that a cycle of snapshots takes a fraction of a second.
QUICK = replace(TIMING, heartbeat_ns=20_000_000)
TOPOLOGY = replace(layout(nodes_per_zone=1, routers=1, partitions=2, timing=QUICK), log_records_max=40)
KEYS = 20
ONCE = range(KEYS, KEYS + 10)


def directories() -> list[str]:
    return [f"data/{address.zone}-{address.node}.1" for address in TOPOLOGY.storage]


def first_segment(fs: PowerLossFileSystem, directory: str) -> int:
    """The number of the oldest segment that still counts."""
    path = f"{directory}/{FIRST_SEGMENT}"
    if not fs.exists(path):
        return 1
    numbers = wal.recover(fs.read(path), disk_name(directory)).payloads[0]
    return int.from_bytes(numbers[:8], "little")


async def put(cluster: EmbeddedCluster, key: int, number: int) -> None:
    item: Item = {"pk": {"S": str(key)}, "n": {"N": str(number)}, "filler": {"S": "x" * 100}}
    await until_ok(cluster, PutItem("kept", item))  # repeated while leaders change: the same item once more


async def numbers(cluster: EmbeddedCluster, keys: range) -> list[int]:
    bodies = [await until_ok(cluster, GetItem("kept", {"pk": {"S": str(key)}}, consistent=True)) for key in keys]
    return [int(body["Item"]["n"]["N"]) if "Item" in body else 0 for body in bodies]  # type: ignore[index]


@pytest.mark.claim("S23")
def test_a_power_cut_loses_nothing_although_the_logs_of_all_nodes_were_cut_short() -> None:
    async def work() -> None:
        fs = PowerLossFileSystem()
        cluster = await start(FileStore(fs, "data", TOPOLOGY, segment_bytes_max=3_000), create=True)
        for key in ONCE:  # soon they are in no entry of a log, and in snapshots alone
            await put(cluster, key, 1)
        newest = [0] * KEYS
        cuts: list[tuple[PowerLossFileSystem, list[int]]] = []
        stopped = False

        async def writer(key: int) -> None:
            while not stopped:
                await put(cluster, key, newest[key] + 1)
                newest[key] += 1

        async def cutter() -> None:
            nonlocal stopped
            for cut in range(3):
                before = [first_segment(fs, directory) for directory in directories()]
                # Each node lets go of more before the next cut.
                while any(first_segment(fs, d) <= old for d, old in zip(directories(), before, strict=True)):
                    await asyncio.sleep(0.005)
                known = list(newest)
                cuts.append((fs.lose_power(renames_kept=cut == 1, removals_kept=cut != 2), known))
            stopped = True

        await asyncio.gather(cutter(), *(writer(key) for key in range(KEYS)))
        await cluster.stop()
        assert cluster.failures == []
        for disk, known in cuts:
            store = FileStore(disk, "data", TOPOLOGY, segment_bytes_max=3_000)
            again = await start(store, create=False)
            assert store.lost == []
            found = await numbers(again, range(KEYS))
            assert [new >= told > 0 for new, told in zip(found, known, strict=True)] == [True] * KEYS
            assert await numbers(again, ONCE) == [1] * len(ONCE)
            await again.stop()
            assert again.failures == []

    run(work)


STORES: dict[str, Callable[[], Store]] = {
    "memory": lambda: MemoryStore(TOPOLOGY),
    "files": lambda: FileStore(PowerLossFileSystem(), "data", TOPOLOGY, segment_bytes_max=3_000),
}


@pytest.mark.parametrize("kind", STORES)
def test_nodes_killed_one_after_another_come_back_from_logs_that_were_cut_short(kind: str) -> None:
    store = STORES[kind]()

    async def work() -> None:
        cluster = await start(store, create=True)
        newest = [0] * KEYS
        for address in TOPOLOGY.storage:
            told = cluster.told["snapshot-written"]
            while cluster.told["snapshot-written"] < told + 12:  # three groups a node: more than a cycle of each
                for key in range(KEYS):
                    await put(cluster, key, newest[key] + 1)
                    newest[key] += 1
            cluster.crash(address)
            cluster.restart(address)
        assert await numbers(cluster, range(KEYS)) == newest
        await cluster.stop()
        assert cluster.failures == []

    run(work)
    for address in TOPOLOGY.storage:
        records = list(records_of(store, address))
        assert any(isinstance(record, SnapshotEnd) for record in records)
        assert not any(isinstance(record, HostedGroup) for record in records), "the beginning is still there"

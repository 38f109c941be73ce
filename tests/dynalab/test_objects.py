"""The object store of the real drivers: whole objects, one winner, no path of anybody's choosing; an archive in it."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from dynalab.drivers.disk import RealFileSystem
from dynalab.drivers.embedded import EmbeddedCluster
from dynalab.drivers.objects import MemoryObjects, ObjectDirectory, Objects, path_of
from dynalab.drivers.power_loss import PowerCut, PowerLossFileSystem
from dynalab.drivers.store import FileStore
from dynalab_impl.effects import NO_OBJECT, Timing, layout, object_tag
from dynalab_impl.objects import manifest_name, read_manifest
from dynalab_impl.rebuilding import rebuild
from dynalab_impl.service import make_node
from dynalab_impl.storage_node import StorageNode
from dynalab_model.requests import parse
from tests.dynalab.toys import run


def stores(tmp_path: Path) -> list[Objects]:
    return [
        MemoryObjects(),
        ObjectDirectory(PowerLossFileSystem(), "objects"),
        ObjectDirectory(RealFileSystem(), str(tmp_path / "objects")),
    ]


def test_a_conditional_put_takes_the_place_of_what_was_expected_and_of_nothing_else(tmp_path: Path) -> None:
    for objects in stores(tmp_path):
        assert objects.get("archive/t/1.0/manifest").status == "missing"
        assert objects.put("archive/t/1.0/manifest", b"one", object_tag(b"none")).status == "refused"
        assert objects.put("archive/t/1.0/manifest", b"one", NO_OBJECT).status == "done"
        assert objects.put("archive/t/1.0/manifest", b"two", NO_OBJECT).status == "refused"
        assert objects.put("archive/t/1.0/manifest", b"two", object_tag(b"one")).status == "done"
        assert objects.get("archive/t/1.0/manifest").data == b"two"
        assert objects.put("archive/t/1.0/manifest", b"three", None).status == "done"
        assert objects.get("archive/t/1.0/other").status == "missing"


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "a//b", "a/./b", "~root/x", "a\0b", "x" * 5000, "é/日"]
)
def test_no_name_leaves_the_directory_or_meets_another(name: str) -> None:
    path = path_of(name)
    parts = path.split("/")
    assert all(part and part not in (".", "..") and len(part) < 200 and part.isascii() for part in parts)
    assert not path.startswith("/") and "\0" not in path
    assert path != path_of(name + "x") and path != path_of(name.replace("a", "A") + "-")


def test_an_object_is_old_or_new_after_a_power_cut_at_any_call_and_new_once_it_was_put() -> None:
    for cut in range(1, 40):
        fs = PowerLossFileSystem()
        assert ObjectDirectory(fs, "objects").put("a/b", b"old", None).status == "done"
        fs.rig(cut_at=cut)
        put = False
        with contextlib.suppress(PowerCut):
            put = ObjectDirectory(fs, "objects").put("a/b", b"new", object_tag(b"old")).status == "done"
        for found in (fs.lose_power(), fs.lose_power(renames_kept=True)):
            data = ObjectDirectory(found, "objects").get("a/b").data
            assert data == b"new" if put else data in (b"old", b"new")
        if put:
            assert cut > 5
            return
    raise AssertionError("the put never came to its end")


ADDER = """
import sys
from dynalab.drivers.disk import RealFileSystem
from dynalab.drivers.objects import ObjectDirectory
from dynalab_impl.effects import object_tag
objects = ObjectDirectory(RealFileSystem(), sys.argv[1])
added = 0
while added < 25:
    data = objects.get("counter").data
    added += objects.put("counter", data + b"x", object_tag(data)).status == "done"
"""


def test_of_two_processes_that_replace_the_same_object_one_wins_each_time(tmp_path: Path) -> None:
    root = str(tmp_path / "objects")
    ObjectDirectory(RealFileSystem(), root).put("counter", b"", None)
    adders = [subprocess.Popen([sys.executable, "-c", ADDER, root]) for _ in range(2)]
    assert [adder.wait(timeout=60) for adder in adders] == [0, 0]
    assert ObjectDirectory(RealFileSystem(), root).get("counter").data == b"x" * 50


@pytest.mark.claim("archive")
def test_real_nodes_archive_into_a_directory_and_the_state_can_be_made_from_it(tmp_path: Path) -> None:
    quick = Timing(heartbeat_ns=30_000_000, election_min_ns=150_000_000, election_spread_bits=26, lease_ns=150_000_000)
    topology = layout(nodes_per_zone=1, routers=1, partitions=1, timing=quick, archive=True)
    objects = ObjectDirectory(RealFileSystem(), str(tmp_path / "objects"))
    create = parse(
        "CreateTable",
        {
            "TableName": "things",
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        },
    )

    async def work() -> None:
        store = FileStore(RealFileSystem(), str(tmp_path / "data"), topology)
        cluster = EmbeddedCluster(store, make_node, objects=objects)
        cluster.start()
        while (await cluster.call(create)).status >= 500:
            await asyncio.sleep(0.05)
        for number in range(150):
            put = parse("PutItem", {"TableName": "things", "Item": {"pk": {"S": f"k{number % 9}"}, "n": {"N": "1"}}})
            while (await cluster.call(put)).status != 200:
                await asyncio.sleep(0.02)
        node = cluster.hosts[topology.storage[0]].node
        assert isinstance(node, StorageNode)
        (replica,) = (r for r in node.replicas.values() if r.spec.table == "things")

        def get(name: str) -> bytes | None:
            done = objects.get(name)
            return done.data if done.status == "done" else None

        def archived() -> int:
            data = get(manifest_name(replica.spec.group))
            return 0 if data is None else read_manifest(replica.spec.group, data).last

        while archived() < 100:  # the first file may hold little: a slow machine archives before it has written much
            await asyncio.sleep(0.02)
        last = archived()
        state = rebuild(get, replica.spec, quick.dedup_ns)
        assert state.applied == last >= 100
        for entry in replica.log.after(last, replica.commit_index - last):
            state.apply(entry)
        assert list(state.items.items()) == list(replica.state.items.items())  # type: ignore[attr-defined]
        await cluster.stop()

    run(work)

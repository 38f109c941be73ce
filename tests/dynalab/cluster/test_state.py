"""The cluster file, the token, and disks that were lost or exchanged."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import stat
from pathlib import Path

import pytest

from dynalab.drivers.cluster import state as state_module
from dynalab.drivers.cluster.node import open_disk
from dynalab.drivers.cluster.process import Identity
from dynalab.drivers.cluster.state import CLUSTER_FILE, ClusterError, Directory, State, form
from dynalab.drivers.store import StoreError
from dynalab_impl.effects import Limits, layout
from dynalab_impl.records import Formatted

TOPOLOGY = layout(nodes_per_zone=1, routers=1)
FIRST = TOPOLOGY.storage[0]


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    return Directory(tmp_path / "cluster")


def formed(directory: Directory) -> State:
    state = form(TOPOLOGY, host="127.0.0.1", lab=True)
    with directory.locked():
        directory.save(state)
    return state


def test_what_was_written_is_read_back(directory: Directory) -> None:
    state = formed(directory)
    place = state.places["n2"]
    place.peer_port, place.control_port, place.process = 11_000, 11_001, Identity(4711, "99")
    state.machines.incarnations[FIRST] = 3
    state.cuts.append(("n1", "n2"))
    state.faults.append({"id": 1, "fault": "loss", "percent": 10})
    state.limits = Limits(partition_write=7)
    directory.save(state)
    assert directory.load() == state
    assert directory.load().topology.limits == Limits(partition_write=7)


def test_the_file_of_a_cluster_that_knew_no_limits_is_read(directory: Directory) -> None:
    state = formed(directory)
    path = Path(directory.path, CLUSTER_FILE)
    parts = json.loads(path.read_text())
    del parts["limits"]
    path.write_text(json.dumps(parts))
    assert directory.load() == state


@pytest.mark.parametrize("name", ["n2", "z2/n2", "r1/z2/n2"])
def test_a_node_goes_by_three_names(directory: Directory, name: str) -> None:
    assert formed(directory).place(name).address == TOPOLOGY.storage[1]


def test_an_unknown_name_is_answered_with_those_there_are(directory: Directory) -> None:
    with pytest.raises(ClusterError, match="there is no node 'n22'; there are n1, n2, n3, router1"):
        formed(directory).place("n22")


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-20],
        lambda data: b"[]",
        lambda data: b"\xff\xfe",
        lambda data: data.replace(b'"version": 1', b'"version": 2', 1),
        lambda data: data.replace(b'"places": [', b'"places": [7, ', 1),
        lambda data: json.dumps({**json.loads(data), "places": []}).encode(),
        lambda data: data.replace(b'"cuts"', b'"cats"', 1),
    ],
)
def test_a_broken_cluster_file_is_told_in_one_line(directory: Directory, damage: object) -> None:
    formed(directory)
    assert callable(damage)
    path = Path(directory.path, CLUSTER_FILE)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ClusterError) as told:
        directory.load()
    assert told.value.malformed and "\n" not in str(told.value)


def test_no_cluster_is_told_with_what_to_type(directory: Directory) -> None:
    with pytest.raises(ClusterError, match=f"dynalab cluster up --data {directory.path}"):
        directory.load()


def test_the_token_is_for_its_owner_alone_and_new_each_time(directory: Directory) -> None:
    formed(directory)
    directory.new_token()
    first = directory.token()
    assert stat.S_IMODE(os.stat(Path(directory.path, "token")).st_mode) == 0o600
    directory.new_token()
    assert len(first) == 64 and directory.token() != first
    directory.forget_token()
    with pytest.raises(ClusterError, match="is down"):
        directory.token()


def _hold(path: str, ready: multiprocessing.synchronize.Event, go: multiprocessing.synchronize.Event) -> None:
    with Directory(path).changing() as state:
        ready.set()
        go.wait(10)
        state.cuts.append(("n1", "n2"))


def test_two_commands_change_the_file_one_after_the_other(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    formed(directory)
    context = multiprocessing.get_context("fork")
    ready, go = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(directory.path, ready, go))
    other.start()
    assert ready.wait(10)
    monkeypatch.setattr(state_module, "LOCK_SECONDS_MAX", 0.05)
    with pytest.raises(ClusterError, match="another command is at work"), directory.changing():
        pass
    go.set()
    other.join(10)
    with directory.changing() as state:
        assert state.cuts == [("n1", "n2")]
        state.cuts.append(("n2", "n3"))
    assert directory.load().cuts == [("n1", "n2"), ("n2", "n3")]


def test_a_command_that_fails_changes_nothing(directory: Directory) -> None:
    formed(directory)
    before = directory.load()
    with pytest.raises(ClusterError, match="no such"), directory.changing() as state:
        state.cuts.append(("n1", "n2"))
        raise ClusterError("no such thing")
    assert directory.load() == before


# --- disks ------------------------------------------------------------------------------------------------------------


def opened(root: Path, known: int) -> tuple[int, int]:
    """Open the first node's disk, write one record; its incarnation, and how many records it had held."""
    disk, records, incarnation = (store := open_disk(str(root), FIRST, TOPOLOGY, known)).open(FIRST)
    with pytest.raises(StoreError, match="runs its node once"):
        store.open(FIRST)
    disk.append(Formatted(incarnation))
    job = disk.take()
    assert job is not None
    job()
    disk.close()
    return incarnation, len(records)


def test_a_disk_that_is_there_keeps_its_incarnation(tmp_path: Path) -> None:
    assert opened(tmp_path / "n1", 0) == (1, 0)
    assert opened(tmp_path / "n1", 1) == (1, 1)


@pytest.mark.claim("S23")
def test_a_disk_that_is_gone_comes_back_under_the_next_incarnation(tmp_path: Path) -> None:
    assert opened(tmp_path / "n1", 0) == (1, 0)
    shutil.rmtree(tmp_path / "n1")
    assert opened(tmp_path / "n1", 1) == (2, 0)
    assert opened(tmp_path / "n1", 2) == (2, 1)


@pytest.mark.claim("S23")
def test_an_old_copy_put_in_the_place_of_a_disk_is_not_taken_for_it(tmp_path: Path) -> None:
    opened(tmp_path / "n1", 0)
    shutil.copytree(tmp_path / "n1", tmp_path / "copy")
    shutil.rmtree(tmp_path / "n1")
    assert opened(tmp_path / "n1", 1) == (2, 0)
    shutil.rmtree(tmp_path / "n1")
    shutil.copytree(tmp_path / "copy", tmp_path / "n1")
    assert opened(tmp_path / "n1", 2) == (3, 0)


def test_a_router_gets_a_new_incarnation_at_every_start(tmp_path: Path) -> None:
    router = TOPOLOGY.routers[0]
    numbers = [open_disk(str(tmp_path / "r"), router, TOPOLOGY, known).open(router)[2] for known in (0, 1, 2)]
    assert numbers == [1, 2, 3]

"""Files without syncs: a process that is killed loses nothing, and a machine that went down is never believed."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from itertools import count
from pathlib import Path

import pytest

import dynalab.drivers.unsynced
from dynalab.drivers.disk import FileSystem, RealFileSystem
from dynalab.drivers.embedded import EmbeddedCluster
from dynalab.drivers.log_files import DamagedLog, make_dir_durably
from dynalab.drivers.power_loss import PowerCut, PowerLossFileSystem
from dynalab.drivers.store import FileStore, StoreError
from dynalab.drivers.unsynced import MARKER, WithoutSyncs, open_directory, settle, this_boot
from dynalab.endpoint.server import Settings
from tests.dynalab.test_power_loss import POWER_LOSSES, Ending, Told, boot, history, second_life
from tests.dynalab.toys import FIRST, REQUEST, TOPOLOGY, Counter, run

ROOT = "lab/data"
MONDAY, TUESDAY = "monday", "tuesday"


def unsynced_life(cut: int | None, deaf_to: tuple[str, ...] = ()) -> tuple[PowerLossFileSystem, Told]:
    """A history whose syncs do nothing, killed at that call."""
    fs, told = PowerLossFileSystem(deaf_to=deaf_to), Told()
    make_dir_durably(fs, ROOT)
    files = open_directory(fs, ROOT, synced=False, boot=MONDAY)
    fs.rig(cut_at=cut, deaf_to=deaf_to)
    try:
        history(files, told)
    except PowerCut:
        assert cut is not None
    return fs, told


def test_a_kill_at_any_call_costs_nothing_also_if_the_next_process_syncs_and_the_power_fails_then() -> None:
    fs, _ = unsynced_life(None)
    calls = fs.calls
    assert calls > 60
    for cut in range(1, calls + 2):
        for synced in (True, False):
            fs, told = unsynced_life(cut)
            fs = fs.kill_process()
            files = open_directory(fs, ROOT, synced=synced, boot=MONDAY)
            second_life(files, told)
            if synced:
                for ending in POWER_LOSSES:
                    left = ending(fs)
                    boot(open_directory(left, ROOT, synced=True, boot=TUESDAY), deepcopy(told))
            else:
                boot(open_directory(fs.kill_process(), ROOT, synced=True, boot=MONDAY), told)


def settled_or_refused(ending: Ending, deaf_to: tuple[str, ...] = ()) -> int:
    """Cut the power at each call of the settling: the directory is refused, or everything is there. Gives the cuts."""
    refused = 0
    for cut in count(1):
        fs, told = unsynced_life(None, deaf_to)
        fs = fs.kill_process().rig(cut_at=cut, deaf_to=deaf_to)
        try:
            settle(fs, ROOT, MONDAY)
            done = True
        except PowerCut:
            done = False
        left = ending(fs).rig(deaf_to=deaf_to)
        try:
            files = open_directory(left, ROOT, synced=True, boot=TUESDAY)
        except StoreError as error:
            assert "when the machine went down" in str(error)
            assert not done, "what was settled is like any other directory"
            refused += 1
        else:
            boot(files, told)
        if done:
            break
    return refused


@pytest.mark.parametrize("ending", POWER_LOSSES, ids=lambda ending: ending.__name__)
def test_a_power_cut_while_an_unsynced_directory_is_settled_is_refused_until_all_of_it_is_on_disk(
    ending: Ending,
) -> None:
    assert settled_or_refused(ending) > 10


@pytest.mark.parametrize("ending", POWER_LOSSES, ids=lambda ending: ending.__name__)
def test_a_directory_that_was_being_written_when_the_machine_went_down_is_refused(ending: Ending) -> None:
    fs, _ = unsynced_life(None)
    for cut in range(1, fs.calls + 2):
        fs, _ = unsynced_life(cut)
        for synced in (True, False):
            with pytest.raises(StoreError, match="acknowledged writes may be missing"):
                open_directory(ending(fs), ROOT, synced=synced, boot=TUESDAY)


def sites() -> list[str]:
    """The syncs of the room, and those of the file that it writes."""
    fs, _ = unsynced_life(None)
    settle(fs, ROOT, MONDAY)
    return sorted(site for site in fs.sync_sites if site.startswith(("unsynced.py", "disk.py")))


def test_the_tests_reach_every_sync_of_the_room() -> None:
    lines = Path(dynalab.drivers.unsynced.__file__).read_text().splitlines()
    called = [n for n, line in enumerate(lines, 1) if (".fsync" in line and ">>>" not in line)]
    assert [site for site in sites() if site.startswith("unsynced.py")] == [f"unsynced.py:{n}" for n in called]
    assert len(sites()) == 5


def everything_holds(deaf_to: tuple[str, ...]) -> None:
    for ending in POWER_LOSSES:
        fs, told = unsynced_life(None, deaf_to)
        left = ending(fs)
        try:
            boot(open_directory(left, ROOT, synced=True, boot=TUESDAY), told)
        except StoreError:
            assert left.read(f"{ROOT}/{MARKER}") == MONDAY.encode(), "refused for what it says"
        settled_or_refused(ending, deaf_to)


@pytest.mark.parametrize("site", sites())
def test_without_this_sync_a_lost_write_is_not_noticed_or_a_good_directory_is_refused(site: str) -> None:
    everything_holds(())
    with pytest.raises((AssertionError, StoreError, DamagedLog, FileNotFoundError)):
        everything_holds((site,))


def test_a_process_that_syncs_leaves_no_mark_and_costs_no_call_more() -> None:
    fs = PowerLossFileSystem()
    make_dir_durably(fs, ROOT)
    calls = fs.calls
    assert open_directory(fs, ROOT, synced=True, boot=MONDAY) is fs
    settle(fs, ROOT, MONDAY)
    assert fs.calls == calls and fs.list_dir(ROOT) == []


def test_this_boot_has_one_name() -> None:
    assert this_boot() == this_boot()
    if Path("/proc/sys/kernel/random/boot_id").exists():
        assert len(this_boot()) == 36


def test_real_files_are_settled_too(tmp_path: Path) -> None:
    root = str(tmp_path)
    files = open_directory(RealFileSystem(through=False), root, synced=False, boot=this_boot())
    store = FileStore(files, root, TOPOLOGY)
    disk, _, _ = store.open(FIRST)
    disk.close()
    assert (tmp_path / MARKER).read_text() == this_boot()
    assert isinstance(open_directory(RealFileSystem(through=False), root, synced=False, boot=this_boot()), WithoutSyncs)
    settle(RealFileSystem(), root, this_boot())
    assert not (tmp_path / MARKER).exists() and (tmp_path / "manifest.json").exists()


# --- the driver -------------------------------------------------------------------------------------------------------


class Full(PowerLossFileSystem):
    """Has no room left, once it is told so."""

    full = False

    def _count(self) -> None:
        if self.full:
            raise OSError("no space left on device")
        super()._count()


async def ask(cluster: EmbeddedCluster, times: int) -> list[object]:
    return [(await cluster.call(REQUEST)).body["total"] for _ in range(times)]


def test_without_syncs_no_thread_is_started_and_every_count_survives_a_kill() -> None:
    fs = PowerLossFileSystem()

    async def work() -> None:
        for life in range(3):
            files = open_directory(fs.kill_process(), ".", synced=False, boot=MONDAY)
            cluster = EmbeddedCluster(FileStore(files, ".", TOPOLOGY, segment_bytes_max=300), Counter, seed=1)
            cluster.start()
            assert await ask(cluster, 20) == list(range(life * 20 + 1, life * 20 + 21))
            assert cluster._sync_threads == {}
            await cluster.stop()

    run(work)


def test_a_disk_that_is_full_stops_its_node_and_nothing_is_acknowledged(caplog: pytest.LogCaptureFixture) -> None:
    fs = Full()

    async def work() -> None:
        files: FileSystem = WithoutSyncs(fs)
        cluster = EmbeddedCluster(FileStore(files, "data", TOPOLOGY), Counter, seed=1)
        cluster.start()
        assert await ask(cluster, 3) == [1, 2, 3]
        fs.full = True
        asking = asyncio.ensure_future(cluster.call(REQUEST))
        while not cluster.failures:
            await asyncio.sleep(0.001)
        assert "no space left" in cluster.failures[0]
        asking.cancel()
        await cluster.stop()

    run(work)
    assert "a sync failed" in caplog.text


def test_what_is_promised_is_said_for_each_way_to_keep_things() -> None:
    said = [Settings().promise(), Settings(data="d").promise(), Settings(data="d", fsync=False).promise()]
    assert "memory" in said[0] and "on disk on two of three replicas" in said[1] and "not a power cut" in said[2]
    assert Settings(data="d").topology().timing.accepts_in_flight > 1
    assert Settings(data="d", fsync=False).topology().timing == Settings().topology().timing


def test_how_many_accepts_are_on_their_way_is_said_by_each_process_and_not_by_the_directory() -> None:
    fs = PowerLossFileSystem()
    for settings in (Settings(data="data"), Settings(data="data", fsync=False), Settings(data="data")):
        asked = settings.topology()
        found = FileStore(fs, "data", asked).topology
        assert found.timing == asked.timing
    assert found.storage == asked.storage

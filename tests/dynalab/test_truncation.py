"""Logs on real disks under truncation: what was let go leaves the disk, and nothing else does, whenever it ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab.drivers.disk import RealFileSystem
from dynalab.drivers.embedded import EmbeddedCluster
from dynalab.drivers.log_files import (
    FIRST_SEGMENT,
    SEGMENTS_DELETED_PER_SYNC_MAX,
    DamagedLog,
    LogFiles,
    create_log,
    log_exists,
    open_log,
    segment_name,
)
from dynalab.drivers.power_loss import PowerCut, PowerLossFileSystem
from dynalab.drivers.store import FileStore, MemoryDisk, MemoryStore, Store, records_of
from dynalab.drivers.synced_mark import MARK
from dynalab_impl.effects import Address, Effects, Message, Position, Record
from dynalab_impl.records import Promised
from tests.dynalab.toys import FIRST, REQUEST, SECOND, TOPOLOGY, Counter, counter, run, settle

Ending = Callable[[PowerLossFileSystem], PowerLossFileSystem]
POWER_LOSSES: list[Ending] = [
    lambda fs: fs.lose_power(removals_kept=True),
    lambda fs: fs.lose_power(renames_kept=True),
    lambda fs: fs.lose_power(renames_kept=True, removals_kept=True),
    lambda fs: fs.lose_power(),
]
ENDINGS: list[Ending] = [lambda fs: fs.kill_process(), *POWER_LOSSES]
DIRECTORY = "disk/log"


def payload(number: int) -> bytes:
    return f"record {number}".encode()


def write(log: LogFiles, *numbers: int) -> None:
    for number in numbers:
        log.stage(payload(number))
    log.take()()


def filled(fs: PowerLossFileSystem, segments: int) -> LogFiles:
    """A log of so many segments, with one record each."""
    fs.make_dir("disk")
    create_log(fs, DIRECTORY)
    fs.fsync_dir(".")
    log = open_log(fs, DIRECTORY, segment_bytes_max=1).log
    for number in range(1, segments + 1):
        write(log, number)
    return log


# --- one log ---------------------------------------------------------------------------------------------------------


def test_a_segment_leaves_the_disk_once_all_its_records_were_let_go() -> None:
    fs = PowerLossFileSystem()
    log = filled(fs, 5)
    calls = fs.calls
    log.truncate(4)
    assert fs.calls == calls, "the loop's thread touches no file"
    log.take()()
    assert fs.list_dir(DIRECTORY) == [FIRST_SEGMENT, segment_name(4), segment_name(5), MARK]
    log.truncate(2)  # less than before: nothing more to drop
    calls = fs.calls
    log.take()()
    assert fs.calls == calls
    log.truncate(6)
    write(log, 6)
    assert fs.list_dir(DIRECTORY) == [FIRST_SEGMENT, segment_name(6), MARK]
    assert open_log(fs, DIRECTORY).payloads == [payload(6)]


def test_the_segment_that_is_appended_to_stays_and_positions_begin_at_1_after_a_restart() -> None:
    fs = PowerLossFileSystem()
    log = filled(fs, 3)
    log.truncate(4)
    log.take()()
    assert open_log(fs, DIRECTORY).payloads == [payload(3)]
    log = open_log(fs, DIRECTORY, segment_bytes_max=1).log
    write(log, 4)
    log.truncate(2)  # record 3 is at position 1 now
    log.take()()
    assert open_log(fs, DIRECTORY).payloads == [payload(4)]


def test_what_is_not_on_disk_cannot_be_let_go() -> None:
    log = filled(PowerLossFileSystem(), 2)
    log.truncate(4)
    with pytest.raises(AssertionError, match="not on disk"):
        log.take()()


def test_many_segments_are_named_once_and_deleted_a_few_a_sync() -> None:
    fs = PowerLossFileSystem()
    last = SEGMENTS_DELETED_PER_SYNC_MAX + 5
    log = filled(fs, last)
    log.truncate(last)
    log.take()()
    first = fs.read(f"{DIRECTORY}/{FIRST_SEGMENT}")
    assert len(fs.list_dir(DIRECTORY)) == 2 + last - SEGMENTS_DELETED_PER_SYNC_MAX
    # A process that dies here leaves the rest to the next one.
    assert open_log(fs.lose_power(), DIRECTORY).payloads == [payload(last)]
    write(log, last + 1)
    assert fs.list_dir(DIRECTORY) == [FIRST_SEGMENT, segment_name(last), segment_name(last + 1), MARK]
    assert fs.read(f"{DIRECTORY}/{FIRST_SEGMENT}") == first


def test_a_segment_that_is_missing_behind_the_first_one_is_damage_as_ever() -> None:
    for missing in (4, 5):
        fs = PowerLossFileSystem()
        log = filled(fs, 6)
        log.truncate(4)
        log.take()()
        fs.remove(f"{DIRECTORY}/{segment_name(missing)}")
        with pytest.raises(DamagedLog, match="one is missing"):
            open_log(fs, DIRECTORY)


@pytest.mark.parametrize("offset", [0, 5, 12, 27])
def test_a_name_of_the_first_segment_that_rotted_is_damage_and_deletes_nothing(offset: int) -> None:
    fs = PowerLossFileSystem()
    log = filled(fs, 6)
    log.truncate(4)
    log.take()()
    names = fs.list_dir(DIRECTORY)
    fs.damage(f"{DIRECTORY}/{FIRST_SEGMENT}", offset)
    with pytest.raises(DamagedLog, match=FIRST_SEGMENT):
        open_log(fs, DIRECTORY)
    assert fs.list_dir(DIRECTORY) == names


def test_a_truncated_log_whose_first_name_is_lost_is_damage_and_not_a_log_that_never_was() -> None:
    fs = PowerLossFileSystem()
    log = filled(fs, 3)
    log.truncate(3)
    log.take()()
    fs.remove(f"{DIRECTORY}/{FIRST_SEGMENT}")
    assert log_exists(fs, DIRECTORY)
    with pytest.raises(DamagedLog, match="one is missing"):
        open_log(fs, DIRECTORY)


# --- the power fails -------------------------------------------------------------------------------------------------


def first_life(cut: int, deaf_to: tuple[str, ...], more: bool) -> tuple[PowerLossFileSystem, int, bool]:
    """Truncate twice and die at that call; gives the disk, the last record that was synced, and whether all was done.

    The log was written by a process that synced everything, so that the truncation alone is on trial.
    """
    fs = PowerLossFileSystem()
    log = filled(fs, 5)
    fs.rig(cut_at=cut, deaf_to=deaf_to)
    safe = 5
    try:
        for before in (3, 5):
            log.truncate(before)
            if more:
                log.stage(payload(safe + 1))
            log.take()()
            safe += more
    except PowerCut:
        return fs, safe, False
    return fs, safe, True


def survive(deaf_to: tuple[str, ...] = (), *, more: bool = False) -> int:
    """End the first life at every call; open the log, and end that at every call too; then look. Gives the number of
    pairs.
    """
    ends = 0
    for ending in ENDINGS:
        for cut in count(1):
            for again in count(1):
                fs, safe, done = first_life(cut, deaf_to, more)
                fs = ending(fs).rig(cut_at=again, deaf_to=deaf_to)
                try:
                    open_log(fs, DIRECTORY)
                    opened = True
                except PowerCut:
                    opened = False
                for last in POWER_LOSSES:
                    look(last(fs), safe)
                ends += 1
                if opened:
                    break
            if done:
                break
    return ends


def look(fs: PowerLossFileSystem, safe: int) -> None:
    """Everything that was synced and not let go is there, in order."""
    found = open_log(fs, DIRECTORY).payloads
    first = int(found[0].split()[1])
    assert first <= 5, "the fifth was never let go"
    assert found == [payload(number) for number in range(first, first + len(found))], "a log has no holes"
    assert first + len(found) > safe, "something that was synced is gone"


def test_a_truncation_that_ends_at_any_call_loses_nothing_that_was_not_let_go() -> None:
    assert survive() > 200
    assert survive(more=True) > 400


def truncation_sites() -> list[str]:
    """The syncs that a truncation leans on: the two that it calls, and that of the names when a log is opened."""
    fs = PowerLossFileSystem()
    log = filled(fs, 5)
    fs.sync_sites.clear()
    log.truncate(3)
    log.take()()
    opening = fs.kill_process().rig(cut_at=2)
    with pytest.raises(PowerCut):
        open_log(opening, DIRECTORY)
    return sorted(fs.sync_sites | opening.sync_sites)


def test_a_truncation_leans_on_three_syncs() -> None:
    assert [site.partition(":")[0] for site in truncation_sites()] == ["disk.py", "disk.py", "log_files.py"]


@pytest.mark.parametrize("site", truncation_sites())
def test_without_this_sync_a_truncation_takes_what_was_not_let_go(site: str) -> None:
    with pytest.raises((AssertionError, DamagedLog)):
        survive((site,))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("stage"), st.integers(1, 4)),
        st.tuples(st.just("take"), st.just(0)),
        st.tuples(st.just("truncate"), st.integers(0, 30)),
        st.tuples(st.just("end"), st.integers(0, len(ENDINGS) - 1)),
    ),
    max_size=60,
)


@given(steps=STEPS, segment_bytes_max=st.sampled_from([1, 60, 150, 10_000]))
def test_a_log_is_what_was_synced_from_some_position_on_that_was_allowed(
    steps: list[tuple[str, int]], segment_bytes_max: int
) -> None:
    fs = PowerLossFileSystem()
    fs.make_dir("disk")
    create_log(fs, DIRECTORY)
    fs.fsync_dir(".")
    log = open_log(fs, DIRECTORY, segment_bytes_max=segment_bytes_max).log
    synced: list[bytes] = []  # at positions 1, 2, … of this life
    staged: list[bytes] = []
    allowed = number = 0
    for step, size in [*steps, ("take", 0), ("end", 4)]:
        if step == "stage":
            for _ in range(size):
                number += 1
                staged.append(payload(number))
                log.stage(payload(number))
        elif step == "take":
            log.take()()
            synced, staged = synced + staged, []
        elif step == "truncate":
            before = min(size, len(synced) + 1)
            allowed = max(allowed, before - 1)
            log.truncate(before)
        else:
            log.close()
            fs = ENDINGS[size](fs)
            opened = open_log(fs, DIRECTORY, segment_bytes_max=segment_bytes_max)
            dropped = len(synced) - len(opened.payloads)
            assert 0 <= dropped <= allowed
            assert opened.payloads == synced[dropped:]
            log, synced, staged, allowed = opened.log, opened.payloads, [], 0


# --- nodes that truncate ---------------------------------------------------------------------------------------------

KEPT = 5


class Rolling(Counter):
    """Counts like `Counter`, but each record holds the whole count, and only the newest few are kept."""

    def on_start(self, effects: Effects) -> None:
        for record in effects.read_log():
            assert isinstance(record, Promised)
            assert self.total in (0, record.ballot[0] - 1), "a log has no holes"
            self.total = record.ballot[0]

    def on_durable(self, position: Position, effects: Effects) -> None:
        super().on_durable(position, effects)
        effects.truncate(position + 1 - KEPT)


async def ask(cluster: EmbeddedCluster, times: int) -> list[object]:
    return [(await cluster.call(REQUEST)).body["total"] for _ in range(times)]


STORES: dict[str, Callable[[], Store]] = {
    "memory": lambda: MemoryStore(TOPOLOGY),
    "files": lambda: FileStore(PowerLossFileSystem(), "data", TOPOLOGY, segment_bytes_max=300),
}


@pytest.mark.parametrize("kind", STORES)
def test_a_node_that_lets_go_of_its_log_counts_on_after_every_kill(kind: str) -> None:
    store = STORES[kind]()

    async def work() -> None:
        cluster = EmbeddedCluster(store, Rolling, seed=1)
        cluster.start()
        for life in range(4):
            assert await ask(cluster, 60) == list(range(life * 60 + 1, life * 60 + 61))
            cluster.crash(FIRST)
            cluster.restart(FIRST)
            await settle(cluster)
            assert counter(cluster, FIRST).total == life * 60 + 60
        await cluster.stop()
        assert cluster.failures == []

    run(work)
    left = [record for record in records_of(store, FIRST) if isinstance(record, Promised)]
    assert KEPT <= len(left) < 30
    assert [record.ballot[0] for record in left] == list(range(241 - len(left), 241))


class Hasty(Counter):
    """Lets go of a record that is not on disk."""

    def on_message(self, sender: Address, message: Message, effects: Effects) -> None:
        effects.truncate(effects.append(Promised("g", (1, "n1"))) + 1)


@pytest.mark.parametrize("kind", STORES)
def test_a_node_that_lets_go_of_what_is_not_on_disk_is_stopped(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        cluster = EmbeddedCluster(STORES[kind](), Hasty, seed=1)
        cluster.start()
        asking = asyncio.ensure_future(cluster.call(REQUEST))
        while not cluster.failures:
            await asyncio.sleep(0.001)
        asking.cancel()
        await cluster.stop()

    run(work)
    assert "what is not on disk yet" in caplog.text


class Threads(PowerLossFileSystem):
    """Writes down which thread puts names in place and removes them."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[str, str]] = set()

    def note(self, call: str, path: str) -> None:
        name = threading.current_thread().name.rpartition("_")[0]
        self.seen.add((call + " " + path.rpartition("/")[2].rstrip(".log0123456789"), name))

    def rename(self, source: str, target: str) -> None:
        self.note("rename", target)
        super().rename(source, target)

    def remove(self, path: str) -> None:
        self.note("remove", path)
        super().remove(path)


def test_the_thread_that_syncs_truncates_and_never_the_loop() -> None:
    fs = Threads()

    async def work() -> None:
        cluster = EmbeddedCluster(FileStore(fs, "data", TOPOLOGY, segment_bytes_max=300), Rolling, seed=1)
        cluster.start()
        fs.seen.clear()  # a router's start writes the manifest
        await ask(cluster, 60)
        await cluster.stop()

    run(work)
    assert fs.seen == {("rename first-segment", "dynalab-sync"), ("remove segment-", "dynalab-sync")}


def test_files_of_a_real_directory_stay_few(tmp_path: Path) -> None:
    store = FileStore(RealFileSystem(), str(tmp_path / "data"), TOPOLOGY, segment_bytes_max=400)

    async def work() -> None:
        cluster = EmbeddedCluster(store, Rolling, seed=1)
        cluster.start()
        await ask(cluster, 150)
        await cluster.stop()

    run(work)
    names = sorted(path.name for path in (tmp_path / "data" / "z1-n1.1").iterdir())
    assert names[0] == FIRST_SEGMENT and 2 <= len(names) <= 5
    assert segment_name(5) < names[1]
    again = FileStore(RealFileSystem(), str(tmp_path / "data"), TOPOLOGY)
    assert list(records_of(again, FIRST))[-1] == Promised("g", (150, "n1"))
    assert again.lost == []


def test_a_disk_in_memory_drops_the_objects_that_the_store_shares_with_it() -> None:
    store = MemoryStore(TOPOLOGY)
    disk, _, _ = store.open(SECOND)
    records: list[Record] = [Promised("g", (number, "n2")) for number in range(6)]
    for record in records:
        disk.append(record)
    disk.take()
    disk.truncate(3)
    disk.truncate(5)
    disk.truncate(4)
    disk.append(records[0])  # never taken: lost with the process
    disk.close()
    assert list(records_of(store, SECOND)) == records[4:]
    with pytest.raises(AssertionError, match="not safe"):
        MemoryDisk([]).truncate(2)

"""A node's log as files under everything that a disk may do to it: torn sectors, rot, strays, syncs that fail."""

from __future__ import annotations

import pytest

from dynalab.drivers.log_files import DamagedLog, LogFiles, create_log, open_log, segment_name
from dynalab.drivers.power_loss import SECTOR_BYTES, PowerCut, PowerLossFileSystem
from dynalab.drivers.store import FileStore, StoreError
from dynalab.drivers.synced_mark import COPIES, MARK, PLACES, open_mark
from dynalab_impl.effects import layout
from dynalab_impl.storage import wal

LOG = "data/z1-n1.1"
BATCHES = [[b"a" * 40], [b"b" * 700, b"c" * 300], [b"d" * 1500], [b"e" * 40, b"f" * 90], [b"g" * 2100]]


def write(log: LogFiles, batch: list[bytes]) -> None:
    for payload in batch:
        log.stage(payload)
    log.take()()


def formatted(segment_bytes_max: int = 1 << 20) -> tuple[PowerLossFileSystem, LogFiles]:
    fs = PowerLossFileSystem()
    fs.make_dir("data")
    create_log(fs, LOG)
    for path in (".", "data"):
        fs.fsync_dir(path)
    return fs, open_log(fs, LOG, segment_bytes_max=segment_bytes_max).log


def filled(segment_bytes_max: int = 1 << 20) -> tuple[PowerLossFileSystem, list[bytes]]:
    fs, log = formatted(segment_bytes_max)
    for batch in BATCHES:
        write(log, batch)
    return fs, [payload for batch in BATCHES for payload in batch]


@pytest.mark.claim("torn-tail")
@pytest.mark.parametrize("segment_bytes_max", [1 << 20, 1000])
def test_at_every_call_and_with_every_subset_of_unsynced_sectors_the_log_is_what_was_acknowledged(
    segment_bytes_max: int,
) -> None:
    """A write that was under way is there whole or not at all; what was acknowledged is there, and can be added to."""
    subsets = torn = 0
    for batch_number, batch in enumerate(BATCHES):
        cut = 0
        while True:
            cut += 1
            fs, log = formatted(segment_bytes_max)
            for before in BATCHES[:batch_number]:
                write(log, before)
            fs.rig(cut_at=cut)
            try:
                write(log, batch)
                break
            except PowerCut:
                pass
            safe = [payload for before in BATCHES[:batch_number] for payload in before]
            for kept in range(1 << fs.unsynced_sectors()):
                left = fs.lose_power(sectors_kept=kept)
                opened = open_log(left, LOG, segment_bytes_max=segment_bytes_max)
                assert opened.payloads in (safe, [*safe, *batch])
                subsets += 1
                torn += opened.torn_bytes > 0
                write(opened.log, [b"next"])
                assert open_log(left.lose_power(), LOG).payloads == [*opened.payloads, b"next"]
    assert subsets > 70 and torn > 30


@pytest.mark.claim("rot")
@pytest.mark.parametrize("segment_bytes_max", [1 << 20, 1000])
def test_rot_of_any_byte_that_was_synced_is_damage_also_in_the_last_batch(segment_bytes_max: int) -> None:
    fs, records = filled(segment_bytes_max)
    for name in fs.list_dir(LOG):
        if name == MARK:
            continue
        size_bytes = len(fs.read(f"{LOG}/{name}"))
        for offset in [*range(0, size_bytes, 37), size_bytes - 1]:
            rotten = fs.lose_power()
            rotten.damage(f"{LOG}/{name}", offset)
            with pytest.raises(DamagedLog):
                open_log(rotten, LOG)
    assert open_log(fs.lose_power(), LOG).payloads == records


def test_a_log_that_ends_too_early_is_damage_and_not_a_shorter_log() -> None:
    fs, records = filled(segment_bytes_max=1000)
    names = [name for name in fs.list_dir(LOG) if name != MARK]
    for name in names:
        short = fs.lose_power()
        data = short.read(f"{LOG}/{name}")
        last = wal.recover(data, "z1-n1.1", first=_first_frame(data)).payloads[-1]
        file = short.open_append(f"{LOG}/{name}", create=False)
        file.truncate(len(data) - len(last) - wal.HEADER_BYTES)  # by one whole frame: every checksum that is left fits
        with pytest.raises(DamagedLog):
            open_log(short, LOG)
    assert len(names) >= 3 and open_log(fs, LOG).payloads == records


def _first_frame(data: bytes) -> int:
    return int.from_bytes(data[4:12], "little")


def test_a_write_that_landed_in_anothers_place_is_damage_though_every_byte_of_it_is_right() -> None:
    fs, log = formatted()
    for number in range(6):
        write(log, [b"%d" % number * 20])
    frame_bytes = wal.HEADER_BYTES + 24
    path = f"{LOG}/{segment_name(1)}"
    data = fs.read(path)
    stray = fs.lose_power()
    stray.misdirect(path, 2 * frame_bytes, data[5 * frame_bytes : 6 * frame_bytes])
    with pytest.raises(DamagedLog, match="another's place"):
        open_log(stray, LOG)
    other, other_log = PowerLossFileSystem(), "data/z2-n2.1"
    other.make_dir("data")
    create_log(other, other_log)
    opened = open_log(other, other_log).log
    for number in range(6):
        write(opened, [b"%d" % number * 20])
    foreign = fs.lose_power()
    foreign.misdirect(
        path, 2 * frame_bytes, other.read(f"{other_log}/{segment_name(1)}")[2 * frame_bytes : 3 * frame_bytes]
    )
    with pytest.raises(DamagedLog, match="cannot be read"):
        open_log(foreign, LOG)


def test_no_sector_of_the_mark_is_needed_alone_and_without_any_the_log_is_not_believed() -> None:
    fs, records = filled()
    for sector in range(PLACES * COPIES):
        rotten = fs.lose_power()
        rotten.damage(f"{LOG}/{MARK}", sector * SECTOR_BYTES + 20)
        assert open_log(rotten, LOG).payloads == records
    for sector in range(PLACES * COPIES):
        fs.damage(f"{LOG}/{MARK}", sector * SECTOR_BYTES + 20)
    with pytest.raises(DamagedLog, match="synced cannot be read"):
        open_log(fs, LOG)
    fs.remove(f"{LOG}/{MARK}")
    with pytest.raises(DamagedLog):
        open_log(fs, LOG)


def test_what_a_failed_sync_left_in_the_page_cache_is_not_trusted_after_a_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fs, log = formatted()
    write(log, [b"safe"])
    assert log._file.__class__.__name__ == "_PowerLossFile"

    def refuse(self: object) -> None:
        raise OSError("input/output error")

    monkeypatch.setattr(type(log._file), "fsync", refuse)
    log.stage(b"doubtful")
    with pytest.raises(OSError, match="input/output"):
        log.take()()
    monkeypatch.undo()
    assert b"doubtful" in fs.read(f"{LOG}/{segment_name(1)}"), "a new process would read it"
    opened = open_log(fs.kill_process(), LOG)
    assert opened.payloads == [b"safe"] and opened.torn_bytes > 0
    write(opened.log, [b"after"])
    assert open_log(fs.lose_power(), LOG).payloads == [b"safe", b"after"]


def test_the_mark_never_outruns_the_log_and_follows_every_batch() -> None:
    fs, log = formatted(segment_bytes_max=1000)
    for number, batch in enumerate(BATCHES, 1):
        write(log, batch)
        assert open_mark(fs.lose_power(), LOG).frames == number


def test_a_manifest_that_rotted_or_is_of_another_version_is_refused_and_no_disk_is_taken_for_lost() -> None:
    fs = PowerLossFileSystem()
    FileStore(fs, "data", layout(nodes_per_zone=1, routers=1))
    text = fs.read("data/manifest.json")
    at = text.index(b"20000")
    fs.misdirect("data/manifest.json", at, b"30000")
    with pytest.raises(StoreError, match="checksum"):
        FileStore(fs, "data", layout())
    fs.misdirect("data/manifest.json", at, b"20000")
    assert FileStore(fs, "data", layout()).lost == []
    fs.misdirect("data/manifest.json", text.index(b'"version": 2'), b'"version": 1')
    with pytest.raises(StoreError, match="version 1"):
        FileStore(fs, "data", layout())

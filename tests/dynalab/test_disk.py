"""Files of the operating system: one call writes and syncs, and a sync is asked for where something else was done."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dynalab.drivers import disk
from dynalab.drivers.disk import RealFileSystem


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The descriptors that were synced by a call of their own."""
    calls: list[int] = []
    real = disk._sync_data

    def sync(fd: int) -> None:
        calls.append(fd)
        real(fd)

    monkeypatch.setattr(disk, "_sync_data", sync)
    return calls


@pytest.mark.skipif(not hasattr(os, "O_DSYNC"), reason="this system has no writes that sync")
def test_a_write_goes_through_to_the_disk_and_needs_no_second_call(tmp_path: Path, synced: list[int]) -> None:
    path = str(tmp_path / "log")
    file = RealFileSystem().open_append(path, create=True)
    file.append(b"one")
    file.fsync()
    assert len(synced) == 1  # what a process before this one wrote to the file may not be on disk
    file.append(b"two")
    file.fsync()
    assert len(synced) == 1
    file.truncate(3)
    file.fsync()
    assert len(synced) == 2
    file.close()
    assert RealFileSystem().read(path) == b"one"


def test_without_such_writes_each_is_synced_by_a_call(
    tmp_path: Path, synced: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "_THROUGH", 0)
    path = str(tmp_path / "mark")
    made = RealFileSystem().open_append(path, create=True)
    made.append(b"0000")
    made.fsync()
    made.fsync()
    assert len(synced) == 1
    made.close()
    file = RealFileSystem().open_in_place(path)
    for number in (1, 2):
        file.overwrite(2, str(number).encode())
        file.fsync()
    assert len(synced) == 3
    file.close()
    assert RealFileSystem().read(path) == b"0020"

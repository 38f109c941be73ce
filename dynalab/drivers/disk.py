"""Files as the drivers see them: a small layer that can be swapped, so that power loss can be played in a test.

Rules of this room:

1. What was written is durable only after `File.fsync`; a name (created, renamed, removed) only after `fsync_dir` of its
   directory. Some file systems do more by themselves; nothing here leans on that.
2. A file that must never be seen half-written is written beside its place, synced, and renamed (`write_atomically`).
3. A sync that fails is not tried again: the kernel may have dropped the dirty pages already, so a second one would lie.
   The node crashes.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class File(Protocol):
    """A file open for appending, or for overwriting in place."""

    def append(self, data: bytes) -> None:
        """Write at the end. Durable only after `fsync`."""

    def overwrite(self, offset: int, data: bytes) -> None:
        """Write over bytes that are there already. Durable only after `fsync`; a power cut before may leave any of its
        sectors old.
        """

    def fsync(self) -> None:
        """Returns once everything written so far is on disk."""

    def truncate(self, size_bytes: int) -> None:
        """Cut the file to that size. Durable only after `fsync`."""

    def close(self) -> None: ...


class FileSystem(Protocol):
    """What a driver needs of a disk. Paths are absolute or relative strings with `/`."""

    @property
    def syncs(self) -> bool:
        """Whether syncs wait for a disk. Where they do not, nothing here takes long."""

    def make_dir(self, path: str) -> None:
        """Create a directory; its own name is durable after `fsync_dir` of its parent. Nothing happens if it stands
        already.
        """

    def exists(self, path: str) -> bool: ...

    def list_dir(self, path: str) -> list[str]:
        """The names in a directory, sorted; empty if there is no such directory."""

    def read(self, path: str) -> bytes: ...

    def open_append(self, path: str, *, create: bool) -> File:
        """Open for appending; `create` makes a new, empty file and refuses one that is there."""

    def open_in_place(self, path: str) -> File:
        """Open a file that is there for overwriting."""

    def locked(self, path: str) -> AbstractContextManager[None]:
        """Keep out everybody else, other processes too, who asks for this lock; the file is made if it is not there."""

    def rename(self, source: str, target: str) -> None:
        """Put `source` in the place of `target`, at once. Durable after `fsync_dir`."""

    def remove(self, path: str) -> None: ...

    def fsync_dir(self, path: str) -> None:
        """Returns once the names in that directory are on disk."""


# The time of the last change need not be on disk; the size is, where that matters.
_sync_data = getattr(os, "fdatasync", os.fsync)

# A write that returns when it is on disk: one call of the system and not two, and a thread that syncs hands the
# interpreter over half as often.
_THROUGH = getattr(os, "O_DSYNC", 0)


class RealFile:
    """A file descriptor; `through` says that it was opened with `_THROUGH`."""

    __slots__ = ("_fd", "_through", "_unsynced")

    def __init__(self, fd: int, through: bool) -> None:
        self._fd = fd
        self._through = through
        self._unsynced = True  # perhaps: what a process that was killed wrote is not on disk because this one reads it

    def append(self, data: bytes) -> None:
        self._unsynced |= not self._through
        written = os.write(self._fd, data)
        while written < len(data):  # a write may be short when the disk is nearly full
            written += os.write(self._fd, memoryview(data)[written:])

    def overwrite(self, offset: int, data: bytes) -> None:
        self._unsynced |= not self._through
        written = os.pwrite(self._fd, data, offset)
        if written != len(data):
            raise OSError(f"{written} of {len(data)} bytes were written")

    def fsync(self) -> None:
        if self._unsynced:
            _sync_data(self._fd)
            self._unsynced = False

    def truncate(self, size_bytes: int) -> None:
        self._unsynced = True
        os.ftruncate(self._fd, size_bytes)

    def close(self) -> None:
        os.close(self._fd)


class RealFileSystem:
    """The operating system's files. `through` says that whatever is written is going to be synced at once, so that one
    call may do both.
    """

    __slots__ = ("_through",)
    syncs = True

    def __init__(self, *, through: bool = True) -> None:
        self._through = _THROUGH if through else 0

    def make_dir(self, path: str) -> None:
        os.makedirs(path, mode=0o700, exist_ok=True)

    def exists(self, path: str) -> bool:
        return os.path.exists(path)

    def list_dir(self, path: str) -> list[str]:
        try:
            return sorted(os.listdir(path))
        except FileNotFoundError:
            return []

    def read(self, path: str) -> bytes:
        with open(path, "rb") as file:
            return file.read()

    def open_append(self, path: str, *, create: bool) -> File:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | self._through | (os.O_CREAT | os.O_EXCL if create else 0)
        return RealFile(os.open(path, flags, 0o600), self._through != 0)

    def open_in_place(self, path: str) -> File:
        return RealFile(os.open(path, os.O_WRONLY | os.O_CLOEXEC | self._through), self._through != 0)

    @contextmanager
    def locked(self, path: str) -> Iterator[None]:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def rename(self, source: str, target: str) -> None:
        os.replace(source, target)

    def remove(self, path: str) -> None:
        os.remove(path)

    def fsync_dir(self, path: str) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def parent_of(path: str) -> str:
    """The directory that holds the name.

    >>> parent_of("data/manifest.json"), parent_of("data")
    ('data', '.')
    """
    return os.path.dirname(path) or "."


def write_atomically(fs: FileSystem, path: str, data: bytes) -> None:
    """After this returns the file holds `data` for good; a crash before that leaves the old content, never a mixture.

    >>> from dynalab.drivers.power_loss import PowerLossFileSystem
    >>> fs = PowerLossFileSystem()
    >>> write_atomically(fs, "manifest", b"one")
    >>> fs.lose_power().read("manifest")
    b'one'
    """
    beside = path + ".new"
    if fs.exists(beside):  # left by a crash between creating and renaming
        fs.remove(beside)
    file = fs.open_append(beside, create=True)
    try:
        file.append(data)
        # The content first: a rename that reaches the disk before its content would leave an empty file in the good
        # one's place.
        file.fsync()
    finally:
        file.close()
    fs.rename(beside, path)
    fs.fsync_dir(parent_of(path))

"""Files without syncs: what was written survives the death of the process, and not that of the machine.

A write that no sync follows lies in the page cache, which is the kernel's: a process that is killed takes nothing of it
along, while a power cut or a crash of the kernel takes any part of it, in any order. So a directory that is written
like that must say so, or the next process would build on what may be half there.

Rules of this room:

1. Before anything is written without syncs, the file `unsynced` stands in the directory, for good, and names the start
   of the system (its boot) under which that happens.
2. Whoever opens the directory in the same boot finds all that was written. If it syncs, it first syncs the whole
   directory, then removes the file, then reads: from then on the directory is like any other.
3. In another boot nobody knows what is missing, and every replica may lack something else: the directory is refused.
4. A clean end is the start of a process that syncs and does nothing else: it leaves no such file.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from dynalab.drivers.disk import File, FileSystem, write_atomically
from dynalab.drivers.store import StoreError

MARKER = "unsynced"
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


def this_boot() -> str:
    """A name for the time since the system was started; "" where the system has none, so that no boot differs."""
    try:
        with open(_BOOT_ID) as file:
            return file.read().strip()
    except OSError:
        return ""


def open_directory(fs: FileSystem, root: str, *, synced: bool, boot: str) -> FileSystem:
    """The files of a directory that stands and that no other process uses, to be read and written with syncs or
    without. Raises StoreError.

    >>> from dynalab.drivers.power_loss import PowerLossFileSystem
    >>> disk = PowerLossFileSystem()
    >>> files = open_directory(disk, ".", synced=False, boot="monday")
    >>> file = files.open_append("log", create=True); file.append(b"record"); file.fsync(); files.fsync_dir(".")
    >>> disk.lose_power().list_dir("."), disk.kill_process().read("log")
    (['unsynced'], b'record')
    >>> settle(disk, ".", "monday"); disk.lose_power().read("log")
    b'record'
    """
    if synced:
        settle(fs, root, boot)
        return fs
    if not _is_marked(fs, root, boot):
        write_atomically(fs, f"{root}/{MARKER}", boot.encode())
    return WithoutSyncs(fs)


def settle(fs: FileSystem, root: str, boot: str) -> None:
    """Sync everything, if it was written without syncs. Raises StoreError."""
    if _is_marked(fs, root, boot):
        _sync_tree(fs, root)
        fs.remove(f"{root}/{MARKER}")
        # Otherwise a power cut brings the file back, and what was written with syncs from now on would be refused.
        fs.fsync_dir(root)


def _is_marked(fs: FileSystem, root: str, boot: str) -> bool:
    path = f"{root}/{MARKER}"
    if not fs.exists(path):
        return False
    if fs.read(path) != boot.encode():
        raise StoreError(
            f"{root} was written without syncs (--no-fsync) when the machine went down: acknowledged writes may be"
            f" missing, and replicas may contradict each other. Use another directory, or remove {path} to take what"
            " is left."
        )
    return True


def _sync_tree(fs: FileSystem, path: str) -> None:
    try:
        names = fs.list_dir(path)
    except NotADirectoryError:
        file = fs.open_in_place(path)
        file.fsync()
        file.close()
        return
    for name in names:
        _sync_tree(fs, f"{path}/{name}")
    fs.fsync_dir(path)


class WithoutSyncs:
    """Another file system, whose syncs do nothing."""

    __slots__ = ("_fs",)
    syncs = False

    def __init__(self, fs: FileSystem) -> None:
        self._fs = fs

    def make_dir(self, path: str) -> None:
        self._fs.make_dir(path)

    def exists(self, path: str) -> bool:
        return self._fs.exists(path)

    def list_dir(self, path: str) -> list[str]:
        return self._fs.list_dir(path)

    def read(self, path: str) -> bytes:
        return self._fs.read(path)

    def open_append(self, path: str, *, create: bool) -> File:
        return _Unsynced(self._fs.open_append(path, create=create))

    def open_in_place(self, path: str) -> File:
        return _Unsynced(self._fs.open_in_place(path))

    def locked(self, path: str) -> AbstractContextManager[None]:
        return self._fs.locked(path)

    def rename(self, source: str, target: str) -> None:
        self._fs.rename(source, target)

    def remove(self, path: str) -> None:
        self._fs.remove(path)

    def fsync_dir(self, path: str) -> None:
        """Nothing: the name is the kernel's to write."""


class _Unsynced:
    """A file whose syncs do nothing."""

    __slots__ = ("_file", "append", "overwrite")

    def __init__(self, file: File) -> None:
        self._file = file
        self.append = file.append  # called for every batch: without a call in between
        self.overwrite = file.overwrite

    def fsync(self) -> None:
        """Nothing: the bytes are the kernel's to write."""

    def truncate(self, size_bytes: int) -> None:
        self._file.truncate(size_bytes)

    def close(self) -> None:
        self._file.close()

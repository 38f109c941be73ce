"""A file system in memory that forgets what was not synced. The strictest disk that the rules of `disk` allow.

`lose_power` gives the disk as it is found after a power cut: bytes that were never synced are gone (or all but some
sectors of them), and so are names (created, renamed, removed) whose directory was never synced. Every call is counted,
so a test can cut the power before each of them in turn, and `deaf_to` turns the syncs of one call site into nothing, so
a test can show that the site is needed.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import count

from dynalab.drivers.disk import File, parent_of

SECTOR_BYTES = 512


class PowerCut(Exception):
    """The power failed at this call; nothing after it happened."""


@dataclass(slots=True)
class _Inode:
    data: bytearray = field(default_factory=bytearray)
    synced: bytes = b""


@dataclass(slots=True)
class _Directory:
    entries: dict[str, _Inode | _Directory] = field(default_factory=dict)
    synced: dict[str, _Inode | _Directory] = field(default_factory=dict)
    renamed: dict[str, _Inode | _Directory] = field(default_factory=dict)  # since the last sync
    removed: set[str] = field(default_factory=set)  # since the last sync


def _unsynced(inode: _Inode) -> list[int]:
    """The sectors that are not on disk as they were written."""
    sectors = range(-(-max(len(inode.data), len(inode.synced)) // SECTOR_BYTES))
    return [at for at in sectors if _sector(inode.data, at) != _sector(inode.synced, at)]


def _sector(data: bytes | bytearray, at: int) -> bytes:
    return bytes(data[at * SECTOR_BYTES : (at + 1) * SECTOR_BYTES])


def _with_sectors(inode: _Inode, kept: Iterator[bool]) -> bytes:
    """What was synced, and those unsynced sectors that reached the disk by themselves. A sector that is missing before
    one of them reads as zeros.
    """
    found = bytearray(inode.synced)
    for at in _unsynced(inode):
        if next(kept):
            sector = _sector(inode.data, at)
            found.extend(bytes(max(0, at * SECTOR_BYTES - len(found))))
            found[at * SECTOR_BYTES : (at + 1) * SECTOR_BYTES] = sector
    return bytes(found)


def _after_power_loss(
    directory: _Directory, *, renames_kept: bool, removals_kept: bool, kept: Iterator[bool]
) -> _Directory:
    found = _Directory()
    survivors = directory.synced | directory.renamed if renames_kept else directory.synced
    for name, entry in survivors.items():
        if removals_kept and name in directory.removed:
            continue
        if isinstance(entry, _Directory):
            found.entries[name] = _after_power_loss(
                entry, renames_kept=renames_kept, removals_kept=removals_kept, kept=kept
            )
        else:
            left = _with_sectors(entry, kept)
            found.entries[name] = _Inode(bytearray(left), left)
    found.synced = dict(found.entries)
    return found


def _durable_files(directory: _Directory) -> Iterator[_Inode]:
    for entry in directory.synced.values():
        if isinstance(entry, _Directory):
            yield from _durable_files(entry)
        else:
            yield entry


class PowerLossFileSystem:
    """`cut_at` names the call (1, 2, …) that meets the power cut; `deaf_to` the call sites (`file:line`) whose syncs do
    nothing.

    >>> fs = PowerLossFileSystem()
    >>> file = fs.open_append("log", create=True)
    >>> file.append(b"record"); file.fsync()
    >>> fs.lose_power().exists("log")       # the bytes are on disk, the name is not
    False
    >>> fs.fsync_dir("."); fs.lose_power().read("log")
    b'record'
    """

    syncs = True

    def __init__(self, *, cut_at: int | None = None, deaf_to: Collection[str] = ()) -> None:
        self._root = _Directory()
        self._cut_at = cut_at
        self._deaf_to = frozenset(deaf_to)
        self._lock = threading.Lock()
        self.calls = 0
        self.sync_sites: set[str] = set()

    def unsynced_sectors(self) -> int:
        """How many sectors a power cut may take or leave, in files whose names are on disk."""
        with self._lock:
            return sum(len(_unsynced(inode)) for inode in _durable_files(self._root))

    def lose_power(
        self, *, renames_kept: bool = False, removals_kept: bool = False, sectors_kept: int = 0
    ) -> PowerLossFileSystem:
        """The disk as the next start finds it; this one is left as it is.

        A disk may also write a name before it is asked to, in any order: with `renames_kept` the renames reached it by
        themselves, and the files and directories created before them did not; with `removals_kept` the removals did.
        `sectors_kept` has a bit for each of the `unsynced_sectors`: those that are set reached the disk, too.
        """
        found = PowerLossFileSystem()
        with self._lock:  # other threads may be writing: the cut falls between two calls
            found._root = _after_power_loss(
                self._root,
                renames_kept=renames_kept,
                removals_kept=removals_kept,
                kept=(bool(sectors_kept >> bit & 1) for bit in count()),
            )
        return found

    def kill_process(self) -> PowerLossFileSystem:
        """The same disk for a new process: nothing written is lost, nothing more is synced than before."""
        found = PowerLossFileSystem()
        found._root = self._root
        return found

    def rig(self, *, cut_at: int | None = None, deaf_to: Collection[str] = ()) -> PowerLossFileSystem:
        """Set the next cut and the deaf sites, counting calls from zero again."""
        self._cut_at, self._deaf_to, self.calls = cut_at, frozenset(deaf_to), 0
        return self

    def damage(self, path: str, offset: int) -> None:
        """Rot: flip every bit of one byte, on the disk itself."""
        self.misdirect(path, offset, bytes([self._file(path).data[offset] ^ 0xFF]))

    def misdirect(self, path: str, offset: int, data: bytes) -> None:
        """A write that was meant for another place lands here, on the disk itself."""
        inode = self._file(path)
        inode.data[offset : offset + len(data)] = data
        inode.synced = bytes(inode.data)

    def lose_tree(self, path: str) -> None:
        """The disk below that name is gone, for good."""
        holder, name = self._directory(parent_of(path)), path.rpartition("/")[2]
        holder.entries.pop(name)
        holder.synced.pop(name, None)

    def make_dir(self, path: str) -> None:
        with self._lock:
            self._count()
            here = self._root
            for part in _parts(path):
                entry = here.entries.setdefault(part, _Directory())
                if not isinstance(entry, _Directory):
                    raise NotADirectoryError(path)
                here = entry

    def exists(self, path: str) -> bool:
        try:
            self._lookup(path)
        except FileNotFoundError:
            return False
        return True

    def list_dir(self, path: str) -> list[str]:
        try:
            return sorted(self._directory(path).entries)
        except FileNotFoundError:
            return []

    def read(self, path: str) -> bytes:
        return bytes(self._file(path).data)

    def open_append(self, path: str, *, create: bool) -> File:
        with self._lock:
            self._count()
            entries = self._directory(parent_of(path)).entries
            name = path.rpartition("/")[2]
            if create:
                if name in entries:
                    raise FileExistsError(path)
                entries[name] = _Inode()
            return _PowerLossFile(self, self._file(path))

    def open_in_place(self, path: str) -> File:
        return _PowerLossFile(self, self._file(path))

    def locked(self, path: str) -> AbstractContextManager[None]:
        return nullcontext()  # there is no other process

    def rename(self, source: str, target: str) -> None:
        with self._lock:
            self._count()
            moved = self._directory(parent_of(source)).entries.pop(source.rpartition("/")[2])
            directory, name = self._directory(parent_of(target)), target.rpartition("/")[2]
            directory.entries[name] = directory.renamed[name] = moved
            directory.removed.discard(name)

    def remove(self, path: str) -> None:
        with self._lock:
            self._count()
            self._file(path)
            directory, name = self._directory(parent_of(path)), path.rpartition("/")[2]
            del directory.entries[name]
            directory.renamed.pop(name, None)
            directory.removed.add(name)

    def fsync_dir(self, path: str) -> None:
        with self._lock:
            self._count()
            if self._heard(_site()):
                directory = self._directory(path)
                directory.synced = dict(directory.entries)
                directory.renamed.clear()
                directory.removed.clear()

    def _count(self) -> None:
        self.calls += 1
        if self._cut_at is not None and self.calls >= self._cut_at:
            raise PowerCut(f"power cut at call {self.calls}")

    def _heard(self, site: str) -> bool:
        self.sync_sites.add(site)
        return site not in self._deaf_to

    def _lookup(self, path: str) -> _Inode | _Directory:
        here: _Inode | _Directory = self._root
        for part in _parts(path):
            if not isinstance(here, _Directory) or part not in here.entries:
                raise FileNotFoundError(path)
            here = here.entries[part]
        return here

    def _directory(self, path: str) -> _Directory:
        found = self._lookup(path)
        if not isinstance(found, _Directory):
            raise NotADirectoryError(path)
        return found

    def _file(self, path: str) -> _Inode:
        found = self._lookup(path)
        if not isinstance(found, _Inode):
            raise IsADirectoryError(path)
        return found


class _PowerLossFile:
    __slots__ = ("_fs", "_inode")

    def __init__(self, fs: PowerLossFileSystem, inode: _Inode) -> None:
        self._fs = fs
        self._inode = inode

    def append(self, data: bytes) -> None:
        with self._fs._lock:
            self._fs._count()
            self._inode.data += data

    def overwrite(self, offset: int, data: bytes) -> None:
        with self._fs._lock:
            self._fs._count()
            assert offset + len(data) <= len(self._inode.data), "only what is there is overwritten"
            self._inode.data[offset : offset + len(data)] = data

    def fsync(self) -> None:
        with self._fs._lock:
            self._fs._count()
            if self._fs._heard(_site()):
                self._inode.synced = bytes(self._inode.data)

    def truncate(self, size_bytes: int) -> None:
        with self._fs._lock:
            self._fs._count()
            del self._inode.data[size_bytes:]

    def close(self) -> None:
        """Closing syncs nothing."""


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _site() -> str:
    caller = sys._getframe(2)
    return f"{caller.f_code.co_filename.rpartition('/')[2]}:{caller.f_lineno}"

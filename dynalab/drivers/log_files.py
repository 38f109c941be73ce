"""A node's write-ahead log as files: append-only segments of checksummed frames in one directory.

Rules of this room:

1. Segments are named `segment-00000001.log`, `…2.log`, without a gap. Only the last one is appended to.
2. A new segment is begun only after the one before it was synced whole. So a torn tail can stand at the end of the last
   segment alone: anything unreadable elsewhere is damage, and a damaged log is not used (its replica comes back as a
   learner).
3. Whatever `open_log` gives to the node is on disk: it syncs what it read, because a killed process leaves bytes in the
   page cache that a power cut could still take away after the node has acted on them.
4. A batch (what one sync covers) is one frame, so it survives whole or not at all. Were each record a frame, a torn
   batch could end with a good one behind a bad one, and would look like damage.
5. One thread at a time: the driver's loop calls `stage`, and hands `sync` to a worker; nobody else touches the file.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dynalab.drivers.disk import File, FileSystem, parent_of
from dynalab_impl.storage import wal

SEGMENT_BYTES_MAX = 64 * 1024 * 1024
BATCH_BYTES_MAX = 16 * 1024 * 1024  # a larger batch is written as several, each synced before the next
_PREFIX = "segment-"
_SUFFIX = ".log"
_LENGTH = struct.Struct("<I")


class DamagedLog(Exception):
    """A record that had been synced cannot be read any more."""


@dataclass(frozen=True, slots=True)
class OpenedLog:
    """What was found: the log, ready for appending, and the surviving payloads, oldest first. `torn_bytes` were cut
    from the tail.
    """

    log: LogFiles
    payloads: list[bytes]
    torn_bytes: int


def segment_name(number: int) -> str:
    """
    >>> segment_name(12)
    'segment-00000012.log'
    """
    return f"{_PREFIX}{number:08d}{_SUFFIX}"


def make_dir_durably(fs: FileSystem, path: str) -> None:
    """Create a directory and whatever is missing above it, and sync every name on the way.

    Also names that stand already: the process that made them may have been killed before it synced them.
    """
    here = path.rstrip("/")
    above: list[str] = []
    while here and here != "." and parent_of(here) != here:
        here = parent_of(here)
        above.append(here)
    fs.make_dir(path)
    for directory in reversed(above):
        with contextlib.suppress(PermissionError):  # what we may not even read we did not make
            fs.fsync_dir(directory)


def create_log(fs: FileSystem, directory: str) -> None:
    """Make the directory with one empty segment. After it returns, a node that finds no directory knows that its disk
    was lost.
    """
    if not fs.exists(directory + "/" + segment_name(1)):
        fs.make_dir(directory)
        fs.open_append(directory + "/" + segment_name(1), create=True).close()
    fs.fsync_dir(directory)
    fs.fsync_dir(parent_of(directory))


def log_exists(fs: FileSystem, directory: str) -> bool:
    """Whether a log was created there and has not been lost."""
    return fs.exists(directory + "/" + segment_name(1))


def open_log(fs: FileSystem, directory: str, *, segment_bytes_max: int = SEGMENT_BYTES_MAX) -> OpenedLog:
    """Read the log back, cut a torn tail, and make ready for appending. Raises DamagedLog."""
    names = [name for name in fs.list_dir(directory) if name.startswith(_PREFIX) and name.endswith(_SUFFIX)]
    if names != [segment_name(number) for number in range(1, len(names) + 1)] or not names:
        raise DamagedLog(f"{directory}: the segments found are {', '.join(names) or 'none'}; one is missing")
    payloads: list[bytes] = []
    torn_bytes = 0
    for name in names:
        data = fs.read(directory + "/" + name)
        found = wal.recover(data)
        unreadable = len(data) - found.valid_bytes
        if found.damaged or (unreadable and name != names[-1]):
            raise DamagedLog(f"{directory}/{name}: a record at byte {found.valid_bytes} cannot be read")
        for batch in found.payloads:
            payloads.extend(_unpack(batch))
        torn_bytes = unreadable
    file = fs.open_append(directory + "/" + names[-1], create=False)
    if torn_bytes:
        # Cut before anything is appended: a good record behind a torn one would never be found again.
        file.truncate(len(data) - torn_bytes)
    file.fsync()  # rule 3, and the cut itself
    # The last segment may have been created just before a kill, its name never synced.
    fs.fsync_dir(directory)
    log = LogFiles(fs, directory, file, len(names), len(data) - torn_bytes, segment_bytes_max)
    return OpenedLog(log, payloads, torn_bytes)


class LogFiles:
    """An open log. `stage` takes payloads; `take` closes a batch; `sync` writes it and returns when it is on disk."""

    __slots__ = ("_directory", "_file", "_fs", "_number", "_segment_bytes", "_segment_bytes_max", "_staged")

    def __init__(
        self, fs: FileSystem, directory: str, file: File, number: int, segment_bytes: int, segment_bytes_max: int
    ) -> None:
        self._fs = fs
        self._directory = directory
        self._file = file
        self._number = number
        self._segment_bytes = segment_bytes
        self._segment_bytes_max = segment_bytes_max
        self._staged: list[bytes] = []

    def stage(self, payload: bytes) -> None:
        """Put a record into the next batch. Nothing is written yet."""
        self._staged.append(_LENGTH.pack(len(payload)) + payload)

    def take(self) -> Callable[[], None]:
        """Everything staged so far, as one call that writes and syncs it; meant for a worker thread, one at a time."""
        staged, self._staged = self._staged, []
        return lambda: self.sync(staged)

    def sync(self, records: list[bytes]) -> None:
        """Write and sync; raises OSError if the disk refuses, and then the log must not be used again."""
        for batch in _batches(records):
            if self._segment_bytes >= self._segment_bytes_max:
                self._begin_segment()
            frame = wal.frame(batch)
            self._file.append(frame)
            self._file.fsync()
            self._segment_bytes += len(frame)

    def _begin_segment(self) -> None:
        # The old segment ends with a synced batch (rule 2), so it needs no sync of its own here.
        self._file.close()
        self._number += 1
        self._file = self._fs.open_append(self._directory + "/" + segment_name(self._number), create=True)
        self._fs.fsync_dir(self._directory)  # a synced record in a file without a name would be lost
        self._segment_bytes = 0

    def close(self) -> None:
        """Forget what was staged and never taken."""
        self._staged.clear()
        self._file.close()


def _batches(records: list[bytes]) -> Iterator[bytes]:
    batch: list[bytes] = []
    size_bytes = 0
    for record in records:
        if batch and size_bytes + len(record) > BATCH_BYTES_MAX:
            yield b"".join(batch)
            batch, size_bytes = [], 0
        batch.append(record)
        size_bytes += len(record)
    if batch:
        yield b"".join(batch)


def _unpack(batch: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(batch):
        (length,) = _LENGTH.unpack_from(batch, at)
        at += _LENGTH.size
        yield batch[at : at + length]
        at += length

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
5. One thread at a time: the driver's loop calls `stage`, `truncate` and `take`, which touch no file, and hands what
   `take` gave to a worker; nobody else touches the files.
6. Truncation deletes whole segments from the front. First the file `first-segment` names, for good, the oldest segment
   that still counts; then what lies before it is deleted, in any order, now or after a restart. So a segment that is
   missing at or behind that one is damage, as ever, and one that was deleted never is.
"""

from __future__ import annotations

import contextlib
import struct
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from dynalab.drivers.disk import File, FileSystem, parent_of, write_atomically
from dynalab_impl.effects import Position
from dynalab_impl.storage import wal

# What a truncation leaves on disk beyond what is needed is at most one segment a node, so a segment is small: the log
# of a small store, some MB between two snapshots, must not be doubled by what cannot be deleted yet. To begin one costs
# two calls more in some hundred syncs. (Tried on ext4: 64 MiB was no faster than 1 MiB.)
SEGMENT_BYTES_MAX = 1024 * 1024
BATCH_BYTES_MAX = 1024 * 1024  # a larger batch is written as several, each synced before the next
SEGMENTS_DELETED_PER_SYNC_MAX = 4  # who waits for a sync waits for no more deletions than these: 0.7 ms each on ext4
FIRST_SEGMENT = "first-segment"
_PREFIX = "segment-"
_SUFFIX = ".log"
_LENGTH = struct.Struct("<I")


class DamagedLog(Exception):
    """Something that had been synced cannot be read any more."""


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
    """Whether a log was created there and has not been lost. A part counts: `open_log` says whether it will do."""
    return bool(_segments_in(fs, directory)) or fs.exists(directory + "/" + FIRST_SEGMENT)


def _segments_in(fs: FileSystem, directory: str) -> list[str]:
    return [name for name in fs.list_dir(directory) if name.startswith(_PREFIX) and name.endswith(_SUFFIX)]


def _write_first(fs: FileSystem, directory: str, number: int) -> None:
    """From now on the segments before that one do not count."""
    write_atomically(fs, directory + "/" + FIRST_SEGMENT, wal.frame(segment_name(number).encode()))


def _read_first(fs: FileSystem, directory: str) -> int:
    """The number of the oldest segment that counts. Raises DamagedLog."""
    path = directory + "/" + FIRST_SEGMENT
    if not fs.exists(path):
        return 1
    # Under a checksum, like every record: a number that rotted upwards would delete what is needed.
    found = wal.recover(fs.read(path))
    if found.torn or len(found.payloads) != 1:
        raise DamagedLog(f"{path} cannot be read")
    return int(found.payloads[0].decode().removeprefix(_PREFIX).removesuffix(_SUFFIX))


@dataclass(slots=True)
class _Segments:
    """The segments of a log: which there are, and at which position each of them ends."""

    number: int  # of the one that is appended to
    size_bytes: int  # of that one
    written: Position = 0  # the last record in it
    closed: deque[tuple[int, Position]] = field(default_factory=deque)  # those before it that count: (number, last)
    doomed: deque[int] = field(default_factory=deque)  # those that do not count any more, and are not deleted yet


def open_log(fs: FileSystem, directory: str, *, segment_bytes_max: int = SEGMENT_BYTES_MAX) -> OpenedLog:
    """Read the log back, cut a torn tail, and make ready for appending. Positions begin at 1. Raises DamagedLog."""
    # The names first. A killed process may have left a segment just created, or the name of the first segment just
    # replaced, that a power cut could still take back: the records in the one, and for the other those deleted below.
    fs.fsync_dir(directory)
    first = _read_first(fs, directory)
    names = _segments_in(fs, directory)
    leftovers = [name for name in names if name < segment_name(first)]
    names = names[len(leftovers) :]
    if names != [segment_name(first + offset) for offset in range(len(names))] or not names:
        found_names = ", ".join(names) or "none"
        raise DamagedLog(f"{directory}: the segments from {first} on are {found_names}; one is missing")
    payloads: list[bytes] = []
    torn_bytes = 0
    segments = _Segments(first, 0)
    for number, name in enumerate(names, first):
        data = fs.read(directory + "/" + name)
        found = wal.recover(data)
        unreadable = len(data) - found.valid_bytes
        if found.damaged or (unreadable and name != names[-1]):
            raise DamagedLog(f"{directory}/{name}: a record at byte {found.valid_bytes} cannot be read")
        if number > first:
            segments.closed.append((segments.number, segments.written))
        for batch in found.payloads:
            payloads.extend(_unpack(batch))
        segments.number, segments.size_bytes, segments.written = number, found.valid_bytes, len(payloads)
        torn_bytes = unreadable
    for name in leftovers:
        fs.remove(directory + "/" + name)
    file = fs.open_append(directory + "/" + names[-1], create=False)
    if torn_bytes:
        # Cut before anything is appended: a good record behind a torn one would never be found again.
        file.truncate(segments.size_bytes)
    file.fsync()  # rule 3, and the cut itself
    return OpenedLog(LogFiles(fs, directory, file, segments, segment_bytes_max), payloads, torn_bytes)


class LogFiles:
    """An open log. `stage` takes payloads; `take` closes a batch, as a call that writes it and returns when it is on
    disk, and then deletes what `truncate` allowed.

    >>> from dynalab.drivers.power_loss import PowerLossFileSystem
    >>> fs = PowerLossFileSystem()
    >>> create_log(fs, "log")
    >>> log = open_log(fs, "log", segment_bytes_max=1).log      # a segment a batch
    >>> for payload in (b"one", b"two", b"three"):
    ...     log.stage(payload); log.take()()
    >>> log.truncate(3); log.stage(b"four"); log.take()()
    >>> fs.list_dir("log")
    ['first-segment', 'segment-00000003.log', 'segment-00000004.log']
    >>> open_log(fs, "log").payloads
    [b'three', b'four']
    """

    __slots__ = ("_before", "_directory", "_file", "_fs", "_segment_bytes_max", "_segments", "_staged")

    def __init__(self, fs: FileSystem, directory: str, file: File, segments: _Segments, segment_bytes_max: int) -> None:
        self._fs = fs
        self._directory = directory
        self._file = file
        self._segments = segments  # the worker's, as is the file
        self._segment_bytes_max = segment_bytes_max
        self._staged: list[bytes] = []
        self._before: Position = 0

    def stage(self, payload: bytes) -> None:
        """Put a record into the next batch. Nothing is written yet."""
        self._staged.append(_LENGTH.pack(len(payload)) + payload)

    def truncate(self, before: Position) -> None:
        """Records before that position may be dropped. It happens behind the next sync, as far as whole segments go."""
        self._before = max(self._before, before)

    def take(self) -> Callable[[], None]:
        """Everything staged so far, as one call that writes and syncs it; meant for a worker thread, one at a time.

        It raises OSError if the disk refuses, and then the log must not be used again.
        """
        staged, self._staged = self._staged, []
        before = self._before

        def job() -> None:
            self._sync(staged)
            self._drop(before)

        return job

    def _sync(self, records: list[bytes]) -> None:
        segments = self._segments
        for batch, count in _batches(records):
            if segments.size_bytes >= self._segment_bytes_max:
                self._begin_segment()
            frame = wal.frame(batch)
            self._file.append(frame)
            self._file.fsync()
            segments.size_bytes += len(frame)
            segments.written += count

    def _begin_segment(self) -> None:
        # The old segment ends with a synced batch (rule 2), so it needs no sync of its own here.
        segments = self._segments
        self._file.close()
        segments.closed.append((segments.number, segments.written))
        segments.number += 1
        segments.size_bytes = 0
        self._file = self._fs.open_append(self._directory + "/" + segment_name(segments.number), create=True)
        self._fs.fsync_dir(self._directory)  # a synced record in a file without a name would be lost

    def _drop(self, before: Position) -> None:
        closed, doomed = self._segments.closed, self._segments.doomed
        assert before <= self._segments.written + 1, "what is not on disk cannot be replaced by what is"
        count = len(doomed)
        while closed and closed[0][1] < before:
            doomed.append(closed.popleft()[0])
        if len(doomed) > count:
            # On disk before anything is deleted: a gap that nothing explains is damage.
            _write_first(self._fs, self._directory, doomed[-1] + 1)
        for _ in range(min(len(doomed), SEGMENTS_DELETED_PER_SYNC_MAX)):
            # Not synced: a name that comes back is deleted at the next start.
            self._fs.remove(self._directory + "/" + segment_name(doomed.popleft()))

    def close(self) -> None:
        """Forget what was staged and never taken."""
        self._staged.clear()
        self._file.close()


def _batches(records: list[bytes]) -> Iterator[tuple[bytes, int]]:
    """The records as bytes of bounded size, and how many each holds."""
    batch: list[bytes] = []
    size_bytes = 0
    for record in records:
        if batch and size_bytes + len(record) > BATCH_BYTES_MAX:
            yield b"".join(batch), len(batch)
            batch, size_bytes = [], 0
        batch.append(record)
        size_bytes += len(record)
    if batch:
        yield b"".join(batch), len(batch)


def _unpack(batch: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(batch):
        (length,) = _LENGTH.unpack_from(batch, at)
        at += _LENGTH.size
        yield batch[at : at + length]
        at += length

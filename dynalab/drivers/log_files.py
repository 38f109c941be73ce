"""A node's write-ahead log as files: append-only segments of checksummed frames in one directory.

Rules of this room:

1. Segments are named `segment-00000001.log`, `…2.log`, without a gap. Only the last one is appended to. Their frames
   are numbered through all segments, under checksums that know the directory's name.
2. The file `synced` says which frame is the last that is on disk (`synced_mark`). Anything unreadable up to that one is
   damage, and a damaged log is not used (its replica comes back as a learner). What lies behind it was acknowledged to
   nobody and is cut, readable or not: after a sync that failed the page cache may show what no disk holds.
3. Whatever `open_log` gives to the node is on disk: the names are synced again and the mark is written anew, because a
   killed process leaves both in the page cache, where a power cut could still take them back after the node has acted
   on what they say.
4. A batch (what one sync covers) is one frame, so it survives whole or not at all.
5. One thread at a time: the driver's loop calls `stage`, `truncate` and `take`, which touch no file, and hands what
   `take` gave to a worker; nobody else touches the files.
6. Truncation deletes whole segments from the front. First the file `first-segment` names, for good, the oldest segment
   that still counts and its first frame; then what lies before it is deleted, in any order, now or after a restart. So
   a segment that is missing at or behind that one is damage, as ever, and one that was deleted never is.
"""

from __future__ import annotations

import contextlib
import struct
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from dynalab.drivers.disk import File, FileSystem, parent_of, write_atomically
from dynalab.drivers.synced_mark import SyncedMark, create_mark, disk_name, open_mark
from dynalab_impl.effects import Position
from dynalab_impl.storage import wal

# What a truncation leaves on disk beyond what is needed is at most one segment a node, so a segment is small: the log
# of a small store, some MB between two snapshots, must not be doubled by what cannot be deleted yet. To begin one costs
# two calls more in some hundred syncs. (Tried on ext4: 64 MiB was no faster than 1 MiB. Nor were segments that are
# written full of zeros first, so that a frame changes no size: a frame then costs a flush and a commit of the journal
# less, where there is one, but everything is written twice.)
SEGMENT_BYTES_MAX = 1024 * 1024
BATCH_BYTES_MAX = 1024 * 1024  # a larger batch is written as several frames
SEGMENTS_DELETED_PER_SYNC_MAX = 4  # who waits for a sync waits for no more deletions than these: 0.7 ms each on ext4
FIRST_SEGMENT = "first-segment"
_PREFIX = "segment-"
_SUFFIX = ".log"
_LENGTH = struct.Struct("<I")
_FIRST = struct.Struct("<QQ")


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
        create_mark(fs, directory)
        fs.open_append(directory + "/" + segment_name(1), create=True).close()
    fs.fsync_dir(directory)
    fs.fsync_dir(parent_of(directory))


def log_exists(fs: FileSystem, directory: str) -> bool:
    """Whether a log was created there and has not been lost. A part counts: `open_log` says whether it will do."""
    return bool(_segments_in(fs, directory)) or fs.exists(directory + "/" + FIRST_SEGMENT)


def holds_records(fs: FileSystem, directory: str) -> bool:
    """Whether anything was ever written to a log there."""
    return fs.exists(directory + "/" + FIRST_SEGMENT) or any(
        fs.read(directory + "/" + name) for name in _segments_in(fs, directory)
    )


def _segments_in(fs: FileSystem, directory: str) -> list[str]:
    return [name for name in fs.list_dir(directory) if name.startswith(_PREFIX) and name.endswith(_SUFFIX)]


def _write_first(fs: FileSystem, directory: str, segment: int, frame: int) -> None:
    """From now on the segments before that one, which begins with that frame, do not count."""
    content = wal.frame(_FIRST.pack(segment, frame), 1, disk_name(directory))
    write_atomically(fs, directory + "/" + FIRST_SEGMENT, content)


def _read_first(fs: FileSystem, directory: str) -> tuple[int, int]:
    """The oldest segment that counts, and its first frame. Raises DamagedLog."""
    path = directory + "/" + FIRST_SEGMENT
    if not fs.exists(path):
        return 1, 1
    # Under a checksum, like every record: a number that rotted upwards would delete what is needed.
    found = wal.recover(fs.read(path), disk_name(directory))
    if found.torn or len(found.payloads) != 1:
        raise DamagedLog(f"{path} cannot be read")
    segment, frame = _FIRST.unpack(found.payloads[0])
    return int(segment), int(frame)


@dataclass(frozen=True, slots=True)
class _Closed:
    """A segment that is not appended to any more: its number, and the last record and frame in it."""

    number: int
    written: Position
    frames: int


@dataclass(slots=True)
class _Segments:
    """The segments of a log: which there are, and where each of them ends."""

    number: int  # of the one that is appended to
    size_bytes: int  # of that one
    written: Position = 0  # the last record in it
    frames: int = 0  # the last frame in it
    closed: deque[_Closed] = field(default_factory=deque)  # those before it that count
    doomed: deque[int] = field(default_factory=deque)  # those that do not count any more, and are not deleted yet

    def close(self) -> None:
        self.closed.append(_Closed(self.number, self.written, self.frames))


def open_log(fs: FileSystem, directory: str, *, segment_bytes_max: int = SEGMENT_BYTES_MAX) -> OpenedLog:
    """Read the log back, cut its tail, and make ready for appending. Positions begin at 1. Raises DamagedLog."""
    # The names first. A killed process may have left a segment just created, or the name of the first segment just
    # replaced, that a power cut could still take back: the records in the one, and for the other those deleted below.
    fs.fsync_dir(directory)
    first, first_frame = _read_first(fs, directory)
    names = _segments_in(fs, directory)
    leftovers = [name for name in names if name < segment_name(first)]
    names = names[len(leftovers) :]
    if names != [segment_name(first + offset) for offset in range(len(names))] or not names:
        found_names = ", ".join(names) or "none"
        raise DamagedLog(f"{directory}: the segments from {first} on are {found_names}; one is missing")
    try:
        mark = open_mark(fs, directory)
    except (ValueError, FileNotFoundError) as error:
        raise DamagedLog(f"{directory}: {error}") from error
    try:
        segments, payloads, cut = _read_segments(fs, directory, names, _Segments(first, 0, 0, first_frame - 1), mark)
    except DamagedLog:
        mark.close()
        raise
    for name in leftovers:
        fs.remove(directory + "/" + name)
    file = fs.open_append(directory + "/" + segment_name(segments.number), create=False)
    if cut:
        # Cut before anything is appended: what lies there has the numbers of frames that are still to come.
        file.truncate(segments.size_bytes)
    mark.write(segments.frames)
    return OpenedLog(LogFiles(fs, directory, file, mark, segments, segment_bytes_max), payloads, cut)


def _read_segments(
    fs: FileSystem, directory: str, names: list[str], segments: _Segments, mark: SyncedMark
) -> tuple[_Segments, list[bytes], int]:
    """The records up to the mark, and how many bytes lie behind them in the last segment that has any of them. Raises
    DamagedLog.
    """
    payloads: list[bytes] = []
    cut = 0
    for number, name in enumerate(names, segments.number):
        data = fs.read(directory + "/" + name)
        if number > segments.number and segments.frames >= mark.frames:
            fs.remove(directory + "/" + name)  # begun, and nothing in it was synced
            cut += len(data)
            continue
        found = wal.recover(data, disk_name(directory), segments.frames + 1)
        batches = found.payloads[: mark.frames - segments.frames]
        size_bytes = sum(wal.HEADER_BYTES + len(batch) for batch in batches)
        if number > segments.number:
            segments.close()
        for batch in batches:
            payloads.extend(_unpack(batch))
        segments.number, segments.size_bytes, segments.written = number, size_bytes, len(payloads)
        segments.frames += len(batches)
        cut = len(data) - size_bytes
        if cut and segments.frames < mark.frames:
            what = "lies in another's place" if found.misplaced else "cannot be read"
            raise DamagedLog(f"{directory}/{name}: a record at byte {size_bytes} {what}")
    if segments.frames < mark.frames:
        raise DamagedLog(f"{directory}: ends with frame {segments.frames}, and {mark.frames} had been synced")
    return segments, payloads, cut


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
    ['first-segment', 'segment-00000003.log', 'segment-00000004.log', 'synced']
    >>> open_log(fs, "log").payloads
    [b'three', b'four']
    """

    __slots__ = ("_before", "_directory", "_file", "_fs", "_mark", "_segment_bytes_max", "_segments", "_staged")

    def __init__(
        self,
        fs: FileSystem,
        directory: str,
        file: File,
        mark: SyncedMark,
        segments: _Segments,
        segment_bytes_max: int,
    ) -> None:
        self._fs = fs
        self._directory = directory
        self._file = file
        self._mark = mark
        self._segments = segments  # the worker's, as are the files
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
        return partial(self._carry_out, staged, self._before)

    def _carry_out(self, staged: list[bytes], before: Position) -> None:
        if staged:
            self._sync(staged)
        assert before <= self._segments.written + 1, "what is not on disk cannot be replaced by what is"
        if self._segments.closed or self._segments.doomed:
            self._drop(before)

    def _sync(self, records: list[bytes]) -> None:
        segments, name = self._segments, disk_name(self._directory)
        for batch, count in _batches(records):
            if segments.size_bytes >= self._segment_bytes_max:
                self._begin_segment()
            frame = wal.frame(batch, segments.frames + 1, name)
            self._file.append(frame)
            self._file.fsync()
            segments.size_bytes += len(frame)
            segments.written += count
            segments.frames += 1
        if segments.frames > self._mark.frames:
            # Only now: a mark that outran its frames would make of a torn tail a lost disk.
            self._mark.write(segments.frames)

    def _begin_segment(self) -> None:
        # The old segment ends with a synced batch, so it needs no sync of its own here.
        segments = self._segments
        self._file.close()
        segments.close()
        segments.number += 1
        segments.size_bytes = 0
        self._file = self._fs.open_append(self._directory + "/" + segment_name(segments.number), create=True)
        self._fs.fsync_dir(self._directory)  # a synced record in a file without a name would be lost

    def _drop(self, before: Position) -> None:
        closed, doomed = self._segments.closed, self._segments.doomed
        count, frames = len(doomed), 0
        while closed and closed[0].written < before:
            gone = closed.popleft()
            doomed.append(gone.number)
            frames = gone.frames
        if len(doomed) > count:
            # On disk before anything is deleted: a gap that nothing explains is damage.
            _write_first(self._fs, self._directory, doomed[-1] + 1, frames + 1)
        for _ in range(min(len(doomed), SEGMENTS_DELETED_PER_SYNC_MAX)):
            # Not synced: a name that comes back is deleted at the next start.
            self._fs.remove(self._directory + "/" + segment_name(doomed.popleft()))

    def close(self) -> None:
        """Forget what was staged and never taken."""
        self._staged.clear()
        self._file.close()
        self._mark.close()


def _batches(records: list[bytes]) -> Iterator[tuple[bytes, int]]:
    """The records as bytes of bounded size, and how many each holds."""
    if records and sum(map(len, records)) <= BATCH_BYTES_MAX:  # as almost always
        yield b"".join(records), len(records)
        return
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

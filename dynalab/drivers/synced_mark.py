"""How far a log is known to be on disk: a small file beside it that is overwritten in place after each sync.

Rules of this room:

1. The mark is written once a sync has returned, and is itself synced before anything that waited for the sync leaves.
   So what it says was on disk is on disk, and what was acknowledged is what it says.
2. Two places take turns, so a power cut while one is overwritten leaves the other, older one. Each holds its mark
   twice, in two sectors, under a checksum that knows the sector: a sector that rots takes no mark with it.
3. The newest mark that can be read counts. If none can, the log counts as damaged.

So a batch costs two durable writes, one after the other. One will not do: a mark that is written together with its
frame may reach the disk before it, and a torn tail looks like rot; and a frame that vouches for itself, by a second
copy, looks torn when a write was lost, or when another's landed on both copies.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from zlib import crc32

from dynalab.drivers.disk import File, FileSystem
from dynalab_impl.storage import wal

MARK = "synced"
SECTOR_BYTES = 512
PLACES = 2
COPIES = 2
_MARK = struct.Struct("<QQ")  # which mark it is, and the number of the last frame that is on disk
_FRAME_BYTES = wal.HEADER_BYTES + _MARK.size
_REST = bytes(SECTOR_BYTES - _FRAME_BYTES)


class SyncedMark:
    """The mark of an open log.

    >>> from dynalab.drivers.power_loss import PowerLossFileSystem
    >>> fs = PowerLossFileSystem()
    >>> create_mark(fs, "log")
    >>> mark = open_mark(fs, "log")
    >>> mark.write(7)
    >>> open_mark(fs, "log").frames
    7
    """

    __slots__ = ("_file", "_name", "_number", "frames")

    def __init__(self, file: File, name: str, number: int, frames: int) -> None:
        self._file = file
        self._name = name
        self._number = number
        self.frames = frames

    def write(self, frames: int) -> None:
        """Frames up to that number are on disk. Returns once this is on disk, too."""
        self._number += 1
        place = self._number % PLACES
        self._file.overwrite(place * COPIES * SECTOR_BYTES, _sectors(self._name, place, self._number, frames))
        self._file.fsync()
        self.frames = frames

    def close(self) -> None:
        self._file.close()


def create_mark(fs: FileSystem, directory: str) -> None:
    """A mark that says that nothing is on disk yet. Its name is durable after `fsync_dir`."""
    path = directory + "/" + MARK
    if fs.exists(path):  # left by a crash before anything was written to the log
        fs.remove(path)
    fs.make_dir(directory)
    file = fs.open_append(path, create=True)
    name = disk_name(directory)
    file.append(b"".join(_sectors(name, place, place, 0) for place in range(PLACES)))
    file.fsync()
    file.close()


def open_mark(fs: FileSystem, directory: str) -> SyncedMark:
    """The newest mark that can be read. Raises ValueError if none can, FileNotFoundError if there is no file."""
    path = directory + "/" + MARK
    data, name = fs.read(path), disk_name(directory)
    found: list[tuple[int, int]] = []
    for sector in range(PLACES * COPIES):
        start = sector * SECTOR_BYTES
        payloads = wal.recover(data[start : start + _FRAME_BYTES], f"{name}/{sector}").payloads
        if payloads and len(payloads[0]) == _MARK.size:
            number, frames = _MARK.unpack(payloads[0])
            found.append((number, frames))
    if not found:
        raise ValueError(f"{path} cannot be read")
    number, frames = max(found)
    return SyncedMark(fs.open_in_place(path), name, number, frames)


def disk_name(directory: str) -> str:
    """What the checksums of a log begin with: its directory's own name, which says machine and incarnation.

    >>> disk_name("data/z1-n1.2")
    'z1-n1.2'
    """
    return directory.rstrip("/").rpartition("/")[2]


def _sectors(name: str, place: int, number: int, frames: int) -> bytes:
    mark = _MARK.pack(number, frames)
    return b"".join(
        [b"%b%b%b%b" % (head, crc32(mark, at).to_bytes(4, "little"), mark, _REST) for head, at in _heads(name, place)]
    )


@lru_cache(maxsize=256)
def _heads(name: str, place: int) -> list[tuple[bytes, int]]:
    """What the frames in the sectors of a place begin with (`wal.frame`), and their checksums so far."""
    return [wal.head(_MARK.size, 1, f"{name}/{sector}") for sector in range(place * COPIES, (place + 1) * COPIES)]

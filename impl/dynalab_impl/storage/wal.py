"""The write-ahead log as bytes: frames with a checksum and a place, and recovery of what a crash left.

A frame is `length (4 bytes) ‖ sequence (8 bytes) ‖ crc32 (4 bytes) ‖ payload`. Frames of a log are numbered without a
gap. The checksum covers length, sequence and payload, and begins with the name of the disk: a write that landed in
another's place, on this disk or on another one, is no frame there, though every byte of it is right.

Which damage is which, only the *synced position* can tell: the number of the last frame that a finished sync covered.
It is kept apart from the log. What cannot be read above it was never acknowledged: a torn tail, which is cut. What
cannot be read at or below it had been acknowledged: the log is damaged and must not be trusted, because cutting there
would forget promises.

>>> log = frame(b"one", 1, "disk") + frame(b"two", 2, "disk")
>>> recover(log, "disk").payloads
[b'one', b'two']
>>> recover(log[:-1], "disk", synced=1).torn, recover(log[:-1], "disk", synced=2).damaged
(True, True)
>>> recover(frame(b"two", 2, "disk"), "disk").misplaced, recover(log, "another").payloads
(True, [])
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache

HEADER_BYTES = 16
RECORD_BYTES_MAX = 64 * 1024 * 1024  # a longer length is taken for damage, not believed

_PLACE = struct.Struct("<IQ")
_HEADER = struct.Struct("<IQI")


@dataclass(slots=True)
class Recovery:
    """What `recover` found: the payloads of the good prefix, and its length in bytes."""

    payloads: list[bytes]
    valid_bytes: int
    torn: bool  # bytes lie behind the good prefix: to be cut, unless the log is damaged
    damaged: bool  # a frame that had been synced is not among them
    misplaced: bool  # the first frame that is not is whole, and of another place in this log


def frame(payload: bytes, sequence: int = 1, disk: str = "") -> bytes:
    """One record, ready to append as number `sequence` of the log on that disk."""
    assert len(payload) <= RECORD_BYTES_MAX, "a record is bounded"
    assert sequence > 0, "frames count from 1"
    place, checksum = head(len(payload), sequence, disk)
    return place + zlib.crc32(payload, checksum).to_bytes(4, "little") + payload


def head(length: int, sequence: int, disk: str) -> tuple[bytes, int]:
    """What a frame begins with, and the checksum so far: the same for all frames of a length in one place."""
    place = _PLACE.pack(length, sequence)
    return place, zlib.crc32(place, _seed(disk))


def recover(data: bytes, disk: str = "", first: int = 1, synced: int = 0) -> Recovery:
    """Read back the frames from number `first` on, of which those up to `synced` must be there. Never raises, whatever
    the bytes are.
    """
    payloads: list[bytes] = []
    seed = _seed(disk)
    at, sequence = 0, first
    misplaced = False
    while (found := _frame_at(data, at, seed)) is not None:
        number, end = found
        if number != sequence:
            misplaced = True
            break
        payloads.append(data[at + HEADER_BYTES : end])
        at, sequence = end, sequence + 1
    return Recovery(payloads, at, torn=at < len(data), damaged=sequence <= synced, misplaced=misplaced)


@lru_cache(maxsize=256)  # a log has one disk, and every frame asks
def _seed(disk: str) -> int:
    return zlib.crc32(disk.encode())


def _frame_at(data: bytes, at: int, seed: int) -> tuple[int, int] | None:
    """The number of the frame that starts at `at`, and where it ends; None if there is no whole and correct one."""
    if at + HEADER_BYTES > len(data):
        return None
    length, sequence, checksum = _HEADER.unpack_from(data, at)
    end = at + HEADER_BYTES + length
    if length > RECORD_BYTES_MAX or end > len(data):
        return None
    payload = memoryview(data)[at + HEADER_BYTES : end]
    if zlib.crc32(payload, zlib.crc32(data[at : at + _PLACE.size], seed)) != checksum:
        return None
    return int(sequence), int(end)

"""The write-ahead log as bytes: framing with a checksum a record, and recovery of what a crash left.

A record is `length (4 bytes) ‖ crc32 of length and payload (4 bytes) ‖ payload`. Drivers append frames and sync;
after a crash `recover` tells which records survived. The last record may be torn: then the tail is cut. A bad record
with good ones behind it is no torn tail but damage, and the log must not be trusted: cutting there would forget what
was acknowledged.

>>> log = frame(b"one") + frame(b"two")
>>> recover(log).payloads
[b'one', b'two']
>>> recover(log[:-1]).torn, recover(log[:-1]).payloads
(True, [b'one'])
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

HEADER_BYTES = 8
RECORD_BYTES_MAX = 64 * 1024 * 1024  # a longer length is taken for damage, not believed

_LENGTH = struct.Struct("<I")
_HEADER = struct.Struct("<II")


@dataclass(slots=True)
class Recovery:
    """What `recover` found: the payloads of the good prefix, and its length in bytes."""

    payloads: list[bytes]
    valid_bytes: int
    torn: bool  # bytes behind the good prefix were cut: an append that never was synced
    damaged: bool  # a good record lies behind a bad one: something that had been synced is gone


def frame(payload: bytes) -> bytes:
    """One record, ready to append."""
    assert len(payload) <= RECORD_BYTES_MAX, "a record is bounded"
    length = _LENGTH.pack(len(payload))
    return length + _LENGTH.pack(zlib.crc32(payload, zlib.crc32(length))) + payload


def recover(data: bytes) -> Recovery:
    """Read a log back; never raises, whatever the bytes are."""
    payloads: list[bytes] = []
    at = 0
    while (end := _record_end(data, at)) is not None:
        payloads.append(data[at + HEADER_BYTES : end])
        at = end
    if at == len(data):
        return Recovery(payloads, at, torn=False, damaged=False)
    return Recovery(payloads, at, torn=True, damaged=_good_record_behind(data, at))


def _record_end(data: bytes, at: int) -> int | None:
    """Where the record that starts at `at` ends, or None if there is no whole and correct record."""
    if at + HEADER_BYTES > len(data):
        return None
    length, checksum = _HEADER.unpack_from(data, at)
    end = at + HEADER_BYTES + length
    if length > RECORD_BYTES_MAX or end > len(data):
        return None
    payload = memoryview(data)[at + HEADER_BYTES : end]
    if zlib.crc32(payload, zlib.crc32(data[at : at + 4])) != checksum:
        return None
    return int(end)


def _good_record_behind(data: bytes, at: int) -> bool:
    """Is there a whole record anywhere behind a bad one? A torn append can only be the last thing in a log.

    An all-zero header is a valid record of length zero by accident of arithmetic only if its checksum matches, so
    preallocated zeros do not count. Empty payloads are never written, hence never believed.
    """
    for start in range(at + 1, len(data) - HEADER_BYTES):
        if data[start + 3] == 0 and data[start : start + 4] != b"\0\0\0\0" and _record_end(data, start) is not None:
            return True
    return False

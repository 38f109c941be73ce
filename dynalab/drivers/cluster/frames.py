"""Frames on a TCP connection between two nodes: where a message ends, which version it has, whether it is intact.

A frame is `length (4 bytes) ‖ version (1 byte) ‖ crc32 of length, version and payload (4 bytes) ‖ payload`. TCP's own
checksum lets one broken segment in some billions pass, and a broken length would make everything behind it nonsense: so
the checksum covers the head, too. A reader that meets a bad frame gives the whole connection up: behind it nothing is
known to be a frame. Lost messages are what the protocols above expect; wrong ones are not.

>>> reader = FrameReader()
>>> wire = frame(b"one") + frame(b"two")
>>> reader.feed(wire[:15]), reader.feed(wire[15:])
([b'one'], [b'two'])
"""

from __future__ import annotations

import struct
import zlib

VERSION = 1
VERSIONS_READ = (1,)  # the version before would stand here as well, once there is one
HEAD_BYTES = 9
PAYLOAD_BYTES_MAX = 64 * 1024 * 1024  # a longer length is taken for damage, not believed

_HEAD = struct.Struct("<IBI")
_COVERED = struct.Struct("<IB")


class BadFrame(ValueError):
    """Bytes that are no frame of a version that is read here."""


def frame(payload: bytes) -> bytes:
    """One payload, ready to be written."""
    assert len(payload) <= PAYLOAD_BYTES_MAX, "a frame is bounded"
    covered = _COVERED.pack(len(payload), VERSION)
    return covered + zlib.crc32(payload, zlib.crc32(covered)).to_bytes(4, "little") + payload


class FrameReader:
    """Cuts payloads out of a stream, however the stream was cut."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def waiting_bytes(self) -> int:
        """Bytes of a frame that is not whole yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that are whole now; raises BadFrame, and must not be used again then."""
        buffer = self._buffer
        buffer += data
        payloads: list[bytes] = []
        at = 0
        while len(buffer) - at >= HEAD_BYTES:
            length, version, checksum = _HEAD.unpack_from(buffer, at)
            if version not in VERSIONS_READ:
                raise BadFrame(f"version {version}; this program reads {VERSIONS_READ}")
            if length > PAYLOAD_BYTES_MAX:
                raise BadFrame(f"a length of {length} bytes")
            end = at + HEAD_BYTES + length
            if len(buffer) < end:
                break
            payload = bytes(buffer[at + HEAD_BYTES : end])
            if zlib.crc32(payload, zlib.crc32(buffer[at : at + _COVERED.size])) != checksum:
                raise BadFrame("the checksum does not fit")
            payloads.append(payload)
            at = end
        del buffer[:at]
        return payloads

"""Frames: whole and intact, or the connection is given up."""

from __future__ import annotations

import itertools
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab.drivers.cluster.frames import HEAD_BYTES, PAYLOAD_BYTES_MAX, BadFrame, FrameReader, frame


@given(st.lists(st.binary(max_size=200), max_size=8), st.lists(st.integers(0, 400), max_size=12))
def test_payloads_come_out_whole_and_in_order_however_the_stream_is_cut(payloads: list[bytes], cuts: list[int]) -> None:
    wire = b"".join(frame(payload) for payload in payloads)
    places = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    reader = FrameReader()
    found = [one for start, end in itertools.pairwise(places) for one in reader.feed(wire[start:end])]
    assert found == payloads


@given(st.binary(min_size=1, max_size=60), st.data())
def test_a_flipped_bit_never_becomes_a_message(payload: bytes, data: st.DataObject) -> None:
    wire = bytearray(frame(payload))
    bit = data.draw(st.integers(0, 8 * len(wire) - 1))
    wire[bit // 8] ^= 1 << bit % 8
    reader = FrameReader()
    try:
        # A length that became larger waits for more: what follows must not be believed either.
        found = reader.feed(bytes(wire) + frame(b"behind" * 20))
    except BadFrame:
        return
    assert found == []


def test_another_version_is_refused_even_with_a_fitting_checksum() -> None:
    head = (3).to_bytes(4, "little") + bytes([2])
    with pytest.raises(BadFrame, match="version 2"):
        FrameReader().feed(head + zlib.crc32(b"abc", zlib.crc32(head)).to_bytes(4, "little") + b"abc")


def test_a_length_beyond_the_bound_is_refused_at_once() -> None:
    wire = bytearray(frame(b"x"))
    wire[:4] = (PAYLOAD_BYTES_MAX + 1).to_bytes(4, "little")
    with pytest.raises(BadFrame, match="a length of"):
        FrameReader().feed(bytes(wire[:HEAD_BYTES]))

"""The log's bytes: what a crash leaves is a prefix, and nothing else is ever believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab_impl.storage.wal import HEADER_BYTES, frame, recover

KEPT = [b"first", b"x", b"second record", bytes(range(256)), b"last"]
FRAMES = [frame(payload, 7 + at, "disk") for at, payload in enumerate(KEPT)]
LOG = b"".join(FRAMES)
ENDS = [sum(map(len, FRAMES[: at + 1])) for at in range(len(FRAMES))]


@pytest.mark.claim("torn-tail")
@pytest.mark.parametrize("cut", range(len(LOG) + 1))
def test_a_log_cut_at_any_byte_gives_back_whole_records_and_a_tail_is_cut_only_above_the_synced_position(
    cut: int,
) -> None:
    whole = sum(end <= cut for end in ENDS)
    for synced in range(6, 12):
        recovery = recover(LOG[:cut], "disk", 7, synced)
        assert recovery.payloads == KEPT[:whole]
        assert recovery.damaged == (whole < synced - 6)
        assert recovery.torn == (recovery.valid_bytes != cut)
    assert recover(LOG[: recovery.valid_bytes], "disk", 7).torn is False


@pytest.mark.claim("rot")
@pytest.mark.parametrize("at", range(len(LOG)))
def test_a_flipped_byte_never_yields_another_record_and_is_damage_wherever_it_had_been_synced(at: int) -> None:
    rotten = LOG[:at] + bytes([LOG[at] ^ 0x41]) + LOG[at + 1 :]
    hurt = sum(end <= at for end in ENDS)
    recovery = recover(rotten, "disk", 7, synced=11)
    assert recovery.payloads == KEPT[:hurt]
    assert recovery.damaged, "also in the very last record"
    assert not recover(rotten, "disk", 7, synced=6 + hurt).damaged, "what was never synced is a torn tail"


@pytest.mark.parametrize("place", range(len(KEPT)))
def test_a_frame_in_anothers_place_or_of_another_disk_is_none_though_every_byte_of_it_is_right(place: int) -> None:
    for other in range(len(KEPT)):
        if other != place:
            strayed = recover(b"".join([*FRAMES[:place], FRAMES[other], *FRAMES[place + 1 :]]), "disk", 7, synced=11)
            assert (strayed.payloads, strayed.damaged, strayed.misplaced) == (KEPT[:place], True, True)
    foreign = frame(KEPT[place], 7 + place, "another disk")
    strayed = recover(b"".join([*FRAMES[:place], foreign, *FRAMES[place + 1 :]]), "disk", 7, synced=11)
    assert (strayed.payloads, strayed.damaged, strayed.misplaced) == (KEPT[:place], True, False)


@given(st.binary(max_size=200))
def test_recovery_takes_any_bytes(data: bytes) -> None:
    recovery = recover(data)
    assert sum(len(p) + HEADER_BYTES for p in recovery.payloads) == recovery.valid_bytes <= len(data)


def test_preallocated_zeros_are_no_records() -> None:
    recovery = recover(frame(b"one") + bytes(64), synced=1)
    assert (recovery.payloads, recovery.torn, recovery.damaged) == ([b"one"], True, False)

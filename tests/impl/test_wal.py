"""The log's bytes: what a crash leaves is a prefix, and nothing else is ever believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab_impl.storage.wal import HEADER_BYTES, frame, recover

PAYLOADS = [b"first", b"", b"second record", bytes(range(256)), b"last"]
LOG = b"".join(frame(p) for p in PAYLOADS if p)
KEPT = [p for p in PAYLOADS if p]


@pytest.mark.claim("torn-tail")
@pytest.mark.parametrize("cut", range(len(LOG) + 1))
def test_a_log_cut_at_any_byte_gives_back_whole_records_only(cut: int) -> None:
    recovery = recover(LOG[:cut])
    assert recovery.payloads == KEPT[: len(recovery.payloads)]
    assert not recovery.damaged
    assert recovery.torn == (recovery.valid_bytes != cut)
    assert recover(LOG[: recovery.valid_bytes]).torn is False


@pytest.mark.claim("torn-tail")
@pytest.mark.parametrize("at", range(len(LOG)))
def test_a_flipped_byte_never_yields_another_record(at: int) -> None:
    rotten = LOG[:at] + bytes([LOG[at] ^ 0x41]) + LOG[at + 1 :]
    recovery = recover(rotten)
    assert recovery.payloads == KEPT[: len(recovery.payloads)]
    assert recovery.torn
    last_begins = len(LOG) - len(frame(KEPT[-1]))
    # Damage before the last record must not pass for a torn tail: cutting there would forget what was acknowledged.
    assert recovery.damaged == (at < last_begins)


@given(st.binary(max_size=200))
def test_recovery_takes_any_bytes(data: bytes) -> None:
    recovery = recover(data)
    assert sum(len(p) + HEADER_BYTES for p in recovery.payloads) == recovery.valid_bytes <= len(data)


def test_preallocated_zeros_are_no_records() -> None:
    recovery = recover(frame(b"one") + bytes(64))
    assert (recovery.payloads, recovery.torn, recovery.damaged) == ([b"one"], True, False)

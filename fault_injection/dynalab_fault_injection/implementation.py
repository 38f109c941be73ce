"""The implementation's own bytes, for disks and for messages that go through the codec."""

from __future__ import annotations

from dynalab_fault_injection.simulator import Format
from dynalab_impl.codec import decode, encode
from dynalab_impl.storage import wal


def implementation_format() -> Format:
    """Codec and log format of `dynalab_impl`."""
    return Format(encode, decode, wal.frame, wal.recover)

"""A node's disk: the bytes of its write-ahead log, and how they survive a power loss.

What was synced survives. Of what was written and not synced a random prefix survives, cut at any byte, so the last
record may be torn. A lost disk is an empty one. Records are framed by the implementation's own write-ahead log format
and come back through its own recovery, so that recovery is under test and not imitated.

Records are turned into bytes when the node dies, not when they are written: the bytes are the same (records are never
changed after they were appended; `eager` frames at once and a test holds the two against each other), and a node that
never dies never pays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from dynalab_fault_injection.simulator.randomness import below
from dynalab_impl.effects import Message, Record


class Recovered(Protocol):
    """What recovery of a log's bytes gives (`dynalab_impl.storage.wal.Recovery`)."""

    @property
    def payloads(self) -> Sequence[bytes]: ...
    @property
    def valid_bytes(self) -> int: ...
    @property
    def torn(self) -> bool: ...
    @property
    def damaged(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Format:
    """How messages and records become bytes: the implementation's codec and log format, or a toy's in tests."""

    encode: Callable[[Message | Record], bytes]
    decode: Callable[[bytes], Message | Record]
    frame: Callable[[bytes], bytes]
    recover: Callable[[bytes], Recovered]


@dataclass(frozen=True, slots=True)
class PowerLoss:
    """What a crash did to the unsynced suffix: how many bytes there were, and how many are left."""

    unsynced_bytes: int
    kept_bytes: int

    @property
    def lost(self) -> bool:
        return self.kept_bytes < self.unsynced_bytes


class Disk:
    """The log of one node. Positions count records from 1."""

    __slots__ = ("_bytes", "_eager", "_format", "_framed", "_records", "_synced", "torn_tails")

    def __init__(self, format: Format, *, eager: bool = False) -> None:
        self._format = format
        self._eager = eager
        self._bytes = bytearray()  # the frames of the first `_framed` records
        self._framed = 0
        self._records: list[Record] = []
        self._synced = 0  # position up to which a sync has finished
        self.torn_tails = 0

    @property
    def last_position(self) -> int:
        return len(self._records)

    @property
    def synced(self) -> int:
        return self._synced

    def append(self, record: Record) -> int:
        """Write a record; it survives a crash for certain once `sync` covered it."""
        self._records.append(record)
        if self._eager:
            self._frame_up_to(len(self._records))
        return len(self._records)

    def sync(self, position: int) -> None:
        """A sync that had been started at `position` is done."""
        assert self._synced <= position <= len(self._records)
        self._synced = position

    def crash(self, random: Random) -> PowerLoss:
        """Cut the power: the synced prefix stays, and of the rest as many bytes as the draw says."""
        self._frame_up_to(self._synced)
        # Frames beyond the synced position may exist already (eager), so the boundary is measured, not remembered.
        boundary = self._end_of(self._synced)
        self._frame_up_to(len(self._records))
        unsynced = len(self._bytes) - boundary
        kept = below(random, unsynced + 1)
        del self._bytes[boundary + kept :]
        self._records = []
        self._framed = 0
        return PowerLoss(unsynced, kept)

    def wipe(self) -> None:
        """Lose the disk: a new, empty one takes its place."""
        self._bytes = bytearray()
        self._framed = 0
        self._records = []
        self._synced = 0

    def open(self) -> list[Record]:
        """Recover the log after a crash: cut a torn tail, and give the records. They are on disk, so they count as
        synced.
        """
        recovered = self._format.recover(bytes(self._bytes))
        # Only the unsynced suffix was touched, so damage anywhere else is a fault of recovery itself.
        assert not recovered.damaged, "recovery reports damage, and the simulator did none"
        assert len(recovered.payloads) >= self._synced, "recovery lost a record that had been synced"
        if recovered.torn:
            self.torn_tails += 1
        del self._bytes[recovered.valid_bytes :]
        records: list[Record] = []
        for payload in recovered.payloads:
            record = self._format.decode(payload)
            assert isinstance(record, Record)
            records.append(record)
        self._records = list(records)
        self._framed = self._synced = len(records)
        return records

    def _frame_up_to(self, position: int) -> None:
        encode, frame = self._format.encode, self._format.frame
        for record in self._records[self._framed : position]:
            self._bytes += frame(encode(record))
        self._framed = max(self._framed, position)

    def _end_of(self, position: int) -> int:
        if position == self._framed:
            return len(self._bytes)
        beyond = self._records[position : self._framed]
        return len(self._bytes) - sum(len(self._format.frame(self._format.encode(record))) for record in beyond)

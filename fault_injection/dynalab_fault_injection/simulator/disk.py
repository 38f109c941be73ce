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
    """The log of one node. Positions count records from 1; a prefix may have been dropped (`truncate`)."""

    __slots__ = ("_data", "_dropped", "_eager", "_format", "_frames", "_records", "_synced", "torn_tails")

    def __init__(self, format: Format, *, eager: bool = False) -> None:
        self._format = format
        self._eager = eager
        self._data = b""  # what a crash left; only between `crash` and `open`
        self._dropped = 0  # records before this many positions are gone
        self._records: list[Record] = []
        self._frames: list[bytes] = []  # of the first so many records
        self._synced = 0  # position up to which a sync has finished
        self.torn_tails = 0

    @property
    def last_position(self) -> int:
        return self._dropped + len(self._records)

    @property
    def first_position(self) -> int:
        """The position of the oldest record that is left (one after the last, for an empty log)."""
        return self._dropped + 1

    @property
    def synced(self) -> int:
        return self._synced

    def append(self, record: Record) -> int:
        """Write a record; it survives a crash for certain once `sync` covered it."""
        self._records.append(record)
        if self._eager:
            self._frame_all()
        return self._dropped + len(self._records)

    def sync(self, position: int) -> None:
        """A sync that had been started at `position` is done."""
        assert self._synced <= position <= self.last_position
        self._synced = position

    def truncate(self, before: int, random: Random) -> int:
        """Drop as many of the records before a position as the draw says; gives how many. The node allows all of them.

        A driver truncates by whole segments, late or never, so a node has to live with any remainder. The two ends are
        drawn as often as everything between them: the log that begins exactly where the node said is the one with
        nothing to spare, and among hundreds of records an even draw would never leave it.
        """
        assert before - 1 <= self._synced, "a node asks to drop what is not on disk yet"
        allowed = before - 1 - self._dropped
        if allowed <= 0:
            return 0
        kind = random.getrandbits(2)
        count = (0, allowed)[kind] if kind < 2 else below(random, allowed + 1)
        del self._records[:count]
        del self._frames[:count]
        self._dropped += count
        return count

    def crash(self, random: Random) -> PowerLoss:
        """Cut the power: the synced prefix stays, and of the rest as many bytes as the draw says."""
        self._frame_all()
        synced = self._synced - self._dropped
        boundary = sum(map(len, self._frames[:synced]))
        data = b"".join(self._frames)
        unsynced = len(data) - boundary
        kept = below(random, unsynced + 1)
        self._data = data[: boundary + kept]
        self._records, self._frames = [], []
        return PowerLoss(unsynced, kept)

    def wipe(self) -> None:
        """Lose the disk of a machine that is down: a new, empty one takes its place."""
        self._data = b""
        self._records, self._frames = [], []
        self._synced = self._dropped = 0

    def open(self) -> list[Record]:
        """Recover the log after a crash: cut a torn tail, and give the records. They are on disk, so they count as
        synced; positions begin at 1 again.
        """
        recovered = self._format.recover(self._data)
        # Only the unsynced suffix was touched, so damage anywhere else is a fault of recovery itself.
        assert not recovered.damaged, "recovery reports damage, and the simulator did none"
        assert len(recovered.payloads) >= self._synced - self._dropped, "recovery lost a record that had been synced"
        if recovered.torn:
            self.torn_tails += 1
        records: list[Record] = []
        for payload in recovered.payloads:
            record = self._format.decode(payload)
            assert isinstance(record, Record)
            records.append(record)
        self._data = b""
        self._records = list(records)
        self._frames = [self._format.frame(payload) for payload in recovered.payloads]
        self._dropped = 0
        self._synced = len(records)
        return records

    def _frame_all(self) -> None:
        encode, frame = self._format.encode, self._format.frame
        self._frames += [frame(encode(record)) for record in self._records[len(self._frames) :]]

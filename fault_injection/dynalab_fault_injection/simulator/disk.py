"""A node's disk: the bytes of its write-ahead log, and how they survive a power loss, rot and writes gone astray.

What was synced survives. Of what was written and not synced a power loss leaves a prefix, cut at any byte, or any of
its sectors and not the others. The position of the last finished sync is kept apart from the log and is never wrong
(the files of the real drivers see to that). A lost disk is an empty one under another name. Records are framed by the
implementation's own write-ahead log format and come back through its own recovery, so that recovery is under test and
not imitated.

Records are turned into bytes when the node dies, not when they are written: the bytes are the same (records are never
changed after they were appended; `eager` frames at once and a test holds the two against each other), and a node that
never dies never pays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from random import Random
from typing import Protocol

from dynalab_fault_injection.simulator.randomness import below
from dynalab_impl.effects import Message, Record

SECTOR_BYTES = 512


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
    @property
    def misplaced(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Format:
    """How messages and records become bytes: the implementation's codec and log format, or a toy's in tests.

    `frame` takes a payload, its number in the log and the disk's name; `recover` the bytes, the disk's name, the
    number of the first frame and that of the last one that was synced.
    """

    encode: Callable[[Message | Record], bytes]
    decode: Callable[[bytes], Message | Record]
    frame: Callable[[bytes, int, str], bytes]
    recover: Callable[[bytes, str, int, int], Recovered]


@dataclass(frozen=True, slots=True)
class PowerLoss:
    """What a crash did to the unsynced suffix: how many bytes there were, and how many are left."""

    unsynced_bytes: int
    kept_bytes: int

    @property
    def lost(self) -> bool:
        return self.kept_bytes < self.unsynced_bytes


class DamagedDisk(Exception):
    """Something that had been synced cannot be read any more: the disk counts as lost."""


class Disk:
    """The log of one node. Positions count records from 1; a prefix may have been dropped (`truncate`).

    `name` is the machine's; the disk's own, which its checksums begin with, also counts the disks that were lost.
    """

    __slots__ = (
        "_data",
        "_dropped",
        "_eager",
        "_format",
        "_frames",
        "_generation",
        "_hurt",
        "_name",
        "_origin",
        "_records",
        "_starts",
        "_synced",
        "torn_tails",
    )

    def __init__(self, format: Format, name: str = "", *, eager: bool = False) -> None:
        self._format = format
        self._name = name
        self._eager = eager
        self._generation = 1
        self._origin = 0  # frames that lay before position 1: positions begin anew at each opening, numbers never
        self._data = b""  # what a crash left; only between `crash` and `open`
        self._starts: list[int] = []  # ... and where each frame of it that had been synced begins, and the last ends
        self._hurt = False  # ... and whether more was done to it than a power loss does
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

    def unsynced(self) -> list[Record]:
        """What was written and is not covered by a finished sync, in order."""
        return self._records[self._synced - self._dropped :]

    @property
    def identity(self) -> str:
        """What the checksums on this disk begin with."""
        return f"{self._name}#{self._generation}"

    def append(self, record: Record) -> int:
        """Write a record; it survives a crash for certain once `sync` covered it."""
        records = self._records
        records.append(record)
        if self._eager:
            self._frame_all()
        return self._dropped + len(records)

    def sync(self, position: int) -> None:
        """A sync that had been started at `position` is done."""
        assert self._synced <= position <= self._dropped + len(self._records)
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
        """Cut the power: the synced prefix stays, and of the rest as many bytes, or such sectors, as the draw says."""
        self._frame_all()
        synced = self._synced - self._dropped
        starts = list(accumulate(map(len, self._frames[:synced]), initial=0))
        boundary = starts[-1]
        data = b"".join(self._frames)
        unsynced = len(data) - boundary
        if unsynced and random.getrandbits(2) == 0:
            sectors = -(-len(data) // SECTOR_BYTES) - boundary // SECTOR_BYTES
            self._data = keep_sectors(data, boundary, random.getrandbits(sectors))
        else:
            self._data = data[: boundary + below(random, unsynced + 1)]
        self._starts = starts
        self._records, self._frames = [], []
        return PowerLoss(unsynced, len(self._data) - boundary)

    def rot(self, random: Random, newest: int = 0) -> bool:
        """Flip one bit of one record that had been synced (of so many of the newest, if that is named), while the
        machine is down; False if there is none.
        """
        records = len(self._starts) - 1
        if records < 1:
            return False
        number = records - 1 - below(random, min(records, newest or records))
        start, end = self._starts[number], self._starts[number + 1]
        at = start + below(random, end - start)
        self._data = self._data[:at] + bytes([self._data[at] ^ (1 << below(random, 8))]) + self._data[at + 1 :]
        self._hurt = True
        return True

    def misdirect(self, random: Random, foreign: bytes) -> bool:
        """Put the frame of another disk, or of another place on this one (`foreign` is empty), where one had been
        synced, while the machine is down; False if there are not enough.

        The worst of them is played: it fits exactly, and every byte of it is right.
        """
        count = len(self._starts) - 1
        if count < 2:
            return False
        place = below(random, count)
        if not foreign:
            other = (place + 1 + below(random, count - 1)) % count
            foreign = self._data[self._starts[other] : self._starts[other + 1]]
        self._data = self._data[: self._starts[place]] + foreign + self._data[self._starts[place + 1] :]
        self._starts = self._starts[: place + 1]  # behind it nothing lies where it did
        self._hurt = True
        return True

    def frame_at(self, random: Random) -> bytes:
        """A frame of a running machine's disk that had been synced, as it lies there; b"" if there is none."""
        synced = self._synced - self._dropped
        if synced <= 0:
            return b""
        at = below(random, synced)
        return self._frames[at] if at < len(self._frames) else self._framed(at)

    def wipe(self) -> None:
        """Lose the disk of a machine that is down: a new, empty one takes its place."""
        self._data, self._starts, self._hurt = b"", [], False
        self._records, self._frames = [], []
        self._synced = self._dropped = self._origin = 0
        self._generation += 1

    def open(self) -> list[Record]:
        """Recover the log after a crash: cut a torn tail, and give the records. They are on disk, so they count as
        synced; positions begin at 1 again. Raises DamagedDisk.
        """
        first = self._origin + self._dropped + 1
        synced = self._origin + self._synced
        recovered = self._format.recover(self._data, self.identity, first, synced)
        if recovered.damaged:
            # Only the unsynced suffix was touched unless a fault did more; else it is a fault of recovery itself.
            assert self._hurt, "recovery reports damage, and the simulator did none"
            raise DamagedDisk("misplaced" if recovered.misplaced else "unreadable")
        assert self._hurt or first + len(recovered.payloads) > synced, "recovery lost a record that had been synced"
        if recovered.torn:
            self.torn_tails += 1
        records: list[Record] = []
        for payload in recovered.payloads:
            record = self._format.decode(payload)
            assert isinstance(record, Record)
            records.append(record)
        # What nothing was done to lies there as it was framed.
        starts = [] if self._hurt else self._starts
        frames = [self._data[start:end] for start, end in pairwise(starts)]
        for at in range(len(frames), len(records)):
            frames.append(self._format.frame(recovered.payloads[at], first + at, self.identity))
        self._data, self._starts, self._hurt = b"", [], False
        self._records, self._frames = list(records), frames
        self._origin = first - 1
        self._dropped = 0
        self._synced = len(records)
        return records

    def _framed(self, at: int) -> bytes:
        payload = self._format.encode(self._records[at])
        return self._format.frame(payload, self._origin + self._dropped + at + 1, self.identity)

    def _frame_all(self) -> None:
        self._frames += [self._framed(at) for at in range(len(self._frames), len(self._records))]


def keep_sectors(data: bytes, boundary: int, kept: int) -> bytes:
    """What is left of `data` if of its sectors from that of byte `boundary` on only those reached the disk whose bit
    in `kept` is set. The bytes before the boundary were there already; what never came reads as zeros, or as the end.

    >>> data = b"a" * 500 + b"b" * 1000
    >>> left = keep_sectors(data, 500, 0b100)
    >>> left == b"a" * 500 + bytes(524) + b"b" * 476, keep_sectors(data, 500, 0) == data[:500]
    (True, True)
    """
    parts = [data[:boundary]]
    end = boundary
    at = boundary
    while at < len(data):
        upto = min(at // SECTOR_BYTES * SECTOR_BYTES + SECTOR_BYTES, len(data))
        here = kept & 1
        parts.append(data[at:upto] if here else bytes(upto - at))
        if here:
            end = upto
        kept >>= 1
        at = upto
    return b"".join(parts)[:end]

"""The entries of a group's log that a replica holds: contiguous, from the slot after `base` to the last.

What lies at and below `base` is in the applied state, and was let go once a snapshot of it was on disk. The length of
a log is its last slot, whatever was let go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from dynalab_impl.effects import Nanoseconds
from dynalab_impl.messages import NO_BALLOT, Ballot, Barrier, Entry, IndexWrite, Write
from dynalab_model.values import Item, item_size

SHARE_ENTRIES_MAX = 256  # entries in one record or message, at most
SHARE_BYTES = 1 << 20  # ... and about so many bytes: a share ends with the entry that reaches them
FEW_ENTRIES = 4  # so few are never weighed: each is an item and the one that it replaced, at most


def first_share(log: Log, slot: int) -> tuple[Entry, ...]:
    """The first share of what lies behind this slot."""
    entries = log.after(slot, SHARE_ENTRIES_MAX)
    return tuple(entries) if len(entries) <= FEW_ENTRIES else next(shares(entries))


def shares(entries: Sequence[Entry]) -> Iterator[tuple[Entry, ...]]:
    """The entries in shares of bounded size, each for one record or message: records have a largest size, and a log
    of large items would outgrow it.
    """
    at = 0
    while at < len(entries):
        end = min(at + SHARE_ENTRIES_MAX, len(entries))
        if end - at > FEW_ENTRIES:
            size_bytes = 0
            for position in range(at, end):
                size_bytes += _entry_bytes(entries[position])
                if size_bytes >= SHARE_BYTES:
                    end = position + 1
                    break
        yield tuple(entries[at:end])
        at = end


def _entry_bytes(entry: Entry) -> int:
    """About what an entry weighs: the item that it sets, and the one that its answer tells."""
    command = entry.command
    if type(command) is not Write and type(command) is not IndexWrite:
        return 0
    size_bytes = item_size(command.item) if command.item else 0
    told = command.body.get("Attributes") if type(command) is Write else None
    return size_bytes + (item_size(cast(Item, told)) if told else 0)


class Log:
    """Slots count from 1.

    >>> from dynalab_impl.messages import NO_REQUEST
    >>> log = Log()
    >>> log.append(Entry((1, "n"), 1, 5, NO_REQUEST, 0, Barrier((1, "n"))))
    >>> log.trim(1)
    >>> len(log), log.base, log.after(1)
    (1, 1, [])
    """

    __slots__ = ("_entries", "base", "base_ballot", "last")

    def __init__(self, base: int = 0) -> None:
        self.base = base
        self.last = base  # the length, which is asked for more often than anything else
        self.base_ballot: Ballot = NO_BALLOT  # of the entry that stood in slot `base`
        self._entries: list[Entry] = []

    def __len__(self) -> int:
        return self.last

    def entry(self, slot: int) -> Entry:
        """The entry in this slot, which must be held."""
        assert slot > self.base, "this slot was let go"
        return self._entries[slot - self.base - 1]

    def ballot_of(self, slot: int) -> Ballot:
        """The ballot of the entry in this slot: one that is held, or the last that was let go."""
        return self.base_ballot if slot == self.base else self.entry(slot).ballot

    def after(self, slot: int, most: int | None = None) -> list[Entry]:
        """Up to `most` entries behind this slot."""
        assert slot >= self.base, "these slots were let go"
        first = slot - self.base
        return self._entries[first:] if most is None else self._entries[first : first + most]

    def last_time_ns(self) -> Nanoseconds:
        """The log time of the last entry held; 0 if none is."""
        return self._entries[-1].time_ns if self._entries else 0

    def append(self, entry: Entry) -> None:
        assert entry.slot == self.last + 1
        self._entries.append(entry)
        self.last = entry.slot

    def store(self, first_slot: int, entries: Sequence[Entry]) -> None:
        """Put entries from `first_slot` on into their places; they replace what older ballots had put there."""
        assert entries[0].slot == first_slot
        if first_slot <= self.base:  # read back from before a snapshot
            entries = entries[self.base + 1 - first_slot :]
            first_slot = self.base + 1
        held = self._entries
        at = first_slot - self.base - 1
        assert at <= len(held), "a log has no holes"
        if at == len(held):
            held.extend(entries)
            self.last += len(entries)
            return
        held[at : at + len(entries)] = entries
        for entry in entries:
            # Behind a leader's barrier nothing older was chosen: a later election must not bring it back.
            command = entry.command
            if type(command) is Barrier:
                behind = entry.slot - self.base
                if len(held) > behind and held[behind].ballot < command.ballot:
                    del held[behind:]
        self.last = self.base + len(held)

    def cut(self, slot: int) -> None:
        """Forget what lies behind this slot."""
        assert slot >= self.base
        del self._entries[slot - self.base :]
        self.last = min(self.last, slot)

    def trim(self, slot: int, ballot: Ballot = NO_BALLOT) -> None:
        """Let go of everything up to this slot. Beyond the end it leaves an empty log that goes on behind the slot.

        `ballot` is that of the entry in this slot, if what is held there may be older.
        """
        if slot > self.base:
            self.base_ballot = max(ballot, self.entry(slot).ballot) if slot <= self.last else ballot
            del self._entries[: slot - self.base]
            self.base = slot
            self.last = max(self.last, slot)

"""The entries of a group's log that a replica holds: contiguous, from the slot after `base` to the last.

What lies at and below `base` is in the applied state, and was let go once a snapshot of it was on disk. The length of
a log is its last slot, whatever was let go.
"""

from __future__ import annotations

from collections.abc import Sequence

from dynalab_impl.effects import Nanoseconds
from dynalab_impl.messages import Barrier, Entry


class Log:
    """Slots count from 1.

    >>> from dynalab_impl.messages import NO_REQUEST
    >>> log = Log()
    >>> log.append(Entry((1, "n"), 1, 5, NO_REQUEST, 0, Barrier((1, "n"))))
    >>> log.trim(1)
    >>> len(log), log.base, log.after(1)
    (1, 1, [])
    """

    __slots__ = ("_entries", "base")

    def __init__(self, base: int = 0) -> None:
        self.base = base
        self._entries: list[Entry] = []

    def __len__(self) -> int:
        return self.base + len(self._entries)

    def entry(self, slot: int) -> Entry:
        """The entry in this slot, which must be held."""
        assert slot > self.base, "this slot was let go"
        return self._entries[slot - self.base - 1]

    def after(self, slot: int, most: int | None = None) -> list[Entry]:
        """Up to `most` entries behind this slot."""
        assert slot >= self.base, "these slots were let go"
        first = slot - self.base
        return self._entries[first:] if most is None else self._entries[first : first + most]

    def last_time_ns(self) -> Nanoseconds:
        """The log time of the last entry held; 0 if none is."""
        return self._entries[-1].time_ns if self._entries else 0

    def append(self, entry: Entry) -> None:
        assert entry.slot == len(self) + 1
        self._entries.append(entry)

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
            return
        held[at : at + len(entries)] = entries
        for entry in entries:
            # Behind a leader's barrier nothing older was chosen: a later election must not bring it back.
            command = entry.command
            if type(command) is Barrier:
                behind = entry.slot - self.base
                if len(held) > behind and held[behind].ballot < command.ballot:
                    del held[behind:]

    def cut(self, slot: int) -> None:
        """Forget what lies behind this slot."""
        assert slot >= self.base
        del self._entries[slot - self.base :]

    def trim(self, slot: int) -> None:
        """Let go of everything up to this slot. Beyond the end it leaves an empty log that goes on behind the slot."""
        if slot > self.base:
            del self._entries[: slot - self.base]
            self.base = slot

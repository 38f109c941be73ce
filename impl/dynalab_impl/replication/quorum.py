"""Quorums, the choice of entries in phase 1, and the arithmetic of the lease: the pure rules of a group, without any
state.

A quorum is a majority of the members that spans two zones. Any two quorums share a member, which is all that Paxos
asks for; the second zone is what makes an acknowledged write survive the loss of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dynalab_impl.messages import Ballot, Barrier, Entry, Member

ZONES_MIN = 2


def zones_needed(members: Sequence[Member]) -> int:
    """Two zones, or one for a group that lives in a single zone (tests, a laptop)."""
    return min(ZONES_MIN, len({(m.address.region, m.address.zone) for m in members}))


def quorum_value(values: Iterable[tuple[int, str]], members: int, zones: int) -> int | None:
    """The largest value that a quorum has reached; None if there is no quorum. `values` are (value, zone), one for
    each voter heard.

    Serves the commit index (value: last slot accepted) and the lease (value: sending time of the last renewal
    acknowledged).

    >>> quorum_value([(9, "z1"), (7, "z2"), (3, "z3")], members=3, zones=2)
    7
    >>> quorum_value([(9, "z1"), (8, "z1"), (3, "z3")], members=3, zones=2)
    3
    """
    seen: list[str] = []
    for count, (value, zone) in enumerate(sorted(values, reverse=True), start=1):
        if zone not in seen:
            seen.append(zone)
        if 2 * count > members and len(seen) >= zones:
            return value
    return None


def merge_accepted(logs: Sequence[Sequence[Entry]], barrier: Ballot) -> list[Entry]:
    """Phase 1: what a new leader must propose again, from what a quorum had accepted behind its commit index.

    `barrier` is the newest barrier within the commit index. For each slot the entry of the highest ballot: if any
    value was chosen there, it is this one. A Barrier of ballot b says that leader b took over with its log ending
    there, so an entry behind it in an older ballot was never chosen. It is left out: its request may have been
    retried since, and bringing it back would do it twice.
    """
    best: dict[int, Entry] = {}
    for log in logs:
        for entry in log:
            known = best.get(entry.slot)
            if known is None or entry.ballot > known.ballot:
                best[entry.slot] = entry
    merged: list[Entry] = []
    for slot in sorted(best):
        entry = best[slot]
        assert not merged or slot == merged[-1].slot + 1, "logs are contiguous"
        if entry.ballot < barrier:
            break
        if type(entry.command) is Barrier:
            barrier = max(barrier, entry.command.ballot)
        merged.append(entry)
    return merged

"""Staleness: how often, how long and how far reads lag behind what had been acknowledged; and whether within a bound.

Rules of this room:
1. It asks what DeBrie's read-your-writes experiment asks (consistency.md §9; S25, S92), of every eventual read and
   not only of a writer's own: was a write acknowledged before the read was invoked, and did the read show an older
   version?
2. A read counts as stale only if it certainly was, in every order of the writes that fits the history. A read that
   may have been fresh counts as fresh, so the share is a lower bound; with unique values, old values returned and no
   deletes it is exact.
3. `check_staleness` accuses a read only if it was beyond the bound in every order of the writes that fits: only
   versions that are certainly newer than what it showed, and were acknowledged before it was invoked, count.
4. Integers only, in buckets, so that the figures of many runs add up to the same sum in any order.
5. No figure of anybody else is repeated here: his were not obtainable.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dynalab_checkers.committed import show, strangers
from dynalab_checkers.history import History, Json, Operation, Scalar
from dynalab_checkers.key_order import FOREVER_NS, KeyOrder, deed
from dynalab_checkers.verdict import Verdict

CHECKER = "staleness"
# How many newer writes a sentence names.
TOLD_MAX = 3

# Lower edges of the buckets of time since the acknowledgement, in nanoseconds.
SINCE_ACK_NS: tuple[int, ...] = (
    0,
    *(step * scale for scale in (100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000) for step in (1, 2, 5)),
    10_000_000_000,
)
# Lags are kept to this many significant bits: a bucket is at most an eighth of its lower edge wide.
LAG_BITS = 4


@dataclass(slots=True)
class Staleness:
    """Counts over reads that followed an acknowledged write of their key.

    `lags_ns`: for stale reads, how long before the read was invoked the first newer version had been acknowledged,
    rounded down to a bucket. `versions`: by how many versions the read was behind the newest acknowledged one.
    `since_ack_ns`: for each bucket of time between the newest acknowledgement and the read, [reads, stale ones].
    `undecided` reads are in no other count (the writes contradict each other, or nobody wrote what was read), nor are
    `unmeasured` ones, which followed no acknowledged write.
    """

    reads: int = 0
    stale: int = 0
    undecided: int = 0
    unmeasured: int = 0
    lags_ns: dict[int, int] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)
    since_ack_ns: dict[int, list[int]] = field(default_factory=dict)

    @property
    def stale_ppm(self) -> int:
        """The share of stale reads in parts per million; 0 if there was no read."""
        return self.stale * 1_000_000 // self.reads if self.reads else 0

    def share_ppm(self, since_ack_ns: int) -> int | None:
        """The share of stale reads in one bucket, named by any time in it; None if it holds no read.

        >>> Staleness(reads=4, stale=1, since_ack_ns={0: [4, 1]}).share_ppm(50_000)
        250000
        """
        reads, stale = self.since_ack_ns.get(_since(since_ack_ns), (0, 0))
        return stale * 1_000_000 // reads if reads else None

    def lag_ns(self, per_mille: int) -> int | None:
        """The quantile of the lag of stale reads (500 is the median), as its bucket's lower edge; None without any.

        >>> Staleness(lags_ns={10: 98, 2_000: 2}).lag_ns(500), Staleness(lags_ns={10: 98, 2_000: 2}).lag_ns(990)
        (10, 2000)
        """
        return _quantile(self.lags_ns, per_mille)

    def versions_behind(self, per_mille: int) -> int | None:
        """The quantile of the number of versions that stale reads were behind; None without any."""
        return _quantile(self.versions, per_mille)

    def to_json(self) -> dict[str, Json]:
        """As JSON: counts, shares and quantiles. Buckets are lists of [lower edge, count…], in order.

        >>> Staleness.from_json(Staleness(reads=2, stale=1, lags_ns={5: 1}, versions={1: 1}).to_json()).lags_ns
        {5: 1}
        """
        return {
            "reads": self.reads,
            "stale": self.stale,
            "undecided": self.undecided,
            "unmeasured": self.unmeasured,
            "stale_ppm": self.stale_ppm,
            "lag_p50_ns": self.lag_ns(500),
            "lag_p99_ns": self.lag_ns(990),
            "lags_ns": [[edge, self.lags_ns[edge]] for edge in sorted(self.lags_ns)],
            "versions": [[edge, self.versions[edge]] for edge in sorted(self.versions)],
            "since_ack_ns": [[edge, *self.since_ack_ns[edge]] for edge in sorted(self.since_ack_ns)],
        }

    @classmethod
    def from_json(cls, source: Mapping[str, Json]) -> Staleness:
        """The counts back; shares and quantiles follow. ValueError if a field is missing or of another shape."""
        return cls(
            reads=_count(source, "reads"),
            stale=_count(source, "stale"),
            undecided=_count(source, "undecided"),
            unmeasured=_count(source, "unmeasured"),
            lags_ns={row[0]: row[1] for row in _table(source, "lags_ns", 2)},
            versions={row[0]: row[1] for row in _table(source, "versions", 2)},
            since_ack_ns={row[0]: row[1:] for row in _table(source, "since_ack_ns", 3)},
        )


def merge(parts: Iterable[Staleness]) -> Staleness:
    """The counts of many runs together.

    >>> merge([Staleness(reads=3, stale=1), Staleness(reads=1)]).stale_ppm
    250000
    """
    whole = Staleness()
    for part in parts:
        whole.reads += part.reads
        whole.stale += part.stale
        whole.undecided += part.undecided
        whole.unmeasured += part.unmeasured
        for edge, number in part.lags_ns.items():
            whole.lags_ns[edge] = whole.lags_ns.get(edge, 0) + number
        for edge, number in part.versions.items():
            whole.versions[edge] = whole.versions.get(edge, 0) + number
        for edge, (reads, stale) in part.since_ack_ns.items():
            counts = whole.since_ack_ns.setdefault(edge, [0, 0])
            counts[0] += reads
            counts[1] += stale
    return whole


def measure(
    history: History,
    *,
    flavours: Collection[str | None] = ("eventual",),
    initial: Mapping[str, Scalar] | None = None,
) -> Staleness:
    """Measure the reads of these flavours (None: those that do not say). O(n log n).

    >>> history = History.from_events([
    ...     {"index": 0, "time": 0, "process": 0, "type": "invoke", "f": "write", "key": "k", "value": 7},
    ...     {"index": 1, "time": 9, "process": 0, "type": "ok", "f": "write", "key": "k", "value": 7, "old": None},
    ...     {"index": 2, "time": 29, "process": 0, "type": "invoke", "f": "read", "key": "k"},
    ...     {"index": 3, "time": 39, "process": 0, "type": "ok", "f": "read", "key": "k", "value": None}])
    >>> found = measure(history, flavours=(None,))
    >>> found.reads, found.stale, found.lag_ns(500), found.versions
    (1, 1, 20, {1: 1})
    """
    result = Staleness()
    for key, operations in history.by_key().items():
        _measure_key(operations, flavours, (initial or {}).get(key), result)
    return result


def check_staleness(
    history: History,
    *,
    versions_max: int | None = None,
    lag_max_ns: int | None = None,
    flavours: Collection[str | None] = ("eventual",),
    initial: Mapping[str, Scalar] | None = None,
) -> Verdict:
    """Judge bounded staleness: no read is more than `versions_max` versions behind, and none shows a version for longer
    than `lag_max_ns` after a newer one was acknowledged. A bound of None is not judged. O(n log n · versions_max).

    With 0 versions every read sees all that had been acknowledged before it began: what strong reads promise. What is
    promised for other flavours is no bound at all (consistency.md §8): ask to see what a run has kept.

    >>> history = History([Operation(0, "write", "k", 0, 9, "ok", 1, old=None, call_index=0),
    ...                    Operation(0, "write", "k", 20, 29, "ok", 2, old=1, call_index=2),
    ...                    Operation(1, "read", "k", 50, 60, "ok", result=1, call_index=4)])
    >>> check_staleness(history, versions_max=1, lag_max_ns=21, flavours=(None,)).verdict
    'valid'
    >>> check_staleness(history, versions_max=0, flavours=(None,)).why
    'process 1 read 1 from k, more than 0 versions behind: the write of 2 had been acknowledged before it began'
    >>> check_staleness(history, lag_max_ns=20, flavours=(None,)).why
    'process 1 read 1 from k, although the write of 2 had been acknowledged 21 ns before it began: the bound is 20 ns'
    """
    assert versions_max is None or versions_max >= 0, "a bound is a count"
    assert lag_max_ns is None or lag_max_ns >= 0, "a bound is a time"
    unknown = strangers(history)
    if unknown is not None:
        return Verdict("unknown", CHECKER, unknown)
    doubt: Verdict | None = None
    judged = 0
    for key, operations in history.by_key().items():
        reads = [one for one in operations if one.f == "read" and one.outcome == "ok" and one.consistency in flavours]
        if not reads:
            continue
        order = KeyOrder(operations, initial=(initial or {}).get(key))
        if order.problem:
            doubt = doubt or Verdict("unknown", CHECKER, f"no version order of {key}: {order.problem}", key)
            continue
        judged += len(reads)
        ranks = _Ranks(operations, order)
        fault = None if lag_max_ns is None else _too_long(key, order, ranks, reads, lag_max_ns)
        if fault is None and versions_max is not None:
            fault = _too_far(key, order, ranks, reads, versions_max)
        if fault is not None:
            return fault
    return doubt or Verdict("valid", CHECKER, details={"reads": judged})


def _too_long(key: str, order: KeyOrder, ranks: _Ranks, reads: list[Operation], lag_max_ns: int) -> Verdict | None:
    """The first read that showed what a version acknowledged so long ago is certainly newer than."""
    for read in reads:
        newer = ranks.newest_by(read.call - lag_max_ns)
        if newer is not None and _all_older(order, read, [newer]):
            writer = order.versions[newer].writer
            assert writer is not None and writer.ret is not None, "acknowledged"
            why = (
                f"although the {deed(writer)} had been acknowledged {read.call - writer.ret} ns before it began: "
                f"the bound is {lag_max_ns} ns"
            )
            return _beyond(key, order, read, [newer], why, "lag_max_ns")
    return None


def _too_far(key: str, order: KeyOrder, ranks: _Ranks, reads: list[Operation], versions_max: int) -> Verdict | None:
    """The first read that showed what more versions, acknowledged before it began, are certainly newer than."""
    newest: list[tuple[int, int]] = []  # the versions_max + 1 newest ones of those acknowledged, by rank
    taken = 0
    for read in sorted(reads, key=lambda read: read.call):
        while taken < len(ranks.acks) and ranks.acks[taken][0] < read.call:
            version = ranks.acks[taken][1]
            insort(newest, (ranks.rank[version], version))
            del newest[: -versions_max - 1]
            taken += 1
        newer = [version for _, version in newest]
        if len(newer) > versions_max and _all_older(order, read, newer):
            told = [deed(writer) for version in newer if (writer := order.versions[version].writer) is not None]
            listed = f"the {told[0]}" if len(told) == 1 else f"the {', '.join(told[:-1])} and the {told[-1]}"
            if len(told) > TOLD_MAX:
                listed = f"{len(told)} newer ones"
            bound = f"{versions_max} version{'' if versions_max == 1 else 's'}"
            why = f"more than {bound} behind: {listed} had been acknowledged before it began"
            return _beyond(key, order, read, newer, why, "versions_max")
    return None


def _all_older(order: KeyOrder, read: Operation, newer: list[int]) -> bool:
    """Whether all that a read can have shown is certainly older than each of these versions."""
    shown = order.candidates(read.result, read, newer[0])
    return shown is not None and all(order.before(one, other) for one in shown for other in newer)


def _beyond(key: str, order: KeyOrder, read: Operation, newer: list[int], why: str, bound: str) -> Verdict:
    shown = order.candidates(read.result, read) or (order.newest_absence(read),)
    writers = [order.versions[version].writer for version in (shown[0], *newer[-TOLD_MAX:])]
    involved = {id(one): one for one in (*writers, read) if one is not None}
    return Verdict(
        "invalid",
        CHECKER,
        f"process {read.process} read {show(read.result)} from {key}, {why}",
        key,
        sorted(involved.values(), key=lambda operation: operation.call_index),
        [read],
        {"bound": bound},
    )


class _Ranks:
    """One key's versions in an order that fits the history, and what had been acknowledged when."""

    def __init__(self, operations: Sequence[Operation], order: KeyOrder) -> None:
        self.order = order
        self.rank = [0] * len(order.versions)
        acks: list[tuple[int, int]] = []
        place = -1
        for block in order.arrange(order.ties)[0]:
            for version in order.blocks[block].versions:
                writer = order.versions[version].writer
                # A delete of unknown outcome may never have happened: it makes nothing one version older.
                place += writer is None or writer.outcome == "ok" or order.versions[version].value is not None
                self.rank[version] = max(place, 0)
                if writer is not None and writer.outcome == "ok" and writer.ret is not None:
                    acks.append((writer.ret, version))
        # The first acknowledgement of anything newer, by rank.
        self.newer_since_ns = [FOREVER_NS] * (place + 3)
        for ret, version in acks:
            rank = self.rank[version]
            self.newer_since_ns[rank] = min(self.newer_since_ns[rank], ret)
        for rank in range(place, -1, -1):
            self.newer_since_ns[rank] = min(self.newer_since_ns[rank], self.newer_since_ns[rank + 1])
        acks.sort()
        self.acks = acks
        self.ack_times = [ret for ret, _ in acks]
        self.newest: list[int] = []  # after each of the acknowledgements: the newest version
        for _, version in acks:
            best = self.newest[-1] if self.newest else version
            self.newest.append(version if self.rank[version] >= self.rank[best] else best)

    def newest_by(self, time_ns: int) -> int | None:
        """The newest version that had been acknowledged before that time."""
        count = bisect_left(self.ack_times, time_ns)
        return self.newest[count - 1] if count else None

    def acknowledged(self, reader: Operation, own: int | None) -> int | None:
        """The newest version that was acknowledged when the read was invoked; `own` is the reader's own last one."""
        newest = self.newest_by(reader.call)
        if own is None or (newest is not None and self.rank[newest] >= self.rank[own]):
            return newest
        return own


def _measure_key(
    operations: Sequence[Operation], flavours: Collection[str | None], initial: Scalar, result: Staleness
) -> None:
    order = KeyOrder(operations, initial=initial)
    ranks = None if order.problem else _Ranks(operations, order)
    own: dict[int, int] = {}
    for position, operation in enumerate(operations):
        if operation.outcome != "ok":
            continue
        if operation.f != "read":
            if ranks is not None:
                own[operation.process] = order.of_write[position]
            continue
        if operation.consistency not in flavours:
            continue
        if ranks is None:
            result.undecided += 1
            continue
        # Within a process what returned at the instant of the call came before it, although others would call that
        # concurrent.
        newest = ranks.acknowledged(operation, own.get(operation.process))
        if newest is None:
            result.unmeasured += 1
            continue
        seen = order.candidates(operation.result, operation, newest)
        if seen is None:
            result.undecided += 1
            continue
        acknowledged_by = order.versions[newest].writer
        assert acknowledged_by is not None
        assert acknowledged_by.ret is not None, "an acknowledged write returned"
        counts = result.since_ack_ns.setdefault(_since(operation.call - acknowledged_by.ret), [0, 0])
        counts[0] += 1
        result.reads += 1
        if all(order.before(version, newest) for version in seen):
            shown = max(seen, key=lambda version: ranks.rank[version], default=order.newest_absence(operation))
            behind = ranks.rank[newest] - ranks.rank[shown]
            lag = _bucket(operation.call - ranks.newer_since_ns[ranks.rank[shown] + 1])
            counts[1] += 1
            result.stale += 1
            result.versions[behind] = result.versions.get(behind, 0) + 1
            result.lags_ns[lag] = result.lags_ns.get(lag, 0) + 1


def _since(time_ns: int) -> int:
    return SINCE_ACK_NS[bisect_right(SINCE_ACK_NS, max(0, time_ns)) - 1]


def _bucket(time_ns: int) -> int:
    """Rounded down to LAG_BITS significant bits.

    >>> _bucket(7), _bucket(1_000), _bucket(1_023)
    (7, 960, 960)
    """
    shift = max(0, time_ns.bit_length() - LAG_BITS)
    return time_ns >> shift << shift


def _quantile(counts: Mapping[int, int], per_mille: int) -> int | None:
    assert 0 <= per_mille <= 1_000, "a quantile in thousandths"
    wanted = -(-sum(counts.values()) * per_mille // 1_000)
    passed = 0
    for edge in sorted(counts):
        passed += counts[edge]
        if passed >= max(1, wanted):
            return edge
    return None


def _count(source: Mapping[str, Json], name: str) -> int:
    value = source.get(name)
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} must be a count, not {value!r}")
    return value


def _table(source: Mapping[str, Json], name: str, width: int) -> list[list[int]]:
    rows = source.get(name)
    if not isinstance(rows, list):
        raise ValueError(f"{name} must be a list of rows")
    table: list[list[int]] = []
    for row in rows:
        numbers = [number for number in row if type(number) is int and number >= 0] if isinstance(row, list) else []
        if not isinstance(row, list) or len(row) != width or len(numbers) != width:
            raise ValueError(f"a row of {name} must be {width} counts, not {row!r}")
        table.append(numbers)
    return table

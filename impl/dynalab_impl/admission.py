"""Admission control: which requests a storage node refuses so that others keep their latency (ATC'22 §5; S33,
S36–S38, S110).

Three kinds of buckets (`buckets`), all in this node's memory:

- *Partition.* Whatever the table may use, one partition serves 3,000 read or 1,000 write units a second, or a linear
  mix: reads/3000 + writes/1000 <= 1. One bucket holds both, in parts of the least common measure of their costs.
- *Allocated and burst.* A provisioned table's throughput is divided evenly over its partitions. What a partition does
  not use within a second spills into its burst bucket, up to 300 seconds of it. An on-demand table has neither, but
  where a ceiling was set for it (OnDemandThroughput): it is held to that like a provisioned one to what it bought.
- *Node.* All partitions of a node draw on one bucket. It is asked before a burst and for on-demand tables: capacity
  that somebody else paid for must not go into those.

A request is admitted if its partition's bucket is above zero and so is the allocated one; or else the burst bucket and
the node's and, for a write, the node buckets of the other members, as these last told (`Spare`, once a tick). It pays
when its cost is known: a bucket may go into debt. What is refused was not logged and not read.

Choices where nothing is published. The leader holds the buckets of writes and strong reads. An eventual read is
admitted where it is served: a follower has a third of the partition's read limits, so eventual reads spread over three
replicas get the whole, and a mix of both kinds at most two thirds more. Buckets begin full; a replica that takes over
keeps the tokens that it has. What the propagator writes into an index is admitted by the index's own buckets: one that
is over its limits takes no change, and the change is sent again later.

A refusal is final, and must stay so: a copy of the request that the network still has must not happen later. So a
node remembers the attempts that it turned away, and a router believes a refusal only if every other attempt of that
request was turned away, too.

Room is left for adaptive capacity, global admission control, doubling of on-demand peaks, and auto scaling: they change
rates and shares, or ask one more bucket.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import lcm

from dynalab_impl.buckets import SECOND_NS, Bucket, full_bucket, halved, pour, refill, resized, take, tokens
from dynalab_impl.effects import Address, Limits, Nanoseconds
from dynalab_impl.messages import GroupSpec, RequestId
from dynalab_impl.metadata import Allowance
from dynalab_model.errors import DynamoError, provisioned_throughput_exceeded, throttling, throttling_reason
from dynalab_model.tables import arn

READ, WRITE = "Read", "Write"
PARTITION, TABLE = "KeyRangeThroughputExceeded", "ProvisionedThroughputExceeded"
CEILING = "MaxOnDemandThroughputExceeded"
REPLICAS = 3  # of a partition: eventual reads are spread over them
SYSTEM = "#"  # begins the names of the service's own tables and of their groups: those are not throttled
TURNED_AWAY_MAX = 100_000  # attempts remembered; beyond it a node takes no writes until some of them expire


@dataclass(slots=True)
class Share:
    """A partition's part of what its table bought, or may use at most, of reads (in half units) or of writes."""

    allocated: Bucket
    burst: Bucket

    def advance(self, now_ns: Nanoseconds) -> None:
        """What was not used within a second spills into the burst bucket."""
        self.allocated, spilled = refill(self.allocated, now_ns)
        self.burst = pour(self.burst, spilled)

    def pay(self, cost: int) -> None:
        """The bucket that admitted the request pays: the burst bucket only if the allocated one is empty."""
        if self.allocated.level > 0:
            self.allocated = take(self.allocated, cost)
        else:
            self.burst = take(self.burst, cost)


def share(rate: int, per_ns: Nanoseconds, burst_s: int, now_ns: Nanoseconds) -> Share:
    """A full share of `rate` tokens every `per_ns`."""
    return Share(full_bucket(rate, per_ns, 1, now_ns), full_bucket(rate, per_ns, burst_s, now_ns))


def _halved_share(old: Share | None) -> Share | None:
    return None if old is None else Share(halved(old.allocated), halved(old.burst))


def resized_share(old: Share | None, rate: int, per_ns: Nanoseconds, burst_s: int, now_ns: Nanoseconds) -> Share:
    """The share after its rate changed: what was saved up stays."""
    if old is None:
        return share(rate, per_ns, burst_s, now_ns)
    old.advance(now_ns)
    return Share(resized(old.allocated, rate, per_ns, 1), resized(old.burst, rate, per_ns, burst_s))


@dataclass(slots=True)
class Meter:
    """The buckets of one replica. `basis` is what they were made for: they are made anew when it changes."""

    basis: tuple[Allowance | None, bool]
    whole: Bucket  # in parts
    reads: Share | None = None
    writes: Share | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """The common measure of reads and writes in a partition's bucket.

    >>> parts_of(Limits())
    Parts(rate=6000, half_read=1, write=6)
    """

    rate: int
    half_read: int
    write: int


def parts_of(limits: Limits) -> Parts:
    """So many parts a second, of which half a read unit and a write unit cost these."""
    rate = lcm(2 * limits.partition_read, limits.partition_write)
    return Parts(rate, rate // (2 * limits.partition_read), rate // limits.partition_write)


class Admission:
    """All buckets of one storage node."""

    __slots__ = (
        "allowances",
        "asked",
        "limits",
        "meters",
        "node",
        "open",
        "parts",
        "since_wall_ns",
        "spare",
        "spent",
        "turned_away",
    )

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.open = False  # everything is admitted
        self.parts = parts_of(limits)
        self.allowances: dict[tuple[str, str], Allowance] = {}  # by table and index, as the catalog told
        self.asked = 0  # how often for them: another catalog member each time
        self.meters: dict[str, Meter] = {}
        self.node = full_bucket(self.parts.rate * limits.node_partitions, SECOND_NS, 1, 0)
        self.spare: dict[Address, int] = {}  # what was left in the buckets of other nodes
        self.turned_away: dict[RequestId, Nanoseconds] = {}  # (router, number of the attempt) → when it expires
        self.since_wall_ns: Nanoseconds = 0
        self.spent: dict[str, int] = {}  # parts, by group, since the node's last report to the autoadmin

    def start(self, now_ns: Nanoseconds, wall_ns: Nanoseconds) -> None:
        """The node's process begins: what was turned away before is not known any more."""
        self.node = full_bucket(self.node.rate, SECOND_NS, 1, now_ns)
        self.since_wall_ns = wall_ns

    def change(self, limits: Limits | None) -> None:
        """Other limits from now on, with full buckets. None: admit everything, and go on to turn away what was."""
        self.open = limits is None
        self.limits = limits or self.limits
        self.parts = parts_of(self.limits)
        self.meters.clear()
        self.node = full_bucket(self.parts.rate * self.limits.node_partitions, SECOND_NS, 1, 0)

    # --- admitting and paying ---------------------------------------------------------------------------------------

    def refusal(
        self, spec: GroupSpec, access: str, leads: bool, others: list[Address], now_ns: Nanoseconds
    ) -> DynamoError | None:
        """Why a read or write of this partition is refused now, or None. `others` are the members whose nodes a
        write would burden as well.
        """
        limit = self.limit(spec, access, leads, others, now_ns)
        return (
            throttled(spec.table, spec.index, access, limit, self.is_provisioned(spec.table, spec.index))
            if limit
            else None
        )

    def is_provisioned(self, table: str, index: str) -> bool:
        """Whether throughput was bought for this table or index."""
        allowance = self.allowances.get((table, index))
        return allowance is not None and allowance.write > 0

    def limit(self, spec: GroupSpec, access: str, leads: bool, others: list[Address], now_ns: Nanoseconds) -> str:
        """The limit that a read or write of this partition would go over now; "" for none."""
        if self.open or spec.group.startswith(SYSTEM):
            return ""
        meter = self._meter(spec, leads, now_ns)
        share = meter.reads if access == READ else meter.writes
        bought = self.is_provisioned(spec.table, spec.index)
        # Where nothing was paid for beforehand, the node's bucket is the second limit (S38).
        if meter.whole.level <= 0 or (not bought and self.node.level <= 0):
            return PARTITION
        if share is None or share.allocated.level > 0:
            return ""
        if share.burst.level > 0 and self.node.level > 0 and all(self.spare.get(other, 1) > 0 for other in others):
            return ""
        return TABLE if bought else CEILING

    def know(self, spec: GroupSpec, now_ns: Nanoseconds) -> None:
        """Have buckets for a partition that is to pay though nobody asks: what a transaction has decided happens,
        whatever the limits are by then.
        """
        if not self.open and not spec.group.startswith(SYSTEM):
            self._meter(spec, True, now_ns)

    def pay_read(self, group: str, half_units: int) -> None:
        """A read that was admitted cost so many halves of a read unit."""
        meter = self.meters.get(group)
        self._pay(group, meter, None if meter is None else meter.reads, half_units, half_units * self.parts.half_read)

    def pay_write(self, group: str, units: int) -> None:
        """A write that was admitted cost so many write units, also if its condition was false."""
        meter = self.meters.get(group)
        self._pay(group, meter, None if meter is None else meter.writes, units, units * self.parts.write)

    def _pay(self, group: str, meter: Meter | None, share: Share | None, cost: int, parts: int) -> None:
        self.spent[group] = self.spent.get(group, 0) + parts
        if meter is None:
            assert self.open or group.startswith(SYSTEM), "whoever pays was admitted"
            return
        meter.whole = take(meter.whole, parts)
        self.node = take(self.node, parts)
        if share is not None:
            share.pay(cost)

    # --- buckets ----------------------------------------------------------------------------------------------------

    def _meter(self, spec: GroupSpec, leads: bool, now_ns: Nanoseconds) -> Meter:
        """The partition's buckets as they are now."""
        basis = (self.allowances.get((spec.table, spec.index)), leads)
        meter = self.meters.get(spec.group)
        if meter is None or meter.basis != basis:
            meter = self.meters[spec.group] = self._made(meter, basis, now_ns)
        meter.whole = refill(meter.whole, now_ns)[0]
        self.node = refill(self.node, now_ns)[0]
        for share in (meter.reads, meter.writes):
            if share is not None:
                share.advance(now_ns)
        return meter

    def _made(self, old: Meter | None, basis: tuple[Allowance | None, bool], now_ns: Nanoseconds) -> Meter:
        allowance, leads = basis
        members = 1 if leads else REPLICAS
        if old is None:
            meter = Meter(basis, full_bucket(self.parts.rate, members * SECOND_NS, 1, now_ns))
        else:
            meter = Meter(basis, resized(refill(old.whole, now_ns)[0], self.parts.rate, members * SECOND_NS, 1))
        if allowance is not None:
            read, write = allowance.read or allowance.read_max, allowance.write or allowance.write_max
            per_ns, burst_s = allowance.partitions * members * SECOND_NS, self.limits.burst_s
            if read:
                meter.reads = resized_share(None if old is None else old.reads, 2 * read, per_ns, burst_s, now_ns)
            if write:
                meter.writes = resized_share(None if old is None else old.writes, write, per_ns, burst_s, now_ns)
        return meter

    def learn(self, known: Iterable[Allowance], now_ns: Nanoseconds) -> None:
        """What tables and indexes may use from now on: what flowed in until now did so at the old rate."""
        self.allowances = {(one.table, one.index): one for one in known}
        for group, meter in self.meters.items():
            allowance, leads = meter.basis
            if allowance is not None and allowance != self.allowances.get((allowance.table, allowance.index)):
                basis = (self.allowances.get((allowance.table, allowance.index)), leads)
                self.meters[group] = self._made(meter, basis, now_ns)

    def divide(self, parent: str, children: list[str]) -> None:
        """The partition was split: each child inherits half of what every bucket holds, or owes (S136). Its rates
        follow with the table's number of partitions.
        """
        meter = self.meters.pop(parent, None)
        if meter is not None:
            for child in children:
                reads, writes = _halved_share(meter.reads), _halved_share(meter.writes)
                self.meters[child] = Meter(meter.basis, halved(meter.whole), reads, writes)

    def forget(self, group: str) -> None:
        """The replica is gone."""
        self.meters.pop(group, None)

    def left(self, now_ns: Nanoseconds) -> int:
        """What is left in the node's bucket, in parts: what other leaders are told."""
        self.node = refill(self.node, now_ns)[0]
        return tokens(self.node)

    # --- refusals are final -----------------------------------------------------------------------------------------

    def can_remember(self, wall_ns: Nanoseconds) -> bool:
        """Whether there is room to remember one more attempt that is turned away."""
        remembered = self.turned_away
        while remembered:
            first = next(iter(remembered))
            if remembered[first] >= wall_ns:
                break
            del remembered[first]
        return len(remembered) < TURNED_AWAY_MAX

    def was_turned_away(self, attempt: RequestId, issued_wall_ns: Nanoseconds) -> bool:
        """Whether this attempt was, or may have been before the node was started."""
        return attempt in self.turned_away or issued_wall_ns < self.since_wall_ns


def throttled(table: str, index: str, access: str, limit: str, provisioned: bool) -> DynamoError:
    """The table's mode decides the error (operations.md §1), the bucket the reason (api.md §7)."""
    of_index = bool(index)
    resource = arn(table) + (f"/index/{index}" if of_index else "")
    reasons = [throttling_reason(access, limit, resource, index=of_index)]
    make = provisioned_throughput_exceeded if provisioned else throttling
    return make(index=of_index, reasons=reasons)

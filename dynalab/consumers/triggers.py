"""Triggers: plain functions that are called with batches of a stream's records (S74, S77, S78, S171, S184).

Rules, as the service's own poller keeps them:
- A batch has records of one shard, in order, at most `batch_size`; it is called when it is full, when its first record
  has waited for `window_s`, or when the shard has ended. Records that no filter lets through are left out.
- A function that raises has failed the whole batch, whatever it did before: the batch comes again, and what stands
  behind it waits. With `bisect` the batch is halved instead, until the record that cannot be processed stands alone.
- After `retries_max` retries, or when its records are older than `age_max_s`, a batch goes to `dead_letter` and is
  passed over. What is sent there names the records and does not hold them: they are read from the stream while it
  keeps them.
- With `parallel` above one the records of a shard go through that many lanes by their key: an item's records stay in
  order, and a lane that is stuck stops no other.
- A function may answer `{"batchItemFailures": [{"itemIdentifier": NUMBER}]}`: all before the first of these is done.

One call of `poll` reads each shard once and calls each lane at most once, so whoever polls sets the pace.
"""

from __future__ import annotations

import json
import time
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from dynalab.consumers.filters import matches
from dynalab.consumers.reading import Record, StreamReader, change_of, made_at, number_of

Function: TypeAlias = "Callable[[Mapping[str, object]], object]"
DeadLetters: TypeAlias = "Callable[[Mapping[str, object]], object]"

PARALLEL_MAX = 10
WAITING_MAX = 10_000  # records of a shard that were read and wait for their lane: no more are read


@dataclass(frozen=True, slots=True)
class Trigger:
    """A function and how it is called. Times are in seconds; `retries_max` None: as long as the records are kept."""

    function: Function
    batch_size: int = 100
    window_s: float = 0.0
    filters: Sequence[Mapping[str, object]] = ()
    retries_max: int | None = None
    age_max_s: float | None = None
    bisect: bool = False
    dead_letter: DeadLetters | None = None
    parallel: int = 1

    def __post_init__(self) -> None:
        assert self.batch_size > 0 and 1 <= self.parallel <= PARALLEL_MAX

    def wants(self, record: Record) -> bool:
        """Whether any filter lets the record through; without filters all go through."""
        return not self.filters or any(matches(pattern, record) for pattern in self.filters)


@dataclass(slots=True)
class Batch:
    """Records that are called together, and how often that was tried."""

    records: list[Record]
    tries: int = 0


@dataclass(slots=True)
class Lane:
    """What waits in one lane of a shard: batches that failed, or were halved, before single records."""

    batches: deque[Batch] = field(default_factory=deque)
    records: deque[tuple[Record, float]] = field(default_factory=deque)  # with the time when each was read


@dataclass(slots=True)
class ShardWork:
    """A shard's lanes, and which of its records are not done yet: numbers in order, those that are done marked."""

    lanes: list[Lane]
    open: dict[str, bool] = field(default_factory=dict)


@dataclass(slots=True)
class Counts:
    """What has become of records so far."""

    read: int = 0
    filtered: int = 0
    called: int = 0  # calls of the function
    failed: int = 0  # of these
    dead: int = 0  # records that were given up


class TriggerRunner:
    """Calls a trigger for the records of a stream. `clock` gives seconds of Unix time."""

    def __init__(self, reader: StreamReader, trigger: Trigger, clock: Callable[[], float] = time.time) -> None:
        self.reader = reader
        self.trigger = trigger
        self.counts = Counts()
        self._clock = clock
        self._work: dict[str, ShardWork] = {}

    def poll(self) -> int:
        """Look for shards, read what is new, call what is due. How many records were done."""
        self.reader.discover()
        done = 0
        for shard in self.reader.ready():
            work = self._work.get(shard)
            if work is None:
                work = self._work[shard] = ShardWork([Lane() for _ in range(self.trigger.parallel)])
            if len(work.open) < WAITING_MAX:
                for record in self.reader.read(shard):
                    self._take(work, record)
            for lane in work.lanes:
                done += self._call_lane(shard, work, lane)
            self._advance(shard, work)
        return done

    def run_until_idle(self, polls_max: int = 1_000) -> int:
        """Poll until a poll does nothing and nothing waits; how many records were done."""
        done = 0
        for _ in range(polls_max):
            before = (self.counts.read, self.counts.called, len(self.reader.parents), len(self._work))
            done += self.poll()
            after = (self.counts.read, self.counts.called, len(self.reader.parents), len(self._work))
            if before == after and not any(work.open for work in self._work.values()):
                break
        return done

    @property
    def iterator_age_s(self) -> float:
        """How old the oldest record is that was read and is not done: what to watch (S184). 0 when nothing waits."""
        now = self._clock()
        waiting = [
            made_at(record)
            for work in self._work.values()
            for lane in work.lanes
            for record in [*(r for batch in lane.batches for r in batch.records), *(r for r, _ in lane.records)]
        ]
        return max(0.0, now - min(waiting)) if waiting else 0.0

    # --- one lane -----------------------------------------------------------------------------------------------------

    def _take(self, work: ShardWork, record: Record) -> None:
        self.counts.read += 1
        if not self.trigger.wants(record):
            self.counts.filtered += 1
            work.open[number_of(record)] = True
            return
        work.open[number_of(record)] = False
        keys = json.dumps(change_of(record)["Keys"], sort_keys=True, default=repr)
        work.lanes[zlib.crc32(keys.encode()) % len(work.lanes)].records.append((record, self._clock()))

    def _call_lane(self, shard: str, work: ShardWork, lane: Lane) -> int:
        batch = self._next_batch(shard, lane)
        if batch is None:
            return 0
        self.counts.called += 1
        batch.tries += 1
        try:
            answer = self.trigger.function({"Records": [_event(record, self.reader) for record in batch.records]})
            good = _good_ones(answer, batch.records)
        except Exception:
            good = 0
        if good < len(batch.records):
            self.counts.failed += 1
            rest = batch.records[good:]
            lane.batches.extendleft(reversed(self._again(shard, work, Batch(rest, batch.tries if not good else 0))))
        for record in batch.records[:good]:
            work.open[number_of(record)] = True
        return good

    def _next_batch(self, shard: str, lane: Lane) -> Batch | None:
        if lane.batches:
            return lane.batches.popleft()
        if not lane.records:
            return None
        trigger = self.trigger
        due = (
            len(lane.records) >= trigger.batch_size
            or self._clock() - lane.records[0][1] >= trigger.window_s
            or self.reader.is_read(shard)
        )
        if not due:
            return None
        return Batch([lane.records.popleft()[0] for _ in range(min(trigger.batch_size, len(lane.records)))])

    def _again(self, shard: str, work: ShardWork, batch: Batch) -> list[Batch]:
        """What becomes of a batch that has failed."""
        trigger, records = self.trigger, batch.records
        too_old = trigger.age_max_s is not None and self._clock() - made_at(records[0]) > trigger.age_max_s
        if trigger.bisect and len(records) > 1 and not too_old:
            half = (len(records) + 1) // 2
            return [Batch(records[:half]), Batch(records[half:])]
        if not too_old and (trigger.retries_max is None or batch.tries <= trigger.retries_max):
            return [batch]
        self.counts.dead += len(records)
        for record in records:
            work.open[number_of(record)] = True
        if trigger.dead_letter is not None:
            condition = "RecordAgeExceeded" if too_old else "RetryAttemptsExhausted"
            trigger.dead_letter(_letter(condition, shard, self.reader.stream_arn, batch, self._clock()))
        return []

    def _advance(self, shard: str, work: ShardWork) -> None:
        """The checkpoint stands before the first record that is not done."""
        for number in list(work.open):
            if not work.open[number]:
                return
            del work.open[number]
            self.reader.processed(shard, number)
        if self.reader.is_read(shard):
            self.reader.finished(shard)
            del self._work[shard]


def _event(record: Record, reader: StreamReader) -> dict[str, object]:
    """A record as functions get it: with the stream's name, and the identity written as events write it."""
    event = {**record, "eventSourceARN": reader.stream_arn}
    identity = cast("Mapping[str, str] | None", record.get("userIdentity"))
    if identity is not None:
        event["userIdentity"] = {"type": identity["Type"], "principalId": identity["PrincipalId"]}
    return event


def _good_ones(answer: object, records: Sequence[Record]) -> int:
    """How many of the records, from the first on, are done."""
    failures = answer.get("batchItemFailures") if isinstance(answer, Mapping) else None
    if not failures:
        return len(records)
    failed = {str(one["itemIdentifier"]) for one in cast("Sequence[Mapping[str, object]]", failures)}
    places = [place for place, record in enumerate(records) if number_of(record) in failed]
    return places[0] if places else 0  # a number that is none of theirs fails all


def _letter(condition: str, shard: str, stream_arn: str, batch: Batch, now: float) -> dict[str, object]:
    """What is told of records that were given up: where they are, not what they hold."""
    first, last = batch.records[0], batch.records[-1]
    return {
        "requestContext": {"condition": condition, "approximateInvokeCount": batch.tries},
        "version": "1.0",
        "timestamp": now,
        "DDBStreamBatchInfo": {
            "shardId": shard,
            "startSequenceNumber": number_of(first),
            "endSequenceNumber": number_of(last),
            "approximateArrivalOfFirstRecord": made_at(first),
            "approximateArrivalOfLastRecord": made_at(last),
            "batchSize": len(batch.records),
            "streamArn": stream_arn,
        },
    }

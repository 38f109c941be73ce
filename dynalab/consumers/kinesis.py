"""A Kinesis-like data stream: each change comes at least once, in no order that can be relied on (operations.md §5;
S149).

A record of it has no sequence number of the table's, only the time of its change, in milliseconds or microseconds, and
the id of its event: the one is what a consumer sorts by, the other what it recognises doubles with. `in_order` does
both. Two changes of one item at the same time by that precision cannot be put in order: a reason to ask for
microseconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from random import Random
from typing import cast

from dynalab.consumers.reading import Record, change_of, made_at

UNITS = {"MILLISECOND": 1_000, "MICROSECOND": 1_000_000}  # in a second
CARRIED = ("Keys", "NewImage", "OldImage", "SizeBytes")
KEPT_MAX = 10_000  # records of a data stream; older ones go


@dataclass(slots=True)
class Disorder:
    """Doubles records and lets them overtake each other, as the seed says.

    `duplicates_percent` of them come twice, and each may be overtaken by as many as `spread` others.
    """

    seed: int = 0
    duplicates_percent: int = 10
    spread: int = 8
    waiting: list[tuple[int, int, Record]] = field(default_factory=list)
    taken: int = 0
    serial: int = 0
    random: Random | None = None

    def put(self, record: Record) -> None:
        """Take a record: the next one, in the order of their changes."""
        random = self.random = self.random or Random(self.seed)
        for _ in range(2 if random.randrange(100) < self.duplicates_percent else 1):
            self.waiting.append((self.taken + random.randrange(self.spread + 1), self.serial, record))
            self.serial += 1
        self.taken += 1

    def take(self, *, all_of_them: bool = True) -> list[Record]:
        """What comes out now: everything, or only what later ones cannot overtake any more."""
        self.waiting.sort(key=lambda one: one[:2])
        ready = [one for one in self.waiting if all_of_them or one[0] < self.taken]
        del self.waiting[: len(ready)]
        return [record for _, _, record in ready]


@dataclass(slots=True)
class KinesisDestination:
    """Takes the records of a DynamoDB stream and gives them back as Kinesis would: doubled and out of order.

    A stream tells whole seconds; the destination stands where the exact time is known, so it counts on within a second.
    """

    table: str
    seed: int = 0
    duplicates_percent: int = 10
    spread: int = 8
    precision: str = "MILLISECOND"
    _disorder: Disorder | None = None
    _second: int = -1
    _within: int = 0

    def put(self, records: Iterable[Record]) -> None:
        """Take records, in their order."""
        disorder = self._disorder = self._disorder or Disorder(self.seed, self.duplicates_percent, self.spread)
        for record in records:
            disorder.put(self._carried(record))

    def read(self) -> list[Record]:
        """All that has been taken and not read yet."""
        return [] if self._disorder is None else self._disorder.take()

    def _carried(self, record: Record) -> dict[str, object]:
        second = int(made_at(record))
        self._within = self._within + 1 if second == self._second else 0
        self._second = second
        change = change_of(record)
        told: dict[str, object] = {name: change[name] for name in CARRIED if name in change}
        told["ApproximateCreationDateTime"] = second * UNITS[self.precision] + self._within
        told["ApproximateCreationDateTimePrecision"] = self.precision
        carried: dict[str, object] = {
            "awsRegion": record["awsRegion"],
            "eventID": record["eventID"],
            "eventName": record["eventName"],
            "userIdentity": record.get("userIdentity"),
            "recordFormat": "application/json",
            "tableName": self.table,
            "dynamodb": told,
            "eventSource": "aws:dynamodb",
        }
        return carried


@dataclass(slots=True)
class DataStream:
    """What a Kinesis data stream is to those who read it: records under numbers that grow, the last `KEPT_MAX` of them.
    What is put goes through a `Disorder`.

    >>> stream = DataStream("arn:aws:kinesis:us-east-1:000000000000:stream/s", Disorder(duplicates_percent=0, spread=0))
    >>> stream.put([{"dynamodb": {"Keys": {"id": {"S": "a"}}}}], now_s=5.0)
    >>> [record["Data"]["dynamodb"]["Keys"] for record in stream.read()]
    [{'id': {'S': 'a'}}]
    >>> stream.read(after=int(stream.read()[-1]["SequenceNumber"]))
    []
    """

    arn: str
    disorder: Disorder = field(default_factory=Disorder)
    records: list[dict[str, object]] = field(default_factory=list)
    number: int = 0

    def put(self, bodies: Iterable[Record], now_s: float, *, idle: bool = True) -> None:
        """Take records in their order; `idle`: no more are coming for now, so none waits to be overtaken."""
        for body in bodies:
            self.disorder.put(body)
        for body in self.disorder.take(all_of_them=idle):
            self.number += 1
            keys = json.dumps(change_of(body)["Keys"], sort_keys=True)
            record: dict[str, object] = {
                "SequenceNumber": f"{self.number:056d}",
                "ApproximateArrivalTimestamp": now_s,
                "PartitionKey": blake2b(keys.encode(), digest_size=16).hexdigest().upper(),
                "Data": body,
            }
            self.records.append(record)
        del self.records[:-KEPT_MAX]

    def read(self, after: int = 0, limit: int = 1_000) -> list[dict[str, object]]:
        """The records behind this number, as GetRecords of Kinesis has them, but for `Data`: JSON, not its base64."""
        first = self.number - len(self.records) + 1
        place = max(0, after + 1 - first)
        return self.records[place : place + limit]


def in_order(records: Sequence[Record]) -> list[Record]:
    """The records once each, an item's in the order of their times: what a consumer of such a stream must do.

    >>> def record(name, time, precision):
    ...     told = {"ApproximateCreationDateTime": time, "ApproximateCreationDateTimePrecision": precision}
    ...     return {"eventID": name, "dynamodb": told}
    >>> early, late = record("a", 1, "MILLISECOND"), record("b", 1001, "MICROSECOND")
    >>> in_order([late, early, late]) == [early, late]
    True
    """
    once: dict[str, Record] = {}
    for record in records:
        once.setdefault(str(record["eventID"]), record)
    return sorted(once.values(), key=_microseconds)


def _microseconds(record: Record) -> int:
    change = change_of(record)
    unit = UNITS["MICROSECOND"] // UNITS[str(change["ApproximateCreationDateTimePrecision"])]
    return cast(int, change["ApproximateCreationDateTime"]) * unit

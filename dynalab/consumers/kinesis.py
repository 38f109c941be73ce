"""A Kinesis-like destination: each change comes at least once, in no order that can be relied on (operations.md §5;
S149).

A record of it has no sequence number of the table's stream, only the time of its change, in milliseconds or
microseconds: that is what a consumer sorts by and recognises doubles with. `in_order` does both, and says how: it needs
a time for each change of an item that no other change of the item has.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import cast

from dynalab.consumers.reading import Record, change_of, made_at

UNITS = {"MILLISECOND": 1_000, "MICROSECOND": 1_000_000}  # in a second
CARRIED = ("Keys", "NewImage", "OldImage", "SizeBytes")


@dataclass(slots=True)
class KinesisDestination:
    """Takes the records of a stream and gives them back as Kinesis would: doubled and out of order, as the seed says.

    `duplicates_percent` of them come twice, and each may be overtaken by as many as `spread` others. A stream tells
    whole seconds; the destination stands where the exact time is known, so it counts on within a second.
    """

    table: str
    seed: int = 0
    duplicates_percent: int = 10
    spread: int = 8
    precision: str = "MILLISECOND"
    _waiting: list[tuple[int, int, dict[str, object]]] = field(default_factory=list)
    _taken: int = 0
    _second: int = -1
    _within: int = 0
    _random: Random | None = None

    def put(self, records: Iterable[Record]) -> None:
        """Take records, in their order."""
        random = self._random = self._random or Random(self.seed)
        for record in records:
            carried = self._carried(record)
            for _ in range(2 if random.randrange(100) < self.duplicates_percent else 1):
                place = self._taken + random.randrange(self.spread + 1)
                self._waiting.append((place, len(self._waiting), carried))
            self._taken += 1

    def read(self) -> list[dict[str, object]]:
        """All that has been taken and not read yet."""
        ready = [record for _, _, record in sorted(self._waiting, key=lambda one: one[:2])]
        self._waiting.clear()
        return ready

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


def in_order(records: Sequence[Record]) -> list[Record]:
    """The records once each, an item's in the order of their times: what a consumer of such a destination must do.

    >>> def record(key, time):
    ...     return {"dynamodb": {"Keys": {"id": {"S": key}}, "ApproximateCreationDateTime": time}}
    >>> early, late = record("a", 1), record("a", 2)
    >>> in_order([late, early, late]) == [early, late]
    True
    """
    once: dict[tuple[str, int], Record] = {}
    for record in records:
        change = change_of(record)
        place = (json.dumps(change["Keys"], sort_keys=True), cast(int, change["ApproximateCreationDateTime"]))
        once.setdefault(place, record)
    return [once[place] for place in sorted(once, key=lambda place: place[1])]

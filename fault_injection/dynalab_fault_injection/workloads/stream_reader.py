"""Readers of a stream: a consumer that reads every shard, parents before children; one that looks in here and there.

A reader asks one thing at a time. What it hears is recorded as operations of their own (`stream`, `shards`, `iterator`,
`records`), so a history tells what the judges of streams need; `reads_of` turns it into calls of theirs. An answer that
does not come is asked for again from the same iterator; an iterator that is refused is replaced by one behind the last
record that was seen, which begins another chain.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from dynalab_checkers.history import MISSING, Json, Operation
from dynalab_checkers.stream_reads import AFTER, AT, LATEST, TRIM_HORIZON, ShardRead
from dynalab_checkers.streams import Record
from dynalab_fault_injection.simulator import WALL_EPOCH_NS, below, pick
from dynalab_fault_injection.workloads.actor import Call
from dynalab_impl.effects import Response
from dynalab_model.operations import DescribeStream, GetRecords, GetShardIterator, ListStreams
from dynalab_model.streams import number_of

LIMIT = 40  # records of one answer: small, so that a shard is read in many calls
LOOKS = 4  # calls of a reader that looks in, before it looks elsewhere
SECOND = 1_000_000_000
OF_READERS = ("stream", "shards", "iterator", "records", "drained")  # the last: the operator has read it to its end


@dataclass(slots=True)
class Place:
    """Where a reader is in a shard. `seen` is the last number that it was shown, -1 for none."""

    shard: str
    parent: str
    kind: str
    start: int = 0
    chain: str = ""
    iterator: str = ""
    asked_ns: int = 0
    seen: int = -1
    done: bool = False
    empty: int = 0  # answers without a record, one after the other


@dataclass(slots=True)
class Reader:
    """One reader of one table's stream. With `wanders` it reads a few calls of some shard from some place."""

    table: str
    name: str
    wanders: bool = False
    label: str = ""
    places: dict[str, Place] = field(default_factory=dict)
    at: Place | None = None
    chains: int = 0
    looks: int = 0
    listed: bool = False  # the shards were listed since one was read to its end
    numbers: dict[str, list[int]] = field(default_factory=dict)  # shown, by shard: a wandering reader begins at some

    def next(self, random: Random, now_ns: int) -> Call:
        """What to ask now."""
        if not self.label:
            return Call(ListStreams(self.table), "stream", "", {"reader": self.name})
        if self.at is None or self.at.done or self.looks >= LOOKS:
            self.at, self.looks = self._choose(random), 0
        if self.at is None or not self.listed:
            self.listed = True
            return Call(DescribeStream(self.table, self.label), "shards", "", {"reader": self.name})
        place = self.at
        self.looks += 1
        if not place.iterator:
            self.chains += 1
            place.chain, place.asked_ns = f"{self.name}/{self.chains}", now_ns
            asked = GetShardIterator(self.table, self.label, place.shard, place.kind, place.start)
            return Call(asked, "iterator", "", {"reader": place.chain, "shard": place.shard, "kind": place.kind})
        fields: dict[str, Json] = {
            "reader": place.chain,
            "shard": place.shard,
            "kind": place.kind,
            "start": place.start,
            "asked": place.asked_ns,
        }
        return Call(GetRecords(self.table, place.iterator, LIMIT), "records", "", fields)

    def learn(self, call: Call, response: Response) -> dict[str, Json]:
        """Read an answer: the fields of the event."""
        body: Any = response.body
        if call.f == "stream":
            self.label = next((one["StreamLabel"] for one in body["Streams"]), "")
            return {}
        if call.f == "shards":
            told = body["StreamDescription"]["Shards"]
            for shard in told:
                known = Place(shard["ShardId"], shard.get("ParentShardId", ""), TRIM_HORIZON)
                self.places.setdefault(known.shard, known)
            return {"shards": [[shard["ShardId"], shard.get("ParentShardId", "")] for shard in told]}
        place = self.at
        assert place is not None, "somebody was asked about a shard"
        if call.f == "iterator":
            place.iterator = body["ShardIterator"]
            return {}
        records = [_told(record) for record in body["Records"]]
        place.empty = 0 if records else place.empty + 1
        for record in records:
            place.seen = int(str(record[0]))
            self.numbers.setdefault(place.shard, []).append(place.seen)
        place.iterator = body.get("NextShardIterator", "")
        place.done = not place.iterator
        if place.done or place.empty:
            self.listed = False  # it may have children, or another one may
        return {"records": list(records), "closed": place.done}

    def lost(self, call: Call) -> None:
        """No answer, or a refusal: an iterator may be gone."""
        if call.f == "records" and self.at is not None:
            place = self.at
            if place.seen >= 0:
                place.kind, place.start = AFTER, place.seen
            place.iterator = ""

    @property
    def drained(self) -> bool:
        """Whether it has read all there is: closed shards to their ends, open ones until nothing came twice."""
        return bool(self.places) and self.listed and all(p.done or p.empty >= 2 for p in self.places.values())

    def _choose(self, random: Random) -> Place | None:
        if not self.places:
            return None
        if self.wanders:
            shard = self.places[pick(random, list(self.places))]
            numbers = self.numbers.get(shard.shard)
            kind = pick(random, (TRIM_HORIZON, LATEST, AT, AFTER) if numbers else (TRIM_HORIZON, LATEST))
            start = pick(random, numbers) if numbers and kind in (AT, AFTER) else 0
            self.places[shard.shard] = place = Place(shard.shard, shard.parent, kind, start)
            return place
        # A shard is begun when its parent is read to its end, or is not there any more.
        ready = [
            place
            for place in self.places.values()
            if not place.done and (place.parent not in self.places or self.places[place.parent].done)
        ]
        return ready[below(random, len(ready))] if ready else None


def _told(record: Any) -> list[Json]:
    """A record for the history: number, event, key, old and new image (their value and expiry), identity, second."""
    told = record["dynamodb"]
    images = [_image(told[name]) if name in told else None for name in ("OldImage", "NewImage")]
    identity = record.get("userIdentity", {}).get("PrincipalId", record.get("userIdentity", {}).get("principalId", ""))
    return [
        number_of(told["SequenceNumber"]),
        record["eventName"],
        told["Keys"]["pk"]["S"],
        *images,
        identity,
        int(told["ApproximateCreationDateTime"]),
    ]


def _image(item: Any) -> Json:
    """The attributes that workloads write, as plain values."""
    return {name: int(value["N"]) for name, value in item.items() if "N" in value}


def reads_of(history: Iterable[Operation]) -> tuple[list[ShardRead], dict[str, str]]:
    """The calls for records, as the judges of streams want them, and each child shard's parent.

    Times are those of virtual time; records bear theirs by the wall clock, to the second.
    """
    reads: list[ShardRead] = []
    parents: dict[str, str] = {}
    for operation in history:
        told: Any = operation.ret_extra
        if operation.outcome != "ok":
            continue
        if operation.f == "shards":
            parents.update((shard, parent) for shard, parent in told["shards"] if parent)
        if operation.f != "records":
            continue
        asked: Any = operation.extra
        assert operation.ret is not None
        records = tuple(_record(asked["shard"], one) for one in told["records"])
        reads.append(
            ShardRead(
                asked["reader"],
                asked["shard"],
                asked["kind"],
                asked["asked"],
                operation.call,
                operation.ret,
                records,
                asked["start"],
                told["closed"],
            )
        )
    return reads, parents


def _record(shard: str, told: list[Any]) -> Record:
    number, event, key, old, new, identity, second = told
    return Record(
        shard,
        number,
        key,
        event,
        MISSING if old is None else old,
        MISSING if new is None else new,
        identity,
        second * SECOND - WALL_EPOCH_NS,
    )

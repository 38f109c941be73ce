"""Carries the changes of tables with a Kinesis destination to data streams that live in the lab.

This is not Kinesis: a data stream begins to be with the first table that names its ARN, and is read over HTTP
(`control`). It is what Kinesis is to a consumer, duplicates and disorder included (`consumers.kinesis`), and it ends
with the process; feeds are kept for a day, so a process that begins anew carries them again.

Rules: whoever carries reads the feeds that tables keep (`dynalab_impl.feeds`) through the routers, like any client, and
remembers how far it is in memory alone. It asks nothing while no table has a destination.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from dynalab.consumers.kinesis import DataStream, Disorder
from dynalab.consumers.reading import Record
from dynalab_impl.effects import Response
from dynalab_impl.table_entry import FEEDS
from dynalab_model.operations import DescribeStream, GetRecords, GetShardIterator, Operation, ReadSettings
from dynalab_model.streams import RECORDS_MAX, SHARDS_MAX

Call: TypeAlias = "Callable[[Operation], Awaitable[Response]]"

POLL_SECONDS = 0.1
READS_MAX = 50  # of one shard in a round: the others have their turn


@dataclass(slots=True)
class FeedReader:
    """How far the feed of one destination has been carried: the iterator of each shard, None when it was read to its
    end. Shards are read side by side: nobody is promised an order.
    """

    table: str
    label: str
    arn: str
    places: dict[str, str | None] = field(default_factory=dict)
    is_done: bool = False  # every shard that there is was read to its end, the last time

    async def step(self, call: Call) -> list[Record]:
        """The records that have come since, as far as the service answers now."""
        names = await self._shards(call)
        for name in names or ():
            if name not in self.places:
                answer = await call(GetShardIterator(self.table, self.label, name, "TRIM_HORIZON"))
                if answer.status == 200:
                    self.places[name] = str(answer.body["ShardIterator"])
        records: list[Record] = []
        for name in list(self.places):
            for _ in range(READS_MAX):
                told = await self._read(call, name)
                if not told:
                    break
                records += told
        self.is_done = names is not None and all(self.places.get(name, "") is None for name in names)
        return records

    async def _shards(self, call: Call) -> list[str] | None:
        """The names of all shards; None where the service cannot tell now."""
        names: list[str] = []
        start: str | None = None
        while True:
            answer = await call(DescribeStream(self.table, self.label, start, SHARDS_MAX))
            if answer.status != 200:
                return None
            told = cast("dict[str, object]", answer.body["StreamDescription"])
            names += [shard["ShardId"] for shard in cast("list[dict[str, str]]", told["Shards"])]
            start = cast("str | None", told.get("LastEvaluatedShardId"))
            if start is None:
                return names

    async def _read(self, call: Call, name: str) -> list[Record]:
        place = self.places.get(name)
        if place is None:
            return []
        answer = await call(GetRecords(self.table, place, RECORDS_MAX))
        if answer.status == 200:
            self.places[name] = cast("str | None", answer.body.get("NextShardIterator"))
            return cast("list[Record]", answer.body["Records"])
        if answer.error in ("ExpiredIteratorException", "TrimmedDataAccessException"):
            del self.places[name]  # from its beginning again, as far as that is kept: some records come once more
        return []


@dataclass(slots=True)
class Deliveries:
    """All data streams of a lab, by ARN, and whoever carries changes to them."""

    call: Call
    seed: int = 0
    streams: dict[str, DataStream] = field(default_factory=dict)
    readers: dict[tuple[str, str], FeedReader] = field(default_factory=dict)
    carried: dict[tuple[str, str], bool] = field(default_factory=dict)  # feeds that have ended, and were read whole
    running: bool = False
    wanted: bool = False  # somebody has asked since the last look

    async def run(self) -> None:
        """Carry until nothing is left to be carried: no table has a destination, or only such as were disabled."""
        self.wanted = True
        if self.running:
            return
        self.running = True
        try:
            while self.wanted:
                self.wanted = False
                while await self.step():
                    await asyncio.sleep(POLL_SECONDS)
        finally:
            self.running = False

    async def step(self) -> bool:
        """Carry what has come since; whether more may come."""
        answer = await self.call(ReadSettings(FEEDS))
        if answer.status != 200:
            return True
        feeds = cast("list[list[str]]", answer.body["Feeds"])
        known = {(table, label): (arn, status) for table, label, arn, status in feeds}
        self.readers = {place: reader for place, reader in self.readers.items() if place in known}
        self.carried = {place: True for place in self.carried if place in known}
        for place, (arn, status) in known.items():
            if place in self.carried:
                continue
            reader = self.readers.setdefault(place, FeedReader(*place, arn))
            records = await reader.step(self.call)
            stream = self.streams.get(arn)
            if stream is None:
                stream = self.streams[arn] = DataStream(arn, Disorder(self.seed))
            stream.put(records, time.time(), idle=not records)
            if status == "DISABLED" and not records and reader.is_done:
                self.carried[place] = True
                del self.readers[place]
        return bool(self.readers)

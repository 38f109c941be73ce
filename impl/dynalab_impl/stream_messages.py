"""What a router asks the leaders of a table's partitions about its streams. All of it is answered with an `Answer`.

A shard is named by its stream's label and its own name; where it lies, the router knows or looks for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from dynalab_impl.codec import register
from dynalab_impl.effects import Message, Nanoseconds


@dataclass(slots=True)
class ListShards(Message):
    """Which shards of this stream do you hold? Body: {"Shards": [[name, parent, first, ended], …]}."""

    group: str
    number: int
    label: str


@dataclass(slots=True)
class FindShard(Message):
    """Where would a reader begin, if you hold this shard? Body: {"After": number}, or {} from one that does not."""

    group: str
    number: int
    label: str
    shard: str
    kind: str
    at: int
    time_ns: Nanoseconds


@dataclass(slots=True)
class ReadShard(Message):
    """The records behind a number. Body: {"Records": […], "After": the last of them, "Done": the shard has no more}."""

    group: str
    number: int
    label: str
    shard: str
    after: int
    limit: int
    reader: int


Question: TypeAlias = ListShards | FindShard | ReadShard


@dataclass(slots=True)
class StreamStep:
    """One question to the leader of the partition that holds `key`."""

    table: str
    key: bytes
    question: Question

    def message(self, group: str, number: int) -> Message:
        """The question, to this partition."""
        return replace(self.question, group=group, number=number)


register(ListShards, FindShard, ReadShard)

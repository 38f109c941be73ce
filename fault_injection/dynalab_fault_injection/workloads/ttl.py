"""A table whose items expire, with a stream: short lives, renewals at the last moment, some items that stay.

What is written expires a few seconds later, or never; a client that knows an item writes over it before or after its
time. Sweeps come as they like. In the history every write says when what it wrote expires.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from dynalab_fault_injection.simulator import WALL_EPOCH_NS, below, between
from dynalab_fault_injection.workloads.actor import Call
from dynalab_fault_injection.workloads.register import Register
from dynalab_fault_injection.workloads.stream import Stream
from dynalab_model.operations import PutItem, UpdateTimeToLive

SECOND = 1_000_000_000
LIVES_S = (1, 6)
STAYS_OF_8 = 2  # items out of eight that never expire
EXPIRES = "expires"


@dataclass(slots=True)
class Ttl(Stream):
    """The workload `ttl`."""

    name: str = field(default="ttl")
    table: str = field(default="leases")
    key_count: int = field(default=10)

    def prepared(self) -> list[UpdateTimeToLive]:
        return [UpdateTimeToLive(self.table, EXPIRES, enabled=True)]

    def write(self, client: int, random: Random, now_ns: int) -> tuple[Call, int]:
        call, think_ns = Register.next(self, client, random, now_ns)
        operation = call.operation
        if isinstance(operation, PutItem) and below(random, 8) >= STAYS_OF_8:
            expires = (WALL_EPOCH_NS + now_ns) // SECOND + between(random, *LIVES_S)
            operation.item = {**operation.item, EXPIRES: {"N": str(expires)}}
            call.fields[EXPIRES] = expires
        return call, think_ns

"""A table with a stream: writers as in `register`, a consumer that reads it all, and a reader that looks in here and
there.

Some writes leave an item as it was: they have no record. In the history such a one is the strong read that it also is.
At the end of a run the operator reads the whole stream once more, parents before children.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from dynalab_checkers.history import Json
from dynalab_fault_injection.simulator import below
from dynalab_fault_injection.workloads.actor import Call
from dynalab_fault_injection.workloads.items import put_if, value_of
from dynalab_fault_injection.workloads.register import UNKNOWN, Register
from dynalab_fault_injection.workloads.stream_reader import OF_READERS, Reader
from dynalab_impl.effects import Response
from dynalab_model.operations import PutItem, UpdateTimeToLive

CONSUMER, WANDERER, OPERATOR = 4, 5, 0  # among a run's clients
READ_THINK_BITS = 26
NOTHING_NEW_OF_8 = 1  # conditional writes out of eight that leave the item as it was
STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


@dataclass(slots=True)
class Stream(Register):
    """The workload `stream`."""

    name: str = field(default="stream")
    table: str = field(default="events")
    readers: dict[int, Reader] = field(default_factory=dict)
    _reading: dict[int, Call] = field(default_factory=dict)  # by client: asked, and not answered

    def settings(self) -> dict[str, object]:
        """What the table is created with, beside its keys."""
        return {"StreamSpecification": dict(STREAM)}

    def prepared(self) -> list[UpdateTimeToLive]:
        """What is asked of the table before clients set off."""
        return []

    def next(self, client: int, random: Random, now_ns: int) -> tuple[Call, int]:
        if client in (CONSUMER, WANDERER):
            return self.read(client, random, now_ns), random.getrandbits(READ_THINK_BITS)
        call, think_ns = self.write(client, random, now_ns)
        if (
            self.name == "stream"
            and call.f == "cas"
            and isinstance(call.operation, PutItem)
            and below(random, 8) < NOTHING_NEW_OF_8
        ):
            known = self._known.get((client, call.key), UNKNOWN)
            if known is not None and known != UNKNOWN:
                again = put_if(self.table, call.key, known, known)
                return Call(again, "read", call.key, {"consistency": "strong"}), think_ns
        return call, think_ns

    def write(self, client: int, random: Random, now_ns: int) -> tuple[Call, int]:
        """What a client asks next that is no reader of the stream."""
        # By the name of the class: slotted dataclasses are made anew, and `super()` would look for the old one.
        return Register.next(self, client, random, now_ns)

    def read(self, client: int, random: Random, now_ns: int) -> Call:
        """What a reader asks next."""
        reader = self.readers.setdefault(client, Reader(self.table, f"r{client}", wanders=client == WANDERER))
        lost = self._reading.pop(client, None)
        if lost is not None:
            reader.lost(lost)
        call = self._reading[client] = reader.next(random, now_ns)
        return call

    def learn(self, client: int, call: Call, response: Response) -> tuple[str, dict[str, Json]]:
        if call.f in OF_READERS:
            del self._reading[client]
            return "ok", self.readers[client].learn(call, response)
        if call.f == "read" and isinstance(call.operation, PutItem):
            # It was there and stays as it was; or something else was there.
            found = value_of(response.body.get("Attributes" if response.status == 200 else "Item"))
            self._known[client, call.key] = found
            return "ok", {"value": found}
        return Register.learn(self, client, call, response)

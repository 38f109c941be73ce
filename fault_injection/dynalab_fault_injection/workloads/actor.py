"""A client: one operation at a time, no retries, seeded.

It talks to one router until that one disappoints it. An answer with status 500, or none within `timeout_ns`, leaves
the outcome unknown: `info`, and a fresh process id. Any other error is a definite refusal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from dynalab_checkers.history import Json
from dynalab_fault_injection.simulator import Simulation, below
from dynalab_fault_injection.workloads.recorder import Recorder
from dynalab_impl.effects import RequestToken, Response
from dynalab_model.operations import Operation
from dynalab_model.schema import TableSchema

THINK = 0  # wake-up tags: 0 for the next operation, else the token of a request that may have timed out
# Refusals that tell what they found.
TELLING = ("ConditionalCheckFailedException", "TransactionCanceledException")


@dataclass(slots=True)
class Call:
    """An operation as the service sees it and as the history does. `soon` asks for no pause before the next one."""

    operation: Operation
    f: str
    key: str
    fields: dict[str, Json] = field(default_factory=dict)


class Workload(Protocol):
    """What clients do, and how an answer reads as a history's event. One object is shared by all clients of a run."""

    name: str

    def schema(self) -> TableSchema:
        """The table that it works on."""

    def key_names(self) -> list[str]:
        """All keys of the workload, for the reads at the end of a run."""

    def next(self, client: int, random: Random, now_ns: int) -> tuple[Call, int]:
        """The next operation of this client, and how long to think after it."""

    def learn(self, client: int, call: Call, response: Response) -> tuple[str, dict[str, Json]]:
        """Read an answer of status 200, or a refusal of `TELLING`: the event's type and fields."""

    def final_read(self, key: str) -> Call:
        """A strong read of that key."""


@dataclass(slots=True)
class Actor:
    """One client of a campaign."""

    simulation: Simulation
    recorder: Recorder
    workload: Workload
    index: int  # among the simulation's clients
    random: Random
    end_ns: int  # no operation begins at or after this
    timeout_ns: int
    process: int = 0
    router: int = 0
    pending: RequestToken = 0
    call: Call | None = None
    late_answers: int = 0
    _invocation: dict[str, Json] = field(default_factory=dict)
    _think_ns: int = 0
    _at_rest: bool = False  # its time is over, and nothing will wake it

    def begin(self, delay_ns: int) -> None:
        """Take a process id and wake up for the first operation."""
        self.process = self.recorder.new_process()
        self.router = self.index % len(self.simulation.topology.routers)
        self.simulation.wake(self.index, delay_ns, THINK)

    def go_on(self, end_ns: int) -> None:
        """Take up work again until a later time; what is still pending goes on by itself."""
        self.end_ns = end_ns
        if self._at_rest:
            self._at_rest = False
            self.simulation.wake(self.index, self._think_ns, THINK)

    @property
    def idle(self) -> bool:
        return self.call is None

    def on_wake(self, tag: int) -> None:
        if tag != THINK:
            if tag == self.pending:
                self._finish("info", {"error": "timeout"})
            return
        if self.simulation.now >= self.end_ns:
            self._at_rest = True
            return
        call, self._think_ns = self.workload.next(self.index, self.random, self.simulation.now)
        self.call = call
        self._invocation = self.recorder.invoke(self.process, call.f, call.key, f"c{self.index}", call.fields)
        self.pending = self.simulation.request(self.index, self.router, call.operation)
        self.simulation.wake(self.index, self.timeout_ns, self.pending)

    def on_response(self, token: RequestToken, response: Response) -> None:
        if token != self.pending or self.call is None:
            self.late_answers += 1
            return
        if response.status == 200 or response.error in TELLING:
            kind, fields = self.workload.learn(self.index, self.call, response)
            self._finish(kind, fields)
        elif response.status >= 500:
            self._finish("info", {"error": response.error or str(response.status)})
        else:
            self._finish("fail", {"error": response.error or str(response.status)})

    def _finish(self, kind: str, fields: dict[str, Json]) -> None:
        self.recorder.complete(self._invocation, kind, fields)
        self.pending, self.call = 0, None
        routers = len(self.simulation.topology.routers)
        if kind == "info":
            self.process = self.recorder.new_process()
            self.router = (self.router + 1) % routers
        elif below(self.random, 16) == 0:
            self.router = below(self.random, routers)
        self.simulation.wake(self.index, self._think_ns + 1, THINK)

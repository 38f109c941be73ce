"""The one who forms the table before a run and asks for everything back after it: a client that retries, and is in no
hurry.

What it reads at the end is part of the history, in a session of its own: a write that was acknowledged and lost shows
there at the latest.
"""

from __future__ import annotations

from collections.abc import Sequence

from dynalab_fault_injection.simulator import Simulation, stream
from dynalab_fault_injection.workloads.actor import Call, Workload
from dynalab_fault_injection.workloads.index_churn import IndexChurn
from dynalab_fault_injection.workloads.items import get, put, value_of
from dynalab_fault_injection.workloads.recorder import Recorder
from dynalab_fault_injection.workloads.stream import Stream
from dynalab_fault_injection.workloads.stream_reader import Reader
from dynalab_impl.effects import RequestToken, Response
from dynalab_model.operations import CreateTable, DescribeTable, Operation
from dynalab_model.schema import TableSchema
from dynalab_model.values import Item

STEP_NS = 2_000_000
PATIENCE_NS = 6_000_000_000  # a router gives up on a request before this
PAUSE_NS = 200_000_000
OWN_STREAM = 10_000  # of the random numbers of clients: behind those of all others


class Operator:
    """Client 0 of every run."""

    def __init__(self, simulation: Simulation, recorder: Recorder) -> None:
        self.simulation = simulation
        self.recorder = recorder
        self.index = len(simulation.clients)
        self._answers: dict[RequestToken, Response] = {}
        self._asked = 0
        simulation.clients.append(self)

    def on_wake(self, tag: int) -> None:
        raise AssertionError("the operator drives the simulation, nobody wakes it")

    def on_response(self, token: RequestToken, response: Response) -> None:
        self._answers[token] = response

    def ask(self, operation: Operation) -> Response | None:
        """Ask the routers in turn; None if no answer came within `PATIENCE_NS`."""
        simulation = self.simulation
        router = self._asked % len(simulation.topology.routers)
        self._asked += 1
        token = simulation.request(self.index, router, operation)
        give_up_ns = simulation.now + PATIENCE_NS
        while token not in self._answers and simulation.now < give_up_ns:
            simulation.run_until(simulation.now + STEP_NS)
        return self._answers.pop(token, None)

    def create_table(self, schema: TableSchema, within_ns: int, settings: dict[str, object] | None = None) -> bool:
        """Create the table and wait until it is active."""
        wanted = {**SETTINGS, **(settings or {})}
        deadline_ns = self.simulation.now + within_ns
        created = False
        while self.simulation.now < deadline_ns:
            answer = self.ask(DescribeTable(schema.name) if created else CreateTable(schema, wanted))
            if answer is not None:
                created = created or answer.status == 200 or answer.error == "ResourceInUseException"
                table = answer.body.get("Table")
                if isinstance(table, dict) and table.get("TableStatus") == "ACTIVE":
                    return True
            self.simulation.run_until(self.simulation.now + PAUSE_NS)
        return False

    def probe(self, workload: Workload, probes: int, deadline_ns: int) -> str:
        """Strong reads of all of the workload's keys (recorded), and a write and strong read of each probe key.

        Empty if all were served; else what was not, in words.
        """
        process = self.recorder.new_process()
        for key in workload.key_names():
            call = workload.final_read(key)
            while True:
                served, process = self._recorded(process, call, workload)
                if served:
                    break
                if self.simulation.now >= deadline_ns:
                    return f"a strong read of {key} was not served"
        table, sort_key = workload.schema().name, workload.schema().key.range
        more: Item = {} if sort_key is None else {sort_key.name: {sort_key.type: "0"}}
        for number in range(probes):
            key = f"probe{number}"
            if not self._insist(put(table, key, number + 1, more), deadline_ns):
                return f"a write of {key} was not served"
            read = get(table, key, consistent=True)
            read.key = {**read.key, **more}
            answer = self._insist(read, deadline_ns)
            if answer is None:
                return f"a strong read of {key} was not served"
            if value_of(answer.body.get("Item")) != number + 1:
                return f"a strong read of {key} did not show the write before it"
        return ""

    def prepare(self, operations: Sequence[Operation], within_ns: int) -> bool:
        """Ask for these one after the other until each is done."""
        deadline_ns = self.simulation.now + within_ns
        return all(self._insist(operation, deadline_ns) is not None for operation in operations)

    def build(self, workload: IndexChurn, deadline_ns: int) -> bool:
        """Go on with the index that comes and goes until it stands."""
        process = self.recorder.new_process()
        while not workload.built:
            if self.simulation.now >= deadline_ns:
                return False
            _, process = self._recorded(process, workload.build(self.simulation.now), workload)
            self.simulation.run_until(self.simulation.now + PAUSE_NS)
        return True

    def drain(self, workload: Stream, deadline_ns: int) -> str:
        """Read the stream from its beginning to its end, parents before children. Empty, or what was not served."""
        process = self.recorder.new_process()
        random = stream(self.simulation.seed, "client", OWN_STREAM)
        reader = workload.readers.setdefault(self.index, Reader(workload.table, "operator"))
        while not reader.drained:
            if self.simulation.now >= deadline_ns:
                return "the stream could not be read to its end"
            call = workload.read(self.index, random, self.simulation.now)
            _, process = self._recorded(process, call, workload)
        self.recorder.complete(self.recorder.invoke(process, "drained", "", "operator", {}), "ok", {})
        return ""

    def _recorded(self, process: int, call: Call, workload: Workload) -> tuple[bool, int]:
        invocation = self.recorder.invoke(process, call.f, call.key, "operator", call.fields)
        answer = self.ask(call.operation)
        if answer is not None and answer.status == 200:
            kind, fields = workload.learn(self.index, call, answer)
            self.recorder.complete(invocation, kind, fields)
            return True, process
        self.recorder.complete(invocation, "info", {"error": "timeout" if answer is None else str(answer.error)})
        self.simulation.run_until(self.simulation.now + PAUSE_NS)
        return False, self.recorder.new_process()

    def _insist(self, operation: Operation, deadline_ns: int) -> Response | None:
        while True:
            answer = self.ask(operation)
            if answer is not None and answer.status == 200:
                return answer
            if self.simulation.now >= deadline_ns:
                return None
            self.simulation.run_until(self.simulation.now + PAUSE_NS)


SETTINGS: dict[str, object] = {"BillingMode": "PAY_PER_REQUEST"}

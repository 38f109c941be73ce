"""A fault of its own kind: nothing breaks, but another table is created, written to and deleted, again and again.

Its partitions come and go on the same machines, in the same logs and snapshots, and through the same catalog as those
of the table that is judged. Nobody may notice.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dynalab_fault_injection.cluster import Cluster
from dynalab_fault_injection.simulator import Simulation
from dynalab_fault_injection.workloads.items import put
from dynalab_impl.effects import RequestToken, Response
from dynalab_model.operations import CreateTable, DeleteTable, DescribeTable, Operation
from dynalab_model.schema import KeyAttribute, KeySchema, TableSchema

TABLE = "passing"
SCHEMA = TableSchema(TABLE, KeySchema(KeyAttribute("pk", "S")))
AGAIN_NS = 150_000_000  # between two requests, answered or not
STEP = 1

# What is asked in each state; "gone" is where it begins again.
ASKED: dict[str, Operation] = {
    "gone": CreateTable(SCHEMA, {"BillingMode": "PAY_PER_REQUEST"}),
    "creating": DescribeTable(TABLE),
    "active": put(TABLE, "k", 1),
    "written": DeleteTable(TABLE),
    "deleting": DescribeTable(TABLE),
}


@dataclass(slots=True)
class Passer:
    """A client that goes around: create, wait until the table is active, write, delete, wait until it is gone."""

    simulation: Simulation
    index: int
    state: str = "gone"
    pending: RequestToken = 0
    asked: int = 0
    deleted: int = 0  # tables that were there and are gone
    over: bool = False

    def on_wake(self, tag: int) -> None:
        if self.over:
            return
        router = self.asked % len(self.simulation.topology.routers)
        self.asked += 1
        self.pending = self.simulation.request(self.index, router, ASKED[self.state])
        self.simulation.wake(self.index, AGAIN_NS, STEP)

    def on_response(self, token: RequestToken, response: Response) -> None:
        if token == self.pending:
            self.pending = 0
            self._learn(response)

    def _learn(self, response: Response) -> None:
        missing = response.error == "ResourceNotFoundException"
        if self.state == "gone" and (response.status == 200 or response.error == "ResourceInUseException"):
            self.state = "creating"
        elif self.state == "creating":
            if missing:  # the answer to an older request deleted it
                self.state = "gone"
            elif _status(response) == "ACTIVE":
                self.state = "active"
        elif self.state == "active" and (response.status == 200 or missing):
            self.state = "written"
        elif self.state == "written" and (response.status == 200 or missing):
            self.state = "deleting"
        elif self.state == "deleting":
            if missing:
                self.state = "gone"
                self.deleted += 1
            elif _status(response) == "ACTIVE":  # an answer from before
                self.state = "written"


def _status(response: Response) -> str:
    table = response.body.get("Table")
    return str(table.get("TableStatus")) if isinstance(table, dict) else ""


@dataclass(slots=True)
class TableChurn:
    """Another table comes and goes."""

    evidence: dict[str, int] = field(default_factory=dict)
    _passer: Passer | None = None

    def start(self, cluster: Cluster) -> None:
        simulation = cluster.simulation
        self._passer = Passer(simulation, len(simulation.clients))
        simulation.clients.append(self._passer)
        simulation.wake(self._passer.index, 0, STEP)

    def stop(self, cluster: Cluster) -> None:
        if self._passer is None:
            return
        self._passer.over = True
        if self._passer.deleted:
            self.evidence["tables-that-came-and-went"] = self._passer.deleted
        self._passer = None

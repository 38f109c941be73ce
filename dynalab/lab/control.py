"""The lab's control surface: faults put on and taken off a running cluster, over HTTP, in the words of campaigns.

- `POST /_dynalab/faults` with `{"fault": NAME, …}` puts one on and answers with its entry; `{"fault": "heal"}` takes
  all off.
- `GET /_dynalab/faults` lists what was put on, whether it still is, and what it hit. `DELETE` heals.
- `GET /_dynalab/insights` tells which keys are busy, `GET /_dynalab/kinesis` what came to data streams (`readings`).
- `POST /_dynalab/reset` heals, deletes every table and forgets the history. `GET /_dynalab/history` gives it as JSON
  lines.

Everything here runs on a real clock: scripted, and not replayable to the bit. Requests must come as JSON and name a
loopback host, so that no web page can send them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from time import monotonic_ns
from typing import TypeAlias, cast

from dynalab.drivers.embedded import EmbeddedCluster
from dynalab.endpoint.http import Exchange
from dynalab.endpoint.service import Answer
from dynalab.lab.calls import CallRule, error_response
from dynalab.lab.kinesis import Deliveries
from dynalab.lab.network import Hits, LabNetwork
from dynalab.lab.readings import BadQuery, insights, kinesis
from dynalab.lab.recorder import Recorder
from dynalab_impl import index_duties
from dynalab_impl.admission import Admission
from dynalab_impl.effects import JSON, Address, Limits, Node, Response
from dynalab_impl.storage_node import StorageNode
from dynalab_model.errors import internal_server_error
from dynalab_model.operations import ChangeDestination, CreateTable, DeleteTable, DescribeTable, ListTables, Operation
from dynalab_model.schema import IndexSchema, KeyAttribute, KeySchema, TableSchema

FAULTS_MAX = 1_000
RESET_SECONDS_MAX = 15.0
JSON_TYPE = b"application/json"
LINES = b"application/x-ndjson"
_LOOPBACK = (b"127.0.0.1", b"localhost", b"[::1]")

Body: TypeAlias = "dict[str, JSON]"


class BadFault(ValueError):
    """A fault that cannot be put on; the text says what to write instead."""


@dataclass(slots=True)
class Entry:
    """A fault that was put on. `stop` takes it off again; None once that has happened."""

    number: int
    fault: str
    parameters: Body
    since_ns: int
    until_ns: int | None = None
    hits: Hits = field(default_factory=Hits)
    stop: Callable[[], None] | None = None

    def to_json(self) -> Body:
        """The entry as the HTTP interface shows it; times count from the start of the lab."""
        return {
            "id": self.number,
            "fault": self.fault,
            **self.parameters,
            "active": self.stop is not None,
            "hits": self.hits.count,
            "since_ns": self.since_ns,
            "until_ns": self.until_ns,
        }


class Lab:
    """Breaks a cluster while it runs. Hand it to an `Endpoint`."""

    def __init__(self, cluster: EmbeddedCluster) -> None:
        self.cluster = cluster
        self.network = LabNetwork()
        self.calls: list[CallRule] = []
        self.recorder = Recorder()
        self.entries: list[Entry] = []
        self.eventual_policy = "any"
        self.limits = cluster.topology.limits
        self.deliveries = Deliveries(cluster.call)
        self._began_ns = monotonic_ns()
        self._tasks: set[asyncio.Task[None]] = set()
        self._routes: dict[tuple[bytes, bytes], Callable[[Exchange], None]] = {
            (b"POST", b"faults"): self._post_fault,
            (b"GET", b"faults"): lambda exchange: _json(exchange, 200, self.state()),
            (b"DELETE", b"faults"): self._post_heal,
            (b"POST", b"reset"): self._post_reset,
            (b"GET", b"history"): self._get_history,
            (b"GET", b"insights"): lambda exchange: _json(exchange, 200, insights(cluster.nodes(), _query(exchange))),
            (b"GET", b"kinesis"): lambda exchange: _json(
                exchange, 200, kinesis(self.deliveries.streams, _query(exchange))
            ),
        }
        cluster.on_boot = self._booted

    # --- what faults use ----------------------------------------------------------------------------------------------

    def add_rule(self, rule: Callable[..., tuple[int, ...] | None]) -> Callable[[], None]:
        """Put a network rule on; what takes it off is given back."""
        self.network.add(rule)
        self.cluster.network = self.network

        def remove() -> None:
            self.network.remove(rule)
            if not self.network:
                self.cluster.network = None

        return remove

    def set_eventual_policy(self, policy: str) -> None:
        """How routers choose a replica for eventual reads: any, leader, stalest. Holds for routers that start later,
        too.
        """
        self.eventual_policy = policy
        for node in self.cluster.nodes():
            self._booted(node)

    def set_limits(self, limits: Limits | None) -> None:
        """What storage nodes throttle at, from now on and with full buckets; None: nothing. Holds for nodes that start
        later, too.
        """
        self.limits = limits
        for node in self.cluster.nodes():
            admission = getattr(node, "admission", None)
            if admission is not None:
                admission.change(limits)  # it keeps what it has refused
            else:
                self._booted(node)

    def _booted(self, node: Node) -> None:
        if hasattr(node, "eventual_policy"):
            node.eventual_policy = self.eventual_policy
        if hasattr(node, "admission"):
            node.admission = None if self.limits is None else Admission(self.limits)

    def node(self, name: str) -> Address:
        """The machine of that name: `n1`, `z1/n1` or `r1/z1/n1`."""
        for address in self.cluster.hosts:
            if str(address) == name or str(address).endswith("/" + name):
                return address
        known = ", ".join(address.node for address in self.cluster.hosts)
        raise BadFault(f"there is no node {name!r}; there are {known}")

    def zone(self, name: str) -> list[Address]:
        """The machines of a zone."""
        found = [address for address in self.cluster.hosts if address.zone == name]
        if not found:
            zones = ", ".join(sorted({address.zone for address in self.cluster.hosts}))
            raise BadFault(f"there is no zone {name!r}; there are {zones}")
        return found

    def groups_led(self, table: str | None = None) -> dict[Address, list[str]]:
        """Which groups (of a table, or all) each machine leads; machines that lead nothing are left out."""
        led: dict[Address, list[str]] = {}
        for node in self.cluster.nodes():
            for group, replica in getattr(node, "replicas", {}).items():
                if replica.is_leader and table in (None, replica.spec.table):
                    led.setdefault(node.address, []).append(group)
        return led

    # --- faults -------------------------------------------------------------------------------------------------------

    def inject(self, request: Body) -> Entry:
        """Put a fault on. Raises BadFault."""
        from dynalab.lab.catalogue import start_fault

        if len(self.entries) >= FAULTS_MAX:
            self.entries = [entry for entry in self.entries if entry.stop is not None]
            if len(self.entries) >= FAULTS_MAX:
                raise BadFault(f"{FAULTS_MAX} faults are on; heal first")
        name = request.get("fault")
        if not isinstance(name, str):
            raise BadFault('name a fault: {"fault": "kill-leader"}')
        parameters = {key: value for key, value in request.items() if key != "fault"}
        number = self.entries[-1].number + 1 if self.entries else 1
        entry = Entry(number, name, parameters, monotonic_ns() - self._began_ns)
        duration_ms = start_fault(self, entry)
        self.entries.append(entry)
        if duration_ms is not None:
            self.cluster.call_later(duration_ms * 1_000_000, lambda: self._stop(entry))
        return entry

    def heal(self) -> None:
        """Take every fault off, the last one first. Nodes that are down start again."""
        for entry in reversed(self.entries):
            self._stop(entry)
        for address in self.cluster.hosts:
            self.cluster.restart(address)

    def _stop(self, entry: Entry) -> None:
        stop, entry.stop = entry.stop, None
        if stop is not None:
            entry.until_ns = monotonic_ns() - self._began_ns
            stop()

    def state(self) -> Body:
        """What is on, what was, which nodes run, who leads, and what the nodes told."""
        led = self.groups_led()
        nodes: list[JSON] = [
            {
                "node": str(address),
                "up": host.node is not None,
                "incarnation": host.incarnation,
                "leads": cast(JSON, sorted(led.get(address, []))),
            }
            for address, host in self.cluster.hosts.items()
        ]
        return {
            "faults": [entry.to_json() for entry in self.entries],
            "nodes": nodes,
            "indexes": self.index_queues(),
            "told": cast(JSON, dict(sorted(self.cluster.told.items()))),
            "failures": cast(JSON, list(self.cluster.failures)),
            "recorded": len(self.recorder),
            "left_out": cast(JSON, sorted(self.recorder.left_out)),
        }

    def index_queues(self) -> list[JSON]:
        """For each global index: how many changes are on their way to it, and for how long the oldest has been."""
        queues: dict[tuple[str, str], tuple[int, int]] = {}
        for host in self.cluster.hosts.values():
            if isinstance(host.node, StorageNode):
                for name, (changes, lag_ns) in index_duties.queues(host.node, host.wall_ns).items():
                    before, most_ns = queues.get(name, (0, 0))
                    queues[name] = before + changes, max(most_ns, lag_ns)
        return [
            {"table": table, "index": index, "queued": changes, "lag_ms": lag_ns // 1_000_000}
            for (table, index), (changes, lag_ns) in sorted(queues.items())
        ]

    # --- requests of clients ------------------------------------------------------------------------------------------

    def intercept(self, name: str, operation: Operation, connection: int, answer: Answer) -> Answer | None:
        """Record a request and break it if a rule says so."""
        answer = self.recorder.watch(operation, connection, answer)
        if isinstance(operation, CreateTable):
            answer = self._learning(operation.schema, answer)
        elif isinstance(operation, ChangeDestination):
            answer = self._carrying(answer)
        for rule in self.calls:
            if rule.fires(name, operation):
                if rule.when == "after":
                    return _failing_after(answer)
                refusal = rule.response(name, operation)
                if refusal is not None:
                    answer(refusal)
                    return None
        return answer

    def _learning(self, schema: TableSchema, answer: Answer) -> Answer:
        def learned(response: Response) -> None:
            if response.status == 200:
                self.recorder.schemas[schema.name] = schema
            answer(response)

        return learned

    def _carrying(self, answer: Answer) -> Answer:
        def changed(response: Response) -> None:
            if response.status == 200:
                self._spawn(self.deliveries.run())
            answer(response)

        return changed

    async def learn_tables(self) -> None:
        """Read the keys of tables that are there already, so that their operations can be recorded; and carry on what
        belongs to their Kinesis destinations.
        """
        self._spawn(self.deliveries.run())
        listed = await self.cluster.call(ListTables())
        for table in cast("list[str]", listed.body.get("TableNames", [])):
            described = await self.cluster.call(DescribeTable(table))
            if described.status == 200:
                self.recorder.schemas[table] = _schema(cast(Body, described.body["Table"]))

    # --- HTTP ---------------------------------------------------------------------------------------------------------

    def handle(self, exchange: Exchange) -> None:
        """Answer a request to `/_dynalab/…`."""
        host = exchange.headers.get(b"host", b"").rpartition(b":")[0] or exchange.headers.get(b"host", b"")
        if host not in _LOOPBACK:
            _json(exchange, 403, {"error": "the lab answers to loopback names only"})
            return
        route = self._routes.get((exchange.method, exchange.url.partition(b"?")[0].removeprefix(b"/_dynalab/")))
        if route is None:
            known = ", ".join(f"{method.decode()} /_dynalab/{path.decode()}" for method, path in self._routes)
            _json(exchange, 404, {"error": f"no such page; there are {known}"})
            return
        content_type = exchange.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if exchange.method != b"GET" and content_type != JSON_TYPE:
            _json(exchange, 415, {"error": "send Content-Type: application/json"})
            return
        try:
            route(exchange)
        except (BadFault, BadQuery) as error:
            _json(exchange, 400, {"error": str(error)})

    def _post_fault(self, exchange: Exchange) -> None:
        try:
            request = json.loads(exchange.body)
        except (ValueError, RecursionError) as error:
            raise BadFault(f"the body is not JSON: {error}") from error
        if not isinstance(request, dict):
            raise BadFault('the body must be an object: {"fault": "kill-leader"}')
        if request.get("fault") == "heal":
            self._post_heal(exchange)
        else:
            _json(exchange, 200, self.inject(request).to_json())

    def _post_heal(self, exchange: Exchange) -> None:
        self.heal()
        _json(exchange, 200, self.state())

    def _post_reset(self, exchange: Exchange) -> None:
        self._spawn(self._reset(exchange))

    def _get_history(self, exchange: Exchange) -> None:
        body = "".join(line + "\n" for line in self.recorder.lines())
        exchange.answer(200, LINES, body.encode())

    async def _reset(self, exchange: Exchange) -> None:
        self.heal()
        loop = asyncio.get_running_loop()
        give_up = loop.time() + RESET_SECONDS_MAX
        while loop.time() < give_up:
            listed = await self.cluster.call(ListTables())
            names = cast("list[str]", listed.body.get("TableNames", []))
            if listed.status == 200 and not names:
                self.entries.clear()
                self.recorder.clear()
                self.recorder.schemas.clear()
                self.deliveries.streams.clear()
                _json(exchange, 200, {"reset": True})
                return
            for name in names:
                await self.cluster.call(DeleteTable(name))
            await asyncio.sleep(0.005)
        _json(exchange, 503, {"error": f"the tables were not gone after {RESET_SECONDS_MAX:.0f} s"})

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)  # the loop itself keeps only a weak reference
        task.add_done_callback(self._tasks.discard)


def _failing_after(answer: Answer) -> Answer:
    lost = error_response(internal_server_error())
    return lambda response: answer(lost if response.status == 200 else response)


def _query(exchange: Exchange) -> bytes:
    return exchange.url.partition(b"?")[2]


def _json(exchange: Exchange, status: int, body: Body) -> None:
    exchange.answer(status, JSON_TYPE, json.dumps(body).encode() + b"\n")


def _schema(table: Body) -> TableSchema:
    types = {
        str(definition["AttributeName"]): str(definition["AttributeType"])
        for definition in cast("list[dict[str, str]]", table["AttributeDefinitions"])
    }

    def keys(elements: object) -> KeySchema:
        hashes, ranges = (
            tuple(
                KeyAttribute(element["AttributeName"], types[element["AttributeName"]])
                for element in cast("list[dict[str, str]]", elements)
                if element["KeyType"] == role
            )
            for role in ("HASH", "RANGE")
        )
        return KeySchema(hashes[0], ranges[0] if ranges else None, hashes[1:], ranges[1:])

    def indexes(member: str) -> tuple[IndexSchema, ...]:
        return tuple(
            IndexSchema(str(index["IndexName"]), keys(index["KeySchema"]), "ALL")
            for index in cast("list[dict[str, object]]", table.get(member) or [])
        )

    name, key = str(table["TableName"]), keys(table["KeySchema"])
    return TableSchema(name, key, indexes("GlobalSecondaryIndexes"), indexes("LocalSecondaryIndexes"))

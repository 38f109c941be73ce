"""The lab of a router: the words of `dynalab fault`, done to processes. The HTTP interface is that of `dynalab.lab`.

Rules of this room:

1. Kills are kill -9, pauses are SIGSTOP, a cut link is a closed connection (`outside`). What acts inside a node (delay,
   loss, clocks, index lag) is written into the cluster file, and every node follows it (`rules`).
2. Scripted failures of single calls and the history belong to the one router that was asked: they are about its own
   clients. They are `dynalab.lab`'s, unchanged.
3. Work on processes takes milliseconds to seconds and is done in a thread; the loop serves on. What a router began it
   forgets when it dies; the cluster file does not, and `heal` takes off whatever is on.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from dataclasses import dataclass
from time import monotonic_ns
from typing import cast

from dynalab.drivers.cluster import operations, outside
from dynalab.drivers.cluster.outside import DAY_MS, Stop, Strike
from dynalab.drivers.cluster.state import Body, ClusterError, Directory
from dynalab.drivers.cluster.status import Status, led, look
from dynalab.drivers.embedded import EmbeddedCluster
from dynalab.endpoint.http import Exchange
from dynalab.endpoint.service import Answer
from dynalab.lab.calls import table_of
from dynalab.lab.catalogue import Parameters
from dynalab.lab.control import JSON_TYPE, BadFault, Lab
from dynalab_impl.effects import JSON
from dynalab_model.operations import Operation

CALLS = ("throttle", "fail")  # of single requests: the router's own
ENTRIES_MAX = 1_000
LEARN_SECONDS = 0.5  # between two looks for tables that other routers made
_LOOPBACK = (b"127.0.0.1", b"localhost", b"[::1]")


@dataclass(slots=True)
class Entry:
    """A fault that was put on here. `stop` takes it off; None once that has happened."""

    number: int
    parameters: Body
    since_ns: int
    strike: Strike
    until_ns: int | None = None
    stop: Stop | None = None

    def to_json(self, hits: int) -> Body:
        """As `dynalab.lab` shows it."""
        return {
            "id": self.number,
            "fault": self.strike.fault,
            **self.parameters,
            **self.strike.told,
            "active": self.stop is not None,
            "hits": self.strike.hits + hits,
            "since_ns": self.since_ns,
            "until_ns": self.until_ns,
        }


class ClusterLab:
    """Breaks the cluster that its router belongs to. Made and used on the router's loop."""

    def __init__(self, cluster: EmbeddedCluster, directory: Directory) -> None:
        self.own = Lab(cluster)  # calls, recorder, reset: what concerns this router's clients
        self.directory = directory
        self.entries: list[Entry] = []
        self._loop = asyncio.get_running_loop()
        self._began_ns = monotonic_ns()
        self._tasks: set[asyncio.Task[None]] = set()
        self._learning = False
        self._serial = 0

    # --- requests of clients ------------------------------------------------------------------------------------------

    def intercept(self, name: str, operation: Operation, connection: int, answer: Answer) -> Answer | None:
        """Record a request and break it if a rule says so."""
        table = table_of(operation)
        if table is not None and table not in self.own.recorder.schemas and not self._learning:
            # Made through another router, or before this process began: recorded as soon as its keys are known.
            self._learning = True
            self._spawn(self._learn())
        return self.own.intercept(name, operation, connection, answer)

    async def _learn(self) -> None:
        try:
            await self.own.learn_tables()
            await asyncio.sleep(LEARN_SECONDS)  # a table that does not exist must not make every request ask again
        finally:
            self._learning = False

    # --- HTTP ---------------------------------------------------------------------------------------------------------

    def handle(self, exchange: Exchange) -> None:
        """Answer a request to `/_dynalab/…`."""
        page = exchange.url.partition(b"?")[0].removeprefix(b"/_dynalab/")
        host = exchange.headers.get(b"host", b"").rpartition(b":")[0] or exchange.headers.get(b"host", b"")
        content_type = exchange.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        trusted = host in _LOOPBACK and (exchange.method == b"GET" or content_type == JSON_TYPE)
        if trusted and page == b"faults" and exchange.method in (b"GET", b"POST", b"DELETE"):
            self._spawn(self._faults(exchange))
        elif trusted and page == b"reset" and exchange.method == b"POST":
            self._spawn(self._reset(exchange))
        else:
            self.own.handle(exchange)  # the history, and refusals

    async def _faults(self, exchange: Exchange) -> None:
        try:
            answer = await self._answer(exchange)
        except (BadFault, ClusterError) as error:
            exchange.answer(400, JSON_TYPE, json.dumps({"error": str(error)}).encode() + b"\n")
            return
        if answer is not None:
            exchange.answer(200, JSON_TYPE, json.dumps(answer).encode() + b"\n")

    async def _answer(self, exchange: Exchange) -> Body | None:
        if exchange.method == b"GET":
            return self._state(await asyncio.to_thread(look, self.directory))
        request: Body = _object(exchange.body) if exchange.method == b"POST" else {"fault": "heal"}
        if request.get("fault") == "heal":
            await self._heal()
            return self._state(await asyncio.to_thread(look, self.directory))
        if request.get("fault") in CALLS:
            self.own.handle(exchange)
            return None
        return await self._inject(request)

    async def _reset(self, exchange: Exchange) -> None:
        try:
            await self._heal()
        except ClusterError as error:
            exchange.answer(503, JSON_TYPE, json.dumps({"error": str(error)}).encode() + b"\n")
            return
        self.entries.clear()
        self.own.handle(exchange)

    async def _heal(self) -> None:
        now_ns = monotonic_ns() - self._began_ns
        for entry in self.entries:
            if entry.stop is not None:
                entry.stop, entry.until_ns = None, now_ns
        self.own.heal()
        await asyncio.to_thread(operations.heal, self.directory)

    async def _inject(self, request: Body) -> Body:
        name = request.get("fault")
        if not isinstance(name, str):
            raise BadFault('name a fault: {"fault": "kill-leader"}')
        start = outside.FAULTS.get(name)
        if start is None:
            raise BadFault(f"there is no fault {name!r}; there are {', '.join((*outside.FAULTS, *CALLS))}, heal")
        if len(self.entries) >= ENTRIES_MAX:
            self.entries = [entry for entry in self.entries if entry.stop is not None]
            if len(self.entries) >= ENTRIES_MAX:
                raise BadFault(f"{ENTRIES_MAX} faults are on; heal first")
        given = {key: value for key, value in request.items() if key != "fault"}
        parameters = Parameters(name, given)
        duration_ms = parameters.number("duration_ms", None, 1, DAY_MS)
        strike = Strike(self.directory, name, parameters, self._later)
        self._serial += 1
        entry = Entry(self._serial, given, monotonic_ns() - self._began_ns, strike)
        entry.stop = await asyncio.to_thread(start, strike)
        self.entries.append(entry)
        if duration_ms is not None:
            self._loop.call_later(duration_ms / 1_000, self._stop, entry)
        return entry.to_json(0)

    def _stop(self, entry: Entry) -> None:
        stop, entry.stop = entry.stop, None
        if stop is not None:
            entry.until_ns = monotonic_ns() - self._began_ns
            self._spawn(_quietly(stop))

    def _later(self, delay_ms: int, action: Stop) -> None:
        # Called from a thread of the lab.
        def begin() -> None:
            self._loop.call_later(delay_ms / 1_000, lambda: self._spawn(_quietly(action)))

        self._loop.call_soon_threadsafe(begin)

    def _state(self, status: Status) -> Body:
        leaders = led(status)
        nodes: list[JSON] = [
            {
                "node": str(node.place.address),
                "up": node.state == "up",
                "state": node.state,
                "incarnation": status.state.machines.incarnations.get(node.place.address, 0),
                "leads": cast(JSON, sorted(group for group, leader in leaders.items() if leader == name)),
            }
            for name, node in status.nodes.items()
        ]
        told: dict[str, int] = {}
        hits: dict[str, int] = {}
        failures: list[JSON] = []
        for node in status.nodes.values():
            failures += cast("list[JSON]", node.report.get("failures", []))
            for total, part in ((told, node.report.get("told", {})), (hits, node.report.get("hits", {}))):
                for kind, count in cast("dict[str, int]", part).items():
                    total[kind] = total.get(kind, 0) + count
        faults: list[JSON] = [entry.to_json(hits.get(str(entry.strike.number), 0)) for entry in self.entries]
        return {
            "faults": [*faults, *(one.to_json() for one in self.own.entries)],
            "nodes": nodes,
            "told": cast(JSON, dict(sorted(told.items()))),
            "failures": failures,
            "recorded": len(self.own.recorder),
            "left_out": cast(JSON, sorted(self.own.recorder.left_out)),
            "cuts": cast(JSON, [list(link) for link in status.state.cuts]),
        }

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)  # the loop itself keeps only a weak reference
        task.add_done_callback(self._tasks.discard)


async def _quietly(action: Stop) -> None:
    try:
        await asyncio.to_thread(action)
    except ClusterError:
        return  # somebody else healed it before, or took the cluster down


def _object(body: bytes) -> Body:
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadFault(f"the body is not JSON: {error}") from error
    if not isinstance(request, dict):
        raise BadFault('the body must be an object: {"fault": "kill-leader"}')
    return cast(Body, request)

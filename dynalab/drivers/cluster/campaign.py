"""A campaign against real processes: the register workload over HTTP, faults for real, the usual judges.

Rules of this room:

1. Clients never retry, and what they write down is all that is judged: linearizability of strong reads and writes,
   sessions, and that eventual reads show only what was committed. A run is `valid` only if the cluster also came back
   (*liveness*), its replicas are equal (*convergence*), and every fault of the list bit.
2. The seed draws the script of faults and what clients ask. When things happen is up to the machine: a run cannot be
   replayed, so its history is kept.
3. With boto3 beside it, every call of that program must succeed, at the latest in one of boto3's own retries, and what
   was acknowledged to it must be read.
4. The cluster is one and the same throughout; afterwards no process and no file of it is left.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import cast

from dynalab.drivers.cluster.balancer import Balancer
from dynalab.drivers.cluster.client import Client, NotSent, Outcome, Unknown
from dynalab.drivers.cluster.driver import ClusterDriver
from dynalab.drivers.cluster.nemesis import STRIKES, Nemesis
from dynalab.drivers.cluster.operations import Shape
from dynalab.drivers.cluster.shop import Report, Shop
from dynalab_checkers.history import History, Json
from dynalab_fault_injection.judges import Judgement, judge
from dynalab_fault_injection.run import RunResult
from dynalab_fault_injection.sometimes import WORDS
from dynalab_fault_injection.workloads import Call, Register, Workload
from dynalab_fault_injection.workloads.items import get, put, value_of
from dynalab_impl.effects import Response
from dynalab_model.operations import CreateTable, DescribeTable, Operation

SECOND = 1_000_000_000
SETTINGS: dict[str, object] = {"BillingMode": "PAY_PER_REQUEST"}
TABLE_SECONDS_MAX = 30.0
LIVENESS_SECONDS_MAX = 30.0
CONVERGENCE_SECONDS_MAX = 30.0
PAUSE_SECONDS = 0.1
KEY_SECONDS = 5  # a key for so many seconds of the campaign: judging a key costs more, the longer its history
READER_EVERY = 4  # every fourth client only reads
DEFAULT_FAULTS = tuple(STRIKES)


@dataclass(frozen=True, slots=True)
class Setting:
    """Parameters of a campaign besides seed and faults."""

    seconds: float = 60.0
    clients: int = 12
    timeout_seconds: float = 3.0
    shape: Shape = field(default_factory=Shape)
    data: str | None = None  # None: a directory of its own, removed afterwards
    lab: bool = False
    operations_min: int = 300
    bites_min: int = 2
    probes: int = 24
    budget: int = 2_000_000
    with_boto3: bool = False  # an ordinary boto3 program is served throughout, and judged (`shop`)


class Recorder:
    """The history while it happens, with the machine's monotonic clock."""

    def __init__(self) -> None:
        self.events: list[dict[str, Json]] = []
        self.completed = 0
        self._began_ns = time.monotonic_ns()
        self._processes = 0

    def now_ns(self) -> int:
        """Time of the history."""
        return time.monotonic_ns() - self._began_ns

    def new_process(self) -> int:
        """A process id that nobody had before."""
        self._processes += 1
        return self._processes - 1

    def invoke(self, process: int, call: Call, session: str) -> None:
        """An operation begins."""
        self._add(process, "invoke", call, {**call.fields, "session": session})

    def complete(self, process: int, call: Call, kind: str, fields: dict[str, Json]) -> None:
        """It ended in ok, fail or info."""
        self.completed += kind != "info"
        self._add(process, kind, call, fields)

    def _add(self, process: int, kind: str, call: Call, fields: dict[str, Json]) -> None:
        # The clock is read after the answer came and before the request goes: an interval is never too short.
        event: dict[str, Json] = {"index": len(self.events), "time": self.now_ns(), "process": process}
        self.events.append({**event, "type": kind, "f": call.f, "key": call.key, **fields})


@dataclass(slots=True)
class Actor:
    """One client of the campaign: one operation at a time, at one router until that one disappoints it.

    Readers have a router of their own. A router that sends writes learns of a new leader from them; one that only reads
    goes on asking whom it knows, and that is who would answer with what is old, had its lease not run out.
    """

    number: int
    driver: ClusterDriver
    recorder: Recorder
    workload: Workload
    random: Random
    timeout_seconds: float
    reads_only: bool = False
    not_sent: int = 0

    async def run(self, end_ns: int) -> None:
        """Operations until that time."""
        process, router = self.recorder.new_process(), self._home()
        client = self.driver.client(router)
        try:
            while self.recorder.now_ns() < end_ns:
                call, think_ns = self._next()
                asked = (self.number, process, call, self.timeout_seconds, f"c{self.number}")
                kind, outcome = await record(self.recorder, client, self.workload, *asked)
                if kind == "info":
                    process = self.recorder.new_process()
                failed = isinstance(outcome, NotSent | Unknown)
                if failed or self.random.randrange(16) == 0:
                    client.close()
                    router = router + 1 if failed else self._home()
                    client = self.driver.client(router)
                if isinstance(outcome, NotSent):
                    self.not_sent += 1
                    await asyncio.sleep(PAUSE_SECONDS)
                await asyncio.sleep(think_ns / SECOND)
        finally:
            client.close()

    def _home(self) -> int:
        count = len(self.driver.urls)
        return count - 1 if self.reads_only else self.number % max(1, count - 1)

    def _next(self) -> tuple[Call, int]:
        call, think_ns = self.workload.next(self.number, self.random, self.recorder.now_ns())
        return (self.workload.final_read(call.key), think_ns // 4) if self.reads_only else (call, think_ns)


async def record(
    recorder: Recorder,
    client: Client,
    workload: Workload,
    number: int,
    process: int,
    call: Call,
    timeout_seconds: float,
    session: str,
) -> tuple[str, Outcome]:
    """Carry one operation out and write it down; gives the event's type and what came back."""
    recorder.invoke(process, call, session)
    outcome = await client.request(call.operation, timeout_seconds)
    kind: str
    fields: dict[str, Json]
    if isinstance(outcome, NotSent):
        kind, fields = "fail", {"error": "nobody listened"}
    elif isinstance(outcome, Unknown):
        kind, fields = "info", {"error": outcome.why}
    elif outcome.status == 200 or outcome.error == "ConditionalCheckFailedException":
        kind, fields = workload.learn(number, call, outcome)
    else:
        kind, fields = "info" if outcome.status >= 500 else "fail", {"error": outcome.error or str(outcome.status)}
    recorder.complete(process, call, kind, fields)
    return kind, outcome


def run(
    seed: int = 1,
    faults: tuple[str, ...] = DEFAULT_FAULTS,
    setting: Setting | None = None,
    *,
    progress: Callable[[float], None] | None = None,
) -> RunResult:
    """Run and judge; `progress` is told the seconds that have passed. Raises ClusterError if it cannot start.

    `trace_hash` is empty: a run of real processes has no trace that could be repeated.
    """
    for name in faults:
        if name not in STRIKES:
            raise ValueError(f"no such fault of a cluster: {name}; known are {', '.join(STRIKES)}")
    return asyncio.run(Campaign(seed, faults, setting or Setting(), progress).go())


class Campaign:
    """The parts of a campaign, one after the other."""

    def __init__(
        self, seed: int, faults: tuple[str, ...], setting: Setting, progress: Callable[[float], None] | None
    ) -> None:
        self.seed = seed
        self.faults = faults
        self.setting = setting
        self.progress = progress
        self.workload = Register(key_count=max(6, int(setting.seconds) // KEY_SECONDS))
        self.recorder = Recorder()
        self.judgements: list[Judgement] = []
        self.told: dict[str, int] = {}
        self.nemesis: Nemesis | None = None
        self.actors: list[Actor] = []
        self.shopped: Report | None = None

    async def go(self) -> RunResult:
        """The whole campaign."""
        async with ClusterDriver(self.setting.data, self.setting.shape, lab=self.setting.lab) as driver:
            if await self._create_table(driver):
                async with self._shopping(driver):
                    await self._load(driver)
                    await driver.heal()
                await self._ask_everything_back(driver)
            else:
                self._problem("liveness", f"the table was not active within {TABLE_SECONDS_MAX:.0f} s")
            await self._hear(driver)
        return self._result()

    async def _create_table(self, driver: ClusterDriver) -> bool:
        schema = self.workload.schema()
        give_up = time.monotonic() + TABLE_SECONDS_MAX
        operation: Operation = CreateTable(schema, dict(SETTINGS))
        while time.monotonic() < give_up:
            answer = await self._ask(driver, operation)
            if answer is not None and (answer.status == 200 or answer.error == "ResourceInUseException"):
                operation = DescribeTable(schema.name)
                if cast("dict[str, Json]", answer.body.get("Table", {})).get("TableStatus") == "ACTIVE":
                    return True
            await asyncio.sleep(PAUSE_SECONDS)
        return False

    @asynccontextmanager
    async def _shopping(self, driver: ClusterDriver) -> AsyncIterator[None]:
        """The boto3 program is served while the context is open, if there is to be one; then it is judged."""
        if not self.setting.with_boto3:
            yield
            return
        async with Balancer(driver.urls) as balancer:
            shop = await Shop.open(balancer.url)
            try:
                yield
                self.shopped = await shop.close()
            finally:
                await shop.kill()
        self.judgements.append(self.shopped.judgement())

    async def _load(self, driver: ClusterDriver) -> None:
        setting, seconds_ns = self.setting, int(self.setting.seconds * SECOND)
        end_ns = self.recorder.now_ns() + seconds_ns
        for number in range(setting.clients):
            draws = Random((self.seed << 16) + number)
            reads_only = number % READER_EVERY == READER_EVERY - 1
            base = (number, driver, self.recorder, self.workload, draws, setting.timeout_seconds)
            self.actors.append(Actor(*base, reads_only=reads_only))
        self.nemesis = Nemesis(driver, self.faults, Random(self.seed), self.recorder.now_ns)
        # A quiet second before and after, so that every history also shows the healthy system.
        work = [actor.run(end_ns) for actor in self.actors]
        work.append(self._tick(end_ns))
        if self.faults:
            work.append(self._break(self.nemesis, end_ns - SECOND))
        async with asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(one)

    async def _break(self, nemesis: Nemesis, end_ns: int) -> None:
        await asyncio.sleep(1.0)
        await nemesis.run(end_ns)

    async def _tick(self, end_ns: int) -> None:
        while self.progress is not None and self.recorder.now_ns() < end_ns:
            self.progress(self.recorder.now_ns() / SECOND)
            await asyncio.sleep(0.2)

    # --- afterwards ---------------------------------------------------------------------------------------------------

    async def _ask_everything_back(self, driver: ClusterDriver) -> None:
        stuck = await self._probe(driver)
        if stuck:
            self._problem("liveness", f"{LIVENESS_SECONDS_MAX:.0f} s after everything healed, {stuck}")
            return
        self.judgements.append(Judgement("liveness", "valid"))
        give_up = time.monotonic() + CONVERGENCE_SECONDS_MAX
        while differing := await self._differing(driver):
            if time.monotonic() > give_up:
                self._problem("convergence", differing)
                return
            await asyncio.sleep(PAUSE_SECONDS)
        self.judgements.append(Judgement("convergence", "valid"))

    async def _probe(self, driver: ClusterDriver) -> str:
        """Strong reads of all keys (recorded), then a write and a read of each probe key. Gives what was not served."""
        give_up = time.monotonic() + LIVENESS_SECONDS_MAX
        number, process = len(self.actors), self.recorder.new_process()
        for turn, key in enumerate(self.workload.key_names()):
            while True:
                client = driver.client(turn)
                call = self.workload.final_read(key)
                kind, _ = await record(
                    self.recorder,
                    client,
                    self.workload,
                    number,
                    process,
                    call,
                    self.setting.timeout_seconds,
                    "operator",
                )
                client.close()
                if kind == "ok":
                    break
                process = self.recorder.new_process()
                if time.monotonic() > give_up:
                    return f"a strong read of {key} was not served"
                await asyncio.sleep(PAUSE_SECONDS)
        table = self.workload.schema().name
        for probe in range(self.setting.probes):
            key = f"probe{probe}"
            if await self._insist(driver, put(table, key, probe + 1), give_up) is None:
                return f"a write of {key} was not served"
            answer = await self._insist(driver, get(table, key, consistent=True), give_up)
            if answer is None:
                return f"a strong read of {key} was not served"
            if value_of(answer.body.get("Item")) != probe + 1:
                return f"a strong read of {key} did not show the write before it"
        return ""

    async def _differing(self, driver: ClusterDriver) -> str:
        status = await driver.look()
        incomplete = status.incomplete()
        if incomplete:
            return f"{incomplete[0][1]} is no full member of {incomplete[0][0]}"
        for group, held in (await driver.digests(self.workload.schema().name)).items():
            if len({digest.digest for digest in held.values()}) > 1:
                shown = ", ".join(f"{name} {digest.items} items" for name, digest in held.items())
                return f"replicas of {group} differ: {shown}"
        return ""

    async def _ask(self, driver: ClusterDriver, operation: Operation) -> Response | None:
        for router in range(len(driver.urls)):
            client = driver.client(router)
            outcome = await client.request(operation, self.setting.timeout_seconds * 2)
            client.close()
            if isinstance(outcome, Response):
                return outcome
        return None

    async def _insist(self, driver: ClusterDriver, operation: Operation, give_up: float) -> Response | None:
        while True:
            answer = await self._ask(driver, operation)
            if answer is not None and answer.status == 200:
                return answer
            if time.monotonic() > give_up:
                return None
            await asyncio.sleep(PAUSE_SECONDS)

    async def _hear(self, driver: ClusterDriver) -> None:
        """What the nodes told in their last lives, and whether one died of itself."""
        for name, node in (await driver.look()).nodes.items():
            for kind, count in cast("dict[str, int]", node.report.get("told", {})).items():
                self.told[kind] = self.told.get(kind, 0) + count
            failures = cast("list[str]", node.report.get("failures", []))
            if node.state != "up" or failures:
                self._problem("crash", failures[0] if failures else f"{name} is {node.state} although nobody ended it")

    def _problem(self, checker: str, why: str) -> None:
        self.judgements.append(Judgement(checker, "invalid", why))

    # --- the result ---------------------------------------------------------------------------------------------------

    def _result(self) -> RunResult:
        setting, recorder = self.setting, self.recorder
        judged, staleness = judge(History.from_events(recorder.events), self.workload.name, setting.budget)
        judgements = judged + self.judgements
        bands = self.nemesis.bands if self.nemesis is not None else []
        bitten = {band.name for band in bands if band.bit}
        missed = [name for name in self.faults if name not in bitten]
        if recorder.completed < setting.operations_min:
            why = f"only {recorder.completed} operations completed: too few to say anything"
            judgements.append(Judgement("strength", "unknown", why))
        elif missed:
            judgements.append(Judgement("strength", "unknown", f"{', '.join(missed)} never bit"))
        decisive = next((j for verdict in ("invalid", "unknown") for j in judgements if j.verdict == verdict), None)
        return RunResult(
            seed=self.seed,
            workload=self.workload.name,
            faults=self.faults,
            verdict="valid" if decisive is None else decisive.verdict,
            trace_hash="",
            operations=recorder.completed,
            sometimes=self._sometimes(staleness),
            verdicts=judgements,
            why="" if decisive is None else f"{decisive.checker}: {decisive.why}",
            history=recorder.events,
            bands=bands,
            staleness=staleness,
        )

    def _sometimes(self, staleness: dict[str, Json]) -> dict[str, int]:
        """Counted evidence of everything that ought to happen sometimes."""
        sometimes = {WORDS.get(kind, kind): count for kind, count in sorted(self.told.items())}
        for band in self.nemesis.bands if self.nemesis is not None else []:
            for name, count in {f"fault:{band.name}": int(band.bit), **band.evidence}.items():
                sometimes[name] = sometimes.get(name, 0) + count
        stale = staleness.get("stale")
        if isinstance(stale, int):
            sometimes["stale-reads-seen"] = stale
        if self.shopped is not None:
            sometimes |= self.shopped.figures()
        sometimes["requests-that-nobody-heard"] = sum(actor.not_sent for actor in self.actors)
        sometimes["operations-of-unknown-outcome"] = sum(event["type"] == "info" for event in self.recorder.events)
        return {name: count for name, count in sometimes.items() if count}

"""One run: form a cluster, create the table, let clients and faults at it, heal, and ask for everything back.

A run ends well if the judges find nothing, and if after healing every group serves strong reads and writes again
within a bound (*liveness*), all replicas are equal and the index is the projection of its base (*convergence*). A run
that was too weak to show anything (too few operations, too few faults that bit) is `unknown`: not a failure, and
never a pass.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from pathlib import Path

from dynalab_checkers.history import History, Json
from dynalab_fault_injection.archive_judge import archive_agrees
from dynalab_fault_injection.cluster import Cluster
from dynalab_fault_injection.faults import CATALOGUE, WALL_OFFSETS_NS, Window, heal, plan
from dynalab_fault_injection.implementation import implementation_format
from dynalab_fault_injection.judges import WALL_ERROR_NS, Judgement, judge, replicas_agree
from dynalab_fault_injection.operator import Operator
from dynalab_fault_injection.simulator import Parameters, Simulation, stream
from dynalab_fault_injection.sometimes import WORDS
from dynalab_fault_injection.throttle_fault import USUAL
from dynalab_fault_injection.workloads import WORKLOADS, Actor, Recorder, Workload
from dynalab_fault_injection.workloads.index_churn import IndexChurn
from dynalab_fault_injection.workloads.stream import Stream
from dynalab_impl.effects import Limits, Timing, Topology, layout
from dynalab_impl.service import make_node
from dynalab_impl.transaction_rules import RULES, promised_order

SECOND = 1_000_000_000
TABLE_MAX_NS = 30 * SECOND  # a healthy cluster has the table active long before
LIVENESS_MAX_NS = 20 * SECOND  # an election, a lease to wait out, and a second try of both
CONVERGENCE_MAX_NS = 30 * SECOND
BUILD_MAX_NS = 30 * SECOND  # to make an index that was being made, or dropped and not yet made again
DRAIN_MAX_NS = 30 * SECOND  # to read a stream once more
STREAM_ROLL_S = 7  # so that a run sees shards that are followed by others
LONGER_NS = 12 * SECOND  # clients of a run that was out of service for most of its time go on for so long
PROBES = 24  # keys written and read at the end: enough that every partition has some
POLL_NS = 250_000_000


TIGHT = Limits(partition_read=90, partition_write=30, burst_s=2, node_partitions=2)  # so that a run's load meets them
SPLIT_AFTER_S = 3  # so that a run sees partitions divided for heat
DEAD_AFTER_S = 6  # so that a run sees the autoadmin replace a replica


@dataclass(frozen=True, slots=True)
class Setting:
    """The parameters of a run besides seed, workload and faults. The defaults are those of the default run."""

    clients: int = 5
    seconds: int = 30
    zones: int = 3
    nodes_per_zone: int = 3
    routers: int = 2
    partitions: int = 4
    log_records_max: int = 120  # small, so that every run takes snapshots and truncates logs
    windows: int = 2  # windows of each fault
    timeout_ns: int = 3 * SECOND  # a client gives up after this
    operations_min: int = 300  # a run with fewer completed operations is too weak
    bites_min: int = 2  # ... or with fewer fault windows that bit (none is asked for in a run without faults)
    budget: int = 2_000_000  # steps of the linearizability search, a key
    through_codec: bool = False
    draws_parts: bool = True  # whether the seed decides about parts that a deployment may leave out
    transaction_rules: tuple[str, ...] = ()  # those that are on whatever the seed draws

    def rules(self, seed: int) -> tuple[str, ...]:
        """The further rules for transactions of a run: in a quarter of all, each as likely on as off."""
        drawn = stream(seed, "rules").getrandbits(2 + len(RULES)) if self.draws_parts else 1
        return tuple(
            name
            for number, name in enumerate(RULES, start=2)
            if name in self.transaction_rules or (drawn & 3 == 0 and drawn >> number & 1)
        )

    def topology(self, seed: int = 0, faults: tuple[str, ...] = ()) -> Topology:
        """The cluster of a run. Parts that a deployment may leave out are drawn by the seed: an archive, scrubs, tight
        limits, routers that refresh what they know, rules for transactions. A fault that aims at one of them has it.
        """
        diverges = "silent-divergence" in faults
        drawn = stream(seed, "swarm").getrandbits(8) if self.draws_parts else 0
        return layout(
            self.zones,
            self.nodes_per_zone,
            self.routers,
            partitions=self.partitions,
            log_records_max=self.log_records_max,
            # What appeared in one replica may be written down before it is found: the archive knows better.
            archive=not diverges and (drawn & 3 == 1 or "archive-outage" in faults or "archive-rot" in faults),
            scrub=diverges or drawn >> 2 & 3 == 1,
            refresh_on_hit=drawn >> 4 & 1 == 1,
            limits=USUAL if "throttling" in faults else TIGHT if drawn >> 5 == 1 else None,
            dead_after_s=DEAD_AFTER_S,
            split_after_s=SPLIT_AFTER_S,
            timing=Timing(stream_roll_s=STREAM_ROLL_S),
            transaction_rules=self.rules(seed),
        )


@dataclass(slots=True)
class FaultBand:
    """A fault window of a run, for the picture: when it was, and what it really did."""

    name: str
    start_ns: int
    end_ns: int
    evidence: dict[str, int]

    @property
    def bit(self) -> bool:
        return any(self.evidence.values())


@dataclass(slots=True)
class RunResult:
    """What came of one run. `history` holds the events; `why` is one sentence unless the verdict
    is valid.
    """

    seed: int
    workload: str
    faults: tuple[str, ...]
    verdict: str
    trace_hash: str
    operations: int
    sometimes: dict[str, int]
    verdicts: list[Judgement]
    why: str = ""
    history: list[dict[str, Json]] = field(default_factory=list)
    bands: list[FaultBand] = field(default_factory=list)
    staleness: dict[str, Json] = field(default_factory=dict)
    steps: int = 0
    virtual_ns: int = 0

    def as_json(self) -> dict[str, Json]:
        """The line that `dynalab campaign --json` prints."""
        return {
            "seed": self.seed,
            "workload": self.workload,
            "faults": list(self.faults),
            "verdict": self.verdict,
            "trace_hash": self.trace_hash,
            "operations": self.operations,
            "sometimes": dict(self.sometimes),
            "why": self.why,
        }


def run_one(
    seed: int,
    workload: str = "register",
    faults: tuple[str, ...] = ("node-crash",),
    setting: Setting | None = None,
) -> RunResult:
    """Run and judge. The result is a function of the arguments and the version, to the bit."""
    for name in faults:
        if name not in CATALOGUE:
            raise ValueError(f"no such fault: {name}; known are {', '.join(CATALOGUE)}")
    if workload not in WORKLOADS:
        raise ValueError(f"no such workload: {workload}; known are {', '.join(WORKLOADS)}")
    return Run(seed, WORKLOADS[workload](), faults, setting or Setting()).go()


class Run:
    """The parts of a run, one after the other."""

    def __init__(self, seed: int, workload: Workload, faults: tuple[str, ...], setting: Setting) -> None:
        self.setting = setting
        self.faults = faults
        self.workload = workload
        self.simulation = Simulation(
            seed,
            setting.topology(seed, faults),
            make_node,
            implementation_format(),
            Parameters(),
            through_codec=setting.through_codec,
        )
        self.cluster = Cluster(self.simulation, stream(seed, "faults"))
        self.recorder = Recorder(self.simulation)
        self.operator = Operator(self.simulation, self.recorder)
        self.actors: list[Actor] = []
        self.windows: list[Window] = []
        self.problems: list[Judgement] = []

    def go(self) -> RunResult:
        try:
            self._stages()
        except Exception as error:
            # An assertion of the implementation: the run failed, and what its clients saw until then is judged all
            # the same.
            self.problems.append(Judgement("crash", "invalid", _where(error)))
        return self._result()

    def _stages(self) -> None:
        simulation = self.simulation
        simulation.start()
        workload = self.workload
        settings = workload.settings() if isinstance(workload, Stream) else None
        prepared = workload.prepared() if isinstance(workload, Stream) else []
        schema = workload.first_schema() if isinstance(workload, IndexChurn) else workload.schema()
        if not self.operator.create_table(schema, TABLE_MAX_NS, settings):
            self.problems.append(Judgement("liveness", "invalid", "the table was not active within 30 s"))
            return
        if not self.operator.prepare(prepared, TABLE_MAX_NS):
            self.problems.append(Judgement("liveness", "invalid", "the table could not be changed within 30 s"))
            return
        self._set_off()
        end_ns = simulation.now + self.setting.seconds * SECOND
        simulation.run_until(end_ns)
        heal(self.cluster, self.windows)
        if self.recorder.completed < self.setting.operations_min:
            # Hardly anything could be done meanwhile: what came of it shows in what is done now.
            end_ns += LONGER_NS
            for actor in self.actors:
                actor.go_on(end_ns)
            simulation.run_until(end_ns)
        # The last operations end by an answer or by their time-out.
        simulation.run_until(end_ns + self.setting.timeout_ns + SECOND)
        assert all(actor.idle for actor in self.actors)
        self._ask_everything_back()

    def _set_off(self) -> None:
        simulation, setting = self.simulation, self.setting
        now, end_ns = simulation.now, simulation.now + setting.seconds * SECOND
        for number in range(setting.clients):
            index = len(simulation.clients)
            random = stream(simulation.seed, "client", number)
            actor = Actor(simulation, self.recorder, self.workload, index, random, end_ns, setting.timeout_ns)
            simulation.clients.append(actor)
            self.actors.append(actor)
            actor.begin(random.getrandbits(26))
        if self.faults:
            # A quiet second before and two after, so that every history also shows the healthy system.
            self.windows = plan(self.cluster, self.faults, now + SECOND, end_ns - 2 * SECOND, setting.windows)

    def _ask_everything_back(self) -> None:
        """Liveness, then convergence."""
        operator, workload = self.operator, self.workload
        deadline_ns = self.simulation.now + LIVENESS_MAX_NS
        stuck = operator.probe(workload, PROBES, deadline_ns)
        if stuck:
            why = f"{LIVENESS_MAX_NS // SECOND} s after everything healed, {stuck}"
            self.problems.append(Judgement("liveness", "invalid", why))
        else:
            self.problems.append(Judgement("liveness", "valid"))
        schema = workload.schema()
        if isinstance(workload, IndexChurn) and not operator.build(workload, self.simulation.now + BUILD_MAX_NS):
            why = f"{BUILD_MAX_NS // SECOND} s after everything healed, an index is not there"
            self.problems.append(Judgement("liveness", "invalid", why))
        deadline_ns = self.simulation.now + CONVERGENCE_MAX_NS
        verdicts = replicas_agree(self.cluster, schema)
        while any(v.verdict != "valid" for v in verdicts) and self.simulation.now < deadline_ns:
            self.simulation.run_until(self.simulation.now + POLL_NS)
            verdicts = replicas_agree(self.cluster, schema)
        self.problems += verdicts
        if isinstance(workload, Stream):
            stuck = operator.drain(workload, self.simulation.now + DRAIN_MAX_NS)
            if stuck:
                why = f"{DRAIN_MAX_NS // SECOND} s after everything healed, {stuck}"
                self.problems.append(Judgement("liveness", "invalid", why))
        if self.simulation.topology.archive:
            self.problems.append(archive_agrees(self.cluster, schema.name))

    def _result(self) -> RunResult:
        simulation, setting = self.simulation, self.setting
        history = History.from_events(self.recorder.events)
        order = promised_order(simulation.topology.transaction_rules)
        judgements, staleness = judge(history, self.workload.name, setting.budget, self._wall_error_ns(), order)
        judgements += self.problems
        if simulation.told.get("change-unfit"):
            judgements.append(Judgement("catalog", "invalid", "a rule of the catalog failed over a change in its log"))
        bands = [FaultBand(w.name, w.start_ns, w.end_ns, dict(w.fault.evidence)) for w in self.windows]
        bites = sum(band.bit for band in bands)
        if self.recorder.completed < setting.operations_min:
            why = f"only {self.recorder.completed} operations completed: too few to say anything"
            judgements.append(Judgement("strength", "unknown", why))
        elif self.faults and bites < setting.bites_min:
            judgements.append(Judgement("strength", "unknown", f"only {bites} fault windows bit"))
        decisive = [j for j in judgements if j.verdict == "invalid"] or [
            j for j in judgements if j.verdict == "unknown"
        ]
        return RunResult(
            seed=simulation.seed,
            workload=self.workload.name,
            faults=self.faults,
            verdict=decisive[0].verdict if decisive else "valid",
            trace_hash=simulation.trace_hash(),
            operations=self.recorder.completed,
            sometimes=self._sometimes(bands, staleness),
            verdicts=judgements,
            why=f"{decisive[0].checker}: {decisive[0].why}" if decisive else "",
            history=self.recorder.events,
            bands=bands,
            staleness=staleness,
            steps=simulation.steps,
            virtual_ns=simulation.now,
        )

    def _wall_error_ns(self) -> int:
        """How far a wall clock may have been ahead of virtual time."""
        return max(WALL_OFFSETS_NS) + WALL_ERROR_NS if "clock-offset" in self.faults else WALL_ERROR_NS

    def _sometimes(self, bands: list[FaultBand], staleness: dict[str, Json]) -> dict[str, int]:
        """Counted evidence of everything that ought to happen sometimes."""
        simulation = self.simulation
        sometimes: dict[str, int] = {}
        for kind in sorted(simulation.told):
            sometimes[WORDS.get(kind, kind)] = simulation.told[kind]
        for name in sorted(simulation.counters):
            sometimes[name] = sometimes.get(name, 0) + simulation.counters[name]
        for band in bands:
            if band.bit:
                sometimes[f"fault:{band.name}"] = sometimes.get(f"fault:{band.name}", 0) + 1
        sometimes["log-records-dropped"] = sum(host.dropped for host in simulation.hosts)
        stale = staleness.get("stale")
        if isinstance(stale, int) and stale:
            sometimes["stale-reads-seen"] = stale
        sometimes["answers-after-the-client-gave-up"] = sum(actor.late_answers for actor in self.actors)
        sometimes["operations-of-unknown-outcome"] = sum(1 for e in self.recorder.events if e["type"] == "info")
        return {name: count for name, count in sometimes.items() if count}


def _where(error: Exception) -> str:
    """The error and the last line of ours that it came through."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1]
    return f"{type(error).__name__}: {error} ({Path(last.filename).name}, line {last.lineno}, in {last.name})"

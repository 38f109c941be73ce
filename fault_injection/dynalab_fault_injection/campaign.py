"""Campaigns: seeds × workloads × faults, in parallel processes, resumable, summed up.

A campaign is valid if every run is, and if every fault that it planned bit at least once: a fault that never fired
makes it `unknown` (exit code 2), because then it did not test what it says. So does, in a long campaign that draws its
faults itself, anything that ought to happen sometimes and never did (`sometimes`). Results come in the order of the
jobs, whatever the number of processes.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from zlib import crc32

from dynalab_checkers.history import Json
from dynalab_checkers.verdict import worst
from dynalab_fault_injection.faults import CATALOGUE
from dynalab_fault_injection.judges import Judgement
from dynalab_fault_injection.planted_bugs import bug_named, laid_over, setting_of
from dynalab_fault_injection.replay_line import replay_line
from dynalab_fault_injection.results import Results, RunKey, StoredRun
from dynalab_fault_injection.run import FaultBand, RunResult, Setting, run_one
from dynalab_fault_injection.simulator import between, shuffled, stream
from dynalab_fault_injection.sometimes import RUNS_MIN, unseen
from dynalab_fault_injection.version import source_version
from dynalab_fault_injection.workloads import WORKLOADS

__all__ = [
    "FaultBand",
    "Job",
    "Judgement",
    "Replay",
    "RunResult",
    "Setting",
    "Summary",
    "campaign",
    "jobs",
    "replay",
    "replay_line",
    "run_one",
    "summarise",
    "swarm",
]

FEWEST, MOST = 2, 4  # faults of a run when nobody says which
NUMBERED = ("register", "index", "pages", "hot-key")


def swarm(seed: int, workload: str) -> tuple[str, ...]:
    """What a run is hurt by when nobody says: a few faults of the catalogue, drawn by the seed. Each run leaves most of
    them out, so that those which hide each other also come alone (swarm testing).

    >>> swarm(1, "register") == swarm(1, "register"), FEWEST <= len(swarm(1, "register")) <= MOST
    (True, True)
    """
    # The first workloads are numbered, later ones draw by their names: a new one changes no run of the others.
    known = workload in NUMBERED
    drawn = seed * len(NUMBERED) + NUMBERED.index(workload) if known else seed << 32 | crc32(workload.encode())
    random = stream(drawn, "swarm")
    count = between(random, FEWEST, MOST)
    borne = [kind.name for kind in CATALOGUE.values() if not kind.beyond]
    return tuple(shuffled(random, _useful(workload, borne))[:count])


@dataclass(frozen=True, slots=True)
class Job:
    """One run to do."""

    seed: int
    workload: str
    faults: tuple[str, ...]
    setting: Setting


@dataclass(slots=True)
class Summary:
    """What a campaign came to. `silent` are the planned faults that never bit, `unseen` what ought to happen sometimes
    and did not (of a campaign that drew its faults itself).
    """

    runs: int
    verdict: str
    verdicts: dict[str, int]
    operations: int
    sometimes: dict[str, int]
    silent: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 valid, 1 invalid, 2 unknown, a fault that never fired, or a long campaign that missed something."""
        return {"valid": 0, "invalid": 1, "unknown": 2}[self.verdict]

    def as_json(self) -> dict[str, Json]:
        """The last line that `dynalab campaign --json` prints."""
        return {
            "runs": self.runs,
            "verdict": self.verdict,
            "verdicts": dict(self.verdicts),
            "operations": self.operations,
            "sometimes": dict(self.sometimes),
            "silent": list(self.silent),
            "unseen": list(self.unseen),
        }


def jobs(
    seeds: Iterable[int],
    workloads: Sequence[str] = ("register", "index"),
    faults: Sequence[str] | None = None,
    setting: Setting | None = None,
) -> list[Job]:
    """One job a seed and workload. Named faults all come together in each run; without any, each run draws its own
    (`swarm`).

    Raises `ValueError` for a name that is in no table, and for faults that do nothing to a workload.

    >>> [(job.seed, job.workload, job.faults) for job in jobs(range(2), ["register"], ["loss", "index-lag"])]
    [(0, 'register', ('loss',)), (1, 'register', ('loss',))]
    """
    chosen: list[Job] = []
    for name in workloads:
        if name not in WORKLOADS:
            raise ValueError(f"no such workload: {name}; known are {', '.join(WORKLOADS)}")
    for name in faults or ():
        if name not in CATALOGUE:
            raise ValueError(f"no such fault: {name}; known are {', '.join(CATALOGUE)}")
    useful = {workload: _useful(workload, faults) for workload in workloads}
    if faults and not any(useful.values()):
        raise ValueError(f"{', '.join(faults)} can do nothing to the workload {', '.join(workloads)}")
    for seed in seeds:
        for workload in workloads:
            if faults is None:
                mix = swarm(seed, workload)
            elif not faults or useful[workload]:
                mix = useful[workload]
            else:
                continue
            chosen.append(Job(seed, workload, mix, setting or Setting()))
    return chosen


def _useful(workload: str, faults: Sequence[str] | None) -> tuple[str, ...]:
    """The faults that can hit this workload, each once, in the order given."""
    return tuple(dict.fromkeys(name for name in faults or () if workload in (CATALOGUE[name].workloads or WORKLOADS)))


def campaign(
    seeds: Iterable[int],
    workloads: Sequence[str] = ("register", "index"),
    faults: Sequence[str] | None = None,
    *,
    setting: Setting | None = None,
    processes: int | None = None,
    store: Results | None = None,
    resume: bool = True,
) -> Iterator[RunResult]:
    """Run all jobs and yield each result as soon as its turn comes; `len(jobs(...))` is their number.

    With a store each result is written before it is yielded, and with `resume` a run that the store has (of these
    very sources and parameters) is not repeated. `processes` None takes all cores; 1 runs in this process.
    """
    todo = jobs(seeds, workloads, faults, setting)
    done: dict[int, RunResult] = {}
    if store is not None and resume:
        for number, job in enumerate(todo):
            stored = store.find(run_key(job))
            if stored is not None:
                done[number] = restore(stored)
    open_jobs = [job for number, job in enumerate(todo) if number not in done]
    fresh = _results(open_jobs, processes or os.cpu_count() or 1)
    for number, job in enumerate(todo):
        if number in done:
            yield done[number]
            continue
        result = next(fresh)
        assert (result.seed, result.workload) == (job.seed, job.workload), "results come in the order of the jobs"
        if store is not None:
            store.add_run(to_store(job, result))
        yield result


def _results(open_jobs: list[Job], processes: int) -> Iterator[RunResult]:
    if processes == 1 or len(open_jobs) < 2:
        yield from map(run_job, open_jobs)
        return
    # Spawned, not forked: the same on every platform, and nothing of the parent's state can leak into a run.
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(processes, len(open_jobs))) as pool:
        yield from pool.imap(run_job, open_jobs)


def run_job(job: Job) -> RunResult:
    """Do one job. The history of a valid run is dropped: whoever wants it replays the run."""
    result = run_one(job.seed, job.workload, job.faults, job.setting)
    if result.verdict == "valid":
        result.history = []
    return result


def summarise(results: Iterable[RunResult], *, drawn: bool = False) -> Summary:
    """Add up the results of a campaign. `drawn`: it named no faults, so each run drew its own."""
    workloads: dict[str, bool] = {}
    verdicts: dict[str, int] = {}
    sometimes: dict[str, int] = {}
    bites: dict[str, int] = {}
    runs = operations = 0
    for result in results:
        runs += 1
        operations += result.operations
        workloads[result.workload] = True
        verdicts[result.verdict] = verdicts.get(result.verdict, 0) + 1
        for name, count in result.sometimes.items():
            sometimes[name] = sometimes.get(name, 0) + count
        for name in result.faults:
            bites.setdefault(name, 0)
        for band in result.bands:
            bites[band.name] = bites.get(band.name, 0) + band.bit
    silent = [name for name, count in bites.items() if not count]
    # A campaign without a single run has shown nothing.
    verdict = worst(verdicts) if runs else "unknown"
    missed = unseen(workloads, sometimes) if drawn and runs else []
    if verdict == "valid" and (silent or (missed and runs >= RUNS_MIN)):
        verdict = "unknown"
    return Summary(runs, verdict, verdicts, operations, dict(sorted(sometimes.items())), silent, missed)


@dataclass(slots=True)
class Replay:
    """A run done again. `same` says whether its trace hash is the expected one."""

    result: RunResult
    expected: str

    @property
    def same(self) -> bool:
        return self.result.trace_hash == self.expected


def replay(
    seed: int,
    workload: str = "register",
    faults: Sequence[str] | None = None,
    *,
    setting: Setting | None = None,
    expected: str | None = None,
    planted_bug: str = "",
) -> Replay:
    """Repeat one run, with its history. Without an expected hash the run is done twice and compared with itself."""
    names = tuple(faults) if faults is not None else swarm(seed, workload)
    bug = bug_named(planted_bug) if planted_bug else None
    setting = setting_of(bug, setting) if bug is not None else setting
    with laid_over(bug.patches if bug is not None else ()):
        if expected is None:
            expected = run_one(seed, workload, names, setting).trace_hash
        return Replay(run_one(seed, workload, names, setting), expected)


# --- between results and the store ----------------------------------------------------------------------------------


def run_key(job: Job) -> RunKey:
    """Everything that determines the run, as the store knows it."""
    text = ",".join(f"{name}={value}" for name, value in sorted(asdict(job.setting).items()))
    return RunKey(source_version(), job.seed, job.workload, job.faults, text)


def to_store(job: Job, result: RunResult) -> StoredRun:
    """A result as a row; the history of a valid run is not stored."""
    return StoredRun(
        key=run_key(job),
        verdict=result.verdict,
        why=result.why,
        trace_hash=result.trace_hash,
        operations=result.operations,
        sometimes=dict(result.sometimes),
        verdicts=[(judgement.checker, judgement.verdict, judgement.why) for judgement in result.verdicts],
        bands=[
            {"name": band.name, "start_ns": band.start_ns, "end_ns": band.end_ns, "evidence": dict(band.evidence)}
            for band in result.bands
        ],
        staleness=result.staleness,
        history=[] if result.verdict == "valid" else result.history,
    )


def restore(run: StoredRun) -> RunResult:
    """A stored run as a result; the parts of the history that showed a violation are not stored, the history is."""
    bands: list[FaultBand] = []
    for band in run.bands:
        start_ns, end_ns, evidence = band["start_ns"], band["end_ns"], band["evidence"]
        assert isinstance(start_ns, int) and isinstance(end_ns, int) and isinstance(evidence, dict)
        counts = {name: count for name, count in evidence.items() if isinstance(count, int)}
        bands.append(FaultBand(str(band["name"]), start_ns, end_ns, counts))
    return RunResult(
        seed=run.key.seed,
        workload=run.key.workload,
        faults=run.key.faults,
        verdict=run.verdict,
        trace_hash=run.trace_hash,
        operations=run.operations,
        sometimes=run.sometimes,
        verdicts=[Judgement(checker, verdict, why) for checker, verdict, why in run.verdicts],
        why=run.why,
        history=run.history,
        bands=bands,
        staleness=run.staleness,
    )

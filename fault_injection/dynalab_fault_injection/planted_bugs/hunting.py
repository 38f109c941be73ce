"""Hunting a planted bug: seed after seed, until the checker that must notice says invalid, and the same seed without
the patch is valid.

An assertion, a crash, a cluster that does not come back or a time-out is no catch: it would teach nobody what the
rule is for. Nor is a run that is invalid without the patch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dynalab_checkers.history import Json
from dynalab_fault_injection.planted_bugs.bugs import BUGS, PlantedBug
from dynalab_fault_injection.planted_bugs.patch import laid_over
from dynalab_fault_injection.replay_line import replay_line
from dynalab_fault_injection.results import StoredBug
from dynalab_fault_injection.run import RunResult, Setting, run_one
from dynalab_fault_injection.shrink import smallest
from dynalab_fault_injection.version import source_version

SEEDS = range(200)


@dataclass(slots=True)
class BugResult:
    """What a hunt came to. `seeds` were tried, `seed` is the one that shows it (None: none did), `run` the run with
    the patch.
    """

    name: str
    caught: bool
    checker: str
    seeds: int
    seed: int | None = None
    replay: str = ""
    sentence: str = ""
    svg: str = ""
    history: list[dict[str, Json]] | None = None
    run: RunResult | None = None

    def as_json(self) -> dict[str, Json]:
        """The line that `dynalab planted-bugs --json` prints."""
        return {
            "name": self.name,
            "caught": self.caught,
            "checker": self.checker,
            "seeds": self.seeds,
            "replay": self.replay,
        }

    def to_store(self) -> StoredBug:
        """As a row of the result store."""
        return StoredBug(
            name=self.name,
            version=source_version(),
            rule=BUGS[self.name].rule,
            caught=self.caught,
            checker=self.checker,
            seeds=self.seeds,
            seed=self.seed,
            replay=self.replay,
            sentence=self.sentence,
            svg=self.svg,
            history=self.history or [],
        )


def bug_named(name: str) -> PlantedBug:
    """The bug of that name. Raises `ValueError` for any other."""
    if name not in BUGS:
        raise ValueError(f"no such planted bug: {name}; known are {', '.join(BUGS)}")
    return BUGS[name]


def run_with(name: str, seed: int, faults: tuple[str, ...] | None = None, setting: Setting | None = None) -> RunResult:
    """One run with the patch laid over; its own faults unless others are named (an empty tuple: none)."""
    bug = bug_named(name)
    with laid_over(bug.patches):
        return run_one(seed, bug.workload, bug.faults if faults is None else faults, setting)


def shows(bug: PlantedBug, run: RunResult) -> bool:
    """Whether the checker that must notice says invalid."""
    return any(j.checker == bug.checker and j.verdict == "invalid" for j in run.verdicts)


def hunt(name: str, seeds: Iterable[int] = SEEDS, setting: Setting | None = None) -> BugResult:
    """Try the seeds in order until one catches the bug."""
    bug = bug_named(name)
    tried = 0
    for seed in seeds:
        tried += 1
        run = run_with(name, seed, None, setting)
        if not shows(bug, run):
            continue
        if run_one(seed, bug.workload, bug.faults, setting).verdict != "valid":
            continue
        found = smallest(run, bug.checker)
        return BugResult(
            name=name,
            caught=True,
            checker=bug.checker,
            seeds=tried,
            seed=seed,
            replay=replay_line(seed, bug.workload, bug.faults, name),
            sentence=found.sentence,
            svg=found.svg,
            history=found.events,
            run=run,
        )
    return BugResult(name, False, bug.checker, tried)

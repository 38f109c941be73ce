"""Hunting a planted bug: seed after seed, until the checker that must notice says invalid, and the same seed without
the patch is valid.

An assertion, a crash, a cluster that does not come back or a time-out is no catch: it would teach nobody what the
rule is for. Nor is a run that is invalid without the patch.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from dynalab_checkers.history import Json
from dynalab_fault_injection.planted_bugs.bugs import BUGS, PlantedBug
from dynalab_fault_injection.planted_bugs.patch import laid_over
from dynalab_fault_injection.replay_line import replay_line
from dynalab_fault_injection.results import StoredBug
from dynalab_fault_injection.run import RunResult, Setting, run_one
from dynalab_fault_injection.shrink import smallest
from dynalab_fault_injection.version import source_version

SEEDS = range(200)
APART = 1_000  # between the first seeds of two hunts for one bug


@dataclass(slots=True)
class BugResult:
    """What the hunts for a bug came to. In the first one `seeds` were tried, `seed` is the one that shows it (None:
    none did), `run` the run with the patch. `hunts` has (seeds tried, virtual nanoseconds until it was caught) of
    each; 0 for one that caught nothing.
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
    hunts: list[tuple[int, int]] = field(default_factory=list)

    def as_json(self) -> dict[str, Json]:
        """The line that `dynalab planted-bugs --json` prints."""
        return {
            "name": self.name,
            "caught": self.caught,
            "checker": self.checker,
            "seeds": self.seeds,
            "replay": self.replay,
            "hunts": [list(hunt) for hunt in self.hunts],
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
            hunts=self.hunts,
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
        return run_one(seed, bug.workload, bug.faults if faults is None else faults, setting_of(bug, setting))


def shows(bug: PlantedBug, run: RunResult) -> bool:
    """Whether the checker that must notice says invalid."""
    return any(j.checker == bug.checker and j.verdict == "invalid" for j in run.verdicts)


def hunt(
    name: str, seeds: Sequence[int] = SEEDS, setting: Setting | None = None, rounds: int = 1, shrink: bool = True
) -> BugResult:
    """Try the seeds in order until one catches the bug. Further rounds do the same with seeds that lie apart, to tell
    luck from a rule: the bug is caught if every round caught it.
    """
    bug = bug_named(name)
    found = BugResult(name, False, bug.checker, len(seeds))
    for number in range(rounds):
        tried, virtual_ns, run = _first(bug, [seed + number * APART for seed in seeds], setting)
        found.hunts.append((tried, 0 if run is None else virtual_ns))
        if number == 0:
            found.seeds = tried
            if run is not None:
                found.caught, found.seed, found.run = True, run.seed, run
                found.replay = replay_line(run.seed, bug.workload, bug.faults, name)
                if shrink:
                    least = smallest(run, bug.checker)
                    found.sentence, found.svg, found.history = least.sentence, least.svg, least.events
        found.caught = found.caught and run is not None
    return found


def hunt_all(
    names: Sequence[str], seeds: Sequence[int] = SEEDS, *, rounds: int = 1, processes: int = 1
) -> Iterator[BugResult]:
    """Hunt for each of these bugs, several at a time; the results come in the order of the names."""
    if processes == 1 or len(names) <= 1:
        yield from (hunt(name, seeds, rounds=rounds) for name in names)
        return
    # A process each: a patch changes the implementation of the process that it is laid over.
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(processes, len(names)), maxtasksperchild=1) as pool:
        yield from pool.imap(partial(hunt, seeds=seeds, rounds=rounds), names)


def _first(bug: PlantedBug, seeds: Sequence[int], setting: Setting | None) -> tuple[int, int, RunResult | None]:
    """Seeds tried, virtual time spent on them, and the run that shows the bug."""
    virtual_ns = 0
    for tried, seed in enumerate(seeds, start=1):
        run = run_with(bug.name, seed, None, setting)
        virtual_ns += run.virtual_ns
        if shows(bug, run) and run_one(seed, bug.workload, bug.faults, setting_of(bug, setting)).verdict == "valid":
            return tried, virtual_ns, run
    return len(seeds), virtual_ns, None


def setting_of(bug: PlantedBug, setting: Setting | None) -> Setting:
    """The one that was asked for, with the rules without which the bug would be no harm."""
    rules = bug.transaction_rules
    return replace(setting or Setting(), transaction_rules=rules) if rules else setting or Setting()

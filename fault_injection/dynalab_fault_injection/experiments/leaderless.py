"""The same clients, faults and seeds, with a leader for each partition and without any (S129, S143).

Without one, any two of three replicas answer (`planted_bugs.leaderless`). The clients put, swap, delete and read a few
keys; the linearizability checker judges what they saw.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import click

from dynalab_fault_injection.planted_bugs import bug_named, run_with
from dynalab_fault_injection.run import RunResult, run_one
from dynalab_fault_injection.shrink import smallest

SEEDS = range(5)
CHECKER = "linearizability"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs of one seed."""

    seed: int
    led: RunResult
    leaderless: RunResult


def verdict_of(run: RunResult) -> str:
    """What the linearizability checker says of the run."""
    return next(judged.verdict for judged in run.verdicts if judged.checker == CHECKER)


def measured(seeds: Iterable[int] = SEEDS) -> list[Pair]:
    """Run each seed twice."""
    bug = bug_named("leaderless")
    return [Pair(seed, run_one(seed, bug.workload, bug.faults), run_with("leaderless", seed)) for seed in seeds]


def table(pairs: Iterable[Pair]) -> list[str]:
    """The verdicts side by side, as lines of Markdown."""
    lines = ["| Seed | With a leader | Any two replicas |", "|---:|---|---|"]
    for pair in pairs:
        cells = [f"{verdict_of(run)}, {run.operations:,} operations" for run in (pair.led, pair.leaderless)]
        lines.append(f"| {pair.seed} | {' | '.join(cells)} |")
    return lines


def story(pairs: Iterable[Pair]) -> tuple[str, str]:
    """The smallest part of a leaderless history that shows a violation, of the first seed that has one: a sentence,
    and a picture. Raises `ValueError` if no seed has.
    """
    for pair in pairs:
        if verdict_of(pair.leaderless) == "invalid":
            found = smallest(pair.leaderless, CHECKER)
            return found.sentence, found.svg
    raise ValueError("none of these seeds shows what a partition without a leader does")


@click.command()
@click.option("--seeds", "count", type=int, default=len(SEEDS), show_default=True, help="How many seeds to run.")
def main(count: int) -> None:
    """Print the verdicts side by side, and what is wrong with the first leaderless run that is invalid."""
    pairs = measured(range(count))
    click.echo("\n".join(table(pairs)))
    click.echo(f"\n{story(pairs)[0]}")


if __name__ == "__main__":
    main()

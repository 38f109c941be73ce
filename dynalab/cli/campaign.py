"""`dynalab campaign` and `dynalab replay`: seeded runs under faults, judged; and one of them again."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dynalab.cli import exit_codes

if TYPE_CHECKING:
    from dynalab_fault_injection.campaign import RunResult, Summary

SEEDS = "0:20"
RESULTS = "results/campaign.sqlite"
FILE = click.Path(dir_okay=False, path_type=Path)
FAILURES_SHOWN = 10
PICTURES = 3


def seed_range(ctx: click.Context, param: click.Parameter, value: str) -> range:
    """`A:B` is A to B-1, as Python slices go; `A` alone is one seed."""
    low, colon, high = value.partition(":")
    if not low.isdigit() or (colon and not high.isdigit()):
        raise click.BadParameter(f"{value!r}: write seeds as A:B, two whole numbers", ctx, param)
    seeds = range(int(low), int(high) if colon else int(low) + 1)
    if not seeds:
        raise click.BadParameter(f"{value!r} holds no seed", ctx, param)
    return seeds


@click.command()
@click.option(
    "--workload",
    "workloads",
    multiple=True,
    metavar="W",
    help="register, index, pages, hot-key, local-index, index-churn, transact, bank, blind, stream or ttl; repeatable. "
    "[default: the first two]",
)
@click.option(
    "--faults",
    multiple=True,
    metavar="F",
    help="Put these faults on together in every run; `none` for none. [default: a mix that changes with the seed]",
)
@click.option("--seeds", callback=seed_range, default=SEEDS, show_default=True, help="From A to B-1.")
@click.option("--jobs", type=click.IntRange(1, 256), help="Processes. [default: one a core]")
@click.option("--results", type=FILE, default=RESULTS, show_default=True)
@click.option("--fresh", is_flag=True, help="Repeat runs that the result store has already.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a run, then a summary.")
@click.option("--driver", type=click.Choice(["simulator", "cluster"]), default="simulator", show_default=True)
@click.option("--minutes", type=click.FloatRange(0.1, 1440), default=1.0, help="How long, with --driver cluster.")
@click.option(
    "--with-boto3", is_flag=True, help="With --driver cluster: serve a boto3 program throughout, and judge it."
)
def campaign(
    workloads: tuple[str, ...],
    faults: tuple[str, ...],
    seeds: range,
    jobs: int | None,
    results: Path,
    fresh: bool,
    as_json: bool,
    driver: str,
    minutes: float,
    with_boto3: bool,
) -> int:
    """Run seeded workloads under faults and judge every history.

    Exit code: 0 all valid and every fault bit; 1 a run is invalid; 2 a run is unknown, a fault never fired, or a
    campaign of a thousand runs or more, with faults of its own choice, never came to something that ought to happen
    sometimes.
    """
    if driver == "cluster":
        from dynalab.cli.cluster import run_campaign

        if workloads not in ((), ("register",)):
            raise click.UsageError("--driver cluster runs the register workload")
        return run_campaign(minutes, seeds.start, faults, with_boto3=with_boto3, as_json=as_json)
    if with_boto3:
        raise click.UsageError("--with-boto3 goes with --driver cluster")
    from dynalab_fault_injection import campaign as campaigns
    from dynalab_fault_injection.results import Results, WrongStore

    chosen = workloads or ("register", "index")
    asked = _fault_names(faults)
    try:
        total = len(campaigns.jobs(seeds, chosen, asked))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    finished: list[RunResult] = []
    try:
        results.parent.mkdir(parents=True, exist_ok=True)
        store = Results.open(results)
    except (WrongStore, OSError) as error:
        click.echo(f"dynalab campaign: {results}: {error}", err=True)
        return exit_codes.DATA
    with store, _progress(total, quiet=as_json) as show:
        for result in campaigns.campaign(seeds, chosen, asked, processes=jobs, store=store, resume=not fresh):
            finished.append(result)
            show(result)
            if as_json:
                click.echo(json.dumps(result.as_json()))
    summary = campaigns.summarise(finished, drawn=asked is None)
    if as_json:
        click.echo(json.dumps(summary.as_json()))
    else:
        _show_summary(summary, finished, results.parent)
    return exit_codes.worst([summary.exit_code])


@click.command()
@click.argument("seed", type=click.IntRange(0))
@click.option("--workload", default="register", show_default=True, metavar="W")
@click.option("--faults", multiple=True, metavar="F", help="As in the campaign. [default: the mix of this seed]")
@click.option("--hash", "expected", metavar="HEX", help="Compare with it. [default: the run is done twice]")
@click.option(
    "--history", type=click.Path(dir_okay=False, path_type=Path), help="Write the history there (JSON lines)."
)
@click.option("--picture", type=click.Path(dir_okay=False, path_type=Path), help="Write the violation there (SVG).")
@click.option("--planted-bug", metavar="NAME", help="Lay this bug over the implementation first.")
@click.option("--json", "as_json", is_flag=True)
def replay(
    seed: int,
    workload: str,
    faults: tuple[str, ...],
    expected: str | None,
    history: Path | None,
    picture: Path | None,
    planted_bug: str | None,
    as_json: bool,
) -> int:
    """Run one seed again and compare its trace hash.

    Exit code: that of the run's verdict, or 3 if it took another course.
    """
    from dynalab_fault_injection import campaign as campaigns

    asked = _fault_names(faults)
    try:
        campaigns.jobs([seed], [workload], asked)
        with _planted(planted_bug):
            done = campaigns.replay(seed, workload, asked, expected=expected)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    result = done.result
    if history is not None:
        history.write_text("".join(json.dumps(event) + "\n" for event in result.history))
    if picture is not None:
        if result.verdict == "invalid":
            picture.write_text(_picture(result))
        else:
            click.echo(f"the run is {result.verdict}: there is no violation to draw", err=True)
    if as_json:
        click.echo(json.dumps({**result.as_json(), "same": done.same, "expected": done.expected}))
    else:
        _show_run(result)
        if done.same:
            click.echo(f"same course: {result.trace_hash}")
        else:
            click.echo(f"ANOTHER COURSE: {result.trace_hash}, not {done.expected}")
    return exit_codes.worst(
        [exit_codes.OF_VERDICT[result.verdict], exit_codes.VALID if done.same else exit_codes.DIFFERS]
    )


def _fault_names(faults: tuple[str, ...]) -> tuple[str, ...] | None:
    if not faults:
        return None
    return () if faults == ("none",) else faults


@contextmanager
def _progress(total: int, *, quiet: bool) -> Iterator[Callable[[RunResult], None]]:
    """What to call with each result: a bar on a terminal, a line each where there is none."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("runs", total=total)
            yield lambda result: bar.advance(task)
    else:
        yield (lambda result: None) if quiet else _show_run


def _show_run(result: RunResult) -> None:
    faults = ",".join(result.faults) or "no faults"
    line = f"{result.verdict:8} seed {result.seed} {result.workload} {faults}: {result.operations} operations"
    click.echo(f"{line}, {result.trace_hash[:16]}")
    if result.why:
        click.echo(f"         {result.why}")


def _show_summary(summary: Summary, results: list[RunResult], directory: Path) -> None:
    from dynalab_fault_injection.replay_line import replay_line
    from dynalab_fault_injection.sometimes import RUNS_MIN

    counts = ", ".join(f"{count} {verdict}" for verdict, count in summary.verdicts.items())
    click.echo(f"\n{summary.runs} runs, {summary.operations} operations: {counts}")
    click.echo("what happened inside:")
    for name, count in summary.sometimes.items():
        click.echo(f"  {count:>9}  {name}")
    for name in summary.unseen:
        click.echo(f"  {0:>9}  {name}")
    if summary.silent:
        click.echo(f"NEVER FIRED: {', '.join(summary.silent)}; a fault that hits nothing proves nothing")
    if summary.unseen and summary.runs >= RUNS_MIN:
        click.echo(f"NEVER HAPPENED: {', '.join(summary.unseen)}; what holds without it was not put to the test")
    failing = [result for result in results if result.verdict != "valid"]
    for number, result in enumerate(failing[:FAILURES_SHOWN]):
        click.echo(f"\n{result.verdict}: {result.why}")
        if number < PICTURES and any(judgement.operations for judgement in result.verdicts):
            picture = directory / f"violation-{result.workload}-{result.seed}.svg"
            picture.write_text(_picture(result))
            click.echo(f"  drawn in {picture}")
        click.echo(f"  {replay_line(result.seed, result.workload, result.faults)}")
    if len(failing) > FAILURES_SHOWN:
        click.echo(f"\n… and {len(failing) - FAILURES_SHOWN} more that are not valid")
    click.echo(f"\nverdict: {summary.verdict}")


def _picture(result: RunResult) -> str:
    from dynalab_fault_injection.shrink import smallest

    return smallest(result).svg


@contextmanager
def _planted(name: str | None) -> Iterator[None]:
    if name is None:
        yield
        return
    from dynalab_fault_injection.planted_bugs import bug_named, laid_over

    with laid_over(bug_named(name).patches):
        yield

"""`python -m dynalab.bench`: one run, one table. See the rules in the package's docstring."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from dynalab.bench import measure, servers, store, virtual
from dynalab.bench.load import LoadError, Target, load, prepare
from dynalab.bench.report import Figure, Report

SECTIONS = ("simulator", "store", "checkers", "endpoint")
OPERATIONS = ("GetItem", "PutItem", "Query", "TransactWriteItems")


def endpoint_figures(name: str, tools: Path, seconds: float) -> list[Figure]:
    """Every operation on one server; one figure with a reason for each when it cannot be measured."""
    figures: list[Figure] = []
    try:
        with servers.start(name, tools) as server:
            for operation in OPERATIONS:
                table = f"bench-{operation}"
                asyncio.run(prepare(Target.of(server.url), table))
                measured = asyncio.run(load(server.url, operation, table, server.cpu_seconds, seconds=seconds))
                detail = f"p50 {measured.p50_ms} ms, p99 {measured.p99_ms} ms, {measured.requests} requests"
                if measured.cpu_us is not None:
                    detail += f", {measured.cpu_us:.0f} µs of processor time each"
                if measured.errors:
                    problem = f"{len(measured.errors)} errors, first: {measured.errors[0]}"
                    if not name.startswith("dynalab"):
                        problem = f"skipped: {problem}"  # what others cannot do is no failure of this run
                    figures.append(Figure(operation, name, None, "requests/s", detail, problem))
                else:
                    figures.append(Figure(operation, name, measured.rate, "requests/s", detail))
    except (servers.Skipped, LoadError, OSError) as error:
        done = {figure.section for figure in figures}
        reason = str(error) if name.startswith("dynalab") else f"skipped: {error}"
        figures += [Figure(op, name, None, "requests/s", "", reason) for op in OPERATIONS if op not in done]
    return figures


def in_turn(names: Sequence[str], measure_one: Callable[[str], list[Figure]], rounds: int) -> list[Figure]:
    """Every server in turn, `rounds` times over, so that what else the machine does hits all of them alike. Of the
    figures of one kind the median, with all rates; one with a problem if there is any.

    >>> rates = iter([5.0, 1.0, 7.0])
    >>> [found] = in_turn(["moto"], lambda name: [Figure("GetItem", name, next(rates), "requests/s", "p50 2 ms")], 3)
    >>> found.rate, found.detail
    (5.0, 'p50 2 ms; median of 5, 1, 7')
    """
    found: dict[tuple[str, str], list[Figure]] = {}
    for _ in range(rounds):
        for name in names:
            for figure in measure_one(name):
                found.setdefault((figure.section, figure.subject), []).append(figure)
    return [_median(figures) for figures in found.values()]


def _median(figures: list[Figure]) -> Figure:
    rates = [figure.rate for figure in figures if figure.rate is not None]
    if len(rates) < len(figures) or len(figures) == 1:
        return next((figure for figure in figures if figure.rate is None), figures[0])
    middle = next(figure for figure in figures if figure.rate == sorted(rates)[len(rates) // 2])
    return replace(middle, detail=f"{middle.detail}; median of {', '.join(f'{rate:,.0f}' for rate in rates)}")


@click.command()
@click.option("--only", multiple=True, type=click.Choice(SECTIONS), help="Measure only this section (repeatable).")
@click.option("--seconds", default=2.0, show_default=True, help="How long a server is loaded with one operation.")
@click.option("--rounds", default=3, show_default=True, help="How often each server has its turn; medians count.")
@click.option("--operations", default=1_000_000, show_default=True, help="Length of the checked histories.")
@click.option("--seeds", default=5, show_default=True, help="How many default runs the simulator makes.")
@click.option("--tools", default=".tools/npm", show_default=True, help="Where npm installs dynalite.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the table.")
def main(
    only: tuple[str, ...], seconds: float, rounds: int, operations: int, seeds: int, tools: str, as_json: bool
) -> None:
    """Report simulated operations, checked operations and requests per second, in one run."""
    sections = only or SECTIONS
    report = Report()
    progress = Console(stderr=True)

    def add(figures: list[Figure]) -> None:
        for figure in figures:
            report.add(figure)
            rate = f"{figure.rate:,.0f} {figure.unit}" if figure.rate is not None else figure.problem
            progress.print(f"{figure.section}: {figure.subject}: {rate}", highlight=False)

    if "simulator" in sections:
        add(measure.simulator(seeds))
    if "store" in sections:
        add(store.figures())
        add(virtual.latency())
        add(virtual.failover())
        add(virtual.idle())
        add(virtual.transactions())
        add(virtual.index_lag())
    if "checkers" in sections:
        for keys in (1, 1000):
            add(measure.checkers(operations, keys))
    if "endpoint" in sections:
        names = sorted(servers.NAMES, key=servers.NAMES.index)
        rows = in_turn(names, lambda name: endpoint_figures(name, Path(tools), seconds), rounds)
        add(sorted(rows, key=lambda figure: figure.section))
    if as_json:
        click.echo(report.to_json())
    else:
        report.show(Console(width=140 if not sys.stdout.isatty() else None))
    if any(figure.rate is None and not figure.problem.startswith("skipped") for figure in report.figures):
        sys.exit(1)


if __name__ == "__main__":
    main()

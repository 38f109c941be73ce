"""`python -m dynalab.differential`: compare this service with emulators, request by request. See the package."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console

from dynalab.bench import servers
from dynalab.differential import page
from dynalab.differential.caller import Caller
from dynalab.differential.judge import load
from dynalab.differential.quiescence import is_quiet
from dynalab.differential.run import Report, run
from dynalab.differential.script import boto3_script
from dynalab.drivers.embedded import EmbeddedCluster
from dynalab.endpoint.server import Service, Settings

EMULATORS = ("moto", "dynalite")
PROGRESS_EVERY = 1_000
UNJUDGED, UNKNOWN = 1, 2
WHOLE_RUN_REQUESTS = 20_000


class Emulator:
    """An emulator's process: called, it starts it, or starts it again, and gives its URL. Raises Skipped."""

    def __init__(self, name: str, tools: Path) -> None:
        self.name = name
        self._tools = tools
        self._running = ExitStack()

    def __call__(self) -> str:
        self.stop()
        return self._running.enter_context(servers.start(self.name, self._tools)).url

    def stop(self) -> None:
        """End the process."""
        self._running.close()


async def compare_with(emulators: list[Emulator], requests: int, seed: int) -> Report:
    """Start our own service in this process, and compare."""
    console = Console(stderr=True)
    service = Service(Settings(port=0))
    url = await service.start()
    callers = [Caller("dynalab", lambda: url)]
    try:
        callers += [Caller(emulator.name, emulator) for emulator in emulators]
        return await run(
            callers[0],
            callers[1:],
            load(),
            requests=requests,
            seed=seed,
            settle=lambda: settle(service.cluster),
            progress=lambda done: (
                None if done % PROGRESS_EVERY else console.print(f"{done:,} of {requests:,} requests", highlight=False)
            ),
        )
    finally:
        for caller in callers:
            caller.close()
        for emulator in emulators:
            emulator.stop()
        await service.stop()


async def settle(cluster: EmbeddedCluster) -> None:
    """Wait until our indexes have what their tables owe them."""
    while not is_quiet(cluster.nodes()):
        await asyncio.sleep(0.002)


def show(report: Report) -> None:
    """The counts, and a script for every kind of difference that nobody has judged."""
    click.echo(f"{report.requests:,} requests, {report.answered:,} answered, the others refused")
    for name, count in report.equal.items():
        click.echo(f"{name}: {count:,} answers are the same, {report.repaired[name]:,} items brought back to ours")
    for (judgement, name), count in sorted(report.judged.items(), key=lambda entry: -entry[1]):
        click.echo(f"{count:7,}  {name:9} {judgement}")
    for examples in report.unjudged.values():
        example = examples[0]
        d = example.difference
        answers = [("dynalab", example.ours.body), (d.them, example.theirs.body)]
        title = f"{d.them}: {d.operation}: {d.part or 'the answer'}"
        click.echo(f"\n# unjudged: {d.ours} | {d.theirs}")
        click.echo(boto3_script([example.request], answers, title=title))
    click.echo(f"{report.unjudged_count} differences are unjudged" if report.unjudged else "every difference is judged")


@click.command()
@click.option("--requests", default=20_000, show_default=True, help="How many requests everybody is asked.")
@click.option("--seed", default=1, show_default=True, help="Which ones.")
@click.option("--against", multiple=True, type=click.Choice(EMULATORS), help="Only this emulator (repeatable).")
@click.option("--tools", default=".tools/npm", show_default=True, help="Where npm installs dynalite.")
@click.option("--write", is_flag=True, help="Write the page of a whole run, of 20,000 requests or more.")
@click.option(
    "--from",
    "pieces",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Ask nothing: take what --json printed before; repeatable, for pieces with seeds of their own.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the table.")
def main(
    requests: int,
    seed: int,
    against: tuple[str, ...],
    tools: str,
    write: bool,
    pieces: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Ask dynalab and emulators the same requests; every difference must have a judgement.

    Exit codes: 0 every difference is judged, 1 some are not, 2 an emulator could not be started.
    """
    if pieces:
        figures = page.total([json.loads(piece.read_text()) for piece in pieces])
        finish(figures, write)
    try:
        emulators = [Emulator(name, Path(tools)) for name in against or EMULATORS]
        report = asyncio.run(compare_with(emulators, requests, seed))
    except servers.Skipped as reason:
        click.echo(f"an emulator could not be started: {reason}", err=True)
        sys.exit(UNKNOWN)
    figures = page.counts(report, seed)
    if as_json:
        click.echo(json.dumps(figures))
    else:
        show(report)
    finish(figures, write)


def finish(figures: page.Counts, write: bool) -> NoReturn:
    """Write the page of a whole run, and end with the code that says whether every difference is judged."""
    if write and figures["requests"] >= WHOLE_RUN_REQUESTS:
        page.write(figures)
    sys.exit(UNJUDGED if figures["unjudged"] else 0)


if __name__ == "__main__":
    main()

"""`python -m dynalab.fuzz`: break the endpoint, or fail to. See the package."""

from __future__ import annotations

import json
import sys

import click
from rich.console import Console

from dynalab.fuzz import page
from dynalab.fuzz.run import Report, Run, served

SECONDS_A_MINUTE = 60
REQUESTS_A_SECOND_MIN = 200
WHOLE_RUN_MINUTES = 10


@click.command()
@click.option("--minutes", default=10.0, show_default=True, help="How long.")
@click.option("--seed", default=1, show_default=True, help="Which cases.")
@click.option("--write", is_flag=True, help="Write the page of a whole run, of 10 minutes or more.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
def main(minutes: float, seed: int, write: bool, as_json: bool) -> None:
    """Send the endpoint of a service of its own what no client should send.

    Exit codes: 0 nothing failed, 1 something did (with a script for each), 2 too slow to say much.
    """
    progress = Console(stderr=True)

    def tell(report: Report) -> None:
        if report.cases % 10_000 == 0:
            rate = report.requests / max(report.seconds, 0.001)
            progress.print(f"{report.seconds:,.0f} s: {report.requests:,} requests, {rate:,.0f}/s", highlight=False)

    with served() as service:
        report = Run(service, seed).go(minutes * SECONDS_A_MINUTE, tell)
    told = page.figures(report, seed)
    if write and minutes >= WHOLE_RUN_MINUTES:
        page.write(report, seed)
    if as_json:
        click.echo(json.dumps({**told, "failed": report.failures}))
    else:
        for name, value in told.items():
            click.echo(f"{name.replace('_', ' ')}: {value}")
        for failure in report.failures:
            click.echo(f"\n{failure}")
    if report.failures:
        sys.exit(1)
    sys.exit(2 if report.requests < REQUESTS_A_SECOND_MIN * report.seconds else 0)


if __name__ == "__main__":
    main()

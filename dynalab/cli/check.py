"""`dynalab check`: histories in, verdicts out. Imports the checkers alone."""

from __future__ import annotations

import json
from pathlib import Path

import click

from dynalab.cli import exit_codes
from dynalab_checkers.check import TRANSACTIONS, check_files, reading_for
from dynalab_checkers.formats import FORMATS, Reading
from dynalab_checkers.history import MalformedHistory
from dynalab_checkers.linearizability import BUDGET_STEPS
from dynalab_checkers.models import MODELS


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False), metavar="FILE...")
@click.option(
    "--model",
    type=click.Choice(sorted([*MODELS, *TRANSACTIONS])),
    help="What a key is. [default: register; kv for kv-log]",
)
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="jsonl", show_default=True)
@click.option("--budget", type=click.IntRange(1), default=BUDGET_STEPS, show_default=True, help="Steps for each key.")
@click.option("--columns", multiple=True, metavar="FIELD=COLUMN", help="CSV: our field and their column.")
@click.option("--rename", multiple=True, metavar="THEIRS=OURS", help="EDN, CSV: their name of an operation and ours.")
@click.option("--time-unit", type=click.Choice(["ns", "us", "ms", "s"]), default="ns", help="CSV: the unit of times.")
@click.option("--memory-mb", type=click.IntRange(1), help="Judge large files in parts that take about so much.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a file.")
@click.option(
    "--html", "out", type=click.Path(path_type=Path), help="Write a page to look at; of several files, a folder."
)
def check(
    files: tuple[str, ...],
    model: str | None,
    form: str,
    budget: int,
    columns: tuple[str, ...],
    rename: tuple[str, ...],
    time_unit: str,
    memory_mb: int | None,
    as_json: bool,
    out: Path | None,
) -> int:
    """Judge recorded histories: valid, invalid, or unknown when the budget ran out.

    Exit code: 0 valid, 1 invalid, 2 unknown, 65 a file that breaks the format; of several files the worst.
    """
    model = model or ("kv" if form == "kv-log" else "register")
    if model in TRANSACTIONS and (out is not None or memory_mb is not None):
        raise click.UsageError(
            f"--html and --memory-mb judge keys one by one; --model {model} judges whole transactions"
        )
    reading = Reading(renames=_pairs(rename, "--rename"), columns=_pairs(columns, "--columns"), time_unit=time_unit)
    memory = None if memory_mb is None else memory_mb * 1_000_000
    codes = []
    judged = []
    for file in files:
        # One at a time: a malformed file must not hide the verdicts of the others.
        try:
            (result,) = check_files([file], model, form, budget, reading=reading, memory_max_bytes=memory)
        except (MalformedHistory, UnicodeDecodeError) as error:
            codes.append(exit_codes.DATA)
            click.echo(f"dynalab check: {file}: {error}", err=True)
            continue
        codes.append(exit_codes.OF_VERDICT[result.verdict])
        judged.append(result)
        if as_json:
            click.echo(json.dumps(result.as_json()))
        else:
            why = f"\n         {result.why}" if result.why else ""
            click.echo(f"{result.verdict:8} {file}  ({result.seconds:.2f} s){why}")
    if out is not None and judged:
        from dynalab_checkers.viewer import report_html

        paths = [result.file for result in judged]
        chosen = reading_for(model, reading)
        written = report_html(out, paths, model=model, format=form, budget=budget, results=judged, reading=chosen)
        click.echo(f"page: {written[0]}", err=True)
    return exit_codes.worst(codes)


def _pairs(given: tuple[str, ...], option: str) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    if not all(name and sign and value for name, sign, value in pairs):
        raise click.UsageError(f"{option} takes NAME=NAME")
    return {name: value for name, _, value in pairs}

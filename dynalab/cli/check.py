"""`dynalab check`: histories in, verdicts out. Imports the checkers alone."""

from __future__ import annotations

import json
from pathlib import Path

import click

from dynalab.cli import exit_codes
from dynalab_checkers.check import check_files
from dynalab_checkers.history import MalformedHistory
from dynalab_checkers.models import MODELS


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False), metavar="FILE...")
@click.option("--model", type=click.Choice(sorted(MODELS)), help="What a key is. [default: register; kv for kv-log]")
@click.option(
    "--format", "form", type=click.Choice(["jsonl", "etcd-log", "kv-log"]), default="jsonl", show_default=True
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a file.")
@click.option(
    "--html", "out", type=click.Path(path_type=Path), help="Write a page to look at; of several files, a folder."
)
def check(files: tuple[str, ...], model: str | None, form: str, as_json: bool, out: Path | None) -> int:
    """Judge recorded histories: valid, invalid, or unknown when the budget ran out.

    Exit code: 0 valid, 1 invalid, 2 unknown, 65 a file that breaks the format; of several files the worst.
    """
    model = model or ("kv" if form == "kv-log" else "register")
    codes = []
    judged = []
    for file in files:
        # One at a time: a malformed file must not hide the verdicts of the others.
        try:
            (result,) = check_files([file], model, form)
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

        written = report_html(out, [result.file for result in judged], model=model, format=form, results=judged)
        click.echo(f"page: {written[0]}", err=True)
    return exit_codes.worst(codes)

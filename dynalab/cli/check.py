"""`dynalab check`: histories in, verdicts out. Imports the checkers alone."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from dynalab.cli import exit_codes
from dynalab.cli.question import refuse_vain, with_question
from dynalab_checkers.check import ALL_MODELS, FileVerdict, check_files, judges_keys_alone, reading_for
from dynalab_checkers.formats import FORMATS, Reading
from dynalab_checkers.history import MalformedHistory, Progress
from dynalab_checkers.judges import JUDGES, Question
from dynalab_checkers.linearizability import BUDGET_STEPS

# Smaller files are read before a bar could be drawn.
WATCHED_BYTES: Final = 20_000_000
# Without a terminal: a line each so many percent.
LINE_PERCENT: Final = 10


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False), metavar="FILE...")
@click.option(
    "--model",
    type=click.Choice(ALL_MODELS),
    help="What a key is, or what was promised. [default: register; kv for kv-log]",
)
@with_question
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="jsonl", show_default=True)
@click.option("--budget", type=click.IntRange(1), default=BUDGET_STEPS, show_default=True, help="Steps for each key.")
@click.option("--columns", multiple=True, metavar="FIELD=COLUMN", help="CSV: our field and their column.")
@click.option("--rename", multiple=True, metavar="THEIRS=OURS", help="EDN, CSV: their name of an operation and ours.")
@click.option("--time-unit", type=click.Choice(["ns", "us", "ms", "s"]), default="ns", help="CSV: the unit of times.")
@click.option(
    "--memory-mb", type=click.IntRange(1), help="Judge in parts that take about so much, laid aside in TMPDIR."
)
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
    question: Question,
) -> int:
    """Judge recorded histories: valid, invalid, or unknown when the budget ran out.

    Exit code: 0 valid, 1 invalid, 2 unknown, 65 a file that breaks the format; of several files the worst.
    """
    model = model or ("kv" if form == "kv-log" else "register")
    if model in JUDGES and out is not None:
        raise click.UsageError(f"--html shows what an object did; --model {model} is a promise")
    if question.initial is not None and out is not None:
        raise click.UsageError("--html knows no --initial")
    if memory_mb is not None and not judges_keys_alone(model):
        raise click.UsageError(f"--memory-mb judges keys one by one; --model {model} judges the whole of a history")
    refuse_vain(model, question)
    reading = Reading(renames=_pairs(rename, "--rename"), columns=_pairs(columns, "--columns"), time_unit=time_unit)
    memory = None if memory_mb is None else memory_mb * 1_000_000
    codes = []
    judged = []
    for file in files:
        # One at a time: a malformed file must not hide the verdicts of the others.
        try:
            with _watched(file) as progress:
                (result,) = check_files(
                    [file],
                    model,
                    form,
                    budget,
                    question=question,
                    reading=reading,
                    progress=progress,
                    memory_max_bytes=memory,
                )
        except (MalformedHistory, UnicodeDecodeError) as error:
            codes.append(exit_codes.DATA)
            click.echo(f"dynalab check: {file}: {error}", err=True)
            continue
        codes.append(exit_codes.OF_VERDICT[result.verdict])
        judged.append(result)
        if as_json:
            click.echo(json.dumps(result.as_json()))
        else:
            click.echo(f"{result.verdict:8} {file}  ({result.seconds:.2f} s)")
            for line in _told(result):
                click.echo(f"         {line}".rstrip())
    if out is not None and judged:
        from dynalab_checkers.viewer import report_html

        paths = [result.file for result in judged]
        chosen = reading_for(model, reading)
        written = report_html(
            out, paths, model=model, format=form, budget=budget, results=judged, reading=chosen, question=question
        )
        click.echo(f"page: {written[0]}", err=True)
    return exit_codes.worst(codes)


def _told(result: FileVerdict) -> list[str]:
    """The sentence, and of transactions the contradiction of the first cycle."""
    if not result.why:
        return []
    said = result.detail.details.get("explanations")
    return [*result.why.splitlines(), *(str(said[0]).splitlines() if isinstance(said, list) and said else ())]


@contextmanager
def _watched(file: str) -> Iterator[Progress | None]:
    """What to tell of the bytes that were read of a large file: a bar on a terminal, a line now and then elsewhere."""
    total = os.path.getsize(file)
    if total < WATCHED_BYTES:
        yield None
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("reading", total=total)

            def show(done: int) -> None:
                bar.update(task, completed=done, description="reading" if done < total else "judging")

            yield show
    else:
        told = 0

        def tell(done: int) -> None:
            nonlocal told
            percent = 100 * done // total
            if percent >= told + LINE_PERCENT:
                told = percent - percent % LINE_PERCENT
                click.echo(f"{file}: {told} % read", err=True)

        yield tell


def _pairs(given: tuple[str, ...], option: str) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    if not all(name and sign and value for name, sign, value in pairs):
        raise click.UsageError(f"{option} takes NAME=NAME")
    return {name: value for name, _, value in pairs}

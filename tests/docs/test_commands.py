"""The page on commands: every model and every question that `dynalab check` knows stands there, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from dynalab.cli.question import OPTIONS
from dynalab_checkers.check import ALL_MODELS, KNOWN, judges_keys_alone
from dynalab_checkers.formats import FORMATS
from dynalab_checkers.judges import JUDGES, READS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")


def table(header: str) -> list[list[str]]:
    """The rows below a header, as cells."""
    lines = PAGE.split(header)[1].splitlines()[2:]
    rows = lines[: next(number for number, line in enumerate(lines) if not line.startswith("|"))]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def quoted(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


def test_the_table_of_models_is_what_the_checkers_know() -> None:
    rows = table("| `--model` | It asks |")
    assert sorted(name for row in rows for name in quoted(row[0])) == list(ALL_MODELS)
    for names, _, _, options in rows:
        for name in quoted(names):
            known = JUDGES[name].understands if name in JUDGES else KNOWN.get(name, ())
            assert quoted(options) == {OPTIONS[field] for field in known}, name


def test_formats_reads_and_models_that_judge_the_whole_are_named() -> None:
    options = {name: row[1] for row in table("| Option | Meaning |") for name in quoted(row[0])}
    assert set(FORMATS) == quoted(options["--format F"])
    assert set(READS) <= quoted(PAGE.split("`--reads` is one of")[1].split(";")[0])
    whole = {name for name in JUDGES if not judges_keys_alone(name)}
    assert whole <= quoted(options["--memory-mb N"]) and "transactions" in options["--memory-mb N"]

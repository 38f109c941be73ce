"""Which test asks which known fact of the service: rows in tests/conformance/rows.toml, markers on its tests.

Run as `python -m dynalab.site.conformance` it counts, and fails for a row without a test and a marker that names no
row. A row of an operation that is refused so far has a test, too: of the refusal, and it is not counted among those
that are asked. The markers are those of collected tests (pytest is asked, nothing is run): a test that pytest does not
find counts for nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dynalab.site.claims import cell

MARKS: Final = ("documented", "measured")
COLLECT_SECONDS_MAX: Final = 60
# How the third part of a row begins whose operation is refused.
REFUSED: Final = "refused: "
# Where tests/conformance/conftest.py leaves what was collected.
TARGET: Final = "DYNALAB_ROWS_TO"


@dataclass(frozen=True, slots=True)
class Row:
    """One fact. `refused` names the feature of an operation that is refused until that is built; "" for all others."""

    id: str
    section: str
    mark: str
    says: str
    refused: str = ""


def load_rows(path: Path) -> dict[str, Row]:
    """All rows of a table of rows, in their order. Raises ValueError for one that is not well formed."""
    rows: dict[str, Row] = {}
    for section, body in tomllib.loads(path.read_text(encoding="utf-8")).items():
        shared = [body["mark"], body["says"]] if "ids" in body else []
        entries = dict.fromkeys(body["ids"].split(), shared) if shared else body["rows"]
        for name, (mark, says, *more) in entries.items():
            if mark not in MARKS or not says or len(more) > 1 or not all(part.startswith(REFUSED) for part in more):
                raise ValueError(f"{path.name}: {section}:{name} is not [mark, words] or [mark, words, '{REFUSED}…']")
            refused = "".join(more).removeprefix(REFUSED)
            rows[f"{section}:{name}"] = Row(f"{section}:{name}", body["title"], mark, says, refused)
    return rows


def collect(tests: Path) -> dict[str, list[str]]:
    """Row → the tests that carry its marker, as pytest names them. Raises ValueError when pytest cannot collect."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "rows.json"
        command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*command, "tests/conformance"],
            cwd=tests.parent,
            env={**os.environ, TARGET: str(target)},
            capture_output=True,
            text=True,
            timeout=COLLECT_SECONDS_MAX,
        )
        if done.returncode != 0 or not target.is_file():
            raise ValueError(f"pytest could not collect {tests}/conformance: {(done.stdout + done.stderr)[-500:]}")
        found: dict[str, list[str]] = json.loads(target.read_text(encoding="utf-8"))
        return found


def mistakes(rows: Mapping[str, Row], tests: Mapping[str, Sequence[str]]) -> list[str]:
    """A line for everything that does not fit together.

    >>> row = Row("text:a", "Texts", "measured", "an a")
    >>> mistakes({"text:a": row}, {"text:b": ["test_b"]})
    ['text:a: no test carries this row (an a)', 'text:b: no such row (test_b)']
    """
    found = [f"{row.id}: no test carries this row ({row.says})" for row in rows.values() if row.id not in tests]
    return found + [f"{id}: no such row ({names[0]})" for id, names in tests.items() if id not in rows]


def summary(rows: Mapping[str, Row], tests: Mapping[str, Sequence[str]]) -> str:
    """How many rows there are, in one sentence."""
    refused = sum(1 for row in rows.values() if row.refused)
    asked = sum(1 for id, row in rows.items() if id in tests and not row.refused)
    names = {name for id in rows for name in tests.get(id, ())}
    text = f"{asked} of {len(rows)} rows are asked by {len(names)} tests"
    if refused:
        are = "is of an operation that is" if refused == 1 else "are of operations that are"
        text += f"; {refused} {are} refused so far, and asked for the refusal"
    return text


def page(rows: Mapping[str, Row], tests: Mapping[str, Sequence[str]]) -> str:
    """docs/generated/conformance.md: how many rows there are, those of operations that are refused, and all others
    with their tests.
    """
    lines = [f"**{summary(rows, tests)}.**", ""]
    refused = [row for row in rows.values() if row.refused]
    if refused:
        lines += [f'??? warning "Refused so far: {len(refused)}"', ""]
        lines += [
            "    | Row | | What the service does | Belongs to | The refusal is asked in |",
            "    |---|---|---|---|---|",
        ]
        lines += [_line(row, tests, row.refused) for row in refused] + [""]
    for section in dict.fromkeys(row.section for row in rows.values()):
        members = [row for row in rows.values() if row.section == section and not row.refused]
        lines += [f'??? abstract "{section}: {len(members)}"', ""]
        lines += ["    | Row | | What is known | Asked in |", "    |---|---|---|---|"]
        lines += [_line(row, tests) for row in members] + [""]
    return "\n".join(lines)


def _line(row: Row, tests: Mapping[str, Sequence[str]], *more: str) -> str:
    cells = (f"`{row.id}`", row.mark, cell(row.says), *more, _where(tests.get(row.id, ())))
    return f"    | {' | '.join(cells)} |"


def _where(names: Sequence[str]) -> str:
    files = dict.fromkeys(name.partition("::")[0].removeprefix("tests/conformance/") for name in names)
    return ", ".join(f"`{file}`" for file in files) + (f" ({len(names)})" if len(names) > 1 else "")


def main() -> int:
    """Count the rows of the repository that this is run in."""
    tests = Path("tests")
    try:
        rows, found = load_rows(tests / "conformance" / "rows.toml"), collect(tests)
    except (OSError, ValueError) as error:
        print(f"dynalab.site.conformance: {error}", file=sys.stderr)
        return 65
    wrong = mistakes(rows, found)
    for line in wrong:
        print(line)
    print(summary(rows, found))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

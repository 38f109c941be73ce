"""The statements of docs/reference/partiql.md, what they become and what they answer, as a golden transcript.

`pytest tests/docs/test_partiql_page.py --rewrite-transcripts` writes it anew; read the difference first.
"""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

from dynalab_model.errors import DynamoError
from dynalab_model.operations import ExecuteStatement
from dynalab_model.partiql import translate
from dynalab_model.requests import parse
from tests.model.songs import Machine, some_songs

FILE = Path(__file__).parents[2] / "docs" / "transcripts" / "partiql.txt"
STATEMENTS = [
    "INSERT INTO Songs VALUE {'artist': 'pulp', 'year': 1995, 'genre': 'pop', 'tags': <<'a', 'b'>>}",
    "INSERT INTO Songs VALUE {'artist': 'pulp', 'year': 1995}",
    "SELECT genre FROM Songs WHERE artist = 'pulp' AND year = 1995",
    "SELECT year, stars FROM Songs WHERE artist = 'abba' AND year > 1974 AND stars > 3",
    "SELECT year FROM Songs WHERE artist IN ['blur', 'pulp'] AND genre = 'pop'",
    'SELECT artist FROM "Songs"."by-genre" WHERE genre = \'pop\' ORDER BY year DESC',
    "SELECT artist, year FROM Songs WHERE genre <> 'pop'",
    "SELECT artist, year FROM Songs WHERE NOT genre = 'pop'",
    "UPDATE Songs SET stars = 5 SET tags = set_add(tags, <<'c'>>) WHERE artist = 'pulp' AND year = 1995 "
    "RETURNING MODIFIED NEW *",
    "UPDATE Songs SET stars = 5 WHERE artist = 'pulp' AND year = 2024",
    "UPDATE Songs SET stars = 5 WHERE artist = 'pulp'",
    "DELETE FROM Songs WHERE artist = 'pulp' AND year = 1995 AND stars = 4",
    "DELETE FROM Songs WHERE artist = 'pulp' AND year = 2024 AND stars = 4",
    "SELECT COUNT(*) FROM Songs",
]


def shown(request: Any) -> str:
    """A request with its placeholders filled in, and without the members that have their usual value."""

    def filled(text: str) -> str:
        text = re.sub(r"#\w+", lambda found: request.names[found.group()], text)
        return re.sub(r":\w+", lambda found: json.dumps(request.values[found.group()]), text)

    parts = []
    for one in fields(request):
        value = getattr(request, one.name)
        usual = one.default if one.default is not MISSING else None
        if one.name in ("table", "names", "values", "capacity", "filters_keys") or value in (usual, {}):
            continue
        parts.append(f"{one.name}: {filled(value) if isinstance(value, str) else json.dumps(value)}")
    return "\n".join([type(request).__name__, *(f"    {part}" for part in parts)])


def told(machine: Machine, text: str) -> str:
    """One statement: what it becomes, what it answers and what it costs."""
    lines = [f"> {text}"]
    try:
        op = parse("ExecuteStatement", {"Statement": text})
        assert isinstance(op, ExecuteStatement)
        requests = translate(machine.state.tables["Songs"].schema, op).requests
        lines += [f"  {line}" for request in requests for line in shown(request).splitlines()]
        answer = machine.execute(text, ReturnConsumedCapacity="TOTAL")
        lines += [f"  = {json.dumps(item)}" for item in answer["Items"]] or ["  = no items"]
        lines.append(f"  {answer['ConsumedCapacity']['CapacityUnits']} units")
    except DynamoError as error:
        lines.append(f"  ! {error}")
    return "\n".join(lines)


def test_the_page_shows_what_the_statements_do(request: pytest.FixtureRequest) -> None:
    machine = some_songs()
    text = "\n\n".join(told(machine, statement) for statement in STATEMENTS) + "\n"
    if request.config.getoption("--rewrite-transcripts"):
        FILE.write_text(text)
    assert text == FILE.read_text(), "rewrite the transcript and read what changed"

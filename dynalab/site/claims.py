"""Which test shows which item of the seed documents: read from the markers in tests/, written as docs/claims.md.

The markers are read from the syntax tree, so that no test is imported (or run) for it. A marker must name its items
literally; anything else is an error, as it could not be found again by a reader either.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

KINDS: Final = {
    "B": "behaviour",
    "P": "pattern",
    "W": "worked example",
    "Z": "puzzler",
    "W/Z": "worked example, puzzler",
    "P/Z": "pattern, puzzler",
    "X": "wrong or outdated",
}


@dataclass(frozen=True, slots=True)
class Claim:
    """One item of the seed documents, S1 to S184: `says` reports the document, it is not itself a verified fact."""

    id: str
    kind: str
    topic: str
    says: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A test that shows an item: file relative to the repository, line, and the test's name."""

    claim: str
    file: str
    line: int
    test: str

    @property
    def promise(self) -> str:
        """The test's name read as a sentence.

        >>> Shown("S23", "tests/impl/test_group.py", 10, "TestGroup.test_a_write_survives_the_loss_of_any_node").promise
        'a write survives the loss of any node'
        """
        return self.test.rsplit(".", 1)[-1].removeprefix("test_").replace("_", " ")


def load_claims() -> dict[str, Claim]:
    """All items, in their order.

    >>> load_claims()["S32"].says
    'item limit (400 KB)'
    """
    text = Path(__file__).with_name("claims.toml").read_text(encoding="utf-8")
    return {id: Claim(id, entry["kind"], entry["topic"], entry["says"]) for id, entry in tomllib.loads(text).items()}


def _marked(node: ast.expr, file: str) -> list[str]:
    """The ids of `pytest.mark.claim(...)`; empty for any other decorator."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "claim"):
        return []
    ids: list[str] = []
    for argument in node.args:
        if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
            raise ValueError(f"{file}:{node.lineno}: a claim marker must name its items literally")
        ids.append(argument.value)
    return ids


def _walk(body: list[ast.stmt], file: str, prefix: str, inherited: list[str]) -> Iterator[Shown]:
    own = list(inherited)
    for statement in body:
        if isinstance(statement, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "pytestmark" for target in statement.targets
        ):
            values = statement.value.elts if isinstance(statement.value, ast.List | ast.Tuple) else [statement.value]
            own += [id for value in values for id in _marked(value, file)]
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            marks = [id for decorator in statement.decorator_list for id in _marked(decorator, file)]
            yield from _walk(statement.body, file, f"{prefix}{statement.name}.", own + marks)
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and statement.name.startswith("test"):
            marks = own + [id for decorator in statement.decorator_list for id in _marked(decorator, file)]
            for id in dict.fromkeys(marks):
                yield Shown(id, file, statement.lineno, prefix + statement.name)


def collect(tests: Path) -> list[Shown]:
    """Every marked test below `tests`, by file and line. Raises ValueError for a marker that is not literal."""
    found: list[Shown] = []
    for path in sorted(tests.rglob("test_*.py")):
        file = path.relative_to(tests.parent).as_posix()
        found += _walk(ast.parse(path.read_text(encoding="utf-8"), filename=file).body, file, "", [])
    return found


def unknown_items(shown: list[Shown], claims: dict[str, Claim]) -> list[Shown]:
    """Markers that look like an item (S and a number) but name none: misspelt, and an error of the suite."""
    return [entry for entry in shown if re.fullmatch(r"S\d+", entry.claim) and entry.claim not in claims]


def cell(text: str) -> str:
    """Text that may stand in a cell of a Markdown table.

    >>> cell("a | b <c>")
    'a \\\\| b &lt;c&gt;'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("|", "\\|").replace("\n", " ")


def page(claims: dict[str, Claim], shown: list[Shown]) -> str:
    """docs/claims.md: the items that are shown and where, and under each topic those that are not shown yet."""
    by_claim: dict[str, list[Shown]] = {}
    for entry in shown:
        by_claim.setdefault(entry.claim, []).append(entry)
    shown_count = sum(1 for id in claims if id in by_claim)
    test_count = len({(entry.file, entry.test) for entry in shown})
    lines = [
        "# Claims and tests",
        "",
        "Five documents about DynamoDB were read line by line; each thing that they say is an item below.",
        "What an item says is a report of the document, not a verified fact: items of the kind *wrong or",
        "outdated* are there to be refuted. An item counts as shown when a test in the suite carries its marker;",
        "the table is written from these markers.",
        "",
        f"**{shown_count} of {len(claims)}** items are shown by **{test_count}** marked tests.",
        "",
    ]
    for topic in dict.fromkeys(claim.topic for claim in claims.values()):
        members = [claim for claim in claims.values() if claim.topic == topic]
        lines += [f"## {topic}", ""]
        here = [claim for claim in members if claim.id in by_claim]
        if here:
            lines += ["| Item | Kind | What it says | Where it is shown |", "|---|---|---|---|"]
            for claim in here:
                where = "<br>".join(f"{cell(e.promise)} (`{e.file}:{e.line}`)" for e in by_claim[claim.id])
                lines.append(f"| {claim.id} | {KINDS.get(claim.kind, claim.kind)} | {cell(claim.says)} | {where} |")
            lines.append("")
        missing = [claim for claim in members if claim.id not in by_claim]
        if missing:
            lines += ['??? note "Not shown yet: ' + f'{len(missing)}"', ""]
            lines += [
                f"    - {claim.id} ({KINDS.get(claim.kind, claim.kind)}): {cell(claim.says)}" for claim in missing
            ]
            lines.append("")
    rules = sorted(id for id in by_claim if id not in claims)
    if rules:
        lines += ["## Rules of this project", "", "| Rule | Where it is shown |", "|---|---|"]
        for id in rules:
            where = "<br>".join(f"{cell(e.promise)} (`{e.file}:{e.line}`)" for e in by_claim[id])
            lines.append(f"| {cell(id)} | {where} |")
        lines.append("")
    return "\n".join(lines)

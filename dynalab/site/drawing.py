"""Diagrams drawn by graphviz from the code's own tables, as SVG that takes the colour of the page's text.

The program is the one that the package `graphviz-pure` brings (a command of that name, the same on every system) or,
where that is missing, `dot`. Both draw the same kind of SVG; `legible` makes it fit for light and dark pages.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

FONT: Final = "Helvetica,Arial,sans-serif"
DRAW_SECONDS_MAX: Final = 30


class NoDrawingProgram(RuntimeError):
    """Neither `dot` nor `graphviz-pure` is there; the text says how to get one."""


def find_program() -> str:
    """The program that draws. graphviz-pure stands beside the interpreter, in an environment that is not activated."""
    beside = Path(sys.executable).with_name("graphviz-pure")
    found = str(beside) if beside.is_file() else shutil.which("graphviz-pure") or shutil.which("dot")
    if found is None:
        raise NoDrawingProgram(
            "no graphviz: pip install 'dynalab[docs]', or install dot (Debian: apt-get install graphviz)"
        )
    return found


def draw(source: str) -> str:
    """The SVG of a graph in the dot language. Raises NoDrawingProgram."""
    done = subprocess.run(
        [find_program(), "-Tsvg"], input=source, capture_output=True, text=True, timeout=DRAW_SECONDS_MAX, check=True
    )
    return legible(done.stdout)


def legible(svg: str) -> str:
    """Cut the prologue, let black be the page's text colour, and scale with the page.

    >>> legible('<?xml?><svg width="10pt" height="5pt" x="1"><g stroke="black"/></svg>')
    '<svg style="max-width:10pt" width="100%" x="1"><g stroke="currentColor"/></svg>'
    """
    body = svg[svg.index("<svg") :].strip()
    body = re.sub(r"<!--.*?-->\n?", "", body, flags=re.DOTALL)
    body = re.sub(r'<svg width="(\d+)pt" height="\d+pt"', r'<svg style="max-width:\1pt" width="100%"', body, count=1)
    body = body.replace('"black"', '"currentColor"').replace("<text ", '<text fill="currentColor" ')
    return body.replace('fill="currentColor" xml:space="preserve"', 'fill="currentColor"')


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def path_source(path: Iterable[tuple[str, str, str, str]], name: str) -> str:
    """The dot source of a path: hops (from, to, message, why), numbered in their order.

    >>> print(path_source([("client", "router", "PutItem", "one door")], "write"))
    digraph "write" {
      rankdir=LR; bgcolor="transparent"; fontname="Helvetica,Arial,sans-serif"; nodesep=0.5; ranksep=1.0;
      node [shape=box, style=rounded, margin="0.25,0.1", fontname="Helvetica,Arial,sans-serif", fontsize=13];
      edge [fontname="Helvetica,Arial,sans-serif", fontsize=11];
      "client" -> "router" [label="1 PutItem", tooltip="one door"];
    }
    """
    lines = [
        f"digraph {_quote(name)} {{",
        f'  rankdir=LR; bgcolor="transparent"; fontname="{FONT}"; nodesep=0.5; ranksep=1.0;',
        f'  node [shape=box, style=rounded, margin="0.25,0.1", fontname="{FONT}", fontsize=13];',
        f'  edge [fontname="{FONT}", fontsize=11];',
    ]
    # Steps inside one node share one loop: two loops would draw their labels over each other.
    inside: dict[str, list[str]] = {}
    for number, (source, target, message, why) in enumerate(path, start=1):
        label = f"{number} {message}"
        if source == target:
            inside.setdefault(source, []).append(label)
        else:
            lines.append(f"  {_quote(source)} -> {_quote(target)} [label={_quote(label)}, tooltip={_quote(why)}];")
    for node, labels in inside.items():
        lines.append(f"  {_quote(node)} -> {_quote(node)} [label={_quote(chr(10).join(labels))}];")
    return "\n".join([*lines, "}"])


def path_table(path: Iterable[tuple[str, str, str, str]]) -> str:
    """The same hops as a Markdown table: number, from, to, message, why."""
    lines = ["| | From | To | Message | Why |", "|---|---|---|---|---|"]
    for number, hop in enumerate(path, start=1):
        source, target, message, why = (part.replace("|", "\\|").replace("<", "&lt;") for part in hop)
        lines.append(f"| {number} | {source} | {target} | `{message}` | {why} |")
    return "\n".join(lines) + "\n"

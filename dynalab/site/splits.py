"""What the children of a split inherit, as a picture and as a table, from the implementation's own rows."""

from __future__ import annotations

from collections.abc import Iterable

from dynalab.site.drawing import FONT
from dynalab_impl.inheritance import Inherited

# Who keeps a part, and what the course calls it.
OWNERS = {"Partition": "the state", "Replica": "every replica", "Leading": "its leader"}


def owner_of(row: Inherited) -> str:
    return row.place.split(".")[0]


def inheritance_source(rows: Iterable[Inherited]) -> str:
    """The dot source: a parent, what is kept by whom, and both children.

    >>> print(inheritance_source([Inherited("Leading.ballot", "the leader", "", "")]).splitlines()[5])
      "Leading" [label="its leader\\n\\nthe leader"];
    """
    kept: dict[str, list[str]] = {}
    for row in rows:
        kept.setdefault(owner_of(row), []).append(row.what)
    lines = [
        'digraph "inheritance" {',
        f'  rankdir=LR; bgcolor="transparent"; fontname="{FONT}"; nodesep=0.25; ranksep=0.7;',
        f'  node [shape=box, style=rounded, margin="0.35,0.1", fontname="{FONT}", fontsize=12];',
        f'  edge [fontname="{FONT}", fontsize=11];',
        '  "parent" [label="parent\\n[low, high)"];',
    ]
    lines += [f'  "{owner}" [label="{OWNERS[owner]}\\n\\n' + "\\n".join(parts) + '"];' for owner, parts in kept.items()]
    lines += ['  "left" [label="left child\\n[low, at)"];', '  "right" [label="right child\\n[at, high)"];']
    for owner in kept:
        lines.append(f'  "parent" -> "{owner}" [arrowhead=none];')
        lines += [f'  "{owner}" -> "{child}";' for child in ("left", "right")]
    return "\n".join([*lines, "}"])


def inheritance_table(rows: Iterable[Inherited]) -> str:
    """The same rows as Markdown: what, how it is divided, what would go wrong, and the bug that leaves it out."""
    lines = ["| Children inherit | Each gets | Without it | Planted bug |", "|---|---|---|---|"]
    lines += [
        f"| {row.what} (`{row.place}`) | {row.how} | {row.without} | {f'`{row.bug}`' if row.bug else ''} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"

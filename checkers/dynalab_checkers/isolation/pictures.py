"""Cycles as pictures: a graphviz source, and a small SVG that we lay out ourselves.

Rules of this room:
- Both are text, made of the cycle alone; nothing is executed, loaded or looked up. All that comes from outside is
  escaped.
- The SVG puts the transactions on a circle, in the order of the cycle; who cannot see it reads <title> and <desc>.
- Integers only, from a table of sines: the same cycle gives the same bytes everywhere.
"""

from __future__ import annotations

from html import escape
from typing import Final

from dynalab_checkers.isolation.cycles import Cycle, Edge
from dynalab_checkers.isolation.explain import Analysis, describe_transaction, reason
from dynalab_checkers.isolation.graph import KIND_NAMES, ORDER, STAGE_NAMES

# More transactions than this are no picture; the explanation tells of them.
SHOWN_MAX: Final = 12
_COLOURS: Final = {"ww": "#1e6fd0", "wr": "#2e8b3a", "rw": "#c62828", "process": "#7a5a00", "realtime": "#7a5a00"}
_BOX_WIDTH: Final = 190
_BOX_HEIGHT: Final = 62
_LABEL_MAX: Final = 26
# Sines of 0..90 degrees in steps of 10, in thousandths.
_SINES: Final = (0, 174, 342, 500, 643, 766, 866, 940, 985, 1000)


def edge_label(edge: Edge) -> str:
    """Why an edge is there, in a word.

    >>> edge_label(Edge(1, 2, 2, 0)), edge_label(Edge(1, 2, 3, 2))
    ('rw', 'realtime')
    """
    return STAGE_NAMES[edge.stage] if edge.kind == ORDER else KIND_NAMES[edge.kind]


def as_dot(analysis: Analysis, cycle: Cycle) -> str:
    """The cycle in the language of graphviz."""
    transactions = analysis.transactions
    lines = ["digraph cycle {", "  rankdir=LR;", "  node [shape=box, fontname=monospace];"]
    lines.append(f'  label="{_quoted(cycle.name)}"; labelloc=t;')
    for place, edge in enumerate(cycle.edges, 1):
        number = edge.source
        text = describe_transaction(transactions.operations[number], transactions.micros[number])
        lines.append(f'  T{place} [label="T{place}\\n{_quoted(text)}"];')
    for place, edge in enumerate(cycle.edges, 1):
        after = place % len(cycle.edges) + 1
        label = edge_label(edge)
        why = _quoted(reason(analysis, edge, f"T{place}", f"T{after}"))
        colour = _COLOURS[label]
        lines.append(
            f'  T{place} -> T{after} [label="{label}", tooltip="{why}", color="{colour}", fontcolor="{colour}"];'
        )
    return "\n".join([*lines, "}", ""])


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def as_svg(analysis: Analysis, cycle: Cycle) -> str:
    """The cycle as an SVG document. Of a long one the first transactions and the last are shown.

    Raises ValueError for a cycle without edges.
    """
    if not cycle.edges:
        raise ValueError("a cycle has edges")
    edges = list(cycle.edges)
    left_out = len(edges) - SHOWN_MAX
    if left_out > 0:
        edges = edges[: SHOWN_MAX - 1] + edges[-1:]
    count = len(edges)
    radius = 120 + 34 * count
    # Two lie side by side, and need no room above and below.
    reach = 20 if count == 2 else max(radius * 3 * _sine(360 * place // count) // 4000 for place in range(count))
    width, height = 2 * radius + _BOX_WIDTH + 40, 2 * reach + _BOX_HEIGHT + 90
    centre = (width // 2, (height + 40) // 2)
    points = [_on_circle(centre, radius, 360 * place // count) for place in range(count)]
    names = {edge.source: f"T{place}" for place, edge in enumerate(cycle.edges, 1)}
    title = cycle.name + (f" ({cycle.story()})" if cycle.story() else "")
    reasons = [reason(analysis, edge, names[edge.source], names[edge.target]) for edge in edges]
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="dl-cycle" role="img" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}">',
        f"<title>{escape(title)}</title>",
        f"<desc>{escape('; '.join(reasons))}</desc>",
        "<style>.dl-cycle{font:12px ui-monospace,Menlo,Consolas,monospace;color:#1f2328}"
        "@media (prefers-color-scheme:dark){.dl-cycle{color:#e6edf3}}"
        ".dl-cycle text{fill:currentColor}.dl-cycle rect{fill:none;stroke:currentColor}"
        ".dl-cycle .name{font-weight:bold}.dl-cycle path{fill:none;stroke-width:1.8}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" style="fill:context-stroke;stroke:none"/></marker></defs>',
        f'<text x="{width // 2}" y="22" text-anchor="middle" class="name">{escape(title)}</text>',
    ]
    for place, edge in enumerate(edges):
        lines += _arrow(points[place], points[(place + 1) % count], centre, edge, reasons[place])
    for place, edge in enumerate(edges):
        lines += _box(analysis, points[place], edge.source, names[edge.source])
    if left_out > 0:
        note = f"{left_out} transactions between {names[edges[-2].source]} and {names[edges[-1].source]} are not shown"
        lines.append(f'<text x="{width // 2}" y="{height - 10}" text-anchor="middle">{escape(note)}</text>')
    return "\n".join([*lines, "</svg>", ""])


def _sine(degrees: int) -> int:
    degrees %= 360
    if degrees >= 180:
        return -_sine(degrees - 180)
    if degrees > 90:
        degrees = 180 - degrees
    low, rest = divmod(degrees, 10)
    return _SINES[low] + (rest * (_SINES[min(low + 1, 9)] - _SINES[low])) // 10


def _on_circle(centre: tuple[int, int], radius: int, degrees: int) -> tuple[int, int]:
    """A place on a flattened circle, counted clockwise from the left."""
    x = centre[0] - radius * _sine(degrees + 90) // 1000
    y = centre[1] - radius * 3 * _sine(degrees) // 4000
    return x, y


def _arrow(begin: tuple[int, int], end: tuple[int, int], centre: tuple[int, int], edge: Edge, why: str) -> list[str]:
    label = edge_label(edge)
    colour = _COLOURS[label]
    x1, y1 = _border(begin, end)
    x2, y2 = _border(end, begin)
    # Bent to the right of its direction, so that the two arrows of a cycle of two lie apart.
    bend_x, bend_y = (x1 + x2) // 2 + (y1 - y2) // 5, (y1 + y2) // 2 + (x2 - x1) // 5
    text_x, text_y = bend_x, bend_y + 4
    return [
        f'<path d="M{x1} {y1}Q{bend_x} {bend_y} {x2} {y2}" stroke="{colour}" marker-end="url(#tip)">'
        f"<title>{escape(why)}</title></path>",
        f'<text x="{text_x}" y="{text_y}" text-anchor="middle" style="fill:{colour};font-weight:bold">{label}</text>',
    ]


def _border(inside: tuple[int, int], outside: tuple[int, int]) -> tuple[int, int]:
    """Where the line between two boxes leaves the first one."""
    dx, dy = outside[0] - inside[0], outside[1] - inside[1]
    half_width, half_height = _BOX_WIDTH // 2 + 6, _BOX_HEIGHT // 2 + 6
    if abs(dx) * half_height > abs(dy) * half_width:
        return inside[0] + (half_width if dx > 0 else -half_width), inside[1] + dy * half_width // max(1, abs(dx))
    return inside[0] + dx * half_height // max(1, abs(dy)), inside[1] + (half_height if dy > 0 else -half_height)


def _box(analysis: Analysis, point: tuple[int, int], number: int, name: str) -> list[str]:
    transactions = analysis.transactions
    operation = transactions.operations[number]
    whole = describe_transaction(operation, transactions.micros[number])
    said = whole.split(": ", 1)[1].split(", ")
    rows = [_cut(part) for part in (said if len(said) <= 2 else [said[0], f"{said[1]} +{len(said) - 2}"])]
    left, top = point[0] - _BOX_WIDTH // 2, point[1] - _BOX_HEIGHT // 2
    lines = [
        f"<g><title>{escape(whole)}</title>"
        f'<rect x="{left}" y="{top}" width="{_BOX_WIDTH}" height="{_BOX_HEIGHT}" rx="5"/>',
        f'<text x="{left + 8}" y="{top + 17}" class="name">{name}: process {operation.process}</text>',
    ]
    for row, text in enumerate(rows):
        lines.append(f'<text x="{left + 8}" y="{top + 35 + 16 * row}">{escape(text)}</text>')
    return [*lines, "</g>"]


def _cut(text: str) -> str:
    return text if len(text) <= _LABEL_MAX else text[: _LABEL_MAX - 1] + "…"

"""Cycles as pictures: a graphviz source, and a small SVG that we lay out ourselves.

Rules of this room:
- Both are text, made of the cycle alone; nothing is executed, loaded or looked up. All that comes from outside is
  escaped.
- The SVG puts the transactions on a circle, in the order of the cycle; who cannot see it reads <title> and <desc>.
- Integers only, from a table of sines: the same cycle gives the same bytes everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isqrt
from typing import Final

from dynalab_checkers.isolation.cycles import Cycle, Edge
from dynalab_checkers.isolation.explain import Analysis, describe_transaction, reason
from dynalab_checkers.isolation.graph import KIND_NAMES, ORDER, STAGE_NAMES
from dynalab_checkers.picture import xml_text

# More transactions than this are no picture; the explanation tells of them.
SHOWN_MAX: Final = 12
_COLOURS: Final = {"ww": "#1e6fd0", "wr": "#2e8b3a", "rw": "#c62828", "process": "#7a5a00", "realtime": "#7a5a00"}
_BOX_WIDTH: Final = 190
_BOX_HEIGHT: Final = 62
_LABEL_MAX: Final = 24
_TIP: Final = 12
# Two sets of colours, by what the system prefers; a page with a switch sets the variables itself.
STYLE: Final = (
    ".dl-cycle{font:12px ui-monospace,Menlo,Consolas,monospace;--dl-ink:#1f2328;--dl-ground:#fff;--dl-ww:#1e6fd0;"
    "--dl-wr:#26762f;--dl-rw:#c62828;--dl-time:#7a5a00}"
    "@media (prefers-color-scheme:dark){.dl-cycle{--dl-ink:#e6edf3;--dl-ground:#0d1117;--dl-ww:#79b8ff;"
    "--dl-wr:#6fdd8b;--dl-rw:#ff7b72;--dl-time:#e3b341}}"
    ".dl-cycle text{fill:var(--dl-ink)}.dl-cycle rect{fill:var(--dl-ground);stroke:var(--dl-ink)}"
    ".dl-cycle .name{font-weight:bold}.dl-cycle path{fill:none;stroke-width:1.8}"
    + "".join(
        f".dl-cycle .{kind} path{{stroke:var(--dl-{colour})}}"
        f".dl-cycle .{kind} polygon,.dl-cycle .{kind} text{{fill:var(--dl-{colour})}}"
        for kind, colour in (("ww", "ww"), ("wr", "wr"), ("rw", "rw"), ("process", "time"), ("realtime", "time"))
    )
    + ".dl-cycle g>text{font-weight:bold;stroke:var(--dl-ground);stroke-width:4;paint-order:stroke}"
    ".dl-cycle .box text{font-weight:normal;stroke:none}.dl-cycle .box .name{font-weight:bold}"
)
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
    names = {edge.source: f"T{place}" for place, edge in enumerate(cycle.edges, 1)}
    arrows: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for place, edge in enumerate(edges):
        why = reason(analysis, edge, names[edge.source], names[edge.target])
        # Where some are left out, the arrow leads on to the next that is shown.
        arrows[edge.source, edges[(place + 1) % len(edges)].source] = [(edge_label(edge), why)]
    note = ""
    if left_out > 0:
        note = f"{left_out} transactions between {names[edges[-2].source]} and {names[edges[-1].source]} are not shown"
    title = cycle.name + (f" ({cycle.story()})" if cycle.story() else "")
    return draw(analysis, title, {edge.source: names[edge.source] for edge in edges}, arrows, note)


def draw(
    analysis: Analysis,
    title: str,
    names: Mapping[int, str],
    arrows: Mapping[tuple[int, int], Sequence[tuple[str, str]]],
    note: str = "",
) -> str:
    """Transactions on a circle, and arrows between them with their labels and reasons, as an SVG document."""
    count = len(names)
    radius = 120 + 34 * count
    # Two lie side by side, and need no room above and below.
    reach = 20 if count == 2 else max(radius * 3 * _sine(360 * place // count) // 4000 for place in range(count))
    width, height = 2 * radius + _BOX_WIDTH + 40, 2 * reach + _BOX_HEIGHT + 90
    centre = (width // 2, (height + 40) // 2)
    points = {number: _on_circle(centre, radius, 360 * place // count) for place, number in enumerate(names)}
    reasons = [why for labels in arrows.values() for _, why in labels]
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="dl-cycle" role="img" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}">',
        f"<title>{xml_text(title)}</title>",
        f"<desc>{xml_text('; '.join(reasons))}</desc>",
        f"<style>{STYLE}</style>",
        f'<text x="{width // 2}" y="22" text-anchor="middle" class="name">{xml_text(title)}</text>',
    ]
    for (source, target), labels in arrows.items():
        lines += _arrow(points[source], points[target], labels)
    for number, name in names.items():
        lines += _box(analysis, points[number], number, name)
    if note:
        lines.append(f'<text x="{width // 2}" y="{height - 10}" text-anchor="middle">{xml_text(note)}</text>')
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


def _arrow(begin: tuple[int, int], end: tuple[int, int], labels: Sequence[tuple[str, str]]) -> list[str]:
    kind = labels[0][0].split(" ")[0]
    x1, y1 = _border(begin, end)
    x2, y2 = _border(end, begin)
    # Bent to the right of its direction, so that the two arrows of a cycle of two lie apart.
    bend_x, bend_y = (x1 + x2) // 2 + (y1 - y2) // 5, (y1 + y2) // 2 + (x2 - x1) // 5
    # The tip points along the end of the bow; it is drawn here, since a marker would need a name of its own in a page.
    dx, dy = x2 - bend_x, y2 - bend_y
    length = max(1, isqrt(dx * dx + dy * dy))
    along, across = (_TIP * dx // length, _TIP * dy // length), (-_TIP * dy // (2 * length), _TIP * dx // (2 * length))
    left = (x2 - along[0] + across[0], y2 - along[1] + across[1])
    right = (x2 - along[0] - across[0], y2 - along[1] - across[1])
    said = "; ".join(why for _, why in labels)
    label = " / ".join(dict.fromkeys(label for label, _ in labels))
    return [
        f'<g class="{kind}"><title>{xml_text(said)}</title>'
        f'<path d="M{x1} {y1}Q{bend_x} {bend_y} {x2 - along[0] // 2} {y2 - along[1] // 2}"/>'
        f'<polygon points="{x2},{y2} {left[0]},{left[1]} {right[0]},{right[1]}"/>',
        f'<text x="{bend_x}" y="{bend_y + 4}" text-anchor="middle">{xml_text(label)}</text></g>',
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
        f'<g class="box"><title>{xml_text(whole)}</title>'
        f'<rect x="{left}" y="{top}" width="{_BOX_WIDTH}" height="{_BOX_HEIGHT}" rx="5"/>',
        f'<text x="{left + 8}" y="{top + 17}" class="name">{name}: process {operation.process}</text>',
    ]
    for row, text in enumerate(rows):
        lines.append(f'<text x="{left + 8}" y="{top + 35 + 16 * row}">{xml_text(text)}</text>')
    return [*lines, "</g>"]


def _cut(text: str) -> str:
    return text if len(text) <= _LABEL_MAX else text[: _LABEL_MAX - 1] + "…"

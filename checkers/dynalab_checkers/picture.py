"""Pictures of histories: static SVG, written by ourselves, and the same as a text table.

Rules of this room:
1. One row per client, a box per operation from its call to its return. What never returned is dashed, open to the
   right.
2. Time runs to the right and its order is exact, but it is stretched where labels need room and shortened where
   nothing happens: the marks of the axis say the time.
3. Everything that comes from outside is escaped. The picture loads nothing: no font, no script, no other file.
4. Transparent ground, ink in `currentColor`, the rest in CSS variables that have a dark variant.
5. A violation is told three times: in red, in the sentence below, and in <title> and <desc> for those who cannot see
   it.
6. Integers only, so that the same history gives the same bytes everywhere.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from textwrap import wrap

from dynalab_checkers.committed import show
from dynalab_checkers.history import Json, Missing, Operation

ROW_PX = 34
BOX_PX = 24
BAND_PX = 17
CHARACTER_PX = 8  # of the 12 px monospaced labels; a little more than they need, since fonts differ
PLOT_PX = 560  # what time alone would take; labels may stretch it
GAP_MIN_PX = 7  # between two instants, so that before and after can be told apart
GAP_MAX_PX = 120
OPEN_PX = 34  # beyond the last instant, for what never returned
TICK_PX = 78
SENTENCE_PX = 8
LABEL_MAX = 24
TRANSACTION_MAX = 44  # transactions say more
ELEMENTS_MAX = 6

STYLE = """\
.dl{--bad:#c62828;--bad-fill:#c6282830;--read:#1e6fd028;--write:#2e8b3a28;--band:#ef6c001c;--band-ink:#b04a00;\
font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:12px}
.dl:root{color:#1f2328}
@media (prefers-color-scheme:dark){.dl:root{color:#e6edf3}\
.dl{--bad:#ff7b72;--bad-fill:#ff7b7238;--read:#58a6ff38;--write:#3fb95038;--band:#ffa65720;--band-ink:#ffa657}}
.dl text{fill:currentColor}.dl .title{font-size:15px;font-weight:bold}.dl .sentence{font-size:13px;font-weight:bold}
.dl .op{stroke:currentColor;stroke-width:1.2;fill:none}
.dl .read{fill:#1e6fd028;fill:var(--read)}.dl .write{fill:#2e8b3a28;fill:var(--write)}
.dl .fail{fill:none;stroke-opacity:.5}.dl .info{stroke-dasharray:5 3}
.dl .bad{stroke:#c62828;stroke:var(--bad);stroke-width:2.6;fill:#c6282830;fill:var(--bad-fill)}
.dl text.bad{fill:#c62828;fill:var(--bad);stroke:none;font-weight:bold}
.dl .row{stroke:currentColor;opacity:.2}.dl .axis{stroke:currentColor;fill:none}.dl
.tick{stroke:currentColor;opacity:.12} .dl .band{fill:#ef6c001c;fill:var(--band)} .dl
text.band{fill:#b04a00;fill:var(--band-ink);font-weight:bold}.dl .small{font-size:11px}"""


@dataclass(frozen=True, slots=True)
class Band:
    """A fault on the time axis: from `start` to `end` (nanoseconds; None: it did not end), and what it was."""

    start: int
    end: int | None
    label: str


def label(operation: Operation) -> str:
    """An operation in a few characters.

    >>> label(Operation(0, "write", "k", 0, 9, "ok", 7)), label(Operation(0, "cas", "k", 0, 9, "fail", [3, 4]))
    ('w 7', 'cas 3→4 ✗')
    >>> label(Operation(0, "read", "k", 0, 9, "ok", result=7)), label(Operation(0, "read", "k", 0, None, "info"))
    ('r → 7', 'r → ?')
    >>> label(Operation(0, "txn", "", 0, 9, "ok", [["append", "x", 1], ["r", "x", [1, 2]], ["w", "y", 7]]))
    'x+1 · x=[1 2] · y:=7'
    """
    if operation.f == "read":
        text = f"r → {_value(operation.result)}" if operation.outcome == "ok" else "r → ?"
    elif operation.f == "write":
        text = f"w {_value(operation.value)}"
    elif operation.f == "cas" and isinstance(operation.value, list):
        text = f"cas {_value(operation.value[0])}→{_value(operation.value[1])}"
    elif operation.f == "txn" and isinstance(operation.value, list) and operation.value:
        text = " · ".join(_step(micro) for micro in operation.value if isinstance(micro, list) and len(micro) > 1)
    else:
        text = {"delete": "del"}.get(operation.f, operation.f)
    return f"{text} ✗" if operation.outcome == "fail" else text


def _step(micro: list[Json]) -> str:
    """One step of a transaction; of a long list its end, where reads differ."""
    name, key, *rest = micro
    if name == "d":
        return f"del {key}"
    if name == "cas" and len(rest) > 1:
        return f"{key}:{_value(rest[0])}→{_value(rest[1])}"
    value = rest[0] if rest else None
    if isinstance(value, list):
        shown = [*(["…"] if len(value) > ELEMENTS_MAX else []), *map(_value, value[-ELEMENTS_MAX:])]
        return f"{key}=[{' '.join(shown)}]"
    return f"{key}{ {'append': '+', 'w': ':='}.get(str(name), '=') }{_value(value)}"


def as_table(operations: Iterable[Operation], *, highlight: Collection[Operation] = ()) -> str:
    """The picture for those who read it: a Markdown table in the order of invocation. Marked operations are bold.

    >>> print(as_table([Operation(0, "write", "k", 1_000_000, 2_500_000, "ok", 7)]))
    | client | key | operation | from (ms) | to (ms) | outcome |
    | --- | --- | --- | ---: | ---: | --- |
    | 0 | k | w 7 | 0.000 | 1.500 | ok |
    """
    chosen = _sorted(operations)
    start_ns = chosen[0].call if chosen else 0
    lines = ["| client | key | operation | from (ms) | to (ms) | outcome |", "| --- | --- | --- | ---: | ---: | --- |"]
    for operation in chosen:
        what = _cell(label(operation) + (f" ({operation.consistency})" if operation.consistency else ""))
        cells = [
            _cell(_client(operation)),
            _cell(operation.key),
            f"**{what}**" if operation in highlight else what,
            milliseconds(operation.call - start_ns, 3),
            "never" if operation.ret is None else milliseconds(operation.ret - start_ns, 3),
            _outcome(operation),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def render(
    operations: Sequence[Operation],
    *,
    highlight: Collection[Operation] = (),
    bands: Sequence[Band] = (),
    title: str = "",
    sentence: str = "",
) -> str:
    """The operations as an SVG document. `highlight` holds those to mark, `sentence` says what is wrong with them.

    Bands outside the time of the operations are left out, the others are cut to it.

    >>> picture = render([Operation(0, "write", "k", 0, 9_000_000, "ok", 7)], title="one write")
    >>> picture[:4], "<title>one write</title>" in picture
    ('<svg', True)
    """
    chosen = _sorted(operations)
    many_keys = len({operation.key for operation in chosen}) > 1
    labels = [
        _fit(
            f"{operation.key} {label(operation)}" if many_keys else label(operation),
            TRANSACTION_MAX if operation.f == "txn" else LABEL_MAX,
        )
        for operation in chosen
    ]
    names = [_fit(_row_name(operation)) for operation in chosen]
    scale = _Scale.of(chosen, labels, bands, left=20 + CHARACTER_PX * max(map(len, names), default=0))
    strips = _strips(bands, scale)
    top = 34 if title else 8
    rows_top = top + BAND_PX * (1 + max((lane for _, _, lane, _ in strips), default=-1)) + 4
    boxes: list[str] = []
    y = rows_top
    for name, members in _rows(chosen, names):
        lanes = _lanes([scale.span(chosen[number]) for number in members])
        boxes.append(f'<g class="client"><text x="10" y="{y + ROW_PX // 2 + 4}">{xml_text(name)}</text>')
        boxes.append(f'<path class="row" d="M10 {y + ROW_PX * (max(lanes) + 1)}H{scale.right}"/>')
        for number, lane in zip(members, lanes, strict=True):
            operation = chosen[number]
            boxes += _box(operation, labels[number], scale, y + lane * ROW_PX, operation in highlight)
        boxes.append("</g>")
        y += ROW_PX * (max(lanes) + 1)
    width = max(scale.right + 12, 10 + 10 * len(title))
    told = wrap(_clean(sentence), max(60, (width - 20) // SENTENCE_PX))
    width = max(width, 20 + SENTENCE_PX * max(map(len, told), default=0))  # a narrow picture must not cut its sentence
    height = y + 48 + 19 * len(told)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="dl" role="img" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}">',
        f"<title>{xml_text(title or 'A history')}</title>",
        f"<desc>{xml_text(_description(chosen, highlight, bands, sentence))}</desc>",
        f"<style>{STYLE}</style>",
    ]
    if title:
        out.append(f'<text class="title" x="10" y="22">{xml_text(title)}</text>')
    for (start, end, lane, anchor), band in zip(strips, _inside(bands, scale), strict=True):
        out.append(f'<rect class="band" x="{start}" y="{top}" width="{end - start}" height="{y - top}"/>')
        at = f'x="{start + 3}"' if anchor == "start" else f'x="{end - 3}" text-anchor="end"'
        out.append(f'<text class="band small" {at} y="{top + BAND_PX * lane + 12}">{xml_text(_fit(band.label))}</text>')
    out += _axis(scale, rows_top, y)
    out += boxes
    out += [
        f'<text class="sentence bad" x="10" y="{y + 58 + 19 * number}">{xml_text(line)}</text>'
        for number, line in enumerate(told)
    ]
    return "\n".join([*out, "</svg>"]) + "\n"


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where an instant lies. `instants` are doubled nanoseconds: so an operation without duration has a width."""

    instants: list[int]
    places: list[int]
    left: int
    right: int
    start_ns: int

    @classmethod
    def of(cls, operations: list[Operation], labels: list[str], bands: Sequence[Band], *, left: int) -> _Scale:
        ends = [_doubled(operation) for operation in operations]
        instants = sorted({instant for pair in ends for instant in pair if instant is not None}) or [0]
        first, last = instants[0], instants[-1]
        edges = [edge for band in bands for edge in (2 * band.start, None if band.end is None else 2 * band.end)]
        instants = sorted({*instants, *(edge for edge in edges if edge is not None and first < edge < last)})
        total = max(1, last - first)
        gaps = [
            max(GAP_MIN_PX, min(GAP_MAX_PX, PLOT_PX * (after - before) // total))
            for before, after in pairwise(instants)
        ]
        index = {instant: number for number, instant in enumerate(instants)}
        spans = sorted(
            (index[end] - index[start], index[start], index[end], len(text))
            for (start, end), text in zip(ends, labels, strict=True)
            if end is not None
        )
        for _, start, end, characters in spans:  # the shortest first: the longer ones then have room already
            missing = CHARACTER_PX * characters + 8 - sum(gaps[start:end])
            for number in range(start, end):
                if missing > 0:
                    share = -(-missing // (end - number))
                    gaps[number] += share
                    missing -= share
        places = [left]
        for gap in gaps:
            places.append(places[-1] + gap)
        widest = max(
            (CHARACTER_PX * len(text) for (_, end), text in zip(ends, labels, strict=True) if end is None), default=0
        )
        return cls(instants, places, left, places[-1] + max(OPEN_PX, min(widest, 200) + 10), first // 2)

    def place(self, instant: int) -> int:
        """The x of a doubled instant, in whole pixels; what lies outside is moved to the edge."""
        number = bisect_right(self.instants, instant) - 1
        if number < 0:
            return self.left
        if number + 1 == len(self.instants):
            return self.places[-1] if instant <= self.instants[-1] else self.right
        since, until = self.instants[number], self.instants[number + 1]
        x, gap = self.places[number], self.places[number + 1] - self.places[number]
        return x + gap * (instant - since) // (until - since)

    def span(self, operation: Operation) -> tuple[int, int]:
        start, end = _doubled(operation)
        return self.place(start), self.right if end is None else self.place(end)


def milliseconds(time_ns: int, digits: int) -> str:
    """Nanoseconds as milliseconds, cut after that many digits, without floating point.

    >>> milliseconds(1_234_567, 3), milliseconds(-500_000, 1), milliseconds(7_000_000, 0)
    ('1.234', '-0.5', '7')
    """
    sign, rest = ("-", -time_ns) if time_ns < 0 else ("", time_ns)
    whole, part = divmod(rest, 1_000_000)
    return f"{sign}{whole}" + (f".{part:06d}"[: digits + 1] if digits else "")


def _doubled(operation: Operation) -> tuple[int, int | None]:
    if operation.ret is None:
        return 2 * operation.call, None
    return 2 * operation.call, max(2 * operation.ret, 2 * operation.call + 1)


def _sorted(operations: Iterable[Operation]) -> list[Operation]:
    return sorted(operations, key=lambda operation: (operation.call, operation.call_index, operation.process))


def _rows(operations: list[Operation], names: list[str]) -> list[tuple[str, list[int]]]:
    """Operations (by number) of each client, clients in the order of their names: numbers as numbers."""
    rows: dict[tuple[int, int, str], tuple[str, list[int]]] = {}
    for number, operation in enumerate(operations):
        client = operation.process if operation.session is None else operation.session
        key = (0, client, "") if isinstance(client, int) else (1, 0, client)
        rows.setdefault(key, (names[number], []))[1].append(number)
    return [rows[key] for key in sorted(rows)]


def _lanes(spans: list[tuple[int, int]]) -> list[int]:
    """For spans in the order of their starts: the first lane in which each one meets no other."""
    ends: list[int] = []
    lanes: list[int] = []
    for start, end in spans:
        lane = next((number for number, taken in enumerate(ends) if taken <= start), len(ends))
        ends[lane : lane + 1] = [end]
        lanes.append(lane)
    return lanes


def _inside(bands: Sequence[Band], scale: _Scale) -> list[Band]:
    """The bands to draw, in the order of their starts."""
    first, last = scale.instants[0], scale.instants[-1]
    inside = [band for band in bands if 2 * band.start <= last and (band.end is None or 2 * band.end >= first)]
    return sorted(inside, key=lambda band: (band.start, band.label))


def _strips(bands: Sequence[Band], scale: _Scale) -> list[tuple[int, int, int, str]]:
    """For each band to draw: from, to, the line of its label, and the side at which the label starts."""
    strips: list[tuple[int, int, str]] = []
    texts: list[tuple[int, int]] = []
    for band in _inside(bands, scale):
        start = scale.place(2 * band.start)
        end = scale.right if band.end is None else max(scale.place(2 * band.end), start + 2)
        wide = CHARACTER_PX * len(_fit(band.label)) + 6
        anchor = "end" if start + wide > scale.right else "start"
        strips.append((start, end, anchor))
        texts.append((end - wide, end) if anchor == "end" else (start, start + wide))
    order = sorted(range(len(texts)), key=lambda number: texts[number])
    lane_of = dict(zip(order, _lanes([texts[number] for number in order]), strict=True))
    return [(start, end, lane_of[number], anchor) for number, (start, end, anchor) in enumerate(strips)]


def _axis(scale: _Scale, top: int, bottom: int) -> list[str]:
    out = [f'<path class="axis" d="M{scale.left} {bottom + 4}H{scale.right}m-6 -4l6 4l-6 4"/>']
    marks: list[tuple[int, int]] = []
    for instant, x in zip(scale.instants, scale.places, strict=True):
        if not instant % 2 and (not marks or x - marks[-1][1] >= TICK_PX):
            marks.append((instant // 2 - scale.start_ns, x))
    # As few digits as tell all the marks apart.
    times = [[milliseconds(time_ns, digits) for time_ns, _ in marks] for digits in (1, 3, 6)]
    chosen = next((texts for texts in times if len(set(texts)) == len(texts)), times[-1])
    for (_, x), time in zip(marks, chosen, strict=True):
        out.append(f'<path class="tick" d="M{x} {top}V{bottom + 4}"/><path class="axis" d="M{x} {bottom + 4}v5"/>')
        out.append(f'<text class="small" x="{x}" y="{bottom + 22}" text-anchor="middle">{time}</text>')
    out.append(f'<text class="small" x="10" y="{bottom + 22}">ms</text>')
    return out


def _box(operation: Operation, text: str, scale: _Scale, top: int, bad: bool) -> list[str]:
    start, end = scale.span(operation)
    y = top + (ROW_PX - BOX_PX) // 2
    kind = "read" if operation.f == "read" else "write"
    marks = [kind, *([operation.outcome] if operation.outcome != "ok" else []), *(["bad"] if bad else [])]
    drawn = f'class="op {" ".join(marks)}"'
    if operation.ret is None:
        shape = f'<path {drawn} d="M{end} {y}H{start}v{BOX_PX}H{end}"/>'
    else:
        shape = f'<rect {drawn} x="{start}" y="{y}" width="{max(1, end - start)}" height="{BOX_PX}" rx="3"/>'
    ink = ' class="bad"' if bad else ""
    # An open box may be as long as the picture: its label stays with its beginning.
    at = f'x="{start + 6}"' if operation.ret is None else f'x="{(start + end) // 2}" text-anchor="middle"'
    return [
        f"<g>{shape}<title>{xml_text(_told(operation))}</title>"
        f'<text{ink} {at} y="{y + BOX_PX // 2 + 4}">{xml_text(text)}</text></g>'
    ]


def _description(
    operations: list[Operation], highlight: Collection[Operation], bands: Sequence[Band], sentence: str
) -> str:
    parts = [sentence] if sentence else []
    parts += [f"Marked: {_told(operation)}." for operation in operations if operation in highlight]
    parts += [f"Fault: {band.label}." for band in bands]
    return " ".join([*parts, f"{len(operations)} operations of {len({_client(it) for it in operations})} clients."])


def _told(operation: Operation) -> str:
    """An operation in full, for hovering and for screen readers."""
    flavour = f", {operation.consistency}" if operation.consistency else ""
    until = "with no known end" if operation.ret is None else f"to {operation.ret} ns"
    old = "" if isinstance(operation.old, Missing) else f", replaced {show(operation.old)}"
    return (
        f"{_row_name(operation)}, {operation.key}: {label(operation)}{flavour}{old}, "
        f"{_outcome(operation)}, from {operation.call} {until}"
    )


def _outcome(operation: Operation) -> str:
    return {"ok": "ok", "fail": "failed", "info": "unknown"}[operation.outcome]


def _client(operation: Operation) -> str:
    return str(operation.process if operation.session is None else operation.session)


def _row_name(operation: Operation) -> str:
    return f"client {operation.process}" if operation.session is None else f"session {operation.session}"


def _value(value: Json) -> str:
    return "∅" if value is None else value if isinstance(value, str) else show(value)


def _fit(text: str, most: int = LABEL_MAX) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _clean(text: str) -> str:
    """Without what XML 1.0 cannot say: control characters and lone surrogates."""
    return "".join(
        c if c in "\t\n" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" else "\ufffd"
        for c in text
    )


def xml_text(text: str) -> str:
    """A text for inside an SVG document or a page, whatever it holds."""
    return escape(_clean(text))


def _cell(text: str) -> str:
    flat = " ".join(_clean(text).split())
    for character in "\\|*_`[]<>":
        flat = flat.replace(character, "&lt;" if character == "<" else "\\" + character)
    return flat

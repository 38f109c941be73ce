"""The staleness plot as static SVG, one for light and one for dark pages. Needs matplotlib (extra `docs`).

The same figures give the same bytes: no date in the file, and names inside it are hashed with a fixed salt.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Final

from dynalab_checkers.staleness import SINCE_ACK_NS, Staleness

LIGHT: Final = "light"
DARK: Final = "dark"
READS_MIN: Final = 20  # a share of fewer reads is noise, and is not drawn


@dataclass(frozen=True, slots=True)
class Ink:
    """Colours of one scheme."""

    text: str
    grid: str
    curve: str
    bound: str


INKS: Final = {
    LIGHT: Ink("#24292f", "#d0d7de", "#1f6feb", "#c62828"),
    DARK: Ink("#d6dde5", "#3d444d", "#6cb6ff", "#ff8a80"),
}


def human_ns(nanoseconds: int) -> str:
    """A duration in the unit that reads best.

    >>> human_ns(0), human_ns(200_000), human_ns(5_000_000), human_ns(10_000_000_000)
    ('0', '200 µs', '5 ms', '10 s')
    """
    for size, unit in ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs")):
        if nanoseconds >= size:
            return f"{nanoseconds // size} {unit}" if nanoseconds % size == 0 else f"{nanoseconds / size:.1f} {unit}"
    return f"{nanoseconds} ns" if nanoseconds else "0"


def points(staleness: Staleness) -> list[tuple[int, float, int]]:
    """(lower edge of the bucket in ns, share of stale reads, reads) of each bucket with enough reads.

    >>> points(Staleness(since_ack_ns={0: [100, 20], 100_000: [3, 3]}))
    [(0, 0.2, 100)]
    """
    rows = sorted(staleness.since_ack_ns.items())
    return [(edge, stale / reads, reads) for edge, (reads, stale) in rows if reads >= READS_MIN]


def staleness_svg(staleness: Staleness, scheme: str, *, bound: bool) -> str:
    """Share of stale reads by the time since the newest acknowledgement; `bound` draws the 1/3 of three replicas."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    ink = INKS[scheme]
    drawn = points(staleness)
    with pyplot.rc_context(
        {
            "svg.hashsalt": "dynalab",
            "svg.fonttype": "none",
            "font.family": "sans-serif",
            "font.size": 10,
            "text.color": ink.text,
            "axes.labelcolor": ink.text,
            "axes.edgecolor": ink.text,
            "xtick.color": ink.text,
            "ytick.color": ink.text,
        }
    ):
        figure, axes = pyplot.subplots(figsize=(7.2, 3.4))
        places = [SINCE_ACK_NS.index(edge) for edge, _, _ in drawn]
        axes.bar(places, [100 * share for _, share, _ in drawn], color=ink.curve, width=0.72, zorder=2)
        if bound:
            axes.axhline(100 / 3, color=ink.bound, linewidth=1.4, linestyle="--", zorder=3)
            axes.annotate(
                "1/3: the third replica never catches up", (0.99, 100 / 3), xycoords=("axes fraction", "data"),
                xytext=(0, 4), textcoords="offset points", ha="right", color=ink.bound,
            )  # fmt: skip
        axes.set_xticks(places, [human_ns(edge) for edge, _, _ in drawn], rotation=45, ha="right")
        axes.set_ylim(0, max([40.0 if bound else 5.0, *(110 * share for _, share, _ in drawn)]))
        axes.set_xlabel("time since the newest acknowledged write, from")
        axes.set_ylabel("stale reads, %")
        axes.grid(axis="y", color=ink.grid, linewidth=0.7, zorder=0)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        out = io.StringIO()
        figure.savefig(
            out, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None, "Creator": None}
        )
        pyplot.close(figure)
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    return re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL).replace(
        "<svg ", f'<svg role="img" aria-label="Share of stale eventual reads" class="only-{scheme}" ', 1
    )

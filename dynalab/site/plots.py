"""Plots as static SVG, one for light and one for dark pages. Needs matplotlib (extra `docs`).

The same figures give the same bytes: no date in the file, and names inside it are hashed with a fixed salt.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from dynalab_checkers.staleness import SINCE_ACK_NS, Staleness
from dynalab_fault_injection.experiments.metadata import Load

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


@contextmanager
def drawing_in(ink: Ink) -> Iterator[Any]:
    """Give pyplot, set so that the same figures give the same bytes, in the colours of one scheme."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

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
        yield pyplot


def finished(figure: Any, axes: Any, scheme: str, label: str) -> str:
    """The SVG of a figure, for one scheme; `label` is what a reader hears who cannot see it."""
    axes.grid(axis="y", color=INKS[scheme].grid, linewidth=0.7, zorder=0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None, "Creator": None})
    svg = out.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" class="only-{scheme}" ', 1)


def staleness_svg(staleness: Staleness, scheme: str, *, bound: bool) -> str:
    """Share of stale reads by the time since the newest acknowledgement; `bound` draws the 1/3 of three replicas."""
    ink = INKS[scheme]
    drawn = points(staleness)
    with drawing_in(ink) as pyplot:
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
        svg = finished(figure, axes, scheme, "Share of stale eventual reads")
        pyplot.close(figure)
    return svg


def load_svg(loads: Mapping[str, Load], scheme: str) -> str:
    """Questions to the metadata service over time, a line for each run; time counts from when cold routers join."""
    ink = INKS[scheme]
    colours = (ink.bound, ink.curve)
    assert len(loads) == len(colours)
    with drawing_in(ink) as pyplot:
        figure, axes = pyplot.subplots(figsize=(7.2, 3.4))
        for colour, (name, load) in zip(colours, loads.items(), strict=True):
            seconds = [(window - load.joined) * load.window_ms / 1000 for window in range(len(load.questions))]
            per_second = [count * 1000 // load.window_ms for count in load.questions]
            axes.step(seconds, per_second, where="post", color=colour, linewidth=1.6, zorder=3)
            axes.annotate(
                name,
                (seconds[-1], per_second[-1]),
                xytext=(0, 20),
                textcoords="offset points",
                ha="right",
                color=colour,
            )
        axes.axvline(0, color=ink.text, linewidth=0.8, linestyle=":", zorder=2)
        axes.set_ylim(0, None)
        axes.set_xlabel("seconds since the cold routers joined")
        axes.set_ylabel("questions a second")
        label = "Questions to the metadata service while cold routers join: " + ", and ".join(loads)
        svg = finished(figure, axes, scheme, label)
        pyplot.close(figure)
    return svg

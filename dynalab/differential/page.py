"""The page of judgements: docs/reference/differential.md, from the judgements and the counts of the last whole run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from dynalab.differential.judge import Judgement, load
from dynalab.differential.run import Report

COUNTS = Path(__file__).with_name("last_run.json")
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "differential.md"

HEAD = """# Beside two emulators

<!-- Written by `make differential`: do not edit. -->

`make differential` asks dynalab, [moto](https://github.com/getmoto/moto) and
[dynalite](https://github.com/architect/dynalite) the same seeded requests, compares every answer (responses, error
types and texts, capacity), reads the touched items back after every write, and judges each difference: who is right,
and by which fact. A difference that nobody has judged fails the run and comes out as a boto3 script.

Taken away before comparing, because nothing promises it: request ids, times, ARNs and states of tables; the order of
sets, of items in a Scan, in a batch and among equal keys of an index; what such reads cost when they take several
pages.

"""


class Counts(TypedDict):
    """What is kept of a run, or of several: `judged` has the emulators' counts by judgement."""

    seeds: list[int]
    requests: int
    answered: int
    equal: dict[str, int]
    judged: dict[str, dict[str, int]]
    unjudged: int


def counts(report: Report, seed: int) -> Counts:
    """The figures of a run."""
    judged: dict[str, dict[str, int]] = {}
    for (name, emulator), count in sorted(report.judged.items()):
        judged.setdefault(name, {})[emulator] = count
    return Counts(
        seeds=[seed],
        requests=report.requests,
        answered=report.answered,
        equal=dict(report.equal),
        judged=judged,
        unjudged=report.unjudged_count,
    )


def total(pieces: Sequence[Counts]) -> Counts:
    """The figures of several runs together: a whole run in pieces.

    >>> one = Counts(seeds=[1], requests=2, answered=1, equal={"moto": 1}, judged={"a": {"moto": 1}}, unjudged=0)
    >>> both = total([one, {**one, "seeds": [2]}])
    >>> both["seeds"], both["requests"], both["judged"]
    ([1, 2], 4, {'a': {'moto': 2}})
    """
    equal: Counter[str] = Counter()
    judged: dict[str, Counter[str]] = {}
    for piece in pieces:
        equal.update(piece["equal"])
        for name, by_emulator in piece["judged"].items():
            judged.setdefault(name, Counter()).update(by_emulator)
    return Counts(
        seeds=[seed for piece in pieces for seed in piece["seeds"]],
        requests=sum(piece["requests"] for piece in pieces),
        answered=sum(piece["answered"] for piece in pieces),
        equal=dict(equal),
        judged={name: dict(judged[name]) for name in sorted(judged)},
        unjudged=sum(piece["unjudged"] for piece in pieces),
    )


def text(judgements: tuple[Judgement, ...], figures: Counts) -> str:
    """The page."""
    emulators = list(figures["equal"])
    lines = [HEAD]
    seeds = figures["seeds"]
    lines.append(
        f"The last whole run (seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}): "
        f"**{figures['requests']:,} requests**, "
        f"{figures['answered']:,} of them answered by dynalab and the others refused. Answers that are the same in "
        f"every part: {', '.join(f'{name} {count:,}' for name, count in figures['equal'].items())}. "
        f"Unjudged differences: **{figures['unjudged']}**.\n\n"
    )
    titles = {
        "emulator": "The emulator is right",
        "open": "The documents leave it open",
        "dynalab": "dynalab is right",
    }
    for right, title in titles.items():
        rows = [judgement for judgement in judgements if judgement.right == right]
        if not rows:
            continue
        lines.append(f"## {title}\n\n")
        lines.append(f"| Difference | {' | '.join(emulators)} | By which fact |\n|---|{'---|' * len(emulators)}---|\n")
        for judgement in rows:
            by_emulator = figures["judged"].get(judgement.name, {})
            cells = " | ".join(f"{by_emulator[name]:,}" if name in by_emulator else "–" for name in emulators)
            lines.append(f"| {judgement.says} | {cells} | {judgement.fact} |\n")
        lines.append("\n")
    return "".join(lines).rstrip() + "\n"


def write(figures: Counts) -> None:
    """Write the counts and the page of a whole run."""
    COUNTS.write_text(json.dumps(figures, indent=2) + "\n")
    PAGE.write_text(text(load(), figures))

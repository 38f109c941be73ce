"""The page of judgements: docs/reference/differential.md, from the judgements and the counts of the last whole run."""

from __future__ import annotations

import json
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
    """What is kept of a run: `judged` has the emulators' counts by judgement."""

    seed: int
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
        seed=seed,
        requests=report.requests,
        answered=report.answered,
        equal=dict(report.equal),
        judged=judged,
        unjudged=report.unjudged_count,
    )


def text(judgements: tuple[Judgement, ...], figures: Counts) -> str:
    """The page."""
    emulators = list(figures["equal"])
    lines = [HEAD]
    lines.append(
        f"The last whole run (seed {figures['seed']}): **{figures['requests']:,} requests**, "
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


def write(report: Report, seed: int) -> None:
    """Write the counts and the page of a run."""
    figures = counts(report, seed)
    COUNTS.write_text(json.dumps(figures, indent=2) + "\n")
    PAGE.write_text(text(load(), figures))

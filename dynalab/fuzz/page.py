"""The page of the last whole run: docs/reference/fuzzing.md, from its figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict

from dynalab.fuzz.run import MEMORY_BYTES_MAX, Report
from dynalab.fuzz.wire import ANSWER_SECONDS_MAX

FIGURES = Path(__file__).with_name("last_run.json")
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "fuzzing.md"

HEAD = f"""# Fuzzing the endpoint

<!-- Written by `make fuzz`: do not edit. -->

`make fuzz MINUTES=10` starts `dynalab serve` and sends it what no client should send, over real sockets: good requests
with something wrong in one place (types, members, numbers of hundreds of digits, nesting, expressions with a character
too many), and requests that are broken below that (JSON that is none, damaged gzip and chunks, headers, requests that
end in the middle, several requests in one packet). Every case is a function of the seed and its number.

What must hold at every case:

- every whole request has an answer within {ANSWER_SECONDS_MAX:.0f} seconds, in the order of the requests, with the
  checksum of its body;
- no answer has a status of 500 or above, and the service writes nothing to standard error;
- when everything in a case was refused, all tables and all items are what they were before it (they are read whole);
- the service's memory stays below {MEMORY_BYTES_MAX // 1_000_000} MB.

A case that fails is printed as a line for `curl`, or, when it is no whole request, as a script that sends the same
bytes.

"""


class Figures(TypedDict):
    """What is kept of a run."""

    seed: int
    seconds: int
    cases: int
    requests: int
    requests_per_second: int
    past_the_parser: int
    refused_and_store_checked: int
    slowest_ms: int
    memory_max_mb: int
    kinds: dict[str, int]
    answers: dict[str, int]
    failures: int


def figures(report: Report, seed: int) -> Figures:
    """The figures of a run."""
    return Figures(
        seed=seed,
        seconds=round(report.seconds),
        cases=report.cases,
        requests=report.requests,
        requests_per_second=round(report.requests / max(report.seconds, 0.001)),
        past_the_parser=report.past_the_parser,
        refused_and_store_checked=report.refused_checked,
        slowest_ms=round(report.slowest_ms),
        memory_max_mb=round(report.memory_max_bytes / 1e6),
        kinds=dict(report.kinds.most_common()),
        answers=dict(report.answers.most_common()),
        failures=len(report.failures),
    )


def text(run: Figures) -> str:
    """The page.

    >>> one = Figures(seed=1, seconds=1, cases=1, requests=2, requests_per_second=2, past_the_parser=1, slowest_ms=3,
    ...     refused_and_store_checked=1, memory_max_mb=4, kinds={"deep": 1}, answers={"ok": 2}, failures=0)
    >>> print(text(one).splitlines()[-1])
    | ok | 2 |
    """
    share = 100 * run["past_the_parser"] // max(1, run["requests"])
    lines = [
        HEAD,
        "## The last whole run\n\n",
        f"Seed {run['seed']}, {run['seconds']} seconds: **{run['requests']:,} requests** answered in {run['cases']:,} "
        f"cases, {run['requests_per_second']:,} a second while everything was checked, **{share} %** of them past the "
        f"parser. After {run['refused_and_store_checked']:,} cases in which everything was refused the store was "
        f"compared. The slowest case took {run['slowest_ms']} ms; the service's memory was at most "
        f"{run['memory_max_mb']} MB. **{run['failures']} failures.**\n\n",
    ]
    for title, table in (("What was done", run["kinds"]), ("Answer", run["answers"])):
        lines.append(f"| {title} | {'Cases' if table is run['kinds'] else 'Requests'} |\n|---|---|\n")
        lines += [f"| {name} | {count:,} |\n" for name, count in table.items()]
        lines.append("\n")
    return "".join(lines).rstrip() + "\n"


def write(report: Report, seed: int) -> None:
    """Write the figures and the page of a run."""
    run = figures(report, seed)
    FIGURES.write_text(json.dumps(run, indent=2) + "\n")
    PAGE.write_text(text(run))

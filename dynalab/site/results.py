"""docs/results/: what the last campaign found, from the result store and from nothing else.

Counters are named as campaigns name them; what each means stands beside it, from the same tables. A page of a store
without runs, or without hunts for planted bugs, says so.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

from dynalab.site import plots
from dynalab.site.claims import cell
from dynalab_checkers.staleness import Staleness
from dynalab_fault_injection.campaign import campaign, replay_line
from dynalab_fault_injection.planted_bugs import BUGS, hunt_all
from dynalab_fault_injection.results import DEFAULT_PATH, Results, StoredBug, StoredRun
from dynalab_fault_injection.sometimes import WORDS
from dynalab_model.events import KINDS

STORE: Final = DEFAULT_PATH
VIOLATION: Final = "acknowledge-before-quorum"
SMOKE_SEEDS: Final = range(16)
FAILURES_SHOWN: Final = 20
ORDER: Final = ("valid", "invalid", "unknown")

# What the simulator counts itself; events that nodes tell are explained by `dynalab_model.events.KINDS`.
COUNTERS: Final = {
    "crashes": "nodes that were stopped in the middle of whatever they did",
    "restarts": "nodes that came back with what their disk had kept",
    "leaders-died": "nodes that led a group when they died",
    "leaders-died-with-unacked-writes": "leaders that died with writes which nobody had been promised yet",
    "lost-unsynced-tails": "logs that lost records which had not been synced: none of them had been acknowledged",
    "torn-tails-cut": "logs whose last record was torn in the middle and was cut at recovery",
    "stale-reads-seen": "eventual reads that certainly showed an older version than an acknowledged one",
    "wiped-disks": "disks that were lost with everything on them",
    "operations-of-unknown-outcome": "operations whose clients never learned what became of them",
    "answers-after-the-client-gave-up": "answers that came when nobody was waiting any more",
    "lost-at-dead-node": "messages that reached a node while it was down",
    "messages-cut": "messages that met a cut between two nodes or zones",
    "messages-delayed": "messages that were held back",
    "messages-doubled": "messages that were delivered twice",
    "messages-lost": "messages that vanished on the way",
    "messages-reordered": "messages that were overtaken by later ones",
    "index-messages-delayed": "index changes that were held back",
    "log-messages-delayed": "messages of a replicated log that were held back while heartbeats passed",
    "acknowledging-messages-delayed": "answers to a leader's heartbeats that arrived late",
    "outputs-lost-in-crash": "messages and answers that waited for a sync when their node died, and never left",
    "log-records-dropped": "log records that disks let go of, once snapshots had replaced them",
    "dropped-at-full-queue": "messages that found a full queue and were dropped, as the rules ask for",
    "two-zones-lost": "times that two of three zones lost power together",
    "lost-while-healing": "machines that died while their group was repairing itself",
    "leaders-lost-on-a-return": "leaders that died just after they had taken in a machine with an empty disk",
    "control-messages-cut": "messages of the control plane that were lost while it was dead",
    "disks-given-up-misplaced": "disks on which a record lay in another's place: they count as lost",
    "disks-given-up-unreadable": "disks on which a synced record could not be read back: they count as lost",
    "failed-syncs": "syncs that failed and stopped their node",
    "planned-stops": "nodes that handed over what they led and were stopped",
    "lost-at-dead-router": "requests that reached a router while it was down",
    "power-lost-while-a-snapshot-was-written": "the power went while a node had written a part of a snapshot",
}


def smoke(path: Path) -> None:
    """A small campaign into the store if it holds no run, and a hunt for each planted bug that it knows nothing of."""
    with Results.open(path) as store:
        if not store.runs():
            for _ in campaign(SMOKE_SEEDS, processes=2, store=store):
                pass
        hunted = {bug.name for bug in store.planted_bugs()}
        for found in hunt_all([name for name in BUGS if name not in hunted], processes=2):
            store.add_planted_bug(found.to_store())


def write_violation(docs: Path, path: Path) -> None:
    """docs/assets/violation.svg, the picture that README and home page show, from the store's hunt for VIOLATION.

    The one picture that is kept in git: a README is read before anything was run. Raises ValueError without a picture.
    """
    with Results.open(path) as store:
        pictures = [bug.svg for bug in store.planted_bugs() if bug.name == VIOLATION and bug.caught]
    if not pictures:
        raise ValueError(f"{path} holds no picture of {VIOLATION}: dynalab planted-bugs {VIOLATION}")
    (docs / "assets" / "violation.svg").write_text(inline(pictures[0]) + "\n", encoding="utf-8")


def meaning(name: str) -> str:
    """What a counter counts.

    >>> meaning("elections")
    'a quorum across two zones promised; the old lease is being waited out'
    """
    kind = next((kind for kind, word in WORDS.items() if word == name), name)
    return COUNTERS.get(name) or KINDS.get(kind, "")


def verdict_table(runs: list[StoredRun]) -> list[str]:
    """One row for each workload and fault: the runs that it was a part of, their verdicts and operations. A run with
    several faults counts in several rows.
    """
    rows: dict[tuple[str, str], Counter[str]] = {}
    for run in runs:
        for name in run.key.faults or ("none",):
            counts = rows.setdefault((run.key.workload, name), Counter())
            counts["runs"] += 1
            counts[run.verdict] += 1
            counts["operations"] += run.operations
    lines = ["| Workload | Fault | Runs | Valid | Invalid | Unknown | Operations |", "|---|---|--:|--:|--:|--:|--:|"]
    for (workload, fault), counts in sorted(rows.items()):
        verdicts = " | ".join(
            f'<span class="verdict-{name}">{counts[name]}</span>' if counts[name] else "0" for name in ORDER
        )
        lines.append(f"| {workload} | {fault} | {counts['runs']} | {verdicts} | {counts['operations']:,} |")
    return lines


def failures(runs: list[StoredRun]) -> list[str]:
    """Every run that is not valid: its sentence and the line that repeats it."""
    failed = [run for run in runs if run.verdict != "valid"]
    lines: list[str] = []
    for run in failed[:FAILURES_SHOWN]:
        line = replay_line(run.key.seed, run.key.workload, run.key.faults)
        lines += [f'- <span class="verdict-{run.verdict}">{run.verdict}</span>, {cell(run.why)}: `{line}`']
    if len(failed) > FAILURES_SHOWN:
        lines.append(f"- and {len(failed) - FAILURES_SHOWN} more in the store")
    return lines


def counter_table(counters: dict[str, int]) -> list[str]:
    """What happened at all, and how often: the other half of "nothing broke"."""
    faults = {name.removeprefix("fault:"): n for name, n in counters.items() if name.startswith("fault:")}
    lines = ["| Fault | Windows that bit |", "|---|--:|"]
    lines += [f"| `{name}` | {count:,} |" for name, count in sorted(faults.items())]
    lines += ["", "| Counter | Times | What it counts |", "|---|--:|---|"]
    others = ((name, count) for name, count in sorted(counters.items()) if not name.startswith("fault:"))
    lines += [f"| `{name}` | {count:,} | {cell(meaning(name))} |" for name, count in others]
    return lines


def staleness_section(measured: dict[str, Staleness], folder: Path) -> list[str]:
    """Figures for each workload, and a plot where there are enough reads."""
    lines = [
        "## Staleness",
        "",
        "An eventual read counts as stale only if it certainly was: a write had been acknowledged before the read",
        "began, and the read showed an older version. The shares are therefore lower bounds. They describe *this*",
        "cluster under *these* faults and simulated delays, not a production system; no figure of DynamoDB itself is",
        "claimed.",
        "",
    ]
    for workload, staleness in measured.items():
        title = "Index reads" if workload == "index" else "Eventual reads of the table"
        lines += [f"### {title}", ""]
        if not staleness.reads:
            lines += ["No read followed an acknowledged write: nothing was measured.", ""]
            continue
        share = f"{staleness.stale_ppm / 10_000:.2f} %"
        lines.append(f"{staleness.stale:,} of {staleness.reads:,} reads were stale ({share}).")
        median, tail, behind = staleness.lag_ns(500), staleness.lag_ns(990), staleness.versions_behind(990)
        if median is not None and tail is not None:
            lines.append(
                f"Lag of the stale ones: median {plots.human_ns(median)}, 99th percentile {plots.human_ns(tail)}"
            )
            lines.append(f"(lower edges of buckets); 99 % were at most {behind} versions behind.")
        lines.append("")
        if plots.points(staleness):
            for scheme in (plots.LIGHT, plots.DARK):
                svg = plots.staleness_svg(staleness, scheme, bound=workload != "index")
                (folder / f"staleness-{workload}-{scheme}.svg").write_text(svg, encoding="utf-8")
            lines += ['<figure class="picture" markdown="0">']
            lines += [f'--8<-- "results/staleness-{workload}-{scheme}.svg"' for scheme in (plots.LIGHT, plots.DARK)]
            lines += ["</figure>", ""]
    return lines


def bug_section(bugs: list[StoredBug], folder: Path) -> list[str]:
    """Each planted bug: the rule it removes, who noticed, the smallest history as a picture, how to see it again."""
    lines = [
        "## Planted bugs",
        "",
        "Each is a small patch, laid over the implementation from outside, that removes one safety rule. *Caught*",
        "means: the named checker says invalid at default parameters, and the same seed without the patch is valid.",
        "",
    ]
    if not bugs:
        return [*lines, "None has been hunted yet: `dynalab planted-bugs`.", ""]
    lines += [
        "| Bug | Caught | By | Hunts | Seeds until caught, median | Virtual time until caught, median |",
        "|---|---|---|--:|--:|--:|",
    ]
    for bug in bugs:
        state = '<span class="verdict-valid">yes</span>' if bug.caught else '<span class="verdict-invalid">no</span>'
        hunts = sorted(bug.hunts) or [(bug.seeds, 0)]
        seeds, virtual_ns = hunts[len(hunts) // 2]
        virtual = f"{virtual_ns // 1_000_000_000} s" if virtual_ns else "not caught"
        row = (f"[{bug.name}](#{bug.name})", state, cell(bug.checker), str(len(hunts)), str(seeds), virtual)
        lines.append(f"| {' | '.join(row)} |")
    lines.append("")
    for bug in bugs:
        lines += [f"### {bug.name} {{ #{bug.name} }}", "", f"The rule that it removes: {cell(bug.rule)}", ""]
        if bug.sentence and not bug.svg:  # a picture tells its sentence itself
            lines += [f"> {cell(bug.sentence)}", ""]
        if bug.svg:
            (folder / f"{bug.name}.svg").write_text(inline(bug.svg), encoding="utf-8")
            lines += ['<figure class="picture" markdown="0">', f'--8<-- "results/{bug.name}.svg"', "</figure>", ""]
        lines += ["```console", f"$ {bug.replay}", "```", ""] if bug.replay else []
    return lines


def inline(svg: str) -> str:
    """An SVG that may stand inside a page: without a prologue and without blank lines, at which Markdown would end it.

    >>> inline('<?xml version="1.0"?>\\n<svg>\\n\\n<g/></svg>')
    '<svg>\\n<g/></svg>'
    """
    return "\n".join(line for line in svg[svg.index("<svg") :].splitlines() if line.strip())


def page(runs: list[StoredRun], counters: dict[str, int], version: str | None) -> list[str]:
    """The head of the page: what ran, the verdicts, what failed, what happened."""
    lines = ["# Results of the last campaign", ""]
    if not runs:
        return [*lines, "There has been none: `make campaign`.", ""]
    counts = Counter(run.verdict for run in runs)
    verdicts = ", ".join(f'{counts[name]} <span class="verdict-{name}">{name}</span>' for name in ORDER if counts[name])
    operations = sum(run.operations for run in runs)
    lines += [
        f"**{len(runs)} runs, {operations:,} operations: {verdicts}.** Version of the sources: `{version}`.",
        "",
        "This page is written from the result store by `python -m dynalab.site`. A run is a function of its seed and",
        "of the sources: the same command gives the same history, to the bit.",
        "",
        "## Verdicts",
        "",
        *verdict_table(runs),
        "",
    ]
    if failed := failures(runs):
        lines += ["### Not valid", "", *failed, ""]
    lines += [
        "## What happened, sometimes",
        "",
        "A campaign in which nothing went wrong inside proves nothing. These are the counters of all runs together; a",
        "planned fault that never bit makes the campaign *unknown*.",
        "",
        *counter_table(counters),
        "",
    ]
    return lines


def write_pages(docs: Path, path: Path) -> None:
    """docs/results/index.md and its pictures, from the store at `path`."""
    folder = docs / "results"
    folder.mkdir(parents=True, exist_ok=True)
    with Results.open(path) as store:
        lines = page(store.runs(), store.sometimes(), store.version())
        lines += staleness_section(store.staleness(), folder)
        lines += bug_section(store.planted_bugs(), folder)
    (folder / "index.md").write_text("\n".join(lines), encoding="utf-8")

"""`python -m dynalab.site`: write the generated pages of the course into docs/. Run at the root of the repository."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dynalab.site import claims, conformance, drawing, plots, results, splits
from dynalab_fault_injection.experiments import admission, heat, indexes, leaderless, metadata, quorum, transactions
from dynalab_fault_injection.planted_bugs import PatchDoesNotFit, hunt
from dynalab_impl.inheritance import INHERITED
from dynalab_impl.path import PATHS, SHARD_LIFE
from dynalab_impl.transaction_rules import RULES
from dynalab_model.offered import OFFERED, STATUSES

EXIT_DATA = 65
EXIT_INTERNAL = 70


def write(path: Path, text: str) -> None:
    """Write a generated file, unless it holds just this: a server that watches docs/ must not rebuild for nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def write_paths(docs: Path) -> None:
    """A picture and a table for each way that the implementation names."""
    for name, hops in PATHS.items():
        stem = docs / "generated" / f"path-{name.replace(' ', '-')}"
        write(stem.with_suffix(".svg"), drawing.draw(drawing.path_source(hops, name)))
        write(stem.with_suffix(".md"), drawing.path_table(hops))


def write_metadata(docs: Path) -> None:
    """What cold routers cost: the experiment's tables, and its picture for light and for dark pages."""
    loads, lives = metadata.measured()
    folder = docs / "generated"
    write(folder / "metadata-joining.md", "\n".join(metadata.table(loads)) + "\n")
    write(folder / "metadata-restarting.md", "\n".join(metadata.restart_table(lives)) + "\n")
    for scheme in (plots.LIGHT, plots.DARK):
        write(folder / f"metadata-load-{scheme}.svg", plots.load_svg(loads, scheme))


def write_quorum(docs: Path) -> None:
    """What a write costs and buys when it waits for one, two or three disks."""
    write(docs / "generated" / "quorum.md", "\n".join(quorum.table(quorum.measured())) + "\n")


def write_transactions(docs: Path) -> None:
    """The further rules for transactions, what transactions take, and how often they are refused."""
    folder = docs / "generated"
    write(folder / "transaction-rules.md", transaction_rules())
    write(folder / "transaction-latency.md", "\n".join(transactions.latency_table(transactions.latencies())) + "\n")
    write(
        folder / "transaction-conflicts.md", "\n".join(transactions.contention_table(transactions.contention())) + "\n"
    )


def transaction_rules() -> str:
    """The paper's further rules for transactions as a table (`Topology.transaction_rules` turns them on)."""
    lines = ["| Paper | Rule | Accepts | Because | Costs |", "|--:|---|---|---|---|"]
    lines += [f"| {one.number} | `{name}` | {one.accepts} | {one.why} | {one.cost} |" for name, one in RULES.items()]
    return "\n".join(lines) + "\n"


def write_admission(docs: Path) -> None:
    """How a burst ends, and what becomes of a hot key: the experiment's tables."""
    spell, runs = admission.measured()
    folder = docs / "generated"
    write(folder / "admission-burst.md", "\n".join(admission.burst_table(spell)) + "\n")
    write(folder / "admission-hot-key.md", "\n".join(admission.table(runs)) + "\n")


def write_indexes(docs: Path) -> None:
    """How far a slow index falls behind, and how it slows its table down: the experiment's tables."""
    lags, pressures = indexes.measured()
    folder = docs / "generated"
    write(folder / "index-lag.md", "\n".join(indexes.lag_table(lags)) + "\n")
    write(folder / "index-back-pressure.md", "\n".join(indexes.pressure_table(pressures)) + "\n")


def write_splits(docs: Path) -> None:
    """What children inherit, and what a split does for a hot partition."""
    folder = docs / "generated"
    write(folder / "inheritance.svg", drawing.draw(splits.inheritance_source(INHERITED)))
    write(folder / "inheritance.md", splits.inheritance_table(INHERITED))
    write(folder / "heat.md", "\n".join(heat.table(heat.measured())) + "\n")


def write_streams(docs: Path) -> None:
    """How a shard of a stream lives."""
    folder = docs / "generated"
    write(folder / "shard-life.svg", drawing.draw(drawing.path_source(SHARD_LIFE, "shard life")))
    write(folder / "shard-life.md", drawing.path_table(SHARD_LIFE).replace("| Message |", "| What happens |", 1))


def write_bug(docs: Path, name: str) -> None:
    """What a planted bug does, as a chapter shows it: the line that runs it again, and its picture.

    Raises ValueError if nobody notices it.
    """
    found = hunt(name)
    if not found.caught:
        raise ValueError(f"the planted bug {name} was not caught in {found.seeds} seeds")
    folder = docs / "generated"
    write(folder / f"bug-{name}.txt", f"$ {found.replay}\n{found.checker}: {found.sentence}\n")
    write(folder / f"bug-{name}.svg", results.inline(found.svg))


def write_leaderless(docs: Path) -> None:
    """The same seeds with and without a leader, side by side, and the smallest part of a history that shows it."""
    pairs = leaderless.measured()
    folder = docs / "generated"
    write(folder / "leaderless.md", "\n".join(leaderless.table(pairs)) + "\n")
    write(folder / "leaderless.svg", results.inline(leaderless.story(pairs)[1]))


def operations_table() -> str:
    """All operations of the service and what becomes of them here, as markdown."""
    lines = ["| Operation | Here | |", "|---|---|---|"]
    for status, meaning in STATUSES.items():
        for name in sorted(name for name, offer in OFFERED.items() if offer.status == status):
            note = ("belongs to " if status == "refused" else "") + OFFERED[name].note
            lines.append(f"| `{name}` | {status}: {meaning} | {note} |")
    return "\n".join(lines) + "\n"


def checkers_speed(measured: Path) -> str:
    """The table that `make bench` left, or a sentence that says how to get it."""
    if measured.is_file():
        return measured.read_text(encoding="utf-8")
    return "*This build has no figures of its own: `make bench` measures them, and the next build shows them.*\n"


def write_claims(docs: Path, tests: Path) -> None:
    """docs/claims.md from the markers. Raises ValueError for a marker that is not literal or names no item."""
    known = claims.load_claims()
    shown = claims.collect(tests)
    for entry in claims.unknown_items(shown, known):
        raise ValueError(f"{entry.file}:{entry.line}: there is no item {entry.claim}")
    write(docs / "claims.md", claims.page(known, shown))


def write_conformance(docs: Path, tests: Path) -> None:
    """The table of what is known of the service, from its rows and their tests. Raises ValueError for a mistake."""
    rows, found = conformance.load_rows(tests / "conformance" / "rows.toml"), conformance.collect(tests)
    for line in conformance.mistakes(rows, found):
        raise ValueError(line)
    write(docs / "generated" / "conformance.md", conformance.page(rows, found))


@click.command()
@click.option("--docs", type=click.Path(file_okay=False, path_type=Path), default=Path("docs"), show_default=True)
@click.option("--tests", type=click.Path(file_okay=False, path_type=Path), default=Path("tests"), show_default=True)
@click.option("--store", type=click.Path(dir_okay=False, path_type=Path), default=results.STORE, show_default=True)
@click.option(
    "--smoke/--no-smoke", default=True, help="Run a small campaign when the store holds none.  [default: smoke]"
)
@click.option("--violation", is_flag=True, help="Also renew docs/assets/violation.svg, the picture of the README.")
def main(docs: Path, tests: Path, store: Path, smoke: bool, violation: bool) -> None:
    """Write docs/generated, docs/claims.md and docs/results."""
    if not (docs / "index.md").is_file():
        click.echo(f"dynalab.site: {docs} is not the course; run this at the root of the repository", err=True)
        sys.exit(EXIT_DATA)
    try:
        write_paths(docs)
        write_metadata(docs)
        write_quorum(docs)
        write_transactions(docs)
        write_admission(docs)
        write_splits(docs)
        write_streams(docs)
        write_indexes(docs)
        write_leaderless(docs)
        write_bug(docs, "split-loses-the-tail")
        write(docs / "generated" / "operations.md", operations_table())
        write(docs / "generated" / "checkers-speed.md", checkers_speed(store.parent / "checkers-speed.md"))
        write_claims(docs, tests)
        write_conformance(docs, tests)
        if smoke:
            results.smoke(store)
        results.write_pages(docs, store)
        if violation:
            results.write_violation(docs, store)
    except (ValueError, PatchDoesNotFit) as error:
        click.echo(f"dynalab.site: {error}", err=True)
        sys.exit(EXIT_DATA)
    except drawing.NoDrawingProgram as error:
        click.echo(f"dynalab.site: {error}", err=True)
        sys.exit(EXIT_INTERNAL)


if __name__ == "__main__":
    main()

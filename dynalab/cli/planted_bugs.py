"""`dynalab planted-bugs`: take one safety rule away at a time, and see whether its checker notices."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dynalab.cli import exit_codes
from dynalab.cli.campaign import FILE, RESULTS, seed_range

if TYPE_CHECKING:
    from dynalab_fault_injection.planted_bugs import BugResult


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--seeds", callback=seed_range, default="0:200", show_default=True, help="Until one shows it.")
@click.option("--rounds", type=click.IntRange(1, 99), default=1, show_default=True, help="Hunts, with seeds apart.")
@click.option("--jobs", type=click.IntRange(1, 256), help="Processes. [default: one a core]")
@click.option("--results", type=FILE, default=RESULTS, show_default=True)
@click.option("--list", "only_list", is_flag=True, help="Only say which there are.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a bug.")
def planted_bugs(
    names: tuple[str, ...],
    seeds: range,
    rounds: int,
    jobs: int | None,
    results: Path,
    only_list: bool,
    as_json: bool,
) -> int:
    """Remove one safety rule at a time and hunt for a seed that shows it.

    Caught means: the named checker says invalid, and the same seed without the patch is valid.
    Exit code: 0 all caught, 1 one was not, 70 a patch that no longer fits the implementation.
    """
    from dynalab_fault_injection.planted_bugs import BUGS, PatchDoesNotFit, bug_named, hunt_all
    from dynalab_fault_injection.results import Results, WrongStore

    try:
        chosen = [bug_named(name) for name in names] or list(BUGS.values())
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if only_list:
        for bug in chosen:
            click.echo(f"{bug.name}: {bug.sentence}")
        return exit_codes.VALID
    caught = []
    try:
        with Results.open(results) as store:
            processes = jobs or os.cpu_count() or 1
            for found in hunt_all([bug.name for bug in chosen], seeds, rounds=rounds, processes=processes):
                caught.append(found.caught)
                store.add_planted_bug(found.to_store())
                if as_json:
                    click.echo(json.dumps(found.as_json()))
                else:
                    _show(found)
    except (WrongStore, OSError) as error:
        click.echo(f"dynalab planted-bugs: {results}: {error}", err=True)
        return exit_codes.DATA
    except PatchDoesNotFit as error:
        click.echo(f"dynalab planted-bugs: {error}", err=True)
        return exit_codes.INTERNAL
    return exit_codes.VALID if all(caught) else exit_codes.INVALID


def _show(found: BugResult) -> None:
    from dynalab_fault_injection.planted_bugs import BUGS

    bug = BUGS[found.name]
    click.echo(f"{'caught' if found.caught else 'NOT CAUGHT'}: {found.name} ({bug.sentence})")
    if found.caught:
        click.echo(f"  {found.checker}, after {found.seeds} seeds: {found.sentence}")
        click.echo(f"  {found.replay}")
    else:
        click.echo(f"  {found.checker} said invalid for none of {found.seeds} seeds")

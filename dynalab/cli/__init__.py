"""The command line `dynalab`.

Rules of this room:

1. A command imports what it needs when it runs: `dynalab check` loads the checkers and nothing else of the project.
2. Exit codes are part of the interface (`exit_codes`); usage errors are 64. Bad input is answered with a sentence,
   never with a traceback; a traceback means a bug of ours and comes with 70.
3. Results go to standard output, everything else to standard error; `--json` is for programs and prints nothing besides
   JSON.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import NoReturn

import click

import dynalab
from dynalab.cli import exit_codes

# name → (module, attribute, one line for the list of commands). The line stands here so that `--help` imports nothing.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "campaign": ("dynalab.cli.campaign", "campaign", "Run seeded workloads under faults and judge every history."),
    "replay": ("dynalab.cli.campaign", "replay", "Run one seed again and compare its trace hash."),
    "check": ("dynalab.cli.check", "check", "Judge recorded histories, of any database."),
    "serve": ("dynalab.cli.serve", "serve", "Serve DynamoDB's protocol on loopback."),
    "fault": ("dynalab.cli.fault", "fault", "Break a running `dynalab serve --lab`."),
    "cluster": ("dynalab.cli.cluster", "cluster", "Real processes on this machine: start, break, heal, stop."),
    "planted-bugs": (
        "dynalab.cli.planted_bugs",
        "planted_bugs",
        "Remove one safety rule at a time and hunt for a seed that shows it.",
    ),
    "grade": ("dynalab.grade", "command", "Give points for an exercise."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = COMMANDS.get(cmd_name)
        if found is None:
            return None
        module, attribute, _ = found
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(dynalab.__version__, prog_name="dynalab")
def cli() -> None:
    """A DynamoDB that can be taken apart: serve it, break it, and judge what its clients saw."""


def run(arguments: list[str]) -> int:
    """Run one command line and give its exit code. Nothing escapes.

    >>> run(["check", "--no-such-option"])
    64
    """
    try:
        result = cli.main(arguments, prog_name="dynalab", standalone_mode=False)
    except click.exceptions.Exit as finished:
        return finished.exit_code
    except click.Abort:
        click.echo("stopped", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return exit_codes.USAGE if isinstance(error, click.UsageError) else error.exit_code
    except BrokenPipeError:
        # The reader (head, less) has gone: that is no error. Nothing more can be said on standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return exit_codes.VALID
    except KeyboardInterrupt:
        return 130
    except SystemExit as finished:
        return finished.code if isinstance(finished.code, int) else exit_codes.VALID
    except Exception as error:
        traceback.print_exc()
        click.echo(f"dynalab: internal error: {error}", err=True)
        return exit_codes.INTERNAL
    return result if isinstance(result, int) else exit_codes.VALID


def main() -> NoReturn:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:]))

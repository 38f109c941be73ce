"""`dynalab serve`: the endpoint in front of an embedded cluster."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import click

from dynalab.cli import exit_codes
from dynalab_impl.transaction_rules import RULES
from dynalab_model.collections import COLLECTION_BYTES_MAX
from dynalab_model.dialects import CLASSIC, DIALECTS


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Loopback unless you say otherwise.")
@click.option("--data", type=click.Path(file_okay=False), metavar="DIR", help="Keep everything in files, not memory.")
@click.option(
    "--fsync/--no-fsync",
    default=True,
    help="With --data: wait for the disk before a write is acknowledged. With --no-fsync what was acknowledged survives"
    " the death of this process (kill -9), but a power cut or a crash of the system may take any of it; such a"
    " directory is then refused. [default: fsync]",
)
@click.option("--lab", is_flag=True, help="Let `dynalab fault` and /_dynalab/ break it. Loopback only.")
@click.option("--zones", type=click.IntRange(3, 9), help="Zones. [default: 3, or what DIR holds]")
@click.option("--nodes-per-zone", type=click.IntRange(1, 20), help="In each zone. [default: 1, or what DIR holds]")
@click.option("--partitions", type=click.IntRange(1, 64), default=4, show_default=True, help="Of a new table.")
@click.option(
    "--admission/--no-admission",
    default=False,
    help="Throttle: hold tables to their throughput, and each partition to 3,000 reads and 1,000 writes a second."
    " [default: no-admission]",
)
@click.option(
    "--collection-bytes",
    type=click.IntRange(1_000),
    default=COLLECTION_BYTES_MAX,
    metavar="N",
    help="An item collection of a table with local indexes may grow to so many. [default: 10 GiB]",
)
@click.option(
    "--credentials",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help='Verify signatures with these keys: JSON {"access key": "secret", …}. Also DYNALAB_ACCESS_KEY_ID and'
    " DYNALAB_SECRET_ACCESS_KEY. Default: every complete signature is accepted.",
)
@click.option(
    "--dialect",
    type=click.Choice(list(DIALECTS)),
    default=CLASSIC,
    show_default=True,
    help=f"Words of errors: {'; '.join(f'{name}: {dialect.says}' for name, dialect in DIALECTS.items())}.",
)
@click.option(
    "--transaction-rule",
    "transaction_rules",
    multiple=True,
    type=click.Choice(list(RULES)),
    metavar="NAME",
    help=f"Accept more transactions, at a price (repeatable): {', '.join(RULES)}. A new cluster only.",
)
@click.option("--verbose", is_flag=True, help="Say more on standard error.")
def serve(
    port: int,
    host: str,
    data: str | None,
    fsync: bool,
    lab: bool,
    zones: int | None,
    nodes_per_zone: int | None,
    partitions: int,
    admission: bool,
    collection_bytes: int,
    credentials: Path | None,
    dialect: str,
    transaction_rules: tuple[str, ...],
    verbose: bool,
) -> int:
    """Serve DynamoDB's protocol until SIGTERM or SIGINT.

    Prints `listening on http://HOST:PORT` once requests are served, and then what an acknowledgement promises. Point a
    client at it with any credentials:

    \b
        aws dynamodb list-tables --endpoint-url http://127.0.0.1:8000
    """
    if data is None and not fsync:
        raise click.UsageError("--no-fsync says how files are written: it needs --data DIR")
    try:
        import httptools  # noqa: F401
    except ImportError:
        click.echo("dynalab serve needs httptools: pip install 'dynalab[serve]'", err=True)
        return exit_codes.USAGE
    from dynalab.endpoint.server import CannotServe, Settings, run

    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(name)s: %(message)s")
    settings = Settings(
        host=host,
        port=port,
        data=data,
        fsync=fsync,
        lab=lab,
        zones=zones,
        nodes_per_zone=nodes_per_zone,
        partitions=partitions,
        admission=admission,
        collection_bytes_max=collection_bytes,
        credentials=read_credentials(credentials),
        dialect=dialect,
        transaction_rules=tuple(name for name in RULES if name in transaction_rules),
    )
    try:
        run(settings, lambda url: click.echo(f"listening on {url}\n{settings.promise()}"))
    except CannotServe as error:
        click.echo(f"dynalab serve: {error}", err=True)
        return exit_codes.DATA if error.data else exit_codes.USAGE
    return exit_codes.VALID


def read_credentials(file: Path | None) -> dict[str, str] | None:
    """Access keys and their secrets, from the file and the environment; None if there are none."""
    found: dict[str, str] = {}
    if file is not None:
        try:
            content = json.loads(file.read_text())
        except ValueError as error:
            raise click.UsageError(f"{file} is not JSON: {error}") from error
        if not isinstance(content, dict) or not all(isinstance(secret, str) for secret in content.values()):
            raise click.UsageError(f'{file} must hold {{"access key": "secret", …}}')
        found.update(content)
    access_key, secret = os.environ.get("DYNALAB_ACCESS_KEY_ID"), os.environ.get("DYNALAB_SECRET_ACCESS_KEY")
    if access_key and secret:
        found[access_key] = secret
    return found or None

"""`dynalab cluster`: real processes on this machine, started, broken and stopped from the command line."""

from __future__ import annotations

import functools
import importlib.util
import json
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec

import click

from dynalab.cli import exit_codes

if TYPE_CHECKING:
    from dynalab.drivers.cluster.state import Body, Directory

P = ParamSpec("P")

_data = click.option(
    "--data", required=True, type=click.Path(file_okay=False), metavar="DIR", help="The directory of the cluster."
)


def _clearly(command: Callable[P, int]) -> Callable[P, int]:
    """Errors of the cluster as one line: 64 for what was asked, 65 for a directory that cannot be used."""

    @functools.wraps(command)
    def wrapped(*arguments: P.args, **options: P.kwargs) -> int:
        try:
            import httptools  # noqa: F401
        except ImportError:
            click.echo("dynalab cluster needs httptools: pip install 'dynalab[serve]'", err=True)
            return exit_codes.USAGE
        from dynalab.drivers.cluster.state import ClusterError

        try:
            return command(*arguments, **options)
        except ClusterError as error:
            click.echo(f"dynalab cluster: {error}", err=True)
            return exit_codes.DATA if error.malformed else exit_codes.USAGE

    return wrapped


def _directory(path: str) -> Directory:
    from dynalab.drivers.cluster.state import Directory

    return Directory(path)


@click.group()
def cluster() -> None:
    """A process for every node, TCP between them, files with fsync: kill -9, pause and cut links for real.

    \b
        dynalab cluster up --data /tmp/c
        dynalab cluster status --data /tmp/c
        dynalab cluster kill n1 --data /tmp/c
        dynalab cluster down --data /tmp/c
    """


@cluster.command()
@_data
@click.option("--zones", type=click.IntRange(3, 9), help="Zones. [default: 3, or what DIR holds]")
@click.option("--nodes-per-zone", type=click.IntRange(1, 20), help="In each zone. [default: 3, or what DIR holds]")
@click.option("--routers", type=click.IntRange(1, 16), help="HTTP endpoints. [default: 2, or what DIR holds]")
@click.option("--partitions", type=click.IntRange(1, 64), help="Of a new table. [default: 4, or what DIR holds]")
@click.option("--archive/--no-archive", default=None, help="Keep every log entry in DIR/objects. Of a new DIR alone.")
@click.option("--scrub/--no-scrub", default=None, help="Compare replicas again and again. [default: what DIR holds]")
@click.option(
    "--split-bytes",
    type=click.IntRange(1_000),
    metavar="N",
    help="Divide partitions that are larger. [default: 10 GiB, or what DIR holds]",
)
@click.option(
    "--split-after",
    type=click.IntRange(1, 3_600),
    metavar="SECONDS",
    help="Divide partitions that were hot for so long; needs --admission. [default: 60, or what DIR holds]",
)
@click.option("--admission", is_flag=True, help="Throttle tables and partitions, until the next `up`.")
@click.option(
    "--partition-read",
    type=click.IntRange(1),
    metavar="N",
    help="Read units a second. [default: 3000]",
)
@click.option("--partition-write", type=click.IntRange(1), metavar="N", help="Write units a second. [default: 1000]")
@click.option("--port-base", type=click.IntRange(1024, 65000), metavar="P", help="Ports from P on, the routers' first.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where routers serve. Loopback unless you say so.")
@click.option("--lab", is_flag=True, help="Let `dynalab fault` and /_dynalab/ break it. Loopback only.")
@click.option(
    "--fsync/--no-fsync",
    default=True,
    help="Nodes wait for the disk before a write is acknowledged, until the next `up`. With --no-fsync what was"
    " acknowledged survives `kill`, and not a power cut. [default: fsync]",
)
@_clearly
def up(
    data: str,
    zones: int | None,
    nodes_per_zone: int | None,
    routers: int | None,
    partitions: int | None,
    archive: bool | None,
    scrub: bool | None,
    split_bytes: int | None,
    split_after: int | None,
    admission: bool,
    partition_read: int | None,
    partition_write: int | None,
    port_base: int | None,
    host: str,
    lab: bool,
    fsync: bool,
) -> int:
    """Start every process, and return once clients are served. Without --port-base, ports are chosen free."""
    from dynalab.drivers.cluster import operations

    if lab and host not in ("127.0.0.1", "::1", "localhost"):
        raise click.UsageError("--lab can destroy everything that is stored, so it serves on loopback only")
    if not admission and (partition_read or partition_write or split_after):
        raise click.UsageError("--partition-read, --partition-write and --split-after go with --admission")
    began = time.monotonic()
    shape = operations.Shape(zones, nodes_per_zone, routers, partitions, archive, scrub, split_bytes, split_after)
    limits = operations.limits_of(partition_read, partition_write) if admission else None
    state = operations.up(_directory(data), shape, host=host, port_base=port_base, lab=lab, limits=limits, fsync=fsync)
    for url in state.urls():
        click.echo(f"listening on {url}")
    if not fsync:
        click.echo("without fsync: an acknowledged write survives the death of processes, not a power cut", err=True)
    click.echo(f"{len(state.places)} processes up in {time.monotonic() - began:.1f} s", err=True)
    return exit_codes.VALID


@cluster.command()
@_data
@_clearly
def down(data: str) -> int:
    """Stop every process that is ours. Data stays; run files go."""
    from dynalab.drivers.cluster import operations

    ran = operations.down(_directory(data))
    click.echo(f"{len(ran)} processes ended" if ran else "nothing ran")
    return exit_codes.VALID


@cluster.command()
@_data
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@_clearly
def status(data: str, as_json: bool) -> int:
    """Zones, nodes, partitions, who leads them and who lags behind."""
    from dynalab.drivers.cluster.status import look

    found = look(_directory(data)).to_json()
    if as_json:
        click.echo(json.dumps(found))
    else:
        _show(found)
    return exit_codes.VALID


@cluster.command()
@click.argument("node")
@_data
@_clearly
def kill(node: str, data: str) -> int:
    """kill -9. The node stays down until `restart` or `heal`."""
    from dynalab.drivers.cluster import operations

    operations.kill(_directory(data), node)
    return exit_codes.VALID


@cluster.command()
@click.argument("node")
@_data
@_clearly
def pause(node: str, data: str) -> int:
    """SIGSTOP: the process is silent and knows nothing of it."""
    from dynalab.drivers.cluster import operations

    operations.pause(_directory(data), node)
    return exit_codes.VALID


@cluster.command()
@click.argument("node")
@_data
@_clearly
def resume(node: str, data: str) -> int:
    """SIGCONT."""
    from dynalab.drivers.cluster import operations

    operations.resume(_directory(data), node)
    return exit_codes.VALID


@cluster.command()
@click.argument("node")
@_data
@_clearly
def restart(node: str, data: str) -> int:
    """Start the process of a node that is down, from what its disk holds."""
    from dynalab.drivers.cluster import operations

    operations.restart(_directory(data), node)
    return exit_codes.VALID


@cluster.command()
@click.argument("node")
@_data
@_clearly
def stop(node: str, data: str) -> int:
    """A planned stop: the node hands over what it leads, and its process ends. `restart` starts it again."""
    from dynalab.drivers.cluster import operations

    operations.stop(_directory(data), node)
    return exit_codes.VALID


@cluster.command()
@click.argument("table")
@_data
@click.option(
    "--group", default="", metavar="G", help="This partition alone, as `status` names it. [default: all of the table]"
)
@_clearly
def split(table: str, data: str, group: str) -> int:
    """Divide the partitions of a table in the middle of their items, and wait until the halves serve."""
    from dynalab.drivers.cluster import operations

    for parent, halves in operations.split(_directory(data), table, group).items():
        click.echo(f"{parent} → {', '.join(halves)}")
    return exit_codes.VALID


@cluster.command()
@click.argument("node")
@_data
@click.option("--force", is_flag=True, help="Also while another disk is not whole again: data may be lost for good.")
@_clearly
def wipe(node: str, data: str, force: bool) -> int:
    """kill -9 a storage node and delete its disk. It comes back as a learner with `restart`."""
    from dynalab.drivers.cluster import operations

    operations.wipe(_directory(data), node, force=force)
    return exit_codes.VALID


@cluster.command()
@click.argument("a")
@click.argument("b")
@_data
@click.option("--one-way", is_flag=True, help="Only what A sends to B.")
@_clearly
def cut(a: str, b: str, data: str, one_way: bool) -> int:
    """Cut the links between A and B, nodes or zones, until `heal`."""
    from dynalab.drivers.cluster import operations

    added = operations.cut(_directory(data), a, b, one_way=one_way)
    click.echo(f"{len(added)} links cut")
    return exit_codes.VALID


@cluster.command()
@_data
@_clearly
def heal(data: str) -> int:
    """Links, pauses and faults are taken off, and what is down starts again."""
    from dynalab.drivers.cluster import operations

    started = operations.heal(_directory(data))
    click.echo(f"started {', '.join(started)}" if started else "healed")
    return exit_codes.VALID


@cluster.command()
@click.option("--minutes", type=click.FloatRange(0.1, 24 * 60), default=1.0, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the script; a run is real.")
@click.option("--faults", multiple=True, metavar="F", help="These alone; `none` for none. [default: all]")
@click.option("--data", type=click.Path(file_okay=False), metavar="DIR", help="Keep the data. [default: removed]")
@click.option("--history", type=click.Path(dir_okay=False), metavar="FILE", help="Write the history there.")
@click.option("--with-boto3", is_flag=True, help="Serve an ordinary boto3 program throughout, and judge it as well.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@_clearly
def campaign(
    minutes: float,
    seed: int,
    faults: tuple[str, ...],
    data: str | None,
    history: str | None,
    with_boto3: bool,
    as_json: bool,
) -> int:
    """The register workload while processes die, stand still and are cut off; judged by the same checkers.

    Exit code: 0 valid; 1 invalid; 2 unknown, or a fault never bit.
    """
    asked = {"data": data, "history": history}
    return run_campaign(minutes, seed, faults, **asked, with_boto3=with_boto3, as_json=as_json)


@_clearly
def run_campaign(
    minutes: float,
    seed: int,
    faults: tuple[str, ...],
    *,
    data: str | None = None,
    history: str | None = None,
    with_boto3: bool = False,
    as_json: bool = False,
) -> int:
    """A campaign over real processes, shown; gives the exit code."""
    from dynalab.drivers.cluster import campaign as campaigns

    chosen = campaigns.DEFAULT_FAULTS if not faults else () if faults == ("none",) else faults
    if with_boto3 and importlib.util.find_spec("boto3") is None:
        raise click.UsageError("--with-boto3 needs boto3: pip install boto3")
    setting = campaigns.Setting(seconds=minutes * 60, data=data, with_boto3=with_boto3)

    def progress(seconds: float) -> None:
        if not as_json and sys.stderr.isatty():
            click.echo(f"\r{seconds:6.0f} of {setting.seconds:.0f} s", nl=False, err=True)

    try:
        result = campaigns.run(seed, chosen, setting, progress=progress)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if history is not None:
        with open(history, "w") as file:
            file.writelines(json.dumps(event) + "\n" for event in result.history)
    if as_json:
        click.echo(json.dumps({**result.as_json(), "driver": "cluster"}))
    else:
        click.echo(f"{result.verdict:8} seed {seed}: {result.operations} operations, {len(result.bands)} fault windows")
        if result.why:
            click.echo(f"         {result.why}")
        click.echo("what happened inside:")
        for name, count in result.sometimes.items():
            click.echo(f"  {count:>9}  {name}")
        click.echo(f"\nverdict: {result.verdict}")
    return exit_codes.OF_VERDICT[result.verdict]


def _show(found: Body) -> None:
    from typing import cast

    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    nodes = Table("node", "zone", "kind", "state", "pid", "incarnation", "port", "replicas", "leads", box=None)
    for node in cast("list[Body]", found["nodes"]):
        style = {"up": "", "paused": "yellow", "silent": "yellow"}.get(str(node["state"]), "red")
        nodes.add_row(*("" if value is None else str(value) for value in node.values()), style=style)
    console.print(nodes)
    groups = Table("group", "table", "leader", "commit", "replicas (entries behind)", box=None)
    for group in cast("list[Body]", found["groups"]):
        lag, roles = cast("dict[str, int]", group["lag"]), cast("dict[str, str]", group["roles"])
        replicas = ", ".join(
            name
            + (f" {roles[name]}" if roles[name] in ("learner", "log replica") else "")
            + (f" (-{behind})" if behind else "")
            for name, behind in lag.items()
        )
        table = f"{group['table']}.{group['index']}" if group["index"] else str(group["table"])
        leader = group["leader"]
        shown = "[red]nobody[/red]" if leader is None else str(leader)
        groups.add_row(str(group["group"]), table, shown, str(group["commit"]), replicas)
    console.print(groups)
    for source, target in cast("list[list[str]]", found["cuts"]):
        console.print(f"cut: {source} → {target}", style="yellow")
    for fault in cast("list[Body]", found["faults"]):
        console.print("fault: " + " ".join(f"{key}={value}" for key, value in fault.items()), style="yellow")
    console.print("endpoints: " + " ".join(cast("list[str]", found["endpoints"])))

"""`python -m dynalab.bench.profile`: where the processor time of one request goes, in the endpoint's process.

The server runs here, loaded over sockets by a process of its own. A timer of processor time interrupts it as often as
the system's clock ticks, and each time the innermost function that belongs to a stage is noted: what a stage calls
counts as its own, also what runs in C. A share of the samples is a share of the processor time of the loop's thread,
which is measured beside it; so nothing is estimated from a run that was slowed down.
"""

from __future__ import annotations

import asyncio
import gc
import json
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType

import click

from dynalab.bench.load import Measured, Target, load, prepare
from dynalab.endpoint.server import Service, Settings, new_event_loop, tune_process

SAMPLE_SECONDS = 0.001
TABLE = "profile"
OPERATIONS = ("GetItem", "PutItem", "Query", "TransactWriteItems")

# Module, or module and function → stage, in the order in which a request meets the stages. Modules that are not named
# here (values, numbers, keys, sizes, standard library) count for whoever calls them.
STAGES: dict[str, tuple[str, ...]] = {
    "HTTP: cut the request out, write the answer": ("dynalab.endpoint.http",),
    "JSON of the request": ("json.decoder",),
    "endpoint: target, signature": ("dynalab.endpoint.service", "dynalab.endpoint.signature"),
    "shapes and values of the request": ("dynalab_model.requests", "dynalab_model.shapes"),
    "router: key, partition, retries": (
        "dynalab_impl.router",
        "dynalab_impl.attempts",
        "dynalab_impl.routes",
        "dynalab_impl.lookups",
    ),
    "leader: condition, response, admission": ("dynalab_impl.data_duties",),
    "reading: rows and pages": ("dynalab_model.pages", "dynalab_impl.partition.Partition.rows"),
    "log: propose, accept, count, commit": (
        "dynalab_impl.replication.leadership",
        "dynalab_impl.replication.leading",
        "dynalab_impl.replication.quorum",
        "dynalab_impl.replication.log",
        "dynalab_impl.replication.replica",
        "dynalab_impl.replication.healing",
        "dynalab_impl.storage_node",
        "dynalab_impl.splitting",
    ),
    "apply, on every replica": ("dynalab_impl.partition", "dynalab_impl.local_indexes"),
    "snapshots, so that the log can be cut": ("dynalab_impl.snapshot_writer", "dynalab_impl.snapshot"),
    "heartbeats and other duties": (
        "dynalab_impl.heartbeats",
        "dynalab_impl.catalog_duties",
        "dynalab_impl.counting",
        "dynalab_impl.storage_node.StorageNode.on_timer",
        "dynalab_impl.membership_duties",
        "dynalab_impl.autoadmin",
    ),
    "driver: queue, clocks, timers": ("dynalab.drivers.embedded", "dynalab.drivers.host"),
    "records to bytes, and syncs begun": (
        "dynalab_impl.codec.EntryMemory.encode",
        "dynalab.drivers.store",
        "dynalab.drivers.log_files",
        "dynalab.drivers.synced_mark",
        "dynalab.drivers.disk",
        "dynalab.drivers.syncing",
        "dynalab_impl.storage.wal",
    ),
    "JSON of the answer, checksum": ("dynalab.endpoint.service.Endpoint._send",),
}
COLLECTOR = "collector of cycles"
OUTSIDE = "event loop"
SYNC_THREADS = "threads that write and sync files"
MEMORY, FILES, PAGE_CACHE = "in memory", "with a data directory", "with a data directory, without fsync"
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "profile-of-a-write.md"


@dataclass(slots=True)
class Sampler:
    """Counts stages while it runs; only in the main thread of a system with SIGPROF."""

    samples: Counter[str] = field(default_factory=Counter)
    _stage_of: dict[str, str] = field(default_factory=lambda: {n: s for s, names in STAGES.items() for n in names})
    _known: dict[object, str | None] = field(default_factory=dict)  # by code object

    @contextmanager
    def running(self) -> Iterator[None]:
        """Samples are taken inside."""
        before = signal.signal(signal.SIGPROF, self._on_signal)
        gc.callbacks.insert(0, self._on_collector)
        signal.setitimer(signal.ITIMER_PROF, SAMPLE_SECONDS, SAMPLE_SECONDS)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0.0)
            gc.callbacks.remove(self._on_collector)
            signal.signal(signal.SIGPROF, before)

    def _on_collector(self, phase: str, info: Mapping[str, int]) -> None:
        """Where a signal is handled that came while the collector ran: here, once it is through."""

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.samples[self.stage(frame)] += 1

    def stage(self, frame: FrameType | None) -> str:
        """The stage of the innermost function that has one."""
        if frame is not None and frame.f_code is Sampler._on_collector.__code__:
            return COLLECTOR
        while frame is not None:
            code = frame.f_code
            if code not in self._known:
                self._known[code] = self._find(str(frame.f_globals.get("__name__", "")), code.co_qualname)
            stage = self._known[code]
            if stage is not None:
                return stage
            frame = frame.f_back
        return OUTSIDE

    def _find(self, module: str, function: str) -> str | None:
        for name in (f"{module}.{function}", module):
            if name in self._stage_of:
                return self._stage_of[name]
        return None


@dataclass(frozen=True, slots=True)
class Profile:
    """What one operation costs the server's process, in microseconds of processor time a request, by stage."""

    operation: str
    store: str  # MEMORY, FILES or PAGE_CACHE
    requests: int
    cpu_us: float
    stages: dict[str, float]

    @classmethod
    def of(
        cls,
        operation: str,
        store: str,
        requests: int,
        loop_seconds: float,
        others_seconds: float,
        samples: Mapping[str, int],
    ) -> Profile:
        """The samples as shares of the processor time of the loop's thread, in the order in which a request meets the
        stages, and the time of the other threads.

        >>> Profile.of("PutItem", FILES, 1_000, 0.1, 0.05, {"JSON of the request": 3, OUTSIDE: 1}).stages
        {'JSON of the request': 75.0, 'event loop': 25.0, 'threads that write and sync files': 50.0}
        """
        loop_us, others_us = (seconds * 1_000_000 / requests for seconds in (loop_seconds, others_seconds))
        total = sum(samples.values())
        order = (*STAGES, COLLECTOR, OUTSIDE)
        shares = {stage: loop_us * samples[stage] / total for stage in order if samples.get(stage)}
        if store == FILES:
            shares[SYNC_THREADS] = others_us
        return cls(operation, store, requests, loop_us + others_us, shares)

    def table(self) -> str:
        """As a table in Markdown."""
        lines = [f"| {self.operation}, {self.store} | µs | share |", "| --- | ---: | ---: |"]
        for stage, spent_us in self.stages.items():
            lines.append(f"| {stage} | {spent_us:.1f} | {spent_us / self.cpu_us:.0%} |")
        lines.append(f"| **processor time of one request** | **{self.cpu_us:.1f}** | |")
        return "\n".join(lines)


async def measure(operation: str, store: str, directory: str, seconds: float) -> Profile:
    """Serve here, under load from a process of its own, and take samples while the load lasts."""
    service = Service(Settings(port=0, data=None if store == MEMORY else directory, fsync=store == FILES))
    url = await service.start()
    try:
        await prepare(Target.of(url), TABLE)
        command = [sys.executable, "-m", "dynalab.bench.profile", "--load", url]
        command += ["--operation", operation, "--seconds", str(seconds)]
        client = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        assert client.stdout is not None
        await client.stdout.readline()  # the warm-up is over
        sampler = Sampler()
        with sampler.running():
            before, loop_before = time.process_time(), time.thread_time()
            out = await client.stdout.read()
            cpu_seconds, loop_seconds = time.process_time() - before, time.thread_time() - loop_before
        await client.wait()
        measured = Measured(**json.loads(out))
        if measured.errors or not measured.requests:
            raise click.ClickException(f"the load failed: {measured.errors[:1]}")
        others_seconds = max(0.0, cpu_seconds - loop_seconds)
        return Profile.of(operation, store, measured.requests, loop_seconds, others_seconds, sampler.samples)
    finally:
        await service.stop()


async def _load(url: str, operation: str, seconds: float) -> Measured:
    """The other process: a line when the warm-up is over, the figures at the end."""
    asyncio.get_running_loop().call_later(1.0, lambda: click.echo("warm"))
    return await load(url, operation, TABLE, seconds=seconds, warmup_seconds=1.0)


def profile_of(operation: str, store: str, seconds: float) -> Profile:
    """Serve, load and sample, in an event loop of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="dynalab-profile-") as directory,
        asyncio.Runner(loop_factory=new_event_loop) as runner,
    ):
        return runner.run(measure(operation, store, directory, seconds))


def page(profiles: Sequence[Profile]) -> str:
    """The page of the documentation, from its figures.

    >>> print(page([Profile("PutItem", MEMORY, 10, 80.0, {OUTSIDE: 80.0})]).splitlines()[-4])
    | PutItem, in memory | µs | share |
    """
    head = f"""# The profile of a write

<!-- Written by `python -m dynalab.bench.profile --write`: do not edit. -->

Where the processor time of one request to `dynalab serve` goes: 16 connections on the same machine, items of about 200
bytes, four partitions of three replicas each, and for a write a quorum behind it, by real messages between the same
handlers as everywhere. `make bench` says how fast that is beside others; this page says what it is spent on. The way of
a request is told in the [rooms](rooms.md).

```console
$ python -m dynalab.bench.profile --operation PutItem
$ python -m dynalab.bench.profile --operation PutItem --data
$ python -m dynalab.bench.profile --operation PutItem --data --no-fsync
```

A timer interrupts the server again and again, and the innermost function that belongs to a stage is noted; what it
calls counts as its own, and so does what the kernel does for it. Figures depend on the machine, and on who else uses
it: compare rows of one table. These were made with Python {platform.python_version()}.

What came together goes in one message to each follower, so the log's share falls under load. With a data directory
other threads wait for the disks, two flushes a sync, while the loop goes on: one sync serves all writes that came while
the one before it ran. Without fsync no thread is needed: a write into the page cache takes microseconds. A GetItem has
no log; a Query of ten items is mostly the items, read, weighed and sent.
"""
    return head + "".join(f"\n{profile.table()}\n" for profile in profiles)


@click.command()
@click.option(
    "--operation",
    type=click.Choice(["GetItem", "PutItem", "Query", "TransactWriteItems"]),
    default="PutItem",
    show_default=True,
)
@click.option("--data", is_flag=True, help="With a data directory: files and syncs.")
@click.option("--fsync/--no-fsync", default=True, help="With --data: whether syncs are waited for.")
@click.option("--seconds", default=5.0, show_default=True, help="How long samples are taken.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the table.")
@click.option("--write", "write_page", is_flag=True, help="Measure all of them, and write the page of the docs.")
@click.option("--load", "url", hidden=True, help="Be the load on the server at this address.")
def main(
    operation: str, data: bool, fsync: bool, seconds: float, as_json: bool, write_page: bool, url: str | None
) -> None:
    """Where the processor time of one request goes, by stage."""
    if url is not None:
        click.echo(json.dumps(asdict(asyncio.run(_load(url, operation, seconds)))))
        return
    tune_process()
    if write_page:
        wanted = [("PutItem", store) for store in (MEMORY, FILES, PAGE_CACHE)] + [
            ("GetItem", MEMORY),
            ("Query", MEMORY),
        ]
        PAGE.write_text(page([profile_of(name, store, seconds) for name, store in wanted]))
        click.echo(f"written: {PAGE}")
        return
    profile = profile_of(operation, MEMORY if not data else FILES if fsync else PAGE_CACHE, seconds)
    click.echo(json.dumps(asdict(profile)) if as_json else profile.table())


if __name__ == "__main__":
    main()

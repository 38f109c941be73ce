"""Starts and stops the whole: store, cluster, endpoint, lab. `dynalab serve` is this with a command line in front.

Rules of this room: the socket is opened last, so that whoever can connect is served; and closed first. A data directory
is locked while a process uses it, since two clusters on the same logs would break every promise.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import cast

from dynalab.drivers.disk import RealFileSystem
from dynalab.drivers.embedded import EmbeddedCluster, MakeNode
from dynalab.drivers.log_files import make_dir_durably
from dynalab.drivers.store import FileStore, MemoryStore, Store, StoreError
from dynalab.drivers.unsynced import open_directory, settle, this_boot
from dynalab.endpoint.http import Listener
from dynalab.endpoint.service import Endpoint
from dynalab.lab import Lab, make_lab
from dynalab_impl.effects import Limits, Timing, Topology, layout
from dynalab_model.collections import COLLECTION_BYTES_MAX
from dynalab_model.dialects import CLASSIC
from dynalab_model.operations import ListTables

LOOPBACK = "127.0.0.1"
START_SECONDS_MAX = 20.0
DRAIN_SECONDS_MAX = 3.0
COLLECT_AFTER_OBJECTS = 10_000  # more than were dropped; walking so many takes about a millisecond

log = logging.getLogger("dynalab.serve")

# Short leases: in one process a message takes microseconds, so a lease only has to outlast a pause of the process.
TIMING = Timing(
    heartbeat_ns=80_000_000,
    election_min_ns=400_000_000,
    election_spread_bits=27,  # up to 0.13 s more
    lease_ns=400_000_000,
    attempt_ns=400_000_000,
    # Longer than a router works on a request (5 s), and no more: answers that are kept are memory, and are written into
    # every snapshot.
    dedup_ns=8_000_000_000,
    counts_ns=5_000_000_000,
    gathers=True,
)


class CannotServe(Exception):
    """The service could not be started; the text says why. `data`: what is stored is the reason, not how it was
    called.
    """

    def __init__(self, text: str, *, data: bool = False) -> None:
        super().__init__(text)
        self.data = data


@dataclass(frozen=True, slots=True)
class Settings:
    """What `dynalab serve` was asked for. `zones` and `nodes_per_zone` None: three and one, or what the directory
    holds.
    """

    host: str = LOOPBACK
    port: int = 8000
    data: str | None = None
    fsync: bool = True  # with `data`: a write is on disk before it is acknowledged
    lab: bool = False
    zones: int | None = None
    nodes_per_zone: int | None = None
    partitions: int = 4
    admission: bool = False
    credentials: Mapping[str, str] | None = None
    dialect: str = CLASSIC
    collection_bytes_max: int = COLLECTION_BYTES_MAX
    transaction_rules: tuple[str, ...] = ()  # names of `dynalab_impl.transaction_rules.RULES`

    def topology(self) -> Topology:
        """One region, one router: a process of its own needs no more."""
        zones, nodes = self.zones or 3, self.nodes_per_zone or 1
        limits = Limits() if self.admission else None
        # Where no disk is waited for, a second Accept on its way saves no time, and costs as much as the first.
        waits = self.data is not None and self.fsync
        timing = TIMING if waits else replace(TIMING, accepts_in_flight=1)
        return layout(
            zones,
            nodes,
            1,
            partitions=self.partitions,
            timing=timing,
            log_as_state=True,
            limits=limits,
            collection_bytes_max=self.collection_bytes_max,
            transaction_rules=self.transaction_rules,
        )

    def promise(self) -> str:
        """What a client may count on once a write was acknowledged."""
        if self.data is None:
            return "kept in memory: gone when this process ends"
        if self.fsync:
            return f"kept in {self.data}: a write is on disk on two of three replicas before it is acknowledged"
        return f"kept in {self.data} without fsync: survives the death of this process, not a power cut"


class Service:
    """A running service. `start` gives the address; `stop` ends it."""

    def __init__(self, settings: Settings, make_node: MakeNode | None = None) -> None:
        self.settings = settings
        self._lock_fd: int | None = None
        self._fs = RealFileSystem(through=settings.fsync)
        if make_node is None:
            from dynalab_impl.service import make_node as make_real_node

            make_node = make_real_node
        self.store = self._open_store()
        self.cluster = EmbeddedCluster(self.store, make_node)
        self.lab = self._make_lab()
        self._listener: Listener | None = None
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        """Returns the URL once requests are served: the catalog and every table have leaders. Raises CannotServe."""
        from dynalab_model.requests import OPERATIONS, parse

        settings = self.settings
        try:
            self.cluster.start()
        except (OSError, StoreError) as error:
            raise CannotServe(str(error), data=True) from error
        for loss in getattr(self.store, "lost", ()):
            log.warning("%s; it comes back as a learner, under a new incarnation", loss)
        await self._wait_until_ready()
        if self.lab is not None:
            await self.lab.learn_tables()
        endpoint = Endpoint(
            self.cluster,
            parse,
            OPERATIONS,
            credentials=settings.credentials,
            lab=self.lab,
            dialect=settings.dialect,
        )
        self._listener = Listener(endpoint.handle)
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                self._listener.connection, settings.host, settings.port, backlog=1024, reuse_address=True
            )
        except OSError as error:
            raise CannotServe(f"cannot listen on {settings.host} port {settings.port}: {error.strerror}") from error
        self._listener.sweep()
        # What was built so far lives for ever: the collector need not walk it again and again.
        gc.collect()
        gc.freeze()
        port = self._server.sockets[0].getsockname()[1]
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        return f"http://{host}:{port}"

    async def stop(self) -> None:
        """Stop listening, let open requests end, stop the cluster."""
        if self._server is not None:
            self._server.close()
        if self._listener is not None:
            give_up = asyncio.get_running_loop().time() + DRAIN_SECONDS_MAX
            while self._listener.busy() and asyncio.get_running_loop().time() < give_up:
                await asyncio.sleep(0.01)
            self._listener.close()
        await self.cluster.stop()
        if self._lock_fd is not None:
            assert self.settings.data is not None
            settle(self._fs, self.settings.data, this_boot())
            os.close(self._lock_fd)

    def _open_store(self) -> Store:
        settings = self.settings
        topology = settings.topology()
        if settings.data is None:
            return MemoryStore(topology)
        try:
            make_dir_durably(self._fs, settings.data)
            self._lock_fd = os.open(os.path.join(settings.data, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CannotServe(f"{settings.data} is in use by another process") from error
        except OSError as error:
            raise CannotServe(f"{settings.data} cannot be used: {error.strerror}") from error
        try:
            files = open_directory(self._fs, settings.data, synced=settings.fsync, boot=this_boot())
            store = FileStore(files, settings.data, topology)
        except (StoreError, OSError) as error:
            os.close(self._lock_fd)
            raise CannotServe(str(error), data=True) from error
        found = store.topology
        asked_other_shape = found.storage != topology.storage or found.routers != topology.routers
        if asked_other_shape and (settings.zones is not None or settings.nodes_per_zone is not None):
            nodes = ", ".join(str(address) for address in found.storage)
            raise CannotServe(
                f"{settings.data} was made for other machines ({nodes}); leave --zones and --nodes-per-zone away"
            )
        return store

    def _make_lab(self) -> Lab | None:
        if not self.settings.lab:
            return None
        if self.settings.host not in (LOOPBACK, "::1", "localhost"):
            raise CannotServe("--lab can destroy everything that is stored, so it listens on loopback only")
        return make_lab(self.cluster)

    async def _wait_until_ready(self) -> None:
        loop = asyncio.get_running_loop()
        give_up = loop.time() + START_SECONDS_MAX
        while (await self.cluster.call(ListTables())).status != 200:
            if loop.time() > give_up:
                text = f"the catalog has no leader after {START_SECONDS_MAX:.0f} s: {self._reasons()}"
                raise CannotServe(text, data=True)
            await asyncio.sleep(0.02)
        while self._groups_without_leader() and loop.time() < give_up:
            await asyncio.sleep(0.02)

    def _groups_without_leader(self) -> set[str]:
        groups: dict[str, bool] = {}
        for node in self.cluster.nodes():
            replicas = cast("dict[str, object]", getattr(node, "replicas", {}))
            for group, replica in replicas.items():
                groups[group] = groups.get(group, False) or bool(getattr(replica, "is_leader", True))
        return {group for group, led in groups.items() if not led}

    def _reasons(self) -> str:
        lost: list[str] = getattr(self.store, "lost", [])
        return "; ".join([*lost, *self.cluster.failures[-3:]]) or "no node reported anything"


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's if it is installed (extra `serve`), else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return cast(asyncio.AbstractEventLoop, uvloop.new_event_loop())


def run(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; `announce` gets the URL once requests are served. Raises CannotServe."""
    tune_process()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_run(settings, announce))


def tune_process() -> None:
    """Make the interpreter fit for serving; a process that serves does it once."""
    # The sync threads need the interpreter for microseconds, twice a sync; they should not wait five milliseconds for
    # it.
    sys.setswitchinterval(0.0005)
    gc.set_threshold(COLLECT_AFTER_OBJECTS)
    gc.callbacks.append(_spare_survivors)


def _spare_survivors(phase: str, info: Mapping[str, int]) -> None:
    """Let the collector walk what is new, once, and never again: a full collection of a large store stops everybody for
    a second, and walking what a write leaves behind three times cost a twentieth of it.

    Reference counts free what is dropped. A cycle that became garbage after it survived a collection is never found,
    so nothing here may leave one behind: nodes are plain data, and connections take theirs apart.
    """
    if phase == "stop":
        gc.freeze()


async def _run(settings: Settings, announce: Callable[[str], None]) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    service = Service(settings)
    try:
        starting = asyncio.ensure_future(service.start())
        waiting = asyncio.ensure_future(ended.wait())
        await asyncio.wait((starting, waiting), return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            announce(starting.result())
            await waiting
        else:
            starting.cancel()
    finally:
        await service.stop()

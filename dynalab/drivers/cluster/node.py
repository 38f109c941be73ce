"""One process of a cluster: `python -m dynalab.drivers.cluster.node DIR NAME`. Started by `operations`, never by hand.

How a process begins, so that nothing is ever half started:

1. It locks its own directory, opens its disk, opens its ports, and says on standard output which they are and under
   which incarnation it would run.
2. It waits for `go` on standard input. Whoever started it has written all that into the cluster file by then. If the
   starter dies before, the input ends, and so does this process; nothing was sent and nothing promised.
3. It reads the cluster file once more, connects to its peers, and starts its node.

A node that dies of itself (a handler raised, a sync failed) ends its process with code 70: what is broken should look
broken, and a second sync after a failed one would lie. SIGTERM is a planned stop: what the node leads is handed over,
requests under way are answered, and what was appended is synced.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import json
import os
import signal
import socket
import sys
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import cast

from dynalab.drivers.cluster.control import Control
from dynalab.drivers.cluster.links import Inbound, Links, Pass
from dynalab.drivers.cluster.process import LOOPBACK, listen
from dynalab.drivers.cluster.report import Report
from dynalab.drivers.cluster.rules import Inside
from dynalab.drivers.cluster.state import Body, ClusterError, Directory, Place, State
from dynalab.drivers.disk import RealFileSystem, write_atomically
from dynalab.drivers.embedded import EmbeddedCluster
from dynalab.drivers.log_files import make_dir_durably
from dynalab.drivers.objects import ObjectDirectory
from dynalab.drivers.store import MANIFEST, FileStore, Manifest, NodeDisk, StoreError
from dynalab.drivers.unsynced import open_directory, settle, this_boot
from dynalab_impl.effects import JSON, Address, Message, Node, Record, Topology
from dynalab_impl.messages import SplitNow
from dynalab_impl.service import make_node
from dynalab_impl.storage_node import StorageNode

PEERS_SECONDS_MAX = 0.5
DRAIN_SECONDS_MAX = 3.0
HAND_OVER_SECONDS_MAX = 0.5
WATCH_SECONDS = 0.05
DIED = 70  # exit codes, as in `dynalab.cli.exit_codes`
MALFORMED = 65

# Sorts before every timer: after a stall the messages that came meanwhile are seen before the timers that ran out, so
# that a node does not take its own pause for the death of its leader.
AT_ONCE_NS = -(1 << 62)


@dataclass(slots=True)
class OneDisk:
    """A store of one machine, opened already. A second opening would be a second life of a process: refused."""

    topology: Topology
    opened: tuple[NodeDisk, list[Record], int] | None
    lost: list[str] = field(default_factory=list)

    def open(self, address: Address) -> tuple[NodeDisk, list[Record], int]:
        if self.opened is None:
            raise StoreError("a process runs its node once")
        opened, self.opened = self.opened, None
        return opened

    def wipe(self, address: Address) -> None:
        raise StoreError("a running process does not lose its disk")


def open_disk(root: str, address: Address, topology: Topology, incarnation: int, *, fsync: bool = True) -> OneDisk:
    """The disk of one machine, under at least the incarnation that the cluster file knows. Raises StoreError, OSError.
    `root` stands.

    A directory that is gone, or that an older one was put in the place of, is a lost disk: the next incarnation.
    """
    is_router = address in topology.routers
    alone = Topology(() if is_router else (address,), (address,) if is_router else (), timing=topology.timing)
    fs = open_directory(RealFileSystem(through=fsync), root, synced=fsync, boot=this_boot())
    manifest = f"{root}/{MANIFEST}"
    held = Manifest.from_json(fs.read(manifest)).incarnations.get(address, 0) if fs.exists(manifest) else 0
    if held < incarnation and not is_router:
        # Written as if the disk that is missing had stood here: the store finds it gone, and raises the incarnation.
        make_dir_durably(fs, root)
        write_atomically(fs, manifest, Manifest(alone, {address: incarnation}).to_json())
    store = FileStore(fs, root, alone)
    return OneDisk(alone, store.open(address), store.lost)


@dataclass(slots=True)
class Sockets:
    """What the process listens on."""

    peers: socket.socket
    control: socket.socket
    http: socket.socket | None

    @classmethod
    def open(cls, place: Place, host: str, is_router: bool, exact: bool) -> Sockets:
        """Raises OSError."""
        peers = listen(place.peer_port, exact=exact)
        control = listen(place.control_port, exact=exact)
        return cls(peers, control, listen(place.http_port, host=host, exact=exact) if is_router else None)

    def ports(self) -> dict[str, int | None]:
        """Under the names of `state.Place`."""
        http = None if self.http is None else int(self.http.getsockname()[1])
        return {
            "peer_port": int(self.peers.getsockname()[1]),
            "control_port": int(self.control.getsockname()[1]),
            "http_port": http,
        }


class Process:
    """The running node: an embedded cluster of one machine, its links, its ways in."""

    def __init__(self, directory: Directory, place: Place, disk: OneDisk, sockets: Sockets) -> None:
        self.directory = directory
        self.name = place.name
        self.me = place.address
        self.sockets = sockets
        self.state: State = directory.load()
        self.token = directory.token()
        topology = self.state.topology

        def make(address: Address, alone: Topology, incarnation: int) -> Node:
            node = make_node(address, topology, incarnation)
            if isinstance(node, StorageNode):
                node.snapshots.packs = True  # no other replica of its groups is in this process
            return node

        shared = ObjectDirectory(RealFileSystem(), f"{directory}/objects")
        self.cluster = EmbeddedCluster(disk, make, objects=shared)
        self.ended = asyncio.Event()
        self.died = False
        peers = {
            other.address: (LOOPBACK, other.peer_port or 0)
            for other in self.state.places.values()
            if other.address != self.me
        }
        self.links = Links(self.me, Pass(self.state.cluster, self.token), peers, self._deliver)
        self.cluster.network = self.links
        self.inside = Inside(self.cluster, self.links, self.me)
        self.report = Report(self.cluster, self.links, self.me, self.inside, monotonic())
        self._servers: list[asyncio.Server] = []
        self._front: Front | None = None

    def _deliver(self, sender: Address, messages: list[Message]) -> None:
        self.cluster.call_later(AT_ONCE_NS, partial(self._post, sender, messages))

    def _post(self, sender: Address, messages: list[Message]) -> None:
        for message in messages:
            self.cluster.post(sender, self.me, message)

    async def run(self) -> int:
        """Until SIGTERM, or until the node dies; gives the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.ended.set)
        self._servers.append(await loop.create_server(lambda: Inbound(self.links), sock=self.sockets.peers))
        self._follow_file()
        connecting = list(self.links.connect())
        if connecting:
            await asyncio.wait(connecting, timeout=PEERS_SECONDS_MAX)
        self.cluster.start()
        self.inside.follow(self.state.faults)
        commands = {
            "status": lambda request: self.report.status(),
            "digest": lambda request: self.report.digest(str(request.get("table"))),
            "reload": self._reload,
            "split": self._split,
        }
        control = partial(Control, self.token, commands)
        self._servers.append(await loop.create_server(control, sock=self.sockets.control))
        if self.sockets.http is not None:
            self._front = Front(self, self.sockets.http)
            await self._front.start()
        gc.collect()
        gc.freeze()  # what was built so far lives for ever
        await self._watch()
        await self._stop()
        return DIED if self.died else 0

    async def _watch(self) -> None:
        """Until somebody ends the process, or its node is no more."""
        while not self.ended.is_set():
            if not self.cluster.nodes():
                self.died = True
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WATCH_SECONDS):
                    await self.ended.wait()

    async def _hand_over(self) -> None:
        """Before the stop: somebody else is to lead what this node leads, without the wait for a lease."""
        host = self.cluster.hosts[self.me]
        node = host.node
        if node is None:
            return
        host.sample()
        node.on_stop(host)
        give_up = monotonic() + HAND_OVER_SECONDS_MAX
        while host.node is node and not node.may_stop() and monotonic() < give_up:
            await asyncio.sleep(0.005)

    async def _stop(self) -> None:
        if not self.died:
            await self._hand_over()
        for server in self._servers:
            server.close()
        if self._front is not None:
            await self._front.stop(0.0 if self.died else DRAIN_SECONDS_MAX)
        if not self.died:
            # What was appended reaches the disk, and what waited for it is told.
            host = self.cluster.hosts[self.me]
            give_up = monotonic() + DRAIN_SECONDS_MAX
            while host.node is not None and host.durable < host.appended and monotonic() < give_up:
                await asyncio.sleep(0.005)
        self.links.close()
        await self.cluster.stop()

    def _reload(self, request: Body) -> Body:
        self.state = self.directory.load()
        self._follow_file()
        self.inside.follow(self.state.faults)
        return {"done": True}

    def _split(self, request: Body) -> Body:
        """Order partitions of a table that this node leads to divide: those that can be, or the one that is named. As
        any order to split it is asked for, not insisted on: a leader that is changing its group lets it pass.
        """
        wanted = request.get("group")
        groups = [g for g in self.report.divisible(str(request.get("table"))) if wanted in ("", g)]
        for group in groups:
            self.cluster.post(self.me, self.me, SplitNow(group))
        return {"groups": cast(JSON, groups)}

    def _follow_file(self) -> None:
        """Cut and heal links as the cluster file has it."""
        state = self.state
        to = {state.places[target].address for source, target in state.cuts if source == self.name}
        from_ = {state.places[source].address for source, target in state.cuts if target == self.name}
        for address, out in self.links.outbound.items():
            out.move(state.places[address.node].peer_port or 0)
        self.links.cut(to, from_)


class Front:
    """A router's HTTP endpoint, and with `--lab` its lab."""

    def __init__(self, process: Process, bound: socket.socket) -> None:
        from dynalab.drivers.cluster.lab import ClusterLab
        from dynalab.endpoint.http import Listener
        from dynalab.endpoint.service import Endpoint
        from dynalab_model.requests import OPERATIONS, parse

        self._socket = bound
        self.lab = ClusterLab(process.cluster, process.directory) if process.state.lab else None
        endpoint = Endpoint(process.cluster, parse, OPERATIONS, lab=self.lab)
        self._listener = Listener(endpoint.handle)
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Serve."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._listener.connection, sock=self._socket, backlog=1024)
        self._listener.sweep()

    async def stop(self, drain_seconds: float) -> None:
        """Stop listening and let open requests end."""
        assert self._server is not None
        self._server.close()
        give_up = monotonic() + drain_seconds
        while self._listener.busy() and monotonic() < give_up:
            await asyncio.sleep(0.01)
        self._listener.close()


def main(arguments: list[str]) -> int:
    """Open everything, report, wait for `go`, run."""
    path, name, *options = arguments
    directory = Directory(path)
    try:
        state = directory.load()
        place = state.place(name)
        root = directory.node(name)
        lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        known = state.machines.incarnations.get(place.address, 0)
        disk = open_disk(str(root), place.address, state.topology, known, fsync=state.fsync)
        is_router = place.address in state.topology.routers
        sockets = Sockets.open(place, state.host, is_router, exact="--exact-ports" in options)
    except BlockingIOError:
        return _cannot(f"{name}: its directory is in use by another process")
    except (ClusterError, StoreError, OSError) as error:
        return _cannot(f"{name}: {error}")
    assert disk.opened is not None
    hello = {"incarnation": disk.opened[2], "lost": disk.lost, **sockets.ports()}
    print(json.dumps(hello), flush=True)
    if sys.stdin.readline() != "go\n":
        return MALFORMED  # whoever started us is gone, or could not start the others
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    code = _run(directory, place, disk, sockets)
    if code == 0:
        settle(RealFileSystem(), str(root), this_boot())
    return code


def _cannot(text: str) -> int:
    print(json.dumps({"error": text}), flush=True)
    return MALFORMED


def _run(directory: Directory, place: Place, disk: OneDisk, sockets: Sockets) -> int:
    from dynalab.endpoint.server import new_event_loop

    sys.setswitchinterval(0.0005)  # the sync thread needs the interpreter for microseconds; see `endpoint.server.run`

    async def go() -> int:
        return await Process(directory, place, disk, sockets).run()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(go())


if __name__ == "__main__":
    import logging

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    sys.exit(main(sys.argv[1:]))

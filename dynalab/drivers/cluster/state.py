"""The cluster file: what there is, who runs, which links are cut. Every process reads it, few write it.

Rules of this room:

1. `cluster.json` is replaced as a whole, synced, and only under the lock of the directory; who reads sees the old one
   or the new one.
2. It keeps, for each machine, the highest incarnation that ever ran. A node whose own directory is gone or is older
   than that comes back under the next one: so a disk that was lost is never taken for one that promised nothing.
3. The token of the cluster stands in a file of its own that nobody else may read, and changes with every `up`.
4. What is broken (cut links, faults of the lab) is written here too: a node that restarts is as cut off as it was.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TypeAlias, cast

from dynalab.drivers.cluster.process import Identity
from dynalab.drivers.disk import RealFileSystem, write_atomically
from dynalab.drivers.store import Manifest, StoreError
from dynalab_impl.effects import JSON, Address, Limits, Topology

CLUSTER_FILE = "cluster.json"
TOKEN_FILE = "token"
LOCK_FILE = "lock"
NODES_DIRECTORY = "nodes"
LOCK_SECONDS_MAX = 30.0
_VERSION = 1

Body: TypeAlias = "dict[str, JSON]"


class ClusterError(Exception):
    """Something that whoever typed the command can mend; one line that says what it is. `malformed`: the directory is
    at fault and not the command.
    """

    def __init__(self, text: str, *, malformed: bool = False) -> None:
        super().__init__(text)
        self.malformed = malformed


@dataclass(slots=True)
class Place:
    """One machine: its ports, and the process on it if one was started. Ports are None until the first start."""

    address: Address
    peer_port: int | None = None
    control_port: int | None = None
    http_port: int | None = None  # routers
    process: Identity | None = None

    @property
    def name(self) -> str:
        return self.address.node


@dataclass(slots=True)
class State:
    """What `cluster.json` holds. `cuts` are directed: nothing that the first sends reaches the second."""

    cluster: str
    machines: Manifest
    places: dict[str, Place]
    host: str = "127.0.0.1"
    lab: bool = False
    cuts: list[tuple[str, str]] = field(default_factory=list)
    faults: list[Body] = field(default_factory=list)
    serial: int = 0  # of the last fault that was put on
    limits: Limits | None = None  # what admission holds partitions and nodes to, as of the last `up`
    fsync: bool = True  # whether nodes wait for their disks, as of the last `up`

    @property
    def topology(self) -> Topology:
        return replace(self.machines.topology, limits=self.limits)

    def place(self, name: str) -> Place:
        """The machine of that name: `n1`, `z1/n1` or `r1/z1/n1`. Raises ClusterError."""
        for place in self.places.values():
            if f"/{place.address}".endswith(f"/{name}"):
                return place
        raise ClusterError(f"there is no node {name!r}; there are {', '.join(self.places)}")

    def storage(self) -> list[Place]:
        """The machines of storage nodes, in order."""
        return [self.places[address.node] for address in self.topology.storage]

    def routers(self) -> list[Place]:
        """The machines of routers, in order."""
        return [self.places[address.node] for address in self.topology.routers]

    def urls(self) -> list[str]:
        """Where the routers serve clients."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return [f"http://{host}:{place.http_port}" for place in self.routers()]

    def to_json(self) -> bytes:
        """The content of the file."""
        body = {
            "version": _VERSION,
            "cluster": self.cluster,
            "machines": json.loads(self.machines.to_json()),
            "host": self.host,
            "lab": self.lab,
            "places": [asdict(place) for place in self.places.values()],
            "cuts": self.cuts,
            "faults": self.faults,
            "serial": self.serial,
            "limits": None if self.limits is None else asdict(self.limits),
            "fsync": self.fsync,
        }
        return json.dumps(body, indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes) -> State:
        """Raises ClusterError if this is not a cluster file."""
        try:
            parts = json.loads(data)
            if parts["version"] != _VERSION:
                raise ClusterError(
                    f"{CLUSTER_FILE} has version {parts['version']}; this program reads version {_VERSION}",
                    malformed=True,
                )
            machines = Manifest.from_json(json.dumps(parts["machines"]).encode())
            places = {}
            for each in parts["places"]:
                identity = None if each["process"] is None else Identity(**each.pop("process"))
                each["process"], each["address"] = identity, Address(*each["address"])
                place = Place(**each)
                places[place.name] = place
            addresses = (*machines.topology.storage, *machines.topology.routers)
            if [place.address for place in places.values()] != list(addresses):
                raise ClusterError(f"{CLUSTER_FILE} contradicts itself about the machines", malformed=True)
            cuts = [(str(source), str(target)) for source, target in parts["cuts"]]
            rest = (parts["host"], bool(parts["lab"]), cuts, list(parts["faults"]), int(parts["serial"]))
            limits = None if parts.get("limits") is None else Limits(**parts["limits"])
            return cls(str(parts["cluster"]), machines, places, *rest, limits=limits, fsync=parts.get("fsync", True))
        except (ValueError, KeyError, TypeError, AttributeError, StoreError) as error:
            raise ClusterError(f"{CLUSTER_FILE} cannot be read: {error!r}", malformed=True) from error


def form(topology: Topology, *, host: str, lab: bool) -> State:
    """A cluster that has never run."""
    places = {address.node: Place(address) for address in (*topology.storage, *topology.routers)}
    assert len(places) == len(topology.storage) + len(topology.routers), "names of machines differ"
    return State(secrets.token_hex(8), Manifest(topology, {}), places, host, lab)


class Directory:
    """The directory of a cluster, and where everything in it stands."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        # One spelling, whatever was typed: it is part of how a process is recognised.
        self.path = os.path.realpath(path)
        self._fs = RealFileSystem()

    def __str__(self) -> str:
        return self.path

    def node(self, name: str) -> Path:
        """The directory of one node: its log, its lock, what it said."""
        return Path(self.path, NODES_DIRECTORY, name)

    def exists(self) -> bool:
        """Whether a cluster was formed here."""
        return os.path.exists(self._at(CLUSTER_FILE))

    def load(self) -> State:
        """Raises ClusterError."""
        try:
            return State.from_json(self._fs.read(self._at(CLUSTER_FILE)))
        except FileNotFoundError as error:
            raise ClusterError(f"{self.path} holds no cluster; `dynalab cluster up --data {self.path}`") from error
        except OSError as error:
            raise ClusterError(f"{self.path} cannot be read: {error.strerror}", malformed=True) from error

    def save(self, state: State) -> None:
        """Replace the file. The caller holds the lock."""
        write_atomically(self._fs, self._at(CLUSTER_FILE), state.to_json())

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else changes the cluster meanwhile. A process that is killed lets go."""
        try:
            os.makedirs(self.path, mode=0o700, exist_ok=True)
            handle = os.open(self._at(LOCK_FILE), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ClusterError(f"{self.path} cannot be used: {error.strerror}", malformed=True) from error
        try:
            give_up = time.monotonic() + LOCK_SECONDS_MAX
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > give_up:
                        raise ClusterError(f"another command is at work on {self.path}") from None
                    time.sleep(0.01)
            yield
        finally:
            os.close(handle)

    @contextlib.contextmanager
    def changing(self) -> Iterator[State]:
        """The state, written back when the block ends well."""
        with self.locked():
            state = self.load()
            yield state
            self.save(state)

    def new_token(self) -> None:
        """Draw the secret that connections inside this cluster must show."""
        beside = self._at(TOKEN_FILE + ".new")
        with contextlib.suppress(FileNotFoundError):
            os.remove(beside)
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(handle, secrets.token_hex(32).encode())
        finally:
            os.close(handle)
        os.replace(beside, self._at(TOKEN_FILE))

    def token(self) -> str:
        """Raises ClusterError if the cluster is down."""
        try:
            return Path(self._at(TOKEN_FILE)).read_text()
        except OSError as error:
            raise ClusterError(f"the cluster in {self.path} is down") from error

    def forget_token(self) -> None:
        """Afterwards nobody can talk to a node of this cluster."""
        with contextlib.suppress(FileNotFoundError):
            os.remove(self._at(TOKEN_FILE))

    def _at(self, name: str) -> str:
        return os.path.join(self.path, name)


def as_body(value: object) -> Body:
    """JSON that came from a file or a socket of ours; says so to the type checker after looking."""
    if not isinstance(value, dict):
        raise ClusterError("a JSON object was expected", malformed=True)
    return cast(Body, value)

"""What an operator does to a cluster: up, down, stop, kill, pause, resume, cut, heal, restart, wipe, split. All from
outside.

Rules of this room:

1. Every change is made in the cluster file first, under its lock, and told to the nodes afterwards; a node that cannot
   listen now reads it when it can.
2. Starting is all or nothing: until every process has opened what it needs, none of them runs (`node`).
3. Nothing is signalled that was not proven to be ours, and nothing is removed but run files; `wipe` alone removes data,
   and only of the node that it names.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from dynalab.drivers.cluster import process
from dynalab.drivers.cluster.control import Silent, ask, poke
from dynalab.drivers.cluster.starting import POLL_SECONDS, is_up, start, wait_until_served
from dynalab.drivers.cluster.state import NODES_DIRECTORY, Body, ClusterError, Directory, Place, State, form
from dynalab.drivers.cluster.status import led, look
from dynalab.drivers.store import Manifest
from dynalab_impl.effects import Limits, Timing, Topology, layout

DRAIN_SECONDS_MAX = 8.0
KILL_SECONDS_MAX = 5.0
SPLIT_SECONDS_MAX = 15.0

# A lease must outlast what a busy machine does to a process, and a failover waits for two of them.
TIMING = Timing(
    heartbeat_ns=150_000_000,
    election_min_ns=900_000_000,
    election_spread_bits=28,  # up to 0.27 s more
    lease_ns=900_000_000,
    attempt_ns=400_000_000,
    counts_ns=5_000_000_000,
)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a new cluster is made of. None: the default, or what the directory holds."""

    zones: int | None = None
    nodes_per_zone: int | None = None
    routers: int | None = None
    partitions: int | None = None
    archive: bool | None = None  # for good: what was let go of unarchived cannot be archived later
    scrub: bool | None = None
    split_bytes: int | None = None
    split_after_s: int | None = None
    timing: Timing = TIMING

    def topology(self) -> Topology:
        """One region."""
        zones, nodes, routers = self.zones or 3, self.nodes_per_zone or 3, self.routers or 2
        topology = layout(zones, nodes, routers, partitions=self.partitions or 4, timing=self.timing)
        return self.adjusted(replace(topology, archive=bool(self.archive)))

    def adjusted(self, topology: Topology) -> Topology:
        """With what may be said anew at every start."""
        return replace(
            topology,
            scrub=topology.scrub if self.scrub is None else self.scrub,
            split_bytes=self.split_bytes or topology.split_bytes,
            split_after_s=self.split_after_s or topology.split_after_s,
        )

    def fits(self, topology: Topology) -> bool:
        """Whether what was asked for is what there is."""
        asked = Shape(
            self.zones or len({a.zone for a in topology.storage}),
            self.nodes_per_zone or len(topology.storage) // len({a.zone for a in topology.storage}),
            self.routers or len(topology.routers),
        ).topology()
        return (asked.storage, asked.routers) == (topology.storage, topology.routers)


def limits_of(read: int | None, write: int | None) -> Limits:
    """Capacity units a second of a partition; None: as in the service.

    >>> limits_of(None, 50).partition_read, limits_of(None, 50).partition_write
    (3000, 50)
    """
    usual = Limits()
    return replace(usual, partition_read=read or usual.partition_read, partition_write=write or usual.partition_write)


# --- up and down ------------------------------------------------------------------------------------------------------


def up(
    directory: Directory,
    shape: Shape | None = None,
    *,
    host: str = process.LOOPBACK,
    port_base: int | None = None,
    lab: bool = False,
    limits: Limits | None = None,
    fsync: bool = True,
) -> State:
    """Start every process; returns once clients are served. Nothing is throttled without limits. Without `fsync` what
    was acknowledged survives the death of processes, not that of the machine (`drivers.unsynced`). Raises ClusterError,
    and then nothing runs.
    """
    with directory.locked():
        state = _form_or_load(directory, shape or Shape())
        running = [place.name for place in state.places.values() if is_up(directory, place)]
        if running:
            raise ClusterError(f"the cluster in {directory} is up ({len(running)} processes); `down` stops it")
        state.host, state.lab, state.limits, state.fsync = host, lab, limits, fsync
        state.cuts, state.faults = [], []
        for number, place in enumerate(state.places.values()):
            place.process = None
            if port_base is not None:
                _assign_ports(state, place, number, port_base)
        os.makedirs(directory.node(""), mode=0o700, exist_ok=True)
        directory.new_token()
        directory.save(state)
        try:
            start(directory, state, list(state.places), exact_ports=port_base is not None)
            wait_until_served(directory, state)
        except BaseException:
            _stop_all(directory, state, drain_seconds=0.0)
            raise
    return state


def _form_or_load(directory: Directory, shape: Shape) -> State:
    if directory.exists():
        state = directory.load()
        if not shape.fits(state.topology):
            nodes = f"{len(state.topology.storage)} storage nodes and {len(state.topology.routers)} routers"
            raise ClusterError(f"{directory} was made for {nodes}; leave --zones, --nodes-per-zone and --routers away")
        if shape.archive is not None and shape.archive != state.topology.archive:
            made = "with" if state.topology.archive else "without"
            raise ClusterError(f"{directory} was made {made} an archive, and stays so")
        state.machines = Manifest(shape.adjusted(state.machines.topology), state.machines.incarnations)
        return state
    if Path(directory.path, NODES_DIRECTORY).exists():
        raise ClusterError(
            f"{directory} holds nodes but no cluster.json: it was lost, and without it promises could be broken."
            " Restore it, or use another directory.",
            malformed=True,
        )
    return form(shape.topology(), host=process.LOOPBACK, lab=False)


def _assign_ports(state: State, place: Place, number: int, port_base: int) -> None:
    """Routers' HTTP ports first, from `port_base` on; then two ports for every process."""
    routers = [each.name for each in state.routers()]
    if place.name in routers:
        place.http_port = port_base + routers.index(place.name)
    place.peer_port = port_base + len(routers) + 2 * number
    place.control_port = place.peer_port + 1


def down(directory: Directory) -> list[str]:
    """Stop every process: routers first, so that clients get their answers. Gives the names of those that ran."""
    with directory.locked():
        return _stop_all(directory, directory.load(), drain_seconds=DRAIN_SECONDS_MAX)


def _stop_all(directory: Directory, state: State, *, drain_seconds: float) -> list[str]:
    ran = [place.name for place in state.places.values() if is_up(directory, place)]
    for places in (state.routers(), state.storage()):
        for place in places:
            _signal(directory, place, signal.SIGTERM if drain_seconds else signal.SIGKILL)
            _signal(directory, place, signal.SIGCONT)  # a paused process would not hear the first one
        if not _wait_gone(directory, places, drain_seconds or KILL_SECONDS_MAX):
            for place in places:
                _signal(directory, place, signal.SIGKILL)
            _wait_gone(directory, places, KILL_SECONDS_MAX)
    left = [place.name for place in state.places.values() if is_up(directory, place)]
    if left:
        raise ClusterError(f"{', '.join(left)} could not be ended")
    for place in state.places.values():
        place.process = None
    state.cuts, state.faults = [], []
    directory.forget_token()
    directory.save(state)
    return ran


# --- one node ---------------------------------------------------------------------------------------------------------


def kill(directory: Directory, name: str) -> None:
    """kill -9. Raises ClusterError if it does not run."""
    with directory.changing() as state:
        place = _running(directory, state, name)
        _signal(directory, place, signal.SIGKILL)
        _wait_gone(directory, [place], KILL_SECONDS_MAX)
        place.process = None


def stop(directory: Directory, name: str) -> None:
    """A planned stop (SIGTERM): the node hands over what it leads, and its process ends. Raises ClusterError."""
    with directory.changing() as state:
        place = _running(directory, state, name)
        _signal(directory, place, signal.SIGTERM)
        _signal(directory, place, signal.SIGCONT)  # a paused process would not hear the first one
        if not _wait_gone(directory, [place], DRAIN_SECONDS_MAX):
            raise ClusterError(f"{place.name} did not end within {DRAIN_SECONDS_MAX:.0f} s; `kill` ends it")
        place.process = None


def kill_all(directory: Directory, names: list[str]) -> int:
    """kill -9 of all of these that run; gives their number."""
    with directory.changing() as state:
        victims = [place for name in names if is_up(directory, place := state.place(name))]
        for place in victims:
            _signal(directory, place, signal.SIGKILL)
        _wait_gone(directory, victims, KILL_SECONDS_MAX)
        for place in victims:
            place.process = None
    return len(victims)


def pause(directory: Directory, name: str) -> None:
    """SIGSTOP: the process is silent and knows nothing of it. Returns once it stands still."""
    place = _running(directory, directory.load(), name)
    _signal(directory, place, signal.SIGSTOP)
    pid = 0 if place.process is None else place.process.pid
    process.wait_until(lambda: process.is_stopped(pid) or not is_up(directory, place), KILL_SECONDS_MAX)


def resume(directory: Directory, name: str) -> None:
    """SIGCONT."""
    _signal(directory, _running(directory, directory.load(), name), signal.SIGCONT)


def restart(directory: Directory, name: str) -> None:
    """Start the process of a node that is down, from what its disk holds, on the ports that the others know."""
    directory.token()
    with directory.changing() as state:
        place = state.place(name)
        if is_up(directory, place):
            raise ClusterError(f"{place.name} runs; `kill` it first")
        start(directory, state, [place.name], exact_ports=True)


def restart_all(directory: Directory, names: list[str]) -> list[str]:
    """Start those of these that are down; gives their names."""
    directory.token()
    with directory.changing() as state:
        dead = [name for name in names if not is_up(directory, state.place(name))]
        if dead:
            start(directory, state, dead, exact_ports=True)
    return dead


def wipe(directory: Directory, name: str, *, force: bool = False) -> None:
    """Kill a storage node and lose its disk; it stays down until `restart`.

    Unless forced, refused while another disk is not whole again: the service promises to survive one loss at a time.
    """
    place = directory.load().place(name)
    if place not in directory.load().storage():
        raise ClusterError(f"{place.name} is a router; it has no disk to lose")
    if not force:
        missing = [each for each in look(directory).incomplete() if each[1] != place.name]
        if missing:
            group, node = missing[0]
            raise ClusterError(f"{node} is no full member of {group} now; a second disk would be one too many")
    with directory.changing() as state:
        place = state.place(name)
        _signal(directory, place, signal.SIGKILL)
        _wait_gone(directory, [place], KILL_SECONDS_MAX)
        place.process = None
        for content in directory.node(place.name).iterdir():
            if content.is_dir():
                shutil.rmtree(content)
            elif content.name == "manifest.json":
                content.unlink()


# --- partitions -------------------------------------------------------------------------------------------------------


def order_splits(directory: Directory, table: str, group: str = "") -> list[str]:
    """Tell the leaders of a table's partitions to divide them, or one of them; gives the partitions that were told."""
    told: list[str] = []
    token = directory.token()
    for place in directory.load().storage():
        if place.process is not None and place.control_port is not None:
            with contextlib.suppress(Silent):
                told += cast("list[str]", ask(place.control_port, token, "split", table=table, group=group)["groups"])
    return sorted(set(told))


def split(directory: Directory, table: str, group: str = "") -> dict[str, list[str]]:
    """Divide a table's partitions, or one of them, and wait until the halves are led: partition → halves. Raises
    ClusterError. A partition of fewer than two items is left as it is.
    """
    told = order_splits(directory, table, group)
    if not told:
        what = f"{group} is no partition of {table!r} that" if group else f"{table!r} has no partition that"
        raise ClusterError(f"{what} has a leader and more than one item")
    wanted = {name: [f"{name}.0", f"{name}.1"] for name in told}
    give_up = time.monotonic() + SPLIT_SECONDS_MAX
    while True:
        leaders = led(look(directory))
        late = [name for name, halves in wanted.items() if not all(leaders.get(half) for half in halves)]
        if not late:
            return wanted
        if time.monotonic() > give_up:
            raise ClusterError(f"{', '.join(late)} did not divide within {SPLIT_SECONDS_MAX:.0f} s: `status` shows why")
        time.sleep(POLL_SECONDS)


# --- links ------------------------------------------------------------------------------------------------------------


def cut(directory: Directory, a: str, b: str, *, one_way: bool = False) -> list[tuple[str, str]]:
    """Nothing that `a` sends reaches `b`, nor, unless one way, the other way round. Both may be nodes or zones.

    Gives the directed links that are cut now and were not before.
    """
    state = directory.load()
    links = [(source, target) for source in named(state, a) for target in named(state, b)]
    if not one_way:
        links += [(target, source) for source, target in links]
    return cut_links(directory, links)


def cut_links(directory: Directory, links: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Cut directed links; gives those that were not cut before. A node cannot be cut off from itself."""
    directory.token()
    with directory.changing() as state:
        added = [link for link in dict.fromkeys(links) if link not in state.cuts and link[0] != link[1]]
        state.cuts += added
    _tell_all(directory)
    return added


def mend(directory: Directory, links: Iterable[tuple[str, str]] | None = None) -> None:
    """Take cuts back: these, or all."""
    with directory.changing() as state:
        gone = set(state.cuts if links is None else links)
        state.cuts = [link for link in state.cuts if link not in gone]
    _tell_all(directory)


def put_fault(directory: Directory, entry: Body) -> int:
    """Put a fault of `rules` on, on every node that it concerns; gives its number."""
    with directory.changing() as state:
        state.serial += 1
        state.faults.append({"id": state.serial, **entry})
        number = state.serial
    _tell_all(directory)
    return number


def take_fault(directory: Directory, number: int) -> None:
    """Take a fault off again."""
    with directory.changing() as state:
        state.faults = [entry for entry in state.faults if entry["id"] != number]
    _tell_all(directory)


def heal(directory: Directory) -> list[str]:
    """Take every fault off: links, rules, pauses; and start every node that is down. Gives the names of those."""
    directory.token()
    with directory.changing() as state:
        state.cuts, state.faults = [], []
        for place in state.places.values():
            _signal(directory, place, signal.SIGCONT)
    dead = restart_all(directory, list(directory.load().places))
    _tell_all(directory)
    return dead


def named(state: State, name: str) -> list[str]:
    """The machines of a zone, or the one machine of that name. Raises ClusterError."""
    zone = [place.name for place in state.places.values() if place.address.zone == name]
    return zone or [state.place(name).name]


def _tell_all(directory: Directory) -> None:
    token = directory.token()
    for place in directory.load().places.values():
        if place.process is not None and place.control_port is not None:
            poke(place.control_port, token, "reload")


# --- processes --------------------------------------------------------------------------------------------------------


def _running(directory: Directory, state: State, name: str) -> Place:
    place = state.place(name)
    if not is_up(directory, place):
        raise ClusterError(f"{place.name} is down")
    return place


def _signal(directory: Directory, place: Place, number: int) -> None:
    if place.process is not None:
        process.send_signal(place.process, directory.path, place.name, number)


def _wait_gone(directory: Directory, places: list[Place], seconds_max: float) -> bool:
    return process.wait_until(lambda: not any(is_up(directory, place) for place in places), seconds_max)

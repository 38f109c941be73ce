"""The lab's words whose work is done from outside a node: kill -9, SIGSTOP, closed links. Names as everywhere else.

Each start gives back what takes the fault off again. Everything here blocks, and is called in a thread (`lab`).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from dynalab.drivers.cluster import operations, starting
from dynalab.drivers.cluster.rules import STARTS
from dynalab.drivers.cluster.state import Body, ClusterError, Directory, State
from dynalab.drivers.cluster.status import led, look
from dynalab.lab.catalogue import Parameters
from dynalab.lab.control import BadFault

DAY_MS = 86_400_000
DRIFT_PPM_MAX = 200

Stop: TypeAlias = Callable[[], object]
Later: TypeAlias = "Callable[[int, Stop], None]"


@dataclass(slots=True)
class Strike:
    """One fault on its way: where, with which parameters, and what is to be told about it."""

    directory: Directory
    fault: str
    parameters: Parameters
    later: Later  # do something in so many milliseconds, in a thread
    told: Body = field(default_factory=dict)  # what was chosen: goes into the entry
    hits: int = 0
    number: int | None = None  # in the cluster file


def _storage(strike: Strike, state: State) -> str:
    name = strike.parameters.text("node")
    if name is not None:
        place = state.place(name)
        if place not in state.storage():
            raise BadFault(f"{place.name} is a router; {strike.fault} needs a storage node")
        return place.name
    running = [place.name for place in state.storage() if starting.is_up(strike.directory, place)]
    if not running:
        raise BadFault("every storage node is down")
    return random.choice(running)


def _down(strike: Strike, names: list[str], restart_ms: int | None) -> Stop:
    """Kill; up again after `restart_ms`, or when the fault is taken off."""
    directory = strike.directory
    strike.hits += operations.kill_all(directory, names)
    stop = _restarting(directory, names)
    if restart_ms is not None:
        strike.later(restart_ms, stop)
    return stop


def _restarting(directory: Directory, names: list[str]) -> Stop:
    return lambda: operations.restart_all(directory, names)


def kill_leader(strike: Strike) -> Stop:
    table = strike.parameters.text("table")
    restart_ms = strike.parameters.number("restart_ms", 2_000, 0, DAY_MS)
    strike.parameters.finish()
    status = look(strike.directory)
    tables = {group: {str(r["table"]) for r in replicas.values()} for group, replicas in status.groups().items()}
    counts: dict[str, int] = {}
    for group, leader in led(status).items():
        if leader is not None and (table is None or table in tables[group]):
            counts[leader] = counts.get(leader, 0) + 1
    if not counts:
        raise BadFault(f"nobody leads a partition of {table!r} now" if table else "nobody leads anything now")
    victim = max(counts, key=lambda name: (counts[name], name))
    strike.told["node"] = victim
    return _down(strike, [victim], restart_ms)


def node_crash(strike: Strike) -> Stop:
    victim = _storage(strike, strike.directory.load())
    restart_ms = strike.parameters.number("restart_ms", None, 0, DAY_MS)
    strike.parameters.finish()
    strike.told["node"] = victim
    return _down(strike, [victim], restart_ms)


def node_crash_wipe(strike: Strike) -> Stop:
    victim = _storage(strike, strike.directory.load())
    restart_ms = strike.parameters.number("restart_ms", 500, 0, DAY_MS)
    strike.parameters.finish()
    strike.told["node"] = victim
    operations.wipe(strike.directory, victim)
    strike.hits += 1
    stop = _restarting(strike.directory, [victim])
    if restart_ms is not None:
        strike.later(restart_ms, stop)
    return stop


def zone_loss(strike: Strike) -> Stop:
    zone = strike.parameters.need("zone", strike.parameters.text("zone"))
    strike.parameters.finish()
    # Routers stand in for the clients' way in: with theirs gone, clients of that router could not look.
    victims = [place.name for place in strike.directory.load().storage() if place.address.zone == zone]
    if not victims:
        raise BadFault(f"there is no zone {zone!r}")
    return _down(strike, victims, None)


def pause(strike: Strike) -> Stop:
    victim = _storage(strike, strike.directory.load())
    strike.parameters.finish()
    strike.told["node"] = victim
    directory = strike.directory
    operations.pause(directory, victim)
    strike.hits += 1
    return lambda: operations.resume(directory, victim)


def partition(strike: Strike) -> Stop:
    zone, node = strike.parameters.text("zone"), strike.parameters.text("node")
    strike.parameters.finish()
    if (zone is None) == (node is None):
        raise BadFault("partition cuts off a zone or a node: name one of them")
    state = strike.directory.load()
    inside = operations.named(state, str(zone or node))
    outside = [name for name in state.places if name not in inside]
    return _cut(strike, [(a, b) for a in inside for b in outside] + [(b, a) for a in inside for b in outside])


def one_way_cut(strike: Strike) -> Stop:
    source = strike.parameters.need("from", strike.parameters.text("from"))
    target = strike.parameters.need("to", strike.parameters.text("to"))
    strike.parameters.finish()
    state = strike.directory.load()
    return _cut(strike, [(state.place(source).name, state.place(target).name)])


def _cut(strike: Strike, links: list[tuple[str, str]]) -> Stop:
    directory = strike.directory
    added = operations.cut_links(directory, links)
    strike.hits += len(added)
    return lambda: operations.mend(directory, added)


# Word → the parameters that it takes inside the nodes: (name, default, lowest, highest), whole numbers.
_INSIDE: dict[str, tuple[tuple[str, int | None, int, int], ...]] = {
    "delay": (("delay_ms", 50, 0, 600_000), ("spread_ms", 0, 0, 600_000)),
    "loss": (("percent", 10, 1, 100),),
    "duplicate": (("percent", 10, 1, 100), ("late_ms", 100, 0, 600_000)),
    "reorder": (("percent", 10, 1, 100), ("spread_ms", 20, 1, 600_000)),
    "slow-node": (("each_ms", 5, 1, 60_000),),
    "index-lag": (("lag_ms", None, 1, DAY_MS),),
    "stale-reads": (("lag_ms", 1_000, 1, 60_000), ("seed", None, 0, 2**63)),
    # Half of what retries are recognised for: beyond that the offset is no fault of a clock but a wrong time.
    "clock-offset": (("offset_ms", 3_000, -10_000, 10_000),),
    "clock-drift": (("ppm", DRIFT_PPM_MAX, -DRIFT_PPM_MAX, DRIFT_PPM_MAX),),
}
_AIMED = ("slow-node", "clock-offset", "clock-drift")


def inside(strike: Strike) -> Stop:
    """Faults that the nodes put on themselves: checked here, written into the cluster file."""
    directory, parameters, fault = strike.directory, strike.parameters, strike.fault
    entry: Body = {"fault": fault}
    for name, default, low, high in _INSIDE[fault]:
        value = parameters.number(name, default, low, high)
        if value is not None:
            entry[name] = value
    if fault == "stale-reads":
        entry["mode"] = parameters.text("mode", "always", ("always", "never", "seed"))
        if entry["mode"] == "seed" and "seed" not in entry:
            raise BadFault("stale-reads needs seed")
    if fault in _AIMED:
        strike.told["node"] = entry["node"] = _storage(strike, directory.load())
    elif fault == "delay" and (node := parameters.text("node")) is not None:
        entry["node"] = directory.load().place(node).name
    parameters.finish()
    number = strike.number = operations.put_fault(directory, entry)
    return lambda: operations.take_fault(directory, number)


def _known() -> dict[str, Callable[[Strike], Stop]]:
    assert set(_INSIDE) == set(STARTS), "every word inside has its parameters and its start"
    return {
        "kill-leader": kill_leader,
        "node-crash": node_crash,
        "node-crash-wipe": node_crash_wipe,
        "zone-loss": zone_loss,
        "lose-zone": zone_loss,
        "pause": pause,
        "partition": partition,
        "one-way-cut": one_way_cut,
        **dict.fromkeys(_INSIDE, inside),
    }


FAULTS: dict[str, Callable[[Strike], Stop]] = _known()

__all__ = ["FAULTS", "ClusterError", "Stop", "Strike"]

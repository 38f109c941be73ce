"""The faults of the lab, by name: what each takes, and how it starts. The names are those of campaigns, and a few more.

Every fault also takes `duration_ms`: after that it is taken off by itself. Units stand last in names. A fault that
starts gives back what takes it off again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from dynalab.drivers.store import FileStore
from dynalab.lab import network
from dynalab.lab.calls import THROTTLES, CallRule, struck_by
from dynalab.lab.control import BadFault, Entry, Lab
from dynalab.lab.permissions import OF_PARTS
from dynalab_impl.effects import JSON, Address, Limits
from dynalab_impl.messages import SplitNow
from dynalab_model.offered import OFFERED

MS = 1_000_000
INDEX_MESSAGES = ("IndexRequest",)
Stop: TypeAlias = Callable[[], None]
Choices: TypeAlias = tuple[str, ...]
_T = TypeVar("_T")


class Parameters:
    """The parameters of one request, read by name and type; whatever nobody read is an error."""

    def __init__(self, fault: str, given: Mapping[str, JSON]) -> None:
        self._fault = fault
        self._given = dict(given)

    def text(self, name: str, default: str | None = None, choices: Choices = ()) -> str | None:
        value = self._take(name, str, default)
        if choices and value not in choices:
            raise BadFault(f"{self._fault}: {name} is one of {', '.join(choices)}")
        return value

    def number(self, name: str, default: int | None, low: int, high: int) -> int | None:
        value = self._take(name, int, default)
        if value is not None and not low <= value <= high:
            raise BadFault(f"{self._fault}: {name} lies between {low} and {high}")
        return value

    def need(self, name: str, value: _T | None) -> _T:
        """That value, which must have been given."""
        if value is None:
            raise BadFault(f"{self._fault} needs {name}")
        return value

    def finish(self) -> None:
        """Nothing may be left."""
        if self._given:
            raise BadFault(f"{self._fault} takes no {', '.join(self._given)}")

    def _take(self, name: str, kind: type[_T], default: _T | None) -> _T | None:
        value = self._given.pop(name, None)
        if value is None:
            return default
        if not isinstance(value, kind) or isinstance(value, bool):
            raise BadFault(f"{self._fault}: {name} is {'a whole number' if kind is int else 'a text'}")
        return value


Start: TypeAlias = Callable[[Lab, Parameters, Entry], Stop]


@dataclass(frozen=True, slots=True)
class Fault:
    """What it is, in a sentence, and how it starts."""

    what: str
    start: Start


def start_fault(lab: Lab, entry: Entry) -> int | None:
    """Put the fault of an entry on; its duration in milliseconds is given back, if it has one. Raises BadFault."""
    fault = FAULTS.get(entry.fault)
    if fault is None:
        raise BadFault(f"there is no fault {entry.fault!r}; there are {', '.join(FAULTS)}, heal")
    parameters = Parameters(entry.fault, entry.parameters)
    duration_ms = parameters.number("duration_ms", None, 1, 86_400_000)
    entry.stop = fault.start(lab, parameters, entry)
    return duration_ms


def _all(stops: list[Stop]) -> Stop:
    def stop() -> None:
        for one in stops:
            one()

    return stop


# --- machines --------------------------------------------------------------------------------------------------------


def _storage_node(lab: Lab, parameters: Parameters) -> Address:
    name = parameters.text("node")
    if name is not None:
        return lab.node(name)
    running = [a for a in lab.cluster.topology.storage if lab.cluster.hosts[a].node is not None]
    if not running:
        raise BadFault("every storage node is down")
    return random.choice(running)


def _down(lab: Lab, addresses: list[Address], entry: Entry, restart_ms: int | None, *, wipe: bool = False) -> Stop:
    """Kill machines; they start again after `restart_ms`, or when the fault is taken off."""
    cluster = lab.cluster
    for address in addresses:
        entry.hits.count += cluster.hosts[address].node is not None
        if wipe:
            cluster.wipe(address)
        else:
            cluster.crash(address)

    def restart() -> None:
        for address in addresses:
            cluster.restart(address)

    if restart_ms is not None:
        cluster.call_later(restart_ms * MS, restart)
    return restart


def _kill_leader(lab: Lab, parameters: Parameters, entry: Entry) -> Stop:
    table = parameters.text("table")
    restart_ms = parameters.number("restart_ms", 2_000, 0, 86_400_000)
    parameters.finish()
    led = lab.groups_led(table)
    if not led:
        raise BadFault(f"nobody leads a partition of {table!r} now" if table else "nobody leads anything now")
    victim = max(led, key=lambda address: (len(led[address]), str(address)))
    entry.parameters["node"] = str(victim)
    return _down(lab, [victim], entry, restart_ms)


def _split(lab: Lab, parameters: Parameters, entry: Entry) -> Stop:
    table = parameters.need("table", parameters.text("table"))
    parameters.finish()
    sizes: dict[str, tuple[int, Address]] = {}
    for node in lab.cluster.nodes():
        for group in lab.groups_led(table).get(node.address, []):
            replica = getattr(node, "replicas", {})[group]
            if not replica.spec.index and replica.state.split is None:
                sizes[group] = (replica.state.size, node.address)
    if not sizes:
        raise BadFault(f"nobody leads a partition of {table!r} now")
    group = max(sizes, key=lambda name: (sizes[name][0], name))
    if sizes[group][0] < 2:
        raise BadFault(f"no partition of {table!r} has two items")
    entry.parameters["partition"] = group
    entry.hits.count += 1
    lab.cluster.post(sizes[group][1], sizes[group][1], SplitNow(group))
    return lambda: None  # partitions are not merged


def _node_crash(lab: Lab, parameters: Parameters, entry: Entry) -> Stop:
    victim = _storage_node(lab, parameters)
    restart_ms = parameters.number("restart_ms", None, 0, 86_400_000)
    parameters.finish()
    entry.parameters["node"] = str(victim)
    return _down(lab, [victim], entry, restart_ms)


def _node_crash_wipe(lab: Lab, parameters: Parameters, entry: Entry) -> Stop:
    victim = _storage_node(lab, parameters)
    restart_ms = parameters.number("restart_ms", 500, 0, 86_400_000)
    parameters.finish()
    # Inside the promise of the service only one disk may be lost at a time: until its replicas vote again, no second
    # one.
    for address in lab.cluster.topology.storage:
        node = lab.cluster.hosts[address].node
        learning = [g for g, r in getattr(node, "replicas", {}).items() if getattr(r, "learner", False)]
        if node is None and address != victim:
            raise BadFault(f"{address} is down; a second disk could be one too many")
        if learning and address != victim:
            raise BadFault(
                f"{address} is still learning {', '.join(sorted(learning))}; a second disk would be one too many"
            )
    entry.parameters["node"] = str(victim)
    return _down(lab, [victim], entry, restart_ms, wipe=True)


def _zone_loss(lab: Lab, parameters: Parameters, entry: Entry) -> Stop:
    zone = parameters.need("zone", parameters.text("zone"))
    parameters.finish()
    # The router stands in for a client's way in; with its zone gone nobody could look.
    victims = [a for a in lab.zone(zone) if a in lab.cluster.topology.storage]
    return _down(lab, victims, entry, None)


def _clock(lab: Lab, parameters: Parameters, entry: Entry) -> Stop:
    by_ns = parameters.need("offset_s", parameters.number("offset_s", None, 1, 10**9)) * 1_000 * MS
    parameters.finish()
    if isinstance(lab.cluster.store, FileStore):
        # The log's time never goes back, so after a restart at the old time every request would seem to have expired.
        raise BadFault("clock needs a service in memory: files would outlive the moved clock")
    for host in lab.cluster.hosts.values():
        host.shift_wall(by_ns)
        entry.hits.count += 1
    return lambda: None  # for the same reason healing does not bring the old time back


def _clock_offset(lab: Lab, parameters: Parameters, entry: Entry) -> Stop:
    node = _storage_node(lab, parameters)
    # Half of what retries are recognised for: beyond that the offset is no fault of a clock but a wrong time.
    bound_ms = lab.cluster.topology.timing.dedup_ns // 2 // MS
    by_ns = parameters.need("offset_ms", parameters.number("offset_ms", 3_000, -bound_ms, bound_ms)) * MS
    parameters.finish()
    entry.parameters["node"] = str(node)
    host = lab.cluster.hosts[node]
    host.shift_wall(by_ns)
    entry.hits.count += 1
    return lambda: host.shift_wall(-by_ns)


def _clock_drift(lab: Lab, parameters: Parameters, entry: Entry) -> Stop:
    node = _storage_node(lab, parameters)
    bound_ppm = lab.cluster.topology.timing.drift_ppm
    ppm = parameters.need("ppm", parameters.number("ppm", bound_ppm, -bound_ppm, bound_ppm))
    parameters.finish()
    entry.parameters["node"] = str(node)
    entry.hits.count += 1
    host = lab.cluster.hosts[node]
    host.set_drift(ppm)
    return lambda: host.set_drift(0)


# --- the network -----------------------------------------------------------------------------------------------------


def _partition(lab: Lab, parameters: Parameters, entry: Entry) -> Stop:
    zone, node = parameters.text("zone"), parameters.text("node")
    parameters.finish()
    if (zone is None) == (node is None):
        raise BadFault("partition cuts off a zone or a node: name one of them")
    inside = set(lab.zone(zone)) if zone is not None else {lab.node(str(node))}
    outside = set(lab.cluster.hosts) - inside
    stops = [
        lab.add_rule(network.cut(inside, outside, entry.hits)),
        lab.add_rule(network.cut(outside, inside, entry.hits)),
    ]
    return _all(stops)


def _one_way_cut(lab: Lab, parameters: Parameters, entry: Entry) -> Stop:
    source = lab.node(parameters.need("from", parameters.text("from")))
    target = lab.node(parameters.need("to", parameters.text("to")))
    parameters.finish()
    return lab.add_rule(network.cut({source}, {target}, entry.hits))


def _nodes(lab: Lab, parameters: Parameters) -> set[Address]:
    name = parameters.text("node")
    return set(lab.cluster.hosts) if name is None else {lab.node(name)}


def _delay(lab: Lab, parameters: Parameters, entry: Entry) -> Stop:
    by_ms = parameters.need("delay_ms", parameters.number("delay_ms", 50, 0, 600_000))
    spread_ms = parameters.need("spread_ms", parameters.number("spread_ms", 0, 0, 600_000))
    nodes = _nodes(lab, parameters)
    parameters.finish()
    return lab.add_rule(network.delay(nodes, by_ms * MS, spread_ms * MS, 100, random.Random(), entry.hits))


def _percent(parameters: Parameters) -> int:
    return parameters.need("percent", parameters.number("percent", 10, 1, 100))


def _loss(lab: Lab, parameters: Parameters, entry: Entry) -> Stop:
    percent = _percent(parameters)
    parameters.finish()
    return lab.add_rule(network.loss(percent, random.Random(), entry.hits))


def _duplicate(lab: Lab, parameters: Parameters, entry: Entry) -> Stop:
    percent = _percent(parameters)
    late_ms = parameters.need("late_ms", parameters.number("late_ms", 100, 0, 600_000))
    parameters.finish()
    return lab.add_rule(network.duplicate(percent, late_ms * MS, random.Random(), entry.hits))


def _reorder(lab: Lab, parameters: Parameters, entry: Entry) -> Stop:
    percent = _percent(parameters)
    spread_ms = parameters.need("spread_ms", parameters.number("spread_ms", 20, 1, 600_000))
    parameters.finish()
    everybody = set(lab.cluster.hosts)
    return lab.add_rule(network.delay(everybody, 0, spread_ms * MS, percent, random.Random(), entry.hits))


def _slow_node(lab: Lab, parameters: Parameters, entry: Entry) -> Stop:
    node = _storage_node(lab, parameters)
    each_ms = parameters.need("each_ms", parameters.number("each_ms", 5, 1, 60_000))
    parameters.finish()
    entry.parameters["node"] = str(node)
    return lab.add_rule(network.slow_node(node, each_ms * MS, entry.hits))


def _index_lag(lab: Lab, parameters: Parameters, entry: Entry) -> Stop:
    lag_ms, table = parameters.number("lag_ms", None, 1, 86_400_000), parameters.text("table")
    parameters.finish()
    by_ns = None if lag_ms is None else lag_ms * MS
    return lab.add_rule(network.hold_back(INDEX_MESSAGES, by_ns, entry.hits, network.Groups(lab.cluster, table)))


# --- what clients see ------------------------------------------------------------------------------------------------


def _stale_reads(lab: Lab, parameters: Parameters, entry: Entry) -> Stop:
    mode = parameters.text("mode", "always", ("always", "never", "seed"))
    lag_ms = parameters.need("lag_ms", parameters.number("lag_ms", 1_000, 1, 60_000))
    seed, table = parameters.number("seed", None, 0, 2**63), parameters.text("table")
    parameters.finish()
    if mode == "seed":
        parameters.need("seed", seed)
    before = lab.eventual_policy
    stops: list[Stop] = [lambda: lab.set_eventual_policy(before)]
    if mode != "never":
        groups = network.Groups(lab.cluster, table)
        stops.append(lab.add_rule(network.stale_member(groups, lag_ms * MS, entry.hits)))
    lab.set_eventual_policy({"always": "stalest", "never": "leader", "seed": "any"}[str(mode)])
    if mode == "seed":
        for address in lab.cluster.topology.routers:
            lab.cluster.hosts[address].reseed(parameters.need("seed", seed))
    return _all(stops)


def _admission(lab: Lab, parameters: Parameters, entry: Entry) -> Stop:
    usual = Limits()
    read = parameters.need("read", parameters.number("read", usual.partition_read, 1, 10**6))
    write = parameters.need("write", parameters.number("write", usual.partition_write, 1, 10**6))
    burst_s = parameters.need("burst_s", parameters.number("burst_s", usual.burst_s, 0, 86_400))
    parameters.finish()
    before = lab.limits
    lab.set_limits(Limits(read, write, burst_s))
    entry.hits.count += sum(hasattr(node, "admission") for node in lab.cluster.nodes())
    return lambda: lab.set_limits(before)


def _call_rule(lab: Lab, parameters: Parameters, entry: Entry) -> Stop:
    operation, table = parameters.text("operation"), parameters.text("table")
    nth = parameters.need("nth", parameters.number("nth", 1, 1, 10**9))
    count = parameters.need("count", parameters.number("count", 1, 1, 10**9))
    when, error = "before", "provisioned"
    if entry.fault == "throttle":
        error = str(parameters.text("error", error, tuple(THROTTLES)))
    if entry.fault == "fail":
        when = str(parameters.text("when", "before", ("before", "after")))
    parameters.finish()
    _check_struck(entry.fault, operation, struck_by(entry.fault, error))
    rule = CallRule(entry.fault, operation, table, nth, count, when, error, hits=entry.hits)
    lab.calls.append(rule)
    return lambda: lab.calls.remove(rule)


def _check_struck(fault: str, operation: str | None, struck: frozenset[str]) -> None:
    """A rule that can never fire would show nothing."""
    if operation is None or operation in struck:
        return
    if operation not in OFFERED and operation not in OF_PARTS:
        raise BadFault(f"there is no operation {operation!r}")
    raise BadFault(f"{fault} never strikes {operation}; it strikes {', '.join(sorted(struck))}")


FAULTS: dict[str, Fault] = {
    "kill-leader": Fault("kill the node that leads most partitions [of table]; back after restart_ms", _kill_leader),
    "split": Fault("divide the largest partition of table, for good", _split),
    "node-crash": Fault("kill a node [node]; back after restart_ms, or when healed", _node_crash),
    "node-crash-wipe": Fault("kill a node and lose its disk; back empty after restart_ms", _node_crash_wipe),
    "zone-loss": Fault("all storage nodes of a zone are down until healed", _zone_loss),
    "lose-zone": Fault("another word for zone-loss", _zone_loss),
    "index-lag": Fault("index changes [of table] come lag_ms late, or not until healed", _index_lag),
    "partition": Fault("cut a zone or a node off from the others, both ways", _partition),
    "one-way-cut": Fault("what `from` sends does not reach `to`", _one_way_cut),
    "delay": Fault("messages [of node] take delay_ms and up to spread_ms longer", _delay),
    "loss": Fault("percent of all messages are lost", _loss),
    "duplicate": Fault("percent of all messages come twice, the copy up to late_ms later", _duplicate),
    "reorder": Fault("percent of all messages are overtaken by others, up to spread_ms", _reorder),
    "clock-offset": Fault("the wall clock of a node is offset_ms off", _clock_offset),
    "clock-drift": Fault("the monotonic clock of a node runs ppm fast or slow, within the bound", _clock_drift),
    "clock": Fault("every wall clock goes forward by offset_s, for good", _clock),
    "slow-node": Fault("a node takes each_ms for every message", _slow_node),
    "stale-reads": Fault(
        "eventual reads [of table] are (mode) always lag_ms old, never old, or drawn by seed", _stale_reads
    ),
    "admission": Fault("tables are held to their throughput, partitions to read and write units a second", _admission),
    "throttle": Fault(
        "refuse count calls [of operation on table], beginning with the nth, with the error of what ran out: "
        f"{', '.join(THROTTLES)}",
        _call_rule,
    ),
    "conflict": Fault("refuse count calls [of operation on table] as if a transaction held the item", _call_rule),
    "region-conflict": Fault(
        "refuse count writes [of operation on table] as if another Region were changing the item", _call_rule
    ),
    "deny": Fault(
        "refuse count calls [of operation on table] for want of that permission; PutItem, UpdateItem, DeleteItem, "
        f"GetItem, {', '.join(OF_PARTS)} also inside transactions and statements",
        _call_rule,
    ),
    "fail": Fault("answer 500 to count calls [of operation on table], before or after carrying them out", _call_rule),
}

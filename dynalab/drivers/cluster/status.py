"""What there is at this moment: which nodes run, which groups there are, who leads them and who lags behind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import cast

from dynalab.drivers.cluster import process
from dynalab.drivers.cluster.control import ASK_SECONDS_MAX, Silent, ask
from dynalab.drivers.cluster.state import Body, Directory, Place, State
from dynalab_impl.effects import JSON


@dataclass(slots=True)
class NodeStatus:
    """One machine. `state`: up, paused, silent (it runs and does not answer) or down."""

    place: Place
    kind: str
    state: str
    report: Body = field(default_factory=dict)

    def groups(self) -> list[Body]:
        """The replicas on it."""
        return cast("list[Body]", self.report.get("groups", []))


@dataclass(slots=True)
class Status:
    """All machines, at about the same time."""

    state: State
    nodes: dict[str, NodeStatus]

    def groups(self) -> dict[str, dict[str, Body]]:
        """Group → node → what it says about its replica."""
        found: dict[str, dict[str, Body]] = {}
        for name, node in self.nodes.items():
            for group in node.groups():
                found.setdefault(str(group["group"]), {})[name] = group
        return dict(sorted(found.items()))

    def incomplete(self) -> list[tuple[str, str]]:
        """Members that cannot be counted on now, as (group, node): silent, without the replica, still learning, or with
        a log replica in their seat.
        """
        missing: list[tuple[str, str]] = []
        for group, replicas in self.groups().items():
            newest = max(replicas.values(), key=lambda replica: _number(replica["members_slot"]))
            seats = cast("dict[str, str]", newest["stands_for"])
            for name in sorted(cast("list[str]", newest["members"])):
                if name in seats:
                    missing.append((group, seats[name]))
                elif name not in replicas or replicas[name]["role"] == "learner":
                    missing.append((group, name))
        return missing

    def to_json(self) -> Body:
        """What `dynalab cluster status --json` prints."""
        leaders = led(self)
        nodes: list[JSON] = [
            {
                "node": name,
                "zone": node.place.address.zone,
                "kind": node.kind,
                "state": node.state,
                "pid": None if node.place.process is None else node.place.process.pid,
                "incarnation": self.state.machines.incarnations.get(node.place.address),
                "port": node.place.http_port or node.place.peer_port,
                "replicas": len(node.groups()),
                "leads": sum(leader == name for leader in leaders.values()),
            }
            for name, node in self.nodes.items()
        ]
        groups: list[JSON] = []
        for group, replicas in self.groups().items():
            newest = max(_number(replica["commit"]) for replica in replicas.values())
            some = max(replicas.values(), key=lambda replica: _number(replica["members_slot"]))
            groups.append(
                {
                    "group": group,
                    "table": some["table"],
                    "index": some["index"],
                    "leader": leaders[group],
                    "commit": newest,
                    "members": some["members"],
                    "lag": {name: newest - _number(replica["commit"]) for name, replica in replicas.items()},
                    "roles": {name: replica["role"] for name, replica in replicas.items()},
                }
            )
        return {
            "cluster": self.state.cluster,
            "zones": cast(JSON, sorted({address.zone for address in self.state.topology.storage})),
            "endpoints": cast(JSON, self.state.urls()),
            "nodes": nodes,
            "groups": groups,
            "cuts": cast(JSON, [list(link) for link in self.state.cuts]),
            "faults": cast(JSON, self.state.faults),
        }


def look(directory: Directory, *, seconds_max: float = ASK_SECONDS_MAX) -> Status:
    """Ask every node at once. A node that does not answer costs `seconds_max`. Raises ClusterError."""
    state = directory.load()
    routers = {place.name for place in state.routers()}

    def one(place: Place) -> NodeStatus:
        kind = "router" if place.name in routers else "storage"
        if place.process is None or not process.is_ours(place.process, directory.path, place.name):
            return NodeStatus(place, kind, "down")
        if process.is_stopped(place.process.pid):
            return NodeStatus(place, kind, "paused")
        try:
            report = ask(place.control_port or 0, directory.token(), "status", seconds_max=seconds_max)
        except Silent:
            return NodeStatus(place, kind, "silent")
        return NodeStatus(place, kind, "up", report)

    with ThreadPoolExecutor(max_workers=len(state.places)) as pool:
        found = list(pool.map(one, state.places.values()))
    return Status(state, {node.place.name: node for node in found})


def led(status: Status) -> dict[str, str | None]:
    """Group → who leads it, by its own word. Of two that believe so, the one that committed more is named."""
    leaders: dict[str, str | None] = {}
    for group, replicas in status.groups().items():
        claims = [(_number(replica["commit"]), name) for name, replica in replicas.items() if replica["leads"]]
        leaders[group] = max(claims)[1] if claims else None
    return leaders


def _number(value: JSON) -> int:
    assert isinstance(value, int)
    return value

"""What comes and goes leaves nothing behind: nodes are as large after a thousand tables as after a hundred."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Any

from sortedcontainers import SortedDict

from dynalab_impl import messages as m
from dynalab_impl.bygone import NAMES_MAX
from dynalab_impl.effects import Address, Limits
from dynalab_impl.routes import STRAYS_MAX, Routes
from dynalab_model.schema import KeyAttribute, KeySchema, TableSchema

from .conftest import SECOND, Lab
from .test_adversary_catalog import catalog_leader

# A disk remembers the names of groups that it dropped, until there are many of them; then which tables there are.
STONES, LIVE = "StorageNode.dropped", "StorageNode.makings.live"
# Answers to requests, until they expire; logs and their tails, until a cycle of snapshots lets go of them.
BY_TIME = (".dedup", ".log", ".topology", ".dedup_order")


def sizes(value: Any, path: str, found: dict[str, int], seen: dict[int, Any], depth: int = 0) -> None:
    """How many members the containers have that are found from here: path → sum."""
    if id(value) in seen or depth > 6 or path.endswith(BY_TIME):
        return
    seen[id(value)] = value
    if isinstance(value, dict | list | tuple | deque | OrderedDict | SortedDict):
        found[path] = found.get(path, 0) + len(value)
        for part in value.values() if isinstance(value, dict) else value:
            sizes(part, f"{path}[]", found, seen, depth + 1)
        return
    for name in getattr(type(value), "__slots__", ()):
        if hasattr(value, name):
            sizes(getattr(value, name), f"{path}.{name}", found, seen, depth + 1)


def all_sizes(lab: Lab) -> dict[str, int]:
    found: dict[str, int] = {}
    for host in lab.simulation.hosts:
        assert host.node is not None
        sizes(host.node, type(host.node).__name__, found, {})
    return found


def call_all(lab: Lab, name: str, requests: list[dict[str, Any]]) -> None:
    tokens = [lab.send(name, **request) for request in requests]
    while not all(token in lab.answers for token in tokens):
        lab.run(SECOND // 10)
    assert {lab.answers[token].status for token in tokens} == {200}


def come_and_go(lab: Lab, names: list[str]) -> None:
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}]
    index = {
        "IndexName": "by-c",
        "KeySchema": [{"AttributeName": "c", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    shape: dict[str, Any] = {
        "KeySchema": keys,
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "c")],
        "BillingMode": "PAY_PER_REQUEST",
        "GlobalSecondaryIndexes": [index],
    }
    call_all(lab, "CreateTable", [{"TableName": name, **shape} for name in names])
    lab.run(4 * SECOND)
    item = {"pk": {"S": "a"}, "c": {"S": "x"}}
    call_all(lab, "PutItem", [{"TableName": name, "Item": item} for name in names])
    ttl = {"Enabled": True, "AttributeName": "e"}
    call_all(lab, "UpdateTimeToLive", [{"TableName": name, "TimeToLiveSpecification": ttl} for name in names[:5]])
    lab.run(SECOND)
    some = lab.leader("a", names[0])
    lab.simulation.order(some[0], m.SplitNow(some[1]))
    lab.run(SECOND)
    call_all(lab, "DeleteTable", [{"TableName": name} for name in names])
    lab.run(5 * SECOND)


def test_a_thousand_tables_that_came_and_went_leave_no_node_larger() -> None:
    lab = Lab(nodes_per_zone=1, routers=1, partitions=1, scrub=True, limits=Limits(), log_records_max=1_000)
    measured = []
    for turn in range(20):
        come_and_go(lab, [f"t{turn}-{number}" for number in range(50)])
        if turn == 1:  # the next one that leads the catalog begins with nothing; who led it keeps what it had
            leader = catalog_leader(lab)
            others = [host for host in range(3) if host != leader]
            rule = lab.rule("cut", [leader], others, both_ways=True)
            lab.run(6 * SECOND)
            lab.simulation.network.remove_rule(rule)
            lab.run(6 * SECOND)
        if turn in (2, 19):
            measured.append(all_sizes(lab))
    before, after = measured
    assert sum(before.values()) > 100, "something was found"
    assert before.pop(STONES) > 1_000 and after.pop(STONES) < 3 * (NAMES_MAX + 200)
    assert after.pop(LIVE) <= 3 * 51
    grown = {path: (before.get(path, 0), size) for path, size in after.items() if size > before.get(path, 0) + 25}
    assert not grown


def test_a_router_knows_few_leaders_of_groups_that_it_does_not_know() -> None:
    """An answer may come when its table is forgotten."""
    routes, schema = Routes(10), TableSchema("T", KeySchema(KeyAttribute("pk", "S")))
    leader = Address("r", "z", "n")
    for number in range(500):
        spec = m.GroupSpec(f"T/{number}.0", "T", "", b"", b"", (), schema)
        routes.put(spec, number)
        routes.leaders[spec.group] = leader
        routes.forget("T")
        routes.leaders[spec.group] = leader
        assert len(routes.leaders) <= STRAYS_MAX + 2
    routes.put(spec, 500)
    assert routes.find("T", "", b"x") is spec

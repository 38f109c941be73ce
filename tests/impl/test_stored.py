"""Items at rest: packed where a process holds one node, and nobody who reads them can tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dynalab.bench.store import memory
from dynalab_impl.effects import Address, Node, Topology
from dynalab_impl.partition import Partition, StoredItem
from dynalab_impl.service import make_node
from dynalab_impl.storage_node import StorageNode
from dynalab_model.values import Item

from .conftest import SECOND, Lab


def packing(address: Address, topology: Topology, incarnation: int) -> Node:
    """A node as a process of its own runs it."""
    node = make_node(address, topology, incarnation)
    if isinstance(node, StorageNode):
        node.snapshots.packs = True
    return node


def partitions(lab: Lab) -> list[tuple[Any, Partition]]:
    """Every replica of the table, with its state."""
    replicas = [r for host in lab.simulation.hosts for r in getattr(host.node, "replicas", {}).values()]
    return [(r, r.state) for r in replicas if r.spec.table == "things"]


@pytest.mark.parametrize(
    "item",
    [
        {"pk": {"S": "é\ud800\x00"}, "": {"N": "-1.5"}},
        {"pk": {"B": "YQ=="}, "b": {"BOOL": False}, "n": {"NULL": True}, "e": {"S": ""}},
        {"m": {"M": {"l": {"L": [{"SS": ["b", "a"]}, {"M": {}}]}}}, "a": {"NS": ["1", "2"]}},
    ],
)
def test_a_packed_item_is_read_as_it_was_written(item: Item) -> None:
    stored = StoredItem(item, 3, 4, 5)
    stored.pack()
    assert isinstance(stored.held, bytes)
    assert stored.item == item and list(stored.item) == list(item)
    stored.pack()
    assert stored.item == item and (stored.version, stored.time_ns, stored.stamp_ns) == (3, 4, 5)


def test_nodes_that_pack_do_what_nodes_do_that_do_not(make_lab: Callable[..., Lab]) -> None:
    seen: list[list[object]] = []
    for make in (packing, make_node):
        lab = make_lab(make=make, partitions=1, nodes_per_zone=1, log_records_max=60)
        lab.create()
        for number in range(120):
            assert lab.put(f"k{number % 40}", number).status == 200
        for number in range(240):  # the log lets go of what the first forty keys were last given
            assert lab.put(f"other{number % 3}", number).status == 200
        lab.run(5 * SECOND)
        values = [lab.get(f"k{number}") for number in range(40)]
        follower = next(i for i in lab.members(lab.leader("k0")[1]) if i != lab.leader("k0")[0])
        lab.simulation.crash(follower)
        lab.simulation.restart(follower)
        lab.run(5 * SECOND)
        pages = lab.call("Scan", TableName="things", ConsistentRead=True).body
        states = partitions(lab)
        rows = [[(key, s.item, s.version, s.stamp_ns) for key, s in state.items.items()] for _, state in states]
        seen.append([values, pages, rows, lab.simulation.trace.digest()])
        packed = [s for _, state in states for s in state.items.values() if isinstance(s.held, bytes)]
        if make is packing:
            assert len(packed) > 40  # of three replicas
            logged = [s for r, state in states for s in state.items.values() if s.version > r.log.base]
            assert logged and not any(isinstance(s.held, bytes) for s in logged)
        else:
            assert not packed
    assert seen[0] == seen[1]


def test_an_item_at_rest_takes_less_than_twice_its_size_on_the_wire() -> None:
    figure = memory(items=1_000)
    assert figure.rate is not None and 900 < figure.rate < 2 * 900, figure

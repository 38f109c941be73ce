"""The table of hops that the course draws is what really happens."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_impl import messages, metadata
from dynalab_impl.effects import Address, Effects, Message
from dynalab_impl.path import PATHS, Hop
from dynalab_impl.service import make_node
from dynalab_model.events import KINDS

INSIDE = {"request", "response", "append", "apply"}


@pytest.mark.parametrize("path", PATHS.values(), ids=list(PATHS))
def test_every_hop_names_a_message_and_begins_where_one_has_arrived(path: tuple[Hop, ...]) -> None:
    reached = {path[0].source}
    for hop in path:
        assert hop.source in reached, hop
        kind = getattr(messages, hop.message, None) or getattr(metadata, hop.message, None)
        assert hop.message in INSIDE or (kind is not None and issubclass(kind, Message)), hop
        reached.add(hop.target)
    assert path[-1].why and path[0].source in ("client", "leader")


class Tap:
    """A node that writes down what it is sent."""

    def __init__(self, node: Any, names: list[str]) -> None:
        self.node = node
        self.names = names

    def on_message(self, sender: Address, message: Message, effects: Effects) -> None:
        self.names.append(type(message).__name__)
        self.node.on_message(sender, message, effects)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.node, name)


@pytest.mark.claim("S21", "S23")
def test_a_traced_write_takes_the_hops_of_the_table(make_lab: Any) -> None:
    names: list[str] = []
    lab = make_lab(seed=6, make=lambda *place: Tap(make_node(*place), names))
    lab.create(index=True)
    lab.put("warm", 1, attributes={"colour": {"S": "red"}})
    lab.run(2_000_000_000)
    names.clear()
    lab.put("warm", 2, attributes={"colour": {"S": "red"}})
    lab.run(50_000_000)
    wanted = [hop.message for hop in PATHS["write"] if hop.message not in INSIDE]
    # Answer and Commit leave together, and so do the first steps of the index: only their beginning is in order.
    first = [n for n in dict.fromkeys(names) if n in wanted]
    assert first[:3] == wanted[:3] and sorted(first) == sorted(wanted), names


@pytest.mark.claim("S21", "S87")
def test_a_traced_read_of_a_cold_router_and_one_of_a_moved_partition_take_the_hops_of_the_table(make_lab: Any) -> None:
    names: list[str] = []
    lab = make_lab(seed=6, make=lambda *place: Tap(make_node(*place), names), nodes_per_zone=1, routers=2, partitions=1)
    lab.create()
    lab.put("a", 1)
    router = lab.simulation.hosts[-1].node.node
    # The table's own question comes before it: a router that has served anything of the table knows its keys.
    router.routes.schemas.update(lab.simulation.hosts[-2].node.node.routes.schemas)
    router.catalog_leader = lab.simulation.hosts[-2].node.node.catalog_leader
    names.clear()
    lab.call("GetItem", router=1, TableName="things", Key={"pk": {"S": "a"}})
    taken = [name for name in names if name in ("Find", "Found", "GetRequest", "GetReply", "Moved")]
    assert taken == [hop.message for hop in PATHS["cold read"] if hop.message not in INSIDE]
    lab.put("b", 2)
    leader, group = lab.leader("a")
    lab.simulation.network.transmit(leader, leader, messages.SplitNow(group), lab.simulation.now)
    lab.run(50_000_000)
    names.clear()
    assert lab.get("a") == "1"
    taken = [name for name in names if name in ("Find", "Found", "GetRequest", "GetReply", "Moved")]
    assert taken == [hop.message for hop in PATHS["moved read"] if hop.message not in INSIDE]


@pytest.mark.claim("S34")
def test_a_traced_split_takes_the_hops_of_the_table(make_lab: Any) -> None:
    names: list[str] = []
    wanted = [hop.message for hop in PATHS["split"] if hop.message not in INSIDE]
    tap = lambda *place: Tap(make_node(*place), names)  # noqa: E731
    lab = make_lab(seed=6, make=tap, partitions=1, nodes_per_zone=1, log_records_max=100, split_bytes=6_000)
    lab.create()
    for number in range(144):
        assert lab.put(f"k{number % 12}", "x" * 700).status == 200
    lab.run(12_000_000_000)
    at = names.index("SplitNow")
    assert "SplitWanted" in names[:at]
    first = [name for name in dict.fromkeys(names[at:]) if name in wanted and name != "SplitWanted"]
    assert first == wanted[1:]


def test_every_event_that_is_told_stands_in_the_vocabulary(make_lab: Any) -> None:
    lab = make_lab(seed=7, log_records_max=60)
    lab.create(index=True)
    for i in range(60):
        lab.put("a", i, attributes={"colour": {"S": "red"}})
    lab.simulation.crash(lab.leader("a")[0])
    lab.put("a", "after")
    assert {"committed", "snapshot-written", "index-sent", "leader-elected"} <= set(lab.kinds()) <= set(KINDS)

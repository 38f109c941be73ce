"""Tables that come and go under a name, and disks that come and go under a node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dynalab_impl.catalog import CATALOG

SECOND = 1_000_000_000


def catalog_leader(lab: Any) -> int:
    for index in range(lab.simulation.storage_count):
        node = lab.simulation.hosts[index].node
        if node is not None and CATALOG in node.replicas and node.replicas[CATALOG].is_leader:
            return index
    raise AssertionError("nobody leads the catalog")


def delete(lab: Any, table: str = "things") -> None:
    assert lab.call("DeleteTable", TableName=table).status == 200
    for _ in range(100):
        if lab.call("DescribeTable", TableName=table).status == 400:
            return
        lab.run(SECOND // 10)
    raise AssertionError("the table never went away")


def test_a_late_registration_of_a_lost_disk_does_not_hide_the_new_one(make_lab: Callable[..., Any]) -> None:
    """Else every new table is placed on the lost disk, and its groups wait for an adoption that needs a leader."""
    lab = make_lab(nodes_per_zone=1, routers=1)
    victim = next(i for i in range(3) if i != catalog_leader(lab))
    simulation = lab.simulation
    everybody = list(range(len(simulation.hosts)))
    simulation.crash(victim)
    simulation.restart(victim)
    late = lab.rule("duplicate", [victim], everybody, names=("Register",), delay_ns=6 * SECOND)
    lab.run(SECOND)
    simulation.network.remove_rule(late)
    simulation.crash(victim)
    simulation.wipe(victim)
    simulation.restart(victim)
    lab.run(10 * SECOND)
    catalog = simulation.hosts[catalog_leader(lab)].node.replicas[CATALOG].state
    assert catalog.nodes[simulation.addresses[victim]] == 2


@pytest.mark.claim("S22")
def test_a_leader_that_was_not_told_of_a_deletion_does_not_serve_beside_the_next_table_of_that_name(
    make_lab: Callable[..., Any],
) -> None:
    lab = make_lab(nodes_per_zone=1, routers=2, partitions=1)
    lab.create("first")  # places the next one on another first node than the catalog's
    lab.create()
    lab.put("a", "old", router=1)
    simulation = lab.simulation
    leader, group = lab.leader("a")
    keeper = catalog_leader(lab)
    assert keeper != leader, "the catalog's leader is to reach the others and not this one"
    lab.rule("cut", [keeper], [leader], names=("Drop",))
    asked = simulation.now
    token = lab.send("DeleteTable", TableName="things")
    while True:
        lab.run(1_000_000)
        assert simulation.now < asked + 8 * SECOND
        if token in lab.answers and lab.call("DescribeTable", TableName="things").status == 400:
            break
    replica = simulation.hosts[leader].node.replicas[group]
    assert not replica.may_serve(simulation.hosts[leader].local_ns(simulation.now)), "two tables of one name serve"

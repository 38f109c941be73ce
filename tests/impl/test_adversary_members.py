"""Members that come and go around everything else: deletions, splits, seats, restarts."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import SECOND, Lab
from .test_adversary_catalog import catalog_leader


def leaders_that_serve(lab: Lab, group: str) -> list[int]:
    found: list[int] = []
    for index in range(lab.simulation.storage_count):
        host: Any = lab.simulation.hosts[index]
        replica = None if host.node is None else host.node.replicas.get(group)
        if replica is not None and replica.may_serve(host.local_ns(lab.simulation.now)):
            found.append(index)
    return found


@pytest.mark.claim("S22")
@pytest.mark.parametrize("seed", range(3))
def test_a_group_whose_members_changed_unheard_is_not_taken_for_dropped(seed: int) -> None:
    """The catalog asks the members that it knows to drop a deleted table's group. One has: so its leader, which the
    catalog does not reach, gives the seat to a log replica that the catalog never hears of, and would go on with it
    when a second one of the old members has dropped the group: two of the three that the catalog knows, and none of
    the two that make a quorum now.
    """
    lab = Lab(seed=seed, nodes_per_zone=3, routers=2, partitions=1)
    lab.create("first")
    lab.create()
    assert lab.put("a", "old", router=1).status == 200
    simulation = lab.simulation
    leader, group = lab.leader("a")
    keeper = catalog_leader(lab)
    if keeper == leader:
        lab.rule("cut", [keeper], [i for i in range(9) if i != keeper], both_ways=True)
        lab.run(4 * SECOND)
        simulation.network._rules.clear()
        lab.run(4 * SECOND)
        leader, group = lab.leader("a")
        keeper = catalog_leader(lab)
    assert keeper != leader
    others = [i for i in lab.members(group) if i != leader]
    later = others[0] if others[0] != keeper else others[1]
    lab.rule("cut", [keeper], [leader], both_ways=True)
    near = [i for i in range(9) if simulation.addresses[i].zone == simulation.addresses[leader].zone]
    lab.rule("cut", [leader], near, names=("Adopt",))  # the log replica is to stand in another zone than the leader
    for_a_while = lab.rule("cut", [keeper], [later], names=("Drop",))
    asked = simulation.now
    token = lab.send("DeleteTable", TableName="things")
    lab.run(3 * SECOND)
    simulation.network.remove_rule(for_a_while)
    while simulation.now < asked + 12 * SECOND:
        lab.run(SECOND // 20)
        described = lab.call("DescribeTable", TableName="things")
        if token in lab.answers and described.status == 400:
            assert leaders_that_serve(lab, group) == [], "a leader of the deleted table serves, and its name is free"
            break
    else:
        pytest.fail("the table never went away")
    simulation.network._rules.clear()
    lab.run(8 * SECOND)
    assert lab.members(group) == [], "nobody keeps a replica"

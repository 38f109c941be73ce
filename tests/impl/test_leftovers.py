"""What is left of a table that was deleted while a member was away."""

from __future__ import annotations

from typing import Any

from dynalab_fault_injection.simulator import LinkRule
from dynalab_impl.effects import Address
from dynalab_impl.messages import SplitNow
from dynalab_model.events import Event
from tests.impl.conftest import SECOND, Lab


def hosted(lab: Lab, table: str = "things") -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for host in lab.simulation.hosts[: lab.simulation.storage_count]:
        node: Any = host.node
        found[host.address.node] = [group for group, held in node.replicas.items() if held.spec.table == table]
    return found


def test_the_children_of_a_split_that_only_a_cut_off_follower_knows_go_with_their_deleted_table() -> None:
    lab = Lab(nodes_per_zone=3, partitions=8, routers=1)
    lab.create()
    for number in range(40):
        lab.put(f"k{number}", number)
    addresses, catalog = lab.simulation.addresses, lab.topology.catalog_members()
    for number in range(40):
        leader, group = lab.leader(f"k{number}")
        node: Any = lab.simulation.hosts[leader].node
        members = [addresses.index(member.address) for member in node.replicas[group].members]
        if not any(addresses[index] in catalog for index in members):
            break
    follower, away = (index for index in members if index != leader)
    rules: list[LinkRule] = []

    def part(at: int, who: Address, event: Event) -> None:
        # A follower learns that the Split is chosen. From then on nobody hears of it, and the leader, which dies and
        # comes back at once, had not written down that it knew.
        if event.kind == "split-applied" and event.group == f"{group}.1" and who == addresses[follower]:
            everybody = [one for one in range(len(lab.simulation.hosts)) if one != follower]
            rules.append(lab.rule("cut", [follower], everybody, both_ways=True))
            lab.simulation.at(lab.simulation.now, "the leader dies", die)

    def die() -> None:
        lab.simulation.crash(leader)
        lab.simulation.restart(leader)

    lab.simulation.listeners.append(part)
    # The third member accepts the Split and does not hear that it is chosen.
    deaf = lab.rule("cut", [leader], [away], names=("Commit", "Heartbeat"))
    lab.simulation.hosts[leader].sync_slowness = 1_000
    lab.simulation.order(leader, SplitNow(group))
    for _ in range(100):
        lab.run(SECOND // 1000)
        if rules:
            break
    lab.simulation.hosts[leader].sync_slowness = 1
    knowing = [name for name, groups in hosted(lab).items() if f"{group}.0" in groups]
    assert knowing == [addresses[follower].node]
    token = lab.send("DeleteTable", TableName="things")
    lab.run(SECOND // 2)
    assert lab.answers[token].status == 200
    lab.simulation.network.remove_rule(deaf)
    for _ in range(60):
        gone = lab.call("DescribeTable", TableName="things", wait_ns=20 * SECOND)
        if gone.status == 400:
            break
        lab.run(SECOND)
    assert gone.error == "ResourceNotFoundException"
    assert f"{group}.0" in hosted(lab)[addresses[follower].node]
    lab.simulation.network.remove_rule(rules[0])
    lab.run(20 * SECOND)
    assert not any(hosted(lab).values()), hosted(lab)

"""Tables, streams and indexes whose names are taken again, and clocks that are a day off: nothing of one is another's,
and nothing goes before its time.
"""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_impl import messages as m
from dynalab_impl.catalog import Catalog
from dynalab_impl.effects import Address, layout
from dynalab_model.operations import CreateTable
from dynalab_model.schema import KeyAttribute, KeySchema, TableSchema

from .conftest import SECOND, Lab
from .test_adversary_catalog import catalog_leader
from .test_adversary_members import leaders_that_serve
from .test_streams import Reader, arn_of, enable
from .test_streams_of_deleted_tables import delete

DAY_NS = 86_400 * SECOND
SCHEMA = TableSchema("things", KeySchema(KeyAttribute("pk", "S")))
STREAM = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}}
MEMBERS = tuple(m.Member(Address("r", f"z{zone}", f"n{zone}"), 1) for zone in (1, 2, 3))


def catalog_after(*changes: m.CatalogChange) -> Catalog:
    """Log time stands still, as behind a clock that was ahead."""
    catalog = Catalog(layout(partitions=1))
    for slot, change in enumerate(changes, start=1):
        catalog.apply(m.Entry((1, "n"), slot, 1_000 * SECOND, m.NO_REQUEST, 0, change))
    assert not catalog.unfit
    return catalog


def life(table_id: str, *, stream: bool) -> list[m.CatalogChange]:
    """A table is made and goes again."""
    made = CreateTable(SCHEMA, dict(STREAM) if stream else {})
    steps = ("activate", "delete", "forget")
    return [
        m.CatalogChange("create", "things", made, table_id),
        *[m.CatalogChange(step, "things", table_id=table_id) for step in steps],
    ]


@pytest.mark.claim("S168")
def test_streams_of_two_tables_of_one_name_have_two_labels_also_where_log_time_stands_still() -> None:
    catalog = catalog_after(*life("x", stream=True), *life("y", stream=True))
    listed = [label for table in catalog.tables.values() for label in [table.settings["LatestStreamLabel"]]]
    assert len(catalog.tables) == 2 and len(set(listed)) == 2
    forms = [spec.stream.label for table in catalog.tables.values() for spec in table.groups if spec.stream]
    assert forms == listed, "partitions know it by the same label"


def test_a_divided_partition_of_a_deleted_table_waits_for_its_members_though_another_of_the_name_goes() -> None:
    """A member that lags must come to the Split before it drops the parent, or the children lose it."""
    create, activate, *rest = life("x", stream=True)
    group = next(iter(catalog_after(create).tables["things"].groups)).group
    halves = tuple(
        m.GroupSpec(f"{group}.{side}", "things", "", low, high, MEMBERS, SCHEMA, 9)
        for side, low, high in ((0, b"", b"m"), (1, b"m", b""))
    )
    split = m.CatalogChange("split", group=group, specs=halves)
    catalog = catalog_after(create, activate, split, *rest, *life("y", stream=False))
    assert list(catalog.divided) == [group]
    assert [spec.group for spec in catalog.leftovers["y"]] != [] and all(
        spec.group != group for left in catalog.leftovers.values() for spec in left
    )


def test_a_write_that_is_acknowledged_while_its_table_goes_is_in_the_stream_that_stays() -> None:
    """The leader has logged the end of the table and does not know yet whether it is chosen."""
    lab = Lab(nodes_per_zone=1, routers=1, partitions=1)
    lab.create()
    enable(lab)
    arn = arn_of(lab)
    lab.put("before", 1)
    leader = lab.leader("a")[0]
    others = [host for host in range(lab.simulation.storage_count) if host != leader]
    rule = lab.rule("delay", others, [leader], names=("Accepted",), delay_ns=SECOND // 2)
    lab.send("DeleteTable", TableName="things")
    tokens = []
    for number in range(40):
        item = {"pk": {"S": f"k{number}"}, "v": {"S": "late"}}
        tokens.append((number, lab.send("PutItem", TableName="things", Item=item)))
        lab.run(SECOND // 20)
    lab.simulation.network.remove_rule(rule)
    lab.run(10 * SECOND)
    statuses = {number: lab.answers[token].status for number, token in tokens}
    assert {200, 400} <= set(statuses.values()), "some came before the end, and some behind it"
    reader = Reader(lab, arn)
    reader.drain()
    told = {record["dynamodb"]["Keys"]["pk"]["S"] for _, record in reader.told}
    assert told == {"before", *[f"k{number}" for number, status in statuses.items() if status == 200]}


@pytest.mark.claim("S168")
def test_a_clock_of_the_catalog_that_jumps_by_a_day_hides_and_buries_no_stream() -> None:
    lab = Lab(nodes_per_zone=1, routers=1, partitions=1)
    lab.create()
    enable(lab)
    lab.put("a", 1)
    arn = arn_of(lab)
    delete(lab)
    lab.simulation.hosts[catalog_leader(lab)].wall_shift_ns += DAY_NS
    listed: Any = lab.call("ListStreams").body
    assert [stream["StreamArn"] for stream in listed["Streams"]] == [arn]
    lab.run(20 * SECOND)
    reader = Reader(lab, arn)
    reader.drain(3)
    assert len(reader.told) == 1


@pytest.mark.claim("S27")
@pytest.mark.parametrize("by_ns", [DAY_NS, -DAY_NS])
def test_an_index_is_fed_by_a_leader_whose_clock_is_a_day_off(by_ns: int) -> None:
    lab = Lab(nodes_per_zone=2, partitions=1)
    lab.create(index=True)
    lab.simulation.hosts[lab.leader("k")[0]].wall_shift_ns += by_ns
    lab.run(3 * SECOND)
    lab.put("k", 1, attributes={"colour": {"S": "red"}})
    lab.run(5 * SECOND)
    found: Any = lab.call(
        "Query",
        TableName="things",
        IndexName="by-colour",
        KeyConditionExpression="colour = :c",
        ExpressionAttributeValues={":c": {"S": "red"}},
    ).body
    assert [item["pk"]["S"] for item in found["Items"]] == ["k"]


@pytest.mark.claim("S22")
def test_a_member_that_was_let_go_does_not_count_as_one_that_has_dropped_a_deleted_table() -> None:
    """The catalog knows three old members. One was replaced, one lags and knows nothing of that: both have nothing to
    lose. The third leads with the new ones.
    """
    lab = Lab(nodes_per_zone=3, routers=1, partitions=1)
    lab.create("first")
    lab.create()
    lab.put("a", "old")
    simulation, addresses = lab.simulation, lab.simulation.addresses
    leader, group = lab.leader("a")
    keeper = catalog_leader(lab)
    lagging, replaced = (index for index in lab.members(group) if index != leader)
    if keeper == replaced:
        lagging, replaced = replaced, lagging
    assert keeper != leader
    everybody = list(range(len(simulation.hosts)))
    lab.rule("cut", [leader], [keeper], both_ways=True)
    lab.rule("cut", [lagging], [leader], both_ways=True)
    zone, hosting = addresses[replaced].zone, lab.members(group)
    fresh = next(i for i in range(9) if addresses[i].zone == zone and i not in hosting and i != keeper)
    for number in range(1, 12):
        simulation.order(leader, m.Replace(group, number, addresses[replaced], addresses[fresh]))
        lab.run(SECOND)
        node: Any = simulation.hosts[replaced].node
        if group in node.left:
            break
    else:
        pytest.fail("the member was never let go")
    lab.rule("cut", [index for index in everybody if index not in (lagging, replaced)], [keeper], names=("Membership",))
    token = lab.send("DeleteTable", TableName="things")
    for _ in range(120):
        lab.run(SECOND // 10)
        described = lab.call("DescribeTable", TableName="things")
        if token in lab.answers and described.status == 400:
            assert leaders_that_serve(lab, group) == [], "a leader of the deleted table serves, and its name is free"
    simulation.network._rules.clear()
    lab.run(12 * SECOND)
    assert lab.call("DescribeTable", TableName="things").status == 400
    assert lab.members(group) == [], "nobody keeps a replica"


@pytest.mark.claim("S34")
def test_a_member_that_was_never_told_to_host_a_partition_gets_its_children_though_it_was_divided_meanwhile() -> None:
    """Two of three members are enough to begin with; after the split nobody would tell the third one of the parent."""
    lab = Lab(nodes_per_zone=1, routers=1, partitions=1)
    lab.create("first")
    away = next(index for index in range(3) if index != catalog_leader(lab))
    everybody = list(range(len(lab.simulation.hosts)))
    untold = lab.rule("cut", everybody, [away], names=("Host",))
    lab.create()
    for number in range(8):
        lab.put(f"k{number}", number)
    leader, group = lab.leader("k1")
    assert lab.members(group) == [index for index in range(3) if index != away]
    lab.simulation.order(leader, m.SplitNow(group))
    lab.run(3 * SECOND)
    lab.simulation.network.remove_rule(untold)
    lab.run(30 * SECOND)
    hosts: list[Any] = lab.simulation.hosts[:3]
    catalog: Any = hosts[catalog_leader(lab)].node
    assert not catalog.replicas["catalog"].state.divided, "all members have the children, and the parent is gone"
    for child in (f"{group}.0", f"{group}.1"):
        assert lab.members(child) == [0, 1, 2]
        replicas: list[Any] = [host.node.replicas[child] for host in hosts]
        assert all(replica.state.items == replicas[0].state.items for replica in replicas)
    assert lab.members(group) == []

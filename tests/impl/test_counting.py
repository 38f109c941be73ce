"""What DescribeTable tells of a table's size: renewed from time to time, by the leaders (api.md §6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynalab_impl.catalog import CATALOG
from dynalab_impl.counting import ROWS_A_TICK_MAX
from dynalab_impl.effects import Timing

SECOND = 1_000_000_000


def described(lab: Any, table: str = "things") -> Any:
    return lab.call("DescribeTable", TableName=table).body["Table"]


def counted(lab: Any, table: str = "things") -> tuple[int, int]:
    body = described(lab, table)
    return body["ItemCount"], body["TableSizeBytes"]


def write(lab: Any, count: int) -> None:
    for first in range(0, count, 25):
        puts = [
            {"PutRequest": {"Item": {"pk": {"S": f"{n:04}"}, "v": {"S": "x"}}}}
            for n in range(first, min(first + 25, count))
        ]
        assert lab.call("BatchWriteItem", RequestItems={"things": puts}).body == {"UnprocessedItems": {}}


def test_the_figures_of_a_table_are_renewed_after_a_while(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(timing=Timing(counts_ns=2 * SECOND))
    lab.create()
    write(lab, 50)
    assert counted(lab)[0] < 50, "not at once"
    lab.run(5 * SECOND)
    assert counted(lab) == (50, 50 * 8)  # pk 2 + 4, v 1 + 1
    lab.call("DeleteItem", TableName="things", Key={"pk": {"S": "0000"}})
    lab.run(5 * SECOND)
    assert counted(lab) == (49, 49 * 8)


def test_a_partition_that_is_larger_than_a_tick_is_counted_over_several(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(timing=Timing(counts_ns=2 * SECOND), partitions=1)
    lab.create()
    write(lab, ROWS_A_TICK_MAX)
    lab.run(6 * SECOND)
    assert counted(lab)[0] == ROWS_A_TICK_MAX
    lab.put(f"{ROWS_A_TICK_MAX:04}", "x")
    lab.run(6 * SECOND)
    assert counted(lab) == (ROWS_A_TICK_MAX + 1, (ROWS_A_TICK_MAX + 1) * 8)


def test_an_index_has_figures_of_its_own(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(timing=Timing(counts_ns=2 * SECOND))
    lab.create(index=True)
    lab.put("a", "x", attributes={"colour": {"S": "red"}})
    lab.put("b", "x")
    lab.run(5 * SECOND)
    body = described(lab)
    index = body["GlobalSecondaryIndexes"][0]
    assert (body["ItemCount"], body["TableSizeBytes"]) == (2, 3 + 2 + 9 + 3 + 2)
    assert (index["ItemCount"], index["IndexSizeBytes"]) == (1, 3 + 2 + 9)


def test_the_figures_outlive_the_leader_of_the_catalog_and_are_of_this_table_alone(
    make_lab: Callable[..., Any],
) -> None:
    lab = make_lab(timing=Timing(counts_ns=2 * SECOND))
    lab.create()
    lab.create("others")
    lab.put("a", "x")
    lab.run(5 * SECOND)
    leader = next(
        index
        for index in range(lab.simulation.storage_count)
        if CATALOG in (node := lab.simulation.hosts[index].node).replicas and node.replicas[CATALOG].is_leader
    )
    lab.simulation.crash(leader)
    assert counted(lab) == (1, 5)
    assert counted(lab, "others") == (0, 0)
    lab.simulation.restart(leader)
    lab.call("DeleteTable", TableName="things")
    lab.run(10 * SECOND)
    lab.create()
    assert counted(lab) == (0, 0), "a new table of the name begins at nothing"
    for host in lab.simulation.hosts[: lab.simulation.storage_count]:
        catalog = host.node.replicas.get(CATALOG)
        assert catalog is None or set(host.node.counting.told) <= catalog.state.group_names(), (
            "the old ones are forgotten"
        )


def test_nothing_is_counted_and_nothing_sent_where_no_period_is_set(make_lab: Callable[..., Any]) -> None:
    lab = make_lab()
    lab.create()
    lab.put("a", "x")
    lab.run(10 * SECOND)
    assert counted(lab) == (0, 0)

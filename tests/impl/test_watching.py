"""Contributor insights: what routers count, for how long, and what it costs where nothing is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab.lab.readings import BadQuery, insights
from dynalab_impl.effects import Limits
from dynalab_impl.watching import KEYS_MAX, WATCH_NS, TopKeys

from .conftest import SECOND, Lab

MakeLab = Callable[..., Lab]


def switch(lab: Lab, on: bool = True, **more: str) -> None:
    """Enable or disable the insights of the table, and wait until that is through."""
    action = "ENABLE" if on else "DISABLE"
    answer = lab.call("UpdateContributorInsights", TableName="things", ContributorInsightsAction=action, **more)  # type: ignore[arg-type]
    assert answer.status == 200, answer
    index: Any = {"IndexName": more["IndexName"]} if "IndexName" in more else {}
    for _ in range(150):
        body = lab.call("DescribeContributorInsights", TableName="things", **index).body
        if body["ContributorInsightsStatus"] == ("ENABLED" if on else "DISABLED"):
            return
        lab.run(SECOND // 10)
    raise AssertionError("the step does not end")


def counted(lab: Lab, graph: str, index: str = "") -> list[tuple[Any, int]]:
    """The keys of one graph and their counts, of all routers together, as the lab tells them."""
    nodes: Any = [host.node for host in lab.simulation.hosts if host.node is not None]
    told: Any = insights(nodes, b"table=things")["insights"]
    for one in told:
        if (one["index"], one["graph"]) == (index, graph):
            return [(key["key"], key["count"]) for key in one["keys"]]
    return []


def key(text: str) -> dict[str, Any]:
    return {"pk": {"S": text}}


@pytest.mark.claim("S45")
def test_each_kind_of_request_counts_the_keys_that_it_means(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=2)
    lab.create(index=True)
    lab.put("before", 0)
    switch(lab)
    for number in range(3):
        lab.put("hot", number, attributes={"colour": {"S": "red"}}, router=number % 2)
    lab.get("hot")
    lab.get("cold", consistent=False)
    lab.call(
        "UpdateItem",
        TableName="things",
        Key=key("warm"),
        UpdateExpression="SET v = :v",
        ExpressionAttributeValues={":v": {"S": "1"}},
    )
    lab.call("DeleteItem", TableName="things", Key=key("warm"))
    refused = lab.call("PutItem", TableName="things", Item=key("warm"), ConditionExpression="attribute_exists(pk)")
    assert refused.status == 400, "a condition that fails is an access as well"
    assert counted(lab, "PKC") == [(key("hot"), 4), (key("warm"), 3), (key("cold"), 1)]
    lab.call("BatchGetItem", RequestItems={"things": {"Keys": [key("hot"), key("cold")]}})
    puts = [{"Put": {"TableName": "things", "Item": key(text)}} for text in ("hot", "new")]
    assert lab.call("TransactWriteItems", TransactItems=puts).status == 200
    gets = [{"Get": {"TableName": "things", "Key": key("hot")}}]
    assert lab.call("TransactGetItems", TransactItems=gets).status == 200
    query = {"KeyConditionExpression": "pk = :k", "ExpressionAttributeValues": {":k": {"S": "hot"}}}
    lab.call("Query", TableName="things", **query)  # type: ignore[arg-type]
    wanted = [(key("hot"), 8), (key("warm"), 3), (key("cold"), 2), (key("new"), 1)]
    assert counted(lab, "PKC") == wanted
    lab.call("Scan", TableName="things")  # three items: before, hot, new
    assert counted(lab, "PKC") == [
        (key("hot"), 9),
        (key("warm"), 3),
        (key("cold"), 2),
        (key("new"), 2),
        (key("before"), 1),
    ]
    assert counted(lab, "SKC") == [] and counted(lab, "PKT") == []


def test_an_index_is_counted_by_itself_by_its_own_keys(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1)
    lab.create(sort_key=True, index=True)
    switch(lab, IndexName="by-colour")
    for number in range(3):
        item = {"pk": {"S": "a"}, "sk": {"N": str(number)}, "colour": {"S": "red"}}
        lab.call("PutItem", TableName="things", Item=item)
    lab.run(SECOND)
    query = {"KeyConditionExpression": "colour = :c", "ExpressionAttributeValues": {":c": {"S": "red"}}}
    lab.call("Query", TableName="things", IndexName="by-colour", **query)  # type: ignore[arg-type]
    assert counted(lab, "PKC", "by-colour") == [({"colour": {"S": "red"}}, 1)], "a Query is one access of its key"
    assert counted(lab, "PKC") == []
    switch(lab)
    both = {"KeyConditionExpression": "pk = :c", "ExpressionAttributeValues": {":c": {"S": "a"}}}
    lab.call("Query", TableName="things", **both)  # type: ignore[arg-type]
    assert counted(lab, "PKC") == [(key("a"), 1)]
    items = [({"pk": {"S": "a"}, "sk": {"N": str(number)}}, 1) for number in range(3)]
    assert counted(lab, "SKC") == items, "and one of each item that it met"


@pytest.mark.claim("S45")
def test_where_only_throttled_keys_are_counted_nothing_is_accessed(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1, limits=Limits(partition_write=3, burst_s=1))
    lab.create()
    switch(lab, ContributorInsightsMode="THROTTLED_KEYS")
    refused = Counter[str]()
    for number in range(30):
        name = "hot" if number % 5 else "cold"
        refused[name] += lab.put(name, number).status == 400
    assert refused["hot"] > refused["cold"] > 0
    assert counted(lab, "PKT") == [(key("hot"), refused["hot"]), (key("cold"), refused["cold"])]
    assert counted(lab, "PKC") == []


def test_a_router_that_comes_back_counts_again_and_one_that_is_down_holds_nobody_up_for_long(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1, routers=2)
    lab.create()
    second = lab.simulation.storage_count + 1
    lab.simulation.crash(second)
    switch(lab)
    lab.simulation.restart(second)
    lab.run(SECOND)
    lab.put("a", 1, router=1)
    assert counted(lab, "PKC") == [(key("a"), 1)]
    lab.simulation.crash(second)
    lab.simulation.restart(second)
    lab.run(SECOND)
    assert counted(lab, "PKC") == [], "what it had counted is lost with it"


def test_who_is_told_nothing_more_stops_in_a_while(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1, routers=2)
    lab.create()
    switch(lab)
    router: Any = lab.simulation.hosts[lab.simulation.storage_count].node
    lab.rule("loss", list(range(lab.simulation.storage_count)), [lab.simulation.storage_count], names=("Watch",))
    lab.run(WATCH_NS - 2 * SECOND)
    lab.put("a", 1)
    assert counted(lab, "PKC") == [(key("a"), 1)]
    lab.run(3 * SECOND)
    lab.put("a", 2)
    assert counted(lab, "PKC") == [(key("a"), 1)] and router.counters is not None


def test_what_is_off_has_no_message_and_no_counter(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1)
    lab.create()
    switch(lab)
    switch(lab, on=False)
    lab.run(SECOND)
    rule = lab.rule("loss", list(range(lab.simulation.storage_count)), [lab.simulation.storage_count], names=("Watch",))
    lab.run(5 * SECOND)
    router: Any = lab.simulation.hosts[lab.simulation.storage_count].node
    assert rule.hits == 0 and router.counters is None


@given(st.lists(st.integers(0, 40), max_size=400), st.integers(1, 12))
def test_the_most_counted_keys_are_kept_and_no_count_is_too_low(seen: list[int], keys_max: int) -> None:
    top, exact = TopKeys(keys_max), Counter(seen)
    for number in seen:
        top.add(str(number))
    told = {int(name): (count, over) for name, count, over in top.most()}
    assert len(told) == min(keys_max, len(exact))
    assert sum(count for count, _ in told.values()) == len(seen)
    for number, (count, over) in told.items():
        assert count - over <= exact[number] <= count
    for number, count in exact.items():
        assert number in told or count * keys_max <= len(seen), "whoever has more than its share is there"
    if len(exact) <= keys_max:
        assert {number: count for number, (count, _) in told.items()} == exact


def test_a_graph_holds_no_more_than_its_keys_and_tells_no_more_than_it_is_asked_for(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1, routers=1)
    lab.create()
    switch(lab)
    for number in range(KEYS_MAX + 20):
        lab.send("GetItem", TableName="things", Key=key(f"k{number}"))
        if number % 3 == 0:
            lab.send("GetItem", TableName="things", Key=key("hot"))
    lab.run(SECOND)
    nodes: Any = [lab.simulation.hosts[lab.simulation.storage_count].node]
    told: Any = insights(nodes, b"limit=1000")["insights"]
    assert len(told[0]["keys"]) == KEYS_MAX and told[0]["keys"][0]["key"] == key("hot")
    few: Any = insights(nodes, b"table=things&limit=2")["insights"]
    assert len(few[0]["keys"]) == 2 and insights(nodes, b"table=other")["insights"] == []
    for query in (b"limit=x", b"tables=things"):
        with pytest.raises(BadQuery):
            insights(nodes, query)

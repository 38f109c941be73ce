"""Answers that reach the next life of their router, and tables of the same name behind a router's back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

SECOND = 1_000_000_000
MILLISECOND = 1_000_000


@pytest.mark.claim("S87")
def test_an_answer_to_the_former_life_of_a_router_is_nobodys(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(nodes_per_zone=1, routers=2, partitions=1)
    lab.create()
    lab.put("a", "of a", router=1)
    lab.put("b", "of b", router=1)
    simulation = lab.simulation
    storage = list(range(simulation.storage_count))
    router = simulation.storage_count
    for _ in range(2):  # the same numbers in both lives
        simulation.crash(router)
        simulation.restart(router)
        late = lab.rule("delay", storage, [router], names=("GetReply",), delay_ns=SECOND)
        lab.send("GetItem", TableName="things", Key={"pk": {"S": "a"}}, ConsistentRead=True)
        lab.run(SECOND // 5)
        simulation.network.remove_rule(late)
    simulation.crash(router)
    simulation.restart(router)
    lab.rule("delay", [router], storage, names=("GetRequest",), delay_ns=2 * SECOND)
    assert lab.get("b") == "of b"


def test_a_router_survives_an_answer_of_a_table_whose_name_is_taken_again(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(seed=3, nodes_per_zone=1, routers=2, partitions=1)
    lab.create("first")  # places the next one on another first node than the catalog's
    lab.create("things", sort_key=True)
    simulation = lab.simulation
    item = {"pk": {"S": "c"}, "sk": {"N": "1"}}
    lab.call("PutItem", TableName="things", Item=item)
    leader, _ = lab.leader("c")
    lab.rule("delay", [leader], [simulation.storage_count], names=("RangeReply",), delay_ns=350 * MILLISECOND)
    slow = lab.send(
        "Query",
        TableName="things",
        KeyConditionExpression="pk = :p",
        ExpressionAttributeValues={":p": {"S": "c"}},
        ConsistentRead=True,
    )
    lab.send("DeleteTable", router=1, TableName="things")
    lab.run(3 * MILLISECOND)
    while lab.call("DescribeTable", router=1, TableName="things").status == 200:
        lab.run(MILLISECOND)
    made = lab.call(
        "CreateTable",
        router=1,
        TableName="things",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    assert made.status == 200
    while lab.call("DescribeTable", router=1, TableName="things").body["Table"]["TableStatus"] != "ACTIVE":
        lab.run(MILLISECOND)
    # Another request makes this router ask for the new table's map while the old table's answer is on its way.
    other = lab.send("GetItem", TableName="things", Key=item, ConsistentRead=True)
    assert slow not in lab.answers
    lab.run(8 * SECOND)
    assert lab.answers[slow].status == 200
    assert lab.answers[other].status == 200 and "Item" not in lab.answers[other].body

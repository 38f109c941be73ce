"""Writes through routers that do not know yet what a table looks like: they are judged by what it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .conftest import SECOND, Lab

WRITES: list[tuple[str, dict[str, Any]]] = [
    ("PutItem", {"Item": {"pk": {"S": "a"}, "when": {"N": "1"}}}),
    ("PutItem", {"Item": {"pk": {"S": "a"}, "when": {"N": "1"}}, "ConditionExpression": "attribute_exists(nothing)"}),
    (
        "UpdateItem",
        {"Key": {"pk": {"S": "a"}}, "AttributeUpdates": {"when": {"Value": {"N": "1"}, "Action": "PUT"}}},
    ),
]


def change_index(lab: Lab, change: dict[str, Any]) -> None:
    """Through the first router, which hears of nothing else."""
    told = lab.call(
        "UpdateTable",
        TableName="things",
        AttributeDefinitions=[{"AttributeName": "when", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[change],
    )
    assert told.status == 200, told
    lab.run(8 * SECOND)


@pytest.mark.parametrize("name, write", WRITES)
def test_a_router_that_missed_an_index_lets_nothing_by_that_cannot_be_its_key(
    make_lab: Callable[..., Lab], name: str, write: dict[str, Any]
) -> None:
    lab = make_lab(routers=2, partitions=1, nodes_per_zone=1)
    lab.create()
    for router in (0, 1):
        assert lab.call("PutItem", router=router, TableName="things", Item={"pk": {"S": "a"}}).status == 200
    key = [{"AttributeName": "when", "KeyType": "HASH"}]
    change_index(lab, {"Create": {"IndexName": "later", "KeySchema": key, "Projection": {"ProjectionType": "ALL"}}})
    for router in (1, 0):
        refused = lab.call(name, router=router, TableName="things", **write)
        assert refused.error == "ValidationException", refused
        assert "Type mismatch for Index Key when Expected: S Actual: N IndexName: later" in str(refused.body)
    assert lab.call("Query", router=1, TableName="things", IndexName="later", **of("x")).body["Count"] == 0
    change_index(lab, {"Delete": {"IndexName": "later"}})
    for router in (1, 0):  # both know the index by now, and that it is gone by their own asking
        answer = lab.call(name, router=router, TableName="things", **write)
        assert answer.error in (None, "ConditionalCheckFailedException"), answer


def of(value: str) -> dict[str, Any]:
    return {"KeyConditionExpression": "#w = :w", "ExpressionAttributeNames": {"#w": "when"}} | {
        "ExpressionAttributeValues": {":w": {"S": value}}
    }

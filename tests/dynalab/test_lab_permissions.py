"""Which permission a request needs, and for which resource."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab.lab.calls import CallRule, tables_of
from dynalab.lab.permissions import of_parts, of_whole
from dynalab_model.operations import BatchExecuteStatement, RefusedStatement
from dynalab_model.requests import parse
from dynalab_model.streams import Iterator, iterator_text, shard_id

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/"
LABEL = "2015-05-20T20:51:10.252"
STREAM = f"{ARN}Orders/stream/{LABEL}"
KEY: dict[str, Any] = {"pk": {"S": "a"}}
QUERY = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "a"}}}
READER = iterator_text(Iterator("Orders", LABEL, shard_id("g", 0), -1, 5))


@pytest.mark.parametrize(
    ("name", "body", "permission", "resource"),
    [
        ("GetItem", {"TableName": "Orders", "Key": KEY}, "GetItem", ARN + "Orders"),
        ("Query", {"TableName": "Orders", **QUERY}, "Query", ARN + "Orders"),
        ("Query", {"TableName": "Orders", "IndexName": "by_v", **QUERY}, "Query", ARN + "Orders/index/by_v"),
        ("BatchGetItem", {"RequestItems": {"Orders": {"Keys": [KEY]}}}, "BatchGetItem", ARN + "Orders"),
        ("ExecuteStatement", {"Statement": "select * from Orders"}, "PartiQLSelect", ARN + "Orders"),
        ("ExecuteStatement", {"Statement": " DELETE FROM Orders WHERE pk='a'"}, "PartiQLDelete", ARN + "Orders"),
        ("DescribeStream", {"StreamArn": STREAM}, "DescribeStream", STREAM),
        ("GetRecords", {"ShardIterator": READER}, "GetRecords", STREAM),
        ("ListStreams", {}, "ListStreams", ARN + "*"),
        ("DescribeLimits", {}, "DescribeLimits", ARN + "*"),
        (
            "TransactGetItems",
            {"TransactItems": [{"Get": {"TableName": "Orders", "Key": KEY}}]},
            "GetItem",
            ARN + "Orders",
        ),
    ],
)
def test_an_operation_needs_a_permission_for_a_resource(
    name: str, body: dict[str, Any], permission: str, resource: str
) -> None:
    operation = parse(name, body)
    needed = of_whole(name, operation, next(iter(tables_of(operation)), ""))
    assert (needed.name, needed.resource) == (permission, resource)


def test_a_member_of_a_batch_that_is_no_statement_needs_none_and_keeps_its_own_error() -> None:
    members = [{"Statement": "no statement"}, {"Statement": "SELECT * FROM Orders WHERE pk='a'"}]
    batch = parse("BatchExecuteStatement", {"Statements": members})
    assert isinstance(batch, BatchExecuteStatement)
    assert [part and part.name for part in of_parts(batch)] == [None, "PartiQLSelect"]
    bad = batch.statements[0]
    rule = CallRule("deny", "PartiQLSelect")
    assert rule.fires("BatchExecuteStatement", batch)
    assert rule.response("BatchExecuteStatement", batch) is None, "what is left is carried out"
    assert batch.statements[0] is bad and isinstance(batch.statements[1], RefusedStatement)
    assert batch.statements[1].code == "AccessDenied"


def test_a_rule_counts_the_calls_that_it_could_strike_and_no_others() -> None:
    rule = CallRule("deny", "PartiQLInsert", "Orders", nth=2)
    read = parse("ExecuteStatement", {"Statement": "SELECT * FROM Orders"})
    write = parse("ExecuteStatement", {"Statement": "INSERT INTO Orders VALUE {'pk':'a'}"})
    other = parse("ExecuteStatement", {"Statement": "INSERT INTO Others VALUE {'pk':'a'}"})
    fired = [rule.fires("ExecuteStatement", one) for one in (write, read, other, write, write)]
    assert fired == [False, False, False, True, False]

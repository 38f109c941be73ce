"""Requests about tables as a whole: CreateTable with one mistake, and the others where nothing can be found.

A table that somebody did create has a name of MADE, and is deleted again before the next request.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TypeAlias, cast

from dynalab.differential.chance import Chance
from dynalab.differential.requests import Request
from dynalab.differential.tables import PLAIN, THINGS, Body

MADE = "made-by-chance"
UNITS = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
Change: TypeAlias = Callable[[Body], object]


def _member(name: str, value: object) -> Change:
    return lambda body: body.__setitem__(name, value)


def _without(name: str) -> Change:
    return lambda body: body.pop(name, None)


def _of_index(name: str, value: object) -> Change:
    return lambda body: cast("list[Body]", body["GlobalSecondaryIndexes"])[0].__setitem__(name, value)


def _repeated_index(body: Body) -> None:
    indexes = cast("list[Body]", body["GlobalSecondaryIndexes"])
    indexes.append(indexes[0])


def _many_indexes(body: Body) -> None:
    first = cast("list[Body]", body["GlobalSecondaryIndexes"])[0]
    body["GlobalSecondaryIndexes"] = [{**first, "IndexName": f"index-{number}"} for number in range(21)]


def _keys(*pairs: tuple[str, str]) -> list[Body]:
    return [{"AttributeName": name, "KeyType": role} for name, role in pairs]


def _types(*pairs: tuple[str, str]) -> list[Body]:
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in pairs]


CHANGES: tuple[Change, ...] = (
    lambda body: None,
    _without("TableName"),
    _member("TableName", "ab"),
    _member("TableName", "no!good"),
    _member("TableName", "x" * 256),
    _member("TableName", "plain"),
    _without("KeySchema"),
    _member("KeySchema", []),
    _member("KeySchema", _keys(("pk", "RANGE"))),
    _member("KeySchema", _keys(("pk", "HASH"), ("sk", "HASH"))),
    _member("KeySchema", _keys(("pk", "HASH"), ("pk", "RANGE"))),
    _member("KeySchema", _keys(("pk", "HASH"), ("sk", "RANGE"), ("n", "RANGE"))),
    _member("KeySchema", _keys(("pk", "SOMETHING"))),
    _member("KeySchema", _keys(("other", "HASH"))),
    _without("AttributeDefinitions"),
    _member("AttributeDefinitions", []),
    _member("AttributeDefinitions", _types(("pk", "S"))),
    _member("AttributeDefinitions", _types(("pk", "X"), ("sk", "N"))),
    _member("AttributeDefinitions", _types(("pk", "S"), ("sk", "N"), ("pk", "S"))),
    _member("BillingMode", "FREE"),
    _member("BillingMode", "PROVISIONED"),
    _without("BillingMode"),
    _member("ProvisionedThroughput", UNITS),
    lambda body: body.update(BillingMode="PROVISIONED", ProvisionedThroughput={**UNITS, "ReadCapacityUnits": 0}),
    lambda body: body.update(BillingMode="PROVISIONED", ProvisionedThroughput={**UNITS, "WriteCapacityUnits": 10**13}),
    lambda body: body.update(BillingMode="PROVISIONED", ProvisionedThroughput=UNITS),
    lambda body: body.update(BillingMode="PROVISIONED", ProvisionedThroughput={"ReadCapacityUnits": 1}),
    _member("GlobalSecondaryIndexes", []),
    _repeated_index,
    _many_indexes,
    _of_index("IndexName", "ab"),
    _of_index("IndexName", None),
    _of_index("KeySchema", _keys(("nowhere", "HASH"))),
    _of_index("KeySchema", _keys(("n", "RANGE"))),
    _of_index("KeySchema", []),
    _of_index("Projection", None),
    _of_index("Projection", {}),
    _of_index("Projection", {"ProjectionType": "SOME"}),
    _of_index("Projection", {"ProjectionType": "ALL", "NonKeyAttributes": ["a"]}),
    _of_index("Projection", {"ProjectionType": "INCLUDE"}),
    _of_index("Projection", {"ProjectionType": "INCLUDE", "NonKeyAttributes": []}),
    _of_index("Projection", {"ProjectionType": "INCLUDE", "NonKeyAttributes": [f"a{n}" for n in range(21)]}),
    _of_index("ProvisionedThroughput", UNITS),
)
OTHERS: tuple[Request, ...] = (
    ("DescribeTable", {"TableName": "things"}),
    ("DescribeTable", {"TableName": "nothing"}),
    ("DescribeTable", {"TableName": "a"}),
    ("DescribeTable", {}),
    ("DeleteTable", {"TableName": "nothing"}),
    ("DeleteTable", {"TableName": "no!good"}),
    ("ListTables", {}),
    ("ListTables", {"Limit": 2}),
    ("ListTables", {"Limit": 0}),
    ("ListTables", {"Limit": 101}),
    ("ListTables", {"ExclusiveStartTableName": "blobs", "Limit": 1}),
    ("ListTables", {"ExclusiveStartTableName": "b"}),
    ("UpdateTable", {"TableName": "things"}),
    ("UpdateTable", {"TableName": "nothing", "BillingMode": "PAY_PER_REQUEST"}),
    (
        "UpdateTable",
        {"TableName": "things", "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 1}},
    ),
    ("UpdateTable", {"TableName": "things", "GlobalSecondaryIndexUpdates": [{}]}),
    ("UpdateTable", {"TableName": "things", "GlobalSecondaryIndexUpdates": []}),
    ("DescribeTimeToLive", {"TableName": "nothing"}),
    ("DescribeTimeToLive", {"TableName": "plain"}),
)


def of_tables(chance: Chance) -> Request:
    """CreateTable with at most one mistake, two times of three; else one of OTHERS."""
    if chance.one_in(3):
        return chance.pick(OTHERS)
    body = copy.deepcopy(chance.pick((THINGS, PLAIN)).create()) | {"TableName": MADE}
    change = chance.pick(CHANGES)
    if "GlobalSecondaryIndexes" not in body:
        body |= {"GlobalSecondaryIndexes": [_index()]}
        cast("list[Body]", body["AttributeDefinitions"]).append({"AttributeName": "n", "AttributeType": "N"})
    change(body)
    return "CreateTable", body


def _index() -> Body:
    return {"IndexName": "by-n", "KeySchema": _keys(("n", "HASH")), "Projection": {"ProjectionType": "ALL"}}

"""The replicated service and the reference state machine, request by request: batches, legacy parameters, settings.

Both share the rules of one item; what this holds is everything around them: fan-out, routing, the catalog, the texts.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from dynalab_model.database import State, apply
from dynalab_model.errors import DynamoError
from dynalab_model.requests import parse

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/things"
STEPS = 300


def key(chance: random.Random) -> dict[str, Any]:
    return {"pk": {"S": f"k{chance.randrange(8)}"}, "sk": {"N": str(chance.randrange(3))}}


def item(chance: random.Random) -> dict[str, Any]:
    value = chance.choice([{"N": str(chance.randrange(5))}, {"SS": ["a", "b"]}, {"S": "x" * chance.randrange(3000)}])
    colour = {"colour": {"S": chance.choice(["red", "blue"])}} if chance.random() < 0.5 else {}
    return {**key(chance), "v": value, **colour}


def condition(chance: random.Random) -> dict[str, Any]:
    operator = chance.choice(["EQ", "NE", "LT", "NULL", "NOT_NULL", "IN"])
    values = [] if "NULL" in operator else [{"N": str(chance.randrange(5))}]
    return {"ComparisonOperator": operator, "AttributeValueList": values}


def batch_write(chance: random.Random) -> tuple[str, dict[str, Any]]:
    """Now and then with duplicates, a wrong key or a table that is not there."""
    writes = [
        {"PutRequest": {"Item": item(chance)}} if chance.random() < 0.7 else {"DeleteRequest": {"Key": key(chance)}}
        for _ in range(chance.randrange(1, 5))
    ]
    if chance.random() < 0.05:
        writes.append({"DeleteRequest": {"Key": {"pk": {"S": "a"}}}})
    table = "nothing" if chance.random() < 0.05 else "things"
    return "BatchWriteItem", {"RequestItems": {table: writes}}


def batch_get(chance: random.Random) -> tuple[str, dict[str, Any]]:
    asked: dict[str, Any] = {"Keys": [key(chance) for _ in range(chance.randrange(1, 6))], "ConsistentRead": True}
    if chance.random() < 0.3:
        asked["AttributesToGet"] = ["v", "pk"]
    return "BatchGetItem", {"RequestItems": {"things": asked}}


def put(chance: random.Random) -> tuple[str, dict[str, Any]]:
    return "PutItem", {"TableName": "things", "Item": item(chance), "Expected": {"v": condition(chance)}}


def update(chance: random.Random) -> tuple[str, dict[str, Any]]:
    change = chance.choice(
        [
            {"Action": "ADD", "Value": {"N": "2"}},
            {"Action": "DELETE"},
            {"Action": "DELETE", "Value": {"SS": ["a"]}},
            {"Value": {"S": "put"}},
        ]
    )
    body: dict[str, Any] = {"TableName": "things", "Key": key(chance), "AttributeUpdates": {"v": change}}
    if chance.random() < 0.5:
        body |= {
            "Expected": {"v": condition(chance), "colour": condition(chance)},
            "ConditionalOperator": chance.choice(["AND", "OR"]),
        }
    return "UpdateItem", body | {"ReturnValues": chance.choice(["ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"])}


def query(chance: random.Random) -> tuple[str, dict[str, Any]]:
    equal = {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": f"k{chance.randrange(8)}"}]}
    above = {"ComparisonOperator": "GE", "AttributeValueList": [{"N": "1"}]}
    body: dict[str, Any] = {"TableName": "things", "ConsistentRead": True, "KeyConditions": {"pk": equal, "sk": above}}
    return "Query", body | {"QueryFilter": {"v": condition(chance)}, "Limit": chance.randrange(1, 4)}


def scan(chance: random.Random) -> tuple[str, dict[str, Any]]:
    body = {"TableName": "things", "ConsistentRead": True, "ScanFilter": {"v": condition(chance)}}
    return "Scan", body | {"AttributesToGet": ["pk", "sk"]}


def setting(chance: random.Random) -> tuple[str, dict[str, Any]]:
    ttl = {"Enabled": chance.random() < 0.5, "AttributeName": chance.choice(["v", "w"])}
    choices: list[tuple[str, dict[str, Any]]] = [
        ("UpdateTimeToLive", {"TableName": "things", "TimeToLiveSpecification": ttl}),
        ("DescribeTimeToLive", {"TableName": "things"}),
        ("TagResource", {"ResourceArn": ARN, "Tags": [{"Key": f"t{chance.randrange(4)}", "Value": "v"}]}),
        ("UntagResource", {"ResourceArn": ARN, "TagKeys": [f"t{chance.randrange(4)}"]}),
        ("ListTagsOfResource", {"ResourceArn": ARN}),
        ("DescribeContinuousBackups", {"TableName": chance.choice(["things", "nothing"])}),
    ]
    return chance.choice(choices)


MAKERS = [batch_write, batch_write, batch_get, batch_get, put, update, update, query, scan, setting]
BILLED = (batch_write, batch_get, put, update, query, scan)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_service_answers_every_request_as_the_reference_machine_does(make_lab: Any, seed: int) -> None:
    lab = make_lab(seed)
    lab.create(sort_key=True, index=True)
    create: dict[str, Any] = {
        "TableName": "things",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
            {"AttributeName": "colour", "AttributeType": "S"},
        ],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "by-colour",
                "KeySchema": [{"AttributeName": "colour", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    }
    state, _ = apply(State(), parse("CreateTable", create), 0)
    chance = random.Random(seed)
    answered = {"ok": 0, "refused": 0}
    for step in range(STEPS):
        maker = chance.choice(MAKERS)
        name, body = maker(chance)
        if maker in BILLED:
            body["ReturnConsumedCapacity"] = chance.choice(["TOTAL", "INDEXES"])
        try:
            operation = parse(name, body)
        except DynamoError:
            continue  # both sides parse with the same code
        state, wanted = apply(state, operation, 1_000_000 * step)
        if name == "DescribeTimeToLive":
            lab.run(1_000_000_000)  # what items expire by is told to every partition first
        answer = lab.call(name, router=step % 2, **body)
        if isinstance(wanted, DynamoError):
            answered["refused"] += 1
            assert (answer.status, answer.body) == (wanted.status, wanted.body()), (step, name, body)
        else:
            answered["ok"] += 1
            assert (answer.status, answer.body) == (200, wanted), (step, name, body)
    assert answered["ok"] > 50 and answered["refused"] > 10

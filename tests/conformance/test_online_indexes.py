"""Indexes that are made and dropped: what is refused while one of them comes or goes.

In the reference machine an index is filled at once, so most is asked of the service alone, with its changes of indexes
held back on the way.
"""

from __future__ import annotations

from typing import Any

import pytest

from dynalab.differential.lockstep import Pair
from dynalab_fault_injection.simulator.network import LinkRule
from dynalab_impl.effects import Response, layout
from dynalab_model.database import State, apply
from dynalab_model.errors import DynamoError
from dynalab_model.requests import parse

UNITS = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
TABLE: dict[str, Any] = {
    "TableName": "Online",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "ProvisionedThroughput": UNITS,
}
ITEM: dict[str, Any] = {"pk": {"S": "a"}, "g": {"S": "x"}}
RAISED = {"Update": {"IndexName": "new", "ProvisionedThroughput": {"ReadCapacityUnits": 9, "WriteCapacityUnits": 9}}}


def index(name: str) -> dict[str, Any]:
    return {
        "IndexName": name,
        "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
        "ProvisionedThroughput": UNITS,
    }


def update(change: dict[str, Any]) -> dict[str, Any]:
    names = ("pk", "g") if "Create" in change else ("pk",)
    defined = [{"AttributeName": name, "AttributeType": "S"} for name in names]
    more = {"AttributeDefinitions": defined} if "Create" in change else {}
    return {"TableName": "Online", "GlobalSecondaryIndexUpdates": [change], **more}


@pytest.fixture(scope="module")
def filling() -> Pair:
    """The service, with an index that is being filled: nothing that is sent to it arrives."""
    pair = Pair(topology=layout(routers=1, partitions=1))
    ask(pair, "CreateTable", **TABLE)
    pair.wait_active("Online")
    ask(pair, "PutItem", TableName="Online", Item=ITEM)
    network = pair._simulation.network
    everybody = list(range(network.nodes))
    network.add_rule(LinkRule("cut", network.links(everybody, everybody), names=("IndexRequest",)))
    ask(pair, "UpdateTable", **update({"Create": index("new")}))
    pair.wait_active("Online")
    return pair


def ask(pair: Pair, operation: str, /, **body: Any) -> dict[str, Any]:
    response: Response = pair._ask(parse(operation, body))
    assert response.status == 200, response.body
    return dict(response.body)


def refusal(pair: Pair, operation: str, /, **body: Any) -> dict[str, Any]:
    response: Response = pair._ask(parse(operation, body))
    assert response.status == 400
    return dict(response.body)


SERVICE = "com.amazonaws.dynamodb.v20120810#"


def test_the_index_is_being_filled(filling: Pair) -> None:
    table = ask(filling, "DescribeTable", TableName="Online")["Table"]
    (described,) = table["GlobalSecondaryIndexes"]
    assert (table["TableStatus"], described["IndexStatus"], described["Backfilling"]) == ("ACTIVE", "CREATING", True)


@pytest.mark.row("text:index-backfilling")
def test_an_index_that_is_not_filled_yet_is_not_read(filling: Pair) -> None:
    refused = refusal(filling, "Scan", TableName="Online", IndexName="new")
    assert refused == {
        "__type": "com.amazon.coral.validate#ValidationException",
        "message": "Cannot read from backfilling global secondary index: new",
    }


@pytest.mark.row("text:index-backfilling")
def test_the_reference_machine_says_the_same() -> None:
    state, _ = apply(State(update_ns=10), parse("CreateTable", TABLE), 0)
    state, _ = apply(state, parse("UpdateTable", update({"Create": index("new")})), 0)
    _, refused = apply(state, parse("Scan", {"TableName": "Online", "IndexName": "new"}), 5)
    assert isinstance(refused, DynamoError)
    assert refused.message == "Cannot read from backfilling global secondary index: new"


@pytest.mark.row("error:LimitExceeded-index")
def test_one_index_comes_or_goes_at_a_time(filling: Pair) -> None:
    expected = {
        "__type": SERVICE + "LimitExceededException",
        "message": "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
    }
    assert refusal(filling, "UpdateTable", **update({"Create": index("other")})) == expected
    two = [{"Create": index("one")}, {"Create": index("two")}]
    both = {**update({"Create": index("one")}), "GlobalSecondaryIndexUpdates": two}
    with pytest.raises(DynamoError) as caught:
        parse("UpdateTable", both)
    assert caught.value.body() == expected


@pytest.mark.row("error:ResourceInUse-index")
def test_an_index_that_is_being_made_is_not_changed(filling: Pair) -> None:
    refused = refusal(filling, "UpdateTable", **update(RAISED))
    assert refused["__type"] == SERVICE + "ResourceInUseException"
    assert refused["message"].startswith("Attempting to update an index"), "the rest nobody has captured"
    table = ask(filling, "DescribeTable", TableName="Online")["Table"]
    units = table["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]
    assert (units["ReadCapacityUnits"], units["WriteCapacityUnits"]) == (1, 1)


@pytest.mark.row("behaviour:index-definitions")
def test_an_index_that_is_being_deleted_keeps_its_units_and_the_definitions_of_its_keys() -> None:
    state, _ = apply(State(update_ns=10), parse("CreateTable", TABLE), 0)
    state, _ = apply(state, parse("UpdateTable", update({"Create": index("new")})), 0)
    state, answer = apply(state, parse("UpdateTable", update({"Delete": {"IndexName": "new"}})), 20)
    assert not isinstance(answer, DynamoError)
    table: Any = answer["TableDescription"]
    (going,) = table["GlobalSecondaryIndexes"]
    assert going["IndexStatus"] == "DELETING"
    assert going["ProvisionedThroughput"] == {**UNITS, "NumberOfDecreasesToday": 0}
    assert {"AttributeName": "g", "AttributeType": "S"} in table["AttributeDefinitions"]
    _, answer = apply(state, parse("DescribeTable", {"TableName": "Online"}), 40)
    assert not isinstance(answer, DynamoError)
    gone: Any = answer["Table"]
    assert "GlobalSecondaryIndexes" not in gone
    assert gone["AttributeDefinitions"] == TABLE["AttributeDefinitions"]

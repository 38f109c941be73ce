"""Global indexes that come to a table and go again while it is in use (api.md §6, §8; architecture.md §12)."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_model.database import State, apply
from dynalab_model.errors import DynamoError
from dynalab_model.requests import parse

INVALID = "One or more parameter values were invalid: "
ONE_AT_A_TIME = (
    "LimitExceededException",
    "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
)


def definitions(**types: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()]


def index(name: str, *keys: str, **members: Any) -> dict[str, Any]:
    roles = ["HASH", "RANGE"]
    elements = [{"AttributeName": key, "KeyType": roles[place]} for place, key in enumerate(keys)]
    return {"IndexName": name, "KeySchema": elements, "Projection": {"ProjectionType": "ALL"}, **members}


class Machine:
    """The reference state machine with a table, call by call, at a time of the test's choosing."""

    def __init__(self, update_ns: int = 0, **members: Any) -> None:
        self.state = State(update_ns=update_ns)
        self.now_ns = 0
        billing = {} if "ProvisionedThroughput" in members else {"BillingMode": "PAY_PER_REQUEST"}
        schema = [{"AttributeName": "pk", "KeyType": "HASH"}]
        self("CreateTable", KeySchema=schema, AttributeDefinitions=definitions(pk="S"), **billing, **members)

    def __call__(self, operation: str, **body: Any) -> Any:
        self.state, answer = apply(self.state, parse(operation, {"TableName": "Ttt", **body}), self.now_ns)
        if isinstance(answer, DynamoError):
            raise answer
        return answer

    def refused(self, operation: str, **body: Any) -> tuple[str, str]:
        with pytest.raises(DynamoError) as caught:
            self(operation, **body)
        return caught.value.code, caught.value.message

    def create(self, made: dict[str, Any], **types: str) -> Any:
        update = [{"Create": made}]
        answer = self("UpdateTable", GlobalSecondaryIndexUpdates=update, AttributeDefinitions=definitions(**types))
        return answer["TableDescription"]

    def delete(self, name: str) -> Any:
        return self("UpdateTable", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": name}}])["TableDescription"]

    def put(self, key: str, **attributes: Any) -> None:
        self("PutItem", Item={"pk": {"S": key}, **attributes})

    def query(self, name: str, attribute: str, value: Any) -> list[str]:
        values = {":v": value}
        condition = f"{attribute} = :v"
        found = self("Query", IndexName=name, KeyConditionExpression=condition, ExpressionAttributeValues=values)
        return sorted(item["pk"]["S"] for item in found["Items"])


def test_a_new_index_shows_what_was_there_before_it() -> None:
    machine = Machine()
    machine.put("a", colour={"S": "red"})
    described = machine.create(index("by_c", "colour"), colour="S")
    [told] = described["GlobalSecondaryIndexes"]
    assert (described["TableStatus"], told["IndexStatus"], told["Backfilling"]) == ("UPDATING", "CREATING", False)
    machine.put("b", colour={"S": "red"})
    assert machine.query("by_c", "colour", {"S": "red"}) == ["a", "b"]
    [told] = machine("DescribeTable")["Table"]["GlobalSecondaryIndexes"]
    assert told["IndexStatus"] == "ACTIVE" and "Backfilling" not in told and told["ItemCount"] == 2


@pytest.mark.claim("S30")
def test_what_cannot_be_in_a_new_index_is_left_out_and_refused_from_then_on() -> None:
    machine = Machine()
    machine.put("number", colour={"N": "1"})
    machine.put("empty", colour={"S": ""})
    machine.put("long", colour={"S": "x" * 2_049})
    machine.put("fits", colour={"S": "x" * 2_048})
    machine.create(index("by_c", "colour"), colour="S")
    assert machine("Scan", IndexName="by_c")["Count"] == 1
    assert machine("Scan")["Count"] == 4
    refused = machine.refused("PutItem", Item={"pk": {"S": "number"}, "colour": {"N": "1"}})
    assert refused[1] == INVALID + "Type mismatch for Index Key colour Expected: S Actual: N IndexName: by_c"
    machine("DeleteItem", Key={"pk": {"S": "number"}})
    assert machine("Scan", IndexName="by_c")["Count"] == 1


def test_an_index_is_not_read_and_refuses_no_write_before_it_is_active() -> None:
    machine = Machine(update_ns=5)
    machine.create(index("by_c", "colour"), colour="S")
    refused = machine.refused("Scan", IndexName="by_c")
    assert refused == ("ValidationException", "Cannot read from backfilling global secondary index: by_c")
    machine.put("number", colour={"N": "1"})
    machine.now_ns = 5
    assert machine("Scan", IndexName="by_c")["Count"] == 0
    assert machine.refused("PutItem", Item={"pk": {"S": "b"}, "colour": {"N": "1"}})[0] == "ValidationException"


def test_a_deleted_index_is_deleting_and_then_gone_with_its_definitions() -> None:
    machine = Machine(update_ns=5)
    machine.create(index("by_c", "colour", "pk"), colour="S")
    machine.now_ns = 5
    [told] = machine.delete("by_c")["GlobalSecondaryIndexes"]
    assert (told["IndexName"], told["IndexStatus"]) == ("by_c", "DELETING")
    refused = machine.refused("Scan", IndexName="by_c")
    assert refused == ("ValidationException", "The table does not have the specified index: by_c")
    machine.now_ns = 10
    described = machine("DescribeTable")["Table"]
    assert "GlobalSecondaryIndexes" not in described
    assert [one["AttributeName"] for one in described["AttributeDefinitions"]] == ["pk"]
    machine.create(index("by_c", "size"), size="N")
    machine.now_ns = 15
    assert machine("DescribeTable")["Table"]["GlobalSecondaryIndexes"][0]["IndexStatus"] == "ACTIVE"


def test_several_indexes_come_one_after_the_other_up_to_twenty() -> None:
    machine = Machine()
    for number in range(20):
        machine.create(index(f"by_{number}", "colour"), colour="S")
    refused = machine.refused("UpdateTable", GlobalSecondaryIndexUpdates=[{"Create": index("one-more", "colour")}])
    assert refused[1] == INVALID + "GlobalSecondaryIndex count exceeds the per-table limit of 20"
    machine.put("a", colour={"S": "red"})
    assert {name: machine.query(name, "colour", {"S": "red"}) for name in ("by_0", "by_19")} == {
        "by_0": ["a"],
        "by_19": ["a"],
    }


@pytest.mark.parametrize(
    ("updates", "answer"),
    [
        ([{"Delete": {"IndexName": "none"}}], ("ResourceNotFoundException", "Requested resource not found")),
        ([{"Create": index("one", "c")}, {"Create": index("two", "c")}], ONE_AT_A_TIME),
        ([{"Create": index("one", "c")}, {"Delete": {"IndexName": "two"}}], ONE_AT_A_TIME),
        (
            [{"Create": index("one", "d")}],
            (
                "ValidationException",
                f"{INVALID}Some index key attributes are not defined in AttributeDefinitions. "
                "Keys: [d], AttributeDefinitions: [pk, c]",
            ),
        ),
        (
            [{"Create": index("one", "c", ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1})}],
            (
                "ValidationException",
                f"{INVALID}ProvisionedThroughput should not be specified for index: one when BillingMode is "
                "PAY_PER_REQUEST",
            ),
        ),
        (
            [{"Create": index("one", "c", Projection={"ProjectionType": "INCLUDE"})}],
            ("ValidationException", f"{INVALID}ProjectionType is INCLUDE, but NonKeyAttributes is not specified"),
        ),
    ],
)
def test_an_index_that_cannot_be_made_or_dropped_is_refused_in_words(updates: Any, answer: tuple[str, str]) -> None:
    machine = Machine()
    given = definitions(c="S")
    assert machine.refused("UpdateTable", GlobalSecondaryIndexUpdates=updates, AttributeDefinitions=given) == answer
    assert "GlobalSecondaryIndexes" not in machine("DescribeTable")["Table"]


def test_a_new_index_of_a_provisioned_table_has_throughput_of_its_own() -> None:
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
    machine = Machine(ProvisionedThroughput=units)
    update = [{"Create": index("by_c", "c")}]
    refused = machine.refused(
        "UpdateTable", GlobalSecondaryIndexUpdates=update, AttributeDefinitions=definitions(c="S")
    )
    assert refused[1] == INVALID + "ProvisionedThroughput must be specified for index: by_c"
    described = machine.create(index("by_c", "c", ProvisionedThroughput=units), c="S")
    assert described["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"] == {"NumberOfDecreasesToday": 0, **units}
    machine.delete("by_c")
    described = machine.create(index("by_d", "d", ProvisionedThroughput=units), d="S")
    assert [one["IndexName"] for one in described["GlobalSecondaryIndexes"]] == ["by_d"]


def test_a_table_that_is_deleted_takes_its_new_index_with_it() -> None:
    machine = Machine(update_ns=5)
    machine.create(index("by_c", "colour"), colour="S")
    assert machine.refused("DeleteTable")[0] == "ResourceInUseException"
    machine.now_ns = 5
    assert machine("DeleteTable")["TableDescription"]["TableStatus"] == "DELETING"

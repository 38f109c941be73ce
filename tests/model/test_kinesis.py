"""Kinesis destinations on the reference machine: states that need time, and what is kept of destinations."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_model import kinesis
from dynalab_model.database import State, apply
from dynalab_model.errors import DynamoError
from dynalab_model.operations import ChangeDestination
from dynalab_model.requests import parse
from dynalab_model.streams import Change

SECOND = 1_000_000_000
TABLE: dict[str, Any] = {
    "TableName": "Orders",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
}


def arn(name: str) -> str:
    return f"arn:aws:kinesis:us-east-1:000000000000:stream/{name}"


class Slow:
    """A machine whose changes take ten seconds."""

    def __init__(self) -> None:
        self.state, self.now_ns = State(update_ns=10 * SECOND), 0
        self("CreateTable", **TABLE)

    def __call__(self, name: str, /, **body: Any) -> Any:
        self.state, answer = apply(self.state, parse(name, body), self.now_ns)
        if isinstance(answer, DynamoError):
            raise answer
        return answer

    def status(self) -> str:
        told = self("DescribeKinesisStreamingDestination", TableName="Orders")["KinesisDataStreamDestinations"]
        return str(told[-1]["DestinationStatus"])


def test_each_step_takes_its_time_and_no_other_begins_meanwhile() -> None:
    machine = Slow()
    told = {"TableName": "Orders", "StreamArn": arn("a")}
    precision = {"ApproximateCreationDateTimePrecision": "MICROSECOND"}
    steps: list[tuple[str, dict[str, Any]]] = [
        ("EnableKinesisStreamingDestination", told),
        ("UpdateKinesisStreamingDestination", {**told, "UpdateKinesisStreamingConfiguration": precision}),
        ("DisableKinesisStreamingDestination", told),
    ]
    for step, (name, body) in enumerate(steps):
        machine(name, **body)
        during, after = [("ENABLING", "ACTIVE"), ("UPDATING", "ACTIVE"), ("DISABLING", "DISABLED")][step]
        machine.now_ns += 9 * SECOND
        assert machine.status() == during
        for other, asked in steps:
            with pytest.raises(DynamoError) as caught:
                machine(other, **asked)
            assert caught.value.code == "ResourceInUseException"
        machine.now_ns += SECOND
        assert machine.status() == after


def test_what_is_not_active_is_a_table_in_use() -> None:
    machine = Slow()
    machine.now_ns = SECOND
    machine("UpdateTable", TableName="Orders", DeletionProtectionEnabled=True)
    with pytest.raises(DynamoError) as caught:
        machine("EnableKinesisStreamingDestination", TableName="Orders", StreamArn=arn("a"))
    assert caught.value.code == "ResourceInUseException"
    machine("UpdateContributorInsights", TableName="Orders", ContributorInsightsAction="ENABLE")
    insights = machine("DescribeContributorInsights", TableName="Orders")
    assert insights["ContributorInsightsStatus"] == "ENABLING"
    machine.now_ns = 12 * SECOND
    assert machine("DescribeContributorInsights", TableName="Orders")["ContributorInsightsStatus"] == "ENABLED"


def test_each_enabling_has_a_label_of_its_own_and_only_the_latest_destinations_are_told() -> None:
    settings: dict[str, object] = {}
    for number in range(kinesis.DISABLED_MAX + 5):
        for action in ("ENABLE", "DISABLE"):
            changed, _ = kinesis.change(ChangeDestination("Orders", action, arn(f"s{number}")), settings, 7)
            settings = kinesis.settled(changed)
    known = kinesis.destinations(settings)
    assert [one["StreamArn"] for one in known] == [arn(f"s{number}") for number in range(4, 15)]
    assert len({one["Label"] for one in known}) == len(known)
    assert kinesis.feeding(settings) is None


def test_a_record_says_who_removed_what_had_expired() -> None:
    change = Change(5, "REMOVE", 1, {"pk": {"S": "a"}}, {"pk": {"S": "a"}}, None, "dynamodb.amazonaws.com")
    body: Any = kinesis.record_body(change, "shard", "Orders", "MILLISECOND")
    assert body["userIdentity"] == {"principalId": "dynamodb.amazonaws.com", "type": "Service"}
    assert "NewImage" not in body["dynamodb"] and body["dynamodb"]["OldImage"] == {"pk": {"S": "a"}}
    assert kinesis.record_body(change, "shard", "Orders", "MICROSECOND")["eventID"] == body["eventID"]

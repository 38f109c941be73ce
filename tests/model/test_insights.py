"""Contributor insights on the reference machine: indexes that go, and pages of many tables."""

from __future__ import annotations

from typing import Any

from dynalab_model import insights
from dynalab_model.database import State, apply
from dynalab_model.errors import DynamoError
from dynalab_model.requests import parse

KEYS: dict[str, Any] = {
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "g", "AttributeType": "S"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by_g",
            "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}


class Machine:
    def __init__(self, *tables: str) -> None:
        self.state, self.now_ns = State(), 0
        for name in tables:
            self("CreateTable", TableName=name, **KEYS)

    def __call__(self, name: str, /, **body: Any) -> Any:
        self.state, answer = apply(self.state, parse(name, body), self.now_ns)
        if isinstance(answer, DynamoError):
            raise answer
        return answer


def test_an_index_that_goes_takes_its_insights_along() -> None:
    machine = Machine("Orders")
    for index in ({}, {"IndexName": "by_g"}):
        machine("UpdateContributorInsights", TableName="Orders", ContributorInsightsAction="ENABLE", **index)
    machine("UpdateTable", TableName="Orders", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by_g"}}])
    listed = machine("ListContributorInsights")["ContributorInsightsSummaries"]
    assert [one.get("IndexName", "") for one in listed] == [""]


def test_pages_meet_every_table_and_index_once() -> None:
    names = [f"Table{number}" for number in range(5)]
    machine = Machine(*names)
    for name in names:
        for index in ({}, {"IndexName": "by_g"}):
            machine("UpdateContributorInsights", TableName=name, ContributorInsightsAction="ENABLE", **index)
    met: list[tuple[str, str]] = []
    more: dict[str, str] = {}
    for _ in range(9):
        page = machine("ListContributorInsights", MaxResults=3, **more)
        met += [(one["TableName"], one.get("IndexName", "")) for one in page["ContributorInsightsSummaries"]]
        if "NextToken" not in page:
            break
        more = {"NextToken": page["NextToken"]}
    assert met == [(name, index) for name in names for index in ("", "by_g")]


def test_the_name_of_a_rule_is_never_too_long_for_one() -> None:
    name = "t" * 255
    machine = Machine(name)
    machine("UpdateContributorInsights", TableName=name, ContributorInsightsAction="ENABLE", IndexName="by_g")
    rules = machine("DescribeContributorInsights", TableName=name, IndexName="by_g")["ContributorInsightsRuleList"]
    assert len(rules) == 2 and all(len(rule) == 128 or rule.endswith("-0") for rule in rules)
    assert all(len(rule) <= 128 for rule in rules)


def test_the_time_in_a_rule_is_that_of_the_enabling_also_after_another_mode() -> None:
    machine = Machine("Orders")
    asked = {"TableName": "Orders", "ContributorInsightsAction": "ENABLE"}
    machine.now_ns = 5_000_000_000
    machine("UpdateContributorInsights", **asked)
    machine.now_ns = 9_000_000_000
    machine("UpdateContributorInsights", **asked, ContributorInsightsMode=insights.THROTTLED)
    told = machine("DescribeContributorInsights", TableName="Orders")
    assert told["ContributorInsightsRuleList"] == ["DynamoDBContributorInsights-PKT-Orders-5000"]
    assert told["LastUpdateDateTime"] == 9

"""Kinesis destinations and contributor insights: what their operations answer, step by step (api.md §2).

What is in no document is marked as ours: which error a step in the wrong state gets, and the texts.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.conformance.conftest import Service, creation

SECOND_NS = 1_000_000_000
ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/changes"
OTHER = "arn:aws:kinesis:us-east-1:000000000000:stream/others"
ENABLE, UPDATE = "EnableKinesisStreamingDestination", "UpdateKinesisStreamingDestination"
DISABLE, DESCRIBE = "DisableKinesisStreamingDestination", "DescribeKinesisStreamingDestination"
MICROSECOND = {"ApproximateCreationDateTimePrecision": "MICROSECOND"}
ALL, THROTTLED = "ACCESSED_AND_THROTTLED_KEYS", "THROTTLED_KEYS"


@pytest.fixture(scope="module")
def changing() -> Service:
    """A service of their own, since others ask what is listed where nobody has enabled anything."""
    service = Service()
    for name in ("Fed", "Hot"):
        indexes = {"by_g": ({"g": "S"}, {"ProjectionType": "ALL"})}
        service("CreateTable", **creation(name, {"pk": "S", "sk": "N"}, indexes))
        service.pair.wait_active(name)
    return service


def step(service: Service, operation: str, /, **body: Any) -> Any:
    """The answer of a step that takes a while, when it is through."""
    answer = service(operation, **body)
    service.pair.wait(2 * SECOND_NS)
    return answer


@pytest.mark.row(f"operation:{ENABLE}", f"operation:{UPDATE}", f"operation:{DISABLE}", f"operation:{DESCRIBE}")
def test_a_destination_is_enabled_made_more_precise_and_disabled(changing: Service) -> None:
    service = changing
    told = {"TableName": "Fed", "StreamArn": ARN}
    assert step(service, ENABLE, **told) == {**told, "DestinationStatus": "ENABLING"}
    listed = {"StreamArn": ARN, "DestinationStatus": "ACTIVE", "ApproximateCreationDateTimePrecision": "MILLISECOND"}
    assert service(DESCRIBE, TableName="Fed") == {"TableName": "Fed", "KinesisDataStreamDestinations": [listed]}
    more = {"UpdateKinesisStreamingConfiguration": MICROSECOND}
    assert step(service, UPDATE, **told, **more) == {**told, **more, "DestinationStatus": "UPDATING"}
    listed["ApproximateCreationDateTimePrecision"] = "MICROSECOND"
    assert service(DESCRIBE, TableName="Fed")["KinesisDataStreamDestinations"] == [listed]
    assert step(service, DISABLE, **told) == {**told, "DestinationStatus": "DISABLING"}
    listed["DestinationStatus"] = "DISABLED"
    assert service(DESCRIBE, TableName="Fed")["KinesisDataStreamDestinations"] == [listed]


@pytest.mark.row(f"operation:{ENABLE}")
def test_a_destination_may_be_enabled_with_a_precision_and_again_after_it_was_disabled(changing: Service) -> None:
    service = changing
    told = {"TableName": "Fed", "StreamArn": OTHER}
    more = {"EnableKinesisStreamingConfiguration": MICROSECOND}
    for _ in range(2):
        assert step(service, ENABLE, **told, **more) == {**told, **more, "DestinationStatus": "ENABLING"}
        listed = service(DESCRIBE, TableName="Fed")["KinesisDataStreamDestinations"]
        assert [one for one in listed if one["StreamArn"] == OTHER] == [
            {"StreamArn": OTHER, "DestinationStatus": "ACTIVE", **MICROSECOND}
        ]
        step(service, DISABLE, **told)


@pytest.mark.row(f"operation:{ENABLE}", f"operation:{UPDATE}", f"operation:{DISABLE}")
def test_a_step_in_the_wrong_state_is_refused_and_changes_nothing(changing: Service) -> None:
    """Which errors is inferred: a step that is under way is a resource in use, all else is invalid."""
    service = changing
    told = {"TableName": "Fed", "StreamArn": ARN}
    more = {"UpdateKinesisStreamingConfiguration": MICROSECOND}
    service(ENABLE, **told)
    step(service, "DescribeTable", TableName="Fed")
    for arn in (ARN, OTHER):  # one stream a table
        error = service.refused(ENABLE, TableName="Fed", StreamArn=arn)
        assert error.code == "ValidationException" and "must be DISABLED or ENABLE_FAILED" in error.message
    for operation, body in ((DISABLE, {}), (UPDATE, more)):
        unknown = "arn:aws:kinesis:us-east-1:000000000000:stream/unknown"
        error = service.refused(operation, TableName="Fed", StreamArn=unknown, **body)
        assert error.code == "ResourceNotFoundException"
    same = {"ApproximateCreationDateTimePrecision": "MILLISECOND"}
    error = service.refused(UPDATE, **told, UpdateKinesisStreamingConfiguration=same)
    assert error.code == "ValidationException" and "already set to the desired value of MILLISECOND" in error.message
    error = service.refused(UPDATE, **told, UpdateKinesisStreamingConfiguration={})
    assert error.code == "ValidationException" and "cannot be null or contain only null values" in error.message
    step(service, DISABLE, **told)
    for operation, body in ((DISABLE, {}), (UPDATE, more)):
        error = service.refused(operation, **told, **body)
        assert error.code == "ValidationException" and "must be ACTIVE" in error.message
    for operation in (ENABLE, DISABLE):
        assert service.refused(operation, TableName="Nowhere", StreamArn=ARN).code == "ResourceNotFoundException"
    assert service.refused(DESCRIBE, TableName="Nowhere").code == "ResourceNotFoundException"
    error = service.refused(ENABLE, TableName="Fed", StreamArn="arn:aws:dynamodb:us-east-1:000000000000:table/Fed")
    assert error.code == "ValidationException"


@pytest.mark.row(f"operation:{ENABLE}")
def test_what_goes_to_kinesis_is_no_stream_that_clients_see(changing: Service) -> None:
    service = changing
    step(service, ENABLE, TableName="Fed", StreamArn=ARN)
    assert service("ListStreams", TableName="Fed") == {"Streams": []}
    described = service("DescribeTable", TableName="Fed")["Table"]
    assert "LatestStreamArn" not in described and "StreamSpecification" not in described
    step(service, DISABLE, TableName="Fed", StreamArn=ARN)


@pytest.mark.row(
    "operation:UpdateContributorInsights",
    "operation:DescribeContributorInsights",
    "operation:ListContributorInsights",
)
def test_insights_are_enabled_for_a_table_and_for_an_index_each_in_a_mode(changing: Service) -> None:
    service = changing
    on, off = {"ContributorInsightsAction": "ENABLE"}, {"ContributorInsightsAction": "DISABLE"}
    answer = step(service, "UpdateContributorInsights", TableName="Hot", **on)
    assert answer == {
        "TableName": "Hot",
        "ContributorInsightsStatus": "ENABLING",
        "ContributorInsightsMode": ALL,
    }
    mode = {"ContributorInsightsMode": THROTTLED}
    answer = step(service, "UpdateContributorInsights", TableName="Hot", IndexName="by_g", **on, **mode)
    assert answer == {"TableName": "Hot", "IndexName": "by_g", "ContributorInsightsStatus": "ENABLING", **mode}
    for name, index, rules in (("Hot", {}, "PKC SKC PKT SKT"), ("Hot-by_g", {"IndexName": "by_g"}, "PKT")):
        told = service("DescribeContributorInsights", TableName="Hot", **index)
        assert (told["ContributorInsightsStatus"], told.get("IndexName")) == ("ENABLED", index.get("IndexName"))
        wanted = [rf"DynamoDBContributorInsights-{rule}-{name}-[0-9]{{13}}" for rule in rules.split()]
        listed = told["ContributorInsightsRuleList"]
        assert len(listed) == len(wanted)
        assert all(re.fullmatch(pattern, rule) for pattern, rule in zip(wanted, listed, strict=True))
        assert told["LastUpdateDateTime"] > 0
    summaries = [
        {"TableName": "Hot", "ContributorInsightsStatus": "ENABLED", "ContributorInsightsMode": ALL},
        {"TableName": "Hot", "IndexName": "by_g", "ContributorInsightsStatus": "ENABLED", **mode},
    ]
    page = service("ListContributorInsights", TableName="Hot", MaxResults=1)
    assert page["ContributorInsightsSummaries"] == summaries[:1]
    rest = service("ListContributorInsights", TableName="Hot", NextToken=page["NextToken"])
    assert rest == {"ContributorInsightsSummaries": summaries[1:]}
    # Another mode is another enabling; the same one again changes nothing (inferred).
    again = service("UpdateContributorInsights", TableName="Hot", IndexName="by_g", **on, **mode)
    assert again["ContributorInsightsStatus"] == "ENABLED"
    answer = step(service, "UpdateContributorInsights", TableName="Hot", IndexName="by_g", **on)
    assert (answer["ContributorInsightsStatus"], answer["ContributorInsightsMode"]) == ("ENABLING", ALL)
    for index in ({}, {"IndexName": "by_g"}):
        answer = step(service, "UpdateContributorInsights", TableName="Hot", **index, **off)
        assert answer["ContributorInsightsStatus"] == "DISABLING"
        told = service("DescribeContributorInsights", TableName="Hot", **index)
        assert told["ContributorInsightsStatus"] == "DISABLED" and "ContributorInsightsRuleList" not in told


@pytest.mark.row(
    "operation:UpdateContributorInsights",
    "operation:DescribeContributorInsights",
    "operation:ListContributorInsights",
)
def test_insights_of_what_is_not_there_are_not_found(changing: Service) -> None:
    service = changing
    on = {"ContributorInsightsAction": "ENABLE"}
    for body in ({"TableName": "Nowhere"}, {"TableName": "Hot", "IndexName": "nowhere"}):
        assert service.refused("UpdateContributorInsights", **body, **on).code == "ResourceNotFoundException"
        assert service.refused("DescribeContributorInsights", **body).code == "ResourceNotFoundException"
    assert service.refused("ListContributorInsights", TableName="Nowhere").code == "ResourceNotFoundException"
    wrong: list[dict[str, Any]] = [{"NextToken": "made up"}, {"MaxResults": 0}, {"MaxResults": 101}]
    for page in wrong:
        assert service.refused("ListContributorInsights", **page).code == "ValidationException"

"""Settings of a table: UpdateTable, tags, time to live, and operations of features that are off (api.md §2, §6, §8)."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from dynalab_model.database import State, apply
from dynalab_model.errors import DynamoError
from dynalab_model.offered import OFFERED, STATUSES
from dynalab_model.refusals import REFUSED, REFUSED_PARSERS
from dynalab_model.requests import OPERATIONS, parse
from dynalab_model.settings import DAY_MS, HOUR_MS, READS

INVALID = "One or more parameter values were invalid: "
ONE = "1 validation error detected: "
ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/Ttt"
MS = 1_000_000


def units(read: int, write: int) -> dict[str, int]:
    return {"ReadCapacityUnits": read, "WriteCapacityUnits": write}


class Machine:
    """The reference state machine, call by call, at a time of the test's choosing."""

    def __init__(self, update_ns: int = 0) -> None:
        self.state = State(update_ns=update_ns)
        self.now_ns = 0

    def __call__(self, operation: str, **body: object) -> Any:
        self.state, answer = apply(self.state, parse(operation, body), self.now_ns)
        if isinstance(answer, DynamoError):
            raise answer
        return answer

    def refused(self, operation: str, **body: object) -> tuple[str, str]:
        with pytest.raises(DynamoError) as caught:
            self(operation, **body)
        return caught.value.code, caught.value.message

    def create(self, index: bool = False, **members: object) -> None:
        names = ("pk", "c") if index else ("pk",)
        by_c: dict[str, Any] = {
            "IndexName": "by_c",
            "KeySchema": [{"AttributeName": "c", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
        if "ProvisionedThroughput" in members:
            by_c["ProvisionedThroughput"] = members["ProvisionedThroughput"]
        self(
            "CreateTable",
            TableName="Ttt",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
            **({"GlobalSecondaryIndexes": [by_c]} if index else {}),
            **members,
        )

    def update(self, **members: object) -> Any:
        return self("UpdateTable", TableName="Ttt", **members)["TableDescription"]

    def describe(self) -> Any:
        return self("DescribeTable", TableName="Ttt")["Table"]


@pytest.fixture
def provisioned() -> Machine:
    machine = Machine()
    machine.create(ProvisionedThroughput=units(10, 10))
    return machine


@pytest.fixture
def on_demand() -> Machine:
    machine = Machine()
    machine.create(BillingMode="PAY_PER_REQUEST")
    return machine


# --- UpdateTable ----------------------------------------------------------------------------------------------------


def test_an_update_answers_updating_and_is_over_after_its_time() -> None:
    machine = Machine(update_ns=5)
    machine.create(BillingMode="PAY_PER_REQUEST")
    assert machine.update(DeletionProtectionEnabled=True)["TableStatus"] == "UPDATING"
    refused = machine.refused("UpdateTable", TableName="Ttt", DeletionProtectionEnabled=False)
    in_use = "Attempt to change a resource which is still in use: Table is being updated: Ttt"
    assert refused == ("ResourceInUseException", in_use)
    machine("PutItem", TableName="Ttt", Item={"pk": {"S": "a"}})
    machine.now_ns = 5
    assert machine.describe()["TableStatus"] == "ACTIVE"
    assert machine.describe()["DeletionProtectionEnabled"] is True
    assert machine.refused("DeleteTable", TableName="Ttt")[0] == "ValidationException"
    machine.update(DeletionProtectionEnabled=False)
    machine.now_ns = 10
    assert machine("DeleteTable", TableName="Ttt")["TableDescription"]["TableStatus"] == "DELETING"


def test_billing_goes_back_and_forth_and_remembers_since_when(on_demand: Machine) -> None:
    on_demand.now_ns = 7_000 * MS
    table = on_demand.update(BillingMode="PROVISIONED", ProvisionedThroughput=units(3, 4))
    assert table["ProvisionedThroughput"] == {"NumberOfDecreasesToday": 0, **units(3, 4)}
    assert table["BillingModeSummary"] == {"BillingMode": "PROVISIONED", "LastUpdateToPayPerRequestDateTime": 0.0}
    on_demand.now_ns = 9_000 * MS
    table = on_demand.update(BillingMode="PAY_PER_REQUEST")
    assert table["ProvisionedThroughput"] == {"NumberOfDecreasesToday": 0, **units(0, 0)}
    assert table["BillingModeSummary"] == {"BillingMode": "PAY_PER_REQUEST", "LastUpdateToPayPerRequestDateTime": 9.0}


def test_an_index_gets_its_throughput_by_an_update_of_its_own() -> None:
    machine = Machine()
    machine.create(index=True, BillingMode="PAY_PER_REQUEST")
    change = {"BillingMode": "PROVISIONED", "ProvisionedThroughput": units(3, 4)}
    refused = machine.refused("UpdateTable", TableName="Ttt", **change)
    assert refused[1] == INVALID + "ProvisionedThroughput must be specified for index: by_c"
    index = {"Update": {"IndexName": "by_c", "ProvisionedThroughput": units(1, 2)}}
    table = machine.update(**change, GlobalSecondaryIndexUpdates=[index])
    assert table["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"] == {"NumberOfDecreasesToday": 0, **units(1, 2)}


def test_four_decreases_a_day_are_free_and_each_further_one_waits_an_hour(provisioned: Machine) -> None:
    def lower(to: int) -> Any:
        return provisioned.update(ProvisionedThroughput=units(to, 10))

    for to in (9, 8, 7, 6):
        table = lower(to)
    assert table["ProvisionedThroughput"]["NumberOfDecreasesToday"] == 4
    refused = provisioned.refused("UpdateTable", TableName="Ttt", ProvisionedThroughput=units(5, 10))
    assert refused[0] == "LimitExceededException"
    assert provisioned.update(ProvisionedThroughput=units(20, 10))["TableStatus"] == "UPDATING", "up is always allowed"
    provisioned.now_ns = HOUR_MS * MS
    assert lower(5)["ProvisionedThroughput"]["NumberOfDecreasesToday"] == 5
    assert provisioned.refused("UpdateTable", TableName="Ttt", ProvisionedThroughput=units(4, 10))[0] == refused[0]
    provisioned.now_ns = DAY_MS * MS
    table = lower(4)
    assert table["ProvisionedThroughput"]["NumberOfDecreasesToday"] == 1, "a new UTC day"
    assert table["ProvisionedThroughput"]["LastDecreaseDateTime"] == DAY_MS / 1000
    assert table["ProvisionedThroughput"]["LastIncreaseDateTime"] == 0.0


def test_a_ceiling_of_on_demand_throughput_is_set_and_taken_away(on_demand: Machine) -> None:
    ceiling = {"MaxReadRequestUnits": 5, "MaxWriteRequestUnits": 6}
    assert on_demand.update(OnDemandThroughput=ceiling)["OnDemandThroughput"] == ceiling
    lifted = on_demand.update(OnDemandThroughput={"MaxReadRequestUnits": -1})
    assert lifted["OnDemandThroughput"] == {"MaxWriteRequestUnits": 6}


def test_members_that_the_service_does_not_know_are_not_kept(provisioned: Machine) -> None:
    provisioned.update(ProvisionedThroughput={**units(11, 10), "Zebra": 1})
    lowered = provisioned.update(ProvisionedThroughput=units(9, 10))
    assert lowered["ProvisionedThroughput"]["ReadCapacityUnits"] == 9
    refused = provisioned.refused("UpdateTable", TableName="Ttt", OnDemandThroughput={"MaxReadRequestUnits": None})
    assert refused[1] == INVALID + "OnDemandThroughput cannot be specified when BillingMode is PROVISIONED"


NOTHING = (
    "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or "
    "SSESpecification or ReplicaUpdates is required"
)
SAME = (
    "The provisioned throughput for the table will not change. The requested value equals the current value. Current "
    "ReadCapacityUnits provisioned for the table: 10. Requested ReadCapacityUnits: 10. Current WriteCapacityUnits "
    "provisioned for the table: 10. Requested WriteCapacityUnits: 10. Refer to the Amazon DynamoDB Developer Guide for "
    "current limits and how to request higher limits."
)
INDEX_UPDATE = {"Update": {"IndexName": "by_c", "ProvisionedThroughput": units(1, 1)}}


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({}, NOTHING),
        ({"AttributeDefinitions": []}, NOTHING),
        ({"ProvisionedThroughput": units(10, 10)}, SAME),
        (
            {"BillingMode": "PROVISIONED"},
            INVALID + "ProvisionedThroughput must be specified when BillingMode is PROVISIONED",
        ),
        (
            {"BillingMode": "PAY_PER_REQUEST", "ProvisionedThroughput": units(1, 1)},
            INVALID + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is "
            "PAY_PER_REQUEST",
        ),
        (
            {"GlobalSecondaryIndexUpdates": [INDEX_UPDATE, INDEX_UPDATE]},
            INVALID + "Only one global secondary index update per index is allowed simultaneously. Index: by_c",
        ),
        (
            {"GlobalSecondaryIndexUpdates": [{}]},
            INVALID + "One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, "
            "GlobalSecondaryIndexUpdate.Delete must not be null",
        ),
        (
            {"ProvisionedThroughput": units(10**13, 1)},
            "Given value 10000000000000 for ReadCapacityUnits is out of bounds",
        ),
        (
            {"BillingMode": "FREE"},
            ONE + "Value 'FREE' at 'billingMode' failed to satisfy constraint: Member must satisfy enum value set: "
            "[PROVISIONED, PAY_PER_REQUEST]",
        ),
        (
            {"ReplicaUpdates": [{"Create": {"RegionName": "eu-west-1"}}]},
            "ReplicaUpdates is not available in this version of dynalab",
        ),
    ],
)
def test_an_update_that_cannot_be_is_refused(provisioned: Machine, members: dict[str, Any], words: str) -> None:
    assert provisioned.refused("UpdateTable", TableName="Ttt", **members) == ("ValidationException", words)


def test_an_update_of_no_table_names_it_and_one_without_a_name_says_so(provisioned: Machine) -> None:
    missing = provisioned.refused("UpdateTable", TableName="Uuu", DeletionProtectionEnabled=True)
    assert missing == ("ResourceNotFoundException", "Requested resource not found: Table: Uuu not found")
    assert provisioned.refused("UpdateTable", DeletionProtectionEnabled=True)[1] == (
        "The parameter 'TableName' is required but was not present in the request"
    )


# --- tags -----------------------------------------------------------------------------------------------------------


def test_tags_of_creation_are_added_to_replaced_and_taken_away() -> None:
    machine = Machine()
    machine.create(BillingMode="PAY_PER_REQUEST", Tags=[{"Key": "team", "Value": "red"}])
    tags = [{"Key": "team", "Value": "blue"}, {"Key": "Team", "Value": ""}]
    assert machine("TagResource", ResourceArn=ARN, Tags=tags) == {}
    assert machine("ListTagsOfResource", ResourceArn=ARN) == {"Tags": tags}
    assert machine("UntagResource", ResourceArn=ARN, TagKeys=["team", "unknown"]) == {}
    assert machine("ListTagsOfResource", ResourceArn=ARN) == {"Tags": [{"Key": "Team", "Value": ""}]}
    assert "Tags" not in machine.describe()


def test_a_table_has_fifty_tags_and_no_more(on_demand: Machine) -> None:
    fifty = [{"Key": f"k{number}", "Value": "v"} for number in range(50)]
    on_demand("TagResource", ResourceArn=ARN, Tags=fifty)
    refused = on_demand.refused("TagResource", ResourceArn=ARN, Tags=[{"Key": "one more", "Value": "v"}])
    assert refused[0] == "LimitExceededException"
    assert len(on_demand("ListTagsOfResource", ResourceArn=ARN)["Tags"]) == 50


@pytest.mark.parametrize(
    ("operation", "members", "code", "words"),
    [
        (
            "TagResource",
            {"Tags": []},
            "ValidationException",
            "Atleast one Tag needs to be provided as Input.",
        ),
        (
            "UntagResource",
            {"TagKeys": []},
            "ValidationException",
            "Atleast one Tag Key needs to be provided as Input.",
        ),
        (
            "ListTagsOfResource",
            {"ResourceArn": "Ttt"},
            "ValidationException",
            "Invalid TableArn: Invalid ResourceArn provided as input Ttt",
        ),
        (
            "TagResource",
            {"Tags": [{"Key": "", "Value": "v"}]},
            "ValidationException",
            ONE + "Value '' at 'tags.1.member.key' failed to satisfy constraint: Member must have length greater than "
            "or equal to 1",
        ),
        (
            "TagResource",
            {"Tags": [{"Key": "k"}]},
            "ValidationException",
            ONE + "Value null at 'tags.1.member.value' failed to satisfy constraint: Member must not be null",
        ),
        (
            "ListTagsOfResource",
            {"ResourceArn": None},
            "ValidationException",
            ONE + "Value null at 'resourceArn' failed to satisfy constraint: Member must not be null",
        ),
    ],
)
def test_tags_that_cannot_be_are_refused(
    on_demand: Machine, operation: str, members: dict[str, Any], code: str, words: str
) -> None:
    assert on_demand.refused(operation, **({"ResourceArn": ARN} | members)) == (code, words)


def test_an_unknown_but_well_formed_arn_is_denied_and_not_missing(on_demand: Machine) -> None:
    for operation, members in (
        ("ListTagsOfResource", {}),
        ("TagResource", {"Tags": [{"Key": "a", "Value": "b"}]}),
        ("UntagResource", {"TagKeys": ["a"]}),
    ):
        code, words = on_demand.refused(operation, ResourceArn=ARN + "x", **members)
        assert code == "AccessDeniedException" and f"dynamodb:{operation} on resource: {ARN}x" in words


# --- time to live ---------------------------------------------------------------------------------------------------


def test_time_to_live_is_switched_on_for_one_attribute_and_off_again(on_demand: Machine) -> None:
    def switch(enabled: bool, name: str) -> dict[str, Any]:
        return {"TableName": "Ttt", "TimeToLiveSpecification": {"Enabled": enabled, "AttributeName": name}}

    off = {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}
    assert on_demand("DescribeTimeToLive", TableName="Ttt") == off
    refused = on_demand.refused("UpdateTimeToLive", **switch(False, "expires"))
    assert refused == ("ValidationException", "TimeToLive is already disabled")
    answer = on_demand("UpdateTimeToLive", **switch(True, "expires"))
    assert answer == {"TimeToLiveSpecification": {"Enabled": True, "AttributeName": "expires"}}
    assert on_demand("DescribeTimeToLive", TableName="Ttt") == {
        "TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}
    }
    assert on_demand.refused("UpdateTimeToLive", **switch(True, "expires"))[1] == "TimeToLive is already enabled"
    for enabled in (True, False):
        assert on_demand.refused("UpdateTimeToLive", **switch(enabled, "other"))[1] == (
            "TimeToLive is active on a different AttributeName: current AttributeName is expires"
        )
    on_demand("UpdateTimeToLive", **switch(False, "expires"))
    assert on_demand("DescribeTimeToLive", TableName="Ttt") == off


def test_a_time_to_live_without_its_members_is_refused_in_one_envelope(on_demand: Machine) -> None:
    assert on_demand.refused("UpdateTimeToLive", TableName="Ttt", TimeToLiveSpecification={})[1] == (
        "2 validation errors detected: Value null at 'timeToLiveSpecification.enabled' failed to satisfy constraint: "
        "Member must not be null; Value null at 'timeToLiveSpecification.attributeName' failed to satisfy constraint: "
        "Member must not be null"
    )


# --- what is off, and what is not there -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "members", "answer"),
    [
        (
            "DescribeContinuousBackups",
            {"TableName": "Ttt"},
            {
                "ContinuousBackupsDescription": {
                    "ContinuousBackupsStatus": "ENABLED",
                    "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"},
                }
            },
        ),
        (
            "DescribeContributorInsights",
            {"TableName": "Ttt"},
            {"TableName": "Ttt", "ContributorInsightsStatus": "DISABLED"},
        ),
        (
            "DescribeKinesisStreamingDestination",
            {"TableName": "Ttt"},
            {"TableName": "Ttt", "KinesisDataStreamDestinations": []},
        ),
        ("ListBackups", {"TableName": "Ttt"}, {"BackupSummaries": []}),
        ("ListGlobalTables", {}, {"GlobalTables": []}),
        (
            "DescribeLimits",
            {},
            {
                "AccountMaxReadCapacityUnits": 80_000,
                "AccountMaxWriteCapacityUnits": 80_000,
                "TableMaxReadCapacityUnits": 40_000,
                "TableMaxWriteCapacityUnits": 40_000,
            },
        ),
    ],
)
def test_a_feature_that_is_off_answers_as_the_service_does(
    on_demand: Machine, operation: str, members: dict[str, Any], answer: object
) -> None:
    assert on_demand(operation, **members) == answer


@pytest.mark.parametrize(
    ("operation", "members", "code"),
    [
        ("DescribeContinuousBackups", {"TableName": "Uuu"}, "TableNotFoundException"),
        ("DescribeTimeToLive", {"TableName": "Uuu"}, "ResourceNotFoundException"),
        ("DescribeKinesisStreamingDestination", {"TableName": "Uuu"}, "ResourceNotFoundException"),
        ("GetResourcePolicy", {"ResourceArn": ARN}, "PolicyNotFoundException"),
        ("GetResourcePolicy", {"ResourceArn": ARN + "x"}, "ResourceNotFoundException"),
        ("DescribeBackup", {"BackupArn": ARN + "/backup/1"}, "BackupNotFoundException"),
        ("DescribeGlobalTable", {"GlobalTableName": "Ttt"}, "GlobalTableNotFoundException"),
        ("CreateBackup", {"TableName": "Ttt", "BackupName": "b"}, "ValidationException"),
        ("ExecuteTransaction", {"TransactStatements": []}, "ValidationException"),
    ],
)
def test_what_is_not_there_is_refused_with_the_services_code(
    on_demand: Machine, operation: str, members: dict[str, Any], code: str
) -> None:
    assert on_demand.refused(operation, **members)[0] == code


def test_the_table_of_operations_is_the_services_own_list_and_says_what_the_code_does() -> None:
    known = botocore.session.get_session().get_service_model("dynamodb").operation_names
    assert set(known) <= set(OFFERED) == set(OPERATIONS)
    assert {offer.status for offer in OFFERED.values()} == set(STATUSES)
    for name, offer in OFFERED.items():
        if offer.status == "off":
            assert name in READS
        # Of what is refused the page says which feature it belongs to.
        assert (offer.status == "refused") is (name in REFUSED) and (offer.note or offer.status != "refused")
    assert REFUSED.keys() == REFUSED_PARSERS.keys()


@pytest.mark.parametrize("operation", sorted(READS.keys() - REFUSED - {"SearchVectors"}))
def test_every_answer_of_a_feature_that_is_off_has_the_members_of_the_services_output(
    on_demand: Machine, operation: str
) -> None:
    """The service model, read from botocore: whatever we answer, a client can parse."""
    model = botocore.session.get_session().get_service_model("dynamodb").operation_model(operation)
    members: dict[str, Any] = {
        "TableName": "Ttt",
        "ResourceArn": ARN,
        "TableArn": ARN,
        "SourceTableArn": ARN,
    } | dict.fromkeys(
        ("BackupArn", "ExportArn", "ImportArn", "GlobalTableName", "BulkOperationArn", "TargetTableName", "S3Bucket"),
        "x" * 40,
    )
    members |= {"ReplicaUpdates": [], "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": False}}
    assert model.input_shape is not None and model.output_shape is not None
    body = {name: value for name, value in members.items() if name in model.input_shape.members}
    try:
        answer = on_demand(operation, **body)
    except DynamoError as error:
        assert error.code in {shape.name for shape in model.error_shapes}
        return
    assert set(answer) <= set(model.output_shape.members) and (answer or operation == "DeleteResourcePolicy")


@pytest.mark.parametrize("tag", [{"Key": "\ud800", "Value": "b"}, {"Key": "a", "Value": "\udfff"}])
def test_a_tag_with_half_a_surrogate_pair_is_refused_before_its_size_is_asked_for(tag: dict[str, str]) -> None:
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/things"
    with pytest.raises(DynamoError) as caught:
        parse("TagResource", {"ResourceArn": arn, "Tags": [tag]})
    assert caught.value.code == "SerializationException"

"""What CreateTable accepts, how a table is described, and which states it goes through (api.md §6, §8)."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from dynalab_model import tables
from dynalab_model.create_table import parse_create_table
from dynalab_model.errors import DynamoError
from dynalab_model.operations import CreateTable
from dynalab_model.schema import IndexSchema, KeyAttribute, KeySchema, TableSchema

INVALID = "One or more parameter values were invalid: "


def attribute(name: str, kind: str = "S") -> dict[str, str]:
    return {"AttributeName": name, "AttributeType": kind}


def key(*names: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": name, "KeyType": role} for name, role in zip(names, ("HASH", "RANGE", "RANGE"), strict=False)
    ]


def gsi(name: str, *names: str, **projection: object) -> dict[str, Any]:
    return {
        "IndexName": name,
        "KeySchema": key(*names),
        "Projection": projection or {"ProjectionType": "ALL"},
    }


def request(**members: object) -> dict[str, Any]:
    """A valid request for table Orders(id), with members replaced; None removes one."""
    body: dict[str, Any] = {
        "TableName": "Orders",
        "KeySchema": key("id"),
        "AttributeDefinitions": [attribute("id")],
        "BillingMode": "PAY_PER_REQUEST",
    }
    return {name: value for name, value in (body | members).items() if value is not None}


def refusal(body: dict[str, Any]) -> str:
    with pytest.raises(DynamoError) as caught:
        parse_create_table(body)
    assert caught.value.code == "ValidationException"
    return caught.value.message


def test_a_request_with_everything_gives_its_schema_and_settings() -> None:
    body = request(
        KeySchema=key("id", "at"),
        AttributeDefinitions=[attribute("id"), attribute("at", "N"), attribute("shop", "B")],
        GlobalSecondaryIndexes=[
            gsi("by_shop", "shop", "at", ProjectionType="INCLUDE", NonKeyAttributes=["total"]),
            gsi("flipped", "at", "id", ProjectionType="KEYS_ONLY"),
        ],
        DeletionProtectionEnabled=True,
        Tags=[{"Key": "team", "Value": "a"}],
    )
    before = copy.deepcopy(body)
    shop = IndexSchema("by_shop", KeySchema(KeyAttribute("shop", "B"), KeyAttribute("at", "N")), "INCLUDE", ("total",))
    flipped = IndexSchema("flipped", KeySchema(KeyAttribute("at", "N"), KeyAttribute("id", "S")), "KEYS_ONLY")
    schema = TableSchema("Orders", KeySchema(KeyAttribute("id", "S"), KeyAttribute("at", "N")), (shop, flipped))
    settings = {
        "BillingMode": "PAY_PER_REQUEST",
        "DeletionProtectionEnabled": True,
        "Tags": [{"Key": "team", "Value": "a"}],
    }
    assert parse_create_table(body) == CreateTable(schema, settings)
    assert body == before


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (request(TableName=None), "The parameter 'TableName' is required but was not present in the request"),
        (
            request(TableName="ab"),
            "1 validation error detected: Value 'ab' at 'tableName' failed to satisfy constraint: "
            "Member must have length greater than or equal to 3",
        ),
        (
            request(TableName="a b!"),
            "1 validation error detected: Value 'a b!' at 'tableName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
        ),
        (
            request(
                KeySchema=[{"AttributeName": "id", "KeyType": "hash"}], AttributeDefinitions=[attribute("id", "SS")]
            ),
            "2 validation errors detected: "
            "Value 'SS' at 'attributeDefinitions.1.member.attributeType' failed to satisfy constraint: "
            "Member must satisfy enum value set: [B, N, S]; "
            "Value 'hash' at 'keySchema.1.member.keyType' failed to satisfy constraint: "
            "Member must satisfy enum value set: [HASH, RANGE]",
        ),
        (
            request(KeySchema=None, AttributeDefinitions=None),
            "2 validation errors detected: "
            "Value null at 'attributeDefinitions' failed to satisfy constraint: Member must not be null; "
            "Value null at 'keySchema' failed to satisfy constraint: Member must not be null",
        ),
        (
            request(KeySchema=[]),
            "1 validation error detected: Value '[]' at 'keySchema' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1",
        ),
        (request(KeySchema=key("id", "other")), "Invalid KeySchema: Some index key attribute have no definition"),
        (
            request(KeySchema=key("other")),
            "One or more parameter values were invalid: Some index key attributes are not defined in "
            "AttributeDefinitions. Keys: [other], AttributeDefinitions: [id]",
        ),
        (
            request(KeySchema=[{"AttributeName": "id", "KeyType": "RANGE"}]),
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        ),
        (
            request(KeySchema=key("id", "id")),
            "Both the Hash Key and the Range Key element in the KeySchema have the same name",
        ),
        (
            request(
                KeySchema=[{"AttributeName": name, "KeyType": "HASH"} for name in ("id", "at")],
                AttributeDefinitions=[attribute("id"), attribute("at")],
            ),
            "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
        ),
        (
            request(AttributeDefinitions=[attribute("id"), attribute("unused")]),
            INVALID + "Number of attributes in KeySchema does not exactly match number of attributes defined in "
            "AttributeDefinitions",
        ),
        (
            request(GlobalSecondaryIndexes=[gsi("by_a", "a")]),
            INVALID + "Some index key attributes are not defined in AttributeDefinitions. "
            "Keys: [a], AttributeDefinitions: [id]",
        ),
        (request(GlobalSecondaryIndexes=[]), INVALID + "List of GlobalSecondaryIndexes is empty"),
        (
            request(GlobalSecondaryIndexes=[gsi("by_id", "id"), gsi("by_id", "id")]),
            INVALID + "Duplicate index name: by_id",
        ),
        (
            request(GlobalSecondaryIndexes=[gsi("by_id", "id", NonKeyAttributes=["x"])]),
            INVALID + "Unknown ProjectionType: null",
        ),
        (
            request(GlobalSecondaryIndexes=[gsi("by_id", "id", ProjectionType="ALL", NonKeyAttributes=["x"])]),
            INVALID + "ProjectionType is ALL, but NonKeyAttributes is specified",
        ),
        (
            request(GlobalSecondaryIndexes=[gsi(f"by_{n}", "id") for n in range(21)]),
            INVALID + "GlobalSecondaryIndex count exceeds the per-table limit of 20",
        ),
        (
            request(BillingMode=None),
            INVALID + "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        ),
        (
            request(ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}),
            INVALID + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is "
            "PAY_PER_REQUEST",
        ),
        (
            request(BillingMode=None, ProvisionedThroughput={"ReadCapacityUnits": 10**13, "WriteCapacityUnits": 1}),
            f"Given value {10**13} for ReadCapacityUnits is out of bounds",
        ),
        (
            request(
                GlobalSecondaryIndexes=[
                    gsi("by_id", "id") | {"ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}}
                ]
            ),
            INVALID + "ProvisionedThroughput should not be specified for index: by_id when BillingMode is "
            "PAY_PER_REQUEST",
        ),
    ],
)
def test_a_request_that_makes_no_table_is_refused_in_the_services_words(body: dict[str, Any], text: str) -> None:
    assert refusal(body) == text


@pytest.mark.parametrize(
    "member",
    [
        {"SSESpecification": {"Enabled": True}},
        {"ResourcePolicy": "{}"},
    ],
)
def test_what_is_not_built_yet_is_refused_by_name_and_not_forgotten(member: dict[str, object]) -> None:
    assert refusal(request(**member)) == f"{next(iter(member))} is not available in this version of dynalab"
    assert parse_create_table(request(StreamSpecification={"StreamEnabled": False})).schema.name == "Orders"


@pytest.mark.parametrize(
    ("member", "text"),
    [
        ({"TableName": 5}, "NUMBER_VALUE cannot be converted to String"),
        ({"KeySchema": "id"}, "Unexpected field type"),
        ({"KeySchema": [{"AttributeName": True, "KeyType": "HASH"}]}, "TRUE_VALUE cannot be converted to String"),
        ({"DeletionProtectionEnabled": "yes"}, "STRING_VALUE cannot be converted to Boolean"),
    ],
)
def test_a_wrong_json_type_is_a_serialization_error(member: dict[str, object], text: str) -> None:
    with pytest.raises(DynamoError) as caught:
        parse_create_table(request(**member))
    assert (caught.value.code, caught.value.message) == ("SerializationException", text)
    assert caught.value.body()["Message"] == text


def described(body: dict[str, Any], status: str = "ACTIVE", items: int = 0, size_bytes: int = 0) -> dict[str, Any]:
    op = parse_create_table(body)
    description: dict[str, Any] = tables.describe(op.schema, op.settings, status, 1_700_000_000.5, items, size_bytes)
    return description


def test_a_description_repeats_what_was_asked_for() -> None:
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
    body = request(
        BillingMode=None,
        ProvisionedThroughput=units,
        AttributeDefinitions=[attribute("id"), attribute("a", "N")],
        GlobalSecondaryIndexes=[
            gsi("by_a", "a", ProjectionType="INCLUDE", NonKeyAttributes=["x"]) | {"ProvisionedThroughput": units}
        ],
    )
    description = described(body, items=3, size_bytes=99)
    assert json.loads(json.dumps(description)) == description
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/Orders"
    expected_units = units | {"NumberOfDecreasesToday": 0}
    index = description.pop("GlobalSecondaryIndexes")
    assert len(description.pop("TableId")) == 36
    assert description == {
        "AttributeDefinitions": [attribute("id"), attribute("a", "N")],
        "TableName": "Orders",
        "KeySchema": key("id"),
        "TableStatus": "ACTIVE",
        "CreationDateTime": 1_700_000_000.5,
        "ProvisionedThroughput": expected_units,
        "TableSizeBytes": 99,
        "ItemCount": 3,
        "TableArn": arn,
        "DeletionProtectionEnabled": False,
        "WarmThroughput": {"ReadUnitsPerSecond": 5, "WriteUnitsPerSecond": 6, "Status": "ACTIVE"},
    }
    assert index == [
        {
            "IndexName": "by_a",
            "KeySchema": key("a"),
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x"]},
            "IndexStatus": "ACTIVE",
            "ProvisionedThroughput": expected_units,
            "IndexSizeBytes": 0,
            "ItemCount": 0,
            "IndexArn": arn + "/index/by_a",
            "WarmThroughput": {"ReadUnitsPerSecond": 5, "WriteUnitsPerSecond": 6, "Status": "ACTIVE"},
        }
    ]


def test_every_member_of_a_description_is_one_that_the_public_client_knows() -> None:
    from botocore.session import get_session

    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
    index = gsi("by_id", "id", ProjectionType="INCLUDE", NonKeyAttributes=["x"])
    provisioned = request(
        BillingMode=None,
        ProvisionedThroughput=units,
        GlobalSecondaryIndexes=[index | {"ProvisionedThroughput": units}],
        TableClass="STANDARD",
    )
    ceilings = {"MaxReadRequestUnits": 5, "MaxWriteRequestUnits": 6}
    on_demand = request(GlobalSecondaryIndexes=[index | {"OnDemandThroughput": ceilings}], OnDemandThroughput=ceilings)
    shape = get_session().get_service_model("dynamodb").shape_for("TableDescription")
    checked = [member for body in (provisioned, on_demand) for member in known_members(shape, described(body))]
    assert "GlobalSecondaryIndexes.Projection.NonKeyAttributes" in checked
    assert {"OnDemandThroughput.MaxReadRequestUnits", "WarmThroughput.Status"} <= set(checked)
    assert "GlobalSecondaryIndexes.OnDemandThroughput.MaxReadRequestUnits" in checked


def known_members(shape: Any, value: Any, path: str = "") -> list[str]:
    """The paths of all members of `value`; fails at one that has no place or another type in the client's shape."""
    kinds = {"string": str, "long": int, "integer": int, "boolean": bool, "timestamp": float, "double": float}
    if shape.type_name == "structure":
        unknown = set(value) - set(shape.members)
        assert not unknown, f"{path}: {unknown}"
        inner = [(f"{path}.{name}".lstrip("."), shape.members[name], part) for name, part in value.items()]
        return [each for where, member, part in inner for each in (where, *known_members(member, part, where))]
    if shape.type_name == "list":
        return [each for part in value for each in known_members(shape.member, part, path)]
    assert type(value) is kinds[shape.type_name], f"{path}: {value!r} is no {shape.type_name}"
    return []


def test_an_on_demand_table_says_so_and_has_no_provisioned_units() -> None:
    description = described(request(), "CREATING")
    assert description["TableStatus"] == "CREATING"
    assert description["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert description["ProvisionedThroughput"]["WriteCapacityUnits"] == 0


def test_tables_of_one_name_have_different_ids_when_made_at_different_times() -> None:
    schema = parse_create_table(request()).schema
    ids = [tables.describe(schema, {}, "ACTIVE", seconds)["TableId"] for seconds in (1.0, 1.0, 2.0)]
    assert ids[0] == ids[1] != ids[2]


def test_a_table_goes_through_its_states_in_order_and_never_skips_one() -> None:
    status = ""
    for following in ("CREATING", "ACTIVE", "UPDATING", "ACTIVE", "DELETING", ""):
        status = tables.step(status, following)
    assert set(tables.LIFE_CYCLE) == {"", "CREATING", "ACTIVE", "UPDATING", "DELETING"}
    for wrong in (("", "ACTIVE"), ("CREATING", "DELETING"), ("DELETING", "ACTIVE")):
        with pytest.raises(AssertionError):
            tables.step(*wrong)


@pytest.mark.parametrize(
    ("status", "protected", "code", "text"),
    [
        ("", False, "ResourceNotFoundException", "Requested resource not found: Table: T not found"),
        (
            "CREATING",
            False,
            "ResourceInUseException",
            "Attempt to change a resource which is still in use: Table is being created: T",
        ),
        (
            "UPDATING",
            False,
            "ResourceInUseException",
            "Attempt to change a resource which is still in use: Table is being updated: T",
        ),
        (
            "ACTIVE",
            True,
            "ValidationException",
            "Resource cannot be deleted as it is currently protected against deletion. "
            "Disable deletion protection first.",
        ),
    ],
)
def test_a_table_that_cannot_be_deleted_now_says_why(status: str, protected: bool, code: str, text: str) -> None:
    with pytest.raises(DynamoError) as caught:
        tables.check_deletable("T", status, protected)
    assert (caught.value.code, caught.value.message) == (code, text)


def test_a_table_being_created_is_not_found_and_one_being_deleted_still_serves() -> None:
    for status in ("", "CREATING"):
        with pytest.raises(DynamoError) as caught:
            tables.check_serves(status)
        assert caught.value.message == "Requested resource not found"
    served = [tables.check_serves(status) for status in ("ACTIVE", "UPDATING", "DELETING")]  # type: ignore[func-returns-value]
    assert len(served) == 3


def test_table_names_come_in_byte_order_page_by_page() -> None:
    names = ["b", "a", "B", "c"]
    first = tables.list_tables(names, None, 3)
    assert first == {"TableNames": ["B", "a", "b"], "LastEvaluatedTableName": "b"}
    assert tables.list_tables(names, "b", 3) == {"TableNames": ["c"]}
    assert tables.list_tables(names, None, 4) == {"TableNames": ["B", "a", "b", "c"]}

"""Validators compiled from the service's shapes: they agree with the installed client, and their two paths agree."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.session import get_session
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from dynalab import shapes as script
from dynalab_model import shape_table
from dynalab_model.errors import DynamoError
from dynalab_model.fields import named_table
from dynalab_model.requests import parse
from dynalab_model.shapes import REQUESTS, Shape, shape

ONE = "1 validation error detected: "
ENUM = "failed to satisfy constraint: Member must satisfy enum value set:"


def test_the_committed_table_is_what_the_installed_botocore_says() -> None:
    version, operations, shapes = script.installed()
    assert script.differences(operations, shapes) == []
    assert script.written(shape_table.VERSION.removeprefix("botocore "), operations, shapes) == script.TABLE.read_text()
    assert version.split(".")[0] == shape_table.VERSION.removeprefix("botocore ").split(".")[0]


def test_a_shape_that_changes_fails_the_comparison(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main(["--check"]) == 0
    load = Loader.load_service_model

    def changed(self: Loader, *arguments: str) -> Any:
        model = copy.deepcopy(load(self, *arguments))
        model["shapes"].get("IndexName", {})["max"] = 300
        return model

    monkeypatch.setattr(Loader, "load_service_model", changed)
    assert script.main(["--check"]) == 1
    assert "IndexName: string 3..255 ~ [a-zA-Z0-9_.-]+ is now string 3..300 ~" in capsys.readouterr().out


def test_every_operation_of_both_services_has_a_validator() -> None:
    session = get_session()
    for service, count in (("dynamodb", 62), ("dynamodbstreams", 4)):
        names = session.get_service_model(service).operation_names
        assert len(names) == count
        assert set(names) <= set(REQUESTS)
    assert len(REQUESTS) == 66


# --- words and order --------------------------------------------------------------------------------------------------


def refused(operation: str, body: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(DynamoError) as caught:
        REQUESTS[operation].check_named(body, named_table)
    return caught.value.code, caught.value.message


def test_types_come_before_the_name_the_name_before_enums_and_enums_before_bounds() -> None:
    body: dict[str, Any] = {
        "TableName": "T!",
        "IndexName": "ab",
        "Limit": 0,
        "TotalSegments": 1_000_001,
        "ReturnConsumedCapacity": "x",
        "Select": "y",
        "ScanFilter": {"a": {"ComparisonOperator": "MEDIAN"}, "b": {}},
        "ConsistentRead": "yes",
    }
    assert refused("Scan", body) == ("SerializationException", "STRING_VALUE cannot be converted to Boolean")
    body["ConsistentRead"] = True
    assert refused("Scan", body) == (
        "ValidationException",
        f"{ONE}Value 'T!' at 'tableName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
    )
    body["TableName"] = "Ttt"
    assert refused("Scan", body) == (
        "ValidationException",
        "3 validation errors detected: "
        f"Value 'y' at 'select' {ENUM} [SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES]; "
        f"Value 'x' at 'returnConsumedCapacity' {ENUM} [INDEXES, TOTAL, NONE]; "
        f"Value 'MEDIAN' at 'scanFilter.a.member.comparisonOperator' {ENUM} "
        "[IN, NULL, BETWEEN, LT, NOT_CONTAINS, EQ, GT, NOT_NULL, NE, LE, BEGINS_WITH, GE, CONTAINS]",
    )
    del body["Select"], body["ReturnConsumedCapacity"], body["ScanFilter"]["a"]
    assert refused("Scan", body) == (
        "ValidationException",
        "4 validation errors detected: "
        "Value 'ab' at 'indexName' failed to satisfy constraint: Member must have length greater than or equal to 3; "
        "Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1; "
        "Value null at 'scanFilter.b.member.comparisonOperator' failed to satisfy constraint: Member must not be null; "
        "Value '1000001' at 'totalSegments' failed to satisfy constraint: Member must have value less than or equal to "
        "1000000",
    )


def test_at_most_ten_broken_constraints_are_told() -> None:
    tags = [{"Key": "", "Value": "v"}] * 12
    with pytest.raises(DynamoError) as caught:
        REQUESTS["TagResource"].check({"ResourceArn": "arn", "Tags": tags})
    assert caught.value.message.startswith("10 validation errors detected: Value '' at 'tags.1.member.key' failed")
    assert caught.value.message.count("Member must have length greater than or equal to 1") == 10


@pytest.mark.parametrize(
    ("operation", "body", "words"),
    [
        (
            "UntagResource",
            {"ResourceArn": "arn", "TagKeys": ["a", ""]},
            "Value '[a, ]' at 'tagKeys' failed to satisfy constraint: Member must satisfy constraint: "
            "[Member must have length less than or equal to 128, Member must have length greater than or equal to 1]",
        ),
        (
            "TransactWriteItems",
            {"TransactItems": [{"Put": {"TableName": "T"}}], "ClientRequestToken": "x" * 37},
            None,
        ),
        (
            "ListTables",
            {"Limit": 101},
            "Value '101' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 100",
        ),
        (
            "DescribeBackup",
            {"BackupArn": "short"},
            "Value 'short' at 'backupArn' failed to satisfy constraint: Member must have length greater than or equal "
            "to 37",
        ),
        (
            "CreateBackup",
            {"TableName": "T", "BackupName": "a b"},
            "Value 'a b' at 'backupName' failed to satisfy constraint: Member must satisfy regular expression pattern: "
            "[a-zA-Z0-9_.-]+",
        ),
        (
            "GetShardIterator",
            {"StreamArn": "s" * 40, "ShardId": "s" * 30, "ShardIteratorType": "NEWEST"},
            f"Value 'NEWEST' at 'shardIteratorType' {ENUM} [TRIM_HORIZON, LATEST, AT_SEQUENCE_NUMBER, "
            "AFTER_SEQUENCE_NUMBER, AT_TIMESTAMP]",
        ),
    ],
)
def test_a_constraint_of_the_table_is_told_in_the_services_words(
    operation: str, body: dict[str, Any], words: str | None
) -> None:
    with pytest.raises(DynamoError) as caught:
        REQUESTS[operation].check(body)
    if words is None:
        assert caught.value.message == (
            "2 validation errors detected: "
            "Value null at 'transactItems.1.member.put.item' failed to satisfy constraint: Member must not be null; "
            f"Value '{'x' * 37}' at 'clientRequestToken' failed to satisfy constraint: Member must have length less "
            "than or equal to 36"
        )
    else:
        assert caught.value.message == ONE + words


def test_a_whole_number_is_a_time_and_a_long_has_its_own_name() -> None:
    export = {"TableArn": "arn:aws:dynamodb:us-east-1:000000000000:table/T", "S3Bucket": "bucket"}
    REQUESTS["ExportTableToPointInTime"].check(export | {"ExportTime": 1_700_000_000})
    REQUESTS["ExportTableToPointInTime"].check(export | {"ExportTime": 1_700_000_000.5})
    with pytest.raises(DynamoError) as caught:
        REQUESTS["CreateTable"].check({"ProvisionedThroughput": {"ReadCapacityUnits": "5"}})
    assert caught.value.message == "STRING_VALUE can not be converted to a Long"


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("UpdateItem", {"Key": {}, "AttributeUpdates": {"a": {"Value": {"S": 5}}}}),
        ("PutItem", {"Item": {}, "Expected": {"a": {"AttributeValueList": [{"S": "x"}, {"S": 5}]}}}),
        ("Query", {"KeyConditions": {"a": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": 5}]}}}),
        ("BatchGetItem", {"RequestItems": {"a b": {"Keys": [{"pk": {"L": [{"S": 5}]}}]}}}),
        ("BatchWriteItem", {"RequestItems": {"a b": [{"PutRequest": {"Item": {"pk": {"M": {"x": {"S": 5}}}}}}]}}),
    ],
)
def test_a_wrong_type_inside_an_attribute_value_is_told_first_wherever_it_is(
    operation: str, members: dict[str, Any]
) -> None:
    with pytest.raises(DynamoError) as caught:
        parse(operation, {"TableName": "a b", "ReturnConsumedCapacity": "X", **members})
    assert (caught.value.code, caught.value.message) == (
        "SerializationException",
        "NUMBER_VALUE cannot be converted to String",
    )


# --- the two paths ----------------------------------------------------------------------------------------------------

ODD = st.sampled_from(["", "x", "ab", "a!b", "x" * 40, 0, 1, -1, 10**7, 1.5, True, None, {}, [], [None], {"a": None}])
SCALAR = st.sampled_from(["", "x", 0, 1.5, True, None])
VALUES = st.sampled_from([{"S": "a"}, {"N": "1"}])


def bodies(of: Shape, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values of a shape, with something odd in it now and then."""
    if of.name == "AttributeValue":
        return VALUES
    if of.kind == "structure":
        members = {member.name: bodies(member.shape, depth + 1) for member in of.members}
        required = {member.name: members.pop(member.name) for member in of.members if member.required}
        if depth > 3:
            members = {}
        few = dict(list(members.items())[:4]) if depth else members
        return st.fixed_dictionaries(required, optional=few) | (ODD if depth else st.nothing())
    if of.kind == "enum":
        return st.sampled_from(shape_table.SHAPES[of.name].split()[1:]) | ODD
    if of.element is not None:
        inside = bodies(of.element, depth + 1)
        # What is inside attribute values is not this room's: there, nothing odd.
        odd = SCALAR if of.element.name == "AttributeValue" else ODD
        if of.kind == "map":
            return st.dictionaries(st.sampled_from(["a", "Orders"]), inside, max_size=2) | odd
        return st.lists(inside, max_size=2) | odd
    plain = {"boolean": st.booleans(), "integer": st.integers(-1, 3), "long": st.integers(-1, 3)}
    return plain.get(of.kind, st.sampled_from(["Orders", "a", "x" * 300, ""])) | ODD


@pytest.mark.parametrize("operation", sorted(REQUESTS))
@settings(max_examples=30)
@given(data=st.data())
def test_what_the_fast_path_lets_through_the_slow_path_would_not_have_refused(
    operation: str, data: st.DataObject
) -> None:
    request = REQUESTS[operation]
    body = data.draw(bodies(request.shape))
    refusal = None
    try:
        request.shape.check_types(body)
        request._refuse(body)
    except DynamoError as error:
        refusal = error
    if request.fits(body):
        assert refusal is None
    if refusal is not None:
        assert refusal.code in ("SerializationException", "ValidationException") and refusal.message


@pytest.mark.parametrize("operation", ["Query", "CreateTable", "UpdateTable", "TransactWriteItems", "TagResource"])
@settings(max_examples=60)
@given(data=st.data())
def test_what_the_client_refuses_before_sending_is_not_let_through(operation: str, data: st.DataObject) -> None:
    """The client asks for types, required members and lower bounds; we ask for these and for more."""
    request = REQUESTS[operation]
    body = data.draw(bodies(request.shape))
    model = get_session().get_service_model("dynamodb").operation_model(operation)
    assert model.input_shape is not None
    known = {name: part for name, part in body.items() if part is not None}
    report = ParamValidator().validate(known, model.input_shape)
    if request.fits(body) and "TableName" not in str(report.generate_report()):
        # Nulls inside are absent members to the service, and wrong types to the client.
        assert not report.has_errors() or "None" in str(body)


def test_a_request_that_fits_is_not_looked_at_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: Shape, value: object) -> None:
        raise AssertionError("the slow path was taken")

    monkeypatch.setattr(Shape, "check_types", never)
    body = {"TableName": "Orders", "Key": {"pk": {"S": "a"}}, "ReturnConsumedCapacity": "TOTAL", "Zebra": 1}
    assert REQUESTS["GetItem"].check_named(body, named_table) == "Orders"
    with pytest.raises(AssertionError, match="slow path"):
        REQUESTS["GetItem"].check_named({"TableName": "Orders"}, named_table)
    assert shape("GetItemInput") is REQUESTS["GetItem"].shape

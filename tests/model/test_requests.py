"""From JSON to operations: the checks that need no table, their words and their order.

Words and order are those of api.md §1, §6.1, §8 and expressions.md §7.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from dynalab_model.errors import DynamoError
from dynalab_model.operations import (
    DeleteItem,
    DeleteTable,
    DescribeTable,
    GetItem,
    ListTables,
    Operation,
    PutItem,
    Query,
    Scan,
    UpdateItem,
)
from dynalab_model.requests import OPERATIONS, parse

KEY: dict[str, Any] = {"pk": {"S": "a"}}
MINIMAL: dict[str, dict[str, Any]] = {
    "GetItem": {"TableName": "T", "Key": KEY},
    "PutItem": {"TableName": "T", "Item": KEY},
    "UpdateItem": {"TableName": "T", "Key": KEY},
    "DeleteItem": {"TableName": "T", "Key": KEY},
    "Query": {
        "TableName": "T",
        "KeyConditionExpression": "pk = :p",
        "ExpressionAttributeValues": {":p": {"S": "a"}},
    },
    "Scan": {"TableName": "T"},
}
INVALID = "One or more parameter values were invalid: "
ONE = "1 validation error detected: "


def error(operation: str, /, *, bare: bool = False, **members: object) -> DynamoError:
    """The refusal of the operation's smallest request with members changed; None removes one."""
    body = copy.deepcopy(members if bare else MINIMAL[operation] | members)
    with pytest.raises(DynamoError) as caught:
        parse(operation, {name: value for name, value in body.items() if value is not None})
    return caught.value


def text(operation: str, /, **members: object) -> str:
    refused = error(operation, bare=False, **members)
    assert (refused.code, refused.status) == ("ValidationException", 400)
    return refused.message


# --- what passes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "body", "expected"),
    [
        ("GetItem", MINIMAL["GetItem"], GetItem("T", KEY)),
        (
            "GetItem",
            MINIMAL["GetItem"]
            | {
                "ConsistentRead": True,
                "ProjectionExpression": "#a, b[1]",
                "ExpressionAttributeNames": {"#a": "size"},
                "ReturnConsumedCapacity": "TOTAL",
            },
            GetItem("T", KEY, True, "#a, b[1]", {"#a": "size"}, "TOTAL"),
        ),
        (
            "PutItem",
            {
                "TableName": "T",
                "Item": {"pk": {"N": "01.50"}},
                "ConditionExpression": "pk <> :v",
                "ExpressionAttributeValues": {":v": {"N": "1E2"}},
                "ReturnValues": "ALL_OLD",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                "ReturnConsumedCapacity": "INDEXES",
                "ReturnItemCollectionMetrics": "SIZE",
            },
            PutItem(
                "T",
                {"pk": {"N": "1.5"}},
                "pk <> :v",
                {},
                {":v": {"N": "100"}},
                "ALL_OLD",
                "ALL_OLD",
                "INDEXES",
                metrics="SIZE",
            ),
        ),
        ("DeleteItem", MINIMAL["DeleteItem"], DeleteItem("T", KEY)),
        (
            "UpdateItem",
            MINIMAL["UpdateItem"]
            | {
                "UpdateExpression": "SET a = :v",
                "ExpressionAttributeValues": {":v": {"BOOL": True}},
                "ReturnValues": "UPDATED_NEW",
            },
            UpdateItem("T", KEY, "SET a = :v", values={":v": {"BOOL": True}}, return_values="UPDATED_NEW"),
        ),
        (
            "Query",
            MINIMAL["Query"]
            | {
                "IndexName": "by_a",
                "ScanIndexForward": False,
                "Limit": 3,
                "ExclusiveStartKey": {"pk": {"N": "1.0"}},
                "Select": "COUNT",
            },
            Query(
                "T",
                "pk = :p",
                "by_a",
                values={":p": {"S": "a"}},
                limit=3,
                forward=False,
                start_key={"pk": {"N": "1"}},
                select="COUNT",
            ),
        ),
        (
            "Scan",
            MINIMAL["Scan"] | {"Segment": 0, "TotalSegments": 4, "ConsistentRead": True},
            Scan("T", consistent=True, segment=0, total_segments=4),
        ),
        ("ListTables", {}, ListTables(None, 100)),
        ("ListTables", {"Limit": 7, "ExclusiveStartTableName": "abc"}, ListTables("abc", 7)),
        ("DescribeTable", {"TableName": "T"}, DescribeTable("T")),
        ("DeleteTable", {"TableName": "T"}, DeleteTable("T")),
    ],
)
def test_a_valid_request_becomes_its_operation_with_numbers_in_normal_form(
    operation: str, body: dict[str, Any], expected: Operation
) -> None:
    before = copy.deepcopy(body)
    assert parse(operation, body) == expected
    assert body == before, "the request itself is not changed"


def test_a_table_may_be_named_by_its_arn_and_nulls_and_unknown_members_are_ignored() -> None:
    arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/Orders"
    op = parse("GetItem", {"TableName": arn, "Key": KEY, "ConsistentRead": None, "Zebra": 1, "AttributesToGet": None})
    assert op == GetItem("Orders", KEY)


def test_a_name_that_is_no_operation_is_refused_without_a_message() -> None:
    assert {*MINIMAL, "CreateTable", "DescribeTable", "ListTables", "DeleteTable"} < set(OPERATIONS)
    refused = error("BatchFetchItem", bare=True, TableName="T")
    assert refused.code == "UnknownOperationException"
    assert set(refused.body()) == {"__type"}


# --- types and constraints ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "members", "words"),
    [
        ("GetItem", {"TableName": 7}, "NUMBER_VALUE cannot be converted to String"),
        ("GetItem", {"ConsistentRead": "true"}, "STRING_VALUE cannot be converted to Boolean"),
        ("GetItem", {"Key": "a"}, "Unexpected field type"),
        ("GetItem", {"Key": {"pk": "a"}}, "Unexpected field type"),
        ("PutItem", {"Item": {"pk": {"S": 5}}}, "NUMBER_VALUE cannot be converted to String"),
        ("Query", {"Limit": "3"}, "STRING_VALUE can not be converted to an Integer"),
        ("Query", {"Limit": True}, "TRUE_VALUE can not be converted to an Integer"),
        ("Scan", {"FilterExpression": {}}, "Start of structure or map found where not expected"),
    ],
)
def test_a_wrong_json_type_is_told_before_anything_else(operation: str, members: dict[str, Any], words: str) -> None:
    refused = error(operation, **members, ReturnConsumedCapacity="bad", Select="bad")
    assert (refused.code, refused.message) == ("SerializationException", words)


@pytest.mark.parametrize("operation", list(MINIMAL))
def test_a_broken_table_name_is_told_alone_and_before_all_other_constraints(operation: str) -> None:
    also_wrong: dict[str, Any] = {"ReturnConsumedCapacity": "bad", "Key": None, "Item": None}
    path = "'tableName' failed to satisfy constraint: Member must "
    assert text(operation, TableName=None, **also_wrong) == f"{ONE}Value null at {path}not be null"
    assert (
        text(operation, TableName="", **also_wrong) == f"{ONE}Value '' at {path}have length greater than or equal to 1"
    )
    assert (
        text(operation, TableName="a b", **also_wrong)
        == f"{ONE}Value 'a b' at {path}satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
    )
    assert (
        text(operation, TableName="arn:aws:dynamodb:nowhere", **also_wrong)
        == "Invalid TableArn: Invalid ResourceArn provided as input arn:aws:dynamodb:nowhere"
    )


def test_table_operations_ask_for_their_table_in_words_of_their_own() -> None:
    for operation in ("DescribeTable", "DeleteTable"):
        assert (
            error(operation, bare=True).message
            == "The parameter 'TableName' is required but was not present in the request"
        )


def test_all_wrong_enums_come_in_one_envelope_in_the_services_order() -> None:
    at = "failed to satisfy constraint: Member must satisfy enum value set:"
    assert text(
        "PutItem", ReturnValues="a", ReturnItemCollectionMetrics="b", ReturnConsumedCapacity="c", Item=None
    ) == (
        "3 validation errors detected: "
        f"Value 'c' at 'returnConsumedCapacity' {at} [INDEXES, TOTAL, NONE]; "
        f"Value 'b' at 'returnItemCollectionMetrics' {at} [SIZE, NONE]; "
        f"Value 'a' at 'returnValues' {at} [ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]"
    )
    assert text("Query", Select="X") == (
        f"{ONE}Value 'X' at 'select' {at} [SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES]"
    )


@pytest.mark.parametrize(
    ("operation", "members", "words"),
    [
        ("GetItem", {"Key": None}, "Value null at 'key' failed to satisfy constraint: Member must not be null"),
        ("PutItem", {"Item": None}, "Value null at 'item' failed to satisfy constraint: Member must not be null"),
        (
            "Query",
            {"Limit": 0},
            "Value at 'Limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
        ),
        (
            "Scan",
            {"Limit": 0},
            "Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
        ),
        (
            "Scan",
            {"IndexName": "ab"},
            "Value 'ab' at 'indexName' failed to satisfy constraint: "
            "Member must have length greater than or equal to 3",
        ),
        (
            "Scan",
            {"TotalSegments": 1_000_001, "Segment": 0},
            "Value '1000001' at 'totalSegments' failed to satisfy constraint: "
            "Member must have value less than or equal to 1000000",
        ),
    ],
)
def test_a_broken_constraint_is_told_in_an_envelope(operation: str, members: dict[str, Any], words: str) -> None:
    assert text(operation, **members) == ONE + words


def test_list_tables_takes_one_to_a_hundred() -> None:
    for limit, words in ((0, "greater than or equal to 1"), (101, "less than or equal to 100")):
        assert error("ListTables", bare=True, Limit=limit).message == (
            f"{ONE}Value '{limit}' at 'limit' failed to satisfy constraint: Member must have value {words}"
        )


# --- styles and placeholders --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "members", "words"),
    [
        (
            "PutItem",
            {"Expected": {}, "ConditionExpression": "a = :v"},
            "Can not use both expression and non-expression parameters in the same request: "
            "Non-expression parameters: {Expected} Expression parameters: {ConditionExpression}",
        ),
        (
            "PutItem",
            {"ExpressionAttributeNames": {"#a": "a"}},
            "ExpressionAttributeNames can only be specified when using expressions",
        ),
        (
            "PutItem",
            {"ExpressionAttributeValues": {":a": {"S": "a"}}},
            "ExpressionAttributeValues can only be specified when using expressions: ConditionExpression is null",
        ),
        (
            "UpdateItem",
            {"ExpressionAttributeValues": {":a": {"S": "a"}}},
            "ExpressionAttributeValues can only be specified when using expressions: "
            "UpdateExpression and ConditionExpression are null",
        ),
        (
            "Scan",
            {"ExpressionAttributeValues": {":a": {"S": "a"}}, "ProjectionExpression": "a"},
            "ExpressionAttributeValues can only be specified when using expressions: FilterExpression is null",
        ),
        (
            "PutItem",
            {"ConditionExpression": "a = :v", "ExpressionAttributeNames": {}},
            "ExpressionAttributeNames must not be empty",
        ),
        (
            "PutItem",
            {"ConditionExpression": "a = :v", "ExpressionAttributeValues": {}},
            "ExpressionAttributeValues must not be empty",
        ),
        (
            "PutItem",
            {"ConditionExpression": "a = :v", "ExpressionAttributeNames": {"a": "a"}},
            'ExpressionAttributeNames contains invalid key: Syntax error; key: "a"',
        ),
        (
            "PutItem",
            {"ConditionExpression": "a = :v", "ExpressionAttributeValues": {"v": {"S": "a"}}},
            'ExpressionAttributeValues contains invalid key: Syntax error; key: "v"',
        ),
        (
            "PutItem",
            {"ConditionExpression": "a = :v", "ExpressionAttributeValues": {":u": {"S": "a"}, ":v": {"SS": []}}},
            "ExpressionAttributeValues contains invalid value: One or more parameter values were invalid: "
            "An string set  may not be empty for key :v",
        ),
        (
            "PutItem",
            {
                "ConditionExpression": "a = :v",
                "ExpressionAttributeNames": {"#x": "a"},
                "ExpressionAttributeValues": {":v": {"S": "a"}},
            },
            "Value provided in ExpressionAttributeNames unused in expressions: keys: {#x}",
        ),
        (
            "PutItem",
            {"ConditionExpression": "a = :v", "ExpressionAttributeValues": {":v": {"S": "a"}, ":w": {"S": "b"}}},
            "Value provided in ExpressionAttributeValues unused in expressions: keys: {:w}",
        ),
        (
            "Query",
            {"KeyConditionExpression": None, "ExpressionAttributeValues": None},
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
        ),
        ("PutItem", {"ReturnValues": "ALL_NEW"}, "ReturnValues can only be ALL_OLD or NONE"),
        ("DeleteItem", {"ReturnValues": "UPDATED_OLD"}, "ReturnValues can only be ALL_OLD or NONE"),
        (
            "PutItem",
            {"ConditionExpression": ""},
            "Invalid ConditionExpression: The expression can not be empty;",
        ),
        (
            "Scan",
            {"Select": "SPECIFIC_ATTRIBUTES"},
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
        ),
        (
            "Scan",
            {"Select": "COUNT", "ProjectionExpression": "a"},
            "Cannot specify the ProjectionExpression when choosing to get COUNT",
        ),
        (
            "Query",
            {"Select": "ALL_PROJECTED_ATTRIBUTES"},
            "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
        ),
        (
            "Scan",
            {"Segment": 0},
            "The TotalSegments parameter is required but was not present in the request "
            "when Segment parameter is present",
        ),
        (
            "Scan",
            {"TotalSegments": 2},
            "The Segment parameter is required but was not present in the request "
            "when parameter TotalSegments is present",
        ),
        (
            "Scan",
            {"Segment": 5, "TotalSegments": 5},
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: "
            "Segment: 5 is not less than TotalSegments: 5",
        ),
        (
            "Scan",
            {"ExclusiveStartKey": {"pk": {}}},
            "The provided starting key is invalid: "
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
        ),
    ],
)
def test_members_that_do_not_go_together_are_refused_in_the_services_words(
    operation: str, members: dict[str, Any], words: str
) -> None:
    assert text(operation, **members) == words


def test_the_checks_of_a_write_come_in_the_services_order() -> None:
    """Each request holds all the mistakes that come later; what is told is the first."""
    mistakes: list[tuple[dict[str, Any], str]] = [
        ({"TableName": "a b"}, "tableName"),
        ({"ReturnConsumedCapacity": "bad"}, "returnConsumedCapacity"),
        ({"Item": None}, "'item'"),
        ({"Expected": {}}, "Can not use both"),
        ({"ExpressionAttributeNames": {}}, "ExpressionAttributeNames must not be empty"),
        ({"Item": {"pk": {"NULL": False}}}, "Null attribute value types"),
        ({"ReturnValues": "ALL_NEW"}, "ReturnValues can only be"),
        ({"ConditionExpression": "a ="}, "Invalid ConditionExpression: Syntax error"),
        ({"ExpressionAttributeValues": {":v": {"S": "a"}, ":w": {"S": "b"}}}, "unused in expressions: keys: {:w}"),
        ({"Item": KEY | {"fill": {"S": "x" * 409_600}}}, "Item size has exceeded the maximum allowed size"),
    ]
    correct: dict[str, Any] = {
        "ConditionExpression": "a = :v",
        "ExpressionAttributeValues": {":v": {"S": "a"}},
    }
    for number, (_, words) in enumerate(mistakes):
        members: dict[str, Any] = dict(correct)
        for mistake, _ in reversed(mistakes[number:]):
            members.update(mistake)
        assert words in text("PutItem", **members), words


@pytest.mark.claim("S32")
def test_a_put_of_400_kb_passes_and_one_byte_more_does_not() -> None:
    room = 409_600 - len("pk" + "a" + "fill")
    assert isinstance(parse("PutItem", {"TableName": "T", "Item": KEY | {"fill": {"S": "x" * room}}}), PutItem)
    assert text("PutItem", Item=KEY | {"fill": {"S": "x" * (room + 1)}}) == (
        "Item size has exceeded the maximum allowed size"
    )

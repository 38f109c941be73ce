"""The service's errors, one row each: name, status, text."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_model import errors
from dynalab_model.errors import DynamoError

SERVICE = "com.amazonaws.dynamodb.v20120810#"
KEY = {"pk": {"S": "errors"}}


def told(error: DynamoError) -> tuple[int, dict[str, Any]]:
    return error.status, error.body()


@pytest.mark.row("error:ConditionalCheckFailed")
def test_a_false_condition_is_told_with_the_item_where_that_was_asked_for(service: Any) -> None:
    service("PutItem", TableName="Hash", Item=KEY)
    once = {"TableName": "Hash", "Item": KEY, "ConditionExpression": "attribute_not_exists(pk)"}
    body = {"__type": SERVICE + "ConditionalCheckFailedException", "message": "The conditional request failed"}
    assert told(service.refused("PutItem", **once)) == (400, body)
    error = service.refused("PutItem", **once, ReturnValuesOnConditionCheckFailure="ALL_OLD")
    assert told(error) == (400, body | {"Item": {"pk": {"S": "errors"}}})
    absent = {"TableName": "Hash", "Key": {"pk": {"S": "never there"}}, "ConditionExpression": "attribute_exists(pk)"}
    error = service.refused("DeleteItem", **absent, ReturnValuesOnConditionCheckFailure="ALL_OLD")
    assert told(error) == (400, body)


@pytest.mark.row("error:ResourceNotFound-data")
@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("GetItem", {"TableName": "Nowhere", "Key": KEY}),
        ("PutItem", {"TableName": "Nowhere", "Item": KEY}),
        ("UpdateItem", {"TableName": "Nowhere", "Key": KEY}),
        ("DeleteItem", {"TableName": "Nowhere", "Key": KEY}),
        ("Scan", {"TableName": "Nowhere"}),
        ("BatchGetItem", {"RequestItems": {"Nowhere": {"Keys": [KEY]}}}),
        ("BatchWriteItem", {"RequestItems": {"Nowhere": [{"PutRequest": {"Item": KEY}}]}}),
    ],
)
def test_the_data_plane_does_not_name_a_table_that_is_not_there(
    service: Any, operation: str, body: dict[str, Any]
) -> None:
    assert told(service.refused(operation, **body)) == (
        400,
        {"__type": SERVICE + "ResourceNotFoundException", "message": "Requested resource not found"},
    )


@pytest.mark.row("error:ResourceNotFound-control")
@pytest.mark.parametrize(
    ("operation", "members"),
    [("DescribeTable", {}), ("DeleteTable", {}), ("UpdateTable", {"DeletionProtectionEnabled": True})],
)
def test_the_control_plane_names_it(service: Any, operation: str, members: dict[str, Any]) -> None:
    assert told(service.refused(operation, TableName="Nowhere", **members)) == (
        400,
        {
            "__type": SERVICE + "ResourceNotFoundException",
            "message": "Requested resource not found: Table: Nowhere not found",
        },
    )


@pytest.mark.row("error:AccessDenied")
@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("ListTagsOfResource", {}),
        ("TagResource", {"Tags": [{"Key": "a", "Value": "b"}]}),
        ("UntagResource", {"TagKeys": ["a"]}),
    ],
)
def test_whose_tags_are_of_no_table_is_not_the_callers_to_know(
    service: Any, operation: str, members: dict[str, Any]
) -> None:
    resource = "arn:aws:dynamodb:us-east-1:000000000000:table/Nowhere"
    status, body = told(service.refused(operation, ResourceArn=resource, **members))
    assert (status, body["__type"]) == (400, "com.amazon.coral.service#AccessDeniedException")
    (message,) = (value for name, value in body.items() if name.lower() == "message")
    who, _, what = message.partition(" is not authorized to perform: ")
    assert who.startswith("User: arn:aws:iam::000000000000:")
    assert what == (
        f"dynamodb:{operation} on resource: {resource} because no identity-based policy allows the "
        f"dynamodb:{operation} action"
    )


@pytest.mark.row("error:ResourceInUse-exists")
def test_a_second_table_of_one_name_is_refused(service: Any) -> None:
    again = {
        "TableName": "Hash",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    }
    assert told(service.refused("CreateTable", **again)) == (
        400,
        {"__type": SERVICE + "ResourceInUseException", "message": "Table already exists: Hash"},
    )


@pytest.mark.row("error:ResourceInUse-changing", "error:ResourceNotFound-creating")
def test_a_table_that_is_being_created_or_updated_is_in_use() -> None:
    """On the reference machine, whose states take the time that the test says."""
    from dynalab_model.database import State, apply
    from dynalab_model.requests import parse

    state = State(create_ns=10, update_ns=10, delete_ns=10)
    now_ns = 0

    def call(operation: str, **body: Any) -> Any:
        nonlocal state
        state, answer = apply(state, parse(operation, body), now_ns)
        return answer

    call(
        "CreateTable",
        TableName="Slow",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )
    start = "Attempt to change a resource which is still in use: Table is being "
    refused = call("DeleteTable", TableName="Slow")
    assert (refused.code, refused.message) == ("ResourceInUseException", start + "created: Slow")
    refused = call("GetItem", TableName="Slow", Key=KEY)
    assert (refused.code, refused.message) == ("ResourceNotFoundException", "Requested resource not found")
    now_ns = 10
    call("UpdateTable", TableName="Slow", DeletionProtectionEnabled=False)
    refused = call("UpdateTable", TableName="Slow", DeletionProtectionEnabled=True)
    assert (refused.code, refused.message) == ("ResourceInUseException", start + "updated: Slow")
    now_ns = 20
    assert call("DeleteTable", TableName="Slow")["TableDescription"]["TableStatus"] == "DELETING"
    refused = call("UpdateTable", TableName="Slow", DeletionProtectionEnabled=True)
    assert (refused.code, refused.message) == ("ResourceInUseException", start + "deleted: Slow")
    assert call("DeleteTable", TableName="Slow")["TableDescription"]["TableStatus"] == "DELETING"


@pytest.mark.row("error:LimitExceeded-decreases")
def test_throughput_is_lowered_only_so_often(service: Any) -> None:
    service(
        "CreateTable",
        TableName="Lowered",
        ProvisionedThroughput={"ReadCapacityUnits": 9, "WriteCapacityUnits": 1},
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )
    service.pair.wait_active("Lowered")
    for units in (8, 7, 6, 5):
        throughput = {"ReadCapacityUnits": units, "WriteCapacityUnits": 1}
        service("UpdateTable", TableName="Lowered", ProvisionedThroughput=throughput)
    throughput = {"ReadCapacityUnits": 4, "WriteCapacityUnits": 1}
    error = service.refused("UpdateTable", TableName="Lowered", ProvisionedThroughput=throughput)
    assert error.code == "LimitExceededException"
    assert error.message.startswith(
        "Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day"
    )


@pytest.mark.row("error:Throttling-control-plane")
def test_throttling_of_the_control_plane_has_a_namespace_of_its_own() -> None:
    assert told(errors.throttling(control_plane=True)) == (
        400,
        {
            "__type": "com.amazon.coral.availability#ThrottlingException",
            "message": "Rate of requests exceeds the allowed throughput.",
        },
    )


@pytest.mark.row("wire:message-key")
@pytest.mark.parametrize(
    "code",
    [
        "SerializationException",
        "TransactionCanceledException",
        "TransactionInProgressException",
        "IdempotentParameterMismatchException",
    ],
)
def test_four_errors_spell_message_with_a_capital(code: str) -> None:
    assert set(DynamoError(code, "words").body()) == {"__type", "Message"}
    assert set(DynamoError("ValidationException", "words").body()) == {"__type", "message"}


@pytest.mark.row("wire:status")
@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("InternalServerError", 500),
        ("ServiceUnavailable", 503),
        ("ReplicatedWriteConflictException", 409),
        ("ValidationException", 400),
        ("ThrottlingException", 400),
        ("UnknownOperationException", 400),
    ],
)
def test_nearly_every_error_is_a_400(code: str, status: int) -> None:
    assert DynamoError(code, "words").status == status

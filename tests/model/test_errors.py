"""Errors as they stand on the wire (facts: api.md §1, §7)."""

from __future__ import annotations

import pytest

from dynalab_model import errors
from dynalab_model.errors import DynamoError

SERVICE = "com.amazonaws.dynamodb.v20120810#"
CORAL = "com.amazon.coral.service#"


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (
            errors.validation("x"),
            400,
            {"__type": "com.amazon.coral.validate#ValidationException", "message": "x"},
        ),
        (
            errors.conditional_check_failed(),
            400,
            {"__type": SERVICE + "ConditionalCheckFailedException", "message": "The conditional request failed"},
        ),
        (
            errors.conditional_check_failed({"pk": {"S": "a"}}),
            400,
            {
                "__type": SERVICE + "ConditionalCheckFailedException",
                "message": "The conditional request failed",
                "Item": {"pk": {"S": "a"}},
            },
        ),
        (
            errors.resource_not_found(),
            400,
            {"__type": SERVICE + "ResourceNotFoundException", "message": "Requested resource not found"},
        ),
        (
            errors.resource_not_found("T"),
            400,
            {
                "__type": SERVICE + "ResourceNotFoundException",
                "message": "Requested resource not found: Table: T not found",
            },
        ),
        (
            errors.table_exists("T"),
            400,
            {"__type": SERVICE + "ResourceInUseException", "message": "Table already exists: T"},
        ),
        (
            errors.table_in_use("T", "created"),
            400,
            {
                "__type": SERVICE + "ResourceInUseException",
                "message": "Attempt to change a resource which is still in use: Table is being created: T",
            },
        ),
        (
            errors.serialization("structure"),
            400,
            {
                "__type": CORAL + "SerializationException",
                "Message": "Start of structure or map found where not expected",
            },
        ),
        (errors.unknown_operation(), 400, {"__type": CORAL + "UnknownOperationException"}),
        (
            errors.internal_server_error(),
            500,
            {
                "__type": SERVICE + "InternalServerError",
                "message": "The request processing has failed because of an unknown error, exception or failure.",
            },
        ),
        (
            errors.throttling(control_plane=True),
            400,
            {
                "__type": "com.amazon.coral.availability#ThrottlingException",
                "message": "Rate of requests exceeds the allowed throughput.",
            },
        ),
        (
            errors.missing_authentication_token(),
            400,
            {
                "__type": CORAL + "MissingAuthenticationTokenException",
                "message": "Request is missing Authentication Token",
            },
        ),
        (
            errors.unrecognized_client(),
            400,
            {
                "__type": CORAL + "UnrecognizedClientException",
                "message": "The security token included in the request is invalid.",
            },
        ),
        (
            errors.transaction_conflict(),
            400,
            {"__type": SERVICE + "TransactionConflictException", "message": "Transaction is ongoing for the item"},
        ),
    ],
)
def test_an_error_has_its_status_and_body(error: DynamoError, status: int, body: dict[str, object]) -> None:
    assert error.status == status
    assert error.body() == body


def test_a_cancelled_transaction_lists_a_reason_for_each_action() -> None:
    body = errors.transaction_cancelled(
        [{"Code": "None"}, {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}]
    ).body()
    assert body["Message"] == (
        "Transaction cancelled, please refer cancellation reasons for specific reasons [None, ConditionalCheckFailed]"
    )
    assert body["CancellationReasons"] == [
        {"Code": "None"},
        {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"},
    ]


def test_throttling_tells_tables_and_indexes_apart_and_says_why() -> None:
    reason = {"reason": "TableWriteProvisionedThroughputExceeded", "resource": "arn:aws:dynamodb:r:1:table/T"}
    table = errors.provisioned_throughput_exceeded(reasons=[reason])
    index = errors.provisioned_throughput_exceeded(index=True)
    assert table.body()["ThrottlingReasons"] == [reason]
    assert "for the table was exceeded" in table.message
    assert "global secondary indexes of the table" in index.message and "ThrottlingReasons" not in index.body()
    assert errors.throttling(index=True).message != errors.throttling().message


def test_access_denied_names_who_what_and_where() -> None:
    assert errors.access_denied("arn:u", "GetItem", "arn:t").message == (
        "User: arn:u is not authorized to perform: dynamodb:GetItem on resource: arn:t because no identity-based "
        "policy allows the dynamodb:GetItem action"
    )

"""Every error that a client can cause, with DynamoDB's name, status and text.

Rules of this room:
- An error that a client can cause is a `DynamoError`; what only we can cause is an assertion.
- A text stands in one table: `TEXTS` here, `expressions.texts` for what expressions say. Nobody spells one out a
  second time.
- Texts were measured on the real service by others (facts: api.md §1, §7, §8); they drift by Region, so tests of
  programs should look at the code first and at the text second. A comment marks the few that are our own wording.
"""

# ruff: noqa: E501 (a text is easier to compare with a captured one when it is not cut)

from __future__ import annotations

from collections.abc import Mapping, Sequence

SERVICE = "com.amazonaws.dynamodb.v20120810"
VALIDATE = "com.amazon.coral.validate"
CORAL = "com.amazon.coral.service"

# Everything that is not listed belongs to SERVICE. Clients read only the part after '#'.
NAMESPACES: dict[str, str] = {
    "ValidationException": VALIDATE,
    "SerializationException": CORAL,
    "UnknownOperationException": CORAL,
    "AccessDeniedException": CORAL,
    "MissingAuthenticationTokenException": CORAL,
    "IncompleteSignatureException": CORAL,
    "InvalidSignatureException": CORAL,
    "UnrecognizedClientException": CORAL,
}

# Control-plane throttling alone has a namespace of its own; data-plane throttling is the service's.
AVAILABILITY = "com.amazon.coral.availability"

CAPITAL_MESSAGE = frozenset(
    {
        "SerializationException",
        "TransactionCanceledException",
        "TransactionInProgressException",
        "IdempotentParameterMismatchException",
    }
)

STATUS: dict[str, int] = {
    "InternalServerError": 500,
    "ServiceUnavailable": 503,
    "ReplicatedWriteConflictException": 409,
}

NO_SUCH_INDEX = "The table does not have the specified index: "
INVALID = "One or more parameter values were invalid: "

TEXTS: dict[str, str] = {
    # data plane and control plane
    "condition-failed": "The conditional request failed",
    "not-found": "Requested resource not found",
    "table-not-found": "Requested resource not found: Table: {table} not found",
    "table-exists": "Table already exists: {table}",
    "table-in-use": "Attempt to change a resource which is still in use: Table is being {state}: {table}",
    "index-in-use": "Attempting to update an index which is being {state}: {index}",  # its end is our wording
    "too-many-index-changes": "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
    "too-many-readers": "Too many readers of a shard at a time.",  # our wording
    "trimmed": "The data you are trying to access has been trimmed.",
    "iterator-expired": "The provided iterator exceeds the maximum age allowed.",
    "too-many-operations": "Too many operations for a given subscriber.",
    "internal": "The request processing has failed because of an unknown error, exception or failure.",
    "throughput": "The level of configured provisioned throughput for the table was exceeded. "
    "Consider increasing your provisioning level with the UpdateTable API.",
    "throughput-index": "The level of configured provisioned throughput for one or more global secondary indexes of the table was "
    "exceeded. Consider increasing your provisioning level for the under-provisioned global secondary indexes with the UpdateTable API.",
    "throttled": "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically scaling your table or index "
    "so please try again shortly. If exceptions persist, check if you have a hot key: "
    "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html.",
    "throttled-index": "Throughput exceeds the current capacity for one or more global secondary indexes. DynamoDB is automatically "
    "scaling your index so please try again shortly.",
    "throttled-control": "Rate of requests exceeds the allowed throughput.",
    "request-limit": "Throughput exceeds the current throughput quota for your account.",
    "collection-size": "Collection size exceeded.",
    "duplicate-item": "Duplicate primary key exists in table",
    "transaction-conflict": "Transaction is ongoing for the item",
    "transaction-in-progress": "The transaction with the given request token is already in progress.",
    "replicated-conflict": "One or more items in this request are being modified by a request in another Region.",
    "token-mismatch": "The request uses the same client token as a previous, but non-identical request.",
    "transaction-same-item": "Transaction request cannot include multiple operations on one item",
    "transaction-one-member": "TransactItems can only contain one of Check, Put, Update or Delete",  # as clients have seen it
    "transaction-no-member": "Invalid Request: TransactWriteRequest should contain Delete or Put or Update request",  # likewise
    "transaction-bytes": "The aggregate size of the items in the transaction cannot exceed 4 MB",  # our wording
    "transaction-cancelled": "Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
    "access-denied": "User: {user} is not authorized to perform: dynamodb:{operation} on resource: {resource} because no identity-based "
    "policy allows the dynamodb:{operation} action",
    # authentication
    "no-token": "Request is missing Authentication Token",
    "no-credential": "Authorization header requires 'Credential' parameter.",
    "two-tokens": "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
    "bad-token": "The security token included in the request is invalid.",
    "bad-signature": "The request signature we calculated does not match the signature you provided. "
    "Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
    # attribute values
    "value-empty": "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
    "value-many": "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
    "null-false": INVALID + "Null attribute value types must have the value of true",
    "set-empty-SS": INVALID + "An string set  may not be empty",
    "set-empty-NS": INVALID + "An number set  may not be empty",
    "set-empty-BS": INVALID + "Binary sets should not be empty",
    "set-twice-SS": INVALID + "Input collection [{members}] contains duplicates.",
    "set-twice-NS": "Input collection contains duplicates",
    "set-twice-BS": INVALID + "Input collection [{members}]of type BS contains duplicates.",
    "nesting": "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit",
    "name-empty": INVALID + "An attribute name may not be empty",  # our wording
    "name-long": INVALID + "An attribute name may not be longer than 65535 bytes",  # our wording
    "surrogate": "A string contains half of a surrogate pair, which has no UTF-8 form",  # our wording
    "not-a-number": "The parameter cannot be converted to a numeric value",
    "not-a-number-text": "The parameter cannot be converted to a numeric value: {text}",
    "overflow": "Number overflow. Attempting to store a number with magnitude larger than supported range",
    "underflow": "Number underflow. Attempting to store a number with magnitude smaller than supported range",
    "digits": "Attempting to store more than 38 significant digits in a Number",
    "base64-length": "Base64 encoded length is expected a multiple of 4 bytes but found: {length}",
    "base64-character": "Invalid Base64 character",  # our wording
    "not-string": "{found} cannot be converted to String",
    "not-blob": "{found} cannot be converted to ByteBuffer",  # our wording after the one above
    "not-boolean": "{found} cannot be converted to Boolean",  # our wording after the one above
    "structure": "Start of structure or map found where not expected",
    "list": "Start of list found where not expected",
    "unexpected": "Unexpected field type",
    # keys
    "key-schema": "The provided key element does not match the schema",
    "key-missing": INVALID + "Missing the key {name} in the item",
    "key-type": INVALID + "Type mismatch for key {name} expected: {expected} actual: {actual}",
    "key-empty": "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty {kind} value. "
    "Key: {name}",
    "hash-key-long": INVALID + "Size of hashkey has exceeded the maximum size limit of2048 bytes",
    "range-key-long": INVALID + "Aggregated size of all range keys has exceeded the size limit of 1024 bytes",
    "update-key": INVALID + "Cannot update attribute {name}. This attribute is part of the key",
    "item-long": "Item size has exceeded the maximum allowed size",
    "item-long-update": "Item size to update has exceeded the maximum allowed size",
}


class DynamoError(Exception):
    """An answer that is an error: DynamoDB's code, message and HTTP status, and what else stands in the body.

    >>> error = conditional_check_failed({"pk": {"S": "a"}})
    >>> error.status, error.body()["__type"]
    (400, 'com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException')
    >>> error.body()["Item"]
    {'pk': {'S': 'a'}}
    """

    __slots__ = ("code", "extra", "message", "namespace", "status")

    def __init__(
        self,
        code: str,
        message: str | None = None,
        status: int | None = None,
        extra: Mapping[str, object] | None = None,
        namespace: str | None = None,
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message or ""
        self.status = STATUS.get(code, 400) if status is None else status
        self.extra: dict[str, object] = dict(extra) if extra else {}
        self.namespace = namespace or NAMESPACES.get(code, SERVICE)

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    def body(self) -> dict[str, object]:
        """The JSON body of the response."""
        body: dict[str, object] = {"__type": f"{self.namespace}#{self.code}"}
        if self.message:
            body["Message" if self.code in CAPITAL_MESSAGE else "message"] = self.message
        body.update(self.extra)
        return body


def validation(message: str) -> DynamoError:
    """ValidationException with a text of its own."""
    return DynamoError("ValidationException", message)


def invalid(text: str, /, **fields: object) -> DynamoError:
    """ValidationException with an entry of `TEXTS`.

    >>> invalid("key-missing", name="pk").message
    'One or more parameter values were invalid: Missing the key pk in the item'
    """
    message = TEXTS[text]
    return DynamoError("ValidationException", message.format(**fields) if fields else message)


def serialization(text: str, /, **fields: object) -> DynamoError:
    """SerializationException with an entry of `TEXTS`: the JSON itself has the wrong shape."""
    message = TEXTS[text]
    return DynamoError("SerializationException", message.format(**fields) if fields else message)


def conditional_check_failed(item: Mapping[str, object] | None = None) -> DynamoError:
    """The condition was false. `item` is what ReturnValuesOnConditionCheckFailure asked for, None when it asked for
    nothing.
    """
    return DynamoError(
        "ConditionalCheckFailedException", TEXTS["condition-failed"], extra=None if item is None else {"Item": item}
    )


def collection_too_large() -> DynamoError:
    """An item collection of a table with local indexes would grow beyond its limit."""
    return DynamoError("ItemCollectionSizeLimitExceededException", TEXTS["collection-size"])


def duplicate_item() -> DynamoError:
    """A PartiQL INSERT of a key that is there."""
    return DynamoError("DuplicateItemException", TEXTS["duplicate-item"])


def resource_not_found(table: str | None = None) -> DynamoError:
    """No such table. The data plane does not name it; the control plane (pass `table`) does."""
    text = TEXTS["not-found"] if table is None else TEXTS["table-not-found"].format(table=table)
    return DynamoError("ResourceNotFoundException", text)


def resource_not_found_text(what: str) -> DynamoError:
    """No such stream, or shard of one; `what` names it with its kind.

    >>> resource_not_found_text("Stream: s").message
    'Requested resource not found: Stream: s not found'
    """
    return DynamoError("ResourceNotFoundException", f"{TEXTS['not-found']}: {what} not found")


def trimmed_data_access() -> DynamoError:
    """The records that a shard's iterator stands before are older than what is kept."""
    return DynamoError("TrimmedDataAccessException", TEXTS["trimmed"])


def expired_iterator() -> DynamoError:
    """An iterator of a shard is older than fifteen minutes."""
    return DynamoError("ExpiredIteratorException", TEXTS["iterator-expired"])


def table_exists(table: str) -> DynamoError:
    """CreateTable of a table that is there."""
    return DynamoError("ResourceInUseException", TEXTS["table-exists"].format(table=table))


def table_in_use(table: str, state: str) -> DynamoError:
    """A change of a table that is being `created`, `deleted` or `updated`."""
    return DynamoError("ResourceInUseException", TEXTS["table-in-use"].format(table=table, state=state))


def index_in_use(index: str, state: str) -> DynamoError:
    """An update of an index that is being `created` or `deleted`."""
    return DynamoError("ResourceInUseException", TEXTS["index-in-use"].format(index=index, state=state))


def limit_exceeded(message: str = TEXTS["too-many-operations"]) -> DynamoError:
    """Too many control-plane operations at a time."""
    return DynamoError("LimitExceededException", message)


def unknown_operation() -> DynamoError:
    """A target that names no operation; the body has no message."""
    return DynamoError("UnknownOperationException")


def internal_server_error() -> DynamoError:
    """Status 500: the outcome of a write is unknown."""
    return DynamoError("InternalServerError", TEXTS["internal"])


def provisioned_throughput_exceeded(*, index: bool = False, reasons: Sequence[Mapping[str, str]] = ()) -> DynamoError:
    """Provisioned capacity ran out. `reasons` are ThrottlingReasons: {"reason": ..., "resource": ARN}."""
    extra = {"ThrottlingReasons": [dict(reason) for reason in reasons]} if reasons else None
    text = TEXTS["throughput-index" if index else "throughput"]
    return DynamoError("ProvisionedThroughputExceededException", text, extra=extra)


def throttling(
    *, index: bool = False, control_plane: bool = False, reasons: Sequence[Mapping[str, str]] = ()
) -> DynamoError:
    """A key range or an on-demand table is over its limit, or (control_plane) calls come too fast.

    `reasons` as for provisioned_throughput_exceeded; here the member's name begins with a small letter.

    >>> throttling(reasons=[throttling_reason("Read", "KeyRangeThroughputExceeded", "arn")]).body()["throttlingReasons"]
    [{'reason': 'TableReadKeyRangeThroughputExceeded', 'resource': 'arn'}]
    """
    if control_plane:
        return DynamoError("ThrottlingException", TEXTS["throttled-control"], namespace=AVAILABILITY)
    extra = {"throttlingReasons": [dict(reason) for reason in reasons]} if reasons else None
    return DynamoError("ThrottlingException", TEXTS["throttled-index" if index else "throttled"], extra=extra)


def request_limit_exceeded(*, reasons: Sequence[Mapping[str, str]] = ()) -> DynamoError:
    """The account's quota of throughput ran out; `reasons` as for provisioned_throughput_exceeded."""
    extra = {"ThrottlingReasons": [dict(reason) for reason in reasons]} if reasons else None
    return DynamoError("RequestLimitExceeded", TEXTS["request-limit"], extra=extra)


def throttling_reason(access: str, limit: str, resource: str, *, index: bool = False) -> dict[str, str]:
    """One of ThrottlingReasons (api.md §7): `access` is Read or Write, `limit` what ran out, `resource` an ARN.

    >>> throttling_reason("Write", "ProvisionedThroughputExceeded", "arn", index=True)["reason"]
    'IndexWriteProvisionedThroughputExceeded'
    """
    return {"reason": f"{'Index' if index else 'Table'}{access}{limit}", "resource": resource}


def transaction_conflict() -> DynamoError:
    """A transaction holds the item."""
    return DynamoError("TransactionConflictException", TEXTS["transaction-conflict"])


def replicated_write_conflict() -> DynamoError:
    """Status 409: a write in another Region is under way; this one had no effect."""
    return DynamoError("ReplicatedWriteConflictException", TEXTS["replicated-conflict"])


def transaction_in_progress() -> DynamoError:
    """A transaction with the same token has no outcome yet."""
    return DynamoError("TransactionInProgressException", TEXTS["transaction-in-progress"])


def token_mismatch() -> DynamoError:
    """The token was used for a request that asked for something else."""
    return DynamoError("IdempotentParameterMismatchException", TEXTS["token-mismatch"])


def transaction_cancelled(reasons: Sequence[Mapping[str, object]]) -> DynamoError:
    """One reason for each action, in order; survivors have the code "None".

    >>> transaction_cancelled([{"Code": "None"}, {"Code": "ConditionalCheckFailed"}]).message[-30:]
    '[None, ConditionalCheckFailed]'
    """
    codes = ", ".join(str(reason["Code"]) for reason in reasons)
    return DynamoError(
        "TransactionCanceledException",
        TEXTS["transaction-cancelled"].format(codes=codes),
        extra={"CancellationReasons": [dict(reason) for reason in reasons]},
    )


def access_denied(user: str, operation: str, resource: str) -> DynamoError:
    """No policy allows it."""
    return DynamoError(
        "AccessDeniedException", TEXTS["access-denied"].format(user=user, operation=operation, resource=resource)
    )


def missing_authentication_token() -> DynamoError:
    """The request carries no authorization at all."""
    return DynamoError("MissingAuthenticationTokenException", TEXTS["no-token"])


def invalid_signature(text: str = "bad-signature") -> DynamoError:
    """The signature does not fit (or, with "two-tokens", there are two of them)."""
    return DynamoError("InvalidSignatureException", TEXTS[text])


def unrecognized_client() -> DynamoError:
    """An access key that nobody knows."""
    return DynamoError("UnrecognizedClientException", TEXTS["bad-token"])

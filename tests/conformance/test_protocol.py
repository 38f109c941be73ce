"""The wire protocol's rows, byte by byte against a served endpoint."""

from __future__ import annotations

import http.client
import json
import re
import zlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from dynalab.pytest_plugin import Endpoint

AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/dynamodb/aws4_request, "
    "SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=" + "0" * 64
)
CORAL = "com.amazon.coral.service#"


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        decoded: dict[str, Any] = json.loads(self.body)
        return decoded


@dataclass(frozen=True, slots=True)
class Wire:
    """Raw requests to an endpoint, each with the headers that a client sends; "" takes one away."""

    endpoint: Endpoint

    def __call__(
        self, operation: str, body: bytes = b"{}", *, method: str = "POST", path: str = "/", **headers: str
    ) -> Reply:
        sent = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"DynamoDB_20120810.{operation}",
            "X-Amz-Date": "20260101T000000Z",
            "Authorization": AUTHORIZATION,
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        parts = urlsplit(self.endpoint.url)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=20)
        try:
            connection.request(method, path, body, {name: value for name, value in sent.items() if value})
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, found, response.read())
        finally:
            connection.close()


@pytest.fixture
def wire(dynalab_endpoint: Endpoint) -> Wire:
    return Wire(dynalab_endpoint)


@pytest.mark.row("wire:target", "wire:headers", "wire:content-type", "wire:crc32")
def test_an_answer_has_the_headers_that_clients_look_for(wire: Wire) -> None:
    reply = wire("ListTables")
    assert (reply.status, reply.body) == (200, b'{"TableNames":[]}')
    assert reply.headers["content-type"] == "application/x-amz-json-1.0"
    assert re.fullmatch("[A-Z0-9]{52}", reply.headers["x-amzn-requestid"])
    assert reply.headers["x-amz-crc32"] == str(zlib.crc32(b'{"TableNames":[]}'))
    assert reply.headers["server"] == "Server"
    assert reply.headers["content-length"] == "17"
    assert {"date", "connection"} <= set(reply.headers)


@pytest.mark.row("wire:error-body", "wire:namespace-validation")
def test_an_error_names_its_kind_with_a_namespace(wire: Wire) -> None:
    reply = wire("GetItem")
    assert reply.status == 400
    assert reply.error == {
        "__type": "com.amazon.coral.validate#ValidationException",
        "message": "1 validation error detected: Value null at 'tableName' failed to satisfy constraint: "
        "Member must not be null",
    }


@pytest.mark.row("wire:namespace-service")
def test_an_error_of_the_service_has_the_services_namespace(wire: Wire) -> None:
    reply = wire("DescribeTable", b'{"TableName": "Nowhere"}')
    assert (reply.status, reply.error) == (
        400,
        {
            "__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException",
            "message": "Requested resource not found: Table: Nowhere not found",
        },
    )


@pytest.mark.row("wire:binary")
def test_binary_is_base64_and_numbers_are_strings(wire: Wire) -> None:
    reply = wire("PutItem", b'{"TableName": "Nowhere", "Item": {"pk": {"B": "not base64!"}}}')
    assert reply.error["__type"] == CORAL + "SerializationException"
    reply = wire("PutItem", b'{"TableName": "Nowhere", "Item": {"pk": {"N": 5}}}')
    assert reply.error == {
        "__type": CORAL + "SerializationException",
        "Message": "NUMBER_VALUE cannot be converted to String",
    }


@pytest.mark.row("wire:not-found")
@pytest.mark.parametrize(
    "how",
    [
        {"method": "PUT"},
        {"path": "/other"},
        {"Content_Type": "text/plain"},
        {"Content_Type": ""},
    ],
)
def test_what_is_no_dynamodb_request_gets_404(wire: Wire, how: dict[str, Any]) -> None:
    reply = wire("ListTables", **how)
    assert (reply.status, reply.body) == (404, b"<UnknownOperationException/>\n")
    assert reply.headers["x-amz-crc32"] == "3552371480"


@pytest.mark.row("wire:health")
def test_the_root_says_that_it_is_healthy(wire: Wire) -> None:
    reply = wire("", b"", method="GET")
    assert (reply.status, reply.body) == (200, b"healthy: dynamodb.us-east-1.amazonaws.com ")
    assert reply.headers["x-amz-crc32"] == "3128867991"
    assert re.fullmatch("[A-Z0-9]{52}", reply.headers["x-amzn-requestid"])


@pytest.mark.row("wire:cors")
@pytest.mark.parametrize("how", [{}, {"method": "GET"}, {"path": "/other"}, {"Authorization": ""}])
def test_a_page_of_any_origin_may_read_what_it_is_answered(wire: Wire, how: dict[str, Any]) -> None:
    reply = wire("ListTables", Origin="https://example.com", **how)
    assert reply.headers["access-control-allow-origin"] == "*"
    assert "x-amzn-RequestId" in reply.headers["access-control-expose-headers"].split(",")
    assert "access-control-allow-origin" not in wire("ListTables", **how).headers


@pytest.mark.row("wire:preflight")
def test_a_preflight_is_granted_what_it_asks_for(wire: Wire) -> None:
    asked = {
        "Origin": "https://example.com",
        "Access_Control_Request_Method": "POST",
        "Access_Control_Request_Headers": "authorization, x-amz-target, x-amz-date",
    }
    reply = wire("", b"", method="OPTIONS", Authorization="", **asked)
    assert (reply.status, reply.body) == (200, b"")
    assert {name: value for name, value in reply.headers.items() if name.startswith("access-control-")} == {
        "access-control-allow-origin": "*",
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": "authorization, x-amz-target, x-amz-date",
        "access-control-max-age": "172800",
    }
    assert wire("", b"", method="OPTIONS", Authorization="").status == 404  # nobody in particular asks


def test_no_page_is_let_near_the_controls_of_the_lab(wire: Wire) -> None:
    for method in ("GET", "OPTIONS"):
        reply = wire("", b"", method=method, path="/_dynalab/faults", Origin="https://example.com")
        assert not [name for name in reply.headers if name.startswith("access-control-")]


@pytest.mark.row("wire:body-16-mb")
def test_a_body_beyond_16_mb_is_refused_before_it_is_read(wire: Wire) -> None:
    parts = urlsplit(wire.endpoint.url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=20)
    connection.putrequest("POST", "/")
    connection.putheader("Content-Length", str(16 * 1024 * 1024 + 1))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


@pytest.mark.row("wire:unknown-operation")
@pytest.mark.parametrize("target", ["DynamoDB_20120810.MakeTea", "DynamoDB_20110101.GetItem", "GetItem", ""])
def test_an_unknown_operation_has_no_message(wire: Wire, target: str) -> None:
    reply = wire("", X_Amz_Target=target)
    assert (reply.status, reply.error) == (400, {"__type": CORAL + "UnknownOperationException"})


@pytest.mark.row("wire:serialization-top")
@pytest.mark.parametrize("body", [b"", b"null", b"{", b'{"TableName":}'])
def test_what_is_no_json_object_is_a_serialization_error(wire: Wire, body: bytes) -> None:
    reply = wire("GetItem", body)
    assert (reply.status, reply.error) == (400, {"__type": CORAL + "SerializationException"})


@pytest.mark.row("wire:empty-body")
def test_a_body_that_is_not_there_is_missed_last(wire: Wire) -> None:
    reply = wire("MakeTea", b"", Content_Type="")
    assert (reply.status, reply.error) == (400, {"__type": CORAL + "UnknownOperationException"})
    reply = wire("GetItem", b"", Content_Type="", Authorization="")
    assert reply.error["__type"] == CORAL + "MissingAuthenticationTokenException"
    reply = wire("GetItem", b"", Content_Type="")
    assert reply.error == {"__type": CORAL + "SerializationException"}


@pytest.mark.row("wire:serialization-member")
@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"TableName": 5}', "NUMBER_VALUE cannot be converted to String"),
        (b'{"TableName": {}}', "Start of structure or map found where not expected"),
        (b'{"TableName": true}', "TRUE_VALUE cannot be converted to String"),
        (b'{"TableName": "T", "ConsistentRead": "x"}', "STRING_VALUE cannot be converted to Boolean"),
        (b'{"TableName": "T", "Key": "x"}', "Unexpected field type"),
    ],
)
def test_a_member_of_the_wrong_type_is_a_serialization_error(wire: Wire, body: bytes, text: str) -> None:
    assert wire("GetItem", body).error == {"__type": CORAL + "SerializationException", "Message": text}


@pytest.mark.row("wire:serialization-integer")
def test_what_is_no_number_is_told_in_words_of_its_own(wire: Wire) -> None:
    assert wire("ListTables", b'{"Limit": "3"}').error == {
        "__type": CORAL + "SerializationException",
        "Message": "STRING_VALUE can not be converted to an Integer",
    }


@pytest.mark.row("wire:unknown-member")
def test_an_unknown_member_is_ignored(wire: Wire) -> None:
    assert wire("ListTables", b'{"Zebra": 1, "Limit": 5}').body == b'{"TableNames":[]}'


@pytest.mark.row("wire:no-token")
def test_a_request_without_a_signature_is_refused(wire: Wire) -> None:
    assert wire("ListTables", Authorization="").error == {
        "__type": CORAL + "MissingAuthenticationTokenException",
        "message": "Request is missing Authentication Token",
    }


@pytest.mark.row("wire:incomplete-signature")
def test_an_incomplete_signature_is_told_what_it_lacks(wire: Wire) -> None:
    error = wire("ListTables", Authorization="AWS4-HMAC-SHA256 Signature=b, SignedHeaders=c").error
    assert error["__type"] == CORAL + "IncompleteSignatureException"
    assert error["message"].startswith("Authorization header requires 'Credential' parameter. ")


@pytest.mark.row("wire:two-signatures")
def test_a_signature_in_header_and_query_is_one_too_many(wire: Wire) -> None:
    assert wire("ListTables", path="/?X-Amz-Algorithm=AWS4-HMAC-SHA256").error == {
        "__type": CORAL + "InvalidSignatureException",
        "message": "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
    }


@pytest.mark.row("wire:order")
def test_checks_come_in_the_order_of_the_service(wire: Wire) -> None:
    """Each request has every mistake that comes later in the list; what is told is the first."""
    body = b'{"TableName": "a b", "Key": 5, "ReturnConsumedCapacity": "X"}'
    assert wire("MakeTea", b"{", Content_Type="text/plain", Authorization="").status == 404
    assert wire("MakeTea", b"{", Authorization="").error["__type"] == CORAL + "SerializationException"
    assert wire("MakeTea", body, Authorization="").error["__type"] == CORAL + "UnknownOperationException"
    missing = wire("GetItem", body, Authorization="").error
    assert missing["__type"] == CORAL + "MissingAuthenticationTokenException"
    assert wire("GetItem", body).error["__type"] == CORAL + "SerializationException"
    told = wire("GetItem", body.replace(b"5", b"{}")).error["message"]
    assert told.startswith("1 validation error detected: Value 'a b' at 'tableName'")
    told = wire("GetItem", body.replace(b"5", b"{}").replace(b"a b", b"Nowhere")).error["message"]
    assert told.startswith("1 validation error detected: Value 'X' at 'returnConsumedCapacity'")
    told = wire("GetItem", b'{"TableName": "Nowhere", "Key": {"pk": {}}}').error["message"]
    assert told == "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
    told = wire("GetItem", b'{"TableName": "Nowhere", "Key": {}}').error["message"]
    assert told == "Requested resource not found"


@pytest.mark.row("wire:after-500", "error:InternalServerError")
@pytest.mark.parametrize("when", ["before", "after"])
def test_after_a_500_a_write_may_or_may_not_have_happened(wire: Wire, when: str) -> None:
    table = {
        "TableName": "Broken",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    }
    client = wire.endpoint.client()
    client.create_table(**table)  # type: ignore[arg-type]
    client.get_waiter("table_exists").wait(TableName="Broken", WaiterConfig={"Delay": 1})
    wire.endpoint.fault("fail", operation="PutItem", when=when)
    reply = wire("PutItem", b'{"TableName": "Broken", "Item": {"pk": {"S": "a"}}}')
    assert (reply.status, reply.error) == (
        500,
        {
            "__type": "com.amazonaws.dynamodb.v20120810#InternalServerError",
            "message": "The request processing has failed because of an unknown error, exception or failure.",
        },
    )
    found = client.get_item(TableName="Broken", Key={"pk": {"S": "a"}}, ConsistentRead=True)
    assert ("Item" in found) is (when == "after")


@pytest.mark.row("error:ProvisionedThroughputExceeded")
def test_a_throttled_call_is_told_in_the_words_of_provisioned_throughput(wire: Wire) -> None:
    wire.endpoint.fault("throttle", operation="PutItem", count=1)
    reply = wire("PutItem", b'{"TableName": "Nowhere", "Item": {"pk": {"S": "a"}}}')
    assert (reply.status, reply.error) == (
        400,
        {
            "__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
            "message": "The level of configured provisioned throughput for the table was exceeded. Consider increasing "
            "your provisioning level with the UpdateTable API.",
        },
    )


@pytest.mark.row("wire:client-retries")
def test_a_client_that_is_throttled_tries_again(wire: Wire) -> None:
    """boto3's legacy mode waits 50 ms times a random number at first; two refusals are over in a blink."""
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "dynamodb",
        endpoint_url=wire.endpoint.url,
        region_name="us-east-1",
        aws_access_key_id="dynalab",
        aws_secret_access_key="dynalab",
        config=Config(retries={"mode": "legacy"}),
    )
    wire.endpoint.fault("throttle", operation="ListTables", count=2)
    assert client.list_tables()["TableNames"] == [] and client.list_tables()["TableNames"] == []
    wire.endpoint.fault("throttle", operation="DescribeLimits", count=2)
    assert client.describe_limits()["ResponseMetadata"]["RetryAttempts"] == 2

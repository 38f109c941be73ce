"""Signatures, judged by another implementation of the algorithm: botocore signs, the endpoint verifies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from dynalab.endpoint.signature import WINDOW_SECONDS, check_present, verify
from dynalab_model.errors import DynamoError

KEYS = {"AKIDEXAMPLE": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
BODY = b'{"TableName": "t\xc3\xa9"}'


def signed(
    monkeypatch: pytest.MonkeyPatch,
    *,
    access_key: str = "AKIDEXAMPLE",
    secret: str = KEYS["AKIDEXAMPLE"],
    service: str = "dynamodb",
    path: str = "/",
    age_seconds: int = 0,
) -> dict[bytes, bytes]:
    """Headers as botocore signs them, lower case."""
    now = datetime.now(UTC) - timedelta(seconds=age_seconds)

    request = AWSRequest(
        "POST",
        "http://127.0.0.1:8000" + path,
        headers={"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.ListTables"},
        data=BODY,
    )
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: now.replace(tzinfo=None))
    SigV4Auth(Credentials(access_key, secret), service, "eu-west-1").add_auth(request)
    headers = {name.lower().encode(): str(value).encode() for name, value in request.headers.items()}
    headers.setdefault(b"host", b"127.0.0.1:8000")
    return headers


def check(headers: dict[bytes, bytes], *, url: bytes = b"/", body: bytes = BODY) -> None:
    check_present(headers, url.partition(b"?")[2])
    verify(KEYS, "POST", url, headers, body, datetime.now(UTC).timestamp())


def refused(headers: dict[bytes, bytes], **how: bytes) -> DynamoError:
    with pytest.raises(DynamoError) as caught:
        check(headers, **how)
    return caught.value


def test_what_botocore_signs_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    check(signed(monkeypatch))


def test_what_botocore_signs_with_a_query_string_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    check(signed(monkeypatch, path="/?b=2&a=1%201&c"), url=b"/?b=2&a=1%201&c")


def test_another_secret_is_refused_and_so_is_any_change(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "The request signature we calculated does not match the signature you provided."
    assert refused(signed(monkeypatch, secret="x")).message.startswith(text)
    headers = signed(monkeypatch)
    assert refused(headers, body=BODY + b" ").code == "InvalidSignatureException"
    assert refused(headers, url=b"/?a=1").code == "InvalidSignatureException"
    assert refused({**headers, b"x-amz-target": b"DynamoDB_20120810.DeleteTable"}).code == "InvalidSignatureException"


def test_an_unknown_key_and_another_service_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(signed(monkeypatch, access_key="NOBODY")).code == "UnrecognizedClientException"
    assert refused(signed(monkeypatch, service="s3")).code == "InvalidSignatureException"


@pytest.mark.parametrize("age_seconds", [WINDOW_SECONDS + 5, -WINDOW_SECONDS - 5])
def test_a_signature_outside_the_window_is_refused(monkeypatch: pytest.MonkeyPatch, age_seconds: int) -> None:
    error = refused(signed(monkeypatch, age_seconds=age_seconds))
    assert error.code == "InvalidSignatureException"
    assert error.message.startswith("Signature expired" if age_seconds > 0 else "Signature not yet current")


@pytest.mark.parametrize("age_seconds", [WINDOW_SECONDS - 5, -WINDOW_SECONDS + 5])
def test_a_signature_inside_the_window_is_accepted(monkeypatch: pytest.MonkeyPatch, age_seconds: int) -> None:
    check(signed(monkeypatch, age_seconds=age_seconds))


@pytest.mark.parametrize(
    ("old", "new", "code", "text"),
    [
        (
            b"SignedHeaders=content-type;host;",
            b"SignedHeaders=content-type;",
            "InvalidSignatureException",
            "'Host' must",
        ),
        (b"AWS4-HMAC-SHA256 ", b"AWS4-HMAC-SHA1 ", "IncompleteSignatureException", "Unsupported AWS 'algorithm'"),
        (b"/aws4_request", b"", "IncompleteSignatureException", "Credential must have exactly 5 slash-delimited"),
        (
            b"/aws4_request",
            b"/aws5",
            "InvalidSignatureException",
            "Credential should be scoped with a valid terminator",
        ),
    ],
)
def test_what_is_wrong_with_an_authorization_is_told_before_its_key_is_looked_up(
    monkeypatch: pytest.MonkeyPatch, old: bytes, new: bytes, code: str, text: str
) -> None:
    headers = signed(monkeypatch, access_key="NOBODY")
    assert old in headers[b"authorization"]
    error = refused({**headers, b"authorization": headers[b"authorization"].replace(old, new)})
    assert (error.code, error.message[: len(text)]) == (code, text)


def test_a_date_that_is_none_and_one_that_the_scope_denies_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = signed(monkeypatch)
    stamp = headers[b"x-amz-date"].decode()
    error = refused({**headers, b"x-amz-date": b"yesterday"})
    assert error.code == "IncompleteSignatureException"
    assert error.message.startswith("Date must be in ISO-8601 'basic format'. Got 'yesterday'.")
    old = headers[b"authorization"].replace(f"/{stamp[:8]}/".encode(), b"/20130609/")
    assert refused({**headers, b"authorization": old}).message == (
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
        f"'20130609' != '{stamp[:8]}', from '{stamp}'."
    )

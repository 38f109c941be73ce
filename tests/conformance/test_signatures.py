"""Signatures, where credentials are configured: the rows of the wire protocol on keys and secrets."""

from __future__ import annotations

from time import time

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from dynalab.endpoint import signature
from dynalab_model.errors import DynamoError


def refused(key: str, secret: str) -> DynamoError:
    """The refusal of a request that botocore signed with these, where AKID's secret is `right`."""
    request = AWSRequest("POST", "http://localhost/", {"X-Amz-Target": "DynamoDB_20120810.ListTables"}, b"{}")
    SigV4Auth(Credentials(key, secret), "dynamodb", "us-east-1").add_auth(request)
    headers = {name.lower().encode(): str(value).encode() for name, value in request.headers.items()}
    headers.setdefault(b"host", b"localhost")
    with pytest.raises(DynamoError) as caught:
        signature.verify({"AKID": "right"}, "POST", b"/", headers, b"{}", time())
    return caught.value


@pytest.mark.row("wire:unknown-key")
def test_an_unknown_key_is_told_so() -> None:
    error = refused("OTHER", "right")
    assert (error.code, error.message) == (
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    )


@pytest.mark.row("wire:wrong-secret", "wire:sigv4")
def test_a_wrong_secret_is_told_that_the_signature_does_not_match() -> None:
    error = refused("AKID", "wrong")
    assert error.code == "InvalidSignatureException"
    assert error.message.startswith("The request signature we calculated does not match the signature you provided. ")


@pytest.mark.row("wire:signature-order")
def test_mistakes_of_an_authorization_are_told_one_after_the_other() -> None:
    now = 1_370_771_464  # 2013-06-09T09:51:04Z
    headers = {
        b"authorization": b"AWS4-HMAC-SHA25 Credential=a/b/c/d, SignedHeaders=x-amz-target, Signature=0",
        b"x-amz-date": b"201",
        b"host": b"localhost",
    }

    def told() -> str:
        with pytest.raises(DynamoError) as caught:
            signature.verify({"AKID": "right"}, "POST", b"/", headers, b"{}", now)
        return caught.value.message

    assert told() == "Date must be in ISO-8601 'basic format'. Got '201'. See http://en.wikipedia.org/wiki/ISO_8601"
    headers[b"x-amz-date"] = b"20130301T000000Z"
    assert (
        told() == "Signature expired: 20130301T000000Z is now earlier than 20130609T094604Z (20130609T095104Z - 5 min.)"
    )
    headers[b"x-amz-date"] = b"20130609T095204Z"
    assert told() == "'Host' must be a 'SignedHeader' in the AWS Authorization."
    headers[b"authorization"] = headers[b"authorization"].replace(b"=x-amz-target", b"=host;x-amz-date")
    assert told() == "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA25' (only AWS4-HMAC-SHA256 for now). "
    headers[b"authorization"] = headers[b"authorization"].replace(b"SHA25 ", b"SHA256 ")
    assert told() == (
        "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'a/b/c/d'"
    )
    headers[b"authorization"] = headers[b"authorization"].replace(b"a/b/c/d", b"a/b/c/d/e")
    assert told() == (
        "Credential should be scoped to correct service: 'dynamodb'. "
        "Credential should be scoped with a valid terminator: 'aws4_request', not 'e'. "
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
        "'b' != '20130609', from '20130609T095204Z'."
    )
    headers[b"authorization"] = headers[b"authorization"].replace(b"a/b/c/d/e", b"a/20130609/c/dynamodb/aws4_request")
    assert told() == "The security token included in the request is invalid."

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

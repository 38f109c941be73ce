"""Request signatures (AWS Signature Version 4): present and complete always, verified when credentials are configured.

Without credentials every complete signature is accepted as given, whatever key made it: a lab has no secrets to keep,
and clients can be pointed at it with dummy keys. Texts and order: facts on the wire protocol (API reference, "Common
errors"); date, host, algorithm, scope, key, signature follow each other as dynalite's authors saw it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import parse_qsl, quote, unquote_plus

from dynalab_model import errors
from dynalab_model.errors import DynamoError

WINDOW_SECONDS = 300  # how far the signer's clock may be off
ALGORITHM = "AWS4-HMAC-SHA256"
_HEADER_PARTS = ("Credential", "Signature", "SignedHeaders")
_QUERY_PARTS = ("X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date")


def check_present(headers: Mapping[bytes, bytes], query: bytes) -> None:
    """Raises DynamoError unless the request carries one whole signature."""
    authorization = headers.get(b"authorization")
    if b"X-Amz-Algorithm=" in query:
        if authorization is not None:
            raise errors.invalid_signature("two-tokens")
        present = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
        missing = [part for part in _QUERY_PARTS if not present.get(part)]
        if missing:
            text = "".join(f"AWS query-string parameters must include '{part}'. " for part in missing)
            text += "Re-examine the query-string parameters."
            raise DynamoError("IncompleteSignatureException", text)
        return
    if authorization is None or not authorization.startswith(b"AWS4-"):
        raise errors.missing_authentication_token()
    if (
        b"Credential=" in authorization
        and b"Signature=" in authorization
        and b"SignedHeaders=" in authorization
        and (b"x-amz-date" in headers or b"date" in headers)
    ):
        return
    parts = _authorization_parts(authorization)
    missing = [part for part in _HEADER_PARTS if not parts.get(part)]
    text = "".join(f"Authorization header requires '{part}' parameter. " for part in missing)
    if b"x-amz-date" not in headers and b"date" not in headers:
        text += "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
    raise DynamoError("IncompleteSignatureException", text + "Authorization=" + authorization.decode("latin-1"))


def verify(
    credentials: Mapping[str, str],
    method: str,
    url: bytes,
    headers: Mapping[bytes, bytes],
    body: bytes,
    now_seconds: float,
) -> None:
    """Raises DynamoError unless one of `credentials` (access key → secret) signed exactly this request, within the
    window.

    Call `check_present` first. A signature in the query string cannot be verified here and is refused.
    """
    authorization = headers.get(b"authorization")
    if authorization is None:
        raise errors.invalid_signature()
    algorithm = authorization.decode("latin-1").partition(" ")[0]
    parts = _authorization_parts(authorization)
    stamp = headers.get(b"x-amz-date", b"").decode("latin-1")
    _check_clock(stamp, now_seconds)
    names = parts.get("SignedHeaders", "").split(";")
    if "host" not in names:
        raise DynamoError("InvalidSignatureException", "'Host' must be a 'SignedHeader' in the AWS Authorization.")
    if algorithm != ALGORITHM:
        text = f"Unsupported AWS 'algorithm': '{algorithm}' (only {ALGORITHM} for now). "
        raise DynamoError("IncompleteSignatureException", text)
    access_key, day, region, service, terminator = _scope(parts.get("Credential", ""), stamp)
    secret = credentials.get(access_key)
    if secret is None:
        raise errors.unrecognized_client()
    if "x-amz-date" not in names:
        raise errors.invalid_signature()
    canonical = canonical_request(method, url, names, headers, body)
    digest = hashlib.sha256(canonical).hexdigest()
    to_sign = f"{ALGORITHM}\n{stamp}\n{day}/{region}/{service}/{terminator}\n{digest}"
    expected = hmac.new(_signing_key(secret, day, region, service), to_sign.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), parts["Signature"].encode()):
        raise errors.invalid_signature()


def _check_clock(stamp: str, now_seconds: float) -> None:
    signed_at = _seconds(stamp)
    if signed_at is None:
        text = f"Date must be in ISO-8601 'basic format'. Got '{stamp}'. See http://en.wikipedia.org/wiki/ISO_8601"
        raise DynamoError("IncompleteSignatureException", text)
    if abs(now_seconds - signed_at) > WINDOW_SECONDS:
        now = _stamp(now_seconds)
        when = "expired" if signed_at < now_seconds else "not yet current"
        relation = "earlier" if signed_at < now_seconds else "later"
        bound = _stamp(now_seconds - WINDOW_SECONDS if signed_at < now_seconds else now_seconds + WINDOW_SECONDS)
        sign = "-" if signed_at < now_seconds else "+"
        text = f"Signature {when}: {stamp} is now {relation} than {bound} ({now} {sign} 5 min.)"
        raise DynamoError("InvalidSignatureException", text)


def _scope(credential: str, stamp: str) -> list[str]:
    """Key, day, region, service and terminator of a Credential. Any region will do: a lab is in all of them."""
    scope = credential.split("/")
    if len(scope) != 5:
        text = (
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            f"got '{credential}'"
        )
        raise DynamoError("IncompleteSignatureException", text)
    _, day, _, service, terminator = scope
    wrong: list[str] = []
    if service != "dynamodb":
        wrong.append("Credential should be scoped to correct service: 'dynamodb'. ")
    if terminator != "aws4_request":
        wrong.append(f"Credential should be scoped with a valid terminator: 'aws4_request', not '{terminator}'. ")
    if day != stamp[:8]:
        wrong.append(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{day}' != '{stamp[:8]}', from '{stamp}'."
        )
    if wrong:
        raise DynamoError("InvalidSignatureException", "".join(wrong))
    return scope


def canonical_request(
    method: str, url: bytes, signed_names: list[str], headers: Mapping[bytes, bytes], body: bytes
) -> bytes:
    """The text whose hash is signed.

    >>> canonical_request("POST", b"/", ["host"], {b"host": b"h"}, b"").decode().splitlines()[:6]
    ['POST', '/', '', 'host:h', '', 'host']
    """
    path, _, query = url.partition(b"?")
    pairs = sorted(
        (quote(unquote_plus(name), safe="-_.~"), quote(unquote_plus(value), safe="-_.~"))
        for name, _, value in (pair.partition("=") for pair in query.decode("latin-1").split("&") if pair)
    )
    lines = [method, path.decode("latin-1"), "&".join(f"{name}={value}" for name, value in pairs)]
    for name in signed_names:
        value = headers.get(name.encode("latin-1"), b"").decode("latin-1")
        lines.append(f"{name}:{' '.join(value.split())}")
    lines += ["", ";".join(signed_names), hashlib.sha256(body).hexdigest()]
    return "\n".join(lines).encode("latin-1")


def _authorization_parts(authorization: bytes) -> dict[str, str]:
    _, _, rest = authorization.decode("latin-1").partition(" ")
    parts = (part.strip().partition("=") for part in rest.split(","))
    return {name: value for name, equals, value in parts if equals}


@lru_cache(maxsize=64)
def _signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    key = ("AWS4" + secret).encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _seconds(stamp: str) -> float | None:
    try:
        return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%SZ")

"""From choices to bytes: a request that some client could have sent, and what was done to it.

Most cases are schema-aware: a good request with something wrong in one place, so that it gets past the parser. The
others are broken below that: JSON that is none, bytes that are no UTF-8, HTTP that ends in the middle.
"""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, cast

from dynalab.bench.load import AUTHORIZATION
from dynalab.differential.chance import Chance
from dynalab.differential.requests import Request, Requests
from dynalab.differential.tables import SEVERAL, SHAPES
from dynalab.differential.transactions import Transactions
from dynalab_model.requests import OPERATIONS

JSON_1_0 = "application/x-amz-json-1.0"
BAD_ONE_IN = 6
MISSING_TABLE_ONE_IN = 50
PIPELINE_MAX = 8
DEEP = 200
VERY_DEEP = 20_000
SPARE_TABLES = ("fuzz-1", "fuzz-2", "fuzz-3")

Node: TypeAlias = "tuple[object, object]"  # a dictionary or list, and the key or position in it

# What stands in place of a value: every JSON type, and what is at the edge of each.
ODD: tuple[object, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    10**40,
    "",
    "x",
    "𝄞",
    "\ud800",
    "\x00",
    "x" * 300,
    [],
    {},
    [[]],
    {"S": "a"},
    {"S": None},
    {"N": "1" * 200},
    {"N": "1E999999999"},
    {"N": "NaN"},
    {"B": "not base64!"},
    {"BS": [1]},
    {"L": {"S": "a"}},
    {"M": [["a"]]},
    {"X": "a"},
    {"NULL": "true"},
)
STRINGS = ("a" * 2049, "a" * 5000, "(" * 400, "a = :v AND " * 200 + "a = :v", "NOT " * 300 + "a", "a" + "[0]" * 300)


@dataclass(frozen=True, slots=True)
class Case:
    """Bytes for one connection. `answers` is how many responses must come; `ends`: the client closes its side after
    sending. `kind` says what was done; `requests` are the operations inside, for whoever reads a failure.
    """

    kind: str
    data: bytes
    answers: int
    ends: bool = False
    requests: tuple[Request, ...] = ()


class Cases:
    """Makes cases, one after the other. `requests` keeps where pages ended, `transactions` which tokens were used."""

    __slots__ = ("host", "requests", "transactions")

    def __init__(self, host: str) -> None:
        self.host = host
        self.requests = Requests(SHAPES, bad_one_in=BAD_ONE_IN, missing_table_one_in=MISSING_TABLE_ONE_IN)
        self.transactions = Transactions(SHAPES, bad_one_in=BAD_ONE_IN * 4)

    def make(self, chance: Chance) -> Case:
        """The next case: three of four are whole requests that are JSON."""
        if chance.below(4) < 3:
            request = self.request(chance)
            kind, request = chance.pick(SCHEMA_AWARE)(chance, request)
            return Case(kind, self.encode(*request), 1, requests=(request,))
        return chance.pick(BELOW)(self, chance)

    def request(self, chance: Chance) -> Request:
        """A request of items, or of tables, or of anything there is."""
        match chance.below(10):
            case 0:
                return _of_tables(chance)
            case 1:
                return chance.pick(sorted(OPERATIONS)), self.requests.make(chance)[1]
            case 2:
                return self.transactions.make(chance)
            case _:
                return self.requests.make(chance)

    def encode(self, name: str, body: object, **more: str) -> bytes:
        """The request as HTTP. `more` are headers that are added or replaced; an empty one is left away."""
        return self.frame(_json(body), f"DynamoDB_20120810.{name}", **more)

    def frame(self, content: bytes, target: str, **more: str) -> bytes:
        """HTTP around any bytes."""
        headers = {
            "Host": self.host,
            "Content-Type": JSON_1_0,
            "X-Amz-Target": target,
            "X-Amz-Date": "20260101T000000Z",
            "Authorization": AUTHORIZATION,
            "Content-Length": str(len(content)),
        } | {name.replace("_", "-"): text for name, text in more.items()}
        lines = [f"{name}: {text}\r\n" for name, text in headers.items() if text]
        return b"POST / HTTP/1.1\r\n" + "".join(lines).encode("latin-1", "replace") + b"\r\n" + content


def _json(body: object) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def _of_tables(chance: Chance) -> Request:
    name = chance.pick(SPARE_TABLES)
    arn = f"arn:aws:dynamodb:us-east-1:000000000000:table/{name}"
    create = {**chance.pick((*SHAPES, SEVERAL)).create(), "TableName": name}
    choices: list[Request] = [
        ("CreateTable", create),
        ("CreateTable", create),
        ("DeleteTable", {"TableName": name}),
        ("DescribeTable", {"TableName": chance.pick((name, "things"))}),
        ("ListTables", {"Limit": chance.below(4)}),
        ("UpdateTable", {"TableName": name, "BillingMode": "PAY_PER_REQUEST"}),
        (
            "UpdateTable",
            {"TableName": name, "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 0}},
        ),
        ("TagResource", {"ResourceArn": arn, "Tags": [{"Key": "a", "Value": "b"}]}),
        ("UntagResource", {"ResourceArn": arn, "TagKeys": ["a"]}),
        ("ListTagsOfResource", {"ResourceArn": chance.pick((arn, "arn:aws:x", ""))}),
        ("UpdateTimeToLive", {"TableName": name, "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "n"}}),
        ("ExecuteStatement", {"Statement": chance.pick(STATEMENTS)}),
        ("BatchExecuteStatement", {"Statements": [{"Statement": chance.pick(STATEMENTS)} for _ in range(2)]}),
    ]
    return chance.pick(choices)


STATEMENTS = (
    "SELECT * FROM \"things\" WHERE pk = 'a'",
    "SELECT v, n FROM things WHERE pk = 'a' AND sk = 1",
    "INSERT INTO plain VALUE {'id': 1, 'v': <<'a', 'b'>>}",
    "UPDATE plain SET v = 1 WHERE id = 1",
    "DELETE FROM plain WHERE id = 1",
    "SELECT",
    "SELECT * FROM \"things\".\"by-colour\" WHERE colour IN ('red', 'blue')",
    "'" * 50,
    "SELECT * FROM things WHERE " + "(" * 300,
)


# --- wrong in one place ---------------------------------------------------------------------------------------------


def _nodes(part: object) -> list[Node]:
    found: list[Node] = []
    inside: list[object] = [part]
    while inside:
        each = inside.pop()
        if isinstance(each, dict):
            found += [(each, name) for name in each]
            inside += each.values()
        elif isinstance(each, list):
            found += [(each, at) for at in range(len(each))]
            inside += each
    return found


def _put(node: Node, value: object) -> None:
    holder, at = node
    cast("dict[object, object]", holder)[at] = value


def as_made(chance: Chance, request: Request) -> tuple[str, Request]:
    """As the generator made it, which makes mistakes of its own."""
    return "as made", request


def wrong_type(chance: Chance, request: Request) -> tuple[str, Request]:
    """Something odd in place of one value."""
    name, body = request[0], copy.deepcopy(request[1])
    if nodes := _nodes(body):
        _put(chance.pick(nodes), chance.pick(ODD))
    return "wrong type", (name, body)


def missing(chance: Chance, request: Request) -> tuple[str, Request]:
    """One member less."""
    name, body = request[0], copy.deepcopy(request[1])
    if nodes := [node for node in _nodes(body) if isinstance(node[0], dict)]:
        holder, member = chance.pick(nodes)
        del cast("dict[object, object]", holder)[member]
    return "missing member", (name, body)


def huge(chance: Chance, request: Request) -> tuple[str, Request]:
    """A long or deep text, list or number in place of one value."""
    name, body = request[0], copy.deepcopy(request[1])
    if nodes := _nodes(body):
        values: tuple[object, ...] = (
            *STRINGS,
            {"S": "s" * 410_000},
            {"SS": [str(n) for n in range(2_000)]},
            {"L": [{"N": "1"}] * 3_000},
            {f"a{n}": {"N": "1"} for n in range(1_500)},
            10**300,
            ["x"] * 5_000,
        )
        _put(chance.pick(nodes), chance.pick(values))
    return "huge", (name, body)


def deep(chance: Chance, request: Request) -> tuple[str, Request]:
    """Nested lists and maps in place of one attribute value: within the limit, at it, beyond it."""
    name, body = request[0], copy.deepcopy(request[1])
    value: object = {"S": "x"}
    for _ in range(chance.pick((5, 31, 32, 33, DEEP))):
        value = {"M": {"m": value}} if chance.below(2) else {"L": [value]}
    if nodes := _nodes(body):
        _put(chance.pick(nodes), value)
    return "deep", (name, body)


def member_of_another(chance: Chance, request: Request) -> tuple[str, Request]:
    """A member that belongs to another operation, or to none."""
    name, body = request[0], dict(request[1])
    member = chance.pick(("Item", "Key", "Limit", "KeySchema", "RequestItems", "Tags", "Statement", "__proto__", "é"))
    body[member] = chance.pick(ODD)
    return "member of another", (name, body)


def broken_expression(chance: Chance, request: Request) -> tuple[str, Request]:
    """An expression with one character cut out, doubled or replaced."""
    name, body = request[0], dict(request[1])
    texts = [
        member for member, text in body.items() if member.endswith("Expression") and isinstance(text, str) and text
    ]
    if texts:
        member = chance.pick(texts)
        text = str(body[member])
        at = chance.below(len(text))
        body[member] = (
            text[:at] + chance.pick(("", text[at] * 2, "(", ")", ":", "#", "[", "\x00", "é")) + text[at + 1 :]
        )
    return "broken expression", (name, body)


Change: TypeAlias = Callable[[Chance, Request], "tuple[str, Request]"]
SCHEMA_AWARE: tuple[Change, ...] = (
    as_made,
    as_made,
    as_made,
    wrong_type,
    wrong_type,
    missing,
    huge,
    deep,
    member_of_another,
    broken_expression,
    broken_expression,
)


# --- broken below ---------------------------------------------------------------------------------------------------


def broken_json(cases: Cases, chance: Chance) -> Case:
    """A body that is cut, damaged or no JSON."""
    name, body = cases.request(chance)
    content = bytearray(_json(body))
    match chance.below(7):
        case 0:
            content = content[: chance.below(len(content))]
        case 1:
            for _ in range(1 + chance.below(4)):
                content[chance.below(len(content))] = chance.below(256)
        case 2:
            at = chance.below(len(content))
            content[at:at] = chance.pick((b'"', b"{", b"]", b",", b"\\", b"\x00", b"\xff", b"NaN", b"1e9999"))
        case 3:
            content = bytearray(b'{"a":' * VERY_DEEP)
        case 4:
            content = bytearray(b'{"TableName":"things","TableName":' + _json(chance.pick(ODD)) + b"}")
        case 5:
            content = bytearray(
                chance.pick((b"", b"null", b"[]", b'"x"', b"1", b"\xef\xbb\xbf{}", b"9" * 5000, b"[" * VERY_DEEP))
            )
        case _:
            content += chance.pick((b"{}", b"x", b"\n\n", b"\x00"))
    return Case("broken JSON", cases.frame(bytes(content), f"DynamoDB_20120810.{name}"), 1, requests=((name, body),))


def odd_headers(cases: Cases, chance: Chance) -> Case:
    """Headers that are missing, wrong, repeated or long."""
    name, body = cases.request(chance)
    changes: tuple[dict[str, str], ...] = (
        {"Authorization": ""},
        {"Authorization": "AWS4-HMAC-SHA256 Credential=x"},
        {"Authorization": "Basic eA=="},
        {"X_Amz_Target": ""},
        {"X_Amz_Target": "DynamoDB_20120810.NoSuchOperation"},
        {"X_Amz_Target": "DynamoDB_20120810."},
        {"X_Amz_Target": "x" * 3_000},
        {"X-Amz-Target": "DynamoDBStreams_20120810.ListStreams"},
        {"Content_Type": "text/plain"},
        {"Content-Type": ""},
        {"Content-Type": "application/json"},
        {"Content_Encoding": "gzip"},
        {"Content_Encoding": "br"},
        {"X_Amz_Date": ""},
        {"X_Junk": "j" * 20_000},
        {"Accept_Encoding": "gzip, deflate, br"},
        {"Expect": "100-continue"},
        {"Connection": "close"},
    )
    data = cases.encode(name, body, **chance.pick(changes))
    return Case("odd headers", data, 1, requests=((name, body),))


def zipped(cases: Cases, chance: Chance) -> Case:
    """A gzip body, whole or damaged; now and then one that unpacks to very much."""
    name, body = cases.request(chance)
    content = gzip.compress(b" " * 20_000_000 if chance.one_in(20) else _json(body), mtime=0)
    if chance.below(2):
        content = content[: chance.below(len(content))] + bytes([chance.below(256)])
    return Case(
        "gzip", cases.frame(content, f"DynamoDB_20120810.{name}", Content_Encoding="gzip"), 1, requests=((name, body),)
    )


def truncated(cases: Cases, chance: Chance) -> Case:
    """The client goes away in the middle of a request."""
    request = cases.request(chance)
    data = cases.encode(*request)
    return Case("truncated", data[: 1 + chance.below(len(data) - 1)], 0, ends=True, requests=(request,))


def pipelined(cases: Cases, chance: Chance) -> Case:
    """Several requests at once; the answers must come in the same order."""
    requests = tuple(
        chance.pick(SCHEMA_AWARE)(chance, cases.request(chance))[1] for _ in range(2 + chance.below(PIPELINE_MAX - 1))
    )
    data = b"".join(cases.encode(*request) for request in requests)
    return Case("pipelined", data, len(requests), requests=requests)


def chunked(cases: Cases, chance: Chance) -> Case:
    """A body in chunks, some of one byte; now and then with a size that is none."""
    name, body = cases.request(chance)
    content, data = _json(body), b""
    while content:
        size = min(len(content), 1 + chance.below(max(1, len(content))))
        data += b"%x\r\n%b\r\n" % (size, content[:size])
        content = content[size:]
    data += b"0\r\n\r\n" if chance.below(5) else b"zz\r\n\r\n"
    head = cases.frame(b"", f"DynamoDB_20120810.{name}", Content_Length="", Transfer_Encoding="chunked")
    return Case("chunked", head + data, 1, requests=((name, body),))


def no_http(cases: Cases, chance: Chance) -> Case:
    """Bytes that are no request, other methods and other paths."""
    whole = (
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"DELETE / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"hello\r\n\r\n",
    )
    return Case("no HTTP", chance.pick(whole), 1)


BELOW: tuple[Callable[[Cases, Chance], Case], ...] = (
    broken_json,
    broken_json,
    broken_json,
    odd_headers,
    odd_headers,
    zipped,
    truncated,
    truncated,
    pipelined,
    pipelined,
    chunked,
    no_http,
)

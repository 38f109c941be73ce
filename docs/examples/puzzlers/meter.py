"""Databases for the puzzlers, and a meter that reads what each request cost.

Rules of this room:
- A puzzler measures: it sends requests as any client does and prints what the answers say. It computes no price itself.
- The same puzzler runs against the reference model (in this process, the default), against the replicated service in
  virtual time, and against an endpoint over HTTP (`--endpoint http://127.0.0.1:8000`, needs boto3). Tests compare what
  the three print.
- What a puzzler prints stands in a chapter; `pytest tests/docs/test_puzzlers.py --rewrite-transcripts` writes it anew.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias, cast

from dynalab_fault_injection.simulator import Format, Simulation
from dynalab_impl import codec
from dynalab_impl.effects import Limits, RequestToken, Response, layout
from dynalab_impl.service import make_node
from dynalab_impl.storage import wal
from dynalab_model.database import State, apply
from dynalab_model.errors import DynamoError
from dynalab_model.operations import Operation
from dynalab_model.requests import parse
from dynalab_model.values import Item, item_size

Plain: TypeAlias = "str | int | list[Plain] | dict[str, Plain]"
Row: TypeAlias = "dict[str, Plain]"
Body: TypeAlias = "dict[str, object]"
SECOND_NS = 1_000_000_000
ANSWER_NS_MAX = 10 * SECOND_NS
INDEX_LAG_NS = 2 * SECOND_NS  # far more than an index of a healthy cluster is behind
BATCH_MAX = 25
KB = 1024


def wire(value: Plain) -> dict[str, object]:
    """A plain value as the interface writes it.

    >>> wire(["a", 1])
    {'L': [{'S': 'a'}, {'N': '1'}]}
    """
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, list):
        return {"L": [wire(each) for each in value]}
    return {"M": item(value)}


def item(row: Mapping[str, Plain]) -> Body:
    """A row as an item of the interface."""
    return {name: wire(value) for name, value in row.items()}


def plain(value: Mapping[str, object]) -> Plain:
    """The opposite of `wire`, for the types that puzzlers use.

    >>> plain({"M": {"n": {"N": "7"}}})
    {'n': 7}
    """
    ((kind, content),) = value.items()
    if kind == "L":
        return [plain(each) for each in cast("list[Body]", content)]
    if kind == "M":
        return row(cast("Body", content))
    return int(str(content)) if kind == "N" else str(content)


def row(found: Mapping[str, object]) -> Row:
    """An item of the interface as a row."""
    return {name: plain(cast("Body", value)) for name, value in found.items()}


def padded(size_bytes: int, **attributes: Plain) -> Row:
    """A row with these attributes (texts and whole numbers) and one named `pad` that fills it up to that many bytes.

    >>> item_size(item(padded(4096, user="ann", n=12)))
    4096
    """
    used = item_size(cast("Item", item(attributes))) + len("pad")
    assert used <= size_bytes, "the attributes alone are larger"
    return {**attributes, "pad": "x" * (size_bytes - used)}


class Refused(Exception):
    """The service refused a request; `error` is its name."""

    def __init__(self, error: str, body: Mapping[str, object]) -> None:
        super().__init__(f"{error}: {body.get('message', body.get('Message', ''))}")
        self.error = error
        self.body = body

    def reasons(self) -> str:
        """Why each action of a transaction was refused, in order."""
        reasons = cast("list[dict[str, str]]", self.body.get("CancellationReasons", []))
        return ", ".join(reason["Code"] for reason in reasons) or self.error


class Transport(Protocol):
    """Carries one request. Raises Refused."""

    def call(self, name: str, body: Body) -> Body: ...

    def settle(self) -> None:
        """Wait until tables are ready and indexes have caught up."""


class Reference:
    """The reference model: everything at once, in this process."""

    def __init__(self) -> None:
        self.state = State()

    def call(self, name: str, body: Body) -> Body:
        self.state, answer = apply(self.state, parse_or_refuse(name, body), 0)
        if isinstance(answer, DynamoError):
            raise Refused(answer.code, answer.body())
        return answer

    def settle(self) -> None:
        """Nothing to wait for."""


class Simulated:
    """The replicated service in virtual time: three replicas behind every write, and limits where they are given."""

    def __init__(
        self,
        *,
        partitions: int = 1,
        limits: Limits | None = None,
        seed: int = 1,
        index_partitions: int = 2,
        backlog_max: int = 2_000,
    ) -> None:
        topology = layout(3, 1, 1, partitions=partitions, limits=limits, index_backlog_max=backlog_max)
        topology = replace(topology, partitions_per_index=index_partitions)
        form = Format(codec.encode, codec.decode, wal.frame, wal.recover)
        self.simulation = Simulation(seed, topology, make_node, form)
        self.answers: dict[RequestToken, tuple[int, Response]] = {}
        self.simulation.clients.append(self)
        self.simulation.start()
        self.settle()

    def on_wake(self, tag: int) -> None:
        """Nobody asks for wake-ups."""
        raise AssertionError("nobody asked for a wake-up")

    def on_response(self, token: RequestToken, response: Response) -> None:
        """Keep the answer, and when it came."""
        self.answers[token] = self.simulation.now, response

    def send(self, name: str, body: Body) -> RequestToken:
        """Send a request and wait for nothing."""
        return self.simulation.request(0, 0, parse_or_refuse(name, body))

    def wait(self, *tokens: RequestToken) -> None:
        """Until all of these are answered."""
        give_up_ns = self.simulation.now + ANSWER_NS_MAX
        while any(token not in self.answers for token in tokens):
            assert self.simulation.now < give_up_ns, "no answer"
            self.run(SECOND_NS // 10_000)

    def run(self, duration_ns: int) -> None:
        """Let virtual time pass."""
        self.simulation.run_until(self.simulation.now + duration_ns)

    def call(self, name: str, body: Body) -> Body:
        token = self.send(name, body)
        self.wait(token)
        _, response = self.answers.pop(token)
        if response.status != 200:
            raise Refused(str(response.error), response.body)
        return dict(response.body)

    def settle(self) -> None:
        self.run(2 * INDEX_LAG_NS)


class Served:
    """An endpoint over HTTP, by boto3, which must be installed."""

    def __init__(self, url: str) -> None:
        import boto3

        self.client = boto3.client(
            "dynamodb", endpoint_url=url, region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any"
        )
        self.methods = {api: method for method, api in self.client.meta.method_to_api_mapping.items()}

    def call(self, name: str, body: Body) -> Body:
        from botocore.exceptions import ClientError

        try:
            return cast("Body", getattr(self.client, self.methods[name])(**body))
        except ClientError as error:
            told = cast("dict[str, object]", error.response["Error"])
            reasons = error.response.get("CancellationReasons", [])
            raise Refused(str(told["Code"]), {"message": told["Message"], "CancellationReasons": reasons}) from None

    def settle(self) -> None:
        """Until every table is ACTIVE, and a second longer for indexes."""
        import time

        for name in self.client.list_tables()["TableNames"]:
            self.client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
        time.sleep(0.5)


def parse_or_refuse(name: str, body: Body) -> Operation:
    """The operation that a request asks for. Raises Refused."""
    try:
        return parse(name, body)
    except DynamoError as error:
        raise Refused(error.code, error.body()) from None


@dataclass(slots=True)
class Bill:
    """What was asked and what it cost. `units` are capacity units of tables and indexes together, as they were told."""

    requests: int = 0
    units: float = 0
    scanned: int = 0  # items that queries and scans went over
    returned: int = 0  # items that they gave back
    indexes: dict[str, float] = field(default_factory=dict)


class Database:
    """A transport with a meter: every request to items asks for its price, and every open bill notes it."""

    def __init__(self, transport: Transport | None = None) -> None:
        self.transport = transport or Reference()
        self._bills: list[Bill] = []

    @contextmanager
    def bill(self) -> Iterator[Bill]:
        """Note what the requests inside the block cost."""
        self._bills.append(Bill())
        try:
            yield self._bills[-1]
        finally:
            self._bills.pop()

    def create(self, table: str, *keys: str, indexes: Sequence[Body] = (), numbers: Sequence[str] = ()) -> None:
        """A table on demand. A key is a name, with `:N` behind it if it is a number; `numbers` are those of indexes."""
        described = {name: kind or "S" for name, _, kind in (key.partition(":") for key in keys)}
        names = list(described)
        for index in indexes:
            for part in cast("list[dict[str, str]]", index["KeySchema"]):
                described.setdefault(part["AttributeName"], "N" if part["AttributeName"] in numbers else "S")
        body: Body = {
            "TableName": table,
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": key_schema(*names),
            "AttributeDefinitions": [{"AttributeName": n, "AttributeType": t} for n, t in described.items()],
        }
        if indexes:
            body["GlobalSecondaryIndexes"] = list(indexes)
        self.transport.call("CreateTable", body)
        self.transport.settle()

    def call(self, name: str, **body: object) -> Body:
        """One request to items, with its price on every open bill. Raises Refused."""
        asked: Body = {**body, "ReturnConsumedCapacity": "INDEXES"}
        answer = self.transport.call(name, asked)
        told = answer.get("ConsumedCapacity", [])
        parts = cast("list[Body]", told if isinstance(told, list) else [told])
        for bill in self._bills:
            bill.requests += 1
            bill.scanned += cast("int", answer.get("ScannedCount", 0))
            bill.returned += cast("int", answer.get("Count", 0))
            for part in parts:
                bill.units += cast("float", part["CapacityUnits"])
                for index, spent in cast("dict[str, Body]", part.get("GlobalSecondaryIndexes", {})).items():
                    bill.indexes[index] = bill.indexes.get(index, 0) + cast("float", spent["CapacityUnits"])
        return answer

    def put(self, table: str, **attributes: Plain) -> None:
        """Put one row."""
        self.call("PutItem", TableName=table, Item=item(attributes))

    def load(self, table: str, rows: Sequence[Row]) -> None:
        """Put many rows, in batches."""
        for begin in range(0, len(rows), BATCH_MAX):
            puts = [{"PutRequest": {"Item": item(each)}} for each in rows[begin : begin + BATCH_MAX]]
            answer = self.call("BatchWriteItem", RequestItems={table: puts})
            assert not answer["UnprocessedItems"]
        self.transport.settle()

    def update(self, table: str, key: Mapping[str, Plain], expression: str, **values: Plain) -> None:
        """Update one item; values are named as in the expression, without the colon."""
        self.call(
            "UpdateItem",
            TableName=table,
            Key=item(key),
            UpdateExpression=expression,
            **({"ExpressionAttributeValues": {f":{n}": wire(v) for n, v in values.items()}} if values else {}),
        )

    def get(self, table: str, key: Mapping[str, Plain], *, strong: bool = True) -> Row | None:
        """One item."""
        answer = self.call("GetItem", TableName=table, Key=item(key), ConsistentRead=strong)
        return row(cast("Body", answer["Item"])) if "Item" in answer else None

    def query(self, table: str, condition: str, values: Mapping[str, Plain], **more: object) -> list[Row]:
        """All pages of a query, or the first if it has a Limit. Eventual, unless ConsistentRead says otherwise."""
        named = {f":{name}": wire(value) for name, value in values.items()}
        more = {"KeyConditionExpression": condition, "ExpressionAttributeValues": named, **more}
        return self._pages("Query", {"TableName": table, **more})

    def scan(self, table: str, **more: object) -> list[Row]:
        """All pages of a scan."""
        return self._pages("Scan", {"TableName": table, **more})

    def _pages(self, name: str, body: Body) -> list[Row]:
        found: list[Row] = []
        while True:
            answer = self.call(name, **body)
            found += [row(each) for each in cast("list[Body]", answer.get("Items", []))]
            if "LastEvaluatedKey" not in answer or "Limit" in body:
                return found
            body = {**body, "ExclusiveStartKey": answer["LastEvaluatedKey"]}


def key_schema(*names: str) -> list[dict[str, str]]:
    """A partition key and, perhaps, a sort key; that of a global index may have several attributes."""
    return [{"AttributeName": name, "KeyType": "RANGE" if number else "HASH"} for number, name in enumerate(names)]


def index(name: str, *keys: str, projection: str = "ALL", include: Sequence[str] = ()) -> Body:
    """A global index."""
    projected: Body = {"ProjectionType": "INCLUDE" if include else projection}
    if include:
        projected["NonKeyAttributes"] = list(include)
    return {"IndexName": name, "KeySchema": key_schema(*keys), "Projection": projected}


def table(*rows: Sequence[object]) -> Iterator[str]:
    """Lines with columns; the first is a text, the others are set to the right. Halves are printed as such.

    >>> list(table(("", "units"), ("strong", 2.0), ("eventual", 0.5)))
    ['          units', 'strong        2', 'eventual    0.5']
    """
    cells = [[f"{cell:,g}" if isinstance(cell, float) else _cell(cell) for cell in row] for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    for line in cells:
        first, *others = (cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        yield "  ".join([line[0].ljust(len(first)), *others]).rstrip()


def _cell(cell: object) -> str:
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def run(puzzler: Callable[[Database], Iterator[str]], *, anywhere: bool = True) -> None:
    """What `python PUZZLER.py [--endpoint URL]` does: print the puzzler's lines. At an endpoint it makes new tables.

    `anywhere` is False for those that need virtual time, or a table that nobody wants to write item by item.
    """
    url = sys.argv[2] if sys.argv[1:2] == ["--endpoint"] and len(sys.argv) == 3 else ""
    if len(sys.argv) > 1 and not (url and anywhere):
        where = " [--endpoint URL]" if anywhere else "   (it brings its own service)"
        sys.exit(f"usage: python {sys.argv[0]}{where}")
    try:
        for line in puzzler(Database(Served(url) if url else None)):
            print(line)
    except Refused as refused:
        # The usual reason is a second run: nothing here deletes a table that it finds.
        sys.exit(f"{sys.argv[0]}: {refused}")

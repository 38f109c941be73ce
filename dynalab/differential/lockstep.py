"""The reference machine and the replicated service, side by side: every request goes to both, every answer must be
the same to the letter: responses, error types and texts, capacity.

The service is the real one on the simulator: routers, groups of three replicas in three zones, messages and disks, but
no faults. Global indexes follow their tables, so before an index is read everything owed to it is waited for, on every
replica (an eventual read may ask any of them).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import cast

from dynalab.differential.quiescence import is_quiet
from dynalab.differential.script import boto3_script
from dynalab.differential.streams import carried, changes
from dynalab.differential.tables import Body, Index, TableShape, definitions
from dynalab.lab.kinesis import FeedReader
from dynalab_fault_injection.simulator import Format, Simulation
from dynalab_fault_injection.simulator.simulation import WALL_EPOCH_NS
from dynalab_impl import codec
from dynalab_impl.effects import RequestToken, Response, Topology, layout
from dynalab_impl.messages import SplitNow
from dynalab_impl.partition import Partition
from dynalab_impl.service import make_node
from dynalab_impl.storage import wal
from dynalab_impl.storage_node import StorageNode
from dynalab_impl.table_entry import FEEDS
from dynalab_model import kinesis
from dynalab_model.database import State, apply, sweep
from dynalab_model.errors import DynamoError
from dynalab_model.operations import BatchExecuteStatement, ExecuteStatement, Operation, Query, ReadSettings, Scan
from dynalab_model.requests import parse
from dynalab_model.streams import FEED

SECOND_NS = 1_000_000_000
SLICE_NS = 1_000_000
ANSWER_NS_MAX = 10 * SECOND_NS
SETTLE_NS_MAX = 20 * SECOND_NS
SWEEP_NS = 20 * SECOND_NS  # many times of what a leader needs to go round its few rows
ROUTERS = 2
PARTITIONS_MAX = 40  # splits stop here

# What the documents do not promise to be current or the same: times, ids, counts that are refreshed every six hours.
UNPROMISED = frozenset(
    {
        "TableId",
        "ItemCount",
        "IndexSizeBytes",
        "TableSizeBytes",
        "LatestStreamArn",
        "LatestStreamLabel",
        "ContributorInsightsRuleList",  # a rule's name has the time of its making
    }
)


def offered(shapes: Iterable[TableShape]) -> tuple[TableShape, ...]:
    """The tables among these that the service can make.

    >>> from dynalab.differential.tables import SHAPES
    >>> [shape.name for shape in offered(SHAPES)]
    ['things', 'plain', 'blobs', 'local']
    """
    found = []
    for shape in shapes:
        try:
            parse("CreateTable", shape.create())
        except DynamoError:
            continue
        found.append(shape)
    return tuple(found)


class Difference(AssertionError):
    """Model and service answered a request differently; the text is a boto3 script that shows it."""


class Pair:
    """One model and one service, told the same.

    >>> pair = Pair()
    >>> pair.call("ListTables", {})
    {'TableNames': []}
    """

    def __init__(self, seed: int = 1, topology: Topology | None = None) -> None:
        self.state = State()
        self.steps: list[tuple[str, Body]] = []
        self.answered: dict[str, int] = {"ok": 0, "refused": 0, "unparsed": 0}
        self._answers: dict[RequestToken, Response] = {}
        form = Format(codec.encode, codec.decode, wal.frame, wal.recover)
        topology = topology or layout(routers=ROUTERS, partitions=3)
        self._simulation = Simulation(seed, topology, make_node, form)
        self._simulation.clients.append(self)
        self._simulation.start()
        self._run(2 * SECOND_NS)

    # --- a client of the simulation -----------------------------------------------------------------------------

    def on_wake(self, tag: int) -> None:
        """Nobody asks for wake-ups."""
        raise AssertionError("nobody asked for a wake-up")

    def on_response(self, token: RequestToken, response: Response) -> None:
        """Keep the answer for the one that waits."""
        self._answers[token] = response

    # --- requests -----------------------------------------------------------------------------------------------

    def create(self, shape: TableShape) -> None:
        """Make a table on both sides, and wait until the service has it."""
        self.call("CreateTable", shape.create())
        self.wait_active(shape.name)

    def wait_active(self, table: str) -> None:
        """Until the service says that the table is ACTIVE; the model is at once."""
        give_up_ns = self._simulation.now + SETTLE_NS_MAX
        while self._status(table) not in ("ACTIVE", ""):
            assert self._simulation.now < give_up_ns, f"{table} never became ACTIVE"
            self._run(SECOND_NS // 10)
        self._run(2 * SECOND_NS)  # every group has elected a leader

    def _status(self, table: str) -> str:
        return str(self._described(table)["TableStatus"])

    def _described(self, table: str) -> Body:
        body = self._ask(parse("DescribeTable", {"TableName": table})).body
        return cast("Body", body.get("Table", {"TableStatus": ""}))

    def change_index(self, table: str, index: Index, *, comes: bool) -> None:
        """Add a global index to a table, or drop it, on both sides, and wait until the service has done it."""
        change: Body = {"Create": index.describe()} if comes else {"Delete": {"IndexName": index.name}}
        body: Body = {"TableName": table, "GlobalSecondaryIndexUpdates": [change]}
        if comes:
            body["AttributeDefinitions"] = definitions(index.keys)
        self.call("UpdateTable", body)
        give_up_ns = self._simulation.now + SETTLE_NS_MAX
        while not self._is_settled(table):
            assert self._simulation.now < give_up_ns, f"the index of {table} never came or went"
            self._run(SECOND_NS // 10)
        self.call("DescribeTable", {"TableName": table})

    def _is_settled(self, table: str) -> bool:
        told = self._described(table)
        indexes = cast("list[Body]", told.get("GlobalSecondaryIndexes", []))
        return told["TableStatus"] == "ACTIVE" and all(index["IndexStatus"] == "ACTIVE" for index in indexes)

    def call(self, name: str, body: Body) -> Body | DynamoError:
        """The answer that both gave. Raises Difference when they gave two."""
        self.steps.append((name, body))
        try:
            operation = parse(name, body)
        except DynamoError as error:
            self.answered["unparsed"] += 1  # both sides parse with the same code
            return error
        self.state, wanted = apply(self.state, operation, self.wall_ns)
        if _reads_an_index(operation):
            self.settle()
        elif isinstance(operation, ReadSettings):
            self._run(SECOND_NS)  # what items expire by is told to every partition first
        got = self._ask(operation)
        refused = isinstance(wanted, DynamoError)
        self.answered["refused" if refused else "ok"] += 1
        expected = (wanted.status, wanted.body()) if isinstance(wanted, DynamoError) else (200, wanted)
        if plain(expected) != plain((got.status, got.body)):
            text = boto3_script(self.steps, [("model", expected), ("service", (got.status, got.body))])
            raise Difference(f"model and service differ\n{text}")
        return wanted

    def _ask(self, operation: Operation) -> Response:
        router = len(self.steps) % ROUTERS
        token = self._simulation.request(0, router, operation)
        give_up_ns = self._simulation.now + ANSWER_NS_MAX
        while token not in self._answers:
            assert self._simulation.now < give_up_ns, f"no answer to {type(operation).__name__}"
            self._run(SLICE_NS)
        return self._answers.pop(token)

    def _run(self, duration_ns: int) -> None:
        self._simulation.run_until(self._simulation.now + duration_ns)

    @property
    def wall_ns(self) -> int:
        """What the clock on the wall says: the model's clock, and the service's but for a millisecond."""
        return WALL_EPOCH_NS + self._simulation.now

    def sweep(self) -> None:
        """Let everything go that has expired, on both sides: the service needs time for it."""
        self._run(SWEEP_NS)
        self.state = sweep(self.state, self.wall_ns)

    def wait(self, duration_ns: int) -> None:
        """Let time pass on both sides: the model's clock is the service's."""
        self._run(duration_ns)

    # --- quiescence ---------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Run until every index holds what its table owes it, on every replica."""
        give_up_ns = self._simulation.now + SETTLE_NS_MAX
        while not is_quiet(host.node for host in self._simulation.hosts):
            assert self._simulation.now < give_up_ns, "the indexes never caught up"
            self._run(10 * SLICE_NS)

    def split(self, which: int) -> bool:
        """Divide one of the partitions that are led now, `which` counted around; False when none is. It happens while
        the next requests are served.
        """
        led = [
            (index, group)
            for index, host in enumerate(self._simulation.hosts)
            if isinstance(host.node, StorageNode)
            for group, replica in host.node.replicas.items()
            if replica.is_leader and isinstance(replica.state, Partition) and len(replica.state.items) > 1
        ]
        if led and len(led) < PARTITIONS_MAX:
            index, group = led[which % len(led)]
            self._simulation.order(index, SplitNow(group))
        return bool(led)

    @property
    def splits(self) -> int:
        """How many halves were made so far, counted on every replica."""
        return self._simulation.told.get("split-applied", 0)

    # --- the whole ----------------------------------------------------------------------------------------------

    def compare_all(self) -> int:
        """Read every table, every index and every stream whole on both sides; how many records the streams told. Raises
        Difference.
        """
        records = 0
        for name, table in list(self.state.tables.items()):
            self.call("Scan", {"TableName": name, "ConsistentRead": True, "ReturnConsumedCapacity": "INDEXES"})
            for index in table.schema.all_indexes:
                self.call("Scan", {"TableName": name, "IndexName": index.name})
            records += self.compare_streams(name)
        return records

    def change_stream(self, table: str, view: str) -> None:
        """Enable a table's stream with this view, or disable it (""), and wait until every partition knows."""
        asked: Body = {"StreamEnabled": True, "StreamViewType": view} if view else {"StreamEnabled": False}
        self.call("UpdateTable", {"TableName": table, "StreamSpecification": asked})
        self.wait_active(table)
        self.call("DescribeTable", {"TableName": table})

    def compare_streams(self, table: str) -> int:
        """Read all that the table's streams tell on both sides; how many records that was. Raises Difference."""
        wanted, got = changes(self._ask_model, table), changes(self._ask_service, table)
        if wanted != got:
            apart = {key: (wanted.get(key), got.get(key)) for key in wanted | got if wanted.get(key) != got.get(key)}
            key, (one, other) = next(iter(apart.items()))
            text = boto3_script(
                self.steps, [("model", (200, {"records": one})), ("service", (200, {"records": other}))]
            )
            raise Difference(f"the streams of {table} differ at {key}\n{text}")
        return sum(len(records) for records in got.values())

    def compare_feeds(self) -> int:
        """Read all that goes to Kinesis destinations on both sides; how many records that was. Raises Difference."""
        readers = {
            (table, label): FeedReader(table, label, arn)
            for table, label, arn, _ in cast("list[list[str]]", self._ask(ReadSettings(FEEDS)).body["Feeds"])
        }
        got: list[Body] = []
        for reader in readers.values():
            while records := asyncio.run(reader.step(self._call)):
                got += [dict(record) for record in records]
        kept = [
            kinesis.record_body(change, label, table, kinesis.MILLISECOND)
            for (table, label), stream in self.state.streams.items()
            if label.startswith(FEED)
            for change in stream.changes
        ]
        one, other = carried(kept), carried(got)
        if one != other:
            apart = {text: (one.get(text), other.get(text)) for text in one | other if one.get(text) != other.get(text)}
            text = boto3_script(self.steps, [("model and service", (200, {"records": apart}))])
            raise Difference(f"what goes to Kinesis differs\n{text}")
        return len(got)

    async def _call(self, operation: Operation) -> Response:
        return self._ask(operation)

    def _ask_model(self, name: str, body: Body) -> Body:
        self.state, answer = apply(self.state, parse(name, body), self.wall_ns)
        assert not isinstance(answer, DynamoError), f"{name}: {answer}"
        return answer

    def _ask_service(self, name: str, body: Body) -> Body:
        answer = self._ask(parse(name, body))
        assert answer.status == 200, f"{name}: {answer}"
        return cast("Body", answer.body)


def plain(part: object) -> object:
    """An answer without what is not promised.

    >>> plain({"Table": {"TableName": "T", "ItemCount": 3}})
    {'Table': {'TableName': 'T'}}
    """
    if isinstance(part, dict):
        return {name: plain(each) for name, each in part.items() if _is_promised(name)}
    if isinstance(part, list | tuple):
        return [plain(each) for each in part]
    return part


def _reads_an_index(operation: Operation) -> bool:
    if isinstance(operation, Query | Scan):
        return operation.index is not None
    return isinstance(operation, ExecuteStatement | BatchExecuteStatement)  # may do so: their text says


def _is_promised(member: str) -> bool:
    return member not in UNPROMISED and not member.endswith("DateTime")

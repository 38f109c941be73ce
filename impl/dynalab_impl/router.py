"""The request router: finds the partition, sends to the right replica, tries again, and assembles pages (ATC'22; S17,
S21, S87).

A router keeps no data: it caches where partitions lie (`routes`) and the last known leader of each group, and both
may be stale. A node that is asked wrongly says so (Redirect), and the router goes on. Every write carries the router's
incarnation, a number and an expiry, so however often it is sent, it happens at most once.

What the client is told: a storage node's answer is final. If none comes until the deadline, a write that was sent may
have happened, or may happen yet: 500. A request that was never sent certainly did not happen, and gets a definite
error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast, get_args

from dynalab_impl import (
    answers,
    attempts,
    batching,
    coordinator,
    lookups,
    stalled,
    statements,
    stream_requests,
    transact_reads,
    watching,
)
from dynalab_impl import messages as m
from dynalab_impl.answers import TABLES, Body
from dynalab_impl.attempts import ATTEMPTS_MAX
from dynalab_impl.effects import (
    NOTHING,
    Address,
    Effects,
    Message,
    Nanoseconds,
    Position,
    RequestToken,
    Response,
    TimerName,
    Topology,
)
from dynalab_impl.lookups import Lookup
from dynalab_impl.metadata import Found, Question
from dynalab_impl.pending import PartOperation, Pending
from dynalab_impl.plain import copy_plain, fingerprint
from dynalab_impl.routes import Routes
from dynalab_impl.steps import STEPS, Step
from dynalab_impl.stream_messages import StreamStep
from dynalab_impl.transact_messages import ItemRead, Stalled
from dynalab_impl.transaction import Transaction
from dynalab_model.errors import DynamoError, internal_server_error, throttling
from dynalab_model.items import bind_get, bind_write
from dynalab_model.operations import (
    BatchExecuteStatement,
    BatchGetItem,
    BatchWriteItem,
    CreateTable,
    DeleteItem,
    ExecuteStatement,
    GetItem,
    ListTables,
    Operation,
    PutItem,
    Query,
    Scan,
    StreamOperation,
    TableOperation,
    TransactOperation,
    TransactWriteItems,
    UpdateItem,
)
from dynalab_model.pages import PageBuilder, plan_read
from dynalab_model.schema import TableSchema

SWEEP: TimerName = ("sweep",)
SWEEP_NS = 20_000_000
PENDING_MAX = 10_000  # more requests at once are refused before anything is sent

_STATEMENTS = (ExecuteStatement, BatchExecuteStatement)
_WRITES = frozenset({PutItem, UpdateItem, DeleteItem, BatchWriteItem, TransactWriteItems, *_STATEMENTS})
_Whole: TypeAlias = (
    batching.Batch | statements.Running | statements.Members | Transaction | transact_reads.Reads | stream_requests.Walk
)


def _table_of(operation: Operation) -> str:
    if isinstance(operation, CreateTable):
        return operation.schema.name
    return "" if isinstance(operation, ListTables) else operation.table


def _begin_step(router: Router, pending: Pending, effects: Effects) -> None:
    """A step of something larger knows its key."""
    pending.key = cast("Step | StreamStep", pending.operation).key
    router.dispatch(pending, effects)


def _refuse(token: RequestToken, error: DynamoError, effects: Effects) -> None:
    effects.reply(token, Response(error.status, cast(Body, error.body()), error.code), NOTHING)


class Router:
    """One router's caches and the requests in its hands."""

    __slots__ = (
        "address",
        "batches",
        "catalog_leader",
        "counters",
        "eventual_policy",
        "identity",
        "last_stamp_ns",
        "lookups",
        "next_number",
        "pending",
        "routes",
        "sweeping",
        "topology",
    )

    def __init__(self, address: Address, topology: Topology, incarnation: int) -> None:
        self.address = address
        self.topology = topology
        self.identity = f"{address.node}#{incarnation}"
        self.routes = Routes(topology.cached_partitions_max)
        self.lookups: dict[Question, Lookup] = {}
        self.pending: dict[int, Pending] = {}
        self.batches: dict[int, _Whole] = {}
        self.next_number = ATTEMPTS_MAX
        self.last_stamp_ns: Nanoseconds = 0  # of the transactions that this router has begun
        self.sweeping = False
        self.catalog_leader: Address | None = None
        # "any" replica for eventual reads, the "leader", or the "stalest": the last member that does not lead.
        self.eventual_policy = "any"
        self.counters: watching.Counters | None = None  # of busy keys, while any are counted

    def on_start(self, effects: Effects) -> None:
        # A restarted router must not reuse the request numbers of its former life.
        drawn = effects.random_bits(64)
        self.identity += f"#{drawn:016x}"
        # Answers name the number alone, and those to a former life may still be on their way: they must find nobody.
        self.next_number = ATTEMPTS_MAX + ((drawn & 0xFFFF_FFFF) << 24)

    def on_durable(self, position: Position, effects: Effects) -> None:
        """A router writes nothing."""

    def on_stop(self, effects: Effects) -> None:
        """A router leads nothing: there is nothing to hand over."""

    def may_stop(self) -> bool:
        return True

    # --- requests ---------------------------------------------------------------------------------------------------

    def on_request(self, token: RequestToken, operation: Operation, effects: Effects) -> None:
        if not self.has_room(1):
            _refuse(token, throttling(control_plane=True), effects)
            return
        timing = self.topology.timing
        number, now_ns, table = self.next_request(), effects.now_ns, _table_of(operation)
        expiry_ns = effects.wall_ns + timing.dedup_ns
        pending = Pending(number, token, operation, now_ns + timing.request_ns, expiry_ns, now_ns, table)
        self.pending[number] = pending
        if not self.sweeping:
            self.keep_sweeping(effects)
        if type(operation) in TABLES:
            self.ask_catalog(pending, effects)
        else:
            self.bind(pending, effects)

    def keep_sweeping(self, effects: Effects) -> None:
        """Requests are pending: look again and again which of them have had no answer."""
        if not self.sweeping:
            self.sweeping = True
            effects.set_timer(SWEEP, SWEEP_NS)

    def next_stamp(self, effects: Effects) -> Nanoseconds:
        """A timestamp for a transaction: this machine's clock, and never the same twice."""
        self.last_stamp_ns = max(effects.wall_ns, self.last_stamp_ns + 1)
        return self.last_stamp_ns

    def has_room(self, count: int) -> bool:
        """Whether so many more requests may be pending."""
        return len(self.pending) + count <= PENDING_MAX

    def next_request(self) -> int:
        number = self.next_number
        self.next_number += ATTEMPTS_MAX
        return number

    def wait_for_table(self, pending: Pending, effects: Effects) -> None:
        """Ask for the keys of the request's table (any of its partitions tells); `bind` comes again with the answer."""
        lookups.ask(self, pending, (pending.table, "", b"", False), effects)

    def schema_of(self, pending: Pending, effects: Effects) -> TableSchema | None:
        """The keys of the request's table; None after asking for them: `bind` comes again with the answer."""
        schema = self.routes.schemas.get(pending.table)
        if schema is None:
            self.wait_for_table(pending, effects)
        return schema

    def schemas_of(self, pending: Pending, tables: Sequence[str], effects: Effects) -> dict[str, TableSchema] | None:
        """The keys of all these tables; None after asking for one that is not known, as above."""
        schemas: dict[str, TableSchema] = {}
        for name in dict.fromkeys(tables):
            schema = self.routes.schemas.get(name)
            if schema is None:
                pending.table = name
                self.wait_for_table(pending, effects)
                return None
            schemas[name] = schema
        return schemas

    def part_of(self, whole: Pending, place: int, operation: PartOperation) -> Pending:
        """One request of a batch or of a statement: a request of its own, with the deadline of the whole."""
        number, table = self.next_request(), operation.table
        part = Pending(number, whole.token, operation, whole.deadline_ns, whole.expiry_ns, whole.retry_ns, table)
        part.batch, part.place_in_batch = whole.number, place
        self.pending[number] = part
        return part

    def send_part(
        self, batch: Pending, place: int, request: GetItem | PutItem | DeleteItem, key: bytes, effects: Effects
    ) -> None:
        """One request of a batch whose tables are known: from here on a request of its own."""
        part = self.part_of(batch, place, request)
        part.key = key
        self.dispatch(part, effects)

    def bind(self, pending: Pending, effects: Effects) -> None:
        """Check the request against the table and send it, once the table is known."""
        operation = pending.operation
        begin = BEGINNINGS.get(type(operation))
        if begin is not None:
            begin(self, pending, effects)
            return
        schema = self.routes.schemas.get(pending.table)
        if schema is None:
            self.wait_for_table(pending, effects)
            return
        try:
            if type(operation) is GetItem:
                pending.key = bind_get(schema, operation)
            elif type(operation) is Query or type(operation) is Scan:
                if operation.index is not None and not lookups.may_trust(schema, operation.index, pending):
                    self.wait_for_table(pending, effects)
                    return
                self._plan(pending, operation, schema)
            else:
                write: Any = operation
                pending.key = bind_write(schema, write)
        except DynamoError as error:
            if schema.indexes and not pending.rechecked and type(operation) in _WRITES:
                # It may be about an index that is gone: the table is asked for once more.
                pending.rechecked = True
                self.wait_for_table(pending, effects)
                return
            self.finish_with(pending, error, effects)
            return
        self.dispatch(pending, effects)

    def _plan(self, pending: Pending, operation: Query | Scan, schema: TableSchema) -> None:
        if pending.plan is not None:
            return
        plan = pending.plan = plan_read(schema, operation)
        pending.page = PageBuilder(schema, operation)
        pending.low, pending.high = plan.low, plan.high
        if plan.start_after is not None:
            pending.step(plan.start_after)

    def dispatch(self, pending: Pending, effects: Effects) -> None:
        """One attempt: to the leader for writes and strong reads, to any replica for eventual ones."""
        operation = pending.operation
        plan = pending.plan
        index, key, below = "", pending.key, False
        if plan is not None:
            if not pending.more:
                self.finish_page(pending, effects)
                return
            index, key, below = pending.place(plan)
        spec = self.routes.find(pending.table, index, key, below)
        if spec is None or spec.group == pending.ended:
            lookups.ask(self, pending, (pending.table, index, key, below), effects)
            return
        pending.spec = spec
        if self.topology.refresh_on_hit and self.routes.due(
            spec.group, effects.now_ns, self.topology.timing.refresh_ns
        ):
            lookups.refresh(self, spec, effects)
        consistent = bool(getattr(operation, "consistent", True))
        to = attempts.replica(self, pending, spec, consistent, effects)
        pending.retry_ns = effects.now_ns + self.topology.timing.attempt_ns
        effects.send(to, attempts.compose(self, pending, spec, consistent), NOTHING)

    # --- answers ----------------------------------------------------------------------------------------------------

    def on_message(self, sender: Address, message: Message, effects: Effects) -> None:
        getattr(self, HANDLERS[type(message)])(sender, message, effects)

    _on_answer = answers.on_answer
    _on_get_reply = answers.on_get_reply
    _on_item_read = answers.on_item_read
    _on_range_reply = answers.on_range_reply
    _on_redirect = answers.on_redirect
    _on_ended = answers.on_ended
    _on_successor = answers.on_successor
    _on_moved = answers.on_moved
    _on_watch = watching.on_watch

    def forget_leader(self, pending: Pending) -> None:
        """Whoever was asked leads no more, or is silent."""
        if type(pending.operation) in TABLES:
            self.catalog_leader = None
        else:
            self.routes.leaders.pop(pending.group, None)

    def try_again(self, pending: Pending, effects: Effects) -> None:
        """One more attempt, if there may be one."""
        if type(pending.operation) in TABLES:
            self.ask_catalog(pending, effects)
        elif pending.attempts < ATTEMPTS_MAX:
            self.bind(pending, effects)

    def on_timer(self, name: TimerName, effects: Effects) -> None:
        """The sweep: give up what is over its deadline, try again what has had no answer."""
        assert name == SWEEP
        now_ns = effects.now_ns
        for pending in list(self.pending.values()):
            if now_ns >= pending.deadline_ns:
                self.give_up(pending, effects)
            elif now_ns >= pending.retry_ns and not pending.asking:
                pending.target += 1
                pending.hops = 0
                self.forget_leader(pending)
                self.try_again(pending, effects)
        for question, lookup in list(self.lookups.items()):
            if now_ns >= lookup.retry_ns:
                lookups.send(self, question, lookup, effects)
        if self.pending or self.lookups:
            effects.set_timer(SWEEP, SWEEP_NS)
        else:
            self.sweeping = False

    def give_up(self, pending: Pending, effects: Effects) -> None:
        unknown = pending.sent or type(pending.operation) not in _WRITES
        self.finish_with(pending, internal_server_error() if unknown else throttling(control_plane=True), effects)

    def finish_with(self, pending: Pending, error: DynamoError, effects: Effects) -> None:
        """Answer a request with an error."""
        self.finish(pending, error.status, cast(Body, error.body()), error.code, effects)

    def finish_page(self, pending: Pending, effects: Effects) -> None:
        """Answer a read with the page that it has."""
        assert pending.page is not None
        self.finish(pending, 200, cast(Body, pending.page.result()), None, effects)

    def finish(self, pending: Pending, status: int, body: Body, error: str | None, effects: Effects) -> None:
        """This is what the request came to: its client is told, or whatever it is a part of."""
        self.pending.pop(pending.number, None)
        if self.counters is not None:
            watching.note(self, pending, error or "", body, effects.now_ns)
        if pending.batch:
            take = TAKERS[type(self.batches[pending.batch])]
            take(self, pending, batching.Part(status, body, error or ""), effects)
            return
        effects.reply(pending.token, Response(status, body, error), NOTHING)

    # --- the catalog ------------------------------------------------------------------------------------------------

    def ask_catalog(self, pending: Pending, effects: Effects) -> None:
        """One attempt of a request about tables: to the catalog's leader."""
        members = self.topology.catalog_members()
        to = self.catalog_leader or members[pending.target % len(members)]
        pending.retry_ns = effects.now_ns + self.topology.timing.attempt_ns
        pending.sent = True
        request = (self.identity, pending.number)
        operation = cast("TableOperation", pending.operation)
        effects.send(to, m.TableRequest(pending.number, request, pending.expiry_ns, operation), NOTHING)

    def _on_stalled(self, sender: Address, message: Stalled, effects: Effects) -> None:
        stalled.take_over(self, message, effects)

    def _on_found(self, sender: Address, message: Found, effects: Effects) -> None:
        lookups.on_found(self, sender, message, effects)

    def copy(self) -> Router:
        """An independent copy, for the explorer to branch."""
        return copy_plain(self)

    def fingerprint(self, now_ns: int) -> str:
        """A digest of the whole state, with deadlines relative to now."""
        return fingerprint(self, now_ns)


HANDLERS: dict[type, str] = {
    m.Answer: "_on_answer",
    m.GetReply: "_on_get_reply",
    m.RangeReply: "_on_range_reply",
    m.Redirect: "_on_redirect",
    m.Ended: "_on_ended",
    m.Moved: "_on_moved",
    m.Successor: "_on_successor",
    Found: "_on_found",
    ItemRead: "_on_item_read",
    Stalled: "_on_stalled",
    watching.Watch: "_on_watch",
}

# What needs more than one message to one partition, or none of its keys → how it begins, once the table is known.
BEGINNINGS: dict[type, Callable[[Router, Pending, Effects], None]] = {
    **dict.fromkeys((BatchGetItem, BatchWriteItem), batching.begin),
    **dict.fromkeys(_STATEMENTS, statements.begin),
    **dict.fromkeys(get_args(TransactOperation), coordinator.begin),
    **dict.fromkeys(get_args(StreamOperation), stream_requests.begin),
    **dict.fromkeys((*STEPS, StreamStep), _begin_step),
}

# What a request is a part of → who takes its outcome.
TAKERS: dict[type, Callable[[Router, Pending, batching.Part, Effects], None]] = {
    batching.Batch: batching.take,
    statements.Running: statements.take,
    statements.Members: statements.take,
    Transaction: coordinator.take,
    transact_reads.Reads: transact_reads.take,
    stream_requests.Walk: stream_requests.take,
}

"""A write transaction in the hands of a router: what is remembered of it, and what its client is told.

`coordinator` says what is done with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from dynalab_impl.batching import Part
from dynalab_impl.effects import NOTHING, Effects, Nanoseconds, Response
from dynalab_impl.jsons import as_json
from dynalab_impl.ledger import CANCELLED, PREPARING, Participant
from dynalab_impl.pending import Pending
from dynalab_impl.transact_reads import told_of_statements
from dynalab_model.errors import DynamoError, internal_server_error
from dynalab_model.operations import ExecuteTransaction, TransactWriteItems
from dynalab_model.schema import TableSchema
from dynalab_model.transactions import cancelled, transact_replay_response, transact_write_response

if TYPE_CHECKING:
    from dynalab_impl.router import Router


@dataclass(slots=True)
class Transaction:
    """A write transaction in the hands of a router. `operation` is None where only its decision is carried out."""

    asked: Pending  # the client's request; in a recovery one that nobody waits for
    operation: TransactWriteItems | None
    ledger: str
    txn: str
    attempt: int
    stamp_ns: Nanoseconds
    participants: tuple[Participant, ...]
    due_ns: Nanoseconds  # when a client that waits is told something
    waiting: bool
    statements: ExecuteTransaction | None = None  # what the client asked for, if it was PartiQL
    schemas: dict[str, TableSchema] = field(default_factory=dict)
    marker: Participant | None = None  # in a recovery: the item whose leader asked for it
    recovery: bool = False
    phase: str = "begin"
    left: int = 0  # parts of this phase without an outcome
    parts: list[Part | None] = field(default_factory=list)
    places: list[int] = field(default_factory=list)  # participants that are told, or told again
    made: dict[str, str] = field(default_factory=dict)  # by table: as which of this name it has voted (`making_of`)
    state: str = PREPARING
    outcome: list[dict[str, object]] = field(default_factory=list)
    again: bool = False
    closed: bool = False  # the ledger knows that every participant has confirmed
    replayed: bool = False  # it had happened before this client asked
    rounds: int = 0
    renewals: int = 0  # times that this router has begun it anew for its timestamp


def results(work: Transaction) -> list[Part]:
    return [cast(Part, part) for part in work.parts]


def conclude(work: Transaction, effects: Effects) -> None:
    """Tell the client what has become of it."""
    if not work.waiting:
        return
    assert work.operation is not None, "whoever waits has asked for something"
    if work.state == CANCELLED:
        error = cancelled(work.outcome)
        answer(work, Part(error.status, as_json(error.body()), error.code), effects)
        return
    # Prices that did not fit into the ledger were there before its entry was read: this is an answer from there.
    priced = work.operation.capacity == "NONE" or all("ConsumedCapacity" in body for body in work.outcome)
    respond = transact_write_response if priced and not work.replayed else transact_replay_response
    answer(work, Part(200, as_json(respond(work.operation, work.outcome)), ""), effects)


def answer(work: Transaction, part: Part, effects: Effects) -> None:
    """Answer the client, once."""
    if not work.waiting:
        return
    work.waiting = False
    if work.statements is not None:
        part = told_of_statements(work.schemas, work.statements, part)
    effects.reply(work.asked.token, Response(part.status, part.body, part.error or None), NOTHING)


def refuse(router: Router, work: Transaction, error: DynamoError, effects: Effects) -> None:
    """Nothing was begun: the client is told why."""
    answer(work, Part(error.status, as_json(error.body()), error.code), effects)
    drop(router, work)


def refuse_late(work: Transaction, effects: Effects) -> None:
    """The client is told that the outcome is unknown."""
    error = internal_server_error()
    answer(work, Part(error.status, as_json(error.body()), error.code), effects)


def drop(router: Router, work: Transaction) -> None:
    """This router is done with it."""
    del router.batches[work.asked.number]

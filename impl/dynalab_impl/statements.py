"""What a router does for PartiQL statements: one client request, ordinary requests one after the other, one answer.

These functions work on a `Router`, kept in a room of their own. What a statement means is the model's (`partiql`); each
of its requests is a pending request like any other, with its own number, retries and deduplication. An error of one of
them is the statement's: a write of unknown outcome stays a 500.

A batch of statements is bound before anything is carried out, so that a batch that names one item twice does nothing.
Then its members go their ways at the same time, and what becomes of each is told in its place, also that its outcome
is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from dynalab_impl.batching import Part
from dynalab_impl.effects import JSON, NOTHING, Effects, RequestToken, Response
from dynalab_impl.pending import Pending
from dynalab_model import partiql
from dynalab_model.errors import NO_SUCH_INDEX, DynamoError, throttling
from dynalab_model.operations import BatchExecuteStatement, ExecuteStatement

if TYPE_CHECKING:
    from dynalab_impl.router import Router


@dataclass(slots=True)
class Running:
    """A statement that is being carried out, and the request that it came with."""

    asked: Pending
    run: partiql.Run


@dataclass(slots=True)
class Members:
    """A batch of statements. Each member is first bound (`runs`) or refused, then carried out; `told` is what becomes
    of it, `left` counts those of whom the next thing is still to come.
    """

    token: RequestToken
    operation: BatchExecuteStatement
    asked: list[Pending | None]
    runs: list[partiql.Run | DynamoError | None]
    told: list[dict[str, object] | None]
    left: int


def begin(router: Router, pending: Pending, effects: Effects) -> None:
    """Bind a statement to its table, and carry it out; a member of a batch waits for the others."""
    operation = pending.operation
    if isinstance(operation, BatchExecuteStatement):
        _begin_batch(router, pending, operation, effects)
        return
    assert isinstance(operation, ExecuteStatement)
    schema = router.schema_of(pending, effects)
    if schema is None:
        return
    try:
        run = partiql.begin(schema, operation)
        target = partiql.target(schema, run) if pending.batch else b""
    except DynamoError as error:
        if error.message.startswith(NO_SUCH_INDEX) and not pending.rechecked:
            pending.rechecked = True  # it may have come since
            router.wait_for_table(pending, effects)
            return
        router.finish_with(pending, error, effects)
        return
    del router.pending[pending.number]
    pending.key = target
    if pending.batch:
        members = cast(Members, router.batches[pending.batch])
        members.asked[pending.place_in_batch] = pending
        members.runs[pending.place_in_batch] = run
        _count(router, pending.batch, members, effects)
    else:
        _carry_out(router, Running(pending, run), effects)


def take(router: Router, part: Pending, outcome: Part, effects: Effects) -> None:
    """One request of a statement, or one member of a batch of them, has its outcome."""
    holder = router.batches[part.batch]
    if isinstance(holder, Members):
        _take_member(router, part, holder, outcome, effects)
        return
    assert isinstance(holder, Running)
    del router.batches[part.batch]
    if outcome.status != 200:
        other = holder.run.error(outcome.error)
        _answer(router, holder.asked, outcome if other is None else _failed(other), effects)
        return
    holder.run.take(cast("dict[str, object]", outcome.body))
    _carry_out(router, holder, effects)


def _carry_out(router: Router, running: Running, effects: Effects) -> None:
    asked, request = running.asked, running.run.request
    if request is None:
        _answer(router, asked, Part(200, cast("dict[str, JSON]", running.run.response()), ""), effects)
        return
    router.batches[asked.number] = running
    router.bind(router.part_of(asked, 0, request), effects)


def _answer(router: Router, asked: Pending, outcome: Part, effects: Effects) -> None:
    if asked.batch:
        take(router, asked, outcome, effects)
    else:
        effects.reply(asked.token, Response(outcome.status, outcome.body, outcome.error or None), NOTHING)


def _failed(error: DynamoError) -> Part:
    return Part(error.status, cast("dict[str, JSON]", error.body()), error.code)


# --- batches --------------------------------------------------------------------------------------------------------


def _begin_batch(router: Router, pending: Pending, operation: BatchExecuteStatement, effects: Effects) -> None:
    size = len(operation.statements)
    if not router.has_room(size):
        router.finish_with(pending, throttling(control_plane=True), effects)
        return
    del router.pending[pending.number]
    members = Members(pending.token, operation, [None] * size, [None] * size, [None] * size, size)
    router.batches[pending.number] = members
    for place, member in enumerate(operation.statements):
        if isinstance(member, ExecuteStatement):
            router.bind(router.part_of(pending, place, member), effects)
        else:
            members.told[place] = partiql.member_error(None, member.code, member.message)
            _count(router, pending.number, members, effects)


def _take_member(router: Router, part: Pending, members: Members, outcome: Part, effects: Effects) -> None:
    run = members.runs[part.place_in_batch]
    if outcome.status == 200:
        assert isinstance(run, partiql.Run), "only what was bound is carried out"
        told = partiql.member_response(run)
    else:
        message = outcome.body.get("message") or outcome.body.get("Message") or ""
        told = partiql.member_error(None if run is None else part.table, outcome.error, str(message))
    assert members.told[part.place_in_batch] is None, "a member has one outcome"
    members.told[part.place_in_batch] = told
    _count(router, part.batch, members, effects)


def _count(router: Router, number: int, members: Members, effects: Effects) -> None:
    """One member more is bound or has its outcome. When all are bound they begin; when all are done, the batch is
    answered.
    """
    members.left -= 1
    if members.left:
        return
    bound = [
        asked for asked, told in zip(members.asked, members.told, strict=True) if asked is not None and told is None
    ]
    if not bound:
        del router.batches[number]
        body = partiql.batch_response(members.operation, members.told, members.runs)
        effects.reply(members.token, Response(200, cast("dict[str, JSON]", body), None), NOTHING)
        return
    try:
        partiql.check_targets([(asked.table, asked.key) for asked in bound])
    except DynamoError as error:
        del router.batches[number]
        effects.reply(members.token, Response(error.status, cast("dict[str, JSON]", error.body()), error.code), NOTHING)
        return
    members.left = len(bound)
    for asked in bound:
        run = members.runs[asked.place_in_batch]
        assert isinstance(run, partiql.Run)
        _carry_out(router, Running(asked, run), effects)

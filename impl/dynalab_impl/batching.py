"""What a router does for a batch: one client request, many independent requests to partitions, one answer.

These functions work on a `Router`, kept in a room of their own. A batch is refused as a whole until every table is
known and every key fits; from then on each of its parts is a pending request like any other, with its own number,
retries and deduplication. The batch answers when all parts are in:

- A part that certainly did not happen (a read without an answer, a write that was never sent) comes back as
  unprocessed. If that is all of them, the batch gets their error instead.
- A write whose outcome is unknown makes the whole answer a 500: to call it unprocessed would be to say that it did not
  happen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from dynalab_impl.effects import JSON, NOTHING, Effects, RequestToken, Response
from dynalab_impl.pending import Pending
from dynalab_model.batches import batch_get_response, batch_write_response, bind_gets, bind_writes
from dynalab_model.errors import DynamoError, internal_server_error, throttling
from dynalab_model.operations import BatchGetItem, BatchOperation, DeleteItem, GetItem, PutItem

if TYPE_CHECKING:
    from dynalab_impl.router import Router

# Errors that say: nothing happened, try again.
REFUSED_FOR_NOW = frozenset({"ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded"})


@dataclass(slots=True)
class Part:
    """What one request of a batch came to."""

    status: int
    body: dict[str, JSON]
    error: str


@dataclass(slots=True)
class Batch:
    """A batch whose parts are on their way; `left` counts those without an outcome."""

    token: RequestToken
    operation: BatchOperation
    parts: list[Part | None]
    left: int


def begin(router: Router, pending: Pending, effects: Effects) -> None:
    """Look up the next unknown table; once all are known, check every key and send every part."""
    operation = pending.operation
    assert isinstance(operation, BatchOperation)
    requests: Sequence[GetItem | PutItem | DeleteItem]
    requests = operation.gets if isinstance(operation, BatchGetItem) else operation.writes
    schemas = router.schemas_of(pending, [request.table for request in requests], effects)
    if schemas is None:
        return
    try:
        if isinstance(operation, BatchGetItem):
            keys = bind_gets(schemas, operation)
        else:
            keys = bind_writes(schemas, operation)
        if not router.has_room(len(requests)):
            raise throttling(control_plane=True)
    except DynamoError as error:
        router.finish_with(pending, error, effects)
        return
    del router.pending[pending.number]
    router.batches[pending.number] = Batch(pending.token, operation, [None] * len(requests), len(requests))
    for place, (request, key) in enumerate(zip(requests, keys, strict=True)):
        router.send_part(pending, place, request, key, effects)


def take(router: Router, part: Pending, outcome: Part, effects: Effects) -> None:
    """One part has its outcome; the last one brings the answer."""
    batch = cast(Batch, router.batches[part.batch])
    assert batch.parts[part.place_in_batch] is None, "a part has one outcome"
    batch.parts[part.place_in_batch] = outcome
    batch.left -= 1
    if batch.left == 0:
        del router.batches[part.batch]
        answer = conclude(batch.operation, [cast(Part, one) for one in batch.parts])
        effects.reply(batch.token, Response(answer.status, answer.body, answer.error or None), NOTHING)


def conclude(operation: BatchOperation, parts: Sequence[Part]) -> Part:
    """The batch's answer, from what its parts came to."""
    done = [part for part in parts if part.status == 200]
    if isinstance(operation, BatchGetItem):
        # Whatever a read came to, it left nothing behind: only a definite refusal is told to the client.
        refused = [part for part in parts if part.status < 500 and not _can_wait(part)]
        if refused or not done:
            return (refused or list(parts))[0]
        return Part(200, cast("dict[str, JSON]", batch_get_response(operation, _bodies(parts))), "")
    unknown = any(part.status >= 500 for part in parts)
    refused = [part for part in parts if part.status != 200 and not _can_wait(part)]
    if unknown or (refused and done):
        # A table that went in the middle refuses some writes and took others: no single error would be true.
        error = internal_server_error()
        return Part(error.status, cast("dict[str, JSON]", error.body()), error.code)
    if not done:
        return (refused or list(parts))[0]
    return Part(200, cast("dict[str, JSON]", batch_write_response(operation, _bodies(parts))), "")


def _can_wait(part: Part) -> bool:
    return part.status == 200 or part.error in REFUSED_FOR_NOW


def _bodies(parts: Sequence[Part]) -> list[dict[str, JSON] | None]:
    return [part.body if part.status == 200 else None for part in parts]

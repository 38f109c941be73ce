"""Read transactions: two rounds of reads that write nothing (ATC'23; TransactGetItems).

The first round reads every item with the slot that wrote it, the second asks whether anything has changed. If nothing
has, and no transaction held any of them in either round, then all values were there together between the two rounds.
Otherwise the transaction is cancelled: waiting would be a lock. Nothing is remembered of it, so it has no entry in the
ledger, and nobody has to recover it.

These functions work on a `Router`, kept in a room of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from dynalab_impl.batching import REFUSED_FOR_NOW, Part
from dynalab_impl.effects import JSON, NOTHING, Effects, Nanoseconds, Response
from dynalab_impl.jsons import as_json
from dynalab_impl.pending import Pending
from dynalab_impl.steps import ReadStep
from dynalab_impl.transaction_rules import MANY_PREPARED, OLD_WRITE_IGNORED, ONE_ROUND_READ
from dynalab_model import partiql
from dynalab_model.errors import DynamoError, throttling, transaction_conflict
from dynalab_model.events import Event
from dynalab_model.operations import ExecuteTransaction, TransactGetItems
from dynalab_model.schema import TableSchema
from dynalab_model.transactions import bind_transaction_gets, cancelled, reason_of, transact_get_response
from dynalab_model.values import Item

if TYPE_CHECKING:
    from dynalab_impl.router import Router


STAMPED_TRIES_MAX = 4  # of one read transaction, each as of another timestamp


@dataclass(slots=True)
class Reads:
    """A read transaction in the hands of a router. `first` is what the first round found, once it is over."""

    asked: Pending
    operation: TransactGetItems
    statements: ExecuteTransaction | None
    schemas: dict[str, TableSchema]
    keys: list[bytes]
    left: int = 0
    parts: list[Part | None] = field(default_factory=list)
    first: list[Part] = field(default_factory=list)
    stamp_ns: Nanoseconds = 0  # while one round is tried (`transaction_rules`)
    tries: int = 0  # of that


def begin(
    router: Router,
    pending: Pending,
    operation: TransactGetItems,
    statements: ExecuteTransaction | None,
    schemas: dict[str, TableSchema],
    effects: Effects,
) -> None:
    """Check the keys and begin the first round. Raises DynamoError."""
    keys = bind_transaction_gets(schemas, operation)
    if not router.has_room(len(keys)):
        raise throttling(control_plane=True)
    del router.pending[pending.number]
    reads = Reads(pending, operation, statements, schemas, keys)
    router.batches[pending.number] = reads
    if is_stamped(router.topology.transaction_rules):
        reads.stamp_ns = router.next_stamp(effects)
    _ask(router, reads, True, effects)


def _ask(router: Router, reads: Reads, values: bool, effects: Effects) -> None:
    reads.left, reads.parts = len(reads.keys), [None] * len(reads.keys)
    for place, (get, key) in enumerate(zip(reads.operation.gets, reads.keys, strict=True)):
        router.bind(router.part_of(reads.asked, place, ReadStep(get.table, key, values, reads.stamp_ns)), effects)


def take(router: Router, part: Pending, outcome: Part, effects: Effects) -> None:
    """One item was read; the last one ends the round."""
    reads = cast(Reads, router.batches[part.batch])
    assert reads.parts[part.place_in_batch] is None, "a part has one outcome"
    reads.parts[part.place_in_batch] = outcome
    reads.left -= 1
    if reads.left:
        return
    found = [cast(Part, one) for one in reads.parts]
    _hold_apart(reads, found)
    if reads.stamp_ns and _take_stamped(router, reads, found, effects):
        return
    refused = _refusal(reads, found)
    if refused is None and not reads.first:
        reads.first = found
        _ask(router, reads, False, effects)
        return
    del router.batches[reads.asked.number]
    _answer(reads, _read(reads) if refused is None else refused, effects)


def _hold_apart(reads: Reads, found: list[Part]) -> None:
    """Items of two tables of one name, the second made after the first was deleted, were never there together: those of
    the second count as held. Their slots may be the same and say nothing.
    """
    made: dict[str, JSON] = {}
    for rounds in (reads.first, found):
        for get, part in zip(reads.operation.gets, rounds, strict=False):
            if part.status == 200 and made.setdefault(get.table, part.body["Made"]) != part.body["Made"]:
                part.body["Held"] = True


def is_stamped(rules: Collection[str]) -> bool:
    """Whether read transactions have timestamps. Where a write may be hidden by a younger one they must: else one could
    see what hides it, and miss another write of the same transaction. And all of them must, or none: what is read as of
    a timestamp may be another order than that in which two rounds find it.
    """
    return ONE_ROUND_READ in rules or OLD_WRITE_IGNORED in rules or MANY_PREPARED in rules


def _take_stamped(router: Router, reads: Reads, found: list[Part], effects: Effects) -> bool:
    """The end of a round as of a timestamp: it is the answer, or there is another round; False if neither."""
    if any(part.status != 200 for part in found):
        return False
    if not any(part.body["Held"] for part in found):
        effects.tell(Event("read-in-one-round"))
        reads.first = found
        del router.batches[reads.asked.number]
        _answer(reads, _read(reads), effects)
        return True
    reads.tries += 1
    if reads.tries == STAMPED_TRIES_MAX:
        return False
    # Behind all that was found, and no later: whatever this router's clock says, and is under way by now.
    reads.stamp_ns = 1 + max(cast(int, part.body["Stamp"]) for part in found)
    _ask(router, reads, True, effects)
    return True


def _refusal(reads: Reads, found: list[Part]) -> Part | None:
    """Why this round ends the transaction; None if it does not."""
    for part in found:
        if part.status != 200 and part.error not in REFUSED_FOR_NOW:
            return part  # a read leaves nothing behind: whatever it is, it holds for all
    if all(part.status == 200 for part in found) and not any(_moves(reads, place, p) for place, p in enumerate(found)):
        return None
    reasons = [_reason(reads, place, part) for place, part in enumerate(found)]
    return _failed(cancelled(reasons))


def _moves(reads: Reads, place: int, part: Part) -> bool:
    """Whether a transaction holds this item, or it was written between the rounds."""
    changed = bool(reads.first) and reads.first[place].body["Version"] != part.body["Version"]
    return changed or bool(part.body["Held"])


def _reason(reads: Reads, place: int, part: Part) -> dict[str, object]:
    if part.status != 200:
        return reason_of(DynamoError(part.error, str(part.body.get("message") or "")))
    return reason_of(transaction_conflict() if _moves(reads, place, part) else None)


def _read(reads: Reads) -> Part:
    items = [cast("Item | None", part.body["Item"]) for part in reads.first]
    try:
        return Part(200, as_json(transact_get_response(reads.operation, items)), "")
    except DynamoError as error:
        return _failed(error)


def _failed(error: DynamoError) -> Part:
    return Part(error.status, as_json(error.body()), error.code)


def _answer(reads: Reads, part: Part, effects: Effects) -> None:
    if part.error == "TransactionCanceledException":
        effects.tell(Event("read-transaction-cancelled"))
    if reads.statements is not None:
        part = told_of_statements(reads.schemas, reads.statements, part)
    effects.reply(reads.asked.token, Response(part.status, part.body, part.error or None), NOTHING)


def told_of_statements(schemas: Mapping[str, TableSchema], statements: ExecuteTransaction, part: Part) -> Part:
    """What statements are told, where a transaction would be told this."""
    if part.status == 200:
        body = partiql.transaction_response(schemas, statements, cast("dict[str, object]", part.body))
        return Part(200, cast("dict[str, JSON]", body), "")
    if part.error != "TransactionCanceledException":
        return part
    reasons = cast("list[dict[str, object]]", part.body["CancellationReasons"])
    return _failed(partiql.transaction_error(statements, cancelled(reasons)))

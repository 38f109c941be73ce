"""What a router does for a write transaction: timestamp ordering in two phases, decided in the ledger (ATC'23).

Any router can coordinate any transaction, and several may work on one: each step does nothing when it is done again,
and the ledger decides once. The phases, each a row of `PHASES`:

- *begin*: the entry is in the ledger, before anybody is asked to prepare. Another entry there means that the token was
  used before (`_known`).
- *prepare*: every item's leader is asked for its vote, all at the same time. A transaction that was refused for its
  timestamp alone begins *anew* under another one: the clocks of two machines differ, and a client that has just
  written must not be told of a conflict for that.
- *decide*: one conditional write. After it nothing can go wrong any more, only late. If its outcome is unknown: *look*.
- *carry*: every item's leader is told, again and again until it has confirmed. Then the client is answered.
- *finish*: the entry may be dropped, ten minutes from now.

Until the decision a transaction that takes too long is cancelled. After it the client may be told that the outcome is
unknown; the work goes on, and if this router gives it up, another one is asked to (`Stalled`).

These functions work on a `Router`, kept in a room of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from dynalab_impl import ledger, transact_reads
from dynalab_impl.batching import Part
from dynalab_impl.effects import Effects, Nanoseconds
from dynalab_impl.entries import making_of
from dynalab_impl.jsons import as_json
from dynalab_impl.ledger import CANCELLED, COMMITTED, PREPARING, LedgerEntry
from dynalab_impl.pending import PartOperation, Pending
from dynalab_impl.steps import DecideStep, PrepareStep, WholeStep
from dynalab_impl.transaction import Transaction, answer, conclude, drop, refuse, refuse_late, results
from dynalab_impl.transaction_rules import ONE_ROUND_WRITE
from dynalab_model import partiql
from dynalab_model.errors import (
    DynamoError,
    resource_not_found,
    throttling,
    token_mismatch,
    transaction_in_progress,
)
from dynalab_model.events import Event
from dynalab_model.operations import ExecuteTransaction, TransactGetItems, TransactOperation, TransactWriteItems
from dynalab_model.transactions import (
    bind_transaction,
    reason_of,
)
from dynalab_model.values import Item

if TYPE_CHECKING:
    from dynalab_impl.router import Router

IN_PROGRESS_NS = 5_000_000_000  # an unfinished transaction that is older is finished by whoever meets it
ANEW_MAX = 3  # times that a coordinator begins one anew for its timestamp
CARRY_ROUNDS_MAX = 3  # of the time that a request has; what is not told by then is left to recovery
LOOKS_MAX = 3
CONDITION_FAILED = "ConditionalCheckFailedException"
GONE = "ResourceNotFoundException"


def begin(router: Router, pending: Pending, effects: Effects) -> None:
    """Check a transaction against its tables, and write it into the ledger."""
    asked, statements = pending.operation, None
    assert isinstance(asked, TransactOperation)
    schemas = router.schemas_of(pending, _tables(asked), effects)
    if schemas is None:
        return
    try:
        if isinstance(asked, ExecuteTransaction):
            statements, asked = asked, partiql.begin_transaction(schemas, asked)
        if isinstance(asked, TransactGetItems):
            transact_reads.begin(router, pending, asked, statements, schemas, effects)
            return
        keys = bind_transaction(schemas, asked)
        if not router.has_room(len(keys)):
            raise throttling(control_plane=True)
    except DynamoError as error:
        router.finish_with(pending, error, effects)
        return
    txn = fresh_id(effects)
    work = Transaction(
        pending,
        asked,
        ledger.ledger_key(asked.token, txn),
        txn,
        1,
        router.next_stamp(effects),
        tuple((action.table, key) for action, key in zip(asked.actions, keys, strict=True)),
        pending.deadline_ns,
        True,
        statements,
        schemas,
    )
    del router.pending[pending.number]
    router.batches[pending.number] = work
    if _is_in_one_partition(router, work):
        tables, whole_keys = zip(*work.participants, strict=True)
        step = WholeStep(tables[0], whole_keys[0], whole_keys, asked.actions, work.stamp_ns)
        launch(router, work, "whole", [step], _until(router, work, effects), effects)
    else:
        _enter(router, work, "", effects)


def _is_in_one_partition(router: Router, work: Transaction) -> bool:
    """Whether a rule lets this transaction be one entry of one log, as far as this router knows."""
    assert work.operation is not None
    if ONE_ROUND_WRITE not in router.topology.transaction_rules or work.operation.token is not None:
        return False
    specs = [router.routes.find(table, "", key) for table, key in work.participants]
    return specs[0] is not None and all(spec is specs[0] for spec in specs)


def _whole(router: Router, work: Transaction, effects: Effects) -> None:
    """A partition has done all of it, or nothing; if that was for the timestamp, or since it lies in two partitions by
    now, the long way is open.
    """
    part = results(work)[0]
    if part.status != 200:
        answer(work, part, effects)
    elif part.body["Vote"] == "yes":
        work.state, work.outcome = COMMITTED, cast("list[dict[str, object]]", part.body["Bodies"])
        conclude(work, effects)
    elif part.body["Vote"] == "no":
        work.state, work.outcome = CANCELLED, cast("list[dict[str, object]]", part.body["Reasons"])
        conclude(work, effects)
    else:
        work.stamp_ns = router.next_stamp(effects)
        _enter(router, work, "", effects)
        return
    drop(router, work)


def _tables(asked: TransactOperation) -> list[str]:
    if isinstance(asked, TransactWriteItems):
        return [action.table for action in asked.actions]
    if isinstance(asked, TransactGetItems):
        return [get.table for get in asked.gets]
    return [statement.table for statement in asked.statements]


def fresh_id(effects: Effects) -> str:
    """An id that no transaction has had."""
    return f"{effects.random_bits(96):024x}"


# --- phases: parts are sent, and the last outcome brings the next phase -----------------------------------------------


def launch(
    router: Router,
    work: Transaction,
    phase: str,
    operations: Sequence[PartOperation],
    deadline_ns: Nanoseconds,
    effects: Effects,
) -> None:
    """Begin a phase: these requests, all at the same time."""
    work.phase, work.left, work.parts = phase, len(operations), [None] * len(operations)
    work.asked.deadline_ns = deadline_ns
    work.asked.expiry_ns = effects.wall_ns + router.topology.timing.dedup_ns
    if not operations:
        PHASES[phase](router, work, effects)
    for place, operation in enumerate(operations):
        router.bind(router.part_of(work.asked, place, operation), effects)
    router.keep_sweeping(effects)


def take(router: Router, part: Pending, outcome: Part, effects: Effects) -> None:
    """One part has its outcome; the last one brings the next phase."""
    work = cast(Transaction, router.batches[part.batch])
    assert work.parts[part.place_in_batch] is None, "a part has one outcome"
    if work.phase == "prepare" and part.sent_to:
        making = making_of(part.sent_to)
        if part.remade or work.made.setdefault(part.table, making) != making:
            # Votes of two tables, one made after the other was deleted: what the first has promised is gone with it.
            gone = resource_not_found()
            outcome = Part(gone.status, as_json(gone.body()), gone.code)
    work.parts[part.place_in_batch] = outcome
    work.left -= 1
    if work.left == 0:
        PHASES[work.phase](router, work, effects)


def _until(router: Router, work: Transaction, effects: Effects) -> Nanoseconds:
    """How long a phase may take: until the client must be told something, or as long as any request."""
    if work.waiting and effects.now_ns < work.due_ns:
        return work.due_ns
    return effects.now_ns + router.topology.timing.request_ns


# --- begin ------------------------------------------------------------------------------------------------------------


def _enter(router: Router, work: Transaction, replaced: str, effects: Effects) -> None:
    assert work.operation is not None
    entry = ledger.begin(
        work.ledger,
        work.txn,
        work.attempt,
        work.operation,
        work.participants,
        work.stamp_ns,
        effects.wall_ns,
        replaced,
    )
    launch(router, work, "begin", [entry], _until(router, work, effects), effects)


def _begun(router: Router, work: Transaction, effects: Effects) -> None:
    part = results(work)[0]
    if part.status == 200:
        effects.tell(Event("transaction-begun", detail=work.ledger))
        _prepare(router, work, effects)
        return
    known = ledger.entry_of(cast(Item, part.body.get("Item"))) if part.error == CONDITION_FAILED else None
    if known is not None:
        _known(router, work, known, effects)
        return
    answer(work, part, effects)  # what the ledger's partition says of its own item holds for the transaction
    drop(router, work)


def _known(router: Router, work: Transaction, entry: LedgerEntry, effects: Effects) -> None:
    """The token was used before."""
    assert work.operation is not None
    if entry.digest != work.operation.digest:
        refuse(router, work, token_mismatch(), effects)
    elif entry.state == CANCELLED and entry.again:
        # It is what the retries of a client are for. Markers of the first attempt give way to the second.
        work.attempt = entry.attempt + 1
        _enter(router, work, entry.txn, effects)
    elif entry.state == PREPARING and abs(effects.wall_ns - entry.begun_ns) < IN_PROGRESS_NS:
        refuse(router, work, transaction_in_progress(), effects)
    else:
        effects.tell(Event("token-answered", detail=entry.state))
        work.replayed = entry.state == COMMITTED
        follow(router, work, entry, effects)


def follow(router: Router, work: Transaction, entry: LedgerEntry, effects: Effects) -> None:
    """Go on from what the ledger says."""
    if work.txn != entry.txn or not work.state == entry.state == COMMITTED:
        work.outcome = entry.outcome  # what this router has collected itself may be more than fits into an entry
    work.txn, work.attempt, work.stamp_ns, work.state = entry.txn, entry.attempt, entry.stamp_ns, entry.state
    work.participants, work.again, work.made = entry.participants, entry.again, entry.made
    work.operation, work.closed = work.operation or entry.intent, entry.finished
    if entry.state != PREPARING:
        _carry(router, work, [] if entry.finished else range(len(entry.participants)), effects)
    elif work.operation is not None:
        _prepare(router, work, effects)
    else:
        work.places = list(range(len(entry.participants)))
        reasons = [reason_of(throttling(control_plane=True)) for _ in entry.participants]
        _decide(router, work, CANCELLED, reasons, True, effects)


# --- prepare ----------------------------------------------------------------------------------------------------------


def _prepare(router: Router, work: Transaction, effects: Effects) -> None:
    assert work.operation is not None
    operations = [
        PrepareStep(table, key, work.txn, work.ledger, work.attempt, work.stamp_ns, action)
        for (table, key), action in zip(work.participants, work.operation.actions, strict=True)
    ]
    work.made = {}
    # What is not prepared in time is cancelled, and there must be time left for that.
    until_ns = _until(router, work, effects) - router.topology.timing.request_ns // 4
    launch(router, work, "prepare", operations, max(until_ns, effects.now_ns), effects)


def _voted(router: Router, work: Transaction, effects: Effects) -> None:
    votes = results(work)
    if all(vote.status == 200 and vote.body["Vote"] == "yes" for vote in votes):
        _decide(
            router, work, COMMITTED, [cast("dict[str, object]", vote.body["Body"]) for vote in votes], False, effects
        )
        return
    refusals = [vote for vote in votes if vote.status == 200 and vote.body["Vote"] == "no"]
    unknown = [vote for vote in votes if vote.status != 200]
    stamp_ns = _other_stamp(refusals)
    if not unknown and stamp_ns and work.renewals < ANEW_MAX and effects.now_ns < work.asked.deadline_ns:
        _begin_anew(router, work, stamp_ns, effects)
        return
    work.places = [place for place, vote in enumerate(votes) if vote not in refusals]
    _decide(router, work, CANCELLED, [_reason(vote) for vote in votes], not refusals, effects)


def _reason(vote: Part) -> dict[str, object]:
    """One member of CancellationReasons. Nobody knows what a leader that did not answer would have said: try again."""
    if vote.status == 200:
        return reason_of(None) if vote.body["Vote"] == "yes" else cast("dict[str, object]", vote.body["Reason"])
    return reason_of(resource_not_found() if vote.error == GONE else throttling(control_plane=True))


def _other_stamp(refusals: Sequence[Part]) -> Nanoseconds:
    """A timestamp that all of these leaders would take; 0 if they have refused for anything else."""
    low_ns = high_ns = 0
    for vote in refusals:
        after_ns, until_ns = cast(int, vote.body.get("After", 0)), cast(int, vote.body.get("Until", 0))
        if not after_ns and not until_ns:
            return 0
        low_ns = max(low_ns, after_ns)
        high_ns = min(high_ns or until_ns, until_ns or high_ns)
    stamp_ns = low_ns + 1 if low_ns else high_ns
    return 0 if high_ns and stamp_ns > high_ns else stamp_ns


def _begin_anew(router: Router, work: Transaction, stamp_ns: Nanoseconds, effects: Effects) -> None:
    fresh = fresh_id(effects)
    update = ledger.begin_anew(work.ledger, work.txn, fresh, work.attempt + 1, stamp_ns)
    work.outcome = [{"txn": fresh, "stamp": stamp_ns}]
    launch(router, work, "anew", [update], _until(router, work, effects), effects)


def _anew(router: Router, work: Transaction, effects: Effects) -> None:
    if results(work)[0].status != 200:
        _decided(router, work, effects)  # somebody else has decided, or nobody knows
        return
    work.txn, work.stamp_ns = cast(str, work.outcome[0]["txn"]), cast(int, work.outcome[0]["stamp"])
    work.attempt += 1
    work.renewals += 1
    work.outcome = []
    effects.tell(Event("transaction-anew", detail=work.ledger))
    _prepare(router, work, effects)


# --- decide -----------------------------------------------------------------------------------------------------------


def _decide(
    router: Router, work: Transaction, state: str, outcome: list[dict[str, object]], again: bool, effects: Effects
) -> None:
    work.state, work.outcome, work.again = state, outcome, again
    update = ledger.decide(work.ledger, work.txn, state, outcome, again, work.participants, work.made)
    launch(router, work, "decide", [update], _until(router, work, effects), effects)


def _decided(router: Router, work: Transaction, effects: Effects) -> None:
    part = results(work)[0]
    if part.status == 200:
        effects.tell(Event("transaction-decided", detail=work.state))
        everywhere = range(len(work.participants))
        _carry(router, work, everywhere if work.state == COMMITTED else work.places, effects)
    elif part.error == CONDITION_FAILED:
        _take_word(router, work, ledger.entry_of(cast(Item, part.body.get("Item"))), effects)
    else:
        _look_again(router, work, effects)


def _look_again(router: Router, work: Transaction, effects: Effects) -> None:
    """The ledger has not taken a decision, or has not answered. It is asked a few times; then recovery has it."""
    work.rounds += 1
    if work.rounds < LOOKS_MAX:
        look(router, work, effects)
    else:
        refuse_late(work, effects)
        drop(router, work)


def look(router: Router, work: Transaction, effects: Effects) -> None:
    """Read what the ledger says."""
    if work.waiting and effects.now_ns >= work.due_ns:
        refuse_late(work, effects)
    launch(router, work, "look", [ledger.look(work.ledger)], _until(router, work, effects), effects)


def _looked(router: Router, work: Transaction, effects: Effects) -> None:
    part = results(work)[0]
    if part.status == 200:
        _take_word(router, work, ledger.entry_of(cast(Item, part.body.get("Item"))), effects)
        return
    _look_again(router, work, effects)


def _take_word(router: Router, work: Transaction, entry: LedgerEntry | None, effects: Effects) -> None:
    """The ledger's word goes, if it is of this transaction."""
    if entry is not None and entry.txn == work.txn:
        follow(router, work, entry, effects)
        return
    refuse_late(work, effects)
    if work.marker is not None:
        # An id that the ledger does not know never commits. Its marker goes, and nothing else is known of it.
        work.state, work.closed = CANCELLED, True
        _carry(router, work, [], effects)
    else:
        drop(router, work)


# --- carry ------------------------------------------------------------------------------------------------------------


def _carry(router: Router, work: Transaction, places: Sequence[int], effects: Effects) -> None:
    """Tell the outcome to these participants, and to the one whose leader has asked, until all have confirmed."""
    if work.phase != "carry":
        work.rounds = 0
    work.places = list(places)
    told = [work.participants[place] for place in places]
    if work.marker is not None and work.marker not in told:
        told.append(work.marker)
    commit, made = work.state == COMMITTED, work.made
    operations = [DecideStep(table, key, work.txn, commit, made.get(table, "")) for table, key in told]
    launch(router, work, "carry", operations, _until(router, work, effects), effects)


def _carried(router: Router, work: Transaction, effects: Effects) -> None:
    # A table that is gone has nothing to be told.
    missing = [place for place, part in enumerate(results(work)) if part.status != 200 and part.error != GONE]
    if not missing:
        conclude(work, effects)
        if work.closed:
            drop(router, work)
        else:
            update = ledger.finish(work.ledger, work.txn)
            launch(router, work, "finish", [update], _until(router, work, effects), effects)
        return
    if work.state == CANCELLED:
        conclude(work, effects)  # that nothing has happened is certain
    elif work.waiting and effects.now_ns >= work.due_ns:
        refuse_late(work, effects)
    work.rounds += 1
    if work.rounds < CARRY_ROUNDS_MAX:
        _carry(router, work, [work.places[place] for place in missing if place < len(work.places)], effects)
    else:
        drop(router, work)


def _finished(router: Router, work: Transaction, effects: Effects) -> None:
    """Whatever came of it: an entry that could not be marked is met again, and finished again."""
    effects.tell(Event("transaction-finished", detail=work.state))
    drop(router, work)


PHASES: dict[str, Callable[[Router, Transaction, Effects], None]] = {
    "whole": _whole,
    "begin": _begun,
    "prepare": _voted,
    "anew": _anew,
    "decide": _decided,
    "look": _looked,
    "carry": _carried,
    "finish": _finished,
}

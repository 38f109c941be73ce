"""The ledger: a table in which every write transaction has one item, from before its first prepare until ten minutes
after its end (ATC'23).

Rules:
- It is a table like any other, so its entries are replicated, split and read like items; no client can say its name.
  The catalog makes it when a router asks for it, so a cluster without transactions has none.
- One conditional write to an entry is *the* decision: PREPARING becomes COMMITTED or CANCELLED once, whoever asks.
  All coordinators of a transaction go by what stands here.
- The key is the client's token where it gave one, so that two requests with one token meet in one entry.
- An entry may be dropped only when every participant has confirmed its outcome (`finished`), never because it is old:
  an id that the ledger does not know is a transaction that never commits.
- The ten minutes are the ledger's own, from log entry to log entry: no router says what time it is (`dated`). One whose
  clock is ahead would find a token free that was used just now, and the transaction would happen twice.

This room makes the requests and reads the answers; it sends nothing.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, cast

from dynalab_impl import codec
from dynalab_impl.codec import CodecError, register
from dynalab_impl.effects import Nanoseconds, Record
from dynalab_model.items import bind_get
from dynalab_model.keys import long_form, short_form
from dynalab_model.operations import DeleteItem, GetItem, PutItem, TransactWriteItems, UpdateItem
from dynalab_model.schema import KeyAttribute, KeySchema, TableSchema
from dynalab_model.transactions import REMEMBERED_BYTES_MAX, TOKEN_NS
from dynalab_model.values import AttributeValue, Item

LEDGER = "#ledger"
SCHEMA = TableSchema(LEDGER, KeySchema(KeyAttribute("k", "S")))
EXPIRY = "drop"  # the attribute by which the sweeper drops finished entries: seconds since 1970

PREPARING, COMMITTED, CANCELLED = "PREPARING", "COMMITTED", "CANCELLED"

NOW, DROP = ":now", ":drop"  # values that the ledger's partition fills in, in seconds: see `dated`
_LATER: AttributeValue = {"N": "0"}  # until then
_SECOND_NS = 1_000_000_000

ENTRY_BYTES_MAX = REMEMBERED_BYTES_MAX  # for tables, keys and the outcome
INTENT_BYTES_MAX = 300_000  # actions that are larger are not kept: whoever recovers the transaction cancels it

# What is kept of an outcome that is too large for an entry; then what is kept if that is too large as well.
SHOWN = (("Code", "Message", "ImageBytes"), ("Code", "ImageBytes"))

Reason: TypeAlias = Mapping[str, object]
Participant: TypeAlias = tuple[str, bytes]  # table and key


@dataclass(slots=True)
class Intent(Record):
    """What a transaction is to do, as the ledger keeps it."""

    operation: TransactWriteItems


register(Intent)


@dataclass(slots=True)
class LedgerEntry:
    """A transaction as the ledger knows it.

    `again` says that it was cancelled for reasons of ours and not of the request: its token may be used once more.
    `outcome` is what a replay is told: the bodies of the actions, or the reasons. `made` tells of a committed one which
    of all tables of a name it is in (`making_of`): nothing of it is done to the next one.
    """

    ledger: str
    txn: str
    attempt: int
    state: str
    stamp_ns: Nanoseconds
    begun_ns: Nanoseconds
    digest: str
    participants: tuple[Participant, ...]
    intent: TransactWriteItems | None
    outcome: list[dict[str, object]]
    again: bool
    finished: bool
    made: dict[str, str]


def ledger_key(token: str | None, txn: str) -> str:
    """Under which key a transaction's entry stands.

    >>> ledger_key("t-1", "0a"), ledger_key(None, "0a")
    ('token/t-1', 'id/0a')
    """
    return f"id/{txn}" if token is None else f"token/{token}"


def ledger_place(ledger: str) -> bytes:
    """The bytes of this key in the key space."""
    return bind_get(SCHEMA, GetItem(LEDGER, _key(ledger)))


# --- requests -------------------------------------------------------------------------------------------------------


def begin(
    ledger: str,
    txn: str,
    attempt: int,
    operation: TransactWriteItems,
    participants: Sequence[Participant],
    stamp_ns: Nanoseconds,
    now_ns: Nanoseconds,
    replaced: str,
) -> PutItem:
    """Write the entry, if no other stands there. One whose time is over may be replaced, and so may `replaced`: the id
    of one that may be used again ("": none).
    """
    packed = pack(participants)
    item: Item = {
        **_key(ledger),
        "txn": {"S": txn},
        "attempt": {"N": str(attempt)},
        "state": {"S": PREPARING},
        "stamp": {"N": str(stamp_ns)},
        "begun": {"N": str(now_ns)},
        "digest": {"S": operation.digest},
        "tables": {"S": packed[0]},
        "keys": {"B": b64encode(packed[1]).decode()},
    }
    intent = codec.encode(Intent(operation))
    if len(intent) <= min(INTENT_BYTES_MAX, ENTRY_BYTES_MAX - len(packed[0]) - len(packed[1])):
        item["intent"] = {"S": intent.decode()}
    return PutItem(
        LEDGER,
        item,
        condition=f"attribute_not_exists(k) OR #drop < {NOW} OR txn = :replaced",
        names={"#drop": EXPIRY},
        values={NOW: _LATER, ":replaced": {"S": replaced}},
        return_on_failure="ALL_OLD",
    )


def begin_anew(ledger: str, txn: str, fresh: str, attempt: int, stamp_ns: Nanoseconds) -> UpdateItem:
    """The same transaction under another id and timestamp: what was prepared under the old id commits never."""
    return _update(
        ledger,
        txn,
        "SET txn = :fresh, attempt = :attempt, stamp = :stamp",
        {":fresh": {"S": fresh}, ":attempt": {"N": str(attempt)}, ":stamp": {"N": str(stamp_ns)}},
    )


def decide(
    ledger: str,
    txn: str,
    state: str,
    outcome: Sequence[Reason],
    again: bool,
    participants: Sequence[Participant],
    made: Mapping[str, str],
) -> UpdateItem:
    """The decision, unless there is one. What was to be done is not needed any more: the items' markers hold it."""
    tables, keys = pack(participants)
    text, room = codec.to_json(outcome), ENTRY_BYTES_MAX - len(tables) - len(keys)
    for names in SHOWN:
        if len(text.encode()) <= room:
            break
        # What was shown the first time does not fit: items, prices by index, item collections.
        text = codec.to_json([{name: one[name] for name in one if name in names} for one in outcome])
    return _update(
        ledger,
        txn,
        "SET #state = :state, outcome = :outcome, again = :again, made = :made REMOVE intent",
        {
            ":state": {"S": state},
            ":outcome": {"S": text},
            ":again": {"BOOL": again},
            # Only what they have behind the tables' names: a hundred of the longest names would not fit.
            ":made": {"S": codec.to_json([made.get(name, name).removeprefix(name) for name in json.loads(tables)])},
        },
    )


def _update(ledger: str, txn: str, update: str, values: Item) -> UpdateItem:
    return UpdateItem(
        LEDGER,
        _key(ledger),
        update=update,
        condition="txn = :txn AND #state = :preparing",
        names={"#state": "state"},
        values={**values, ":txn": {"S": txn}, ":preparing": {"S": PREPARING}},
        return_on_failure="ALL_OLD",
    )


def finish(ledger: str, txn: str) -> UpdateItem:
    """Every participant has confirmed: the entry may go ten minutes from then."""
    return UpdateItem(
        LEDGER,
        _key(ledger),
        update=f"SET #drop = if_not_exists(#drop, {DROP})",
        condition="txn = :txn AND #state <> :preparing",
        names={"#drop": EXPIRY, "#state": "state"},
        values={
            ":txn": {"S": txn},
            ":preparing": {"S": PREPARING},
            DROP: _LATER,
        },
    )


def dated(write: PutItem | UpdateItem | DeleteItem, now_ns: Nanoseconds) -> PutItem | UpdateItem | DeleteItem:
    """The request as of the time of the log entry that it becomes. Who leads the ledger's partition says what time that
    is, when it judges the condition; whole seconds are rounded so that ten minutes never become less.

    >>> free, done = begin("token/t", "0a", 1, TransactWriteItems((), None, ""), (), 5, 5, ""), finish("token/t", "0a")
    >>> [dated(one, 700_500_000_000).values[name]["N"] for one, name in ((free, NOW), (done, DROP))]
    ['700', '1301']
    """
    own = {NOW: now_ns // _SECOND_NS, DROP: -(-(now_ns + TOKEN_NS) // _SECOND_NS)}
    asked: Item = {name: {"N": str(seconds)} for name, seconds in own.items() if name in write.values}
    return replace(write, values={**write.values, **asked}) if asked else write


def look(ledger: str) -> GetItem:
    """Ask what stands there now."""
    return GetItem(LEDGER, _key(ledger), consistent=True)


# --- answers --------------------------------------------------------------------------------------------------------


def entry_of(item: Item | None) -> LedgerEntry | None:
    """What an item of the ledger says; None for none."""
    if not item:
        return None
    values = {name: next(iter(value.values())) for name, value in item.items()}
    intent: TransactWriteItems | None = None
    if "intent" in values:
        try:
            intent = cast(Intent, codec.decode(cast(str, values["intent"]).encode())).operation
        except CodecError:
            intent = None  # of a version that is gone: the transaction is cancelled
    names: list[str] = json.loads(cast(str, values["tables"]))
    places: list[str] = json.loads(cast(str, values.get("made", "[]")))  # none before the decision
    return LedgerEntry(
        cast(str, values["k"]),
        cast(str, values["txn"]),
        int(cast(str, values["attempt"])),
        cast(str, values["state"]),
        int(cast(str, values["stamp"])),
        int(cast(str, values["begun"])),
        cast(str, values["digest"]),
        unpack(cast(str, values["tables"]), b64decode(cast(str, values["keys"]))),
        intent,
        json.loads(cast(str, values.get("outcome", "[]"))),
        bool(values.get("again", False)),
        EXPIRY in values,
        {name: name + place for name, place in zip(names, places, strict=False) if place},
    )


def is_stalled(item: Item, now_ns: Nanoseconds, after_ns: Nanoseconds) -> str:
    """The id of a transaction that was begun so long ago and is not finished; "" if this entry is none. One that seems
    to begin later was begun by a clock that is ahead: nobody knows when.

    >>> entry = {"txn": {"S": "0a"}, "begun": {"N": "50"}}
    >>> [is_stalled(entry, now_ns, 3) for now_ns in (46, 48, 53, 54)], is_stalled({**entry, "drop": {"N": "1"}}, 54, 3)
    (['0a', '', '', '0a'], '')
    """
    if EXPIRY in item or abs(now_ns - int(cast(str, item["begun"]["N"]))) <= after_ns:
        return ""
    return cast(str, item["txn"]["S"])


def pack(participants: Sequence[Participant]) -> tuple[str, bytes]:
    """Tables and keys in little room: a hundred of the longest keys fit into an item, whatever bytes they are of.

    >>> unpack(*pack([("T", b"a"), ("U", b"bc"), ("T", b"")]))
    (('T', b'a'), ('U', b'bc'), ('T', b''))
    """
    tables = list(dict.fromkeys(table for table, _ in participants))
    places = [(tables.index(table), short_form(key)) for table, key in participants]
    return codec.to_json(tables), b"".join(bytes((table,)) + len(key).to_bytes(2, "big") + key for table, key in places)


def unpack(tables: str, keys: bytes) -> tuple[Participant, ...]:
    """What `pack` was given."""
    names: list[str] = json.loads(tables)
    found: list[Participant] = []
    at = 0
    while at < len(keys):
        end = at + 3 + int.from_bytes(keys[at + 1 : at + 3], "big")
        found.append((names[keys[at]], long_form(keys[at + 3 : end])))
        at = end
    return tuple(found)


def _key(ledger: str) -> Item:
    return {"k": {"S": ledger}}

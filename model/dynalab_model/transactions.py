"""Transactions: TransactWriteItems and TransactGetItems, what each of their actions means, and how they are refused
and answered (api.md §3, §5, §6, §7).

Rules: a transaction is taken apart into actions on one item each, and put together again here; who decides that all
of them happen at once is elsewhere. There are two ways to be refused:

- for what the request is (a name, an expression, two actions on one item, an empty key): a ValidationException or
  ResourceNotFoundException before anything is looked at;
- for what an action meets: TransactionCanceledException with one reason for each action, in order. All actions are
  judged, so every failing one has its own reason. Actions that do not even fit their tables are told before any item
  is looked at: the others then have no reason, whatever they would have met.

The order: `transact_requests` → tables → (`bind_transaction`) keys that may not be empty and sizes → two actions on one
item → keys of a wrong type, as reasons → the token → (`judge_action`) conditions and items.

Nothing here reads, sends, or knows the time; the reference machine and the coordinators call the same functions. An
action's body (`action_body`) is what its partition knows of its price: the INDEXES form of the plain write, and how
large the item now is. Answers are made of these.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias, TypeVar, cast

from dynalab_model.batches import collections_told
from dynalab_model.capacity import consumed, consumed_write, read_units
from dynalab_model.errors import TEXTS, DynamoError, conditional_check_failed, invalid, transaction_cancelled
from dynalab_model.expressions import condition_holds
from dynalab_model.items import WriteEffect, apply_write, bind_get, bind_write
from dynalab_model.operations import (
    ConditionCheck,
    GetItem,
    PutItem,
    TransactAction,
    TransactGetItems,
    TransactWriteItems,
)
from dynalab_model.pages import projected, write_response
from dynalab_model.schema import TableSchema
from dynalab_model.values import Item, item_size

ACTIONS_MAX = 100
TRANSACTION_BYTES_MAX = 4 * 2**20
# How long a token is remembered, counted from when its transaction was finished (API reference: TransactWriteItems).
TOKEN_NS = 600 * 1_000_000_000

# What the ledger's entry of a transaction has room for: an item's 400 KB, less some small attributes.
REMEMBERED_BYTES_MAX = 390_000

UNITS_FACTOR = 2  # prepare and commit; of a read, both rounds

Body: TypeAlias = "dict[str, object]"
_Value = TypeVar("_Value")

# What an action's body holds besides the members of an ordinary answer, for those who put answers together.
IMAGE_BYTES = "ImageBytes"

_CODES = {"ValidationException": "ValidationError", "ThrottlingException": "ThrottlingError"}
_EMPTY_KEY = TEXTS["key-empty"].partition("{")[0]
# What is wrong with the request, and is no reason of one action (measured).
_OF_THE_REQUEST = (_EMPTY_KEY, TEXTS["item-long"])


def request_digest(operation: str, *parts: object) -> str:
    """What stands for a request where tokens are compared: its members in a fixed order, without the token itself.

    Whatever else differs makes it another request ("a change in other parameters", says the API reference), so an
    option that changes no item counts too.

    >>> one = request_digest("TransactWriteItems", [{"Put": {"TableName": "T", "Item": {}}}], None)
    >>> one == request_digest("TransactWriteItems", [{"Put": {"Item": {}, "TableName": "T"}}], None)
    True
    >>> one == request_digest("TransactWriteItems", [{"Put": {"Item": {}, "TableName": "T"}}], "TOTAL")
    False
    """
    text = json.dumps([operation, *parts], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


# --- keys -----------------------------------------------------------------------------------------------------------


def bind_transaction(schemas: Mapping[str, TableSchema], op: TransactWriteItems) -> list[bytes]:
    """The key bytes of every action, in order. `schemas` has every table that an action names.

    Raises ValidationException for what is wrong with the request as a whole, TransactionCanceledException for actions
    that do not fit their table.

    >>> from dynalab_model.schema import KeyAttribute, KeySchema
    >>> from dynalab_model.operations import DeleteItem
    >>> schema = TableSchema("T", KeySchema(KeyAttribute("pk", "S")))
    >>> put, wrong = PutItem("T", {"pk": {"S": "a"}}), DeleteItem("T", {"pk": {"N": "1"}})
    >>> bind_transaction({"T": schema}, TransactWriteItems((put, wrong)))
    Traceback (most recent call last):
    ...
    dynalab_model.errors.DynamoError: TransactionCanceledException: Transaction cancelled, please refer cancellation \
reasons for specific reasons [None, ValidationError]
    >>> bind_transaction({"T": schema}, TransactWriteItems((put, DeleteItem("T", {"pk": {"S": "a"}}))))
    Traceback (most recent call last):
    ...
    dynalab_model.errors.DynamoError: ValidationException: Transaction request cannot include multiple operations on \
one item
    """
    return _bound([(action.table, _bind(schemas[action.table], action)) for action in op.actions])


def is_key_of(schema: TableSchema, action: TransactAction, key: bytes) -> bool:
    """Whether this is the key of the action in a table like this: it may be another table than the one that the action
    was bound to, under the same name.

    >>> from dynalab_model.operations import DeleteItem
    >>> from dynalab_model.schema import KeyAttribute, KeySchema
    >>> schema, other = (TableSchema("T", KeySchema(KeyAttribute(name, "S"))) for name in ("pk", "id"))
    >>> action = DeleteItem("T", {"pk": {"S": "a"}})
    >>> [key] = bind_transaction({"T": schema}, TransactWriteItems((action,)))
    >>> is_key_of(schema, action, key), is_key_of(other, action, key)
    (True, False)
    """
    try:
        return _bind(schema, action) == key
    except DynamoError:
        return False


def bind_transaction_gets(schemas: Mapping[str, TableSchema], op: TransactGetItems) -> list[bytes]:
    """The key bytes of every read, in order; raises as `bind_transaction` does.

    >>> from dynalab_model.schema import KeyAttribute, KeySchema
    >>> schema = TableSchema("T", KeySchema(KeyAttribute("pk", "S")))
    >>> get = GetItem("T", {"pk": {"S": "a"}})
    >>> bind_transaction_gets({"T": schema}, TransactGetItems((get,))) == [bind_get(schema, get)]
    True
    """
    return _bound([(get.table, _bind(schemas[get.table], get)) for get in op.gets])


def _bind(schema: TableSchema, action: TransactAction | GetItem) -> bytes | DynamoError:
    try:
        if isinstance(action, GetItem):
            return bind_get(schema, action)
        if isinstance(action, ConditionCheck):
            return bind_get(schema, GetItem(action.table, action.key))
        return bind_write(schema, action)
    except DynamoError as error:
        if error.message.startswith(_OF_THE_REQUEST):
            raise
        return error


def _bound(targets: Sequence[tuple[str, bytes | DynamoError]]) -> list[bytes]:
    keys = [(table, key) for table, key in targets if isinstance(key, bytes)]
    if len(dict.fromkeys(keys)) < len(keys):
        raise invalid("transaction-same-item")
    if len(keys) < len(targets):
        raise cancelled([reason_of(None if isinstance(key, bytes) else key) for _, key in targets])
    return [key for _, key in keys]


# --- actions --------------------------------------------------------------------------------------------------------


def judge_action(schema: TableSchema, action: TransactAction, current: Item | None) -> WriteEffect:
    """What an action does to the current committed item (None: absent); of a ConditionCheck, the item unchanged.
    Raises the action's own error, which `reason_of` turns into its reason.

    >>> from dynalab_model.schema import KeyAttribute, KeySchema
    >>> schema = TableSchema("T", KeySchema(KeyAttribute("pk", "S")))
    >>> check = ConditionCheck("T", {"pk": {"S": "a"}}, "n > :n", values={":n": {"N": "1"}})
    >>> judge_action(schema, check, {"pk": {"S": "a"}, "n": {"N": "2"}}).item
    {'pk': {'S': 'a'}, 'n': {'N': '2'}}
    >>> judge_action(schema, check, None)
    Traceback (most recent call last):
    ...
    dynalab_model.errors.DynamoError: ConditionalCheckFailedException: The conditional request failed
    """
    if not isinstance(action, ConditionCheck):
        return apply_write(schema, action, current)
    if not condition_holds(action.condition, action.names, action.values, current):
        raise conditional_check_failed(current if action.return_on_failure == "ALL_OLD" else None)
    return WriteEffect(current, None)


def reason_of(error: DynamoError | None) -> Body:
    """One member of CancellationReasons; None is an action that would have been done.

    >>> reason_of(None), reason_of(conditional_check_failed())
    ({'Code': 'None'}, {'Code': 'ConditionalCheckFailed', 'Message': 'The conditional request failed'})
    """
    if error is None:
        return {"Code": "None"}
    code = _CODES.get(error.code, error.code.removesuffix("Exception"))
    reason: Body = {"Code": code, "Message": error.message}
    if error.extra.get("Item") is not None:
        reason["Item"] = error.extra["Item"]
    return reason


def cancelled(reasons: Sequence[Mapping[str, object]]) -> DynamoError:
    """The answer of a transaction that did not happen: one reason for each action, in order.

    >>> cancelled([reason_of(None)]).body()["CancellationReasons"]
    [{'Code': 'None'}]
    """
    assert 1 <= len(reasons) <= ACTIONS_MAX, "one reason for each action"
    return transaction_cancelled(reasons)


def remembered(reasons: Sequence[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """What a token repeats of these reasons: the items that they show only where all of it fits into an item of the
    ledger's.

    >>> shown = {"Code": "ConditionalCheckFailed", "Message": "no", "Item": {"pk": {"S": "x" * REMEMBERED_BYTES_MAX}}}
    >>> remembered([shown])
    [{'Code': 'ConditionalCheckFailed', 'Message': 'no'}]
    """
    shown = any("Item" in one for one in reasons)
    if not shown or len(json.dumps(reasons, separators=(",", ":"))) <= REMEMBERED_BYTES_MAX:
        return list(reasons)
    return [{name: part for name, part in one.items() if name != "Item"} for one in reasons]


def action_body(
    schema: TableSchema, action: TransactAction, before: Item | None, effect: WriteEffect, collection_bytes: int = 0
) -> Body:
    """What an action's partition tells the one who answers: its price, and its item collection, if they were asked
    for. `collection_bytes` is how large the collection was (for tables with local indexes).

    >>> from dynalab_model.schema import KeyAttribute, KeySchema
    >>> schema = TableSchema("T", KeySchema(KeyAttribute("pk", "S")))
    >>> put = PutItem("T", {"pk": {"S": "a"}}, capacity="INDEXES")
    >>> action_body(schema, put, None, judge_action(schema, put, None))["ImageBytes"]
    3
    """
    if isinstance(action, ConditionCheck):
        body: Body = {}
        if action.capacity != "NONE":
            body["ConsumedCapacity"] = consumed_write(action.table, action.capacity, before, before)
    else:
        body = write_response(schema, action, before, effect, collection_bytes)
    if action.capacity != "NONE":
        body[IMAGE_BYTES] = item_size(effect.item) if effect.item else 0
    return body


# --- answers --------------------------------------------------------------------------------------------------------


def transact_write_response(op: TransactWriteItems, bodies: Sequence[Mapping[str, object]]) -> Body:
    """The answer, from the body of every action (`action_body`): empty, unless capacity or collections were asked for.

    Every action costs its table twice, once to prepare and once to commit; its indexes once (api.md §5).

    >>> from dynalab_model.operations import DeleteItem
    >>> capacity = {"TableName": "T", "CapacityUnits": 3.0, "Table": {"CapacityUnits": 1.0},
    ...             "GlobalSecondaryIndexes": {"I": {"CapacityUnits": 2.0}}}
    >>> op = TransactWriteItems((DeleteItem("T", {"pk": {"S": "a"}}, capacity="INDEXES"),), capacity="TOTAL")
    >>> transact_write_response(op, [{"ConsumedCapacity": capacity, "ImageBytes": 0}])
    {'ConsumedCapacity': [{'TableName': 'T', 'CapacityUnits': 4.0, 'WriteCapacityUnits': 4.0}]}
    """
    answer: Body = {}
    collections = collections_told([action.table for action in op.actions], bodies)
    if collections:
        answer["ItemCollectionMetrics"] = collections
    if op.capacity == "NONE":
        return answer
    prices = [cast(Body, body["ConsumedCapacity"]) for body in bodies]
    answer["ConsumedCapacity"] = [
        consumed(
            table,
            op.capacity,
            UNITS_FACTOR * sum(_units(price) for price in of_table),
            [arm for price in of_table for arm in _arms(price, "GlobalSecondaryIndexes")],
            [arm for price in of_table for arm in _arms(price, "LocalSecondaryIndexes")],
            access="Write",
        )
        for table, of_table in _by_table([action.table for action in op.actions], prices).items()
    ]
    return answer


def transact_replay_response(op: TransactWriteItems, bodies: Sequence[Mapping[str, object]]) -> Body:
    """The answer to a request whose token says that it was done before. `bodies` are those of the first time: what is
    reported now is the reading of each item as it was left, twice (api.md §5).

    >>> from dynalab_model.operations import DeleteItem
    >>> op = TransactWriteItems((DeleteItem("T", {"pk": {"S": "a"}}, capacity="INDEXES"),), capacity="TOTAL")
    >>> transact_replay_response(op, [{"ImageBytes": 5000}])
    {'ConsumedCapacity': [{'TableName': 'T', 'CapacityUnits': 4.0, 'ReadCapacityUnits': 4.0}]}
    """
    if op.capacity == "NONE":
        return {}
    sizes = [cast(int, body[IMAGE_BYTES]) for body in bodies]
    return {"ConsumedCapacity": _read_twice([action.table for action in op.actions], sizes, op.capacity)}


def transact_get_response(op: TransactGetItems, items: Sequence[Item | None]) -> Body:
    """The answer, from the items as they were at one moment. A place without an item, or where the projection found
    nothing, is empty. Raises ValidationException for more than 4 MB.

    >>> gets = tuple(GetItem("T", {"pk": {"S": name}}, projection="n") for name in "ab")
    >>> transact_get_response(TransactGetItems(gets), [{"pk": {"S": "a"}, "n": {"N": "1"}}, None])
    {'Responses': [{'Item': {'n': {'N': '1'}}}, {}]}
    """
    sizes = [item_size(item) if item else 0 for item in items]
    if sum(sizes) > TRANSACTION_BYTES_MAX:
        raise invalid("transaction-bytes")
    shown = [None if item is None else projected(get, item) for get, item in zip(op.gets, items, strict=True)]
    answer: Body = {"Responses": [{"Item": item} if item else {} for item in shown]}
    if op.capacity != "NONE":
        answer["ConsumedCapacity"] = _read_twice([get.table for get in op.gets], sizes, op.capacity)
    return answer


def _read_twice(tables: Sequence[str], sizes: Sequence[int], mode: str) -> list[object]:
    units = [UNITS_FACTOR * read_units(size_bytes, True) for size_bytes in sizes]
    return [consumed(table, mode, sum(each), access="Read") for table, each in _by_table(tables, units).items()]


def _units(price: Body) -> float:
    return cast("dict[str, float]", price["Table"])["CapacityUnits"]


def _arms(price: Body, member: str) -> list[tuple[str, float]]:
    arms = cast("dict[str, dict[str, float]]", price.get(member, {}))
    return [(index, figures["CapacityUnits"]) for index, figures in arms.items()]


def _by_table(tables: Sequence[str], values: Sequence[_Value]) -> dict[str, list[_Value]]:
    found: dict[str, list[_Value]] = {}
    for table, value in zip(tables, values, strict=True):
        found.setdefault(table, []).append(value)
    return found


# --- sizes ----------------------------------------------------------------------------------------------------------


def requested_bytes(action: TransactAction) -> int:
    """What an action brings along: the item of a put; the key and the values of any other.

    >>> requested_bytes(PutItem("T", {"pk": {"S": "a"}}))
    3
    """
    if isinstance(action, PutItem):
        return item_size(action.item)
    return item_size(action.key) + item_size(action.values)


def check_transaction_bytes(actions: Sequence[TransactAction]) -> None:
    """Refuse more than 4 MB. What an update makes of its item is not known here, and is held to an item's own limit."""
    if sum(map(requested_bytes, actions)) > TRANSACTION_BYTES_MAX:
        raise invalid("transaction-bytes")

"""From JSON to TransactWriteItems and TransactGetItems (api.md §2, §3, §6.1, §8 "Transact…").

The order of checks: what `shapes` knows → each action in turn: that it is one action, its table's name, and then what
the same single request is asked, in the same order → the sum of sizes. What needs the tables is `transactions`.

An action carries "INDEXES" where the request asks for capacity at all: the table counts twice, its indexes once,
so the whole can only be told by whoever has the parts. Members from before expressions are unknown here, and ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from dynalab_model.errors import invalid
from dynalab_model.expressions import check_expressions
from dynalab_model.fields import table_name
from dynalab_model.operations import (
    ConditionCheck,
    DeleteItem,
    GetItem,
    PutItem,
    TransactAction,
    TransactGetItems,
    TransactWriteItems,
    UpdateItem,
)
from dynalab_model.placeholders import LEGACY, placeholders
from dynalab_model.shapes import REQUESTS
from dynalab_model.transactions import check_transaction_bytes, request_digest
from dynalab_model.values import ITEM_BYTES_MAX, item_size, validate_item

_CONDITION = ("ConditionExpression",)
_UPDATE = ("UpdateExpression", "ConditionExpression")
_PROJECTION = ("ProjectionExpression",)


def parse_transact_write(body: dict[str, object]) -> TransactWriteItems:
    """A TransactWriteItems from its JSON body, or DynamoDB's error for it.

    >>> check = {"TableName": "T", "Key": {"pk": {"S": "b"}}, "ConditionExpression": "size(n) < m"}
    >>> actions = [{"Put": {"TableName": "T", "Item": {"pk": {"S": "a"}}}}, {"ConditionCheck": check}]
    >>> [type(action).__name__ for action in parse_transact_write({"TransactItems": actions}).actions]
    ['PutItem', 'ConditionCheck']
    >>> parse_transact_write({"TransactItems": [{**actions[0], **actions[1]}]})
    Traceback (most recent call last):
    ...
    dynalab_model.errors.DynamoError: ValidationException: TransactItems can only contain one of Check, Put, Update or \
Delete
    """
    REQUESTS["TransactWriteItems"].check(body)
    capacity, metrics = _text(body, "ReturnConsumedCapacity"), _text(body, "ReturnItemCollectionMetrics")
    token = cast("str | None", body.get("ClientRequestToken"))
    given = cast("list[dict[str, dict[str, object] | None]]", body["TransactItems"])
    # Taken before the values are brought into their stored form: what was sent is what is compared.
    digest = "" if token is None else request_digest("TransactWriteItems", given, capacity, metrics)
    actions = tuple(_action(member, place) for place, member in enumerate(given, 1))
    for action in actions:
        action.capacity = action_capacity(capacity)
        if not isinstance(action, ConditionCheck):
            action.metrics = metrics
    check_transaction_bytes(actions)
    return TransactWriteItems(actions, token, digest, capacity, metrics)


def parse_transact_get(body: dict[str, object]) -> TransactGetItems:
    """A TransactGetItems from its JSON body, or DynamoDB's error for it.

    >>> get = {"TableName": "T", "Key": {"pk": {"S": "a"}}, "ProjectionExpression": "n"}
    >>> parse_transact_get({"TransactItems": [{"Get": get}]}).gets[0].projection
    'n'
    """
    REQUESTS["TransactGetItems"].check(body)
    given = cast("list[dict[str, dict[str, object]]]", body["TransactItems"])
    gets = tuple(_get(member["Get"], f"transactItems.{place}.member.get") for place, member in enumerate(given, 1))
    return TransactGetItems(gets, _text(body, "ReturnConsumedCapacity"))


def action_capacity(capacity: str) -> str:
    """What the actions of a transaction are asked for, when it is asked for this.

    >>> action_capacity("TOTAL"), action_capacity("NONE")
    ('INDEXES', 'NONE')
    """
    return "NONE" if capacity == "NONE" else "INDEXES"


# --- actions --------------------------------------------------------------------------------------------------------


def _action(member: Mapping[str, dict[str, object] | None], place: int) -> TransactAction:
    named = [name for name in _ACTIONS if member.get(name) is not None]
    if len(named) != 1:
        raise invalid("transaction-one-member" if named else "transaction-no-member")
    (name,) = named
    body = cast("dict[str, object]", member[name])
    return _ACTIONS[name](_known(body), f"transactItems.{place}.member.{name[0].lower()}{name[1:]}")


def _known(body: Mapping[str, object]) -> Mapping[str, object]:
    if LEGACY.isdisjoint(body):
        return body
    return {name: value for name, value in body.items() if name not in LEGACY}


def _put(body: Mapping[str, object], path: str) -> PutItem:
    table = _table(body, path)
    names, values = placeholders(body, _CONDITION)
    put = PutItem(table, validate_item(body["Item"]), names=names, values=values)
    put.condition = _condition(body)
    if put.condition is not None:
        check_expressions(names=names, values=values, condition=put.condition)
    if item_size(put.item) > ITEM_BYTES_MAX:
        raise invalid("item-long")
    put.return_on_failure = _on_failure(body)
    return put


def _update(body: Mapping[str, object], path: str) -> UpdateItem:
    table = _table(body, path)
    names, values = placeholders(body, _UPDATE)
    update = UpdateItem(table, validate_item(body["Key"]), names=names, values=values)
    update.update, update.condition = cast(str, body["UpdateExpression"]), _condition(body)
    check_expressions(names=names, values=values, update=update.update, condition=update.condition)
    update.return_on_failure = _on_failure(body)
    return update


def _delete(body: Mapping[str, object], path: str) -> DeleteItem:
    table = _table(body, path)
    names, values = placeholders(body, _CONDITION)
    delete = DeleteItem(table, validate_item(body["Key"]), names=names, values=values)
    delete.condition = _condition(body)
    if delete.condition is not None:
        check_expressions(names=names, values=values, condition=delete.condition)
    delete.return_on_failure = _on_failure(body)
    return delete


def _check(body: Mapping[str, object], path: str) -> ConditionCheck:
    table = _table(body, path)
    names, values = placeholders(body, _CONDITION)
    condition = cast(str, body["ConditionExpression"])
    check = ConditionCheck(table, validate_item(body["Key"]), condition, names, values, _on_failure(body))
    check_expressions(names=names, values=values, condition=condition)
    return check


def _get(body: Mapping[str, object], path: str) -> GetItem:
    body = _known(body)
    table = _table(body, path)
    names, _ = placeholders(body, _PROJECTION)
    get = GetItem(table, validate_item(body["Key"]), True, cast("str | None", body.get("ProjectionExpression")), names)
    if get.projection is not None:
        check_expressions(names=names, projection=get.projection)
    return get


_ACTIONS: dict[str, Callable[[Mapping[str, object], str], TransactAction]] = {
    "ConditionCheck": _check,
    "Put": _put,
    "Delete": _delete,
    "Update": _update,
}


# --- parts ----------------------------------------------------------------------------------------------------------


def _table(body: Mapping[str, object], path: str) -> str:
    return table_name(body, f"{path}.tableName")


def _condition(body: Mapping[str, object]) -> str | None:
    return cast("str | None", body.get("ConditionExpression"))


def _on_failure(body: Mapping[str, object]) -> str:
    return _text(body, "ReturnValuesOnConditionCheckFailure")


def _text(body: Mapping[str, object], member: str) -> str:
    return cast("str | None", body.get(member)) or "NONE"

"""Transactions on the reference machine: at once, so that nothing is ever in between.

Rules: every action is judged by the state before, all are done or none. A token is remembered with its outcome, also
when that was a cancellation, for ten minutes (architecture.md §15 "Idempotency"); a request that was refused for what
it is leaves no token. Conflicts and requests that are in progress need time, which this machine does not have.
"""

from __future__ import annotations

from dataclasses import replace

from dynalab_model import partiql, transactions
from dynalab_model.collections import check_collection, growth_bytes
from dynalab_model.errors import DynamoError, token_mismatch
from dynalab_model.items import WriteEffect
from dynalab_model.operations import (
    ConditionCheck,
    ExecuteTransaction,
    TransactAction,
    TransactGetItems,
    TransactWriteItems,
)
from dynalab_model.state import Finished, Response, State, held_in_collection, serving, with_item, with_table


def transact_get(state: State, op: TransactGetItems, now_ns: int) -> tuple[State, Response]:
    """Items as they are now, all at once."""
    schemas = {name: serving(state, name, now_ns).schema for name in dict.fromkeys(get.table for get in op.gets)}
    keys = transactions.bind_transaction_gets(schemas, op)
    items = [state.tables[get.table].items.get(key) for get, key in zip(op.gets, keys, strict=True)]
    return state, transactions.transact_get_response(op, items)


def transact_write(state: State, op: TransactWriteItems, now_ns: int) -> tuple[State, Response | DynamoError]:
    """Every action, or none and a reason for each."""
    schemas = {name: serving(state, name, now_ns).schema for name in dict.fromkeys(a.table for a in op.actions)}
    keys = transactions.bind_transaction(schemas, op)
    known = None if op.token is None else state.finished.get(op.token)
    if known is not None:
        if known.digest != op.digest:
            raise token_mismatch()
        return state, known.again
    judged = [_judge(state, action, key) for action, key in zip(op.actions, keys, strict=True)]
    refused = [one if isinstance(one, DynamoError) else None for one in judged]
    if any(refused):
        reasons = [transactions.reason_of(one) for one in refused]
        again = transactions.cancelled(transactions.remembered(reasons))
        return _finish(state, op, again, now_ns), transactions.cancelled(reasons)
    bodies = []
    for action, key, one in zip(op.actions, keys, judged, strict=True):
        assert not isinstance(one, DynamoError), "every action may be done"
        effect, collection_bytes = one
        table = state.tables[action.table]
        bodies.append(transactions.action_body(table.schema, action, table.items.get(key), effect, collection_bytes))
        state = with_table(state, with_item(table, key, effect.item))
    state = _finish(state, op, transactions.transact_replay_response(op, bodies), now_ns)
    return state, transactions.transact_write_response(op, bodies)


def execute_transaction(state: State, op: ExecuteTransaction, now_ns: int) -> tuple[State, Response | DynamoError]:
    """Statements that happen at once: the transaction that they stand for."""
    schemas = {name: serving(state, name, now_ns).schema for name in dict.fromkeys(one.table for one in op.statements)}
    request = partiql.begin_transaction(schemas, op)
    answer: Response | DynamoError
    try:
        if isinstance(request, TransactGetItems):
            state, answer = transact_get(state, request, now_ns)
        else:
            state, answer = transact_write(state, request, now_ns)
    except DynamoError as error:
        answer = error
    if isinstance(answer, DynamoError):
        return state, partiql.transaction_error(op, answer)
    return state, partiql.transaction_response(schemas, op, answer)


def _judge(state: State, action: TransactAction, key: bytes) -> tuple[WriteEffect, int] | DynamoError:
    """What one action would do, and how large its collection is before; each is judged by what is there, as if the
    others were not.
    """
    table = state.tables[action.table]
    before = table.items.get(key)
    try:
        effect = transactions.judge_action(table.schema, action, before)
        if isinstance(action, ConditionCheck) or not table.schema.local_indexes:
            return effect, 0
        collection_bytes = held_in_collection(table, action)
        check_collection(collection_bytes, growth_bytes(table.schema, before, effect.item), state.collection_bytes_max)
        return effect, collection_bytes
    except DynamoError as error:
        return error


def _finish(state: State, op: TransactWriteItems, again: Response | DynamoError, now_ns: int) -> State:
    if op.token is None:
        return state
    return replace(state, finished={**state.finished, op.token: Finished(op.digest, now_ns, again)})

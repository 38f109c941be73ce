"""Transactions of the reference machine against its single operations: what each action would have met on its own, in
the state before, says whether all of it happens, and what each reason is; what is then there is what they leave one by
one. The oracle is the machine of single items, which is judged elsewhere."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

from dynalab.differential.chance import seeded
from dynalab.differential.lockstep import offered
from dynalab.differential.requests import Requests
from dynalab.differential.tables import SHAPES, Body
from dynalab.differential.transactions import Transactions
from dynalab_model.database import State, apply
from dynalab_model.errors import DynamoError
from dynalab_model.items import bind_get, bind_write
from dynalab_model.operations import (
    ConditionCheck,
    GetItem,
    PutItem,
    TransactAction,
    TransactGetItems,
    TransactWriteItems,
)
from dynalab_model.partiql import begin_transaction
from dynalab_model.requests import parse

TABLES = offered(SHAPES)
SHORT = {
    "ConditionalCheckFailedException": "ConditionalCheckFailed",
    "ValidationException": "ValidationError",
}
STEPS = 2_500


def filled(seed: int) -> State:
    """Tables with what 60 single requests left in them."""
    state, chance, requests = State(), seeded(seed), Requests(TABLES)
    for shape in TABLES:
        state, _ = apply(state, parse("CreateTable", shape.create()), 0)
    for _ in range(60):
        name, body = requests.make(chance)
        if name in ("PutItem", "UpdateItem"):
            state = answered(state, name, body)[0]
    return state


def answered(state: State, name: str, body: Body) -> tuple[State, Any]:
    try:
        return apply(state, parse(name, body), 0)
    except DynamoError as error:
        return state, error


def alone(state: State, action: TransactAction) -> tuple[State, Body | DynamoError]:
    """The action by itself; a condition check is an update that leaves everything as it is, of an item that is there
    or of none."""
    if not isinstance(action, ConditionCheck):
        return apply(state, action, 0)
    get = GetItem(action.table, action.key, True)
    found = cast("dict[str, Any]", apply(state, get, 0)[1]).get("Item")
    put = PutItem(action.table, found or dict(action.key), action.condition, action.names, action.values)
    put.return_on_failure = action.return_on_failure
    answer = apply(state, put, 0)[1]
    return state, answer


def test_a_transaction_does_what_its_actions_do_alone_or_nothing() -> None:
    met: Counter[str] = Counter()
    transactions, chance = Transactions(TABLES), seeded(11)
    state = filled(5)
    for _ in range(STEPS):
        name, body = transactions.make(chance)
        body = {member: part for member, part in body.items() if member != "ClientRequestToken"}
        try:
            operation = parse(name, body)
        except DynamoError:
            met["unparsed"] += 1
            continue
        if name == "ExecuteTransaction":
            try:
                schemas = {shape.name: state.tables[shape.name].schema for shape in TABLES}
                operation = begin_transaction(schemas, cast(Any, operation))
            except DynamoError as error:
                met[error.code] += 1
                continue
        after, answer = apply(state, operation, 0)
        if isinstance(operation, TransactGetItems):
            judge_reads(state, operation, answer, met)
            assert after == state
            continue
        assert isinstance(operation, TransactWriteItems)
        if isinstance(answer, DynamoError) and answer.code == "ValidationException":
            met["same item"] += 1
            assert after == state
            continue
        expected, wanted = state, []
        for action in operation.actions:
            _, single = alone(state, action)
            wanted.append(single)
            expected, _ = alone(expected, action)
        failed = [one for one in wanted if isinstance(one, DynamoError)]
        if not failed:
            assert not isinstance(answer, DynamoError), (body, answer)
            assert after == expected, body
            met["done"] += 1
            met["several done"] += len(operation.actions) > 2
            continue
        assert isinstance(answer, DynamoError) and after == state, body
        misfits = [reason(misfit(state, action)) for action in operation.actions]
        if any(one["Code"] != "None" for one in misfits):  # then no item was looked at
            assert answer.extra["CancellationReasons"] == misfits, body
            met["misfits"] += 1
            continue
        assert answer.extra["CancellationReasons"] == [reason(one) for one in wanted], body
        met["cancelled"] += 1
        met["for several reasons"] += len(failed) > 1
        met["with an item"] += any("Item" in cast("dict[str, Any]", reason(one)) for one in wanted)
        if met["cancelled"] % 5 == 0:
            state = expected
    assert met["done"] > STEPS // 10 and met["cancelled"] > STEPS // 10, met
    for what in ("read", "same item", "several done", "for several reasons", "with an item"):
        assert met[what] > 10, met
    assert met["misfits"], met


def misfit(state: State, action: TransactAction) -> DynamoError | None:
    """What keeps an action from fitting its table, whatever is stored there."""
    schema = state.tables[action.table].schema
    try:
        if isinstance(action, ConditionCheck):
            bind_get(schema, GetItem(action.table, action.key))
        else:
            bind_write(schema, action)
    except DynamoError as error:
        return error
    return None


def reason(answer: Body | DynamoError | None) -> Body:
    if not isinstance(answer, DynamoError):
        return {"Code": "None"}
    return {"Code": SHORT[answer.code], "Message": answer.message, **answer.extra}


def judge_reads(state: State, op: TransactGetItems, answer: Any, met: Counter[str]) -> None:
    if isinstance(answer, DynamoError):
        met["reads refused"] += 1
        return
    singles = [cast("dict[str, Any]", apply(state, get, 0)[1]).get("Item") for get in op.gets]
    assert answer["Responses"] == [{"Item": item} if item else {} for item in singles]
    met["read"] += 1

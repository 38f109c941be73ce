"""Sequential objects: what each allows, and that the search agrees with trying every order."""

from __future__ import annotations

import random
from collections import Counter
from itertools import permutations

import pytest

from dynalab_checkers.history import History, Json, Operation
from dynalab_checkers.linearizability import check_model, judge_key
from dynalab_checkers.models import (
    COUNTER,
    ILLEGAL,
    MODELS,
    MUTEX,
    QUEUE,
    SET,
    UNTOLD,
    Model,
    State,
    UnknownOperation,
    returned,
)


def op(
    process: int, f: str, call: int, ret: int | None, value: Json = None, got: Json = None, outcome: str = "ok"
) -> Operation:
    operation = Operation(process, f, "", call, ret, "info" if ret is None else outcome, value)
    operation.call_index = 2 * call
    operation.ret_index = None if ret is None else 2 * ret + 1
    if f == "read":
        operation.result = got  # type: ignore[assignment]
    elif operation.outcome == "ok" and got is not None:
        operation.ret_extra = {"value": got}
    return operation


def verdict(model: Model, *operations: Operation) -> str:
    return check_model(History(operations), model).verdict


def test_a_set_has_what_was_added_and_not_what_was_removed() -> None:
    added = [op(0, "add", 0, 1, "a"), op(0, "add", 2, 3, "b"), op(0, "remove", 4, 5, "a")]
    cases: list[tuple[Json, str]] = [
        (["b"], "valid"),
        (["a", "b"], "invalid"),
        ([], "invalid"),
        (["b", "b"], "invalid"),
    ]
    for members, expected in cases:
        assert verdict(SET, *added, op(1, "members", 6, 7, got=members)) == expected
    assert (
        verdict(SET, *added, op(1, "contains", 6, 7, "a", got=False), op(1, "contains", 8, 9, "b", got=True)) == "valid"
    )
    assert verdict(SET, *added, op(1, "contains", 6, 7, "a", got=True)) == "invalid"


def test_an_element_of_which_nobody_knows_may_be_there_or_not_but_does_not_go_again() -> None:
    lost = op(0, "add", 0, None, 1)
    with_it, without = op(1, "members", 6, 7, got=[1]), op(1, "members", 8, 9, got=[])
    assert verdict(SET, lost, with_it) == verdict(SET, lost, without) == "valid"
    assert verdict(SET, lost, with_it, without) == "invalid"


def test_a_counter_adds_and_a_sum_that_was_returned_twice_is_a_lost_update() -> None:
    assert verdict(COUNTER, op(0, "add", 0, 1, 5), op(0, "add", 2, 3, -2), op(1, "read", 4, 5, got=3)) == "valid"
    assert verdict(COUNTER, op(0, "add", 0, 1, 5), op(1, "read", 4, 5, got=4)) == "invalid"
    one, other = op(0, "increment", 0, 9, 1, got=1), op(1, "increment", 0, 9, 1, got=2)
    assert verdict(COUNTER, one, other) == "valid"
    other.ret_extra = {"value": 1}
    assert verdict(COUNTER, one, other) == "invalid"


def test_a_queue_gives_out_in_the_order_of_arrival() -> None:
    put = [op(0, "enqueue", 0, 1, 1), op(0, "enqueue", 2, 3, 2)]
    assert verdict(QUEUE, *put, op(1, "dequeue", 4, 5, got=1), op(1, "dequeue", 6, 7, got=2)) == "valid"
    assert verdict(QUEUE, *put, op(1, "dequeue", 4, 5, got=2)) == "invalid"
    assert verdict(QUEUE, *put, op(1, "dequeue", 4, 5, got=1), op(2, "dequeue", 6, 7, got=1)) == "invalid"
    assert verdict(QUEUE, op(1, "dequeue", 0, 1), *[put[1]]) == "valid"  # it was empty
    # A dequeue of which nobody heard again may have taken the first.
    assert verdict(QUEUE, *put, op(3, "dequeue", 4, None), op(1, "dequeue", 6, 7, got=2)) == "valid"


def test_a_mutex_is_held_once() -> None:
    assert verdict(MUTEX, op(0, "acquire", 0, 1), op(0, "release", 2, 3), op(1, "acquire", 2, 5)) == "valid"
    assert verdict(MUTEX, op(0, "acquire", 0, 1), op(1, "acquire", 2, 3)) == "invalid"
    assert verdict(MUTEX, op(0, "acquire", 0, 1), op(1, "acquire", 2, 3, outcome="fail")) == "valid"
    assert verdict(MUTEX, op(0, "release", 0, 1)) == "invalid"


@pytest.mark.parametrize("name", ["set", "counter", "queue", "mutex", "kv"])
def test_a_model_says_which_operations_it_does_not_know(name: str) -> None:
    with pytest.raises(UnknownOperation):
        MODELS[name].lower(op(0, "frobnicate", 0, 1))
    judged = check_model(History([op(0, "frobnicate", 0, 1)]), MODELS[name])
    assert judged.verdict == "unknown"
    assert "knows no frobnicate" in judged.why


def test_a_counter_is_not_changed_by_what_is_no_number() -> None:
    for value in ("1", None, True):
        assert verdict(COUNTER, op(0, "add", 0, 1, value)) == "unknown"


def legal(model: Model, operations: list[Operation]) -> bool:
    """Every subset of the operations of unknown outcome in every order."""
    must = [o for o in operations if o.ret is not None and model.lower(o) is not None]
    may = [o for o in operations if o.ret is None and model.lower(o) is not None]
    for chosen in range(1 << len(may)):
        part = must + [o for n, o in enumerate(may) if chosen >> n & 1]
        for order in permutations(part):
            if any(
                later.ret is not None
                and (later.ret < earlier.call or (later.process == earlier.process and later.call < earlier.call))
                for n, earlier in enumerate(order)
                for later in order[n + 1 :]
            ):
                continue
            state: State = model.initial
            for operation in order:
                action = model.lower(operation)
                assert action is not None
                state = model.step(state, action)
                if state is ILLEGAL:
                    break
            else:
                return True
    return False


def random_call(name: str, draw: random.Random) -> tuple[str, Json, Json]:
    """An operation, its argument, and what it says it returned."""
    number = draw.randrange(3)
    choices: dict[str, list[tuple[str, Json, Json]]] = {
        "set": [
            ("add", number % 2, None),
            ("remove", number % 2, None),
            ("contains", number % 2, draw.random() < 0.5),
            ("members", None, [n for n in (0, 1) if draw.randrange(2)]),
        ],
        "counter": [("add", number, None), ("increment", 1, number + 1), ("read", None, draw.randrange(5))],
        "queue": [
            ("enqueue", number, None),
            ("enqueue", number, None),
            ("dequeue", None, draw.choice([None, 0, 1, 2])),
        ],
        "mutex": [("acquire", None, None), ("release", None, None)],
    }
    return draw.choice(choices[name])


def random_history(model: Model, draw: random.Random) -> list[Operation]:
    operations: list[Operation] = []
    free = [0, 0, 0]
    for number in range(6):
        process = draw.randrange(3)
        call = free[process] + 1 + draw.randrange(3)
        ret = call + draw.randrange(6)
        free[process] = ret + 1
        f, value, got = random_call(model.name, draw)
        gone = draw.randrange(6) == 0
        operation = op(
            process if not gone else 10 + number, f, call, None if gone else ret, value, None if gone else got
        )
        operations.append(operation)
    return History(operations).operations


@pytest.mark.parametrize("model", [SET, COUNTER, QUEUE, MUTEX], ids=lambda model: model.name)
def test_the_search_agrees_with_every_order_of_every_subset(model: Model) -> None:
    draw = random.Random(5)
    counts: Counter[str] = Counter()
    for _ in range(250):
        operations = random_history(model, draw)
        expected = "valid" if legal(model, operations) else "invalid"
        judged = judge_key(operations, model, 100_000, general=True)
        assert judged.verdict == expected, operations
        counts[expected] += 1
    assert min(counts["valid"], counts["invalid"]) > 15, counts


def test_only_operations_that_are_needed_are_shown_beside_a_violation() -> None:
    reads = [op(2, "members", 10 * n, 10 * n + 1, got=[]) for n in range(1, 6)]
    judged = check_model(History([*reads, op(0, "add", 60, 61, 1), op(1, "members", 70, 71, got=[])]), SET)
    assert judged.verdict == "invalid"
    assert [o.f for o in judged.operations] == ["add", "members"]


def test_what_an_operation_returned_is_untold_if_it_never_did() -> None:
    assert returned(op(0, "dequeue", 0, None)) is UNTOLD
    assert returned(op(0, "dequeue", 0, 1)) is None
    assert returned(op(0, "members", 0, 1, got=[1, [2, {"a": True}]])) == (1, (2, (("a", ("bool", True)),)))

"""What an object does when nothing runs at once: models as values of pure functions, for the general search.

A model lowers an operation to an *action* once (None: it constrains nothing), and steps a state by an action. States
and actions are hashable plain values. Indeterminate operations are the search's affair: the model is only asked what
they would do, and an operation that failed had no effect.

Your own model is a value like these. A stack, whole:

>>> def lower(operation):
...     if operation.outcome == "fail":
...         return None
...     return ("push", operation.value) if operation.f == "push" else ("pop", returned(operation))
>>> def step(state, action):
...     name, value = action
...     if name == "push":
...         return (*state, value)
...     return state[:-1] if state and value in (state[-1], UNTOLD) else ILLEGAL
>>> STACK = Model("stack", (), lower, step)

>>> from dynalab_checkers.history import History
>>> from dynalab_checkers.linearizability import check_model
>>> events = [(0, "invoke", "push", 1), (0, "ok", "push", 1), (0, "invoke", "push", 2), (0, "ok", "push", 2),
...           (1, "invoke", "pop", None), (1, "ok", "pop", 1)]
>>> history = History.from_events(
...     {"index": n, "time": n * 1_000_000, "process": process, "type": kind, "f": f, "value": value}
...     for n, (process, kind, f, value) in enumerate(events))
>>> print(check_model(history, STACK).why)
no order of the operations explains it: the pop at 0.004 s (by 0.005 s)
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias

from dynalab_checkers.operation import MISSING, Json, Operation, Scalar
from dynalab_checkers.register_facts import condition_was_refused
from dynalab_checkers.words import token

State: TypeAlias = Hashable
Action: TypeAlias = tuple[Hashable, ...]


class Illegal(Enum):
    """The type of `ILLEGAL`: the action cannot happen in this state."""

    ILLEGAL = "illegal"


ILLEGAL: Final = Illegal.ILLEGAL
# What an operation of unknown outcome returned.
UNTOLD: Final = MISSING


class UnknownOperation(ValueError):
    """The model does not know what this operation does."""


@dataclass(frozen=True, slots=True)
class Model:
    """A sequential object.

    >>> REGISTER.step(7, ("read", 7)), REGISTER.step(7, ("cas", 7, 9)), REGISTER.step(7, ("cas", 8, 9))
    (7, 9, <Illegal.ILLEGAL: 'illegal'>)
    """

    name: str
    initial: State
    lower: Callable[[Operation], Action | None]
    step: Callable[[State, Action], State | Illegal]
    pure: frozenset[str] = frozenset(("read", "not"))  # actions that never change the state
    # Operations that this model passes over, since they change no key: reads that are judged elsewhere.
    passed_over: Sequence[str] = ("query", "scan")
    # What other databases' histories call its operations, by the names that it knows.
    aliases: Mapping[str, str] = field(default_factory=dict)


def returned(operation: Operation) -> State:
    """What an operation returned, as a hashable value; UNTOLD if it never did.

    >>> returned(Operation(0, "pop", "", 0, 5, "ok", ret_extra={"value": [1, True]}))
    (1, ('bool', True))
    """
    if operation.outcome != "ok":
        return UNTOLD
    if operation.f == "read" and "value" not in operation.ret_extra:
        return token(operation.result)
    return frozen(operation.ret_extra.get("value", operation.value))


def frozen(value: Json) -> State:
    """A JSON value as a hashable one: lists become tuples, objects tuples of pairs in the order of their names."""
    if isinstance(value, list):
        return tuple(map(frozen, value))
    if isinstance(value, dict):
        return tuple((name, frozen(value[name])) for name in sorted(value))
    return token(value)


def _lower_register(operation: Operation) -> Action | None:
    f, outcome, value = operation.f, operation.outcome, operation.value
    if f == "read":
        judged = outcome == "ok" and operation.consistency in (None, "strong")
        return ("read", token(operation.result)) if judged else None
    if f not in ("write", "cas", "delete"):
        raise UnknownOperation(f"a register knows no {f}")
    if f == "cas":
        assert isinstance(value, list), "the format has checked it"
        if outcome == "fail":
            if operation.found is not MISSING:
                found = token(operation.found)
                return ("impossible", found) if found == token(value[0]) else ("read", found)
            return ("not", token(value[0])) if condition_was_refused(operation) else None
        if operation.old is not MISSING and token(operation.old) != token(value[0]):
            return ("impossible", token(operation.old))
        expected, target = token(value[0]), token(value[1])
        return ("read", expected) if expected == target else ("cas", expected, target)
    if outcome == "fail":
        return None if operation.found is MISSING else ("read", token(operation.found))
    written = None if f == "delete" else token(value)
    if operation.old is MISSING:
        return ("write", written)
    old = token(operation.old)
    return ("read", old) if old == written else ("cas", old, written)


def _step_register(state: State, action: Action) -> State | Illegal:
    name = action[0]
    if name == "read":
        return state if state == action[1] else ILLEGAL
    if name == "write":
        return action[1]
    if name == "cas":
        return action[2] if state == action[1] else ILLEGAL
    if name == "not":
        return state if state != action[1] else ILLEGAL
    return ILLEGAL


_KV_NAMES: Final = {"get": "read", "put": "write"}


def _lower_kv(operation: Operation) -> Action | None:
    f = _KV_NAMES.get(operation.f, operation.f)
    if f not in ("read", "write", "append"):
        raise UnknownOperation(f"a key-value store of strings knows no {operation.f}")
    if operation.outcome == "fail" or (f == "read" and operation.outcome != "ok"):
        return None
    if f == "read":
        if operation.consistency not in (None, "strong"):
            return None
        result = operation.ret_extra.get("value") if operation.f == "get" else operation.result
        return ("read", "" if result is None else token(result))
    return (f, token(operation.value))


def _step_kv(state: State, action: Action) -> State | Illegal:
    if action[0] == "append":
        return f"{state}{action[1]}"
    return _step_register(state, action)


def _lower_set(operation: Operation) -> Action | None:
    f, value = operation.f, returned(operation)
    if f in ("add", "remove"):
        return None if operation.outcome == "fail" else (f, frozen(operation.value))
    if f == "contains":
        return None if value is UNTOLD else (f, frozen(operation.value), value == ("bool", True))
    if f == "members":
        if value is UNTOLD:
            return None
        # Absence is the empty set; a bag with an element twice is no state of a set.
        members = value if isinstance(value, tuple) else ()
        return (f, frozenset(members)) if len(set(members)) == len(members) else ("impossible",)
    raise UnknownOperation(f"a set knows no {f}")


def _step_set(state: State, action: Action) -> State | Illegal:
    assert isinstance(state, frozenset), "the state of a set"
    name = action[0]
    if name == "add":
        return state | {action[1]}
    if name == "remove":
        return state - {action[1]}
    if name == "contains":
        return state if (action[1] in state) == action[2] else ILLEGAL
    return state if name == "members" and state == action[1] else ILLEGAL


def _lower_counter(operation: Operation) -> Action | None:
    f, value = operation.f, returned(operation)
    if f == "read":
        judged = value is not UNTOLD and operation.consistency in (None, "strong")
        return (f, 0 if value is None else value) if judged else None
    if f not in ("add", "increment"):
        raise UnknownOperation(f"a counter knows no {f}")
    if operation.outcome == "fail":
        return None
    if not isinstance(operation.value, (int, float)) or isinstance(operation.value, bool):
        raise UnknownOperation("a counter is changed by a number")
    # `increment` returns the sum, `add` nothing new.
    return ("add", operation.value) if f == "add" or value is UNTOLD else (f, operation.value, value)


def _step_counter(state: State, action: Action) -> State | Illegal:
    assert isinstance(state, (int, float)), "the state of a counter"
    name, amount = action[0], action[1]
    if name == "read":
        return state if state == amount else ILLEGAL
    assert isinstance(amount, (int, float)), "a counter is changed by a number"
    following = state + amount
    return following if name == "add" or following == action[2] else ILLEGAL


def _lower_queue(operation: Operation) -> Action | None:
    f = operation.f
    if f not in ("enqueue", "dequeue"):
        raise UnknownOperation(f"a queue knows no {f}")
    if operation.outcome == "fail":
        return None
    return (f, frozen(operation.value) if f == "enqueue" else returned(operation))


def _step_queue(state: State, action: Action) -> State | Illegal:
    assert isinstance(state, tuple), "the state of a queue"
    name, value = action
    if name == "enqueue":
        return (*state, value)
    if not state:
        return state if value is None or value is UNTOLD else ILLEGAL
    return state[1:] if value is UNTOLD or state[0] == value else ILLEGAL


def _lower_mutex(operation: Operation) -> Action | None:
    if operation.f not in ("acquire", "release"):
        raise UnknownOperation(f"a mutex knows no {operation.f}")
    return None if operation.outcome == "fail" else (operation.f,)


def _step_mutex(state: State, action: Action) -> State | Illegal:
    wanted = action[0] == "acquire"
    return wanted if state != wanted else ILLEGAL


def register(initial: Scalar = None) -> Model:
    """A register that may be absent (None): read, write, delete, compare and set; old values returned are held against
    it.
    """
    return Model("register", token(initial), _lower_register, _step_register)


REGISTER: Final = register()
# The same object under the name that other checkers give it; a register here has compare and set anyway.
CAS_REGISTER: Final = Model("cas-register", None, _lower_register, _step_register)
KV: Final = Model("kv", "", _lower_kv, _step_kv)
# add and remove an element; contains (returns a boolean) and members (returns a list) look.
SET: Final = Model(
    "set", frozenset(), _lower_set, _step_set, frozenset(("contains", "members")), (), {"read": "members"}
)
# add changes it by a number, increment also returns the sum; read looks.
COUNTER: Final = Model("counter", 0, _lower_counter, _step_counter, frozenset(("read",)), ())
# First in, first out: enqueue, and dequeue, which returns null if the queue was empty.
QUEUE: Final = Model("queue", (), _lower_queue, _step_queue, frozenset(), ())
# acquire waits for release, whoever calls it.
MUTEX: Final = Model("mutex", False, _lower_mutex, _step_mutex, frozenset(), ())
MODELS: Final = {model.name: model for model in (REGISTER, CAS_REGISTER, KV, SET, COUNTER, QUEUE, MUTEX)}

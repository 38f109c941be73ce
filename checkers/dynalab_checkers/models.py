"""What an object does when nothing runs at once: models as values of pure functions, for the general search.

A model lowers an operation to an *action* once (None: it constrains nothing), and steps a state by an action. States
and actions are hashable plain values. Indeterminate operations are the search's affair: the model is only asked what
they would do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from dynalab_checkers.history import MISSING, Operation, Scalar
from dynalab_checkers.register_facts import condition_was_refused
from dynalab_checkers.words import Token, token

State: TypeAlias = Token
Action: TypeAlias = tuple[str, Token] | tuple[str, Token, Token]


class Illegal(Enum):
    """The type of `ILLEGAL`: the action cannot happen in this state."""

    ILLEGAL = "illegal"


ILLEGAL: Final = Illegal.ILLEGAL


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
        return action[2] if state == action[1] else ILLEGAL  # type: ignore[misc]
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


def register(initial: Scalar = None) -> Model:
    """A register that may be absent (None): read, write, delete, compare and set; old values returned are held against
    it.
    """
    return Model("register", token(initial), _lower_register, _step_register)


REGISTER: Final = register()
# The same object under the name that other checkers give it; a register here has compare and set anyway.
CAS_REGISTER: Final = Model("cas-register", None, _lower_register, _step_register)
KV: Final = Model("kv", "", _lower_kv, _step_kv)
MODELS: Final = {model.name: model for model in (REGISTER, CAS_REGISTER, KV)}

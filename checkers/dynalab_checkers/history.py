"""Histories: what the clients saw, one operation from its invocation to its completion.

Rules of this room:
- A history is judged as it was recorded. Whatever breaks the format is an error that names its line, and nothing is
  judged then.
- Times are integer nanoseconds of one monotonic clock. One operation precedes another iff its return is strictly
  smaller than the other's call; touching at one instant is concurrent, except within a process, where `index` decides.
- `fail` certainly had no effect. `info`, or no completion at all, may have had one, then or at any time later: such an
  operation never returns (`ret` is None) and its process id is not used again.
- Fields that the format does not know are kept and written back.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from os import PathLike
from typing import Final, TypeAlias

Scalar: TypeAlias = str | int | float | bool | None
Json: TypeAlias = "Scalar | list[Json] | dict[str, Json]"


class Missing(Enum):
    """The type of `MISSING`: the field was not given, which is not the same as a field that holds null (absent)."""

    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing.MISSING

TYPES: Final = ("invoke", "ok", "fail", "info")
CONSISTENCIES: Final = ("strong", "eventual", "index")
REGISTER_FUNCTIONS: Final = ("read", "write", "cas", "delete")
# Micro-operations of a transaction: how many elements without and with the old value (for "r": with the value read).
TRANSACTION_ARITY: Final = {"r": (2, 3), "w": (3, 4), "append": (3, 4), "cas": (4, 5), "d": (2, 3)}
_KNOWN_FIELDS: Final = frozenset(
    ("index", "time", "process", "type", "f", "key", "value", "old", "found", "consistency", "session")
)
_SCALAR_TYPES: Final = (int, str, type(None), bool, float)


class MalformedHistory(ValueError):
    """A history that breaks the format. `line` counts from 1; `reason` says in words what is wrong there.

    >>> parse_jsonl(['{"index": 0, "time": 5, "process": 1, "type": "invoke", "f": "read"}'])
    Traceback (most recent call last):
    dynalab_checkers.history.MalformedHistory: line 1: a read needs a key (a string)
    """

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


@dataclass(slots=True)
class Operation:
    """One operation of one client. Times in nanoseconds; `ret` is None if it never returned, so it may take effect at
    any later time.

    `value`: what was written; cas: [from, to]; txn: the micro-operations, with what they read once the transaction
    returned; None for read and delete. `result`: what a read returned (None = absent). `old`: the value replaced;
    `found`: what a failed condition met; both MISSING if not told. `extra` and `ret_extra` hold the unknown fields of
    the invocation and the completion.
    """

    process: int
    f: str
    key: str
    call: int
    ret: int | None
    outcome: str
    value: Json = None
    result: Scalar = None
    old: Scalar | Missing = MISSING
    found: Scalar | Missing = MISSING
    consistency: str | None = None
    session: str | int | None = None
    call_index: int = 0
    ret_index: int | None = None
    extra: dict[str, Json] = field(default_factory=dict)
    ret_extra: dict[str, Json] = field(default_factory=dict)
    info_time: int | None = None

    def annotation(self, name: str) -> Json:
        """An unknown field by its name, the completion's before the invocation's; None if neither has it."""
        return self.ret_extra[name] if name in self.ret_extra else self.extra.get(name)


class History:
    """Operations in the order of their invocations.

    >>> history = History.from_events([
    ...     {"index": 0, "time": 10, "process": 0, "type": "invoke", "f": "write", "key": "k", "value": 7},
    ...     {"index": 1, "time": 30, "process": 0, "type": "ok", "f": "write", "key": "k", "value": 7, "old": 5}])
    >>> [(o.f, o.value, o.old, o.call, o.ret) for o in history.operations]
    [('write', 7, 5, 10, 30)]
    """

    __slots__ = ("operations",)

    def __init__(self, operations: Iterable[Operation]) -> None:
        self.operations: list[Operation] = sorted(operations, key=lambda operation: operation.call_index)

    def __len__(self) -> int:
        return len(self.operations)

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.operations)

    def by_key(self) -> dict[str, list[Operation]]:
        """Operations of each key, in the order of invocation; without those that have none (transactions, scans)."""
        groups: dict[str, list[Operation]] = {}
        for operation in self.operations:
            if operation.key:
                try:
                    groups[operation.key].append(operation)
                except KeyError:
                    groups[operation.key] = [operation]
        return groups

    @classmethod
    def from_events(cls, events: Iterable[Mapping[str, Json]]) -> History:
        """Pair invocations with completions. Errors name the event by its position, counted from 1."""
        return cls(_pair(enumerate(events, 1)))

    def events(self) -> list[dict[str, Json]]:
        """The history as events again, in the order of `index`; reading them gives an equal history."""
        rows: list[tuple[int, dict[str, Json]]] = []
        for operation in self.operations:
            rows.append((operation.call_index, _invocation(operation)))
            if operation.ret_index is not None:
                rows.append((operation.ret_index, _completion(operation)))
        rows.sort(key=lambda row: row[0])
        return [event for _, event in rows]


def parse_jsonl(lines: Iterable[str | bytes]) -> History:
    """A history from JSON lines; empty lines are passed over. Raises MalformedHistory, which names the line."""
    return History(_pair(_decode(lines)))


def read_jsonl(path: str | PathLike[str]) -> History:
    """A history from a file of JSON lines (UTF-8). Raises MalformedHistory, or OSError if the file cannot be read."""
    with open(path, "rb") as file:
        return parse_jsonl(file)


def write_jsonl(path: str | PathLike[str], events: Iterable[Mapping[str, Json]]) -> None:
    """Write events as JSON lines, one a line, compact."""
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for event in events:
            file.write(json.dumps(event, separators=(",", ":"), ensure_ascii=False, allow_nan=False))
            file.write("\n")


def from_numbered_events(numbered: Iterable[tuple[int, Mapping[str, Json]]]) -> History:
    """Pair invocations with completions of events that carry the number of their line, for readers of other formats."""
    return History(_pair(numbered))


def _decode(lines: Iterable[str | bytes]) -> Iterator[tuple[int, Mapping[str, Json]]]:
    # The scanner itself, without the regular expressions that `decode` runs around it: lines are stripped here.
    scan = json.JSONDecoder(parse_constant=_no_constant).scan_once  # type: ignore[attr-defined]
    for number, line in enumerate(lines, 1):
        try:
            text = (line.decode("utf-8-sig" if number == 1 else "utf-8") if isinstance(line, bytes) else line).strip()
            if not text:
                continue
            event, end = scan(text, 0)
        except StopIteration as stop:
            raise MalformedHistory(number, f"not JSON from character {stop.value} on") from None
        except RecursionError:
            raise MalformedHistory(number, "nested too deeply") from None
        except ValueError as error:  # not UTF-8, not JSON, NaN, or a number of absurd length
            raise MalformedHistory(number, f"not JSON: {error}") from None
        if end != len(text):
            raise MalformedHistory(number, f"something follows the event from character {end} on")
        if not isinstance(event, dict):
            raise MalformedHistory(number, "an event is a JSON object")
        yield number, event


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON value")


def _pair(numbered: Iterable[tuple[int, Mapping[str, Json]]]) -> list[Operation]:
    """Operations, from events in the order of `index`. Everything the format forbids is refused here."""
    # A million operations are a million small objects without a cycle among them: looking for cycles costs more than
    # half of the time of reading.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return _pair_all(numbered)
    finally:
        if was_enabled:
            gc.enable()


def _pair_all(numbered: Iterable[tuple[int, Mapping[str, Json]]]) -> list[Operation]:
    pending: dict[int, Operation] = {}
    last_time: dict[int, int] = {}
    retired: set[int] = set()  # process ids whose last operation is of unknown outcome
    last_index: int | None = None
    operations: list[Operation] = []
    for line, event in numbered:
        index = event.get("index")
        time = event.get("time")
        process = event.get("process")
        kind = event.get("type")
        f = event.get("f")
        # `type(...) is int` and not isinstance: true is no time.
        if type(index) is not int or index < 0:
            raise MalformedHistory(line, _bad("index", index, "an integer from 0 on"))
        if type(time) is not int:
            raise MalformedHistory(line, _bad("time", time, "integer nanoseconds"))
        if type(process) is not int:
            raise MalformedHistory(line, _bad("process", process, "an integer"))
        if type(f) is not str or not f:
            raise MalformedHistory(line, _bad("f", f, "a name"))
        if last_index is not None and index <= last_index:
            raise MalformedHistory(line, f"index {index} follows index {last_index}: it must grow from line to line")
        last_index = index
        if time < last_time.get(process, time):
            raise MalformedHistory(line, f"time goes backwards in process {process}: {last_time[process]}, then {time}")
        last_time[process] = time
        if kind == "invoke":
            if process in pending:
                raise MalformedHistory(
                    line, f"process {process} invokes while its {pending[process].f} is still running"
                )
            if process in retired:
                raise MalformedHistory(line, f"process {process} is used again after an operation of unknown outcome")
            operation = _invoke(line, event, process, f, time, index)
            pending[process] = operation
            operations.append(operation)
        elif kind in ("ok", "fail", "info"):
            pending_operation = pending.pop(process, None)
            if pending_operation is None:
                raise MalformedHistory(line, f"process {process} completes an operation that it never invoked")
            _complete(line, event, pending_operation, str(kind), f, time, index)
            if kind == "info":
                retired.add(process)
        else:
            raise MalformedHistory(line, _bad("type", kind, "one of " + ", ".join(TYPES)))
    # Without a completion the outcome is unknown: an Operation is born that way.
    return operations


def _invoke(line: int, event: Mapping[str, Json], process: int, f: str, time: int, index: int) -> Operation:
    key = event.get("key")
    value = event.get("value")
    if key is None and f not in REGISTER_FUNCTIONS:
        key = ""
    if type(key) is not str:
        raise MalformedHistory(line, f"a {f} needs a key (a string)")
    if "old" in event or "found" in event:
        raise MalformedHistory(line, "an invocation cannot know what it replaces or finds")
    if f == "write":
        if "value" not in event:
            raise MalformedHistory(line, "a write needs a value")
        _need_scalar(line, "value", value)
    elif f == "cas":
        if type(value) is not list or len(value) != 2:
            raise MalformedHistory(line, _bad("value", value, "[from, to]"))
        _need_scalar(line, "from", value[0])
        _need_scalar(line, "to", value[1])
    elif f == "txn":
        _need_transaction(line, value)
    elif f in ("read", "delete") and value is not None:
        raise MalformedHistory(line, f"a {f} is invoked without a value")
    operation = Operation(process, f, key, time, None, "info", value)
    operation.call_index = index
    if "consistency" in event or "session" in event:
        _annotate(line, event, operation)
    if not _KNOWN_FIELDS.issuperset(event):
        operation.extra.update((name, event[name]) for name in event if name not in _KNOWN_FIELDS)
    return operation


def _complete(
    line: int, event: Mapping[str, Json], operation: Operation, kind: str, f: str, time: int, index: int
) -> None:
    if f != operation.f:
        raise MalformedHistory(line, f"process {operation.process} invoked {operation.f} and completes {f}")
    if "key" in event and event["key"] != operation.key and not (event["key"] is None and operation.key == ""):
        raise MalformedHistory(line, f"the operation was invoked on key {operation.key!r}, not {event['key']!r}")
    operation.outcome = kind
    operation.ret_index = index
    if kind == "info":
        operation.info_time = time
    else:
        operation.ret = time
    if f == "read":
        if kind == "ok":
            if "value" not in event:
                raise MalformedHistory(line, "a read that returned needs a value (null if there was none)")
            operation.result = _need_scalar(line, "value", event["value"])
        elif event.get("value") is not None:
            raise MalformedHistory(line, f"a read that ended in {kind} returned no value")
    elif f == "txn":
        if "value" in event:
            if not _same_transaction(operation.value, _need_transaction(line, event["value"])):
                raise MalformedHistory(line, "the transaction completes other operations than it invoked")
            operation.value = event["value"]
        elif kind == "ok":
            raise MalformedHistory(line, "a transaction that returned needs its value")
    elif f in REGISTER_FUNCTIONS:
        if "value" in event and not _same(event["value"], operation.value):
            raise MalformedHistory(line, f"the {f} was invoked with {operation.value!r}, not {event['value']!r}")
    elif "value" in event:
        operation.ret_extra["value"] = event["value"]
    if "old" in event:
        if kind != "ok" or f == "read":
            raise MalformedHistory(line, "`old` belongs to a write, cas or delete that ended in ok")
        operation.old = _need_scalar(line, "old", event["old"])
    if "found" in event:
        if kind != "fail" or f == "read":
            raise MalformedHistory(line, "`found` belongs to a condition that failed")
        operation.found = _need_scalar(line, "found", event["found"])
    if "consistency" in event or "session" in event:
        _annotate(line, event, operation)
    if not _KNOWN_FIELDS.issuperset(event):
        operation.ret_extra.update((name, event[name]) for name in event if name not in _KNOWN_FIELDS)


def _annotate(line: int, event: Mapping[str, Json], operation: Operation) -> None:
    """Consistency and session, which either end of an operation may give."""
    consistency = event.get("consistency")
    if consistency is not None:
        if type(consistency) is not str or consistency not in CONSISTENCIES:
            raise MalformedHistory(line, _bad("consistency", consistency, "one of " + ", ".join(CONSISTENCIES)))
        if operation.consistency is not None and operation.consistency != consistency:
            raise MalformedHistory(line, f"the operation was invoked as {operation.consistency}, not {consistency}")
        operation.consistency = consistency
    session = event.get("session")
    if session is not None:
        if type(session) is not str and type(session) is not int:
            raise MalformedHistory(line, _bad("session", session, "a string or an integer"))
        if operation.session is not None and operation.session != session:
            raise MalformedHistory(line, f"the operation was invoked in session {operation.session!r}, not {session!r}")
        operation.session = session


def _bad(name: str, value: Json, expected: str) -> str:
    shown = repr(value)
    return f"{name} must be {expected}, not {shown if len(shown) <= 60 else shown[:57] + '...'}"


def _need_scalar(line: int, name: str, value: Json) -> Scalar:
    # Exact types: the JSON decoder makes no others, and NaN (unequal to itself) would make every comparison lie.
    if type(value) in _SCALAR_TYPES and value == value:
        return value  # type: ignore[return-value]
    raise MalformedHistory(line, _bad(name, value, "a JSON scalar"))


def _same(one: Json, other: Json) -> bool:
    """Equal as JSON: 1 is not true."""
    if type(one) is list and type(other) is list:
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other and (type(one) is bool) == (type(other) is bool)


def _need_transaction(line: int, value: Json) -> list[Json]:
    if type(value) is not list:
        raise MalformedHistory(line, _bad("value", value, "a list of operations"))
    for micro in value:
        name = micro[0] if type(micro) is list and micro else None
        if type(micro) is not list or type(name) is not str or name not in TRANSACTION_ARITY:
            raise MalformedHistory(line, _bad("an operation of a transaction", micro, "[name, key, ...]"))
        least, most = TRANSACTION_ARITY[name]
        if not least <= len(micro) <= most or type(micro[1]) is not str:
            raise MalformedHistory(line, _bad(f"the operation {name!r} of a transaction", micro, "[name, key, ...]"))
        for element in micro[2:]:
            # A read of a key that is appended to returns a list; so does the old value of an append.
            for scalar in element if type(element) is list else [element]:
                _need_scalar(line, "an element of a transaction", scalar)
    return value


def _asked(micro: Json) -> Json:
    """A micro-operation without what it learnt: the old value, or the value read."""
    assert type(micro) is list
    least = TRANSACTION_ARITY[str(micro[0])][0]
    return micro[:least]


def _same_transaction(one: Json, other: Json) -> bool:
    assert type(one) is list
    assert type(other) is list
    return _same([_asked(micro) for micro in one], [_asked(micro) for micro in other])


def _head(operation: Operation, index: int, time: int, kind: str) -> dict[str, Json]:
    event: dict[str, Json] = {
        "index": index,
        "time": time,
        "process": operation.process,
        "type": kind,
        "f": operation.f,
    }
    if operation.key:
        event["key"] = operation.key
    return event


def _invocation(operation: Operation) -> dict[str, Json]:
    event = _head(operation, operation.call_index, operation.call, "invoke")
    if operation.f == "txn" and type(operation.value) is list:
        event["value"] = [
            [*micro, None] if micro[0] == "r" else micro
            for micro in map(_asked, operation.value)
            if type(micro) is list
        ]
    elif operation.value is not None or operation.f == "write":
        event["value"] = operation.value
    if operation.consistency is not None:
        event["consistency"] = operation.consistency
    if operation.session is not None:
        event["session"] = operation.session
    event.update(operation.extra)
    return event


def _completion(operation: Operation) -> dict[str, Json]:
    assert operation.ret_index is not None
    time = operation.info_time if operation.ret is None else operation.ret
    assert time is not None, "a completion has a time"
    event = _head(operation, operation.ret_index, time, operation.outcome)
    if operation.f == "read":
        if operation.outcome == "ok":
            event["value"] = operation.result
    elif operation.f in ("write", "cas", "txn"):
        event["value"] = operation.value
    if not isinstance(operation.old, Missing):
        event["old"] = operation.old
    if not isinstance(operation.found, Missing):
        event["found"] = operation.found
    event.update(operation.ret_extra)
    return event

"""From events to operations: invocations find their completions, and whatever breaks the format is refused by its line.

Rules of this room:
1. Two lanes, one meaning. Events of registers that carry nothing unusual take the first, which checks the same things
   with fewer steps; it decides nothing that it has not looked at, and hands everything else to the second.
2. Nothing is kept twice: names of keys and functions are one object each, unknown fields exist only where there are
   any.
3. The events come as a stream and are not looked at again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from dynalab_checkers.collector import collector_paused
from dynalab_checkers.operation import (
    CONSISTENCIES,
    MISSING,
    REGISTER_FUNCTIONS,
    TRANSACTION_ARITY,
    TYPES,
    Json,
    MalformedHistory,
    Operation,
    Scalar,
)

_KNOWN_FIELDS: Final = frozenset(
    ("index", "time", "process", "type", "f", "key", "value", "old", "found", "consistency", "session")
)
_SCALAR_TYPES: Final = (int, str, type(None), bool, float)


# Events as they come, in batches: the number of the first line, then one event a line, None for a line without one.
Batches = Iterable[tuple[int, Sequence[Mapping[str, Json] | None]]]


def numbered(events: Iterable[tuple[int, Mapping[str, Json]]]) -> Batches:
    """Events that carry the number of their line, as batches of one."""
    return ((line, (event,)) for line, event in events)


# Completed operations that are held before they are handed on.
DRAIN_AT: Final = 4_096
Drain = Callable[[list[Operation]], None]


def pair(batches: Batches, drain: Drain | None = None) -> list[Operation]:
    """Operations, from events in the order of `index`. Everything the format forbids is refused here.

    `drain` is handed the operations in pieces, each operation once it is completed, or at the end; then none are
    returned, and what is held at a time is those that run.
    """
    # A million operations are a million small objects without a cycle among them: looking for cycles costs more than
    # half of the time of reading.
    with collector_paused():
        return _Pairing().run(batches, drain)


class _Pairing:
    """What has been read so far."""

    __slots__ = ("keys", "last_index", "last_time", "operations", "pending", "retired")

    def __init__(self) -> None:
        self.keys: dict[str, str] = {}  # each key once
        self.pending: dict[int, Operation] = {}
        self.last_time: dict[int, int] = {}
        self.retired: set[int] = set()  # process ids whose last operation is of unknown outcome
        self.last_index = -1
        self.operations: list[Operation] = []

    def run(self, batches: Batches, drain: Drain | None) -> list[Operation]:
        pending, last_time, retired, keys = self.pending, self.last_time, self.retired, self.keys
        scalars, append = _SCALAR_TYPES, self.operations.append
        last_index = -1
        for first, batch in batches:
            for line, event in enumerate(batch, first):
                if event is None:
                    continue
                # Whatever this lane does not expect falls through to the other; it changes nothing before it is sure.
                try:
                    index, time, process = event["index"], event["time"], event["process"]
                    kind, key, f = event["type"], event["key"], event["f"]
                    # `type(...) is int` and not isinstance: true is no time.
                    if (
                        type(index) is int
                        and index > last_index
                        and type(time) is int
                        and type(process) is int
                        and time >= last_time.get(process, time)
                    ):
                        if kind == "invoke":
                            if process not in pending and process not in retired:
                                name = keys[key]  # type: ignore[index]
                                operation: Operation | None = None
                                if f == "read":
                                    if len(event) == 6:
                                        operation = Operation(process, "read", name, time, None, "info")
                                elif f == "write":
                                    if len(event) == 7 and type(event["value"]) in scalars:
                                        operation = Operation(
                                            process, "write", name, time, None, "info", event["value"]
                                        )
                                elif f == "cas" and len(event) == 7:
                                    value = event["value"]
                                    if (
                                        type(value) is list
                                        and len(value) == 2
                                        and type(value[0]) in scalars
                                        and type(value[1]) in scalars
                                    ):
                                        operation = Operation(process, "cas", name, time, None, "info", value)
                                if operation is not None:
                                    operation.call_index = last_index = index
                                    last_time[process] = time
                                    pending[process] = operation
                                    append(operation)
                                    continue
                        elif kind == "ok":
                            operation = pending[process]
                            if operation.f == f and operation.key == key:
                                value = event["value"]
                                if f == "read":
                                    fits = len(event) == 7 and type(value) in scalars
                                else:
                                    fits = operation.value == value and (
                                        type(operation.value) is type(value)
                                        if f == "write"
                                        else f == "cas" and _same(operation.value, value)
                                    )
                                    if len(event) != 7:
                                        old = event["old"]
                                        fits = fits and len(event) == 8 and type(old) in scalars
                                        if fits:
                                            operation.old = old  # type: ignore[assignment]
                                if fits:
                                    if f == "read":
                                        operation.result = value  # type: ignore[assignment]
                                    operation.outcome = "ok"
                                    operation.ret = last_time[process] = time
                                    operation.ret_index = last_index = index
                                    del pending[process]
                                    continue
                        elif kind == "fail" and f == "cas":
                            operation = pending[process]
                            if operation.f == f and operation.key == key and len(event) in (7, 8):
                                met = event["found"] if len(event) == 8 else MISSING
                                if (met is MISSING or type(met) in scalars) and _same(operation.value, event["value"]):
                                    operation.outcome = "fail"
                                    operation.found = met  # type: ignore[assignment]
                                    operation.ret = last_time[process] = time
                                    operation.ret_index = last_index = index
                                    del pending[process]
                                    continue
                except (KeyError, TypeError):
                    pass
                self.last_index = last_index
                self.take(line, event)
                last_index = self.last_index
            if drain is not None and len(self.operations) > DRAIN_AT + 2 * len(pending):
                self._drain(drain)
        # Without a completion the outcome is unknown: an Operation is born that way.
        if drain is not None:
            self._drain(drain)
            drain(self.operations[:])
            self.operations.clear()
        return self.operations

    def _drain(self, drain: Drain) -> None:
        """Hand on what is completed. What still runs is at most a third of what was looked at."""
        drain([operation for operation in self.operations if operation.ret_index is not None])
        self.operations[:] = [operation for operation in self.operations if operation.ret_index is None]

    def take(self, line: int, event: Mapping[str, Json]) -> None:
        """The second lane: every rule of the format, with its sentence."""
        index = event.get("index")
        time = event.get("time")
        process = event.get("process")
        kind = event.get("type")
        f = event.get("f")
        if type(index) is not int or index < 0:
            raise MalformedHistory(line, _bad("index", index, "an integer from 0 on"))
        if type(time) is not int:
            raise MalformedHistory(line, _bad("time", time, "integer nanoseconds"))
        if type(process) is not int:
            raise MalformedHistory(line, _bad("process", process, "an integer"))
        if type(f) is not str or not f:
            raise MalformedHistory(line, _bad("f", f, "a name"))
        last = self.last_index
        if index <= last:
            raise MalformedHistory(line, f"index {index} follows index {last}: it must grow from line to line")
        self.last_index = index
        before = self.last_time.get(process, time)
        if time < before:
            raise MalformedHistory(line, f"time goes backwards in process {process}: {before}, then {time}")
        self.last_time[process] = time
        pending = self.pending
        if kind == "invoke":
            if process in pending:
                running = pending[process].f
                raise MalformedHistory(line, f"process {process} invokes while its {running} is still running")
            if process in self.retired:
                raise MalformedHistory(line, f"process {process} is used again after an operation of unknown outcome")
            operation = _invoke(line, event, process, sys.intern(f), time, index)
            operation.key = self.keys.setdefault(operation.key, operation.key)
            pending[process] = operation
            self.operations.append(operation)
        elif kind in ("ok", "fail", "info"):
            completed = pending.pop(process, None)
            if completed is None:
                raise MalformedHistory(line, f"process {process} completes an operation that it never invoked")
            _complete(line, event, completed, sys.intern(str(kind)), f, time, index)
            if kind == "info":
                self.retired.add(process)
        else:
            raise MalformedHistory(line, _bad("type", kind, "one of " + ", ".join(TYPES)))


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
        operation.extra = {name: event[name] for name in event if name not in _KNOWN_FIELDS}
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
        operation.ret_extra = {"value": event["value"]}
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
        operation.ret_extra = operation.ret_extra | {name: event[name] for name in event if name not in _KNOWN_FIELDS}


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


def asked(micro: Json) -> Json:
    """A micro-operation without what it learnt: the old value, or the value read."""
    assert type(micro) is list
    least = TRANSACTION_ARITY[str(micro[0])][0]
    return micro[:least]


def _same_transaction(one: Json, other: Json) -> bool:
    assert type(one) is list
    assert type(other) is list
    return _same([asked(micro) for micro in one], [asked(micro) for micro in other])

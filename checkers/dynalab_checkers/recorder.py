"""Record what your own clients see, from threads or asyncio, so that any database's history can be judged.

Rules of this room:
1. Switch the retries of the client off: a retried operation may happen twice, and the history would say once.
2. An exception means that nobody knows whether the operation happened (`info`), unless its class is in `refused`: then
   it certainly did not (`fail`). A cancelled task and a timeout are never a refusal.
3. A process is one line of operations, one after the other. After an operation of unknown outcome its id is not used
   again: the same client goes on under a new one, which `session` links to the old.
4. Time and `index` are taken under one lock, before the operation begins and after it ended: an interval recorded is
   never shorter than the operation, and lines stand in the order of their index.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
import time
import weakref
from collections.abc import Callable
from functools import wraps
from os import PathLike
from types import TracebackType
from typing import Final, ParamSpec, TextIO, TypeVar

from dynalab_checkers.history import MISSING, History, Json, Missing, Scalar, parse_jsonl, read_jsonl

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")
Exceptions = tuple[type[BaseException], ...]
# What an exception's text may add to a line.
ERROR_CHARACTERS_MAX: Final = 200


def _since_now() -> Callable[[], int]:
    start_ns = time.monotonic_ns()
    return lambda: time.monotonic_ns() - start_ns


class Recorded:
    """One operation while it runs: say what it returned, replaced or found. Made by `Recorder.operation`."""

    __slots__ = ("_fields", "_outcome", "_recorder", "_refused", "_who", "found", "old", "process", "result")

    def __init__(self, recorder: Recorder, who: object, fields: dict[str, Json], refused: Exceptions) -> None:
        self._recorder = recorder
        self._who = who
        self._fields = fields
        self._refused = refused
        self._outcome: str | None = None
        self.process = -1
        self.result: Json | Missing = MISSING
        self.old: Scalar | Missing = MISSING
        self.found: Scalar | Missing = MISSING

    def returns(self, result: Json) -> None:
        """What a read returned (None: absent), or any other operation that is not a write."""
        self.result = result

    def refuse(self, found: Scalar | Missing = MISSING) -> None:
        """It certainly had no effect: its condition did not hold, because `found` was there."""
        self._outcome = "fail"
        self.found = found

    def unknown(self) -> None:
        """Nobody knows whether it happened."""
        self._outcome = "info"

    def __enter__(self) -> Recorded:
        self.process = self._recorder._begin(self._who, self._fields)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        told: dict[str, Json] = {}
        outcome = self._outcome or "ok"
        if error is not None and not (self._outcome and isinstance(error, self._refused)):
            outcome = "fail" if isinstance(error, self._refused) else "info"
            told["error"] = f"{type(error).__name__}: {error}"[:ERROR_CHARACTERS_MAX]
        f = self._fields["f"]
        silent = error is None and outcome == "ok" and f == "read" and self.result is MISSING
        if silent:
            outcome = "fail"  # a read has no effect, so nothing is lost
        if outcome == "ok" and not isinstance(self.result, Missing):
            told["value"] = self.result
        elif f in ("write", "cas", "txn"):
            told["value"] = self._fields["value"]
        if outcome == "ok" and not isinstance(self.old, Missing):
            told["old"] = self.old
        if outcome == "fail" and not isinstance(self.found, Missing) and f != "read":
            told["found"] = self.found
            # The condition it is that failed, also where an exception said so.
            told.pop("error", None)
        self._recorder._end(self._who, self.process, self._fields, outcome, told)
        if silent:
            raise RuntimeError("a read that succeeded must say what it returned: operation.returns(value)")


class Recorder:
    """Writes a history of JSON lines to `path`, or keeps it in memory without one. Safe for threads and tasks.

    `refused`: exceptions that mean that nothing happened. `clock`: monotonic nanoseconds; by default those since the
    recorder was made. Recorders whose histories shall be one need a clock in common, `time.monotonic_ns` say.

    >>> table = {}
    >>> recorder = Recorder(refused=(KeyError,))
    >>> with recorder.operation(1, "write", "k", 7):
    ...     table["k"] = 7
    >>> with recorder.operation(1, "read", "k") as operation:
    ...     operation.returns(table["k"])
    >>> [(o.f, o.outcome, o.value, o.result) for o in recorder.history()]
    [('write', 'ok', 7, None), ('read', 'ok', None, 7)]
    """

    def __init__(
        self,
        path: str | PathLike[str] | None = None,
        *,
        refused: Exceptions = (),
        clock: Callable[[], int] | None = None,
    ) -> None:
        self.path = path
        self._refused = refused
        self._clock = _since_now() if clock is None else clock
        self._lock = threading.Lock()
        self._lines: list[str] = []  # as text, so that nobody can change later what was recorded
        self._file: TextIO | None = None if path is None else open(path, "w", encoding="utf-8", newline="\n")  # noqa: SIM115
        self._index = 0
        self._last_ns: int | None = None
        self._next_process = 0
        self._process_of: dict[object, int] = {}
        self._busy: set[object] = set()
        self._threads = threading.local()
        self._tasks: weakref.WeakKeyDictionary[asyncio.Task[object], object] = weakref.WeakKeyDictionary()

    def operation(
        self,
        process: str | int | None,
        f: str,
        key: str = "",
        value: Json = None,
        *,
        refused: Exceptions | None = None,
        consistency: str | None = None,
        **fields: Json,
    ) -> Recorded:
        """A context manager (for `with`, also in coroutines) around one operation.

        `process` names the client; None stands for the running task or thread. `value`: what is written; cas: [from,
        to]. Further fields are kept in the history. Raises ValueError, before anything is recorded, for what JSON
        cannot say.
        """
        event: dict[str, Json] = {"f": f}
        if key:
            event["key"] = key
        if value is not None or f == "write":
            event["value"] = value
        if consistency is not None:
            event["consistency"] = consistency
        event |= fields
        json.dumps(event, allow_nan=False)
        return Recorded(self, self._who(process), event, self._refused if refused is None else refused)

    def records(
        self,
        f: str,
        *,
        key: Callable[Parameters, str] | str = "",
        value: Callable[Parameters, Json] | None = None,
        result: Callable[[Returned], Json] | None = None,
        refused: Exceptions | None = None,
    ) -> Callable[[Callable[Parameters, Returned]], Callable[Parameters, Returned]]:
        """A decorator for a function or coroutine that is one operation of the running thread or task.

        `key` and `value` are called with its arguments. What a read returns is what the function returns, or `result`
        of it; of any other operation it is told only if `result` is given.

        >>> recorder = Recorder()
        >>> @recorder.records("read", key=lambda name: name)
        ... def get(name):
        ...     return 5
        >>> get("k"), recorder.history().operations[0].result
        (5, 5)
        """

        def begin(*arguments: Parameters.args, **named: Parameters.kwargs) -> Recorded:
            chosen = key if isinstance(key, str) else key(*arguments, **named)
            return self.operation(
                None, f, chosen, None if value is None else value(*arguments, **named), refused=refused
            )

        def tell(operation: Recorded, returned: Returned) -> None:
            if result is not None:
                operation.returns(result(returned))
            elif f == "read":
                operation.returns(returned)  # type: ignore[arg-type]

        def decorate(function: Callable[Parameters, Returned]) -> Callable[Parameters, Returned]:
            if inspect.iscoroutinefunction(function):

                @wraps(function)
                async def recorded_coroutine(*arguments: Parameters.args, **named: Parameters.kwargs) -> Returned:
                    with begin(*arguments, **named) as operation:
                        returned: Returned = await function(*arguments, **named)
                        tell(operation, returned)
                        return returned

                return recorded_coroutine  # type: ignore[return-value]

            @wraps(function)
            def recorded(*arguments: Parameters.args, **named: Parameters.kwargs) -> Returned:
                with begin(*arguments, **named) as operation:
                    returned = function(*arguments, **named)
                    tell(operation, returned)
                    return returned

            return recorded

        return decorate

    def history(self) -> History:
        """What was recorded so far. Operations that are still running have no completion in it."""
        with self._lock:
            if self.path is None:
                return parse_jsonl(list(self._lines))
            if self._file is not None:
                self._file.flush()
        return read_jsonl(self.path)

    def close(self) -> None:
        """Close the file. Operations that are still running stay without completion: nobody knows."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _who(self, process: str | int | None) -> object:
        """The client: a name, or an object that stands for the running task or thread and dies with it."""
        if process is not None:
            return process
        try:
            task = asyncio.current_task()
        except RuntimeError:
            task = None
        if task is not None:
            return self._tasks.setdefault(task, object())
        if not hasattr(self._threads, "who"):
            self._threads.who = object()
        return self._threads.who

    def _begin(self, who: object, fields: dict[str, Json]) -> int:
        with self._lock:
            if who in self._busy:
                raise RuntimeError("one process runs one operation at a time: give the other a process of its own")
            if self.path is not None and self._file is None:
                raise RuntimeError("the recorder is closed")
            self._busy.add(who)
            process = self._process_of.get(who)
            if process is None:
                process = self._process_of[who] = self._next_process
                self._next_process += 1
            event = self._head(process, "invoke")
            if isinstance(who, (str, int)):
                event["session"] = who
            self._put(event | fields)
            return process

    def _end(self, who: object, process: int, fields: dict[str, Json], outcome: str, told: dict[str, Json]) -> None:
        try:
            json.dumps(told, allow_nan=False)
        except (TypeError, ValueError):
            # What it returned cannot be written down; the line must still be one.
            outcome = "info"
            told = {"error": "it returned what JSON cannot say"}
            if "value" in fields:
                told["value"] = fields["value"]
        with self._lock:
            self._busy.discard(who)
            if outcome == "info":
                del self._process_of[who]
            event = self._head(process, outcome)
            event["f"] = fields["f"]
            if "key" in fields:
                event["key"] = fields["key"]
            self._put(event | told)

    def _head(self, process: int, kind: str) -> dict[str, Json]:
        now = self._clock()
        # A clock that steps back would make the history contradict itself.
        assert self._last_ns is None or now >= self._last_ns, "the clock of a recorder is monotonic"
        self._last_ns = now
        event: dict[str, Json] = {"index": self._index, "time": now, "process": process, "type": kind}
        self._index += 1
        return event

    def _put(self, event: dict[str, Json]) -> None:
        line = json.dumps(event, separators=(",", ":"), ensure_ascii=False)
        if self._file is not None:
            self._file.write(line + "\n")
        elif self.path is None:
            self._lines.append(line)

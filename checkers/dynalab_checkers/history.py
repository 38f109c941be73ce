"""Histories: what the clients saw, one operation from its invocation to its completion.

Rules of this room:
- A history is judged as it was recorded. Whatever breaks the format is an error that names its line, and nothing is
  judged then.
- Times are integer nanoseconds of one monotonic clock. One operation precedes another iff its return is strictly
  smaller than the other's call; touching at one instant is concurrent, except within a process, where `index` decides.
- `fail` certainly had no effect. `info`, or no completion at all, may have had one, then or at any time later: such an
  operation never returns (`ret` is None) and its process id is not used again.
- Fields that the format does not know are kept and written back.
- Lines are read as a stream: what is held is the operations, not the text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from os import PathLike
from typing import Any, BinaryIO, Final

from dynalab_checkers.no_fields import NO_FIELDS
from dynalab_checkers.operation import (
    CONSISTENCIES,
    MISSING,
    REGISTER_FUNCTIONS,
    TRANSACTION_ARITY,
    TYPES,
    Json,
    MalformedHistory,
    Missing,
    Operation,
    Scalar,
)
from dynalab_checkers.pairing import Batches, Drain, asked, numbered, pair

__all__ = [
    "CONSISTENCIES",
    "MISSING",
    "NO_FIELDS",
    "REGISTER_FUNCTIONS",
    "TRANSACTION_ARITY",
    "TYPES",
    "Drain",
    "History",
    "Json",
    "MalformedHistory",
    "Missing",
    "Operation",
    "Progress",
    "Scalar",
    "from_numbered_events",
    "parse_jsonl",
    "read_jsonl",
    "watched",
    "write_jsonl",
]

# Told how many bytes have been read so far, now and then and at the end.
Progress = Callable[[int], None]
# Lines between two reports of progress.
PROGRESS_LINES: Final = 4096
# Lines that are decoded together: more are no faster.
BATCH_LINES: Final = 256
_SEPARATOR: Final = "-738291046527183940"
_BETWEEN: Final = f",{_SEPARATOR},"


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON value")


# The scanner itself, without the regular expressions that `decode` runs around it.
_scan: Final[Callable[[str, int], tuple[Any, int]]] = json.JSONDecoder(parse_constant=_no_constant).scan_once  # type: ignore[attr-defined]


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
        return cls(pair(numbered(enumerate(events, 1))))

    def events(self) -> list[dict[str, Json]]:
        """The history as events again, in the order of `index`; reading them gives an equal history."""
        rows: list[tuple[int, dict[str, Json]]] = []
        for operation in self.operations:
            rows.append((operation.call_index, _invocation(operation)))
            if operation.ret_index is not None:
                rows.append((operation.ret_index, _completion(operation)))
        rows.sort(key=lambda row: row[0])
        return [event for _, event in rows]


def parse_jsonl(lines: Iterable[str | bytes], drain: Drain | None = None) -> History:
    """A history from JSON lines; empty lines are passed over. Raises MalformedHistory, which names the line.

    `drain` is handed the operations in pieces, once they are completed; none are left for the history then.
    """
    return History(pair(_batches(lines), drain))


def read_jsonl(path: str | PathLike[str], progress: Progress | None = None) -> History:
    """A history from a file of JSON lines (UTF-8). Raises MalformedHistory, or OSError if the file cannot be read."""
    with open(path, "rb") as file:
        return parse_jsonl(file if progress is None else watched(file, progress))


def watched(file: BinaryIO, progress: Progress) -> Iterator[bytes]:
    """The lines of a file; `progress` is told of the bytes read.

    >>> import io
    >>> list(watched(io.BytesIO(b"one\\ntwo\\n"), print))
    8
    [b'one\\n', b'two\\n']
    """
    done = left = 0
    for line in file:
        done += len(line)
        left += 1
        if left == PROGRESS_LINES:
            left = 0
            progress(done)
        yield line
    progress(done)


def write_jsonl(path: str | PathLike[str], events: Iterable[Mapping[str, Json]]) -> None:
    """Write events as JSON lines, one a line, compact."""
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for event in events:
            file.write(json.dumps(event, separators=(",", ":"), ensure_ascii=False, allow_nan=False))
            file.write("\n")


def from_numbered_events(events: Iterable[tuple[int, Mapping[str, Json]]], drain: Drain | None = None) -> History:
    """Pair invocations with completions of events that carry the number of their line, for readers of other formats."""
    return History(pair(numbered(events), drain))


def _batches(lines: Iterable[str | bytes]) -> Batches:
    """Lines of JSON as events. A batch is decoded in one go, and line by line only if anything in it is unusual."""
    source = iter(lines)
    first = 1
    while batch := list(islice(source, BATCH_LINES)):
        events = _decoded_together(batch)
        if events is not None:
            yield first, events
        else:
            for number, line in enumerate(batch, first):
                yield number, (_decoded(number, line),)
        first += len(batch)


def _decoded_together(batch: list[str | bytes]) -> list[Mapping[str, Json]] | None:
    """The events of these lines; None if they are not one whole event each, or to be looked at one by one.

    Between the lines goes a number that stands in none of them. If each is found again between two events, then no
    event reaches over the end of its line, and no line holds two.
    """
    try:
        text = (
            _BETWEEN.join(batch) if type(batch[0]) is str else _BETWEEN.encode().join(batch).decode()  # type: ignore[arg-type]
        )
        if text.count(_SEPARATOR) != len(batch) - 1:
            return None
        found, end = _scan(f"[{text}]", 0)
    except (StopIteration, ValueError, RecursionError, TypeError):
        return None
    events: list[Mapping[str, Json]] = found[::2]
    whole = end == len(text) + 2 and len(found) == 2 * len(batch) - 1
    if not whole or found[1::2] != [int(_SEPARATOR)] * (len(batch) - 1) or set(map(type, events)) != {dict}:
        return None
    return events


def _decoded(number: int, line: str | bytes) -> Mapping[str, Json] | None:
    """The event of one line, None if it is empty."""
    try:
        text = (line if isinstance(line, str) else line.decode("utf-8-sig" if number == 1 else "utf-8")).strip()
        if not text:
            return None
        event, end = _scan(text, 0)
    except StopIteration as stop:
        raise MalformedHistory(number, f"not JSON from character {stop.value} on") from None
    except RecursionError:
        raise MalformedHistory(number, "nested too deeply") from None
    except ValueError as error:  # not UTF-8, not JSON, NaN, or a number of absurd length
        raise MalformedHistory(number, f"not JSON: {error}") from None
    if end != len(text):
        raise MalformedHistory(number, f"something follows the event from character {end} on")
    if type(event) is not dict:
        raise MalformedHistory(number, "an event is a JSON object")
    return event


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
            [*micro, None] if micro[0] == "r" else micro for micro in map(asked, operation.value) if type(micro) is list
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

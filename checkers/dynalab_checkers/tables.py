"""Histories in CSV: a row an event, or a row an operation with both its times, with columns of any name.

Rules of this room:
1. `Reading.columns` says which column holds which of our fields; a column of our own name needs no mention, columns
   that nobody mentions are passed over.
2. With a column for `call` a row is a whole operation (`call`, `ret`, `outcome`, and what it returned in `result`);
   such a file is held and sorted, since its rows may stand in any order. Otherwise a row is an event (`time`, `type`).
3. A cell holds JSON, or is a string if it is none; an empty cell is not told.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

from dynalab_checkers.jepsen import AS_IT_IS, UNNAMED_KEY, Reading
from dynalab_checkers.operation import REGISTER_FUNCTIONS, Json, MalformedHistory

UNITS_NS: Final = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_EVENT: Final = (
    "index",
    "time",
    "process",
    "type",
    "f",
    "key",
    "value",
    "old",
    "found",
    "consistency",
    "session",
    "error",
)
_OPERATION: Final = ("call", "ret", "outcome", "result", *_EVENT[2:3], *_EVENT[4:])
_NUMBERS: Final = ("index", "process")
_TIMES: Final = ("time", "call", "ret")
_TEXTS: Final = ("type", "f", "key", "consistency", "error", "outcome")


def csv_events(lines: Iterable[str | bytes], reading: Reading = AS_IT_IS) -> Iterator[tuple[int, Mapping[str, Json]]]:
    """Events of a CSV file with a header, each with its line. Raises MalformedHistory.

    >>> reading = Reading(columns={"call": "start", "ret": "end", "f": "op"}, renames={"put": "write"}, time_unit="ms")
    >>> for line, event in csv_events(["client,start,end,op,value", "1,0,1.5,put,7"], reading):
    ...     print(line, event["time"], event["type"], event["f"], event["value"])
    2 0 invoke write 7
    2 1500000 ok write 7
    """
    if reading.time_unit not in UNITS_NS:
        raise MalformedHistory(1, f"no such unit of time: {reading.time_unit}; one of {', '.join(UNITS_NS)}")
    rows = csv.reader(_texts(lines), strict=True)
    try:
        header = next(rows, None)
        if header is None:
            return
        places = _places([name.strip() for name in header], reading)
        read = _rows(rows, places, len(header), reading)
        yield from _from_operations(read) if "call" in places else _from_events(read)
    except csv.Error as error:
        raise MalformedHistory(max(1, rows.line_num), f"not CSV: {error}") from None


def _texts(lines: Iterable[str | bytes]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        try:
            yield line if isinstance(line, str) else line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise MalformedHistory(number, "not UTF-8") from None


def _places(header: list[str], reading: Reading) -> dict[str, int]:
    """Where each of our fields stands."""
    fields = _OPERATION if "call" in reading.columns or "call" in header else _EVENT
    for name in reading.columns:
        if name not in fields:
            raise MalformedHistory(1, f"no such field: {name}; one of {', '.join(fields)}")
    places: dict[str, int] = {}
    for name in fields:
        column = reading.columns.get(name, name)
        if column in header:
            places[name] = header.index(column)
        elif name in reading.columns:
            raise MalformedHistory(1, f"no column {column!r} here: {', '.join(header)}")
    for name in ("call", "f") if "call" in places else ("process", "type", "f"):
        if name not in places:
            raise MalformedHistory(1, f"no column for {name}; name it in the column map")
    return places


def _rows(
    rows: Iterator[list[str]], places: Mapping[str, int], width: int, reading: Reading
) -> Iterator[tuple[int, dict[str, Json]]]:
    unit_ns = UNITS_NS[reading.time_unit]
    line = 1
    for row in rows:
        before, line = line + 1, rows.line_num  # type: ignore[attr-defined]
        if not row:
            continue
        if len(row) != width:
            raise MalformedHistory(before, f"{len(row)} cells under {width} columns")
        told: dict[str, Json] = {}
        for name, place in places.items():
            cell = row[place].strip()
            if not cell:
                continue
            if name in _TIMES:
                told[name] = _time_ns(before, name, cell, unit_ns)
            elif name in _TEXTS:
                told[name] = reading.renames.get(cell, cell) if name == "f" else cell
            else:
                told[name] = _cell(before, name, cell)
        yield before, told


def _cell(line: int, name: str, cell: str) -> Json:
    try:
        value: Json = json.loads(cell, parse_constant=lambda constant: constant)
    except (ValueError, RecursionError):
        value = cell
    if name in _NUMBERS and type(value) is not int:
        raise MalformedHistory(line, f"{name} must be an integer, not {cell[:60]!r}")
    return value


def _time_ns(line: int, name: str, cell: str, unit_ns: int) -> int:
    try:
        exact = Decimal(cell) * unit_ns
        whole = int(exact)
    except (InvalidOperation, ValueError, OverflowError):
        raise MalformedHistory(line, f"{name} must be a number, not {cell[:60]!r}") from None
    return whole


def _with_key(told: dict[str, Json]) -> dict[str, Json]:
    if "key" not in told and told.get("f") in REGISTER_FUNCTIONS:
        told["key"] = UNNAMED_KEY
    return told


def _from_events(rows: Iterator[tuple[int, dict[str, Json]]]) -> Iterator[tuple[int, Mapping[str, Json]]]:
    for position, (line, told) in enumerate(rows):
        told.setdefault("index", position)
        told.setdefault("time", position)
        if "value" not in told and (told.get("f") == "write" or (told.get("f") == "read" and told.get("type") == "ok")):
            told["value"] = None
        yield line, _with_key(told)


def _from_operations(rows: Iterator[tuple[int, dict[str, Json]]]) -> Iterator[tuple[int, Mapping[str, Json]]]:
    # At one instant: what ends, then what has no length, then what begins. So a process may end and begin at once.
    ends: list[tuple[int, int, int, int, int, dict[str, Json]]] = []
    for number, (line, told) in enumerate(rows):
        call, ret = told.pop("call", None), told.pop("ret", None)
        outcome = told.pop("outcome", None) or ("info" if ret is None else "ok")
        result = told.pop("result", None)
        if type(call) is not int:
            raise MalformedHistory(line, "an operation needs the time of its call")
        _with_key(told)
        told.setdefault("process", number)
        f = told.get("f")
        invocation = {name: told[name] for name in told if name not in ("old", "found", "error")}
        if f == "write":
            invocation.setdefault("value", None)
        elif f == "read" and "value" in invocation:
            result = invocation.pop("value")
        short = type(ret) is int and ret <= call
        ends.append((call, 1 if short else 2, number, 0, line, invocation | {"type": "invoke"}))
        if type(ret) is not int:
            continue
        if ret < call:
            raise MalformedHistory(line, f"the operation returned ({ret}) before it was called ({call})")
        completion = told | {"type": outcome}
        if f == "read":
            completion.pop("value", None)
        if result is not None or (f == "read" and outcome == "ok"):
            completion["value"] = result
        elif "value" in invocation:
            completion["value"] = invocation["value"]
        ends.append((ret, 1 if short else 0, number, 1, line, completion))
    ends.sort(key=lambda end: end[:4])
    for index, (time, _, _, _, line, event) in enumerate(ends):
        yield line, {"index": index, "time": time} | event

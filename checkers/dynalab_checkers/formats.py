"""Histories in other people's formats: turned into events as a stream, and then read as strictly as our own.

`jsonl` is our own. `edn`: Jepsen's and Maelstrom's `history.edn` (see `jepsen`). `csv`: a table with a column map (see
`tables`).

`etcd-log`: lines of Jepsen's log of its etcd test: process, `:invoke|:ok|:fail|:info`, `:read|:write|:cas`, a value
(`nil`, an integer or `[from to]`). `:fail :read :timed-out` had no effect; `:info ... :timed-out` stays open for ever;
`:fail :cas` means that the compare failed. `kv-log`: one map in EDN's notation a line, with :process :type :f :key
:value, of put, append and get on strings. Neither has times: the number of the line is the time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from os import PathLike
from typing import Final, TypeAlias

from dynalab_checkers.history import (
    Drain,
    History,
    Json,
    MalformedHistory,
    Progress,
    from_numbered_events,
    parse_jsonl,
    watched,
)
from dynalab_checkers.jepsen import AS_IT_IS, UNNAMED_KEY, Reading, edn_events
from dynalab_checkers.tables import csv_events

__all__ = [
    "AS_IT_IS",
    "ETCD_KEY",
    "FORMATS",
    "Reading",
    "parse_csv",
    "parse_edn",
    "parse_etcd_log",
    "parse_history",
    "parse_kv_log",
    "read_history",
]

ETCD_KEY: Final = UNNAMED_KEY  # the etcd logs are of one register that has no name

_ETCD_LINE: Final = re.compile(
    r"(?:INFO\s+jepsen\.util\s+-\s+)?(\d+)\s+:(invoke|ok|fail|info)\s+:(read|write|cas)\s+(.+)"
)
_ETCD_PAIR: Final = re.compile(r"\[(-?\d+) (-?\d+)\]")
_KV_LINE: Final = re.compile(
    r"\{:process (\d+), :type :(invoke|ok|fail|info), :f :(put|append|get), "
    r':key "((?:[^"\\]|\\.)*)", :value (nil|"((?:[^"\\]|\\.)*)")\}'
)
_KV_NAMES: Final = {"put": "write", "append": "append", "get": "read"}


def parse_etcd_log(lines: Iterable[str | bytes]) -> History:
    """A history from Jepsen's log of etcd.

    >>> log = ["INFO  jepsen.util - 0\\t:invoke\\t:write\\t3", "INFO  jepsen.util - 0\\t:info\\t:write\\t:timed-out"]
    >>> [(o.f, o.value, o.outcome, o.ret) for o in parse_etcd_log(log)]
    [('write', 3, 'info', None)]
    """
    return from_numbered_events(_etcd_events(lines))


def parse_kv_log(lines: Iterable[str | bytes]) -> History:
    """A history from a key-value log; put becomes write, get becomes read, append stays.

    >>> log = ['{:process 0, :type :invoke, :f :append, :key "4", :value "x"}']
    >>> [(o.f, o.key, o.value, o.outcome) for o in parse_kv_log(log)]
    [('append', '4', 'x', 'info')]
    """
    return from_numbered_events(_kv_events(lines))


def parse_edn(lines: Iterable[str | bytes], reading: Reading = AS_IT_IS) -> History:
    """A history from Jepsen's EDN.

    >>> log = ["{:process 0, :type :invoke, :f :write, :value [x 3], :time 5, :index 0}"]
    >>> [(o.f, o.key, o.value, o.call) for o in parse_edn(log)]
    [('write', 'x', 3, 5)]
    """
    return from_numbered_events(edn_events(lines, reading))


def parse_csv(lines: Iterable[str | bytes], reading: Reading = AS_IT_IS) -> History:
    """A history from CSV with a header; `reading.columns` maps our fields to its columns.

    >>> table = ["who,when,kind,what,value", "4,1,invoke,write,7", "4,2,ok,write,7"]
    >>> columns = {"process": "who", "time": "when", "type": "kind", "f": "what"}
    >>> [(o.process, o.call, o.ret, o.value) for o in parse_csv(table, Reading(columns=columns))]
    [(4, 1, 2, 7)]
    """
    return from_numbered_events(csv_events(lines, reading))


_Events: TypeAlias = Iterator[tuple[int, Mapping[str, Json]]]
_EVENTS: Final[dict[str, Callable[[Iterable[str | bytes], Reading], _Events]]] = {
    "edn": edn_events,
    "csv": csv_events,
    "etcd-log": lambda lines, _: _etcd_events(lines),
    "kv-log": lambda lines, _: _kv_events(lines),
}
FORMATS: Final[dict[str, Callable[[Iterable[str | bytes]], History]]] = {
    "jsonl": parse_jsonl,
    "edn": parse_edn,
    "csv": parse_csv,
    "etcd-log": parse_etcd_log,
    "kv-log": parse_kv_log,
}


def parse_history(
    lines: Iterable[str | bytes],
    format: str = "jsonl",
    reading: Reading = AS_IT_IS,
    drain: Drain | None = None,
) -> History:
    """A history from lines. `drain` is handed the operations in pieces, and none are left for the history then.

    Raises MalformedHistory, or KeyError if there is no such format.
    """
    if format == "jsonl":
        return parse_jsonl(lines, drain)
    return from_numbered_events(_EVENTS[format](lines, reading), drain)


def read_history(
    path: str | PathLike[str],
    format: str = "jsonl",
    reading: Reading = AS_IT_IS,
    *,
    progress: Progress | None = None,
    drain: Drain | None = None,
) -> History:
    """A history from a file, read as a stream; `progress` is told now and then how many bytes are done.

    Raises MalformedHistory, OSError, or KeyError if there is no such format.
    """
    if format not in FORMATS:
        raise KeyError(format)
    with open(path, "rb") as file:
        return parse_history(file if progress is None else watched(file, progress), format, reading, drain)


def _text_lines(lines: Iterable[str | bytes]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines, 1):
        try:
            text = (line.decode("utf-8") if isinstance(line, bytes) else line).strip()
        except UnicodeDecodeError:
            raise MalformedHistory(number, "not UTF-8") from None
        if text:
            yield number, text


def _event(number: int, process: str, kind: str, f: str, key: str) -> dict[str, Json]:
    try:
        return {"index": number, "time": number, "process": int(process), "type": kind, "f": f, "key": key}
    except ValueError:
        raise MalformedHistory(number, "a process number of absurd length") from None


def _etcd_events(lines: Iterable[str | bytes]) -> Iterator[tuple[int, Mapping[str, Json]]]:
    for number, text in _text_lines(lines):
        match = _ETCD_LINE.fullmatch(text)
        if match is None:
            raise MalformedHistory(number, "not a line of a Jepsen log: process, :type, :f and value are expected")
        process, kind, f, shown = match.groups()
        event = _event(number, process, kind, f, ETCD_KEY)
        if shown != ":timed-out":
            value = _etcd_value(number, shown)
            if f == "read":
                if kind == "ok":
                    event["value"] = value
                elif value is not None:
                    raise MalformedHistory(number, "a read has a value only when it returned")
            else:
                event["value"] = value
        elif kind == "invoke" or kind == "ok":
            raise MalformedHistory(number, f":{kind} cannot be :timed-out")
        elif kind == "fail":
            # No compare failed here: it is only known that nothing happened.
            event["error"] = "timed-out"
        yield number, event


def _etcd_value(number: int, shown: str) -> Json:
    if shown == "nil":
        return None
    pair = _ETCD_PAIR.fullmatch(shown)
    try:
        return [int(pair[1]), int(pair[2])] if pair else int(shown)
    except ValueError:
        raise MalformedHistory(number, f"the value must be nil, an integer or [from to], not {shown[:60]}") from None


def _kv_events(lines: Iterable[str | bytes]) -> Iterator[tuple[int, Mapping[str, Json]]]:
    for number, text in _text_lines(lines):
        match = _KV_LINE.fullmatch(text)
        if match is None:
            raise MalformedHistory(
                number, "not a line of a key-value log: {:process, :type, :f, :key, :value} is expected"
            )
        process, kind, f, key, shown, content = match.groups()
        event = _event(number, process, kind, _KV_NAMES[f], _unescape(key))
        value = None if shown == "nil" else _unescape(content)
        if f != "get":
            if value is None:
                raise MalformedHistory(number, f"a {f} needs a value")
            event["value"] = value
        elif kind == "ok":
            event["value"] = value
        yield number, event


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: {"n": "\n", "t": "\t", "r": "\r"}.get(match[1], match[1]), text)

"""Jepsen's histories in EDN, a map an event, as `history.edn` of Jepsen and of Maelstrom holds them.

Rules of this room:
1. Only clients are read: events of the nemesis, and of any process that is no number, are passed over.
2. A history of independent keys says `[key value]` wherever another says `value`. Which of the two it is shows in its
   first client event, unless the reader is told.
3. Without `:index` or `:time` the position in the file stands for it.
4. A failed compare says that its condition did not hold, unless its `:error` names another reason (a time-out, say).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from dynalab_checkers.edn import Edn, Keyword, Symbol, forms
from dynalab_checkers.operation import REGISTER_FUNCTIONS, TYPES, Json, MalformedHistory

# The one object of a history that does not name its keys.
UNNAMED_KEY: Final = "register"
_FIELDS: Final = frozenset(("index", "time", "process", "type", "f", "key", "value", "error"))
_REFUSED: Final = re.compile(r"condition|mismatch|did-not-succeed|cas-failed|does-not-exist|not-found|key-not", re.I)
_ABSENT: Final = re.compile(r"does-not-exist|key-not-found", re.I)


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read somebody else's file.

    `renames`: their name of an operation → ours. `independent`: whether values are [key, value] pairs (None: see for
    yourself). `columns`: our field → their column, for CSV. `time_unit` of CSV: ns, us, ms or s.
    """

    renames: Mapping[str, str] = field(default_factory=dict)
    independent: bool | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    time_unit: str = "ns"


AS_IT_IS: Final = Reading()


def edn_events(lines: Iterable[str | bytes], reading: Reading = AS_IT_IS) -> Iterator[tuple[int, Mapping[str, Json]]]:
    """Events of a Jepsen history, each with its line.

    >>> list(edn_events(["{:process 3, :type :invoke, :f :cas, :value [9 [1 2]]}"]))
    [(1, {'index': 0, 'time': 0, 'process': 3, 'type': 'invoke', 'f': 'cas', 'key': '9', 'value': [1, 2]})]
    """
    independent = reading.independent
    for position, (line, form) in enumerate(forms(lines)):
        try:
            event, independent = _event(line, position, form, reading, independent)
        except RecursionError:
            raise MalformedHistory(line, "nested too deeply") from None
        if event is not None:
            yield line, event


def _event(
    line: int, position: int, form: Edn, reading: Reading, independent: bool | None
) -> tuple[dict[str, Json] | None, bool | None]:
    """The event of one form, None if it is not of a client; and whether keys stand in values, once that is known."""
    if not isinstance(form, dict):
        raise MalformedHistory(line, f"an event is a map, not {str(form)[:60]!r}")
    for needed in ("process", "type", "f"):
        if needed not in form:
            raise MalformedHistory(line, f"an event needs :{needed}")
    process, kind = form["process"], form["type"]
    if type(process) is not int:
        if isinstance(process, (Keyword, Symbol, str)) or process is None:
            return None, independent  # the nemesis
        raise MalformedHistory(line, f":process must be an integer or a name, not {str(process)[:60]}")
    if not isinstance(kind, str) or kind not in TYPES:
        raise MalformedHistory(line, f":type must be one of {', '.join(TYPES)}, not {str(kind)[:60]}")
    f = _name(form["f"])
    value = form.get("value")
    if independent is None:
        independent = _looks_independent(f, value)
    event: dict[str, Json] = {
        "index": plain(form.get("index", position)),
        "time": plain(form.get("time", position)),
        "process": process,
        "type": str(kind),
        "f": reading.renames.get(f, f),
    }
    if independent:
        if not isinstance(value, list) or len(value) != 2:
            raise MalformedHistory(line, f":value must be [key value] as in the first event, not {str(value)[:60]}")
        event["key"], value = _key(value[0]), value[1]
    elif "key" in form:
        event["key"] = _key(form["key"])
    elif event["f"] in REGISTER_FUNCTIONS:
        event["key"] = UNNAMED_KEY
    _add_value(event, kind, value)
    error = form.get("error")
    if error is not None:
        _add_error(event, _text(error))
    for name, told in form.items():
        if isinstance(name, str) and name not in _FIELDS:
            event[str(name)] = plain(told)
    return event, independent


def plain(value: Edn) -> Json:
    """EDN as JSON: keywords and symbols are their names.

    >>> plain({Keyword("a"): [Keyword("b"), 1]})
    {'a': ['b', 1]}
    """
    if isinstance(value, list):
        return [plain(element) for element in value]
    if isinstance(value, dict):
        return {_text(name): plain(told) for name, told in value.items()}
    return str(value) if isinstance(value, str) else value


def _add_value(event: dict[str, Json], kind: str, value: Edn) -> None:
    f = event["f"]
    if f == "read" and kind != "ok":
        if value is not None:
            event["value"] = plain(value)
    elif f == "txn":
        event["value"] = [_micro(micro) for micro in value] if isinstance(value, list) else plain(value)
    elif f in ("read", "write", "cas") or value is not None:
        event["value"] = plain(value)


def _micro(micro: Edn) -> Json:
    """An operation of a transaction, whose keys are strings here."""
    if not isinstance(micro, list) or len(micro) < 2:
        return plain(micro)
    return [_text(micro[0]), _key(micro[1]), *map(plain, micro[2:])]


def _add_error(event: dict[str, Json], error: str) -> None:
    if event["type"] == "fail" and event["f"] == "cas" and _REFUSED.search(error):
        error = f"condition failed: {error}"
        value = event.get("value")
        if _ABSENT.search(error) and isinstance(value, list) and value and value[0] is not None:
            event["found"] = None
    event["error"] = error


def _looks_independent(f: str, value: Edn) -> bool:
    if not isinstance(value, list) or len(value) != 2:
        return False
    # A bare compare is [from to]; a transaction is a list of operations.
    return isinstance(value[1], list) if f == "cas" else not isinstance(value[0], list)


def _name(value: Edn) -> str:
    return str(value) if isinstance(value, str) else repr(value)


def _key(value: Edn) -> str:
    return str(value) if isinstance(value, str) else _text(value)


def _text(value: Edn) -> str:
    """A value in words: what stands in a vector is joined by spaces."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, list):
        return " ".join(map(_text, value))
    return "nil" if value is None else str(value)

"""Entries of an index: what a query of it shows is the projection of a committed version, however old.

Rules of this room:
1. A write says in the field `entries` of its invocation what each index would hold of what it writes: index name to
   `[index key, content]`, or null where the index leaves the version out (sparse, S30). Of a transaction it is one such
   object for each key. What has no such field is in no index; a delete is in none.
2. A query says in `index_name` which one it asks, perhaps in `asked` for which index key (the first part of an
   entry's, if that is a list), and completes with `entries`: a list of `[key, index key, content]`.
3. An entry is *committed* for a query if some write of it was acknowledged, or is of unknown outcome, and was called
   before the query returned. Staleness is no fault: two entries of one item may stand in an index at once, an old one
   beside the new, while a change of its key is on the way.
4. One query shows an entry once. An entry is known by its item and its index key.
5. Once everything has come to rest the index is the projection of its base: `convergence.check_index`.

Source: consistency.md row 7; seeds S27 to S30. O(n).
"""

from __future__ import annotations

import json
from typing import Any, Final

from dynalab_checkers.history import History, Json, Operation
from dynalab_checkers.invariants import NAMED_MAX
from dynalab_checkers.verdict import INVALID, UNKNOWN, VALID, Verdict
from dynalab_checkers.words import seconds

CHECKER: Final = "index-entries"
FIELD: Final = "entries"
_SHOWN_MAX: Final = 80


def check_index_entries(history: History) -> Verdict:
    """Judge every entry that a query of an index showed.

    >>> write = Operation(0, "write", "k", 0, 9, "ok", 1, call_index=0, extra={"entries": {"by-owner": ["ann", 1]}})
    >>> def query(*entries):
    ...     asked, told = {"index_name": "by-owner", "asked": "ann"}, {"entries": list(map(list, entries))}
    ...     return Operation(1, "query", "", 5, 20, "ok", call_index=1, extra=asked, ret_extra=told)
    >>> check_index_entries(History([write, query(("k", "ann", 1))])).verdict
    'valid'
    >>> check_index_entries(History([write, query(("k", "ann", 2))])).why
    'the query of by-owner at 5 ns showed k under "ann" with 2, which no version of k projects to'
    """
    writers: dict[tuple[str, str, str], list[Operation]] = {}
    for operation in history:
        for key, index, entry in _projected(operation):
            writers.setdefault((index, key, _text(entry)), []).append(operation)
    shown = 0
    problems: list[tuple[Operation, str, str, Operation | None]] = []
    for operation in history:
        asked_index, entries = operation.annotation("index_name"), operation.annotation(FIELD)
        if operation.f != "query" or operation.outcome != "ok" or not isinstance(entries, list):
            continue
        seen: set[tuple[str, str]] = set()
        asked = operation.annotation("asked")
        for entry in entries:
            assert isinstance(entry, list), "an entry is a list: key, index key, content"
            key, place, content = str(entry[0]), entry[1], entry[2]
            shown += 1
            story, writer = _fault(
                operation, asked, place, writers.get((str(asked_index), key, _text([place, content])), [])
            )
            if (key, _text(place)) in seen:
                story, writer = "a second time", None
            seen.add((key, _text(place)))
            if story:
                said = f"the query of {asked_index} at {seconds(operation.call)} showed {key} under {_text(place)}"
                told = story.replace("KEY", key)
                problems.append((operation, key, f"{said} with {_cut(content)}, {told}", writer))
    details: dict[str, object] = {"entries": shown, "wrong": len(problems)}
    if problems:
        query, key, why, writer = problems[0]
        blamed = list({one.call_index: one for one, *_ in problems}.values())
        return Verdict(
            INVALID, CHECKER, why, key, [query] if writer is None else [writer, query], blamed[:NAMED_MAX], details
        )
    if not shown:
        return Verdict(UNKNOWN, CHECKER, "no query of an index showed anything", details=details)
    return Verdict(VALID, CHECKER, details=details)


def _projected(operation: Operation) -> list[tuple[str, str, Json]]:
    """What a write leaves in each index: key, index, entry."""
    told: Any = operation.extra.get(FIELD)
    if not isinstance(told, dict) or operation.f == "query":
        return []
    by_key = told if operation.f == "txn" else {operation.key: told}
    return [
        (key, index, entry) for key, of_key in by_key.items() for index, entry in of_key.items() if entry is not None
    ]


def _fault(query: Operation, asked: Json, place: Json, writers: list[Operation]) -> tuple[str, Operation | None]:
    """What is wrong with having seen this entry, and the write to blame beside the query."""
    assert query.ret is not None, "a query that showed something has returned"
    if asked is not None and _text(place[0] if isinstance(place, list) else place) != _text(asked):
        return f"which is not what was asked for ({_text(asked)})", None
    if not writers:
        return "which no version of KEY projects to", None
    happened = [writer for writer in writers if writer.outcome != "fail"]
    if not happened:
        return "which only a write that was refused projects to", writers[0]
    first = min(happened, key=lambda writer: writer.call)
    if first.call > query.ret:
        return f"which was written only at {seconds(first.call)}", first
    return "", None


def _text(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _cut(value: Json) -> str:
    text = _text(value)
    return text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 1] + "…"

"""What the page is told: a history and its verdicts as columns of numbers, with every text stored once.

Rules of this room:
1. Pure: a history in, plain JSON out. A hundred thousand operations must stay a few megabytes, so columns hold numbers,
   times are differences, and texts are numbers of a table.
2. An operation is known by its number, its place in the history. The page shows the `index` of its invocation, which is
   what a reader finds in the file.
3. Two boxes in one row never meet. A client whose operations overlap (a session of several processes) has several rows;
   what never returned is drawn until its client gave it up, and fades from there.
4. Texts are cut here (`TEXT_MAX`), so that one huge value cannot make a huge page. They are escaped where the page is
   written, not here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from dynalab_checkers.committed import show
from dynalab_checkers.explain import Prefix
from dynalab_checkers.history import History, Json, Missing, Operation
from dynalab_checkers.picture import ELEMENTS_MAX, Band, label
from dynalab_checkers.verdict import Verdict

TEXT_MAX = 200
# More clients than this, and a process that ends with an operation of unknown outcome leaves its row to a later one.
CLIENTS_MAX = 40
NEVER = -1
_OUTCOMES = {"ok": 0, "fail": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class Judged:
    """One verdict for the page: `name` is its tab; `prefixes`, per key, show what could be linearized.

    `level`: of transactions, the isolation level that was asked for; empty for other verdicts.
    """

    verdict: Verdict
    prefixes: Mapping[str, Prefix] | None = None
    name: str = ""
    level: str = ""

    def tab(self) -> str:
        """What the tab says: the name, or the checker and the model that it used."""
        model = self.verdict.details.get("model")
        return self.name or (f"{self.verdict.checker} ({model})" if isinstance(model, str) else self.verdict.checker)


@dataclass(slots=True)
class _Texts:
    """Every text once."""

    texts: list[str] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)

    def number(self, text: str) -> int:
        short = text if len(text) <= TEXT_MAX else text[: TEXT_MAX - 1] + "…"
        known = self.numbers.get(short)
        if known is None:
            known = self.numbers[short] = len(self.texts)
            self.texts.append(short)
        return known


def page_data(history: History, judged: Sequence[Judged], bands: Sequence[Band] = ()) -> dict[str, Json]:
    """Everything that the page's script needs, as one JSON object."""
    operations = history.operations
    texts = _Texts()
    start_ns = min([o.call for o in operations], default=0)
    places, rows = _rows(operations)
    numbers = _Numbers.of(operations)
    clients = [texts.number(client(o)) for o in operations]
    columns: dict[str, Json] = {
        "row": list(places),
        "client": list(clients),
        "key": [texts.number(o.key) for o in operations],
        "kind": [texts.number(o.f) for o in operations],
        "outcome": [_OUTCOMES[o.outcome] for o in operations],
        "call": _differences([o.call - start_ns for o in operations]),
        # The same instant twice is a length of 0; -1 never returned.
        "length": [NEVER if o.ret is None else o.ret - o.call for o in operations],
        "given_up": [0 if o.info_time is None else o.info_time - o.call for o in operations],
        "label": [texts.number(operation_label(o)) for o in operations],
        "note": [texts.number(_note(o)) for o in operations],
        "index": _differences([o.call_index for o in operations]),
    }
    if any(o.f == "txn" for o in operations):
        # A transaction has several keys; the column above holds the empty text for it.
        columns["keys"] = [[texts.number(key) for key in keys_of(o)] for o in operations]
    return {
        "start": str(start_ns),  # a text: nanoseconds since 1970 are more than the page's numbers can tell apart
        "operations": columns,
        "rows": [{"name": name, "first": first} for name, first in rows],
        "bands": [
            [band.start - start_ns, None if band.end is None else band.end - start_ns, band.label] for band in bands
        ],
        "views": [_view(one, operations, numbers, texts, start_ns) for one in judged],
        "texts": list(texts.texts),
    }


def keys_of(operation: Operation) -> list[str]:
    """The keys that an operation touches, each once, in program order."""
    if operation.f != "txn" or not isinstance(operation.value, list):
        return [operation.key]
    return list(dict.fromkeys(str(micro[1]) for micro in operation.value if isinstance(micro, list) and len(micro) > 1))


def client(operation: Operation) -> str:
    """The row's name: the session where there is one, the process otherwise."""
    return f"client {operation.process}" if operation.session is None else f"session {operation.session}"


@dataclass(slots=True)
class _Numbers:
    """The number of an operation that a verdict names: by identity, or by the index of its invocation."""

    by_id: dict[int, int]
    by_index: dict[int, int]

    @classmethod
    def of(cls, operations: Sequence[Operation]) -> _Numbers:
        by_id = {id(o): n for n, o in enumerate(operations)}
        by_index: dict[int, int] = {}
        for n, operation in enumerate(operations):
            # Histories made by hand may have no indices: then only identity counts.
            by_index[operation.call_index] = n if operation.call_index not in by_index else NEVER
        return cls(by_id, by_index)

    def find(self, named: Iterable[Operation]) -> list[int]:
        found = (self.by_id.get(id(o), self.by_index.get(o.call_index, NEVER)) for o in named)
        return sorted({n for n in found if n != NEVER})


def _view(
    judged: Judged, operations: Sequence[Operation], numbers: _Numbers, texts: _Texts, start_ns: int
) -> dict[str, Json]:
    verdict = judged.verdict
    shown = verdict.operations
    span = [o.call - start_ns for o in shown] + [o.ret - start_ns for o in shown if o.ret is not None]
    view: dict[str, Json] = {
        "name": judged.tab(),
        "verdict": verdict.verdict,
        "why": verdict.why,
        "key": None if verdict.key is None else texts.number(verdict.key),
        "part": list(numbers.find(shown)),
        "marked": list(numbers.find(verdict.highlight)),
        "span": [min(span), max(span)] if span else None,
        "order": None,
    }
    if judged.prefixes is not None:
        view["order"] = _order(judged.prefixes, operations, numbers, texts, start_ns)
    return view


def _order(
    prefixes: Mapping[str, Prefix], operations: Sequence[Operation], numbers: _Numbers, texts: _Texts, start_ns: int
) -> dict[str, Json]:
    """Per key: the operations in order, a moment and the value after each. Moments as differences along the order."""
    keys: list[Json] = []
    for key, prefix in prefixes.items():
        members: list[Json] = []
        after_texts: list[Json] = []
        at_ns: list[int] = []
        for operation, moment, (_, after) in zip(prefix.order, prefix.at_ns, prefix.states(), strict=True):
            number = numbers.by_id.get(id(operation), numbers.by_index.get(operation.call_index, NEVER))
            assert number != NEVER, "a prefix is of the history that is shown"
            members.append(number)
            at_ns.append(moment - start_ns)
            after_texts.append(texts.number(_state(after)))
        keys.append(
            {
                "key": texts.number(key),
                "complete": prefix.complete,
                "exact": prefix.exact,
                "until": None if prefix.until_ns is None else prefix.until_ns - start_ns,
                "why": prefix.why,
                "initial": texts.number(_state(prefix.model.initial)),
                "members": members,
                "at": _differences(at_ns),
                "after": after_texts,
                "blocked": list(numbers.find(prefix.blocked)),
            }
        )
    return {"keys": keys}


def _state(state: object) -> str:
    if isinstance(state, tuple) and len(state) == 2 and state[0] == "bool":
        return "true" if state[1] else "false"
    return show(state) if state is None or isinstance(state, (str, int, float)) else repr(state)


def operation_label(operation: Operation) -> str:
    """An operation in a few words, transactions with what is in them."""
    if operation.f == "txn" and isinstance(operation.value, list):
        parts = [" ".join(map(_short, micro)) for micro in operation.value if isinstance(micro, list)]
        return ", ".join(parts) + (" ✗" if operation.outcome == "fail" else "")
    if operation.f not in ("read", "write", "cas", "delete", "query", "scan") and operation.value is not None:
        return f"{operation.f} {_plain(operation.value)}" + (" ✗" if operation.outcome == "fail" else "")
    return label(operation)


def _note(operation: Operation) -> str:
    """What the label leaves out: consistency, old and found values, fields that the format does not know."""
    parts = [operation.consistency] if operation.consistency else []
    if not isinstance(operation.old, Missing):
        parts.append(f"replaced {show(operation.old)}")
    if not isinstance(operation.found, Missing):
        parts.append(f"found {show(operation.found)}")
    if operation.session is not None:
        parts.append(f"process {operation.process}")
    if operation.extra or operation.ret_extra:
        parts += [f"{name}: {_plain(value)}" for name, value in (operation.extra | operation.ret_extra).items()]
    return ", ".join(parts)


def _short(value: Json) -> str:
    """A part of a step; of a long list the end, where reads differ."""
    if isinstance(value, list) and len(value) > ELEMENTS_MAX:
        return f"[… {', '.join(map(_plain, value[-ELEMENTS_MAX:]))}]"
    return _plain(value)


def _plain(value: Json) -> str:
    if type(value) is int:  # most of what transactions hold
        return str(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _differences(values: Sequence[int]) -> list[Json]:
    """Each value less the one before it: small numbers, so a small page."""
    result: list[Json] = []
    before = 0
    for value in values:
        result.append(value - before)
        before = value
    return result


def _rows(operations: Sequence[Operation]) -> tuple[list[int], list[tuple[str, bool]]]:
    """The row of each operation, and the rows: a name, and whether it is the first of its client."""
    names = dict.fromkeys((o.session is not None, o.process if o.session is None else o.session) for o in operations)
    # Numbers as numbers, then names; sessions after processes.
    ordered = sorted(names, key=lambda name: (name[0], isinstance(name[1], str), name[1] if name[1] is not None else 0))
    heirs = _heirs(operations) if len(ordered) > CLIENTS_MAX else {}
    later: dict[object, list[int]] = {}
    for process, first_owner in heirs.items():
        if process != first_owner:
            later.setdefault(first_owner, []).append(process)
    lanes: dict[tuple[bool, object], list[int | None]] = {}  # of each client, by lane: when it is free again
    lane_of: list[tuple[tuple[bool, object], int]] = []
    for number in sorted(range(len(operations)), key=lambda n: (operations[n].call, operations[n].call_index)):
        operation = operations[number]
        name: tuple[bool, object] = (operation.session is not None, operation.session)
        if operation.session is None:
            name = (False, heirs.get(operation.process, operation.process))
        ends = lanes.setdefault(name, [])
        lane = next((place for place, end in enumerate(ends) if end is not None and end <= operation.call), len(ends))
        ends[lane : lane + 1] = [_end(operation)]
        lane_of.append((name, lane))
    first_row: dict[tuple[bool, object], int] = {}
    rows: list[tuple[str, bool]] = []
    for is_session, owner in ordered:
        taken = lanes.get((is_session, owner), [])
        first_row[(is_session, owner)] = len(rows)
        name_of_row = f"session {owner}" if is_session else f"client {_with_heirs(owner, later.get(owner, []))}"
        rows += [(name_of_row, lane == 0) for lane in range(len(taken))]
    result = [0] * len(operations)
    order = sorted(range(len(operations)), key=lambda n: (operations[n].call, operations[n].call_index))
    for number, (name, lane) in zip(order, lane_of, strict=True):
        result[number] = first_row[name] + lane
    return result, rows


def _with_heirs(owner: object, later: Sequence[int]) -> str:
    """The processes of a row: the first two by name."""
    return ", ".join([str(owner), *map(str, later[:1]), *(["…"] if len(later) > 1 else [])])


def _end(operation: Operation) -> int:
    """When the row is free again. What nobody gave up is drawn as a short beginning."""
    if operation.ret is not None:
        return operation.ret
    return operation.call if operation.info_time is None else operation.info_time


def _heirs(operations: Sequence[Operation]) -> dict[int, int]:
    """Process -> the process whose row it takes over: a client that lost its process id goes on under a new one."""
    first: dict[int, int] = {}
    retired: dict[int, int] = {}
    for operation in operations:
        if operation.session is None:
            first.setdefault(operation.process, operation.call)
            if operation.ret is None:
                retired[operation.process] = _end(operation)
    owner: dict[int, int] = {}
    free: list[tuple[int, int]] = []  # (since when, row's owner)
    events = [(at, 1, process) for process, at in first.items()] + [(at, 0, p) for p, at in retired.items()]
    for at, is_start, process in sorted(events):
        if is_start:
            owner[process] = heappop(free)[1] if free else process
        else:
            heappush(free, (at, owner.get(process, process)))
    return owner

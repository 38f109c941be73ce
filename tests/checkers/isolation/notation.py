"""Small histories of transactions, written as compactly as in tests/data/elle/cases.json."""

from __future__ import annotations

import re

from dynalab_checkers.history import History, Json, Operation

_MICRO = re.compile(r"([arw])([a-z])(_|[0-9]*)")


def history(text: str, how: str = "seq", kind: str = "list-append") -> History:
    """The history of a line such as "p0:ax1; !p1:ax2 || rx12" (see the notation in cases.json).

    >>> [(o.process, o.outcome, o.value) for o in history("p1:ax1rx1; !ax2")]
    [(1, 'ok', [['append', 'x', 1], ['r', 'x', [1]]]), (0, 'fail', [['append', 'x', 2]])]
    """
    groups = [[part.strip() for part in group.split("||")] for group in text.split(";")]
    if how == "comp":
        groups = [[part for group in groups for part in group]]
    if "@" in text:
        return _timed([part.split("@") for group in groups for part in group], kind)
    operations: list[Operation] = []
    time = index = 0
    for group in groups:
        for place, part in enumerate(group):
            operation = transaction(part, kind)
            if how == "comp":
                operation.process = len(operations)
            operation.call, operation.call_index = time + place, index
            index += 1
            operations.append(operation)
        for place, operation in enumerate(operations[-len(group) :]):
            if operation.outcome != "info":
                operation.ret, operation.ret_index = time + len(group) + place, index
                index += 1
        time += 2 * len(group) + 1
    return History(operations)


def _timed(parts: list[list[str]], kind: str) -> History:
    """Transactions that say from when to when they last, each in a process of its own."""
    events: list[tuple[int, int, int]] = []
    operations = [transaction(text, kind) for text, _ in parts]
    for number, (_, times) in enumerate(parts):
        call, ret = map(int, times.split("-"))
        operation = operations[number]
        operation.process, operation.call = number, call
        operation.ret = None if operation.outcome == "info" else ret
        events += [(call, 1, number), (ret, 0, number)]
    for index, (_, is_call, number) in enumerate(sorted(events)):
        if is_call:
            operations[number].call_index = index
        elif operations[number].ret is not None:
            operations[number].ret_index = index
    return History(operations)


def transaction(text: str, kind: str = "list-append") -> Operation:
    """One transaction, not yet placed in time."""
    outcome = {"!": "fail", "?": "info"}.get(text[0], "ok")
    text = text.lstrip("!?")
    process = 0
    if ":" in text:
        name, text = text.split(":")
        process = int(name.removeprefix("p"))
    assert "".join(match.group(0) for match in _MICRO.finditer(text)) == text, f"not in the notation: {text!r}"
    return Operation(
        process, "txn", "", 0, None, outcome, [_micro(m[1], m[2], m[3], kind) for m in _MICRO.finditer(text)]
    )


def _micro(name: str, key: str, digits: str, kind: str) -> Json:
    if name == "a":
        return ["append", key, int(digits)]
    if name == "w":
        return ["w", key, int(digits)]
    if kind == "list-append":
        return ["r", key, [int(digit) for digit in digits]]
    return ["r", key, None if digits in ("_", "") else int(digits)]

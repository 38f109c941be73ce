"""The oracle: every order of the operations of one register is tried. Slow, short, and easy to believe.

It shares no code with the checkers that are held against it, only the operations. Up to ten operations or so.
"""

from __future__ import annotations

from dataclasses import replace

from dynalab_checkers.operation import MISSING, Operation


def linearizable(operations: list[Operation], initial: object = None) -> bool:
    """Whether any order is legal: every operation but the indeterminate ones once, real time respected.

    >>> write, read = Operation(0, "write", "k", 0, 5, "ok", 7), Operation(1, "read", "k", 9, 10, "ok", result=None)
    >>> linearizable([write, read])
    False
    """
    judged = [o for o in operations if not (o.f == "read" and o.consistency not in (None, "strong"))]
    judged = [o for o in judged if not (o.f == "read" and o.outcome != "ok")]
    for weak in operations:
        if weak.f != "read" or weak.consistency in (None, "strong") or weak.result in (None, initial):
            continue
        writers = [n for n, o in enumerate(judged) if o.outcome != "fail" and _brings(o, weak.result)]
        if len(writers) == 1 and weak.ret is not None and judged[writers[0]].call <= weak.ret:
            writer = judged[writers[0]]
            ret = weak.ret if writer.ret is None else min(writer.ret, weak.ret)
            judged[writers[0]] = replace(writer, ret=ret)
    blocked = [[m for m, o in enumerate(judged) if m != n and _precedes(o, p)] for n, p in enumerate(judged)]
    must = frozenset(n for n, o in enumerate(judged) if o.ret is not None)

    def extend(done: frozenset[int], state: object) -> bool:
        if must <= done:
            return True
        for n, operation in enumerate(judged):
            if n in done or any(m not in done for m in blocked[n]):
                continue
            possible, following = _after(state, operation)
            if possible and extend(done | {n}, following):
                return True
        return False

    return extend(frozenset(), initial)


def _precedes(one: Operation, other: Operation) -> bool:
    if one.ret is None:
        return False
    if one.process == other.process:
        return one.call_index < other.call_index
    return one.ret < other.call


def _after(state: object, operation: Operation) -> tuple[bool, object]:
    """(possible, next state)"""
    if operation.f == "read":
        return operation.result == state, state
    if operation.f == "cas":
        assert isinstance(operation.value, list)
        expected, target = operation.value
        if operation.outcome == "fail":
            possible = state != expected and operation.found in (MISSING, state)
            return possible, state
        return state == expected and operation.old in (MISSING, state), target
    if operation.outcome == "fail":
        return operation.found in (MISSING, state), state
    return operation.old in (MISSING, state), operation.value if operation.f == "write" else None


def _brings(operation: Operation, value: object) -> bool:
    """Whether it writes the value where another was before."""
    if operation.f == "cas":
        assert isinstance(operation.value, list)
        return operation.value[1] == value and operation.value[0] != value
    return operation.f == "write" and operation.value == value and operation.old != value

"""Effects once per token: a request that is tried again with its token does not happen twice.

Rules of this room:
1. An operation names its token in the field `token` of its invocation; all operations with one token are *attempts* of
   one effect. It happened exactly once if some attempt was acknowledged, at most once if the outcome of one is unknown,
   and never if all were refused. An operation without a token is an effect of its own.
2. Attempts of one token ask for the same. Whoever accepts one that asks for something else has not compared it. One
   that was refused, or of whose outcome nothing is known, says nothing: it is left out, and what it wrote must never
   be seen.
3. Effects are seen in lists (`append`, whose elements are unique among effects) and in counters (`add`). Atomicity and
   order are not judged here: hand the history of `once_per_token` to the judges of isolation.

Sources: consistency.md rows 12 and 33 (at most once within a token's ten minutes), §5 (a duplicated effect after a
retry). O(n log n).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from dynalab_checkers.history import History, Json, Operation
from dynalab_checkers.invariants import NAMED_MAX, WEAK_READS, check_counter
from dynalab_checkers.pairing import asked
from dynalab_checkers.verdict import INVALID, UNKNOWN, VALID, Verdict
from dynalab_checkers.words import seconds, show, token

CHECKER: Final = "effects-once"
TOKEN: Final = "token"


def once_per_token(history: History) -> tuple[History, list[Operation]]:
    """The history with all attempts of a token as one operation, and the accepted attempts that asked for another thing
    than the first one of their token.

    The one operation is called with the first attempt and returns with the first that was acknowledged; if none was, it
    is of unknown outcome as soon as one of them is, else it failed. What it returned is what the first acknowledged
    attempt did.

    >>> attempts = [Operation(0, "add", "n", 0, None, "info", 1, call_index=0, extra={"token": "a"}),
    ...             Operation(1, "add", "n", 5, 9, "ok", 1, call_index=1, ret_index=2, extra={"token": "a"})]
    >>> [(one.call, one.ret, one.outcome) for one in once_per_token(History(attempts))[0]]
    [(0, 9, 'ok')]
    """
    attempts: dict[str, list[Operation]] = {}
    single: list[Operation] = []
    for operation in history:
        name = operation.annotation(TOKEN)
        if name is None:
            single.append(operation)
        else:
            attempts.setdefault(f"{type(name).__name__}/{name}", []).append(operation)
    strangers: list[Operation] = []
    for tries in attempts.values():
        first = tries[0]
        like = [attempt for attempt in tries if _asks(attempt) == _asks(first)]
        strangers += [attempt for attempt in tries if attempt not in like and attempt.outcome == "ok"]
        answered = [attempt for attempt in like if attempt.outcome == "ok"]
        unsure = [attempt for attempt in like if attempt.outcome == "info"]
        one = min(answered, key=_returned) if answered else unsure[0] if unsure else min(like, key=_returned)
        single.append(replace(one, process=first.process, call=first.call, call_index=first.call_index))
    return History(single), strangers


def _asks(operation: Operation) -> tuple[str, str, Json]:
    value = operation.value
    if operation.f == "txn" and isinstance(value, list):
        value = [asked(micro) for micro in value]
    return operation.f, operation.key, value


def _returned(operation: Operation) -> int:
    assert operation.ret is not None, "what was acknowledged or refused has returned"
    return operation.ret


def check_effects_once(history: History) -> Verdict:
    """Judge lists and counters: each effect as often as its attempts allow. Reads: `txn`, `get` and `read`.

    Eventual reads may miss what they like; they may hold nothing twice, and nothing that did not happen.

    >>> def attempt(call, ret, outcome):
    ...     return Operation(call, "append", "x", call, ret, outcome, 7, call_index=call, extra={"token": "a"})
    >>> read = Operation(9, "get", "x", 20, 21, "ok", call_index=9, ret_extra={"value": [7, 7]})
    >>> check_effects_once(History([attempt(0, None, "info"), attempt(5, 6, "ok"), read])).why
    'the read of x at 20 ns held 7 twice, which was asked for under the token a at 0.000 s'
    """
    merged, strangers = once_per_token(history)
    details: dict[str, object] = {"tokens": _tokens(history)}
    if strangers:
        return _mistaken(history, strangers[0], details)
    verdict = _check_lists(merged, details)
    if verdict.verdict != VALID:
        return verdict
    counters = sorted({operation.key for operation in merged if operation.f == "add"})
    for key in counters:
        part = [one for one in merged if one.key == key and one.f in ("add", "read")]
        found = check_counter(History(part), key)
        details["reads"] = int(str(details["reads"])) + int(str(found.details.get("reads", 0)))
        if found.verdict == INVALID:
            found.checker = CHECKER
            return found
    if not details["reads"]:
        return Verdict(UNKNOWN, CHECKER, "nobody read what the effects were", details=details)
    return Verdict(VALID, CHECKER, details=details)


def check_tokens(history: History) -> Verdict:
    """Only whether every token was compared with its parameters (rule 2): for effects that others judge.

    >>> attempts = [Operation(n, "add", "n", n, n + 1, "ok", n, call_index=n, extra={"token": "a"}) for n in (1, 2)]
    >>> check_tokens(History(attempts)).why
    'the attempt at 2 ns asked for something else than the first one with the token a, and was not refused'
    """
    merged, strangers = once_per_token(history)
    details: dict[str, object] = {"tokens": _tokens(history), "attempts": len(history) - len(merged)}
    return _mistaken(history, strangers[0], details) if strangers else Verdict(VALID, CHECKER, details=details)


def _mistaken(history: History, odd: Operation, details: dict[str, object]) -> Verdict:
    name = odd.annotation(TOKEN)
    first = next(one for one in history if one.annotation(TOKEN) == name)
    why = f"the attempt at {seconds(odd.call)} asked for something else than the first one with the token {name}"
    return Verdict(INVALID, CHECKER, f"{why}, and was not refused", None, [first, odd], [odd], details)


def _tokens(history: History) -> int:
    return len({str(operation.annotation(TOKEN)) for operation in history if operation.annotation(TOKEN) is not None})


def _check_lists(history: History, details: dict[str, object]) -> Verdict:
    """Every element of every list that was read, and every acknowledged one that should have been there."""
    makers: dict[tuple[str, object], Operation] = {}
    for operation in history:
        for key, element in _appended(operation):
            place = key, token(element)
            if makers.setdefault(place, operation) is not operation:
                why = f"{show(element)} was appended to {show(key)} by two effects, so nobody can say whose it is"
                return Verdict(UNKNOWN, CHECKER, why, key, details=details)
    due: dict[str, list[tuple[int, object, Operation]]] = {}
    for (key, element), operation in makers.items():
        if operation.outcome == "ok":
            due.setdefault(key, []).append((_returned(operation), element, operation))
    reads = 0
    problems: list[tuple[Operation, str, str, Operation | None]] = []
    for operation in history:
        for key, value in _lists(operation):
            reads += 1
            held = Counter([token(element) for element in value])
            said = f"the read of {key} at {seconds(operation.call)}"
            for element, times in held.items():
                maker = makers.get((key, element))
                if maker is None or maker.outcome == "fail":
                    story = "which nobody appended" if maker is None else f"which was refused{_under(maker)}"
                    problems.append((operation, key, f"{said} held {show(element)}, {story}", maker))
                elif times > 1:
                    often = "twice" if times == 2 else f"{times} times"
                    why = f"{said} held {show(element)} {often}, which was asked for{_under(maker)}"
                    problems.append((operation, key, why, maker))
            if operation.consistency in WEAK_READS:
                continue
            for ret, element, maker in due.get(key, ()):
                if ret < operation.call and element not in held:
                    why = f"{said} did not hold {show(element)}, which was acknowledged{_under(maker)}"
                    problems.append((operation, key, why, maker))
    details["reads"] = reads
    details["wrong"] = len(problems)
    if not problems:
        return Verdict(VALID, CHECKER, details=details)
    read, key, why, maker = problems[0]
    shown = [read] if maker is None else [maker, read]
    blamed = list({one.call_index: one for one, *_ in problems}.values())
    return Verdict(INVALID, CHECKER, why, key, shown, blamed[:NAMED_MAX], details)


def _under(maker: Operation) -> str:
    name = maker.annotation(TOKEN)
    return f" at {seconds(maker.call)}" if name is None else f" under the token {name} at {seconds(maker.call)}"


def _appended(operation: Operation) -> Iterator[tuple[str, Any]]:
    value: Any = operation.value
    if operation.f == "append":
        yield operation.key, value
    elif operation.f == "txn":
        for micro in value:
            if micro[0] == "append":
                yield micro[1], micro[2]


def _lists(operation: Operation) -> Iterator[tuple[str, list[Any]]]:
    """The lists that somebody was shown."""
    if operation.outcome != "ok":
        return
    value: Any = operation.annotation("value") if operation.f == "get" else operation.value
    if operation.f == "get":
        yield operation.key, value or []
    elif operation.f == "txn":
        for micro in value:
            if micro[0] == "r" and len(micro) > 2 and (micro[2] is None or isinstance(micro[2], list)):
                yield micro[1], micro[2] or []

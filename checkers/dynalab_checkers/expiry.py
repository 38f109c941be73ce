"""Things that expire: nothing is removed before its time, and nothing that was renewed.

Rules of this room:
1. A write or cas says in `expires` (of its invocation; seconds since the epoch) when what it writes expires. What has
   no such time, or one that lies more than five years back, never does. Keys that transactions write are unknown here.
2. To clients the sweeper is one more writer whom nobody asked: from the expiry of a version on, it may remove that very
   version, at any time or never. So the history of clients and such removals together must be linearizable: an
   absence that came too early, or after the item had been renewed, has no order that explains it (`check_expiry`).
3. Items are readable until they are swept: being late is no fault.
4. In a stream the removals of the sweeper, and no others, bear the identity of the service; the removed image had
   expired by the time of the record (`check_sweeps`).

Clocks: `epoch_ns` is the wall clock's reading when the history's clock is 0, `error_ns` how far any clock of the system
may be ahead of that.

Source: consistency.md §6 (7); seeds S79, S182, S183.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from dynalab_checkers.history import History, Json, Missing, Operation
from dynalab_checkers.linearizability import BUDGET_STEPS, check_register
from dynalab_checkers.streams import CHECKER as STREAMS
from dynalab_checkers.streams import REMOVE, Record, broken, name_of
from dynalab_checkers.verdict import INVALID, UNKNOWN, VALID, Verdict
from dynalab_checkers.words import seconds, show, token

CHECKER: Final = "expiry"
FIELD: Final = "expires"
SERVICE: Final = "dynamodb.amazonaws.com"
SECOND_NS: Final = 1_000_000_000
# "Five years": what expired longer ago is taken for a mistake, and kept.
TOO_OLD_S: Final = 5 * 365 * 24 * 3600


def with_sweeps(history: History, *, epoch_ns: int = 0, error_ns: int = 0) -> History:
    """The history with one more operation for each version that expires: its removal, called when it expires, and of
    unknown outcome.

    >>> write = Operation(0, "write", "k", 10, 20, "ok", 7, call_index=0, ret_index=1, extra={"expires": 3})
    >>> [(one.f, one.value, one.call, one.ret) for one in with_sweeps(History([write]))]
    [('write', 7, 10, 20), ('cas', [7, None], 3000000001, None)]
    """
    operations: list[Operation] = list(history)
    process = 1 + max((operation.process for operation in operations), default=0)
    index = 1 + max((max(one.call_index, one.ret_index or 0) for one in operations), default=0)
    for operation in list(operations):
        for value, expires in _expiring(operation):
            # Strictly after the second that was named: expired means less than now.
            due_ns = expires * SECOND_NS + 1 - epoch_ns - error_ns
            written_ns = max(operation.call, due_ns)
            if written_ns + epoch_ns > (expires + TOO_OLD_S) * SECOND_NS:
                continue
            sweep = Operation(process, "cas", operation.key, written_ns, None, "info", [value, None], call_index=index)
            operations.append(sweep)
            process, index = process + 1, index + 1
    return History(operations)


def _expiring(operation: Operation) -> list[tuple[Json, int]]:
    """What an operation may have written that expires: value, second."""
    expires = operation.extra.get(FIELD)
    value = operation.value
    written = value[1] if operation.f == "cas" and isinstance(value, list) else value
    if not isinstance(expires, int) or operation.outcome == "fail" or written is None:
        return []
    return [(written, expires)]


def check_expiry(history: History, *, epoch_ns: int = 0, error_ns: int = 0, budget: int = BUDGET_STEPS) -> Verdict:
    """Whether a sweeper that removes only what has expired explains all that clients saw. Values are unique.

    >>> write = Operation(0, "write", "k", 10, 20, "ok", 7, call_index=0, ret_index=1, extra={"expires": 3})
    >>> def gone(call):
    ...     return Operation(1, "read", "k", call, call + 1, "ok", call_index=2, ret_index=3, consistency="strong")
    >>> check_expiry(History([write, gone(4_000_000_000)])).verdict
    'valid'
    >>> check_expiry(History([write, gone(2_000_000_000)])).why
    'the read at 2.000 s returned nothing, and k = 7 expires at 3.000 s'
    """
    swept = with_sweeps(history, epoch_ns=epoch_ns, error_ns=error_ns)
    verdict = check_register(swept, budget=budget)
    sweeps = len(swept) - len(history)
    verdict.details["expiring"] = sweeps
    if verdict.verdict == VALID and not sweeps:
        return Verdict(UNKNOWN, CHECKER, "nothing in the history expires", details=verdict.details)
    if verdict.verdict != INVALID:
        return Verdict(verdict.verdict, CHECKER, verdict.why, verdict.key, details=verdict.details)
    # Those that the sweeper was granted are no operations of anybody.
    real = {operation.call_index for operation in history}
    shown = [operation for operation in verdict.operations if operation.call_index in real]
    blamed = [operation for operation in verdict.highlight if operation.call_index in real]
    why = _sentence(shown, epoch_ns) or verdict.why
    return Verdict(INVALID, CHECKER, why, verdict.key, shown, blamed or shown[-1:], verdict.details)


def _sentence(shown: list[Operation], epoch_ns: int) -> str:
    """An absence and the version that it came too early for, if that is what the part of the history shows."""
    absent = next((one for one in shown if one.f == "read" and one.outcome == "ok" and one.result is None), None)
    if absent is None:
        return ""
    early = [
        (one.key, value, expires)
        for one in shown
        for value, expires in _expiring(one)
        if expires * SECOND_NS - epoch_ns >= (absent.ret or absent.call) and one.call <= (absent.ret or absent.call)
    ]
    if not early:
        return ""
    key, value, expires = early[-1]
    assert not isinstance(value, list | dict), "a register holds scalars"
    when = seconds(expires * SECOND_NS - epoch_ns)
    return f"the read at {seconds(absent.call)} returned nothing, and {key} = {show(token(value))} expires at {when}"


def check_sweeps(
    records: Iterable[Record],
    expires_of: Callable[[Json], int | None],
    *,
    epoch_ns: int = 0,
    error_ns: int = 0,
    clients: Iterable[tuple[str, Json]] = (),
) -> Verdict:
    """Judge the removals of a stream: whose they are, and whether what the service removed had expired.

    `expires_of` gives the second at which an image expires, None if never. A record's `time_ns`, `epoch_ns` later, is
    its time by the system's wall clock. `clients`: key and old image of removals that clients certainly made.

    >>> swept = Record("s", 1, "k", "REMOVE", old={"ttl": 3}, identity=SERVICE, time_ns=2_000_000_000)
    >>> check_sweeps([swept], lambda image: image["ttl"]).why
    'early: REMOVE of k at 1 in shard s was made by the service at 2.000 s, and what it removed expires at 3.000 s'
    """
    own = [(key, image) for key, image in clients]
    sweeps = 0
    for record in records:
        if not record.identity:
            continue
        if record.event != REMOVE:
            return broken("identity", record, f"{name_of(record)} bears the identity of {record.identity}")
        if record.identity != SERVICE:
            return broken("identity", record, f"{name_of(record)} was made by {record.identity}, who is nobody")
        if isinstance(record.old, Missing):
            continue
        if (record.key, record.old) in own:
            return broken("identity", record, f"{name_of(record)} is a client's, and bears the service's identity")
        sweeps += 1
        expires = expires_of(record.old)
        if expires is None:
            return broken(
                "early", record, f"{name_of(record)} was made by the service, and what it removed never expires"
            )
        if record.time_ns is None:
            continue
        due_ns = expires * SECOND_NS - epoch_ns
        if due_ns >= record.time_ns + error_ns:
            when = f"was made by the service at {seconds(record.time_ns)}"
            told = f"and what it removed expires at {seconds(due_ns)}"
            return broken("early", record, f"{name_of(record)} {when}, {told}")
        if due_ns + TOO_OLD_S * SECOND_NS < record.time_ns - error_ns:
            return broken("early", record, f"{name_of(record)} removed what had expired more than five years before")
    return Verdict(VALID, STREAMS, details={"sweeps": sweeps})

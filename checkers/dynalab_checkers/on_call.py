"""Doctors on call: write skew, and the invariant that it breaks.

Rules of this room:
1. A rota is a group of keys, `rota/doctor`; a doctor is on call if the key holds something true. Of every rota somebody
   (or as many as are asked for) must be on call at every moment.
2. Only a transaction that reads all doctors of a rota is judged: reads of one doctor after another may see each of two
   who take turns off call, and be right.
3. Two doctors who each look at the rota and then leave, each condition true, each write on another key, are write skew
   (G2-item): the judges of isolation see it too, where values are unique; here they need not be.

Source: consistency.md §5, §10 (write skew).
"""

from __future__ import annotations

from typing import Any, Final

from dynalab_checkers.history import History, Operation
from dynalab_checkers.invariants import NAMED_MAX, WEAK_READS
from dynalab_checkers.verdict import INVALID, UNKNOWN, VALID, Verdict
from dynalab_checkers.words import seconds

CHECKER: Final = "on-call"


def check_on_call(history: History, least: int = 1) -> Verdict:
    """Every transaction that reads a whole rota finds at least so many of it on call.

    >>> def read(*on):
    ...     return Operation(0, "txn", "", 0, 9, "ok", [["r", f"ward/{name}", is_on] for name, is_on in zip("ab", on)])
    >>> check_on_call(History([read(True, False)])).verdict
    'valid'
    >>> check_on_call(History([read(False, False)])).why
    'the transaction at 0.000 s found 0 of 2 on call in ward, where at least 1 must be'
    """
    rotas: dict[str, dict[str, None]] = {}
    for operation in history:
        value: Any = operation.value
        keys = [micro[1] for micro in value] if operation.f == "txn" else [operation.key]
        for key in keys:
            rota, slash, _ = key.rpartition("/")
            if slash:
                rotas.setdefault(rota, {})[key] = None
    judged = 0
    bad: list[Operation] = []
    why = ""
    for operation in history:
        value = operation.value
        if operation.f != "txn" or operation.outcome != "ok" or operation.consistency in WEAK_READS:
            continue
        if any(micro[0] != "r" for micro in value):
            continue
        seen = {micro[1]: micro[2] if len(micro) > 2 else None for micro in value}
        for rota, doctors in rotas.items():
            if any(doctor not in seen for doctor in doctors):
                continue
            judged += 1
            on = sum(bool(seen[doctor]) for doctor in doctors)
            if on < least:
                bad.append(operation)
                where = f"in {rota}, where at least {least} must be"
                why = (
                    why or f"the transaction at {seconds(operation.call)} found {on} of {len(doctors)} on call {where}"
                )
    details: dict[str, object] = {"reads": judged, "wrong": len(bad)}
    if bad:
        return Verdict(INVALID, CHECKER, why, None, bad[:NAMED_MAX], bad[:1], details)
    if not judged:
        return Verdict(UNKNOWN, CHECKER, "no transaction read a whole rota", details=details)
    return Verdict(VALID, CHECKER, details=details)

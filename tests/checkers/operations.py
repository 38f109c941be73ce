"""Operations of one key, written shortly: for tests of judges that look at a register."""

from __future__ import annotations

from dynalab_checkers.history import MISSING, History, Missing, Operation, Scalar
from dynalab_checkers.sessions import check_sessions
from dynalab_checkers.verdict import Verdict


def op(
    f: str,
    process: int,
    call: int,
    ret: int | None,
    value: Scalar | tuple[Scalar, Scalar] = None,
    *,
    old: Scalar | Missing = MISSING,
    found: Scalar | Missing = MISSING,
    outcome: str = "ok",
    consistency: str | None = None,
    session: str | None = None,
) -> Operation:
    reads = f == "read"
    return Operation(
        process,
        f,
        "k",
        call,
        ret,
        outcome,
        None if reads else list(value) if isinstance(value, tuple) else value,
        value if reads and not isinstance(value, tuple) else None,
        old,
        found,
        consistency,
        session,
        call_index=2 * call + 1,
        ret_index=None if ret is None else 2 * ret,
    )


def judged(*operations: Operation, **options: object) -> Verdict:
    return check_sessions(History(operations), **options)  # type: ignore[arg-type]

"""A failing run's smallest history, in words and as a picture.

Checkers give the part of a history that shows a violation; here it is made small with that very checker as the judge,
and drawn with the run's fault windows behind it. A violation of the state at the end (an index that does not match
its base) has no such part: then the last writes of the item that differs are shown, with the read that found it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dynalab_checkers.committed import check_committed
from dynalab_checkers.history import History, Json, Operation
from dynalab_checkers.linearizability import check_register
from dynalab_checkers.picture import Band, render
from dynalab_checkers.sessions import check_sessions
from dynalab_checkers.shrink import minimise
from dynalab_checkers.verdict import Verdict
from dynalab_fault_injection.judges import Judgement
from dynalab_fault_injection.run import RunResult

LAST_WRITES = 6  # shown for an item whose copies differ

# Checkers that judge a history, and so can say whether a part of it is still invalid.
JUDGES_OF_HISTORIES: dict[str, Callable[[History], Verdict]] = {
    "linearizability": check_register,
    "sessions": check_sessions,
    "committed": check_committed,
}


@dataclass(slots=True)
class Smallest:
    """The part of a history that shows a violation, those of it to mark, a sentence, a picture, and the events."""

    operations: list[Operation]
    highlight: list[Operation]
    sentence: str
    svg: str = ""
    events: list[dict[str, Json]] = field(default_factory=list)


def smallest(run: RunResult, checker: str = "") -> Smallest:
    """Shrink what a checker found (the first that says invalid, if none is named) and draw it."""
    judgement = next((j for j in run.verdicts if j.verdict == "invalid" and checker in ("", j.checker)), None)
    assert judgement is not None, "there is no violation to shrink"
    found = _shrunk(judgement) if judgement.operations else _last_writes(run, judgement)
    start = min((o.call for o in found.operations), default=0)
    end = max((o.ret if o.ret is not None else o.call for o in found.operations), default=0)
    bands = [Band(b.start_ns, b.end_ns, b.name) for b in run.bands if b.bit and b.start_ns <= end and b.end_ns >= start]
    title = f"{run.workload}, seed {run.seed}: {judgement.checker}"
    found.svg = render(found.operations, highlight=found.highlight, bands=bands, title=title, sentence=found.sentence)
    found.events = list(History(found.operations).events())
    return found


def _shrunk(judgement: Judgement) -> Smallest:
    check = JUDGES_OF_HISTORIES.get(judgement.checker)
    operations = judgement.operations
    if check is None:
        return Smallest(operations, judgement.highlight, judgement.why)
    written = _written(operations)

    def is_invalid(part: list[Operation]) -> bool:
        # Whoever saw a value keeps company with whoever wrote it. Without this every violation would shrink to a read
        # of a value that nobody wrote, which is not what went wrong.
        missing = (_seen(part) & written) - _written(part)
        return not missing and check(History(part)).verdict == "invalid"

    if not is_invalid(operations):
        # It shows only beside the rest of the history: leave the part as the checker gave it.
        return Smallest(operations, judgement.highlight, judgement.why)
    operations = minimise(operations, is_invalid)
    verdict = check(History(operations))
    return Smallest(operations, verdict.highlight, verdict.why)


def _written(operations: list[Operation]) -> frozenset[object]:
    """The values that these operations write, if they take effect."""
    values = [o.value[1] if isinstance(o.value, list) else o.value for o in operations if o.f in ("write", "cas")]
    return frozenset(value for value in values if value is not None and not isinstance(value, list | dict))


def _seen(operations: list[Operation]) -> frozenset[object]:
    """The values that they read, replaced, found or asked for."""
    values: list[object] = []
    for o in operations:
        values += [o.result, o.old, o.found]
        if o.f == "cas" and o.outcome == "ok" and isinstance(o.value, list):
            values.append(o.value[0])
    return frozenset(value for value in values if isinstance(value, int | str))


def _last_writes(run: RunResult, judgement: Judgement) -> Smallest:
    history = History.from_events(run.history)
    of_key = history.by_key().get(judgement.key or "", [])
    writes = [o for o in of_key if o.f != "read" and o.outcome != "fail"][-LAST_WRITES:]
    reads = [o for o in of_key if o.f == "read" and o.consistency == "strong" and o.outcome == "ok"][-1:]
    operations = sorted([*writes, *reads], key=lambda o: o.call_index)
    return Smallest(operations, writes[-1:], judgement.why)

"""For tests of anybody's database: an assertion that a recorded history is linearizable. Needs no pytest.

It says what is wrong in one sentence, lists the few operations that show it, and writes the picture of them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from os import PathLike, fspath
from pathlib import Path

from dynalab_checkers.check import check_history
from dynalab_checkers.formats import read_history
from dynalab_checkers.history import History, Json
from dynalab_checkers.linearizability import BUDGET_STEPS
from dynalab_checkers.models import Model
from dynalab_checkers.picture import render
from dynalab_checkers.recorder import Recorder
from dynalab_checkers.verdict import VALID, Verdict
from dynalab_checkers.words import effect, seconds

Recordings = History | Recorder | str | PathLike[str] | Iterable[Mapping[str, Json]]
# Operations that are listed in the message; the picture has them all.
SHOWN_MAX = 12


def assert_linearizable(
    history: Recordings,
    model: str | Model = "register",
    *,
    picture: str | PathLike[str] | None = None,
    budget: int = BUDGET_STEPS,
) -> Verdict:
    """Raise AssertionError unless the history is linearizable; `unknown` is not linearizable either.

    `history`: a History, a Recorder, a file of JSON lines, or events. The picture goes to `picture`, or to a new
    temporary directory; the message names it.

    >>> recorder = Recorder()
    >>> with recorder.operation("a", "write", "k", 1):
    ...     pass
    >>> assert_linearizable(recorder).verdict
    'valid'
    """
    verdict = check_history(_as_history(history), model, budget)
    if verdict.verdict == VALID:
        return verdict
    name = model if isinstance(model, str) else model.name
    lines = [f"not known to be linearizable as a {name}: {verdict.verdict}: {verdict.why}"]
    if verdict.key:
        lines.append(f"key: {verdict.key}")
    for operation in verdict.operations[:SHOWN_MAX]:
        mark = ">" if any(operation is other for other in verdict.highlight) else " "
        until = "never returned" if operation.ret is None else f"returned at {seconds(operation.ret)}"
        lines.append(f" {mark} process {operation.process}: {effect(operation)}, {until}")
    if len(verdict.operations) > SHOWN_MAX:
        lines.append(f"   and {len(verdict.operations) - SHOWN_MAX} more")
    if verdict.operations:
        path = Path(tempfile.mkdtemp(prefix="dynalab-")) / "violation.svg" if picture is None else Path(picture)
        title = f"not linearizable as a {name}"
        shown = render(verdict.operations, highlight=verdict.highlight, title=title, sentence=verdict.why)
        path.write_text(shown, encoding="utf-8")
        lines.append(f"picture: {path}")
    raise AssertionError("\n".join(lines))


def _as_history(history: Recordings) -> History:
    if isinstance(history, History):
        return history
    if isinstance(history, Recorder):
        return history.history()
    if isinstance(history, (str, PathLike)):
        return read_history(fspath(history))
    return History.from_events(history)

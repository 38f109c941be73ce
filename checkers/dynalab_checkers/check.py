"""Checking files: what `dynalab check` does, without the command line. Nothing is judged if any line is malformed.

A file that is too large to hold is judged in parts, of some of the keys each (`spill`). That gives the same verdict,
since each key is judged alone.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from os import PathLike, fspath
from types import NoneType
from typing import Final

from dynalab_checkers import isolation
from dynalab_checkers.collector import collector_paused
from dynalab_checkers.formats import AS_IT_IS, Reading, read_history
from dynalab_checkers.history import Drain, History, Progress
from dynalab_checkers.judges import JUDGES, USUAL, Question
from dynalab_checkers.linearizability import BUDGET_STEPS, check_model, check_register
from dynalab_checkers.models import MODELS, REGISTER, Model
from dynalab_checkers.spill import PARTS_MAX, Spill
from dynalab_checkers.verdict import INVALID, SEVERITY, Verdict, worst
from dynalab_checkers.words import token

# Memory that a history and its judgement take for each byte of its file: measured on JSON lines, 2.1; others have less
# text for an operation.
HELD_PER_FILE_BYTE: Final = 4
# Models of histories of transactions, where no key is judged alone: the kind of history, and whether single operations
# stand in it that take no part in the order of time (consistency.md §4).
TRANSACTIONS: Final = {
    "list-append": ("list-append", False),
    "rw-register": ("rw-register", False),
    "mixed-append": ("list-append", True),
    "mixed-register": ("rw-register", True),
}
# What models that are no judges can be asked besides.
KNOWN: Final = {
    **dict.fromkeys(TRANSACTIONS, ("level",)),
    **dict.fromkeys(("register", "cas-register", "counter"), ("initial",)),
}
# Their initial value is a number.
COUNTERS: Final = ("counter", "counter-bounds")
# Everything that a file can be judged by.
ALL_MODELS: Final = tuple(sorted([*MODELS, *TRANSACTIONS, *JUDGES]))


@dataclass(slots=True)
class FileVerdict:
    """The verdict on one file. `seconds`: time spent on checking, reading not included."""

    file: str
    model: str
    verdict: str
    seconds: float
    why: str
    detail: Verdict

    def as_json(self) -> dict[str, str | float]:
        """The object that `dynalab check --json` prints for this file."""
        return {
            "file": self.file,
            "model": self.model,
            "verdict": self.verdict,
            "seconds": round(self.seconds, 6),
            "why": self.why,
        }


def lacks(model: str, question: Question) -> str:
    """What a question asks this model in vain, or leaves out: a sentence, empty if nothing.

    >>> lacks("register", Question(total=1)), lacks("list-append", Question(level="serializable"))
    ('register knows no total', '')
    """
    if model in COUNTERS and type(question.initial) not in (int, NoneType):
        return f"{model} begins with a whole number"
    if model in JUDGES:
        return JUDGES[model].lacks(question)
    return next((f"{model} knows no {name}" for name in question.asked() if name not in KNOWN.get(model, ())), "")


def judges_keys_alone(model: str) -> bool:
    """Whether a file may be judged in parts.

    >>> [judges_keys_alone(model) for model in ("register", "sessions", "bank", "list-append")]
    [True, True, False, False]
    """
    return model in MODELS or (model in JUDGES and JUDGES[model].by_key)


def check_history(
    history: History, model: str | Model = "register", budget: int = BUDGET_STEPS, question: Question = USUAL
) -> Verdict:
    """Judge a history by a model or its name. Raises KeyError if there is no such model, ValueError with the sentence
    of `lacks` if the question is not one for it.

    The models of TRANSACTIONS judge whole transactions by their dependency graph, at the level of the question; those
    of JUDGES are no objects, but promises.
    """
    if isinstance(model, str):
        wrong = lacks(model, question)
        if wrong:
            raise ValueError(wrong)
        if model in JUDGES:
            with collector_paused():
                return JUDGES[model].settled(JUDGES[model].ask(history, question))
        if model in TRANSACTIONS:
            steps = isolation.BUDGET_STEPS if budget == BUDGET_STEPS else budget
            kind, mixed = TRANSACTIONS[model]
            return isolation.check_transactions(history, kind=kind, model=question.level, mixed=mixed, budget=steps)
    chosen = MODELS[model] if isinstance(model, str) else model
    if question.initial is not None:
        chosen = replace(chosen, initial=token(question.initial))
    if chosen.lower is REGISTER.lower:
        initial = chosen.initial[1] if isinstance(chosen.initial, tuple) else chosen.initial
        assert initial is None or isinstance(initial, (str, int, float, bool)), "a register begins with a scalar"
        return check_register(history, initial=initial, budget=budget)
    return check_model(history, chosen, budget=budget)


def reading_for(model: str, reading: Reading = AS_IT_IS) -> Reading:
    """How to read a foreign file for this model: what others call its operations, and what was asked for.

    >>> reading_for("set", Reading(renames={"insert": "add"})).renames
    {'read': 'members', 'insert': 'add'}
    """
    if model in TRANSACTIONS:
        return reading
    known = JUDGES[model].aliases if model in JUDGES else MODELS[model].aliases
    return replace(reading, renames={**known, **reading.renames})


def check_files(
    paths: Iterable[str | PathLike[str]],
    model: str = "register",
    format: str = "jsonl",
    budget: int = BUDGET_STEPS,
    *,
    question: Question = USUAL,
    reading: Reading = AS_IT_IS,
    progress: Progress | None = None,
    memory_max_bytes: int | None = None,
) -> list[FileVerdict]:
    """Judge each file. All are read before any is judged: MalformedHistory or OSError (with the file in a note) comes
    first.

    `budget`: steps for each key. `progress` is told of the bytes read. With `memory_max_bytes` files are read and
    judged one after the other, each in as many parts as keep it about below that; then an error of a later file comes
    after the judgement of an earlier one. Raises KeyError if there is no such model or format, ValueError if the
    question is not one for the model, or parts are asked of one that judges the whole.
    """
    chosen = reading_for(model, reading)
    if memory_max_bytes is not None:
        return [
            check_in_parts(
                path,
                _parts(path, memory_max_bytes),
                model,
                format,
                budget,
                question=question,
                reading=reading,
                progress=progress,
            )
            for path in paths
        ]
    histories = [(fspath(path), _read(path, format, chosen, progress)) for path in paths]
    results: list[FileVerdict] = []
    for file, history in histories:
        started = time.perf_counter()
        verdict = check_history(history, model, budget, question)
        elapsed = time.perf_counter() - started
        results.append(FileVerdict(file, model, verdict.verdict, elapsed, verdict.why, verdict))
    return results


def check_in_parts(
    path: str | PathLike[str],
    parts: int,
    model: str = "register",
    format: str = "jsonl",
    budget: int = BUDGET_STEPS,
    *,
    question: Question = USUAL,
    reading: Reading = AS_IT_IS,
    progress: Progress | None = None,
) -> FileVerdict:
    """Judge a file of which only a part of the keys is held at a time. It is read once, and laid aside in TMPDIR."""
    if lacks(model, question):
        raise ValueError(lacks(model, question))
    if parts > 1 and not judges_keys_alone(model):
        raise ValueError(f"{model} judges the whole of a history, and not key by key")
    judge = JUDGES.get(model)
    elapsed = 0.0
    result: Verdict | None = None
    details: dict[str, object] = {}
    counted: Counter[str] = Counter()
    with Spill(parts) as spill:
        _read(path, format, reading_for(model, reading), progress, spill.take)
        for number in range(parts):
            history = spill.part(number)
            started = time.perf_counter()
            # Of a judge only its word on this part: whether anything was judged is asked of all parts together.
            verdict = judge.ask(history, question) if judge else check_history(history, model, budget)
            elapsed += time.perf_counter() - started
            del history  # before the next part is read
            for name, told in verdict.details.items():
                if isinstance(told, Counter):
                    into = details.setdefault(name, Counter())
                    assert isinstance(into, Counter), "the same kind in every part"
                    into.update(told)
                elif isinstance(told, int):
                    counted[name] += told
                else:
                    details[name] = told
            if result is None or SEVERITY[verdict.verdict] > SEVERITY[result.verdict]:
                result = verdict
            if verdict.verdict == INVALID:
                break
    assert result is not None, "there is at least one part"
    result.details = {**details, **counted, "parts": parts}
    result = judge.settled(result) if judge else result
    return FileVerdict(fspath(path), model, result.verdict, elapsed, result.why, result)


def _parts(path: str | PathLike[str], memory_max_bytes: int) -> int:
    return min(PARTS_MAX, max(1, -(-os.path.getsize(path) * HELD_PER_FILE_BYTE // max(1, memory_max_bytes))))


def _read(
    path: str | PathLike[str],
    format: str,
    reading: Reading,
    progress: Progress | None,
    drain: Drain | None = None,
) -> History:
    try:
        return read_history(path, format, reading, progress=progress, drain=drain)
    except ValueError as error:
        error.add_note(f"in {fspath(path)}")
        raise


def overall(results: Sequence[FileVerdict]) -> str:
    """The worst verdict of many files."""
    return worst(result.verdict for result in results)

"""Checking files: what `dynalab check` does, without the command line. Nothing is judged if any line is malformed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike, fspath

from dynalab_checkers.formats import read_history
from dynalab_checkers.history import History
from dynalab_checkers.linearizability import BUDGET_STEPS, check_model, check_register
from dynalab_checkers.models import MODELS, REGISTER
from dynalab_checkers.verdict import Verdict, worst


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


def check_history(history: History, model: str = "register", budget: int = BUDGET_STEPS) -> Verdict:
    """Judge a history by a model's name. Raises KeyError if there is no such model."""
    chosen = MODELS[model]
    if chosen.lower is REGISTER.lower:
        return check_register(history, budget=budget)
    return check_model(history, chosen, budget=budget)


def check_files(
    paths: Iterable[str | PathLike[str]], model: str = "register", format: str = "jsonl", budget: int = BUDGET_STEPS
) -> list[FileVerdict]:
    """Judge each file. All are read before any is judged: MalformedHistory or OSError (with the file in a note) comes
    first.
    """
    histories: list[tuple[str, History]] = []
    for path in paths:
        try:
            histories.append((fspath(path), read_history(path, format)))
        except ValueError as error:
            error.add_note(f"in {fspath(path)}")
            raise
    results: list[FileVerdict] = []
    for file, history in histories:
        started = time.perf_counter()
        verdict = check_history(history, model, budget)
        elapsed = time.perf_counter() - started
        results.append(FileVerdict(file, model, verdict.verdict, elapsed, verdict.why, verdict))
    return results


def overall(results: Sequence[FileVerdict]) -> str:
    """The worst verdict of many files."""
    return worst(result.verdict for result in results)

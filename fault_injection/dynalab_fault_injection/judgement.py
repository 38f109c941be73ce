"""What a judge of a run says."""

from __future__ import annotations

from dataclasses import dataclass, field

from dynalab_checkers.history import Operation
from dynalab_checkers.verdict import Verdict


@dataclass(slots=True)
class Judgement:
    """One checker's verdict on a run, with the smallest part of the history that shows it."""

    checker: str
    verdict: str
    why: str = ""
    key: str | None = None
    operations: list[Operation] = field(default_factory=list)
    highlight: list[Operation] = field(default_factory=list)


def judgement(name: str, verdict: Verdict) -> Judgement:
    """A checker's verdict under the name that runs give it."""
    return Judgement(name, verdict.verdict, verdict.why, verdict.key, verdict.operations, verdict.highlight)

"""What a checker says: valid, invalid or unknown, a sentence, and the smallest part of the history that shows it.

`unknown` means that a budget ran out or that the checker does not know the operations it met. It is never a pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from dynalab_checkers.history import Operation

VALID: Final = "valid"
UNKNOWN: Final = "unknown"
INVALID: Final = "invalid"
# One violation outweighs everything; one unanswered question outweighs every pass.
SEVERITY: Final = {VALID: 0, UNKNOWN: 1, INVALID: 2}


@dataclass(slots=True)
class Verdict:
    """The judgement of one checker on one history (or on one key of it).

    `why` is one sentence, empty if valid. `operations` is the smallest part of the history that shows the violation,
    as far as known; `highlight` names the one or ones in it to mark. `details` holds figures of the checker (steps,
    methods, counts).
    """

    verdict: str
    checker: str
    why: str = ""
    key: str | None = None
    operations: list[Operation] = field(default_factory=list)
    highlight: list[Operation] = field(default_factory=list)
    details: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.verdict in SEVERITY, f"no such verdict: {self.verdict!r}"
        assert bool(self.why) == (self.verdict != VALID), "a verdict other than valid says why, and valid says nothing"


def worst(verdicts: Iterable[Verdict | str]) -> str:
    """The verdict on all of them together: invalid before unknown before valid; valid if there are none.

    >>> worst(["valid", "unknown", "valid"])
    'unknown'
    >>> worst([Verdict("valid", "register"), Verdict("invalid", "register", "the read returned a lost value")])
    'invalid'
    """
    result = VALID
    for verdict in verdicts:
        name = verdict if isinstance(verdict, str) else verdict.verdict
        if SEVERITY[name] > SEVERITY[result]:
            result = name
    return result

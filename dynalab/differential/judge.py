"""Judgements: for every kind of difference, who is right and by which fact.

A judgement matches by regular expressions on what both sides said; the first that matches a difference judges it. A
difference that none matches is unjudged, and a run with one fails.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dynalab.differential.compare import Difference

FILE = Path(__file__).with_name("judgements.toml")
RIGHT = ("dynalab", "emulator", "open")
PATTERNS = ("operation", "ours", "theirs", "part", "request")


@dataclass(frozen=True, slots=True)
class Judgement:
    """One kind of difference. `right`: who has the documents on its side; "open" is where they say nothing. Patterns
    that are None match anything; they must match from the start (`part`: the whole; `request`: anywhere in the body).
    """

    name: str
    right: str
    fact: str
    says: str
    emulators: tuple[str, ...]
    operation: re.Pattern[str] | None = None
    ours: re.Pattern[str] | None = None
    theirs: re.Pattern[str] | None = None
    part: re.Pattern[str] | None = None
    request: re.Pattern[str] | None = None

    def matches(self, difference: Difference, request: str) -> bool:
        """Whether this is that kind of difference; `request` is the body that showed it, as JSON."""
        if difference.them not in self.emulators:
            return False
        pairs = (
            (self.operation, difference.operation),
            (self.ours, difference.ours),
            (self.theirs, difference.theirs),
        )
        if any(pattern is not None and not pattern.match(text) for pattern, text in pairs):
            return False
        if self.request is not None and self.request.search(request) is None:
            return False
        return self.part is None or self.part.fullmatch(difference.part) is not None


@cache
def load(file: Path = FILE) -> tuple[Judgement, ...]:
    """The committed judgements, in the order in which they are tried. Raises ValueError on a broken entry."""
    judgements = []
    for name, entry in tomllib.loads(file.read_text()).items():
        unknown = set(entry) - {"right", "fact", "says", "emulators", *PATTERNS}
        missing = {"right", "fact", "says", "emulators"} - set(entry)
        if unknown or missing or entry["right"] not in RIGHT:
            raise ValueError(f"{file.name}: {name}: {sorted(unknown | missing) or entry['right']}")
        patterns = {key: re.compile(entry[key], re.DOTALL) for key in PATTERNS if key in entry}
        judgements.append(
            Judgement(name, entry["right"], entry["fact"], entry["says"], tuple(entry["emulators"]), **patterns)
        )
    return tuple(judgements)


def judge(difference: Difference, request: str, judgements: Sequence[Judgement]) -> Judgement | None:
    """The judgement of a difference, or None: nobody has judged this kind."""
    return next((judgement for judgement in judgements if judgement.matches(difference, request)), None)

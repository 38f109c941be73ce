"""The line that ends every failing run: what to type to see it again."""

from __future__ import annotations

from collections.abc import Sequence


def replay_line(seed: int, workload: str, faults: Sequence[str], planted_bug: str = "") -> str:
    """The command that repeats a run.

    >>> replay_line(7, "register", ("partition", "clock-drift"))
    'dynalab replay 7 --workload register --faults partition --faults clock-drift'
    """
    words = ["dynalab", "replay", str(seed), "--workload", workload]
    for name in faults:
        words += ["--faults", name]
    if planted_bug:
        words += ["--planted-bug", planted_bug]
    return " ".join(words)

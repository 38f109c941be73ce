"""How often luck keeps a session's guarantees: the same runs, judged by their strong and by their eventual reads.

Run: python docs/examples/luck.py [FAULT] [SEEDS]     (default: partition, 6)
"""

from __future__ import annotations

import sys

from dynalab_checkers.history import History
from dynalab_checkers.sessions import GUARANTEES, check_sessions
from dynalab_checkers.staleness import check_staleness
from dynalab_fault_injection.run import run_one

FLAVOURS = ("strong", "eventual")
BOUND_NS = 100_000_000


def main(fault: str = "partition", seeds: int = 6) -> dict[tuple[str, str], int]:
    """For each guarantee and flavour of read: in how many of the runs every session kept it."""
    kept: dict[tuple[str, str], int] = {}
    for seed in range(seeds):
        history = History.from_events(run_one(seed, "register", (fault,)).history)
        for flavour in FLAVOURS:
            for name in GUARANTEES:
                verdict = check_sessions(history, guarantees=[name], flavours=[flavour])
                kept[name, flavour] = kept.get((name, flavour), 0) + (verdict.verdict == "valid")
            verdict = check_staleness(history, lag_max_ns=BOUND_NS, flavours=[flavour])
            kept["at most 100 ms behind", flavour] = kept.get(("at most 100 ms behind", flavour), 0) + (
                verdict.verdict == "valid"
            )
    print(f"{seeds} runs under {fault}: kept in how many?")
    print(f"{'':24}{'strong reads':>14}{'eventual reads':>16}")
    for name in (*GUARANTEES, "at most 100 ms behind"):
        print(f"{name:24}{kept[name, 'strong']:>14}{kept[name, 'eventual']:>16}")
    return kept


if __name__ == "__main__":
    fault, seeds = [*sys.argv[1:], *("partition", "6")[len(sys.argv) - 1 :]][:2]
    main(fault, int(seeds))

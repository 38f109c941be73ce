"""The two benchmarks that need no server: how fast the simulator runs and how fast a history is judged.

Only what is named is timed: the making of a history is not part of its checking, and interpreter start is in neither.
"""

from __future__ import annotations

import gc
import time

from dynalab.bench.report import Figure
from dynalab_checkers.generate import Recipe, register_history
from dynalab_checkers.linearizability import check_register
from dynalab_fault_injection.run import run_one


def checkers(operations: int, keys: int) -> list[Figure]:
    """Operations per second of `check_register` on a valid history with old values returned."""
    history = register_history(1, Recipe(operations=operations, keys=keys))
    gc.collect()
    started = time.perf_counter()
    verdict = check_register(history)
    seconds = time.perf_counter() - started
    subject = f"{operations:,} operations, {keys:,} key{'s' if keys > 1 else ''}"
    if verdict.verdict != "valid":
        return [Figure("checking", subject, None, "operations/s", problem=f"{verdict.verdict}: {verdict.why}")]
    return [Figure("checking", subject, operations / seconds, "operations/s", f"{seconds:.2f} s, valid")]


def simulator(seeds: int) -> list[Figure]:
    """Completed client operations of default runs per second of processor time, judging included: what one core can do,
    also while others use the machine. What a process makes once (parsers) is made before.
    """
    figures: list[Figure] = []
    for subject, faults in (("no faults", ()), ("node-crash, zone-loss", ("node-crash", "zone-loss"))):
        run_one(seeds, "register", faults)
        operations = 0
        started = time.process_time()
        for seed in range(seeds):
            operations += run_one(seed, "register", faults).operations
        seconds = time.process_time() - started
        detail = f"{seeds} runs, {operations:,} operations, {seconds:.2f} s of processor time"
        figures.append(Figure("simulation", subject, operations / seconds, "operations/s", detail))
    return figures

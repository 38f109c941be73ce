"""What transactions do not promise, found by search: a transaction half seen by two single reads, and an order against
time.

*Half seen*: a GetItem is never blocked, so one item of a transaction may be read new and, afterwards, another one old,
until the transaction is acknowledged (consistency.md §3, §4). Short runs in which some clients write two items at once
and others look at one after the other are judged twice: as promised, which finds nothing, and as if single reads took
part in the order of time.

*Against time*: with the rules that trust timestamps (`transaction_rules`), and wall clocks that differ, what was
acknowledged may be ordered behind what came later. Such runs are serializable, and not strictly so.

Both give the smallest part of the first history that shows it. Run as a program: python -m
dynalab_fault_injection.experiments.half_seen [FOLDER], which writes each as a history file, too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from dynalab_checkers.history import History, Json, Operation, write_jsonl
from dynalab_checkers.isolation import check_transactions
from dynalab_checkers.isolation.explain import describe_transaction
from dynalab_checkers.isolation.transactions import read_mixed
from dynalab_checkers.tokens import once_per_token
from dynalab_checkers.verdict import Verdict
from dynalab_fault_injection.run import Run, Setting
from dynalab_fault_injection.simulator import between, stream
from dynalab_fault_injection.workloads.actor import Call
from dynalab_fault_injection.workloads.items import get, put
from dynalab_fault_injection.workloads.transact import Transact
from dynalab_impl.transaction_rules import MANY_PREPARED, OLD_WRITE_IGNORED
from dynalab_model.operations import TransactGetItems, TransactWriteItems

SEEDS = range(200)
SKEW_NS = 300_000_000  # each wall clock, either way
BUDGET = 4_000_000
SECONDS = 8
FAULTS = ("reorder",)  # what tells one leader of the decision is held back on the way
WRITERS = (1, 2)  # among a run's clients
WRITE_BITS = 26  # they pause for up to 67 ms


@dataclass(slots=True)
class Found:
    """The seed that showed it, the operations, and the checker's words."""

    seed: int
    operations: list[Operation]
    why: str
    explanation: str


@dataclass(slots=True)
class Watched(Transact):
    """Two clients write both of two items at once, blindly; the others read one and then the other, or both."""

    key_count: int = field(default=2)
    both_every: int = 8  # of so many looks one is at both
    _turn: int = 0

    def next(self, client: int, random: Random, now_ns: int) -> tuple[Call, int]:
        keys = self.key_names()
        if client in WRITERS:
            values = [self._fresh() for _ in keys]
            puts = tuple(put(self.table, key, value) for key, value in zip(keys, values, strict=True))
            for one in puts:
                one.return_values = "NONE"
            micros: list[Json] = [["w", key, value] for key, value in zip(keys, values, strict=True)]
            return Call(TransactWriteItems(puts), "txn", "", {"value": micros}), random.getrandbits(WRITE_BITS)
        self._turn += 1
        if self._turn % self.both_every == 0:
            gets = tuple(get(self.table, key, consistent=True) for key in keys)
            return Call(TransactGetItems(gets), "txn", "", {"value": [["r", key] for key in keys]}), 0
        key = keys[self._turn // 2 % 2]
        return Call(get(self.table, key, consistent=True), "read", key, {"consistency": "strong"}), 0


PLAIN = Setting(draws_parts=False, seconds=SECONDS, windows=1)
RULED = replace(PLAIN, transaction_rules=(OLD_WRITE_IGNORED, MANY_PREPARED))


def half_seen(seeds: Iterable[int] = SEEDS) -> Found | None:
    """The first transaction that two single reads saw half of. Asserts that the run is valid by what is promised."""
    for seed in seeds:
        history = _played(Run(seed, Watched(), FAULTS, PLAIN))
        strict = check_transactions(history, kind="rw-register", ordered=_everybody, budget=BUDGET)
        if strict.verdict == "invalid" and _is_half_seen(strict):
            promised = check_transactions(history, kind="rw-register", mixed=True, budget=BUDGET)
            assert promised.verdict == "valid", promised.why
            return _found(seed, strict)
    return None


def _everybody(operation: Operation) -> bool:
    return True


def _is_half_seen(verdict: Verdict) -> bool:
    """Whether it is about one transaction and two single reads, and nothing else."""
    kinds = sorted(operation.f for operation in verdict.operations)
    return kinds == ["read", "read", "txn"]


def against_time(seeds: Iterable[int] = SEEDS) -> Found | None:
    """The first order against time of runs with rules on and skewed clocks, all of which are serializable."""
    for seed in seeds:
        # What was read as of a time keeps older writes off: where it is read all the time there is no order against it.
        run = Run(seed, Watched(both_every=64), FAULTS, RULED)
        drawn = stream(seed, "client", 20_000)
        for host in run.simulation.hosts:
            host.wall_shift_ns += between(drawn, -SKEW_NS, SKEW_NS)
        history = _played(run)
        strict = check_transactions(history, kind="rw-register", mixed=True, budget=BUDGET)
        if strict.verdict != "invalid":
            continue
        order = check_transactions(history, kind="rw-register", model="serializable", mixed=True, budget=BUDGET)
        assert order.verdict != "invalid", order.why
        found = _alone(seed, strict)
        if order.verdict == "valid" and found is not None:
            return found
    return None


def _alone(seed: int, verdict: Verdict) -> Found | None:
    """The smallest of the cycles that were named which is against time by itself, with whoever wrote what it read."""
    numbered, cycles = verdict.details["numbered"], verdict.details["cycles"]
    assert isinstance(numbered, list) and isinstance(cycles, list)
    for cycle in sorted(cycles, key=lambda one: len(one.transactions())):
        part = [numbered[number] for number in cycle.transactions()]
        read = {place for operation in part for place in _read(operation)}
        writers = [one for one in numbered if one not in part and read & {*_written(one)}]
        alone = History({one.call_index: one for one in [*part, *writers]}.values())
        strict, order = (
            check_transactions(alone, kind="rw-register", model=model, mixed=True, budget=BUDGET)
            for model in ("strict-serializable", "serializable")
        )
        if strict.verdict == "invalid" and order.verdict == "valid":
            strict.operations = alone.operations
            return _found(seed, strict)
    return None


def _read(operation: Operation) -> Iterator[tuple[str, object]]:
    if operation.f == "read":
        yield operation.key, operation.result
    elif operation.f == "txn":
        yield from ((str(micro[1]), micro[2]) for micro in _micros(operation) if micro[0] == "r" and len(micro) > 2)


def _written(operation: Operation) -> Iterator[tuple[str, object]]:
    if operation.f == "txn":
        yield from ((str(micro[1]), micro[2]) for micro in _micros(operation) if micro[0] == "w")


def _micros(operation: Operation) -> list[list[Json]]:
    value = operation.value
    assert isinstance(value, list)
    return [micro for micro in value if isinstance(micro, list)]


def _played(run: Run) -> History:
    return once_per_token(History.from_events(run.go().history))[0]


def _found(seed: int, verdict: Verdict) -> Found:
    explanations = verdict.details.get("explanations")
    words = str(explanations[0]) if isinstance(explanations, list) and explanations else verdict.why
    return Found(seed, verdict.operations, verdict.why, words)


def main(folder: str = "") -> None:
    """Print both, and write them into a folder if one is given."""
    for name, found in (("half-seen", half_seen()), ("against-time", against_time())):
        assert found is not None, f"no seed shows {name}"
        print(f"{name}, seed {found.seed}\n")
        numbered = read_mixed(History(found.operations))
        for operation, micros in zip(numbered.operations, numbered.micros, strict=True):
            print(f"  {describe_transaction(operation, micros)}")
        print(f"\n{found.explanation}\n")
        if folder:
            write_jsonl(Path(folder) / f"{name}.jsonl", History(found.operations).events())


if __name__ == "__main__":
    main(*sys.argv[1:2])

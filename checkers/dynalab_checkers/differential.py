"""Three judges of the same small histories: near-linear path, general search, and an oracle that tries every order.

    python -m dynalab_checkers.differential --histories 100000 --seed 1     (`make oracle`)

Any difference is an error of a checker, and so is `unknown`: histories this small must be decided. The table says what
was compared, since a comparison of easy histories proves nothing. Exit code 0: no difference.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from dynalab_checkers.generate_small import TASTES, Taste, small_history
from dynalab_checkers.history import MISSING, Operation
from dynalab_checkers.linearizability import judge_key
from dynalab_checkers.models import register
from dynalab_checkers.oracle import linearizable

BUDGET_STEPS: Final = 1_000_000
# Of each kind of `kinds` at least this share, and of invalid histories a share in between: in percent.
LEAST_OF_A_KIND: Final = 10
INVALID_SHARE: Final = (30, 70)
KINDS: Final = ("deletes", "failed, found told", "failed, nothing told", "indeterminate", "tied times", "invalid")


@dataclass(slots=True)
class Comparison:
    """What was compared, and every difference: (taste, seed, oracle, verdict, searched verdict)."""

    histories: int = 0
    operations: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    methods: Counter[str] = field(default_factory=Counter)
    differences: list[tuple[str, int, str, str, str]] = field(default_factory=list)

    def shortfalls(self) -> list[str]:
        """Kinds of which there were too few (or invalid ones: too many) to call this a comparison."""
        percent = {kind: 100 * self.kinds[kind] / max(1, self.histories) for kind in KINDS}
        wrong = [f"{kind}: {percent[kind]:.1f} %" for kind in KINDS if percent[kind] < LEAST_OF_A_KIND]
        if not INVALID_SHARE[0] <= percent["invalid"] <= INVALID_SHARE[1]:
            wrong.append(f"invalid: {percent['invalid']:.1f} %")
        return wrong

    def table(self) -> str:
        """Kinds and deciding methods with their counts, as a Markdown table. The same seed gives the same table."""
        rows = [("histories", self.histories), ("operations", self.operations)]
        rows += [(kind, self.kinds[kind]) for kind in KINDS]
        rows += [(f"decided by {method}", count) for method, count in sorted(self.methods.items())]
        rows += [("differences", len(self.differences))]
        shares = [f"{100 * count / max(1, self.histories):.1f} %" for _, count in rows]
        shares[:2] = "", ""
        lines = [f"| {name} | {count:,} | {share} |" for (name, count), share in zip(rows, shares, strict=True)]
        return "\n".join(["| what | how many | of the histories |", "|---|---:|---:|", *lines])


def kinds(operations: Sequence[Operation]) -> set[str]:
    """What is special about a history, `invalid` excepted.

    >>> failed = Operation(0, "cas", "k", 5, 7, "fail", [1, None])
    >>> unsure = Operation(1, "write", "k", 7, None, "info", 2)
    >>> sorted(kinds([failed, unsure]))
    ['failed, nothing told', 'indeterminate', 'tied times']
    """
    result: set[str] = set()
    times: Counter[int] = Counter()
    for operation in operations:
        deletes = operation.f == "delete" or (
            operation.f == "cas" and isinstance(operation.value, list) and operation.value[1] is None
        )
        if operation.outcome == "fail" and operation.f != "read":
            result.add("failed, nothing told" if operation.found is MISSING else "failed, found told")
        elif deletes:
            result.add("deletes")
        if operation.outcome == "info":
            result.add("indeterminate")
        times.update({operation.call} if operation.ret is None else {operation.call, operation.ret})
    if any(count > 1 for count in times.values()):
        result.add("tied times")
    return result


def compare(histories: int, seed: int, tastes: dict[str, Taste] = TASTES, report_every: int = 0) -> Comparison:
    """Compare the three on so many histories, taken from the tastes in turn.

    >>> compare(20, seed=1).differences
    []
    """
    result = Comparison()
    names = list(tastes)
    for number in range(histories):
        name = names[number % len(names)]
        taste = tastes[name]
        own_seed = seed * 1_000_000_007 + number
        operations = small_history(own_seed, taste)
        expected = "valid" if linearizable(operations, taste.initial) else "invalid"
        model = register(taste.initial)
        judged = judge_key(operations, model, BUDGET_STEPS)
        searched = judge_key(operations, model, BUDGET_STEPS, general=True)
        if not expected == judged.verdict == searched.verdict:
            result.differences.append((name, own_seed, expected, judged.verdict, searched.verdict))
        result.histories += 1
        result.operations += len(operations)
        result.kinds.update(kinds(operations))
        result.kinds["invalid"] += expected == "invalid"
        result.methods[judged.method] += 1
        if report_every and result.histories % report_every == 0:
            print(f"{result.histories} compared, {len(result.differences)} differences", file=sys.stderr, flush=True)
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. 0: no difference; 1: a difference; 2: too few of a kind to mean anything."""
    parser = argparse.ArgumentParser(prog="python -m dynalab_checkers.differential", description=__doc__.split("\n")[0])
    parser.add_argument("--histories", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    started = time.perf_counter()
    result = compare(chosen.histories, chosen.seed, report_every=10_000)
    print(result.table())
    print(f"{time.perf_counter() - started:.1f} s, seed {chosen.seed}", file=sys.stderr)
    for name, seed, expected, judged, searched in result.differences[:20]:
        print(f"difference: taste {name!r}, seed {seed}: oracle {expected}, judged {judged}, searched {searched}")
    for shortfall in result.shortfalls():
        print(f"not a fair comparison: {shortfall}")
    return 1 if result.differences else 2 if result.shortfalls() else 0


if __name__ == "__main__":
    raise SystemExit(main())

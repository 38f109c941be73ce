"""How fast histories are judged and read, and in how much memory: the grid of the benchmarks, by seed.

    python -m dynalab_checkers.bench [--quick] [--large] [--logs DIR] [--json]

Rules of this room:
1. Every cell runs in a process of its own, so that its peak of memory is its own. Only what is named is timed: making
   the history is not part of judging it, and reading it is a cell of its own.
2. Each figure says which path it used: pure Python, or compiled (`dynalab_checkers.compile`).
3. Times are of this machine at this moment. What must never depend on them, that work grows in proportion, is tested by
   counted steps.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dynalab_checkers.formats import read_history
from dynalab_checkers.general import search
from dynalab_checkers.generate import Recipe, plant_stale_read, register_history
from dynalab_checkers.history import read_jsonl, write_jsonl
from dynalab_checkers.isolation import check_transactions
from dynalab_checkers.isolation.generate import TransactionRecipe, plant, transactions_history
from dynalab_checkers.linearizability import BUDGET_STEPS, check_register
from dynalab_checkers.models import REGISTER
from dynalab_checkers.sessions import check_sessions

SEED = 1


@dataclass(frozen=True, slots=True)
class Cell:
    """One benchmark. `kind`: register (judge), sessions (their guarantees), parse (read JSON lines), etcd (general
    search over `logs`), list-append (transactions; one that is not valid has a planted G1c).
    """

    operations: int = 0
    keys: int = 1
    clients: int = 20
    indeterminate_per_mille: int = 0
    old_values: bool = True
    deletes: int = 0
    valid: bool = True
    near_misses: bool = False
    kind: str = "register"
    logs: str = ""

    def recipe(self) -> Recipe:
        """How its history is made."""
        return Recipe(
            operations=self.operations,
            keys=self.keys,
            processes=self.clients,
            indeterminate_per_mille=self.indeterminate_per_mille,
            old_values=self.old_values,
            deletes=self.deletes,
            near_misses=self.near_misses,
            conditional=40 if self.near_misses else 20,
        )


@dataclass(frozen=True, slots=True)
class Measured:
    """What a cell took, by the clock and by the processor. `peak_bytes`: of the whole process, the history among it."""

    cell: Cell
    operations: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    verdict: str
    steps: int
    path: str

    @property
    def rate(self) -> float:
        """Operations per second of processor time, which other work on the machine disturbs least."""
        return self.operations / max(self.cpu_seconds, 1e-9)


class Stopwatch:
    """Seconds by the clock and by the processor, from its making to `stop`."""

    def __init__(self) -> None:
        self.seconds, self.cpu_seconds = -time.perf_counter(), -time.process_time()

    def stop(self) -> None:
        """End the measurement."""
        self.seconds += time.perf_counter()
        self.cpu_seconds += time.process_time()


def grid(*, quick: bool = False, large: bool = False, logs: str = "") -> list[Cell]:
    """The cells: size, keys, clients, share of indeterminate operations, and what makes judging hard.

    >>> [max(cell.operations for cell in cells) for cells in (grid(quick=True), grid(), grid(large=True))]
    [100000, 1000000, 10000000]
    """
    size = 100_000 if quick else 1_000_000
    cells = [Cell(size, keys) for keys in (1, 10, 1_000)]
    cells += [Cell(size // parts, 10) for parts in (8, 4, 2)]  # with the cell above: doubled three times
    cells += [Cell(size, 10, clients) for clients in (5, 100)]
    cells += [Cell(size, 10, 20, share) for share in (10, 100)]
    cells += [Cell(size, 10, valid=False)]
    cells += [Cell(size // 10, 10, old_values=False)]
    cells += [Cell(size // 10, 10, deletes=20, old_values=False)]
    cells += [Cell(size // 10, 10, deletes=20, old_values=False, indeterminate_per_mille=10)]
    cells += [Cell(size // 10, 10, deletes=20, old_values=False, near_misses=True)]
    cells += [Cell(size, keys, deletes=deletes, kind="sessions") for keys, deletes in ((1_000, 0), (1, 0), (1, 20))]
    cells += [Cell(size, 10, kind="list-append"), Cell(size, 10, kind="list-append", valid=False)]
    cells += [Cell(size, 10, kind="parse")]
    if logs:
        cells.append(Cell(kind="etcd", logs=logs))
    if large:
        cells.append(Cell(10 * size, 1_000))
    return cells


def measure(cell: Cell) -> Measured:
    """Run a cell in a process of its own. Raises RuntimeError if that fails."""
    command = [sys.executable, "-m", "dynalab_checkers.bench", "--cell", json.dumps(asdict(cell))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{cell} failed: {done.stderr.strip()[-400:]}")
    told = json.loads(done.stdout)
    return Measured(cell, **told)


def run_here(cell: Cell) -> Measured:
    """Run a cell in this process."""
    if cell.kind == "etcd":
        operations, took, verdict, steps = _etcd(Path(cell.logs))
    elif cell.kind == "parse":
        operations, took, verdict, steps = _parse(cell)
    elif cell.kind == "list-append":
        operations, took, verdict, steps = _transactions(cell)
    else:
        history = register_history(SEED, cell.recipe())
        if not cell.valid:
            history = plant_stale_read(history, SEED)
        gc.collect()
        took = Stopwatch()
        judged = check_sessions(history) if cell.kind == "sessions" else check_register(history)
        took.stop()
        counted = judged.details.get("steps", 0)
        operations, verdict, steps = len(history), judged.verdict, counted if isinstance(counted, int) else 0
    return Measured(cell, operations, took.seconds, took.cpu_seconds, _peak_bytes(), verdict, steps, compiled_path())


def compiled_path() -> str:
    """Which path this process judges by: `python`, or `compiled`.

    >>> compiled_path() in ("python", "compiled")
    True
    """
    return "python" if (search.__code__ if hasattr(search, "__code__") else None) is not None else "compiled"


def _etcd(logs: Path) -> tuple[int, Stopwatch, str, int]:
    """All etcd logs of a directory, by the general search alone."""
    histories = [read_history(path, "etcd-log") for path in sorted(logs.glob("etcd_*.log"))]
    verdicts: list[str] = []
    steps = 0
    took = Stopwatch()
    for history in histories:
        for operations in history.by_key().values():
            found = search(REGISTER, operations, None, BUDGET_STEPS)
            steps += found.steps
            verdicts.append("valid" if found.order is not None else "unknown" if found.exhausted else "invalid")
    took.stop()
    told = ", ".join(f"{verdicts.count(name)} {name}" for name in ("valid", "invalid", "unknown"))
    return sum(map(len, histories)), took, told, steps


def _transactions(cell: Cell) -> tuple[int, Stopwatch, str, int]:
    """Strict serializability of transactions that append to lists and read them."""
    recipe = TransactionRecipe(
        transactions=cell.operations, active_keys=cell.keys, processes=cell.clients, writes_per_key=40
    )
    history = transactions_history(SEED, recipe)
    if not cell.valid:
        history = plant(history, SEED, "G1c")
    gc.collect()
    took = Stopwatch()
    judged = check_transactions(history)
    took.stop()
    counted = judged.details.get("steps", 0)
    return len(history), took, judged.verdict, counted if isinstance(counted, int) else 0


def _parse(cell: Cell) -> tuple[int, Stopwatch, str, int]:
    """Reading alone. The file is made in another process, so that the peak of memory is that of reading."""
    with tempfile.TemporaryDirectory(prefix="dynalab-bench-") as folder:
        path = Path(folder) / "history.jsonl"
        making = [
            sys.executable,
            "-m",
            "dynalab_checkers.bench",
            "--write",
            str(path),
            "--cell",
            json.dumps(asdict(cell)),
        ]
        subprocess.run(making, check=True)
        took = Stopwatch()
        history = read_jsonl(path)
        took.stop()
    return len(history), took, "read", 0


def _peak_bytes() -> int:
    """The largest memory that this process held."""
    try:
        import resource
    except ImportError:  # not on every system
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def table(measured: Iterable[Measured]) -> str:
    """The figures as a Markdown table."""
    rows = [
        "| what | operations | keys | clients | unknown | seconds | CPU s | per CPU s | peak memory | verdict | path |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---|---|",
    ]
    for one in measured:
        cell = one.cell
        rows.append(
            f"| {_what(cell)} | {one.operations:,} | {cell.keys:,} | {cell.clients} "
            f"| {cell.indeterminate_per_mille / 10:g} % | {one.seconds:.2f} | {one.cpu_seconds:.2f} | {one.rate:,.0f} "
            f"| {one.peak_bytes / 1e6:,.0f} MB | {one.verdict} | {one.path} |"
        )
    return "\n".join(rows)


def _what(cell: Cell) -> str:
    if cell.kind == "etcd":
        return "etcd logs, general search"
    if cell.kind == "parse":
        return "reading JSON lines"
    if cell.kind == "list-append":
        return "transactions, list-append" + ("" if cell.valid else ", one G1c")
    what = "sessions" if cell.kind == "sessions" else "register"
    what += ", old values returned" if cell.old_values else ", blind writes"
    what += ", deletes" if cell.deletes else ""
    what += ", refused conditions" if cell.near_misses else ""
    return what + ("" if cell.valid else ", one stale read")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m dynalab_checkers.bench", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the sizes")
    parser.add_argument("--large", action="store_true", help="ten million operations too (minutes, 5 GB)")
    parser.add_argument("--logs", default="", help="a directory of etcd logs for the general search")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    parser.add_argument("--write", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.cell:
        cell = Cell(**json.loads(chosen.cell))
        if chosen.write:
            write_jsonl(chosen.write, register_history(SEED, cell.recipe()).events())
            return 0
        told = asdict(run_here(cell))
        del told["cell"]
        print(json.dumps(told))
        return 0
    results: list[Measured] = []
    for cell in grid(quick=chosen.quick, large=chosen.large, logs=chosen.logs):
        results.append(measure(replace(cell)))
        if chosen.json:
            print(json.dumps(asdict(results[-1])), flush=True)
        elif sys.stderr.isatty() or os.environ.get("CI"):
            print(f"{_what(cell)}: {results[-1].seconds:.2f} s", file=sys.stderr, flush=True)
    if not chosen.json:
        print(table(results))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Work grows in proportion to the history: twice the operations, about twice the lines of code run, whoever judges.

Times are of a machine and a moment; lines run are of the code alone. Histories are those that invite a second look at
everything: one hot key, absence that any delete may have made, answers that nobody gave, elements that are lost.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from dynalab_checkers.check import check_history
from dynalab_checkers.committed import check_committed
from dynalab_checkers.convergence import check_replicas
from dynalab_checkers.generate import Recipe, plant_stale_read, register_history
from dynalab_checkers.history import History, Operation, parse_jsonl
from dynalab_checkers.invariants import check_last_writer_wins
from dynalab_checkers.judges import Question
from dynalab_checkers.spill import Spill
from dynalab_checkers.staleness import measure
from dynalab_checkers.streams import Record, check_stream
from tests.checkers.counting import lines_run

SMALL = 1_000


def in_proportion(prepare: Callable[[int], Callable[[], object]]) -> None:
    small, large = lines_run(prepare(SMALL)), lines_run(prepare(2 * SMALL))
    assert small > SMALL / 4, "it did not look at the operations"
    assert large < 2.5 * small, (small, large)


RECIPES = {
    "hot key": Recipe(),
    "mostly deletes": Recipe(deletes=80),
    "blind": Recipe(keys=10, old_values=False, deletes=20),
    "unknown outcomes": Recipe(keys=4, deletes=20, indeterminate_per_mille=50),
    "deletes of unknown outcome": Recipe(deletes=80, indeterminate_per_mille=500),
}
QUESTIONS = {
    "register": Question(),
    "sessions": Question(),
    "staleness": Question(versions_max=2, lag_max_ns=50_000_000),
    "committed": Question(),
}


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("model", QUESTIONS)
def test_judges_of_registers(model: str, name: str) -> None:
    recipe = RECIPES[name]

    def prepare(operations: int) -> Callable[[], object]:
        history = register_history(3, Recipe(**{**_fields(recipe), "operations": operations}))
        return lambda: check_history(history, model, question=QUESTIONS[model])

    in_proportion(prepare)


def _fields(recipe: Recipe) -> dict[str, int | bool]:
    return {name: getattr(recipe, name) for name in recipe.__slots__}  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", RECIPES)
def test_measuring_staleness(name: str) -> None:
    recipe = RECIPES[name]

    def prepare(operations: int) -> Callable[[], object]:
        history = register_history(3, Recipe(**{**_fields(recipe), "operations": operations}))
        return lambda: measure(history, flavours=(None,))

    in_proportion(prepare)


def test_a_violation_at_the_very_end_and_its_smallest_part() -> None:
    def prepare(operations: int) -> Callable[[], object]:
        history = plant_stale_read(register_history(3, Recipe(operations=operations)), 3)
        return lambda: check_history(history)

    in_proportion(prepare)


@pytest.mark.parametrize("name", RECIPES)
def test_a_session_that_goes_back_at_the_very_end(name: str) -> None:
    """The way of those for whom no line was found."""
    recipe = RECIPES[name]

    def prepare(operations: int) -> Callable[[], object]:
        history = register_history(3, Recipe(**{**_fields(recipe), "operations": operations}))
        reads = [one for one in history if one.f == "read" and one.outcome == "ok" and one.result is not None]
        reads[-1].result = reads[len(reads) // 2].result
        return lambda: check_history(history, "sessions")

    in_proportion(prepare)


def test_reads_of_what_nobody_wrote() -> None:
    def prepare(operations: int) -> Callable[[], object]:
        history = register_history(3, Recipe(operations=operations, deletes=20))
        for operation in history:
            if operation.f == "read":
                operation.result = -1 - operation.call_index
        return lambda: check_history(history, "committed")

    in_proportion(prepare)


def test_values_that_were_written_again_and_again() -> None:
    def prepare(operations: int) -> Callable[[], object]:
        history = register_history(3, Recipe(operations=operations, deletes=50))
        for operation in history:
            if operation.f == "write":
                operation.value = 7
        return lambda: check_committed(history, initial={"k0": 5})

    in_proportion(prepare)


def _counter(operations: int) -> History:
    return History(
        Operation(n, *(("add", "n", 3 * n, 3 * n + 1, "ok", 1) if n % 2 else ("read", "n", 3 * n, 3 * n + 1, "ok")))
        for n in range(operations)
    )


def _lost_elements(operations: int) -> History:
    """Many reads of a set that has lost all its elements but one."""
    done = [Operation(0, "add", "s", 3 * n, 3 * n + 1, "ok", n, call_index=n) for n in range(operations)]
    held = [0]
    end = 3 * operations
    for n in range(operations):
        done.append(
            Operation(1, "members", "s", end + n, end + n, "ok", call_index=operations + n, ret_extra={"value": held})
        )
    return History(done)


def _ids(operations: int) -> History:
    return History(Operation(0, "generate", "", n, n, "ok", ret_extra={"value": n // 2}) for n in range(operations))


def _bank(operations: int) -> History:
    return History(
        Operation(0, "txn", "", n, n, "ok", [["r", "a", n % 7], ["r", "b", 9 - n % 7]]) for n in range(operations)
    )


@pytest.mark.parametrize(
    ("model", "make", "question"),
    [
        ("counter-bounds", _counter, Question()),
        ("set-elements", _lost_elements, Question()),
        ("unique-ids", _ids, Question()),
        ("bank", _bank, Question(total=10)),
    ],
)
def test_invariants(model: str, make: Callable[[int], History], question: Question) -> None:
    def prepare(operations: int) -> Callable[[], object]:
        history = make(operations)
        return lambda: check_history(history, model, question=question)

    in_proportion(prepare)


@pytest.mark.parametrize("deletes", [False, True], ids=["writes", "deletes"])
def test_last_writer_wins(deletes: bool) -> None:
    def prepare(operations: int) -> Callable[[], object]:
        history = History(
            Operation(0, "delete" if deletes else "write", "k", n, n, "ok", None if deletes else n, call_index=n)
            for n in range(operations)
        )
        final = {"k": None if deletes else 0}
        return lambda: check_last_writer_wins(history, final)

    in_proportion(prepare)


def test_streams_over_many_splits() -> None:
    def prepare(operations: int) -> Callable[[], object]:
        records = [Record(f"s{n // 4}", n + 1, "k", "MODIFY", n - 1, n) for n in range(1, operations)]
        parents = {f"s{n}": f"s{n - 1}" for n in range(1, operations // 4)}
        return lambda: check_stream(records, parents=parents, initial={"k": 0}, final={"k": operations - 1})

    in_proportion(prepare)


def test_replicas() -> None:
    def prepare(operations: int) -> Callable[[], object]:
        held = {f"k{n}": n for n in range(operations)}
        return lambda: check_replicas({"a": held, "b": {**held, "k3": 0}, "c": held})

    in_proportion(prepare)


@pytest.mark.parametrize("asides", [False, True], ids=["held", "laid aside"])
def test_reading(asides: bool) -> None:
    def prepare(operations: int) -> Callable[[], object]:
        events = register_history(3, Recipe(operations=operations, indeterminate_per_mille=500)).events()
        lines = [json.dumps(event) for event in events]

        def lay_aside() -> object:
            with Spill(4) as spill:
                parse_jsonl(lines, spill.take)
                return [spill.part(number) for number in range(4)]

        return lay_aside if asides else lambda: parse_jsonl(lines)

    in_proportion(prepare)

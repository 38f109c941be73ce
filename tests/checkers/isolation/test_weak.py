"""Weak levels: minimal saturated commit orders against the axioms themselves, over all orders."""

from __future__ import annotations

import random
from itertools import permutations

import pytest

from dynalab_checkers.history import History, Json, Operation
from dynalab_checkers.isolation import check_transactions
from dynalab_checkers.isolation.weak import WEAK_MODELS
from tests.checkers.isolation.notation import history


def weak_history(seed: int) -> History:
    """Three or four transactions of two processes over three keys; every read sees any value that is ever written."""
    draw = random.Random(seed).randrange
    operations: list[Operation] = []
    written: dict[str, list[int]] = {"x": [], "y": [], "z": []}
    fresh = 0
    for place in range(3 + draw(2)):
        micros: list[Json] = []
        for key in ("x", "y", "z")[: 2 + draw(2)]:
            if draw(2):
                micros.append(["r", key, None])
            else:
                fresh += 1
                written[key].append(fresh)
                micros.append(["w", key, fresh])
        if draw(2):
            micros.reverse()
        micros = micros[: 1 + draw(3)]
        process = draw(3)
        operations.append(Operation(process, "txn", "", 10 * place, 10 * place + 5, "ok", micros))
    kept = {micro[2] for o in operations for micro in _micros(o) if micro[0] == "w"}
    for place, operation in enumerate(operations):
        operation.call_index, operation.ret_index = 2 * place, 2 * place + 1
        mine = {micro[2] for micro in _micros(operation)}
        for micro in _micros(operation):
            if micro[0] == "r":
                values = [None, *(v for v in written[str(micro[1])] if v in kept and v not in mine)]
                micro[2] = values[draw(len(values))]
    return History(operations)


def _micros(operation: Operation) -> list[list[Json]]:
    assert isinstance(operation.value, list)
    return [micro for micro in operation.value if isinstance(micro, list)]


def keeps(found: History, model: str) -> bool:
    """The axiom of a level, by trying every commit order."""
    operations = found.operations
    count = len(operations)
    writer = {micro[2]: n for n, o in enumerate(operations) for micro in _micros(o) if micro[0] == "w"}
    keys = [{micro[1] for micro in _micros(o) if micro[0] == "w"} for o in operations]
    reads = [[(m[1], writer.get(m[2], -1)) for m in _micros(o) if m[0] == "r"] for o in operations]
    session = {(a, b) for a in range(count) for b in range(a + 1, count)}
    session = {(a, b) for a, b in session if operations[a].process == operations[b].process}
    source = {(w, t) for t, mine in enumerate(reads) for _, w in mine if w >= 0}
    given = source if model == "monotonic-atomic-view" else source | session
    reach = set(given)
    for middle in range(count):
        reach |= {(a, d) for a, b in reach for c, d in reach if b == c == middle}
    forced: set[tuple[int, int]] = set()
    for t3, mine in enumerate(reads):
        for place, (key, t1) in enumerate(mine):
            for t2 in range(count):
                if t2 in (t1, t3) or key not in keys[t2]:
                    continue
                visible = {
                    "monotonic-atomic-view": any(w == t2 for _, w in mine[:place]),
                    "read-atomic": (t2, t3) in given,
                    "causal": (t2, t3) in reach,
                }[model]
                if visible:
                    forced.add((t2, t1))
    if any(t1 < 0 for _, t1 in forced):
        return False  # nothing commits before the beginning
    wanted = given | forced
    return any(all(order.index(a) < order.index(b) for a, b in wanted) for order in permutations(range(count)))


@pytest.mark.parametrize("model", WEAK_MODELS)
def test_a_weak_level_is_judged_as_its_axiom_says(model: str) -> None:
    kept = broken = 0
    name = f"{model}-cycle"
    for seed in range(1500):
        found = weak_history(seed)
        anomalies = check_transactions(found, kind="rw-register", model=model).details["anomalies"]
        assert isinstance(anomalies, dict)
        expected = keeps(found, model)
        assert (name not in anomalies) == expected, seed
        kept += expected
        broken += not expected
    assert min(kept, broken) > 100


def test_half_of_a_transaction_breaks_monotonic_atomic_view_and_not_read_committed() -> None:
    # Seen in this order it is what a Query may show while a transaction commits (consistency.md, rows 6 and 14).
    torn = history("p1:wx1wy1 || p2:ry1rx_", "seq", "rw-register")
    assert check_transactions(torn, kind="rw-register", model="read-committed").verdict == "valid"
    verdict = check_transactions(torn, kind="rw-register", model="monotonic-atomic-view")
    assert verdict.verdict == "invalid"
    assert "read the initial version of 'x'" in verdict.why


def test_half_of_a_transaction_seen_first_breaks_read_atomic_only() -> None:
    torn = history("p1:wx1wy1 || p2:rx_ry1", "seq", "rw-register")
    assert check_transactions(torn, kind="rw-register", model="monotonic-atomic-view").verdict == "valid"
    assert check_transactions(torn, kind="rw-register", model="read-atomic").verdict == "invalid"


def test_an_effect_without_its_cause_breaks_causal_and_not_read_atomic() -> None:
    text = "p1:wx1; p2:rx1wy1; p3:ry1rx_"
    found = history(text, "seq", "rw-register")
    assert check_transactions(found, kind="rw-register", model="read-atomic").verdict == "valid"
    verdict = check_transactions(found, kind="rw-register", model="causal")
    assert (verdict.verdict, verdict.details["not"]) == ("invalid", ["causal", "consistent-view", "repeatable-read"])


def test_lists_are_judged_by_the_writer_of_their_last_element() -> None:
    torn = history("p1:ax1ay1 || p2:ry1rx; rx1ry1")
    assert check_transactions(torn, model="monotonic-atomic-view").verdict == "invalid"
    whole = history("p1:ax1ay1 || p2:rxry; rx1ry1")
    for model in WEAK_MODELS:
        assert check_transactions(whole, model=model).verdict == "valid"

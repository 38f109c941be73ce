"""Register histories whose versions nobody saw in order: blind writes, and absence after several deletes."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_checkers.history import History, Operation
from dynalab_checkers.isolation import check_transactions
from dynalab_checkers.isolation.generate import TransactionRecipe, transactions_history
from tests.checkers.isolation.notation import history
from tests.checkers.isolation.oracles import serializable, snapshot_isolated

# Each wrote both keys; one reader saw one's x and the other's y.
TORN = "p0:wx1wy1 || p1:wx2wy2 || p2:rx1ry2"


def registers(text: str) -> History:
    return history(text, kind="rw-register")


def transactions(*each: tuple[str, Any]) -> History:
    """Transactions that all overlap, each in a process of its own; the text is the outcome."""
    operations = []
    for number, (outcome, micros) in enumerate(each):
        ended = outcome != "info"
        operation = Operation(number, "txn", "", number, 100 + number if ended else None, outcome, micros)
        operation.call_index, operation.ret_index = number, 100 + number if ended else None
        operations.append(operation)
    return History(operations)


@pytest.mark.parametrize("model", ["serializable", "snapshot-isolation", "strict-serializable"])
def test_a_read_that_no_order_of_blind_writes_explains_is_invalid(model: str) -> None:
    torn = registers(TORN)
    assert not serializable(torn)
    assert not snapshot_isolated(torn)
    verdict = check_transactions(torn, kind="rw-register", model=model)
    assert verdict.verdict == "invalid"
    assert verdict.details["anomalies"] == {"G-single-item": 1}
    assert "no order of them fits what these 3 transactions returned" in verdict.why
    assert len(verdict.operations) == 3


def test_the_proof_that_no_order_fits_names_a_circle_for_every_choice() -> None:
    verdict = check_transactions(registers(TORN), kind="rw-register")
    explanations = verdict.details["explanations"]
    assert isinstance(explanations, list)
    (text,) = explanations
    circles = [line.removeprefix("  - ") for line in text.splitlines() if line.startswith("  - ")]
    # T3 read x from T1 and y from T2. So x was not T1's first, y was not T2's first, and both at once are a circle.
    assert sorted(circles) == ["T1 -wr x-> T3 -rw y-> T1", "T1 -ww x y-> T2 -ww x y-> T1", "T2 -wr y-> T3 -rw x-> T2"]


def test_only_the_transactions_that_have_no_order_are_shown() -> None:
    verdict = check_transactions(registers(f"p0:wz7; p1:rz7; {TORN}; p0:rz7; p1:wz8; p2:rz8"), kind="rw-register")
    assert [str(operation.value) for operation in verdict.operations] == [
        "[['w', 'x', 1], ['w', 'y', 1]]",
        "[['w', 'x', 2], ['w', 'y', 2]]",
        "[['r', 'x', 1], ['r', 'y', 2]]",
    ]


def test_blind_write_skew_is_right_under_snapshot_isolation_alone() -> None:
    # Nobody saw which write of z came first, and nobody could.
    skew = registers("wz1 || wz2 || rxwy1 || rywx1")
    for model, expected in (("snapshot-isolation", "valid"), ("serializable", "invalid")):
        verdict = check_transactions(skew, kind="rw-register", model=model)
        assert verdict.verdict == expected
    assert check_transactions(skew, kind="rw-register", model="snapshot-isolation").details["certified"] is True


def test_a_read_of_absence_that_no_delete_can_explain_is_invalid() -> None:
    # Both deletes removed a value that was there again when the reader looked: it saw 4 beside the absence.
    wrong = transactions(
        ("ok", [["w", "x", 1, None], ["w", "y", 1]]),
        ("ok", [["d", "x", 1]]),
        ("ok", [["w", "x", 2, None], ["w", "y", 2, 1]]),
        ("ok", [["r", "y", 2], ["r", "x", None]]),
        ("ok", [["d", "x", 2], ["w", "y", 3, 2]]),
    )
    assert not serializable(wrong)
    verdict = check_transactions(wrong, kind="rw-register", model="serializable")
    assert verdict.verdict == "invalid"
    assert verdict.details["certified"] is False


def test_a_delete_of_unknown_outcome_explains_a_read_of_absence() -> None:
    told = transactions(
        ("ok", [["w", "x", 1, None]]),
        ("info", [["d", "x"], ["w", "y", 5]]),
        ("ok", [["d", "x", 1]]),
        ("ok", [["w", "x", 2, None]]),
        ("ok", [["r", "x", None], ["r", "z", None]]),
        ("ok", [["w", "z", 1, None], ["r", "x", 2]]),
    )
    assert serializable(told)
    verdict = check_transactions(told, kind="rw-register", model="serializable")
    assert (verdict.verdict, verdict.details["certified"]) == ("valid", True)


def test_a_conditional_write_of_unknown_outcome_that_was_seen_found_what_it_asked_for() -> None:
    for asked, right in ((1, True), (2, True), (3, False)):
        seen = transactions(
            ("ok", [["w", "x", 1]]),
            ("info", [["w", "x", 2]]),
            ("info", [["cas", "x", asked, 4]]),
            ("ok", [["r", "x", 4]]),
            ("ok", [["r", "x", 1]]),
        )
        assert serializable(seen) == right
        verdict = check_transactions(seen, kind="rw-register", model="serializable")
        assert verdict.verdict == ("valid" if right else "invalid"), asked


def test_the_condition_of_an_unknown_outcome_orders_versions() -> None:
    # 4 replaced 2, so whoever saw 2 did not come after who saw 4.
    wrong = transactions(
        ("ok", [["w", "x", 2]]),
        ("info", [["cas", "x", 2, 4]]),
        ("ok", [["r", "x", 4], ["w", "y", 1]]),
        ("ok", [["r", "y", 1], ["r", "x", 2]]),
    )
    assert not serializable(wrong)
    assert check_transactions(wrong, kind="rw-register", model="serializable").verdict == "invalid"


def test_a_delete_that_found_nothing_conflicts_with_nobody_under_snapshot_isolation() -> None:
    one = transactions(
        ("ok", [["d", "x", None], ["r", "y", None], ["w", "z", 1, None]]),
        ("ok", [["w", "x", 1, None], ["w", "y", 1, None], ["r", "z", None]]),
        ("ok", [["r", "x", 1], ["r", "z", 1]]),
    )
    assert snapshot_isolated(one)
    assert check_transactions(one, kind="rw-register", model="snapshot-isolation").verdict == "valid"
    assert check_transactions(one, kind="rw-register", model="serializable").verdict == "invalid"


def test_an_order_that_proves_a_history_right_keeps_real_time() -> None:
    # Only the delete explains the absence that was read beside y = 2, and it was called after that read had returned.
    late = transactions(
        ("ok", [["w", "x", 1], ["w", "y", 2], ["r", "x", 1]]),
        ("ok", [["r", "x", None], ["r", "y", 2]]),
        ("ok", [["d", "x"], ["r", "y", 2]]),
    )
    for operation, (call, ret) in zip(late.operations, ((2, 6), (3, 4), (5, 10)), strict=True):
        operation.call, operation.ret = call, ret
    assert serializable(late)
    assert not serializable(late, realtime=True)
    assert check_transactions(late, kind="rw-register", model="serializable").verdict == "valid"
    verdict = check_transactions(late, kind="rw-register", model="strict-serializable")
    assert (verdict.verdict, verdict.details["anomalies"]) == ("invalid", {"G-single-item-realtime": 1})


def blind(count: int, seed: int = 7, processes: int = 5) -> History:
    recipe = TransactionRecipe(
        kind="rw-register", transactions=count, processes=processes, old_values=False, indeterminate_per_mille=10
    )
    return transactions_history(seed, recipe)


def test_a_long_history_of_blind_writes_is_proved_right_window_by_window() -> None:
    verdict = check_transactions(blind(1200), kind="rw-register")
    assert (verdict.verdict, verdict.details["certified"]) == ("valid", True)


def test_a_violation_in_a_long_history_of_blind_writes_is_found_and_cut_out() -> None:
    verdict = check_transactions(with_torn_read(blind(600).operations, 400), kind="rw-register")
    assert verdict.verdict == "invalid"
    assert sorted(operation.process for operation in verdict.operations) == [100, 101, 102]


def with_torn_read(good: list[Operation], place: int) -> History:
    """The same history, with three more transactions beside the one in this place."""
    at = good[place].call
    planted = []
    for place, operation in enumerate(registers(TORN).operations):
        operation.process, operation.call, operation.ret = 100 + place, at + place, at + 50 + place
        operation.value = [[kind, f"torn-{key}", value] for kind, key, value in _micros(operation)]
        planted.append(operation)
    return History(sorted([*good, *planted], key=lambda operation: operation.call))


def _micros(operation: Operation) -> list[list[Any]]:
    value: Any = operation.value
    return list(value)


def test_a_budget_that_ends_makes_blind_writes_unknown() -> None:
    verdict = check_transactions(blind(600, processes=20), kind="rw-register", budget=2000)
    assert verdict.verdict == "unknown"
    assert "no order of versions was found" in verdict.why


def test_steps_of_ordering_blind_writes_grow_with_the_history_and_no_faster() -> None:
    long = blind(1600).operations
    steps = []
    for count in (400, 800, 1600):
        # The torn read at the end keeps the run that goes without windows from coming to its end.
        verdict = check_transactions(with_torn_read(long[:count], count - 20), kind="rw-register")
        assert verdict.verdict == "invalid"
        steps.append(int(str(verdict.details["steps"])))
    assert steps[0] > 0
    assert steps[2] < 2.5 * steps[1] < 6.25 * steps[0]

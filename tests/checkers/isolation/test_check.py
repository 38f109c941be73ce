"""The public judgement of transactions: planted anomalies, what counts as time, words, pictures, limits."""

from __future__ import annotations

import random
import xml.dom.minidom
from typing import Any

import pytest

from dynalab_checkers.history import MISSING, History, Operation, parse_jsonl
from dynalab_checkers.isolation import LATTICE, Cycle, check_transactions, forbidden
from dynalab_checkers.isolation.append import analyse_appends
from dynalab_checkers.isolation.generate import PLANTS, TransactionRecipe, plant, transactions_history
from dynalab_checkers.isolation.pictures import SHOWN_MAX
from dynalab_checkers.isolation.transactions import read_transactions
from dynalab_checkers.verdict import Verdict
from tests.checkers.isolation.notation import history

BUSY = TransactionRecipe(transactions=300, active_keys=6, processes=10)


def anomalies(verdict: Verdict) -> dict[str, int]:
    found = verdict.details["anomalies"]
    assert isinstance(found, dict)
    return found


def cycles(verdict: Verdict) -> list[Cycle]:
    found = verdict.details["cycles"]
    assert isinstance(found, list)
    return found


def texts(verdict: Verdict, name: str) -> list[str]:
    found = verdict.details[name]
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("anomaly", PLANTS)
def test_a_planted_anomaly_is_found_under_its_name_and_the_same_history_without_it_is_valid(anomaly: str) -> None:
    for seed in range(3):
        clean = transactions_history(seed, BUSY)
        assert check_transactions(clean).verdict == "valid"
        verdict = check_transactions(plant(clean, seed, anomaly))
        assert verdict.verdict == "invalid"
        assert anomaly in anomalies(verdict)
        assert all(name in forbidden("strict-serializable") for name in anomalies(verdict))
        if anomaly in ("G0", "G1c", "G-single-item", "G-nonadjacent-item", "G2-item"):
            assert anomalies(verdict) == {anomaly: 1}
            assert verdict.why.startswith(anomaly)
            # What is shown is the planted part, and only that.
            assert all("planted" in str(operation.value) for operation in verdict.operations)


@pytest.mark.parametrize("kind", ["list-append", "rw-register"])
@pytest.mark.parametrize("model", [name for name in LATTICE if "monotonic" not in name])
def test_a_strictly_serializable_history_keeps_every_model(kind: str, model: str) -> None:
    for seed in range(3):
        found = transactions_history(seed, TransactionRecipe(kind=kind, transactions=150, indeterminate_per_mille=30))
        verdict = check_transactions(found, kind=kind, model=model)
        assert (verdict.verdict, anomalies(verdict)) == ("valid", {})


def test_a_history_that_is_only_serializable_is_told_from_one_that_is_strict() -> None:
    stale = history("p0:ax1; p1:ax2; p2:rx1; p3:rx12")
    strict = check_transactions(stale)
    assert (strict.verdict, strict.details["possible"]) == (
        "invalid",
        ["strong-read-committed", "strong-session-serializable"],
    )
    assert check_transactions(stale, model="serializable").verdict == "valid"
    assert check_transactions(stale, model="strong-session-serializable").verdict == "valid"
    # What was not looked at is not called possible.
    assert check_transactions(stale, model="serializable").details["possible"] == ["serializable"]


def test_a_single_read_beside_transactions_promises_no_order_of_time() -> None:
    # GetItem(x) new, then GetItem(y) old by the same client, while a transaction commits item by item.
    lines = [
        '{"index":0,"time":0,"process":0,"type":"invoke","f":"txn","value":[["w","x",1],["w","y",1]]}',
        '{"index":1,"time":1,"process":1,"type":"invoke","f":"read","key":"x"}',
        '{"index":2,"time":2,"process":1,"type":"ok","f":"read","key":"x","value":1}',
        '{"index":3,"time":3,"process":1,"type":"invoke","f":"read","key":"y"}',
        '{"index":4,"time":4,"process":1,"type":"ok","f":"read","key":"y","value":null}',
        '{"index":5,"time":9,"process":0,"type":"ok","f":"txn","value":[["w","x",1],["w","y",1]]}',
    ]
    found = parse_jsonl(lines)
    assert check_transactions(found, kind="rw-register").verdict == "valid"
    strict = check_transactions(found, kind="rw-register", ordered=lambda operation: True)
    assert (strict.verdict, anomalies(strict)) == ("invalid", {"G-single-item-process": 1})
    pair = history("p0:wx1wy1 || p1:rx1ry_", "seq", "rw-register")
    assert check_transactions(pair, kind="rw-register", model="serializable").verdict == "invalid"


def test_single_writes_deletes_and_failed_conditions_join_the_graph() -> None:
    operations = [
        Operation(0, "write", "x", 0, 1, "ok", 1, old=None, call_index=0, ret_index=1),
        Operation(0, "cas", "x", 2, 3, "ok", [1, 2], call_index=2, ret_index=3),
        Operation(1, "cas", "x", 4, 5, "fail", [1, 3], found=2, call_index=4, ret_index=5),
        Operation(1, "delete", "x", 6, 7, "ok", old=2, call_index=6, ret_index=7),
        Operation(2, "read", "x", 8, 9, "ok", result=None, call_index=8, ret_index=9),
    ]
    assert check_transactions(History(operations), kind="rw-register").verdict == "valid"
    operations[2].found = 1
    verdict = check_transactions(History(operations), kind="rw-register")
    assert (verdict.verdict, verdict.details["not"]) == ("invalid", ["strong-snapshot-isolation"])
    operations[2].found = MISSING
    assert check_transactions(History(operations), kind="rw-register").verdict == "valid"


def test_an_operation_that_nobody_knows_makes_the_verdict_unknown() -> None:
    found = History([Operation(0, "scan", "", 0, 1, "ok")])
    assert check_transactions(found).why == "the operation 'scan' is no transaction"
    mixed = history("ax1; wx2")
    assert check_transactions(mixed).why == "'w' is no operation of a list-append history"
    lists = History([Operation(0, "txn", "", 0, 1, "ok", [["r", "x", [1]]])])
    assert check_transactions(lists, kind="rw-register").why == "'x' holds a list, which is no value of a register"


def test_true_is_not_one_in_a_register() -> None:
    value: list[Any] = [["w", "x", 1]]
    operations = [
        Operation(0, "txn", "", 0, 1, "ok", value, call_index=0, ret_index=1),
        Operation(1, "txn", "", 2, 3, "ok", [["r", "x", True]], call_index=2, ret_index=3),
    ]
    assert "garbage-read" in anomalies(check_transactions(History(operations), kind="rw-register"))


def test_a_value_written_twice_leaves_its_key_out_and_says_so() -> None:
    found = history("wx1wy1; wx1; ry1rx1", "seq", "rw-register")
    verdict = check_transactions(found, kind="rw-register")
    assert (verdict.verdict, verdict.why) == (
        "unknown",
        "1 was written to 'x' twice, so its versions cannot be told apart",
    )
    # An anomaly elsewhere is not forgiven for it.
    found = history("wx1wy1; wx1; ry_rx1", "seq", "rw-register")
    assert check_transactions(found, kind="rw-register").verdict == "invalid"


def test_a_transaction_of_unknown_outcome_happened_if_its_effect_was_seen_and_need_not_otherwise() -> None:
    assert check_transactions(history("?ax1ay1; rx; ay2; ry2")).verdict == "valid"
    assert check_transactions(history("?ax1ay1; rx1; ry1")).verdict == "valid"
    assert check_transactions(history("?ax1ay1; rx1; ry")).verdict == "invalid"
    assert check_transactions(history("?p1:ax1; p2:rx; p2:rx1")).verdict == "valid"


def test_blind_writes_whose_order_nobody_saw_are_proved_right_or_called_unknown() -> None:
    proved = unknown = 0
    for seed in range(40):
        recipe = TransactionRecipe(kind="rw-register", transactions=40, active_keys=3, processes=4, old_values=False)
        found = transactions_history(seed, recipe)
        verdict = check_transactions(found, kind="rw-register")
        assert verdict.verdict != "invalid"
        proved += verdict.details["certified"] is True
        unknown += verdict.verdict == "unknown"
        assert check_transactions(found, kind="rw-register", prove=False).verdict == "valid"
    assert proved > 20
    assert proved + unknown == 40


def test_write_skew_that_changes_one_key_unseen_breaks_snapshot_isolation() -> None:
    found = history("p0:rxay1az1 || p1:ryax1az2")
    verdict = check_transactions(found, model="snapshot-isolation")
    assert (verdict.verdict, verdict.details["not"]) == ("invalid", ["consistent-view", "repeatable-read"])
    assert "both changed 'z'" in verdict.why
    assert check_transactions(history("p0:rxay1az1 || p1:ryax1"), model="snapshot-isolation").verdict == "valid"


def test_the_explanation_is_a_contradiction_in_words() -> None:
    verdict = check_transactions(history("wx1ry1; wy1rx1", "comp", "rw-register"), kind="rw-register")
    assert texts(verdict, "explanations") == [
        "G1c #0\n"
        "Let:\n"
        "  T1 = process 0, 0.000 s to 2 ns: write x = 1, read y = 1\n"
        "  T2 = process 1, 1 ns to 3 ns: write y = 1, read x = 1\n"
        "\n"
        "Then:\n"
        "  - T1 < T2, because T1 wrote x = 1, which was read by T2.\n"
        "  - However, T2 < T1, because T2 wrote y = 1, which was read by T1: a contradiction!"
    ]
    assert verdict.why == ("G1c: T1 wrote x = 1, which was read by T2; yet T2 wrote y = 1, which was read by T1")


@pytest.mark.parametrize("anomaly", [name for name in PLANTS if name.startswith("G") and not name.startswith("G1a")])
def test_every_reason_of_an_explanation_names_what_was_read_or_written(anomaly: str) -> None:
    verdict = check_transactions(plant(History([]), 0, anomaly))
    for text in texts(verdict, "explanations"):
        reasons = [line for line in text.splitlines() if "because" in line]
        assert len(reasons) >= 2
        for line in reasons:
            assert "planted-" in line or "returned at" in line or "process" in line, line
    assert verdict.why


def test_a_cycle_is_drawn_as_a_graph_and_as_a_picture() -> None:
    evil = 'x"]<script>&\\'
    value: Any = [
        [["append", evil, 1], ["r", "y", []]],
        [["append", "y", 1], ["r", evil, []]],
    ]
    operations = [Operation(n, "txn", "", n, n + 5, "ok", value[n], call_index=n, ret_index=n + 2) for n in (0, 1)]
    verdict = check_transactions(History(operations))
    [dot] = texts(verdict, "dot")
    assert dot.startswith("digraph cycle {")
    assert dot.count("->") == len(cycles(verdict)[0].edges) == 2
    assert '\\"]<script>' in dot
    [svg] = texts(verdict, "svg")
    document = xml.dom.minidom.parseString(svg)
    assert len(document.getElementsByTagName("rect")) == 2
    assert "write skew" in document.getElementsByTagName("title")[0].firstChild.data  # type: ignore[union-attr]
    assert "<script>" not in svg
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")


def test_the_picture_of_a_long_cycle_says_what_it_leaves_out() -> None:
    count = 40
    value: Any = [[["append", f"k{n}", 1], ["r", f"k{(n + 1) % count}", []]] for n in range(count)]
    operations = [Operation(n, "txn", "", n, 99, "ok", value[n], call_index=n, ret_index=n + 50) for n in range(count)]
    verdict = check_transactions(History(operations))
    assert len(cycles(verdict)[0].edges) == count
    [svg] = texts(verdict, "svg")
    assert f"{count - SHOWN_MAX} transactions between T11 and T40 are not shown" in svg
    assert "more like these" in texts(verdict, "explanations")[0]


def test_a_budget_that_ends_is_never_a_pass() -> None:
    skew = history("rxay1 || ryax1")
    assert check_transactions(skew, model="snapshot-isolation").verdict == "valid"
    short = check_transactions(skew, model="snapshot-isolation", budget=0)
    assert (short.verdict, anomalies(short)) == ("unknown", {"cycle-exists": 1})
    assert check_transactions(skew, model="serializable", budget=0).verdict == "invalid"
    stale = history("p0:ax1; p1:ax2; p2:rx1; p3:rx12")
    assert anomalies(check_transactions(stale, budget=0)) == {"cycle-exists-realtime": 1}


def test_one_large_knot_is_named_within_its_budget() -> None:
    draw = random.Random(5).randrange
    lists: dict[str, list[int]] = {}
    operations: list[Operation] = []
    for number in range(3000):
        micros: list[Any] = []
        for place in range(1 + draw(3)):
            key = f"k{number // 300}-{draw(8)}"
            elements = lists.setdefault(key, [])
            if draw(2):
                elements.append(10 * number + place)
                micros.append(["append", key, elements[-1]])
            else:
                micros.append(["r", key, elements[: max(0, len(elements) - draw(4))]])
        operations.append(
            Operation(number % 9, "txn", "", 9 * number, 9 * number + 70, "ok", micros, call_index=2 * number)
        )
    for place, operation in enumerate(sorted(operations, key=lambda operation: operation.ret or 0)):
        operation.ret_index = 2 * place + 61
    found = History(operations)
    for budget in (60_000, 1_000_000):
        verdict = check_transactions(found, budget=budget)
        assert verdict.verdict == "invalid"
        steps = verdict.details["steps"]
        assert isinstance(steps, int)
        assert steps <= 5 * budget + 1_000_000


def edges_and_nodes(count: int, kind: str, model: str) -> int:
    """What checking must walk: the size of the graph, and steps of searching."""
    recipe = TransactionRecipe(kind=kind, transactions=count, active_keys=5, indeterminate_per_mille=10)
    found = transactions_history(3, recipe)
    verdict = check_transactions(found, kind=kind, model=model)
    edges, steps = verdict.details["edges"], verdict.details["steps"]
    assert verdict.verdict == "valid"
    assert isinstance(edges, int)
    assert isinstance(steps, int)
    return edges + steps


@pytest.mark.parametrize("kind", ["list-append", "rw-register"])
def test_twice_the_history_is_twice_the_graph(kind: str) -> None:
    sizes = [edges_and_nodes(count, kind, "strict-serializable") for count in (500, 1000, 2000)]
    assert sizes[1] < 2.15 * sizes[0]
    assert sizes[2] < 2.15 * sizes[1]


@pytest.mark.parametrize("count", [100, 200, 400])
def test_many_unread_appends_and_many_readers_do_not_multiply(count: int) -> None:
    text = " || ".join([*(f"p{n}:rx" for n in range(count))])
    found = history(text)
    for n in range(count):
        found.operations.append(
            Operation(1000 + n, "txn", "", 0, 9999, "ok", [["append", "x", n]], call_index=5000 + n, ret_index=9000 + n)
        )
    graph = analyse_appends(read_transactions(History(found.operations))).graph
    assert sum(map(len, graph.successors)) <= 6 * count


def test_the_same_history_gives_the_same_verdict_every_time() -> None:
    found = plant(transactions_history(4, BUSY), 4, "G-nonadjacent-item")
    one, other = check_transactions(found), check_transactions(found)
    assert one.why == other.why
    assert texts(one, "svg") == texts(other, "svg")
    assert texts(one, "dot") == texts(other, "dot")


def ring(count: int) -> History:
    """One component of so many transactions, in which the only cycle is as long as it."""
    operations = []
    for number in range(count):
        value: Any = [["append", f"k{number}", 1], ["r", f"k{(number + 1) % count}", []]]
        index, end = number, number + count
        operations.append(
            Operation(number, "txn", "", number, 10 * count, "ok", value, call_index=index, ret_index=end)
        )
    return History(operations)


def test_one_component_of_a_hundred_thousand_transactions_is_named_within_its_budget() -> None:
    verdict = check_transactions(ring(100_000), budget=1_000_000)
    assert (verdict.verdict, anomalies(verdict)) == ("invalid", {"G2-item": 1})
    assert int(str(verdict.details["steps"])) <= 2_000_000
    assert len(cycles(verdict)[0].edges) == 100_000

"""The histories that Elle tests itself with, and what it says of them: anomalies, models ruled out, edges, versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dynalab_checkers.isolation import LATTICE, check_transactions, forbidden
from dynalab_checkers.isolation.append import analyse_appends
from dynalab_checkers.isolation.graph import KIND_NAMES, LINK, RW, WW
from dynalab_checkers.isolation.register import read_registers
from dynalab_checkers.isolation.register_order import KeyOrder, add_register_edges
from dynalab_checkers.isolation.transactions import Case, read_transactions
from tests.checkers.isolation.notation import history

DATA = json.loads((Path(__file__).resolve().parents[2] / "data" / "elle" / "cases.json").read_text(encoding="utf-8"))
ASKED = {
    "G1": ["G1a", "G1b", "G1c"],
    "G2": ["G-single-item", "G-nonadjacent-item", "G2-item"],
    "G-single": ["G-single-item"],
}
EMPTY = "empty-transaction-graph"


def case_ids(case: dict[str, Any]) -> str:
    return str(case["id"])


@pytest.mark.parametrize("case", DATA["cases"], ids=case_ids)
def test_a_case_of_elle_gives_the_anomalies_that_elle_lists(case: dict[str, Any]) -> None:
    expected = case.get("ours", case)
    for ask in case["ask"]:
        wanted = None if ask in LATTICE else ASKED.get(ask, [ask])
        verdict = check_transactions(
            history(case["history"], case["how"], case["kind"]),
            kind=case["kind"],
            model=ask if ask in LATTICE else "strict-serializable",
            anomalies=wanted,
            key_order=case.get("key_order", "model"),
            initial=case.get("initial"),
        )
        anomalies = verdict.details["anomalies"]
        assert isinstance(anomalies, dict)
        reported = set(anomalies) & ({*(wanted or forbidden(ask)), EMPTY})
        assert reported == set(expected["expect"]), ask
        if "not" in expected:
            assert verdict.details["not"] == expected["not"], ask
        found = set(expected["expect"])
        assert verdict.verdict == ("invalid" if found - {EMPTY} else "unknown" if found else "valid")


def test_where_we_differ_from_elle_the_reason_is_written_down() -> None:
    different = {case["id"]: case["ours"]["because"] for case in DATA["cases"] if "ours" in case}
    assert set(different) == {"R1", "R21"}
    assert all(len(reason) > 40 for reason in different.values())


@pytest.mark.parametrize("case", DATA["alone"], ids=case_ids)
def test_an_anomaly_that_needs_no_graph_is_found_where_elle_finds_it(case: dict[str, Any]) -> None:
    transactions = read_transactions(history(case["history"], "seq", case["kind"]))
    found = (analyse_appends if case["kind"] == "list-append" else read_registers)(transactions)
    assert found.sightings.counts.get(case["name"], 0) == case["count"]
    cases: list[Case] = found.sightings.cases.get(case["name"], [])
    assert [seen.transactions[0] for seen in cases] == case.get("of", [])
    assert all(case["says"] in seen.sentence for seen in cases)


@pytest.mark.parametrize("case", DATA["edges"], ids=case_ids)
def test_a_dependency_graph_of_elle_has_the_same_edges(case: dict[str, Any]) -> None:
    graph = analyse_appends(read_transactions(history(case["history"]))).graph
    edges = {
        (source, edge >> 5, KIND_NAMES[edge & 7])
        for source, row in enumerate(graph.successors)
        for edge in row
        if KIND_NAMES[edge & 7] in case["kinds"]
    }
    assert edges == {tuple(edge) for edge in case["expect"]}


@pytest.mark.parametrize("case", DATA["versions"], ids=case_ids)
def test_the_order_of_versions_is_inferred_as_elle_infers_it(case: dict[str, Any]) -> None:
    transactions = read_transactions(history(case["history"], "seq", "rw-register"))
    found = read_registers(transactions, case.get("initial"))
    part = bytearray(found.committed)
    add_register_edges(found, part, KeyOrder(process=True, realtime=True))
    versions = found.keys["x"]
    follows: set[tuple[Any, Any]] = set()
    for number, row in enumerate(found.graph.successors[: len(transactions)]):
        for edge in row:
            base = {WW: "write", RW: "read"}.get(edge & 7)
            if base is None or number not in [access.transaction for access in versions.accesses]:
                continue
            source = versions.value[getattr(found.touched[number]["x"], base)]
            for target in reached(found.graph.successors, edge >> 5, len(transactions)):
                follows.add((source, versions.value[found.touched[target]["x"].write]))
    assert follows == {tuple(pair) for pair in case["expect"]}


def reached(successors: list[list[int]], node: int, transactions: int) -> set[int]:
    """The transactions that an edge leads to, through virtual nodes."""
    if node < transactions:
        return {node}
    assert all(edge & 7 == LINK for edge in successors[node])
    return set().union(*(reached(successors, edge >> 5, transactions) for edge in successors[node]))


def test_an_element_that_was_appended_twice_makes_the_verdict_unknown() -> None:
    verdict = check_transactions(history("ax1ry; ay2ax1"))
    assert verdict.verdict == "unknown"
    assert verdict.why == "1 was appended to 'x' twice, so its versions cannot be told apart"

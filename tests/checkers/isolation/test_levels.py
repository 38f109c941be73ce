"""The lattice of levels: a table, and what an anomaly rules out."""

from __future__ import annotations

import pytest

from dynalab_checkers.isolation import LATTICE, forbidden, ruled_out, strongest, weakest
from dynalab_checkers.isolation.cycles import KINDS, SUFFIXES
from dynalab_checkers.isolation.generate import PLANTS
from dynalab_checkers.isolation.levels import IMPLIED, SEVERITY, stage_of


def test_weaker_models_stand_first_and_none_implies_itself() -> None:
    seen: set[str] = set()
    for model, (weaker, _) in LATTICE.items():
        assert set(weaker) <= seen
        seen.add(model)
    assert all(IMPLIED[model] <= set(LATTICE) for model in LATTICE)


def test_a_stronger_model_forbids_all_that_a_weaker_one_forbids() -> None:
    for model, implied in IMPLIED.items():
        for weaker in implied:
            assert forbidden(weaker) <= forbidden(model)
            assert stage_of(weaker) <= stage_of(model)


def test_strict_serializability_forbids_every_anomaly_that_has_a_name() -> None:
    named = {kind + suffix for kind in KINDS for suffix in SUFFIXES} | set(PLANTS)
    assert named <= forbidden("strict-serializable")
    assert forbidden("strict-serializable") == {name for _, names in LATTICE.values() for name in names}
    assert set(SEVERITY) == forbidden("strict-serializable")


@pytest.mark.parametrize(
    ("anomaly", "least", "greatest"),
    [
        ("G0", ["read-uncommitted"], []),
        ("G1a", ["read-committed"], ["strong-read-uncommitted"]),
        ("lost-update", ["cursor-stability", "update-atomic"], ["causal", "consistent-view", "strong-read-committed"]),
        ("G-nonadjacent-item", ["repeatable-read", "snapshot-isolation"], None),
        ("G2-item", ["repeatable-read"], ["strong-snapshot-isolation"]),
        ("G2-item-process", ["strong-session-serializable"], ["serializable", "strong-snapshot-isolation"]),
        ("G1c-realtime", ["strong-read-committed"], ["strong-read-uncommitted", "strong-session-serializable"]),
        ("G2-item-realtime", ["strict-serializable"], ["strong-session-serializable", "strong-snapshot-isolation"]),
    ],
)
def test_an_anomaly_rules_out_the_models_of_the_table(
    anomaly: str, least: list[str], greatest: list[str] | None
) -> None:
    out = ruled_out({anomaly})
    assert weakest(out) == least
    if greatest is not None:
        assert strongest(set(LATTICE) - out) == greatest


def test_serializable_and_snapshot_isolation_are_told_apart_by_write_skew_alone() -> None:
    assert "G2-item" in forbidden("serializable") - forbidden("snapshot-isolation")
    assert {"G0", "G1c", "G-single-item", "G-nonadjacent-item", "lost-update"} <= forbidden("snapshot-isolation")

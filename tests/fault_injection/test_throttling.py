"""Throttling while other things go wrong: what was refused did not happen."""

from __future__ import annotations

import pytest

from dynalab_fault_injection.run import run_one
from dynalab_fault_injection.throttle_fault import Throttling
from dynalab_impl.admission import Admission


def refused(result: object) -> int:
    bands = result.bands  # type: ignore[attr-defined]
    return sum(band.evidence.get("requests-throttled", 0) for band in bands)


@pytest.mark.parametrize("others", [("duplicate", "node-crash"), ("split", "one-way-cut")])
def test_a_throttled_history_stays_linearizable(others: tuple[str, ...]) -> None:
    found = 0
    for seed in range(4):
        result = run_one(seed, "register", ("throttling", *others))
        assert result.verdict == "valid", (seed, result.why)
        found += refused(result)
    assert found > 50


def test_a_node_that_forgets_what_it_refused_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Admission, "was_turned_away", lambda self, attempt, issued_ns: False)
    faults = ("throttling", "duplicate")
    assert any(run_one(seed, "register", faults).verdict == "invalid" for seed in range(12))


def test_a_window_in_which_nothing_was_refused_did_not_bite() -> None:
    fault = Throttling()
    fault.stop(None)  # type: ignore[arg-type]
    assert not fault.evidence

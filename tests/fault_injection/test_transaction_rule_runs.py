"""Whole runs with all rules for transactions on, under skewed clocks: serializable always, strictly so only without."""

from __future__ import annotations

from random import Random

import pytest

from dynalab_checkers.history import History
from dynalab_checkers.isolation import check_transactions
from dynalab_checkers.tokens import once_per_token
from dynalab_fault_injection.run import Run, Setting
from dynalab_fault_injection.workloads import WORKLOADS, transact
from dynalab_impl.transaction_rules import RULES

SKEW_NS = 300_000_000
SEEDS = (22, 24)
BUDGET = 4_000_000


PLAIN = Setting(draws_parts=False)
RULED = Setting(draws_parts=False, transaction_rules=tuple(RULES))


def played(seed: int, setting: Setting) -> History:
    """The history of a run whose wall clocks differ by up to 0.6 s, with tokens' retries taken together."""
    run = Run(seed, WORKLOADS["transact"](), ("node-crash", "split"), setting)
    random = Random(seed)
    for host in run.simulation.hosts:
        host.wall_shift_ns += random.randrange(-SKEW_NS, SKEW_NS + 1)
    merged, _ = once_per_token(History.from_events(run.go().history))
    return merged


def verdict(history: History, model: str) -> str:
    return check_transactions(history, kind="rw-register", mixed=True, model=model, budget=BUDGET).verdict


def test_with_every_rule_and_skewed_clocks_transactions_are_serializable_and_not_strictly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transact, "BLIND_PUTS", 9)  # the rules are about what looks at nothing
    histories = [played(seed, RULED) for seed in SEEDS]
    found = [verdict(history, "serializable") for history in histories]
    assert "valid" in found and "invalid" not in found, "the judge may run out of steps over one of them"
    assert "invalid" in [verdict(history, "strict-serializable") for history in histories], "an order against time"


def test_without_rules_skewed_clocks_cost_no_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transact, "BLIND_PUTS", 9)
    histories = [played(seed, PLAIN) for seed in SEEDS]
    assert [verdict(history, "strict-serializable") for history in histories] == ["valid"] * len(SEEDS)

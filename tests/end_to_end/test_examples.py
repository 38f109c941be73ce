"""The example of `examples/`, as a user runs it: the fixture finds the bug, and nothing but the bug."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_fixture_finds_the_read_after_write_bug_through_an_index_and_nothing_else() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "--tb=line", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=EXAMPLES / "shop", capture_output=True, text=True, timeout=120, check=False)
    outcomes = set(re.findall(r"^(PASSED|FAILED|ERROR) test_shop.py::(\w+)\[(\w+)\]", done.stdout, re.MULTILINE))
    failed = {outcome for outcome in outcomes if outcome[0] != "PASSED"}
    assert failed == {("FAILED", "test_an_order_can_be_paid_at_once", "Shop")}, done.stdout
    assert ("PASSED", "test_an_order_can_be_paid_at_once", "RepairedShop") in outcomes
    assert ("PASSED", "test_an_order_is_paid", "Shop") in outcomes, "on a quiet day it works"
    assert len(outcomes) == 10
    assert "UnknownOrder: pay-1" in done.stdout

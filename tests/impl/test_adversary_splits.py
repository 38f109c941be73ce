"""Splits in the middle of everything else."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_impl import messages as m

from .conftest import SECOND, Lab
from .test_scrub import lose_row, scrubbed_lab, state


@pytest.mark.claim("scrub")
@pytest.mark.parametrize("restarts", [False, True])
def test_a_state_that_was_found_wrong_is_not_served_by_the_halves_of_it(restarts: bool) -> None:
    lab: Any = scrubbed_lab(Lab)
    leader, group = lab.leader("k0")
    victim, other = (leader + 1) % 3, (leader + 2) % 3
    held_back = lab.rule("cut", [victim], [leader], names=("AskState",))
    lose_row(state(lab, victim, group))
    lab.run(6 * SECOND)
    node = lab.simulation.hosts[victim].node
    assert node.replicas[group].rebuilding
    lab.simulation.order(leader, m.SplitNow(group))
    lab.run(SECOND // 2)
    children = [f"{group}.{number}" for number in range(2)]
    for child in children:
        assert not node.replicas[child].has_state, "its leader's state first"
    lab.simulation.network.remove_rule(held_back)
    if restarts:
        lab.simulation.crash(victim)
        lab.simulation.restart(victim)
    lab.run(20 * SECOND)
    node = lab.simulation.hosts[victim].node
    for child in children:
        assert node.replicas[child].has_state
        assert list(state(lab, victim, child).items) == list(state(lab, other, child).items)

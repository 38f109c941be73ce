"""Wall clocks that are far off: log time follows most members' clocks, so nobody's requests look expired for long."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_impl.effects import Address
from dynalab_impl.replication.leading import AHEAD_MAX_NS, begin
from tests.impl.conftest import SECOND, Lab

DAY_NS = 86_400 * SECOND


def log_time_ns(lab: Lab, key: str) -> int:
    index, group = lab.leader(key)
    node: Any = lab.simulation.hosts[index].node
    time_ns: int = node.replicas[group].last_time_ns()
    return time_ns


@pytest.mark.parametrize("by_ns", [DAY_NS, -DAY_NS])
def test_a_leader_whose_clock_jumps_by_a_day_neither_stops_writes_nor_leaves_a_log_that_does(by_ns: int) -> None:
    lab = Lab(nodes_per_zone=1, partitions=1)
    lab.create()
    assert lab.put("k", 1).status == 200
    before_ns, began_ns = log_time_ns(lab, "k"), lab.simulation.now
    leader = lab.simulation.hosts[lab.leader("k")[0]]
    leader.wall_shift_ns += by_ns
    lab.run(2 * SECOND)  # some heartbeats
    assert lab.put("k", 2).status == 200
    passed_ns = lab.simulation.now - began_ns
    assert before_ns <= log_time_ns(lab, "k") <= before_ns + passed_ns + AHEAD_MAX_NS + SECOND
    # The next leader's clock is right. What it finds in the log does not make requests look expired.
    lab.simulation.crash(leader.index)
    assert lab.put("k", 3).status == 200
    leader.wall_shift_ns -= by_ns
    lab.simulation.restart(leader.index)
    lab.run(10 * SECOND)
    assert lab.put("k", 4).status == 200 and lab.get("k") == "4"
    now_ns = leader.wall_ns
    assert abs(log_time_ns(lab, "k") - now_ns) < AHEAD_MAX_NS


def test_log_time_goes_by_the_clock_in_the_middle_and_never_by_one_that_nobody_has_compared() -> None:
    me, other, third = (Address("r", f"z{number}", f"n{number}") for number in (1, 2, 3))
    lead = begin((1, "n1#1"), 1, 0, me, ())
    assert lead.wall_ns(DAY_NS) == 0, "nobody has told its clock yet"
    lead.compare_clocks(other, 100, 100 + DAY_NS)
    assert lead.wall_ns(100 + DAY_NS) == 100 + AHEAD_MAX_NS, "of two the earlier one"
    lead.compare_clocks(third, 200 + DAY_NS, 200 + DAY_NS)
    assert lead.wall_ns(200 + DAY_NS) == 200 + DAY_NS, "two agree, and the other one is behind"
    lead.compare_clocks(third, 300, 300 + DAY_NS)
    assert lead.wall_ns(300 + DAY_NS) == 300 + AHEAD_MAX_NS
    lead.compare_clocks(other, 400 + DAY_NS, 400)
    lead.compare_clocks(third, 400 + DAY_NS, 400)
    assert lead.wall_ns(400) == 400, "a clock that is behind is not put forward"

"""Gray failures: who hears and is not heard, or is heard and does not hear, must not take the group with it."""

from __future__ import annotations

from typing import Any

SECOND = 1_000_000_000


def share_of_writes_taken(lab: Any, duration_ns: int) -> tuple[int, int]:
    """One write after another, each with the time a client gives it: (taken, tried)."""
    end_ns = lab.simulation.now + duration_ns
    taken = tried = 0
    while lab.simulation.now < end_ns:
        tried += 1
        taken += lab.put("a", tried).status == 200
        lab.run(SECOND // 2)
    return taken, tried


def elections(lab: Any, group: str) -> int:
    return sum(1 for _, _, event in lab.told if event.kind == "leader-elected" and event.group == group)


def test_a_follower_that_hears_nobody_does_not_depose_one_leader_after_another(lab: Any) -> None:
    lab.put("a", 0)
    leader, group = lab.leader("a")
    before = elections(lab, group)
    deaf = next(i for i in lab.members(group) if i != leader)
    everybody = list(range(len(lab.simulation.hosts)))
    lab.rule("cut", everybody, [deaf])
    taken, tried = share_of_writes_taken(lab, 20 * SECOND)
    assert taken == tried and elections(lab, group) == before


def test_a_leader_that_hears_nobody_steps_down(lab: Any) -> None:
    """Its followers hear it, so none of them would stand; it cannot renew its lease, so it serves nothing."""
    lab.put("a", 0)
    deaf, group = lab.leader("a")
    lab.rule("cut", [i for i in lab.members(group) if i != deaf], [deaf])
    taken, tried = share_of_writes_taken(lab, 30 * SECOND)
    assert tried > 20 and taken >= tried - 3
    assert lab.leader("a")[0] != deaf

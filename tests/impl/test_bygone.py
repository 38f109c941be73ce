"""A disk forgets the names of groups that it dropped, once nothing is left of them anywhere; none of them returns."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_impl import bygone
from dynalab_impl import messages as m
from dynalab_impl.metadata import Makings
from dynalab_impl.records import LeftGroup, LiveMakings

from .conftest import SECOND, Lab

FEW = 6


@pytest.fixture(autouse=True)
def few_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bygone, "NAMES_MAX", FEW)


@pytest.fixture
def lab() -> Lab:
    """One table that stays, older than all that come and go."""
    lab = Lab(nodes_per_zone=1, routers=1, partitions=2, log_records_max=60)
    lab.create("stays")
    lab.put("a", "kept", table="stays")
    return lab


def nodes(lab: Lab) -> list[Any]:
    return [lab.simulation.hosts[host].node for host in range(lab.simulation.storage_count)]


def specs(lab: Lab, table: str) -> list[m.GroupSpec]:
    return [replica.spec for replica in nodes(lab)[0].replicas.values() if replica.spec.table == table]


def come_and_go(lab: Lab, count: int) -> list[m.GroupSpec]:
    """So many tables, one after the other; the groups that they had."""
    found: list[m.GroupSpec] = []
    for number in range(count):
        lab.create(f"passing-{number}")
        found += specs(lab, f"passing-{number}")
        assert lab.call("DeleteTable", TableName=f"passing-{number}").status == 200
        lab.run(3 * SECOND)
    return found


def hosted(lab: Lab) -> list[str]:
    return [group for node in nodes(lab) for group in node.replicas if not group.startswith(("stays", "catalog"))]


def late_words(lab: Lab, gone: list[m.GroupSpec]) -> None:
    """Everything that has ever made a replica, to everybody."""
    for host in range(lab.simulation.storage_count):
        for spec in gone:
            lab.simulation.order(host, m.Host(spec))
            lab.simulation.order(host, m.Adopt(spec, spec.members, 10_000))
    lab.run(2 * SECOND)


def test_names_of_dropped_groups_are_forgotten_and_late_words_of_them_begin_nothing(lab: Lab) -> None:
    gone = come_and_go(lab, 8)
    lab.run(25 * SECOND)
    assert len(gone) == 16
    for node in nodes(lab):
        assert len(node.dropped) <= FEW
        assert all(bygone.was_dropped(node, spec.group) for spec in gone)
        assert not any(bygone.was_dropped(node, spec.group) for spec in specs(lab, "stays"))
    late_words(lab, gone)
    assert hosted(lab) == []
    assert lab.get("a", table="stays") == "kept"


def test_what_is_over_is_known_after_a_restart_from_a_log_that_was_cut(lab: Lab) -> None:
    gone = come_and_go(lab, 5)
    lab.run(25 * SECOND)
    known = [node.makings for node in nodes(lab)]
    assert all(one.slot for one in known)
    for turn in range(300):  # several cycles of snapshots: the log begins behind what was written first
        lab.put(f"k{turn}", "more", table="stays")
    assert all(host.dropped for host in lab.simulation.hosts[: lab.simulation.storage_count])
    for host in range(lab.simulation.storage_count):
        lab.simulation.crash(host)
        lab.simulation.restart(host)
        lab.run(6 * SECOND)
    assert [node.makings for node in nodes(lab)] == known
    late_words(lab, gone)
    assert hosted(lab) == []


def test_a_table_whose_member_has_not_dropped_it_yet_is_not_over(lab: Lab) -> None:
    """It was away while the table was deleted, and has its replicas still."""
    lab.create("away")
    groups = [spec.group for spec in specs(lab, "away")]
    away = 2 if not nodes(lab)[2].replicas["catalog"].is_leader else 1
    lab.simulation.crash(away)
    lab.run(4 * SECOND)
    assert lab.call("DeleteTable", TableName="away").status == 200
    come_and_go(lab, 6)
    lab.run(25 * SECOND)
    others = [node for node in nodes(lab) if node is not None]
    assert len(others) == 2 and all(one.makings.slot for one in others)
    assert all(set(groups) <= set(node.dropped) for node in others)
    assert not any(bygone.is_over(node.makings, group) for node in others for group in groups)
    lab.simulation.restart(away)
    lab.run(40 * SECOND)
    assert hosted(lab) == []
    assert all(bygone.is_over(node.makings, group) for node in others for group in groups)
    assert not any(group in node.dropped for node in others for group in groups)


def test_a_replica_that_somebody_has_still_of_what_is_over_is_told_to_go(lab: Lab) -> None:
    gone = come_and_go(lab, 5)
    lab.run(25 * SECOND)
    ignorant = nodes(lab)[0]
    ignorant.makings, ignorant.dropped = bygone.NOTHING_KNOWN, {}
    lab.simulation.order(0, m.Host(gone[0]))
    lab.run(SECOND // 100)
    assert hosted(lab) == [gone[0].group]
    lab.run(5 * SECOND)
    assert hosted(lab) == []


def test_an_older_answer_does_not_take_back_a_newer_one() -> None:
    node = nodes(Lab(nodes_per_zone=1, routers=1))[0]
    node.left = {group: LeftGroup(group, (1, "n"), 3) for group in ("t/20.0", "t/40.1")}
    bygone.learn(node, LiveMakings(50, (12, 40)))
    assert list(node.left) == ["t/40.1"]
    lab_effects: Any = None  # nothing is asked of it
    bygone.on_makings(node, node.address, Makings(30, (12, 20)), lab_effects)
    assert node.makings == LiveMakings(50, (12, 40))
    assert bygone.was_dropped(node, "t/20.0") and not bygone.was_dropped(node, "t/40.1.0")

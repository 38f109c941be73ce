"""Faults that act inside a node of a cluster of processes: which messages they hold back, and that they end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dynalab.drivers.cluster.rules import Inside
from dynalab.lab.network import LabNetwork
from dynalab_impl.effects import Message, layout
from dynalab_impl.entries import GroupSpec, Member
from dynalab_impl.messages import Commit, IndexRequest, IndexWrite

MS = 1_000_000
HERE, THERE, THIRD = layout(3, 1, 1).storage
SPEC = GroupSpec("things/1.0", "things", "", b"", b"", tuple(Member(a, 1) for a in (HERE, THERE, THIRD)), None)
HEALTHY = (0,)


@pytest.fixture
def inside() -> Any:
    """A process that hosts one group of the table `things`."""
    node: Any = SimpleNamespace(replicas={"things/1.0": SimpleNamespace(spec=SPEC)}, eventual_policy="any")
    links: Any = SimpleNamespace(sent=LabNetwork(), heard=LabNetwork(), outbound={THERE: None, THIRD: None})
    cluster: Any = SimpleNamespace(nodes=lambda: [node], hosts={})
    return Inside(cluster, links, HERE)


def change(group: str) -> Message:
    return IndexRequest(group, "things/1.0", 1, ("", 0), 0, IndexWrite(b"k", None, 1))


def commit() -> Message:
    return Commit("things/1.0", (1, "n1"), 1)


def test_index_lag_holds_back_changes_of_every_table_or_of_one_until_it_is_healed(inside: Any) -> None:
    sent = inside.links.sent
    inside.follow([{"id": 1, "fault": "index-lag", "lag_ms": 5}])
    assert sent.route(HERE, THERE, change("things.by-x/1.0")) == (5 * MS,)
    assert sent.route(HERE, THERE, commit()) == HEALTHY
    inside.follow([{"id": 2, "fault": "index-lag", "lag_ms": 5, "table": "things"}])
    assert sent.route(HERE, THERE, change("things.by-x/1.0")) == (5 * MS,)
    for group in ("others.by-x/4.0", "things2.by-x/4.0"):
        assert sent.route(HERE, THERE, change(group)) == HEALTHY
    assert inside.hits() == {"2": 1}
    inside.follow([])
    assert sent.route(HERE, THERE, change("things.by-x/1.0")) == HEALTHY


def test_stale_reads_hold_back_what_the_last_follower_is_sent_and_nobody_else(inside: Any) -> None:
    inside.follow([{"id": 1, "fault": "stale-reads", "lag_ms": 5, "table": "things"}])
    assert [inside.links.sent.route(HERE, to, commit()) for to in (THERE, THIRD)] == [HEALTHY, (5 * MS,)]
    assert inside.cluster.nodes()[0].eventual_policy == "stalest"
    inside.follow([])
    assert inside.links.sent.route(HERE, THIRD, commit()) == HEALTHY
    assert inside.cluster.nodes()[0].eventual_policy == "any"

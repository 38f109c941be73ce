"""Every partition of a table learns how the table looks, in one slot of its own log, whatever happens meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_impl import messages as m
from dynalab_impl.partition import Partition
from dynalab_impl.snapshot import SnapshotHeader

SECOND = 1_000_000_000


def expire_by(lab: Any, name: str, enabled: bool = True) -> None:
    lab.call(
        "UpdateTimeToLive",
        TableName="things",
        TimeToLiveSpecification={"Enabled": enabled, "AttributeName": name},
    )


def states(lab: Any) -> list[Partition]:
    """Of every replica of the table's own partitions that are whole."""
    nodes = [lab.simulation.hosts[host].node for host in range(lab.simulation.storage_count)]
    replicas = [replica for node in nodes if node is not None for replica in node.replicas.values()]
    held = [r.state for r in replicas if r.spec.table == "things" and not r.log_only]
    return [state for state in held if isinstance(state, Partition) and state.form is not None and state.split is None]


def test_all_replicas_of_all_partitions_learn_of_a_change_and_of_the_next(lab: Any) -> None:
    assert {state.form.ttl for state in states(lab)} == {""}
    expire_by(lab, "expires")
    lab.run(2 * SECOND)
    assert {(state.form.version, state.form.ttl) for state in states(lab)} == {(1, "expires")}
    expire_by(lab, "expires", enabled=False)
    lab.run(2 * SECOND)
    assert {(state.form.version, state.form.ttl) for state in states(lab)} == {(2, "")}


def test_a_form_is_logged_once_however_often_it_is_asked_for(lab: Any) -> None:
    expire_by(lab, "expires")
    lab.run(10 * SECOND)
    reformed = [event.group for _, _, event in lab.told if event.kind == "reformed"]
    assert len(reformed) == len(set(reformed)) == lab.topology.partitions_per_table


def test_a_partition_without_a_leader_learns_when_it_has_one(lab: Any) -> None:
    index, group = lab.leader("a")
    lab.simulation.crash(index)
    expire_by(lab, "expires")
    lab.run(8 * SECOND)
    heard = {state.spec.group: state.form.version for state in states(lab)}
    assert heard[group] == 1
    lab.simulation.restart(index)
    lab.run(4 * SECOND)
    assert {state.form.version for state in states(lab)} == {1}


@pytest.mark.claim("S34")
def test_children_of_a_split_have_the_form_and_hear_of_the_next(lab: Any) -> None:
    for number in range(12):
        lab.put(f"k{number}", number)
    expire_by(lab, "expires")
    lab.run(2 * SECOND)
    index, group = lab.leader("k0")
    lab.simulation.order(index, m.SplitNow(group))
    lab.run(3 * SECOND)
    children = [state for state in states(lab) if state.spec.group.startswith(f"{group}.")]
    assert len(children) == 6 and {state.form.ttl for state in children} == {"expires"}
    expire_by(lab, "expires", enabled=False)
    lab.run(3 * SECOND)
    assert {(state.form.version, state.form.ttl) for state in states(lab)} == {(2, "")}


def test_a_form_and_the_last_delete_outlive_the_log_before_a_snapshot(lab: Any) -> None:
    lab.put("a", 1)
    lab.call("DeleteItem", TableName="things", Key={"pk": {"S": "a"}})
    expire_by(lab, "expires")
    lab.run(2 * SECOND)
    state = next(state for state in states(lab) if state.deleted_slot)
    copy = state.fresh()
    header = SnapshotHeader(state.spec, state.applied, state.log_time_ns, state.spec.members, (1, "n1"), state.counter)
    copy.load(header, [state.image(part) for part in state.view()])
    assert (copy.form, copy.deleted_ns, copy.deleted_slot) == (state.form, state.deleted_ns, state.deleted_slot)
    assert copy.deleted_ns >= copy.deleted_slot > 0


def test_an_older_form_that_comes_late_changes_nothing(lab: Any) -> None:
    expire_by(lab, "expires")
    expire_by(lab, "expires", enabled=False)
    lab.run(3 * SECOND)
    index, group = lab.leader("a")
    schema = states(lab)[0].schema
    lab.simulation.order(index, m.Alter(group, m.Form(1, schema, None, "expires")))
    lab.run(2 * SECOND)
    assert {state.form.ttl for state in states(lab)} == {""}


def test_stamps_of_single_writes_rise_also_over_a_delete(lab: Any) -> None:
    """ATC'23: the timestamp of an item that is not there is that of the latest delete."""

    def stored() -> Any:
        index, group = lab.leader("a")
        state = lab.simulation.hosts[index].node.replicas[group].state
        return state.deleted_ns, [item.stamp_ns for item in state.items.values()]

    lab.put("a", 1)
    _, (first,) = stored()
    lab.put("a", 2)
    _, (second,) = stored()
    lab.call("DeleteItem", TableName="things", Key={"pk": {"S": "a"}})
    deleted, none = stored()
    lab.put("a", 3)
    _, (last,) = stored()
    assert 0 < first < second < deleted < last and none == []

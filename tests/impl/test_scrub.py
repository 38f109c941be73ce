"""Scrubbing: what silently became of one replica's state is found, told, and mended; equal replicas are left alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dynalab_impl.digests import digest
from dynalab_impl.messages import GroupSpec
from dynalab_impl.partition import Partition, StoredItem

SECOND = 1_000_000_000


def scrubbed_lab(make_lab: Callable[..., Any], **shape: Any) -> Any:
    lab = make_lab(nodes_per_zone=1, routers=1, scrub=True, **{"partitions": 1, **shape})
    lab.create()
    for number in range(60):
        lab.put(f"k{number}", number)
    return lab


def state(lab: Any, machine: int, group: str) -> Any:
    return lab.simulation.hosts[machine].node.replicas[group].state


def told(lab: Any, kind: str) -> list[tuple[Any, Any]]:
    return [(who, event) for _, who, event in lab.told if event.kind == kind]


def rot_value(partition: Any) -> None:
    key = partition.items.keys()[7]
    stored = partition.items[key]
    partition.items[key] = replace(stored, held={**stored.item, "v": {"S": "rotten"}})


def lose_row(partition: Any) -> None:
    del partition.items[partition.items.keys()[0]]


def add_row(partition: Any) -> None:
    key = partition.items.keys()[-1]
    partition.items[key + b"\0ghost"] = partition.items[key]


def rot_answer(partition: Any) -> None:
    request = next(iter(partition.dedup))
    partition.dedup[request] = replace(partition.dedup[request], status=500)


HARMS = [rot_value, lose_row, add_row, rot_answer]


def test_replicas_that_are_equal_agree_in_every_round_and_are_left_alone(make_lab: Callable[..., Any]) -> None:
    lab = scrubbed_lab(make_lab, partitions=2)
    for number in range(40):
        lab.put(f"k{number}", f"again {number}")
        lab.run(SECOND // 4)
    assert len(told(lab, "scrubbed")) >= 6
    assert not told(lab, "replica-diverged") and not told(lab, "scrub-undecided")


@pytest.mark.claim("scrub")
@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("victim", ["leader", "follower"])
def test_a_replica_whose_state_silently_changed_is_found_and_rebuilt_and_serves_nothing_meanwhile(
    make_lab: Callable[..., Any], harm: Callable[[Any], None], victim: str
) -> None:
    lab = scrubbed_lab(make_lab)
    leader, group = lab.leader("k0")
    machine = leader if victim == "leader" else (leader + 1) % 3
    other = (leader + 2) % 3
    harm(state(lab, machine, group))
    replica = lab.simulation.hosts[machine].node.replicas[group]
    end_ns = lab.simulation.now + 20 * SECOND
    while not replica.rebuilding:
        assert lab.simulation.now < end_ns, "nobody noticed"
        lab.run(1_000_000)
    assert not replica.may_lead() and not replica.is_leader
    ((_, event),) = told(lab, "replica-diverged")
    assert event.detail == str(lab.simulation.addresses[machine])
    while replica.rebuilding:
        assert lab.simulation.now < end_ns, "it was never rebuilt"
        lab.run(SECOND // 10)
    lab.put("k3", "after")
    lab.run(8 * SECOND)
    assert list(state(lab, machine, group).view()) == list(state(lab, other, group).view())
    assert len(told(lab, "replica-rebuilt")) == 1 == len(told(lab, "replica-diverged"))
    assert len(told(lab, "scrubbed")) > 1 and lab.get("k7") == "7"


def test_what_differs_is_found_under_load_wherever_it_lies(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(nodes_per_zone=1, routers=1, scrub=True, partitions=1)
    lab.create()
    import dynalab_impl.scrub as room

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "SCRUB_ROWS", 16)  # many entries a round
        for number in range(100):
            lab.put(f"k{number}", number)
        leader, group = lab.leader("k0")
        machine = (leader + 1) % 3
        partition = state(lab, machine, group)
        key = partition.items.keys()[83]
        partition.items[key] = replace(partition.items[key], version=1)
        end_ns = lab.simulation.now + 30 * SECOND
        while not told(lab, "replica-rebuilt"):
            assert lab.simulation.now < end_ns
            lab.put("k1", str(lab.simulation.now))
            lab.run(SECOND // 20)
        lab.run(SECOND)
    assert list(state(lab, machine, group).view()) == list(state(lab, leader, group).view())


def test_without_a_majority_it_is_told_and_nothing_is_thrown_away(make_lab: Callable[..., Any]) -> None:
    lab = scrubbed_lab(make_lab)
    leader, group = lab.leader("k0")
    rot_value(state(lab, leader, group))
    lose_row(state(lab, (leader + 1) % 3, group))
    lab.run(8 * SECOND)
    assert told(lab, "scrub-undecided") and not told(lab, "replica-diverged")


def filled() -> Partition:
    partition = Partition(GroupSpec("g", "t", "", b"", b"", (), None), SECOND)
    for number in range(10):
        partition.items[b"k%d" % number] = StoredItem({"pk": {"S": str(number)}}, number, number)
    return partition


def test_stretches_of_any_length_go_through_all_rows_once_and_equal_states_have_equal_digests() -> None:
    for rows_max in (1, 3, 9, 10, 11):
        after, seen, keys = b"", [], 0
        while True:
            found = digest(filled(), 5, after, rows_max)
            assert found == digest(filled(), 5, after, rows_max)
            seen.append(found.text)
            keys += 1
            if not found.last:
                break
            after = found.last
        assert len({*seen}) == len(seen) == keys >= 10 // rows_max
    turned = filled()
    turned.items[b"k3"] = StoredItem({"pk": {"S": "3"}}, 3, 4)
    assert digest(turned, 5, b"", 99).text != digest(filled(), 5, b"", 99).text
    assert digest(turned, 5, b"k3", 99).text == digest(filled(), 5, b"k3", 99).text

"""Clocks that are a day off, where transactions, sweeps and streams look at them: one of them neither holds up what the
others do, nor takes away what is not over.
"""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_impl.effects import Address
from dynalab_impl.ledger import COMMITTED
from dynalab_impl.replication.leading import AHEAD_MAX_NS, begin

from .conftest import SECOND, Lab
from .test_streams import arn_of, enable, iterator, shards_of
from .test_sweeping import expire_by, now_s
from .test_sweeping import put as put_until
from .test_wild_clocks import DAY_NS
from .transacting import entries, markers, put, send, write


@pytest.fixture
def one_partition() -> Lab:
    lab = Lab(partitions=1)
    lab.create()
    return lab


def jump(lab: Lab, machine: int, by_ns: int = DAY_NS) -> None:
    lab.simulation.hosts[machine].wall_shift_ns += by_ns


def test_a_transaction_that_clocks_of_tomorrow_began_is_taken_over_today(one_partition: Lab) -> None:
    """The leader's time stands in the marker, the router's in the ledger."""
    lab = one_partition
    assert write(lab, put("z", 1)).status == 200
    leader, router = lab.leader("a")[0], lab.simulation.storage_count
    jump(lab, router)
    jump(lab, leader)
    lab.run(SECOND)
    rule = lab.rule("cut", [router, router + 1], list(range(router)), names=("CommitItem", "CancelItem"))
    send(lab, [put("a", 1), put("b", 1)])
    lab.run(SECOND // 2)
    assert markers(lab)
    lab.simulation.crash(router)
    lab.simulation.crash(leader)
    lab.simulation.network.remove_rule(rule)
    lab.run(12 * SECOND)
    lab.simulation.restart(router)
    assert markers(lab) == [] and lab.get("a", consistent=True) == "1"
    assert all(entry.finished for entry in entries(lab))


def test_a_token_whose_router_had_a_clock_of_tomorrow_is_not_in_progress_until_then(one_partition: Lab) -> None:
    lab = one_partition
    assert write(lab, put("z", 1)).status == 200
    router = lab.simulation.storage_count
    jump(lab, router)
    lab.rule("cut", [router], list(range(router)), names=("PrepareItem",))
    token: dict[str, Any] = {"ClientRequestToken": "once"}
    send(lab, [put("a", 1)], **token)
    lab.run(SECOND // 2)
    lab.simulation.crash(router)
    assert write(lab, put("a", 1), router=1, **token).status == 200
    assert {entry.state for entry in entries(lab)} == {COMMITTED}


def test_transactions_go_on_where_one_leaders_clock_is_of_yesterday() -> None:
    """Its items are as old as its clock; those of the other leaders are not."""
    lab = Lab()
    lab.create()
    keys = "abcdefg"
    assert write(lab, *[put(key, 0) for key in keys]).status == 200
    jump(lab, lab.leader("a")[0], -DAY_NS)
    lab.run(SECOND)
    for turn in range(3):
        for key in keys:
            assert lab.put(key, turn).status == 200
        assert write(lab, *[put(key, turn) for key in keys]).status == 200


def test_a_clock_that_jumps_to_tomorrow_removes_nothing_that_expires_until_then(one_partition: Lab) -> None:
    lab = one_partition
    expire_by(lab)
    put_until(lab, "a", now_s(lab) + 3_600)
    put_until(lab, "b", now_s(lab) + 2)
    jump(lab, lab.leader("a")[0])
    lab.run(6 * SECOND)
    assert (lab.get("a"), lab.get("b")) == ("1", None)


def test_a_clock_that_jumps_to_tomorrow_trims_no_record_of_today(one_partition: Lab) -> None:
    lab = one_partition
    enable(lab)
    lab.put("a", 1)
    jump(lab, lab.leader("a")[0], 2 * DAY_NS)
    for _ in range(2):
        [shard] = shards_of(lab, arn_of(lab))
        place = iterator(lab, arn_of(lab), shard["ShardId"])
        answer: Any = lab.call("GetRecords", ShardIterator=place)
        assert len(answer.body["Records"]) == 1
        lab.run(2 * SECOND)


def test_a_clock_that_jumps_between_two_comparisons_does_not_take_log_time_along() -> None:
    me, other = (Address("r", f"z{number}", f"n{number}") for number in (1, 2))
    lead = begin((1, "n1#1"), 1, 0, me, ())
    lead.compare_clocks(other, 100, 100)
    assert lead.wall_ns(100 + SECOND) == 100 + SECOND
    assert lead.wall_ns(100 + DAY_NS) == 100 + AHEAD_MAX_NS


def test_a_member_that_is_silent_since_before_a_jump_does_not_vouch_for_the_clock_that_jumped() -> None:
    me, other, silent = (Address("r", f"z{number}", f"n{number}") for number in (1, 2, 3))
    lead = begin((1, "n1#1"), 1, 0, me, ())
    lead.compare_clocks(silent, 100, 100)
    lead.compare_clocks(other, 110, 110)
    lead.compare_clocks(other, 120, 120 + DAY_NS)
    assert lead.wall_ns(120 + DAY_NS) == 120 + AHEAD_MAX_NS

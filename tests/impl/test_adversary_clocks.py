"""Clocks that are a day off, where transactions, sweeps and streams look at them: one of them neither holds up what the
others do, nor takes away what is not over.
"""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_impl.effects import Address
from dynalab_impl.ledger import COMMITTED, LEDGER
from dynalab_impl.replication.leading import AHEAD_MAX_NS, begin

from .conftest import SECOND, Lab
from .test_streams import arn_of, enable, iterator, shards_of
from .test_sweeping import expire_by, now_s
from .test_sweeping import put as put_until
from .test_wild_clocks import DAY_NS
from .transacting import add, entries, markers, put, replicas, send, write


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


MINUTE = 60 * SECOND


def count(lab: Lab) -> str:
    found: Any = lab.call("GetItem", TableName="things", Key={"pk": {"S": "a"}}, ConsistentRead=True).body
    return str(found["Item"]["n"]["N"])


def ledger_ns(lab: Lab) -> int:
    """The log time of the ledger."""
    return max(int(replica.state.log_time_ns) for replica in replicas(lab) if replica.spec.table == LEDGER)


@pytest.mark.parametrize("ahead_minutes", [11, 24 * 60])
@pytest.mark.claim("S170")
def test_a_token_that_was_used_just_now_is_not_free_for_a_router_whose_clock_is_ahead(
    one_partition: Lab, ahead_minutes: int
) -> None:
    """A token is as old as the log time of the ledger says. Nobody compares the clocks of routers."""
    lab = one_partition
    assert write(lab, put("z", 1)).status == 200
    token: dict[str, Any] = {"ClientRequestToken": "once"}
    assert write(lab, add("a", 1), **token).status == 200
    lab.run(2 * SECOND)
    assert all(entry.finished for entry in entries(lab))
    jump(lab, lab.simulation.storage_count + 1, ahead_minutes * MINUTE)
    assert write(lab, add("a", 1), router=1, **token).status == 200
    assert count(lab) == "1" and "token-answered" in lab.kinds()


def test_a_token_lives_ten_minutes_whatever_the_clock_of_who_finished_it_said(one_partition: Lab) -> None:
    """The router that finished it was a little behind, and the one that is asked again is a little ahead."""
    lab = one_partition
    assert write(lab, put("z", 1)).status == 200
    storage = lab.simulation.storage_count
    token: dict[str, Any] = {"ClientRequestToken": "once"}
    jump(lab, storage, -9 * SECOND)
    jump(lab, storage + 1, 9 * SECOND)
    assert write(lab, add("a", 1), **token).status == 200
    lab.run(2 * SECOND)
    finished_ns = ledger_ns(lab)
    for machine in range(storage + 2):
        jump(lab, machine, 590 * SECOND)
    lab.run(2 * SECOND)
    assert write(lab, add("a", 1), router=1, **token).status == 200
    assert count(lab) == "1", "ten minutes are not over"
    assert 590 * SECOND < ledger_ns(lab) - finished_ns < 600 * SECOND
    for machine in range(storage + 2):
        jump(lab, machine, 10 * SECOND)
    lab.run(2 * SECOND)
    assert write(lab, add("a", 1), router=1, **token).status == 200
    assert count(lab) == "2", "and now they are"


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

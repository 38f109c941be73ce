"""What a replication group promises, step by step in virtual time. Random faults are the campaign's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

SECOND = 1_000_000_000


@pytest.mark.claim("S22", "S23")
def test_a_write_acknowledged_before_the_leader_dies_is_read_after_failover(lab: Any) -> None:
    assert lab.put("a", "before").status == 200
    leader, _ = lab.leader("a")
    lab.simulation.crash(leader)
    assert lab.get("a") == "before"
    assert lab.put("a", "after").status == 200
    assert lab.leader("a")[0] != leader
    assert lab.get("a") == "after"


@pytest.mark.claim("S22")
def test_the_new_leader_serves_only_after_the_old_lease_has_ended(lab: Any) -> None:
    leader, group = lab.leader("a")
    died_ns = lab.simulation.now
    lab.simulation.crash(leader)
    lab.get("a")
    served = [at for at, _, e in lab.told if e.kind == "read-strong" and e.group == group and at > died_ns]
    elected = [at for at, _, e in lab.told if e.kind == "leader-elected" and e.group == group and at > died_ns]
    timing = lab.topology.timing
    slack_ns = timing.stretched_lease_ns() * timing.drift_ppm // 1_000_000
    assert served[0] - elected[0] >= timing.stretched_lease_ns() - slack_ns


@pytest.mark.claim("S20")
def test_no_two_replicas_of_a_partition_are_in_one_zone(lab: Any) -> None:
    for node in (host.node for host in lab.simulation.hosts[: lab.simulation.storage_count]):
        for replica in node.replicas.values():
            zones = [m.address.zone for m in replica.members]
            assert sorted(set(zones)) == sorted(zones) == ["z1", "z2", "z3"]


@pytest.mark.claim("S133")
def test_a_zone_is_lost_and_writes_go_on(lab: Any) -> None:
    lab.put("a", 1)
    for index, address in enumerate(lab.simulation.addresses):
        if address.zone == "z1":
            lab.simulation.crash(index)
    assert lab.put("a", 2, router=1).status == 200
    answer = lab.call("GetItem", router=1, TableName="things", Key={"pk": {"S": "a"}}, ConsistentRead=True)
    assert answer.body["Item"]["v"] == {"S": "2"}


def test_a_wiped_replica_comes_back_as_a_learner_and_is_readmitted(lab: Any) -> None:
    for i in range(20):
        lab.put(f"k{i}", i)
    leader, group = lab.leader("k0")
    follower = next(i for i in lab.members(group) if i != leader)
    hosted = dict(lab.simulation.hosts[follower].node.replicas)
    lab.simulation.crash(follower)
    lab.simulation.wipe(follower)
    lab.simulation.restart(follower)
    lab.run(4 * SECOND)
    replicas = lab.simulation.hosts[follower].node.replicas
    for name in hosted:
        assert replicas[name].role in ("follower", "leader")
        assert replicas[name].commit_index > 0
    assert "learner-joined" in lab.kinds() and "learner-readmitted" in lab.kinds()
    # It counts again: with the third member gone, the group still commits.
    third = next(i for i in lab.members(group) if i not in (leader, follower))
    lab.simulation.crash(third)
    assert lab.put("k0", "with the readmitted one").status == 200


def test_a_wiped_replica_promises_nothing_before_it_is_readmitted(lab: Any) -> None:
    lab.put("a", "kept")
    leader, group = lab.leader("a")
    follower, third = (i for i in lab.members(group) if i != leader)
    lab.simulation.crash(third)
    lab.put("a", "only on two disks")
    lab.simulation.crash(follower)
    lab.simulation.wipe(follower)
    lab.simulation.crash(leader)
    lab.simulation.restart(follower)
    lab.simulation.restart(third)
    lab.run(10 * SECOND)
    # The third member lacks the last write and the wiped one lacks everything: together they must not elect.
    since = lab.simulation.now - 10 * SECOND
    assert not [1 for at, _, e in lab.told if e.kind == "leader-elected" and e.group == group and at > since]
    lab.simulation.restart(leader)
    assert lab.get("a") == "only on two disks"


def test_a_restarted_node_reads_its_log_back(lab: Any) -> None:
    for i in range(10):
        lab.put("a", i)
    leader, group = lab.leader("a")
    follower = next(i for i in lab.members(group) if i != leader)
    lab.run(SECOND)
    before = lab.simulation.hosts[follower].node.table_items("things")[group]
    lab.simulation.crash(follower)
    assert lab.simulation.hosts[follower].node is None
    lab.simulation.restart(follower)
    assert lab.simulation.hosts[follower].node.table_items("things")[group] == before


def test_a_leader_that_is_cut_off_stops_serving_strong_reads(lab: Any) -> None:
    lab.put("a", "old")
    leader, group = lab.leader("a")
    others = [i for i in range(len(lab.simulation.hosts)) if i != leader]
    lab.rule("cut", [leader], others, both_ways=True)
    lab.run(3 * SECOND)
    node = lab.simulation.hosts[leader].node
    replica = node.replicas[group]
    assert replica.is_leader, "it has not heard of its successor"
    assert not replica.may_serve(lab.simulation.hosts[leader].local_ns(lab.simulation.now))
    assert lab.put("a", "new").status == 200
    assert lab.get("a") == "new"


@pytest.mark.claim("retries")
def test_a_write_that_is_retried_happens_once(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(seed=5)
    lab.create()
    lab.call("PutItem", TableName="things", Item={"pk": {"S": "n"}, "c": {"N": "0"}})
    everybody = list(range(len(lab.simulation.hosts)))
    lab.rule("duplicate", everybody, everybody, delay_ns=2_000_000)  # each increment reaches its leader twice
    for _ in range(10):
        answer = lab.call(
            "UpdateItem",
            TableName="things",
            Key={"pk": {"S": "n"}},
            UpdateExpression="ADD c :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )
        assert answer.status == 200
    item = lab.call("GetItem", TableName="things", Key={"pk": {"S": "n"}}, ConsistentRead=True).body["Item"]
    assert item["c"] == {"N": "10"}
    assert "dedup-answered" in lab.kinds()


@pytest.mark.claim("retries")
def test_a_late_copy_of_a_refused_write_does_not_happen(lab: Any) -> None:
    """A condition fails, and a copy of the request arrives when it would hold: the client was told no."""
    lab.put("a", "here")
    everybody = list(range(len(lab.simulation.hosts)))
    rule = lab.rule("duplicate", everybody, everybody, names=("WriteRequest",), delay_ns=SECOND)
    refused = lab.put("a", "too late", ConditionExpression="attribute_not_exists(pk)")
    assert refused.error == "ConditionalCheckFailedException"
    lab.simulation.network.remove_rule(rule)
    assert lab.call("DeleteItem", TableName="things", Key={"pk": {"S": "a"}}).status == 200
    lab.run(2 * SECOND)
    assert lab.get("a") is None


def test_an_appended_write_is_seen_by_the_next_condition_before_it_is_committed(lab: Any) -> None:
    lab.put("a", 0)
    leader, group = lab.leader("a")
    for follower in lab.members(group):
        if follower != leader:
            lab.rule("delay", [leader], [follower], names=("Accept",), delay_ns=SECOND // 5)
    first = lab.send("PutItem", TableName="things", Item={"pk": {"S": "a"}, "v": {"S": "1"}})
    lab.run(SECOND // 50)
    assert first not in lab.answers
    second = lab.call(
        "PutItem",
        TableName="things",
        Item={"pk": {"S": "a"}, "v": {"S": "2"}},
        ConditionExpression="v = :v",
        ExpressionAttributeValues={":v": {"S": "1"}},
        ReturnValues="ALL_OLD",
    )
    assert (second.status, second.body["Attributes"]["v"]) == (200, {"S": "1"})
    assert lab.answers[first].status == 200


def test_a_write_that_got_no_answer_is_told_as_unknown(lab: Any) -> None:
    leader, group = lab.leader("a")
    for follower in lab.members(group):
        if follower != leader:
            lab.simulation.crash(follower)
    assert lab.put("a", "perhaps").status == 500
    for index in range(lab.simulation.storage_count):
        if not lab.simulation.is_up(index):
            lab.simulation.restart(index)
    lab.run(5 * SECOND)
    assert lab.get("a") in (None, "perhaps")


@pytest.mark.claim("S27", "S28", "S29", "S30")
def test_the_index_follows_the_table_and_forgets_the_old_key(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(seed=2)
    lab.create(index=True)

    def colours(colour: str) -> list[str]:
        answer = lab.call(
            "Query",
            TableName="things",
            IndexName="by-colour",
            KeyConditionExpression="colour = :c",
            ExpressionAttributeValues={":c": {"S": colour}},
        )
        return [item["pk"]["S"] for item in answer.body["Items"]]

    lab.put("a", 1, attributes={"colour": {"S": "red"}})
    lab.put("b", 1)
    lab.run(SECOND)
    assert (colours("red"), colours("blue")) == (["a"], [])
    lab.put("a", 2, attributes={"colour": {"S": "blue"}})
    lab.run(SECOND)
    assert (colours("red"), colours("blue")) == ([], ["a"])
    lab.call("DeleteItem", TableName="things", Key={"pk": {"S": "a"}})
    lab.run(SECOND)
    assert (colours("red"), colours("blue")) == ([], [])


@pytest.mark.claim("S27")
def test_an_index_change_that_was_not_carried_when_the_leader_died_is_carried_by_the_next(
    make_lab: Callable[..., Any],
) -> None:
    lab = make_lab(seed=3)
    lab.create(index=True)
    leader, _ = lab.leader("a")
    everybody = list(range(len(lab.simulation.hosts)))
    rule = lab.rule("loss", [leader], everybody, names=("IndexRequest",))
    lab.put("a", 1, attributes={"colour": {"S": "red"}})
    lab.simulation.crash(leader)
    lab.simulation.network.remove_rule(rule)
    lab.run(8 * SECOND)
    answer = lab.call(
        "Query",
        TableName="things",
        IndexName="by-colour",
        KeyConditionExpression="colour = :c",
        ExpressionAttributeValues={":c": {"S": "red"}},
    )
    assert [item["pk"]["S"] for item in answer.body["Items"]] == ["a"]


@pytest.mark.claim("S19")
def test_a_query_reads_its_collection_in_sort_key_order_both_ways_and_by_pages(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(seed=4)
    lab.create(sort_key=True)
    for n in (3, -1, 20, 7, 0):
        lab.call("PutItem", TableName="things", Item={"pk": {"S": "c"}, "sk": {"N": str(n)}})

    def pages(**more: Any) -> list[list[str]]:
        out, start = [], None
        while True:
            extra = {"ExclusiveStartKey": start} if start else {}
            body = lab.call(
                "Query",
                TableName="things",
                KeyConditionExpression="pk = :p",
                ExpressionAttributeValues={":p": {"S": "c"}},
                ConsistentRead=True,
                **extra,
                **more,
            ).body
            out.append([item["sk"]["N"] for item in body["Items"]])
            start = body.get("LastEvaluatedKey")
            if start is None:
                return out

    assert pages() == [["-1", "0", "3", "7", "20"]]
    assert pages(Limit=2) == [["-1", "0"], ["3", "7"], ["20"]]
    assert pages(Limit=3, ScanIndexForward=False) == [["20", "7", "3"], ["0", "-1"]]


@pytest.mark.claim("S17")
def test_a_scan_crosses_all_partitions_and_finds_every_item_once(lab: Any) -> None:
    for i in range(40):
        lab.put(f"k{i}", i)
    seen: list[str] = []
    start: Any = None
    while True:
        extra = {"ExclusiveStartKey": start} if start else {}
        body = lab.call("Scan", TableName="things", ConsistentRead=True, Limit=7, **extra).body
        seen += [item["pk"]["S"] for item in body["Items"]]
        start = body.get("LastEvaluatedKey")
        if start is None:
            break
    assert sorted(seen) == sorted(f"k{i}" for i in range(40))
    groups = {lab.leader(f"k{i}")[1] for i in range(40)}
    assert len(groups) == 4


def test_a_follower_that_restarted_catches_up_though_nobody_writes(lab: Any) -> None:
    """It has every entry on its disk, and has forgotten which of them its leader has committed."""
    leader, group = lab.leader("a")
    follower = next(index for index in lab.members(group) if index != leader)
    lab.put("a", "early")
    lab.run(SECOND)
    lab.put("a", "late")
    lab.run(SECOND // 50)
    lab.simulation.crash(follower)
    lab.simulation.restart(follower)
    lab.run(2 * SECOND)
    replica = lab.simulation.hosts[follower].node.replicas[group]
    assert replica.commit_index == lab.simulation.hosts[leader].node.replicas[group].commit_index
    assert [stored.item["v"]["S"] for stored in replica.state.items.values()] == ["late"]

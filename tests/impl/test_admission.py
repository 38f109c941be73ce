"""Admission in a simulated cluster: who is refused, with what error, and that a refusal is final."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dynalab_impl import messages as m
from dynalab_impl.effects import Limits

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
PROVISIONED = "ProvisionedThroughputExceededException"
TEXT = (
    "The level of configured provisioned throughput for the table was exceeded. "
    "Consider increasing your provisioning level with the UpdateTable API."
)


def provisioned(lab: Any, read: int, write: int, table: str = "things") -> None:
    """A table with this throughput, and nodes that have heard of it."""
    answer = lab.call(
        "CreateTable",
        TableName=table,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        ProvisionedThroughput={"ReadCapacityUnits": read, "WriteCapacityUnits": write},
    )
    assert answer.status == 200
    while lab.call("DescribeTable", TableName=table).body["Table"]["TableStatus"] != "ACTIVE":
        lab.run(SECOND // 10)
    lab.run(3 * SECOND)


def puts(lab: Any, keys: list[str], wait_ns: int = 8 * SECOND, **body: Any) -> list[Any]:
    """Writes that are all sent at once, and their answers."""
    item = body.pop("item", {})
    tokens = [lab.send("PutItem", TableName="things", Item={"pk": {"S": k}, **item}, **body) for k in keys]
    lab.run(wait_ns)
    return [lab.answers[token] for token in tokens]


def gets(lab: Any, keys: list[str], consistent: bool, wait_ns: int = 8 * SECOND) -> list[Any]:
    tokens = [lab.send("GetItem", TableName="things", Key={"pk": {"S": k}}, ConsistentRead=consistent) for k in keys]
    lab.run(wait_ns)
    return [lab.answers[token] for token in tokens]


def small(make_lab: Callable[..., Any], **limits: int) -> Any:
    return make_lab(nodes_per_zone=1, routers=1, partitions=1, limits=Limits(**limits))


@pytest.mark.claim("S36")
def test_a_provisioned_table_is_refused_in_the_service_s_words_and_the_refused_write_is_not_logged(
    make_lab: Callable[..., Any],
) -> None:
    lab = small(make_lab, burst_s=0)
    provisioned(lab, 10, 10)
    before = [len(r.log) for r in replicas(lab)]
    keys = [f"k{i}" for i in range(30)]
    answers = puts(lab, keys, wait_ns=SECOND // 2)
    refused = [a for a in answers if a.status != 200]
    # Ten tokens and what flows in while thirty requests arrive, which is less than one.
    assert len(refused) in (19, 20)
    for answer in refused:
        assert (answer.status, answer.error) == (400, PROVISIONED)
        assert answer.body["message"] == TEXT
        assert answer.body["ThrottlingReasons"][0]["reason"] == "TableWriteProvisionedThroughputExceeded"
    lab.run(SECOND)
    assert [len(r.log) for r in replicas(lab)] == [length + 30 - len(refused) for length in before]
    for key, answer in zip(keys, answers, strict=True):
        lab.run(SECOND // 5)
        found = lab.call("GetItem", TableName="things", Key={"pk": {"S": key}}, ConsistentRead=True)
        assert found.status == 200 and ("Item" in found.body) is (answer.status == 200)


def replicas(lab: Any) -> list[Any]:
    """All replicas of the table."""
    nodes = [lab.simulation.hosts[i].node for i in range(lab.simulation.storage_count)]
    return [r for node in nodes for r in node.replicas.values() if r.spec.table == "things"]


@pytest.mark.claim("S37")
def test_a_hot_key_is_throttled_though_the_table_has_capacity(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(nodes_per_zone=1, routers=1, partitions=4, limits=Limits(partition_read=300, partition_write=100))
    provisioned(lab, 400, 400)
    hot = puts(lab, ["hot"] * 250, wait_ns=SECOND)
    refused = [a for a in hot if a.status != 200]
    assert 100 <= len(refused) <= 150  # a hundred a second, though four hundred were bought
    assert {a.body["ThrottlingReasons"][0]["reason"] for a in refused} == {"TableWriteKeyRangeThroughputExceeded"}
    lab.run(2 * SECOND)
    keys = [f"k{i}" for i in range(250)]
    spread = puts(lab, keys, wait_ns=SECOND)
    assert [a.status for a in spread] == [200] * 250  # as many writes, over all keys


@pytest.mark.claim("S38")
def test_an_on_demand_table_has_only_the_limits_of_partition_and_node(make_lab: Callable[..., Any]) -> None:
    lab = small(make_lab, partition_read=300, partition_write=100)
    lab.create()
    answers = puts(lab, [f"k{i}" for i in range(150)], wait_ns=SECOND)
    refused = [a for a in answers if a.status != 200]
    assert 40 <= len(refused) <= 50
    assert {a.error for a in refused} == {"ThrottlingException"}
    assert {a.body["throttlingReasons"][0]["reason"] for a in refused} == {"TableWriteKeyRangeThroughputExceeded"}


def with_ceilings(lab: Any, read: int, write: int) -> None:
    """A table on demand that may use so much at most, and nodes that have heard of it."""
    answer = lab.call(
        "CreateTable",
        TableName="things",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        OnDemandThroughput={"MaxReadRequestUnits": read, "MaxWriteRequestUnits": write},
    )
    assert answer.status == 200
    lab.run(8 * SECOND)


def lift(lab: Any, **ceilings: int) -> None:
    assert lab.call("UpdateTable", TableName="things", OnDemandThroughput=ceilings).status == 200
    lab.run(5 * SECOND)


def test_an_on_demand_table_is_throttled_above_its_ceilings_and_not_below(make_lab: Callable[..., Any]) -> None:
    lab = small(make_lab, burst_s=0)
    with_ceilings(lab, 20, 10)
    assert [a.status for a in puts(lab, [f"k{i}" for i in range(10)], wait_ns=2 * SECOND)] == [200] * 10
    assert [a.status for a in gets(lab, ["k1"] * 20, True, wait_ns=2 * SECOND)] == [200] * 20
    keys = [f"more{i}" for i in range(30)]
    answers = puts(lab, keys, wait_ns=SECOND // 2)
    refused = [key for key, answer in zip(keys, answers, strict=True) if answer.status != 200]
    assert len(refused) in (19, 20)
    said = next(answer for answer in answers if answer.status != 200)
    assert (said.status, said.error) == (400, "ThrottlingException")
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/things"
    assert said.body["throttlingReasons"] == [{"reason": "TableWriteMaxOnDemandThroughputExceeded", "resource": arn}]
    lab.run(3 * SECOND)
    read = gets(lab, ["k1"] * 60, True, wait_ns=SECOND // 2)
    assert sum(1 for a in read if a.status != 200) in (39, 40)
    reasons = {a.body["throttlingReasons"][0]["reason"] for a in read if a.status != 200}
    assert reasons == {"TableReadMaxOnDemandThroughputExceeded"}
    lift(lab, MaxWriteRequestUnits=-1)
    for key in refused:  # one at a time: reads are held to their ceiling still
        lab.run(SECOND // 10)
        found = lab.call("GetItem", TableName="things", Key={"pk": {"S": key}}, ConsistentRead=True)
        assert (found.status, found.body) == (200, {}), "what was refused did not happen"
    assert [a.status for a in puts(lab, keys * 3, wait_ns=2 * SECOND)] == [200] * 90, "its ceiling is lifted"
    assert sum(1 for a in gets(lab, ["k1"] * 60, True, wait_ns=SECOND // 2) if a.status != 200) in (39, 40)
    lift(lab, MaxReadRequestUnits=30)
    assert sum(1 for a in gets(lab, ["k1"] * 60, True, wait_ns=SECOND // 2) if a.status != 200) in (29, 30)


def test_a_transaction_beyond_a_ceiling_is_cancelled_with_a_throttling_error(make_lab: Callable[..., Any]) -> None:
    lab = small(make_lab, burst_s=0)
    with_ceilings(lab, 20, 5)
    put = {"Put": {"TableName": "things", "Item": {"pk": {"S": "t"}}}}
    assert lab.call("TransactWriteItems", TransactItems=[put]).status == 200
    assert lab.put("big", "x" * 20_000).status == 200  # five units a second, and this leaves a debt of fifteen
    answer = lab.call("TransactWriteItems", TransactItems=[put])
    assert answer.error == "TransactionCanceledException"
    assert [reason["Code"] for reason in answer.body["CancellationReasons"]] == ["ThrottlingError"]
    lab.run(5 * SECOND)
    assert lab.call("TransactWriteItems", TransactItems=[put]).status == 200


@pytest.mark.claim("S33")
def test_reads_are_paid_by_size_strong_ones_at_the_leader_and_eventual_ones_over_all_replicas(
    make_lab: Callable[..., Any],
) -> None:
    lab = small(make_lab, partition_read=30, partition_write=10)
    lab.create()
    assert lab.put("big", "x" * 7_000).status == 200  # 7 writes, 2 strong reads
    lab.run(2 * SECOND)
    strong = gets(lab, ["big"] * 40, consistent=True, wait_ns=SECOND // 2)
    assert sum(1 for a in strong if a.status == 200) in (15, 16)
    lab.run(2 * SECOND)
    eventual = gets(lab, ["big"] * 60, consistent=False, wait_ns=SECOND // 2)
    served = sum(1 for a in eventual if a.status == 200)
    # Thirty in all if they were spread evenly; a leader serves up to thirty, a follower ten and one begun.
    assert 25 <= served <= 45
    assert {a.error for a in eventual if a.status != 200} == {"ThrottlingException"}


def test_a_failed_condition_is_paid_like_the_write_that_it_is(make_lab: Callable[..., Any]) -> None:
    lab = small(make_lab, burst_s=0)
    provisioned(lab, 10, 10)
    assert lab.put("a", "first").status == 200
    lab.run(2 * SECOND)
    answers = puts(lab, ["a"] * 20, wait_ns=SECOND // 2, ConditionExpression="attribute_not_exists(pk)")
    errors = [a.error for a in answers]
    assert errors.count("ConditionalCheckFailedException") in (10, 11)
    assert errors.count(PROVISIONED) in (9, 10)


def test_a_change_of_throughput_reaches_the_leaders_within_two_seconds(make_lab: Callable[..., Any]) -> None:
    lab = small(make_lab, burst_s=0)
    provisioned(lab, 5, 5)
    assert sum(1 for a in puts(lab, ["a"] * 30, wait_ns=SECOND // 2) if a.status == 200) < 10
    new = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 100}
    assert lab.call("UpdateTable", TableName="things", ProvisionedThroughput=new).status == 200
    lab.run(3 * SECOND)
    assert sum(1 for a in puts(lab, ["a"] * 90, wait_ns=SECOND // 2) if a.status == 200) == 90


def test_a_batch_gives_back_what_was_throttled_and_takes_the_rest(make_lab: Callable[..., Any]) -> None:
    lab = small(make_lab, burst_s=0)
    provisioned(lab, 10, 10)
    writes = [{"PutRequest": {"Item": {"pk": {"S": f"k{i}"}}}} for i in range(25)]
    answer = lab.call("BatchWriteItem", RequestItems={"things": writes})
    assert answer.status == 200
    left = answer.body["UnprocessedItems"]["things"]
    assert len(left) in (14, 15)
    again = lab.call("BatchWriteItem", RequestItems={"things": left})
    # Nothing has flowed in to speak of: a batch of which nothing could be done is an error.
    assert (again.status, again.error) == (400, PROVISIONED)
    for _ in range(10):
        lab.run(SECOND)
        answer = lab.call("BatchWriteItem", RequestItems={"things": left})
        assert answer.status == 200
        left = answer.body["UnprocessedItems"].get("things", [])
        if not left:
            break
    assert not left
    keys = [{"pk": {"S": f"k{i}"}} for i in range(25)]
    lab.run(2 * SECOND)
    found = lab.call("BatchGetItem", RequestItems={"things": {"Keys": keys, "ConsistentRead": True}})
    assert len(found.body["Responses"]["things"]) + len(found.body["UnprocessedKeys"]["things"]["Keys"]) == 25
    assert 10 <= len(found.body["Responses"]["things"]) <= 11


@pytest.mark.claim("S110")
def test_latency_is_flat_up_to_the_limit_and_beyond_it_requests_fail_as_fast(make_lab: Callable[..., Any]) -> None:
    served: dict[int, list[int]] = {}
    for rate in (20, 60, 100, 300):
        lab = small(make_lab, partition_read=300, partition_write=100)
        lab.create()
        lab.put("k", "warm")
        lab.run(2 * SECOND)
        sent: dict[int, int] = {}
        took: list[tuple[int, int]] = []
        client = lab.simulation.clients[0]
        client.on_response = lambda token, response, lab=lab, sent=sent, took=took: took.append(
            (response.status, lab.simulation.now - sent[token])
        )
        for i in range(2 * rate):
            token = lab.send("PutItem", TableName="things", Item={"pk": {"S": f"k{i % 20}"}})
            sent[token] = lab.simulation.now
            lab.run(SECOND // rate)
        lab.run(SECOND)
        fine = sorted(ns for status, ns in took if status == 200)
        refused = sorted(ns for status, ns in took if status == 400)
        assert len(fine) + len(refused) == 2 * rate
        served[rate] = [fine[len(fine) // 2], fine[len(fine) * 99 // 100], len(refused)]
        if refused:
            assert refused[-1] < fine[len(fine) // 2]  # a refusal costs no sync and no round trip to a follower
    assert [served[rate][2] for rate in (20, 60, 100)] == [0, 0, 0]
    assert (
        295 <= served[300][2] <= 305
    )  # 600 sent in two seconds; a full bucket of 100 and 200 that flowed in were served
    medians = [served[rate][0] for rate in served]
    assert max(medians) * 10 < min(medians) * 11
    assert max(served[rate][1] for rate in served) < 5 * MILLISECOND


# --- a refusal is final ----------------------------------------------------------------------------------------------


def throttled_lab(make_lab: Callable[..., Any]) -> Any:
    """A table of one write a second, which owes one."""
    lab = small(make_lab, burst_s=0)
    provisioned(lab, 10, 1)
    spend(lab)
    return lab


def spend(lab: Any, router: int = 0) -> None:
    """Use the token of this second, and begin the next one."""
    assert [lab.put("a", "kept", router=router).status for _ in range(2)] == [200, 200]


@pytest.mark.claim("S36")
def test_a_late_copy_of_a_refused_write_does_not_happen(make_lab: Callable[..., Any]) -> None:
    lab = throttled_lab(make_lab)
    storage = list(range(lab.simulation.storage_count))
    router = lab.simulation.storage_count
    rule = lab.rule("duplicate", [router], storage, names=("WriteRequest",), delay_ns=3 * SECOND)
    refused = lab.put("a", "must not be")
    assert (refused.status, refused.error) == (400, PROVISIONED)
    lab.simulation.network.remove_rule(rule)
    lab.run(5 * SECOND)  # by now there are tokens again, and the copy has come
    assert rule.hits == 1
    assert lab.get("a") == "kept"


def test_a_late_copy_of_a_refused_write_does_not_happen_after_the_leader_was_restarted(
    make_lab: Callable[..., Any],
) -> None:
    lab = throttled_lab(make_lab)
    leader, _ = lab.leader("a")
    router = lab.simulation.storage_count
    others = [i for i in range(lab.simulation.storage_count) if i != leader]
    rule = lab.rule("duplicate", [router], [leader], names=("WriteRequest",), delay_ns=12 * SECOND)
    refused = lab.put("a", "must not be")
    assert (refused.status, refused.error) == (400, PROVISIONED)
    lab.simulation.network.remove_rule(rule)
    lab.simulation.crash(leader)
    lab.simulation.restart(leader)
    lab.run(4 * SECOND)
    # The others are kept silent until the old leader leads again, and then let back.
    silence = lab.rule("cut", others, others)
    for _ in range(30):
        if lab.leader("a")[0] == leader:
            break
        now = lab.leader("a")[0]
        lab.simulation.crash(now)
        lab.run(SECOND)
        lab.simulation.restart(now)
        lab.run(SECOND // 2)
    lab.simulation.network.remove_rule(silence)
    lab.run(14 * SECOND)
    assert rule.hits == 1
    assert lab.get("a") == "kept"


def test_a_refusal_is_not_believed_while_another_attempt_may_be_carried_out(make_lab: Callable[..., Any]) -> None:
    lab = throttled_lab(make_lab)
    lab.run(3 * SECOND)
    storage = list(range(lab.simulation.storage_count))
    router = lab.simulation.storage_count
    # The first attempt is held back. The second one finds no token, since another write took it; then the first comes.
    held = lab.rule("delay", [router], storage, names=("WriteRequest",), delay_ns=2 * SECOND)
    token = lab.send("PutItem", TableName="things", Item={"pk": {"S": "a"}, "v": {"S": "late"}})
    lab.run(100 * MILLISECOND)
    lab.simulation.network.remove_rule(held)
    spend(lab)
    lab.run(700 * MILLISECOND)
    assert token not in lab.answers, "its second attempt was refused, its first one is under way"
    assert "throttled" in lab.kinds()
    lab.run(6 * SECOND)
    # It was carried out once, and its client was told so.
    assert lab.answers[token].status == 200
    assert lab.get("a") == "late"


def test_a_refusal_from_before_another_attempt_was_turned_away_is_not_believed(make_lab: Callable[..., Any]) -> None:
    """The first attempt comes late to a node that leads by now, is carried out, and its answer is lost; a copy comes
    when that node leads no more, and is turned away. The second one had been refused before all that, and the refusal
    is late.
    """
    lab = throttled_lab(make_lab)
    machine = lab.simulation.storage_count
    storage = list(range(machine))
    router = lab.simulation.hosts[machine].node
    lab.rule("cut", [machine], storage, names=("WriteRequest",))
    token = lab.send("PutItem", TableName="things", Item={"pk": {"S": "a"}, "v": {"S": "done"}})
    lab.run(10 * MILLISECOND)
    (pending,) = router.pending.values()
    while pending.attempts < 2:
        lab.run(10 * MILLISECOND)
    lab.simulation.order(machine, m.Redirect(pending.number, pending.group, None))
    lab.simulation.order(machine, m.Answer(pending.number + 1, 400, {}, PROVISIONED))
    lab.run(10 * MILLISECOND)
    assert token not in lab.answers, "that the write did not happen is not known"
    while pending.attempts < 3:
        lab.run(10 * MILLISECOND)
    lab.simulation.order(machine, m.Answer(pending.number + 2, 400, {}, PROVISIONED))
    lab.run(10 * MILLISECOND)
    assert lab.answers[token].error == PROVISIONED, "the third was made when the others were over"


def test_a_router_that_asked_the_wrong_node_first_still_believes_the_refusal(make_lab: Callable[..., Any]) -> None:
    lab = make_lab(nodes_per_zone=1, routers=2, partitions=1, limits=Limits(burst_s=0))
    provisioned(lab, 10, 1)
    first, _ = lab.leader("a")
    lab.simulation.crash(first)
    lab.run(8 * SECOND)
    lab.simulation.restart(first)
    lab.run(3 * SECOND)
    assert lab.leader("a")[0] != first
    spend(lab)
    redirected = lab.kinds().count("redirected")
    refused = lab.put("a", "not this", router=1)  # this router has never asked, and begins with the first member
    assert lab.kinds().count("redirected") == redirected + 1
    assert (refused.status, refused.error) == (400, PROVISIONED)

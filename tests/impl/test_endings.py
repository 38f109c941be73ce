"""A table that is deleted while writes to it are under way: what came to nothing gets the service's error, and what may
have happened stays unknown.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from dynalab_fault_injection.simulator import CERTAIN, LinkRule
from dynalab_impl.effects import RequestToken
from dynalab_impl.messages import Entry
from dynalab_impl.partition import Partition

from .conftest import SECOND, Lab
from .test_streams import enable

GONE = "ResourceNotFoundException"
UNKNOWN = "InternalServerError"
KEY = {"pk": {"S": "a"}}
MILLISECOND = SECOND // 1_000


@pytest.fixture(params=["plain", "streamed"])
def lab(request: pytest.FixtureRequest) -> Lab:
    """A table of one partition, which the second router knows; its end is logged where streams stay."""
    lab = Lab(nodes_per_zone=1, routers=2, partitions=1)
    lab.create()
    if request.param == "streamed":
        enable(lab)
    lab.put("a", "before", router=1)
    lab.run(SECOND)
    return lab


def write(lab: Lab, value: str = "late", router: int = 1) -> RequestToken:
    return lab.send("PutItem", router, TableName="things", Item={**KEY, "v": {"S": value}})


def delete(lab: Lab) -> None:
    """Until the partition's leader knows of it."""
    leader, group = lab.leader("a")
    node: Any = lab.simulation.hosts[leader].node
    assert lab.call("DeleteTable", TableName="things").status == 200
    for _ in range(2_000):
        replica = node.replicas.get(group)
        if replica is None or replica.state.form.gone:
            return
        lab.run(MILLISECOND)
    raise AssertionError("the table does not end")


def described(lab: Lab) -> dict[str, Any]:
    found: Any = lab.call("DescribeTable", TableName="things").body
    return dict(found["Table"])


def outcome(lab: Lab, token: RequestToken) -> tuple[int, str | None]:
    for _ in range(100):
        if token in lab.answers:
            return lab.answers[token].status, lab.answers[token].error
        lab.run(SECOND // 10)
    raise AssertionError("no answer")


def test_a_write_that_comes_when_its_table_was_deleted_gets_the_error_of_a_table_that_is_not_there(lab: Lab) -> None:
    delete(lab)
    token = write(lab)
    lab.run(10 * MILLISECOND)
    assert token not in lab.answers, "it was on its way while the table still had its name"
    assert outcome(lab, token) == (400, GONE)
    assert lab.answers[token].body["message"] == "Requested resource not found"


def test_a_batch_that_comes_when_its_table_was_deleted_gets_that_error(lab: Lab) -> None:
    delete(lab)
    puts = [{"PutRequest": {"Item": {"pk": {"S": key}}}} for key in "abc"]
    assert outcome(lab, lab.send("BatchWriteItem", 1, RequestItems={"things": puts})) == (400, GONE)


def test_a_write_that_was_carried_out_and_whose_answer_was_lost_is_not_said_to_have_come_to_nothing(lab: Lab) -> None:
    """Its next attempt meets the end of the table. Where that is in the log, what was logged before is still known."""
    leader, _ = lab.leader("a")
    router = lab.simulation.storage_count + 1
    streamed = "LatestStreamArn" in described(lab)
    rule = lab.rule("cut", [leader], [router], names=("Answer",))
    token = write(lab, "carried out")
    lab.run(50 * MILLISECOND)
    assert rule.hits == 1 and lab.get("a") == "carried out"
    delete(lab)
    lab.simulation.network.remove_rule(rule)
    assert outcome(lab, token) == ((200, None) if streamed else (500, UNKNOWN))


def test_a_doubled_write_of_which_one_copy_was_carried_out_is_not_denied_for_the_other(lab: Lab) -> None:
    """The router hears of the second copy alone, and that meets a table that has ended."""
    leader, _ = lab.leader("a")
    storage, router = lab.simulation.storage_count, lab.simulation.storage_count + 1
    doubled = lab.rule("duplicate", [router], [leader], names=("WriteRequest",), delay_ns=300 * MILLISECOND)
    lost = lab.rule("cut", [leader], [router], names=("Answer",))
    token = write(lab, "carried out")
    lab.run(50 * MILLISECOND)
    assert (doubled.hits, lost.hits) == (1, 1) and lab.get("a") == "carried out"
    for rule in (doubled, lost):
        lab.simulation.network.remove_rule(rule)
    lab.rule("cut", [router], list(range(storage)), names=("WriteRequest",))  # the copy alone is on its way
    began_ns = lab.simulation.now
    delete(lab)
    assert lab.simulation.now - began_ns < 200 * MILLISECOND and token not in lab.answers
    status, _ = outcome(lab, token)
    assert status in (200, 500)


def test_a_node_that_was_restarted_does_not_say_what_it_had_not_logged(lab: Lab) -> None:
    """Where the end of the table is in the log, that says it: the next leader speaks for all."""
    leader, _ = lab.leader("a")
    streamed = "LatestStreamArn" in described(lab)
    delete(lab)
    lab.run(5 * MILLISECOND)  # the disk has it
    lab.simulation.crash(leader)
    lab.simulation.restart(leader)
    restarted: Any = lab.simulation.hosts[leader].node
    assert not restarted.endings
    assert outcome(lab, write(lab)) == ((400, GONE) if streamed else (500, UNKNOWN))


def test_a_write_goes_to_the_next_table_of_that_name_if_there_is_one_by_then(lab: Lab) -> None:
    router, storage = lab.simulation.storage_count + 1, lab.simulation.storage_count
    delete(lab)
    rule = lab.rule("cut", [router], list(range(storage)), names=("Find",))
    token = write(lab, "of the next")
    lab.run(SECOND // 10)
    while lab.call("DescribeTable", TableName="things").error != GONE:
        lab.run(SECOND // 10)
    lab.call(
        "CreateTable",
        TableName="things",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    while described(lab)["TableStatus"] != "ACTIVE":
        lab.run(SECOND // 100)
    lab.simulation.network.remove_rule(rule)
    assert outcome(lab, token) == (200, None)
    assert lab.get("a") == "of the next"


def test_what_is_remembered_of_a_partition_that_was_dropped_is_forgotten_when_no_router_waits_for_it() -> None:
    lab = Lab(nodes_per_zone=1, routers=2, partitions=4)
    lab.create()
    for key in "abcdefgh":
        lab.put(key, "v")
    nodes: list[Any] = [lab.simulation.hosts[host].node for host in range(lab.simulation.storage_count)]
    assert lab.call("DeleteTable", TableName="things").status == 200
    lab.run(SECOND)
    kept = [end for node in nodes for end in node.endings.values()]
    assert len(kept) == 4 and sum(len(end.requests) for end in kept) == 8
    lab.run(6 * SECOND)
    assert not any(node.endings for node in nodes)


@pytest.mark.parametrize("seed", range(16))
def test_whatever_is_lost_doubled_and_stopped_no_write_that_was_denied_was_carried_out(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writers go on while their table is deleted, twice, and what every replica applies is held against the answers."""
    chance = random.Random(seed)
    carried_out: dict[str, bool] = {}
    change = Partition._change

    def noted(self: Partition, entry: Entry, key: bytes, item: Any, *more: Any, **named: Any) -> None:
        if item is not None and self.spec.table == "things" and not self.form.gone:  # type: ignore[union-attr]
            carried_out[item["v"]["S"]] = True
        change(self, entry, key, item, *more, **named)

    monkeypatch.setattr(Partition, "_change", noted)
    lab = Lab(seed=seed, nodes_per_zone=1, routers=2, partitions=chance.choice([1, 2]))
    storage = list(range(lab.simulation.storage_count))
    sent: dict[RequestToken, str] = {}
    for turn in range(2):
        lab.create()
        if chance.randrange(2):
            enable(lab)
        links, third = lab.simulation.network.links, CERTAIN // 3
        rules = [
            LinkRule("duplicate", links([3, 4], storage), third, chance.randrange(SECOND), names=("WriteRequest",)),
            LinkRule("loss", links(storage, [3, 4]), third, names=("Answer", "Ended")),
        ]
        for rule in rules:
            lab.simulation.network.add_rule(rule)
        victim = chance.randrange(5)
        for number in range(60):
            if number == 25:
                lab.send("DeleteTable", 0, TableName="things")
            if number == 20 + chance.randrange(10) and victim < 3:
                lab.simulation.crash(victim)
                lab.simulation.restart(victim)
            value = f"{turn}-{number}"
            item = {"pk": {"S": chance.choice("abcdef")}, "v": {"S": value}}
            sent[lab.send("PutItem", chance.randrange(2), TableName="things", Item=item)] = value
            lab.run(chance.randrange(20) * MILLISECOND)
        for rule in rules:
            lab.simulation.network.remove_rule(rule)
        lab.run(9 * SECOND)
    lab.run(10 * SECOND)
    told = {value: lab.answers[token] for token, value in sent.items()}
    denied = [value for value, answer in told.items() if answer.status == 400]
    assert {told[value].error for value in denied} == {GONE}, "some came late enough"
    assert not [value for value in denied if value in carried_out]
    assert not [value for value, answer in told.items() if answer.status == 200 and value not in carried_out]

"""Attacks on transactions: entries of the ledger that do not fit, tables that are made again under the same name,
clocks that disagree, indexes that cannot keep up.
"""

from __future__ import annotations

import base64
from typing import Any

import pytest

from dynalab_impl import ledger as ledgers
from dynalab_impl.effects import Timing
from dynalab_impl.transact_messages import CommitItem, PrepareItem, Stalled
from dynalab_model.operations import PutItem

from .conftest import SECOND, Lab
from .transacting import codes, entries, markers, put, send, values, write


def make_table(lab: Lab, name: str, *keys: tuple[str, str], **extra: Any) -> None:
    kinds = [{"AttributeName": key, "AttributeType": kind} for key, kind in (*keys, *extra.pop("more", ()))]
    roles = zip(keys, ("HASH", "RANGE"), strict=False)
    schema = [{"AttributeName": key, "KeyType": role} for (key, _), role in roles]
    described: Any = lab.call(
        "CreateTable",
        TableName=name,
        KeySchema=schema,
        AttributeDefinitions=kinds,
        BillingMode="PAY_PER_REQUEST",
        **extra,
    )
    assert described.status == 200, described
    for _ in range(50):
        described = lab.call("DescribeTable", TableName=name)
        if described.body["Table"]["TableStatus"] == "ACTIVE":
            return
        lab.run(SECOND // 10)
    raise AssertionError("the table never became active")


def wide_puts(fill: bytes, **more: Any) -> list[dict[str, Any]]:
    """A hundred puts of the longest keys."""

    def key(number: int) -> dict[str, Any]:
        sort = fill * 1022 + number.to_bytes(2, "big")
        names = {"pk": fill * 2048, "sk": sort}
        return {name: {"B": base64.b64encode(value).decode()} for name, value in names.items()}

    return [{"Put": {"TableName": "wide", "Item": key(number), **more}} for number in range(100)]


# --- entries of the ledger that do not fit ----------------------------------------------------------------------------


@pytest.mark.claim("S68")
@pytest.mark.parametrize("fill", [b"\x00", b"\xff"])
def test_a_hundred_of_the_longest_keys_are_written_whatever_bytes_they_are_of(fill: bytes) -> None:
    """In the key space a key of zeros is twice as long as it is."""
    lab = Lab(partitions=1)
    make_table(lab, "wide", ("pk", "B"), ("sk", "B"))
    assert write(lab, *wide_puts(fill)).status == 200
    lab.run(SECOND)
    assert [entry.finished for entry in entries(lab)] == [True] and markers(lab) == []


def test_an_outcome_that_does_not_fit_beside_the_longest_keys_is_cut_down_and_replayed() -> None:
    """A hundred item collections with such keys are larger than what is left of the entry."""
    lab = Lab(partitions=1)
    local = {
        "IndexName": "by_n",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    make_table(lab, "wide", ("pk", "B"), ("sk", "B"), more=(("n", "N"),), LocalSecondaryIndexes=[local])
    asked: dict[str, Any] = {
        "ReturnItemCollectionMetrics": "SIZE",
        "ReturnConsumedCapacity": "INDEXES",
        "ClientRequestToken": "once",
    }
    answer: Any = write(lab, *wide_puts(b"x"), **asked)
    assert answer.status == 200, answer
    assert answer.body["ConsumedCapacity"][0]["WriteCapacityUnits"] > 0
    lab.run(SECOND)
    again: Any = write(lab, *wide_puts(b"x"), router=1, **asked)
    assert again.status == 200 and again.body["ConsumedCapacity"][0]["ReadCapacityUnits"] > 0
    assert [entry.outcome[0].keys() for entry in entries(lab)] == [{"ImageBytes"}]


def test_a_decision_that_the_ledger_refuses_is_not_asked_for_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the reason is: it is tried a few times, the client is told that nobody knows, and recovery goes on."""
    lab = Lab(partitions=1)
    lab.create()
    for number in range(10):
        lab.put(f"k{number}", "x" * 45_000)
    monkeypatch.setattr(ledgers, "ENTRY_BYTES_MAX", 10_000_000)
    never = {"ConditionExpression": "attribute_not_exists(pk)", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    answer = write(lab, *[put(f"k{number}", 1, **never) for number in range(10)])
    assert answer.status == 500
    assert lab.kinds().count("item-refused") < 100
    monkeypatch.undo()
    lab.run(12 * SECOND)
    assert [(entry.state, entry.finished) for entry in entries(lab)] == [(ledgers.CANCELLED, True)]
    assert lab.get("k0") == "x" * 45_000


# --- tables that are made again under the same name -------------------------------------------------------------------


def drop_table(lab: Lab, name: str) -> None:
    assert lab.call("DeleteTable", TableName=name).status == 200
    for _ in range(100):
        if lab.call("DescribeTable", TableName=name).status == 400:
            return
        lab.run(SECOND // 10)
    raise AssertionError("the table is never gone")


def other(key: str) -> dict[str, Any]:
    return {"Put": {"TableName": "other", "Item": {"pk": {"S": key}}}}


@pytest.mark.parametrize("keys", [[("id", "N"), ("at", "S")], [("pk", "S"), ("at", "S")]])
def test_a_transaction_never_writes_into_a_table_with_other_keys_that_has_the_name_by_now(
    keys: list[tuple[str, str]],
) -> None:
    lab = Lab(timing=Timing(request_ns=20 * SECOND))
    lab.create()
    make_table(lab, "other", ("pk", "S"))
    assert write(lab, put("a", 1)).status == 200
    machines = lab.simulation.storage_count
    rule = lab.rule("cut", [machines], list(range(machines)), names=("PrepareItem",))
    token = send(lab, [put("a", 2), other("x")])
    lab.run(SECOND)
    drop_table(lab, "other")
    make_table(lab, "other", *keys)
    lab.simulation.network.remove_rule(rule)
    lab.run(15 * SECOND)
    assert codes(lab.answers[token]) == ["None", "ResourceNotFound"]
    assert lab.get("a") == "1"
    assert lab.call("Scan", TableName="other").body["Items"] == []


def test_votes_of_two_tables_of_one_name_are_no_votes_of_one() -> None:
    """One item was promised by a table that is gone: its half would be missing in the next one."""
    lab = Lab(timing=Timing(request_ns=20 * SECOND, stalled_ns=60 * SECOND), partitions=2)
    lab.create()
    make_table(lab, "other", ("pk", "S"))
    assert write(lab, put("z", 1)).status == 200
    first, group = lab.leader("a", "other")
    second = next(key for key in "bcdefghijkl" if lab.leader(key, "other")[1] != group)
    late = [host for host in lab.members(lab.leader(second, "other")[1]) if host != first]
    rule = lab.rule("cut", [lab.simulation.storage_count], late, names=("PrepareItem",))
    token = send(lab, [other("a"), other(second)])
    lab.run(SECOND)
    assert len(markers(lab)) == 3, "one of the two is prepared, on three replicas"
    drop_table(lab, "other")
    make_table(lab, "other", ("pk", "S"))
    lab.simulation.network.remove_rule(rule)
    lab.run(15 * SECOND)
    assert codes(lab.answers[token]) in (["None", "ResourceNotFound"], ["ResourceNotFound", "None"])
    assert lab.call("Scan", TableName="other").body["Items"] == []
    assert markers(lab) == []


def test_a_late_vote_of_a_table_that_is_gone_is_no_vote_of_the_next_one() -> None:
    """The coordinator has asked both by then, under one request: whose vote it is cannot be told."""
    lab = Lab(timing=Timing(request_ns=30 * SECOND, stalled_ns=60 * SECOND), partitions=1)
    lab.create()
    make_table(lab, "other", ("pk", "S"))
    assert write(lab, put("z", 1)).status == 200
    host, _ = lab.leader("x", "other")
    router, machines = lab.simulation.storage_count, list(range(lab.simulation.storage_count))
    token = send(lab, [put("a", 1), other("x")])
    while "transaction-begun" not in lab.kinds()[-5:]:
        lab.run(10_000)
    late = lab.rule("delay", [host], [router], names=("Answer",), delay_ns=12 * SECOND)
    while sum(group.startswith("other/") for group, _, _ in markers(lab)) < 3:
        lab.run(10_000)
    lab.run(SECOND // 100)
    lab.simulation.network.remove_rule(late)
    cut = lab.rule("cut", [router], machines, names=("PrepareItem",))
    drop_table(lab, "other")
    make_table(lab, "other", ("pk", "S"))
    again = lab.rule("cut", [router], [lab.leader("x", "other")[0]], names=("PrepareItem",))
    lab.simulation.network.remove_rule(cut)
    lab.run(3 * SECOND)
    assert token not in lab.answers
    lab.run(10 * SECOND)
    lab.simulation.network.remove_rule(again)
    lab.run(10 * SECOND)
    assert codes(lab.answers[token]) == ["None", "ResourceNotFound"]
    assert lab.call("Scan", TableName="other").body["Items"] == [] and lab.get("a") is None
    assert markers(lab) == []


def slot_of(lab: Lab, key: str) -> int:
    """The slot that wrote this item of the other table."""
    host, group = lab.leader(key, "other")
    [item] = lab.simulation.hosts[host].node.replicas[group].state.items.values()  # type: ignore[union-attr]
    return int(item.version)


@pytest.mark.parametrize("rules", [(), ("one-round-read",)])
def test_items_of_two_tables_of_one_name_are_not_read_together(rules: tuple[str, ...]) -> None:
    """The same slot wrote an item in both, so a second look sees no change: what the first table held and what the next
    one holds were never there together.
    """
    lab = Lab(timing=Timing(request_ns=20 * SECOND), partitions=2, transaction_rules=rules)
    make_table(lab, "other", ("pk", "S"))
    first, group = lab.leader("a", "other")
    second = next(key for key in "bcdefghijkl" if lab.leader(key, "other")[1] != group)
    assert lab.call("PutItem", TableName="other", Item={"pk": {"S": "a"}, "v": {"S": "first"}}).status == 200
    slot = slot_of(lab, "a")
    late = [host for host in lab.members(lab.leader(second, "other")[1]) if host != first]
    rule = lab.rule("cut", [lab.simulation.storage_count], late, names=("ReadItem",))
    asked = [{"Get": {"TableName": "other", "Key": {"pk": {"S": key}}}} for key in ("a", second)]
    token = lab.send("TransactGetItems", 0, TransactItems=asked)
    lab.run(SECOND)
    drop_table(lab, "other")
    make_table(lab, "other", ("pk", "S"))
    for key in ("a", second):
        assert lab.call("PutItem", 1, TableName="other", Item={"pk": {"S": key}, "v": {"S": "next"}}).status == 200
    assert slot_of(lab, "a") == slot
    lab.simulation.network.remove_rule(rule)
    lab.run(10 * SECOND)
    if rules:  # it has been read again as of another timestamp
        assert values(lab.answers[token]) == ["next", "next"]
    else:
        assert codes(lab.answers[token]) == ["None", "TransactionConflict"]


# --- indexes that cannot keep up --------------------------------------------------------------------------------------


@pytest.mark.claim("S94")
@pytest.mark.parametrize("rules", [(), ("one-round-write",)])
def test_transactions_owe_a_slow_index_no_more_than_single_writes_may(rules: tuple[str, ...]) -> None:
    lab = Lab(partitions=1, index_backlog_max=20, transaction_rules=rules)
    lab.create(index=True)
    machines = list(range(lab.simulation.storage_count))
    rule = lab.rule("cut", machines, machines, names=("IndexRequest",))

    def coloured(number: int) -> dict[str, Any]:
        item = {"pk": {"S": f"c{number}"}, "colour": {"S": "red"}}
        return {"Put": {"TableName": "things", "Item": item}}

    answers = [write(lab, put(f"k{number}", 1), coloured(number)) for number in range(30)]
    assert [answer.status for answer in answers] == 20 * [200] + 10 * [400]
    assert {tuple(codes(answer)) for answer in answers[20:]} == {("None", "ThrottlingError")}
    assert write(lab, put("k0", 2), put("k1", 2)).status == 200, "they owe nothing"
    lab.simulation.network.remove_rule(rule)
    lab.run(8 * SECOND)
    assert write(lab, put("k99", 1), coloured(99)).status == 200


# --- two coordinators, two transactions, one key ----------------------------------------------------------------------


def test_who_asks_again_for_a_vote_while_another_transaction_commits_on_the_key_is_told_of_the_vote() -> None:
    """With many prepared on one key, what is logged for it just now may be about another one than who asks."""
    lab = Lab(partitions=1, transaction_rules=("many-prepared",), timing=Timing(request_ns=10 * SECOND))
    lab.create()
    assert write(lab, put("z", 1)).status == 200
    leader, group = lab.leader("k")
    router, machines = lab.simulation.storage_count, list(range(lab.simulation.storage_count))
    lab.rule("cut", [router, router + 1], machines, names=("CommitItem",))
    for number, name in enumerate("ab"):
        send(lab, [put("k", name)], router=number)
    lab.run(SECOND)
    node: Any = lab.simulation.hosts[leader].node
    replica = node.replicas[group]
    [(key, held)] = replica.state.held.items()
    [earlier] = held.beside
    lab.rule("cut", [leader], machines, names=("Accept",))
    host = lab.simulation.hosts[leader]
    ask: dict[str, Any] = {"group": group, "expiry_ns": host.wall_ns + 5 * SECOND, "key": key}
    node.on_message(lab.topology.routers[0], CommitItem(number=1, request=("x", 1), txn=earlier.txn, **ask), host)
    again = PrepareItem(
        number=2,
        request=("x", 2),
        txn=held.txn,
        ledger=held.ledger,
        attempt=held.attempt,
        stamp_ns=held.stamp_ns,
        action=PutItem("things", held.item),
        **ask,
    )
    node.on_message(lab.topology.routers[0], again, host)
    waiting = [waiter.number for waiters in replica.leading.waiters.values() for waiter in waiters]
    assert waiting == [1], "the answer to a commit is no vote"


# --- item collections -------------------------------------------------------------------------------------------------


def test_what_is_promised_to_others_fills_an_item_collection_for_everybody() -> None:
    """Votes that are logged and not applied yet count, and single writes count what others hold."""
    lab = Lab(partitions=1, collection_bytes_max=3_000)
    local = {
        "IndexName": "by_n",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    make_table(lab, "wide", ("pk", "S"), ("sk", "S"), more=(("n", "N"),), LocalSecondaryIndexes=[local])

    def wide(name: str) -> dict[str, Any]:
        item = {"pk": {"S": "a"}, "sk": {"S": name}, "v": {"S": "x" * 900}}
        return {"TableName": "wide", "Item": item}

    assert write(lab, {"Put": wide("0")}).status == 200  # the ledger is there, too
    for number in range(8):
        send(lab, [{"Put": wide(f"s{number}")}], router=number % 2)
    lab.run(2 * SECOND)
    assert len(lab.call("Scan", TableName="wide").body["Items"]) == 3  # type: ignore[arg-type]
    lab.call("DeleteItem", TableName="wide", Key={"pk": {"S": "a"}, "sk": {"S": "0"}})
    machines = list(range(lab.simulation.storage_count))
    routers = [len(machines), len(machines) + 1]
    rule = lab.rule("cut", routers, machines, names=("CommitItem",))
    send(lab, [{"Put": wide("late")}])
    lab.run(SECOND)
    assert lab.call("PutItem", **wide("single")).error == "ItemCollectionSizeLimitExceededException"
    lab.simulation.network.remove_rule(rule)
    lab.run(8 * SECOND)
    assert len(lab.call("Scan", TableName="wide").body["Items"]) == 3  # type: ignore[arg-type]


def test_the_largest_of_several_that_hold_one_item_counts_for_its_collection() -> None:
    """The one that was prepared last is not the one that stays, if it is older."""
    lab = Lab(partitions=1, collection_bytes_max=3_000, transaction_rules=("many-prepared",))
    local = {
        "IndexName": "by_n",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    make_table(lab, "wide", ("pk", "S"), ("sk", "S"), more=(("n", "N"),), LocalSecondaryIndexes=[local])

    def wide(name: str, size: int) -> dict[str, Any]:
        item = {"pk": {"S": "a"}, "sk": {"S": name}, "v": {"S": "x" * size}}
        return {"Put": {"TableName": "wide", "Item": item}}

    assert write(lab, wide("0", 1)).status == 200  # the ledger is there, too
    lab.run(SECOND)
    machines = list(range(lab.simulation.storage_count))
    lab.simulation.hosts[len(machines)].wall_shift_ns -= SECOND // 5
    rule = lab.rule("cut", [len(machines), len(machines) + 1], machines, names=("CommitItem",))
    for router, size in ((1, 2_000), (0, 1)):
        send(lab, [wide("s", size)], router)
        lab.run(SECOND // 5)
    third = send(lab, [wide("t", 1_500)], 1)
    lab.run(SECOND)
    lab.simulation.network.remove_rule(rule)
    lab.run(8 * SECOND)
    assert codes(lab.answers[third]) == ["ItemCollectionSizeLimitExceeded"]


def test_what_was_done_to_a_table_is_not_done_again_to_the_next_one_of_its_name() -> None:
    """A second coordinator asks late: the marker that it leaves in the new table belongs to nobody's decision."""
    lab = Lab(timing=Timing(request_ns=20 * SECOND), partitions=1)
    lab.create()
    make_table(lab, "other", ("pk", "S"))
    assert write(lab, put("z", 1)).status == 200
    machines, router = list(range(lab.simulation.storage_count)), lab.simulation.storage_count
    late = lab.rule("cut", [router + 1], machines, names=("PrepareItem",))
    lab.told.clear()
    token = send(lab, [put("a", 1), other("x")])
    while lab.kinds().count("item-prepared") < 2:
        lab.run(10_000)
    rule = lab.rule("delay", [router], machines, names=("WriteRequest",), delay_ns=SECOND // 5)
    [entry] = [entry for entry in entries(lab) if entry.state == ledgers.PREPARING]
    second = lab.simulation.hosts[router + 1]
    assert second.node is not None
    second.node.on_message(lab.topology.storage[0], Stalled(entry.ledger, entry.txn, "", b""), second)
    lab.run(SECOND // 10)
    lab.simulation.network.remove_rule(rule)
    lab.run(SECOND)
    assert lab.answers[token].status == 200 and "transaction-taken-over" in lab.kinds()
    drop_table(lab, "other")
    make_table(lab, "other", ("pk", "S"))
    lab.simulation.network.remove_rule(late)
    lab.run(SECOND)
    assert [group.partition("/")[0] for group, _, _ in markers(lab)] == ["other"] * 3
    lab.run(8 * SECOND)
    assert lab.call("Scan", TableName="other").body["Items"] == []
    assert markers(lab) == [] and lab.get("a") == "1"


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_a_token_that_was_tried_often_is_begun_anew_for_its_timestamp_like_the_first_time() -> None:
    lab = Lab(timing=Timing(request_ns=SECOND))
    lab.create()
    assert write(lab, put("warm", 1)).status == 200
    machines, router = list(range(lab.simulation.storage_count)), lab.simulation.storage_count
    rule = lab.rule("cut", [router], machines, names=("PrepareItem",))
    for _ in range(4):
        assert set(codes(write(lab, put("a", 1), put("b", 1), ClientRequestToken="t"))) == {"ThrottlingError"}
    lab.simulation.network.remove_rule(rule)
    lab.simulation.hosts[router].wall_shift_ns -= SECOND // 5
    lab.put("a", "young", router=1)
    lab.told.clear()
    assert write(lab, put("a", 1), put("b", 1), ClientRequestToken="t").status == 200
    assert "transaction-anew" in lab.kinds()

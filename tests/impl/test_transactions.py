"""What transactions promise where nothing fails: all or nothing, tokens, conflicts, reads in two rounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dynalab_impl import ledger as ledgers
from dynalab_impl import messages as m
from dynalab_impl.admission import Admission
from dynalab_impl.effects import Limits, Timing
from dynalab_impl.ledger import CANCELLED, COMMITTED
from dynalab_impl.transact_messages import CancelItem, CommitItem, PrepareItem
from dynalab_model.operations import ConditionCheck

from .conftest import SECOND, Lab
from .transacting import (
    add,
    agree,
    check,
    codes,
    delete,
    entries,
    gets,
    markers,
    put,
    read,
    send,
    update,
    values,
    write,
)

MakeLab = Callable[..., Lab]
KEYS = [f"k{number}" for number in range(12)]


@pytest.mark.claim("S68")
def test_a_transaction_over_many_partitions_happens_as_a_whole(lab: Lab) -> None:
    answer = write(lab, *[put(key, 1) for key in KEYS])
    assert (answer.status, answer.body) == (200, {})
    assert len({lab.leader(key)[1] for key in KEYS}) > 1, "it spans partitions"
    assert values(read(lab, *KEYS, router=1)) == ["1"] * len(KEYS)
    assert [lab.get(key) for key in KEYS] == ["1"] * len(KEYS)


def test_a_transaction_with_one_false_condition_changes_nothing_and_gives_every_reason(lab: Lab) -> None:
    assert write(lab, put("a", 1), put("b", 1)).status == 200
    again = put("b", 2, ConditionExpression="attribute_not_exists(pk)", ReturnValuesOnConditionCheckFailure="ALL_OLD")
    answer = write(lab, put("a", 2), again, check("c", "attribute_exists(pk)"), put("d", 2))
    assert codes(answer) == ["None", "ConditionalCheckFailed", "ConditionalCheckFailed", "None"]
    reasons: Any = answer.body["CancellationReasons"]
    assert reasons[1]["Item"] == {"pk": {"S": "b"}, "v": {"S": "1"}} and "Item" not in reasons[2]
    assert values(read(lab, "a", "b", "c", "d")) == ["1", "1", None, None]
    assert markers(lab) == []


def test_every_kind_of_action_does_what_it_says(lab: Lab) -> None:
    assert write(lab, put("a", 1), put("b", 1), put("c", 1)).status == 200
    values_ = {":v": {"S": "2"}}
    changed = update("b", "SET v = :v", ExpressionAttributeValues=values_)
    assert write(lab, delete("a"), changed, check("c", "attribute_exists(v)"), put("d", 2)).status == 200
    assert values(read(lab, "a", "b", "c", "d")) == [None, "2", "1", "2"]


def test_the_ledger_has_an_entry_before_the_first_item_is_prepared_and_a_decision_before_the_first_commit(
    lab: Lab,
) -> None:
    write(lab, put("a", 1), put("b", 1))
    lab.run(SECOND // 10)
    lab.told.clear()
    write(lab, put("a", 2), put("b", 2))
    lab.run(SECOND)
    kinds = [kind for kind in lab.kinds() if kind.startswith(("transaction", "item"))]
    assert kinds == [
        "transaction-begun",
        "item-prepared",
        "item-prepared",
        "transaction-decided",
        "item-committed",
        "item-committed",
        "transaction-finished",
    ]


def test_a_cluster_without_transactions_has_no_ledger_and_nobody_lists_it(lab: Lab) -> None:
    lab.put("a", 1)
    assert all(ledgers.LEDGER not in getattr(host.node, "replicas", {}) for host in lab.simulation.hosts)
    write(lab, put("a", 2))
    assert len(entries(lab)) == 1
    assert lab.call("ListTables").body == {"TableNames": ["things"]}


# --- timestamps -------------------------------------------------------------------------------------------------------


def stored(lab: Lab, key: str) -> Any:
    index, group = lab.leader(key)
    node: Any = lab.simulation.hosts[index].node
    state = node.replicas[group].state
    return next((one for one in state.items.values() if one.item["pk"]["S"] == key), None), state


def test_a_commit_gives_its_timestamp_to_what_it_writes_and_to_what_it_checks(lab: Lab) -> None:
    write(lab, put("a", 1), put("b", 1))
    version = stored(lab, "b")[0].version
    write(lab, put("a", 2), check("b", "attribute_exists(pk)"))
    lab.run(SECOND // 10)
    newest = max(entry.stamp_ns for entry in entries(lab))
    assert stored(lab, "a")[0].stamp_ns == stored(lab, "b")[0].stamp_ns == newest
    assert stored(lab, "b")[0].version == version, "a check changes no item"


def test_a_delete_and_a_check_of_nothing_raise_the_partitions_timestamp_of_deletes(lab: Lab) -> None:
    write(lab, put("a", 1))
    write(lab, delete("a"))
    lab.run(SECOND // 10)
    first = max(entry.stamp_ns for entry in entries(lab))
    assert stored(lab, "a")[1].deleted_ns == first
    write(lab, check("a", "attribute_not_exists(pk)"))
    lab.run(SECOND // 10)
    assert stored(lab, "a")[1].deleted_ns == max(entry.stamp_ns for entry in entries(lab)) > first


def slow_router(lab: Lab, router: int, behind_ns: int) -> None:
    lab.simulation.hosts[lab.simulation.storage_count + router].wall_shift_ns -= behind_ns


def test_a_router_whose_clock_is_slow_begins_anew_behind_what_it_meets(lab: Lab) -> None:
    slow_router(lab, 0, SECOND // 5)
    lab.put("a", 1)
    assert write(lab, put("a", 2), put("b", 2)).status == 200
    assert "transaction-anew" in lab.kinds()
    lab.run(SECOND // 10)
    assert markers(lab) == [] and [entry.attempt for entry in entries(lab)] == [2]


def test_a_router_whose_clock_is_far_ahead_is_refused_and_goes_on_with_a_time_that_the_leaders_take(
    lab: Lab,
) -> None:
    slow_router(lab, 0, -5 * SECOND)
    assert write(lab, put("a", 1), put("b", 1)).status == 200
    assert "transaction-anew" in lab.kinds()
    index, _ = lab.leader("a")
    host = lab.simulation.hosts[index]
    ahead_ns = stored(lab, "a")[0].stamp_ns - (host.local_ns(lab.simulation.now) + host.wall_shift_ns)
    assert ahead_ns <= lab.topology.timing.stamp_ahead_ns
    assert lab.put("a", 2).status == 200 and write(lab, put("a", 3), router=1).status == 200


# --- conflicts --------------------------------------------------------------------------------------------------------


def hold(lab: Lab, *actions: dict[str, Any], router: int = 0) -> int:
    """Let a transaction get as far as its votes, and no farther."""
    write(lab, put("warm", 1), router=router)
    storage = list(range(lab.simulation.storage_count))
    routers = [lab.simulation.storage_count + router]
    rule = lab.rule("cut", routers, storage, names=("WriteRequest", "CommitItem", "CancelItem"))
    lab.simulation.network.remove_rule(rule)
    token = send(lab, actions, router)
    while lab.kinds().count("item-prepared") < len(actions) + 1:
        lab.run(10_000)
    lab.simulation.network.add_rule(rule)
    lab.run(SECOND // 20)
    return token


def test_what_a_transaction_holds_no_single_write_changes_and_every_read_sees_as_it_was(lab: Lab) -> None:
    lab.put("a", 1)
    hold(lab, put("a", 2), put("b", 2))
    for name, more in (
        ("PutItem", {"Item": {"pk": {"S": "a"}}}),
        ("DeleteItem", {"Key": {"pk": {"S": "a"}}}),
        ("UpdateItem", {"Key": {"pk": {"S": "b"}}}),
    ):
        answer = lab.call(name, 1, TableName="things", **more)
        assert answer.error == "TransactionConflictException", name
        assert answer.body["message"] == "Transaction is ongoing for the item"
    assert (lab.get("a"), lab.get("b")) == ("1", None)
    assert lab.put("other", 1, router=1).status == 200


def test_a_second_transaction_and_a_read_transaction_are_cancelled_by_one_that_is_under_way(lab: Lab) -> None:
    lab.put("a", 1)
    hold(lab, put("a", 2), put("b", 2))
    assert codes(write(lab, put("x", 3), put("a", 3), router=1)) == ["None", "TransactionConflict"]
    answer = read(lab, "x", "a", "b", router=1)
    assert codes(answer) == ["None", "TransactionConflict", "TransactionConflict"]


def far_from(lab: Lab, *keys: str) -> str:
    """A key that is led by another machine than these."""
    near = {lab.leader(key)[0] for key in keys}
    return next(key for key in (f"far{number}" for number in range(50)) if lab.leader(key)[0] not in near)


def rewrite(lab: Lab) -> None:
    assert lab.put("a", 2, router=1).status == 200


def write_and_delete(lab: Lab) -> None:
    assert lab.put("gone", 1, router=1).status == 200
    assert lab.call("DeleteItem", 1, TableName="things", Key={"pk": {"S": "gone"}}).status == 200


@pytest.mark.parametrize(("overtake", "changed"), [(rewrite, [0]), (write_and_delete, [1]), (None, [])])
def test_a_read_transaction_is_cancelled_if_an_item_changes_between_its_rounds(
    lab: Lab, overtake: Callable[[Lab], None] | None, changed: list[int]
) -> None:
    """Put and deleted again counts as well: no single moment had all that was read."""
    lab.put("a", 1)
    far = far_from(lab, "a", "gone")
    lab.put(far, 1)
    read(lab, "a", "gone", far)
    rule = lab.rule("delay", [lab.leader(far)[0]], [9], names=("ItemRead",), delay_ns=SECOND // 5)
    token = lab.send("TransactGetItems", TransactItems=gets(["a", "gone", far]))
    lab.run(SECOND // 20)  # the first two are read, the answer for the third is on its way
    if overtake is not None:
        overtake(lab)
    assert token not in lab.answers and rule.hits == 1
    lab.simulation.network.remove_rule(rule)
    lab.run(SECOND)
    if changed:
        expected = ["TransactionConflict" if place in changed else "None" for place in range(3)]
        assert codes(lab.answers[token]) == expected
    else:
        assert values(lab.answers[token]) == ["1", None, "1"]


@pytest.mark.parametrize("kind", [CommitItem, CancelItem])
def test_no_marker_comes_behind_the_end_of_its_transaction_that_is_logged_and_not_committed_yet(
    lab: Lab, kind: type[CommitItem | CancelItem]
) -> None:
    lab.put("a", 1)
    action = check("a", "attribute_exists(pk)")
    hold(lab, action, put("b", 2))
    index, group = lab.leader("a")
    node: Any = lab.simulation.hosts[index].node
    host = lab.simulation.hosts[index]
    replica = node.replicas[group]
    [(key, held)] = [(key, held) for key, held in replica.state.held.items() if held.check]
    lab.rule("cut", [index], list(range(lab.simulation.storage_count)), names=("Accept",))
    ask: dict[str, Any] = {"group": group, "expiry_ns": host.wall_ns + 5 * SECOND, "key": key, "txn": held.txn}
    node.on_message(lab.topology.routers[0], kind(number=1, request=("x", 1), **ask), host)
    last = replica.log.last
    again = ConditionCheck("things", {"pk": {"S": "a"}}, "attribute_exists(pk)")
    more: dict[str, Any] = {"ledger": held.ledger, "attempt": held.attempt, "stamp_ns": held.stamp_ns, "action": again}
    node.on_message(lab.topology.routers[0], PrepareItem(number=2, request=("x", 2), **ask, **more), host)
    assert replica.log.last == last, "nothing was logged behind it"


# --- tokens -----------------------------------------------------------------------------------------------------------


@pytest.mark.claim("S170")
def test_a_token_that_was_used_answers_as_before_and_does_nothing_again(lab: Lab) -> None:
    first = write(lab, add("a", 1), add("b", 1), ClientRequestToken="t")
    again = write(lab, add("a", 1), add("b", 1), ClientRequestToken="t", router=1)
    assert first.status == again.status == 200
    found: Any = lab.call("GetItem", TableName="things", Key={"pk": {"S": "a"}}, ConsistentRead=True).body
    assert found["Item"]["n"] == {"N": "1"}
    assert "token-answered" in lab.kinds()


def test_a_token_with_other_parameters_is_refused_and_does_nothing(lab: Lab) -> None:
    write(lab, put("a", 1), ClientRequestToken="t")
    answer = write(lab, put("a", 2), ClientRequestToken="t")
    assert answer.error == "IdempotentParameterMismatchException"
    assert lab.get("a") == "1"


def test_a_token_of_a_cancelled_transaction_tells_the_same_reasons_later_on(lab: Lab) -> None:
    failing = put("a", 1, ConditionExpression="attribute_exists(pk)", ReturnValuesOnConditionCheckFailure="ALL_OLD")
    first = write(lab, failing, put("b", 1), ClientRequestToken="t")
    assert codes(first) == ["ConditionalCheckFailed", "None"]
    lab.put("a", 0)
    assert write(lab, failing, put("b", 1), ClientRequestToken="t", router=1) == first
    assert (lab.get("a"), lab.get("b")) == ("0", None)


def test_a_token_in_use_is_in_progress_and_after_five_seconds_whoever_asks_finishes_it(lab: Lab) -> None:
    write(lab, put("warm", 1))
    index = lab.simulation.storage_count
    token = send(lab, [put("a", 1), put("b", 1)], ClientRequestToken="t")
    while "item-prepared" not in lab.kinds()[-40:] or lab.kinds().count("item-prepared") < 3:
        lab.run(10_000)
    lab.simulation.crash(index)
    assert token not in lab.answers
    answer = write(lab, put("a", 1), put("b", 1), router=1, ClientRequestToken="t")
    assert answer.error == "TransactionInProgressException"


def test_a_token_is_free_again_ten_minutes_after_its_transaction_was_finished(lab: Lab) -> None:
    write(lab, add("a", 1), ClientRequestToken="t")
    lab.run(SECOND)
    for host in lab.simulation.hosts:
        host.wall_shift_ns += 601 * SECOND
    lab.run(2 * SECOND)
    assert write(lab, add("a", 1), ClientRequestToken="t").status == 200
    found: Any = lab.call("GetItem", TableName="things", Key={"pk": {"S": "a"}}, ConsistentRead=True).body
    assert found["Item"]["n"] == {"N": "2"}


def test_the_ledger_forgets_a_transaction_ten_minutes_after_its_end_and_not_before(lab: Lab) -> None:
    write(lab, put("a", 1), ClientRequestToken="t")
    lab.run(5 * SECOND)
    for host in lab.simulation.hosts:
        host.wall_shift_ns += 590 * SECOND
    lab.run(3 * SECOND)
    assert [entry.finished for entry in entries(lab)] == [True]
    for host in lab.simulation.hosts:
        host.wall_shift_ns += 10 * SECOND
    lab.run(3 * SECOND)
    assert entries(lab) == []


# --- prices and limits ------------------------------------------------------------------------------------------------


@pytest.mark.claim("S69")
def test_a_transaction_pays_its_partitions_for_the_vote_and_for_the_commit(
    make_lab: MakeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = make_lab(partitions=1, limits=Limits())
    lab.create()
    lab.put("warm", 1)
    write(lab, put("warm", 2))
    paid: list[int] = []
    pay = Admission.pay_write

    def note(self: Admission, group: str, units: int) -> None:
        if group.startswith("things"):
            paid.append(units)
        pay(self, group, units)

    monkeypatch.setattr(Admission, "pay_write", note)
    answer = write(lab, put("a", "x" * 1500), put("b", 1), ReturnConsumedCapacity="TOTAL")
    assert sorted(paid) == [1, 1, 2, 2]
    assert answer.body["ConsumedCapacity"][0]["CapacityUnits"] == 6.0  # type: ignore[index, call-overload]


def test_a_partition_over_its_limit_cancels_with_a_reason_that_says_so(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1, limits=Limits(partition_write=1))
    lab.create()
    answers = [write(lab, put("a", "x" * 4000)) for _ in range(4)]
    refused = [answer for answer in answers if answer.status != 200]
    assert refused and all(codes(answer) == ["ThrottlingError"] for answer in refused)
    assert markers(lab) == []


def test_no_more_than_its_limit_goes_into_an_item_collection_by_way_of_transactions(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1, collection_bytes_max=4_000)
    lab.call(
        "CreateTable",
        TableName="things",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "v")],
        LocalSecondaryIndexes=[
            {
                "IndexName": "by-v",
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "v", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    lab.run(4 * SECOND)

    def item(number: int) -> dict[str, Any]:
        value = {"pk": {"S": "a"}, "sk": {"S": str(number)}, "x": {"S": "x" * 1500}}
        return {"Put": {"TableName": "things", "Item": value}}

    assert write(lab, item(1), item(2)).status == 200
    assert codes(write(lab, item(3))) == ["ItemCollectionSizeLimitExceeded"]


def test_a_hundred_actions_and_keys_of_the_greatest_length_fit_the_ledger(lab: Lab) -> None:
    keys = [f"{number:03d}" + "k" * 2045 for number in range(100)]
    assert write(lab, *[put(key, "v") for key in keys]).status == 200
    lab.run(SECOND // 10)
    (entry,) = entries(lab)
    assert len(entry.participants) == 100 and entry.state == COMMITTED and entry.finished


def test_what_is_too_large_for_the_ledger_is_still_done_and_cancelled_as_a_whole(lab: Lab) -> None:
    large = [put(f"k{number}", "x" * 300_000) for number in range(10)]
    assert write(lab, *large).status == 200
    assert codes(write(lab, *large[:9], put("k9", 1, ConditionExpression="attribute_not_exists(pk)")))[-1] != "None"
    lab.run(SECOND // 10)
    assert sorted(entry.state for entry in entries(lab)) == [CANCELLED, COMMITTED]


# --- tables and partitions --------------------------------------------------------------------------------------------


def test_a_transaction_with_a_table_that_is_not_there_does_nothing(lab: Lab) -> None:
    other = {"Put": {"TableName": "nowhere", "Item": {"pk": {"S": "a"}}}}
    assert write(lab, put("a", 1), other).error == "ResourceNotFoundException"
    assert lab.get("a") is None


def test_a_table_that_is_deleted_while_a_transaction_holds_an_item_of_it_lets_the_rest_go(lab: Lab) -> None:
    lab.create("others")
    other = {"Put": {"TableName": "others", "Item": {"pk": {"S": "a"}}}}
    write(lab, put("a", 0), other)
    hold(lab, put("a", 1), other)
    assert lab.call("DeleteTable", 1, TableName="others").status == 200
    lab.run(20 * SECOND)
    lab.simulation.network._rules.clear()
    lab.run(10 * SECOND)
    assert markers(lab) == []
    assert agree(lab, ["a"], router=1) in (["0"], ["1"])
    assert all(entry.finished for entry in entries(lab))


def test_markers_go_with_their_keys_when_a_partition_divides(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1)
    lab.create()
    for key in KEYS:
        lab.put(key, 0)
    token = hold(lab, *[put(key, 1) for key in KEYS])
    index, group = lab.leader("k0")
    lab.simulation.order(index, m.SplitNow(group))
    lab.run(SECOND)
    held = markers(lab)
    assert {name for name, _, _ in held} == {f"{group}.0", f"{group}.1"} and len({key for _, key, _ in held}) == 12
    lab.simulation.network._rules.clear()
    lab.run(8 * SECOND)
    assert markers(lab) == []
    assert agree(lab, KEYS, router=1) in (["0"] * 12, ["1"] * 12)
    assert token in lab.answers


def test_markers_outlive_a_snapshot_and_the_loss_of_every_process(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1, log_records_max=60, timing=replace(Timing(), stalled_ns=30 * SECOND))
    lab.create()
    for key in KEYS:
        lab.put(key, 0)
    hold(lab, *[put(key, 1) for key in KEYS])
    for number in range(150):
        lab.put(f"x{number}", number, router=1)
    assert "snapshot-written" in lab.kinds()
    machines = range(lab.simulation.storage_count)
    for index in machines:
        lab.simulation.crash(index)
    lab.simulation.crash(lab.simulation.storage_count)
    for index in machines:
        lab.simulation.restart(index)
    lab.run(4 * SECOND)
    held = markers(lab)
    assert len({key for _, key, _ in held}) == 12, "they were acknowledged to the coordinator"
    lab.simulation.network._rules.clear()
    lab.run(40 * SECOND)
    assert markers(lab) == []
    assert agree(lab, KEYS, router=1) == ["1"] * 12, "the ledger has what was to be done"


def test_a_router_with_transactions_in_its_hands_is_plain_data_that_can_be_copied(lab: Lab) -> None:
    write(lab, put("a", 0))
    lab.run(SECOND)
    node: Any = lab.simulation.hosts[lab.simulation.storage_count].node
    assert node.batches == {} and node.pending == {}, "nothing is left of what is over"
    send(lab, [put("a", 1), put("b", 1)], ClientRequestToken="t")
    lab.send("TransactGetItems", TransactItems=gets(["a", "c"]))
    while len(node.batches) < 2:
        lab.run(10_000)
    other = node.copy()
    assert other.batches == node.batches and other.batches is not node.batches
    assert other.fingerprint(lab.simulation.now) == node.fingerprint(lab.simulation.now)
    before = node.fingerprint(lab.simulation.now)
    lab.run(SECOND)
    assert node.batches == {} and node.fingerprint(lab.simulation.now) != before

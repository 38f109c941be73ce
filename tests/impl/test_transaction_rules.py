"""What each rule accepts that is refused without it, and what that costs (`dynalab_impl.transaction_rules`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dynalab_impl import messages as m
from dynalab_impl import transaction_rules as rules
from dynalab_impl.effects import RequestToken

from .conftest import SECOND, Lab
from .transacting import add, agree, check, codes, delete, entries, gets, markers, put, read, send, values, write

MakeLab = Callable[..., Lab]
ALL = tuple(rules.RULES)


def made(make_lab: MakeLab, *names: str, partitions: int = 4) -> Lab:
    lab = make_lab(partitions=partitions, transaction_rules=names)
    lab.create()
    for router in (0, 1):
        write(lab, put("warm", router), router=router)
    return lab


def prepared(lab: Lab, *actions: dict[str, Any], router: int = 0) -> RequestToken:
    """A transaction that every leader has voted for, and whose coordinator learns of it later."""
    before = lab.kinds().count("item-prepared")
    machine = lab.simulation.storage_count + router
    storage = list(range(lab.simulation.storage_count))
    token = send(lab, actions, router)
    while lab.kinds().count("item-prepared") < before + len(actions):
        lab.run(10_000)
    rule = lab.rule("delay", [machine], storage, names=("WriteRequest", "CommitItem"), delay_ns=SECOND // 10)
    lab.run(SECOND // 50)
    assert token not in lab.answers and len(markers(lab)) >= len(actions)
    lab.simulation.network.remove_rule(rule)
    return token


def test_every_rule_says_what_it_accepts_and_what_that_costs() -> None:
    assert [rule.number for rule in rules.RULES.values()] == [2, 3, 4, 5, 6]
    assert all(rule.accepts and rule.why and rule.cost for rule in rules.RULES.values())


# --- 2: single writes before what is prepared -------------------------------------------------------------------------


def test_a_single_write_passes_a_blind_put_that_is_prepared_and_is_overwritten_by_it(make_lab: MakeLab) -> None:
    for names, expected in (((), "TransactionConflictException"), ((rules.WRITE_BEFORE_PREPARED,), None)):
        lab = made(make_lab, *names)
        lab.put("a", 0)
        token = prepared(lab, put("a", 2), put("b", 2))
        assert lab.put("a", 1, router=1).error == expected
        assert lab.get("a") == ("0" if expected else "1")
        lab.run(SECOND)
        assert lab.answers[token].status == 200
        assert values(read(lab, "a", "b")) == ["2", "2"]
        assert markers(lab) == []


@pytest.mark.parametrize(
    "held",
    [add("a", 1), check("a", "attribute_exists(pk)"), put("a", 2, ConditionExpression="attribute_exists(pk)")],
    ids=["an update", "a check", "a conditional put"],
)
def test_no_single_write_passes_what_looks_at_the_item(make_lab: MakeLab, held: dict[str, Any]) -> None:
    lab = made(make_lab, rules.WRITE_BEFORE_PREPARED)
    lab.put("a", 0)
    prepared(lab, held, put("b", 2))
    assert lab.put("a", 1, router=1).error == "TransactionConflictException"


def test_passing_what_is_prepared_costs_real_time(make_lab: MakeLab) -> None:
    """One client sees the transaction on b, and then writes a: that write is ordered before the transaction."""
    lab = made(make_lab, rules.WRITE_BEFORE_PREPARED)
    far = next(f"b{n}" for n in range(50) if lab.leader(f"b{n}")[0] != lab.leader("a")[0])
    storage = list(range(lab.simulation.storage_count))
    token = prepared(lab, put("a", 2), put(far, 2))
    lab.rule("delay", [9], [lab.leader("a")[0]], names=("CommitItem",), delay_ns=SECOND)
    while lab.get(far) != "2":
        lab.run(SECOND // 100)
    seen = lab.call(
        "PutItem",
        1,
        TableName="things",
        Item={"pk": {"S": far}, "v": {"S": "3"}},
        ConditionExpression="v = :two",
        ExpressionAttributeValues={":two": {"S": "2"}},
    )
    assert seen.status == 200 and token not in lab.answers
    assert lab.put("a", "later", router=1).status == 200
    lab.run(3 * SECOND)
    assert lab.answers[token].status == 200 and lab.get("a") == "2", "what was written later is gone"
    del storage


# --- 3: old writes that are hidden ------------------------------------------------------------------------------------


def slow(lab: Lab, router: int, behind_ns: int) -> None:
    lab.simulation.hosts[lab.simulation.storage_count + router].wall_shift_ns -= behind_ns


def test_an_old_blind_put_is_accepted_behind_a_put_that_hides_it_and_is_never_seen(make_lab: MakeLab) -> None:
    """Without the rule it begins anew behind that put, and overwrites it. With it: an acknowledged write that no later
    read sees, which is what the rule costs where clocks differ.
    """
    for names, expected in (((), "old"), ((rules.OLD_WRITE_IGNORED,), "young")):
        lab = made(make_lab, *names)
        slow(lab, 0, SECOND // 5)
        lab.put("a", "young", router=1)
        lab.told.clear()
        assert write(lab, put("a", "old"), put("b", "old")).status == 200
        assert ("transaction-anew" in lab.kinds()) == (expected == "old")
        assert values(read(lab, "a", "b")) == [expected, "old"]
        assert markers(lab) == []


def test_only_a_put_that_looked_at_nothing_hides_an_old_write(make_lab: MakeLab) -> None:
    lab = made(make_lab, rules.OLD_WRITE_IGNORED)
    slow(lab, 0, SECOND // 5)
    lab.put("a", "young", router=1)
    lab.call("UpdateItem", 1, TableName="things", Key={"pk": {"S": "a"}}, UpdateExpression="SET x = v")
    assert write(lab, put("a", "old")).status == 200
    assert "transaction-anew" in lab.kinds() and lab.get("a") == "old"
    told = {"ReturnValues": "ALL_OLD"}, {"ConditionExpression": "attribute_not_exists(pk) OR v <> pk"}
    for number, looks in enumerate(told):
        lab.put(f"c{number}", "before", router=1)
        lab.put(f"c{number}", "young", router=1, **looks)
        lab.told.clear()
        assert write(lab, put(f"c{number}", "old")).status == 200
        assert "transaction-anew" in lab.kinds(), "what hides it has seen what was there before"
    lab.put("b", "young", router=1)
    lab.told.clear()
    assert write(lab, put("b", "old", ConditionExpression="attribute_exists(pk)")).status == 200
    assert "transaction-anew" in lab.kinds(), "a condition looks at the item"


def test_no_old_write_is_ignored_where_another_item_of_its_transaction_was_read_as_of_a_later_time(
    make_lab: MakeLab,
) -> None:
    """The reader saw what hides the one write, and not the other: no order would have room for both."""
    lab = made(make_lab, rules.OLD_WRITE_IGNORED)
    lab.put("b", "young")
    read(lab, "a", "b", router=1)
    lab.run(SECOND // 2)
    slow(lab, 0, SECOND // 5)
    lab.put("a", "young", router=1)
    assert values(read(lab, "a", "b", router=1)) == ["young", "young"]
    lab.told.clear()
    assert write(lab, put("a", "old"), put("b", "old")).status == 200
    assert "transaction-anew" in lab.kinds()
    assert values(read(lab, "a", "b", router=1)) == ["old", "old"]


def test_no_old_write_is_ignored_behind_a_check_that_saw_what_it_would_replace(make_lab: MakeLab) -> None:
    lab = made(make_lab, rules.OLD_WRITE_IGNORED)
    lab.put("a", "seen", router=1)
    lab.run(SECOND)
    slow(lab, 0, SECOND // 5)
    assert (
        write(lab, check("a", "v = :seen", ExpressionAttributeValues={":seen": {"S": "seen"}}), router=1).status == 200
    )
    lab.told.clear()
    assert write(lab, put("a", "old")).status == 200
    assert "transaction-anew" in lab.kinds() and lab.get("a") == "old"


# --- 4: several prepared on one item ----------------------------------------------------------------------------------


def test_blind_puts_of_several_transactions_are_prepared_together_and_the_youngest_stays(make_lab: MakeLab) -> None:
    for names, refused in (((), True), ((rules.MANY_PREPARED,), False)):
        lab = made(make_lab, *names)
        first = prepared(lab, put("a", 1), put("b", 1))
        answer = write(lab, put("a", 2), put("c", 2), router=1)
        if refused:
            assert codes(answer) == ["TransactionConflict", "None"]
            continue
        assert answer.status == 200 and first not in lab.answers, "it need not wait for the other"
        assert lab.get("a") == "2"
        lab.run(SECOND)
        assert lab.answers[first].status == 200
        assert values(read(lab, "a", "b", "c")) == ["2", "1", "2"], "it is hidden by the younger one"
        assert markers(lab) == []


def test_a_delete_hides_an_older_put_that_was_prepared_beside_it(make_lab: MakeLab) -> None:
    lab = made(make_lab, rules.MANY_PREPARED)
    lab.put("a", 0)
    first = prepared(lab, put("a", 1), put("b", 1))
    assert write(lab, delete("a"), router=1).status == 200
    lab.run(SECOND)
    assert lab.answers[first].status == 200
    assert values(read(lab, "a", "b")) == [None, "1"]


def test_what_looks_at_the_item_is_not_prepared_beside_anything(make_lab: MakeLab) -> None:
    lab = made(make_lab, rules.MANY_PREPARED)
    lab.put("a", 0)
    prepared(lab, put("a", 1), put("b", 1))
    for action in (
        add("a", 1),
        check("a", "attribute_exists(pk)"),
        delete("a", ConditionExpression="attribute_exists(v)"),
    ):
        assert codes(write(lab, action, router=1)) == ["TransactionConflict"]


# --- 5: reads in one round --------------------------------------------------------------------------------------------


def test_a_read_transaction_takes_one_round_where_nothing_is_under_way(make_lab: MakeLab) -> None:
    took: list[int] = []
    for names in ((), (rules.ONE_ROUND_READ,)):
        lab = made(make_lab, *names)
        lab.put("a", 1)
        read(lab, "a", "b")  # the first one makes the leaders log how far is read
        lab.run(SECOND // 50)
        start = lab.simulation.now
        token = lab.send("TransactGetItems", TransactItems=gets(["a", "b"]))
        while token not in lab.answers:
            lab.run(1_000)
        took.append(lab.simulation.now - start)
        assert values(lab.answers[token]) == ["1", None]
        assert ("read-in-one-round" in lab.kinds()) == bool(names)
    assert took[1] < took[0], "a round less; the way to the router and back is the same"


def test_a_younger_transaction_that_is_prepared_does_not_cancel_a_read_in_one_round(make_lab: MakeLab) -> None:
    """Without the rule whatever is prepared cancels a read."""
    for names, accepted in (((), False), ((rules.ONE_ROUND_READ,), True)):
        lab = made(make_lab, *names)
        write(lab, put("a", 1), put("b", 1))
        lab.run(SECOND // 5)
        slow(lab, 1, SECOND // 10)
        read(lab, "a", "b", router=1)
        prepared(lab, put("a", 2), put("b", 2))
        answer = read(lab, "a", "b", router=1)
        if accepted:
            assert values(answer) == ["1", "1"], "as of a time before it"
        else:
            assert codes(answer) == ["TransactionConflict"] * 2
        lab.run(SECOND)
        assert agree(lab, ["a", "b"]) == ["2", "2"]


def test_no_older_transaction_writes_what_was_read_as_of_a_later_time(make_lab: MakeLab) -> None:
    """Nor after a change of leaders: the next one knows how far was read."""
    for failover in (False, True):
        lab = made(make_lab, rules.ONE_ROUND_READ)
        write(lab, put("a", 1))
        lab.run(SECOND)
        read(lab, "a")
        lab.run(SECOND // 50)
        slow(lab, 0, 10 * SECOND if failover else SECOND // 10)
        lab.told.clear()
        assert values(read(lab, "a", router=1)) == ["1"] and "read-in-one-round" in lab.kinds()
        if failover:
            lab.simulation.crash(lab.leader("a")[0])
            lab.run(6 * SECOND)
        lab.told.clear()
        assert write(lab, put("a", 2), wait_ns=12 * SECOND).status == 200
        assert "transaction-anew" in lab.kinds()


def test_reads_in_one_round_cost_real_time_where_clocks_differ(make_lab: MakeLab) -> None:
    """A read as of a time that the leaders have not reached sees a write and misses one acknowledged before that."""
    for names, found in (((), None), ((rules.ONE_ROUND_READ,), ["0", "1"])):
        lab = made(make_lab, *names)
        far = next(f"b{n}" for n in range(50) if lab.leader(f"b{n}")[0] != lab.leader("a")[0])
        lab.put("a", 0)
        lab.put(far, 0)
        slow(lab, 1, -SECOND // 10)
        read(lab, "a", far, router=1)
        lab.run(SECOND // 50)
        rule = lab.rule("delay", [10], [lab.leader(far)[0]], names=("ReadItem",), delay_ns=SECOND // 20)
        token = lab.send("TransactGetItems", 1, TransactItems=gets(["a", far]))
        lab.run(SECOND // 200)
        assert lab.put("a", 1).status == 200 and lab.put(far, 1).status == 200
        assert token not in lab.answers
        lab.simulation.network.remove_rule(rule)
        lab.run(SECOND)
        if found is None:
            assert codes(lab.answers[token])[0] == "TransactionConflict"
        else:
            assert values(lab.answers[token]) == found


# --- 6: one round for one partition -----------------------------------------------------------------------------------


def test_a_transaction_in_one_partition_is_one_entry_of_its_log(make_lab: MakeLab) -> None:
    lab = made(make_lab, rules.ONE_ROUND_WRITE, partitions=1)
    before = len(entries(lab))
    lab.told.clear()
    start = lab.simulation.now
    assert write(lab, put("a", 1), put("b", 1), check("c", "attribute_not_exists(pk)")).status == 200
    took = lab.simulation.now - start
    assert "transaction-in-one-entry" in lab.kinds() and "item-prepared" not in lab.kinds()
    assert len(entries(lab)) == before and values(read(lab, "a", "b", "c")) == ["1", "1", None]
    failing = write(lab, put("a", 2), put("b", 2, ConditionExpression="attribute_not_exists(pk)"))
    assert codes(failing) == ["None", "ConditionalCheckFailed"]
    assert values(read(lab, "a", "b")) == ["1", "1"]
    start = lab.simulation.now
    assert write(lab, put("a", 3), put("b", 3), ClientRequestToken="t").status == 200
    assert lab.simulation.now - start > 2 * took, "a token goes the long way"
    assert len(entries(lab)) == before + 1


def test_one_entry_meets_what_a_transaction_of_the_long_way_holds(make_lab: MakeLab) -> None:
    lab = made(make_lab, rules.ONE_ROUND_WRITE, partitions=1)
    token = send(lab, [put("a", 1), put("b", 1)], ClientRequestToken="t")
    while "item-prepared" not in [event.kind for _, _, event in lab.told[-30:]] or not markers(lab):
        lab.run(10_000)
    assert codes(write(lab, put("a", 2), put("x", 2), router=1)) == ["TransactionConflict", "None"]
    lab.run(SECOND)
    assert lab.answers[token].status == 200


def test_a_router_with_an_old_map_goes_the_long_way_when_the_partition_was_divided(make_lab: MakeLab) -> None:
    lab = made(make_lab, rules.ONE_ROUND_WRITE, partitions=1)
    keys = [f"k{number}" for number in range(12)]
    assert write(lab, *[put(key, 1) for key in keys]).status == 200
    index, group = lab.leader("k0")
    lab.simulation.order(index, m.SplitNow(group))
    lab.run(SECOND)
    lab.told.clear()
    assert write(lab, *[put(key, 2) for key in keys]).status == 200
    assert "transaction-in-one-entry" not in lab.kinds() and "transaction-begun" in lab.kinds()
    assert agree(lab, keys) == ["2"] * 12


def test_one_entry_is_done_once_however_often_it_comes(make_lab: MakeLab) -> None:
    lab = made(make_lab, rules.ONE_ROUND_WRITE, partitions=1)
    everybody = list(range(len(lab.simulation.addresses)))
    lab.rule("duplicate", everybody, everybody, names=("WriteWhole", "Answer"), delay_ns=SECOND // 20)
    for _ in range(4):
        assert write(lab, add("a", 1), add("b", 1)).status == 200
        lab.run(SECOND // 5)
    answer = lab.call("TransactGetItems", TransactItems=gets(["a", "b"]))
    found: Any = answer.body["Responses"]
    assert [one["Item"]["n"]["N"] for one in found] == ["4", "4"]
    assert "dedup-answered" in lab.kinds()

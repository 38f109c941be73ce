"""Attacks on the rules that accept more (`dynalab_impl.transaction_rules`): each is an interleaving that no serial
order explains, made by holding back messages.
"""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_impl import transaction_rules as rules
from dynalab_impl.effects import RequestToken

from .conftest import SECOND, Lab
from .transacting import agree, check, gets, markers, put, read, send, update, values, write


def made(*names: str, **shape: Any) -> Lab:
    lab = Lab(transaction_rules=names, **shape)
    lab.create()
    for router in (0, 1):
        # With a token, so that the ledger is there whatever the rules are.
        assert write(lab, put("warm", router), router=router, ClientRequestToken=f"warm{router}").status == 200
    lab.run(SECOND)
    return lab


def machine(lab: Lab, router: int) -> int:
    return lab.simulation.storage_count + router


def slow(lab: Lab, router: int, behind_ns: int = SECOND // 5) -> None:
    lab.simulation.hosts[machine(lab, router)].wall_shift_ns -= behind_ns


def apart(lab: Lab, name: str, *others: str) -> str:
    """A key whose partition has another leader than those of the others."""
    leaders = [lab.leader(other)[0] for other in others]
    return next(key for key in (f"{name}{number}" for number in range(200)) if lab.leader(key)[0] not in leaders)


def hold(lab: Lab, router: int, key: str, *names: str, effect: str = "cut", **more: Any) -> Any:
    """Hold messages of this router back from who leads the key."""
    return lab.rule(effect, [machine(lab, router)], [lab.leader(key)[0]], names=names, **more)


def let_go(lab: Lab, rule: Any) -> None:
    lab.simulation.network.remove_rule(rule)


def is_done(lab: Lab, token: RequestToken, wait_ns: int = 6 * SECOND) -> Any:
    end = lab.simulation.now + wait_ns
    while token not in lab.answers:
        assert lab.simulation.now < end, "no answer"
        lab.run(SECOND // 1000)
    return lab.answers[token]


# --- read transactions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [(rules.MANY_PREPARED,), (rules.MANY_PREPARED, rules.ONE_ROUND_READ)])
def test_nobody_reads_what_hides_a_write_and_misses_the_other_half_of_the_hidden_one(names: tuple[str, ...]) -> None:
    """The older transaction is prepared on x alone when the younger one happens and is read. It may happen before that
    one no more.
    """
    lab = made(*names)
    x = "x"
    y = apart(lab, "y", x)
    z = apart(lab, "z", y)
    rule = hold(lab, 0, y, "PrepareItem")
    older = send(lab, [put(x, "older"), put(y, "older")])
    lab.run(SECOND // 20)
    assert write(lab, put(x, "younger"), put(z, "younger"), router=1).status == 200
    assert agree(lab, [z, y], router=1) == ["younger", None]
    let_go(lab, rule)
    assert is_done(lab, older).status == 200
    assert agree(lab, [x, y]) == ["older", "older"], "it was read that it comes behind the younger one"
    assert markers(lab) == []


def test_reads_of_one_round_and_of_two_agree_on_one_order() -> None:
    """One reader sees the first of two transactions alone, the other the second alone."""
    lab = made(rules.ONE_ROUND_READ)
    x = "x"
    y = apart(lab, "y", x)
    z = apart(lab, "z", y)
    for router in (0, 1):
        agree(lab, [x, y, z], router=router)
    lab.run(SECOND)
    slow(lab, 0)
    agree(lab, [x, y, z], router=1)
    lab.run(SECOND // 50)
    asking = hold(lab, 0, y, "PrepareItem")
    late = send(lab, [put(y, "late")])
    lab.run(SECOND // 50)
    reading = hold(lab, 1, y, "ReadItem")
    one = lab.send("TransactGetItems", 1, TransactItems=gets([x, y]))
    lab.run(SECOND // 50)
    assert write(lab, put(x, "early"), put(z, "early"), router=1).status == 200
    assert agree(lab, [z, y]) == ["early", None], "this reader sees the one"
    let_go(lab, asking)
    assert is_done(lab, late).status == 200
    let_go(lab, reading)
    found = is_done(lab, one)
    assert found.status != 200 or values(found) != [None, "late"], "and that one the other"


def test_a_reader_whose_router_is_ahead_of_all_clocks_reads_as_of_what_it_finds() -> None:
    for name in (rules.OLD_WRITE_IGNORED, rules.MANY_PREPARED, rules.ONE_ROUND_READ):
        lab = made(name)
        lab.put("x", 1)
        lab.run(SECOND)
        slow(lab, 1, -2 * SECOND)
        read(lab, "x", "y", router=1)
        lab.run(SECOND // 20)
        assert values(read(lab, "x", "y", router=1)) == ["1", None], name


# --- old writes that are hidden ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("looks", ["a check", "an update"])
def test_no_old_write_is_ignored_where_somebody_looked_at_what_a_put_has_replaced_since(looks: str) -> None:
    """It would come before the put, so before that look as well, which had not seen it."""
    lab = made(rules.OLD_WRITE_IGNORED)
    for key in ("x", "y"):
        lab.put(key, "before", router=1)
    lab.run(SECOND)
    slow(lab, 0)
    seen = {"ExpressionAttributeValues": {":seen": {"S": "before"}}}
    look = check("x", "v = :seen", **seen) if looks == "a check" else update("x", "SET w = v")
    assert write(lab, look, put("y", "looked"), router=1).status == 200
    lab.put("x", "replaced", router=1)
    assert write(lab, put("x", "old"), put("y", "old")).status == 200
    assert agree(lab, ["x", "y"]) == ["old", "old"], "whoever looked would have seen it"


# --- several prepared on one item -------------------------------------------------------------------------------------


def test_transactions_with_one_timestamp_are_in_the_same_order_on_all_items() -> None:
    """Both were refused for the same reason, and told of the same timestamp."""
    lab = made(rules.MANY_PREPARED)
    a = "a"
    b = apart(lab, "b", a)
    for router in (0, 1):
        slow(lab, router)
    lab.put(a, "young")
    hold(lab, 0, b, "CommitItem", effect="delay", delay_ns=SECOND // 20)
    hold(lab, 1, a, "CommitItem", effect="delay", delay_ns=SECOND // 20)
    tokens = [send(lab, [put(a, router), put(b, router)], router) for router in (0, 1)]
    assert [is_done(lab, token).status for token in tokens] == [200, 200]
    assert lab.kinds().count("transaction-anew") >= 2
    found = agree(lab, [a, b])
    assert found[0] == found[1], "half of each"


# --- what was checked -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("whole", [False, True])
def test_a_check_that_is_logged_keeps_older_transactions_off_before_it_is_applied(whole: bool) -> None:
    """Else the older one, which comes later in the log, would be read together with what the check has not seen yet."""
    lab = made(*([rules.ONE_ROUND_READ, rules.ONE_ROUND_WRITE] if whole else [rules.ONE_ROUND_READ]), partitions=1)
    lab.put("x", "before", router=1)
    lab.run(SECOND)
    slow(lab, 0)
    leader, group = lab.leader("x")
    looks = check("x", "v = :seen", ExpressionAttributeValues={":seen": {"S": "before"}})
    lab.told.clear()
    if not whole:
        hold(lab, 1, "x", "CommitItem", effect="delay", delay_ns=SECOND // 50)
        token = send(lab, [looks, put("y", "checked")], 1)
        while "transaction-decided" not in lab.kinds():
            lab.run(10_000)
    rule = lab.rule("cut", [leader], lab.members(group), names=("Accept",))
    if whole:
        token = send(lab, [looks, put("y", "checked")], 1)
    while not {"transaction-in-one-entry", "item-committed"} & {*lab.kinds()}:
        lab.run(10_000)
    older = send(lab, [put("x", "older")], ClientRequestToken="long")
    lab.run(SECOND // 10)
    let_go(lab, rule)
    assert is_done(lab, token).status == 200
    answer = is_done(lab, older)
    assert answer.status == 400 or "transaction-anew" in lab.kinds()


# --- clocks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_ns", [86_400 * SECOND, -SECOND], ids=["a day ahead", "a second behind"])
def test_how_far_is_read_goes_by_the_clock_in_the_middle(by_ns: int) -> None:
    """It is in the log for the next leader, whose clock must have come so far before anything else is logged."""
    lab = made(rules.ONE_ROUND_READ, nodes_per_zone=1, partitions=1)
    leader = lab.simulation.hosts[lab.leader("x")[0]]
    leader.wall_shift_ns += by_ns
    lab.run(2 * SECOND)
    lab.put("x", 1)
    agree(lab, ["x", "y"])
    lab.run(SECOND // 20)
    lab.told.clear()
    assert values(read(lab, "x", "y")) == ["1", None] and "read-in-one-round" in lab.kinds()
    lab.simulation.crash(leader.index)
    assert lab.put("x", 2).status == 200
    lab.run(6 * SECOND)
    assert write(lab, put("x", 3), put("y", 3)).status == 200
    assert agree(lab, ["x", "y"]) == ["3", "3"]


# --- one entry --------------------------------------------------------------------------------------------------------


def test_nobody_is_told_that_what_is_in_a_log_did_not_happen_since_its_table_is_gone() -> None:
    """Its stream may have told of it."""
    lab = made(rules.ONE_ROUND_WRITE, partitions=1)
    machines = list(range(lab.simulation.storage_count))
    lab.rule("cut", machines, [machine(lab, 0)], names=("Answer",))
    token = send(lab, [put("x", 1), put("y", 1)])
    lab.run(SECOND // 10)
    assert "transaction-in-one-entry" in lab.kinds() and lab.call("DeleteTable", 1, TableName="things").status == 200
    assert is_done(lab, token).status == 500


@pytest.mark.parametrize("names", [(), (rules.ONE_ROUND_WRITE,)])
def test_a_leader_and_a_router_whose_clocks_are_a_day_ahead_put_no_transactions_off_for_a_day(
    names: tuple[str, ...],
) -> None:
    """They may share a machine. Its items must not have timestamps that nobody else reaches."""
    lab = made(*names, nodes_per_zone=1, partitions=1)
    leader = lab.simulation.hosts[lab.leader("x")[0]]
    day_ns = 86_400 * SECOND
    leader.wall_shift_ns += day_ns
    slow(lab, 1, -day_ns)
    lab.run(2 * SECOND)
    assert write(lab, put("x", 1), put("y", 1), router=1).status == 200
    lab.simulation.crash(leader.index)
    lab.run(8 * SECOND)
    assert write(lab, put("x", 2), put("y", 2)).status == 200

"""Whoever dies, and whenever: a transaction happens as a whole or not at all, and lets everything go.

Each test plays the same transaction again and again; the fault hits right after its first event, its second, and so on
until none is left. Afterwards another router reads all items at one moment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dynalab_fault_injection.run import Setting, run_one
from dynalab_impl import messages as m
from dynalab_impl.effects import Address, Timing
from dynalab_model.events import Event
from tests.impl.conftest import SECOND, Lab
from tests.impl.transacting import add, agree, entries, markers, put, send, write

KEYS = ["a", "b", "c"]
OLD, NEW = ["old"] * 3, ["new"] * 3
HEALED_NS = 20 * SECOND  # by then nothing may be held any more
EVENTS_MAX = 60

Fault = Callable[[Lab, Address], None]


class Trap:
    """Strikes right after the step that told the transaction's event of this number."""

    def __init__(self, lab: Lab, number: int, strike: Fault) -> None:
        self.lab, self.number, self.strike = lab, number, strike
        self.kind = ""
        lab.simulation.listeners.append(self.hear)

    def hear(self, at: int, who: Address, event: Event) -> None:
        if not event.kind.startswith(("transaction-", "item-")):
            return
        self.number -= 1
        if self.number == 0:
            self.kind = event.kind
            self.lab.simulation.at(self.lab.simulation.now, "strike", lambda: self.strike(self.lab, who))


def ready(**shape: Any) -> Lab:
    lab = Lab(**shape)
    lab.create()
    write(lab, *[put(key, "old") for key in KEYS])
    write(lab, put("warm", 1), router=1)
    lab.run(SECOND // 5)
    lab.told.clear()
    return lab


def crash_router(lab: Lab, who: Address) -> None:
    lab.simulation.crash(lab.simulation.storage_count)


def crash_leader(lab: Lab, who: Address) -> None:
    lab.simulation.crash(lab.leader("a")[0])


def crash_who_told(lab: Lab, who: Address) -> None:
    lab.simulation.crash(lab.simulation.addresses.index(who))


def split(lab: Lab, who: Address) -> None:
    index, group = lab.leader("a")
    lab.simulation.order(index, m.SplitNow(group))


def crash_router_and_leader(lab: Lab, who: Address) -> None:
    crash_router(lab, who)
    crash_leader(lab, who)


def crash_ledger(lab: Lab, who: Address) -> None:
    for index in range(lab.simulation.storage_count):
        node: Any = lab.simulation.hosts[index].node
        if node is not None and any(r.is_leader and r.spec.table == "#ledger" for r in node.replicas.values()):
            lab.simulation.crash(index)
            return


FAULTS: dict[str, Fault] = {
    "the coordinator dies": crash_router,
    "the leader of an item dies": crash_leader,
    "whoever told the event dies": crash_who_told,
    "a leader of the ledger dies": crash_ledger,
    "a partition divides": split,
    "the coordinator and a leader die": crash_router_and_leader,
}


# What the client was told (if it was told anything), and what is there afterwards. What has come into the ledger is
# carried out by whoever takes it over, so a dead coordinator cancels nothing.
OUTCOMES = {
    "the coordinator dies": {"none new", "200 new"},
    "the leader of an item dies": {"200 new"},
    "whoever told the event dies": {"none new", "200 new"},
    "a leader of the ledger dies": {"200 new"},
    "a partition divides": {"200 new"},
    "the coordinator and a leader die": {"none new", "200 new"},
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_transaction_is_whole_whatever_fails_after_whichever_of_its_steps(name: str) -> None:
    outcomes: dict[str, int] = {}
    for number in range(1, EVENTS_MAX):
        lab = ready(seed=number)
        trap = Trap(lab, number, FAULTS[name])
        token = send(lab, [put(key, "new") for key in KEYS], ClientRequestToken="t")
        lab.run(SECOND // 2)
        if not trap.kind:
            break  # it was over before the fault
        lab.run(6 * SECOND)
        answer = lab.answers.get(token)
        found = agree(lab, KEYS, router=1)
        where = f"after {number}: {trap.kind}, answered {answer}"
        assert found in (OLD, NEW), where
        if answer is not None and answer.status == 200:
            assert found == NEW, where
        elif answer is not None and answer.status < 500:
            assert found == OLD, where
        lab.run(HEALED_NS)
        assert markers(lab) == [], where
        assert all(entry.finished for entry in entries(lab)), where
        assert agree(lab, KEYS, router=1) == found, where
        told = "none" if answer is None else str(answer.status)
        outcomes[f"{told} {found[0]}"] = outcomes.get(f"{told} {found[0]}", 0) + 1
    else:
        raise AssertionError("the transaction has more events than were looked at")
    assert number > 8, "there were steps to be hit"
    assert outcomes.keys() == OUTCOMES[name], outcomes


def test_messages_that_come_twice_and_late_do_nothing_twice() -> None:
    told: dict[str, int] = {}
    for seed in range(1, 7):
        lab = ready(seed=seed)
        everybody = list(range(len(lab.simulation.addresses)))
        lab.rule("duplicate", everybody, everybody, names=("Answer", "WriteRequest", "ItemRead"))
        steps = ("PrepareItem", "CommitItem", "CancelItem")
        late = lab.rule("duplicate", everybody, everybody, names=steps, delay_ns=SECOND // 50, spread_bits=30)
        count = 0
        for number in range(8):
            # Two at the same time: each may meet what the other holds, and a late copy of its question meets nothing.
            rivals = [send(lab, [put("a", number), add("n", 1), put("c", number)], router) for router in (0, 1)]
            lab.run(8 * SECOND)
            for token in rivals:
                answer = lab.answers[token]
                assert answer.status == 200 or answer.error == "TransactionCanceledException", answer
                count += answer.status == 200
        assert late.hits > 20
        lab.run(HEALED_NS)
        assert markers(lab) == []
        read = lab.call("GetItem", TableName="things", Key={"pk": {"S": "n"}}, ConsistentRead=True)
        item: Any = read.body["Item"]
        assert item["n"]["N"] == str(count) and count > 0
        for kind in lab.kinds():
            told[kind] = told.get(kind, 0) + 1
    assert told["dedup-answered"] and told["transaction-stalled"], "late copies left markers, and those were cleared"


# --- deadlines --------------------------------------------------------------------------------------------------------


def cut_off(lab: Lab, key: str) -> Any:
    """No step of a transaction reaches the machines that hold this key."""
    everybody = list(range(len(lab.simulation.addresses)))
    group = lab.leader(key)[1]
    names = ("PrepareItem", "CommitItem", "CancelItem")
    return lab.rule("cut", everybody, lab.members(group), names=names)


def test_what_is_not_prepared_in_time_is_cancelled_and_its_token_may_be_used_once_more() -> None:
    lab = ready()
    rule = cut_off(lab, "a")
    answer = write(lab, put("a", "new"), put("b", "new"), ClientRequestToken="t2", wait_ns=8 * SECOND)
    assert answer.error == "TransactionCanceledException", answer
    reasons: Any = answer.body["CancellationReasons"]
    assert reasons[0]["Code"] == "ThrottlingError"
    lab.simulation.network.remove_rule(rule)
    lab.run(HEALED_NS)
    assert "item-cancelled" in lab.kinds() or "item-prepared" not in lab.kinds()
    assert agree(lab, ["a"], router=1) == ["old"] and markers(lab) == []
    again = write(lab, put("a", "new"), put("b", "new"), ClientRequestToken="t2", router=1)
    assert again.status == 200 and agree(lab, ["a"], router=1) == ["new"]


def test_what_is_decided_and_cannot_be_told_in_time_is_answered_as_unknown_and_happens_all_the_same() -> None:
    lab = ready()
    everybody = list(range(len(lab.simulation.addresses)))
    rule = lab.rule("cut", everybody, everybody, names=("CommitItem",))
    token = send(lab, [put(key, "new") for key in KEYS], ClientRequestToken="t2")
    lab.run(6 * SECOND)
    answer = lab.answers[token]
    assert (answer.status, answer.error) == (500, "InternalServerError")
    assert len({key for _, key, _ in markers(lab)}) == 3 and lab.get("a") == "old", "held, and not done"
    lab.simulation.network.remove_rule(rule)
    lab.run(HEALED_NS)
    assert agree(lab, KEYS, router=1) == NEW and markers(lab) == []
    again = write(lab, *[put(key, "new") for key in KEYS], ClientRequestToken="t2", router=1)
    assert again.status == 200, "its token tells what became of it"


def test_a_token_whose_coordinator_died_is_finished_by_whoever_asks_again_after_five_seconds() -> None:
    # Nobody else looks after it in time.
    lab = ready(timing=replace(Timing(), stalled_ns=60 * SECOND))
    actions = [put(key, "new") for key in KEYS]
    trap = Trap(lab, 3, crash_router)
    send(lab, actions, ClientRequestToken="t2")
    lab.run(SECOND)
    assert trap.kind == "item-prepared"
    early = write(lab, *actions, router=1, ClientRequestToken="t2")
    assert early.error == "TransactionInProgressException"
    other = write(lab, put("x", 1), router=1, ClientRequestToken="t2")
    assert other.error == "IdempotentParameterMismatchException"
    lab.run(5 * SECOND)
    assert len(markers(lab)) > 0
    late = write(lab, *actions, router=1, ClientRequestToken="t2")
    assert late.status == 200 and agree(lab, KEYS, router=1) == NEW and markers(lab) == []


def test_what_was_too_large_for_the_ledger_is_cancelled_when_its_coordinator_dies_before_the_decision() -> None:
    lab = ready()
    actions = [put(key, key * 250_000) for key in KEYS]
    trap = Trap(lab, 4, crash_router)
    send(lab, actions)
    lab.run(HEALED_NS)
    assert trap.kind == "item-prepared" and "transaction-taken-over" in lab.kinds()
    assert markers(lab) == [] and agree(lab, KEYS, router=1) == OLD
    assert all(entry.finished for entry in entries(lab))


def test_a_run_with_transactions_is_the_same_whether_its_messages_become_bytes_or_not() -> None:
    def played(through_codec: bool) -> str:
        setting = Setting(seconds=6, through_codec=through_codec, operations_min=50)
        return run_one(3, "transact", ("node-crash",), setting).trace_hash

    assert played(False) == played(True)

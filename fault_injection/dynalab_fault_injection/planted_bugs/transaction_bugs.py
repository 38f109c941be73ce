"""Planted bugs of transactions: when they are decided, what holds an item meanwhile, and what a token remembers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import cast

from dynalab_fault_injection.planted_bugs.bug import PlantedBug
from dynalab_fault_injection.planted_bugs.patch import Patch
from dynalab_impl import coordinator, data_duties, ledger, markers, transact_duties, transact_reads
from dynalab_impl.batching import Part
from dynalab_impl.effects import Address, Effects, Nanoseconds
from dynalab_impl.ledger import CANCELLED, COMMITTED, PREPARING, LedgerEntry
from dynalab_impl.messages import GroupSpec, TransactCommit, TransactPrepare
from dynalab_impl.partition import Partition
from dynalab_impl.replication import leadership
from dynalab_impl.replication.leading import Leading, Waiter
from dynalab_impl.replication.replica import Replica
from dynalab_impl.router import Router
from dynalab_impl.storage_node import StorageNode
from dynalab_impl.transact_messages import CancelItem, PrepareItem
from dynalab_impl.transaction import Transaction, conclude, refuse, results
from dynalab_impl.transaction_rules import RULES
from dynalab_model.errors import transaction_in_progress

_decide = coordinator._decide
_follow = coordinator.follow
_carry = coordinator._carry
_enter = coordinator._enter
_prepare = coordinator._prepare
_begin_anew = coordinator._begin_anew
_judge = transact_duties._judge
_half = Partition._half


def _commit_if_anybody_is_prepared(
    router: Router, work: Transaction, state: str, outcome: list[dict[str, object]], again: bool, effects: Effects
) -> None:
    votes = results(work) if work.phase == "prepare" else []
    if state == CANCELLED and any(vote.body.get("Vote") == "yes" for vote in votes):
        state, again = COMMITTED, False
        outcome = [cast("dict[str, object]", vote.body.get("Body", {})) for vote in votes]
    _decide(router, work, state, outcome, again, effects)


def _follow_to_the_end(router: Router, work: Transaction, entry: LedgerEntry, effects: Effects) -> None:
    if work.recovery and entry.state == CANCELLED:
        entry.state = COMMITTED
    _follow(router, work, entry, effects)


def _answer_first(router: Router, work: Transaction, places: Sequence[int], effects: Effects) -> None:
    if work.state == COMMITTED:
        conclude(work, effects)
    _carry(router, work, places, effects)


def _never_moves(reads: transact_reads.Reads, place: int, part: Part) -> bool:
    return False


def _always_free(partition: Partition, lead: Leading, key: bytes, rules: Collection[str]) -> None:
    return None


def _judge_what_is_applied(
    node: StorageNode,
    replica: Replica,
    partition: Partition,
    lead: Leading,
    message: PrepareItem,
    effects: Effects,
) -> TransactPrepare | None:
    pending, lead.pending_items = lead.pending_items, {}
    try:
        return _judge(node, replica, partition, lead, message, effects)
    finally:
        lead.pending_items = pending


def _leave_the_placeholder(node: StorageNode, sender: Address, message: CancelItem, effects: Effects) -> None:
    replica = transact_duties.asked_leader(node, sender, message, effects)
    if replica is None:
        return
    partition, lead = replica.state, replica.leading
    assert isinstance(partition, Partition) and lead is not None
    held = partition.held.get(message.key)
    if held is None or held.txn != message.txn or message.key in lead.pending_held or message.key in partition.items:
        transact_duties.on_cancel_item(node, sender, message, effects)
        return
    slot = replica.propose(TransactCommit(message.key, message.txn), message.request, message.expiry_ns, effects)
    lead.pending_held[message.key] = (slot, None)
    replica.wait(slot, Waiter(sender, message.number))


def _half_without_markers(self: Partition, spec: GroupSpec) -> Partition:
    half = _half(self, spec)
    half.held = {}
    return half


def _answer_any_token(router: Router, work: Transaction, entry: LedgerEntry, effects: Effects) -> None:
    work.replayed = entry.state == COMMITTED
    if entry.state == PREPARING:
        refuse(router, work, transaction_in_progress(), effects)
        return
    coordinator.follow(router, work, entry, effects)


def _by_id(token: str | None, txn: str) -> str:
    return f"id/{txn}"


def _always_old(partition: Partition, key: bytes) -> Nanoseconds:
    return 0


def _nothing_was_deleted(partition: Partition, key: bytes) -> Nanoseconds:
    stored = partition.items.get(key)
    return 0 if stored is None else stored.stamp_ns


# A coordinator that asks for votes before its entry is in the ledger. `made` tells how far it is: it is empty else.
_LATE, _VOTED = "late", "voted"
_STAGE = "#stage"


def _ask_before_it_is_entered(router: Router, work: Transaction, replaced: str, effects: Effects) -> None:
    if replaced:
        _enter(router, work, replaced, effects)
        return
    _prepare(router, work, effects)
    work.made[_STAGE] = _LATE


def _another_stamp_before_it_is_entered(
    router: Router, work: Transaction, stamp_ns: Nanoseconds, effects: Effects
) -> None:
    if work.made.get(_STAGE) != _LATE:
        _begin_anew(router, work, stamp_ns, effects)
        return
    work.txn, work.attempt, work.stamp_ns = coordinator.fresh_id(effects), work.attempt + 1, stamp_ns
    _ask_before_it_is_entered(router, work, "", effects)


def _enter_what_was_voted(
    router: Router, work: Transaction, state: str, outcome: list[dict[str, object]], again: bool, effects: Effects
) -> None:
    if work.made.get(_STAGE) != _LATE:
        _decide(router, work, state, outcome, again, effects)
        return
    work.state, work.outcome, work.again = state, outcome, again
    work.made = {_STAGE: _VOTED}
    _enter(router, work, "", effects)


def _decide_what_was_entered(router: Router, work: Transaction, effects: Effects) -> None:
    if work.made.pop(_STAGE, "") == _VOTED and work.state != PREPARING:
        _decide(router, work, work.state, work.outcome, work.again, effects)
    else:
        _prepare(router, work, effects)


def _what_was_decided_is_gone(replica: Replica, effects: Effects) -> None:
    lead = replica.leading
    served = lead is not None and lead.served
    leadership.check_lease(replica, effects)
    state = replica.state
    if lead is None or served or not lead.served or replica.spec.table != ledger.LEDGER:
        return
    assert isinstance(state, Partition)
    for key in [key for key, stored in state.items.items() if stored.item["state"]["S"] != PREPARING]:
        del state.items[key]


TRANSACTION_BUGS: tuple[PlantedBug, ...] = (
    PlantedBug(
        name="commit-before-all-prepared",
        rule="a transaction commits only when every item's leader has voted for it",
        sentence="a coordinator decides to commit as soon as one leader has voted for it",
        checker="isolation",
        workload="transact",
        faults=("delay", "slow-node"),
        patches=(Patch(coordinator, "_decide", "7676d27d", _commit_if_anybody_is_prepared),),
    ),
    PlantedBug(
        name="recovery-commits-what-was-cancelled",
        rule="whoever recovers a transaction goes by the ledger's word",
        sentence="a coordinator that takes a cancelled transaction over commits it where it finds its markers",
        checker="isolation",
        workload="transact",
        faults=("crash-between-steps", "partition"),
        patches=(Patch(coordinator, "follow", "186d41fa", _follow_to_the_end),),
    ),
    PlantedBug(
        name="timestamps-not-compared",
        rule="a transaction is prepared only where its timestamp is later than that of the item's last write",
        sentence="leaders vote for transactions without a look at timestamps, and one that comes late is done again",
        checker="bank",
        workload="bank",
        faults=("crash-between-steps", "reorder", "clock-offset"),
        patches=(Patch(transact_duties, "stamp_of", "3ce3775d", _always_old),),
    ),
    PlantedBug(
        name="answered-before-all-have-committed",
        rule="a transaction is acknowledged when every item's leader has confirmed",
        sentence="a coordinator answers the client as soon as the ledger has its decision",
        checker="isolation",
        workload="transact",
        faults=("delay", "slow-node"),
        patches=(Patch(coordinator, "_carry", "4564e2dd", _answer_first),),
    ),
    PlantedBug(
        name="one-round-read",
        rule="a read transaction reads twice, and fails where an item is held or has changed between the rounds",
        sentence="a read transaction takes whatever its first round found",
        checker="bank",
        workload="bank",
        faults=("delay", "slow-node"),
        patches=(Patch(transact_reads, "_moves", "feb95a86", _never_moves),),
    ),
    PlantedBug(
        name="single-write-ignores-markers",
        rule="a single write to an item that a prepared transaction holds is refused",
        sentence="a leader takes a single write although a transaction holds the item",
        checker="isolation",
        workload="transact",
        faults=("delay", "slow-node"),
        patches=(Patch(data_duties, "check_free", "9cb8f21b", _always_free),),
    ),
    PlantedBug(
        name="vote-on-what-is-applied",
        rule="a vote sees every write that was appended before it",
        sentence="a leader votes by the item as it was applied, although a write to it is under way",
        checker="isolation",
        workload="transact",
        faults=("slow-disk", "delay"),
        patches=(Patch(transact_duties, "_judge", "e6a241c6", _judge_what_is_applied),),
    ),
    PlantedBug(
        name="placeholder-leaks",
        rule="a cancelled transaction leaves nothing where no item was",
        sentence="the placeholder of an item that was not there stays as the item when its transaction is cancelled",
        checker="isolation",
        workload="transact",
        faults=("delay", "slow-node"),
        patches=(Patch(StorageNode, "on_cancel_item", "ca82a694", _leave_the_placeholder),),
    ),
    PlantedBug(
        name="split-forgets-markers",
        rule="children inherit the markers of prepared transactions",
        sentence="the children of a split hold no item for any transaction",
        checker="isolation",
        workload="transact",
        faults=("split", "crash-between-steps"),
        patches=(Patch(Partition, "_half", "22f1af03", _half_without_markers),),
    ),
    PlantedBug(
        name="token-not-compared",
        rule="a token that was used for another request is refused",
        sentence="whoever comes with a known token is told what became of the request that had it first",
        checker="tokens",
        workload="transact",
        faults=("delay", "duplicate"),
        patches=(Patch(coordinator, "_known", "a53ee0c5", _answer_any_token),),
    ),
    PlantedBug(
        name="token-lost-with-its-coordinator",
        rule="two requests with one token meet in one entry of the ledger, whoever coordinates them, for ten minutes",
        sentence="the ledger knows transactions by their ids alone; a coordinator that is gone takes its tokens along",
        checker="effects-once",
        workload="bank",
        faults=("crash-between-steps", "loss"),
        patches=(Patch(ledger, "ledger_key", "31cd53f4", _by_id),),
    ),
    PlantedBug(
        name="token-lost-at-failover",
        rule="what the ledger knows of a token is in its log: whoever leads next knows it for ten minutes, too",
        sentence="a new leader of the ledger has no entry of a transaction that is decided",
        checker="effects-once",
        workload="bank",
        faults=("crash-between-steps", "loss"),
        patches=(Patch(Replica, "check_lease", "25f9527d", _what_was_decided_is_gone),),
    ),
    PlantedBug(
        name="prepare-before-the-ledger",
        rule="nobody is asked to prepare before the transaction is in the ledger",
        sentence="a coordinator enters a transaction only when all votes are there; meanwhile nobody knows of it",
        checker="isolation",
        workload="transact",
        faults=("crash-between-steps", "loss"),
        patches=(
            Patch(coordinator, "_enter", "5bc89c96", _ask_before_it_is_entered),
            Patch(coordinator, "_begin_anew", "0de8745a", _another_stamp_before_it_is_entered),
            Patch(coordinator, "_decide", "7676d27d", _enter_what_was_voted),
            Patch(coordinator, "_prepare", "7a2f95be", _decide_what_was_entered),
        ),
    ),
    PlantedBug(
        name="latest-delete-forgotten",
        rule="of what is not there, the timestamp of the partition's latest delete counts",
        sentence="an item that was deleted has no timestamp: anything older may come before its delete",
        checker="isolation",
        workload="blind",
        faults=("delay", "slow-node"),
        patches=(
            Patch(transact_duties, "stamp_of", "3ce3775d", _nothing_was_deleted),
            Patch(markers, "stamp_of", "3ce3775d", _nothing_was_deleted),
        ),
        transaction_rules=tuple(RULES),
    ),
)

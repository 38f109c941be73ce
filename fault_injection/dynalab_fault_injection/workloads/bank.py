"""A bank and its wards: transfers that keep a total, each written down once, and doctors of whom one stays on call.

A transfer takes from one account, under the condition that enough is there, and gives to one or two others; each
account keeps the numbers of its transfers in a list. So a transfer that happened twice is seen, though the total is
right, and so is the order in which accounts saw them. Transfers with a token are tried again while their outcome is
unknown; those without never are: that would be another one.

A doctor goes off call if the other one of the ward is on, which another item tells (S101; write skew). Transactions
read all accounts, or a ward, at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from dynalab_checkers.history import History, Json, Operation
from dynalab_fault_injection.simulator import below, between, shuffled
from dynalab_fault_injection.workloads.actor import Call
from dynalab_fault_injection.workloads.items import get
from dynalab_impl.effects import JSON, Response
from dynalab_model.operations import (
    ConditionCheck,
    GetItem,
    TransactAction,
    TransactGetItems,
    TransactWriteItems,
    UpdateItem,
)
from dynalab_model.schema import KeyAttribute, KeySchema, TableSchema
from dynalab_model.transactions import request_digest
from dynalab_model.values import AttributeValue

THINK_BITS = 28  # up to 0.27 s
ACCOUNTS = tuple(f"a{number}" for number in range(6))
START = 100  # an account that is not there yet has so much
TOTAL = START * len(ACCOUNTS)
AMOUNTS = (1, 60)
WARDS = ("w0", "w1")
DOCTORS = ("d0", "d1")
LOG = ".log"  # behind an account's name: the key of its list in the history
EVERYTHING = "all"  # the final read that asks for all accounts at once
TRIES_MAX = 6

# Of a hundred operations; the rest are reads of one account's list.
TRANSFERS, TOTALS, LEAVES, RETURNS, ROTAS = 42, 16, 12, 10, 10


@dataclass(slots=True)
class Bank:
    """The workload `bank`."""

    name: str = "bank"
    table: str = "accounts"
    _transfers: int = 0
    _open: dict[int, Call] = field(default_factory=dict)  # by client: asked for under a token, not answered
    _tried: dict[int, int] = field(default_factory=dict)

    def schema(self) -> TableSchema:
        return TableSchema(self.table, KeySchema(KeyAttribute("pk", "S")))

    def key_names(self) -> list[str]:
        return [*ACCOUNTS, EVERYTHING, *WARDS]

    def next(self, client: int, random: Random, now_ns: int) -> tuple[Call, int]:
        think_ns = 0 if below(random, 4) == 0 else random.getrandbits(THINK_BITS)
        lost = self._open.pop(client, None)
        if lost is not None and self._tried[client] < TRIES_MAX:
            self._tried[client] += 1
            self._open[client] = lost
            return Call(lost.operation, "txn", "", dict(lost.fields)), think_ns
        draw = below(random, 100)
        if draw < TRANSFERS:
            return self._transfer(client, random), think_ns
        draw -= TRANSFERS
        if draw < TOTALS:
            return self.final_read(EVERYTHING), think_ns
        draw -= TOTALS
        ward = WARDS[below(random, len(WARDS))]
        if draw < LEAVES:
            return self._leave(ward, *shuffled(random, DOCTORS)), think_ns
        draw -= LEAVES
        if draw < RETURNS:
            doctor = DOCTORS[below(random, len(DOCTORS))]
            return self._return(f"{ward}/{doctor}"), think_ns
        if draw < RETURNS + ROTAS:
            return self.final_read(ward), think_ns
        return self.final_read(ACCOUNTS[below(random, len(ACCOUNTS))]), think_ns

    def learn(self, client: int, call: Call, response: Response) -> tuple[str, dict[str, Json]]:
        operation = call.operation
        if isinstance(operation, TransactWriteItems):
            self._open.pop(client, None)
            return ("ok" if response.status == 200 else "fail"), {"value": call.fields["value"]}
        if isinstance(operation, GetItem):
            return "ok", {"value": _account(response.body.get("Item"))[1]}
        if isinstance(operation, TransactGetItems):
            if response.status != 200:
                return "fail", {"value": call.fields["value"]}
            items: Any = response.body["Responses"]
            return "ok", {"value": _seen(operation, [one.get("Item") for one in items])}
        return "ok", {"value": call.fields["value"]}

    def final_read(self, key: str) -> Call:
        if key == EVERYTHING:
            reads = TransactGetItems(tuple(get(self.table, account, consistent=True) for account in ACCOUNTS))
            return Call(reads, "txn", "", {"value": [["r", f"{a}{more}"] for a in ACCOUNTS for more in ("", LOG)]})
        if key in WARDS:
            places = [f"{key}/{doctor}" for doctor in DOCTORS]
            reads = TransactGetItems(tuple(get(self.table, place, consistent=True) for place in places))
            return Call(reads, "txn", "", {"value": [["r", place] for place in places]})
        return Call(get(self.table, key, consistent=True), "get", f"{key}{LOG}", {"consistency": "strong"})

    # --- writes -----------------------------------------------------------------------------------------------------

    def _transfer(self, client: int, random: Random) -> Call:
        self._transfers += 1
        number = self._transfers
        accounts = shuffled(random, ACCOUNTS)[: 2 + (below(random, 4) == 0)]
        amount = between(random, *AMOUNTS)
        share = amount // (len(accounts) - 1)
        changes = [-share * (len(accounts) - 1), *(share for _ in accounts[1:])]
        actions = [self._change(*one, number) for one in zip(accounts, changes, strict=True)]
        fields: dict[str, Json] = {"value": [["append", f"{account}{LOG}", number] for account in accounts]}
        if below(random, 4) == 0:
            return Call(_transaction(actions, None), "txn", "", fields)
        fields["token"] = f"t{number}"
        call = Call(_transaction(actions, f"t{number}"), "txn", "", fields)
        self._open[client], self._tried[client] = call, 1
        return call

    def _change(self, account: str, amount: int, number: int) -> UpdateItem:
        no_transfers: list[AttributeValue] = []
        number_text: AttributeValue = {"N": str(number)}
        update = UpdateItem(
            self.table,
            {"pk": {"S": account}},
            update="SET balance = if_not_exists(balance, :start) + :amount, "
            "transfers = list_append(if_not_exists(transfers, :none), :number)",
            values={
                ":start": {"N": str(START)},
                ":amount": {"N": str(amount)},
                ":none": {"L": no_transfers},
                ":number": {"L": [number_text]},
            },
        )
        if amount < 0:
            update.condition = "attribute_not_exists(balance) OR balance >= :enough"
            update.values[":enough"] = {"N": str(-amount)}
        return update

    def _leave(self, ward: str, doctor: str, other: str) -> Call:
        """Off call, if the other one is on: a write of one item under a condition on another."""
        mine, theirs = f"{ward}/{doctor}", f"{ward}/{other}"
        on = "attribute_not_exists(off)"
        leave = UpdateItem(self.table, {"pk": {"S": mine}}, update="SET off = :true", condition=on)
        leave.values = {":true": {"BOOL": True}}
        actions: list[TransactAction] = [ConditionCheck(self.table, {"pk": {"S": theirs}}, on), leave]
        return Call(_transaction(actions, None), "txn", "", {"value": [["r", theirs], ["w", mine, False]]})

    def _return(self, place: str) -> Call:
        update = UpdateItem(self.table, {"pk": {"S": place}}, update="REMOVE off")
        return Call(update, "write", place, {"value": True})


def list_part(history: History) -> History:
    """The transfers and what was seen of the accounts' lists: the operations that the judges of lists know."""
    kept: list[Operation] = []
    for operation in history:
        if operation.f == "get":
            kept.append(operation)
        elif operation.f == "txn" and isinstance(operation.value, list):
            value: list[Any] = [micro for micro in operation.value if isinstance(micro, list) and _of_list(micro)]
            if value:
                part = Operation(operation.process, "txn", "", operation.call, operation.ret, operation.outcome, value)
                part.call_index, part.ret_index, part.extra = operation.call_index, operation.ret_index, operation.extra
                part.session, part.info_time = operation.session, operation.info_time
                kept.append(part)
    return History(kept)


def _of_list(micro: Sequence[object]) -> bool:
    return str(micro[1]).endswith(LOG)


def _transaction(actions: Sequence[TransactAction], token: str | None) -> TransactWriteItems:
    """The transactions of one token are the same object: what they ask for need not be told apart."""
    return TransactWriteItems(tuple(actions), token, request_digest("TransactWriteItems", token))


def _seen(operation: TransactGetItems, items: Sequence[JSON]) -> list[Json]:
    """What a transaction read: balances and lists of accounts, or who of a ward is on call."""
    seen: list[Json] = []
    for one, item in zip(operation.gets, items, strict=True):
        key = str(one.key["pk"]["S"])
        if "/" in key:
            assert item is None or isinstance(item, dict)
            seen.append(["r", key, item is None or "off" not in item])
        else:
            balance, transfers = _account(item)
            seen += [["r", key, balance], ["r", f"{key}{LOG}", transfers]]
    return seen


def _account(item: JSON) -> tuple[int, list[Json]]:
    if item is None:
        return START, []
    told: Any = item
    return int(told["balance"]["N"]), [int(one["N"]) for one in told["transfers"]["L"]]

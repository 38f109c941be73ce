"""Transactions over many items together with single operations, with tokens and without, tried again or not.

A client that knows what it read writes under conditions: two to four items at once, some only checked. A transaction
with a token whose outcome is unknown is tried again with the same token; one that was answered is now and then asked
for again, and so is another one under its token, which must be refused. Clients never try again without a token: that
would be another transaction. Cancelled ones tell what the failed conditions found.

Written values are unique, so every read names the write it saw; deletes are few and always conditional.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from dynalab_checkers.history import Json
from dynalab_fault_injection.simulator import below, shuffled
from dynalab_fault_injection.workloads.actor import Call
from dynalab_fault_injection.workloads.items import ALL_OLD, delete_if, get, put, put_if, value_of
from dynalab_impl.effects import Response
from dynalab_impl.jsons import as_json
from dynalab_model.operations import (
    BatchGetItem,
    ConditionCheck,
    GetItem,
    TransactAction,
    TransactGetItems,
    TransactWriteItems,
)
from dynalab_model.schema import KeyAttribute, KeySchema, TableSchema
from dynalab_model.transactions import request_digest

THINK_BITS = 28  # up to 0.27 s
UNKNOWN = -1
TRIES_MAX = 5  # of one transaction, under its token

# Of a hundred operations; the rest are single conditional writes.
WRITE_TRANSACTIONS, READ_TRANSACTIONS, SINGLE_READS, BATCHES = 40, 16, 22, 6
# Of sixteen actions of a transaction on an item that the client knows; the rest are conditional puts.
CHECKS, DELETES, BLIND_PUTS = 4, 1, 1


@dataclass(slots=True)
class Transact:
    """The workload `transact`."""

    name: str = "transact"
    table: str = "pairs"
    key_count: int = 8
    _value: int = 0
    _tokens: int = 0
    _known: dict[tuple[int, str], int | None] = field(default_factory=dict)
    _open: dict[int, Call] = field(default_factory=dict)  # by client: asked for under a token, not answered
    _tried: dict[int, int] = field(default_factory=dict)
    _answered: dict[int, Call] = field(default_factory=dict)

    def schema(self) -> TableSchema:
        return TableSchema(self.table, KeySchema(KeyAttribute("pk", "S")))

    def key_names(self) -> list[str]:
        return [f"k{number}" for number in range(self.key_count)]

    def next(self, client: int, random: Random, now_ns: int) -> tuple[Call, int]:
        think_ns = 0 if below(random, 4) == 0 else random.getrandbits(THINK_BITS)
        lost = self._open.pop(client, None)
        if lost is not None and self._tried[client] < TRIES_MAX:
            self._tried[client] += 1
            self._open[client] = lost
            return Call(lost.operation, "txn", "", dict(lost.fields)), think_ns
        again = self._answered.pop(client, None)
        if again is not None and below(random, 3) == 0:
            return self._under_the_token(again, client, random), think_ns
        draw = below(random, 100)
        if draw < WRITE_TRANSACTIONS:
            return self._write(client, random, self._some_keys(random)), think_ns
        draw -= WRITE_TRANSACTIONS
        if draw < READ_TRANSACTIONS:
            keys = self._some_keys(random)
            reads = TransactGetItems(tuple(get(self.table, key, consistent=True) for key in keys))
            return Call(reads, "txn", "", {"value": [["r", key] for key in keys]}), think_ns
        draw -= READ_TRANSACTIONS
        key = f"k{below(random, self.key_count)}"
        known = self._known.get((client, key), UNKNOWN)
        if draw < SINGLE_READS or (known == UNKNOWN and draw >= SINGLE_READS + BATCHES):
            return self._read(key, consistent=below(random, 4) > 0), think_ns
        if draw < SINGLE_READS + BATCHES:
            return self._batch(self._some_keys(random), consistent=below(random, 2) > 0), think_ns
        value = self._fresh()
        return Call(put_if(self.table, key, known, value), "cas", key, {"value": [known, value]}), think_ns

    def learn(self, client: int, call: Call, response: Response) -> tuple[str, dict[str, Json]]:
        operation = call.operation
        if isinstance(operation, TransactWriteItems):
            return self._learn_write(client, call, response)
        if isinstance(operation, TransactGetItems):
            asked = [str(micro[1]) for micro in micros_of(call.fields)]
            if response.status != 200:
                return "fail", {"value": call.fields["value"]}
            found = [value_of(one.get("Item")) for one in _objects(response.body["Responses"])]
            self._note(client, dict(zip(asked, found, strict=True)))
            return "ok", {"value": [["r", key, value] for key, value in zip(asked, found, strict=True)]}
        if isinstance(operation, BatchGetItem):
            return "ok", {"items": _batched(operation, response)}
        if isinstance(operation, GetItem):
            value = value_of(response.body.get("Item"))
            if operation.consistent:
                self._note(client, {call.key: value})
            return "ok", {"value": value}
        if response.status != 200:
            value = value_of(response.body.get("Item"))
            self._note(client, {call.key: value})
            return "fail", {"value": call.fields["value"], "found": value}
        written = call.fields["value"]
        assert isinstance(written, list) and isinstance(written[1], int)
        self._note(client, {call.key: written[1]})
        return "ok", {"value": written, "old": value_of(response.body.get("Attributes"))}

    def final_read(self, key: str) -> Call:
        return self._read(key, consistent=True)

    # --- transactions ---------------------------------------------------------------------------------------------

    def _write(self, client: int, random: Random, keys: Sequence[str]) -> Call:
        actions: list[TransactAction] = []
        micros: list[Json] = []
        for key in keys:
            action, micro = self._action(random, key, self._known.get((client, key), UNKNOWN))
            actions.append(action)
            micros.append(micro)
        fields: dict[str, Json] = {"value": micros}
        token = None
        if below(random, 3):
            self._tokens += 1
            token = fields["token"] = f"t{self._tokens}"
        call = Call(_transaction(actions, micros, token), "txn", "", fields)
        if token is not None:
            self._open[client], self._tried[client] = call, 1
        return call

    def _action(self, random: Random, key: str, known: int | None) -> tuple[TransactAction, list[Json]]:
        draw = below(random, 16)
        if draw < CHECKS and known != UNKNOWN:
            check = ConditionCheck(
                self.table, {"pk": {"S": key}}, "attribute_not_exists(pk)", return_on_failure=ALL_OLD
            )
            if known is not None:
                check.condition, check.values = "v = :expected", {":expected": {"N": str(known)}}
            return check, ["r", key, known]
        if draw < CHECKS + DELETES and known is not None and known != UNKNOWN:
            return delete_if(self.table, key, known), ["cas", key, known, None]
        value = self._fresh()
        if draw < CHECKS + DELETES + BLIND_PUTS or known == UNKNOWN:
            return put(self.table, key, value), ["w", key, value]
        return put_if(self.table, key, known, value), ["cas", key, known, value]

    def _under_the_token(self, answered: Call, client: int, random: Random) -> Call:
        """The same once more, or something else under its token."""
        if below(random, 3):
            return Call(answered.operation, "txn", "", dict(answered.fields))
        keys = self._some_keys(random)
        puts = [put(self.table, key, self._fresh()) for key in keys]
        micros: list[Json] = [["w", key, value_of(as_json(one.item))] for key, one in zip(keys, puts, strict=True)]
        token = str(answered.fields["token"])
        return Call(_transaction(puts, micros, token), "txn", "", {"value": micros, "token": token})

    def _learn_write(self, client: int, call: Call, response: Response) -> tuple[str, dict[str, Json]]:
        self._open.pop(client, None)
        micros = micros_of(call.fields)
        if response.status == 200:
            if "token" in call.fields:
                self._answered[client] = call
            self._note(client, {micro[1]: micro[2] if micro[0] != "cas" else micro[3] for micro in micros})
            return "ok", {"value": call.fields["value"]}
        found: dict[str, int | None] = {}
        for micro, reason in zip(micros, _objects(response.body["CancellationReasons"]), strict=True):
            if reason["Code"] == "ConditionalCheckFailed":
                found[micro[1]] = value_of(reason.get("Item"))
        self._note(client, found)
        return "fail", {"value": call.fields["value"], "reasons": dict(found)}

    # --- the rest ---------------------------------------------------------------------------------------------------

    def _some_keys(self, random: Random) -> list[str]:
        return shuffled(random, self.key_names())[: 2 + below(random, 3)]

    def _note(self, client: int, values: dict[str, int | None]) -> None:
        for key, value in values.items():
            self._known[client, key] = value

    def _read(self, key: str, *, consistent: bool) -> Call:
        flavour = "strong" if consistent else "eventual"
        return Call(get(self.table, key, consistent=consistent), "read", key, {"consistency": flavour})

    def _batch(self, keys: Sequence[str], *, consistent: bool) -> Call:
        gets = tuple(get(self.table, key, consistent=consistent) for key in keys)
        return Call(BatchGetItem(gets), "batch-get", "", {"consistency": "strong" if consistent else "eventual"})

    def _fresh(self) -> int:
        self._value += 1
        return self._value


def _transaction(actions: Sequence[TransactAction], micros: list[Json], token: str | None) -> TransactWriteItems:
    for action in actions:
        if not isinstance(action, ConditionCheck):
            action.return_values = "NONE"  # an action of a transaction returns nothing
    return TransactWriteItems(tuple(actions), token, request_digest("TransactWriteItems", micros))


def micros_of(fields: Mapping[str, Json]) -> list[list[Any]]:
    """What a transaction does, or has found: an action, a key and values each."""
    value: Any = fields["value"]
    return list(value)


def _objects(value: object) -> list[dict[str, Any]]:
    assert isinstance(value, list)
    return value


def _batched(operation: BatchGetItem, response: Response) -> dict[str, Json]:
    """What a batch told of each item that it was asked for; nothing of those that it left undone."""
    told: Any = response.body
    left = {key["pk"]["S"] for keys in told["UnprocessedKeys"].values() for key in keys["Keys"]}
    found = {item["pk"]["S"]: value_of(item) for items in told["Responses"].values() for item in items}
    asked = [str(one.key["pk"]["S"]) for one in operation.gets]
    return {key: found.get(key) for key in asked if key not in left}

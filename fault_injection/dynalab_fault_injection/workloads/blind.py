"""What looks at nothing: transactions that put or delete all items of a few, single puts, and reads of all at once.

Blind writes are what the further rules for transactions are about (`transaction_rules`): several may hold an item
together, an older one may be hidden by a younger, and a read may come before both. Whoever orders them wrongly leaves
one item of a transaction beside another item of the next.

Written values are unique, and so is every delete in the history: the first item is never deleted, and every transaction
writes all of them, so whoever reads them all knows from the first one who has deleted another. Whether it was a later
delete nobody can tell, and need not: absent is absent. Other items are not read one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from dynalab_checkers.history import Json
from dynalab_fault_injection.simulator import below, pick
from dynalab_fault_injection.workloads.actor import Call
from dynalab_fault_injection.workloads.items import get, put
from dynalab_fault_injection.workloads.transact import THINK_BITS, Transact, micros_of
from dynalab_impl.effects import Response
from dynalab_model.operations import DeleteItem, PutItem, TransactGetItems, TransactWriteItems

# Of a hundred operations; the rest are reads of one item.
WRITE_TRANSACTIONS, READ_TRANSACTIONS, SINGLE_PUTS = 40, 40, 10


@dataclass(slots=True)
class Blind(Transact):
    """The workload `blind`."""

    name: str = "blind"
    key_count: int = 3
    _gone: dict[int, dict[str, Json]] = field(default_factory=dict)  # by value of the first item: what went with it

    def next(self, client: int, random: Random, now_ns: int) -> tuple[Call, int]:
        think_ns = 0 if below(random, 4) == 0 else random.getrandbits(THINK_BITS)
        first, *others = self.key_names()
        draw = below(random, 100)
        if draw < WRITE_TRANSACTIONS:
            return self._write_all(pick(random, others) if below(random, 2) else ""), think_ns
        draw -= WRITE_TRANSACTIONS
        if draw < READ_TRANSACTIONS:
            return self.final_read(first), think_ns
        if draw < READ_TRANSACTIONS + SINGLE_PUTS:
            key, value = pick(random, others), self._fresh()
            return Call(self._put(key, value), "write", key, {"value": value}), think_ns
        return self._read(first, consistent=True), think_ns

    def learn(self, client: int, call: Call, response: Response) -> tuple[str, dict[str, Json]]:
        if isinstance(call.operation, PutItem):
            return "ok" if response.status == 200 else "fail", {"value": call.fields["value"]}
        kind, told = Transact.learn(self, client, call, response)
        if kind == "ok" and isinstance(call.operation, TransactGetItems):
            (_, first, newest), *others = micros_of(told)
            gone = self._gone.get(newest, {})
            told["value"] = [
                ["r", first, newest],
                *(["r", key, gone.get(key) if value is None else value] for _, key, value in others),
            ]
        return kind, told

    def final_read(self, key: str) -> Call:
        keys = self.key_names()
        reads = TransactGetItems(tuple(get(self.table, key, consistent=True) for key in keys))
        return Call(reads, "txn", "", {"value": [["r", key] for key in keys]})

    def _write_all(self, gone: str) -> Call:
        """Put every item, but delete this one."""
        actions: list[PutItem | DeleteItem] = []
        micros: list[Json] = []
        newest = self._value + 1
        for key in self.key_names():
            value = self._fresh()
            if key == gone:
                self._gone[newest] = {key: -value}
                actions.append(DeleteItem(self.table, {"pk": {"S": key}}))
            else:
                actions.append(self._put(key, value))
            micros.append(["w", key, -value if key == gone else value])
        return Call(TransactWriteItems(tuple(actions)), "txn", "", {"value": micros})

    def _put(self, key: str, value: int) -> PutItem:
        request = put(self.table, key, value)
        request.return_values = "NONE"
        return request

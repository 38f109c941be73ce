"""A table with one global index: puts, changes of the index key, deletes, and queries of the index.

An item has a colour, or none (then it is not in the index, S30). A query of a colour is recorded as one operation
with every item that it showed; `index_reads` turns each of these into a read of its key, which must show a committed
value and nothing stricter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

from dynalab_checkers.history import History, Json, Operation
from dynalab_fault_injection.simulator import below, pick
from dynalab_fault_injection.workloads.actor import Call
from dynalab_fault_injection.workloads.items import delete_if, get, put, put_if, value_of
from dynalab_impl.effects import Response
from dynalab_model.operations import GetItem, Query
from dynalab_model.schema import IndexSchema, KeyAttribute, KeySchema, TableSchema
from dynalab_model.values import Item

COLOURS = ("red", "green", "blue", "")  # "" for an item without the attribute
INDEX_NAME = "by-colour"
THINK_BITS = 28
UNKNOWN = -1

# Of a hundred operations; the rest are conditional deletes.
QUERIES, STRONG_READS, BLIND_PUTS, SWAPS = 35, 13, 15, 27


@dataclass(slots=True)
class Index:
    """The workload `index`."""

    name: str = "index"
    table: str = "colours"
    key_count: int = 8
    _value: int = 0
    _known: dict[tuple[int, str], int | None] = field(default_factory=dict)

    def schema(self) -> TableSchema:
        colour = IndexSchema(INDEX_NAME, KeySchema(KeyAttribute("colour", "S")), "ALL")
        return TableSchema(self.table, KeySchema(KeyAttribute("pk", "S")), (colour,))

    def key_names(self) -> list[str]:
        return [f"k{number}" for number in range(self.key_count)]

    def next(self, client: int, random: Random, now_ns: int) -> tuple[Call, int]:
        think_ns = 0 if below(random, 4) == 0 else random.getrandbits(THINK_BITS)
        key = f"k{below(random, self.key_count)}"
        colour = pick(random, COLOURS)
        known = self._known.get((client, key), UNKNOWN)
        draw = below(random, 100)
        if draw < QUERIES:
            return self._query(colour or COLOURS[0]), think_ns
        draw -= QUERIES
        if draw < STRONG_READS:
            return self.final_read(key), think_ns
        draw -= STRONG_READS
        more: Item = {"colour": {"S": colour}} if colour else {}
        value = self._fresh()
        if draw < BLIND_PUTS:
            operation = put(self.table, key, value, more)
            return Call(operation, "write", key, {"value": value, "colour": colour}), think_ns
        if known == UNKNOWN:
            return self.final_read(key), think_ns
        if draw < BLIND_PUTS + SWAPS or known is None:
            swap = put_if(self.table, key, known, value, more)
            return Call(swap, "cas", key, {"value": [known, value], "colour": colour}), think_ns
        return Call(delete_if(self.table, key, known), "cas", key, {"value": [known, None]}), think_ns

    def learn(self, client: int, call: Call, response: Response) -> tuple[str, dict[str, Json]]:
        place = (client, call.key)
        if isinstance(call.operation, Query):
            return "ok", {"items": _shown(response)}
        if isinstance(call.operation, GetItem):
            self._known[place] = found = value_of(response.body.get("Item"))
            return "ok", {"value": found}
        if response.status != 200:
            self._known[place] = found = value_of(response.body.get("Item"))
            return "fail", {"value": call.fields["value"], "found": found}
        value = call.fields["value"]
        written = value[1] if isinstance(value, list) else value
        assert written is None or isinstance(written, int)
        self._known[place] = written
        return "ok", {"value": value, "old": value_of(response.body.get("Attributes"))}

    def final_read(self, key: str) -> Call:
        return Call(get(self.table, key, consistent=True), "read", key, {"consistency": "strong"})

    def _query(self, colour: str) -> Call:
        operation = Query(self.table, "colour = :colour", index=INDEX_NAME, values={":colour": {"S": colour}})
        return Call(operation, "query", "", {"colour": colour, "consistency": "index"})

    def _fresh(self) -> int:
        self._value += 1
        return self._value


def index_reads(history: History) -> list[Operation]:
    """A read of its key for each item that a query of the index showed, under process ids of their own.

    >>> query = Operation(3, "query", "", 10, 20, "ok", ret_extra={"items": {"k1": 7}}, consistency="index")
    >>> [(read.f, read.key, read.result, read.consistency) for read in index_reads(History([query]))]
    [('read', 'k1', 7, 'index')]
    """
    reads: list[Operation] = []
    fresh = 1 + max((operation.process for operation in history), default=0)
    for operation in history:
        items = operation.annotation("items")
        if operation.f != "query" or operation.outcome != "ok" or not isinstance(items, dict):
            continue
        for key, value in items.items():
            assert isinstance(value, int)
            read = Operation(fresh, "read", key, operation.call, operation.ret, "ok", result=value, consistency="index")
            read.call_index, read.ret_index = operation.call_index, operation.ret_index
            reads.append(read)
            fresh += 1
    return reads


def register_part(operations: Iterable[Operation]) -> History:
    """The operations that a register knows: everything but queries and pages, and changes of the table."""
    return History(operation for operation in operations if operation.f not in ("query", "page", "alter", "describe"))


def _shown(response: Response) -> dict[str, Json]:
    items = response.body["Items"]
    assert isinstance(items, list)
    shown: dict[str, Json] = {}
    for item in items:
        assert isinstance(item, dict)
        key = item["pk"]
        assert isinstance(key, dict)
        shown[str(key["S"])] = value_of(item)
    return shown

"""A table whose indexes come and go while it is written: moves, deletes, transactions over two items, queries of all
indexes.

Two indexes are there from the beginning: one by colour and rank with some attributes beside its keys, one by tag that
only few items are in (sparse, S30). A third, with whole items, is made while the table is in use, dropped, and made
again. Every write says what each index would hold of it, and every query what it was shown; so an entry that is the
projection of no version, or of half a version, is seen although indexes lag.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from dynalab_checkers.history import Json
from dynalab_fault_injection.simulator import below, pick
from dynalab_fault_injection.workloads.actor import Call
from dynalab_fault_injection.workloads.items import delete_if, get, put, put_if, value_of
from dynalab_impl.effects import Response
from dynalab_model.items import index_entry
from dynalab_model.operations import DescribeTable, GetItem, Query
from dynalab_model.schema import IndexSchema, KeyAttribute, KeySchema, TableSchema
from dynalab_model.settings_requests import parse_update_table
from dynalab_model.values import Item

COLOURS = ("red", "green", "blue", "")  # "" for an item without the attribute
TAGS = ("new", "", "", "")
RANKS = 16  # many: an entry that is left behind is not soon written over
THINK_BITS = 27
UNKNOWN = -1
BUILDER = 5  # among a run's clients: makes and drops the third index
STANDS_NS = 5_000_000_000  # the third index stays for so long before it is dropped
COLOUR, TAG, LATE = "by-colour", "by-tag", "by-rank"
KEY = KeySchema(KeyAttribute("pk", "S"))
INDEXES = (
    IndexSchema(COLOUR, KeySchema(KeyAttribute("colour", "S"), KeyAttribute("rank", "N")), "INCLUDE", ("v",)),
    IndexSchema(TAG, KeySchema(KeyAttribute("tag", "S")), "KEYS_ONLY"),
    IndexSchema(LATE, KeySchema(KeyAttribute("rank", "N")), "ALL"),
)

# Of a hundred operations; the rest are conditional deletes.
QUERIES, STRONG_READS, BLIND_PUTS, SWAPS = 36, 14, 12, 28


@dataclass(slots=True)
class IndexChurn:
    """The workload `index-churn`."""

    name: str = "index-churn"
    table: str = "toys"
    key_count: int = 10
    _value: int = 0
    _known: dict[tuple[int, str], int | None] = field(default_factory=dict)
    _status: str = ""  # of the third index, as it was last told: "" for none
    _active_ns: int = 0

    def schema(self) -> TableSchema:
        return TableSchema(self.table, KEY, INDEXES)

    def first_schema(self) -> TableSchema:
        """What the table is created with."""
        return replace(self.schema(), indexes=INDEXES[:2])

    def key_names(self) -> list[str]:
        return [f"k{number}" for number in range(self.key_count)]

    def next(self, client: int, random: Random, now_ns: int) -> tuple[Call, int]:
        think_ns = 0 if below(random, 4) == 0 else random.getrandbits(THINK_BITS)
        if client == BUILDER and below(random, 2):
            return self.build(now_ns), think_ns
        key = f"k{below(random, self.key_count)}"
        known = self._known.get((client, key), UNKNOWN)
        draw = below(random, 100)
        if draw < QUERIES:
            return self._query(random), think_ns
        draw -= QUERIES
        if draw < STRONG_READS:
            return self.final_read(key), think_ns
        draw -= STRONG_READS
        value = self._fresh()
        more = _some_attributes(random)
        if draw < BLIND_PUTS:
            write = put(self.table, key, value, more)
            return Call(write, "write", key, {"value": value, "entries": self._entries(write.item)}), think_ns
        if known == UNKNOWN:
            return self.final_read(key), think_ns
        if draw < BLIND_PUTS + SWAPS or known is None:
            swap = put_if(self.table, key, known, value, more)
            return Call(swap, "cas", key, {"value": [known, value], "entries": self._entries(swap.item)}), think_ns
        return Call(delete_if(self.table, key, known), "cas", key, {"value": [known, None]}), think_ns

    def build(self, now_ns: int) -> Call:
        """Make the third index, drop it when it has stood for a while, and so on; between, ask how it stands.

        A request that was lost is made again: the index is looked at before each.
        """
        asks: dict[str, object] = {}
        if self._status == "none":
            late = {
                "IndexName": LATE,
                "KeySchema": [{"AttributeName": "rank", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
            asks = {"GlobalSecondaryIndexUpdates": [{"Create": late}], "AttributeDefinitions": _definitions()}
        elif self._status == "ACTIVE" and self._active_ns and now_ns >= self._active_ns + STANDS_NS:
            asks = {"GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": LATE}}]}
        if self._status != "ACTIVE" or asks:
            self._active_ns = 0
        elif not self._active_ns:
            self._active_ns = now_ns
        self._status = ""
        if asks:
            return Call(parse_update_table({"TableName": self.table, **asks}), "alter", "", {})
        return Call(DescribeTable(self.table), "describe", "", {})

    @property
    def built(self) -> bool:
        """Whether the third index stands."""
        return self._status == "ACTIVE"

    def learn(self, client: int, call: Call, response: Response) -> tuple[str, dict[str, Json]]:
        place = (client, call.key)
        if call.f in ("alter", "describe"):
            body: Any = response.body
            if call.f == "describe":
                told = {one["IndexName"]: one["IndexStatus"] for one in body["Table"].get("GlobalSecondaryIndexes", [])}
                self._status = told.get(LATE, "none")
            return "ok", {"index_name": LATE, "status": self._status}
        if isinstance(call.operation, Query):
            items: Any = response.body["Items"]
            return "ok", {"entries": [[one["pk"]["S"], *_entry(str(call.operation.index), one)] for one in items]}
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

    def _query(self, random: Random) -> Call:
        index = pick(random, (COLOUR, COLOUR, TAG, LATE))
        name, kind, asked = "colour", "S", pick(random, COLOURS[:-1])
        if index == TAG:
            name, asked = "tag", TAGS[0]
        elif index == LATE:
            name, kind, asked = "rank", "N", str(below(random, RANKS))
        operation = Query(self.table, "#n = :a", index=index, names={"#n": name}, values={":a": {kind: asked}})
        return Call(operation, "query", "", {"index_name": index, "asked": asked, "consistency": "index"})

    def _entries(self, item: Item) -> dict[str, Json]:
        """What each index would hold of an item."""
        held: dict[str, Json] = {}
        for index in INDEXES:
            entry: Any = index_entry(self.schema(), index, item)
            held[index.name] = None if entry is None else _entry(index.name, entry)
        return held

    def _fresh(self) -> int:
        self._value += 1
        return self._value


def _some_attributes(random: Random) -> Item:
    more: Item = {"rank": {"N": str(below(random, RANKS))}}
    colour, tag = pick(random, COLOURS), pick(random, TAGS)
    if colour:
        more["colour"] = {"S": colour}
    if tag:
        more["tag"] = {"S": tag}
    return more


def _entry(index: str, item: Any) -> list[Json]:
    """An entry as index key and content: what the judge compares."""
    plain: dict[str, Json] = {name: next(iter(value.values())) for name, value in sorted(item.items())}
    key = {COLOUR: ["colour", "rank"], TAG: ["tag"], LATE: ["rank"]}[index]
    return [[plain[name] for name in key], plain]


def _definitions() -> list[dict[str, str]]:
    types = {"pk": "S", "colour": "S", "rank": "N", "tag": "S"}
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()]

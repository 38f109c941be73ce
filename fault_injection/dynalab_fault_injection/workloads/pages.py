"""Collections that are read in pages while they are written: queries forwards and backwards, and scans in segments.

A client that has begun a read goes on with it, page by page, unless a page is lost; others write in between. Keys are
`collection/number`, so a query of a collection is about the keys that begin with its name, and a scan about all.
Writes are those of the registers: conditional ones name what they replace, and deletes are conditional always.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

from dynalab_checkers.history import Json
from dynalab_fault_injection.simulator import below
from dynalab_fault_injection.workloads.actor import Call
from dynalab_fault_injection.workloads.items import delete_if, get, put, put_if, value_of
from dynalab_impl.effects import JSON, Response
from dynalab_model.operations import GetItem, PutItem, Query, Scan
from dynalab_model.schema import KeyAttribute, KeySchema, TableSchema
from dynalab_model.values import Item

COLLECTIONS = ("c0", "c1", "c2")
SORT_KEYS = 5
THINK_BITS = 27  # up to 0.13 s
UNKNOWN = -1
SEGMENTS = 2

# Of a hundred operations of a client that is not in the middle of a read; the rest are conditional deletes.
QUERIES, SCANS, STRONG_READS, BLIND_PUTS, SWAPS = 20, 15, 15, 15, 20


@dataclass(frozen=True, slots=True)
class Reading:
    """A read that goes on: what its pages are called in the history, and the next request."""

    number: int
    prefix: str
    segments: int
    request: Query | Scan

    @property
    def segment(self) -> int:
        return (self.request.segment or 0) if isinstance(self.request, Scan) else 0


@dataclass(slots=True)
class Pages:
    """The workload `pages`."""

    name: str = "pages"
    table: str = "collections"
    collections: tuple[str, ...] = COLLECTIONS
    sort_keys: int = SORT_KEYS
    _value: int = 0
    _reads: int = 0
    _known: dict[tuple[int, str], int | None] = field(default_factory=dict)
    _reading: dict[int, Reading] = field(default_factory=dict)  # by client

    def schema(self) -> TableSchema:
        return TableSchema(self.table, KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "N")))

    def key_names(self) -> list[str]:
        return [f"{name}/{number}" for name in self.collections for number in range(self.sort_keys)]

    def next(self, client: int, random: Random, now_ns: int) -> tuple[Call, int]:
        think_ns = 0 if below(random, 4) == 0 else random.getrandbits(THINK_BITS)
        # Taken away here and put back by the answer: a page of unknown outcome ends its read.
        reading = self._reading.pop(client, None)
        if reading is not None:
            return self._page(reading), think_ns
        key = f"{self.collections[below(random, len(self.collections))]}/{below(random, self.sort_keys)}"
        draw = below(random, 100)
        if draw < QUERIES + SCANS:
            return self._page(self._begin(random, whole=draw >= QUERIES, prefix=key.partition("/")[0])), think_ns
        draw -= QUERIES + SCANS
        known = self._known.get((client, key), UNKNOWN)
        if draw < STRONG_READS or (known == UNKNOWN and draw >= STRONG_READS + BLIND_PUTS):
            return self.final_read(key), think_ns
        draw -= STRONG_READS
        if draw >= BLIND_PUTS + SWAPS and known is not None:
            delete = delete_if(self.table, "", known)
            delete.key = _place(key)
            return Call(delete, "cas", key, {"value": [known, None]}), think_ns
        self._value += 1
        if draw < BLIND_PUTS:
            return Call(_at(key, put(self.table, "", self._value)), "write", key, {"value": self._value}), think_ns
        swap = _at(key, put_if(self.table, "", known, self._value))
        return Call(swap, "cas", key, {"value": [known, self._value]}), think_ns

    def learn(self, client: int, call: Call, response: Response) -> tuple[str, dict[str, Json]]:
        operation = call.operation
        if isinstance(operation, Query | Scan):
            return "ok", self._learn_page(client, call, operation, response)
        place = (client, call.key)
        if isinstance(operation, GetItem):
            self._known[place] = found = value_of(response.body.get("Item"))
            return "ok", {"value": found}
        if response.status != 200:
            self._known[place] = found = value_of(response.body.get("Item"))
            return "fail", {"value": call.fields["value"], "found": found}
        self._known[place] = _written(operation)
        return "ok", {"value": call.fields["value"], "old": value_of(response.body.get("Attributes"))}

    def final_read(self, key: str) -> Call:
        request = get(self.table, "", consistent=True)
        request.key = _place(key)
        return Call(request, "read", key, {"consistency": "strong"})

    # --- pages ------------------------------------------------------------------------------------------------------

    def _begin(self, random: Random, *, whole: bool, prefix: str) -> Reading:
        self._reads += 1
        consistent = below(random, 4) > 0
        limit = 1 + below(random, 4)
        if not whole:
            forward = below(random, 2) == 0
            values: Item = {":pk": {"S": prefix}}
            query = Query(self.table, "pk = :pk", values=values, consistent=consistent, limit=limit, forward=forward)
            return Reading(self._reads, f"{prefix}/", 1, query)
        scan = Scan(self.table, consistent=consistent, limit=limit)
        segments = 1 + below(random, SEGMENTS)
        if segments > 1:
            scan.segment, scan.total_segments = 0, segments
        return Reading(self._reads, "", segments, scan)

    def _page(self, reading: Reading) -> Call:
        fields: dict[str, Json] = {
            "consistency": "strong" if reading.request.consistent else "eventual",
            "scan": reading.number,
            "prefix": reading.prefix,
            "segments": reading.segments,
            "segment": reading.segment,
        }
        return Call(reading.request, "page", "", fields)

    def _learn_page(self, client: int, call: Call, request: Query | Scan, response: Response) -> dict[str, Json]:
        body, fields = response.body, call.fields
        start_key = body.get("LastEvaluatedKey")
        number, segments = fields["scan"], fields["segments"]
        assert isinstance(number, int) and isinstance(segments, int)
        reading = Reading(number, str(fields["prefix"]), segments, request)
        if isinstance(start_key, dict):
            # A request is plain data that may still be on its way: the next page's is another one.
            following: Item = start_key  # type: ignore[assignment]
            self._reading[client] = replace(reading, request=replace(request, start_key=following))
        elif isinstance(request, Scan) and reading.segment + 1 < segments:
            following_segment = replace(request, start_key=None, segment=reading.segment + 1)
            self._reading[client] = replace(reading, request=following_segment)
        items = body["Items"]
        assert isinstance(items, list)
        return {"items": _shown(items), "more": start_key is not None}


def _place(key: str) -> Item:
    collection, _, number = key.partition("/")
    return {"pk": {"S": collection}, "sk": {"N": number}}


def _at(key: str, request: PutItem) -> PutItem:
    request.item = {**request.item, **_place(key)}
    return request


def _written(operation: object) -> int | None:
    return int(str(operation.item["v"]["N"])) if isinstance(operation, PutItem) else None


def _shown(items: Sequence[JSON]) -> list[Json]:
    """Pairs of key and value, in the page's order."""
    shown: list[Json] = []
    for item in items:
        assert isinstance(item, dict)
        collection, number = item["pk"], item["sk"]
        assert isinstance(collection, dict) and isinstance(number, dict)
        shown.append([f"{collection['S']}/{number['N']}", value_of(item)])
    return shown

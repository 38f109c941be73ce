"""The workload `pages` with every page read from a local index: strong reads of one must show what its table shows.

Two indexes hold the items of a collection in the order that is opposite to the table's. One has whole items, of the
other all but keys is fetched from the items. An item's place in them never changes, so the judges of pages hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import cast

from dynalab_checkers.history import Json
from dynalab_fault_injection.workloads.actor import Call
from dynalab_fault_injection.workloads.pages import Pages
from dynalab_impl.effects import Response
from dynalab_model.operations import PutItem, Query, Scan
from dynalab_model.schema import IndexSchema, KeyAttribute, KeySchema, TableSchema

BACKWARDS = KeySchema(KeyAttribute("pk", "S"), KeyAttribute("back", "N"))
# Each of a table's partitions holds several: it can be divided between them, and not inside of one.
COLLECTIONS, SORT_KEYS = tuple(f"c{number}" for number in range(16)), 3
INDEXES = (IndexSchema("whole", BACKWARDS, "ALL"), IndexSchema("bare", BACKWARDS, "KEYS_ONLY"))


@dataclass(slots=True)
class LocalIndex:
    """The workload `local-index`."""

    name: str = "local-index"
    pages: Pages = field(default_factory=lambda: Pages(collections=COLLECTIONS, sort_keys=SORT_KEYS))

    def schema(self) -> TableSchema:
        return replace(self.pages.schema(), local_indexes=INDEXES)

    def key_names(self) -> list[str]:
        return self.pages.key_names()

    def next(self, client: int, random: Random, now_ns: int) -> tuple[Call, int]:
        call, think_ns = self.pages.next(client, random, now_ns)
        operation = call.operation
        if isinstance(operation, PutItem):
            number = SORT_KEYS - int(str(operation.item["sk"]["N"]))
            operation.item = {**operation.item, "back": {"N": str(number)}}
        elif isinstance(operation, Query | Scan) and operation.index is None:
            # A read that goes on has its index already.
            operation.index = INDEXES[cast(int, call.fields["scan"]) % len(INDEXES)].name
            operation.select = "ALL_ATTRIBUTES"
        return call, think_ns

    def learn(self, client: int, call: Call, response: Response) -> tuple[str, dict[str, Json]]:
        return self.pages.learn(client, call, response)

    def final_read(self, key: str) -> Call:
        return self.pages.final_read(key)

"""Runs under faults whose pages come from local indexes: the judges of pages hold them to what strong and eventual
reads of a table promise.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import cast

import pytest

from dynalab_checkers.history import Json
from dynalab_fault_injection.run import Run, Setting
from dynalab_fault_injection.workloads import Call, Pages
from dynalab_impl.effects import Response
from dynalab_impl.local_indexes import LocalIndexes
from dynalab_model.operations import PutItem, Query, Scan
from dynalab_model.schema import IndexSchema, KeyAttribute, KeySchema, TableSchema
from dynalab_model.values import Item

BACKWARDS = KeySchema(KeyAttribute("pk", "S"), KeyAttribute("back", "N"))


@dataclass(slots=True)
class LocalPages:
    """The workload `pages`, with every page read from one of two local indexes; both hold the items of a collection in
    the order that is opposite to the table's, one of them only their keys.
    """

    name: str = "pages"
    pages: Pages = field(default_factory=Pages)

    def schema(self) -> TableSchema:
        table = self.pages.schema()
        indexes = (IndexSchema("whole", BACKWARDS, "ALL"), IndexSchema("bare", BACKWARDS, "KEYS_ONLY"))
        return replace(table, local_indexes=indexes)

    def key_names(self) -> list[str]:
        return self.pages.key_names()

    def next(self, client: int, random: Random, now_ns: int) -> tuple[Call, int]:
        call, think_ns = self.pages.next(client, random, now_ns)
        operation = call.operation
        if isinstance(operation, PutItem):
            number = 9 - int(str(operation.item["sk"]["N"]))
            operation.item = {**operation.item, "back": {"N": str(number)}}
        elif isinstance(operation, Query | Scan) and operation.index is None:
            # A read that goes on has its index already.
            operation.index = "bare" if cast(int, call.fields["scan"]) % 2 else "whole"
            operation.select = "ALL_ATTRIBUTES"
        return call, think_ns

    def learn(self, client: int, call: Call, response: Response) -> tuple[str, dict[str, Json]]:
        return self.pages.learn(client, call, response)

    def final_read(self, key: str) -> Call:
        return self.pages.final_read(key)


FAULTS = (("node-crash-wipe", "split"), ("zone-loss", "split"))


@pytest.mark.claim("S90")
@pytest.mark.parametrize(("seed", "faults"), list(enumerate(FAULTS, 1)))
def test_pages_of_local_indexes_are_exact_while_nodes_die_and_partitions_divide(
    seed: int, faults: tuple[str, ...]
) -> None:
    # One partition with all three collections: it can be divided twice, and no more.
    run = Run(seed, LocalPages(), faults, Setting(through_codec=True, partitions=1)).go()
    assert run.verdict == "valid", run.why
    pages = [event for event in run.history if event["f"] == "page"]
    assert sum(event["type"] == "ok" for event in pages) > 60
    assert {event["consistency"] for event in pages if event["type"] == "invoke"} == {"strong", "eventual"}
    assert {"pages", "linearizability", "convergence"} <= {judgement.checker for judgement in run.verdicts}
    assert {band.name for band in run.bands if band.bit} == set(faults)


def test_a_local_index_that_follows_its_table_one_write_later_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting: dict[int, tuple[bytes, Item]] = {}
    change = LocalIndexes.change

    def later(self: LocalIndexes, key: bytes, before: Item | None, after: Item | None) -> None:
        if id(self) in waiting:
            change(self, waiting[id(self)][0], None, waiting.pop(id(self))[1])
        if before is None and after is not None:
            waiting[id(self)] = key, after
        else:
            change(self, key, before, after)

    monkeypatch.setattr(LocalIndexes, "change", later)
    run = Run(1, LocalPages(), (), Setting()).go()
    assert run.verdict == "invalid"
    assert run.why.startswith("pages: "), run.why
    monkeypatch.undo()
    assert Run(1, LocalPages(), (), Setting()).go().verdict == "valid"

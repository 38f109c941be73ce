"""Who judges what: the history of a workload goes to these checkers, and the state at the end to those.

The checkers know neither model nor implementation, so what an index entry should be is handed in from here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from dynalab_checkers.committed import check_committed
from dynalab_checkers.convergence import check_index, check_replicas
from dynalab_checkers.history import History, Json, Operation
from dynalab_checkers.linearizability import check_register
from dynalab_checkers.sessions import check_sessions
from dynalab_checkers.staleness import measure
from dynalab_checkers.verdict import Verdict
from dynalab_fault_injection.cluster import Cluster
from dynalab_fault_injection.workloads.index import index_reads, register_part
from dynalab_model.items import index_entry
from dynalab_model.keys import index_key
from dynalab_model.schema import TableSchema
from dynalab_model.values import Item


@dataclass(slots=True)
class Judgement:
    """One checker's verdict on a run, with the smallest part of the history that shows it."""

    checker: str
    verdict: str
    why: str = ""
    key: str | None = None
    operations: list[Operation] = field(default_factory=list)
    highlight: list[Operation] = field(default_factory=list)


def judge(history: History, workload: str, budget: int) -> tuple[list[Judgement], dict[str, Json]]:
    """All verdicts on a run's history, and how stale its eventual reads were."""
    base = register_part(history)
    checks: list[tuple[str, Callable[[], Verdict]]] = [
        ("linearizability", lambda: check_register(base, budget=budget)),
        ("sessions", lambda: check_sessions(base)),
    ]
    seen = base
    if workload == "index":
        seen = History([*base.operations, *index_reads(history)])
    checks.append(("committed", lambda: check_committed(seen)))
    lagging = measure(seen, flavours=("index",) if workload == "index" else ("eventual",))
    return [_judgement(name, check()) for name, check in checks], lagging.to_json()


def replicas_agree(cluster: Cluster, schema: TableSchema) -> list[Judgement]:
    """Whether the replicas of every group are equal, and every index is the projection of its base."""
    held: dict[str, dict[str, dict[str, object]]] = {}  # group → node → key → item
    index_of: dict[str, str] = {}
    for number in range(cluster.simulation.storage_count):
        node = cluster.storage(number)
        if node is None:
            continue
        for group, items in node.table_items(schema.name).items():
            spec = node.replicas[group].spec
            index_of[group] = spec.index
            named: dict[str, object] = {_name(key): _text(item) for key, item in items.items()}
            held.setdefault(group, {})[str(cluster.address(number))] = named
    for group in sorted(held):
        verdict = check_replicas(held[group])
        if verdict.verdict != "valid":
            verdict.why = f"group {group}: {verdict.why}"
            return [_judgement("convergence", verdict)]
    judgements = [Judgement("convergence", "valid")]
    for index in schema.indexes:
        base: dict[str, object] = {}
        entries: dict[str, object] = {}
        for group in sorted(held):
            copy = next(iter(held[group].values()))
            (base if index_of[group] == "" else entries if index_of[group] == index.name else {}).update(copy)

        def project(key: str, item: object, name: str = index.name) -> tuple[str, object] | None:
            schema_of_index = schema.index(name)
            assert schema_of_index is not None
            wire: Item = json.loads(str(item))
            entry = index_entry(schema, schema_of_index, wire)
            place = index_key(schema_of_index.key, schema.key, wire)
            return None if entry is None or place is None else (_name(place), _text(entry))

        verdict = check_index(base, entries, project)
        judgements.append(_judgement("index-convergence", verdict))
    return judgements


def _judgement(name: str, verdict: Verdict) -> Judgement:
    return Judgement(name, verdict.verdict, verdict.why, verdict.key, verdict.operations, verdict.highlight)


def _name(key: bytes) -> str:
    return key.hex()


def _text(item: Item) -> str:
    return json.dumps(item, sort_keys=True)

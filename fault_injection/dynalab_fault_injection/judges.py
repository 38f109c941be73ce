"""Who judges what: the history of a workload goes to these checkers, and the state at the end to those.

The checkers know neither model nor implementation, so what an index entry should be is handed in from here.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from dynalab_checkers.committed import check_committed
from dynalab_checkers.convergence import check_index, check_replicas
from dynalab_checkers.history import History, Json
from dynalab_checkers.index_entries import check_index_entries
from dynalab_checkers.invariants import check_bank
from dynalab_checkers.isolation import check_transactions
from dynalab_checkers.linearizability import check_register
from dynalab_checkers.on_call import check_on_call
from dynalab_checkers.pages import check_page_items
from dynalab_checkers.sessions import check_sessions
from dynalab_checkers.staleness import measure
from dynalab_checkers.tokens import check_effects_once, check_tokens, once_per_token
from dynalab_checkers.verdict import Verdict
from dynalab_fault_injection.cluster import Cluster
from dynalab_fault_injection.judgement import Judgement as Judgement
from dynalab_fault_injection.judgement import judgement as _judgement
from dynalab_fault_injection.stream_judges import judge_expiry, judge_stream
from dynalab_fault_injection.workloads.bank import ACCOUNTS, TOTAL, list_part
from dynalab_fault_injection.workloads.index import index_reads, register_part
from dynalab_fault_injection.workloads.local_index import LocalIndex
from dynalab_fault_injection.workloads.pages import Pages
from dynalab_model.items import index_entry
from dynalab_model.schema import IndexSchema, TableSchema
from dynalab_model.values import Item

# A step of the search through orders of transactions costs a tenth of one of the search of one register.
ISOLATION_STEPS_PER_STEP = 10
WALL_ERROR_NS = 10_000_000  # of wall clocks that nothing was done to
STRICT = "strict-serializable"


def judge(
    history: History, workload: str, budget: int, wall_error_ns: int = WALL_ERROR_NS, order: str = STRICT
) -> tuple[list[Judgement], dict[str, Json]]:
    """All verdicts on a run's history, and how stale its eventual reads were. `wall_error_ns`: how far a wall clock may
    have been ahead. `order`: what is promised of transactions, by its name among the models of isolation.
    """
    if workload == "ttl":
        return judge_expiry(history, budget, wall_error_ns), {}
    if workload == "stream":
        return judge_stream(history, budget), {}
    if workload in OWN_JUDGES:
        return OWN_JUDGES[workload](history, budget, order), {}
    base = register_part(history)
    checks: list[tuple[str, Callable[[], Verdict]]] = [
        ("linearizability", lambda: check_register(base, budget=budget)),
        ("sessions", lambda: check_sessions(base)),
    ]
    seen = base
    if workload == "index":
        seen = History([*base.operations, *index_reads(history)])
    checks.append(("committed", lambda: check_committed(seen)))
    if workload in ("pages", "local-index"):
        names = (Pages() if workload == "pages" else LocalIndex()).key_names()
        checks.append(("pages", lambda: check_page_items(history, names, budget=budget)))
    if workload == "index-churn":
        checks.append(("index-entries", lambda: check_index_entries(history)))
    lagging = measure(seen, flavours=("index",) if workload == "index" else ("eventual",))
    return [_judgement(name, check()) for name, check in checks], lagging.to_json()


def _isolation(history: History, kind: str, budget: int, order: str) -> Judgement:
    """Judged by the strictest order first, whose fast path needs no search; a weaker promise is asked for where that
    one does not hold.
    """
    merged, _ = once_per_token(history)
    steps = ISOLATION_STEPS_PER_STEP * budget
    verdict = check_transactions(merged, kind=kind, mixed=True, budget=steps)
    if verdict.verdict != "valid" and order != STRICT:
        verdict = check_transactions(merged, kind=kind, mixed=True, model=order, budget=steps)
    return _judgement("isolation", verdict)


def _judge_pairs(history: History, budget: int, order: str) -> list[Judgement]:
    return [_isolation(history, "rw-register", budget, order), _judgement("tokens", check_tokens(history))]


def _judge_bank(history: History, budget: int, order: str) -> list[Judgement]:
    lists = list_part(history)
    return [
        _judgement("bank", check_bank(history, ACCOUNTS, TOTAL)),
        _judgement("effects-once", check_effects_once(lists)),
        _isolation(lists, "list-append", budget, order),
        _judgement("on-call", check_on_call(history)),
    ]


# Workloads whose histories have transactions in them.
OWN_JUDGES: dict[str, Callable[[History, int, str], list[Judgement]]] = {
    "transact": _judge_pairs,
    "bank": _judge_bank,
    "blind": _judge_pairs,
}


def replicas_agree(cluster: Cluster, schema: TableSchema) -> list[Judgement]:
    """Whether the replicas of every group are equal, and every index is the projection of its base."""
    held: dict[str, dict[str, dict[str, object]]] = {}  # group → node → item's name → item
    index_of: dict[str, str] = {}
    for number in range(cluster.simulation.storage_count):
        node = cluster.storage(number)
        if node is None:
            continue
        for group, items in node.table_items(schema.name).items():
            spec = node.replicas[group].spec
            index_of[group] = spec.index
            index = schema.index(spec.index) if spec.index else None
            named: dict[str, object] = {_name(item, schema, index): _text(item) for item in items.values()}
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
            if index_of[group] in ("", index.name):
                (entries if index_of[group] else base).update(copy)
        judgements.append(_index_matches(schema, index, base, entries))
    return judgements


def _index_matches(
    schema: TableSchema, index: IndexSchema, base: dict[str, object], entries: dict[str, object]
) -> Judgement:
    def project(key: str, text: object) -> tuple[str, object] | None:
        entry = index_entry(schema, index, json.loads(str(text)))
        return None if entry is None else (_name(entry, schema, index), _text(entry))

    judgement = _judgement("index-convergence", check_index(base, entries, project))
    if judgement.verdict == "invalid":
        expected = dict(place for key, item in base.items() if (place := project(key, item)) is not None)
        differing = sorted(name for name in {**expected, **entries} if expected.get(name) != entries.get(name))
        judgement.key = differing[0].rsplit("/", 1)[-1]
    return judgement


def _name(item: Item, schema: TableSchema, index: IndexSchema | None) -> str:
    """An item's identity for people: its index key, if it is an entry, and its key."""
    names = (*(index.key.names if index is not None else ()), *schema.key.names)
    return "/".join(str(next(iter(item[name].values()))) for name in names)


def _text(item: Item) -> str:
    return json.dumps(item, sort_keys=True)

"""What a router asks the metadata service, and what it does with the answers (ATC'22 §4).

These functions work on a `Router`, kept in a room of their own. A request whose partition is not cached waits for an
answer; equal questions are asked once. A request whose partition is cached never waits, but it may be followed by a
refresh: the same question once more, with nobody waiting. Refreshes are what keeps the load on the service constant:
a router with a cold cache asks as often as one with a warm cache. A lost refresh is not repeated, the next hit brings
another. A service that is down costs nothing but news: every partition that is cached stays reachable.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dynalab_impl.effects import NOTHING, Address, Effects, Nanoseconds
from dynalab_impl.messages import GroupSpec, Redirect
from dynalab_impl.metadata import Find, Found, Question
from dynalab_impl.pending import Pending
from dynalab_impl.steps import STEPS, WholeStep
from dynalab_model.errors import DynamoError, resource_not_found
from dynalab_model.schema import TableSchema
from dynalab_model.tables import check_serves

if TYPE_CHECKING:
    from dynalab_impl.router import Router

HOPS_MAX = 6  # redirects followed at once before the next one waits
BACKOFF_NS = 40_000_000  # after an answer "not here" that names no leader


@dataclass(slots=True)
class Lookup:
    """A question on its way, asked of one catalog member after another; `waiting` are numbers of requests."""

    retry_ns: Nanoseconds = 0
    target: int = 0
    waiting: list[int] = field(default_factory=list)


def ask(router: Router, pending: Pending, question: Question, effects: Effects) -> None:
    """Let the request wait for an answer; it is bound again then."""
    pending.asking = True
    lookup = router.lookups.get(question)
    if lookup is None:
        lookup = router.lookups[question] = Lookup()
        send(router, question, lookup, effects)
    lookup.waiting.append(pending.number)


def send(router: Router, question: Question, lookup: Lookup, effects: Effects) -> None:
    """Ask the last known leader of the catalog; if it stays silent, one member after the other."""
    members = router.topology.catalog_members()
    to = router.catalog_leader if lookup.target == 0 else None
    lookup.target += 1
    lookup.retry_ns = effects.now_ns + router.topology.timing.attempt_ns
    effects.send(to or members[lookup.target % len(members)], Find(*question), NOTHING)


def refresh(router: Router, spec: GroupSpec, effects: Effects) -> None:
    """Ask once more for a partition that was just hit."""
    members = router.topology.catalog_members()
    to = router.catalog_leader or members[effects.random_bits(16) % len(members)]
    effects.send(to, Find(spec.table, spec.index, spec.low, False), NOTHING)


def may_trust(schema: TableSchema, index: str, pending: Pending) -> bool:
    """Whether to take a cached schema's word for what an index is: one that it does not have, or that is being built,
    may have come or have been finished since. The table is asked for once more, then.
    """
    found = schema.index(index)
    if (found is not None and not found.building) or pending.rechecked or pending.plan is not None:
        return True
    pending.rechecked = True
    return False


def on_redirect(router: Router, message: Redirect, effects: Effects) -> None:
    """That member does not lead the catalog. Its redirect names the table, not the question."""
    if message.leader is None:
        return
    asked = [(q, lookup) for q, lookup in router.lookups.items() if q[0] == message.group and lookup.target <= HOPS_MAX]
    if not asked:
        router.catalog_leader = message.leader  # it was a refresh: the next one goes there
    for question, lookup in asked:
        lookup.target += 1
        effects.send(message.leader, Find(*question), NOTHING)


def on_found(router: Router, sender: Address, message: Found, effects: Effects) -> None:
    """An answer: learn it, and let those go on who waited for it."""
    router.catalog_leader = sender
    lookup = router.lookups.pop((message.table, message.index, message.key, message.below), None)
    missing: DynamoError | None = None
    if not message.status:
        missing = resource_not_found()
        router.routes.forget(message.table)
    elif message.spec is None:
        router.routes.forget(message.table)  # it has no such index: whoever thinks so knows an earlier table
    else:
        try:
            check_serves(message.status)
            router.routes.put(message.spec, effects.now_ns, refreshed=lookup is None)
        except DynamoError as error:
            missing = error
    for number in () if lookup is None else lookup.waiting:
        pending = router.pending.get(number)
        if pending is None or not pending.asking:
            continue
        pending.asking = False
        if message.spec is None and pending.plan is not None:
            pending.begin_anew()
        if missing is None and message.spec is not None and message.spec.group == pending.ended:
            pending.retry_ns = effects.now_ns + BACKOFF_NS  # the table is being deleted: soon there is none
        elif missing is None:
            router.bind(pending, effects)
        elif pending.sent and (type(pending.operation) not in STEPS or type(pending.operation) is WholeStep):
            router.give_up(pending, effects)  # an earlier attempt may have reached the table before it went
        else:
            router.finish_with(pending, missing, effects)

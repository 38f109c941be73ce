"""What a router does with answers: the outcome ends a request, and whoever was asked wrongly says where to go.

These functions are methods of `Router`, kept in a room of their own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias, cast, get_args

from dynalab_impl import attempts, batching, lookups, watching
from dynalab_impl import messages as m
from dynalab_impl.attempts import ATTEMPTS_MAX
from dynalab_impl.catalog import CATALOG
from dynalab_impl.effects import JSON, Address, Effects
from dynalab_impl.entries import making_of
from dynalab_impl.jsons import as_json
from dynalab_impl.lookups import BACKOFF_NS, HOPS_MAX
from dynalab_impl.transact_messages import ItemRead
from dynalab_model.errors import DynamoError
from dynalab_model.operations import DeleteTable, GetItem, Query, Scan, TableOperation
from dynalab_model.pages import get_response

if TYPE_CHECKING:
    from dynalab_impl.router import Router

TABLES: frozenset[type] = frozenset(get_args(TableOperation))
Body: TypeAlias = dict[str, JSON]


def on_answer(router: Router, sender: Address, message: m.Answer, effects: Effects) -> None:
    """The outcome of a write, of a step of a transaction, or of a table request; or a refusal."""
    pending = router.pending.get(message.number & -ATTEMPTS_MAX)
    if pending is None:
        return
    if type(pending.operation) in TABLES:
        router.catalog_leader = sender
        if isinstance(pending.operation, DeleteTable):
            router.routes.forget(pending.table)
    elif message.error and message.error in batching.REFUSED_FOR_NOW:
        attempts.was_turned_away(pending, message.number)
        if not attempts.is_final(pending, message.number):
            # Another attempt of this write may be carried out yet: whether it was is not known before the deadline.
            pending.retry_ns = effects.now_ns + router.topology.timing.attempt_ns
            return
    elif pending.spec is not None:
        router.routes.leaders[pending.spec.group] = sender
    router.finish(pending, message.status, message.body, message.error or None, effects)


def on_get_reply(router: Router, sender: Address, message: m.GetReply, effects: Effects) -> None:
    """The item of a single read."""
    pending = router.pending.get(message.number)
    if pending is None:
        return
    operation = pending.operation
    assert type(operation) is GetItem
    if operation.consistent and pending.spec is not None:
        router.routes.leaders[pending.spec.group] = sender
    router.finish(pending, 200, cast(Body, get_response(operation, message.item)), None, effects)


def on_item_read(router: Router, sender: Address, message: ItemRead, effects: Effects) -> None:
    """One item of a read transaction."""
    pending = router.pending.get(message.number)
    if pending is not None:
        router.routes.leaders[message.group] = sender
        body: Body = {"Item": as_json(message.item), "Version": message.version, "Held": message.held}
        body["Stamp"], body["Made"] = message.stamp_ns, making_of(message.group)
        router.finish(pending, 200, body, None, effects)


def on_range_reply(router: Router, sender: Address, message: m.RangeReply, effects: Effects) -> None:
    """Rows of a page: it is full, or goes on behind them."""
    pending = router.pending.get(message.number)
    spec = None if pending is None else pending.spec
    if pending is None or spec is None or pending.page is None or message.group != spec.group:
        return
    if cast("Query | Scan", pending.operation).consistent:
        router.routes.leaders[pending.group] = sender
    if router.counters is not None:
        watching.note_rows(router, pending, message.items, effects.now_ns)
    try:
        for key, item in zip(message.keys, message.items, strict=True):
            pending.step(key)
            if not pending.page.add(item):
                router.finish_page(pending, effects)
                return
    except DynamoError as error:
        router.finish_with(pending, error, effects)
        return
    if not message.more:
        pending.leave(spec)
    # The next range read goes under a new number: a late copy of this answer must not be taken for it.
    del router.pending[pending.number]
    pending.number = router.next_request()
    router.pending[pending.number] = pending
    pending.target = pending.hops = 0
    router.dispatch(pending, effects)


def on_redirect(router: Router, sender: Address, message: m.Redirect, effects: Effects) -> None:
    """Not there: go where it points, or try the next one after a while."""
    pending = router.pending.get(message.number & -ATTEMPTS_MAX)
    if pending is None:
        if message.number == 0:
            lookups.on_redirect(router, message, effects)
        return
    attempts.was_turned_away(pending, message.number)
    in_catalog = type(pending.operation) in TABLES
    if not in_catalog and message.group != pending.group:
        return
    if not message.hosted and not in_catalog and router.routes.drop(message.group):
        # The partition may be of a table that is gone, or the node may have lost its disk: the sweep asks again.
        pending.target += 1
        router.forget_leader(pending)
        pending.retry_ns = effects.now_ns + BACKOFF_NS
        return
    pending.hops += 1
    pending.target += 1
    if message.leader is None or pending.hops > HOPS_MAX:
        router.forget_leader(pending)
        pending.hops = 0
        pending.retry_ns = effects.now_ns + BACKOFF_NS
    else:
        if in_catalog:
            router.catalog_leader = message.leader
        else:
            router.routes.leaders[pending.group] = message.leader
        router.try_again(pending, effects)


def on_ended(router: Router, sender: Address, message: m.Ended, effects: Effects) -> None:
    """The write's table has ended, and this much is known of what became of it. Another table may have its name by now:
    the catalog is asked.
    """
    pending = router.pending.get(message.number & -ATTEMPTS_MAX)
    if pending is not None:
        attempts.came_to_nothing(pending, message.number, message.group, message.whole)
        on_redirect(router, sender, m.Redirect(message.number, message.group, None, hosted=False), effects)


def on_successor(router: Router, sender: Address, message: m.Successor, effects: Effects) -> None:
    """The leader that was known is about to stop. What was asked of it and is not answered is asked again."""
    if message.group == CATALOG:
        router.catalog_leader = message.leader
    elif message.group in router.routes.leaders:
        router.routes.leaders[message.group] = message.leader
    for pending in list(router.pending.values()):
        if pending.group == message.group and not pending.asking:
            router.try_again(pending, effects)


def on_moved(router: Router, sender: Address, message: m.Moved, effects: Effects) -> None:
    """A partition was split. Its children have its leader, at first."""
    leader = router.routes.leaders.get(message.group)
    if router.routes.drop(message.group):
        schema = router.routes.schemas.get(message.left.table)
        for child in (message.left, message.right):
            # A storage node knows the schema that its partition was made with; the table may have changed since.
            router.routes.put(child if schema is None else replace(child, schema=schema), effects.now_ns)
            if leader is not None:
                router.routes.leaders[child.group] = leader
    pending = router.pending.get(message.number & -ATTEMPTS_MAX)
    if pending is None:
        return
    attempts.was_turned_away(pending, message.number)
    if pending.group == message.group:
        pending.hops += 1
        router.try_again(pending, effects)

"""One attempt of a data request: the message, the replica that it goes to, and the number that it goes under.

These functions work on a `Router`, kept in a room of their own. A write may be sent often, under one request id, so it
happens at most once. Each attempt has its own number, counted from the request's, so an answer tells which attempt it
is for. That matters where nodes refuse writes (`admission`): a refusal is the last word only if no other attempt may
still be carried out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from dynalab_impl import messages as m
from dynalab_impl.effects import Address, Effects, Message
from dynalab_impl.entries import making_of
from dynalab_impl.pending import Pending
from dynalab_impl.steps import STEPS, ReadStep, Step, message_of
from dynalab_impl.stream_messages import StreamStep
from dynalab_model.operations import GetItem

if TYPE_CHECKING:
    from dynalab_impl.router import Router

ROWS_MAX = 1000  # of one range read; a page may take several
ATTEMPTS_MAX = 1 << 10  # of one write


def compose(router: Router, pending: Pending, spec: m.GroupSpec, consistent: bool) -> Message:
    """The message that asks this partition."""
    operation, plan = pending.operation, pending.plan
    if type(operation) is GetItem:
        return m.GetRequest(spec.group, pending.number, pending.key, consistent)
    if plan is not None and pending.page is not None:
        rows, size_bytes = pending.page.room
        return m.RangeRequest(
            spec.group,
            pending.number,
            max(pending.low, spec.low),
            min(pending.high, spec.high) if pending.high and spec.high else pending.high or spec.high,
            pending.after,
            plan.forward,
            consistent,
            min(ROWS_MAX, ROWS_MAX if rows is None else rows),
            size_bytes,
            (plan.index or "") if plan.local else "",
            plan.fetches,
        )
    if type(operation) is StreamStep:
        return operation.message(spec.group, pending.number)
    if type(operation) is ReadStep:
        return message_of(operation, spec.group, pending.number, ("", 0), 0)
    pending.sent = True
    request = (router.identity, pending.number)
    number = pending.number + pending.attempts
    if not pending.attempts or is_over(pending):
        pending.alone = pending.attempts
    pending.attempts += 1
    if pending.sent_to != spec.group:
        pending.remade |= pending.sent_to != "" and making_of(pending.sent_to) != making_of(spec.group)
        pending.sent_to = spec.group
    if type(operation) in STEPS:
        return message_of(cast(Step, operation), spec.group, number, request, pending.expiry_ns)
    write: Any = operation
    return m.WriteRequest(spec.group, number, request, pending.expiry_ns, pending.key, write)


def replica(router: Router, pending: Pending, spec: m.GroupSpec, consistent: bool, effects: Effects) -> Address:
    """Where the attempt goes: the leader as it was last seen, or one member after another; for an eventual read what
    the policy says.
    """
    members = spec.members
    if spec.members_slot:  # a log replica would only send us on
        members = tuple([member for member in members if member.stands_for is None])
    if consistent or router.eventual_policy == "leader":
        return router.routes.leaders.get(spec.group) or members[pending.target % len(members)].address
    if router.eventual_policy == "stalest":
        leader = router.routes.leaders.get(spec.group, members[0].address)
        return [x.address for x in members if x.address != leader][-1]
    # Uniform over the members: 16 bits modulo three is even to one part in twenty thousand.
    return members[(effects.random_bits(16) + pending.target) % len(members)].address


def was_turned_away(pending: Pending, number: int) -> None:
    """That attempt was not carried out. Where writes are ever refused, nodes see to it that no copy of it is."""
    if pending.attempts:
        pending.turned_away |= 1 << (number % ATTEMPTS_MAX)


def came_to_nothing(pending: Pending, number: int, group: str, whole: bool) -> None:
    """This attempt of a write will never have been carried out; with `whole` none at that table. When that holds for
    all of them, it is as if nothing had been sent: whatever the client is told is certain.
    """
    sent = (1 << pending.attempts) - 1
    pending.nothing |= sent if whole and not pending.remade else 1 << (number % ATTEMPTS_MAX)
    pending.ended = group
    if pending.nothing == sent:
        pending.sent = False


def is_over(pending: Pending) -> bool:
    """Whether all attempts so far were turned away."""
    return pending.turned_away == (1 << pending.attempts) - 1


def is_final(pending: Pending, number: int) -> bool:
    """Whether a refusal of this attempt is the last word: no other may be carried out, and none may have been since the
    refusal. A node that has carried an attempt out, and leads no more, turns a copy of it away: so the others must have
    been turned away before this one was made, and not only before its answer came. A read leaves nothing behind.
    """
    return is_over(pending) and (not pending.attempts or pending.alone == number % ATTEMPTS_MAX)

"""Hand-over before a planned stop (ATC'22 §10: leaders relinquish before a restart), so that nobody waits for a lease.

A leader that is about to stop serves nothing from this moment on, and asks the member that has most of its log to stand
at once. Its ballot is *relinquished*: it served in it, so whoever led before it has no lease any more, and it never
serves in it again itself. It says so in the message, in case it is gone before it can promise, and in its promise.

A new leader skips the wait if nobody of its phase-1 quorum had ever promised a ballot above a relinquished one. For a
leader of a higher ballot there would have been a quorum with such a promise, and the two quorums share a member.

These functions are methods of `Replica`, kept in a room of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynalab_impl.effects import NOTHING, Address, Effects, Nanoseconds
from dynalab_impl.messages import NO_BALLOT, HandOver, Promise
from dynalab_model.events import Event

if TYPE_CHECKING:
    from dynalab_impl.replication.replica import Replica


def hand_over(replica: Replica, effects: Effects) -> bool:
    """Stop leading, for the best of the others; False if there is nobody who could lead, or nothing to hand over."""
    lead = replica.leading
    if lead is None:
        return False
    heirs = [
        peer
        for member in replica.members
        if not member.log
        and (peer := lead.peers.get(member.address)) is not None
        and peer.incarnation == member.incarnation
        and peer.is_heard(effects.now_ns, replica.timing)
    ]
    if not heirs:
        return False
    heir = max(heirs, key=lambda peer: peer.match)
    ballot = lead.ballot
    replica.give_way(replica.promised, effects)
    relinquished = ballot if replica.relinquished == ballot else NO_BALLOT
    effects.tell(Event("handed-over", replica.spec.group, ballot[0], replica.commit_index))
    effects.send(heir.address, HandOver(replica.spec.group, relinquished), NOTHING)
    return True


def on_hand_over(replica: Replica, sender: Address, message: HandOver, effects: Effects) -> None:
    """Stand at once. A late copy makes an election that nobody needed, and no more than that."""
    replica.relinquished = max(replica.relinquished, message.relinquished)
    if replica.leading is None:
        replica.stand(effects)


def lease_wait_ns(replica: Replica, promises: dict[Address, Promise]) -> Nanoseconds:
    """How long a new leader waits, so that whoever led before it has no lease any more.

    Also nothing if nobody had ever promised before: no earlier leader can have had a quorum then.
    """
    relinquished = max(promise.relinquished for promise in promises.values())
    newest = max(promise.previous for promise in promises.values())
    return 0 if newest <= relinquished else replica.timing.stretched_lease_ns()

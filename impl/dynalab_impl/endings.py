"""Writes that come when their table has ended: which of them certainly came to nothing, so that their clients are told
that there is no such table, and not that nobody knows what has become of the write.

Rules:
- *An attempt goes to one node*, and so do all copies of it that the network may make: nobody else can carry it out. A
  node that never logged it, and never will, may say so (`Ended`).
- *Dropped.* Who served a partition when it dropped it knows everything that was ever logged there. It remembers the
  requests for as long as routers wait for answers, in memory alone: after a restart it does not know, and says less.
- *Logged.* Where streams stay, the end of the table is an entry of the log. Whoever leads the partition behind that
  speaks for all attempts of the request: what is not among the remembered answers was not carried out by anybody.
- What was logged is not denied: the first answer is told again where it is known, and otherwise nothing certain.

These functions work on a `StorageNode`, kept in a room of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dynalab_impl import messages as m
from dynalab_impl.effects import NOTHING, Address, Effects, Nanoseconds
from dynalab_impl.messages import RequestId
from dynalab_impl.partition import Partition
from dynalab_impl.replication.replica import Replica

if TYPE_CHECKING:
    from dynalab_impl.storage_node import StorageNode


@dataclass(slots=True)
class Ending:
    """A partition that this node served until it dropped it. `log_time_ns`: answers to requests that expired before
    were forgotten by then.
    """

    requests: dict[RequestId, bool]
    log_time_ns: Nanoseconds
    until_ns: Nanoseconds  # how long it is remembered, by the monotonic clock


def remember(node: StorageNode, replica: Replica, effects: Effects) -> None:
    """This replica is dropped now: keep what was logged, if that is known."""
    state, lead = replica.state, replica.leading
    if lead is None or type(state) is not Partition or replica.spec.index or state.split is not None:
        return
    if replica.may_serve(effects.now_ns):
        requests = dict.fromkeys([*state.dedup, *lead.pending_requests], True)
        until_ns = effects.now_ns + node.topology.timing.request_ns
        node.endings[replica.spec.group] = Ending(requests, replica.last_time_ns(), until_ns)


def forget(node: StorageNode, effects: Effects) -> None:
    """Once a tick: no router waits for those any more."""
    if node.endings:
        node.endings = {group: end for group, end in node.endings.items() if end.until_ns > effects.now_ns}


def told(node: StorageNode, sender: Address, message: m.WriteRequest, effects: Effects) -> bool:
    """Whether the sender was told what became of this write to a table that has ended."""
    replica = node.replicas.get(message.group)
    if replica is None:
        end = node.endings.get(message.group)
        if end is None or message.request in end.requests or message.expiry_ns < end.log_time_ns:
            return False
        # It leaves when the disk has it that the partition is dropped: until then a crash could bring it back.
        effects.send(sender, m.Ended(message.number, message.group, False))
        return True
    state = replica.state
    if type(state) is not Partition or state.split is not None:
        return False
    if not replica.may_serve(effects.now_ns):
        leader = replica.leader if replica.leader != node.address else None
        effects.send(sender, m.Redirect(message.number, message.group, leader), NOTHING)
        return True
    if state.form is None or not state.form.gone:
        # The end is logged and not committed: the next attempt finds it so, or finds that this leader has lost.
        effects.send(sender, m.Redirect(message.number, message.group, None), NOTHING)
        return True
    if node.answered_before(replica, sender, message.number, message.request, effects):
        return True
    if message.expiry_ns < state.log_time_ns:
        return False
    effects.send(sender, m.Ended(message.number, message.group, True), NOTHING)
    return True

"""Removing what has expired: each leader's sweep over its partitions of tables with time to live (operations.md §4;
S79, S80, S182).

Rules:
- *In the background.* A leader looks at a few rows of each partition in turn, at a pace of its own, and begins anew
  when it has come to the end. Until it comes by, an expired item is read and written like any other.
- *This item and no other.* What is logged names the key and the version of the item that was seen. Applying it removes
  that version alone, so an item that was renewed meanwhile stays. An item that somebody is writing, or that a
  transaction holds, is left for the next time round.
- *Nobody pays*, neither the table nor its indexes; but while much is owed to the indexes a sweep waits.
- *The leader's wall clock* says what has expired. One that is ahead removes an item as much too early; where it is far
  ahead of most members' clocks it is held back, as for log time: one clock that has jumped must not empty a table.

The walk is forgotten with the leadership: the next leader begins at the beginning. These functions work on a
`StorageNode`, kept in a room of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from dynalab_impl import messages as m
from dynalab_impl.effects import Effects, Nanoseconds
from dynalab_impl.partition import Partition
from dynalab_impl.replication.leading import UNCOMMITTED_MAX, Leading
from dynalab_impl.replication.replica import Replica
from dynalab_model.events import Event
from dynalab_model.expiry import is_expired

if TYPE_CHECKING:
    from dynalab_impl.storage_node import StorageNode


@dataclass(slots=True)
class Sweeper:
    """A node's walk: how far it has come in each partition that it leads, and when it goes on."""

    next_ns: Nanoseconds = 0
    behind: dict[str, bytes] = field(default_factory=dict)


def tick(node: StorageNode, effects: Effects) -> None:
    """Once a heartbeat: sweep on, where there is something to sweep."""
    sweeper = node.sweeper
    if effects.now_ns < sweeper.next_ns:
        return
    sweeper.next_ns = effects.now_ns + node.topology.timing.sweep_ns
    sweeper.behind = {group: key for group, key in sweeper.behind.items() if group in node.led}
    for replica in list(node.led.values()):
        state = replica.state
        if isinstance(state, Partition) and state.form is not None and state.form.ttl:
            _sweep(node, replica, state, state.form.ttl, effects)


def _sweep(node: StorageNode, replica: Replica, state: Partition, attribute: str, effects: Effects) -> None:
    lead, group = replica.leading, replica.spec.group
    if lead is None or state.split is not None or lead.splitting or not replica.may_serve(effects.now_ns):
        return
    if _is_changing(state, lead) or len(state.owed) >= node.topology.index_backlog_max:
        return
    behind = node.sweeper.behind.pop(group, b"")
    seen = list(
        islice(state.items.irange(behind or None, None, inclusive=(not behind, True)), node.topology.sweep_rows)
    )
    now_ns = lead.wall_ns(effects.wall_ns)
    for key in seen:
        if len(replica.log) - replica.commit_index >= UNCOMMITTED_MAX:
            return
        stored = state.items[key]
        if not is_expired(stored.item, attribute, now_ns):
            continue
        if key in lead.pending_items or key in lead.pending_held or key in state.held:
            continue
        slot = replica.propose(m.Sweep(key, stored.version), m.NO_REQUEST, 0, effects)
        # Conditions of the writes behind it see the item gone: nothing stands before it in the log that could keep it.
        lead.pending_items[key] = (slot, None)
        effects.tell(Event("swept", group, lead.ballot[0], slot))
    if len(seen) == node.topology.sweep_rows:
        node.sweeper.behind[group] = seen[-1]


def _is_changing(state: Partition, lead: Leading) -> bool:
    """Whether a change of the table is logged that may say something else of expiry."""
    return state.form is not None and lead.form_version > state.form.version

"""What a disk remembers of the groups that it has dropped: their names, and of most of them after a while nothing.

Names of groups are never used twice: they hold the slot of the catalog's log at which they were made (`making_of`), and
a late word of a group that was dropped must not begin it anew. A node that has dropped many asks the catalog which
makings there still are. Of one that is not among them nothing is left anywhere: every member of every group has said
that it dropped it, or the catalog would know it still (`leftovers`). So one slot and a list take the place of all those
names, and what a node remembers grows with the tables that there are, not with those that ever were.

These functions work on a `StorageNode`, kept in a room of their own.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from dynalab_impl.catalog import Catalog
from dynalab_impl.catalog_duties import serving_catalog
from dynalab_impl.effects import NOTHING, Address, Effects
from dynalab_impl.entries import making_of
from dynalab_impl.metadata import AskMakings, Makings
from dynalab_impl.records import LiveMakings

if TYPE_CHECKING:
    from dynalab_impl.storage_node import StorageNode

NAMES_MAX = 1_000  # of groups that were dropped or left: beyond it a node asks which of them are over
ASK_TICKS = 40  # how often, at most
NOTHING_KNOWN = LiveMakings(0, ())


def slot_of(group: str) -> int:
    """The slot of the catalog's log at which the group was made, or the first ancestor that was divided; 0 for the
    catalog's own group.

    >>> slot_of("things/12.0.1"), slot_of("things.by-colour/15.3"), slot_of("catalog")
    (12, 15, 0)
    """
    _, _, place = making_of(group).rpartition("/")
    return int(place) if place.isdecimal() else 0


def is_over(known: LiveMakings, group: str) -> bool:
    """Whether this group was made, and nothing is left of it.

    >>> known = LiveMakings(20, (12, 15))
    >>> [is_over(known, group) for group in ("a/11.0", "a/12.0.1", "a/16.3", "a/21.0", "catalog")]
    [True, False, True, False, False]
    """
    slot = slot_of(group)
    if not 0 < slot <= known.slot:
        return False
    place = bisect_left(known.live, slot)
    return place == len(known.live) or known.live[place] != slot


def was_dropped(node: StorageNode, group: str) -> bool:
    """Whether this disk has dropped the group, or knows that it must not begin anew."""
    return group in node.dropped or is_over(node.makings, group)


def tick(node: StorageNode, effects: Effects) -> None:
    """Ask, while there is much to forget. The catalog's leader answers; the others have no use for it."""
    if len(node.dropped) + len(node.left) > NAMES_MAX and node.ticks % ASK_TICKS == 0:
        node.tell_catalog(AskMakings(node.makings.slot), effects)


def on_ask(node: StorageNode, sender: Address, message: AskMakings, effects: Effects) -> None:
    replica = serving_catalog(node, effects)
    if replica is None:
        return
    catalog = replica.state
    assert isinstance(catalog, Catalog)
    if catalog.applied > message.slot:
        live = sorted(dict.fromkeys(map(slot_of, catalog.all_names())))
        effects.send(sender, Makings(catalog.applied, tuple(live)), NOTHING)


def on_makings(node: StorageNode, sender: Address, message: Makings, effects: Effects) -> None:
    """An answer. What is older than what is known says nothing."""
    if message.slot > node.makings.slot:
        learn(node, LiveMakings(message.slot, message.live))
        write(node, effects)


def learn(node: StorageNode, known: LiveMakings) -> None:
    """Forget the names of what is over; also when the node's log is read back."""
    node.makings = known
    node.dropped = {group: True for group in node.dropped if not is_over(known, group)}
    node.left = {group: left for group, left in node.left.items() if not is_over(known, group)}


def write(node: StorageNode, effects: Effects) -> None:
    """On disk, if anything is known: again with each cycle of snapshots, which lets go of the log before it."""
    if node.makings.slot:
        effects.append(node.makings)

"""What a storage node does about who holds a group: take a replica on, let one go, tell the catalog, and hand over what
it leads before it stops.

These functions are methods of `StorageNode`, kept in a room of their own. Which changes a group makes is decided in
`replication.healing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynalab_impl import bygone, index_duties
from dynalab_impl import messages as m
from dynalab_impl.catalog import CATALOG, Catalog
from dynalab_impl.catalog_duties import serving_catalog
from dynalab_impl.effects import NOTHING, Address, Effects
from dynalab_impl.records import HostedGroup, LeftGroup
from dynalab_impl.replication import healing, membership
from dynalab_impl.replication.replica import Replica
from dynalab_model.events import Event

if TYPE_CHECKING:
    from dynalab_impl.storage_node import StorageNode


def on_adopt(node: StorageNode, sender: Address, message: m.Adopt, effects: Effects) -> None:
    """Become a learner, of the data or of the log alone."""
    spec = message.spec
    log_only = message.stands_for is not None
    replica = node.replicas.get(spec.group)
    if bygone.was_dropped(node, spec.group) or (replica is not None and replica.log_only != log_only):
        return
    if replica is None:
        left = node.left.get(spec.group)
        if left is not None and message.members_slot < left.slot:
            return  # a late word, from before this disk was removed
        record = HostedGroup(
            spec,
            True,
            message.members,
            message.members_slot,
            log_only,
            m.NO_BALLOT if left is None else left.promised,
        )
        node.left.pop(spec.group, None)
        replica = node.replicas[spec.group] = make_learner(node, record)
        node.snapshots.begun[spec.group] = effects.append(record)
        effects.tell(Event("log-replica-hosted" if log_only else "learner-joined", spec.group))
        replica.begin_following(effects)
    effects.send(sender, m.Adopted(spec.group, node.incarnation))


def make_learner(node: StorageNode, record: HostedGroup) -> Replica:
    """A replica that joined an existing group, as it was when it joined."""
    replica = node.make_replica(record.spec, learner=True)
    replica.members, replica.members_slot = record.members, record.joined
    replica.joined, replica.log_only = record.joined, record.log_only
    replica.promised = record.promised
    return replica


def on_retire(node: StorageNode, sender: Address, message: m.Retire, effects: Effects) -> None:
    """The group goes on without this replica. A late word of a change that came before it joined, or before one that
    names it, is nothing to it.
    """
    replica = node.replicas.get(message.group)
    if replica is None or replica.joined > message.slot or replica.leading is not None:
        return
    slot, members = membership.newest(replica)
    if slot > message.slot and membership.names(members, node.address, replica.incarnation):
        return
    let_go(node, replica, message.members_slot, effects)
    effects.tell(Event("replica-retired", message.group, replica.promised[0], message.slot))


def let_go(node: StorageNode, replica: Replica, members_slot: int, effects: Effects) -> None:
    """Drop a replica of a group that lives on. Its promises stay with the disk."""
    group = replica.spec.group
    del node.replicas[group]
    node.snapshots.forget(group)
    index_duties.forget_maps(node)
    left = node.left[group] = LeftGroup(group, replica.promised, max(members_slot, replica.members_slot))
    effects.append(left)


def on_adopted(node: StorageNode, sender: Address, message: m.Adopted, effects: Effects) -> None:
    replica = node.replicas.get(message.group)
    if replica is not None:
        healing.on_adopted(replica, sender, message, effects)


def on_replace(node: StorageNode, sender: Address, message: m.Replace, effects: Effects) -> None:
    """From the autoadmin. The catalog's members are known to everybody from the start, and stay where they are."""
    replica = node.replicas.get(message.group)
    if replica is None or message.group == CATALOG:
        effects.send(sender, m.Redirect(message.number, message.group, None, hosted=replica is not None), NOTHING)
    else:
        healing.on_replace(replica, sender, message, effects)


def mend(node: StorageNode, effects: Effects) -> None:
    """Once a tick: every group that this node leads is looked after, and the catalog is told of what has changed."""
    for replica in list(node.led.values()):
        healing.mend(replica, node.topology.storage, effects)
        lead = replica.leading
        if lead is None or replica.spec.group == CATALOG or lead.membership_told >= replica.members_slot:
            continue
        push = m.Membership(replica.spec.group, replica.members, replica.members_slot)
        node.tell_catalog(push, effects)


def on_membership(node: StorageNode, sender: Address, message: m.Membership, effects: Effects) -> None:
    """A group's leader tells the catalog's. An older change than the one that is known says nothing."""
    replica = serving_catalog(node, effects)
    if replica is None:
        return
    catalog = replica.state
    assert isinstance(catalog, Catalog)
    found = catalog.specs_named(message.group)
    if found and found[0].members_slot >= message.slot:
        effects.send(sender, m.MembershipKnown(message.group, found[0].members_slot), NOTHING)
    elif found and replica.commit_index == len(replica.log):
        change = m.CatalogChange(
            "members", found[0].table, group=message.group, members=message.members, slot=message.slot
        )
        replica.propose(change, m.NO_REQUEST, 0, effects)


def on_membership_known(node: StorageNode, sender: Address, message: m.MembershipKnown, effects: Effects) -> None:
    replica = node.replicas.get(message.group)
    lead = None if replica is None else replica.leading
    if lead is not None:
        lead.membership_told = max(lead.membership_told, message.slot)


def on_stop(node: StorageNode, effects: Effects) -> None:
    """A planned stop is near: hand over whatever this node leads. It goes on promising and accepting until the end."""
    node.handed_over = [
        group for group, replica in node.replicas.items() if replica.leading is not None and replica.hand_over(effects)
    ]
    node.untold = list(node.handed_over)


def tell_successor(node: StorageNode, replica: Replica, effects: Effects) -> None:
    """Something was heard in a group that this node has handed over. As soon as it has another leader routers hear of
    it from the node that they would ask next, and that is not there any more then.
    """
    group, leader = replica.spec.group, replica.leader
    if leader is None or leader == node.address or group not in node.untold:
        return
    node.untold.remove(group)
    for router in node.topology.routers:
        effects.send(router, m.Successor(group, leader), NOTHING)


def may_stop(node: StorageNode) -> bool:
    """Whether every group that was handed over has a leader again."""
    return all(
        (replica := node.replicas.get(group)) is None or replica.leader is not None for group in node.handed_over
    )

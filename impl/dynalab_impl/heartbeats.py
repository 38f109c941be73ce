"""Heartbeats: one message for each pair of nodes and tick, whatever the number of groups. They renew leases, and tell
a leader how far its followers are, what their clocks say, and who has lost its disk.

These functions are methods of `StorageNode`, kept in a room of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynalab_impl import bygone
from dynalab_impl import messages as m
from dynalab_impl.effects import NOTHING, Address, Effects
from dynalab_impl.replication import healing
from dynalab_impl.replication.replica import Replica

if TYPE_CHECKING:
    from dynalab_impl.storage_node import StorageNode


def beat(node: StorageNode, effects: Effects, replicas: list[Replica]) -> None:
    beats: dict[Address, list[m.Beat]] = {}
    for replica in replicas:
        lead = replica.leading
        if lead is None:
            continue
        full_match = 0
        for member in replica.members:
            if member.stands_for is not None:
                full_match = healing.full_match(replica)
                break
        beat = m.Beat(replica.spec.group, lead.ballot, replica.commit_index, full_match)
        for address in lead.peers:
            beats.setdefault(address, []).append(beat)
    for address, for_peer in beats.items():
        effects.send(address, m.Heartbeat(effects.now_ns, tuple(for_peer)), NOTHING)


def on_heartbeat(node: StorageNode, sender: Address, message: m.Heartbeat, effects: Effects) -> None:
    acknowledged: list[m.Acknowledgement] = []
    refused: list[m.Beat] = []
    strangers: list[str] = []
    for beat in message.beats:
        replica = node.replicas.get(beat.group)
        if replica is None:
            if not bygone.was_dropped(node, beat.group):
                strangers.append(beat.group)
        elif replica.on_beat(sender, beat, effects):
            node.settle(replica, effects)
            acknowledged.append(m.Acknowledgement(beat.group, beat.ballot, replica.matched, replica.log_only))
        else:
            refused.append(m.Beat(beat.group, replica.promised, replica.commit_index))
    # Waits for the disk: `matched` and the promises told here must be on it.
    effects.send(
        sender,
        m.HeartbeatReply(
            message.sent_ns, node.incarnation, tuple(acknowledged), tuple(refused), tuple(strangers), effects.wall_ns
        ),
    )


def on_heartbeat_reply(node: StorageNode, sender: Address, message: m.HeartbeatReply, effects: Effects) -> None:
    for ack in message.acknowledged:
        replica = node.replicas.get(ack.group)
        if replica is not None and replica.leading is not None and replica.leading.ballot == ack.ballot:
            if healing.is_other_kind(replica, sender, ack.log, effects):
                continue
            if message.wall_ns:
                replica.leading.compare_clocks(sender, message.wall_ns, effects.wall_ns)
            replica.on_acknowledged(sender, message.incarnation, message.sent_ns, ack.match, effects)
            node.after(replica, effects)
    for beat in message.refused:
        replica = node.replicas.get(beat.group)
        if replica is not None and replica.leading is not None:
            replica.on_refuse(sender, m.Refuse(beat.group, beat.ballot), effects)
    for group in message.strangers:
        replica = node.replicas.get(group)
        if replica is None or replica.leading is None:
            continue
        if any(x.address == sender and x.incarnation == message.incarnation for x in replica.members):
            continue  # it has not been told to host the group yet: the catalog sees to that
        if sender in replica.leading.peers and healing.is_wanted(replica, sender):
            effects.send(sender, healing.adopt(replica, sender), NOTHING)

"""Splits: one partition becomes two, without moving an item between nodes (ATC'22 §4; S34, S43).

Rules:
- *The entry decides.* A leader logs a Split and nothing behind it. Every replica that applies it divides its state at
  that slot, so the children are equal on all members. Nobody decides twice: a later leader finds the entry or not.
- *Children inherit* members, promises, leader and lease, dedup table, version numbering (their logs go on behind the
  slot of the Split, their `origin`), and what is owed to indexes.
- *Only who logged it.* A leader that found the Split in an older ballot inherits nothing: the one that logged it may
  have led the children already, and what it wrote there is known to their replicas alone. It stands for them.
- *The parent is silent.* Past its Split it serves nothing and says where its data went. Its group lives on, so that
  members that lag behind come to the Split; the catalog has it dropped when every member hosts both children.
- *Item collections of a table with local indexes are whole*: such a table is divided only between them.
- *Without state.* A member that was given the parent's state from behind the Split gets the children empty. Such a
  replica promises what its parent promised, never stands, serves nothing, and takes its leader's snapshot.
- *No two changes at once.* Neither a membership change and a Split, nor two Splits, are under way in one group.

These functions are methods of `StorageNode`, kept in a room of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynalab_impl import bygone, scrub
from dynalab_impl import messages as m
from dynalab_impl.catalog import replaced
from dynalab_impl.effects import Address, Effects
from dynalab_impl.heat import SAMPLES_MIN, Heat, hottest_key, split_point
from dynalab_impl.partition import Partition
from dynalab_impl.records import SplitApplied
from dynalab_impl.replication import leading as leaders
from dynalab_impl.replication.leading import Leading
from dynalab_impl.replication.log import Log
from dynalab_impl.replication.replica import Replica
from dynalab_model.events import Event

if TYPE_CHECKING:
    from dynalab_impl.storage_node import StorageNode


def moved(replica: Replica) -> m.Split | None:
    """The Split that this replica has applied, if it has."""
    state = replica.state
    return state.split if type(state) is Partition else None


def is_splitting(replica: Replica) -> bool:
    """A Split is logged and not committed yet: what comes now must wait for the children."""
    return replica.leading is not None and replica.leading.splitting


def on_split_now(node: StorageNode, sender: Address, message: m.SplitNow, effects: Effects) -> None:
    """Divide this partition, if it is whole and has something to divide; else nothing happens, and it is asked again
    or not.
    """
    replica = node.replicas.get(message.group)
    if replica is None or not may_split(replica, effects.now_ns):
        return
    state, spec = replica.state, replica.spec
    assert isinstance(state, Partition) and replica.leading is not None
    at = state.divisible(message.at or state.middle())
    if not at or at == spec.low or not spec.holds(at):
        return
    left, right = halves_of(replica, at)
    replica.propose(m.Split(left, right), m.NO_REQUEST, 0, effects)
    replica.leading.splitting = True
    effects.tell(Event("split-logged", spec.group, replica.leading.ballot[0], left.origin))


def may_split(replica: Replica, now_ns: int) -> bool:
    """A partition that its leader serves, and whose group no change is under way in."""
    lead = replica.leading
    return (
        lead is not None
        and isinstance(replica.state, Partition)
        and replica.state.split is None
        and replica.may_serve(now_ns)
        and not lead.splitting
        and not replica.is_changing()
    )


def halves_of(replica: Replica, at: bytes) -> tuple[m.GroupSpec, m.GroupSpec]:
    """The children of a group that is split at this key, as of the next slot of its log."""
    spec, origin = replica.spec, len(replica.log) + 1

    def child(number: int, low: bytes, high: bytes) -> m.GroupSpec:
        # The schema and the stream are those that the first ancestor was made with: a state that is made from the
        # archive begins with them, and the form is inherited with the state.
        name, stream = f"{spec.group}.{number}", spec.stream
        return m.GroupSpec(name, spec.table, spec.index, low, high, replica.members, spec.schema, origin, stream=stream)

    return child(0, spec.low, at), child(1, at, spec.high)


def settle(node: StorageNode, parent: Replica, effects: Effects) -> None:
    """After anything that may have applied entries: a Split makes the children, once."""
    state = parent.state
    if type(state) is not Partition or state.split is None or state.taken:
        return
    state.taken = True
    children = (state.split.left.group, state.split.right.group)
    if state.halves is None and all(_was_here(node, group) for group in children):
        # Read back from a snapshot, as its children were. A record here would make them anew, and empty, where the log
        # before it is let go and their own snapshots stand behind it.
        return
    effects.append(SplitApplied(parent.spec.group, parent.commit_index))
    made = make_children(node, parent, effects)
    if node.admission is not None:
        node.admission.divide(parent.spec.group, [child.spec.group for child in made])
    for child in made:
        if parent.rebuilding:
            scrub.pass_on(node, child, effects)
        effects.tell(Event("split-applied", child.spec.group, child.promised[0], child.spec.origin))
        if child.leading is not None:
            node.begin_leading(child, effects)
        elif parent.leading is not None:
            child.stand(effects)
    table = node.maps.get(parent.spec.table)
    if table is not None:
        node.maps[parent.spec.table] = divided(table, parent.spec.group, (state.split.left, state.split.right))


def _was_here(node: StorageNode, group: str) -> bool:
    """Whether this disk has, or had, a replica of this group."""
    return group in node.replicas or group in node.left or bygone.was_dropped(node, group)


def make_children(node: StorageNode, parent: Replica, effects: Effects) -> list[Replica]:
    """The two replicas that take over from this one; also when the node's log is read back."""
    state = parent.state
    assert isinstance(state, Partition) and state.split is not None
    halves, state.halves = state.halves, None
    made: list[Replica] = []
    for number, spec in enumerate((state.split.left, state.split.right)):
        if _was_here(node, spec.group):
            continue  # one that was let go must not come back: it has forgotten what it accepted, and would vote
        if halves is None and not any(member.address == node.address for member in spec.members):
            continue  # a learner of the parent that was never a member: the children's leaders adopt it or not
        child = node.make_replica(spec, learner=parent.role == "learner")
        inherit(child, parent, None if halves is None else halves[number], effects)
        node.replicas[spec.group] = child
        if parent.spec.group in node.snapshots.begun:
            node.snapshots.begun[spec.group] = node.snapshots.begun[parent.spec.group]
        made.append(child)
    return made


def inherit(child: Replica, parent: Replica, half: Partition | None, effects: Effects) -> None:
    """Promise, place in the log, leader and lease of the parent."""
    slot = child.spec.origin
    child.members = child.spec.members
    child.promised = parent.promised
    child.no_vote_until_ns = parent.no_vote_until_ns
    child.begin_following(effects)
    if half is None:
        return
    child.state = half
    child.log = Log(slot)
    child.commit_index = child.recorded_commit = child.matched = slot
    # Not the parent's of today: behind that, what the children's first leader has written looks as if it had never been
    # chosen.
    child.barrier = parent.split_barrier
    if parent.leading is not None:
        if parent.leading.barrier_slot < slot:
            child.role, child.leader, child.following = "leader", child.me, parent.following
            child.leading = _inherited(parent.leading, child)
    elif parent.following == parent.promised and parent.role != "candidate":
        child.following, child.leader = parent.following, parent.leader
        child.leader_heard_ns = parent.leader_heard_ns


def _inherited(lead: Leading, child: Replica) -> Leading:
    """The same leadership, over the child: same ballot, same lease, same wait for the predecessor's."""
    own = leaders.begin(lead.ballot, lead.barrier_slot, lead.serve_after_ns, child.me, child.members)
    own.durable_slot = child.spec.origin
    own.lease_from_ns, own.served, own.lease_lost = lead.lease_from_ns, lead.served, lead.lease_lost
    own.clocks, own.correction_ns, own.compared_ns = dict(lead.clocks), lead.correction_ns, lead.compared_ns
    for address, peer in own.peers.items():
        before = lead.peers.get(address)
        if before is not None:
            peer.incarnation, peer.renewed_ns = before.incarnation, before.renewed_ns
            peer.heard_ns = before.heard_ns
        # What lies up to the Split needs no votes any more; a peer that has not come so far says so, and gets a
        # snapshot.
        peer.match = child.spec.origin if before is not None and before.match >= child.spec.origin else 0
        peer.next = child.spec.origin + 1
    return own


def watch(node: StorageNode, effects: Effects) -> None:
    """Once a tick, at leaders: the catalog hears of partitions that are too large or too hot, and of divided ones until
    it has them dropped. It runs the splits; while it is away none begin, and nobody misses them.
    """
    sizes = node.snapshots.sizes
    for group, replica in node.led.items():
        if replica.leading is None:
            continue
        split = moved(replica)
        if split is not None:
            node.tell_catalog(m.WasSplit(group, split.left, split.right), effects)
        elif isinstance(replica.state, Partition) and replica.state.is_one_collection:
            continue  # however large or hot it is
        elif (group in sizes or group in node.heats) and may_split(replica, effects.now_ns):
            if node.snapshots.sizes.get(group, 0) > node.topology.split_bytes:
                node.tell_catalog(m.SplitWanted(group, b""), effects)
            elif (at := hot_at(node, replica, effects)) != b"":
                node.tell_catalog(m.SplitWanted(group, at), effects)


def hot_at(node: StorageNode, replica: Replica, effects: Effects) -> bytes:
    """Where a partition that has been hot for long should be divided; b"" if it was not, or that would not help."""
    heat, state = node.heats.get(replica.spec.group), replica.state
    if heat is None or not isinstance(state, Partition):
        return b""
    heat.roll(effects.now_ns)
    if heat.hot_s < node.topology.split_after_s or len(heat.samples) < SAMPLES_MIN:
        return b""
    samples = list(heat.samples)
    hottest = hottest_key(samples)
    at = state.divisible(split_point(samples, state.has_below(hottest), state.has_above(hottest)))
    heat.again()
    effects.tell(Event("hot" if at else "hot-unsplittable", replica.spec.group))
    return at


def note_heat(node: StorageNode, group: str, key: bytes, parts: int, limit_parts: int, effects: Effects) -> None:
    """A leader served a request that cost so many parts of what a partition may consume in a second."""
    heat = node.heats.get(group)
    if heat is None:
        heat = node.heats[group] = Heat(limit_parts)
    heat.note(key, parts, effects.now_ns)


def divided(table: m.TableMap, group: str, children: tuple[m.GroupSpec, ...]) -> m.TableMap:
    """The map with the group's children in its place; unchanged if it is not there."""
    return m.TableMap(table.schema, table.status, replaced(table.groups, group, children), table.version)


def on_moved(node: StorageNode, sender: Address, message: m.Moved, effects: Effects) -> None:
    """An index partition that this node's propagators feed was split: their next retry goes to the children."""
    table = node.maps.get(message.left.table)
    if table is not None:
        node.maps[message.left.table] = divided(table, message.group, (message.left, message.right))

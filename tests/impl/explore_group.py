"""One replication group under a scheduler that may do anything: every order of deliveries, losses, copies, syncs, waits
and crashes.

The nodes are the implementation's own; everything round them is replaced by `World`, in which each thing that could
happen next is an action. `wander` takes a seeded random walk through the actions, then lets everything heal and asks
that the group comes back. After each action `World.check` holds the invariants: one committed command a slot, the same
everywhere and for ever; every committed write stands on the very write that its answer names; no request is committed
twice; no request is answered in two ways, or before its entry is committed; no two leaders able to serve at one
instant; a strong read shows nothing older than what was answered before it was asked.

The world is wider than the simulator's: a message may arrive at any time after it was sent, in the next life of its
receiver as well. What stays out is what the design excludes: a second disk lost before the first one's replica votes
again.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeAlias

from explore_desk import GROUP, HOSTS, KEY, PLACES, ROUTER, SPARES, STORAGE, TOPOLOGY, WALL_NS, Desk, Packet

from dynalab_impl import messages as m
from dynalab_impl.effects import Message, Nanoseconds, Topology
from dynalab_impl.partition import Partition
from dynalab_impl.replication.leading import SILENT_HEARTBEATS
from dynalab_impl.replication.replica import Replica
from dynalab_impl.storage_node import TICK
from dynalab_model.operations import PutItem

Action: TypeAlias = "tuple[str | int, ...]"


SAVE_TIME = frozenset({m.Heartbeat, m.HeartbeatReply, m.Commit})


class Violation(AssertionError):
    """An invariant of the group does not hold."""


@dataclass(frozen=True, slots=True)
class Scope:
    """How much of everything a world allows."""

    writes: int = 3
    crashes: int = 2
    wipes: int = 0
    copies: int = 2
    losses: int = 2
    reads: int = 2
    waits: int = 3
    pauses: int = 0  # long enough to miss the others, and shorter than a lease
    beats: int = 12
    stands: int = 3
    retries: int = 2
    wall_ns_off: tuple[Nanoseconds, ...] = (0, 0, 0)
    log_records_max: int = 20_000
    disks_at_once: bool = False  # every append is on disk at once
    quiet: bool = False  # without the messages that only save time, and with answers that take none
    spares: int = 0  # nodes besides the group's own, for log replicas
    leases: bool = True  # without them leaders take writes at any time, and strong reads are not asked


@dataclass(slots=True)
class World:
    """The whole state: machines, network, and what clients were told."""

    scope: Scope
    desks: list[Desk] = field(default_factory=list)
    network: list[Packet] = field(default_factory=list)
    now_ns: Nanoseconds = 10**12
    used: Counter[str] = field(default_factory=Counter)
    committed: list[m.Entry] = field(default_factory=list)  # by slot: what any replica has applied
    seen: list[int] = field(default_factory=list)  # by host: committed entries that were looked at
    answers: dict[int, str] = field(default_factory=dict)  # write → what was answered
    floor: int = 0  # everything up to this slot has been seen by a client
    reads: dict[int, int] = field(default_factory=dict)  # read → the floor when it was asked
    begun: dict[int, Nanoseconds] = field(default_factory=dict)  # write → its expiry
    sometimes: Counter[str] = field(default_factory=Counter)

    # --- set up -----------------------------------------------------------------------------------------------------

    def form(self) -> None:
        """Three machines that host the group, each synced, and spare ones."""
        spares = self.scope.spares
        storage = (*HOSTS, *SPARES[:spares]) if spares else STORAGE
        topology = Topology(storage, (ROUTER,), log_records_max=self.scope.log_records_max)
        for index in range(len(HOSTS) + spares):
            desk = Desk(index, self.scope.wall_ns_off[index % len(HOSTS)], topology)
            desk.set_clock(self.now_ns)
            self.desks.append(desk)
            self.seen.append(0)
            desk.host()
            desk.boot()

    # --- what could happen ------------------------------------------------------------------------------------------

    def actions(self) -> list[Action]:
        """Everything that may happen next, the plain things first."""
        scope, used = self.scope, self.used
        out: list[Action] = []
        for number, (_, _, message) in enumerate(self.network):
            out.append(("deliver", number))
            if used["copy"] < scope.copies:
                out.append(("copy", number))
            if used["lose"] < scope.losses and type(message) is not m.Answer:
                out.append(("lose", number))
        for desk in self.desks:
            i = desk.index
            if desk.node is None:
                out.append(("restart", i))
                if used["wipe"] < scope.wipes and self._may_wipe(i):
                    out.append(("wipe", i))
                continue
            if desk.appended > desk.durable:
                out.append(("sync", i))
            if desk.allowed > desk.dropped:
                out += [("drop", i, 0), ("drop", i, 1)]
            if used["crash"] < scope.crashes:
                out.append(("crash", i, 0))
                if desk.appended > desk.durable:
                    out.append(("crash", i, 1))
            replica = desk.replica
            if replica is None:
                continue
            if replica.leading is None and used["stand"] < scope.stands and replica.may_lead():
                out.append(("stand", i))
            if replica.leading is not None and used["beat"] < scope.beats:
                out.append(("beat", i))
            if self.serves(replica):
                if used["write"] < scope.writes:
                    out.append(("write", i))
                if used["read"] < scope.reads and scope.leases:
                    out.append(("read", i))
                if used["retry"] < scope.retries:
                    out += [("retry", i, w) for w in self.begun if w not in self.answers]
        if used["wait"] < scope.waits:
            out.append(("wait",))
        if used["pause"] < scope.pauses:
            out.append(("pause",))
        return out

    def serves(self, replica: Replica) -> bool:
        """Whether a request may be tried here; without leases any leader whose barrier is committed takes writes."""
        lead = replica.leading
        if not self.scope.leases and lead is not None:
            lead.serve_after_ns, lead.lease_from_ns = 0, self.now_ns
        return replica.may_serve(self.now_ns)

    def _may_wipe(self, index: int) -> bool:
        """The envelope: the replica that the last wipe took votes again, and knows it. No spare is wiped."""
        if index >= len(HOSTS):
            return False
        others = [desk for desk in self.desks if desk.index != index and desk.incarnation > 1]
        return all(desk.replica is not None and desk.replica.role != "learner" for desk in others)

    def apply(self, action: Action) -> None:
        """Let it happen, and check."""
        kind, *rest = action
        at = int(rest[0]) if rest else 0
        if kind in ("deliver", "copy"):
            packet = self.network[at] if kind == "copy" else self.network.pop(at)
            self._deliver(packet)
        elif kind == "lose":
            del self.network[at]
        elif kind == "wait":
            self.now_ns += TOPOLOGY.timing.stretched_lease_ns()
        elif kind == "pause":
            self.now_ns += (SILENT_HEARTBEATS + 1) * TOPOLOGY.timing.heartbeat_ns
        elif kind == "restart":
            self._at(at).boot()
            self.seen[at] = 0
        elif kind == "wipe":
            self.desks[at].wipe()
        elif kind == "crash":
            self.desks[at].crash(bool(rest[1]))
        elif kind == "sync":
            self._at(at).sync()
        elif kind == "drop":
            self.desks[at].drop(bool(rest[1]))
        elif kind == "stand":
            desk = self._at(at)
            assert desk.replica is not None
            desk.replica.stand(desk)
        elif kind == "beat":
            desk = self._at(at)
            assert desk.node is not None
            desk.node.on_timer(TICK, desk)
        elif kind == "write" or kind == "retry":
            write = self.used["write"] + 1 if kind == "write" else int(rest[1])
            self._write(at, write)
        elif kind == "read":
            self._read(at)
        if kind in ("copy", "lose", "wait", "pause", "wipe", "crash", "stand", "beat", "write", "retry", "read"):
            self.used[str(kind)] += 1
        sent: list[Packet] = []
        for desk in self.desks:
            while self.scope.disks_at_once and desk.appended > desk.durable:
                self._at(desk.index).sync()
            if desk.sent:
                sent += desk.sent
                desk.sent = []
        self.check()
        for packet in sent:
            if not self.scope.quiet:
                self.network.append(packet)
            elif packet[0] < 0:
                self._hear(packet[2])
            elif type(packet[2]) not in SAVE_TIME:
                self.network.append(packet)

    def _at(self, index: int) -> Desk:
        desk = self.desks[index]
        desk.set_clock(self.now_ns)
        return desk

    def _deliver(self, packet: Packet) -> None:
        target, sender, message = packet
        if target < 0:
            self._hear(message)
            return
        desk = self._at(target)
        if desk.node is not None:
            desk.node.on_message(sender, message, desk)

    def _write(self, index: int, write: int) -> None:
        desk = self._at(index)
        assert desk.node is not None
        expiry_ns = self.begun.setdefault(write, WALL_NS + self.now_ns + TOPOLOGY.timing.dedup_ns)
        operation = PutItem("t", {"pk": {"S": "k"}, "v": {"N": str(write)}}, return_values="ALL_OLD")
        request = m.WriteRequest(GROUP, write, ("router", write), expiry_ns, KEY, operation)
        desk.node.on_message(ROUTER, request, desk)

    def _read(self, index: int) -> None:
        desk = self._at(index)
        assert desk.node is not None
        number = 1000 + self.used["read"]
        self.reads[number] = self.floor
        desk.node.on_message(ROUTER, m.GetRequest(GROUP, number, KEY, True), desk)

    # --- what must hold ---------------------------------------------------------------------------------------------

    def _hear(self, message: Message) -> None:
        """An answer reaches the client."""
        if isinstance(message, m.Answer):
            said = json.dumps([message.status, message.body], sort_keys=True)
            if self.answers.setdefault(message.number, said) != said:
                raise Violation(f"write {message.number} was answered {self.answers[message.number]} and {said}")
            slots = [e.slot for e in self.committed if e.request == ("router", message.number)]
            if not slots:
                raise Violation(f"write {message.number} was answered and is not committed")
            self.floor = max(self.floor, slots[0])
            self.sometimes["answered"] += 1
        elif isinstance(message, m.GetReply):
            if message.number not in self.reads:
                return  # a second copy of an answer
            floor = self.reads.pop(message.number)
            value = _number(message.item)
            shown = [slot for slot in range(floor, len(self.committed) + 1) if self._value(slot) == value]
            if not shown:
                raise Violation(f"a strong read shows {value}, older than slot {floor}, which was answered before")
            self.floor = max(self.floor, shown[0])
            self.sometimes["read"] += 1

    def _value(self, slot: int) -> int | None:
        """The item after the first `slot` entries."""
        for entry in reversed(self.committed[:slot]):
            if type(entry.command) is m.Write:
                return _number(entry.command.item)
        return None

    def check(self) -> None:
        """Hold the invariants; raises `Violation`."""
        serving = []
        for desk in self.desks:
            replica = desk.replica
            if replica is None:
                continue
            looked = max(self.seen[desk.index], replica.log.base)
            for entry in replica.log.after(looked, replica.commit_index - looked):
                self._commit(entry)
            self.seen[desk.index] = replica.commit_index
            if replica.commit_index > len(self.committed):
                raise Violation(f"host {desk.index} has a snapshot of slots that nobody committed")
            self._compare(replica)
            if replica.may_serve(self.now_ns):
                serving.append(desk.index)
        if len(serving) > 1 and self.scope.leases:
            raise Violation(f"hosts {serving} can serve at one instant")
        if serving:
            self.sometimes["serving"] += 1

    def _compare(self, replica: Replica) -> None:
        """The state, applied or taken from a snapshot, is that of the committed log."""
        state = replica.state
        assert isinstance(state, Partition)
        if replica.log_only:
            assert not state.applied, "a log replica applies nothing"
            self.sometimes["log replica"] += 1
            return
        value, expected = _number(state.get(KEY)), self._value(replica.commit_index)
        if value != expected:
            raise Violation(f"the state at slot {replica.commit_index} holds {value} instead of {expected}")

    def _commit(self, entry: m.Entry) -> None:
        """A replica has applied this entry."""
        if entry.slot <= len(self.committed):
            known = self.committed[entry.slot - 1]
            if (known.request, known.time_ns, known.command) != (entry.request, entry.time_ns, entry.command):
                raise Violation(f"slot {entry.slot} is {known} at one replica and {entry} at another")
            return
        assert entry.slot == len(self.committed) + 1, "a commit index jumped over a slot"
        if entry.request[1]:
            twice = [e.slot for e in self.committed if e.request == entry.request]
            if twice:
                raise Violation(f"request {entry.request} is committed at {twice[0]} and at {entry.slot}")
        if type(entry.command) is m.Write:
            named = _number(entry.command.body.get("Attributes"))
            if named != self._value(len(self.committed)):
                stands = self._value(len(self.committed))
                raise Violation(f"slot {entry.slot} says that it replaced {named}, and it stands on {stands}")
        if self.committed and entry.time_ns < self.committed[-1].time_ns:
            raise Violation(f"log time goes back at slot {entry.slot}")
        self.committed.append(entry)
        self.sometimes[f"committed {type(entry.command).__name__}"] += 1


def _number(item: Any) -> int | None:
    """The `v` of an item in wire form, None for no item."""
    return None if item is None else int(item["v"]["N"])


# --- healing -------------------------------------------------------------------------------------------------------

HEAL_ROUNDS = 80  # of a heartbeat each: some elections, with a lease to wait out after each
ROUND_STEPS = 2_000  # messages in one round; beyond it the nodes talk to themselves for ever


def heal(world: World) -> None:
    """Everything works from here on: the group must serve, bring all replicas to the same slot, and take a write."""
    for desk in world.desks:
        if desk.node is None:
            world.apply(("restart", desk.index))
    written = False
    for _ in range(HEAL_ROUNDS):
        world.now_ns += TOPOLOGY.timing.heartbeat_ns
        for desk in world.desks:
            world.apply(("beat", desk.index))
            settle(world)
        replicas = [desk.replica for desk in world.desks if desk.replica is not None]
        serving = [desk.index for desk in world.desks if desk.replica is not None and world.serves(desk.replica)]
        if serving and not written:
            written = True
            world.apply(("write", serving[0]))
            settle(world)
        hosting = [desk.index for desk in world.desks if desk.replica is not None]
        whole = hosting == list(range(len(HOSTS))) and all(r.has_state for r in replicas)  # no log replica is left
        if (
            written
            and whole
            and len({r.commit_index for r in replicas}) == 1
            and all(r.role != "learner" for r in replicas)
        ):
            world.sometimes["healed"] += 1
            return
    seen = [
        (d.index, r.role, r.log_only, r.promised, r.commit_index, len(r.log), [str(m.address.node) for m in r.members])
        for d in world.desks
        if (r := d.replica) is not None
    ]
    raise Violation(f"the group does not come back: {seen}")


def settle(world: World) -> None:
    """Deliver and sync until nothing is on its way."""
    for _ in range(ROUND_STEPS):
        behind = [desk.index for desk in world.desks if desk.appended > desk.durable]
        if behind:
            world.apply(("sync", behind[0]))
        elif world.network:
            world.apply(("deliver", 0))
        else:
            return
    raise Violation("the nodes never come to rest")


# --- random walks --------------------------------------------------------------------------------------------------

WEIGHTS: dict[str, int] = {
    "deliver": 30,
    "sync": 12,
    "drop": 4,
    "restart": 4,
    "write": 6,
    "retry": 3,
    "read": 4,
    "beat": 3,
    "stand": 2,
    "wait": 2,
    "pause": 2,
    "copy": 1,
    "lose": 1,
    "crash": 1,
    "wipe": 2,
}


def wander(seed: int, scope: Scope, steps: int) -> World:
    """One random walk; raises `Violation` with the actions that led there."""
    random = Random(seed)
    # Each walk has a temper of its own: with even weights all walks look alike.
    weights = {kind: weight * random.choice((1, 4, 16)) for kind, weight in WEIGHTS.items()}
    world = World(scope)
    world.form()
    taken: list[Action] = []
    none = len(world.desks)
    alone = none  # the host that nothing reaches or leaves for a while
    for _ in range(steps):
        if random.randrange(40) == 0:
            alone = random.randrange(none + 1)
        by_kind: dict[str, list[Action]] = {}
        for action in world.actions():
            if action[0] in ("deliver", "copy") and alone < none:
                target, sender, _message = world.network[int(action[1])]
                if target >= 0 and alone in (target, PLACES.index(sender)):
                    continue
            by_kind.setdefault(str(action[0]), []).append(action)
        if not by_kind:
            break
        kinds = list(by_kind)
        kind = random.choices(kinds, [weights[k] for k in kinds])[0]
        action = random.choice(by_kind[kind])
        taken.append(action)
        try:
            world.apply(action)
        except AssertionError as error:
            raise Violation(f"seed {seed}, after {len(taken)} actions: {error}") from error
    try:
        heal(world)
    except AssertionError as error:
        raise Violation(f"seed {seed}, healing after {len(taken)} actions: {error}") from error
    return world

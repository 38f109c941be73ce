"""Scrubbing: the replicas of a partition compare their states again and again, at rest and under load (ATC'22 §5.4:
"continuous verification").

Rules:
- *The same moment.* A Scrub is an entry of the log. Every replica digests the same stretch of its rows when it applies
  that entry, so that all speak of one state. A round of many entries goes through all rows, and ends with what is
  remembered besides: answers, tombstones, what is owed to indexes.
- *From the rows.* A digest is made from what is stored, each time anew. One that was kept up to date with each write
  would agree for ever with what was once written, and not see what became of it.
- *The majority is right.* When every full member has answered, whoever differs from more than half of them has
  diverged. Without a majority nobody can say who is wrong: that is told, and nothing is done.
- *Rebuilt in place.* The log of a replica that diverged is sound, and so are its promises: it votes on. Its state is
  not: it leads nothing and serves nothing until it has taken its leader's state, and applied to it what it has in its
  log behind that.

These are functions of `StorageNode`, kept in a room of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dynalab_impl.codec import register
from dynalab_impl.effects import NOTHING, Address, Effects, Message, Nanoseconds
from dynalab_impl.messages import NO_REQUEST, Scrub
from dynalab_impl.partition import Partition
from dynalab_impl.replication.catchup import header_of
from dynalab_impl.replication.replica import Replica
from dynalab_impl.snapshot import Image, Outgoing, SnapshotHeader
from dynalab_model.events import Event

if TYPE_CHECKING:
    from dynalab_impl.storage_node import StorageNode

SCRUB_ROWS = 512  # rows that one entry covers
PAUSE_NS = 1_000_000_000  # between two entries of a group
ANSWERS_NS = 5_000_000_000  # so long a leader waits for the digests of all


@dataclass(slots=True)
class Digest(Message):
    """What a replica's rows came to at the Scrub in this slot."""

    group: str
    slot: int
    digest: str


@dataclass(slots=True)
class Diverged(Message):
    """Your rows at the Scrub in this slot are not what most members have: take my state in the place of yours."""

    group: str
    slot: int


@dataclass(slots=True)
class AskState(Message):
    """The next piece of your state, please; number 0 begins anew."""

    group: str
    number: int


@dataclass(slots=True)
class StatePiece(Message):
    """A piece of a leader's state. All pieces of one snapshot have its header."""

    group: str
    number: int
    header: SnapshotHeader
    images: tuple[Image, ...]
    last: bool


register(Digest, Diverged, AskState, StatePiece)


@dataclass(slots=True)
class Round:
    """A leader's scrubbing of one group. What it has not got yet is forgotten when it is deposed."""

    slot: int = 0  # of the entry whose digests are awaited; 0: none
    logged_ns: Nanoseconds = 0
    after: bytes = b""  # the next entry covers the rows behind this key
    answers: dict[Address, str] = field(default_factory=dict)


@dataclass(slots=True)
class Rebuild:
    """A state that is being taken over."""

    header: SnapshotHeader | None = None
    images: list[Image] = field(default_factory=list)
    number: int = 0  # of the piece that is expected next
    whole: bool = False


@dataclass(slots=True)
class Scrubber:
    """A node's part in scrubbing."""

    rounds: dict[str, Round] = field(default_factory=dict)  # groups that this node leads
    reported: dict[str, int] = field(default_factory=dict)  # group → slot of the last digest that was told
    rebuilds: dict[str, Rebuild] = field(default_factory=dict)
    sending: dict[tuple[str, Address], Outgoing] = field(default_factory=dict)


def tick(node: StorageNode, effects: Effects) -> None:
    """Once a heartbeat: tell what was digested, log the next Scrub, judge what has come in."""
    scrubber = node.scrubber
    if scrubber is None:
        return
    for known in (scrubber.reported, scrubber.rounds, scrubber.rebuilds):
        for group in [group for group in known if group not in node.replicas]:
            del known[group]
    for group, replica in node.replicas.items():
        state = replica.state
        if not isinstance(state, Partition):
            continue
        if group in scrubber.rebuilds:
            _go_on(node, scrubber, replica, effects)
        elif state.digest.slot > scrubber.reported.get(group, 0) and replica.leader is not None:
            scrubber.reported[group] = state.digest.slot
            effects.send(replica.leader, Digest(group, state.digest.slot, state.digest.text), NOTHING)
        if replica.is_leader:
            _lead(node, scrubber.rounds.setdefault(group, Round()), replica, state, effects)
        else:
            scrubber.rounds.pop(group, None)
    for group, to in [key for key in scrubber.sending if not _leads(node, key[0])]:
        del scrubber.sending[group, to]


def _leads(node: StorageNode, group: str) -> bool:
    replica = node.replicas.get(group)
    return replica is not None and replica.is_leader


def _lead(node: StorageNode, mine: Round, replica: Replica, state: Partition, effects: Effects) -> None:
    if mine.slot:
        members = [member.address for member in replica.members if not member.log]
        if all(address in mine.answers for address in members):
            _judge(node, mine, replica, members, effects)
        elif effects.now_ns - mine.logged_ns < ANSWERS_NS:
            return
        mine.slot, mine.answers = 0, {}
        mine.after = state.digest.last
    elif effects.now_ns - mine.logged_ns >= PAUSE_NS and replica.may_serve(effects.now_ns) and state.split is None:
        assert replica.leading is not None
        if not replica.leading.splitting:
            mine.logged_ns = effects.now_ns
            mine.slot = replica.propose(Scrub(mine.after, SCRUB_ROWS), NO_REQUEST, 0, effects)


def on_digest(node: StorageNode, sender: Address, message: Digest, effects: Effects) -> None:
    scrubber = node.scrubber
    mine = None if scrubber is None else scrubber.rounds.get(message.group)
    if mine is not None and message.slot == mine.slot:
        mine.answers[sender] = message.digest


def _judge(node: StorageNode, mine: Round, replica: Replica, members: list[Address], effects: Effects) -> None:
    """All have answered: who differs from the majority?"""
    group = replica.spec.group
    counts: dict[str, int] = {}
    for address in members:
        counts[mine.answers[address]] = counts.get(mine.answers[address], 0) + 1
    most = max(counts, key=lambda text: counts[text])
    if counts[most] == len(members):
        effects.tell(Event("scrubbed", group, 0, mine.slot))
        return
    if 2 * counts[most] <= len(members):
        effects.tell(Event("scrub-undecided", group, 0, mine.slot))
        return
    for address in node.differing(mine.answers, most, members):
        effects.tell(Event("replica-diverged", group, 0, mine.slot, str(address)))
        effects.send(address, Diverged(group, mine.slot), NOTHING)


def differing(node: StorageNode, answers: dict[Address, str], most: str, members: list[Address]) -> list[Address]:
    """The members whose digest is not that of the majority."""
    return [address for address in members if answers[address] != most]


def on_diverged(node: StorageNode, sender: Address, message: Diverged, effects: Effects) -> None:
    """This node's state is wrong. It stops using it at once, and asks for another one until it has it."""
    scrubber, replica = node.scrubber, node.replicas.get(message.group)
    if scrubber is None or replica is None or not isinstance(replica.state, Partition):
        return
    if message.slot != replica.state.digest.slot or replica.rebuilding:
        return  # an old message: the state has been replaced since
    replica.rebuilding = True
    scrubber.rebuilds[message.group] = Rebuild()
    if replica.is_leader:
        replica.give_way(replica.promised, effects)  # the others stand when their time has come
    effects.tell(Event("rebuild-began", message.group, 0, message.slot))


def pass_on(node: StorageNode, child: Replica, effects: Effects) -> None:
    """A state that was found wrong has been divided: this half of it is rebuilt by itself."""
    if node.scrubber is not None:
        child.rebuilding = True
        node.scrubber.rebuilds[child.spec.group] = Rebuild()
        effects.tell(Event("rebuild-began", child.spec.group, 0, child.spec.origin))


def _go_on(node: StorageNode, scrubber: Scrubber, replica: Replica, effects: Effects) -> None:
    """Take over a state that is whole, as soon as the log has come to its slot; else ask for the next piece of it."""
    group = replica.spec.group
    rebuild = scrubber.rebuilds[group]
    header = rebuild.header
    if not rebuild.whole or header is None:
        _ask(rebuild, replica, effects)
    elif header.slot < replica.log.base:
        scrubber.rebuilds[group] = Rebuild()  # what lies between has been let go: too old
    elif header.slot <= replica.commit_index:
        _install(replica, header, rebuild.images)
        del scrubber.rebuilds[group]
        node.snapshots.cycle_from = -node.snapshots.records_max  # the wrong state may stand in the log: write this one
        effects.tell(Event("replica-rebuilt", group, 0, header.slot))


def _ask(rebuild: Rebuild, replica: Replica, effects: Effects) -> None:
    if replica.leader is not None and not replica.is_leader:
        effects.send(replica.leader, AskState(replica.spec.group, rebuild.number), NOTHING)


def on_ask_state(node: StorageNode, sender: Address, message: AskState, effects: Effects) -> None:
    """A leader gives its state, a piece at a time."""
    scrubber, replica = node.scrubber, node.replicas.get(message.group)
    if scrubber is None or replica is None or not replica.may_serve(effects.now_ns):
        return
    key = (message.group, sender)
    if message.number == 0:
        scrubber.sending[key] = Outgoing(header_of(replica), replica.state.view())
    outgoing = scrubber.sending.get(key)
    if outgoing is None:
        effects.send(sender, StatePiece(message.group, 0, header_of(replica), (), False), NOTHING)
        return
    if message.number == outgoing.number + 1:
        outgoing.at += len(outgoing.piece(replica.state))
        outgoing.number += 1
    if message.number == outgoing.number:
        images = outgoing.piece(replica.state)
        last = outgoing.at + len(images) >= len(outgoing.parts)
        effects.send(sender, StatePiece(message.group, message.number, outgoing.header, images, last), NOTHING)


def on_state_piece(node: StorageNode, sender: Address, message: StatePiece, effects: Effects) -> None:
    """A piece of the leader's state; with the last one it takes the place of this replica's."""
    scrubber, replica = node.scrubber, node.replicas.get(message.group)
    rebuild = None if scrubber is None else scrubber.rebuilds.get(message.group)
    if scrubber is None or replica is None or rebuild is None or sender != replica.leader:
        return
    begun = rebuild.header
    if begun is None or begun.slot != message.header.slot:
        if message.number or (not message.images and not message.last):
            scrubber.rebuilds[message.group] = Rebuild()  # its sender has begun anew, or has nothing to go on with
            return
        rebuild = scrubber.rebuilds[message.group] = Rebuild(message.header)
    if message.number == rebuild.number and not rebuild.whole:
        rebuild.images.extend(message.images)
        rebuild.number += 1
        rebuild.whole = message.last
        _go_on(node, scrubber, replica, effects)


def _install(replica: Replica, header: SnapshotHeader, images: list[Image]) -> None:
    """Take over this state and apply what the log has behind it."""
    fresh = replica.state.fresh()
    fresh.load(header, images)
    for entry in replica.log.after(header.slot, replica.commit_index - header.slot):
        fresh.apply(entry)
    replica.state = fresh
    replica.rebuilding = False

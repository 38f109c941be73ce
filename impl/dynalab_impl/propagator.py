"""The log propagator: carries a base partition's writes to the partitions of its global indexes, asynchronously (S27,
S93).

It works from what the partition owes (`Partition.owed`, made by applying the log), at the leader only. Changes go out
many at a time and in no order; the index partition keeps order by version, so an old change never overtakes a newer
one. When everything up to a slot has been acknowledged, that position is logged (Propagated) and survives the leader;
what was sent twice because of that is recognised.

An index partition that is over its capacity takes no change and says so: it is sent again later. All indexes of a
partition share its queue, so the slowest of them decides how long it is. A change that is overtaken by a newer one of
the same entry is not sent again: its index partition need not remember a delete for longer than messages live.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from dynalab_impl import backfilling
from dynalab_impl.effects import NOTHING, Address, Effects, Nanoseconds
from dynalab_impl.messages import (
    NO_REQUEST,
    Backfill,
    GroupSpec,
    IndexRequest,
    IndexWrite,
    Propagated,
    Redirect,
    TableMap,
)
from dynalab_impl.partition import Partition
from dynalab_impl.replication.leading import UNCOMMITTED_MAX
from dynalab_impl.replication.replica import Replica
from dynalab_impl.snapshot import OwedImage
from dynalab_model.events import Event

IN_FLIGHT_MAX = 64
HOPS_MAX = 8  # redirects followed at once; then the next retry tries another member


@dataclass(slots=True)
class Flight:
    """One change on its way, and where to."""

    owed: OwedImage
    sent_ns: Nanoseconds
    target: int
    attempts: int = 0
    refused: bool = False  # its index was over its capacity


@dataclass(slots=True)
class Propagator:
    """The work of one base partition's leader; begins anew from the logged position when leadership changes."""

    group: str
    sent_to: int = 0  # changes with a smaller sequence have been sent
    flights: dict[int, Flight] = field(default_factory=dict)  # by number: the change's sequence plus one
    logged_slot: int = 0
    asked: bool = False  # for the table's map
    filling: tuple[int, Backfill] | None = None  # the piece of a backfill that was logged last, in which form
    limits: dict[str, str] = field(default_factory=dict)  # by index: what it lacked when it last took no change

    def backlog(self, partition: Partition) -> int:
        """How many changes have not been acknowledged."""
        owed = partition.owed
        return len(self.flights) + (owed[-1].sequence + 1 - max(self.sent_to, owed[0].sequence) if owed else 0)

    def fill(self, replica: Replica, effects: Effects) -> None:
        """Log the next piece of a backfill, when little is owed."""
        partition, lead = replica.state, replica.leading
        assert isinstance(partition, Partition)
        piece = backfilling.next_piece(partition)
        if piece is None or lead is None or partition.form is None or self.backlog(partition) > backfilling.OWED_MAX:
            return
        asked = (partition.form.version, piece)  # an index of this name may come again later
        if asked == self.filling:
            return
        if len(replica.log) - replica.commit_index < UNCOMMITTED_MAX:
            self.filling = asked
            slot = replica.propose(piece, NO_REQUEST, 0, effects)
            effects.tell(Event("backfill-logged", self.group, lead.ballot[0], slot, piece.index))

    def pump(self, replica: Replica, table: TableMap, leaders: dict[str, Address], effects: Effects) -> None:
        """Send what has not been sent, as far as the window allows."""
        partition = replica.state
        assert isinstance(partition, Partition)
        owed = partition.owed
        self._let_go(owed)
        if not owed or owed[-1].sequence < self.sent_to or len(self.flights) >= IN_FLIGHT_MAX:
            return
        at = max(0, self.sent_to - owed[0].sequence)
        while at < len(owed) and len(self.flights) < IN_FLIGHT_MAX:
            change = owed[at]
            self.sent_to = change.sequence + 1
            # The same in every leadership: an answer that comes late, to the next one, is still about this change.
            number = change.sequence + 1
            flight = self.flights[number] = Flight(change, effects.now_ns, 0)
            self._send(number, flight, replica, table, leaders, effects)
            effects.tell(Event("index-sent", self.group, 0, change.slot, change.index))
            at += 1

    def retry(self, replica: Replica, table: TableMap, leaders: dict[str, Address], effects: Effects) -> None:
        """Send again what has had no answer for an attempt's time, to the next member; what was not taken, to the same
        one.
        """
        assert isinstance(replica.state, Partition)
        self._let_go(replica.state.owed)
        for number, flight in list(self.flights.items()):
            if flight.refused:
                self._send(number, flight, replica, table, leaders, effects)
            elif effects.now_ns - flight.sent_ns >= replica.timing.attempt_ns:
                flight.attempts = 0
                flight.target += 1
                leaders.pop(_index_group(table, flight.owed).group, None)
                self._send(number, flight, replica, table, leaders, effects)
        self.log_position(replica, effects)

    def redirect(
        self, message: Redirect, replica: Replica, table: TableMap, leaders: dict[str, Address], effects: Effects
    ) -> None:
        """The node asked was not the leader. Go where it points; otherwise the next retry tries another member."""
        flight = self.flights.get(message.number)
        if flight is None or message.leader is None or flight.attempts >= HOPS_MAX:
            return
        if not self.asked_of(message, table):
            return  # the answer to another propagator of this node
        flight.attempts += 1
        leaders[message.group] = message.leader
        self._send(message.number, flight, replica, table, leaders, effects)

    def asked_of(self, message: Redirect, table: TableMap) -> bool:
        """Whether this is an answer to one of the flights here."""
        flight = self.flights.get(message.number)
        return flight is not None and _index_group(table, flight.owed).group == message.group

    def on_reply(self, number: int, limit: str, replica: Replica, effects: Effects) -> None:
        """One change is applied and committed in the index; or not taken, because of this limit."""
        flight = self.flights.get(number)
        if flight is None:
            return
        if limit:
            flight.refused = True
            self.limits[flight.owed.index] = limit
            return
        self.limits.pop(flight.owed.index, None)
        done = flight.owed
        del self.flights[number]
        for other, older in list(self.flights.items()):
            same = older.owed.key == done.key and older.owed.index == done.index
            if same and older.owed.version <= done.version:
                del self.flights[other]
        if not self.flights:
            self.log_position(replica, effects)

    def _let_go(self, owed: deque[OwedImage]) -> None:
        """Forget what is owed no more: its index is gone."""
        first = owed[0].sequence if owed else self.sent_to
        for number in [number for number, flight in self.flights.items() if flight.owed.sequence < first]:
            del self.flights[number]

    def log_position(self, replica: Replica, effects: Effects) -> None:
        """Log how far everything is acknowledged, if that has moved."""
        partition = replica.state
        assert isinstance(partition, Partition)
        owed = partition.owed
        if not owed or replica.leading is None or replica.leading.splitting:
            return
        first_open = min([f.owed.slot for f in self.flights.values()], default=0)
        at = max(0, self.sent_to - owed[0].sequence)  # a new leader has sent nothing of what its predecessor owed
        if at < len(owed):
            first_open = min(first_open or owed[at].slot, owed[at].slot)
        done = first_open - 1 if first_open else owed[-1].slot
        if done >= owed[0].slot and done > self.logged_slot:
            self.logged_slot = done
            replica.propose(Propagated(done), NO_REQUEST, 0, effects)
            effects.tell(Event("index-done", self.group, 0, done))

    def _send(
        self,
        number: int,
        flight: Flight,
        replica: Replica,
        table: TableMap,
        leaders: dict[str, Address],
        effects: Effects,
    ) -> None:
        spec = _index_group(table, flight.owed)
        flight.sent_ns, flight.refused = effects.now_ns, False
        to = leaders.get(spec.group) or spec.members[flight.target % len(spec.members)].address
        owed = flight.owed
        write = IndexWrite(owed.key, owed.item, owed.version)
        expiry_ns = effects.wall_ns + replica.timing.dedup_ns
        effects.send(to, IndexRequest(spec.group, self.group, number, NO_REQUEST, expiry_ns, write, owed.free), NOTHING)


def _index_group(table: TableMap, owed: OwedImage) -> GroupSpec:
    for spec in table.groups:
        if spec.index == owed.index and spec.holds(owed.key):
            return spec
    raise AssertionError("the groups of an index cover the key space")

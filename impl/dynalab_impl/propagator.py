"""The log propagator: carries a base partition's writes to the partitions of its global indexes, asynchronously (S27,
S93).

It works from what the partition owes (`Partition.owed`, made by applying the log), at the leader only. Changes go out
many at a time and in no order; the index partition keeps order by version, so an old change never overtakes a newer
one. When everything up to a slot has been acknowledged, that position is logged (Propagated) and survives the leader;
what was sent twice because of that is recognised.

Each index has a lane of its own, with a window of its own: a slow one does not hold up the others. An index partition
that is over its capacity takes no change and says so: its lane goes on with a few at each retry, the oldest first, and
faster as long as they are taken. A change that is overtaken by a newer one of the same entry is not sent again: its
index partition need not remember a delete for longer than messages live.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

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
from dynalab_impl.replication.leading import AHEAD_MAX_NS, UNCOMMITTED_MAX
from dynalab_impl.replication.replica import Replica
from dynalab_impl.snapshot import OwedImage
from dynalab_model.events import Event

IN_FLIGHT_MAX = 64  # of one index
PROBES = 4  # so many changes are sent at a retry to an index that took none
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
class Lane:
    """What waits to be sent to one index, and how much is on its way there. `limit` is what the index lacked when it
    last took no change, while anything is left of that backlog; until then only `room` more may be sent.
    """

    waiting: deque[OwedImage] = field(default_factory=deque)
    flying: int = 0
    limit: str = ""
    room: int = 0


@dataclass(slots=True)
class Propagator:
    """The work of one base partition's leader; begins anew from the logged position when leadership changes."""

    group: str
    taken_to: int = 0  # changes with a smaller sequence are in a lane, on their way, or through
    lanes: dict[str, Lane] = field(default_factory=dict)  # by index
    flights: dict[int, Flight] = field(default_factory=dict)  # by number: the change's sequence plus one
    logged_slot: int = 0
    asked: bool = False  # for the table's map
    filling: tuple[int, Backfill] | None = None  # the piece of a backfill that was logged last, in which form

    def backlog(self, partition: Partition) -> int:
        """How many changes have not been acknowledged."""
        self._take(partition.owed)
        return len(self.flights) + sum(len(lane.waiting) for lane in self.lanes.values())

    def limit(self, index: str) -> str:
        """What an index lacks that could not take all changes; "" for nothing."""
        lane = self.lanes.get(index)
        return "" if lane is None else lane.limit

    def outstanding(self, partition: Partition) -> Iterator[OwedImage]:
        """The changes that have not been acknowledged."""
        self._take(partition.owed)
        yield from [flight.owed for flight in self.flights.values()]
        for lane in self.lanes.values():
            yield from lane.waiting

    def _take(self, owed: deque[OwedImage]) -> None:
        """Sort what is newly owed into lanes; forget what is owed no more, for its index is gone."""
        first = owed[0].sequence if owed else self.taken_to
        if owed and owed[-1].sequence >= self.taken_to:
            at = max(0, self.taken_to - first)
            for change in islice(owed, at, None):
                self.lanes.setdefault(change.index, Lane()).waiting.append(change)
            self.taken_to = owed[-1].sequence + 1
        for number in [number for number, flight in self.flights.items() if flight.owed.sequence < first]:
            self._land(number)
        for lane in self.lanes.values():
            while lane.waiting and lane.waiting[0].sequence < first:
                lane.waiting.popleft()
            if not lane.flying and not lane.waiting:
                lane.limit = ""

    def _land(self, number: int) -> None:
        """A change is on its way no more."""
        lane = self.lanes[self.flights.pop(number).owed.index]
        lane.flying -= 1
        if not lane.flying and not lane.waiting:
            lane.limit = ""

    def fill(self, replica: Replica, effects: Effects) -> None:
        """Log the next piece of a backfill, when little is owed."""
        partition, lead = replica.state, replica.leading
        assert isinstance(partition, Partition)
        piece = backfilling.next_piece(partition)
        if piece is None or lead is None or partition.form is None:
            return
        self._take(partition.owed)
        lane = self.lanes.get(piece.index)
        if lane is not None and len(lane.waiting) > backfilling.WAITING_MAX:
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
        self._take(partition.owed)
        for index, lane in self.lanes.items():
            if lane.limit:
                for number, refused in self.flights.items():
                    if refused.refused and refused.owed.index == index and lane.room:
                        lane.room -= 1
                        self._send(number, refused, replica, table, leaders, effects)
            while lane.waiting and lane.flying < IN_FLIGHT_MAX and (lane.room or not lane.limit):
                lane.room = max(0, lane.room - 1)
                change = lane.waiting.popleft()
                lane.flying += 1
                # The same in every leadership: an answer that comes late, to the next one, is still about this change.
                number = change.sequence + 1
                flight = self.flights[number] = Flight(change, effects.now_ns, 0)
                self._send(number, flight, replica, table, leaders, effects)
                effects.tell(Event("index-sent", self.group, 0, change.slot, change.index))

    def retry(self, replica: Replica, table: TableMap, leaders: dict[str, Address], effects: Effects) -> None:
        """Send again what has had no answer for an attempt's time, to the next member. Of what was not taken, `pump`
        may send a little.
        """
        assert isinstance(replica.state, Partition)
        self._take(replica.state.owed)
        for lane in self.lanes.values():
            lane.room = PROBES if lane.limit else 0
        for number, flight in list(self.flights.items()):
            if not flight.refused and effects.now_ns - flight.sent_ns >= replica.timing.attempt_ns:
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
        if flight is None:
            return False
        # Of an index that has gone meanwhile the table has no group any more.
        owed = flight.owed
        return any(s.group == message.group and s.index == owed.index and s.holds(owed.key) for s in table.groups)

    def on_reply(self, number: int, limit: str, replica: Replica, effects: Effects) -> None:
        """One change is applied and committed in the index; or not taken, because of this limit."""
        flight = self.flights.get(number)
        if flight is None:
            return
        if limit:
            flight.refused = True
            lane = self.lanes[flight.owed.index]
            lane.limit = limit
            return
        done = flight.owed
        self.lanes[done.index].room += bool(self.lanes[done.index].limit) * 2  # it has room again: ever faster
        for other, older in list(self.flights.items()):
            if older.owed.key == done.key and older.owed.index == done.index and older.owed.version <= done.version:
                self._land(other)
        if not self.flights:
            self.log_position(replica, effects)

    def log_position(self, replica: Replica, effects: Effects) -> None:
        """Log how far everything is acknowledged, if that has moved."""
        partition = replica.state
        assert isinstance(partition, Partition)
        owed = partition.owed
        if not owed or replica.leading is None or replica.leading.splitting:
            return
        self._take(owed)  # a new leader has sent nothing of what its predecessor owed
        open_slots = [flight.owed.slot for flight in self.flights.values()]
        open_slots += [lane.waiting[0].slot for lane in self.lanes.values() if lane.waiting]
        first_open = min(open_slots, default=0)
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
        expiry_ns = _now_ns(replica, effects) + replica.timing.dedup_ns
        effects.send(to, IndexRequest(spec.group, self.group, number, NO_REQUEST, expiry_ns, write, owed.free), NOTHING)


def _now_ns(replica: Replica, effects: Effects) -> Nanoseconds:
    """Now, for how long a change may be taken: by the leader's clock where that is near most members'. One that is far
    behind would have its changes refused as expired, again and again; one that is far ahead, have them live too long.
    """
    lead = replica.leading
    assert lead is not None, "only a leader sends changes"
    return max(lead.wall_ns(effects.wall_ns), lead.middle_ns(effects.wall_ns) - AHEAD_MAX_NS)


def _index_group(table: TableMap, owed: OwedImage) -> GroupSpec:
    for spec in table.groups:
        if spec.index == owed.index and spec.holds(owed.key):
            return spec
    raise AssertionError("the groups of an index cover the key space")

"""The contract between the handlers and whatever runs them. Everything in impl leans on this page.

A node is a state machine: `on_start`, `on_message`, `on_timer`, `on_durable`, `on_request`, `on_stop`. It is
deterministic and changes only its own state. What it wants done it asks of the `Effects` that it is handed. It never
sees a socket, a file, a clock, a thread or a random generator of its own, so the same code runs in the simulator, under
the explorer, embedded in a process and as a cluster.

Rules that every driver keeps:

1. *Time.* `now_ns` is monotonic (leases, timers), `wall_ns` is a wall clock (stamps, expiry). Both are fixed during
   one call, and real drivers sample them after they took the event: a late sample would make a lease look longer than
   it is.
2. *Durability is by position.* A node has one write-ahead log; `append` returns the position of the record in it (1,
   2, 3, …, never reused within a run of the process). Every `send` and `reply` names the position that it depends on,
   and leaves once that position is on disk, whichever call appended it. The default is the log's last append, so
   forgetting costs a sync, never a promise. Heartbeats and reads name NOTHING. Messages to one destination that
   became ready together leave in the order in which they were sent.
3. *Sync by batch.* The driver syncs when it likes and reports with `on_durable(position)`: everything up to it is on
   disk. One sync serves many appends (group commit). A sync that fails crashes the node: nothing that waited for it
   leaves.
4. *Restart.* `on_start` is the first call of a fresh node object. `read_log()` gives the records that survived, in
   order, after the torn tail was cut (`dynalab_impl.storage.wal`). What was not appended is forgotten.
5. *Timers* have names (plain tuples). Setting a name again replaces it; a cancelled or replaced timer never fires.
6. *Messages* are plain data, never changed after sending, and may be lost, delayed, doubled and reordered.
   `dynalab_impl.codec` turns each into bytes and back. A node may send to itself.
7. *Determinism.* Random draws come from `random_bits` alone. Nothing iterates over a set.

8. *Truncation* is a permission. After `truncate(before)` the driver may drop any prefix of the records before that
   position, whenever it likes. The node asks only when all that replaces them is on disk, and after a restart takes any
   such remainder.

9. *Objects.* There is one object store for all nodes. `put_object` puts a whole object or nothing; with `expected` only
   in the place of an object with that tag, or of none. Whatever came of it is told by an `ObjectDone` from the node's
   own address, unless the process has died meanwhile. After "failed" the object may have been put all the same.
   Names are made by nodes from the names of groups; nothing of a client's choosing is a path.

"The store" adds to this contract: long jobs in bounded pieces where a tick does not do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple, Protocol, TypeAlias

from dynalab_model.collections import COLLECTION_BYTES_MAX
from dynalab_model.events import Event
from dynalab_model.operations import Operation
from dynalab_model.streams import KEEP_NS, ROLL_NS

Nanoseconds: TypeAlias = int
Position: TypeAlias = int
RequestToken: TypeAlias = int
TimerName: TypeAlias = tuple[str | int, ...]
JSON: TypeAlias = "str | int | float | bool | list[JSON] | dict[str, JSON] | None"

LAST: Position = -1  # after everything this node has appended so far
NOTHING: Position = 0  # depends on no record


class Address(NamedTuple):
    """Where a node lives. Printed as region/zone/node."""

    region: str
    zone: str
    node: str

    def __str__(self) -> str:
        return f"{self.region}/{self.zone}/{self.node}"


@dataclass(slots=True)
class Response:
    """What a client gets: an HTTP status and DynamoDB's JSON body. `error` is the short error name, None on success.

    Status 500 means that the outcome is unknown: the request may take effect, now or later. Every other error is
    definite.
    """

    status: int
    body: dict[str, JSON]
    error: str | None = None


@dataclass(slots=True)
class Message:
    """Base of everything that nodes send to each other; subclasses live in `dynalab_impl.messages`."""


@dataclass(slots=True)
class ObjectDone(Message):
    """What came of a request to the object store. Drivers give it to the node that asked; it never travels.

    `status` is "done", "missing" (get), "refused" (put: what is there is not what was expected) or "failed".
    """

    name: str
    status: str
    data: bytes = b""  # what was got


NO_OBJECT = "none"  # the tag of an object that is not there


def object_tag(data: bytes) -> str:
    """What a conditional put knows an object by.

    >>> object_tag(b"content") == object_tag(b"content") != object_tag(b"other content")
    True
    """
    return blake2b(data, digest_size=12).hexdigest()


@dataclass(slots=True)
class Record:
    """Base of everything that a node appends to its log; subclasses live in `dynalab_impl.records`."""


class Effects(Protocol):
    """What a handler may ask for. See the rules at the top of this module."""

    now_ns: Nanoseconds
    wall_ns: Nanoseconds
    appended: Position  # of the last append

    def send(self, to: Address, message: Message, after: Position = LAST) -> None:
        """Send once `after` is durable."""

    def reply(self, token: RequestToken, response: Response, after: Position = LAST) -> None:
        """Answer the client request that came with `token`, once `after` is durable. At most once a token."""

    def set_timer(self, name: TimerName, delay_ns: Nanoseconds) -> None:
        """Call `on_timer(name)` after `delay_ns` of this node's monotonic clock."""

    def cancel_timer(self, name: TimerName) -> None:
        """Forget that timer, if it is set."""

    def append(self, record: Record) -> Position:
        """Append to the node's write-ahead log; durable later."""

    def truncate(self, before: Position) -> None:
        """Records at positions smaller than `before` are not needed any more. Never asked for what is not on disk."""

    def read_log(self) -> Iterator[Record]:
        """The records that survived, oldest first. Only in `on_start`."""

    def put_object(self, name: str, data: bytes, expected: str | None = None) -> None:
        """Put an object in the place of whatever is there, or only of the one with this tag (`NO_OBJECT`: of none)."""

    def get_object(self, name: str) -> None:
        """Ask for an object."""

    def random_bits(self, count: int) -> int:
        """A uniform integer of `count` bits from this node's own stream."""

    def tell(self, event: Event) -> None:
        """Add an event to the trace."""


class Node(Protocol):
    """What a driver runs: storage nodes and routers."""

    address: Address

    def on_start(self, effects: Effects) -> None: ...

    def on_message(self, sender: Address, message: Message, effects: Effects) -> None: ...

    def on_timer(self, name: TimerName, effects: Effects) -> None: ...

    def on_durable(self, position: Position, effects: Effects) -> None: ...

    def on_request(self, token: RequestToken, operation: Operation, effects: Effects) -> None: ...

    def on_stop(self, effects: Effects) -> None:
        """A planned stop is near. The node goes on until the driver ends it: when `may_stop` is true, or in a while."""

    def may_stop(self) -> bool:
        """Whether all that `on_stop` has set going is through."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Every duration of the protocol, in nanoseconds. Unpublished by the service: chosen here (architecture.md §17).

    A lease lasts longer than it takes to find a leader gone, elect the next one and find that one: else a new leader
    would hardly ever have to wait for the old one's lease, and nobody could see what the wait is for.
    """

    heartbeat_ns: Nanoseconds = 250_000_000
    election_min_ns: Nanoseconds = 750_000_000
    election_spread_bits: int = 29  # up to 0.54 s more, drawn at random, so that two candidates rarely start together
    lease_ns: Nanoseconds = 1_500_000_000
    accepts_in_flight: int = 4  # a peer has at most so many unanswered Accepts; what comes meanwhile goes in one batch
    gathers: bool = False  # leaders send what they log when the messages at hand are handled: in one batch, not singly
    drift_ppm: int = 200  # bound on each clock's rate error; leases are stretched by it
    attempt_ns: Nanoseconds = 400_000_000  # a router tries another replica after this
    request_ns: Nanoseconds = 5_000_000_000  # a router gives up on a client request after this
    dedup_ns: Nanoseconds = 20_000_000_000  # a retried request is recognised for this long (log time)
    stamp_ahead_ns: Nanoseconds = 500_000_000  # a transaction's timestamp may be so far ahead of a leader's wall clock
    stalled_ns: Nanoseconds = 3_000_000_000  # an item held for longer: its leader asks a router to look after it
    counts_ns: Nanoseconds = 0  # how often leaders count what their partitions hold; 0: never
    stream_roll_s: int = ROLL_NS // 1_000_000_000  # a shard of a stream is followed by another after so long
    stream_keep_s: int = KEEP_NS // 1_000_000_000  # a record of a stream is kept for so long
    sweep_ns: Nanoseconds = 1_000_000_000  # a leader looks for expired items so often
    refresh_ns: Nanoseconds = 1_000_000_000  # a router that refreshes on hits does it once in this time, a partition

    def stretched_lease_ns(self) -> Nanoseconds:
        """How long a new leader waits on its own fast clock so that an old leader's lease has ended on its slow one."""
        million = 1_000_000
        return self.lease_ns * (million + self.drift_ppm) // (million - self.drift_ppm) + 1


@dataclass(frozen=True, slots=True)
class Limits:
    """What admission holds a partition and a node to, in capacity units a second (S33, S36).

    `node_partitions` is our choice, the service publishes none: a node takes what so many partitions may take.
    """

    partition_read: int = 3_000
    partition_write: int = 1_000
    burst_s: int = 300
    node_partitions: int = 4


@lru_cache(maxsize=16)  # asked for at every tick
def _first_of_zones(storage: tuple[Address, ...]) -> tuple[Address, ...]:
    chosen: dict[tuple[str, str], Address] = {}
    for address in storage:
        chosen.setdefault((address.region, address.zone), address)
    return tuple(chosen.values())[:3]


@dataclass(frozen=True, slots=True)
class Topology:
    """Which machines there are, and which of them hold the catalog. Known to every node from its start; not a
    membership protocol.
    """

    storage: tuple[Address, ...]
    routers: tuple[Address, ...]
    partitions_per_table: int = 4
    partitions_per_index: int = 2
    split_bytes: int = 10 * 2**30  # a larger partition is divided (S34)
    collection_bytes_max: int = COLLECTION_BYTES_MAX  # of an item collection, where a table has local indexes
    dead_after_s: int = 30  # a node that was silent for so long is dead to the autoadmin
    split_after_s: int = 60  # and one that was hot for so long without a pause, where limits are set
    log_records_max: int = 20_000  # after so many records a node writes snapshots, and lets go of the log before them
    log_as_state: bool = False  # ... but not before these are as many as the parts that the snapshots would have
    cached_partitions_max: int = 10_000  # a router remembers where so many partitions lie
    index_backlog_max: int = 2_000  # a partition that owes its indexes so many changes takes no write that owes more
    sweep_rows: int = 500  # ... and looks at so many of its items for expired ones, each time
    limits: Limits | None = None  # None: nothing is throttled
    refresh_on_hit: bool = False  # routers ask the metadata service also for what they know (ATC'22 §4)
    archive: bool = False  # committed entries go to the object store, and no log lets go of them before
    scrub: bool = False  # replicas compare their states again and again
    transaction_rules: tuple[str, ...] = ()  # names of `transaction_rules.RULES`
    timing: Timing = field(default_factory=Timing)

    def catalog_members(self) -> tuple[Address, ...]:
        """The first storage node of each of the first three zones, in the order given."""
        return _first_of_zones(self.storage)


def layout(
    zones: int = 3,
    nodes_per_zone: int = 3,
    routers: int = 2,
    *,
    partitions: int = 4,
    timing: Timing | None = None,
    log_records_max: int = 20_000,
    log_as_state: bool = False,
    archive: bool = False,
    scrub: bool = False,
    limits: Limits | None = None,
    refresh_on_hit: bool = False,
    split_bytes: int = 10 * 2**30,
    collection_bytes_max: int = COLLECTION_BYTES_MAX,
    split_after_s: int = 60,
    dead_after_s: int = 30,
    index_backlog_max: int = 2_000,
    sweep_rows: int = 500,
    transaction_rules: tuple[str, ...] = (),
) -> Topology:
    """A topology of one region: z1/n1, z2/n2, z3/n3, z1/n4, …

    >>> [str(a) for a in layout(nodes_per_zone=1, routers=1).storage]
    ['r1/z1/n1', 'r1/z2/n2', 'r1/z3/n3']
    """
    storage = tuple(Address("r1", f"z{i % zones + 1}", f"n{i + 1}") for i in range(zones * nodes_per_zone))
    edge = tuple(Address("r1", f"z{i % zones + 1}", f"router{i + 1}") for i in range(routers))
    return Topology(
        storage,
        edge,
        partitions_per_table=partitions,
        timing=timing or Timing(),
        log_records_max=log_records_max,
        log_as_state=log_as_state,
        archive=archive,
        scrub=scrub,
        limits=limits,
        refresh_on_hit=refresh_on_hit,
        split_bytes=split_bytes,
        collection_bytes_max=collection_bytes_max,
        split_after_s=split_after_s,
        dead_after_s=dead_after_s,
        transaction_rules=transaction_rules,
        index_backlog_max=index_backlog_max,
        sweep_rows=sweep_rows,
    )

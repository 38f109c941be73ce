"""Groups, their members, and what stands in their logs: the values that messages and records carry.

`messages` gives these names, too: whoever sends or reads a message needs no second place to look.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from dynalab_impl.effects import JSON, Address, Nanoseconds
from dynalab_model.operations import TableOperation
from dynalab_model.schema import TableSchema
from dynalab_model.streams import KEEP_NS, ROLL_NS
from dynalab_model.values import Item

Ballot: TypeAlias = tuple[int, str]  # (number, name of the node that drew it); compared as a tuple
RequestId: TypeAlias = tuple[str, int]  # (router and its incarnation, number)
NO_BALLOT: Ballot = (0, "")

# Of a field that came to a value later: `codec` leaves it out where it has its default, so it is one of the last.
LATE = {"late": True}


@dataclass(frozen=True, slots=True)
class Member:
    """A replica's place and the incarnation of its disk: a wiped disk comes back under a higher one and counts for
    nothing at first. With `stands_for` it is a log replica (ATC'22 §3): it votes and holds entries, no items, in the
    seat of a full replica that fell silent.
    """

    address: Address
    incarnation: int
    stands_for: Address | None = None

    @property
    def log(self) -> bool:
        """Whether this is a log replica."""
        return self.stands_for is not None


@dataclass(frozen=True, slots=True)
class StreamForm:
    """The stream that a table keeps: `label` is its name in time (each enabling makes a new one), `view` what its
    records show: KEYS_ONLY, NEW_IMAGE, OLD_IMAGE or NEW_AND_OLD_IMAGES. A shard is followed by another after `roll_s`
    seconds, a record is kept for `keep_s`. `began` is the version of the form that the stream began with: 0 for one
    that was made with its table. `precision` is that of the times of a feed (`feeds`); "" for a client's stream.
    """

    label: str
    view: str
    roll_s: int = ROLL_NS // 1_000_000_000
    keep_s: int = KEEP_NS // 1_000_000_000
    began: int = 0
    precision: str = field(default="", metadata=LATE)


@dataclass(frozen=True, slots=True)
class Form:
    """What a table looks like, as far as its partitions must know it. Each change has the next `version`.

    A partition is told of a change through its own log (`Reform`), so that all replicas change in the same slot.
    """

    version: int
    schema: TableSchema
    stream: StreamForm | None = None
    ttl: str = ""  # the attribute that says when an item expires; "" for none
    gone: bool = False  # the table was deleted: there are no items any more, only what its streams have told
    feed: StreamForm | None = field(default=None, metadata=LATE)  # for a Kinesis destination


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """What a node must know to host a replica. The range is [low, high) of key bytes; an empty `high` means no upper
    end.
    """

    group: str
    table: str
    index: str  # "" for the table's own partitions
    low: bytes
    high: bytes
    members: tuple[Member, ...]
    schema: TableSchema | None  # None for the catalog
    origin: int = 0  # the slot of its parent's Split: a partition's log and versions go on behind it
    members_slot: int = 0  # the slot of the last membership change that `members` knows; 0 for those it began with
    stream: StreamForm | None = None  # of its table, when the partition was made

    def holds(self, key: bytes) -> bool:
        return self.low <= key and (not self.high or key < self.high)


def making_of(group: str) -> str:
    """What the names of a table's own groups begin with, also after splits, and those of no other table of its name.

    >>> making_of("things/12.0.1"), making_of("things/12.3")
    ('things/12', 'things/12')
    """
    name, _, place = group.rpartition("/")
    return f"{name}/{place.partition('.')[0]}"


@dataclass(slots=True)
class Write:
    """Set an item (None deletes it). `body` is the answer that the client gets, kept so that a retry gets the same
    one.
    """

    key: bytes
    item: Item | None
    body: dict[str, JSON]


@dataclass(slots=True)
class Failed:
    """A request that was refused by its condition. It is logged, too: else a late copy of it could succeed after the
    refusal was told.
    """

    status: int
    error: str
    body: dict[str, JSON]


@dataclass(slots=True)
class Barrier:
    """First entry of the leader of `ballot`. What lies behind it in an older ballot than this was never chosen.

    The ballot stands here as well as in the entry's header: a later leader that proposes the barrier again changes the
    header, and what the first one wrote behind its barrier may have been chosen.
    """

    ballot: Ballot


@dataclass(slots=True)
class Readmit:
    """The learner at this address votes from here on, under its new incarnation."""

    member: Member


@dataclass(slots=True)
class AddMember:
    """A replica that has caught up votes from here on; every later slot is counted with it."""

    member: Member


@dataclass(slots=True)
class RemoveMember:
    """The replica at this address counts for nothing from here on."""

    address: Address


@dataclass(slots=True)
class IndexWrite:
    """One change of an index entry. `version` is the slot of the base write that caused it: an older one never
    overtakes.
    """

    key: bytes
    item: Item | None
    version: int


@dataclass(slots=True)
class Propagated:
    """Every index change caused by base slots up to this one has been applied."""

    slot: int


@dataclass(slots=True)
class Split:
    """The partition's range is divided between two new groups on the same members; nothing is logged behind this but
    barriers of new leaders.
    """

    left: GroupSpec
    right: GroupSpec


@dataclass(slots=True)
class Reform:
    """The table looks like this from here on."""

    form: Form


@dataclass(frozen=True, slots=True)
class Held:
    """A prepared transaction's marker on one item, or on the place of one that is not there (ATC'23: pending).

    `ledger` is where its outcome stands: the key of an entry of the ledger; `txn` is the transaction's id there, and
    `attempt` counts how often that entry was begun anew under another timestamp. `item` is what the key holds after a
    commit (None: nothing), fixed when it was prepared: no single write comes between. A `check` writes nothing. `blind`
    says that neither a condition nor the result looks at what is there: a put or a delete without a condition.
    """

    txn: str
    ledger: str
    attempt: int
    stamp_ns: Nanoseconds
    since_ns: Nanoseconds  # when it was prepared, by its leader's wall clock
    item: Item | None
    check: bool = False
    blind: bool = False
    hidden: bool = False  # a younger write is there already: a commit changes nothing (`transaction_rules`)
    beside: tuple[Held, ...] = ()  # other transactions that hold the same key, where the rules allow it


@dataclass(slots=True)
class TransactPrepare:
    """A transaction holds this key from here on: its conditions were true, and stay so. `body` is what its coordinator
    is told.
    """

    key: bytes
    held: Held
    body: dict[str, JSON]


@dataclass(slots=True)
class TransactCommit:
    """The transaction that holds this key happens here, if it still holds it."""

    key: bytes
    txn: str


@dataclass(slots=True)
class ItemChange:
    """What a transaction does to one key; a check leaves the item as it is."""

    key: bytes
    item: Item | None
    check: bool


@dataclass(slots=True)
class TransactWhole:
    """A transaction that has all its items in this partition happens here (`transaction_rules`). `body` is what its
    coordinator is told.
    """

    changes: tuple[ItemChange, ...]
    stamp_ns: Nanoseconds
    body: dict[str, JSON]


@dataclass(slots=True)
class TransactCancel:
    """The transaction that holds this key lets it go, if it still holds it."""

    key: bytes
    txn: str


@dataclass(slots=True)
class Backfill:
    """Owe a new index the entries of up to `rows_max` items behind the key `after`: what was there before it."""

    index: str
    after: bytes
    rows_max: int


@dataclass(slots=True)
class Sweep:
    """Remove an expired item, if it is still the one that the slot `version` wrote."""

    key: bytes
    version: int


@dataclass(slots=True)
class ReadCeiling:
    """Read transactions in one round may be served here as of any timestamp up to this one (`transaction_rules`)."""

    until_ns: Nanoseconds


@dataclass(slots=True)
class Scrub:
    """Every replica digests what it holds here: up to `rows_max` rows behind the key `after`."""

    after: bytes
    rows_max: int


@dataclass(slots=True)
class CatalogChange:
    """One step of the catalog. `action` is a key of `catalog_changes.ACTIONS`."""

    action: str
    table: str = ""
    operation: TableOperation | None = None
    table_id: str = ""
    member: Member | None = None
    group: str = ""
    specs: tuple[GroupSpec, ...] = ()
    members: tuple[Member, ...] = ()
    slot: int = 0


Command: TypeAlias = (
    Write
    | Failed
    | Barrier
    | Readmit
    | AddMember
    | RemoveMember
    | IndexWrite
    | Propagated
    | Split
    | Reform
    | TransactPrepare
    | TransactCommit
    | TransactCancel
    | TransactWhole
    | ReadCeiling
    | Backfill
    | Sweep
    | Scrub
    | CatalogChange
)


@dataclass(slots=True)
class Entry:
    """One slot of a group's log: the header (ballot, slot, monotone time of the leader, request) and what to apply."""

    ballot: Ballot
    slot: int
    time_ns: Nanoseconds
    request: RequestId
    expiry_ns: Nanoseconds  # the request is recognised until log time passes this; 0 for entries of the group's own
    command: Command


NO_REQUEST: RequestId = ("", 0)

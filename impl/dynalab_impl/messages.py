"""Everything that nodes say to each other, and the values that travel in it.

Messages are slotted, unfrozen for speed, and never changed after sending. Every field is plain data that `codec` can
turn into bytes. `VERSION` goes with each encoded message; readers accept the version before it.
"""

from __future__ import annotations

from dataclasses import dataclass

from dynalab_impl.effects import JSON, Address, Message, Nanoseconds
from dynalab_impl.entries import (
    NO_BALLOT,
    NO_REQUEST,
    AddMember,
    Backfill,
    Ballot,
    Barrier,
    CatalogChange,
    Command,
    Entry,
    Failed,
    Form,
    GroupSpec,
    Held,
    IndexWrite,
    ItemChange,
    Member,
    Propagated,
    ReadCeiling,
    Readmit,
    Reform,
    RemoveMember,
    RequestId,
    Scrub,
    Split,
    StreamForm,
    Sweep,
    TransactCancel,
    TransactCommit,
    TransactPrepare,
    TransactWhole,
    Write,
)
from dynalab_model.operations import TableOperation, WriteOperation
from dynalab_model.schema import TableSchema
from dynalab_model.values import Item

VERSION = 1

__all__ = [  # what `entries` gives and is to be had here, too
    "NO_BALLOT",
    "NO_REQUEST",
    "AddMember",
    "Backfill",
    "Ballot",
    "Barrier",
    "CatalogChange",
    "Command",
    "Entry",
    "Failed",
    "Form",
    "GroupSpec",
    "Held",
    "IndexWrite",
    "ItemChange",
    "Member",
    "Propagated",
    "ReadCeiling",
    "Readmit",
    "Reform",
    "RemoveMember",
    "RequestId",
    "Scrub",
    "Split",
    "StreamForm",
    "Sweep",
    "TransactCancel",
    "TransactCommit",
    "TransactPrepare",
    "TransactWhole",
    "Write",
]


# --- consensus ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Prepare(Message):
    group: str
    ballot: Ballot
    commit_index: int  # the candidate needs what was accepted behind this
    last: int = 0  # the slot of the last entry that it holds


@dataclass(slots=True)
class Promise(Message):
    group: str
    ballot: Ballot
    incarnation: int
    commit_index: int
    entries: tuple[Entry, ...]
    previous: Ballot  # what this replica had promised before; the ballot itself if that is not known any more
    relinquished: Ballot = NO_BALLOT  # a leader's own ballot, in which it served and will never serve again
    # This replica has let go of what lies up to `base`, all of it committed: its promise tells nothing of that.
    base: int = 0
    base_ballot: Ballot = NO_BALLOT  # of the entry in that slot
    wall_ns: Nanoseconds = 0  # this node's wall clock; 0 from a node that did not tell it
    # A long suffix comes in several messages of bounded size, equal but for their entries. All of them are one promise.
    part: int = 0
    parts: int = 1


@dataclass(slots=True)
class Refuse(Message):
    """The receiver of a Prepare or Accept has promised a higher ballot."""

    group: str
    ballot: Ballot


@dataclass(slots=True)
class HandOver(Message):
    """From a leader that is about to stop: stand at once. `relinquished` is its ballot, if it was serving in it."""

    group: str
    relinquished: Ballot


@dataclass(slots=True)
class Successor(Message):
    """To routers, from a node that is about to stop: the group that it led has another leader now."""

    group: str
    leader: Address


@dataclass(slots=True)
class Probe(Message):
    """Have you heard from the leader of this group?"""

    group: str


@dataclass(slots=True)
class ProbeReply(Message):
    group: str
    heard: bool


@dataclass(slots=True)
class Accept(Message):
    group: str
    ballot: Ballot
    first_slot: int
    entries: tuple[Entry, ...]
    commit_index: int


@dataclass(slots=True)
class Accepted(Message):
    """The sender's log agrees with the leader's through `match`. `gap`: something before the Accept was missing. `log`:
    it is a log replica.
    """

    group: str
    ballot: Ballot
    match: int
    incarnation: int
    gap: bool = False
    log: bool = False


@dataclass(slots=True)
class Commit(Message):
    group: str
    ballot: Ballot
    commit_index: int


@dataclass(slots=True)
class Beat:
    """`full_match`: every full replica has the log up to there, so a log replica need not keep it."""

    group: str
    ballot: Ballot
    commit_index: int
    full_match: int = 0


@dataclass(slots=True)
class Heartbeat(Message):
    """One for each pair of nodes and tick, with a beat for every group that the sender leads: also the renewal of its
    leases.
    """

    sent_ns: Nanoseconds
    beats: tuple[Beat, ...]


@dataclass(slots=True)
class Acknowledgement:
    group: str
    ballot: Ballot
    match: int
    log: bool = False


@dataclass(slots=True)
class HeartbeatReply(Message):
    """`sent_ns` echoes the heartbeat: a lease counts from the sending of the renewal, never from its answer."""

    sent_ns: Nanoseconds
    incarnation: int
    acknowledged: tuple[Acknowledgement, ...]
    refused: tuple[Beat, ...]  # groups with a higher promise, and that promise
    strangers: tuple[str, ...]  # groups that this node does not host: its disk is new
    wall_ns: Nanoseconds = 0  # this node's wall clock; 0 from a node that did not tell it


@dataclass(slots=True)
class Adopt(Message):
    """Become a learner of this group: of all its data, or of its log alone in the seat of `stands_for`.

    `members` are those of the leader's configuration, as of `members_slot`: what the log says of the membership up to
    there is history to the learner. It may have been a member itself then, with a disk that it has let go since.
    """

    spec: GroupSpec
    members: tuple[Member, ...]
    members_slot: int
    stands_for: Address | None = None


@dataclass(slots=True)
class Adopted(Message):
    group: str
    incarnation: int


@dataclass(slots=True)
class Retire(Message):
    """You are no member of this group as of this slot, which is committed: let go of your replica. The last change of
    the membership up to there is at `members_slot`.
    """

    group: str
    slot: int
    members_slot: int


@dataclass(slots=True)
class Alive(Message):
    """A storage node reports to the autoadmin: what it consumed since the report before, in parts of admission, and
    which of the groups that it leads consumed most of it.
    """

    incarnation: int
    consumed: int
    busiest: str


@dataclass(slots=True)
class Replace(Message):
    """Build a full replica at `fresh` and let the one at `gone` go: it is dead, or its node is hot. Asked again and
    again until `Replaced` is the answer, of whoever leads then.
    """

    group: str
    number: int
    gone: Address
    fresh: Address


@dataclass(slots=True)
class Replaced(Message):
    group: str
    number: int


@dataclass(slots=True)
class Membership(Message):
    """Storage nodes are the authority on who holds a group (ATC'22 §4): its leader pushes each change to the catalog,
    until it is known there.
    """

    group: str
    members: tuple[Member, ...]
    slot: int


@dataclass(slots=True)
class MembershipKnown(Message):
    group: str
    slot: int


# --- the catalog ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Register(Message):
    """A storage node and the incarnation of its disk."""

    member: Member


@dataclass(slots=True)
class Registered(Message):
    incarnation: int


@dataclass(slots=True)
class Host(Message):
    spec: GroupSpec


@dataclass(slots=True)
class Hosted(Message):
    group: str
    incarnation: int


@dataclass(slots=True)
class Drop(Message):
    """Forget this group. `divided`: the catalog knows that it was split, and every member has the children. It knows of
    the membership as of the change in `members_slot`.
    """

    group: str
    divided: bool = False
    members_slot: int = 0


@dataclass(slots=True)
class Dropped(Message):
    group: str


@dataclass(slots=True)
class SplitWanted(Message):
    """A leader finds its partition too large or too hot, and where it would divide it."""

    group: str
    at: bytes


@dataclass(slots=True)
class SplitNow(Message):
    """Divide your partition; at this key, or in the middle of its data if none is given."""

    group: str
    at: bytes = b""


@dataclass(slots=True)
class WasSplit(Message):
    """Storage nodes are the authority on partitions: they push what became of one to the catalog (ATC'22 §4)."""

    group: str
    left: GroupSpec
    right: GroupSpec


@dataclass(slots=True)
class Alter(Message):
    """To the leader of one of a table's own partitions: the table looks like this now. Asked until it has answered."""

    group: str
    form: Form


@dataclass(slots=True)
class Altered(Message):
    """This partition's log holds the table's form of that version, committed. `built` are the new indexes that have got
    all that was there before.
    """

    group: str
    version: int
    built: tuple[str, ...] = ()


@dataclass(slots=True)
class TableMap:
    """What a propagator needs to find the partitions of a table's indexes, as of this version of the table's form."""

    schema: TableSchema
    status: str
    groups: tuple[GroupSpec, ...]
    version: int = 0


@dataclass(slots=True)
class Lookup(Message):
    table: str


@dataclass(slots=True)
class LookupReply(Message):
    """`map` is None when there is no such table."""

    table: str
    map: TableMap | None


@dataclass(slots=True)
class TableRequest(Message):
    """A table operation for the catalog's leader."""

    number: int
    request: RequestId
    expiry_ns: Nanoseconds
    operation: TableOperation


# --- data -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class WriteRequest(Message):
    group: str
    number: int
    request: RequestId
    expiry_ns: Nanoseconds
    key: bytes
    operation: WriteOperation


@dataclass(slots=True)
class IndexRequest(Message):
    """From a base partition's propagator to an index partition's leader."""

    group: str
    source: str
    number: int
    request: RequestId
    expiry_ns: Nanoseconds
    write: IndexWrite
    free: bool = False  # of the index's capacity


@dataclass(slots=True)
class IndexReply(Message):
    """The change is applied and committed; or it was not taken, as this limit of the index's is reached."""

    source: str
    number: int
    limit: str = ""


@dataclass(slots=True)
class GetRequest(Message):
    group: str
    number: int
    key: bytes
    consistent: bool


@dataclass(slots=True)
class GetReply(Message):
    number: int
    item: Item | None


@dataclass(slots=True)
class RangeRequest(Message):
    """Rows of [low, high), after `start_after` in the direction of reading; at most `rows_max` rows and about
    `bytes_max` bytes. Of a local index if `index` names one: its entries, or with `fetch` the items behind them.
    """

    group: str
    number: int
    low: bytes
    high: bytes
    start_after: bytes  # b"" for none
    forward: bool
    consistent: bool
    rows_max: int
    bytes_max: int
    index: str = ""
    fetch: bool = False


@dataclass(slots=True)
class RangeReply(Message):
    number: int
    group: str
    keys: tuple[bytes, ...]
    items: tuple[Item, ...]
    more: bool


@dataclass(slots=True)
class Answer(Message):
    """The outcome of a write or table request: the client's response."""

    number: int
    status: int
    body: dict[str, JSON]
    error: str = ""


@dataclass(slots=True)
class Redirect(Message):
    """Not here. `leader` says where to go, if that is known; `hosted` is False when this node has no such replica at
    all.
    """

    number: int
    group: str
    leader: Address | None
    hosted: bool = True


@dataclass(slots=True)
class Ended(Message):
    """The table of this partition was deleted. This attempt of a write was not carried out, nor will any copy of it be;
    and with `whole` no attempt of that request at this table.
    """

    number: int
    group: str
    whole: bool


@dataclass(slots=True)
class Moved(Message):
    """The partition was split: ask one of these instead. Told by any of its replicas that knows, so that a router
    needs no catalog for it.
    """

    number: int
    group: str
    left: GroupSpec
    right: GroupSpec

"""The way of a write, of the reads, of a split and of transactions, as a table: who sends what to whom, and why. The
course draws its pictures from it.

Each hop names a message type of `messages`, `metadata`, `transact_messages` or `stream_messages`;
`tests/impl/test_path.py` holds the table against what a traced request does.
"""

from __future__ import annotations

from typing import NamedTuple


class Hop(NamedTuple):
    """One step: `message` is the name of a message type, or of an effect for steps inside one node."""

    source: str
    target: str
    message: str
    why: str


WRITE: tuple[Hop, ...] = (
    Hop("client", "router", "request", "any router will do: it keeps no data (S21)"),
    Hop("router", "leader", "WriteRequest", "hash of the partition key, partition map, last known leader (S17, S23)"),
    Hop(
        "leader", "leader", "append", "the condition held on the appended item; the entry goes to the leader's own log"
    ),
    Hop("leader", "follower", "Accept", "both followers, in other zones, at the same time (S20)"),
    Hop("follower", "follower", "append", "the entry goes to the follower's log; nothing is told before it is on disk"),
    Hop("follower", "leader", "Accepted", "one of the two is enough: two disks in two zones hold the entry (S23)"),
    Hop("leader", "leader", "apply", "committed: the item, and what is owed to the indexes, in one step"),
    Hop("leader", "router", "Answer", "only now: an acknowledged write survives the loss of any one zone"),
    Hop("router", "client", "response", "HTTP 200"),
    Hop("leader", "follower", "Commit", "followers apply a moment later: until then they are stale (S25)"),
    Hop(
        "leader", "index leader", "IndexRequest", "the propagator carries the change to the index, asynchronously (S27)"
    ),
    Hop("index leader", "leader", "IndexReply", "the index holds the change on a quorum of its own"),
)

STRONG_READ: tuple[Hop, ...] = (
    Hop("client", "router", "request", "ConsistentRead=true"),
    Hop("router", "leader", "GetRequest", "only the leader answers, and only while its lease runs (S24)"),
    Hop("leader", "router", "GetReply", "the newest committed item"),
    Hop("router", "client", "response", "HTTP 200"),
)

EVENTUAL_READ: tuple[Hop, ...] = (
    Hop("client", "router", "request", "ConsistentRead=false"),
    Hop("router", "any replica", "GetRequest", "one of the three, drawn at random (S25)"),
    Hop("any replica", "router", "GetReply", "what that replica has applied: perhaps not the newest"),
    Hop("router", "client", "response", "HTTP 200"),
)

COLD_READ: tuple[Hop, ...] = (
    Hop("client", "router", "request", "this router has just started, and knows no partition"),
    Hop("router", "catalog leader", "Find", "where does this key lie? A floor look-up over the ranges (S87)"),
    Hop("catalog leader", "router", "Found", "one partition: its range, its members, and the keys of its table"),
    Hop("router", "any replica", "GetRequest", "from here on like any other read"),
    Hop("any replica", "router", "GetReply", "what that replica has applied"),
    Hop("router", "client", "response", "HTTP 200"),
)

MOVED_READ: tuple[Hop, ...] = (
    Hop("client", "router", "request", "its cache knows the partition as it was before a split"),
    Hop("router", "old leader", "GetRequest", "the last known leader of the parent"),
    Hop("old leader", "router", "Moved", "storage nodes are the authority: it was split, and here are both children"),
    Hop("router", "leader", "GetRequest", "to the child that holds the key; the catalog was not asked"),
    Hop("leader", "router", "GetReply", "the newest committed item"),
    Hop("router", "client", "response", "HTTP 200"),
)

SPLIT: tuple[Hop, ...] = (
    Hop("leader", "catalog leader", "SplitWanted", "the partition is too large, or was hot for long (S34, S43)"),
    Hop("catalog leader", "leader", "SplitNow", "a few at a time; no request waits for one"),
    Hop("leader", "leader", "append", "a Split is an entry of the parent's log: the last thing that it does"),
    Hop("leader", "follower", "Accept", "both followers get it like any other entry"),
    Hop("follower", "follower", "append", "on disk, before anybody is told"),
    Hop("follower", "leader", "Accepted", "a quorum across two zones has it: the split has happened"),
    Hop("leader", "leader", "apply", "the state falls into two halves, and the leader serves both at once"),
    Hop("leader", "follower", "Commit", "the followers divide at the same slot, so the halves are equal everywhere"),
    Hop("leader", "catalog leader", "WasSplit", "told again until it is known: the map changes after the fact"),
    Hop("catalog leader", "follower", "Drop", "the parent goes when every member hosts both children"),
)

TRANSACTION: tuple[Hop, ...] = (
    Hop("client", "coordinator", "request", "any router will do: it keeps nothing that is not in the ledger"),
    Hop("coordinator", "ledger", "WriteRequest", "PREPARING, under the client's token: one that was used is met here"),
    Hop("ledger", "coordinator", "Answer", "on a quorum before anybody is asked to prepare"),
    Hop("coordinator", "item's leader", "PrepareItem", "to every item's leader at the same time, with one timestamp"),
    Hop("item's leader", "item's leader", "append", "the conditions hold: a marker goes into the group's log"),
    Hop("item's leader", "coordinator", "Answer", "its vote; yes only when the marker is on a quorum"),
    Hop("coordinator", "ledger", "WriteRequest", "COMMITTED, if all said yes: the one decision, whoever makes it"),
    Hop("ledger", "coordinator", "Answer", "from here on it will happen, whoever dies"),
    Hop("coordinator", "item's leader", "CommitItem", "to every item's leader: do what the marker says"),
    Hop("item's leader", "item's leader", "apply", "the item gets its value and the timestamp; the marker goes"),
    Hop("item's leader", "coordinator", "Answer", "committed like any write; told again until it is confirmed"),
    Hop("coordinator", "client", "response", "every item is new: any strong read sees it"),
    Hop(
        "coordinator", "ledger", "WriteRequest", "finished: the entry goes ten minutes from now, and the token with it"
    ),
)

RECOVERY: tuple[Hop, ...] = (
    Hop("item's leader", "another router", "Stalled", "a marker has been here for too long: look after it"),
    Hop("another router", "ledger", "GetRequest", "what is the ledger's word?"),
    Hop("ledger", "another router", "GetReply", "PREPARING, with all that was to be done"),
    Hop("another router", "item's leader", "PrepareItem", "once more to everybody: who holds a marker says yes again"),
    Hop("item's leader", "another router", "Answer", "its vote"),
    Hop("another router", "ledger", "WriteRequest", "the decision, unless the first coordinator has made it meanwhile"),
    Hop("ledger", "another router", "Answer", "the same word for all coordinators"),
    Hop("another router", "item's leader", "CommitItem", "whoever was told before answers at once"),
    Hop("item's leader", "another router", "Answer", "confirmed"),
)

TRANSACTION_READ: tuple[Hop, ...] = (
    Hop("client", "router", "request", "TransactGetItems"),
    Hop("router", "item's leader", "ReadItem", "first round: every item, and the slot that wrote it"),
    Hop("item's leader", "router", "ItemRead", "held by a transaction: the read is cancelled"),
    Hop("router", "item's leader", "ReadItem", "second round, when all of the first is in: has anything changed?"),
    Hop("item's leader", "router", "ItemRead", "the same slot, and not held: all values were there between the rounds"),
    Hop("router", "client", "response", "the values of the first round; nothing was written"),
)

STREAM_READ: tuple[Hop, ...] = (
    Hop("client", "router", "request", "GetShardIterator: a shard, and where in it to begin"),
    Hop("router", "catalog leader", "TableRequest", "is there such a stream, and may it still be read? (S168)"),
    Hop("catalog leader", "router", "Answer", "its view type and its status"),
    Hop("router", "leader", "FindShard", "to one partition after the other, in the order of their keys: is it yours?"),
    Hop("leader", "router", "Answer", "the number to begin behind; LATEST is behind everything that was acknowledged"),
    Hop("router", "client", "response", "an iterator: shard, number, and the first key of its partition (S148)"),
    Hop("client", "router", "request", "GetRecords, with nothing but the iterator: any router will do"),
    Hop("router", "leader", "ReadShard", "to whoever leads the partition that holds that key by now"),
    Hop("leader", "router", "Answer", "records from what is applied, so committed: none is ever taken back"),
    Hop("router", "client", "response", "records, and the next iterator; none behind the end of a closed shard"),
)

# How a shard lives: from and to are its states, the third is what happens. `stream_shards` does it, entry by entry.
NEW_INDEX: tuple[Hop, ...] = (
    Hop("client", "router", "request", "UpdateTable with a new index; the table is UPDATING, the index CREATING"),
    Hop("router", "catalog leader", "TableRequest", "the catalog chooses where the index's partitions lie"),
    Hop("catalog leader", "index leader", "Host", "three nodes in three zones each, again and again until they answer"),
    Hop("index leader", "catalog leader", "Hosted", "a majority of each partition is there"),
    Hop("catalog leader", "leader", "Alter", "each of the table's own partitions is told of the index"),
    Hop("leader", "leader", "append", "from this slot of its log on every write is owed to the index, too"),
    Hop("leader", "catalog leader", "Altered", "when all have answered: Backfilling is true, the table ACTIVE again"),
    Hop("leader", "leader", "append", "a piece of what was there before; how far it has come is in the log"),
    Hop("leader", "index leader", "IndexRequest", "with the version of the item: a newer write wins, however late"),
    Hop("index leader", "leader", "IndexReply", "when little is owed, the next piece is logged"),
    Hop("leader", "catalog leader", "Altered", "all of it has arrived; when every partition says so, it is ACTIVE"),
)

SHARD_LIFE: tuple[Hop, ...] = (
    Hop("no stream", "open shard", "enabled", "a Reform of the table: in one slot of each partition's log (S167)"),
    Hop("open shard", "open shard", "change", "a record under the slot's number, unless nothing has changed (S164)"),
    Hop("open shard", "closed shard", "split", "the partition divides: each half opens a child of this one (S170)"),
    Hop("open shard", "closed shard", "roll-over", "it was open for four hours: a child goes on in its place"),
    Hop("open shard", "closed shard", "disabled", "no child: what comes from here on is in no stream (S168)"),
    Hop("closed shard", "trimmed", "a day", "its last record is too old to be read (S147, S169)"),
)

PATHS: dict[str, tuple[Hop, ...]] = {
    "write": WRITE,
    "strong read": STRONG_READ,
    "eventual read": EVENTUAL_READ,
    "cold read": COLD_READ,
    "moved read": MOVED_READ,
    "split": SPLIT,
    "transaction": TRANSACTION,
    "recovery": RECOVERY,
    "transaction read": TRANSACTION_READ,
    "stream read": STREAM_READ,
    "new index": NEW_INDEX,
}

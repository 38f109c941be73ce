"""What the children of a split take over, as a table: the course draws its picture from it (design: *Split*; S34).

Each row names a part of the state of the divided partition and says what would go wrong without it. The work itself is
done in `partition` (`_half`), `splitting` (`inherit`) and `admission` (`divide`); `tests/impl/test_inheritance.py`
holds this table against what they do, and every part of a `Partition` against the table.
"""

from __future__ import annotations

from typing import NamedTuple


class Inherited(NamedTuple):
    """One part: `place` is an attribute, `how` tells what each child gets, `bug` names the planted bug that leaves it
    out, if there is one.
    """

    place: str
    what: str
    how: str
    without: str
    bug: str = ""


INHERITED: tuple[Inherited, ...] = (
    Inherited(
        "Partition.items",
        "items, with version and time",
        "by key",
        "acknowledged writes are gone",
        "split-loses-the-tail",
    ),
    Inherited(
        "Partition.local",
        "local indexes",
        "made anew from its items; collections are not parted",
        "a Query of a local index misses items",
    ),
    Inherited(
        "Partition.dedup",
        "answers to requests",
        "all to both: a retry may come to either",
        "a retried request is carried out twice",
        "split-forgets-answers",
    ),
    Inherited(
        "Partition.dedup_order",
        "when answers may be forgotten",
        "all to both",
        "answers stay for ever, and memory fills",
    ),
    Inherited(
        "Partition.owed",
        "what is owed to indexes",
        "by the key of the item that changed",
        "an index never hears of a change",
    ),
    Inherited(
        "Partition.form",
        "what the table looks like: keys, indexes, stream, expiry",
        "the same in both",
        "a change of the table is lost where a partition was divided",
    ),
    Inherited(
        "Partition.deleted_ns",
        "the latest timestamp of a delete",
        "the same in both",
        "a transaction that is older than a delete brings the item back",
    ),
    Inherited(
        "Partition.deleted_slot",
        "the slot of the last delete",
        "the same in both",
        "two reads around a put and its delete look as if nothing had happened",
    ),
    Inherited(
        "Partition.read_until_ns",
        "the latest timestamp as of which a read in one round may have been served",
        "the same in both",
        "a transaction changes what was read as of a later timestamp",
    ),
    Inherited(
        "Partition.held",
        "items that prepared transactions hold",
        "by key",
        "a transaction commits on one item and is forgotten on another",
        "split-forgets-markers",
    ),
    Inherited(
        "Partition.shards",
        "shards of the table's stream",
        "closed ones to the left half; each opens one whose parent is the last of them",
        "a reader misses changes, or meets them twice",
    ),
    Inherited(
        "Partition.feed",
        "shards of what goes to a Kinesis stream",
        "closed ones to the left half; each opens one whose parent is the last of them",
        "changes never come to the destination",
    ),
    Inherited("Partition.owed_count", "its counting", "begins anew", "two changes look like one"),
    Inherited(
        "Partition.backfills",
        "how far new indexes are filled",
        "the same in both: a key, which holds for a part of the range as well",
        "items from before the index are never in it",
    ),
    Inherited(
        "Partition.tombstones",
        "deletes that an index remembers",
        "by key",
        "a put that comes late brings a deleted entry back",
    ),
    Inherited(
        "Partition.applied",
        "the place in the log",
        "both go on behind the Split's slot",
        "a new version looks older than the one that an index holds",
        "versions-restart-in-a-child",
    ),
    Inherited(
        "Partition.log_time_ns",
        "log time",
        "the same in both",
        "time goes back, and an answer is forgotten before its request expires",
    ),
    Inherited("Replica.members", "members and their disks", "the same in both", "an empty disk votes"),
    Inherited(
        "Replica.promised",
        "promises",
        "the same in both",
        "a replica votes for a ballot that it had refused, and two lead",
    ),
    Inherited(
        "Replica.no_vote_until_ns",
        "the silence after a restart",
        "the same in both",
        "it votes while a lease runs that it had renewed",
    ),
    Inherited(
        "Leading.ballot",
        "leadership in its ballot",
        "leads both, if it is the one that logged the Split",
        "every split costs an election, and seconds without writes",
    ),
    Inherited(
        "Leading.lease_from_ns", "the lease", "counts from the same renewal", "it serves without one, or pauses for one"
    ),
    Inherited(
        "Leading.serve_after_ns",
        "the wait for its predecessor's lease",
        "ends when the parent's would have",
        "two leaders serve at once",
    ),
)

"""The vocabulary of trace events: what the implementation tells, and what refinement reads.

Each event is one step of a protocol, told by the node that took it. The driver adds who and when. Events hold plain
values only, and their text is part of a run's trace hash, so a change of a field here changes every hash.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias


class Event(NamedTuple):
    """One step: `kind` from KINDS, the group it happened in ("" for none), a ballot number, a slot, and a word more
    where needed.
    """

    kind: str
    group: str = ""
    ballot: int = 0
    slot: int = 0
    detail: str = ""


Ballot: TypeAlias = tuple[int, str]

KINDS: dict[str, str] = {
    "election-started": "a replica asks the others for their promises in a new ballot",
    "election-spared": "a follower missed its leader, but another replica had heard it: no election",
    "promised": "a replica promises not to accept anything older",
    "leader-elected": "a quorum across two zones promised; the old lease is being waited out",
    "leader-serving": "the lease wait is over and the barrier committed: writes and strong reads are served",
    "leader-deposed": "a leader met a higher ballot",
    "leader-deposed-unacked": "a leader met a higher ballot while writes were appended and not yet committed",
    "lease-ran-out": "a leader refused to serve because no quorum renewed its lease in time",
    "adopted": "a new leader took over an entry that an older ballot had accepted",
    "accepted": "a replica accepted an entry",
    "committed": "the leader learned that a quorum across two zones holds the entry",
    "suffix-replaced": "a follower's accepted, never chosen entry gave way to the new leader's",
    "condition-failed": "a condition was false",
    "waited-for-pending": "an answer waited until the entry that it depends on was committed",
    "dedup-answered": "a retried request was recognised and answered from the first one's result",
    "expired-refused": "a request came after its expiry and was refused",
    "throttled": "a read or a write was refused because a bucket was empty",
    "redirected": "a router was told by a storage node to look elsewhere",
    "read-strong": "a strong read was served under the lease",
    "read-eventual": "an eventual read was served",
    "caught-up": "a follower that had fallen behind has the whole log again",
    "snapshot-written": "a snapshot of a replica is on its own disk: the log before it can go",
    "snapshot-sent": "a leader began to send its state to a replica that lacks what the leader has let go",
    "snapshot-installed": "a replica took over its leader's state",
    "scrubbed": "all replicas of a partition hold the same in a stretch of their rows",
    "scrub-undecided": "replicas differ, and no majority agrees: nobody can say who is wrong",
    "replica-diverged": "most replicas of a partition agree, and this one holds something else",
    "rebuild-began": "a replica was told that its state is wrong: it leads and serves nothing until it has another one",
    "replica-rebuilt": "a replica has taken its leader's state in the place of its own",
    "archived": "committed entries are in the object store, and its manifest names them",
    "archive-checked": "a replica compared archived entries with its own log: they are the same",
    "archive-overtaken": "another replica had archived the slots meanwhile",
    "archive-stopped": "a replica read in the manifest that another one's log differs: it archives nothing more",
    "archive-behind": "a replica has let go of entries that are not archived yet; another one must archive them",
    "archive-damaged": "what is archived cannot be read, or differs from a replica's own log; that one stops archiving",
    "learner-joined": "a wiped replica was taken in as a learner",
    "learner-readmitted": "a learner votes again",
    "member-added": "a replica that had caught up votes: one that came back, a new one, or a log replica",
    "log-replica-hosted": "a node took on the log of a group, in the seat of a replica that had fallen silent",
    "log-replica-joined": "the log replica votes: three disks hold each new write again",
    "replica-retired": "a replica was let go of: its group goes on without it",
    "handed-over": "a leader that is about to stop asked another replica to stand, and gave up its lease",
    "log-recovered": "a restarted node read its log back",
    "hosted": "a node took on a replica",
    "split-logged": "a leader logged a split of its partition",
    "split-applied": "a replica of a partition's half came into being on a node",
    "replacement-planned": "the autoadmin has a dead node's replica built elsewhere",
    "replica-replaced": "a group is whole again without the dead node",
    "move-planned": "the autoadmin moves a replica off a hot node",
    "replica-moved": "a replica was moved off a hot node",
    "hot": "a partition was hot for long: its leader asks for a split at a key that it has seen",
    "hot-unsplittable": "a partition was hot for long, and a split would not help",
    "reformed": "a leader logged that its table looks otherwise now",
    "moved": "a router was told that the partition was split, and into which",
    "stream-read": "a leader told records of a shard",
    "index-sent": "the propagator sent an index change",
    "index-applied": "an index partition applied a change",
    "index-ignored": "an index partition had a newer version already",
    "index-done": "the propagator recorded how far it got",
    "index-throttled": "an index partition over its capacity took no change",
    "index-back-pressure": "a write was refused because too much is owed to an index that it would change",
    "backfill-logged": "a leader asked for the next piece of what was in its partition before a new index",
    "indexed": "a new index has got all that was there before it, and is read from here on",
    "unindexed": "nothing of a deleted index serves any more: its name is free",
    "expiring": "every partition knows by which attribute items expire now",
    "fed": "every partition knows of the table's Kinesis destination as it is now",
    "watched": "the routers know whether busy keys of a table are counted",
    "swept": "a leader logged that an item has expired",
    "transaction-begun": "a transaction is in the ledger; nobody has been asked to prepare",
    "transaction-anew": "a transaction was refused for its timestamp alone, and goes on under another one",
    "transaction-decided": "the ledger says COMMITTED or CANCELLED: from here on it can only be late",
    "transaction-finished": "every participant has confirmed the outcome; the ledger may forget it in ten minutes",
    "transaction-stalled": "a leader asked a router to look after a transaction that is old and not finished",
    "transaction-taken-over": "a router looks after a transaction that it did not begin",
    "token-answered": "a token was used before: its transaction is answered, or finished, and not done again",
    "read-transaction-cancelled": "an item of a read transaction was held, or changed between its two rounds",
    "item-prepared": "a leader logged that a transaction holds an item: its vote of yes",
    "item-prepared-before": "a leader was asked again to prepare what it had prepared",
    "item-prepared-beside": "a leader logged that a transaction holds an item that another one holds as well",
    "item-hidden": "a leader voted yes, though the item is younger: the last write hides this one",
    "item-refused": "a leader voted no",
    "item-committed": "a leader logged a transaction's action on an item that it held",
    "item-cancelled": "a leader logged that a transaction lets an item go",
    "item-told-before": "a leader was told an outcome that it knew, or that is of no meaning to it any more",
    "transaction-in-one-entry": "a leader logged a whole transaction as one entry: all its items lie in that partition",
    "read-in-one-round": "a read transaction was served as of its timestamp, in one round",
    "write-before-prepared": "a single write passed a prepared transaction, and is ordered before it",
    "write-conflicted": "a single write met an item that a transaction holds",
    "table-active": "every group of a table can serve",
    "table-gone": "a deleted table left the catalog",
    "change-unfit": "the catalog's own rules failed over a change: it changed nothing, and was answered with a 500",
}

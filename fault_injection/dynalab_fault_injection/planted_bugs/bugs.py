"""The planted bugs: for each safety rule a patch that removes it, and who must notice.

Each line of `BUGS` says which rule goes, which checker sees it, and under which workload and faults it shows at
default parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

from dynalab_fault_injection.planted_bugs.bug import PlantedBug as PlantedBug
from dynalab_fault_injection.planted_bugs.group_bugs import GROUP_BUGS
from dynalab_fault_injection.planted_bugs.index_bugs import INDEX_BUGS
from dynalab_fault_injection.planted_bugs.leaderless import LEADERLESS
from dynalab_fault_injection.planted_bugs.patch import Patch
from dynalab_fault_injection.planted_bugs.split_bugs import SPLIT_BUGS
from dynalab_fault_injection.planted_bugs.storage_bugs import STORAGE_BUGS
from dynalab_fault_injection.planted_bugs.stream_bugs import STREAM_BUGS
from dynalab_fault_injection.planted_bugs.transaction_bugs import TRANSACTION_BUGS
from dynalab_impl.effects import Nanoseconds
from dynalab_impl.messages import Entry, IndexWrite, Member
from dynalab_impl.partition import Partition
from dynalab_impl.pending import Pending
from dynalab_impl.replication.leading import Leading
from dynalab_impl.replication.quorum import merge_accepted
from dynalab_impl.replication.replica import Replica


def _own_disk_only(self: Leading, members: tuple[Member, ...]) -> int:
    return self.durable_slot


def _lease_for_ever(self: Replica, lead: Leading, now_ns: Nanoseconds) -> bool:
    return lead.lease_from_ns >= 0


def _own_suffix(self: Replica, logs: Sequence[Sequence[Entry]]) -> list[Entry]:
    return merge_accepted([logs[0]], self.barrier)


def _always_newer(self: Partition, command: IndexWrite) -> bool:
    return True


def _read_again(self: Pending, key: bytes) -> None:
    assert self.plan is not None
    if self.plan.forward:
        self.low = key
    else:
        self.high = key


BUGS: dict[str, PlantedBug] = {
    bug.name: bug
    for bug in (
        PlantedBug(
            name="acknowledge-before-quorum",
            rule="a write is acknowledged only when a quorum across two zones has it on disk",
            sentence="the leader takes a write for committed as soon as its own disk has it",
            checker="linearizability",
            workload="register",
            faults=("partition", "node-crash"),
            patches=(Patch(Leading, "committable", "cea30958", _own_disk_only),),
        ),
        PlantedBug(
            name="read-after-lease",
            rule="a strong read is served only under a lease that a quorum has renewed in time",
            sentence="a leader serves strong reads though its lease has run out",
            checker="linearizability",
            workload="register",
            faults=("partition", "clock-drift"),
            patches=(Patch(Replica, "lease_holds", "37514a26", _lease_for_ever),),
        ),
        PlantedBug(
            name="keep-own-suffix",
            rule="a new leader takes over, for every slot, the entry that a quorum accepted in the highest ballot",
            sentence="a new leader keeps its own suffix of the log and does not look at what the others accepted",
            checker="linearizability",
            workload="register",
            faults=("partition", "one-way-cut", "zone-loss"),
            patches=(Patch(Replica, "_adopt", "22b6b553", _own_suffix),),
        ),
        PlantedBug(
            name="index-out-of-order",
            rule="an older change of an index entry never overtakes a newer one",
            sentence="an index partition applies changes in the order in which they arrive",
            checker="index-convergence",
            workload="index",
            faults=("index-lag", "reorder"),
            patches=(Patch(Partition, "is_newer", "0772c1e9", _always_newer),),
        ),
        PlantedBug(
            name="page-begins-with-the-last-item",
            rule="a read in pages goes on behind the last key that it read",
            sentence="the next page of a read begins with the item that ended the page before",
            checker="pages",
            workload="pages",
            faults=("split", "slow-node"),
            patches=(Patch(Pending, "step", "321cfe48", _read_again),),
        ),
        *GROUP_BUGS,
        LEADERLESS,
        *SPLIT_BUGS,
        *STORAGE_BUGS,
        *TRANSACTION_BUGS,
        *INDEX_BUGS,
        *STREAM_BUGS,
    )
}

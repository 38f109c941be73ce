"""Whether the archive is what the replicas hold: a state made from the archived entries alone, and from what a live
replica has in its log behind them, must be that replica's state (ATC'22 §5.4, the second kind of scrub).

What a fault has hurt in the object store need not give a state any more. It must never give a wrong one.
"""

from __future__ import annotations

from dynalab_fault_injection.cluster import Cluster
from dynalab_fault_injection.judges import Judgement
from dynalab_impl.objects import ArchiveError, manifest_name
from dynalab_impl.partition import Partition
from dynalab_impl.rebuilding import rebuild
from dynalab_impl.replication.replica import Replica
from dynalab_impl.storage_node import StorageNode


def archive_agrees(cluster: Cluster, table: str) -> Judgement:
    """Compare every partition of the table that anything was archived of; those without an archive yet are passed
    over.
    """
    compared: list[str] = []
    for number in range(cluster.simulation.storage_count):
        node = cluster.simulation.hosts[number].node
        if not isinstance(node, StorageNode):
            continue
        for group, replica in node.replicas.items():
            if replica.spec.table != table or replica.spec.index or group in compared:
                continue
            if manifest_name(group) not in cluster.simulation.objects.objects:
                continue
            try:
                problem = _differs(cluster, replica, node.topology.timing.dedup_ns)
            except ArchiveError as error:
                if _is_hurt(cluster, group):
                    continue
                return Judgement("archive", "invalid", str(error))
            if problem:
                return Judgement("archive", "invalid", f"group {group}: {problem}")
            if problem is not None:
                compared.append(group)
    return Judgement("archive", "valid", f"{len(compared)} partitions compared")


def _is_hurt(cluster: Cluster, group: str) -> bool:
    """Whether an object of this group's archive, or of those that it was split from, has rotted."""
    for name in cluster.simulation.objects.rotten:
        whose = name.removeprefix("archive/").rpartition("/")[0]
        if group == whose or group.startswith(whose + "."):
            return True
    return False


def _differs(cluster: Cluster, replica: Replica, keep_ns: int) -> str | None:
    """How the replica differs from the archive; "" if it does not, None if the two cannot be compared."""
    live = replica.state
    if not isinstance(live, Partition) or not replica.has_state or live.split is not None:
        return None
    state = rebuild(cluster.simulation.objects.objects.get, replica.spec, keep_ns)
    if replica.log.base > state.applied or replica.commit_index < state.applied:
        return None  # it was away; others can be compared
    for entry in replica.log.after(state.applied, replica.commit_index - state.applied):
        state.apply(entry)
    archived = {key: stored.item for key, stored in state.items.items()}
    held = {key: stored.item for key, stored in live.items.items()}
    if archived == held:
        return ""
    key = min(key for key in {**archived, **held} if archived.get(key) != held.get(key))
    return f"under {key!r} a replica holds {held.get(key)}, and the archive gives {archived.get(key)}"

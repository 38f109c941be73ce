"""Whether everything that is on its way inside a cluster has arrived: what must be waited for before an index is
compared with its table.
"""

from __future__ import annotations

from collections.abc import Iterable

from dynalab_impl.effects import Node
from dynalab_impl.partition import Partition
from dynalab_impl.storage_node import StorageNode


def is_quiet(nodes: Iterable[Node | None]) -> bool:
    """Nothing is owed to an index, everything logged is applied, and the replicas of each group are equally far.

    >>> is_quiet([])
    True
    """
    applied: dict[str, int] = {}
    for node in nodes:
        for group, replica in node.replicas.items() if isinstance(node, StorageNode) else ():
            state = replica.state
            if not isinstance(state, Partition):
                continue
            if state.owed or state.applied < len(replica.log):
                return False
            if applied.setdefault(group, state.applied) != state.applied:
                return False
    return True

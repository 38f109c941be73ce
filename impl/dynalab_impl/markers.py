"""Who holds an item, as its leader sees it: the markers that are applied, and those that are appended only."""

from __future__ import annotations

from dynalab_impl.entries import Held
from dynalab_impl.partition import Partition
from dynalab_impl.replication.leading import Leading
from dynalab_model.errors import transaction_conflict


def holder(partition: Partition, lead: Leading, key: bytes) -> Held | None:
    """Who holds this key once everything appended is applied."""
    pending = lead.pending_held.get(key)
    return partition.held.get(key) if pending is None else pending[1]


def check_free(partition: Partition, lead: Leading, key: bytes) -> None:
    """Refuse a single write where a transaction is under way; raises TransactionConflictException."""
    if key in lead.pending_held or key in partition.held:
        raise transaction_conflict()

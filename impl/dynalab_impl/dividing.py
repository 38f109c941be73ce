"""Where a partition may be divided, by what it holds.

These functions are methods of `Partition`, kept in a room of their own; `splitting` decides when, and does it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynalab_impl.local_indexes import whole_collections
from dynalab_model.values import item_size

if TYPE_CHECKING:
    from dynalab_impl.partition import Partition


def middle(partition: Partition) -> bytes:
    """The key behind about half of the data; b"" if there are not two items."""
    if len(partition.items) < 2:
        return b""
    sizes = [item_size(stored.item) for stored in partition.items.values()]
    half, before = sum(sizes) // 2, 0
    keys: list[bytes] = list(partition.items)
    for place, key in enumerate(keys):
        if place and before >= half:
            return key
        before += sizes[place]
    return keys[-1]


def divisible(partition: Partition, at: bytes) -> bytes:
    """This key, or one near it where the partition may be divided: local indexes keep item collections whole. b"" if
    there is none.
    """
    if partition.local is None or not partition.items:
        return at
    return whole_collections(at, next(iter(partition.items)), next(reversed(partition.items)))


def is_one_collection(partition: Partition) -> bool:
    """Whether nothing here may be parted: local indexes keep the only item collection whole."""
    return partition.local is not None and len(partition.local.bytes_of) < 2


def has_below(partition: Partition, key: bytes) -> bool:
    """Whether there is an item before this key."""
    return next(iter(partition.items), key) < key


def has_above(partition: Partition, key: bytes) -> bool:
    """Whether there is an item behind this key."""
    return next(reversed(partition.items), key) > key

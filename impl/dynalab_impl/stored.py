"""Items as they lie in a partition, packed while they are at rest, where a process holds one node.

An item is read and written as the dictionaries that came over the wire, and these weigh almost three times as much as
its text. A partition's items are mostly at rest. So a process that runs one node lets go of the dictionaries of items
that its log holds no more, and keeps their text; whoever reads such an item gets new dictionaries, for a few
microseconds. Where all members of a group live in one process they share the dictionaries, and packing would save
nothing.

Whether an item is packed, or has been weighed, is no part of the state: nothing reads it but `item` and `size_bytes`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import ClassVar

from dynalab_impl.codec import to_json
from dynalab_impl.effects import Nanoseconds
from dynalab_impl.jsons import as_json
from dynalab_model.values import Item, item_size


@dataclass(slots=True)
class StoredItem:
    """An item with `version`, the slot that wrote it (in an index: the base slot), `time_ns`, the log time, and
    `stamp_ns`, the timestamp of that write among transactions (ATC'23): log time, or just behind what was there before
    if that was later.

    >>> stored = StoredItem({"pk": {"S": "é"}}, version=7, time_ns=5)
    >>> stored.pack(); stored.held, stored.item
    (b'{"pk":{"S":"\\\\u00e9"}}', {'pk': {'S': 'é'}})
    """

    REMEMBERED: ClassVar = ("_weight",)  # no part of the state (`plain`)

    held: Item | bytes
    version: int
    time_ns: Nanoseconds
    stamp_ns: Nanoseconds = 0
    _weight: int = field(default=0, init=False, repr=False, compare=False)

    @property
    def size_bytes(self) -> int:
        """Bytes of the item (`item_size`): every snapshot asks, so it is weighed once."""
        if not self._weight:
            self._weight = item_size(self.item)
        return self._weight

    @property
    def item(self) -> Item:
        """The item; never to be changed."""
        held = self.held
        return as_json(json.loads(held)) if isinstance(held, bytes) else held

    def pack(self) -> None:
        """Keep the text alone."""
        if not isinstance(self.held, bytes):
            self.held = to_json(self.held).encode()

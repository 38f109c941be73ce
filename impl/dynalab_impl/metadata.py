"""What is asked of the metadata service, and its answers: where a key lies (ATC'22 §4; S87).

Messages alone; `routes` holds what a router makes of the answers, `catalog_duties` gives them. The service is the
leader of the catalog's group. It answers for one partition at a time, so an answer is small however large the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from dynalab_impl.effects import Message
from dynalab_impl.messages import GroupSpec

Question: TypeAlias = tuple[str, str, bytes, bool]  # the fields of a Find


@dataclass(slots=True)
class Find(Message):
    """Which partition holds `key`? A floor look-up: the one with the greatest low end that is not above the key.

    With `below` it is the partition just below the key (b"" is above all keys): where a backward read goes on.
    `index` is "" for the table's own partitions.
    """

    table: str
    index: str
    key: bytes
    below: bool


@dataclass(slots=True)
class Found(Message):
    """The answer repeats the question. `status` is "" when there is no such table; `spec` is None as well then, or if
    the table has no such index.
    """

    table: str
    index: str
    key: bytes
    below: bool
    status: str
    spec: GroupSpec | None

"""What is asked of the metadata service, and its answers: where a key lies, and what a table may use (ATC'22 §4, §5).

Messages alone; `routes` and `admission` hold what is made of the answers, `catalog_duties` gives them. The service is
the leader of the catalog's group. It answers for one partition at a time, so an answer is small however large the
table (S87). `Spare` is what storage nodes tell each other, without the service.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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


@dataclass(slots=True)
class Counted(Message):
    """What a leader counted in its partition: items, and their bytes without any overhead; and for each local index its
    entries and their bytes.
    """

    group: str
    items: int
    size_bytes: int
    local: dict[str, list[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Allowance:
    """Throughput of a table or an index in capacity units a second, and over how many partitions it is divided.

    None was bought if `write` is 0: the table is on demand. Then it may have ceilings of its own (0: none).
    """

    table: str
    index: str
    read: int
    write: int
    partitions: int
    read_max: int = 0
    write_max: int = 0


@dataclass(slots=True)
class AskAllowances(Message):
    """From a storage node: what may these tables use?"""

    tables: tuple[str, ...]


@dataclass(slots=True)
class Allowances(Message):
    """The answer, for those that exist and their indexes."""

    known: tuple[Allowance, ...]


@dataclass(slots=True)
class AskMakings(Message):
    """From a storage node that has dropped many groups: which makings are there still (`bygone`)? It knows those as of
    `slot`.
    """

    slot: int


@dataclass(slots=True)
class Makings(Message):
    """The answer: the slots, in order, at which everything was made that the catalog knows of at `slot`."""

    slot: int
    live: tuple[int, ...]


@dataclass(slots=True)
class Spare(Message):
    """What is left in the sender's node bucket: a leader asks it before a partition bursts."""

    parts: int

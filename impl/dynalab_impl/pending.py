"""What a router has in its hands: client requests that are being worked on.

Plain data and the arithmetic of a range read over partitions; sending and answering is the router's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from dynalab_impl import messages as m
from dynalab_impl.effects import Nanoseconds, RequestToken
from dynalab_impl.steps import Step
from dynalab_impl.stream_messages import StreamStep
from dynalab_model.operations import ExecuteStatement, Operation, ReadOperation, ReadSettings, WriteOperation
from dynalab_model.pages import PageBuilder, ReadPlan

# What a batch, a statement or a transaction consists of.
PartOperation: TypeAlias = ReadOperation | WriteOperation | ExecuteStatement | ReadSettings | Step | StreamStep


@dataclass(slots=True)
class Pending:
    """A client request that is being worked on."""

    number: int
    token: RequestToken
    operation: Operation | Step | StreamStep
    deadline_ns: Nanoseconds
    expiry_ns: Nanoseconds
    retry_ns: Nanoseconds
    table: str
    key: bytes = b""
    spec: m.GroupSpec | None = None  # the partition asked last
    target: int = 0
    hops: int = 0
    sent: bool = False
    attempts: int = 0  # how often a write was sent, each time under another number
    turned_away: int = 0  # which of them were refused or sent elsewhere: a bit each
    alone: int = -1  # the last attempt that was made when every other one had been turned away
    nothing: int = 0  # which of them are known to have come to nothing, since their table ended: a bit each
    ended: str = ""  # the partition that this is known of
    asking: bool = False  # the metadata service; its answer lets the request go on
    rechecked: bool = False  # the table was asked for anew, since the router did not know this index of it
    sent_to: str = ""  # the group that the last attempt of a write, or of a step, went to
    remade: bool = False  # groups of another table of this name were asked, too: it is not known whose answer comes
    batch: int = 0  # the number of the batch that this is a part of, and its place there
    place_in_batch: int = 0
    plan: ReadPlan | None = None
    page: PageBuilder | None = None
    # What a range read has still to read: [low, high), forwards only behind `after`.
    low: bytes = b""
    high: bytes = b""
    after: bytes = b""
    done: bool = False

    def begin_anew(self) -> None:
        """Forget the plan of a read: its index is no more."""
        self.plan = self.page = None
        self.after, self.done, self.rechecked = b"", False, True

    def step(self, key: bytes) -> None:
        """This key has been read."""
        assert self.plan is not None
        if self.plan.forward:
            self.low = self.after = key
        else:
            self.high = key

    def leave(self, spec: m.GroupSpec) -> None:
        """This partition has been read to its end."""
        assert self.plan is not None
        if self.plan.forward:
            self.low, self.after, self.done = spec.high, b"", not spec.high
        else:
            self.high, self.done = spec.low, not spec.low

    @property
    def group(self) -> str:
        """The partition's group that was asked last."""
        return "" if self.spec is None else self.spec.group

    @property
    def more(self) -> bool:
        """Whether a range read has still something to read."""
        return not self.done and not (self.high and self.low >= self.high)

    def place(self, plan: ReadPlan) -> tuple[str, bytes, bool]:
        """Where a range read stands: the index whose partitions are read (a local index lies in the table's own), a
        key, and whether the partition that holds it is next (False), or the one that holds the keys below it (True).
        """
        index = "" if plan.local else plan.index or ""
        return (index, self.low, False) if plan.forward else (index, self.high, True)

"""What a router has in its hands: client requests that are being worked on, and questions to the catalog.

Plain data and the arithmetic of a range read over partitions; sending and answering is the router's.
"""

from __future__ import annotations

from dataclasses import dataclass

from dynalab_impl import messages as m
from dynalab_impl.effects import Nanoseconds, RequestToken
from dynalab_model.operations import Operation
from dynalab_model.pages import PageBuilder, ReadPlan


@dataclass(slots=True)
class Pending:
    """A client request that is being worked on."""

    number: int
    token: RequestToken
    operation: Operation
    deadline_ns: Nanoseconds
    expiry_ns: Nanoseconds
    retry_ns: Nanoseconds
    table: str
    key: bytes = b""
    group: str = ""
    target: int = 0
    hops: int = 0
    sent: bool = False
    waiting: bool = False  # for the table's map
    batch: int = 0  # the number of the batch that this is a part of, and its place there
    place_in_batch: int = 0
    plan: ReadPlan | None = None
    page: PageBuilder | None = None
    # What a range read has still to read: [low, high), forwards only behind `after`.
    low: bytes = b""
    high: bytes = b""
    after: bytes = b""
    done: bool = False

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

    def place(self, table: m.TableMap) -> m.GroupSpec | None:
        """The partition to ask next: the one that holds the key, or where the range read stands. None: there is no
        more to read.
        """
        if self.plan is None:
            return next(spec for spec in table.groups if not spec.index and spec.holds(self.key))
        if self.done or (self.high and self.low >= self.high):
            return None
        index = self.plan.index or ""
        for spec in table.groups:
            if spec.index != index:
                continue
            if self.plan.forward:
                found = spec.holds(self.low)
            elif not self.high:
                found = not spec.high
            else:
                found = spec.low < self.high and (not spec.high or self.high <= spec.high)
            if found:
                return spec
        raise AssertionError("the groups of a table cover the key space")


@dataclass(slots=True)
class Lookup:
    """A question to the catalog about a table, asked of one member after another."""

    retry_ns: Nanoseconds
    target: int

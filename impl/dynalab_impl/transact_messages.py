"""What coordinators of transactions and storage nodes say to each other (ATC'23).

Messages alone: `coordinator` sends them, `transact_duties` answers. Each speaks of one item. Prepares, commits and
cancels may come doubled, late and from several coordinators: whoever gets one again does nothing again.
"""

from __future__ import annotations

from dataclasses import dataclass

from dynalab_impl.effects import Message, Nanoseconds
from dynalab_impl.messages import RequestId
from dynalab_model.operations import TransactAction
from dynalab_model.values import Item


@dataclass(slots=True)
class PrepareItem(Message):
    """May this action happen at this timestamp? If so, hold its item until you are told. Answered with a vote."""

    group: str
    number: int
    request: RequestId
    expiry_ns: Nanoseconds
    key: bytes
    txn: str
    ledger: str
    attempt: int
    stamp_ns: Nanoseconds
    action: TransactAction


@dataclass(slots=True)
class CommitItem(Message):
    """The ledger says COMMITTED: do what this transaction holds the key for."""

    group: str
    number: int
    request: RequestId
    expiry_ns: Nanoseconds
    key: bytes
    txn: str


@dataclass(slots=True)
class CancelItem(Message):
    """The ledger says CANCELLED, or does not know this transaction: let the key go."""

    group: str
    number: int
    request: RequestId
    expiry_ns: Nanoseconds
    key: bytes
    txn: str


@dataclass(slots=True)
class WriteWhole(Message):
    """A transaction all of whose items lie in this partition: do it, or say why not (`transaction_rules`)."""

    group: str
    number: int
    request: RequestId
    expiry_ns: Nanoseconds
    keys: tuple[bytes, ...]
    actions: tuple[TransactAction, ...]
    stamp_ns: Nanoseconds


@dataclass(slots=True)
class ReadItem(Message):
    """One item of a read transaction, from the leader; without `values` only what tells whether it has changed. With
    `stamp_ns` as of that timestamp, which must hold for ever: one round is enough then.
    """

    group: str
    number: int
    key: bytes
    values: bool
    stamp_ns: Nanoseconds = 0


@dataclass(slots=True)
class ItemRead(Message):
    """`version` is the slot that wrote the item; of one that is not there, the slot of the partition's last delete. The
    `group` says of which table of this name: slots of two are not to be compared. `held`: a transaction has been
    prepared on it, and is not decided as far as this node knows; or it cannot be read as of the timestamp that was
    asked for. `stamp_ns` is that of its last write.
    """

    group: str
    number: int
    version: int
    held: bool
    item: Item | None
    stamp_ns: Nanoseconds = 0


@dataclass(slots=True)
class Stalled(Message):
    """To a router: this transaction's coordinator has been silent for too long; look at its ledger entry. From the
    leader of an item that it holds, or (without `table`) of the part of the ledger that its entry lies in.
    """

    ledger: str
    txn: str
    table: str
    key: bytes

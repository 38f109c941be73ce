"""The steps of a transaction, as the requests of a router: each asks the leader of one item.

A step is a pending request like any other: it is sent again, follows redirects and splits, and ends with an answer or
at its deadline. `coordinator` and `transact_reads` make steps; what the nodes do with them stands in `transact_duties`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from dynalab_impl.effects import Message, Nanoseconds
from dynalab_impl.entries import making_of
from dynalab_impl.messages import RequestId
from dynalab_impl.transact_messages import CancelItem, CommitItem, PrepareItem, ReadItem, WriteWhole
from dynalab_model.operations import TransactAction


@dataclass(slots=True)
class PrepareStep:
    """May this action happen? The answer is a vote."""

    table: str
    key: bytes
    txn: str
    ledger: str
    attempt: int
    stamp_ns: Nanoseconds
    action: TransactAction


@dataclass(slots=True)
class DecideStep:
    """It happens, or it does not: the ledger has decided. It happens to the table that was `made` as this (`making_of`;
    "" if that is not known), and never to another one that has its name by now.
    """

    table: str
    key: bytes
    txn: str
    commit: bool
    made: str = ""


@dataclass(slots=True)
class ReadStep:
    """What is there, and has it changed? With `stamp_ns`: what is there as of that timestamp?"""

    table: str
    key: bytes
    values: bool
    stamp_ns: Nanoseconds = 0


@dataclass(slots=True)
class WholeStep:
    """Do all of this in one step; `key` is the first of the keys, by which the partition is found."""

    table: str
    key: bytes
    keys: tuple[bytes, ...]
    actions: tuple[TransactAction, ...]
    stamp_ns: Nanoseconds


Step: TypeAlias = PrepareStep | DecideStep | ReadStep | WholeStep
STEPS: tuple[type, ...] = (PrepareStep, DecideStep, ReadStep, WholeStep)


def message_of(step: Step, group: str, number: int, request: RequestId, expiry_ns: Nanoseconds) -> Message:
    """The message that asks this partition. `number` names the attempt; a read has one number for all."""
    if type(step) is PrepareStep:
        return PrepareItem(
            group,
            number,
            request,
            expiry_ns,
            step.key,
            step.txn,
            step.ledger,
            step.attempt,
            step.stamp_ns,
            step.action,
        )
    if type(step) is DecideStep:
        kind = CommitItem if step.commit and step.made in ("", making_of(group)) else CancelItem
        return kind(group, number, request, expiry_ns, step.key, step.txn)
    if type(step) is WholeStep:
        return WriteWhole(group, number, request, expiry_ns, step.keys, step.actions, step.stamp_ns)
    assert type(step) is ReadStep
    return ReadItem(group, number, step.key, step.values, step.stamp_ns)

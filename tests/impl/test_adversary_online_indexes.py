"""Attacks on indexes that come and go: what is still on its way to one that is gone."""

from __future__ import annotations

from collections import deque

from dynalab_impl import messages as m
from dynalab_impl.effects import Address
from dynalab_impl.propagator import Flight, Lane, Propagator
from dynalab_impl.snapshot import OwedImage
from dynalab_model.schema import KeyAttribute, KeySchema, TableSchema

THERE = Address("r", "z2", "n2")
SCHEMA = TableSchema("things", KeySchema(KeyAttribute("pk", "S")))


def owed(sequence: int) -> OwedImage:
    return OwedImage(sequence, 7, "by-colour", b"key", None, b"source", 7, 0)


def test_a_late_redirect_about_an_index_that_is_gone_finds_nobody() -> None:
    """The map of the table is younger than the index; what was sent to it is remembered until somebody looks."""
    propagator = Propagator("things/3.0")
    propagator.flights[1] = Flight(owed(0), 0, 0)
    groups = (m.GroupSpec("things.by-size/9.0", "things", "by-size", b"", b"", (), None),)
    table = m.TableMap(SCHEMA, "ACTIVE", groups, 4)
    redirect = m.Redirect(1, "things.by-colour/5.0", THERE, hosted=False)
    assert not propagator.asked_of(redirect, table)
    there = m.GroupSpec("things.by-colour/5.0", "things", "by-colour", b"", b"", (), None)
    assert propagator.asked_of(redirect, m.TableMap(SCHEMA, "ACTIVE", (*groups, there), 3))


def test_an_index_that_comes_again_is_not_slow_because_its_predecessor_was() -> None:
    propagator = Propagator("things/3.0", taken_to=3)
    propagator.lanes["by-colour"] = Lane(deque([owed(1), owed(2)]), 1, "partition")
    propagator.flights[1] = Flight(owed(0), 0, 0, refused=True)
    propagator._take(deque())
    assert propagator.limit("by-colour") == "" and not propagator.flights

"""A list of 100,000 customers (S125), 100 bytes each: what the text says, what arithmetic says, what is measured.

The items are laid into the model's table in one go; a write each would take minutes and show nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from meter import Database, Reference, item, padded, run, table

from dynalab_model.keys import item_key
from dynalab_model.values import Item

CUSTOMERS, ENTRY_BYTES = 100_000, 100
READ_UNIT_BYTES = 4_096


def filled() -> Database:
    """A table with all of them under one key."""
    reference = Reference()
    db = Database(reference)
    db.create("Customers", "list", "number:N")
    made = reference.state.tables["Customers"]
    items = [cast("Item", item(padded(ENTRY_BYTES, list="all", number=n))) for n in range(CUSTOMERS)]
    laid = replace(made, items={item_key(made.schema.key, each): each for each in items})
    reference.state = replace(reference.state, tables={"Customers": laid})
    return db


def puzzler(_: Database) -> Iterator[str]:
    """What the chapter shows; it brings its own table."""
    db = filled()
    units, pages = [], 0
    for strong in (True, False):
        with db.bill() as bill:
            db.query("Customers", "#l = :l", {"l": "all"}, ConsistentRead=strong, **NAMES)
        assert bill.returned == CUSTOMERS
        units.append(bill.units)
        pages = bill.requests
    arithmetic = -(-CUSTOMERS * ENTRY_BYTES // READ_UNIT_BYTES)
    yield from table(
        ("100,000 entries of 100 bytes", "strong", "eventual"),
        ("the text", "4,000", "–"),
        ("bytes / 4 KB, rounded up once", arithmetic, arithmetic / 2),
        (f"measured, {pages} pages, each rounded up", units[0], units[1]),
    )


NAMES = {"ExpressionAttributeNames": {"#l": "list"}, "Select": "COUNT"}


if __name__ == "__main__":
    run(puzzler, anywhere=False)

"""A list of orders (S123, S124, S126): how much of each is read?

A customer has 1,000 orders of 4 KB. The list shows 100 bytes of each; whoever opens some wants these whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from meter import KB, Body, Database, index, item, padded, run, table

ORDERS, ENTRY_BYTES, OPENED = 1_000, 100, 20
READ_UNIT_BYTES = 4_096
TOLD = (40, 20)  # what the article says of the narrow index (S124)
ALL = index("Whole", "customer", "at")
NARROW = index("Narrow", "customer", "at", include=("shown",))


def puzzler(db: Database) -> Iterator[str]:
    """What the chapter shows."""
    db.create("Orders", "number", indexes=[ALL, NARROW])
    keys = [{"number": f"{n:04}", "customer": "c1", "at": f"{n:08}"} for n in range(ORDERS)]
    used = sum(len(name) + len(value) for name, value in keys[0].items()) + len("shown")
    rows = [padded(4 * KB, **key, shown="s" * (ENTRY_BYTES - used)) for key in keys]
    db.load("Orders", rows)
    # What an index would cost to read strongly, if one could: a table whose items are its entries.
    db.create("Entries", "customer", "at")
    db.load("Entries", [{name: each[name] for name in ("customer", "at", "number", "shown")} for each in rows])
    lines: list[tuple[str, int, float]] = []
    measured: dict[str, float] = {}
    for name, source, more in (
        ("index that projects all, eventual", "Orders", {"IndexName": "Whole"}),
        ("index with 100 bytes an entry, eventual", "Orders", {"IndexName": "Narrow"}),
        ("a table of such entries, eventual", "Entries", {}),
        ("a table of such entries, strong", "Entries", {"ConsistentRead": True}),
    ):
        with db.bill() as bill:
            found = db.query(source, "customer = :c", {"c": "c1"}, **more)
        assert len(found) == ORDERS
        lines.append((name, bill.requests, bill.units))
        measured[name.rpartition(", ")[2]] = bill.units  # the last of each kind: those of the table of entries
    with db.bill() as bill:
        newest = db.query("Orders", "customer = :c", {"c": "c1"}, IndexName="Narrow", Limit=OPENED)
        wanted = {"Orders": {"Keys": [item({"number": each["number"]}) for each in newest]}}
        answer = db.call("BatchGetItem", RequestItems=wanted)
    whole = cast("dict[str, list[Body]]", answer["Responses"])["Orders"]
    assert len(whole) == OPENED and all("pad" in each for each in whole)
    lines.append((f"{OPENED} of the narrow index, then BatchGetItem", bill.requests, bill.units))
    yield from table(("1,000 orders", "requests", "units"), *lines)
    yield ""
    arithmetic = -(-ORDERS * ENTRY_BYTES // READ_UNIT_BYTES)
    yield from table(
        ("1,000 entries of 100 bytes", "strong", "eventual"),
        ("the text", *TOLD),
        ("bytes / 4 KB, rounded up", arithmetic, arithmetic / 2),
        ("measured", measured["strong"], measured["eventual"]),
    )


if __name__ == "__main__":
    run(puzzler)

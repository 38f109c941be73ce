"""What an index adds to a write (S28–S30, S122, S127)."""

from __future__ import annotations

from collections.abc import Iterator

from meter import KB, Database, index, padded, run, table

FIVE = [index(f"By{number}", f"k{number}") for number in range(1, 6)]
SHOWN = index("ByColour", "colour", include=("price",))
KEY = {"thing": "a"}


def changes(db: Database) -> Iterator[tuple[str, float, float]]:
    """One change after the other to an item of a table with one index: units of the table, and of the index."""
    db.create("Things", "thing", indexes=[SHOWN])
    steps: list[tuple[str, str, dict[str, str | int]]] = [
        ("put without the index key", "SET stock = :v", {"v": 1}),
        ("it gets the index key", "SET colour = :v", {"v": "red"}),
        ("a projected attribute changes", "SET price = :v", {"v": 5}),
        ("the same value is written again", "SET price = :v", {"v": 5}),
        ("another attribute changes", "SET stock = :v", {"v": 2}),
        ("the index key changes", "SET colour = :v", {"v": "blue"}),
        ("the index key goes", "REMOVE colour", {}),
    ]
    for name, expression, values in steps:
        with db.bill() as bill:
            db.update("Things", KEY, expression, **values)
        of_index = bill.indexes.get("ByColour", 0.0)
        yield name, bill.units - of_index, of_index


def puzzler(db: Database) -> Iterator[str]:
    """What the chapter shows."""
    keys = {f"k{number}": "x" for number in range(1, 6)}
    totals: list[float] = []
    for name, indexes in (("None", []), ("Five", FIVE)):
        db.create(name, "thing", indexes=indexes)
        with db.bill() as bill:
            db.put(name, **padded(4 * KB, thing="a", **keys))
        totals.append(bill.units)
    yield f"put 4 KB: {totals[0]:g} units without an index, {totals[1]:g} with five that project all"
    yield from table(("the change", "table", "index"), *changes(db))


if __name__ == "__main__":
    run(puzzler)

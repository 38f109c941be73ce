"""Read too much on purpose (S120, S121), or pay for indexes?

A customer has 100 orders of 1 KB. Sometimes the open ones are wanted, sometimes those of one product.
"""

from __future__ import annotations

from collections.abc import Iterator

from meter import KB, Database, index, padded, run, table

ORDERS = 100
WRITE_DOLLARS, READ_DOLLARS = 1.25, 0.25  # a million units on demand, as the text has them
INDEXES = (index("ByState", "open_of", "number"), index("ByProduct", "product_of", "number"))


def puzzler(db: Database) -> Iterator[str]:
    """What the chapter shows."""
    rows = [
        padded(KB, customer="c1", number=f"{n:03}", open_of=f"c1#{n % 10 == 0}", product_of=f"c1#p{n % 25}")
        for n in range(ORDERS)
    ]
    lines: list[tuple[str, float, float]] = []
    for name, indexes in (("no index, filter in the client", ()), ("two indexes", INDEXES)):
        db.create("Plain" if not indexes else "Indexed", "customer", "number", indexes=indexes)
        with db.bill() as written:
            db.load("Plain" if not indexes else "Indexed", rows)
        with db.bill() as read:
            if indexes:
                found = db.query("Indexed", "open_of = :o", {"o": "c1#True"}, IndexName="ByState")
            else:
                everything = db.query("Plain", "customer = :c", {"c": "c1"})
                found = [each for each in everything if each["open_of"] == "c1#True"]
        assert len(found) == ORDERS // 10
        lines.append((name, written.units / ORDERS, read.units))
    yield from table(("", "units to write an order", "units to read the open ones"), *lines)
    extra_write = (lines[1][1] - lines[0][1]) * WRITE_DOLLARS
    extra_read = (lines[0][2] - lines[1][2]) * READ_DOLLARS
    yield f"the indexes pay from {extra_write / extra_read:.2f} reads an order on"
    db.create("Prices", "name")
    with db.bill() as written:
        db.put("Prices", **padded(4 * KB, name="four"))
    with db.bill() as read:
        db.get("Prices", {"name": "four"})
    write, strong = written.units * WRITE_DOLLARS, read.units * READ_DOLLARS
    yield f"a million writes of 4 KB: ${write:.2f}; a million strong reads: ${strong:.2f}; {write / strong:.0f} to 1"


if __name__ == "__main__":
    run(puzzler)

"""What a request costs (S26, S31, S112–S114): the rounding, told by the service itself."""

from __future__ import annotations

from collections.abc import Iterator

from meter import KB, Database, padded, run, table


def one_by_one(db: Database) -> Iterator[tuple[str, float, float, float]]:
    """Writing and reading one item of each size: units of a write, of a strong read, of an eventual one."""
    db.create("Sizes", "name")
    for size_bytes in (100, 512, KB, KB + 1, KB + KB // 2, 4 * KB, 7 * KB, 7 * KB + KB // 2, 10 * KB, 100 * KB):
        with db.bill() as write:
            db.put("Sizes", **padded(size_bytes, name=f"{size_bytes}"))
        units = []
        for strong in (True, False):
            with db.bill() as read:
                db.get("Sizes", {"name": f"{size_bytes}"}, strong=strong)
            units.append(read.units)
        yield f"{size_bytes / KB:.4g} KB", write.units, units[0], units[1]


def together(db: Database) -> Iterator[tuple[str, int, float]]:
    """A hundred items of 100 bytes (S113), and what a filter saves (S114)."""
    db.create("Small", "who", "number:N")
    db.load("Small", [padded(100, who="ann", number=number, v=f"{number % 10}") for number in range(100)])
    with db.bill() as bill:
        for number in range(100):
            db.get("Small", {"who": "ann", "number": number})
    yield "100 GetItem", 100, bill.units
    for name, more in (
        ("Query", {}),
        ("Query, a filter keeps one in ten", {"FilterExpression": "v = :v"}),
        ("Query, one attribute projected", {"ProjectionExpression": "v"}),
        ("Query, counted only", {"Select": "COUNT"}),
    ):
        values = {"w": "ann", **({"v": "3"} if "FilterExpression" in more else {})}
        with db.bill() as bill:
            db.query("Small", "who = :w", values, ConsistentRead=True, **more)
        yield name, bill.returned, bill.units
    with db.bill() as bill:
        db.query("Small", "who = :w", {"w": "nobody"}, ConsistentRead=True)
    yield "Query that finds nothing", bill.returned, bill.units


def puzzler(db: Database) -> Iterator[str]:
    """What the chapter shows."""
    yield from table(("one item of", "write", "strong read", "eventual read"), *one_by_one(db))
    yield ""
    yield from table(("strong reads of 100 items of 100 bytes", "items", "units"), *together(db))


if __name__ == "__main__":
    run(puzzler)

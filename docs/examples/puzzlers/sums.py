"""Sums (S142): nothing adds up for you.

200 orders of 1 KB. The total is wanted again and again, while orders come in.
"""

from __future__ import annotations

from collections.abc import Iterator

from meter import KB, Database, Refused, padded, run, table

ORDERS = 200


def amount(number: int) -> int:
    """What an order is worth."""
    return 7 + number * 13 % 50


def asked_of_the_service(db: Database) -> str:
    """What it says to an aggregate."""
    try:
        db.call("ExecuteStatement", Statement='SELECT SUM(amount) FROM "Orders"')
    except Refused as refused:
        return str(refused)
    raise AssertionError("somebody taught it to add")


def puzzler(db: Database) -> Iterator[str]:
    """What the chapter shows."""
    db.create("Orders", "shopper", "number:N")
    orders = [padded(KB, shopper=f"s{n % 9}", number=n, amount=amount(n)) for n in range(ORDERS)]
    db.load("Orders", orders)
    yield asked_of_the_service(db)
    with db.bill() as scanned:
        recomputed = sum(int(str(each["amount"])) for each in db.scan("Orders", ProjectionExpression="amount"))
    db.create("Totals", "name")
    with db.bill() as kept:
        for number in range(ORDERS):
            db.update("Totals", {"name": "all"}, "ADD amount :a, orders :one", a=amount(number), one=1)
    with db.bill() as read:
        total = db.get("Totals", {"name": "all"}, strong=False)
    assert total is not None and total["amount"] == recomputed and total["orders"] == ORDERS
    yield from table(
        ("the sum of 200 orders", "units"),
        ("read all orders and add", scanned.units),
        ("read the row that holds the sum", read.units),
        ("keep that row, an order", kept.units / ORDERS),
    )
    average = recomputed // ORDERS
    yield f"both say {recomputed:,}; the average of whole units is {average}"


if __name__ == "__main__":
    run(puzzler)

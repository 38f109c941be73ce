"""Offices of a company (S58), without texts that were put together: an index whose sort key has several attributes."""

from __future__ import annotations

from collections.abc import Iterator

from meter import Database, Refused, index, run, table

OFFICES = (
    ("CA", "SFO", 12, "sales"),
    ("NY", "BUF", 7, "stock"),
    ("NY", "NYC", 9, "legal"),
    ("NY", "NYC", 10, "press"),
    ("NY", "NYC", 102, "board"),
    ("NYX", "NYX", 1, "other"),
    ("WA", "SEA", 21, "cloud"),
)
PLACE = ("state", "city", "floor")


def puzzler(db: Database) -> Iterator[str]:
    """What the chapter shows."""
    db.create("Staff", "office", indexes=[index("ByPlace", "country", *PLACE)], numbers=["floor"])
    db.load("Staff", [{"office": n, "country": "USA", "state": s, "city": c, "floor": f} for s, c, f, n in OFFICES])
    lines: list[tuple[str, str, str]] = []
    for question, condition, values in (
        ("a state", "#state = :s", {"s": "NY"}),
        ("a city", "#state = :s AND city = :c", {"s": "NY", "c": "NYC"}),
        ("above a floor", "#state = :s AND city = :c AND floor > :f", {"s": "NY", "c": "NYC", "f": 9}),
        ("cities from C on", "#state = :s AND city > :c", {"s": "NY", "c": "C"}),
        ("a city in any state", "city = :c", {"c": "NYC"}),
        ("floors of a state", "#state = :s AND floor > :f", {"s": "NY", "f": 9}),
        ("a range, then more", "#state > :s AND city = :c", {"s": "NY", "c": "NYC"}),
    ):
        names = {"ExpressionAttributeNames": {"#state": "state"}} if "#state" in condition else {}
        try:
            with db.bill() as bill:
                found = db.query(
                    "Staff", f"country = :u AND {condition}", {"u": "USA", **values}, IndexName="ByPlace", **names
                )
        except Refused as refusal:
            lines.append((question, f"refused: {refusal.body['message']}", "–"))
            continue
        assert bill.scanned == len(found)
        lines.append((question, " ".join(str(each["office"]) for each in found) or "–", str(bill.scanned)))
    yield from table(("question", "offices", "scanned"), *lines)
    # One attribute changes, and the entry is where it belongs. An item without one of them has no entry.
    db.update("Staff", {"office": "press"}, "SET floor = :f", f=200)
    db.update("Staff", {"office": "legal"}, "REMOVE floor")
    db.transport.settle()
    found = db.query("Staff", "country = :u AND city = :c AND #state = :s", {"u": "USA", "s": "NY", "c": "NYC"},
                     IndexName="ByPlace", ExpressionAttributeNames={"#state": "state"})  # fmt: skip
    yield f"after press moved to floor 200, and legal lost its floor: {' '.join(str(each['office']) for each in found)}"


if __name__ == "__main__":
    run(puzzler)

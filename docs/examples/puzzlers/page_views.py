"""A counter in a large item (S118, S119), and the same split in two.

An article of 10 KB counts its page views. Prices are those of the text, on demand: $1.25 for a million write units.
"""

from __future__ import annotations

from collections.abc import Iterator

from meter import KB, Database, padded, run, table

DOLLARS_A_MILLION = 1.25
VIEWS = 50


def view_cost(db: Database, key: str, part: str) -> float:
    """Units of one page view, measured over some."""
    with db.bill() as bill:
        for _ in range(VIEWS):
            db.update("Pages", {"page": key, "part": part}, "ADD hits :one", one=1)
    return bill.units / VIEWS


def puzzler(db: Database) -> Iterator[str]:
    """What the chapter shows."""
    db.create("Pages", "page", "part")
    db.put("Pages", **padded(10 * KB - 2 * len("hits"), page="whole", part="all"))
    db.put("Pages", **padded(10 * KB, page="split", part="text"))
    db.put("Pages", page="split", part="hits", hits=0)
    whole, split = view_cost(db, "whole", "all"), view_cost(db, "split", "hits")
    reads = []
    for key in ("whole", "split"):
        with db.bill() as bill:
            found = db.query("Pages", "page = :p", {"p": key})
        assert sum(int(str(each.get("hits", 0))) for each in found) == VIEWS
        reads.append((bill.requests, bill.units))
    yield from table(
        ("", "units a view", "a million views", "read all: requests", "units"),
        ("one item of 10 KB", whole, f"${whole * DOLLARS_A_MILLION:.2f}", *reads[0]),
        ("text and counter apart", split, f"${split * DOLLARS_A_MILLION:.2f}", *reads[1]),
    )
    yield f"saved: {100 - split * 100 / whole:.0f} %"


if __name__ == "__main__":
    run(puzzler)

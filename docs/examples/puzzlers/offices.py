"""Offices of a company (S58): one sort key for three questions.

The country is the partition key, and `State#City#Office` the sort key.
"""

from __future__ import annotations

from collections.abc import Iterator

from meter import Database, run, table

OFFICES = (
    ("CA", "LAX", "LAX10"),
    ("CA", "SFO", "SFO12"),
    ("NY", "BUF", "BUF7"),
    ("NY", "NYC", "JFK12"),
    ("NY", "NYC", "JFK14"),
    ("NY", "NYC", "JFK16"),
    ("WA", "SEA", "SEA21"),
    ("WA", "SEA", "SEA22"),
)


def puzzler(db: Database) -> Iterator[str]:
    """What the chapter shows."""
    db.create("Offices", "country", "place")
    db.load("Offices", [{"country": "USA", "place": "#".join(each), "desks": 40} for each in OFFICES])
    lines: list[tuple[str, str, int]] = []
    for question, condition, place in (
        ("a state", "begins_with(place, :p)", "NY#"),
        ("a city", "begins_with(place, :p)", "NY#NYC#"),
        ("an office", "place = :p", "NY#NYC#JFK14"),
    ):
        with db.bill() as bill:
            found = db.query("Offices", f"country = :c AND {condition}", {"c": "USA", "p": place})
        assert bill.scanned == bill.returned == len(found)
        lines.append(
            (f"{question}: {place}", " ".join(str(each["place"]).rpartition("#")[2] for each in found), bill.scanned)
        )
    yield from table(("question", "offices", "scanned"), *lines)
    # A prefix without its last separator is a prefix of other names too.
    db.put("Offices", country="USA", place="NYX#NYX#NYX1", desks=1)
    wrong = db.query("Offices", "country = :c AND begins_with(place, :p)", {"c": "USA", "p": "NY"})
    yield f"begins_with 'NY' without '#': {len(wrong)} offices, {wrong[-1]['place']} among them"


if __name__ == "__main__":
    run(puzzler)

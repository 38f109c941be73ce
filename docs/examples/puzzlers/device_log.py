"""The log of a device (S52–S57): which sort key, and which index?

A device has 2,000 entries of 1 KB; one in a hundred is a warning. Wanted: its newest entries; its warnings; what Liz
entered from 20 to 25 March; what was escalated to Sarah.
"""

from __future__ import annotations

from collections.abc import Iterator

from meter import KB, Database, Refused, Row, index, padded, run, table

ENTRIES = 2_000
DEVICE = {"d": "d#12345"}
OPERATORS = ("Liz", "Sue", "Ken", "Max")
ESCALATED = (17, 250, 251, 1_700)
BY_OPERATOR = index("ByOperator", "operated_by", "at", include=("stated",))
ESCALATIONS = index("Escalations", "escalated_to", "at", include=("stated",))


def when(number: int) -> str:
    """Twenty-four minutes lie between two entries, so that 2,000 of them fill 33 days.

    >>> when(0), when(60), when(1_999)
    ('2022-03-01T00:00', '2022-03-02T00:00', '2022-04-03T07:36')
    """
    day, minutes = divmod(number * 24, 24 * 60)
    month, date = (3, day + 1) if day < 31 else (4, day - 30)
    return f"2022-{month:02}-{date:02}T{minutes // 60:02}:{minutes % 60:02}"


def entry(number: int) -> Row:
    """One entry, 1 KB, under the keys of both designs."""
    at, stated = when(number), "WARNING1" if number % 100 == 0 else "INFO"
    who = {"escalated_to": "Sarah"} if number in ESCALATED else {}
    keys = {"device": DEVICE["d"], "at": at, "state_at": f"{stated}#{at}", "stated": stated}
    return padded(KB, **keys, operated_by=OPERATORS[number % 4], **who)


def newest(db: Database) -> list[str]:
    """The last three entries, newest first (S52)."""
    more = {"Limit": 3, "ScanIndexForward": False}
    return [str(each["at"]) for each in db.query("ByDate", "device = :d", DEVICE, **more)]


def warnings(db: Database) -> Iterator[tuple[str, int, int, float]]:
    """All warnings: scanned, returned, units; by a filter (S53) and by the sort key (S54)."""
    with db.bill() as bill:
        db.query("ByDate", "device = :d", DEVICE)
    yield "all entries, no filter", bill.scanned, bill.returned, bill.units
    with db.bill() as bill:
        db.query("ByDate", "device = :d", {**DEVICE, "s": "WARNING1"}, FilterExpression="stated = :s")
    yield "sort key Date, filter State", bill.scanned, bill.returned, bill.units
    with db.bill() as bill:
        db.query("ByState", "device = :d AND begins_with(state_at, :s)", {**DEVICE, "s": "WARNING1#"})
    yield "sort key State#Date", bill.scanned, bill.returned, bill.units


def of_liz(db: Database, until: str) -> tuple[int, str]:
    """How many entries of Liz from 20 March until then, and the last of them (S55)."""
    values = {"o": "Liz", "a": "2022-03-20", "b": until}
    found = db.query("ByDate", "operated_by = :o AND #at BETWEEN :a AND :b", values, IndexName="ByOperator", **NAMES)
    return len(found), str(found[-1]["at"])


def escalated(db: Database) -> int:
    """How many entries the sparse index holds: a scan of it reads those and nothing else (S57)."""
    with db.bill() as bill:
        db.scan("ByDate", IndexName="Escalations")
    return bill.scanned


NAMES = {"ExpressionAttributeNames": {"#at": "at"}}


def puzzler(db: Database) -> Iterator[str]:
    """What the chapter shows."""
    rows = [entry(number) for number in range(ENTRIES)]
    db.create("ByDate", "device", "at", indexes=[BY_OPERATOR, ESCALATIONS])
    db.load("ByDate", rows)
    db.create("ByState", "device", "state_at")
    db.load("ByState", rows)
    yield f"newest first: {', '.join(newest(db))}"
    yield from table(("the warnings", "scanned", "returned", "units"), *warnings(db))
    for until in ("2022-03-25", "2022-03-25T22:24", "2022-03-26"):
        count, last = of_liz(db, until)
        yield f"Liz, BETWEEN 2022-03-20 AND {until}: {count} entries, the last at {last}"
    try:
        db.query("ByDate", "operated_by = :o", {"o": "Liz"})
    except Refused as refused:
        yield f"without IndexName: {refused}"
    before = escalated(db)
    db.update("ByDate", {"device": DEVICE["d"], "at": when(ESCALATED[0])}, "REMOVE escalated_to")
    db.transport.settle()
    yield f"escalated to Sarah: {before} of {len(rows):,}; after one is taken back: {escalated(db)}"


if __name__ == "__main__":
    run(puzzler)

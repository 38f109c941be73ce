"""A hot partition key (S59): everybody looks for offices in one country.

Sizes are 1 : 10. A partition serves 300 strong reads a second. 1,200 a second arrive, evenly over 48 states of a
country.
"""

from __future__ import annotations

from collections.abc import Iterator

from crowd import gather, throttled_service
from meter import Body, Database, item, run, table

STATES = 48
RATE, SECONDS = 1_200, 2
LIMIT = 300


def asked(key: str) -> tuple[str, Body]:
    """A strong query for the offices of one key's prefix; half a kilobyte, so one unit."""
    country, _, state = key.partition("|")
    values = item({"c": country, "s": state})
    named: Body = {f":{name}": value for name, value in values.items()}
    condition = "country = :c AND begins_with(place, :s)"
    body: Body = {"TableName": "Offices", "KeyConditionExpression": condition, "ExpressionAttributeValues": named}
    return "Query", {**body, "ConsistentRead": True}


def puzzler(_: Database) -> Iterator[str]:
    """What the chapter shows; it brings its own service."""
    lines = []
    for name, key in (("Country", "USA|S{0}#"), ("Country-State", "USA-S{0}|S{0}#")):
        service, db = throttled_service(read=LIMIT, write=1_000)
        db.create("Offices", "country", "place")
        places = [key.format(f"{state:02}").split("|") for state in range(STATES)]
        for country, place in places:
            db.put("Offices", country=country, place=f"{place}CTY#1")
        service.settle()
        crowd = gather(service, SECONDS, RATE, lambda n, key=key: asked(key.format(f"{n % STATES:02}")))  # type: ignore[misc]
        lines.append((name, crowd.sent, crowd.served, crowd.throttled))
    yield from table(("partition key", "reads", "served", "throttled"), *lines)


if __name__ == "__main__":
    run(puzzler, anywhere=False)

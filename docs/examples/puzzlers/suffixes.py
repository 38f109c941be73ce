"""Which suffix (S145)? Orders of one hot day are spread over ten partition keys, by chance or by calculation.

Then one order is wanted, by its number; and then the whole day.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator

from meter import Database, run, table

DAY, SHARDS, ORDERS = "2022-11-25", 10, 200


def calculated(order: str) -> int:
    """The same for the same order, always.

    >>> calculated("order-7") == calculated("order-7")
    True
    """
    return zlib.crc32(order.encode()) % SHARDS


def find_one(db: Database, name: str, order: str, shards: list[int]) -> int:
    """Get it from the first of these shards that has it; the requests that this took."""
    for asked, number in enumerate(shards, start=1):
        if db.get(name, {"day": f"{DAY}.{number}", "number": order}, strong=False) is not None:
            return asked
    raise AssertionError("it is in none of them")


def puzzler(db: Database) -> Iterator[str]:
    """What the chapter shows."""
    rng = random.Random(1)
    orders = [f"order-{number}" for number in range(ORDERS)]
    choices: dict[str, Callable[[str], int]] = {
        "random": lambda _: rng.randrange(SHARDS),
        "calculated": calculated,
    }
    lines: list[tuple[str, float, float, int, int]] = []
    for name, choose in choices.items():
        db.create(name, "day", "number")
        db.load(name, [{"day": f"{DAY}.{choose(order)}", "number": order} for order in orders])
        with db.bill() as one:
            for order in orders:
                find_one(db, name, order, [calculated(order)] if name == "calculated" else list(range(SHARDS)))
        with db.bill() as day:
            found = [db.query(name, "#d = :d", {"d": f"{DAY}.{number}"}, **NAMES) for number in range(SHARDS)]
        sizes = [len(each) for each in found]
        assert sum(sizes) == ORDERS
        lines.append((name, round(one.requests / ORDERS, 1), round(one.units / ORDERS, 1), day.requests, max(sizes)))
    yield from table(("suffix", "requests for one", "units", "queries for the day", "largest shard"), *lines)


NAMES = {"ExpressionAttributeNames": {"#d": "day"}}


if __name__ == "__main__":
    run(puzzler)

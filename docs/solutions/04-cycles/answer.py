"""One right answer to exercise 04. The test suite grades it; the site and the wheel leave it out."""

from __future__ import annotations

from itertools import permutations
from typing import Any


def anomalies() -> dict[str, str]:
    """Each letter with the worst anomaly."""
    right = {"a": "none", "b": "G0", "c": "G1c", "d": "G2-item"}
    return right | {"e": "G-single-item", "f": "G-nonadjacent-item", "g": "none", "h": "G-single-item"}


def serial_order(transactions: list[list[list[Any]]]) -> list[int] | None:
    """Five transactions have 120 orders: try them all."""
    for order in permutations(range(len(transactions))):
        lists: dict[str, list[int]] = {}
        for number in order:
            for name, key, value in transactions[number]:
                if name == "append":
                    lists[key] = [*lists.get(key, []), value]
                elif lists.get(key, []) != value:
                    break
            else:
                continue
            break
        else:
            return list(order)
    return None

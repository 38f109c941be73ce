"""When an item has expired (time to live; operations.md §4, S79, S182, S183).

Rules: one attribute of the table says when, as a Number of seconds of Unix time. An item has expired when that is less
than now. It may be gone then; until a sweep comes by it is read, written and paid for like any other. Anything else in
the attribute says nothing, and neither does a time more than five years ago: that is no expiry but somebody's mistake.
"""

from __future__ import annotations

from fractions import Fraction
from typing import cast

from dynalab_model.values import Item

SECOND_NS = 1_000_000_000
OLDEST_S = 5 * 365 * 86_400  # how long ago an item may have expired; the service says "five years"


def is_expired(item: Item, attribute: str, now_ns: int) -> bool:
    """Whether a sweep may remove this item at `now_ns` of Unix time.

    >>> [is_expired({"pk": {"S": "a"}, "expires": {"N": text}}, "expires", 100 * SECOND_NS) for text in ("99", "100")]
    [True, False]
    >>> is_expired({"pk": {"S": "a"}, "expires": {"S": "99"}}, "expires", 100 * SECOND_NS)
    False
    """
    value = item.get(attribute)
    if value is None or "N" not in value:
        return False
    text = cast(str, value["N"])
    # Almost always whole seconds; the sweep comes by every item.
    expires_ns = (int(text) if text.isdecimal() else Fraction(text)) * SECOND_NS
    return now_ns - OLDEST_S * SECOND_NS <= expires_ns < now_ns

"""What an operation costs: read units of 4 KB, write units of 1 KB, and the ConsumedCapacity bodies that say so
(api.md §5).

Rules: sizes come in as bytes and units leave as numbers; nothing here throttles (that is admission, in the service).
One kilobyte is 1,024 bytes. Reads cost halves, which floats hold exactly; whoever decides by them counts the halves,
in integers. An index pays for its own entries: a global one with its own units, a local one with its table's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from dynalab_model.values import Item, item_size

READ_UNIT_BYTES = 4096
WRITE_UNIT_BYTES = 1024

CapacityBody: TypeAlias = "dict[str, str | float | dict[str, float] | dict[str, dict[str, float]]]"


def read_half_units(size_bytes: int, consistent: bool) -> int:
    """Read units for `size_bytes` of evaluated data, counted in halves: what an eventual read of 4 KB costs is 1.

    >>> read_half_units(7 * 1024, True), read_half_units(7 * 1024, False), read_half_units(0, False)
    (4, 2, 1)
    """
    units = -(-size_bytes // READ_UNIT_BYTES) or 1
    return 2 * units if consistent else units


def read_units(size_bytes: int, consistent: bool) -> float:
    """Read units for `size_bytes` of evaluated data; half for an eventual read; never less than one item's minimum.

    A page of a Query passes the sum over its evaluated items and rounds once; GetItem passes one item, absent is 0
    bytes.

    >>> read_units(7 * 1024, True), read_units(7 * 1024, False), read_units(0, False)
    (2.0, 1.0, 0.5)
    """
    return read_half_units(size_bytes, consistent) / 2


def write_units(before_bytes: int, after_bytes: int = 0) -> int:
    """Write units for one item: the larger of what was there and what is there now, whole kilobytes, at least one.

    The same rule prices a condition that failed (`after_bytes` is then what a put would have stored, else 0).

    >>> write_units(300 * 1024, 350 * 1024), write_units(0, 512), write_units(0)
    (350, 1, 1)
    """
    return -(-max(before_bytes, after_bytes) // WRITE_UNIT_BYTES) or 1


def item_write_units(before: Item | None, after: Item | None) -> int:
    """`write_units` of two items; None is an absent item.

    >>> item_write_units(None, {"pk": {"S": "a"}})
    1
    """
    return write_units(item_size(before) if before else 0, item_size(after) if after else 0)


def failed_condition_units(current: Item | None, offered: Item | None = None) -> int:
    """What a write costs whose condition was false: the larger of the item found and the item a put offered.

    >>> failed_condition_units(None)
    1
    """
    return item_write_units(current, offered)


def fetched_units(size_bytes: int) -> int:
    """Whole read units for one base item that a read of a local index fetches: each is rounded up by itself.

    >>> sum(fetched_units(200) for _ in range(4))  # and one for the entries: the guide's 20 KB, 5 units
    4
    """
    return -(-size_bytes // READ_UNIT_BYTES) or 1


def consumed(
    table: str,
    mode: str,
    table_units: float,
    index_units: Iterable[tuple[str, float]] = (),
    local_units: Iterable[tuple[str, float]] = (),
    *,
    access: str = "",
) -> CapacityBody | None:
    """The ConsumedCapacity member for ReturnConsumedCapacity NONE (None), TOTAL or INDEXES.

    `index_units` are (index name, units) pairs of global indexes, `local_units` of local ones; several of one index are
    added up, and an index that cost nothing is left out. Transactions say of every figure whether it counts reads or
    writes: `access` is then Read or Write.

    >>> consumed("T", "INDEXES", 1, [("I", 2)])["GlobalSecondaryIndexes"]
    {'I': {'CapacityUnits': 2.0}}
    >>> consumed("T", "TOTAL", 4, access="Write")
    {'TableName': 'T', 'CapacityUnits': 4.0, 'WriteCapacityUnits': 4.0}
    """
    if mode == "NONE":
        return None
    arms, local = _added_up(index_units), _added_up(local_units)
    total = float(table_units + sum(arms.values()) + sum(local.values()))
    body: CapacityBody = {"TableName": table, **_figures(total, access)}
    if mode == "INDEXES":
        body["Table"] = _figures(float(table_units), access)
        for member, by_index in (("LocalSecondaryIndexes", local), ("GlobalSecondaryIndexes", arms)):
            if by_index:
                body[member] = {index: _figures(units, access) for index, units in by_index.items()}
    return body


def _figures(units: float, access: str) -> dict[str, float]:
    figures = {"CapacityUnits": units}
    if access:
        figures[f"{access}CapacityUnits"] = units
    return figures


def _added_up(pairs: Iterable[tuple[str, float]]) -> dict[str, float]:
    arms: dict[str, float] = {}
    for index, units in pairs:
        arms[index] = arms.get(index, 0.0) + units
    return arms


def consumed_read(
    table: str,
    mode: str,
    evaluated_bytes: int,
    consistent: bool,
    index: str | None = None,
    *,
    local: bool = False,
    fetched: int = 0,
) -> CapacityBody | None:
    """ConsumedCapacity of one GetItem, or of one page of a Query or Scan.

    A read of an index costs the table nothing, unless it is `local` and fetched items: `fetched` is the sum of their
    `fetched_units`.

    >>> consumed_read("T", "TOTAL", 100 * 100, True)
    {'TableName': 'T', 'CapacityUnits': 3.0}
    """
    if mode == "NONE":
        return None
    units = read_units(evaluated_bytes, consistent)
    if index is None:
        return consumed(table, mode, units)
    if local:
        return consumed(table, mode, fetched * (1.0 if consistent else 0.5), (), [(index, units)])
    return consumed(table, mode, 0.0, [(index, units)])


def consumed_write(
    table: str,
    mode: str,
    before: Item | None,
    after: Item | None,
    index_units: Mapping[str, int] | None = None,
    local_units: Mapping[str, int] | None = None,
) -> CapacityBody | None:
    """ConsumedCapacity of one write: the table's arm by item sizes, the indexes' arms as `items.index_changes` and
    `items.local_changes` priced them.

    >>> consumed_write("T", "TOTAL", None, {"pk": {"S": "a"}}, {"I": 1})
    {'TableName': 'T', 'CapacityUnits': 2.0}
    """
    if mode == "NONE":
        return None
    units = item_write_units(before, after)
    return consumed(table, mode, units, (index_units or {}).items(), (local_units or {}).items())

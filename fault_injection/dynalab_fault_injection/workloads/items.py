"""Items and requests of the workloads: one attribute `v` that is unique in the run, so every read names the write it
saw.

Writes always ask for ALL_OLD, also when their condition fails: the order of versions is then observed and checking is
cheap.
"""

from __future__ import annotations

from dynalab_checkers.history import Json
from dynalab_impl.effects import JSON
from dynalab_model.operations import DeleteItem, GetItem, PutItem
from dynalab_model.values import Item

ALL_OLD = "ALL_OLD"


def get(table: str, key: str, *, consistent: bool) -> GetItem:
    return GetItem(table, {"pk": {"S": key}}, consistent=consistent)


def put(table: str, key: str, value: int, more: Item | None = None) -> PutItem:
    """Write whatever is there now."""
    item: Item = {"pk": {"S": key}, "v": {"N": str(value)}, **(more or {})}
    return PutItem(table, item, return_values=ALL_OLD, return_on_failure=ALL_OLD)


def put_if(table: str, key: str, expected: int | None, value: int, more: Item | None = None) -> PutItem:
    """Write only over the expected value, None for no item."""
    request = put(table, key, value, more)
    if expected is None:
        request.condition = "attribute_not_exists(pk)"
    else:
        request.condition = "v = :expected"
        request.values = {":expected": {"N": str(expected)}}
    return request


def delete_if(table: str, key: str, expected: int) -> DeleteItem:
    """Delete only the expected value."""
    return DeleteItem(
        table,
        {"pk": {"S": key}},
        condition="v = :expected",
        values={":expected": {"N": str(expected)}},
        return_values=ALL_OLD,
        return_on_failure=ALL_OLD,
    )


def value_of(item: JSON | Json) -> int | None:
    """The `v` of an item in wire form, None for no item.

    >>> value_of({"pk": {"S": "k"}, "v": {"N": "7"}}), value_of(None)
    (7, None)
    """
    if item is None:
        return None
    assert isinstance(item, dict)
    attribute = item["v"]
    assert isinstance(attribute, dict)
    return int(str(attribute["N"]))

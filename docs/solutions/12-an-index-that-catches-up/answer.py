"""A solution of exercise 12."""

from __future__ import annotations


def entry_of(item: dict | None, key: str, projected: list) -> dict | None:
    """The item's entry; None if it has none."""
    if item is None or key not in item:
        return None
    return {name: item[name] for name in ("id", key, *projected) if name in item}


def owed(before: dict | None, after: dict | None, key: str, projected: list) -> list:
    """Delete what must go, put what is new or other."""
    old, new = entry_of(before, key, projected), entry_of(after, key, projected)
    changes = []
    if old is not None and (new is None or new[key] != old[key]):
        changes.append(["delete", old[key], old["id"]])
    if new is not None and new != old:
        changes.append(["put", new[key], new["id"], new])
    return changes


def apply(changes: list) -> dict:
    """Remember the version of every place, also of those that are empty."""
    versions: dict = {}
    index: dict = {}
    for version, kind, place, *entry in changes:
        if version <= versions.get(place, 0):
            continue
        versions[place] = version
        if kind == "put":
            index[place] = entry[0]
        else:
            index.pop(place, None)
    return index


def accepted(writes: list, capacity: int, bound: int) -> list:
    """What is taken is carried, or waits."""
    waiting = 0
    seconds = []
    for arriving in writes:
        taken = min(arriving, capacity + bound - waiting)
        waiting = max(0, waiting + taken - capacity)
        seconds.append([taken, waiting])
    return seconds

"""One right answer to exercise 01. The test suite grades it; the site and the wheel leave it out."""

from __future__ import annotations

from typing import Any


def may_acknowledge(holders: list[str], members: list[str]) -> bool:
    """A majority meets every other majority; two zones survive the loss of one."""
    zones = {member.split("/")[0] for member in holders}
    return len(holders) > len(members) // 2 and len(zones) > 1


def all_fresh(reads: int) -> list[int]:
    """Independent draws: (2/3) to the power of `reads`; 2 and 3 share no factor."""
    return [2**reads, 3**reads]


def first_step_back(events: list[dict[str, Any]]) -> int | None:
    """One pass over the completions, with what each value's writer is known to have done."""
    invoked: dict[int, dict[str, Any]] = {}
    acknowledged: dict[str, list[tuple[int, int, Any]]] = {}
    deleted: dict[str, int] = {}
    reads: list[tuple[str, int, int, int, Any]] = []
    for event in events:
        if event["type"] == "invoke":
            invoked[event["process"]] = event
            if event["f"] == "delete" or (event["f"] == "cas" and event["value"][1] is None):
                deleted.setdefault(event["key"], event["time"])
            continue
        start = invoked.pop(event["process"])
        if event["type"] != "ok":
            continue
        key = start["key"]
        if start["f"] in ("write", "cas"):
            value = start["value"][-1] if start["f"] == "cas" else start["value"]
            acknowledged.setdefault(key, []).append((start["time"], event["time"], value))
        elif start["f"] == "read" and start.get("consistency", "strong") == "strong":
            reads.append((key, start["time"], event["time"], event["index"], event.get("value")))
    for key, began, ended, index, got in reads:
        writes = acknowledged.get(key, [])
        before = [w for w in writes if w[1] < began and w[2] != got]
        if got is None:
            if before and not (key in deleted and deleted[key] <= ended):
                return index
            continue
        source = next((w for w in writes if w[2] == got), None)
        if source is not None and any(source[1] < w[0] for w in before):
            return index
    return None

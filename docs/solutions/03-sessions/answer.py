"""One right answer to exercise 03. The test suite grades it; the site and the wheel leave it out."""

from __future__ import annotations

from typing import Any


def broken() -> dict[str, str]:
    """Each letter with the guarantee that a session lost."""
    right = {"a": "monotonic-reads", "b": "none", "c": "monotonic-reads", "d": "monotonic-writes"}
    return right | {"e": "writes-follow-reads", "f": "none", "g": "read-your-writes", "h": "read-your-writes"}


def kept(events: list[dict[str, Any]]) -> list[str]:
    """Number the versions along the chain of replaced values; then every session must only go up."""
    after = {event["old"]: event["value"] for event in events if event["f"] == "write" and event["type"] == "ok"}
    rank: dict[Any, int] = {None: 0}
    value = None
    while value in after:
        rank[after[value]] = rank[value] + 1
        value = after[value]
    wrote: dict[int, int] = {}
    saw: dict[int, int] = {}
    lost = set()
    for event in events:
        if event["type"] != "ok":
            continue
        process, version = event["process"], rank[event["value"]]
        if event["f"] == "write":
            wrote[process] = max(wrote.get(process, 0), version)
            continue
        if version < wrote.get(process, 0):
            lost.add("read-your-writes")
        if version < saw.get(process, 0):
            lost.add("monotonic-reads")
        saw[process] = max(saw.get(process, 0), version)
    return [name for name in ("read-your-writes", "monotonic-reads") if name not in lost]

"""A solution of exercise 13."""

from __future__ import annotations

FIVE_YEARS_S = 5 * 365 * 86_400
SERVICE = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


def readable(shards: dict, read: list) -> list:
    """Those whose parent is read, or gone."""
    return sorted(s for s, parent in shards.items() if s not in read and (parent not in shards or parent in read))


def counted(batches: list) -> dict:
    """Each record counts once, whenever it comes: what it adds does not depend on the order."""
    seen = set()
    counts: dict = {}
    for record in (record for batch in batches for record in batch):
        if record["seq"] in seen:
            continue
        seen.add(record["seq"])
        owner = record["keys"]["list"]
        counts[owner] = counts.get(owner, 0) + is_open(record, "new") - is_open(record, "old")
    return {owner: count for owner, count in counts.items() if count}


def is_open(record: dict, image: str) -> bool:
    """Whether there is a task in this image that is not done."""
    return image in record and not record[image].get("done")


def swept(items: dict, now: int) -> list:
    """Numbers in the past, but not too far."""
    return sorted(key for key, value in items.items() if isinstance(value, int) and now - FIVE_YEARS_S <= value < now)


def archive(records: list) -> list:
    """What the service itself removed, once each, by number."""
    gone = {int(r["seq"]): r["old"] for r in records if r["event"] == "REMOVE" and r.get("identity") == SERVICE}
    return [gone[number] for number in sorted(gone)]

"""A solution of exercise 08."""

from __future__ import annotations


def lacks(base: int, last: int, match: int, most: int) -> list | None:
    """Entries behind `base` are held."""
    if match >= last:
        return None
    if match < base:
        return ["snapshot", last]
    return ["entries", match + 1, min(most, last - match)]


def on_entries(follower: dict, first: int, entries: list, commit: int) -> list:
    """Put what is new into its place, then apply what is committed."""
    matched, log, base = follower["matched"], follower["log"], follower["base"]
    if first <= matched + 1:
        fresh = entries[matched + 1 - first :]
        at = matched - base
        log[at : at + len(fresh)] = fresh
        follower["matched"] = matched + len(fresh)
        while follower["commit"] < min(commit, follower["matched"]):
            key, value = log[follower["commit"] - base]
            follower["rows"][key] = value
            follower["commit"] += 1
    return ["accepted", follower["matched"]]


def install(follower: dict, slot: int, rows: dict) -> None:
    """The rows are the state; accepted entries behind the slot stay."""
    follower["rows"] = rows
    follower["log"] = follower["log"][max(0, slot - follower["base"]) :]
    follower["base"] = follower["commit"] = slot
    follower["matched"] = max(follower["matched"], slot)


def follow(follower: dict, messages: list) -> list:
    """One message after the other; `gathered` holds the pieces of at most one snapshot."""
    answers: list = []
    gathered: list | None = None  # [slot, next number, rows]
    for message in messages:
        if message[0] == "restart":
            gathered = None
            follower["matched"] = follower["commit"]
            answers.append(None)
        elif message[0] == "entries":
            answers.append(on_entries(follower, *message[1:]))
        else:
            _, slot, number, rows, last = message
            if slot <= follower["commit"]:
                answers.append(["accepted", follower["matched"]])
                continue
            if gathered is None or gathered[0] != slot:
                gathered = [slot, 0, {}]
            if number > gathered[1]:
                gathered = None
                answers.append(["again", slot])
                continue
            if number == gathered[1]:
                gathered[1] += 1
                gathered[2].update(rows)
                if last:
                    install(follower, slot, gathered[2])
                    gathered = None
            answers.append(["taken", slot, number])
    return [follower, answers]


def messages_needed(base: int, last: int, match: int, rows: int, piece: int, most: int, rate: int) -> int | None:
    """The follower comes nearer only if a message carries more than is written meanwhile."""
    sent = 0
    if match >= last:
        return 0
    if match < base:
        match, sent = last, max(1, -(-rows // piece))
        last += sent * rate
        if match == last:
            return sent
    if last - match > most and rate >= most:
        return None
    sent += 1
    while last - match > most:
        match += most
        last += rate
        sent += 1
    return sent

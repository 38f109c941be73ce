"""A solution of exercise 11."""

from __future__ import annotations

from collections.abc import Iterator


def prepare(world: dict, txn: str, stamp: int, action: list) -> list:
    """Accept, or say why not."""
    key, expected, _ = action
    holder = world["held"].get(key)
    if holder is not None:
        return [world, "accepted" if holder[0] == txn else "held"]
    value, last = world["items"].get(key, [None, world["deleted"]])
    if expected not in ("*", value):
        return [world, "condition"]
    if stamp <= last:
        return [world, "old"]
    world["held"][key] = [txn, stamp]
    return [world, "accepted"]


def finish(world: dict, txn: str, action: list, commit: bool) -> dict:
    """Carry out what the marker says, or take it away."""
    key, _, value = action
    holder = world["held"].get(key)
    if holder is None or holder[0] != txn:
        return world
    del world["held"][key]
    if commit:
        if value == "=":
            value = world["items"].get(key, [None])[0]
        if value is not None:
            world["items"][key] = [value, holder[1]]
        else:
            world["items"].pop(key, None)
            world["deleted"] = max(world["deleted"], holder[1])
    return world


def coordinate(world: dict, txn: str) -> Iterator[str]:
    """The steps of one coordinator: each is told, and taken when the next one is asked for."""
    entry = world["ledger"].get(txn)
    if entry is None:
        for key in sorted(key for key, holder in world["held"].items() if holder[0] == txn):
            yield f"cancel {key}"
            finish(world, txn, [key, "*", "="], False)
        return
    if entry[0] == "preparing":
        decision = "committed"
        for action in entry[2]:
            yield f"prepare {action[0]}"
            if prepare(world, txn, entry[1], action)[1] != "accepted":
                decision = "cancelled"
                break
        yield f"decide {decision}"
        entry[0] = decision
    commit = entry[0] == "committed"
    for action in entry[2]:
        yield f"{'commit' if commit else 'cancel'} {action[0]}"
        finish(world, txn, action, commit)


def recover(world: dict, txn: str, deaths: list) -> list:
    """One coordinator after the other."""
    steps = []
    for life in [*deaths, None]:
        for number, step in enumerate(coordinate(world, txn)):
            if number == life:
                break
            steps.append(step)
    return [world, steps]

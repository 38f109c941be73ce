"""The questions of exercise 11, judged by a partition and a coordinator written down here.

The world of a story is checked besides: whatever the coordinators' deaths, all of the transaction is there in the end
or nothing of it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from dynalab.grade import JSON, Case, Judge

World = dict[str, Any]
Action = list[Any]


def world_of(items: dict[str, list[Any]], deleted: int = 0, held: World | None = None, **ledger: list[Any]) -> World:
    return {"items": items, "deleted": deleted, "held": held or {}, "ledger": ledger}


# --- what a right answer does -----------------------------------------------------------------------------------------


def prepared(world: World, txn: str, stamp: int, action: Action) -> str:
    key, expected, _ = action
    if key in world["held"]:
        return "accepted" if world["held"][key][0] == txn else "held"
    value, last = world["items"].get(key) or (None, world["deleted"])
    if expected != "*" and expected != value:
        return "condition"
    if stamp <= last:
        return "old"
    world["held"][key] = [txn, stamp]
    return "accepted"


def finished(world: World, txn: str, action: Action, commit: bool) -> None:
    key, _, value = action
    if world["held"].get(key, [None])[0] != txn:
        return
    _, stamp = world["held"].pop(key)
    if not commit:
        return
    known = world["items"].pop(key, None)
    if value == "=":
        value = None if known is None else known[0]
    if value is None:
        world["deleted"] = max(world["deleted"], stamp)
    else:
        world["items"][key] = [value, stamp]


def steps_of(world: World, txn: str, life: int | None) -> list[str]:
    """One coordinator, until it dies."""
    steps: list[str] = []
    entry = world["ledger"].get(txn)

    def alive() -> bool:
        return life is None or len(steps) < life

    if entry is None:
        for key in sorted(key for key, holder in world["held"].items() if holder[0] == txn):
            if alive():
                finished(world, txn, [key, "*", "="], False)
                steps.append(f"cancel {key}")
        return steps
    state, stamp, actions = entry
    if state == "preparing":
        decision = "committed"
        for action in actions:
            if not alive():
                return steps
            steps.append(f"prepare {action[0]}")
            if prepared(world, txn, stamp, action) != "accepted":
                decision = "cancelled"
                break
        if not alive():
            return steps
        entry[0] = decision
        steps.append(f"decide {decision}")
    for action in actions:
        if not alive():
            return steps
        finished(world, txn, action, entry[0] == "committed")
        steps.append(f"{'commit' if entry[0] == 'committed' else 'cancel'} {action[0]}")
    return steps


# --- tasks 1 and 2 ----------------------------------------------------------------------------------------------------


def differs(got: JSON, wanted: World, words: str) -> str | None:
    if not isinstance(got, dict):
        return f"the world is a dict, not {got!r:.80}"
    for name, value in wanted.items():
        if got.get(name) != value:
            return f"{words}: {name!r} is {value!r:.200} afterwards, not {got.get(name)!r:.200}"
    return None


def prepare_cases() -> Iterator[Case]:
    x = {"x": [7, 12]}
    asked: list[tuple[str, World, int, Action]] = [
        ("an item as expected, and a later timestamp", world_of(x), 13, ["x", 7, 8]),
        ("an item that nothing is asked of", world_of(x), 13, ["x", "*", 8]),
        ("another value", world_of(x), 13, ["x", 6, 8]),
        ("a timestamp equal to the item's", world_of(x), 12, ["x", 7, 8]),
        ("the marker is there already, though the timestamp is old", world_of(x, 0, {"x": ["T", 9]}), 9, ["x", 7, 8]),
        ("another transaction holds the item", world_of(x, 0, {"x": ["U", 20]}), 30, ["x", 7, 8]),
        ("an item that is not there, as expected", world_of({}, 5), 6, ["y", None, 1]),
        ("something was deleted later than this transaction", world_of({}, 9), 9, ["y", None, 1]),
        ("an item is there though none is expected", world_of(x), 13, ["x", None, 8]),
        ("an older delete says nothing of an item that is there", world_of(x, 40), 13, ["x", 7, None]),
    ]
    for number, (words, world, stamp, action) in enumerate(asked, start=1):
        start, wanted = deepcopy(world), deepcopy(world)
        answer = prepared(wanted, "T", stamp, action)

        def judge(got: JSON, answer: str = answer, wanted: World = wanted, words: str = words) -> str | None:
            if not isinstance(got, list) or len(got) != 2:
                return f"[world, answer] is wanted, not {got!r:.80}"
            if got[1] != answer:
                return f"{words}: {answer!r}, not {got[1]!r:.80}"
            return differs(got[0], wanted, words)

        yield Case(f"prepare-{number}", 1, "prepare", [start, "T", stamp, action], judge)


def finish_cases() -> Iterator[Case]:
    x, mine = {"x": [7, 12]}, {"x": ["T", 15]}
    asked: list[tuple[str, World, Action, bool]] = [
        ("a write is committed", world_of(x, 3, mine), ["x", 7, 8], True),
        ("a write is cancelled", world_of(x, 3, mine), ["x", 7, 8], False),
        ("a delete is committed", world_of(x, 3, mine), ["x", 7, None], True),
        ("a delete does not lower what was deleted later", world_of(x, 30, mine), ["x", 7, None], True),
        ("a condition check is committed", world_of(x, 3, mine), ["x", 7, "="], True),
        ("a check that an item is not there is committed", world_of({}, 3, {"y": ["T", 15]}), ["y", None, "="], True),
        ("a copy: it was committed before", world_of({"x": [9, 20]}, 3), ["x", 7, 8], True),
        ("another transaction holds the item now", world_of(x, 3, {"x": ["U", 15]}), ["x", 7, 8], False),
    ]
    for number, (words, world, action, commit) in enumerate(asked, start=1):
        start, wanted = deepcopy(world), deepcopy(world)
        finished(wanted, "T", action, commit)

        def judge(got: JSON, wanted: World = wanted, words: str = words) -> str | None:
            return differs(got, wanted, words)

        yield Case(f"finish-{number}", 1, "finish", [start, "T", action, commit], judge)


# --- task 3 -----------------------------------------------------------------------------------------------------------


def told() -> Iterator[tuple[str, World, list[int]]]:
    """Stories told by hand: each fails for one mistake."""
    both: list[Action] = [["x", 7, 8], ["y", None, 1]]
    x = {"x": [7, 12]}
    yield "nobody dies", world_of(x, T=["preparing", 15, both]), []
    yield "it dies between the two prepares", world_of(x, T=["preparing", 15, both]), [1]
    yield "it dies between the two commits", world_of(x, T=["preparing", 15, both]), [4]
    yield "two die, at the same step", world_of(x, T=["preparing", 15, both]), [2, 2]
    yield (
        "one condition fails, and it dies before it has cancelled",
        world_of(x, T=["preparing", 15, both[::-1]]),
        [0, 3],
    )
    yield "the second item is not as expected", world_of({**x, "y": [3, 2]}, T=["preparing", 15, both]), [3]
    yield "an item was written later", world_of({"x": [7, 99]}, T=["preparing", 15, both]), [1]
    yield "another transaction holds the second item", world_of(x, 0, {"y": ["U", 9]}, T=["preparing", 15, both]), [2]
    yield "the ledger says committed", world_of(x, 0, {"y": ["T", 15]}, T=["committed", 15, both]), []
    yield "the ledger says cancelled", world_of(x, 0, {"y": ["T", 15]}, T=["cancelled", 15, both]), [1]
    yield "the ledger does not know it any more", world_of(x, 0, {"y": ["T", 15], "x": ["T", 15], "z": ["U", 4]}), [1]


def drawn(rng: random.Random, number: int) -> tuple[str, World, list[int]]:
    """More items, checks and deletes, and many deaths."""
    keys = [f"k{n}" for n in range(6)]
    items = {key: [rng.randrange(3), rng.randrange(1, 30)] for key in keys if rng.randrange(3)}
    actions: list[Action] = []
    for key in rng.sample(keys, 4):
        value = items[key][0] if key in items else None
        expected = value if rng.randrange(8) else 99
        actions.append([key, rng.choice((expected, expected, "*")), rng.choice((5, 6, None, "="))])
    held = {rng.choice(keys): ["U", 3]} if rng.randrange(4) == 0 else {}
    world = world_of(items, rng.randrange(20), held, T=["preparing", rng.randrange(25, 45), actions])
    return f"drawn, {number}", world, [rng.randrange(8) for _ in range(rng.randrange(4))]


def judge_recovery(words: str, world: World, deaths: list[int]) -> Judge:
    wanted, steps = deepcopy(world), []
    for life in [*deaths, None]:
        steps += steps_of(wanted, "T", life)
    assert not any(holder[0] == "T" for holder in wanted["held"].values()), "no marker is left"

    def judge(got: JSON) -> str | None:
        if not isinstance(got, list) or len(got) != 2:
            return f"[world, steps] is wanted, not {got!r:.80}"
        if got[1] != steps:
            return f"{words}, deaths {deaths}: the steps are {steps}, not {got[1]!r:.400}"
        return differs(got[0], wanted, words)

    return judge


def recover_cases(seeds: list[int]) -> Iterator[Case]:
    rng = random.Random(seeds[0])
    stories = [*told(), *(drawn(rng, number) for number in range(1, 4))]
    for number, (words, world, deaths) in enumerate(stories, start=1):
        judge = judge_recovery(words, world, deaths)
        yield Case(f"recover-{number}", 1, "recover", [deepcopy(world), "T", deaths], judge)


def cases(seeds: list[int]) -> Iterator[Case]:
    yield from prepare_cases()
    yield from finish_cases()
    yield from recover_cases(seeds)

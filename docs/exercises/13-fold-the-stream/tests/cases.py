"""The questions of exercise 13, judged by folds of the true sequence of changes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from dynalab.grade import JSON, Case, Judge

Record = dict[str, Any]
SERVICE = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
YEARS_5 = 5 * 365 * 86_400
FIRST = 10**20  # sequence numbers have 21 digits and more


def wanted_is(wanted: JSON, words: str) -> Judge:
    def judge(got: JSON) -> str | None:
        return None if got == wanted else f"{words}: {wanted!r:.300}, not {got!r:.300}"

    return judge


# --- task 1 -----------------------------------------------------------------------------------------------------------


def ready(shards: dict[str, str | None], read: list[str]) -> list[JSON]:
    known = [one for one, parent in shards.items() if one not in read and (parent not in shards or parent in read)]
    return [*sorted(known)]


def readable_cases() -> Iterator[Case]:
    family: dict[str, str | None] = {"a": None, "b": "a", "c": "a", "d": "b", "e": "b"}
    asked: list[tuple[str, dict[str, str | None], list[str]]] = [
        ("a shard alone", {"a": None}, []),
        ("a parent and its children", family, []),
        ("the parent is read", family, ["a"]),
        ("one child is read", family, ["a", "b"]),
        ("the parent was trimmed", {"b": "a", "c": "a", "d": "b"}, []),
        ("all is read", family, ["a", "b", "c", "d", "e"]),
    ]
    for number, (words, shards, read) in enumerate(asked, start=1):
        yield Case(f"readable-{number}", 1, "readable", [dict(shards), [*read]], wanted_is(ready(shards, read), words))


# --- task 2 -----------------------------------------------------------------------------------------------------------


def record(number: int, task: tuple[str, str], new: Record | None, old: Record | None, **more: Any) -> Record:
    event = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
    made: Record = {"seq": str(FIRST + number), "event": event, "keys": {"list": task[0], "task": task[1]}, **more}
    return made | ({} if new is None else {"new": new}) | ({} if old is None else {"old": old})


class Todo:
    """A table of tasks, and the records of its changes."""

    def __init__(self) -> None:
        self.tasks: dict[tuple[str, str], Record] = {}
        self.records: list[Record] = []

    def put(self, owner: str, task: str, **image: Any) -> None:
        old = self.tasks.get((owner, task))
        self.tasks[owner, task] = image
        self.records.append(record(9 * len(self.records) + 1, (owner, task), image, old))

    def remove(self, owner: str, task: str) -> None:
        old = self.tasks.pop((owner, task))
        self.records.append(record(9 * len(self.records) + 1, (owner, task), None, old))

    def open(self) -> dict[str, JSON]:
        owners = sorted({owner for (owner, _), image in self.tasks.items() if not image.get("done")})
        return {o: sum(k[0] == o and not image.get("done") for k, image in self.tasks.items()) for o in owners}


def filled(rng: random.Random | None = None) -> Todo:
    todo = Todo()
    for number in range(3):
        todo.put("1", f"t{number}")
    todo.put("2", "t0")
    if rng is None:
        return todo
    for _ in range(40):
        owner, task = rng.choice("123"), f"t{rng.randrange(4)}"
        if (owner, task) in todo.tasks and rng.randrange(3) == 0:
            todo.remove(owner, task)
        else:
            todo.put(owner, task, **({"done": True} if rng.randrange(3) == 0 else {}))
    return todo


def counted_cases(seeds: list[int]) -> Iterator[Case]:
    todo = filled()
    yield _counts(1, "new tasks", [todo.records], todo)
    yield _counts(2, "a batch that comes twice", [todo.records, todo.records], todo)
    half = len(todo.records) // 2
    again = [todo.records, todo.records[:half], todo.records[half:]]
    yield _counts(3, "a batch that comes again in halves", again, todo)
    todo.put("1", "t0", done=True)
    yield _counts(4, "a task is done", [todo.records], todo)
    todo.put("1", "t0", done=True, note="again")
    yield _counts(5, "a task that is done changes", [todo.records], todo)
    todo.remove("1", "t0")
    todo.remove("2", "t0")
    yield _counts(6, "tasks are removed, one of them done", [todo.records, todo.records[-2:]], todo)
    todo.put("2", "t0")
    yield _counts(7, "a task comes back", [todo.records[:5], todo.records, todo.records[3:6]], todo)
    rng = random.Random(seeds[0])
    for number in range(8, 11):
        todo = filled(rng)
        batches = [todo.records[at : at + 5] for at in range(0, len(todo.records), 5)]
        batches = [*batches, *rng.sample(batches, 4)]
        rng.shuffle(batches)
        yield _counts(number, "batches that come late and again", batches, todo)


def _counts(number: int, words: str, batches: list[list[Record]], todo: Todo) -> Case:
    copy: list[JSON] = [[*batch] for batch in batches]
    return Case(f"counted-{number}", 1, "counted", [copy], wanted_is(todo.open(), words))


# --- tasks 3 and 4 ----------------------------------------------------------------------------------------------------


def swept_cases() -> Iterator[Case]:
    now = 1_700_000_000
    asked: list[tuple[str, dict[str, Any], list[str]]] = [
        ("a second ago", {"a": now - 1}, ["a"]),
        ("just now", {"a": now}, []),
        ("in a second", {"a": now + 1}, []),
        ("text", {"a": str(now - 9)}, []),
        ("no such attribute", {"a": None, "b": now - 9}, ["b"]),
        ("five years ago to the second", {"a": now - YEARS_5}, ["a"]),
        ("more than five years ago", {"a": now - YEARS_5 - 1, "b": 0}, []),
        ("milliseconds: far in the future", {"z": now - 5, "b": (now - 5) * 1000, "c": now - 5}, ["c", "z"]),
    ]
    for number, (words, items, wanted) in enumerate(asked, start=1):
        yield Case(f"swept-{number}", 1, "swept", [dict(items), now], wanted_is([*wanted], words))


def archive_cases() -> Iterator[Case]:
    gone = record(4, ("1", "a"), None, {"n": 1}, identity=SERVICE)
    later = record(11, ("1", "b"), None, {"n": 2}, identity=SERVICE)
    much_later = record(10**21 - FIRST, ("1", "g"), None, {"n": 9}, identity=SERVICE)  # one digit more
    by_hand = record(5, ("1", "c"), None, {"n": 3})
    by_role = record(6, ("1", "d"), None, {"n": 4}, identity={"type": "User", "principalId": "dynamodb.amazonaws.com"})
    other = record(8, ("1", "f"), None, {"n": 5}, identity={"type": "Service", "principalId": "lambda.amazonaws.com"})
    changed = record(7, ("1", "e"), {"n": 6}, {"n": 5}, identity=SERVICE)
    asked: list[tuple[str, list[Record], list[JSON]]] = [
        ("an item has expired", [gone], [{"n": 1}]),
        ("one was deleted by hand", [gone, by_hand], [{"n": 1}]),
        ("somebody else, and another service", [by_role, gone, other], [{"n": 1}]),
        ("a change is no removal", [changed], []),
        ("records that come twice", [gone, later, gone], [{"n": 1}, {"n": 2}]),
        ("numbers are compared as numbers", [much_later, gone], [{"n": 1}, {"n": 9}]),
    ]
    for number, (words, records, wanted) in enumerate(asked, start=1):
        yield Case(f"archive-{number}", 1, "archive", [[*records]], wanted_is(wanted, words))


def cases(seeds: list[int]) -> Iterator[Case]:
    yield from readable_cases()
    yield from counted_cases(seeds)
    yield from swept_cases()
    yield from archive_cases()

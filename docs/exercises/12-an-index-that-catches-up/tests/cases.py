"""The questions of exercise 12. What a write owes is judged by the model's own rule for indexes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from dynalab.grade import JSON, Case, Judge
from dynalab_model.items import index_changes
from dynalab_model.schema import IndexSchema, KeyAttribute, KeySchema, TableSchema
from dynalab_model.values import Item

Plain = dict[str, Any]


def wanted_is(wanted: JSON, words: str) -> Judge:
    def judge(got: JSON) -> str | None:
        return None if got == wanted else f"{words}: {wanted!r:.300}, not {got!r:.300}"

    return judge


# --- task 1 -----------------------------------------------------------------------------------------------------------


def as_item(plain: Plain | None) -> Item | None:
    return None if plain is None else {name: {"S": str(value)} for name, value in plain.items()}


def as_plain(entry: Item) -> dict[str, JSON]:
    return {name: str(value["S"]) for name, value in entry.items()}


def owed_by_the_model(before: Plain | None, after: Plain | None, key: str, projected: list[str]) -> list[JSON]:
    """The same changes, from the rule that the implementation follows."""
    index = IndexSchema("i", KeySchema(KeyAttribute(key, "S")), "INCLUDE", tuple(projected))
    schema = TableSchema("T", KeySchema(KeyAttribute("id", "S")), (index,))
    out: list[JSON] = []
    for change in index_changes(schema, as_item(before), as_item(after)):
        if change.delete_key is not None:
            assert before is not None
            out.append(["delete", before[key], before["id"]])
        if change.put_key is not None:
            assert after is not None and change.entry is not None
            out.append(["put", after[key], after["id"], as_plain(change.entry)])
    return out


def owed_cases(seeds: list[int]) -> Iterator[Case]:
    a = {"id": "a", "place": "Riga", "note": "x", "size": "1"}
    asked: list[tuple[str, Plain | None, Plain | None]] = [
        ("a new item", None, a),
        ("a new item without the key", None, {"id": "a", "note": "x"}),
        ("a projected attribute changes", a, {**a, "note": "y"}),
        ("an attribute that is not projected changes", a, {**a, "size": "2"}),
        ("the key changes", a, {**a, "place": "Oslo"}),
        ("the key goes", a, {"id": "a", "note": "x", "size": "1"}),
        ("the item goes", a, None),
        ("an item without an entry goes", {"id": "a"}, None),
    ]
    rng = random.Random(seeds[0])
    for number in range(2):
        one, other = (
            {"id": "a", **{name: rng.choice("xy") for name in ("place", "note", "size") if rng.randrange(4)}}
            for _ in range(2)
        )
        asked.append((f"drawn, {number}", one, other))
    for number, (words, before, after) in enumerate(asked, start=1):
        judge = wanted_is(owed_by_the_model(before, after, "place", ["note"]), words)
        yield Case(f"owed-{number}", 1, "owed", [before, after, "place", ["note"]], judge)


# --- task 2 -----------------------------------------------------------------------------------------------------------


def held(changes: list[list[Any]]) -> dict[str, JSON]:
    """The newest change to each place."""
    newest: dict[str, list[Any]] = {}
    for change in changes:
        place = change[2]
        if place not in newest or change[0] > newest[place][0]:
            newest[place] = change
    return {place: change[3] for place, change in newest.items() if change[1] == "put"}


def apply_cases(seeds: list[int]) -> Iterator[Case]:
    put, delete = (lambda v, place, entry: [v, "put", place, entry]), (lambda v, place: [v, "delete", place])
    asked: list[tuple[str, list[list[Any]]]] = [
        ("nothing came", []),
        ("in order", [put(1, "Riga/a", "x"), put(2, "Oslo/b", "y"), put(3, "Riga/a", "z")]),
        ("an older put comes last", [put(3, "Riga/a", "z"), put(1, "Riga/a", "x")]),
        ("a delete overtakes the put before it", [delete(5, "Riga/a"), put(4, "Riga/a", "x")]),
        ("a delete that comes late does not undo what was put later", [put(6, "Riga/a", "z"), delete(5, "Riga/a")]),
        ("a copy of a put comes after its delete", [put(4, "Riga/a", "x"), delete(5, "Riga/a"), put(4, "Riga/a", "x")]),
        ("deleted, and put once more", [put(4, "Riga/a", "x"), delete(5, "Riga/a"), put(6, "Riga/a", "y")]),
        ("a key that changes: two places", [put(8, "Oslo/a", "x"), put(7, "Riga/a", "x"), delete(8, "Riga/a")]),
        ("two deletes with a put between them, backwards", [delete(9, "R/a"), put(8, "R/a", "x"), delete(7, "R/a")]),
    ]
    rng = random.Random(seeds[1])
    for number in range(3):
        changes = [
            put(version, rng.choice("abcd"), rng.choice("xyz"))
            if rng.randrange(3)
            else delete(version, rng.choice("abcd"))
            for version in range(1, 60)
        ]
        changes += rng.sample(changes, 30)
        rng.shuffle(changes)
        asked.append((f"drawn, {number}", changes))
    for number, (words, changes) in enumerate(asked, start=1):
        yield Case(f"apply-{number}", 1, "apply", [changes], wanted_is(held(changes), words))


# --- task 3 -----------------------------------------------------------------------------------------------------------


def taken(writes: list[int], capacity: int, bound: int) -> list[JSON]:
    waiting = 0
    seconds: list[JSON] = []
    for arriving in writes:
        took = max(0, min(arriving, bound + capacity - waiting))
        waiting = max(0, waiting + took - capacity)
        seconds.append([took, waiting])
    return seconds


def accepted_cases() -> Iterator[Case]:
    asked: list[tuple[str, list[int], int, int]] = [
        ("an index that keeps up", [10, 20, 30], 30, 100),
        ("a burst that fits into the backlog", [80, 0, 0], 30, 100),
        ("a burst that does not", [200, 0, 0], 30, 100),
        ("a constant key: the index takes half of what arrives", [100] * 8, 50, 200),
        ("the backlog is full, and drains", [300, 300, 0, 100, 10], 50, 100),
        ("an index that takes nothing", [40, 40, 40], 0, 60),
        ("no backlog is allowed", [40, 60], 50, 0),
        ("nothing arrives", [0, 0], 50, 10),
    ]
    for number, (words, writes, capacity, bound) in enumerate(asked, start=1):
        judge = wanted_is(taken(writes, capacity, bound), f"{words}, capacity {capacity}, bound {bound}, {writes}")
        yield Case(f"accepted-{number}", 1, "accepted", [list(writes), capacity, bound], judge)


def cases(seeds: list[int]) -> Iterator[Case]:
    yield from owed_cases(seeds)
    yield from apply_cases(seeds)
    yield from accepted_cases()

"""Convergence: once writes have stopped and faults have healed, copies agree and an index projects its base.

Rules of this room:
1. It compares final states that somebody else read; it never decides when a system has come to rest. Ask too early,
   and a lagging replica is called diverged.
2. What an index should hold is said by a function that the caller hands in; nothing here knows a table, a key or a
   projection.
3. The first difference in sorted order is named, so that two runs over the same states say the same sentence.

Source: consistency.md rows 2 and 7 (eventually the latest if writes stop; after quiescence index = projection of the
base, exactly, and a changed key never leaves both entries); seeds S27, S28, S29, S30.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

from dynalab_checkers.verdict import Verdict

CHECKER_REPLICAS = "convergence"
CHECKER_INDEX = "index-convergence"

Entry = TypeVar("Entry", bound=Hashable)

_ABSENT = object()


def check_replicas(replicas: Mapping[str, Mapping[str, object]]) -> Verdict:
    """All replicas hold the same items: replica name → (key → item).

    One replica, or none, agrees with itself. The sentence names the first key that differs and every value it has.

    >>> check_replicas({"n1": {"k1": 7}, "n2": {"k1": 7}}).verdict
    'valid'
    >>> verdict = check_replicas({"n1": {"k1": 7}, "n2": {"k1": 7}, "n3": {}})
    >>> verdict.verdict, verdict.why
    ('invalid', 'replicas differ on k1: 7 on n1 and n2, but absent on n3 (1 key of 1 differs)')
    """
    names = sorted(replicas)
    keys = sorted({key for name in names for key in replicas[name]})
    differing = [key for key in keys if len(_groups(replicas, names, key)) > 1]
    if not differing:
        return Verdict(verdict="valid", checker=CHECKER_REPLICAS)
    key = differing[0]
    sides = [f"{_show(value)} on {_listed(holders)}" for value, holders in _groups(replicas, names, key)]
    why = f"replicas differ on {key}: {', but '.join(sides)} ({_count(len(differing), 'key')} of {len(keys)} differs)"
    if len(differing) > 1:
        why = why.replace("differs)", "differ)")
    return Verdict(
        verdict="invalid",
        checker=CHECKER_REPLICAS,
        why=why,
        key=key,
        details={"differing": len(differing), "keys": len(keys), "replicas": len(names)},
    )


def check_index(
    base: Mapping[str, object],
    index: Mapping[Entry, object],
    project: Callable[[str, object], tuple[Entry, object] | None],
    owner: Callable[[Entry], str] | None = None,
) -> Verdict:
    """The index holds exactly the projection of the base.

    `base` maps a primary key to its item and `index` an entry's identity to what the entry holds. `project(key,
    item)` gives the identity and the content that the item should have in the index, or None for an item that the
    index leaves out (sparse, S30). An entry's identity must hold the base key, since two items may share one index
    key. Told apart: *missing* (the base has it, the index does not), *extra* (the index has it, no item projects to
    it) and *stale* (both have it, with different content). With `owner`, which tells an entry's base key, extra entries
    are told apart, too: of an item that was *deleted*, that *moved* to another entry, or that *left* the index.

    >>> by_owner = lambda key, item: ((item["owner"], key), item["size"]) if "owner" in item else None
    >>> base = {"k1": {"owner": "ann", "size": 3}, "k2": {"size": 4}}
    >>> check_index(base, {("ann", "k1"): 3}, by_owner).verdict
    'valid'
    >>> check_index(base, {("bob", "k1"): 3}, by_owner).why
    "index differs from its base: 1 missing entry, first ('ann', 'k1') of k1; 1 extra entry, first ('bob', 'k1')"
    """
    expected: dict[Entry, tuple[str, object]] = {}
    for key in sorted(base):
        projected = project(key, base[key])
        if projected is None:
            continue
        entry, content = projected
        # A projection that sends two items to one entry would hide a lost entry: that is an error of the caller, not
        # of the index.
        assert entry not in expected, f"{key} and {expected[entry][0]} project to the same index entry {entry!r}"
        expected[entry] = (key, content)
    missing = [entry for entry in expected if entry not in index]
    extra = sorted((entry for entry in index if entry not in expected), key=repr)
    stale = [entry for entry in expected if entry in index and index[entry] != expected[entry][1]]
    if not missing and not extra and not stale:
        return Verdict(verdict="valid", checker=CHECKER_INDEX)
    parts: list[str] = []
    if missing:
        parts.append(f"{_count(len(missing), 'missing entry')}, first {missing[0]!r} of {expected[missing[0]][0]}")
    if extra:
        parts.append(
            f"{_count(len(extra), 'extra entry')}, first {extra[0]!r}{_left_over(extra[0], owner, base, expected)}"
        )
    if stale:
        key, content = expected[stale[0]]
        parts.append(
            f"{_count(len(stale), 'stale entry')}, first {stale[0]!r}: "
            f"it holds {_show(index[stale[0]])}, while {key} projects to {_show(content)}"
        )
    first = missing + stale
    blamed = expected[first[0]][0] if first else owner(extra[0]) if owner is not None else None
    return Verdict(
        verdict="invalid",
        checker=CHECKER_INDEX,
        why="index differs from its base: " + "; ".join(parts),
        key=blamed,
        details={"missing": len(missing), "extra": len(extra), "stale": len(stale), "entries": len(expected)},
    )


def _left_over(
    entry: Entry,
    owner: Callable[[Entry], str] | None,
    base: Mapping[str, object],
    expected: Mapping[Entry, tuple[str, object]],
) -> str:
    """Whose an extra entry is, and what became of that item."""
    if owner is None:
        return ""
    key = owner(entry)
    if key not in base:
        return f" of {key}, which was deleted"
    now = next((place for place, (of_key, _) in expected.items() if of_key == key), None)
    return f" of {key}, which has left the index" if now is None else f" of {key}, which moved to {now!r}"


def _groups(replicas: Mapping[str, Mapping[str, object]], names: list[str], key: str) -> list[tuple[object, list[str]]]:
    """The different values of one key, each with the replicas that hold it. By equality: items need not be hashable."""
    groups: list[tuple[object, list[str]]] = []
    for name in names:
        value = replicas[name].get(key, _ABSENT)
        for other, holders in groups:
            # True == 1 in Python, and they are different items in any database.
            if other is value or (type(other) is type(value) and other == value):
                holders.append(name)
                break
        else:
            groups.append((value, [name]))
    return groups


def _show(value: object) -> str:
    return "absent" if value is _ABSENT else repr(value)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _count(number: int, noun: str) -> str:
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("y") and not noun.endswith("key") else f"{number} {noun}s"

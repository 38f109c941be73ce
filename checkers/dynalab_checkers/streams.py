"""Change streams: pure functions over plain records, as a consumer was handed them.

Rules of this room (consistency.md §6; the numbers are its own):
1. Each effective change of an item has one record, once (1), in order; a write that changed nothing has none (2).
2. INSERT iff there was nothing before, REMOVE iff there is nothing after, MODIFY otherwise (2).
3. The old image of an item's next record is the new image of the one before: a chain (3).
4. Sequence numbers grow within a shard, and for an item over its whole lineage; they are compared as integers (4).
5. A parent shard's records of an item are handed out before its children's (5). Nothing is said about the order of
   two items, and nothing about contiguity of a transaction's records (8).
6. Replaying the stream over the state at its beginning gives the table (9).
7. A record tells what its view type says and no more (10).

A rule whose images the view type leaves out is passed over; so a verdict of `valid` says in `details` which rules were
judged. Records are no operations: a verdict's `operations` stay empty, `details["records"]` holds the ones to blame.
How they were read, by which iterators, is `stream_reads`' matter; what writers know of them `stream_history`'s; whether
what expired was rightly removed (7) `expiry`'s.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

from dynalab_checkers.history import MISSING, Json, Missing
from dynalab_checkers.verdict import Verdict

CHECKER = "streams"
INSERT: Final = "INSERT"
MODIFY: Final = "MODIFY"
REMOVE: Final = "REMOVE"
# View type: (old image, new image), each told or not.
VIEWS: Final = {
    "KEYS_ONLY": (False, False),
    "NEW_IMAGE": (False, True),
    "OLD_IMAGE": (True, False),
    "NEW_AND_OLD_IMAGES": (True, True),
}
VALUE_MAX: Final = 60

State: TypeAlias = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Record:
    """One record: `old` and `new` are the images, MISSING where the record has none. `identity` names who made the
    change, where that was no client; `time_ns` says when it was made, by the writer's clock.
    """

    shard: str
    sequence: int
    key: str
    event: str
    old: Json | Missing = MISSING
    new: Json | Missing = MISSING
    identity: str = ""
    time_ns: int | None = None


def check_stream(
    records: Sequence[Record],
    *,
    view: str = "NEW_AND_OLD_IMAGES",
    parents: Mapping[str, str] | None = None,
    initial: State | None = None,
    final: State | None = None,
) -> Verdict:
    """Judge records, in the order in which they were handed out, by all the rules that can be judged.

    `parents` gives each child shard its parent; `initial` the items at the beginning of the stream (none, if not
    given), `final` those of the table when writes had stopped and the stream had been read to its end. Linear.

    >>> first = Record("s", 1, "k", "INSERT", new={"n": 1})
    >>> check_stream([first, Record("s", 2, "k", "MODIFY", old={"n": 1}, new={"n": 2})], final={"k": {"n": 2}}).verdict
    'valid'
    >>> check_stream([first, Record("s", 2, "k", "MODIFY", old={"n": 7}, new={"n": 2})]).why
    'chain: MODIFY of k at 2 in shard s has the old image {"n": 7}, but k was {"n": 1} after the record before it'
    """
    rules: list[tuple[str, Callable[[], Verdict]]] = [
        ("view", lambda: check_view(records, view)),
        ("once", lambda: check_once(records)),
        ("order", lambda: check_order(records, parents)),
        ("chain", lambda: check_chain(records, initial=initial)),
    ]
    if final is not None and VIEWS[view][1]:
        table = final
        rules.append(("fold", lambda: check_fold(records, table, initial=initial)))
    for _, judge in rules:
        verdict = judge()
        if verdict.verdict != "valid":
            return verdict
    return Verdict("valid", CHECKER, details={"rules": [name for name, _ in rules], "count": len(records)})


def check_view(records: Iterable[Record], view: str) -> Verdict:
    """Each record has just the images that its view type and its event allow. KeyError for an unknown view type.

    >>> check_view([Record("s", 1, "k", "INSERT", new={"n": 1})], "KEYS_ONLY").why
    'view: INSERT of k at 1 in shard s has a new image, which KEYS_ONLY leaves out'
    """
    tells_old, tells_new = VIEWS[view]
    for record in records:
        if record.event not in (INSERT, MODIFY, REMOVE):
            return broken("view", record, f"{name_of(record)} is no INSERT, MODIFY or REMOVE")
        for name, image, told, event in (
            ("an old", record.old, tells_old, INSERT),
            ("a new", record.new, tells_new, REMOVE),
        ):
            if isinstance(image, Missing):
                if told and record.event != event:
                    return broken("view", record, f"{name_of(record)} lacks {name} image, which {view} tells")
            elif not told:
                return broken("view", record, f"{name_of(record)} has {name} image, which {view} leaves out")
            elif record.event == event:
                return broken("view", record, f"{name_of(record)} has {name} image, where there can be none")
    return Verdict("valid", CHECKER)


def check_once(records: Iterable[Record]) -> Verdict:
    """No record is handed out twice.

    >>> check_once([Record("s", 1, "k", "INSERT"), Record("s", 1, "k", "INSERT")]).why
    'once: INSERT of k at 1 in shard s was handed out twice'
    """
    seen: dict[tuple[str, int], Record] = {}
    for record in records:
        place = record.shard, record.sequence
        other = seen.get(place)
        if other is not None:  # perhaps the very same object
            if other.key == record.key:
                return broken("once", record, f"{name_of(record)} was handed out twice", other)
            return broken("once", record, f"{name_of(record)} has the number of the {name_of(other)}", other)
        seen[place] = record
    return Verdict("valid", CHECKER)


def check_order(records: Iterable[Record], parents: Mapping[str, str] | None = None) -> Verdict:
    """Numbers grow within each shard and for each item along its lineage: parent first, then child.

    >>> split = [Record("child", 7, "k", "MODIFY"), Record("parent", 3, "k", "INSERT")]
    >>> check_order(split, {"child": "parent"}).why
    'order: INSERT of k at 3 in shard parent was handed out after the MODIFY of k at 7 in shard child, a descendant'
    >>> check_order(reversed(split), {"child": "parent"}).verdict
    'valid'
    """
    descends = _lineage(parents or {})
    last_of_shard: dict[str, Record] = {}
    last_of_item: dict[str, Record] = {}
    for record in records:
        before = last_of_shard.get(record.shard)
        if before is not None and before.sequence >= record.sequence:
            return broken("order", record, f"{name_of(record)} was handed out after the {name_of(before)}", before)
        known = last_of_item.get(record.key)
        if known is not None and known.shard != record.shard:
            if descends(known.shard, record.shard):
                why = f"{name_of(record)} was handed out after the {name_of(known)}, a descendant"
                return broken("order", record, why, known)
            if not descends(record.shard, known.shard):
                why = f"{name_of(record)} follows the {name_of(known)}, and neither shard descends from the other"
                return broken("order", record, why, known)
            if known.sequence >= record.sequence:
                why = f"{name_of(record)} has no larger number than the {name_of(known)}, its ancestor"
                return broken("order", record, why, known)
        last_of_shard[record.shard] = last_of_item[record.key] = record
    return Verdict("valid", CHECKER)


def check_chain(records: Iterable[Record], *, initial: State | None = None) -> Verdict:
    """Each item's records join: events follow from what was there, and an old image is the new image before it.

    >>> check_chain([Record("s", 1, "k", "INSERT"), Record("s", 2, "k", "INSERT")]).why
    'chain: INSERT of k at 2 in shard s, but k was there after the record before it'
    """
    begun = initial or {}
    state: dict[str, Json | Missing] = {}  # MISSING: it is there, and its image was not told
    there: dict[str, bool] = {}
    last: dict[str, Record] = {}
    for record in records:
        key, before = record.key, last.get(record.key)
        is_there = there.get(key, key in begun)
        image: Json | Missing = state[key] if before is not None else begun.get(key, MISSING)
        since = "after the record before it" if before is not None else "at the beginning"
        blamed = () if before is None else (before,)
        if is_there == (record.event == INSERT):
            why = f"{name_of(record)}, but {key} was {'' if is_there else 'not '}there {since}"
            return broken("chain", record, why, *blamed)
        if not _agree(record.old, image):
            said = f"{name_of(record)} has the old image {show_image(record.old)}"
            return broken("chain", record, f"{said}, but {key} was {show_image(image)} {since}", *blamed)
        old = image if isinstance(record.old, Missing) else record.old
        told = not isinstance(old, Missing) and not isinstance(record.new, Missing)
        if record.event == MODIFY and told and same(old, record.new):
            return broken("chain", record, f"{name_of(record)} changed nothing, and so has no record", *blamed)
        there[key] = record.event != REMOVE
        state[key] = record.new
        last[key] = record
    return Verdict("valid", CHECKER)


def fold(records: Iterable[Record], initial: State | None = None) -> dict[str, Json]:
    """The table after the records, which must have new images. ValueError for one that lacks its own.

    >>> fold([Record("s", 1, "a", "INSERT", new=1), Record("s", 2, "b", "REMOVE", old=2)], {"b": 2, "c": 3})
    {'c': 3, 'a': 1}
    """
    table = dict(initial or {})
    for record in records:
        if record.event == REMOVE:
            table.pop(record.key, None)
        elif isinstance(record.new, Missing):
            raise ValueError(f"{name_of(record)} has no new image to replay")
        else:
            table[record.key] = record.new
    return table


def check_fold(records: Iterable[Record], final: State, *, initial: State | None = None) -> Verdict:
    """Replaying the records over the initial state gives the table: nothing was left out of the stream.

    Only at quiescence: all writes acknowledged, the stream read to its end. ValueError as in `fold`.

    >>> check_fold([Record("s", 1, "k", "INSERT", new=1)], {"k": 1, "j": 2}).why
    'fold: the stream leaves j absent, but the table holds 2'
    """
    last: dict[str, Record] = {}

    def noted() -> Iterable[Record]:
        for record in records:
            last[record.key] = record
            yield record

    folded = fold(noted(), initial)
    for key in sorted({*folded, *final}):
        ours, theirs = folded.get(key, MISSING), final.get(key, MISSING)
        if not same(ours, theirs):
            held = "does not hold it" if isinstance(theirs, Missing) else f"holds {show_image(theirs)}"
            why = f"fold: the stream leaves {key} {show_image(ours)}, but the table {held}"
            blamed = [last[key]] if key in last else []
            return Verdict("invalid", CHECKER, why, key, details={"rule": "fold", "records": blamed})
    return Verdict("valid", CHECKER)


def check_changes(records: Iterable[Record], states: Mapping[str, Sequence[Json | Missing]]) -> Verdict:
    """Each item's records are its effective changes, each exactly once. For whoever knows an item's linearization.

    `states` gives each key its successive states from the beginning of the stream on (MISSING: absent), with or
    without repetitions: a write that changed nothing has no record. New images are compared where they are told.

    >>> check_changes([Record("s", 1, "k", "INSERT", new=1)], {"k": [MISSING, 1, 1, 2]}).why
    'changes: the stream ends k with 1, but it changed to 2 after that'
    """
    of_item: dict[str, list[Record]] = {}
    for record in records:
        of_item.setdefault(record.key, []).append(record)
    for key in sorted({*of_item, *states}):
        known = states.get(key, ())
        changes = [(old, new) for old, new in pairwise(known) if not same(old, new)]
        found = of_item.get(key, [])
        for (old, new), record in zip(changes, found, strict=False):
            event = INSERT if isinstance(old, Missing) else REMOVE if isinstance(new, Missing) else MODIFY
            if record.event != event or not _agree(record.new, new) or not _agree(record.old, old):
                why = f"{name_of(record)} stands where {key} changed from {show_image(old)} to {show_image(new)}"
                return broken("changes", record, why)
        if len(found) > len(changes):
            return broken("changes", found[len(changes)], f"{name_of(found[len(changes)])} is of no change of {key}")
        if len(found) < len(changes):
            old, new = changes[len(found)]
            why = (
                f"changes: the stream ends {key} with {show_image(old)}, but it changed to {show_image(new)} after that"
            )
            return Verdict("invalid", CHECKER, why, key, details={"rule": "changes", "records": found[-1:]})
    return Verdict("valid", CHECKER)


def _lineage(parents: Mapping[str, str]) -> Callable[[str, str], bool]:
    """Whether one shard descends from another. Raises ValueError if a shard descends from itself.

    >>> descends = _lineage({"b": "a", "c": "b"})
    >>> descends("c", "a"), descends("a", "c"), descends("c", "c")
    (True, False, False)
    """
    children: dict[str, list[str]] = {}
    for shard, parent in parents.items():
        children.setdefault(parent, []).append(shard)
    # A walk around each tree: whatever is entered before a shard is left descends from it.
    entered: dict[str, int] = {}
    left: dict[str, int] = {}
    clock = 0
    for root in children:
        if root in parents:
            continue
        waiting = [root]
        while waiting:
            shard = waiting[-1]
            if shard in entered:
                left[waiting.pop()] = clock
            else:
                entered[shard] = clock = clock + 1
                waiting.extend(children.get(shard, ()))
    for shard in parents:
        if shard not in entered:
            raise ValueError(f"shard {shard} descends from itself")
    return lambda one, other: one in entered and other in entered and entered[other] < entered[one] <= left[other]


def broken(rule: str, record: Record, why: str, *others: Record) -> Verdict:
    """The verdict on a record that breaks a rule, and on the others that show it."""
    details: dict[str, object] = {"rule": rule, "records": [*others, record]}
    return Verdict("invalid", CHECKER, f"{rule}: {why}", record.key, details=details)


def name_of(record: Record) -> str:
    """A record in a sentence."""
    return f"{record.event} of {record.key} at {record.sequence} in shard {record.shard}"


def _agree(told: Json | Missing, known: Json | Missing) -> bool:
    """Whether an image is as it must be, as far as both are known."""
    return isinstance(told, Missing) or isinstance(known, Missing) or same(told, known)


def same(one: Json | Missing, other: Json | Missing) -> bool:
    """Equal as JSON: 1 is 1.0, and it is not true."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def show_image(image: Json | Missing) -> str:
    """An image in a sentence."""
    if isinstance(image, Missing):
        return "absent"
    text = json.dumps(image, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= VALUE_MAX else text[: VALUE_MAX - 1] + "…"

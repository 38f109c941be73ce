"""`allowed_reads` against every way in which the writes can have taken effect, and the index against its base."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab_model.consistency import EVENTUAL, STRONG, Version, allowed_reads
from dynalab_model.database import Table, put_items, rows_of
from dynalab_model.items import index_changes
from dynalab_model.keys import item_key
from dynalab_model.schema import IndexSchema, KeyAttribute, KeySchema, TableSchema
from dynalab_model.values import Item

TIMES = st.integers(0, 5)
NEVER = 99


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, int | None]]:
    """(invoked, acknowledged) of up to three writes in version order, such that some order of effects exists."""
    writes: list[tuple[int, int | None]] = []
    for _ in range(draw(st.integers(0, 3))):
        invoked = draw(TIMES)
        acknowledged = draw(st.none() | st.integers(invoked, 6))
        writes.append((invoked, acknowledged))
    return writes


def possible_reads(writes: list[tuple[int, int | None]], called: int, returned: int) -> set[int]:
    """How many writes a read may see, by trying every instant of effect for every write and for the read.

    Two things at one instant may go either way, so instants are doubled and each write is tried at the half-steps too.
    """
    instants = [
        range(2 * invoked, 2 * (NEVER if acknowledged is None else acknowledged) + 1)
        if acknowledged is not None
        else [*range(2 * invoked, 14), NEVER * 2]
        for invoked, acknowledged in writes
    ]
    seen: set[int] = set()
    for effects in product(*instants):
        if any(one > other for one, other in pairwise(effects)):
            continue
        for read in range(2 * called, 2 * returned + 1):
            before = sum(effect < read for effect in effects)
            until = sum(effect <= read for effect in effects)
            seen.update(range(before, until + 1))
    return seen


@pytest.mark.claim("S24")
@given(histories(), TIMES, TIMES)
def test_a_strong_read_may_see_exactly_what_some_order_of_effects_shows(
    writes: list[tuple[int, int | None]], one: int, other: int
) -> None:
    called, returned = min(one, other), max(one, other)
    versions = [Version(number, invoked, acked) for number, (invoked, acked) in enumerate(writes, 1)]
    possible = possible_reads(writes, called, returned)
    if not possible:
        return  # no order of effects fits these acknowledgements: not a history
    strong = allowed_reads(versions, STRONG, called, returned)
    assert {value or 0 for value in strong} == possible
    eventual = allowed_reads(versions, EVENTUAL, called, returned)
    assert {value or 0 for value in eventual} == set(range(max(possible) + 1))


COLOR = IndexSchema("by_color", KeySchema(KeyAttribute("color", "S")), "KEYS_ONLY")
SIZE = IndexSchema("by_size", KeySchema(KeyAttribute("size", "N"), KeyAttribute("color", "S")), "ALL")
SCHEMA = TableSchema("T", KeySchema(KeyAttribute("pk", "S")), (COLOR, SIZE))


@st.composite
def items(draw: st.DrawFn) -> Item:
    item: Item = {"pk": {"S": draw(st.sampled_from("ab"))}}
    for name, values in (("color", ("red", "blue")), ("note", ("x", "y"))):
        value = draw(st.none() | st.sampled_from(values))
        if value is not None:
            item[name] = {"S": value}
    size = draw(st.none() | st.sampled_from(["1", "-2"]))
    if size is not None:
        item["size"] = {"N": size}
    return item


@pytest.mark.claim("S27", "S28", "S29", "S30")
@given(st.lists(st.tuples(items(), st.booleans()), max_size=12))
def test_an_index_that_applies_every_change_in_order_always_equals_the_projection_of_its_base(
    writes: list[tuple[Item, bool]],
) -> None:
    base: dict[bytes, Item] = {}
    indexes: dict[str, dict[bytes, Item]] = {index.name: {} for index in SCHEMA.indexes}
    for item, deleting in writes:
        key = item_key(SCHEMA.key, item)
        before, after = base.get(key), None if deleting else item
        for change in index_changes(SCHEMA, before, after):
            entries = indexes[change.index]
            if change.delete_key is not None:
                del entries[change.delete_key]  # a KeyError here would be a delete of what is not there
            if change.put_key is not None:
                assert change.entry is not None
                entries[change.put_key] = change.entry
            assert change.units in (1, 2)
        if after is None:
            base.pop(key, None)
        else:
            base[key] = after
        table = put_items(Table(SCHEMA, {}, 0, 0), *base.values())
        for index in SCHEMA.indexes:
            assert indexes[index.name] == rows_of(table, index.name)

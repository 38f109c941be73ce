"""What the reference state machine holds: tables with their items, and the transactions whose tokens still count.

Rules: a state is never changed; functions here give the next one. What an operation means is `database`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeAlias

from dynalab_model import insights, kinesis, online_indexes, tables
from dynalab_model.collections import COLLECTION_BYTES_MAX, partition_key
from dynalab_model.errors import DynamoError
from dynalab_model.items import stored_bytes
from dynalab_model.keys import collection_prefix
from dynalab_model.operations import WriteOperation
from dynalab_model.schema import TableSchema
from dynalab_model.streams import Change, slot_number
from dynalab_model.transactions import TOKEN_NS
from dynalab_model.values import Item

Response: TypeAlias = "dict[str, object]"


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its schema, when it is or was ready, when it goes (None: not yet told to), and its items by key
    bytes.
    """

    schema: TableSchema
    settings: Mapping[str, object]
    created_ns: int
    active_ns: int
    gone_ns: int | None = None
    updated_ns: int = 0  # when the last change of its settings is through
    followed_ns: int = 0  # when the last change of its destination or of its insights is
    items: Mapping[bytes, Item] = field(default_factory=dict)

    def status(self, now_ns: int) -> str:
        """The life cycle state at that time; "" when the table is gone."""
        if self.gone_ns is not None:
            return "" if now_ns >= self.gone_ns else tables.DELETING
        if now_ns < self.updated_ns:
            return tables.UPDATING
        return tables.ACTIVE if now_ns >= self.active_ns else tables.CREATING


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of the transaction that a token stands for: the answer to whoever asks again with it."""

    digest: str
    finished_ns: int
    again: Response | DynamoError


@dataclass(frozen=True, slots=True)
class Stream:
    """A table's stream, from its enabling until a day after it ended: the changes that are kept, the number of the last
    one that is not, and how many there have been.
    """

    schema: TableSchema
    label: str
    view: str
    disabled_ns: int | None = None
    changes: tuple[Change, ...] = ()
    trimmed: int = 0
    counted: int = 0

    @property
    def last(self) -> int:
        """The number of the latest change; 0 if there was none."""
        return slot_number(self.counted)


@dataclass(frozen=True, slots=True)
class State:
    """Everything there is. `create_ns`, `update_ns` and `delete_ns` are how long tables take to come, to change and
    to go; `collection_bytes_max` is how large an item collection of a table with local indexes may be. `finished` has
    the transactions of the last ten minutes that had a token, `streams` by table and label what may be read.
    """

    tables: Mapping[str, Table] = field(default_factory=dict)
    create_ns: int = 0
    delete_ns: int = 0
    update_ns: int = 0
    collection_bytes_max: int = COLLECTION_BYTES_MAX
    finished: Mapping[str, Finished] = field(default_factory=dict)
    streams: Mapping[tuple[str, str], Stream] = field(default_factory=dict)


def forget_gone(state: State, now_ns: int) -> State:
    """The state without the tables and the tokens whose time to go has come."""
    if not all(table.status(now_ns) for table in state.tables.values()):
        state = replace(state, tables={name: table for name, table in state.tables.items() if table.status(now_ns)})
    kept = {token: known for token, known in state.finished.items() if now_ns < known.finished_ns + TOKEN_NS}
    return state if len(kept) == len(state.finished) else replace(state, finished=kept)


def settled(state: State, now_ns: int) -> State:
    """The state with new indexes ACTIVE and deleted ones gone, where the change that they came with is through; and the
    same of destinations and insights.
    """
    for table in state.tables.values():
        if now_ns >= table.followed_ns:
            for rules in (kinesis, insights):
                if rules.is_changing(table.settings):
                    table = replace(table, settings=rules.settled(table.settings))
                    state = with_table(state, table)
        if now_ns >= table.updated_ns and ("Backfilling" in table.settings or "DeletingIndexes" in table.settings):
            settings = dict(table.settings)
            online_indexes.gone(settings)
            state = with_table(
                state, replace(table, schema=online_indexes.ready(settings, table.schema), settings=settings)
            )
    return state


def with_table(state: State, table: Table) -> State:
    """The state with this table, in place of the one of its name."""
    return replace(state, tables={**state.tables, table.schema.name: table})


def serving(state: State, name: str, now_ns: int) -> Table:
    """A table that takes reads and writes now, or the error of asking for it."""
    table = state.tables.get(name)
    tables.check_serves("" if table is None else table.status(now_ns))
    assert table is not None, "an absent table does not serve"
    return table


def with_item(table: Table, key: bytes, item: Item | None) -> Table:
    """The table with this item at this key; None is no item there."""
    items = {other: known for other, known in table.items.items() if other != key}
    if item is not None:
        items[key] = item
    return replace(table, items=MappingProxyType(items))


def held_in_collection(table: Table, op: WriteOperation) -> int:
    """How large the item collection is that a write belongs to."""
    (value,) = partition_key(table.schema, op).values()
    prefix = collection_prefix(value)
    return sum(stored_bytes(table.schema, item) for key, item in table.items.items() if key.startswith(prefix))

"""One table as the catalog keeps it, and what is told of it. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias, cast

from dynalab_impl.admission import SYSTEM
from dynalab_impl.effects import JSON, Nanoseconds
from dynalab_impl.messages import Form, GroupSpec
from dynalab_model import kinesis, stream_settings, streams
from dynalab_model.operations import ListStreams
from dynalab_model.schema import TableSchema
from dynalab_model.tables import describe

Counts: TypeAlias = Mapping[str, tuple[int, int]]  # see `count_key` → items and their bytes
NO_COUNTS: Counts = MappingProxyType({})
GONE_PREFIX = f"{SYSTEM}gone/"
GONE = "GONE"  # a table that was deleted and whose streams may still be read; clients never see it
DESCRIBE_STREAM = "DescribeStream"  # what a router asks of the catalog about a stream; its shards it asks partitions
FEEDS = "Feeds"  # what is asked by whoever carries changes to Kinesis destinations


def count_key(group: str, local_index: str = "") -> str:
    """Under which name a partition's figures are kept, or those of a local index in it.

    >>> count_key("things/0"), count_key("things/0", "by_n").partition("\\0")[2]
    ('things/0', 'by_n')
    """
    return f"{group}\0{local_index}" if local_index else group


@dataclass(slots=True)
class Table:
    """One entry of the catalog: `groups` are the partitions of the table and of its indexes. `form` is what all of the
    table's own are told to be.
    """

    form: Form
    settings: dict[str, object]
    table_id: str
    status: str
    created_ns: Nanoseconds
    groups: tuple[GroupSpec, ...]

    @property
    def name(self) -> str:
        """What the catalog knows it by: its own name, and one that no client can say when that name is free again."""
        return f"{GONE_PREFIX}{self.table_id}" if self.status == GONE else self.schema.name

    @property
    def schema(self) -> TableSchema:
        """The table's keys and indexes."""
        return self.form.schema

    def description(self, counts: Counts = NO_COUNTS) -> dict[str, JSON]:
        """The TableDescription, with the figures that are known."""
        created_seconds = self.created_ns // 1_000_000 / 1000
        sums = {"": (0, 0)}
        for spec in self.groups:
            (items, size_bytes), (more_items, more_bytes) = sums.get(spec.index, (0, 0)), counts.get(spec.group, (0, 0))
            sums[spec.index] = (items + more_items, size_bytes + more_bytes)
        for index in self.schema.local_indexes:
            found = [counts.get(count_key(spec.group, index.name), (0, 0)) for spec in self.groups if not spec.index]
            sums[index.name] = (sum(items for items, _ in found), sum(size_bytes for _, size_bytes in found))
        return cast(
            "dict[str, JSON]",
            describe(
                self.schema,
                self.settings,
                self.status,
                created_seconds,
                *sums[""],
                table_id=self.table_id,
                index_counts=sums,
            ),
        )


def stream_described(tables: Mapping[str, Table], name: str, label: str, now_ms: int) -> dict[str, JSON]:
    """What the catalog knows of a stream: its view type, its status, and under which name its partitions are found;
    raises DynamoError. The table may be there, or have been deleted, and another one may have its name by now.
    """
    if label.startswith(streams.FEED) and name in tables:
        for one in kinesis.destinations(tables[name].settings):
            if one["Label"] == label:
                return {"StreamViewType": kinesis.VIEW, "StreamStatus": streams.ENABLED, "Table": name}
    gone = [table for table in tables.values() if table.status == GONE and table.schema.name == name]
    for table in [tables[name], *gone] if name in tables else gone:
        for known, view, status in stream_settings.streams_of(table.settings, now_ms):
            if known == label:
                told = streams.DISABLED if table.form.gone else status
                return {"StreamViewType": view, "StreamStatus": told, "Table": table.name}
    raise stream_settings.no_such_stream(name, label)


def feeds_listed(tables: Mapping[str, Table]) -> dict[str, JSON]:
    """The Kinesis destinations of all tables, also those that were disabled: whatever their feeds have told and nobody
    has carried there yet still belongs there. Body: {"Feeds": [[table, label, ARN, status], …]}.
    """
    told = [
        [table.schema.name, one["Label"], one["StreamArn"], one["DestinationStatus"]]
        for table in tables.values()
        for one in kinesis.destinations(table.settings)
        if table.status != GONE
    ]
    return {"Feeds": cast(JSON, told)}


def streams_listed(tables: Mapping[str, Table], operation: ListStreams, now_ms: int) -> dict[str, JSON]:
    """ListStreams: of one table or of all, also those that ended less than a day ago."""
    named = [
        (table.schema.name, label)
        for table in tables.values()
        if operation.table in ("", table.schema.name)
        for label, _, _ in stream_settings.streams_of(table.settings, now_ms)
    ]
    return cast("dict[str, JSON]", streams.list_streams(named, operation.start, operation.limit))


def ended(table: Table, now_ms: int) -> Table:
    """What is left of a deleted table: its streams, all of them disabled, and the partitions that hold them."""
    settings = dict(table.settings)
    if stream_settings.enabled(settings) is not None:
        stream_settings.specify(table.schema.name, settings, {"StreamEnabled": False}, now_ms)
    groups = tuple(spec for spec in table.groups if not spec.index)
    return Table(table.form, settings, table.table_id, GONE, table.created_ns, groups)

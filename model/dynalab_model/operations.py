"""The operations of the interface as values: what a request says once it has been parsed and validated.

They are plain data (strings, numbers, dictionaries in DynamoDB's wire form), because they travel in messages between
nodes. An expression stays text: evaluators are compiled once per text and names, and are found again in a bounded
cache (`expressions`). `requests.parse` makes these values from JSON; `items` and `database` say what they mean.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from dynalab_model.schema import TableSchema
from dynalab_model.values import Item


@dataclass(slots=True)
class GetItem:
    table: str
    key: Item
    consistent: bool = False
    projection: str | None = None
    names: dict[str, str] = field(default_factory=dict)
    capacity: str = "NONE"


@dataclass(slots=True)
class PutItem:
    table: str
    item: Item
    condition: str | None = None
    names: dict[str, str] = field(default_factory=dict)
    values: Item = field(default_factory=dict)
    return_values: str = "NONE"
    return_on_failure: str = "NONE"
    capacity: str = "NONE"


@dataclass(slots=True)
class UpdateItem:
    table: str
    key: Item
    update: str | None = None
    condition: str | None = None
    names: dict[str, str] = field(default_factory=dict)
    values: Item = field(default_factory=dict)
    return_values: str = "NONE"
    return_on_failure: str = "NONE"
    capacity: str = "NONE"


@dataclass(slots=True)
class DeleteItem:
    table: str
    key: Item
    condition: str | None = None
    names: dict[str, str] = field(default_factory=dict)
    values: Item = field(default_factory=dict)
    return_values: str = "NONE"
    return_on_failure: str = "NONE"
    capacity: str = "NONE"


@dataclass(slots=True)
class Query:
    table: str
    key_condition: str
    index: str | None = None
    consistent: bool = False
    filter: str | None = None
    projection: str | None = None
    names: dict[str, str] = field(default_factory=dict)
    values: Item = field(default_factory=dict)
    limit: int | None = None
    forward: bool = True
    start_key: Item | None = None
    select: str | None = None
    capacity: str = "NONE"


@dataclass(slots=True)
class Scan:
    table: str
    index: str | None = None
    consistent: bool = False
    filter: str | None = None
    projection: str | None = None
    names: dict[str, str] = field(default_factory=dict)
    values: Item = field(default_factory=dict)
    limit: int | None = None
    start_key: Item | None = None
    select: str | None = None
    segment: int | None = None
    total_segments: int | None = None
    capacity: str = "NONE"


@dataclass(slots=True)
class CreateTable:
    """`settings` keeps what a description must repeat (BillingMode, ProvisionedThroughput) in wire form."""

    schema: TableSchema
    settings: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class DescribeTable:
    table: str


@dataclass(slots=True)
class DeleteTable:
    table: str


@dataclass(slots=True)
class ListTables:
    start: str | None = None
    limit: int = 100


WriteOperation: TypeAlias = PutItem | UpdateItem | DeleteItem
ReadOperation: TypeAlias = GetItem | Query | Scan
TableOperation: TypeAlias = CreateTable | DescribeTable | DeleteTable | ListTables
Operation: TypeAlias = WriteOperation | ReadOperation | TableOperation

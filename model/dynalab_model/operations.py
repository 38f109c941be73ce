"""The operations of the interface as values: what a request says once it has been parsed and validated.

They are plain data (strings, numbers, dictionaries in DynamoDB's wire form), because they travel in messages between
nodes. An expression stays text: evaluators are compiled once per text and names, and are found again in a bounded
cache (`expressions`). `requests.parse` makes these values from JSON; `items` and `database` say what they mean.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from dynalab_model.schema import TableSchema
from dynalab_model.values import AttributeValue, Item


@dataclass(slots=True)
class Term:
    """One comparison of a legacy parameter: `operator` is EQ, NE, IN, …, NULL (the attribute is absent) or
    NOT_NULL.
    """

    name: str
    operator: str
    operands: tuple[AttributeValue, ...] = ()


@dataclass(slots=True)
class AttributeUpdate:
    """One member of AttributeUpdates: `action` is PUT, ADD or DELETE."""

    name: str
    action: str
    value: AttributeValue | None = None


@dataclass(slots=True)
class Legacy:
    """What the parameters from before expressions say; no operation has both these and an expression.

    `terms` are Expected, QueryFilter or ScanFilter, `any_term` says that one of them is enough (ConditionalOperator
    OR), `keys` are KeyConditions, `updates` AttributeUpdates, `attributes` AttributesToGet. `legacy` says what they
    mean.
    """

    terms: tuple[Term, ...] = ()
    any_term: bool = False
    keys: tuple[Term, ...] = ()
    updates: tuple[AttributeUpdate, ...] = ()
    attributes: tuple[str, ...] = ()


@dataclass(slots=True)
class GetItem:
    table: str
    key: Item
    consistent: bool = False
    projection: str | None = None
    names: dict[str, str] = field(default_factory=dict)
    capacity: str = "NONE"
    legacy: Legacy | None = None


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
    legacy: Legacy | None = None
    metrics: str = "NONE"


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
    legacy: Legacy | None = None
    metrics: str = "NONE"


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
    legacy: Legacy | None = None
    metrics: str = "NONE"


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
    legacy: Legacy | None = None
    filters_keys: bool = False  # a statement's WHERE may look at the key again; a client's filter may not


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
    legacy: Legacy | None = None


@dataclass(slots=True)
class BatchGetItem:
    """Independent reads, those of one table together; each carries what its table's entry asks for."""

    gets: tuple[GetItem, ...]
    capacity: str = "NONE"

    @property
    def table(self) -> str:
        """The first table, for those who look for one."""
        return self.gets[0].table


@dataclass(slots=True)
class BatchWriteItem:
    """Independent writes without conditions, those of one table together."""

    writes: tuple[PutItem | DeleteItem, ...]
    capacity: str = "NONE"
    metrics: str = "NONE"

    @property
    def table(self) -> str:
        """The first table, for those who look for one."""
        return self.writes[0].table


@dataclass(slots=True)
class ExecuteStatement:
    """A PartiQL statement on `table`; `partiql` says which ordinary requests it stands for."""

    table: str
    statement: str
    parameters: tuple[AttributeValue, ...] = ()
    consistent: bool = False
    next_token: str | None = None
    limit: int | None = None
    capacity: str = "NONE"
    return_on_failure: str = "NONE"


@dataclass(slots=True)
class RefusedStatement:
    """A member of a batch that is no statement: its error, as the batch will tell it."""

    code: str
    message: str


@dataclass(slots=True)
class BatchExecuteStatement:
    """Independent statements on single items, all of them reads or all of them writes."""

    statements: tuple[ExecuteStatement | RefusedStatement, ...]
    capacity: str = "NONE"

    @property
    def table(self) -> str:
        """The first table, for those who look for one; "" when no member names any."""
        return next((one.table for one in self.statements if isinstance(one, ExecuteStatement)), "")


@dataclass(slots=True)
class ConditionCheck:
    """An action of a transaction that writes nothing: the condition must hold at the moment of the others' writes."""

    table: str
    key: Item
    condition: str
    names: dict[str, str] = field(default_factory=dict)
    values: Item = field(default_factory=dict)
    return_on_failure: str = "NONE"
    capacity: str = "NONE"


@dataclass(slots=True)
class TransactWriteItems:
    """Actions on different items that happen together or not at all. `digest` stands for everything that the request
    asks for: the same `token` with another digest is a mismatch.
    """

    actions: tuple[TransactAction, ...]
    token: str | None = None
    digest: str = ""
    capacity: str = "NONE"
    metrics: str = "NONE"

    @property
    def table(self) -> str:
        """The first table, for those who look for one."""
        return self.actions[0].table


@dataclass(slots=True)
class TransactGetItems:
    """Reads of items as they were at one moment."""

    gets: tuple[GetItem, ...]
    capacity: str = "NONE"

    @property
    def table(self) -> str:
        """The first table, for those who look for one."""
        return self.gets[0].table


@dataclass(slots=True)
class ExecuteTransaction:
    """Statements that stand for the actions or the reads of one transaction."""

    statements: tuple[ExecuteStatement, ...]
    token: str | None = None
    digest: str = ""
    capacity: str = "NONE"

    @property
    def table(self) -> str:
        """The first table, for those who look for one."""
        return self.statements[0].table


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


@dataclass(slots=True)
class UpdateTable:
    """`changes` holds what is to change, in the wire form of the request's members."""

    table: str
    changes: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class UpdateTimeToLive:
    table: str
    attribute: str
    enabled: bool


@dataclass(slots=True)
class TagResource:
    table: str
    tags: dict[str, str]


@dataclass(slots=True)
class UntagResource:
    table: str
    keys: tuple[str, ...]


@dataclass(slots=True)
class ChangeDestination:
    """The Kinesis stream that a table's changes go to: `action` is a key of `kinesis.STEPS`, `stream` an ARN,
    `precision` MILLISECOND, MICROSECOND, or "" where the request says nothing of it.
    """

    table: str
    action: str
    stream: str
    precision: str = ""


@dataclass(slots=True)
class UpdateContributorInsights:
    """Of a table, or of one of its global indexes; `mode` is "" where the request names none."""

    table: str
    enabled: bool
    index: str = ""
    mode: str = ""


@dataclass(slots=True)
class ListContributorInsights:
    """Of one table, or of all: those behind the table and index `after`."""

    table: str = ""
    after: tuple[str, str] = ("", "")
    limit: int = 100


@dataclass(slots=True)
class ReadSettings:
    """Any operation that only reads settings of a table, or (without one) of the service: `name` is a key of
    `settings.READS`. `argument` is what a few of them ask about: an index, an address, an ARN.
    """

    name: str
    table: str = ""
    argument: str = ""


@dataclass(slots=True)
class ListStreams:
    """Of one table, or of all."""

    table: str = ""
    start: str | None = None
    limit: int = 100


@dataclass(slots=True)
class DescribeStream:
    """A stream is named by its table and its label. With `children_of` only that shard's children are told."""

    table: str
    label: str
    start: str | None = None
    limit: int = 100
    children_of: str | None = None


@dataclass(slots=True)
class GetShardIterator:
    """`kind` is one of `streams.ITERATOR_KINDS`; some of them need a number or a time."""

    table: str
    label: str
    shard: str
    kind: str
    number: int = 0
    time_ns: int = 0


@dataclass(slots=True)
class GetRecords:
    """`iterator` is the text that GetShardIterator or an earlier GetRecords gave; `table` is the one that it names."""

    table: str
    iterator: str
    limit: int


WriteOperation: TypeAlias = PutItem | UpdateItem | DeleteItem
TransactAction: TypeAlias = PutItem | UpdateItem | DeleteItem | ConditionCheck
ReadOperation: TypeAlias = GetItem | Query | Scan
BatchOperation: TypeAlias = BatchGetItem | BatchWriteItem
StatementOperation: TypeAlias = ExecuteStatement | BatchExecuteStatement
TransactOperation: TypeAlias = TransactWriteItems | TransactGetItems | ExecuteTransaction
SettingsChange: TypeAlias = (
    UpdateTable | UpdateTimeToLive | TagResource | UntagResource | ChangeDestination | UpdateContributorInsights
)
TableOperation: TypeAlias = (
    CreateTable
    | DescribeTable
    | DeleteTable
    | ListTables
    | ListStreams
    | ListContributorInsights
    | SettingsChange
    | ReadSettings
)
ManyOperation: TypeAlias = BatchOperation | StatementOperation | TransactOperation
StreamOperation: TypeAlias = DescribeStream | GetShardIterator | GetRecords
Operation: TypeAlias = WriteOperation | ReadOperation | ManyOperation | TableOperation | StreamOperation

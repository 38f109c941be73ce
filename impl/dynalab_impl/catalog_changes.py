"""The steps of the catalog's log, what clients' requests are among them, and what clients are told where one fails.
Plain data and pure functions.
"""

from __future__ import annotations

from dynalab_impl.messages import CatalogChange
from dynalab_model.errors import DynamoError, internal_server_error
from dynalab_model.operations import CreateTable, DeleteTable, SettingsChange, TableOperation

ACTIONS: dict[str, str] = {
    "register": "a storage node came up with this disk",
    "create": "a table and the placement of its groups",
    "activate": "every group of the table is hosted by a majority",
    "change": "settings of a table; an UpdateTable makes it UPDATING",
    "updated": "an UpdateTable is through; a new index is being filled from here on",
    "indexed": "a new index has got what was in its table before it",
    "unindexed": "a majority of every group of a deleted index is dropped and no lease can run: its name is free",
    "expiring": "all partitions know by which attribute items expire now",
    "fed": "all partitions know of the table's Kinesis destination as it is now",
    "watched": "the routers know whether busy keys of the table are counted",
    "delete": "the table goes; its replicas are being dropped",
    "forget": "a majority of every group is dropped and no lease can run: the table is gone, its name is free",
    "bury": "the streams of a deleted table are too old to be read: its last replicas are being dropped",
    "clean": "the last replicas of a deleted table, or of a divided partition, are dropped",
    "members": "a group's leader told who holds it now",
    "split": "a partition was split: its children take its place in the table",
    "divided": "every member of a split partition hosts the children: the parent is being dropped",
}

# What rules raise where they are given what they were not made for: by the command and the state alone, so by all
# replicas alike. (Not so what a machine lacks, memory or stack: whoever lacks it ends alone.)
UNFIT = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)


def as_told(error: Exception) -> DynamoError:
    """What a client is told of it: a refusal as it is, and anything else as a failure of the service.

    >>> as_told(DynamoError("ResourceNotFoundException")).code, as_told(KeyError("BillingMode")).code
    ('ResourceNotFoundException', 'InternalServerError')
    """
    return error if isinstance(error, DynamoError) else internal_server_error()


def is_change(operation: TableOperation) -> bool:
    return isinstance(operation, CreateTable | DeleteTable | SettingsChange)


def change_of(operation: TableOperation, table_id: str) -> CatalogChange:
    """The step that an operation asks for; `table_id` is for a table that it makes."""
    if isinstance(operation, CreateTable):
        return CatalogChange("create", operation.schema.name, operation, table_id)
    if isinstance(operation, DeleteTable):
        return CatalogChange("delete", operation.table)
    assert isinstance(operation, SettingsChange), "a read changes nothing"
    return CatalogChange("change", operation.table, operation)

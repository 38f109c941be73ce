"""Operations that are not here, and what they answer instead.

Rules: a request is checked in full first; then what it names must be there (or, of a table to be made, must not), as
the service would have it; only then it is refused, with a ValidationException that says so. Nothing changes. `offered`
says what each of them waits for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, cast

from dynalab_model.create_table import parse_create_table
from dynalab_model.errors import table_exists, validation
from dynalab_model.fields import named_table, resource_table
from dynalab_model.operations import ReadSettings
from dynalab_model.shapes import REQUESTS
from dynalab_model.switched_off import Reader

Parser: TypeAlias = "Callable[[dict[str, object]], ReadSettings]"


def _of_table(name: str) -> Parser:
    return lambda body: ReadSettings(name, REQUESTS[name].check_named(body, named_table))


def _put_resource_policy(body: dict[str, object]) -> ReadSettings:
    REQUESTS["PutResourcePolicy"].check(body)
    return ReadSettings("PutResourcePolicy", resource_table(body))


def _create_global_table(body: dict[str, object]) -> ReadSettings:
    """It is made of a table that is there."""
    REQUESTS["CreateGlobalTable"].check(body)
    return ReadSettings("CreateGlobalTable", cast(str, body["GlobalTableName"]))


def _import_table(body: dict[str, object]) -> ReadSettings:
    """The new table is described as to CreateTable, and has to pass the same checks."""
    REQUESTS["ImportTable"].check(body)
    new = parse_create_table(cast("dict[str, object]", body["TableCreationParameters"]))
    return ReadSettings("ImportTable", new.schema.name)


REFUSED_PARSERS: Final[Mapping[str, Parser]] = {
    "PutResourcePolicy": _put_resource_policy,
    "CreateBackup": _of_table("CreateBackup"),
    "ImportTable": _import_table,
    "StartBulkPutItems": _of_table("StartBulkPutItems"),
    "UpdateTableReplicaAutoScaling": _of_table("UpdateTableReplicaAutoScaling"),
    "CreateGlobalTable": _create_global_table,
}


def _refuse(op: ReadSettings, status: str, settings: Mapping[str, object]) -> dict[str, object]:
    raise validation(f"{op.name} is not available in this version of dynalab")


def _refuse_import(op: ReadSettings, status: str, settings: Mapping[str, object]) -> dict[str, object]:
    if status:
        raise table_exists(op.table)
    return _refuse(op, status, settings)


REFUSED: Final[Mapping[str, Reader]] = {
    **dict.fromkeys(REFUSED_PARSERS, _refuse),
    "ImportTable": _refuse_import,
}

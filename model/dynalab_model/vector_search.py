"""SearchVectors, as far as it can be asked of tables that have no vector index: none here can be given one.

Rules: the request is checked in full, its expressions too; then the table must be there, and then the index, which it
never is. A search of another kind of index is told the same. The words are those of a Query, which is asked for an
index in the same way; those about the vector itself are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, cast

from dynalab_model.errors import INVALID, NO_SUCH_INDEX, validation
from dynalab_model.expressions import check_expressions
from dynalab_model.fields import table_name
from dynalab_model.operations import ReadSettings
from dynalab_model.placeholders import placeholders
from dynalab_model.shapes import REQUESTS
from dynalab_model.tables import check_serves
from dynalab_model.values import validate_value

SEARCH_VECTORS: Final = "SearchVectors"

_EXPRESSIONS = ("SearchConditionExpression", "ProjectionExpression")
_FLOAT_MAX: Final = Decimal((2**24 - 1) * 2**104)  # of 32 bits, as each element is (API reference: SearchVector)


def parse_search_vectors(body: dict[str, object]) -> ReadSettings:
    """A SearchVectors operation from its JSON body: the index that it looks for is the argument.

    >>> parse_search_vectors({"TableName": "T", "IndexName": "near", "SearchVector": [{"N": "0.5"}], "TopK": 3})
    ReadSettings(name='SearchVectors', table='T', argument='near')
    """
    table = REQUESTS[SEARCH_VECTORS].check_named(body, table_name)
    names, values = placeholders(body, _EXPRESSIONS)
    _check_vector(cast("list[object]", body["SearchVector"]))
    condition, projection = (cast("str | None", body.get(name)) for name in _EXPRESSIONS)
    if condition is not None or projection is not None:
        check_expressions(names=names, values=values, search_condition=condition, projection=projection)
    return ReadSettings(SEARCH_VECTORS, table, cast(str, body["IndexName"]))


def _check_vector(elements: list[object]) -> None:
    for element in elements:
        stored = validate_value(element)
        if "N" not in stored:
            raise validation(f"{INVALID}An element of SearchVector is not a number")
        if Decimal(cast(str, stored["N"])).copy_abs() > _FLOAT_MAX:  # abs() would round
            raise validation(f"{INVALID}An element of SearchVector is not a number of 32 bits")


def no_vector_index(op: ReadSettings, status: str, settings: Mapping[str, object]) -> dict[str, object]:
    """What every search comes to; `status` is the table's, "" where there is none. Raises DynamoError.

    >>> no_vector_index(ReadSettings("SearchVectors", "T", "near"), "ACTIVE", {})
    Traceback (most recent call last):
    ...
    dynalab_model.errors.DynamoError: ValidationException: The table does not have the specified index: near
    """
    check_serves(status)
    raise validation(f"{NO_SUCH_INDEX}{op.argument}")

"""CreateTable: from the JSON body to a schema, with DynamoDB's checks in DynamoDB's order (api.md §8 "CreateTable").

Rules: nothing here knows which tables exist. What this service does not have yet (encryption by key, resource
policies) is refused in words, never taken and forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias, cast

from dynalab_model.errors import INVALID, validation
from dynalab_model.fields import failure, length_failures, name_failures, refuse
from dynalab_model.operations import CreateTable
from dynalab_model.schema import IndexSchema, KeyAttribute, KeySchema, TableSchema
from dynalab_model.shapes import REQUESTS
from dynalab_model.stream_requests import stream_specification
from dynalab_model.tags import check_tags, parse_tags
from dynalab_model.throughput import TABLE, check_ceilings, parse_ceilings, parse_warm, set_ceilings, set_warm

JsonBody: TypeAlias = "dict[str, object]"

INDEXES_MAX = 20
LOCAL_INDEXES_MAX = 5
KEY_ELEMENTS_MAX = 2
INDEX_KEY_ELEMENTS_MAX = 4  # of a global index, in its partition key as in its sort key
NON_KEY_ATTRIBUTES_TOTAL_MAX = 100
THROUGHPUT_MAX = 1_000_000_000_000

_GLOBAL = "GlobalSecondaryIndexes"
_THROUGHPUT = ("ReadCapacityUnits", "WriteCapacityUnits")

# Settings that a description repeats as they came.
_KEPT = ("BillingMode", "ProvisionedThroughput", "DeletionProtectionEnabled", "TableClass", "Tags")


def parse_create_table(body: Mapping[str, object]) -> CreateTable:
    """A CreateTable operation from its JSON body, or DynamoDB's error for it.

    >>> parse_create_table({"TableName": "Orders", "BillingMode": "PAY_PER_REQUEST",
    ...         "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    ...         "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}]}).schema.key.names
    ('id',)
    """
    name = REQUESTS["CreateTable"].check_named(body, _new_name)
    _check_fields(body)
    _check_not_offered(body)
    _check_throughput(body)
    check_tags(parse_tags(cast("list[object]", body.get("Tags") or [])))
    types = {
        cast(str, d["AttributeName"]): cast(str, d["AttributeType"]) for d in _structures(body, "AttributeDefinitions")
    }
    key = _key_schema(_structures(body, "KeySchema"), types, None)
    local = _local_indexes(body, types, key)
    indexes = _global_indexes(body, types, local)
    _check_non_key_attributes((*local, *indexes))
    _check_all_used(body, types, key, (*local, *indexes))
    return CreateTable(TableSchema(name, key, indexes, local), _settings(body))


def check_index_fields(index: Mapping[str, object], path: str) -> None:
    """Refuse a key schema that is too long for a global index; `path` says where it stands in the request.

    >>> check_index_fields({"KeySchema": [{"AttributeName": "c", "KeyType": "HASH"}]}, "keySchema")
    """
    refuse(_key_schema_failures(index, path, 2 * INDEX_KEY_ELEMENTS_MAX))


def added_index(part: JsonBody, definitions: Mapping[str, str], schema: TableSchema) -> IndexSchema:
    """A global index that comes to a table; `definitions` are the request's, merged with what the table has.

    >>> added_index({"IndexName": "by_c", "KeySchema": [{"AttributeName": "c", "KeyType": "HASH"}],
    ...              "Projection": {"ProjectionType": "ALL"}}, {"c": "S"},
    ...             TableSchema("T", KeySchema(KeyAttribute("pk", "S")))).key.names
    ('c',)
    """
    types = {a.name: a.type for key in (schema.key, *(i.key for i in schema.all_indexes)) for a in key.attributes}
    for name, kind in definitions.items():
        if types.setdefault(name, kind) != kind:  # these words are ours
            raise validation(f"{INVALID}Attribute {name} is a key already, of type {types[name]}")
    key = _key_schema(_structures(part, "KeySchema"), types, cast(str, part["IndexName"]), several=True)
    index = _index(part, key, schema.all_indexes)
    if len(schema.indexes) >= INDEXES_MAX:
        raise validation(f"{INVALID}GlobalSecondaryIndex count exceeds the per-table limit of {INDEXES_MAX}")
    _check_non_key_attributes((*schema.all_indexes, index))
    return index


def _structures(body: Mapping[str, object], member: str) -> list[JsonBody]:
    """The maps of a list member; [] when absent. Call after the shapes were checked."""
    return cast("list[JsonBody]", body.get(member) or [])


def _new_name(body: Mapping[str, object]) -> str:
    name = cast("str | None", body.get("TableName"))
    if name is None:
        raise validation("The parameter 'TableName' is required but was not present in the request")
    refuse(name_failures(name, "tableName", 3))
    return name


def _check_fields(body: Mapping[str, object]) -> None:
    """What the service asks for although its model does not (a copy of another table needs neither)."""
    failures = [
        failure(None, f"{member[0].lower()}{member[1:]}", "not be null")
        for member in ("AttributeDefinitions", "KeySchema")
        if body.get(member) is None
    ]
    failures += _key_schema_failures(body, "keySchema")
    for member in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
        for number, index in enumerate(_structures(body, member), 1):
            elements_max = KEY_ELEMENTS_MAX if member == "LocalSecondaryIndexes" else 2 * INDEX_KEY_ELEMENTS_MAX
            path = f"{member[0].lower()}{member[1:]}.{number}.member.keySchema"
            failures += _key_schema_failures(index, path, elements_max)
    refuse(failures)


def _key_schema_failures(body: Mapping[str, object], path: str, elements_max: int = KEY_ELEMENTS_MAX) -> list[str]:
    elements = cast("list[object]", body.get("KeySchema") or [])
    return length_failures(elements, path, 0, elements_max)


def _check_not_offered(body: Mapping[str, object]) -> None:
    """Refuse what would otherwise be silently forgotten. These texts are ours, not the service's."""
    encryption = cast(JsonBody, body.get("SSESpecification") or {})
    asked = {
        "SSESpecification": encryption.get("Enabled"),
        "ResourcePolicy": body.get("ResourcePolicy"),
        "VectorIndexes": body.get("VectorIndexes"),
        "GlobalTableSourceArn": body.get("GlobalTableSourceArn"),
    }
    for member, value in asked.items():
        if value:
            raise validation(f"{member} is not available in this version of dynalab")


def _check_throughput(body: Mapping[str, object]) -> None:
    on_demand = body.get("BillingMode") == "PAY_PER_REQUEST"
    throughput = cast("JsonBody | None", body.get("ProvisionedThroughput"))
    if on_demand and throughput is not None:
        raise validation(
            f"{INVALID}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is "
            "PAY_PER_REQUEST"
        )
    _check_ceilings(body, on_demand, TABLE)
    if not on_demand and throughput is None:
        raise validation(
            f"{INVALID}ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"
        )
    check_throughput_bounds(throughput, "")
    for index in _structures(body, "GlobalSecondaryIndexes"):
        name = cast(str, index["IndexName"])
        units = cast("JsonBody | None", index.get("ProvisionedThroughput"))
        if on_demand and units is not None:
            raise validation(
                f"{INVALID}ProvisionedThroughput should not be specified for index: {name} when BillingMode is "
                "PAY_PER_REQUEST"
            )
        if not on_demand and units is None:
            raise validation(f"{INVALID}ProvisionedThroughput must be specified for index: {name}")
        check_throughput_bounds(units, f" for index {name}")
        _check_ceilings(index, on_demand, name)


def _check_ceilings(part: Mapping[str, object], on_demand: bool, index: str) -> None:
    if parse_ceilings(part, liftable=False) is not None:
        check_ceilings(on_demand, index)


def plain_throughput(throughput: object) -> dict[str, object]:
    """A checked throughput without members that the service does not know: those are ignored, and never kept.

    >>> plain_throughput({"ReadCapacityUnits": 5, "Zebra": 1, "WriteCapacityUnits": 6})
    {'ReadCapacityUnits': 5, 'WriteCapacityUnits': 6}
    """
    given = cast(JsonBody, throughput)
    return {name: given[name] for name in _THROUGHPUT}


def check_throughput_bounds(throughput: Mapping[str, object] | None, whose: str) -> None:
    """Refuse throughput that no table can have; `whose` names an index.

    >>> check_throughput_bounds({"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}, "")
    """
    for name, units in (throughput or {}).items():
        if name in _THROUGHPUT and cast(int, units) > THROUGHPUT_MAX:
            raise validation(f"Given value {units} for {name} is out of bounds{whose}")


def _key_schema(
    elements: Sequence[JsonBody], types: Mapping[str, str], index: str | None, several: bool = False
) -> KeySchema:
    """The key of a table or index; `several` lets it have several attributes of a kind, as a global index may."""
    names = [cast(str, element["AttributeName"]) for element in elements]
    if any(name not in types for name in names):
        # More keys than definitions have a text of their own (measured on the service by dynalite's authors).
        if index is None and len(names) > len(types):
            raise validation("Invalid KeySchema: Some index key attribute have no definition")
        raise validation(
            f"{INVALID}Some index key attributes are not defined in AttributeDefinitions. "
            f"Keys: [{', '.join(names)}], AttributeDefinitions: [{', '.join(types)}]"
        )
    if elements[0]["KeyType"] != "HASH":
        raise validation("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
    if several and [element["KeyType"] for element in elements] not in (["HASH"], ["HASH", "RANGE"]):
        return _long_key(elements, types)
    if len(names) == 1:
        return KeySchema(KeyAttribute(names[0], types[names[0]]))
    if names[0] == names[1]:
        raise validation("Both the Hash Key and the Range Key element in the KeySchema have the same name")
    if elements[1]["KeyType"] != "RANGE":
        raise validation("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")
    return KeySchema(KeyAttribute(names[0], types[names[0]]), KeyAttribute(names[1], types[names[1]]))


def _long_key(elements: Sequence[JsonBody], types: Mapping[str, str]) -> KeySchema:
    """A key with several attributes of a kind, which begins with HASH. (What the service says of a wrong one nobody has
    captured: the words are ours.)
    """
    roles = [cast(str, element["KeyType"]) for element in elements]
    names = [cast(str, element["AttributeName"]) for element in elements]
    if roles != sorted(roles):
        raise validation("Invalid KeySchema: HASH key elements must come before RANGE key elements")
    for name in names:
        if names.count(name) > 1:
            raise validation(f"Invalid KeySchema: Duplicate KeySchemaElement: {name}")
    for role in ("HASH", "RANGE"):
        if roles.count(role) > INDEX_KEY_ELEMENTS_MAX:
            raise validation(f"Invalid KeySchema: More than {INDEX_KEY_ELEMENTS_MAX} {role} key elements")
    attributes = tuple(KeyAttribute(name, types[name]) for name in names)
    hashes, ranges = attributes[: roles.count("HASH")], attributes[roles.count("HASH") :]
    return KeySchema(hashes[0], ranges[0] if ranges else None, hashes[1:], ranges[1:])


def _local_indexes(body: Mapping[str, object], types: Mapping[str, str], table: KeySchema) -> tuple[IndexSchema, ...]:
    given = body.get("LocalSecondaryIndexes")
    if given is None:
        return ()
    if given == []:
        raise validation(f"{INVALID}List of LocalSecondaryIndexes is empty")
    if table.range is None:
        raise validation(
            f"{INVALID}Table KeySchema does not have a range key, which is required when specifying a "
            "LocalSecondaryIndex"
        )
    indexes: list[IndexSchema] = []
    for part in _structures(body, "LocalSecondaryIndexes"):
        name = cast(str, part["IndexName"])
        key = _key_schema(_structures(part, "KeySchema"), types, name)
        if key.range is None:
            raise validation(f"{INVALID}Index KeySchema does not have a range key for index: {name}")
        if key.hash.name != table.hash.name:
            raise validation(
                f"{INVALID}Index KeySchema does not have the same leading hash key as table KeySchema for index: "
                f"{name}. index hash key: {key.hash.name}, table hash key: {table.hash.name}"
            )
        indexes.append(_index(part, key, indexes))
    if len(indexes) > LOCAL_INDEXES_MAX:
        raise validation(f"{INVALID}Number of LocalSecondaryIndexes exceeds per-table limit of {LOCAL_INDEXES_MAX}")
    return tuple(indexes)


def _global_indexes(
    body: Mapping[str, object], types: Mapping[str, str], local: Sequence[IndexSchema]
) -> tuple[IndexSchema, ...]:
    given = body.get("GlobalSecondaryIndexes")
    if given == []:
        raise validation(f"{INVALID}List of GlobalSecondaryIndexes is empty")
    indexes: list[IndexSchema] = []
    for part in _structures(body, "GlobalSecondaryIndexes"):
        key = _key_schema(_structures(part, "KeySchema"), types, cast(str, part["IndexName"]), several=True)
        indexes.append(_index(part, key, (*local, *indexes)))
    if len(indexes) > INDEXES_MAX:
        raise validation(f"{INVALID}GlobalSecondaryIndex count exceeds the per-table limit of {INDEXES_MAX}")
    return tuple(indexes)


def _index(part: JsonBody, key: KeySchema, others: Sequence[IndexSchema]) -> IndexSchema:
    """One index whose key has been checked. Names are shared by indexes of both kinds: a Query gives nothing else."""
    name = cast(str, part["IndexName"])
    if any(other.name == name for other in others):
        raise validation(f"{INVALID}Duplicate index name: {name}")
    projection = cast(JsonBody, part["Projection"])
    kind, included = projection.get("ProjectionType"), projection.get("NonKeyAttributes")
    if kind is None:
        raise validation(f"{INVALID}Unknown ProjectionType: null")
    if kind != "INCLUDE" and included is not None:
        raise validation(f"{INVALID}ProjectionType is {kind}, but NonKeyAttributes is specified")
    if kind == "INCLUDE" and included is None:
        raise validation(f"{INVALID}ProjectionType is INCLUDE, but NonKeyAttributes is not specified")
    return IndexSchema(name, key, cast(str, kind), tuple(cast("list[str]", included or [])))


def _check_non_key_attributes(indexes: Sequence[IndexSchema]) -> None:
    if sum(len(index.non_key_attributes) for index in indexes) > NON_KEY_ATTRIBUTES_TOTAL_MAX:
        raise validation(
            f"{INVALID}Number of NonKeyAttributes across all indexes exceeds the limit of "
            f"{NON_KEY_ATTRIBUTES_TOTAL_MAX}"
        )


def _check_all_used(
    body: Mapping[str, object], types: Mapping[str, str], key: KeySchema, indexes: Sequence[IndexSchema]
) -> None:
    used = dict.fromkeys(key.names)
    for index in indexes:
        used |= dict.fromkeys(index.key.names)
    if len(used) == len(_structures(body, "AttributeDefinitions")):
        return
    if not indexes:
        raise validation(
            f"{INVALID}Number of attributes in KeySchema does not exactly match number of attributes defined in "
            "AttributeDefinitions"
        )
    raise validation(
        f"{INVALID}Some AttributeDefinitions are not used. AttributeDefinitions: [{', '.join(types)}], "
        f"keys used: [{', '.join(used)}]"
    )


def _settings(body: Mapping[str, object]) -> dict[str, object]:
    settings = {name: body[name] for name in _KEPT if body.get(name) is not None}
    throughput = {
        cast(str, index["IndexName"]): plain_throughput(index["ProvisionedThroughput"])
        for index in _structures(body, _GLOBAL)
        if index.get("ProvisionedThroughput") is not None
    }
    if throughput:
        settings["IndexThroughput"] = throughput
    if "ProvisionedThroughput" in settings:
        settings["ProvisionedThroughput"] = plain_throughput(settings["ProvisionedThroughput"])
    for name, part in (TABLE, body), *((str(part["IndexName"]), part) for part in _structures(body, _GLOBAL)):
        specify_throughput(settings, name, part)
    stream = stream_specification(body)
    if stream is not None:
        settings["StreamSpecification"] = stream
    return settings


def specify_throughput(settings: dict[str, object], index: str, part: Mapping[str, object]) -> None:
    """Take the ceilings and the warm throughput that a new table (index "") or a new index is given.

    >>> settings = {"BillingMode": "PAY_PER_REQUEST"}
    >>> specify_throughput(settings, "by_c", {"OnDemandThroughput": {"MaxReadRequestUnits": 5}})
    >>> settings["IndexOnDemandThroughput"]
    {'by_c': {'MaxReadRequestUnits': 5}}
    """
    set_ceilings(settings, index, parse_ceilings(part, liftable=False) or {})
    asked = parse_warm(part)
    if asked is not None:
        set_warm(settings, index, asked)

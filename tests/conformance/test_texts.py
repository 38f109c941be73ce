"""What the service says when it refuses a request: one row for each text (ValidationException, mostly)."""

# ruff: noqa: E501 (a text is easier to compare with a captured one when it is not cut)

from __future__ import annotations

from typing import Any

import pytest

from dynalab_model.errors import DynamoError

PK: dict[str, Any] = {"pk": {"S": "texts"}}
PAIR: dict[str, Any] = {"pk": {"S": "texts"}, "sk": {"S": "a"}}
ONE = "1 validation error detected: "
INVALID = "One or more parameter values were invalid: "
NOT_VALID = "One or more parameter values are not valid. "
CONDITION = {"ConditionExpression": "a = :v", "ExpressionAttributeValues": {":v": {"S": "x"}}}
QUERY: dict[str, Any] = {
    "TableName": "Range",
    "KeyConditionExpression": "pk = :p",
    "ExpressionAttributeValues": {":p": {"S": "texts"}},
}
ON_G: dict[str, Any] = {
    "TableName": "Range",
    "IndexName": "bare",
    "KeyConditionExpression": "g = :p",
    "ExpressionAttributeValues": {":p": {"S": "texts"}},
}


def condition(operator: str, *values: dict[str, Any]) -> dict[str, Any]:
    return {"ComparisonOperator": operator, "AttributeValueList": list(values)}


def case(row: str, operation: str, body: dict[str, Any], text: str) -> Any:
    return pytest.param(operation, body, text, id=row, marks=pytest.mark.row(row))


def put(value: dict[str, Any]) -> dict[str, Any]:
    return {"TableName": "Hash", "Item": PK | {"v": value}}


def bad(value: object, path: str, rule: str) -> str:
    shown = "null" if value is None else f"'{value}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: Member must {rule}"


NAMES_AND_ENUMS = [
    case(
        "text:no-table",
        "PutItem",
        {"Item": PK},
        "1 validation error detected: Value null at 'tableName' failed to satisfy constraint: Member must not be null",
    ),
    case(
        "text:empty-table",
        "PutItem",
        {"TableName": "", "Item": PK},
        "1 validation error detected: Value '' at 'tableName' failed to satisfy constraint: Member must have length greater than or equal to 1",
    ),
    case(
        "text:create-no-name",
        "CreateTable",
        {},
        "The parameter 'TableName' is required but was not present in the request",
    ),
    case(
        "text:create-short-name",
        "CreateTable",
        {"TableName": "ab"},
        "1 validation error detected: Value 'ab' at 'tableName' failed to satisfy constraint: Member must have length greater than or equal to 3",
    ),
    case(
        "text:bad-characters",
        "GetItem",
        {"TableName": "a b", "Key": PK},
        "1 validation error detected: Value 'a b' at 'tableName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
    ),
    case(
        "text:enum-capacity",
        "GetItem",
        {"TableName": "Hash", "Key": PK, "ReturnConsumedCapacity": "X"},
        "1 validation error detected: Value 'X' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]",
    ),
    case(
        "text:enum-return-values",
        "UpdateItem",
        {"TableName": "Hash", "Key": PK, "ReturnValues": "X"},
        "1 validation error detected: Value 'X' at 'returnValues' failed to satisfy constraint: Member must satisfy enum value set: [ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]",
    ),
    case(
        "text:enum-metrics",
        "PutItem",
        {"TableName": "Hash", "Item": PK, "ReturnItemCollectionMetrics": "X"},
        "1 validation error detected: Value 'X' at 'returnItemCollectionMetrics' failed to satisfy constraint: Member must satisfy enum value set: [SIZE, NONE]",
    ),
    case(
        "text:enum-select",
        "Scan",
        {"TableName": "Hash", "Select": "X"},
        "1 validation error detected: Value 'X' at 'select' failed to satisfy constraint: Member must satisfy enum value set: [SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES]",
    ),
    case(
        "text:enum-key-type",
        "CreateTable",
        {"TableName": "Ttt", "KeySchema": [{"AttributeName": "a", "KeyType": "X"}], "AttributeDefinitions": []},
        "1 validation error detected: Value 'X' at 'keySchema.1.member.keyType' failed to satisfy constraint: Member must satisfy enum value set: [HASH, RANGE]",
    ),
    case(
        "text:enum-attribute-type",
        "CreateTable",
        {"TableName": "Ttt", "KeySchema": [], "AttributeDefinitions": [{"AttributeName": "a", "AttributeType": "X"}]},
        "1 validation error detected: Value 'X' at 'attributeDefinitions.1.member.attributeType' failed to satisfy constraint: Member must satisfy enum value set: [B, N, S]",
    ),
    case(
        "text:query-limit",
        "Query",
        QUERY | {"Limit": 0},
        "1 validation error detected: Value at 'Limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
    ),
    case(
        "text:scan-limit",
        "Scan",
        {"TableName": "Hash", "Limit": 0},
        "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
    ),
]

KEYS = [
    case(
        "text:key-mismatch",
        "GetItem",
        {"TableName": "Hash", "Key": {"pk": {"N": "1"}}},
        "The provided key element does not match the schema",
    ),
    case(
        "text:key-mismatch",
        "DeleteItem",
        {"TableName": "Range", "Key": PK},
        "The provided key element does not match the schema",
    ),
    case(
        "text:key-mismatch",
        "UpdateItem",
        {"TableName": "Hash", "Key": PAIR},
        "The provided key element does not match the schema",
    ),
    case(
        "text:item-lacks-key",
        "PutItem",
        {"TableName": "Range", "Item": PK},
        "One or more parameter values were invalid: Missing the key sk in the item",
    ),
    case(
        "text:item-key-type",
        "PutItem",
        {"TableName": "Hash", "Item": {"pk": {"N": "1"}}},
        "One or more parameter values were invalid: Type mismatch for key pk expected: S actual: N",
    ),
    case(
        "text:index-key-type",
        "PutItem",
        {"TableName": "Range", "Item": PAIR | {"h": {"S": "x"}}},
        "One or more parameter values were invalid: Type mismatch for Index Key h Expected: N Actual: S IndexName: by_g",
    ),
    case(
        "text:empty-key-string",
        "PutItem",
        {"TableName": "Hash", "Item": {"pk": {"S": ""}}},
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: pk",
    ),
    case(
        "text:empty-key-string",
        "GetItem",
        {"TableName": "Range", "Key": PK | {"sk": {"S": ""}}},
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: sk",
    ),
    case(
        "text:empty-key-binary",
        "PutItem",
        {"TableName": "Binary", "Item": {"pk": {"B": ""}}},
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty binary value. Key: pk",
    ),
    case(
        "text:empty-index-key",
        "PutItem",
        {"TableName": "Range", "Item": PAIR | {"g": {"S": ""}}},
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. IndexName: by_g, IndexKey: g",
    ),
    case(
        "text:hash-key-long",
        "PutItem",
        {"TableName": "Hash", "Item": {"pk": {"S": "x" * 2049}}},
        "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes",
    ),
    case(
        "text:range-key-long",
        "PutItem",
        {"TableName": "Range", "Item": PK | {"sk": {"S": "x" * 1025}}},
        "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of 1024 bytes",
    ),
    case(
        "text:update-key",
        "UpdateItem",
        {
            "TableName": "Hash",
            "Key": PK,
            "UpdateExpression": "SET pk = :v",
            "ExpressionAttributeValues": {":v": {"S": "b"}},
        },
        "One or more parameter values were invalid: Cannot update attribute pk. This attribute is part of the key",
    ),
    case("text:item-long", "PutItem", put({"S": "x" * 409_600}), "Item size has exceeded the maximum allowed size"),
    case(
        "text:item-long-update",
        "UpdateItem",
        {
            "TableName": "Hash",
            "Key": PK,
            "UpdateExpression": "SET v = :v",
            "ExpressionAttributeValues": {":v": {"S": "x" * 409_600}},
        },
        "Item size to update has exceeded the maximum allowed size",
    ),
]

VALUES = [
    case(
        "text:value-empty",
        "PutItem",
        put({}),
        "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
    ),
    case(
        "text:value-many",
        "PutItem",
        put({"S": "a", "N": "1"}),
        "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
    ),
    case(
        "text:set-empty-strings",
        "PutItem",
        put({"SS": []}),
        "One or more parameter values were invalid: An string set  may not be empty",
    ),
    case(
        "text:set-empty-numbers",
        "PutItem",
        put({"NS": []}),
        "One or more parameter values were invalid: An number set  may not be empty",
    ),
    case(
        "text:set-empty-binaries",
        "PutItem",
        put({"BS": []}),
        "One or more parameter values were invalid: Binary sets should not be empty",
    ),
    case(
        "text:set-twice-strings",
        "PutItem",
        put({"SS": ["a", "a"]}),
        "One or more parameter values were invalid: Input collection [a, a] contains duplicates.",
    ),
    case(
        "text:set-twice-binaries",
        "PutItem",
        put({"BS": ["YQ==", "YQ=="]}),
        "One or more parameter values were invalid: Input collection [YQ==, YQ==]of type BS contains duplicates.",
    ),
    case("text:set-twice-numbers", "PutItem", put({"NS": ["1", "1.0"]}), "Input collection contains duplicates"),
    case(
        "text:null-false",
        "PutItem",
        put({"NULL": False}),
        "One or more parameter values were invalid: Null attribute value types must have the value of true",
    ),
    case(
        "text:not-a-number", "PutItem", put({"N": "ten"}), "The parameter cannot be converted to a numeric value: ten"
    ),
    case("text:not-a-number", "PutItem", put({"N": ""}), "The parameter cannot be converted to a numeric value"),
    case("text:number-blank", "PutItem", put({"N": " 1"}), "The parameter cannot be converted to a numeric value:  1"),
    case(
        "text:number-overflow",
        "PutItem",
        put({"N": "1E126"}),
        "Number overflow. Attempting to store a number with magnitude larger than supported range",
    ),
    case(
        "text:number-underflow",
        "PutItem",
        put({"N": "1E-131"}),
        "Number underflow. Attempting to store a number with magnitude smaller than supported range",
    ),
    case(
        "text:number-digits",
        "PutItem",
        put({"N": "1" * 39}),
        "Attempting to store more than 38 significant digits in a Number",
    ),
]

STYLES = [
    case(
        "text:mixed-styles",
        "PutItem",
        put({"S": "a"}) | CONDITION | {"Expected": {"a": {"Exists": False}}},
        "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {Expected} Expression parameters: {ConditionExpression}",
    ),
    case(
        "text:names-alone",
        "PutItem",
        put({"S": "a"}) | {"ExpressionAttributeNames": {"#a": "a"}},
        "ExpressionAttributeNames can only be specified when using expressions",
    ),
    case(
        "text:values-alone",
        "PutItem",
        put({"S": "a"}) | {"ExpressionAttributeValues": {":a": {"S": "a"}}},
        "ExpressionAttributeValues can only be specified when using expressions: ConditionExpression is null",
    ),
    case(
        "text:values-alone-two",
        "UpdateItem",
        {"TableName": "Hash", "Key": PK, "ExpressionAttributeValues": {":a": {"S": "a"}}},
        "ExpressionAttributeValues can only be specified when using expressions: UpdateExpression and ConditionExpression are null",
    ),
    case(
        "text:names-empty",
        "PutItem",
        put({"S": "a"}) | CONDITION | {"ExpressionAttributeNames": {}},
        "ExpressionAttributeNames must not be empty",
    ),
    case(
        "text:values-empty",
        "PutItem",
        put({"S": "a"}) | CONDITION | {"ExpressionAttributeValues": {}},
        "ExpressionAttributeValues must not be empty",
    ),
    case(
        "text:names-bad-key",
        "PutItem",
        put({"S": "a"}) | CONDITION | {"ExpressionAttributeNames": {"a": "b"}},
        'ExpressionAttributeNames contains invalid key: Syntax error; key: "a"',
    ),
    case(
        "text:values-bad-value",
        "PutItem",
        put({"S": "a"}) | CONDITION | {"ExpressionAttributeValues": {":v": {"NS": []}}},
        "ExpressionAttributeValues contains invalid value: One or more parameter values were invalid: An number set  may not be empty for key :v",
    ),
    case(
        "text:names-unused",
        "PutItem",
        put({"S": "a"}) | CONDITION | {"ExpressionAttributeNames": {"#x": "b"}},
        "Value provided in ExpressionAttributeNames unused in expressions: keys: {#x}",
    ),
    case(
        "text:values-unused",
        "PutItem",
        put({"S": "a"}) | CONDITION | {"ExpressionAttributeValues": {":v": {"S": "x"}, ":w": {"S": "x"}}},
        "Value provided in ExpressionAttributeValues unused in expressions: keys: {:w}",
    ),
    case(
        "text:return-values",
        "PutItem",
        put({"S": "a"}) | {"ReturnValues": "ALL_NEW"},
        "ReturnValues can only be ALL_OLD or NONE",
    ),
    case(
        "text:return-values",
        "DeleteItem",
        {"TableName": "Hash", "Key": PK, "ReturnValues": "UPDATED_OLD"},
        "ReturnValues can only be ALL_OLD or NONE",
    ),
]

MANY = [{"pk": {"S": str(number)}} for number in range(101)]
PUTS = [{"PutRequest": {"Item": key}} for key in MANY]
BATCHES = [
    case(
        "text:batch-get-many",
        "BatchGetItem",
        {"RequestItems": {"Hash": {"Keys": MANY}}},
        "1 validation error detected: Value at 'RequestItems.Hash.member.Keys' failed to satisfy constraint: Member must have length less than or equal to 100",
    ),
    case(
        "text:batch-get-total",
        "BatchGetItem",
        {"RequestItems": {"Hash": {"Keys": MANY[:60]}, "Hash2": {"Keys": MANY[:60]}}},
        "Too many items requested for the BatchGetItem call",
    ),
    case(
        "text:batch-empty",
        "BatchGetItem",
        {"RequestItems": {}},
        "The requestItems parameter is required for BatchGetItem",
    ),
    case(
        "text:batch-empty",
        "BatchWriteItem",
        {"RequestItems": {}},
        "The requestItems parameter is required for BatchWriteItem",
    ),
    case(
        "text:batch-twice",
        "BatchGetItem",
        {"RequestItems": {"Hash": {"Keys": [PK, PK]}}},
        "Provided list of item keys contains duplicates",
    ),
    case(
        "text:batch-twice",
        "BatchWriteItem",
        {"RequestItems": {"Hash": [{"PutRequest": {"Item": PK}}, {"DeleteRequest": {"Key": PK}}]}},
        "Provided list of item keys contains duplicates",
    ),
    case(
        "text:batch-write-many",
        "BatchWriteItem",
        {"RequestItems": {"Hash": PUTS[:26]}},
        "1 validation error detected: Value '{Hash=[...]}' at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to 25, Member must have length greater than or equal to 1]",
    ),
    case(
        "text:batch-write-total",
        "BatchWriteItem",
        {"RequestItems": {"Hash": PUTS[:20], "Hash2": PUTS[:20]}},
        "Too many items requested for the BatchWriteItem call",
    ),
    case(
        "text:batch-write-both",
        "BatchWriteItem",
        {"RequestItems": {"Hash": [{"PutRequest": {"Item": PK}, "DeleteRequest": {"Key": PK}}]}},
        "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
    ),
]

QUERIES = [
    case(
        "text:query-nothing",
        "Query",
        {"TableName": "Range"},
        "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
    ),
    case(
        "text:query-missed",
        "Query",
        QUERY | {"KeyConditionExpression": "sk = :p"},
        "Query condition missed key schema element: pk",
    ),
    case(
        "text:query-unsupported",
        "Query",
        QUERY | {"KeyConditionExpression": "pk > :p"},
        "Query key condition not supported",
    ),
    case(
        "text:query-length",
        "Query",
        {"TableName": "Range", "KeyConditions": {name: condition("EQ", {"S": "a"}) for name in ("pk", "sk", "c")}},
        "Conditions can be of length 1 or 2 only",
    ),
    case(
        "text:query-not-indexable",
        "Query",
        {"TableName": "Range", "KeyConditions": {"pk": condition("EQ", {"S": "a"}), "sk": condition("NE", {"S": "a"})}},
        "Attempted conditional constraint is not an indexable operation",
    ),
    case(
        "text:query-type",
        "Query",
        QUERY | {"ExpressionAttributeValues": {":p": {"N": "1"}}},
        "One or more parameter values were invalid: Condition parameter type does not match schema type",
    ),
    case(
        "text:consistent-index",
        "Query",
        ON_G | {"ConsistentRead": True},
        "Consistent reads are not supported on global secondary indexes",
    ),
    case(
        "text:no-such-index",
        "Query",
        QUERY | {"IndexName": "by_x"},
        "The table does not have the specified index: by_x",
    ),
    case(
        "text:filter-on-key",
        "Query",
        QUERY | {"FilterExpression": "sk = :p"},
        "Filter Expression can only contain non-primary key attributes: Primary key attribute: sk",
    ),
    case(
        "text:query-filter-on-key",
        "Query",
        {
            "TableName": "Range",
            "KeyConditions": {"pk": condition("EQ", {"S": "a"})},
            "QueryFilter": {"sk": condition("EQ", {"S": "a"})},
        },
        "QueryFilter can only contain non-primary key attributes: Primary key attribute: sk",
    ),
    case("text:start-key-invalid", "Query", QUERY | {"ExclusiveStartKey": PK}, "The provided starting key is invalid"),
    case(
        "text:start-key-schema",
        "Scan",
        {"TableName": "Range", "ExclusiveStartKey": PK},
        "The provided starting key is invalid: The provided key element does not match the schema",
    ),
    case(
        "text:start-key-outside",
        "Query",
        QUERY | {"ExclusiveStartKey": {"pk": {"S": "other"}, "sk": {"S": "a"}}},
        "The provided starting key is outside query boundaries based on provided conditions",
    ),
    case(
        "text:start-key-range",
        "Query",
        QUERY | {"KeyConditionExpression": "pk = :p AND sk > :p", "ExclusiveStartKey": PAIR},
        "The provided starting key does not match the range key predicate",
    ),
    case(
        "text:start-key-one-row",
        "Query",
        {
            "TableName": "Hash",
            "KeyConditionExpression": "pk = :p",
            "ExpressionAttributeValues": {":p": {"S": "texts"}},
            "ExclusiveStartKey": PK,
        },
        "The query can return at most one row and cannot be restarted",
    ),
    case(
        "text:select-specific",
        "Query",
        QUERY | {"Select": "SPECIFIC_ATTRIBUTES"},
        "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
    ),
    case(
        "text:select-with-attributes",
        "Scan",
        {"TableName": "Hash", "Select": "ALL_ATTRIBUTES", "AttributesToGet": ["a"]},
        "Cannot specify the AttributesToGet when choosing to get ALL_ATTRIBUTES",
    ),
    case(
        "text:select-with-attributes",
        "Scan",
        {"TableName": "Hash", "Select": "COUNT", "AttributesToGet": ["a"]},
        "Cannot specify the AttributesToGet when choosing to get COUNT",
    ),
    case(
        "text:select-projected",
        "Query",
        QUERY | {"Select": "ALL_PROJECTED_ATTRIBUTES"},
        "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
    ),
    case(
        "text:select-all-of-index",
        "Query",
        ON_G | {"Select": "ALL_ATTRIBUTES"},
        "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary index bare because its projection type is not ALL",
    ),
    case(
        "text:index-not-projected",
        "Query",
        ON_G | {"ProjectionExpression": "x"},
        "One or more parameter values were invalid: Global secondary index bare does not project [x]",
    ),
    case(
        "text:segment-alone",
        "Scan",
        {"TableName": "Hash", "Segment": 0},
        "The TotalSegments parameter is required but was not present in the request when Segment parameter is present",
    ),
    case(
        "text:segments-alone",
        "Scan",
        {"TableName": "Hash", "TotalSegments": 2},
        "The Segment parameter is required but was not present in the request when parameter TotalSegments is present",
    ),
    case(
        "text:segment-beyond",
        "Scan",
        {"TableName": "Hash", "Segment": 5, "TotalSegments": 5},
        "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: 5 is not less than TotalSegments: 5",
    ),
]


def table(**members: object) -> dict[str, Any]:
    """A CreateTable request that would pass, with members replaced."""
    body: dict[str, Any] = {
        "TableName": "Refused",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "a", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "a", "AttributeType": "S"}],
    }
    return {name: value for name, value in (body | members).items() if value is not None}


def keys(*names: str, kinds: tuple[str, str] = ("HASH", "RANGE")) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, kinds, strict=False)]


def strings(*names: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "AttributeType": "S"} for name in names]


def index(name: str, *names: str, **members: object) -> dict[str, Any]:
    return {"IndexName": name, "KeySchema": keys(*names), "Projection": {"ProjectionType": "ALL"}, **members}


UNITS = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
TABLES = [
    case(
        "text:create-definitions",
        "CreateTable",
        table(AttributeDefinitions=strings("a", "b")),
        "One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions",
    ),
    case(
        "text:create-index-undefined",
        "CreateTable",
        table(GlobalSecondaryIndexes=[index("by_b", "b")]),
        "One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions. Keys: [b], AttributeDefinitions: [a]",
    ),
    case(
        "text:create-undefined",
        "CreateTable",
        table(KeySchema=keys("a", "b")),
        "Invalid KeySchema: Some index key attribute have no definition",
    ),
    case(
        "text:create-same-name",
        "CreateTable",
        table(KeySchema=keys("a", "a")),
        "Both the Hash Key and the Range Key element in the KeySchema have the same name",
    ),
    case(
        "text:create-first-hash",
        "CreateTable",
        table(KeySchema=keys("a", kinds=("RANGE", "RANGE"))),
        "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
    ),
    case(
        "text:create-second-range",
        "CreateTable",
        table(KeySchema=keys("a", "b", kinds=("HASH", "HASH")), AttributeDefinitions=strings("a", "b")),
        "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
    ),
    case(
        "text:create-index-twice",
        "CreateTable",
        table(GlobalSecondaryIndexes=[index("by_a", "a"), index("by_a", "a")]),
        "One or more parameter values were invalid: Duplicate index name: by_a",
    ),
    case(
        "text:create-indexes-20",
        "CreateTable",
        table(GlobalSecondaryIndexes=[index(f"by_{number}", "a") for number in range(21)]),
        "One or more parameter values were invalid: GlobalSecondaryIndex count exceeds the per-table limit of 20",
    ),
    case(
        "text:create-no-projection",
        "CreateTable",
        table(GlobalSecondaryIndexes=[index("by_a", "a", Projection={})]),
        "One or more parameter values were invalid: Unknown ProjectionType: null",
    ),
    case(
        "text:create-all-and-names",
        "CreateTable",
        table(
            GlobalSecondaryIndexes=[index("by_a", "a", Projection={"ProjectionType": "ALL", "NonKeyAttributes": ["x"]})]
        ),
        "One or more parameter values were invalid: ProjectionType is ALL, but NonKeyAttributes is specified",
    ),
    case(
        "text:create-no-units",
        "CreateTable",
        table(BillingMode=None),
        "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
    ),
    case(
        "text:create-units-on-demand",
        "CreateTable",
        table(ProvisionedThroughput=UNITS),
        "One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
    ),
    case(
        "text:create-index-units-on-demand",
        "CreateTable",
        table(GlobalSecondaryIndexes=[index("by_a", "a", ProvisionedThroughput=UNITS)]),
        "One or more parameter values were invalid: ProvisionedThroughput should not be specified for index: by_a when BillingMode is PAY_PER_REQUEST",
    ),
    case(
        "text:create-units-bounds",
        "CreateTable",
        table(
            BillingMode=None, ProvisionedThroughput={"ReadCapacityUnits": 1_000_000_000_001, "WriteCapacityUnits": 1}
        ),
        "Given value 1000000000001 for ReadCapacityUnits is out of bounds",
    ),
    case(
        "text:update-table-nothing",
        "UpdateTable",
        {"TableName": "Hash"},
        "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required",
    ),
    case(
        "text:update-table-index-twice",
        "UpdateTable",
        {
            "TableName": "Range",
            "GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": "by_g", "ProvisionedThroughput": UNITS}}] * 2,
        },
        "One or more parameter values were invalid: Only one global secondary index update per index is allowed simultaneously. Index: by_g",
    ),
    case(
        "text:update-table-no-units",
        "UpdateTable",
        {"TableName": "Hash", "BillingMode": "PROVISIONED"},
        "One or more parameter values were invalid: ProvisionedThroughput must be specified when BillingMode is PROVISIONED",
    ),
    case(
        "text:update-table-index-nothing",
        "UpdateTable",
        {"TableName": "Range", "GlobalSecondaryIndexUpdates": [{}]},
        "One or more parameter values were invalid: One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, GlobalSecondaryIndexUpdate.Delete must not be null",
    ),
    case(
        "text:tags-none",
        "TagResource",
        {"ResourceArn": "arn:aws:dynamodb:us-east-1:000000000000:table/Hash", "Tags": []},
        "Atleast one Tag needs to be provided as Input.",
    ),
    case(
        "text:tag-keys-none",
        "UntagResource",
        {"ResourceArn": "arn:aws:dynamodb:us-east-1:000000000000:table/Hash", "TagKeys": []},
        "Atleast one Tag Key needs to be provided as Input.",
    ),
    case(
        "text:tags-bad-arn",
        "ListTagsOfResource",
        {"ResourceArn": "arn:nowhere"},
        "Invalid TableArn: Invalid ResourceArn provided as input arn:nowhere",
    ),
]


@pytest.mark.parametrize(
    ("operation", "body", "text"), [*NAMES_AND_ENUMS, *KEYS, *VALUES, *STYLES, *BATCHES, *QUERIES, *TABLES]
)
def test_the_request_is_refused_with_just_this_text(
    service: Any, operation: str, body: dict[str, Any], text: str
) -> None:
    error = service.refused(operation, **body)
    assert (error.code, error.status, error.message) == ("ValidationException", 400, text)
    assert error.body()["__type"] == "com.amazon.coral.validate#ValidationException"


# --- texts that need a story ------------------------------------------------------------------------------------------


@pytest.mark.row("text:number-plus")
def test_a_number_may_have_a_leading_plus(service: Any) -> None:
    service.put("Hash", pk={"S": "plus"}, v={"N": "+7"})
    assert service.get("Hash", pk={"S": "plus"}) == {"pk": {"S": "plus"}, "v": {"N": "7"}}


@pytest.mark.row("text:start-key-segment")
def test_a_start_key_of_another_segment_is_refused(service: Any) -> None:
    """Which of four segments a key is in is ours to choose; that three of them refuse it is not."""
    texts = []
    for segment in range(4):
        body = {"TableName": "Hash", "TotalSegments": 4, "Segment": segment, "ExclusiveStartKey": {"pk": {"S": "one"}}}
        try:
            service("Scan", **body)
        except DynamoError as error:
            texts.append(str(error))
    assert len(texts) == 3
    for text in texts:
        assert text.startswith(
            "ValidationException: The provided starting key is invalid: Invalid ExclusiveStartKey. "
            "Please use ExclusiveStartKey with correct Segment. TotalSegments: 4 Segment: "
        )


@pytest.mark.row("text:empty-index-key-update")
def test_an_update_to_an_empty_index_key_has_words_of_its_own(service: Any) -> None:
    error = service.refused(
        "UpdateItem",
        TableName="Range",
        Key=PAIR,
        UpdateExpression="SET g = :e",
        ExpressionAttributeValues={":e": {"S": ""}},
    )
    assert (error.code, error.message) == (
        "ValidationException",
        "One or more parameter values are not valid. The update expression attempted to update a secondary index key to a value that is not supported. "
        "The AttributeValue for a key attribute cannot contain an empty string value.",
    )


@pytest.mark.row("text:tags-unknown-arn")
def test_tags_of_a_table_that_is_not_there_are_a_matter_of_access(service: Any) -> None:
    error = service.refused("ListTagsOfResource", ResourceArn="arn:aws:dynamodb:us-east-1:000000000000:table/Nowhere")
    assert error.code == "AccessDeniedException"


@pytest.mark.row("text:delete-protected")
def test_a_protected_table_is_not_deleted(service: Any) -> None:
    service("CreateTable", **table(TableName="Protected", DeletionProtectionEnabled=True))
    service.pair.wait_active("Protected")
    error = service.refused("DeleteTable", TableName="Protected")
    assert (error.code, error.message) == (
        "ValidationException",
        "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
    )


@pytest.mark.row("text:update-table-same-units")
def test_throughput_that_does_not_change_is_refused_with_all_figures(service: Any) -> None:
    service(
        "CreateTable",
        **table(
            TableName="Units", BillingMode=None, ProvisionedThroughput={"ReadCapacityUnits": 4, "WriteCapacityUnits": 5}
        ),
    )
    service.pair.wait_active("Units")
    error = service.refused(
        "UpdateTable", TableName="Units", ProvisionedThroughput={"ReadCapacityUnits": 4, "WriteCapacityUnits": 5}
    )
    assert error.message == (
        "The provisioned throughput for the table will not change. The requested value equals the current value. "
        "Current ReadCapacityUnits provisioned for the table: 4. Requested ReadCapacityUnits: 4. "
        "Current WriteCapacityUnits provisioned for the table: 5. Requested WriteCapacityUnits: 5. "
        "Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
    )


@pytest.mark.row("text:ttl-same", "text:ttl-other-name")
def test_time_to_live_says_what_it_is_already(service: Any) -> None:
    def update(enabled: bool, name: str) -> Any:
        return service.refused(
            "UpdateTimeToLive", TableName="Ttl", TimeToLiveSpecification={"Enabled": enabled, "AttributeName": name}
        )

    service("CreateTable", **table(TableName="Ttl"))
    service.pair.wait_active("Ttl")
    assert update(False, "e").message == "TimeToLive is already disabled"
    service("UpdateTimeToLive", TableName="Ttl", TimeToLiveSpecification={"Enabled": True, "AttributeName": "e"})
    assert update(True, "e").message == "TimeToLive is already enabled"
    assert update(False, "x").message == "TimeToLive is active on a different AttributeName: current AttributeName is e"


# --- order ------------------------------------------------------------------------------------------------------------


@pytest.mark.row("text:order-name-alone")
def test_a_broken_table_name_is_told_alone(service: Any) -> None:
    error = service.refused("PutItem", TableName="a b", ReturnValues="X", ReturnConsumedCapacity="Y")
    assert error.message == (
        "1 validation error detected: Value 'a b' at 'tableName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
    )


@pytest.mark.row("text:order-enums", "text:envelope")
def test_all_broken_enums_come_in_one_envelope_before_all_else(service: Any) -> None:
    error = service.refused(
        "PutItem", TableName="Hash", ReturnValues="X", ReturnItemCollectionMetrics="Z", ReturnConsumedCapacity="Y"
    )
    assert error.message == (
        "3 validation errors detected: "
        "Value 'Y' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]; "
        "Value 'Z' at 'returnItemCollectionMetrics' failed to satisfy constraint: Member must satisfy enum value set: [SIZE, NONE]; "
        "Value 'X' at 'returnValues' failed to satisfy constraint: Member must satisfy enum value set: "
        "[ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]"
    )


@pytest.mark.row("text:envelope-ten")
def test_an_envelope_holds_ten_at_most(service: Any) -> None:
    definitions = [{"AttributeName": "a", "AttributeType": "X"}] * 12
    error = service.refused("CreateTable", **table(AttributeDefinitions=definitions))
    assert error.message.startswith(
        "10 validation errors detected: Value 'X' at 'attributeDefinitions.1.member.attributeType' failed"
    )
    assert error.message.count("; Value 'X' at 'attributeDefinitions.") == 9


ORDER: list[tuple[dict[str, Any], str]] = [
    ({"Expected": {"a": {"Exists": False}}}, "Can not use both expression and non-expression parameters"),
    ({"ExpressionAttributeNames": {}}, "ExpressionAttributeNames must not be empty"),
    (
        {"Item": {"pk": {"NULL": False}}},
        "One or more parameter values were invalid: Null attribute value types must have the value of true",
    ),
    ({"ReturnValues": "ALL_NEW"}, "ReturnValues can only be ALL_OLD or NONE"),
    ({"ConditionExpression": "a ="}, "Invalid ConditionExpression: Syntax error"),
    (
        {"ExpressionAttributeNames": {"#x": "a"}},
        "Value provided in ExpressionAttributeNames unused in expressions: keys: {#x}",
    ),
    (
        {"ExpressionAttributeValues": {":v": {"S": "a"}, ":w": {"S": "b"}}},
        "Value provided in ExpressionAttributeValues unused in expressions: keys: {:w}",
    ),
    ({"Item": {"fill": {"S": "x" * 409_600}}}, "Item size has exceeded the maximum allowed size"),
    ({"TableName": "Nowhere"}, "Requested resource not found"),
    (
        {"Item": {"h": {"S": "x"}}, "TableName": "Range"},
        "One or more parameter values were invalid: Missing the key pk in the item",
    ),
    (
        {"Item": PAIR | {"h": {"S": "x"}}, "TableName": "Range"},
        "One or more parameter values were invalid: Type mismatch for Index Key h",
    ),
]


@pytest.mark.row("text:order-writes")
@pytest.mark.parametrize("number", range(len(ORDER)))
def test_a_put_with_many_mistakes_is_told_the_first(service: Any, number: int) -> None:
    body: dict[str, Any] = {"TableName": "Hash", "Item": PK, **CONDITION}
    for mistake, _ in reversed(ORDER[number:]):
        body |= mistake
    assert service.refused("PutItem", **body).message.startswith(ORDER[number][1])

"""What is said of a request whose members, keys, values or styles are wrong, and in which order."""

# ruff: noqa: E501 (a text is easier to compare with a captured one when it is not cut)

from __future__ import annotations

from typing import Any

import pytest

PK: dict[str, Any] = {"pk": {"S": "texts"}}
PAIR: dict[str, Any] = {"pk": {"S": "texts"}, "sk": {"S": "a"}}
CONDITION = {"ConditionExpression": "a = :v", "ExpressionAttributeValues": {":v": {"S": "x"}}}


def case(row: str, operation: str, body: dict[str, Any], text: str) -> Any:
    return pytest.param(operation, body, text, id=row, marks=pytest.mark.row(row))


def put(value: dict[str, Any]) -> dict[str, Any]:
    return {"TableName": "Hash", "Item": PK | {"v": value}}


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
        {"TableName": "Hash", "KeyConditionExpression": "pk = :p", "Limit": 0},
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


@pytest.mark.parametrize(("operation", "body", "text"), [*NAMES_AND_ENUMS, *KEYS, *VALUES, *STYLES])
def test_the_request_is_refused_with_just_this_text(
    service: Any, operation: str, body: dict[str, Any], text: str
) -> None:
    error = service.refused(operation, **body)
    assert (error.code, error.status, error.message) == ("ValidationException", 400, text)
    assert error.body()["__type"] == "com.amazon.coral.validate#ValidationException"


@pytest.mark.row("text:number-plus")
def test_a_number_may_have_a_leading_plus(service: Any) -> None:
    service.put("Hash", pk={"S": "plus"}, v={"N": "+7"})
    assert service.get("Hash", pk={"S": "plus"}) == {"pk": {"S": "plus"}, "v": {"N": "7"}}


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
    error = service.refused("CreateTable", TableName="Ttt", KeySchema=[], AttributeDefinitions=definitions)
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

"""SearchVectors where no table has a vector index: checked in full, and then told that the index is not there."""

from __future__ import annotations

from typing import Any

import pytest

ASKED: dict[str, Any] = {"TableName": "Range", "IndexName": "near", "SearchVector": [{"N": "0.5"}], "TopK": 3}
NOT_FOUND = "The table does not have the specified index: near"
SEARCH = "Invalid SearchConditionExpression: "
ONE = "1 validation error detected: "
INVALID = "One or more parameter values were invalid: "


def told(service: Any, **members: Any) -> tuple[str, str]:
    """Code and words of the error that this search is answered with."""
    error = service.refused("SearchVectors", **{**ASKED, **members})
    return error.code, error.message


def values(text: str) -> dict[str, Any]:
    return {name: {"S": name} for name in text.split()}


@pytest.mark.row("operation:SearchVectors")
def test_a_search_finds_its_table_and_misses_its_index(service: Any) -> None:
    state = service.pair.state
    assert told(service) == ("ValidationException", NOT_FOUND)
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/Range"
    assert told(service, TableName=arn) == ("ValidationException", NOT_FOUND)
    assert told(service, TableName="Nowhere") == ("ResourceNotFoundException", "Requested resource not found")
    ordinary = told(service, IndexName="by_g", ProjectionExpression="g", ReturnConsumedCapacity="TOTAL")
    assert ordinary == ("ValidationException", "The table does not have the specified index: by_g")
    assert service.pair.state is state


@pytest.mark.row("operation:SearchVectors", "place:search")
def test_what_a_search_is_told_of_an_index_that_is_not_there_is_what_a_query_is_told(service: Any) -> None:
    key = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "a"}}}
    query = service.refused("Query", TableName="Range", IndexName="near", **key)
    assert told(service, SearchConditionExpression="pk = :p", ExpressionAttributeValues=values(":p"))[1] == NOT_FOUND
    assert query.message == NOT_FOUND


@pytest.mark.row("operation:SearchVectors")
@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"TableName": None}, f"{ONE}Value null at 'tableName' failed to satisfy constraint: Member must not be null"),
        ({"IndexName": None}, f"{ONE}Value null at 'indexName' failed to satisfy constraint: Member must not be null"),
        ({"TopK": None}, f"{ONE}Value null at 'topK' failed to satisfy constraint: Member must not be null"),
        (
            {"SearchVector": None},
            f"{ONE}Value null at 'searchVector' failed to satisfy constraint: Member must not be null",
        ),
        (
            {"TopK": 0},
            f"{ONE}Value '0' at 'topK' failed to satisfy constraint: Member must have value greater than or equal to 1",
        ),
        (
            {"SearchVector": []},
            f"{ONE}Value '[]' at 'searchVector' failed to satisfy constraint: Member must have length greater than or "
            "equal to 1",
        ),
        (
            {"IndexName": "ab"},
            f"{ONE}Value 'ab' at 'indexName' failed to satisfy constraint: Member must have length greater than or "
            "equal to 3",
        ),
        (
            {"ReturnConsumedCapacity": "ALL"},
            f"{ONE}Value 'ALL' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum "
            "value set: [INDEXES, TOTAL, NONE]",
        ),
        ({"SearchVector": [{"N": "1"}, {"S": "1"}]}, INVALID + "An element of SearchVector is not a number"),
        (
            {"SearchVector": [{"N": "-3402823466385288598117041834845169254.5E2"}]},
            INVALID + "An element of SearchVector is not a number of 32 bits",
        ),
        ({"SearchVector": [{"N": "-3.5E38"}]}, INVALID + "An element of SearchVector is not a number of 32 bits"),
        ({"SearchVector": [{"N": "x"}]}, "The parameter cannot be converted to a numeric value: x"),
        (
            {"SearchVector": [{}]},
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
        ),
        (
            {"ExpressionAttributeValues": {":v": {"S": "x"}}},
            "ExpressionAttributeValues can only be specified when using expressions: SearchConditionExpression is null",
        ),
        (
            {"ExpressionAttributeNames": {"#v": "x"}},
            "ExpressionAttributeNames can only be specified when using expressions",
        ),
        (
            {"ProjectionExpression": "a, a"},
            "Invalid ProjectionExpression: Two document paths overlap with each other; must remove or rewrite one of "
            "these paths; path one: [a], path two: [a]",
        ),
    ],
)
def test_a_search_is_checked_before_its_table_is_looked_for(service: Any, members: dict[str, Any], words: str) -> None:
    asked = {"TableName": "Nowhere", **members}
    assert told(service, **asked) == ("ValidationException", words)


@pytest.mark.row("operation:SearchVectors")
def test_a_vector_has_4096_elements_at_most_and_the_largest_number_of_32_bits_is_one(service: Any) -> None:
    element = {"N": "340282346638528859811704183484516925440"}
    assert told(service, SearchVector=[element] * 4096)[1] == NOT_FOUND
    longer = told(service, SearchVector=[{"N": "1"}] * 4097)[1]
    assert longer.endswith("failed to satisfy constraint: Member must have length less than or equal to 4096")


@pytest.mark.row("place:search")
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a = :v", {}),
        (":v = a", {}),
        ("(a = :v)", {}),
        ("a = :v and #size = :w", {"#size": "size"}),
        ("(a = :v AND b = :w) AND c = :x", {}),
    ],
)
def test_equalities_joined_by_and_are_a_search_condition(service: Any, text: str, names: dict[str, str]) -> None:
    used = {name: value for name, value in values(":v :w :x").items() if name in text}
    members: dict[str, Any] = {"ExpressionAttributeNames": names} if names else {}
    asked = {"SearchConditionExpression": text, "ExpressionAttributeValues": used, **members}
    assert told(service, **asked) == ("ValidationException", NOT_FOUND)


@pytest.mark.row("place:search")
@pytest.mark.parametrize("operator", ["<", "<=", ">", ">=", "<>"])
def test_a_comparison_other_than_equality_is_no_search_condition(service: Any, operator: str) -> None:
    asked = {"SearchConditionExpression": f"a {operator} :v", "ExpressionAttributeValues": {":v": {"N": "1"}}}
    words = f"{SEARCH}Invalid operator used in SearchConditionExpression: {operator}"
    assert told(service, **asked) == ("ValidationException", words)


@pytest.mark.row("place:search")
@pytest.mark.parametrize(
    ("text", "used", "words"),
    [
        ("a = :v OR b = :w", ":v :w", "Invalid operator used in SearchConditionExpression: OR"),
        ("NOT a = :v", ":v", "Invalid operator used in SearchConditionExpression: NOT"),
        ("a BETWEEN :v AND :w", ":v :w", "Invalid operator used in SearchConditionExpression: BETWEEN"),
        ("a IN (:v, :w)", ":v :w", "Invalid operator used in SearchConditionExpression: IN"),
        ("begins_with(a, :v)", ":v", "Invalid operator used in SearchConditionExpression: begins_with"),
        ("attribute_exists(a)", "", "Invalid operator used in SearchConditionExpression: attribute_exists"),
        ("size(a) = :v", ":v", "SearchConditionExpressions cannot contain nested operations"),
        ("a.b = :v", ":v", "SearchConditionExpressions cannot have conditions on nested attributes"),
        ("a[0] = :v", ":v", "SearchConditionExpressions cannot have conditions on nested attributes"),
        ("a = :v AND a = :w", ":v :w", "SearchConditionExpressions must only contain one condition per key"),
        ("a = b", "", "Invalid condition in SearchConditionExpression: Multiple attribute names used in one condition"),
        (":v = :w", ":v :w", "Invalid condition in SearchConditionExpression: No key attribute specified"),
        (
            "a = :v",
            "",
            "An expression attribute value used in expression is not defined; attribute value: :v",
        ),
        (
            "#a = :v",
            ":v",
            "An expression attribute name used in the document path is not defined; attribute name: #a",
        ),
        ("size = :v", ":v", "Attribute name is a reserved keyword; reserved keyword: size"),
        ("", "", "The expression can not be empty;"),
        ("a = :v AND", ":v", 'Syntax error; token: "<EOF>", near: "AND"'),
        ("((a = :v))", ":v", "The expression has redundant parentheses;"),
        ("a = :v" + " " * 4096, ":v", "Expression size has exceeded the maximum allowed size;"),
        ("near(a, :v)", ":v", "Invalid function name; function: near"),
    ],
)
def test_nothing_else_is_a_search_condition(service: Any, text: str, used: str, words: str) -> None:
    members: dict[str, Any] = {"ExpressionAttributeValues": values(used)} if used else {}
    assert told(service, SearchConditionExpression=text, **members) == ("ValidationException", SEARCH + words)


@pytest.mark.row("place:search", "place:placeholders")
def test_a_placeholder_that_a_search_does_not_use_is_refused(service: Any) -> None:
    asked = {"SearchConditionExpression": "a = :v", "ExpressionAttributeValues": values(":v :w")}
    unused = "Value provided in ExpressionAttributeValues unused in expressions: keys: {:w}"
    assert told(service, **asked) == ("ValidationException", unused)
    shared = {"SearchConditionExpression": "#a = :v", "ProjectionExpression": "#b"}
    names = {"#a": "size", "#b": "name"}
    asked = {**shared, "ExpressionAttributeNames": names, "ExpressionAttributeValues": values(":v")}
    assert told(service, **asked) == ("ValidationException", NOT_FOUND)


@pytest.mark.parametrize("operation", ["CreateTable", "UpdateTable"])
def test_a_vector_index_is_refused_in_words_and_not_forgotten(service: Any, operation: str) -> None:
    index = {
        "IndexName": "near",
        "VectorAttribute": {"AttributeName": "v"},
        "Projection": {"ProjectionType": "KEYS_ONLY"},
        "Dimensions": 3,
        "DistanceFunction": "COSINE",
    }
    made: dict[str, Any] = {
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "a", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "a", "AttributeType": "S"}],
        "VectorIndexes": [index],
    }
    body = made if operation == "CreateTable" else {"VectorIndexUpdates": [{"Create": index}]}
    error = service.refused(operation, TableName="Vectors" if operation == "CreateTable" else "Range", **body)
    member = "VectorIndexes" if operation == "CreateTable" else "VectorIndexUpdates"
    assert error.message == f"{member} is not available in this version of dynalab"

"""Key conditions (facts: expressions.md §4)."""

from __future__ import annotations

import pytest

from dynalab_model.errors import DynamoError
from dynalab_model.expressions import KeyCondition, check_expressions, parse_key_condition
from dynalab_model.schema import KeyAttribute, KeySchema
from dynalab_model.values import AttributeValue, Item

PAIR = KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "S"))
NUMBERED = KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "N"))
ALONE = KeySchema(KeyAttribute("pk", "S"))

VALUES: Item = {
    ":p": {"S": "part"},
    ":a": {"S": "a"},
    ":b": {"S": "b"},
    ":n": {"N": "1"},
    ":e": {"S": ""},
    ":t": {"BOOL": True},
}
PART: AttributeValue = {"S": "part"}
A: AttributeValue = {"S": "a"}
B: AttributeValue = {"S": "b"}


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("pk = :p", KeyCondition(PART)),
        (":p = pk", KeyCondition(PART)),
        ("(pk = :p)", KeyCondition(PART)),
        ("#k = :p", KeyCondition(PART)),
        ("pk = :p AND sk = :a", KeyCondition(PART, "=", A)),
        ("sk = :a AND pk = :p", KeyCondition(PART, "=", A)),
        ("pk = :p AND sk < :a", KeyCondition(PART, "<", A)),
        ("pk = :p AND sk <= :a", KeyCondition(PART, "<=", A)),
        ("pk = :p AND sk > :a", KeyCondition(PART, ">", A)),
        ("pk = :p AND sk >= :a", KeyCondition(PART, ">=", A)),
        ("pk = :p AND :a <= sk", KeyCondition(PART, ">=", A)),
        ("pk = :p AND :a < sk", KeyCondition(PART, ">", A)),
        (":p = pk AND :a > sk", KeyCondition(PART, "<", A)),
        ("pk = :p AND sk BETWEEN :a AND :b", KeyCondition(PART, "BETWEEN", A, B)),
        ("pk = :p AND begins_with(sk, :a)", KeyCondition(PART, "begins_with", A)),
        ("(pk = :p) AND (begins_with(sk, :a))", KeyCondition(PART, "begins_with", A)),
        ("pk = :p and sk between :a and :b", KeyCondition(PART, "BETWEEN", A, B)),
    ],
)
def test_a_key_condition_says_where_to_read(text: str, condition: KeyCondition) -> None:
    assert parse_key_condition(text, {"#k": "pk"}, VALUES, PAIR) == condition


K = "Invalid KeyConditionExpression: "


@pytest.mark.parametrize(
    ("text", "schema", "message"),
    [
        ("", PAIR, K + "The expression can not be empty;"),
        ("pk = :p AND", PAIR, K + 'Syntax error; token: "<EOF>", near: "AND"'),
        ("((pk = :p))", PAIR, K + "The expression has redundant parentheses;"),
        ("foo(pk)", PAIR, K + "Invalid function name; function: foo"),
        ("hash = :p", PAIR, K + "Attribute name is a reserved keyword; reserved keyword: hash"),
        (
            "#x = :p",
            PAIR,
            K + "An expression attribute name used in the document path is not defined; attribute name: #x",
        ),
        ("pk = :x", PAIR, K + "An expression attribute value used in expression is not defined; attribute value: :x"),
        ("pk = :p OR sk = :a", PAIR, K + "Invalid operator used in KeyConditionExpression: OR"),
        ("NOT pk = :p", PAIR, K + "Invalid operator used in KeyConditionExpression: NOT"),
        ("pk IN (:p)", PAIR, K + "Invalid operator used in KeyConditionExpression: IN"),
        ("pk = :p AND sk <> :a", PAIR, K + "Invalid operator used in KeyConditionExpression: <>"),
        ("pk = :p AND contains(sk, :a)", PAIR, K + "Invalid operator used in KeyConditionExpression: contains"),
        ("attribute_exists(pk)", PAIR, K + "Invalid operator used in KeyConditionExpression: attribute_exists"),
        ("pk = :p AND size(sk) > :n", PAIR, K + "KeyConditionExpressions cannot contain nested operations"),
        ("pk.x = :p", PAIR, K + "KeyConditionExpressions cannot have conditions on nested attributes"),
        ("pk = :p AND sk[0] = :a", PAIR, K + "KeyConditionExpressions cannot have conditions on nested attributes"),
        (
            "pk = :p AND sk > :a AND sk < :b",
            PAIR,
            K + "KeyConditionExpressions must only contain one condition per key",
        ),
        (
            "pk = sk",
            PAIR,
            K + "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition",
        ),
        (":p = :a", PAIR, K + "Invalid condition in KeyConditionExpression: No key attribute specified"),
        (
            "pk = :p AND :a BETWEEN sk AND :b",
            PAIR,
            K + "Invalid condition in KeyConditionExpression: BETWEEN operator must have the key attribute as its "
            "first operand",
        ),
        (
            "pk = :p AND begins_with(:a, sk)",
            PAIR,
            K + "Invalid condition in KeyConditionExpression: begins_with operator must have the key attribute as its "
            "first operand",
        ),
        (
            "pk = :p AND sk BETWEEN :b AND :a",
            PAIR,
            K + "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; "
            "lower bound operand: AttributeValue: {S:b}, upper bound operand: AttributeValue: {S:a}",
        ),
        (
            "pk = :p AND begins_with(sk, :n)",
            NUMBERED,
            K + "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N",
        ),
        ("sk = :a", PAIR, "Query condition missed key schema element: pk"),
        ("other1 = :p", PAIR, "Query condition missed key schema element: pk"),
        ("pk = :p AND other1 = :a", PAIR, "Query condition missed key schema element: sk"),
        ("pk > :p", PAIR, "Query key condition not supported"),
        ("begins_with(pk, :p)", PAIR, "Query key condition not supported"),
        ("pk = :p AND sk = :a", ALONE, "Query key condition not supported"),
        ("pk = :p AND sk = :a AND x1 = :b", PAIR, "Conditions can be of length 1 or 2 only"),
        (
            "pk = :n",
            PAIR,
            "One or more parameter values were invalid: Condition parameter type does not match schema type",
        ),
        (
            "pk = :p AND sk < :a",
            NUMBERED,
            "One or more parameter values were invalid: Condition parameter type does not match schema type",
        ),
        (
            "pk = :t",
            PAIR,
            "One or more parameter values were invalid: Condition parameter type does not match schema type",
        ),
        (
            "pk = :e",
            PAIR,
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
            "empty string value. Key: pk",
        ),
    ],
)
def test_a_wrong_key_condition_is_refused_with_its_text(text: str, schema: KeySchema, message: str) -> None:
    for _ in range(2):  # the second time from the cache
        with pytest.raises(DynamoError) as caught:
            parse_key_condition(text, {}, VALUES, schema)
        assert (caught.value.code, caught.value.message) == ("ValidationException", message)


def test_the_form_is_refused_without_a_schema() -> None:
    with pytest.raises(DynamoError, match="Invalid operator used in KeyConditionExpression: OR"):
        check_expressions(values={":p": PART}, key_condition="pk = :p OR sk = :p")
    check_expressions(values={":p": PART}, key_condition="pk = :p")


def test_one_condition_serves_a_table_and_an_index() -> None:
    index = KeySchema(KeyAttribute("sk", "S"), KeyAttribute("pk", "S"))
    text = "pk = :p AND sk = :a"
    assert parse_key_condition(text, {}, VALUES, PAIR).hash == PART
    assert parse_key_condition(text, {}, VALUES, index) == KeyCondition(A, "=", PART)

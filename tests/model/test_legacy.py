"""The parameters from before expressions: what they mean, and what is refused in which words (expressions.md §9)."""

# ruff: noqa: E501 (a text is easier to compare with a captured one when it is not cut)

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab_model.database import State, apply
from dynalab_model.errors import DynamoError
from dynalab_model.expressions import condition_holds
from dynalab_model.legacy import apply_updates, terms_hold
from dynalab_model.operations import AttributeUpdate, Legacy, Term
from dynalab_model.requests import parse

INVALID = "One or more parameter values were invalid: "
ONE = "1 validation error detected: "
KEY: dict[str, Any] = {"pk": {"S": "a"}}
Update: Any = AttributeUpdate  # values in these tests are plain dictionaries

ONE_N, TWO_N = {"N": "1"}, {"N": "2"}
FULL: dict[str, Any] = {
    "s": {"S": "hello"},
    "n": {"N": "10"},
    "b": {"B": "AQID"},
    "ss": {"SS": ["x", "y"]},
    "ns": {"NS": ["1", "2"]},
    "l": {"L": [{"N": "1"}, {"S": "x"}]},
    "nothing": {"NULL": True},
}


# --- the meaning of one comparison ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "operator", "operands", "holds"),
    [
        ("n", "EQ", [{"N": "10.0"}], True),
        ("n", "EQ", [{"S": "10"}], False),
        ("ss", "EQ", [{"SS": ["y", "x"]}], True),
        ("missing", "EQ", [ONE_N], False),
        ("n", "NE", [{"N": "10"}], False),
        ("n", "NE", [{"S": "10"}], True),
        ("missing", "NE", [ONE_N], True),
        ("n", "LT", [{"N": "9"}], False),
        ("n", "LT", [{"N": "11"}], True),
        ("n", "LE", [{"N": "10"}], True),
        ("n", "GT", [{"N": "9"}], True),
        ("n", "GE", [{"N": "11"}], False),
        ("s", "GT", [{"N": "9"}], False),
        ("missing", "LT", [{"N": "9"}], False),
        ("n", "BETWEEN", [{"N": "10"}, {"N": "11"}], True),
        ("n", "BETWEEN", [{"N": "11"}, {"N": "12"}], False),
        ("s", "IN", [{"S": "a"}, {"S": "hello"}], True),
        ("s", "IN", [{"S": "a"}], False),
        ("s", "BEGINS_WITH", [{"S": "hel"}], True),
        ("s", "BEGINS_WITH", [{"S": "ell"}], False),
        ("b", "BEGINS_WITH", [{"B": "AQI="}], True),
        ("n", "BEGINS_WITH", [{"S": "1"}], False),
        ("s", "CONTAINS", [{"S": "ell"}], True),
        ("b", "CONTAINS", [{"B": "Ag=="}], True),
        ("ss", "CONTAINS", [{"S": "x"}], True),
        ("ns", "CONTAINS", [{"N": "2.0"}], True),
        ("ss", "CONTAINS", [{"N": "1"}], False),
        ("l", "CONTAINS", [{"S": "x"}], True),
        ("missing", "CONTAINS", [{"S": "x"}], False),
        ("s", "NOT_CONTAINS", [{"S": "ell"}], False),
        ("missing", "NOT_CONTAINS", [{"S": "x"}], True),
        ("missing", "NULL", [], True),
        ("nothing", "NULL", [], False),  # of type NULL is not absent
        ("nothing", "NOT_NULL", [], True),
        ("missing", "NOT_NULL", [], False),
    ],
)
def test_each_operator_compares_type_strictly(name: str, operator: str, operands: list[Any], holds: bool) -> None:
    assert terms_hold(Legacy((Term(name, operator, tuple(operands)),)), FULL) is holds


def test_a_condition_on_an_absent_item_sees_an_item_without_attributes() -> None:
    assert terms_hold(Legacy((Term("pk", "NULL"),)), None)
    assert not terms_hold(Legacy((Term("pk", "NOT_NULL"),)), None)


VALUES = st.sampled_from(
    [{"N": "1"}, {"N": "2"}, {"S": "1"}, {"S": "12"}, {"B": "MQ=="}, {"SS": ["1"]}, {"NS": ["1", "2"]}]
)
ITEMS = st.dictionaries(st.sampled_from(["a", "c"]), VALUES)
SAME_AS = {"EQ": "a = :v", "NE": "a <> :v", "CONTAINS": "contains(a, :v)", "NOT_CONTAINS": "NOT contains(a, :v)"}
ORDERED = {"LT": "a < :v", "LE": "a <= :v", "GT": "a > :v", "GE": "a >= :v"}


@given(operator=st.sampled_from(sorted(SAME_AS | ORDERED)), operand=VALUES, item=ITEMS)
def test_a_term_holds_where_its_expression_does(operator: str, operand: Any, item: dict[str, Any]) -> None:
    """Two evaluators, one meaning, for operands that both take."""
    scalar = next(iter(operand)) in ("S", "N", "B")
    if operator in ORDERED and not scalar:
        return
    expression = (SAME_AS | ORDERED)[operator]
    assert terms_hold(Legacy((Term("a", operator, (operand,)),)), item) is condition_holds(
        expression, {}, {":v": operand}, item
    )


# --- AttributeUpdates -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("update", "before", "after"),
    [
        (Update("a", "PUT", {"S": "x"}), {"N": "1"}, {"S": "x"}),
        (Update("a", "DELETE"), {"N": "1"}, None),
        (Update("a", "DELETE"), None, None),
        (Update("a", "ADD", {"N": "-0.5"}), {"N": "1"}, {"N": "0.5"}),
        (Update("a", "ADD", {"N": "5"}), None, {"N": "5"}),
        (Update("a", "ADD", {"SS": ["b", "c"]}), {"SS": ["a", "b"]}, {"SS": ["a", "b", "c"]}),
        (Update("a", "ADD", {"NS": ["1"]}), None, {"NS": ["1"]}),
        (Update("a", "ADD", {"L": [{"N": "2"}]}), {"L": [{"N": "1"}]}, {"L": [{"N": "1"}, {"N": "2"}]}),
        (Update("a", "DELETE", {"SS": ["b"]}), {"SS": ["a", "b"]}, {"SS": ["a"]}),
        (Update("a", "DELETE", {"SS": ["a", "b"]}), {"SS": ["a", "b"]}, None),
        (Update("a", "DELETE", {"SS": ["a"]}), None, None),
    ],
)
def test_an_attribute_update_does_what_its_action_says(update: AttributeUpdate, before: Any, after: Any) -> None:
    item: dict[str, Any] = KEY if before is None else {**KEY, "a": before}
    kept = dict(item)
    assert apply_updates([update], item).item == ({**KEY, "a": after} if after is not None else KEY)
    assert item == kept, "an item is never changed"


@pytest.mark.parametrize("update", [Update("a", "ADD", ONE_N), Update("a", "DELETE", {"SS": ["x"]})])
def test_an_update_of_another_type_is_refused_when_it_meets_the_item(update: AttributeUpdate) -> None:
    with pytest.raises(DynamoError) as caught:
        apply_updates([update], {**KEY, "a": {"S": "x"}})
    assert caught.value.message == "Type mismatch for attribute to update"


# --- through the reference state machine ----------------------------------------------------------------------------


class Machine:
    """The reference state machine with one table of pk and sk, call by call."""

    def __init__(self) -> None:
        self.state = State()
        names = ("pk", "sk")
        self(
            "CreateTable",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": n, "KeyType": k} for n, k in zip(names, ("HASH", "RANGE"), strict=True)],
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in names],
        )

    def __call__(self, operation: str, **body: object) -> Any:
        self.state, answer = apply(self.state, parse(operation, {"TableName": "Ttt", **body}), 1)
        if isinstance(answer, DynamoError):
            raise answer
        return answer

    def refused(self, operation: str, **body: object) -> tuple[str, str]:
        with pytest.raises(DynamoError) as caught:
            self(operation, **body)
        return caught.value.code, caught.value.message


def row(sk: str, **attributes: object) -> dict[str, Any]:
    return {"pk": {"S": "a"}, "sk": {"S": sk}, **attributes}


@pytest.fixture
def call() -> Machine:
    machine = Machine()
    for sk in ("a1", "a2", "b1"):
        machine("PutItem", Item=row(sk, n={"N": sk[1]}, note={"S": "x"}))
    return machine


CONDITION_FAILED = ("ConditionalCheckFailedException", "The conditional request failed")


def test_expected_makes_puts_deletes_and_updates_conditional(call: Machine) -> None:
    once = {"pk": {"Exists": False}}
    call("PutItem", Item=row("c1"), Expected=once)
    assert call.refused("PutItem", Item=row("c1"), Expected=once) == CONDITION_FAILED
    assert call.refused("DeleteItem", Key=row("a1"), Expected={"n": {"Value": TWO_N}}) == CONDITION_FAILED
    call("DeleteItem", Key=row("a1"), Expected={"n": {"ComparisonOperator": "LT", "AttributeValueList": [TWO_N]}})
    assert call("GetItem", Key=row("a1")) == {}
    either = {"n": {"Value": {"N": "7"}}, "note": {"Value": {"S": "x"}}}
    update = {"n": {"Action": "ADD", "Value": ONE_N}}
    assert call.refused("UpdateItem", Key=row("a2"), AttributeUpdates=update, Expected=either) == CONDITION_FAILED
    call("UpdateItem", Key=row("a2"), AttributeUpdates=update, Expected=either, ConditionalOperator="OR")
    assert call("GetItem", Key=row("a2"))["Item"]["n"] == {"N": "3"}


def test_attribute_updates_return_the_attributes_that_they_touched(call: Machine) -> None:
    updates = {"n": {"Action": "ADD", "Value": ONE_N}, "note": {"Action": "DELETE"}, "new": {"Value": {"S": "y"}}}
    new = call("UpdateItem", Key=row("a1"), AttributeUpdates=updates, ReturnValues="UPDATED_NEW")
    assert new["Attributes"] == {"n": TWO_N, "new": {"S": "y"}}
    old = call("UpdateItem", Key=row("a2"), AttributeUpdates=updates, ReturnValues="UPDATED_OLD")
    assert old["Attributes"] == {"n": TWO_N, "note": {"S": "x"}}
    assert call("UpdateItem", Key=row("z"), AttributeUpdates={}, ReturnValues="ALL_NEW")["Attributes"] == row("z")


def test_an_attribute_update_of_the_key_is_refused(call: Machine) -> None:
    refused = call.refused("UpdateItem", Key=row("a1"), AttributeUpdates={"sk": {"Value": {"S": "x"}}})
    assert refused[1] == INVALID + "Cannot update attribute sk. This attribute is part of the key"


def equals(value: object) -> dict[str, object]:
    return {"ComparisonOperator": "EQ", "AttributeValueList": [value]}


@pytest.mark.parametrize(
    ("sort", "found"),
    [
        (None, ["a1", "a2", "b1"]),
        (equals({"S": "a2"}), ["a2"]),
        ({"ComparisonOperator": "BEGINS_WITH", "AttributeValueList": [{"S": "a"}]}, ["a1", "a2"]),
        ({"ComparisonOperator": "BETWEEN", "AttributeValueList": [{"S": "a2"}, {"S": "b9"}]}, ["a2", "b1"]),
        ({"ComparisonOperator": "GT", "AttributeValueList": [{"S": "a2"}]}, ["b1"]),
        ({"ComparisonOperator": "LE", "AttributeValueList": [{"S": "a2"}]}, ["a1", "a2"]),
    ],
)
def test_key_conditions_read_the_range_that_they_name(call: Machine, sort: object, found: list[str]) -> None:
    conditions = {"pk": equals({"S": "a"})} | ({} if sort is None else {"sk": sort})
    answer = call("Query", KeyConditions=conditions)
    assert [item["sk"]["S"] for item in answer["Items"]] == found


def test_filters_count_what_they_drop_and_attributes_to_get_names_what_comes_back(call: Machine) -> None:
    two = {"n": {"ComparisonOperator": "IN", "AttributeValueList": [ONE_N]}, "note": {"ComparisonOperator": "NOT_NULL"}}
    answer = call("Query", KeyConditions={"pk": equals({"S": "a"})}, QueryFilter=two, AttributesToGet=["n", "zebra"])
    assert answer == {"Items": [{"n": ONE_N}, {"n": ONE_N}], "Count": 2, "ScannedCount": 3}
    scanned = call("Scan", ScanFilter={"sk": equals({"S": "a2"})}, AttributesToGet=["sk"])
    assert scanned == {"Items": [{"sk": {"S": "a2"}}], "Count": 1, "ScannedCount": 3}
    assert call("GetItem", Key=row("a1"), AttributesToGet=["n"]) == {"Item": {"n": ONE_N}}


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ({}, "Conditions can be of length 1 or 2 only"),
        ({"sk": equals({"S": "a"})}, "Query condition missed key schema element: pk"),
        ({"pk": equals({"S": "a"}), "n": equals({"S": "a"})}, "Query condition missed key schema element: sk"),
        (
            {"pk": {"ComparisonOperator": "GT", "AttributeValueList": [{"S": "a"}]}},
            "Query key condition not supported",
        ),
        ({"pk": equals(ONE_N)}, INVALID + "Condition parameter type does not match schema type"),
        (
            {"pk": {"ComparisonOperator": "NE", "AttributeValueList": [{"S": "a"}]}},
            "Attempted conditional constraint is not an indexable operation",
        ),
        (
            {"pk": equals({"S": "a"}), "sk": equals({"S": "a"}), "n": equals({"S": "a"})},
            "Conditions can be of length 1 or 2 only",
        ),
    ],
)
def test_key_conditions_that_do_not_fit_the_table_are_refused(call: Machine, conditions: object, words: str) -> None:
    assert call.refused("Query", KeyConditions=conditions) == ("ValidationException", words)


def test_a_query_filter_may_not_look_at_the_key_and_a_scan_filter_may(call: Machine) -> None:
    refused = call.refused("Query", KeyConditions={"pk": equals({"S": "a"})}, QueryFilter={"sk": equals({"S": "a"})})
    assert refused[1] == "QueryFilter can only contain non-primary key attributes: Primary key attribute: sk"


# --- refused without a table ----------------------------------------------------------------------------------------

PUT: dict[str, Any] = {"Item": KEY}
SCAN: dict[str, Any] = {}


def filtered(operator: str, *values: object) -> dict[str, Any]:
    return {"ScanFilter": {"a": {"ComparisonOperator": operator, "AttributeValueList": list(values)}}}


@pytest.mark.parametrize(
    ("operation", "members", "words"),
    [
        ("Scan", filtered("EQ"), INVALID + "Invalid number of argument(s) for the EQ ComparisonOperator"),
        ("Scan", filtered("BETWEEN", ONE_N), INVALID + "Invalid number of argument(s) for the BETWEEN ComparisonOperator"),
        ("Scan", filtered("NULL", ONE_N), INVALID + "Invalid number of argument(s) for the NULL ComparisonOperator"),
        ("Scan", filtered("IN"), INVALID + "Invalid number of argument(s) for the IN ComparisonOperator"),
        ("Scan", filtered("IN", ONE_N, {"S": "a"}), INVALID + "AttributeValues inside AttributeValueList must be of same type"),
        ("Scan", filtered("LT", {"SS": ["a"]}), INVALID + "ComparisonOperator LT is not valid for SS AttributeValue type"),
        ("Scan", filtered("BEGINS_WITH", ONE_N), INVALID + "ComparisonOperator BEGINS_WITH is not valid for N AttributeValue type"),
        ("Scan", filtered("BETWEEN", TWO_N, ONE_N), "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound"),
        ("Scan", filtered("MEDIAN", ONE_N), ONE + "Value 'MEDIAN' at 'scanFilter.a.member.comparisonOperator' failed to satisfy constraint: Member must satisfy enum value set: [IN, NULL, BETWEEN, LT, NOT_CONTAINS, EQ, GT, NOT_NULL, NE, LE, BEGINS_WITH, GE, CONTAINS]"),
        ("Scan", {"ScanFilter": {"a": {}}}, ONE + "Value null at 'scanFilter.a.member.comparisonOperator' failed to satisfy constraint: Member must not be null"),
        ("Scan", {"AttributesToGet": ["a", "b", "a"]}, INVALID + "Duplicate value in attribute name: a"),
        ("Scan", {"AttributesToGet": []}, ONE + "Value '[]' at 'attributesToGet' failed to satisfy constraint: Member must have length greater than or equal to 1"),
        ("Scan", {"AttributesToGet": ["a"], "Select": "COUNT"}, "Cannot specify the AttributesToGet when choosing to get COUNT"),
        ("Scan", filtered("EQ", ONE_N) | {"ConditionalOperator": "OR"}, INVALID + "ConditionalOperator can only be used when Filter or Expected has two or more elements"),
        ("Scan", {"ConditionalOperator": "OR"}, INVALID + "ConditionalOperator cannot be used without Filter or Expected"),
        ("Scan", {"ConditionalOperator": "XOR"}, ONE + "Value 'XOR' at 'conditionalOperator' failed to satisfy constraint: Member must satisfy enum value set: [OR, AND]"),
        ("Scan", filtered("EQ", ONE_N) | {"FilterExpression": "a = b"}, "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {ScanFilter} Expression parameters: {FilterExpression}"),
        ("Scan", filtered("EQ", {}), "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
        ("PutItem", PUT | {"Expected": {"a": {"Exists": True}}}, INVALID + "Value must be provided when Exists is true for Attribute: a"),
        ("PutItem", PUT | {"Expected": {"a": {"Exists": False, "Value": ONE_N}}}, INVALID + "Value cannot be used when Exists is false for Attribute: a"),
        ("PutItem", PUT | {"Expected": {"a": {"Exists": True, "ComparisonOperator": "NULL"}}}, INVALID + "Exists and ComparisonOperator cannot be used together for Attribute: a"),
        ("PutItem", PUT | {"Expected": {"a": {"Value": ONE_N, "AttributeValueList": [ONE_N]}}}, INVALID + "Value and AttributeValueList cannot be used together for Attribute: a"),
        ("PutItem", PUT | {"Expected": {"a": {"Value": ONE_N}}, "ConditionExpression": "a = b"}, "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {Expected} Expression parameters: {ConditionExpression}"),
        ("PutItem", PUT | {"Expected": {"a": {"Value": ONE_N}}, "ExpressionAttributeNames": {"#a": "a"}}, "ExpressionAttributeNames can only be specified when using expressions"),
        ("UpdateItem", {"Key": KEY, "AttributeUpdates": {"a": {"Action": "ADD", "Value": {"S": "x"}}}}, INVALID + "ADD action is not supported for the type S"),
        ("UpdateItem", {"Key": KEY, "AttributeUpdates": {"a": {"Action": "DELETE", "Value": ONE_N}}}, INVALID + "DELETE action with value is not supported for the type N"),
        ("UpdateItem", {"Key": KEY, "AttributeUpdates": {"a": {"Action": "PUT"}}}, INVALID + "Only DELETE action is allowed when no attribute value is specified"),
        ("UpdateItem", {"Key": KEY, "AttributeUpdates": {"a": {"Action": "MOVE"}}}, ONE + "Value 'MOVE' at 'attributeUpdates.a.member.action' failed to satisfy constraint: Member must satisfy enum value set: [ADD, PUT, DELETE]"),
        ("UpdateItem", {"Key": KEY, "AttributeUpdates": {}, "UpdateExpression": "SET a = b"}, "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {AttributeUpdates} Expression parameters: {UpdateExpression}"),
        ("Query", {}, "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."),
        ("Query", {"KeyConditions": {"pk": equals(ONE_N)}, "KeyConditionExpression": "pk = :p"}, "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {KeyConditions} Expression parameters: {KeyConditionExpression}"),
    ],
)  # fmt: skip
def test_legacy_parameters_that_cannot_be_are_refused_in_the_services_words(
    operation: str, members: dict[str, Any], words: str
) -> None:
    with pytest.raises(DynamoError) as caught:
        parse(operation, {"TableName": "T", **members})
    assert (caught.value.code, caught.value.message) == ("ValidationException", words)


@pytest.mark.parametrize(
    "members",
    [{"ScanFilter": {"a": 1}}, {"ScanFilter": []}, {"AttributesToGet": [1]}, {"AttributesToGet": "a"}],
)
def test_legacy_members_of_a_wrong_json_type_are_a_serialization_error(members: dict[str, Any]) -> None:
    with pytest.raises(DynamoError) as caught:
        parse("Scan", {"TableName": "T", **members})
    assert caught.value.code == "SerializationException"

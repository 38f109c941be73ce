"""Parameters from before expressions, row by row."""

# ruff: noqa: E501 (a text is easier to compare with a captured one when it is not cut)

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from dynalab_model.errors import DynamoError

NUMBER = count()
INVALID = "One or more parameter values were invalid: "
ONE, TWO, FIVE = {"N": "1"}, {"N": "2"}, {"N": "5"}
S = {"S": "xyz"}
MISMATCH = "Type mismatch for attribute to update"


def term(operator: str, *values: Any) -> dict[str, Any]:
    return {"ComparisonOperator": operator, **({"AttributeValueList": list(values)} if values else {})}


def stored(service: Any, item: dict[str, Any]) -> dict[str, Any]:
    """The key of a fresh item with these attributes."""
    key = {"pk": {"S": f"legacy {next(NUMBER)}"}}
    service("PutItem", TableName="Hash", Item=key | item)
    return key


def expects(service: Any, item: dict[str, Any], expected: dict[str, Any], operator: str | None = None) -> bool:
    """Whether a write with Expected goes through."""
    body: dict[str, Any] = {"TableName": "Hash", "Key": stored(service, item), "Expected": expected}
    if operator is not None:
        body["ConditionalOperator"] = operator
    try:
        service("DeleteItem", **body)
    except DynamoError as error:
        assert str(error) == "ConditionalCheckFailedException: The conditional request failed"
        return False
    assert service.get("Hash", **body["Key"]) is None
    return True


def case(row: str, item: dict[str, Any], expected: dict[str, Any], holds: bool) -> Any:
    return pytest.param(item, {"a": expected}, holds, id=f"{row} {expected}", marks=pytest.mark.row(row))


@pytest.mark.parametrize(
    ("item", "expected", "holds"),
    [
        case("legacy:expected", {"a": ONE}, {"Value": {"N": "1.0"}}, True),
        case("legacy:expected", {"a": ONE}, {"Value": TWO, "Exists": True}, False),
        case("legacy:expected", {"a": ONE}, {"Exists": False}, False),
        case("legacy:expected", {}, {"Exists": False}, True),
        case("legacy:operators", {"a": ONE}, term("EQ", ONE), True),
        case("legacy:operators", {"a": ONE}, term("NE", TWO), True),
        case("legacy:operators", {"a": ONE}, term("LE", ONE), True),
        case("legacy:operators", {"a": ONE}, term("LT", ONE), False),
        case("legacy:operators", {"a": ONE}, term("GE", ONE), True),
        case("legacy:operators", {"a": ONE}, term("GT", ONE), False),
        case("legacy:operators", {"a": S}, term("CONTAINS", {"S": "y"}), True),
        case("legacy:operators", {"a": S}, term("NOT_CONTAINS", {"S": "y"}), False),
        case("legacy:operators", {"a": S}, term("BEGINS_WITH", {"S": "xy"}), True),
        case("legacy:operators", {"a": TWO}, term("BETWEEN", ONE, FIVE), True),
        case("legacy:operators", {"a": TWO}, term("IN", ONE, {"N": "2.0"}), True),
        case("legacy:operators", {"a": ONE}, term("NULL"), False),
        case("legacy:operators", {"a": ONE}, term("NOT_NULL"), True),
        case("legacy:null-is-absent", {"a": {"NULL": True}}, term("NULL"), False),
        case("legacy:null-is-absent", {}, term("NULL"), True),
        case("legacy:operand-types", {"a": {"SS": ["p", "q"]}}, term("EQ", {"SS": ["q", "p"]}), True),
        case("legacy:operand-types", {"a": {"L": [ONE]}}, term("EQ", {"L": [ONE]}), True),
        case("legacy:operand-types", {"a": {"M": {"x": ONE}}}, term("NE", {"M": {"x": ONE}}), False),
    ],
)
def test_expected_holds_or_not(service: Any, item: dict[str, Any], expected: dict[str, Any], holds: bool) -> None:
    assert expects(service, item, expected) is holds


@pytest.mark.row("legacy:conditional-operator")
def test_terms_are_joined_by_and_unless_or_is_asked_for(service: Any) -> None:
    expected = {"a": term("EQ", ONE), "b": term("EQ", ONE)}
    assert expects(service, {"a": ONE, "b": ONE}, expected) is True
    assert expects(service, {"a": ONE, "b": TWO}, expected) is False
    assert expects(service, {"a": ONE, "b": TWO}, expected, "AND") is False
    assert expects(service, {"a": ONE, "b": TWO}, expected, "OR") is True


def refusal(row: str, members: dict[str, Any], text: str) -> Any:
    return pytest.param(members, text, id=f"{row} {members}"[:70], marks=pytest.mark.row(row))


def expected(**member: Any) -> dict[str, Any]:
    return {"Expected": {"a": member}}


def update(**member: Any) -> dict[str, Any]:
    return {"AttributeUpdates": {"a": member}}


@pytest.mark.parametrize(
    ("members", "text"),
    [
        refusal(
            "legacy:one-term-operator",
            expected(Value=ONE) | {"ConditionalOperator": "OR"},
            INVALID + "ConditionalOperator can only be used when Filter or Expected has two or more elements",
        ),
        refusal(
            "legacy:argument-count",
            {"Expected": {"a": term("EQ", ONE, TWO)}},
            INVALID + "Invalid number of argument(s) for the EQ ComparisonOperator",
        ),
        refusal(
            "legacy:argument-count",
            {"Expected": {"a": term("BETWEEN", ONE)}},
            INVALID + "Invalid number of argument(s) for the BETWEEN ComparisonOperator",
        ),
        refusal(
            "legacy:argument-count",
            {"Expected": {"a": term("NULL", ONE)}},
            INVALID + "Invalid number of argument(s) for the NULL ComparisonOperator",
        ),
        refusal(
            "legacy:same-type",
            {"Expected": {"a": term("IN", ONE, S)}},
            INVALID + "AttributeValues inside AttributeValueList must be of same type",
        ),
        refusal(
            "legacy:operator-type",
            {"Expected": {"a": term("LT", {"SS": ["a"]})}},
            INVALID + "ComparisonOperator LT is not valid for SS AttributeValue type",
        ),
        refusal(
            "legacy:operator-type",
            {"Expected": {"a": term("BEGINS_WITH", ONE)}},
            INVALID + "ComparisonOperator BEGINS_WITH is not valid for N AttributeValue type",
        ),
        refusal(
            "legacy:between-order",
            {"Expected": {"a": term("BETWEEN", TWO, ONE)}},
            "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound",
        ),
        refusal(
            "legacy:exists-without-value",
            expected(Exists=True),
            INVALID + "Value must be provided when Exists is true for Attribute: a",
        ),
        refusal(
            "legacy:not-exists-with-value",
            expected(Exists=False, Value=ONE),
            INVALID + "Value cannot be used when Exists is false for Attribute: a",
        ),
        refusal(
            "legacy:exists-and-operator",
            expected(Exists=True, **term("EQ", ONE)),
            INVALID + "Exists and ComparisonOperator cannot be used together for Attribute: a",
        ),
        refusal(
            "legacy:value-and-list",
            expected(Value=ONE, **term("EQ", ONE)),
            INVALID + "Value and AttributeValueList cannot be used together for Attribute: a",
        ),
        refusal(
            "legacy:put-without-value",
            update(Action="PUT"),
            INVALID + "Only DELETE action is allowed when no attribute value is specified",
        ),
        refusal(
            "legacy:put-without-value",
            update(Action="ADD"),
            INVALID + "Only DELETE action is allowed when no attribute value is specified",
        ),
        refusal(
            "legacy:add-type", update(Action="ADD", Value=S), INVALID + "ADD action is not supported for the type S"
        ),
        refusal(
            "legacy:delete-type",
            update(Action="DELETE", Value=ONE),
            INVALID + "DELETE action with value is not supported for the type N",
        ),
        refusal(
            "legacy:mixed",
            expected(Value=ONE) | {"ConditionExpression": "attribute_exists(a)"},
            "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {Expected} Expression parameters: {ConditionExpression}",
        ),
        refusal(
            "legacy:mixed",
            update(Value=ONE) | {"UpdateExpression": "REMOVE a"},
            "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {AttributeUpdates} Expression parameters: {UpdateExpression}",
        ),
        refusal(
            "legacy:update-key",
            {"AttributeUpdates": {"pk": {"Value": S}}},
            "One or more parameter values were invalid: Cannot update attribute pk. This attribute is part of the key",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(service: Any, members: dict[str, Any], text: str) -> None:
    error = service.refused("UpdateItem", TableName="Hash", Key={"pk": {"S": "legacy refused"}}, **members)
    assert (error.code, error.message) == ("ValidationException", text)


def outcome(row: str, before: dict[str, Any], change: dict[str, Any], after: dict[str, Any] | str) -> Any:
    return pytest.param(before, change, after, id=f"{row} {change}"[:70], marks=pytest.mark.row(row))


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        outcome("legacy:updates", {"a": ONE}, {"Value": TWO}, {"a": TWO}),
        outcome("legacy:updates", {"a": ONE}, {"Action": "DELETE"}, {}),
        outcome("legacy:updates", {"a": ONE}, {"Action": "ADD", "Value": TWO}, {"a": {"N": "3"}}),
        outcome("legacy:updates", {}, {"Action": "ADD", "Value": TWO}, {"a": TWO}),
        outcome(
            "legacy:updates",
            {"a": {"SS": ["p", "q"]}},
            {"Action": "DELETE", "Value": {"SS": ["q"]}},
            {"a": {"SS": ["p"]}},
        ),
        outcome(
            "legacy:add-list", {"a": {"L": [ONE]}}, {"Action": "ADD", "Value": {"L": [TWO]}}, {"a": {"L": [ONE, TWO]}}
        ),
        outcome("legacy:update-mismatch", {"a": S}, {"Action": "ADD", "Value": ONE}, MISMATCH),
        outcome("legacy:update-mismatch", {"a": ONE}, {"Action": "DELETE", "Value": {"SS": ["p"]}}, MISMATCH),
    ],
)
def test_attribute_updates_leave_this_item(
    service: Any, before: dict[str, Any], change: dict[str, Any], after: dict[str, Any] | str
) -> None:
    key = stored(service, before)
    body = {"TableName": "Hash", "Key": key, "AttributeUpdates": {"a": change}}
    if isinstance(after, str):
        error = service.refused("UpdateItem", **body)
        assert (error.code, error.message) == ("ValidationException", after)
        assert service.get("Hash", **key) == key | before
    else:
        service("UpdateItem", **body)
        assert service.get("Hash", **key) == key | after


@pytest.mark.row("legacy:attributes-to-get")
def test_attributes_to_get_names_top_level_attributes_once_each(service: Any) -> None:
    key = stored(service, {"a": ONE, "b": {"M": {"c": TWO}}})
    answer = service("GetItem", TableName="Hash", Key=key, ConsistentRead=True, AttributesToGet=["a", "b.c"])
    assert answer == {"Item": {"a": ONE}}
    error = service.refused("GetItem", TableName="Hash", Key=key, AttributesToGet=["a", "a"])
    assert error.message == "One or more parameter values were invalid: Duplicate value in attribute name: a"


@pytest.mark.row("legacy:key-conditions")
@pytest.mark.parametrize(
    ("condition", "found"),
    [
        (term("EQ", {"S": "b"}), "b"),
        (term("LE", {"S": "b"}), "ab"),
        (term("LT", {"S": "b"}), "a"),
        (term("GE", {"S": "b"}), "bc"),
        (term("GT", {"S": "b"}), "c"),
        (term("BEGINS_WITH", {"S": "c"}), "c"),
        (term("BETWEEN", {"S": "b"}, {"S": "c"}), "bc"),
    ],
)
def test_key_conditions_take_seven_operators_on_the_sort_key(
    service: Any, condition: dict[str, Any], found: str
) -> None:
    for letter in "abc":
        service.put("Range", pk={"S": "legacy"}, sk={"S": letter})
    conditions = {"pk": term("EQ", {"S": "legacy"}), "sk": condition}
    answer = service("Query", TableName="Range", KeyConditions=conditions, ConsistentRead=True)
    assert "".join(item["sk"]["S"] for item in answer["Items"]) == found
    error = service.refused("Query", TableName="Range", KeyConditions={"pk": term("GT", {"S": "legacy"})})
    assert error.message == "Query key condition not supported"


@pytest.mark.row("legacy:filters")
def test_query_filter_and_scan_filter_filter_and_only_the_scan_on_keys(service: Any) -> None:
    for letter, n in (("a", "1"), ("b", "2")):
        service.put("Range", pk={"S": "filters"}, sk={"S": letter}, n={"N": n})
    keys = {"pk": term("EQ", {"S": "filters"})}
    answer = service(
        "Query", TableName="Range", KeyConditions=keys, QueryFilter={"n": term("GT", ONE)}, ConsistentRead=True
    )
    assert (answer["Count"], answer["ScannedCount"], answer["Items"][0]["sk"]) == (1, 2, {"S": "b"})
    error = service.refused("Query", TableName="Range", KeyConditions=keys, QueryFilter={"sk": term("EQ", {"S": "a"})})
    assert error.message == "QueryFilter can only contain non-primary key attributes: Primary key attribute: sk"
    both = {"pk": term("EQ", {"S": "filters"}), "sk": term("EQ", {"S": "a"})}
    assert service("Scan", TableName="Range", ScanFilter=both, ConsistentRead=True)["Count"] == 1


@pytest.mark.row("legacy:index-key")
@pytest.mark.parametrize("action", ["PUT", "ADD"])
def test_an_index_key_of_another_type_is_told_as_for_a_put(service: Any, action: str) -> None:
    body = {
        "TableName": "Range",
        "Key": {"pk": {"S": "legacy index key"}, "sk": {"S": "a"}},
        "AttributeUpdates": {"g": {"Value": {"N": "1"}, "Action": action}},
        "Expected": {"nowhere": {"Value": {"N": "1"}}},
    }
    error = service.refused("UpdateItem", **body)
    assert (error.code, error.message) == (
        "ValidationException",
        INVALID + "Type mismatch for Index Key g Expected: S Actual: N IndexName: by_g",
    )

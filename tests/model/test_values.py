"""Attribute values: what is accepted, what it costs, how it compares (facts: api.md §3, §4, §8)."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab_model.errors import DynamoError
from dynalab_model.numbers import number_bytes_older
from dynalab_model.values import (
    ITEM_BYTES_MAX,
    AttributeValue,
    Item,
    compare,
    equal_values,
    item_size,
    nesting,
    validate_item,
    validate_value,
    value_size,
)

INVALID = "One or more parameter values were invalid: "


def nested(levels: int) -> dict[str, object]:
    value: dict[str, object] = {"S": "x"}
    for level in range(levels):
        value = {"L": [value]} if level % 2 else {"M": {"a": value}}
    return value


@pytest.mark.parametrize(
    "value",
    [
        {"S": "a"},
        {"S": ""},
        {"S": "😀"},
        {"N": "1"},
        {"B": "YQ=="},
        {"B": ""},
        {"BOOL": False},
        {"NULL": True},
        {"SS": ["a", ""]},
        {"NS": ["1", "2"]},
        {"BS": ["YQ==", "Yg=="]},
        {"L": []},
        {"M": {}},
        {"L": [{"S": "a"}, {"L": [{"N": "1"}]}]},
        {"M": {"a": {"M": {"b": {"NULL": True}}}}},
        nested(32),
    ],
)
def test_each_of_the_ten_types_is_accepted_as_it_came(value: AttributeValue) -> None:
    assert validate_value(value) is value


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ({"N": "1E2"}, {"N": "100"}),
        ({"NS": ["1.0", "2"]}, {"NS": ["1", "2"]}),
        ({"L": [{"S": "a"}, {"N": "01"}]}, {"L": [{"S": "a"}, {"N": "1"}]}),
        ({"M": {"a": {"M": {"b": {"N": "-0"}}}}}, {"M": {"a": {"M": {"b": {"N": "0"}}}}}),
        ({"S": "a", "N": None}, {"S": "a"}),
        ({"S": "a", "Unknown": 1}, {"S": "a"}),
    ],
)
def test_a_value_is_normalised_without_changing_what_was_given(
    value: dict[str, object], stored: AttributeValue
) -> None:
    before = copy.deepcopy(value)
    assert validate_value(value) == stored
    assert value == before


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
        ({"X": "a"}, "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
        ({"S": None}, "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
        (
            {"S": "a", "N": "1"},
            "Supplied AttributeValue has more than one datatypes set, "
            "must contain exactly one of the supported datatypes",
        ),
        ({"SS": []}, INVALID + "An string set  may not be empty"),
        ({"NS": []}, INVALID + "An number set  may not be empty"),
        ({"BS": []}, INVALID + "Binary sets should not be empty"),
        ({"SS": ["a", "a"]}, INVALID + "Input collection [a, a] contains duplicates."),
        ({"NS": ["1", "1.0"]}, "Input collection contains duplicates"),
        ({"BS": ["YQ==", "YQ=="]}, INVALID + "Input collection [YQ==, YQ==]of type BS contains duplicates."),
        ({"NULL": False}, INVALID + "Null attribute value types must have the value of true"),
        ({"N": "x"}, "The parameter cannot be converted to a numeric value: x"),
        ({"NS": ["1", "x"]}, "The parameter cannot be converted to a numeric value: x"),
        (
            nested(33),
            "Nesting Levels have exceeded supported limits: "
            "Attributes in the item have nested levels beyond supported limit",
        ),
        ({"L": [{"M": {"a": {"SS": []}}}]}, INVALID + "An string set  may not be empty"),
    ],
)
def test_a_wrong_value_is_refused_with_its_text(value: object, message: str) -> None:
    with pytest.raises(DynamoError) as caught:
        validate_value(value)
    assert (caught.value.code, caught.value.message) == ("ValidationException", message)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "a",
        1,
        [],
        {"S": 1},
        {"S": True},
        {"S": ["a"]},
        {"S": {"S": "a"}},
        {"N": 1},
        {"B": "a"},
        {"B": "a*=="},
        {"B": 1},
        {"BOOL": "true"},
        {"BOOL": 1},
        {"NULL": "true"},
        {"SS": "a"},
        {"SS": [1]},
        {"L": {}},
        {"L": ["a"]},
        {"M": []},
        {"M": {"a": "b"}},
        {"S": "\ud800"},
        {"M": {"\ud800": {"S": "a"}}},
    ],
)
def test_json_of_the_wrong_shape_is_a_serialization_error(value: object) -> None:
    with pytest.raises(DynamoError) as caught:
        validate_value(value)
    assert caught.value.code == "SerializationException"
    assert caught.value.message


def test_deep_json_ends_in_an_error_and_not_in_a_full_stack() -> None:
    with pytest.raises(DynamoError, match="Nesting Levels"):
        validate_value(nested(900))


def test_an_item_needs_names() -> None:
    with pytest.raises(DynamoError):
        validate_item({"": {"S": "a"}})
    with pytest.raises(DynamoError):
        validate_item({"x" * 65_536: {"S": "a"}})
    assert validate_item({"x" * 65_535: {"S": "a"}})


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "abc"}, 3),
        ({"S": "é"}, 2),
        ({"S": "😀"}, 4),
        ({"S": ""}, 0),
        ({"B": "YWJj"}, 3),
        ({"B": "YQ=="}, 1),
        ({"BOOL": True}, 1),
        ({"NULL": True}, 1),
        ({"N": "0"}, 1),
        ({"N": "123"}, 3),
        ({"SS": ["ab", "é"]}, 4),
        ({"NS": ["1", "123"]}, 5),
        ({"BS": ["YQ==", "YWI="]}, 3),
        ({"L": []}, 3),
        ({"L": [{"S": "abc"}, {"BOOL": True}]}, 3 + 3 + 1 + 2),
        ({"M": {}}, 3),
        ({"M": {"key": {"S": "abc"}}}, 3 + 3 + 3 + 1),
        ({"L": [{"L": [{"N": "1"}]}]}, 3 + 1 + 3 + 1 + 2),
    ],
)
def test_a_value_costs_its_bytes(value: AttributeValue, size: int) -> None:
    assert value_size(value) == size


def test_the_number_formula_can_be_replaced_at_every_depth() -> None:
    value = validate_value({"M": {"a": {"L": [{"N": "1234"}, {"NS": ["1234"]}]}}})
    assert value_size(value, lambda text: 100) == 3 + 1 + 1 + 3 + 2 + 200
    assert (value_size({"N": "0.012"}), value_size({"N": "0.012"}, number_bytes_older)) == (2, 3)


@pytest.mark.claim("S32")
def test_the_item_limit_counts_names_to_the_byte() -> None:
    item: Item = {"pk": {"S": "a"}, "data": {"S": "x" * (ITEM_BYTES_MAX - 7)}}
    assert item_size(item) == ITEM_BYTES_MAX == 409_600
    assert item_size({**item, "b": {"S": ""}}) == ITEM_BYTES_MAX + 1
    assert item_size({"é": {"S": "é"}}) == 4


@pytest.mark.parametrize(
    ("one", "two", "equal"),
    [
        ({"S": "a"}, {"S": "a"}, True),
        ({"S": "1"}, {"N": "1"}, False),
        ({"N": "1.0"}, {"N": "1"}, True),
        ({"N": "12345678901234567890123456789012345678"}, {"N": "12345678901234567890123456789012345679"}, False),
        ({"SS": ["a", "b"]}, {"SS": ["b", "a"]}, True),
        ({"SS": ["a"]}, {"SS": ["a", "b"]}, False),
        ({"NS": ["1", "2.0"]}, {"NS": ["2", "1"]}, True),
        ({"BS": ["YQ==", "Yg=="]}, {"BS": ["Yg==", "YQ=="]}, True),
        ({"L": [{"S": "a"}, {"S": "b"}]}, {"L": [{"S": "b"}, {"S": "a"}]}, False),
        ({"L": [{"S": "a"}]}, {"L": [{"S": "a"}, {"S": "a"}]}, False),
        ({"M": {"a": {"SS": ["x", "y"]}, "b": {"N": "1"}}}, {"M": {"b": {"N": "1.0"}, "a": {"SS": ["y", "x"]}}}, True),
        ({"M": {"a": {"S": "x"}}}, {"M": {"b": {"S": "x"}}}, False),
        ({"BOOL": True}, {"BOOL": False}, False),
        ({"NULL": True}, {"NULL": True}, True),
        ({"B": "YQ=="}, {"S": "YQ=="}, False),
    ],
)
def test_equality_is_deep_and_type_strict(one: AttributeValue, two: AttributeValue, equal: bool) -> None:
    assert equal_values(one, two) is equal
    assert equal_values(two, one) is equal


@pytest.mark.parametrize(
    ("one", "two", "order"),
    [
        ({"S": "a"}, {"S": "b"}, -1),
        ({"S": "a"}, {"S": "a\x00"}, -1),
        ({"S": "Z"}, {"S": "a"}, -1),
        ({"S": "\uffff"}, {"S": "😀"}, -1),  # by UTF-8 bytes; UTF-16 units would say the opposite
        ({"N": "-10"}, {"N": "-9"}, -1),
        ({"N": "10"}, {"N": "9"}, 1),
        ({"N": "1.0"}, {"N": "1"}, 0),
        ({"B": "/w=="}, {"B": "AA=="}, 1),  # FF and 00: bytes are unsigned
        ({"B": "YQ=="}, {"B": "YWI="}, -1),
        ({"S": "1"}, {"N": "1"}, None),
        ({"BOOL": True}, {"BOOL": False}, None),
        ({"L": []}, {"L": []}, None),
    ],
)
def test_the_order_is_the_order_of_keys(one: AttributeValue, two: AttributeValue, order: int | None) -> None:
    assert compare(one, two) == order
    assert compare(two, one) == (None if order is None else -order)


@given(st.text(max_size=8), st.text(max_size=8))
def test_strings_are_ordered_by_their_bytes(one: str, two: str) -> None:
    a, b = one.encode(), two.encode()
    assert compare({"S": one}, {"S": two}) == (a > b) - (a < b)


def test_nesting_counts_lists_and_maps() -> None:
    assert [nesting(validate_value(nested(levels))) for levels in (0, 1, 5, 32)] == [0, 1, 5, 32]

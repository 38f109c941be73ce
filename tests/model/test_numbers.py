"""Numbers: 38 digits exactly, one text for one value (facts: api.md §3, §8)."""

from __future__ import annotations

from decimal import Context, Decimal, Inexact

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab_model.errors import DynamoError
from dynalab_model.numbers import (
    add,
    compare_numbers,
    normalise,
    number_bytes,
    number_bytes_older,
    subtract,
)

NINES = "9" * 38
# Traps every rounding: the oracle either is exact or fails.
EXACT = Context(prec=600, traps=[Inexact])


@st.composite
def numbers(draw: st.DrawFn) -> str:
    """Text of a number that DynamoDB can store, in many spellings."""
    digits = str(draw(st.integers(1, 10 ** draw(st.integers(1, 38)) - 1)))
    first = draw(st.integers(-130, 125) | st.integers(-6, 6))
    exponent = first - len(digits) + 1
    sign = draw(st.sampled_from(["", "-", "+"]))
    if draw(st.booleans()) and -60 < exponent <= 0:
        padded = digits.rjust(-exponent + 1, "0")
        whole, fraction = (padded[:exponent], padded[exponent:]) if exponent else (padded, "")
        return f"{sign}{whole}.{fraction}" if fraction else sign + whole
    return f"{sign}{'0' * draw(st.integers(0, 3))}{digits}{draw(st.sampled_from('eE'))}{exponent:+d}"


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("1E2", "100"),
        ("-0", "0"),
        ("+5", "5"),
        ("007.50", "7.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("0e999999999999", "0"),
        ("-1e-3", "-0.001"),
        ("1e125", "1" + "0" * 125),
        ("1e-130", "0." + "0" * 129 + "1"),
        (NINES + "E88", NINES + "0" * 88),
        ("123456789012345678901234567890.12345678", "123456789012345678901234567890.12345678"),
    ],
)
def test_a_number_has_one_normal_form(text: str, normal: str) -> None:
    assert normalise(text) == normal


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The parameter cannot be converted to a numeric value"),
        ("ten", "The parameter cannot be converted to a numeric value: ten"),
        (" 1", "The parameter cannot be converted to a numeric value:  1"),
        ("1 ", "The parameter cannot be converted to a numeric value: 1 "),
        ("1\n", "The parameter cannot be converted to a numeric value: 1\n"),
        (".", "The parameter cannot be converted to a numeric value: ."),
        ("1e", "The parameter cannot be converted to a numeric value: 1e"),
        ("NaN", "The parameter cannot be converted to a numeric value: NaN"),
        ("Infinity", "The parameter cannot be converted to a numeric value: Infinity"),
        ("١", "The parameter cannot be converted to a numeric value: ١"),  # a digit, but not one of ours
        ("1_0", "The parameter cannot be converted to a numeric value: 1_0"),
        ("1e126", "Number overflow. Attempting to store a number with magnitude larger than supported range"),
        ("-1e126", "Number overflow. Attempting to store a number with magnitude larger than supported range"),
        (
            "1e99999999999999",
            "Number overflow. Attempting to store a number with magnitude larger than supported range",
        ),
        ("1e-131", "Number underflow. Attempting to store a number with magnitude smaller than supported range"),
        (
            "1e-99999999999999",
            "Number underflow. Attempting to store a number with magnitude smaller than supported range",
        ),
        ("1" * 39, "Attempting to store more than 38 significant digits in a Number"),
    ],
)
def test_a_number_that_cannot_be_stored_is_refused_with_its_text(text: str, message: str) -> None:
    with pytest.raises(DynamoError) as caught:
        normalise(text)
    assert (caught.value.code, caught.value.message) == ("ValidationException", message)


def test_a_very_long_number_is_refused_and_not_computed() -> None:
    with pytest.raises(DynamoError, match="38 significant digits"):
        normalise("0." + "1" * 100_000)
    with pytest.raises(DynamoError, match="overflow"):
        normalise("1" * 100_000)


@given(numbers())
def test_the_normal_form_is_the_same_number_and_stays_the_same(text: str) -> None:
    normal = normalise(text)
    assert Decimal(normal) == Decimal(text)
    assert normalise(normal) == normal
    assert not normal.startswith("+") and "e" not in normal.lower()
    assert not (("." in normal) and normal.endswith("0"))


@given(numbers(), numbers())
def test_two_normal_forms_are_one_text_exactly_when_they_are_one_number(one: str, two: str) -> None:
    assert (normalise(one) == normalise(two)) == (Decimal(one) == Decimal(two))
    assert compare_numbers(one, two) == (Decimal(one) > Decimal(two)) - (Decimal(one) < Decimal(two))


@given(numbers(), numbers())
def test_sums_are_exact_or_refused(one: str, two: str) -> None:
    for ours, exact in (
        (add, EXACT.add(Decimal(one), Decimal(two))),
        (subtract, EXACT.subtract(Decimal(one), Decimal(two))),
    ):
        digits = len(exact.normalize(EXACT).as_tuple().digits)
        storable = not exact or (-130 <= exact.adjusted() <= 125 and digits <= 38)
        if storable:
            assert Decimal(ours(one, two)) == exact
        else:
            with pytest.raises(DynamoError):
                ours(one, two)


@pytest.mark.parametrize(
    ("left", "right", "total"),
    [
        ("0.1", "0.2", "0.3"),
        ("5", "-5", "0"),
        (NINES, "1", "1" + "0" * 38),
        ("1e125", "-1e125", "0"),
        ("-1", "-2", "-3"),
    ],
)
def test_additions_that_floats_get_wrong(left: str, right: str, total: str) -> None:
    assert add(left, right) == total


def test_a_sum_of_more_than_38_digits_is_refused() -> None:
    with pytest.raises(DynamoError, match="38 significant digits"):
        add("1e38", "0.1")
    with pytest.raises(DynamoError, match="overflow"):
        add(NINES + "e88", "1e88")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 1),
        ("1", 2),
        ("10", 2),
        ("100", 2),
        ("123", 3),
        ("-1", 3),
        ("1.5", 3),
        ("0.001", 2),
        ("1.05", 3),
        ("100.5", 4),
        ("-123.456", 6),
        (NINES, 20),
        ("-" + NINES, 21),
    ],
)
def test_a_number_costs_what_was_measured(text: str, size: int) -> None:
    assert number_bytes(text) == size


@pytest.mark.parametrize(
    ("text", "size"), [("0", 1), ("1", 2), ("123", 3), ("-1", 3), ("12", 2), ("1234", 3), ("1.5", 3)]
)
def test_the_older_formula_is_at_hand(text: str, size: int) -> None:
    assert number_bytes_older(text) == size

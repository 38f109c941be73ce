"""DynamoDB's numbers: exact decimals of at most 38 significant digits (facts: api.md §3).

Rules of this room:
- A number travels as text in *normal form*: plain digits, no exponent, no leading "+", no zero that says nothing, no
  "-0". Two numbers are equal exactly when their normal forms are the same text.
- Everything is integers and text. No float, and no decimal context that could round.
- Magnitudes lie between 1E-130 and 9.99…E+125 (38 nines); beyond them, and beyond 38 digits, there is an error, never
  a rounding.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TypeAlias

from dynalab_model.errors import DynamoError, invalid

DIGITS_MAX = 38
EXPONENT_MAX = 125  # of the first digit
EXPONENT_MIN = -130

# (coefficient, exponent): the number is coefficient · 10**exponent
Parts: TypeAlias = tuple[int, int]

_NORMAL_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,37}").fullmatch
_NUMBER = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?)0*([0-9]+))?").fullmatch
_EXPONENT_DIGITS = 9  # an exponent with more digits is out of range whatever the coefficient says


def normalise(text: str) -> str:
    """The normal form of a number; raises ValidationException with DynamoDB's texts.

    >>> [normalise(text) for text in ("1E2", "+007.50", "-0", "1e-3", "-.5")]
    ['100', '7.5', '0', '0.001', '-0.5']
    >>> normalise("ten")
    Traceback (most recent call last):
    dynalab_model.errors.DynamoError: ValidationException: The parameter cannot be converted to a numeric value: ten
    """
    if _NORMAL_INTEGER(text):
        return text
    match = _NUMBER(text)
    if match is None:
        raise _not_a_number(text)
    sign, whole, fraction, exponent_sign, exponent_text = match.groups()
    fraction = fraction or ""
    if not whole and not fraction:
        raise _not_a_number(text)
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return "0"
    if exponent_text is None:
        exponent = 0
    else:
        exponent = int(exponent_text[:_EXPONENT_DIGITS]) * (1 if len(exponent_text) <= _EXPONENT_DIGITS else 10)
        if exponent_sign == "-":
            exponent = -exponent
    exponent -= len(fraction)
    return _render(sign == "-", digits, exponent)


def add(left: str, right: str) -> str:
    """The exact sum in normal form, or the error of a number that cannot be stored.

    >>> add("0.1", "0.2"), add("5", "-5")
    ('0.3', '0')
    """
    return _sum(parts(left), parts(right))


def subtract(left: str, right: str) -> str:
    """The exact difference in normal form.

    >>> subtract("1", "0.9")
    '0.1'
    """
    coefficient, exponent = parts(right)
    return _sum(parts(left), (-coefficient, exponent))


def compare_numbers(left: str, right: str) -> int:
    """-1, 0 or 1, numerically.

    >>> compare_numbers("10", "9"), compare_numbers("1.0", "1")
    (1, 0)
    """
    if left == right:
        return 0
    # Comparing decimals is exact in every context; building them from text is too.
    a, b = Decimal(left), Decimal(right)
    return (a > b) - (a < b)


def parts(text: str) -> Parts:
    """Coefficient and exponent of a number; the coefficient of a normal form is exact and has no trailing zero unless
    it is an integer.

    >>> parts("-1.25"), parts("100")
    ((-125, -2), (100, 0))
    """
    text = normalise(text)
    whole, _, fraction = text.partition(".")
    return int(whole + fraction), -len(fraction)


def number_bytes(text: str) -> int:
    """What a number costs in an item, as measured in 2026 (api.md §4): 1 + ⌈integer digits / 2⌉ + ⌈fraction digits /
    2⌉, + 1 if negative.

    >>> [number_bytes(text) for text in ("0", "1", "100", "123", "-1", "1.5")]
    [1, 2, 2, 3, 3, 3]
    """
    if text.isdigit():  # most numbers
        return 1 + (len(text.rstrip("0")) + 1) // 2
    negative = text.startswith("-")
    whole, _, fraction = text[negative:].partition(".")
    if fraction:
        whole_digits = 0 if whole == "0" else len(whole)
        fraction_digits = len(fraction) if whole_digits else len(fraction.lstrip("0"))
    else:
        whole_digits, fraction_digits = len(whole.rstrip("0")), 0
    if not whole_digits and not fraction_digits:
        return 1
    return 1 + (whole_digits + 1) // 2 + (fraction_digits + 1) // 2 + negative


def number_bytes_older(text: str) -> int:
    """The formula that emulators use: one byte for two digits, where pairs begin at even exponents (api.md §4). A few
    sizes differ.

    >>> number_bytes_older("123"), number_bytes_older("-1")
    (3, 3)
    """
    if text == "0":
        return 1
    whole, _, fraction = text.lstrip("-").partition(".")
    digits = (whole + fraction).strip("0")
    exponent = len(whole) - 1 if whole != "0" else -1 - (len(fraction) - len(fraction.lstrip("0")))
    straddles = len(digits) % 2 == 0 and exponent % 2 == 0
    return 1 + (len(digits) + 1) // 2 + straddles + text.startswith("-")


def _sum(left: Parts, right: Parts) -> str:
    (a, a_exponent), (b, b_exponent) = left, right
    exponent = min(a_exponent, b_exponent)
    total = a * 10 ** (a_exponent - exponent) + b * 10 ** (b_exponent - exponent)
    return _render(total < 0, str(abs(total)), exponent) if total else "0"


def _render(negative: bool, digits: str, exponent: int) -> str:
    """Normal form of ±digits · 10**exponent; `digits` begins with no zero."""
    stripped = digits.rstrip("0")
    exponent += len(digits) - len(stripped)
    first = exponent + len(stripped) - 1
    if first > EXPONENT_MAX:
        raise invalid("overflow")
    if first < EXPONENT_MIN:
        raise invalid("underflow")
    if len(stripped) > DIGITS_MAX:
        raise invalid("digits")
    if exponent >= 0:
        text = stripped + "0" * exponent
    elif first >= 0:
        text = f"{stripped[: first + 1]}.{stripped[first + 1 :]}"
    else:
        text = "0." + "0" * (-first - 1) + stripped
    return "-" + text if negative else text


def _not_a_number(text: str) -> DynamoError:
    return invalid("not-a-number-text", text=text) if text else invalid("not-a-number")

"""Conditions and filters (facts: expressions.md §2, §3, §8, §11)."""

from __future__ import annotations

import pytest

from dynalab_model.errors import DynamoError
from dynalab_model.expressions import check_expressions, check_filter_keys, condition_holds, condition_template
from dynalab_model.values import Item, validate_item, validate_value

ITEM: Item = validate_item(
    {
        "pk": {"S": "k"},
        "s": {"S": "xyz"},
        "n": {"N": "5"},
        "b": {"B": "AAEC"},
        "t": {"BOOL": True},
        "z": {"NULL": True},
        "ss": {"SS": ["a", "b"]},
        "ns": {"NS": ["1", "2.5"]},
        "bs": {"BS": ["AQ=="]},
        "l": {"L": [{"N": "1"}, {"M": {"x": {"S": "deep"}}}, {"SS": ["p", "q"]}]},
        "m": {"M": {"a": {"N": "7"}, "c": {"L": [{"S": "e"}]}}},
        "astral": {"S": "a😀"},
        "dotted.name": {"S": "one name"},
    }
)

VALUES: Item = {
    ":n5": {"N": "5"},
    ":n1": {"N": "1"},
    ":n9": {"N": "9"},
    ":n3": {"N": "3"},
    ":s": {"S": "xyz"},
    ":sx": {"S": "x"},
    ":sy": {"S": "y"},
    ":zz": {"S": "zz"},
    ":b": {"B": "AAEC"},
    ":b1": {"B": "AQ=="},
    ":b0": {"B": "AA=="},
    ":t": {"BOOL": True},
    ":null": {"NULL": True},
    ":ab": {"SS": ["b", "a"]},
    ":a": {"S": "a"},
    ":25": {"N": "2.5"},
    ":l": validate_value({"L": [{"S": "e"}]}),
    ":pq": {"SS": ["q", "p"]},
    ":typeNULL": {"S": "NULL"},
    ":typeSS": {"S": "SS"},
    ":typeN": {"S": "N"},
    ":zero": {"N": "0"},
    ":two": {"N": "2"},
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        # a missing attribute (§3, §8)
        ("gone = :n1", False),
        ("gone <> :n1", True),
        ("gone < :s", False),
        (":s > gone", False),
        ("gone < :n1", False),
        ("NOT gone < :n1", True),
        ("NOT gone = :n1", True),
        ("gone = elsewhere", False),
        ("gone <> elsewhere", True),
        ("gone BETWEEN :n1 AND :n9", False),
        ("gone IN (:n1, :s)", False),
        ("size(gone) > :zero", False),
        ("begins_with(gone, :sx)", False),
        ("contains(gone, :sx)", False),
        ("contains(s, gone)", False),
        ("attribute_type(gone, :typeN)", False),
        ("attribute_exists(gone)", False),
        ("attribute_not_exists(gone)", True),
        # types that differ
        ("s = :n5", False),
        ("s <> :n5", True),
        ("s < :n5", False),
        ("s > :n5", False),
        ("n BETWEEN :sx AND :zz", False),
        ("contains(s, :n5)", False),
        ("begins_with(n, :sx)", False),
        ("begins_with(b, :sx)", False),
        ("size(n) > :zero", False),
        ("size(t) > :zero", False),
        ("size(z) >= :zero", False),
        # equality is deep
        ("n = :n5", True),
        ("t = :t", True),
        ("z = :null", True),
        ("ss = :ab", True),
        ("m.c = :l", True),
        ("l[2] = :pq", True),
        ("b = :b", True),
        ("n <> :n5", False),
        # order
        ("n < :n9 AND n > :n1 AND n <= :n5 AND n >= :n5", True),
        ("s >= :sx", True),
        ("b > :b0", True),
        (":n1 < n", True),
        ("n BETWEEN :n5 AND :n9", True),
        ("n BETWEEN :n1 AND :n5", True),
        ("n BETWEEN :n1 AND :n1", False),
        ("n BETWEEN :n1 AND gone", False),
        ("s BETWEEN :sx AND :zz", True),
        (":n3 BETWEEN :n1 AND n", True),
        ("n IN (:s, :n5)", True),
        ("n IN (:s, :n1)", False),
        ("n IN (gone, m.a, n2, :n5)", True),
        # functions
        ("begins_with(s, :sx)", True),
        ("begins_with(s, :sy)", False),
        ("begins_with(b, :b0)", True),
        ("contains(s, :sy)", True),
        ("contains(b, :b1)", True),
        ("contains(ss, :a)", True),
        ("contains(ss, :sx)", False),
        ("contains(ns, :25)", True),
        ("contains(ns, :s)", False),
        ("contains(bs, :b1)", True),
        ("contains(l, :n1)", True),
        ("contains(l, :pq)", True),
        ("contains(m.c, m.c[0])", True),
        ("contains(n, :n5)", False),
        ("contains(m, :a)", False),
        ("attribute_type(z, :typeNULL)", True),
        ("attribute_type(ss, :typeSS)", True),
        ("attribute_type(s, :typeSS)", False),
        ("attribute_exists(z)", True),
        ("attribute_exists(l[1].x)", True),
        ("attribute_exists(l[2])", True),
        ("attribute_exists(l[3])", False),
        ("attribute_exists(l[9])", False),
        ("attribute_exists(m.c[2])", False),
        ("attribute_exists(s.x)", False),
        ("attribute_not_exists(m.b)", True),
        ("size(s) = :n3", True),
        ("size(b) = :n3", True),
        ("size(ss) = :two", True),
        ("size(l) = :n3", True),
        ("size(m) = :two", True),
        ("size(astral) = :n3", True),  # UTF-16 units
        ("size(s) = size(l)", True),
        ("size(ss) < size(s)", True),
        ("size(ss) BETWEEN :n1 AND :two", True),
        ("size(:s) = :n3", True),
        ("#d = :s", False),
        ("attribute_exists(#d)", True),
        # precedence: NOT before AND before OR
        ("n = :n5 OR n = :n1 AND n = :n9", True),
        ("(n = :n5 OR n = :n1) AND n = :n9", False),
        ("NOT n = :n1 AND n = :n9", False),
        ("NOT (n = :n1 AND n = :n9)", True),
        ("NOT NOT n = :n5", True),
        ("NOT n BETWEEN :n1 AND :n9 OR t = :t", True),
        ("n = :n1 OR n = :n3 OR n = :n5", True),
        # form
        ("n=:n5", True),
        ("n\t=\n:n5", True),
        ("(n = :n5)", True),
        ("(n = :n5) AND (t = :t)", True),
        ("n = :n5 and not n in (:n1) or n between :n1 and :n1", True),
        ("(n) = (:n5)", True),
    ],
)
def test_a_condition_holds_as_documented(text: str, holds: bool) -> None:
    template = condition_template(text, {"#d": "dotted.name"})
    template.check(VALUES)
    assert template.holds(ITEM, VALUES) is holds


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("attribute_not_exists(pk)", True),
        ("attribute_exists(pk)", False),
        ("pk = :s", False),
        ("pk <> :s", True),
        ("NOT pk = :s", True),
    ],
)
def test_an_absent_item_is_an_item_without_attributes(text: str, holds: bool) -> None:
    assert condition_holds(text, {}, VALUES, None) is holds


def test_numbers_in_conditions_are_compared_as_numbers_at_full_precision() -> None:
    long = "1" * 38
    assert condition_holds("a = :n", {}, {":n": {"N": "1"}}, {"a": {"N": "1.0"}})
    assert condition_holds("a < :n", {}, {":n": {"N": long}}, {"a": {"N": long[:-1] + "0"}})
    assert not condition_holds("a = :n", {}, {":n": {"N": long}}, {"a": {"N": long[:-1] + "0"}})


@pytest.mark.parametrize(
    ("text", "values", "holds"),
    [
        ("v = :old", {":old": {"N": "1"}}, True),
        ("last_seq < :seq", {":seq": {"N": "10"}}, True),
        ("attribute_not_exists(#ttl) OR #ttl > :now", {":now": {"N": "1000"}}, False),
        ("bal >= :a", {":a": {"N": "100.01"}}, False),
    ],
)
def test_idioms(text: str, values: Item, holds: bool) -> None:
    item: Item = {"v": {"N": "1"}, "last_seq": {"N": "9"}, "ttl": {"N": "999"}, "bal": {"N": "100"}}
    assert condition_holds(text, {"#ttl": "ttl"}, values, item) is holds


REFUSED: list[tuple[str, str]] = [
    ("", "The expression can not be empty;"),
    ("a" * 4_097, "Expression size has exceeded the maximum allowed size;"),
    ("!!! INVALID !!!", 'Syntax error; token: "!", near: "!!"'),
    ("a", 'Syntax error; token: "<EOF>", near: "a"'),
    (":v", 'Syntax error; token: "<EOF>", near: ":v"'),
    ("a =", 'Syntax error; token: "<EOF>", near: "="'),
    ("a = :v AND", 'Syntax error; token: "<EOF>", near: "AND"'),
    ("a == :v", 'Syntax error; token: "=", near: "== :v"'),
    ("a = 5", 'Syntax error; token: "5", near: "= 5"'),
    ("a = 'x'", 'Syntax error; token: "\'", near: "= \'x"'),
    ("_a = :v", 'Syntax error; token: "_", near: "_a"'),
    ("a[-1] = :v", 'Syntax error; token: "-", near: "[-1"'),
    ("a[:v] = :v", 'Syntax error; token: ":v", near: "[:v]"'),
    ("a = :v = :v", 'Syntax error; token: "=", near: ":v = :v"'),
    ("a AND b", 'Syntax error; token: "AND", near: "a AND b"'),
    ("(a = :v) = :v", 'Syntax error; token: "=", near: ") = :v"'),
    ("a IN :v", 'Syntax error; token: ":v", near: "IN :v"'),
    ("size()", 'Syntax error; token: ")", near: "()"'),
    ("((a = :v))", "The expression has redundant parentheses;"),
    ("((a)) = :v", "The expression has redundant parentheses;"),
    ("b = :v AND (NOT ((a = :v)))", "The expression has redundant parentheses;"),
    ("foo(a)", "Invalid function name; function: foo"),
    ("Size(a) = :v", "Invalid function name; function: Size"),
    ("size(a)", "The function is not allowed to be used this way in an expression; function: size"),
    ("contains(a, :v) = :v", "The function is not allowed to be used this way in an expression; function: contains"),
    (
        "size(contains(a, b)) = :v",
        "The function is not allowed to be used this way in an expression; function: contains",
    ),
    ("name = :v", "Attribute name is a reserved keyword; reserved keyword: name"),
    ("a.Count = :v", "Attribute name is a reserved keyword; reserved keyword: Count"),
    ("a.and = :v", "Attribute name is a reserved keyword; reserved keyword: and"),
    (
        "#x = :v",
        "An expression attribute name used in the document path is not defined; attribute name: #x",
    ),
    ("a = :x", "An expression attribute value used in expression is not defined; attribute value: :x"),
    (
        "size(a, b) = :v",
        "Incorrect number of operands for operator or function; operator or function: size, number of operands: 2",
    ),
    (
        "begins_with(a)",
        "Incorrect number of operands for operator or function; operator or function: begins_with, "
        "number of operands: 1",
    ),
    (
        "a = a",
        "The first operand must be distinct from the remaining operands for this operator or function; "
        "operator: =, first operand: [a]",
    ),
    (
        "a.b[0] BETWEEN :v AND a.b[0]",
        "The first operand must be distinct from the remaining operands for this operator or function; "
        "operator: BETWEEN, first operand: [a, b, [0]]",
    ),
    (
        "attribute_exists(:v)",
        "Operator or function requires a document path; operator or function: attribute_exists",
    ),
    (
        "begins_with(a, :v)",
        "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N",
    ),
    (
        "size(:v) > :v",
        "Incorrect operand type for operator or function; operator or function: size, operand type: N",
    ),
    ("a < :t", "Incorrect operand type for operator or function; operator: <, operand type: BOOL"),
    (
        "attribute_type(a, :X)",
        "Invalid attribute type name found; type: X, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
    ),
    (
        "attribute_type(a, :v)",
        "Incorrect operand type for operator or function; operator or function: attribute_type, operand type: N",
    ),
    (
        "a BETWEEN :a AND :v",
        "The BETWEEN operator requires same data type for lower and upper bounds; "
        "lower bound operand: AttributeValue: {S:a}, upper bound operand: AttributeValue: {N:1}",
    ),
    (
        "a BETWEEN :two AND :v",
        "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; "
        "lower bound operand: AttributeValue: {N:2}, upper bound operand: AttributeValue: {N:1}",
    ),
    ("if_not_exists(a, :v) = :v", "The function is not allowed in a condition expression; function: if_not_exists"),
]

GIVEN: Item = {":v": {"N": "1"}, ":two": {"N": "2"}, ":t": {"BOOL": True}, ":X": {"S": "X"}, ":a": {"S": "a"}}


@pytest.mark.parametrize(("text", "message"), REFUSED)
@pytest.mark.parametrize("kind", ["ConditionExpression", "FilterExpression"])
def test_a_wrong_condition_is_refused_with_its_text_before_any_read(kind: str, text: str, message: str) -> None:
    with pytest.raises(DynamoError) as caught:
        if kind == "ConditionExpression":
            check_expressions(values=GIVEN, condition=text)
        else:
            check_expressions(values=GIVEN, filter=text)
    assert caught.value.code == "ValidationException"
    assert caught.value.message == f"Invalid {kind}: {message}"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("((foo(name) = :x))", "redundant parentheses"),
        ("foo(name) = :x AND size(a)", "Invalid function name"),
        ("size(name)", "not allowed to be used this way"),
        ("name = #x AND size(a, b) = :x", "reserved keyword"),
        ("a = #x AND size(a, b) = :x", "attribute name: #x"),
        ("size(a, b) = :x", "attribute value: :x"),
        ("size(a, b) = :v AND a = a", "Incorrect number of operands"),
        ("a < :t AND a = a", "must be distinct"),
    ],
)
def test_of_several_mistakes_the_one_that_dynamodb_reports_is_reported(text: str, first: str) -> None:
    with pytest.raises(DynamoError, match=first):
        check_expressions(values=GIVEN, condition=text)


def test_a_repeated_check_refuses_again_although_templates_are_cached() -> None:
    for _ in range(3):
        with pytest.raises(DynamoError, match="must be distinct"):
            check_expressions(condition="a = a")
        with pytest.raises(DynamoError, match="must be distinct"):
            condition_holds("a = a", {}, {}, None)


def test_one_text_with_other_names_is_another_condition() -> None:
    item: Item = {"a": {"N": "1"}, "b": {"N": "2"}}
    assert condition_holds("#x = :v", {"#x": "a"}, {":v": {"N": "1"}}, item)
    assert not condition_holds("#x = :v", {"#x": "b"}, {":v": {"N": "1"}}, item)


def test_a_value_that_nobody_checked_is_still_missed_at_evaluation() -> None:
    with pytest.raises(DynamoError, match="attribute value: :v"):
        condition_holds("a = :v", {}, {}, ITEM)


def test_names_through_placeholders_may_be_reserved_dotted_and_strange() -> None:
    names = {"#n": "name", "#d": "a.b", "#s": "with space"}
    item: Item = {"name": {"S": "x"}, "a.b": {"S": "x"}, "with space": {"M": {"name": {"S": "x"}}}}
    assert condition_holds("#n = :x AND #d = :x AND #s.#n = :x", names, {":x": {"S": "x"}}, item)


def test_remove_is_a_plain_name_in_a_condition() -> None:
    assert condition_holds("remove = :x", {}, {":x": {"S": "x"}}, {"remove": {"S": "x"}})


def test_300_operators_pass_and_301_do_not() -> None:
    def text(operators: int) -> str:
        return " AND ".join(["a<:v"] * ((operators + 1) // 2))

    check_expressions(values={":v": {"N": "1"}}, condition=text(299))
    with pytest.raises(DynamoError, match="300 operators"):
        check_expressions(values={":v": {"N": "1"}}, condition=text(301))


@pytest.mark.parametrize("text", ["NOT " * 290 + "a = :v", "(" * 4000, "(" * 2000 + "a" + ")" * 2000])
def test_an_expression_that_nests_deeply_never_fills_the_stack(text: str) -> None:
    values: Item = {":v": {"N": "1"}}
    if text.startswith("NOT"):
        assert condition_holds(text, {}, values, {"a": {"N": "1"}})
        return
    with pytest.raises(DynamoError, match="Invalid ConditionExpression"):
        check_expressions(values=values, condition=text)


def test_in_takes_a_hundred_operands_and_no_more() -> None:
    values: Item = {f":{number}": {"N": str(number)} for number in range(101)}
    hundred = ",".join(f":{number}" for number in range(100))
    assert condition_holds(f"a IN ({hundred})", {}, values, {"a": {"N": "99"}})
    with pytest.raises(DynamoError, match="101"):
        check_expressions(values=values, condition=f"a IN ({hundred},:100)")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"names": {"#x": "a"}, "condition": "attribute_exists(b)"},
            "Value provided in ExpressionAttributeNames unused in expressions: keys: {#x}",
        ),
        (
            {"values": {":v": {"N": "1"}}, "condition": "attribute_exists(b)"},
            "Value provided in ExpressionAttributeValues unused in expressions: keys: {:v}",
        ),
        (
            {"names": {"#x": "a"}, "values": {":v": {"N": "1"}}, "update": "REMOVE b", "projection": "c"},
            "Value provided in ExpressionAttributeNames unused in expressions: keys: {#x}",
        ),
    ],
)
def test_placeholders_that_nobody_uses_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(DynamoError) as caught:
        check_expressions(**arguments)  # type: ignore[arg-type]
    assert caught.value.message == message


def test_placeholders_may_be_used_by_any_of_the_expressions() -> None:
    values: Item = {":u": {"N": "1"}, ":c": {"N": "1"}}
    check_expressions(names={"#a": "a", "#b": "b"}, values=values, update="SET #a = :u", condition="#b = :c")
    check_expressions(names={"#a": "a"}, values={":u": {"S": "1"}}, key_condition="pk = :u", projection="#a")


def test_expressions_are_judged_in_the_order_of_the_service() -> None:
    with pytest.raises(DynamoError, match="Invalid UpdateExpression"):
        check_expressions(update="!", condition="!", key_condition="!", filter="!", projection="!")
    with pytest.raises(DynamoError, match="Invalid KeyConditionExpression"):
        check_expressions(key_condition="!", filter="!", projection="!")
    with pytest.raises(DynamoError, match="Invalid FilterExpression"):
        check_expressions(filter="!", projection="!", names={"#unused": "x"})


def test_a_query_filter_may_not_look_at_the_key() -> None:
    check_filter_keys("a = :v AND b.sk = :v", {}, ("pk", "sk"))
    with pytest.raises(DynamoError) as caught:
        check_filter_keys("a = :v AND begins_with(#k, :v)", {"#k": "sk"}, ("pk", "sk"))
    assert caught.value.message == (
        "Filter Expression can only contain non-primary key attributes: Primary key attribute: sk"
    )


def test_evaluation_changes_neither_item_nor_values() -> None:
    item = validate_value({"L": [{"SS": ["b", "a"]}]})
    given: Item = {":v": {"SS": ["a", "b"]}}
    assert condition_holds("a[0] = :v AND contains(a, :v)", {}, given, {"a": item})
    assert item == {"L": [{"SS": ["b", "a"]}]} and given == {":v": {"SS": ["a", "b"]}}

"""Update expressions (facts: expressions.md §6, §11; api.md §4 for what an update costs)."""

from __future__ import annotations

import copy
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab_model.errors import DynamoError
from dynalab_model.expressions import apply_update, check_expressions, updated_new, updated_old
from dynalab_model.values import Item, validate_item

BEFORE: Item = validate_item(
    {
        "pk": {"S": "k"},
        "a": {"N": "1"},
        "b": {"N": "2"},
        "s": {"S": "text"},
        "l": {"L": [{"S": "0"}, {"S": "1"}, {"S": "2"}, {"S": "3"}]},
        "m": {"M": {"x": {"N": "1"}, "y": {"L": [{"N": "7"}]}}},
        "tags": {"SS": ["a", "b"]},
        "ids": {"NS": ["1", "2"]},
        "deep": {"L": [{"M": {"n": {"N": "1"}}}, {"M": {"n": {"N": "2"}}}]},
    }
)

VALUES: Item = validate_item(
    {
        ":one": {"N": "1"},
        ":ten": {"N": "10"},
        ":v": {"S": "new"},
        ":w": {"S": "newer"},
        ":list": {"L": [{"S": "x"}]},
        ":empty": {"L": []},
        ":tags": {"SS": ["b", "c"]},
        ":alltags": {"SS": ["a", "b"]},
        ":ids": {"NS": ["2", "3"]},
        ":map": {"M": {"k": {"S": "v"}}},
        ":t": {"BOOL": True},
    }
)

NAMES = {"#c": "count", "#dot": "x.y"}


def strings(*texts: str) -> dict[str, object]:
    return {"L": [{"S": text} for text in texts]}


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        # SET
        ("SET s = :v", {"s": {"S": "new"}}),
        ("SET fresh = :v", {"fresh": {"S": "new"}}),
        ("SET a = b, b = a", {"a": {"N": "2"}, "b": {"N": "1"}}),
        ("SET a = a + :ten", {"a": {"N": "11"}}),
        ("SET a = a - :ten", {"a": {"N": "-9"}}),
        ("SET a = :ten - b", {"a": {"N": "8"}}),
        ("SET a = (b + :ten)", {"a": {"N": "12"}}),
        ("SET fresh = if_not_exists(fresh, :v)", {"fresh": {"S": "new"}}),
        ("SET s = if_not_exists(s, gone)", {}),
        ("SET fresh = if_not_exists(gone, s)", {"fresh": {"S": "text"}}),
        ("SET #c = if_not_exists(#c, :ten) + :one", {"count": {"N": "11"}}),
        ("SET l = list_append(l, :list)", {"l": strings("0", "1", "2", "3", "x")}),
        ("SET l = list_append(:list, l)", {"l": strings("x", "0", "1", "2", "3")}),
        ("SET fresh = list_append(if_not_exists(fresh, :empty), :list)", {"fresh": strings("x")}),
        ("SET m.x = :v", {"m": {"M": {"x": {"S": "new"}, "y": {"L": [{"N": "7"}]}}}}),
        ("SET m.z = m.x, m.x = m.y[0]", {"m": {"M": {"x": {"N": "7"}, "y": {"L": [{"N": "7"}]}, "z": {"N": "1"}}}}),
        ("SET deep[1].n = deep[0].n", {"deep": {"L": [{"M": {"n": {"N": "1"}}}, {"M": {"n": {"N": "1"}}}]}}),
        ("SET #dot = :v", {"x.y": {"S": "new"}}),
        ("SET l[1] = :v", {"l": strings("0", "new", "2", "3")}),
        ("SET l[9] = :v", {"l": strings("0", "1", "2", "3", "new")}),
        ("SET l[20] = :v, l[10] = :w", {"l": strings("0", "1", "2", "3", "newer", "new")}),
        ("set s = :v", {"s": {"S": "new"}}),
        # REMOVE
        ("REMOVE s, a", {"s": None, "a": None}),
        ("REMOVE gone", {}),
        ("REMOVE m.gone, l[99], m.y[7]", {}),
        ("REMOVE m.x", {"m": {"M": {"y": {"L": [{"N": "7"}]}}}}),
        ("REMOVE l[0], l[2]", {"l": strings("1", "3")}),
        ("REMOVE l[2], l[0]", {"l": strings("1", "3")}),
        ("REMOVE l[0], l[1], l[2], l[3]", {"l": {"L": []}}),
        ("REMOVE m.y[0]", {"m": {"M": {"x": {"N": "1"}, "y": {"L": []}}}}),
        ("SET l[1] = :v, l[8] = :w REMOVE l[0]", {"l": strings("new", "2", "3", "newer")}),
        # ADD
        ("ADD a :ten", {"a": {"N": "11"}}),
        ("ADD #c :ten", {"count": {"N": "10"}}),
        ("ADD m.x :ten", {"m": {"M": {"x": {"N": "11"}, "y": {"L": [{"N": "7"}]}}}}),
        ("ADD m.fresh :tags", {"m": {"M": {"x": {"N": "1"}, "y": {"L": [{"N": "7"}]}, "fresh": {"SS": ["b", "c"]}}}}),
        ("ADD tags :tags", {"tags": {"SS": ["a", "b", "c"]}}),
        ("ADD ids :ids, fresh :ids", {"ids": {"NS": ["1", "2", "3"]}, "fresh": {"NS": ["2", "3"]}}),
        # DELETE
        ("DELETE tags :tags", {"tags": {"SS": ["a"]}}),
        ("DELETE tags :alltags", {"tags": None}),
        ("DELETE gone :tags, m.gone :tags", {}),
        # together
        (
            "ADD a :one REMOVE s SET b = a DELETE tags :tags",
            {"a": {"N": "2"}, "s": None, "b": {"N": "1"}, "tags": {"SS": ["a"]}},
        ),
    ],
)
def test_an_update_gives_the_documented_item(text: str, changes: dict[str, object]) -> None:
    before = copy.deepcopy(BEFORE)
    words = set(re.findall(r"[#:]\w+", text))
    used = {name: value for name, value in VALUES.items() if name in words}
    check_expressions(names={n: v for n, v in NAMES.items() if n in words}, values=used, update=text)
    after = apply_update(text, NAMES, VALUES, BEFORE, ("pk",)).item
    expected = {name: value for name, value in {**BEFORE, **changes}.items() if value is not None}
    assert after == expected
    assert before == BEFORE, "the item before must stay as it was"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SET a = gone", "The provided expression refers to an attribute that does not exist in the item"),
        ("SET a = gone + :one", "The provided expression refers to an attribute that does not exist in the item"),
        (
            "SET l = list_append(gone, :list)",
            "The provided expression refers to an attribute that does not exist in the item",
        ),
        ("SET a = s + :one", "An operand in the update expression has an incorrect data type"),
        ("SET a = list_append(s, :list)", "An operand in the update expression has an incorrect data type"),
        ("ADD s :one", "An operand in the update expression has an incorrect data type"),
        ("ADD tags :ids", "An operand in the update expression has an incorrect data type"),
        ("ADD l :one", "An operand in the update expression has an incorrect data type"),
        ("DELETE ids :tags", "An operand in the update expression has an incorrect data type"),
        ("SET gone.x = :v", "The document path provided in the update expression is invalid for update"),
        ("SET s.x = :v", "The document path provided in the update expression is invalid for update"),
        ("SET l.x = :v", "The document path provided in the update expression is invalid for update"),
        ("SET m[0] = :v", "The document path provided in the update expression is invalid for update"),
        ("SET l[9].x = :v", "The document path provided in the update expression is invalid for update"),
        ("ADD gone.x :one", "The document path provided in the update expression is invalid for update"),
        (
            "SET pk = :v",
            "One or more parameter values were invalid: Cannot update attribute pk. This attribute is part of the key",
        ),
        (
            "REMOVE pk.x",
            "One or more parameter values were invalid: Cannot update attribute pk. This attribute is part of the key",
        ),
    ],
)
def test_an_update_that_does_not_fit_the_item_is_refused(text: str, message: str) -> None:
    with pytest.raises(DynamoError) as caught:
        apply_update(text, {}, VALUES, BEFORE, ("pk",))
    assert (caught.value.code, caught.value.message) == ("ValidationException", message)


def test_arithmetic_keeps_38_digits_and_the_range() -> None:
    big: Item = {":x": {"N": "9" * 38 + "0" * 88}}
    assert apply_update("ADD n :x", {}, {":x": {"N": "1"}}, {"n": {"N": "9" * 37}}).item == {"n": {"N": "1" + "0" * 37}}
    with pytest.raises(DynamoError, match="Number overflow"):
        apply_update("ADD n :x", {}, big, {"n": big[":x"]})
    with pytest.raises(DynamoError, match="Number overflow"):
        apply_update("SET n = n + :x", {}, big, {"n": big[":x"]})


def test_an_update_may_not_nest_deeper_than_32_levels() -> None:
    def lists(levels: int) -> dict[str, object]:
        value: dict[str, object] = {"S": "x"}
        for _ in range(levels):
            value = {"L": [value]}
        return value

    item = validate_item({"m": {"M": {}}})
    assert apply_update("SET m.x = :v", {}, validate_item({":v": lists(31)}), item).item != item
    with pytest.raises(DynamoError, match="Nesting Levels have exceeded supported limits"):
        apply_update("SET m.x = :v", {}, validate_item({":v": lists(32)}), item)


PREFIX = "Invalid UpdateExpression: "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The expression can not be empty;"),
        ("SET a = :v" + " " * 4_090, "Expression size has exceeded the maximum allowed size;"),
        ("INVALID SYNTAX", 'Syntax error; token: "INVALID", near: "INVALID SYNTAX"'),
        ("SET", 'Syntax error; token: "<EOF>", near: "SET"'),
        ("SET a = :v,", 'Syntax error; token: "<EOF>", near: ","'),
        ("SET a :v", 'Syntax error; token: ":v", near: "a :v"'),
        ("SET a = a + b + :one", 'Syntax error; token: "+", near: "b + :one"'),
        ("SET a = (a + b) + :one", 'Syntax error; token: "+", near: "a + b"'),
        ("ADD a b", 'Syntax error; token: "b", near: "a b"'),
        ("SET a = ((b))", "The expression has redundant parentheses;"),
        ("SET count = :v", "Attribute name is a reserved keyword; reserved keyword: count"),
        ("SET a = foo(b)", "Invalid function name; function: foo"),
        ("SET a = size(b)", "The function is not allowed in an update expression; function: size"),
        ("SET a = :v SET b = :v", 'The "SET" section can only be used once in an update expression;'),
        ("REMOVE a remove b", 'The "REMOVE" section can only be used once in an update expression;'),
        ("SET #x = :v", "An expression attribute name used in the document path is not defined; attribute name: #x"),
        ("SET a = :x", "An expression attribute value used in expression is not defined; attribute value: :x"),
        (
            "SET a = :v, a.b = :v",
            "Two document paths overlap with each other; must remove or rewrite one of these paths; "
            "path one: [a], path two: [a, b]",
        ),
        (
            "SET a.b[0] = :v REMOVE c, a.b",
            "Two document paths overlap with each other; must remove or rewrite one of these paths; "
            "path one: [a, b, [0]], path two: [a, b]",
        ),
        (
            "SET a.b = :v, a[1] = :v",
            "Two document paths conflict with each other; must remove or rewrite one of these paths; "
            "path one: [a, b], path two: [a, [1]]",
        ),
        ("ADD a :v", "Incorrect operand type for operator or function; operator: ADD, operand type: STRING"),
        ("ADD a :map", "Incorrect operand type for operator or function; operator: ADD, operand type: MAP"),
        ("DELETE a :one", "Incorrect operand type for operator or function; operator: DELETE, operand type: NUMBER"),
        (
            "SET a = list_append(l, :v)",
            "Incorrect operand type for operator or function; operator or function: list_append, operand type: S",
        ),
        (
            "SET a = a + :v",
            "Incorrect operand type for operator or function; operator or function: +, operand type: S",
        ),
        (
            "SET a = if_not_exists(a)",
            "Incorrect number of operands for operator or function; operator or function: if_not_exists, "
            "number of operands: 1",
        ),
        (
            "SET a = if_not_exists(:v, :v)",
            "Operator or function requires a document path; operator or function: if_not_exists",
        ),
    ],
)
def test_a_wrong_update_is_refused_with_its_text_before_any_read(text: str, message: str) -> None:
    with pytest.raises(DynamoError) as caught:
        check_expressions(values=VALUES, update=text)
    assert (caught.value.code, caught.value.message) == ("ValidationException", PREFIX + message)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("SET count = foo(#x) SET a = :x", "reserved keyword"),
        ("SET a = foo(#x) SET a = :x", "Invalid function name"),
        ("SET a = #x SET a = :x", "can only be used once"),
        ("SET a = #x, a = :x", "attribute name: #x"),
        ("SET a = :x, a = :v", "attribute value: :x"),
        ("SET a.b = :v, a[1] = :v, a.b = :v", "overlap"),
        ("SET a.b = :v ADD a[1] :v", "conflict"),
        ("SET a = if_not_exists(a, :v, :v) ADD b :v", "operator: ADD"),
    ],
)
def test_of_several_mistakes_the_one_that_dynamodb_reports_is_reported(text: str, first: str) -> None:
    with pytest.raises(DynamoError, match=first):
        check_expressions(values=VALUES, update=text)


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        ("SET s = :v", {"s": {"S": "text"}}, {"s": {"S": "new"}}),
        ("SET fresh = :v", None, {"fresh": {"S": "new"}}),
        ("SET m.x = :v", {"m": {"M": {"x": {"N": "1"}}}}, {"m": {"M": {"x": {"S": "new"}}}}),
        ("SET m.y[0] = :v", {"m": {"M": {"y": {"L": [{"N": "7"}]}}}}, {"m": {"M": {"y": strings("new")}}}),
        ("SET l[3] = :v, l[1] = :w", {"l": strings("1", "3")}, {"l": strings("newer", "new")}),
        ("SET l[9] = :v", None, {"l": strings("new")}),
        ("SET l[9] = :v REMOVE l[0], l[2]", {"l": strings("0", "2")}, {"l": strings("new")}),
        ("REMOVE s", {"s": {"S": "text"}}, None),
        ("REMOVE l[0]", {"l": strings("0")}, None),
        ("SET l[1] = :v REMOVE l[0]", {"l": strings("0", "1")}, {"l": strings("new")}),
        (
            "SET deep[1].n = :v REMOVE deep[0]",
            {"deep": {"L": [{"M": {"n": {"N": "1"}}}, {"M": {"n": {"N": "2"}}}]}},
            {"deep": {"L": [{"M": {"n": {"S": "new"}}}]}},
        ),
        ("ADD a :ten, fresh :one", {"a": {"N": "1"}}, {"a": {"N": "11"}, "fresh": {"N": "1"}}),
        ("DELETE tags :tags", {"tags": {"SS": ["a", "b"]}}, {"tags": {"SS": ["a"]}}),
        ("DELETE tags :alltags", {"tags": {"SS": ["a", "b"]}}, None),
        ("REMOVE gone", None, None),
        ("SET s = :v REMOVE a", {"s": {"S": "text"}, "a": {"N": "1"}}, {"s": {"S": "new"}}),
    ],
)
def test_updated_old_and_new_hold_the_touched_leaves_only(
    text: str, old: dict[str, object] | None, new: dict[str, object] | None
) -> None:
    result = apply_update(text, {}, VALUES, BEFORE)
    assert updated_old(result, BEFORE) == old
    assert updated_new(result) == new


def test_updated_old_of_a_new_item_is_nothing() -> None:
    result = apply_update("SET s = :v", {}, VALUES, {"pk": {"S": "k"}})
    assert updated_old(result, None) is None
    assert updated_new(result) == {"s": {"S": "new"}}


@pytest.mark.parametrize(
    ("text", "cost"),
    [
        ("SET s = :v", 3 + 19),
        ("REMOVE s, a", 3 + 2 + 2),
        ("SET l[0] = :v", 3 + 19 + 1),
        ("SET a = a + :one", 3 + 19 + 50),
        ("ADD a :one REMOVE l[0]", 3 + 19 + 2 + 1),
    ],
)
def test_an_update_weighs_what_was_measured(text: str, cost: int) -> None:
    assert apply_update(text, {}, VALUES, BEFORE).action_bytes == cost


@pytest.mark.parametrize(("times", "total"), [(1, "2"), (3, "4")])
def test_a_counter_counts_each_time(times: int, total: str) -> None:
    item = BEFORE
    for _ in range(times):
        item = apply_update("SET a = if_not_exists(a, :zero) + :one", {}, {":zero": {"N": "0"}, **VALUES}, item).item
    assert item["a"] == {"N": total}


names = st.sampled_from("abcdef")
plain_items = st.dictionaries(names, st.integers(-9, 9).map(lambda n: {"N": str(n)}), min_size=1)


@given(plain_items, st.lists(st.tuples(names, names), unique_by=lambda pair: pair[0], min_size=1, max_size=6))
def test_all_right_hand_sides_see_the_item_before_the_update(item: Item, moves: list[tuple[str, str]]) -> None:
    text = "SET " + ", ".join(f"{target} = {source}" for target, source in moves)
    if any(source not in item for _, source in moves):
        with pytest.raises(DynamoError, match="does not exist in the item"):
            apply_update(text, {}, {}, item)
        return
    assert apply_update(text, {}, {}, item).item == {**item, **{target: item[source] for target, source in moves}}


@given(
    st.lists(st.integers(0, 99), max_size=6),
    st.dictionaries(st.integers(0, 9), st.integers(100, 199) | st.none(), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
)
def test_list_indices_mean_the_list_before_the_update(
    old: list[int], edits: dict[int, int | None], shuffler: st.DataObject
) -> None:
    sets = [(index, value) for index, value in edits.items() if value is not None]
    removes = [index for index, value in edits.items() if value is None]
    shuffler.shuffle(sets)  # type: ignore[attr-defined]
    text = ("SET " + ", ".join(f"l[{i}] = :v{v}" for i, v in sets) if sets else "") + " "
    text += "REMOVE " + ", ".join(f"l[{i}]" for i in removes) if removes else ""
    values: Item = {f":v{value}": {"N": str(value)} for _, value in sets}
    expected = [edits.get(index, value) for index, value in enumerate(old)]
    expected += [value for index, value in sorted(sets) if index >= len(old)]
    item = validate_item({"l": {"L": [{"N": str(value)} for value in old]}})
    after = apply_update(text, {}, values, item).item
    assert after == {"l": {"L": [{"N": str(value)} for value in expected if value is not None]}}

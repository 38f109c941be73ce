"""Projections (facts: expressions.md §5)."""

from __future__ import annotations

import copy
import time

import pytest

from dynalab_model.errors import DynamoError
from dynalab_model.expressions import check_expressions, project
from dynalab_model.values import Item, validate_item

ITEM: Item = validate_item(
    {
        "pk": {"S": "k"},
        "a": {"S": "x"},
        "m": {"M": {"x": {"N": "1"}, "y": {"M": {"z": {"N": "2"}, "w": {"N": "3"}}}}},
        "l": {
            "L": [
                {"N": "0"},
                {"N": "1"},
                {"M": {"p": {"S": "p"}, "q": {"S": "q"}, "r": {"S": "r"}}},
                {"L": [{"N": "9"}]},
            ]
        },
        "name": {"S": "reserved"},
        "dotted.name": {"S": "d"},
    }
)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a", {"a": {"S": "x"}}),
        ("pk, a", {"pk": {"S": "k"}, "a": {"S": "x"}}),
        ("gone", {}),
        ("gone, m.gone, l[9], a.b, name2[0], dotted.x", {}),
        ("m.x", {"m": {"M": {"x": {"N": "1"}}}}),
        ("m.y.z", {"m": {"M": {"y": {"M": {"z": {"N": "2"}}}}}}),
        ("m.x, m.y.w", {"m": {"M": {"x": {"N": "1"}, "y": {"M": {"w": {"N": "3"}}}}}}),
        ("l[1]", {"l": {"L": [{"N": "1"}]}}),
        ("l[3][0], l[1]", {"l": {"L": [{"N": "1"}, {"L": [{"N": "9"}]}]}}),
        ("l[2].q, l[0], l[2].p", {"l": {"L": [{"N": "0"}, {"M": {"p": {"S": "p"}, "q": {"S": "q"}}}]}}),
        ("l[2].gone, l[0]", {"l": {"L": [{"N": "0"}]}}),
        ("#n, #d", {"name": {"S": "reserved"}, "dotted.name": {"S": "d"}}),
    ],
)
def test_a_projection_keeps_what_it_names(text: str, part: dict[str, object]) -> None:
    before = copy.deepcopy(ITEM)
    assert project(text, {"#n": "name", "#d": "dotted.name"}, ITEM) == part
    assert before == ITEM


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The expression can not be empty;"),
        ("!!! INVALID !!!", 'Syntax error; token: "!", near: "!!"'),
        ("a,", 'Syntax error; token: "<EOF>", near: ","'),
        ("a b", 'Syntax error; token: "b", near: "a b"'),
        (":v", 'Syntax error; token: ":v", near: ":v"'),
        ("size(a)", 'Syntax error; token: "(", near: "size(a"'),
        ("a, name", "Attribute name is a reserved keyword; reserved keyword: name"),
        ("a, #x", "An expression attribute name used in the document path is not defined; attribute name: #x"),
        (
            "a, a.b",
            "Two document paths overlap with each other; must remove or rewrite one of these paths; "
            "path one: [a], path two: [a, b]",
        ),
        (
            "b, #a[0].c, a[0]",
            "Two document paths overlap with each other; must remove or rewrite one of these paths; "
            "path one: [a, [0], c], path two: [a, [0]]",
        ),
        (
            "a, a",
            "Two document paths overlap with each other; must remove or rewrite one of these paths; "
            "path one: [a], path two: [a]",
        ),
    ],
)
def test_a_wrong_projection_is_refused_before_any_read(text: str, message: str) -> None:
    with pytest.raises(DynamoError) as caught:
        check_expressions(names={"#a": "a"} if "#a" in text else {}, projection=text)
    assert (caught.value.code, caught.value.message) == (
        "ValidationException",
        f"Invalid ProjectionExpression: {message}",
    )


def test_a_path_deeper_than_any_value_is_refused() -> None:
    with pytest.raises(DynamoError, match="too many nesting elements"):
        project(".".join("a" * 34), {}, {})
    assert project(".".join("a" * 33), {}, {}) == {}


def test_the_longest_projection_is_compiled_at_once() -> None:
    paths = [f"x{number:x}" for number in range(800)]
    text = ",".join(paths)
    assert len(text) < 4_096
    started = time.process_time()
    assert project(text, {}, {"x1f": {"N": "1"}}) == {"x1f": {"N": "1"}}
    assert time.process_time() - started < 1

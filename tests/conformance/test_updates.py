"""Updates, row by row, and idioms."""

# ruff: noqa: E501 (a text is easier to compare with a captured one when it is not cut)

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

NUMBER = count()
ONE, TWO, FIVE = {"N": "1"}, {"N": "2"}, {"N": "5"}


def eav(values: dict[str, Any]) -> dict[str, Any]:
    return {"ExpressionAttributeValues": {f":{name}": value for name, value in values.items()}} if values else {}


def updated(service: Any, before: dict[str, Any] | None, update: str, /, returns: str = "", **values: Any) -> Any:
    """The item after the update without its key, or with `returns` the answer's Attributes."""
    key = {"pk": {"S": f"update {next(NUMBER)}"}}
    if before is not None:
        service("PutItem", TableName="Hash", Item=key | before)
    body: dict[str, Any] = {"TableName": "Hash", "Key": key, "UpdateExpression": update, **eav(values)}
    answer = service("UpdateItem", **body, **({"ReturnValues": returns} if returns else {}))
    if returns:
        return answer.get("Attributes")
    item = service.get("Hash", **key)
    assert item["pk"] == key["pk"]
    return {name: value for name, value in item.items() if name != "pk"}


def change(row: str, before: dict[str, Any] | None, update: str, after: dict[str, Any], **values: Any) -> Any:
    return pytest.param(before, update, values, after, id=f"{row} {update}", marks=pytest.mark.row(row))


L12 = {"L": [ONE, TWO]}


@pytest.mark.parametrize(
    ("before", "update", "values", "after"),
    [
        change("update:pre-image", {"a": ONE, "b": TWO}, "SET a = b, b = a", {"a": TWO, "b": ONE}),
        change(
            "update:sections",
            {"a": ONE, "b": ONE, "n": ONE, "s": {"SS": ["p", "q"]}},
            "DELETE s :s ADD n :n REMOVE b SET a = :v",
            {"a": FIVE, "n": TWO, "s": {"SS": ["q"]}},
            s={"SS": ["p"]},
            n=ONE,
            v=FIVE,
        ),
        change("update:set", {"a": ONE}, "SET a = :v, b = :v", {"a": TWO, "b": TWO}, v=TWO),
        change("update:set", {"m": {"M": {"x": ONE}}}, "SET m.y = :v", {"m": {"M": {"x": ONE, "y": TWO}}}, v=TWO),
        change(
            "update:set-beyond",
            {"l": L12},
            "SET l[9] = :b, l[7] = :a",
            {"l": {"L": [ONE, TWO, {"S": "7"}, {"S": "9"}]}},
            a={"S": "7"},
            b={"S": "9"},
        ),
        change("update:set-beyond", {"l": L12}, "SET l[0] = :a", {"l": {"L": [FIVE, TWO]}}, a=FIVE),
        change("update:remove", {"a": ONE}, "REMOVE gone", {"a": ONE}),
        change("update:remove", {"m": {"M": {}}, "l": L12}, "REMOVE m.x, l[2]", {"m": {"M": {}}, "l": L12}),
        change("update:remove", {"l": {"L": [ONE, TWO, FIVE]}}, "REMOVE l[0], l[1]", {"l": {"L": [FIVE]}}),
        change("update:add-number", {}, "ADD n :v", {"n": FIVE}, v=FIVE),
        change("update:add-number", None, "ADD n :v", {"n": FIVE}, v=FIVE),
        change("update:add-number", {"n": {"N": "-7"}}, "ADD n :v", {"n": {"N": "-2"}}, v=FIVE),
        change("update:add-set", {"s": {"NS": ["1"]}}, "ADD s :s", {"s": {"NS": ["1", "2"]}}, s={"NS": ["2", "1.0"]}),
        change("update:add-set", {}, "ADD s :s", {"s": {"SS": ["a"]}}, s={"SS": ["a"]}),
        change("update:add-set", {"m": {"M": {"n": ONE}}}, "ADD m.n :v", {"m": {"M": {"n": TWO}}}, v=ONE),
        change(
            "update:delete-set", {"s": {"SS": ["p", "q"]}}, "DELETE s :s", {"s": {"SS": ["p"]}}, s={"SS": ["q", "z"]}
        ),
        change("update:delete-set", {"s": {"SS": ["p"]}}, "DELETE s :s", {}, s={"SS": ["p"]}),
        change("update:delete-set", {"a": ONE}, "DELETE s :s", {"a": ONE}, s={"SS": ["p"]}),
        change(
            "update:arithmetic", {"n": FIVE}, "SET n = n - :v, m = :v + n", {"n": {"N": "4"}, "m": {"N": "6"}}, v=ONE
        ),
        change("update:arithmetic", {"n": {"N": "1" * 37}}, "SET n = n + :v", {"n": {"N": "1" * 36 + "2"}}, v=ONE),
        change(
            "update:if-not-exists",
            {"a": ONE},
            "SET a = if_not_exists(a, :v), b = if_not_exists(b, :v)",
            {"a": ONE, "b": TWO},
            v=TWO,
        ),
        change("update:if-not-exists", {"a": ONE}, "SET b = if_not_exists(a, gone)", {"a": ONE, "b": ONE}),
        change(
            "update:list-append",
            {"l": L12},
            "SET l = list_append(l, :l)",
            {"l": {"L": [ONE, TWO, FIVE]}},
            l={"L": [FIVE]},
        ),
        change(
            "update:list-append",
            {},
            "SET l = list_append(if_not_exists(l, :e), :l)",
            {"l": {"L": [FIVE]}},
            e={"L": []},
            l={"L": [FIVE]},
        ),
        # §11
        change("idiom:counter", {}, "SET n = if_not_exists(n, :z) + :o", {"n": ONE}, z={"N": "0"}, o=ONE),
        change(
            "idiom:append",
            {"l": {"L": [ONE]}},
            "SET l = list_append(if_not_exists(l, :e), :v)",
            {"l": L12},
            e={"L": []},
            v={"L": [TWO]},
        ),
        change("idiom:membership", {"tags": {"SS": ["a"]}}, "ADD tags :t", {"tags": {"SS": ["a"]}}, t={"SS": ["a"]}),
    ],
)
def test_an_update_leaves_this_item(
    service: Any, before: dict[str, Any] | None, update: str, values: dict[str, Any], after: dict[str, Any]
) -> None:
    found = updated(service, before, update, **values)
    assert {name: _sorted(value) for name, value in found.items()} == after


def _sorted(value: dict[str, Any]) -> dict[str, Any]:
    """Sets have no order."""
    return {kind: sorted(content) if kind in ("SS", "NS", "BS") else content for kind, content in value.items()}


def refusal(row: str, update: str, text: str, before: dict[str, Any] | None = None, **values: Any) -> Any:
    return pytest.param(before or {}, update, values, text, id=f"{row} {update}", marks=pytest.mark.row(row))


BAD = "Invalid UpdateExpression: "
WRONG_TYPE = "An operand in the update expression has an incorrect data type"
NO_ATTRIBUTE = "The provided expression refers to an attribute that does not exist in the item"
BAD_PATH = "The document path provided in the update expression is invalid for update"


@pytest.mark.parametrize(
    ("before", "update", "values", "text"),
    [
        refusal("update:set-no-parent", "SET m.x = :v", BAD_PATH, v=ONE),
        refusal("update:set-no-parent", "SET a.x = :v", BAD_PATH, {"a": ONE}, v=ONE),
        refusal("update:no-parent", "REMOVE m.x", BAD_PATH),
        refusal("update:no-parent", "REMOVE m.x[1]", BAD_PATH, {"m": {"M": {}}}),
        refusal("update:no-parent", "REMOVE a.x", BAD_PATH, {"a": ONE}),
        refusal("update:no-parent", "REMOVE m[0]", BAD_PATH, {"m": {"M": {}}}),
        refusal("update:no-parent", "REMOVE l[2].x", BAD_PATH, {"l": L12}),
        refusal("update:no-parent", "ADD m.x :v", BAD_PATH, v=ONE),
        refusal("update:no-parent", "DELETE m.x :v", BAD_PATH, v={"SS": ["a"]}),
        refusal("update:add-type", "ADD a :v", WRONG_TYPE, {"a": {"S": "x"}}, v=ONE),
        refusal("update:delete-type", "DELETE a :v", WRONG_TYPE, {"a": ONE}, v={"SS": ["a"]}),
        refusal("update:arithmetic-missing", "SET n = gone + :v", NO_ATTRIBUTE, v=ONE),
        refusal("update:arithmetic-type", "SET n = a + :v", WRONG_TYPE, {"a": {"S": "x"}}, v=ONE),
        refusal(
            "update:arithmetic-overflow",
            "SET n = n + :v",
            "Number overflow. Attempting to store a number with magnitude larger than supported range",
            {"n": {"N": "99" + "0" * 124}},
            v={"N": "1E125"},
        ),
        refusal("update:list-append-missing", "SET l = list_append(l, :l)", NO_ATTRIBUTE, l={"L": []}),
        refusal(
            "update:key",
            "SET pk = :v",
            "One or more parameter values were invalid: Cannot update attribute pk. This attribute is part of the key",
            v={"S": "x"},
        ),
        refusal(
            "update:size",
            "SET v = :v",
            "Item size to update has exceeded the maximum allowed size",
            v={"S": "x" * 409_590},
        ),
        refusal(
            "update:reserved",
            "SET count = :v",
            BAD + "Attribute name is a reserved keyword; reserved keyword: count",
            v=ONE,
        ),
        refusal("update:unknown-function", "SET a = foo(b)", BAD + "Invalid function name; function: foo"),
        refusal(
            "update:section-twice",
            "SET a = :v SET b = :v",
            BAD + 'The "SET" section can only be used once in an update expression;',
            v=ONE,
        ),
        refusal(
            "update:name-undefined",
            "SET #x = :v",
            BAD + "An expression attribute name used in the document path is not defined; attribute name: #x",
            v=ONE,
        ),
        refusal(
            "update:value-undefined",
            "SET a = :w",
            BAD + "An expression attribute value used in expression is not defined; attribute value: :w",
        ),
        refusal(
            "update:overlap",
            "SET a = :v, a.b = :v",
            BAD
            + "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a, b]",
            v=ONE,
        ),
        refusal(
            "update:overlap",
            "SET a[0].b = :v REMOVE a[0]",
            BAD
            + "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a, [0], b], path two: [a, [0]]",
            v=ONE,
        ),
        refusal(
            "update:conflict",
            "SET a.b = :v, a[1] = :v",
            BAD
            + "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: [a, b], path two: [a, [1]]",
            v=ONE,
        ),
        refusal(
            "update:operand-type-add",
            "ADD a :v",
            BAD + "Incorrect operand type for operator or function; operator: ADD, operand type: STRING",
            v={"S": "x"},
        ),
        refusal(
            "update:operand-type-add",
            "ADD a :v",
            BAD + "Incorrect operand type for operator or function; operator: ADD, operand type: LIST",
            v={"L": []},
        ),
        refusal(
            "update:operand-type-delete",
            "DELETE a :v",
            BAD + "Incorrect operand type for operator or function; operator: DELETE, operand type: NUMBER",
            v=ONE,
        ),
        refusal(
            "update:operand-type-function",
            "SET a = list_append(a, :v)",
            BAD + "Incorrect operand type for operator or function; operator or function: list_append, operand type: S",
            v={"S": "x"},
        ),
        refusal(
            "update:operand-count",
            "SET a = if_not_exists(a)",
            BAD
            + "Incorrect number of operands for operator or function; operator or function: if_not_exists, number of operands: 1",
        ),
        refusal(
            "update:needs-path",
            "SET a = if_not_exists(:v, :v)",
            BAD + "Operator or function requires a document path; operator or function: if_not_exists",
            v=ONE,
        ),
        # order: reserved → unknown function → section → name → value → overlap → conflict → operand → function
        refusal(
            "update:report-order",
            "SET count = foo(a)",
            BAD + "Attribute name is a reserved keyword; reserved keyword: count",
        ),
        refusal("update:report-order", "SET a = foo(a) SET b = a", BAD + "Invalid function name; function: foo"),
        refusal(
            "update:report-order",
            "SET #x = :w SET b = a",
            BAD + 'The "SET" section can only be used once in an update expression;',
        ),
        refusal(
            "update:report-order",
            "SET #x = :w",
            BAD + "An expression attribute name used in the document path is not defined; attribute name: #x",
        ),
        refusal(
            "update:report-order",
            "SET a = :w, a.b = :w",
            BAD + "An expression attribute value used in expression is not defined; attribute value: :w",
        ),
        refusal(
            "update:report-order",
            "SET a.b = :v, a[1] = :v, a.b.c = :v",
            BAD
            + "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a, b], path two: [a, b, c]",
            v=ONE,
        ),
    ],
)
def test_an_update_that_cannot_be_is_refused_and_changes_nothing(
    service: Any, before: dict[str, Any], update: str, values: dict[str, Any], text: str
) -> None:
    key = {"pk": {"S": f"refused update {next(NUMBER)}"}}
    service("PutItem", TableName="Hash", Item=key | before)
    error = service.refused("UpdateItem", TableName="Hash", Key=key, UpdateExpression=update, **eav(values))
    assert (error.code, error.message) == ("ValidationException", text)
    assert service.get("Hash", **key) == key | before


@pytest.mark.row("update:index-key")
@pytest.mark.parametrize(
    ("update", "value", "text"),
    [
        ("SET g = :v", ONE, "The update expression attempted to update the secondary index key to unsupported type"),
        (
            "SET g = :v",
            {"S": "x" * 2049},
            "The update expression attempted to update the secondary index key beyond allowed size limits",
        ),
    ],
)
def test_an_index_key_is_not_updated_to_what_no_index_takes(service: Any, update: str, value: Any, text: str) -> None:
    key = {"pk": {"S": "index key"}, "sk": {"S": "a"}}
    error = service.refused("UpdateItem", TableName="Range", Key=key, UpdateExpression=update, **eav({"v": value}))
    assert (error.code, error.message) == ("ValidationException", text)


@pytest.mark.row("update:none")
def test_an_update_without_an_expression_makes_sure_that_the_item_is_there(service: Any) -> None:
    key = {"pk": {"S": "only a key"}}
    assert service("UpdateItem", TableName="Hash", Key=key) == {}
    assert service.get("Hash", **key) == key
    service.put("Hash", **key, a=ONE)
    service("UpdateItem", TableName="Hash", Key=key)
    assert service.get("Hash", **key) == key | {"a": ONE}


@pytest.mark.row("update:repeated")
def test_a_repeated_set_changes_nothing_and_a_repeated_add_counts_twice(service: Any) -> None:
    key = {"pk": {"S": "repeated"}}
    for _ in range(2):
        update = {"UpdateExpression": "SET a = :v ADD n :v", **eav({"v": ONE})}
        service("UpdateItem", TableName="Hash", Key=key, **update)
    assert service.get("Hash", **key) == key | {"a": ONE, "n": TWO}


@pytest.mark.row("update:paths-printed")
def test_a_path_is_printed_with_its_indices_in_brackets(service: Any) -> None:
    key = {"pk": {"S": "paths"}}
    error = service.refused("UpdateItem", TableName="Hash", Key=key, UpdateExpression="REMOVE a[0].b, a[0].b.c")
    assert error.message == BAD + (
        "Two document paths overlap with each other; must remove or rewrite one of these paths; "
        "path one: [a, [0], b], path two: [a, [0], b, c]"
    )


@pytest.mark.row("update:return-values")
def test_updated_images_hold_only_what_was_touched(service: Any) -> None:
    before = {"p": {"M": {"c": ONE, "d": TWO}}, "x": ONE, "l": {"L": [ONE, TWO, FIVE]}}
    assert updated(service, before, "SET p.c = :v", "UPDATED_NEW", v=FIVE) == {"p": {"M": {"c": FIVE}}}
    assert updated(service, before, "SET p.c = :v", "UPDATED_OLD", v=FIVE) == {"p": {"M": {"c": ONE}}}
    assert updated(service, before, "SET l[2] = :v, l[0] = :v", "UPDATED_OLD", v=FIVE) == {"l": {"L": [ONE, FIVE]}}
    assert updated(service, before, "REMOVE x", "UPDATED_NEW") is None
    assert updated(service, before, "REMOVE x", "UPDATED_OLD") == {"x": ONE}
    assert updated(service, None, "SET a = :v", "UPDATED_OLD", v=ONE) is None


# --- idioms (§11) -----------------------------------------------------------------------------------------------------


@pytest.mark.row("idiom:optimistic-lock", "idiom:guarded-decrement", "idiom:idempotent-consumer")
@pytest.mark.parametrize(
    ("update", "condition", "values"),
    [
        ("SET v = :new, x = :x", "v = :old", {"new": TWO, "old": ONE, "x": FIVE}),
        ("SET bal = bal - :a", "bal >= :a", {"a": {"N": "3"}}),
        ("SET last_seq = :seq", "attribute_not_exists(last_seq) OR last_seq < :seq", {"seq": FIVE}),
    ],
)
def test_a_guarded_update_goes_through_once(service: Any, update: str, condition: str, values: dict[str, Any]) -> None:
    key = {"pk": {"S": f"idiom {next(NUMBER)}"}}
    service("PutItem", TableName="Hash", Item=key | {"v": ONE, "bal": FIVE})
    body = {
        "TableName": "Hash",
        "Key": key,
        "UpdateExpression": update,
        "ConditionExpression": condition,
        **eav(values),
    }
    service("UpdateItem", **body)
    assert service.refused("UpdateItem", **body).code == "ConditionalCheckFailedException"


@pytest.mark.row("idiom:ttl-filter")
def test_expired_items_are_filtered_by_the_reader(service: Any) -> None:
    for sort, expires in (("x", None), ("y", "100"), ("z", "300")):
        more = {} if expires is None else {"expires": {"N": expires}}
        service.put("Range", pk={"S": "ttl"}, sk={"S": sort}, **more)
    answer = service(
        "Query",
        TableName="Range",
        ConsistentRead=True,
        KeyConditionExpression="pk = :p",
        FilterExpression="attribute_not_exists(expires) OR expires > :n",
        **eav({"p": {"S": "ttl"}, "n": {"N": "200"}}),
    )
    assert [item["sk"]["S"] for item in answer["Items"]] == ["x", "z"]

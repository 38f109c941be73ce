"""One operation on one item, and what it means for the indexes (api.md §5, §6, §8)."""

from __future__ import annotations

import copy

import pytest

from dynalab_model.errors import DynamoError
from dynalab_model.items import WriteEffect, apply_write, bind_get, bind_write, index_changes, index_entry
from dynalab_model.keys import index_key, item_key
from dynalab_model.operations import DeleteItem, GetItem, PutItem, UpdateItem, WriteOperation
from dynalab_model.schema import IndexSchema, KeyAttribute, KeySchema, TableSchema
from dynalab_model.values import Item, item_size, validate_item

COLOR = IndexSchema("by_color", KeySchema(KeyAttribute("color", "S"), KeyAttribute("size", "N")), "INCLUDE", ("note",))
SCHEMA = TableSchema("T", KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "N")), (COLOR,))
KEY: Item = {"pk": {"S": "a"}, "sk": {"N": "1"}}
INVALID = "One or more parameter values were invalid: "
EMPTY = (
    "One or more parameter values are not valid. "
    "The AttributeValue for a key attribute cannot contain an empty string value. "
)


def item(**attributes: object) -> Item:
    """The item under KEY with string attributes; ints become numbers."""
    wire: Item = {
        name: {"N": str(value)} if isinstance(value, int) else {"S": str(value)} for name, value in attributes.items()
    }
    return KEY | wire


def message(op: WriteOperation, current: Item | None = None) -> str:
    with pytest.raises(DynamoError) as caught:
        bind_write(SCHEMA, op)
        apply_write(SCHEMA, op, current)
    assert caught.value.status == 400
    return caught.value.message


# --- keys ---------------------------------------------------------------------------------------------------------


def test_writes_and_reads_of_one_key_name_the_same_bytes() -> None:
    key = item_key(SCHEMA.key, KEY)
    assert bind_write(SCHEMA, PutItem("T", item(color="red"))) == key
    assert bind_write(SCHEMA, UpdateItem("T", KEY)) == key
    assert bind_write(SCHEMA, DeleteItem("T", KEY)) == key
    assert bind_get(SCHEMA, GetItem("T", KEY)) == key


@pytest.mark.parametrize(
    "key",
    [
        {},
        {"pk": {"S": "a"}},
        {"pk": {"S": "a"}, "sk": {"S": "1"}},
        {"pk": {"N": "1"}, "sk": {"N": "1"}},
        {"pk": {"S": "a"}, "other": {"N": "1"}},
        {"pk": {"S": "a"}, "sk": {"N": "1"}, "extra": {"S": "b"}},
    ],
)
def test_a_key_that_lacks_adds_or_mistypes_an_attribute_does_not_match_the_schema(key: Item) -> None:
    assert message(DeleteItem("T", key)) == "The provided key element does not match the schema"
    assert message(UpdateItem("T", key)) == "The provided key element does not match the schema"
    with pytest.raises(DynamoError, match="The provided key element does not match the schema"):
        bind_get(SCHEMA, GetItem("T", key))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"sk": {"N": "1"}}, INVALID + "Missing the key pk in the item"),
        ({"pk": {"S": "a"}}, INVALID + "Missing the key sk in the item"),
        ({"pk": {"N": "5"}, "sk": {"N": "1"}}, INVALID + "Type mismatch for key pk expected: S actual: N"),
        ({"pk": {"S": "a"}, "sk": {"L": []}}, INVALID + "Type mismatch for key sk expected: N actual: L"),
        (
            {"pk": {"S": ""}, "sk": {"N": "1"}},
            EMPTY + "Key: pk",
        ),
        (
            {"pk": {"S": "x" * 2049}, "sk": {"N": "1"}},
            INVALID + "Size of hashkey has exceeded the maximum size limit of2048 bytes",
        ),
        (
            KEY | {"color": {"N": "1"}},
            INVALID + "Type mismatch for Index Key color Expected: S Actual: N IndexName: by_color",
        ),
        (
            KEY | {"size": {"S": "large"}},  # also while the index's partition key is missing
            INVALID + "Type mismatch for Index Key size Expected: N Actual: S IndexName: by_color",
        ),
        (
            KEY | {"color": {"S": ""}},
            EMPTY + "IndexName: by_color, IndexKey: color",
        ),
    ],
)
def test_an_item_whose_keys_do_not_fit_the_table_is_refused_in_the_services_words(given: Item, text: str) -> None:
    assert message(PutItem("T", given)) == text


def test_the_longest_keys_fit_and_one_byte_more_does_not() -> None:
    schema = TableSchema("T", KeySchema(KeyAttribute("pk", "B"), KeyAttribute("sk", "S")))
    longest: Item = {"pk": {"B": "AAAA" * 682 + "AAA="}, "sk": {"S": "é" * 512}}  # 2,048 and 1,024 bytes
    assert len(bind_write(schema, PutItem("T", longest))) > 3000
    with pytest.raises(DynamoError, match="range keys has exceeded the size limit of 1024 bytes"):
        bind_write(schema, PutItem("T", {"pk": {"B": "AAAA"}, "sk": {"S": "é" * 512 + "x"}}))
    with pytest.raises(DynamoError, match="limit of2048 bytes"):
        bind_write(schema, DeleteItem("T", {"pk": {"B": "AAAA" * 683}, "sk": {"S": "x"}}))


def test_an_item_without_index_key_attributes_is_accepted() -> None:
    assert bind_write(SCHEMA, PutItem("T", item(color="red"))) == bind_write(SCHEMA, PutItem("T", item()))


# --- conditions ---------------------------------------------------------------------------------------------------


def test_a_failed_condition_carries_the_item_found_only_when_asked_and_only_if_there_is_one() -> None:
    put = PutItem("T", item(v=2), condition="v = :old", values={":old": {"N": "1"}})

    def body(op: WriteOperation, current: Item | None) -> dict[str, object]:
        with pytest.raises(DynamoError) as caught:
            apply_write(SCHEMA, op, current)
        assert caught.value.code == "ConditionalCheckFailedException"
        return caught.value.body()

    assert body(put, item(v=3))["message"] == "The conditional request failed"
    assert "Item" not in body(put, item(v=3))
    put.return_on_failure = "ALL_OLD"
    assert body(put, item(v=3))["Item"] == item(v=3)
    assert "Item" not in body(put, None)


def test_an_update_whose_condition_fails_on_nothing_leaves_nothing() -> None:
    update = UpdateItem("T", KEY, update="SET v = :v", condition="attribute_exists(pk)", values={":v": {"N": "1"}})
    with pytest.raises(DynamoError, match="The conditional request failed"):
        apply_write(SCHEMA, update, None)


def test_a_condition_is_judged_before_the_update_is_tried() -> None:
    update = UpdateItem("T", KEY, update="SET v = v + :v", condition="attribute_exists(pk)", values={":v": {"N": "1"}})
    assert message(update, None) == "The conditional request failed"
    assert message(update, item()) == "The provided expression refers to an attribute that does not exist in the item"


# --- effects ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("return_values", "current", "attributes"),
    [
        ("NONE", item(v=1), None),
        ("NONE", None, None),
        ("ALL_OLD", item(v=1), item(v=1)),
        ("ALL_OLD", None, None),
    ],
)
def test_return_values_of_put_and_delete(return_values: str, current: Item | None, attributes: Item | None) -> None:
    put = PutItem("T", item(v=2), return_values=return_values)
    assert apply_write(SCHEMA, put, current) == WriteEffect(item(v=2), attributes)
    delete = DeleteItem("T", KEY, return_values=return_values)
    assert apply_write(SCHEMA, delete, current) == WriteEffect(None, attributes)


OLD: Item = item(v=1, w="x") | {"m": {"M": {"c": {"N": "7"}, "d": {"N": "8"}}}}


@pytest.mark.parametrize(
    ("return_values", "attributes"),
    [
        ("NONE", None),
        ("ALL_OLD", OLD),
        ("ALL_NEW", OLD | {"v": {"N": "2"}, "m": {"M": {"c": {"N": "9"}, "d": {"N": "8"}}}}),
        ("UPDATED_OLD", {"v": {"N": "1"}, "m": {"M": {"c": {"N": "7"}}}}),
        ("UPDATED_NEW", {"v": {"N": "2"}, "m": {"M": {"c": {"N": "9"}}}}),
    ],
)
def test_return_values_of_an_update_of_an_item_hold_the_touched_paths_only(
    return_values: str, attributes: Item | None
) -> None:
    values: Item = {":v": {"N": "2"}, ":c": {"N": "9"}}
    update = UpdateItem("T", KEY, "SET v = :v, m.c = :c", values=values, return_values=return_values)
    assert apply_write(SCHEMA, update, OLD).attributes == attributes


@pytest.mark.parametrize(
    ("return_values", "attributes"),
    [
        ("ALL_OLD", None),
        ("ALL_NEW", item(v=2)),
        ("UPDATED_OLD", None),
        ("UPDATED_NEW", {"v": {"N": "2"}}),
    ],
)
def test_return_values_of_an_update_that_creates_its_item(return_values: str, attributes: Item | None) -> None:
    update = UpdateItem("T", KEY, "SET v = :v", values={":v": {"N": "2"}}, return_values=return_values)
    assert apply_write(SCHEMA, update, None) == WriteEffect(item(v=2), attributes)


def test_an_update_that_only_removes_has_no_new_attributes_to_return() -> None:
    update = UpdateItem("T", KEY, "REMOVE v", return_values="UPDATED_NEW")
    assert apply_write(SCHEMA, update, item(v=1)) == WriteEffect(item(), None)
    update.return_values = "UPDATED_OLD"
    assert apply_write(SCHEMA, update, item(v=1)) == WriteEffect(item(), {"v": {"N": "1"}})


def test_an_update_without_expression_creates_the_key_alone_and_changes_nothing_that_is_there() -> None:
    update = UpdateItem("T", KEY, return_values="ALL_NEW")
    assert apply_write(SCHEMA, update, None) == WriteEffect(KEY, KEY)
    assert apply_write(SCHEMA, update, item(v=1)) == WriteEffect(item(v=1), item(v=1))


def test_an_update_of_a_key_attribute_is_refused() -> None:
    update = UpdateItem("T", KEY, "SET sk = :v", values={":v": {"N": "2"}})
    assert message(update, item()) == INVALID + "Cannot update attribute sk. This attribute is part of the key"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"N": "1"}, "The update expression attempted to update the secondary index key to unsupported type"),
        (
            {"S": "x" * 2049},
            "The update expression attempted to update the secondary index key beyond allowed size limits",
        ),
    ],
)
def test_an_update_of_an_index_key_to_what_cannot_be_a_key_is_refused(value: dict[str, str], text: str) -> None:
    update = UpdateItem("T", KEY, "SET color = :v", values={":v": value})  # type: ignore[dict-item]
    assert message(update, item()) == text
    assert message(update, item(size=1)) == text


def test_an_update_may_not_give_an_index_a_sort_key_of_another_type_either() -> None:
    update = UpdateItem("T", KEY, "SET #s = :v", names={"#s": "size"}, values={":v": {"S": "large"}})
    assert message(update) == "The update expression attempted to update the secondary index key to unsupported type"
    update.values = {":v": {"N": "1"}}
    assert apply_write(SCHEMA, update, None).item == item(size=1)


@pytest.mark.claim("S32")
@pytest.mark.parametrize(
    ("hash_bytes", "largest"),
    [
        pytest.param(100, 409_600, id="a long key outweighs what the update itself costs"),
        pytest.param(
            1, 409_600 - (3 + 19) + 7, id="a short key: the update's own 22 bytes count instead of the key's 7"
        ),
    ],
)
def test_an_update_may_fill_an_item_to_400_kb_and_not_a_byte_further(hash_bytes: int, largest: int) -> None:
    key: Item = {"pk": {"S": "a" * hash_bytes}, "sk": {"N": "1"}}  # the number takes two bytes
    room = largest - (len("pk") + hash_bytes + len("sk") + 2 + len("body"))

    def grow(size_bytes: int) -> UpdateItem:
        return UpdateItem("T", key, "SET body = :p", values={":p": {"S": "x" * size_bytes}})

    effect = apply_write(SCHEMA, grow(room), None)
    assert effect.item is not None and item_size(effect.item) == largest
    assert message(grow(room + 1)) == "Item size to update has exceeded the maximum allowed size"


def test_no_write_changes_the_item_it_found_or_its_own_operation() -> None:
    values = validate_item({":v": {"L": [{"N": "3"}]}, ":s": {"SS": ["b"]}})
    extra = validate_item({"l": {"L": [{"N": "1"}, {"N": "2"}]}, "s": {"SS": ["a", "b"]}})
    current = item(v=1) | extra
    update = UpdateItem("T", KEY, "SET l = list_append(l, :v) REMOVE v DELETE s :s", values=values)
    before, asked = copy.deepcopy(current), copy.deepcopy(update)
    effect = apply_write(SCHEMA, update, current)
    left = validate_item({"l": {"L": [{"N": "1"}, {"N": "2"}, {"N": "3"}]}, "s": {"SS": ["a"]}})
    assert effect.item == item() | left
    assert (current, update) == (before, asked)


# --- indexes ------------------------------------------------------------------------------------------------------

RED = item(color="red", size=1, note="n")


@pytest.mark.claim("S28", "S29", "S30")
@pytest.mark.parametrize(
    ("before", "after", "deletes", "puts", "units"),
    [
        pytest.param(None, RED, 0, 1, 1, id="gets the index key for the first time"),
        pytest.param(item(), RED, 0, 1, 1, id="an item outside gets the index key"),
        pytest.param(RED, RED | {"color": {"S": "blue"}}, 1, 1, 2, id="partition key of the index changes"),
        pytest.param(RED, RED | {"size": {"N": "2"}}, 1, 1, 2, id="sort key of the index changes"),
        pytest.param(RED, item(color="red", note="n"), 1, 0, 1, id="one index key attribute is removed"),
        pytest.param(RED, None, 1, 0, 1, id="the item is deleted"),
        pytest.param(None, item(color="red"), 0, 0, 0, id="never in the index: half of its key is no key"),
        pytest.param(item(), None, 0, 0, 0, id="deleted without ever being in it"),
        pytest.param(RED, RED | {"note": {"S": "other"}}, 0, 1, 1, id="a projected attribute changes"),
        pytest.param(RED, RED | {"unseen": {"S": "x"}}, 0, 0, 0, id="an attribute outside the projection changes"),
        pytest.param(RED, dict(RED), 0, 0, 0, id="rewritten equal"),
    ],
)
def test_an_index_gets_no_one_or_two_writes(
    before: Item | None, after: Item | None, deletes: int, puts: int, units: int
) -> None:
    changes = index_changes(SCHEMA, before, after)
    assert sum(change.delete_key is not None for change in changes) == deletes
    assert sum(change.put_key is not None for change in changes) == puts
    assert sum(change.units for change in changes) == units
    assert all((change.put_key is None) == (change.entry is None) for change in changes)


@pytest.mark.claim("S29")
def test_a_moved_entry_is_deleted_where_it_was_and_put_where_it_belongs() -> None:
    blue = RED | {"color": {"S": "blue"}}
    (change,) = index_changes(SCHEMA, RED, blue)
    assert change.delete_key == index_key(COLOR.key, SCHEMA.key, RED)
    assert change.put_key == index_key(COLOR.key, SCHEMA.key, blue)
    assert change.entry == blue and change.index == "by_color"


def test_a_set_written_in_another_order_is_no_change() -> None:
    everything = IndexSchema("all", KeySchema(KeyAttribute("color", "S")), "ALL")
    schema = TableSchema("T", SCHEMA.key, (everything,))
    one, other = RED | {"s": {"SS": ["a", "b"]}}, RED | {"s": {"SS": ["b", "a"]}}
    assert index_changes(schema, one, other) == []
    assert len(index_changes(schema, one, RED | {"s": {"SS": ["a", "c"]}})) == 1


@pytest.mark.parametrize(
    ("projection", "included", "names"),
    [
        ("KEYS_ONLY", (), {"pk", "sk", "color", "size"}),
        ("INCLUDE", ("note",), {"pk", "sk", "color", "size", "note"}),
        ("INCLUDE", ("missing",), {"pk", "sk", "color", "size"}),
        ("ALL", (), {"pk", "sk", "color", "size", "note"}),
    ],
)
def test_a_projection_decides_what_an_entry_holds(projection: str, included: tuple[str, ...], names: set[str]) -> None:
    index = IndexSchema("by_color", COLOR.key, projection, included)
    entry = index_entry(TableSchema("T", SCHEMA.key, (index,)), index, RED)
    assert entry is not None and set(entry) == names


def test_a_moved_entry_pays_each_half_rounded_up_and_an_entry_in_place_pays_the_larger_half() -> None:
    everything = IndexSchema("all", KeySchema(KeyAttribute("color", "S")), "ALL")
    schema = TableSchema("T", SCHEMA.key, (everything,))
    small, large = RED, RED | {"pad": {"S": "x" * 1500}}
    assert [c.units for c in index_changes(schema, small, large)] == [2]
    assert [c.units for c in index_changes(schema, large, small)] == [2]
    assert [c.units for c in index_changes(schema, small, large | {"color": {"S": "blue"}})] == [1 + 2]

"""What reads and writes cost: the arithmetic of the course's worked figures, to the unit (api.md §5)."""

from __future__ import annotations

import pytest

from dynalab_model import capacity
from dynalab_model.items import apply_write, index_changes, index_units
from dynalab_model.operations import DeleteItem, GetItem, PutItem, Query, Scan, UpdateItem
from dynalab_model.pages import PageBuilder, get_response, write_response
from dynalab_model.schema import IndexSchema, KeyAttribute, KeySchema, TableSchema
from dynalab_model.values import Item, item_size

KB = 1024
KEY = KeySchema(KeyAttribute("pk", "S"))
TABLE = TableSchema("T", KEY)


def item_of(size_bytes: int, **attributes: str) -> Item:
    """An item of exactly that many bytes: key `pk` = "a", string attributes, and padding."""
    item: Item = {"pk": {"S": "a"}, **{name: {"S": text} for name, text in attributes.items()}}
    item["pad"] = {"S": "x" * (size_bytes - item_size(item) - len("pad"))}
    assert item_size(item) == size_bytes
    return item


@pytest.mark.claim("S31", "S112")
@pytest.mark.parametrize(
    ("size_bytes", "strong", "eventual"),
    [
        (0, 1, 0.5),
        (1, 1, 0.5),
        (1536, 1, 0.5),
        (4 * KB, 1, 0.5),
        (4 * KB + 1, 2, 1),
        (7 * KB, 2, 1),
        (10 * KB, 3, 1.5),
        (100 * KB, 25, 12.5),
    ],
)
def test_a_read_costs_one_unit_for_each_four_kilobytes_and_half_when_eventual(
    size_bytes: int, strong: float, eventual: float
) -> None:
    assert capacity.read_units(size_bytes, True) == strong
    assert capacity.read_units(size_bytes, False) == eventual


@pytest.mark.claim("S31", "S112")
@pytest.mark.parametrize(
    ("before", "after", "units"),
    [
        (0, 0, 1),
        (0, 512, 1),
        (0, 1024, 1),
        (0, 1025, 2),
        (0, 7680, 8),
        (0, 10 * KB, 10),
        (1536, 1536, 2),
        (10 * KB, 100, 10),
        (10 * KB, 0, 10),
    ],
)
def test_a_write_costs_the_larger_of_before_and_after_in_whole_kilobytes(before: int, after: int, units: int) -> None:
    assert capacity.write_units(before, after) == units


@pytest.mark.claim("S49")
def test_adding_to_a_cart_of_300_kb_costs_the_whole_cart() -> None:
    cart = item_of(300 * KB)
    grow = UpdateItem(
        "T",
        {"pk": {"S": "a"}},
        update="SET added = :more",
        values={":more": {"S": "y" * (50 * KB - len("added"))}},
        capacity="TOTAL",
    )
    effect = apply_write(TABLE, grow, cart)
    body = write_response(TABLE, grow, cart, effect)
    assert body["ConsumedCapacity"] == {"TableName": "T", "CapacityUnits": 350.0}


@pytest.mark.claim("S26")
def test_an_eventual_get_costs_half_of_a_strong_one_and_a_missing_item_costs_the_minimum() -> None:
    def units(item: Item | None, consistent: bool) -> object:
        op = GetItem("T", {"pk": {"S": "a"}}, consistent, capacity="TOTAL")
        return get_response(op, item)["ConsumedCapacity"]

    assert units(item_of(7 * KB), True) == {"TableName": "T", "CapacityUnits": 2.0}
    assert units(item_of(7 * KB), False) == {"TableName": "T", "CapacityUnits": 1.0}
    assert units(None, True) == {"TableName": "T", "CapacityUnits": 1.0}
    assert units(None, False) == {"TableName": "T", "CapacityUnits": 0.5}


def test_a_projection_makes_a_read_no_cheaper() -> None:
    op = GetItem("T", {"pk": {"S": "a"}}, True, projection="pk", capacity="TOTAL")
    response = get_response(op, item_of(7 * KB))
    assert response["Item"] == {"pk": {"S": "a"}}
    assert response["ConsumedCapacity"] == {"TableName": "T", "CapacityUnits": 2.0}


@pytest.mark.claim("S113")
def test_a_query_of_100_items_of_100_bytes_is_rounded_once_and_100_gets_are_rounded_each() -> None:
    schema = TableSchema("T", KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "N")))
    page = PageBuilder(schema, Query("T", "pk = :a", consistent=True, capacity="TOTAL"))
    for _ in range(100):
        page.add(item_of(100))
    assert page.result()["ConsumedCapacity"] == {"TableName": "T", "CapacityUnits": 3.0}
    assert sum(capacity.read_units(100, True) for _ in range(100)) == 100


@pytest.mark.claim("S53", "S114")
def test_a_filter_that_keeps_one_item_in_a_hundred_costs_as_much_as_no_filter() -> None:
    rows = [item_of(400, state="WARNING1" if number == 7 else "OK") for number in range(100)]

    def scan(op: Scan) -> dict[str, object]:
        page = PageBuilder(TABLE, op)
        for row in rows:
            page.add(row)
        return page.result()

    warned: Item = {":w": {"S": "WARNING1"}}
    kept = scan(Scan("T", filter="#s = :w", names={"#s": "state"}, values=warned, capacity="TOTAL"))
    everything = scan(Scan("T", capacity="TOTAL"))
    assert (kept["Count"], kept["ScannedCount"]) == (1, 100)
    assert kept["ConsumedCapacity"] == everything["ConsumedCapacity"] == {"TableName": "T", "CapacityUnits": 5.0}


@pytest.mark.claim("S118")
def test_a_page_view_counter_costs_ten_times_less_once_it_is_split_from_its_page() -> None:
    def view_costs(page: Item) -> object:
        count = UpdateItem(
            "T", {"pk": {"S": "a"}}, update="ADD hits :one", values={":one": {"N": "1"}}, capacity="TOTAL"
        )
        return write_response(TABLE, count, page, apply_write(TABLE, count, page))["ConsumedCapacity"]

    whole = item_of(10 * KB - 6) | {"hits": {"N": "1"}}
    assert item_size(whole) == 10 * KB
    assert view_costs(whole) == {"TableName": "T", "CapacityUnits": 10.0}
    assert view_costs({"pk": {"S": "a"}, "hits": {"N": "1"}}) == {"TableName": "T", "CapacityUnits": 1.0}


@pytest.mark.claim("S122")
def test_an_item_of_4_kb_with_five_full_indexes_costs_24_write_units() -> None:
    indexes = tuple(IndexSchema(f"by{n}", KeySchema(KeyAttribute(f"k{n}", "S")), "ALL") for n in range(5))
    schema = TableSchema("T", KEY, indexes)
    item = item_of(4 * KB, **{f"k{n}": "v" for n in range(5)})
    put = PutItem("T", item, capacity="INDEXES")
    body = write_response(schema, put, None, apply_write(schema, put, None))["ConsumedCapacity"]
    assert body == {
        "TableName": "T",
        "CapacityUnits": 24.0,
        "Table": {"CapacityUnits": 4.0},
        "GlobalSecondaryIndexes": {f"by{n}": {"CapacityUnits": 4.0} for n in range(5)},
    }


@pytest.mark.claim("S123")
def test_a_thousand_eventual_reads_of_4_kb_cost_500_units() -> None:
    assert 1000 * capacity.read_units(4 * KB, False) == 500


@pytest.mark.claim("S28", "S29")
def test_an_index_pays_two_writes_for_a_moved_entry_and_none_for_an_unprojected_change() -> None:
    index = IndexSchema("by", KeySchema(KeyAttribute("k", "S")), "KEYS_ONLY")
    schema = TableSchema("T", KEY, (index,))
    red, blue = item_of(3000, k="red"), item_of(3000, k="blue")
    assert index_units(index_changes(schema, red, blue)) == {"by": 2}
    assert index_units(index_changes(schema, red, red | {"other": {"S": "new"}})) == {}


def test_a_failed_condition_costs_the_larger_of_the_item_found_and_the_item_offered() -> None:
    assert capacity.failed_condition_units(item_of(300 * KB), item_of(310 * KB)) == 310
    assert capacity.failed_condition_units(item_of(300 * KB)) == 300
    assert capacity.failed_condition_units(None) == 1


def test_deleting_what_is_not_there_costs_one_unit() -> None:
    delete = DeleteItem("T", {"pk": {"S": "a"}}, capacity="TOTAL")
    effect = apply_write(TABLE, delete, None)
    assert write_response(TABLE, delete, None, effect) == {"ConsumedCapacity": {"TableName": "T", "CapacityUnits": 1.0}}


def test_a_read_of_an_index_is_billed_to_the_index() -> None:
    assert capacity.consumed_read("T", "INDEXES", 5 * KB, False, "by") == {
        "TableName": "T",
        "CapacityUnits": 1.0,
        "Table": {"CapacityUnits": 0.0},
        "GlobalSecondaryIndexes": {"by": {"CapacityUnits": 1.0}},
    }
    assert capacity.consumed_read("T", "NONE", 5 * KB, False, "by") is None

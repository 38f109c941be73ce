"""Query and Scan: what a read covers, what a page holds, where the next one goes on (api.md §6, §8)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from dynalab_model.errors import DynamoError
from dynalab_model.items import WriteEffect
from dynalab_model.keys import hash_bytes, index_key, item_key, replaced_hash
from dynalab_model.operations import GetItem, PutItem, Query, Scan
from dynalab_model.pages import PageBuilder, get_response, plan_read, segment_range, write_response
from dynalab_model.schema import IndexSchema, KeyAttribute, KeySchema, TableSchema
from dynalab_model.values import AttributeValue, Item, item_size

BY_COLOR = IndexSchema("by_color", KeySchema(KeyAttribute("color", "S"), KeyAttribute("sk", "N")), "INCLUDE", ("note",))
BY_NOTE = IndexSchema("by_note", KeySchema(KeyAttribute("note", "S")), "ALL")
SCHEMA = TableSchema("T", KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "N")), (BY_COLOR, BY_NOTE))
SIMPLE = TableSchema("U", KeySchema(KeyAttribute("pk", "S")))
START = "The provided starting key is invalid"


def row(sk: int, pk: str = "a", **attributes: str) -> Item:
    return {"pk": {"S": pk}, "sk": {"N": str(sk)}, **{name: {"S": text} for name, text in attributes.items()}}


def values(**given: str | int) -> Item:
    wire: Item = {}
    for name, value in given.items():
        wire[f":{name}"] = {"N": str(value)} if isinstance(value, int) else {"S": value}
    return wire


def refusal(schema: TableSchema, op: Query | Scan) -> str:
    with pytest.raises(DynamoError) as caught:
        plan_read(schema, op)
    assert caught.value.code == "ValidationException"
    return caught.value.message


def query(condition: str = "pk = :p", /, given: dict[str, Any] | None = None, **members: Any) -> Query:
    return Query("T", condition, values=values(p="a", **(given or {})), **members)


# --- what a read covers -------------------------------------------------------------------------------------------


@pytest.mark.claim("S19")
@pytest.mark.parametrize(
    ("condition", "given", "covered"),
    [
        ("pk = :p", {}, [-2, -1, 0, 1, 2, 10]),
        ("pk = :p AND sk = :v", {"v": 1}, [1]),
        ("pk = :p AND sk < :v", {"v": 1}, [-2, -1, 0]),
        ("pk = :p AND sk <= :v", {"v": 1}, [-2, -1, 0, 1]),
        ("pk = :p AND sk > :v", {"v": 1}, [2, 10]),
        ("pk = :p AND :v <= sk", {"v": 1}, [1, 2, 10]),
        ("pk = :p AND sk BETWEEN :v AND :w", {"v": -1, "w": 2}, [-1, 0, 1, 2]),
    ],
)
def test_a_query_covers_one_range_of_keys_of_one_item_collection(
    condition: str, given: dict[str, int], covered: list[int]
) -> None:
    plan = plan_read(SCHEMA, query(condition, given))
    numbers = [-2, -1, 0, 1, 2, 10]
    keys = {number: item_key(SCHEMA.key, row(number)) for number in numbers}
    assert sorted(numbers, key=keys.__getitem__) == numbers, "keys sort like the numbers"
    assert [number for number in numbers if plan.covers(keys[number])] == covered
    assert not any(plan.covers(item_key(SCHEMA.key, row(number, pk="b"))) for number in numbers)


def test_a_query_of_an_index_covers_the_index_keys() -> None:
    plan = plan_read(SCHEMA, query("color = :p AND sk > :v", {"v": 1}, index="by_color"))
    assert plan.index == "by_color"
    for number, color, covered in ((1, "a", False), (2, "a", True), (2, "b", False)):
        key = index_key(BY_COLOR.key, SCHEMA.key, row(number, pk="x", color=color))
        assert key is not None and plan.covers(key) == covered


def test_segments_of_a_scan_cover_the_hash_space_without_gap_or_overlap() -> None:
    for total in (1, 2, 3, 7, 100):
        ranges = [segment_range(segment, total) for segment in range(total)]
        assert ranges[0][0] == bytes(8) and ranges[-1][1] == b""
        assert all(one[1] == other[0] for one, other in pairwise(ranges))
        plans = [plan_read(SCHEMA, Scan("T", segment=segment, total_segments=total)) for segment in range(total)]
        for number in range(50):
            key = item_key(SCHEMA.key, row(1, pk=str(number)))
            assert sum(plan.covers(key) for plan in plans) == 1


def test_the_last_segment_holds_a_key_whose_hash_and_bytes_are_all_ones() -> None:
    def ones(_value: AttributeValue) -> bytes:
        return b"\xff" * 8

    with replaced_hash(ones):
        assert hash_bytes({"S": "a"}) == b"\xff" * 8
        key = item_key(SCHEMA.key, row(1))
        assert plan_read(SCHEMA, Scan("T")).covers(key)
        assert plan_read(SCHEMA, Scan("T", segment=4, total_segments=5)).covers(key)
        assert not plan_read(SCHEMA, Scan("T", segment=3, total_segments=5)).covers(key)


@pytest.mark.parametrize("forward", [True, False])
def test_a_read_goes_on_behind_its_start_key_in_its_own_direction(forward: bool) -> None:
    plan = plan_read(SCHEMA, query(start_key=row(2), forward=forward))
    after = [number for number in range(5) if plan.covers(item_key(SCHEMA.key, row(number)))]
    assert after == ([3, 4] if forward else [0, 1])


# --- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "op", "text"),
    [
        (SCHEMA, query(index="nope"), "The table does not have the specified index: nope"),
        (
            SCHEMA,
            query("color = :p", index="by_color", consistent=True),
            "Consistent reads are not supported on global secondary indexes",
        ),
        (
            SCHEMA,
            Scan("T", index="by_color", consistent=True),
            "Consistent reads are not supported on global secondary indexes",
        ),
        (SCHEMA, query("sk = :p"), "Query condition missed key schema element: pk"),
        (SCHEMA, query("pk > :p"), "Query key condition not supported"),
        (SCHEMA, query("pk = :p AND x = :v", {"v": 1}), "Query condition missed key schema element: sk"),
        (
            SCHEMA,
            query("pk = :p AND sk = :v", {"v": "text"}),
            "One or more parameter values were invalid: Condition parameter type does not match schema type",
        ),
        (
            SCHEMA,
            query(filter="sk > :v", given={"v": 1}),
            "Filter Expression can only contain non-primary key attributes: Primary key attribute: sk",
        ),
        (
            SCHEMA,
            query("color = :p", index="by_color", filter="#c = :p", names={"#c": "color"}),
            "Filter Expression can only contain non-primary key attributes: Primary key attribute: color",
        ),
        (
            SCHEMA,
            query("color = :p", index="by_color", select="ALL_ATTRIBUTES"),
            "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global "
            "secondary index by_color because its projection type is not ALL",
        ),
        (
            SCHEMA,
            query("color = :p", index="by_color", projection="pk, extra.part, note"),
            "One or more parameter values were invalid: Global secondary index by_color does not project [extra]",
        ),
    ],
)
def test_a_read_that_does_not_fit_its_table_is_refused_in_the_services_words(
    schema: TableSchema, op: Query | Scan, text: str
) -> None:
    assert refusal(schema, op) == text


def test_what_one_index_refuses_another_allows() -> None:
    assert plan_read(SCHEMA, query("note = :p", index="by_note", select="ALL_ATTRIBUTES")).index == "by_note"
    assert plan_read(SCHEMA, query("note = :p", index="by_note", projection="extra")).index == "by_note"
    assert plan_read(SCHEMA, query("note = :p", index="by_note", filter="sk > :v", given={"v": 1})).index == "by_note"
    assert plan_read(SCHEMA, Scan("T", filter="sk > :v", values=values(v=1))).index is None


@pytest.mark.parametrize(
    ("schema", "op", "text"),
    [
        (SCHEMA, query(start_key={"pk": {"S": "a"}}), START),
        (SCHEMA, query(start_key=row(1, extra="x")), START),
        (SCHEMA, query("color = :p", index="by_color", start_key=row(1)), START),
        (
            SCHEMA,
            query(start_key={"pk": {"S": "a"}, "sk": {"S": "1"}}),
            START + ": The provided key element does not match the schema",
        ),
        (
            SCHEMA,
            query(start_key=row(1, pk="b")),
            "The provided starting key is outside query boundaries based on provided conditions",
        ),
        (
            SCHEMA,
            query("pk = :p AND sk > :v", {"v": 5}, start_key=row(5)),
            "The provided starting key does not match the range key predicate",
        ),
        (
            SCHEMA,
            query("pk = :p AND sk = :v", {"v": 5}, start_key=row(5)),
            "The query can return at most one row and cannot be restarted",
        ),
        (
            SIMPLE,
            query(start_key={"pk": {"S": "a"}}),
            "The query can return at most one row and cannot be restarted",
        ),
        (
            SCHEMA,
            Scan("T", start_key={"pk": {"S": "a"}}),
            START + ": The provided key element does not match the schema",
        ),
        (
            SCHEMA,
            Scan("T", start_key={"pk": {"S": ""}, "sk": {"N": "1"}}),
            START + ": One or more parameter values are not valid. The AttributeValue for a key attribute cannot "
            "contain an empty string value. Key: pk",
        ),
        (
            SCHEMA,
            # "a" hashes to e5…, which lies in the last quarter.
            Scan("T", start_key=row(1), segment=0, total_segments=4),
            START + ": Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct Segment. "
            "TotalSegments: 4 Segment: 0",
        ),
    ],
)
def test_a_start_key_that_cannot_be_right_is_refused_in_the_services_words(
    schema: TableSchema, op: Query | Scan, text: str
) -> None:
    assert refusal(schema, op) == text


# --- pages --------------------------------------------------------------------------------------------------------


def page_of(schema: TableSchema, op: Query | Scan, rows: list[Item]) -> tuple[dict[str, Any], int]:
    """The response, and how many rows were taken."""
    page = PageBuilder(schema, op)
    taken = 0
    for item in rows:
        taken += 1
        if not page.add(item):
            break
    return page.result(), taken


def test_limit_counts_evaluated_items_and_the_filter_comes_after() -> None:
    op = query(filter="note = :n", given={"n": "yes"}, limit=3)
    rows = [row(number, note="yes" if number % 2 else "no") for number in range(6)]
    response, taken = page_of(SCHEMA, op, rows)
    assert taken == 3
    assert response == {"Items": [rows[1]], "Count": 1, "ScannedCount": 3, "LastEvaluatedKey": row(2)}


def test_a_page_that_its_limit_ended_has_a_last_key_even_at_the_end_and_the_next_page_is_empty() -> None:
    rows = [row(1), row(2)]
    response, _ = page_of(SCHEMA, query(limit=2), rows)
    assert response["LastEvaluatedKey"] == row(2)
    assert page_of(SCHEMA, query(limit=2), [])[0] == {"Items": [], "Count": 0, "ScannedCount": 0}
    assert "LastEvaluatedKey" not in page_of(SCHEMA, query(limit=3), rows)[0]


def test_a_page_ends_with_the_item_that_brings_it_to_one_megabyte_whatever_the_filter_keeps() -> None:
    rows = [row(number, body="x" * 100_000) for number in range(20)]
    response, taken = page_of(
        SCHEMA, query(filter="attribute_exists(nothing)", consistent=True, capacity="TOTAL"), rows
    )
    assert (taken - 1) * item_size(rows[0]) < 1 << 20 <= taken * item_size(rows[0])
    assert response["Count"] == 0 and response["ScannedCount"] == taken == 11
    assert response["LastEvaluatedKey"] == row(10)
    # 11 items of 100,012 bytes: the whole page is rounded once.
    assert response["ConsumedCapacity"]["CapacityUnits"] == -(-sum(map(item_size, rows[:11])) // 4096) == 269


def test_count_gives_no_items_and_a_projection_keeps_what_it_names() -> None:
    rows = [row(1, note="n"), row(2)]
    assert page_of(SCHEMA, query(select="COUNT"), rows)[0] == {"Count": 2, "ScannedCount": 2}
    response, _ = page_of(SCHEMA, query(projection="note"), rows)
    assert response["Items"] == [{"note": {"S": "n"}}, {}]


def test_the_last_key_of_an_index_page_holds_the_keys_of_the_index_and_of_the_table() -> None:
    entry = row(7, pk="x", color="a", note="n")
    response, _ = page_of(SCHEMA, query("color = :p", index="by_color", limit=1), [entry])
    assert response["LastEvaluatedKey"] == row(7, pk="x", color="a")
    again = plan_read(SCHEMA, query("color = :p", index="by_color", start_key=response["LastEvaluatedKey"]))
    assert again.start_after == index_key(BY_COLOR.key, SCHEMA.key, entry)


def test_a_full_page_takes_nothing_more() -> None:
    page = PageBuilder(SCHEMA, query(limit=1))
    assert page.room == (1, 1 << 20)
    assert not page.add(row(1))
    assert page.room == (0, (1 << 20) - item_size(row(1)))
    with pytest.raises(AssertionError, match="a full page takes no more"):
        page.add(row(2))


# --- single items -------------------------------------------------------------------------------------------------


def test_a_get_without_item_has_no_member_and_a_projection_of_nothing_gives_an_empty_item() -> None:
    key: Item = {"pk": {"S": "a"}}
    assert get_response(GetItem("T", key), None) == {}
    assert get_response(GetItem("T", key), row(1)) == {"Item": row(1)}
    assert get_response(GetItem("T", key, projection="extra"), row(1)) == {"Item": {}}


def test_a_write_answers_attributes_only_when_there_are_some() -> None:
    put = PutItem("T", row(1), return_values="ALL_OLD")
    assert write_response(SCHEMA, put, None, WriteEffect(row(1), None)) == {}
    assert write_response(SCHEMA, put, row(1, note="o"), WriteEffect(row(1), row(1, note="o"))) == {
        "Attributes": row(1, note="o")
    }

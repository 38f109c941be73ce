"""What operations cost, and how large things are: the rows on capacity and size."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from dynalab_model.values import validate_item

NUMBER = count()
KB = 1024


def sized(total_bytes: int, **attributes: Any) -> dict[str, Any]:
    """An item of the table Hash of just so many bytes, with a key of its own."""
    name = f"capacity {next(NUMBER)}"
    rest = total_bytes - len("pk") - len(name) - len("fill")
    for attribute, value in attributes.items():
        rest -= len(attribute) + len(value["S"])
    return {"pk": {"S": name}, "fill": {"S": "x" * rest}, **attributes}


def stored(service: Any, total_bytes: int) -> dict[str, Any]:
    """The key of a stored item of so many bytes."""
    item = sized(total_bytes)
    service("PutItem", TableName="Hash", Item=item)
    return {"pk": item["pk"]}


def units(service: Any, operation: str, **body: Any) -> Any:
    consumed = service(operation, ReturnConsumedCapacity="TOTAL", **body)["ConsumedCapacity"]
    return consumed["CapacityUnits"] if isinstance(consumed, dict) else consumed


@pytest.mark.row("capacity:get")
@pytest.mark.parametrize(
    ("size_bytes", "strong", "eventual"),
    [(1, 1.0, 0.5), (4 * KB, 1.0, 0.5), (4 * KB + 1, 2.0, 1.0), (7 * KB, 2.0, 1.0), (100 * KB, 25.0, 12.5)],
)
def test_a_get_costs_by_4_kb_and_half_when_eventual(
    service: Any, size_bytes: int, strong: float, eventual: float
) -> None:
    key = stored(service, max(size_bytes, 40))
    assert units(service, "GetItem", TableName="Hash", Key=key, ConsistentRead=True) == strong
    assert units(service, "GetItem", TableName="Hash", Key=key) == eventual


@pytest.mark.row("capacity:get-absent")
def test_a_get_of_nothing_costs_the_minimum(service: Any) -> None:
    key = {"pk": {"S": "nobody"}}
    assert units(service, "GetItem", TableName="Hash", Key=key, ConsistentRead=True) == 1.0
    assert units(service, "GetItem", TableName="Hash", Key=key) == 0.5


@pytest.mark.row("capacity:batch-get")
def test_a_batch_rounds_each_item_up_and_charges_for_absent_ones(service: Any) -> None:
    keys = [stored(service, 100), stored(service, 5 * KB), {"pk": {"S": "nobody"}}]
    batch = {"Hash": {"Keys": keys, "ConsistentRead": True}}
    assert units(service, "BatchGetItem", RequestItems=batch) == [{"TableName": "Hash", "CapacityUnits": 4.0}]
    batch["Hash"]["ConsistentRead"] = False
    assert units(service, "BatchGetItem", RequestItems=batch) == [{"TableName": "Hash", "CapacityUnits": 2.0}]


@pytest.mark.row("capacity:query")
def test_a_query_sums_its_items_and_then_rounds_up(service: Any) -> None:
    """Sixteen items of 500 bytes are 8,000 bytes: two units strong, where sixteen gets would cost sixteen."""
    for number in range(16):
        key = {"pk": {"S": "many small"}, "sk": {"S": f"{number:02}"}}
        fill = 500 - len("pkmany smallsk") - 2 - len("fill")
        service("PutItem", TableName="Range", Item=key | {"fill": {"S": "x" * fill}})
    query = {
        "TableName": "Range",
        "KeyConditionExpression": "pk = :p",
        "ExpressionAttributeValues": {":p": {"S": "many small"}},
    }
    assert units(service, "Query", **query, ConsistentRead=True) == 2.0
    assert units(service, "Query", **query) == 1.0
    assert units(service, "Query", **query, ConsistentRead=True, Select="COUNT") == 2.0
    query["ExpressionAttributeValues"] = {":p": {"S": "nobody"}}
    assert units(service, "Query", **query, ConsistentRead=True) == 1.0
    assert units(service, "Query", **query) == 0.5


@pytest.mark.row("capacity:index-query")
def test_a_query_of_an_index_costs_what_its_entries_weigh(service: Any) -> None:
    for sort in "ab":
        key = {"pk": {"S": "heavy"}, "sk": {"S": sort}}
        service("PutItem", TableName="Range", Item=key | {"g": {"S": "heavy"}, "fill": {"S": "x" * 9_000}})
    query = {
        "TableName": "Range",
        "IndexName": "bare",
        "KeyConditionExpression": "g = :g",
        "ExpressionAttributeValues": {":g": {"S": "heavy"}},
    }
    assert units(service, "Query", **query) == 0.5


@pytest.mark.row("capacity:put")
def test_a_put_costs_the_larger_of_old_and_new_by_1_kb(service: Any) -> None:
    item = sized(10 * KB)
    assert units(service, "PutItem", TableName="Hash", Item=item) == 10.0
    small = {"pk": item["pk"]}
    assert units(service, "PutItem", TableName="Hash", Item=small) == 10.0
    assert units(service, "PutItem", TableName="Hash", Item=small) == 1.0
    assert units(service, "PutItem", TableName="Hash", Item=sized(7 * KB + KB // 2)) == 8.0
    assert units(service, "PutItem", TableName="Hash", Item=sized(KB)) == 1.0
    assert units(service, "PutItem", TableName="Hash", Item=sized(KB + 1)) == 2.0


@pytest.mark.row("capacity:update")
def test_an_update_costs_the_whole_item(service: Any) -> None:
    key = stored(service, KB + KB // 2)
    update = {"UpdateExpression": "SET flag = :v", "ExpressionAttributeValues": {":v": {"S": "x" * 100}}}
    assert units(service, "UpdateItem", TableName="Hash", Key=key, **update) == 2.0
    assert units(service, "UpdateItem", TableName="Hash", Key=key, UpdateExpression="REMOVE fill") == 2.0
    assert units(service, "UpdateItem", TableName="Hash", Key=key, UpdateExpression="REMOVE flag") == 1.0


@pytest.mark.row("capacity:delete")
def test_a_delete_costs_the_item_that_was_there(service: Any) -> None:
    key = stored(service, 3 * KB)
    assert units(service, "DeleteItem", TableName="Hash", Key=key) == 3.0
    assert units(service, "DeleteItem", TableName="Hash", Key=key) == 1.0


@pytest.mark.row("capacity:batch-write")
def test_a_batch_of_writes_costs_their_sum(service: Any) -> None:
    key = stored(service, 2 * KB)
    writes = [{"PutRequest": {"Item": sized(3 * KB)}}, {"DeleteRequest": {"Key": key}}]
    batch = {"Hash": writes}
    assert units(service, "BatchWriteItem", RequestItems=batch) == [{"TableName": "Hash", "CapacityUnits": 5.0}]


@pytest.mark.row("capacity:modes")
def test_capacity_is_told_not_at_all_in_total_or_by_index(service: Any) -> None:
    item = {"pk": {"S": "modes"}, "sk": {"S": "a"}, "g": {"S": "modes"}, "h": {"N": "1"}}
    assert service("PutItem", TableName="Range", Item=item) == {}
    service("DeleteItem", TableName="Range", Key={"pk": item["pk"], "sk": item["sk"]})
    put = {"TableName": "Range", "Item": item}
    assert service("PutItem", **put, ReturnConsumedCapacity="INDEXES")["ConsumedCapacity"] == {
        "TableName": "Range",
        "CapacityUnits": 3.0,
        "Table": {"CapacityUnits": 1.0},
        "GlobalSecondaryIndexes": {"by_g": {"CapacityUnits": 1.0}, "bare": {"CapacityUnits": 1.0}},
    }
    assert service("PutItem", **put, ReturnConsumedCapacity="TOTAL")["ConsumedCapacity"] == {
        "TableName": "Range",
        "CapacityUnits": 1.0,
    }


def by_index(service: Any, name: str, before: dict[str, Any], update: str, **values: Any) -> dict[str, float]:
    """What each index pays for an update of an item that was so before."""
    key = {"pk": {"S": name}, "sk": {"S": str(next(NUMBER))}}
    service("PutItem", TableName="Range", Item=key | before)
    body: dict[str, Any] = {"TableName": "Range", "Key": key, "UpdateExpression": update}
    if values:
        body["ExpressionAttributeValues"] = {f":{name}": value for name, value in values.items()}
    consumed = service("UpdateItem", **body, ReturnConsumedCapacity="INDEXES")["ConsumedCapacity"]
    assert consumed["Table"] == {"CapacityUnits": 1.0}
    indexes = consumed.get("GlobalSecondaryIndexes", {})
    return {index: arm["CapacityUnits"] for index, arm in indexes.items()}


ONE, TWO = {"N": "1"}, {"N": "2"}
A, B = {"S": "a"}, {"S": "b"}


@pytest.mark.parametrize(
    ("before", "update", "values", "paid"),
    [
        pytest.param({}, "SET g = :g", {"g": A}, {"bare": 1.0}, marks=pytest.mark.row("capacity:index-first")),
        pytest.param({"g": A}, "SET g = :g", {"g": B}, {"bare": 2.0}, marks=pytest.mark.row("capacity:index-moved")),
        pytest.param(
            {"g": A, "h": ONE}, "SET h = :h", {"h": TWO}, {"by_g": 2.0}, marks=pytest.mark.row("capacity:index-moved")
        ),
        pytest.param({"g": A}, "REMOVE g", {}, {"bare": 1.0}, marks=pytest.mark.row("capacity:index-removed")),
        pytest.param({"x": ONE}, "SET x = :x", {"x": TWO}, {}, marks=pytest.mark.row("capacity:index-never")),
        pytest.param(
            {"g": A, "h": ONE, "x": ONE},
            "SET x = :x",
            {"x": TWO},
            {"by_g": 1.0},
            marks=pytest.mark.row("capacity:index-projected"),
        ),
        pytest.param(
            {"g": A, "x": ONE}, "SET x = :x", {"x": TWO}, {}, marks=pytest.mark.row("capacity:index-untouched")
        ),
        pytest.param(
            {"g": A, "h": ONE, "x": {"SS": ["p", "q"]}},
            "SET x = :x",
            {"x": {"SS": ["q", "p"]}},
            {},
            marks=pytest.mark.row("capacity:index-untouched"),
        ),
    ],
)
def test_an_index_pays_for_what_changes_in_it(
    service: Any, before: dict[str, Any], update: str, values: dict[str, Any], paid: dict[str, float]
) -> None:
    assert by_index(service, "index writes", before, update, **values) == paid


# --- sizes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "size_bytes"),
    [
        pytest.param({"S": "abc"}, 3, marks=pytest.mark.row("bytes:texts")),
        pytest.param({"S": "\u00e9\U0001f600"}, 6, marks=pytest.mark.row("bytes:texts")),
        pytest.param({"B": "AAEC"}, 3, marks=pytest.mark.row("bytes:texts")),
        pytest.param({"BOOL": True}, 1, marks=pytest.mark.row("bytes:texts")),
        pytest.param({"NULL": True}, 1, marks=pytest.mark.row("bytes:texts")),
        pytest.param({"N": "0"}, 1, marks=pytest.mark.row("bytes:numbers")),
        pytest.param({"N": "1"}, 2, marks=pytest.mark.row("bytes:numbers")),
        pytest.param({"N": "10"}, 2, marks=pytest.mark.row("bytes:numbers")),
        pytest.param({"N": "100"}, 2, marks=pytest.mark.row("bytes:numbers")),
        pytest.param({"N": "123"}, 3, marks=pytest.mark.row("bytes:numbers")),
        pytest.param({"N": "-1"}, 3, marks=pytest.mark.row("bytes:numbers")),
        pytest.param({"N": "1.5"}, 3, marks=pytest.mark.row("bytes:numbers")),
        pytest.param({"L": []}, 3, marks=pytest.mark.row("bytes:documents")),
        pytest.param({"L": [{"S": "abc"}, {"BOOL": True}]}, 9, marks=pytest.mark.row("bytes:documents")),
        pytest.param({"M": {"name": {"S": "abc"}}}, 11, marks=pytest.mark.row("bytes:documents")),
        pytest.param({"SS": ["ab", "cde"]}, 5, marks=pytest.mark.row("bytes:sets")),
    ],
)
def test_a_value_weighs(service: Any, value: dict[str, Any], size_bytes: int) -> None:
    """Weighed on the service: with just so many bytes beside it an item costs one unit, and with one more two."""
    assert validate_item({"v": value})["v"] == value
    for more, cost in ((0, 1.0), (1, 2.0)):
        item = sized(KB - len("v") - size_bytes + more)
        assert units(service, "PutItem", TableName="Hash", Item=item | {"v": value}) == cost


@pytest.mark.row("bytes:limit")
def test_an_item_weighs_400_kb_at_most_names_included(service: Any) -> None:
    item = sized(409_600)
    service("PutItem", TableName="Hash", Item=item)
    service("DeleteItem", TableName="Hash", Key={"pk": item["pk"]})
    error = service.refused("PutItem", TableName="Hash", Item=sized(409_601))
    assert error.message == "Item size has exceeded the maximum allowed size"

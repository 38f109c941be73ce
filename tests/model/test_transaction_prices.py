"""What transactions cost: each item twice, each index once, a replay as reads (api.md §5; architecture.md §15)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # pytest imports test files by path, and their neighbours not at all
from transact_machine import ABSENT, PRESENT, Machine, check, delete, get, item, put, update


def units(answer: Any) -> list[tuple[str, float]]:
    return [(one["TableName"], one["CapacityUnits"]) for one in answer["ConsumedCapacity"]]


@pytest.mark.claim("S69")
def test_three_items_of_500_bytes_cost_six_write_units() -> None:
    machine = Machine()
    actions = [
        {"Put": {"TableName": "Players", "Item": {"pk": {"S": str(number)}, "text": {"S": "x" * 493}}}}
        for number in range(3)
    ]
    answer = machine.write(*actions, ReturnConsumedCapacity="TOTAL")
    assert answer == {"ConsumedCapacity": [{"TableName": "Players", "CapacityUnits": 6.0, "WriteCapacityUnits": 6.0}]}
    alone = machine("PutItem", **{**actions[0]["Put"], "ReturnConsumedCapacity": "TOTAL"})
    assert alone["ConsumedCapacity"]["CapacityUnits"] == 1.0


def test_every_action_costs_twice_its_own_price_and_a_check_twice_the_item() -> None:
    machine = Machine()
    text = {"S": "x" * 3000}
    machine.write(*({"Put": {"TableName": "Players", "Item": {**item(pk), "t": text}}} for pk in ("a", "b", "c")))
    actions = [delete("a"), update("b", "SET n = :n", n=1), check("c", PRESENT), check("none", ABSENT), delete("none2")]
    answer = machine.write(*actions, ReturnConsumedCapacity="TOTAL")
    assert units(answer) == [("Players", 2 * (3 + 3 + 3 + 1 + 1))]


@pytest.mark.claim("S122")
def test_indexes_are_paid_once_and_the_table_twice() -> None:
    machine = Machine()
    thing = {**item("a", n=1), "sk": {"S": "b"}, "g": {"S": "c"}, "t": {"S": "x" * 4000}}
    answer = machine.write({"Put": {"TableName": "Things", "Item": thing}}, ReturnConsumedCapacity="INDEXES")
    assert answer["ConsumedCapacity"] == [
        {
            "TableName": "Things",
            "CapacityUnits": 16.0,
            "WriteCapacityUnits": 16.0,
            "Table": {"CapacityUnits": 8.0, "WriteCapacityUnits": 8.0},
            "LocalSecondaryIndexes": {"Local": {"CapacityUnits": 4.0, "WriteCapacityUnits": 4.0}},
            "GlobalSecondaryIndexes": {"Global": {"CapacityUnits": 4.0, "WriteCapacityUnits": 4.0}},
        }
    ]


@pytest.mark.claim("S122")
def test_4_kb_with_five_indexes_cost_24_units_alone_and_28_in_a_transaction() -> None:
    machine = Machine()
    machine.create("Six", {"pk": "S"}, **{f"Global{number}": {f"g{number}": "S"} for number in range(5)})
    row = {**item("a"), **{f"g{number}": {"S": "x"} for number in range(5)}, "t": {"S": "x" * 4000}}
    alone = machine("PutItem", TableName="Six", Item=row, ReturnConsumedCapacity="TOTAL")
    assert alone["ConsumedCapacity"]["CapacityUnits"] == 24.0
    machine("DeleteItem", TableName="Six", Key=item("a"))
    together = machine.write({"Put": {"TableName": "Six", "Item": row}}, ReturnConsumedCapacity="TOTAL")
    assert units(together) == [("Six", 28.0)]


def test_a_read_costs_two_units_for_every_4_kb_and_for_what_is_not_there() -> None:
    machine = Machine()
    machine("PutItem", TableName="Players", Item={**item("a"), "t": {"S": "x" * 5000}})
    answer = machine("TransactGetItems", TransactItems=[get("a"), get("none")], ReturnConsumedCapacity="INDEXES")
    assert answer["ConsumedCapacity"] == [
        {
            "TableName": "Players",
            "CapacityUnits": 6.0,
            "ReadCapacityUnits": 6.0,
            "Table": {"CapacityUnits": 6.0, "ReadCapacityUnits": 6.0},
        }
    ]


def test_capacity_is_told_table_by_table() -> None:
    machine = Machine()
    machine.create("Others", {"pk": "S"})
    answer = machine.write(put("a"), put("b", table="Others"), put("c"), ReturnConsumedCapacity="TOTAL")
    assert units(answer) == [("Players", 4.0), ("Others", 2.0)]


def test_a_replay_is_reported_as_reading_each_item_twice() -> None:
    machine = Machine()
    machine.write(put("gone"))
    actions = [{"Put": {"TableName": "Players", "Item": {**item("a"), "t": {"S": "x" * 5000}}}}, delete("gone")]
    options = {"ClientRequestToken": "t", "ReturnConsumedCapacity": "TOTAL"}
    assert units(machine.write(*actions, **options)) == [("Players", 12.0)]
    assert machine.write(*actions, **options) == {
        "ConsumedCapacity": [{"TableName": "Players", "CapacityUnits": 6.0, "ReadCapacityUnits": 6.0}]
    }


def test_metrics_are_told_of_tables_with_local_indexes_each_collection_once() -> None:
    machine = Machine()
    things = [{"Put": {"TableName": "Things", "Item": {**item("a"), "sk": {"S": sk}}}} for sk in "xy"]
    assert machine.write(put("a"), *things, ReturnItemCollectionMetrics="SIZE") == {
        "ItemCollectionMetrics": {
            "Things": [{"ItemCollectionKey": {"pk": {"S": "a"}}, "SizeEstimateRangeGB": [0.0, 1.0]}]
        }
    }

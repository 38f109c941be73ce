"""Local secondary indexes in the reference machine: made with their table, read with its consistency, paid by it, and
bounded by it. Figures and texts are typed from the facts, never computed by our own code.
"""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_model.collections import COLLECTION_BYTES_MAX
from dynalab_model.database import State, apply
from dynalab_model.errors import DynamoError
from dynalab_model.keys import HASH_BYTES, collection_of, collection_prefix, encode_component, hash_bytes, prefix_end
from dynalab_model.requests import parse
from dynalab_model.values import AttributeValue

INVALID = "One or more parameter values were invalid: "


def index(name: str, sort: str, projection: str = "ALL", *included: str, partition: str = "pk") -> dict[str, Any]:
    keys = [(partition, "HASH"), (sort, "RANGE")] if sort else [(partition, "HASH")]
    described: dict[str, Any] = {"ProjectionType": projection}
    if included:
        described["NonKeyAttributes"] = list(included)
    return {
        "IndexName": name,
        "KeySchema": [{"AttributeName": key, "KeyType": role} for key, role in keys],
        "Projection": described,
    }


def creation(*local: dict[str, Any], keys: str = "pk sk", types: str = "pk:S sk:S n:N", **more: Any) -> dict[str, Any]:
    return {
        "TableName": "Music",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [
            {"AttributeName": key, "KeyType": role} for key, role in zip(keys.split(), ("HASH", "RANGE"), strict=False)
        ],
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": kind} for name, kind in (each.split(":") for each in types.split())
        ],
        "LocalSecondaryIndexes": list(local),
        **more,
    }


BY_N = index("by_n", "n", "KEYS_ONLY")


class Machine:
    def __init__(self, *local: dict[str, Any], collection_bytes_max: int = COLLECTION_BYTES_MAX, **more: Any) -> None:
        self.state = State(collection_bytes_max=collection_bytes_max)
        self("CreateTable", **creation(*(local or (BY_N,)), **more))

    def __call__(self, operation: str, /, **body: Any) -> Any:
        body.setdefault("TableName", "Music")
        if operation.startswith("Batch"):
            del body["TableName"]
        self.state, answer = apply(self.state, parse(operation, body), 1)
        if isinstance(answer, DynamoError):
            raise answer
        return answer

    def put(self, pk: str, sk: str, n: int | None = None, **more: Any) -> Any:
        item = {"pk": {"S": pk}, "sk": {"S": sk}, **({} if n is None else {"n": {"N": str(n)}})}
        asked = {name: more.pop(name) for name in list(more) if name[0].isupper()}
        return self("PutItem", Item=item | more, **asked)

    def query(self, pk: str, **more: Any) -> Any:
        more.setdefault("IndexName", "by_n")
        values = {":p": {"S": pk}} | more.pop("values", {})
        condition = "pk = :p" + more.pop("also", "")
        return self("Query", KeyConditionExpression=condition, ExpressionAttributeValues=values, **more)


def refusal(body: dict[str, Any]) -> str:
    with pytest.raises(DynamoError) as caught:
        parse("CreateTable", body)
    assert caught.value.code == "ValidationException"
    return caught.value.message


# --- making them ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (creation(), "List of LocalSecondaryIndexes is empty"),
        (
            creation(BY_N, keys="pk"),
            "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex",
        ),
        (creation(index("bare", "")), "Index KeySchema does not have a range key for index: bare"),
        (
            creation(index("other", "n", partition="sk")),
            "Index KeySchema does not have the same leading hash key as table KeySchema for index: other. "
            "index hash key: sk, table hash key: pk",
        ),
        (creation(BY_N, BY_N), "Duplicate index name: by_n"),
        (
            creation(BY_N, GlobalSecondaryIndexes=[index("by_n", "n", partition="sk")]),
            "Duplicate index name: by_n",
        ),
        (
            creation(*(index(f"by{n}", "n") for n in range(6))),
            "Number of LocalSecondaryIndexes exceeds per-table limit of 5",
        ),
        (
            creation(index("some", "x")),
            "Some index key attributes are not defined in AttributeDefinitions. Keys: [pk, x], "
            "AttributeDefinitions: [pk, sk, n]",
        ),
        (creation(index("some", "n", "ALL", "v")), "ProjectionType is ALL, but NonKeyAttributes is specified"),
        (
            creation(
                *(index(f"by{n}", "n", "INCLUDE", *(f"a{m}" for m in range(20))) for n in range(5)),
                GlobalSecondaryIndexes=[index("global", "n", "INCLUDE", "b")],
            ),
            "Number of NonKeyAttributes across all indexes exceeds the limit of 100",
        ),
        (
            creation(BY_N, types="pk:S sk:S n:N x:S"),
            "Some AttributeDefinitions are not used. AttributeDefinitions: [pk, sk, n, x], keys used: [pk, sk, n]",
        ),
    ],
)
def test_a_local_index_that_cannot_be_is_refused_in_the_services_words(body: dict[str, Any], text: str) -> None:
    assert refusal(body) == INVALID + text


def test_a_key_that_is_written_wrongly_is_refused_whichever_index_it_is_of() -> None:
    wrong = index("by_n", "n")
    wrong["KeySchema"][1]["KeyType"] = "HASH"
    assert refusal(creation(wrong)) == "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type"
    assert refusal(creation(index("twice", "pk"))) == (
        "Both the Hash Key and the Range Key element in the KeySchema have the same name"
    )


def test_a_table_is_described_with_its_local_indexes_which_have_neither_state_nor_throughput() -> None:
    machine = Machine(index("by_n", "n", "INCLUDE", "v"))
    machine.put("a", "1", 5)
    machine.put("a", "2")
    described = machine("DescribeTable")["Table"]
    assert described["LocalSecondaryIndexes"] == [
        {
            "IndexName": "by_n",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["v"]},
            "IndexSizeBytes": 9,  # pk a, sk 1, n 5 (a number of one digit has two bytes)
            "ItemCount": 1,
            "IndexArn": "arn:aws:dynamodb:us-east-1:000000000000:table/Music/index/by_n",
        }
    ]
    assert {"AttributeName": "n", "AttributeType": "N"} in described["AttributeDefinitions"]
    assert "GlobalSecondaryIndexes" not in described


def test_a_local_index_has_no_throughput_that_could_be_changed() -> None:
    machine = Machine()
    units = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    with pytest.raises(DynamoError) as caught:
        machine(
            "UpdateTable",
            BillingMode="PROVISIONED",
            ProvisionedThroughput=units,
            GlobalSecondaryIndexUpdates=[{"Update": {"IndexName": "by_n", "ProvisionedThroughput": units}}],
        )
    assert caught.value.code == "ResourceNotFoundException"


# --- reading them ---------------------------------------------------------------------------------------------------


def found(page: dict[str, Any]) -> list[str]:
    return [item["sk"]["S"] for item in page["Items"]]


@pytest.mark.claim("S30")
def test_a_query_goes_by_the_indexs_order_ties_by_the_tables_and_items_without_the_key_are_absent() -> None:
    machine = Machine()
    for sk, n in (("d", 2), ("b", 2), ("c", 1), ("a", 10)):
        machine.put("x", sk, n)
    machine.put("x", "no number")
    machine.put("y", "z", 2)
    assert found(machine.query("x", ConsistentRead=True)) == ["c", "b", "d", "a"]
    assert found(machine.query("x", ScanIndexForward=False)) == ["a", "d", "b", "c"]
    assert found(machine.query("x", also=" AND n > :n", values={":n": {"N": "1"}})) == ["b", "d", "a"]
    assert machine.query("x", Limit=1)["Items"] == [{"pk": {"S": "x"}, "n": {"N": "1"}, "sk": {"S": "c"}}]
    assert sorted(found(machine("Scan", IndexName="by_n", ConsistentRead=True))) == ["a", "b", "c", "d", "z"]


def test_pages_of_a_local_index_go_on_exactly_behind_the_last_entry_also_among_equal_keys() -> None:
    machine = Machine()
    for number in range(7):
        machine.put("x", f"s{number}", number // 3)
    for forward in (True, False):
        read: list[str] = []
        start: dict[str, Any] = {}
        for _ in range(7):
            page = machine.query("x", Limit=1, ScanIndexForward=forward, **start)
            read += found(page)
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
            assert set(page["LastEvaluatedKey"]) == {"pk", "sk", "n"}
        assert read == sorted((f"s{number}" for number in range(7)), reverse=not forward)
        assert machine.query("x", Limit=1, ScanIndexForward=forward, **start)["Items"] == []


def test_a_start_key_of_a_local_index_holds_both_keys_and_lies_in_what_is_read() -> None:
    machine = Machine()
    key = {"pk": {"S": "x"}, "sk": {"S": "a"}}
    with pytest.raises(DynamoError, match="The provided starting key is invalid"):
        machine.query("x", ExclusiveStartKey=key)
    with pytest.raises(DynamoError, match="The provided starting key is outside query boundaries"):
        machine.query("y", ExclusiveStartKey=key | {"n": {"N": "1"}})
    assert machine.query("x", ExclusiveStartKey=key | {"n": {"N": "1"}})["Items"] == []


def test_an_update_moves_an_entry_and_a_delete_takes_it_away() -> None:
    machine = Machine()
    machine.put("x", "a", 1)
    machine.put("x", "b", 2)
    key = {"pk": {"S": "x"}, "sk": {"S": "a"}}
    three = {":n": {"N": "3"}}
    machine("UpdateItem", Key=key, UpdateExpression="SET n = :n", ExpressionAttributeValues=three)
    assert found(machine.query("x")) == ["b", "a"]
    machine("UpdateItem", Key=key, UpdateExpression="REMOVE n")
    assert found(machine.query("x")) == ["b"]
    machine("DeleteItem", Key={"pk": {"S": "x"}, "sk": {"S": "b"}})
    assert machine.query("x")["Items"] == []


def test_a_key_of_a_local_index_has_the_type_that_was_declared_and_is_not_empty() -> None:
    machine = Machine(index("by_t", "t"), types="pk:S sk:S t:S")
    with pytest.raises(DynamoError) as caught:
        machine.put("x", "a", t={"N": "1"})
    assert caught.value.message == INVALID + "Type mismatch for Index Key t Expected: S Actual: N IndexName: by_t"
    with pytest.raises(DynamoError, match="IndexName: by_t, IndexKey: t"):
        machine.put("x", "a", t={"S": ""})
    with pytest.raises(DynamoError, match="secondary index key to unsupported type"):
        machine(
            "UpdateItem",
            Key={"pk": {"S": "x"}, "sk": {"S": "a"}},
            UpdateExpression="SET t = :t",
            ExpressionAttributeValues={":t": {"N": "1"}},
        )


def test_a_statement_reads_a_local_index_in_its_order() -> None:
    machine = Machine()
    for sk, n in (("a", 3), ("b", 1), ("c", 2)):
        machine.put("x", sk, n)
    statement = 'SELECT * FROM "Music"."by_n" WHERE pk = \'x\' ORDER BY n DESC'
    _, answer = apply(machine.state, parse("ExecuteStatement", {"Statement": statement}), 1)
    assert not isinstance(answer, DynamoError)
    assert found(answer) == ["a", "c", "b"]


# --- what is not projected ------------------------------------------------------------------------------------------


def test_attributes_that_are_not_projected_are_fetched_where_they_are_asked_for_and_only_there() -> None:
    machine = Machine(index("by_n", "n", "INCLUDE", "v"))
    machine.put("x", "a", 1, v={"S": "near"}, w={"S": "far"})
    entry = {"pk": {"S": "x"}, "sk": {"S": "a"}, "n": {"N": "1"}, "v": {"S": "near"}}
    whole = entry | {"w": {"S": "far"}}
    assert machine.query("x")["Items"] == [entry]
    assert machine.query("x", Select="ALL_PROJECTED_ATTRIBUTES")["Items"] == [entry]
    assert machine.query("x", Select="ALL_ATTRIBUTES")["Items"] == [whole]
    assert machine.query("x", ProjectionExpression="v")["Items"] == [{"v": {"S": "near"}}]
    assert machine.query("x", ProjectionExpression="w, v")["Items"] == [{"w": {"S": "far"}, "v": {"S": "near"}}]
    assert machine("Scan", IndexName="by_n", Select="ALL_ATTRIBUTES")["Items"] == [whole]
    counted = machine.query("x", Select="COUNT")
    assert (counted["Count"], "Items" in counted) == (1, False)


def test_fetching_four_items_of_a_kilobyte_costs_five_strong_units_as_in_the_guide() -> None:
    machine = Machine()
    for number in range(4):
        machine.put("x", f"s{number}", number, pad={"S": "p" * 1000})
    consumed = machine.query(
        "x", Select="ALL_ATTRIBUTES", ConsistentRead=True, ReturnConsumedCapacity="INDEXES"
    )["ConsumedCapacity"]  # fmt: skip
    assert consumed == {
        "TableName": "Music",
        "CapacityUnits": 5.0,
        "Table": {"CapacityUnits": 4.0},
        "LocalSecondaryIndexes": {"by_n": {"CapacityUnits": 1.0}},
    }


def test_three_small_rows_fetched_eventually_cost_two_units_and_without_fetching_a_half() -> None:
    machine = Machine()
    for number in range(3):
        machine.put("x", f"s{number}", number, pad={"S": "p"})
    fetched = machine.query("x", Select="ALL_ATTRIBUTES", ReturnConsumedCapacity="INDEXES")["ConsumedCapacity"]
    assert fetched == {
        "TableName": "Music",
        "CapacityUnits": 2.0,
        "Table": {"CapacityUnits": 1.5},
        "LocalSecondaryIndexes": {"by_n": {"CapacityUnits": 0.5}},
    }
    entries = machine.query("x", ReturnConsumedCapacity="INDEXES")["ConsumedCapacity"]
    assert entries == {
        "TableName": "Music",
        "CapacityUnits": 0.5,
        "Table": {"CapacityUnits": 0.0},
        "LocalSecondaryIndexes": {"by_n": {"CapacityUnits": 0.5}},
    }


def test_a_fetched_item_of_five_kilobytes_costs_two_units_by_itself() -> None:
    machine = Machine()
    for number in range(2):
        machine.put("x", f"s{number}", number, pad={"S": "p" * 5000})
    body = machine.query(
        "x",
        ProjectionExpression="#p",
        ExpressionAttributeNames={"#p": "pad"},
        ConsistentRead=True,
        ReturnConsumedCapacity="TOTAL",
    )
    assert body["ConsumedCapacity"] == {"TableName": "Music", "CapacityUnits": 5.0}


def test_a_page_that_fetches_ends_with_the_item_that_brings_it_to_a_megabyte() -> None:
    machine = Machine()
    for number in range(5):
        machine.put("x", f"s{number}", number, pad={"S": "p" * 300_000})
    page = machine.query("x", Select="ALL_ATTRIBUTES")
    assert found(page) == ["s0", "s1", "s2", "s3"]
    assert page["LastEvaluatedKey"] == {"pk": {"S": "x"}, "sk": {"S": "s3"}, "n": {"N": "3"}}
    rest = machine.query("x", Select="ALL_ATTRIBUTES", ExclusiveStartKey=page["LastEvaluatedKey"])
    assert (found(rest), "LastEvaluatedKey" in rest) == (["s4"], False)
    assert len(machine.query("x")["Items"]) == 5, "the entries alone are small"


# --- what writes cost -----------------------------------------------------------------------------------------------


@pytest.mark.claim("S28", "S29", "S30")
def test_a_write_pays_for_its_entries_from_the_tables_own_capacity() -> None:
    machine = Machine()
    key = {"pk": {"S": "x"}, "sk": {"S": "a"}}

    def units(update: str, **values: Any) -> tuple[float, float]:
        given = {"ExpressionAttributeValues": {f":{name}": value for name, value in values.items()}} if values else {}
        body = machine("UpdateItem", Key=key, UpdateExpression=update, ReturnConsumedCapacity="INDEXES", **given)
        consumed = body["ConsumedCapacity"]
        entries = consumed.get("LocalSecondaryIndexes", {"by_n": {"CapacityUnits": 0.0}})["by_n"]["CapacityUnits"]
        assert consumed["CapacityUnits"] == consumed["Table"]["CapacityUnits"] + entries
        assert "GlobalSecondaryIndexes" not in consumed
        return consumed["Table"]["CapacityUnits"], entries

    assert units("SET v = :v", v={"S": "not in the index"}) == (1.0, 0.0)
    assert units("SET n = :n", n={"N": "1"}) == (1.0, 1.0)  # a put
    assert units("SET n = :n", n={"N": "2"}) == (1.0, 2.0)  # a delete and a put
    assert units("SET n = :n", n={"N": "2"}) == (1.0, 0.0)  # nothing that is projected changed
    assert units("SET v = :v", v={"S": "x" * 3000}) == (3.0, 0.0)
    assert units("REMOVE n") == (3.0, 1.0)  # a delete


# --- how much fits --------------------------------------------------------------------------------------------------


def test_an_item_and_its_entries_together_stay_within_400_kilobytes() -> None:
    machine = Machine(index("by_n", "n"))
    half = 409_600 // 2
    fits = {"S": "p" * (half - 12)}  # pk x, sk a, n 1 and the name pad make 12 bytes: twice that is 400 KB to the byte
    assert machine.put("x", "a", 1, pad=fits) == {}
    with pytest.raises(DynamoError, match="Item size has exceeded the maximum allowed size"):
        machine.put("x", "a", 1, pad={"S": fits["S"] + "p"})
    assert machine.put("x", "b", pad={"S": fits["S"] + "p"}) == {}, "it has no entry"
    with pytest.raises(DynamoError, match="Item size to update has exceeded the maximum allowed size"):
        machine(
            "UpdateItem",
            Key={"pk": {"S": "x"}, "sk": {"S": "b"}},
            UpdateExpression="SET n = :n",
            ExpressionAttributeValues={":n": {"N": "1"}},
        )


def test_a_full_collection_takes_nothing_more_but_can_be_read_changed_and_made_smaller() -> None:
    machine = Machine(collection_bytes_max=60)
    machine.put("x", "a", 1)
    machine.put("x", "b", 2)
    machine.put("x", "c", 3)  # 9 bytes each and 9 for each entry: 54
    with pytest.raises(DynamoError) as caught:
        machine.put("x", "d")  # 6 bytes more fit, 18 do not
        machine.put("x", "e", 5)
    assert (caught.value.code, caught.value.message) == (
        "ItemCollectionSizeLimitExceededException",
        "Collection size exceeded.",
    )
    assert found(machine.query("x")) == ["a", "b", "c"]
    machine.put("y", "e", 5)  # another collection
    machine.put("x", "a", 9)  # no larger than before
    machine("DeleteItem", Key={"pk": {"S": "x"}, "sk": {"S": "b"}})
    machine.put("x", "e", 5)


def test_a_full_collection_refuses_its_own_writes_of_a_batch_and_no_error_says_which() -> None:
    machine = Machine(collection_bytes_max=60)
    for number in range(3):
        machine.put("x", f"{number}", number)

    def batch(*collections: str) -> Any:
        items = [{"pk": {"S": pk}, "sk": {"S": "new"}, "n": {"N": "7"}} for pk in collections]
        return machine("BatchWriteItem", RequestItems={"Music": [{"PutRequest": {"Item": item}} for item in items]})

    with pytest.raises(DynamoError) as caught:
        batch("x")
    assert caught.value.code == "ItemCollectionSizeLimitExceededException"
    with pytest.raises(DynamoError) as caught:
        batch("x", "y")
    assert caught.value.code == "InternalServerError"
    assert found(machine.query("y")) == ["new"], "the other write of the batch was done"


def test_metrics_of_a_collection_are_told_where_they_are_asked_for() -> None:
    machine = Machine()
    small = {"ItemCollectionKey": {"pk": {"S": "x"}}, "SizeEstimateRangeGB": [0.0, 1.0]}
    assert machine.put("x", "a", 1, ReturnItemCollectionMetrics="SIZE") == {"ItemCollectionMetrics": small}
    assert machine.put("x", "a", 1, ReturnItemCollectionMetrics="NONE") == {}
    key = {"pk": {"S": "x"}, "sk": {"S": "a"}}
    for operation in ("UpdateItem", "DeleteItem"):
        assert machine(operation, Key=key, ReturnItemCollectionMetrics="SIZE") == {"ItemCollectionMetrics": small}
    writes = [{"PutRequest": {"Item": key | {"sk": {"S": sk}}}} for sk in ("a", "b")]
    other = {"DeleteRequest": {"Key": {"pk": {"S": "y"}, "sk": {"S": "a"}}}}
    answer = machine(
        "BatchWriteItem", RequestItems={"Music": [*writes, other]}, ReturnItemCollectionMetrics="SIZE"
    )  # fmt: skip
    assert answer == {
        "UnprocessedItems": {},
        "ItemCollectionMetrics": {
            "Music": [small, {"ItemCollectionKey": {"pk": {"S": "y"}}, "SizeEstimateRangeGB": [0.0, 1.0]}]
        },
    }


# --- keys -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [{"S": "a"}, {"S": "a\x00\x01b"}, {"B": "AAEA"}, {"N": "0"}, {"N": "1E-130"}, {"N": "-1E-130"}, {"N": "-123.45"},
     {"N": "9.9999999999999999999999999999999999999E+125"}, {"N": "-9.9999999999999999999999999999999999999E+125"}],
)  # fmt: skip
def test_the_collection_of_a_key_is_found_from_its_bytes(value: Any) -> None:
    prefix = collection_prefix(value)
    sorts: list[AttributeValue] = [{"S": ""}, {"S": "\x00"}, {"N": "-7"}, {"B": "/w=="}]
    for sort in sorts:
        assert collection_of(prefix + encode_component(sort)) == prefix
    assert collection_of(prefix) == prefix
    assert collection_of(prefix_end(prefix)) in (prefix_end(prefix), hash_bytes(value) + b"N\x03")
    assert collection_of(prefix[:HASH_BYTES]) == prefix[:HASH_BYTES]

"""What operations do beside answering: the rows on pages, batches and defaults."""

from __future__ import annotations

from typing import Any

import pytest

ONE = {"N": "1"}


def collection(service: Any, name: str, letters: str, **attributes: Any) -> dict[str, Any]:
    """Items of one partition key, and the Query that reads them strongly."""
    for letter in letters:
        service.put("Range", pk={"S": name}, sk={"S": letter}, **attributes)
    return {
        "TableName": "Range",
        "KeyConditionExpression": "pk = :p",
        "ExpressionAttributeValues": {":p": {"S": name}},
        "ConsistentRead": True,
    }


@pytest.mark.row("behaviour:last-key-at-the-end")
def test_a_page_that_its_limit_ended_has_a_last_key_even_at_the_end(service: Any) -> None:
    query = collection(service, "limits", "ab")
    page = service("Query", **query, Limit=2)
    assert page["LastEvaluatedKey"] == {"pk": {"S": "limits"}, "sk": {"S": "b"}}
    page = service("Query", **query, Limit=2, ExclusiveStartKey=page["LastEvaluatedKey"])
    assert page == {"Items": [], "Count": 0, "ScannedCount": 0}


@pytest.mark.row("behaviour:limit-before-filter")
def test_a_limit_counts_what_is_evaluated(service: Any) -> None:
    query = collection(service, "evaluated", "abc")
    query["ExpressionAttributeValues"][":v"] = ONE
    page = service("Query", **query, Limit=2, FilterExpression="v = :v")
    assert (page["Items"], page["Count"], page["ScannedCount"]) == ([], 0, 2)
    assert page["LastEvaluatedKey"] == {"pk": {"S": "evaluated"}, "sk": {"S": "b"}}


@pytest.mark.row("behaviour:index-last-key")
def test_a_page_of_an_index_ends_with_the_keys_of_index_and_table(service: Any) -> None:
    collection(service, "paged", "ab", g={"S": "paged"}, h={"N": "7"})
    query = {
        "TableName": "Range",
        "IndexName": "by_g",
        "KeyConditionExpression": "g = :g",
        "ExpressionAttributeValues": {":g": {"S": "paged"}},
    }
    page = service("Query", **query, Limit=1)
    assert page["LastEvaluatedKey"] == {
        "g": {"S": "paged"},
        "h": {"N": "7"},
        "pk": {"S": "paged"},
        "sk": page["Items"][0]["sk"],
    }
    rest = service("Query", **query, ExclusiveStartKey=page["LastEvaluatedKey"])
    assert sorted(item["sk"]["S"] for item in page["Items"] + rest["Items"]) == ["a", "b"]


@pytest.mark.row("behaviour:start-key-need-not-exist")
def test_a_start_key_need_not_be_an_items_key(service: Any) -> None:
    query = collection(service, "between", "ac")
    page = service("Query", **query, ExclusiveStartKey={"pk": {"S": "between"}, "sk": {"S": "b"}})
    assert [item["sk"]["S"] for item in page["Items"]] == ["c"]


@pytest.mark.row("behaviour:page-of-1-mb")
def test_a_page_holds_a_megabyte(service: Any) -> None:
    query = collection(service, "megabyte", "abcde", fill={"S": "x" * 300_000})
    first = service("Query", **query)
    assert first["Count"] < 5
    rest = service("Query", **query, ExclusiveStartKey=first["LastEvaluatedKey"])
    assert "".join(item["sk"]["S"] for item in first["Items"] + rest["Items"]) == "abcde"
    assert "LastEvaluatedKey" not in rest
    for letter in "abcde":
        service("DeleteItem", TableName="Range", Key={"pk": {"S": "megabyte"}, "sk": {"S": letter}})


@pytest.mark.row("behaviour:count-without-items")
def test_a_count_has_no_items(service: Any) -> None:
    query = collection(service, "counted", "abc")
    assert service("Query", **query, Select="COUNT") == {"Count": 3, "ScannedCount": 3}


@pytest.mark.row("behaviour:index-projects")
def test_an_index_answers_what_it_projects(service: Any) -> None:
    collection(service, "projected", "a", g={"S": "projected"}, h=ONE, x=ONE)
    query = {
        "TableName": "Range",
        "KeyConditionExpression": "g = :g",
        "ExpressionAttributeValues": {":g": {"S": "projected"}},
    }
    keys = {"pk": {"S": "projected"}, "sk": {"S": "a"}, "g": {"S": "projected"}}
    assert service("Query", IndexName="bare", **query)["Items"] == [keys]
    assert service("Query", IndexName="by_g", **query)["Items"] == [keys | {"h": ONE, "x": ONE}]


@pytest.mark.row("behaviour:no-ghost")
def test_a_write_that_its_condition_refused_leaves_nothing(service: Any) -> None:
    key = {"pk": {"S": "ghost"}}
    body = {
        "TableName": "Hash",
        "Key": key,
        "UpdateExpression": "REMOVE a",
        "ConditionExpression": "attribute_exists(pk)",
    }
    assert service.refused("UpdateItem", **body).code == "ConditionalCheckFailedException"
    assert service.get("Hash", **key) is None


@pytest.mark.row("behaviour:batch-refused-whole")
@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"Nowhere": [{"PutRequest": {"Item": {"pk": {"S": "a"}}}}]}, "ResourceNotFoundException"),
        ({"Range": [{"PutRequest": {"Item": {"pk": {"S": "a"}}}}]}, "ValidationException"),
        ({"Range": [{"DeleteRequest": {"Key": {"pk": {"N": "1"}}}}]}, "ValidationException"),
    ],
)
def test_a_batch_with_one_mistake_is_refused_as_a_whole(service: Any, other: dict[str, Any], code: str) -> None:
    good = {"Hash": [{"PutRequest": {"Item": {"pk": {"S": "whole batch"}}}}]}
    assert service.refused("BatchWriteItem", RequestItems=good | other).code == code
    assert service.get("Hash", pk={"S": "whole batch"}) is None


@pytest.mark.row("behaviour:arn-as-name")
def test_a_table_may_be_named_by_its_arn(service: Any) -> None:
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/Hash"
    service("PutItem", TableName=arn, Item={"pk": {"S": "by arn"}})
    assert service.get("Hash", pk={"S": "by arn"}) == {"pk": {"S": "by arn"}}


@pytest.mark.row("behaviour:metrics-without-local-index")
def test_a_table_without_local_indexes_has_no_collection_metrics(service: Any) -> None:
    put = {"TableName": "Hash", "Item": {"pk": {"S": "metrics"}}, "ReturnItemCollectionMetrics": "SIZE"}
    assert service("PutItem", **put) == {}


@pytest.mark.row("behaviour:empty-values")
def test_empty_texts_and_binaries_are_values_of_other_attributes(service: Any) -> None:
    item = {"pk": {"S": "empty"}, "s": {"S": ""}, "b": {"B": ""}, "l": {"L": [{"S": ""}]}, "m": {"M": {}}}
    service("PutItem", TableName="Hash", Item=item)
    assert service.get("Hash", pk={"S": "empty"}) == item


@pytest.mark.row("behaviour:sparse")
def test_an_item_without_an_index_key_is_not_in_the_index(service: Any) -> None:
    collection(service, "sparse", "a", g={"S": "sparse"})
    query = {
        "TableName": "Range",
        "KeyConditionExpression": "g = :g",
        "ExpressionAttributeValues": {":g": {"S": "sparse"}},
    }
    assert service("Query", IndexName="by_g", **query)["Count"] == 0
    assert service("Query", IndexName="bare", **query)["Count"] == 1

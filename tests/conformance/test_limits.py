"""Limits of names, keys, numbers, batches, scans and tags, from both sides."""

# ruff: noqa: E501 (a text is easier to compare with a captured one when it is not cut)

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

NUMBER = count()


def table(name: str, **members: object) -> dict[str, Any]:
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "a", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "a", "AttributeType": "S"}],
        **members,
    }


def index(name: str, *included: str) -> dict[str, Any]:
    projection: dict[str, Any] = {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(included)}
    return {
        "IndexName": name,
        "KeySchema": [{"AttributeName": "a", "KeyType": "HASH"}],
        "Projection": projection if included else {"ProjectionType": "ALL"},
    }


def made(service: Any, body: dict[str, Any]) -> None:
    """Create and forget."""
    service("CreateTable", **body)
    service.pair.wait_active(body["TableName"])
    service("DeleteTable", TableName=body["TableName"])
    service.pair.wait_active(body["TableName"])


@pytest.mark.row("limit:names")
@pytest.mark.parametrize("length", [3, 255])
def test_names_of_tables_and_indexes_have_3_to_255_characters(service: Any, length: int) -> None:
    made(service, table("n" * length, GlobalSecondaryIndexes=[index("i" * length)]))
    wrong = 2 if length == 3 else 256
    bound = "greater than or equal to 3" if length == 3 else "less than or equal to 255"
    error = service.refused("CreateTable", **table("n" * wrong))
    assert (
        error.message
        == f"1 validation error detected: Value '{'n' * wrong}' at 'tableName' failed to satisfy constraint: Member must have length {bound}"
    )
    error = service.refused("CreateTable", **table("Named", GlobalSecondaryIndexes=[index("i" * wrong)]))
    assert (
        error.message
        == f"1 validation error detected: Value '{'i' * wrong}' at 'globalSecondaryIndexes.1.member.indexName' failed to satisfy constraint: Member must have length {bound}"
    )


@pytest.mark.row("limit:key-name")
def test_a_key_attributes_name_has_255_characters_at_most(service: Any) -> None:
    def named(length: int) -> dict[str, Any]:
        name = "k" * length
        return table(
            "Keyed",
            KeySchema=[{"AttributeName": name, "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"}],
        )

    made(service, named(255))
    error = service.refused("CreateTable", **named(256))
    assert error.message.startswith("2 validation errors detected: ")
    assert (
        "'keySchema.1.member.attributeName' failed to satisfy constraint: Member must have length less than or equal to 255"
        in error.message
    )


@pytest.mark.row("limit:key-types")
def test_keys_are_strings_numbers_or_binaries(service: Any) -> None:
    body = table("Typed", AttributeDefinitions=[{"AttributeName": "a", "AttributeType": "BOOL"}])
    assert service.refused("CreateTable", **body).message.endswith("Member must satisfy enum value set: [B, N, S]")


@pytest.mark.row("limit:key-bytes")
def test_keys_of_2048_and_1024_bytes_are_taken(service: Any) -> None:
    key = {"pk": {"S": "p" * 2048}, "sk": {"S": "s" * 1024}}
    service("PutItem", TableName="Range", Item=key)
    assert service.get("Range", **key) == key
    for longer in ({"pk": {"S": "p" * 2049}}, {"sk": {"S": "s" * 1025}}):
        assert service.refused("PutItem", TableName="Range", Item=key | longer).code == "ValidationException"
    service("DeleteItem", TableName="Range", Key=key)


@pytest.mark.row("limit:numbers")
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("9.9999999999999999999999999999999999999E+125", "9" * 38 + "0" * 88),
        ("1E-130", "0." + "0" * 129 + "1"),
        ("-0", "0"),
        ("007", "7"),
        ("1E2", "100"),
        ("1.50", "1.5"),
        ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
    ],
)
def test_a_number_of_38_digits_is_kept_exactly_in_normal_form(service: Any, given: str, kept: str) -> None:
    key = {"pk": {"S": f"number {next(NUMBER)}"}}
    service("PutItem", TableName="Hash", Item=key | {"n": {"N": given}})
    assert service.get("Hash", **key) == key | {"n": {"N": kept}}


@pytest.mark.row("limit:included")
def test_an_index_includes_20_attributes_and_all_of_them_100(service: Any) -> None:
    names = [f"x{number}" for number in range(21)]
    made(service, table("Included", GlobalSecondaryIndexes=[index("by_a", *names[:20])]))
    error = service.refused("CreateTable", **table("Included", GlobalSecondaryIndexes=[index("by_", *names)]))
    assert error.message.endswith(
        "at 'globalSecondaryIndexes.1.member.projection.nonKeyAttributes' failed to satisfy constraint: Member must have length less than or equal to 20"
    )
    six = [index(f"by{number}", *names[:17]) for number in range(6)]
    assert service.refused("CreateTable", **table("Included", GlobalSecondaryIndexes=six)).code == "ValidationException"


@pytest.mark.row("limit:batch-get-bytes")
def test_a_hundred_items_of_300_kb_come_as_52(service: Any) -> None:
    keys = [{"pk": {"S": f"large {number:03}"}} for number in range(100)]
    for key in keys:
        service("PutItem", TableName="Hash", Item=key | {"fill": {"S": "x" * (300 * 1024 - 15)}})
    answer = service("BatchGetItem", RequestItems={"Hash": {"Keys": keys}})
    assert len(answer["Responses"]["Hash"]) == 52
    assert len(answer["UnprocessedKeys"]["Hash"]["Keys"]) == 48
    for key in keys:
        service("DeleteItem", TableName="Hash", Key=key)


@pytest.mark.row("limit:segments")
@pytest.mark.parametrize(
    ("members", "words"),
    [
        (
            {"TotalSegments": 0, "Segment": 0},
            "Value '0' at 'totalSegments' failed to satisfy constraint: Member must have value greater than or equal to 1",
        ),
        (
            {"TotalSegments": 1_000_001, "Segment": 0},
            "Value '1000001' at 'totalSegments' failed to satisfy constraint: Member must have value less than or equal to 1000000",
        ),
        (
            {"TotalSegments": 1_000_000, "Segment": 1_000_000},
            "Value '1000000' at 'segment' failed to satisfy constraint: Member must have value less than or equal to 999999",
        ),
        (
            {"TotalSegments": 1, "Segment": -1},
            "Value '-1' at 'segment' failed to satisfy constraint: Member must have value greater than or equal to 0",
        ),
    ],
)
def test_a_scan_has_a_million_segments_at_most(service: Any, members: dict[str, int], words: str) -> None:
    error = service.refused("Scan", TableName="Hash", **members)
    assert error.message == f"1 validation error detected: {words}"
    assert service("Scan", TableName="Binary", TotalSegments=1_000_000, Segment=999_999)["Count"] >= 0


@pytest.mark.row("limit:tags")
def test_tags_have_bounds(service: Any) -> None:
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/Binary"

    def tag(key: str, value: str) -> str:
        return str(service.refused("TagResource", ResourceArn=arn, Tags=[{"Key": key, "Value": value}]).message)

    service("TagResource", ResourceArn=arn, Tags=[{"Key": "k" * 128, "Value": "v" * 256}])
    assert tag("k" * 129, "").endswith(
        "at 'tags.1.member.key' failed to satisfy constraint: Member must have length less than or equal to 128"
    )
    assert tag("k", "v" * 257).endswith(
        "at 'tags.1.member.value' failed to satisfy constraint: Member must have length less than or equal to 256"
    )
    assert tag("", "").endswith(
        "at 'tags.1.member.key' failed to satisfy constraint: Member must have length greater than or equal to 1"
    )
    many = [{"Key": f"k{number}", "Value": ""} for number in range(50)]
    assert service.refused("TagResource", ResourceArn=arn, Tags=many).code == "LimitExceededException"
    service("UntagResource", ResourceArn=arn, TagKeys=["k" * 128])
    service("TagResource", ResourceArn=arn, Tags=many)
    service("UntagResource", ResourceArn=arn, TagKeys=[each["Key"] for each in many])


@pytest.mark.row("limit:tags-bytes")
def test_all_tags_of_a_table_have_10_kb_at_most(service: Any) -> None:
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/Binary"
    # 26 tags of 128 + 256 characters, and one of 256: 10,240 together.
    tags = [{"Key": f"{number:02}" + "k" * 126, "Value": "v" * 256} for number in range(26)]
    last = {"Key": "l", "Value": "v" * 255}
    service("TagResource", ResourceArn=arn, Tags=[*tags, last])
    error = service.refused("TagResource", ResourceArn=arn, Tags=[{"Key": "x", "Value": ""}])
    assert error.code == "LimitExceededException"
    service("TagResource", ResourceArn=arn, Tags=[{**last, "Value": "v" * 254}, {"Key": "x", "Value": ""}])
    service("UntagResource", ResourceArn=arn, TagKeys=["x", "l", *(tag["Key"] for tag in tags)])
    asked = table("Tagged", Tags=[*tags, last, {"Key": "x", "Value": ""}])
    assert service.refused("CreateTable", **asked).code == "LimitExceededException"


@pytest.mark.row("limit:index-keys")
def test_a_global_index_has_keys_of_four_attributes_each(service: Any) -> None:
    def keyed(hashes: int, ranges: int) -> dict[str, Any]:
        keys = [(f"h{n}", "HASH") for n in range(hashes)] + [(f"r{n}", "RANGE") for n in range(ranges)]
        schema = [{"AttributeName": name, "KeyType": role} for name, role in keys]
        defined = [{"AttributeName": name, "AttributeType": "S"} for name in ("a", *(name for name, _ in keys))]
        index = {"IndexName": "keys", "KeySchema": schema, "Projection": {"ProjectionType": "ALL"}}
        return table("FourByFour", GlobalSecondaryIndexes=[index]) | {"AttributeDefinitions": defined}

    made(service, keyed(4, 4))
    for hashes, ranges in ((5, 0), (1, 5), (5, 4), (4, 5)):
        assert service.refused("CreateTable", **keyed(hashes, ranges)).code == "ValidationException"


@pytest.mark.row("limit:attribute-name")
def test_names_of_attributes_have_1_to_65_535_bytes(service: Any) -> None:
    key = {"pk": {"S": "long names"}}
    for name in ("n" * 65_535, "n" * 65_533 + "é"):
        service.put("Hash", **key, **{name: {"N": "1"}})
        assert service.get("Hash", **key) == {**key, name: {"N": "1"}}
    for name in ("n" * 65_536, "n" * 65_534 + "é", ""):
        assert (
            service.refused("PutItem", TableName="Hash", Item={**key, name: {"N": "1"}}).code == "ValidationException"
        )


@pytest.mark.row("limit:next-token")
def test_a_token_of_a_statement_has_32_768_characters_at_most(service: Any) -> None:
    error = service.refused("ExecuteStatement", Statement='SELECT * FROM "Hash"', NextToken="t" * 32_769)
    assert error.message.endswith(
        "at 'nextToken' failed to satisfy constraint: Member must have length less than or equal to 32768"
    )


ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/Hash/stream/2015-05-20T20:51:10.252"
SHARD = "shardId-00000000000000000001-0123456789abcdef"
PLACE = {"StreamArn": ARN, "ShardId": SHARD, "ShardIteratorType": "AT_SEQUENCE_NUMBER"}


@pytest.mark.row("limit:streams")
@pytest.mark.parametrize(
    ("operation", "body", "told"),
    [
        (
            "ListStreams",
            {"Limit": 0},
            "Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
        ),
        (
            "ListStreams",
            {"Limit": 101},
            "Value '101' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 100",
        ),
        (
            "DescribeStream",
            {"StreamArn": ARN, "Limit": 101},
            "Value '101' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 100",
        ),
        (
            "DescribeStream",
            {"StreamArn": "a" * 36},
            "at 'streamArn' failed to satisfy constraint: Member must have length greater than or equal to 37",
        ),
        (
            "DescribeStream",
            {"StreamArn": "a" * 1025},
            "at 'streamArn' failed to satisfy constraint: Member must have length less than or equal to 1024",
        ),
        (
            "GetShardIterator",
            {**PLACE, "ShardId": "s" * 27},
            "at 'shardId' failed to satisfy constraint: Member must have length greater than or equal to 28",
        ),
        (
            "GetShardIterator",
            {**PLACE, "ShardId": "s" * 66},
            "at 'shardId' failed to satisfy constraint: Member must have length less than or equal to 65",
        ),
        (
            "GetShardIterator",
            {**PLACE, "SequenceNumber": "1" * 20},
            "at 'sequenceNumber' failed to satisfy constraint: Member must have length greater than or equal to 21",
        ),
        (
            "GetShardIterator",
            {**PLACE, "SequenceNumber": "1" * 41},
            "at 'sequenceNumber' failed to satisfy constraint: Member must have length less than or equal to 40",
        ),
        (
            "GetRecords",
            {"ShardIterator": "i" * 2049},
            "at 'shardIterator' failed to satisfy constraint: Member must have length less than or equal to 2048",
        ),
    ],
)
def test_requests_of_streams_have_bounds(service: Any, operation: str, body: dict[str, Any], told: str) -> None:
    error = service.refused(operation, **body)
    assert error.code == "ValidationException" and error.message.endswith(told)


@pytest.mark.row("limit:list-tables")
def test_a_page_of_tables_has_1_to_100_names(service: Any) -> None:
    for limit, words in ((0, "greater than or equal to 1"), (101, "less than or equal to 100")):
        error = service.refused("ListTables", Limit=limit)
        assert (
            error.message
            == f"1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: Member must have value {words}"
        )


@pytest.mark.row("limit:key-order")
def test_texts_are_ordered_by_bytes_and_numbers_by_value(service: Any) -> None:
    texts = ["", "A", "Z", "a", "é", "\uffff", "\U0001f600"][1:]
    for text in reversed(texts):
        service.put("Range", pk={"S": "order"}, sk={"S": text})
    numbers = ["-100", "-1.5", "0", "0.5", "2", "10", "1E20"]
    for number in reversed(numbers):
        service.put("Numbers", pk={"S": "order"}, sk={"N": number})
    query = {
        "KeyConditionExpression": "pk = :p",
        "ExpressionAttributeValues": {":p": {"S": "order"}},
        "ConsistentRead": True,
    }
    assert [item["sk"]["S"] for item in service("Query", TableName="Range", **query)["Items"]] == texts
    found = [item["sk"]["N"] for item in service("Query", TableName="Numbers", **query)["Items"]]
    assert found == ["-100", "-1.5", "0", "0.5", "2", "10", "1" + "0" * 20]

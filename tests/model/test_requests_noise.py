"""Whatever JSON comes in, it is an operation or one of DynamoDB's errors: batches, legacy parameters, settings."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynalab_model.errors import DynamoError
from dynalab_model.requests import parse

VALUE = st.sampled_from(
    [{"S": "a"}, {"N": "1"}, {"SS": ["a"]}, {"S": 1}, {"N": "x"}, {}, None, "a", 1, {"L": [{"S": "a"}]}]
)
WILD = st.none() | st.booleans() | st.integers(-1, 3) | st.text(max_size=3) | st.lists(st.none(), max_size=1) | VALUE
ITEM = st.dictionaries(st.sampled_from(["pk", "a", ""]), VALUE, max_size=2) | WILD


def members(**strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A map with some of these members, each now and then of a wrong kind."""
    return st.fixed_dictionaries({}, optional={name: one | WILD for name, one in strategies.items()})


NAMES = st.sampled_from(["Orders", "a!", "", "arn:aws:dynamodb:us-east-1:000000000000:table/Orders", "arn:x"])
OPERATOR = st.sampled_from(["EQ", "IN", "NULL", "BETWEEN", "LT", "CONTAINS", "MEDIAN"])
CONDITION = members(
    Value=VALUE, Exists=st.booleans(), ComparisonOperator=OPERATOR, AttributeValueList=st.lists(VALUE, max_size=3)
)
CONDITIONS = st.dictionaries(st.sampled_from(["a", "b"]), CONDITION | WILD, max_size=2)
WRITE = members(PutRequest=members(Item=ITEM), DeleteRequest=members(Key=ITEM))
KEYS = members(
    Keys=st.lists(ITEM, max_size=3),
    ConsistentRead=st.booleans(),
    ProjectionExpression=st.sampled_from(["a", "#a", "("]),
    ExpressionAttributeNames=st.dictionaries(st.sampled_from(["#a", "b"]), st.just("a")),
    AttributesToGet=st.lists(st.sampled_from(["a", "b", 1]), max_size=3),
)
UNITS = members(ReadCapacityUnits=st.integers(0, 10**13), WriteCapacityUnits=st.integers(0, 10**13))
UPDATE = members(IndexName=NAMES, ProvisionedThroughput=UNITS)

STATEMENT = members(
    Statement=st.sampled_from(["SELECT * FROM T WHERE a = ?", "DELETE FROM T", "SELECT", "", "\ud800"]),
    Parameters=st.lists(VALUE, max_size=2),
    ReturnValuesOnConditionCheckFailure=st.sampled_from(["ALL_OLD", "NONE", "SOME"]),
    NextToken=NAMES,
    Limit=st.integers(0, 2),
)

ACTION: dict[str, Any] = {
    "TableName": NAMES,
    "Key": ITEM,
    "ConditionExpression": st.sampled_from(["a = :v", "#a", "("]),
    "ExpressionAttributeNames": st.dictionaries(st.sampled_from(["#a", "b"]), st.just("a")),
    "ExpressionAttributeValues": st.dictionaries(st.sampled_from([":v", "v"]), VALUE),
    "ReturnValuesOnConditionCheckFailure": st.sampled_from(["ALL_OLD", "SOME"]),
    "Expected": CONDITIONS,
}
ACTIONS = members(
    Put=members(**ACTION, Item=ITEM),
    Update=members(**ACTION, UpdateExpression=st.sampled_from(["SET a = :v", "REMOVE", ""])),
    Delete=members(**ACTION),
    ConditionCheck=members(**ACTION),
)
TOKENS = st.sampled_from(["t", "", "t" * 37])

BODIES: dict[str, st.SearchStrategy[Any]] = {
    "BatchGetItem": members(RequestItems=st.dictionaries(NAMES, KEYS | WILD, max_size=2)),
    "BatchWriteItem": members(RequestItems=st.dictionaries(NAMES, st.lists(WRITE, max_size=3) | WILD, max_size=2)),
    "PutItem": members(Item=ITEM, Expected=CONDITIONS, ConditionalOperator=st.sampled_from(["OR", "AND"])),
    "UpdateItem": members(
        Key=ITEM,
        Expected=CONDITIONS,
        AttributeUpdates=st.dictionaries(
            st.sampled_from(["a", "b"]),
            members(Value=VALUE, Action=st.sampled_from(["PUT", "ADD", "DELETE", "MOVE"])) | WILD,
            max_size=2,
        ),
    ),
    "Query": members(KeyConditions=CONDITIONS, QueryFilter=CONDITIONS, AttributesToGet=st.lists(NAMES, max_size=2)),
    "Scan": members(ScanFilter=CONDITIONS, ConditionalOperator=st.just("OR"), Select=st.just("COUNT")),
    "ExecuteStatement": STATEMENT,
    "BatchExecuteStatement": members(Statements=st.lists(STATEMENT, max_size=3)),
    "TransactWriteItems": members(TransactItems=st.lists(ACTIONS, max_size=3), ClientRequestToken=TOKENS),
    "TransactGetItems": members(
        TransactItems=st.lists(
            members(Get=members(TableName=NAMES, Key=ITEM, ProjectionExpression=st.sampled_from(["a", "#a", "("]))),
            max_size=3,
        )
    ),
    "ExecuteTransaction": members(TransactStatements=st.lists(STATEMENT, max_size=3), ClientRequestToken=TOKENS),
    "UpdateTable": members(
        BillingMode=st.sampled_from(["PROVISIONED", "PAY_PER_REQUEST"]),
        ProvisionedThroughput=UNITS,
        GlobalSecondaryIndexUpdates=st.lists(members(Update=UPDATE, Create=UPDATE), max_size=2),
        OnDemandThroughput=members(MaxReadRequestUnits=st.integers(-2, 2)),
        SSESpecification=members(Enabled=st.booleans()),
        DeletionProtectionEnabled=st.booleans(),
    ),
    "UpdateTimeToLive": members(TimeToLiveSpecification=members(Enabled=st.booleans(), AttributeName=NAMES)),
    "TagResource": members(ResourceArn=NAMES, Tags=st.lists(members(Key=NAMES, Value=NAMES), max_size=2)),
    "UntagResource": members(ResourceArn=NAMES, TagKeys=st.lists(NAMES, max_size=2)),
    "DescribeContributorInsights": members(IndexName=NAMES),
    "DescribeBackup": members(BackupArn=NAMES),
}


@pytest.mark.parametrize("operation", sorted(BODIES))
@settings(max_examples=150)
@given(data=st.data())
def test_any_body_is_an_operation_or_an_error_with_a_name_and_a_text(operation: str, data: st.DataObject) -> None:
    body = {"TableName": "Orders", **data.draw(BODIES[operation])}
    before = copy.deepcopy(body)
    try:
        parse(operation, body)
    except DynamoError as error:
        assert error.code in ("ValidationException", "SerializationException")
        assert error.message and json.dumps(error.body())
    assert body == before, "the request itself is not changed"

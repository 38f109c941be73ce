"""Errors that no request of one's own can bring about: the account's quota, another Region, a missing permission. The
lab is told to give them, and an unmodified boto3 meets them at the served endpoint.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.end_to_end.serving import Served, serve

KEYS: Any = {
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
}
ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/orders"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve("--lab") as running:
        running.make("orders", "others")
        yield running


@pytest.fixture(autouse=True)
def healed(served: Served) -> Iterator[None]:
    yield
    served.fault("heal")


def in_mode(served: Served, mode: str) -> Any:
    """A client that makes four attempts, in one of the retry modes of botocore."""
    retries: Any = {"total_max_attempts": 4, "mode": mode}
    anybody: Any = {"aws_access_key_id": "any", "aws_secret_access_key": "any", "region_name": "us-east-1"}
    return boto3.client("dynamodb", endpoint_url=served.url, config=Config(retries=retries), **anybody)


def item(pk: str) -> Any:
    return {"pk": {"S": pk}}


def refused(call: Any, **body: Any) -> Any:
    """The answer of a call that fails."""
    with pytest.raises(ClientError) as caught:
        call(**body)
    return caught.value.response


def is_there(served: Served, pk: str, table: str = "orders") -> bool:
    return "Item" in served.client().get_item(TableName=table, Key=item(pk), ConsistentRead=True)


# --- the account's quota ----------------------------------------------------------------------------------------------


@pytest.mark.row("error:RequestLimitExceeded", "error:throttling-reasons")
def test_an_account_beyond_its_quota_is_refused_before_anything_is_done(served: Served) -> None:
    served.fault("throttle", operation="PutItem", table="orders", error="account")
    answer = refused(served.client().put_item, TableName="orders", Item=item("quota"))
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert answer["Error"]["Code"] == "RequestLimitExceeded"
    assert answer["message"].startswith("Throughput exceeds the current throughput quota for your account.")
    assert answer["ThrottlingReasons"] == [{"reason": "TableWriteAccountLimitExceeded", "resource": ARN}]
    assert not is_there(served, "quota")
    served.fault("throttle", operation="Query", error="account")
    read = refused(
        served.client().query,
        TableName="orders",
        KeyConditionExpression="pk = :p",
        ExpressionAttributeValues={":p": {"S": "quota"}},
    )
    assert read["ThrottlingReasons"] == [{"reason": "TableReadAccountLimitExceeded", "resource": ARN}]


@pytest.mark.row("error:RequestLimitExceeded", "wire:client-retries")
@pytest.mark.parametrize("mode", ["standard", "adaptive"])
def test_a_client_tries_again_when_a_quota_ran_out(served: Served, mode: str) -> None:
    served.fault("throttle", operation="PutItem", table="orders", error="account", count=2)
    answer = in_mode(served, mode).put_item(TableName="orders", Item=item(mode))
    assert answer["ResponseMetadata"]["RetryAttempts"] == 2
    assert (served.hits(), is_there(served, mode)) == (2, True)


@pytest.mark.row("error:RequestLimitExceeded", "wire:client-retries")
def test_a_client_in_legacy_mode_leaves_a_quota_that_ran_out_to_the_program(served: Served) -> None:
    served.fault("throttle", operation="PutItem", table="orders", error="account", count=2)
    answer = refused(in_mode(served, "legacy").put_item, TableName="orders", Item=item("legacy"))
    assert answer["ResponseMetadata"]["RetryAttempts"] == 0, "its table of errors to retry does not hold this one"
    assert (served.hits(), is_there(served, "legacy")) == (1, False)


@pytest.mark.row("error:RequestLimitExceeded")
def test_a_statement_that_only_reads_runs_out_of_reads(served: Served) -> None:
    served.fault("throttle", operation="ExecuteStatement", error="account", count=2)
    for verb, access in (("SELECT * FROM orders", "Read"), ("DELETE FROM orders WHERE pk='a'", "Write")):
        answer = refused(served.client().execute_statement, Statement=verb)
        assert answer["ThrottlingReasons"][0]["reason"] == f"Table{access}AccountLimitExceeded"


# --- another Region ---------------------------------------------------------------------------------------------------


@pytest.mark.row("error:ReplicatedWriteConflict")
def test_a_write_that_meets_one_of_another_region_is_refused_with_409_and_has_no_effect(served: Served) -> None:
    client = served.client()
    client.put_item(TableName="orders", Item={**item("region"), "n": {"N": "1"}})
    served.fault("region-conflict", table="orders", count=4)
    put = {"PutRequest": {"Item": item("batched")}}
    writes: Any = (
        (client.put_item, {"TableName": "orders", "Item": item("put")}),
        (client.update_item, {"TableName": "orders", "Key": item("updated")}),
        (client.delete_item, {"TableName": "orders", "Key": item("region")}),
        (client.batch_write_item, {"RequestItems": {"orders": [put], "others": [put]}}),
    )
    for call, body in writes:
        answer = refused(call, **body)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 409
        assert answer["Error"] == {
            "Code": "ReplicatedWriteConflictException",
            "Message": "One or more items in this request are being modified by a request in another Region.",
        }
    assert served.hits() == 4
    assert is_there(served, "region")
    assert not any(is_there(served, pk) for pk in ("put", "updated", "batched"))
    assert not is_there(served, "batched", "others"), "a batch is refused as a whole"


@pytest.mark.row("error:ReplicatedWriteConflict", "wire:client-retries", "wire:status")
@pytest.mark.parametrize("mode", ["standard", "adaptive", "legacy"])
def test_a_client_tries_a_conflict_with_another_region_again(served: Served, mode: str) -> None:
    served.fault("region-conflict", operation="PutItem", table="orders", count=2)
    client = in_mode(served, mode)
    assert client.put_item(TableName="others", Item=item(mode))["ResponseMetadata"]["RetryAttempts"] == 0
    answer = client.put_item(TableName="orders", Item=item(f"region {mode}"))
    assert (answer["ResponseMetadata"]["RetryAttempts"], served.hits()) == (2, 2)
    assert is_there(served, f"region {mode}")


@pytest.mark.row("error:ReplicatedWriteConflict")
def test_reads_statements_and_transactions_never_meet_another_region(served: Served) -> None:
    client = served.client()
    client.put_item(TableName="orders", Item=item("unhindered"))
    served.fault("region-conflict", count=9)
    assert client.get_item(TableName="orders", Key=item("unhindered"))["ResponseMetadata"]["HTTPStatusCode"] == 200
    client.execute_statement(Statement="UPDATE orders SET n=1 WHERE pk='unhindered'")
    client.transact_write_items(TransactItems=[{"Delete": {"TableName": "orders", "Key": item("unhindered")}}])
    assert served.hits() == 0
    with pytest.raises(HTTPError) as caught:
        served.fault("region-conflict", operation="GetItem")
    assert "never strikes GetItem" in json.load(caught.value)["error"]


# --- permissions ------------------------------------------------------------------------------------------------------


def denial(permission: str, resource: str = ARN) -> str:
    return (
        f"User: arn:aws:iam::000000000000:user/denied is not authorized to perform: dynamodb:{permission} on resource: "
        f"{resource} because no identity-based policy allows the dynamodb:{permission} action"
    )


@pytest.mark.row("error:AccessDenied")
def test_who_may_not_is_told_what_and_of_which_resource_and_does_not_try_again(served: Served) -> None:
    client: Any = served.client(attempts=4)
    denied: Any = (
        ("PutItem", client.put_item, {"TableName": "orders", "Item": item("denied")}, ARN),
        ("DescribeTable", client.describe_table, {"TableName": "orders"}, ARN),
        ("Scan", client.scan, {"TableName": "orders", "IndexName": "by_v"}, ARN + "/index/by_v"),
        ("ListTables", client.list_tables, {}, ARN.replace("orders", "*")),
        ("DeleteBackup", client.delete_backup, {"BackupArn": ARN + "/backup/0148"}, ARN + "/backup/0148"),
        ("CreateTable", client.create_table, {"TableName": "more", "BillingMode": "PAY_PER_REQUEST", **KEYS}, None),
    )
    for operation, call, body, resource in denied:
        served.fault("deny", operation=operation)
        answer = refused(call, **body)
        assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["ResponseMetadata"]["RetryAttempts"]) == (400, 0)
        message = denial(operation, resource or ARN.replace("orders", "more"))
        assert answer["Error"] == {"Code": "AccessDeniedException", "Message": message}
        assert served.hits() == 1
    assert not is_there(served, "denied")
    assert client.list_tables()["TableNames"] == ["orders", "others"]


@pytest.mark.row("error:cancelled-AccessDenied")
def test_a_transaction_is_cancelled_for_the_actions_that_somebody_may_not(served: Served) -> None:
    client = served.client()
    client.put_item(TableName="orders", Item=item("kept"))
    put: Any = {"Put": {"TableName": "orders", "Item": item("put")}}
    elsewhere: Any = {"Put": {"TableName": "others", "Item": item("put")}}
    delete: Any = {"Delete": {"TableName": "orders", "Key": item("kept")}}
    condition = "attribute_exists(pk)"
    check: Any = {
        "ConditionCheck": {"TableName": "orders", "Key": item("check"), "ConditionExpression": condition},
    }
    update: Any = {"Update": {"TableName": "orders", "Key": item("new"), "UpdateExpression": "SET n = :n"}}
    update["Update"]["ExpressionAttributeValues"] = {":n": {"N": "1"}}
    cases: Any = (
        ("PutItem", [elsewhere, delete, put], [None, None, "PutItem"]),
        ("DeleteItem", [delete, put], ["DeleteItem", None]),
        ("UpdateItem", [put, update], [None, "UpdateItem"]),
        ("ConditionCheckItem", [check, put], ["ConditionCheckItem", None]),
    )
    for permission, actions, missing in cases:
        served.fault("deny", operation=permission, table="orders")
        answer = refused(client.transact_write_items, TransactItems=actions)
        assert answer["Error"]["Code"] == "TransactionCanceledException"
        codes = ", ".join("AccessDenied" if name else "None" for name in missing)
        assert answer["Error"]["Message"].endswith(f"for specific reasons [{codes}]")
        assert answer["CancellationReasons"] == [
            {"Code": "AccessDenied", "Message": denial(name)} if name else {"Code": "None"} for name in missing
        ]
        served.fault("heal")
    assert is_there(served, "kept")
    assert not is_there(served, "put") and not is_there(served, "put", "others") and not is_there(served, "new")


@pytest.mark.row("error:cancelled-AccessDenied")
def test_reads_of_a_transaction_and_its_statements_are_denied_one_by_one(served: Served) -> None:
    client = served.client()
    served.fault("deny", operation="GetItem", table="orders", count=2)
    gets: Any = [{"Get": {"TableName": table, "Key": item("a")}} for table in ("others", "orders", "orders")]
    gets[2]["Get"]["Key"] = item("b")
    answer = refused(client.transact_get_items, TransactItems=gets)
    assert [reason["Code"] for reason in answer["CancellationReasons"]] == ["None", "AccessDenied", "AccessDenied"]
    assert refused(client.get_item, TableName="orders", Key=item("a"))["Error"]["Message"] == denial("GetItem")
    served.fault("deny", operation="PartiQLInsert")
    statements: Any = [
        {"Statement": "UPDATE others SET n=1 WHERE pk='nobody'"},
        {"Statement": "INSERT INTO orders VALUE {'pk':'inserted'}"},
    ]
    answer = refused(client.execute_transaction, TransactStatements=statements)
    assert answer["CancellationReasons"] == [
        {"Code": "None"},
        {"Code": "AccessDenied", "Message": denial("PartiQLInsert")},
    ]
    served.fault("deny", operation="PartiQLInsert")
    answer = refused(client.execute_statement, Statement=statements[1]["Statement"])
    assert answer["Error"] == {"Code": "AccessDeniedException", "Message": denial("PartiQLInsert")}
    assert not is_there(served, "inserted")


@pytest.mark.row("error:cancelled-AccessDenied")
def test_a_transaction_that_is_denied_as_a_whole_names_what_its_first_action_needs(served: Served) -> None:
    served.fault("deny", operation="TransactWriteItems", table="orders")
    actions: Any = [
        {"Put": {"TableName": "others", "Item": item("whole")}},
        {"Delete": {"TableName": "orders", "Key": item("whole")}},
    ]
    answer = refused(served.client().transact_write_items, TransactItems=actions)
    assert answer["Error"] == {"Code": "AccessDeniedException", "Message": denial("DeleteItem")}
    assert not is_there(served, "whole", "others")


@pytest.mark.row("error:AccessDenied")
def test_the_other_members_of_a_batch_of_statements_are_carried_out(served: Served) -> None:
    served.fault("deny", operation="PartiQLDelete", table="orders")
    served.client().put_item(TableName="orders", Item=item("member"))
    statements: Any = [
        {"Statement": "DELETE FROM orders WHERE pk='member'"},
        {"Statement": "INSERT INTO orders VALUE {'pk':'other member'}"},
    ]
    answer = served.client().batch_execute_statement(Statements=statements)
    assert answer["Responses"][0]["Error"] == {"Code": "AccessDenied", "Message": denial("PartiQLDelete")}
    assert "Error" not in answer["Responses"][1]
    assert is_there(served, "member") and is_there(served, "other member")

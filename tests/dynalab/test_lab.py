"""The lab over HTTP against a real cluster in this process: each fault's effect, and what the history says."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest

from dynalab.lab.control import _schema
from dynalab_checkers.linearizability import check_register
from dynalab_model.schema import IndexSchema, KeyAttribute, KeySchema, TableSchema
from dynalab_model.tables import describe
from tests.dynalab.in_the_lab import JSON, Client, in_the_lab
from tests.dynalab.test_endpoint import Reply


@pytest.mark.claim("S22")
def test_a_leader_that_is_killed_is_replaced_and_writes_resume_with_nothing_lost() -> None:
    async def work(client: Client) -> None:
        await client.create()
        for number in range(20):
            assert (await client.put(f"k{number}", number)).status == 200
        entry = await client.fault("kill-leader", table="orders", restart_ms=60_000)
        victim = entry["node"]
        assert entry["hits"] == 1
        for number in range(20):
            assert await client.get(f"k{number}") == number
            assert (await client.put(f"k{number}", number + 100)).status == 200
        state = await client.state()
        nodes = {node["node"]: node for node in cast("list[JSON]", state["nodes"])}
        assert nodes[victim]["up"] is False
        await client.fault("heal")
        assert all(node["up"] for node in cast("list[JSON]", (await client.state())["nodes"]))
        judged = await client.history()
        assert len(judged) == 60
        assert check_register(judged).verdict == "valid"

    in_the_lab(work)


def test_a_zone_can_be_lost_and_the_others_serve_on() -> None:
    async def work(client: Client) -> None:
        await client.create()
        await client.put("k", 1)
        await client.fault("zone-loss", zone="z2")
        assert await client.get("k") == 1
        assert (await client.put("k", 2)).status == 200
        await client.fault("heal")
        assert await client.get("k") == 2

    in_the_lab(work)


def test_a_wiped_node_comes_back_as_a_learner_and_is_readmitted() -> None:
    async def work(client: Client) -> None:
        await client.create()
        for number in range(10):
            await client.put(f"k{number}", number)
        await client.fault("node-crash-wipe", node="n2", restart_ms=0)
        told: JSON = {}
        while not told.get("learner-readmitted"):
            await asyncio.sleep(0.05)
            state = await client.state()
            told = cast(JSON, state["told"])
        node = next(node for node in cast("list[JSON]", state["nodes"]) if node["node"] == "r1/z2/n2")
        assert node["incarnation"] == 2
        assert [await client.get(f"k{number}") for number in range(10)] == list(range(10))

    in_the_lab(work)


@pytest.mark.claim("S27")
@pytest.mark.claim("S93")
def test_an_index_lags_until_it_is_healed_and_then_converges() -> None:
    """The state tells how many changes are on their way to it, and for how long."""

    async def work(client: Client) -> None:
        await client.create(index=True)
        query: JSON = {
            "TableName": "orders",
            "IndexName": "by-v",
            "KeyConditionExpression": "v = :v",
            "ExpressionAttributeValues": {":v": {"N": "7"}},
        }
        await client.fault("index-lag")
        await client.put("k", 7)
        assert await client.get("k") == 7
        await asyncio.sleep(0.2)
        assert (await client.ok("Query", query))["Count"] == 0
        state = await client.state()
        assert cast("list[JSON]", state["faults"])[0]["hits"] != 0
        [told] = cast("list[JSON]", state["indexes"])
        assert (told["table"], told["index"], told["queued"]) == ("orders", "by-v", 1)
        await asyncio.sleep(0.6)
        assert int(str(cast("list[JSON]", (await client.state())["indexes"])[0]["lag_ms"])) >= 500
        await client.fault("heal")
        while (await client.ok("Query", query))["Count"] == 0:
            await asyncio.sleep(0.02)
        while cast("list[JSON]", (await client.state())["indexes"])[0]["queued"]:
            await asyncio.sleep(0.02)

    in_the_lab(work)


@pytest.mark.claim("S24", "S25")
def test_eventual_reads_are_stale_always_or_never_and_strong_ones_are_fresh() -> None:
    async def work(client: Client) -> None:
        await client.create()
        await client.put("k", 1)
        while await client.get("k", consistent=False) != 1:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)  # every replica has it
        await client.fault("stale-reads", mode="always", lag_ms=60_000)
        await client.put("k", 2)
        for _ in range(10):
            assert await client.get("k", consistent=False) == 1
            assert await client.get("k") == 2
        await client.fault("heal")
        await client.fault("stale-reads", mode="never")
        for number in range(3, 20):
            await client.put("k", number)
            assert await client.get("k", consistent=False) == number
        assert check_register(await client.history()).verdict == "valid"

    in_the_lab(work)


def test_the_nth_call_is_throttled_or_failed_and_the_history_says_which_is_definite() -> None:
    async def work(client: Client) -> None:
        await client.create()
        await client.fault("throttle", operation="PutItem", table="orders", nth=2)
        answers = [await client.put("a", number) for number in range(3)]
        assert [answer.status for answer in answers] == [200, 400, 200]
        assert answers[1].error.endswith("#ProvisionedThroughputExceededException")
        await client.fault("heal")
        await client.fault("fail", operation="PutItem", table="orders", when="before")
        assert (await client.put("b", 1)).status == 500
        assert await client.get("b") is None
        await client.fault("heal")
        await client.fault("fail", operation="PutItem", table="orders", when="after")
        assert (await client.put("b", 2)).status == 500
        assert await client.get("b") == 2
        judged = await client.history()
        outcomes = [
            (operation.key, operation.value, operation.outcome) for operation in judged if operation.f == "write"
        ]
        assert outcomes == [
            ("orders/a", 0, "ok"),
            ("orders/a", 1, "fail"),
            ("orders/a", 2, "ok"),
            ("orders/b", 1, "info"),
            ("orders/b", 2, "info"),
        ]
        assert check_register(judged).verdict == "valid"

    in_the_lab(work)


def test_the_recorder_adds_old_values_and_takes_nothing_from_the_answers() -> None:
    async def work(client: Client) -> None:
        await client.create()
        assert json.loads((await client.put("k", 1)).body) == {}
        assert json.loads((await client.put("k", 2)).body) == {}
        old = json.loads((await client.put("k", 3, ReturnValues="ALL_OLD")).body)
        assert old == {"Attributes": {"pk": {"S": "k"}, "v": {"N": "2"}}}
        updated = await client.ok(
            "UpdateItem",
            {
                "TableName": "orders",
                "Key": {"pk": {"S": "k"}},
                "UpdateExpression": "ADD v :one",
                "ExpressionAttributeValues": {":one": {"N": "1"}},
                "ReturnValues": "UPDATED_NEW",
            },
        )
        assert updated == {"Attributes": {"v": {"N": "4"}}}
        failed = await client.put("k", 9, ConditionExpression="attribute_not_exists(pk)")
        assert (failed.status, "Item" in json.loads(failed.body)) == (400, False)
        assert await client.ok("DeleteItem", {"TableName": "orders", "Key": {"pk": {"S": "k"}}}) == {}
        assert await client.get("k") is None
        judged = await client.history()
        assert [(o.f, o.value, o.old) for o in judged if o.outcome == "ok" and o.f != "read"] == [
            ("write", 1, None),
            ("write", 2, 1),
            ("write", 3, 2),
            ("write", 4, 3),
            ("delete", None, 4),
        ]
        assert check_register(judged).verdict == "valid"

    in_the_lab(work)


def test_an_update_with_an_unknown_outcome_leaves_its_key_out_of_the_history() -> None:
    async def work(client: Client) -> None:
        await client.create()
        await client.put("a", 1)
        await client.put("b", 1)
        await client.fault("fail", operation="UpdateItem", when="after")
        update: JSON = {
            "TableName": "orders",
            "Key": {"pk": {"S": "a"}},
            "UpdateExpression": "ADD v :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }
        assert (await client.call("UpdateItem", update)).status == 500
        assert {operation.key for operation in await client.history()} == {"orders/b"}
        assert (await client.state())["left_out"] == ["orders/a"]

    in_the_lab(work)


def test_a_key_that_a_batch_wrote_is_left_out_of_the_history_of_single_operations() -> None:
    async def work(client: Client) -> None:
        await client.create()
        await client.put("a", 1)
        await client.put("b", 1)
        item = {"pk": {"S": "a"}, "v": {"N": "2"}}
        await client.ok("BatchWriteItem", {"RequestItems": {"orders": [{"PutRequest": {"Item": item}}]}})
        assert {operation.key for operation in await client.history()} == {"orders/b"}

    in_the_lab(work)


def test_a_key_that_a_statement_wrote_is_left_out_and_one_that_it_read_is_not() -> None:
    async def work(client: Client) -> None:
        await client.create()
        for name in "abcd":
            await client.put(name, 1)
        await client.ok("ExecuteStatement", {"Statement": "UPDATE orders SET v = 2 WHERE pk = 'a'"})
        batch = [{"Statement": "DELETE FROM orders WHERE pk = 'b'"}, {"Statement": "no statement"}]
        await client.ok("BatchExecuteStatement", {"Statements": batch})
        await client.ok("ExecuteStatement", {"Statement": "SELECT * FROM orders WHERE pk = 'c'"})
        assert (await client.call("ExecuteStatement", {"Statement": "DELETE FROM orders WHERE v = 1"})).status == 400
        assert {operation.key for operation in await client.history()} == {"orders/c", "orders/d"}

    in_the_lab(work)


def test_the_wall_clock_can_be_moved_and_writes_go_on() -> None:
    async def work(client: Client) -> None:
        await client.create()
        await client.fault("clock", offset_s=3_600)
        assert (await client.put("k", 1)).status == 200
        await client.fault("clock-drift", node="n1", ppm=200)
        assert await client.get("k") == 1
        await client.fault("heal")
        assert (await client.put("k", 2)).status == 200

    in_the_lab(work)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("partition", {"zone": "z3"}),
        ("one-way-cut", {"from": "n1", "to": "n2"}),
        ("delay", {"delay_ms": 2, "spread_ms": 3}),
        ("loss", {"percent": 5}),
        ("duplicate", {"percent": 50, "late_ms": 5}),
        ("reorder", {"percent": 50, "spread_ms": 5}),
        ("slow-node", {"node": "n3", "each_ms": 1}),
        ("clock-offset", {"node": "n1", "offset_ms": 2000}),
        ("node-crash", {"node": "n3"}),
    ],
)
def test_under_this_fault_the_history_stays_valid_and_the_fault_hits(
    name: str, parameters: dict[str, str | int]
) -> None:
    async def work(client: Client) -> None:
        await client.create()
        entry = await client.fault(name, **parameters)
        for number in range(30):
            assert (await client.put(f"k{number % 3}", number)).status == 200
            assert await client.get(f"k{number % 3}") == number
        state = await client.state()
        (now,) = cast("list[JSON]", state["faults"])
        assert now["id"] == entry["id"]
        assert cast(int, now["hits"]) > 0
        assert check_register(await client.history()).verdict == "valid"
        assert state["failures"] == []

    in_the_lab(work)


def test_a_fault_with_a_duration_ends_by_itself() -> None:
    async def work(client: Client) -> None:
        await client.fault("loss", percent=1, duration_ms=20)
        while cast("list[JSON]", (await client.state())["faults"])[0]["active"]:
            await asyncio.sleep(0.01)
        assert client.service.cluster.network is None

    in_the_lab(work)


def test_reset_leaves_no_table_no_fault_and_no_history() -> None:
    async def work(client: Client) -> None:
        await client.create()
        await client.create("other")
        await client.put("k", 1)
        await client.fault("node-crash", node="n2")
        assert (await client.page("POST", "reset", {})).status == 200
        assert await client.ok("ListTables", {}) == {"TableNames": []}
        state = await client.state()
        assert (state["faults"], state["recorded"]) == ([], 0)
        await client.create()
        assert await client.get("k") is None

    in_the_lab(work)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"fault": "earthquake"}, "there is no fault 'earthquake'; there are kill-leader"),
        ({}, "name a fault"),
        ([], "the body must be an object"),
        ({"fault": "loss", "percent": 101}, "percent lies between 1 and 100"),
        ({"fault": "loss", "percent": "ten"}, "percent is a whole number"),
        ({"fault": "loss", "percentage": 10}, "loss takes no percentage"),
        ({"fault": "node-crash", "node": "n9"}, "there is no node 'n9'; there are n1, n2, n3, router1"),
        ({"fault": "zone-loss"}, "zone-loss needs zone"),
        ({"fault": "partition"}, "name one of them"),
        ({"fault": "kill-leader", "table": "none"}, "nobody leads a partition of 'none' now"),
        ({"fault": "stale-reads", "mode": "sometimes"}, "mode is one of always, never, seed"),
        ({"fault": "stale-reads", "mode": "seed"}, "stale-reads needs seed"),
        ({"fault": "clock-drift", "ppm": 10_000}, "ppm lies between -200 and 200"),
        ({"fault": "throttle", "operation": "Putitem"}, "there is no operation 'Putitem'"),
        ({"fault": "conflict", "operation": "GetItem"}, "conflict never strikes GetItem; it strikes DeleteItem, "),
        ({"fault": "throttle", "operation": "CreateTable", "error": "account"}, "throttle never strikes CreateTable"),
        ({"fault": "fail", "operation": "ConditionCheckItem"}, "fail never strikes ConditionCheckItem"),
        ({"fault": "region-conflict", "operation": "TransactWriteItems"}, "never strikes TransactWriteItems"),
    ],
)
def test_a_wrong_fault_is_answered_with_what_to_write(body: object, text: str) -> None:
    async def work(client: Client) -> Reply:
        return await client.page("POST", "faults", body)

    found = in_the_lab(work)
    assert found.status == 400
    assert text in json.loads(found.body)["error"]


def test_no_web_page_can_reach_the_lab() -> None:
    async def work(client: Client) -> list[int]:
        send = client.wire.send
        simple = await send(b"{}", path="/_dynalab/reset", Host="127.0.0.1:1", Content_Type="text/plain")
        rebound = await send(b"{}", path="/_dynalab/reset", Host="evil.example:1", Content_Type="application/json")
        unknown = await send(b"{}", path="/_dynalab/x", Host="127.0.0.1:1", Content_Type="application/json")
        return [simple.status, rebound.status, unknown.status]

    assert in_the_lab(work) == [415, 403, 404]


def test_a_described_table_is_known_again_with_its_indexes_of_both_kinds() -> None:
    pk, n = KeyAttribute("pk", "S"), KeyAttribute("n", "N")
    b, c, d = (KeyAttribute(name, "S") for name in "bcd")
    schema = TableSchema(
        "T",
        KeySchema(pk, KeyAttribute("sk", "B")),
        (IndexSchema("global", KeySchema(n), "ALL"), IndexSchema("long", KeySchema(n, c, (b,), (d,)), "ALL")),
        (IndexSchema("local", KeySchema(pk, n), "ALL"),),
    )
    assert _schema(cast("Any", describe(schema, {}, "ACTIVE", 0.0))) == schema


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        ("provisioned", "dynamodb.v20120810#ProvisionedThroughputExceededException", "throughput for the table"),
        ("index", "dynamodb.v20120810#ProvisionedThroughputExceededException", "one or more global secondary indexes"),
        ("on-demand", "dynamodb.v20120810#ThrottlingException", "check if you have a hot key"),
        ("account", "dynamodb.v20120810#RequestLimitExceeded", "quota for your account"),
    ],
)
def test_a_throttle_is_told_with_the_error_of_what_ran_out(error: str, code: str, words: str) -> None:
    async def work(client: Client) -> None:
        await client.create()
        await client.fault("throttle", operation="PutItem", error=error, count=2)
        for _ in range(2):
            answer = await client.put("a", 1)
            assert (answer.status, answer.error) == (400, f"com.amazonaws.{code}")
            assert words in answer.body.decode()
        assert (await client.put("a", 1)).status == 200

    in_the_lab(work)


def test_a_conflict_refuses_single_writes_cancels_transactions_and_leaves_reads_alone() -> None:
    async def work(client: Client) -> None:
        await client.create()
        await client.fault("conflict", table="orders", count=3)
        assert await client.get("a") is None
        answer = await client.put("a", 1)
        assert answer.error.endswith("#TransactionConflictException")
        assert "Transaction is ongoing for the item" in answer.body.decode()
        puts = [{"Put": {"TableName": "orders", "Item": {"pk": {"S": name}}}} for name in ("b", "c")]
        cancelled = await client.call("TransactWriteItems", {"TransactItems": puts})
        content = json.loads(cancelled.body)
        assert content["__type"].endswith("#TransactionCanceledException")
        assert [reason["Code"] for reason in content["CancellationReasons"]] == ["TransactionConflict", "None"]
        gets = [{"Get": {"TableName": "orders", "Key": {"pk": {"S": "b"}}}}]
        assert (await client.call("TransactGetItems", {"TransactItems": gets})).error.endswith("CanceledException")
        assert (await client.put("a", 2)).status == 200, "three calls were refused, and no more"
        assert await client.get("b") is None
        judged = await client.history()
        assert [o.outcome for o in judged if o.f == "write" and o.key == "orders/a"] == ["fail", "ok"]

    in_the_lab(work)


def test_a_rule_about_a_table_finds_it_anywhere_in_a_batch() -> None:
    async def work(client: Client) -> None:
        await client.create("first")
        await client.create("second")
        await client.fault("throttle", operation="BatchWriteItem", table="second")
        write = [{"PutRequest": {"Item": {"pk": {"S": "a"}}}}]
        assert (await client.call("BatchWriteItem", {"RequestItems": {"first": write}})).status == 200
        both: JSON = {"RequestItems": {"first": write, "second": write}}
        assert (await client.call("BatchWriteItem", both)).error.endswith("#ProvisionedThroughputExceededException")
        assert (await client.call("BatchWriteItem", both)).status == 200

    in_the_lab(work)


async def _both(client: Client, v: int) -> None:
    for table in ("orders", "others"):
        item = {"pk": {"S": "k"}, "v": {"N": str(v)}}
        await client.ok("PutItem", {"TableName": table, "Item": item})


async def _seen(client: Client, operation: str, **body: object) -> list[object]:
    """What the tables "orders" and "others" answer."""
    answers = [await client.ok(operation, {"TableName": table, **body}) for table in ("orders", "others")]
    return [answer.get("Item") or answer.get("Count") for answer in answers]


def test_one_table_s_index_lags_and_the_other_s_does_not() -> None:
    async def work(client: Client) -> None:
        await client.create("orders", index=True)
        await client.create("others", index=True)
        await client.fault("index-lag", table="orders")
        await _both(client, 7)
        query = {
            "IndexName": "by-v",
            "KeyConditionExpression": "v = :v",
            "ExpressionAttributeValues": {":v": {"N": "7"}},
        }
        while (seen := await _seen(client, "Query", **query)) != [0, 1]:
            assert seen == [0, 0], "the index of orders is held back"
            await asyncio.sleep(0.02)
        await client.fault("heal")
        while await _seen(client, "Query", **query) != [1, 1]:
            await asyncio.sleep(0.02)

    in_the_lab(work)


def test_one_table_s_eventual_reads_are_stale_and_the_other_s_catch_up() -> None:
    async def work(client: Client) -> None:
        await client.create("orders")
        await client.create("others")
        await _both(client, 1)
        await asyncio.sleep(0.3)  # every replica has it
        await client.fault("stale-reads", table="orders", lag_ms=60_000)
        await _both(client, 2)
        old, new = ({"pk": {"S": "k"}, "v": {"N": v}} for v in "12")
        while (seen := await _seen(client, "GetItem", Key={"pk": {"S": "k"}})) != [old, new]:
            assert seen == [old, old], "orders stays behind"
            await asyncio.sleep(0.02)
        assert await _seen(client, "GetItem", Key={"pk": {"S": "k"}}, ConsistentRead=True) == [new, new]

    in_the_lab(work)

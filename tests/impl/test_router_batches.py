"""What a router promises for batches: whole answers, unprocessed parts, and 500 for what is unknown."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_impl import router
from dynalab_impl.batching import Part, conclude
from dynalab_model.operations import BatchGetItem, BatchWriteItem, DeleteItem, GetItem

SECOND = 1_000_000_000
UNKNOWN = Part(500, {"__type": "x#InternalServerError"}, "InternalServerError")
LATER = Part(400, {"__type": "x#ThrottlingException"}, "ThrottlingException")
GONE = Part(400, {"__type": "x#ResourceNotFoundException"}, "ResourceNotFoundException")
DONE = Part(200, {}, "")


def key(text: str) -> dict[str, Any]:
    return {"pk": {"S": text}}


def puts(names: list[str]) -> list[dict[str, Any]]:
    return [{"PutRequest": {"Item": {**key(name), "v": {"S": name}}}} for name in names]


NAMES = [f"k{number}" for number in range(25)]


def test_a_batch_of_writes_over_all_partitions_is_read_back_by_a_batch(lab: Any) -> None:
    written = lab.call("BatchWriteItem", RequestItems={"things": puts(NAMES)}, ReturnConsumedCapacity="TOTAL")
    assert (written.status, written.body["UnprocessedItems"]) == (200, {})
    assert written.body["ConsumedCapacity"] == [{"TableName": "things", "CapacityUnits": 25.0}]
    assert len({lab.leader(name)[1] for name in NAMES}) > 1, "the batch spans partitions"
    asked = {"Keys": [key(name) for name in [*NAMES, "absent"]], "ConsistentRead": True, "ProjectionExpression": "v"}
    read = lab.call("BatchGetItem", router=1, RequestItems={"things": asked})
    assert read.body == {"Responses": {"things": [{"v": {"S": name}} for name in NAMES]}, "UnprocessedKeys": {}}
    assert lab.simulation.hosts[lab.simulation.storage_count].node.batches == {}


def test_a_batch_may_span_tables_that_the_router_does_not_know_yet(lab: Any) -> None:
    lab.create("others")
    written = lab.call("BatchWriteItem", router=1, RequestItems={"things": puts(["a"]), "others": puts(["b"])})
    assert written.body == {"UnprocessedItems": {}}
    assert (lab.get("a"), lab.get("b", table="others")) == ("a", "b")


def test_a_batch_with_a_table_that_is_not_there_writes_nothing(lab: Any) -> None:
    answer = lab.call("BatchWriteItem", RequestItems={"things": puts(["a"]), "nowhere": puts(["b"])})
    assert answer.error == "ResourceNotFoundException"
    assert lab.get("a") is None


def test_a_batch_with_two_requests_for_one_item_writes_nothing(lab: Any) -> None:
    writes = [*puts(["a"]), {"DeleteRequest": {"Key": key("a")}}]
    answer = lab.call("BatchWriteItem", RequestItems={"things": writes})
    assert answer.body["message"] == "Provided list of item keys contains duplicates"
    assert lab.get("a") is None


def test_reads_of_a_partition_without_a_quorum_come_back_unprocessed(lab: Any) -> None:
    lab.call("BatchWriteItem", RequestItems={"things": puts(NAMES)})
    _, group = lab.leader("k0")
    lost = [name for name in NAMES if lab.leader(name)[1] == group]
    groups = {name: lab.members(lab.leader(name)[1]) for name in NAMES}
    down = lab.members(group)[:2]
    for index in down:
        lab.simulation.crash(index)
    asked = {"Keys": [key(name) for name in NAMES], "ConsistentRead": True}
    read = lab.call("BatchGetItem", RequestItems={"things": asked}, wait_ns=12 * SECOND)
    assert read.status == 200
    unprocessed = [one["pk"]["S"] for one in read.body["UnprocessedKeys"]["things"]["Keys"]]
    assert set(lost) <= set(unprocessed) < set(NAMES)
    assert read.body["UnprocessedKeys"]["things"]["ConsistentRead"] is True
    assert all(len([i for i in groups[name] if i in down]) == 2 for name in unprocessed), "only what lost its quorum"
    got = [item["pk"]["S"] for item in read.body["Responses"]["things"]]
    assert sorted(got + unprocessed) == sorted(NAMES)


def test_a_batch_with_a_write_of_unknown_outcome_is_a_500(lab: Any) -> None:
    lab.get("k0")  # the router knows the table, so the writes are sent
    _, group = lab.leader("k0")
    for index in lab.members(group)[:2]:
        lab.simulation.crash(index)
    answer = lab.call("BatchWriteItem", RequestItems={"things": puts(NAMES)}, wait_ns=12 * SECOND)
    assert (answer.status, answer.error) == (500, "InternalServerError")


def test_a_batch_that_never_left_the_router_is_refused_as_a_whole_and_did_not_happen(lab: Any) -> None:
    storage = range(lab.simulation.storage_count)
    for index in storage:
        lab.simulation.crash(index)
    answer = lab.call("BatchWriteItem", RequestItems={"things": puts(NAMES)}, wait_ns=12 * SECOND)
    assert answer.error == "ThrottlingException"
    for index in storage:
        lab.simulation.restart(index)
    lab.run(6 * SECOND)
    assert lab.call("Scan", TableName="things", ConsistentRead=True).body["Count"] == 0


def test_a_batch_for_which_the_router_has_no_room_is_refused_before_any_part_is_sent(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router, "PENDING_MAX", 24)
    answer = lab.call("BatchWriteItem", RequestItems={"things": puts(NAMES)})
    assert answer.error == "ThrottlingException"
    assert lab.call("BatchWriteItem", RequestItems={"things": puts(NAMES[:20])}).body == {"UnprocessedItems": {}}
    assert lab.call("Scan", TableName="things", ConsistentRead=True).body["Count"] == 20


def test_a_router_with_a_batch_in_its_hands_is_plain_data_that_can_be_copied(lab: Any) -> None:
    lab.get("k0")
    node = lab.simulation.hosts[lab.simulation.storage_count].node
    lab.send("BatchWriteItem", RequestItems={"things": puts(NAMES)})
    while not node.batches:
        lab.run(10_000)
    now_ns = lab.simulation.now
    other = node.copy()
    assert other.batches == node.batches and other.batches is not node.batches
    before = node.fingerprint(now_ns)
    assert other.fingerprint(now_ns) == before
    lab.run(2 * SECOND)
    assert node.batches == {} != other.batches, "the copy goes its own way"
    assert other.fingerprint(now_ns) == before


# --- what a batch's parts come to -----------------------------------------------------------------------------------

READS = BatchGetItem((GetItem("T", key("a")), GetItem("T", key("b"))))
WRITES = BatchWriteItem((DeleteItem("T", key("a")), DeleteItem("T", key("b"))))


@pytest.mark.parametrize(
    ("parts", "status", "error"),
    [
        ([DONE, DONE], 200, ""),
        ([DONE, LATER], 200, ""),
        ([DONE, UNKNOWN], 500, "InternalServerError"),
        ([LATER, UNKNOWN], 500, "InternalServerError"),
        ([LATER, LATER], 400, "ThrottlingException"),
        ([GONE, GONE], 400, "ResourceNotFoundException"),
        ([GONE, LATER], 400, "ResourceNotFoundException"),
        ([GONE, DONE], 500, "InternalServerError"),
    ],
)
def test_a_batch_of_writes_says_no_more_than_is_certain(parts: list[Part], status: int, error: str) -> None:
    for order in (parts, parts[::-1]):
        answer = conclude(WRITES, order)
        assert (answer.status, answer.error) == (status, error)


def test_a_write_that_was_never_sent_is_unprocessed() -> None:
    assert conclude(WRITES, [DONE, LATER]).body == {"UnprocessedItems": {"T": [{"DeleteRequest": {"Key": key("b")}}]}}


@pytest.mark.parametrize(
    ("parts", "status", "error"),
    [
        ([DONE, UNKNOWN], 200, ""),
        ([DONE, LATER], 200, ""),
        ([UNKNOWN, UNKNOWN], 500, "InternalServerError"),
        ([LATER, LATER], 400, "ThrottlingException"),
        ([DONE, GONE], 400, "ResourceNotFoundException"),
    ],
)
def test_a_batch_of_reads_gives_what_it_has(parts: list[Part], status: int, error: str) -> None:
    for order in (parts, parts[::-1]):
        answer = conclude(READS, order)
        assert (answer.status, answer.error) == (status, error)

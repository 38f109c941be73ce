"""What a router promises for PartiQL: one answer from many requests, definite errors and 500 for what is unknown."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_impl import router

SECOND = 1_000_000_000
NAMES = [f"k{number}" for number in range(25)]
INSERTS = [{"Statement": f"INSERT INTO things VALUE {{'pk': '{name}', 'v': '{name}'}}"} for name in NAMES]


def execute(lab: Any, statement: str, *parameters: dict[str, Any], **body: Any) -> Any:
    given = {"Parameters": list(parameters)} if parameters else {}
    return lab.call("ExecuteStatement", Statement=statement, **given, **body)


def waiting(lab: Any) -> Any:
    return lab.simulation.hosts[lab.simulation.storage_count].node.batches


def test_statements_over_all_partitions_write_and_read_what_they_say(lab: Any) -> None:
    written = lab.call("BatchExecuteStatement", Statements=INSERTS, ReturnConsumedCapacity="TOTAL")
    assert (written.status, written.body["Responses"]) == (200, [{"TableName": "things"}] * 25)
    assert written.body["ConsumedCapacity"] == [{"TableName": "things", "CapacityUnits": 25.0}]
    assert len({lab.leader(name)[1] for name in NAMES}) > 1, "the statements span partitions"
    names = ", ".join(f"'{name}'" for name in NAMES)
    seen: list[str] = []
    token: dict[str, str] = {}
    for _ in range(3):
        statement = f"SELECT v FROM things WHERE pk IN [{names}]"
        page = execute(lab, statement, router=1, ConsistentRead=True, **token)
        seen += [item["v"]["S"] for item in page.body["Items"]]
        token = {"NextToken": page.body.get("NextToken")}
    assert seen == NAMES and token == {"NextToken": None}
    scan = execute(lab, "SELECT * FROM things WHERE v >= ?", {"S": "k8"}, ConsistentRead=True)
    assert sorted(item["pk"]["S"] for item in scan.body["Items"]) == ["k8", "k9"]
    assert waiting(lab) == {}


def test_a_table_that_the_router_does_not_know_is_looked_up_first(lab: Any) -> None:
    lab.create("others")
    assert execute(lab, "INSERT INTO others VALUE {'pk': 'a', 'v': 'x'}", router=1).body == {"Items": []}
    assert lab.get("a", table="others") == "x"
    refused = execute(lab, "SELECT * FROM nowhere", router=1)
    assert refused.error == "ResourceNotFoundException"


def test_an_insert_of_a_key_that_is_there_is_a_duplicate_and_other_failures_keep_their_names(lab: Any) -> None:
    insert = "INSERT INTO things VALUE {'pk': 'a', 'v': '1'}"
    assert execute(lab, insert).status == 200
    again = execute(lab, insert)
    assert (again.status, again.error, again.body["message"]) == (
        400,
        "DuplicateItemException",
        "Duplicate primary key exists in table",
    )
    failed = execute(
        lab, "UPDATE things SET v = '2' WHERE pk = 'a' AND v = '0'", ReturnValuesOnConditionCheckFailure="ALL_OLD"
    )
    assert (failed.error, failed.body["Item"]) == (
        "ConditionalCheckFailedException",
        {"pk": {"S": "a"}, "v": {"S": "1"}},
    )


def test_an_error_that_needs_the_table_is_told_and_nothing_stays_behind(lab: Any) -> None:
    answer = execute(lab, "UPDATE things SET v = '2' WHERE v = '0'")
    assert answer.body["message"] == "Where clause does not contain a mandatory equality on all key attributes"
    assert waiting(lab) == {}


def test_each_member_of_a_batch_has_its_own_outcome(lab: Any) -> None:
    lab.put("a", "1")
    statements = [
        "INSERT INTO things VALUE {'pk': 'a'}",
        "INSERT INTO nowhere VALUE {'pk': 'a'}",
        "no statement",
        "UPDATE things SET v = '2' WHERE pk = 'b'",
        "DELETE FROM things WHERE pk = 'c'",
        "INSERT INTO things VALUE {'pk': 'd', 'v': '1'}",
    ]
    answer = lab.call("BatchExecuteStatement", Statements=[{"Statement": one} for one in statements])
    assert [one.get("Error", {}).get("Code") for one in answer.body["Responses"]] == [
        "DuplicateItem",
        "ResourceNotFound",
        "ValidationError",
        "ConditionalCheckFailed",
        None,
        None,
    ]
    assert ["TableName" in one for one in answer.body["Responses"]] == [True, False, False, True, True, True]
    assert (lab.get("a"), lab.get("d")) == ("1", "1")
    assert waiting(lab) == {}


def test_a_batch_of_nothing_but_refusals_is_answered(lab: Any) -> None:
    answer = lab.call("BatchExecuteStatement", Statements=[{"Statement": "no"}, {"Statement": "neither"}])
    assert [one["Error"]["Code"] for one in answer.body["Responses"]] == ["ValidationError"] * 2


def test_a_batch_that_names_an_item_twice_writes_nothing(lab: Any) -> None:
    answer = lab.call("BatchExecuteStatement", Statements=[*INSERTS[:3], INSERTS[0]])
    assert answer.body["message"] == "Provided list of item keys contains duplicates"
    lab.run(SECOND)
    assert lab.get("k1") is None
    assert waiting(lab) == {}


def test_a_write_whose_outcome_is_unknown_is_a_500_alone_and_in_a_batch(lab: Any) -> None:
    lab.get("k0")  # the router knows the table, so the writes are sent
    _, group = lab.leader("k0")
    lost = [name for name in NAMES if lab.leader(name)[1] == group]
    for index in lab.members(group)[:2]:
        lab.simulation.crash(index)
    alone = lab.send("ExecuteStatement", Statement="UPDATE things SET v = '1' WHERE pk = 'k0'")
    answer = lab.call("BatchExecuteStatement", Statements=INSERTS, wait_ns=12 * SECOND)
    codes = {name: one.get("Error", {}).get("Code") for name, one in zip(NAMES, answer.body["Responses"], strict=True)}
    assert answer.status == 200
    assert {codes[name] for name in lost} == {"InternalServerError"}
    assert (lab.answers[alone].status, lab.answers[alone].error) == (500, "InternalServerError")


def test_a_statement_that_never_left_the_router_is_refused_and_did_not_happen(lab: Any) -> None:
    storage = range(lab.simulation.storage_count)
    for index in storage:
        lab.simulation.crash(index)
    insert = "INSERT INTO things VALUE {'pk': 'a', 'v': '1'}"
    answer = execute(lab, insert, wait_ns=12 * SECOND)
    assert answer.error == "ThrottlingException"
    for index in storage:
        lab.simulation.restart(index)
    lab.run(6 * SECOND)
    assert lab.get("a") is None


def test_a_batch_for_which_the_router_has_no_room_is_refused_before_any_member_is_sent(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router, "PENDING_MAX", 24)
    assert lab.call("BatchExecuteStatement", Statements=INSERTS).error == "ThrottlingException"
    assert lab.call("BatchExecuteStatement", Statements=INSERTS[:20]).status == 200
    assert lab.call("Scan", TableName="things", ConsistentRead=True).body["Count"] == 20


def test_a_router_with_statements_in_its_hands_is_plain_data_that_can_be_copied(lab: Any) -> None:
    lab.get("k0")
    node = lab.simulation.hosts[lab.simulation.storage_count].node
    lab.send("BatchExecuteStatement", Statements=INSERTS)
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

"""Global indexes that come to a table in use and go again, and what they may hold up: whatever breaks meanwhile, in the
end each index is exactly the projection of its table (consistency.md, row 7).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dynalab_impl import messages as m
from dynalab_impl.effects import Limits
from dynalab_impl.partition import Partition
from dynalab_model.items import index_entry
from dynalab_model.keys import index_key

SECOND = 1_000_000_000
MakeLab = Callable[..., Any]


def shape(name: str, *keys: str, **members: Any) -> dict[str, Any]:
    elements = [{"AttributeName": key, "KeyType": ("HASH", "RANGE")[place]} for place, key in enumerate(keys)]
    return {"IndexName": name, "KeySchema": elements, "Projection": {"ProjectionType": "ALL"}, **members}


def definitions(**types: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()]


def add(lab: Any, made: dict[str, Any], **types: str) -> Any:
    update = [{"Create": made}]
    answer = lab.call(
        "UpdateTable", TableName="things", GlobalSecondaryIndexUpdates=update, AttributeDefinitions=definitions(**types)
    )
    assert answer.status == 200, answer
    return answer


def remove(lab: Any, name: str) -> Any:
    update = [{"Delete": {"IndexName": name}}]
    return lab.call("UpdateTable", TableName="things", GlobalSecondaryIndexUpdates=update)


def state_of(lab: Any, name: str) -> tuple[str, str, bool | None]:
    """The table's status and the index's, and whether it is backfilling."""
    table = lab.call("DescribeTable", TableName="things").body["Table"]
    for told in table.get("GlobalSecondaryIndexes", []):
        if told["IndexName"] == name:
            return table["TableStatus"], told["IndexStatus"], told.get("Backfilling")
    return table["TableStatus"], "", None


def until(lab: Any, name: str, status: str, backfilling: bool | None = None, step_ns: int = SECOND // 50) -> list[Any]:
    """Run until the index has this status; all states that were seen on the way."""
    seen: list[Any] = []
    for _ in range(3_000):
        told = state_of(lab, name)
        if told not in seen[-1:]:
            seen.append(told)
        if told[1:] == (status, backfilling):
            return seen
        lab.run(step_ns)
    raise AssertionError(f"never {status}, but {seen}")


def put(lab: Any, key: str, colour: str | None, value: int = 0, **more: Any) -> Any:
    attributes = {"colour": {"S": colour}} if colour else {}
    return lab.put(key, value, attributes={**attributes, **more})


def query(lab: Any, name: str, attribute: str, value: Any, router: int = 0) -> list[str]:
    answer = lab.call(
        "Query",
        router,
        TableName="things",
        IndexName=name,
        KeyConditionExpression="#a = :v",
        ExpressionAttributeNames={"#a": attribute},
        ExpressionAttributeValues={":v": value},
    )
    assert answer.status == 200, answer
    return sorted(item["pk"]["S"] for item in answer.body["Items"])


def led(lab: Any) -> list[Any]:
    nodes = [lab.simulation.hosts[host].node for host in range(lab.simulation.storage_count)]
    replicas = [replica for node in nodes if node is not None for replica in node.replicas.values()]
    return [r for r in replicas if r.spec.table == "things" and r.is_leader and r.state.split is None]


def check_converged(lab: Any) -> None:
    """After quiescence each index holds the projection of its table, and nothing else; nothing is owed."""
    leaders = led(lab)
    base = [replica.state for replica in leaders if not replica.spec.index]
    assert all(isinstance(state, Partition) and not state.owed for state in base)
    form = max((state.form for state in base), key=lambda form: form.version)
    items = [stored.item for state in base for stored in state.items.values()]
    for index in form.schema.indexes:
        entries = [index_entry(form.schema, index, item) for item in items]
        wanted = {index_key(index.key, form.schema.key, entry): entry for entry in entries if entry is not None}
        held: dict[bytes, Any] = {}
        for replica in leaders:
            if replica.spec.index == index.name:
                held |= {key: stored.item for key, stored in replica.state.items.items()}
        assert held == wanted, index.name


@pytest.fixture
def full(make_lab: MakeLab) -> Any:
    """A table of 60 things of two colours, and some without any."""
    lab = make_lab()
    lab.create()
    for number in range(60):
        put(lab, f"k{number}", ("red", "blue", None)[number % 3], number)
    return lab


@pytest.mark.claim("S27")
def test_an_index_of_a_full_table_shows_both_phases_and_then_everything(full: Any) -> None:
    add(full, shape("by-colour", "colour"), colour="S")
    seen = until(full, "by-colour", "ACTIVE")
    assert seen == [
        ("UPDATING", "CREATING", False),
        ("ACTIVE", "CREATING", True),
        ("ACTIVE", "ACTIVE", None),
    ]
    assert query(full, "by-colour", "colour", {"S": "red"}) == sorted(f"k{n}" for n in range(0, 60, 3))
    full.run(2 * SECOND)
    check_converged(full)
    assert not any(state.backfills for state in [r.state for r in led(full)])


def test_a_new_index_is_not_read_before_it_is_full(full: Any) -> None:
    add(full, shape("by-colour", "colour"), colour="S")
    for router in (0, 1):
        answer = full.call("Scan", router, TableName="things", IndexName="by-colour")
        words = "Cannot read from backfilling global secondary index: by-colour"
        assert (answer.status, answer.body["message"]) == (400, words)
    until(full, "by-colour", "ACTIVE")
    for router in (0, 1):
        assert len(query(full, "by-colour", "colour", {"S": "blue"}, router)) == 20


@pytest.mark.claim("S93")
def test_several_indexes_of_every_projection_converge_after_updates_of_their_keys(full: Any) -> None:
    """Key changes, sparse entries, and writes that change what is projected or what is not (S28, S29, S30)."""
    add(full, shape("by-colour", "colour", "v"), colour="S", v="S")
    until(full, "by-colour", "ACTIVE")
    keys_only = {"ProjectionType": "KEYS_ONLY"}
    add(full, shape("by-size", "size", Projection=keys_only), size="N")
    until(full, "by-size", "ACTIVE")
    included = {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["v"]}
    add(full, shape("by-both", "size", "colour", Projection=included), size="N")
    until(full, "by-both", "ACTIVE")
    for number in range(60):
        size = {"size": {"N": str(number % 5)}} if number % 4 else {}
        put(full, f"k{number}", ("blue", "green", "red", None)[number % 4], number + 1, **size)
    for number in range(0, 60, 7):
        full.call("DeleteItem", TableName="things", Key={"pk": {"S": f"k{number}"}})
    full.run(3 * SECOND)
    check_converged(full)
    assert query(full, "by-size", "size", {"N": "2"})


def test_what_cannot_be_a_key_of_the_index_is_left_out_of_it(full: Any) -> None:
    """architecture.md §12: violations of type and size are skipped, and refused once the index is ACTIVE."""
    assert full.put("number", 0, attributes={"colour": {"N": "5"}}).status == 200
    assert full.put("long", 0, attributes={"colour": {"S": "x" * 2_049}}).status == 200
    add(full, shape("by-colour", "colour"), colour="S")
    until(full, "by-colour", "ACTIVE")
    answer = full.call("Scan", TableName="things", IndexName="by-colour")
    assert answer.body["Count"] == 40
    refused = full.put("number", 0, attributes={"colour": {"N": "5"}})
    assert refused.status == 400 and "Type mismatch for Index Key colour" in str(refused.body["message"])
    full.run(SECOND)
    check_converged(full)


def test_writes_go_on_while_an_index_is_filled_and_all_of_them_reach_it(make_lab: MakeLab) -> None:
    """Live writes and the backfill owe changes of the same entries; versions decide, not the order of arrival."""
    lab = make_lab(seed=5)
    lab.create()
    for number in range(80):
        put(lab, f"k{number}", "red", number)
    add(lab, shape("by-colour", "colour"), colour="S")
    for number in range(0, 80, 2):
        if number % 3 == 0:
            lab.send("DeleteItem", TableName="things", Key={"pk": {"S": f"k{number}"}})
        else:
            item = {"pk": {"S": f"k{number}"}, "v": {"S": "new"}, "colour": {"S": ("red", "blue")[number % 4 == 0]}}
            lab.send("PutItem", TableName="things", Item=item)
        lab.run(7_000_000)
    until(lab, "by-colour", "ACTIVE")
    lab.run(2 * SECOND)
    check_converged(lab)


@pytest.mark.parametrize("delayed", ["IndexRequest", "Accept", "Alter", "Altered"])
def test_an_index_is_filled_through_the_death_of_leaders(make_lab: MakeLab, delayed: str) -> None:
    """The position is in the log: whoever leads next goes on. The catalog's leader dies, too."""
    lab = make_lab(seed=11)
    lab.create()
    for number in range(60):
        put(lab, f"k{number}", ("red", "blue")[number % 2], number)
    everybody = list(range(lab.simulation.storage_count))
    rule = lab.rule("delay", everybody, everybody, names=(delayed,), delay_ns=60_000_000)
    add(lab, shape("by-colour", "colour"), colour="S")
    for _ in range(3):
        lab.run(SECOND // 5)
        index, _ = lab.leader("k1")
        lab.simulation.crash(index)
        put(lab, "k2", "green", 1)
        lab.run(3 * SECOND)
        lab.simulation.restart(index)
        lab.run(SECOND)
    lab.simulation.network.remove_rule(rule)
    until(lab, "by-colour", "ACTIVE", step_ns=SECOND // 4)
    lab.run(4 * SECOND)
    check_converged(lab)


def test_partitions_of_table_and_index_divide_while_the_index_is_filled(make_lab: MakeLab) -> None:
    lab = make_lab(seed=7, partitions=1)
    lab.create()
    for number in range(200):
        put(lab, f"k{number}", ("red", "blue")[number % 2], number)
    everybody = list(range(lab.simulation.storage_count))
    rule = lab.rule("cut", everybody, everybody, names=("IndexRequest",), both_ways=True)
    add(lab, shape("by-colour", "colour"), colour="S")
    until(lab, "by-colour", "CREATING", backfilling=True)
    lab.run(SECOND)
    index, group = lab.leader("k0")
    half_full = lab.simulation.hosts[index].node.replicas[group].state
    assert any(one.after and not one.done for one in half_full.backfills.values()), "it is in the middle"
    lab.simulation.order(index, m.SplitNow(group))
    lab.run(SECOND)
    lab.simulation.network.remove_rule(rule)
    lab.run(SECOND // 10)
    for host in everybody:
        for name, replica in list(lab.simulation.hosts[host].node.replicas.items()):
            if replica.spec.index and replica.is_leader:
                lab.simulation.order(host, m.SplitNow(name))
    until(lab, "by-colour", "ACTIVE")
    lab.run(4 * SECOND)
    assert len([r for r in led(lab) if not r.spec.index]) == 2
    check_converged(lab)
    assert len(query(lab, "by-colour", "colour", {"S": "red"})) == 100


def test_a_backfill_goes_on_from_a_snapshot(make_lab: MakeLab) -> None:
    lab = make_lab(seed=7, partitions=1)
    lab.create()
    for number in range(200):
        put(lab, f"k{number}", "red", number)
    everybody = list(range(lab.simulation.storage_count))
    lab.rule("cut", everybody, everybody, names=("IndexRequest",), both_ways=True)
    add(lab, shape("by-colour", "colour"), colour="S")
    until(lab, "by-colour", "CREATING", backfilling=True)
    lab.run(SECOND)
    index, group = lab.leader("k0")
    state = lab.simulation.hosts[index].node.replicas[group].state
    from dynalab_impl.snapshot import SnapshotHeader

    copy = state.fresh()
    header = SnapshotHeader(state.spec, state.applied, state.log_time_ns, state.spec.members, (1, "n1"), state.counter)
    copy.load(header, [state.image(part) for part in state.view()])
    assert copy.backfills == state.backfills and copy.owed == state.owed and copy.form == state.form
    assert state.backfills["by-colour"].after and not state.backfills["by-colour"].done


def test_a_deleted_index_goes_and_one_of_its_name_may_come(full: Any) -> None:
    add(full, shape("by-colour", "colour"), colour="S")
    until(full, "by-colour", "ACTIVE")
    assert remove(full, "by-colour").status == 200
    assert state_of(full, "by-colour")[:2] == ("UPDATING", "DELETING")
    seen = until(full, "by-colour", "")
    assert seen[-1][0] == "ACTIVE"
    for router in (0, 1):
        answer = full.call("Scan", router, TableName="things", IndexName="by-colour")
        words = "The table does not have the specified index: by-colour"
        assert (answer.status, answer.body["message"]) == (400, words)
    full.run(SECOND)
    hosted = [name for host in full.simulation.hosts for name in getattr(host.node, "replicas", {})]
    assert not [name for name in hosted if "by-colour" in name]
    add(full, shape("by-colour", "v"), v="S")
    until(full, "by-colour", "ACTIVE")
    for router in (0, 1):
        assert query(full, "by-colour", "v", {"S": "7"}, router) == ["k7"]
    put(full, "k7", "red", 8)
    full.run(2 * SECOND)
    check_converged(full)


def test_an_index_may_be_deleted_while_it_is_filled(make_lab: MakeLab) -> None:
    lab = make_lab(seed=4)
    lab.create()
    for number in range(40):
        put(lab, f"k{number}", "red", number)
    everybody = list(range(lab.simulation.storage_count))
    rule = lab.rule("cut", everybody, everybody, names=("IndexRequest",), both_ways=True)
    add(lab, shape("by-colour", "colour"), colour="S")
    until(lab, "by-colour", "CREATING", backfilling=True)
    lab.run(SECOND)
    assert any(r.state.owed for r in led(lab) if not r.spec.index)
    refused = lab.call(
        "UpdateTable",
        TableName="things",
        GlobalSecondaryIndexUpdates=[{"Create": shape("by-v", "v")}],
        AttributeDefinitions=definitions(v="S"),
    )
    assert refused.error == "LimitExceededException"
    assert remove(lab, "by-colour").status == 200
    until(lab, "by-colour", "")
    assert not any(r.state.owed or r.state.backfills for r in led(lab) if not r.spec.index)
    lab.simulation.network.remove_rule(rule)
    put(lab, "k0", "blue", 1)
    add(lab, shape("by-colour", "colour"), colour="S")
    until(lab, "by-colour", "ACTIVE")
    lab.run(2 * SECOND)
    check_converged(lab)


def test_a_table_may_be_deleted_while_its_index_is_filled_and_made_again(make_lab: MakeLab) -> None:
    lab = make_lab(seed=4)
    lab.create()
    for number in range(20):
        put(lab, f"k{number}", "red", number)
    add(lab, shape("by-colour", "colour"), colour="S")
    until(lab, "by-colour", "CREATING", backfilling=True, step_ns=1_000_000)
    assert lab.call("DeleteTable", TableName="things").status == 200
    lab.run(6 * SECOND)
    lab.create(index=True)
    put(lab, "k0", "red", 1)
    lab.run(2 * SECOND)
    assert query(lab, "by-colour", "colour", {"S": "red"}) == ["k0"]


def test_a_node_that_was_down_while_an_index_came_and_went_drops_what_it_held(full: Any) -> None:
    add(full, shape("by-colour", "colour"), colour="S")
    until(full, "by-colour", "ACTIVE")
    holder = next(
        host
        for host in range(full.simulation.storage_count)
        if any("by-colour" in name for name in full.simulation.hosts[host].node.replicas)
        and not any(
            r.is_leader for r in full.simulation.hosts[host].node.replicas.values() if r.spec.group == "catalog"
        )
    )
    full.simulation.crash(holder)
    full.run(3 * SECOND)
    assert remove(full, "by-colour").status == 200
    until(full, "by-colour", "", step_ns=SECOND // 4)
    full.simulation.restart(holder)
    full.run(6 * SECOND)
    assert not [name for name in full.simulation.hosts[holder].node.replicas if "by-colour" in name]


# --- capacity and back-pressure ---------------------------------------------------------------------------------------


def provisioned(make_lab: MakeLab, index_writes: int, **shape_of_lab: Any) -> Any:
    """A table that may write much, with an index that may write little."""
    lab = make_lab(partitions=1, limits=Limits(burst_s=1), **shape_of_lab)
    units = {"ReadCapacityUnits": 1_000, "WriteCapacityUnits": 1_000}
    few = {"ReadCapacityUnits": 1_000, "WriteCapacityUnits": index_writes}
    lab.call(
        "CreateTable",
        TableName="things",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=definitions(pk="S", colour="S"),
        ProvisionedThroughput=units,
        GlobalSecondaryIndexes=[shape("by-colour", "colour", ProvisionedThroughput=few)],
    )
    lab.run(8 * SECOND)
    return lab


@pytest.mark.claim("S94")
def test_an_index_with_too_little_capacity_lags_and_catches_up(make_lab: MakeLab) -> None:
    lab = provisioned(make_lab, 10)
    for number in range(80):
        assert put(lab, f"k{number}", "red", number).status == 200
    behind = len(query(lab, "by-colour", "colour", {"S": "red"}))
    assert behind < 60 and "index-throttled" in lab.kinds()
    lab.run(20 * SECOND)
    assert len(query(lab, "by-colour", "colour", {"S": "red"})) == 80
    lab.run(SECOND)
    check_converged(lab)


@pytest.mark.claim("S63")
def test_a_slow_index_throttles_the_writes_that_change_it_and_no_others(make_lab: MakeLab) -> None:
    lab = provisioned(make_lab, 2, index_backlog_max=20)
    answers = [put(lab, f"k{number}", "red", number) for number in range(60)]
    refused = [answer for answer in answers if answer.status != 200]
    assert len(refused) > 20
    words = "The level of configured provisioned throughput for one or more global secondary indexes of the table"
    assert {answer.error for answer in refused} == {"ProvisionedThroughputExceededException"}
    assert str(refused[0].body["message"]).startswith(words)
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/things/index/by-colour"
    reason = {"reason": "IndexWriteProvisionedThroughputExceeded", "resource": arn}
    assert refused[0].body["ThrottlingReasons"] == [reason]
    assert put(lab, "plain", None, 1).status == 200, "it owes the index nothing"
    state = next(r.state for r in led(lab) if not r.spec.index)
    assert len(state.owed) <= 20 + 2
    lab.run(60 * SECOND)
    done = sorted(f"k{number}" for number, answer in enumerate(answers) if answer.status == 200)
    assert query(lab, "by-colour", "colour", {"S": "red"}) == done, "what was refused did not happen"
    check_converged(lab)


def test_a_ceiling_of_an_index_on_demand_throttles_the_writes_that_change_it_until_it_is_lifted(
    make_lab: MakeLab,
) -> None:
    lab = make_lab(partitions=1, limits=Limits(burst_s=1), index_backlog_max=20)
    lab.call(
        "CreateTable",
        TableName="things",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=definitions(pk="S", colour="S"),
        BillingMode="PAY_PER_REQUEST",
        GlobalSecondaryIndexes=[shape("by-colour", "colour", OnDemandThroughput={"MaxWriteRequestUnits": 2})],
    )
    lab.run(8 * SECOND)
    answers = [put(lab, f"k{number}", "red", number) for number in range(60)]
    refused = [answer for answer in answers if answer.status != 200]
    assert 20 < len(refused) < 60
    assert {answer.error for answer in refused} == {"ThrottlingException"}
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/things/index/by-colour"
    reason = {"reason": "IndexWriteMaxOnDemandThroughputExceeded", "resource": arn}
    assert refused[0].body["throttlingReasons"] == [reason]
    assert put(lab, "plain", None, 1).status == 200, "it owes the index nothing"
    update = {"IndexName": "by-colour", "OnDemandThroughput": {"MaxWriteRequestUnits": -1}}
    lifted = lab.call("UpdateTable", TableName="things", GlobalSecondaryIndexUpdates=[{"Update": update}])
    assert lifted.status == 200
    lab.run(5 * SECOND)
    done = sorted(f"k{number}" for number, answer in enumerate(answers) if answer.status == 200)
    assert query(lab, "by-colour", "colour", {"S": "red"}) == done, "what was owed has arrived"
    assert {put(lab, f"k{number}", "blue", number).status for number in range(60)} == {200}
    lab.run(2 * SECOND)
    assert len(query(lab, "by-colour", "colour", {"S": "blue"})) == 60
    check_converged(lab)


def test_the_backlog_is_bounded_also_where_nothing_is_throttled(make_lab: MakeLab) -> None:
    """The index cannot be reached. Refusals are logged, so a late copy of a refused write changes nothing."""
    lab = make_lab(partitions=1, index_backlog_max=10)
    lab.create(index=True)
    everybody = list(range(lab.simulation.storage_count))
    rule = lab.rule("cut", everybody, everybody, names=("IndexRequest",), both_ways=True)
    answers = [put(lab, f"k{number}", "red", number) for number in range(30)]
    assert [answer.status for answer in answers].count(200) in (10, 11)
    refused = next(answer for answer in answers if answer.status != 200)
    assert refused.error == "ThrottlingException"
    lab.simulation.network.remove_rule(rule)
    lab.run(3 * SECOND)
    assert put(lab, "later", "red", 1).status == 200
    lab.run(2 * SECOND)
    check_converged(lab)


def test_a_backfill_pays_from_the_index_and_leaves_the_table_alone(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1, limits=Limits(burst_s=1))
    units = {"ReadCapacityUnits": 100, "WriteCapacityUnits": 100}
    lab.call(
        "CreateTable",
        TableName="things",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=definitions(pk="S"),
        ProvisionedThroughput=units,
    )
    lab.run(8 * SECOND)
    for number in range(60):
        assert put(lab, f"k{number}", "red", number).status == 200
    few = {"ReadCapacityUnits": 100, "WriteCapacityUnits": 10}
    add(lab, shape("by-colour", "colour", ProvisionedThroughput=few), colour="S")
    began = lab.simulation.now
    until(lab, "by-colour", "CREATING", backfilling=True)
    answers = []
    for number in range(30):
        answers.append(put(lab, f"plain{number}", None, number).status)
        lab.run(SECOND // 20)
    assert set(answers) == {200}
    until(lab, "by-colour", "ACTIVE", step_ns=SECOND // 4)
    assert lab.simulation.now - began > 3 * SECOND, "ten writes a second, after a second's worth that was saved up"
    lab.run(SECOND)
    check_converged(lab)

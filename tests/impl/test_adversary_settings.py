"""Poison for the catalog: commands that its rules were not made for, in its log and on the way there."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynalab_impl import catalog_duties
from dynalab_impl import messages as m
from dynalab_impl.catalog import CATALOG, Catalog
from dynalab_impl.catalog_changes import as_told, change_of
from dynalab_impl.effects import layout
from dynalab_impl.snapshot import OutcomeImage
from dynalab_model.operations import CreateTable, DeleteTable, TagResource, UpdateTable, UpdateTimeToLive
from dynalab_model.schema import KeyAttribute, KeySchema, TableSchema

from .conftest import SECOND, Lab

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/things"
SCHEMA = TableSchema("things", KeySchema(KeyAttribute("pk", "S")))


def poison() -> dict[str, m.CatalogChange]:
    """Commands that raise, each somewhere else, in rules that trust what they are given."""
    unit: Any = {"ReadCapacityUnits": 1}  # and no WriteCapacityUnits
    view: Any = {"StreamEnabled": True}  # and no view
    missing: Any = None
    provisioned = {"BillingMode": "PROVISIONED", "ProvisionedThroughput": unit}
    return {
        "half a throughput": change_of(UpdateTable("things", {**provisioned, "IndexThroughput": {}}), ""),
        "half a stream": change_of(UpdateTable("things", {"StreamSpecification": view}), ""),
        "half a pair in a tag": change_of(TagResource("things", {"\ud800": "half a pair"}), ""),
        "a name that is taken": change_of(CreateTable(SCHEMA, {}), "x"),
        "no schema": m.CatalogChange("create", "other", CreateTable(missing, {}), "x"),
        "no such step": m.CatalogChange("unheard-of", "things"),
        "a change that is none": m.CatalogChange("change", "things", DeleteTable("things")),
        "nothing to bury": m.CatalogChange("bury", "things", table_id=""),
        "a split into nothing": m.CatalogChange("split", group="things/5.0", specs=()),
    }


def catalogs(lab: Lab) -> list[Any]:
    nodes: list[Any] = [lab.simulation.hosts[index].node for index in range(lab.simulation.storage_count)]
    return [node.replicas[CATALOG] for node in nodes if node is not None and CATALOG in node.replicas]


def try_it(lab: Lab) -> None:
    """The catalog goes on."""
    assert lab.call("TagResource", ResourceArn=ARN, Tags=[{"Key": "k", "Value": "v"}]).status == 200
    lab.run(SECOND)
    assert len(catalogs(lab)) == 3
    views = [replica.state.view() for replica in catalogs(lab)]
    assert views[0] == views[1] == views[2]


@pytest.mark.parametrize("kind", list(poison()))
def test_a_poisonous_command_in_the_log_of_the_catalog_ends_nobody(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there by hand, as from a leader that judges otherwise, or not at all."""
    lab = Lab(nodes_per_zone=1, routers=1)
    lab.create()
    parts = [catalogs(lab)[0].state.view()[0]]
    with monkeypatch.context() as laid:
        laid.setattr(catalog_duties, "change_of", lambda operation, table_id: poison()[kind])
        laid.setattr(Catalog, "refusal", lambda catalog, operation, entry: None)
        answer = lab.call("TagResource", ResourceArn=ARN, Tags=[{"Key": "a", "Value": "b"}])
    assert (answer.status, answer.error) == (500, "InternalServerError")
    assert [catalogs(lab)[0].state.view()[0]] == parts, "it has changed nothing"
    try_it(lab)
    assert {replica.state.unfit for replica in catalogs(lab)} != {0} and "change-unfit" in lab.kinds()
    for index in range(lab.simulation.storage_count):  # whoever reads it back lives as well
        lab.simulation.crash(index)
        lab.simulation.restart(index)
        lab.run(4 * SECOND)
    try_it(lab)


@pytest.mark.parametrize("operation", [UpdateTable("things", {"StreamSpecification": {"StreamEnabled": True}})])
def test_what_the_rules_of_the_catalog_fail_over_is_not_logged(operation: UpdateTable) -> None:
    lab = Lab(nodes_per_zone=1, routers=1)
    lab.create()
    token = lab.simulation.request(0, 0, operation)
    lab.run(2 * SECOND)
    assert (lab.answers[token].status, lab.answers[token].error) == (500, "InternalServerError")
    try_it(lab)
    assert {replica.state.unfit for replica in catalogs(lab)} == {0}, "its refusal was logged, and nothing else"
    assert "change-unfit" in lab.kinds()


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 10**30) | st.text(st.characters(), max_size=3) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
UNITS = JSONS | st.fixed_dictionaries({"ReadCapacityUnits": st.integers(1, 9), "WriteCapacityUnits": st.integers(1, 9)})
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "BillingMode": st.sampled_from(["PROVISIONED", "PAY_PER_REQUEST"]) | JSONS,
        "ProvisionedThroughput": UNITS,
        "IndexThroughput": JSONS | st.dictionaries(st.just("by-colour"), UNITS, max_size=1),
        "StreamSpecification": JSONS
        | st.fixed_dictionaries({"StreamEnabled": st.booleans()}, optional={"StreamViewType": st.just("NEW_IMAGE")}),
        "CreateIndex": JSONS
        | st.fixed_dictionaries(
            {
                "IndexName": st.just("by-colour"),
                "KeySchema": JSONS | st.just([{"AttributeName": "colour", "KeyType": "HASH"}]),
                "Projection": JSONS | st.just({"ProjectionType": "ALL"}),
            }
        ),
        "Definitions": JSONS | st.just({"colour": "S", "pk": "S"}),
        "DeleteIndex": st.just("by-colour") | JSONS,
        "TableClass": JSONS,
        "DeletionProtectionEnabled": st.booleans() | JSONS,
        "OnDemandThroughput": JSONS,
    },
)
OPERATIONS: Any = st.one_of(
    st.builds(UpdateTable, st.just("things"), CHANGES),
    st.builds(UpdateTimeToLive, st.just("things"), st.sampled_from(["a", "b"]) | JSONS, st.booleans()),
    st.builds(TagResource, st.just("things"), st.dictionaries(st.text(max_size=2) | st.just("\ud800"), JSONS)),
    st.builds(CreateTable, st.just(SCHEMA), CHANGES),
    st.builds(DeleteTable, st.sampled_from(["things", "nothing"])),
)
NEXT: Any = st.sampled_from(("activate", "updated", "indexed", "unindexed", "expiring", "forget", "bury", "clean"))
STEPS: Any = st.tuples(OPERATIONS) | st.tuples(st.none(), NEXT, st.integers(0, 3))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(STEPS, st.integers(0, 3 * 86_400)), max_size=12))
def test_the_catalog_applies_whatever_settings_are_put_into_its_log(steps: list[tuple[Any, int]]) -> None:
    """All of a command or nothing of it, the leader foresees which, and replicas agree."""
    one, other = (Catalog(layout()) for _ in range(2))
    time_ns, create = 0, CreateTable(SCHEMA, {"BillingMode": "PAY_PER_REQUEST"})
    begin: list[tuple[Any, int]] = [((create,), 0), ((None, "activate", 0), 0)]
    for number, ((asked, *step), later_s) in enumerate([*begin, *steps], start=1):
        time_ns += later_s * SECOND
        command = change_of(asked, "x") if asked is not None else m.CatalogChange(step[0], "things", table_id="x")
        command.slot = step[1] if step else 0
        entry = m.Entry((1, "n"), number, time_ns, ("r", number), 10**18, command)
        before = repr(one.view())
        foreseen = None if asked is None else one.refusal(asked, entry)
        assert repr(one.view()) == before, "to foresee changes nothing"
        one.apply(entry)
        outcome = one.dedup["r", number]
        if outcome.status != 200:
            known = [image for image in one.view() if not isinstance(image, OutcomeImage)]
            assert before.startswith(repr(known)[:-1]), "what was refused changes nothing"
        if foreseen is None and asked is not None:
            assert outcome.status == 200
        elif foreseen is not None and not isinstance(asked, CreateTable | DeleteTable):
            assert outcome.status == as_told(foreseen).status
        other.apply(entry)
        assert repr(one.view()) == repr(other.view())

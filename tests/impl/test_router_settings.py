"""What the catalog promises for a table's settings: replicated, kept by snapshots, told by any router."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_impl import codec
from dynalab_impl.catalog import CATALOG, Catalog
from dynalab_impl.catalog_keeper import CatalogKeeper
from dynalab_impl.messages import NO_BALLOT, GroupSpec
from dynalab_impl.snapshot import Outgoing, SnapshotHeader, TakeSnapshot

SECOND = 1_000_000_000
ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/things"
HEALTHY = "ACTIVE"


def described(lab: Any, router: int = 0) -> Any:
    return lab.call("DescribeTable", router=router, TableName="things").body["Table"]


def settle(lab: Any) -> Any:
    for _ in range(50):
        table = described(lab)
        if table["TableStatus"] == HEALTHY:
            return table
        lab.run(SECOND // 10)
    raise AssertionError("the table never became active again")


def ttl(lab: Any, enabled: bool, name: str = "expires") -> Any:
    return lab.call(
        "UpdateTimeToLive",
        TableName="things",
        TimeToLiveSpecification={"Enabled": enabled, "AttributeName": name},
    )


def test_an_update_makes_the_table_updating_and_then_active_with_the_new_settings(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = {"ReadCapacityUnits": 7, "WriteCapacityUnits": 5}
    with monkeypatch.context() as patch:
        patch.setattr(CatalogKeeper, "tick", lambda *_: None)  # nobody finishes the step for now
        answer = lab.call(
            "UpdateTable",
            TableName="things",
            BillingMode="PROVISIONED",
            ProvisionedThroughput=units,
            TableClass="STANDARD_INFREQUENT_ACCESS",
        )
        assert answer.body["TableDescription"]["TableStatus"] == "UPDATING"
        busy = lab.call("UpdateTable", TableName="things", DeletionProtectionEnabled=True)
        deleting = lab.call("DeleteTable", TableName="things")
        assert described(lab)["TableStatus"] == "UPDATING"
        assert lab.put("a", 1).status == 200, "an UPDATING table serves"
    assert busy.error == deleting.error == "ResourceInUseException"
    assert busy.body["message"].endswith("Table is being updated: things")
    table = settle(lab)
    assert {name: table["ProvisionedThroughput"][name] for name in units} == units
    assert table["BillingModeSummary"]["BillingMode"] == "PROVISIONED"
    assert table["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    assert lab.call("UpdateTable", TableName="things", DeletionProtectionEnabled=True).status == 200
    settle(lab)
    protected = lab.call("DeleteTable", TableName="things")
    assert protected.body["message"].startswith("Resource cannot be deleted as it is currently protected")


def test_settings_that_were_acknowledged_survive_the_loss_of_the_catalogs_leader(lab: Any) -> None:
    assert lab.call("TagResource", ResourceArn=ARN, Tags=[{"Key": "team", "Value": "red"}]).body == {}
    assert ttl(lab, True).status == 200
    leader = next(
        index
        for index in range(lab.simulation.storage_count)
        if CATALOG in (replicas := lab.simulation.hosts[index].node.replicas) and replicas[CATALOG].is_leader
    )
    lab.simulation.crash(leader)
    tags = lab.call("ListTagsOfResource", router=1, ResourceArn=ARN)
    assert tags.body == {"Tags": [{"Key": "team", "Value": "red"}]}
    lab.run(8 * SECOND)
    told = lab.call("DescribeTimeToLive", router=1, TableName="things").body
    assert told == {"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}}


def test_a_refused_change_is_refused_in_the_same_words_and_changes_nothing(lab: Any) -> None:
    assert ttl(lab, False).body["message"] == "TimeToLive is already disabled"
    ttl(lab, True)
    assert ttl(lab, True, "other").body["message"].endswith("current AttributeName is expires")
    unknown = lab.call("TagResource", ResourceArn=ARN + "s", Tags=[{"Key": "team", "Value": "red"}])
    assert unknown.error == "AccessDeniedException"
    missing = lab.call("UpdateTable", TableName="nothing", DeletionProtectionEnabled=True)
    assert missing.body["message"] == "Requested resource not found: Table: nothing not found"
    assert described(lab)["DeletionProtectionEnabled"] is False


@pytest.mark.parametrize("messages", ["as objects", "as bytes"])
def test_a_snapshot_of_the_catalog_keeps_every_setting(lab: Any, messages: str) -> None:
    lab.call("TagResource", ResourceArn=ARN, Tags=[{"Key": "team", "Value": "red"}, {"Key": "env", "Value": ""}])
    ttl(lab, True)
    lab.call(
        "UpdateTable",
        TableName="things",
        BillingMode="PROVISIONED",
        ProvisionedThroughput={"ReadCapacityUnits": 7, "WriteCapacityUnits": 5},
        DeletionProtectionEnabled=True,
    )
    # Taken while the table is UPDATING: that, too, must come back, or nobody would finish the step.
    replicas = [h.node.replicas.get(CATALOG) for h in lab.simulation.hosts[: lab.simulation.storage_count]]
    catalog = next(replica.state for replica in replicas if replica is not None and replica.is_leader)
    assert isinstance(catalog, Catalog) and catalog.tables["things"].status == "UPDATING"
    spec = GroupSpec(CATALOG, "", "", b"", b"", (), None)
    header = SnapshotHeader(spec, catalog.applied, catalog.log_time_ns, (), NO_BALLOT, catalog.counter)
    images = Outgoing(header, catalog.view()).piece(catalog)
    if messages == "as bytes":
        sent = TakeSnapshot(CATALOG, NO_BALLOT, header, 0, images, True)
        images = codec.decode(codec.encode(sent)).images
    loaded = catalog.fresh()
    loaded.load(header, images)
    assert loaded.tables == catalog.tables
    assert loaded.tables["things"].settings == {
        "BillingMode": "PROVISIONED",
        "PayPerRequestMs": None,
        "ProvisionedThroughput": {"ReadCapacityUnits": 7, "WriteCapacityUnits": 5},
        "WarmThroughput": {"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 4_000},
        "TimeToLiveChanging": "expires",
        "DeletionProtectionEnabled": True,
        "Tags": [{"Key": "team", "Value": "red"}, {"Key": "env", "Value": ""}],
        "TimeToLive": "expires",
    }


def test_what_is_switched_off_says_so_through_the_router(lab: Any) -> None:
    backups = lab.call("DescribeContinuousBackups", TableName="things").body["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"] == {"PointInTimeRecoveryStatus": "DISABLED"}
    assert lab.call("DescribeContinuousBackups", TableName="nothing").error == "TableNotFoundException"
    assert lab.call("ListBackups").body == {"BackupSummaries": []}
    assert lab.call("DescribeLimits").body["TableMaxReadCapacityUnits"] == 40_000

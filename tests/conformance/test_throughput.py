"""What tables and their indexes are told of throughput beside bought units: ceilings on demand, warm throughput."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

NUMBER = count()
NEW = {"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 4_000}
FALLING = "is lower than current WarmThroughput, decreasing WarmThroughput is not supported"


def table(service: Any, **members: Any) -> str:
    """A new table on demand, or with units, that has one index `by_g`; members beginning with `index_` are the
    index's.
    """
    name = f"Units{next(NUMBER)}"
    index = {
        "IndexName": "by_g",
        "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
        **{member[6:]: value for member, value in members.items() if member.startswith("index_")},
    }
    service(
        "CreateTable",
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "g")],
        GlobalSecondaryIndexes=[index],
        **({"BillingMode": "PAY_PER_REQUEST"} if "ProvisionedThroughput" not in members else {}),
        **{member: value for member, value in members.items() if not member.startswith("index_")},
    )
    service.pair.wait_active(name)
    return name


def told(service: Any, name: str, member: str) -> tuple[Any, Any]:
    """What DescribeTable tells of the table, and of its index."""
    described = service("DescribeTable", TableName=name)["Table"]
    return described.get(member), described["GlobalSecondaryIndexes"][0].get(member)


def update(service: Any, name: str, **changes: Any) -> None:
    service("UpdateTable", TableName=name, **changes)
    service.pair.wait_active(name)


def of_index(**units: Any) -> dict[str, Any]:
    return {"GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": "by_g", **units}}]}


def bought(read: int, write: int) -> dict[str, int]:
    return {"ReadCapacityUnits": read, "WriteCapacityUnits": write}


@pytest.mark.row("behaviour:warm-throughput")
def test_a_new_table_on_demand_and_its_index_sustain_12000_reads_and_4000_writes(service: Any) -> None:
    name = table(service)
    assert told(service, name, "WarmThroughput") == (NEW | {"Status": "ACTIVE"}, NEW | {"Status": "ACTIVE"})


@pytest.mark.row("behaviour:warm-throughput")
def test_warm_throughput_is_asked_for_at_creation_and_later(service: Any) -> None:
    name = table(
        service, WarmThroughput={"ReadUnitsPerSecond": 20_000}, index_WarmThroughput={"WriteUnitsPerSecond": 5_000}
    )
    active = {"Status": "ACTIVE"}
    assert told(service, name, "WarmThroughput") == (
        NEW | {"ReadUnitsPerSecond": 20_000} | active,
        NEW | {"WriteUnitsPerSecond": 5_000} | active,
    )
    update(service, name, WarmThroughput={"WriteUnitsPerSecond": 6_000})
    update(service, name, **of_index(WarmThroughput={"ReadUnitsPerSecond": 30_000, "WriteUnitsPerSecond": 5_000}))
    assert told(service, name, "WarmThroughput") == (
        {"ReadUnitsPerSecond": 20_000, "WriteUnitsPerSecond": 6_000} | active,
        {"ReadUnitsPerSecond": 30_000, "WriteUnitsPerSecond": 5_000} | active,
    )


@pytest.mark.row("behaviour:warm-never-falls")
def test_warm_throughput_never_falls(service: Any) -> None:
    name = table(service)
    for asked in (
        {"WarmThroughput": {"ReadUnitsPerSecond": 11_999}},
        of_index(WarmThroughput={"WriteUnitsPerSecond": 1}),
    ):
        error = service.refused("UpdateTable", TableName=name, **asked)
        assert error.code == "ValidationException" and error.message.endswith(FALLING)
    units = {"ProvisionedThroughput": bought(1, 1)}
    update(service, name, BillingMode="PROVISIONED", **units, **of_index(**units))
    assert [warm["ReadUnitsPerSecond"] for warm in told(service, name, "WarmThroughput")] == [12_000, 12_000]

    name = table(service, ProvisionedThroughput=bought(5, 6), index_ProvisionedThroughput=bought(7, 8))
    update(service, name, ProvisionedThroughput=bought(1, 9), **of_index(ProvisionedThroughput=bought(9, 1)))
    of_table, of_its_index = told(service, name, "WarmThroughput")
    assert (of_table["ReadUnitsPerSecond"], of_table["WriteUnitsPerSecond"]) == (5, 9)
    assert (of_its_index["ReadUnitsPerSecond"], of_its_index["WriteUnitsPerSecond"]) == (9, 8)


@pytest.mark.row("behaviour:on-demand-ceilings")
def test_ceilings_of_a_table_and_its_index_are_set_told_and_lifted(service: Any) -> None:
    name = table(
        service,
        OnDemandThroughput={"MaxReadRequestUnits": 5},
        index_OnDemandThroughput={"MaxReadRequestUnits": 6, "MaxWriteRequestUnits": 7},
    )
    assert told(service, name, "OnDemandThroughput") == (
        {"MaxReadRequestUnits": 5},
        {"MaxReadRequestUnits": 6, "MaxWriteRequestUnits": 7},
    )
    update(service, name, OnDemandThroughput={"MaxReadRequestUnits": -1})
    update(service, name, **of_index(OnDemandThroughput={"MaxWriteRequestUnits": -1}))
    assert told(service, name, "OnDemandThroughput") == (None, {"MaxReadRequestUnits": 6})
    units = {"ProvisionedThroughput": bought(1, 1)}
    update(service, name, BillingMode="PROVISIONED", **units, **of_index(**units))
    assert told(service, name, "OnDemandThroughput") == (None, None)


@pytest.mark.row("behaviour:on-demand-ceilings")
@pytest.mark.parametrize("where", ["", "index_"])
def test_no_ceiling_is_below_one_and_none_stands_over_bought_units(service: Any, where: str) -> None:
    units = {"ProvisionedThroughput": bought(1, 1), "index_ProvisionedThroughput": bought(1, 1)}
    known = service("ListTables")["TableNames"]
    for ceiling, mode in ((0, {}), (-1, {}), (5, units)):
        members: dict[str, Any] = {**mode, f"{where}OnDemandThroughput": {"MaxWriteRequestUnits": ceiling}}
        with pytest.raises(Exception, match="ValidationException") as caught:
            table(service, **members)
        assert "MaxWriteRequestUnits" in str(caught.value) or "OnDemandThroughput" in str(caught.value)
        assert service("ListTables")["TableNames"] == known

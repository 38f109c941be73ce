"""When an item has expired (operations.md §4)."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab_model.database import State, apply, sweep
from dynalab_model.expiry import OLDEST_S, SECOND_NS, is_expired
from dynalab_model.requests import parse

NOW_S = 1_800_000_000


def expired(value: Any, now_ns: int = NOW_S * SECOND_NS) -> bool:
    return is_expired({"pk": {"S": "a"}, "expires": value}, "expires", now_ns)


@pytest.mark.claim("S183")
def test_an_item_has_expired_when_its_time_is_less_than_now() -> None:
    assert [expired({"N": str(NOW_S + off)}) for off in (-1, 0, 1)] == [True, False, False]
    assert expired({"N": str(NOW_S)}, NOW_S * SECOND_NS + 1)
    assert expired({"N": f"{NOW_S - 1}.999"}) and not expired({"N": f"{NOW_S}.5"})


@pytest.mark.parametrize(
    "value",
    [
        {"S": str(NOW_S - 1)},
        {"N": str(NOW_S * 1_000)},
        {"NS": [str(NOW_S - 1)]},
        {"BOOL": True},
        {"N": "0"},
        {"N": "-5"},
    ],
)
def test_anything_but_seconds_of_the_last_five_years_says_nothing(value: Any) -> None:
    assert not expired(value)


def test_what_expired_more_than_five_years_ago_is_a_mistake_and_stays() -> None:
    assert [expired({"N": str(NOW_S - OLDEST_S - off)}) for off in (0, 1)] == [True, False]


def test_an_item_without_the_attribute_never_expires() -> None:
    assert not is_expired({"pk": {"S": "a"}}, "expires", NOW_S * SECOND_NS)


@pytest.mark.claim("S79")
@pytest.mark.claim("S182")
def test_items_are_there_until_a_sweep_and_a_renewed_one_stays() -> None:
    state = State()
    calls: list[tuple[str, dict[str, Any]]] = [
        (
            "CreateTable",
            {
                "BillingMode": "PAY_PER_REQUEST",
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            },
        ),
        ("UpdateTimeToLive", {"TimeToLiveSpecification": {"Enabled": True, "AttributeName": "expires"}}),
        ("PutItem", {"Item": {"pk": {"S": "old"}, "expires": {"N": "10"}}}),
        ("PutItem", {"Item": {"pk": {"S": "renewed"}, "expires": {"N": "10"}}}),
        ("PutItem", {"Item": {"pk": {"S": "renewed"}, "expires": {"N": "100"}}}),
    ]

    def keys(state: State) -> list[str]:
        _, answer = apply(state, parse("Scan", {"TableName": "Ttt"}), 50 * SECOND_NS)
        assert isinstance(answer, dict)
        items: Any = answer["Items"]
        return sorted(item["pk"]["S"] for item in items)

    for name, body in calls:
        state, _ = apply(state, parse(name, {"TableName": "Ttt", **body}), 0)
    assert keys(state) == ["old", "renewed"]
    assert keys(sweep(state, 50 * SECOND_NS)) == ["renewed"]
    off = {"Enabled": False, "AttributeName": "expires"}
    state, _ = apply(state, parse("UpdateTimeToLive", {"TableName": "Ttt", "TimeToLiveSpecification": off}), 0)
    assert keys(sweep(state, 50 * SECOND_NS)) == ["old", "renewed"]

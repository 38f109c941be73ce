"""Splits for consumption: a hot partition divides where its keys are asked for, until one item is left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dynalab_impl.effects import Limits
from dynalab_impl.heat import SAMPLES_MIN, Heat, moves, split_point

from .conftest import SECOND, Lab

MakeLab = Callable[..., Lab]
LIMIT = 40  # write units a second: a fortieth of a partition's real 1,000 is enough to see
LIMITS = Limits(partition_read=3 * LIMIT, partition_write=LIMIT, burst_s=0, node_partitions=20)


def load(lab: Lab, keys: list[str], seconds: int, rate: int) -> tuple[int, int]:
    """Write to the keys in turn, so many times a second; gives the writes that went through and those throttled."""
    tokens: list[int] = []
    for number in range(seconds * rate):
        tokens.append(lab.send("PutItem", TableName="things", Item={"pk": {"S": keys[number % len(keys)]}}))
        lab.run(SECOND // rate)
    lab.run(SECOND)
    statuses = [lab.answers[token].status for token in tokens if token in lab.answers]
    return statuses.count(200), len(tokens) - statuses.count(200)


def groups(lab: Lab) -> dict[str, list[str]]:
    """The partitions of the table, and the keys that each holds."""
    out: dict[str, list[str]] = {}
    for index in range(lab.simulation.storage_count):
        node: Any = lab.simulation.hosts[index].node
        for group, items in node.table_items("things").items():
            out[group] = sorted(item["pk"]["S"] for item in items.values())
    return out


@pytest.mark.claim("S43")
@pytest.mark.claim("S136")
def test_throttling_ends_when_the_hot_partition_has_split(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1, limits=LIMITS, split_after_s=4)
    lab.create()
    keys = ["foo", "bar", "baz", "qux"]
    served, throttled = load(lab, keys, 3, LIMIT * 3 // 2)
    assert throttled >= 20 and len(groups(lab)) == 1
    load(lab, keys, 7, LIMIT * 3 // 2)
    assert len(groups(lab)) >= 2
    served, throttled = load(lab, keys, 4, LIMIT * 3 // 2)
    assert served > 4 * LIMIT and throttled == 0


@pytest.mark.claim("S44")
def test_a_hot_item_ends_alone_and_is_not_split_further(make_lab: MakeLab) -> None:
    lab = make_lab(partitions=1, limits=LIMITS, split_after_s=3)
    lab.create()
    cold = [f"cold{number}" for number in range(12)]
    for key in cold:
        assert lab.put(key, 1).status == 200
        lab.run(SECOND // 10)
    for _ in range(4):
        load(lab, ["hot"], 6, LIMIT * 3 // 2)
    held = groups(lab)
    assert ["hot"] in held.values(), held
    assert sorted(key for keys in held.values() for key in keys) == sorted([*cold, "hot"])
    count = len(held)
    assert "hot-unsplittable" in lab.kinds()
    _, throttled = load(lab, ["hot"], 6, LIMIT * 3 // 2)
    assert len(groups(lab)) == count, "the ceiling of one item remains, and no split lifts it"
    assert throttled > 60


def test_load_that_moves_through_the_keys_in_order_asks_for_no_split() -> None:
    samples = [(number.to_bytes(4, "big"), 6) for number in range(100)]
    assert moves(samples)
    assert split_point(samples, True, True) == b""
    assert split_point(samples[::-1], True, True) == b""


def test_few_samples_say_nothing() -> None:
    assert split_point([(b"a", 1), (b"b", 1)] * (SAMPLES_MIN // 2 - 1), True, True) == b""


def test_the_point_follows_the_load_and_not_the_middle_of_the_range() -> None:
    """S43: three quarters of the load lie on four keys near the end."""
    load_on = [bytes([250 + number % 4]) for number in range(96)] + [bytes([number * 7 % 200]) for number in range(32)]
    mixed = [(load_on[number * 37 % 128], 6) for number in range(128)]
    assert bytes([250]) <= split_point(mixed, True, True) <= bytes([253])


def test_a_pause_begins_the_count_anew() -> None:
    heat = Heat(limit_parts=100)
    for second in (1, 2, 3, 5, 6):
        heat.note(b"k", 90, second * SECOND)
        heat.note(b"k", 0, second * SECOND + SECOND // 2)
    heat.roll(7 * SECOND)
    assert heat.hot_s == 2


def test_keys_that_are_written_in_turn_are_all_seen() -> None:
    """Every fourth access of four keys in turn would always be the same one."""
    for count in (2, 3, 4, 5, 8, 16):
        heat = Heat(limit_parts=100)
        for number in range(800):
            heat.note(bytes([number % count]), 1, SECOND)
        weights = [sum(key == bytes([k]) for key, _ in heat.samples) for k in range(count)]
        assert 180 <= len(heat.samples) <= 220
        assert max(weights) <= 2 * min(weights), (count, weights)

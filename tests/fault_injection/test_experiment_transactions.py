"""What transactions take and how often they are refused: the figures of a chapter beside what the paper says."""

from __future__ import annotations

import pytest

from dynalab_fault_injection.experiments.transactions import (
    READ,
    WRITE,
    Met,
    Took,
    contention,
    contention_table,
    latencies,
    latency_table,
)


@pytest.fixture(scope="module")
def took() -> dict[tuple[str, int], Took]:
    return {(one.name, one.items): one for one in latencies(sizes=(3, 100), requests=25)}


@pytest.fixture(scope="module")
def met() -> list[Met]:
    return contention(keys=(1_000_000, 200), seconds=2)


def test_a_write_transaction_takes_about_four_puts_and_a_read_transaction_less_than_two_gets(
    took: dict[tuple[str, int], Took],
) -> None:
    assert 3 <= took[WRITE, 3].ms(50) / took["PutItem", 1].ms(50) <= 4.5
    assert 1.5 <= took[READ, 3].ms(50) / took["GetItem", 1].ms(50) < 2


def test_a_transaction_takes_longer_with_more_items(took: dict[tuple[str, int], Took]) -> None:
    for name in (WRITE, READ):
        assert took[name, 3].ms(50) < took[name, 100].ms(50) < 3 * took[name, 3].ms(50)
    lines = latency_table(list(took.values()))
    assert len(lines) == 2 + len(took) and all(line.count("|") == 6 for line in lines)


@pytest.mark.claim("S70")
def test_transactions_are_cancelled_where_they_meet_and_single_reads_never(met: list[Met]) -> None:
    apart, together = met
    assert apart.share(WRITE) == apart.share(READ) == 0
    assert together.share(WRITE) > 5 and together.share(READ) > 5
    assert together.share("GetItem") == apart.share("GetItem") == 0
    assert together.share("UpdateItem") < together.share(WRITE), "one item meets fewer others than ten do"
    assert len(contention_table(met)) == 4

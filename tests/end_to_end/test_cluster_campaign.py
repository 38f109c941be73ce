"""Nine real storage processes under kill -9, SIGSTOP, splits and cut links, a boto3 program served throughout: nothing
lost, and linearizable.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from dynalab.drivers.cluster import campaign as campaign_module
from dynalab.drivers.cluster import nemesis as nemesis_module
from dynalab.drivers.cluster import shop as shop_module
from dynalab.drivers.cluster.campaign import Campaign, Setting
from dynalab.drivers.cluster.driver import ClusterDriver
from dynalab.drivers.cluster.nemesis import STRIKES, Nemesis
from dynalab.drivers.cluster.shop import Calls, Report, ask_back, shop
from tests.end_to_end.clusters import processes_of, quick

pytestmark = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc")

SCRIPT = ("kill-leader", "router-crash", "pause", "split", "deployment", "partition")
SECONDS = 18.0


class Scripted(Nemesis):
    """The same strikes, each once and in this order: a test has no time for luck."""

    async def run(self, end_ns: int) -> None:
        for name in SCRIPT:
            await self._window(name)


class Watched(Campaign):
    """A campaign that remembers where it was."""

    data: str

    async def _load(self, driver: ClusterDriver) -> None:
        self.data = driver.directory.path
        await super()._load(driver)


@pytest.mark.claim("S23", "S24")
def test_a_campaign_over_nine_processes_is_linearizable_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign_module, "Nemesis", Scripted)
    monkeypatch.setattr(nemesis_module, "WINDOW_SECONDS", (1.5, 2.5))
    campaign = Watched(7, SCRIPT, Setting(seconds=SECONDS, clients=6, operations_min=150, with_boto3=True), None)
    result = asyncio.run(campaign.go())
    assert result.verdict == "valid", result.why
    assert {judgement.checker for judgement in result.verdicts} >= {
        "linearizability",
        "sessions",
        "committed",
        "liveness",
        "convergence",
        "boto3",
    }
    assert [band.name for band in result.bands] == list(SCRIPT) and all(band.bit for band in result.bands)
    assert result.sometimes["nodes-died"] == 1 and result.sometimes["leaders-died"] >= 1
    assert result.sometimes["leaders-stopped"] >= 1 and result.sometimes["partitions-divided"] == 1
    assert result.sometimes["elections"] > 0
    assert campaign.shopped is not None and campaign.shopped.acknowledged > 100
    assert campaign.shopped.longest_ms < 15_000
    assert processes_of(campaign.data) == []
    assert not Path(campaign.data).exists(), "no file is left behind"


@pytest.mark.parametrize(
    ("report", "verdict", "why"),
    [
        (Report(calls=500), "valid", ""),
        (Report(calls=3), "unknown", "only 3 calls: too few to say anything"),
        (Report(calls=500, failed=["put_item: 500"]), "invalid", "1 failed: put_item: 500"),
        (
            Report(calls=500, wrong=["query of c1 7"], failed=["put_item: 500"]),
            "invalid",
            "1 read wrong: query of c1 7",
        ),
        (Report(calls=500, lost=["c1 7", "c1 8"], wrong=["query of c1 7"]), "invalid", "2 lost: c1 7; c1 8"),
    ],
)
def test_the_boto3_program_is_judged_by_what_it_was_handed(report: Report, verdict: str, why: str) -> None:
    judgement = report.judgement()
    assert (judgement.checker, judgement.verdict, judgement.why) == ("boto3", verdict, why)


def test_the_boto3_program_sees_what_a_service_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop_module, "THINK_SECONDS", 0.0)
    forgotten, ended, calls = {"4", "6"}, threading.Event(), Calls()

    class Forgetful:
        """Acknowledges everything, and loses one order of a batch and one that was put alone."""

        items: ClassVar[dict[str, dict[str, dict[str, str]]]] = {}

        def put_item(self, Item: dict[str, dict[str, str]], **_: object) -> dict[str, object]:
            if Item["number"]["N"] not in forgotten:
                self.items[Item["number"]["N"]] = Item
            return {"ResponseMetadata": {"RetryAttempts": 0}}

        def get_item(self, Key: dict[str, dict[str, str]], **_: object) -> dict[str, object]:
            found = self.items.get(Key["number"]["N"])
            return {"ResponseMetadata": {"RetryAttempts": 2}} | ({} if found is None else {"Item": found})

        def batch_write_item(self, RequestItems: dict[str, list[Any]]) -> dict[str, object]:
            for request in RequestItems["shop"]:
                self.put_item(**request["PutRequest"])
            return {"ResponseMetadata": {"RetryAttempts": 0}, "UnprocessedItems": {}}

        def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, object]:
            found = [self.items[n] for key in RequestItems["shop"]["Keys"] if (n := key["number"]["N"]) in self.items]
            answer = {"Responses": {"shop": found}, "UnprocessedKeys": {}}
            return {"ResponseMetadata": {"RetryAttempts": 0}, **answer}

        def query(self, **_: object) -> dict[str, object]:
            if len(self.items) > 6:
                ended.set()
            return {"ResponseMetadata": {"RetryAttempts": 0}, "Items": list(self.items.values())}

    client: Any = Forgetful()
    acknowledged = shop(client, calls, ended)
    ask_back(client, calls, acknowledged)
    report = calls.finish()
    wrong = ["batch_get_item of c0 4", "query of c0 4", "get_item of c0 6", "query of c0 4", "query of c0 6"]
    assert report.wrong == wrong
    assert report.lost == ["c0 4", "c0 6"] and report.acknowledged == 12
    assert (report.retried, report.retries, report.retries_max) == (2, 4, 2)


def test_a_boto3_program_is_only_served_by_a_cluster() -> None:
    refused = quick("campaign", "--with-boto3", "--seeds", "0:1")
    assert refused.code == 64 and "--with-boto3 goes with --driver cluster" in refused.err


def test_a_fault_that_never_bit_makes_the_verdict_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = Campaign(1, ("pause",), Setting(operations_min=0), None)
    assert (campaign._result().verdict, campaign._result().why) == ("unknown", "strength: pause never bit")
    weak = Campaign(1, (), Setting(operations_min=1), None)
    assert weak._result().verdict == "unknown"


def test_every_word_of_the_nemesis_strikes_and_is_taken_back() -> None:
    class Fake:
        """Remembers what was done to it."""

        def __init__(self) -> None:
            self.done: list[str] = []

        def storage(self) -> list[str]:
            return ["n1", "n2", "n3"]

        def zones(self) -> list[list[str]]:
            return [["n1"], ["n2"], ["n3"]]

        def routers(self) -> list[str]:
            return ["router1"]

        async def leaders(self) -> dict[str, list[str]]:
            return {"n2": ["g1", "g2"]}

        async def partitions(self) -> dict[str, str]:
            return {"g1.0": "t"} if "split" in self.done else {"g1": "t"}

        async def split(self, table: str, group: str) -> bool:
            assert (table, group) == ("t", "g1")
            self.done.append("split")
            return True

        def __getattr__(self, name: str) -> Callable[..., Awaitable[object]]:
            async def act(target: object) -> object:
                self.done.append(name)
                return len(target) if name == "kill_all" and isinstance(target, list) else target

            return act

    import random

    undone = {"kill": "restart", "wipe": "restart", "kill_all": "restart_all", "pause": "resume", "cut": "mend"}
    undone |= {"stop": "restart", "split": ""}  # a split is not taken back
    for name, strike in STRIKES.items():
        fake = Fake()
        nemesis = Nemesis(fake, (name,), random.Random(1), lambda: 0)  # type: ignore[arg-type]
        evidence: dict[str, int] = {}

        async def go(nemesis: Nemesis = nemesis, evidence: dict[str, int] = evidence, strike: object = strike) -> None:
            assert callable(strike)
            undo = await strike(nemesis, evidence)
            await undo()

        asyncio.run(go())
        assert "".join(fake.done[1:]) == undone[fake.done[0]], name
        assert sum(evidence.values()) > 0

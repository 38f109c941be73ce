"""Nine real processes under kill -9, SIGSTOP and a cut link, while boto3 goes on: linearizable, nothing lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from dynalab.drivers.cluster import campaign as campaign_module
from dynalab.drivers.cluster import nemesis as nemesis_module
from dynalab.drivers.cluster.campaign import Campaign, Setting
from dynalab.drivers.cluster.driver import ClusterDriver
from dynalab.drivers.cluster.nemesis import STRIKES, Nemesis
from tests.end_to_end.clusters import Up, processes_of

pytestmark = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc")

SCRIPT = ("kill-leader", "pause", "node-crash", "partition")
SECONDS = 12.0


class Scripted(Nemesis):
    """The same strikes, each once and in this order: a test has no time for luck."""

    async def run(self, end_ns: int) -> None:
        for name in SCRIPT:
            await self._window(name)


class Shopper(threading.Thread):
    """boto3 with its own retries, throughout; remembers what was acknowledged."""

    def __init__(self, cluster: Up) -> None:
        super().__init__(daemon=True)
        self.clients = [cluster.client(router, attempts=10) for router in range(len(cluster.urls))]
        self.acknowledged: list[str] = []
        self.ended = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.ended.is_set():
            number += 1
            key = f"order{number}"
            client = self.clients[number % len(self.clients)]
            client.put_item(TableName="registers", Item={"pk": {"S": key}, "v": {"N": str(number)}})
            self.acknowledged.append(key)


class Watched(Campaign):
    """A campaign with a boto3 client beside it."""

    lost: list[str]
    shopper: Shopper
    data: str

    async def _load(self, driver: ClusterDriver) -> None:
        self.data = driver.directory.path
        self.shopper = Shopper(Up(self.data, driver.urls))
        self.shopper.start()
        await super()._load(driver)

    async def _ask_everything_back(self, driver: ClusterDriver) -> None:
        self.shopper.ended.set()
        await asyncio.to_thread(self.shopper.join, 20)
        assert not self.shopper.is_alive()
        client = self.shopper.clients[0]

        def missing() -> list[str]:
            keys = self.shopper.acknowledged
            pages = client.get_paginator("scan").paginate(TableName="registers", ConsistentRead=True)
            found = {item["pk"]["S"] for page in pages for item in page["Items"]}
            return [key for key in keys if key not in found]

        self.lost = await asyncio.to_thread(missing)
        await super()._ask_everything_back(driver)


@pytest.mark.claim("S23", "S24")
def test_a_campaign_over_nine_processes_is_linearizable_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign_module, "Nemesis", Scripted)
    monkeypatch.setattr(nemesis_module, "WINDOW_SECONDS", (1.5, 2.5))
    campaign = Watched(7, SCRIPT, Setting(seconds=SECONDS, clients=6, operations_min=150), None)
    result = asyncio.run(campaign.go())
    assert result.verdict == "valid", result.why
    assert {judgement.checker for judgement in result.verdicts} >= {
        "linearizability",
        "sessions",
        "committed",
        "liveness",
        "convergence",
    }
    assert [band.name for band in result.bands] == list(SCRIPT) and all(band.bit for band in result.bands)
    assert result.sometimes["nodes-died"] == 2 and result.sometimes["leaders-died"] >= 1
    assert result.sometimes["elections"] > 0
    assert campaign.lost == [] and len(campaign.shopper.acknowledged) > 20
    assert processes_of(campaign.data) == []
    assert not Path(campaign.data).exists(), "no file is left behind"


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

        def __getattr__(self, name: str) -> Callable[..., Awaitable[object]]:
            async def act(target: object) -> object:
                self.done.append(name)
                return len(target) if name == "kill_all" and isinstance(target, list) else target

            return act

    import random

    undone = {"kill": "restart", "wipe": "restart", "kill_all": "restart_all", "pause": "resume", "cut": "mend"}
    for name, strike in STRIKES.items():
        fake = Fake()
        nemesis = Nemesis(fake, (name,), random.Random(1), lambda: 0)  # type: ignore[arg-type]
        evidence: dict[str, int] = {}

        async def go(nemesis: Nemesis = nemesis, evidence: dict[str, int] = evidence, strike: object = strike) -> None:
            assert callable(strike)
            undo = await strike(nemesis, evidence)
            await undo()

        asyncio.run(go())
        assert fake.done[1] == undone[fake.done[0]], name
        assert sum(evidence.values()) > 0

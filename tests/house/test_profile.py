"""The profile of a request: each sample has its stage, stages exist, and together they are the time that was used."""

from __future__ import annotations

import gc
import importlib
import signal
import sys
import time

import pytest

from dynalab.bench.profile import (
    COLLECTOR,
    FILES,
    MEMORY,
    OUTSIDE,
    PAGE_CACHE,
    STAGES,
    SYNC_THREADS,
    Profile,
    Sampler,
    page,
    profile_of,
)
from dynalab_model import requests
from dynalab_model.values import Item, weighed_item

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGPROF"), reason="this system has no profiling timer")


@pytest.mark.parametrize("name", [name for names in STAGES.values() for name in names])
def test_what_a_stage_names_is_there(name: str) -> None:
    module, attributes = name, []
    while module not in sys.modules:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError:
            module, _, attribute = module.rpartition(".")
            attributes.insert(0, attribute)
    found: object = sys.modules[module]
    for attribute in attributes:
        found = getattr(found, attribute)


def test_what_a_stage_calls_counts_as_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler, found = Sampler(), []

    def size(item: object) -> tuple[Item, int]:
        found.append(sampler.stage(sys._getframe()))
        return weighed_item(item)

    monkeypatch.setattr(requests, "weighed_item", size)
    size({})
    requests.parse("PutItem", {"TableName": "table", "Item": {"pk": {"S": "x"}}})
    assert found == [OUTSIDE, "shapes and values of the request"]


def test_time_is_sampled_where_it_is_spent_and_the_collector_is_told_apart() -> None:
    sampler = Sampler()
    request = {"TableName": "table", "Item": {f"a{n}": {"N": str(n)} for n in range(50)}}
    rubbish: list[object] = [[] for _ in range(50_000)]
    with sampler.running():
        give_up = time.process_time() + 10
        while not sampler.samples[COLLECTOR] and time.process_time() < give_up:
            gc.collect()
            assert len(rubbish) == 50_000
        while sampler.samples["shapes and values of the request"] < 5 and time.process_time() < give_up:
            requests.parse("PutItem", request)
    assert sampler.samples[COLLECTOR] and sampler.samples["shapes and values of the request"] >= 5
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


@pytest.mark.parametrize("store", [MEMORY, FILES, PAGE_CACHE])
def test_the_stages_of_a_write_are_all_of_its_processor_time(store: str) -> None:
    for seconds in (0.6, 2.0, 6.0):
        profile = profile_of("PutItem", store, seconds)
        if profile.requests > 1_000:  # fewer on a machine that is busy otherwise: too few samples to meet every stage
            break
    assert profile.requests > 10
    assert sum(profile.stages.values()) == pytest.approx(profile.cpu_us)
    assert profile.stages["log: propose, accept, count, commit"] > 0
    assert (SYNC_THREADS in profile.stages) == (store == FILES)
    rows = profile.table().splitlines()
    assert len(rows) == len(profile.stages) + 3 and f"**{profile.cpu_us:.1f}**" in rows[-1]


def test_the_page_holds_every_table_and_says_how_it_was_made() -> None:
    profiles = [Profile(name, MEMORY, 10, 80.0, {OUTSIDE: 80.0}) for name in ("PutItem", "Query")]
    text = page(profiles)
    assert all(profile.table() in text for profile in profiles)
    assert "`python -m dynalab.bench.profile --write`" in text

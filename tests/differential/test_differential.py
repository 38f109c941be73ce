"""The differential run: what is compared, how differences are judged, and that a run finds and repairs what differs."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dynalab.differential import page
from dynalab.differential.__main__ import EMULATORS, compare_with, settle
from dynalab.differential.caller import Caller
from dynalab.differential.compare import Answer, Difference, compare, tidy
from dynalab.differential.judge import FILE, Judgement, judge, load
from dynalab.differential.run import Report, run
from dynalab.differential.tables import SHAPES, Body
from dynalab.endpoint.server import Service, Settings

REFUSED: Body = {"__type": "com.amazon.coral.validate#ValidationException", "message": "no"}


def told(ours: Answer, theirs: Answer) -> list[tuple[str, str, str]]:
    return [(d.part, d.ours, d.theirs) for d in compare("them", "GetItem", ours, theirs)]


def test_equal_answers_have_no_difference_whatever_the_order_of_sets_and_batches() -> None:
    one: Body = {"Responses": {"t": [{"a": {"SS": ["x", "y"]}}, {"a": {"N": "1"}}]}}
    other: Body = {"Responses": {"t": [{"a": {"N": "1"}}, {"a": {"SS": ["y", "x"]}}]}}
    assert told(Answer(200, one), Answer(200, other)) == []


def test_the_order_of_a_query_counts_and_that_of_a_scan_does_not() -> None:
    rows: list[object] = [{"a": {"N": "1"}}, {"a": {"N": "2"}}]
    forward: Body = {"Items": rows}
    backward: Body = {"Items": rows[::-1]}
    assert told(Answer(200, forward), Answer(200, backward)) == [("Items[].a.N", '"1"', '"2"')]
    assert told(Answer(200, forward, unordered=True), Answer(200, backward, unordered=True)) == []


def test_comparing_changes_no_answer() -> None:
    body: Body = {"Responses": {"t": [{"a": {"SS": ["y", "x"]}}]}, "ConsumedCapacity": [{"TableName": "b"}]}
    before = json.dumps(body)
    tidy(Answer(200, body))
    assert json.dumps(body) == before


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (Answer(400, REFUSED), Answer(200, {}), ("", "ValidationException: no", "ok")),
        (
            Answer(400, REFUSED),
            Answer(400, {**REFUSED, "message": "nope"}),
            ("", "ValidationException: no", "ValidationException: nope"),
        ),
        (Answer(400, REFUSED), Answer(500, REFUSED), ("", "HTTP 400", "HTTP 500")),
        (Answer(400, {**REFUSED, "Item": {}}), Answer(400, REFUSED), ("error.Item", "{}", "absent")),
        (Answer(200, {"Count": 1}), Answer(200, {"Count": 2}), ("Count", "1", "2")),
        (Answer(200, {"Items": [1]}), Answer(200, {"Items": [1, 2]}), ("Items", "[1]", "[1, 2]")),
    ],
)
def test_every_way_to_differ_is_told(ours: Answer, theirs: Answer, expected: tuple[str, str, str]) -> None:
    assert told(ours, theirs) == [expected]
    assert told(ours, ours) == []


def test_the_first_judgement_that_matches_counts_and_one_that_does_not_is_none() -> None:
    narrow = Judgement("narrow", "open", "f", "s", ("moto",), ours=re.compile("ok"), request=re.compile("Limit"))
    wide = Judgement("wide", "dynalab", "f", "s", ("moto",), ours=re.compile("ok"))
    difference = Difference("moto", "Query", "ok", "HTTP 500")
    assert judge(difference, '{"Limit": 1}', [narrow, wide]) is narrow
    assert judge(difference, "{}", [narrow, wide]) is wide
    assert judge(Difference("dynalite", "Query", "ok", "HTTP 500"), "{}", [narrow, wide]) is None
    assert judge(Difference("moto", "Query", "ValidationException: no", "ok"), "{}", [narrow, wide]) is None


def test_a_broken_judgement_is_refused_with_its_name(tmp_path: Path) -> None:
    file = tmp_path / "judgements.toml"
    file.write_text('[odd]\nright = "nobody"\nfact = "f"\nsays = "s"\nemulators = ["moto"]\n')
    with pytest.raises(ValueError, match="odd: nobody"):
        load(file)
    file.write_text('[odd]\nright = "open"\nsays = "s"\nemulators = ["moto"]\nwhy = "x"\n')
    with pytest.raises(ValueError, match=r"odd: \['fact', 'why'\]"):
        load(file)


def test_every_judgement_names_its_fact_and_emulators_that_exist_and_none_judges_everything() -> None:
    judgements = load()
    nothing = Difference("moto", "NoSuchOperation", "NoSuchError: x", "NoSuchError: y", "no.such.part")
    for judgement in judgements:
        assert set(judgement.emulators) <= set(EMULATORS)
        assert len(judgement.fact) > 10 and len(judgement.says) > 10
    for name in EMULATORS:
        assert (
            judge(Difference(name, *("NoSuchOperation", "NoSuchError: x", "NoSuchError: y")), "{}", judgements) is None
        )
    assert judge(nothing, "{}", judgements) is None


def test_the_page_says_what_the_last_whole_run_found_and_nothing_was_unjudged() -> None:
    figures: page.Counts = json.loads(page.COUNTS.read_text())
    assert figures["requests"] >= 20_000 and figures["unjudged"] == 0
    assert set(figures["judged"]) == {judgement.name for judgement in load(FILE)}, "no judgement is idle"
    assert page.PAGE.read_text() == page.text(load(), figures)


def against_ourselves(requests: int, distort: Callable[[str, Body, Answer], Answer] | None = None) -> Report:
    """A run of the endpoint beside a second endpoint, whose answers are distorted."""

    class Distorted(Caller):
        async def once(self, operation: str, body: Body) -> Answer:
            answer = await super().once(operation, body)
            return answer if distort is None else distort(operation, body, answer)

    async def go() -> Report:
        ours, theirs = Service(Settings(port=0)), Service(Settings(port=0))
        urls = [await ours.start(), await theirs.start()]
        callers = [Caller("dynalab", lambda: urls[0]), Distorted("moto", lambda: urls[1])]

        async def both() -> None:
            await settle(ours.cluster)
            await settle(theirs.cluster)

        try:
            return await run(callers[0], callers[1:], [], requests=requests, seed=3, settle=both, shapes=SHAPES)
        finally:
            for caller in callers:
                caller.close()
            await ours.stop()
            await theirs.stop()

    return asyncio.run(go())


def test_two_of_our_own_services_never_differ() -> None:
    report = against_ourselves(400)
    assert (report.unjudged_count, report.equal["moto"], report.repaired["moto"]) == (0, 400, 0)
    assert 150 < report.answered < 400


def test_a_service_that_charges_differently_is_found_and_nobody_has_judged_it() -> None:
    def dearer(operation: str, body: Body, answer: Answer) -> Answer:
        consumed = answer.body.get("ConsumedCapacity")
        if operation != "PutItem" or not isinstance(consumed, dict):
            return answer
        return Answer(answer.status, {**answer.body, "ConsumedCapacity": {**consumed, "CapacityUnits": 99}})

    report = against_ourselves(400, dearer)
    parts = {kind[2] for kind in report.unjudged}
    assert parts == {"ConsumedCapacity.CapacityUnits"} and report.unjudged_count > 3
    assert report.equal["moto"] == 400 - report.unjudged_count


def test_a_service_that_loses_a_write_is_found_by_reading_back_and_brought_to_our_state_again() -> None:
    lost: list[Body] = []

    def losing(operation: str, body: Body, answer: Answer) -> Answer:
        # The first read after a put says that nothing is there: as if the put had been lost.
        if operation == "PutItem" and answer.status == 200 and len(lost) < 3:
            lost.append(body)
        if operation == "GetItem" and lost and answer.body.get("Item") == lost[-1]["Item"] and "seen" not in lost[-1]:
            lost[-1]["seen"] = True
            return Answer(200, {})
        return answer

    report = against_ourselves(300, losing)
    assert len(lost) == 3
    assert {(kind[1], kind[2]) for kind in report.unjudged} == {("state", "Item")}
    assert report.repaired["moto"] == report.unjudged_count >= 1


@pytest.mark.needs("node", "npm")
def test_a_short_run_beside_moto_and_dynalite_leaves_no_difference_unjudged() -> None:
    from dynalab.bench.servers import Skipped
    from dynalab.differential.__main__ import Emulator

    emulators = [Emulator(name, Path(".tools/npm")) for name in EMULATORS]
    try:
        report = asyncio.run(compare_with(emulators, 250, 21))
    except Skipped as reason:
        pytest.skip(f"an emulator could not be started: {reason}")
    assert not report.unjudged, [examples[0].difference for examples in report.unjudged.values()]
    assert report.equal["dynalite"] > 150 and report.equal["moto"] > 50

"""The small histories of the chapters: their verdicts, their size, and that the pictures in docs/ are theirs."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from html import unescape
from pathlib import Path
from types import ModuleType

import pytest

from dynalab.cli import exit_codes, run
from dynalab_checkers.history import MISSING, History, Operation, read_jsonl
from dynalab_checkers.isolation import forbidden
from dynalab_checkers.sessions import GUARANTEES, check_sessions
from dynalab_checkers.staleness import check_staleness, measure
from dynalab_fault_injection.run import run_one

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = ROOT / "docs" / "chapters"


def load(name: str) -> ModuleType:
    """A module of docs/examples, which is no package."""
    spec = importlib.util.spec_from_file_location(f"docs_examples_{name}", ROOT / "docs" / "examples" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


lessons = load("lessons")
EACH = pytest.mark.parametrize("lesson", lessons.LESSONS, ids=lambda lesson: lesson.name)
AGAIN = "`make lessons` writes it again"


def said(svg: str) -> list[str]:
    """Everything that a picture says, without where it says it."""
    return [unescape(text) for text in re.findall(r"<(?:title|desc|text)[^>]*>([^<]+)<", svg)]


@EACH
def test_the_checker_says_what_the_lesson_promises(lesson: lessons.Lesson) -> None:  # type: ignore[name-defined]
    verdict = lesson.judge(lesson.history())
    assert verdict.verdict == lesson.verdict
    named = {"g0": "G0", "g1a": "G1a", "g1b": "G1b", "g1c": "G1c", "g-single": "G-single-item"}
    named |= {"long-fork": "G-nonadjacent-item", "write-skew": "G2-item", "write-skew-allowed": "G2-item"}
    named |= {"lost-update": "lost-update", "stale-snapshot": "G-single-item-realtime"}
    if "anomalies" in verdict.details:
        assert named[lesson.name] in verdict.details["anomalies"]
    elif "guarantee" in verdict.details:
        assert verdict.details["guarantee"] == lesson.name


def values(operation: Operation, shown: bool) -> set[object]:
    """The values that an operation was shown, or those that it wrote."""
    found: list[object] = []
    if operation.f == "txn":
        assert isinstance(operation.value, list)
        for micro in operation.value:
            assert isinstance(micro, list)
            if (micro[0] == "r") == shown:
                value = micro[2] if len(micro) > 2 else None
                found += [(micro[1], each) for each in (value if isinstance(value, list) else [value])]
        return {each for each in found if each[1] is not None}  # type: ignore[index]
    if operation.f == "cas":
        assert isinstance(operation.value, list)
        found = [operation.value[0 if shown else 1]]
    elif shown:
        found = [operation.result, operation.old]
    elif operation.f == "write":
        found = [operation.value]
    return {each for each in found if each is not None and each is not MISSING}


@EACH
def test_nothing_can_be_left_out_of_a_violation(lesson: lessons.Lesson) -> None:  # type: ignore[name-defined]
    """Except what wrote a value that the rest has seen: without it the history is wrong in another way."""
    if lesson.verdict == "valid":
        return
    for left_out, operation in enumerate(lesson.history()):
        rest = [other for number, other in enumerate(lesson.history()) if number != left_out]
        if not any(values(operation, shown=False) & values(other, shown=True) for other in rest):
            assert lesson.judge(History(rest)).verdict != "invalid", operation


@EACH
def test_the_files_in_the_docs_are_those_of_the_lesson(lesson: lessons.Lesson) -> None:  # type: ignore[name-defined]
    kept = read_jsonl(lessons.HISTORIES / f"{lesson.name}.jsonl")
    assert kept.events() == lesson.history().events(), AGAIN
    svg = (lessons.PICTURES / f"{lesson.name}.svg").read_text(encoding="utf-8")
    assert said(svg) == said(lessons.picture(lesson)), AGAIN
    assert "\n\n" not in svg, "an empty line would end the figure in Markdown"
    source = lessons.graph_source(lesson)
    graph = lessons.PICTURES / f"{lesson.name}-cycle.svg"
    assert graph.is_file() == bool(source and lesson.name not in lessons.WITHOUT_GRAPH), AGAIN
    if graph.is_file():
        drawn = set(re.findall(r"<title>(T\d(?:&#45;&gt;T\d)?)</title>", graph.read_text(encoding="utf-8")))
        asked = {
            edge.replace(" -> ", "&#45;&gt;") for edge in re.findall(r"^  (T\d(?: -> T\d)?) \[", source, re.MULTILINE)
        }
        assert drawn == asked, AGAIN
        told = graph.with_suffix(".txt").read_text(encoding="utf-8")
        assert told == lessons.explanation(lesson) + "\n", AGAIN


def test_every_lesson_stands_in_a_chapter_and_no_file_is_left_over() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in CHAPTERS.glob("*.md"))
    names = {lesson.name for lesson in lessons.LESSONS}
    assert {name for name in names if f"assets/lessons/{name}.svg" not in text} == set()
    files = {path.stem.removesuffix("-cycle") for path in lessons.PICTURES.iterdir()}
    files |= {path.stem for path in lessons.HISTORIES.iterdir()}
    assert files == names


@EACH
def test_the_command_line_says_of_the_file_what_the_lesson_says(
    lesson: lessons.Lesson,  # type: ignore[name-defined]
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    assert run(lesson.command()[1:]) == exit_codes.OF_VERDICT[lesson.verdict]
    out = capsys.readouterr().out
    assert out.startswith(lesson.verdict)
    assert lesson.judge(lesson.history()).why in out


def commands(chapter: str) -> list[tuple[list[str], list[str]]]:
    """The commands of a chapter that judge files, each with what stands below it."""
    found: list[tuple[list[str], list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", (CHAPTERS / f"{chapter}.md").read_text(encoding="utf-8"), re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((shlex.split(line[2:]), []))
            else:
                found[-1][1].append(line)
    return [each for each in found if each[0][:2] == ["dynalab", "check"]]


@pytest.mark.parametrize("chapter", ["consistent-history", "sessions", "cycles"])
def test_the_commands_of_a_chapter_are_those_of_its_lessons_and_print_what_stands_there(
    chapter: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    of_lessons = [lesson.command() for lesson in lessons.LESSONS]
    shown = commands(chapter)
    assert len(shown) >= 2
    for command, expected in shown:
        assert command in of_lessons, f"`{shlex.join(command)}` judges its file otherwise than its picture does"
        run(command[1:])
        printed = re.sub(r"\(\d+\.\d\d s\)", "(0.00 s)", capsys.readouterr().out)
        assert printed.splitlines() == expected


@pytest.mark.claim("S103")
def test_a_partition_breaks_every_bound_on_the_lag_that_quiet_runs_suggest() -> None:
    """What the chapter Sessions tells: the bound of a quiet run, and what became of it."""
    broken = 0
    for seed in range(5):
        quiet = History.from_events(run_one(seed, "register", ("slow-node",)).history)
        cut = History.from_events(run_one(seed, "register", ("partition",)).history)
        assert measure(quiet).reads > 100
        assert check_staleness(quiet, lag_max_ns=100_000_000).verdict == "valid"
        broken += check_staleness(cut, lag_max_ns=100_000_000).verdict == "invalid"
        # Strong reads keep the bound of zero, and every session keeps its guarantees, under both.
        for history in (quiet, cut):
            assert check_staleness(history, versions_max=0, lag_max_ns=0, flavours=("strong",)).verdict == "valid"
            assert check_sessions(history).verdict == "valid"
    assert broken >= 1


def test_strong_reads_keep_in_every_run_what_eventual_reads_keep_by_luck(capsys: pytest.CaptureFixture[str]) -> None:
    luck = load("luck")
    kept = luck.main("partition", 6)
    printed = capsys.readouterr().out
    assert {kept[name, "strong"] for name in GUARANTEES} == {6}
    assert kept["at most 100 ms behind", "strong"] == 6
    assert kept["read-your-writes", "eventual"] + kept["monotonic-reads", "eventual"] < 12
    shown = (CHAPTERS / "sessions.md").read_text(encoding="utf-8")
    assert printed.splitlines()[1] in shown
    assert all(line[:24] in shown for line in printed.splitlines()[2:])


def test_the_table_of_isolation_levels_is_the_lattice_of_the_checker() -> None:
    text = (CHAPTERS / "cycles.md").read_text(encoding="utf-8")
    header = "| | G0 | G1a, b, c | read skew | lost update | long fork | write skew | out of date |"
    rows = text.split(header)[1].strip().splitlines()[1:]
    columns = (
        ("G0",),
        ("G1a", "G1b", "G1c"),
        ("G-single-item",),
        ("lost-update",),
        ("G-nonadjacent-item",),
        ("G2-item",),
        ("G-single-item-realtime",),
    )
    told: list[str] = []
    for row in rows:
        if not row.startswith("|"):
            break
        name, *cells = (cell.strip() for cell in row.strip("|").split("|"))
        model = name.replace(" ", "-")
        told.append(model)
        for anomalies, cell in zip(columns, cells, strict=True):
            assert {anomaly in forbidden(model) for anomaly in anomalies} == {cell == "forbidden"}, (model, anomalies)
    assert told == ["read-uncommitted", "read-committed", "snapshot-isolation", "serializable", "strict-serializable"]


def test_the_python_of_the_chapter_runs_and_prints_what_it_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    (block,) = re.findall(
        r"```python\n(from dynalab_checkers.*?)```", (CHAPTERS / "cycles.md").read_text("utf-8"), re.S
    )
    exec(compile(block, "cycles.md", "exec"), {})  # noqa: S102
    why, facts = capsys.readouterr().out.splitlines()
    assert why.startswith("G-nonadjacent-item (long fork)")
    assert facts.startswith("{'G-nonadjacent-item': 1}")

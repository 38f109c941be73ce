"""`dynalab grade DIR`: points for an exercise, and one sentence for each failure.

Rules of this room:
- A learner's code runs in a process of its own, one a case, with a time limit and the standard library alone; what it
  prints is not an answer. That keeps accidents apart (loops, exits, stray output). It is no sandbox against malice: a
  lecturer grades in a container.
- Cases are made from seeds, so a verdict can be repeated; `--seed-salt` gives other seeds of the same kind, so that
  an answer which knows the printed ones by heart gains nothing.
- A case asks one question and knows the answer; a failure says in one sentence what was expected and why, and prints
  the line that asks the same question again.

An exercise is a folder with `exercise.toml`, `task.md`, the file the learner edits, and `tests/cases.py` with
`cases(seeds: list[int]) -> Iterable[Case]`. Cases may be taken from another folder than the answer (`--exercise`).
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import importlib.util
import io
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, TypeAlias

import click

JSON: TypeAlias = "str | int | float | bool | list[JSON] | dict[str, JSON] | None"
Judge: TypeAlias = Callable[[JSON], str | None]

CASE_SECONDS: Final = 10
ANSWER_BYTES_MAX: Final = 1_000_000
EXIT_WRONG: Final = 1
EXIT_DATA: Final = 65
_RUNNER: Final = Path(__file__).with_name("_grade_runner.py")


class MalformedExercise(ValueError):
    """The folder is no exercise: the text says what is missing or wrong in it."""


@dataclass(frozen=True, slots=True)
class Case:
    """One question: call `function(*arguments)`, let `judge` say None (right) or one sentence (what was wrong).

    >>> Case("two-and-two", 1, "add", [2, 2], lambda got: None if got == 4 else f"2 + 2 is 4, not {got}").judge(5)
    '2 + 2 is 4, not 5'
    """

    name: str
    points: int
    function: str
    arguments: list[JSON]
    judge: Judge


@dataclass(frozen=True, slots=True)
class Exercise:
    """What exercise.toml says."""

    folder: Path
    id: str
    title: str
    answer: str
    claims: tuple[str, ...]
    minutes: int
    level: str
    prerequisites: tuple[str, ...]
    seeds: tuple[int, ...]
    case_seconds: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """Points for one case; `sentence` and `rerun` are empty when it was right."""

    name: str
    points: int
    of: int
    seconds: float
    sentence: str = ""
    rerun: str = ""


def read_exercise(folder: Path) -> Exercise:
    """The exercise in that folder. Raises MalformedExercise."""
    path = folder / "exercise.toml"
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
        return Exercise(
            folder=folder,
            id=str(entries["id"]),
            title=str(entries["title"]),
            answer=str(entries["answer"]),
            claims=tuple(str(claim) for claim in entries["claims"]),
            minutes=int(entries["minutes"]),
            level=str(entries["level"]),
            prerequisites=tuple(str(name) for name in entries["prerequisites"]),
            seeds=tuple(int(seed) for seed in entries["seeds"]),
            case_seconds=int(entries.get("case_seconds", CASE_SECONDS)),
        )
    except FileNotFoundError as error:
        raise MalformedExercise(f"{folder} is no exercise: it has no exercise.toml") from error
    except tomllib.TOMLDecodeError as error:
        raise MalformedExercise(f"{path}: {error}") from error
    except KeyError as error:
        raise MalformedExercise(f"{path}: {error.args[0]} is missing") from error
    except (TypeError, ValueError) as error:
        raise MalformedExercise(f"{path}: {error}") from error


def salted(seeds: Iterable[int], salt: str) -> list[int]:
    """The seeds themselves without a salt, else others that depend on seed and salt alone.

    >>> salted([1, 2], "")
    [1, 2]
    >>> salted([1, 2], "spring") == salted([1, 2], "spring") != salted([1, 2], "autumn")
    True
    """
    if not salt:
        return list(seeds)
    digests = (hashlib.blake2b(f"{salt}:{seed}".encode(), digest_size=4).digest() for seed in seeds)
    return [int.from_bytes(digest, "big") for digest in digests]


def load_cases(exercise: Exercise, seeds: list[int], only: tuple[str, ...] = ()) -> list[Case]:
    """The questions of the exercise, or those named by `only`: then no later one is made. Raises MalformedExercise."""
    path = exercise.folder / "tests" / "cases.py"
    if not path.is_file():
        raise MalformedExercise(f"{exercise.folder} is no exercise: it has no tests/cases.py")
    spec = importlib.util.spec_from_file_location(f"dynalab_exercise_{exercise.id.replace('-', '_')}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        cases: list[Case] = []
        for case in module.cases(seeds):
            if not only or case.name in only:
                cases.append(case)
            if only and len(cases) == len(set(only)):
                break
    except (AttributeError, ImportError, SyntaxError) as error:
        raise MalformedExercise(f"{path}: {type(error).__name__}: {error}") from error
    names = [case.name for case in cases]
    if not (cases or only) or len(set(names)) != len(names):
        raise MalformedExercise(f"{path}: there must be cases, each with a name of its own")
    unknown = set(only) - set(names)
    if unknown:
        raise MalformedExercise(f"no such case: {', '.join(sorted(unknown))}")
    return cases


def ask(answer: Path, case: Case, case_seconds: int) -> str | None:
    """Ask the learner's code one question: None if the answer is right, else one sentence."""
    request = json.dumps({"file": str(answer.resolve()), "function": case.function, "arguments": case.arguments})
    # A file and no pipe: an answer of any length must not make both sides wait for each other.
    with tempfile.TemporaryFile() as out:
        # -I and -S: no environment, no site-packages. A library that answers the question is not the learner's answer.
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_RUNNER), str(out.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(out.fileno(),),
            start_new_session=True,
            text=True,
        )
        try:
            process.communicate(request, timeout=case_seconds)
        except subprocess.TimeoutExpired:
            return f"it gave no answer within {case_seconds} s"
        finally:
            # The whole session: a learner's child process must not outlive the question.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        out.seek(0)
        raw = out.read(ANSWER_BYTES_MAX + 1)
    if len(raw) > ANSWER_BYTES_MAX:
        return f"its answer is longer than {ANSWER_BYTES_MAX} bytes"
    try:
        response = json.loads(raw)
    except ValueError:
        return "it ended without an answer"
    if "error" in response:
        return str(response["error"])
    return case.judge(response.get("value"))


def grade(
    directory: Path, *, exercise_folder: Path | None = None, salt: str = "", only: tuple[str, ...] = ()
) -> tuple[Exercise, list[Outcome]]:
    """Ask every question (or those named by `only`) and count the points. Raises MalformedExercise."""
    exercise = read_exercise(exercise_folder or directory)
    answer = directory / exercise.answer
    if not answer.is_file():
        raise MalformedExercise(f"{directory} has no {exercise.answer}, the file that the exercise asks for")
    again = ["dynalab", "grade", str(directory)]
    again += ["--exercise", str(exercise_folder)] if exercise_folder else []
    again += ["--seed-salt", salt] if salt else []
    outcomes: list[Outcome] = []
    for case in load_cases(exercise, salted(exercise.seeds, salt), only):
        started = time.perf_counter()
        sentence = ask(answer, case, exercise.case_seconds)
        seconds = round(time.perf_counter() - started, 3)
        if sentence is None:
            outcomes.append(Outcome(case.name, case.points, case.points, seconds))
            continue
        rerun = shlex.join([*again, "--only", case.name])
        outcomes.append(Outcome(case.name, 0, case.points, seconds, sentence, rerun))
    return exercise, outcomes


def as_text(exercise: Exercise, outcomes: list[Outcome]) -> str:
    """For people: points, one line a case, under a failure its sentence and the line that reruns it."""
    got, of = sum(o.points for o in outcomes), sum(o.of for o in outcomes)
    lines = [f"{exercise.id} {exercise.title}: {got} of {of} points"]
    for outcome in outcomes:
        lines.append(f"{'wrong' if outcome.sentence else 'right'} {outcome.points:>2}/{outcome.of}  {outcome.name}")
        if outcome.sentence:
            lines += [f"            {outcome.sentence}", f"            again: {outcome.rerun}"]
    return "\n".join(lines)


def as_json(exercise: Exercise, outcomes: list[Outcome]) -> str:
    """For programs: one object."""
    body = {
        "exercise": exercise.id,
        "title": exercise.title,
        "claims": list(exercise.claims),
        "points": sum(o.points for o in outcomes),
        "of": sum(o.of for o in outcomes),
        "cases": [asdict(outcome) for outcome in outcomes],
    }
    return json.dumps(body)


def as_junit(exercise: Exercise, outcomes: list[Outcome]) -> str:
    """For CI and autograders: a test suite with a test case a question."""
    failures = sum(1 for o in outcomes if o.sentence)
    suite = ElementTree.Element("testsuite", name=exercise.id, tests=str(len(outcomes)), failures=str(failures))
    for outcome in outcomes:
        case = ElementTree.SubElement(
            suite, "testcase", classname=exercise.id, name=outcome.name, time=str(outcome.seconds)
        )
        if outcome.sentence:
            ElementTree.SubElement(case, "failure", message=outcome.sentence).text = f"again: {outcome.rerun}"
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def as_csv(exercise: Exercise, outcomes: list[Outcome]) -> str:
    """For a spreadsheet: a header and one row a question."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["exercise", "case", "points", "of", "seconds", "sentence", "again"])
    for o in outcomes:
        writer.writerow([exercise.id, o.name, o.points, o.of, o.seconds, o.sentence, o.rerun])
    return out.getvalue().rstrip("\n")


_FORMATS: Final[dict[str, Callable[[Exercise, list[Outcome]], str]]] = {
    "text": as_text,
    "json": as_json,
    "junit": as_junit,
    "csv": as_csv,
}


@click.command(name="grade")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--seed-salt", default="", help="Other seeds of the same kind; the same salt gives the same seeds.")
@click.option(
    "--exercise",
    "exercise_folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Take exercise.toml and cases from this folder, and only the answer from DIRECTORY.",
)
@click.option("--only", multiple=True, metavar="CASE", help="Ask only this question (repeatable).")
@click.option("--json", "form", flag_value="json", help="One JSON object.")
@click.option("--junit", "form", flag_value="junit", help="JUnit XML.")
@click.option("--csv", "form", flag_value="csv", help="A table with a header.")
def command(
    directory: Path, seed_salt: str, exercise_folder: Path | None, only: tuple[str, ...], form: str | None
) -> None:
    """Grade the answer in DIRECTORY. Exit code 0: all points; 1: something was wrong; 65: this is no exercise."""
    try:
        exercise, outcomes = grade(directory, exercise_folder=exercise_folder, salt=seed_salt, only=only)
    except MalformedExercise as error:
        click.echo(f"dynalab grade: {error}", err=True)
        sys.exit(EXIT_DATA)
    click.echo(_FORMATS[form or "text"](exercise, outcomes))
    sys.exit(EXIT_WRONG if any(outcome.sentence for outcome in outcomes) else 0)

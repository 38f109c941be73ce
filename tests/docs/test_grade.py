"""The grader: right answers get all points, wrong ones a sentence each, and no answer hangs or kills the grader."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dynalab.grade import MalformedExercise, ask, command, grade, load_cases, read_exercise, salted

ROOT = Path(__file__).resolve().parents[2]
EXERCISES = sorted(path.parent for path in (ROOT / "docs" / "exercises").glob("*/exercise.toml"))

CASES = """
from dynalab.grade import Case
def cases(seeds):
    for seed in seeds:
        def judge(got, want=2 * seed):
            return None if got == want else f"{want}, not {got}"
        yield Case(f"double-{seed}", 2, "double", [seed], judge)
"""
TOML = """
id = "99-double"
title = "Doubling"
answer = "answer.py"
claims = []
minutes = 1
level = "observe"
prerequisites = []
seeds = [3, 4]
case_seconds = 2
"""


def make_exercise(folder: Path, answer: str) -> Path:
    (folder / "tests").mkdir(parents=True)
    (folder / "exercise.toml").write_text(TOML)
    (folder / "tests" / "cases.py").write_text(CASES)
    (folder / "answer.py").write_text(answer)
    return folder


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda path: path.name)
def test_the_solution_of_every_exercise_gets_all_points_with_two_salts(exercise: Path) -> None:
    solution = ROOT / "docs" / "solutions" / exercise.name
    for salt in ("", "autumn"):
        _, outcomes = grade(solution, exercise_folder=exercise, salt=salt)
        assert [o.sentence for o in outcomes if o.sentence] == []
        assert sum(o.points for o in outcomes) == sum(o.of for o in outcomes) > 0


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda path: path.name)
def test_the_starter_gets_none_of_the_points_that_the_task_names(exercise: Path) -> None:
    _, outcomes = grade(exercise)
    assert sum(o.points for o in outcomes) == 0
    assert all(o.sentence and o.rerun for o in outcomes)
    task = (exercise / "task.md").read_text(encoding="utf-8")
    promised = sum(int(part.split(" points)")[0]) for part in task.split("(")[1:] if " points)" in part)
    assert promised == sum(o.of for o in outcomes)


@pytest.mark.claim("S20", "S23")
@pytest.mark.parametrize(
    ("body", "case", "sentence"),
    [
        ("len(holders) > len(members) // 2", "quorum-one-zone", "the loss of that zone loses the write"),
        ("len({h.split('/')[0] for h in holders}) > 1", "quorum-drawn-1", "the others can elect a leader without it"),
        ("len(holders) == len(members)", "quorum-two-of-three", "it refused holders"),
        ("len(holders) > 0", "quorum-leader-alone", "the others can elect a leader without it"),
    ],
    ids=["majority-alone", "zones-alone", "everybody", "anybody"],
)
def test_a_quorum_that_is_too_small_or_too_large_is_told_what_it_costs(
    tmp_path: Path, body: str, case: str, sentence: str
) -> None:
    exercise = EXERCISES[0]
    (tmp_path / "answer.py").write_text(f"def may_acknowledge(holders, members):\n    return {body}\n")
    spec = load_cases(read_exercise(exercise), [5, 2, 3, 4], only=(case,))
    assert [asked.name for asked in spec] == [case]
    said = ask(tmp_path / "answer.py", spec[0], 10)
    assert said is not None and sentence in said


def test_a_right_answer_exits_0_and_a_wrong_one_1_with_a_sentence_and_a_rerun_line(tmp_path: Path) -> None:
    right = make_exercise(tmp_path / "right", "def double(n):\n    print('noise')\n    return n + n\n")
    assert run(right).exit_code == 0
    wrong = make_exercise(tmp_path / "wrong", "def double(n):\n    return n * n\n")
    result = run(wrong)
    assert result.exit_code == 1
    assert "2 of 4" not in result.output and "0 of 4 points" in result.output
    assert "8, not 16" in result.output
    assert f"again: dynalab grade {wrong} --only double-4" in result.output
    assert run(wrong, "--only", "double-4").output.count("again:") == 1


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("def double(n):\n    while True:\n        pass\n", "no answer within 2 s"),
        ("def double(n):\n    raise ValueError('so')\n", "raised ValueError in line 2: so"),
        ("def double(n):\n    return {1, 2}\n", "raised TypeError"),
        ("import os\ndef double(n):\n    os._exit(0)\n", "ended without an answer"),
        ("raise SystemExit(3)\n", "raised SystemExit in line 1"),
        ("def treble(n):\n    return 3\n", "has no function double"),
        ("def double(n) return n\n", "raised SyntaxError"),
        ("import pytest\ndef double(n):\n    return 2 * n\n", "raised ModuleNotFoundError"),
        ("def double(n):\n    return 'x' * 2_000_000\n", "longer than 1000000 bytes"),
    ],
    ids=[
        "hangs",
        "raises",
        "no-json",
        "dies",
        "exits",
        "no-function",
        "no-python",
        "imports-a-library",
        "endless-text",
    ],
)
def test_code_that_misbehaves_costs_its_own_points_and_is_named(tmp_path: Path, answer: str, sentence: str) -> None:
    folder = make_exercise(tmp_path / "exercise", answer)
    _, outcomes = grade(folder, only=("double-3",))
    assert len(outcomes) == 1 and outcomes[0].points == 0
    assert sentence in outcomes[0].sentence


def test_a_process_that_the_answer_leaves_behind_is_ended(tmp_path: Path) -> None:
    mark = tmp_path / "still-here"
    answer = (
        "import subprocess, sys\ndef double(n):\n"
        f"    code = {f'import time, pathlib; time.sleep(0.4); pathlib.Path({str(mark)!r}).touch()'!r}\n"
        "    subprocess.Popen([sys.executable, '-c', code])\n    return 2 * n\n"
    )
    folder = make_exercise(tmp_path / "exercise", answer)
    _, outcomes = grade(folder, only=("double-3",))
    assert outcomes[0].sentence == ""
    # A second question that takes longer than the child would have needed.
    slow = make_exercise(tmp_path / "slow", "import time\ndef double(n):\n    time.sleep(0.8)\n    return 2 * n\n")
    grade(slow, only=("double-3",))
    assert not mark.exists()


def test_a_salt_changes_the_questions_and_the_same_salt_repeats_them(tmp_path: Path) -> None:
    folder = make_exercise(tmp_path / "exercise", "def double(n):\n    return 2 * n\n")
    names = [[o.name for o in grade(folder, salt=salt)[1]] for salt in ("", "a", "a", "b")]
    assert names[0] == ["double-3", "double-4"]
    assert names[1] == names[2]
    assert len({tuple(n) for n in names}) == 3
    assert salted([3, 4], "a") != salted([3, 4], "b")


def test_the_machine_formats_say_the_same_as_the_text(tmp_path: Path) -> None:
    folder = make_exercise(tmp_path / "exercise", "def double(n):\n    return 6\n")
    body = json.loads(run(folder, "--json").output)
    assert (body["points"], body["of"]) == (2, 4)
    assert [case["sentence"] for case in body["cases"]] == ["", "8, not 6"]
    suite = ElementTree.fromstring(run(folder, "--junit").output)
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert suite.find("./testcase/failure").get("message") == "8, not 6"  # type: ignore[union-attr]
    rows = list(csv.DictReader(io.StringIO(run(folder, "--csv").output)))
    assert [(row["points"], row["of"]) for row in rows] == [("2", "2"), ("0", "2")]


def test_cases_of_a_clean_copy_judge_an_answer_from_elsewhere(tmp_path: Path) -> None:
    clean = make_exercise(tmp_path / "clean", "")
    bent = make_exercise(tmp_path / "bent", "def double(n):\n    return 0\n")
    (bent / "tests" / "cases.py").write_text(CASES.replace("if got == want", "if True"))
    assert run(bent).exit_code == 0
    assert run(bent, "--exercise", clean).exit_code == 1


def test_a_folder_that_is_no_exercise_exits_65_and_says_why(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert result.exit_code == 65
    assert "it has no exercise.toml" in result.output
    folder = make_exercise(tmp_path / "exercise", "")
    (folder / "exercise.toml").write_text(TOML.replace("minutes = 1", ""))
    with pytest.raises(MalformedExercise, match="minutes is missing"):
        read_exercise(folder)
    (folder / "exercise.toml").write_text(TOML)
    (folder / "tests" / "cases.py").write_text("def cases(seeds) return 1")
    assert run(folder).exit_code == 65
    (folder / "answer.py").unlink()
    with pytest.raises(MalformedExercise, match=r"has no answer\.py"):
        grade(folder)

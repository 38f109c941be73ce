"""The command line: what it prints, what it returns, what it imports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dynalab.cli import COMMANDS, exit_codes, run
from dynalab_checkers.generate import Recipe, register_history
from dynalab_checkers.history import write_jsonl
from dynalab_fault_injection import campaign as campaigns
from dynalab_fault_injection.campaign import FaultBand, RunResult
from dynalab_fault_injection.workloads import WORKLOADS

VALID = [
    {"index": 0, "time": 10, "process": 0, "type": "invoke", "f": "write", "key": "k", "value": 1},
    {"index": 1, "time": 20, "process": 0, "type": "ok", "f": "write", "key": "k", "value": 1, "old": None},
    {"index": 2, "time": 30, "process": 0, "type": "invoke", "f": "read", "key": "k"},
    {"index": 3, "time": 40, "process": 0, "type": "ok", "f": "read", "key": "k", "value": 1},
]
INVALID = [*VALID[:3], {**VALID[3], "value": None}]


def write(path: Path, events: list[dict[str, object]]) -> str:
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return str(path)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    malformed = tmp_path / "malformed.jsonl"
    malformed.write_text(json.dumps(VALID[0]) + "\nnot json\n")
    return {
        "valid": write(tmp_path / "valid.jsonl", VALID),
        "invalid": write(tmp_path / "invalid.jsonl", INVALID),
        "malformed": str(malformed),
    }


def test_check_gives_one_object_a_file_and_the_worst_exit_code(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", files["valid"], "--json"]) == exit_codes.VALID
    (line,) = capsys.readouterr().out.splitlines()
    assert set(json.loads(line)) == {"file", "model", "verdict", "seconds", "why"}
    assert run(["check", files["valid"], files["invalid"], "--json"]) == exit_codes.INVALID
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["verdict"] for row in rows] == ["valid", "invalid"]
    assert rows[0]["why"] == "" and "the read at" in rows[1]["why"]


def test_a_malformed_file_is_65_names_its_line_and_does_not_hide_the_others(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", files["malformed"], files["invalid"]]) == exit_codes.DATA
    out, err = capsys.readouterr()
    assert "malformed.jsonl: line 2" in err
    assert out.startswith("invalid")


def test_check_imports_the_checkers_alone(files: dict[str, str]) -> None:
    program = (
        "import sys; from dynalab.cli import run; "
        f"code = run(['check', {files['valid']!r}]); "
        "names = {name.split('.')[0] for name in sys.modules}; "
        "print(sorted(n for n in names if n.startswith('dynalab_')), "
        "sorted(n for n in sys.modules if n.startswith('dynalab.')), code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == (
        "['dynalab_checkers'] ['dynalab.cli', 'dynalab.cli.check', 'dynalab.cli.exit_codes', 'dynalab.cli.question'] 0"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["check"],
        ["check", "no-such-file.jsonl"],
        ["check", "--model", "nonsense", "x"],
        ["nonsense"],
        ["serve", "--port", "70000"],
        ["serve", "--nonsense"],
        ["serve", "--credentials", "no-such-file"],
        ["campaign", "--seeds", "5:5"],
        ["campaign", "--seeds", "a:b"],
        ["campaign", "--workload", "nonsense"],
        ["campaign", "--faults", "nonsense"],
        ["replay"],
        ["replay", "-1"],
        ["replay", "1", "--planted-bug", "nonsense"],
        ["planted-bugs", "nonsense"],
        ["fault", "loss", "percent"],
        ["fault", "--url", "ftp://x"],
        ["fault", "--url", "http://127.0.0.1:9"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_64_and_a_sentence(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == exit_codes.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert "Error: " in err and "Traceback" not in err


def test_the_version_and_every_help_page_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("dynalab, version ")
    assert run(["--help"]) == 0
    overview = capsys.readouterr().out
    for name in COMMANDS:
        assert f"  {name} " in overview
        assert run([name, "--help"]) == 0
        assert f"Usage: dynalab {name}" in capsys.readouterr().out


def test_an_internal_error_is_70(monkeypatch: pytest.MonkeyPatch, files: dict[str, str]) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr("dynalab.cli.check.check_files", broken)
    assert run(["check", files["valid"]]) == exit_codes.INTERNAL


@pytest.mark.parametrize(
    ("codes", "worst"), [([0, 2], 2), ([2, 1], 1), ([1, 3], 3), ([3, 65], 65), ([65, 70, 0], 70), ([], 0)]
)
def test_the_worst_of_many_exit_codes(codes: list[int], worst: int) -> None:
    assert exit_codes.worst(codes) == worst


def a_run(seed: int, verdict: str = "valid", bit: int = 1) -> RunResult:
    band = FaultBand("node-crash", 1, 2, {"crashes": bit})
    why = "" if verdict == "valid" else "the read at 1.2 s returned 7"
    return RunResult(
        seed, "register", ("node-crash",), verdict, f"{seed:064x}", 400, {"elections": 3}, [], why, bands=[band]
    )


def with_runs(monkeypatch: pytest.MonkeyPatch, *runs: RunResult) -> None:
    """Campaigns take their course, but each run is the one given: real ones take a second each."""
    by_seed = {one.seed: one for one in runs}
    monkeypatch.setattr(campaigns, "run_job", lambda job: by_seed[job.seed])


@pytest.mark.parametrize(
    ("runs", "code"),
    [
        ([a_run(0), a_run(1)], 0),
        ([a_run(0), a_run(1, "invalid")], 1),
        ([a_run(0), a_run(1, "unknown")], 2),
        ([a_run(0, bit=0), a_run(1, bit=0)], 2),  # the fault never fired
    ],
)
def test_a_campaign_gives_one_object_a_run_a_summary_and_its_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    runs: list[RunResult],
    code: int,
) -> None:
    with_runs(monkeypatch, *runs)
    arguments = [
        "campaign",
        "--workload",
        "register",
        "--faults",
        "node-crash",
        "--seeds",
        "0:2",
        "--jobs",
        "1",
        "--json",
    ]
    assert run([*arguments, "--results", str(tmp_path / "r.sqlite")]) == code
    *rows, summary = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["seed"] for row in rows] == [0, 1]
    assert {"seed", "workload", "faults", "verdict", "trace_hash", "operations", "sometimes"} <= set(rows[0])
    assert summary["runs"] == 2
    assert summary["sometimes"] == {"elections": 6}


def test_a_failing_campaign_ends_with_the_line_that_reproduces_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with_runs(monkeypatch, a_run(7, "invalid"))
    arguments = ["campaign", "--workload", "register", "--faults", "node-crash", "--seeds", "7", "--jobs", "1"]
    assert run([*arguments, "--results", str(tmp_path / "r.sqlite")]) == 1
    out = capsys.readouterr().out
    assert "dynalab replay 7 --workload register --faults node-crash\n" in out
    assert "the read at 1.2 s returned 7" in out
    assert out.endswith("verdict: invalid\n")


def test_a_result_store_that_is_none_is_65(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.sqlite"
    other.write_text("this is no database, whatever its name says" * 100)
    assert run(["campaign", "--seeds", "0:1", "--results", str(other)]) == exit_codes.DATA
    assert "no result store" in capsys.readouterr().err


def test_a_replay_that_takes_another_course_is_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(campaigns, "run_one", lambda seed, *rest: a_run(seed))
    same = f"{5:064x}"
    assert run(["replay", "5", "--faults", "node-crash", "--hash", same]) == 0
    assert run(["replay", "5", "--faults", "node-crash", "--hash", "f" * 64]) == 3
    assert f"ANOTHER COURSE: {same}, not {'f' * 64}" in capsys.readouterr().out
    monkeypatch.setattr(campaigns, "run_one", lambda seed, *rest: a_run(seed, "invalid"))
    assert run(["replay", "5", "--faults", "node-crash"]) == 1


def test_a_real_replay_takes_the_same_course_twice(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["replay", "3", "--workload", "register", "--faults", "node-crash", "--json"])
    row = json.loads(capsys.readouterr().out)
    assert row["same"] is True
    assert code == exit_codes.OF_VERDICT[row["verdict"]]


def test_fault_speaks_to_a_running_lab(capsys: pytest.CaptureFixture[str]) -> None:
    from tests.end_to_end.serving import serve

    with serve("--lab") as served:
        address = ["--url", served.url]
        assert run(["fault", "loss", "percent=5", *address]) == 0
        assert "fault=loss percent=5 active=True" in capsys.readouterr().out
        assert run(["fault", *address]) == 0
        out = capsys.readouterr().out
        assert "ON  loss" in out and "r1/z1/n1" in out
        assert run(["fault", "earthquake", *address]) == exit_codes.USAGE
        assert "there is no fault 'earthquake'" in capsys.readouterr().err
        assert run(["fault", "reset", *address]) == 0
        capsys.readouterr()
        assert run(["fault", "--json", *address]) == 0
        assert json.loads(capsys.readouterr().out)["faults"] == []
        assert run(["fault", "history", *address]) == 0
        assert capsys.readouterr().out == ""


def test_serve_refuses_a_lab_for_the_whole_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "--lab", "--host", "0.0.0.0", "--port", "0"]) == exit_codes.USAGE
    assert "loopback only" in capsys.readouterr().err


def test_serve_refuses_a_manifest_that_it_cannot_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    assert run(["serve", "--data", str(tmp_path), "--port", "0"]) == exit_codes.DATA
    assert "manifest.json cannot be read" in capsys.readouterr().err


def test_serve_without_fsync_needs_files_and_refuses_those_of_a_machine_that_went_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["serve", "--no-fsync", "--port", "0"]) == exit_codes.USAGE
    assert "needs --data DIR" in capsys.readouterr().err
    (tmp_path / "unsynced").write_text("another boot")
    for options in ([], ["--no-fsync"]):
        assert run(["serve", "--data", str(tmp_path), "--port", "0", *options]) == exit_codes.DATA
        assert "acknowledged writes may be missing" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "unsynced"]


@pytest.mark.parametrize("options", [(), ("--data",), ("--data", "--no-fsync")], ids=" ".join)
def test_serve_says_what_an_acknowledgement_promises(options: tuple[str, ...], tmp_path: Path) -> None:
    from dynalab.endpoint.server import Settings
    from tests.end_to_end.serving import serve

    data = str(tmp_path) if "--data" in options else None
    with serve(*[word for option in options for word in (option, str(tmp_path))[: 1 + (option == "--data")]]) as served:
        assert served.process.stdout is not None
        said = served.process.stdout.readline()
    assert said == Settings(data=data, fsync="--no-fsync" not in options).promise() + "\n"


def test_serve_refuses_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert run(["serve", "--port", str(taken.getsockname()[1])]) == exit_codes.USAGE
    assert "cannot listen on 127.0.0.1 port" in capsys.readouterr().err


WRITE_SKEW = [
    '{"index":0,"time":0,"process":0,"type":"invoke","f":"txn","value":[["append","x",1],["r","y",null]]}',
    '{"index":1,"time":5,"process":1,"type":"invoke","f":"txn","value":[["append","y",1],["r","x",null]]}',
    '{"index":2,"time":10,"process":0,"type":"ok","f":"txn","value":[["append","x",1],["r","y",[]]]}',
    '{"index":3,"time":15,"process":1,"type":"ok","f":"txn","value":[["append","y",1],["r","x",[]]]}',
    '{"index":4,"time":20,"process":2,"type":"invoke","f":"txn","value":[["r","x",null],["r","y",null]]}',
    '{"index":5,"time":25,"process":2,"type":"ok","f":"txn","value":[["r","x",[1]],["r","y",[1]]]}',
]


def test_check_judges_transactions_by_their_dependency_graph(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "skew.jsonl"
    file.write_text("\n".join(WRITE_SKEW) + "\n")
    assert run(["check", str(file), "--model", "list-append", "--json"]) == exit_codes.INVALID
    assert "G2-item" in json.loads(capsys.readouterr().out)["why"]
    page = tmp_path / "x.html"
    asked = ["check", str(file), "--model", "list-append", "--level", "snapshot-isolation", "--html", str(page)]
    assert run(asked) == exit_codes.VALID
    assert f"page: {page}" in capsys.readouterr().err
    shown = page.read_text(encoding="utf-8")
    # The level that was asked for comes first; the cycle that it allows is drawn all the same.
    assert shown.index("snapshot-isolation: valid") < shown.index("serializable: invalid")
    assert "G2-item (write skew): allowed at this level" in shown


def test_check_asks_for_promises_by_name_and_refuses_options_that_mean_nothing(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", files["invalid"], "--model", "sessions"]) == exit_codes.INVALID
    assert "read-your-writes: process 0" in capsys.readouterr().out
    assert run(["check", files["invalid"], "--model", "sessions", "--reads", "index"]) == exit_codes.VALID
    assert run(["check", files["invalid"], "--model", "staleness", "--versions-max", "0"]) == exit_codes.INVALID
    assert run(["check", files["invalid"], "--model", "staleness", "--lag-max", "0.00000001"]) == exit_codes.VALID
    assert run(["check", files["invalid"], "--model", "staleness", "--lag-max", "0"]) == exit_codes.INVALID
    assert "10 ns before it began: the bound is 0 ns" in capsys.readouterr().out
    for vain, sentence in (
        (["--model", "staleness"], "--model staleness needs --versions-max or --lag-max"),
        (["--model", "bank"], "--model bank needs --total"),
        (["--lag-max", "1"], "--model register knows no --lag-max"),
        (["--model", "sessions", "--account", "a"], "--model sessions knows no --account"),
        (["--model", "staleness", "--lag-max", "soon"], "'soon' is no number of seconds"),
        (["--model", "staleness", "--lag-max", "-1"], "from 0 on"),
        (["--model", "bank", "--total", "1", "--memory-mb", "5"], "judges the whole of a history"),
        (["--model", "sessions", "--html", "x.html"], "is a promise"),
        (["--initial", "[1]"], "is no string, number or truth value"),
        (["--model", "queue", "--initial", "1"], "--model queue knows no --initial"),
        (["--html", "x.html", "--initial", "1"], "--html knows no --initial"),
    ):
        assert run(["check", files["valid"], *vain]) == exit_codes.USAGE
        assert sentence in capsys.readouterr().err


def test_check_judges_a_bank_by_its_total(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = [["r", "a", 60], ["r", "b", 30]]
    asked = [["r", "a", None], ["r", "b", None]]
    events: list[dict[str, object]] = [
        {"index": 0, "time": 0, "process": 0, "type": "invoke", "f": "txn", "value": asked},
        {"index": 1, "time": 5, "process": 0, "type": "ok", "f": "txn", "value": told},
    ]
    file = write(tmp_path / "bank.jsonl", events)
    bank = ["check", file, "--model", "bank", "--account", "a", "--account", "b"]
    assert run([*bank, "--total", "90"]) == exit_codes.VALID
    assert run([*bank, "--total", "100"]) == exit_codes.INVALID
    assert "a total of 90 over 2 accounts, where it must be 100" in capsys.readouterr().out


def test_check_tells_how_far_it_has_read_a_large_file_and_prints_the_same_verdict_in_parts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dynalab.cli.check.WATCHED_BYTES", 100_000)
    file = tmp_path / "large.jsonl"
    write_jsonl(file, register_history(1, Recipe(operations=12_000, keys=20)).events())
    assert run(["check", str(file)]) == exit_codes.VALID
    out, err = capsys.readouterr()
    assert out.startswith(f"valid    {file}")
    lines = err.splitlines()
    assert lines[-1] == f"{file}: 100 % read" and 4 <= len(lines) <= 10
    assert run(["check", str(file), "--memory-mb", "1"]) == exit_codes.VALID
    assert capsys.readouterr().out.startswith(f"valid    {file}")


def test_the_help_of_a_campaign_names_every_workload(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["campaign", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert [name for name in WORKLOADS if name not in told] == []

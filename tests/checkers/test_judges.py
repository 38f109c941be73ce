"""The judges that have a name: what each is asked, and that it says nothing where it was asked nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dynalab_checkers.check import check_files, check_history, check_in_parts, lacks
from dynalab_checkers.generate import Recipe, register_history
from dynalab_checkers.history import History, Json, Operation, write_jsonl
from dynalab_checkers.judges import JUDGES, Question

HISTORIES = Path(__file__).parents[2] / "docs" / "examples" / "histories"


def done(
    process: int, f: str, call: int, ret: int, value: Json = None, *, key: str = "", told: Json = None
) -> Operation:
    """An operation that returned; a transaction's value is its micro-operations."""
    result = told if f == "read" else None
    assert not isinstance(result, list | dict)
    operation = Operation(process, f, key, call, ret, "ok", value, result, call_index=2 * call, ret_index=2 * ret + 1)
    if told is not None and f != "read":
        operation.ret_extra = {"value": told}
    return operation


def page(call: int, items: list[Json]) -> Operation:
    """A page of the read in pages number 1."""
    asked: dict[str, Json] = {"scan": 1, "segment": 0, "segments": 1}
    told: dict[str, Json] = {"items": items, "more": call == 0}
    return Operation(
        1, "page", "", call, call + 1, "ok", consistency="strong", call_index=2 * call, extra=asked, ret_extra=told
    )


def _query(*entries: Json) -> Operation:
    return Operation(
        1, "query", "", 3, 4, "ok", call_index=6, extra={"index_name": "i"}, ret_extra={"entries": list(entries)}
    )


def both_accounts(balances: tuple[int, int], call: int) -> Operation:
    return done(1, "txn", call, call + 1, [["r", "a", balances[0]], ["r", "b", balances[1]]])


# For each judge: a history that keeps its promise, one that breaks it, the question, and a word of the sentence.
CASES = {
    "sessions": (
        [done(0, "write", 0, 2, 1, key="k"), done(0, "read", 4, 6, key="k", told=1)],
        [done(0, "write", 0, 2, 1, key="k"), done(0, "read", 4, 6, key="k")],
        Question(),
        "read-your-writes",
    ),
    "staleness": (
        [done(0, "write", 0, 2, 1, key="k"), done(0, "read", 4, 6, key="k", told=1)],
        [done(0, "write", 0, 2, 1, key="k"), done(0, "read", 4, 6, key="k")],
        Question(versions_max=0),
        "more than 0 versions behind",
    ),
    "committed": (
        [done(0, "write", 0, 2, 1, key="k"), done(1, "read", 1, 3, key="k", told=1)],
        [done(0, "write", 0, 2, 1, key="k"), done(1, "read", 1, 3, key="k", told=2)],
        Question(),
        "which nobody wrote",
    ),
    "bank": (
        [both_accounts((60, 40), 0), both_accounts((30, 70), 5)],
        [both_accounts((60, 40), 0), both_accounts((30, 40), 5)],
        Question(total=100),
        "a total of 70 over 2 accounts",
    ),
    "counter-bounds": (
        [done(0, "add", 0, 2, 5, key="n"), done(1, "read", 3, 4, key="n", told=5), done(1, "read", 3, 4, key="m")],
        [done(1, "read", 0, 1, key="m"), done(0, "add", 0, 2, 5, key="n"), done(1, "read", 3, 4, key="n", told=4)],
        Question(),
        "between 5 and 5",
    ),
    "set-elements": (
        [done(0, "add", 0, 2, 5), done(1, "members", 3, 4, told=[5])],
        [done(0, "add", 0, 2, 5), done(1, "members", 3, 4, told=[])],
        Question(),
        "did not hold 5",
    ),
    "unique-ids": (
        [done(0, "generate", 0, 2, told=5), done(1, "generate", 0, 2, told=6)],
        [done(0, "generate", 0, 2, told=5), done(1, "generate", 0, 2, told=5)],
        Question(),
        "5 was given out",
    ),
    "effects-once": (
        [done(0, "append", 0, 2, 5, key="l"), done(1, "get", 3, 4, key="l", told=[5])],
        [done(0, "append", 0, 2, 5, key="l"), done(1, "get", 3, 4, key="l", told=[5, 5])],
        Question(),
        "held 5 twice",
    ),
    "index-entries": (
        [replace(done(0, "write", 0, 2, 5, key="k"), extra={"entries": {"i": ["ann", 5]}}), _query(["k", "ann", 5])],
        [replace(done(0, "write", 0, 2, 5, key="k"), extra={"entries": {"i": ["ann", 5]}}), _query(["k", "bob", 5])],
        Question(),
        "which no version of k projects to",
    ),
    "on-call": (
        [done(0, "txn", 0, 1, [["r", "ward/a", True], ["r", "ward/b", False]])],
        [done(0, "txn", 0, 1, [["r", "ward/a", False], ["r", "ward/b", False]])],
        Question(),
        "found 0 of 2 on call",
    ),
    "pages": (
        [page(0, [["a", 1]]), page(5, [["b", 2]])],
        [page(0, [["a", 1]]), page(5, [["a", 1]])],
        Question(),
        "read 1 showed a twice",
    ),
}


@pytest.mark.parametrize("name", list(JUDGES))
def test_each_judge_keeps_the_innocent_and_names_the_guilty(name: str) -> None:
    kept, broken, question, word = CASES[name]
    assert check_history(History(kept), name, question=question).verdict == "valid"
    verdict = check_history(History(broken), name, question=question)
    assert verdict.verdict == "invalid"
    assert word in verdict.why
    assert verdict.operations, "a verdict shows what it says"


@pytest.mark.parametrize("name", [name for name in JUDGES if name != "sessions"])
def test_where_nothing_was_judged_the_verdict_is_unknown(name: str) -> None:
    """Sessions alone promise something even if nobody reads."""
    question = CASES[name][2]
    assert check_history(History([]), name, question=question).verdict == "unknown"


@pytest.mark.parametrize(
    ("name", "question", "sentence"),
    [
        ("staleness", Question(), "staleness needs versions_max or lag_max_ns"),
        ("bank", Question(), "bank needs total"),
        ("sessions", Question(total=1), "sessions knows no total"),
        ("register", Question(reads=("strong",)), "register knows no reads"),
        ("list-append", Question(versions_max=0), "list-append knows no versions_max"),
    ],
)
def test_a_question_that_is_none_for_the_model_is_refused_before_anything_is_read(
    name: str, question: Question, sentence: str, tmp_path: Path
) -> None:
    assert lacks(name, question) == sentence
    with pytest.raises(ValueError, match=sentence):
        check_history(History([]), name, question=question)
    with pytest.raises(ValueError, match=sentence):
        check_in_parts(tmp_path / "there is no such file", 2, name, question=question)


def test_sessions_ask_every_read_for_its_prefix_and_strong_ones_for_the_rest() -> None:
    went_back = [
        done(0, "write", 0, 2, 1, key="k"),
        done(0, "write", 3, 5, 2, key="k"),
        done(1, "read", 6, 7, key="k", told=2),
        done(1, "read", 8, 9, key="k", told=1),
    ]
    for read in went_back[2:]:
        read.consistency = "eventual"
    history = History(went_back)
    assert check_history(history, "sessions").verdict == "valid"
    asked = check_history(history, "sessions", question=Question(reads=("eventual",)))
    assert asked.verdict == "invalid" and asked.why.startswith("monotonic-reads")
    other = Question(reads=("eventual",), guarantees=("read-your-writes",))
    assert check_history(history, "sessions", question=other).verdict == "valid"
    went_back[3].result = 77
    assert check_history(history, "sessions").why.startswith("consistent-prefix")


@pytest.mark.parametrize("model", ["register", "cas-register", "sessions", "staleness", "committed"])
def test_what_was_there_before_the_history_began_is_told(model: str) -> None:
    question = Question(versions_max=0) if model == "staleness" else Question()
    history = History(
        [
            done(0, "read", 0, 1, key="k", told=5),
            done(0, "write", 2, 3, 6, key="k"),
            done(1, "read", 4, 5, key="k", told=5),
        ]
    )
    known = replace(question, initial=5)
    without, told = (check_history(history, model, question=asked) for asked in (question, known))
    if model == "committed":
        assert (without.verdict, told.verdict) == ("invalid", "valid")
        assert "5 from k, which nobody wrote" in without.why
    elif model == "sessions":
        assert (without.verdict, told.verdict) == ("invalid", "valid")
    else:
        assert told.verdict == "invalid" and "nobody wrote" not in told.why
    history.operations.pop()
    assert check_history(history, model, question=known).verdict == "valid"


@pytest.mark.parametrize("model", ["counter", "counter-bounds"])
def test_a_counter_may_begin_with_any_number_and_with_nothing_else(model: str) -> None:
    history = History([done(0, "add", 0, 1, 5, key="n"), done(0, "read", 2, 3, key="n", told=15)])
    assert check_history(history, model, question=Question(initial=10)).verdict == "valid"
    assert check_history(history, model).verdict == "invalid"
    assert lacks(model, Question(initial="ten")) == f"{model} begins with a whole number"


def test_a_transaction_level_is_asked_for_by_name() -> None:
    path = HISTORIES / "write-skew-allowed.jsonl"
    allowed = check_files([path], "list-append", question=Question(level="snapshot-isolation"))
    forbidden = check_files([path], "list-append", question=Question(level="serializable"))
    assert (allowed[0].verdict, forbidden[0].verdict) == ("valid", "invalid")


def test_judges_of_single_keys_judge_large_files_in_parts_and_the_others_refuse(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    write_jsonl(path, register_history(5, Recipe(operations=600, keys=6, processes=4)).events())
    questions = {"sessions": Question(), "committed": Question(), "staleness": Question(versions_max=0)}
    for name, question in questions.items():
        (whole,) = check_files([path], name, question=question)
        partly = check_in_parts(path, 4, name, question=question)
        assert (partly.verdict, partly.why) == (whole.verdict, whole.why) == ("valid", "")
        assert partly.detail.details == whole.detail.details | {"parts": 4}
    # No part may say that there was nothing to judge, but all of them together.
    none = check_in_parts(path, 4, "staleness", question=Question(versions_max=0, reads=("index",)))
    assert none.verdict == "unknown"
    with pytest.raises(ValueError, match="the whole of a history"):
        check_in_parts(path, 2, "bank", question=Question(total=1))

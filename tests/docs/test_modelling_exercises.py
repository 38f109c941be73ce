"""Exercises 09 and 10: the mistakes that everybody makes are found, and told in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynalab.grade import grade

ROOT = Path(__file__).resolve().parents[2]
KEYS = ROOT / "docs" / "exercises" / "09-choose-the-sort-key"
VOTES = ROOT / "docs" / "exercises" / "10-shard-the-votes"


def said(tmp_path: Path, exercise: Path, case: str, solution: str, *changes: tuple[str, str]) -> str:
    """The sentence for this case, of the right answer after these changes."""
    text = (ROOT / "docs" / "solutions" / exercise.name / "answer.py").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, "the mistake cannot be made any more"
        text = text.replace(old, new)
    (tmp_path / solution).write_text(text, encoding="utf-8")
    _, outcomes = grade(tmp_path, exercise_folder=exercise, only=(case,))
    assert len(outcomes) == 1
    return outcomes[0].sentence


STATE_FIRST = "f\"{each['state']}#{each['at']}#{each['id']:06}\""


@pytest.mark.claim("S53", "S54")
@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (STATE_FIRST, "f\"{each['at']}#{each['state']}#{each['id']:06}\"", "are right"),
        ('question["state"] + "#"', 'question["state"]', "are right"),
        ('("until", "$")', '("until", "")', "are right"),
        ('"forward": "limit" not in question', '"forward": True', "and the newest are those of"),
        ("#{each['id']:06}", "", "two entries have the same key"),
        ("pk = :p AND begins_with(sk, :s)", "begins_with(sk, :s)", "the service refuses it: ValidationException"),
    ],
    ids=["date-first", "prefix-too-short", "upper-bound-left-out", "oldest-first", "not-unique", "no-partition-key"],
)
def test_a_key_or_a_query_that_reads_too_much_or_too_little_is_told_so(
    tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    found = [said(tmp_path, KEYS, f"plan-{number}", "answer.py", (old, new)) for number in (1, 2, 3, 4)]
    assert any(sentence in each for each in found), found


@pytest.mark.claim("S112", "S113", "S114")
@pytest.mark.parametrize(
    ("case", "old", "new", "sentence"),
    [
        ("large-item", 'max(request["before"], request["after"])', 'request["after"]', "costs 9 units, not 1"),
        ("writes", "max(1, -(-max(", "max(0, -(-max(", "costs 1 units, not 0"),
        ("gets", "sum(max(1, ", "sum(max(0, ", "costs 1 units, not 0"),
        ("queries", "sizes = sum(sizes)", "pass", "costs 1 units, not 0"),
        ("batches", 'request["f"] == "query"', 'request["f"] != "get"', "costs 100 units, not 3"),
    ],
)
def test_a_wrong_rounding_is_told_by_the_request_that_shows_it(
    tmp_path: Path, case: str, old: str, new: str, sentence: str
) -> None:
    found = said(tmp_path, KEYS, f"units-{case}", "answer.py", (old, new))
    assert sentence in found


@pytest.mark.claim("S60", "S61")
@pytest.mark.parametrize("factor", [1, 2])
def test_as_many_shards_as_the_arithmetic_asks_for_are_too_few(tmp_path: Path, factor: int) -> None:
    sentence = said(tmp_path, VOTES, "shards-1", "answer.py", ("30 * rate // limit", f"{factor} * rate // limit"))
    assert f"with {15 * factor} shards" in sentence and "were refused" in sentence


def test_a_shard_a_voter_is_no_answer_either(tmp_path: Path) -> None:
    sentence = said(tmp_path, VOTES, "shards-2", "answer.py", ("30 * rate // limit", "10_000"))
    assert sentence == "a number of shards from 1 to 800 is wanted, not 10000"


@pytest.mark.claim("S145")
def test_a_hash_that_is_salted_in_each_process_loses_the_voter(tmp_path: Path) -> None:
    sentence = said(tmp_path, VOTES, "keys-few", "answer.py", ("zlib.crc32(voter.encode())", "hash(voter)"))
    assert "is counted at 'Candidate" in sentence and "by all other programs" in sentence


@pytest.mark.claim("S62")
@pytest.mark.parametrize(
    ("case", "new"),
    [("totals-2", "written.append(sum(votes for _, votes in round))"), ("totals-drawn", "written.append(max(best))")],
)
def test_a_total_that_forgets_a_shard_or_goes_back_is_told_in_which_round(tmp_path: Path, case: str, new: str) -> None:
    sentence = said(tmp_path, VOTES, case, "answer.py", ("written.append(sum(best))", new))
    assert "after round" in sentence and "votes are known" in sentence


@pytest.mark.claim("S62")
def test_a_total_that_believes_a_replica_that_is_behind_goes_back(tmp_path: Path) -> None:
    sentence = said(tmp_path, VOTES, "totals-3", "answer.py", ("max(best[shard], votes)", "votes"))
    assert sentence == "a replica that is behind: after round 2 at least 7 votes are known, and the total says 5"

"""Mistakes that learners make in exercises on splits, catching up and recovery: each costs points, and is told why."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynalab.grade import grade

ROOT = Path(__file__).resolve().parents[2]

# (exercise, what stands in the solution, what stands there by mistake, the question that finds it, what it is told)
MISTAKES = {
    "divides the range and not the load": (
        "07-where-to-split",
        "if before and busier < best:",
        "if before and not at and key > sorted(weights)[len(weights) // 2]:",
        "halve-2",
        "the busier side",
    ),
    "splits under load that moves": ("07-where-to-split", "9 * (len", "11 * (len", "point-3", "no split helps"),
    "splits a lone hot item": (
        "07-where-to-split",
        'return hottest + "00" if above else ""',
        'return hottest + "00"',
        "point-8",
        "no split helps",
    ),
    "begins the next page with the last key": (
        "07-where-to-split",
        "if key > last",
        "if key >= last",
        "read-1",
        "page 1 holds",
    ),
    "throws away what was accepted behind": (
        "08-catch-up",
        "log[at : at + len(fresh)] = fresh",
        "log[at:] = fresh",
        "follow-4",
        "'log' is",
    ),
    "takes entries behind a gap": ("08-catch-up", "if first <= matched + 1:", "if True:", "follow-2", "message 0"),
    "commits what it does not know to be the leader's": (
        "08-catch-up",
        'min(commit, follower["matched"])',
        "min(commit, base + len(log))",
        "follow-5",
        "'rows' is {'a': 1}",
    ),
    "lays the snapshot over its old state": (
        "08-catch-up",
        'follower["rows"] = rows',
        'follower["rows"].update(rows)',
        "follow-7",
        "'rows' is",
    ),
    "drops the log with a snapshot": (
        "08-catch-up",
        'follower["log"] = follower["log"][max(0, slot - follower["base"]) :]',
        'follower["log"] = []',
        "follow-8",
        "'log' is",
    ),
    "goes on after a missing piece": (
        "08-catch-up",
        "if number > gathered[1]:",
        "if False:",
        "follow-9",
        "['again', 6]",
    ),
    "forgets that something was deleted": (
        "11-recovery",
        'get(key, [None, world["deleted"]])',
        "get(key, [None, 0])",
        "prepare-8",
        "'old', not 'accepted'",
    ),
    "takes an equal timestamp": ("11-recovery", "if stamp <= last:", "if stamp < last:", "prepare-4", "'old'"),
    "looks at the item before its own marker": (
        "11-recovery",
        'return [world, "accepted" if holder[0] == txn else "held"]',
        'return [world, "held"]',
        "prepare-5",
        "'accepted', not 'held'",
    ),
    "lets a check leave no trace": (
        "11-recovery",
        'world["items"][key] = [value, holder[1]]',
        'world["items"][key] = [value, holder[1]] if action[2] != "=" else world["items"][key]',
        "finish-5",
        "'items' is",
    ),
    "cancels what another transaction holds": (
        "11-recovery",
        "if holder is None or holder[0] != txn:",
        "if holder is None:",
        "finish-8",
        "'held' is",
    ),
    "decides anew": ("11-recovery", 'if entry[0] == "preparing":', "if True:", "recover-9", "the steps are"),
    "leaves the markers of what the ledger has forgotten": (
        "11-recovery",
        "if entry is None:",
        "if entry is None and not world:",
        "recover-11",
        "raised",
    ),
    "owes what nobody sees": (
        "12-an-index-that-catches-up",
        "if new is not None and new != old:",
        "if new is not None:",
        "owed-4",
        "[], not",
    ),
    "leaves the entry behind when its key changes": (
        "12-an-index-that-catches-up",
        "if old is not None and (new is None or new[key] != old[key]):",
        "if old is not None and new is None:",
        "owed-5",
        "delete",
    ),
    "forgets the version of what was deleted": (
        "12-an-index-that-catches-up",
        "index.pop(place, None)",
        "index.pop(place, None), versions.pop(place)",
        "apply-4",
        "{}, not",
    ),
    "takes whatever comes last": (
        "12-an-index-that-catches-up",
        "if version <= versions.get(place, 0):",
        "if False:",
        "apply-3",
        "'z'",
    ),
    "throttles only when the backlog was full before": (
        "12-an-index-that-catches-up",
        "taken = min(arriving, capacity + bound - waiting)",
        "taken = arriving if waiting < bound else 0",
        "accepted-3",
        "not [[200",
    ),
    "waits for a parent that was trimmed": (
        "13-fold-the-stream",
        "(parent not in shards or parent in read)",
        "(parent is None or parent in read)",
        "readable-5",
        "['b', 'c'], not",
    ),
    "counts a record as often as it comes": (
        "13-fold-the-stream",
        'seen.add(record["seq"])',
        "pass",
        "counted-2",
        "not {'1': 6",
    ),
    "counts with new images alone": (
        "13-fold-the-stream",
        'is_open(record, "new") - is_open(record, "old")',
        'is_open(record, "new")',
        "counted-4",
        "'1': 2",
    ),
    "sweeps what expires in this second": (
        "13-fold-the-stream",
        "<= value < now",
        "<= value <= now",
        "swept-2",
        "[], not",
    ),
    "archives whatever any service removes": (
        "13-fold-the-stream",
        'r.get("identity") == SERVICE',
        'r.get("identity", {}).get("type") == "Service"',
        "archive-3",
        "not [",
    ),
    "sorts numbers as text": ("13-fold-the-stream", "gone = {int(r", "gone = {str(r", "archive-6", "not ["),
    "keeps pieces over a restart": (
        "08-catch-up",
        "            gathered = None\n            follower",
        "            follower",
        "follow-12",
        "['again', 9]",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found_by_the_question_that_asks_for_it(mistake: str, tmp_path: Path) -> None:
    exercise, right, wrong, name, told = MISTAKES[mistake]
    solution = (ROOT / "docs" / "solutions" / exercise / "answer.py").read_text(encoding="utf-8")
    assert solution.count(right) == 1
    (tmp_path / "answer.py").write_text(solution.replace(right, wrong), encoding="utf-8")
    _, outcomes = grade(tmp_path, exercise_folder=ROOT / "docs" / "exercises" / exercise, only=(name,))
    assert [outcome.points for outcome in outcomes] == [0]
    assert told in outcomes[0].sentence

"""The race of stranger.py, forced: once without a transaction, once with one. Run: python docs/examples/race.py"""

import sqlite3
import tempfile
import threading
from pathlib import Path

from stranger import judge


def table(folder: str) -> str:
    """A fresh database with one counter at 0."""
    path = str(Path(folder) / "hits.db")
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE hits (n INTEGER)")
        database.execute("INSERT INTO hits VALUES (0)")
    return path


if __name__ == "__main__":
    # The barrier lets nobody write before both have read: the race happens every time, and not only in production.
    for title, begin, between in (
        ("read, then write", "", threading.Barrier(2).wait),
        ("BEGIN IMMEDIATE", "BEGIN IMMEDIATE", lambda: None),
    ):
        with tempfile.TemporaryDirectory() as folder:
            verdict = judge(table(folder), begin, between)
        print(f"{title:17} {verdict.verdict:8} {verdict.why}")

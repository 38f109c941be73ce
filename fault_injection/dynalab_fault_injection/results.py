"""The result store: one SQLite file that campaigns write and the site reads.

A run is written in one transaction when it has been judged, so a campaign that was stopped loses nothing and repeats
nothing. A run's row is found again by everything that determines it: version of the sources, seed, workload, faults,
setting. Reads give the rows of the version that was written last, since figures of two versions do not add up.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import cast

from dynalab_checkers.history import Json
from dynalab_checkers.staleness import Staleness, merge

DEFAULT_PATH = Path("results/campaign.sqlite")
LAYOUT = 2  # a store of another layout is refused, not guessed at

TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY,
    version TEXT NOT NULL, seed INTEGER NOT NULL, workload TEXT NOT NULL, faults TEXT NOT NULL,
    setting TEXT NOT NULL,
    verdict TEXT NOT NULL, why TEXT NOT NULL, trace_hash TEXT NOT NULL,
    operations INTEGER NOT NULL,
    verdicts TEXT NOT NULL, bands TEXT NOT NULL, staleness TEXT NOT NULL, history TEXT NOT NULL,
    UNIQUE (version, seed, workload, faults, setting)
);
CREATE TABLE IF NOT EXISTS sometimes (
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE, name TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (run, name)
);
CREATE TABLE IF NOT EXISTS planted_bugs (
    name TEXT PRIMARY KEY, version TEXT NOT NULL, rule TEXT NOT NULL, caught INTEGER NOT NULL, checker TEXT NOT NULL,
    seeds INTEGER NOT NULL, seed INTEGER, replay TEXT NOT NULL, sentence TEXT NOT NULL, svg TEXT NOT NULL,
    history TEXT NOT NULL, hunts TEXT NOT NULL
);
"""


class WrongStore(ValueError):
    """The file is no result store of this layout."""


@dataclass(frozen=True, slots=True)
class RunKey:
    """What determines a run."""

    version: str
    seed: int
    workload: str
    faults: tuple[str, ...]
    setting: str


@dataclass(slots=True)
class StoredRun:
    """A run as the store holds it. `verdicts` are (checker, verdict, why); a valid run keeps no history."""

    key: RunKey
    verdict: str
    why: str
    trace_hash: str
    operations: int
    sometimes: dict[str, int]
    verdicts: list[tuple[str, str, str]]
    bands: list[dict[str, Json]]
    staleness: dict[str, Json] = field(default_factory=dict)
    history: list[dict[str, Json]] = field(default_factory=list)


@dataclass(slots=True)
class StoredBug:
    """What the hunts for a planted bug came to: `sentence` and `svg` show the smallest history of the first one, which
    `history` holds. `hunts` are (seeds tried, virtual nanoseconds until it was caught, 0 if it was not).
    """

    name: str
    version: str
    rule: str
    caught: bool
    checker: str
    seeds: int
    seed: int | None
    replay: str
    sentence: str = ""
    svg: str = ""
    history: list[dict[str, Json]] = field(default_factory=list)
    hunts: list[tuple[int, int]] = field(default_factory=list)


class Results:
    """An open store.

    >>> with Results.open(":memory:") as results:
    ...     results.runs()
    []
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, path: str | Path = DEFAULT_PATH) -> Results:
        """Open the store, and make it if there is none. Raises `WrongStore` for a file that is something else."""
        if str(path) != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path)
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.executescript(TABLES)
            with connection:
                connection.execute("INSERT OR IGNORE INTO meta VALUES ('layout', ?)", (str(LAYOUT),))
            row = connection.execute("SELECT value FROM meta WHERE name = 'layout'").fetchone()
        except sqlite3.DatabaseError as error:
            connection.close()
            raise WrongStore(f"{path} is no result store: {error}") from None
        if row[0] != str(LAYOUT):
            connection.close()
            raise WrongStore(f"{path} has layout {row[0]}, this version reads {LAYOUT}")
        return cls(connection)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Results:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- writing ---------------------------------------------------------------------------------------------------

    def add_run(self, run: StoredRun) -> None:
        """Write a run, whole or not at all; an older row of the same key gives way."""
        key = run.key
        with self._connection as connection:
            connection.execute(
                "DELETE FROM runs WHERE version = ? AND seed = ? AND workload = ? AND faults = ? AND setting = ?",
                _key_row(key),
            )
            cursor = connection.execute(
                "INSERT INTO runs (version, seed, workload, faults, setting, verdict, why, trace_hash, operations,"
                " verdicts, bands, staleness, history) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *_key_row(key),
                    run.verdict,
                    run.why,
                    run.trace_hash,
                    run.operations,
                    json.dumps(run.verdicts),
                    json.dumps(run.bands),
                    json.dumps(run.staleness),
                    json.dumps(run.history),
                ),
            )
            connection.executemany(
                "INSERT INTO sometimes VALUES (?, ?, ?)",
                [(cursor.lastrowid, name, count) for name, count in run.sometimes.items()],
            )
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('version', ?)", (key.version,))

    def add_planted_bug(self, bug: StoredBug) -> None:
        """Write what a hunt came to; the last one of a name stays."""
        with self._connection as connection:
            connection.execute(
                "INSERT OR REPLACE INTO planted_bugs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    bug.name,
                    bug.version,
                    bug.rule,
                    int(bug.caught),
                    bug.checker,
                    bug.seeds,
                    bug.seed,
                    bug.replay,
                    bug.sentence,
                    bug.svg,
                    json.dumps(bug.history),
                    json.dumps(bug.hunts),
                ),
            )

    # --- reading ---------------------------------------------------------------------------------------------------

    def version(self) -> str | None:
        """The version of the sources that wrote the last run; None for an empty store."""
        row = self._connection.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()
        return None if row is None else str(row[0])

    def find(self, key: RunKey) -> StoredRun | None:
        """The run of that key, if it has been done."""
        found = list(
            self._select(
                "version = ? AND seed = ? AND workload = ? AND faults = ? AND setting = ?",
                _key_row(key),
            )
        )
        return found[0] if found else None

    def runs(self, version: str | None = None) -> list[StoredRun]:
        """All runs of a version (the last one), by workload, faults and seed."""
        wanted = version or self.version()
        return [] if wanted is None else list(self._select("version = ?", (wanted,)))

    def sometimes(self, version: str | None = None) -> dict[str, int]:
        """The counters of all runs of a version (the last one) added up, by name."""
        wanted = version or self.version()
        rows = self._connection.execute(
            "SELECT name, SUM(count) FROM sometimes JOIN runs ON runs.id = run WHERE version = ?"
            " GROUP BY name ORDER BY name",
            (wanted,),
        )
        return {str(name): int(count) for name, count in rows}

    def staleness(self, version: str | None = None) -> dict[str, Staleness]:
        """Staleness of eventual (`register`) and index reads (`index`), merged over all runs, by workload."""
        parts: dict[str, list[Staleness]] = {}
        for run in self.runs(version):
            if run.staleness:
                parts.setdefault(run.key.workload, []).append(Staleness.from_json(run.staleness))
        return {workload: merge(measured) for workload, measured in parts.items()}

    def planted_bugs(self) -> list[StoredBug]:
        """The last hunt for each planted bug, by name."""
        rows = self._connection.execute(
            "SELECT name, version, rule, caught, checker, seeds, seed, replay, sentence, svg, history, hunts"
            " FROM planted_bugs ORDER BY name"
        )
        bugs: list[StoredBug] = []
        for name, version, rule, caught, checker, seeds, seed, replay, sentence, svg, history, hunts in rows:
            events = cast("list[dict[str, Json]]", json.loads(history))
            told = StoredBug(name, version, rule, bool(caught), checker, seeds, seed, replay, sentence, svg, events)
            told.hunts = [(int(tried), int(virtual_ns)) for tried, virtual_ns in json.loads(hunts)]
            bugs.append(told)
        return bugs

    def _select(self, where: str, values: tuple[object, ...]) -> Iterator[StoredRun]:
        with closing(self._connection.cursor()) as cursor:
            rows = cursor.execute(
                "SELECT id, version, seed, workload, faults, setting, verdict, why, trace_hash, operations, verdicts,"
                f" bands, staleness, history FROM runs WHERE {where} ORDER BY workload, faults, seed",
                values,
            ).fetchall()
        for row in rows:
            counts = self._connection.execute(
                "SELECT name, count FROM sometimes WHERE run = ? ORDER BY rowid", (row[0],)
            )
            key = RunKey(row[1], row[2], row[3], tuple(name for name in row[4].split(",") if name), row[5])
            yield StoredRun(
                key,
                verdict=row[6],
                why=row[7],
                trace_hash=row[8],
                operations=row[9],
                sometimes={str(name): int(count) for name, count in counts},
                verdicts=[(part[0], part[1], part[2]) for part in json.loads(row[10])],
                bands=json.loads(row[11]),
                staleness=json.loads(row[12]),
                history=json.loads(row[13]),
            )


def _key_row(key: RunKey) -> tuple[str, int, str, str, str]:
    return (key.version, key.seed, key.workload, ",".join(key.faults), key.setting)

"""Two clients count hits in SQLite: each reads, then writes. Were all hits counted? Ask a checker, not the code."""

import sqlite3
import threading
from collections.abc import Callable

from dynalab_checkers.check import check_history
from dynalab_checkers.recorder import Recorder
from dynalab_checkers.verdict import Verdict


def judge(path: str, begin: str = "", between: Callable[[], object] = lambda: None) -> Verdict:
    recorder = Recorder()

    def hit(client: int) -> None:
        database = sqlite3.connect(path, isolation_level=None, timeout=60)
        with recorder.operation(client, "add", "hits", 1):
            database.execute(begin)
            (seen,) = database.execute("SELECT n FROM hits").fetchone()
            between()
            database.execute("UPDATE hits SET n = ?", [seen + 1])
            database.commit()

    clients = [threading.Thread(target=hit, args=[client]) for client in (1, 2)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    with recorder.operation(3, "read", "hits") as operation:
        operation.returns(sqlite3.connect(path).execute("SELECT n FROM hits").fetchone()[0])
    return check_history(recorder.history(), "counter")

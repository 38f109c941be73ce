"""Two clients count hits in SQLite: each reads, then writes. Were all hits counted? Ask a checker, not the code."""

import sqlite3
import threading
import time

from dynalab_checkers.check import check_history
from dynalab_checkers.history import History


def judge(path, begin="", between=lambda: None):
    events, lock = [], threading.Lock()

    def told(process, kind, f, value):  # what the clients see: one list, one clock
        with lock:
            event = {"index": len(events), "time": time.monotonic_ns(), "process": process}
            events.append({**event, "type": kind, "f": f, "key": "hits", "value": value})

    def hit(process):
        told(process, "invoke", "add", 1)
        database = sqlite3.connect(path, isolation_level=None, timeout=60)
        database.execute(begin)
        (seen,) = database.execute("SELECT n FROM hits").fetchone()
        between()
        database.execute("UPDATE hits SET n = ?", [seen + 1])
        database.commit()
        told(process, "ok", "add", 1)

    clients = [threading.Thread(target=hit, args=[process]) for process in (0, 1)]
    for step in (threading.Thread.start, threading.Thread.join):
        [step(client) for client in clients]
    told(2, "invoke", "read", None)
    told(2, "ok", "read", sqlite3.connect(path).execute("SELECT n FROM hits").fetchone()[0])
    return check_history(History.from_events(events), "counter")

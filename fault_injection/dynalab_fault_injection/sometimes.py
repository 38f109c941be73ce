"""What ought to happen sometimes (design: every *always* has a *sometimes*): the steps that nodes tell of, and what the
simulator counts. A promise that was kept while nothing of this happened was not put to the test.

A campaign that draws its faults itself and is long enough (`RUNS_MIN`) must have seen all of it; else it is `unknown`.
Some of it only happens under workloads that ask for it. `dynalab_model.events.KINDS` says what each step is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dynalab_model.events import KINDS

RUNS_MIN = 1_000  # a shorter campaign may miss what is rare

# Told events under the words of the report; the others keep the names of `KINDS`.
WORDS: dict[str, str] = {
    "leader-elected": "elections",
    "redirected": "redirects",
    "lease-ran-out": "leases-that-ran-out",
    "learner-joined": "wiped-learners",
    "learner-readmitted": "learners-readmitted",
}

# The simulator's own counters.
COUNTED: tuple[str, ...] = (
    "answers-after-the-client-gave-up",
    "crashes",
    "disks-given-up-misplaced",
    "disks-given-up-unreadable",
    "failed-syncs",
    "leaders-died",
    "leaders-died-with-unacked-writes",
    "leaders-lost-on-a-return",
    "log-records-dropped",
    "lost-unsynced-tails",
    "lost-while-healing",
    "messages-reordered",
    "operations-of-unknown-outcome",
    "outputs-lost-in-crash",
    "planned-stops",
    "power-lost-while-a-snapshot-was-written",
    "restarts",
    "stale-reads-seen",
    "torn-tails-cut",
    "two-zones-lost",
    "wiped-disks",
)

# Steps that only these workloads bring about; a name stands for all that begin with it.
ONLY_UNDER: dict[str, tuple[str, ...]] = {
    "backfill-": ("index-churn",),
    "expiring": ("ttl",),
    "hot": ("hot-key",),
    "index-": ("index",),
    "indexed": ("index-churn",),
    "item-hidden": ("blind",),
    "item-prepared-beside": ("blind",),
    "item-": ("transact",),
    "read-in-one-round": ("transact",),
    "read-transaction-": ("transact",),
    "rebuild-began": ("register",),
    "reformed": ("index-churn", "stream", "ttl"),
    "replica-diverged": ("register",),
    "replica-rebuilt": ("register",),
    "stale-reads-seen": ("register", "hot-key", "index"),  # others have no register whose reads have an age
    "stream-read": ("stream",),
    "swept": ("ttl",),
    "token-": ("transact",),
    "transaction-": ("transact",),
    "unindexed": ("index-churn",),
    "write-before-prepared": ("blind",),
    "write-conflicted": ("transact",),
}

# Steps that no run of a campaign may come to, and why.
NEVER: dict[str, str] = {
    "change-unfit": "the rules of the catalog fail over nothing that a client can say",
    "fed": "no workload has a Kinesis destination: `tests/impl/test_feeds.py` has",
    "watched": "no workload counts busy keys: `tests/impl/test_watching.py` does",
    "index-back-pressure": "runs are too short for an index to be owed so much",
    "scrub-undecided": "two of three replicas would have to be wrong; faults hurt one at a time",
}


def promised(workloads: Iterable[str]) -> list[str]:
    """What a long campaign over these workloads must have seen.

    >>> "index-sent" in promised(["register"]), "index-sent" in promised(["register", "index"])
    (False, True)
    >>> "stale-reads-seen" in promised(["bank"]), "stale-reads-seen" in promised(["bank", "register"])
    (False, True)
    """
    chosen = list(workloads)
    steps = [
        step for step in (*KINDS, *COUNTED) if step not in NEVER and not {*_under(step, chosen)}.isdisjoint(chosen)
    ]
    return sorted(WORDS.get(step, step) for step in steps)


def unseen(workloads: Iterable[str], sometimes: Mapping[str, int]) -> list[str]:
    """What of it did not happen."""
    return [name for name in promised(workloads) if not sometimes.get(name)]


def _under(kind: str, chosen: list[str]) -> Iterable[str]:
    for name, workloads in ONLY_UNDER.items():
        if kind.startswith(name):
            return workloads
    return chosen

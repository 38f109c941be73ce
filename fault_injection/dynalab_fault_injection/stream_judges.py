"""Judging runs of tables with streams, and of tables whose items expire.

What the operator reads of the stream at the end of a run is complete, so the rules of completeness are judged on that;
the other readers are held to what they were shown.
"""

from __future__ import annotations

from typing import Any

from dynalab_checkers.committed import check_committed
from dynalab_checkers.expiry import check_expiry, check_sweeps
from dynalab_checkers.history import History, Json
from dynalab_checkers.linearizability import check_register
from dynalab_checkers.sessions import check_sessions
from dynalab_checkers.stream_history import check_records
from dynalab_checkers.stream_reads import ShardRead, check_reads
from dynalab_checkers.streams import Record, check_stream
from dynalab_checkers.verdict import INVALID, Verdict
from dynalab_fault_injection.judgement import Judgement, judgement
from dynalab_fault_injection.simulator import WALL_EPOCH_NS
from dynalab_fault_injection.workloads.stream import CONSUMER
from dynalab_fault_injection.workloads.stream_reader import OF_READERS, reads_of

SECOND = 1_000_000_000
PROBE = "probe"  # the operator's own keys: nobody records them


def judge_stream(history: History, budget: int) -> list[Judgement]:
    """The base table like any, and its stream."""
    base = base_part(history)
    return [
        judgement("linearizability", check_register(base, budget=budget)),
        judgement("sessions", check_sessions(base)),
        judgement("committed", check_committed(base)),
        judgement("streams", check_streams(history, base, folds=True)),
    ]


def judge_expiry(history: History, budget: int, wall_error_ns: int) -> list[Judgement]:
    """A table whose items expire, and its stream: the sweeps are in it, too."""
    base = base_part(history)
    swept = check_expiry(base, epoch_ns=WALL_EPOCH_NS, error_ns=wall_error_ns, budget=budget)
    # Nothing but the record says when a sweep was made: in whole seconds, by the clock of the one that made it.
    sweeps = check_sweeps(final_records(history), _expires, epoch_ns=WALL_EPOCH_NS, error_ns=SECOND)
    return [
        judgement("expiry", swept),
        judgement("committed", check_committed(base)),
        judgement("sweeps", sweeps),
        judgement("streams", check_streams(history, base, folds=False)),
    ]


def base_part(history: History) -> History:
    """The operations on the table itself."""
    return History(operation for operation in history if operation.f not in OF_READERS)


def final_records(history: History) -> list[Record]:
    """What the operator was shown, in that order."""
    return [one for read in _calls_of(reads_of(history)[0], "operator") for one in read.records if _is_ours(one)]


def _calls_of(reads: list[ShardRead], reader: str) -> list[ShardRead]:
    return [read for read in reads if read.reader.partition("/")[0] == reader]


def _is_ours(record: Record) -> bool:
    return not record.key.startswith(PROBE)


def check_streams(history: History, base: History, *, folds: bool) -> Verdict:
    """Everything that can be said of the stream. `folds`: the items at the end are what the stream leaves."""
    reads, parents = reads_of(history)
    final = final_records(history)
    table: dict[str, Json] = {}
    for operation in base:
        if operation.f == "read" and operation.session == "operator" and operation.outcome == "ok":
            table.pop(operation.key, None)
            if operation.result is not None:
                table[operation.key] = {"v": operation.result}
    # A run that broke off has read only some of it.
    whole = any(operation.f == "drained" for operation in history)
    consumed = [one for read in _calls_of(reads, f"r{CONSUMER}") for one in read.records]
    for verdict in (
        check_stream(final, parents=parents, final=table if folds and whole else None),
        check_stream(_without_repeats(consumed), parents=parents),
        check_reads(reads, parents=parents),
        check_reads(_calls_of(reads, "operator"), parents=parents, at_rest=whole),
        check_records(final, base, value_of=_value, at_rest=whole),
    ):
        if verdict.verdict == INVALID:
            return verdict
    return verdict


def _without_repeats(records: list[Record]) -> list[Record]:
    """What a consumer takes in: an answer that was lost is asked for again, from the same place."""
    return list({(record.shard, record.sequence): record for record in records}.values())


def _value(image: Json) -> int | None:
    told: Any = image
    return None if told is None else int(told["v"])


def _expires(image: Json) -> int | None:
    told: Any = image
    return told.get("expires") if isinstance(told, dict) else None

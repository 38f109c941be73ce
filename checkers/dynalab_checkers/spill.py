"""Histories larger than memory: read once, and laid aside on disk by key, so that some keys can be judged at a time.

Rules of this room:
1. A file is read and checked once, whatever the number of parts; what is laid aside are operations, not lines, so that
   nothing is checked or paired twice.
2. The files have no name where the system allows that (`tempfile.TemporaryFile`, in TMPDIR): nobody else can open them,
   and they are gone on every way out, a kill among them.
3. A key is in one part. What has no key stands in every part if it is a transaction, since that may have written any
   key, and else in the first.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import IO, Any, Final
from zlib import crc32

from dynalab_checkers.collector import collector_paused
from dynalab_checkers.history import MISSING, NO_FIELDS, History, Operation

PARTS_MAX: Final = 256
# Operations that wait in all buckets together, before those of one are written as a line.
WAITING_MAX: Final = 16_384
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode
# `old` and `found` that were not told: no scalar is a list.
_UNTOLD: Final[list[Any]] = []
_USUAL: Final = [_UNTOLD, _UNTOLD, None, None, None, None, None]


class Spill:
    """Operations in so many parts by key, on disk.

    >>> spill = Spill(2)
    >>> with spill:
    ...     spill.take([Operation(0, "write", "k", 5, 9, "ok", 7, call_index=3, ret_index=4)])
    ...     [[(o.key, o.value, o.old) for o in part] for part in (spill.part(0), spill.part(1)) if len(part)]
    [[('k', 7, MISSING)]]
    """

    def __init__(self, parts: int) -> None:
        assert 1 <= parts <= PARTS_MAX, "a file is judged in 1 to PARTS_MAX parts"
        self.parts = parts
        self._line_operations = WAITING_MAX // (parts + 1)
        # One bucket more than parts: transactions, which belong to all of them.
        self._files: list[IO[bytes]] = []
        self._rows: list[list[list[Any]]] = [[] for _ in range(parts + 1)]
        self._bucket_of: dict[str, int] = {"": 0}
        try:
            for _ in range(parts + 1):
                self._files.append(tempfile.TemporaryFile(prefix="dynalab-check-"))  # noqa: SIM115
        except OSError:
            self.close()
            raise

    def take(self, operations: list[Operation]) -> None:
        """Lay operations aside; OSError if the disk is full."""
        bucket_of, all_rows, line_operations = self._bucket_of, self._rows, self._line_operations
        for operation in operations:
            key = operation.key
            bucket = bucket_of.get(key)
            if bucket is None:
                bucket = bucket_of[key] = crc32(key.encode("utf-8", "surrogatepass")) % self.parts
            if operation.f == "txn":
                bucket = self.parts
            rows = all_rows[bucket]
            rows.append(_row(operation))
            if len(rows) == line_operations:
                self._write(bucket)

    def part(self, number: int) -> History:
        """The operations of one part, in the order of their invocations."""
        with collector_paused():
            return History([*self._read(number), *self._read(self.parts)])

    def close(self) -> None:
        """Give the space back. The operations are gone then."""
        while self._files:
            self._files.pop().close()

    def __enter__(self) -> Spill:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, bucket: int) -> None:
        rows = self._rows[bucket]
        if rows:
            self._files[bucket].write(_encode(rows).encode("ascii") + b"\n")
            rows.clear()

    def _read(self, bucket: int) -> Iterator[Operation]:
        self._write(bucket)
        file = self._files[bucket]
        file.seek(0)
        names: dict[str, str] = {}
        for line in file:
            for row in json.loads(line):
                row[1] = names.setdefault(row[1], row[1])
                row[2] = names.setdefault(row[2], row[2])
                yield _operation(row)


def _row(operation: Operation) -> list[Any]:
    """An operation as JSON has it; its rarer fields only if any of them is told."""
    row = [
        operation.process,
        operation.f,
        operation.key,
        operation.call,
        operation.ret,
        operation.outcome,
        operation.call_index,
        operation.ret_index,
        operation.value,
        operation.result,
    ]
    rare: list[Any] = [
        _UNTOLD if operation.old is MISSING else operation.old,
        _UNTOLD if operation.found is MISSING else operation.found,
        operation.consistency,
        operation.session,
        operation.extra or None,
        operation.ret_extra or None,
        operation.info_time,
    ]
    return row if rare == _USUAL else row + rare


def _operation(row: list[Any]) -> Operation:
    process, f, key, call, ret, outcome, call_index, ret_index, value, result = row[:10]
    operation = Operation(process, f, key, call, ret, outcome, value, result)
    operation.call_index, operation.ret_index = call_index, ret_index
    if len(row) > 10:
        old, found, operation.consistency, operation.session, extra, ret_extra, operation.info_time = row[10:]
        if type(old) is not list:
            operation.old = old
        if type(found) is not list:
            operation.found = found
        operation.extra, operation.ret_extra = extra or NO_FIELDS, ret_extra or NO_FIELDS
    return operation

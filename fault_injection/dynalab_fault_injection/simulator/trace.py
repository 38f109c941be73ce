"""The trace hash: one number for everything that happened in a run, in the order in which it happened.

Every delivered event and every told event is appended to `pending` as a line of text: that of a flat tuple of integers
and strings, as `line` gives it. Full batches are hashed. `ascii` is used since it writes integers, strings and tuples
alike on every Python, while `repr` asks the Unicode tables of that Python which characters can be printed. What comes
most often is written out where it happens, with the same text: to build a tuple and have it spelt takes twice as long.
"""

from __future__ import annotations

import hashlib

BATCH = 4096


def line(*entry: object) -> str:
    """One entry as it is hashed.

    >>> line(1, "hell\u00f6", ("tick",))
    "(1, 'hell\\\\xf6', ('tick',))"
    """
    return ascii(entry)


class Trace:
    """Feeds a blake2b hash in batches.

    >>> trace = Trace()
    >>> trace.pending.append(line(1, "hello"))
    >>> trace.digest() == Trace().digest()
    False
    """

    __slots__ = ("_hash", "entries", "pending")

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self.pending: list[str] = []
        self.entries = 0

    def flush(self) -> None:
        """Hash what is pending. The list object stays the same, because the event loop holds on to it."""
        pending = self.pending
        if pending:
            self.entries += len(pending)
            # Entry by entry, not list by list: where batches end must not change the hash.
            self._hash.update("\n".join(pending).encode("ascii"))
            self._hash.update(b"\n")
            pending.clear()

    def digest(self) -> str:
        """The hash so far, as 32 hexadecimal digits."""
        self.flush()
        return self._hash.hexdigest()

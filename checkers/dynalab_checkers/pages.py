"""Pages of a Query or a Scan: every item as it was during its page, none twice, and none left out that was there.

A page is one operation `page`. Its invocation says which read it belongs to (`scan`: a number of its own), which part
of a parallel one (`segment`, 0 if there is one), and what the read is about (`prefix`: keys that begin so; "" for all).
Its completion has `items` (pairs of key and value, in the page's order) and whether the read goes on (`more`). Segments
may be read at the same time; the read is whole when every segment of `segments` has come to its last page.

Rules of this room:
1. Pages are no snapshot: items of one page may be from different moments, and two pages from different times. Each
   item alone was what the page shows at some instant between the page's invocation and its completion (strong), or
   at some time before (eventual, index).
2. No key twice in one read, and none in two segments: a key does not move. (An index key may: reads of an index are
   not judged so.)
3. A key that a whole strong read leaves out was absent at some instant between the read's first invocation and its
   last completion. Which page it would have stood on is not known, so that is all that can be said.
4. What a single item went through is judged by `linearizability` and `committed`, with each item of a page as a read
   of its key (`page_reads`): nothing here knows an order of writes.

Source: consistency.md rows 5, 6, 8 and 9; API reference, Scan ("Segment"), Query ("LastEvaluatedKey").
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from dynalab_checkers.committed import check_committed
from dynalab_checkers.history import History, Operation, Scalar
from dynalab_checkers.linearizability import check_register
from dynalab_checkers.verdict import VALID, Verdict

CHECKER = "pages"
PAGE = "page"


@dataclass(slots=True)
class Read:
    """A Query or Scan: its pages in the order of their invocations. `whole`: every segment came to its last page."""

    number: int
    pages: list[Operation] = field(default_factory=list)

    @property
    def strong(self) -> bool:
        return self.pages[0].consistency == "strong"

    @property
    def whole(self) -> bool:
        segments = self.pages[0].annotation("segments")
        ended = {page.annotation("segment") for page in self.pages if page.ret_extra.get("more") is False}
        return all(page.outcome == "ok" for page in self.pages) and len(ended) == (segments or 1)

    def is_about(self, key: str) -> bool:
        """Whether that key belongs to the read, present or not."""
        prefix = self.pages[0].annotation("prefix")
        return key.startswith(prefix) if isinstance(prefix, str) else True


def reads_of(history: History) -> list[Read]:
    """The reads of a history, by their first page."""
    found: dict[int, Read] = {}
    for operation in history:
        number = operation.annotation("scan")
        if operation.f == PAGE and isinstance(number, int):
            found.setdefault(number, Read(number)).pages.append(operation)
    for read in found.values():
        read.pages.sort(key=lambda page: page.call_index)
    return sorted(found.values(), key=lambda read: read.pages[0].call_index)


def check_pages(history: History) -> Verdict:
    """No key twice in one read. O(items).

    >>> page = lambda at, segment, items: Operation(1, "page", "", at, at + 5, "ok", consistency="strong",
    ...     extra={"scan": 1, "segment": segment, "segments": 2}, ret_extra={"items": items, "more": False})
    >>> check_pages(History([page(0, 0, [["a", 1]]), page(10, 1, [["b", 2]])])).verdict
    'valid'
    >>> check_pages(History([page(0, 0, [["a", 1]]), page(10, 1, [["a", 1]])])).why
    'read 1 showed a in segment 0 and again in segment 1'
    """
    count = items = 0
    for read in reads_of(history):
        seen: dict[str, Operation] = {}
        for page in read.pages:
            count += 1
            for key, _ in _shown(page):
                items += 1
                if key in seen and page.consistency != "index":
                    return _twice(read, key, seen[key], page)
                seen[key] = page
    return Verdict(VALID, CHECKER, details={"pages": count, "items": items})


def page_reads(history: History, keys: Collection[str] = ()) -> list[Operation]:
    """A read of its key for each item of a page; and for each of `keys` that a whole strong read left out, a read of
    nothing that lasts as long as the whole. Each has a process id of its own: what a client saw on two pages has no
    order beyond that of their times.

    >>> page = Operation(3, "page", "", 10, 20, "ok", consistency="strong", call_index=0, ret_index=1,
    ...     extra={"scan": 7, "segment": 0, "prefix": ""}, ret_extra={"items": [["a", 1]], "more": False})
    >>> [(read.key, read.result, read.call, read.ret) for read in page_reads(History([page]), ["a", "b"])]
    [('a', 1, 10, 20), ('b', None, 10, 20)]
    """
    made: list[Operation] = []
    fresh = 1 + max((operation.process for operation in history), default=0)
    for read in reads_of(history):
        shown: set[str] = set()
        for page in read.pages:
            for key, value in _shown(page):
                shown.add(key)
                made.append(_one(page, page, key, value, fresh + len(made)))
        if read.strong and read.whole:
            last = max(read.pages, key=lambda page: page.ret_index or 0)
            left_out = (key for key in keys if key not in shown and read.is_about(key))
            for key in left_out:
                made.append(_one(read.pages[0], last, key, None, fresh + len(made)))
    return made


def check_page_items(history: History, keys: Collection[str], *, budget: int) -> Verdict:
    """Everything about pages: none twice; every item of a strong page, and every key that a whole strong read left
    out, in one order with the writes and reads of that key; every item of any page committed. `budget` bounds the
    search for that order. `keys` are all there can be.

    Operations other than pages must be a register's. Invalid with the pages themselves in the evidence.
    """
    verdict = check_pages(history)
    if verdict.verdict != VALID:
        return verdict
    base = [operation for operation in history if operation.f != PAGE]
    made = page_reads(history, keys)
    strong = [read for read in made if read.consistency == "strong"]
    for found in (
        check_register(History(_in_order([*base, *strong])), budget=budget),
        check_committed(History(_in_order([*base, *made]))),
    ):
        if found.verdict != VALID:
            why = found.why if found.key is None or found.key in found.why else f"{found.key}: {found.why}"
            return Verdict(found.verdict, CHECKER, why, found.key, found.operations, found.highlight)
    return verdict


def _in_order(operations: list[Operation]) -> list[Operation]:
    return sorted(operations, key=lambda operation: (operation.call_index, operation.process))


def _shown(page: Operation) -> Iterator[tuple[str, Scalar]]:
    items = page.ret_extra.get("items")
    if page.outcome != "ok" or not isinstance(items, list):
        return
    for pair in items:
        assert isinstance(pair, list) and len(pair) == 2, "a page's items are pairs of key and value"
        key, value = pair
        assert isinstance(key, str) and not isinstance(value, list | dict), "the value of a register for each key"
        yield key, value


def _one(first: Operation, last: Operation, key: str, value: Scalar, process: int) -> Operation:
    read = Operation(process, "read", key, first.call, last.ret, "ok", result=value, consistency=first.consistency)
    read.call_index, read.ret_index = first.call_index, last.ret_index
    return read


def _twice(read: Read, key: str, one: Operation, other: Operation) -> Verdict:
    first, second = one.annotation("segment"), other.annotation("segment")
    where = f"in segment {first} and again in segment {second}" if first != second else "twice"
    return Verdict(
        "invalid",
        CHECKER,
        why=f"read {read.number} showed {key} {where}",
        key=key,
        operations=[one, other],
        highlight=[other],
    )

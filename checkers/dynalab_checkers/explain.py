"""Where a history stops making sense: the largest part of it that is linearizable, an order that shows it, and words.

Rules of this room:
1. A *prefix* is a history cut at an instant: what was called later is not there; what had not returned yet may have
   happened or not, except that what is known to have failed never did. A prefix of a linearizable history is
   linearizable, so the largest one is found by bisection with the checker itself.
2. An order is shown only after it was verified here, operation by operation, by the model and by the clock. Where none
   could be built within the budget, none is shown: a verdict without an order, never an order without a verdict.
3. The moment shown for an operation lies between the earliest and the latest that the order allows. It is one moment
   that works, not the moment at which it happened.
4. Keys are explained one by one. Reads that the model does not judge have no place in the order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from dynalab_checkers.general import search
from dynalab_checkers.history import MISSING, History, Operation
from dynalab_checkers.linearizability import BUDGET_STEPS, judge_key, keys_of_transactions
from dynalab_checkers.models import REGISTER, Illegal, Model, State, UnknownOperation
from dynalab_checkers.picture import Band, as_table, render
from dynalab_checkers.register_facts import INFINITY
from dynalab_checkers.verdict import INVALID, UNKNOWN, VALID, Verdict
from dynalab_checkers.witness import bounds, build, verified
from dynalab_checkers.words import effect, seconds


@dataclass(slots=True)
class Prefix:
    """The largest linearizable prefix of one key.

    `complete`: it is the whole history. Otherwise it ends at `until_ns`, the last return that could be explained (None:
    not even the first could), and `blocked` are the operations whose return comes next. `exact` is False if a budget
    ended before it was certain that nothing larger works. `order` holds the operations in an order that the model
    allows, `at_ns` a moment for each; both are empty if no order was found within the budget (`why` says so).
    """

    key: str
    model: Model
    complete: bool
    until_ns: int | None
    exact: bool = True
    order: list[Operation] = field(default_factory=list)
    at_ns: list[int] = field(default_factory=list)
    blocked: list[Operation] = field(default_factory=list)
    why: str = ""

    def states(self) -> Iterator[tuple[State, State]]:
        """The key's value before and after each operation of the order."""
        until = INFINITY if self.complete or self.until_ns is None else self.until_ns
        before = self.model.initial
        for operation in self.order:
            action = self.model.lower(_as_known_at(operation, until) or operation)
            assert action is not None, "only what the model judges is in the order"
            after = self.model.step(before, action)
            assert not isinstance(after, Illegal), "the order was verified"
            yield before, after
            before = after


@dataclass(frozen=True, slots=True)
class Explanation:
    """A violation for people: the sentence, the smallest part found as an SVG document and as a Markdown table."""

    sentence: str
    picture: str
    table: str


def explain(verdict: Verdict, *, bands: Sequence[Band] = ()) -> Explanation | None:
    """What a verdict says, in words, as a picture and as a table; None if it names no operations.

    >>> wrong = Operation(0, "read", "k", 0, 9_000_000, "ok", result=7)
    >>> told = explain(Verdict("invalid", "committed", "process 0 read 7, which nobody wrote", "k", [wrong], [wrong]))
    >>> told.sentence, "<svg" in told.picture, "r → 7" in told.table
    ('process 0 read 7, which nobody wrote', True, True)
    """
    if not verdict.operations:
        return None
    title = verdict.checker if verdict.key is None else f"{verdict.checker}, key {verdict.key}"
    marked = verdict.highlight
    picture = render(verdict.operations, highlight=marked, bands=bands, title=title, sentence=verdict.why)
    return Explanation(verdict.why, picture, as_table(verdict.operations, highlight=marked))


def linearizable_prefix(
    history: History, key: str, model: Model = REGISTER, *, budget: int = BUDGET_STEPS, general: bool = False
) -> Prefix:
    """The largest linearizable prefix of a key, with an order that shows it. `budget`: steps, over all attempts.

    >>> history = History.from_events([
    ...     {"index": 0, "time": 0, "process": 0, "type": "invoke", "f": "write", "key": "k", "value": 7},
    ...     {"index": 1, "time": 10, "process": 0, "type": "ok", "f": "write", "key": "k", "value": 7},
    ...     {"index": 2, "time": 20, "process": 1, "type": "invoke", "f": "read", "key": "k"},
    ...     {"index": 3, "time": 30, "process": 1, "type": "ok", "f": "read", "key": "k", "value": None}])
    >>> prefix = linearizable_prefix(history, "k")
    >>> prefix.complete, prefix.until_ns, [(o.f, o.value) for o in prefix.order], list(prefix.states())
    (False, 10, [('write', 7)], [(None, 7)])
    """
    return _prefix(key, history.by_key().get(key, []), model, budget, general, key in keys_of_transactions(history))


def linearizable_prefixes(
    history: History, model: Model = REGISTER, *, budget: int = BUDGET_STEPS, general: bool = False
) -> dict[str, Prefix]:
    """`linearizable_prefix` of every key. The budget is for all keys together: a large history stays affordable."""
    foreign = keys_of_transactions(history)
    result: dict[str, Prefix] = {}
    purse = _Purse(budget)
    for key, operations in history.by_key().items():
        result[key] = _prefix(key, operations, model, purse, general, key in foreign)
    return result


@dataclass(slots=True)
class _Purse:
    """Steps that are left for searches. Passes that are linear in the number of operations are free."""

    steps: int

    def spend(self, steps: int) -> None:
        self.steps -= min(self.steps, max(0, steps))


@dataclass(slots=True)
class _Attempt:
    """One prefix that was tried: valid (perhaps with an order), invalid (perhaps with a hint where), or unknown."""

    verdict: str
    order: list[int] | None = None
    operations: list[Operation] = field(default_factory=list)
    origin: list[int] = field(default_factory=list)  # the operation of the whole key that each one is
    hint_ns: int | None = None
    why: str = ""


def _prefix(
    key: str, operations: list[Operation], model: Model, budget: int | _Purse, general: bool, foreign: bool
) -> Prefix:
    purse = budget if isinstance(budget, _Purse) else _Purse(budget)
    mine = [o for o in operations if o.f != "txn" and o.f not in model.passed_over]
    general = general or model.lower is not REGISTER.lower
    if foreign:
        return Prefix(key, model, False, None, exact=False, why="transactions write this key too")
    try:
        for operation in mine:
            model.lower(operation)
    except UnknownOperation as error:
        return Prefix(key, model, False, None, exact=False, why=str(error))
    whole = _attempt(mine, INFINITY, model, general, purse)
    if whole.verdict == VALID:
        return _finish(Prefix(key, model, True, None), whole, mine)
    returns = sorted({o.ret for o in mine if o.ret is not None})
    good, bad, best, last = 0, len(returns), _Attempt(VALID, []), whole
    exact = whole.verdict == INVALID
    while bad - good > 1:
        # The judge names operations that cannot be explained together: the end is most often right before the last.
        place = 0 if last.hint_ns is None else bisect_left(returns, last.hint_ns)
        middle = place if good < place < bad else place + 1 if good < place + 1 < bad else (good + bad) // 2
        attempt = _attempt(mine, returns[middle - 1], model, general, purse)
        if attempt.verdict == VALID:
            good, best = middle, attempt
            if last.hint_ns is not None and good > place:
                last = _Attempt(UNKNOWN)  # that hint is used up
        else:
            bad, last = middle, attempt
            exact = attempt.verdict == INVALID
    blocked = [o for o in mine if o.ret == returns[good]] if good < len(returns) else []
    until = returns[good - 1] if good else None
    why = _stop(blocked, last.why if not exact else "")
    return _finish(Prefix(key, model, False, until, exact, blocked=blocked, why=why), best, mine)


def _stop(blocked: list[Operation], doubt: str) -> str:
    if doubt:
        return f"it could not be told how far the order goes: {doubt}"
    by = "" if not blocked or blocked[0].ret is None else f" by {seconds(blocked[0].ret)}"
    return f"no order explains {effect(blocked[0])}{by}" if blocked else "no order explains even the beginning"


def _finish(prefix: Prefix, attempt: _Attempt, operations: list[Operation]) -> Prefix:
    """Put in the order and the moments: for each operation the middle between its earliest and its latest."""
    if attempt.order is None:
        prefix.why = f"{prefix.why}; " if prefix.why else ""
        prefix.why += "no order was found within the budget"
        return prefix
    chosen = [attempt.operations[n] for n in attempt.order]
    limits = bounds(attempt.operations, prefix.model)
    rets = [limits.get(n, attempt.operations[n].ret) for n in attempt.order]
    end = max((ret for ret in rets if ret is not None), default=0)
    end = max(end, max((o.call for o in chosen), default=0))
    latest = [end] * len(chosen)
    for place in range(len(chosen) - 1, -1, -1):
        ret = rets[place]
        end = end if ret is None else min(end, ret)
        latest[place] = end
    earliest = min((o.call for o in chosen), default=0)
    for place, operation in enumerate(chosen):
        earliest = max(earliest, operation.call)
        prefix.at_ns.append((earliest + latest[place]) // 2)
    prefix.order = [operations[attempt.origin[n]] for n in attempt.order]
    return prefix


def _attempt(operations: list[Operation], until: int, model: Model, general: bool, purse: _Purse) -> _Attempt:
    """Judge the prefix that ends at `until`. An order that was built and verified is the verdict; else the checker."""
    part: list[Operation] = []
    origin: list[int] = []
    for place, operation in enumerate(operations):
        known = _as_known_at(operation, until)
        if known is not None:
            part.append(known)
            origin.append(place)
    if not general:
        order, steps = build(part, model, purse.steps)
        purse.spend(steps)
        if order is not None:
            return _Attempt(VALID, order, part, origin)
        judged = judge_key(part, model, purse.steps)
        purse.spend(judged.steps - 3 * len(part))
        if judged.verdict != VALID:
            hint = judged.truncate_ns
            if judged.problem is not None and hint is None:
                hint = max((ret for n in judged.problem.operations if (ret := part[n].ret) is not None), default=None)
            return _Attempt(judged.verdict, None, part, origin, hint, judged.why)
    found = search(model, part, model.initial, purse.steps)
    purse.spend(found.steps)
    if found.order is not None:
        sound = verified(part, found.order, model)
        assert sound or not general, "the general search found an order that its model does not allow"
        return _Attempt(VALID, found.order if sound else None, part, origin)
    if found.exhausted:
        why = "the budget of steps ran out"
        return _Attempt(UNKNOWN if general else VALID, None, part, origin, why=why)
    assert found.stuck is not None, "a search without an order is stuck somewhere"
    return _Attempt(INVALID, None, part, origin, part[found.stuck].ret)


def _as_known_at(operation: Operation, until: int) -> Operation | None:
    """The operation as it stood at `until`; None if it had not been called, or failed later and so never happened."""
    if operation.call > until:
        return None
    if operation.ret is None or operation.ret <= until:
        return operation
    if operation.outcome == "fail" or operation.f in ("read", "get"):
        return None
    return replace(operation, ret=None, ret_index=None, outcome="info", old=MISSING, found=MISSING)

"""Judges that a history file can be handed to by name, beside the models of `models` and of `isolation`.

| name | what it asks |
|---|---|
| sessions | did every session keep its guarantees, and did every read see what some prefix of the writes had left |
| staleness | was every read within a bound, in versions or in time |
| committed | had everything that was read, replaced or found been written |
| bank | did every transaction that read all accounts see their total |
| counter-bounds | did every read of a counter lie between what must and what may have been added |
| set-elements | does a set hold what was added to it, nothing else, and nothing twice |
| unique-ids | was every id given out once |
| effects-once | did what was tried again under one token happen once, and what was refused never |
| index-entries | was everything that a query of an index showed the projection of a committed version |
| on-call | did every transaction that read a whole rota find somebody on call |
| pages | did no read in pages show a key twice |

Rules of this room:
1. A judge gets the history and a `Question`, and nothing else: what an invariant needs besides (a total, a bound)
   stands in the question, and a judge that lacks it says so before anything is read (`Judge.lacks`).
2. What is judged key by key (`by_key`) may be judged in parts. The others need all of the history at once.
3. Where nothing was there to be judged, the verdict is unknown, and not valid (`Judge.settled`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Final

from dynalab_checkers.committed import FLAVOURS, check_committed
from dynalab_checkers.history import History, Operation, Scalar
from dynalab_checkers.index_entries import check_index_entries
from dynalab_checkers.invariants import check_bank, check_counter, check_set, check_unique_ids
from dynalab_checkers.on_call import check_on_call
from dynalab_checkers.pages import check_pages
from dynalab_checkers.sessions import CONSISTENT_PREFIX, GUARANTEES, check_sessions
from dynalab_checkers.staleness import check_staleness
from dynalab_checkers.tokens import check_effects_once
from dynalab_checkers.verdict import INVALID, UNKNOWN, VALID, Verdict

# Reads are chosen by their consistency; those that do not say are called so.
UNMARKED: Final = "unmarked"
READS: Final = ("strong", "eventual", "index", UNMARKED)
WHOLE_SET: Final = ("members", "scan", "query")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked besides the name of a model; where it is silent, the judge's own default counts.

    `initial`: what every key held before the history began (None: absent; a counter's number, 0 where it is silent).
    `reads`: the reads that are judged, of READS. `guarantees`: of sessions. `real_time`: whether real time orders the
    writes of a key (not where several regions write it). `versions_max`, `lag_max_ns`: bounds of staleness. `total`,
    `accounts` (all keys of transactions, if none is named), `overdraft`: of a bank. `level`: of transactions.
    """

    initial: Scalar = None
    reads: tuple[str, ...] = ()
    guarantees: tuple[str, ...] = ()
    real_time: bool = True
    versions_max: int | None = None
    lag_max_ns: int | None = None
    total: int | None = None
    accounts: tuple[str, ...] = ()
    overdraft: bool = False
    level: str = "strict-serializable"

    def asked(self) -> list[str]:
        """The names of what is not left to a default.

        >>> Question(total=100).asked()
        ['total']
        """
        return [each.name for each in fields(self) if getattr(self, each.name) != each.default]

    def initial_of(self, history: History) -> dict[str, Scalar]:
        """The initial value for each key of a history."""
        return {} if self.initial is None else dict.fromkeys((operation.key for operation in history), self.initial)

    def flavours(self, default: Collection[str | None]) -> tuple[str | None, ...]:
        """The consistencies of the reads that are judged (None: those that do not say)."""
        return tuple(None if name == UNMARKED else name for name in self.reads) or tuple(default)


USUAL: Final = Question()


@dataclass(frozen=True, slots=True)
class Judge:
    """A judge by name. `understands`: the fields of a question that mean something to it; of `needs`, one at least."""

    name: str
    ask: Callable[[History, Question], Verdict]
    understands: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    by_key: bool = True
    # The detail of a verdict that says how much was judged: valid with 0 of them is no verdict.
    counted: str = ""
    # What other databases' histories call its operations, by the names that it knows.
    aliases: Mapping[str, str] = field(default_factory=dict)

    def lacks(self, question: Question) -> str:
        """What this question asks in vain, or leaves out: a sentence, empty if nothing.

        >>> JUDGES["staleness"].lacks(Question()), JUDGES["bank"].lacks(Question(total=1, versions_max=1))
        ('staleness needs versions_max or lag_max_ns', 'bank knows no versions_max')
        """
        asked = question.asked()
        for name in asked:
            if name not in self.understands:
                return f"{self.name} knows no {name}"
        if self.needs and not set(self.needs) & set(asked):
            return f"{self.name} needs {' or '.join(self.needs)}"
        return ""

    def settled(self, verdict: Verdict) -> Verdict:
        """The verdict on a whole history: unknown if nothing of it was judged."""
        if verdict.verdict == VALID and self.counted and not verdict.details.get(self.counted):
            return Verdict(UNKNOWN, verdict.checker, "there was nothing to judge", details=verdict.details)
        return verdict


def _pages(history: History, question: Question) -> Verdict:
    return check_pages(history)


def _sessions(history: History, question: Question) -> Verdict:
    """By default: what strong and unmarked reads promise a session, and the prefix that every read promises."""
    guarantees = question.guarantees or (*GUARANTEES, CONSISTENT_PREFIX)
    initial = question.initial_of(history)
    of_sessions = [name for name in guarantees if name != CONSISTENT_PREFIX]
    verdict = Verdict(VALID, "sessions")
    if of_sessions:
        flavours = question.flavours(("strong", None))
        verdict = check_sessions(
            history, guarantees=of_sessions, flavours=flavours, real_time=question.real_time, initial=initial
        )
    if verdict.verdict == INVALID or CONSISTENT_PREFIX not in guarantees:
        return verdict
    flavours = question.flavours(FLAVOURS)
    prefix = check_sessions(history, guarantees=[CONSISTENT_PREFIX], flavours=flavours, initial=initial)
    return verdict if prefix.verdict == VALID else prefix


def _staleness(history: History, question: Question) -> Verdict:
    return check_staleness(
        history,
        versions_max=question.versions_max,
        lag_max_ns=question.lag_max_ns,
        flavours=question.flavours(FLAVOURS),
        initial=question.initial_of(history),
    )


def _committed(history: History, question: Question) -> Verdict:
    return check_committed(history, flavours=question.flavours(FLAVOURS), initial=question.initial_of(history))


def _bank(history: History, question: Question) -> Verdict:
    assert question.total is not None, "`lacks` has been asked"
    accounts = question.accounts or _keys_of_transactions(history)
    flavours = [name for name in question.reads if name != UNMARKED]
    return check_bank(history, accounts, question.total, overdraft=question.overdraft, flavours=flavours)


def _keys_of_transactions(history: History) -> list[str]:
    return sorted(
        {
            str(micro[1])
            for operation in history
            if operation.f == "txn" and isinstance(operation.value, list)
            for micro in operation.value
            if isinstance(micro, list)
        }
    )


def _counters(history: History, question: Question) -> Verdict:
    initial = 0 if question.initial is None else question.initial
    assert isinstance(initial, int), "`lacks` has been asked"
    return _each_key(history, "counter", lambda part, key: check_counter(part, key, initial))


def _sets(history: History, question: Question) -> Verdict:
    return _each_key(history, "set", lambda part, key: check_set(part, key, WHOLE_SET))


def _effects(history: History, question: Question) -> Verdict:
    return check_effects_once(history)


def _index_entries(history: History, question: Question) -> Verdict:
    return check_index_entries(history)


def _on_call(history: History, question: Question) -> Verdict:
    return check_on_call(history)


def _each_key(history: History, checker: str, judge: Callable[[History, str], Verdict]) -> Verdict:
    """The verdict on every key, and on what has none; the first fault, or else the first doubt."""
    groups: dict[str, list[Operation]] = {}
    for operation in history:
        groups.setdefault(operation.key, []).append(operation)
    doubt: Verdict | None = None
    counts: dict[str, int] = {}
    for key, operations in groups.items():
        verdict = judge(History(operations), key)
        if verdict.verdict == INVALID:
            return verdict
        if verdict.verdict == UNKNOWN:
            doubt = doubt or verdict
        for name, count in verdict.details.items():
            if isinstance(count, int):
                counts[name] = counts.get(name, 0) + count
    return doubt or Verdict(VALID, checker, details=dict(counts))


def _ids(history: History, question: Question) -> Verdict:
    return check_unique_ids(history)


JUDGES: Final = {
    judge.name: judge
    for judge in (
        Judge("sessions", _sessions, ("initial", "reads", "guarantees", "real_time")),
        Judge(
            "staleness",
            _staleness,
            ("initial", "reads", "versions_max", "lag_max_ns"),
            needs=("versions_max", "lag_max_ns"),
            counted="reads",
        ),
        Judge("committed", _committed, ("initial", "reads"), counted="observations"),
        Judge("bank", _bank, ("reads", "total", "accounts", "overdraft"), needs=("total",), by_key=False),
        Judge("counter-bounds", _counters, ("initial",), counted="reads"),
        Judge("set-elements", _sets, counted="reads", aliases={"read": "members"}),
        Judge("unique-ids", _ids, by_key=False),
        Judge("effects-once", _effects, by_key=False, counted="reads"),
        Judge("index-entries", _index_entries, by_key=False, counted="entries"),
        Judge("on-call", _on_call, by_key=False, counted="reads"),
        Judge("pages", _pages, by_key=False, counted="pages"),
    )
}

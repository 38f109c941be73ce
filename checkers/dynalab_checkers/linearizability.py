"""Linearizability of each key: did every operation take effect at one moment between its call and its return?

Each key is judged alone (linearizability composes). A register goes through the near-linear method first, and to the
general search only if that cannot tell: repeated values, failed conditions that fit no easy order, a budget that ran
out. Touching at one instant is concurrent except within a process. That exception is no order of intervals, so such
histories are judged twice, with all ties broken by `index` (valid there is valid) and with none broken (invalid there
is invalid), and searched if in doubt.

Reads with consistency `eventual` or `index` are not judged here, but what they saw had been written by their return.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from dynalab_checkers.collector import collector_paused
from dynalab_checkers.general import CONFIGURATIONS_MAX, LAYOUT_MAX, search
from dynalab_checkers.history import REGISTER_FUNCTIONS, History, Operation, Scalar
from dynalab_checkers.models import REGISTER, Model, UnknownOperation, register
from dynalab_checkers.reduce import reduce_by_reads, reduce_register
from dynalab_checkers.register_facts import INFINITY, Problem
from dynalab_checkers.register_fast import judge
from dynalab_checkers.verdict import INVALID, UNKNOWN, VALID, Verdict
from dynalab_checkers.words import effect, seconds

# Steps of the general search, a second or two each million. Counted, so that the same history gives the same verdict
# anywhere.
BUDGET_STEPS = 3_000_000
# For one part of a violation that is being made smaller.
PART_BUDGET_STEPS = 50_000
CHECKER = "linearizability"
_USUAL = frozenset(REGISTER_FUNCTIONS)


@dataclass(slots=True)
class KeyJudgement:
    """The judgement of one key. `truncate_ns`: what was called later has no part in the violation."""

    verdict: str
    method: str
    steps: int
    problem: Problem | None = None
    why: str = ""
    truncate_ns: int | None = None


def check_register(history: History, *, initial: Scalar = None, budget: int = BUDGET_STEPS) -> Verdict:
    """Judge every key as a register that begins with `initial` (None: absent). The budget is per key, in steps.

    >>> history = History.from_events([
    ...     {"index": 0, "time": 0, "process": 0, "type": "invoke", "f": "write", "key": "k", "value": 7},
    ...     {"index": 1, "time": 1_000_000, "process": 0, "type": "ok", "f": "write", "key": "k", "value": 7},
    ...     {"index": 2, "time": 2_000_000, "process": 1, "type": "invoke", "f": "read", "key": "k"},
    ...     {"index": 3, "time": 3_000_000, "process": 1, "type": "ok", "f": "read", "key": "k", "value": None}])
    >>> print(check_register(history).why)
    the read at 0.002 s returned nothing, which was replaced at 0.001 s by a write of 7 that had been acknowledged
    """
    model = register(initial)
    # The facts of a million operations are lists of small tuples, and no cycle among them.
    with collector_paused():
        return _check(history, model, budget, keys_of_transactions(history))


def check_model(history: History, model: Model, *, budget: int = BUDGET_STEPS) -> Verdict:
    """Judge every key by the general search alone, and what has no key as one object. The budget is per object, in
    steps.
    """
    return _check(history, model, budget, set(), general=True)


def judge_key(operations: Sequence[Operation], model: Model, budget: int, *, general: bool = False) -> KeyJudgement:
    """Judge the operations of one key, in the order of their invocations."""
    steps = 0
    if not general:
        quick = _judge_quickly(operations, model.initial, budget)
        if quick.verdict != UNKNOWN:
            return quick
        steps = quick.steps
    try:
        found = search(model, operations, model.initial, budget)
    except UnknownOperation as error:
        return KeyJudgement(UNKNOWN, "none", steps, why=str(error))
    except RecursionError:
        return KeyJudgement(UNKNOWN, "none", steps, why="a value is nested too deeply")
    steps += found.steps
    if found.order is not None:
        return KeyJudgement(VALID, "general", steps)
    assert found.stuck is not None, "a search without an order is stuck somewhere"
    stuck = operations[found.stuck]
    if found.exhausted:
        why = f"the search gave up after {found.steps} steps, with {found.reached} of {found.returns} returns explained"
        if found.limit == "memory":
            why += f" (more than {CONFIGURATIONS_MAX} configurations to remember)"
        elif found.limit == "layout":
            why = f"too much at once for a search: operations times their concurrency exceed {LAYOUT_MAX}"
        return KeyJudgement(UNKNOWN, "general", steps, why=why)
    by = "" if stuck.ret is None else f" (by {seconds(stuck.ret)})"
    why = f"no order of the operations explains it: {effect(stuck)}{by}"
    everything = list(range(len(operations)))
    return KeyJudgement(INVALID, "general", steps, Problem(why, everything, [found.stuck]), truncate_ns=stuck.ret)


def _judge_quickly(operations: Sequence[Operation], initial: object, budget: int) -> KeyJudgement:
    assert initial is None or isinstance(initial, (str, int, float, tuple)), "an initial value is a scalar"
    start: Scalar = initial[1] if isinstance(initial, tuple) else initial
    steps = 0
    tied = _touches_itself(operations)
    if tied:
        width = 1 + max(max(o.call_index, o.ret_index or 0) for o in operations)
        calls = [o.call * width + o.call_index for o in operations]
        rets = [INFINITY if o.ret is None else o.ret * width + (o.ret_index or 0) for o in operations]
        for n, o in enumerate(operations):
            # An eventual read may have seen whatever was called by the end of the instant at which it returned.
            if o.ret is not None and o.consistency not in (None, "strong"):
                rets[n] = (o.ret + 1) * width - 1
        strict = judge(operations, calls, rets, start, budget)
        if strict.verdict == VALID or strict.method == "facts":
            return KeyJudgement(strict.verdict, strict.method, strict.steps, strict.problem, strict.why)
        steps = strict.steps
    calls = [o.call for o in operations]
    rets = [INFINITY if o.ret is None else o.ret for o in operations]
    loose = judge(operations, calls, rets, start, budget)
    steps += loose.steps
    if tied and loose.verdict == VALID:
        return KeyJudgement(UNKNOWN, loose.method, steps, why="it depends on how the ties within processes are broken")
    return KeyJudgement(loose.verdict, loose.method, steps, loose.problem, loose.why)


def _touches_itself(operations: Sequence[Operation]) -> bool:
    """Whether a process called an operation at the very instant at which its one before returned."""
    last: dict[int, int | None] = {}
    get = last.get
    for operation in operations:
        process = operation.process
        if get(process) == operation.call:
            return True
        last[process] = operation.ret
    return False


def keys_of_transactions(history: History) -> set[str]:
    """Keys that transactions may have written: a register alone cannot be judged there."""
    keys: set[str] = set()
    for operation in history.operations:
        if operation.f == "txn" and operation.outcome != "fail" and isinstance(operation.value, list):
            for micro in operation.value:
                if isinstance(micro, list) and micro[0] != "r":
                    keys.add(str(micro[1]))
    return keys


def _check(history: History, model: Model, budget: int, foreign: set[str], *, general: bool = False) -> Verdict:
    methods: Counter[str] = Counter()
    details: dict[str, object] = {"model": model.name, "methods": methods}
    steps = judged = 0
    unknown: Verdict | None = None
    by_key = history.by_key()
    if general:
        keyless = [o for o in history.operations if not o.key and o.f not in model.passed_over and o.f != "txn"]
        by_key |= {"": keyless} if keyless else {}
    for key, operations in by_key.items():
        mine = operations
        if not _USUAL.issuperset({o.f for o in operations}):
            mine = [o for o in operations if o.f not in model.passed_over and o.f != "txn"]
        judged += len(mine)
        if key in foreign:
            why = f"transactions write the key {key} too, and they are not judged here"
            result = KeyJudgement(UNKNOWN, "none", 0, why=why)
        elif not general and mine is not operations and any(o.f not in REGISTER_FUNCTIONS for o in mine):
            names = sorted({o.f for o in mine if o.f not in REGISTER_FUNCTIONS})
            result = KeyJudgement(UNKNOWN, "none", 0, why=f"a register knows no {', '.join(names)} (key {key})")
        else:
            result = judge_key(mine, model, budget, general=general)
        methods[result.method] += 1
        steps += result.steps
        details |= {"keys": len(by_key), "operations": judged, "steps": steps}
        if result.verdict == INVALID:
            assert result.problem is not None, "an invalid key has a problem"
            return _violation(key, mine, result, model, general, details)
        if result.verdict == UNKNOWN and unknown is None:
            unknown = Verdict(UNKNOWN, CHECKER, result.why, key, details=details)
    if unknown is not None:
        return unknown
    details |= {"keys": len(by_key), "operations": judged, "steps": steps}
    return Verdict(VALID, CHECKER, details=details)


def _violation(
    key: str, operations: list[Operation], result: KeyJudgement, model: Model, general: bool, details: dict[str, object]
) -> Verdict:
    assert result.problem is not None, "an invalid key has a problem"

    def judge_part(part: list[Operation]) -> tuple[str, Problem | None]:
        judgement = judge_key(part, model, PART_BUDGET_STEPS, general=general)
        return judgement.verdict, judgement.problem

    def only_looks(operation: Operation) -> bool:
        action = model.lower(operation)
        return action is not None and action[0] in model.pure

    if model.lower is REGISTER.lower:
        assert model.initial is None or isinstance(model.initial, (str, int, float, tuple)), "a token"
        small = reduce_register(operations, model.initial, result.problem, result.truncate_ns, judge_part)
    else:
        small = reduce_by_reads(operations, result.problem, result.truncate_ns, judge_part, only_looks)
    return Verdict(INVALID, CHECKER, small.why, key, small.operations, small.highlight, details)

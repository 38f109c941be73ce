"""The general search: is there any order of the operations that the model allows?

Just-in-time linearization (Lowe 2017), depth first, with memory: the returns are taken in their order, and an operation
is put in place only when a return forces one to be. A configuration is (return to come, state, which open operations
are in place). Exponential in concurrency at worst, so every step is counted and a budget ends it with `exhausted`.

Four things keep it small, and none changes the answer:
- An operation that must happen and leaves the state as it is goes in place as soon as it can: no later order can need
  it later.
- Of two equal open operations, the one that returns first goes first; they could be exchanged.
- Operations of unknown outcome need not happen: a configuration that used more of them to get to the same state is
  passed over.
- Configurations met before are not met again.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dynalab_checkers.history import Operation
from dynalab_checkers.models import ILLEGAL, Action, Illegal, Model, State
from dynalab_checkers.register_facts import INFINITY

# Entries of the table of what is open at each return: operations times concurrency, eight bytes each.
LAYOUT_MAX = 10_000_000


@dataclass(slots=True)
class Found:
    """`order`: indices of operations in an order that works, None if there is none or the budget ran out (`exhausted`).

    `reached` of `returns` were passed by the best attempt; `stuck` is the operation whose return could not be explained
    there.
    """

    order: list[int] | None
    steps: int
    exhausted: bool
    reached: int
    returns: int
    stuck: int | None


@dataclass(slots=True)
class _Plan:
    """The operations of one key, laid out for the search; n numbers the operations that constrain something."""

    indices: list[int]
    actions: list[Action]
    rets: list[int]
    forced: list[int]  # operations in the order of their returns
    open_at: list[list[int]]  # what may be in progress at the p-th return; touching is concurrent
    optional: list[int]  # operations that never return, by call
    optional_at: list[int]  # how many of them have been called by the p-th return
    bit: list[int]  # a mask of one bit; those of returned operations are used again
    previous: list[int]  # the operation of the same process that touches this one and so comes before it, or -1
    place_of_return: list[int]
    exchangeable: bool  # no operation has such a predecessor
    pure: list[bool]  # it never changes the state


@dataclass(slots=True)
class _Node:
    """One configuration and its choices. `placed`: open operations in place; `used`: optional ones in place."""

    position: int
    state: State
    placed: int
    used: int
    choices: list[int]
    trail: int  # length of the order made so far


def search(model: Model, operations: Sequence[Operation], initial: State, budget: int) -> Found:
    """Search for an order of the operations of one key. Raises UnknownOperation if the model does not know one."""
    plan = _lay_out(model, operations, initial)
    if plan is None:
        return Found(None, LAYOUT_MAX, True, 0, len(operations), 0)
    indices, actions, forced = plan.indices, plan.actions, plan.forced
    step = model.step
    total = len(forced)
    order: list[int] = []
    seen: dict[tuple[int, State, int], list[int]] = {}
    node = _Node(0, initial, 0, 0, [], 0)
    stack: list[_Node] = []
    steps = best = 0
    while True:
        steps += _advance(plan, step, node, order)
        best = max(best, node.position)
        if node.position == total:
            return Found(order, steps, False, total, total, None)
        # The same configuration, reached with a subset of the optional operations, leaves nothing to find here.
        known = seen.setdefault((node.position, node.state, node.placed), [])
        if not any(other & node.used == other for other in known):
            known[:] = [other for other in known if node.used & other != node.used]
            known.append(node.used)
            stack.append(node)
        while stack and not stack[-1].choices:
            stack.pop()
        if not stack or steps > budget:
            return Found(None, steps, bool(stack), best, total, indices[forced[best]])
        parent = stack[-1]
        n = parent.choices.pop()
        del order[parent.trail :]
        order.append(indices[n])
        state = step(parent.state, actions[n])
        assert not isinstance(state, Illegal), "only legal steps are choices"
        placed, used = parent.placed, parent.used
        if plan.rets[n] == INFINITY:
            used |= plan.bit[n]
        else:
            placed |= plan.bit[n]
        node = _Node(parent.position, state, placed, used, [], 0)


def _advance(plan: _Plan, step: Callable[[State, Action], State | Illegal], node: _Node, order: list[int]) -> int:
    """Pass the returns that are explained, put in place the reads that fit, and collect the choices."""
    actions, bit, previous, place_of_return = plan.actions, plan.bit, plan.previous, plan.place_of_return
    exchangeable, pure = plan.exchangeable, plan.pure
    position, state, placed, used = node.position, node.state, node.placed, node.used
    total = len(plan.forced)
    choices: list[int] = []
    steps = 0
    while position < total:
        due = plan.forced[position]
        if placed & bit[due]:
            placed &= ~bit[due]
            position += 1
            continue
        choices = []
        tried: set[Action] = set()
        again = False
        steps += len(plan.open_at[position]) + plan.optional_at[position]
        for n in plan.open_at[position]:
            if placed & bit[n]:
                continue
            before = previous[n]
            if before >= 0 and place_of_return[before] >= position and not placed & bit[before]:
                continue
            action = actions[n]
            if exchangeable and action in tried:
                continue
            result = step(state, action)
            if result == state and pure[n]:
                placed |= bit[n]
                order.append(plan.indices[n])
                if n == due or not exchangeable:
                    again = True  # the return is explained, or a successor may have become possible
                    break
                continue
            tried.add(action)
            if result is not ILLEGAL:
                choices.append(n)
        if again:
            continue
        for n in plan.optional[: plan.optional_at[position]]:
            action = actions[n]
            if used & bit[n] or action in tried:
                continue
            before = previous[n]
            if before >= 0 and place_of_return[before] >= position and not placed & bit[before]:
                continue
            tried.add(action)
            result = step(state, action)
            if result is not ILLEGAL and result != state:
                choices.append(n)
        # Taken from the end: what must return now first, then by return, operations of unknown outcome last.
        choices.sort(key=lambda n: (n != due, plan.rets[n]), reverse=True)
        break
    node.position, node.placed, node.choices, node.trail = position, placed, choices, len(order)
    return steps + 1


def _lay_out(model: Model, operations: Sequence[Operation], initial: State) -> _Plan | None:
    """The plan, or None if it would be too large to hold."""
    lowered: list[tuple[int, Action]] = []
    for index, operation in enumerate(operations):
        action = model.lower(operation)
        if action is not None:
            lowered.append((index, action))
    bounds = _bounds_from_weak_reads(operations, lowered, initial)
    indices = [index for index, _ in lowered]
    count = len(indices)
    calls = [operations[index].call for index in indices]
    rets = [_return(operations[index], bounds.get(index)) for index in indices]
    forced = [n for n in range(count) if rets[n] != INFINITY]
    forced.sort(key=lambda n: (rets[n], _ret_index(operations[indices[n]])))
    optional = sorted((n for n in range(count) if rets[n] == INFINITY), key=calls.__getitem__)
    bit = [0] * count
    for place, n in enumerate(optional):
        bit[n] = 1 << place
    by_call = sorted((n for n in range(count) if rets[n] != INFINITY), key=calls.__getitem__)
    open_at: list[list[int]] = []
    optional_at: list[int] = []
    place_of_return = [count] * count
    current: list[int] = []
    free: list[int] = []
    next_call = next_optional = entries = 0
    for position, due in enumerate(forced):
        while next_call < len(by_call) and calls[by_call[next_call]] <= rets[due]:
            n = by_call[next_call]
            next_call += 1
            bit[n] = free.pop() if free else 1 << len(current)
            # Earliest return first, so that of equal operations the first one met is the one to take.
            insort(current, n, key=rets.__getitem__)
        while next_optional < len(optional) and calls[optional[next_optional]] <= rets[due]:
            next_optional += 1
        entries += len(current)
        if entries > LAYOUT_MAX:
            return None
        open_at.append(current.copy())
        optional_at.append(next_optional)
        place_of_return[due] = position
        current.remove(due)
        free.append(bit[due])
    previous = _program_order(operations, indices)
    exchangeable = all(n < 0 for n in previous)
    actions = [action for _, action in lowered]
    return _Plan(
        indices,
        actions,
        rets,
        forced,
        open_at,
        optional,
        optional_at,
        bit,
        previous,
        place_of_return,
        exchangeable,
        [action[0] in model.pure for action in actions],
    )


def _return(operation: Operation, bound: int | None) -> int:
    ret = INFINITY if operation.ret is None else operation.ret
    return ret if bound is None else min(ret, bound)


def _ret_index(operation: Operation) -> int:
    return operation.call_index if operation.ret_index is None else operation.ret_index


def _program_order(operations: Sequence[Operation], indices: list[int]) -> list[int]:
    """For each operation the one of its own process that touches it and comes first, though time cannot tell; or -1."""
    last: dict[int, int] = {}
    previous = [-1] * len(indices)
    for n in sorted(range(len(indices)), key=lambda n: operations[indices[n]].call_index):
        operation = operations[indices[n]]
        before = last.get(operation.process, -1)
        if before >= 0 and operations[indices[before]].ret == operation.call:
            previous[n] = before
        last[operation.process] = n
    return previous


def _bounds_from_weak_reads(
    operations: Sequence[Operation], lowered: list[tuple[int, Action]], initial: State
) -> dict[int, int]:
    """An eventual read that saw a value bounds its only writer: that write had taken effect by the read's return."""
    weak = [o for o in operations if o.f == "read" and o.outcome == "ok" and o.consistency in ("eventual", "index")]
    if not weak:
        return {}
    writers: dict[State, list[int]] = {}
    for index, action in lowered:
        if action[0] in ("write", "cas"):
            writers.setdefault(action[-1], []).append(index)
    bounds: dict[int, int] = {}
    for read in weak:
        value: State = ("bool", read.result) if isinstance(read.result, bool) else read.result
        found = writers.get(value, [])
        if value is None or value == initial or len(found) != 1 or read.ret is None:
            continue
        if operations[found[0]].call <= read.ret:
            bounds[found[0]] = min(read.ret, bounds.get(found[0], read.ret))
    return bounds

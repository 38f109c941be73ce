"""The general search: is there any order of the operations that the model allows?

Depth first, with memory, over configurations: (return to come, state, which open operations are in place). The returns
are taken in their order, and an operation is put in place only when a return forces one to be. Exponential in
concurrency at worst, so every step is counted and a budget ends it with `exhausted`.

Two walkers take turns. One tries just in time (Lowe 2017): first what must return now, then what returns next. The
other tries in the order of the calls (Wing and Gong 1993, with Lowe's memory). They share the memory: a configuration
that one of them has taken on need not be looked at by the other. The first to find an order wins, there is none when
both have nothing left, and racing costs nothing where the answer is no.

Four things keep it small, and none changes the answer:
- An operation that must happen and leaves the state as it is goes in place as soon as it can: no later order can need
  it later.
- Of two equal open operations, the one that returns first goes first; they could be exchanged.
- Operations of unknown outcome need not happen: a configuration that used more of them to get to the same state is
  passed over.
- Configurations met before are not met again. States are numbered, so that a configuration is one integer.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field

from dynalab_checkers.models import ILLEGAL, Action, Model, State
from dynalab_checkers.operation import Operation
from dynalab_checkers.register_facts import INFINITY
from dynalab_checkers.words import token

# Entries of the table of what is open at each return: operations times concurrency, eight bytes each.
LAYOUT_MAX = 10_000_000
# Configurations that are remembered, 100 to 200 bytes each. Beyond it the search goes on without learning more.
CONFIGURATIONS_MAX = 2_000_000
# Steps of one walker's turn; the first of the two begins with more, because it mostly needs no help.
TURN_STEPS = 2_000
HEAD_START_STEPS = 20_000
# A configuration is return to come, state and open operations in place, in one integer; the first two have 32 bits.
_STATE_BITS = 32
_OPEN_BITS = 64


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
    limit: str = (
        "steps"  # which bound ended it, if one did: steps, memory (more configurations than remembered), layout
    )


@dataclass(slots=True)
class _Plan:
    """The operations of one key, laid out for the search; n numbers the operations that constrain something."""

    indices: list[int]
    actions: list[Action]
    calls: list[int]
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


@dataclass(slots=True)
class _Memory:
    """Configurations that somebody has taken on, with the sets of optional operations that it took to reach them."""

    states: dict[State, int] = field(default_factory=dict)
    met: dict[int, int | list[int]] = field(default_factory=dict)
    full: bool = False

    def is_new(self, node: _Node) -> bool:
        """Whether nobody reached this configuration with a part of what this node used; if so, it is taken on."""
        number = self.states.setdefault(node.state, len(self.states))
        configuration = (node.placed << _OPEN_BITS) | (node.position << _STATE_BITS) | number
        known = self.met.get(configuration)
        used = node.used
        if known is None:
            if len(self.met) >= CONFIGURATIONS_MAX:
                self.full = True
            else:
                self.met[configuration] = used
            return True
        if type(known) is int:
            if known & used == known:
                return False
            self.met[configuration] = used if used & known == used else [known, used]
            return True
        assert type(known) is list, "one set or several"
        for other in known:
            if other & used == other:
                return False
        known[:] = [other for other in known if used & other != used]
        known.append(used)
        return True


class _Walker:
    """One depth-first walk. `just_in_time` decides the order in which choices are tried, and nothing else."""

    __slots__ = ("begun", "best", "just_in_time", "memory", "model", "node", "order", "plan", "rank", "stack", "steps")

    def __init__(self, plan: _Plan, model: Model, memory: _Memory, initial: State, just_in_time: bool) -> None:
        self.plan = plan
        self.model = model
        self.memory = memory
        self.just_in_time = just_in_time
        self.rank = plan.rets if just_in_time else plan.calls
        self.order: list[int] = []
        self.stack: list[_Node] = []
        self.node: _Node | None = _Node(0, initial, 0, 0, [], 0)
        self.begun = False
        self.steps = 0
        self.best = 0

    def run(self, until_steps: int) -> bool:
        """Walk on until an order is found (True), nothing is left (`node` is None), or so many steps are made."""
        plan, stack, order, step = self.plan, self.stack, self.order, self.model.step
        indices, actions, total = plan.indices, plan.actions, len(plan.forced)
        is_new = self.memory.is_new
        node = self.node
        while node is not None:
            if self.steps > until_steps:
                self.node = node
                return False
            self.advance(node)
            if node.position > self.best:
                self.best = node.position
            if node.position == total:
                return True
            # Both walkers begin at the same configuration, and each must be allowed to.
            if is_new(node) or not self.begun:
                stack.append(node)
            self.begun = True
            while stack and not stack[-1].choices:
                stack.pop()
            if not stack:
                node = None
                break
            parent = stack[-1]
            n = parent.choices.pop()
            del order[parent.trail :]
            order.append(indices[n])
            state = step(parent.state, actions[n])
            assert state is not ILLEGAL, "only legal steps are choices"
            placed, used = parent.placed, parent.used
            if plan.rets[n] == INFINITY:
                used |= plan.bit[n]
            else:
                placed |= plan.bit[n]
            node = _Node(parent.position, state, placed, used, [], 0)
        self.node = None
        return False

    def advance(self, node: _Node) -> None:
        """Pass the returns that are explained, put in place the reads that fit, and collect the choices."""
        plan, order, step, rank = self.plan, self.order, self.model.step, self.rank
        actions, bit, previous, place_of_return = plan.actions, plan.bit, plan.previous, plan.place_of_return
        exchangeable, pure = plan.exchangeable, plan.pure
        position, state, placed, used = node.position, node.state, node.placed, node.used
        total = len(plan.forced)
        choices: list[int] = []
        steps = 1
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
                if pure[n] and result == state:
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
            # Taken from the end. Just in time: what must return now first, operations of unknown outcome last.
            if self.just_in_time:
                choices.sort(key=lambda n: (n != due, rank[n]), reverse=True)
            else:
                choices.sort(key=rank.__getitem__, reverse=True)
            break
        node.position, node.placed, node.choices, node.trail = position, placed, choices, len(order)
        self.steps += steps


def search(model: Model, operations: Sequence[Operation], initial: State, budget: int) -> Found:
    """Search for an order of the operations of one key. Raises UnknownOperation if the model does not know one."""
    plan = _lay_out(model, operations, initial)
    if plan is None:
        return Found(None, LAYOUT_MAX, True, 0, len(operations), 0, "layout")
    memory = _Memory()
    first = _Walker(plan, model, memory, initial, True)
    other = _Walker(plan, model, memory, initial, False)
    total = len(plan.forced)
    walker, turn = first, HEAD_START_STEPS
    while True:
        before = walker.steps
        if walker.run(before + min(turn, budget - first.steps - other.steps)):
            return Found(walker.order, first.steps + other.steps, False, total, total, None)
        steps, best = first.steps + other.steps, max(first.best, other.best)
        finished = first.node is None and other.node is None
        if walker.node is None and not other.steps:
            finished = True  # the first has been everywhere before the other began
        if finished or steps > budget:
            limit = "memory" if memory.full else "steps"
            return Found(None, steps, not finished, best, total, plan.indices[plan.forced[best]], limit)
        turn = TURN_STEPS
        following = other if walker is first else first
        if following.node is not None:
            walker = following


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
        calls,
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
        value = token(read.result)
        found = writers.get(value, [])
        if value is None or value == initial or len(found) != 1 or read.ret is None:
            continue
        if operations[found[0]].call <= read.ret:
            bounds[found[0]] = min(read.ret, bounds.get(found[0], read.ret))
    return bounds

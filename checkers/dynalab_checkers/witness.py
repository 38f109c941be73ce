"""An order of the operations of one register that shows that they are linearizable, built fast and then verified.

Rules of this room:
1. `build` proposes, `verified` decides. The builder follows the near-linear method (runs of values whose order is
   known, sorted as whole blocks) but proves nothing; whatever it proposes is replayed against model and clock.
2. No proposal means nothing: the history may be repeated values, or too hard for a quick order, or wrong.
3. Operations are known by their place in the list that was handed in.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from dynalab_checkers.history import REGISTER_FUNCTIONS, Operation
from dynalab_checkers.models import Action, Illegal, Model, State
from dynalab_checkers.register_facts import INFINITY, NONE
from dynalab_checkers.register_search import Blocks, order_blocks
from dynalab_checkers.words import token


@dataclass(slots=True)
class _Register:
    """What the operations say, by the value written: who wrote it, what that replaced, who read it."""

    actions: list[Action | None]
    calls: list[int]
    rets: list[int]
    writer: dict[State, int] = field(default_factory=dict)
    readers: dict[State, list[int]] = field(default_factory=dict)
    deletes: list[int] = field(default_factory=list)  # those that happened
    unsure: list[int] = field(default_factory=list)  # deletes that may have happened
    refused: list[int] = field(default_factory=list)  # "it was not u"


@dataclass(slots=True)
class _Runs:
    """Blocks, and what `order_blocks` may put between them. Each list of operations is in order."""

    blocks: Blocks = field(default_factory=Blocks)
    members: list[list[int]] = field(default_factory=list)
    enders: dict[int, list[int]] = field(default_factory=dict)  # block -> what may delete its last value
    optional: list[tuple[int, list[int]]] = field(default_factory=list)  # call -> what may delete any value


def build(operations: Sequence[Operation], model: Model, budget: int) -> tuple[list[int] | None, int]:
    """A verified order of a register's operations, or None; and how many steps were spent on searching.

    >>> from dynalab_checkers.models import REGISTER
    >>> build([Operation(0, "read", "k", 0, 30, "ok", result=7), Operation(1, "write", "k", 10, 20, "ok", 7)],
    ...       REGISTER, 1000)[0]
    [1, 0]
    """
    if any(o.f not in REGISTER_FUNCTIONS for o in operations):
        return None, 0
    limits = bounds(operations, model)
    actions = [model.lower(o) for o in operations]
    # Touching at one instant first counts as concurrent; if that breaks the order of a process, `index` breaks ties.
    width = 1 + max((max(o.call_index, o.ret_index or 0) for o in operations), default=0)
    spent = 0
    for scale in (1, width) if width > 1 else (1,):
        calls = [o.call if scale == 1 else o.call * width + o.call_index for o in operations]
        rets = [INFINITY] * len(operations)
        for n, o in enumerate(operations):
            ret = limits.get(n, o.ret)
            if ret is not None:
                # A bound is not its own return: it reaches to the end of its instant.
                index = (o.ret_index or 0) if ret == o.ret else width - 1
                rets[n] = ret if scale == 1 else ret * width + index
        order, steps = _propose(_Register(actions, calls, rets), model.initial, budget)
        spent += steps
        if order is not None and verified(operations, order, model):
            return order, spent
    return None, spent


def verified(operations: Sequence[Operation], order: Sequence[int], model: Model) -> bool:
    """Whether an order holds all that returned, follows the clock and each process, and is allowed by the model."""
    limits = bounds(operations, model)
    placed = set(order)
    if len(placed) != len(order):
        return False
    for n, operation in enumerate(operations):
        if n not in placed and (operation.ret is not None or n in limits) and model.lower(operation) is not None:
            return False
    state, now = model.initial, -INFINITY
    last_of_process: dict[int, int] = {}
    for n in order:
        operation = operations[n]
        action = model.lower(operation)
        now = max(now, operation.call)
        ret = limits.get(n, operation.ret)
        if action is None or (ret is not None and ret < now):
            return False
        if last_of_process.get(operation.process, -1) > operation.call_index:
            return False
        last_of_process[operation.process] = operation.call_index
        after = model.step(state, action)
        if isinstance(after, Illegal):
            return False
        state = after
    return True


def bounds(operations: Sequence[Operation], model: Model) -> dict[int, int]:
    """By when a write had taken effect because a weak read saw its value, if only it can have written that."""
    weak = [o for o in operations if o.f == "read" and o.outcome == "ok" and o.consistency in ("eventual", "index")]
    writers: dict[State, list[int]] = {}
    for n, operation in enumerate(operations) if weak else ():
        action = model.lower(operation)
        if action is not None and action[0] in ("write", "cas"):
            writers.setdefault(action[-1], []).append(n)
    result: dict[int, int] = {}
    for read in weak:
        value = token(read.result)
        found = writers.get(value, [])
        if value is None or value == model.initial or len(found) != 1 or read.ret is None:
            continue
        ret = operations[found[0]].ret
        if operations[found[0]].call <= read.ret:
            result[found[0]] = min(read.ret, result.get(found[0], read.ret if ret is None else ret))
    return result


def _propose(register: _Register, initial: State, budget: int) -> tuple[list[int] | None, int]:
    actions, rets = register.actions, register.rets
    for n, action in enumerate(actions):
        if action is None:
            continue
        name, value = action[0], action[-1]
        if name == "read":
            register.readers.setdefault(value, []).append(n)
        elif name == "not":
            register.refused.append(n)
        elif name not in ("write", "cas"):
            return None, 0
        elif value is None:
            (register.unsure if rets[n] == INFINITY else register.deletes).append(n)
        elif value == initial or register.writer.setdefault(value, n) != n:
            return None, 0
    runs = _runs(register, initial)
    if runs is None:
        return None, 0
    blocks, steps = runs.blocks, 0
    if register.deletes or register.unsure:
        runs.optional.sort()
        found = order_blocks(blocks, initial is None, [call for call, _ in runs.optional], budget + 50 * len(blocks))
        steps = found.steps
        if found.order is None:
            return None, steps
        moves = found.order
    else:
        # The sum of smallest return and largest call grows along "must come before": see register_fast.
        ranks = [ret + call for ret, call in zip(blocks.first_ret, blocks.last_call, strict=True)]
        moves = [(block, blocks.to_absent[block]) for block in sorted(range(len(blocks)), key=ranks.__getitem__)]
    order: list[int] = []
    for block, ends_absent in moves:
        order += runs.optional[~block][1] if block < 0 else runs.members[block]
        if block >= 0 and ends_absent and not blocks.to_absent[block]:
            order += runs.enders[block]
    return (_with_refusals(order, register, initial) if register.refused else order), steps


def _runs(register: _Register, initial: State) -> _Runs | None:
    """Maximal runs of values whose order is known; None where two operations replaced the same value."""
    actions, writer, rets = register.actions, register.writer, register.rets
    absence_is_written = bool(register.deletes or register.unsure)
    happened = _happened(register)
    successor: dict[State, int] = {}
    heads: list[tuple[State, int]] = []  # what the run holds first, and who wrote that (NONE: it was there)
    if initial is not None or not absence_is_written:
        heads.append((initial, NONE))
    for n in sorted([*(writer[value] for value in happened), *register.deletes]):
        action = actions[n]
        assert action is not None, "a writer has an action"
        if action[0] == "write" or (action[1] is None and absence_is_written):
            heads.append((action[-1], n))
        elif successor.setdefault(action[1], n) != n:
            return None
    runs = _Runs()
    of_tail: dict[State, int] = {}
    for first, begin in heads:
        value, n = first, begin
        members: list[int] = []
        while True:
            members += [n] if n != NONE else []
            if value is not None or not absence_is_written:
                members += sorted(register.readers.get(value, ()), key=register.calls.__getitem__)
            following = successor.get(value) if value is not None or not absence_is_written else None
            if following is None:
                break
            action = actions[following]
            assert action is not None, "a writer has an action"
            n, value = following, action[-1]
        from_absent = begin != NONE and _asks(register, begin) is None and actions[begin][0] == "cas"  # type: ignore[index]
        if value is not None:
            of_tail[value] = len(runs.members)
        _add(runs, members, register, from_absent, value is None and n != NONE, begin == NONE)
    for n in register.readers.get(None, []) if absence_is_written else ():
        _add(runs, [n], register, True, True, False)
    for n in register.unsure:
        _unsure(runs, n, register, happened, of_tail)
    return runs if sum(map(len, runs.members)) == _expected(register, happened, rets) else None


def _expected(register: _Register, happened: set[State], rets: list[int]) -> int:
    """How many operations must stand in runs; fewer means a circle of values, or a read of what nobody wrote."""
    return len(happened) + len(register.deletes) + sum(map(len, register.readers.values()))


def _add(
    runs: _Runs, members: list[int], register: _Register, from_absent: bool, to_absent: bool, initial: bool
) -> None:
    first_ret = -INFINITY if initial else min((register.rets[n] for n in members), default=INFINITY)
    last_call = max((register.calls[n] for n in members), default=-INFINITY)
    runs.blocks.add(len(runs.members), NONE, first_ret, last_call, from_absent, to_absent)
    runs.members.append(members)


def _asks(register: _Register, n: int) -> State:
    action = register.actions[n]
    return action[1] if action is not None and action[0] == "cas" else None


def _happened(register: _Register) -> set[State]:
    """Values whose write took effect: it returned, or somebody saw the value, or replaced it and took effect."""
    waiting: list[State] = [value for value, n in register.writer.items() if register.rets[n] != INFINITY]
    waiting += [value for value in register.readers if value in register.writer]
    waiting += [_asks(register, n) for n in register.deletes if _asks(register, n) in register.writer]
    happened: set[State] = set()
    while waiting:
        value = waiting.pop()
        if value not in happened:
            happened.add(value)
            asked = _asks(register, register.writer[value])
            if asked in register.writer:
                waiting.append(asked)
    return happened


def _unsure(runs: _Runs, n: int, register: _Register, happened: set[State], of_tail: dict[State, int]) -> None:
    """A delete that may have happened, with the unseen writes that it may have removed."""
    path, value = [n], _asks(register, n)
    blind = value is None
    while value is not None and value not in happened and value in register.writer and len(path) < 64:
        writer = register.writer[value]
        path.insert(0, writer)
        value = _asks(register, writer)
        blind = register.actions[writer][0] == "write"  # type: ignore[index]
    call = max(register.calls[m] for m in path)
    if blind:
        runs.optional.append((call, path))
    elif value in of_tail and call < runs.blocks.ender_call[of_tail[value]]:
        runs.blocks.ender_call[of_tail[value]] = call
        runs.enders[of_tail[value]] = path


def _with_refusals(order: list[int], register: _Register, initial: State) -> list[int] | None:
    """Failed conditions that only say "it was not u", each at the first place that its call and the value allow."""
    calls, rets, actions = register.calls, register.rets, register.actions
    count = len(order)
    values = [initial]  # before each place of the order
    latest = [-INFINITY]  # the largest call before each place
    for n in order:
        action = actions[n]
        assert action is not None, "what is in the order has an action"
        values.append(action[-1])
        latest.append(max(latest[-1], calls[n]))
    earliest = [INFINITY] * (count + 1)  # the smallest return from each place on
    run_end = [count + 1] * (count + 1)  # the first later place at which the value is another
    for place in range(count - 1, -1, -1):
        earliest[place] = min(earliest[place + 1], rets[order[place]])
        run_end[place] = run_end[place + 1] if values[place] == values[place + 1] else place + 1
    here: dict[int, list[int]] = {}
    running: list[tuple[int, int]] = []
    floor = 0  # no place below: somebody who returned before us took it
    for n in sorted(register.refused, key=lambda n: (calls[n], n)):
        floor = max([floor, *(place for ret, place in running if ret < calls[n])])
        running = [entry for entry in running if entry[0] >= calls[n]]
        place = max(floor, bisect_left(earliest, calls[n]))
        if place <= count and values[place] == actions[n][1]:  # type: ignore[index]
            place = run_end[place]
        if place > count or latest[place] > rets[n]:
            return None
        here.setdefault(place, []).append(n)
        running.append((rets[n], place))
    merged: list[int] = []
    for place in range(count + 1):
        merged += here.get(place, [])
        merged += order[place : place + 1]
    return merged

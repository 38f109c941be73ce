"""Writes that nobody ordered, under snapshot isolation: two transactions that change a key must not overlap.

Rules of this room:
- It is asked only where no cycle is left that snapshot isolation forbids. Under serializability any order of unordered
  writes will do; here it will not: write skew forces two transactions to overlap, and if both also change one key,
  whichever comes first loses (Cerone and Gotsman's points: start and commit of each transaction).
- Points: start before commit; a ww, wr or order edge puts a commit before a start; an rw edge puts a start before a
  commit. Two transactions must overlap if each start comes before the other's commit.
- Pairs are judged one by one; that no choice for many pairs together exists is not looked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from dynalab_checkers.isolation.cycles import Budget
from dynalab_checkers.isolation.graph import CODE_MASK, KIND_MASK, LINK, RW, Part


def overlapping_writers(
    part: Part, groups: Sequence[Sequence[int]], stage: int, budget: Budget
) -> tuple[int, int] | None:
    """Two transactions of one group (that change one key; numbers of the part's nodes) that must overlap; or None.

    >>> from dynalab_checkers.isolation.graph import Graph, restrict
    >>> graph = Graph(2)
    >>> graph.add(0, 1, RW); graph.add(1, 0, RW)
    >>> overlapping_writers(restrict(graph, [0, 1]), [[0, 1]], 0, Budget(100))
    (0, 1)
    """
    for group in groups:
        reached: dict[int, set[int]] = {}
        for node in group:
            if budget.left <= 0:
                return None
            reached[node] = _commits_after(part, node, stage, budget)
            for other, seen in reached.items():
                if other != node and node in seen and other in reached[node]:
                    return part.names[other], part.names[node]
    return None


def _commits_after(part: Part, node: int, stage: int, budget: Budget) -> set[int]:
    """The nodes whose commit must come after the start of this one."""
    # A point is 2 * node for a start and 2 * node + 1 for a commit. A virtual node stands for the point that its
    # edges lead to, so it keeps the kind that led to it.
    seen = {2 * node}
    points = [2 * node]
    steps = 0
    for point in points:
        at, commit = point >> 1, point & 1
        after: list[int] = []
        if part.names[at] < 0:
            after = [edge >> 5 << 1 | commit for edge in part.successors[at] if (edge & CODE_MASK) >> 3 <= stage]
        else:
            for edge in part.successors[at]:
                if (edge & CODE_MASK) >> 3 > stage or edge & KIND_MASK == LINK:
                    continue
                if commit != (edge & KIND_MASK == RW):
                    after.append(edge >> 5 << 1 | (1 - commit))
            if not commit:
                after.append(point | 1)
        steps += len(after) + 1
        for following in after:
            if following not in seen:
                seen.add(following)
                points.append(following)
    budget.take(steps)
    return {point >> 1 for point in seen if point & 1 and part.names[point >> 1] >= 0}

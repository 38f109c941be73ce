"""Cycles: the shortest of each kind, its name, and what a budget leaves open."""

from __future__ import annotations

import random
from itertools import permutations

import pytest

from dynalab_checkers.history import Operation
from dynalab_checkers.isolation.cycles import KINDS, Budget, Cycle, Edge, name_cycles, name_of
from dynalab_checkers.isolation.graph import (
    ITEM,
    ORDER,
    PROCESS,
    REALTIME,
    RW,
    WR,
    WW,
    Fan,
    Graph,
    Part,
    Timeline,
    components,
    knots,
    residue,
    restrict,
)

PLENTY = 1 << 40


def whole(graph: Graph) -> Part:
    return restrict(graph, range(len(graph.successors)))


def random_graph(seed: int) -> Graph:
    draw = random.Random(seed).randrange
    count = 3 + draw(4)
    graph = Graph(count)
    for _ in range(count + draw(2 * count)):
        kind = (WW, WR, RW, RW, ORDER)[draw(5)]
        stage = (ITEM, REALTIME)[draw(4) == 0] if kind != ORDER else (PROCESS, REALTIME)[draw(2)]
        source, target = draw(count), draw(count)
        if kind == ORDER:  # time never runs in a circle
            source, target = min(source, target), max(source, target)
        graph.add(source, target, kind, stage)
    return graph


def lengths_by_name(graph: Graph) -> dict[str, int]:
    """The shortest simple cycle of every name, by trying all."""
    edges: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for source, row in enumerate(graph.successors):
        for edge in row:
            edges.setdefault((source, edge >> 5), []).append((edge & 7, (edge & 31) >> 3))
    shortest: dict[str, int] = {}
    for length in range(2, len(graph.successors) + 1):
        for nodes in permutations(range(len(graph.successors)), length):
            if nodes[0] != min(nodes):
                continue
            hops = list(zip(nodes, (*nodes[1:], nodes[0]), strict=True))
            if not all(hop in edges for hop in hops):
                continue
            labelled: list[list[Edge]] = [[]]
            for hop in hops:
                labelled = [[*path, Edge(*hop, kind, stage)] for path in labelled for kind, stage in edges[hop]]
            for path in labelled:
                if any(edge.kind != ORDER for edge in path):
                    shortest.setdefault(name_of(path), length)
    return shortest


def is_cycle_of(graph: Graph, cycle: Cycle) -> bool:
    """Every edge is there, each begins where the last one ended, and no transaction is met twice."""
    for edge, after in zip(cycle.edges, (*cycle.edges[1:], cycle.edges[0]), strict=True):
        if edge.target != after.source:
            return False
        if edge.target << 5 | edge.stage << 3 | edge.kind not in graph.successors[edge.source]:
            return False
    return len(set(cycle.transactions())) == len(cycle.edges) and name_of(cycle.edges) == cycle.name


def test_the_shortest_cycle_of_each_name_is_found_in_every_small_graph() -> None:
    seen: set[str] = set()
    searched = exact = 0
    for seed in range(1500):
        graph = random_graph(seed)
        known = lengths_by_name(graph)
        found: dict[str, int] = {}
        for part in knots(graph, [], (), None):
            cycles, left_open = name_cycles(part, REALTIME, Budget(PLENTY))
            assert left_open == set()
            for cycle in cycles:
                assert is_cycle_of(graph, cycle), seed
                found[cycle.name] = min(found.get(cycle.name, 99), len(cycle.edges))
        seen |= set(found)
        assert set(found) <= set(known), seed
        for kind in KINDS[:3]:
            assert found.get(kind) == known.get(kind), (seed, kind)
        for place, kind in enumerate(KINDS[3:], 3):
            if kind in known:
                # The shortest walk of these kinds can cross itself; then it falls into cycles, one of them worse.
                searched += 1
                exact += found.get(kind) == known[kind]
                assert kind in found or set(KINDS[:place]) & set(found), (seed, kind)
                assert found.get(kind, 99) >= known[kind]
        # With a suffix, too, wherever none as bad was found without one in the whole graph.
        worst = min((KINDS.index(kind) for kind in KINDS if kind in known), default=len(KINDS))
        for kind in KINDS[:worst]:
            if f"{kind}-process" in known:
                assert f"{kind}-process" in found, seed
            elif f"{kind}-realtime" in known and not any(f"{k}-process" in known for k in KINDS):
                assert f"{kind}-realtime" in found, seed
    assert searched > 200
    assert exact > 0.97 * searched
    assert set(KINDS) <= seen
    assert {f"{kind}-realtime" for kind in KINDS} <= seen


@pytest.mark.parametrize(
    ("kinds", "name"),
    [
        ([WW, WW], "G0"),
        ([WW, WR], "G1c"),
        ([RW, WW, WR], "G-single-item"),
        ([RW, WR, RW, WW], "G-nonadjacent-item"),
        ([RW, RW], "G2-item"),
        ([WR, RW, RW], "G2-item"),
        ([RW, WR, RW], "G2-item"),  # the last and the first are neighbours
    ],
)
def test_cycles_are_named_by_their_rw_edges(kinds: list[int], name: str) -> None:
    edges = [Edge(place, (place + 1) % len(kinds), kind, ITEM) for place, kind in enumerate(kinds)]
    assert name_of(edges) == name
    assert name_of([*edges[:-1], Edge(edges[-1].source, 0, edges[-1].kind, REALTIME)]) == f"{name}-realtime"


def test_a_budget_too_small_to_read_a_component_leaves_every_name_open() -> None:
    graph = Graph(3)
    for node in range(3):
        graph.add(node, (node + 1) % 3, RW)
    cycles, left_open = name_cycles(whole(graph), ITEM, Budget(2))
    assert (cycles, left_open) == ([], set(KINDS))


def test_a_budget_that_ends_early_still_names_the_component_and_says_what_it_did_not_exclude() -> None:
    graph = Graph(400)
    draw = random.Random(1).randrange
    for node in range(400):
        graph.add(node, (node + 1) % 400, WR)
        graph.add(node, draw(400), RW)
    part = whole(graph)
    cycles, left_open = name_cycles(part, ITEM, Budget(part.edges() + 401))
    assert [cycle.name for cycle in cycles] != []
    assert "G-single-item" in left_open | {cycle.name for cycle in cycles}
    assert left_open
    full, nothing_open = name_cycles(part, ITEM, Budget(PLENTY))
    assert {cycle.name for cycle in full} == set(KINDS) - {"G0"}
    assert nothing_open == set()


def test_a_long_cycle_needs_no_recursion_and_no_more_steps_than_the_budget_and_a_few_walks() -> None:
    for count in (3000, 6000, 12000):
        graph = Graph(count)
        for node in range(count):
            graph.add(node, (node + 1) % count, RW)
        budget = Budget(50_000)
        cycles, _ = name_cycles(whole(graph), ITEM, budget)
        assert [(cycle.name, len(cycle.edges)) for cycle in cycles] == [("G2-item", count)]
        assert budget.spent <= 50_000 + 8 * count


def reachable(successors: list[list[int]], start: int) -> set[int]:
    seen, stack = {start}, [start]
    while stack:
        for edge in successors[stack.pop()]:
            if edge >> 5 not in seen:
                seen.add(edge >> 5)
                stack.append(edge >> 5)
    return seen


def test_realtime_barriers_reach_exactly_what_was_called_later() -> None:
    for seed in range(200):
        draw = random.Random(seed).randrange
        operations = []
        for _ in range(12):
            call = draw(30)
            operations.append(Operation(0, "txn", "", call, None if not draw(6) else call + draw(9), "ok"))
        graph = Graph(12)
        timeline = Timeline.of(operations, [1] * 12, range(12))
        timeline.add_barriers(graph)
        assert sum(map(len, graph.successors)) <= 4 * 12
        for one in range(12):
            ret = operations[one].ret
            later = {n for n in range(12) if ret is not None and ret < operations[n].call}
            direct = {node for node in reachable(graph.successors, one) if node < 12} - {one}
            assert direct >= later
            # What is reached and not later by itself is so over another one in between: never against time.
            assert all(ret is not None and ret < operations[n].call for n in direct)


def test_what_no_cycle_needs_is_taken_away_whether_realtime_edges_are_built_or_not() -> None:
    for seed in range(300):
        draw = random.Random(seed).randrange
        operations = []
        for _ in range(10):
            call = draw(40)
            operations.append(Operation(0, "txn", "", call, call + draw(12), "ok"))
        plain, explicit = Graph(10), Graph(10)
        for _ in range(12):
            source, target = draw(10), draw(10)
            plain.add(source, target, RW)
            explicit.add(source, target, RW)
        timeline = Timeline.of(operations, [1] * 10, range(10))
        left = residue(plain, timeline)
        timeline.add_barriers(explicit)
        assert left == [node for node in residue(explicit, None) if node < 10]
        rows = [[edge >> 5 for edge in row] for row in explicit.successors]
        in_cycles = {node for part in components(rows) for node in part if node < 10}
        names = [[name for name in part.names if name >= 0] for part in knots(plain, operations, [1] * 10, timeline)]
        assert {name for part in names for name in part} == in_cycles


def test_a_fan_reaches_every_target_but_its_source_and_is_linear() -> None:
    for count in (1, 2, 5, 40):
        graph = Graph(count + 1)
        fan = Fan(graph, range(1, count + 1))
        for source in range(count + 1):
            fan.reach(source, RW)
        assert sum(map(len, graph.successors)) <= 6 * (count + 1)
        for source in range(count + 1):
            onward = set()
            for edge in graph.successors[source]:
                stack = [edge >> 5]
                while stack:
                    node = stack.pop()
                    if node <= count:
                        onward.add(node)
                    else:
                        stack += [edge >> 5 for edge in graph.successors[node]]
            assert onward == set(range(1, count + 1)) - {source}

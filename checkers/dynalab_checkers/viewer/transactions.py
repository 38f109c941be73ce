"""What the page says of transactions: levels side by side, and of each its cycles as graph, words and table.

Rules of this room:
1. The same history at several levels, the one that was asked for first: what one forbids another allows, and its panel
   shows the cycles that it allows, too.
2. A cycle stands there three times: as a graph that we draw ourselves, as a contradiction in words, and as a table for
   who cannot see the one. None of it needs a script.
3. All of it is made from the verdict and the history; nothing is judged here but the other levels.
"""

from __future__ import annotations

from html import unescape
from typing import Final

from dynalab_checkers.history import History, Operation
from dynalab_checkers.isolation import BUDGET_STEPS, Cycle, check_transactions, forbidden
from dynalab_checkers.isolation.pictures import edge_label
from dynalab_checkers.isolation.transactions import Case
from dynalab_checkers.picture import milliseconds, xml_text
from dynalab_checkers.verdict import Verdict
from dynalab_checkers.viewer.data import Judged, client, operation_label

# Beside the level that was asked for: those that people know by name.
BESIDE: Final = ("read-committed", "snapshot-isolation", "serializable", "strict-serializable")
# What the others may cost of the budget, each.
BESIDE_SHARE: Final = 4
# Of longer cycles the table shows the beginning; the words say how many there are.
ROWS_MAX: Final = 24
CASES_MAX: Final = 8


def judge_levels(
    history: History,
    kind: str,
    level: str,
    *,
    mixed: bool = False,
    budget: int = BUDGET_STEPS,
    verdict: Verdict | None = None,
) -> list[Judged]:
    """The history at the level that was asked for (`verdict`, if it is known already), then at the others.

    >>> from dynalab_checkers.isolation.generate import PLANTS, TransactionRecipe, plant, transactions_history
    >>> skew = plant(transactions_history(7, TransactionRecipe(transactions=100)), 1, "G2-item")
    >>> [(one.tab(), one.verdict.verdict) for one in judge_levels(skew, "list-append", "serializable")][:3]
    [('serializable', 'invalid'), ('read-committed', 'valid'), ('snapshot-isolation', 'valid')]
    """
    first = verdict
    if first is None:
        first = check_transactions(history, kind=kind, model=level, mixed=mixed, budget=budget)
    judged = [Judged(first, name=level, level=level)]
    for name in BESIDE:
        if name != level:
            other = check_transactions(history, kind=kind, model=name, mixed=mixed, budget=budget // BESIDE_SHARE)
            judged.append(Judged(other, name=name, level=name))
    return judged


def transactions_panel(judged: Judged, history: History) -> str:
    """What stands below the sentence and the picture: the models, and every cycle."""
    details = judged.verdict.details
    # Numbers are places among these: in a mixed history a query stands for many reads.
    numbered = [one for one in _listed(details.get("numbered")) if isinstance(one, Operation)] or history.operations
    refused = forbidden(judged.level)
    anomalies = details.get("anomalies")
    counts = {str(name): int(str(count)) for name, count in anomalies.items()} if isinstance(anomalies, dict) else {}
    body = _models(counts, refused, judged.verdict)
    cycles = [one for one in _listed(details.get("cycles")) if isinstance(one, Cycle)]
    explanations = [str(one) for one in _listed(details.get("explanations"))]
    pictures = {_title_of(str(svg)): str(svg) for svg in _listed(details.get("svg"))}
    opened = False
    for cycle, words in zip(cycles, explanations, strict=False):
        title = cycle.name + (f" ({cycle.story()})" if cycle.story() else "")
        allowed = cycle.name not in refused
        table = _cycle_table(cycle, numbered)
        body += _fold(title, allowed, pictures.pop(title, ""), words, table, opened=not (opened or allowed))
        opened = opened or not allowed
    for words in explanations[len(cycles) :]:
        # What has no order at all; its picture is the one that is left.
        picture = pictures.popitem()[1] if pictures else ""
        body += _fold(words.splitlines()[0], False, picture, words, "", opened=not opened)
        opened = True
    return body + _cases([one for one in _listed(details.get("cases")) if isinstance(one, Case)], refused, numbered)


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _title_of(svg: str) -> str:
    return unescape(svg.partition("<title>")[2].partition("</title>")[0])


def _models(counts: dict[str, int], refused: frozenset[str], verdict: Verdict) -> str:
    """Which anomalies there are, and what they leave of the models."""
    rows = []
    if counts:
        named = (
            f"{xml_text(name)} ({count})" + ("" if name in refused else " allowed") for name, count in counts.items()
        )
        rows.append(("anomalies", ", ".join(named)))
    for title, name in (("ruled out, the weakest", "not"), ("not ruled out, the strongest", "possible")):
        models = [str(one) for one in _listed(verdict.details.get(name))]
        if models:
            rows.append((title, xml_text(", ".join(models))))
    if verdict.details.get("certified") is True:
        rows.append(("proof", "an order of all transactions was found that explains every answer"))
    return (
        f'<dl class="models">{"".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in rows)}</dl>' if rows else ""
    )


def _fold(title: str, allowed: bool, picture: str, words: str, table: str, *, opened: bool) -> str:
    head = xml_text(title) + (": allowed at this level" if allowed else "")
    shown = (
        f'<div class="picture" tabindex="0" role="group" aria-label="graph of it">{picture}</div>' if picture else ""
    )
    return (
        f'<details class="cycle"{" open" if opened else ""}><summary>{head}</summary>'
        f'<div class="beside">{shown}<pre tabindex="0">{xml_text(words)}</pre></div>{table}</details>'
    )


def _cycle_table(cycle: Cycle, operations: list[Operation]) -> str:
    """The cycle for who reads it: each transaction, and why it comes before the next one."""
    start = min(operations[number].call for number in cycle.transactions())
    rows = []
    for place, edge in enumerate(cycle.edges[:ROWS_MAX], 1):
        after = place % len(cycle.edges) + 1
        cells = [f"T{place}", *_cells(operations[edge.source], start), f"T{after}: {edge_label(edge)}"]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    if len(cycle.edges) > ROWS_MAX:
        rows.append(f'<tr><td colspan="7">and {len(cycle.edges) - ROWS_MAX} more</td></tr>')
    return _table(("", "index", "client", "transaction", "from (ms)", "to (ms)", "comes before"), rows)


def _cells(operation: Operation, start_ns: int) -> list[str]:
    end = "never" if operation.ret is None else milliseconds(operation.ret - start_ns, 3)
    return [
        f'<a href="#op={operation.call_index}">{operation.call_index}</a>',
        xml_text(client(operation)),
        xml_text(operation_label(operation)),
        milliseconds(operation.call - start_ns, 3),
        end,
    ]


def _table(names: tuple[str, ...], rows: list[str]) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _cases(cases: list[Case], refused: frozenset[str], numbered: list[Operation]) -> str:
    """What needs no graph, in the sentences of the checker."""
    rows = []
    for case in cases[:CASES_MAX]:
        operations = [numbered[number] for number in case.transactions]
        links = ", ".join(f'<a href="#op={one.call_index}">{one.call_index}</a>' for one in operations[:6])
        allowed = "" if case.name in refused else " (allowed)"
        cells = (xml_text(case.name) + allowed, xml_text(case.key), links, xml_text(case.sentence))
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    if not rows:
        return ""
    more = f"<p>{len(cases) - CASES_MAX} more are not shown.</p>" if len(cases) > CASES_MAX else ""
    table = _table(("anomaly", "key", "index", "what was seen"), rows)
    return f"<details><summary>Seen without a cycle ({len(cases)})</summary>{table}{more}</details>"

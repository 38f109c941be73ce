"""From files of histories to pages: what `dynalab check --html OUT` does, without the command line.

Rules of this room:
1. Several checkers look at the same history: the one that was asked for first, then those that need nothing more than
   the history. A checker that does not know the operations says unknown, and its lane says so.
2. One file becomes one page at OUT. Several become a directory OUT with a page for each and an index of verdicts.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from os import PathLike, fspath
from pathlib import Path

from dynalab_checkers import isolation
from dynalab_checkers.check import TRANSACTIONS, FileVerdict, check_history
from dynalab_checkers.committed import check_committed
from dynalab_checkers.explain import linearizable_prefixes
from dynalab_checkers.formats import AS_IT_IS, Reading, read_history
from dynalab_checkers.history import History
from dynalab_checkers.judges import USUAL, Question
from dynalab_checkers.linearizability import BUDGET_STEPS
from dynalab_checkers.models import MODELS, REGISTER
from dynalab_checkers.picture import Band
from dynalab_checkers.sessions import check_sessions
from dynalab_checkers.verdict import SEVERITY, Verdict
from dynalab_checkers.viewer.data import Judged
from dynalab_checkers.viewer.page import page_style, write_html
from dynalab_checkers.viewer.transactions import judge_levels


def judge(
    history: History,
    model: str = "register",
    *,
    budget: int = BUDGET_STEPS,
    verdict: Verdict | None = None,
    question: Question = USUAL,
) -> list[Judged]:
    """Several checkers over the same history, for the page. `verdict`: that of the model, if it is known already.

    Transactions are judged at several levels, the one of the `question` first.

    >>> from dynalab_checkers.history import Operation
    >>> history = History([Operation(0, "read", "k", 0, 9, "ok", result=7)])
    >>> [(one.tab(), one.verdict.verdict) for one in judge(history)]
    [('linearizability (register)', 'invalid'), ('sessions', 'valid'), ('committed', 'invalid')]
    """
    if model in TRANSACTIONS:
        steps = isolation.BUDGET_STEPS if budget == BUDGET_STEPS else budget
        kind, mixed = TRANSACTIONS[model]
        return judge_levels(history, kind, question.level, mixed=mixed, budget=steps, verdict=verdict)
    chosen = MODELS[model]
    first = check_history(history, model, budget) if verdict is None else verdict
    prefixes = linearizable_prefixes(history, chosen, budget=budget)
    judged = [Judged(first, prefixes)]
    if chosen.lower is REGISTER.lower:
        judged += [Judged(check_sessions(history)), Judged(check_committed(history))]
    return judged


def report_html(
    out: str | PathLike[str],
    paths: Sequence[str | PathLike[str]],
    *,
    model: str = "register",
    format: str = "jsonl",
    budget: int = BUDGET_STEPS,
    results: Sequence[FileVerdict] = (),
    bands: Sequence[Band] = (),
    reading: Reading = AS_IT_IS,
    question: Question = USUAL,
) -> list[Path]:
    """Write the pages of some histories, and say which files were written: the one to open first comes first.

    `results` (of `check_files`) spare a second judgement of the same `question`. Raises MalformedHistory, or OSError if
    a file cannot be read or written.
    """
    assert paths, "a report is about at least one history"
    known = {result.file: result.detail for result in results if result.model == model}
    if len(paths) == 1 and not os.path.isdir(out):
        _write(Path(out), paths[0], model, format, budget, known.get(fspath(paths[0])), bands, reading, question)
        return [Path(out)]
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    pages: list[tuple[str, Path, Verdict]] = []
    width = len(str(len(paths)))
    for number, path in enumerate(paths, 1):
        stem = "".join(c if c.isalnum() or c in "-_." else "-" for c in Path(path).stem)[:80]
        page = folder / f"{number:0{width}}-{stem}.html"
        verdict = _write(page, path, model, format, budget, known.get(fspath(path)), bands, reading, question)
        pages.append((fspath(path), page, verdict))
    index = folder / "index.html"
    index.write_text(_index(pages), encoding="utf-8")
    return [index, *(page for _, page, _ in pages)]


def _write(
    page: Path,
    path: str | PathLike[str],
    model: str,
    format: str,
    budget: int,
    verdict: Verdict | None,
    bands: Sequence[Band],
    reading: Reading,
    question: Question,
) -> Verdict:
    try:
        history = read_history(path, format, reading)
    except ValueError as error:
        error.add_note(f"in {fspath(path)}")
        raise
    judged = judge(history, model, budget=budget, verdict=verdict, question=question)
    write_html(page, history, judged, bands=bands, title=Path(path).name)
    return judged[0].verdict


def _index(pages: Sequence[tuple[str, Path, Verdict]]) -> str:
    """Verdicts of many files, the worst first."""
    ordered = sorted(pages, key=lambda one: -SEVERITY[one[2].verdict])
    rows = ""
    for path, page, verdict in ordered:
        link = f'<a href="{escape(page.name)}">{_text(path)}</a>'
        rows += (
            f'<tr><td class="{verdict.verdict}">{verdict.verdict}</td><td>{link}</td><td>{_text(verdict.why)}</td></tr>'
        )
    counts = ", ".join(
        f"{sum(verdict.verdict == name for _, _, verdict in pages)} {name}" for name in ("invalid", "unknown", "valid")
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Histories</title>'
        f"<style>{page_style()}</style></head><body><header><div><h1>Histories</h1><p>{counts}</p></div></header>"
        '<main class="index"><table><thead><tr><th scope="col">verdict</th><th scope="col">history</th>'
        f'<th scope="col">why</th></tr></thead><tbody>{rows}</tbody></table></main></body></html>\n'
    )


def _text(text: str) -> str:
    return escape(text.encode("utf-8", "replace").decode("utf-8"))

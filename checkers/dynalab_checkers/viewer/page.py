"""The viewer: one HTML file that shows a history and what checkers say of it, and asks nobody for anything.

Rules of this room:
1. One file: data, style and script are inlined, and a content security policy forbids every request. It opens from a
   disk, from a mail, from an artifact of a build.
2. Whatever comes from outside is data: inside the JSON no `<` is left as it is, elsewhere it is escaped, and the only
   script that may run is ours, by its hash.
3. The smallest wrong part comes first, as a sentence, a picture and a table, and stands there without any script. The
   whole history follows for those who want to look around.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from os import PathLike
from typing import Final, TextIO

from dynalab_checkers.explain import Prefix
from dynalab_checkers.explain import explain as explain_verdict
from dynalab_checkers.history import History, Operation
from dynalab_checkers.linearizability import CHECKER as LINEARIZABILITY
from dynalab_checkers.picture import Band, milliseconds
from dynalab_checkers.verdict import INVALID, UNKNOWN, VALID, Verdict, worst
from dynalab_checkers.viewer.data import Judged, client, keys_of, operation_label, page_data
from dynalab_checkers.viewer.transactions import transactions_panel

SCRIPTS: Final = ("model.js", "canvas.js", "page.js")
# Larger parts than this are drawn by the timeline alone.
PICTURE_MAX = 60
_SIGNS: Final = {VALID: "✓", UNKNOWN: "?", INVALID: "✗"}


def write_html(
    target: str | PathLike[str] | TextIO,
    history: History,
    verdicts: Sequence[Verdict | Judged],
    *,
    bands: Sequence[Band] = (),
    title: str = "",
    prefix: Mapping[str, Prefix] | None = None,
) -> None:
    """Write the page of a history to a path or an open text file.

    `verdicts` stand side by side over the same history; the first that is not valid is shown first. `prefix` (of
    `linearizable_prefixes`) belongs to the linearizability verdicts; give `Judged` values where each has its own.

    >>> from io import StringIO
    >>> out = StringIO()
    >>> operations = [Operation(0, "write", "k", 0, 9, "ok", "</script>")]
    >>> write_html(out, History(operations), [Verdict("valid", "linearizability")], title="one write")
    >>> page = out.getvalue()
    >>> "<title>one write</title>" in page, "</script>" in page.split('id="data">')[1].split("</script>")[0]
    (True, False)
    """
    judged = [one if isinstance(one, Judged) else _with_prefix(one, prefix) for one in verdicts]
    text = render_page(history, judged, bands, title or "A history")
    if isinstance(target, (str, PathLike)):
        with open(target, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
    else:
        target.write(text)


def render_page(history: History, judged: Sequence[Judged], bands: Sequence[Band], title: str) -> str:
    """The page as a text. Its characters are ASCII inside the data, so that lone surrogates cannot break it."""
    script = _script()
    digest = b64encode(sha256(script.encode()).digest()).decode()
    # `style-src` has no hash: the pictures bring their own style, and a style cannot ask for anything here.
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    active = next((n for n, one in enumerate(judged) if one.verdict.verdict != VALID), 0)
    panels = "".join(_panel(number, one, history, bands, number == active) for number, one in enumerate(judged))
    tabs = "".join(_tab(number, one, number == active) for number, one in enumerate(judged))
    data = page_data(history, judged, bands)
    data["active"] = active
    return _static("page.html").format_map(
        {
            "policy": escape(policy),
            "title": _text(title),
            "style": page_style(),
            "overall": worst(one.verdict for one in judged),
            "summary": _text(_summary(history, judged)),
            "tabs": tabs,
            "panels": panels,
            "data": in_script(data),
            "script": script,
        }
    )


def in_script(data: object) -> str:
    """JSON that may stand inside a script element: nothing in it can end the element or begin a comment.

    >>> in_script({"a": "</script><!--"})
    '{"a":"\\\\u003c/script>\\\\u003c!--"}'
    """
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def page_style() -> str:
    """The style of the pages, for others of the same look."""
    return _static("viewer.css")


def _with_prefix(verdict: Verdict, prefix: Mapping[str, Prefix] | None) -> Judged:
    return Judged(verdict, prefix if verdict.checker == LINEARIZABILITY else None)


@cache
def _static(name: str) -> str:
    return (files("dynalab_checkers.viewer") / "static" / name).read_text(encoding="utf-8")


@cache
def _script() -> str:
    text = "\n".join(_static(name) for name in SCRIPTS)
    assert "</script" not in text.lower(), "the script would end itself"
    return text


def _summary(history: History, judged: Sequence[Judged]) -> str:
    keys = len({key for o in history.operations for key in keys_of(o)})
    clients = len({client(o) for o in history.operations})
    counts = (
        _count(len(history), "operation"),
        _count(clients, "client"),
        _count(keys, "key"),
        _count(len(judged), "verdict"),
    )
    return ", ".join(counts)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _tab(number: int, judged: Judged, active: bool) -> str:
    verdict = judged.verdict.verdict
    return (
        f'<button role="tab" id="tab{number}" aria-controls="panel{number}" aria-selected="{str(active).lower()}" '
        f'tabindex="{0 if active else -1}" class="{verdict}"><span aria-hidden="true">{_SIGNS[verdict]}</span> '
        f"{_text(judged.tab())}: {verdict}</button>"
    )


def _panel(number: int, judged: Judged, history: History, bands: Sequence[Band], active: bool) -> str:
    verdict = judged.verdict
    if verdict.verdict == VALID:
        where = f"at the level {_text(judged.level)}" if judged.level else "as far as this checker looks"
        body = f"<p>Nothing is wrong with this history, {where}.</p>"
    else:
        body = f'<p class="why {verdict.verdict}">{_text(verdict.why)}</p>'
    shown = verdict.operations
    if 0 < len(shown) <= PICTURE_MAX:
        told = explain_verdict(verdict, bands=bands)
        assert told is not None, "there are operations to show"
        body += f'<div class="picture" tabindex="0" role="group" aria-label="picture of it">{told.picture}</div>'
        body += f"<details><summary>The same as a table ({len(shown)})</summary>{_table(verdict)}</details>"
    elif shown:
        body += f"<p>{len(shown)} operations have a part in it: too many for a picture. See the timeline.</p>"
    if judged.level:
        body += transactions_panel(judged, history)
    hidden = "" if active else " hidden"
    named = f'id="panel{number}" aria-labelledby="tab{number}"'
    return f'<section role="tabpanel" {named} tabindex="0"{hidden}>{body}</section>'


def _table(verdict: Verdict) -> str:
    """The smallest part as a table, with links that show an operation in the timeline."""
    shown = sorted(verdict.operations, key=lambda o: (o.call, o.call_index))
    start = shown[0].call
    rows = []
    for operation in shown:
        marked = any(operation is one for one in verdict.highlight)
        end = "never" if operation.ret is None else milliseconds(operation.ret - start, 3)
        cells = [
            f'<a href="#op={operation.call_index}">{operation.call_index}</a>',
            _text(client(operation)),
            _text(operation.key),
            _mark(operation, marked),
            milliseconds(operation.call - start, 3),
            end,
            {"ok": "ok", "fail": "failed", "info": "unknown"}[operation.outcome],
        ]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(
        f'<th scope="col">{name}</th>'
        for name in ("index", "client", "key", "operation", "from (ms)", "to (ms)", "end")
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _mark(operation: Operation, marked: bool) -> str:
    text = _text(operation_label(operation))
    return f"<strong>{text} (marked)</strong>" if marked else text


def _text(text: str) -> str:
    """Escaped, and without lone surrogates, which no file in UTF-8 can hold."""
    return escape(text.encode("utf-8", "replace").decode("utf-8"))

"""`dynalab fault`: put faults on a running `dynalab serve --lab`, list them, heal, reset, read the history."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlencode, urlsplit

import click

from dynalab.cli import exit_codes

URL = "http://127.0.0.1:8000"
TIMEOUT_SECONDS = 30
READINGS = ("insights", "kinesis")  # names that put nothing on


@click.command()
@click.argument("name", required=False)
@click.argument("parameters", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--url", envvar="DYNALAB_URL", default=URL, show_default=True, show_envvar=True, help="The endpoint.")
@click.option("--json", "as_json", is_flag=True, help="The answer as it came.")
def fault(name: str | None, parameters: tuple[str, ...], url: str, as_json: bool) -> int:
    """Break a running endpoint that was started with `dynalab serve --lab`.

    \b
        dynalab fault                              what is on, and what it hit
        dynalab fault kill-leader table=orders
        dynalab fault index-lag lag_ms=5000
        dynalab fault stale-reads mode=always
        dynalab fault throttle operation=PutItem table=orders nth=3
        dynalab fault region-conflict table=orders count=2
        dynalab fault deny operation=ConditionCheckItem table=orders
        dynalab fault heal                         take everything off
        dynalab fault reset                        and delete every table
        dynalab fault history                      what clients saw, for `dynalab check`
        dynalab fault insights table=orders        which keys are busy
        dynalab fault kinesis arn=arn:aws:kinesis…  what came to a stream

    An unknown name or parameter is answered with what there is.
    """
    request: dict[str, str | int] = {}
    for parameter in parameters:
        key, equals, value = parameter.partition("=")
        if not equals:
            raise click.UsageError(f"write parameters as KEY=VALUE, not {parameter!r}")
        request[key] = int(value) if value.lstrip("-").isdigit() else value
    if name is None:
        status, body = _ask(url, "GET", "faults")
    elif name in READINGS:
        status, body = _ask(url, "GET", f"{name}?{urlencode(request)}")
    elif name == "history":
        status, body = _ask(url, "GET", "history")
        if status == 200:
            click.echo(body, nl=False)
            return exit_codes.VALID
    elif name == "reset":
        status, body = _ask(url, "POST", "reset", {})
    else:
        status, body = _ask(url, "POST", "faults", {"fault": name, **request})
    try:
        content = json.loads(body)
    except ValueError:
        raise click.UsageError(f"{url} is no `dynalab serve --lab` (it answered {status})") from None
    if status != 200:
        raise click.UsageError(content.get("error", str(content)))
    if as_json:
        click.echo(json.dumps(content))
    else:
        _show(content)
    return exit_codes.VALID


def _ask(url: str, method: str, path: str, body: object = None) -> tuple[int, str]:
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None:
        raise click.UsageError(f"the endpoint is an http:// URL, not {url!r}")
    connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=TIMEOUT_SECONDS)
    try:
        data = None if body is None else json.dumps(body)
        connection.request(method, f"/_dynalab/{path}", data, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read().decode()
    except (OSError, http.client.HTTPException) as error:
        raise click.UsageError(f"nothing answers at {url}: {error}") from error
    finally:
        connection.close()


def _show_keys(graphs: list[dict[str, Any]]) -> None:
    for graph in graphs:
        place = graph["table"] + (f"/{graph['index']}" if graph["index"] else "")
        click.echo(f"{place}: {graph['title']}")
        for one in graph["keys"]:
            over = f" (at most {one['over']} too many)" if one["over"] else ""
            click.echo(f"  {one['count']:8,}  {json.dumps(one['key'], ensure_ascii=False)}{over}")
    if not graphs:
        click.echo("no keys are counted: UpdateContributorInsights begins it")


def _show(content: dict[str, Any]) -> None:
    if "insights" in content:
        _show_keys(content["insights"])
        return
    for line in (*content.get("Records", ()), *content.get("streams", ())):
        click.echo(json.dumps(line, ensure_ascii=False))
    if "Records" in content or "streams" in content:
        return
    if "nodes" not in content:
        click.echo(" ".join(f"{key}={value}" for key, value in content.items() if value is not None))
        return
    nodes, faults = content["nodes"], content["faults"]
    assert isinstance(nodes, list)
    assert isinstance(faults, list)
    for node in nodes:
        leads = len(node["leads"])
        click.echo(
            f"{node['node']:16} {'up' if node['up'] else 'DOWN':5} incarnation {node['incarnation']}, leads {leads}"
        )
    indexes = content.get("indexes", [])
    assert isinstance(indexes, list)
    for index in indexes:
        behind = f"{index['queued']} changes on their way, the oldest for {index['lag_ms']} ms"
        click.echo(f"{index['table']}/{index['index']}: {behind if index['queued'] else 'up to date'}")
    if not faults:
        click.echo("no fault was put on")
    for one in faults:
        since, until = one["since_ns"] // 1_000_000, one["until_ns"]
        when = f"since {since} ms" if until is None else f"{since}-{until // 1_000_000} ms"
        hidden = ("id", "fault", "active", "hits", "since_ns", "until_ns")
        extra = " ".join(f"{key}={value}" for key, value in one.items() if key not in hidden)
        click.echo(f"{'ON ' if one['active'] else 'off'} {one['fault']:16} {when}, hit {one['hits']}  {extra}")

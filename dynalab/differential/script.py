"""A boto3 script that repeats requests and says what differs: what a person runs, or attaches to a report."""

from __future__ import annotations

import base64
import pprint
from collections.abc import Sequence
from typing import TypeAlias

from dynalab.differential.tables import Body

HEAD = '''"""{title}"""

import boto3

client = boto3.client("dynamodb", endpoint_url={url!r}, region_name="us-east-1",
                      aws_access_key_id="any", aws_secret_access_key="any")


def call(operation, **body):
    """What the service answers: a response, or the error's name and text."""
    try:
        answer = client._make_api_call(operation, body)
    except client.exceptions.ClientError as error:
        return {{"error": error.response["Error"]}}
    return {{name: part for name, part in answer.items() if name != "ResponseMetadata"}}


'''
Step: TypeAlias = "tuple[str, Body]"


def boto3_script(
    steps: Sequence[Step],
    answers: Sequence[tuple[str, object]],
    *,
    title: str = "The last of these requests is answered differently.",
    url: str = "http://127.0.0.1:8000",
) -> str:
    """A script of these requests; `answers` say who answered what to the last one, and are written below it.

    >>> script = boto3_script([("ListTables", {})], [("model", {"TableNames": []}), ("service", {})])
    >>> for line in script.splitlines()[-5:]:
    ...     print(line)
    print(call("ListTables", **{}))
    # model answered:
    #     {'TableNames': []}
    # service answered:
    #     {}
    """
    lines = [HEAD.format(title=title, url=url)]
    for name, body in steps[:-1]:
        lines.append(f'call("{name}", **{_literal(body)})\n')
    for name, body in steps[-1:]:
        lines.append(f'print(call("{name}", **{_literal(body)}))\n')
    for who, answer in answers:
        lines.append(f"# {who} answered:\n")
        lines += [f"#     {line}\n" for line in pprint.pformat(answer, width=110, sort_dicts=True).splitlines()]
    return "".join(lines)


def _literal(body: Body) -> str:
    return pprint.pformat(_for_boto3(body), width=110, sort_dicts=False)


def _for_boto3(part: object) -> object:
    """boto3 takes bytes where the wire has base64."""
    if isinstance(part, list):
        return [_for_boto3(each) for each in part]
    if not isinstance(part, dict):
        return part
    if len(part) == 1:
        (kind, given), *_ = part.items()
        try:
            if kind == "B" and isinstance(given, str):
                return {"B": base64.b64decode(given, validate=True)}
            if kind == "BS" and isinstance(given, list):
                return {"BS": [base64.b64decode(each, validate=True) for each in given]}
        except ValueError:
            return part
    return {name: _for_boto3(each) for name, each in part.items()}

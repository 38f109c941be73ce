"""The AWS CLI against `dynalab serve`."""

from __future__ import annotations

import json
import os
import subprocess
from typing import cast

import pytest

from tests.end_to_end.serving import Served, serve

JSON = dict[str, object]


def aws(served: Served, *arguments: str) -> JSON:
    """Run `aws dynamodb …` and read its answer."""
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
    }
    command = ["aws", "dynamodb", *arguments, "--endpoint-url", served.url, "--output", "json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return cast(JSON, json.loads(done.stdout)) if done.stdout.strip() else {}


@pytest.mark.needs("awscli")
def test_the_aws_cli_creates_writes_reads_and_deletes() -> None:
    with serve() as served:
        aws(
            served,
            "create-table",
            "--table-name=music",
            "--billing-mode=PAY_PER_REQUEST",
            "--attribute-definitions=AttributeName=artist,AttributeType=S",
            "--key-schema=AttributeName=artist,KeyType=HASH",
        )
        aws(served, "wait", "table-exists", "--table-name=music")
        aws(served, "put-item", "--table-name=music", '--item={"artist": {"S": "A"}, "plays": {"N": "7"}}')
        found = aws(served, "get-item", "--table-name=music", '--key={"artist": {"S": "A"}}', "--consistent-read")
        assert found["Item"] == {"artist": {"S": "A"}, "plays": {"N": "7"}}
        assert aws(served, "scan", "--table-name=music")["Count"] == 1
        update = "UPDATE music SET plays = plays + ? WHERE artist = 'A' RETURNING MODIFIED NEW *"
        assert aws(served, "execute-statement", f"--statement={update}", '--parameters=[{"N": "1"}]') == {
            "Items": [{"plays": {"N": "8"}}]
        }
        aws(served, "delete-table", "--table-name=music")
        aws(served, "wait", "table-not-exists", "--table-name=music")
        assert aws(served, "list-tables")["TableNames"] == []

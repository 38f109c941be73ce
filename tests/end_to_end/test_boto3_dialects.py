"""`dynalab serve --dialect`: an unmodified boto3 is told the same errors in other words."""

from __future__ import annotations

import subprocess
import sys

import pytest
from botocore.exceptions import ClientError

from tests.end_to_end.serving import serve

BARE = "ReturnValues can only be ALL_OLD or NONE"


@pytest.mark.parametrize(
    ("options", "words"), [((), BARE), (("--dialect", "2026"), f"1 validation error detected: {BARE}")]
)
def test_the_words_change_and_the_code_does_not(options: tuple[str, ...], words: str) -> None:
    with serve(*options) as running, pytest.raises(ClientError) as caught:
        running.client().put_item(TableName="any", Item={"pk": {"S": "a"}}, ReturnValues="ALL_NEW")
    assert caught.value.response["Error"] == {"Code": "ValidationException", "Message": words}


def test_a_dialect_that_nobody_speaks_is_a_usage_error() -> None:
    command = [sys.executable, "-m", "dynalab", "serve", "--dialect", "2031"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 64
    assert "'classic', '2026', 'older'" in done.stderr

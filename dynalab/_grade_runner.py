"""Runs one call of a learner's function; started by `dynalab.grade` in a process of its own, with the standard
library alone.

Reads one JSON object from standard input (file, function, arguments), and writes one JSON object to the file
descriptor named by its first argument: {"value": ...} or {"error": sentence}. What the learner's code prints goes to
standard error and is no answer.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from types import ModuleType


def load(path: str) -> ModuleType:
    """The learner's file as a module; its folder is importable, so that an answer may be split over files."""
    import importlib.util

    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    spec = importlib.util.spec_from_file_location("answer", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["answer"] = module
    spec.loader.exec_module(module)
    return module


def call(request: dict[str, object]) -> dict[str, object]:
    """The function's value, or a sentence about what it raised and in which line of the learner's file."""
    path = str(request["file"])
    arguments = request["arguments"]
    assert isinstance(arguments, list)
    try:
        function = getattr(load(path), str(request["function"]), None)
        if function is None:
            return {"error": f"{os.path.basename(path)} has no function {request['function']}"}
        value = function(*arguments)
        json.dumps(value)  # an answer that is no JSON is the learner's error, not the grader's
        return {"value": value}
    except BaseException as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
        where = f" in line {lines[-1]}" if lines else ""
        return {"error": f"it raised {type(error).__name__}{where}: {error}"}


def main() -> None:
    answer = int(sys.argv[1])
    request = json.load(sys.stdin)
    sys.stdout = sys.stderr
    with os.fdopen(answer, "w") as out:
        json.dump(call(request), out)
    # Threads that the learner's code left behind must not keep the grader waiting.
    os._exit(0)


if __name__ == "__main__":
    main()

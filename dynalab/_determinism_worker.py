"""Prints the trace hash of each run that it is told to make: run by `dynalab.determinism` under many Pythons.

Its argument is a JSON object {"seeds": [...], "workload": ..., "faults": [...]}; each line it prints is [seed, trace
hash, operations].
"""

import json
import sys

from dynalab_fault_injection.run import run_one


def main() -> None:
    request = json.loads(sys.argv[1])
    for seed in request["seeds"]:
        result = run_one(seed, request["workload"], tuple(request["faults"]))
        print(json.dumps([seed, result.trace_hash, result.operations]), flush=True)


main()

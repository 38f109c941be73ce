"""`python -m dynalab_fault_injection.planted_bugs`: does each patch still fit, and what is its target's fingerprint
now?
"""

from __future__ import annotations

import sys

from dynalab_fault_injection.planted_bugs.bugs import BUGS
from dynalab_fault_injection.planted_bugs.patch import PatchDoesNotFit, fingerprint


def main() -> int:
    """Print a line a patch; 1 if any does not fit."""
    status = 0
    for bug in BUGS.values():
        for patch in bug.patches:
            try:
                patch.check()
                print(f"{bug.name}: {patch.target} fits")
            except PatchDoesNotFit as error:
                status = 1
                print(f"{bug.name}: {error}")
                if patch.method in patch.owner.__dict__:
                    now = fingerprint(patch.owner.__dict__[patch.method])
                    print(f"  now {now}; read the method before you take it over")
    return status


if __name__ == "__main__":
    sys.exit(main())

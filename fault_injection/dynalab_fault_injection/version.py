"""Which code made a result: a digest of the sources that a run depends on. Results of other code are never taken for
those of this one.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import dynalab_checkers
import dynalab_fault_injection
import dynalab_impl
import dynalab_model

PACKAGES = (dynalab_model, dynalab_impl, dynalab_checkers, dynalab_fault_injection)


@cache
def source_version() -> str:
    """Sixteen hexadecimal digits over all Python and grammar files of model, impl, checkers and fault_injection."""
    digest = hashlib.blake2b(digest_size=8)
    for package in PACKAGES:
        assert package.__file__ is not None
        root = Path(package.__file__).parent
        for path in sorted((*root.rglob("*.py"), *root.rglob("*.lark"))):
            data = path.read_bytes()
            # Length and name first, so that moving text from one file to the next changes the digest.
            digest.update(f"{package.__name__}/{path.relative_to(root).as_posix()}:{len(data)}\n".encode())
            digest.update(data)
    return digest.hexdigest()

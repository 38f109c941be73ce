"""Puts modules that were compiled before in the place of their sources. Imported only if DYNALAB_COMPILED is set."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from dynalab_checkers.compile import is_current


def use(search_path: list[str], directory: str) -> bool:
    """Look for modules in `directory` first, unless it was compiled from other sources than these."""
    cache = Path(directory)
    if not is_current(cache):
        warnings.warn(
            f"{directory} does not hold what these sources compile to; going on in Python "
            "(python -m dynalab_checkers.compile makes it anew)",
            stacklevel=2,
        )
        return False
    # What the compiled modules share is no module of this package.
    sys.path.append(str(cache / "shared"))
    search_path.insert(0, str(cache / "modules"))
    return True

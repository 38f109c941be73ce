"""Judges of histories, from any database. See checkers/README.md."""

import os as _os

if _os.environ.get("DYNALAB_COMPILED"):
    # Modules compiled by `dynalab_checkers.compile` stand before their sources, if they are of these very sources.
    from dynalab_checkers.compiled import use as _use

    _use(__path__, _os.environ["DYNALAB_COMPILED"])

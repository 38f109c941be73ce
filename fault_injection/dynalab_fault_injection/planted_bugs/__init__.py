"""Planted bugs: every safety rule has a patch that removes it, and a checker that must notice."""

from dynalab_fault_injection.planted_bugs.bugs import BUGS, PlantedBug
from dynalab_fault_injection.planted_bugs.hunting import (
    SEEDS,
    BugResult,
    bug_named,
    hunt,
    hunt_all,
    run_with,
    setting_of,
    shows,
)
from dynalab_fault_injection.planted_bugs.patch import Patch, PatchDoesNotFit, fingerprint, laid_over

__all__ = [
    "BUGS",
    "SEEDS",
    "BugResult",
    "Patch",
    "PatchDoesNotFit",
    "PlantedBug",
    "bug_named",
    "fingerprint",
    "hunt",
    "hunt_all",
    "laid_over",
    "run_with",
    "setting_of",
    "shows",
]

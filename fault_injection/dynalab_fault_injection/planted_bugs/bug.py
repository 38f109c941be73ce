"""What a planted bug is."""

from __future__ import annotations

from dataclasses import dataclass

from dynalab_fault_injection.planted_bugs.patch import Patch


@dataclass(frozen=True, slots=True)
class PlantedBug:
    """A safety rule taken away. `workload`, `faults` and `transaction_rules` are those of the runs that hunt for it."""

    name: str
    rule: str  # what the implementation promises, and this bug breaks
    sentence: str  # what the patch does
    checker: str
    workload: str
    faults: tuple[str, ...]
    patches: tuple[Patch, ...]
    transaction_rules: tuple[str, ...] = ()  # of the runs that hunt for it; more may be drawn

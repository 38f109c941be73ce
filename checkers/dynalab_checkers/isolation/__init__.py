"""Isolation of transactions: dependency graphs and their cycles, from read uncommitted to strict serializable."""

from dynalab_checkers.isolation.check import BUDGET_STEPS, check_transactions
from dynalab_checkers.isolation.cycles import Cycle, Edge
from dynalab_checkers.isolation.levels import LATTICE, forbidden, ruled_out, strongest, weakest

__all__ = [
    "BUDGET_STEPS",
    "LATTICE",
    "Cycle",
    "Edge",
    "check_transactions",
    "forbidden",
    "ruled_out",
    "strongest",
    "weakest",
]

"""Isolation levels, what each forbids, and what an anomaly therefore rules out.

Rules of this room:
- The lattice is a table: each model names the weaker ones that it implies, and the anomalies that it is the weakest to
  forbid. A model forbids all that the models it implies forbid.
- Names are Elle's and Adya's where they exist. `read-committed` is Adya's PL-2 (no G1), which is what consistency.md
  promises for Query and batches; the stronger "read committed" of the testing literature (once something of a
  transaction was seen, all of it is) is `monotonic-atomic-view` here.
- `session` in a name: the order within each process counts. `strong` and `strict`: real time counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

# Model: (the models it implies directly, the anomalies that it adds to what they forbid).
LATTICE: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "read-uncommitted": ((), ("G0", "duplicate-elements", "cyclic-versions")),
    "read-committed": (
        ("read-uncommitted",),
        ("G1a", "G1b", "G1c", "dirty-update", "incompatible-order", "future-read", "garbage-read"),
    ),
    "monotonic-atomic-view": (("read-committed",), ("monotonic-atomic-view-cycle",)),
    "read-atomic": (("monotonic-atomic-view",), ("internal", "read-atomic-cycle")),
    "causal": (("read-atomic",), ("causal-cycle",)),
    "update-atomic": (("read-atomic",), ("lost-update",)),
    "cursor-stability": (("read-committed",), ("lost-update",)),
    "consistent-view": (("read-committed",), ("G-single-item",)),
    "repeatable-read": (
        ("cursor-stability", "monotonic-atomic-view"),
        ("G-single-item", "G-nonadjacent-item", "G2-item"),
    ),
    "parallel-snapshot-isolation": (("update-atomic", "consistent-view", "cursor-stability"), ()),
    "snapshot-isolation": (("parallel-snapshot-isolation",), ("G-nonadjacent-item",)),
    "serializable": (("repeatable-read", "snapshot-isolation"), ("cycle-exists",)),
    "strong-session-read-uncommitted": (("read-uncommitted",), ("G0-process", "cyclic-versions-process")),
    "strong-session-read-committed": (
        ("read-committed", "strong-session-read-uncommitted"),
        ("G1c-process",),
    ),
    "strong-session-snapshot-isolation": (
        ("snapshot-isolation", "strong-session-read-committed", "causal"),
        ("G-single-item-process", "G-nonadjacent-item-process"),
    ),
    "strong-session-serializable": (
        ("serializable", "strong-session-snapshot-isolation"),
        ("G2-item-process", "cycle-exists-process"),
    ),
    "strong-read-uncommitted": (
        ("strong-session-read-uncommitted",),
        ("G0-realtime", "cyclic-versions-realtime"),
    ),
    "strong-read-committed": (("strong-session-read-committed", "strong-read-uncommitted"), ("G1c-realtime",)),
    "strong-snapshot-isolation": (
        ("strong-session-snapshot-isolation", "strong-read-committed"),
        ("G-single-item-realtime", "G-nonadjacent-item-realtime"),
    ),
    "strict-serializable": (
        ("strong-session-serializable", "strong-snapshot-isolation"),
        ("G2-item-realtime", "cycle-exists-realtime"),
    ),
}

# How bad an anomaly is among those that a verdict may speak of first; the smaller, the worse.
SEVERITY: Final[tuple[str, ...]] = tuple(
    dict.fromkeys(anomaly for _, anomalies in LATTICE.values() for anomaly in anomalies)
)


def _closure() -> dict[str, frozenset[str]]:
    """Each model with all that it implies, itself included."""
    closed: dict[str, frozenset[str]] = {}
    for model, (weaker, _) in LATTICE.items():  # weaker ones stand first in the table
        closed[model] = frozenset({model}).union(*(closed[name] for name in weaker))
    return closed


IMPLIED: Final = _closure()


def forbidden(model: str) -> frozenset[str]:
    """All anomalies that a model does not allow. Raises KeyError if there is no such model.

    >>> sorted(forbidden("read-uncommitted"))
    ['G0', 'cyclic-versions', 'duplicate-elements']
    """
    return frozenset(anomaly for name in IMPLIED[model] for anomaly in LATTICE[name][1])


def ruled_out(anomalies: Collection[str]) -> frozenset[str]:
    """The models that these anomalies rule out."""
    return frozenset(model for model in LATTICE if not forbidden(model).isdisjoint(anomalies))


def weakest(models: Iterable[str]) -> list[str]:
    """Those of the models that imply no other one of them.

    >>> weakest(ruled_out({"G-single-item"})), weakest(ruled_out({"lost-update"}))
    (['consistent-view', 'repeatable-read'], ['cursor-stability', 'update-atomic'])
    """
    models = set(models)
    return sorted(model for model in models if IMPLIED[model] & models == {model})


def strongest(models: Iterable[str]) -> list[str]:
    """Those of the models that no other one of them implies.

    >>> strongest(set(LATTICE) - ruled_out({"G2-item"}))
    ['strong-snapshot-isolation']
    """
    models = set(models)
    return sorted(model for model in models if not any(model != other and model in IMPLIED[other] for other in models))


def stage_of(model: str) -> int:
    """0: time does not matter to a model; 1: the order within each process does; 2: real time does."""
    if model == "strict-serializable" or (model.startswith("strong-") and not model.startswith("strong-session-")):
        return 2
    return 1 if model.startswith("strong-session-") else 0

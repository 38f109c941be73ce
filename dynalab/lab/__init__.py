"""`dynalab serve --lab`: a cluster that can be broken while clients use it, and a record of what they saw."""

from __future__ import annotations

from dynalab.drivers.embedded import EmbeddedCluster
from dynalab.lab.control import Lab

__all__ = ["Lab", "make_lab"]


def make_lab(cluster: EmbeddedCluster) -> Lab:
    """The lab of a cluster that has not been started yet."""
    return Lab(cluster)

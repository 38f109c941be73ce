"""Which node stands at an address: the one place where drivers make nodes."""

from __future__ import annotations

from dynalab_impl.effects import Address, Topology
from dynalab_impl.router import Router
from dynalab_impl.storage_node import StorageNode


def make_node(address: Address, topology: Topology, incarnation: int = 1) -> StorageNode | Router:
    """A fresh node object for this address; its `on_start` is the first call.

    `incarnation` is that of the disk for a storage node (1 when the cluster is formed, higher after each loss of the
    disk) and of the process for a router.
    """
    if address in topology.routers:
        return Router(address, topology, incarnation)
    assert address in topology.storage, f"{address} is not in the topology"
    return StorageNode(address, topology, incarnation)

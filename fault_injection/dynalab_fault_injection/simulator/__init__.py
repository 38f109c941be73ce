"""The simulator: a cluster of the real handlers in virtual time, on a modelled network, with modelled disks and clocks.

Nothing here knows what the nodes do. It keeps the rules of `dynalab_impl.effects` and breaks everything that those
rules allow to break.
"""

from dynalab_fault_injection.simulator.disk import Disk, Format, PowerLoss
from dynalab_fault_injection.simulator.host import Host
from dynalab_fault_injection.simulator.network import CERTAIN, CHANCE_BITS, Delays, LinkRule, Network
from dynalab_fault_injection.simulator.randomness import below, between, pick, shuffled, stream
from dynalab_fault_injection.simulator.simulation import WALL_EPOCH_NS, Client, NodeFactory, Parameters, Simulation

__all__ = [
    "CERTAIN",
    "CHANCE_BITS",
    "WALL_EPOCH_NS",
    "Client",
    "Delays",
    "Disk",
    "Format",
    "Host",
    "LinkRule",
    "Network",
    "NodeFactory",
    "Parameters",
    "PowerLoss",
    "Simulation",
    "below",
    "between",
    "pick",
    "shuffled",
    "stream",
]

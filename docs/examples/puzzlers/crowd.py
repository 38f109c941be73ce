"""Many clients at once, in virtual time: requests at a fixed rate, whatever comes back. Used by `votes` and
`offices_throttled`; the limits are those of a partition, made small, so that a laptop can reach them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from meter import SECOND_NS, Body, Database, Simulated

from dynalab_impl.effects import Limits

PARTITIONS = 64
THROTTLED = "ThrottlingException"


@dataclass(slots=True)
class Crowd:
    """What became of the requests of a crowd."""

    sent: int = 0
    served: int = 0
    throttled: int = 0


def throttled_service(*, read: int, write: int) -> tuple[Simulated, Database]:
    """A service whose partitions take so many units a second. Its nodes take what their partitions take."""
    limits = Limits(partition_read=read, partition_write=write, node_partitions=PARTITIONS)
    service = Simulated(partitions=PARTITIONS, limits=limits)
    return service, Database(service)


def gather(service: Simulated, seconds: int, rate: int, request: Callable[[int], tuple[str, Body]]) -> Crowd:
    """Send `rate` requests a second, evenly; `request` makes each from its number."""
    crowd = Crowd()
    began_ns = service.simulation.now
    tokens = []
    for number in range(seconds * rate):
        service.simulation.run_until(began_ns + number * SECOND_NS // rate)
        tokens.append(service.send(*request(number)))
    service.run(SECOND_NS)
    service.wait(*tokens)
    for token in tokens:
        _, response = service.answers.pop(token)
        crowd.sent += 1
        crowd.served += response.status == 200
        crowd.throttled += response.error == THROTTLED
    assert crowd.served + crowd.throttled == crowd.sent
    return crowd

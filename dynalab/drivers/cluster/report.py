"""What a node says about itself on its control connection. Looking never changes anything.

Only what every replica shows is read here (spec, role, commit index, whether it leads), so the report stays true
however replicas keep their logs.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from time import monotonic
from typing import cast

from dynalab.drivers.cluster.links import Links
from dynalab.drivers.cluster.rules import Inside
from dynalab.drivers.cluster.state import Body
from dynalab.drivers.embedded import EmbeddedCluster
from dynalab_fault_injection.cluster import StorageNode
from dynalab_impl.effects import JSON, Address


@dataclass(slots=True)
class Report:
    """Answers of one process."""

    cluster: EmbeddedCluster
    links: Links
    me: Address
    inside: Inside
    began: float

    def status(self) -> Body:
        """Groups, links, and what the node told since its process began."""
        groups: list[JSON] = []
        for node in self.cluster.nodes():
            if isinstance(node, StorageNode):
                for name, replica in node.replicas.items():
                    spec = replica.spec
                    groups.append(
                        {
                            "group": name,
                            "table": spec.table,
                            "index": spec.index,
                            "role": "log replica" if replica.log_only else replica.role,
                            "leads": replica.is_leader,
                            "commit": replica.commit_index,
                            "members": [member.address.node for member in replica.members],
                            "members_slot": replica.members_slot,
                            "stands_for": {
                                member.address.node: member.stands_for.node
                                for member in replica.members
                                if member.stands_for is not None
                            },
                        }
                    )
        links: Body = {
            address.node: {
                "connected": out.connected,
                "messages": out.counters.messages,
                "dropped": out.counters.dropped,
                "cut": out.counters.cut,
            }
            for address, out in self.links.outbound.items()
        }
        received = self.links.received
        return {
            "node": self.me.node,
            "pid": os.getpid(),
            "incarnation": self.cluster.hosts[self.me].incarnation,
            "up_seconds": round(monotonic() - self.began, 3),
            "groups": groups,
            "links": links,
            "received": {"messages": received.messages, "refused": received.refused},
            "told": cast(JSON, dict(sorted(self.cluster.told.items()))),
            "hits": self.inside.hits(),
            "failures": cast(JSON, list(self.cluster.failures)),
        }

    def divisible(self, table: str) -> list[str]:
        """The table's partitions that this node leads and that hold something to divide, in order."""
        return sorted(
            group
            for node in self.cluster.nodes()
            if isinstance(node, StorageNode)
            for group, items in node.table_items(table).items()
            if node.replicas[group].is_leader and not node.replicas[group].spec.index and len(items) > 1
        )

    def digest(self, table: str) -> Body:
        """For each group of the table here: how many items, and a digest of them, for comparing replicas."""
        found: Body = {}
        for node in self.cluster.nodes():
            if isinstance(node, StorageNode):
                for group, items in node.table_items(table).items():
                    digest = hashlib.sha256()
                    for key in sorted(items):
                        digest.update(key + b"\0" + json.dumps(items[key], sort_keys=True).encode() + b"\0")
                    found[group] = {"items": len(items), "digest": digest.hexdigest()[:16]}
        return {"node": self.me.node, "groups": found}

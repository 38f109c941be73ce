"""Workloads: seeded clients that write down what they asked and what they heard, and retry under a token alone."""

from collections.abc import Callable

from dynalab_fault_injection.workloads.actor import Actor, Call, Workload
from dynalab_fault_injection.workloads.bank import Bank
from dynalab_fault_injection.workloads.blind import Blind
from dynalab_fault_injection.workloads.hot_key import HotKey
from dynalab_fault_injection.workloads.index import Index
from dynalab_fault_injection.workloads.index_churn import IndexChurn
from dynalab_fault_injection.workloads.local_index import LocalIndex
from dynalab_fault_injection.workloads.pages import Pages
from dynalab_fault_injection.workloads.recorder import Recorder
from dynalab_fault_injection.workloads.register import Register
from dynalab_fault_injection.workloads.stream import Stream
from dynalab_fault_injection.workloads.transact import Transact
from dynalab_fault_injection.workloads.ttl import Ttl

WORKLOADS: dict[str, Callable[[], Workload]] = {
    "register": Register,
    "index": Index,
    "pages": Pages,
    "hot-key": HotKey,
    "local-index": LocalIndex,
    "index-churn": IndexChurn,
    "transact": Transact,
    "bank": Bank,
    "blind": Blind,
    "stream": Stream,
    "ttl": Ttl,
}

__all__ = [
    "WORKLOADS",
    "Actor",
    "Call",
    "HotKey",
    "Index",
    "LocalIndex",
    "Pages",
    "Recorder",
    "Register",
    "Transact",
    "Workload",
]

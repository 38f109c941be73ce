"""The trace's lines, and what the simulator writes out for speed: it must say what the slow way says."""

from __future__ import annotations

from ast import literal_eval
from random import Random

from dynalab_fault_injection.implementation import implementation_format
from dynalab_fault_injection.simulator import Simulation
from dynalab_fault_injection.simulator.disk import Disk
from dynalab_fault_injection.simulator.trace import line
from dynalab_fault_injection.workloads.recorder import Recorder
from dynalab_impl.effects import layout
from dynalab_impl.partition import StoredItem
from dynalab_impl.plain import fingerprint
from dynalab_impl.records import CommittedUpTo
from dynalab_impl.service import make_node
from dynalab_model.events import Event

ODD = 'it\'s "ö"\n'


def a_simulation() -> Simulation:
    return Simulation(1, layout(nodes_per_zone=1, routers=1), make_node, implementation_format())


def test_what_is_told_is_hashed_as_the_text_of_a_flat_tuple_whatever_it_says() -> None:
    simulation = a_simulation()
    for event in (Event("committed", "t/0", 3, 17), Event("transaction-begun", ODD, detail=ODD)):
        simulation._on_tell(2, event)
        assert simulation.trace.pending[-1] == ascii((0, 2, *event)) == line(0, 2, *event)


def test_what_clients_saw_is_hashed_as_names_and_values_in_turn() -> None:
    simulation = a_simulation()
    call = Recorder(simulation).invoke(4, "cas", ODD, "c1", {"value": [1, None], "found": None, "note": ODD})
    flat = ["index", 0, "time", 0, "process", 4, "type", "invoke", "f", "cas", "key", ODD, "value", "[1, None]"]
    flat += ["found", None, "note", ODD, "session", "c1"]
    assert simulation.trace.pending[-1] == ascii(tuple(flat))
    assert list(call) == flat[::2]


def test_every_step_of_a_run_is_a_line_that_reads_as_a_tuple_of_plain_values() -> None:
    simulation = a_simulation()
    simulation.start()
    simulation.run_until(1_500_000_000)
    lines = list(simulation.trace.pending)
    assert len(lines) > 100
    for text in lines:
        entry = literal_eval(text)
        assert isinstance(entry, tuple) and ascii(entry) == text


def test_a_disk_that_was_opened_twice_holds_the_frames_that_it_would_frame_anew() -> None:
    disk = Disk(implementation_format(), "m")
    for slot in range(1, 6):
        disk.append(CommittedUpTo("g", slot))
    disk.sync(3)
    disk.crash(Random(1))
    records = disk.open()
    assert len(records) >= 3
    assert disk._frames == [disk._framed(at) for at in range(len(records))]


def test_what_was_weighed_is_the_same_state_as_what_was_not() -> None:
    item = StoredItem({"pk": {"S": "ab"}}, 1, 2)
    before = fingerprint(item, 0)
    assert item.size_bytes == 4
    assert fingerprint(item, 0) == before
    item.pack()
    assert item.size_bytes == 4

"""A small cluster of real processes, handled as an operator would; its data outlives all of it."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.clusters import Up, command, processes_of, quick, up

pytestmark = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc")

SMALL = ("--nodes-per-zone", "1", "--routers", "1", "--lab")
NODES = ("n1", "n2", "n3", "router1")


def until(what: Callable[[], bool], seconds_max: float = 10.0) -> None:
    give_up = time.monotonic() + seconds_max
    while not what():
        assert time.monotonic() < give_up, "it did not come true"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("small") / "data", *SMALL) as small:
        client = small.client()
        client.create_table(
            TableName="kept",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
        until(lambda: client.describe_table(TableName="kept")["Table"]["TableStatus"] == "ACTIVE")
        yield small


def put(cluster: Up, key: str) -> None:
    cluster.client(attempts=8).put_item(TableName="kept", Item={"pk": {"S": key}})


def has(cluster: Up, key: str) -> bool:
    answer = cluster.client(attempts=8).get_item(TableName="kept", Key={"pk": {"S": key}}, ConsistentRead=True)
    return "Item" in answer


def fault(cluster: Up, **request: object) -> tuple[int, dict[str, Any]]:
    body = json.dumps(request).encode()
    asked = urllib.request.Request(
        cluster.urls[0] + "/_dynalab/faults", body, {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_status_shows_every_process_and_who_leads(cluster: Up) -> None:
    found = cluster.status()
    assert [(node["node"], node["state"]) for node in found["nodes"]] == [(name, "up") for name in NODES]
    assert found["zones"] == ["z1", "z2", "z3"] and found["endpoints"] == cluster.urls
    assert sorted(node["pid"] for node in found["nodes"]) == processes_of(cluster.data)
    assert len(found["groups"]) == 5, "the catalog and four partitions"
    assert all(group["leader"] in NODES and set(group["lag"]) == {"n1", "n2", "n3"} for group in found["groups"])
    table = cluster("status").out
    assert "catalog" in table and "router1" in table and cluster.urls[0] in table


def test_a_second_up_on_the_same_directory_is_refused_in_one_line_and_harms_nothing(cluster: Up) -> None:
    before = processes_of(cluster.data)
    again = quick("cluster", "up", "--data", cluster.data)
    assert (again.code, again.out) == (64, "")
    assert again.err.count("\n") == 1 and "is up (4 processes)" in again.err
    assert processes_of(cluster.data) == before
    assert stat.S_IMODE(os.stat(Path(cluster.data, "token")).st_mode) == 0o600


@pytest.mark.claim("S23")
def test_what_was_acknowledged_survives_kill_9_of_the_leader(cluster: Up) -> None:
    put(cluster, "before the kill")
    leader = cluster.status()["groups"][-1]["leader"]
    old_pid = cluster.node(leader)["pid"]
    assert cluster("kill", leader).code == 0
    assert cluster.node(leader)["state"] == "down"
    assert cluster("kill", leader).code == 64
    put(cluster, "while it is dead")
    assert has(cluster, "before the kill")
    assert cluster("restart", leader).code == 0
    assert cluster("restart", leader).err == f"dynalab cluster: {leader} runs; `kill` it first\n"
    assert cluster.node(leader)["pid"] != old_pid
    assert has(cluster, "while it is dead")


def test_a_planned_stop_hands_over_and_the_node_comes_back_with_restart(cluster: Up) -> None:
    put(cluster, "before the planned stop")
    leader = cluster.status()["groups"][-1]["leader"]
    led = [group["group"] for group in cluster.status()["groups"] if group["leader"] == leader]
    assert cluster("stop", leader).code == 0
    assert cluster.node(leader)["state"] == "down"
    assert cluster("stop", leader).err == f"dynalab cluster: {leader} is down\n"

    def others_lead() -> bool:
        now = {group["group"]: group["leader"] for group in cluster.status()["groups"]}
        return all(now[name] not in (None, leader) for name in led)

    until(others_lead, 1.5)  # who waits for an election and for the old lease takes longer than that
    assert has(cluster, "before the planned stop")
    assert cluster("restart", leader).code == 0
    until(lambda: cluster.node(leader)["state"] == "up")


@pytest.mark.claim("S34")
def test_a_split_divides_partitions_while_they_are_read(cluster: Up) -> None:
    keys = [f"before the split {number}" for number in range(24)]
    for key in keys:
        put(cluster, key)
    until(lambda: all(group["leader"] for group in cluster.status()["groups"]))
    before = {group["group"] for group in cluster.status()["groups"] if group["table"] == "kept"}
    one = sorted(before)[0]
    assert cluster("split", "kept", "--group", one).out == f"{one} → {one}.0, {one}.1\n"
    assert all(has(cluster, key) for key in keys)
    until(lambda: one not in {group["group"] for group in cluster.status()["groups"]})  # everybody has the halves
    assert cluster("split", "kept", "--group", one).code == 64
    assert cluster("split", "no-such-table").err.startswith("dynalab cluster: 'no-such-table' has no partition that")


def test_a_paused_node_is_told_apart_from_a_dead_one_and_goes_on(cluster: Up) -> None:
    assert cluster("pause", "n2").code == 0
    assert cluster.node("n2")["state"] == "paused"
    assert cluster("resume", "n2").code == 0
    until(lambda: cluster.node("n2")["state"] == "up")


def links(cluster: Up, source: str) -> dict[str, bool]:
    from dynalab.drivers.cluster.control import ask
    from dynalab.drivers.cluster.state import Directory

    directory = Directory(cluster.data)
    report = ask(directory.load().places[source].control_port or 0, directory.token(), "status")
    found: Any = report["links"]
    return {name: link["connected"] for name, link in found.items()}


def test_a_one_way_cut_closes_one_connection_until_healed_also_over_a_restart(cluster: Up) -> None:
    until(lambda: all(links(cluster, "n1").values()) and all(links(cluster, "n3").values()))
    assert cluster("cut", "n1", "n3", "--one-way").out == "1 links cut\n"
    until(lambda: not links(cluster, "n1")["n3"])
    assert links(cluster, "n3")["n1"] and links(cluster, "n1")["n2"]
    assert cluster("kill", "n1").code == 0 and cluster("restart", "n1").code == 0
    assert not links(cluster, "n1")["n3"], "a node that restarts is as cut off as it was"
    assert cluster.status()["cuts"] == [["n1", "n3"]]
    assert cluster("heal").code == 0
    until(lambda: links(cluster, "n1")["n3"])
    assert cluster.status()["cuts"] == []


@pytest.mark.claim("S23")
def test_a_wiped_node_comes_back_under_a_new_incarnation_and_a_second_disk_is_protected(cluster: Up) -> None:
    put(cluster, "before the disk was lost")
    until(lambda: all(group["leader"] for group in cluster.status()["groups"]))
    assert cluster("wipe", "n3").code == 0
    refused = cluster("wipe", "n2")
    assert refused.code == 64 and "one too many" in refused.err
    assert cluster("restart", "n3").code == 0
    assert cluster.node("n3")["incarnation"] == 2
    until(lambda: all(group["roles"].get("n3") == "follower" for group in cluster.status()["groups"]), 20)
    assert has(cluster, "before the disk was lost")


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux' prlimit to make a disk refuse")
def test_a_node_whose_disk_is_full_ends_its_process_and_nothing_is_lost(cluster: Up) -> None:
    follower = next(name for name in ("n1", "n2", "n3") if cluster.node(name)["leads"] < 5)
    home = Path(cluster.data) / "nodes" / follower
    full_bytes = max(segment.stat().st_size for segment in home.glob("*/segment-*.log"))
    resource.prlimit(cluster.node(follower)["pid"], resource.RLIMIT_FSIZE, (full_bytes, full_bytes))
    for number in range(8):  # some of them to a partition of each leader
        put(cluster, f"beside a broken disk {number}")
    until(lambda: cluster.node(follower)["state"] == "down")
    assert "a sync failed" in (home / "node.log").read_text()
    assert cluster("restart", follower).code == 0
    assert all(has(cluster, f"beside a broken disk {number}") for number in range(8))


def test_the_lab_breaks_processes_in_the_usual_words(cluster: Up) -> None:
    pids = {node["node"]: node["pid"] for node in cluster.status()["nodes"]}
    status, entry = fault(cluster, fault="kill-leader", table="kept", restart_ms=100)
    assert (status, entry["hits"], entry["active"]) == (200, 1, True)
    victim = entry["node"]
    until(lambda: cluster.node(victim)["state"] == "up" and cluster.node(victim)["pid"] != pids[victim])

    assert fault(cluster, fault="throttle", operation="PutItem", table="kept")[0] == 200
    client = cluster.client()
    with pytest.raises(client.exceptions.ProvisionedThroughputExceededException):
        client.put_item(TableName="kept", Item={"pk": {"S": "throttled"}})

    status, entry = fault(cluster, fault="delay", delay_ms=60)
    assert status == 200
    put(cluster, "slowly")
    began = time.monotonic()
    put(cluster, "slowly")
    assert time.monotonic() - began > 0.2, "router to leader to follower and back: four messages of 60 ms"
    shown = quick("fault", "--url", cluster.urls[0], "--json")
    (listed,) = [one for one in json.loads(shown.out)["faults"] if one["fault"] == "delay"]
    assert listed["hits"] > 4

    assert fault(cluster, fault="no-such-fault")[0] == 400
    status, refused = fault(cluster, fault="loss", percent=101)
    assert status == 400 and refused["error"] == "loss: percent lies between 1 and 100"
    assert fault(cluster, fault="node-crash", node="router1")[0] == 400
    status, healed = fault(cluster, fault="heal")
    assert status == 200 and all(node["up"] for node in healed["nodes"])
    assert not any(one["active"] for one in healed["faults"])
    assert cluster.status()["faults"] == []


def test_everything_is_there_after_down_and_up_and_nothing_ran_in_between(cluster: Up) -> None:
    put(cluster, "before the night")
    data = Path(cluster.data)
    assert cluster("pause", "n2").code == 0  # one that is paused goes down like the others
    put(cluster, "while one is paused")
    assert quick("cluster", "down", "--data", cluster.data).out == "4 processes ended\n"
    assert processes_of(data) == []
    assert sorted(path.name for path in data.iterdir()) == ["cluster.json", "lock", "nodes"], "no run file is left"
    assert quick("cluster", "down", "--data", cluster.data).out == "nothing ran\n"
    assert cluster("kill", "n1").err == "dynalab cluster: n1 is down\n"
    assert cluster("restart", "n1").code == 64

    (data / "aside").mkdir()
    shutil.move(data / "cluster.json", data / "aside")
    lost = quick("cluster", "up", "--data", cluster.data)
    assert lost.code == 65 and "holds nodes but no cluster.json" in lost.err
    shutil.move(data / "aside" / "cluster.json", data)

    wrong = quick("cluster", "up", "--data", cluster.data, "--nodes-per-zone", "2")
    assert wrong.code == 64 and "was made for 3 storage nodes and 1 routers" in wrong.err

    again = command("cluster", "up", "--data", cluster.data, "--lab")
    assert again.code == 0, again.err
    assert again.out == f"listening on {cluster.urls[0]}\n", "routers take their ports back"
    assert has(cluster, "before the night") and has(cluster, "while one is paused")


@pytest.mark.claim("S23")
def test_after_kill_9_of_everything_the_stale_file_is_no_obstacle_and_its_pids_are_not_touched(cluster: Up) -> None:
    put(cluster, "before the power went")
    data, pids = Path(cluster.data), processes_of(cluster.data)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)  # the file still names processes
    until(lambda: processes_of(data) == [])
    content = json.loads((data / "cluster.json").read_text())
    for place in content["places"]:
        place["process"]["pid"] = os.getpid()  # and their pids were given to somebody else: to us
    (data / "cluster.json").write_text(json.dumps(content))
    assert {node["state"] for node in cluster.status()["nodes"]} == {"down"}
    assert cluster("pause", "n1").err == "dynalab cluster: n1 is down\n"
    again = quick("cluster", "up", "--data", cluster.data, "--lab")
    assert again.code == 0, again.err
    assert len(processes_of(data)) == 4 and not set(processes_of(data)) & set(pids)
    assert has(cluster, "before the power went")


@pytest.mark.claim("S140")
def test_a_log_replica_takes_the_seat_of_a_dead_node_until_that_one_is_back(tmp_path: Path) -> None:
    with up(tmp_path / "data", "--nodes-per-zone", "2", "--routers", "1", "--partitions", "1") as cluster:
        (catalog,) = cluster.status()["groups"]
        victim = next(name for name in catalog["members"] if name != catalog["leader"])
        assert cluster("kill", victim).code == 0

        def seats() -> tuple[list[str], bool]:
            """The log replicas that are members, and whether the victim is one."""
            (group,) = cluster.status()["groups"]
            logs = [name for name in group["members"] if group["roles"].get(name) == "log replica"]
            return logs, victim in group["members"]

        until(lambda: seats()[0] != [] and not seats()[1])
        assert "log replica" in cluster("status").out
        assert cluster("restart", victim).code == 0
        until(lambda: seats() == ([], True), 20)


# --- starting and not starting ----------------------------------------------------------------------------------------


def test_a_port_that_is_taken_starts_nothing(tmp_path: Path) -> None:
    from dynalab.drivers.cluster.process import listen

    with listen(None, exact=False) as taken:
        port = taken.getsockname()[1]
        refused = quick("cluster", "up", "--data", str(tmp_path / "c"), *SMALL, "--port-base", str(port))
    assert refused.code == 65
    assert refused.err.count("\n") == 1 and "in use" in refused.err
    assert processes_of(tmp_path / "c") == []


def test_a_starter_that_is_killed_leaves_no_process_behind(tmp_path: Path) -> None:
    data = tmp_path / "c"
    starter = subprocess.Popen(
        [sys.executable, "-m", "dynalab", "cluster", "up", "--data", str(data), *SMALL],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: len(processes_of(data)) >= 2)
    starter.kill()  # its nodes have not been told to go yet
    starter.wait()
    until(lambda: processes_of(data) == [])


def test_a_malformed_cluster_file_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_text("{")
    for words in (("up",), ("down",), ("status",), ("kill", "n1"), ("heal",)):
        told = quick("cluster", *words, "--data", str(tmp_path))
        assert told.code in (64, 65) and told.err.count("\n") == 1 and "Traceback" not in told.err, words
    assert quick("cluster", "up", "--data", str(tmp_path)).code == 65

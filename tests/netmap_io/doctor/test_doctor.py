"""The doctor: what it says of machines that a test can make, with and without privileges."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from netmap_io.doctor import af_xdp, interfaces, machine, netdev
from netmap_io.doctor.ethtool import Card, ask
from netmap_io.doctor.finding import Finding, State, read_text

DOCTOR = [sys.executable, "-c", "from netmap_io.cli.main import run; run()", "doctor"]


def examined(*before: str) -> list[dict[str, str]]:
    done = subprocess.run([*before, *DOCTOR, "--json"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def by_name(found: list[dict[str, str]], subject: str) -> dict[str, dict[str, str]]:
    return {each["name"]: each for each in found if each["subject"] == subject}


def test_everything_is_looked_at_and_what_is_not_good_has_advice_or_a_reason():
    found = examined()
    names = by_name(found, "machine")
    assert {"kernel", "AF_PACKET", "AF_XDP", "tap", "netmap", "IOMMU", "huge pages", "locked memory"} <= set(names)
    assert "link" in by_name(found, "lo")
    for each in found:
        assert each["state"] in ("good", "limited", "absent", "unknown")
        assert each["fact"] and "\n" not in each["fact"] + each["advice"]
        assert each["advice"] or each["state"] in ("good", "unknown")


def test_without_privileges_it_says_so_and_what_to_do():
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    drop = ["--bounding-set", "-all", "--inh-caps", "-all"] if os.geteuid() == 0 else []
    names = by_name(examined("setpriv", *drop, "--no-new-privs"), "machine")
    assert names["CAP_NET_RAW"]["state"] == "limited"
    assert names["AF_PACKET"] == {
        "subject": "machine",
        "name": "AF_PACKET",
        "state": "absent",
        "fact": "not permitted (tried)",
        "advice": "run as root, or give CAP_NET_RAW",
    }
    assert names["AF_XDP"]["state"] == "absent"


if os.geteuid() == 0:

    def test_a_namespace_of_its_own_with_a_veth_pair():
        script = (
            "ip link add near type veth peer name far && ip link set near up && ip link set far up && "
            'ip link set far mtu 9000 && exec "$@"'
        )
        found = examined("unshare", "-n", "bash", "-c", script, "bash")
        near, far = by_name(found, "near"), by_name(found, "far")
        assert {each["subject"] for each in found} == {"machine", "lo", "near", "far"}
        assert near["link"]["fact"].startswith("up, MTU 1500, driver veth, MAC ")
        assert "MTU 9000" in far["link"]["fact"]
        assert "bound in copy mode (tried)" in near["AF_XDP"]["fact"]
        assert near["tx-checksum"]["advice"] == "ethtool -K near tx off"
        assert by_name(found, "lo")["link"]["advice"] == "ip link set lo up"

    def test_binding_leaves_nothing_behind():
        index = socket.if_nametoindex("lo")
        for _ in range(3):  # a socket that was kept would make the queue busy
            assert af_xdp.try_copy_mode(index) == 0
        assert af_xdp.try_copy_mode(1 << 30) == errno.ENODEV


def test_interfaces_are_what_the_kernel_says():
    for interface in interfaces.interfaces():
        assert socket.if_nametoindex(interface.name) == interface.index
        if interface.ethernet and interface.name != "lo":
            address = read_text(f"/sys/class/net/{interface.name}/address")
            assert interface.mac == address
            assert str(interface.mtu) == read_text(f"/sys/class/net/{interface.name}/mtu")


def test_a_card_that_is_not_there_tells_nothing():
    assert ask("nowhere0") == Card()
    assert ask("x" * 40) == Card()


def test_offloads_that_can_be_switched_off_say_how():
    interface = interfaces.Interface(name="e0", index=9, mac=None, mtu=1500, state="up", ethernet=True, driver=None)
    card = Card(features={"rx-gro": (True, True), "rx-lro": (True, False), "tx-checksum-ipv4": (False, True)})
    found = {each.name: each for each in interfaces._offloads(interface, card)}
    assert set(found) == {"rx-gro", "rx-lro"}
    assert found["rx-gro"].advice == "ethtool -K e0 gro off"
    assert found["rx-lro"].advice == "it cannot be switched off here"
    (quiet,) = interfaces._offloads(interface, Card(features={"rx-gro": (False, True)}))
    assert quiet.state is State.GOOD
    (silent,) = interfaces._offloads(interface, Card())
    assert silent.state is State.UNKNOWN


@pytest.mark.parametrize("number", [errno.EPERM, errno.EAFNOSUPPORT, errno.ENETDOWN, errno.EBUSY, errno.EINVAL])
def test_each_refusal_of_af_xdp_has_its_advice(number, monkeypatch):
    monkeypatch.setattr(af_xdp, "try_copy_mode", lambda index: number)
    interface = interfaces.Interface(name="e0", index=9, mac=None, mtu=1500, state="up", ethernet=True, driver=None)
    found = interfaces._xdp(interface, {9: netdev.BASIC}, 0)
    assert found.state is State.ABSENT
    assert os.strerror(number).lower() in found.fact
    assert found.advice
    monkeypatch.setattr(af_xdp, "try_copy_mode", lambda index: 0)
    assert interfaces._xdp(interface, {9: netdev.BASIC | netdev.ZERO_COPY}, 0).state is State.GOOD
    assert "generic mode only" in interfaces._xdp(interface, {9: 0}, 0).fact
    assert "does not tell" in interfaces._xdp(interface, None, 0).fact


def test_virtual_functions_and_queues(monkeypatch, tmp_path):
    interface = interfaces.Interface(name="e0", index=9, mac=None, mtu=1500, state="up", ethernet=True, driver=None)
    monkeypatch.setattr(interfaces, "_sysfs", lambda given: str(tmp_path))
    assert interfaces._virtual_functions(interface) == []
    (tmp_path / "device").mkdir()
    (tmp_path / "device" / "sriov_totalvfs").write_text("8\n")
    (tmp_path / "device" / "sriov_numvfs").write_text("0\n")
    (found,) = interfaces._virtual_functions(interface)
    assert (found.fact, "netmap-io sriov apply --interface e0" in found.advice) == (
        "0 of at most 8 virtual functions made",
        True,
    )
    (tmp_path / "queues").mkdir()
    for name in ("rx-0", "rx-1", "tx-0"):
        (tmp_path / "queues" / name).mkdir()
    (queues,) = interfaces._queues(interface, Card())
    assert queues.fact == "2 receive (from sysfs)"
    card = Card(queues=4, most_queues=8, receive_slots=(256, 4096))
    told = {each.name: each for each in interfaces._queues(interface, card)}
    assert told["queues"].advice.startswith("ethtool -L e0 combined 1")
    assert told["ring"].advice.startswith("ethtool -G e0 rx 4096")


def test_netlink_answers_are_taken_apart():
    octets = struct.pack("=HHI", 8, 1, 7) + struct.pack("=HHQ", 12, 3, 11) + struct.pack("=HH", 3, 9)
    assert netdev._attributes(octets) == {1: bytes([7, 0, 0, 0]), 3: bytes([11] + [0] * 7)}
    features = netdev.xdp_features()
    if features is not None:
        assert features.keys() <= {index for index, _ in socket.if_nameindex()}


def test_old_kernels_and_small_limits_are_told(monkeypatch):
    monkeypatch.setattr(machine.platform, "release", lambda: "4.19.0-21-amd64")
    assert machine._kernel().state is State.LIMITED
    monkeypatch.setattr(machine.platform, "release", lambda: "6.1-rc2")
    assert machine._version() == (6, 1)
    monkeypatch.setattr(machine.resource, "getrlimit", lambda which: (64 << 10, 64 << 10))
    monkeypatch.setattr(machine, "capabilities", set)
    limits = {each.name: each for each in machine._memory()}
    assert (limits["locked memory"].state, limits["locked memory"].fact) == (State.LIMITED, "at most 64 KiB")
    monkeypatch.setattr(machine, "read_text", lambda path: "212992")
    assert machine._receive_buffer().advice.startswith("sysctl net.core.rmem_max=")


def test_findings_are_plain_data():
    finding = Finding(subject="machine", name="x", state=State.GOOD, fact="y")
    assert json.loads(json.dumps(finding.to_dict()))["state"] == "good"
    assert read_text("/proc/none") is None
    assert Path("/proc/self/status").exists()

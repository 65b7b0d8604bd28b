"""Frames over a veth pair, from one end to the other: our ring ports against sockets in C, in Python, and scapy.

    python benchmarks/link_rings.py [--json] [--write] [--no-peers] [--wall]

Needs root, ip and cc; dpdk-testpmd (Debian: dpdk-dev) takes part where it is installed.  One thread sends a burst and
receives it again before the next.  The veth pair lies in a network namespace of its own, which goes with this process.
The peer in C (c/mmsg.c) is built here.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import harness

from netmap_io import Burst, Port, open_port
from netmap_io.burst import ETHERNET

HERE = Path(__file__).resolve().parent
HEAD = bytes.fromhex("0200000000020200000000018888")
UNIT = "Mframe/s"
PEER_SECONDS = 2.0
LOST_AFTER = 2.0


def links() -> Any:
    """tests/netmap_io/links.py, which makes the veth pair."""
    path = HERE.parent / "tests" / "netmap_io" / "links.py"
    spec = importlib.util.spec_from_file_location("netmap_io_links", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def through(near: Port, far: Port, burst: Burst, at_once: int, lend: bool) -> Callable[[], None]:
    """Send all of `burst`, `at_once` frames at a time, and receive it; copied or lent."""
    parts = [burst[first : first + at_once] for first in range(0, len(burst), at_once)]

    def call() -> None:
        for part in parts:
            left = len(part)
            rest = part
            while len(rest):
                sent = near.send(rest)
                rest = rest[sent:]
            while left:
                if lend:
                    with far.lend(left, LOST_AFTER) as lent:
                        got = len(lent)
                else:
                    got = len(far.receive(left, LOST_AFTER))
                if not got:
                    raise SystemExit(f"{left} frames were lost")
                left -= got

    return call


def ours(pair: Any, scheme: str, octets: int, *, frames: int, at_once: int, lend: bool) -> float:
    burst = Burst.of([HEAD.ljust(octets, b"x")] * frames, link_types=ETHERNET)
    driver, _, options = scheme.partition("?")
    with open_port(f"{driver}:{pair.near}?{options}") as near, open_port(f"{driver}:{pair.far}?{options}") as far:
        measured = harness.measure(through(near, far, burst, at_once, lend), len(burst), seconds=2)
        return measured.rate / 1e6


def build_peer() -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        raise harness.PeerError("needs cc")
    program = harness.cache() / "mmsg"
    harness.run([compiler, "-O2", "-Wall", "-Wextra", "-o", str(program), str(HERE / "c" / "mmsg.c")], 60)
    return program


def in_c(batch: int) -> Callable[[Any, int], float]:
    """The loop in C with so many frames in a call: few stay in the cache, many are what a burst of ours is."""

    def call(pair: Any, octets: int) -> float:
        command = [str(build_peer()), pair.near, pair.far, str(octets), str(PEER_SECONDS), str(batch)]
        frames, processor, wall = map(float, harness.run(command, 60).split())
        return frames / (wall if os.environ.get(harness.WALL) else processor) / 1e6

    return call


def one_by_one(send: Callable[[bytes], Any], receive: Callable[[], Any], frame: bytes) -> float:
    def call() -> None:
        for _ in range(32):
            send(frame)
        for _ in range(32):
            receive()

    return harness.measure(call, 32, seconds=PEER_SECONDS, most=1_000_000).rate / 1e6


def by_python(pair: Any, octets: int) -> float:
    with (
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as near,
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as far,
    ):
        near.bind((pair.near, 0))
        far.bind((pair.far, 3))
        far.settimeout(LOST_AFTER)
        return one_by_one(near.send, lambda: far.recv(2048), HEAD.ljust(octets, b"x"))


def by_scapy(pair: Any, octets: int) -> float:
    from scapy.arch.linux import L2Socket
    from scapy.config import conf

    conf.ifaces.reload()
    near, far = L2Socket(iface=pair.near, promisc=False), L2Socket(iface=pair.far, promisc=False)
    try:
        return one_by_one(near.send, lambda: far.recv_raw(2048), HEAD.ljust(octets, b"x"))
    finally:
        near.close()
        far.close()


def by_testpmd(device: str) -> Callable[[Any, int], float]:
    """DPDK's generator: a core that sends flows into both ends and drops what comes.  It waits by turning round."""

    def call(_: Any, octets: int) -> float:
        program = shutil.which("dpdk-testpmd")
        if program is None:
            raise harness.PeerError("dpdk-testpmd is not installed")
        pair = links().VethPair()  # of its own, since it may leave a program on the interface
        try:
            with pair.inside():
                short = run_testpmd(program, pair, octets, device, 3)
                long = run_testpmd(program, pair, octets, device, 6)
        finally:
            pair.close()
        return (long[0] - short[0]) / (long[1] - short[1]) / 1e6  # without its start

    return call


def run_testpmd(program: str, pair: Any, octets: int, device: str, seconds: int) -> tuple[int, float]:
    """Frames that arrived, and seconds: of processor time, or on the wall."""
    command = ["timeout", "--signal=INT", str(seconds), program, "--no-huge", "-m", "512", "--no-pci", "--no-shconf"]
    command += ["--no-telemetry", "-l", "0,1"]
    for index, name in enumerate((pair.near, pair.far)):
        command += ["--vdev", f"net_{device}{index},iface={name}"]
    command += ["--", "--total-num-mbufs=8192", "--forward-mode=flowgen", "--stats-period=1", "--no-mlockall"]
    command += [f"--txpkts={octets + 4}"]  # it counts the check sequence
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    totals = re.findall(r"RX-total: *(\d+)", done.stdout)
    if not totals:
        raise harness.PeerError("dpdk-testpmd: " + (done.stderr.strip().splitlines() or ["no statistics"])[-1])
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return int(totals[-1]), wall if os.environ.get(harness.WALL) else processor


CASES = (
    ("AF_PACKET, copied", "packet", False, 2048, 2048),
    ("AF_PACKET, lent", "packet", True, 2048, 2048),
    ("AF_PACKET with transmit ring, copied", "packet?transmit_ring=4096", False, 2048, 2048),
    ("AF_PACKET with transmit ring, lent", "packet?transmit_ring=4096", True, 2048, 2048),
    ("AF_XDP driver copy, copied", "af_xdp?mode=driver", False, 2048, 128),
    ("AF_XDP driver copy, lent", "af_xdp?mode=driver", True, 2048, 128),
    ("AF_XDP generic, copied", "af_xdp?mode=generic", False, 2048, 512),
)
IN_C = "C, sendmmsg and recvmmsg"
PEERS: tuple[tuple[str, Callable[[Any, int], float]], ...] = (
    (f"{IN_C} of 64", in_c(64)),
    (f"{IN_C} of 1024", in_c(1024)),
    ("Python's sockets", by_python),
    ("scapy, raw octets", by_scapy),
    ("dpdk-testpmd, af_packet", by_testpmd("af_packet")),
    ("dpdk-testpmd, af_xdp", by_testpmd("af_xdp")),
)


def measured(pair: Any, octets: int, theirs: dict[str, tuple[float | None, str]]) -> list[harness.Row]:
    rows = []
    for name, scheme, lend, frames, at_once in CASES:
        rate = ours(pair, scheme, octets, frames=frames, at_once=at_once, lend=lend)
        case = f"{name}, {octets} octets"
        first = name == CASES[0][0]  # all peers beside it; C and the one of the same kind beside the others
        kind = scheme.partition("?")[0].removeprefix("af_")
        beside = {peer: told for peer, told in theirs.items() if first or peer.startswith(IN_C) or peer.endswith(kind)}
        own = [harness.Row(case, UNIT, rate, peer, value, note) for peer, (value, note) in beside.items()]
        rows += own or [harness.Row(case, UNIT, rate)]
    return rows


def build(arguments: argparse.Namespace) -> harness.Report:
    report = harness.Report(
        "Frames over a veth pair",
        "A burst is sent at one end and received at the other by the same thread; the time includes what the kernel "
        "does for both ends within it. Ours: `send` and `receive` or `lend` of a Port, bursts of 2048 frames (AF_XDP: "
        "512, in driver mode 128, since a veth then holds no more than 256). Peers: one packet socket "
        "each way; dpdk-testpmd --forward-mode=flowgen, which also makes its frames.",
    )
    pair = links().VethPair()
    try:
        with pair.inside():
            for octets in (60, 1514):
                theirs = {} if arguments.no_peers else peers(pair, octets)
                report.rows += measured(pair, octets, theirs)
    finally:
        pair.close()
    return report


def peers(pair: Any, octets: int) -> dict[str, tuple[float | None, str]]:
    found: dict[str, tuple[float | None, str]] = {}
    for name, call in PEERS:
        try:
            found[name] = (call(pair, octets), "")
        except (harness.PeerError, ImportError, OSError) as error:
            found[name] = (None, str(error))
        time.sleep(0.1)
    return found


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("only root may make network namespaces")
    harness.main(build, __doc__ or "")

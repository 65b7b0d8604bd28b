"""Frames over a veth pair, from one end to the other: our ring ports against sockets in C, in Python, and scapy.

    python benchmarks/link_rings.py [--json] [--write] [--no-peers] [--wall]

Needs root, ip and cc.  One thread sends a burst and receives it again before the next.  The veth pair lies in a network
namespace of its own, which goes with this process.  The peer in C (c/mmsg.c) is built here.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import socket
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


def in_c(pair: Any, octets: int) -> float:
    out = harness.run([str(build_peer()), pair.near, pair.far, str(octets), str(PEER_SECONDS)], 60)
    frames, processor, wall = map(float, out.split())
    return frames / (wall if os.environ.get(harness.WALL) else processor) / 1e6


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


CASES = (
    ("AF_PACKET, copied", "packet", False, 2048, 2048),
    ("AF_PACKET, lent", "packet", True, 2048, 2048),
    ("AF_PACKET with transmit ring, copied", "packet?transmit_ring=4096", False, 2048, 2048),
    ("AF_PACKET with transmit ring, lent", "packet?transmit_ring=4096", True, 2048, 2048),
    ("AF_XDP driver copy, copied", "af_xdp?mode=driver", False, 2048, 128),
    ("AF_XDP driver copy, lent", "af_xdp?mode=driver", True, 2048, 128),
    ("AF_XDP generic, copied", "af_xdp?mode=generic", False, 2048, 512),
)
PEERS: tuple[tuple[str, Callable[[Any, int], float]], ...] = (
    ("C, sendmmsg and recvmmsg", in_c),
    ("Python's sockets", by_python),
    ("scapy, raw octets", by_scapy),
)


def build(arguments: argparse.Namespace) -> harness.Report:
    report = harness.Report(
        "Frames over a veth pair",
        "A burst is sent at one end and received at the other by the same thread; the time includes what the kernel "
        "does for both ends within it. Ours: `send` and `receive` or `lend` of a Port, bursts of 2048 frames (AF_XDP: "
        "512, in driver mode 128, since a veth then holds no more than 256). Peers: one packet socket each way.",
    )
    pair = links().VethPair()
    try:
        with pair.inside():
            for octets in (60, 1514):
                theirs = {} if arguments.no_peers else peers(pair, octets)
                for name, scheme, lend, frames, at_once in CASES:
                    rate = ours(pair, scheme, octets, frames=frames, at_once=at_once, lend=lend)
                    case = f"{name}, {octets} octets"
                    rows = [harness.Row(case, UNIT, rate, peer, value, note) for peer, (value, note) in theirs.items()]
                    report.rows += rows or [harness.Row(case, UNIT, rate)]
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

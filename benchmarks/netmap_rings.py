"""Frames through netmap rings: our driver over the simulated kernel side, against a loop in C, and DPDK's ring driver.

    python benchmarks/netmap_rings.py [--json] [--write] [--no-peers] [--wall]

Needs cc; no module, no privilege.  dpdk-testpmd (Debian: dpdk-dev) takes part where it is installed.  The loop in C
(c/netmap_rings.c) is built here.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import harness

from netmap_io import Burst
from netmap_io.burst import ETHERNET
from netmap_io.drivers.netmap import NetmapPort, NetmapSimulation, forward

HERE = Path(__file__).resolve().parent
UNIT = "Mframe/s"
SLOTS = 1024
SECONDS = 1.0
HEAD = bytes.fromhex("0200000000020200000000018888")
CHILD = """
import sys
import numpy as np
from netmap_io import open_port
with open_port(sys.argv[1]) as port:
    print("ready", flush=True)
    total = 0
    while True:
        with port.lend(2048, 5) as burst:
            if not len(burst):
                break
            total += int(np.frombuffer(burst.buffer, dtype=np.uint8).sum(dtype=np.uint64))
    print(port.counters.received_frames, total)
"""


def pipe(simulation: NetmapSimulation, number: int) -> tuple[NetmapPort, NetmapPort]:
    sizes = (SLOTS, SLOTS)
    return tuple(NetmapPort(f"bench{end}{number}", device=simulation, slots=sizes) for end in "{}")  # type: ignore[return-value]


def frames_of(octets: int, count: int = SLOTS - 1) -> Burst:
    return Burst.of([HEAD.ljust(octets, b"x")] * count, [0] * count, link_types=ETHERNET)


def ring_to_burst_and_back(octets: int, lend: bool) -> float:
    """What came is sent again, so that each frame goes once from ring to Burst and once from Burst to ring."""
    near, far = pipe(NetmapSimulation(), 1)
    held = [frames_of(octets)]

    def call() -> None:
        for _ in range(16):
            if near.send(held[0]) != SLOTS - 1:
                raise SystemExit("the pipe had no room")
            if lend:
                with far.lend(SLOTS) as burst:
                    count = len(burst)
            else:
                held[0] = far.receive(SLOTS, 0)
                count = len(held[0])
            far.receive(1, 0)  # gives the slots back
            if count != SLOTS - 1:
                raise SystemExit("frames were lost")

    with near, far:
        return harness.measure(call, 16 * (SLOTS - 1), seconds=SECONDS).rate / 1e6


def swapping(octets: int) -> float:
    """Frames go round through two pipes of one region, and no octet is copied."""
    simulation = NetmapSimulation()
    a, b = pipe(simulation, 1)
    c, d = pipe(simulation, 2)
    count = SLOTS // 3  # as many again lie let go of in each ring, and are given back with the next sync

    def call() -> None:
        for _ in range(16):
            if forward(b, c).frames + forward(d, a).frames != 2 * count:
                raise SystemExit("frames were lost")

    with a, b, c, d:
        a.send(frames_of(octets, count))
        return harness.measure(call, 32 * count, seconds=SECONDS).rate / 1e6


def two_processes(octets: int) -> float:
    """Another process takes them lent and adds up their octets; by the wall, as both work at once."""
    simulation = NetmapSimulation()
    path = f"/proc/{os.getpid()}/fd/{simulation.fileno()}"
    size = f"transmit_slots={SLOTS}&receive_slots={SLOTS}"
    address = f"netmap:bench?pipe=1&end=slave&{size}&device=simulated&simulation={path}&busy_poll_us=1000"
    cores = os.sched_getaffinity(0)
    with NetmapPort("bench{1", device=simulation, slots=(SLOTS, SLOTS)) as near:
        command = [sys.executable, "-c", CHILD, address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            os.sched_setaffinity(child.pid, set(range(os.cpu_count() or 1)))
            try:
                assert child.stdout is not None
                child.stdout.readline()
                burst, begun, sent = frames_of(octets, 256), time.perf_counter(), 0
                while time.perf_counter() - begun < 2 * SECONDS:
                    taken = near.send(burst)
                    sent += taken
                    if not taken:
                        os.sched_yield()
                elapsed = time.perf_counter() - begun
            finally:
                near.flush()
                os.sched_setaffinity(0, cores)
            told = child.stdout.readline().split()
        each = sum(HEAD.ljust(octets, b"x"))
        if list(map(int, told)) != [sent, sent * each]:
            raise SystemExit(f"{sent} frames were sent, {told} came")
    return sent / elapsed / 1e6


def in_c(how: str) -> Callable[[int], float]:
    def call(octets: int) -> float:
        compiler = shutil.which("cc")
        if compiler is None:
            raise harness.PeerError("needs cc")
        program = harness.cache() / "netmap_rings"
        source = HERE / "c" / "netmap_rings.c"
        harness.run([compiler, "-O2", "-Wall", "-Wextra", "-o", str(program), str(source)], 60)
        out = harness.run([str(program), str(octets), str(SECONDS), str(SLOTS), how], 60)
        frames, processor, wall = map(float, out.split())
        return frames / (wall if os.environ.get(harness.WALL) else processor) / 1e6

    return call


def by_testpmd(octets: int) -> float:
    """DPDK's ring driver: pointers to buffers go round one ring, and no octet is touched."""
    program = shutil.which("dpdk-testpmd")
    if program is None:
        raise harness.PeerError("dpdk-testpmd is not installed")
    short, long = run_testpmd(program, octets, 3), run_testpmd(program, octets, 5)
    return (long[0] - short[0]) / (long[1] - short[1]) / 1e6  # without its start


def run_testpmd(program: str, octets: int, seconds: int) -> tuple[int, float]:
    """Frames that arrived, and seconds: of processor time, or on the wall."""
    command = ["timeout", "--signal=INT", str(seconds), program, "--no-huge", "-m", "512", "--no-pci", "--no-shconf"]
    command += ["--no-telemetry", "-l", "0,1", "--vdev", "net_ring0", "--", "--total-num-mbufs=8192", "--no-mlockall"]
    command += ["--forward-mode=io", "--tx-first", "--stats-period=1", f"--txpkts={octets}"]
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    totals = re.findall(r"RX-total: *(\d+)", done.stdout)
    if not totals:
        raise harness.PeerError("dpdk-testpmd: " + (done.stderr.strip().splitlines() or ["no statistics"])[-1])
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return int(totals[-1]), wall if os.environ.get(harness.WALL) else processor


C_COPY = "C, copy, rings moved by hand"
C_PIPE = "C, copy, slots handed over as in a pipe"
C_SWAP = "C, swap, rings moved by hand"
DPDK = "dpdk-testpmd, net_ring, pointers only"
PEERS: tuple[tuple[str, Callable[[int], float]], ...] = (
    (C_COPY, in_c("copy")),
    (C_PIPE, in_c("pipe")),
    (C_SWAP, in_c("swap")),
    (DPDK, by_testpmd),
)
CASES: tuple[tuple[str, Callable[[int], float], tuple[str, ...]], ...] = (
    ("ring to Burst and back, copied", lambda octets: ring_to_burst_and_back(octets, False), (C_COPY, C_PIPE)),
    ("Burst to ring, lent at the other end", lambda octets: ring_to_burst_and_back(octets, True), (C_PIPE,)),
    ("ring to ring, buffers swapped", swapping, (C_COPY, C_SWAP, DPDK)),
    ("to another process, lent and summed", two_processes, ()),
)


def build(arguments: argparse.Namespace) -> harness.Report:
    report = harness.Report(
        "Frames through netmap rings",
        f"Pipes of {SLOTS} slots over the simulated kernel side, whose work is in our time; bursts of {SLOTS - 1}. "
        "Ours: `send`, `receive`, `lend` of a NetmapPort and `forward`, called from Python. In C: the same copies or "
        "swaps in arrays, no kernel side but where said. Two processes: on the wall, the payload summed by numpy.",
    )
    for octets in (60, 256, 1514):
        theirs: dict[str, tuple[float | None, str]] = {}
        for name, call in () if arguments.no_peers else PEERS:
            try:
                theirs[name] = (call(octets), "")
            except (harness.PeerError, OSError, subprocess.TimeoutExpired) as error:
                theirs[name] = (None, str(error))
        for name, own, beside in CASES:
            rate, case = own(octets), f"{name}, {octets} octets"
            rows = [harness.Row(case, UNIT, rate, peer, *theirs[peer]) for peer in beside if peer in theirs]
            report.rows += rows or [harness.Row(case, UNIT, rate)]
    return report


if __name__ == "__main__":
    harness.main(build, __doc__ or "")

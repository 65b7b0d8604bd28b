"""Frames through netmap rings: our driver over the simulated kernel side, against a loop in C, and DPDK's ring driver.

    python benchmarks/netmap_rings.py [--json] [--write] [--no-peers] [--wall]

Needs cc; no module, no privilege.  dpdk-testpmd (Debian: dpdk-dev) takes part where it is installed.  The programs in C
are built here: c/netmap_pipe.c, a netmap program under `netmap-io run`, and c/netmap_rings.c, bare loops over arrays.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import harness
import numpy as np

from netmap_io import Burst
from netmap_io.burst import ETHERNET
from netmap_io.drivers.netmap import NetmapPort, NetmapSimulation, forward

if TYPE_CHECKING:
    from typing_extensions import Buffer

HERE = Path(__file__).resolve().parent
UNIT = "Mframe/s"
SLOTS = 2048
BURST = 1023
SECONDS = 1.0
HEAD = bytes.fromhex("0200000000020200000000018888")
CHILD = """
import collections, json, sys
from netmap_io import open_port
import netmap_rings
with open_port(sys.argv[1]) as port:
    print("ready", flush=True)
    total, sizes = 0, collections.Counter()
    while True:
        with port.lend(2048, 5) as burst:
            if not len(burst):
                break
            total += netmap_rings.word_sum(burst.buffer)
            sizes[len(burst)] += 1
    print(json.dumps([total, list(sizes.items())]))
"""


def word_sum(octets: Buffer) -> int:
    """The sum of all octets as 64-bit words, the last of them padded; modulo 2**64."""
    whole = len(memoryview(octets)) // 8
    rest = bytes(memoryview(octets)[8 * whole :]).ljust(8, b"\0")
    words = np.frombuffer(octets, dtype=np.uint64, count=whole)
    return (int(words.sum()) + int.from_bytes(rest, sys.byteorder)) % 2**64


def pipe(simulation: NetmapSimulation, number: int) -> tuple[NetmapPort, NetmapPort]:
    sizes = (SLOTS, SLOTS)
    return tuple(NetmapPort(f"bench{end}{number}", device=simulation, slots=sizes) for end in "{}")  # type: ignore[return-value]


def frames_of(octets: int, count: int = BURST) -> Burst:
    return Burst.of([HEAD.ljust(octets, b"x")] * count, [0] * count, link_types=ETHERNET)


def ring_to_burst_and_back(octets: int, lend: bool) -> float:
    """What came is sent again, so that each frame goes once from ring to Burst and once from Burst to ring."""
    near, far = pipe(NetmapSimulation(), 1)
    held = [frames_of(octets)]

    def call() -> None:
        for _ in range(16):
            if near.send(held[0]) != BURST:
                raise SystemExit("the pipe had no room")
            if lend:
                with far.lend(SLOTS) as burst:
                    count = len(burst)
            else:
                held[0] = far.receive(SLOTS, 0)
                count = len(held[0])
            if count != BURST:
                raise SystemExit("frames were lost")

    with near, far:
        return harness.measure(call, 16 * BURST, seconds=SECONDS).rate / 1e6


def swapping(octets: int) -> float:
    """Frames go round through two pipes of one region, and no octet is copied."""
    simulation = NetmapSimulation()
    a, b = pipe(simulation, 1)
    c, d = pipe(simulation, 2)
    count = (
        SLOTS // 3
    )  # fewer than half: as many again lie let go of in each ring, and are given back with the next sync

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
    address = f"netmap:bench?pipe=1&end=slave&{size}&device=simulated&simulation={path}&busy_poll_us=50"
    cores = os.sched_getaffinity(0)
    with NetmapPort("bench{1", device=simulation, slots=(SLOTS, SLOTS)) as near:
        command = [sys.executable, "-c", CHILD, address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE) as child:
            os.sched_setaffinity(child.pid, set(range(os.cpu_count() or 1)))
            try:
                assert child.stdout is not None
                child.stdout.readline()
                burst, begun, sent = frames_of(octets, 256), time.perf_counter(), 0
                while time.perf_counter() - begun < 2 * SECONDS:
                    taken = near.send(burst)
                    sent += taken
                    if not taken:
                        near.wait_for_room(1)
                elapsed = time.perf_counter() - begun
            finally:
                near.flush()
                os.sched_setaffinity(0, cores)
            total, sizes = json.loads(child.stdout.readline())
        frame = HEAD.ljust(octets, b"x")
        came = sum(count * times for count, times in sizes)
        if came != sent or total != sum(times * word_sum(frame * count) for count, times in sizes):
            raise SystemExit(f"{sent} frames were sent, {came} came, or their octets differ")
    return sent / elapsed / 1e6


def built(name: str) -> str:
    """The program of c/`name`.c."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise harness.PeerError("needs cc")
    program, source = harness.cache() / name, HERE / "c" / f"{name}.c"
    harness.run([compiler, "-O2", "-Wall", "-Wextra", "-o", str(program), str(source)], 60)
    return str(program)


def in_c(how: str) -> Callable[[int], float]:
    return lambda octets: rate_told([built("netmap_rings"), str(octets), str(SECONDS), str(SLOTS), how])


def netmap_program(how: str) -> Callable[[int], float]:
    def call(octets: int) -> float:
        run = [str(Path(sys.executable).with_name("netmap-io")), "run", "--", built("netmap_pipe")]
        return rate_told([*run, str(octets), str(SECONDS), str(SLOTS), str(BURST), how])

    return call


def rate_told(command: list[str]) -> float:
    """Mframe/s of a program that prints frames, processor seconds and wall seconds."""
    frames, processor, wall = map(float, harness.run(command, 60).split())
    return frames / (wall if os.environ.get(harness.WALL) else processor) / 1e6


def without_kernel(rate: float | None, kernel: float | None) -> float | None:
    """The rate that is left when the kernel side's time for each frame is taken off."""
    return None if rate is None or kernel is None or kernel <= rate else 1 / (1 / rate - 1 / kernel)


def by_testpmd(*devices: str) -> Callable[[int], float]:
    """DPDK's own forwarder: what it receives from one device it sends to the next, until it is told to stop."""

    def call(octets: int) -> float:
        program = shutil.which("dpdk-testpmd")
        if program is None:
            raise harness.PeerError("dpdk-testpmd is not installed")
        with tempfile.TemporaryDirectory() as place:
            given = [device.format(socket=f"{place}/socket") for device in devices]
            short, long = run_testpmd(program, octets, 3, given), run_testpmd(program, octets, 5, given)
        return (long[0] - short[0]) / (long[1] - short[1]) / 1e6  # without its start

    return call


def run_testpmd(program: str, octets: int, seconds: int, devices: list[str]) -> tuple[int, float]:
    """Frames that arrived, and seconds: of processor time, or on the wall."""
    command = [
        "timeout",
        "--signal=INT",
        "--kill-after=10",
        str(seconds),
        program,
        "--no-huge",
        "-m",
        "512",
        "--no-pci",
    ]
    command += [f"--file-prefix=benchmark{os.getpid()}", "--no-telemetry", "-l", "0,1"]
    command += [word for device in devices for word in ("--vdev", device)]
    command += ["--", "--total-num-mbufs=8192", "--no-mlockall"]
    command += ["--forward-mode=io", "--tx-first", "--stats-period=1", f"--txpkts={octets}"]
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with open(os.devnull) as nothing:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, stdin=nothing)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    totals = re.findall(r"RX-total: *(\d+)", done.stdout)
    if not totals:
        raise harness.PeerError("dpdk-testpmd: " + (done.stderr.strip().splitlines() or ["no statistics"])[-1])
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    frames = sum(map(int, totals[: len(devices)]))  # one for each device, then their sum
    return frames, wall if os.environ.get(harness.WALL) else processor


C_NETMAP = "C, netmap program, same kernel side"
C_COPY = "C, copy, rings moved by hand"
C_SWAP = "C, swap, rings moved by hand"
MEMIF = "dpdk-testpmd, two memif ports"
DPDK = "dpdk-testpmd, net_ring, pointers only"
KERNEL = "the kernel side alone"
MEMIF_PAIR = (
    "net_memif0,role=server,id=0,socket={socket},socket-abstract=no",
    "net_memif1,role=client,id=0,socket={socket},socket-abstract=no,zero-copy=no",
)
PEERS: tuple[tuple[str, Callable[[int], float]], ...] = (
    (C_NETMAP, netmap_program("copy")),
    (KERNEL, netmap_program("sync")),
    (C_COPY, in_c("copy")),
    (C_SWAP, in_c("swap")),
    (MEMIF, by_testpmd(*MEMIF_PAIR)),
    (DPDK, by_testpmd("net_ring0")),
)
COPIED = "ring to Burst and back, copied"
CASES: tuple[tuple[str, Callable[[int], float], tuple[str, ...]], ...] = (
    (COPIED, lambda octets: ring_to_burst_and_back(octets, False), (C_NETMAP, MEMIF)),
    ("Burst to ring, lent at the other end", lambda octets: ring_to_burst_and_back(octets, True), ()),
    ("ring to ring, buffers swapped", swapping, (C_NETMAP, C_SWAP, DPDK)),
    ("to another process, lent and summed", two_processes, ()),
)
TEXT = (
    f"Pipes of {SLOTS} slots over the simulated kernel side; bursts of {BURST}. Ours is called from Python: `send`, "
    "`receive`, `lend` of a NetmapPort and `forward`, with all that they do for each burst; the kernel side's work "
    "(slots moved from ring to ring at each sync) is in our time. The netmap program in C copies as much and checks "
    "the same words, through the same system calls to the same kernel side (`netmap-io run`), whose time is in its "
    'time. "Without the kernel side" takes off, from both, what that program needs for the same syncs when it touches '
    "neither slots nor buffers; beside it stands also the bare loop in C over arrays, which has no kernel side, no "
    "system calls and no look at ring words. memif: the two ends of one link in one process, forwarding in bursts of "
    "32; each frame is copied into its ring and out of it, as ours is. net_ring passes pointers and touches no octet. "
    "Two processes: on the "
    "wall, each burst summed by numpy in words of 64 bits."
)


def build(arguments: argparse.Namespace) -> harness.Report:
    report = harness.Report("Frames through netmap rings", TEXT)
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
            if name == COPIED and theirs:
                report.rows += without_kernel_side(octets, rate, theirs)
    return report


def without_kernel_side(octets: int, rate: float, theirs: dict[str, tuple[float | None, str]]) -> list[harness.Row]:
    (kernel, trouble), (program, _), (bare, _) = (theirs[name] for name in (KERNEL, C_NETMAP, C_COPY))
    own = without_kernel(rate, kernel)
    if own is None:
        return [harness.Row(f"{COPIED}, without the kernel side, {octets} octets", UNIT, None, C_NETMAP, None, trouble)]
    case = f"{COPIED}, without the kernel side, {octets} octets"
    compared = ((C_NETMAP, without_kernel(program, kernel)), (C_COPY, bare))
    return [harness.Row(case, UNIT, own, *one, "") for one in compared]


if __name__ == "__main__":
    harness.main(build, __doc__ or "")

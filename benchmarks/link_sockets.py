"""Ports on sockets and shared memory: frames a second, against Python's own sockets and pipes and against scapy.

    python benchmarks/link_sockets.py [--write]

UDP: bursts of 256 frames sent and received over loopback by one process; processor time, the kernel's included.
Memory: one process sends, another receives and adds up every octet; the clock on the wall, both on cores of their own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import socket
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from harness import Report, Row, main, measure

from netmap_io import Burst, open_port
from netmap_io.drivers.shared_memory import SharedMemoryPort

FRAMES = 256
SIZES = (60, 1400)
MEMORY_SECONDS = 2.0
ROUNDS = 3
CORES = os.sched_getaffinity(0)


def expected_sum(burst: Burst) -> int:
    return int(np.frombuffer(burst.buffer, dtype=np.uint8).sum(dtype=np.uint64))


def burst_of(octets: int) -> Burst:
    return Burst.of([bytes([index % 256]) * octets for index in range(FRAMES)])


# UDP


def ours(octets: int, joined: str) -> float:
    """Frames a second of our ports; `joined`: gro and gso on or off."""
    far = open_port(f"udp:127.0.0.1:0?gro={joined}&receive_buffer_octets=16777216")
    near = open_port(f"udp:?peer=127.0.0.1:{far.local[1]}&gso={joined}&send_buffer_octets=16777216")
    burst = burst_of(octets)

    def carry() -> None:
        assert near.send(burst) == FRAMES
        got = 0
        while got < FRAMES:
            got += len(far.receive(FRAMES, 5))
        assert got == FRAMES

    with far, near:
        return measure(carry, FRAMES).rate


def pair_of_sockets() -> tuple[socket.socket, socket.socket]:
    far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
    far.bind(("127.0.0.1", 0))
    near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    near.connect(far.getsockname())
    return near, far


def by_python(octets: int) -> float:
    near, far = pair_of_sockets()
    frames = [bytes(frame) for frame in burst_of(octets)]

    def carry() -> None:
        for frame in frames:
            near.send(frame)
        for _ in frames:
            far.recv(2048)

    with near, far:
        return measure(carry, FRAMES).rate


def by_scapy(octets: int) -> float:
    from scapy.packet import Raw
    from scapy.supersocket import SimpleSocket

    near, far = pair_of_sockets()
    frames = [Raw(bytes(frame)) for frame in burst_of(octets)]

    def carry() -> None:
        for frame in frames:
            scapy_near.send(frame)
        for _ in frames:
            assert scapy_far.recv(2048) is not None

    with near, far:
        scapy_near, scapy_far = SimpleSocket(near), SimpleSocket(far)
        return measure(carry, FRAMES).rate


# memory between two processes


def add_up_port(descriptors: tuple[int, int, int, int], lend: bool, answer: Connection) -> None:
    os.sched_setaffinity(0, {max(CORES)})
    total = 0
    with SharedMemoryPort.attach(descriptors) as port:
        while not port.exhausted:
            if lend:
                with port.lend(4096, 1) as burst:
                    total += expected_sum(burst) if len(burst) else 0
            else:
                burst = port.receive(4096, 1)
                total += expected_sum(burst) if len(burst) else 0
    answer.send(total)


def add_up_pipe(pipe: Connection, answer: Connection) -> None:
    os.sched_setaffinity(0, {max(CORES)})
    total = 0
    while octets := pipe.recv_bytes():
        total += int(np.frombuffer(octets, dtype=np.uint8).sum(dtype=np.uint64))
    answer.send(total)


def add_up_socket(far: socket.socket, answer: Connection) -> None:
    os.sched_setaffinity(0, {max(CORES)})
    total = 0
    while octets := far.recv(2048):
        total += int(np.frombuffer(octets, dtype=np.uint8).sum(dtype=np.uint64))
    answer.send(total)


def run(target: Callable[..., None], arguments: tuple[Any, ...], send: Callable[[], int], burst: Burst) -> float:
    """Frames a second from the first sent to the sum received; the sum must be right."""
    context = multiprocessing.get_context("fork")
    ours_end, theirs_end = context.Pipe()
    process = context.Process(target=target, args=(*arguments, theirs_end))
    process.start()
    os.sched_setaffinity(0, {min(CORES)})
    started = time.perf_counter()
    frames = send()
    total = ours_end.recv()
    took = time.perf_counter() - started
    process.join(60)
    assert total * FRAMES == expected_sum(burst) * frames, "frames were lost or damaged"
    return frames / took


def memory_ours(octets: int, lend: bool) -> float:
    burst = burst_of(octets)
    port = SharedMemoryPort.create()
    descriptors = port.handover()

    def send() -> int:
        for descriptor in descriptors:
            os.close(descriptor)
        sent, at = 0, 0
        until = time.perf_counter() + MEMORY_SECONDS
        while time.perf_counter() < until or at:
            count = port.send(burst if at == 0 else burst[at:])
            sent += count
            at = (at + count) % FRAMES
            if not count:
                time.sleep(0)
        while port.untaken_frames:
            time.sleep(0.0001)
        port.close()
        return sent

    return run(add_up_port, (descriptors, lend), send, burst)


def memory_pipe(octets: int) -> float:
    burst = burst_of(octets)
    frames = [bytes(frame) for frame in burst]
    far, near = multiprocessing.Pipe(duplex=False)

    def send() -> int:
        sent = 0
        until = time.perf_counter() + MEMORY_SECONDS
        while time.perf_counter() < until:
            for frame in frames:
                near.send_bytes(frame)
            sent += FRAMES
        near.send_bytes(b"")
        return sent

    with far, near:
        return run(add_up_pipe, (far,), send, burst)


def memory_socket(octets: int) -> float:
    burst = burst_of(octets)
    frames = [bytes(frame) for frame in burst]
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def send() -> int:
        sent = 0
        until = time.perf_counter() + MEMORY_SECONDS
        while time.perf_counter() < until:
            for frame in frames:
                near.send(frame)
            sent += FRAMES
        near.send(b"")
        return sent

    with near, far:
        return run(add_up_socket, (far,), send, burst)


def best(call: Callable[..., float], *arguments: Any) -> float:
    return max(call(*arguments) for _ in range(ROUNDS))


def build(arguments: argparse.Namespace) -> Report:
    report = Report(
        "Link layer: sockets and shared memory",
        "UDP: 256 frames sent and received over loopback by one process, its processor time and the kernel's for it; "
        "joined is UDP_SEGMENT out and UDP_GRO in. Memory: one process sends, another adds up every octet with numpy; "
        f"the clock on the wall, two cores, best of {ROUNDS} runs of {MEMORY_SECONDS:g} s.",
    )
    for octets in SIZES:
        peers = [] if arguments.no_peers else [("Python's socket", by_python(octets)), ("scapy", by_scapy(octets))]
        for case, joined in (("joined", "yes"), ("one by one", "no")):
            rate = ours(octets, joined)
            for name, theirs in peers or [("", None)]:
                report.rows.append(Row(f"UDP, {octets} octets, {case}", "Mframe/s", rate / 1e6, name, mega(theirs)))
    for octets in SIZES:
        peers = []
        if not arguments.no_peers:
            peers = [
                ("multiprocessing.Pipe", best(memory_pipe, octets)),
                ("Unix SEQPACKET socket", best(memory_socket, octets)),
            ]
        for case, lend in (("lent", True), ("copied", False)):
            rate = best(memory_ours, octets, lend)
            note = f"{rate * octets / 1e9:.2f} GB/s"
            for name, theirs in peers or [("", None)]:
                row = Row(f"memory, {octets} octets, {case}", "Mframe/s", rate / 1e6, name, mega(theirs), note)
                report.rows.append(row)
    return report


def mega(rate: float | None) -> float | None:
    return None if rate is None else rate / 1e6


if __name__ == "__main__":
    main(build, __doc__)

"""Pairs of interfaces in a network namespace of their own, and frames to send over them."""

from __future__ import annotations

import ctypes
import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from netmap_io import Burst, Port
from netmap_io.burst import ETHERNET

HEAD = bytes.fromhex("0200000000020200000000018888")
"""Addresses, and a type for local experiments."""
_NEW_NETWORK = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def _checked(status: int) -> None:
    if status:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _present_namespace() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@contextmanager
def _coming_back() -> Iterator[None]:
    """This thread is in the same network namespace after the block as before."""
    before = _present_namespace()
    try:
        yield
    finally:
        _checked(_LIBC.setns(before, _NEW_NETWORK))
        os.close(before)


class VethPair:
    """Two interfaces, `near` and `far`, wired to each other in a network namespace that nobody else sees.

    The namespace has no name: it and its interfaces go with the last descriptor and socket, whatever happens.
    """

    near, far = "near", "far"

    def __init__(self) -> None:
        with _coming_back():
            _checked(_LIBC.unshare(_NEW_NETWORK))
            self._own = _present_namespace()
        self.add()

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Sockets and child processes made within the block are in the namespace."""
        with _coming_back():
            _checked(_LIBC.setns(self._own, _NEW_NETWORK))
            yield

    def ip(self, *arguments: str) -> str:
        with self.inside():
            return subprocess.run(["ip", *arguments], check=True, timeout=30, stdout=subprocess.PIPE, text=True).stdout

    def add(self, mtu: int = 1500, queues: int = 2) -> None:
        """Make the pair; without IPv6 addresses, so that it is silent by itself."""
        count = ("numrxqueues", str(queues), "numtxqueues", str(queues))
        self.ip("link", "add", self.near, *count, "type", "veth", "peer", "name", self.far, *count)
        for name in (self.near, self.far):
            self.ip("link", "set", name, "addrgenmode", "none", "mtu", str(mtu), "up")

    def close(self) -> None:
        os.close(self._own)


def frames_of(count: int, low: int = 60, high: int = 1514, seed: int = 1) -> list[bytes]:
    """Frames of random lengths that say their number."""
    random_ = random.Random(seed)
    return [
        HEAD + index.to_bytes(4, "big") + random_.randbytes(random_.randint(low, high) - len(HEAD) - 4)
        for index in range(count)
    ]


def burst_of(frames: list[bytes]) -> Burst:
    return Burst.of(frames, link_types=ETHERNET)


def send_all(port: Port, frames: list[bytes], seconds: float = 20) -> None:
    burst = burst_of(frames)
    deadline = time.monotonic() + seconds
    while len(burst):
        burst = burst[port.send(burst) :]
        assert time.monotonic() < deadline


def receive_count(port: Port, count: int, seconds: float = 20) -> list[bytes]:
    frames: list[bytes] = []
    deadline = time.monotonic() + seconds
    while len(frames) < count and time.monotonic() < deadline:
        frames += [bytes(frame) for frame in port.receive(1000, 0.05)]
    return frames

"""The simulated kernel side of netmap: a region that programs share, and ports of ours behind its interfaces."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from netmap_io._native import NetmapSimulation
from netmap_io.burst import ETHERNET, Burst

if TYPE_CHECKING:
    from netmap_io.port import Port

__all__ = ["NetmapSimulation", "Pump", "is_region_name", "preload_library", "shared_region"]

SHARED_MEMORY = Path("/dev/shm")
MAXIMUM_BURST = 512
WAIT_S = 0.05


def preload_library() -> Path:
    """The library that answers a program's /dev/netmap.  Raises FileNotFoundError."""
    found = sorted(Path(__file__).parent.glob("_netmap_preload*.so"))
    if not found:
        raise FileNotFoundError(errno.ENOENT, "this installation has no preload library", str(Path(__file__).parent))
    return found[0]


def is_region_name(name: str) -> bool:
    """Letters, digits, dots and dashes, at most 64."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name) is not None


@contextmanager
def shared_region(name: str | None) -> Iterator[tuple[NetmapSimulation, str]]:
    """A simulation and the path by which other processes attach to it.

    Args:   name: of a region that others of the same user may share, made if it is not there and gone with the last of
                them; None: a region of our own.
    Raises: ValueError: a name with anything but letters, digits, dots and dashes.
    """
    if name is None:
        simulation = NetmapSimulation()
        yield simulation, f"/proc/{os.getpid()}/fd/{simulation.fileno()}"
        return
    if not is_region_name(name):
        raise ValueError(f"{name!r} is no name of a region: letters, digits, dots and dashes")
    path = SHARED_MEMORY / f"netmap-io-{os.getuid()}-{name}"
    file = _joined(path)
    try:
        yield NetmapSimulation.attach(file), str(path)
    finally:
        if _lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB):  # nobody else is there
            path.unlink(missing_ok=True)
        os.close(file)


def _joined(path: Path) -> int:
    """The region's file with a shared lock on it, made anew where nobody holds one."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if _lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB):
                os.ftruncate(file, 0)  # what somebody left who could not tidy up
                NetmapSimulation.initialise(file)
            _lock(file, fcntl.LOCK_SH)
            status = os.fstat(file)
            if status.st_nlink and status.st_size:
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)  # its last user went in between: it has no name any more


def _lock(file: int, how: int) -> bool:
    try:
        fcntl.flock(file, how)
    except BlockingIOError:
        return False
    return True


class Pump:
    """Frames between an interface of a simulation and a port of ours, both ways, each in a thread of its own."""

    def __init__(self, simulation: NetmapSimulation, interface: str, port: Port, *, host: bool = False) -> None:
        """Args: host: the port is what the interface's host stack would be, not what its cable leads to."""
        self.port = port
        self.problem: Exception | None = None
        self.to_port = self.to_interface = self.dropped = 0
        self._outlet = simulation.outlet(interface, host=host)
        self._stop = threading.Event()
        ways = [self._outward] if port.capabilities.sends else []
        ways += [self._inward] if port.capabilities.receives else []
        self._threads = [threading.Thread(target=self._run, args=(way,), daemon=True) for way in ways]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Move what the interface has sent, then stop.  The port stays open."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self.port.capabilities.sends and self.problem is None:
            self._outward(0)
            self.port.flush()

    def _run(self, way: Callable[[float], None]) -> None:
        try:
            while not self._stop.is_set():
                way(WAIT_S)
        except Exception as error:  # noqa: BLE001 (kept for whoever closes the pump)
            self.problem = error

    def _outward(self, wait_s: float) -> None:
        octets, lengths = self._outlet.receive(MAXIMUM_BURST, wait_s)
        offsets = np.zeros(len(lengths) // 4 + 1, dtype=np.uint64)
        np.cumsum(np.frombuffer(memoryview(lengths), dtype=np.uint32), out=offsets[1:])
        burst = Burst(bytes(octets), offsets, link_types=ETHERNET)
        sent = 0
        while sent < len(burst):
            taken = self.port.send(burst[sent:])
            sent += taken
            if not taken:
                if self._stop.wait(0.001):
                    break
                self.port.flush()
        self.to_port += sent
        self.dropped += len(burst) - sent
        self.port.flush()

    def _inward(self, wait_s: float) -> None:
        burst = self.port.receive(MAXIMUM_BURST, wait_s)
        if not len(burst):
            if self.port.exhausted:
                self._stop.wait(wait_s)
            return
        sent = 0
        lengths = burst.lengths
        while sent < len(burst):
            first = int(burst.offsets[sent])
            taken = self._outlet.send(bytes(burst.buffer[first:]), lengths[sent:].tolist())
            sent += taken
            if not taken and self._stop.wait(0.001):
                break
        self.to_interface += sent
        self.dropped += len(burst) - sent

"""The simulated kernel side of netmap, as a machine to play transcripts on."""

from __future__ import annotations

import errno
import itertools
import os
import time
from typing import Any

from netmap_io._native import NetmapDescriptor, NetmapOutlet, NetmapSimulation

from . import abi
from .machine import Addressed, Control
from .player import frame


class Simulated(Addressed):
    """A kernel of its own for each instance.

    `mmap` does what the preload library does: the file's part that the descriptor's region is, and nothing beyond it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kernel = NetmapSimulation()
        self._descriptors: dict[int, NetmapDescriptor] = {}
        self._numbers = itertools.count(3)
        self._stacks: dict[str, NetmapOutlet] = {}

    def open(self) -> int:
        number = next(self._numbers)
        self._descriptors[number] = self._kernel.open()
        return number

    def close(self, descriptor: int) -> None:
        self._descriptors.pop(descriptor).close()

    def call(self, descriptor: int, number: int, address: int) -> None:
        self._descriptors[descriptor].ioctl(number, address)

    def mmap(self, descriptor: int, octets: int, offset: int) -> memoryview:
        begin, there = self._descriptors[descriptor].mapping()
        if offset + octets > there:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return self.map_file(self._descriptors[descriptor].fileno(), octets, begin + offset)

    def poll(self, descriptor: int, events: int, timeout_ms: int) -> int:
        return self._descriptors[descriptor].poll(events, timeout_ms / 1000)

    def world(self, action: str, arguments: dict[str, Any]) -> Any:
        return getattr(self, "_" + action)(**arguments)

    def _pair(self, near: str, far: str, queues: int = 1, mtu: int = 1500) -> int:
        for name in (near, far):
            self._kernel.add_interface(name, rings=queues, mtu=mtu)
        self._kernel.connect(near, far)
        return 0

    def _exists(self, name: str) -> bool:
        """Whether the kernel side knows a device of that name: here nobody else could."""
        descriptor = self.open()
        header = bytearray(abi.HEADER_OCTETS)
        header[abi.HEADER_NAME] = name.encode().ljust(64, b"\0")
        number, octets, _ = abi.REQUESTS["PORT_INFO_GET"]
        abi.pack_into(abi.HEADER, header, {"version": abi.VERSION, "reqtype": number})
        try:
            self.control(descriptor, Control(header, bytearray(octets)))
        except OSError:
            return False
        finally:
            self.close(descriptor)
        return True

    def _delete(self, name: str) -> int:
        self._kernel.vanish(name)
        return 0

    def _mtu(self, name: str, octets: int) -> int:
        self._kernel.set_mtu(name, octets)
        return 0

    def _delete_begin(self, name: str) -> bool:
        self._kernel.vanish(name)
        return True  # that a real kernel waits for the close is nothing the simulation could show

    def _delete_end(self, name: str) -> int:
        return 0

    def _stack(self, name: str) -> NetmapOutlet:
        if name not in self._stacks:
            self._stacks[name] = self._kernel.outlet(name, host=True)
        return self._stacks[name]

    def _stack_listen(self, name: str) -> int:
        self._stack(name)
        return 0

    def _stack_send(self, name: str, count: int, length: int, seed: int) -> int:
        frames = [frame("ff" * 6, "0200000000aa", seed + number, length) for number in range(count)]
        self._stack(name).send(b"".join(frames), [len(one) for one in frames])
        return count  # as a packet socket: what the device has no room for is nothing that its sender hears of

    def _stack_receive(self, name: str, count: int) -> int:
        deadline, got = time.monotonic() + 0.5, 0
        while got < count and time.monotonic() < deadline:
            got += len(bytes(self._stack(name).receive(count - got, 0.1)[1])) // 4
        return got

"""netmap as a program sees it, by system calls alone: on the simulated kernel side, or on the module's /dev/netmap.

The numbers are the tests' own.  A new kind of kernel side is a subclass of `Kernel` and of `RawNetmap`.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import select
import struct
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from netmap_io._native import NetmapDescriptor, NetmapSimulation

NIOCCTRL, NIOCTXSYNC, NIOCRXSYNC = 0xC0586997, 0x6994, 0x6995
NIOCREGIF, NIOCGINFO = 0xC03C6992, 0xC03C6991
REGISTER, PORT_INFO_GET, VALE_ATTACH, VALE_DETACH, VALE_LIST = 1, 2, 3, 4, 5
PORT_HDR_SET, PORT_HDR_GET, VALE_NEWIF, VALE_DELIF, POOLS_INFO_GET = 6, 7, 8, 9, 12
ALL_NIC, SW, NIC_SW, ONE_NIC, NULL, ONE_SW = 1, 2, 3, 4, 7, 8
EXCLUSIVE, RX_ONLY, TX_ONLY, ACCEPT_HEADER, NO_TX_POLL = 0x800, 0x2000, 0x4000, 0x8000, 0x20000
BUF_CHANGED, INDIRECT, MORE_FRAGMENTS = 0x1, 0x10, 0x20
POLLIN, POLLOUT, POLLERR = select.POLLIN, select.POLLOUT, select.POLLERR


_LIBC = ctypes.CDLL(None, use_errno=True)


class RawNetmap(ABC):
    """One open /dev/netmap."""

    @abstractmethod
    def ioctl(self, request: int, address: int = 0) -> None:
        """ioctl(2) with an address.  Raises OSError."""

    @abstractmethod
    def mmap(self, length: int, offset: int = 0) -> mmap.mmap:
        """mmap(2), shared.  Raises OSError."""

    @abstractmethod
    def poll(self, events: int, timeout: float) -> int:
        """poll(2) on this one; seconds.  0: the time was over."""

    @abstractmethod
    def close(self) -> None: ...


class Kernel(ABC):
    """What opens /dev/netmap, and which interfaces there are."""

    name: str
    nic: str
    """An interface in emulated mode, 1 ring pair of 1024 slots, MTU 1500 ..."""
    peer: str
    """... and the one at the other end of its cable."""

    @abstractmethod
    def open(self) -> RawNetmap: ...


class SimulatedNetmap(RawNetmap):
    def __init__(self, descriptor: NetmapDescriptor) -> None:
        self._descriptor = descriptor

    def ioctl(self, request: int, address: int = 0) -> None:
        assert self._descriptor.ioctl(request, address) == 0

    def mmap(self, length: int, offset: int = 0) -> mmap.mmap:
        start, octets = self._descriptor.mapping()
        if offset + length > octets:
            raise OSError(22, "past the end")
        return mmap.mmap(self._descriptor.fileno(), length, offset=start + offset)

    def poll(self, events: int, timeout: float) -> int:
        return self._descriptor.poll(events, timeout)

    def close(self) -> None:
        self._descriptor.close()


class SimulatedKernel(Kernel):
    name, nic, peer = "simulation", "eth0", "eth1"

    def __init__(self) -> None:
        self.simulation = NetmapSimulation()
        self.simulation.add_interface(self.nic)
        self.simulation.add_interface(self.peer)
        self.simulation.connect(self.nic, self.peer)

    def open(self) -> SimulatedNetmap:
        return SimulatedNetmap(self.simulation.open())


class DeviceNetmap(RawNetmap):
    def __init__(self) -> None:
        self._file = os.open("/dev/netmap", os.O_RDWR | os.O_CLOEXEC)

    def ioctl(self, request: int, address: int = 0) -> None:
        # Not fcntl.ioctl, which takes no address of 64 bits.
        if _LIBC.ioctl(self._file, ctypes.c_ulong(request), ctypes.c_void_p(address)) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def mmap(self, length: int, offset: int = 0) -> mmap.mmap:
        return mmap.mmap(self._file, length, offset=offset)

    def poll(self, events: int, timeout: float) -> int:
        poller = select.poll()
        poller.register(self._file, events)
        return dict(poller.poll(timeout * 1000)).get(self._file, 0)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


class DeviceKernel(Kernel):
    """The module's; the two interfaces (a veth pair) are named by NETMAP_FACTS_NICS=nic,peer."""

    name = "/dev/netmap"

    def __init__(self) -> None:
        self.nic, self.peer = os.environ.get("NETMAP_FACTS_NICS", "nmfact0,nmfact1").split(",")

    def open(self) -> DeviceNetmap:
        return DeviceNetmap()


def memory(octets: bytes | bytearray) -> Any:
    """Memory with an address."""
    return ctypes.create_string_buffer(bytes(octets), len(octets))


def header(kind: int, name: str, body: int, options: int = 0, *, version: int = 14, reserved: int = 0) -> bytes:
    return struct.pack("<HHI64sQQ", version, kind, reserved, name.encode(), options, body)


def request(raw: RawNetmap, kind: int, name: str, body: bytes, options: int = 0, **fields: int) -> tuple[str, bytes]:
    """NIOCCTRL: the name and the body that came back."""
    place = memory(body)
    head = memory(header(kind, name, ctypes.addressof(place) if body else 0, options, **fields))
    raw.ioctl(NIOCCTRL, ctypes.addressof(head))
    return head.raw[8:72].split(b"\0")[0].decode(), place.raw


@dataclass
class Registered:
    offset: int
    memsize: int
    tx_slots: int
    rx_slots: int
    tx_rings: int
    rx_rings: int
    host_tx_rings: int
    host_rx_rings: int
    mem_id: int
    extra_bufs: int


def register_body(
    *,
    mode: int = ALL_NIC,
    slots: tuple[int, int] = (0, 0),
    rings: tuple[int, int] = (0, 0),
    mem_id: int = 0,
    ring_id: int = 0,
    extra_bufs: int = 0,
    flags: int = 0,
) -> bytes:
    return struct.pack("<QQIIHHHHHHIIIQ", 0, 0, *slots, *rings, 0, 0, mem_id, ring_id, mode, extra_bufs, 0, flags)


def register(raw: RawNetmap, name: str, options: int = 0, **wish: Any) -> Registered:
    _, body = request(raw, REGISTER, name, register_body(**wish), options)
    fields = struct.unpack("<QQIIHHHHHHIIIQ", body)
    return Registered(*fields[:9], fields[11])


class Port:
    """A registered port, mapped: words, slots and buffers by their offsets."""

    def __init__(self, kernel: Kernel, name: str, options: int = 0, **wish: Any) -> None:
        self.raw = kernel.open()
        try:
            self.registered = register(self.raw, name, options, **wish)
            self.map = self.raw.mmap(self.registered.memsize)
        except BaseException:
            self.raw.close()
            raise
        self.record = self.registered.offset
        tx, rx, host_tx, host_rx = (self.word(self.record + at) for at in (24, 28, 36, 40))
        offsets = struct.unpack_from(f"<{tx + host_tx + rx + host_rx}q", self.map, self.record + 56)
        self.ring_offsets = offsets
        places = [self.record + offset if offset else 0 for offset in offsets]
        self.tx_rings, self.rx_rings = places[: tx + host_tx], places[tx + host_tx :]
        self.tx = next(iter(filter(None, self.tx_rings)), 0)
        self.rx = next(iter(filter(None, self.rx_rings)), 0)

    def close(self) -> None:
        self.map.close()
        self.raw.close()

    def word(self, at: int) -> int:
        return int(struct.unpack_from("<I", self.map, at)[0])

    def put_word(self, at: int, value: int) -> None:
        struct.pack_into("<I", self.map, at, value)

    def half(self, at: int) -> int:
        return int(struct.unpack_from("<H", self.map, at)[0])

    def long(self, at: int) -> int:
        return int(struct.unpack_from("<q", self.map, at)[0])

    def positions(self, ring: int) -> tuple[int, int, int]:
        """head, cur, tail"""
        return self.word(ring + 20), self.word(ring + 24), self.word(ring + 28)

    def advance(self, ring: int, head: int, cur: int | None = None) -> None:
        self.put_word(ring + 20, head)
        self.put_word(ring + 24, head if cur is None else cur)

    def slots(self, ring: int) -> int:
        return self.word(ring + 8)

    def room(self, ring: int) -> int:
        head, _, tail = self.positions(ring)
        return (tail - head) % self.slots(ring)

    def slot(self, ring: int, index: int) -> tuple[int, int, int, int]:
        """buf_idx, len, flags, ptr"""
        return struct.unpack_from("<IHHQ", self.map, ring + 256 + 16 * index)

    def put_slot(self, ring: int, index: int, buf_idx: int, length: int, flags: int = 0, ptr: int = 0) -> None:
        struct.pack_into("<IHHQ", self.map, ring + 256 + 16 * index, buf_idx, length, flags, ptr)

    def buffer(self, ring: int, buf_idx: int) -> int:
        return ring + self.long(ring) + buf_idx * self.word(ring + 12)

    def put(self, frame: bytes, flags: int = 0, *, length: int | None = None, ring: int = 0, ptr: int = 0) -> None:
        """Fill the next transmit slot, without a sync."""
        ring = ring or self.tx
        head = self.word(ring + 20)
        assert self.room(ring)
        index = self.slot(ring, head)[0]
        at = self.buffer(ring, index) + ptr
        self.map[at : at + len(frame)] = frame
        self.put_slot(ring, head, index, len(frame) if length is None else length, flags, ptr)
        self.advance(ring, (head + 1) % self.slots(ring))

    def tx_sync(self) -> None:
        self.raw.ioctl(NIOCTXSYNC)

    def rx_sync(self) -> None:
        self.raw.ioctl(NIOCRXSYNC)

    def send(self, *frames: bytes) -> None:
        for frame in frames:
            self.put(frame)
        self.tx_sync()

    def take(self, ring: int = 0) -> list[tuple[bytes, int]]:
        """Octets and flags of the slots that are there, without a sync."""
        ring = ring or self.rx
        taken = []
        head, _, tail = self.positions(ring)
        while head != tail:
            index, length, flags, _ = self.slot(ring, head)
            at = self.buffer(ring, index)
            taken.append((self.map[at : at + length], flags))
            head = (head + 1) % self.slots(ring)
        self.advance(ring, head)
        return taken

    def receive(self, ring: int = 0) -> list[tuple[bytes, int]]:
        self.rx_sync()
        return self.take(ring)

    def __enter__(self) -> Port:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def frame(to: int, source: int, length: int = 60, fill: int = 0) -> bytes:
    return bytes([2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, source]) + bytes([fill]) * (length - 12)


def offsets_option(maximum: int, initial: int, bits: int = 0, kind: int = 5) -> Any:
    return memory(struct.pack("<QIiQQQIIQ", 0, kind, 0, 0, maximum, initial, bits, 0, 0))

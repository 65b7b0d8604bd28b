"""The kernel side a transcript is played on: as calls that take and give octets."""

from __future__ import annotations

import ctypes
import errno
import os
import select
from dataclasses import dataclass, field
from typing import Any, Protocol

from . import abi

DEVICE = "/dev/netmap"
BAD_ADDRESS = 8
"""A pointer into the page that no process has."""


@dataclass
class Control:
    """One NIOCCTRL: header without its pointers, body (None: NULL; "bad": a bad address), options in order."""

    header: bytearray
    body: bytearray | str | None
    options: list[bytearray] = field(default_factory=list)
    bad_option: bool = False


class Machine(Protocol):
    """Calls raise OSError with the errno of the kernel side; octets of a request are updated in place, errors too."""

    def open(self) -> int: ...
    def close(self, descriptor: int) -> None: ...
    def control(self, descriptor: int, request: Control) -> None: ...
    def ioctl(self, descriptor: int, number: int, argument: bytearray | None) -> None: ...
    def mmap(self, descriptor: int, octets: int, offset: int) -> memoryview: ...
    def munmap(self, descriptor: int, view: memoryview) -> None: ...
    def poll(self, descriptor: int, events: int, timeout_ms: int) -> int: ...
    def world(self, action: str, arguments: dict[str, Any]) -> Any: ...


def address_of(octets: bytearray) -> int:
    """Where the octets lie, as long as they are neither resized nor dropped."""
    return ctypes.addressof(ctypes.c_char.from_buffer(octets))


def link_options(options: list[bytearray], bad: bool) -> int:
    """Chain the options by their next pointers; the address of the first."""
    following = BAD_ADDRESS if bad else 0
    for option in reversed(options):
        abi.pack_into(abi.OPTION_HEAD, option, {"next": following})
        following = address_of(option)
    return following


class Addressed:
    """What kernel sides have in common that take a request's address and whose memory is mapped from a descriptor.

    Through libc, so that no interpreter object keeps a descriptor or a copy of a request.
    """

    def __init__(self) -> None:
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.mmap.restype = ctypes.c_void_p
        self.libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
        self.libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        self.libc.ioctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p]

    def call(self, descriptor: int, number: int, address: int) -> None:
        raise NotImplementedError

    def control(self, descriptor: int, request: Control) -> None:
        body = request.body
        body_at = 0 if body is None else BAD_ADDRESS if isinstance(body, str) else address_of(body)
        pointers = {"options": link_options(request.options, request.bad_option), "body": body_at}
        abi.pack_into(abi.HEADER, request.header, pointers)
        try:
            self.call(descriptor, abi.NIOCCTRL, address_of(request.header))
        finally:  # where things lie in this process is not part of the answer
            after = abi.unpack(abi.HEADER, request.header)
            kept = {name: 0 if after[name] == value else after[name] for name, value in pointers.items()}
            abi.pack_into(abi.HEADER, request.header, kept)

    def ioctl(self, descriptor: int, number: int, argument: bytearray | None) -> None:
        self.call(descriptor, number, 0 if argument is None else address_of(argument))

    def map_file(self, file: int, octets: int, offset: int) -> memoryview:
        read_write, shared = 3, 1
        address = self.libc.mmap(None, octets, read_write, shared, file, offset)
        if address == ctypes.c_void_p(-1).value:
            raise last_error()
        return memoryview((ctypes.c_ubyte * octets).from_address(address)).cast("B")

    def munmap(self, descriptor: int, view: memoryview) -> None:
        address, octets = ctypes.addressof(ctypes.c_ubyte.from_buffer(view)), len(view)
        view.release()
        if self.libc.munmap(address, octets) != 0:
            raise last_error()


class Device(Addressed):
    """`/dev/netmap` itself."""

    def open(self) -> int:
        return os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def call(self, descriptor: int, number: int, address: int) -> None:
        if self.libc.ioctl(descriptor, number, address) != 0:
            raise last_error()

    def mmap(self, descriptor: int, octets: int, offset: int) -> memoryview:
        return self.map_file(descriptor, octets, offset)

    def poll(self, descriptor: int, events: int, timeout_ms: int) -> int:
        poller = select.poll()
        poller.register(descriptor, events)
        ready = poller.poll(timeout_ms)
        return ready[0][1] if ready else 0

    def world(self, action: str, arguments: dict[str, Any]) -> Any:
        from . import world  # network devices: needed by few scenarios, and by root only

        return world.ACTIONS[action](**arguments)


def last_error() -> OSError:
    """The error of the last call into libc."""
    return OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def errno_name(error: OSError) -> str:
    """ENXIO and the like."""
    if error.errno == errno.EOPNOTSUPP:  # ENOTSUP is the same number
        return "EOPNOTSUPP"
    return errno.errorcode.get(error.errno or 0, str(error.errno))

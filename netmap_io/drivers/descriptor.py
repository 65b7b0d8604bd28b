"""DescriptorPort: a port that waits on descriptors.  A driver built on it moves frames; this does the rest.

Its descriptor is an epoll of all that the driver waits for, so that one `fileno()` serves whatever lies beneath.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from abc import abstractmethod

from netmap_io.burst import ETHERNET, RAW_OCTETS, Burst
from netmap_io.errors import LinkTypeError, PortAddressError, PortSystemError
from netmap_io.port import Capabilities, Counters, LinkType, Options, Port

__all__ = ["LINK_TYPES", "DescriptorPort", "Readiness", "check_frames", "endpoint", "refused", "yes_or_no"]

LINK_TYPES = {
    "ethernet": LinkType.ETHERNET,
    "raw_octets": LinkType.RAW_OCTETS,
    "cadu_stream": LinkType.CADU_STREAM,
    "transfer_frames": LinkType.TRANSFER_FRAMES,
}
"""Names of the link types in addresses."""
_HINTS = {
    errno.EADDRINUSE: "the port is busy: somebody else listens there",
    errno.EACCES: "it needs a privilege that this process has not",
    errno.EPERM: "it needs a privilege that this process has not",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.ECONNREFUSED: "nobody listens there",
    errno.ENODEV: "there is no such device",
    errno.EBUSY: "somebody else has it",
    errno.ETIMEDOUT: "no answer in time",
}


class Readiness:
    """One descriptor that is readable while any of several is, or while something is held."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._held = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._holding = False
        self._epoll.register(self._held, select.EPOLLIN)

    @property
    def descriptor(self) -> int:
        return self._epoll.fileno()

    def add(self, descriptor: int, events: int = select.EPOLLIN) -> None:
        """Watch a descriptor: readable by default, EPOLLOUT writable; the end of it always counts."""
        self._epoll.register(descriptor, events)

    def change(self, descriptor: int, events: int) -> None:
        self._epoll.modify(descriptor, events)

    def remove(self, descriptor: int) -> None:
        self._epoll.unregister(descriptor)

    def hold(self, holding: bool) -> None:
        """Say that there is (or no longer is) something that no descriptor shows."""
        if holding and not self._holding:
            os.eventfd_write(self._held, 1)
        elif self._holding and not holding:
            os.eventfd_read(self._held)
        self._holding = holding

    def wait(self, timeout: float | None) -> None:
        """Until readable, at most `timeout` seconds (None: for ever)."""
        self._epoll.poll(timeout)

    def close(self) -> None:
        self._epoll.close()
        os.close(self._held)


class DescriptorPort(Port):
    """A port of which a driver writes `_take`, `_put` and `_release_device`, none of which waits."""

    def __init__(self, capabilities: Capabilities) -> None:
        super().__init__()
        self.capabilities = capabilities
        self._counters = Counters()
        self.readiness = Readiness()

    @abstractmethod
    def _take(self, max_frames: int) -> Burst:
        """What is there, at most `max_frames`."""

    @abstractmethod
    def _put(self, burst: Burst) -> int:
        """Take frames from the front, and count them; how many."""

    @abstractmethod
    def _release_device(self) -> None:
        """Close what the driver opened, once."""

    def _wake_in(self) -> float | None:
        """Seconds until `_take` wants to be called although nothing is readable; None: never."""
        return None

    @property
    def counters(self) -> Counters:
        return self._counters

    def receive(self, max_frames: int = 65536, timeout: float | None = None) -> Burst:
        self.require_open()
        if max_frames < 1:
            raise ValueError("max_frames must be 1 or more")
        deadline = None if timeout is None else time.monotonic() + timeout
        while not len(burst := self._take(max_frames)) and not self.exhausted:
            if not self._wait(deadline):
                break
        self._count_received(burst)
        return burst

    def _count_received(self, burst: Burst) -> None:
        self._counters.received_frames += len(burst)
        self._counters.received_octets += burst.octets

    def _wait(self, deadline: float | None) -> bool:
        """Until there may be something; False when the time is over."""
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            return False
        wake = self._wake_in()
        if wake is not None:
            left = wake if left is None else min(left, wake)
        self.readiness.wait(left)
        return True

    def send(self, burst: Burst) -> int:
        self.require_open()
        check_frames(self, burst)
        return self._put(burst) if len(burst) else 0

    def flush(self) -> None:
        self.require_open()

    def fileno(self) -> int:
        self.require_open()
        return self.readiness.descriptor

    @property
    def link_number(self) -> int:
        """LINKTYPE number of the frames received."""
        return ETHERNET if self.capabilities.link_type is LinkType.ETHERNET else RAW_OCTETS

    def _release(self) -> None:
        try:
            self._release_device()
        finally:
            self.readiness.close()


def check_frames(port: Port, burst: Burst) -> None:
    """Raise LinkTypeError or ValueError, with a sentence, where `port` cannot send a frame of `burst`."""
    if not len(burst):
        return
    name, capabilities = type(port).__name__, port.capabilities
    ethernet = burst.link_types == ETHERNET
    if not (ethernet.all() if capabilities.link_type is LinkType.ETHERNET else not ethernet.any()):
        raise LinkTypeError(f"this {name} carries {capabilities.link_type.value}; the burst does not")
    if int(burst.lengths.max()) > capabilities.maximum_frame_octets:
        raise ValueError(f"a frame is longer than the {capabilities.maximum_frame_octets} octets of this {name}")


def refused(what: str, error: OSError) -> PortSystemError:
    """One sentence for what the system refused: "cannot `what`: why"."""
    if isinstance(error, socket.gaierror):
        return PortSystemError(f"cannot {what}: the host is unknown ({(error.strerror or str(error)).lower()})")
    why = (os.strerror(error.errno) if error.errno else str(error)).lower()
    hint = _HINTS.get(error.errno or 0)
    return PortSystemError(f"cannot {what}: {why}" + (f" ({hint})" if hint else ""))


def endpoint(driver: str, text: str) -> tuple[str, int]:
    """Host and port of "host:port", "//host:port" or "[IPv6]:port"; an empty host means any address."""
    host, colon, port = text.removeprefix("//").rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not (port.isascii() and port.isdigit() and len(port) < 6 and int(port) < 65536):
        raise PortAddressError(f"{driver}: {text!r} is not host:port; write 127.0.0.1:5000 or [::1]:5000")
    if ":" in host and not bracketed:
        raise PortAddressError(f"{driver}: an IPv6 address stands in brackets, [{host}]:{port}")
    return (host[1:-1] if bracketed else host), int(port)


def yes_or_no(options: Options, name: str, default: bool) -> bool:
    return bool(options.choice(name, {"yes": True, "no": False}, "yes" if default else "no"))

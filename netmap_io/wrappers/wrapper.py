"""Wrapper: a port around a port, that does what the inner one does until a subclass says otherwise."""

from __future__ import annotations

import os
import select

from netmap_io.burst import Burst
from netmap_io.port import Counters, Port

__all__ = ["Readiness", "Wrapper", "innermost"]


class Wrapper(Port):
    """Owns the port inside: closing the wrapper closes it."""

    def __init__(self, port: Port) -> None:
        super().__init__()
        self.port = port
        self.capabilities = port.capabilities

    @property
    def counters(self) -> Counters:
        """The inner port's, where the wrapper keeps, drops and adds nothing."""
        return self.port.counters

    @property
    def exhausted(self) -> bool:
        return self.port.exhausted

    def receive(self, max_frames: int = 65536, timeout: float | None = None) -> Burst:
        self.require_open()
        return self.port.receive(max_frames, timeout)

    def send(self, burst: Burst) -> int:
        self.require_open()
        return self.port.send(burst)

    def flush(self) -> None:
        self.require_open()
        self.port.flush()

    def fileno(self) -> int:
        self.require_open()
        return self.port.fileno()

    def _release(self) -> None:
        self.port.close()


class Readiness:
    """A descriptor that polls readable while the inner port's does, or while the wrapper itself holds frames."""

    def __init__(self, inner: int) -> None:
        self._epoll = select.epoll()
        self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._set = False
        self._epoll.register(inner, select.EPOLLIN)
        self._epoll.register(self._event, select.EPOLLIN)

    def fileno(self) -> int:
        return self._epoll.fileno()

    def update(self, holds_frames: bool) -> None:
        if holds_frames and not self._set:
            os.eventfd_write(self._event, 1)
        elif self._set and not holds_frames:
            os.eventfd_read(self._event)
        self._set = holds_frames

    def close(self) -> None:
        self._epoll.close()
        os.close(self._event)


def innermost(port: Port) -> Port:
    """The driver's port at the bottom of wrappers."""
    while isinstance(port, Wrapper):
        port = port.port
    return port

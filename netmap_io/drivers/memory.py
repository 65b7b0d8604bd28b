"""memory: ports in this process, and between two.

`memory:` is a loop: what is sent is received; `memory_pair` makes two ends.  `memory:name` meets another process that
opens the same name (`netmap_io.drivers.shared_memory`).
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque

from netmap_io.burst import Burst, join
from netmap_io.drivers.descriptor import LINK_TYPES, check_frames
from netmap_io.errors import PortClosedError
from netmap_io.port import Capabilities, Counters, LinkType, Options, Port

__all__ = ["MemoryPort", "memory_pair", "open_address"]

_MAXIMUM_FRAME_OCTETS = 1 << 24


class _Lane:
    """Frames on their way from one end to the other, at most `capacity` of them."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.lock = threading.Lock()
        self.queue: deque[Burst] = deque()
        self.frames = 0
        self.ended = False
        self.event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)  # readable while there are frames, or the end

    def put(self, burst: Burst) -> int:
        with self.lock:
            taken = 0 if self.ended else min(len(burst), self.capacity - self.frames)
            if taken:
                own = burst.copy()  # of all frames: a lent burst cannot be sliced
                self.queue.append(own if taken == len(own) else own.part(0, taken))
                self.frames += taken
                os.eventfd_write(self.event, 1)
            return taken

    def take(self, max_frames: int) -> list[Burst]:
        taken: list[Burst] = []
        with self.lock:
            while self.queue and max_frames:
                burst = self.queue.popleft()
                if len(burst) > max_frames:
                    self.queue.appendleft(burst.part(max_frames, len(burst)))
                    burst = burst.part(0, max_frames)
                taken.append(burst)
                max_frames -= len(burst)
                self.frames -= len(burst)
            if not self.queue and not self.ended and taken:
                os.eventfd_read(self.event)
        return taken

    def end(self) -> None:
        """No more will be put."""
        with self.lock:
            if not self.ended:
                self.ended = True
                os.eventfd_write(self.event, 1)

    def shut(self) -> None:
        """No more will be taken either."""
        with self.lock:
            self.ended = True
            self.queue.clear()
            self.frames = 0
            os.close(self.event)


class MemoryPort(Port):
    """A port in this process; copies once when sending."""

    def __init__(self, inward: _Lane, outward: _Lane, capabilities: Capabilities) -> None:
        super().__init__()
        self.capabilities = capabilities
        self._inward = inward
        self._outward = outward
        self._counters = Counters()

    @property
    def counters(self) -> Counters:
        return self._counters

    @property
    def exhausted(self) -> bool:
        return self._inward.ended and not self._inward.frames

    def receive(self, max_frames: int = 65536, timeout: float | None = None) -> Burst:
        self.require_open()
        if max_frames < 1:
            raise ValueError("max_frames must be 1 or more")
        deadline = None if timeout is None else time.monotonic() + timeout
        while not (parts := self._inward.take(max_frames)) and not self.exhausted:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                break
            poll = select.poll()
            poll.register(self._inward.event, select.POLLIN)
            poll.poll(None if left is None else max(1, int(left * 1000)))
        burst = parts[0] if len(parts) == 1 else join(parts)
        self._counters.received_frames += len(burst)
        self._counters.received_octets += burst.octets
        return burst

    def send(self, burst: Burst) -> int:
        self.require_open()
        if self._outward.ended:
            raise PortClosedError("the other end of this MemoryPort is closed")
        check_frames(self, burst)
        taken = self._outward.put(burst)
        self._counters.sent_frames += taken
        self._counters.sent_octets += int(burst.offsets[taken]) - int(burst.offsets[0])
        if not self.capabilities.back_pressure:
            self._counters.dropped_by_port += len(burst) - taken
            return len(burst)
        return taken

    def flush(self) -> None:
        self.require_open()

    def fileno(self) -> int:
        self.require_open()
        return self._inward.event

    def _release(self) -> None:
        self._outward.end()
        self._inward.shut()


def memory_pair(
    *,
    link_type: LinkType = LinkType.RAW_OCTETS,
    capacity_frames: int = 65536,
    back_pressure: bool = True,
) -> tuple[MemoryPort, MemoryPort]:
    """Two ends of one link: what one sends the other receives.  Closing one exhausts the other."""
    capabilities = _capabilities(link_type, back_pressure)
    there, back = _Lane(capacity_frames), _Lane(capacity_frames)
    return MemoryPort(back, there, capabilities), MemoryPort(there, back, capabilities)


def open_address(target: str, options: Options) -> Port:
    """`memory:?link_type=raw_octets&capacity_frames=65536&when_full=back_pressure`, or `memory:name?...`"""
    if target or "descriptors" in options.given:
        from netmap_io.drivers import shared_memory

        return shared_memory.open_address(target, options)
    link_type = options.choice("link_type", LINK_TYPES, "raw_octets")
    capacity = options.integer("capacity_frames", 65536, minimum=1)
    back_pressure = options.choice("when_full", {"back_pressure": True, "drop": False}, "back_pressure")
    options.finish()
    lane = _Lane(capacity)
    return MemoryPort(lane, lane, _capabilities(link_type, back_pressure))


def _capabilities(link_type: LinkType, back_pressure: bool) -> Capabilities:
    return Capabilities(
        link_type=link_type,
        maximum_frame_octets=_MAXIMUM_FRAME_OCTETS,
        back_pressure=back_pressure,
        timestamp_source="as sent",
    )

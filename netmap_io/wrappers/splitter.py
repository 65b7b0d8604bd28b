"""Splitter: one port as several, each with its share of what comes in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from netmap_io.burst import Burst
from netmap_io.port import Counters, Port
from netmap_io.wrappers.filter_port import by_filter
from netmap_io.wrappers.flow_hash import flow_hash, octets_hash
from netmap_io.wrappers.frames import FrameQueue, select_frames
from netmap_io.wrappers.wrapper import Readiness

__all__ = ["Route", "SharePort", "Splitter", "route_by_filters", "route_by_flow", "route_by_octets"]

Route = Callable[[Burst], NDArray[np.int64]]
"""int64[n] of a burst's frames: the share that each belongs to."""


class SharePort(Port):
    """One share of a splitter's port.  Each may be used by a thread of its own; sending takes turns."""

    def __init__(self, splitter: Splitter, share: int) -> None:
        super().__init__()
        self.share = share
        self.capabilities = replace(splitter.port.capabilities, zero_copy=False)
        self._splitter = splitter
        self._queue = FrameQueue()
        self._counters = Counters()
        self._readiness: Readiness | None = None

    @property
    def counters(self) -> Counters:
        """Of this share; `dropped_by_port` are frames for which its queue had no room, or that waited at `close`."""
        return self._counters

    @property
    def exhausted(self) -> bool:
        # In this order: what another share's thread has just received is not shared out yet while it is receiving.
        return self._splitter.port.exhausted and not self._splitter.receiving and self._queue.frames == 0

    def receive(self, max_frames: int = 65536, timeout: float | None = None) -> Burst:
        self.require_open()
        if max_frames < 1:
            raise ValueError("max_frames must be 1 or more")
        burst = self._splitter.take(self, max_frames, timeout)
        self._counters.received_frames += len(burst)
        self._counters.received_octets += burst.octets
        return burst

    def send(self, burst: Burst) -> int:
        self.require_open()
        taken = self._splitter.send(burst)
        self._counters.sent_frames += taken
        self._counters.sent_octets += burst.octets if taken == len(burst) else burst[:taken].octets
        return taken

    def flush(self) -> None:
        self.require_open()
        self._splitter.flush()

    def fileno(self) -> int:
        """Polls readable also when what came in is another share's."""
        self.require_open()
        if self._readiness is None:
            self._readiness = Readiness(self._splitter.port.fileno())
            self._readiness.update(self._queue.frames > 0)
        return self._readiness.fileno()

    def put(self, burst: Burst, room: int) -> None:
        """For the splitter: queue frames, and drop those that have no room."""
        count = 0 if self.closed else min(len(burst), max(0, room - self._queue.frames))
        self._counters.dropped_by_port += len(burst) - count
        self._queue.put(burst if count == len(burst) else burst[:count])
        self._tell()

    def take(self, max_frames: int) -> Burst:
        """For the splitter: what is queued."""
        burst = self._queue.take(max_frames)
        self._tell()
        return burst

    @property
    def waiting(self) -> int:
        """Frames in this share's queue."""
        return self._queue.frames

    def _tell(self) -> None:
        if self._readiness is not None:
            self._readiness.update(self._queue.frames > 0)

    def _release(self) -> None:
        if self._readiness is not None:
            self._readiness.close()
            self._readiness = None
        self._splitter.leave(self, self._queue)


class Splitter:
    """Shares out what `port` receives among `ports`; the port is closed with the last of them, or by `close`.

    Whoever receives also fills the queues of the others.  A full queue makes the frames of that share drop, counted
    there; with `drops` false nothing more is received from the port until the full queue is read.
    """

    def __init__(
        self, port: Port, shares: int, route: Route, *, capacity_frames: int = 65536, drops: bool = True
    ) -> None:
        if shares < 1 or capacity_frames < 1:
            raise ValueError("shares and capacity_frames are 1 or more")
        self.port = port
        self._route = route
        self._capacity = capacity_frames
        self._drops = drops
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._receiving = False
        self.ports = tuple(SharePort(self, share) for share in range(shares))

    @property
    def receiving(self) -> bool:
        """Whether a share is about to share out what it receives for all."""
        return self._receiving

    def take(self, share: SharePort, max_frames: int, timeout: float | None) -> Burst:
        """What there is for a share; waits for it."""
        deadline = None if timeout is None else time.monotonic() + timeout
        tried = False
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            with self._changed:
                if share.waiting or share.exhausted or share.closed or (tried and left == 0):
                    return share.take(max_frames)
                tried = True
                room = self._room(max_frames)
                if self._receiving or not room:
                    self._changed.wait(left)
                    continue
                self._receiving = True
            try:
                burst = self.port.receive(room, left)
            except BaseException:
                self._received(None)
                raise
            self._received(burst)

    def _room(self, max_frames: int) -> int:
        """How many frames may be received so that none has to be dropped, where that is not wanted."""
        if self._drops:
            return max_frames
        return min(max_frames, *(self._capacity - each.waiting for each in self.ports if not each.closed))

    def _received(self, burst: Burst | None) -> None:
        with self._changed:
            self._receiving = False
            if burst is not None and len(burst):
                self._share_out(burst)
            self._changed.notify_all()

    def _share_out(self, burst: Burst) -> None:
        shares = self._route(burst)
        for port in self.ports:
            chosen = np.flatnonzero(shares == port.share)
            if len(chosen) == len(burst):
                port.put(burst, self._capacity)
            elif len(chosen):
                port.put(select_frames(burst, chosen), self._capacity)

    def send(self, burst: Burst) -> int:
        with self._sending:
            return self.port.send(burst)

    def flush(self) -> None:
        with self._sending:
            self.port.flush()

    def leave(self, share: SharePort, queue: FrameQueue) -> None:
        """For a share that closes."""
        with self._changed:
            share.counters.dropped_by_port += queue.clear()
            self._changed.notify_all()
        if all(each.closed for each in self.ports):
            self.port.close()

    def close(self) -> None:
        """Close all shares and the port."""
        for each in self.ports:
            each.close()
        self.port.close()

    def __enter__(self) -> Splitter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def route_by_flow(shares: int) -> Route:
    """Both directions of a flow to the same share (see `flow_hash`)."""
    return lambda burst: (flow_hash(burst) % np.uint64(shares)).astype(np.int64)


def route_by_octets(shares: int, offset: int, length: int) -> Route:
    """By frame[offset:offset + length]."""
    return lambda burst: (octets_hash(burst, offset, length) % np.uint64(shares)).astype(np.int64)


def route_by_filters(expressions: Sequence[str]) -> Route:
    """To the share of the first filter that matches; what none wants to one more, the last.  Raises BpfError."""
    matches = [by_filter(expression) for expression in expressions]

    def route(burst: Burst) -> NDArray[np.int64]:
        shares = np.full(len(burst), len(matches), dtype=np.int64)
        for number in reversed(range(len(matches))):
            shares[matches[number](burst)] = number
        return shares

    return route

"""RateLimiter: frames and bits per second through a port, by token buckets."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from netmap_io.burst import Burst
from netmap_io.port import Counters, Port
from netmap_io.wrappers.frames import FrameQueue
from netmap_io.wrappers.token_bucket import TokenBucket
from netmap_io.wrappers.wrapper import Readiness, Wrapper

__all__ = ["RateLimit", "RateLimiter"]

_FILL_S = 0.01


class RateLimit:
    """Both rates of one direction.  Knows no clock."""

    def __init__(
        self,
        *,
        frames_per_second: int | None = None,
        bits_per_second: int | None = None,
        burst_frames: int | None = None,
        burst_bits: int | None = None,
        overhead_octets: int = 0,
    ) -> None:
        """Choose the rates; None: not limited.

        burst_frames, burst_bits: what may pass at once, by default what comes in 10 ms (at least one frame, 12 144
        bits).  overhead_octets: added to each frame for the bit rate; 24 on an Ethernet wire.
        """
        self.overhead_octets = overhead_octets
        self._frames: TokenBucket | None = None
        self._bits: TokenBucket | None = None
        if frames_per_second is not None:
            self._frames = TokenBucket(frames_per_second, burst_frames or max(1, int(frames_per_second * _FILL_S)))
        if bits_per_second is not None:
            self._bits = TokenBucket(bits_per_second, burst_bits or max(12_144, int(bits_per_second * _FILL_S)))

    def pass_now(self, lengths: NDArray[np.uint32], now_ns: int) -> int:
        """How many frames from the front may pass now.  Nothing is spent until `spend`."""
        count = len(lengths)
        for bucket, costs in self._costs(lengths):
            bucket.fill(now_ns)
            count = min(count, bucket.affords(costs))
        return count

    def spend(self, lengths: NDArray[np.uint32]) -> None:
        """These frames have passed."""
        for bucket, costs in self._costs(lengths):
            bucket.spend(int(costs.sum()))

    def wait_ns(self, length: int) -> int:
        """How long until a frame of `length` octets may pass."""
        lengths = np.array([length], dtype=np.uint32)
        return max((bucket.wait_ns(int(costs[0])) for bucket, costs in self._costs(lengths)), default=0)

    def _costs(self, lengths: NDArray[np.uint32]) -> list[tuple[TokenBucket, NDArray[np.int64]]]:
        found = []
        if self._frames is not None:
            found.append((self._frames, np.ones(len(lengths), dtype=np.int64)))
        if self._bits is not None:
            found.append((self._bits, (lengths.astype(np.int64) + self.overhead_octets) * 8))
        return found


class RateLimiter(Wrapper):
    """`send` takes as many frames as there are tokens for; `receive` gives as many, and keeps what came too early.

    A port without back-pressure gets back-pressure this way as far as the rate goes.  The descriptor may poll
    readable before the rate allows a frame.
    """

    def __init__(
        self,
        port: Port,
        *,
        send: RateLimit | None = None,
        receive: RateLimit | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        super().__init__(port)
        self._send = send or RateLimit()
        self._receive = receive or RateLimit()
        self._limits_receiving = receive is not None
        self._waiting = FrameQueue()
        self._received = Counters()
        self._clock_ns = clock_ns
        self._readiness: Readiness | None = None

    @property
    def waiting(self) -> int:
        """Frames that were received from the inner port before their time."""
        return self._waiting.frames

    @property
    def counters(self) -> Counters:
        """The inner port's; received is what the rate let through, dropped also what waited when it was closed."""
        inner = self.port.counters
        if not self._limits_receiving:
            return inner
        own = self._received
        return replace(
            inner,
            received_frames=own.received_frames,
            received_octets=own.received_octets,
            dropped_by_port=inner.dropped_by_port + own.dropped_by_port,
        )

    @property
    def exhausted(self) -> bool:
        return self._waiting.frames == 0 and self.port.exhausted

    def send_wait_s(self, octets: int) -> float:
        """How long until `send` may take a frame of so many octets."""
        self._send.pass_now(np.zeros(0, dtype=np.uint32), self._clock_ns())
        return self._send.wait_ns(octets) / 1e9

    def send(self, burst: Burst) -> int:
        self.require_open()
        if not len(burst):
            return self.port.send(burst)
        count = self._send.pass_now(burst.lengths, self._clock_ns())
        taken = self.port.send(burst if count == len(burst) else burst[:count])
        self._send.spend(burst.lengths[:taken])
        return taken

    def receive(self, max_frames: int = 65536, timeout: float | None = None) -> Burst:
        self.require_open()
        if not self._limits_receiving or max_frames < 1:
            return self.port.receive(max_frames, timeout)
        deadline_ns = None if timeout is None else self._clock_ns() + int(timeout * 1e9)
        if not self._waiting.frames:
            self._waiting.put(self.port.receive(max_frames, timeout))
        while True:
            burst = self._waiting.take(max_frames)
            now_ns = self._clock_ns()
            count = self._receive.pass_now(burst.lengths, now_ns)
            if count or not len(burst):
                break
            self._waiting.put_back(burst)
            wait_ns = self._receive.wait_ns(int(burst.lengths[0]))
            if deadline_ns is not None and now_ns + wait_ns > deadline_ns:
                time.sleep(max(0, deadline_ns - now_ns) / 1e9)
                burst, count = burst[:0], 0
                break
            time.sleep(wait_ns / 1e9)
        if count < len(burst):
            self._waiting.put_back(burst[count:])
            burst = burst[:count]
        self._receive.spend(burst.lengths)
        self._received.received_frames += len(burst)
        self._received.received_octets += burst.octets
        if self._readiness is not None:
            self._readiness.update(self._waiting.frames > 0)
        return burst

    def fileno(self) -> int:
        self.require_open()
        if not self._limits_receiving:
            return self.port.fileno()
        if self._readiness is None:
            self._readiness = Readiness(self.port.fileno())
            self._readiness.update(self._waiting.frames > 0)
        return self._readiness.fileno()

    def _release(self) -> None:
        self._received.dropped_by_port += self._waiting.clear()
        if self._readiness is not None:
            self._readiness.close()
        self.port.close()

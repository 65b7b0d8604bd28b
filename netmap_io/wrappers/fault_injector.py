"""FaultInjector: a bad link around a port, each direction for itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from netmap_io.burst import Burst
from netmap_io.errors import PortUnsupportedError
from netmap_io.port import Counters, Port
from netmap_io.wrappers.faults import FaultCounters, FaultLane, Faults
from netmap_io.wrappers.frames import check_fits
from netmap_io.wrappers.wrapper import Readiness, Wrapper

__all__ = ["FaultInjector"]

_RECEIVE, _SEND = 0, 1


class FaultInjector(Wrapper):
    """Loses, damages, duplicates, reorders and delays frames, the same ones for the same seed.

    What waits on the way out is handed on by later calls of `send`, `receive` and `flush`; `flush` waits until all
    of it is due.  Where the inner port has no room, at most one burst of the caller's waits here; then `send` takes
    nothing.  What still waits when the port is closed is counted as discarded.
    """

    def __init__(
        self,
        port: Port,
        *,
        receive: Faults | None = None,
        send: Faults | None = None,
        seed: int = 0,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Wrap `port`.  receive, send: what happens to frames in either direction, nothing by default."""
        super().__init__(port)
        self._in = FaultLane(receive or Faults(), seed, _RECEIVE)
        self._out = FaultLane(send or Faults(), seed, _SEND)
        self._out_lock = threading.Lock()  # the receiving thread hands on what is due, too
        self._clock_ns = clock_ns
        self._own = Counters()
        self._readiness: Readiness | None = None

    @property
    def received(self) -> FaultCounters:
        """What was done to the frames that came in."""
        return self._in.counters

    @property
    def sent(self) -> FaultCounters:
        """What was done to the frames that went out."""
        return self._out.counters

    @property
    def waiting(self) -> tuple[int, int]:
        """Frames that wait on their way in, and out."""
        return self._in.waiting, self._out.waiting

    @property
    def counters(self) -> Counters:
        """Received and sent as seen from outside; what was lost here is added to what the port dropped."""
        inner = self.port.counters
        lanes = (self._in.counters, self._out.counters)
        dropped = sum(each.lost + each.refused + each.discarded for each in lanes)
        return replace(
            self._own,
            dropped_by_port=inner.dropped_by_port + dropped,
            dropped_by_ring=inner.dropped_by_ring,
            dropped_by_kernel=inner.dropped_by_kernel,
        )

    @property
    def exhausted(self) -> bool:
        return self._in.waiting == 0 and self.port.exhausted

    def receive(self, max_frames: int = 65536, timeout: float | None = None) -> Burst:
        self.require_open()
        if max_frames < 1:
            raise ValueError("max_frames must be 1 or more")
        if not self.capabilities.receives:
            return self.port.receive(max_frames, timeout)  # says why not
        deadline_ns = None if timeout is None else self._clock_ns() + int(timeout * 1e9)
        lane, tried = self._in, False
        while True:
            now_ns = self._clock_ns()
            self._hand_on(now_ns)
            lane.advance(now_ns)
            left_ns = None if deadline_ns is None else deadline_ns - now_ns
            if lane.ready.frames or self.exhausted or (tried and left_ns is not None and left_ns <= 0):
                break
            self._wait(max_frames, left_ns, now_ns)
            tried = True
        burst = lane.ready.take(max_frames)
        self._tell_readiness()
        lane.counters.delivered += len(burst)
        self._own.received_frames += len(burst)
        self._own.received_octets += burst.octets
        return burst

    def _wait(self, max_frames: int, left_ns: int | None, now_ns: int) -> None:
        """Receive, until something that waits in either direction is due."""
        dues = [due for due in (self._in.next_due_ns(), self._out.next_due_ns()) if due is not None]
        waits = [max(0, due - now_ns) for due in dues] + ([] if left_ns is None else [max(0, left_ns)])
        wait_s = min(waits) / 1e9 if waits else None
        if not self.port.exhausted:
            self._in.offer(self.port.receive(max_frames, wait_s), self._clock_ns())
        if self.port.exhausted:
            self._in.release_held(self._clock_ns())
            due_ns = self._in.next_due_ns()
            if due_ns is not None and not self._in.ready.frames:
                until_ns = due_ns if left_ns is None else min(due_ns, now_ns + left_ns)
                time.sleep(max(0, until_ns - self._clock_ns()) / 1e9)

    def send(self, burst: Burst) -> int:
        self.require_open()
        check_fits(self.port, burst)
        now_ns = self._clock_ns()
        self._hand_on(now_ns)
        if self._out.ready.frames and self.capabilities.back_pressure:
            return 0
        with self._out_lock:
            self._out.offer(burst, now_ns)
        self._hand_on(now_ns)
        self._own.sent_frames += len(burst)
        self._own.sent_octets += burst.octets
        return len(burst)

    def _hand_on(self, now_ns: int) -> None:
        """Send what is due, as far as the port has room."""
        lane = self._out
        if not lane.waiting:
            return
        with self._out_lock:
            lane.advance(now_ns)
            while lane.ready.frames:
                burst = lane.ready.take(lane.ready.frames)
                try:
                    taken = self.port.send(burst)
                except Exception:
                    lane.counters.refused += len(burst)
                    raise
                lane.counters.delivered += taken
                if taken < len(burst):
                    lane.ready.put_back(burst[taken:])
                    return

    def flush(self) -> None:
        self.require_open()
        with self._out_lock:
            self._out.release_held(self._clock_ns())
        while True:
            self._hand_on(self._clock_ns())
            due_ns = self._out.next_due_ns()
            if due_ns is None:
                break
            time.sleep(max(0, due_ns - self._clock_ns()) / 1e9)
        self.port.flush()

    def fileno(self) -> int:
        """Polls readable also when what came is lost: `receive` may then give nothing."""
        self.require_open()
        if self._in.faults.waits:
            raise PortUnsupportedError(
                "a FaultInjector that reorders or delays what it receives has no file descriptor to wait on; "
                "call receive instead"
            )
        if not self._in.faults.duplication:
            return self.port.fileno()
        if self._readiness is None:
            self._readiness = Readiness(self.port.fileno())
            self._tell_readiness()
        return self._readiness.fileno()

    def _tell_readiness(self) -> None:
        if self._readiness is not None:
            self._readiness.update(self._in.ready.frames > 0)

    def _release(self) -> None:
        self._in.discard()
        self._out.discard()
        if self._readiness is not None:
            self._readiness.close()
        self.port.close()

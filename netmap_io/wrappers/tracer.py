"""Tracer: a line per frame that passes: time, direction, length, first octets."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from netmap_io.burst import Burst
from netmap_io.errors import CaptureUnreadableError
from netmap_io.port import Port
from netmap_io.wrappers.wrapper import Wrapper

__all__ = ["Tracer", "trace_lines"]


def trace_lines(burst: Burst, direction: str, octets: int, now_ns: int) -> Iterator[str]:
    """`seconds.nanoseconds direction length octets`, the octets in hexadecimal and "..." where there are more.

    A frame without a time gets `now_ns`.  A frame cut by a capture has the length on the wire after a slash.
    """
    columns = (burst.timestamps_ns.tolist(), burst.lengths.tolist(), burst.original_lengths.tolist())
    for frame, time_ns, length, original in zip(burst, *columns, strict=True):
        at_ns = time_ns if time_ns >= 0 else now_ns
        size = f"{length}" if length == original else f"{length}/{original}"
        more = "..." if length > octets else ""
        yield f"{at_ns // 10**9}.{at_ns % 10**9:09} {direction:3} {size:>5} {frame[:octets].hex()}{more}"


class Tracer(Wrapper):
    """Gives a line of text to `write` for each frame received, and for each that `send` took.

    Where a line cannot be written (OSError) the link goes on: frames are counted in `not_traced` from there on, and
    `close` raises what went wrong.
    """

    def __init__(
        self,
        port: Port,
        write: Callable[[str], object] | None = None,
        *,
        octets: int = 16,
        finish: Callable[[], object] = lambda: None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """write: called with one line, without its end; by default it goes to standard error.  finish: when closed."""
        super().__init__(port)
        if octets < 0:
            raise ValueError(f"octets is 0 or more, not {octets}")
        self._write = write or (lambda line: print(line, file=sys.stderr))
        self._octets = octets
        self._finish = finish
        self._clock_ns = clock_ns
        self.not_traced = 0
        self.problem: OSError | None = None

    def receive(self, max_frames: int = 65536, timeout: float | None = None) -> Burst:
        burst = super().receive(max_frames, timeout)
        self._trace(burst, "in")
        return burst

    @contextmanager
    def _lend(self, max_frames: int, timeout: float | None) -> Iterator[Burst]:
        self.require_open()
        with self.port.lend(max_frames, timeout) as burst:
            self._trace(burst, "in")
            yield burst

    def send(self, burst: Burst) -> int:
        taken = super().send(burst)
        self._trace(burst if taken == len(burst) else burst[:taken], "out")
        return taken

    def _trace(self, burst: Burst, direction: str) -> None:
        traced = 0
        try:
            if self.problem is None:
                for line in trace_lines(burst, direction, self._octets, self._clock_ns()):
                    self._write(line)
                    traced += 1
        except OSError as error:
            self.problem = error
        self.not_traced += len(burst) - traced

    def _release(self) -> None:
        try:
            self.port.close()
        finally:
            try:
                self._finish()
            except OSError as error:
                self.problem = self.problem or error
        if self.problem is not None:
            raise CaptureUnreadableError((self.problem.strerror or str(self.problem)).lower(), path="the trace")

"""Recorder: every frame through a port, written to a pcapng file with its direction."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike, fspath
from typing import BinaryIO

import numpy as np

from netmap_io.burst import ETHERNET, RAW_OCTETS, Burst
from netmap_io.drivers.pcap import PcapWriter, Statistics
from netmap_io.errors import CaptureUnreadableError
from netmap_io.port import LinkType, Port
from netmap_io.wrappers.frames import select_frames
from netmap_io.wrappers.wrapper import Wrapper

__all__ = ["INBOUND", "OUTBOUND", "Recorder"]

EPB_FLAGS = 2
"""pcapng's packet option whose two lowest bits say the direction."""
INBOUND, OUTBOUND = 1, 2


class Recorder(Wrapper):
    """Writes the frames that were received, and those of which `send` says that they were taken.

    A frame without a time gets the time at which it passed; one that goes out always does.  The capture has one link
    type, the first frame's: frames of another are counted in `not_recorded`.  Where the file cannot be written the
    link goes on: frames are counted there too, and `close` raises what went wrong.  On closing, a statistics block
    says what the port had received and dropped.
    """

    def __init__(
        self,
        port: Port,
        target: str | PathLike[str] | BinaryIO,
        *,
        incoming: bool = True,
        outgoing: bool = True,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Create `target`: a path, or a binary file.  Raises CaptureUnreadableError."""
        super().__init__(port)
        self._incoming, self._outgoing = incoming, outgoing
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._owned = isinstance(target, str | PathLike)
        self.path = fspath(target) if isinstance(target, str | PathLike) else str(getattr(target, "name", "output"))
        self._file = self._create(target)
        self._writer: PcapWriter | None = None
        self.recorded = 0
        self.not_recorded = 0
        self.problem: CaptureUnreadableError | None = None

    def _create(self, target: str | PathLike[str] | BinaryIO) -> BinaryIO:
        if not isinstance(target, str | PathLike):
            return target
        try:
            return open(target, "wb")
        except OSError as error:
            raise CaptureUnreadableError((error.strerror or str(error)).lower(), path=self.path) from None

    def receive(self, max_frames: int = 65536, timeout: float | None = None) -> Burst:
        burst = super().receive(max_frames, timeout)
        if self._incoming:
            self._record(burst, INBOUND)
        return burst

    @contextmanager
    def _lend(self, max_frames: int, timeout: float | None) -> Iterator[Burst]:
        self.require_open()
        with self.port.lend(max_frames, timeout) as burst:
            if self._incoming:
                self._record(burst, INBOUND)
            yield burst

    def send(self, burst: Burst) -> int:
        taken = super().send(burst)
        if self._outgoing and taken:
            self._record(burst if taken == len(burst) else burst[:taken], OUTBOUND)
        return taken

    def _record(self, burst: Burst, direction: int) -> None:
        if not len(burst):
            return
        with self._lock:
            if self.problem is not None:
                self.not_recorded += len(burst)
                return
            try:
                self._write(burst, direction)
            except CaptureUnreadableError as error:
                self.problem = error
                self.not_recorded += len(burst)

    def _write(self, burst: Burst, direction: int) -> None:
        if self._writer is None:
            self._writer = PcapWriter(self._file, link_type=int(burst.link_types[0]), name=type(self.port).__name__)
            self._number = int(burst.link_types[0])
        fitting = burst.link_types == self._number
        if not bool(fitting.all()):
            self.not_recorded += int((~fitting).sum())
            burst = select_frames(burst, np.flatnonzero(fitting))
        known = burst.timestamps_ns >= 0 if direction == INBOUND else np.zeros(len(burst), dtype=bool)
        times_ns = np.where(known, burst.timestamps_ns, self._clock_ns())
        flag = direction.to_bytes(4, "little")
        kept = [each for each in burst.annotations if each[1] != EPB_FLAGS]
        notes = sorted([*kept, *((frame, EPB_FLAGS, flag) for frame in range(len(burst)))], key=lambda note: note[0])
        marked = Burst(
            burst.buffer,
            burst.offsets,
            times_ns,
            original_lengths=burst.original_lengths,
            link_types=burst.link_types,
            annotations=notes,
        )
        self._writer.send(marked)
        self.recorded += len(burst)

    def flush(self) -> None:
        """Flush the port, and the file too, as far as it could be written."""
        super().flush()
        with self._lock:
            if self._writer is not None and self.problem is None:
                try:
                    self._writer.flush()
                except CaptureUnreadableError as error:
                    self.problem = error

    def _release(self) -> None:
        counters = self.port.counters
        try:
            self.port.close()
        finally:
            self._finish(
                Statistics(
                    timestamp_ns=self._clock_ns(),
                    received=counters.received_frames,
                    dropped_by_interface=counters.dropped_by_ring,
                    dropped_by_operating_system=counters.dropped_by_kernel,
                )
            )
        if self.problem is not None:
            raise self.problem

    def _finish(self, statistics: Statistics) -> None:
        try:
            if self.problem is None:
                if self._writer is None:
                    ethernet = self.capabilities.link_type is LinkType.ETHERNET
                    self._writer = PcapWriter(self._file, link_type=ETHERNET if ethernet else RAW_OCTETS)
                self._writer.write_statistics(statistics)
                self._writer.flush()
            if self._owned:
                self._file.close()
        except CaptureUnreadableError as error:
            self.problem = error
        except OSError as error:
            self.problem = CaptureUnreadableError((error.strerror or str(error)).lower(), path=self.path)

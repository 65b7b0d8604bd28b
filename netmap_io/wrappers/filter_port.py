"""Filter: of what a port receives, the frames that are wanted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from netmap_io.burst import Burst
from netmap_io.port import Counters, Port
from netmap_io.wrappers.frames import select_frames
from netmap_io.wrappers.wrapper import Wrapper

__all__ = ["Filter", "Match", "by_filter", "by_share"]

Match = Callable[[Burst], NDArray[np.bool_]]
"""bool[n] of a burst's frames: those that are wanted."""


class Filter(Wrapper):
    """Gives the received frames that `match`; the others are counted in `passed_over`, and are no drops.

    What is sent goes through.  The descriptor polls readable also for frames that do not match.
    """

    def __init__(self, port: Port, match: Match) -> None:
        super().__init__(port)
        self._match = match
        self._received = Counters()
        self.passed_over = 0
        self.passed_over_octets = 0

    @property
    def counters(self) -> Counters:
        own = self._received
        return replace(self.port.counters, received_frames=own.received_frames, received_octets=own.received_octets)

    def receive(self, max_frames: int = 65536, timeout: float | None = None) -> Burst:
        self.require_open()
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            burst = self._chosen(self.port.receive(max_frames, timeout))
            if deadline is not None:
                timeout = max(0.0, deadline - time.monotonic())
            if len(burst) or self.port.exhausted or timeout == 0:
                break
        self._received.received_frames += len(burst)
        self._received.received_octets += burst.octets
        return burst

    def _chosen(self, burst: Burst) -> Burst:
        if not len(burst):
            return burst
        wanted = self._match(burst)
        if bool(wanted.all()):
            return burst
        chosen = select_frames(burst, np.flatnonzero(wanted))
        self.passed_over += len(burst) - len(chosen)
        self.passed_over_octets += burst.octets - chosen.octets
        return chosen


def by_filter(expression: str) -> Match:
    """Frames for which an expression of `filter_language` holds, or a program of `tcpdump -ddd`.

    It is compiled for the frames' own link type, once for each.  Raises BpfError: here for Ethernet's faults of the
    language, at the first burst where the frames are of a link type that has no such test.
    """
    from netmap_io.wrappers.filter_language import compile_filter

    compile_filter(expression)

    def match(burst: Burst) -> NDArray[np.bool_]:
        kinds = burst.link_types
        if not len(kinds):
            return np.zeros(0, dtype=bool)
        if bool((kinds == kinds[0]).all()):
            return compile_filter(expression, int(kinds[0])).match(burst)
        accepted = np.zeros(len(burst), dtype=bool)
        for kind in np.unique(kinds).tolist():
            chosen = np.flatnonzero(kinds == kind)
            accepted[chosen] = compile_filter(expression, kind).match(select_frames(burst, chosen))
        return accepted

    return match


def by_share(hashes: Callable[[Burst], NDArray[np.uint64]], shares: int, share: int) -> Match:
    """Frames whose hash falls into one of `shares` equal shares, counted from 0."""
    if not 0 <= share < shares:
        raise ValueError(f"share is one of 0 to {shares - 1}, not {share}")
    return lambda burst: hashes(burst) % np.uint64(shares) == share

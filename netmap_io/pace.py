"""Pace: when recorded frames are due.  Knows no clock; the instant is an argument."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pace"]

_ONE_SECOND_NS = 1_000_000_000


class Pace:
    """The original timing, `speed` times faster.

    The first frame with a known time is due at once and starts the count.  A frame without a time, or with an earlier
    one than a frame before it, is due together with the frame before it.
    """

    def __init__(self, speed: float = 1.0) -> None:
        if not 0 < speed < float("inf"):
            raise ValueError(f"a speed must be more than 0 and finite, not {speed}")
        self.speed = speed
        self._first_ns: int | None = None
        self._started_ns = 0
        self._latest_ns = 0

    def due(self, timestamps_ns: NDArray[np.int64], now_ns: int) -> tuple[int, int]:
        """How many of the frames at the front are due at `now_ns`, and in how many ns the next one is (0: none left).

        Frames that are due are taken as gone: the next call starts with the one after them.
        """
        if self._first_ns is None:
            known = timestamps_ns[timestamps_ns >= 0]
            if not len(known):
                return len(timestamps_ns), 0
            self._first_ns = self._latest_ns = int(known[0])
            self._started_ns = now_ns
        reached_ns = self._first_ns + int((now_ns - self._started_ns) * self.speed)
        rising = np.maximum.accumulate(np.maximum(timestamps_ns, self._latest_ns))
        count = int(np.searchsorted(rising, reached_ns, side="right"))
        if count:
            self._latest_ns = int(rising[count - 1])
        if count == len(rising):
            return count, 0
        return count, max(1, int((int(rising[count]) - reached_ns) / self.speed))

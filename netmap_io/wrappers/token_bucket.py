"""A token bucket in whole numbers.  Knows no clock; the instant is an argument."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["TokenBucket"]

_SECOND_NS = 1_000_000_000


class TokenBucket:
    """`rate` tokens come in a second, at most `capacity` of them wait; each frame takes what it costs.

    In any stretch of t seconds no more than capacity + rate * t passes, and one frame that is dearer than the
    capacity: it passes when the bucket is full, and the bucket is then in debt.
    """

    def __init__(self, rate: int, capacity: int) -> None:
        if rate < 1 or capacity < 1:
            raise ValueError(f"rate and capacity are 1 or more, not {rate} and {capacity}")
        self.rate = rate
        self.capacity = capacity
        self._level = capacity * _SECOND_NS  # in tokens / 10^9, so that nothing is ever rounded
        self._filled_ns: int | None = None

    def fill(self, now_ns: int) -> None:
        """Let the tokens in that have come until `now_ns`."""
        if self._filled_ns is not None:
            elapsed_ns = max(0, now_ns - self._filled_ns)
            self._level = min(self.capacity * _SECOND_NS, self._level + self.rate * elapsed_ns)
        self._filled_ns = now_ns if self._filled_ns is None else max(now_ns, self._filled_ns)

    def affords(self, costs: NDArray[np.int64]) -> int:
        """How many frames from the front there are tokens for."""
        if not len(costs) or self._level < 0:
            return 0
        if int(costs[0]) > self.capacity:
            return int(self._level == self.capacity * _SECOND_NS)
        return int(np.searchsorted(np.cumsum(costs), self._level // _SECOND_NS, side="right"))

    def spend(self, cost: int) -> None:
        """Take the tokens of frames that passed."""
        self._level -= cost * _SECOND_NS

    def wait_ns(self, cost: int) -> int:
        """How long until a frame of this cost may pass, from the last `fill` on."""
        missing = min(cost, self.capacity) * _SECOND_NS - self._level
        return max(0, -(-missing // self.rate))

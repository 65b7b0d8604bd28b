"""Numbers as they arrive: which are missing, came twice, or were overtaken."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["SequenceAccount"]

_WINDOW = 1 << 20


class SequenceAccount:
    """Exact as long as no number is more than 2^20 behind the highest; those that are count as `late`."""

    def __init__(self, window: int = _WINDOW) -> None:
        self._window = window
        self._seen = np.zeros(window, dtype=bool)
        self.highest = -1
        self.lowest: int | None = None
        self.distinct = 0
        self.duplicated = 0
        self.reordered = 0
        """Numbers that came after a higher one; duplicates are not counted among them."""
        self.late = 0

    def take(self, numbers: NDArray[np.int64]) -> None:
        """Numbers, in the order in which they came."""
        if not len(numbers):
            return
        _, first_at = np.unique(numbers, return_index=True)
        firsts = numbers[np.sort(first_at)]
        self.duplicated += len(numbers) - len(firsts)
        late = firsts <= self.highest - self._window
        self.late += int(late.sum())
        seen = ~late & (firsts <= self.highest) & self._seen[firsts % self._window]
        self.duplicated += int(seen.sum())
        fresh = firsts[~late & ~seen]
        if not len(fresh):
            return
        before = np.maximum.accumulate(np.concatenate([[self.highest], fresh[:-1]]))
        self.reordered += int((fresh < before).sum())
        self.distinct += len(fresh)
        lowest = int(fresh.min())
        self.lowest = lowest if self.lowest is None else min(lowest, self.lowest)
        self._advance(max(self.highest, int(fresh.max())))
        self._seen[fresh[fresh > self.highest - self._window] % self._window] = True

    def _advance(self, highest: int) -> None:
        """Forget the numbers whose places in the window are needed for new ones."""
        if highest - self.highest >= self._window:
            self._seen[:] = False
        else:
            self._seen[np.arange(self.highest + 1, highest + 1) % self._window] = False
        self.highest = highest

    def lost(self, *, first: int = 0, expected: int | None = None) -> int:
        """Numbers from `first` on, up to the highest or to before `expected`, that never came."""
        end = max(self.highest + 1, expected or 0)
        return max(0, end - first - self.distinct - self.late)

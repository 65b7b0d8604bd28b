"""Frames chosen out of bursts, frames that wait, and a burst's frames as octet columns."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netmap_io.burst import Burst, join

__all__ = ["FrameQueue", "check_fits", "octets_of", "select_frames"]


def octets_of(burst: Burst) -> NDArray[np.uint8]:
    """The burst's buffer as numbers, not copied: not to be kept past a `lend`."""
    return np.frombuffer(burst.buffer, dtype=np.uint8)


def select_frames(burst: Burst, indices: NDArray[np.int64]) -> Burst:
    """The frames at `indices`, in that order, an index as often as it is there; in memory of its own."""
    offsets = burst.offsets.astype(np.int64)
    lengths = burst.lengths.astype(np.int64)[indices]
    edges = np.zeros(len(indices) + 1, dtype=np.uint64)
    np.cumsum(lengths, out=edges[1:])
    # Runs of neighbours are copied in one piece.
    breaks = np.flatnonzero(np.diff(indices) != 1) + 1
    runs = pairwise([0, *breaks.tolist(), len(indices)]) if len(indices) else ()
    buffer = burst.buffer
    pieces = [buffer[offsets[indices[start]] : offsets[indices[end - 1] + 1]] for start, end in runs]
    return Burst(
        b"".join(pieces),
        edges,
        burst.timestamps_ns[indices],
        original_lengths=burst.original_lengths[indices],
        link_types=burst.link_types[indices],
        interfaces=burst.interfaces[indices],
        annotations=_annotations(burst.annotations, indices),
    )


def _annotations(given: list[tuple[int, int, bytes]], indices: NDArray[np.int64]) -> list[tuple[int, int, bytes]]:
    if not given:
        return []
    by_frame: dict[int, list[tuple[int, bytes]]] = {}
    for frame, code, value in given:
        by_frame.setdefault(frame, []).append((code, value))
    return [(new, *each) for new, old in enumerate(indices.tolist()) for each in by_frame.get(old, ())]


class FrameQueue:
    """Frames that wait, first in, first out.  The bursts put in must own their memory."""

    def __init__(self) -> None:
        self._bursts: deque[Burst] = deque()
        self.frames = 0

    def put(self, burst: Burst) -> None:
        if len(burst):
            self._bursts.append(burst)
            self.frames += len(burst)

    def put_back(self, burst: Burst) -> None:
        """In front of all."""
        if len(burst):
            self._bursts.appendleft(burst)
            self.frames += len(burst)

    def take(self, max_frames: int) -> Burst:
        """At most `max_frames` from the front."""
        taken: list[Burst] = []
        while self._bursts and max_frames:
            burst = self._bursts.popleft()
            if len(burst) > max_frames:
                self._bursts.appendleft(burst.part(max_frames, len(burst)))
                burst = burst.part(0, max_frames)
            taken.append(burst)
            max_frames -= len(burst)
            self.frames -= len(burst)
        return taken[0] if len(taken) == 1 else join(taken)

    def clear(self) -> int:
        """Let all go; how many they were."""
        count, self.frames = self.frames, 0
        self._bursts.clear()
        return count


def check_fits(port: Any, burst: Burst) -> None:
    """Raise what `port.send` would raise for this burst, for a wrapper that takes frames before the port does."""
    from netmap_io.burst import ETHERNET
    from netmap_io.errors import LinkTypeError
    from netmap_io.port import LinkType

    if not len(burst):
        return
    capabilities = port.capabilities
    is_ethernet = burst.link_types == ETHERNET
    if not bool((is_ethernet == (capabilities.link_type is LinkType.ETHERNET)).all()):
        raise LinkTypeError(f"this {type(port).__name__} carries {capabilities.link_type.value}; the burst does not")
    if int(burst.lengths.max()) > capabilities.maximum_frame_octets:
        raise ValueError(f"a frame is longer than the {capabilities.maximum_frame_octets} octets of this port")

"""Blocking and segmentation over frames of variable length.  Sources: CCSDS 232.0-B-4, 4.3.1; 732.1-B-3, 4.2.3."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ccsds.errors import EncodeError
from ccsds.frames.tc import SegmentSequenceFlags
from ccsds.link.sending.source import Content, UnitQueue
from ccsds.procedures.segmentation import segment

__all__ = ["Segments"]


class Segments(UnitQueue):
    """Units in frames of up to `capacity` octets of data: blocked, whole, or in segments.

    Args: blocking: units that wait share a frame as far as they fit whole.  segmentation: longer ones are cut.
          wrap: sequence flags and data, to a data field.
    """

    def __init__(
        self,
        name: str,
        queue_octets: int,
        capacity: int,
        *,
        blocking: bool,
        segmentation: bool,
        wrap: Callable[[SegmentSequenceFlags, bytes], bytes],
    ) -> None:
        super().__init__(name, queue_octets)
        self.capacity = capacity
        self._blocking = blocking
        self._segmentation = segmentation
        self._wrap = wrap
        self._portions: deque[tuple[SegmentSequenceFlags, bytes]] = deque()
        """of the first unit, once it has gone in part"""

    def push(self, octets: bytes, unit_id: int) -> None:
        """One more unit.  Raises: EncodeError: empty, or too long and nothing may be segmented.  QueueFullError."""
        if not self._segmentation and len(octets) > self.capacity:
            raise EncodeError(
                f"{self.name}: a unit of {len(octets)} octets does not fit into a frame, which takes {self.capacity}, "
                "and without segment headers there is no segmentation [CCSDS 232.0-B-4 §4.1.3.2.2]"
            )
        super().push(octets, unit_id)

    def take(self, complete: bool) -> Content:
        """The next block, unit or segment."""
        unit_id, octets = self._units[0]
        if not self._portions:
            if len(octets) <= self.capacity:
                return self._block()
            self._portions.extend(segment(octets, self.capacity))
        flags, piece = self._portions.popleft()
        self._octets -= len(piece)
        if self._portions:
            return Content(self._wrap(flags, piece))
        self._units.popleft()
        return Content(self._wrap(flags, piece), (unit_id,))

    def _block(self) -> Content:
        """The first unit, and as many after it as fit."""
        room, pieces, ids = self.capacity, [], []
        while self._units and len(self._units[0][1]) <= room:
            unit_id, octets = self._units.popleft()
            room -= len(octets)
            pieces.append(octets)
            ids.append(unit_id)
            if not self._blocking:
                break
        self._octets -= self.capacity - room
        return Content(self._wrap(SegmentSequenceFlags.UNSEGMENTED, b"".join(pieces)), tuple(ids))

    def abandon(self) -> tuple[int, ...]:
        """Drop the rest of a unit that has gone in part."""
        if not self._portions:
            return ()
        self._octets -= sum(len(piece) for _, piece in self._portions)
        self._portions.clear()
        return (self._units.popleft()[0],)

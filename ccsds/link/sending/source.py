"""What a service access point feeds: a queue of units that gives one data field after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from ccsds.errors import EncodeError, ProtocolError

__all__ = ["QUEUE_OCTETS", "Content", "QueueFullError", "Source", "UnitQueue"]

QUEUE_OCTETS: Final = 1 << 20
"""What may wait at one service access point, where nobody says otherwise."""


class QueueFullError(ProtocolError):
    """No room in the queue of a service access point: take frames first.  The unit is not in the queue."""


class Content(NamedTuple):
    """The data field of one frame.

    octets: of TC, segment header and data; of AOS and USLP, with the header of the data field; of TM the bare zone.
    units: identifiers of the units that end in it.
    status: TM, synchronization flag, packet order flag, segment length identifier and first header pointer.
    """

    octets: bytes
    units: tuple[int, ...] = ()
    status: tuple[int, int, int, int] = (0, 0, 3, 0)


Wrap = Callable[[bytes, int], tuple[bytes, tuple[int, int, int, int]]]
"""A zone and its pointer, to octets and status of a Content."""
_STATUS: Final = (0, 0, 3, 0)


class Source(ABC):
    """One queue.

    `complete`: a frame is to be sent that is not full, with idle data behind what there is.
    `flush` asks for that once, for all that waits at the time.
    """

    def __init__(self, name: str, queue_octets: int) -> None:
        self.name = name
        self.queue_octets = queue_octets

    @property
    @abstractmethod
    def pending_octets(self) -> int:
        """Octets of units that wait, wholly or partly."""

    @abstractmethod
    def is_ready(self, complete: bool) -> bool:
        """Whether `take` gives a data field."""

    @abstractmethod
    def take(self, complete: bool) -> Content:
        """The next data field; only where `is_ready`."""

    def flush(self) -> None:  # noqa: B027 (most queues never hold back what they could send)
        """What waits goes out with the next frames, full or not."""

    def abandon(self) -> tuple[int, ...]:
        """Drop the rest of a unit that has gone in part; return its identifier."""
        return ()

    def require_room(self, octets: int) -> None:
        """Raise QueueFullError where a unit of so many octets must wait; an empty queue takes any one unit."""
        pending = self.pending_octets
        if pending and pending + octets > self.queue_octets:
            raise QueueFullError(
                f"{self.name}: {pending} octets wait, and {octets} more are over the limit of {self.queue_octets}"
            )


class UnitQueue(Source):
    """A source whose units wait one by one, and go in order."""

    def __init__(self, name: str, queue_octets: int) -> None:
        super().__init__(name, queue_octets)
        self._units: deque[tuple[int, bytes]] = deque()
        self._octets = 0

    @property
    def pending_octets(self) -> int:
        """Octets of units that wait; of the first one those that have not gone."""
        return self._octets

    def push(self, octets: bytes, unit_id: int) -> None:
        """One more unit.  Raises: EncodeError: it is empty.  QueueFullError."""
        if not octets:
            raise EncodeError(f"{self.name}: a unit has at least one octet")
        self.require_room(len(octets))
        self._units.append((unit_id, octets))
        self._octets += len(octets)

    def is_ready(self, complete: bool) -> bool:
        """Whether units wait."""
        return bool(self._units)

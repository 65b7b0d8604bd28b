"""Fields that users give for every frame: operational control field, secondary header, insert zone.

Sources: CCSDS 132.0-B-3, 3.5 to 3.8; 732.0-B-5, 3.5 and 3.9; 732.1-B-3, 3.7 and 3.8.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from ccsds.errors import EncodeError, ProtocolError
from ccsds.link.sending.source import QueueFullError

__all__ = ["FieldSource", "InsertZone"]


class FieldSource:
    """A field that every frame of a channel has: the value given last, or what a callable gives for each frame."""

    def __init__(self, name: str, octets: int) -> None:
        self.name = name
        self.octets = octets
        self._give: Callable[[], Any] | None = None
        self._value: bytes | None = None

    @property
    def is_given(self) -> bool:
        """Whether there is a value."""
        return self._give is not None or self._value is not None

    def set(self, value: Any) -> None:
        """From the next frame on: octets, an object that encodes (a Clcw, say), or a callable that returns one of them.

        Raises: EncodeError: of another length.
        """
        if callable(value):
            self._give, self._value = value, None
        else:
            self._value, self._give = self._encoded(value), None

    def value(self) -> bytes:
        """For one frame.  Raises: ProtocolError: nobody gave any.  EncodeError: the callable gave another length."""
        if self._give is not None:
            return self._encoded(self._give())
        if self._value is None:
            raise ProtocolError(f"{self.name}: the managed parameters promise it, and nobody has set a value")
        return self._value

    def _encoded(self, value: Any) -> bytes:
        octets = value.encode() if hasattr(value, "encode") else bytes(memoryview(value))
        if not isinstance(octets, bytes) or len(octets) != self.octets:
            raise EncodeError(f"{self.name}: {self.octets} octets expected, {len(octets)} given")
        return octets


class InsertZone:
    """The insert zone of each frame of a physical channel: units in order, one a frame; without one, idle octets."""

    def __init__(self, octets: int, queue_units: int = 1024) -> None:
        self.octets = octets
        self.queue_units = queue_units
        self._idle = bytes(octets)
        self._units: deque[bytes] = deque()

    @property
    def pending_units(self) -> int:
        """Units that wait for a frame."""
        return len(self._units)

    def set_idle(self, octets: bytes) -> None:
        """What frames carry while no unit waits (zeros, until this is called).  Raises: EncodeError: another length."""
        self._idle = self._checked(octets)

    def send(self, octets: Any) -> None:
        """The insert zone of the next frame that has none.  Raises: EncodeError: another length.  QueueFullError."""
        unit = self._checked(octets)
        if len(self._units) >= self.queue_units:
            raise QueueFullError(f"insert zone: {self.queue_units} units wait already")
        self._units.append(unit)

    def next(self) -> bytes:
        """For one frame."""
        return self._units.popleft() if self._units else self._idle

    def take(self, frames: int) -> bytes:
        """For so many frames one after the other; one for all of them where no unit waits."""
        if not self._units:
            return self._idle
        return b"".join(self.next() for _ in range(frames)) or self._idle

    def _checked(self, octets: Any) -> bytes:
        unit = bytes(memoryview(octets))
        if len(unit) != self.octets:
            raise EncodeError(f"insert zone: {self.octets} octets expected, {len(unit)} given")
        return unit
